"""Readings as a device says them, packed into messages of the format `pma.readings/1`."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

FORMAT = "pma.readings/1"
MOST_BYTES = 128 * 1024
MOST_READINGS = 500
_ENVELOPE = 512  # room for everything beside the readings: names are at most 128 bytes, numbers and times short


class Quantity(NamedTuple):
    """A number with its UCUM unit, as the device shows it."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device said of a subject, in its own units; `thing` carries it, a replay's `source` is `file:line`."""

    subject: str
    thing: str
    device: str
    kind: str
    measured_at: datetime
    values: Mapping[str, Quantity]
    source: str = ""
    origin: str = "device"
    flags: tuple[str, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    slot: int | None = None

    def document(self) -> dict[str, Any]:
        """The reading as the contract has it."""
        said: dict[str, Any] = {
            "kind": self.kind,
            "measured_at": self.measured_at.isoformat(),
            "values": {name: {"value": number(one.value), "unit": one.unit} for name, one in self.values.items()},
            "origin": self.origin,
        }
        if self.slot is not None:
            said["slot"] = self.slot
        if self.flags:
            said["flags"] = list(self.flags)
        if self.context:
            said["context"] = dict(self.context)
        return said


@dataclass(frozen=True, slots=True)
class Fate:
    """What must become of a reading: `stored`, `repeat` or a reason of the quarantine; and what is flagged on it."""

    place: str
    flags: frozenset[str] = frozenset()


STORED, REPEAT = Fate("stored"), Fate("repeat")


@dataclass(frozen=True, slots=True)
class Message:
    """Readings of one device in one publish. What is done wrong on purpose stands here too:

    `body` is sent as it is, to the topic of `format` (another format, or a broken payload); `under` is another thing's
    name in the topic, `copies` how often it is sent. The sender's clock is `ahead` and may say nothing (`tells_clock`).
    `fates` are what must become of each reading the first time; without any all are stored.
    """

    thing: str
    readings: tuple[Reading, ...] = ()
    boot: int | None = None
    sequence: int | None = None
    body: bytes | None = None
    under: str | None = None
    copies: int = 1
    format: str = "readings"
    ahead: timedelta = timedelta(0)
    tells_clock: bool = True
    fates: tuple[Fate, ...] = ()

    @property
    def becomes(self) -> tuple[Fate, ...]:
        """The fate of each reading of each copy; none where the broker itself refuses."""
        if self.under is not None:
            return ()
        return (*(self.fates or (STORED,) * len(self.readings)), *(REPEAT,) * (self.copies - 1) * self.count)

    @property
    def count(self) -> int:
        """How many readings it is in our counts: a body of another making is one."""
        return len(self.readings) if self.body is None else 1

    def encode(self, sent_at: datetime) -> bytes:
        """The bytes to publish; a repeat must be encoded once, so that it is the same message."""
        return self.body if self.body is not None else _dumps(self._document(sent_at))

    def _document(self, sent_at: datetime) -> dict[str, Any]:
        first = self.readings[0]
        said: dict[str, Any] = {"format": FORMAT}
        if first.device != self.thing:
            said["device"] = first.device
        if self.tells_clock:
            shown = sent_at.astimezone(first.measured_at.tzinfo) + self.ahead
            said["sent_at"] = shown.isoformat(timespec="seconds")
        if self.boot is not None:
            said["boot"] = self.boot
        if self.sequence is not None:
            said["sequence"] = self.sequence
        return said | {"readings": [reading.document() for reading in self.readings]}


def number(value: Decimal) -> int | float:
    """A JSON number that reads back as the same decimal (up to 15 digits, more than any sensor has)."""
    return int(value) if value == value.to_integral_value() else float(value)


@dataclass(slots=True)
class _Group:
    """Readings of one device that go in one message."""

    readings: list[Reading]
    size: int

    def takes(self, reading: Reading, size: int, gather: timedelta, most: int) -> bool:
        return (
            len(self.readings) < most
            and self.size + size <= MOST_BYTES - _ENVELOPE
            and reading.measured_at - self.readings[0].measured_at <= gather
        )


def pack(
    readings: Iterable[Reading],
    *,
    gather: timedelta = timedelta(0),
    most: int = MOST_READINGS,
    boot: int | None = 1,
) -> list[Message]:
    """Messages in the order in which they are due, each holding readings of one device.

    `readings` come in order of time. A device gathers what it measures within `gather` of the first one (zero: only
    what has the same time), at most `most` and at most 128 KB. Sequence numbers count a device's messages from 1.
    """
    groups: list[_Group] = []
    newest: dict[tuple[str, str], _Group] = {}
    for reading in readings:
        key = (reading.thing, reading.device)
        size = len(_dumps(reading.document())) + 1
        group = newest.get(key)
        if group is not None and group.takes(reading, size, gather, min(most, MOST_READINGS)):
            group.readings.append(reading)
            group.size += size
        else:
            newest[key] = _Group([reading], size)
            groups.append(newest[key])
    groups.sort(key=lambda group: group.readings[-1].measured_at)
    return list(_numbered([group.readings for group in groups], boot))


def _numbered(groups: Iterable[list[Reading]], boot: int | None) -> Iterator[Message]:
    sequences: dict[str, int] = {}
    for group in groups:
        device = group[0].device
        sequences[device] = sequences.get(device, 0) + 1
        yield Message(group[0].thing, tuple(group), boot=boot, sequence=sequences[device])


def returning(messages: list[Message]) -> list[Message]:
    """The order in which a gateway that was away sends what it kept: the newest first, then the rest oldest first."""
    return [*messages[-1:], *messages[:-1]]


def _dumps(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
