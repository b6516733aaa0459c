"""Measurements on people, judged by the programmes that we ship: an episode is one that a reader of the curve sees."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.programmes import programmes
from device_sim.payload import Reading
from device_sim.replay import read
from domain import units
from domain.care_plan import plan_of
from domain.codes import KINDS
from domain.dry_run import NIGHT, WouldBe, as_if_prompt, dry_run
from domain.observation import Observation

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared measurements are not beside this project")


@dataclass(frozen=True)
class Person:
    """One person's readings of a kind, and the alerts that a programme makes of them."""

    past: list[Observation]
    episodes: tuple[WouldBe, ...]

    @property
    def days(self) -> int:
        return len({one.measured_at.date() for one in self.past})

    def raised(self, family: str, *severities: str) -> list[WouldBe]:
        return [one for one in self.episodes if one.alert.family == family and one.alert.severity in severities]

    def runs(self, breached: Callable[[Decimal], bool], value: str) -> Iterator[list[Observation]]:
        """Readings in a row that are past a bound."""
        for past, run in groupby(self.past, key=lambda one: breached(one.values[value])):
            if past:
                yield list(run)


@cache
def people(kind: str, programme: str) -> tuple[Person, ...]:
    plan = plan_of(programmes()[programme].plan, ZoneInfo("Europe/Moscow"), since=NOW)
    by_subject: dict[str, list[Observation]] = {}
    for number, reading in enumerate(read(DATA, now=NOW).cohort.readings):
        one = _observation(number, reading)
        if reading.kind == kind and _is_plausible(one):
            by_subject.setdefault(one.subject, []).append(one)
    pasts = [as_if_prompt(past) for past in by_subject.values()]
    return tuple(Person(past, dry_run(past, plan, night=NIGHT, until=NOW).episodes) for past in pasts)


def _observation(number: int, reading: Reading) -> Observation:
    types = KINDS[reading.kind].values
    return Observation(
        id=f"{number:06}",
        organisation="clinic-a",
        subject=reading.subject,
        device=reading.device,
        thing=reading.thing,
        kind=reading.kind,
        values={
            name: units.convert(given.value, given.unit, types[name].unit) for name, given in reading.values.items()
        },
        measured_at=reading.measured_at,
        device_time=reading.measured_at,
        received_at=reading.measured_at,
    )


def _is_plausible(one: Observation) -> bool:
    """What ingest lets in: a typing slip such as 12 over 80 is set aside."""
    types = KINDS[one.kind].values
    within = all(types[name].low <= value <= types[name].high for name, value in one.values.items())
    return within and one.values.get("systolic", Decimal(999)) > one.values.get("diastolic", Decimal(0))


def lasting(runs: Iterator[list[Observation]], period: timedelta) -> list[Sequence[Observation]]:
    return [run for run in runs if run[-1].measured_at - run[0].measured_at >= period]


@pytest.mark.parametrize(
    ("family", "severities", "breached"),
    [
        ("glucose-low", ("critical",), lambda value: value < 3),
        ("glucose-low", ("warning", "critical"), lambda value: value < Decimal("3.9")),
        ("glucose-high", ("critical",), lambda value: value > Decimal("13.9")),
        ("glucose-high", ("warning", "critical"), lambda value: value > 10),
    ],
    ids=["very low", "low", "very high", "high"],
)
def test_c14_every_event_of_a_quarter_of_an_hour_is_an_episode_and_nothing_else_is(
    family: str, severities: tuple[str, ...], breached: Callable[[Decimal], bool]
) -> None:
    for person in people("cgm", "cgm"):
        events = lasting(person.runs(breached, "glucose"), timedelta(minutes=15))
        found = [(one.alert.raised_at, one.alert.resolved_at or NOW) for one in person.raised(family, *severities)]
        for event in events:  # one that begins while the last is not over belongs to that
            assert any(begins <= event[-1].measured_at and event[0].measured_at <= ends for begins, ends in found)
        for begins, _ in found:
            assert any(event[0].measured_at < begins <= event[-1].measured_at for event in events)


def test_a_sensor_alarms_a_few_times_a_day_and_not_at_every_reading() -> None:
    assert len(people("cgm", "cgm")) == 2
    assert any(person.episodes for person in people("cgm", "cgm"))
    for person in people("cgm", "cgm"):
        assert len(person.episodes) <= 6 * person.days
        assert len(person.episodes) < len(person.past) / 20


def test_episodes_of_a_rule_follow_one_another() -> None:
    for person in (*people("cgm", "cgm"), *people("blood-pressure", "pregnancy")):
        over: dict[str, datetime] = {}
        for one in person.episodes:
            assert over.get(one.alert.rule, one.alert.raised_at) <= one.alert.raised_at
            over[one.alert.rule] = one.alert.resolved_at or NOW
            assert one.readings


def test_two_high_pressures_of_three_in_a_pregnancy_are_an_episode_and_one_is_not() -> None:
    for person in people("blood-pressure", "pregnancy"):
        for value, bound in (("systolic", 135), ("diastolic", 85)):
            high = [one.values[value] >= bound for one in person.past]
            often = any(sum(high[start : start + 3]) >= 2 for start in range(len(high)))
            if often:
                assert person.raised("pressure-high", "warning", "critical")
            elif sum(high) == 0:
                assert f"pregnancy-{value}-high" not in {one.alert.rule for one in person.episodes}


def test_every_severe_pressure_in_a_pregnancy_is_asked_for_again_or_raised() -> None:
    for person in people("blood-pressure", "pregnancy"):
        severe = [one for one in person.past if one.values["systolic"] >= 155 or one.values["diastolic"] >= 105]
        assert bool(person.raised("pressure-high", "critical")) == bool(severe)


def test_f7_most_women_of_a_day_clinic_for_high_pressure_have_an_episode() -> None:
    women = people("blood-pressure", "pregnancy")
    assert len(women) == 20
    assert 10 <= sum(bool(woman.episodes) for woman in women) <= 20
    assert sum(len(woman.episodes) for woman in women) <= 5 * len(women)
