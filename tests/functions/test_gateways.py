"""Claims, replaced certificates and revocation over the API, and by the typed client."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.aws import client as aws_client
from adapters.claims import Claims
from adapters.iot import ThingCertificates
from adapters.registry import Registry
from domain.enrolment import Device
from domain.errors import LostRace
from domain.provisioning import TemporaryClaim
from functions.registry.gatekeeping import revoke
from functions.registry.wiring import wired
from pma_client import Conflict, Invalid, NotFound
from tests.builders import NOW, an_assignment
from tests.fakes import FakeCertificates, FakeEnrolled
from tests.in_process import InProcess, api

FIRST, SECOND, THIRD = (letter * 64 for letter in "abc")
FROM = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with api() as started:
        yield started


@pytest.fixture
def certificates() -> FakeCertificates:
    return FakeCertificates()


@pytest.fixture
def pma(running: InProcess, certificates: FakeCertificates) -> Iterator[InProcess]:
    """The API with a phone of clinic-a."""
    running.forget()
    with running.wired(certificates=certificates):
        running.client().put_device("PHONE-1", profile="phone", device_class="medical")
        yield running


def test_a_claim_is_for_the_serial_that_asked_for_it(pma: InProcess, certificates: FakeCertificates) -> None:
    claim = pma.client().claim("PHONE-1", profile="phone")
    assert (claim.certificate, claim.private_key, claim.template) == (
        "a certificate",
        "a private key",
        "pma-test-devices",
    )
    assert "a private key" not in repr(claim)
    kept = Claims(aws_client("dynamodb"), "registry").claim("claim-1")
    assert kept == TemporaryClaim("claim-1", "clinic-a", "PHONE-1", claim.expires_at)
    assert "a private key" not in str(aws_client("dynamodb").scan(TableName="registry")["Items"])
    assert claim.expires_at - NOW == timedelta(minutes=5)


def test_a_makers_claim_is_nobodys_temporary_one(pma: InProcess) -> None:
    assert Claims(aws_client("dynamodb"), "registry").claim("makers") is None
    assert Claims(aws_client("dynamodb"), "registry").provisioned("clinic-a", "PHONE-1") is None


def test_no_claim_for_what_is_not_enrolled_as_such(pma: InProcess, certificates: FakeCertificates) -> None:
    with pytest.raises(NotFound):
        pma.client().claim("PHONE-2", profile="phone")
    with pytest.raises(NotFound):
        pma.client("client-b").claim("PHONE-1", profile="phone")
    with pytest.raises(Invalid) as refusal:
        pma.client().claim("PHONE-1", profile="tonometer")
    assert [fault.field for fault in refusal.value.faults] == ["/profile"]
    assert certificates.claims == 0


def test_a_replaced_certificate_is_retired_when_the_new_one_is_named(
    pma: InProcess, certificates: FakeCertificates
) -> None:
    for one in (FIRST, SECOND, THIRD):
        certificates.give("PHONE-1", one)
    assert pma.client().keep_certificate("PHONE-1", SECOND) == (FIRST, THIRD)
    assert certificates.status == {FIRST: "INACTIVE", SECOND: "ACTIVE", THIRD: "INACTIVE"}
    assert pma.client().keep_certificate("PHONE-1", SECOND) == (FIRST, THIRD), "again, the same"


def test_a_gateway_cannot_be_cut_off_by_keeping_what_it_does_not_use(
    pma: InProcess, certificates: FakeCertificates
) -> None:
    certificates.give("PHONE-1", FIRST)
    certificates.give("PHONE-1", SECOND, "INACTIVE")
    certificates.give("PHONE-2", THIRD)
    for wrong in (SECOND, THIRD, "x" * 64, ""):
        with pytest.raises(Invalid) as refusal:
            pma.client().keep_certificate("PHONE-1", wrong)
        assert [fault.field for fault in refusal.value.faults] == ["/certificate"]
    assert certificates.status[FIRST] == "ACTIVE"


def enrol(pma: InProcess) -> None:
    """A tonometer that connects for itself: held by one person until yesterday, by another since, by a third soon."""
    mis = pma.client()
    for subject in ("S-1", "S-2", "S-3"):
        mis.put_subject(subject, programmes=[], time_zone="UTC", language="en", consent=None)
    mis.put_device("BP-1", profile="tonometer", device_class="medical")
    now = datetime.now(UTC)
    mis.assign("BP-1", "S-1", from_at=FROM, to_at=now - timedelta(days=1))
    mis.assign("BP-1", "S-2", from_at=now - timedelta(days=1), to_at=now + timedelta(days=1))
    mis.assign("BP-1", "S-3", from_at=now + timedelta(days=1))


def test_r14_a_revocation_ends_certificates_and_assignments_at_once(
    pma: InProcess, certificates: FakeCertificates
) -> None:
    enrol(pma)
    certificates.give("BP-1", FIRST)
    before = pma.client().device("BP-1")
    revoked_at = pma.client().revoke_gateway("BP-1")
    assert abs(revoked_at - datetime.now(UTC)) < timedelta(minutes=1)
    past, present, future = pma.client().device("BP-1").assignments
    assert past == before.assignments[0]
    assert present.to_at == revoked_at
    assert future.to_at == future.from_at, "who would have held it from tomorrow on, never did"
    assert certificates.status == {FIRST: "INACTIVE"}
    assert (before.revoked_at, pma.client().device("BP-1").revoked_at) == (None, revoked_at)
    held = [one.to_at for one in wired().registry.holdings("clinic-a", "S-2")]
    assert held == [revoked_at]


def test_nobody_can_be_put_on_what_was_revoked(pma: InProcess) -> None:
    enrol(pma)
    pma.client().revoke_gateway("BP-1")
    again = pma.client().assign("BP-1", "S-1", from_at=FROM)
    assert again.to_at is not None, "what was asked for before is what it was"
    with pytest.raises(Conflict) as refusal:
        pma.client().assign("BP-1", "S-1", from_at=datetime.now(UTC) + timedelta(days=9))
    assert refusal.value.code == "gateway-revoked"


def test_a_revoked_gateway_comes_back_by_no_claim(pma: InProcess, certificates: FakeCertificates) -> None:
    certificates.give("PHONE-1", FIRST)
    pma.client().revoke_gateway("PHONE-1")
    for attempt in (
        lambda: pma.client().claim("PHONE-1", profile="phone"),
        lambda: pma.client().keep_certificate("PHONE-1", FIRST),
    ):
        with pytest.raises(Conflict) as refusal:
            attempt()
        assert refusal.value.code == "gateway-revoked"
    pma.client().put_device("PHONE-1", profile="phone", device_class="medical", lot="L9")
    with pytest.raises(Conflict):
        pma.client().claim("PHONE-1", profile="phone")


def test_half_way_a_revocation_is_finished_by_asking_again_and_keeps_its_time() -> None:
    registry, certificates = FakeEnrolled(), FakeCertificates(breaks_at=SECOND)
    registry.put_device(Device("BP-1", "clinic-a", "tonometer", "medical", version=1))
    for one in (FIRST, SECOND):
        certificates.give("BP-1", one)

    def ask(at: datetime) -> datetime:
        return revoke("clinic-a", "BP-1", registry=registry, certificates=certificates, now=at)

    with pytest.raises(RuntimeError):
        ask(NOW)
    assert certificates.is_active(SECOND)
    assert registry.device("clinic-a", "BP-1").revoked_at == NOW  # type: ignore[union-attr]
    assert ask(NOW + timedelta(hours=1)) == NOW
    assert not certificates.is_active(SECOND)
    assert registry.device("clinic-a", "BP-1").version == 2  # type: ignore[union-attr]


def test_a_revocation_that_meets_an_edit_ends_what_was_just_assigned(pma: InProcess) -> None:
    class Meddled(FakeEnrolled):
        met = False

        def put_assignments(self, device: Device, assignments: Any) -> None:
            if not self.met:
                self.met = True
                before = self.device("clinic-a", "BP-1")
                assert before is not None
                late = an_assignment(id="late")
                self.put_assignment(before.assign(late)._replace(version=before.version + 1), late)
            super().put_assignments(device, assignments)

    registry = Meddled()
    registry.put_device(Device("BP-1", "clinic-a", "tonometer", "medical", version=1))
    revoke("clinic-a", "BP-1", registry=registry, certificates=FakeCertificates(), now=NOW)
    device = registry.device("clinic-a", "BP-1")
    assert device is not None
    assert [one.to_at for one in device.assignments] == [NOW]


def test_the_api_is_wired_to_iot_core(running: InProcess) -> None:
    assert isinstance(wired().certificates, ThingCertificates)
    assert wired().certificates.template == "pma-test-devices"


@pytest.mark.parametrize("count", [0, 3])
def test_assignments_are_written_with_their_device_or_not_at_all(pma: InProcess, count: int) -> None:
    registry = Registry(aws_client("dynamodb"), "registry")
    registry.put_device(Device("BP-2", "clinic-a", "tonometer", "medical", version=1))
    ones = tuple(an_assignment(id=f"a-{number}") for number in range(count))
    device = Device("BP-2", "clinic-a", "tonometer", "medical", version=2, assignments=ones)
    registry.put_assignments(device, ones)
    assert len(registry.holdings("clinic-a", ones[0].subject) if ones else []) == count
    with pytest.raises(LostRace):
        registry.put_assignments(device, (an_assignment(id="late"),))
