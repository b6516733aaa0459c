"""Alerts about a run of values, about several values at once, and about a silence."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.alert import Decision, Recalled, State, Tick, dump, load, step
from domain.observation import Observation
from tests.builders import NOW, ORGANISATION, SUBJECT, a_rule
from tests.lives import Life, a_plan, at, bound, reading

# runs of values


FALLING = a_rule(
    id="falling", severity="warning", when={"rate_below": {"value": -20, "unit": "mm[Hg]", "over": "PT20M"}}
)  # fmt: skip
FAST_AND_LOW = {
    "id": "shock",
    "severity": "critical",
    "when": {
        "all_of": [
            {"kind": "heart-rate", "value": "rate", "above": bound(100, "/min")},
            {"kind": "blood-pressure", "value": "systolic", "below": bound(100)},
        ]
    },
}


def pulse(minute: float, rate: float) -> Observation:
    return reading(minute, None, kind="heart-rate", values={"rate": Decimal(str(rate))})


def test_c9_a_slope_raises_with_its_third_reading_and_clears_when_it_is_gone() -> None:
    life = Life(a_plan(FALLING)).read(reading(0, 150)).read(reading(10, 130))
    assert (life.told, life.why()) == ([], {"falling": "within-limits"})
    life.read(reading(20, 110))
    assert life.told == [("raised", "falling", "warning")]
    for minute in (30, 40, 50):
        life.read(reading(minute, 110))
    assert life.outcomes() == [("falling", "resolved", "resolved")]


def test_r6_a_slope_sees_a_late_reading_where_it_belongs() -> None:
    life = Life(a_plan(FALLING)).read(reading(0, 150)).read(reading(20, 110))
    assert life.told == []
    life.read(reading(10, 130, received_at=at(21)))
    assert life.told == [("raised", "falling", "warning")]
    life = Life(a_plan(FALLING)).read(reading(0, 150)).read(reading(10, 130)).read(reading(40, 130))
    assert life.read(reading(20, 110, received_at=at(41))).told == [("raised", "falling", "warning")]


MEAN = a_rule(
    id="mean", severity="warning", when={"average_at_or_above": {"value": 135, "unit": "mm[Hg]", "over": "PT40M"}}
)  # fmt: skip


def test_f10_r6_a_mean_counts_each_reading_once_wherever_it_belongs() -> None:
    life = Life(a_plan(MEAN)).read(reading(0, 134)).read(reading(20, 134))
    state = life.state
    assert life.read(reading(20, 134)).state is state
    assert life.read(reading(25, None)).state is state
    assert life.read(pulse(26, 150)).state is state
    assert life.read(reading(10, 138, received_at=at(27))).told == [("raised", "mean", "warning")]
    assert [tally.number for tally in life.state.tallies.values()] == [3]


def sugar(minute: float, glucose: float, kind: str) -> Observation:
    return reading(minute, None, kind=kind, values={"glucose": Decimal(str(glucose))})


def a_mean_of(kind: str, bound_: float) -> dict[str, Any]:
    average = bound(bound_, "mmol/L") | {"over": "PT3H"}
    return a_rule(id=kind, kind=kind, value="glucose", severity="warning", when={"average_at_or_above": average})


@pytest.mark.parametrize("kinds", [("glucose", "cgm"), ("cgm", "glucose")], ids=" before ".join)
def test_f10_each_mean_is_of_its_own_kind_and_none_is_forgotten_for_another(kinds: tuple[str, str]) -> None:
    """A finger prick and a sensor are two series, though both are glucose; each reading tells of one of them."""
    bounds = {"glucose": 11, "cgm": 8}
    life = Life(a_plan(*(a_mean_of(kind, bounds[kind]) for kind in kinds)))
    for minute in (0, 30, 60):
        life.read(sugar(minute, 12, "glucose")).read(sugar(minute + 1, 9, "cgm"))
    assert life.told == [("raised", "glucose", "warning"), ("raised", "cgm", "warning")]
    assert {place[0]: tally.total for place, tally in life.state.tallies.items()} == {"glucose": 36, "cgm": 27}


def test_p8_a_recalled_reading_is_in_no_mean() -> None:
    readings = [reading(minute, systolic) for minute, systolic in ((0, 130), (10, 130), (20, 160))]
    life = Life(a_plan(MEAN)).read(readings[0]).read(readings[1])
    state = life.state
    assert life.happen(Recalled(ORGANISATION, SUBJECT, frozenset({"another"})), 15).state is state
    life.read(readings[2])
    assert life.told == [("raised", "mean", "warning")]
    life.happen(Recalled(ORGANISATION, SUBJECT, frozenset({readings[2].id})), 21)
    assert life.outcomes() == [("mean", "resolved", "withdrawn")]
    assert [tally.total for tally in life.state.tallies.values()] == [Decimal(260)]
    life.happen(Recalled(ORGANISATION, SUBJECT, frozenset(one.id for one in readings)), 22)
    assert life.state.tallies == {}


def test_one_reading_twice_is_one_point() -> None:
    life = Life(a_plan(FALLING)).read(reading(0, 150)).read(reading(20, 110))
    state = life.state
    assert life.read(reading(20, 110)).state is state
    assert [len(points) for points in life.state.series.values()] == [2]


def test_an_artefact_is_no_point() -> None:
    life = Life(a_plan(FALLING)).read(reading(0, 150)).read(reading(10, 20, flags=("movement",))).read(reading(20, 150))
    assert [len(points) for points in life.state.series.values()] == [2]
    assert life.told == []


def test_a_plan_that_looks_at_no_run_keeps_none() -> None:
    life = Life(a_plan(FALLING)).read(reading(0, 150))
    assert life.state.series
    life.plan = a_plan(
        FALLING | {"kind": "weight", "value": "weight", "when": {"deviates": {"mad": 3, "over": "P14D"}}}
    )
    weight = reading(5, None, kind="weight", values={"weight": Decimal(80)})
    assert {*life.read(weight).state.series} == {("weight", "weight")}


def test_what_is_kept_is_bounded_by_time_and_by_count() -> None:
    life = Life(a_plan(FALLING))
    for minute in range(600):
        life.read(reading(minute, 150))
    (points,) = life.state.series.values()
    assert len(points) == 512
    life.read(reading(10_000, 150))
    (points,) = life.state.series.values()
    assert len(points) == 1


def test_a_point_older_than_what_is_kept_changes_nothing() -> None:
    life = Life(a_plan(FALLING)).read(reading(10_000, 150))
    state = life.state
    assert life.read(reading(0, 150, received_at=at(10_001))).state is state


def test_c12_a_condition_of_two_kinds_is_judged_with_either() -> None:
    life = Life(a_plan(FAST_AND_LOW)).read(reading(0, 90))
    assert (life.told, life.why()) == ([], {"shock": "within-limits"})
    assert life.read(pulse(5, 120)).told == [("raised", "shock", "critical")]
    assert life.read(pulse(6, 80)).outcomes() == [("shock", "resolved", "resolved")]
    again = Life(a_plan(FAST_AND_LOW)).read(pulse(0, 120))
    assert again.read(reading(5, 90)).told == [("raised", "shock", "critical")]


def test_c23_a_condition_whose_other_half_is_unknown_neither_raises_nor_clears() -> None:
    life = Life(a_plan(FAST_AND_LOW)).read(reading(0, 90)).read(pulse(5, 120))
    hours = 60 * 10
    life.read(pulse(hours, 120))  # the pressure is stale by now
    assert life.outcomes() == [("shock", "active", None)]
    assert life.read(reading(1, None, received_at=at(hours))).decisions == []


def test_c23_a_condition_that_a_reading_says_nothing_of_hides_no_other_rule() -> None:
    diastolic = a_rule(id="diastolic", severity="warning", value="diastolic", when={"above": bound(60)})
    life = Life(a_plan(FAST_AND_LOW, diastolic)).read(reading(0, None))
    assert life.decisions == [Decision("diastolic", "1", "idle", "active", None)]


def test_c23_a_reading_without_the_value_that_a_condition_asks_for_is_no_word_on_it() -> None:
    """A cuff that told no pulse: the fever of before is not judged anew by it."""
    fast = {"kind": "blood-pressure", "value": "pulse", "above": bound(100, "/min")}
    hot = {"kind": "temperature", "value": "temperature", "above": bound(38, "Cel")}
    fever = {"id": "fever", "severity": "critical", "when": {"all_of": [fast, hot]}}
    life = Life(a_plan(fever)).read(reading(0, None, values={"pulse": Decimal(120)}))
    life.read(reading(1, None, kind="temperature", values={"temperature": Decimal(39)}))
    assert life.told == [("raised", "fever", "critical")]
    assert life.read(reading(2, 120)).decisions == []


def test_a_state_with_points_survives_being_written() -> None:
    life = Life(a_plan(FALLING)).read(reading(0, 150)).read(reading(10, 130.5))
    assert load(dump(life.state)) == life.state


# silence


SILENT = {"id": "silent", "kind": "blood-pressure", "severity": "warning", "when": {"missing_for": "PT3H"}}


def heard(life: Life, minute: float, arrived: float | None) -> Life:
    last = {} if arrived is None else {"blood-pressure": at(arrived)}
    return life._take(step(life.state, Tick(ORGANISATION, SUBJECT, last), life.plan, at(minute)))


def test_c17_c19_silence_is_counted_from_the_last_arrival_by_the_clock() -> None:
    life = heard(Life(a_plan(SILENT)), 180, 0)
    assert life.told == []
    assert heard(life, 180.1, 0).told == [("raised", "silent", "warning")]
    (alert,) = life.alerts.values()
    assert (alert.category, alert.observations, alert.tell) == ("technical", (), ("patient", "doctor"))
    assert len(heard(life, 400, 0).told) == 1


def test_c18_silence_is_not_blocked_by_freshness_and_ends_with_whatever_arrives() -> None:
    life = heard(Life(a_plan(SILENT)), 60 * 24 * 3, 0)
    assert life.told == [("raised", "silent", "warning")]
    life.read(pulse(60 * 24 * 3, 70))
    assert life.outcomes() == [("silent", "active", None)]
    life.read(reading(0, 120, received_at=at(60 * 24 * 3 + 1)))
    assert life.outcomes() == [("silent", "resolved", "resolved")]
    assert life.state == State()


def test_who_was_never_heard_is_silent_since_the_plan_began() -> None:
    effective = NOW.isoformat()
    assert heard(Life(a_plan(SILENT, effective_from=effective)), 180, None).told == []
    assert heard(Life(a_plan(SILENT, effective_from=effective)), 181, None).told == [("raised", "silent", "warning")]


def test_silence_in_hours_in_which_nobody_asks_is_none() -> None:
    """NOW is 13:00 in Samara."""
    asked = a_plan(SILENT | {"active": {"from": "08:00", "to": "14:00"}})
    assert heard(Life(asked), 59, -180).told == [("raised", "silent", "warning")]
    assert heard(Life(asked), 61, -180).told == []


def test_two_silences_are_two_alerts() -> None:
    life = heard(Life(a_plan(SILENT)), 200, 0)
    life.read(reading(201, 120))
    heard(life, 400, 201)
    assert len(life.alerts) == 2


def test_a_programme_cannot_say_since_when_a_subject_is_silent() -> None:
    plan = replace(a_plan(SILENT), since=None)
    assert heard(Life(plan), 10_000, None).told == []
