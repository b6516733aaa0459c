"""What a change of the registry has to bring about: marks on the past, and second tries of what was set aside.

Each job is small enough for one call of the function, says all that it needs, and is harmless when it is done twice.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, TypeAdapter

from domain.recall import Recall

SHELVES = "0123456789abcdef"
"""An organisation's devices are on sixteen shelves."""

ANSWERED_BY_ENROLMENT = ("unknown-device", "unknown-holder", "ambiguous-holder")
"""What a device's enrolment, pairing or assignment may answer. `no-consent` keeps nothing that could be tried again."""

ANSWERED_BY_WITHDRAWAL = ("recalled-device",)


@dataclass(frozen=True, slots=True)
class FleetJob:
    """A recall has come or gone: look through one shelf of the organisation's devices for those that it covers."""

    recall: Recall
    shelf: str
    kind: Literal["fleet"] = "fleet"


@dataclass(frozen=True, slots=True)
class DeviceJob:
    """A device may fall under other recalls than it did: everyone who held it."""

    organisation: str
    serial: str
    kind: Literal["device"] = "device"


@dataclass(frozen=True, slots=True)
class SpanJob:
    """… for one of them, and a span of the device's time (`from_at` inclusive, `to_at` exclusive, None is open)."""

    organisation: str
    serial: str
    subject: str
    from_at: datetime | None
    to_at: datetime | None
    kind: Literal["span"] = "span"


@dataclass(frozen=True, slots=True)
class RetryJob:
    """Try again what was set aside of a device, or carried by it, for these reasons."""

    organisation: str
    serial: str
    reasons: tuple[str, ...]
    kind: Literal["retry"] = "retry"


@dataclass(frozen=True, slots=True)
class HolderJob:
    """A subject lost a device, or gained it, for a time that has been: what was measured from `measured_from`
    (inclusive) to `measured_to` (exclusive, None is open)."""

    organisation: str
    serial: str
    subject: str
    measured_from: datetime
    measured_to: datetime | None
    kind: Literal["holder"] = "holder"


@dataclass(frozen=True, slots=True)
class HolderSpanJob:
    """… for a span of the device's time, as a SpanJob's: a wrong clock may have put it anywhere."""

    holder: HolderJob
    from_at: datetime | None
    to_at: datetime | None
    kind: Literal["holder-span"] = "holder-span"


Job: TypeAlias = FleetJob | DeviceJob | SpanJob | RetryJob | HolderJob | HolderSpanJob

_JOBS: TypeAdapter[Job] = TypeAdapter(Annotated[Job, Discriminator("kind")])


def write_job(job: Job) -> str:
    """`job` as JSON."""
    return _JOBS.dump_json(job).decode()


def read_job(text: str) -> Job:
    """The job that `write_job` wrote. Raises ValueError."""
    return _JOBS.validate_json(text)
