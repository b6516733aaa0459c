"""A care plan tried on a subject's own past: which alerts, when, and who would have been told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.care_plan import Plan, parse_plan, plan_of
from domain.dry_run import NIGHT, DryRun, as_if_prompt, dry_run
from domain.observation import Observation
from tests.builders import a_care_plan, a_rule, an_observation

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ASK = {"readings": 2, "within": "PT10M", "ask_again": True}
HIGH = a_rule(id="high", severity="warning", when={"at_or_above": {"value": 135, "unit": "mm[Hg]"}})
STEPS = [
    {"after": "PT0S", "to": ["patient", "doctor"]},
    {"after": "PT30M", "to": ["duty"]},
    {"after": "PT2H", "to": ["head"]},
]


def a_plan(*rules: dict[str, Any], **changes: Any) -> Plan:
    return plan_of(parse_plan(a_care_plan(*rules, **changes)), ZoneInfo("UTC"), since=NOON - 100 * HOUR)


def reading(hour: float, systolic: int, **changes: Any) -> Observation:
    at = NOON + hour * HOUR
    values = {"systolic": Decimal(systolic), "diastolic": Decimal(70)}
    return an_observation(**{"values": values, "measured_at": at, "received_at": at} | changes)


def run(plan: Plan, *readings: Observation) -> DryRun:
    return dry_run(as_if_prompt(readings), plan, night=NIGHT, until=NOON + 48 * HOUR)


def told(found: DryRun) -> list[tuple[float, str, tuple[str, ...]]]:
    return [((one.at - NOON) / HOUR, one.what, one.to) for episode in found.episodes for one in episode.tellings]


def test_f6_whole_episodes_with_the_readings_that_would_have_fired() -> None:
    readings = [reading(0, 190), reading(1, 195), reading(2, 120), reading(3, 200)]
    found = run(a_plan(), *readings)
    assert [(one.alert.state, one.alert.outcome) for one in found.episodes] == [
        ("resolved", "resolved"),
        ("active", None),
    ]
    assert [one.readings for one in found.episodes] == [(readings[0],), (readings[3],)]
    assert (found.needing_a_human, found.at_night) == (2, 0)


def test_f6_an_alert_at_night_is_counted_as_such() -> None:
    assert run(a_plan(), reading(0, 190), reading(1, 120), reading(11, 190)).at_night == 1


@pytest.mark.parametrize(
    ("hours", "at", "night"),
    [("22:00-07:00", 22, True), ("22:00-07:00", 31, False), ("01:00-05:00", 25, True), ("01:00-05:00", 29, False)],
    ids=["it begins", "it is over", "after midnight", "not yet over"],
)
def test_the_night_is_what_the_plan_says(hours: str, at: int, night: bool) -> None:
    begins, _, ends = hours.partition("-")
    quiet = NIGHT.model_validate({"from": begins, "to": ends})
    found = dry_run(as_if_prompt([reading(at - 12, 190)]), a_plan(), night=quiet, until=NOON + 48 * HOUR)
    assert found.at_night == night


def test_what_came_late_is_judged_as_if_it_had_come_when_it_was_measured() -> None:
    late = [reading(0, 190, received_at=NOON + 40 * HOUR), reading(1, 120, received_at=NOON + 39 * HOUR)]
    (episode,) = run(a_plan(), *late).episodes
    assert (episode.alert.raised_at, episode.alert.resolved_at) == (NOON, NOON + HOUR)


def test_c8_escalation_goes_on_until_the_episode_is_over() -> None:
    both = ("patient", "doctor")
    assert told(run(a_plan(escalation=STEPS), reading(0, 190), reading(1, 120))) == [
        (0, "raised", both),
        (0.5, "escalated", ("duty",)),
    ]
    assert [at for at, _, _ in told(run(a_plan(escalation=STEPS), reading(0, 190)))] == [0, 0.5, 2]


def test_escalation_begins_when_nobody_has_measured_again() -> None:
    found = told(run(a_plan(a_rule(confirm=ASK), escalation=STEPS), reading(0, 190)))
    assert [(round(at, 2), what) for at, what, _ in found] == [
        (0, "measure-again"),
        (0.17, "raised"),
        (0.67, "escalated"),
        (2.17, "escalated"),
    ]


def test_what_was_not_confirmed_needs_no_human() -> None:
    found = run(a_plan(a_rule(confirm=ASK), escalation=STEPS), reading(0, 190), reading(0.05, 120))
    assert (len(found.episodes), found.needing_a_human) == (1, 0)
    assert [what for _, what, _ in told(found)] == ["measure-again"]


@pytest.mark.parametrize(
    ("rule", "hour", "heard"),
    [(HIGH, 11, 19), (HIGH, 14, 19), (HIGH, 9, 9), (a_rule(), 11, 11)],
    ids=["before midnight", "after midnight", "by day", "C10 a critical one"],
)
def test_c11_quiet_hours_hold_back_what_is_not_critical(rule: dict[str, Any], hour: float, heard: float) -> None:
    found = told(run(a_plan(rule, quiet_hours={"from": "22:00", "to": "07:00"}), reading(hour, 190)))
    assert found == [(heard, "raised", ("patient", "doctor"))]


def test_c7_what_stands_is_told_again_as_often_as_the_rule_says() -> None:
    found = told(run(a_plan(a_rule(repeat={"every": "PT1H", "at_most": 2})), reading(0, 190)))
    assert [(at, what) for at, what, _ in found] == [(0, "raised"), (1, "repeated"), (2, "repeated")]
