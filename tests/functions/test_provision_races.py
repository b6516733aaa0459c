"""R13, C29: whatever is asked, lost, done late or asked by somebody else, in whatever order: a serial is given once.

IoT Core is modelled at its worst: what the hook let in becomes active at any moment of the token's hour, or never.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.enrolment import Device
from domain.provisioning import TOKEN_LASTS, ProvisioningRefused, ProvisioningRequest
from functions.provision.service import provision
from tests.builders import NOW, ORGANISATION, SERIAL, a_device
from tests.fakes import FakeCertificates, FakeClaims

MAKERS = "makers"


class Enrolled:
    """adapters.registry.RegistryReader with one device."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def organisations_of(self, serials: object) -> dict[str, str]:
        return {SERIAL: ORGANISATION}

    def devices(self, keys: object) -> dict[tuple[str, str], Device]:
        return {(ORGANISATION, SERIAL): self.device}


class Devices(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.now: datetime = NOW
        self.registry = Enrolled(a_device(assignments=()))
        self.claims = FakeClaims()
        self.certificates = FakeCertificates()
        self.made: dict[str, datetime] = {}
        self.let_in: dict[str, str] = {}
        self.given_by: dict[str, set[str]] = {}

    @rule(minutes=st.sampled_from([4, 29, 61]))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.certificates.claims < 2)
    @rule()
    def ask_for_a_claim(self) -> None:
        new = replace(self.certificates.new_claim(), expires_at=self.now + timedelta(minutes=5))
        self.claims.put(new, ORGANISATION, SERIAL)

    @rule(certificate=st.sampled_from("abc"), claim=st.sampled_from([MAKERS, MAKERS, "claim-1", "claim-2"]))
    def claim(self, certificate: str, claim: str) -> None:
        """Ask with a certificate that is made now, or was made and waits for its name."""
        if claim != MAKERS and self.claims.claim(claim) is None:
            return  # nobody can connect by it
        if self.now - self.made.setdefault(certificate, self.now) > TOKEN_LASTS:
            return  # IoT Core refuses the token and does not even ask the hook
        request = ProvisioningRequest(SERIAL, "tonometer", certificate, claim)
        known = self.claims.provisioned(ORGANISATION, SERIAL)
        again = known is not None and (known.certificate, known.claim) == (certificate, claim)
        answer = self._ask(request)
        assert not again or answer in ("yes", "revoked", "expired-claim"), "a lost answer is given again"
        assert (self.registry.device.revoked_at is None) == (answer != "revoked")
        if answer == "yes":
            self.let_in.setdefault(certificate, claim)  # let in again by another claim, it is the same gift

    def _ask(self, request: ProvisioningRequest) -> str:
        try:
            provision(request, registry=self.registry, claims=self.claims, certificates=self.certificates, now=self.now)
        except ProvisioningRefused as refusal:
            return refusal.reason
        return "yes"

    @precondition(lambda self: self.let_in)
    @rule(data=st.data())
    def become_active(self, data: st.DataObject) -> None:
        certificate = data.draw(st.sampled_from(sorted(self.let_in)))
        if self.now - self.made[certificate] <= TOKEN_LASTS:
            self.certificates.status[certificate] = "ACTIVE"
            self.given_by.setdefault(self.let_in[certificate], set()).add(certificate)

    @precondition(lambda self: len(self.made) > 2)
    @rule()
    def revoke(self) -> None:
        self.registry.device = self.registry.device.revoke(self.now)

    @invariant()
    def a_claim_gives_a_serial_once(self) -> None:
        for claim, certificates in self.given_by.items():
            assert len(certificates) <= 1, f"{claim} gave the serial to {sorted(certificates)}"


TestDevices = Devices.TestCase
TestDevices.settings = settings(stateful_step_count=30)
