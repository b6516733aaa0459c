"""Vendor JSON: a profile says, as data, how to read it; put into the words of `pma.readings/1`.

A mapping finds items in a message and makes readings of each. What it says are JMESPath expressions over
`{"item": the item, "message": the whole}`, with the functions below beside JMESPath's own. A number may be text.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

import jmespath
from jmespath.functions import Functions, signature
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from domain.codes import KINDS
from domain.errors import Malformed, RejectedReading, TooLarge
from domain.reading import FORMAT as READINGS
from domain.reading import MAX_READINGS, Arrival, Json, Message, Unreadable, check_size, is_code, parse, serial

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"\s*[+-]?\d{1,15}(\.\d{1,15})?\s*", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)?", re.ASCII)
_MOST_PLACES = 12
_MOST_DIGITS = 18
_DEFECTS = (ValueError, ArithmeticError, TypeError, LookupError, AttributeError)
"""What an expression raises that data do not fit, JMESPath's own errors among them."""


def number(given: Any) -> Decimal:
    """`given` as a number, also where it is text. Raises ValueError."""
    if isinstance(given, int) and not isinstance(given, bool):
        return Decimal(given)  # a literal of the expression
    if isinstance(given, str) and _NUMBER.fullmatch(given):
        return Decimal(given.strip())
    if not isinstance(given, Decimal) or not -_MOST_PLACES <= given.adjusted() <= _MOST_DIGITS:
        raise ValueError("no number that a measurement or a clock shows")
    return given


class _Functions(Functions):  # type: ignore[misc]  # jmespath has no types
    """What vendors' messages need and JMESPath lacks. Each is in docs/catalogue.md."""

    @signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_decimal(self, given: Any) -> Decimal:
        return number(given)

    @signature({"types": []}, {"types": []})  # type: ignore[untyped-decorator]
    def _func_scaled(self, given: Any, power: Any) -> Decimal:
        places = int(number(power))
        if abs(places) > _MOST_PLACES:
            raise ValueError("no power of ten that a measurement has")
        return number(given).scaleb(places)

    @signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_instant(self, seconds: Any) -> str:
        return _moment(number(seconds)).isoformat()

    @signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_instant_ms(self, milliseconds: Any) -> str:
        return _moment(number(milliseconds) / 1000).isoformat()

    @signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_local_instant(self, seconds: Any) -> str:
        return _moment(number(seconds)).replace(tzinfo=None).isoformat()

    @signature({"types": []}, {"types": []})  # type: ignore[untyped-decorator]
    def _func_local(self, text: Any, written: Any) -> str:
        return datetime.strptime(text, written).replace(tzinfo=None).isoformat()  # noqa: DTZ007 - it has no zone

    @signature({"types": []}, {"types": []})  # type: ignore[untyped-decorator]
    def _func_at_offset(self, time: Any, offset: Any) -> str:
        return datetime.fromisoformat(time).replace(tzinfo=_offset(offset)).isoformat()

    @signature({"types": []}, {"types": []})  # type: ignore[untyped-decorator]
    def _func_lookup(self, given: Any, table: Any) -> Any:
        return table.get(f"{number(given).normalize():f}" if isinstance(given, Decimal) else given)


def _moment(seconds: Decimal) -> datetime:
    return _EPOCH + timedelta(microseconds=int(seconds * 1_000_000))


def _offset(given: Any) -> timezone:
    """`+0800`, `-08:00`, `+08`, or as a number: `800`, `-800`. Raises ValueError."""
    text = f"{int(number(given)):+05}" if isinstance(given, Decimal | int) else given
    found = _OFFSET.fullmatch(text)
    if found is None:
        raise ValueError("no offset from UTC")
    sign, hours, minutes = found.groups()
    size = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(size if sign == "+" else -size)


_OPTIONS = jmespath.Options(custom_functions=_Functions())


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> Any:
    return jmespath.compile(expression)


def _expression(text: str) -> str:
    try:
        _compiled(text)
    except ValueError as error:
        raise ValueError(f"no JMESPath expression: {str(error).splitlines()[0]}") from None
    return text


def _code(text: str) -> str:
    if not is_code(text):
        raise ValueError("a code: up to 64 Latin letters, digits, dots, hyphens or underscores")
    return text


Expression = Annotated[str, AfterValidator(_expression)]
Code = Annotated[str, AfterValidator(_code)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class QuantityMapping(_Data):
    """Where a value is. Its unit is UCUM, or found by `unit_at`; what is not `required` may be absent."""

    value: Expression
    unit: str | None = None
    unit_at: Expression | None = None
    required: bool = True

    @model_validator(mode="after")
    def _one_unit(self) -> "QuantityMapping":
        if (self.unit is None) == (self.unit_at is None):
            raise ValueError("either unit or unit_at")
        return self


class FlagMapping(_Data):
    flag: Code
    when: Expression


class CircumstanceMapping(_Data):
    value: Expression
    required: bool = False


class ReadingMapping(_Data):
    """One reading that an item may hold: it does where `when` is true, or else where any of the values is there."""

    kind: str
    measured_at: Expression
    values: Annotated[dict[str, QuantityMapping], Field(min_length=1)]
    when: Expression | None = None
    slot: Expression | None = None
    record: Expression | None = None
    origin: Expression | None = None
    flags: tuple[FlagMapping, ...] = ()
    context: dict[Code, CircumstanceMapping] = {}

    @model_validator(mode="after")
    def _fits_the_codes(self) -> "ReadingMapping":
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind} is no kind")
        known = KINDS[self.kind].values
        if not {name for name, one in known.items() if one.required} <= set(self.values) <= set(known):
            raise ValueError(f"{self.kind} has the values {', '.join(known)}")
        return self


class Mapping(_Data):
    """How a vendor's message is read. `items` finds what readings are made of, by default the message itself;
    `device` finds the serial of what measured, by default the publishing thing."""

    items: Expression = "@"
    device: Expression | None = None
    readings: Annotated[tuple[ReadingMapping, ...], Field(min_length=1)]


def decode_vendor(arrival: Arrival, mapping: Mapping) -> Message:
    """The message in `arrival`, as `mapping` reads it. An item of which no reading can be made is Unreadable.

    Raises TooLarge or Malformed naming the expression.
    """
    check_size(arrival.payload)
    message = parse(arrival.payload)
    device = None if mapping.device is None else serial({"device": _found(mapping.device, message, "device")})
    items = _found(mapping.items, message, "items")
    items = items if isinstance(items, list) else [] if items is None else [items]
    if not items:
        raise Malformed("the message has nothing where its profile looks for readings")
    if len(items) > MAX_READINGS:
        raise TooLarge(f"the message has over {MAX_READINGS} readings")
    readings = tuple(reading for item in items for reading in _readings(item, message, mapping))
    if len(readings) > MAX_READINGS:
        raise TooLarge(f"the message has over {MAX_READINGS} readings")
    envelope = {"format": READINGS, "device": device}
    return Message(device, readings, envelope, alone=(arrival.payload,) * len(readings))


def _readings(item: Any, message: Any, mapping: Mapping) -> Iterator[Json | Unreadable]:
    data = {"item": item, "message": message}
    held = False
    for one in mapping.readings:
        try:
            if _holds(one, data):
                held = True
                yield _said(one, data)
        except RejectedReading as refusal:
            held = True
            yield Unreadable(_of(item), refusal)
    if not held:
        yield Unreadable(_of(item), Malformed("an item holds no reading that its profile knows"))


def _of(item: Any) -> Json:
    return item if isinstance(item, dict) else {"item": item}


def _holds(one: ReadingMapping, data: Json) -> bool:
    if one.when is not None:
        return _found(one.when, data, "when") is True
    return any(_found(quantity.value, data, f"values/{name}") is not None for name, quantity in one.values.items())


def _said(one: ReadingMapping, data: Json) -> Json:
    said: Json = {
        "kind": one.kind,
        "measured_at": _found(one.measured_at, data, "measured_at"),
        "values": dict(_values(one, data)),
        "flags": [flag.flag for flag in one.flags if _found(flag.when, data, f"flags/{flag.flag}") is True],
        "context": {},
    }
    for name, where in one.context.items():
        circumstance = _found(where.value, data, f"context/{name}")
        if circumstance is None and where.required:
            raise Malformed(f"context/{name} is missing")
        if circumstance is not None:
            said["context"][name] = circumstance
    for name in ("slot", "record", "origin"):
        expression = getattr(one, name)
        found = None if expression is None else _found(expression, data, name)
        if found is not None:
            said[name] = _number_if_it_is(found)
    return said


def _values(one: ReadingMapping, data: Json) -> Iterator[tuple[str, Any]]:
    for name, quantity in one.values.items():
        value = _found(quantity.value, data, f"values/{name}")
        if value is None and not quantity.required:
            continue
        unit = quantity.unit if quantity.unit_at is None else _found(quantity.unit_at, data, f"values/{name}/unit_at")
        yield name, {"value": _number_if_it_is(value), "unit": unit}


def _number_if_it_is(found: Any) -> Any:
    """A number that was written as text; anything else is judged with the values, after the consent is known (P5)."""
    try:
        return number(found)
    except ValueError:
        return found


def _found(expression: str, data: Any, name: str) -> Any:
    """What the expression finds. Raises Malformed where the data do not fit it."""
    try:
        return _compiled(expression).search(data, options=_OPTIONS)
    except _DEFECTS:
        raise Malformed(f"what {name} of the profile looks for is not as expected") from None
