"""Technical alerts name what is wrong, with what and since when, and are over when it is."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.alert import CARE_PLAN, NO_DATA, BatteryTold, State, Tick, step
from domain.identity import deterministic_id
from tests.builders import NOW, ORGANISATION, SUBJECT, a_rule, an_observation
from tests.lives import Life, a_plan, at, bound, reading

WHO = (ORGANISATION, SUBJECT)
SERIAL = "BP-00017"
BATTERY, FAULT = f"battery-low.{SERIAL}", f"device-fault.{SERIAL}"
FAULTY: dict[str, Any] = {"flags": ("sensor-malfunction",)}
EMPTY: dict[str, Any] = {"flags": ("battery-low",)}


def silent(kind: str) -> dict[str, Any]:
    return {"id": f"silent-{kind}", "kind": kind, "severity": "warning", "when": {"missing_for": "PT3H"}}


def battery(percent: int) -> BatteryTold:
    return BatteryTold(*WHO, SERIAL, Decimal(percent))


def unheard(severity: str) -> Life:
    """An alert of this severity that is to be repeated, of which nothing fresh shows any more that it still is so."""
    repeat = {"every": "PT15M", "at_most": 3}
    return Life(a_plan(a_rule(severity=severity, fresh_for="PT10M", repeat=repeat))).read(reading(0, 190)).tick(20)


def three_times_broken() -> Life:
    life = Life(a_plan())
    for minute in range(3):
        life.read(reading(minute, 120, **FAULTY))
    return life


LIVES = {
    "a plan": lambda: Life(replace(a_plan(), unreadable="7")).read(reading(0, 120)),
    "silence": lambda: Life(a_plan(silent("weight"))).tick(200, weight=0),
    "no data": lambda: unheard("critical"),
    "no data, of an info": lambda: unheard("info"),
    "a battery by a reading": lambda: Life(a_plan()).read(reading(0, 120, **EMPTY)),
    "a battery by a status": lambda: Life(a_plan()).happen(battery(14), 5),
    "a device": three_times_broken,
}


@pytest.mark.parametrize(
    ("name", "rule", "about", "severity", "version", "readings"),
    [
        ("a plan", CARE_PLAN, ("blood-pressure", CARE_PLAN), "warning", "7", [0]),
        ("silence", "silent-weight", ("weight", "missing_for"), "warning", "1", []),
        ("no data", f"{NO_DATA}blood-pressure", ("blood-pressure", "missing_for"), "warning", "1", []),
        ("no data, of an info", f"{NO_DATA}blood-pressure", ("blood-pressure", "missing_for"), "info", "1", []),
        ("a battery by a reading", BATTERY, ("blood-pressure", "battery"), "info", "", [0]),
        ("a battery by a status", BATTERY, ("", "battery"), "info", "", []),
        ("a device", FAULT, ("blood-pressure", "device"), "warning", "", [0, 1, 2]),
    ],
)
def test_what_a_technical_alert_is_about(
    name: str, rule: str, about: tuple[str, str], severity: str, version: str, readings: list[int]
) -> None:
    (alert,) = [one for one in LIVES[name]().versions if one.category == "technical"]
    observations = tuple(reading(minute, 120).id for minute in readings)
    assert (alert.rule, alert.family, alert.kind, alert.value) == (rule, rule, *about)
    assert (alert.severity, alert.plan_version) == (severity, version)
    assert (alert.observations, alert.observation) == (observations, observations[0] if observations else "")
    assert (alert.state, alert.told) == ("active", "raised")


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("a plan", lambda life: Life(a_plan(), life.state, alerts=life.alerts).read(reading(9, 120))),
        ("silence", lambda life: life.read(an_observation(kind="weight", values={"weight": Decimal(80)}))),
        ("a battery by a reading", lambda life: life.read(reading(9, 120))),
        ("a battery by a status", lambda life: life.happen(battery(15), 9)),
        ("a device", lambda life: life.read(reading(9, 120))),
    ],
)
def test_what_is_over_leaves_nothing_behind_and_may_be_raised_anew(name: str, ends: Any) -> None:
    life = ends(LIVES[name]())
    assert ([one.state for one in life.alerts.values()], life.state) == (["resolved"], State())


def test_of_several_silences_each_is_told() -> None:
    life = Life(a_plan(silent("weight"), silent("glucose"), silent("temperature")))
    life.tick(200, weight=0, glucose=100, temperature=100)
    life.tick(290, weight=0, glucose=0, temperature=0)
    life.tick(300, weight=0, glucose=0, temperature=0)
    assert sorted(rule for _, rule, _ in life.told) == ["silent-glucose", "silent-temperature", "silent-weight"]


def test_a_good_reading_of_the_very_moment_does_not_mend_a_device() -> None:
    life = three_times_broken().read(reading(2, 120, id="at the same time"))
    assert life.alert.state == "active"


def test_the_faults_that_count_are_three_in_a_row_however_long_ago_they_began() -> None:
    life = Life(a_plan())
    for minute in (0, 60 * 24, 60 * 48):
        life.read(reading(minute, 120, **FAULTY))
    assert life.told == [("raised", FAULT, "warning")]


def test_a_battery_that_is_empty_once_more_is_another_alert() -> None:
    life = Life(a_plan()).happen(battery(10), 0).happen(battery(100), 5).happen(battery(10), 9)
    assert [one.state for one in life.alerts.values()] == ["resolved", "active"]


@pytest.mark.parametrize("other", [(ORGANISATION, "S-0002"), ("clinic-b", SUBJECT)], ids=["subject", "organisation"])
def test_r29_p7_an_alerts_id_is_of_its_subject_alone_and_never_shifts(other: tuple[str, str]) -> None:
    """The same silence at the same moment, of two people."""
    plan = a_plan(silent("weight"))
    ids = []
    for who in (WHO, other):
        _, _, (alert,) = step(State(), Tick(*who, {"weight": NOW}), plan, at(200))
        ids.append(alert.id)
    cause = str(round(at(200).timestamp() * 1000))
    assert ids == [deterministic_id(org, "alert", who, "silent-weight", cause) for org, who in (WHO, other)]
    assert ids[0] != ids[1]


@pytest.mark.parametrize("percent", [0, 14, 15, 100])
def test_a_battery_is_nearly_empty_below_fifteen_percent(percent: int) -> None:
    life = Life(a_plan(a_rule(when={"at_or_above": bound(180)}))).happen(battery(percent), 0)
    assert len(life.told) == (percent < 15)
