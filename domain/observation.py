"""An observation: a reading we accepted, coded, in canonical units, attributed to a subject."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

Origin = Literal["device", "manual", "call"]
DeviceClass = Literal["medical", "auxiliary"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One accepted reading. Times are aware and keep the offset they were given; values are in canonical units.

    `id` is made from the reading's identity (see `functions/ingest`), so the same reading always has the same id.
    `device_time` is what the device said; `measured_at` is that time corrected, and judges everything but identity.
    """

    id: str
    organisation: str
    subject: str
    device: str
    thing: str
    kind: str
    values: dict[str, Decimal]
    measured_at: datetime
    device_time: datetime
    received_at: datetime
    origin: Origin = "device"
    device_class: DeviceClass = "medical"
    slot: int | None = None
    flags: tuple[str, ...] = ()
    context: dict[str, str] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
