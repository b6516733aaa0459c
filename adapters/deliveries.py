"""Table `deliveries`: numbered logs of what goes to each endpoint, and what came of each try.

| pk | sk | item |
|---|---|---|
| `{org}#{endpoint}#{lane}` | `lane` | counters, lease, and when to try again |
| `{org}#{endpoint}#{lane}` | `row#{number:012d}` | one delivery: references, no body |
| `{org}#{endpoint}` | `attempt#{at}#{id}` | one try |
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from adapters.cursor import read_cursor, write_cursor
from adapters.dynamodb import Item, batch_put, decode_item, encode, encode_item, query, transact
from domain.delivery import Attempt, Lane, Progress, Reference, Row
from domain.errors import LostRace

_PLACE = re.compile(r"[0-9T:.+-]{20,40}#[\w.-]{1,64}")
_LAST = "\x7f"  # sorts after every place
_NAMES = {"#next": "next", "#cursor": "cursor"}  # both are reserved words


def lane_key(lane: Lane) -> dict[str, str]:
    return {"pk": f"{lane.organisation}#{lane.endpoint}#{lane.name}", "sk": "lane"}


def row_key(lane: Lane, number: int) -> dict[str, str]:
    return lane_key(lane) | {"sk": f"row#{number:012d}"}


def attempts_key(organisation: str, endpoint: str) -> str:
    return f"{organisation}#{endpoint}"


def _instant(at: datetime) -> str:
    """In UTC and of one width, so that strings compare as times do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _time(item: Item, name: str) -> datetime | None:
    return datetime.fromisoformat(item[name]) if name in item else None


def to_progress(item: Item) -> Progress:
    return Progress(
        next=int(item["next"]),
        cursor=int(item["cursor"]),
        failures=int(item["failures"]),
        rung_at=_time(item, "rung_at"),
        next_attempt_at=_time(item, "next_attempt_at"),
        suspended_at=_time(item, "suspended_at"),
        replayed_to=int(item.get("replayed_to", 0)),
    )


def to_row(item: Item) -> Row:
    return Row(
        number=int(item["sk"].removeprefix("row#")),
        references=tuple(Reference(one["type"], one["pk"], one["sk"]) for one in item["refs"]),
    )


def to_attempt(item: Item) -> Attempt:
    organisation, endpoint = item["pk"].split("#")
    return Attempt(
        id=item["id"],
        at=datetime.fromisoformat(item["at"]),
        lane=Lane(organisation, endpoint, item["lane"]),
        number=int(item["number"]),
        status=None if item["status"] is None else int(item["status"]),
        ms=int(item["ms"]),
        error=item["error"],
    )


def _place(one: Attempt) -> str:
    """Where a try stands among those at its endpoint."""
    return f"{_instant(one.at)}#{one.id}"


@dataclass(frozen=True, slots=True)
class AttemptPage:
    """Tries, the newest first. `next` is an opaque cursor, None at the end."""

    items: list[Attempt]
    next: str | None


@dataclass(frozen=True)
class Deliveries:
    """The lanes' logs. `days` is how long rows and attempts are kept."""

    client: Any
    table: str
    days: int

    def progress(self, lane: Lane) -> Progress:
        """Where the lane stands now; all zero for one that has never been written."""
        item = self.client.get_item(TableName=self.table, Key=encode_item(lane_key(lane)), ConsistentRead=True).get(
            "Item"
        )
        return Progress() if item is None else to_progress(decode_item(item))

    def append(
        self,
        lane: Lane,
        references: Sequence[Reference],
        *,
        seen: Progress,
        rung_at: datetime,
        behind: bool,
        now: datetime,
    ) -> int:
        """Give `references` the lane's next number; counter and row are written together or not at all.

        `seen` is what the caller knows of the lane; with `behind` the row is written only while an earlier one is
        still unsent. Returns the number. Raises LostRace when the lane is elsewhere by now.
        """
        number = seen.next + 1
        condition = "#next = :seen" if seen.next else "attribute_not_exists(pk)"
        values = {":number": number, ":zero": 0, ":rung_at": _instant(rung_at)} | (
            {":seen": seen.next} if seen.next else {}
        )
        if behind:
            condition += " AND #cursor < :seen"
        transact(
            self.client,
            [
                {
                    "Update": {
                        "TableName": self.table,
                        "Key": encode_item(lane_key(lane)),
                        "UpdateExpression": "SET #next = :number, rung_at = :rung_at, "
                        "#cursor = if_not_exists(#cursor, :zero), failures = if_not_exists(failures, :zero)",
                        "ConditionExpression": condition,
                        "ExpressionAttributeNames": _NAMES,
                        "ExpressionAttributeValues": encode_item(values),
                    }
                },
                {
                    "Put": {
                        "TableName": self.table,
                        "Item": encode_item(
                            row_key(lane, number)
                            | {
                                "refs": [{"type": one.type, "pk": one.pk, "sk": one.sk} for one in references],
                                "created_at": _instant(now),
                                "expires_at": self._expiry(now),
                            }
                        ),
                    }
                },
            ],
        )
        return number

    def take(self, lane: Lane, owner: str, *, now: datetime, until: datetime) -> Progress | None:
        """Become the lane's one sender until `until`. None when there is nothing to do now: all is sent, another
        sender is at work, or the next try is not due yet."""
        return self._update(
            lane,
            "SET lease_owner = :owner, lease_until = :until",
            "#cursor < #next AND (attribute_not_exists(lease_until) OR lease_until <= :now) "
            "AND (attribute_not_exists(next_attempt_at) OR next_attempt_at <= :soon)",
            {
                ":owner": owner,
                ":until": _instant(until),
                ":now": _instant(now),
                # a queue's delay is in whole seconds and its clock is not ours
                ":soon": _instant(now + timedelta(seconds=1)),
            },
        )

    def advance(self, lane: Lane, owner: str, number: int) -> Progress:
        """Note that `number`, the one after the cursor, was received. Raises LostRace when the lease is lost."""
        return self._held(
            lane,
            "SET #cursor = :number, failures = :zero REMOVE next_attempt_at, suspended_at",
            "lease_owner = :owner AND #cursor = :before",
            {":owner": owner, ":number": number, ":before": number - 1, ":zero": 0},
        )

    def postpone(
        self, lane: Lane, owner: str, *, failures: int, next_attempt_at: datetime, suspended_at: datetime | None
    ) -> None:
        """Note a failed try and give the lease back. Raises LostRace when the lease is lost."""
        values = {":owner": owner, ":failures": failures, ":at": _instant(next_attempt_at)}
        suspension = ""
        if suspended_at is not None:
            suspension = ", suspended_at = if_not_exists(suspended_at, :suspended_at)"
            values[":suspended_at"] = _instant(suspended_at)
        self._held(
            lane,
            f"SET failures = :failures, next_attempt_at = :at{suspension} REMOVE lease_owner, lease_until",
            "lease_owner = :owner",
            values,
        )

    def release(self, lane: Lane, owner: str) -> Progress:
        """Give the lease back; the answer shows rows that came meanwhile. Raises LostRace when it is lost."""
        return self._held(lane, "REMOVE lease_owner, lease_until", "lease_owner = :owner", {":owner": owner})

    def rewind(self, lane: Lane, *, to: int, seen: Progress, now: datetime) -> Progress:
        """Have what was received after number `to` sent once more. Raises LostRace when the lane is elsewhere than
        `seen`, or a sender is at work in it: it would not hear of this before it is done."""
        progress = self._update(
            lane,
            "SET #cursor = :to, replayed_to = :replayed_to, failures = :zero REMOVE next_attempt_at, suspended_at",
            "#cursor = :seen AND (attribute_not_exists(lease_until) OR lease_until <= :now)",
            {
                ":to": to,
                ":replayed_to": max(seen.cursor, seen.replayed_to),
                ":zero": 0,
                ":seen": seen.cursor,
                ":now": _instant(now),
            },
        )
        if progress is None:
            raise LostRace("the lane moved on, or a sender is at work in it")
        return progress

    def rows(self, lane: Lane, *, after: int, limit: int) -> list[Row]:
        """Up to `limit` rows with a number greater than `after`, in their order; those that expired are missing."""
        answer = self.client.query(
            TableName=self.table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": encode(lane_key(lane)["pk"]),
                ":first": encode(row_key(lane, after + 1)["sk"]),
                ":last": encode(row_key(lane, after + limit)["sk"]),
            },
        )
        return [to_row(decode_item(item)) for item in answer["Items"]]

    def record(self, attempts: Iterable[Attempt]) -> None:
        """Keep what came of each try, for the endpoint's owner."""
        batch_put(
            self.client,
            self.table,
            [
                {
                    "pk": attempts_key(one.lane.organisation, one.lane.endpoint),
                    "sk": f"attempt#{_place(one)}",
                    "id": one.id,
                    "at": _instant(one.at),
                    "lane": one.lane.name,
                    "number": one.number,
                    "status": one.status,
                    "ms": one.ms,
                    "error": one.error,
                    "expires_at": self._expiry(one.at),
                }
                for one in attempts
            ],
        )

    def attempts(self, organisation: str, endpoint: str, *, before: str | None = None) -> Iterator[Attempt]:
        """What came of the tries at an endpoint, the newest first; with `before` (a place) those before it."""
        place = f"attempt#{before or _LAST}"
        for item in query(
            self.client,
            TableName=self.table,
            ScanIndexForward=False,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :place",
            ExpressionAttributeValues=encode_item(
                {":pk": attempts_key(organisation, endpoint), ":first": "attempt#", ":place": place}
            ),
        ):
            if item["sk"] != place:
                yield to_attempt(item)

    def recent_attempts(
        self, organisation: str, endpoint: str, *, cursor: str | None = None, limit: int = 100
    ) -> AttemptPage:
        """A page of the tries at an endpoint, the newest first. Raises InvalidRequest for a cursor that is none."""
        before = read_cursor(cursor, _PLACE)
        found = list(islice(self.attempts(organisation, endpoint, before=before), limit + 1))
        more = len(found) > limit
        return AttemptPage(found[:limit], write_cursor(_place(found[limit - 1])) if more else None)

    def _expiry(self, at: datetime) -> int:
        return int((at + timedelta(days=self.days)).timestamp())

    def _held(self, lane: Lane, update: str, condition: str, values: Item) -> Progress:
        progress = self._update(lane, update, condition, values)
        if progress is None:
            raise LostRace("another sender took the lane")
        return progress

    def _update(self, lane: Lane, update: str, condition: str, values: Item) -> Progress | None:
        """The lane after a conditional write; None when the condition did not hold."""
        try:
            answer = self.client.update_item(
                TableName=self.table,
                Key=encode_item(lane_key(lane)),
                UpdateExpression=update,
                ConditionExpression=condition,
                **(
                    {
                        "ExpressionAttributeNames": {
                            name: word for name, word in _NAMES.items() if name in update + condition
                        }
                    }
                    if "#" in update + condition
                    else {}
                ),
                ExpressionAttributeValues=encode_item(values),
                ReturnValues="ALL_NEW",
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return None
        return to_progress(decode_item(answer["Attributes"]))
