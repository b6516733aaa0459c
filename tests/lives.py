"""A subject under a plan, and what becomes of it: the engine's tests tell lives of readings, people and clocks."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.alert import Alert, Decision, Event, State, Tick, step
from domain.care_plan import Plan, plan_for
from domain.observation import Observation
from tests.builders import NOW, ORGANISATION, SUBJECT, a_plan_version, a_subject, an_observation

MINUTE = timedelta(minutes=1)


def a_plan(*rules: dict[str, Any], **changes: Any) -> Plan:
    plan = plan_for(a_subject(), [a_plan_version(*rules, **changes)], {}, NOW)
    assert plan is not None
    return plan


def bound(value: float, unit: str = "mm[Hg]") -> dict[str, Any]:
    return {"value": value, "unit": unit}


def at(minute: float) -> datetime:
    return NOW + minute * MINUTE


def reading(minute: float, systolic: float | None, **changes: Any) -> Observation:
    """A systolic pressure measured `minute` minutes after NOW, received as it was measured."""
    values = {"diastolic": Decimal(70)} | ({} if systolic is None else {"systolic": Decimal(str(systolic))})
    facts = {"values": values, "measured_at": at(minute), "received_at": at(minute)}
    return an_observation(**facts | changes)


@dataclass
class Life:
    """A subject under a plan. `told` are (what, rule, severity) in order; `alerts` the newest version of each."""

    plan: Plan | None
    state: State = field(default_factory=State)
    told: list[tuple[str, str, str]] = field(default_factory=list)
    alerts: dict[str, Alert] = field(default_factory=dict)
    versions: list[Alert] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def read(self, observation: Observation, now: datetime | None = None) -> "Life":
        return self._take(step(self.state, observation, self.plan, now or observation.received_at))

    def tick(self, minute: float, **heard: float) -> "Life":
        """The clock moves on; `heard` says when the last reading of a kind arrived (`blood_pressure=5`)."""
        last = {kind.replace("_", "-"): at(when) for kind, when in heard.items()}
        return self.happen(Tick(ORGANISATION, SUBJECT, last), minute)

    def happen(self, event: Event, minute: float) -> "Life":
        return self._take(step(self.state, event, self.plan, at(minute)))

    @property
    def alert(self) -> Alert:
        """The only alert that there ever was."""
        (alert,) = self.alerts.values()
        return alert

    def _take(self, outcome: tuple[State, list[Decision], list[Alert]]) -> "Life":
        self.state, self.decisions, alerts = outcome
        for alert in alerts:
            assert bool(alert.told) == bool(alert.tell)
            before = self.alerts.get(alert.id)
            assert alert.version == (before.version + 1 if before else 1)
            self.alerts[alert.id] = alert
            self.versions.append(alert)
            if alert.told:
                self.told.append((alert.told, alert.rule, alert.severity))
        return self

    def stages(self) -> dict[str, str]:
        return {name: one.stage for name, one in self.state.episodes.items() if one.stage != "idle"}

    def why(self) -> dict[str | None, str | None]:
        return {decision.rule: decision.why for decision in self.decisions}

    def outcomes(self) -> list[tuple[str, str, str | None]]:
        return [(alert.rule, alert.state, alert.outcome) for alert in self.alerts.values()]


def lived(plan: Plan, *readings: tuple[float, float]) -> Life:
    life = Life(plan)
    for minute, systolic in readings:
        life.read(reading(minute, systolic))
    return life
