"""The answer to a claim: may this serial have this certificate? One use, however often it is asked.

Twice: the same certificate is let in again, so a device whose answer was lost asks again with what it kept.
Late: a claim that has expired lets nobody in; a device that kept its certificate needs no second answer to connect.
Half-way: a certificate that was let in and never became active (IoT Core had a fault, the hook was too slow for it)
blocks its serial only as long as it could still be registered.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from domain.enrolment import Device
from domain.errors import LostRace
from domain.provisioning import (
    Provisioned,
    ProvisioningRefused,
    ProvisioningRequest,
    TemporaryClaim,
    check_claim,
    check_device,
    may_be_dead,
)


class Registry(Protocol):
    def organisations_of(self, serials: Iterable[str]) -> Mapping[str, str]: ...
    def devices(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Device]: ...


class Claims(Protocol):
    """What was claimed and provisioned; a write raises LostRace when another certificate came first."""

    def claim(self, claim: str) -> TemporaryClaim | None: ...
    def provisioned(self, organisation: str, serial: str) -> Provisioned | None: ...
    def provision(self, wanted: Provisioned, *, after: Provisioned | None) -> None: ...
    def use(self, claim: TemporaryClaim, wanted: Provisioned) -> None: ...


class Certificates(Protocol):
    def is_pending(self, certificate: str) -> bool:
        """True for one that never became active; one that is gone is the same."""
        ...


def asked(event: Mapping[str, Any]) -> ProvisioningRequest:
    """What IoT Core's event asks for. Raises ProvisioningRefused."""
    said = event.get("parameters")
    parameters = said if isinstance(said, Mapping) else {}
    words = [
        *(parameters.get(name) for name in ("SerialNumber", "Profile")),
        *(event.get(name) for name in ("certificateId", "claimCertificateId")),
    ]
    texts = [word for word in words if isinstance(word, str) and word]
    if len(texts) < len(words):
        raise ProvisioningRefused("malformed")
    serial, profile, certificate, claim = texts
    return ProvisioningRequest(serial=serial, profile=profile, certificate=certificate, claim=claim)


def provision(
    request: ProvisioningRequest, *, registry: Registry, claims: Claims, certificates: Certificates, now: datetime
) -> None:
    """Let this certificate have the serial's name, once and for all. Raises ProvisioningRefused."""
    device = check_device(request, _device(request.serial, registry))
    claim = claims.claim(request.claim)
    wanted = Provisioned(
        device.organisation, device.serial, request.certificate, request.claim, now, temporary=claim is not None
    )
    try:
        if claim is None:
            _by_makers_claim(wanted, claims=claims, certificates=certificates, now=now)
        else:
            check_claim(request, claim, device, now)
            claims.use(claim, wanted)
    except LostRace:
        raise ProvisioningRefused("used") from None


def _device(serial: str, registry: Registry) -> Device | None:
    organisation = registry.organisations_of([serial]).get(serial)
    if organisation is None:
        return None
    return registry.devices([(organisation, serial)]).get((organisation, serial))


def _by_makers_claim(wanted: Provisioned, *, claims: Claims, certificates: Certificates, now: datetime) -> None:
    before = claims.provisioned(wanted.organisation, wanted.serial)
    if before is not None and before.certificate == wanted.certificate:
        return
    if before is not None and not (may_be_dead(before, now) and certificates.is_pending(before.certificate)):
        raise ProvisioningRefused("used")
    claims.provision(wanted, after=before)
