"""Derived values: worked examples, any order of arrival, and that a rule and a summary never disagree."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.derived import FORMS, PREGNANCY, USUAL, Bands, Derived, Period, derive, ending, until_now
from domain.observation import Observation
from domain.tally import mark_of, tally_of
from domain.trend import Mean, OffBaseline, Point
from tests.builders import an_observation

SAMARA = ZoneInfo("Europe/Samara")
BERLIN = ZoneInfo("Europe/Berlin")
SUNDAY = date(2026, 11, 22)
DAY = timedelta(days=1)


def local(day: int, hour: int = 8, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=SAMARA)


def a_pressure(at: datetime, systolic: float = 130, diastolic: float = 80, **changes: Any) -> Observation:
    values = {"systolic": Decimal(str(systolic)), "diastolic": Decimal(str(diastolic))}
    return an_observation(measured_at=at, values=values, **changes)


def a_glucose(at: datetime, glucose: object, **changes: Any) -> Observation:
    return an_observation(
        kind="cgm", device="CGM-1", measured_at=at, values={"glucose": Decimal(str(glucose))}, **changes
    )


def a_weight(at: datetime, weight: object, **changes: Any) -> Observation:
    return an_observation(
        kind="weight", device="W-1", measured_at=at, values={"weight": Decimal(str(weight))}, **changes
    )


def of_week(kind: str, readings: Iterable[Observation], bands: Bands = USUAL) -> Derived | None:
    return derive(kind, readings, ending(kind, SUNDAY, SAMARA), SAMARA, bands)


def a_week(systolic: float = 130) -> list[Observation]:
    """Two readings a day from Monday to Sunday, the first day's 40 higher: 12 of them count."""
    return [
        a_pressure(local(day, hour), systolic + (40 if day == 16 else 0)) for day in range(16, 23) for hour in (8, 20)
    ]


def a_sensor(value: object = 6, *, days: int = 14, step: int = 5) -> list[Observation]:
    start = local(9, 0)
    return [a_glucose(start + timedelta(minutes=step * n), value) for n in range(days * 1440 // step)]


def test_f10_the_first_day_of_a_mean_pressure_does_not_count() -> None:
    found = of_week("mean-pressure", a_week(130))
    assert found is not None
    assert found.values == {"systolic": Decimal("130.0"), "diastolic": Decimal("80.0")}
    assert (found.count, found.auxiliary, found.version) == (12, False, 14)
    assert found.period == (local(16, 0), local(23, 0) - timedelta(milliseconds=1))


@pytest.mark.parametrize(
    ("left", "told"), [(14, True), (13, False)], ids=["twelve beside the first day's", "eleven are too few"]
)
def test_f10_a_mean_pressure_needs_twelve_readings(left: int, told: bool) -> None:
    found = of_week("mean-pressure", a_week()[:left])
    assert found is not None
    assert bool(found.values) is told


@pytest.mark.parametrize(("systolic", "shown"), [("134.96", "134.9"), ("135", "135.0"), ("135.04", "135.0")], ids=str)
def test_r50_a_mean_is_shown_at_a_bound_only_when_it_is_there(systolic: str, shown: str) -> None:
    found = of_week("mean-pressure", a_week(float(systolic)))
    assert found is not None
    assert found.values["systolic"] == Decimal(shown)


UNFIT = {
    "artefact": {"flags": ("movement",)},
    "recalled": {"tags": frozenset({"recalled"})},
    "R77 entered in error": {"tags": frozenset({"entered-in-error"})},
}


@pytest.mark.parametrize("changes", UNFIT.values(), ids=UNFIT)
def test_what_is_no_evidence_changes_the_version_and_nothing_else(changes: dict[str, Any]) -> None:
    week = a_week()
    found = of_week("mean-pressure", [*week, a_pressure(local(20, 12), 250, **changes)])
    without = of_week("mean-pressure", week)
    assert found is not None
    assert without is not None
    assert (found.values, found.count, found.version) == (without.values, without.count, without.version + 1)


def test_p2_an_auxiliary_reading_counts_and_says_so() -> None:
    found = of_week("mean-pressure", [*a_week(), a_pressure(local(20, 12), 156, device_class="auxiliary")])
    assert found is not None
    assert (found.values["systolic"], found.auxiliary) == (Decimal("132.0"), True)


def test_all_that_is_no_evidence_leaves_no_value() -> None:
    for kind, one in {
        "mean-pressure": a_pressure(local(20), flags=("movement",)),
        "glucose-statistics": a_glucose(local(20), 6, flags=("sensor-error",)),
        "weight-baseline": a_weight(local(20), 80, flags=("statistic",)),
    }.items():
        found = of_week(kind, [one])
        assert found is not None
        assert (found.count, found.values) == (0, {})


def test_nothing_measured_is_nothing_derived() -> None:
    outside = [a_pressure(local(23, 0)), a_pressure(local(15, 23, 59)), a_weight(local(20), 80)]
    assert of_week("mean-pressure", outside) is None


BANDS = [
    (USUAL, "2.9", "very-low"),
    (USUAL, "2.94190", "very-low"),  # 53 mg/dL
    (USUAL, "2.997425", "low"),  # 54 mg/dL
    (USUAL, "3.0", "low"),
    (USUAL, "3.8", "low"),
    (USUAL, "3.885522", "in-range"),  # 70 mg/dL
    (USUAL, "3.9", "in-range"),
    (USUAL, "10.0", "in-range"),
    (USUAL, "10.046848", "high"),  # 181 mg/dL
    (USUAL, "13.9", "high"),
    (USUAL, "13.932370", "very-high"),  # 251 mg/dL
    (PREGNANCY, "2.9", "very-low"),
    (PREGNANCY, "3.4", "low"),
    (PREGNANCY, "3.496969", "in-range"),  # 63 mg/dL
    (PREGNANCY, "7.8", "in-range"),
    (PREGNANCY, "7.826550", "high"),  # 141 mg/dL
    (PREGNANCY, "14", "high"),
]


@pytest.mark.parametrize(
    ("bounds", "value", "band"), BANDS, ids=[f"{'pregnancy' if b is PREGNANCY else 'usual'} {v}" for b, v, _ in BANDS]
)
def test_f10_each_glucose_is_in_one_band_whatever_unit_it_came_in(bounds: Bands, value: str, band: str) -> None:
    found = of_week("glucose-statistics", a_sensor(value), bounds)
    assert found is not None
    bands = {
        name: share
        for name, share in found.values.items()
        if name in ("very-low", "low", "in-range", "high", "very-high")
    }
    assert bands == {name: Decimal("100.0") if name == band else 0 for name in bands}
    assert ("very-high" in bands) is (bounds is USUAL)


def test_f10_the_statistics_of_glucose() -> None:
    readings = a_sensor("6")[:2016] + [a_glucose(one.measured_at, "10.2") for one in a_sensor()[2016:]]
    found = of_week("glucose-statistics", readings)
    assert found is not None
    assert found.count == 4032
    assert found.values == {
        "mean": Decimal("8.10"),
        "gmi": Decimal("6.8"),  # 3.31 + 0.02392 x 145.93 mg/dL
        "variation": Decimal("25.9"),  # 2.1 / 8.1
        "active": 100,
        "very-low": 0,
        "low": 0,
        "in-range": 50,
        "high": 50,
        "very-high": 0,
    }


@pytest.mark.parametrize(
    ("readings", "told"),
    [
        (a_sensor()[:2823], True),
        (a_sensor()[:2822], False),
        (a_sensor(step=1, days=10), True),
        (a_sensor(step=15, days=9), False),
        (a_sensor()[:1], False),
        (a_sensor()[:1] * 2, False),
    ],
    ids=["70.01 %", "69.99 %", "every minute", "every quarter of an hour", "one reading", "the same twice"],
)
def test_f10_a_sensor_has_to_have_measured_for_70_per_cent(readings: list[Observation], told: bool) -> None:
    found = of_week("glucose-statistics", readings)
    assert found is not None
    assert bool(found.values) is told


def test_two_sensors_at_once_are_not_active_twice() -> None:
    second = [
        an_observation(kind="cgm", device="CGM-2", measured_at=one.measured_at, values=one.values)
        for one in a_sensor(days=8)
    ]
    found = of_week("glucose-statistics", [*a_sensor(days=8), *second])
    assert found is not None
    assert (found.count, found.values) == (2 * 8 * 288, {})


def test_f10_a_weight_against_the_subjects_own_baseline() -> None:
    usual = [
        a_weight(local(day), weight) for day, weight in zip(range(10, 20), [80, 80.4, 79.6] * 3 + [80], strict=True)
    ]
    found = of_week("weight-baseline", [*usual, a_weight(local(22), 82.6)])
    assert found is not None
    assert found.values == {
        "median": Decimal("80.00"),
        "deviation": Decimal("0.40"),
        "change": Decimal("2.60"),
        "deviations": Decimal("6.5"),
    }
    few = of_week("weight-baseline", [*usual[:6], a_weight(local(22), 82.6)])
    assert few is not None
    assert (few.count, few.values) == (7, {})


def test_f10_days_transmitted_are_local_and_a_devices_own() -> None:
    found = of_week(
        "days-transmitted",
        [
            a_pressure(local(20, 23, 59)),
            a_pressure(local(21, 0, 1)),
            a_weight(local(21, 9), 80),
            a_weight(local(22), 80, origin="manual"),
            a_pressure(local(22), origin="call"),
        ],
    )
    assert found is not None
    assert (found.count, found.values) == (3, {"days": Decimal(2)})


def test_a_period_that_holds_a_change_of_clocks_is_from_midnight_to_midnight() -> None:
    period = ending("mean-pressure", date(2026, 10, 25), BERLIN)
    assert period.from_at.isoformat() == "2026-10-19T00:00:00+02:00"
    assert period.to_at.isoformat() == "2026-10-25T23:59:59.999000+01:00"


@pytest.mark.parametrize("kind", FORMS)
def test_periods_of_a_kind_follow_each_other_or_overlap_by_whole_weeks(kind: str) -> None:
    weeks = [ending(kind, SUNDAY + n * 7 * DAY, BERLIN) for n in range(60)]
    assert all(later.from_at.date() - earlier.from_at.date() == 7 * DAY for earlier, later in pairwise(weeks))


def test_a_summary_looks_back_from_the_newest_reading_and_in_whole_days_for_days() -> None:
    now, newest = local(22, 12), local(20)
    assert until_now("mean-pressure", now, newest, SAMARA) == Period(newest - 7 * DAY, newest)
    assert until_now("days-transmitted", now, newest, SAMARA) == Period(datetime(2026, 10, 24, tzinfo=SAMARA), now)
    assert until_now("weight-baseline", now, None, SAMARA).to_at == now


def distinct(one: st.SearchStrategy[Observation]) -> st.SearchStrategy[list[Observation]]:
    return st.lists(one, min_size=1, max_size=40, unique_by=lambda found: found.id)


moments = st.integers(0, 14 * 24 * 60 - 1).map(lambda minutes: local(9, 0) + timedelta(minutes=minutes))
readings = st.one_of(
    st.builds(
        a_pressure,
        moments,
        st.integers(90, 200),
        st.integers(50, 89),
        flags=st.sampled_from([(), (), ("movement",)]),
        received_at=moments,
        device_class=st.sampled_from(["medical", "medical", "auxiliary"]),
    ),
    st.builds(a_glucose, moments, st.decimals("2.2", "22.2", places=3), received_at=moments),
    st.builds(a_weight, moments, st.decimals("79", "83", places=1), received_at=moments),
)


@given(distinct(readings), st.data())
def test_f10_any_order_of_arrival_gives_what_is_worked_out_from_scratch(
    all_: list[Observation], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(all_))
    again = data.draw(st.lists(st.sampled_from(all_), max_size=5))
    for kind in FORMS:
        found, turned = of_week(kind, all_), of_week(kind, [*shuffled, *again])
        assert found == turned


@given(
    st.lists(
        st.builds(a_pressure, moments, st.integers(125, 145)), min_size=1, max_size=40, unique_by=lambda one: one.id
    )
)
def test_r50_a_rule_about_the_mean_and_the_summary_never_disagree(all_: list[Observation]) -> None:
    points = points_of(all_, "systolic")
    tally = tally_of(((at, mark_of(name), value) for at, name, value in points), SAMARA)
    rule = Mean(Decimal(135), 7 * 24 * 3600 * 1000, drop_first_day=True).holds(tally, points[-1][0], 0)
    shown = derive("mean-pressure", all_, until_now("mean-pressure", local(23), newest_of(all_), SAMARA), SAMARA)
    assert shown is not None
    assert rule == (shown.values["systolic"] >= 135 if shown.values else None)


@given(
    st.lists(
        st.builds(a_weight, moments, st.decimals("79", "83", places=1)),
        min_size=1,
        max_size=30,
        unique_by=lambda one: one.id,
    )
)
def test_r50_a_rule_about_the_baseline_and_the_summary_never_disagree(all_: list[Observation]) -> None:
    rule = OffBaseline(Decimal(3), 28 * 24 * 3600 * 1000).holds(points_of(all_, "weight"))
    shown = derive("weight-baseline", all_, until_now("weight-baseline", local(23), newest_of(all_), SAMARA), SAMARA)
    assert shown is not None
    assert (rule is None) is (not shown.values)
    if shown.values and abs(shown.values["deviations"]) != 3:  # shown to a tenth
        assert rule is (abs(shown.values["deviations"]) > 3)


def points_of(all_: list[Observation], value: str) -> list[Point]:
    return sorted((round(one.measured_at.timestamp() * 1000), one.id, one.values[value]) for one in all_)


def newest_of(all_: list[Observation]) -> datetime:
    return max(one.measured_at for one in all_).astimezone(UTC)
