"""Derived values: what many readings of a period say together. Pure, and always of the readings that there are now.

A value is worked out anew from the readings of its period, never kept beside them and corrected: so late, repeated and
recalled readings, in any order of arrival, give what they would have given in time (docs/decisions/0031). The mean and
the baseline are those of the engine (domain/trend.py): a rule and a summary cannot disagree (R50).

Sources: CHEP (home mean of 7 days, without the first); ADA/ATTD consensus on time in range, also of type-1 pregnancy;
HL7 CGM guide 1.0.0 (LOINC); Bergenstal 2018 (GMI). A clinician must sign off the limits.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from itertools import pairwise
from statistics import mean, median, stdev
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from domain.alert import no_evidence
from domain.observation import Observation
from domain.trend import LEAST_WITHOUT_THE_FIRST_DAY, Point, averaged, baseline

Values: TypeAlias = dict[str, Decimal]

BANDS = ("very-low", "low", "in-range", "high", "very-high")

LEAST_ACTIVE = 70
"""Per cent of a fortnight that a sensor has to have measured."""

_MG_DL = Decimal("18.0156")  # mg/dL of glucose in one mmol/L
_TENTH, _HUNDREDTH = Decimal("0.1"), Decimal("0.01")
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Period(NamedTuple):
    """Both ends belong to it; to the millisecond."""

    from_at: datetime
    to_at: datetime


class Bands(NamedTuple):
    """Bounds between bands of glucose, in mmol/L. Whichever unit it came in: 70 mg/dL is in range and so is 3.9."""

    very_low: Decimal
    low: Decimal
    high: Decimal
    very_high: Decimal | None
    shown: str


USUAL = Bands(Decimal("2.995"), Decimal("3.885"), Decimal("10.0"), Decimal("13.9"), "3.9-10.0")
PREGNANCY = Bands(Decimal("2.995"), Decimal("3.495"), Decimal("7.8"), None, "3.5-7.8")


@dataclass(frozen=True, slots=True)
class Derived:
    """One derived value of a subject. `count` readings speak in it; `values` is empty when they are too few.

    `version` grows with every reading and every mark in the period. With one reading of an auxiliary device in it the
    whole is `auxiliary` (P2).
    """

    kind: str
    organisation: str
    subject: str
    period: Period
    count: int
    values: Mapping[str, Decimal]
    auxiliary: bool
    version: int
    issued_at: datetime
    bands: Bands | None = None


class _Asked(NamedTuple):
    """What a form works on: readings that are evidence, oldest first, one a moment and device."""

    readings: Sequence[Observation]
    period: Period
    zone: ZoneInfo
    bands: Bands

    def points(self, value: str) -> list[Point]:
        return [(_milliseconds(one.measured_at), one.id, one.values[value]) for one in self._with(value)]

    def numbers(self, value: str) -> list[Decimal]:
        return [one.values[value] for one in self._with(value)]

    def _with(self, value: str) -> list[Observation]:
        return [one for one in self.readings if value in one.values]


@dataclass(frozen=True, slots=True)
class Form:
    """How a derived value is made: of which kind (None: any), over how many days; and the UCUM units of its values."""

    of: str | None
    days: int
    work: Callable[[_Asked], tuple[int, Values]]
    units: Mapping[str, str]


def _pressure(asked: _Asked) -> tuple[int, Values]:
    """The mean without the first day that has a reading. Cut, not rounded: it is shown at a bound when it is there."""
    values: Values = {}
    for name in ("systolic", "diastolic"):
        counted = averaged(asked.points(name), asked.zone, drop_first_day=True)
        if len(counted) >= LEAST_WITHOUT_THE_FIRST_DAY:
            values[name] = Decimal(mean(counted)).quantize(_TENTH, ROUND_FLOOR)
    return len(averaged(asked.points("systolic"), asked.zone, drop_first_day=True)), values


def _glucose(asked: _Asked) -> tuple[int, Values]:
    points, numbers = asked.points("glucose"), asked.numbers("glucose")
    active = _active(points, asked.period)
    if active < LEAST_ACTIVE or len(numbers) < 2:
        return len(numbers), {}
    middle = mean(numbers)
    gmi = Decimal("3.31") + Decimal("0.02392") * _MG_DL * middle
    return len(numbers), {
        "mean": middle.quantize(_HUNDREDTH),
        "gmi": gmi.quantize(_TENTH),
        "variation": (100 * stdev(numbers) / middle).quantize(_TENTH),
        "active": min(active, Decimal(100)).quantize(_TENTH),
    } | _times(numbers, asked.bands)


def _times(numbers: Sequence[Decimal], of: Bands) -> Values:
    """Per cent of the readings in each band; together they are all of them."""
    counts = {"very-low": 0, "low": 0, "in-range": 0, "high": 0}
    if of.very_high is not None:
        counts["very-high"] = 0
    for number in numbers:
        if number < of.low:
            counts["very-low" if number < of.very_low else "low"] += 1
        elif number > of.high:
            counts["very-high" if of.very_high is not None and number > of.very_high else "high"] += 1
        else:
            counts["in-range"] += 1
    return {band: (Decimal(100 * count) / len(numbers)).quantize(_TENTH) for band, count in counts.items()}


def _active(points: Sequence[Point], period: Period) -> Decimal:
    """Per cent of the period's slots that have a reading; a slot is as long as the sensor's usual step, in minutes."""
    steps = [later[0] - earlier[0] for earlier, later in pairwise(points) if later[0] > earlier[0]]
    if not steps:
        return Decimal()
    slot = max(round(median(steps) / 60_000), 1) * 60_000
    start = _milliseconds(period.from_at)
    slots = Fraction(_milliseconds(period.to_at) + 1 - start, slot)
    share = 100 * len({(at - start) // slot for at, _, _ in points}) / slots
    return Decimal(share.numerator) / share.denominator


def _weight(asked: _Asked) -> tuple[int, Values]:
    """The newest against what came before it: median, median absolute deviation, and how many of those it is away."""
    points = asked.points("weight")
    usual = baseline(points[:-1])
    if usual is None:
        return len(points), {}
    middle, spread = (Decimal(one.numerator) / one.denominator for one in usual)
    change = points[-1][2] - middle
    return len(points), {
        "median": middle.quantize(_HUNDREDTH),
        "deviation": spread.quantize(_HUNDREDTH),
        "change": change.quantize(_HUNDREDTH),
        "deviations": (change / spread).quantize(_TENTH),
    }


def _transmitted(asked: _Asked) -> tuple[int, Values]:
    """Local days on which a device measured; what people typed or told is no transmission."""
    measured = [one for one in asked.readings if one.origin == "device"]
    days = {one.measured_at.astimezone(asked.zone).date() for one in measured}
    return len(measured), {"days": Decimal(len(days))}


FORMS: Mapping[str, Form] = {
    "mean-pressure": Form("blood-pressure", 7, _pressure, {"systolic": "mm[Hg]", "diastolic": "mm[Hg]"}),
    "glucose-statistics": Form(
        "cgm",
        14,
        _glucose,
        {"mean": "mmol/L"} | dict.fromkeys(("gmi", "variation", "active", *BANDS), "%"),
    ),
    "weight-baseline": Form(
        "weight", 28, _weight, {"median": "kg", "deviation": "kg", "change": "kg", "deviations": "1"}
    ),
    "days-transmitted": Form(None, 30, _transmitted, {"days": "d"}),
}


def derive(
    kind: str, readings: Iterable[Observation], period: Period, zone: ZoneInfo, bands: Bands = USUAL
) -> Derived | None:
    """The derived value `kind` of `period`, of one subject's `readings` in any order; None if none was measured in it.

    Readings outside the period, of other kinds, and those that are no evidence (`domain.alert.no_evidence`: artefacts,
    what was recalled) do not count; those of an auxiliary device do, and it says so.
    """
    form = FORMS[kind]
    found = {
        one.id: one
        for one in readings
        if form.of in (None, one.kind) and period.from_at <= one.measured_at <= period.to_at
    }
    if not found:
        return None
    evidence = sorted(
        (one for one in found.values() if no_evidence(one) is None), key=lambda one: (one.measured_at, one.id)
    )
    count, values = form.work(_Asked(evidence, period, zone, bands))
    newest = max(found.values(), key=lambda one: one.received_at)
    return Derived(
        kind=kind,
        organisation=newest.organisation,
        subject=newest.subject,
        period=period,
        count=count,
        values=values,
        auxiliary=any(one.device_class == "auxiliary" for one in evidence),
        version=sum(one.version for one in found.values()),
        issued_at=newest.received_at,
        bands=bands if form.work is _glucose else None,
    )


def until_now(kind: str, now: datetime, newest_at: datetime | None, zone: ZoneInfo) -> Period:
    """The period that a summary shows: as far back from the newest reading as a rule looks; whole days for days."""
    form = FORMS[kind]
    if form.of is None or newest_at is None:
        today = now.astimezone(zone).date()
        return Period(_midnight(today - timedelta(days=form.days - 1), zone), now)
    return Period(newest_at - timedelta(days=form.days), newest_at)


def ending(kind: str, last: date, zone: ZoneInfo) -> Period:
    """The period of `kind` whose last local day is `last`, from midnight to midnight."""
    first = last - timedelta(days=FORMS[kind].days - 1)
    return Period(_midnight(first, zone), _midnight(last + timedelta(days=1), zone) - _MILLISECOND)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
