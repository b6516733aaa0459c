"""The life of an alert, from single readings to whole episodes."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.alert import CARE_PLAN, TRANSITIONS, Decision, Recalled, State, load
from domain.care_plan import Plan
from tests.builders import NOW, ORGANISATION, SUBJECT, a_rule, an_observation
from tests.lives import Life, a_plan, at, bound, lived, reading

ASK = {"readings": 2, "within": "PT10M", "ask_again": True}
HOLD = {"readings": 2, "within": "PT10M"}


CRISIS = a_rule(id="crisis", family="pressure-high")
HIGH = a_rule(id="high", severity="warning", family="pressure-high", when={"at_or_above": bound(135)})
LOW = a_rule(id="low", severity="warning", when={"below": bound(90)})
CALM = a_rule(id="crisis", clear={"below": bound(170), "for": "PT30M"})
TWICE = a_rule(id="crisis", persist={"readings": 2})


# one reading


@pytest.mark.parametrize(
    ("systolic", "told"),
    [("179.9", []), ("180", [("raised", "crisis", "critical")]), ("250", [("raised", "crisis", "critical")])],
    ids=["below", "on the bound", "far above"],
)
def test_a_crisis_pressure_raises_at_once(systolic: str, told: list[Any]) -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, float(systolic)))
    assert life.told == told
    assert life.why() == {"crisis": None if told else "within-limits"}


def test_p3_an_alert_says_what_raised_it_and_by_which_plan() -> None:
    raising = reading(0, 190)
    life = Life(a_plan(CRISIS)).read(raising)
    (alert,) = life.alerts.values()
    assert (alert.organisation, alert.subject) == (ORGANISATION, SUBJECT)
    assert (alert.rule, alert.kind, alert.value, alert.family) == (
        "crisis",
        "blood-pressure",
        "systolic",
        "pressure-high",
    )
    assert (alert.state, alert.outcome, alert.category) == ("active", None, "physiological")
    assert (alert.observation, alert.observations, alert.plan_version) == (raising.id, (raising.id,), "1")
    assert alert.tell == ("patient", "doctor")


def test_c13_an_alert_stands_in_time_with_its_offset() -> None:
    life = Life(a_plan(CRISIS)).read(
        reading(0, 190, measured_at=datetime.fromisoformat("2026-11-22T13:00:00+04:00"), received_at=NOW)
    )
    assert [alert.raised_at.isoformat() for alert in life.alerts.values()] == ["2026-11-22T09:00:00+00:00"]


def test_the_same_alert_has_the_same_id_wherever_it_is_raised() -> None:
    first, second = (Life(a_plan(CRISIS)).read(reading(0, 190)) for _ in range(2))
    assert [*first.alerts] == [*second.alerts]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [({"organisation": "clinic-b"}, CRISIS), ({"subject": "S-2"}, CRISIS), ({"id": "o-2"}, CRISIS), ({}, HIGH)],
    ids=["of another organisation", "of another subject", "another reading", "by another rule"],
)
def test_r81_what_is_raised_of_anything_else_is_another_alert(changes: dict[str, Any], rule: dict[str, Any]) -> None:
    """Tokens of subjects are the hospitals' own: two may use the same."""
    one = Life(a_plan(CRISIS)).read(reading(0, 190, id="o-1"))
    other = Life(a_plan(rule)).read(reading(0, 190, **{"id": "o-1"} | changes))
    assert {*one.alerts}.isdisjoint(other.alerts)


def test_r71_r102_an_alerts_id_never_shifts() -> None:
    """Hospitals keep it, and a replay in years to come must find the same."""
    assert [*Life(a_plan(CRISIS)).read(reading(0, 190, id="o-1")).alerts] == ["20c6bf26-437b-8fe4-9e8c-fccdf5543878"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"flags": ("movement",)}, "artefact"),
        ({"flags": ("irregular-pulse", "cuff-loose")}, "artefact"),
        ({"tags": frozenset({"recalled"})}, "recalled"),
        ({"tags": frozenset({"entered-in-error"})}, "recalled"),
    ],
    ids=["movement", "cuff-loose", "recalled", "R77 entered in error"],
)
def test_a_reading_that_is_no_evidence_neither_alerts_nor_clears(changes: dict[str, Any], why: str) -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 190, **changes))
    assert (life.state, life.told, life.why()) == (State(), [], {"crisis": why})
    life.read(reading(1, 190))
    before = life.state
    life.read(reading(2, 110, **changes))
    assert (life.state, life.why()) == (before, {"crisis": why})


@pytest.mark.parametrize("changes", [{"flags": ("irregular-pulse",)}, {"tags": frozenset({"late"})}], ids=str)
def test_a_flag_that_is_no_artefact_alerts(changes: dict[str, Any]) -> None:
    assert Life(a_plan(CRISIS)).read(reading(0, 190, **changes)).told == [("raised", "crisis", "critical")]


def test_c23_a_value_that_is_not_there_is_not_zero() -> None:
    life = Life(a_plan(CRISIS, LOW)).read(reading(0, None))
    assert (life.told, life.decisions) == ([], [])
    diastolic = a_rule(id="diastolic", value="diastolic", when={"above": bound(60)})
    assert Life(a_plan(LOW, diastolic)).read(reading(0, None)).told == [("raised", "diastolic", "critical")]


def test_a_reading_that_no_rule_watches_has_a_decision() -> None:
    observation = an_observation(kind="weight", values={"weight": Decimal(80)})
    life = Life(a_plan(CRISIS)).read(observation)
    assert life.decisions == [Decision(None, None, "idle", "idle", "within-limits")]


def test_f7_a_reading_that_no_rule_watches_has_one_beside_an_open_alert_too() -> None:
    life = lived(a_plan(CRISIS), (0, 190)).read(an_observation(kind="weight", values={"weight": Decimal(80)}))
    assert life.decisions == [Decision(None, None, "idle", "idle", "within-limits")]


def test_a_subject_without_a_plan_has_decisions_that_say_so() -> None:
    life = Life(None).read(reading(0, 250))
    assert (life.state, life.why()) == (State(), {None: "no-plan"})
    assert life.tick(1).decisions == []


def test_f7_a_decision_names_reading_rule_plan_and_both_stages() -> None:
    first, second, third = (reading(minute, systolic) for minute, systolic in ((0, 120), (1, 190), (2, 120)))
    life = Life(None).read(first)
    assert life.decisions == [Decision(None, None, "idle", "idle", "no-plan")]
    life.plan = a_plan(CRISIS, version=3)
    life.read(first)
    assert life.decisions == [Decision("crisis", "3", "idle", "idle", "within-limits")]
    life.read(second)
    assert life.decisions == [Decision("crisis", "3", "idle", "active", None)]
    life.read(third)
    assert life.decisions == [Decision("crisis", "3", "active", "idle", "within-limits")]


@pytest.mark.parametrize(
    ("systolic", "hours", "why"),
    [(190, 7, "late"), (120, 7, "within-limits"), (190, 6, "persisting")],
    ids=["a breach that is not fresh", "none that is not fresh", "a breach at the last moment of freshness"],
)
def test_f7_c20_a_late_reading_says_why_nobody_was_told(systolic: float, hours: int, why: str) -> None:
    life = Life(a_plan(TWICE)).read(reading(0, systolic, received_at=at(60 * hours)))
    assert (life.why(), life.told) == ({"crisis": why}, [])


def test_f7_a_reading_that_is_well_again_says_so_while_the_alert_waits_for_more() -> None:
    life = lived(a_plan(CALM), (0, 190), (1, 165))
    assert (life.stages(), life.why()) == ({"crisis": "clearing"}, {"crisis": "within-limits"})


def test_f7_what_the_clock_decides_names_the_plan_too() -> None:
    life = lived(a_plan(a_rule(confirm=ASK), version=3), (0, 185)).tick(11)
    assert life.decisions == [Decision("sbp-crisis", "3", "confirming", "active", None, by_clock=True)]


def test_c23_a_value_that_is_missing_hides_no_other() -> None:
    diastolic = a_rule(id="diastolic", severity="warning", value="diastolic", when={"above": bound(60)})
    assert Life(a_plan(LOW, diastolic)).read(reading(0, None)).told == [("raised", "diastolic", "warning")]


# freshness and order


@pytest.mark.parametrize(("hours", "told"), [(6, 1), (6.001, 0), (100, 0)], ids=["on the bound", "just late", "late"])
def test_c20_a_late_reading_tells_nobody(hours: float, told: int) -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 190), now=at(hours * 60))
    assert len(life.told) == told
    assert life.why() == {"crisis": None if told else "late"}
    assert (life.state == State()) is not bool(told)


def test_a_rule_may_say_how_late_is_late() -> None:
    plan = a_plan(a_rule(id="crisis", fresh_for="PT5M"))
    assert Life(plan).read(reading(0, 190), now=at(5)).told
    assert not Life(plan).read(reading(0, 190), now=at(6)).told


def test_c20_a_back_fill_of_a_day_is_no_storm() -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 120))
    for hour in range(24, 6, -1):
        life.read(reading(-hour * 60, 190 if hour % 2 else 120), now=at(0))
    assert (life.told, life.state) == ([], State())


def test_c21_r6_a_back_fill_retracts_nothing() -> None:
    life = lived(a_plan(CRISIS), (60, 190), (65, 191))
    before = life.state
    for minute in (0, 10, 59, 62):
        life.read(reading(minute, 120), now=at(65))
        assert life.why() == {"crisis": "late"}
    assert life.state == before
    assert life.read(reading(66, 120)).outcomes() == [("crisis", "resolved", "resolved")]


def test_a_back_fill_raises_nothing_again() -> None:
    life = lived(a_plan(CRISIS), (60, 190), (70, 120))
    for minute in (0, 61, 69, 70):
        life.read(reading(minute, 195, device="another"), now=at(71))
        assert life.why() == {"crisis": "same-episode"}
    assert life.read(reading(69, 120), now=at(71)).why() == {"crisis": "within-limits"}
    assert len(life.told) == 1


def test_what_was_over_is_forgotten_when_nothing_that_old_is_fresh() -> None:
    life = lived(a_plan(CRISIS), (0, 190), (10, 120))
    assert life.state != State()
    assert life.read(reading(10 + 6 * 60, 120)).state != State()
    assert life.read(reading(11 + 6 * 60, 120)).state == State()


def test_what_stands_idle_for_rules_of_the_past_is_forgotten() -> None:
    life = lived(a_plan(CRISIS), (0, 190), (10, 120))
    life.plan = a_plan(LOW)
    life.read(reading(20, 80))
    assert {*life.state.episodes} == {"crisis", "low"}
    life.read(reading(31 * 24 * 60, 80))
    assert {*life.state.episodes} == {"low"}


# recovery


@pytest.mark.parametrize(
    ("readings", "stage"),
    [
        ([(0, 185), (10, 175)], "active"),
        ([(0, 185), (10, 169)], "clearing"),
        ([(0, 185), (10, 169), (39, 165)], "clearing"),
        ([(0, 185), (10, 169), (40, 165)], None),
        ([(0, 185), (10, 169), (20, 175), (40, 165)], "clearing"),
        ([(0, 185), (10, 169), (20, 185), (40, 165)], "clearing"),
        ([(0, 185), (10, 169), (20, 185)], "active"),
    ],
    ids=[
        "past the bound, not of recovery",
        "recovering",
        "a minute short",
        "long enough",
        "between the bounds it begins anew",
        "a breach begins it anew",
        "a relapse",
    ],
)
def test_r48_an_episode_ends_past_its_hysteresis_for_long_enough(
    readings: list[tuple[float, float]], stage: str | None
) -> None:
    life = lived(a_plan(CALM), *readings)
    assert life.stages().get("crisis") == stage
    assert [alert.state for alert in life.alerts.values()] == [stage or "resolved"]
    assert len(life.told) == 1


def test_r48_flapping_is_one_alert() -> None:
    life = lived(a_plan(CALM), *((minute, 181 if minute % 2 else 169) for minute in range(60)))
    assert life.told == [("raised", "crisis", "critical")]
    assert len(life.alerts) == 1


def test_recovery_begins_no_sooner_for_what_came_late() -> None:
    life = lived(a_plan(CALM), (0, 185), (10, 165), (20, 165))
    assert life.read(reading(15, 185), now=at(21)).stages() == {"crisis": "clearing"}
    assert life.read(reading(45, 165)).stages() == {"crisis": "clearing"}
    assert life.read(reading(50, 165)).stages() == {}


def test_an_alert_says_when_it_was_over() -> None:
    life = lived(a_plan(CALM), (0, 185), (10, 169), (40, 165))
    (alert,) = life.alerts.values()
    assert (alert.raised_at, alert.resolved_at, alert.version) == (at(0), at(40), 3)


# persistence


@pytest.mark.parametrize(
    ("persist", "readings", "told"),
    [
        ({"for": "PT15M"}, [(0, 185), (5, 185), (10, 185), (14.99, 185)], 0),
        ({"for": "PT15M"}, [(0, 185), (5, 185), (10, 185), (15, 185)], 1),
        ({"for": "PT15M"}, [(0, 185), (5, 185), (10, 120), (15, 185), (20, 185)], 0),
        ({"for": "PT15M"}, [(0, 185), (10, 120), (15, 185), (20, 185), (30, 185)], 1),
        ({"for": "PT15M"}, [(0, 120), (15, 185), (20, 120), (35, 185)], 0),
        ({"readings": 3}, [(0, 185), (1, 185)], 0),
        ({"readings": 3}, [(0, 185), (1, 185), (2, 185)], 1),
        ({"readings": 2, "of": 3}, [(0, 185), (1, 120), (2, 185)], 1),
        ({"readings": 2, "of": 3}, [(0, 185), (1, 120), (2, 120), (3, 185)], 0),
        ({"readings": 2, "of": 3}, [(0, 185), (1, 120), (2, 120), (3, 185), (4, 120), (5, 190)], 1),
    ],
    ids=[
        "C15 a moment short",
        "C14 long enough",
        "C14 interrupted",
        "C14 interrupted, then long enough",
        "C14 never for long",
        "C16 two of three",
        "C16 three in a row",
        "C14 two of three",
        "C14 two of four",
        "C14 two of the last three",
    ],
)
def test_a_rule_may_ask_for_persistence(
    persist: dict[str, Any], readings: list[tuple[float, float]], told: int
) -> None:
    assert len(lived(a_plan(a_rule(persist=persist)), *readings).told) == told


def test_c15_persistence_is_measured_by_event_time() -> None:
    life = Life(a_plan(a_rule(persist={"for": "PT15M"})))
    for minute in (0, 5, 10):
        life.read(reading(minute, 185), now=at(60))
    assert (life.told, life.why()) == ([], {"sbp-crisis": "persisting"})
    assert life.read(reading(15, 185), now=at(61)).told


@pytest.mark.parametrize("persist", [{"readings": 3}, {"for": "PT15M"}], ids=["readings", "for"])
def test_c16_distinct_readings_count_and_passes_over_one_do_not(persist: dict[str, Any]) -> None:
    life = Life(a_plan(a_rule(persist=persist)))
    for now in range(20):
        life.read(reading(0, 185), now=at(now))
    assert life.told == []
    known = life.state
    assert life.read(reading(0, 185), now=at(20)).state is known


def test_two_readings_of_one_moment_are_two() -> None:
    life = Life(a_plan(a_rule(persist={"readings": 2})))
    assert life.read(reading(0, 185, id="a")).read(reading(0, 186, id="b")).told


def test_the_readings_that_count_are_named() -> None:
    life = lived(a_plan(a_rule(persist={"readings": 2, "of": 3})), (0, 185), (1, 120), (2, 190))
    (alert,) = life.alerts.values()
    assert alert.observations == (reading(0, 185).id, reading(2, 190).id)
    assert alert.observation == reading(2, 190).id


@pytest.mark.parametrize(
    ("minute", "now", "told"), [(0, 15, 1), (0, 35, 1), (0, 36, 0)], ids=["fresh", "it lasted", "stale"]
)
def test_a_run_may_be_completed_by_what_came_later_if_it_is_fresh(minute: float, now: float, told: int) -> None:
    plan = a_plan(a_rule(persist={"for": "PT15M"}, fresh_for="PT20M"))
    life = Life(plan).read(reading(15, 185)).read(reading(minute, 185), now=at(now))
    assert len(life.told) == told
    assert life.why() == {"sbp-crisis": None if told else "late"}


def test_what_is_stale_begins_no_run_but_may_break_one() -> None:
    plan = a_plan(a_rule(persist={"for": "PT15M"}, fresh_for="PT20M"))
    life = Life(plan).read(reading(0, 120), now=at(36)).read(reading(0, 185, id="b"), now=at(36))
    assert (life.state, life.why()) == (State(), {"sbp-crisis": "late"})
    life = lived(plan, (0, 185)).read(reading(20, 185), now=at(50))
    assert (life.told, life.why()) == ([], {"sbp-crisis": "late"})
    assert life.read(reading(51, 185)).told
    life = lived(plan, (0, 185), (10, 185)).read(reading(5, 120), now=at(30))
    assert life.read(reading(16, 185), now=at(30)).told == []


@pytest.mark.parametrize(("late", "told"), [(35, 1), (35.1, 0)], ids=["as long as the rule asks", "longer ago"])
def test_what_is_fresh_may_have_lasted_before(late: float, told: int) -> None:
    plan = a_plan(a_rule(persist={"for": "PT15M"}, fresh_for="PT20M"))
    life = Life(plan).read(reading(0, 185), now=at(late)).read(reading(16, 185), now=at(late))
    assert len(life.told) == told


def test_a_run_that_is_over_when_it_is_complete_is_told_and_over() -> None:
    life = Life(a_plan(a_rule(persist={"for": "PT15M"})))
    for minute, systolic in ((0, 185), (20, 120), (15, 185)):
        life.read(reading(minute, systolic), now=at(20))
    assert life.told == [("raised", "sbp-crisis", "critical")]
    assert life.outcomes() == [("sbp-crisis", "resolved", "resolved")]


def test_persistence_remembers_a_bounded_number_of_readings() -> None:
    life = Life(a_plan(a_rule(persist={"for": "P7D"})))
    for minute in range(500):
        life.read(reading(minute, 185))
    assert len(life.state.episodes["sbp-crisis"].entries) <= 64
    life.read(reading(7 * 24 * 60, 185))
    assert len(life.told) == 1
    life = Life(a_plan(a_rule(persist={"for": "P7D"})))
    for minute in range(500):
        life.read(reading(minute, 185 if minute % 2 else 120))
    assert len(life.state.episodes["sbp-crisis"].entries) <= 65


@pytest.mark.parametrize("persist", [{"for": "PT15M"}, {"readings": 2}], ids=["for", "readings"])
def test_readings_of_long_ago_do_not_count_on(persist: dict[str, Any]) -> None:
    plan = a_plan(a_rule(persist=persist, fresh_for="PT15M"))
    life = lived(plan, (0, 185), (20, 120), (40, 185), (41, 120), (80, 120), (120, 120), (125, 120), (130, 120))
    assert life.state == State()


# confirmation


def test_the_first_critical_reading_asks_to_measure_again_and_tells_the_doctor() -> None:
    life = lived(a_plan(a_rule(confirm=ASK)), (0, 185))
    assert life.told == [("measure-again", "sbp-crisis", "critical")]
    assert next(iter(life.alerts.values())).tell == ("patient", "doctor")
    assert life.outcomes() == [("sbp-crisis", "confirming", None)]


@pytest.mark.parametrize(
    ("second", "outcome", "told"),
    [
        ((5, 182), ("sbp-crisis", "active", None), 2),
        ((10, 180), ("sbp-crisis", "active", None), 2),
        ((11, 182), ("sbp-crisis", "active", None), 2),
        ((5, 120), ("sbp-crisis", "resolved", "not-confirmed"), 1),
        ((10, 120), ("sbp-crisis", "resolved", "not-confirmed"), 1),
        ((11, 120), ("sbp-crisis", "resolved", "resolved"), 2),
        ((5, 175), ("sbp-crisis", "confirming", None), 1),
    ],
    ids=[
        "again past the bound",
        "at the last moment",
        "too late, and past the bound",
        "normal",
        "normal at the last moment",
        "normal, too late: nobody answered, then it was over",
        "between the bounds",
    ],
)
def test_the_second_reading_decides(second: tuple[float, float], outcome: Any, told: int) -> None:
    plan = a_plan(a_rule(confirm=ASK, clear={"below": bound(170)}))
    life = lived(plan, (0, 185), second)
    assert life.outcomes() == [outcome]
    assert len(life.told) == told


def test_an_answer_counts_from_when_it_was_asked_for_too() -> None:
    life = Life(a_plan(a_rule(confirm=ASK))).read(reading(0, 185), now=at(30))
    late = reading(0, 185, received_at=at(30))
    life = Life(a_plan(a_rule(confirm=ASK))).read(late).read(reading(35, 120))
    assert life.outcomes() == [("sbp-crisis", "resolved", "not-confirmed")]


def test_nobody_answering_is_taken_for_true() -> None:
    life = lived(a_plan(a_rule(confirm=ASK)), (0, 185)).tick(10)
    assert life.stages() == {"sbp-crisis": "confirming"}
    life.tick(10.1)
    assert life.outcomes() == [("sbp-crisis", "active", None)]
    assert life.told[1:] == [("raised", "sbp-crisis", "critical")]
    assert life.why() == {"sbp-crisis": None}
    assert life.tick(11).decisions == []


def test_two_confirming_readings_need_not_come_in_order() -> None:
    life = lived(a_plan(a_rule(confirm=ASK)), (5, 185)).read(reading(0, 186), now=at(6))
    assert life.outcomes() == [("sbp-crisis", "active", None)]


@pytest.mark.parametrize(
    ("late", "why"),
    [((-60, 190), "same-episode"), ((-5, 120), "late"), ((-5, 175), "same-episode"), ((0, 185), "same-episode")],
    ids=["a crisis of before", "a normal one of before", "one between the bounds", "a repeat"],
)
def test_what_is_older_answers_nothing(late: tuple[float, float], why: str) -> None:
    life = lived(a_plan(a_rule(confirm=ASK, clear={"below": bound(170)})), (0, 185))
    before = life.state
    life.read(reading(*late), now=at(1))
    assert (life.state, life.why()) == (before, {"sbp-crisis": why})


def test_three_may_be_asked_for() -> None:
    life = lived(a_plan(a_rule(confirm=ASK | {"readings": 3})), (0, 185), (1, 185))
    assert life.stages() == {"sbp-crisis": "confirming"}
    assert life.why() == {"sbp-crisis": "same-episode"}
    assert life.read(reading(2, 185)).stages() == {"sbp-crisis": "active"}


@pytest.mark.parametrize(
    ("readings", "told", "stages"),
    [
        ([(0, 185)], 0, {"sbp-crisis": "confirming"}),
        ([(0, 185), (5, 185)], 1, {"sbp-crisis": "active"}),
        ([(0, 185), (5, 120)], 0, {}),
        ([(0, 185), (11, 185)], 0, {"sbp-crisis": "confirming"}),
        ([(0, 185), (11, 185), (12, 185)], 1, {"sbp-crisis": "active"}),
        ([(0, 185), (11, 120), (12, 185)], 0, {"sbp-crisis": "confirming"}),
    ],
    ids=["one", "two", "normal", "too late begins anew", "anew, and two", "normal, too late"],
)
def test_without_asking_nobody_is_told_before_it_is_confirmed(
    readings: list[tuple[float, float]], told: int, stages: dict[str, str]
) -> None:
    life = lived(a_plan(a_rule(confirm=HOLD)), *readings)
    assert (len(life.told), life.stages()) == (told, stages)


def test_without_asking_what_nothing_confirms_lapses() -> None:
    life = lived(a_plan(a_rule(confirm=HOLD)), (0, 185)).tick(11)
    assert (life.stages(), life.told, life.why()) == ({}, [], {"sbp-crisis": "persisting"})


def test_p3_a_question_that_a_newer_plan_would_not_ask_lapses_and_the_hospital_hears_that_nothing_confirmed_it() -> (
    None
):
    """By the doctor's plan of now, one reading is nothing until a second shows it."""
    life = lived(a_plan(a_rule(confirm=ASK)), (0, 185))
    life.plan = a_plan(a_rule(confirm=HOLD), version=2)
    assert life.tick(11).outcomes() == [("sbp-crisis", "resolved", "not-confirmed")]
    assert (life.alert.resolved_at, len(life.told), life.stages()) == (at(0), 1, {})


@pytest.mark.parametrize("second", [190, 175], ids=["it was confirmed", "one between the bounds"])
def test_c21_r6_what_was_measured_before_the_newest_answer_ends_nothing(second: float) -> None:
    plan = a_plan(a_rule(confirm=ASK, clear={"below": bound(170)}))
    life = lived(plan, (0, 185), (5, second))
    before = life.state
    assert life.why() == {"sbp-crisis": None if second > 180 else "same-episode"}
    life.read(reading(3, 120, received_at=at(6)))
    assert (life.state, life.why()) == (before, {"sbp-crisis": "late"})


def test_c21_what_belongs_to_an_event_that_is_over_confirms_no_new_one() -> None:
    life = lived(a_plan(a_rule(confirm=ASK)), (0, 185), (5, 120), (8, 190))
    asked = life.state
    assert life.read(reading(4, 188, received_at=at(9))).why() == {"sbp-crisis": "same-episode"}
    assert life.state == asked
    assert life.read(reading(9, 188)).stages() == {"sbp-crisis": "active"}


def test_an_open_question_of_a_rule_that_asks_no_more_goes_on_as_active() -> None:
    life = lived(a_plan(a_rule(confirm=ASK)), (0, 185))
    life.plan = a_plan(a_rule())
    assert life.tick(60).decisions == []
    assert life.read(reading(-999, 185, received_at=at(60))).why() == {"sbp-crisis": "late"}
    assert life.read(reading(61, 185)).outcomes() == [("sbp-crisis", "active", None)]
    assert life.read(reading(62, 120)).outcomes() == [("sbp-crisis", "resolved", "resolved")]


# families


def test_one_event_is_one_alert() -> None:
    life = lived(a_plan(CRISIS, HIGH), (0, 185))
    assert life.told == [("raised", "crisis", "critical")]
    assert len(life.alerts) == 1
    assert life.why() == {"crisis": None, "high": "same-episode"}


def test_r49_a_worse_severity_breaks_through() -> None:
    life = lived(a_plan(CRISIS, HIGH), (0, 140), (1, 185))
    assert life.told == [("raised", "high", "warning"), ("raised", "crisis", "critical")]


def test_another_family_is_another_event() -> None:
    life = lived(a_plan(CRISIS, a_rule(id="other", family="other")), (0, 185))
    assert len(life.told) == 2


def test_what_was_covered_shows_when_the_worse_is_over() -> None:
    life = lived(a_plan(CRISIS, HIGH), (0, 185), (1, 150))
    assert life.outcomes() == [("crisis", "resolved", "resolved"), ("high", "active", None)]
    assert len(life.told) == 1
    assert life.read(reading(2, 120)).outcomes()[1] == ("high", "resolved", "resolved")


def test_of_what_was_covered_the_worst_shows_first() -> None:
    note = a_rule(id="a-note", severity="info", family="pressure-high", when={"at_or_above": bound(120)})
    life = lived(a_plan(note, CRISIS, HIGH), (0, 185), (1, 150))
    assert life.outcomes() == [("crisis", "resolved", "resolved"), ("high", "active", None)]


def test_every_open_question_is_answered_by_the_clock() -> None:
    diastolic = a_rule(id="diastolic", value="diastolic", when={"at_or_above": bound(60)})
    life = lived(a_plan(diastolic, a_rule(id="asked", confirm=ASK)), (0, 185))
    assert life.tick(11).stages() == {"diastolic": "active", "asked": "active"}


def test_what_was_covered_is_told_when_the_worse_was_not_confirmed() -> None:
    life = lived(a_plan(CRISIS | {"confirm": ASK}, HIGH), (0, 185), (1, 150))
    assert life.outcomes() == [("crisis", "resolved", "not-confirmed"), ("high", "active", None)]
    assert life.told == [("measure-again", "crisis", "critical"), ("raised", "high", "warning")]


def test_what_is_covered_and_over_was_never_an_alert() -> None:
    life = lived(a_plan(CRISIS | {"clear": {"below": bound(100)}}, HIGH), (0, 185), (1, 120))
    assert life.outcomes() == [("crisis", "active", None)]
    assert life.stages() == {"crisis": "active"}


def test_a_confirmation_that_is_covered_stays_so_until_the_other_is_over() -> None:
    rules = (CRISIS | {"clear": {"below": bound(100)}}, a_rule(id="held", family="pressure-high", confirm=HOLD))
    life = lived(a_plan(*rules), (0, 185), (1, 185))
    assert (life.stages(), life.why()["held"]) == ({"crisis": "active", "held": "active"}, "same-episode")
    assert len(life.alerts) == 1


# auxiliary devices


BAND = {"device_class": "auxiliary", "device": "BAND-1"}


def test_an_auxiliary_device_alone_is_never_critical() -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 190, **BAND))
    assert life.told == [("raised", "crisis", "warning")]
    life.read(reading(1, 200, **BAND))
    assert len(life.told) == 1


def test_a_medical_device_that_confirms_makes_it_critical() -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 190, **BAND)).read(reading(1, 190))
    assert life.told == [("raised", "crisis", "warning"), ("raised", "crisis", "critical")]
    assert [alert.version for alert in life.versions] == [1, 2]
    assert [alert.severity for alert in life.alerts.values()] == ["critical"]


def test_a_medical_reading_of_before_makes_it_critical_if_it_is_fresh() -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 190, **BAND))
    assert life.read(reading(-7 * 60, 190), now=at(1)).why() == {"crisis": "same-episode"}
    assert life.read(reading(-5, 190), now=at(1)).told[1:] == [("raised", "crisis", "critical")]


def test_once_a_medical_device_has_shown_it_an_auxiliary_one_clears_it_no_more() -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 190, **BAND)).read(reading(1, 190))
    assert life.read(reading(2, 120, **BAND)).stages() == {"crisis": "active"}


@pytest.mark.parametrize(
    ("severity", "band", "told"),
    [("critical", {}, 2), ("critical", BAND, 1), ("warning", {}, 1)],
    ids=["medical", "auxiliary again", "no crisis"],
)
def test_r49_what_only_an_auxiliary_device_saw_end_a_medical_one_may_still_show(
    severity: str, band: dict[str, Any], told: int
) -> None:
    life = Life(a_plan(CRISIS | {"severity": severity})).read(reading(0, 190, **BAND)).read(reading(10, 120, **BAND))
    life.read(reading(5, 195, received_at=at(11), **band))
    assert len(life.told) == told
    assert life.read(reading(6, 120, received_at=at(12))).why() == {"crisis": "within-limits"}
    assert (life.stages(), len(life.told)) == ({}, told)


def test_r49_what_a_medical_device_showed_of_before_ends_no_later_than_it_did() -> None:
    """The event was over at minute 10: what the bracelet saw until then is the same event, however late it comes."""
    life = Life(a_plan(CRISIS)).read(reading(0, 190, **BAND)).read(reading(10, 120, **BAND))
    life.read(reading(5, 195, received_at=at(11))).read(reading(6, 120, received_at=at(12)))
    assert life.read(reading(8, 200, received_at=at(13), **BAND)).why() == {"crisis": "same-episode"}
    assert (life.stages(), len(life.told)) == ({}, 2)


def test_p2_r49_what_a_bracelet_raised_and_a_recall_took_back_hides_no_crisis_of_before() -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 190, id="band", **BAND))
    life.happen(Recalled(ORGANISATION, SUBJECT, frozenset({"band"})), 1)
    assert life.read(reading(-1, 195, received_at=at(2))).told[1:] == [("raised", "crisis", "critical")]


def test_c21_a_crisis_that_is_over_makes_what_a_bracelet_raises_now_no_worse() -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 190)).read(reading(10, 120)).read(reading(15, 190, **BAND))
    assert life.read(reading(5, 195, received_at=at(16))).why() == {"crisis": "same-episode"}
    assert life.told == [("raised", "crisis", "critical"), ("raised", "crisis", "warning")]


def test_a_warning_of_an_auxiliary_device_stays_one() -> None:
    life = Life(a_plan(HIGH)).read(reading(0, 140, **BAND)).read(reading(1, 140))
    assert life.told == [("raised", "high", "warning")]


def test_p2_a_warning_that_a_medical_device_has_shown_only_one_ends() -> None:
    """Nobody is told again, for it is no worse; but from then on it rests on the medical device."""
    life = Life(a_plan(HIGH)).read(reading(0, 140, **BAND)).read(reading(1, 140))
    assert life.read(reading(2, 120, **BAND)).why() == {"high": "auxiliary-only"}
    assert life.stages() == {"high": "active"}
    assert life.read(reading(3, 120)).outcomes() == [("high", "resolved", "resolved")]


def test_an_auxiliary_device_clears_what_it_raised_and_nothing_else() -> None:
    plan = a_plan(CRISIS)
    assert Life(plan).read(reading(0, 190, **BAND)).read(reading(1, 120, **BAND)).stages() == {}
    life = Life(plan).read(reading(0, 190)).read(reading(1, 120, **BAND))
    assert (life.stages(), life.why()) == ({"crisis": "active"}, {"crisis": "auxiliary-only"})


def test_an_auxiliary_device_does_not_answer_for_a_medical_one() -> None:
    plan = a_plan(CRISIS | {"confirm": ASK})
    life = Life(plan).read(reading(0, 190)).read(reading(1, 120, **BAND))
    assert (life.stages(), life.why()) == ({"crisis": "confirming"}, {"crisis": "auxiliary-only"})
    life = Life(plan).read(reading(0, 190, **BAND)).read(reading(1, 190))
    assert life.told == [("measure-again", "crisis", "warning"), ("raised", "crisis", "critical")]
    life = Life(a_plan(CRISIS | {"confirm": ASK | {"readings": 3}})).read(reading(0, 190, **BAND))
    assert life.read(reading(1, 190)).told[1:] == [("measure-again", "crisis", "critical")]


def test_what_an_auxiliary_device_had_hidden_is_told_when_a_medical_one_shows_it() -> None:
    life = Life(a_plan(CRISIS, a_rule(id="also", severity="warning", family="pressure-high")))
    life.read(reading(0, 190, **BAND))
    assert life.told == [("raised", "crisis", "warning")]
    life.read(reading(1, 190))
    assert life.told[1:] == [("raised", "crisis", "critical")]


def test_what_is_covered_grows_worse_and_shows() -> None:
    first = a_rule(id="first", severity="warning", family="one")
    second = a_rule(id="second", family="one", when={"at_or_above": bound(185)})
    life = Life(a_plan(first, second)).read(reading(0, 180)).read(reading(1, 190, **BAND))
    assert life.why()["second"] == "same-episode"
    assert life.read(reading(2, 190)).told == [("raised", "first", "warning"), ("raised", "second", "critical")]


# hours


@pytest.mark.parametrize(("hour", "told", "why"), [(7, 0, "inactive-hours"), (8, 1, None)], ids=["before", "in them"])
def test_a_rule_may_sleep_in_the_subjects_own_hours(hour: int, told: int, why: str | None) -> None:
    life = Life(a_plan(a_rule(active={"from": "08:00", "to": "20:00"})))  # Samara is four hours ahead of UTC
    moment = NOW.replace(hour=hour - 4)
    life.read(reading(0, 190, measured_at=moment, received_at=moment))
    assert (len(life.told), life.why()) == (told, {"sbp-crisis": why})


def test_a_sleeping_rule_is_still_within_limits_and_still_clears() -> None:
    life = lived(a_plan(a_rule(active={"from": "08:00", "to": "14:00"})), (0, 190), (120, 190))
    assert life.stages() == {"sbp-crisis": "active"}
    assert life.read(reading(130, 120)).stages() == {}
    assert life.read(reading(140, 120)).why() == {"sbp-crisis": "within-limits"}
    assert life.read(reading(141, 195)).why() == {"sbp-crisis": "inactive-hours"}


# a plan that does not read


def unreadable(plan: Plan) -> Plan:
    return replace(plan, unreadable="7")


def test_r45_a_plan_that_does_not_read_is_a_technical_alert_and_templates_judge() -> None:
    life = Life(unreadable(a_plan(CRISIS))).read(reading(0, 190))
    assert life.told == [("raised", CARE_PLAN, "warning"), ("raised", "crisis", "critical")]
    technical = life.versions[0]
    assert (technical.category, technical.plan_version, technical.tell) == ("technical", "7", ("doctor", "duty"))
    assert (technical.kind, technical.observation) == ("blood-pressure", reading(0, 190).id)
    assert len(life.read(reading(1, 190)).told) == 2
    life.plan = a_plan(CRISIS)
    life.read(reading(2, 120))
    assert life.outcomes() == [(CARE_PLAN, "resolved", "resolved"), ("crisis", "resolved", "resolved")]
    assert CARE_PLAN not in life.state.episodes


def test_r46_an_alert_keeps_the_version_that_raised_it() -> None:
    life = Life(a_plan(CALM, version=3)).read(reading(0, 190))
    life.plan = a_plan(CALM, version=4)
    life.read(reading(1, 165)).read(reading(2, 190))
    assert [(alert.state, alert.plan_version) for alert in life.versions] == [
        ("active", "3"),
        ("clearing", "3"),
        ("active", "3"),
    ]


COVER = a_rule(id="cover", severity="warning", family="one", when={"at_or_above": bound(150)})
MILD, GRAVE = a_rule(severity="warning", family="one"), a_rule(family="one")


@pytest.mark.parametrize(
    ("before", "after", "first", "shown"),
    [
        ([MILD], [GRAVE], {}, [("warning", "3"), ("critical", "4")]),
        ([GRAVE], [GRAVE], BAND, [("warning", "3"), ("critical", "4")]),
        ([COVER, MILD], [COVER, GRAVE], {}, [("critical", "4")]),
    ],
    ids=["the plan calls it worse", "a medical device shows it", "it was covered until then"],
)
def test_p3_an_alert_that_grows_worse_names_the_plan_by_which_it_did(
    before: list[Any], after: list[Any], first: dict[str, Any], shown: list[tuple[str, str]]
) -> None:
    life = Life(a_plan(*before, version=3)).read(reading(0, 190, **first))
    life.plan = a_plan(*after, version=4)
    life.read(reading(1, 190)).read(reading(2, 191))
    assert [(one.severity, one.plan_version) for one in life.versions if one.rule == "sbp-crisis"] == shown


def test_r46_c21_a_plan_made_graver_is_heard_of_by_what_is_measured_next_and_not_by_what_comes_late() -> None:
    life = Life(a_plan(MILD, version=3)).read(reading(0, 190))
    life.plan = a_plan(GRAVE, version=4)
    assert life.read(reading(-5, 195, received_at=at(1))).why() == {"sbp-crisis": "same-episode"}
    assert life.read(reading(2, 185)).told[1:] == [("raised", "sbp-crisis", "critical")]


# the state


def test_every_stage_can_be_left_and_reached() -> None:
    assert {before for before, _ in TRANSITIONS} == {*TRANSITIONS.values()}


@pytest.mark.parametrize("text", ['{"v":3,"episodes":{}}', '{"v":0,"episodes":{}}'], ids=["newer", "older"])
def test_a_state_of_another_format_is_not_guessed_at(text: str) -> None:
    with pytest.raises(ValueError, match="this engine reads 1"):
        load(text)


def test_what_came_before_a_late_run_was_known_ends_its_episode_once() -> None:
    """The second breach comes last: what was measured after it recovered twice; the first ends the episode."""
    twice = a_rule(id="high", severity="warning", when={"at_or_above": bound(135)}, persist={"readings": 2, "of": 2})
    life = Life(a_plan(twice))
    for minute, systolic in ((0, 150), (2, 120), (3, 120)):
        life.read(reading(minute, systolic))
    life.read(reading(1, 150), now=at(4))
    assert life.stages() == {}
    assert life.outcomes() == [("high", "resolved", "resolved")]
