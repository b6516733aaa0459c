"""A cohort of people with hypertension who measure as often, and as high, as a published programme's patients did.

Pure and the same for the same seed: every sitting that a person takes, what the cuff showed, and what it would show if
they were asked to measure again. Some readings are artefacts, some people have a sustained crisis. As in vitals, every
figure is an engineering choice made to meet the published load; none is a clinical finding.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from device_sim import vitals
from device_sim.vitals import Crisis, PressureTraits, dice

ARTEFACTS = 0.01
"""The share of readings that show something else than the pressure: half of them with the cuff's flag, half without."""

_SITTINGS = 0.485  # a day, of which most are two readings
_PAIRS = 0.7
_ANSWERS = 0.85  # who is asked to measure again does, mostly
_BETWEEN = timedelta(seconds=90)
_QUIET = timedelta(hours=12)  # a crisis comes unseen: nothing was measured for so long before it


@dataclass(frozen=True, slots=True)
class Shown:
    """What the cuff shows: mm[Hg], /min. An `artefact` is not the person's pressure; `flagged`: the cuff says so."""

    at: datetime
    systolic: int
    diastolic: int
    pulse: int
    artefact: bool = False
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Sitting:
    """One or two readings, and the one that follows if the person is asked to measure again (None: they do not)."""

    shown: tuple[Shown, ...]
    answer: Shown | None


@dataclass(frozen=True, slots=True)
class Person:
    """One person's stay in the cohort, in order of time; `crisis` is the sustained one that was planted, if any."""

    number: int
    sittings: tuple[Sitting, ...]
    crisis: Crisis | None


def cohort(people: int, *, days: int, seed: int, start: datetime, crises: int) -> Iterator[Person]:
    """`people` from `start` (aware, a midnight of theirs) on, one after the other; `crises` of them have a crisis."""
    struck = set(dice(seed, "crises").sample(range(people), crises))
    for number in range(people):
        yield _person(number, days=days, seed=seed, start=start, has_crisis=number in struck)


def _person(number: int, *, days: int, seed: int, start: datetime, has_crisis: bool) -> Person:
    chance = dice(seed, "hypertension", str(number))
    traits = _traits(chance)
    crisis = _crisis(chance, start, days) if has_crisis else None
    times = list(_times(chance, start, days))
    if crisis is not None:  # who feels it measures, and measures again an hour later
        before = replace(crisis, start=crisis.start - _QUIET, lasts=crisis.lasts + _QUIET)
        times = [at for at in times if not before.covers(at[0])]
        first = crisis.start + timedelta(minutes=chance.uniform(2, 30))
        times = sorted([*times, (first, first + _BETWEEN), (first + timedelta(hours=1), first + timedelta(minutes=62))])
    wanted = [(*at, at[-1] + timedelta(minutes=chance.uniform(2, 6))) for at in times]
    pressures = vitals.pressures(chance, traits, wanted, (crisis,) if crisis else ())
    sittings = []
    for sitting in wanted:
        *shown, answer = (_shown(chance, next(pressures)) for _ in sitting)
        sittings.append(Sitting(tuple(shown), answer if chance.random() < _ANSWERS else None))
    return Person(number, tuple(sittings), crisis)


def _traits(chance: random.Random) -> PressureTraits:
    """Treated and not yet well. Nobody's own rhythm reaches 180, so that all there is to find was planted."""
    systolic = chance.uniform(127, 139)
    return PressureTraits(
        systolic=systolic,
        diastolic=systolic * chance.uniform(0.57, 0.65),
        pulse=chance.uniform(60, 82),
        spread=chance.uniform(9.5, 12),
        dip=chance.uniform(0.08, 0.18),
        first_excess=chance.uniform(2, 6),
    )


def _crisis(chance: random.Random, start: datetime, days: int) -> Crisis:
    """Two to four hours by day, at 186 to 220 over 104 to 128."""
    at = start + timedelta(days=chance.randrange(1, days - 1), hours=chance.uniform(8, 19))
    return Crisis(
        at.replace(microsecond=0),
        timedelta(hours=chance.uniform(2, 4)),
        systolic=chance.uniform(186, 220),
        diastolic=chance.uniform(104, 128),
    )


def _times(chance: random.Random, start: datetime, days: int) -> Iterator[tuple[datetime, ...]]:
    """When the person sits down, mostly in the morning: some every day, some once a week."""
    often = min(0.95, max(0.1, chance.gauss(_SITTINGS, 0.18)))
    for day in range(days):
        if chance.random() < often:
            hour = chance.choice((7.5, 8.5, 19.5)) + chance.gauss(0, 0.4)
            at = (start + timedelta(days=day, hours=hour)).replace(microsecond=0)
            yield (at, at + _BETWEEN) if chance.random() < _PAIRS else (at,)


def _shown(chance: random.Random, one: vitals.Pressure) -> Shown:
    if chance.random() >= ARTEFACTS:
        return Shown(one.at, round(one.systolic), round(one.diastolic), round(one.pulse))
    wrong = chance.choice((-1, 1)) * chance.uniform(30, 70)
    systolic = max(60, min(260, round(one.systolic + wrong)))
    diastolic = max(35, min(systolic - 10, round(one.diastolic + 0.6 * wrong)))
    return Shown(one.at, systolic, diastolic, round(one.pulse), artefact=True, flagged=chance.random() < 0.5)
