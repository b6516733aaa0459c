"""One message judged against what is enrolled: each of its readings becomes an observation or is refused.

In this order: may the publisher carry it, can its clock be believed, who held the device, do they consent; only then
are the values read (P5).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import compress
from typing import Any, NamedTuple

from domain.device import Held, check_carrier, coincident, holder, possible_subjects
from domain.enrolment import DataKey, Device, Holder
from domain.errors import BadValue, NoConsent, RecalledDevice, RejectedReading
from domain.formats import decode
from domain.identity import Identity, deterministic_id, identify
from domain.observation import RECALLED, Observation
from domain.plausibility import canonical_values, near_the_mothers
from domain.profile import DeviceProfile
from domain.quarantine import NOBODY, SetAside
from domain.reading import (
    MAX_BYTES,
    Arrival,
    GlucoseContext,
    Message,
    Reading,
    Status,
    Unreadable,
    canonical_json,
    context,
    flags,
    origin,
    read,
)
from domain.recall import Recall

SIGNAL_LOSS = "signal-loss"
MATERNAL_CONFUSION = "maternal-confusion"

_AT_ONCE = timedelta(seconds=30)
_TAGS = ("late", RECALLED)
_NAMES = ("kind", "measured_at", "slot", "subject", "record")
"""What tells one reading from another without what it measured: a pressure can be guessed from its hash (P5)."""


class Opened(NamedTuple):
    """A message whose readings are known, but not whose they are.

    `device` is the serial of what measured: the publisher itself where the message names none. `message` is why not
    where it could not be read at all. `readings` are as they were sent, each with what could be read of it or why not.
    """

    arrival: Arrival
    thing: str
    device: str
    message: Message | RejectedReading
    readings: tuple[tuple[Any, Reading | RejectedReading], ...] = ()


class Enrolled(NamedTuple):
    """What is enrolled of what a message names: None where nobody did."""

    organisation: str | None
    thing: Device | None
    device: Device | None
    recalls: tuple[Recall, ...] = ()
    """All that are in force in the organisation."""


class Kept(NamedTuple):
    """Bytes for the archive: all that `arrival` says is of one person, whose `key` seals it. Without one nobody knows
    whose it is."""

    arrival: Arrival
    key: DataKey | None = None


class Judged(NamedTuple):
    """What became of a message. `archived` is it without what no consent covers, a part for each person (R90).

    `status` is what the device told of itself. `contexts` are circumstances that belong to measurements which came, or
    come, by themselves.
    """

    opened: Opened
    organisation: str
    accepted: tuple[tuple[Identity, Observation], ...] = ()
    refused: tuple[SetAside, ...] = ()
    archived: tuple[Kept, ...] = ()
    status: Status | None = None
    contexts: tuple[GlucoseContext, ...] = ()
    holders: tuple[str, ...] = ()
    """Whose measurements those may be: who holds the device or held it, the last first."""


def open_message(arrival: Arrival, profiles: Mapping[str, DeviceProfile]) -> Opened:
    """Whatever can be read of `arrival`; raises nothing, whatever its bytes."""
    try:
        message = decode(arrival, profiles)
    except RejectedReading as refusal:
        return Opened(arrival, arrival.thing, arrival.thing, refusal)
    return with_readings(arrival, message)


def with_readings(arrival: Arrival, message: Message) -> Opened:
    """A message that could be read, with whatever can be read of each of its readings."""
    thing = arrival.thing
    return Opened(arrival, thing, message.device or thing, message, tuple([_read(said) for said in message.readings]))


def _read(said: Any) -> tuple[Any, Reading | RejectedReading]:
    if isinstance(said, Unreadable):
        return said.said, said.refusal
    try:
        return said, read(said)
    except RejectedReading as refusal:
        return said, refusal


def subjects_to_know(opened: Opened, enrolled: Enrolled, profiles: Mapping[str, DeviceProfile]) -> Iterator[str]:
    """Everyone of whom a reading of the message may be."""
    message, thing, device = opened.message, enrolled.thing, enrolled.device
    if isinstance(message, Message) and thing is not None and device is not None:
        for _, reading in opened.readings:
            if isinstance(reading, Reading):
                clock = coincident(message, device, reading)
                yield from possible_subjects(reading, device, thing, profiles[thing.profile], clock)
        if message.contexts:
            yield from (one.subject for one in device.assignments)


def judge(
    opened: Opened,
    enrolled: Enrolled,
    holders: Mapping[str, Holder],
    *,
    profiles: Mapping[str, DeviceProfile],
    kept_for: timedelta,
) -> Judged:
    """What becomes of each reading of a message. `holders` are those of `subjects_to_know` that are enrolled.

    Observations are kept for `kept_for`: what is older is refused.
    """
    judged = _judged(opened, enrolled, holders, profiles, kept_for)
    if not judged.refused or enrolled.device is None:
        return judged
    model = enrolled.device.profile
    return judged._replace(refused=tuple(replace(one, profile=model) for one in judged.refused))


def _judged(
    opened: Opened,
    enrolled: Enrolled,
    holders: Mapping[str, Holder],
    profiles: Mapping[str, DeviceProfile],
    kept_for: timedelta,
) -> Judged:
    organisation = enrolled.organisation or NOBODY
    message = opened.message
    if isinstance(message, RejectedReading):
        return _refused(opened, organisation, message)
    if message.status is not None or message.contexts:
        try:
            _, device = check_carrier(enrolled.thing, enrolled.device, opened.arrival.received_at)
        except RejectedReading as refusal:
            return _refused(opened, organisation, refusal)
        latest = sorted(device.assignments, key=lambda one: one.from_at, reverse=True)
        return Judged(
            opened,
            organisation,
            archived=tuple(_beside(opened.arrival, message, device, holders)),
            status=message.status,
            contexts=message.contexts,
            holders=tuple(dict.fromkeys(one.subject for one in latest)),
        )
    accepted, refusals = [], []
    whose: list[Holder | None] = []
    for number, (_, reading) in enumerate(opened.readings):
        held: Held | None = None
        try:
            thing, device, held, read_ = _held(opened.arrival, message, enrolled, holders, reading, profiles, kept_for)
            accepted.append(_observation(opened.arrival, enrolled, thing, device, held, read_, profiles))
        except RejectedReading as refusal:
            refusals.append((number, refusal, held.subject.id if held else None))
        whose.append(held.subject if held else None)
    unread = {number for number, refusal, _ in refusals if isinstance(refusal, NoConsent)}
    return Judged(
        opened,
        organisation,
        tuple(_with_confusion_flagged(accepted)),
        tuple(
            [
                replace(set_aside(opened, organisation, refusal, number, partly=bool(unread)), subject=subject)
                for number, refusal, subject in refusals
            ]
        ),
        _parts(opened, message, whose, unread),
    )


def orphan(judged: Judged) -> Judged:
    """The circumstances in a message, refused: the measurement that they belong to is not known."""
    return _refused(judged.opened, judged.organisation, BadValue("no measurement with that sequence number is known"))


def _refused(opened: Opened, organisation: str, refusal: RejectedReading) -> Judged:
    return Judged(
        opened, organisation, refused=(set_aside(opened, organisation, refusal),), archived=(Kept(opened.arrival),)
    )


def _held(
    arrival: Arrival,
    message: Message,
    enrolled: Enrolled,
    holders: Mapping[str, Holder],
    reading: Reading | RejectedReading,
    profiles: Mapping[str, DeviceProfile],
    kept_for: timedelta,
) -> tuple[Device, Device, Held, Reading]:
    """Who carried the reading, what measured it, and whose it is."""
    if isinstance(reading, RejectedReading):
        raise reading
    thing, device = check_carrier(enrolled.thing, enrolled.device, arrival.received_at)
    held = holder(
        reading,
        device=device,
        profile=profiles[device.profile],
        thing=thing,
        thing_profile=profiles[thing.profile],
        subjects=holders,
        clock=coincident(message, device, reading),
        received_at=arrival.received_at,
        kept_for=kept_for,
    )
    return thing, device, held, reading


def _observation(
    arrival: Arrival,
    enrolled: Enrolled,
    thing: Device,
    device: Device,
    held: Held,
    reading: Reading,
    profiles: Mapping[str, DeviceProfile],
) -> tuple[Identity, Observation]:
    profile = profiles[device.profile]
    measure = profile.measures.get(reading.kind)
    if measure is None:
        raise BadValue(f"a {profile.id} does not measure {reading.kind}")
    recalled = {one.id: one.mode for one in enrolled.recalls if one.covers(device)}
    if "block" in recalled.values():
        raise RecalledDevice("its model, lot or serial is blocked")
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
        record=reading.record if profile.records else None,
    )
    noted = flags(reading.said)
    return identity, Observation(
        id=identity.id,
        organisation=device.organisation,
        subject=held.subject.id,
        device=device.serial,
        thing=thing.serial,
        kind=reading.kind,
        values=values,
        measured_at=held.measured_at,
        device_time=held.device_time,
        received_at=arrival.received_at,
        origin=origin(reading.said),
        # a device that its maker did not register for the purpose is none, whoever enrolled it (P2)
        device_class="auxiliary" if "auxiliary" in (device.device_class, profile.device_class) else "medical",
        slot=reading.slot,
        flags=noted if values or SIGNAL_LOSS in noted else (*noted, SIGNAL_LOSS),
        context=context(reading.said),
        tags=frozenset(compress(_TAGS, (arrival.received_at - held.measured_at > measure.fresh_for, recalled))),
        recalls=frozenset(recalled),
        record=reading.record,
    )


def _with_confusion_flagged(accepted: list[tuple[Identity, Observation]]) -> list[tuple[Identity, Observation]]:
    """A fetal rate beside a pulse of the mother that is the same may be the mother's (F17)."""
    if len(accepted) < 2:
        return accepted
    pulses = [
        (one.subject, one.measured_at, pulse)
        for _, one in accepted
        for pulse in (one.values.get("pulse"), one.values.get("rate") if one.kind == "heart-rate" else None)
        if pulse is not None
    ]
    return [
        (identity, one._replace(flags=(*one.flags, MATERNAL_CONFUSION)))
        if pulses and one.kind == "fetal-heart-rate" and any(_is_hers(one, *pulse) for pulse in pulses)
        else (identity, one)
        for identity, one in accepted
    ]


def _is_hers(one: Observation, subject: str, at: datetime, pulse: Decimal) -> bool:
    near = abs(one.measured_at - at) <= _AT_ONCE
    return near and subject == one.subject and bool(one.values) and near_the_mothers(one.values["rate"], pulse)


def set_aside(
    opened: Opened, organisation: str, refusal: RejectedReading, number: int | None = None, *, partly: bool = False
) -> SetAside:
    """The refused reading of that `number`; without one the message is refused whole.

    `partly`: a neighbour in the message has no consent, so that the message itself cannot be kept.
    """
    arrival, message = opened.arrival, opened.message
    said: Any = None if number is None else opened.readings[number][0]
    if isinstance(refusal, NoConsent):
        said = {name: said[name] for name in _NAMES if name in said}
    sent = arrival.payload if number is None else canonical_json(said).encode()
    digest = sha256(sent).hexdigest()
    one = SetAside(
        id=deterministic_id(organisation, "quarantine", opened.thing, opened.device, digest),
        organisation=organisation,
        reason=refusal.reason,
        detail=refusal.detail,
        thing=opened.thing,
        device=opened.device if isinstance(message, Message) else None,
        topic=arrival.topic,
        received_at=arrival.received_at,
    )
    if isinstance(refusal, NoConsent):
        return replace(one, device_time=said["measured_at"], kind=said["kind"], sha256=digest)
    if isinstance(message, RejectedReading) or number is None or len(opened.readings) == 1:
        return replace(one, payload=arrival.payload[:MAX_BYTES])  # an item has its limit, a message may have none (R33)
    if message.alone is not None and not partly:
        return replace(one, payload=message.alone[number])
    return replace(one, payload=message.narrowed([said]), topic=_readings_topic(arrival))


def _parts(opened: Opened, message: Message, whose: list[Holder | None], unread: Collection[int]) -> tuple[Kept, ...]:
    """A message of one person stands as it came, with what in it nobody is known for; one of several is taken apart,
    and what was not in our words is put into them."""
    persons = {one.id: one.data_key for one in whose if one is not None}
    if len(persons) <= 1 and not unread:
        return (Kept(opened.arrival, next(iter(persons.values()), None)),)
    numbers: dict[str | None, list[int]] = {}
    for number, subject in enumerate(whose):
        if number not in unread:
            numbers.setdefault(None if subject is None else subject.id, []).append(number)
    return tuple(
        Kept(_only(opened, message, some), None if name is None else persons[name]) for name, some in numbers.items()
    )


def _only(opened: Opened, message: Message, numbers: Iterable[int]) -> Arrival:
    """The message with those readings alone; those of another format than ours are put into our words."""
    arrival = opened.arrival
    narrowed = message.narrowed([opened.readings[number][0] for number in numbers])
    return arrival._replace(payload=narrowed, topic=_readings_topic(arrival))


def _beside(arrival: Arrival, message: Message, device: Device, holders: Mapping[str, Holder]) -> Iterator[Kept]:
    """A status is of the device. Circumstances are of whoever held it: of the one who ever did, or of nobody known."""
    held = {one.subject for one in device.assignments}
    only = holders.get(next(iter(held))) if message.contexts and len(held) == 1 else None
    if only is None:
        yield Kept(arrival)
    elif only.consent is not None and only.consent.withdrawn_at is None:
        yield Kept(arrival, only.data_key)


def _readings_topic(arrival: Arrival) -> str:
    return "/".join((*arrival.topic.split("/")[:3], "readings"))
