"""Table `erasures`: who was erased, for ever. It is never restored with the other tables: it is what they are held to.

| pk | sk | item |
|---|---|---|
| `{org}#{subject}` | `tombstone` | `erased_at`, `finished_at`, and how many rows were `found:{place}` |

Its stream drives `functions/erase` (`asked_for`); `again` counts the times that an operator has asked anew, after a
restore.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from adapters.consent import consent_put
from adapters.dynamodb import Item, batch_get, decode_item, encode, encode_item, transact
from adapters.queue import send
from adapters.registry import norm_key, subject_key, tombstone_key
from adapters.sealing import data_key_key
from domain.enrolment import ConsentTold, Subject
from domain.erasure import Look, Tombstone, write_look

Key: TypeAlias = tuple[str, str]

_FOUND = "found:"


def _key(organisation: str, subject: str) -> Item:
    pk, sk = tombstone_key(organisation, subject)
    return encode_item({"pk": pk, "sk": sk})


def to_tombstone(item: Item) -> Tombstone:
    organisation, _, subject = item["pk"].partition("#")
    finished_at = item.get("finished_at")
    return Tombstone(
        organisation=organisation,
        subject=subject,
        erased_at=datetime.fromisoformat(item["erased_at"]),
        finished_at=None if finished_at is None else datetime.fromisoformat(finished_at),
        found={name.removeprefix(_FOUND): int(value) for name, value in item.items() if name.startswith(_FOUND)},
    )


def asked_for(record: Mapping[str, Any]) -> Iterator[Look]:
    """What a record of the table's stream asks for: a look, when a tombstone is new or its work is asked for again."""
    before, after = (decode_item(record["dynamodb"].get(name, {})) for name in ("OldImage", "NewImage"))
    if after and (not before or after.get("again") != before.get("again")):
        organisation, _, subject = after["pk"].partition("#")
        yield Look(organisation, subject)


@dataclass(frozen=True)
class Looks:
    """The queue of looks, each after its own wait."""

    client: Any
    queue: str

    def put(self, looks: Iterable[Look]) -> None:
        """Raises adapters.queue.NotTaken."""
        for one in looks:
            send(self.client, self.queue, [write_look(one)], after=one.wait)


@dataclass(frozen=True)
class Tombstones:
    client: Any
    table: str

    def get(self, organisation: str, subject: str) -> Tombstone | None:
        found = batch_get(self.client, {self.table: [tombstone_key(organisation, subject)]})
        return next((to_tombstone(item) for item in found.values()), None)

    def found(self, organisation: str, subject: str, counts: Mapping[str, int]) -> None:
        """Add to what was found; a look that is broken off before this has deleted more than is counted."""
        names = {f"#{number}": f"{_FOUND}{place}" for number, place in enumerate(counts)}
        self._update(
            organisation,
            subject,
            UpdateExpression="ADD " + ", ".join(f"{short} :{short[1:]}" for short in names),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={f":{number}": encode(count) for number, count in enumerate(counts.values())},
        )

    def finish(self, organisation: str, subject: str, at: datetime) -> None:
        self._update(
            organisation,
            subject,
            UpdateExpression="SET finished_at = :at",
            ExpressionAttributeValues={":at": encode(at)},
        )

    def ask_again(self) -> int:
        """Have everybody who was ever erased looked for again, after a restore: how many. For the operator, who alone
        may scan."""
        asked = 0
        for page in self.client.get_paginator("scan").paginate(TableName=self.table, ProjectionExpression="pk"):
            for item in page["Items"]:
                organisation, _, subject = item["pk"]["S"].partition("#")
                self._update(
                    organisation,
                    subject,
                    UpdateExpression="ADD again :one REMOVE finished_at",
                    ExpressionAttributeValues={":one": encode(1)},
                )
                asked += 1
        return asked

    def _update(self, organisation: str, subject: str, **change: Any) -> None:
        self.client.update_item(TableName=self.table, Key=_key(organisation, subject), **change)


@dataclass(frozen=True)
class Erasures(Tombstones):
    """What the API does of an erasure: all that cannot wait, in one transaction."""

    registry: str
    alerts: str

    def begin(self, subject: Subject, at: datetime) -> None:
        """From here on nobody is enrolled there and no archived byte can be read; the hospitals are to be told.

        Raises LostRace when the subject is no longer that version.
        """
        pk, sk = tombstone_key(subject.organisation, subject.id)
        consent = subject.consent
        told = ConsentTold(
            organisation=subject.organisation,
            subject=subject.id,
            version=subject.version + 1,
            programmes=subject.programmes,
            given_at=None if consent is None else consent.given_at,
            withdrawn_at=(consent and consent.withdrawn_at) or at,
            erased_at=at,
        )
        actions: list[Item] = [
            {"Put": {"TableName": self.table, "Item": encode_item({"pk": pk, "sk": sk, "erased_at": at})}},
            {
                "Delete": {
                    "TableName": self.registry,
                    "Key": _item(subject_key(subject.organisation, subject.id)),
                    "ConditionExpression": "version = :version",
                    "ExpressionAttributeValues": {":version": encode(subject.version)},
                }
            },
            {"Delete": {"TableName": self.registry, "Key": _item(norm_key(subject.organisation, subject.id))}},
            consent_put(self.alerts, told),
        ]
        if subject.data_key is not None:
            name = data_key_key(subject.organisation, subject.data_key.id)
            actions.append({"Delete": {"TableName": self.registry, "Key": _item(name)}})
        transact(self.client, actions)


def _item(key: Key) -> Item:
    pk, sk = key
    return encode_item({"pk": pk, "sk": sk})
