"""Ingest: each reading of a batch is stored, set aside with a reason, or a repeat of one that was.

The batch is read at once, judged message by message, and written at once. What is written has a name made from what was
sent, so a batch that is tried again, or sent again, changes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from traceback import extract_tb
from typing import Protocol, TypeAlias

from domain.enrolment import Device, Holder
from domain.identity import Identity
from domain.judgement import Enrolled, Judged, Kept, Opened, judge, open_message, orphan, subjects_to_know
from domain.observation import Known, Observation
from domain.profile import DeviceProfile
from domain.quarantine import NOBODY, SetAside
from domain.reading import Arrival, GlucoseContext, Message, Status
from domain.recall import Recall

Key: TypeAlias = tuple[str, str]

WAIT_FOR_MEASUREMENT = timedelta(minutes=1)
"""How long the circumstances of a measurement wait for it."""

HAND_ON_AFTER = timedelta(minutes=2)
"""What waited longer in the first inbox is a backlog, and goes to the second (R99)."""

RECALLS_KNOWN_FOR = timedelta(seconds=5)
"""A read takes a hundred keys: one more for each batch would be a second call. What is stored in these seconds is
marked with the rest of the past (P8)."""

_NEVER: tuple[datetime, tuple[Recall, ...]] = (datetime.min.replace(tzinfo=UTC), ())

_MOST_REMEMBERED = 100_000

_DEFECTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a fault in our code or catalogue raises: it fails the one message that meets it, never its neighbours (R22)."""


class Registry(Protocol):
    def organisations_of(self, serials: Iterable[str]) -> dict[str, str]: ...
    def devices_and_recalls(
        self, keys: Iterable[Key], organisations: Iterable[str]
    ) -> tuple[dict[Key, Device], dict[str, tuple[Recall, ...]]]: ...
    def holders(self, keys: Iterable[Key]) -> dict[Key, Holder]: ...


class Observations(Protocol):
    def key(self, identity: Identity) -> Key: ...
    def present(self, keys: Iterable[Key]) -> dict[Key, Known]: ...
    def put(self, rows: Iterable[tuple[Key, Observation]]) -> None: ...
    def add_path(self, key: Key, thing: str, received_at: datetime) -> None: ...
    def correct(self, key: Key, measured_at: datetime) -> None: ...
    def add_context(self, key: Key, context: Mapping[str, str]) -> None: ...
    def of_record(self, organisation: str, subject: str, device: str, record: int, *, near: datetime) -> Key | None: ...


class Quarantine(Protocol):
    def present(self, ones: Iterable[SetAside]) -> set[str]: ...
    def put(self, ones: Iterable[SetAside]) -> None: ...
    def remove(self, keys: Iterable[Key]) -> None: ...


class Archive(Protocol):
    def put(self, parts: Iterable[tuple[str, Kept]]) -> None: ...


class Backlog(Protocol):
    def put(self, arrivals: Sequence[Arrival], *, after: timedelta = ...) -> set[str]: ...


class DeviceStatus(Protocol):
    def tell(self, organisation: str, serial: str, status: Status) -> None: ...


@dataclass
class Outcome:
    """`counts` and `reasons` are for the log; `failed` says of each message to be tried again what it met."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

    def fail(self, arrival: Arrival, defect: Exception) -> None:
        """This one message met a defect."""
        where = extract_tb(defect.__traceback__)[-1]
        self.failed[arrival.id] = f"{type(defect).__name__} at {Path(where.filename).name}:{where.lineno}"


@dataclass(frozen=True)
class Ingest:
    """The use case over its ports. Observations are kept for `kept_for`: what is older is refused."""

    registry: Registry
    observations: Observations
    quarantine: Quarantine
    archive: Archive
    backlog: Backlog
    status: DeviceStatus
    profiles: Mapping[str, DeviceProfile]
    kept_for: timedelta
    remembered: dict[str, str] = field(default_factory=dict)
    """Serials and their organisations: a serial belongs for ever to the one that enrolled it first."""
    recalls: dict[str, tuple[datetime, tuple[Recall, ...]]] = field(default_factory=dict)
    """Those in force in each organisation, and when that was read."""

    def __call__(self, arrivals: Sequence[Arrival], *, now: datetime, first_inbox: bool) -> Outcome:
        """Judge and keep `arrivals`; of the first inbox, hand on unread what waited too long."""
        outcome = Outcome(Counter(messages=len(arrivals)))
        late = [one for one in arrivals if first_inbox and now - one.received_at > HAND_ON_AFTER]
        if late:
            outcome.failed |= dict.fromkeys(self.backlog.put(late), "the second inbox did not take it")
            outcome.counts["handed_on"] = len(late) - len(outcome.failed)
        handed_on = {one.id for one in late}
        here = [one for one in arrivals if one.id not in handed_on]
        self._keep(self._judge(here, outcome, now), outcome, first_inbox=first_inbox)
        outcome.counts["failed"] = len(outcome.failed)
        return outcome

    def _judge(self, arrivals: Sequence[Arrival], outcome: Outcome, now: datetime) -> list[Judged]:
        """What became of each message that met no defect."""
        messages = self._with_devices([open_message(one, self.profiles) for one in arrivals], now)
        named: list[tuple[Opened, Enrolled, set[Key]]] = []
        for opened, enrolled in messages:
            try:
                who = subjects_to_know(opened, enrolled, self.profiles)
                named.append((opened, enrolled, {(enrolled.organisation or NOBODY, one) for one in who}))
            except _DEFECTS as defect:
                outcome.fail(opened.arrival, defect)
        holders = self.registry.holders({key for _, _, keys in named for key in keys})
        judged = []
        for opened, enrolled, keys in named:
            theirs = {key[1]: holders[key] for key in keys if key in holders}
            try:
                judged.append(judge(opened, enrolled, theirs, profiles=self.profiles, kept_for=self.kept_for))
            except _DEFECTS as defect:
                outcome.fail(opened.arrival, defect)
        return judged

    def _with_devices(self, messages: Sequence[Opened], now: datetime) -> list[tuple[Opened, Enrolled]]:
        organisations = self._organisations({one.thing for one in messages})
        keys = {
            (organisations[one.thing], serial)
            for one in messages
            if isinstance(one.message, Message) and one.thing in organisations
            for serial in (one.thing, one.device)
        }
        stale = {one for one in organisations.values() if now - self.recalls.get(one, _NEVER)[0] > RECALLS_KNOWN_FOR}
        devices, recalls = self.registry.devices_and_recalls(keys, stale)
        self.recalls.update({one: (now, recalls[one]) for one in stale})
        found = []
        for one in messages:
            organisation = organisations.get(one.thing)
            of = organisation or NOBODY
            thing, device = devices.get((of, one.thing)), devices.get((of, one.device))
            found.append((one, Enrolled(organisation, thing, device, self.recalls.get(of, _NEVER)[1])))
        return found

    def _organisations(self, things: set[str]) -> dict[str, str]:
        if unknown := things - self.remembered.keys():
            if len(self.remembered) > _MOST_REMEMBERED:
                self.remembered.clear()
            self.remembered.update(self.registry.organisations_of(unknown))
        return {thing: self.remembered[thing] for thing in things if thing in self.remembered}

    def _keep(self, judged: list[Judged], outcome: Outcome, *, first_inbox: bool) -> None:
        """Write what is new. Observations first: somebody may have to be told of them."""
        accepted = [(self.observations.key(identity), row) for one in judged for identity, row in one.accepted]
        rows: dict[Key, Observation] = {}
        for key, row in accepted:
            rows.setdefault(key, row)
        stored = self.observations.present(rows)
        new = [(key, row) for key, row in rows.items() if key not in stored]
        self.observations.put(new)
        self._mark(accepted, rows, stored)
        for one in judged:
            if one.status is not None:
                self.status.tell(one.organisation, one.opened.device, one.status)
        judged = list(self._with_contexts(judged, outcome, first_inbox=first_inbox))
        put_aside = self._set_aside(judged)
        self.archive.put(
            [
                (one.organisation, part)
                for one in judged
                for part in one.archived
                if part.key is not None or part.arrival.replay is None  # nobody's key ends; a person's bytes stay
            ]
        )
        readings = sum(len(one.accepted) + len(one.refused) for one in judged)
        outcome.counts.update(
            readings=readings,
            stored=len(new),
            quarantined=len(put_aside),
            repeated=readings - len(new) - len(put_aside),
        )
        outcome.reasons.update(one.reason for one in put_aside)

    def _mark(
        self,
        accepted: Iterable[tuple[Key, Observation]],
        rows: Mapping[Key, Observation],
        stored: Mapping[Key, Known],
    ) -> None:
        """Note what a repeat brings beside the reading itself: another way here, or the clock that it lacked (C24)."""
        for key, row in accepted:
            first = rows[key]
            known = stored.get(key)
            if row is first and known is None:
                continue
            thing = first.thing if known is None else known.thing
            corrected = first.measured_at != first.device_time if known is None else known.corrected
            if row.thing != thing:
                self.observations.add_path(key, row.thing, row.received_at)
            if row.measured_at != row.device_time and not corrected:
                self.observations.correct(key, row.measured_at)

    def _with_contexts(self, judged: Iterable[Judged], outcome: Outcome, *, first_inbox: bool) -> Iterator[Judged]:
        """Put circumstances beside their measurement. One that is not there yet is waited for once, in the second
        inbox: the two came as messages of their own."""
        for one in judged:
            measured = [(self._measurement(one, context), context) for context in one.contexts]
            found = [(key, context) for key, context in measured if key is not None]
            if len(found) == len(measured):
                for key, context in found:
                    self.observations.add_context(key, context.context)
                yield one
            elif first_inbox:
                refused = self.backlog.put([one.opened.arrival], after=WAIT_FOR_MEASUREMENT)
                outcome.failed |= dict.fromkeys(refused, "the second inbox did not take it")
            else:
                yield orphan(one)

    def _measurement(self, one: Judged, context: GlucoseContext) -> Key | None:
        for subject in one.holders:
            key = self.observations.of_record(
                one.organisation, subject, one.opened.device, context.sequence, near=one.opened.arrival.received_at
            )
            if key is not None:
                return key
        return None

    def _set_aside(self, judged: Iterable[Judged]) -> list[SetAside]:
        """Those that were not there before. What was tried again and is refused once more is written anew, with what
        is wrong now; what was not refused again is no longer set aside."""
        judged = list(judged)
        refused = {one.id: one for each in judged for one in each.refused}
        again = {one.opened.arrival.replay for one in judged if one.opened.arrival.replay is not None}
        known = self.quarantine.present(refused.values())
        new = [one for one in refused.values() if one.id not in known]
        self.quarantine.put([one for one in refused.values() if one in new or (one.organisation, one.id) in again])
        self.quarantine.remove(again - {(one.organisation, one.id) for one in refused.values()})
        return new
