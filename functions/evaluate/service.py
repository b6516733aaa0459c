"""Events into episodes and alerts: each subject's by itself, in order, written only when something changed."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias

from domain.alert import Alert, ConsentWithdrawn, Decision, Event, Monitored, State, step
from domain.care_plan import Programme, plan_for
from domain.decisions import Judged, judged, news
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


class Change(NamedTuple):
    """What a record brings: its number in the stream, whom it concerns, and how to read it (it may be unreadable)."""

    sequence: str
    who: Who
    read: Callable[[], Event]


@dataclass(slots=True)
class Outcome:
    """`to_retry` are the numbers from which the stream is to be read again, at most one a subject."""

    counts: Counter[str] = field(default_factory=Counter)
    to_retry: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def evaluate(
    changes: Sequence[Change], *, episodes: Episodes, programmes: Mapping[str, Programme], now: datetime
) -> Outcome:
    """Judge a batch. A subject that cannot be judged is to be retried from its first record; the others go on."""
    outcome = Outcome()
    by_subject: dict[Who, list[Change]] = {}
    for one in changes:
        by_subject.setdefault(one.who, []).append(one)
    known = _known(by_subject, episodes)
    judge = _Judge(episodes, programmes, now)
    counted: list[str] = []
    for who, rows in by_subject.items():
        try:
            events = [row.read() for row in rows]
            counted += judge.subject(who, events, known.get(who) or episodes.read([who])[who])
        except (*POISON, LostRace) as error:
            outcome.to_retry.append(rows[0].sequence)
            outcome.failures.append(type(error).__name__)
    outcome.counts.update(counted)
    return outcome


def _known(subjects: Iterable[Who], episodes: Episodes) -> Mapping[Who, Monitored]:
    """All subjects in one read; none of them if one is stored so that it cannot be read, to be read one by one."""
    try:
        return episodes.read(subjects)
    except POISON:
        return {}


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges the subjects of one batch, one after the other. What it answers is a word for each thing to count."""

    episodes: Episodes
    programmes: Mapping[str, Programme]
    now: datetime

    def subject(self, who: Who, events: Sequence[Event], monitored: Monitored) -> list[str]:
        """One subject's events, again from what is stored when another writer came between. Raises LostRace."""
        for _ in range(_TRIES - 1):
            try:
                return self._persist(who, events, monitored)
            except LostRace:
                monitored = self.episodes.read([who])[who]
        return self._persist(who, events, monitored)

    def _persist(self, who: Who, events: Sequence[Event], monitored: Monitored) -> list[str]:
        """Judge them in order, and write what changed. Raises LostRace."""
        counted: list[str] = []
        state, version = monitored.state, monitored.version
        alerts: list[Alert] = []
        kept: list[Judged] = []
        for number, event in enumerate(events, 1):
            state, decisions, new = self._moved(event, monitored, state)
            alerts += new
            if told := news(decisions):
                counted += [decision.why or "told" for decision in told]
            arrived = self.now
            if isinstance(event, Observation):
                arrived = event.received_at
                counted.append("readings")
                if told and monitored.subject is not None:  # else erased: nothing new of it is kept
                    kept.append(judged(event, decisions, self.now))
            if number < len(events) and 2 * len(alerts) + len(kept) < _ITEMS_A_WRITE:
                continue
            if state is not monitored.state:
                self.episodes.write(who, state, alerts, kept, after=version, now=self.now, received_at=arrived)
                counted += ["alerts"] * len({alert.id for alert in alerts})
                counted += ["notices"] * sum(bool(alert.told) for alert in alerts)
                monitored = monitored._replace(state=state, version=version + 1)
                version, alerts, kept = version + 1, [], []
            elif kept:
                self.episodes.keep(who, kept)
                kept = []
        return counted

    def _moved(self, event: Event, monitored: Monitored, state: State) -> tuple[State, list[Decision], list[Alert]]:
        """One event judged by what is enrolled now: without consent nothing is read, and what was open is withdrawn."""
        subject, at = monitored.subject, self.now
        if subject is None or subject.consent is None or subject.consent.withdrawn_at is not None:
            state, _, alerts = step(state, ConsentWithdrawn(event.organisation, event.subject), None, at)
            return state, _no_consent(event), alerts
        if isinstance(event, Observation):
            at = event.measured_at
            if not subject.consent.covers(at):
                return state, _no_consent(event), []
        elif isinstance(event, ConsentWithdrawn):
            return state, [], []  # it was given again
        return step(state, event, plan_for(subject, monitored.plans, self.programmes, at), self.now)


def _no_consent(event: Event) -> list[Decision]:
    return [Decision(None, None, "idle", "idle", "no-consent")] if isinstance(event, Observation) else []
