"""How a virtual person's pressure, glucose, pulse and weight move: pure models, the same for the same seed.

They are made to be plausible, not to be believed: every figure is an engineering choice, none is a clinical finding.
Times are aware, in the person's own zone (the rhythm follows the clock on the wall); results are plain floats in
mm[Hg], /min, mmol/L and kg, unrounded: what a device shows of them is the cohort's matter.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MG_DL = 18.0156
"""mg/dL in one mmol/L of glucose."""

GRID = timedelta(minutes=5)
"""How often a continuous sensor measures."""


def dice(seed: int, *what: str) -> random.Random:
    """A source of chance of its own for each thing that varies: adding one changes no other."""
    return random.Random("/".join((str(seed), *what)))  # noqa: S311 - repeatable is the point, secret it is not


def _hour(at: datetime) -> float:
    return at.hour + at.minute / 60 + at.second / 3600


def _clamp(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


# --- blood pressure -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PressureTraits:
    """A person's daytime means, within-person spread (SD of the systolic) and how far the night takes it down."""

    systolic: float
    diastolic: float
    pulse: float
    spread: float
    dip: float
    first_excess: float


@dataclass(frozen=True, slots=True)
class Crisis:
    """A hypertensive crisis: from `start` on for `lasts`, pressure stays about `systolic` over `diastolic`."""

    start: datetime
    lasts: timedelta = timedelta(hours=2)
    systolic: float = 200
    diastolic: float = 124

    def covers(self, at: datetime) -> bool:
        return self.start <= at < self.start + self.lasts


@dataclass(frozen=True, slots=True)
class Pressure:
    at: datetime
    systolic: float
    diastolic: float
    pulse: float


_READING_SPREAD = 4.0  # between two readings a minute apart
_FARTHEST = 2.6  # spreads from the mean: nobody's day reaches 180 unless a crisis was asked for
_RHYTHM_SPREAD = 2.0  # what the rhythm and the first reading's excess add between morning and evening


def pressure_traits(chance: random.Random) -> PressureTraits:
    """A treated hypertensive person: mean about 128 over 79, within-person SD 9 to 12 mm[Hg]."""
    systolic = chance.uniform(118, 138)
    return PressureTraits(
        systolic=systolic,
        diastolic=systolic * chance.uniform(0.58, 0.66),
        pulse=chance.uniform(60, 82),
        spread=chance.uniform(9, 12),
        dip=chance.uniform(0.08, 0.18),
        first_excess=chance.uniform(2, 6),
    )


def circadian(at: datetime, traits: PressureTraits) -> float:
    """Systolic mm[Hg] above the daytime mean: lowest at three in the night, a surge after waking."""
    hour = _hour(at)
    night = max(0.0, math.cos(2 * math.pi * (hour - 3) / 24)) ** 2
    surge = 4 * math.exp(-(((hour - 8.5) / 1.5) ** 2))
    return surge - traits.dip * traits.systolic * night


def pressures(
    chance: random.Random, traits: PressureTraits, sittings: Iterable[Sequence[datetime]], crises: Sequence[Crisis] = ()
) -> Iterator[Pressure]:
    """One pressure for each time of each sitting, in order; the first of a sitting is higher by `first_excess`.

    A sitting has a level of its own that drifts from the last one's; readings of a sitting differ by a few mm[Hg].
    """
    between = math.sqrt(traits.spread**2 - _READING_SPREAD**2 - _RHYTHM_SPREAD**2)
    level = chance.gauss(0, between)
    for sitting in sittings:
        level = 0.3 * level + math.sqrt(1 - 0.3**2) * chance.gauss(0, between)
        for place, at in enumerate(sitting):
            crisis = next((one for one in crises if one.covers(at)), None)
            noise = chance.gauss(0, _READING_SPREAD)
            excess = traits.first_excess if place == 0 and len(sitting) > 1 else 0.0
            if crisis is None:
                farthest = _FARTHEST * traits.spread
                change = _clamp(level + noise, -farthest, farthest) + circadian(at, traits) + excess
                systolic = traits.systolic + change
                diastolic = traits.diastolic + 0.5 * change + chance.gauss(0, 3)
            else:
                systolic = crisis.systolic + noise + excess
                diastolic = crisis.diastolic + 0.5 * noise + chance.gauss(0, 2)
            systolic = _clamp(systolic, 80, 250)
            yield Pressure(
                at,
                systolic,
                _clamp(diastolic, 45, min(150, systolic - 20)),
                heart_rate(chance, traits.pulse, at, effort=0.6 if crisis else 0.0),
            )


# --- heart rate -----------------------------------------------------------------------------------------------------


def heart_rate(chance: random.Random, resting: float, at: datetime, effort: float = 0.0) -> float:
    """Beats a minute: slower by night, `effort` from 0 (sitting) to 1 (climbing stairs or frightened)."""
    asleep = max(0.0, math.cos(2 * math.pi * (_hour(at) - 3) / 24)) ** 2
    return _clamp(resting - 8 * asleep + 50 * effort + chance.gauss(0, 3), 38, 180)


# --- glucose --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GlucoseTraits:
    """`basal` is the level in mg/dL that the body returns to, at the share `pull` a minute; `dawn` raises it.

    `dosing` is the spread of insulin doses about the right one; `missed` is how often a dose is forgotten, and then the
    body's own insulin covers the share `own` of the meal.
    """

    basal: float
    pull: float
    dawn: float
    own: float
    dosing: float
    missed: float


TYPE_1 = GlucoseTraits(basal=140, pull=0.004, dawn=40, own=0.0, dosing=0.28, missed=0.08)
TYPE_2 = GlucoseTraits(basal=125, pull=0.010, dawn=22, own=0.72, dosing=0.0, missed=1.0)

_MEALS = ((7.5, 45.0), (13.0, 65.0), (19.0, 60.0), (16.0, 15.0))  # usual hour, usual grams of carbohydrate
_RISE = 3.5  # mg/dL that a gram raises when nothing answers it
_ABSORBED = 42.0  # minutes to the peak of absorption
_ACTING = 55.0  # minutes to the peak of insulin's action
_LASTS = timedelta(hours=7)  # after which neither a meal nor a dose is felt


@dataclass(frozen=True, slots=True)
class _Push:
    """A meal (upwards) or a dose (downwards): `size` mg/dL in all, spread over time with its peak at `peak` minutes."""

    at: datetime
    size: float
    peak: float

    def rate(self, at: datetime) -> float:
        minutes = (at - self.at).total_seconds() / 60
        if minutes <= 0:
            return 0.0
        return self.size * minutes / self.peak**2 * math.exp(-minutes / self.peak)


def _pushes(chance: random.Random, traits: GlucoseTraits, day: datetime) -> Iterator[_Push]:
    for hour, grams in _MEALS:
        eaten = day + timedelta(hours=hour + chance.uniform(-0.75, 0.75))
        rise = _RISE * grams * chance.uniform(0.6, 1.4)
        yield _Push(eaten, rise, _ABSORBED)
        forgotten, aim = chance.random() < traits.missed, chance.gauss(1, traits.dosing)
        answer = traits.own if forgotten else max(0.0, aim)
        yield _Push(eaten + timedelta(minutes=chance.uniform(-15, 10)), -rise * answer, _ACTING)


def glucose(
    chance: random.Random, traits: GlucoseTraits, start: datetime, end: datetime
) -> Iterator[tuple[datetime, float]]:
    """Blood glucose in mmol/L every five minutes from `start` to `end`, both on the grid and included.

    Meals raise it, insulin lowers it, dawn lifts the level it returns to, and below 70 mg/dL the body answers.
    """
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    begin = midnight + (start - midnight) % GRID + timedelta(hours=12)  # half a day to forget where it began
    level, drift, at = traits.basal, 0.0, begin
    pushes: list[_Push] = []
    planned = midnight
    while at <= end:
        while planned <= at + timedelta(hours=1):
            pushes.extend(_pushes(chance, traits, planned))
            planned += timedelta(days=1)
        pushes = [push for push in pushes if at - push.at < _LASTS]
        drift = 0.97 * drift + chance.gauss(0, 0.05)
        dawn = traits.dawn * math.exp(-(((_hour(at) - 6) / 2) ** 2))
        answer = 0.03 * max(0.0, 70 - level)
        rate = sum(push.rate(at) for push in pushes) - traits.pull * (level - traits.basal - dawn) + answer + drift
        level = _clamp(level + 5 * rate, 38, 420)
        if at >= start:
            yield at, level / MG_DL
        at += GRID


def sensor(chance: random.Random, blood: Iterable[tuple[datetime, float]]) -> Iterator[tuple[datetime, float]]:
    """What a continuous sensor shows of `blood`, in mmol/L: seven minutes or so behind, with an error that lingers."""
    tissue, error = None, 0.0
    for at, level in blood:
        tissue = level if tissue is None else tissue + 0.4 * (level - tissue)
        error = 0.8 * error + chance.gauss(0, 0.012)
        yield at, tissue * (1 + error)


def fingerprick(chance: random.Random, level: float) -> float:
    """What a meter shows of a drop of blood: within 15 % in nearly all cases (ISO 15197)."""
    return level * (1 + _clamp(chance.gauss(0, 0.05), -0.15, 0.15))


# --- weight ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WeightTraits:
    """Kilograms, their drift a week, and from when on water is retained (a kilogram a day for three days)."""

    kilograms: float
    drift: float
    retention_from: datetime | None = None


def weights(chance: random.Random, traits: WeightTraits, times: Sequence[datetime]) -> Iterator[tuple[datetime, float]]:
    """Weight in kg at each of `times`, which are in order."""
    for at in times:
        weeks = (at - times[0]) / timedelta(weeks=1)
        water = 0.0
        if traits.retention_from is not None:
            water = _clamp((at - traits.retention_from) / timedelta(days=1), 0, 3)
        yield at, traits.kilograms + traits.drift * weeks + water + _clamp(chance.gauss(0, 0.3), -0.9, 0.9)
