"""What people, clocks and changes of plan, consent or devices do to an alert."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.alert import (
    CARE_PLAN,
    NO_DATA,
    Acknowledge,
    Acknowledged,
    BatteryTold,
    ConsentWithdrawn,
    Decision,
    PlanChanged,
    Recalled,
    Resolve,
    Snooze,
    Snoozed,
    State,
    dump,
    is_stale,
    load,
)
from domain.observation import Observation
from tests.builders import ORGANISATION, SUBJECT, a_rule, an_alert
from tests.lives import Life, a_plan, at, bound, lived, reading

WHO = (ORGANISATION, SUBJECT)
CRISIS = a_rule(id="crisis", family="pressure-high")
HIGH = a_rule(id="high", severity="warning", family="pressure-high", when={"at_or_above": bound(135)})
LOW = a_rule(id="low", severity="warning", when={"below": bound(90)})
ASK = {"readings": 2, "within": "PT10M", "ask_again": True}
REPEAT = {"every": "PT15M", "at_most": 3}
QUIET = {"from": "22:00", "to": "07:00"}
RAISED, REPEATED = ("raised", "crisis", "critical"), ("repeated", "crisis", "critical")
BAND: dict[str, Any] = {"device_class": "auxiliary", "device": "BAND-1"}


def acknowledge(life: Life, minute: float, version: int | None = None, actor: str = "doc-12") -> Life:
    return life.happen(Acknowledge(*WHO, life.alert.id, version or life.alert.version, actor), minute)


def snooze(life: Life, minute: float, until: float, version: int | None = None, rule: str | None = None) -> Life:
    (alert,) = [one for one in life.alerts.values() if rule in (None, one.rule) and one.state != "resolved"]
    return life.happen(Snooze(*WHO, alert.id, version or alert.version, "doc-12", at(until), "seen at home"), minute)


def resolve(life: Life, minute: float, version: int | None = None) -> Life:
    return life.happen(Resolve(*WHO, life.alert.id, version or life.alert.version, "doc-12", "a loose cuff"), minute)


# acknowledged


def test_an_acknowledgement_says_who_saw_which_version_and_when() -> None:
    life = acknowledge(lived(a_plan(CRISIS), (0, 190)), 5)
    assert life.alert.acknowledged == Acknowledged("doc-12", 1, at(5))
    assert (life.alert.version, life.alert.state, life.told) == (2, "active", [RAISED])


def test_r57_who_saw_only_what_was_less_severe_has_acknowledged_nothing() -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 190, **BAND)).read(reading(1, 190))
    assert (life.alert.severity, life.alert.worse_since) == ("critical", 2)
    assert acknowledge(life, 2, version=1).alert.acknowledged is None
    assert acknowledge(life, 3, version=2).alert.acknowledged == Acknowledged("doc-12", 2, at(3))


def test_r57_what_grows_worse_afterwards_is_acknowledged_no_more() -> None:
    life = acknowledge(lived(a_plan(CRISIS | {"confirm": ASK}), (0, 190)), 1)
    assert life.read(reading(5, 190)).told[1:] == [RAISED]
    assert [(one.state, one.acknowledged is None, one.worse_since) for one in life.versions] == [
        ("confirming", True, 1),
        ("confirming", False, 1),
        ("active", True, 3),
    ]


def test_r57_a_version_that_changed_nothing_for_the_worse_may_be_acknowledged_late() -> None:
    calm = a_plan(a_rule(id="crisis", clear={"below": bound(170), "for": "PT30M"}))
    life = lived(calm, (0, 190), (5, 160))
    assert life.alert.version == 2
    assert acknowledge(life, 6, version=1).alert.acknowledged == Acknowledged("doc-12", 1, at(6))


@pytest.mark.parametrize(
    ("version", "stale"), [(1, True), (2, False), (3, False), (4, True)], ids=["before", "worse", "newest", "not yet"]
)
def test_r57_stale_is_what_was_seen_before_it_grew_worse(version: int, stale: bool) -> None:
    assert is_stale(an_alert(version=3, worse_since=2), version) is stale


def test_an_acknowledgement_counts_once_and_only_for_what_is_open() -> None:
    life = acknowledge(acknowledge(lived(a_plan(CRISIS), (0, 190)), 5), 6, actor="doc-13")
    assert life.alert.acknowledged == Acknowledged("doc-12", 1, at(5))
    life.read(reading(10, 120))
    state = life.state
    assert acknowledge(life, 11).state is state
    assert life.alert.state == "resolved"


# snoozed


def test_c1_inside_a_snooze_what_is_no_worse_tells_nobody() -> None:
    life = snooze(lived(a_plan(CRISIS), (0, 190)), 1, until=60)
    assert (life.alert.snoozed_until, life.alert.version) == (at(60), 2)
    assert life.state.snoozes == {"pressure-high": Snoozed(ms(60), "critical", "doc-12", "seen at home")}
    life.read(reading(10, 120)).read(reading(20, 195))
    assert life.told == [RAISED]
    assert life.why() == {"crisis": "snoozed"}
    assert [one.snoozed_until for one in life.alerts.values()] == [at(60), at(60)]


def test_c2_snoozing_a_high_hides_no_low() -> None:
    life = snooze(lived(a_plan(HIGH, LOW), (0, 140)), 1, until=60)
    assert life.read(reading(5, 80)).told[1:] == [("raised", "low", "warning")]


def test_c2_a_worse_severity_of_the_family_breaks_through() -> None:
    life = snooze(lived(a_plan(HIGH, CRISIS), (0, 140)), 1, until=60)
    assert life.read(reading(5, 185)).told[1:] == [RAISED]


def test_c2_the_same_alert_grown_worse_breaks_through() -> None:
    life = snooze(Life(a_plan(CRISIS)).read(reading(0, 190, **BAND)), 1, until=60)
    assert life.read(reading(5, 190)).told[1:] == [RAISED]
    assert life.alert.snoozed_until is None


def test_when_a_snooze_is_over_what_still_stands_is_told_again() -> None:
    life = snooze(lived(a_plan(CRISIS), (0, 190)), 1, until=60)
    assert life.tick(59).told == [RAISED]
    assert life.tick(60).told == [RAISED, REPEATED]
    assert life.alert.snoozed_until is None
    assert life.tick(61).told == [RAISED, REPEATED]


def test_what_was_raised_in_a_snooze_is_told_when_it_is_over() -> None:
    life = snooze(lived(a_plan(CRISIS), (0, 190)), 1, until=60).read(reading(10, 120)).read(reading(20, 195))
    assert life.tick(60).told == [RAISED, RAISED]


def test_c22_what_nothing_fresh_shows_is_not_raised_again_but_missing() -> None:
    plan = a_plan(a_rule(id="crisis", family="pressure-high", fresh_for="PT30M"))
    life = snooze(lived(plan, (0, 190)), 1, until=60).tick(60)
    assert life.told == [RAISED, ("raised", f"{NO_DATA}blood-pressure", "warning")]
    assert [one.category for one in life.alerts.values()] == ["physiological", "technical"]
    assert len(life.tick(61).told) == 2
    life.read(reading(70, 190))
    assert life.told[2:] == [REPEATED]
    assert life.outcomes()[1] == (f"{NO_DATA}blood-pressure", "resolved", "resolved")


@pytest.mark.parametrize(
    "poor",
    [
        reading(61, 190, flags=("movement",)),
        reading(61, 190, tags=frozenset({"recalled"})),
        reading(10, 190, received_at=at(61)),
    ],
    ids=["an artefact", "recalled", "stale"],
)
def test_c22_what_is_no_fresh_evidence_does_not_end_that_there_is_none(poor: Observation) -> None:
    plan = a_plan(a_rule(id="crisis", fresh_for="PT30M"))
    life = snooze(lived(plan, (0, 190)), 1, until=60).tick(60).read(poor)
    assert life.stages() == {"crisis": "active", f"{NO_DATA}blood-pressure": "active"}
    assert len(life.told) == 2


def test_c22_a_second_time_without_data_is_another_alert() -> None:
    life = lived(a_plan(a_rule(id="crisis", fresh_for="PT10M", repeat=REPEAT)), (0, 190)).tick(20)
    life.read(reading(21, 190)).tick(40)
    assert [one.rule for one in life.alerts.values()] == ["crisis", *[f"{NO_DATA}blood-pressure"] * 2]


@pytest.mark.parametrize("version", [0, 3], ids=["too old", "not yet"])
def test_a_snooze_of_what_nobody_saw_is_none(version: int) -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 190, **BAND)).read(reading(1, 190))
    state = life.state
    assert life.happen(Snooze(*WHO, life.alert.id, version, "doc-12", at(60), "seen"), 2).state is state


@pytest.mark.parametrize(("actor", "reason"), [("", "seen"), ("doc-12", "")], ids=["by nobody", "for no reason"])
def test_c5_a_silence_has_an_author_and_a_reason(actor: str, reason: str) -> None:
    life = lived(a_plan(CRISIS), (0, 190))
    state = life.state
    assert life.happen(Snooze(*WHO, life.alert.id, 1, actor, at(60), reason), 1).state is state


def test_r66_no_snooze_lasts_for_ever() -> None:
    life = snooze(lived(a_plan(CRISIS), (0, 190)), 1, until=10_000)
    assert life.alert.snoozed_until == at(1) + timedelta(days=1)


def test_a_snooze_may_be_ended_and_asked_for_twice() -> None:
    life = snooze(lived(a_plan(CRISIS), (0, 190)), 1, until=60)
    state = life.state
    assert snooze(life, 1, until=60).state is state
    snooze(life, 5, until=5)
    assert (life.alert.snoozed_until, life.state.snoozes) == (None, {})
    state = life.state
    assert snooze(life, 6, until=5).state is state
    assert life.tick(60).told == [RAISED]


def ms(minute: float) -> int:
    return round(at(minute).timestamp() * 1000)


# resolved by a person


def test_a_person_ends_an_alert_and_what_comes_afterwards_raises_another() -> None:
    life = resolve(lived(a_plan(CRISIS), (0, 190)), 5)
    assert (life.alert.state, life.alert.outcome, life.alert.resolved_by) == ("resolved", "resolved", "doc-12")
    assert life.alert.resolved_at == at(5)
    life.read(reading(4, 191, received_at=at(6)))
    assert life.why() == {"crisis": "same-episode"}
    assert life.read(reading(7, 190)).told == [RAISED, RAISED]


def test_r57_a_person_ends_nothing_that_grew_worse_unseen() -> None:
    life = Life(a_plan(CRISIS)).read(reading(0, 190, **BAND)).read(reading(1, 190))
    assert resolve(life, 2, version=1).alert.state == "active"


def test_a_silence_that_a_person_resolved_is_told_again_only_after_something_was_heard() -> None:
    silent = {"id": "silent", "kind": "blood-pressure", "severity": "warning", "when": {"missing_for": "PT3H"}}
    life = resolve(Life(a_plan(silent)).tick(181, blood_pressure=0), 182).tick(200, blood_pressure=0)
    assert life.told == [("raised", "silent", "warning")]
    assert life.read(reading(210, 120)).state == State()
    assert len(life.tick(400, blood_pressure=210).told) == 2


# repeated


def test_c6_c7_an_alert_is_repeated_as_its_rule_says_and_not_for_ever() -> None:
    life = lived(a_plan(CRISIS | {"repeat": REPEAT}), (0, 190))
    for minute in range(1, 120):
        life.tick(minute)
    assert life.told == [RAISED, REPEATED, REPEATED, REPEATED]
    assert [one.version for one in life.versions] == [1, 2, 3, 4]


def test_c7_reminders_stop_when_somebody_takes_it_on() -> None:
    life = acknowledge(lived(a_plan(CRISIS | {"repeat": REPEAT}), (0, 190)).tick(15), 16)
    assert life.tick(60).told == [RAISED, REPEATED]


def test_c8_r59_each_telling_is_a_version_of_its_own_and_none_follows_an_acknowledgement() -> None:
    life = lived(a_plan(CRISIS | {"repeat": REPEAT}), (0, 190)).tick(15).tick(15).tick(15.1).tick(30)
    told = [(one.id, one.version) for one in life.versions if one.told]
    assert told == [(life.alert.id, version) for version in (1, 2, 3)]
    assert acknowledge(life, 31).tick(45).tick(600).alert.version == 4


def test_c7_taking_on_one_alert_silences_no_other() -> None:
    diastolic = a_rule(id="diastolic", value="diastolic", when={"at_or_above": bound(60)}, repeat=REPEAT)
    life = lived(a_plan(CRISIS | {"repeat": REPEAT}, diastolic), (0, 190))
    (crisis,) = [one for one in life.alerts.values() if one.rule == "crisis"]
    life.happen(Acknowledge(*WHO, crisis.id, crisis.version, "doc-12"), 1).tick(15)
    assert life.told[2:] == [("repeated", "diastolic", "critical")]


def test_f7_a_reminder_is_a_decision_too_and_data_is_fresh_to_the_last_moment() -> None:
    life = lived(a_plan(CRISIS | {"repeat": REPEAT, "fresh_for": "PT15M"}), (0, 190)).tick(15)
    assert life.told == [RAISED, REPEATED]
    assert life.decisions == [Decision("crisis", "1", "active", "active", None, by_clock=True)]


def test_who_ends_a_snooze_early_still_hears_of_what_nobody_was_told() -> None:
    life = snooze(lived(a_plan(CRISIS), (0, 190)), 1, until=60).read(reading(10, 120)).read(reading(20, 195))
    assert snooze(life, 25, until=25).tick(26).told == [RAISED, RAISED]


def test_c22_a_reminder_needs_fresh_data() -> None:
    life = lived(a_plan(CRISIS | {"repeat": REPEAT, "fresh_for": "PT10M"}), (0, 190)).tick(20)
    assert life.told[1:] == [("raised", f"{NO_DATA}blood-pressure", "warning")]


def test_c22_a_silence_that_has_a_rule_of_its_own_is_not_told_twice() -> None:
    silent = {"id": "silent", "kind": "blood-pressure", "severity": "warning", "when": {"missing_for": "PT15M"}}
    life = lived(a_plan(CRISIS | {"repeat": REPEAT, "fresh_for": "PT10M"}, silent), (0, 190))
    life.tick(20, blood_pressure=0)
    assert life.told == [RAISED, ("raised", "silent", "warning")]


def test_what_recovers_is_not_repeated() -> None:
    life = lived(a_plan(CRISIS | {"repeat": REPEAT, "clear": {"below": bound(170), "for": "PT2H"}}), (0, 190), (5, 150))
    assert life.tick(60).told == [RAISED]


# quiet hours: NOW is 13:00 in Samara

NIGHT, MORNING = 10 * 60, 18 * 60


def test_c10_c11_at_night_only_what_is_critical_is_told_and_the_rest_in_the_morning() -> None:
    life = Life(a_plan(HIGH, LOW, quiet_hours=QUIET)).read(reading(NIGHT, 140))
    assert (life.told, life.why()) == ([], {"high": "quiet-hours", "low": "within-limits"})
    assert (life.alert.state, life.alert.told) == ("active", None)
    assert life.tick(MORNING - 1).told == []
    assert life.tick(MORNING).told == [("raised", "high", "warning")]
    assert life.tick(MORNING + 1).told == [("raised", "high", "warning")]


def test_c10_a_crisis_wakes_people() -> None:
    assert Life(a_plan(CRISIS, quiet_hours=QUIET)).read(reading(NIGHT, 190)).told == [RAISED]


def test_c11_what_is_over_by_the_morning_is_recorded_and_not_told() -> None:
    life = Life(a_plan(HIGH, quiet_hours=QUIET)).read(reading(NIGHT, 140)).read(reading(NIGHT + 60, 120))
    assert life.tick(MORNING).told == []
    assert life.outcomes() == [("high", "resolved", "resolved")]


def test_c10_what_grows_worse_at_night_is_told_at_once() -> None:
    life = Life(a_plan(HIGH, CRISIS, quiet_hours=QUIET)).read(reading(NIGHT, 140)).read(reading(NIGHT + 5, 185))
    assert life.told == [RAISED]


def test_what_somebody_took_on_at_night_is_not_told_in_the_morning() -> None:
    life = acknowledge(Life(a_plan(HIGH, quiet_hours=QUIET)).read(reading(NIGHT, 140)), NIGHT + 5)
    assert life.tick(MORNING).told == []


# plan, consent, recall


def test_r46_what_rested_on_a_rule_that_is_gone_is_withdrawn() -> None:
    life = lived(a_plan(CRISIS, HIGH, LOW), (0, 190))
    assert life.stages() == {"crisis": "active", "high": "active"}
    life.plan = a_plan(LOW, version=2)
    life.happen(PlanChanged(*WHO), 1)
    assert (life.alert.state, life.alert.outcome, life.told) == ("resolved", "withdrawn", [RAISED])
    assert life.stages() == {}
    life.plan = a_plan(CRISIS, version=3)
    assert life.read(reading(0, 190), at(2)).why() == {"crisis": "same-episode"}


def test_r46_the_clock_withdraws_it_too_should_nobody_have_said_that_the_plan_changed() -> None:
    life = lived(a_plan(CRISIS), (0, 190))
    life.plan = a_plan(LOW, version=2)
    assert life.tick(1).alert.outcome == "withdrawn"


def test_r46_what_the_new_plan_still_asks_goes_on() -> None:
    life = lived(a_plan(CRISIS), (0, 190))
    life.plan = a_plan(CRISIS, LOW, version=2)
    state = life.state
    assert life.happen(PlanChanged(*WHO), 1).state is state


def test_r46_a_late_reading_of_the_old_plans_time_withdraws_nothing_of_the_new_one() -> None:
    life = lived(a_plan(CRISIS), (0, 190))
    life.plan = a_plan(LOW)
    life.read(reading(-5, 120, received_at=at(1)))
    assert life.alert.state == "active"


def test_who_has_no_plan_any_more_has_no_alert() -> None:
    life = lived(a_plan(CRISIS), (0, 190))
    life.plan = None
    life.happen(PlanChanged(*WHO), 1)
    assert life.alert.outcome == "withdrawn"


def test_r45_a_plan_that_does_not_read_is_told_when_it_comes() -> None:
    life = Life(replace(a_plan(CRISIS), unreadable="7")).happen(PlanChanged(*WHO), 0)
    assert life.told == [("raised", CARE_PLAN, "warning")]
    assert (life.alert.tell, life.alert.observation) == (("doctor", "duty"), "")
    life.plan = a_plan(CRISIS)
    assert life.happen(PlanChanged(*WHO), 1).outcomes() == [(CARE_PLAN, "resolved", "resolved")]


def test_r91_consent_withdrawn_ends_everything_and_remembers_nothing() -> None:
    falling = a_rule(id="falling", severity="warning", when={"change_above": bound(50) | {"over": "PT1H"}})
    life = snooze(lived(a_plan(CRISIS, falling), (0, 190)), 1, until=60)
    life.happen(ConsentWithdrawn(*WHO), 5)
    assert (life.alert.state, life.alert.outcome, life.alert.resolved_at) == ("resolved", "withdrawn", at(5))
    assert life.state == State()
    assert life.told == [RAISED]
    state = life.state
    assert life.happen(ConsentWithdrawn(*WHO), 6).state is state


def test_recalled_readings_take_with_them_what_rested_on_them_alone() -> None:
    bad = reading(0, 190)
    life = Life(a_plan(CRISIS)).read(bad)
    state = life.state
    assert life.happen(Recalled(*WHO, frozenset({"another"})), 1).state is state
    life.happen(Recalled(*WHO, frozenset({bad.id})), 1)
    assert (life.alert.outcome, life.stages()) == ("withdrawn", {})
    assert life.read(bad, at(2)).why() == {"crisis": "same-episode"}
    assert life.read(reading(2, 190)).told == [RAISED, RAISED]


def test_recalled_readings_leave_what_others_still_show() -> None:
    bad = reading(0, 190)
    life = Life(a_plan(CRISIS)).read(bad).read(reading(1, 195, device="another"))
    assert life.happen(Recalled(*WHO, frozenset({bad.id})), 2).alert.state == "active"


def test_p8_a_reading_between_the_bounds_is_none_that_still_shows_it() -> None:
    bad = reading(0, 190)
    life = Life(a_plan(CRISIS | {"clear": {"below": bound(170)}})).read(bad).read(reading(1, 175))
    assert life.happen(Recalled(*WHO, frozenset({bad.id})), 2).alert.outcome == "withdrawn"


def test_recalled_readings_count_no_more() -> None:
    rising = a_rule(id="rising", severity="warning", when={"change_above": bound(50) | {"over": "PT1H"}})
    bad = reading(0, 185)
    life = Life(a_plan(a_rule(persist={"readings": 2}), rising)).read(bad)
    life.happen(Recalled(*WHO, frozenset({bad.id})), 1)
    assert life.state == State()
    assert life.read(reading(2, 190)).told == []


# devices

FAULTY: dict[str, Any] = {"flags": ("sensor-malfunction",)}


def faulty(*flagged: bool) -> Life:
    life = Life(a_plan(CRISIS))
    for minute, bad in enumerate(flagged):
        life.read(reading(minute, 190 if bad else 120, **(FAULTY if bad else {})))
    return life


@pytest.mark.parametrize(
    ("flagged", "told"),
    [
        ((True,), 0),
        ((True, True), 0),
        ((True, True, False, True), 0),
        ((True, True, True), 1),
        ((True, True, True, True), 1),
        ((True, True, True, False), 1),
    ],
    ids=["once", "twice", "not in a row", "three times", "still", "over"],
)
def test_a_device_that_says_three_times_that_it_is_broken_is_told_of(flagged: tuple[bool, ...], told: int) -> None:
    life = faulty(*flagged)
    assert life.told == [("raised", "device-fault.BP-00017", "warning")] * told
    assert [one.category for one in life.alerts.values()] == ["technical"] * told
    assert [one.state for one in life.alerts.values()] == ["resolved" if not flagged[-1] else "active"] * told
    if told and flagged[-1]:
        assert life.alert.observations == tuple(reading(minute, 190).id for minute in range(3))
        state = life.state
        assert life.read(reading(1, 190, **FAULTY), at(9)).state is state


def test_a_good_reading_of_before_does_not_mend_a_device() -> None:
    life = faulty(True, True, True)
    assert life.read(reading(-5, 120, received_at=at(5))).alert.state == "active"


def test_a_low_battery_is_told_once_and_is_over_when_it_is_changed() -> None:
    low: dict[str, Any] = {"flags": ("battery-low",)}
    life = Life(a_plan(CRISIS)).read(reading(0, 120, **low)).read(reading(1, 121, **low))
    assert life.told == [("raised", "battery-low.BP-00017", "info")]
    assert life.read(reading(2, 120, device="another")).alert.state == "active"
    assert life.read(reading(-9, 122, received_at=at(0))).alert.state == "active"
    assert life.read(reading(3, 120)).alert.state == "resolved"
    assert life.state == State()


def test_a_battery_that_a_status_tells_of_is_over_by_a_status_alone() -> None:
    life = Life(a_plan(CRISIS)).happen(BatteryTold(*WHO, "BP-00017", Decimal(15)), 0)
    assert life.told == []
    life.happen(BatteryTold(*WHO, "BP-00017", Decimal(14)), 1).happen(BatteryTold(*WHO, "BP-00017", Decimal(13)), 2)
    assert life.told == [("raised", "battery-low.BP-00017", "info")]
    assert life.read(reading(3, 120)).alert.state == "active"
    assert life.happen(BatteryTold(*WHO, "BP-00017", Decimal(15)), 4).alert.state == "resolved"


def test_r46_what_is_wrong_with_a_device_outlives_a_change_of_plan() -> None:
    life = faulty(True, True, True).happen(PlanChanged(*WHO), 9)
    assert life.alert.state == "active"


def test_c22_what_never_came_is_withdrawn_with_all_rules_of_its_kind() -> None:
    plan = a_plan(a_rule(id="crisis", fresh_for="PT10M", repeat=REPEAT))
    life = lived(plan, (0, 190)).tick(20)
    assert life.stages() == {"crisis": "active", f"{NO_DATA}blood-pressure": "active"}
    assert life.happen(PlanChanged(*WHO), 21).stages() == {"crisis": "active", f"{NO_DATA}blood-pressure": "active"}
    life.plan = a_plan(a_rule(id="weight", kind="weight", value="weight", when={"above": bound(100, "kg")}))
    assert life.happen(PlanChanged(*WHO), 22).stages() == {}


def test_c6_c7_r49_what_grows_worse_is_repeated_as_often_as_anything_new() -> None:
    """However often it had been repeated while it was less severe."""
    life = Life(a_plan(CRISIS | {"repeat": REPEAT})).read(reading(0, 190, **BAND))
    for minute in (15, 30, 45, 60):
        life.tick(minute)
    assert [what for what, _, _ in life.told] == ["raised"] + ["repeated"] * 3
    life.read(reading(61, 190))
    for minute in (76, 91, 106, 121):
        life.tick(minute)
    assert life.told[4:] == [RAISED, *[REPEATED] * 3]


def test_r57_what_grew_worse_before_anybody_was_told_is_worse_all_the_same() -> None:
    life = Life(a_plan(CRISIS, quiet_hours=QUIET)).read(reading(NIGHT, 190, **BAND))
    assert life.told == []
    life.read(reading(NIGHT + 1, 190))
    assert (life.told, life.alert.worse_since) == ([RAISED], 2)


# the state


def test_a_state_with_people_in_it_survives_being_written() -> None:
    life = snooze(acknowledge(lived(a_plan(CRISIS | {"repeat": REPEAT}), (0, 190), (1, 191)), 2), 3, until=60)
    assert life.state.snoozes
    assert load(dump(life.state)) == life.state


def test_a_low_glucose_is_no_business_of_a_high_one() -> None:
    high = a_rule(id="g-high", kind="glucose", value="glucose", severity="warning", when={"above": bound(10, "mmol/L")})
    low = a_rule(id="g-low", kind="glucose", value="glucose", severity="warning", when={"below": bound(3.9, "mmol/L")})
    sugar = {"kind": "glucose"}
    life = Life(a_plan(high, low)).read(reading(0, None, values={"glucose": Decimal(11)}, **sugar))
    snooze(life, 1, until=120).read(reading(30, None, values={"glucose": Decimal("3.5")}, **sugar))
    assert [rule for _, rule, _ in life.told] == ["g-high", "g-low"]
