"""Whose reading it is: who may carry it, whether its clock can be believed, who held the device when it was measured.

A reading belongs to whoever held the device when it was *measured* (P7): what is not known is set aside, never guessed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from domain.enrolment import Assignment, Device, Subject
from domain.errors import (
    AmbiguousHolder,
    FutureTime,
    NoConsent,
    RevokedGateway,
    TooOld,
    UnknownDevice,
    UnknownHolder,
    UntrustedClock,
)
from domain.profile import DeviceProfile
from domain.reading import Reading

RESET_BEFORE = 2011
"""A clock that lost its battery starts again in 1970, 2000 or 2010; no reading that is kept is that old."""

UNTRUSTED_AHEAD = timedelta(hours=24)
FUTURE_AHEAD = timedelta(minutes=5)

_LAST_YEAR = 9000  # nearer the end of the calendar an offset has no place
_ANY_OFFSET = timedelta(days=1)  # more than any zone's from UTC


@dataclass(frozen=True, slots=True)
class Held:
    """Who held the device at the device's time, aware, with the offset that it gave or that its zone had."""

    subject: Subject
    device_time: datetime
    one_of_several: bool = False


def check_carrier(thing: Device | None, device: Device | None, received_at: datetime) -> tuple[Device, Device]:
    """May `thing` carry readings of `device`? A device with a gateway is carried by none but that one.

    Returns both, enrolled. Raises UnknownDevice or RevokedGateway.
    """
    if thing is None:
        raise UnknownDevice("nobody enrolled the publisher")
    if thing.revoked_at is not None and received_at >= thing.revoked_at:
        raise RevokedGateway("the publisher was revoked")
    if device is None:
        raise UnknownDevice("nobody enrolled the device")
    if thing.serial != (device.gateway or device.serial):
        raise UnknownDevice("the device is not paired with the publisher")
    return thing, device


def possible_subjects(reading: Reading, device: Device, thing: Device, thing_profile: DeviceProfile) -> Iterator[str]:
    """Everyone of whom the reading may be, before any zone is known: whom `holder` has to know."""
    named = _named(reading, thing, thing_profile)
    if named is not None:
        yield named
        return
    for one in device.assignments:
        if _in_slot(one, reading) and _reaches(one, reading.device_time):
            yield one.subject


def holder(
    reading: Reading,
    *,
    device: Device,
    profile: DeviceProfile,
    thing: Device,
    thing_profile: DeviceProfile,
    subjects: Mapping[str, Subject],
    received_at: datetime,
    kept_for: timedelta,
) -> Held:
    """Who held the device when it measured, and that they consent to it.

    Times are judged in the contract's order, before the holder and the consent. A time without an offset is local to
    the profile's zone or else to the subject's. A subject named in the payload counts only from a health post, and
    only of its own roster; elsewhere it is not even looked at (R9).

    Raises UntrustedClock, FutureTime, TooOld, UnknownHolder, AmbiguousHolder or NoConsent.
    """
    if not RESET_BEFORE <= reading.device_time.year <= _LAST_YEAR:
        raise UntrustedClock("the device's clock shows a date that it was reset to")
    named = _named(reading, thing, thing_profile)
    if named is None:
        held = list(_assigned(reading, device, profile, subjects))
    elif named in thing.roster and named in subjects:
        held = [Held(subjects[named], _local(reading.device_time, profile.time_zone or subjects[named].time_zone))]
    else:
        held = []
    _check_clock(held[0].device_time if held else _local(reading.device_time, "UTC"), received_at, kept_for)
    if not held:
        raise UnknownHolder("nobody held the device when it was measured")
    if len({one.subject.id for one in held}) > 1 or (reading.slot is None and any(one.one_of_several for one in held)):
        raise AmbiguousHolder("more than one person may have held the device when it was measured")
    consent = held[0].subject.consent
    if consent is None or not consent.covers(held[0].device_time):
        raise NoConsent("no consent covers that time")
    return held[0]


def _assigned(
    reading: Reading, device: Device, profile: DeviceProfile, subjects: Mapping[str, Subject]
) -> Iterator[Held]:
    for one in device.assignments:
        if one.subject in subjects and _in_slot(one, reading):
            subject = subjects[one.subject]
            at = _local(reading.device_time, profile.time_zone or subject.time_zone)
            if one.covers(at):
                yield Held(subject, at, one_of_several=one.slot is not None)


def _named(reading: Reading, thing: Device, thing_profile: DeviceProfile) -> str | None:
    return reading.subject if thing_profile.role == "health-post" else None


def _in_slot(one: Assignment, reading: Reading) -> bool:
    """An assignment of the whole device is of each of its slots; a reading of no slot may be anybody's."""
    return one.slot is None or reading.slot is None or one.slot == reading.slot


def _reaches(one: Assignment, given: datetime) -> bool:
    at = given if given.tzinfo else given.replace(tzinfo=UTC)
    return one.from_at - _ANY_OFFSET <= at and (one.to_at is None or at < one.to_at + _ANY_OFFSET)


def _check_clock(at: datetime, received_at: datetime, kept_for: timedelta) -> None:
    ahead = at - received_at
    if ahead > UNTRUSTED_AHEAD:
        raise UntrustedClock("measured more than a day from now")
    if ahead > FUTURE_AHEAD:
        raise FutureTime("measured more than five minutes from now")
    if -ahead > kept_for:
        raise TooOld(f"measured more than {kept_for.days} days ago")


def _local(given: datetime, zone: str) -> datetime:
    """`given` as it is if it has an offset, else what a clock of `zone` means by it (of two, the earlier)."""
    if given.tzinfo is not None:
        return given
    offset = given.replace(tzinfo=ZoneInfo(zone)).utcoffset()
    return given.replace(tzinfo=timezone(offset or timedelta()))
