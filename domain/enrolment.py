"""Who and what is enrolled: organisations, subjects, devices with their dated assignments, endpoints.

These are the facts that a MIS writes over the API and every stage reads. They hold no name and no address.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, NamedTuple

from domain.errors import AssignmentOverlap, Fault, InvalidRequest, NotFound
from domain.observation import DeviceClass
from domain.reading import Status


@dataclass(frozen=True, slots=True)
class Organisation:
    """The tenant. `topic` is the ARN of the topic on which its doctors and duty centre are told.

    Its systems may ask `requests_per_second`, measured over ten seconds. Since `suspended_at` they get no answer; what
    its devices send is taken in and judged all the same.
    """

    id: str
    name: str
    topic: str
    created_at: datetime
    requests_per_second: int = 50
    suspended_at: datetime | None = None


class Consent(NamedTuple):
    """Monitoring is voluntary (P5): it covers what was measured from `given_at` on, until it is withdrawn."""

    given_at: datetime
    withdrawn_at: datetime | None = None

    def covers(self, measured_at: datetime) -> bool:
        """True when monitoring is consented to now and was when the reading was measured."""
        return self.withdrawn_at is None and measured_at >= self.given_at


@dataclass(frozen=True, slots=True)
class DataKey:
    """What a subject's bytes are sealed with: its id, which names nobody, and itself, wrapped by the organisation's."""

    id: str
    wrapped: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The patient, as an opaque token that only the MIS can resolve (P1). `data_key` comes and goes with it.

    `told_to` is the last day of the last week whose derived values went to the hospitals: export's note, no fact.
    """

    id: str
    organisation: str
    programmes: tuple[str, ...]
    time_zone: str
    language: str
    consent: Consent | None
    emergency_text: str | None
    version: int
    data_key: DataKey | None = None
    told_to: date | None = field(default=None, compare=False)


class Holder(NamedTuple):
    """What of a subject decides whose a reading is, and whether it may be kept; `data_key` seals its bytes."""

    id: str
    time_zone: str
    consent: Consent | None
    data_key: DataKey | None


class Attended(NamedTuple):
    """What of a subject decides whether and how its readings are judged."""

    programmes: tuple[str, ...]
    time_zone: str
    consent: Consent | None


@dataclass(frozen=True, slots=True)
class ConsentTold:
    """Whether a person consents, as hospitals are told it: all that is still sent after withdrawal or erasure (P5)."""

    organisation: str
    subject: str
    version: int
    programmes: tuple[str, ...]
    given_at: datetime | None
    withdrawn_at: datetime | None = None
    erased_at: datetime | None = None


def consent_told(before: Subject | None, after: Subject, now: datetime) -> ConsentTold | None:
    """What a change of a subject makes of its consent; None when that is as it was. Taken back without a word of when,
    it is withdrawn now."""
    was, is_now = before.consent if before else None, after.consent
    if was == is_now:
        return None
    given = is_now or was
    return ConsentTold(
        organisation=after.organisation,
        subject=after.id,
        version=after.version,
        programmes=after.programmes,
        given_at=given.given_at if given else None,
        withdrawn_at=is_now.withdrawn_at if is_now else now,
    )


class Assignment(NamedTuple):
    """A device on a subject for a period: from `from_at` (inclusive) to `to_at` (exclusive; None is open)."""

    id: str
    subject: str
    from_at: datetime
    to_at: datetime | None = None
    slot: int | None = None

    def covers(self, measured_at: datetime) -> bool:
        return self.from_at <= measured_at and (self.to_at is None or measured_at < self.to_at)

    def may_be_of(self, slot: int | None) -> bool:
        """An assignment of the whole device is of each of its slots; a reading of no slot may be anybody's."""
        return self.slot is None or slot is None or self.slot == slot

    def clashes_with(self, other: "Assignment") -> bool:
        """True when both could claim one reading: the periods meet, and the slots are the same or one means all."""
        meet = (other.to_at is None or self.from_at < other.to_at) and (
            self.to_at is None or other.from_at < self.to_at
        )
        return meet and (self.slot == other.slot or self.slot is None or other.slot is None)


class Device(NamedTuple):
    """A sensor or a gateway. One whole history of assignments travels with it, so one read settles the holder.

    `gateway` carries its readings in its place, `cloud`, its maker's, beside whoever else does: one measurement that
    comes by both is one observation (C24). `status` is the last that it told of itself.
    """

    serial: str
    organisation: str
    profile: str
    device_class: DeviceClass
    version: int
    lot: str | None = None
    gateway: str | None = None
    cloud: str | None = None
    roster: tuple[str, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    revoked_at: datetime | None = None
    status: Status | None = None

    @property
    def carriers(self) -> tuple[str, ...]:
        """The things that may speak for it: its gateway or else itself, and its maker's cloud."""
        own = self.gateway or self.serial
        return (own,) if self.cloud is None else (own, self.cloud)

    def assignment(self, assignment_id: str) -> Assignment:
        """Raises NotFound."""
        for one in self.assignments:
            if one.id == assignment_id:
                return one
        raise NotFound("the device has no such assignment")

    def assign(self, assignment: Assignment) -> "Device":
        """The device with `assignment` as well; asked again, with the same id, nothing changes (R85), not even when it
        was ended in between (R29).

        Raises AssignmentOverlap.
        """
        for one in self.assignments:
            if one.id == assignment.id and assignment.to_at in (None, one.to_at):
                return self
        if any(one.id == assignment.id or assignment.clashes_with(one) for one in self.assignments):
            raise AssignmentOverlap("the device, or that slot of it, is assigned in that period: end that first")
        return self._replace(assignments=(*self.assignments, assignment))

    def end_assignment(self, assignment_id: str, to_at: datetime) -> "Device":
        """The device with that assignment ended at `to_at`.

        Raises NotFound, InvalidRequest when that is not after its beginning, AssignmentOverlap when a later end would
        reach into the next one.
        """
        ended = self.assignment(assignment_id)
        if to_at <= ended.from_at:
            raise InvalidRequest(Fault("/to", "after the assignment's beginning"))
        others = [one for one in self.assignments if one.id != assignment_id]
        ended = ended._replace(to_at=to_at)
        if any(ended.clashes_with(one) for one in others):
            raise AssignmentOverlap("a later assignment begins before that end")
        return self._replace(assignments=tuple(ended if one.id == ended.id else one for one in self.assignments))

    def revoke(self, at: datetime) -> "Device":
        """The device out of service for good: nobody holds it from `at` on (R14). Revoked again, nothing changes."""
        if self.revoked_at is not None:
            return self
        return self._replace(
            revoked_at=at,
            assignments=tuple(
                one if one.to_at is not None and one.to_at <= at else one._replace(to_at=max(one.from_at, at))
                for one in self.assignments
            ),
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a MIS receives. `window_seconds` is how long observations are gathered; `shards` how many lanes of each."""

    id: str
    organisation: str
    url: str
    kinds: tuple[str, ...]
    programmes: tuple[str, ...]
    mode: Literal["fhir-transaction"]
    window_seconds: int
    shards: int
    state: Literal["enabled", "disabled"]
    secret: str
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Holding:
    """A device that a subject holds or held: an assignment, seen from the subject."""

    serial: str
    from_at: datetime
    to_at: datetime | None
    slot: int | None


def missing(
    subject: Subject, *, holdings: Iterable[Holding], care_plan: bool, contacts: bool, now: datetime
) -> list[str]:
    """What a subject still lacks to be monitored in full: `consent`, `contacts`, `device`, `care-plan`.

    A device that is assigned from a later day on counts; a programme's template is no plan of the subject's own.
    """
    present = {
        "consent": subject.consent is not None and subject.consent.withdrawn_at is None,
        "contacts": contacts,
        "device": any(one.to_at is None or now < one.to_at for one in holdings),
        "care-plan": care_plan,
    }
    return [name for name, there in present.items() if not there]
