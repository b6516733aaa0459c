"""The life of an alert: the pure step function of a subject's episodes.

`step(state, event, plan, now)` is total and deterministic, and repeating an event changes nothing. What an episode is,
and the table of its stages, stands in domain/episode.py; who is told of it in domain/attention.py and domain/turn.py;
what is wrong with something other than the patient in domain/technical.py. Here readings are judged.

- Time is the reading's own (`measured_at`); only waits (for an answer, a snooze, a reminder) end by the clock.
- A reading older than the newest one that an open episode has seen may make it worse, never better (C21, R6); one that
  is not fresh opens nothing (C20).
- An open alert covers others of its family at its severity or below: one event is one alert (R49: a worse one is told).
- Idle subjects who are well have an empty state, so nothing is written for them. What an idle rule forgets can only
  make it alert sooner, never later, and only by readings that are fresh.
"""

from bisect import bisect, bisect_left
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from zoneinfo import ZoneInfo

from domain.attention import acknowledge, remind, resolve, snooze
from domain.care_plan import ALWAYS_TOLD, Confirmation, Plan, Rule
from domain.episode import (
    ARTEFACTS,
    BREACH,
    ENGINE_VERSION,
    IDLE,
    LONGEST_SNOOZE,
    MEDICAL,
    RECOVERY,
    TRANSITIONS,
    Acknowledge,
    Acknowledged,
    Alert,
    BatteryTold,
    ConsentWithdrawn,
    Decision,
    Entry,
    Episode,
    Event,
    Key,
    Monitored,
    PlanChanged,
    Recalled,
    Resolve,
    Signal,
    Snooze,
    Snoozed,
    State,
    Tick,
    Told,
    Why,
    is_stale,
    milliseconds,
    moment,
    no_evidence,
)
from domain.observation import Observation
from domain.persistence import persisted
from domain.plan_language import RANK
from domain.state_json import dump, load
from domain.tally import Tally, mark_of
from domain.technical import NO_DATA, check_battery, check_device, check_plan, hear, is_gone, miss
from domain.trend import MOST_POINTS, Node, Place, Point, holds
from domain.turn import PLAN_UNREADABLE as CARE_PLAN
from domain.turn import Turn
from domain.within_limits import unmoved, within_limits

__all__ = [
    "ARTEFACTS", "CARE_PLAN", "ENGINE_VERSION", "LONGEST_SNOOZE", "NO_DATA", "TRANSITIONS", "Acknowledge",
    "Acknowledged", "Alert", "BatteryTold", "ConsentWithdrawn", "Decision", "Episode", "Event", "Monitored",
    "PlanChanged", "Recalled", "Resolve", "Snooze", "Snoozed", "State", "Tick", "Told", "Why", "dump", "is_stale",
    "load", "no_evidence", "step",
]  # fmt: skip

_NO_PLAN = Plan({}, {}, ZoneInfo("UTC"), ALWAYS_TOLD)
_MOMENT, _MOMENT_AND_ID = itemgetter(0), itemgetter(0, 1)
_COUNTED = 16
_SINCE = 4


def step(state: State, event: Event, plan: Plan | None, now: datetime) -> tuple[State, list[Decision], list[Alert]]:
    """Move a subject's episodes by one event. Returns the new state, why (nobody was told), and new alert versions.

    `state` itself is returned when nothing changed. `now` is the clock: it decides what is fresh and what has expired.
    """
    if isinstance(event, Observation):
        if plan is None:
            return state, [Decision(None, None, "idle", "idle", "no-plan")], []
        foreseen = within_limits(state, event, plan)
        if foreseen is not None:
            return state, foreseen, []
    return walk(state, event, plan or _NO_PLAN, now)


def walk(state: State, event: Event, plan: Plan, now: datetime) -> tuple[State, list[Decision], list[Alert]]:
    """`step` through every rule's episode, also where what comes of it is known beforehand."""
    turn = _Step(state, event, plan, milliseconds(now))
    turn.take(event)
    return turn.outcome(state)


class _Step(Turn):
    """What each event brings about."""

    __slots__ = ()

    def take(self, event: Event) -> None:
        match event:
            case Observation():
                self._observe(event)
            case Tick():
                check_plan(self)
                self.withdraw(lambda name, _: is_gone(self, name))
                miss(self, event)
            case Acknowledge():
                acknowledge(self, event)
            case Snooze():
                snooze(self, event)
            case Resolve():
                resolve(self, event)
            case PlanChanged():
                check_plan(self)
                self.withdraw(lambda name, _: is_gone(self, name))
            case ConsentWithdrawn():
                self.withdraw(lambda _, __: True)
                if self.episodes:
                    self.episodes = self.changed = {}
                self.series, self.tallies, self.snoozes = self.series and {}, self.tallies and {}, self.snoozes and {}
                return
            case BatteryTold():
                check_battery(self, event)
            case _:
                self.recall(event.observations)
        if self.episodes:
            self.expire()
            if self.changed is not None:
                self.uncover()
            remind(self)

    def _observe(self, observation: Observation) -> None:
        check_plan(self)
        if self.episodes or observation.flags:
            hear(self, observation)
            check_device(self, observation)
        self.read(observation)

    def read(self, observation: Observation) -> None:
        rules = self.plan.rules.get(observation.kind)
        if rules is None:
            self.decisions.append(Decision(None, None, "idle", "idle", "within-limits"))
            return
        at = milliseconds(observation.measured_at)
        medical = MEDICAL if observation.device_class == "medical" else 0
        decide = self.decisions.append
        useless: Why | None = None
        if observation.flags or observation.tags:
            useless = no_evidence(observation)
        points, sums = self.series, self.tallies
        if useless is None:
            if self.plan.kept:
                self._remember(observation, at)
            if self.plan.tallied:
                self._count(observation, at)
        news = self.series is not points or self.tallies is not sums
        for rule in rules:
            value = observation.values.get(rule.value)
            if rule.condition is None:
                if value is None:  # null is no zero, and a rule for another value is another rule (C23)
                    continue
                held: bool | None = rule.breached(value)
            elif (value is None or rule.kind != observation.kind) and not _asks(rule, observation):
                continue
            else:
                held = self._held(rule, rule.condition, at, news=news)
            before = self.episodes.get(rule.id, IDLE)
            if useless is None and (held or before is not IDLE):
                verdict = medical | (BREACH if held else RECOVERY if _recovered(rule, value, held=held) else 0)
                after, why = self._move(rule, before, (at, observation.id, verdict), observation)
                self.keep(rule.id, before, after)
                decide(Decision(rule.id, rule.plan_version, before.stage, after.stage, why))
            else:
                decide(unmoved(rule, before.stage, useless or "within-limits"))

    def _held(self, rule: Rule, condition: Node, at: int, *, news: bool) -> bool | None:
        """Whether the rule's condition is met; None if that cannot be told.

        `news`: what was measured was not known, and may show what held when something newer was measured (R6).
        """
        held = holds(condition, self.series, self.tallies, at)
        return True if news and not held and self._held_since(rule, condition, at) else held

    def _held_since(self, rule: Rule, condition: Node, at: int) -> bool:
        newer: set[int] | None = None
        for place in rule.places:
            points, tally = self.series.get(place), self.tallies.get(place)
            if points is not None and points[-1][0] > at:
                newer = (newer or set()).union(point[0] for point in points[bisect(points, at, key=_MOMENT) :])
            if tally is not None and tally.days[-1].newest > at:
                newer = (newer or set()) | tally.after(at)
        return newer is not None and any(
            holds(condition, self.series, self.tallies, moment_) for moment_ in sorted(newer)
        )

    def _remember(self, observation: Observation, at: int) -> None:
        """Put the reading's values among the points that rules look back at, once each, and forget what none needs."""
        changed: dict[Place, tuple[Point, ...]] = {}
        for name, value in observation.values.items():
            place = observation.kind, name
            if place not in self.plan.kept:
                continue
            known, point = self.series.get(place, ()), (at, observation.id, value)
            where = bisect(known, point[:2], key=_MOMENT_AND_ID)
            if where and known[where - 1][:2] == point[:2]:
                continue
            points = (*known[:where], point, *known[where:])
            oldest = (points[-1][0] - self.plan.kept[place],)
            kept = points[bisect_left(points, oldest, key=_MOMENT_AND_ID) :][-MOST_POINTS:]
            if kept != known:
                changed[place] = kept
        if changed:
            needed = {place: points for place, points in self.series.items() if place in self.plan.kept}
            self.series = needed | changed

    def _count(self, observation: Observation, at: int) -> None:
        """Add the reading's values to the sums that rules about a mean ask, once each."""
        changed: dict[Place, Tally] = {}
        tallied, zone, mark = self.plan.tallied, self.plan.zone, ""
        for place, period in tallied.items():
            kind, name = place
            value = observation.values.get(name) if kind == observation.kind else None
            if value is None:
                continue
            mark = mark or mark_of(observation.id)
            known = self.tallies.get(place) or Tally(zone.key)
            counted = known.add(at, mark, value, zone, period)
            if counted is not known:
                changed[place] = counted
        if changed:
            self.tallies = {place: tally for place, tally in self.tallies.items() if place in tallied} | changed

    def expire(self) -> None:
        """What was to be measured again and was not in time is taken for true; unasked, it lapses."""
        for name, before in list(self.episodes.items()):
            rule = self.plan.by_id.get(name)
            if before.stage != "confirming" or rule is None or rule.confirm is None:
                continue
            if self.now > before.arrived + rule.confirm.within:
                after = self._unanswered(before, rule.confirm)
                self.keep(name, before, after)
                self.decide(name, rule.plan_version, before, after, self.why(after, "persisting"))

    def uncover(self) -> None:
        """Show what an alert of the family has covered, the worst first, once that alert is no longer open.

        Quietly when the covering alert has resolved (grading down); told when it was not confirmed.
        """
        hidden = [name for name, one in self.episodes.items() if one.stage != "idle" and one.alert is None]
        quiet = {alert.family for alert in self.alerts.values() if alert.outcome == "resolved"}
        for name in sorted(hidden, key=lambda one: -RANK[self.episodes[one].severity]):
            rule, episode = self.plan.by_id.get(name), self.episodes[name]
            if rule is not None and not _is_held(rule, episode) and not self.covered(rule, episode):
                self.keep(name, episode, self.raised(rule, episode, tell=rule.family not in quiet))

    def withdraw(self, gone: Callable[[str, Episode], bool]) -> None:
        """End what has lost its ground: a newer reading may raise it again, the one that did comes back for nothing."""
        for name, before in list(self.episodes.items()):
            if before.stage != "idle" and gone(name, before):
                after = IDLE
                if before.alert is not None:
                    at = moment(self.now)
                    self.publish(before, None, state="resolved", outcome="withdrawn", resolved_at=at)
                    if before.alert.category == "physiological":
                        over = max(before.opened[0], before.over or 0)
                        after = Episode(over=over, proven=over if before.medical else before.proven)
                self.keep(name, before, after)

    def recall(self, observations: frozenset[str]) -> None:
        """Forget what these observations showed, and withdraw what nothing else shows."""
        series = {
            place: kept
            for place, points in self.series.items()
            if (kept := tuple(point for point in points if point[1] not in observations))
        }
        if series != self.series:
            self.series = series
        if self.tallies:
            marks = [mark_of(name) for name in observations]
            tallies = {place: left for place, one in self.tallies.items() if (left := one.without(marks)).days}
            if tallies != self.tallies:
                self.tallies = tallies
        for name, before in list(self.episodes.items()):
            entries = tuple(entry for entry in before.entries if entry[1] not in observations)
            if entries != before.entries:
                self.keep(name, before, replace(before, entries=entries))
        self.withdraw(lambda _, one: bool(one.counted) and observations.issuperset((*one.counted, *one.since)))

    def _move(self, rule: Rule, episode: Episode, entry: Entry, observation: Observation) -> tuple[Episode, Why | None]:
        """`episode` moved by one reading, and why nobody was told."""
        arrived = milliseconds(observation.received_at)
        if episode.stage != "idle":
            after, why = self._follow(rule, episode, entry, arrived)
            return after, self.why(after, why)
        at, _, verdict = entry
        breached = bool(verdict & BREACH)
        if episode.over is not None and self.now - episode.over > rule.fresh_for:
            episode = replace(episode, over=None, proven=None)  # what is older than that raises nothing anyway
        elif episode.over is not None and at <= episode.over and not _is_worse(rule, episode, entry):
            return episode, "same-episode" if breached else "within-limits"
        if rule.active is not None and not rule.active.covers(observation.measured_at.astimezone(self.plan.zone)):
            return episode, "inactive-hours" if breached else "within-limits"
        run: tuple[Entry, ...] = (entry,) if breached else ()
        later: tuple[Entry, ...] = ()
        if rule.persist is not None:
            # what is fresh may have lasted for as long as the rule asks; before that, what lay between may be forgotten
            begins = not episode.entries or entry < episode.entries[0]
            if begins and self.now - at > rule.fresh_for + (rule.persist.milliseconds or 0):
                return episode, "late" if breached else "within-limits"
            entries, run, later = persisted(rule.persist, episode.entries, entry, self.now - rule.fresh_for)
            episode = replace(episode, entries=entries)
        if not run:
            return episode, "persisting" if breached else "within-limits"
        if self.now - run[-1][0] > rule.fresh_for:
            return episode, "late"
        after, why = self._open(rule, episode, run, arrived)
        for past in later:
            if after.stage == "idle":
                break
            after, _ = self._follow(rule, after, past, arrived)
        return after, why

    def _open(self, rule: Rule, before: Episode, run: tuple[Entry, ...], arrived: int) -> tuple[Episode, Why | None]:
        """Open an episode on `run`: the readings that count, the newest last."""
        newest = run[-1][:2]
        medical = any(verdict & MEDICAL for _, _, verdict in run)
        episode = Episode(
            stage=TRANSITIONS["idle", "asked" if rule.confirm else "breached"],
            opened=newest,
            last=newest,
            arrived=arrived,
            counted=tuple(name for _, name, _ in run)[-_COUNTED:],
            medical=medical,
            severity=rule.severity if medical or RANK[rule.severity] < RANK["critical"] else "warning",
            plan_version=rule.plan_version,
            over=before.over,
            proven=before.proven,
        )
        if _is_held(rule, episode):
            return episode, "persisting"
        if self.covered(rule, episode):
            return episode, "same-episode"
        episode = self.raised(rule, episode, tell=True)
        return episode, self.why(episode, None)

    def _follow(self, rule: Rule, episode: Episode, entry: Entry, arrived: int) -> tuple[Episode, Why | None]:
        """An open episode and one more reading."""
        key, verdict = entry[:2], entry[2]
        fresh = self.now - key[0] <= rule.fresh_for
        if verdict & BREACH and verdict & MEDICAL and fresh and _grows(rule, episode, key):
            episode = self._worsen(rule, episode)
        if episode.stage == "confirming" and rule.confirm is not None:
            return self._answer(rule, episode, rule.confirm, entry, arrived)
        if episode.stage == "confirming":  # a newer plan asks for no answer any more
            if not fresh:
                return episode, "late"
            episode = self.signal(episode, "unanswered", told="raised")
        if verdict & RECOVERY:
            return self._recover(rule, episode, key, verdict)
        if key > episode.last:
            relapsed = episode if episode.clear_since is None else self.signal(episode, "relapsed")
            since = (*episode.since, key[1])[-_SINCE:] if verdict & BREACH else episode.since
            episode = replace(relapsed, last=key, clear_since=None, since=since)
        elif episode.clear_since is not None and key[0] >= episode.clear_since:
            episode = replace(episode, clear_since=episode.last[0])  # it has not been well for as long as it seemed
        return episode, "same-episode"

    def _answer(
        self, rule: Rule, episode: Episode, confirm: Confirmation, entry: Entry, arrived: int
    ) -> tuple[Episode, Why | None]:
        """A reading while confirmation is awaited: it counts by its measured time, near the first or its arrival."""
        at, name, verdict = entry
        newer = (at, name) > episode.last
        in_time = abs(at - episode.opened[0]) <= confirm.within or 0 <= at - episode.arrived <= confirm.within
        if verdict & BREACH:
            settled = episode.over is not None and at <= episode.over
            if name in episode.counted or settled or not (in_time or newer):
                return episode, "same-episode"
            if not in_time and not confirm.ask_again:
                return self._open(rule, episode, (entry,), arrived)
            episode = replace(episode, counted=(*episode.counted, name), last=max(episode.last, (at, name)))
            if in_time and len(episode.counted) < confirm.readings:
                return episode, "same-episode"
            return self._confirm(rule, episode, "confirmed" if in_time else "unanswered"), "same-episode"
        if not newer:
            return episode, "late" if verdict & RECOVERY else "same-episode"
        if not verdict & RECOVERY:
            return replace(episode, last=(at, name)), "same-episode"
        if episode.medical and not verdict & MEDICAL:
            return episode, "auxiliary-only"
        if in_time or not confirm.ask_again:
            return self.end(episode, "disproved", at, "not-confirmed"), "within-limits"
        return self._recover(rule, self._unanswered(episode, confirm), (at, name), verdict)

    def _recover(self, rule: Rule, episode: Episode, key: Key, verdict: int) -> tuple[Episode, Why | None]:
        """A reading past the bound of recovery. Only what is newer clears, and an auxiliary device nothing medical."""
        if key <= episode.last:
            return episode, "late"
        if episode.medical and not verdict & MEDICAL:
            return episode, "auxiliary-only"
        since = key[0] if episode.clear_since is None else episode.clear_since
        if key[0] - since >= rule.clear_for:
            return self.end(episode, "recovered", key[0], "resolved"), "within-limits"
        return replace(self.signal(episode, "eased"), last=key, clear_since=since), "within-limits"

    def _confirm(self, rule: Rule, episode: Episode, signal: Signal) -> Episode:
        if episode.alert is not None or self.covered(rule, episode):
            return self.signal(episode, signal, told="raised")
        return self.raised(rule, replace(episode, stage=TRANSITIONS["confirming", signal]), tell=True)

    def _unanswered(self, episode: Episode, confirm: Confirmation) -> Episode:
        if confirm.ask_again:
            return self.signal(episode, "unanswered", told="raised")
        return self.end(episode, "lapsed", episode.last[0], "not-confirmed")

    def _worsen(self, rule: Rule, episode: Episode) -> Episode:
        """A medical device shows what only an auxiliary one had, or a newer plan calls worse: people hear of it."""
        severity = max(episode.severity, rule.severity, key=RANK.__getitem__)
        if severity == episode.severity:
            return replace(episode, medical=True)
        worse = replace(episode, medical=True, severity=severity, plan_version=rule.plan_version)
        if episode.alert is None:
            return worse
        told: Told = "measure-again" if episode.stage == "confirming" else "raised"
        return self.publish(worse, told, severity=severity, plan_version=rule.plan_version)


def _grows(rule: Rule, episode: Episode, key: Key) -> bool:
    """True when a breach that a medical device shows may be worse than the episode has been so far."""
    if not episode.medical:
        return key[0] > (episode.proven or 0)
    return key > episode.last and RANK[rule.severity] > RANK[episode.severity]


def _asks(rule: Rule, observation: Observation) -> bool:
    """True when the reading says something of one of the values that the rule is about."""
    return any(kind == observation.kind and observation.values.get(name) is not None for kind, name in rule.places)


def _recovered(rule: Rule, value: Decimal | None, *, held: bool | None) -> bool:
    """A condition recovers when it is known not to be met any more."""
    return held is False if value is None or rule.condition is not None else rule.recovered(value)


def _is_held(rule: Rule, episode: Episode) -> bool:
    """Awaiting confirmation that nobody was asked for: no alert until it comes."""
    return episode.stage == "confirming" and rule.confirm is not None and not rule.confirm.ask_again


def _is_worse(rule: Rule, over: Episode, entry: Entry) -> bool:
    """True when a medical device shows what episodes that are over had from auxiliary ones only."""
    at, _, verdict = entry
    medical = bool(verdict & BREACH and verdict & MEDICAL)
    return medical and rule.severity == "critical" and at > (over.proven or 0)
