"""Export: what changed is put into numbered lanes (`Collect`), and each lane is sent in order (`Send`).

A stream's batch that is tried again puts the same references into a second number; that is harmless, because a
delivery puts each resource under its own id, any number of times.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, Protocol, TypeAlias
from zoneinfo import ZoneInfo

from domain.delivery import (
    DERIVED_A_ROW,
    REFERENCES_A_ROW,
    TIMEOUT,
    Again,
    Answer,
    Attempt,
    Content,
    Gone,
    Lane,
    Parcel,
    Progress,
    Received,
    Reference,
    Row,
    Step,
    TooBig,
    follows,
    lane,
    may_leave,
    next_step,
    parcel,
    split,
    wants,
    window,
)
from domain.derived import FORMS
from domain.enrolment import ConsentTold, Device, Endpoint, Subject
from domain.errors import LostRace
from domain.rendering import Alerts, Observations, render
from domain.summary import closed, derived_from, touched, weeks_since

Key: TypeAlias = tuple[str, str]
Clock: TypeAlias = Callable[[], datetime]

_TRIES = 5  # to append to a lane that others append to at the same time
_ROWS_A_READ = 10
_ATTEMPT = TIMEOUT + timedelta(seconds=3)  # one try with its reads and writes


class Log(Protocol):
    """The lanes' numbered logs (adapters/deliveries.py says what each does)."""

    def progress(self, lane: Lane) -> Progress: ...
    def append(
        self,
        lane: Lane,
        references: Sequence[Reference],
        *,
        seen: Progress,
        rung_at: datetime,
        behind: bool,
        now: datetime,
    ) -> int: ...
    def take(self, lane: Lane, owner: str, *, now: datetime, until: datetime) -> Progress | None: ...
    def advance(self, lane: Lane, owner: str, number: int) -> Progress: ...
    def postpone(
        self, lane: Lane, owner: str, *, failures: int, next_attempt_at: datetime, suspended_at: datetime | None
    ) -> None: ...
    def release(self, lane: Lane, owner: str) -> Progress: ...
    def rows(self, lane: Lane, *, after: int, limit: int) -> list[Row]: ...
    def record(self, attempts: Iterable[Attempt]) -> None: ...


class Bell(Protocol):
    def ring(self, lane: Lane, after: timedelta = ...) -> None: ...


class Registry(Protocol):
    def endpoints(self, organisation: str) -> list[Endpoint]: ...
    def subjects(self, keys: Iterable[Key]) -> dict[Key, Subject]: ...
    def devices(self, keys: Iterable[Key]) -> dict[Key, Device]: ...


class Switch(Protocol):
    def disable(self, organisation: str, endpoint: str) -> None: ...


class Notes(Protocol):
    def told(self, organisation: str, subject: str, last: date) -> None: ...


class Secrets(Protocol):
    def signing(self, name: str, now: datetime) -> list[str]: ...


class Courier(Protocol):
    def post(
        self, url: str, secrets: Sequence[str], parcel: Parcel, document: Mapping[str, Any], *, at: datetime
    ) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Change:
    """A row of a stream that may leave. `sequence` is the record's number; `moments` are when the reading was measured,
    or was taken to be until it was corrected: what was derived of those times is worked out again. `consent` is what is
    told of a consent, which leaves whether or not it is in force."""

    sequence: str
    content: Content
    organisation: str
    subject: str
    kind: str
    reference: Reference
    moments: tuple[datetime, ...] = ()
    consent: ConsentTold | None = None


@dataclass
class Outcome:
    """`counts` are for the log; `to_retry` are the sequence numbers of the records to bring again."""

    counts: Counter[str] = field(default_factory=Counter)
    to_retry: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Collect:
    """Changes -> one row in each lane that they belong to -> a doorbell.

    With a reading goes what is derived of weeks that are over: of the week that it is the first to follow, and of each
    that it came too late for. Only when both are in the lanes is the week noted as told.
    """

    log: Log
    bell: Bell
    registry: Registry
    notes: Notes
    clock: Clock

    def __call__(self, changes: Sequence[Change]) -> Outcome:
        outcome = Outcome(Counter(changes=len(changes)))
        subjects = self.registry.subjects({(change.organisation, change.subject) for change in changes})
        weeks = _weeks(changes, subjects, self.clock())
        for target, (endpoint, content, chosen) in self._lanes([*changes, *weeks.changes], subjects).items():
            try:
                for references in _rows(chosen):
                    self._append(target, endpoint, content, references)
                    outcome.counts["rows"] += 1
            except LostRace:
                outcome.counts["lost_races"] += 1
                outcome.to_retry += [change.sequence for change in chosen]
        if not outcome.to_retry:
            for (organisation, subject), last in weeks.over.items():
                self.notes.told(organisation, subject, last)
        return outcome

    def _lanes(
        self, changes: Sequence[Change], subjects: Mapping[Key, Subject]
    ) -> dict[Lane, tuple[Endpoint, Content, list[Change]]]:
        """Which changes go into which lane. A disabled endpoint's log goes on: enabled again, it has missed nothing."""
        endpoints = {one: self.registry.endpoints(one) for one in {change.organisation for change in changes}}
        lanes: dict[Lane, tuple[Endpoint, Content, list[Change]]] = {}
        for change in changes:
            subject = subjects.get((change.organisation, change.subject))
            for endpoint in endpoints[change.organisation]:
                if _goes(change, subject, endpoint):
                    target = lane(endpoint, change.content, change.subject)
                    lanes.setdefault(target, (endpoint, change.content, []))[2].append(change)
        return lanes

    def _append(self, target: Lane, endpoint: Endpoint, content: Content, references: Sequence[Reference]) -> None:
        """Append and see to it that somebody will come for it, whatever crashes in between.

        Alerts: append, then ring; a crash between the two brings the batch again. Observations: the first row of a
        window rings, with the window's delay and *before* it is appended (or a batch that comes again would find the
        window open and not ring); the others are written only while an earlier row is still to be sent for.
        """
        wait = window(endpoint, content)
        for _ in range(_TRIES):
            now = self.clock()
            seen = self.log.progress(target)
            behind = bool(wait) and seen.wakes(now, wait)
            rung_at = seen.rung_at if behind and seen.rung_at is not None else now
            if wait and not behind:
                self.bell.ring(target, wait)
            try:
                self.log.append(target, references, seen=seen, rung_at=rung_at, behind=behind, now=now)
            except LostRace:
                continue
            if not wait or (
                not behind and self.clock() >= now + wait
            ):  # the bell may have rung before the row was there
                self.bell.ring(target)
            return
        raise LostRace("others kept appending to the lane")


def _goes(change: Change, subject: Subject | None, endpoint: Endpoint) -> bool:
    """Whoever was ever told of a subject is told that its consent has ended, and nothing more (P5)."""
    if change.consent is not None:
        return follows(endpoint, change.consent.programmes)
    return subject is not None and may_leave(subject) and wants(endpoint, subject, change.kind)


class _Weeks(NamedTuple):
    """What is to be told of weeks that are over, and up to when each subject's then are told."""

    changes: list[Change]
    over: dict[Key, date]


def _weeks(changes: Sequence[Change], subjects: Mapping[Key, Subject], now: datetime) -> _Weeks:
    found = _Weeks([], {})
    newest: dict[Key, date] = {}
    for change in changes:
        key = change.organisation, change.subject
        subject = subjects.get(key)
        if subject is None or not change.moments or not may_leave(subject):
            continue
        if key not in newest:
            newest[key] = closed(subject, now)
            if subject.told_to is None or subject.told_to < newest[key]:
                found.over[key] = newest[key]
                for last in weeks_since(subject, newest[key]):
                    found.changes.extend(_of_week(change, kind, last) for kind in FORMS)
        zone = ZoneInfo(subject.time_zone)
        for day in {moment.astimezone(zone).date() for moment in change.moments}:
            if day <= newest[key]:
                for kind in derived_from(change.kind):
                    found.changes.extend(_of_week(change, kind, last) for last in touched(kind, day, newest[key]))
    return found


def _of_week(change: Change, kind: str, last: date) -> Change:
    reference = Reference("derived", f"{change.organisation}#{change.subject}", f"{kind}#{last.isoformat()}")
    return replace(change, kind=FORMS[kind].of or kind, reference=reference)


def _rows(chosen: Sequence[Change]) -> Iterator[list[Reference]]:
    """What each delivery names, in the stream's order and once; derived values, few at a time, after the readings."""
    references = dict.fromkeys(change.reference for change in chosen)
    for derived, most in (False, REFERENCES_A_ROW), (True, DERIVED_A_ROW):
        some = [one for one in references if (one.type == "derived") is derived]
        yield from (some[start : start + most] for start in range(0, len(some), most))


@dataclass(frozen=True)
class Send:
    """A doorbell -> the lane's rows, one at a time, in order, until all are received or one is not."""

    log: Log
    bell: Bell
    registry: Registry
    switch: Switch
    observations: Observations
    alerts: Alerts
    secrets: Secrets
    courier: Courier
    clock: Clock
    jitter: Callable[[], float]

    def __call__(self, target: Lane, *, owner: str, deadline: datetime) -> Outcome:
        """Send what the lane holds until `deadline`, when this process may be stopped.

        A doorbell for a lane that another sender holds, or that waits for its next try, is dropped: that sender looks
        again when it gives the lane back, and a wait has its own doorbell. The lease lasts for as long as this
        process can, so two never send at once.
        """
        outcome = Outcome()
        endpoint = self._endpoint(target)
        if endpoint is None:
            outcome.counts["no_endpoint"] += 1
            return outcome
        progress = self.log.take(target, owner, now=self.clock(), until=deadline)
        if progress is None:
            outcome.counts["nothing_to_do"] += 1
            return outcome
        visit = _Visit(target, endpoint, owner, deadline, outcome, progress.replayed_to)
        try:
            self._drain(visit, progress)
        except LostRace:
            outcome.counts["lost_leases"] += 1
        self.log.record(visit.attempts)
        outcome.counts["attempts"] += len(visit.attempts)
        return outcome

    def _endpoint(self, target: Lane) -> Endpoint | None:
        for endpoint in self.registry.endpoints(target.organisation):
            if endpoint.id == target.endpoint and endpoint.state == "enabled":
                return endpoint
        return None

    def _drain(self, visit: "_Visit", progress: Progress) -> None:
        rows: dict[int, Row] = {}
        while progress.cursor < progress.next and visit.has_time(self.clock()):
            number = progress.cursor + 1
            if number not in rows:
                found = self.log.rows(visit.lane, after=progress.cursor, limit=_ROWS_A_READ)
                rows = {row.number: row for row in found}
            row = rows.get(number, Row(number, ()))  # one that expired keeps its number, without content
            step = self._deliver(visit, row, progress.failures)
            if isinstance(step, Received):
                progress = self.log.advance(visit.lane, visit.owner, number)
                visit.outcome.counts["received"] += 1
            elif isinstance(step, Gone):
                self.switch.disable(visit.lane.organisation, visit.lane.endpoint)
                self.log.release(visit.lane, visit.owner)
                visit.outcome.counts["disabled"] += 1
                return
            else:
                self._postpone(visit, step, progress.failures + 1)
                return
        progress = self.log.release(visit.lane, visit.owner)
        if progress.cursor < progress.next:  # out of time, or rows came while their doorbells found the lane taken
            self.bell.ring(visit.lane)
            visit.outcome.counts["rung_again"] += 1

    def _postpone(self, visit: "_Visit", step: Again, failures: int) -> None:
        now = self.clock()
        self.log.postpone(
            visit.lane,
            visit.owner,
            failures=failures,
            next_attempt_at=now + step.wait,
            suspended_at=now if step.suspended else None,
        )
        self.bell.ring(visit.lane, step.wait)
        visit.outcome.counts["suspended" if step.suspended else "postponed"] += 1

    def _deliver(self, visit: "_Visit", row: Row, failures: int) -> Received | Gone | Again:
        """One number, in as many parts as the receiver needs."""
        parts = 1
        while True:
            step = self._try(visit, row, parts, failures)
            if not isinstance(step, TooBig):
                return step
            parts = step.parts

    def _try(self, visit: "_Visit", row: Row, parts: int, failures: int) -> Step:
        """All `parts` of a number in order, up to the first that is not received."""
        for part, references in enumerate(split(row.references, parts), start=1):
            now = self.clock()
            if parts > 1 and not visit.has_time(now):
                return Again(timedelta(), suspended=False)
            sent = parcel(visit.lane, row.number, part, parts, replay=row.number <= visit.replayed_to)
            secrets = self.secrets.signing(visit.endpoint.secret, now)
            answer = self.courier.post(
                visit.endpoint.url,
                secrets,
                sent,
                render(references, registry=self.registry, observations=self.observations, alerts=self.alerts),
                at=now,
            )
            visit.attempts.append(Attempt(sent.id, now, visit.lane, row.number, answer.status, answer.ms, answer.error))
            step = next_step(
                answer,
                failures=failures,
                references=len(row.references),
                parts=parts,
                now=self.clock(),
                jitter=self.jitter(),
            )
            if not isinstance(step, Received):
                return step
        return Received()


@dataclass(frozen=True)
class _Visit:
    """One sender's time with one lane."""

    lane: Lane
    endpoint: Endpoint
    owner: str
    deadline: datetime
    outcome: Outcome
    replayed_to: int
    attempts: list[Attempt] = field(default_factory=list)

    def has_time(self, now: datetime) -> bool:
        """True when one more try is sure to end before the process may."""
        return now + _ATTEMPT <= self.deadline
