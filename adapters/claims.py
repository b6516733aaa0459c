"""Who was let have which certificate, in the table `registry`.

| pk | sk | item |
|---|---|---|
| `claim#{certificate id}` | `claim` | a temporary claim: its serial, its end, the certificate that it was used for |
| `{org}#device#{serial}` | `provisioned` | the certificate that the device was last let have, by which claim and when |

Neither is ever deleted: a claim that was forgotten would be taken for a maker's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adapters.dynamodb import Item, batch_get, encode_item, transact
from adapters.registry import Key, device_key
from domain.provisioning import NewClaim, Provisioned, TemporaryClaim


def claim_key(claim: str) -> Key:
    return f"claim#{claim}", "claim"


def provisioned_key(organisation: str, serial: str) -> Key:
    return device_key(organisation, serial)[0], "provisioned"


@dataclass(frozen=True)
class ClaimLog:
    """What the API writes: which serial a new claim is for."""

    client: Any
    table: str

    def put(self, claim: NewClaim, organisation: str, serial: str) -> None:
        pk, sk = claim_key(claim.id)
        item = {
            "pk": pk,
            "sk": sk,
            "organisation": organisation,
            "serial": serial,
            "expires_at": claim.expires_at,
            "used_for": None,
        }
        self.client.put_item(TableName=self.table, Item=encode_item(item))


@dataclass(frozen=True)
class Claims:
    """What the hook reads and writes; a write raises LostRace when another certificate came first."""

    client: Any
    table: str

    def claim(self, claim: str) -> TemporaryClaim | None:
        """A temporary claim; None for a maker's."""
        for item in self._read(claim_key(claim)):
            return TemporaryClaim(
                id=claim,
                organisation=item["organisation"],
                serial=item["serial"],
                expires_at=datetime.fromisoformat(item["expires_at"]),
                used_for=item["used_for"],
            )
        return None

    def provisioned(self, organisation: str, serial: str) -> Provisioned | None:
        for item in self._read(provisioned_key(organisation, serial)):
            return Provisioned(
                organisation,
                serial,
                certificate=item["certificate"],
                claim=item["claim"],
                at=datetime.fromisoformat(item["at"]),
                temporary=item["temporary"],
            )
        return None

    def provision(self, wanted: Provisioned, *, after: Provisioned | None) -> None:
        """Raises LostRace unless `after` is still what the device has."""
        put = self._put(wanted)
        if after is None:
            put["ConditionExpression"] = "attribute_not_exists(pk)"
        else:
            put["ConditionExpression"] = "certificate = :after"
            put["ExpressionAttributeValues"] = encode_item({":after": after.certificate})
        transact(self.client, [{"Put": put}])

    def use(self, claim: TemporaryClaim, wanted: Provisioned) -> None:
        """Raises LostRace when the claim was used for another certificate meanwhile."""
        pk, sk = claim_key(claim.id)
        used = {
            "TableName": self.table,
            "Key": encode_item({"pk": pk, "sk": sk}),
            "UpdateExpression": "SET used_for = :certificate",
            "ConditionExpression": "used_for = :nothing OR used_for = :certificate",
            "ExpressionAttributeValues": encode_item({":certificate": wanted.certificate, ":nothing": None}),
        }
        transact(self.client, [{"Update": used}, {"Put": self._put(wanted)}])

    def _read(self, key: Key) -> Iterable[Item]:
        return batch_get(self.client, {self.table: [key]}).values()

    def _put(self, wanted: Provisioned) -> dict[str, Any]:
        pk, sk = provisioned_key(wanted.organisation, wanted.serial)
        item = {
            "pk": pk,
            "sk": sk,
            "certificate": wanted.certificate,
            "claim": wanted.claim,
            "at": wanted.at,
            "temporary": wanted.temporary,
        }
        return {"TableName": self.table, "Item": encode_item(item)}
