"""A cohort measures as prescribed, with devices that can be enrolled, and the same way for the same seed."""

import itertools
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.cohort import Cohort, a_patient, measure, simulate
from device_sim.gateway import Topics
from device_sim.payload import pack
from device_sim.replay import LAYOUTS
from domain.codes import KINDS
from domain.profile import DeviceProfile
from domain.reading import Arrival, decode_readings, read

CATALOGUE = Path(__file__).resolve().parents[2] / "catalogue"

UNTIL = datetime(2026, 11, 22, 9, 0, 30, 123456, tzinfo=UTC)
CANONICAL = {"mg/dL": ("mmol/L", Decimal(1) / Decimal("18.0156"))}


def a_cohort(**changes: int | float) -> Cohort:
    facts: dict[str, int | float] = {"patients": 10, "days": 2, "seed": 7, "crises": 0} | changes
    return simulate(
        int(facts["patients"]), days=facts["days"], seed=int(facts["seed"]), until=UNTIL, crises=int(facts["crises"])
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(min_value=0, max_value=10**6), st.integers(min_value=1, max_value=12))
def test_the_same_arguments_give_the_same_cohort(seed: int, patients: int) -> None:
    assert a_cohort(seed=seed, patients=patients, days=0.5) == a_cohort(seed=seed, patients=patients, days=0.5)


def test_another_seed_gives_other_readings_of_the_same_people() -> None:
    one, other = a_cohort(seed=1), a_cohort(seed=2)
    assert one.patients == other.patients
    assert one.readings != other.readings


def test_one_more_patient_changes_nothing_for_the_rest() -> None:
    ten, eleven = a_cohort(patients=10), a_cohort(patients=11)
    last = eleven.patients[-1].subject
    assert tuple(reading for reading in eleven.readings if reading.subject != last) == ten.readings


def test_readings_come_in_order_and_end_by_now() -> None:
    cohort = a_cohort()
    times = [reading.measured_at for reading in cohort.readings]
    assert times == sorted(times)
    assert UNTIL - timedelta(days=2) <= cohort.first_at
    assert cohort.last_at <= UNTIL
    assert all(at.microsecond == 0 for at in times)


@settings(max_examples=5, deadline=None)
@given(st.integers(min_value=0, max_value=10**6))
def test_every_reading_is_one_that_the_platform_accepts(seed: int) -> None:
    for reading in a_cohort(seed=seed, crises=3).readings:
        kind = KINDS[reading.kind]
        assert {name for name, value in kind.values.items() if value.required} <= set(reading.values)
        for name, (value, unit) in reading.values.items():
            canonical, factor = CANONICAL.get(unit, (unit, Decimal(1)))
            assert canonical == kind.values[name].unit
            assert kind.values[name].low <= round(value * factor, 1) <= kind.values[name].high


def test_measures_as_prescribed() -> None:
    cohort = a_cohort(days=30)
    said = Counter(reading.device for reading in cohort.readings)
    prescribed = {"tonometer": 4, "glucometer": 4, "scale": 1, "bracelet": 16, "cgm": 288}
    for patient in cohort.patients:
        for device in patient.devices:
            assert said[device.serial] / 30 == pytest.approx(prescribed[device.profile], rel=0.2), device


def test_a_sensor_keeps_its_grid_to_the_second() -> None:
    times = [reading.measured_at for reading in a_cohort().readings if reading.kind == "cgm"]
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {timedelta(minutes=5)}
    assert {at.second for at in times} == {0}


def test_as_many_crises_as_asked_for_each_with_pairs_above_the_bound() -> None:
    cohort = a_cohort(crises=3)
    high = Counter(
        reading.subject
        for reading in cohort.readings
        if reading.kind == "blood-pressure" and reading.values["systolic"].value >= 180
    )
    assert len(high) == 3
    assert all(count == 6 for count in high.values())


def test_a_lone_sensor_connects_for_itself_and_several_by_a_phone() -> None:
    cohort = a_cohort()
    things = {reading.device: reading.thing for reading in cohort.readings}
    for patient in cohort.patients:
        carriers = {things[device.serial] for device in patient.devices}
        if len(patient.devices) == 1:
            assert carriers == {patient.devices[0].serial}
        else:
            assert carriers <= {gateway.serial for gateway in cohort.gateways}
            assert len(carriers) == 1
    assert set(things.values()) == set(cohort.things)
    assert {gateway.profile for gateway in cohort.gateways} == {"phone"}


def test_names_are_such_as_can_be_enrolled() -> None:
    cohort = a_cohort(patients=30)
    devices = [device for patient in cohort.patients for device in patient.devices]
    for name in [*(device.serial for device in devices), *cohort.things]:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_:-]{1,63}", name)
    assert len({device.serial for device in devices}) == len(devices)
    assert len({patient.subject for patient in cohort.patients}) == 30
    assert {device.device_class for device in devices if device.profile == "bracelet"} == {"auxiliary"}


def test_a_patient_day_is_a_day_with_a_reading() -> None:
    assert a_cohort(patients=2, days=3).patient_days() == 6
    assert a_cohort(patients=8, days=0.25).patient_days() <= 8


@pytest.mark.parametrize("hours", range(2, 26, 2))
def test_in_a_crisis_a_patient_measures_a_pair_each_half_hour_and_nothing_else(hours: int) -> None:
    crisis = UNTIL.replace(microsecond=0) - timedelta(hours=hours)
    readings = measure(a_patient(0), seed=1, start=UNTIL - timedelta(days=3), until=UNTIL, crisis=crisis)
    during = [one for one in readings if crisis <= one.measured_at < crisis + timedelta(minutes=90)]
    assert [one.values["systolic"].value >= 180 for one in during] == [True] * 6
    assert sum(one.values["systolic"].value >= 180 for one in readings) == 6


@settings(max_examples=20, deadline=None)
@given(st.integers(min_value=0, max_value=180))
def test_nothing_is_measured_after_now(seconds: int) -> None:
    crisis = UNTIL - timedelta(seconds=seconds)
    readings = measure(a_patient(0), seed=1, start=UNTIL - timedelta(days=1), until=UNTIL, crisis=crisis)
    assert readings[-1].measured_at <= UNTIL
    assert readings[-1].values["systolic"].value >= 180 or seconds == 0


def test_a_patient_can_be_measured_alone() -> None:
    start = UNTIL - timedelta(days=1)
    crisis = UNTIL - timedelta(minutes=61)
    readings = measure(a_patient(0), seed=1, start=start, until=UNTIL, crisis=crisis)
    assert [reading.values["systolic"].value >= 180 for reading in readings[-5:]] == [True] * 5
    assert readings[-1].measured_at.utcoffset() == timedelta(hours=3)


def test_what_is_sent_is_read_by_the_platform_as_it_was_meant() -> None:
    for message in pack(a_cohort(crises=2).readings, gather=timedelta(minutes=15)):
        topic = Topics().data(message.thing)
        arrival = Arrival("1", "", message.encode(UNTIL), topic, message.thing, UNTIL)
        decoded = decode_readings(arrival)
        assert (arrival.thing, decoded.device or arrival.thing) == (message.thing, message.readings[0].device)
        for said, meant in zip(map(read, decoded.readings), message.readings, strict=True):
            assert (said.kind, said.device_time) == (meant.kind, meant.measured_at)
            values = {name: (one["value"], one["unit"]) for name, one in said.said["values"].items()}
            assert values == {name: tuple(one) for name, one in meant.values.items()}


def test_every_patient_is_in_a_programme_of_the_catalogue() -> None:
    templates = {file.stem for file in (CATALOGUE / "programmes").glob("*.json")}
    assert {patient.programme for patient in a_cohort().patients} <= templates
    assert {layout.programme for layout in LAYOUTS} <= templates


def test_every_device_is_of_a_profile_that_measures_what_it_says() -> None:
    cohort = a_cohort(patients=20)
    profiles = {device.serial: device.profile for patient in cohort.patients for device in patient.devices}
    for device, kind in {(reading.device, reading.kind) for reading in cohort.readings}:
        profile = DeviceProfile.model_validate_json((CATALOGUE / "devices" / f"{profiles[device]}.json").read_bytes())
        assert kind in profile.measures
