"""What a run of one value shows, against plain statistics and by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import linear_regression
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.tally import Tally, mark_of, tally_of
from domain.trend import (
    Branch,
    Form,
    Leaf,
    Level,
    Mean,
    OffBaseline,
    Place,
    Point,
    Projection,
    Rise,
    Slope,
    holds,
    leaves,
)

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
ZONE = ZoneInfo("Europe/Samara")
START = round(datetime(2026, 11, 22, 4, tzinfo=UTC).timestamp() * 1000)  # eight in the morning there


PULSE, PRESSURE = ("heart-rate", "rate"), ("blood-pressure", "systolic")


def series(*values: float | None, every: int = 5 * MINUTE) -> list[Point]:
    """Values measured `every` so often; None is a measurement that was left out."""
    return [
        (START + number * every, f"o-{number}", Decimal(str(value)))
        for number, value in enumerate(values)
        if value is not None
    ]


def tallied(points: Sequence[Point], zone: ZoneInfo = ZONE) -> Tally:
    return tally_of(((at, mark_of(name), value) for at, name, value in points), zone)


MEANS: dict[str, tuple[Mean, list[Point], bool | None]] = {
    "two readings are no mean": (Mean(Decimal(135), DAY), series(150, 150), None),
    "a mean on the bound": (Mean(Decimal(135), DAY), series(130, 135, 140), True),
    "a mean below": (Mean(Decimal(135), DAY), series(130, 135, 139), False),
    "what lies before the window does not count": (
        Mean(Decimal(135), DAY), series(180, 180, 134, 134, 134, 134, 134, every=DAY // 4), False,
    ),
    "the first day is left out": (
        Mean(Decimal(135), 7 * DAY, drop_first_day=True), series(180, 180, *[134] * 12, every=DAY // 2), False,
    ),
    "without the first day eleven are too few": (
        Mean(Decimal(135), 7 * DAY, drop_first_day=True), series(180, 180, *[136] * 11, every=DAY // 2), None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("mean", "points", "expected"), MEANS.values(), ids=MEANS)
def test_f10_a_mean_of_a_window(mean: Mean, points: list[Point], expected: bool | None) -> None:
    assert mean.holds(tallied(points), points[-1][0], 0) is expected


@pytest.mark.parametrize(
    ("minutes", "expected"), [(-1, None), (0, True), (10, True), (10.1, None)], ids=["before", "at", "fresh", "stale"]
)
def test_a_mean_speaks_for_its_time_only(minutes: float, expected: bool | None) -> None:
    points = series(150, 150, 150)
    at = points[-1][0] + round(minutes * MINUTE)
    mean = Leaf(PRESSURE, Mean(Decimal(135), DAY), 10 * MINUTE)
    assert holds(mean, {}, {PRESSURE: tallied(points)}, at) is expected
    assert holds(mean, {}, {}, at) is None


CASES: dict[str, tuple[Form, list[Point], bool | None]] = {
    "C9 two points are no slope": (Slope(Decimal(1), 15 * MINUTE, rising=True), series(5, 9), None),
    "three readings of one moment are none": (Slope(Decimal(1), DAY, rising=True), series(5, 6, 7, every=0), None),
    "rising by just the bound": (Slope(Decimal(2), 10 * MINUTE, rising=True), series(5, 6, 7), False),
    "rising by more": (Slope(Decimal(2), 10 * MINUTE, rising=True), series(5, 6, 7.1), True),
    "one jump is smoothed": (Slope(Decimal(3), 15 * MINUTE, rising=True), series(5, 5, 8.3, 5), False),
    "falling": (Slope(Decimal(-2), 10 * MINUTE, rising=False), series(9, 8, 6.9), True),
    "falling by just the bound": (Slope(Decimal(-2), 10 * MINUTE, rising=False), series(9, 8, 7), False),
    "what lies before the window does not count": (
        Slope(Decimal(2), 10 * MINUTE, rising=True),
        series(1, 1, 1, 7, 7, 7),
        False,
    ),
    "one weight is no change": (Rise(Decimal(2), 3 * DAY), series(80, every=DAY), None),
    "two kilos in three days, and no more": (Rise(Decimal(2), 3 * DAY), series(80, 81, 81, 82, every=DAY), False),
    "more than two": (Rise(Decimal(2), 3 * DAY), series(81, 80, 81, 82.1, every=DAY), True),
    "more than two, in four days": (Rise(Decimal(2), 3 * DAY), series(80, 81, 81, 81, 82.1, every=DAY), False),
    "a fall is no rise": (Rise(Decimal(2), 3 * DAY), series(82.1, 80, every=DAY), False),
    "six readings are no baseline": (OffBaseline(Decimal(3), 28 * DAY), series(*[80] * 6, 90, every=DAY), None),
    "off a baseline that spreads": (
        OffBaseline(Decimal(3), 28 * DAY),
        series(80, 81, 79, 80, 81, 79, 80, 83.1, every=DAY),
        True,
    ),
    "within it": (OffBaseline(Decimal(3), 28 * DAY), series(80, 81, 79, 80, 81, 79, 80, 82.9, every=DAY), False),
    "below it": (OffBaseline(Decimal(3), 28 * DAY), series(80, 81, 79, 80, 81, 79, 80, 76.9, every=DAY), True),
    "a steady baseline lets rounding pass": (
        OffBaseline(Decimal(3), 28 * DAY),
        series(*[80] * 7, 81.2, every=DAY),
        False,
    ),
    "and no more than that": (OffBaseline(Decimal(3), 28 * DAY), series(*[80] * 7, 81.3, every=DAY), True),
    "one point foresees nothing": (Projection(Decimal(3), 30 * MINUTE, rising=False), series(5), None),
    "falling to under 3 in half an hour": (
        Projection(Decimal(3), 30 * MINUTE, rising=False),
        series(5.5, 5.1, 4.7),
        True,
    ),
    "falling to just 3": (Projection(Decimal(3), 10 * MINUTE, rising=False), series(5, 4.5, 4), False),
    "rising past 14": (Projection(Decimal(14), 10 * MINUTE, rising=True), series(11, 12, 13), True),
    "rising to just 14": (Projection(Decimal(14), 10 * MINUTE, rising=True), series(10, 11, 12), False),
}


@pytest.mark.parametrize(("test", "points", "expected"), CASES.values(), ids=CASES)
def test_a_run_of_values(test: Form, points: list[Point], expected: bool | None) -> None:
    assert test.holds(points) is expected


@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.decimals(1, 30, places=1)), min_size=3, unique_by=lambda one: one[0]),
    st.decimals(-50, 50, places=1),
)
def test_a_slope_is_that_of_least_squares(measured: list[tuple[int, Decimal]], bound: Decimal) -> None:
    points = sorted((START + at, str(at), value) for at, value in measured)
    slope = linear_regression([float(at - START) for at, _, _ in points], [float(value) for _, _, value in points])[0]
    change = slope * 10**7
    if abs(change - float(bound)) > 1e-6:
        assert Slope(bound, 10**7, rising=True).holds(points) is (change > bound)
        assert Slope(bound, 10**7, rising=False).holds(points) is (change < bound)


def leaf(place: Place, bound: int, fresh_for: int = 10 * MINUTE) -> Leaf:
    return Leaf(place, Level(lambda value: value >= bound), fresh_for)


FAST, HIGH = leaf(PULSE, 100), leaf(PRESSURE, 140)


@pytest.mark.parametrize(
    ("of", "pulse", "pressure", "expected"),
    [
        ("all", 101, 141, True),
        ("all", 101, 139, False),
        ("all", 101, None, None),
        ("all", 99, None, False),
        ("any", 101, None, True),
        ("any", 99, 141, True),
        ("any", 99, 139, False),
        ("any", 99, None, None),
    ],
)
def test_c23_what_is_not_known_decides_nothing(
    of: str, pulse: float | None, pressure: float | None, expected: bool | None
) -> None:
    known = {PULSE: series(pulse), PRESSURE: series(pressure)}
    assert holds(Branch(of, (FAST, HIGH)), known, {}, START) is expected


@pytest.mark.parametrize(("pulse", "expected"), [(101, False), (99, True), (None, None)])
def test_not_turns_what_is_known(pulse: float | None, expected: bool | None) -> None:
    assert holds(Branch("not", (FAST,)), {PULSE: series(pulse)}, {}, START) is expected


@pytest.mark.parametrize(
    ("minutes", "expected"), [(-1, None), (0, True), (10, True), (10.1, None)], ids=["before", "at", "fresh", "stale"]
)
def test_a_value_speaks_for_its_time_only(minutes: float, expected: bool | None) -> None:
    assert holds(FAST, {PULSE: series(101)}, {}, START + round(minutes * MINUTE)) is expected


def test_what_was_measured_later_is_not_looked_at() -> None:
    assert holds(FAST, {PULSE: series(101, 80)}, {}, START + MINUTE) is True


@pytest.mark.parametrize(("pulse", "expected"), [(101, True), (99, False)])
def test_f10_a_mean_may_be_one_part_of_a_condition(pulse: float, expected: bool) -> None:
    points = series(150, 150, 150)
    both = Branch("all", (Leaf(PRESSURE, Mean(Decimal(135), DAY), 10 * MINUTE), FAST))
    known = {PULSE: [(points[-1][0], "pulse", Decimal(pulse))]}
    assert holds(both, known, {PRESSURE: tallied(points)}, points[-1][0]) is expected


def test_all_tests_of_a_condition() -> None:
    nested: Sequence[Leaf] = leaves(Branch("all", (FAST, Branch("not", (HIGH,)))))
    assert [one.place for one in nested] == [PULSE, PRESSURE]


def test_the_first_day_is_the_subjects() -> None:
    """20:30 UTC is half past midnight in Samara: already the second day, by UTC still the first."""
    start = round(datetime(2026, 11, 21, 18, 30, tzinfo=UTC).timestamp() * 1000)
    points = [(start, "first", Decimal(200))]
    points += [(start + (2 + number) * 60 * MINUTE, f"o-{number}", Decimal(136)) for number in range(12)]
    mean, newest = Mean(Decimal(136), DAY, drop_first_day=True), points[-1][0]
    assert mean.holds(tallied(points), newest, 0) is True
    assert mean.holds(tallied(points, ZoneInfo("UTC")), newest, 0) is None
    assert timedelta(milliseconds=points[1][0] - start) == timedelta(hours=2)
