"""Open mHealth: what each schema allows, refuses, and means in our words."""

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.catalogue import profiles
from domain.alert import ARTEFACTS
from domain.errors import Malformed, RejectedReading, TooLarge, UnknownFormat
from domain.formats import decode
from domain.plausibility import canonical_values
from domain.profile import Measure
from domain.reading import Arrival, Unreadable, context, read
from tests.builders import SERIAL, an_arrival

DATA = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "data" / "omh"
AT = {"date_time": "2026-11-22T08:59:00Z"}
PRESSURE = {
    "systolic_blood_pressure": {"value": 122, "unit": "mmHg"},
    "diastolic_blood_pressure": {"value": 78, "unit": "mmHg"},
}
GLUCOSE = {"blood_glucose": {"value": 95, "unit": "mg/dL"}, "effective_time_frame": AT}


def a_header(name: str = "blood-pressure", version: str = "4.0", **changes: Any) -> dict[str, Any]:
    facts = {
        "id": "123e4567-e89b-12d3-a456-426655440000",
        "creation_date_time": "2026-11-22T09:00:00Z",
        "schema_id": {"namespace": "omh", "name": name, "version": version},
    }
    return {key: value for key, value in (facts | changes).items() if value is not None}


def a_point(body: Any = None, **header: Any) -> dict[str, Any]:
    return {
        "header": a_header(**header),
        "body": PRESSURE | {"effective_time_frame": AT} if body is None else body,
    }


def sent(payload: Any) -> Arrival:
    payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return an_arrival(payload, topic=f"dt/pma/{SERIAL}/omh")


def said(body: Any = None, **header: Any) -> Any:
    """The one reading of a data point, in our words."""
    (reading,) = decode(sent(a_point(body, **header)), {}).readings
    return reading


def judged(reading: Any) -> dict[str, Decimal]:
    """Its values in canonical units. Raises the refusal that it would meet."""
    if isinstance(reading, Unreadable):
        raise reading.refusal
    taken = read(reading)
    context(taken.said)
    any_device: Measure = profiles()["phone"].measures[taken.kind]
    return canonical_values(taken.kind, taken.said["values"], any_device)


def refused(body: Any = None, **header: Any) -> RejectedReading:
    with pytest.raises(RejectedReading) as refusal:
        judged(said(body, **header))
    return refusal.value


def test_a_data_point_is_a_reading_in_our_words() -> None:
    reading = said(
        PRESSURE
        | {
            "effective_time_frame": AT,
            "body_posture": "lying down",
            "measurement_location": "left upper arm",
            "temporal_relationship_to_physical_activity": "at rest",
        }
    )
    assert reading == {
        "kind": "blood-pressure",
        "measured_at": "2026-11-22T08:59:00+00:00",
        "values": {
            "systolic": {"value": Decimal(122), "unit": "mm[Hg]"},
            "diastolic": {"value": Decimal(78), "unit": "mm[Hg]"},
        },
        "flags": [],
        "context": {"posture": "lying-down", "site": "left-upper-arm", "activity": "at-rest"},
        "origin": "device",
    }


VALUES: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("heart-rate", "1.0", {"heart_rate": {"value": 70, "unit": "beats/min"}}, "heart-rate/rate", "70"),
    ("heart-rate", "2.0", {"heart_rate": {"value": 70, "unit": "beats/min"}}, "heart-rate/rate", "70"),
    ("heart-rate", "3.0", {"heart_rate": {"value": 67.5, "unit": "beats/min"}}, "heart-rate/rate", "67.5"),
    ("blood-glucose", "1.0", {"blood_glucose": {"value": 5.5, "unit": "mmol/L"}}, "glucose/glucose", "5.5"),
    ("blood-glucose", "2.1", {"blood_glucose": {"value": 95, "unit": "mg/dL"}}, "glucose/glucose", "5.273208"),
    ("blood-glucose", "3.0", {"blood_glucose": {"value": 5.5, "unit": "mmol/L"}}, "glucose/glucose", "5.5"),
    ("blood-glucose", "4.0", {"blood_glucose": {"value": 5.5, "unit": "mmol/L"}}, "glucose/glucose", "5.5"),
    ("body-weight", "1.0", {"body_weight": {"value": 80, "unit": "kg"}}, "weight/weight", "80"),
    ("body-weight", "2.0", {"body_weight": {"value": 200, "unit": "lb"}}, "weight/weight", "90.718474"),
    ("body-weight", "3.0", {"body_weight": {"value": 0.08, "unit": "Metric Ton"}}, "weight/weight", "80"),
    ("body-temperature", "1.0", {"body_temperature": {"value": 36.6, "unit": "C"}}, "temperature/temperature", "36.6"),
    ("body-temperature", "2.0", {"body_temperature": {"value": 98.6, "unit": "F"}}, "temperature/temperature", "37"),
    ("body-temperature", "3.0", {"body_temperature": {"value": 310.15, "unit": "K"}}, "temperature/temperature", "37"),
    ("body-temperature", "4.0", {"body_temperature": {"value": 36.6, "unit": "C"}}, "temperature/temperature", "36.6"),
    (
        "oxygen-saturation",
        "1.0",
        {"oxygen_saturation": {"value": 97, "unit": "%"}},
        "oxygen-saturation/saturation",
        "97",
    ),
    (
        "oxygen-saturation",
        "2.0",
        {"oxygen_saturation": {"value": 97, "unit": "%"}},
        "oxygen-saturation/saturation",
        "97",
    ),
    (
        "oxygen-saturation",
        "3.0",
        {"oxygen_saturation": {"value": 97, "unit": "%"}},
        "oxygen-saturation/saturation",
        "97",
    ),
    ("step-count", "1.0", {"step_count": 900}, "steps/count", "900"),
]


@pytest.mark.parametrize(
    ("name", "version", "body", "place", "expected"), VALUES, ids=[f"{one[0]} {one[1]}" for one in VALUES]
)
def test_f1_every_schema_has_its_value(
    name: str, version: str, body: dict[str, Any], place: str, expected: str
) -> None:
    kind, _, value = place.partition("/")
    reading = said(body | {"effective_time_frame": AT}, name=name, version=version)
    assert reading["kind"] == kind
    assert judged(reading)[value] == Decimal(expected)


HOUR = {"start_date_time": "2026-11-22T08:00:00Z", "end_date_time": "2026-11-22T09:00:00Z"}


@pytest.mark.parametrize(
    ("version", "count"), [("2.0", 900), ("3.0", {"value": 900, "unit": "steps"})], ids=["number", "with its unit"]
)
def test_steps_are_of_an_interval(version: str, count: Any) -> None:
    body = {"step_count": count, "effective_time_frame": {"time_interval": HOUR}}
    reading = said(body, name="step-count", version=version)
    assert judged(reading) == {"count": 900}
    moment = body | {"effective_time_frame": AT}
    assert isinstance(refused(moment, name="step-count", version=version), Malformed)


def test_glucose_of_the_interstitial_fluid_is_that_of_a_sensor_under_the_skin() -> None:
    reading = said(GLUCOSE | {"specimen_source": "interstitial fluid"}, name="blood-glucose")
    assert (reading["kind"], reading["context"]) == ("cgm", {"sample-type": "interstitial-fluid"})


def test_what_sums_up_many_is_kept_and_is_no_evidence() -> None:
    reading = said(GLUCOSE | {"descriptive_statistic": "standard deviation"}, name="blood-glucose")
    assert (reading["flags"], reading["context"]) == (["statistic"], {"statistic": "standard-deviation"})


@pytest.mark.parametrize("fluid", ["breath", "lacrimal fluid", "saliva", "sweat", "tears", "urine"])
def test_glucose_of_another_fluid_than_blood_is_kept_and_is_no_evidence(fluid: str) -> None:
    reading = said(GLUCOSE | {"specimen_source": fluid}, name="blood-glucose")
    assert (reading["kind"], reading["flags"]) == ("glucose", ["not-blood"])
    assert ARTEFACTS.intersection(reading["flags"])
    assert said(GLUCOSE | {"specimen_source": "capillary blood"}, name="blood-glucose")["flags"] == []


@pytest.mark.parametrize(("modality", "origin"), [("sensed", "device"), ("self-reported", "manual")])
def test_f16_what_somebody_says_is_not_what_a_device_says(modality: str, origin: str) -> None:
    provenance = {"source_name": "an app", "modality": modality}
    assert said(acquisition_provenance=provenance)["origin"] == origin


def test_the_header_of_ieee_1752() -> None:
    reading = said(
        id=None,
        creation_date_time=None,
        uuid="123e4567-e89b-12d3-a456-426655440000",
        source_creation_date_time="2026-11-22T09:00:00Z",
        modality="self-reported",
        external_datasheets=[{"datasheet_type": "manufacturer", "datasheet_reference": "a cuff"}],
    )
    assert reading["origin"] == "manual"


@pytest.mark.parametrize(
    ("frame", "moment"),
    [
        (AT, "2026-11-22T08:59:00+00:00"),
        ({"date_time": "2026-11-22T12:59:00+04:00"}, "2026-11-22T12:59:00+04:00"),
        ({"date_time": "2026-11-22T08:59:00"}, "2026-11-22T08:59:00+00:00"),
        ({"time_interval": HOUR}, "2026-11-22T08:00:00+00:00"),
        (
            {"time_interval": {"start_date_time": HOUR["start_date_time"], "duration": {"value": 1, "unit": "h"}}},
            "2026-11-22T08:00:00+00:00",
        ),
        (
            {"time_interval": {"end_date_time": HOUR["end_date_time"], "duration": {"value": 90, "unit": "min"}}},
            "2026-11-22T07:30:00+00:00",
        ),
        (
            {"time_interval": {"start_date_time": HOUR["end_date_time"], "end_date_time": HOUR["start_date_time"]}},
            "2026-11-22T09:00:00+00:00",
        ),
    ],
    ids=["moment", "offset", "no offset is UTC", "interval", "start and duration", "end and duration", "end first"],
)
def test_when_it_was(frame: dict[str, Any], moment: str) -> None:
    assert said(PRESSURE | {"effective_time_frame": frame})["measured_at"] == moment


NEWEST = {
    "blood-pressure": ("4.0", PRESSURE),
    "heart-rate": ("3.0", {"heart_rate": {"value": 70, "unit": "beats/min"}}),
    "blood-glucose": ("4.0", {"blood_glucose": {"value": 95, "unit": "mg/dL"}}),
    "body-weight": ("3.0", {"body_weight": {"value": 80, "unit": "kg"}}),
    "body-temperature": ("4.0", {"body_temperature": {"value": 36.6, "unit": "C"}}),
    "oxygen-saturation": ("3.0", {"oxygen_saturation": {"value": 97, "unit": "%"}}),
}


@pytest.mark.parametrize("name", NEWEST)
def test_a_part_of_a_day_is_a_time_until_the_frame_of_ieee_1752(name: str) -> None:
    newest, value = NEWEST[name]
    body = value | {"effective_time_frame": {"time_interval": {"date": "2026-11-22", "part_of_day": "morning"}}}
    before = f"{int(newest[0]) - 1}.0"
    assert said(body, name=name, version=before)["measured_at"] == "2026-11-22T06:00:00"
    assert isinstance(refused(body, name=name, version=newest), Malformed)


def test_the_first_schemas_need_not_say_when() -> None:
    provenance = {"source_name": "a cuff", "source_creation_date_time": "2026-11-22T08:30:00Z"}
    assert said(PRESSURE, version="2.0")["measured_at"] == "2026-11-22T09:00:00+00:00"
    reading = said(PRESSURE, version="2.0", acquisition_provenance=provenance)
    assert reading["measured_at"] == "2026-11-22T08:30:00+00:00"


@pytest.mark.parametrize(
    "frame",
    [
        None,
        "2026-11-22",
        {},
        {"start_date_time": "2026-11-22T08:00:00Z"},
        AT | {"time_interval": HOUR},
        {"date_time": "2026-11-22"},
        {"date_time": 1795338000},
        {"date_time": "2026-13-22T08:00:00Z"},
        {"time_interval": "an hour"},
        {"time_interval": {"start_date_time": HOUR["start_date_time"]}},
        {"time_interval": HOUR | {"duration": {"value": 1, "unit": "h"}}},
        {"time_interval": {"start_date_time": HOUR["end_date_time"], "end_date_time": "later"}},
        {"time_interval": {"start_date_time": HOUR["start_date_time"], "duration": {"value": 1, "unit": "hour"}}},
        {"time_interval": {"start_date_time": HOUR["start_date_time"], "duration": {"value": -1, "unit": "h"}}},
        {"time_interval": {"start_date_time": HOUR["start_date_time"], "duration": {"value": "1", "unit": "h"}}},
        {"time_interval": {"start_date_time": HOUR["start_date_time"], "duration": {"value": 1, "unit": ["h"]}}},
        {"time_interval": {"start_date_time": HOUR["start_date_time"], "duration": 3600}},
        {"time_interval": {"end_date_time": "0001-01-02T00:00:00Z", "duration": {"value": 1, "unit": "yr"}}},
        {"time_interval": {"date": "2026-11-22", "part_of_day": "noon"}},
        {"time_interval": {"date": "2026-11-22", "part_of_day": ["morning"]}},
        {"time_interval": {"date": "22.11.2026", "part_of_day": "morning"}},
        {"time_interval": {"date": "2026-11-31", "part_of_day": "morning"}},
    ],
    ids=str,
)
def test_when_it_was_cannot_be_told(frame: Any) -> None:
    body = PRESSURE if frame is None else PRESSURE | {"effective_time_frame": frame}
    assert isinstance(refused(body, version="3.1"), Malformed)


@pytest.mark.parametrize(
    "header",
    [
        {"id": 1},
        {"id": None},
        {"user_id": 1},
        {"creation_date_time": None},
        {"creation_date_time": "yesterday"},
        {"schema_id": "omh:blood-pressure:4.0"},
        {"schema_id": {"namespace": "omh", "name": "blood-pressure"}},
        {"schema_id": {"namespace": "omh", "name": "blood-pressure", "version": 4}},
        {"acquisition_provenance": "a cuff"},
        {"acquisition_provenance": {"modality": "sensed"}},
        {"acquisition_provenance": {"source_name": 7}},
        {"acquisition_provenance": {"source_name": "a cuff", "modality": "guessed"}},
    ],
    ids=str,
)
def test_a_header_that_its_schema_does_not_allow(header: dict[str, Any]) -> None:
    assert isinstance(refused(**header), Malformed)


@pytest.mark.parametrize(
    "schema",
    [("omh", "blood-pressure", "5.0"), ("omh", "mood", "1.0"), ("ieee", "physical-activity", "1.0")],
    ids=lambda schema: ":".join(schema),
)
def test_a_schema_that_is_not_read(schema: tuple[str, str, str]) -> None:
    assert isinstance(
        refused(schema_id=dict(zip(("namespace", "name", "version"), schema, strict=True))), UnknownFormat
    )


BAD_BODIES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "unit of UCUM, not of the schema": (
        {**PRESSURE, "systolic_blood_pressure": {"value": 122, "unit": "mm[Hg]"}}, "blood-pressure", "4.0", "bad-unit",
    ),
    "no unit": (PRESSURE | {"systolic_blood_pressure": {"value": 122}}, "blood-pressure", "4.0", "bad-unit"),
    "text": (
        PRESSURE | {"systolic_blood_pressure": {"value": "122", "unit": "mmHg"}}, "blood-pressure", "4.0", "bad-value",
    ),
    "no object": (PRESSURE | {"systolic_blood_pressure": 122}, "blood-pressure", "4.0", "bad-value"),
    "half of a pressure": (
        {"systolic_blood_pressure": {"value": 122, "unit": "mmHg"}}, "blood-pressure", "4.0", "bad-value",
    ),
    "posture": (PRESSURE | {"body_posture": "upside down"}, "blood-pressure", "4.0", "malformed"),
    "statistic": (PRESSURE | {"descriptive_statistic": "guess"}, "blood-pressure", "4.0", "malformed"),
    "meal": (GLUCOSE | {"temporal_relationship_to_meal": "unknown"}, "blood-glucose", "4.0", "malformed"),
    "specimen of an older version": (GLUCOSE | {"specimen_source": "serum"}, "blood-glucose", "4.0", "malformed"),
    "notes": (PRESSURE | {"user_notes": 7}, "blood-pressure", "2.0", "malformed"),
    "steps with a unit": ({"step_count": {"value": 900, "unit": "steps"}}, "step-count", "1.0", "bad-unit"),
    "oxygen in the unit of another version": (
        {"oxygen_saturation": {"value": 97, "unit": "%"},
         "supplemental_oxygen_flow_rate": {"value": 2, "unit": "LPM"}}, "oxygen-saturation", "2.0", "malformed",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "name", "version", "reason"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_that_its_schema_does_not_allow(body: dict[str, Any], name: str, version: str, reason: str) -> None:
    assert refused({"effective_time_frame": AT} | body, name=name, version=version).reason == reason


JUST_ALLOWED: list[tuple[str, str, str, dict[str, str]]] = [
    ("blood-pressure", "2.0", '"body_posture": "semi-recumbent", "mood": "good"', {"posture": "semi-recumbent"}),
    ("blood-pressure", "3.0", '"measurement_location": "middle left thorax"', {"site": "middle-left-thorax"}),
    ("blood-glucose", "1.0", '"temporal_relationship_to_meal": "2 hours postprandial"',
     {"meal": "2-hours-postprandial"}),
    ("blood-glucose", "2.0", '"specimen_source": "whole blood", "user_notes": ""', {"sample-type": "whole-blood"}),
    ("blood-glucose", "3.0", '"temporal_relationship_to_meal": "not related to meals"',
     {"meal": "not-related-to-meals"}),
    ("blood-glucose", "4.0", '"temporal_relationship_to_meal": "with food"', {"meal": "with-food"}),
    ("body-temperature", "1.0", '"measurement_location": "otic"', {"site": "otic"}),
    ("body-temperature", "4.0", '"measurement_location": "temporal artery"', {"site": "temporal-artery"}),
    ("heart-rate", "1.0", '"temporal_relationship_to_physical_activity": "during exercise"',
     {"activity": "during-exercise"}),
    ("heart-rate", "3.0", '"descriptive-statistic": "misspelt"', {}),
    ("oxygen-saturation", "1.0", '"measurement_method": "near-infrared spectroscopy", "system": "capillary"',
     {"method": "near-infrared-spectroscopy", "system": "capillary"}),
    ("oxygen-saturation", "1.0", '"measurement_method": "CO-oximetry", "temporal_relationship_to_sleep": 7',
     {"method": "co-oximetry"}),
]  # fmt: skip
MEASURED = {
    "blood-pressure": """"systolic_blood_pressure": {"value": 1.22e2, "unit": "mmHg"},
        "diastolic_blood_pressure": {"value": 78.0, "unit": "mmHg"}""",
    "blood-glucose": '"blood_glucose": {"value": 550E-2, "unit": "mmol/L"}',
    "body-temperature": '"body_temperature": {"value": 36.60, "unit": "C", "device": 7}',
    "heart-rate": '"heart_rate": {"unit": "beats/min", "value": 7e+1, "session": 1, "part_number": 1}',
    "oxygen-saturation": '"oxygen_saturation": {"value": 97.0000, "unit": "%"}',
}


@pytest.mark.parametrize(("name", "version", "more", "expected"), JUST_ALLOWED)
def test_f1_what_a_schema_just_allows(name: str, version: str, more: str, expected: dict[str, str]) -> None:
    body = f'{{{MEASURED[name]}, "effective_time_frame": {json.dumps(AT)}, {more}}}'
    (reading,) = decode(
        sent(f'{{"body": {body}, "header": {json.dumps(a_header(name, version))}}}'.encode()), {}
    ).readings
    assert tuple(judged(reading).values()) in {(122, 78), (Decimal("5.5"),), (Decimal("36.6"),), (70,), (97,)}
    assert context(reading) == expected


def test_f1_the_final_schema_of_a_temperature_need_not_say_when_before_version_3() -> None:
    body = {"body_temperature": {"value": 97, "unit": "F"}}
    assert said(body, name="body-temperature", version="2.0")["measured_at"] == "2026-11-22T09:00:00+00:00"
    assert isinstance(refused(body, name="body-temperature", version="3.0"), Malformed)


@pytest.mark.parametrize(
    ("version", "more", "expected"),
    [
        ("1.0", {"supplemental_oxygen_flow_rate": {"value": 2.50, "unit": "LPM"}}, {"oxygen-l-min": "2.5"}),
        ("2.0", {"supplemental_oxygen_flow_rate": {"value": 2, "unit": "L/min"}}, {"oxygen-l-min": "2"}),
        ("1.0", {"measurement_method": "pulse oximetry"}, {"method": "pulse-oximetry"}),
        ("1.0", {"oxygen_therapy_mode_of_administration": "Venturi mask"}, {"oxygen-mode": "venturi-mask"}),
        ("2.0", {"system": "peripheral capillary", "x": 1}, {"system": "peripheral-capillary"}),
    ],
)  # fmt: skip
def test_how_oxygen_was_measured(version: str, more: dict[str, Any], expected: dict[str, str]) -> None:
    body = {"oxygen_saturation": {"value": 97, "unit": "%"}, "effective_time_frame": AT} | more
    assert context(said(body, name="oxygen-saturation", version=version)) == expected


def test_r22_each_point_of_an_array_stands_by_itself() -> None:
    points = [a_point(), 7, a_point({}), {"header": a_header()}]
    message = decode(sent(points), {})
    assert [isinstance(one, Unreadable) for one in message.readings] == [False, True, True, True]
    assert message.alone is not None
    assert [json.loads(one) for one in message.alone] == points
    again = decode(an_arrival(message.alone[0], topic=f"dt/pma/{SERIAL}/omh"), {})
    assert again.readings == message.readings[:1]


@pytest.mark.parametrize(
    ("payload", "error"), [([], Malformed), ([{}] * 501, TooLarge), (b"\xff", Malformed)], ids=["none", "many", "bytes"]
)
def test_r33_a_message_without_end_or_sense(payload: Any, error: type[RejectedReading]) -> None:
    with pytest.raises(error):
        decode(sent(payload), {})


anything = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8) | st.just(1e308),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A data point with anything in the place of anything."""
    point: Any = a_point(
        PRESSURE
        | {"effective_time_frame": draw(st.sampled_from([AT, {"time_interval": HOUR}])), "body_posture": "sitting"},
        version=draw(st.sampled_from(["1.0", "2.0", "3.0", "4.0"])),
    )
    point = json.loads(json.dumps(point))  # no part of it is another test's
    for _ in range(draw(st.integers(1, 3))):
        place = point
        while True:
            keys = sorted(place)
            name = draw(st.sampled_from(keys)) if keys else draw(st.text(max_size=4))
            if isinstance(place.get(name), dict) and draw(st.booleans()):
                place = place[name]
                continue
            place[name] = draw(anything)
            break
    return point


@given(damaged())
def test_r17_whatever_stands_in_a_data_point_is_read_or_refused(point: Any) -> None:
    with suppress(RejectedReading):
        judged(decode(sent(point), {}).readings[0])


def bodies(folder: str) -> list[Any]:
    return [pytest.param(path, id=str(path.relative_to(DATA))) for path in sorted(DATA.glob(f"*/*/{folder}/*.json"))]


needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the Open mHealth bodies are not beside the project")


def of_file(path: Path) -> Any:
    name, version = path.parts[-4:-2]
    content = json.loads(path.read_bytes())
    return a_point() | {"header": content} if name == "header" else a_point(content, name=name, version=version)


@needs_data
@pytest.mark.parametrize("path", bodies("shouldPass") or [pytest.param(None, id="absent")])
def test_what_the_authors_let_pass_is_read(path: Path) -> None:
    (reading,) = decode(sent(of_file(path)), {}).readings
    if path.parts[-4] == "header":  # of a schema that is none of ours
        assert isinstance(reading, Unreadable)
        assert isinstance(reading.refusal, UnknownFormat)
    else:
        assert judged(reading)


@needs_data
@pytest.mark.parametrize("path", bodies("shouldFail") or [pytest.param(None, id="absent")])
def test_what_the_authors_refuse_is_refused(path: Path) -> None:
    (reading,) = decode(sent(of_file(path)), {}).readings
    with pytest.raises(RejectedReading) as refusal:
        judged(reading)
    assert not isinstance(refusal.value, UnknownFormat)
