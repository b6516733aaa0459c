"""One step under way: the episodes as it changes them, the alerts that it puts out, and who may be told of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from domain.care_plan import Plan, Rule
from domain.episode import (
    IDLE,
    TRANSITIONS,
    Alert,
    Decision,
    Episode,
    Event,
    Signal,
    Snoozed,
    State,
    Told,
    Why,
    moment,
)
from domain.identity import deterministic_id
from domain.plan_language import RANK
from domain.tally import Tally
from domain.trend import Place, Point

PLAN_UNREADABLE = "plan.unreadable"
"""The rule of the technical alert that a stored care plan does not read, so that templates judge in its place (R45)."""

_TEAM = ("doctor", "duty")
_FORGOTTEN = 30 * 24 * 3600 * 1000


class Turn:
    """`episodes` are those of before until one changes; `alerts` holds one new version of each."""

    __slots__ = (
        "alerts", "changed", "decisions", "episodes", "event", "now",
        "plan", "series", "silenced", "snoozes", "tallies",
    )  # fmt: skip

    def __init__(self, state: State, event: Event, plan: Plan, now: int) -> None:
        self.episodes = state.episodes
        self.series: Mapping[Place, tuple[Point, ...]] = state.series
        self.tallies: Mapping[Place, Tally] = state.tallies
        self.snoozes: Mapping[str, Snoozed] = state.snoozes
        self.changed: dict[str, Episode] | None = None
        self.event = event
        self.plan = plan
        self.now = now
        self.decisions: list[Decision] = []
        self.alerts: dict[str, Alert] = {}
        self.silenced: dict[str, Why] = {}

    def outcome(self, before: State) -> tuple[State, list[Decision], list[Alert]]:
        if (
            self.changed is None
            and self.tallies is before.tallies
            and self.series is before.series
            and self.snoozes is before.snoozes
        ):
            return before, self.decisions, []
        state = State(self._tidied(), self.series, self.tallies, self.snoozes)
        return state, self.decisions, list(self.alerts.values())

    def _tidied(self) -> Mapping[str, Episode]:
        """The episodes without what is idle and has been for long: rules come and go with versions of the plan."""
        return {
            rule: episode
            for rule, episode in self.episodes.items()
            if episode.stage != "idle" or self.now - _newest(episode) < _FORGOTTEN
        }

    def keep(self, rule: str, before: Episode, after: Episode) -> None:
        if after is before or after == before:
            return
        if self.changed is None:
            self.episodes = self.changed = dict(self.episodes)
        if after == IDLE:
            self.changed.pop(rule, None)
        else:
            self.changed[rule] = after

    def decide(self, rule: str, plan_version: str, before: Episode, after: Episode, why: Why | None) -> None:
        """… on what the clock or another alert brought about, not a reading."""
        self.decisions.append(Decision(rule, plan_version, before.stage, after.stage, why, by_clock=True))

    def why(self, episode: Episode, otherwise: Why | None) -> Why | None:
        """Why nobody was told of what this step made of an episode; None when somebody was."""
        if episode.alert is None or (shown := self.alerts.get(episode.alert.id)) is None:
            return otherwise
        return None if shown.told is not None else self.silenced.get(shown.id, otherwise)

    # an alert's versions

    def raised(self, rule: Rule, episode: Episode, *, tell: bool) -> Episode:
        """The first version of an episode's alert; its id is made from the reading that raised it."""
        at, observation = episode.opened
        told: Told = "measure-again" if episode.stage == "confirming" else "raised"
        alert = self._first(rule, episode, observation, episode.counted, "physiological", at)
        episode = replace(episode, told_at=self.now)  # untold, people know of the event all the same
        return self._show(episode, alert, told if tell else None)

    def technical(self, rule: Rule, cause: str, observations: tuple[str, ...] = ()) -> Episode:
        """An episode about our machinery or the subject's silence. `cause` tells this one from others of the rule."""
        at = self.now, cause
        version, severity = rule.plan_version, rule.severity
        opened = Episode("active", (), at, at, self.now, observations, severity=severity, plan_version=version)
        return self._show(opened, self._first(rule, opened, cause, observations, "technical", self.now), "raised")

    def _first(
        self,
        rule: Rule,
        episode: Episode,
        cause: str,
        observations: tuple[str, ...],
        category: Literal["physiological", "technical"],
        at: int,
    ) -> Alert:
        shown = cause if category == "physiological" else "".join(observations[:1])
        organisation, subject = self.event.organisation, self.event.subject
        return Alert(
            id=deterministic_id(organisation, "alert", subject, rule.id, cause),
            version=1,
            organisation=organisation,
            subject=subject,
            rule=rule.id,
            kind=rule.kind,
            value=rule.value,
            family=rule.family,
            severity=episode.severity,
            category=category,
            state=episode.stage,  # type: ignore[arg-type]  # an open episode is not idle
            outcome=None,
            raised_at=moment(at),
            resolved_at=None,
            observation=shown,
            observations=observations,
            plan_version=episode.plan_version,
        )

    def signal(self, episode: Episode, signal: Signal, *, told: Told | None = None) -> Episode:
        stage = TRANSITIONS.get((episode.stage, signal))
        if stage is None:
            return episode
        episode = replace(episode, stage=stage)
        if episode.alert is None:
            return episode
        return self.publish(episode, told, state=stage, observations=episode.counted)

    def end(
        self,
        episode: Episode,
        signal: Signal,
        at: int,
        outcome: Literal["resolved", "not-confirmed"],
        by: str | None = None,
    ) -> Episode:
        """The episode over at `at`: what was measured until then raises nothing again, whatever comes late."""
        if episode.alert is not None:
            self.publish(episode, None, state="resolved", outcome=outcome, resolved_at=moment(at), resolved_by=by)
        over = max(at, episode.over or at)
        proven = max(at, episode.proven or at) if episode.medical else episode.proven
        return Episode(stage=TRANSITIONS[episode.stage, signal], over=over, proven=proven)

    def publish(self, episode: Episode, told: Told | None, *, again: bool = False, **changes: Any) -> Episode:
        """A new version of an episode's alert: one a step, however much happens in it.

        Whom there is something to tell, it grew worse for: who took it on has not seen that (R57); unless it is told
        `again`.
        """
        alert = episode.alert
        assert alert is not None  # noqa: S101 - callers have looked
        earlier = self.alerts.get(alert.id)
        version = alert.version + (earlier is None)
        if told is not None and not again:
            changes = {"worse_since": version, "acknowledged": None, "snoozed_until": None} | changes
            episode = replace(episode, repeats=0)
        alert = replace(alert, version=version, **changes)
        if told is None and earlier is not None:
            self.alerts[alert.id] = replace(alert, told=earlier.told, tell=earlier.tell)
            return replace(episode, alert=alert)
        return self._show(episode, alert, told)

    def _show(self, episode: Episode, alert: Alert, told: Told | None) -> Episode:
        """Put out `alert`; the episode keeps it without whom this version told, and what is still to be told."""
        silent = None if told is None else self.silent(alert)
        if silent is not None:
            self.silenced[alert.id] = silent
            if silent == "snoozed":
                alert = replace(alert, snoozed_until=moment(self.snoozes[alert.family].until))
            self.alerts[alert.id] = alert
            return replace(episode, alert=alert, owed="raised")
        if told is None:
            self.alerts[alert.id] = alert
            return replace(episode, alert=alert)
        tell = _TEAM if alert.rule == PLAN_UNREADABLE else self.plan.told_first
        self.alerts[alert.id] = replace(alert, told=told, tell=tell)
        return replace(episode, alert=alert, told_at=self.now, owed=None)

    # who is told

    def is_told(self, alert: Alert) -> bool:
        """True when this step has told people of it."""
        shown = self.alerts.get(alert.id)
        return shown is not None and shown.told is not None

    def silent(self, alert: Alert) -> Why | None:
        """Why nobody may be told of `alert` now. What is worse than what was snoozed breaks through (C2, R49)."""
        snoozed = self.snoozes.get(alert.family)
        if snoozed is not None and self.now < snoozed.until and RANK[alert.severity] <= RANK[snoozed.severity]:
            return "snoozed"
        quiet = self.plan.quiet_hours
        if quiet is None or alert.severity == "critical":
            return None
        return "quiet-hours" if quiet.covers(moment(self.now).astimezone(self.plan.zone)) else None

    def covered(self, rule: Rule, episode: Episode) -> bool:
        """True while another open alert of the family is at least as severe."""
        return any(
            other.alert is not None
            and other.alert.family == rule.family
            and other.alert.rule != rule.id
            and RANK[other.alert.severity] >= RANK[episode.severity]
            for other in self.episodes.values()
        )


def _newest(episode: Episode) -> int:
    return max(episode.over or 0, episode.entries[-1][0] if episode.entries else 0)
