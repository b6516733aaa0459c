"""The scenes of docs/alerts.md, as data: each form of a rule, and each thing that makes an alert a good one."""

from collections.abc import Mapping, Sequence
from typing import Any

from ops.alert_play import Person, Reading, Scene


def every(minutes: float, *shown: float, start: float = 0) -> tuple[Reading, ...]:
    """Readings at equal steps."""
    return tuple(Reading(start + number * minutes, value) for number, value in enumerate(shown))


_HIGH = {"at_or_above": {"value": 160, "unit": "mm[Hg]"}}
_CRISIS = {"at_or_above": {"value": 180, "unit": "mm[Hg]"}}
_DAY = 24 * 60


def _pressure(name: str, *rules: Mapping[str, Any], readings: tuple[Reading, ...], until: float, **more: Any) -> Scene:
    return Scene(name, "blood-pressure", "systolic", rules, readings, until, **more)


def _sensor(name: str, *rules: Mapping[str, Any], readings: tuple[Reading, ...], until: float, **more: Any) -> Scene:
    return Scene(name, "cgm", "glucose", rules, readings, until, **more)


def _bound(form: str, value: float, unit: str = "mm[Hg]", **more: Any) -> dict[str, Any]:
    return {form: {"value": value, "unit": unit, **more}}


_EDGE = (150, 159, 160, 161, 158, 152)
_LOW_EDGE = (101, 91, 90, 89, 92, 101)


def _twice_a_day(*mornings: float) -> tuple[Reading, ...]:
    """A reading each morning, and one in the evening that is 6 higher."""
    return tuple(
        Reading(day * _DAY + evening * 720, value + 6 * evening)
        for day, value in enumerate(mornings)
        for evening in (0, 1)
    )


FORMS: tuple[Scene, ...] = (
    _pressure("at_or_above", {"when": _HIGH}, readings=every(60, *_EDGE), until=330, bounds=(160,)),
    _pressure("above", {"when": _bound("above", 160)}, readings=every(60, *_EDGE), until=330, bounds=(160,)),
    _pressure(
        "at_or_below", {"when": _bound("at_or_below", 90)}, readings=every(60, *_LOW_EDGE), until=330, bounds=(90,)
    ),
    _pressure("below", {"when": _bound("below", 90)}, readings=every(60, *_LOW_EDGE), until=330, bounds=(90,)),
    Scene(
        "outside",
        "fetal-heart-rate",
        "rate",
        ({"when": {"outside": {"low": 110, "high": 160, "unit": "/min"}}},),
        every(2, 141, 152, 160, 163, 158, 140, 121, 110, 107, 118, 136),
        24,
        bounds=(110, 160),
    ),
    _sensor(
        "rate_above",
        {"when": _bound("rate_above", 3, "mmol/L", over="PT30M")},
        readings=every(5, 6.0, 6.1, 6.0, 6.4, 7.0, 7.7, 8.5, 9.3, 10.0, 10.4, 10.6, 10.6, 10.5, 10.3, 10.1, 9.9),
        until=80,
    ),
    _sensor(
        "rate_below",
        {"when": _bound("rate_below", -3, "mmol/L", over="PT30M")},
        readings=every(5, 10.6, 10.5, 10.3, 9.8, 9.2, 8.5, 7.8, 7.1, 6.5, 6.1, 5.9, 5.8, 5.8, 5.9, 6.0, 6.0),
        until=80,
    ),
    Scene(
        "missing_for",
        "blood-pressure",
        "systolic",
        ({"when": {"missing_for": "PT6H"}},),
        (Reading(0, 132), Reading(120, 128), Reading(570, 135, late=0), Reading(690, 131)),
        760,
    ),
    Scene(
        "change_above",
        "weight",
        "weight",
        ({"when": _bound("change_above", 2, "kg", over="P3D")},),
        every(_DAY, 80.1, 79.8, 80.2, 80.9, 81.7, 82.4, 82.5, 82.3, 81.6),
        9 * _DAY,
        days=True,
    ),
    _pressure(
        "average_at_or_above",
        {"when": _bound("average_at_or_above", 135, over="P7D", drop_first_day=True), "fresh_for": "P1D"},
        readings=tuple(
            Reading(day * _DAY + half * 720, value + (6 if half else 0))
            for day, value in enumerate(
                (149, 128, 131, 133, 130, 135, 138, 140, 139, 142, 136, 130, 124, 122, 119, 120)
            )
            for half in (0, 1)
        ),
        until=16 * _DAY,
        bounds=(135,),
        days=True,
    ),
    Scene(
        "deviates",
        "weight",
        "weight",
        ({"when": {"deviates": {"mad": 4, "over": "P21D"}}},),
        every(_DAY, 80.2, 79.7, 80.3, 80.0, 79.8, 80.4, 80.1, 79.9, 80.3, 80.2, 81.0, 82.1, 82.6, 81.8, 80.9, 80.3),
        16 * _DAY,
        days=True,
    ),
    _sensor(
        "forecast_above",
        {"when": _bound("forecast_above", 13.9, "mmol/L", within="PT20M")},
        readings=every(5, 8.8, 8.9, 9.2, 9.7, 10.4, 11.2, 12.0, 12.6, 12.9, 13.0, 12.8, 12.5, 12.1, 11.8),
        until=70,
        bounds=(13.9,),
    ),
    _sensor(
        "forecast_below",
        {"when": _bound("forecast_below", 3.0, "mmol/L", within="PT20M")},
        readings=every(5, 6.5, 6.4, 6.2, 5.9, 5.5, 5.0, 4.5, 4.1, 3.9, 3.9, 4.1, 4.4, 4.8, 5.1),
        until=70,
        bounds=(3.0,),
    ),
)

_BOTH = {
    "all_of": [
        {"kind": "oxygen-saturation", "value": "saturation", "below": {"value": 94, "unit": "%"}},
        {"kind": "heart-rate", "value": "rate", "above": {"value": 100, "unit": "/min"}},
    ]
}


def _two(pairs: Sequence[tuple[float, float]]) -> tuple[Reading, ...]:
    found: list[Reading] = []
    for number, (saturation, rate) in enumerate(pairs):
        found += [Reading(20 * number, saturation), Reading(20 * number + 1, rate, kind="heart-rate")]
    return tuple(found)


_PAIRS = ((97, 80), (93, 84), (92, 104), (93, 108), (95, 106), (96, 90), (97, 112), (97, 84))


def _combined(name: str, when: Mapping[str, Any]) -> Scene:
    return Scene(name, "oxygen-saturation", "saturation", ({"when": when},), _two(_PAIRS), 155, bounds=(94,))


COMBINED: tuple[Scene, ...] = (
    _combined("all_of", _BOTH),
    _combined("any_of", {"any_of": _BOTH["all_of"]}),
    _combined("not", {"all_of": [_BOTH["all_of"][0], {"not": _BOTH["all_of"][1]}]}),
)

_LOW = {"below": {"value": 3.9, "unit": "mmol/L"}}
_URGENT = {
    "id": "urgent",
    "severity": "critical",
    "family": "glucose-low",
    "when": {"below": {"value": 3.0, "unit": "mmol/L"}},
}

_FALLING = {"id": "falling", "family": "glucose-low", "when": _bound("rate_below", -2, "mmol/L", over="PT20M")}
_ASKED = {
    "id": "crisis",
    "severity": "critical",
    "when": _CRISIS,
    "confirm": {"readings": 2, "within": "PT10M", "ask_again": True},
}

LIFE: tuple[Scene, ...] = (
    _sensor(
        "persist-for",
        {"when": _LOW, "persist": {"for": "PT15M"}},
        readings=every(5, 4.6, 4.1, 3.8, 3.7, 4.0, 4.1, 3.8, 3.6, 3.5, 3.4, 3.6, 3.9, 4.2, 4.5),
        until=70,
        bounds=(3.9,),
    ),
    _pressure(
        "persist-readings",
        {"when": _HIGH, "persist": {"readings": 2, "of": 3}},
        readings=every(60, 152, 164, 155, 150, 166, 154, 168, 157, 149, 146),
        until=570,
        bounds=(160,),
    ),
    _pressure(
        "confirm-confirmed",
        _ASKED,
        readings=(Reading(0, 148), Reading(30, 186), Reading(35, 184), Reading(60, 172), Reading(80, 158)),
        until=95,
        bounds=(180,),
    ),
    _pressure(
        "confirm-disproved",
        _ASKED,
        readings=(Reading(0, 148), Reading(30, 186), Reading(35, 151), Reading(60, 149), Reading(80, 146)),
        until=95,
        bounds=(180,),
    ),
    _pressure(
        "confirm-unanswered",
        _ASKED,
        readings=(Reading(0, 148), Reading(30, 186), Reading(80, 151)),
        until=95,
        bounds=(180,),
    ),
    _pressure(
        "clear",
        {"when": _CRISIS, "clear": {"below": {"value": 170, "unit": "mm[Hg]"}, "for": "PT30M"}},
        readings=every(10, 168, 182, 178, 174, 181, 172, 168, 166, 176, 169, 165, 163, 160, 158),
        until=145,
        bounds=(180, 170),
    ),
    _pressure(
        "active",
        {"when": _HIGH, "active": {"from": "10:00", "to": "18:00"}},
        readings=(Reading(60, 165), Reading(90, 164), Reading(150, 163), Reading(240, 152), Reading(330, 150)),
        until=360,
        bounds=(160,),
    ),
    _pressure(
        "repeat",
        {"when": _HIGH, "repeat": {"every": "PT1H", "at_most": 2}},
        readings=every(30, 150, 164, 165, 168, 166, 165, 167, 166, 164, 158),
        until=300,
        bounds=(160,),
    ),
    _sensor(
        "family",
        _FALLING,
        {"id": "low", "severity": "warning", "family": "glucose-low", "when": _LOW},
        _URGENT,
        readings=every(5, 7.4, 7.3, 7.0, 6.4, 5.7, 5.0, 4.3, 3.7, 3.3, 2.9, 2.8, 3.1, 3.6, 4.1, 4.5, 4.8),
        until=80,
        bounds=(3.9, 3.0),
    ),
    _sensor(
        "snooze",
        {"id": "low", "severity": "warning", "family": "glucose-low", "when": _LOW, "fresh_for": "PT30M"},
        _URGENT,
        readings=every(5, 4.4, 4.0, 3.8, 3.6, 3.5, 3.4, 3.2, 2.9, 2.8, 3.2, 3.5, 3.6, 3.6, 3.7, 3.7, 3.8, 4.2),
        people=(Person(15, "snoozes", "low", until=65),),
        until=85,
        bounds=(3.9, 3.0),
    ),
    _pressure(
        "acknowledge",
        {"id": "high", "when": _HIGH, "family": "pressure-high", "repeat": {"every": "PT1H", "at_most": 5}},
        {"id": "crisis", "severity": "critical", "family": "pressure-high", "when": _CRISIS},
        readings=every(30, 150, 164, 165, 168, 166, 165, 184, 172, 164, 157),
        people=(Person(100, "acknowledges", "high"),),
        until=300,
        bounds=(160, 180),
    ),
    _pressure(
        "quiet-hours",
        {"id": "high", "when": _HIGH, "family": "pressure-high", "fresh_for": "P1D"},
        {"id": "crisis", "severity": "critical", "family": "pressure-high", "when": _CRISIS},
        readings=(
            Reading(600, 151),
            Reading(870, 163),
            Reading(990, 165),
            Reading(1150, 186),
            Reading(1200, 171),
            Reading(1260, 166),
            Reading(1440, 164),
            Reading(1560, 152),
        ),
        until=1600,
        quiet_hours=("22:00", "07:00"),
        bounds=(160, 180),
    ),
    _sensor(
        "late",
        {"when": _LOW},
        readings=(
            *every(5, 5.2, 4.7, 4.3),
            *(Reading(15 + 5 * n, value, late=50 - 5 * n) for n, value in enumerate((3.8, 3.6, 3.7, 4.1))),
            *every(5, 3.8, 3.6, 3.5, start=50),
            *(Reading(35 + 5 * n, value, late=31 - 5 * n) for n, value in enumerate((4.6, 4.9))),
            *every(5, 3.7, 4.0, 4.4, start=70),
        ),
        until=85,
        bounds=(3.9,),
    ),
    Scene(
        "auxiliary",
        "heart-rate",
        "rate",
        ({"severity": "critical", "when": _bound("above", 130, "/min")},),
        (
            Reading(0, 92, auxiliary=True),
            Reading(15, 134, auxiliary=True),
            Reading(30, 138, auxiliary=True),
            Reading(40, 136),
            Reading(60, 112, auxiliary=True),
            Reading(75, 108),
        ),
        85,
        bounds=(130,),
    ),
    _pressure(
        "artefact",
        {"when": _CRISIS},
        readings=(
            Reading(0, 151),
            Reading(30, 221, flags=("movement",)),
            Reading(60, 186),
            Reading(90, 112, flags=("cuff-loose",)),
            Reading(120, 158),
        ),
        until=135,
        bounds=(180,),
    ),
)
