"""Table `alerts`: where each subject's episodes stand, the alerts that people and hospitals see, and whom to tell.

| pk | sk | item |
|---|---|---|
| `{org}#{subject}` | `state` | the engine's state as JSON, and the version on which every write is conditioned |
| `{org}#{subject}` | `alert#{alert id}` | the newest version of an alert |
| `{org}#{subject}` | `outbox#{alert id}#{alert version}` | whom to tell of a version, and who has been (`told`) |
| `{org}#{subject}` | `consent` | what hospitals are told of the consent (adapters/consent.py) |

An index `by-id` finds an alert by its own id (`queue` = `{org}#open` or `{org}#over`, `id`), and all open ones of an
organisation.

The three are written in one transaction or not at all, so no alert is without its notification (R52), and with them
what was decided (adapters/decisions.py).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from adapters.care_plans import to_versions
from adapters.consent import to_consent
from adapters.cursor import read_cursor, write_cursor
from adapters.decisions import Decisions
from adapters.dynamodb import (
    AttributeValues,
    Item,
    batch_get,
    batch_get_encoded,
    decode_item,
    encode_item,
    query,
    transact,
)
from adapters.registry import ATTENDED, norm_key, to_attended
from domain.alert import Acknowledged, Alert, Monitored, State, dump, load
from domain.decisions import Judged
from domain.enrolment import ConsentTold
from domain.notification import Notice
from domain.plan_language import RANK

Key: TypeAlias = tuple[str, str]
Who: TypeAlias = tuple[str, str]
"""`(organisation, subject)`."""

_NOTHING = State()
_ALERT = "alert#"
_OUTBOX = "outbox#"
_READ = ("version", "state", "versions", *ATTENDED)
_PLACE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00#[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page:
    """Alerts, newest first by when they were raised. `next` is an opaque cursor, None at the end."""

    items: list[Alert]
    next: str | None


def state_key(organisation: str, subject: str) -> Key:
    return f"{organisation}#{subject}", "state"


def alert_key(organisation: str, subject: str, alert: str) -> Key:
    return f"{organisation}#{subject}", f"{_ALERT}{alert}"


def outbox_key(organisation: str, subject: str, alert: str, version: int) -> Key:
    return f"{organisation}#{subject}", f"{_OUTBOX}{alert}#{version}"


def to_item(alert: Alert) -> Item:
    pk, sk = alert_key(alert.organisation, alert.subject, alert.id)
    return {
        "pk": pk,
        "sk": sk,
        "queue": _queue(alert.organisation, is_open=alert.state != "resolved"),
        "id": alert.id,
        "version": alert.version,
        "organisation": alert.organisation,
        "subject": alert.subject,
        "rule": alert.rule,
        "kind": alert.kind,
        "value": alert.value,
        "family": alert.family,
        "severity": alert.severity,
        "category": alert.category,
        "state": alert.state,
        "outcome": alert.outcome,
        "raised_at": alert.raised_at,
        "resolved_at": alert.resolved_at,
        "observation": alert.observation,
        "observations": alert.observations,
        "plan_version": alert.plan_version,
        "worse_since": alert.worse_since,
        "acknowledged": None
        if alert.acknowledged is None
        else {
            "actor": alert.acknowledged.actor,
            "version": alert.acknowledged.version,
            "at": alert.acknowledged.at.isoformat(),
        },
        "snoozed_until": alert.snoozed_until,
        "resolved_by": alert.resolved_by,
    }


def _queue(organisation: str, *, is_open: bool) -> str:
    return f"{organisation}#{'open' if is_open else 'over'}"


def to_alert(item: Mapping[str, Any]) -> Alert:
    """The alert of an item in plain Python (as batch_get, query and decode_item give it)."""
    taken = item["acknowledged"]
    return Alert(
        id=item["id"],
        version=int(item["version"]),
        organisation=item["organisation"],
        subject=item["subject"],
        rule=item["rule"],
        kind=item["kind"],
        value=item["value"],
        family=item["family"],
        severity=item["severity"],
        category=item["category"],
        state=item["state"],
        outcome=item["outcome"],
        raised_at=datetime.fromisoformat(item["raised_at"]),
        resolved_at=_time(item["resolved_at"]),
        observation=item["observation"],
        observations=tuple(item["observations"]),
        plan_version=item["plan_version"],
        worse_since=int(item["worse_since"]),
        acknowledged=taken and Acknowledged(taken["actor"], int(taken["version"]), datetime.fromisoformat(taken["at"])),
        snoozed_until=_time(item["snoozed_until"]),
        resolved_by=item["resolved_by"],
    )


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def is_new_version(record: Mapping[str, Any]) -> bool:
    """True for a record of the table's stream that brings a new version of an alert."""
    keys = record["dynamodb"]["Keys"]
    return bool(record["eventName"] in ("INSERT", "MODIFY") and keys["sk"]["S"].startswith(_ALERT))


def from_record(record: Mapping[str, Any]) -> tuple[Key, Alert]:
    """The alert that a stream record brings, with its key."""
    item = decode_item(record["dynamodb"]["NewImage"])
    return (item["pk"], item["sk"]), to_alert(item)


def is_new_notice(record: Mapping[str, Any]) -> bool:
    """True for a record of the table's stream that brings a new row of the outbox."""
    return bool(record["eventName"] == "INSERT" and record["dynamodb"]["Keys"]["sk"]["S"].startswith(_OUTBOX))


def to_notice(record: Mapping[str, Any]) -> Notice:
    """Whom to tell what, as a row of the outbox in the stream has it."""
    item = decode_item(record["dynamodb"]["NewImage"])
    return Notice(
        organisation=item["organisation"],
        subject=item["subject"],
        alert=item["alert"],
        version=int(item["version"]),
        severity=item["severity"],
        roles=tuple(item["roles"]),
        step=item["step"],
        received_at=datetime.fromisoformat(item["received_at"]),
    )


@dataclass(frozen=True)
class Episodes:
    """What evaluate reads and writes: all of a batch's subjects in one read, each subject in one transaction."""

    client: Any
    table: str
    registry: str
    decisions: Decisions

    def read(self, subjects: Iterable[Who]) -> dict[Who, Monitored]:
        """What is known of each of `subjects`, read consistently. One that nobody enrolled has `subject` None."""
        keys = {who: (norm_key(*who), state_key(*who)) for who in subjects}
        found = batch_get_encoded(
            self.client,
            {self.registry: [norm for norm, _ in keys.values()], self.table: [state for _, state in keys.values()]},
            attributes=_READ,
        )
        return {
            who: _monitored(found.get((self.registry, of, norm)), found.get((self.table, by, state)))
            for who, ((of, norm), (by, state)) in keys.items()
        }

    def write(
        self,
        who: Who,
        state: State,
        alerts: Sequence[Alert],
        judged: Sequence[Judged] = (),
        *,
        after: int,
        now: datetime,
        received_at: datetime,
    ) -> None:
        """Write `state` as version `after + 1` with the newest version of each alert and an order for each one told.

        `judged` are the decisions on the readings that led to it, as far as they are kept.

        `received_at` is the arrival of the reading that caused it. Raises LostRace when the state is no longer at
        version `after`.
        """
        organisation, subject = who
        pk, sk = state_key(organisation, subject)
        puts = [to_item(alert) for alert in {alert.id: alert for alert in alerts}.values()]
        puts += [_notice(alert, now, received_at) for alert in alerts if alert.told]
        transact(
            self.client,
            [
                {
                    "Put": {
                        "TableName": self.table,
                        "Item": encode_item({"pk": pk, "sk": sk, "version": after + 1, "state": dump(state)}),
                        "ConditionExpression": "version = :after" if after else "attribute_not_exists(pk)",
                    }
                    | ({"ExpressionAttributeValues": {":after": {"N": str(after)}}} if after else {})
                },
                *({"Put": {"TableName": self.table, "Item": encode_item(item)}} for item in puts),
                *self.decisions.keeping(organisation, subject, judged),
            ],
        )

    def keep(self, who: Who, judged: Sequence[Judged]) -> None:
        """Keep decisions that changed no state. Raises LostRace when another writer is at the same ones."""
        self.decisions.keep(*who, judged)


def _monitored(norm: AttributeValues | None, state: AttributeValues | None) -> Monitored:
    return Monitored(
        None if norm is None else to_attended(norm),
        () if norm is None else to_versions(norm),
        _NOTHING if state is None else load(state["state"]["S"]),
        0 if state is None else int(state["version"]["N"]),
    )


def _notice(alert: Alert, now: datetime, received_at: datetime) -> Item:
    pk, sk = outbox_key(alert.organisation, alert.subject, alert.id, alert.version)
    return {
        "pk": pk,
        "sk": sk,
        "organisation": alert.organisation,
        "subject": alert.subject,
        "alert": alert.id,
        "version": alert.version,
        "severity": alert.severity,
        "step": alert.told,
        "roles": alert.tell,
        "created_at": now,
        "received_at": received_at,
        "told": {},
    }


@dataclass(frozen=True)
class Alerts:
    """What the API and export read of alerts."""

    client: Any
    table: str

    def get(self, keys: Iterable[Key]) -> dict[Key, Alert]:
        """`{(pk, sk): Alert}` of those that are present, read consistently."""
        found = batch_get(self.client, {self.table: keys})
        return {(pk, sk): to_alert(item) for (_, pk, sk), item in found.items()}

    def consents(self, keys: Iterable[Key]) -> dict[Key, ConsentTold]:
        """The same of what is told of consents."""
        found = batch_get(self.client, {self.table: keys})
        return {(pk, sk): to_consent(item) for (_, pk, sk), item in found.items()}

    def of_subject(
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
        """A page of a subject's alerts, newest first by `raised_at` (`from_at` inclusive, `to_at` exclusive).

        Raises InvalidRequest for a cursor that is none.
        """
        before = read_cursor(cursor, _PLACE)
        alerts = (
            to_alert(item)
            for item in query(
                self.client,
                TableName=self.table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :alert)",
                ExpressionAttributeValues={
                    ":pk": {"S": state_key(organisation, subject)[0]},
                    ":alert": {"S": _ALERT},
                },
            )
        )
        wanted = [
            alert
            for alert in alerts
            if (kind is None or alert.kind == kind)
            and (from_at is None or alert.raised_at >= from_at)
            and (to_at is None or alert.raised_at < to_at)
            and (before is None or _place(alert) < before)
        ]
        wanted.sort(key=_place, reverse=True)
        return Page(wanted[:limit], write_cursor(_place(wanted[limit - 1])) if len(wanted) > limit else None)


@dataclass(frozen=True)
class DutyQueue:
    """Alerts by their own id, and those that are open, as the duty centre works through them."""

    client: Any
    table: str

    def find(self, organisation: str, alert: str) -> Alert | None:
        """The newest version. One that was raised this very moment may not be found yet."""
        for is_open in (True, False):
            for item in self._named(organisation, is_open=is_open, id_=alert):
                key = item["pk"], item["sk"]
                return Alerts(self.client, self.table).get([key]).get(key)
        return None

    def open(
        self, organisation: str, *, severity: str | None = None, cursor: str | None = None, limit: int = 100
    ) -> Page:
        """A page of the open alerts, the most severe first, of these the oldest. Raises InvalidRequest."""
        after = read_cursor(cursor, _TURN)
        turns = {_turn(item): (item["pk"], item["sk"]) for item in self._named(organisation, is_open=True)}
        wanted = sorted(
            turn
            for turn in turns
            if (severity is None or turn.startswith(f"{_LAST - RANK[severity]}#")) and (after is None or after < turn)
        )
        page = wanted[:limit]
        found = Alerts(self.client, self.table).get([turns[turn] for turn in page])
        alerts = [found[turns[turn]] for turn in page if turns[turn] in found]
        following = write_cursor(page[-1]) if len(wanted) > limit else None
        return Page([one for one in alerts if one.state != "resolved"], following)

    def _named(self, organisation: str, *, is_open: bool, id_: str | None = None) -> Iterable[Item]:
        named = {} if id_ is None else {":id": {"S": id_}}
        return query(
            self.client,
            TableName=self.table,
            IndexName="by-id",
            KeyConditionExpression="queue = :queue" + (" AND id = :id" if named else ""),
            ExpressionAttributeValues={":queue": {"S": _queue(organisation, is_open=is_open)}, **named},
        )


_LAST = max(RANK.values())
_TURN = re.compile(r"\d#\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00#[\w-]+", re.ASCII)


def _turn(item: Item) -> str:
    """Where an open alert stands in the queue: by severity, then by when it was raised."""
    raised_at = datetime.fromisoformat(item["raised_at"]).astimezone(UTC).isoformat(timespec="microseconds")
    return f"{_LAST - RANK[item['severity']]}#{raised_at}#{item['id']}"


def _place(alert: Alert) -> str:
    """Where an alert stands among the subject's: its moment in UTC, which sorts as text, and its id."""
    return f"{alert.raised_at.astimezone(UTC).isoformat(timespec='microseconds')}#{alert.id}"
