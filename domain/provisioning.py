"""How a device comes to its name: who may provision which serial, and that it is done once.

A claim lets its holder ask; the hook answers. A maker's claim is one certificate in all of its devices, so it may be
read out of any of them (R13): it provisions a serial that is enrolled, with its own profile, and only once. A temporary
claim is asked for by the organisation that enrolled the serial: it is good for that serial alone, for minutes and for
one certificate, but also where the serial was provisioned before: a phone that was set up anew, a certificate that is
replaced.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from domain.enrolment import Device
from domain.errors import PmaError

Reason: TypeAlias = Literal[
    "malformed", "unknown-serial", "other-profile", "revoked", "used", "expired-claim", "other-serials-claim"
]

TOKEN_LASTS = timedelta(hours=1)
"""How long a new certificate may wait for its name; later it can never be registered any more (IoT Core's limit)."""


class ProvisioningRefused(PmaError):
    """The hook lets nobody in. `reason` is for the operator's log: IoT Core tells the device no more than no."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class ProvisioningRequest:
    """What IoT Core hands to the hook: certificates by their ids, a claim by its certificate's."""

    serial: str
    profile: str
    certificate: str
    claim: str


@dataclass(frozen=True, slots=True)
class TemporaryClaim:
    """A claim for one serial; `used_for` is the certificate that it was used for."""

    id: str
    organisation: str
    serial: str
    expires_at: datetime
    used_for: str | None = None


@dataclass(frozen=True, slots=True)
class NewClaim:
    """A temporary claim as it was made: PEM texts that are handed out once and kept nowhere here."""

    id: str
    certificate: str
    private_key: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The certificate that a device was last let have, by which claim and when."""

    organisation: str
    serial: str
    certificate: str
    claim: str
    at: datetime
    temporary: bool = False
    """By a temporary claim. From then on makers' claims are shut: which of them was used before is no longer known."""


def check_device(request: ProvisioningRequest, device: Device | None) -> Device:
    """The device, if it may have a certificate. Raises ProvisioningRefused."""
    if device is None:
        raise ProvisioningRefused("unknown-serial")
    if device.profile != request.profile:
        raise ProvisioningRefused("other-profile")
    if device.revoked_at is not None:
        raise ProvisioningRefused("revoked")
    return device


def check_claim(request: ProvisioningRequest, claim: TemporaryClaim, device: Device, now: datetime) -> None:
    """That a temporary claim is good for this request; said again, it is good again. Raises ProvisioningRefused."""
    if (claim.organisation, claim.serial) != (device.organisation, device.serial):
        raise ProvisioningRefused("other-serials-claim")
    if now > claim.expires_at:
        raise ProvisioningRefused("expired-claim")
    if claim.used_for not in (None, request.certificate):
        raise ProvisioningRefused("used")


def may_be_dead(before: Provisioned, now: datetime) -> bool:
    """Whether a maker's claim may be used again if that certificate is not active: it can never become so any more."""
    return not before.temporary and now - before.at > TOKEN_LASTS
