"""Enrolment: what may be written for an organisation, and what is still missing.

Every write reads, judges and writes on condition that nobody wrote in between; who loses that race begins again, so
no edit is lost (R86) and a request that is repeated finds its own work done (R85).
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from domain.care_plan import CarePlan, PlanVersion, parse_plan
from domain.enrolment import (
    Assignment,
    Consent,
    ConsentTold,
    DataKey,
    Device,
    Endpoint,
    Holding,
    Subject,
    consent_told,
    missing,
)
from domain.erasure import Tombstone
from domain.errors import Fault, GatewayRevoked, LostRace, NotFound, SerialTaken, StaleVersion, SubjectErased
from domain.plan_language import CarePlanBody
from domain.profile import DeviceProfile
from domain.request import (
    AssignmentBody,
    ContactsBody,
    DeviceBody,
    EndBody,
    SubjectBody,
    check_serial,
    check_subject,
    parse_once,
    read,
    refuse,
)

P = ParamSpec("P")
T = TypeVar("T")

ANY_VERSION = -1
"""`If-Match: *`: whatever is there is meant, but something is."""

_TRIES = 5
_AHEAD = timedelta(days=1)
"""So far a caller's clock or zone may be wrong: that is no reason to refuse a withdrawal."""


class Registry(Protocol):
    """The enrolled, read consistently; a `put` raises LostRace unless it writes the version after what is there."""

    def organisations_of(self, serials: Iterable[str]) -> Mapping[str, str]: ...
    def subject(self, organisation: str, subject: str) -> Subject | None: ...
    def subjects(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Subject]: ...
    def device(self, organisation: str, serial: str) -> Device | None: ...
    def endpoint(self, organisation: str, endpoint: str) -> Endpoint | None: ...
    def holdings(self, organisation: str, subject: str) -> Sequence[Holding]: ...
    def put_subject(self, subject: Subject, told: ConsentTold | None = None) -> None: ...
    def put_device(self, device: Device) -> None: ...
    def put_assignment(self, device: Device, assignment: Assignment) -> None: ...
    def put_endpoint(self, endpoint: Endpoint) -> None: ...
    def delete_endpoint(self, endpoint: Endpoint) -> None: ...


class Erasures(Protocol):
    def get(self, organisation: str, subject: str) -> Tombstone | None: ...
    def begin(self, subject: Subject, at: datetime) -> None:
        """Raises LostRace when the subject is no longer that version."""
        ...


class DataKeys(Protocol):
    """Makes what a subject's bytes are sealed with."""

    def new_data_key(self, organisation: str) -> DataKey: ...


class CarePlans(Protocol):
    """Versions of care plans; `put` raises LostRace unless it writes the version after the newest."""

    def newest(self, organisation: str, subject: str) -> PlanVersion | None: ...
    def put(self, organisation: str, subject: str, version: PlanVersion) -> None: ...


class Vault(Protocol):
    """Where contacts are sealed: nobody here can read them back."""

    def seal(self, organisation: str, subject: str, contacts: Mapping[str, Any]) -> None: ...
    def holds(self, organisation: str, subject: str) -> bool: ...


def persistent(use_case: Callable[P, T]) -> Callable[P, T]:
    """`use_case`, begun again from its reads when somebody else wrote in between. Raises LostRace after five times."""

    @wraps(use_case)
    def until_won(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(_TRIES - 1):
            try:
                return use_case(*args, **kwargs)
            except LostRace:
                continue
        return use_case(*args, **kwargs)

    return until_won


def check_version(if_match: int | None, present: int) -> None:
    """Raises StaleVersion when the caller means to edit another version than the present one (0: nothing is there)."""
    if if_match == ANY_VERSION and not present:
        raise StaleVersion("there is nothing yet that could be edited")
    if if_match not in (None, ANY_VERSION, present):
        raise StaleVersion("somebody else changed it since you read it: read it again")


def enrolled_subject(organisation: str, token: str, *, registry: Registry) -> Subject:
    """Raises NotFound."""
    subject = registry.subject(organisation, token)
    if subject is None:
        raise NotFound("no such subject")
    return subject


def enrolled_device(organisation: str, serial: str, *, registry: Registry) -> Device:
    """Raises NotFound."""
    device = registry.device(organisation, serial)
    if device is None:
        raise NotFound("no such device")
    return device


@persistent
def put_subject(
    organisation: str,
    token: str,
    body: SubjectBody,
    *,
    if_match: int | None,
    registry: Registry,
    keys: DataKeys,
    erasures: Erasures,
    programmes: Collection[str],
    now: datetime,
) -> Subject:
    """Enrol a subject, with a key for its bytes, or change what is known of it. Said again, nothing changes.

    Raises InvalidRequest, StaleVersion, SubjectErased.
    """
    before = registry.subject(organisation, token)
    version = 0 if before is None else before.version
    if before is None:
        check_subject(token)
        if erasures.get(organisation, token) is not None:
            raise SubjectErased("whoever bore that pseudonym was erased: enrol under another one")
    wanted = body.subject(token, organisation=organisation, version=version, programmes=programmes)
    wanted = replace(wanted, data_key=None if before is None else before.data_key)
    refuse(_withdrawn_later(wanted.consent, now))
    if wanted == before:
        return wanted
    check_version(if_match, version)
    after = replace(
        wanted,
        version=version + 1,
        told_to=before.told_to if before else None,
        data_key=wanted.data_key or keys.new_data_key(organisation),
    )
    registry.put_subject(after, consent_told(before, after, now))
    return after


def _withdrawn_later(consent: Consent | None, now: datetime) -> Fault | None:
    """A withdrawal takes effect at once (P5): one for later would end today what was to go on until then."""
    if consent is None or consent.withdrawn_at is None or consent.withdrawn_at <= now + _AHEAD:
        return None
    return Fault("/consent/withdrawn_at", "not in the future: a withdrawal takes effect when it is put")


@persistent
def erase_subject(
    organisation: str, token: str, *, if_match: int | None, registry: Registry, erasures: Erasures, now: datetime
) -> Tombstone:
    """Forget a subject for good; asked again, how far that is. Raises NotFound, StaleVersion."""
    tombstone = erasures.get(organisation, token)
    if tombstone is not None:
        return tombstone
    subject = enrolled_subject(organisation, token, registry=registry)
    check_version(if_match, subject.version)
    erasures.begin(subject, now)
    return Tombstone(organisation, token, now)


def lacks(subject: Subject, *, registry: Registry, plans: CarePlans, vault: Vault, now: datetime) -> list[str]:
    """What the subject still needs to be monitored in full."""
    return missing(
        subject,
        holdings=registry.holdings(subject.organisation, subject.id),
        care_plan=plans.newest(subject.organisation, subject.id) is not None,
        contacts=vault.holds(subject.organisation, subject.id),
        now=now,
    )


def put_contacts(organisation: str, token: str, body: ContactsBody, *, registry: Registry, vault: Vault) -> None:
    """Seal where the patient and the doctor's team are told; the last word counts. Raises NotFound, InvalidRequest."""
    enrolled_subject(organisation, token, registry=registry)
    vault.seal(organisation, token, body.contacts())


def check_watched(plan: CarePlan) -> None:
    """Raises InvalidRequest for rules about silence: until `watch` runs, no clock would ever ask for them (P10)."""
    refuse(
        *(
            Fault(f"/rules/{index}/when", f"rule {rule.id}: missing_for is not watched by this release")
            for index, rule in enumerate(plan.rules)
            if rule.missing_for is not None
        )
    )


@persistent
def put_care_plan(
    organisation: str,
    token: str,
    document: str,
    *,
    if_match: int | None,
    registry: Registry,
    plans: CarePlans,
    now: datetime,
) -> tuple[PlanVersion | None, PlanVersion]:
    """The newest version before and after. The same document again makes no new version.

    Raises NotFound, InvalidRequest, StaleVersion.
    """
    enrolled_subject(organisation, token, registry=registry)
    check_watched(parse_plan(document))
    body = read(CarePlanBody, document)
    before = plans.newest(organisation, token)
    text = json.dumps(parse_once(document), ensure_ascii=False, separators=(",", ":"))
    if before is not None and before.document == text:
        return before, before
    version = 0 if before is None else before.version
    check_version(if_match, version)
    after = PlanVersion(
        version=version + 1,
        author=body.author,
        effective_from=body.effective_from,
        created_at=now,
        document=text,
    )
    plans.put(organisation, token, after)
    return before, after


def newest_care_plan(organisation: str, token: str, *, registry: Registry, plans: CarePlans) -> PlanVersion:
    """Raises NotFound."""
    enrolled_subject(organisation, token, registry=registry)
    plan = plans.newest(organisation, token)
    if plan is None:
        raise NotFound("the subject has no care plan of its own yet")
    return plan


@persistent
def put_device(
    organisation: str,
    serial: str,
    body: DeviceBody,
    *,
    if_match: int | None,
    registry: Registry,
    profiles: Mapping[str, DeviceProfile],
) -> Device:
    """Enrol a device, or change what is known of it; its assignments stay.

    Raises InvalidRequest, StaleVersion, SerialTaken when another organisation enrolled it first.
    """
    check_serial(serial)
    if registry.organisations_of([serial]).get(serial, organisation) != organisation:
        raise SerialTaken("another organisation enrolled this serial")
    before = registry.device(organisation, serial) or Device(serial, organisation, "", "medical", version=0)
    wanted = body.device(before)
    if before.version and wanted == before:
        return wanted
    check_version(if_match, before.version)
    refuse(*_device_faults(wanted, registry=registry, profiles=profiles))
    after = wanted._replace(version=before.version + 1)
    registry.put_device(after)
    return after


def _device_faults(device: Device, *, registry: Registry, profiles: Mapping[str, DeviceProfile]) -> Iterable[Fault]:
    profile = profiles.get(device.profile)
    if profile is None:
        yield Fault("/profile", f"one of {', '.join(sorted(profiles))}")
        return
    if device.device_class == "medical" and profile.device_class == "auxiliary":
        yield Fault("/class", f"a {profile.id} is no medical device")  # P2
    for field, carrier in (("/gateway", device.gateway), ("/cloud", device.cloud)):
        if carrier is not None and not _carries(device.organisation, carrier, registry=registry, profiles=profiles):
            yield Fault(field, "a gateway that was enrolled before")
    if device.roster and profile.role != "health-post":
        yield Fault("/roster", "only a health post has one")
    elif len(registry.subjects((device.organisation, one) for one in device.roster)) < len(device.roster):
        yield Fault("/roster", "subjects that are enrolled")
    taken = max((one.slot for one in device.assignments if one.slot is not None), default=0)
    if taken > profile.slots:
        yield Fault("/profile", "it tells fewer people apart than the device is assigned to")


def _carries(organisation: str, serial: str, *, registry: Registry, profiles: Mapping[str, DeviceProfile]) -> bool:
    gateway = registry.device(organisation, serial)
    return gateway is not None and profiles[gateway.profile].role != "sensor"


@persistent
def assign(
    organisation: str,
    serial: str,
    body: AssignmentBody,
    *,
    registry: Registry,
    profiles: Mapping[str, DeviceProfile],
) -> Assignment:
    """Put a device on a subject for a period; asked again, it is the same assignment.

    Raises NotFound, InvalidRequest, AssignmentOverlap, GatewayRevoked.
    """
    before = enrolled_device(organisation, serial, registry=registry)
    if registry.subject(organisation, body.subject) is None:
        refuse(Fault("/subject", "a subject that is enrolled"))
    slots = profiles[before.profile].slots
    if body.slot is not None and (slots == 1 or body.slot > slots):
        refuse(
            Fault("/slot", f"0 to {slots}, or null" if slots > 1 else "null: the device serves one person at a time")
        )
    wanted = body.assignment(before)
    after = before.assign(wanted)
    if after is not before:
        if before.revoked_at is not None:
            raise GatewayRevoked("it was revoked, for good: nobody can hold it any more")
        registry.put_assignment(after._replace(version=before.version + 1), wanted)
    return after.assignment(wanted.id)


@persistent
def end_assignment(organisation: str, serial: str, assignment: str, body: EndBody, *, registry: Registry) -> Assignment:
    """End an assignment, or correct when it ended. Raises NotFound, InvalidRequest, AssignmentOverlap."""
    before = enrolled_device(organisation, serial, registry=registry)
    after = before.end_assignment(assignment, body.to_at)
    ended = after.assignment(assignment)
    if after != before:
        registry.put_assignment(after._replace(version=before.version + 1), ended)
    return ended
