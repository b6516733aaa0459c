"""The life of an alert: the pure step function of a subject's episodes.

`step(state, event, plan, now)` is total and deterministic, and repeating an event changes nothing. One episode belongs
to a subject and a rule:

    idle ──breach──▶ active ◀──relapse──▶ clearing ──recovered──▶ idle
      └──ask──▶ confirming ──confirmed / unanswered──▶ active
                    └──────── disproved / lapsed ────▶ idle

- Time is the reading's own (`measured_at`); only the wait for an answer expires by the clock.
- A reading older than the newest one that an open episode has seen may make it worse, never better (C21, R6); one that
  is not fresh opens nothing (C20).
- An open alert covers others of its family at its severity or below: one event is one alert (R49: a worse one is told).
- Idle subjects who are well have an empty state, so nothing is written for them. What an idle rule forgets can only
  make it alert sooner, never later, and only by readings that are fresh.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from domain.care_plan import ALWAYS_TOLD, Confirmation, Persistence, Plan, PlanVersion, Rule
from domain.enrolment import Subject
from domain.identity import deterministic_id
from domain.observation import Observation
from domain.plan_language import RANK, Severity
from domain.trend import Place, Point, holds

Stage = Literal["idle", "confirming", "active", "clearing"]
Signal = Literal[
    "breached", "asked", "confirmed", "unanswered", "disproved", "lapsed", "eased", "relapsed", "recovered", "ended"
]
Why = Literal[
    "within-limits", "persisting", "late", "artefact", "auxiliary-only", "snoozed", "quiet-hours", "same-episode",
    "inactive-hours", "recalled", "no-plan", "no-consent",
]  # fmt: skip
"""Why nobody was told (the contract's closed list)."""

Told = Literal["measure-again", "raised", "repeated"]
"""What people are told: to measure again, that an alert was raised (or has grown worse), or that it still stands."""

TRANSITIONS: dict[tuple[Stage, Signal], Stage] = {
    ("idle", "breached"): "active",
    ("idle", "asked"): "confirming",
    ("confirming", "confirmed"): "active",
    ("confirming", "unanswered"): "active",
    ("confirming", "disproved"): "idle",
    ("confirming", "lapsed"): "idle",
    ("active", "eased"): "clearing",
    ("active", "recovered"): "idle",
    ("clearing", "relapsed"): "active",
    ("clearing", "recovered"): "idle",
    ("confirming", "ended"): "idle",
    ("active", "ended"): "idle",
    ("clearing", "ended"): "idle",
}
"""The state machine. A signal that a stage does not have here leaves it as it is."""

ARTEFACTS = frozenset(
    {"movement", "cuff-loose", "improper-position", "poor-contact", "signal-loss", "maternal-confusion", "sensor-error"}
    | {"sensor-malfunction", "device-fault", "equipment-malfunction", "calibration-ongoing", "measurement-questionable"}
    | {"sample-insufficient", "strip-insertion-error", "strip-type-incorrect", "read-interrupted"}
    | {"sensor-type-incorrect", "sensor-too-hot", "sensor-too-cold", "sensor-unconnected", "sensor-displaced"}
    | {"sensor-disconnected", "sensor-interference", "signal-irregular", "signal-inadequate", "signal-poor"}
    | {"signal-erratic", "signal-nonpulsatile", "statistic"}
)
"""Flags of a reading that is no evidence either way: it neither alerts nor clears."""

STATE_FORMAT = 1
ENGINE_VERSION = 1

CARE_PLAN = "plan.unreadable"
"""The rule of the technical alert that a stored care plan does not read, so that templates judge in its place (R45)."""

NO_DATA = "no-data."
"""… of the technical alert that nothing of a kind arrives that could be repeated; the kind follows."""

_NO_PLAN = Plan({}, {}, ZoneInfo("UTC"), ALWAYS_TOLD)
_KEPT_ENTRIES = 64
_KEPT_POINTS = 512
_COUNTED = 16
_SINCE = 4
_FORGOTTEN = 30 * 24 * 3600 * 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BREACH, _RECOVERY, _MEDICAL = 1, 2, 4

Key: TypeAlias = tuple[int, str]
"""`(measured at, in milliseconds since 1970; observation id)`: a total order of readings, whatever they arrive in."""

Entry: TypeAlias = tuple[int, str, int]
"""A key with its verdict: bits of breach, recovery, medical device."""


LONGEST_SNOOZE = timedelta(days=1)
"""No silence lasts longer, however far off its end was set: none is left on by mistake (R66)."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody has taken an alert on: who, when, and which version they had seen."""

    actor: str
    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """One version of an alert. `tell` are the roles to notify of this version, `told` what; both empty if none.

    `observation` is the reading that raised it, `observations` all that count towards it. `worse_since` is the version
    in which it last grew worse: who has seen only earlier ones has not seen that (R57). `resolved_by` is the person who
    ended it, None when readings did.
    """

    id: str
    version: int
    organisation: str
    subject: str
    rule: str
    kind: str
    value: str
    family: str
    severity: Severity
    category: Literal["physiological", "technical"]
    state: Literal["confirming", "active", "clearing", "resolved"]
    outcome: Literal["resolved", "not-confirmed", "withdrawn"] | None
    raised_at: datetime
    resolved_at: datetime | None
    observation: str
    observations: tuple[str, ...]
    plan_version: str
    tell: tuple[str, ...] = ()
    told: Told | None = None
    worse_since: int = 1
    acknowledged: Acknowledged | None = None
    snoozed_until: datetime | None = None
    resolved_by: str | None = None


def is_stale(alert: Alert, version: int) -> bool:
    """True when who saw `version` has not seen what the alert is now: it grew worse since, or there was no such one."""
    return not alert.worse_since <= version <= alert.version


@dataclass(frozen=True, slots=True)
class Episode:
    """Where a rule stands for a subject. While idle, `entries` gather what `persist` counts.

    `alert` is None though open: another alert of the family covers it, or its confirmation is awaited unasked.
    `over` is when the episode before ended: nothing measured before that raises again. `medical` says whether a medical
    device has shown the breach, and `proven` when the last episode ended of which that was so. `since` are the newest
    readings that still showed it, beyond those `counted`. `told_at` is when people were last told (milliseconds),
    `repeats` how often again, and `owed` what a snooze or quiet hours keep back.
    """

    stage: Stage = "idle"
    entries: tuple[Entry, ...] = ()
    opened: Key = (0, "")
    last: Key = (0, "")
    arrived: int = 0
    counted: tuple[str, ...] = ()
    medical: bool = False
    severity: Severity = "info"
    plan_version: str = ""
    clear_since: int | None = None
    over: int | None = None
    proven: int | None = None
    alert: Alert | None = None
    since: tuple[str, ...] = ()
    told_at: int = 0
    repeats: int = 0
    owed: Told | None = None


_IDLE = Episode()


@dataclass(frozen=True, slots=True)
class Snoozed:
    """Nobody is told of a family up to `severity` until then (milliseconds). A silence has an author and a reason."""

    until: int
    severity: Severity
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """All episodes of one subject, by rule id; a rule that stands idle with nothing to remember is absent.

    `series` are the points that rules about a run of values look back at, oldest first. `snoozes` are by family.
    """

    episodes: Mapping[str, Episode] = field(default_factory=dict)
    series: Mapping[Place, tuple[Point, ...]] = field(default_factory=dict)
    snoozes: Mapping[str, Snoozed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tick:
    """The clock has moved on for a subject. `heard`: when the last reading of a kind arrived, of those that did."""

    organisation: str
    subject: str
    heard: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """`actor` takes on an alert as it was in `version`. It covers nothing worse that has come since (R57)."""

    organisation: str
    subject: str
    alert: str
    version: int
    actor: str


@dataclass(frozen=True, slots=True)
class Snooze:
    """Nobody is told of the alert's family, at its severity or below, until then; an end that is past ends a snooze."""

    organisation: str
    subject: str
    alert: str
    version: int
    actor: str
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Resolve:
    """`actor` ends an alert. What is measured from now on may raise another."""

    organisation: str
    subject: str
    alert: str
    version: int
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlanChanged:
    """Another plan is in force: what rested on rules that are gone is withdrawn. What was judged stays as it was."""

    organisation: str
    subject: str


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn:
    """Monitoring has ended (P5): all alerts are withdrawn, and nothing of the subject is remembered."""

    organisation: str
    subject: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """These observations are no evidence any more (P8): what rested on them alone is withdrawn."""

    organisation: str
    subject: str
    observations: frozenset[str]


Event: TypeAlias = Observation | Tick | Acknowledge | Snooze | Resolve | PlanChanged | ConsentWithdrawn | Recalled


class Decision(NamedTuple):
    """What one rule made of one event; `why` is None when somebody was told."""

    observation: str | None
    rule: str | None
    plan_version: str | None
    before: Stage
    after: Stage
    why: Why | None


@dataclass(frozen=True, slots=True)
class Monitored:
    """What is known of one subject when its readings are evaluated. `version` is of the stored state, 0 if none."""

    subject: Subject | None
    plans: tuple[PlanVersion, ...]
    state: State
    version: int


def step(state: State, event: Event, plan: Plan | None, now: datetime) -> tuple[State, list[Decision], list[Alert]]:
    """Move a subject's episodes by one event. Returns the new state, why (nobody was told), and new alert versions.

    `state` itself is returned when nothing changed. `now` is the clock: it decides what is fresh and what has expired.
    """
    if plan is None and isinstance(event, Observation):
        return state, [Decision(event.id, None, None, "idle", "idle", "no-plan")], []
    turn = _Turn(state, event, plan or _NO_PLAN, _milliseconds(now))
    turn.take(event)
    if turn.is_as_before(state):
        return state, turn.decisions, []
    return State(turn.tidied(), turn.series, turn.snoozes), turn.decisions, list(turn.alerts.values())


class _Turn:
    """One step under way. `changed` are the episodes once one has; `alerts` holds one new version of each."""

    __slots__ = ("alerts", "changed", "decisions", "episodes", "event", "now", "plan", "series", "silenced", "snoozes")

    def __init__(self, state: State, event: Event, plan: Plan, now: int) -> None:
        self.episodes = state.episodes
        self.series = state.series
        self.snoozes = state.snoozes
        self.changed: dict[str, Episode] | None = None
        self.event = event
        self.plan = plan
        self.now = now
        self.decisions: list[Decision] = []
        self.alerts: dict[str, Alert] = {}
        self.silenced: dict[str, Why] = {}

    def take(self, event: Event) -> None:
        match event:
            case Observation():
                self.check_plan()
                self.hear(event)
                self.read(event)
            case Tick():
                self.check_plan()
                self.withdraw(self._is_gone)
                self.miss(event)
            case Acknowledge():
                self.acknowledge(event)
            case Snooze():
                self.snooze(event)
            case Resolve():
                self.resolve(event)
            case PlanChanged():
                self.check_plan()
                self.withdraw(self._is_gone)
            case ConsentWithdrawn():
                self.withdraw(lambda _, __: True)
                self.series, self.snoozes = self.series and {}, self.snoozes and {}
                return
            case _:
                self.recall(event.observations)
        self.expire()
        if self.changed is not None:
            self.uncover()
        self.remind()

    def is_as_before(self, state: State) -> bool:
        return self.changed is None and self.series is state.series and self.snoozes is state.snoozes

    def acknowledge(self, asked: Acknowledge) -> None:
        """Take an alert on, once; who has seen only what was less severe is not heard (R57)."""
        name, episode = self._asked(asked.alert, asked.version)
        if episode.alert is not None and episode.alert.acknowledged is None:
            taken = Acknowledged(asked.actor, asked.version, _moment(self.now))
            self._keep(name, episode, self._publish(episode, None, acknowledged=taken))

    def snooze(self, asked: Snooze) -> None:
        """Tell nobody of the alert's family at its severity or below until then; when it is over, they hear again."""
        name, episode = self._asked(asked.alert, asked.version)
        if episode.alert is None:
            return
        until = min(_milliseconds(asked.until), self.now + LONGEST_SNOOZE // timedelta(milliseconds=1))
        family = episode.alert.family
        snoozes = {each: one for each, one in self.snoozes.items() if each != family and self.now < one.until}
        if until > self.now:
            snoozes[family] = Snoozed(until, episode.alert.severity, asked.actor, asked.reason)
        if snoozes == self.snoozes:
            return
        self.snoozes = snoozes
        if until > self.now:
            after = replace(episode, owed=episode.owed or "repeated")
            self._keep(name, episode, self._publish(after, None, snoozed_until=_moment(until)))
        else:
            after = replace(episode, owed=None if episode.owed == "repeated" else episode.owed)
            self._keep(name, episode, self._publish(after, None, snoozed_until=None))

    def resolve(self, asked: Resolve) -> None:
        name, episode = self._asked(asked.alert, asked.version)
        if episode.alert is not None:
            self._keep(name, episode, self._end(episode, "ended", self.now, "resolved", by=asked.actor))

    def _asked(self, alert: str, version: int) -> tuple[str, Episode]:
        """The episode of that alert, if it is open and nothing worse has come since that version."""
        for name, episode in self.episodes.items():
            if episode.alert is not None and episode.alert.id == alert and not is_stale(episode.alert, version):
                return name, episode
        return "", _IDLE

    def withdraw(self, gone: Callable[[str, Episode], bool]) -> None:
        """End what has lost its ground, as if it had never been: the next reading may raise it again."""
        for name, before in list(self.episodes.items()):
            if gone(name, before):
                if before.alert is not None:
                    at = _moment(self.now)
                    self._publish(before, None, state="resolved", outcome="withdrawn", resolved_at=at)
                self._keep(name, before, _IDLE)

    def recall(self, observations: frozenset[str]) -> None:
        """Forget what these observations showed, and withdraw what nothing else shows."""
        series = {
            place: kept
            for place, points in self.series.items()
            if (kept := tuple(point for point in points if point[1] not in observations))
        }
        if series != self.series:
            self.series = series
        for name, before in list(self.episodes.items()):
            entries = tuple(entry for entry in before.entries if entry[1] not in observations)
            if entries != before.entries:
                self._keep(name, before, replace(before, entries=entries))
        self.withdraw(lambda _, one: bool(one.counted) and observations.issuperset((*one.counted, *one.since)))

    def check_plan(self) -> None:
        """A care plan that does not read is a technical alert for as long as templates judge in its place (R45)."""
        before = self.episodes.get(CARE_PLAN)
        if before is None and self.plan.unreadable is not None:
            self._keep(CARE_PLAN, _IDLE, self._unreadable(self.plan.unreadable))
        elif before is not None and self.plan.unreadable is None:
            self._end(before, "recovered", self.now, "resolved")
            self._keep(CARE_PLAN, before, _IDLE)

    def _is_gone(self, name: str, _: Episode) -> bool:
        """True of an episode whose rule the plan no longer has."""
        if name.startswith(NO_DATA):
            return name.removeprefix(NO_DATA) not in self.plan.rules
        return name not in self.plan.by_id and name != CARE_PLAN

    def miss(self, tick: Tick) -> None:
        """Raise what has not arrived for too long; a kind that was never heard, since the plan is in force."""
        local = _moment(self.now).astimezone(self.plan.zone)
        for rule in self.plan.missing:
            heard = tick.heard.get(rule.kind, self.plan.since)
            if heard is None or rule.missing_for is None or rule.id in self.episodes:
                continue
            if self.now - _milliseconds(heard) > rule.missing_for and (
                rule.active is None or rule.active.covers(local)
            ):
                self._keep(rule.id, _IDLE, self._technical(rule, str(_milliseconds(heard))))

    def hear(self, observation: Observation) -> None:
        """Whatever arrives of a kind ends that it was missing, however old or poor: it is the silence that is over."""
        silences = [rule.id for rule in self.plan.missing if rule.kind == observation.kind]
        for name in (*silences, NO_DATA + observation.kind):
            before = self.episodes.get(name)
            if before is not None:
                self._end(before, "recovered", self.now, "resolved")
                self._keep(name, before, _IDLE)

    def read(self, observation: Observation) -> None:
        rules = self.plan.rules.get(observation.kind)
        if rules is None:
            self.decisions.append(Decision(observation.id, None, None, "idle", "idle", "within-limits"))
            return
        at = _milliseconds(observation.measured_at)
        medical = _MEDICAL if observation.device_class == "medical" else 0
        decide = self.decisions.append
        useless: Why | None = None
        if observation.flags or observation.tags:
            useless = _useless(observation)
        if useless is None and self.plan.kept:
            self._remember(observation, at)
        for rule in rules:
            held = self._held(rule, observation, at)
            if held is None:  # null is no zero, and a rule for another value is another rule (C23)
                continue
            before = self.episodes.get(rule.id, _IDLE)
            breached, recovered = held
            if useless is None and (breached or before is not _IDLE):
                verdict = medical | (_BREACH if breached else _RECOVERY if recovered else 0)
                after, why = self._move(rule, before, (at, observation.id, verdict), observation)
                self._keep(rule.id, before, after)
                decide(Decision(observation.id, rule.id, rule.plan_version, before.stage, after.stage, why))
            else:
                stage = before.stage
                why = useless or "within-limits"
                decide(Decision(observation.id, rule.id, rule.plan_version, stage, stage, why))

    def _held(self, rule: Rule, observation: Observation, at: int) -> tuple[bool, bool] | None:
        """Whether the rule is breached, and whether it has recovered; None if the reading says nothing of it."""
        if rule.condition is None:
            value = observation.values.get(rule.value)
            return None if value is None else (rule.breached(value), rule.recovered(value))
        if all(observation.values.get(value) is None for kind, value in rule.places if kind == observation.kind):
            return None
        held = holds(rule.condition, self.series, at, self.plan.zone)
        return held is True, held is False

    def _remember(self, observation: Observation, at: int) -> None:
        """Put the reading's values among the points that rules look back at, once each, and forget what none needs."""
        changed: dict[Place, tuple[Point, ...]] = {}
        for name, value in observation.values.items():
            place = observation.kind, name
            known = self.series.get(place, ())
            if place not in self.plan.kept or any(point[:2] == (at, observation.id) for point in known):
                continue
            points = sorted((*known, (at, observation.id, value)))
            oldest = points[-1][0] - self.plan.kept[place]
            kept = tuple(point for point in points if point[0] >= oldest)[-_KEPT_POINTS:]
            if kept != known:
                changed[place] = kept
        if changed:
            needed = {place: points for place, points in self.series.items() if place in self.plan.kept}
            self.series = needed | changed

    def expire(self) -> None:
        """What was to be measured again and was not in time is taken for true; unasked, it lapses."""
        for name, before in list(self.episodes.items()) if self.episodes else ():
            rule = self.plan.by_id.get(name)
            if before.stage != "confirming" or rule is None or rule.confirm is None:
                continue
            if self.now > before.arrived + rule.confirm.within:
                after = self._unanswered(before, rule.confirm)
                self._keep(name, before, after)
                why = self._why(after, "persisting")
                self.decisions.append(Decision(None, name, rule.plan_version, before.stage, after.stage, why))

    def remind(self) -> None:
        """Tell what a snooze or quiet hours held back, and repeat what stands; of stale data, that none came (C22)."""
        for name, before in list(self.episodes.items()) if self.episodes else ():
            alert, rule = before.alert, self.plan.by_id.get(name)
            if alert is None or before.stage != "active" or alert.acknowledged is not None or alert.id in self.alerts:
                continue
            told = before.owed or self._due(rule, before)
            if told is None or self._silent(alert) is not None:
                continue
            if told == "repeated" and rule is not None and self.now - before.last[0] > rule.fresh_for:
                self._no_data(rule, before)
                continue
            repeats = before.repeats + (before.owed is None)
            after = self._publish(replace(before, owed=None, repeats=repeats), told, snoozed_until=None)
            self._keep(name, before, after)
            self.decisions.append(Decision(None, name, alert.plan_version, before.stage, after.stage, None))

    def _due(self, rule: Rule | None, episode: Episode) -> Told | None:
        """A rule may ask for reminders until somebody takes the alert on, but not for ever (C7)."""
        if rule is None or rule.repeat is None or episode.repeats >= rule.repeat.at_most:
            return None
        return "repeated" if self.now - episode.told_at >= rule.repeat.every else None

    def _no_data(self, rule: Rule, episode: Episode) -> None:
        """What cannot be repeated, since nothing was measured that would still say so, is that nothing was measured."""
        name = NO_DATA + rule.kind
        known = any(one.id in self.episodes for one in self.plan.missing if one.kind == rule.kind)
        if not known and name not in self.episodes:
            severity: Severity = "info" if rule.severity == "info" else "warning"
            silence = replace(rule, id=name, value="missing_for", severity=severity, family=name)
            self._keep(name, _IDLE, self._technical(silence, f"{rule.id}/{episode.last[0]}"))

    def uncover(self) -> None:
        """Show what an alert of the family has covered, the worst first, once that alert is no longer open.

        Quietly when the covering alert has resolved (grading down); told when it was not confirmed.
        """
        hidden = [name for name, one in self.episodes.items() if one.stage != "idle" and one.alert is None]
        quiet = {alert.family for alert in self.alerts.values() if alert.outcome == "resolved"}
        for name in sorted(hidden, key=lambda one: -RANK[self.episodes[one].severity]):
            rule, episode = self.plan.by_id.get(name), self.episodes[name]
            if rule is not None and not _is_held(rule, episode) and not self._covered(rule, episode):
                self._keep(name, episode, self._raise(rule, episode, tell=rule.family not in quiet))

    def tidied(self) -> Mapping[str, Episode]:
        """The episodes without what is idle and has been for long: rules come and go with versions of the plan."""
        return {
            rule: episode
            for rule, episode in self.episodes.items()
            if episode.stage != "idle" or self.now - _newest(episode) < _FORGOTTEN
        }

    def _keep(self, rule: str, before: Episode, after: Episode) -> None:
        if after is before or after == before:
            return
        if self.changed is None:
            self.episodes = self.changed = dict(self.episodes)
        if after == _IDLE:
            self.changed.pop(rule, None)
        else:
            self.changed[rule] = after

    def _move(self, rule: Rule, episode: Episode, entry: Entry, observation: Observation) -> tuple[Episode, Why | None]:
        """`episode` moved by one reading, and why nobody was told."""
        arrived = _milliseconds(observation.received_at)
        if episode.stage != "idle":
            after, why = self._follow(rule, episode, entry, arrived)
            return after, self._why(after, why)
        at, _, verdict = entry
        breached = bool(verdict & _BREACH)
        stale = self.now - at > rule.fresh_for
        if episode.over is not None and self.now - episode.over > rule.fresh_for:
            episode = replace(episode, over=None, proven=None)  # what is older than that raises nothing anyway
        elif episode.over is not None and at <= episode.over and not _is_worse(rule, episode, entry):
            return episode, "same-episode" if breached else "within-limits"
        if rule.active is not None and not rule.active.covers(observation.measured_at.astimezone(self.plan.zone)):
            return episode, "inactive-hours" if breached else "within-limits"
        run: tuple[Entry, ...] = (entry,) if breached else ()
        later: tuple[Entry, ...] = ()
        if rule.persist is not None:
            if stale and (not episode.entries or entry < episode.entries[0]):  # what lay between may be forgotten
                return episode, "late" if breached else "within-limits"
            entries, run, later = _persisted(rule.persist, episode.entries, entry, self.now - rule.fresh_for)
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
        medical = any(verdict & _MEDICAL for _, _, verdict in run)
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
        if self._covered(rule, episode):
            return episode, "same-episode"
        episode = self._raise(rule, episode, tell=True)
        return episode, self._why(episode, None)

    def _follow(self, rule: Rule, episode: Episode, entry: Entry, arrived: int) -> tuple[Episode, Why | None]:
        """An open episode and one more reading."""
        key, verdict = entry[:2], entry[2]
        fresh = self.now - key[0] <= rule.fresh_for
        if (
            verdict & _BREACH
            and verdict & _MEDICAL
            and fresh
            and not episode.medical
            and key[0] > (episode.proven or 0)
        ):
            episode = self._worsen(rule, episode)
        if episode.stage == "confirming" and rule.confirm is not None:
            return self._answer(rule, episode, rule.confirm, entry, arrived)
        if episode.stage == "confirming":  # a newer plan asks for no answer any more
            episode = self._signal(episode, "unanswered", told="raised")
        if verdict & _RECOVERY:
            return self._recover(rule, episode, key, verdict)
        if key > episode.last:
            relapsed = episode if episode.clear_since is None else self._signal(episode, "relapsed")
            since = (*episode.since, key[1])[-_SINCE:] if verdict & _BREACH else episode.since
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
        if verdict & _BREACH:
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
            return episode, "late" if verdict & _RECOVERY else "same-episode"
        if not verdict & _RECOVERY:
            return replace(episode, last=(at, name)), "same-episode"
        if episode.medical and not verdict & _MEDICAL:
            return episode, "auxiliary-only"
        if in_time or not confirm.ask_again:
            return self._end(episode, "disproved", at, "not-confirmed"), "within-limits"
        return self._recover(rule, self._unanswered(episode, confirm), (at, name), verdict)

    def _recover(self, rule: Rule, episode: Episode, key: Key, verdict: int) -> tuple[Episode, Why | None]:
        """A reading past the bound of recovery. Only what is newer clears, and an auxiliary device nothing medical."""
        if key <= episode.last:
            return episode, "late"
        if episode.medical and not verdict & _MEDICAL:
            return episode, "auxiliary-only"
        since = key[0] if episode.clear_since is None else episode.clear_since
        if key[0] - since >= rule.clear_for:
            return self._end(episode, "recovered", key[0], "resolved"), "within-limits"
        return replace(self._signal(episode, "eased"), last=key, clear_since=since), "within-limits"

    def _confirm(self, rule: Rule, episode: Episode, signal: Signal) -> Episode:
        if episode.alert is not None or self._covered(rule, episode):
            return self._signal(episode, signal, told="raised")
        return self._raise(rule, replace(episode, stage=TRANSITIONS["confirming", signal]), tell=True)

    def _unanswered(self, episode: Episode, confirm: Confirmation) -> Episode:
        if confirm.ask_again:
            return self._signal(episode, "unanswered", told="raised")
        return self._end(episode, "lapsed", episode.last[0], "not-confirmed")

    def _worsen(self, rule: Rule, episode: Episode) -> Episode:
        """A medical device shows what only an auxiliary one had shown: the cap on severity falls."""
        worse = replace(episode, medical=True, severity=rule.severity)
        if episode.alert is None or episode.severity == rule.severity:
            return worse
        told: Told = "measure-again" if episode.stage == "confirming" else "raised"
        return self._publish(worse, told, severity=rule.severity)

    def _signal(self, episode: Episode, signal: Signal, *, told: Told | None = None) -> Episode:
        stage = TRANSITIONS.get((episode.stage, signal))
        if stage is None:
            return episode
        episode = replace(episode, stage=stage)
        if episode.alert is None:
            return episode
        return self._publish(episode, told, state=stage, observations=episode.counted)

    def _end(
        self,
        episode: Episode,
        signal: Signal,
        at: int,
        outcome: Literal["resolved", "not-confirmed"],
        by: str | None = None,
    ) -> Episode:
        if episode.alert is not None:
            self._publish(episode, None, state="resolved", outcome=outcome, resolved_at=_moment(at), resolved_by=by)
        stage = TRANSITIONS[episode.stage, signal]
        over, proven = max(at, episode.over or at), max(at, episode.proven or at) if episode.medical else episode.proven
        return Episode(stage=stage, over=over, proven=proven)  # neither moves back, whatever comes late

    def _raise(self, rule: Rule, episode: Episode, *, tell: bool) -> Episode:
        """The first version of an episode's alert; its id is made from the reading that raised it."""
        at, observation = episode.opened
        told: Told = "measure-again" if episode.stage == "confirming" else "raised"
        return self._show(
            episode,
            Alert(
                id=self._id(rule.id, observation),
                version=1,
                organisation=self.event.organisation,
                subject=self.event.subject,
                rule=rule.id,
                kind=rule.kind,
                value=rule.value,
                family=rule.family,
                severity=episode.severity,
                category="physiological",
                state=episode.stage,  # type: ignore[arg-type]  # an open episode is not idle
                outcome=None,
                raised_at=_moment(at),
                resolved_at=None,
                observation=observation,
                observations=episode.counted,
                plan_version=episode.plan_version,
            ),
            told if tell else None,
        )

    def _unreadable(self, plan_version: str) -> Episode:
        seen = self.event if isinstance(self.event, Observation) else None
        kind = next(iter(self.plan.rules), "") if seen is None else seen.kind
        about = Rule(CARE_PLAN, kind, CARE_PLAN, "warning", CARE_PLAN, plan_version, fresh_for=0)
        return self._technical(about, plan_version, () if seen is None else (seen.id,))

    def _technical(self, rule: Rule, cause: str, observations: tuple[str, ...] = ()) -> Episode:
        """An episode about our machinery or the subject's silence. `cause` tells this one from others of the rule."""
        at = self.now, cause
        version, severity = rule.plan_version, rule.severity
        alert = Alert(
            id=self._id(rule.id, cause),
            version=1,
            organisation=self.event.organisation,
            subject=self.event.subject,
            rule=rule.id,
            kind=rule.kind,
            value=rule.value,
            family=rule.family,
            severity=severity,
            category="technical",
            state="active",
            outcome=None,
            raised_at=_moment(self.now),
            resolved_at=None,
            observation=observations[0] if observations else "",
            observations=observations,
            plan_version=version,
        )
        opened = Episode("active", (), at, at, counted=observations, severity=severity, plan_version=version)
        return self._show(opened, alert, "raised")

    def _publish(self, episode: Episode, told: Told | None, **changes: Any) -> Episode:
        """A new version of an episode's alert: one a step, however much happens in it."""
        alert = episode.alert
        assert alert is not None  # noqa: S101 - callers have looked
        earlier = self.alerts.get(alert.id)
        version = alert.version + (earlier is None)
        if told == "raised" and episode.owed != "raised":  # it grew worse: who took it on has not seen that
            changes = {"worse_since": version, "acknowledged": None, "snoozed_until": None} | changes
            episode = replace(episode, repeats=0)
        alert = replace(alert, version=version, **changes)
        if told is None and earlier is not None:
            self.alerts[alert.id] = replace(alert, told=earlier.told, tell=earlier.tell)
            return replace(episode, alert=alert)
        return self._show(episode, alert, told)

    def _show(self, episode: Episode, alert: Alert, told: Told | None) -> Episode:
        """Put out `alert`; the episode keeps it without whom this version told, and what is still to be told."""
        silent = None if told is None else self._silent(alert)
        if silent is not None:
            self.silenced[alert.id] = silent
            if silent == "snoozed":
                alert = replace(alert, snoozed_until=_moment(self.snoozes[alert.family].until))
            self.alerts[alert.id] = alert
            return replace(episode, alert=alert, owed="raised")
        if told is None:
            self.alerts[alert.id] = alert
            return replace(episode, alert=alert)
        tell = ("doctor", "duty") if alert.rule == CARE_PLAN else self.plan.told_first
        self.alerts[alert.id] = replace(alert, told=told, tell=tell)
        return replace(episode, alert=alert, told_at=self.now, owed=None)

    def _silent(self, alert: Alert) -> Why | None:
        """Why nobody may be told of `alert` now. What is worse than what was snoozed breaks through (C2, R49)."""
        snoozed = self.snoozes.get(alert.family)
        if snoozed is not None and self.now < snoozed.until and RANK[alert.severity] <= RANK[snoozed.severity]:
            return "snoozed"
        quiet = self.plan.quiet_hours
        if quiet is not None and alert.severity != "critical":
            return "quiet-hours" if quiet.covers(_moment(self.now).astimezone(self.plan.zone)) else None
        return None

    def _covered(self, rule: Rule, episode: Episode) -> bool:
        """True while another open alert of the family is at least as severe."""
        return any(
            other.alert is not None
            and other.alert.family == rule.family
            and other.alert.rule != rule.id
            and RANK[other.alert.severity] >= RANK[episode.severity]
            for other in self.episodes.values()
        )

    def _why(self, episode: Episode, otherwise: Why | None) -> Why | None:
        """Why nobody was told of what this step made of an episode; None when somebody was."""
        if episode.alert is None or (shown := self.alerts.get(episode.alert.id)) is None:
            return otherwise
        return None if shown.told else self.silenced.get(shown.id, otherwise)

    def _id(self, rule: str, raised_by: str) -> str:
        return deterministic_id(self.event.organisation, "alert", self.event.subject, rule, raised_by)


def _useless(observation: Observation) -> Why | None:
    if "recalled" in observation.tags:
        return "recalled"
    return "artefact" if ARTEFACTS.intersection(observation.flags) else None


def _is_held(rule: Rule, episode: Episode) -> bool:
    """Awaiting confirmation that nobody was asked for: no alert until it comes."""
    return episode.stage == "confirming" and rule.confirm is not None and not rule.confirm.ask_again


def _is_worse(rule: Rule, over: Episode, entry: Entry) -> bool:
    """True when a medical device shows what episodes that are over had from auxiliary ones only."""
    at, _, verdict = entry
    medical = bool(verdict & _BREACH and verdict & _MEDICAL)
    return medical and rule.severity == "critical" and at > (over.proven or 0)


def _newest(episode: Episode) -> int:
    return max(episode.over or 0, episode.entries[-1][0] if episode.entries else 0)


def _persisted(
    persist: Persistence, entries: tuple[Entry, ...], entry: Entry, stale: int
) -> tuple[tuple[Entry, ...], tuple[Entry, ...], tuple[Entry, ...]]:
    """`(entries with entry, the run that persisted, what is newer than that run)`; the run is empty if none did.

    Distinct readings count, by measured time: a reading that is known already changes nothing (C16).
    """
    index = bisect_left(entries, entry)
    if any(known[:2] == entry[:2] for known in entries[index : index + 1] + entries[max(index - 1, 0) : index]):
        return entries, (), ()
    kept = (*entries[:index], entry, *entries[index:])
    found = _for_long(kept, index, persist.milliseconds) if persist.milliseconds else _often(kept, index, persist)
    if found is None:
        return _pruned(kept, persist, stale), (), ()
    start, stop = found
    return _pruned(kept, persist, stale), tuple(one for one in kept[start:stop] if one[2] & _BREACH), kept[stop:]


def _for_long(entries: tuple[Entry, ...], index: int, period: int) -> tuple[int, int] | None:
    """The unbroken run of breaches around `index`, if it is at least `period` long."""
    if not entries[index][2] & _BREACH:
        return None
    start = stop = index
    while start and entries[start - 1][2] & _BREACH:
        start -= 1
    while stop + 1 < len(entries) and entries[stop + 1][2] & _BREACH:
        stop += 1
    return (start, stop + 1) if entries[stop][0] - entries[start][0] >= period else None


def _often(entries: tuple[Entry, ...], index: int, persist: Persistence) -> tuple[int, int] | None:
    """The first `of` readings in a row that hold `index` and enough breaches."""
    for start in range(max(index - persist.of + 1, 0), index + 1) if entries[index][2] & _BREACH else ():
        breaches = [at for at, one in enumerate(entries[start : start + persist.of], start) if one[2] & _BREACH]
        if len(breaches) >= persist.readings:
            return breaches[0], breaches[-1] + 1
    return None


def _pruned(entries: tuple[Entry, ...], persist: Persistence, stale: int) -> tuple[Entry, ...]:
    """What may still count: nothing before the first breach, and of what is stale only what the window needs.

    What is fresh stays, so that a repeat is known for one; of more than 64 entries, those go that say nothing new.
    """
    kept = list(entries)
    if persist.milliseconds:
        needed = min(kept[-1][0] - persist.milliseconds, stale)
        while len(kept) > 1 and kept[1][0] <= needed:
            del kept[0]
    else:
        while len(kept) > 2 * persist.of and kept[0][0] < stale:
            del kept[0]
    while kept and not kept[0][2] & _BREACH:
        del kept[0]
    if len(kept) > _KEPT_ENTRIES:
        inner = (i for i in range(1, len(kept) - 1) if kept[i - 1][2] == kept[i][2] == kept[i + 1][2])
        del kept[next(inner, 0)]
    return tuple(kept)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def dump(state: State) -> str:
    """`state` as JSON, with the version of its format; what is as in an idle episode is left out."""
    episodes = {
        rule: {name: _plain(value) for name, value in _facts(episode).items() if value != getattr(_IDLE, name)}
        for rule, episode in state.episodes.items()
    }
    stored: dict[str, Any] = {"v": STATE_FORMAT, "episodes": episodes}
    if state.series:
        stored["series"] = {
            "/".join(place): [(at, name, str(value)) for at, name, value in points]
            for place, points in state.series.items()
        }
    if state.snoozes:
        stored["snoozes"] = {
            family: [one.until, one.severity, one.actor, one.reason] for family, one in state.snoozes.items()
        }
    return json.dumps(stored, separators=(",", ":"))


def load(text: str) -> State:
    """The state that `dump` wrote. Raises ValueError for a format that this engine does not know."""
    stored = json.loads(text)
    if stored["v"] != STATE_FORMAT:
        raise ValueError(f"state of format {stored['v']}: this engine reads {STATE_FORMAT}")
    return State(
        {rule: _episode(facts) for rule, facts in stored["episodes"].items()},
        {_place(name): _points(points) for name, points in stored.get("series", {}).items()},
        {family: Snoozed(*facts) for family, facts in stored.get("snoozes", {}).items()},
    )


def _place(name: str) -> Place:
    kind, _, value = name.partition("/")
    return kind, value


def _points(stored: list[list[Any]]) -> tuple[Point, ...]:
    return tuple((at, name, Decimal(value)) for at, name, value in stored)


def _facts(episode: Episode) -> dict[str, Any]:
    return {name: getattr(episode, name) for name in Episode.__dataclass_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, Alert | Acknowledged):
        return value
    facts = {name: getattr(value, name) for name in value.__dataclass_fields__ if name not in ("tell", "told")}
    return {name: _plain(fact) for name, fact in facts.items() if fact is not None}


def _episode(facts: dict[str, Any]) -> Episode:
    """An episode from its JSON: lists become tuples, and texts times."""
    for name in ("opened", "last", "counted", "since"):
        if name in facts:
            facts[name] = tuple(facts[name])
    if "entries" in facts:
        facts["entries"] = tuple((at, name, verdict) for at, name, verdict in facts["entries"])
    if "alert" in facts:
        facts["alert"] = _alert(facts["alert"])
    return Episode(**facts)


def _alert(facts: dict[str, Any]) -> Alert:
    taken = facts.get("acknowledged")
    times = {name: datetime.fromisoformat(facts[name]) for name in ("raised_at", "snoozed_until") if name in facts}
    return Alert(
        **{"outcome": None, "resolved_at": None}
        | facts
        | times
        | {
            "observations": tuple(facts["observations"]),
            "acknowledged": taken and Acknowledged(**taken | {"at": datetime.fromisoformat(taken["at"])}),
        }
    )
