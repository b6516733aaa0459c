"""A hand-over that was noted late, or is put right: stored as one person's, measured by another (P7, R77).

A nurse hands a cuff on on Monday and notes it on Wednesday. What the second person measured in between stands among
the first one's observations: it is entered in error there, and set aside as nobody's, so that it is judged again.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from domain.codes import KINDS
from domain.enrolment import Device
from domain.errors import UnknownHolder
from domain.judgement import set_aside, with_readings
from domain.observation import Observation
from domain.quarantine import SetAside
from domain.reading import FORMAT, Arrival, canonical_json, decode_readings

_FOR_EVER = datetime.max.replace(tzinfo=UTC)


class Shift(NamedTuple):
    """A subject lost a device, or gained it, from `from_at` (inclusive) to `to_at` (exclusive; None is open)."""

    subject: str
    from_at: datetime
    to_at: datetime | None


def shifts(before: Device, after: Device) -> Iterator[Shift]:
    """What a change of a device does to the time of those who held it before.

    Of an assignment that is gone it says nothing: its subject was erased, and nothing of it is set aside.
    """
    ends = {one.id: one.to_at for one in before.assignments}
    held_it = {one.subject for one in before.assignments}
    for one in after.assignments:
        was = ends.get(one.id, one.from_at)
        if one.subject in held_it and was != one.to_at:
            from_at, to_at = sorted((was or _FOR_EVER, one.to_at or _FOR_EVER))
            yield Shift(one.subject, from_at, None if to_at == _FOR_EVER else to_at)


def is_theirs(one: Observation, device: Device) -> bool:
    """Did its subject hold the device when it was measured, as the assignments stand now?

    What had arrived before a hand-over was measured before it, though the device's clock be a minute fast.
    """
    return any(
        held.subject == one.subject
        and held.may_be_of(one.slot)
        and (held.covers(one.measured_at) or held.covers(min(one.measured_at, one.received_at)))
        for held in device.assignments
    )


def as_nobodys(one: Observation, device: Device) -> SetAside:
    """An observation as the reading that it was made of, set aside until it is known who measured it.

    Judged again it gets the identity that it has, but for whose it is, and its times: its clock says what it showed
    when. It comes by the thing that brought it, or by one that may carry it now where that was replaced.
    """
    thing = one.thing if one.thing in device.carriers else device.carriers[0]
    payload = canonical_json(
        {
            "format": FORMAT,
            "device": one.device,
            "clock": {"device": one.device_time.isoformat(), "gateway": one.measured_at.isoformat()},
            "readings": [_in_our_words(one)],
        }
    )
    arrival = Arrival("", "", payload.encode(), f"dt/pma/{thing}/readings", thing, one.received_at)
    opened = with_readings(arrival, decode_readings(arrival))
    refusal = UnknownHolder("whoever was said to have held the device when it was measured did not")
    return replace(set_aside(opened, one.organisation, refusal, 0), profile=device.profile)


def _in_our_words(one: Observation) -> dict[str, Any]:
    types = KINDS[one.kind].values
    values = one.values or {name: Decimal(0) for name, of in types.items() if of.required}  # a fetal signal was lost
    said: dict[str, Any] = {
        "kind": one.kind,
        "measured_at": one.device_time.isoformat(),
        "values": {name: {"value": value, "unit": types[name].unit} for name, value in values.items()},
        "origin": one.origin,
        "flags": list(one.flags),
        "context": dict(one.context),
    }
    numbers = {"slot": one.slot, "record": one.record}
    return said | {name: Decimal(number) for name, number in numbers.items() if number is not None}
