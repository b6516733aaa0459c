"""`pma.status/1`: how a device is, and what its clock shows beside one that is right."""

from decimal import Decimal
from typing import Any

from domain.errors import Malformed
from domain.reading import Arrival, Message, Status, clock_of, is_code, parse_object, serial

FORMAT = "pma.status/1"


def decode_status(arrival: Arrival) -> Message:
    """`{"format", "device", "sent_at", "battery": {"value", "unit": "%"}, "firmware", "clock": {"device", "gateway"}}`

    All but the format may be missing. Raises UnknownFormat, TooLarge or Malformed naming the field.
    """
    message = parse_object(arrival.payload, FORMAT)
    clock = clock_of(message, arrival.received_at)
    status = Status(arrival.received_at, _battery(message.get("battery")), _firmware(message.get("firmware")), clock)
    return Message(serial(message), (), message, status=status)


def _battery(given: Any) -> Decimal | None:
    if given is None:
        return None
    value = given.get("value") if isinstance(given, dict) and given.get("unit") == "%" else None
    if not isinstance(value, Decimal) or not 0 <= value <= 100:
        raise Malformed("battery is not a value from 0 to 100 with the unit %")
    return value


def _firmware(given: Any) -> str | None:
    if given is None:
        return None
    if not is_code(given):
        raise Malformed("firmware is not a code")
    return str(given)
