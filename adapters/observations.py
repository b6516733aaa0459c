"""Table `observations`: immutable rows, in the order in which a subject's device measured.

| pk | sk | item |
|---|---|---|
| `{org}#{subject}` | `{kind}#{device time in UTC, cut to the profile's clock_resolution}#{id}` | an observation |

The table's stream is the outbox: a new reading is the INSERT of a row (`is_new_reading`, `from_record`).
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeAlias

from adapters.cursor import read_cursor, write_cursor
from adapters.dynamodb import Item, batch_get, batch_put, decode_item, query
from domain.codes import KINDS
from domain.identity import Identity
from domain.observation import Observation

Key: TypeAlias = tuple[str, str]

_SECOND = "%Y-%m-%dT%H:%M:%SZ"
_PLACE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ#[0-9a-f-]{36}")
_SPANS = (timedelta(hours=1), timedelta(days=2), None)  # around the time at which a row is looked for by its id
_AFTER = "\x7f"  # sorts after every character of a row's key


@dataclass(frozen=True, slots=True)
class Page:
    """Observations, newest first, each with the key of its row. `next` is an opaque cursor, None at the end."""

    items: list[tuple[Key, Observation]]
    next: str | None


def row_key(identity: Identity) -> Key:
    """Where the row of a reading is: the same for every re-send, whatever its path."""
    return (
        f"{identity.organisation}#{identity.subject}",
        f"{identity.kind}#{_moment(identity.taken_at)}#{identity.id}",
    )


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):{_SECOND}}"


def to_item(key: Key, one: Observation, *, expires_at: datetime) -> Item:
    item: Item = {
        "pk": key[0],
        "sk": key[1],
        "id": one.id,
        "organisation": one.organisation,
        "subject": one.subject,
        "device": one.device,
        "thing": one.thing,
        "kind": one.kind,
        "values": one.values,
        "measured_at": one.measured_at,
        "device_time": one.device_time,
        "received_at": one.received_at,
        "origin": one.origin,
        "class": one.device_class,
        "tags": one.tags,
        "expires_at": int(expires_at.timestamp()),
    }
    optional = {"slot": one.slot, "flags": one.flags or None, "context": one.context or None}
    return item | {name: value for name, value in optional.items() if value is not None}


def to_observation(item: Mapping[str, Any]) -> Observation:
    """The observation of a row in plain Python (as batch_get, query and decode_item give it)."""
    slot = item.get("slot")
    return Observation(
        id=item["id"],
        organisation=item["organisation"],
        subject=item["subject"],
        device=item["device"],
        thing=item["thing"],
        kind=item["kind"],
        values=item["values"],
        measured_at=datetime.fromisoformat(item["measured_at"]),
        device_time=datetime.fromisoformat(item["device_time"]),
        received_at=datetime.fromisoformat(item["received_at"]),
        origin=item["origin"],
        device_class=item["class"],
        slot=None if slot is None else int(slot),
        flags=tuple(item.get("flags", ())),
        context=item.get("context", {}),
        tags=frozenset(item["tags"]),
    )


def is_new_reading(record: Mapping[str, Any]) -> bool:
    """True for a record of the table's stream that brings a reading; a MODIFY (two racing puts) is new to nobody."""
    return record["eventName"] == "INSERT" and "#mark#" not in record["dynamodb"]["Keys"]["sk"]["S"]


def from_record(record: Mapping[str, Any]) -> tuple[Key, Observation]:
    """The row that a stream record brings, with its key."""
    item = decode_item(record["dynamodb"]["NewImage"])
    return (item["pk"], item["sk"]), to_observation(item)


@dataclass(frozen=True)
class Observations:
    """Rows are written once and never changed. `kept_for` is how long after they were measured."""

    client: Any
    table: str
    kept_for: timedelta = timedelta(days=400)

    def present(self, identities: Iterable[Identity]) -> set[Identity]:
        """Those that have a row already, read consistently."""
        keys = {row_key(identity): identity for identity in identities}
        found = batch_get(self.client, {self.table: keys})
        return {keys[pk, sk] for _, pk, sk in found}

    def put(self, rows: Iterable[tuple[Identity, Observation]]) -> None:
        """Write rows. Each identity at most once; writing one again leaves the table as it was."""
        batch_put(
            self.client,
            self.table,
            [to_item(row_key(identity), one, expires_at=one.measured_at + self.kept_for) for identity, one in rows],
        )

    def get(self, keys: Iterable[Key]) -> dict[Key, Observation]:
        """`{key: Observation}` of the rows that are present, read consistently."""
        found = batch_get(self.client, {self.table: keys})
        return {(pk, sk): to_observation(item) for (_, pk, sk), item in found.items()}

    def find(
        self, organisation: str, subject: str, kind: str, ids: Collection[str], *, near: datetime
    ) -> list[Observation]:
        """Those of `ids` that are kept, wherever their device's clock put them; those measured `near` cost least."""
        found: dict[str, Observation] = {}
        for span in _SPANS:
            wanted = [one for one in ids if one not in found]
            if not wanted:
                break
            names = {f":id{number}": {"S": one} for number, one in enumerate(wanted)}
            low, high = (_moment(near - span), _moment(near + span)) if span else ("", _AFTER)
            rows = query(
                self.client,
                TableName=self.table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
                FilterExpression=f"id IN ({', '.join(names)})",
                ExpressionAttributeValues={
                    ":pk": {"S": f"{organisation}#{subject}"},
                    ":low": {"S": f"{kind}#{low}"},
                    ":high": {"S": f"{kind}#{high}"},
                }
                | names,
            )
            found |= {item["id"]: to_observation(item) for item in rows}
        return list(found.values())

    def recent(
        self,
        organisation: str,
        subject: str,
        *,
        kind: str | None = None,
        from_at: datetime | None = None,
        to_at: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """A page of a subject's observations, newest first by the device's time, of one kind or of all.

        `from_at` is inclusive, `to_at` exclusive, both to the second. Raises InvalidRequest for a cursor that is none.
        """
        pk = f"{organisation}#{subject}"
        before = read_cursor(cursor, _PLACE)
        found: list[Item] = []
        for one in [kind] if kind else KINDS:
            low = f"{one}#{_moment(from_at) if from_at else ''}"
            high = f"{one}#{before or (_moment(to_at) if to_at else _AFTER)}"
            if low <= high:
                found += self._newest(pk, low, high, limit + 2)  # one is the cursor's own, one says that more follow
        left = sorted((item for item in found if before is None or _place(item) < before), key=_place, reverse=True)
        return Page(
            items=[((item["pk"], item["sk"]), to_observation(item)) for item in left[:limit]],
            next=write_cursor(_place(left[limit - 1])) if len(left) > limit else None,
        )

    def _newest(self, pk: str, low: str, high: str, limit: int) -> Iterable[Item]:
        found = query(
            self.client,
            TableName=self.table,
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=limit,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues={":pk": {"S": pk}, ":low": {"S": low}, ":high": {"S": high}},
        )
        return islice(found, limit)


def _place(item: Item) -> str:
    """Where a row stands among the subject's rows of all kinds: its time and id."""
    return str(item["sk"]).partition("#")[2]
