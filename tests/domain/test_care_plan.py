"""Care plans: what is understood, what is refused and why, and which plan judges when."""

import json
import re
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.care_plan import (
    CarePlan,
    Plan,
    PlanVersion,
    Programme,
    Repetition,
    Rule,
    parse_plan,
    parse_programme,
    plan_for,
    plan_of,
    try_plan,
)
from domain.errors import InvalidRequest
from domain.plan_language import DryRunBody
from domain.request import read
from domain.trend import Form, Leaf, Mean, OffBaseline, Projection, Rise, Slope, holds
from tests.builders import NOW, a_care_plan, a_plan_version, a_rule, a_subject

BOUND = {"value": 180, "unit": "mm[Hg]"}
AN_HOUR_AGO = NOW - timedelta(hours=1)


def faults(document: dict[str, Any]) -> dict[str, str]:
    """`{JSON pointer: message}` of what is refused in a plan, which stored as it is would not be read either."""
    with pytest.raises(InvalidRequest) as refused:
        parse_plan(document)
    found = {fault.field: fault.message for fault in refused.value.faults}
    if not found.keys() <= {"/author", "/effective_from"}:
        assert stored(json.dumps(document, default=float)).unreadable == "7"
    return found


def stored(document: str) -> Plan:
    """What judges when `document` is the subject's plan, and there is no template."""
    plan = plan_for(a_subject(programmes=()), [PlanVersion(7, "doc-12", AN_HOUR_AGO, NOW, document)], {}, NOW)
    assert plan is not None
    return plan


def told(rule: Rule) -> str:
    """All of it; functions by what they are made of."""
    return re.sub(r" at 0x\w+", "", repr(rule))


def rule_of(plan: CarePlan) -> Rule:
    (rule,) = plan.rules
    return rule


def a_programme(*rules: dict[str, Any], **changes: Any) -> Programme:
    facts: dict[str, Any] = {
        "id": "hypertension",
        "version": 1,
        "title": "Hypertension",
        "sources": ["a test"],
        "rules": [*rules] or [a_rule(id="template")],
    }
    return parse_programme(json.dumps(facts | changes))


THE_CONTRACTS_OWN = {
    "author": "doc-12",
    "effective_from": "2026-11-01T00:00:00+04:00",
    "rules": [
        {
            "id": "sbp-crisis",
            "kind": "blood-pressure",
            "value": "systolic",
            "severity": "critical",
            "family": "pressure-high",
            "fresh_for": "PT6H",
            "when": {"at_or_above": {"value": 180, "unit": "mm[Hg]"}},
            "confirm": {"readings": 2, "within": "PT10M", "ask_again": True},
            "clear": {"below": {"value": 170, "unit": "mm[Hg]"}, "for": "PT30M"},
        }
    ],
    "schedule": [
        {
            "kind": "blood-pressure",
            "windows": [{"from": "06:00", "to": "11:00"}, {"from": "18:00", "to": "22:00"}],
            "grace": "PT1H",
        }
    ],
    "quiet_hours": {"from": "22:00", "to": "07:00"},
    "escalation": [
        {"after": "PT0S", "to": ["patient", "doctor"]},
        {"after": "PT5M", "to": ["duty"]},
        {"after": "PT15M", "to": ["head"]},
    ],
}


def test_the_contracts_own_example_is_understood() -> None:
    plan = parse_plan(THE_CONTRACTS_OWN, "3")
    rule = rule_of(plan)
    assert (plan.author, plan.effective_from) == ("doc-12", datetime.fromisoformat("2026-11-01T00:00:00+04:00"))
    assert (rule.id, rule.severity, rule.family, rule.plan_version) == ("sbp-crisis", "critical", "pressure-high", "3")
    assert rule.fresh_for == 6 * 3600 * 1000
    assert rule.confirm is not None
    assert (rule.confirm.readings, rule.confirm.within, rule.confirm.ask_again) == (2, 600_000, True)
    assert rule.clear_for == 1_800_000
    assert [len(one.windows) for one in plan.schedule] == [2]
    assert plan.quiet_hours is not None
    assert (plan.quiet_hours.from_, plan.quiet_hours.to) == (time(22), time(7))
    assert [tier.after for tier in plan.escalation] == [timedelta(0), timedelta(minutes=5), timedelta(minutes=15)]


def test_p3_a_plan_that_is_not_stored_yet_has_no_version() -> None:
    assert rule_of(parse_plan(THE_CONTRACTS_OWN)).plan_version == ""


def test_a_plan_that_was_read_with_exact_numbers_may_be_read_again() -> None:
    exactly = json.loads(json.dumps(a_care_plan()), parse_int=Decimal, parse_float=Decimal)
    assert rule_of(parse_plan(exactly)).breached(Decimal(180))


def test_f6_a_programme_is_its_own_version_of_every_rule() -> None:
    programme = a_programme(version=3)
    assert (programme.id, programme.version, programme.title) == ("hypertension", 3, "Hypertension")
    assert rule_of(programme.plan).plan_version == "hypertension@3"
    assert (programme.plan.author, programme.plan.effective_from) == (None, None)


def tried(**changes: Any) -> CarePlan:
    return try_plan(read(DryRunBody, json.dumps({"plan": THE_CONTRACTS_OWN | changes})))


def test_f6_a_plan_that_is_tried_is_read_as_one_that_is_put_and_says_that_it_is_tried() -> None:
    assert rule_of(tried()).plan_version == "tried"
    with pytest.raises(InvalidRequest) as refused:
        tried(rules=[a_rule(), a_rule()])
    assert [fault.field for fault in refused.value.faults] == ["/plan/rules/1/id"]


def test_f6_a_plan_by_itself_judges_in_the_subjects_zone_from_the_day_that_it_is_tried_on() -> None:
    plan = plan_of(tried(), ZoneInfo("Asia/Omsk"), since=NOW)
    assert ([*plan.by_id], plan.zone.key, plan.since, plan.unreadable) == (["sbp-crisis"], "Asia/Omsk", NOW, None)


@pytest.mark.parametrize("of", [str, str.encode], ids=["text", "bytes"])
def test_a_plan_may_come_as_json(of: Any) -> None:
    assert rule_of(parse_plan(of(json.dumps(a_care_plan())))).id == "sbp-crisis"


def test_a_fault_of_a_programme_is_named_as_it_stands_in_the_file() -> None:
    with pytest.raises(InvalidRequest) as refused:
        a_programme(a_rule(), a_rule())
    assert [fault.field for fault in refused.value.faults] == ["/rules/1/id"]


@pytest.mark.parametrize(
    ("when", "breached", "kept"),
    [
        ({"at_or_above": BOUND}, ["180", "181"], ["179.999", "100"]),
        ({"above": BOUND}, ["180.001"], ["180"]),
        ({"at_or_below": {"value": 90, "unit": "mm[Hg]"}}, ["90", "89"], ["90.1"]),
        ({"below": {"value": 90, "unit": "mm[Hg]"}}, ["89.9"], ["90"]),
        ({"outside": {"low": 90, "high": 180, "unit": "mm[Hg]"}}, ["89", "181"], ["90", "180"]),
        ({"outside": {"low": 90, "unit": "mm[Hg]"}}, ["89"], ["90", "250"]),
        ({"outside": {"low": None, "high": 180, "unit": "mm[Hg]"}}, ["181"], ["180", "60"]),
    ],
    ids=["at_or_above", "above", "at_or_below", "below", "outside", "outside, C23 no high", "outside, C23 no low"],
)
def test_a_form_is_breached_by_what_it_says(when: dict[str, Any], breached: list[str], kept: list[str]) -> None:
    rule = rule_of(parse_plan(a_care_plan(a_rule(when=when))))
    assert [rule.breached(Decimal(value)) for value in (*breached, *kept)] == [True] * len(breached) + [False] * len(
        kept
    )
    assert [rule.recovered(Decimal(value)) for value in (*breached, *kept)] == [False] * len(breached) + [True] * len(
        kept
    )


@given(st.decimals(60, 280, places=6, allow_nan=False))
def test_r34_the_last_digit_decides(bound: Decimal) -> None:
    rule = rule_of(
        parse_plan(json.dumps(a_care_plan()).replace('{"value": 180,', f'{{"value": {bound},'))  # as a number of JSON
    )
    assert rule.breached(bound)
    assert not rule.breached(bound - Decimal("0.000001"))


@pytest.mark.parametrize(
    ("kind", "value", "given_", "unit", "canonical"),
    [
        ("glucose", "glucose", 54, "mg/dL", "2.997"),
        ("blood-pressure", "systolic", 24, "kPa", "180.0"),
        ("weight", "weight", 220, "[lb_av]", "99.79"),
    ],
    ids=["mg/dL", "kPa", "lb"],
)
def test_r18_a_bound_may_be_in_any_convertible_unit(
    kind: str, value: str, given_: int, unit: str, canonical: str
) -> None:
    when = {"at_or_above": {"value": given_, "unit": unit}}
    rule = rule_of(parse_plan(a_care_plan(a_rule(kind=kind, value=value, when=when))))
    near = Decimal(canonical)
    assert rule.breached(near * Decimal("1.001"))
    assert not rule.breached(near * Decimal("0.999"))


def test_recovery_may_ask_for_more_than_the_bound() -> None:
    rule = rule_of(parse_plan(a_care_plan(a_rule(clear={"below": {"value": 170, "unit": "mm[Hg]"}}))))
    assert [rule.recovered(Decimal(value)) for value in (180, 170, 169)] == [False, False, True]


def test_what_a_rule_leaves_out_has_a_default() -> None:
    rule = rule_of(parse_plan(a_care_plan()))
    assert rule.family == "blood-pressure/systolic/high"
    assert rule.fresh_for == 6 * 3600 * 1000
    assert (rule.clear_for, rule.persist, rule.confirm, rule.active, rule.repeat) == (0, None, None, None, None)


def test_c6_c7_how_often_an_alert_is_told_again_is_the_rules() -> None:
    rule = rule_of(parse_plan(a_care_plan(a_rule(repeat={"every": "PT15M", "at_most": 4}))))
    assert rule.repeat == Repetition(every=900_000, at_most=4)


@pytest.mark.parametrize(
    ("persist", "milliseconds", "readings", "of"),
    [
        ({"for": "PT15M"}, 900_000, 0, 0),
        ({"readings": 2, "of": 3}, None, 2, 3),
        ({"readings": 3}, None, 3, 3),
    ],
    ids=["for", "of", "in a row"],
)
def test_c14_persistence(persist: dict[str, Any], milliseconds: int | None, readings: int, of: int) -> None:
    found = rule_of(parse_plan(a_care_plan(a_rule(persist=persist)))).persist
    assert found is not None
    assert (found.milliseconds, found.readings, found.of) == (milliseconds, readings, of)


@pytest.mark.parametrize(
    ("period", "seconds"),
    [
        ("PT6H", 21_600),
        ("P1D", 86_400),
        ("P2W", 1_209_600),
        ("P1DT2H3M4S", 93_784),
        ("PT90M", 5400),
        ("P400D", 34_560_000),
        ("P" + "1D".zfill(22), 86_400),
    ],
)
def test_periods_are_of_iso_8601(period: str, seconds: int) -> None:
    assert rule_of(parse_plan(a_care_plan(a_rule(fresh_for=period)))).fresh_for == seconds * 1000


@pytest.mark.parametrize(
    "period",
    [
        "",
        "P",
        "PT",
        "6H",
        "P1M",
        "P1Y",
        "P-1D",
        "PT1.5H",
        "P401D",
        "PT0S",
        360,
        True,
        "P" + "9" * 30,
        "P" + "1D".zfill(23),
    ],
    ids=str,
)
def test_what_is_no_period_is_refused(period: object) -> None:
    assert list(faults(a_care_plan(a_rule(fresh_for=period)))) == ["/rules/0/fresh_for"]


def test_p1_an_author_that_reads_like_a_person_is_told_what_to_send() -> None:
    says = "reads like a person's name or number: a token that only your system can resolve"
    assert faults(a_care_plan(author="79161234567")) == {"/author": says}


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"when": {"above": {"value": "180", "unit": "mm[Hg]"}}}, "when/above/value", "a number"),
        (
            {"fresh_for": "soon"},
            "fresh_for",
            "a period of ISO 8601 in weeks, days, hours, minutes or seconds, as in PT10M",
        ),
        ({"fresh_for": "P401D"}, "fresh_for", "a period of at most 400 days: observations are kept no longer"),
        ({"fresh_for": "PT0S"}, "fresh_for", "a period longer than nothing"),
        ({"active": {"from": "6:00", "to": "08:00"}}, "active/from", "a local time as in 06:00"),
        ({"id": "Crisis"}, "id", "1 to 64 lower-case letters, digits or hyphens"),
        ({"when": {"outside": {"unit": "mm[Hg]"}}}, "when/outside", "low or high is needed"),
        ({"when": {"outside": {"low": 90, "high": 90, "unit": "mm[Hg]"}}}, "when/outside", "low is below high"),
        ({"persist": {"for": "PT1M", "of": 3}}, "persist", "of goes with readings"),
        ({"persist": {"readings": 3, "of": 2}}, "persist", "readings is at most of"),
    ],
    ids=[
        *("a number in quotes", "no period", "longer than is kept", "no time at all", "one digit of an hour"),
        *("capitals", "no limit", "no room between", "of what", "more than there are"),
    ],
)
def test_r84_what_is_written_wrongly_is_told_whole(changes: dict[str, Any], field: str, says: str) -> None:
    """The sentence is all that the doctor's system has to show."""
    assert faults(a_care_plan(a_rule(**changes))) == {f"/rules/0/{field}": says}


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"author": ""}, "/author", "never a name"),
        ({"author": "Ivan Petrov"}, "/author", "never a name"),
        ({"author": "79161234567"}, "/author", "reads like a person's name or number"),
        ({"effective_from": "2026-11-01"}, "/effective_from", "offset"),
        ({"rules": "all"}, "/rules", "array"),
        ({"colour": "red"}, "/colour", "no such field"),
        ({"quiet_hours": {"from": "22:00", "to": "22:00"}}, "/quiet_hours", "differs"),
        ({"quiet_hours": {"from": "24:00", "to": "07:00"}}, "/quiet_hours/from", "local time"),
        ({"quiet_hours": {"from": 7, "to": "07:00"}}, "/quiet_hours/from", "local time"),
        ({"schedule": [{"kind": "mood", "windows": [{"from": "06:00", "to": "07:00"}]}]}, "/schedule/0/kind", "one of"),
        ({"schedule": [{"kind": "weight", "windows": []}]}, "/schedule/0/windows", "at least 1"),
        (
            {"escalation": [{"after": "PT5M", "to": ["duty"]}, {"after": "PT5M", "to": ["head"]}]},
            "/escalation",
            "later",
        ),
        ({"escalation": [{"after": "PT0S", "to": ["mother"]}]}, "/escalation/0/to/0", "doctor"),
        ({"escalation": [{"after": "PT0S", "to": ["duty", "duty"]}]}, "/escalation/0/to", "at most once"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_r84_a_plan_that_cannot_be_is_refused(changes: dict[str, Any], field: str, says: str) -> None:
    found = faults(a_care_plan(**changes))
    assert field in found
    assert says in found[field]


def prescribed(*windows: str, kind: str = "weight", **changes: Any) -> dict[str, Any]:
    """A measurement in windows as in 06:00-11:00."""
    hours = [dict(zip(("from", "to"), window.split("-"), strict=True)) for window in windows]
    return {"kind": kind, "windows": hours} | changes


@pytest.mark.parametrize(
    ("schedule", "field", "says"),
    [
        (
            [prescribed("06:00-11:00", "10:00-12:00")],
            "/schedule/0/windows/1",
            "overlaps the window from 06:00 to 11:00",
        ),
        ([prescribed("06:00-11:00", "05:00-12:00")], "/schedule/0/windows/1", "count for both"),
        ([prescribed("22:00-02:00", "01:00-03:00")], "/schedule/0/windows/1", "overlaps"),
        ([prescribed("06:00-11:00", "18:00-22:00", "07:00-08:00")], "/schedule/0/windows/2", "overlaps"),
        ([prescribed("06:00-06:14")], "/schedule/0/windows/0", "at least 15 minutes"),
        ([prescribed("23:59-00:01")], "/schedule/0/windows/0", "at least 15 minutes"),
        ([prescribed("06:00-11:00", grace="P1D")], "/schedule/0/grace", "less than a day"),
        ([prescribed("06:00-11:00"), prescribed("18:00-22:00")], "/schedule/1/kind", "prescribed above"),
    ],
    ids=["overlap", "within", "past midnight", "not the neighbour", "short", "short at midnight", "grace", "twice"],
)
def test_p6_f9_a_schedule_that_nobody_can_keep_is_refused(schedule: list[Any], field: str, says: str) -> None:
    found = faults(a_care_plan(schedule=schedule))
    assert list(found) == [field]
    assert says in found[field]


def test_every_window_that_overlaps_is_named() -> None:
    found = faults(a_care_plan(schedule=[prescribed("06:00-11:00", "10:00-12:00", "07:00-08:00", "23:00-23:10")]))
    assert [*found] == [f"/schedule/0/windows/{index}" for index in (1, 2, 3)]


@pytest.mark.parametrize(
    "schedule",
    [
        [prescribed("06:00-11:00", "11:00-12:00")],
        [prescribed("22:00-02:00", "02:00-03:00")],
        [prescribed("06:00-06:15", "23:50-00:05", grace="PT23H59M")],
        [prescribed("06:00-11:00"), prescribed("06:00-11:00", kind="blood-pressure")],
    ],
    ids=["side by side", "past midnight", "a quarter of an hour", "two kinds at once"],
)
def test_p6_f9_a_schedule_that_somebody_can_keep_is_accepted(schedule: list[Any]) -> None:
    assert parse_plan(a_care_plan(schedule=schedule)).schedule


@pytest.mark.parametrize("field", ["author", "effective_from", "rules"])
def test_a_plan_has_an_author_a_time_and_rules(field: str) -> None:
    plan = a_care_plan()
    del plan[field]
    assert faults(plan) == {f"/{field}": "this field is needed"}


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"id": "Crisis!"}, "/id", "lower-case"),
        ({"severity": "fatal"}, "/severity", "critical"),
        ({"kind": "mood"}, "/kind", "one of blood-pressure"),
        ({"kind": None}, "/kind", "one of blood-pressure"),
        ({"value": "glucose"}, "/value", "one of systolic, diastolic"),
        ({"value": None}, "/value", "one of systolic, diastolic"),
        ({"when": {}}, "/when", "exactly one of"),
        ({"when": {"above": BOUND, "below": BOUND}}, "/when", "exactly one of"),
        ({"when": {"above": {"value": 180}}}, "/when/above/unit", "needed"),
        ({"when": {"above": {"value": "180", "unit": "mm[Hg]"}}}, "/when/above/value", "a number"),
        ({"when": {"above": {"value": True, "unit": "mm[Hg]"}}}, "/when/above/value", "a number"),
        ({"when": {"above": {"value": None, "unit": "mm[Hg]"}}}, "/when/above/value", "a number"),
        ({"when": {"above": {"value": 180, "unit": "mmol/L"}}}, "/when/above/unit", "converts to mm[Hg]"),
        ({"when": {"above": {"value": 1800, "unit": "mm[Hg]"}}}, "/when/above/value", "plausible are 50 to 280"),
        ({"when": {"below": {"value": 9, "unit": "mm[Hg]"}}}, "/when/below/value", "no reading can reach it"),
        ({"when": {"outside": {"low": 180, "high": 90, "unit": "mm[Hg]"}}}, "/when/outside", "low is below high"),
        ({"when": {"outside": {"unit": "mm[Hg]"}}}, "/when/outside", "low or high is needed"),
        (
            {"when": {"outside": {"low": 9, "high": 180, "unit": "mm[Hg]"}}},
            "/when/outside/low",
            "no reading can reach it",
        ),
        ({"clear": {"below": {"value": 185, "unit": "mm[Hg]"}}}, "/clear", "no longer breached"),
        ({"clear": {"above": {"value": 170, "unit": "mm[Hg]"}}}, "/clear", "side of health"),
        ({"clear": {"below": {"value": 170, "unit": "kg"}}}, "/clear/below/unit", "converts to mm[Hg]"),
        (
            {"when": {"below": {"value": 90, "unit": "mm[Hg]"}}, "clear": {"above": {"value": 80, "unit": "mm[Hg]"}}},
            "/clear",
            "no longer breached",
        ),
        (
            {"when": {"outside": {"low": 90, "unit": "mm[Hg]"}}, "clear": {"above": BOUND}},
            "/clear",
            "no longer breached",
        ),
        ({"clear": {"below": BOUND, "above": BOUND}}, "/clear", "at most one of"),
        ({"persist": {}}, "/persist", "either for, or readings"),
        ({"persist": {"for": "PT5M", "readings": 3}}, "/persist", "either for, or readings"),
        ({"persist": {"for": "PT5M", "of": 3}}, "/persist", "of goes with readings"),
        ({"persist": {"readings": 4, "of": 3}}, "/persist", "readings is at most of"),
        ({"confirm": {"readings": 1, "within": "PT10M"}}, "/confirm/readings", "greater than or equal to 2"),
        ({"active": {"from": "08:00", "to": "20:00", "days": ["monday"]}}, "/active/days/0", "mon"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_r84_a_rule_that_cannot_be_is_refused(changes: dict[str, Any], field: str, says: str) -> None:
    found = faults(a_care_plan(a_rule(**changes)))
    assert f"/rules/0{field}" in found
    assert says in found[f"/rules/0{field}"]


@pytest.mark.parametrize("number", ["1e400", "NaN", "Infinity", '"180"'], ids=["1e400", "NaN", "Infinity", "in quotes"])
def test_r17_what_json_cannot_say_is_no_bound(number: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_plan(json.dumps(a_care_plan()).replace("180", number))


def test_two_rules_may_not_share_an_id() -> None:
    assert faults(a_care_plan(a_rule(), a_rule())) == {"/rules/1/id": "another rule is named sbp-crisis"}


def test_every_fault_is_listed_at_once() -> None:
    assert set(faults(a_care_plan(a_rule(kind="mood"), a_rule(id="second", value="mood")))) == {
        "/rules/0/kind",
        "/rules/1/value",
    }


BOUND_135 = {"value": 135, "unit": "mm[Hg]"}
CGM, MMOL = {"kind": "cgm", "value": "glucose"}, {"value": 8, "unit": "mmol/L"}
KG = {"kind": "weight", "value": "weight"}
HEAVY = KG | {"above": {"value": 90, "unit": "kg"}}
FAST = {"kind": "heart-rate", "value": "rate", "above": {"value": 100, "unit": "/min"}}
FORMS: dict[str, dict[str, Any]] = {
    "rate_above": KG | {"when": {"rate_above": {"value": 2, "unit": "kg", "over": "P3D"}}},
    "rate_below": KG | {"when": {"rate_below": {"value": -1, "unit": "kg/d", "over": "P3D"}}},
    "change_above": KG | {"when": {"change_above": {"value": 2, "unit": "kg", "over": "P3D"}}},
    "average_at_or_above": {
        "when": {"average_at_or_above": {"value": 135, "unit": "mm[Hg]", "over": "P7D", "drop_first_day": True}}
    },
    "deviates": KG | {"when": {"deviates": {"mad": 3, "over": "P14D"}}},
    "forecast_above": KG | {"when": {"forecast_above": {"value": 90, "unit": "kg", "within": "P7D"}}},
    "forecast_below": KG | {"when": {"forecast_below": {"value": 60, "unit": "kg", "within": "P7D"}}},
    "all_of": {"kind": None, "value": None, "when": {"all_of": [HEAVY, {"kind": None, "not": FAST}]}},
    "any_of": {"kind": None, "value": None, "when": {"any_of": [HEAVY, FAST]}},
    "not": {"kind": None, "value": None, "when": {"not": HEAVY}},
    "missing_for": KG | {"value": None, "when": {"missing_for": "P2D"}},
}


def a_rule_of(form: str, **changes: Any) -> dict[str, Any]:
    facts = a_rule(severity="warning") | FORMS[form] | changes
    return {name: fact for name, fact in facts.items() if fact is not None}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_contract_is_run(form: str) -> None:
    rule = rule_of(parse_plan(a_care_plan(a_rule_of(form))))
    assert (rule.condition is None) == (form == "missing_for")
    assert not rule.breached(Decimal(10**6))  # no single value answers it
    assert rule.missing_for == (2 * 24 * 3600 * 1000 if form == "missing_for" else None)


@pytest.mark.parametrize(
    ("form", "family", "kind", "value"),
    [
        ("rate_above", "weight/weight/rising", "weight", "weight"),
        ("forecast_below", "weight/weight/falling", "weight", "weight"),
        ("any_of", "sbp-crisis", "weight", "weight"),
        ("missing_for", "sbp-crisis", "weight", "missing_for"),
    ],
)
def test_a_family_is_kind_value_and_direction_or_the_rule_itself(form: str, family: str, kind: str, value: str) -> None:
    rule = rule_of(parse_plan(a_care_plan(a_rule_of(form))))
    assert (rule.family, rule.kind, rule.value) == (family, kind, value)


DAY = 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("form", "test"),
    [
        ("rate_above", Slope(Decimal(2), 3 * DAY, rising=True)),
        ("rate_below", Slope(Decimal(-3), 3 * DAY, rising=False)),
        ("change_above", Rise(Decimal(2), 3 * DAY)),
        ("average_at_or_above", Mean(Decimal(135), 7 * DAY, drop_first_day=True)),
        ("deviates", OffBaseline(Decimal(3), 14 * DAY)),
        ("forecast_above", Projection(Decimal(90), 7 * DAY, rising=True)),
        ("forecast_below", Projection(Decimal(60), 7 * DAY, rising=False)),
    ],
)
def test_a_trend_asks_what_its_author_wrote(form: str, test: Form) -> None:
    """A kilogram a day over three days is three."""
    rule = rule_of(parse_plan(a_care_plan(a_rule_of(form))))
    place = ("blood-pressure", "systolic") if form == "average_at_or_above" else ("weight", "weight")
    fresh_for = DAY // 4 if form == "average_at_or_above" else DAY
    assert rule.condition == Leaf(place, test, fresh_for)
    assert (rule.places, rule.fresh_for) == (frozenset({place}), fresh_for)


@pytest.mark.parametrize(
    ("form", "holding"),
    [("all_of", {(91, 100)}), ("any_of", {(91, 100), (91, 101), (90, 101)}), ("not", {(90, 100), (90, 101)})],
)
def test_a_rule_of_several_parts_holds_as_they_do_together(form: str, holding: set[tuple[int, int]]) -> None:
    """`all_of`: heavy, and the heart not fast; `not`: not heavy. Heavy is above 90 kg, fast above 100 a minute."""
    condition = rule_of(parse_plan(a_care_plan(a_rule_of(form)))).condition
    assert condition is not None
    found = {
        (kg, rate)
        for kg in (90, 91)
        for rate in (100, 101)
        if holds(
            condition,
            {("weight", "weight"): [(0, "w", Decimal(kg))], ("heart-rate", "rate"): [(0, "h", Decimal(rate))]},
            {},
            0,
        )
    }
    assert found == holding


@pytest.mark.parametrize(
    ("said", "fresh_for"), [({}, timedelta(hours=2)), ({"fresh_for": "PT30M"}, timedelta(minutes=30))]
)
def test_a_rule_of_several_kinds_is_fresh_as_long_as_the_shortest_of_them(
    said: dict[str, Any], fresh_for: timedelta
) -> None:
    rule = rule_of(parse_plan(a_care_plan(a_rule_of("any_of", **said))))
    assert timedelta(milliseconds=rule.fresh_for) == fresh_for


def test_a_rule_of_several_kinds_hears_them_all_and_keeps_what_each_looks_back_at() -> None:
    plan = plan_for(a_subject(), [a_plan_version(a_rule_of("any_of"), a_rule_of("rate_above", id="gain"))], {}, NOW)
    assert plan is not None
    assert {kind: [rule.id for rule in rules] for kind, rules in plan.rules.items()} == {
        "weight": ["sbp-crisis", "gain"],
        "heart-rate": ["sbp-crisis"],
    }
    days = {place: timedelta(milliseconds=kept) for place, kept in plan.kept.items()}
    assert days == {
        ("weight", "weight"): timedelta(days=5),
        ("heart-rate", "rate"): timedelta(hours=4),
    }


@pytest.mark.parametrize("longest", ["critical", "info"])
def test_what_several_rules_look_back_at_is_kept_for_the_longest(longest: str) -> None:
    """Whichever of them is judged first."""
    rules = [
        a_rule_of("rate_above", id=severity, severity=severity, fresh_for="P1D")
        | {"when": {"rate_above": {"value": 2, "unit": "kg", "over": "P9D" if severity == longest else "P3D"}}}
        for severity in ("critical", "info")
    ]
    plan = plan_for(a_subject(), [a_plan_version(*rules)], {}, NOW)
    assert plan is not None
    assert plan.kept == {("weight", "weight"): timedelta(days=11) // timedelta(milliseconds=1)}


@pytest.mark.parametrize(
    "rule",
    [
        a_rule_of("change_above", when={"change_above": {"value": 348, "unit": "kg", "over": "P3D"}}),
        a_rule_of("rate_below", when={"rate_below": {"value": -348, "unit": "kg", "over": "P3D"}}),
        a_rule_of(
            "average_at_or_above",
            when={"average_at_or_above": {"value": 135, "unit": "mm[Hg]", "over": "P2D", "drop_first_day": True}},
        ),
        a_rule_of(
            "average_at_or_above", when={"average_at_or_above": {"value": 280, "unit": "mm[Hg]", "over": "PT1H"}}
        ),
        a_rule(when={"at_or_below": {"value": 50, "unit": "mm[Hg]"}}),
        a_rule(clear={"below": BOUND}),
        a_rule(when={"below": BOUND}, clear={"at_or_above": BOUND}),
        a_rule_of("change_above", when={"change_above": {"value": 0.5, "unit": "kg", "over": "P3D"}}),
        a_rule_of("deviates", when={"deviates": {"mad": 0.5, "over": "P14D"}}),
        a_rule_of("deviates", when={"deviates": {"mad": 3, "over": "P64D"}}),
        a_rule_of("average_at_or_above", when={"average_at_or_above": {**BOUND_135, "over": "P128D"}}),
        a_rule(severity="warning", **CGM, when={"rate_above": {**MMOL, "over": "PT8H"}}),
        a_rule(
            kind="glucose",
            value="glucose",
            when={"above": {"value": 13.9, "unit": "mmol/L"}},
            confirm={"readings": 2, "within": "PT10M", "ask_again": True},
        ),
        a_rule(
            confirm={"readings": 2, "within": "PT10M", "ask_again": True},
            when={"below": {"value": 90, "unit": "mm[Hg]"}},
        ),
    ],
    ids=[
        *("the whole range up", "the whole range down", "two days without the first", "a mean at the limit"),
        *("the lowest plausible", "recovery on the bound", "recovery on the lower bound", "half a kilogram"),
        *("half a deviation", "the longest baseline", "the longest mean", "the longest slope of a sensor"),
        *("high glucose measured again", "low pressure measured again"),
    ],
)
def test_what_is_only_just_possible_is_the_doctors_to_ask(rule: dict[str, Any]) -> None:
    assert parse_plan(a_care_plan(rule)).rules


def test_a_rule_about_silence_hears_no_reading() -> None:
    plan = plan_for(a_subject(), [a_plan_version(a_rule_of("missing_for"))], {}, NOW)
    assert plan is not None
    assert plan.rules == {}
    assert [(rule.id, rule.fresh_for) for rule in plan.missing] == [("sbp-crisis", 0)]
    assert plan.since == datetime.fromisoformat("2026-11-01T00:00:00+04:00")


@pytest.mark.parametrize(
    ("unit", "value", "rises_by"),
    [("mmol/L", 3, "3"), ("mg/dL/min", 2, "1.665"), ("mmol/L/h", 12, "3")],
)
def test_a_rate_is_over_its_window_or_per_time(unit: str, value: float, rises_by: str) -> None:
    rule = a_rule_of("rate_above", kind="cgm", value="glucose")
    rule["when"] = {"rate_above": {"value": value, "unit": unit, "over": "PT15M"}}
    condition = rule_of(parse_plan(a_care_plan(rule))).condition
    assert isinstance(condition, Leaf)
    assert isinstance(condition.test, Slope)
    assert abs(condition.test.bound - Decimal(rises_by)) < Decimal("0.001")


@pytest.mark.parametrize(
    ("rule", "field", "says"),
    [
        (
            a_rule_of("rate_above", when={"rate_above": {"value": 2, "unit": "cm", "over": "P3D"}}),
            "rate_above/unit",
            "kg",
        ),
        (
            a_rule_of("rate_above", when={"rate_above": {"value": 2, "unit": "kg/m", "over": "P3D"}}),
            "rate_above/unit",
            "or that per /min, /h, /d",
        ),
        (
            a_rule_of("change_above", when={"change_above": {"value": 2, "unit": "s", "over": "P3D"}}),
            "change_above/unit",
            "converts to kg",
        ),
        (
            a_rule_of("change_above", when={"change_above": {"value": 0, "unit": "kg", "over": "P3D"}}),
            "change_above/value",
            "more than zero",
        ),
        (
            a_rule_of("change_above", when={"change_above": {"value": 349, "unit": "kg", "over": "P3D"}}),
            "change_above/value",
            "no reading can change by so much",
        ),
        (
            a_rule_of("rate_above", when={"rate_above": {"value": 200, "unit": "kg/d", "over": "P3D"}}),
            "rate_above/value",
            "no reading can change by so much",
        ),
        (
            a_rule_of("rate_below", when={"rate_below": {"value": -200, "unit": "kg/d", "over": "P3D"}}),
            "rate_below/value",
            "plausible are 2 to 350",
        ),
        (
            a_rule_of(
                "average_at_or_above",
                when={"average_at_or_above": {"value": 135, "unit": "mm[Hg]", "over": "PT47H", "drop_first_day": True}},
            ),
            "average_at_or_above/over",
            "at least two days",
        ),
        (a_rule_of("deviates", when={"deviates": {"mad": 0, "over": "P14D"}}), "deviates/mad", "more than zero"),
        (
            a_rule_of(
                "average_at_or_above", when={"average_at_or_above": {"value": 900, "unit": "mm[Hg]", "over": "P7D"}}
            ),
            "average_at_or_above/value",
            "no reading can reach it",
        ),
        (
            a_rule_of("average_at_or_above", when={"average_at_or_above": {**BOUND_135, "over": "P129D"}}),
            "average_at_or_above/over",
            "at most 128 days: a rule looks back at 2048 readings, and of blood-pressure there may be 16 a day",
        ),
        (
            a_rule(severity="warning", **CGM, when={"average_at_or_above": {**MMOL, "over": "PT35H"}}),
            "average_at_or_above/over",
            "at most 34 hours",
        ),
        (
            a_rule(severity="warning", **CGM, when={"forecast_above": {**MMOL, "within": "PT9H"}}),
            "forecast_above/within",
            "at most 8 hours",
        ),
        (a_rule_of("deviates", when={"deviates": {"mad": 3, "over": "P65D"}}), "deviates/over", "at most 64 days"),
        (a_rule_of("any_of", when={"any_of": [FAST, KG | {"missing_for": "P1D"}]}), "any_of/1", "by itself"),
        (a_rule_of("any_of", when={"any_of": [FAST | {"kind": "mood"}]}), "any_of/0/kind", "one of"),
        (a_rule_of("not", when={"not": FAST | {"value": "mood"}}), "not/value", "one of"),
    ],
)
def test_a_form_that_makes_no_sense_is_refused_where_it_stands(rule: dict[str, Any], field: str, says: str) -> None:
    found = faults(a_care_plan(rule))
    assert list(found) == [f"/rules/0/when/{field}"]
    assert says in found[f"/rules/0/when/{field}"]


@pytest.mark.parametrize(
    ("rule", "field", "says"),
    [
        (a_rule_of("any_of", kind="weight"), "kind", "each condition of any_of names its own"),
        (a_rule_of("any_of", value="weight"), "value", "each condition of any_of names its own"),
        (a_rule_of("forecast_above", severity="critical"), "severity", "at most a warning"),
        (a_rule_of("rate_above", clear={"below": {"value": 90, "unit": "kg"}}), "clear", "no longer holds"),
        (a_rule_of("missing_for", kind="mood"), "kind", "one of"),
        (a_rule_of("missing_for", value="mood"), "value", "one of"),
        (a_rule_of("missing_for", persist={"readings": 2}), "persist", "what was not"),
    ],
)
def test_a_rule_whose_parts_do_not_go_together_is_refused(rule: dict[str, Any], field: str, says: str) -> None:
    found = faults(a_care_plan(rule))
    assert list(found) == [f"/rules/0/{field}"]
    assert says in found[f"/rules/0/{field}"]


def test_a_trend_may_have_to_be_over_for_a_while() -> None:
    assert rule_of(parse_plan(a_care_plan(a_rule_of("rate_above", clear={"for": "P1D"})))).clear_for == 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("kind", "value", "when", "refused"),
    [
        ("glucose", "glucose", {"below": {"value": 3.0, "unit": "mmol/L"}}, True),
        ("cgm", "glucose", {"at_or_below": {"value": 54, "unit": "mg/dL"}}, True),
        ("glucose", "glucose", {"below": {"value": 3.9, "unit": "mmol/L"}}, False),
        ("glucose", "glucose", {"above": {"value": 13.9, "unit": "mmol/L"}}, False),
        ("fetal-heart-rate", "rate", {"below": {"value": 100, "unit": "/min"}}, True),
    ],
    ids=["glucose 3.0", "CGM 54 mg/dL", "glucose 3.9", "glucose high", "fetal"],
)
def test_what_cannot_wait_is_not_measured_again_first(
    kind: str, value: str, when: dict[str, Any], refused: bool
) -> None:
    rule = a_rule(kind=kind, value=value, when=when, confirm={"within": "PT10M", "ask_again": True})
    if refused:
        assert list(faults(a_care_plan(rule))) == ["/rules/0/confirm/ask_again"]
    else:
        assert rule_of(parse_plan(a_care_plan(rule))).confirm is not None


@pytest.mark.parametrize(
    ("active", "moment", "covered"),
    [
        ({"from": "08:00", "to": "20:00"}, "2026-11-23T08:00", True),
        ({"from": "08:00", "to": "20:00"}, "2026-11-23T20:00", False),
        ({"from": "08:00", "to": "20:00", "days": ["tue"]}, "2026-11-23T09:00", False),
        ({"from": "22:00", "to": "06:00"}, "2026-11-23T23:00", True),
        ({"from": "22:00", "to": "06:00"}, "2026-11-23T22:00", True),
        ({"from": "22:00", "to": "06:00"}, "2026-11-23T12:00", False),
        ({"from": "22:00", "to": "06:00", "days": ["mon"]}, "2026-11-24T05:59", True),
        ({"from": "22:00", "to": "06:00", "days": ["mon"]}, "2026-11-23T05:59", False),
        ({"from": "22:00", "to": "06:00", "days": ["mon"]}, "2026-11-24T22:00", False),
    ],
    ids=[
        "begin",
        "end",
        "another day",
        "night",
        "its first minute",
        "noon",
        "the morning after",
        "the morning before",
        "the next night",
    ],
)
def test_active_hours_are_those_of_the_day_they_begin_on(active: dict[str, Any], moment: str, covered: bool) -> None:
    hours = rule_of(parse_plan(a_care_plan(a_rule(active=active)))).active
    assert hours is not None
    assert hours.covers(datetime.fromisoformat(moment)) is covered  # 23 November 2026 is a Monday


PROGRAMMES = {"hypertension": a_programme(), "cgm": a_programme(a_rule(id="other"), id="cgm", version=2)}
AROUND: dict[str, Any] = {name: THE_CONTRACTS_OWN[name] for name in ("schedule", "quiet_hours", "escalation")}
EARLY: dict[str, Any] = {"effective_from": "2026-11-10T00:00:00+04:00"}
LATE: dict[str, Any] = {"effective_from": "2026-12-10T00:00:00+04:00"}


@pytest.mark.parametrize(
    ("programmes", "versions", "expected"),
    [
        ([], [], None),
        (["unknown"], [], None),
        (["hypertension"], [], {"template": "hypertension@1"}),
        (["hypertension", "cgm"], [], {"template": "hypertension@1", "other": "cgm@2"}),
        (["hypertension"], [a_plan_version()], {"sbp-crisis": "1"}),
        ([], [a_plan_version()], {"sbp-crisis": "1"}),
        (["hypertension"], [a_plan_version(), a_plan_version(version=2, **EARLY)], {"sbp-crisis": "2"}),
        (["hypertension"], [a_plan_version(), a_plan_version(version=2, **LATE)], {"sbp-crisis": "1"}),
        (["hypertension"], [a_plan_version(**LATE)], {"template": "hypertension@1"}),
        (["hypertension"], [a_plan_version(effective_from=NOW.isoformat())], {"sbp-crisis": "1"}),
    ],
    ids=[
        "no programme",
        "unknown programme",
        "template",
        "two templates",
        "own plan",
        "own plan, no programme",
        "the newest in force",
        "R46 not before it is in force",
        "R46 until it is in force",
        "R46 from the moment it says",
    ],
)
def test_p3_which_plan_judges(
    programmes: list[str], versions: list[PlanVersion], expected: dict[str, str] | None
) -> None:
    plan = plan_for(a_subject(programmes=tuple(programmes)), versions, PROGRAMMES, NOW)
    found = None if plan is None else {rule.id: rule.plan_version for rule in plan.by_id.values()}
    assert found == expected
    assert plan is None or (plan.unreadable, plan.zone) == (None, ZoneInfo(a_subject().time_zone))


@pytest.mark.parametrize("programmes", [("hypertension",), ()], ids=["template", "no programme"])
def test_r45_a_stored_plan_that_does_not_read_is_said_and_not_silence(programmes: tuple[str, ...]) -> None:
    broken = PlanVersion(7, "doc-12", NOW - timedelta(days=1), NOW, json.dumps({"rules": "of an older engine"}))
    plan = plan_for(a_subject(programmes=programmes), [broken], PROGRAMMES, NOW)
    assert plan is not None
    assert plan.unreadable == "7"
    assert [*plan.by_id] == (["template"] if programmes else [])
    assert (plan.told_first, plan.escalation, plan.schedule) == (("patient", "doctor"), (), ())


@pytest.mark.parametrize("form", [*FORMS, "the contract's own"])
def test_a_stored_plan_is_read_as_it_was_put(form: str) -> None:
    """… though rules are read one by one, and each once: other people's, and two of this one's, are read before."""
    document: dict[str, Any] = THE_CONTRACTS_OWN
    if form in FORMS:
        document = a_care_plan(a_rule(), a_rule_of(form, id="second"), **AROUND)
    others: dict[str, Any]
    for others in ({"author": "doc-99"}, {"escalation": []}, {"rules": document["rules"][-1:]}):
        assert stored(json.dumps(document | others)).unreadable is None
    put, found = parse_plan(document, "7"), stored(json.dumps(document))
    assert sorted(map(told, found.by_id.values())) == sorted(map(told, put.rules))
    assert (found.schedule, found.quiet_hours, found.escalation) == (put.schedule, put.quiet_hours, put.escalation)


def test_what_two_doctors_wrote_alike_is_read_once() -> None:
    one = a_care_plan(a_rule(), a_rule(id="second"))
    other: dict[str, Any] = {"author": "doc-99", "effective_from": "2026-11-03T07:00:00Z"}
    texts = [json.dumps(one | by, separators=(",", ":")) for by in (one, other, other | {"escalation": []})]
    rules = [[*stored(text).by_id.values()] for text in texts]
    assert all(rule is rules[0][at] for found in rules for at, rule in enumerate(found))


@pytest.mark.parametrize("text", ["", "[]", "7", "null", '{"rules": {}}', '{"rules": ""}', '{"rules": 7}'])
def test_r45_whatever_stands_in_place_of_a_plan_is_said(text: str) -> None:
    assert stored(text).unreadable == "7"


def test_of_rules_with_one_id_the_first_programmes_counts() -> None:
    programmes = {
        "hypertension": a_programme(a_rule(severity="critical")),
        "pregnancy": a_programme(a_rule(severity="info"), id="pregnancy"),
    }
    plan = plan_for(a_subject(programmes=("hypertension", "pregnancy")), [], programmes, NOW)
    assert plan is not None
    assert [rule.severity for rule in plan.by_id.values()] == ["critical"]


@pytest.mark.parametrize(
    ("versions", "programmes"),
    [
        ([a_plan_version(**AROUND)], {"hypertension": a_programme()}),
        ([], {"hypertension": a_programme(**AROUND), "cgm": a_programme(a_rule(id="other"), id="cgm")}),
    ],
    ids=["the subject's own plan", "the first programme"],
)
def test_what_surrounds_the_rules_goes_with_them(versions: list[PlanVersion], programmes: dict[str, Programme]) -> None:
    """When to measure, when not to be woken, and who is told next."""
    plan = plan_for(a_subject(programmes=tuple(programmes)), versions, programmes, NOW)
    assert plan is not None
    assert [(one.kind, len(one.windows), one.grace) for one in plan.schedule] == [
        ("blood-pressure", 2, timedelta(hours=1))
    ]
    assert plan.quiet_hours is not None
    assert plan.quiet_hours.length == timedelta(hours=9)
    assert [(tier.after, tier.to) for tier in plan.escalation] == [
        (timedelta(0), ("patient", "doctor")),
        (timedelta(minutes=5), ("duty",)),
        (timedelta(minutes=15), ("head",)),
    ]


def test_the_most_severe_rule_of_a_kind_is_judged_first() -> None:
    rules = [a_rule(id=severity, severity=severity) for severity in ("info", "critical", "warning")]
    plan = plan_for(a_subject(), [a_plan_version(*rules)], {}, NOW)
    assert plan is not None
    assert [rule.id for rule in plan.rules["blood-pressure"]] == ["critical", "warning", "info"]


@pytest.mark.parametrize(
    ("escalation", "told"),
    [
        ([], ("patient", "doctor")),
        ([{"after": "PT0S", "to": ["doctor", "duty"]}], ("patient", "doctor", "duty")),
        ([{"after": "PT5M", "to": ["duty"]}], ("patient", "doctor")),
    ],
    ids=["none", "duty at once", "duty later"],
)
def test_p4_patient_and_doctor_are_always_told(escalation: list[dict[str, Any]], told: tuple[str, ...]) -> None:
    plan = plan_for(a_subject(), [a_plan_version(escalation=escalation)], {}, datetime(2026, 11, 22, tzinfo=UTC))
    assert plan is not None
    assert plan.told_first == told
