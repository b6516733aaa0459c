"""The same step, folded again over readings that are stored: what was decided, or what another plan would have made.

A subject's state is not kept for every moment, so it is found again from what came before (`memory` says how much of
that can matter). The clock is the readings' own arrival; where something was due in between, a tick stands for it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias

from domain.alert import Alert, Decision, Episode, State, Tick, step
from domain.care_plan import Plan, Rule
from domain.observation import Observation
from domain.plan_language import Hours

PlanAt: TypeAlias = Callable[[Observation], Plan | None]

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


def retrace(observations: Iterable[Observation], plan_at: PlanAt, *, until: datetime) -> Iterator[Retraced]:
    """Judge `observations` of one subject, in the order in which they arrived, and let the clock run until `until`."""
    state = State()
    heard: dict[str, datetime] = {}
    due: datetime | None = None
    last: Observation | None = None
    plan: Plan | None = None
    for one in observations:
        now = one.received_at
        if last is not None and plan is not None and due is not None and due < now:
            state, ticked = _until(now, state, last, plan, heard)
            yield from ticked
        before, plan = state, plan_at(one)
        state, decisions, alerts = step(state, one, plan, now)
        yield Retraced(one, now, decisions, alerts)
        if plan is not None and (plan.missing or state is not before):
            heard[one.kind] = now
            due = _due(state, plan, heard, now)
        last = one
    if last is not None and plan is not None:
        yield from _until(until, state, last, plan, heard)[1]


def memory(plan: Plan) -> timedelta:
    """How long before a reading another may lie that still matters to how it is judged, if no alert is open."""
    longest = max(plan.kept.values(), default=0)
    for rule in (rule for rules in plan.rules.values() for rule in rules):
        windows = [rule.fresh_for, rule.clear_for]
        windows += [rule.confirm.within] if rule.confirm else []
        if rule.persist is not None:
            windows.append(rule.persist.milliseconds or _COUNTED_FOR // _MOMENT)
        longest = max(longest, *windows)
    return 2 * longest * _MOMENT


def _until(
    end: datetime, state: State, last: Observation, plan: Plan, heard: dict[str, datetime]
) -> tuple[State, list[Retraced]]:
    """The ticks at which something is due before `end`, and the state after them."""
    ticked: list[Retraced] = []
    due = _due(state, plan, heard, last.received_at)
    while due is not None and due < end:
        before = state
        state, decisions, alerts = step(state, Tick(last.organisation, last.subject, heard), plan, due)
        if state is not before:
            ticked.append(Retraced(None, due, decisions, alerts))
        due = _due(state, plan, heard, due)
    return state, ticked


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
