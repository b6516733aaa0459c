"""Deterministic ids: the same facts always get the same id, so a retry is idempotent by name."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from domain.codes import KINDS
from domain.plausibility import rounded

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}  # the bits 10 of RFC 9562
_SEPARATOR = "\x1f"  # cannot occur in a token, a serial or a number


def deterministic_id(*parts: str) -> str:
    """A lower-case UUID version 8 (RFC 9562) from the SHA-256 of `parts`, in their order.

    >>> deterministic_id("clinic-a", "alert", "S-1")
    '4cd764bf-a07b-8b96-b8e5-46e30d468827'
    """
    # cut from the hexadecimal text: four times as fast as by way of uuid.UUID, and this runs several times a reading
    text = hashlib.sha256(_SEPARATOR.join(parts).encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


class Identity(NamedTuple):
    """What makes two sendings the same reading. `taken_at` is the device's time, in UTC, cut to what its clock shows.

    `id` is the observation's: it stands for all of organisation, subject, device, kind, slot, `taken_at` and values.
    """

    organisation: str
    subject: str
    kind: str
    taken_at: datetime
    id: str


def identify(
    *,
    organisation: str,
    subject: str,
    device: str,
    kind: str,
    slot: int | None,
    device_time: datetime,
    values: Mapping[str, Decimal],
    clock_resolution: timedelta,
    resolution: Mapping[str, Decimal],
    record: int | None = None,
) -> Identity:
    """The identity of a reading: the same by every path, with any offset, in any order of its values (R5, C24).

    `values` are canonical and plausible; only those that every path must carry tell readings apart: a cuff's mean comes
    by Bluetooth and not by its maker's cloud. `resolution` is the smallest step that the device shows of each, so that
    the rounding of a conversion makes no second reading. `record` is the device's own number of the reading, where its
    profile says that every path carries it: then it stands in place of the values.
    """
    since = device_time - _EPOCH
    taken_at = _EPOCH + (since - since % clock_resolution)
    told_by = (
        [f"record={record}"]
        if record is not None
        else [f"{name}={rounded(values[name], resolution[name])}" for name in _TOLD_BY[kind] if name in values]
    )
    return Identity(
        organisation,
        subject,
        kind,
        taken_at,
        deterministic_id(
            organisation,
            subject,
            device,
            kind,
            "" if slot is None else str(slot),
            taken_at.isoformat(),
            *told_by,
        ),
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOLD_BY = {kind: sorted(name for name, one in of.values.items() if one.required) for kind, of in KINDS.items()}
