"""What a device said, in the words of `pma.readings/1`, read strictly. Nothing is looked up and no value is judged.

A message that cannot be read is refused whole; a reading that cannot be read is refused alone. The other formats
(`domain.formats`) are put into the same words.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, NoReturn, TypeAlias

from domain.codes import KINDS
from domain.errors import Malformed, RejectedReading, TooLarge, UnknownFormat

Json: TypeAlias = dict[str, Any]
"""A JSON object: every number is a Decimal."""

FORMAT = "pma.readings/1"
MAX_BYTES = 128 * 1024
MAX_READINGS = 500
CLOCK_TOLERANCE = timedelta(minutes=2)
"""Between sending and arrival this much may pass; two clocks that are further apart do not show the same time."""

ANY_DATE = timedelta(days=3653)
"""A clock that is further off than this shows any date, and tells nothing of another."""

_MAX_DEPTH = 32
_MAX_SLOT = 255
_MAX_RECORD = 2**32 - 1
_MAX_CODES = 32  # an oximeter has 28 bits of status

_SPACES = " \t\n\r"
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:-]{1,63}")
TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,63}")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


class Arrival(NamedTuple):
    """A message as the broker handed it on. `id` is the queue's; `received_at` is when the broker took it.

    `replay` is `(organisation, id)` of the quarantined reading that is tried again by it.
    """

    id: str
    body: str
    payload: bytes
    topic: str
    client: str
    received_at: datetime
    replay: tuple[str, str] | None = None

    @property
    def thing(self) -> str:
        """The publisher's own name: the policy lets it publish under no other."""
        return self._level(2) or "-"

    @property
    def format(self) -> str:
        """What its topic says the payload is."""
        return self._level(3)

    @property
    def profile(self) -> str:
        """The profile that its topic names, below `vendor`."""
        return self._level(4)

    def _level(self, number: int) -> str:
        levels = self.topic.split("/")
        return levels[number] if len(levels) > number else ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that could be told apart from its neighbours but not be read: it is refused alone.

    `said` is what there is of it.
    """

    said: Json
    refusal: RejectedReading


class Clock(NamedTuple):
    """Two clocks read at one moment. `device` may have no zone: then it is local, as the device's times are."""

    device: datetime
    true: datetime


@dataclass(frozen=True, slots=True)
class GlucoseContext:
    """The circumstances of the glucose measurement with that record number, as codes."""

    sequence: int
    context: dict[str, str]


@dataclass(frozen=True, slots=True)
class Status:
    """How a device said, at `told_at`, that it is: battery in percent, firmware, its clock beside one that is right."""

    told_at: datetime
    battery: Decimal | None = None
    firmware: str | None = None
    clock: Clock | None = None


class Message(NamedTuple):
    """A message that could be read, of any format.

    `device` is None where the thing itself measured. `readings` are in the words of `pma.readings/1`, or Unreadable.
    `envelope` is all of such a message but its readings. `alone` is, for the other formats, the payload that says each
    reading again. `clock` is what the clock that gave the readings their times showed at a moment that we know.
    """

    device: str | None
    readings: tuple[Any, ...]
    envelope: Json
    clock: Clock | None = None
    alone: tuple[bytes, ...] | None = None
    contexts: tuple[GlucoseContext, ...] = ()
    status: Status | None = None

    def narrowed(self, readings: list[Any]) -> bytes:
        """The message with these readings only, in our words."""
        return canonical_json({**self.envelope, "readings": readings}).encode()


class Reading(NamedTuple):
    """Who, when and what of one reading; its values are not read before it is known that they may be.

    `device_time` has no zone where the device gave none. `record` is the device's own number of the reading. `said` is
    the reading as it was sent.
    """

    kind: str
    device_time: datetime
    slot: int | None
    subject: str | None
    said: Json
    record: int | None = None


def decode_readings(arrival: Arrival) -> Message:
    """The message in `arrival`, of the format `pma.readings/1`. Raises UnknownFormat, TooLarge or Malformed."""
    message = parse_object(arrival.payload, FORMAT)
    device = serial(message)
    clock = clock_of(message, arrival.received_at)
    readings = message.pop("readings", None)
    if not isinstance(readings, list) or not readings:
        raise Malformed("readings is not a list with at least one reading")
    if len(readings) > MAX_READINGS:
        raise TooLarge(f"the message has over {MAX_READINGS} readings")
    return Message(device, tuple(readings), message, clock)


def parse_object(payload: bytes, format_: str) -> Json:
    """The JSON object in `payload` that says that it is of that format. Raises UnknownFormat, TooLarge or Malformed."""
    check_size(payload)
    message = parse(payload)
    if not isinstance(message, dict):
        raise Malformed("the message is not a JSON object")
    if not isinstance(message.get("format"), str):
        raise Malformed("format is missing")
    if message["format"] != format_:
        raise UnknownFormat(f"format is not {format_}")
    return message


def check_size(payload: bytes) -> None:
    """Raises TooLarge."""
    if len(payload) > MAX_BYTES:
        raise TooLarge(f"the message is over {MAX_BYTES // 1024} KB")


def serial(message: Mapping[str, Any]) -> str | None:
    """What measured, where the message names it. Raises Malformed."""
    device = message.get("device")
    if not (device is None or (isinstance(device, str) and SERIAL.fullmatch(device))):
        raise Malformed("device is not a serial")
    return device


def clock_of(message: Mapping[str, Any], received_at: datetime) -> Clock | None:
    """What the device's clock showed at a moment that we know.

    That is `clock`, in which a gateway notes the device's clock beside its own, or else `sent_at`, which is the
    sender's clock as the message leaves it. Where both are there, the gateway's own error is taken off. A gateway's
    clock that shows any date tells nothing.
    Raises Malformed.
    """
    sent_at = None if message.get("sent_at") is None else read_time(message["sent_at"], "sent_at")
    pair = message.get("clock")
    if pair is None:
        return None if sent_at is None else Clock(sent_at, received_at)
    if not isinstance(pair, dict):
        raise Malformed("clock is not an object of device and gateway")
    device, gateway = read_time(pair.get("device"), "clock/device"), read_time(pair.get("gateway"), "clock/gateway")
    if gateway.tzinfo is None:
        raise Malformed("clock/gateway has no offset")
    if abs(received_at - gateway) > ANY_DATE:
        return None
    own_error = timedelta() if sent_at is None or sent_at.tzinfo is None else received_at - sent_at
    return Clock(device, gateway + own_error if CLOCK_TOLERANCE < abs(own_error) < ANY_DATE else gateway)


def parse(payload: bytes) -> Any:
    """JSON, strictly (R17): UTF-8 with or without a mark, no name twice, no NaN, no half of a character, not too deep.

    Raises Malformed; nothing else, whatever the bytes.
    """
    if _too_deep(payload):
        raise Malformed(f"the message is nested over {_MAX_DEPTH} deep")
    try:
        text = payload.removeprefix(BOM_UTF8).decode().strip(_SPACES)
        parsed, end = _STRICT.raw_decode(text)
        if end < len(text):
            raise ValueError("more than one value")
        if b"\\u" in payload:
            canonical_json(parsed).encode()
    except UnicodeError:
        raise Malformed("the message is not UTF-8") from None
    except InvalidOperation:
        raise Malformed("a number has an exponent that no number has") from None
    except ValueError:
        raise Malformed("the message is not JSON") from None
    return parsed


def read(said: Any) -> Reading:
    """Who, when and what of a reading as it was sent. Raises Malformed naming the field."""
    if not isinstance(said, dict):
        raise Malformed("the reading is not a JSON object")
    kind = said.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Malformed("kind is none of those there are")
    slot = said.get("slot")
    if not (slot is None or (isinstance(slot, Decimal) and 0 <= slot <= _MAX_SLOT and slot == int(slot))):
        raise Malformed(f"slot is not a whole number up to {_MAX_SLOT}")
    subject = said.get("subject")
    if not (subject is None or (isinstance(subject, str) and TOKEN.fullmatch(subject))):
        raise Malformed("subject is not a token")
    record = said.get("record")
    if not (record is None or (isinstance(record, Decimal) and 0 <= record <= _MAX_RECORD and record == int(record))):
        raise Malformed("record is not a whole number")
    return Reading(
        kind,
        read_time(said.get("measured_at"), "measured_at"),
        None if slot is None else int(slot),
        subject,
        said,
        None if record is None else int(record),
    )


def origin(said: Mapping[str, Any]) -> Any:
    """How the reading came about. Raises Malformed."""
    given = said.get("origin", "device")
    if given not in ("device", "manual", "call"):
        raise Malformed("origin is not device, manual or call")
    return given


def flags(said: Mapping[str, Any]) -> tuple[str, ...]:
    """What the device noted beside the values. Raises Malformed."""
    if "flags" not in said:
        return ()
    given = said["flags"]
    if not isinstance(given, list) or len(given) > _MAX_CODES or not all(map(is_code, given)):
        raise Malformed(f"flags is not a list of at most {_MAX_CODES} codes")
    return tuple(given)


def context(said: Mapping[str, Any]) -> dict[str, str]:
    """The circumstances of the reading. Raises Malformed."""
    if "context" not in said:
        return {}
    given = said["context"]
    if not isinstance(given, dict) or len(given) > _MAX_CODES or not all(map(is_code, given)):
        raise Malformed(f"context is not an object of at most {_MAX_CODES} codes")
    if wrong := [name for name, value in given.items() if not is_code(value)]:
        raise Malformed(f"context/{wrong[0]} is not a code that is known there")
    return given


def canonical_json(value: Any) -> str:
    """`value` as JSON that is the same for the same facts: names in order, numbers as they were written."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(name)}:{canonical_json(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    if isinstance(value, Decimal):
        return str(value)
    return _quoted(value)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def read_time(given: Any, field: str) -> datetime:
    """A date and time as in RFC 3339, with or without seconds and an offset, to a millionth of a second.

    Raises Malformed naming `field`.
    """
    if not isinstance(given, str) or not _TIME.fullmatch(given):
        raise Malformed(f"{field} is not a date and time in ISO 8601")
    try:
        return datetime.fromisoformat(given.upper())
    except ValueError:
        raise Malformed(f"{field} is no date and time of the calendar") from None


def is_code(value: Any) -> bool:
    """True for a word without spaces in the Latin alphabet: no place for a name (P1)."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def _too_deep(payload: bytes) -> bool:
    """Objects and lists in each other past our limit, for the parser's own would be the interpreter's stack."""
    if payload.count(b"{") + payload.count(b"[") <= _MAX_DEPTH:
        return False
    outside_strings = b"".join(payload.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])
    brackets = outside_strings.translate(None, _NOT_BRACKETS)
    depth = 0
    for bracket in brackets if len(brackets) > 2 * _MAX_DEPTH else b"":
        depth += 1 if bracket in b"[{" else -1
        if depth > _MAX_DEPTH:
            return True
    return False


def _each_name_once(pairs: list[tuple[str, Any]]) -> Json:
    together = dict(pairs)
    if len(together) != len(pairs):
        raise ValueError("a name twice")
    return together


def _not_a_number(constant: str) -> NoReturn:
    raise ValueError(constant)


_STRICT = json.JSONDecoder(
    parse_float=Decimal, parse_int=Decimal, parse_constant=_not_a_number, object_pairs_hook=_each_name_once
)
