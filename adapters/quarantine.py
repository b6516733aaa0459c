"""Table `quarantine`: what was refused, with its reason; found by id, or newest first over an organisation's shelves.

| pk | sk | item |
|---|---|---|
| `{org}#{id}` | `reading` | a refused reading, or a message that could not be read |

Index `by-time`: `shelf` = `{org}#{first digit of id}` (16 of them, so that no key is hot), `shelved` = time and id.
Index `by-carrier`: `carrier` = `{org}#{thing}`, `shelved`.
"""

import re
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeAlias

from adapters.cursor import read_cursor, write_cursor
from adapters.dynamodb import Item, batch_get, batch_put, encode, query
from domain.quarantine import SetAside

Key: TypeAlias = tuple[str, str]

_INDEX = "by-time"
_BY_CARRIER = "by-carrier"
_SHELVES = "0123456789abcdef"
_PLACE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z#[0-9a-f-]{36}", re.ASCII)
_OPTIONAL = ("device", "subject", "profile", "device_time", "kind", "sha256")


@dataclass(frozen=True, slots=True)
class QuarantinePage:
    """Refused readings, newest first. `next` is an opaque cursor, None at the end."""

    items: list[SetAside]
    next: str | None


def quarantine_key(organisation: str, identifier: str) -> Key:
    return f"{organisation}#{identifier}", "reading"


def to_item(one: SetAside, *, expires_at: datetime) -> Item:
    pk, sk = quarantine_key(one.organisation, one.id)
    item: Item = {
        "pk": pk,
        "sk": sk,
        "id": one.id,
        "organisation": one.organisation,
        "reason": one.reason,
        "detail": one.detail,
        "thing": one.thing,
        "topic": one.topic,
        "received_at": one.received_at,
        "shelf": f"{one.organisation}#{one.id[0]}",
        "shelved": f"{_moment(one.received_at)}#{one.id}",
        "carrier": f"{one.organisation}#{one.thing}",
        "expires_at": int(expires_at.timestamp()),
    }
    if one.payload is not None:
        item["payload"] = b64encode(one.payload).decode()
    return item | {name: value for name in _OPTIONAL if (value := getattr(one, name)) is not None}


def to_set_aside(item: Item) -> SetAside:
    payload = item.get("payload")
    return SetAside(
        id=item["id"],
        organisation=item["organisation"],
        reason=item["reason"],
        detail=item["detail"],
        thing=item["thing"],
        device=item.get("device"),
        profile=item.get("profile"),
        subject=item.get("subject"),
        topic=item["topic"],
        received_at=datetime.fromisoformat(item["received_at"]),
        payload=None if payload is None else b64decode(payload),
        device_time=item.get("device_time"),
        kind=item.get("kind"),
        sha256=item.get("sha256"),
    )


@dataclass(frozen=True)
class Quarantine:
    """`kept_for` is how long after it arrived."""

    client: Any
    table: str
    kept_for: timedelta = timedelta(days=90)

    def present(self, ones: Iterable[SetAside]) -> set[str]:
        """The ids of those that were set aside before, read consistently."""
        keys = [quarantine_key(one.organisation, one.id) for one in ones]
        return {item["id"] for item in batch_get(self.client, {self.table: keys}, attributes=("id",)).values()}

    def put(self, ones: Iterable[SetAside], *, kept_from: datetime | None = None) -> None:
        """Set readings aside, each id at most once; `kept_from` is for what had been stored since it arrived."""
        items = [to_item(one, expires_at=(kept_from or one.received_at) + self.kept_for) for one in ones]
        batch_put(self.client, self.table, items)

    def remove(self, keys: Iterable[Key]) -> None:
        """Forget those of `(organisation, id)`: their readings were tried again, and are stored now."""
        for organisation, identifier in keys:
            pk, sk = quarantine_key(organisation, identifier)
            self.client.delete_item(TableName=self.table, Key={"pk": encode(pk), "sk": encode(sk)})

    def get(self, organisation: str, identifier: str) -> SetAside | None:
        found = batch_get(self.client, {self.table: [quarantine_key(organisation, identifier)]})
        return next((to_set_aside(item) for item in found.values()), None)

    def carried_by(self, organisation: str, thing: str) -> Iterator[SetAside]:
        """All that was refused of what a thing carried, the oldest first, as it was a moment ago."""
        found = query(
            self.client,
            TableName=self.table,
            IndexName=_BY_CARRIER,
            KeyConditionExpression="carrier = :carrier",
            ExpressionAttributeValues={":carrier": {"S": f"{organisation}#{thing}"}},
        )
        return map(to_set_aside, found)

    def counts(self, organisation: str, *, since: datetime | None = None) -> dict[tuple[str | None, str], int]:
        """`{(profile, reason): how many}` of what is set aside and arrived `since` then: a broken model shows."""
        counted: Counter[tuple[str | None, str]] = Counter()
        for shelf in _SHELVES:
            found = query(
                self.client,
                TableName=self.table,
                IndexName=_INDEX,
                KeyConditionExpression="shelf = :shelf AND shelved >= :since",
                ProjectionExpression="profile, reason",
                ExpressionAttributeValues={
                    ":shelf": {"S": f"{organisation}#{shelf}"},
                    ":since": {"S": _moment(since) if since else " "},
                },
            )
            counted.update((item.get("profile"), item["reason"]) for item in found)
        return dict(counted)

    def newest(
        self,
        organisation: str,
        *,
        reason: str | None = None,
        profile: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> QuarantinePage:
        """A page of what was refused, newest first, for a reason or of a model of device if these are given.

        Raises InvalidRequest for a cursor that is none.
        """
        before = read_cursor(cursor, _PLACE)
        wanted = {name: value for name, value in (("reason", reason), ("profile", profile)) if value is not None}
        found: list[Item] = []
        for shelf in _SHELVES:
            found += self._newest(f"{organisation}#{shelf}", before, limit + 1, wanted)
        found.sort(key=lambda item: str(item["shelved"]), reverse=True)
        return QuarantinePage(
            items=[to_set_aside(item) for item in found[:limit]],
            next=write_cursor(found[limit - 1]["shelved"]) if len(found) > limit else None,
        )

    def _newest(self, shelf: str, before: str | None, limit: int, wanted: Mapping[str, str]) -> Iterable[Item]:
        """As many as `limit`, over as many pages as it takes: one of 1 MB ends after six messages of 128 KB."""
        only = " AND ".join(f"{name} = :{name}" for name in wanted)
        found = query(
            self.client,
            TableName=self.table,
            IndexName=_INDEX,
            ScanIndexForward=False,
            KeyConditionExpression="shelf = :shelf" + (" AND shelved < :before" if before else ""),
            ExpressionAttributeValues={":shelf": {"S": shelf}}
            | ({":before": {"S": before}} if before else {})
            | {f":{name}": {"S": value} for name, value in wanted.items()},
            **({"FilterExpression": only} if only else {"Limit": limit}),
        )
        return islice(found, limit)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
