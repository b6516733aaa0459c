"""What a run of one value shows beyond its last number: slopes, changes, means, forecasts, a subject's own baseline.

A test is asked about the newest of some points, oldest first, none of them newer than that. It answers True, False, or
None where too little is known to tell: that neither raises nor clears. All arithmetic is exact.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from operator import itemgetter
from statistics import median
from typing import Protocol, TypeAlias
from zoneinfo import ZoneInfo

from domain.tally import Tally

Point: TypeAlias = tuple[int, str, Decimal]
"""`(measured at, in milliseconds since 1970; observation id; canonical value)`."""

Place: TypeAlias = tuple[str, str]
"""`(kind, value)`, which names one series of a subject."""

MOST_POINTS = 512
"""… of one value are remembered. A window that could hold more is refused (domain/plan_faults.py)."""

LEAST_FOR_A_SLOPE = 3
LEAST_FOR_A_MEAN = 3
LEAST_WITHOUT_THE_FIRST_DAY = 12
LEAST_FOR_A_BASELINE = 7

_LEAST_SPREAD = Fraction(1, 200)
"""Of the median: what a device rounds away is no deviation, however steady the subject was before."""

_MOMENT = itemgetter(0)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Form(Protocol):
    """`over` is how far back the test looks, in milliseconds."""

    @property
    def over(self) -> int: ...
    def holds(self, points: Sequence[Point]) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Level:
    """The newest is past a bound."""

    passes: Callable[[Decimal], bool]
    over: int = 0

    def holds(self, points: Sequence[Point]) -> bool | None:
        return self.passes(points[-1][2])


@dataclass(frozen=True, slots=True)
class Slope:
    """The slope of at least three points in the window, as the change over it, is past `bound`."""

    bound: Decimal
    over: int
    rising: bool

    def holds(self, points: Sequence[Point]) -> bool | None:
        slope = _slope(within(points, self.over), LEAST_FOR_A_SLOPE)
        if slope is None:
            return None
        change = slope * self.over
        return change > self.bound if self.rising else change < self.bound


@dataclass(frozen=True, slots=True)
class Rise:
    """The newest is more than `bound` above the lowest in the window."""

    bound: Decimal
    over: int

    def holds(self, points: Sequence[Point]) -> bool | None:
        recent = within(points, self.over)
        if len(recent) < 2:
            return None
        return recent[-1][2] - min(value for _, _, value in recent) > self.bound


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of the window is at or above `bound`: of 3 readings, or of 12 when its first local day is left out.

    It asks sums and not points, and comes to what `averaged` does: a rule and a summary cannot disagree (R50).
    """

    bound: Decimal
    over: int
    drop_first_day: bool = False

    def holds(self, tally: Tally, at: int, fresh_for: int) -> bool | None:
        """… at the moment `at`, by what had been measured until then, if the newest of it was fresh."""
        if tally.days and tally.days[-1].newest > at:
            tally = tally.until(at)
        if not tally.days or at - (newest := tally.days[-1].newest) > fresh_for:
            return None
        count, total = tally.since(newest - self.over, drop_first_day=self.drop_first_day)
        if count < (LEAST_WITHOUT_THE_FIRST_DAY if self.drop_first_day else LEAST_FOR_A_MEAN):
            return None
        return total >= self.bound * count


@dataclass(frozen=True, slots=True)
class OffBaseline:
    """The newest is more than `mad` median absolute deviations away from the median of what came before it."""

    mad: Decimal
    over: int

    def holds(self, points: Sequence[Point]) -> bool | None:
        *before, newest = within(points, self.over)
        usual = baseline(before)
        if usual is None:
            return None
        middle, spread = usual
        return abs(Fraction(newest[2]) - middle) > Fraction(self.mad) * spread


@dataclass(frozen=True, slots=True)
class Projection:
    """Going on as in the last `over`, the value is past `bound` after as long again: two points are needed."""

    bound: Decimal
    over: int
    rising: bool

    def holds(self, points: Sequence[Point]) -> bool | None:
        recent = within(points, self.over)
        slope = _slope(recent, 2)
        if slope is None:
            return None
        then = Fraction(recent[-1][2]) + slope * self.over
        return then > self.bound if self.rising else then < self.bound


@dataclass(frozen=True, slots=True)
class Leaf:
    """A test of one series. `fresh_for`: a newest point that is older (milliseconds) says nothing of now."""

    place: Place
    test: Form | Mean
    fresh_for: int


@dataclass(frozen=True, slots=True)
class Branch:
    """`all`, `any` or `not` (of one part); what one part cannot tell, the others may decide."""

    of: str
    parts: "tuple[Node, ...]"


Node: TypeAlias = Leaf | Branch
Series: TypeAlias = Mapping[Place, Sequence[Point]]
Tallies: TypeAlias = Mapping[Place, Tally]

_NONE_COUNTED = Tally("")


def holds(node: Node, series: Series, tallies: Tallies, at: int) -> bool | None:
    """What is so at the moment `at`, by what had been measured until then."""
    if isinstance(node, Leaf):
        if isinstance(node.test, Mean):
            return node.test.holds(tallies.get(node.place, _NONE_COUNTED), at, node.fresh_for)
        known = series.get(node.place, ())
        points = known[: bisect_right(known, at, key=_MOMENT)]
        if not points or at - points[-1][0] > node.fresh_for:
            return None
        return node.test.holds(points)
    found = [holds(part, series, tallies, at) for part in node.parts]
    if node.of == "not":
        return None if found[0] is None else not found[0]
    decisive = node.of == "any"
    if decisive in found:
        return decisive
    return None if None in found else not decisive


def leaves(node: Node) -> list[Leaf]:
    """All tests of a condition, from left to right."""
    return [node] if isinstance(node, Leaf) else [leaf for part in node.parts for leaf in leaves(part)]


def within(points: Sequence[Point], over: int) -> Sequence[Point]:
    """Those of `points` that were measured at most `over` milliseconds before the newest."""
    return points[bisect_left(points, points[-1][0] - over, key=_MOMENT) :]


def averaged(points: Sequence[Point], zone: ZoneInfo, *, drop_first_day: bool) -> list[Decimal]:
    """The values that a mean is taken of, all or without those of the first local day that has one."""
    begins = bisect_left(points, _next_day(points[0][0], zone), key=_MOMENT) if points and drop_first_day else 0
    return [point[2] for point in points[begins:]]


def baseline(points: Sequence[Point]) -> tuple[Fraction, Fraction] | None:
    """`(median, median absolute deviation)` of at least 7 points; None of fewer. No deviation is below 0.5 % of it."""
    if len(points) < LEAST_FOR_A_BASELINE:
        return None
    values = [Fraction(value) for _, _, value in points]
    middle = median(values)
    return middle, max(median(abs(value - middle) for value in values), abs(middle) * _LEAST_SPREAD)


def _slope(points: Sequence[Point], least: int) -> Fraction | None:
    """By least squares, per millisecond; None of fewer than `least` moments."""
    if len({at for at, _, _ in points}) < least:
        return None
    first = points[0][0]
    times = [Fraction(at - first) for at, _, _ in points]
    values = [Fraction(value) for _, _, value in points]
    mean_at, mean = _mean(times), _mean(values)
    rise = _mean([(at - mean_at) * (value - mean) for at, value in zip(times, values, strict=True)])
    return rise / _mean([(at - mean_at) ** 2 for at in times])


def _mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction()) / len(values)


def _next_day(at: int, zone: ZoneInfo) -> int:
    """When the local day after that of `at` begins."""
    local = (_EPOCH + timedelta(milliseconds=at)).astimezone(zone)
    return (datetime.combine(local.date() + timedelta(days=1), time(), zone) - _EPOCH) // timedelta(milliseconds=1)
