"""The same step folded over stored readings: with the clock's own turns, and from any point on."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.alert import Decision
from domain.care_plan import Plan, plan_for
from domain.observation import Observation
from domain.retrospect import memory, retrace
from tests.builders import NOW, a_plan_version, a_rule, a_subject, an_observation

MINUTE = timedelta(minutes=1)
ASK = {"readings": 2, "within": "PT10M", "ask_again": True}
SILENT = {"id": "silent", "kind": "blood-pressure", "severity": "warning", "when": {"missing_for": "PT2H"}}


def a_plan(*rules: dict[str, Any]) -> Plan:
    plan = plan_for(a_subject(time_zone="UTC"), [a_plan_version(*rules)], {}, NOW)
    assert plan is not None
    return plan


def reading(minute: float, systolic: int, **changes: Any) -> Observation:
    at = NOW + minute * MINUTE
    values = {"systolic": Decimal(systolic), "diastolic": Decimal(70)}
    return an_observation(**{"values": values, "measured_at": at, "received_at": at} | changes)


def happened(plan: Plan | None, readings: Sequence[Observation], *, until: float = 600) -> list[tuple[float, str, str]]:
    """`(minute, rule, state)` of each new version of an alert."""
    return [
        ((turn.now - NOW) / MINUTE, alert.rule, alert.state)
        for turn in retrace(readings, lambda _, __: plan, until=NOW + until * MINUTE)
        for alert in turn.alerts
    ]


def test_nobody_answers_and_the_clock_says_so() -> None:
    found = happened(a_plan(a_rule(confirm=ASK)), [reading(0, 190), reading(300, 120)])
    assert [(rule, state) for _, rule, state in found] == [
        ("sbp-crisis", "confirming"),
        ("sbp-crisis", "active"),
        ("sbp-crisis", "resolved"),
    ]
    assert found[1][0] == pytest.approx(10, abs=0.01)


def test_the_clock_runs_on_after_the_last_reading() -> None:
    plan = a_plan(a_rule(confirm=ASK))
    assert len(happened(plan, [reading(0, 190)], until=5)) == 1
    assert len(happened(plan, [reading(0, 190)], until=15)) == 2


def test_c17_silence_is_noticed_when_its_time_comes() -> None:
    found = happened(a_plan(SILENT), [reading(0, 120), reading(60, 120), reading(400, 120)], until=410)
    assert [(rule, state) for _, rule, state in found] == [("silent", "active"), ("silent", "resolved")]
    assert found[0][0] == pytest.approx(180, abs=0.01)


def test_a_rule_that_sleeps_notices_silence_when_it_wakes() -> None:
    rule = SILENT | {"active": {"from": "15:00", "to": "16:00"}}
    ((minute, _, state),) = happened(a_plan(rule), [reading(0, 120)])
    assert (state, 360 <= minute < 420) == ("active", True)  # NOW is 09:00


def test_a_rule_that_a_new_plan_no_longer_has_waits_for_nothing() -> None:
    asking, other = a_plan(a_rule(confirm=ASK)), a_plan(a_rule(id="other"))
    readings = [reading(0, 190), reading(5, 120)]
    turns = retrace(readings, lambda known_at, _: asking if known_at == NOW else other, until=NOW + 60 * MINUTE)
    assert [alert.state for turn in turns for alert in turn.alerts] == ["confirming"]


def test_r46_a_plan_that_is_put_ends_what_its_rules_no_longer_ask() -> None:
    asking, other = a_plan(a_rule(confirm=ASK)), a_plan(a_rule(id="other"))
    put, again = NOW + 5 * MINUTE, NOW - 5 * MINUTE
    turns = retrace(
        [reading(0, 190), reading(20, 120)],
        lambda known_at, _: asking if known_at < put else other,
        until=NOW + 60 * MINUTE,
        changes=[put, again],
    )
    found = [(turn.now, alert.state, alert.outcome) for turn in turns for alert in turn.alerts]
    assert found == [(NOW, "confirming", None), (put, "resolved", "withdrawn")]


def test_without_a_plan_nobody_is_told_and_it_says_so() -> None:
    one = reading(0, 190)
    (turn,) = retrace([one], lambda _, __: None, until=NOW)
    assert turn.decisions == [Decision(None, None, "idle", "idle", "no-plan")]
    assert list(retrace([], lambda _, __: None, until=NOW)) == []


@pytest.mark.parametrize(
    ("rule", "least"),
    [
        (a_rule(fresh_for="PT6H"), timedelta(hours=6)),
        (a_rule(confirm=ASK | {"within": "P1D"}), timedelta(days=1)),
        (a_rule(persist={"for": "P2D"}), timedelta(days=2)),
        (a_rule(persist={"readings": 8, "of": 12}), timedelta(days=30)),
        (
            a_rule(severity="warning", when={"average_at_or_above": {"value": 135, "unit": "mm[Hg]", "over": "P7D"}}),
            timedelta(days=7),
        ),
    ],
    ids=["fresh", "confirm", "persist", "distinct readings", "a mean"],
)
def test_what_may_matter_is_remembered(rule: dict[str, Any], least: timedelta) -> None:
    assert least <= memory(a_plan(rule)) <= 3 * least


def test_a_plan_without_rules_remembers_nothing() -> None:
    assert memory(a_plan(SILENT)) == timedelta(0)
