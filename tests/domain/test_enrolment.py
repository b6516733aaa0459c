"""Assignments never overlap in a slot; a subject says what it lacks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.enrolment import Assignment, Consent, Holding, missing
from domain.errors import AssignmentOverlap, InvalidRequest, NotFound
from tests.builders import NOW, a_device, a_subject, an_assignment

START = datetime(2026, 11, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


DEVICE = a_device(assignments=())

assignments = st.builds(
    lambda subject, from_day, days, slot: Assignment(
        id=f"{subject}-{from_day}-{slot}",
        subject=subject,
        from_at=day(from_day),
        to_at=None if days is None else day(from_day + days),
        slot=slot,
    ),
    st.sampled_from(["S-1", "S-2"]),
    st.integers(0, 12),
    st.none() | st.integers(1, 6),
    st.sampled_from([None, 1, 2]),
)
acts = st.one_of(
    st.tuples(st.just("assign"), assignments),
    st.tuples(st.just("end"), st.tuples(st.integers(0, 9), st.integers(0, 20))),
)


@given(st.lists(acts, max_size=25))
def test_r85_whatever_is_asked_nobody_shares_a_slot_at_any_time(asked: list[tuple[str, object]]) -> None:
    device = DEVICE
    for act, what in asked:
        try:
            if isinstance(what, Assignment):
                device = device.assign(what)
                assert device.assign(what) is device, "asking twice is asking once"
            elif isinstance(what, tuple) and device.assignments:
                chosen = device.assignments[what[0] % len(device.assignments)]
                device = device.end_assignment(chosen.id, day(what[1]))
        except (AssignmentOverlap, InvalidRequest):
            continue
        assert act
    for number in range(40):
        held = [one for one in device.assignments if one.covers(day(number))]
        assert len(held) <= 1 or len({one.slot for one in held} - {None}) == len(held)
    open_slots = [one.slot for one in device.assignments if one.to_at is None]
    assert len(open_slots) == len(set(open_slots))


@pytest.mark.parametrize(
    ("second", "clash"),
    [
        ({"from_at": day(9)}, True),
        ({"from_at": day(10)}, False),
        ({"from_at": day(3), "to_at": day(5)}, False),
        ({"from_at": day(3), "to_at": day(6)}, True),
        ({"from_at": day(6), "to_at": day(7), "slot": 2}, False),
        ({"from_at": day(6), "to_at": day(7), "slot": None}, True),
    ],
    ids=["before its end", "from its end on", "up to its beginning", "into it", "another slot", "every slot"],
)
def test_an_assignment_clashes_only_where_both_could_claim_a_reading(second: dict[str, object], clash: bool) -> None:
    first = an_assignment(id="first", from_at=day(5), to_at=day(10), slot=1)
    facts: dict[str, object] = {"id": "second", "subject": "S-2", "slot": 1} | second
    other = an_assignment(**facts)
    assert first.clashes_with(other) is other.clashes_with(first) is clash


def test_r29_a_late_repeat_does_not_open_again_what_was_ended() -> None:
    asked = an_assignment(id="a", from_at=day(1), to_at=None)
    ended = DEVICE.assign(asked).end_assignment("a", day(4))
    assert ended.assign(asked) is ended


def test_the_same_assignment_with_another_end_is_no_repeat() -> None:
    device = DEVICE.assign(an_assignment(id="a", from_at=day(1), to_at=day(3)))
    with pytest.raises(AssignmentOverlap):
        device.assign(an_assignment(id="a", from_at=day(1), to_at=day(5)))


def test_an_end_may_be_corrected_but_not_into_the_next_holder() -> None:
    device = DEVICE.assign(an_assignment(id="a", from_at=day(1), to_at=day(3)))
    device = device.assign(an_assignment(id="b", subject="S-2", from_at=day(5)))
    assert device.end_assignment("a", day(5)).assignment("a").to_at == day(5)
    with pytest.raises(AssignmentOverlap):
        device.end_assignment("a", day(6))
    with pytest.raises(InvalidRequest):
        device.end_assignment("a", day(1))
    with pytest.raises(NotFound):
        device.end_assignment("c", day(9))


HOLDING = Holding("BP-00017", START, None, None)


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ({}, []),
        ({"subject": replace(a_subject(), consent=None)}, ["consent"]),
        ({"subject": replace(a_subject(), consent=Consent(START, NOW))}, ["consent"]),
        ({"contacts": False}, ["contacts"]),
        ({"holdings": []}, ["device"]),
        ({"holdings": [replace(HOLDING, to_at=NOW)]}, ["device"]),
        ({"holdings": [replace(HOLDING, from_at=NOW + timedelta(days=3))]}, []),
        ({"care_plan": False}, ["care-plan"]),
    ],
    ids=["nothing", "no consent", "withdrawn", "contacts", "device", "device ended", "device to come", "care plan"],
)
def test_a_subject_says_what_it_lacks(change: dict[str, object], lacks: list[str]) -> None:
    facts: dict[str, object] = {
        "subject": a_subject(),
        "holdings": [HOLDING],
        "care_plan": True,
        "contacts": True,
        "now": NOW,
    } | change
    assert missing(facts.pop("subject"), **facts) == lacks  # type: ignore[arg-type]


def test_consent_and_assignments_cover_from_their_beginning() -> None:
    consent = Consent(day(1))
    assert consent.covers(day(1))
    assert not consent.covers(day(0))
    assert not consent._replace(withdrawn_at=day(9)).covers(day(2))
    held = an_assignment(from_at=day(1), to_at=day(3))
    assert [held.covers(day(number)) for number in range(4)] == [False, True, True, False]


def test_r14_who_held_a_device_that_is_revoked_no_longer_does() -> None:
    past = an_assignment(id="past", from_at=NOW - timedelta(days=9), to_at=NOW - timedelta(days=8))
    present = an_assignment(id="present", from_at=NOW - timedelta(days=7))
    ends_later = an_assignment(id="later", from_at=NOW - timedelta(days=7), to_at=NOW + timedelta(days=1), slot=2)
    future = an_assignment(id="future", from_at=NOW + timedelta(days=2))
    device = a_device(assignments=(past, present, ends_later, future)).revoke(NOW)
    assert device.revoked_at == NOW
    assert [one.to_at for one in device.assignments] == [past.to_at, NOW, NOW, future.from_at]
    assert not any(one.covers(NOW + timedelta(days=days)) for one in device.assignments for days in range(9))
    assert device.revoke(NOW + timedelta(days=1)) is device
