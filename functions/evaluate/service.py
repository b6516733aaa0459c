"""Readings into episodes and alerts: each subject's by itself, in order, written only when something changed."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from domain.alert import Alert, Decision, Monitored, State, step
from domain.care_plan import Programme, plan_for
from domain.decisions import Judged, judged, worth_keeping
from domain.errors import LostRace
from domain.observation import Observation

Who: TypeAlias = tuple[str, str]

_TRIES = 5
_ITEMS_A_WRITE = 80  # a transaction takes 100; an alert may bring an outbox row, and one reading several alerts

POISON = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What code raises when what it was given makes no sense to it: one subject's, not the whole batch's, failure."""


class Episodes(Protocol):
    """Where subjects stand; `write` raises LostRace unless the stored state is at version `after`.

    `keep` is for decisions that changed no state.
    """

    def read(self, subjects: Iterable[Who]) -> Mapping[Who, Monitored]: ...
    def write(
        self,
        who: Who,
        state: State,
        alerts: Sequence[Alert],
        judged: Sequence[Judged],
        *,
        after: int,
        now: datetime,
        received_at: datetime,
    ) -> None: ...
    def keep(self, who: Who, judged: Sequence[Judged]) -> None: ...


@dataclass(frozen=True, slots=True)
class Inserted:
    """A new row of the stream: the record's number, whose it is, and how to read it (a row may not be readable)."""

    sequence: str
    who: Who
    read: Callable[[], Observation]


@dataclass(slots=True)
class Outcome:
    """`to_retry` are the numbers from which the stream is to be read again, at most one a subject."""

    counts: Counter[str] = field(default_factory=Counter)
    to_retry: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def evaluate(
    inserted: Sequence[Inserted], *, episodes: Episodes, programmes: Mapping[str, Programme], now: datetime
) -> Outcome:
    """Judge a batch. A subject that cannot be judged is to be retried from its first reading; the others go on."""
    outcome = Outcome()
    by_subject: dict[Who, list[Inserted]] = {}
    for one in inserted:
        by_subject.setdefault(one.who, []).append(one)
    known = _known(by_subject, episodes)
    for who, rows in by_subject.items():
        try:
            readings = [row.read() for row in rows]
            monitored = known.get(who) or episodes.read([who])[who]
            counts = _persist(who, readings, monitored, episodes=episodes, programmes=programmes, now=now)
        except (*POISON, LostRace) as error:
            outcome.to_retry.append(rows[0].sequence)
            outcome.failures.append(type(error).__name__)
        else:
            outcome.counts += counts
    return outcome


def _known(subjects: Iterable[Who], episodes: Episodes) -> Mapping[Who, Monitored]:
    """All subjects in one read; none of them if one is stored so that it cannot be read, to be read one by one."""
    try:
        return episodes.read(subjects)
    except POISON:
        return {}


def _persist(
    who: Who,
    readings: Sequence[Observation],
    monitored: Monitored,
    *,
    episodes: Episodes,
    programmes: Mapping[str, Programme],
    now: datetime,
) -> Counter[str]:
    """Judge one subject's readings, again from what is stored when another writer came between. Raises LostRace."""
    for _ in range(_TRIES - 1):
        try:
            return _judge(who, readings, monitored, episodes=episodes, programmes=programmes, now=now)
        except LostRace:
            monitored = episodes.read([who])[who]
    return _judge(who, readings, monitored, episodes=episodes, programmes=programmes, now=now)


def _judge(
    who: Who,
    readings: Sequence[Observation],
    monitored: Monitored,
    *,
    episodes: Episodes,
    programmes: Mapping[str, Programme],
    now: datetime,
) -> Counter[str]:
    counts: Counter[str] = Counter(readings=len(readings))
    subject, state, version = monitored.subject, monitored.state, monitored.version
    alerts: list[Alert] = []
    kept: list[Judged] = []
    for number, reading in enumerate(readings, 1):
        if subject is None or subject.consent is None or not subject.consent.covers(reading.measured_at):
            decisions = [Decision(reading.id, None, None, "idle", "idle", "no-consent")]
        else:
            plan = plan_for(subject, monitored.plans, programmes, reading.measured_at)
            state, decisions, new = step(state, reading, plan, now)
            alerts += new
        counts.update(decision.why or "told" for decision in decisions)
        if worth_keeping(decisions):
            kept.append(judged(reading, decisions, now))
        if number < len(readings) and 2 * len(alerts) + len(kept) < _ITEMS_A_WRITE:
            continue
        if state is not monitored.state:
            episodes.write(who, state, alerts, kept, after=version, now=now, received_at=reading.received_at)
            counts.update(alerts=len({alert.id for alert in alerts}), notices=sum(bool(alert.told) for alert in alerts))
            monitored = Monitored(subject, monitored.plans, state, version + 1)
            version, alerts, kept = version + 1, [], []
        elif kept:
            episodes.keep(who, kept)
            kept = []
    return counts
