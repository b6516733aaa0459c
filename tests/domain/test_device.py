"""Whose reading it is, judged by when it was measured: set aside where that is not known, never guessed (P7)."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.device import Held, check_carrier, coincident, holder, possible_subjects
from domain.enrolment import Consent, Device, Subject
from domain.errors import (
    AmbiguousHolder,
    FutureTime,
    NoConsent,
    RejectedReading,
    RevokedGateway,
    TooOld,
    UnknownDevice,
    UnknownHolder,
    UntrustedClock,
)
from domain.profile import DeviceProfile
from domain.reading import Clock, Message, Status, read
from tests.builders import (
    NOW,
    SERIAL,
    SUBJECT,
    a_device,
    a_profile,
    a_reading,
    a_subject,
    an_assignment,
    as_holder,
    as_read,
)

OTHER = "S-0002"
KEPT_FOR = timedelta(days=400)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def held(
    *,
    device: Device | None = None,
    profile: DeviceProfile | None = None,
    thing: Device | None = None,
    thing_profile: DeviceProfile | None = None,
    subjects: tuple[Subject, ...] = (a_subject(), a_subject(id=OTHER)),
    clock: Clock | None = None,
    **said: Any,
) -> Held:
    """Who held the device (a tonometer of SUBJECT) at a reading that arrives at NOW."""
    device = device or a_device()
    reading = read(as_read(a_reading(**said)))
    thing = thing or device
    profile = profile or a_profile()
    thing_profile = thing_profile or profile
    known = set(possible_subjects(reading, device, thing, thing_profile, clock))
    return holder(
        reading,
        device=device,
        profile=profile,
        thing=thing,
        thing_profile=thing_profile,
        subjects={one.id: as_holder(one) for one in subjects if one.id in known},
        clock=clock,
        received_at=NOW,
        kept_for=KEPT_FOR,
    )


def at(moment: datetime) -> str:
    return moment.isoformat()


# who may carry it


def test_a_device_carries_its_own() -> None:
    device = a_device()
    assert check_carrier(device, device, NOW) == (device, device)


def test_a_device_with_a_gateway_is_carried_by_that_one() -> None:
    phone, device = a_device(serial="PHONE-1"), a_device(gateway="PHONE-1")
    assert check_carrier(phone, device, NOW) == (phone, device)


@pytest.mark.parametrize(
    ("gateway", "carriers"), [("PHONE-1", ["PHONE-1", "CLOUD-1"]), (None, [SERIAL, "CLOUD-1"])], ids=["phone", "itself"]
)
def test_c24_a_makers_cloud_carries_it_beside_whoever_else_does(gateway: str | None, carriers: list[str]) -> None:
    device = a_device(gateway=gateway, cloud="CLOUD-1")
    things = [a_device(serial=serial) for serial in (SERIAL, "PHONE-1", "CLOUD-1", "CLOUD-2")]
    found = []
    for thing in things:
        with suppress(UnknownDevice):
            found.append(check_carrier(thing, device, NOW)[0].serial)
    assert found == carriers


@pytest.mark.parametrize(
    ("thing", "device"),
    [
        (None, None),
        (None, a_device()),
        (a_device(serial="PHONE-1"), None),
        (a_device(serial="PHONE-1"), a_device()),
        (a_device(serial="PHONE-1"), a_device(gateway="PHONE-2")),
        (a_device(gateway="PHONE-1"), a_device(gateway="PHONE-1")),
    ],
    ids=["nobody", "publisher", "device", "not paired", "paired with another", "not by itself"],
)
def test_r9_a_device_is_carried_by_no_other(thing: Device | None, device: Device | None) -> None:
    with pytest.raises(UnknownDevice):
        check_carrier(thing, device, NOW)


def test_r14_nothing_that_arrives_after_a_gateway_was_revoked() -> None:
    gateway = a_device(revoked_at=NOW)
    check_carrier(gateway, gateway, NOW - MINUTE)
    with pytest.raises(RevokedGateway):
        check_carrier(gateway, gateway, NOW)


# who held it


def test_p7_f4_the_holder_is_who_held_it_when_it_was_measured() -> None:
    handed_over = NOW - DAY
    device = a_device(
        assignments=(an_assignment(to_at=handed_over), an_assignment(id="a-2", subject=OTHER, from_at=handed_over))
    )
    assert held(device=device, measured_at=at(handed_over - MINUTE)).subject.id == SUBJECT
    assert held(device=device, measured_at=at(handed_over)).subject.id == OTHER
    assert held(device=device, measured_at=at(NOW)).subject.id == OTHER


@pytest.mark.parametrize(
    "device",
    [
        a_device(assignments=()),
        a_device(assignments=(an_assignment(to_at=NOW - DAY),)),
        a_device(assignments=(an_assignment(from_at=NOW),)),
        a_device(assignments=(an_assignment(slot=1),)),
        a_device(assignments=(an_assignment(subject="S-ERASED"),)),
    ],
    ids=["never assigned", "given back", "not yet given", "another slot", "subject is gone"],
)
def test_nobody_held_it(device: Device) -> None:
    with pytest.raises(UnknownHolder):
        held(device=device, slot=2)


SHARED = a_device(
    profile="tonometer-shared",
    assignments=(an_assignment(slot=1), an_assignment(id="a-2", subject=OTHER, slot=2)),
)


@pytest.mark.parametrize(("slot", "subject"), [(1, SUBJECT), (2, OTHER)])
def test_c26_a_shared_device_is_told_apart_by_its_slot(slot: int, subject: str) -> None:
    assert held(device=SHARED, slot=slot).subject.id == subject


def test_c26_a_shared_device_that_does_not_say_who_is_set_aside() -> None:
    with pytest.raises(AmbiguousHolder):
        held(device=SHARED)


def test_c26_even_with_one_of_its_people_enrolled_a_guest_may_have_used_it() -> None:
    with pytest.raises(AmbiguousHolder):
        held(device=a_device(assignments=(an_assignment(slot=1),)))


def test_p7_f4_two_holders_of_one_device_are_ambiguous() -> None:
    device = a_device(assignments=(an_assignment(), an_assignment(id="a-2", subject=OTHER)))
    with pytest.raises(AmbiguousHolder):
        held(device=device)
    assert held(device=a_device(assignments=(an_assignment(), an_assignment(id="a-2")))).subject.id == SUBJECT


def test_a_whole_device_is_its_holders_whatever_the_slot() -> None:
    assert held(slot=1).subject.id == SUBJECT


POST = a_device(serial="POST-1", profile="health-post", roster=(OTHER, "S-GONE"), assignments=())
POST_PROFILE = a_profile(id="health-post", role="health-post")


def test_f16_a_health_post_names_a_subject_of_its_roster() -> None:
    assert held(device=POST, profile=POST_PROFILE, subject=OTHER).subject.id == OTHER
    cuff = a_device(gateway="POST-1")
    assert held(device=cuff, thing=POST, thing_profile=POST_PROFILE, subject=OTHER).subject.id == OTHER
    assert held(device=cuff, thing=POST, thing_profile=POST_PROFILE).subject.id == SUBJECT


@pytest.mark.parametrize("subject", [SUBJECT, "S-GONE", "S-NOBODY"])
def test_r9_a_health_post_names_nobody_else(subject: str) -> None:
    with pytest.raises(UnknownHolder):
        held(device=POST, profile=POST_PROFILE, subject=subject)


@given(st.sampled_from([OTHER, "S-NOBODY", SUBJECT]))
def test_r9_a_subject_in_the_payload_changes_nothing(subject: str) -> None:
    assert held(subject=subject) == held()
    assert held(subject=subject, device=a_device(roster=(subject,))) == held()


# when


@given(st.timedeltas(timedelta(days=-3650), timedelta(days=3650)))
def test_r7_a_clock_is_judged_in_the_contracts_order(skew: timedelta) -> None:
    measured_at = NOW + skew
    device = a_device(assignments=(an_assignment(from_at=LONG_AGO - 4000 * DAY),))
    subjects = (a_subject(consent=Consent(LONG_AGO - 4000 * DAY)),)
    expected: type[RejectedReading] | None = None
    if skew > timedelta(hours=24):
        expected = UntrustedClock
    elif skew > 5 * MINUTE:
        expected = FutureTime
    elif skew < -KEPT_FOR:
        expected = TooOld
    if expected is None:
        assert held(device=device, subjects=subjects, measured_at=at(measured_at)).device_time == measured_at
    else:
        with pytest.raises(expected):
            held(device=device, subjects=subjects, measured_at=at(measured_at))


@pytest.mark.parametrize(
    ("measured_at", "refused"),
    [
        ("1970-01-01T00:00:00Z", UntrustedClock),
        ("0001-01-01T00:00:00+14:00", UntrustedClock),
        ("9999-12-31T23:59:59-12:00", UntrustedClock),
        ("2000-01-01T00:00:00", UntrustedClock),
        ("2010-01-01T00:03:00+03:00", UntrustedClock),
        ("2026-11-23T09:00:01Z", UntrustedClock),
        ("2026-11-23T09:00:00Z", FutureTime),
        ("2026-11-22T09:05:01Z", FutureTime),
        ("2025-10-18T08:59:59Z", TooOld),
        ("2019-01-01T00:00:00Z", TooOld),
    ],
)
def test_r7_a_time_that_is_not_believed_comes_before_holder_and_consent(
    measured_at: str, refused: type[RejectedReading]
) -> None:
    for device in (a_device(), a_device(assignments=())):
        with pytest.raises(refused):
            held(device=device, subjects=(a_subject(consent=None),), measured_at=measured_at)


@pytest.mark.parametrize("measured_at", ["2026-11-22T09:05:00Z", "2026-11-22T13:05:00+04:00"])
def test_a_clock_that_is_a_little_ahead_is_believed(measured_at: str) -> None:
    assert held(measured_at=measured_at).subject.id == SUBJECT


def test_the_oldest_that_is_kept() -> None:
    device = a_device(assignments=(an_assignment(from_at=LONG_AGO),))
    oldest = NOW - KEPT_FOR
    assert (
        held(device=device, subjects=(a_subject(consent=Consent(LONG_AGO)),), measured_at=at(oldest)).device_time
        == oldest
    )


@pytest.mark.parametrize(
    ("zone", "of_profile", "expected"),
    [
        ("Europe/Samara", None, "2026-11-22T12:00:00+04:00"),
        ("Asia/Vladivostok", "Europe/Samara", "2026-11-22T12:00:00+04:00"),
        ("UTC", "Europe/Moscow", "2026-11-22T12:00:00+03:00"),
    ],
)
def test_c25_a_local_time_is_of_the_profiles_zone_or_else_the_subjects(
    zone: str, of_profile: str | None, expected: str
) -> None:
    one = held(
        profile=a_profile(time_zone=of_profile),
        subjects=(a_subject(time_zone=zone),),
        measured_at="2026-11-22T12:00:00",
    )
    assert one.device_time.isoformat() == expected


def test_c25_an_offset_that_was_given_is_kept_wherever_the_subject_lives() -> None:
    assert held(measured_at="2026-11-22T08:00:00+01:00").device_time.isoformat() == "2026-11-22T08:00:00+01:00"


def test_c25_a_local_time_is_attributed_in_the_zone_of_each_who_may_have_held_it() -> None:
    handed_over = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
    device = a_device(
        assignments=(an_assignment(to_at=handed_over), an_assignment(id="a-2", subject=OTHER, from_at=handed_over))
    )
    subjects = (a_subject(time_zone="Europe/Samara"), a_subject(id=OTHER, time_zone="Europe/Samara"))
    assert held(device=device, subjects=subjects, measured_at="2026-11-22T07:59:59").subject.id == SUBJECT
    assert held(device=device, subjects=subjects, measured_at="2026-11-22T08:00:00").subject.id == OTHER


@pytest.mark.parametrize(
    ("measured_at", "expected"),
    [("2026-10-25T02:30:00", "+02:00"), ("2026-03-29T02:30:00", "+01:00")],
    ids=["the hour that comes twice", "the hour that never was"],
)
def test_r7_the_hours_of_a_clock_change(measured_at: str, expected: str) -> None:
    device = a_device(assignments=(an_assignment(from_at=LONG_AGO),))
    subject = a_subject(time_zone="Europe/Berlin", consent=Consent(LONG_AGO))
    assert held(device=device, subjects=(subject,), measured_at=measured_at).device_time.isoformat().endswith(expected)


# a clock that is known to be wrong

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("wrong", [-40 * DAY, -3 * HOUR, 3 * MINUTE, 2 * HOUR, 23 * HOUR], ids=str)
def test_f14_a_wrong_clock_is_corrected_by_what_it_shows_now_and_both_times_are_kept(wrong: timedelta) -> None:
    one = held(clock=Clock(NOW + wrong, NOW), measured_at=at(NOW + wrong - MINUTE))
    assert (one.device_time, one.measured_at) == (NOW + wrong - MINUTE, NOW - MINUTE)


def test_f14_a_clock_without_a_zone_is_read_in_the_zone_of_its_times() -> None:
    clock = Clock(datetime(2026, 11, 22, 15, 0), NOW)  # noqa: DTZ001 - two hours fast in Samara, where it is 13:00
    one = held(clock=clock, measured_at="2026-11-22T14:58:00")
    assert one.measured_at.isoformat() == "2026-11-22T12:58:00+04:00"


@pytest.mark.parametrize("wrong", [timedelta(minutes=-2), timedelta(0), timedelta(minutes=2)], ids=str)
def test_the_time_that_a_message_takes_is_no_wrong_clock(wrong: timedelta) -> None:
    one = held(clock=Clock(NOW + wrong, NOW), measured_at=at(NOW - 5 * MINUTE))
    assert one.measured_at == one.device_time == NOW - 5 * MINUTE


@pytest.mark.parametrize(
    ("shown", "refused"),
    [(NOW + DAY + MINUTE, UntrustedClock), (datetime(2000, 1, 1, 0, 7, tzinfo=UTC), UntrustedClock)],
    ids=["more than a day ahead", "reset"],
)
def test_r7_no_correction_makes_a_clock_trusted_that_shows_any_date(
    shown: datetime, refused: type[RejectedReading]
) -> None:
    with pytest.raises(refused):
        held(clock=Clock(shown, NOW), measured_at=at(shown))


@pytest.mark.parametrize(
    ("ahead", "clock", "refused"),
    [
        (10 * MINUTE, None, FutureTime),
        (15 * MINUTE + timedelta(seconds=1), None, UntrustedClock),
        (2 * HOUR, Clock(NOW + 2 * HOUR, NOW), None),
        (2 * HOUR, Clock(NOW + HOUR, NOW), FutureTime),
    ],
    ids=["within its drift", "past its drift", "corrected", "ahead even when corrected"],
)
def test_r7_a_drift_past_the_profiles_limit_needs_a_coincident_clock(
    ahead: timedelta, clock: Clock | None, refused: type[RejectedReading] | None
) -> None:
    profile = a_profile(clock_drift="PT15M")
    if refused is None:
        assert held(profile=profile, clock=clock, measured_at=at(NOW + ahead)).measured_at == NOW
    else:
        with pytest.raises(refused):
            held(profile=profile, clock=clock, measured_at=at(NOW + ahead))


def test_c25_a_local_time_that_a_vendor_labels_utc_is_ahead_by_its_zone() -> None:
    with pytest.raises(FutureTime):
        held(measured_at="2026-11-22T12:59:00Z")  # 12:59 in Samara


HANDED_OVER = NOW - 2 * HOUR
TWO = a_device(
    assignments=(an_assignment(to_at=HANDED_OVER), an_assignment(id="a-2", subject=OTHER, from_at=HANDED_OVER))
)


def test_p7_the_holder_is_who_held_it_at_the_corrected_time() -> None:
    fast = Clock(NOW + 3 * HOUR, NOW)
    assert held(device=TWO, clock=fast, measured_at=at(NOW)).subject.id == SUBJECT
    slow = Clock(NOW - HOUR, NOW)
    assert held(device=TWO, clock=slow, measured_at=at(NOW - HOUR - MINUTE)).subject.id == OTHER


def test_p7_a_slow_clock_and_a_late_message_look_the_same_and_are_not_guessed_between_two_people() -> None:
    with pytest.raises(AmbiguousHolder):
        held(device=TWO, clock=Clock(NOW - 3 * HOUR, NOW), measured_at=at(NOW - 3 * HOUR))


@pytest.mark.parametrize(
    ("message_clock", "last", "measured_at", "expected"),
    [
        (True, True, NOW, "message"),
        (True, False, NOW, "message"),
        (False, True, NOW - DAY, "status"),
        (False, True, NOW - DAY - MINUTE, None),
        (False, False, NOW, None),
    ],
    ids=["both", "the message", "a day after the status", "later than that", "neither"],
)
def test_f14_the_coincident_clock(message_clock: bool, last: bool, measured_at: datetime, expected: str | None) -> None:
    clocks = {"message": Clock(NOW, NOW + HOUR), "status": Clock(NOW, NOW + 2 * HOUR), None: None}
    message = Message(None, (), {}, clock=clocks["message"] if message_clock else None)
    device = a_device(status=Status(NOW, clock=clocks["status"]) if last else None)
    assert coincident(message, device, read(as_read(a_reading(measured_at=at(measured_at))))) == clocks[expected]


def test_a_status_that_shows_local_time_says_nothing_of_times_with_an_offset() -> None:
    device = a_device(status=Status(NOW, clock=Clock(NOW.replace(tzinfo=None), NOW + HOUR)))
    reading = read(as_read(a_reading(measured_at=at(NOW))))
    assert coincident(Message(None, (), {}), device, reading) is None


# consent


def test_p5_f5_consent_covers_what_was_measured_from_then_on() -> None:
    given_at = NOW - DAY
    subjects = (a_subject(consent=Consent(given_at)),)
    assert held(subjects=subjects, measured_at=at(given_at)).subject.id == SUBJECT
    with pytest.raises(NoConsent):
        held(subjects=subjects, measured_at=at(given_at - MINUTE))


@pytest.mark.parametrize("consent", [None, Consent(LONG_AGO, withdrawn_at=NOW)], ids=["never given", "withdrawn"])
def test_r91_without_consent_in_force(consent: Consent | None) -> None:
    with pytest.raises(NoConsent):
        held(subjects=(a_subject(consent=consent),))


# who has to be known


def test_only_those_who_may_hold_it_are_looked_up() -> None:
    device = a_device(
        assignments=(
            an_assignment(to_at=NOW - 10 * DAY),
            an_assignment(id="a-2", subject=OTHER, from_at=NOW - 10 * DAY, slot=1),
            an_assignment(id="a-3", subject="S-0003", from_at=NOW - 10 * DAY, slot=2),
            an_assignment(id="a-4", subject="S-0004", from_at=NOW + 2 * DAY),
        )
    )
    assert list(possible_subjects(read(as_read(a_reading(slot=1))), device, device, a_profile(), None)) == [OTHER]
