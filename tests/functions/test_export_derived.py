"""Export of derived values: told once a week, again for what came late, and the hospital ends with the truth."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import fhir
from domain.delivery import Lane, Reference
from domain.derived import FORMS
from domain.enrolment import Consent, Endpoint, Subject
from domain.observation import Observation
from domain.rendering import render
from domain.summary import closed, of_week
from functions.export.service import Change, Collect
from tests.builders import ORGANISATION, SUBJECT, a_subject, an_endpoint, an_observation
from tests.fakes import FakeAlerts, FakeBell, FakeEnrolment, FakeLog, FakeObservations

LANE = Lane(ORGANISATION, "mis-1", "observations-0")
PK = f"{ORGANISATION}#{SUBJECT}"
SUNDAY = date(2026, 11, 22)
WEEK = timedelta(days=7)
LATER = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
"""A Tuesday, when the week that ended on SUNDAY is over for everybody."""


def a_reading(at: datetime, systolic: int = 130, **changes: Any) -> Observation:
    values = {"systolic": Decimal(systolic), "diastolic": Decimal(80)}
    return an_observation(measured_at=at, values=values, **changes)


def a_week() -> list[Observation]:
    """Two pressures a day from Monday to Sunday."""
    return [a_reading(datetime(2026, 11, day, hour, tzinfo=UTC)) for day in range(16, 23) for hour in (4, 16)]


class Enrolment(FakeEnrolment):
    """It remembers each note that was written."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.notes: list[date] = []

    def told(self, organisation: str, subject: str, last: date) -> None:
        self.notes.append(last)
        super().told(organisation, subject, last)


class Stage:
    """A hospital that keeps the newest of each resource, behind a real collect over fakes."""

    def __init__(self, *endpoints: Endpoint, subject: Subject | None = None) -> None:
        self.now = LATER
        self.registry = Enrolment([*endpoints] or [an_endpoint()], [subject or a_subject()], [])
        self.log, self.observations = FakeLog(), FakeObservations()
        self.collect = Collect(self.log, FakeBell(), self.registry, self.registry, clock=lambda: self.now)
        self.shown: dict[str, fhir.Json] = {}
        self.sent: dict[Lane, int] = {}

    def brings(self, readings: Iterable[Observation]) -> None:
        self.collect([self.store(one) for one in readings])
        self.send()

    def store(self, one: Observation) -> Change:
        key = PK, f"{one.kind}#{one.device_time.isoformat()}#{one.id}"
        self.observations.rows[key] = one
        return self.change(one)

    def change(self, one: Observation) -> Change:
        key = PK, f"{one.kind}#{one.device_time.isoformat()}#{one.id}"
        return Change(
            one.id, "observations", ORGANISATION, SUBJECT, one.kind, Reference("observation", *key), (one.measured_at,)
        )

    def send(self) -> None:
        for lane, progress in self.log.lanes.items():
            after = self.sent.get(lane, 0)
            for row in self.log.rows(lane, after=after, limit=progress.next - after):
                bundle = render(
                    row.references, registry=self.registry, observations=self.observations, alerts=FakeAlerts()
                )
                self.shown |= {entry["fullUrl"]: entry["resource"] for entry in bundle.get("entry", ())}
            self.sent[lane] = progress.next

    def named(self, lane: Lane = LANE) -> list[str]:
        """The derived values that the lane names."""
        rows = self.log.content.get(lane, {}).values()
        return [one.sk for row in rows for one in row.references if one.type == "derived"]

    def derived(self) -> dict[str, fhir.Json]:
        return {url: one for url, one in self.shown.items() if "effectivePeriod" in one}


def rendered(stage: Stage, weeks: Sequence[date]) -> dict[str, fhir.Json]:
    """All that is derived of `weeks`, worked out from what is stored now."""
    subject = stage.registry.enrolled[0]
    found = [of_week(kind, subject, last, past=stage.observations) for kind in FORMS for last in weeks]
    bundle = fhir.bundle([], [], {}, [one for one in found if one is not None])
    return {entry["fullUrl"]: entry["resource"] for entry in bundle.get("entry", ())}


def test_f10_the_first_reading_after_a_week_tells_of_it_once() -> None:
    stage = Stage()
    stage.now = datetime(2026, 11, 22, 17, tzinfo=UTC)
    stage.brings(a_week())
    assert stage.named() == []
    stage.now = LATER
    stage.brings([a_reading(LATER - timedelta(hours=1))])
    assert stage.named() == [f"{kind}#2026-11-22" for kind in FORMS]
    assert stage.registry.enrolled[0].told_to == SUNDAY
    stage.registry.notes.clear()
    stage.brings([a_reading(LATER)])
    assert len(stage.named()) == len(FORMS)
    assert stage.registry.notes == [], "a reading within the week costs no write"
    (pressure,) = (one for one in stage.derived().values() if one["code"]["coding"][0]["code"] == "96607-7")
    assert [part["valueQuantity"]["value"] for part in pressure["component"]] == [130, 80]
    assert pressure["effectivePeriod"]["start"] == "2026-11-16T00:00:00+04:00"


def test_a_subject_that_was_silent_for_weeks_is_told_of_those_it_was_heard_in() -> None:
    stage = Stage()
    stage.observations.rows |= {(PK, one.id): one for one in a_week()}
    stage.now = LATER + 3 * WEEK
    stage.brings([a_reading(stage.now)])
    assert stage.named()[:: len(FORMS)] == [f"mean-pressure#{SUNDAY + n * WEEK}" for n in range(4)]
    codes = [one["code"]["coding"][0]["code"] for one in stage.derived().values()]
    assert codes.count("96607-7") == 1


def test_nobody_is_told_of_more_than_a_month_of_weeks() -> None:
    stage = Stage(subject=a_subject(told_to=date(2026, 3, 1)))
    stage.brings([a_reading(LATER)])
    assert stage.named()[:: len(FORMS)] == [f"mean-pressure#{SUNDAY - n * WEEK}" for n in (4, 3, 2, 1, 0)]


def test_a_new_subject_is_told_of_the_last_week_alone() -> None:
    stage = Stage(subject=a_subject(told_to=None))
    stage.brings([a_reading(LATER)])
    assert stage.named() == [f"{kind}#2026-11-22" for kind in FORMS]


TOUCHED = {
    "blood-pressure": ["mean-pressure#2026-11-08", *(f"days-transmitted#2026-11-{day}" for day in ("08", "15", "22"))],
    "weight": [
        f"{kind}#2026-11-{day}" for kind in ("weight-baseline", "days-transmitted") for day in ("08", "15", "22")
    ],
    "cgm": [
        "glucose-statistics#2026-11-08",
        "glucose-statistics#2026-11-15",
        *(f"days-transmitted#2026-11-{day}" for day in ("08", "15", "22")),
    ],
}


@pytest.mark.parametrize("kind", TOUCHED)
def test_f15_a_late_reading_brings_again_what_it_has_a_part_in(kind: str) -> None:
    stage = Stage(subject=a_subject(told_to=SUNDAY))
    at = datetime(2026, 11, 4, 9, tzinfo=UTC)
    values = {"cgm": {"glucose": Decimal(6)}, "weight": {"weight": Decimal(80)}}.get(kind, a_reading(at).values)
    stage.brings([an_observation(kind=kind, measured_at=at, values=values)])
    assert stage.named() == TOUCHED[kind]


SUNDAYS = {
    datetime(2026, 11, 22, 9, tzinfo=UTC): ["mean-pressure#2026-11-22", "days-transmitted#2026-11-22"],
    datetime(2026, 11, 15, 9, tzinfo=UTC): [
        "mean-pressure#2026-11-15",
        "days-transmitted#2026-11-15",
        "days-transmitted#2026-11-22",
    ],
}


@pytest.mark.parametrize("at", SUNDAYS, ids=["the last", "the one before"])
def test_a_late_reading_of_a_sunday_belongs_to_the_week_that_ends_with_it(at: datetime) -> None:
    stage = Stage(subject=a_subject(told_to=SUNDAY))
    stage.brings([a_reading(at)])
    assert stage.named() == SUNDAYS[at]


def test_f14_a_reading_counts_where_it_was_measured_not_where_its_clock_put_it() -> None:
    """… for a clock that is wrong by more than a day is quarantined."""
    stage = Stage(subject=a_subject(told_to=SUNDAY))
    drifted = [one._replace(device_time=one.device_time - timedelta(hours=23)) for one in a_week()]
    stage.brings(drifted)
    (pressure,) = (one for one in stage.derived().values() if one["code"]["coding"][0]["code"] == "96607-7")
    assert pressure["component"][0]["valueQuantity"]["value"] == 130


def test_many_late_readings_of_a_batch_name_a_value_once_and_few_a_row() -> None:
    stage = Stage(subject=a_subject(told_to=SUNDAY))
    stage.brings([a_reading(datetime(2026, 10, day, hour, tzinfo=UTC)) for day in range(1, 31) for hour in range(8)])
    assert len(stage.named()) == len(set(stage.named()))
    sizes = [len(row.references) for row in stage.log.content[LANE].values() if row.references[0].type == "derived"]
    assert max(sizes) == 10


def test_a_correction_of_the_clock_touches_both_times() -> None:
    stage = Stage(subject=a_subject(told_to=SUNDAY))
    at = datetime(2026, 11, 15, 19, 59, tzinfo=UTC)  # a minute before Monday in Samara
    change = replace(stage.store(a_reading(at)), moments=(at, at + timedelta(minutes=2)))
    stage.collect([change])
    assert {"mean-pressure#2026-11-15", "mean-pressure#2026-11-22"} <= set(stage.named())


def test_p5_nothing_derived_leaves_after_consent_is_withdrawn() -> None:
    withdrawn = a_subject(consent=Consent(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)))
    stage = Stage(subject=withdrawn)
    stage.brings([*a_week(), a_reading(LATER)])
    assert stage.named() == []
    assert stage.registry.notes == []
    reference = Reference("derived", PK, "mean-pressure#2026-11-22")
    bundle = render([reference], registry=stage.registry, observations=stage.observations, alerts=FakeAlerts())
    assert bundle == {"resourceType": "Bundle", "type": "transaction"}


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (("blood-pressure",), ["mean-pressure"]),
        (("cgm",), ["glucose-statistics"]),
        (("*",), list(FORMS)),
    ],
    ids=["pressure", "sensor", "all"],
)
def test_an_endpoint_gets_what_is_derived_of_the_kinds_it_asked_for(kinds: tuple[str, ...], told: list[str]) -> None:
    stage = Stage(an_endpoint(kinds=kinds))
    stage.brings([a_reading(LATER)])
    assert stage.named() == [f"{kind}#2026-11-22" for kind in told]


def test_c32_a_lane_that_cannot_be_written_leaves_the_week_to_be_told_again() -> None:
    class Lost(FakeLog):
        def append(self, lane: Lane, *args: Any, **kwargs: Any) -> int:
            self.lanes[lane] = replace(self.progress(lane), next=self.progress(lane).next + 1)
            return super().append(lane, *args, **kwargs)

    stage = Stage()
    change = stage.store(a_reading(LATER))
    outcome = Collect(Lost(), FakeBell(), stage.registry, stage.registry, clock=lambda: LATER)([change])
    assert outcome.to_retry
    assert stage.registry.enrolled[0].told_to == date(2026, 11, 15)
    stage.collect([change])
    assert stage.named() == [f"{kind}#2026-11-22" for kind in FORMS]


def test_weeks_end_at_another_minute_for_each_subject_and_by_monday_for_all() -> None:
    monday = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)  # midnight in Samara
    subjects = [a_subject(id=f"S-{number}") for number in range(200)]
    shares = [
        sum(closed(one, monday + timedelta(hours=hours)) == SUNDAY for one in subjects) for hours in (0, 6, 12, 18, 24)
    ]
    assert shares[0] < 5
    assert shares[-1] == 200
    assert all(30 < later - earlier < 70 for earlier, later in pairwise(shares))


START = datetime(2026, 11, 2, tzinfo=UTC)
moments = st.integers(0, 21 * 24 * 4 - 1).map(lambda quarters: START + timedelta(minutes=15 * quarters))
arrivals = st.lists(
    st.builds(a_reading, moments, st.integers(110, 190)), min_size=1, max_size=40, unique_by=lambda one: one.id
)


@given(arrivals, st.data())
def test_f10_f15_whatever_arrives_when_the_hospital_ends_with_what_is_worked_out_from_scratch(
    readings: list[Observation], data: st.DataObject
) -> None:
    """In any order, in any batches, some of them twice, in the middle of weeks or long after."""
    stage = Stage(subject=a_subject(told_to=date(2026, 11, 1)))
    stage.now = datetime(2026, 11, 2, tzinfo=UTC)
    left = data.draw(st.permutations(readings))
    while left:
        stage.now += timedelta(hours=data.draw(st.integers(0, 100)))
        size = data.draw(st.integers(1, 10))
        batch, left = left[:size], left[size:]
        stage.brings(batch)
        if data.draw(st.booleans()):
            stage.collect([stage.change(one) for one in batch])
            stage.send()
    stage.now = max(stage.now, LATER)
    stage.brings([a_reading(stage.now)])
    last = closed(stage.registry.enrolled[0], stage.now)
    weeks = [date(2026, 11, 8) + n * WEEK for n in range((last - date(2026, 11, 8)) // WEEK + 1)]
    told = {date.fromisoformat(name.partition("#")[2]) for name in stage.named()}
    assert stage.derived() == rendered(stage, [one for one in weeks if one in told])
    held = {one.measured_at.astimezone(UTC).date() for one in readings}
    assert all(any(day <= week < day + 2 * WEEK for week in told) for day in held if day <= last)
