"""`pma.gatt/1`: a Bluetooth characteristic as it came, put into the words of `pma.readings/1`."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.characteristics import DateTime, Quantity, Record, read_characteristic, service_of, short
from domain.codes import KINDS
from domain.errors import Malformed, UntrustedClock
from domain.reading import FORMAT as READINGS
from domain.reading import Arrival, GlucoseContext, Json, Message, Unreadable, parse_object, read_time, serial

FORMAT = "pma.gatt/1"

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")

_KINDS = {
    "2A35": "blood-pressure",
    "2A37": "heart-rate",
    "2A18": "glucose",
    "2AA7": "cgm",
    "2A9D": "weight",
    "2A5E": "oxygen-saturation",
    "2A5F": "oxygen-saturation",
    "2A1C": "temperature",
}
"""Whose values are the fields of the same names. 2A34 has none: it is circumstances."""

_USUAL = {"kg/L": ("mg/dL", 5), "mol/L": ("mmol/L", 3)}
"""Units of the standard in which nobody speaks: the usual one, and the power of ten to it."""

_CIRCUMSTANCES = {
    "contact": ("sensor-contact", 0),
    "sample-type": ("sample-type", 0),
    "sample-location": ("sample-location", 0),
    "site": ("site", 0),
    "carbohydrate": ("carbohydrate", 0),
    "carbohydrate-amount": ("carbohydrate-g", 3),
    "meal": ("meal", 0),
    "tester": ("tester", 0),
    "health": ("health", 0),
    "exercise-duration": ("exercise-s", 0),
    "exercise-intensity": ("exercise-percent", 0),
    "medication": ("medication", 0),
    "medication-mass": ("medication-mg", 6),
    "medication-volume": ("medication-ml", 3),
    "hba1c": ("hba1c-percent", 0),
}
"""Fields that are circumstances: their name as codes, and the power of ten from the field's unit to the name's."""

_NO_VALUE = frozenset(
    {"control-solution", "for-demonstration", "for-testing", "measurement-unavailable", "measurement-invalid"}
)
"""What a device says of a number that is no value of the person."""


def decode_gatt(arrival: Arrival) -> Message:
    """`{"format", "device", "received_at", "service": "1810", "characteristic": "2A35", "value": hex, "session_start"}`

    UUIDs are 16 bits or the whole. `received_at`, when the gateway took it, is needed where the characteristic has no
    time of its own; `session_start` by 2AA7. 2A34 gives no readings but `contexts`. A record whose time cannot be told
    or whose check or size does not fit is Unreadable. Raises UnknownFormat, TooLarge or Malformed naming the field.
    """
    message = parse_object(arrival.payload, FORMAT)
    device = serial(message)
    characteristic, service, value = (message.get(name) for name in ("characteristic", "service", "value"))
    if not isinstance(characteristic, str):
        raise Malformed("characteristic is not a UUID")
    expected = service_of(characteristic)
    if service is not None and (not isinstance(service, str) or short(service) != expected):
        raise Malformed("service is not that of the characteristic")
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise Malformed("value is not octets in hex")
    records = read_characteristic(characteristic, bytes.fromhex(value))
    envelope = {"format": READINGS, "device": device}
    kind = _KINDS.get(short(characteristic))
    if kind is None:
        contexts = tuple(GlucoseContext(one.fields["sequence"], _context(one.fields)) for one in records)
        return Message(device, (), envelope, contexts=contexts)
    readings = tuple(_reading(kind, one, message) for one in records)
    return Message(device, readings, envelope, alone=(arrival.payload,) * len(readings))


def _reading(kind: str, record: Record, message: Json) -> Json | Unreadable:
    fields = record.fields
    flags = [code for name, codes in fields.items() if name.endswith("status") for code in codes]
    octets = {"kind": kind, "octets": record.octets.hex()}
    if record.fault is not None:
        return Unreadable(octets, record.fault)
    if not fields.get("crc", True):
        return Unreadable(octets, Malformed("value does not fit its check"))
    try:
        measured_at = _measured_at(fields, flags, message)
    except UntrustedClock as refusal:
        return Unreadable(octets, refusal)
    context = _context(fields)
    why_none = next((code for code in (*flags, *context.values()) if code in _NO_VALUE), None)
    said: Json = {
        "kind": kind,
        "measured_at": measured_at,
        "values": _values(kind, fields, why_none),
        "flags": flags,
        "context": context,
    }
    if isinstance(fields.get("user"), int):
        said["slot"] = Decimal(fields["user"])
    if "sequence" in fields:
        said["record"] = Decimal(fields["sequence"])
    return said


def _values(kind: str, fields: Mapping[str, Any], why_none: str | None) -> Json:
    """What the kind has of the fields.

    A value that must be there and is none stands as the word for it: so it is refused when values are read, after the
    consent is known (P5). One that may be missing is left out.
    """
    values = {}
    for name, one in KINDS[kind].values.items():
        value, unit = fields.get(name, ("missing", ""))
        if isinstance(value, Decimal) and why_none is None:
            unit, power = _USUAL.get(unit, (unit, 0))
            values[name] = {"value": value.scaleb(power), "unit": unit}
        elif one.required and unit:
            values[name] = {"value": why_none or value, "unit": unit}
    return values


def _context(fields: Mapping[str, Any]) -> dict[str, str]:
    """The circumstances as codes; what is reserved, not known or no number is left out."""
    codes = {}
    for field, said in fields.items():
        name, power = _CIRCUMSTANCES.get(field, ("", 0))
        if not name:
            continue
        if isinstance(said, str):
            codes[name] = said
        elif isinstance(said, Quantity) and isinstance(said.value, Decimal) and said.value >= 0:
            codes[name] = f"{said.value.scaleb(power).normalize():f}"
    return codes


def _measured_at(fields: Mapping[str, Any], flags: list[str], message: Json) -> str:
    """By the device's clock, else by the session's start, else by the gateway's. Raises UntrustedClock or Malformed."""
    if "timestamp" in fields:
        if "clock-not-set" in flags or "time-fault" in flags:
            raise UntrustedClock("the device says that its time may be wrong")
        shown = _calendar(fields["timestamp"])
    elif "time-offset" in fields:
        shown = read_time(message.get("session_start"), "session_start")
    elif "from-storage" in flags:
        raise UntrustedClock("a stored measurement has no time")
    else:
        shown = read_time(message.get("received_at"), "received_at")
    offset = fields.get("time-offset", 0)
    if isinstance(offset, str):
        raise UntrustedClock("the time offset is more than can be told")
    try:
        return (shown + timedelta(minutes=offset)).isoformat()
    except OverflowError:
        raise UntrustedClock("the time is beyond the calendar") from None


def _calendar(shown: DateTime) -> datetime:
    try:
        return datetime(*shown)  # noqa: DTZ001 - a device's clock has no zone
    except ValueError:
        raise UntrustedClock("the device's time is no date and time of the calendar") from None
