"""Open mHealth data points, put into the words of `pma.readings/1`.

A data point is a header, which names the schema of its body, and a body. What a schema allows stands in tables: its
units and words are not UCUM's and ours. A unit or word that its schema does not have is put so that it is refused with
the values, after the consent is known (P5).
Source: the schemas omh: blood-pressure 1–4, heart-rate 1–3, blood-glucose 1–4, body-weight 1–3, oxygen-saturation 1–3,
body-temperature 1–4, step-count 1–3, header 1; the header and time frame of IEEE 1752.1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from domain.errors import Malformed, RejectedReading, TooLarge, UnknownFormat
from domain.reading import FORMAT as READINGS
from domain.reading import (
    MAX_READINGS,
    Arrival,
    Json,
    Message,
    Unreadable,
    canonical_json,
    check_size,
    parse,
    read_time,
)

STATISTIC = "statistic"
"""The flag of a value that sums up many: it is kept, and is no evidence of how the person is now."""

NOT_BLOOD = "not-blood"
"""The flag of glucose in another fluid, which follows the blood's from afar or not at all: kept, and no evidence."""

_MMHG = {"mmHg": "mm[Hg]"}
_BEATS = {"beats/min": "/min"}
_GLUCOSE = {"mg/dL": "mg/dL", "mmol/L": "mmol/L"}
_MASS = {"fg": "fg", "pg": "pg", "ng": "ng", "ug": "ug", "mg": "mg", "g": "g", "kg": "kg", "Metric Ton": "t"} | {
    "gr": "[gr]", "oz": "[oz_av]", "lb": "[lb_av]", "Ton": "[ston_av]",
}  # fmt: skip
_TEMPERATURE = {"K": "K", "F": "[degF]", "C": "Cel"}
_PERCENT = {"%": "%"}
_STEPS = {"steps": "{steps}"}
_NOT_OF_THE_SCHEMA = "[not-of-the-schema]"  # no unit of UCUM

_POSITION = ("sitting", "lying down", "standing")
_POSTURE = (*_POSITION, "semi-recumbent")
_SLEEP = ("before sleeping", "during sleep", "on waking")
_ACTIVITY = ("at rest", "active", "before exercise", "after exercise", "during exercise")
_MEAL = (
    "fasting", "not fasting", "before meal", "after meal", "before breakfast", "after breakfast", "before lunch",
    "after lunch", "before dinner", "after dinner", "2 hours postprandial", "not related to meals", "with meal",
    "with food",
)  # fmt: skip
_BLOOD = ("whole blood", "plasma", "serum")
_SPECIMEN = ("interstitial fluid", "capillary blood", "tears", *_BLOOD)
_SPECIMEN_2 = (
    "breath", "capillary blood", "interstitial fluid", "lacrimal fluid", "saliva", "sweat", "tears", "urine",
)  # fmt: skip
_OTHER_FLUIDS = frozenset({"breath", "lacrimal-fluid", "saliva", "sweat", "tears", "urine"})
_ARM = (
    "left ankle", "right ankle", "left hip", "right hip", "left thigh", "right thigh", "left thorax",
    "middle left thorax", "left upper arm", "right upper arm", "left wrist", "right wrist",
)  # fmt: skip
_SITES_1 = ("oral", "rectal", "vaginal", "axillary", "otic", "wrist", "chest")
_SITES = (
    "axillary", "finger", "forehead", "oral", "rectal", "temporal artery", "toe", "tympanic", "wrist", "vagina",
)  # fmt: skip
_STATISTICS = (
    "average", "count", "maximum", "median", "minimum", "standard deviation", "sum", "variance", "20th percentile",
    "80th percentile", "lower quartile", "upper quartile", "quartile deviation", "1st quintile", "2nd quintile",
    "3rd quintile", "4th quintile",
)  # fmt: skip
_SYSTEMS = (
    "arterial", "capillary", "intracardiac", "jugular bulb", "peripheral", "conjunctival", "venous", "mixed venous",
    "superior vena cava", "peripheral capillary",
)  # fmt: skip
_METHODS = (
    "pulse oximetry", "arterial blood gas analyzer", "near-infrared spectroscopy (NIRS)", "near-infrared spectroscopy",
    "CO-oximetry",
)  # fmt: skip

_SECONDS = {
    "ps": Decimal("1e-12"), "ns": Decimal("1e-9"), "us": Decimal("1e-6"), "ms": Decimal("0.001"), "sec": Decimal(1),
    "min": Decimal(60), "h": Decimal(3_600), "d": Decimal(86_400), "wk": Decimal(604_800),
    "Mo": Decimal(2_629_800), "yr": Decimal(31_557_600),
}  # fmt: skip
"""Of a duration's units; a month and a year are those of the Julian calendar, as in UCUM."""

_BEGINS = {"night": 0, "morning": 6, "afternoon": 12, "evening": 18}
"""The hour at which a part of the day begins: an engineering proposal, the schema leaves it open."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LONGEST = Decimal(100 * 31_557_600)
_MOST_LITRES = Decimal(100)
_TENTH = Decimal("0.1")


_Words: TypeAlias = Mapping[str, tuple[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class _Schema:
    """What one major version of a schema's body says.

    `values` are `{field of the body: (value of the kind, {its unit: UCUM})}`, `words` `{field: (our name of the
    circumstance, the words it may have)}`. `timed`: it must say when; `interval`: and how long. `plain`: the value is
    a number without a unit. Where drafts of one version differ, what any of them allows is read. A body may have other
    fields.
    """

    kind: str
    values: Mapping[str, tuple[str, Mapping[str, str]]]
    words: _Words = field(default_factory=dict)
    timed: bool = True
    interval: bool = False
    plain: bool = False
    ieee: bool = False


_PRESSURE = {"systolic_blood_pressure": ("systolic", _MMHG), "diastolic_blood_pressure": ("diastolic", _MMHG)}
_POSED: _Words = {"body_posture": ("posture", _POSTURE)}
_ASLEEP: _Words = {"temporal_relationship_to_sleep": ("sleep", _SLEEP)}
_MOVED: _Words = {"temporal_relationship_to_physical_activity": ("activity", _ACTIVITY), **_ASLEEP}
_EATEN: _Words = {"temporal_relationship_to_meal": ("meal", _MEAL), **_ASLEEP}
_ARMED: _Words = {
    **_POSED,
    "temporal_relationship_to_physical_activity": ("activity", _ACTIVITY),
    "measurement_location": ("site", _ARM),
}
_TAKEN: _Words = {"measurement_location": ("site", _SITES), **_ASLEEP}
_AT_HOME: _Words = {
    "system": ("system", ("peripheral capillary",)),
    "measurement_method": ("method", ("pulse oximetry",)),
    "oxygen_therapy_mode_of_administration": ("oxygen-mode", ("nasal cannula",)),
}
_HEART = {"heart_rate": ("rate", _BEATS)}
_SUGAR = {"blood_glucose": ("glucose", _GLUCOSE)}
_WEIGHT = {"body_weight": ("weight", _MASS)}
_HEAT = {"body_temperature": ("temperature", _TEMPERATURE)}
_OXYGEN = {"oxygen_saturation": ("saturation", _PERCENT)}
_WALKED = {"step_count": ("count", _STEPS)}

_SCHEMAS: dict[tuple[str, str], _Schema] = {
    ("blood-pressure", "1"): _Schema(
        "blood-pressure", _PRESSURE, {"position_during_measurement": ("posture", _POSITION)}, timed=False
    ),
    ("blood-pressure", "2"): _Schema("blood-pressure", _PRESSURE, _POSED, timed=False),
    ("blood-pressure", "3"): _Schema("blood-pressure", _PRESSURE, _ARMED),
    ("blood-pressure", "4"): _Schema("blood-pressure", _PRESSURE, _ARMED, ieee=True),
    ("heart-rate", "1"): _Schema("heart-rate", _HEART, _MOVED, timed=False),
    ("heart-rate", "2"): _Schema("heart-rate", _HEART, _MOVED),
    ("heart-rate", "3"): _Schema("heart-rate", _HEART, _MOVED, ieee=True),
    ("blood-glucose", "1"): _Schema(
        "glucose", _SUGAR, {**_EATEN, "blood_specimen_type": ("sample-type", _BLOOD)}, timed=False
    ),
    ("blood-glucose", "2"): _Schema(
        "glucose", _SUGAR, {**_EATEN, "specimen_source": ("sample-type", _SPECIMEN)}, timed=False
    ),
    ("blood-glucose", "3"): _Schema("glucose", _SUGAR, {**_EATEN, "specimen_source": ("sample-type", _SPECIMEN_2)}),
    ("blood-glucose", "4"): _Schema(
        "glucose", _SUGAR, {**_EATEN, "specimen_source": ("sample-type", _SPECIMEN_2)}, ieee=True
    ),
    ("body-weight", "1"): _Schema("weight", _WEIGHT, timed=False),
    ("body-weight", "2"): _Schema("weight", _WEIGHT),
    ("body-weight", "3"): _Schema("weight", _WEIGHT, ieee=True),
    ("body-temperature", "1"): _Schema("temperature", _HEAT, {"measurement_location": ("site", _SITES_1)}, timed=False),
    ("body-temperature", "2"): _Schema("temperature", _HEAT, _TAKEN, timed=False),
    ("body-temperature", "3"): _Schema("temperature", _HEAT, _TAKEN),
    ("body-temperature", "4"): _Schema("temperature", _HEAT, _TAKEN, ieee=True),
    ("oxygen-saturation", "1"): _Schema(
        "oxygen-saturation",
        _OXYGEN,
        {
            "system": ("system", _SYSTEMS),
            "measurement_method": ("method", _METHODS),
            "oxygen_therapy_mode_of_administration": ("oxygen-mode", ("face mask", "nasal cannula", "Venturi mask")),
        },
        timed=False,
    ),
    ("oxygen-saturation", "2"): _Schema("oxygen-saturation", _OXYGEN, _AT_HOME),
    ("oxygen-saturation", "3"): _Schema("oxygen-saturation", _OXYGEN, _AT_HOME, ieee=True),
    ("step-count", "1"): _Schema("steps", _WALKED, timed=False, plain=True),
    ("step-count", "2"): _Schema("steps", _WALKED, interval=True, plain=True),
    ("step-count", "3"): _Schema("steps", _WALKED, interval=True),
}

_RATE = "supplemental_oxygen_flow_rate"
_FLOW = {"1": ("LPM", "L/min"), "2": ("L/min",), "3": ("L/min",)}
"""Its units in each version of oxygen-saturation."""


def decode_omh(arrival: Arrival) -> Message:
    """One data point, `{"header", "body"}`, or an array of them; the publishing thing itself is the device.

    A point that cannot be read is Unreadable. A time without an offset is UTC, as the schema `date-time` has it; the
    time of an interval is its beginning. Raises TooLarge or Malformed.
    """
    check_size(arrival.payload)
    parsed = parse(arrival.payload)
    points = parsed if isinstance(parsed, list) else [parsed]
    if not points:
        raise Malformed("the message is an array without a data point")
    if len(points) > MAX_READINGS:
        raise TooLarge(f"the message has over {MAX_READINGS} data points")
    readings = tuple(_reading(point) for point in points)
    alone = tuple(canonical_json(point).encode() for point in points)
    return Message(None, readings, {"format": READINGS}, alone=alone)


def _reading(point: Any) -> Json | Unreadable:
    try:
        if not isinstance(point, dict):
            raise Malformed("the data point is not a JSON object")
        header, body = _object(point, "header"), _object(point, "body")
        schema, major = _schema(header)
        return _said(header, body, schema, major)
    except RejectedReading as refusal:
        return Unreadable(point if isinstance(point, dict) else {"point": point}, refusal)


def _object(point: Json, name: str) -> Json:
    given = point.get(name)
    if not isinstance(given, dict):
        raise Malformed(f"{name} is not a JSON object")
    return given


def _schema(header: Json) -> tuple[_Schema, str]:
    """Of the body, by the header: Open mHealth's (`id`) or that of IEEE 1752.1 (`uuid`).

    Raises Malformed or UnknownFormat.
    """
    for name in ("id", "uuid", "user_id"):  # whose it is says the assignment, never the message (R9)
        if not isinstance(header.get(name, ""), str):
            raise Malformed(f"header/{name} is not text")
    created = {"id": "creation_date_time", "uuid": "source_creation_date_time"}
    if not any(name in header and when in header for name, when in created.items()):
        raise Malformed("header has no id with creation_date_time, and no uuid with source_creation_date_time")
    for when in created.values():
        if when in header:
            _time(header[when], f"header/{when}")
    named = _object(header, "schema_id")
    namespace, schema, version = (named.get(part) for part in ("namespace", "name", "version"))
    if not (isinstance(namespace, str) and isinstance(schema, str) and isinstance(version, str)):
        raise Malformed("header/schema_id does not name namespace, name and version")
    major = version.partition(".")[0]
    if namespace != "omh" or (schema, major) not in _SCHEMAS:
        raise UnknownFormat("header/schema_id names a schema that is not read")
    return _SCHEMAS[schema, major], major


def _said(header: Json, body: Json, schema: _Schema, major: str) -> Json:
    provenance = _provenance(header)
    modality = provenance.get("modality", "sensed")
    if modality not in ("sensed", "self-reported"):
        raise Malformed("header modality is not sensed or self-reported")
    if not isinstance(body.get("user_notes", ""), str):
        raise Malformed("body/user_notes is not text")
    context = _context(body, schema, major)
    specimen = context.get("sample-type")
    noted = {STATISTIC: STATISTIC in context, NOT_BLOOD: specimen in _OTHER_FLUIDS}
    return {
        "kind": "cgm" if specimen == "interstitial-fluid" else schema.kind,
        "measured_at": _measured_at(header, provenance, body, schema),
        "values": {
            name: _quantity(body[given], allowed, plain=schema.plain)
            for given, (name, allowed) in schema.values.items()
            if given in body
        },
        "flags": [flag for flag, true in noted.items() if true],
        "context": context,
        "origin": "manual" if modality == "self-reported" else "device",
    }


def _provenance(header: Json) -> Json:
    """What says how it was measured: a part of the header that names its source, or else the header itself."""
    provenance = header.get("acquisition_provenance", header)
    unnamed = "" if provenance is header else None
    if not isinstance(provenance, dict) or not isinstance(provenance.get("source_name", unnamed), str):
        raise Malformed("header/acquisition_provenance does not name its source")
    return provenance


def _context(body: Json, schema: _Schema, major: str) -> Json:
    """The circumstances, each a code; None where the schema has no such word."""
    context = {name: _code(body[given], words) for given, (name, words) in schema.words.items() if given in body}
    if schema.kind == "oxygen-saturation" and _RATE in body:
        context["oxygen-l-min"] = _litres(body[_RATE], _FLOW[major])
    if body.get("descriptive_statistic") is not None:
        context[STATISTIC] = _code(body["descriptive_statistic"], _STATISTICS)
    return context


def _quantity(given: Any, allowed: Mapping[str, str], *, plain: bool) -> Any:
    if plain and isinstance(given, Decimal):
        return {"value": given, "unit": next(iter(allowed.values()))}
    if plain or not isinstance(given, dict):
        return given
    unit = given.get("unit")
    return {
        "value": given.get("value"),
        "unit": allowed.get(unit, _NOT_OF_THE_SCHEMA) if isinstance(unit, str) else unit,
    }


def _code(given: Any, words: tuple[str, ...]) -> Any:
    """The word as a code; one that the schema does not have stays what no code is."""
    return re.sub(r"[^a-z0-9]+", "-", given.lower()).strip("-") if given in words else None


def _litres(given: Any, units: tuple[str, ...]) -> Any:
    value = given.get("value") if isinstance(given, dict) and given.get("unit") in units else None
    readable = isinstance(value, Decimal) and 0 <= value <= _MOST_LITRES
    return f"{value.quantize(_TENTH).normalize():f}" if readable and value is not None else None


def _measured_at(header: Json, provenance: Json, body: Json, schema: _Schema) -> str:
    frame = body.get("effective_time_frame")
    if frame is None:
        if schema.timed:
            raise Malformed("body/effective_time_frame is missing")
        created = provenance.get("source_creation_date_time", header.get("creation_date_time"))
        return _time(created, "header/creation_date_time").isoformat()
    if not isinstance(frame, dict) or ("date_time" in frame) == ("time_interval" in frame):
        raise Malformed("body/effective_time_frame is not one of date_time and time_interval")
    if "date_time" in frame:
        if schema.interval:
            raise Malformed("body/effective_time_frame is not a time_interval")
        return _time(frame["date_time"], "body/effective_time_frame/date_time").isoformat()
    return _beginning(frame["time_interval"], ieee=schema.ieee).isoformat()


def _beginning(interval: Any, *, ieee: bool) -> datetime:
    """When it began, whatever its end: no schema says that the end is later, and published examples have it earlier."""
    at = "body/effective_time_frame/time_interval"
    if not isinstance(interval, dict):
        raise Malformed(f"{at} is not a JSON object")
    given = frozenset(interval)
    start, end = "start_date_time", "end_date_time"
    if {start, end} <= given and "duration" not in given:
        _time(interval[end], f"{at}/{end}")
        return _time(interval[start], f"{at}/{start}")
    if {start, "duration"} <= given and end not in given:
        _duration(interval["duration"], at)
        return _time(interval[start], f"{at}/{start}")
    if {end, "duration"} <= given and start not in given:
        try:
            return _time(interval[end], f"{at}/{end}") - _duration(interval["duration"], at)
        except OverflowError:
            raise Malformed(f"{at} begins before the calendar") from None
    if {"date", "part_of_day"} <= given and not ieee:
        return _part_of_day(interval["date"], interval["part_of_day"], at)
    raise Malformed(f"{at} is not two of start_date_time, end_date_time and duration, nor date and part_of_day")


def _duration(given: Any, at: str) -> timedelta:
    value, unit = (given.get("value"), given.get("unit")) if isinstance(given, dict) else (None, None)
    seconds = _SECONDS.get(unit) if isinstance(unit, str) else None
    if not isinstance(value, Decimal) or seconds is None or not 0 <= value <= _LONGEST / seconds:
        raise Malformed(f"{at}/duration is not a value and a unit of time")
    return timedelta(seconds=float(value * seconds))


def _part_of_day(date: Any, part: Any, at: str) -> datetime:
    if not isinstance(date, str) or not _DATE.fullmatch(date) or not isinstance(part, str) or part not in _BEGINS:
        raise Malformed(f"{at} is not a date and morning, afternoon, evening or night")
    return read_time(f"{date}T{_BEGINS[part]:02}:00:00", f"{at}/date")


def _time(given: Any, name: str) -> datetime:
    found = read_time(given, name)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
