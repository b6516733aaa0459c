"""Whole days of simulated people under the default programmes, as docs/alerts.md shows them."""

import json
from datetime import timedelta
from functools import cache
from typing import Any

from adapters.catalogue import CATALOGUE
from device_sim.vitals import TYPE_1, Crisis, PressureTraits, dice, glucose, pressures, sensor
from ops.alert_play import START, Reading, Scene

_DAY = 24 * 60
_MORNING_AND_EVENING = (0, 2, 300, 660, 662, 695, 760, 845, 1380, 1382)


@cache
def days() -> tuple[Scene, ...]:
    """A day of a sensor in type-1 diabetes, and one of a cuff with a crisis in the evening; the same each time."""
    return _sensor_day(), _pressure_day()


def _sensor_day() -> Scene:
    chance = dice(47, "alert-day")
    blood = glucose(chance, TYPE_1, START, START + timedelta(days=1))
    readings = [
        Reading((at - START) / timedelta(minutes=1), float(round(level, 1))) for at, level in sensor(chance, blood)
    ]
    return _of_programme("day-of-a-sensor", "cgm", "cgm", "glucose", tuple(readings), (3.0, 3.9, 10.0, 13.9))


def _pressure_day() -> Scene:
    traits = PressureTraits(systolic=136, diastolic=84, pulse=72, spread=9, dip=0.1, first_excess=4)
    times = [(START + timedelta(minutes=minutes),) for minutes in _MORNING_AND_EVENING]
    crisis = Crisis(START + timedelta(hours=10.5), timedelta(hours=1.5), systolic=191, diastolic=108)
    readings = [
        Reading((one.at - START) / timedelta(minutes=1), float(round(one.systolic)))
        for one in pressures(dice(3, "alert-day"), traits, times, [crisis])
    ]
    return _of_programme("day-of-a-cuff", "hypertension", "blood-pressure", "systolic", tuple(readings), (90, 135, 180))


def _of_programme(
    name: str, programme: str, kind: str, value: str, readings: tuple[Reading, ...], bounds: tuple[float, ...]
) -> Scene:
    """A day under the rules of a programme's template that are about this value."""
    template: dict[str, Any] = json.loads((CATALOGUE / "programmes" / f"{programme}.json").read_text(encoding="utf-8"))
    return Scene(
        name,
        kind,
        value,
        tuple(one for one in template["rules"] if one.get("value") == value and one.get("kind") == kind),
        readings,
        _DAY,
        quiet_hours=(template["quiet_hours"]["from"], template["quiet_hours"]["to"]),
        bounds=bounds,
    )
