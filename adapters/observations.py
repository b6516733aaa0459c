"""Table `observations`: immutable rows, in the order in which a subject's device measured.

| pk | sk | item |
|---|---|---|
| `{org}#{subject}` | `{kind}#{device time in UTC, cut to the profile's clock_resolution}#{id}` | an observation |
| `{org}#{subject}` | `{the same}#mark` | its mark, below |

A mark has `recall:{id}` and `entered_in_error` (false once it is taken back), `path:{thing}`, `measured_at`, `context`
and `version`.

Rows never change; every reader joins the mark that stands beside a row. The table's stream is the outbox: a new reading
is the INSERT of a row (`is_new_reading`, `from_record`), a change of one is the INSERT or MODIFY of its mark
(`is_mark`, `row_of`).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any, TypeAlias

import orjson

from adapters.cursor import read_cursor, write_cursor
from adapters.dynamodb import (
    AttributeValues,
    batch_get,
    batch_get_encoded,
    batch_put_encoded,
    decode,
    decode_item,
    encode,
    encode_time,
    query,
    query_encoded,
)
from domain.codes import KINDS
from domain.identity import Identity
from domain.observation import Known, Marks, Observation, marked

Key: TypeAlias = tuple[str, str]

_TO_THE_SECOND = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
_PLACE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ#[0-9a-f-]{36}")
_SPANS = (timedelta(hours=1), timedelta(days=2), None)  # around the time at which a row is looked for by its id
_AFTER = "\x7f"  # sorts after every character of a row's key
_MARK = "#mark"
_TEXT = itemgetter("S")
_number = lru_cache(maxsize=4096)(Decimal)  # pressures repeat: one that was met is found sooner than made
_ROWS_A_PAGE = 500


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
    return orjson.dumps(at.astimezone(UTC), option=_TO_THE_SECOND)[1:-1].decode()


def to_row(key: Key, one: Observation, *, expires_at: datetime) -> AttributeValues:
    """The row of an observation as the table takes it, since one is written for every reading."""
    row: AttributeValues = {
        "pk": {"S": key[0]},
        "sk": {"S": key[1]},
        "id": {"S": one.id},
        "organisation": {"S": one.organisation},
        "subject": {"S": one.subject},
        "device": {"S": one.device},
        "thing": {"S": one.thing},
        "kind": {"S": one.kind},
        "values": encode(one.values),
        "measured_at": encode_time(one.measured_at),
        "device_time": encode_time(one.device_time),
        "received_at": encode_time(one.received_at),
        "origin": {"S": one.origin},
        "class": {"S": one.device_class},
        "tags": encode(one.tags),
        "expires_at": encode(int(expires_at.timestamp())),
    }
    if one.slot is not None:
        row["slot"] = encode(one.slot)
    if one.flags:
        row["flags"] = encode(one.flags)
    if one.context:
        row["context"] = encode(one.context)
    if one.record is not None:
        row["record"] = encode(one.record)
    if one.recalls:
        row["recalls"] = encode(one.recalls)
    return row


def to_observation(row: AttributeValues) -> Observation:
    """The same, read."""
    slot, record = row.get("slot"), row.get("record")
    return Observation(
        row["id"]["S"],  # by their places: to name them would cost a quarter of all this
        row["organisation"]["S"],
        row["subject"]["S"],
        row["device"]["S"],
        row["thing"]["S"],
        row["kind"]["S"],
        {name: _number(value["N"]) for name, value in row["values"]["M"].items()},
        datetime.fromisoformat(row["measured_at"]["S"]),
        datetime.fromisoformat(row["device_time"]["S"]),
        datetime.fromisoformat(row["received_at"]["S"]),
        row["origin"]["S"],
        row["class"]["S"],
        None if slot is None else int(slot["N"]),
        tuple(decode(row["flags"])) if "flags" in row else (),
        decode(row["context"]) if "context" in row else {},
        frozenset(map(_TEXT, row["tags"]["L"])),
        None if record is None else int(record["N"]),
        frozenset(decode(row["recalls"])) if "recalls" in row else frozenset(),
    )


def to_marks(item: Mapping[str, Any]) -> Marks:
    """What the mark of a row says, in plain Python."""
    measured_at = item.get("measured_at")
    return Marks(
        version=int(item["version"]),
        measured_at=None if measured_at is None else datetime.fromisoformat(measured_at),
        paths={thing: datetime.fromisoformat(at) for thing, at in _named("path:", item)},
        recalls=dict(_named("recall:", item)),
        context=item.get("context", {}),
        entered_in_error=item.get("entered_in_error", False),
    )


def _named(prefix: str, item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name.removeprefix(prefix), value) for name, value in item.items() if name.startswith(prefix))


def is_new_reading(record: Mapping[str, Any]) -> bool:
    """True for a record of the table's stream that brings a reading; a MODIFY (two racing puts) is new to nobody."""
    return record["eventName"] == "INSERT" and not _is_of_a_mark(record)


def is_mark(record: Mapping[str, Any]) -> bool:
    """True for a record that changes what an observation says; a mark that expired with its row changes nothing."""
    return record["eventName"] in ("INSERT", "MODIFY") and _is_of_a_mark(record)


def _is_of_a_mark(record: Mapping[str, Any]) -> bool:
    sk: str = record["dynamodb"]["Keys"]["sk"]["S"]
    return sk.endswith(_MARK)


def newly_discounted(record: Mapping[str, Any]) -> str | None:
    """The id of the observation that the record of a mark puts under a recall, or calls entered in error; None when it
    says something else."""
    before, after = (
        to_marks(decode_item(record["dynamodb"][name])) if name in record["dynamodb"] else Marks()
        for name in ("OldImage", "NewImage")
    )
    recalled = any(in_force and not before.recalls.get(recall) for recall, in_force in after.recalls.items())
    in_error = after.entered_in_error and not before.entered_in_error
    return row_of(record)[1].rpartition("#")[2] if recalled or in_error else None


def row_of(record: Mapping[str, Any]) -> Key:
    """The key of the row that a record of a mark is about."""
    keys = record["dynamodb"]["Keys"]
    return keys["pk"]["S"], keys["sk"]["S"].removesuffix(_MARK)


def taken_at(sk: str) -> datetime:
    """The device's time of a row, by its sort key."""
    return datetime.fromisoformat(sk.split("#")[1])


def from_record(record: Mapping[str, Any]) -> Observation:
    """The row that a stream record brings."""
    return to_observation(record["dynamodb"]["NewImage"])


@dataclass(frozen=True)
class Observations:
    """Rows are written once and never changed. `kept_for` is how long after they were measured."""

    client: Any
    table: str
    kept_for: timedelta = timedelta(days=400)

    def key(self, identity: Identity) -> Key:
        """Where the row of a reading is."""
        return row_key(identity)

    def present(self, keys: Iterable[Key]) -> dict[Key, Known]:
        """What is known of those that have a row already, read consistently."""
        found = batch_get(self.client, {self.table: keys}, attributes=("thing", "device_time", "measured_at"))
        return {
            (pk, sk): Known(item["thing"], corrected=item["measured_at"] != item["device_time"])
            for (_, pk, sk), item in found.items()
        }

    def put(self, rows: Iterable[tuple[Key, Observation]]) -> None:
        """Write rows. Each key at most once; writing one again leaves the table as it was."""
        batch_put_encoded(
            self.client,
            self.table,
            (to_row(key, one, expires_at=one.measured_at + self.kept_for) for key, one in rows),
        )

    def get(self, keys: Iterable[Key]) -> dict[Key, Observation]:
        """`{key: Observation}` of the rows that are present, each with its mark, read consistently."""
        rows = list(keys)
        found = batch_get_encoded(self.client, {self.table: [*rows, *((pk, sk + _MARK) for pk, sk in rows)]})
        return {
            (pk, sk): _joined(item, found.get((table, pk, sk + _MARK)))
            for (table, pk, sk), item in found.items()
            if not sk.endswith(_MARK)
        }

    def add_path(self, key: Key, thing: str, received_at: datetime) -> None:
        """The reading came by `thing` as well (C24)."""
        self._mark(key, f"path:{thing}", received_at, unless="attribute_exists(#name)")

    def correct(self, key: Key, measured_at: datetime) -> None:
        """Something told, after the reading was stored, what the device's clock showed then. The first word counts."""
        self._mark(key, "measured_at", measured_at, unless="attribute_exists(#name)")

    def add_context(self, key: Key, context: Mapping[str, str]) -> None:
        """The circumstances of the reading came by themselves."""
        self._mark(key, "context", context, unless="#name = :value")

    def recall(self, key: Key, recall: str) -> None:
        """The reading's device falls under a recall (P8)."""
        self._mark(key, f"recall:{recall}", True, unless="#name = :value")

    def withdraw_recall(self, key: Key, recall: str) -> None:
        """The recall is over: the reading is as if it had never been, also where it was recalled as it came in."""
        self._mark(key, f"recall:{recall}", False, unless="#name = :value")

    def retract(self, key: Key) -> None:
        """The reading is not its subject's: it was entered in error (R77)."""
        self._mark(key, "entered_in_error", True, unless="#name = :value")

    def reinstate(self, key: Key) -> None:
        """The reading is its subject's after all: it is as if that had never been said."""
        self._mark(key, "entered_in_error", False, unless="#name = :value")

    def _mark(self, key: Key, name: str, value: Any, *, unless: str) -> None:
        """Say it once: what is there already makes no new version, so nothing is exported twice."""
        expires_at = datetime.fromisoformat(key[1].split("#")[1]) + self.kept_for
        self._update(
            key,
            UpdateExpression="SET #name = :value, expires_at = :expires_at ADD version :one",
            ConditionExpression=f"NOT ({unless})",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={
                ":value": encode(value),
                ":expires_at": encode(int(expires_at.timestamp())),
                ":one": encode(1),
            },
        )

    def _update(self, key: Key, **change: Any) -> None:
        pk, sk = key
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(TableName=self.table, Key={"pk": encode(pk), "sk": encode(sk + _MARK)}, **change)

    def span(
        self, organisation: str, subject: str, from_at: datetime | None, to_at: datetime | None
    ) -> Iterator[tuple[Key, Observation]]:
        """All of a subject in that span of its devices' times (`from_at` inclusive, `to_at` exclusive), as marked."""
        cursor = None
        while True:
            page = self.recent(organisation, subject, from_at=from_at, to_at=to_at, cursor=cursor, limit=_ROWS_A_PAGE)
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def of_record(self, organisation: str, subject: str, device: str, record: int, *, near: datetime) -> Key | None:
        """The key of the glucose reading to which the device gave that number, the one measured nearest to `near`."""
        for span in _SPANS:
            low, high = (_moment(near - span), _moment(near + span)) if span else ("", _AFTER)
            found = query(
                self.client,
                TableName=self.table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
                FilterExpression="#record = :record AND device = :device",
                ExpressionAttributeNames={"#record": "record"},
                ExpressionAttributeValues={
                    ":pk": {"S": f"{organisation}#{subject}"},
                    ":low": {"S": f"glucose#{low}"},
                    ":high": {"S": f"glucose#{high}"},
                    ":record": encode(record),
                    ":device": {"S": device},
                },
            )
            nearest = min(found, key=lambda item: abs(datetime.fromisoformat(item["measured_at"]) - near), default=None)
            if nearest is not None:
                return nearest["pk"], nearest["sk"]
        return None

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
            rows = query_encoded(
                self.client,
                TableName=self.table,
                ConsistentRead=True,
                ScanIndexForward=False,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
                FilterExpression=f"id IN ({', '.join(names)}) OR attribute_not_exists(id)",  # marks have none
                ExpressionAttributeValues={
                    ":pk": {"S": f"{organisation}#{subject}"},
                    ":low": {"S": f"{kind}#{low}"},
                    ":high": {"S": f"{kind}#{high}"},
                }
                | names,
            )
            found |= {row["id"]["S"]: _joined(row, mark) for row, mark in _with_marks(rows)}
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
        found: list[tuple[AttributeValues, AttributeValues | None]] = []
        for one in [kind] if kind else KINDS:
            low = f"{one}#{_moment(from_at) if from_at else ''}"
            high = f"{one}#{before or (_moment(to_at) if to_at else _AFTER)}"
            if low <= high:
                found += self._newest(pk, low, high, limit + 2)  # one is the cursor's own, one says that more follow
        left = sorted((one for one in found if before is None or _place(one) < before), key=_place, reverse=True)
        return Page(
            items=[((row["pk"]["S"], row["sk"]["S"]), _joined(row, mark)) for row, mark in left[:limit]],
            next=write_cursor(_place(left[limit - 1])) if len(left) > limit else None,
        )

    def between(
        self,
        organisation: str,
        subject: str,
        *,
        from_at: datetime,
        to_at: datetime,
        most: int,
        kinds: Collection[str] = tuple(KINDS),
    ) -> list[Observation]:
        """All that the device's time puts into a period (both ends inclusive, to the second), in no order of kinds.

        Of a kind with more than `most`, its newest are given.
        """
        pk = f"{organisation}#{subject}"
        found: list[Observation] = []
        for kind in kinds:
            rows = query_encoded(
                self.client,
                TableName=self.table,
                ConsistentRead=True,
                ScanIndexForward=False,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
                ExpressionAttributeValues={
                    ":pk": {"S": pk},
                    ":low": {"S": f"{kind}#{_moment(from_at)}"},
                    ":high": {"S": f"{kind}#{_moment(to_at)}{_AFTER}"},
                },
            )
            found += (_joined(row, mark) for row, mark in islice(_with_marks(rows), most))
        return found

    def _newest(
        self, pk: str, low: str, high: str, limit: int
    ) -> Iterable[tuple[AttributeValues, AttributeValues | None]]:
        found = query_encoded(
            self.client,
            TableName=self.table,
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=limit,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues={":pk": {"S": pk}, ":low": {"S": low}, ":high": {"S": high}},
        )
        return islice(_with_marks(found), limit)


def _with_marks(items: Iterable[AttributeValues]) -> Iterator[tuple[AttributeValues, AttributeValues | None]]:
    """Rows, newest first, each with the mark that stands after it in the table and so came before it."""
    mark: AttributeValues | None = None
    for item in items:
        if item["sk"]["S"].endswith(_MARK):
            mark = item
        else:
            yield item, mark if mark is not None and mark["sk"]["S"] == item["sk"]["S"] + _MARK else None


def _joined(row: AttributeValues, mark: AttributeValues | None) -> Observation:
    one = to_observation(row)
    return one if mark is None else marked(one, to_marks(decode_item(mark)))


def _place(one: tuple[AttributeValues, AttributeValues | None]) -> str:
    """Where a row stands among the subject's rows of all kinds: its time and id."""
    return str(one[0]["sk"]["S"]).partition("#")[2]
