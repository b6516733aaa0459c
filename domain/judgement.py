"""One message judged against what is enrolled: each of its readings becomes an observation or is refused.

In this order: may the publisher carry it, can its clock be believed, who held the device, do they consent; only then
are the values read (P5).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

from domain.device import check_carrier, holder, possible_subjects
from domain.enrolment import Device, Subject
from domain.errors import BadValue, NoConsent, RejectedReading
from domain.formats import decode
from domain.identity import Identity, deterministic_id, identify
from domain.observation import Observation
from domain.plausibility import canonical_values
from domain.profile import DeviceProfile
from domain.quarantine import NOBODY, SetAside
from domain.reading import MAX_BYTES, Arrival, Message, Reading, canonical_json, context, flags, origin, read


@dataclass(frozen=True, slots=True)
class Opened:
    """A message whose readings are known, but not whose they are.

    `message` is None where it could not be read at all; `refusal` then says why. `readings` are as they were sent, each
    with what could be read of it or why not.
    """

    arrival: Arrival
    message: Message | None = None
    refusal: RejectedReading | None = None
    readings: tuple[tuple[Any, Reading | RejectedReading], ...] = ()

    @property
    def thing(self) -> str:
        return self.arrival.thing

    @property
    def device(self) -> str:
        """The serial of what measured: the publisher itself where the message names none."""
        return (self.message and self.message.device) or self.arrival.thing


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What is enrolled of what a message names: None where nobody did."""

    organisation: str | None
    thing: Device | None
    device: Device | None
    subjects: Mapping[str, Subject] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a message. `archived` is it without what no consent covers, None where nothing is left."""

    organisation: str
    accepted: tuple[tuple[Identity, Observation], ...]
    refused: tuple[SetAside, ...]
    archived: Arrival | None


def open_message(arrival: Arrival, profiles: Mapping[str, DeviceProfile]) -> Opened:
    """Whatever can be read of `arrival`; raises nothing, whatever its bytes."""
    try:
        message = decode(arrival, profiles)
    except RejectedReading as refusal:
        return Opened(arrival, refusal=refusal)
    return Opened(arrival, message, readings=tuple(_read(said) for said in message.readings))


def _read(said: Any) -> tuple[Any, Reading | RejectedReading]:
    if isinstance(said, Unreadable):
        return said.said, said.refusal
    try:
        return said, read(said)
    except RejectedReading as refusal:
        return said, refusal


def subjects_to_know(opened: Opened, enrolled: Enrolled, profiles: Mapping[str, DeviceProfile]) -> Iterator[str]:
    """Everyone of whom a reading of the message may be."""
    if enrolled.thing is not None and enrolled.device is not None:
        for _, reading in opened.readings:
            if isinstance(reading, Reading):
                yield from possible_subjects(reading, enrolled.device, enrolled.thing, profiles[enrolled.thing.profile])


def judge(opened: Opened, enrolled: Enrolled, *, profiles: Mapping[str, DeviceProfile], kept_for: timedelta) -> Judged:
    """What becomes of each reading of a message. Observations are kept for `kept_for`: what is older is refused."""
    organisation = enrolled.organisation or NOBODY
    if opened.refusal is not None:
        return Judged(organisation, (), (_set_aside(opened, organisation, opened.refusal),), opened.arrival)
    accepted, refused, unread = [], [], []
    for said, reading in opened.readings:
        try:
            accepted.append(_observation(opened, enrolled, reading, profiles, kept_for))
        except NoConsent as refusal:
            refused.append(_set_aside(opened, organisation, refusal, said))
            unread.append(said)
        except RejectedReading as refusal:
            refused.append(_set_aside(opened, organisation, refusal, said))
    return Judged(organisation, tuple(accepted), tuple(refused), _without(opened, unread))


def _observation(
    opened: Opened,
    enrolled: Enrolled,
    reading: Reading | RejectedReading,
    profiles: Mapping[str, DeviceProfile],
    kept_for: timedelta,
) -> tuple[Identity, Observation]:
    if isinstance(reading, RejectedReading):
        raise reading
    arrival = opened.arrival
    thing, device = check_carrier(enrolled.thing, enrolled.device, arrival.received_at)
    profile = profiles[device.profile]
    held = holder(
        reading,
        device=device,
        profile=profile,
        thing=thing,
        thing_profile=profiles[thing.profile],
        subjects=enrolled.subjects,
        received_at=arrival.received_at,
        kept_for=kept_for,
    )
    measure = profile.measures.get(reading.kind)
    if measure is None:
        raise BadValue(f"a {profile.id} does not measure {reading.kind}")
    values = canonical_values(reading.kind, reading.said.get("values"), measure)
    identity = identify(
        organisation=device.organisation,
        subject=held.subject.id,
        device=device.serial,
        kind=reading.kind,
        slot=reading.slot,
        device_time=held.device_time,
        values=values,
        clock_resolution=profile.clock_resolution,
        resolution=measure.resolution,
    )
    return identity, Observation(
        id=identity.id,
        organisation=device.organisation,
        subject=held.subject.id,
        device=device.serial,
        thing=thing.serial,
        kind=reading.kind,
        values=values,
        measured_at=held.device_time,
        device_time=held.device_time,
        received_at=arrival.received_at,
        origin=origin(reading.said),
        # a device that its maker did not register for the purpose is none, whoever enrolled it (P2)
        device_class="auxiliary" if "auxiliary" in (device.device_class, profile.device_class) else "medical",
        slot=reading.slot,
        flags=flags(reading.said),
        context=context(reading.said),
        tags=frozenset({"late"} if arrival.received_at - held.device_time > measure.fresh_for else ()),
    )


def _set_aside(opened: Opened, organisation: str, refusal: RejectedReading, said: Any = None) -> SetAside:
    """`said` is the refused reading; without one the message is refused whole."""
    arrival = opened.arrival
    sent = canonical_json(said).encode() if opened.message else arrival.payload
    digest = sha256(sent).hexdigest()
    one = SetAside(
        id=deterministic_id(organisation, "quarantine", opened.thing, opened.device, digest),
        organisation=organisation,
        reason=refusal.reason,
        detail=refusal.detail,
        thing=opened.thing,
        device=opened.device if opened.message else None,
        topic=arrival.topic,
        received_at=arrival.received_at,
    )
    if isinstance(refusal, NoConsent):
        return replace(one, device_time=said["measured_at"], kind=said["kind"], sha256=digest)
    if opened.message is None or len(opened.readings) == 1:
        return replace(one, payload=arrival.payload[:MAX_BYTES])  # an item has its limit, a message may have none (R33)
    return replace(one, payload=opened.message.narrowed([said]))


def _without(opened: Opened, unread: list[Any]) -> Arrival | None:
    if not unread or opened.message is None:
        return opened.arrival
    rest = [said for said, _ in opened.readings if not any(said is one for one in unread)]
    return replace(opened.arrival, payload=opened.message.narrowed(rest)) if rest else None
