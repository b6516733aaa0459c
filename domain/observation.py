"""An observation: a reading we accepted, coded, in canonical units, attributed to a subject."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, NamedTuple

Origin = Literal["device", "manual", "call"]
DeviceClass = Literal["medical", "auxiliary"]
Status = Literal["final", "amended", "entered-in-error"]


RECALLED = "recalled"
"""The tag of what falls under a recall: the engine takes it for no evidence either way."""

ENTERED_IN_ERROR: Literal["entered-in-error"] = "entered-in-error"
"""The tag, and status, of what turned out to be another person's: no evidence either, as if it were recalled."""


class Observation(NamedTuple):
    """One accepted reading. Times are aware and keep the offset they were given; values are in canonical units.

    `id` is made from the reading's identity (see `functions/ingest`), so the same reading always has the same id.
    `device_time` is what the device said; `measured_at` is that time corrected, and judges everything but identity.
    `record` is the device's own number of the reading. `paths` are the things that brought it again, by other ways than
    `thing`, and when. `version` grows with each mark beside the row (`Marks`). `status` is FHIR's word: `amended` where
    a mark says another time or other circumstances than the row, `entered-in-error` where it was never theirs.
    """

    id: str
    organisation: str
    subject: str
    device: str
    thing: str
    kind: str
    values: Mapping[str, Decimal]
    measured_at: datetime
    device_time: datetime
    received_at: datetime
    origin: Origin = "device"
    device_class: DeviceClass = "medical"
    slot: int | None = None
    flags: tuple[str, ...] = ()
    context: Mapping[str, str] = MappingProxyType({})
    tags: frozenset[str] = frozenset()
    record: int | None = None
    recalls: frozenset[str] = frozenset()
    paths: Mapping[str, datetime] = MappingProxyType({})
    version: int = 1
    status: Status = "final"


@dataclass(frozen=True, slots=True)
class Marks:
    """What happened to a reading after it was stored. Rows never change, so that no re-send undoes any of this.

    `measured_at` is its time corrected later, `recalls` says of each recall that its device fell under whether it
    still does, `context` what was told of its circumstances by itself, `entered_in_error` that its subject did not hold
    the device then. `version` counts the changes.
    """

    version: int = 0
    measured_at: datetime | None = None
    paths: Mapping[str, datetime] = field(default_factory=dict)
    recalls: Mapping[str, bool] = field(default_factory=dict)
    context: Mapping[str, str] = field(default_factory=dict)
    entered_in_error: bool = False


def marked(one: Observation, marks: Marks) -> Observation:
    """The observation as it stands with its marks."""
    said = dict.fromkeys(one.recalls, True) | dict(marks.recalls)
    recalls = frozenset(recall for recall, in_force in said.items() if in_force)
    tags = one.tags | {RECALLED} if recalls else one.tags - {RECALLED} if said else one.tags
    measured_at, context = marks.measured_at or one.measured_at, {**one.context, **marks.context}
    status: Status = "final" if (measured_at, context) == (one.measured_at, one.context) else "amended"
    if marks.entered_in_error:
        status, tags = ENTERED_IN_ERROR, tags | {ENTERED_IN_ERROR}
    return one._replace(
        measured_at=measured_at,
        context=context,
        tags=tags,
        recalls=recalls,
        paths=marks.paths,
        version=one.version + marks.version,
        status=status,
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What ingest has to know of a reading that is stored: which thing brought it, and if its time is corrected."""

    thing: str
    corrected: bool
