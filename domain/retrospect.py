"""The same step, folded again over readings that are stored: what was decided, or what another plan would have made.

A subject's state is not kept for every moment, so it is found again from what came before (`memory` says how much of
that can matter). The clock is the readings' own arrival; where something was due in between, a tick stands for it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from heapq import merge
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from domain.alert import Alert, Decision, Episode, PlanChanged, State, Tick, step
from domain.care_plan import Plan, Rule
from domain.observation import Observation
from domain.plan_language import Hours

PlanAt: TypeAlias = Callable[[datetime, datetime], Plan | None]
"""What judges, by what was known at the first moment, a reading of the second."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = timedelta(milliseconds=1)
_AGAIN = timedelta(hours=1)
_COUNTED_FOR = timedelta(days=30)


class Retraced(NamedTuple):
    """What one reading, or the clock (`observation` is None), led to at `now`."""

    observation: Observation | None
    now: datetime
    decisions: list[Decision]
    alerts: list[Alert]


def retrace(
    observations: Iterable[Observation], plan_at: PlanAt, *, until: datetime, changes: Iterable[datetime] = ()
) -> Iterator[Retraced]:
    """Judge `observations` of one subject, in the order in which they arrived, and let the clock run until `until`.

    `changes` are the moments at which a version of the plan was put: that ends what its rules no longer ask.
    """
    past = _Past()
    for now, event in merge(_put(changes), ((one.received_at, one) for one in observations), key=itemgetter(0)):
        yield from past.wait(now)
        if event is not None:
            yield past.happen(event, now, plan_at(now, event.measured_at))
        elif past.last is not None:
            yield past.happen(PlanChanged(past.last.organisation, past.last.subject), now, plan_at(now, now))
    yield from past.wait(until)


def _put(changes: Iterable[datetime]) -> Iterator[tuple[datetime, None]]:
    return ((at, None) for at in sorted(changes))


def memory(plan: Plan) -> timedelta:
    """How long before a reading another may lie that still matters to how it is judged, if no alert is open."""
    longest = max((*plan.kept.values(), *plan.tallied.values()), default=0)
    for rule in (rule for rules in plan.rules.values() for rule in rules):
        windows = [rule.fresh_for, rule.clear_for]
        windows += [rule.confirm.within] if rule.confirm else []
        if rule.persist is not None:
            windows.append(rule.persist.milliseconds or _COUNTED_FOR // _MOMENT)
        longest = max(longest, *windows)
    return 2 * longest * _MOMENT


class _Past:
    """A subject's state as the events of before have left it, and when the clock by itself does something next."""

    def __init__(self) -> None:
        self.state = State()
        self.plan: Plan | None = None
        self.last: Observation | None = None
        self.heard: dict[str, datetime] = {}
        self.due: datetime | None = None

    def happen(self, event: Observation | PlanChanged, now: datetime, plan: Plan | None) -> Retraced:
        before, judged_by = self.state, self.plan
        self.state, decisions, alerts = step(before, event, plan, now)
        self.plan, read = plan, None
        if isinstance(event, Observation):
            self.last = read = event
            self.heard[event.kind] = now
        if plan is not None and (plan.missing or self.state is not before or plan is not judged_by):
            self.due = _due(self.state, plan, self.heard, now)
        return Retraced(read, now, decisions, alerts)

    def wait(self, end: datetime) -> Iterator[Retraced]:
        """The ticks at which something is due before `end`."""
        while self.last is not None and self.plan is not None and self.due is not None and self.due < end:
            before, now = self.state, self.due
            tick = Tick(self.last.organisation, self.last.subject, self.heard)
            self.state, decisions, alerts = step(before, tick, self.plan, now)
            if self.state is not before:
                yield Retraced(None, now, decisions, alerts)
            self.due = _due(self.state, self.plan, self.heard, now)


def _due(state: State, plan: Plan, heard: Mapping[str, datetime], now: datetime) -> datetime | None:
    """When the clock by itself next does something: a wait, a silence or quiet hours end, or people are told again.

    What was due already and did not happen (a rule sleeps, nobody is told at night) is tried again an hour later.
    """
    waits = [wait for name, episode in state.episodes.items() for wait in _waits(episode, plan.by_id.get(name))]
    waits += [
        since + (rule.missing_for + 1) * _MOMENT
        for rule in plan.missing
        if rule.missing_for is not None and rule.id not in state.episodes
        if (since := heard.get(rule.kind, plan.since)) is not None
    ]
    due = [wait if wait > now else now + _AGAIN for wait in waits]
    if plan.quiet_hours is not None and any(episode.owed for episode in state.episodes.values()):
        due.append(_end_of(plan.quiet_hours, now.astimezone(plan.zone)))
    return min(due, default=None)


def _waits(episode: Episode, rule: Rule | None) -> Iterator[datetime]:
    if rule is None:
        return
    if episode.stage == "confirming" and rule.confirm is not None:
        yield _EPOCH + (episode.arrived + rule.confirm.within + 1) * _MOMENT
    repeat = rule.repeat
    if episode.stage == "active" and episode.told_at and repeat is not None and episode.repeats < repeat.at_most:
        yield _EPOCH + (episode.told_at + repeat.every) * _MOMENT


def _end_of(hours: Hours, local: datetime) -> datetime:
    day = local.date() + timedelta(days=local.time() >= hours.to)
    return datetime.combine(day, hours.to, local.tzinfo)
