"""The golden scenarios (tests/scenarios): each told event by event, with an engine that forgets all but its state."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.programmes import programmes
from domain.alert import (
    Acknowledge,
    Alert,
    ConsentWithdrawn,
    Decision,
    Event,
    PlanChanged,
    Recalled,
    Resolve,
    Snooze,
    State,
    Tick,
    dump,
    load,
    step,
)
from domain.care_plan import Plan, plan_for
from domain.observation import Observation
from tests.builders import ORGANISATION, SUBJECT, a_plan_version, a_subject, an_observation

WHO = (ORGANISATION, SUBJECT)
FOLDER = Path(__file__).parents[1] / "scenarios"


def scenarios() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*.json")):
        for one in json.loads(path.read_text(encoding="utf-8"))["scenarios"]:
            yield pytest.param(one, id="-".join([path.stem, one["id"], *map(str.lower, one.get("cases", ()))]))


def _plan(given: dict[str, Any], zone: str, number: int) -> Plan:
    """What a scenario, or an event of one, says of the plan: the doctor's own or a programme's template."""
    if "programme" in given:
        found = plan_for(a_subject(programmes=(given["programme"],), time_zone=zone), [], programmes(), _LATER)
    else:
        body = {name: value for name, value in given["plan"].items() if name != "rules"}
        version = a_plan_version(*given["plan"]["rules"], version=number, **body)
        found = plan_for(a_subject(time_zone=zone), [version], {}, _LATER)
    assert found is not None
    assert found.unreadable is None, "the plan does not read"
    return found


_LATER = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class Patient:
    """Whom a scenario is about, and how far it has come."""

    start: datetime
    zone: str
    plan: Plan
    plans: int = 1
    state: State = field(default_factory=State)
    alerts: dict[str, Alert] = field(default_factory=dict)
    readings: dict[str, Observation] = field(default_factory=dict)
    heard: dict[str, datetime] = field(default_factory=dict)

    def at(self, text: str) -> datetime:
        sign = -1 if text.startswith("-") else 1
        hours, minutes, *seconds = (int(part) for part in text.removeprefix("-").split(":"))
        return self.start + sign * timedelta(hours=hours, minutes=minutes, seconds=sum(seconds))

    def happen(self, said: dict[str, Any]) -> tuple[list[str], list[Decision]]:
        """What people were told because of it, and every decision."""
        now = self.at(said["at"])
        state, decisions, alerts = step(self.state, self._event(said, now), self.plan, now)
        self.state = load(dump(state))
        assert self.state == state
        self.alerts |= {alert.id: alert for alert in alerts}
        return sorted(f"{one.told} {one.rule} {one.severity}" for one in alerts if one.told), decisions

    def _event(self, said: dict[str, Any], now: datetime) -> Event:
        (name,) = said.keys() & _EVENTS
        given = said[name]
        match name:
            case "reading" | "again":
                return self._reading(given, now) if name == "reading" else self.readings[given]
            case "tick":
                return Tick(*WHO, self.heard)
            case "plan" | "programme":
                self.plans += 1
                self.plan = _plan(said, self.zone, self.plans)
                return PlanChanged(*WHO)
            case "consent":
                return ConsentWithdrawn(*WHO)
            case "recall":
                return Recalled(*WHO, frozenset(self.readings[one].id for one in given))
        alert = next(one for one in self.alerts.values() if one.rule == given["rule"] and one.state != "resolved")
        seen = (*WHO, alert.id, given.get("version", alert.version), "doc-12")
        if name == "acknowledge":
            return Acknowledge(*seen)
        return Resolve(*seen, "seen") if name == "resolve" else Snooze(*seen, self.at(given["until"]), "seen")

    def _reading(self, given: dict[str, Any], now: datetime) -> Observation:
        self.heard[given["kind"]] = now
        one = an_observation(
            kind=given["kind"],
            values={name: Decimal(str(value)) for name, value in given["values"].items()},
            measured_at=self.at(given["measured"]) if "measured" in given else now,
            received_at=now,
            device=given.get("device", "D-1"),
            device_class=given.get("class", "medical"),
            flags=tuple(given.get("flags", ())),
            tags=frozenset(given.get("tags", ())),
        )
        if "id" in given:
            one = one._replace(id=given["id"])
            self.readings[given["id"]] = one
        return one

    def stage(self, rule: str) -> str:
        episode = self.state.episodes.get(rule)
        return "idle" if episode is None else episode.stage


_EVENTS = {"reading", "again", "tick", "plan", "programme", "consent", "recall", "acknowledge", "resolve", "snooze"}


def _shown(alert: Alert) -> str:
    return " ".join(filter(None, (alert.rule, alert.severity, alert.state, alert.outcome)))


@pytest.mark.parametrize("scenario", [*scenarios()])
def test_r50_a_scenario_goes_as_it_ought_to(scenario: dict[str, Any]) -> None:
    start = datetime.fromisoformat(scenario.get("start", "2026-11-22T09:00:00Z"))
    zone = scenario.get("zone", "Europe/Samara")
    patient = Patient(start, zone, _plan(scenario, zone, 1))
    for number, said in enumerate(scenario["events"]):
        told, decisions = patient.happen(said)
        where = f"event {number} at {said['at']}"
        assert told == sorted(said.get("told", [])), f"{where}: told"
        why = {decision.rule: decision.why for decision in decisions}
        assert {rule: why.get(rule) for rule in said.get("why", {})} == said.get("why", {}), f"{where}: why"
        wanted = said.get("stage", {})
        assert {rule: patient.stage(rule) for rule in wanted} == wanted, f"{where}: stage"
    if "alerts" in scenario:
        assert sorted(map(_shown, patient.alerts.values())) == sorted(scenario["alerts"])


def test_there_are_at_least_150_scenarios_with_names_of_their_own() -> None:
    found = [one.id for one in scenarios()]
    assert len(found) >= 150
    assert len(found) == len(set(found))
