"""Every place where something of a subject may be, and how it is found and deleted there (R90).

Each `erase` says how many rows it found, at most `most`; done again it finds what is left, or nothing.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol, TypeAlias, get_args

from adapters.consent import CONSENT, consent_key, from_consent, to_consent
from adapters.contacts import contacts_key
from adapters.deliveries import lane_key
from adapters.dynamodb import Item, batch_delete, batch_put, encode, encode_item, query
from adapters.erasures import Tombstones
from adapters.registry import Registry, subject_key
from adapters.sealing import data_key_key
from domain.delivery import Content, lane
from domain.enrolment import Device
from domain.errors import LostRace

Key: TypeAlias = tuple[str, str]

_SHELVES = "0123456789abcdef"


class Place(Protocol):
    def erase(self, organisation: str, subject: str, *, most: int) -> int: ...


def places(
    client: Any,
    *,
    registry: str,
    observations: str,
    alerts: str,
    decisions: str,
    quarantine: str,
    contacts: str,
    deliveries: str,
    erasures: str,
) -> dict[str, Place]:
    """All of them, by name, over the tables so named."""
    return {
        "registry": Enrolled(client, registry),
        "devices": Holdings(Registry(client, registry)),
        "contacts": Vault(client, contacts),
        "observations": Partition(client, observations),
        "alerts": Raised(client, alerts, Tombstones(client, erasures)),
        "decisions": Partition(client, decisions),
        "quarantine": SetAside(client, quarantine),
        "deliveries": References(client, deliveries, Registry(client, registry)),
    }


def _keys(client: Any, table: str, pk: str) -> Iterator[Key]:
    for item in query(
        client,
        TableName=table,
        ConsistentRead=True,
        KeyConditionExpression="pk = :pk",
        ProjectionExpression="pk, sk",
        ExpressionAttributeValues={":pk": encode(pk)},
    ):
        yield item["pk"], item["sk"]


def _delete(client: Any, table: str, keys: Iterable[Key], most: int) -> int:
    found = list(islice(keys, most))
    batch_delete(client, table, found)
    return len(found)


@dataclass(frozen=True)
class Partition:
    """A table that has all of a subject under `{org}#{subject}`; the sort key `keep` stays."""

    client: Any
    table: str
    keep: str | None = None

    def erase(self, organisation: str, subject: str, *, most: int) -> int:
        keys = _keys(self.client, self.table, f"{organisation}#{subject}")
        return _delete(self.client, self.table, (key for key in keys if key[1] != self.keep), most)


@dataclass(frozen=True)
class Raised:
    """Alerts and where their subject stood. What hospitals are told of the consent stays, without the programmes; in a
    table that was restored it is made to end again, and they are told again."""

    client: Any
    table: str
    tombstones: Tombstones

    def erase(self, organisation: str, subject: str, *, most: int) -> int:
        alerts = Partition(self.client, self.table, keep=CONSENT)
        return min(most, alerts.erase(organisation, subject, most=most) + self._end(organisation, subject))

    def _end(self, organisation: str, subject: str) -> int:
        tombstone = self.tombstones.get(organisation, subject)
        pk, sk = consent_key(organisation, subject)
        for item in query(
            self.client,
            TableName=self.table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND sk = :sk",
            ExpressionAttributeValues=encode_item({":pk": pk, ":sk": sk}),
        ):
            told = to_consent(item)
            after = replace(told, programmes=())
            if told.erased_at is None and tombstone is not None:
                at = tombstone.erased_at
                after = replace(told, version=told.version + 1, withdrawn_at=told.withdrawn_at or at, erased_at=at)
            if after != told:
                batch_put(self.client, self.table, [from_consent(after)])
                return 1
        return 0


@dataclass(frozen=True)
class Enrolled:
    """The subject, its plans, what it holds, and its key: a table that was restored has them again."""

    client: Any
    table: str

    def erase(self, organisation: str, subject: str, *, most: int) -> int:
        there = Registry(self.client, self.table).subject(organisation, subject)
        key = there.data_key if there else None
        of_key = [data_key_key(organisation, key.id)] if key else []
        keys = _keys(self.client, self.table, subject_key(organisation, subject)[0])
        return _delete(self.client, self.table, [*of_key, *keys], most)


@dataclass(frozen=True)
class Holdings:
    """The devices that the subject holds or held, and the rosters it is on: they go on without it."""

    registry: Registry

    def erase(self, organisation: str, subject: str, *, most: int) -> int:
        named = [
            device.serial
            for shelf in _SHELVES
            for device in self.registry.fleet(organisation, shelf)
            if _names(device, subject)
        ]
        for serial in named[:most]:
            device = self.registry.device(organisation, serial)
            if device is not None and _names(device, subject):
                with suppress(LostRace):  # somebody else wrote it: the next look finds it again
                    self.registry.put_device(_without(device, subject))
        return len(named[:most])


def _names(device: Device, subject: str) -> bool:
    return subject in device.roster or any(one.subject == subject for one in device.assignments)


def _without(device: Device, subject: str) -> Device:
    return device._replace(
        assignments=tuple(one for one in device.assignments if one.subject != subject),
        roster=tuple(one for one in device.roster if one != subject),
        version=device.version + 1,
    )


@dataclass(frozen=True)
class Vault:
    """The contacts, which can be deleted unopened."""

    client: Any
    table: str

    def erase(self, organisation: str, subject: str, *, most: int) -> int:
        pk, sk = contacts_key(organisation, subject)
        gone = self.client.delete_item(
            TableName=self.table, Key=encode_item({"pk": pk, "sk": sk}), ReturnValues="ALL_OLD"
        )
        return int("Attributes" in gone)


@dataclass(frozen=True)
class SetAside:
    """What was refused of the subject's, once it was known whose it was."""

    client: Any
    table: str

    def erase(self, organisation: str, subject: str, *, most: int) -> int:
        found = (
            (item["pk"], item["sk"])
            for shelf in _SHELVES
            for item in query(
                self.client,
                TableName=self.table,
                IndexName="by-time",
                KeyConditionExpression="shelf = :shelf",
                FilterExpression="subject = :subject",
                ExpressionAttributeValues=encode_item({":shelf": f"{organisation}#{shelf}", ":subject": subject}),
            )
        )
        return _delete(self.client, self.table, found, most)


@dataclass(frozen=True)
class References:
    """What deliveries refer to: the numbers stay, without it. They would show nothing of it either way."""

    client: Any
    table: str
    registry: Registry

    def erase(self, organisation: str, subject: str, *, most: int) -> int:
        who = f"{organisation}#{subject}"
        changed = 0
        for endpoint in self.registry.endpoints(organisation):
            for content in get_args(Content):
                for row in self._rows(lane_key(lane(endpoint, content, subject))["pk"]):
                    left = [one for one in row["refs"] if one["pk"] != who or one["type"] == CONSENT]
                    if len(left) < len(row["refs"]) and changed < most:
                        self._keep(row, left)
                        changed += 1
        return changed

    def _rows(self, pk: str) -> Iterable[Item]:
        return query(
            self.client,
            TableName=self.table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :row)",
            ExpressionAttributeValues=encode_item({":pk": pk, ":row": "row#"}),
        )

    def _keep(self, row: Item, left: list[Item]) -> None:
        self.client.update_item(
            TableName=self.table,
            Key=encode_item({"pk": row["pk"], "sk": row["sk"]}),
            UpdateExpression="SET refs = :left",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues=encode_item({":left": left}),
        )
