"""Ingest: each reading of a batch is stored, set aside with a reason, or a repeat of one that was.

The batch is read at once, judged message by message, and written at once. What is written has a name made from what was
sent, so a batch that is tried again, or sent again, changes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from traceback import extract_tb
from typing import Protocol, TypeAlias

from domain.enrolment import Device, Subject
from domain.identity import Identity
from domain.judgement import Enrolled, Judged, Opened, judge, open_message, subjects_to_know
from domain.observation import Observation
from domain.profile import DeviceProfile
from domain.quarantine import NOBODY, SetAside
from domain.reading import Arrival

Key: TypeAlias = tuple[str, str]

HAND_ON_AFTER = timedelta(minutes=2)
"""What waited longer in the first inbox is a backlog, and goes to the second (R99)."""

_MOST_REMEMBERED = 100_000

_DEFECTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a fault in our code or catalogue raises: it fails the one message that meets it, never its neighbours (R22)."""


class Registry(Protocol):
    def organisations_of(self, serials: Iterable[str]) -> dict[str, str]: ...
    def devices(self, keys: Iterable[Key]) -> dict[Key, Device]: ...
    def subjects(self, keys: Iterable[Key]) -> dict[Key, Subject]: ...


class Observations(Protocol):
    def present(self, identities: Iterable[Identity]) -> set[Identity]: ...
    def put(self, rows: Iterable[tuple[Identity, Observation]]) -> None: ...


class Quarantine(Protocol):
    def present(self, ones: Iterable[SetAside]) -> set[str]: ...
    def put(self, ones: Iterable[SetAside]) -> None: ...


class Archive(Protocol):
    def put(self, messages: Iterable[tuple[str, Arrival]]) -> None: ...


class Backlog(Protocol):
    def put(self, arrivals: Sequence[Arrival]) -> set[str]: ...


@dataclass
class Outcome:
    """`counts` and `reasons` are for the log; `failed` says of each message to be tried again what it met."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def failing(self, arrival: Arrival) -> Iterator[None]:
        """A defect met inside fails this one message."""
        try:
            yield
        except _DEFECTS as defect:
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
    profiles: Mapping[str, DeviceProfile]
    kept_for: timedelta
    remembered: dict[str, str] = field(default_factory=dict)
    """Serials and their organisations: a serial belongs for ever to the one that enrolled it first."""

    def __call__(self, arrivals: Sequence[Arrival], *, now: datetime, first_inbox: bool) -> Outcome:
        """Judge and keep `arrivals`; of the first inbox, hand on unread what waited too long."""
        outcome = Outcome(Counter(messages=len(arrivals)))
        late = [one for one in arrivals if first_inbox and now - one.received_at > HAND_ON_AFTER]
        if late:
            outcome.failed |= dict.fromkeys(self.backlog.put(late), "the second inbox did not take it")
            outcome.counts["handed_on"] = len(late) - len(outcome.failed)
        handed_on = {one.id for one in late}
        self._keep(self._judge([one for one in arrivals if one.id not in handed_on], outcome), outcome)
        outcome.counts["failed"] = len(outcome.failed)
        return outcome

    def _judge(self, arrivals: Sequence[Arrival], outcome: Outcome) -> list[Judged]:
        """What became of each message that met no defect."""
        messages = self._with_devices([open_message(one, self.profiles) for one in arrivals])
        named: list[tuple[Opened, Enrolled, set[Key]]] = []
        for opened, enrolled in messages:
            with outcome.failing(opened.arrival):
                who = subjects_to_know(opened, enrolled, self.profiles)
                named.append((opened, enrolled, {(enrolled.organisation or NOBODY, one) for one in who}))
        subjects = self.registry.subjects({key for _, _, keys in named for key in keys})
        judged = []
        for opened, enrolled, keys in named:
            with outcome.failing(opened.arrival):
                known = replace(enrolled, subjects={key[1]: subjects[key] for key in keys if key in subjects})
                judged.append(judge(opened, known, profiles=self.profiles, kept_for=self.kept_for))
        return judged

    def _with_devices(self, messages: Sequence[Opened]) -> list[tuple[Opened, Enrolled]]:
        organisations = self._organisations({one.thing for one in messages})
        keys = {
            (organisations[one.thing], serial)
            for one in messages
            if one.readings and one.thing in organisations
            for serial in (one.thing, one.device)
        }
        devices = self.registry.devices(keys)
        found = []
        for one in messages:
            organisation = organisations.get(one.thing)
            thing, device = (devices.get((organisation or NOBODY, serial)) for serial in (one.thing, one.device))
            found.append((one, Enrolled(organisation, thing, device)))
        return found

    def _organisations(self, things: set[str]) -> dict[str, str]:
        if unknown := things - self.remembered.keys():
            if len(self.remembered) > _MOST_REMEMBERED:
                self.remembered.clear()
            self.remembered.update(self.registry.organisations_of(unknown))
        return {thing: self.remembered[thing] for thing in things if thing in self.remembered}

    def _keep(self, judged: Sequence[Judged], outcome: Outcome) -> None:
        """Write what is new. Observations first: somebody may have to be told of them."""
        rows = {identity: row for one in judged for identity, row in one.accepted}
        stored = self.observations.present(rows)
        new = [(identity, row) for identity, row in rows.items() if identity not in stored]
        self.observations.put(new)

        refused = {one.id: one for each in judged for one in each.refused}
        known = self.quarantine.present(refused.values())
        put_aside = [one for one in refused.values() if one.id not in known]
        self.quarantine.put(put_aside)

        self.archive.put([(one.organisation, one.archived) for one in judged if one.archived is not None])
        readings = sum(len(one.accepted) + len(one.refused) for one in judged)
        outcome.counts.update(
            readings=readings,
            stored=len(new),
            quarantined=len(put_aside),
            repeated=readings - len(new) - len(put_aside),
        )
        outcome.reasons.update(one.reason for one in put_aside)
