"""What a device said: `pma.readings/1`, decoded strictly. Nothing is looked up here and no value is judged.

A message that cannot be read is refused whole; a reading that cannot be read is refused alone.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeAlias

from domain.codes import KINDS
from domain.errors import Malformed, TooLarge, UnknownFormat

Json: TypeAlias = dict[str, Any]
"""A JSON object: every number is a Decimal."""

FORMAT = "pma.readings/1"
MAX_BYTES = 128 * 1024
MAX_READINGS = 500
_MAX_DEPTH = 32
_MAX_SLOT = 255
_MAX_CODES = 16

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:-]{1,63}")
TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,63}")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # no spaces, no other alphabets: no place for a name (P1)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as the broker handed it on. `id` is the queue's; `received_at` is when the broker took it."""

    id: str
    body: str
    payload: bytes
    topic: str
    client: str
    received_at: datetime

    @property
    def thing(self) -> str:
        """The publisher's own name: the policy lets it publish under no other."""
        return self._level(2) or "-"

    @property
    def format(self) -> str:
        """What its topic says the payload is."""
        return self._level(3)

    def _level(self, number: int) -> str:
        levels = self.topic.split("/")
        return levels[number] if len(levels) > number else ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that could be read. `readings` are as they were sent; `device` is None where the thing measured."""

    device: str | None
    readings: tuple[Any, ...]
    envelope: Json

    def narrowed(self, readings: list[Any]) -> bytes:
        """The message with these readings only."""
        return canonical_json({**self.envelope, "readings": readings}).encode()


@dataclass(frozen=True, slots=True)
class Reading:
    """Who, when and what of one reading; its values are not read before it is known that they may be.

    `device_time` has no zone where the device gave none. `said` is the reading as it was sent.
    """

    kind: str
    device_time: datetime
    slot: int | None
    subject: str | None
    said: Json


def decode(arrival: Arrival) -> Message:
    """The message in `arrival`. Raises UnknownFormat, TooLarge or Malformed."""
    if arrival.format != "readings":
        raise UnknownFormat("the topic names a format that is not read")
    if len(arrival.payload) > MAX_BYTES:
        raise TooLarge(f"the message is over {MAX_BYTES // 1024} KB")
    message = parse(arrival.payload)
    if not isinstance(message, dict):
        raise Malformed("the message is not a JSON object")
    if not isinstance(message.get("format"), str):
        raise Malformed("format is missing")
    if message["format"] != FORMAT:
        raise UnknownFormat(f"format is not {FORMAT}")
    device = message.get("device")
    if not (device is None or (isinstance(device, str) and SERIAL.fullmatch(device))):
        raise Malformed("device is not a serial")
    readings = message.pop("readings", None)
    if not isinstance(readings, list) or not readings:
        raise Malformed("readings is not a list with at least one reading")
    if len(readings) > MAX_READINGS:
        raise TooLarge(f"the message has over {MAX_READINGS} readings")
    return Message(device, tuple(readings), message)


def parse(payload: bytes) -> Any:
    """JSON, strictly (R17): UTF-8 with or without a mark, no name twice, no NaN, no half of a character, not too deep.

    Raises Malformed; nothing else, whatever the bytes.
    """
    if _too_deep(payload):
        raise Malformed(f"the message is nested over {_MAX_DEPTH} deep")
    try:
        parsed = _STRICT.decode(payload.decode("utf-8-sig"))
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
    return Reading(kind, _time(said.get("measured_at")), None if slot is None else int(slot), subject, said)


def origin(said: Mapping[str, Any]) -> Any:
    """How the reading came about. Raises Malformed."""
    given = said.get("origin", "device")
    if given not in ("device", "manual", "call"):
        raise Malformed("origin is not device, manual or call")
    return given


def flags(said: Mapping[str, Any]) -> tuple[str, ...]:
    """What the device noted beside the values. Raises Malformed."""
    given = said.get("flags", [])
    if not isinstance(given, list) or len(given) > _MAX_CODES or not all(map(_is_code, given)):
        raise Malformed(f"flags is not a list of at most {_MAX_CODES} codes")
    return tuple(given)


def context(said: Mapping[str, Any]) -> dict[str, str]:
    """The circumstances of the reading. Raises Malformed."""
    given = said.get("context", {})
    if (
        not isinstance(given, dict)
        or len(given) > _MAX_CODES
        or not all(_is_code(name) and _is_code(value) for name, value in given.items())
    ):
        raise Malformed(f"context is not an object of at most {_MAX_CODES} codes")
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


def _time(given: Any) -> datetime:
    if not isinstance(given, str) or not _TIME.fullmatch(given):
        raise Malformed("measured_at is not a date and time in ISO 8601")
    try:
        return datetime.fromisoformat(given)
    except ValueError:
        raise Malformed("measured_at is no date and time of the calendar") from None


def _is_code(value: Any) -> bool:
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def _too_deep(payload: bytes) -> bool:
    """Objects and lists in each other past our limit, for the parser's own would be the interpreter's stack."""
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
