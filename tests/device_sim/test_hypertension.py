"""The hypertension cohort: like the published one, the same for the same seed, and well judged by default."""

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from bench.cohort import Outcome, run
from device_sim.hypertension import Person, cohort

START = datetime(2026, 6, 1, tzinfo=ZoneInfo("Europe/Samara"))
PEOPLE = 100


@pytest.fixture(scope="module")
def everybody() -> list[Person]:
    return list(cohort(PEOPLE, days=60, seed=7, start=START, crises=25))


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return run(7, people=PEOPLE)


def test_f23_the_same_seed_is_the_same_cohort(everybody: list[Person]) -> None:
    assert everybody == list(cohort(PEOPLE, days=60, seed=7, start=START, crises=25))
    assert everybody != list(cohort(PEOPLE, days=60, seed=8, start=START, crises=25))


def test_people_sit_down_in_order_and_within_their_stay(everybody: list[Person]) -> None:
    for person in everybody:
        times = [one.at for sitting in person.sittings for one in sitting.shown]
        assert all(earlier < later for earlier, later in pairwise(times))
        assert START <= times[0] < times[-1] < START + timedelta(days=60)


def test_a_crisis_is_all_that_reaches_180_but_for_artefacts(everybody: list[Person]) -> None:
    for person in everybody:
        for sitting in person.sittings:
            in_crisis = person.crisis is not None and person.crisis.covers(sitting.shown[0].at)
            for one in sitting.shown:
                if one.systolic >= 180 and not one.artefact:
                    assert in_crisis


def test_a_crisis_comes_unseen_and_is_measured_while_it_lasts(everybody: list[Person]) -> None:
    struck = [person for person in everybody if person.crisis is not None]
    assert len(struck) == 25
    for person in struck:
        crisis = person.crisis
        assert crisis is not None
        times = [one.at for sitting in person.sittings for one in sitting.shown]
        assert sum(crisis.covers(at) for at in times) >= 4
        assert not any(crisis.start - timedelta(hours=12) <= at < crisis.start for at in times)


def test_the_cohort_is_like_the_published_one(outcome: Outcome) -> None:
    assert outcome.unlike(people=PEOPLE) == []


def test_f7_the_default_programme_misses_no_crisis_and_seldom_needs_a_human(outcome: Outcome) -> None:
    assert outcome.failed() == []
    assert outcome.load.alerts > outcome.load.needing_a_human > outcome.crises


def test_a_run_that_misses_or_is_too_loud_says_so(outcome: Outcome) -> None:
    outcome = Outcome(**vars(outcome) | {"missed": 1, "spread": 20.0})
    assert outcome.failed() == ["of every planted crisis both are told while it lasts"]
    assert outcome.unlike(people=PEOPLE) == ["the SD within a person is 9 to 12 mm[Hg]"]
