"""The models move as people do, and the same way for the same seed."""

import itertools
import statistics
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim import vitals

START = datetime(2026, 9, 1, tzinfo=UTC)
seeds = st.integers(min_value=0, max_value=10**9)


def sittings(days: int) -> list[tuple[datetime, datetime]]:
    mornings_and_evenings = [START + timedelta(days=day, hours=hour) for day in range(days) for hour in (7.5, 19.5)]
    return [(at, at + timedelta(seconds=90)) for at in mornings_and_evenings]


def a_year(seed: int) -> tuple[vitals.PressureTraits, list[vitals.Pressure]]:
    chance = vitals.dice(seed, "pressure")
    traits = vitals.pressure_traits(chance)
    return traits, list(vitals.pressures(chance, traits, sittings(365)))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seeds)
def test_pressure_spreads_within_a_person_as_it_does_at_home(seed: int) -> None:
    traits, measured = a_year(seed)
    assert 9 <= traits.spread <= 12
    assert statistics.stdev(one.systolic for one in measured) == pytest.approx(traits.spread, abs=1.5)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seeds)
def test_the_first_reading_of_a_pair_is_higher(seed: int) -> None:
    traits, measured = a_year(seed)
    excess = statistics.mean(one.systolic for one in measured[::2]) - statistics.mean(
        one.systolic for one in measured[1::2]
    )
    assert excess == pytest.approx(traits.first_excess, abs=1.2)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_every_pressure_is_plausible_and_systolic_above_diastolic(seed: int) -> None:
    _, measured = a_year(seed)
    assert all(50 <= one.systolic <= 280 and 30 <= one.diastolic <= 180 for one in measured)
    assert all(one.systolic > one.diastolic and 25 <= one.pulse <= 250 for one in measured)
    assert not any(one.systolic >= 180 for one in measured), "a crisis is made on request only"


@given(seeds)
def test_pressure_dips_by_night_and_surges_after_waking(seed: int) -> None:
    traits = vitals.pressure_traits(vitals.dice(seed, "pressure"))
    by_hour = [vitals.circadian(START + timedelta(hours=hour), traits) for hour in range(24)]
    assert by_hour.index(min(by_hour)) == 3
    assert by_hour.index(max(by_hour)) in (8, 9)
    assert -min(by_hour) == pytest.approx(traits.dip * traits.systolic, abs=0.1)


@settings(deadline=None)
@given(seeds, st.integers(min_value=0, max_value=6))
def test_a_crisis_lifts_what_it_covers_and_nothing_else(seed: int, sitting: int) -> None:
    chance = vitals.dice(seed, "pressure")
    times = sittings(4)
    crisis = vitals.Crisis(times[sitting][0], timedelta(minutes=5))
    measured = list(vitals.pressures(chance, vitals.pressure_traits(chance), times, [crisis]))
    assert [one.systolic >= 180 for one in measured] == [crisis.covers(one.at) for one in measured]
    assert sum(crisis.covers(one.at) for one in measured) == 2


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([vitals.TYPE_1, vitals.TYPE_2]))
def test_glucose_stays_within_what_people_have_on_a_five_minute_grid(seed: int, traits: vitals.GlucoseTraits) -> None:
    end = START + timedelta(days=2)
    blood = list(vitals.glucose(vitals.dice(seed, "blood"), traits, START, end))
    assert [at for at, _ in blood] == [START + place * vitals.GRID for place in range(2 * 288 + 1)]
    assert all(2.0 <= level <= 23.4 for _, level in blood)
    steps = [abs(later - earlier) for (_, earlier), (_, later) in itertools.pairwise(blood)]
    assert max(steps) < 1.5, "mmol/L in five minutes"


def test_glucose_of_a_month_is_neither_flat_nor_wild() -> None:
    levels = [
        level * vitals.MG_DL
        for seed in range(3)
        for _, level in vitals.glucose(vitals.dice(seed, "blood"), vitals.TYPE_1, START, START + timedelta(days=30))
    ]
    inside = sum(70 <= level <= 180 for level in levels) / len(levels)
    assert 0.5 < inside < 0.85
    assert 0.2 < statistics.stdev(levels) / statistics.mean(levels) < 0.45


def test_dawn_lifts_glucose_before_breakfast() -> None:
    nights: dict[int, list[float]] = {3: [], 7: []}
    for seed in range(3):
        for at, level in vitals.glucose(vitals.dice(seed, "blood"), vitals.TYPE_1, START, START + timedelta(days=20)):
            if at.hour in nights and at.minute < 15:
                nights[at.hour].append(level)
    assert statistics.mean(nights[7]) > statistics.mean(nights[3]) + 0.5


@given(seeds)
def test_a_sensor_lags_behind_blood(seed: int) -> None:
    times = [START + place * vitals.GRID for place in range(12)]
    steady = vitals.sensor(vitals.dice(seed, "sensor"), [(at, 1.0) for at in times])
    rising = vitals.sensor(vitals.dice(seed, "sensor"), [(at, 5.0 + place) for place, at in enumerate(times)])
    without_error = [shown / error for (_, shown), (_, error) in zip(rising, steady, strict=True)]
    assert without_error[0] == pytest.approx(5.0)
    assert without_error[-1] == pytest.approx(16.0 - 1.5, abs=0.1), "seven and a half minutes behind"


@given(seeds, st.floats(min_value=2, max_value=25))
def test_a_meter_is_within_fifteen_percent(seed: int, level: float) -> None:
    assert vitals.fingerprick(vitals.dice(seed, "meter"), level) == pytest.approx(level, rel=0.1501)


@given(seeds, st.floats(min_value=40, max_value=150), st.floats(min_value=-0.5, max_value=0.5))
def test_weight_drifts_and_water_adds_a_kilogram_a_day(seed: int, kilograms: float, drift: float) -> None:
    times = [START + timedelta(days=day) for day in range(28)]
    dry = dict(vitals.weights(vitals.dice(seed, "weight"), vitals.WeightTraits(kilograms, drift), times))
    wet = dict(vitals.weights(vitals.dice(seed, "weight"), vitals.WeightTraits(kilograms, drift, times[20]), times))
    assert all(abs(dry[at] - kilograms - drift * day / 7) <= 0.91 for day, at in enumerate(times))
    assert [round(wet[at] - dry[at], 6) for at in times[19:25]] == [0, 0, 1, 2, 3, 3]


@given(seeds)
def test_the_same_seed_gives_the_same_person(seed: int) -> None:
    assert vitals.dice(seed, "a", "b").random() == vitals.dice(seed, "a", "b").random()
    assert vitals.dice(seed, "a", "b").random() != vitals.dice(seed, "a", "c").random()
