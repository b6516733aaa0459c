"""A hand-over that is noted late: whose time it changes, and that a reading set aside says all that it had said."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.catalogue import profiles
from domain.codes import KINDS
from domain.enrolment import Assignment, Device
from domain.handover import Shift, as_nobodys, is_theirs, shifts
from domain.judgement import Enrolled, Judged, judge, open_message, subjects_to_know
from domain.observation import Marks, marked
from domain.reading import Arrival
from domain.units import scales
from tests.builders import (
    NOW,
    ORGANISATION,
    SERIAL,
    SUBJECT,
    a_device,
    a_message,
    a_reading,
    a_subject,
    an_arrival,
    an_assignment,
    an_observation,
    as_holder,
)
from tests.proof import examples

PROFILES = profiles()
MONDAY, WEDNESDAY, FRIDAY = (datetime(2026, 11, day, 9, tzinfo=UTC) for day in (16, 18, 20))
FIRST = an_assignment(from_at=datetime(2026, 11, 1, tzinfo=UTC))
SECOND = an_assignment(id="a-2", subject="S-2", from_at=WEDNESDAY)
HOUR = timedelta(hours=1)


def until(to_at: datetime | None, one: Assignment = FIRST) -> Assignment:
    return one._replace(to_at=to_at)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([FIRST], [until(MONDAY)], [Shift(SUBJECT, MONDAY, None)]),
        ([until(WEDNESDAY)], [until(MONDAY)], [Shift(SUBJECT, MONDAY, WEDNESDAY)]),
        ([until(WEDNESDAY), SECOND], [until(MONDAY), SECOND], [Shift(SUBJECT, MONDAY, WEDNESDAY)]),
        ([until(MONDAY)], [until(WEDNESDAY)], [Shift(SUBJECT, MONDAY, WEDNESDAY)]),
        ([until(MONDAY)], [FIRST], [Shift(SUBJECT, MONDAY, None)]),
        ([until(MONDAY)], [until(MONDAY), SECOND], []),
        (
            [until(MONDAY)],
            [until(MONDAY), an_assignment(id="a-3", from_at=WEDNESDAY, to_at=FRIDAY)],
            [Shift(SUBJECT, WEDNESDAY, FRIDAY)],
        ),
        ([FIRST, SECOND], [SECOND], []),
        ([], [FIRST], []),
        ([FIRST], [FIRST], []),
    ],
    ids=[
        "C26 an open one is closed in the past",
        "C26 its end is moved to the past",
        "another's stays as it was",
        "an end that was wrong is moved back",
        "it never ended",
        "who never held it gains what was nobody's",
        "who held it before gains a time again",
        "R90 of who was erased nothing",
        "a first one",
        "nothing changed",
    ],
)
def test_r77_who_loses_time_or_gains_it_again(
    before: list[Assignment], after: list[Assignment], expected: list[Shift]
) -> None:
    one = a_device()
    found = list(shifts(one._replace(assignments=tuple(before)), one._replace(assignments=tuple(after))))
    assert found == expected


@pytest.mark.parametrize(
    ("held", "changes", "expected"),
    [
        (until(MONDAY), {"measured_at": MONDAY - HOUR}, True),
        (until(MONDAY), {"measured_at": MONDAY}, False),
        (FIRST, {"measured_at": MONDAY}, True),
        (FIRST._replace(subject="S-2"), {"measured_at": MONDAY}, False),
        (until(MONDAY), {"measured_at": MONDAY - HOUR, "device_time": MONDAY + HOUR}, True),
        (until(MONDAY), {"measured_at": MONDAY + HOUR, "device_time": MONDAY - HOUR}, False),
        (until(MONDAY), {"measured_at": MONDAY, "received_at": MONDAY - timedelta(seconds=30)}, True),
        (an_assignment(slot=1), {"slot": 1}, True),
        (an_assignment(slot=1), {"slot": 2}, False),
        (an_assignment(slot=None), {"slot": 2}, True),
    ],
    ids=[
        "before its end",
        "at its end",
        "without end",
        "another's",
        "F14 by its corrected time",
        "F14 not by what the device showed",
        "a clock that is fast: it had come before the hand-over",
        "C26 its own slot",
        "C26 another slot",
        "C26 the whole device",
    ],
)
def test_p7_whose_it_is_by_the_assignments_as_they_stand(
    held: Assignment, changes: dict[str, Any], expected: bool
) -> None:
    assert is_theirs(an_observation(**changes), a_device(assignments=(held,))) == expected


# what is set aside says all that it had said


def judged(arrival: Arrival, device: Device, subject: str) -> Judged:
    opened = open_message(arrival, PROFILES)
    enrolled = Enrolled(ORGANISATION, device, device)
    known = {subject: as_holder(a_subject(id=subject))}
    assert {*subjects_to_know(opened, enrolled, PROFILES)} <= {subject}
    return judge(opened, enrolled, known, profiles=PROFILES, kept_for=timedelta(days=400))


SENSORS = sorted((one.id, kind) for one in PROFILES.values() if one.role == "sensor" for kind in one.measures)
CODES = st.sampled_from(["movement", "cuff-loose", "morning", "left-arm", "a.b_c"])


@st.composite
def sent(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A message of one reading that a device of some model may send, with the model."""
    model, kind = draw(st.sampled_from(SENSORS))
    types = KINDS[kind].values
    values: dict[str, Any] = {}
    for name, of in types.items():
        if of.required or draw(st.booleans()):
            # one that every living person may show, as its own unit writes it
            middle = (of.low + of.high) / (3 if name == "diastolic" else 2)
            unit = draw(st.sampled_from([one for one, scale in scales(of.unit).items() if scale.offset == 0][:3]))
            scale = scales(of.unit)[unit]
            values[name] = {"value": float(middle * scale.denominator / scale.numerator), "unit": unit}
    if kind == "fetal-heart-rate" and draw(st.booleans()):
        values["rate"] = {"value": 0, "unit": "/min"}
    zone = timezone(timedelta(minutes=draw(st.integers(-840, 840))))
    wrong = draw(st.sampled_from([timedelta(), -90 * timedelta(minutes=1), timedelta(days=-400), HOUR]))
    true = NOW - draw(st.timedeltas(timedelta(), timedelta(days=20)))
    said = a_reading(
        kind=kind,
        measured_at=(true + wrong).astimezone(zone).isoformat(),
        values=values,
        slot=draw(st.none() | st.integers(0, 3)),
        record=draw(st.none() | st.integers(0, 2**32 - 1)),
        origin=draw(st.sampled_from(["device", "manual", "call"])),
        flags=draw(st.lists(CODES, max_size=3)),
        context=draw(st.dictionaries(CODES, CODES, max_size=3)),
    )
    return model, a_message(said, sent_at=(NOW + wrong).isoformat() if wrong else None)


@settings(max_examples=examples(150), deadline=None)
@given(sent())
def test_c26_f14_r77_it_becomes_the_same_of_who_held_it(one: tuple[str, dict[str, Any]]) -> None:
    model, message = one
    long_ago = datetime(2024, 1, 1, tzinfo=UTC)
    first, second = (
        a_device(profile=model, assignments=(an_assignment(subject=subject, from_at=long_ago),))
        for subject in (SUBJECT, "S-2")
    )
    ((identity, observation),) = judged(an_arrival(message), first, SUBJECT).accepted
    aside = as_nobodys(observation, first)
    assert (aside.reason, aside.thing, aside.device) == ("unknown-holder", SERIAL, SERIAL)
    assert (aside.profile, aside.subject, aside.received_at) == (model, None, NOW)

    assert aside.payload is not None
    again = an_arrival(aside.payload, topic=aside.topic)
    ((moved, theirs),) = judged(again, second, "S-2").accepted
    assert (theirs.subject, theirs.id) == ("S-2", moved.id)
    assert moved.taken_at == identity.taken_at
    assert theirs._replace(id=observation.id, subject=SUBJECT) == observation

    ((same, _),) = judged(again, first, SUBJECT).accepted
    assert same == identity
    (refused,) = judged(again, second._replace(assignments=()), "S-2").refused
    assert refused.id == aside.id, "still nobody's, it is the one that was set aside"


def test_f14_a_clock_told_later_and_its_circumstances_go_with_it() -> None:
    row = an_observation(context={"posture": "sitting"})
    later = Marks(2, measured_at=row.measured_at - HOUR, context={"meal": "fasting"})
    aside = as_nobodys(marked(row, later), a_device())
    assert aside.payload is not None
    second = a_device(assignments=(SECOND,))
    ((_, theirs),) = judged(an_arrival(aside.payload, topic=aside.topic), second, "S-2").accepted
    assert (theirs.device_time, theirs.measured_at) == (row.device_time, row.measured_at - HOUR)
    assert theirs.context == {"posture": "sitting", "meal": "fasting"}


@pytest.mark.parametrize(
    ("device", "thing"),
    [
        (a_device(gateway="PHONE-2"), "PHONE-2"),
        (a_device(gateway="PHONE-1"), "PHONE-1"),
        (a_device(gateway="PHONE-2", cloud="PHONE-1"), "PHONE-1"),
    ],
    ids=["its phone was replaced", "by its phone", "by its maker's cloud"],
)
def test_f4_it_comes_by_a_thing_that_may_carry_it_now(device: Device, thing: str) -> None:
    aside = as_nobodys(an_observation(thing="PHONE-1"), device)
    assert (aside.thing, aside.device, aside.topic) == (thing, SERIAL, f"dt/pma/{thing}/readings")


def test_its_values_are_written_with_the_digits_that_they_have() -> None:
    row = an_observation(kind="weight", values={"weight": Decimal("71.25")})
    assert b'"weight":{"unit":"kg","value":71.25}' in (as_nobodys(row, a_device()).payload or b"")
