"""The readings of one value by local day with each day's sum: a mean of a week costs the same however many there are.

A reading is counted once, wherever it belongs, in whatever order it comes, and can be taken out again (R6, P8); so each
leaves its moment, its value and a mark of its id. Sums are exact. A day's readings are text, which a state is written
and read with as it is: they are only taken apart where the edge of a window goes through a day.
"""

from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

MOST_COUNTED = 2048
"""Readings of one value: some 45 KB of state. A window that could hold more is refused (domain/plan_faults.py)."""

_QUARTER = 15 * 60 * 1000  # days of every zone begin at a quarter of an hour
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NOTHING = Decimal()

Counted: TypeAlias = tuple[int, str, Decimal]
"""`(measured at, in milliseconds since 1970; mark of the id; canonical value)`."""


class Day(NamedTuple):
    """`start` and `newest` in milliseconds since 1970; each of `readings` is `;{since start}:{mark}:{value}`."""

    start: int
    newest: int
    number: int
    total: Decimal
    readings: str


class Tally(NamedTuple):
    """The days that have a reading, oldest first, as the calendar of `zone` divides them, and what they come to."""

    zone: str
    days: tuple[Day, ...] = ()
    number: int = 0
    total: Decimal = _NOTHING

    def add(self, at: int, mark: str, value: Decimal, zone: ZoneInfo, period: int) -> "Tally":
        """… with one more reading, of what was measured in `period` milliseconds; itself if that changes nothing."""
        if self.zone != zone.key:
            return tally_of(self.readings(), zone).add(at, mark, value, zone, period)
        days = self.days
        if not days or at > days[-1].newest:
            days = _grown(days, at, mark, value, zone)
        elif at < days[-1].newest - period:
            return self
        else:
            days = _placed(days, at, mark, value, zone)
            if days is self.days:
                return self
        return _few(self.zone, days, self.number + 1, self.total + value, days[-1].newest - period)

    def without(self, marks: Collection[str]) -> "Tally":
        """… and the readings that `marks` are of; itself if it has none of them."""
        days = tuple(
            _cut(day, lambda one: one[1] not in marks) if any(f":{mark}:" in day.readings for mark in marks) else day
            for day in self.days
        )
        return self if days == self.days else summed(self.zone, days)

    def until(self, at: int) -> "Tally":
        """… as it was by what had been measured until `at`."""
        days = (day if day.newest <= at else _cut(day, lambda one: one[0] <= at) for day in self.days)
        return summed(self.zone, days)

    def since(self, at: int, *, drop_first_day: bool) -> tuple[int, Decimal]:
        """How many readings there are from `at` on, or from the day after the first of them, and their sum.

        `at` is no later than the newest.
        """
        number, total = self.number, self.total
        days, first = self.days, 0
        while days[first].newest < at:
            number, total, first = number - days[first].number, total - days[first].total, first + 1
        begun = days[first]
        left = 0, _NOTHING
        if not drop_first_day:
            left = (_cut(begun, lambda one: one[0] >= at) if begun.start < at else begun)[2:4]
        return number - begun.number + left[0], total - begun.total + left[1]

    def readings(self) -> list[Counted]:
        return [one for day in self.days for one in _apart(day.start, day.readings)]

    def after(self, at: int) -> set[int]:
        """The moments of the readings that are newer than `at`."""
        days = [day for day in self.days if day.newest > at]
        return {one[0] for day in days for one in _apart(day.start, day.readings) if one[0] > at}


def mark_of(name: str) -> str:
    """What an observation's id is known by: 48 bits of its hash, in eight characters."""
    return b64encode(blake2b(name.encode(), digest_size=6).digest()).decode()


def tally_of(readings: Iterable[Counted], zone: ZoneInfo) -> Tally:
    days: dict[int, list[Counted]] = {}
    for one in sorted(readings):
        days.setdefault(_bounds(one[0] // _QUARTER, zone)[0], []).append(one)
    return summed(zone.key, (_day(start, among) for start, among in days.items()))


def summed(zone: str, days: Iterable[Day]) -> Tally:
    """The tally of `days`, without those that are empty."""
    some = tuple(day for day in days if day.number)
    return Tally(zone, some, sum(day.number for day in some), sum((day.total for day in some), _NOTHING))


def _grown(days: tuple[Day, ...], at: int, mark: str, value: Decimal, zone: ZoneInfo) -> tuple[Day, ...]:
    """`days` with a reading that is newer than all of them."""
    if days:
        start, _, number, total, readings = days[-1]
        if at < _bounds(start // _QUARTER, zone)[1]:
            return (*days[:-1], Day(start, at, number + 1, total + value, f"{readings};{at - start}:{mark}:{value}"))
    start = _bounds(at // _QUARTER, zone)[0]
    return (*days, Day(start, at, 1, value, f";{at - start}:{mark}:{value}"))


def _placed(days: tuple[Day, ...], at: int, mark: str, value: Decimal, zone: ZoneInfo) -> tuple[Day, ...]:
    """`days` with a reading that is not newer than all of them; they themselves if they have it."""
    start = _bounds(at // _QUARTER, zone)[0]
    index = next(index for index, day in enumerate(days) if day.start >= start)
    if days[index].start != start:
        return (*days[:index], _day(start, [(at, mark, value)]), *days[index:])
    known = days[index]
    if f";{at - start}:{mark}:" in known.readings:
        return days
    return (*days[:index], _day(start, sorted((*_apart(start, known.readings), (at, mark, value)))), *days[index + 1 :])


def _few(zone: str, days: tuple[Day, ...], number: int, total: Decimal, oldest: int) -> Tally:
    """A tally without what is over, or more than any that a plan reckons with."""
    while days[0].newest < oldest or number > MOST_COUNTED + days[0].number:
        number, total, days = number - days[0].number, total - days[0].total, days[1:]
    return Tally(zone, days, number, total)


def _cut(day: Day, keeps: Callable[[Counted], bool]) -> Day:
    return _day(day.start, [one for one in _apart(day.start, day.readings) if keeps(one)])


def _day(start: int, readings: Sequence[Counted]) -> Day:
    return Day(
        start,
        readings[-1][0] if readings else start,
        len(readings),
        sum((value for _, _, value in readings), Decimal()),
        "".join(f";{at - start}:{mark}:{value}" for at, mark, value in readings),
    )


@lru_cache(maxsize=256)
def _apart(start: int, readings: str) -> tuple[Counted, ...]:
    parts = (one.split(":") for one in readings.split(";")[1:])
    return tuple((start + int(after), mark, Decimal(value)) for after, mark, value in parts)


@lru_cache(maxsize=4096)
def _bounds(quarter: int, zone: ZoneInfo) -> tuple[int, int]:
    """When the local day that holds a quarter of an hour begins, and when the next one does."""
    day = (_EPOCH + quarter * _QUARTER * _MILLISECOND).astimezone(zone).date()
    begins, ends = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
    return (begins - _EPOCH) // _MILLISECOND, (ends - _EPOCH) // _MILLISECOND
