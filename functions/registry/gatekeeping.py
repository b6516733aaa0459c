"""Claims, replaced certificates and revocation: use cases over ports, no AWS."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.enrolment import Assignment, Device
from domain.errors import Fault, GatewayRevoked, InvalidRequest
from domain.provisioning import NewClaim
from domain.request import ClaimBody, KeepBody
from functions.registry.service import Registry as Enrolled
from functions.registry.service import enrolled_device, persistent


class Registry(Enrolled, Protocol):
    def put_assignments(self, device: Device, assignments: tuple[Assignment, ...]) -> None: ...


class Certificates(Protocol):
    """The certificates of things."""

    def new_claim(self) -> NewClaim: ...
    def of(self, thing: str) -> Sequence[str]: ...
    def is_active(self, certificate: str) -> bool: ...
    def retire(self, certificate: str) -> None: ...


class Claims(Protocol):
    def put(self, claim: NewClaim, organisation: str, serial: str) -> None: ...


def claim(
    organisation: str, body: ClaimBody, *, registry: Registry, certificates: Certificates, claims: Claims
) -> NewClaim:
    """A new temporary claim for a serial that is enrolled, whether or not it was provisioned before.

    It is noted before it is handed out: one that nobody could note is of no use, and nobody has it. Raises NotFound,
    InvalidRequest, GatewayRevoked.
    """
    device = _in_service(organisation, body.serial, registry=registry)
    if device.profile != body.profile:
        raise InvalidRequest(Fault("/profile", "the profile that the device was enrolled with"))
    made = certificates.new_claim()
    claims.put(made, organisation, device.serial)
    return made


def keep(
    organisation: str, thing: str, body: KeepBody, *, registry: Registry, certificates: Certificates
) -> tuple[str, ...]:
    """Retire every certificate of a thing but the one that it has shown to connect with; the ids of those that went.

    Raises NotFound, GatewayRevoked, InvalidRequest when the one to be kept is not in use: that would cut the thing off.
    """
    device = _in_service(organisation, thing, registry=registry)
    known = certificates.of(device.serial)
    if body.certificate not in known or not certificates.is_active(body.certificate):
        raise InvalidRequest(Fault("/certificate", "the id of an active certificate of this gateway"))
    others = tuple(one for one in known if one != body.certificate)
    for one in others:
        certificates.retire(one)
    return others


def revoke(organisation: str, thing: str, *, registry: Registry, certificates: Certificates, now: datetime) -> datetime:
    """Put a gateway out of service for good, and end what it is assigned to; since when it is so (R14).

    First the registry, by which ingest refuses whatever still comes; then the certificates. Asked again, whatever a
    revocation that was broken off left over is done, and its time stays. Raises NotFound.
    """
    device = _revoked(organisation, thing, registry=registry, now=now)
    for one in certificates.of(device.serial):
        certificates.retire(one)
    return device.revoked_at or now


@persistent
def _revoked(organisation: str, thing: str, *, registry: Registry, now: datetime) -> Device:
    before = enrolled_device(organisation, thing, registry=registry)
    after = before.revoke(now)
    if after is not before:
        ended = tuple(one for one in after.assignments if one not in before.assignments)
        registry.put_assignments(after._replace(version=before.version + 1), ended)
    return after


def _in_service(organisation: str, serial: str, *, registry: Registry) -> Device:
    device = enrolled_device(organisation, serial, registry=registry)
    if device.revoked_at is not None:
        raise GatewayRevoked("it was revoked, for good: enrol another")
    return device
