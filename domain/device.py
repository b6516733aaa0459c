"""Whose reading it is: who may carry it, whether its clock can be believed, who held the device when it was measured.

A reading belongs to whoever held the device when it was *measured* (P7): what is not known is set aside, never guessed.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.enrolment import Assignment, Device, Holder
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
from domain.reading import ANY_DATE, CLOCK_TOLERANCE, Clock, Message, Reading

_FIRST_YEAR = 2011
"""A clock that lost its battery starts again in 1970, 2000 or 2010; no reading that is kept is that old."""

UNTRUSTED_AHEAD = timedelta(hours=24)
FUTURE_AHEAD = timedelta(minutes=5)
COINCIDENT = timedelta(days=1)
"""A status tells of the device's clock as it was set then: readings from about that time are corrected by it."""

_LAST_YEAR = 9000  # nearer the end of the calendar an offset has no place
_ANY_OFFSET = timedelta(days=1)  # more than any zone's from UTC


class Held(NamedTuple):
    """Who held the device when it measured. Both times are aware, with the offset that the device gave or that its zone
    had: `device_time` is what its clock showed, `measured_at` the same time corrected."""

    subject: Holder
    device_time: datetime
    measured_at: datetime


def check_carrier(thing: Device | None, device: Device | None, received_at: datetime) -> tuple[Device, Device]:
    """May `thing` carry readings of `device`? A device with a gateway is carried by none but that one, and by its
    maker's cloud where it is paired with one.

    Returns both, enrolled. Raises UnknownDevice or RevokedGateway.
    """
    if thing is None:
        raise UnknownDevice("nobody enrolled the publisher")
    if thing.revoked_at is not None and received_at >= thing.revoked_at:
        raise RevokedGateway("the publisher was revoked")
    if device is None:
        raise UnknownDevice("nobody enrolled the device")
    if thing.serial not in device.carriers:
        raise UnknownDevice("the device is not paired with the publisher")
    return thing, device


def possible_subjects(
    reading: Reading, device: Device, thing: Device, thing_profile: DeviceProfile, clock: Clock | None
) -> Iterator[str]:
    """Everyone of whom the reading may be, before any zone is known: whom `holder` has to know."""
    named = _named(reading, thing, thing_profile)
    if named is not None:
        yield named
        return
    if _FIRST_YEAR <= reading.device_time.year <= _LAST_YEAR:
        times = _times(reading, "UTC", clock)
        for one in device.assignments:
            if one.may_be_of(reading.slot) and (_reaches(one, times.device_time) or _reaches(one, times.measured_at)):
                yield one.subject


def coincident(message: Message, device: Device, reading: Reading) -> Clock | None:
    """What the clock that gave the reading its time showed at a moment that we know.

    The message's own word comes first, then the device's last status, for what was measured within a day of it.
    """
    if message.clock is not None:
        return message.clock
    last = device.status.clock if device.status is not None else None
    if last is None or (reading.device_time.tzinfo is None) != (last.device.tzinfo is None):
        return None
    return last if abs(reading.device_time - last.device) <= COINCIDENT else None


def holder(
    reading: Reading,
    *,
    device: Device,
    profile: DeviceProfile,
    thing: Device,
    thing_profile: DeviceProfile,
    subjects: Mapping[str, Holder],
    clock: Clock | None,
    received_at: datetime,
    kept_for: timedelta,
) -> Held:
    """Who held the device when it measured, and that they consent to it.

    Times are judged in the contract's order, before the holder and the consent. A time without an offset is local to
    the profile's zone or else to the subject's; where a coincident `clock` is known, it is corrected by it. A subject
    named in the payload counts only from a health post, and only of its own roster; elsewhere it is not even looked at
    (R9).

    Raises UntrustedClock, FutureTime, TooOld, UnknownHolder, AmbiguousHolder or NoConsent.
    """
    if not _FIRST_YEAR <= reading.device_time.year <= _LAST_YEAR:
        raise UntrustedClock("the device's clock shows a date that it was reset to")
    possible = list(_possible(reading, device, profile, _named(reading, thing, thing_profile), thing, subjects, clock))
    held = [one for one in possible if one.had_it(one.times.measured_at)]
    times = held[0].times if held else _times(reading, profile.time_zone or "UTC", clock)
    _check_clock(times, clock, profile, received_at, kept_for)
    if not held:
        raise UnknownHolder("nobody held the device when it was measured")
    subject = held[0].subject
    if any(one.subject.id != subject.id or (one.slotted and reading.slot is None) for one in held):
        raise AmbiguousHolder("more than one person may have held the device when it was measured")
    if times.measured_at > times.device_time and any(
        one.subject.id != subject.id and one.had_it(one.times.device_time) for one in possible
    ):  # a slow clock and a message that was long on its way look the same, and here they are of two people
        raise AmbiguousHolder("by the device's clock one person held it, by its correction another")
    if subject.consent is None or not subject.consent.covers(times.measured_at):
        raise NoConsent("no consent covers that time")
    return Held(subject, times.device_time, times.measured_at)


class _Times(NamedTuple):
    device_time: datetime
    measured_at: datetime


class _Possible(NamedTuple):
    """Somebody who may have held the device; without an assignment, whom a health post names."""

    subject: Holder
    times: _Times
    assignment: Assignment | None

    def had_it(self, at: datetime) -> bool:
        return self.assignment is None or self.assignment.covers(at)

    @property
    def slotted(self) -> bool:
        return self.assignment is not None and self.assignment.slot is not None


def _possible(
    reading: Reading,
    device: Device,
    profile: DeviceProfile,
    named: str | None,
    thing: Device,
    subjects: Mapping[str, Holder],
    clock: Clock | None,
) -> Iterator[_Possible]:
    if named is not None:
        if named in thing.roster and named in subjects:
            yield _Possible(
                subjects[named], _times(reading, profile.time_zone or subjects[named].time_zone, clock), None
            )
        return
    for one in device.assignments:
        if one.subject in subjects and one.may_be_of(reading.slot):
            subject = subjects[one.subject]
            yield _Possible(subject, _times(reading, profile.time_zone or subject.time_zone, clock), one)


def _named(reading: Reading, thing: Device, thing_profile: DeviceProfile) -> str | None:
    return reading.subject if thing_profile.role == "health-post" else None


def _reaches(one: Assignment, at: datetime) -> bool:
    return one.from_at - _ANY_OFFSET <= at and (one.to_at is None or at < one.to_at + _ANY_OFFSET)


def _check_clock(
    times: _Times, clock: Clock | None, profile: DeviceProfile, received_at: datetime, kept_for: timedelta
) -> None:
    shown_ahead, ahead = times.device_time - received_at, times.measured_at - received_at
    if shown_ahead > UNTRUSTED_AHEAD:
        raise UntrustedClock("measured more than a day from now")
    if clock is None and profile.clock_drift is not None and shown_ahead > profile.clock_drift:
        raise UntrustedClock("the device's clock is further ahead than its profile lets pass, and nothing corrects it")
    if ahead > FUTURE_AHEAD:
        raise FutureTime("measured more than five minutes from now")
    if -ahead > kept_for:
        raise TooOld(f"measured more than {kept_for.days} days ago")


def _times(reading: Reading, zone: str, clock: Clock | None) -> _Times:
    """The time that the device showed, and the same by a clock that is right."""
    shown = _local(reading.device_time, zone)
    if clock is None:
        return _Times(shown, shown)
    behind = clock.true - _local(clock.device, zone)
    # two that differ by less than a message takes show the same time; what shows any date tells nothing of another
    return _Times(shown, shown + behind if CLOCK_TOLERANCE < abs(behind) < ANY_DATE else shown)


def _local(given: datetime, zone: str) -> datetime:
    """`given` as it is if it has an offset, else what a clock of `zone` means by it (of two, the earlier)."""
    if given.tzinfo is not None:
        return given
    offset = given.replace(tzinfo=ZoneInfo(zone)).utcoffset()
    return given.replace(tzinfo=timezone(offset or timedelta()))
