"""Sums by day beside the plain readings: whatever comes in whatever order, again, or is taken out, they agree."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alert import State, dump, load
from domain.tally import MOST_COUNTED, Tally, mark_of, tally_of
from domain.trend import Mean, Point, averaged, within

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SAMARA = ZoneInfo("Europe/Samara")
ZONES = [SAMARA, ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Beirut")]
START = round(datetime(2026, 10, 23, 21, 30, tzinfo=UTC).timestamp() * 1000)  # clocks go back on the 25th, and on
PLACE = "blood-pressure", "systolic"
LONG = 30 * DAY

POINTS = st.lists(
    st.builds(
        lambda quarter, second, value: (START + quarter * 15 * MINUTE + second, value),
        st.integers(0, 12 * 96),
        st.sampled_from([0, 0, 1, 1_000]),
        st.decimals(50, 280, places=1),
    ),
    min_size=1,
    max_size=40,
).map(lambda some: [(at, f"o-{number}", value) for number, (at, value) in enumerate(some)])


def added(points: list[Point], zone: ZoneInfo = SAMARA, period: int = LONG) -> Tally:
    tally = Tally(zone.key)
    for at, name, value in points:
        tally = tally.add(at, mark_of(name), value, zone, period)
    return tally


def plainly(mean: Mean, points: list[Point], zone: ZoneInfo) -> bool | None:
    values = averaged(within(points, mean.over), zone, drop_first_day=mean.drop_first_day)
    if len(values) < (12 if mean.drop_first_day else 3):
        return None
    return sum(values, Decimal()) >= mean.bound * len(values)


@given(POINTS, st.sampled_from(ZONES), st.booleans(), st.sampled_from([DAY, 3 * DAY, 7 * DAY]), st.data())
def test_r6_r50_sums_come_to_what_the_readings_do(
    points: list[Point], zone: ZoneInfo, drop: bool, over: int, data: st.DataObject
) -> None:
    tally = added(data.draw(st.permutations(points)), zone)
    again = added(data.draw(st.lists(st.sampled_from(points))), zone)
    ordered = sorted(points)
    mean = Mean(data.draw(st.sampled_from([Decimal(150), ordered[-1][2]])), over, drop)
    assert tally == tally_of(tally.readings(), zone) == added([*points, *points], zone)
    assert set(again.readings()) <= set(tally.readings())
    for at in {at for at, _, _ in data.draw(st.lists(st.sampled_from(ordered), max_size=4))} | {ordered[-1][0]}:
        known = [point for point in ordered if point[0] <= at]
        assert mean.holds(tally, at, 0) is plainly(mean, known, zone)


@given(POINTS, st.sampled_from(ZONES), st.data())
def test_p8_what_is_recalled_was_never_counted(points: list[Point], zone: ZoneInfo, data: st.DataObject) -> None:
    gone = set(data.draw(st.lists(st.sampled_from(points))))
    left = added(points, zone).without([mark_of(name) for _, name, _ in gone])
    assert left == added([point for point in points if point not in gone], zone)


def test_what_nothing_is_taken_out_of_is_the_same() -> None:
    tally = added([(START, "o-1", Decimal(120))])
    assert tally.without([mark_of("o-2")]) is tally
    assert tally.add(START, mark_of("o-1"), Decimal(120), SAMARA, LONG) is tally


@given(POINTS, st.sampled_from(ZONES), st.sampled_from(ZONES))
def test_a_subject_who_moves_has_other_days(points: list[Point], before: ZoneInfo, after: ZoneInfo) -> None:
    *some, (at, name, value) = sorted(points)
    assert added(some, before).add(at, mark_of(name), value, after, LONG) == added(points, after)


@given(POINTS)
def test_sums_survive_being_written(points: list[Point]) -> None:
    state = State(tallies={PLACE: added(points)})
    assert load(dump(state)) == state


def test_what_is_over_is_forgotten_and_comes_back_for_nothing() -> None:
    days = [(START + day * DAY, f"o-{day}", Decimal(120 + day)) for day in range(30)]
    tally = added(days, period=7 * DAY)
    assert [value for _, _, value in tally.readings()] == [Decimal(120 + day) for day in range(22, 30)]
    assert (tally.number, tally.total) == (8, sum(Decimal(142 + day) for day in range(8)))
    assert tally.add(START, mark_of("o-0"), Decimal(120), SAMARA, 7 * DAY) is tally


def test_what_is_just_as_old_as_the_window_still_counts() -> None:
    tally = added([(START + 7 * DAY, "o-1", Decimal(120))], period=7 * DAY)
    assert tally.add(START, mark_of("o-0"), Decimal(180), SAMARA, 7 * DAY).number == 2
    assert tally.add(START - 1, mark_of("o-0"), Decimal(180), SAMARA, 7 * DAY) is tally


def test_c16_r102_a_mark_never_shifts() -> None:
    """A state that was written years ago knows its readings by it: by another, each that comes again counts twice."""
    assert mark_of("o-1") == "lBx79uz+"


@pytest.mark.parametrize("hour", [0, 5, 6, 12, 47, 60])
def test_r6_a_tally_as_it_was_at_a_moment(hour: int) -> None:
    points = [(START + 6 * HOUR * number, f"o-{number}", Decimal(120 + number)) for number in range(9)]
    at = START + hour * HOUR
    assert added(points).until(at) == added([point for point in points if point[0] <= at])


def test_a_shorter_window_forgets_what_the_longer_one_kept_and_not_what_comes_late() -> None:
    tally = added([(START + day * DAY, f"o-{day}", Decimal(120)) for day in range(30)])
    late = START + 28 * DAY + MINUTE
    tally = tally.add(late, mark_of("late"), Decimal(150), SAMARA, 2 * DAY)
    assert [at for at, _, _ in tally.readings()] == [*(START + day * DAY for day in (27, 28)), late, START + 29 * DAY]


def test_r33_a_device_that_never_stops_is_counted_as_far_back_as_there_is_room() -> None:
    points = [(START + number * MINUTE, f"o-{number}", Decimal(number % 7)) for number in range(3 * MOST_COUNTED)]
    tally = added(points)
    assert MOST_COUNTED <= tally.number <= MOST_COUNTED + 1440
    assert tally == added(points[-tally.number :])
    assert len(dump(State(tallies={PLACE: tally}))) < 100_000


@pytest.mark.parametrize(
    ("hour", "after"), [(-1, [0, 12, 24, 36]), (0, [12, 24, 36]), (12, [24, 36]), (30, [36]), (36, [])]
)
def test_r6_the_readings_after_a_moment(hour: int, after: list[int]) -> None:
    tally = added([(START + hour * HOUR, f"o-{hour}", Decimal(120)) for hour in range(0, 48, 12)])
    assert tally.after(START + hour * HOUR) == {START + hour * HOUR for hour in after}


@pytest.mark.parametrize("drop_first_day", [False, True])
def test_a_state_of_format_1_is_read_with_its_points_for_sums(drop_first_day: bool) -> None:
    points = [(START + number * DAY // 2, f"o-{number}", Decimal(130 + number)) for number in range(14)]
    series = {"/".join(PLACE): [(at, name, str(value)) for at, name, value in points]}
    state = load(json.dumps({"v": 1, "episodes": {}, "series": series}))
    mean = Mean(Decimal(137), 7 * DAY, drop_first_day)
    newest = points[-1][0]
    tally = state.tallies[PLACE].add(newest + MINUTE, mark_of("next"), Decimal(137), SAMARA, 8 * DAY)
    known = [*points, (newest + MINUTE, "next", Decimal(137))]
    assert mean.holds(tally, newest + MINUTE, 0) is plainly(mean, known, SAMARA)
    assert state.series == {PLACE: tuple(points)}


def test_a_day_is_as_long_as_the_clocks_make_it() -> None:
    """Berlin's 25 October 2026 has 25 hours: the reading of its last minute is still of that day."""
    berlin = ZoneInfo("Europe/Berlin")
    midnight = datetime(2026, 10, 25, tzinfo=berlin)
    moments = [midnight, midnight + timedelta(hours=23, minutes=59), datetime(2026, 10, 26, tzinfo=berlin)]
    points = [(round(at.timestamp() * 1000), str(number), Decimal(100)) for number, at in enumerate(moments)]
    assert [day.number for day in added(points, berlin).days] == [2, 1]
