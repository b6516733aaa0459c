"""How a device comes to its name and loses it, over MQTT, on the deployed template."""

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from device_sim.errors import NotProvisioned
from device_sim.gateway import Broker, Gateway, Identity
from device_sim.provisioning import Claim, NewCertificate, Registrar, connects_to, over_mqtt, provision
from local.cloud import Cloud
from ops.organisation import StackOutputs, add_organisation
from pma_client import Client, Conflict, Consent, Invalid, NotFound, Observation
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

ORGANISATION = "clinic-p"
ENROLLED_AT = datetime(2026, 1, 1, tzinfo=UTC)
_numbers = count(1)


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Iterator[Client]:
    """An organisation that may revoke."""
    made = add_organisation(ORGANISATION, stack=StackOutputs.of(cloud.outputs), operate=True)
    with Client(cloud.api_url, cloud.token_url, made.client_id, made.client_secret) as api:
        api.put_subject(
            "S-PRV-1",
            programmes=["hypertension"],
            time_zone="Europe/Samara",
            language="en",
            consent=Consent(given_at=ENROLLED_AT),
        )
        yield api


@pytest.fixture
def broker(cloud: Cloud) -> Broker:
    return Broker(cloud.running.mqtt_host, cloud.running.mqtt_port, cloud.running.ca)


@pytest.fixture
def makers(cloud: Cloud) -> Claim:
    return Claim(*cloud.claim, cloud.outputs["ProvisioningTemplateName"])


def enrol(api: Client, *, profile: str = "tonometer") -> str:
    serial = f"BP-PROV-{next(_numbers):03d}"
    api.put_device(serial, profile=profile, device_class="medical")
    return serial


def provisioned(broker: Broker, claim: Claim, serial: str, folder: Path, *, profile: str = "tonometer") -> Identity:
    with over_mqtt(broker, claim, client_id=f"claim.{serial}") as registrar:
        return provision(registrar, serial=serial, profile=profile, folder=folder, connects=connects_to(broker))


def pressure(systolic: int) -> bytes:
    measured_at = datetime.now(UTC) - timedelta(seconds=30)
    values = {name: {"value": value, "unit": "mm[Hg]"} for name, value in (("systolic", systolic), ("diastolic", 80))}
    reading = {"kind": "blood-pressure", "measured_at": measured_at.isoformat(timespec="seconds"), "values": values}
    return json.dumps({"format": "pma.readings/1", "readings": [reading]}).encode()


def connected(broker: Broker, identity: Identity) -> Gateway:
    gateway = Gateway(broker, identity, clock=lambda: datetime.now(UTC))
    gateway.start()
    gateway.wait_connected(20)
    return gateway


def refused(broker: Broker, claim: Claim, serial: str, folder: Path, *, profile: str = "tonometer") -> bool:
    with pytest.raises(NotProvisioned) as refusal:
        provisioned(broker, claim, serial, folder, profile=profile)
    return refusal.value.code == "AccessDenied"


def systolic(observation: Observation) -> int:
    return int(observation.values["systolic"].value)


def test_f1_f4_r14_p7_a_device_provisions_itself_publishes_and_is_revoked(
    api: Client, broker: Broker, makers: Claim, tmp_path: Path, cloud: Cloud
) -> None:
    """Nothing that is received after the revocation is anybody's, and the session is over."""
    serial = enrol(api)
    api.assign(serial, "S-PRV-1", from_at=ENROLLED_AT)
    identity = provisioned(broker, makers, serial, tmp_path)
    gateway = connected(broker, identity)
    try:
        assert gateway.send(f"dt/pma/{serial}/readings", pressure(131)).result(20).refused is None
        eventually(lambda: [one.device for one in api.observations("S-PRV-1")] == [serial])
        assert gateway.send(f"dt/pma/{serial}/vendor/any-profile", b"{}").result(20).refused is None
        assert gateway.send(f"dt/pma/{serial}/anything-else", b"{}").result(20).refused is not None

        revoked_at = api.revoke_gateway(serial)
        (held,) = api.device(serial).assignments
        assert held.to_at == revoked_at
        eventually(lambda: not gateway.is_connected())
    finally:
        gateway.stop()
    assert not connects_to(broker)(identity)

    on_its_way = {
        "payload": base64.b64encode(pressure(133)).decode(),
        "topic": f"dt/pma/{serial}/readings",
        "client": serial,
        "received_at": int(datetime.now(UTC).timestamp() * 1000),
    }
    cloud.aws("sqs").send_message(QueueUrl=cloud.outputs["InboxQueueUrl"], MessageBody=json.dumps(on_its_way))
    eventually(lambda: "revoked-gateway" in {one.reason for one in api.quarantine() if one.thing == serial})
    assert [systolic(one) for one in api.observations("S-PRV-1")] == [131]
    with pytest.raises(Conflict, match="revoked"):
        api.claim(serial, profile="tonometer")
    assert refused(broker, makers, serial, tmp_path / "again")


def test_r13_a_serial_that_nobody_enrolled_or_of_another_profile_is_refused(
    api: Client, broker: Broker, makers: Claim, tmp_path: Path
) -> None:
    assert refused(broker, makers, "BP-NOBODYS", tmp_path)
    assert refused(broker, makers, enrol(api), tmp_path, profile="phone")


def test_r13_a_second_use_of_a_serial_is_refused_and_the_first_goes_on(
    api: Client, broker: Broker, makers: Claim, tmp_path: Path
) -> None:
    serial = enrol(api)
    first = provisioned(broker, makers, serial, tmp_path / "first")
    assert refused(broker, makers, serial, tmp_path / "second")
    assert connects_to(broker)(first)


def test_a_device_that_lost_the_answer_goes_on_with_what_it_kept(
    api: Client, broker: Broker, makers: Claim, tmp_path: Path
) -> None:
    """Registered, but the device was switched off before it knew: it need not ask again, and if it does, it may."""
    serial = enrol(api)
    with over_mqtt(broker, makers, client_id=f"claim.{serial}") as registrar:
        lossy = Lossy(registrar)
        with pytest.raises(NotProvisioned, match="switched off"):
            provision(lossy, serial=serial, profile="tonometer", folder=tmp_path, connects=connects_to(broker))
        again = provision(lossy, serial=serial, profile="tonometer", folder=tmp_path, connects=lambda _: False)
    assert connects_to(broker)(again)


class Lossy:
    """Its first registration is done, but the answer is lost."""

    def __init__(self, registrar: Registrar) -> None:
        self._registrar, self._lost = registrar, False

    def new_certificate(self) -> NewCertificate:
        return self._registrar.new_certificate()

    def register(self, token: str, parameters: Mapping[str, str]) -> None:
        self._registrar.register(token, parameters)
        if not self._lost:
            self._lost = True
            raise NotProvisioned("switched off")


def test_r13_a_claim_can_neither_publish_nor_hear_data(broker: Broker, makers: Claim, cloud: Cloud) -> None:
    claim = Identity("BP-PROV-000", makers.certificate, makers.private_key)
    gateway = connected(broker, claim)
    try:
        assert gateway.send("dt/pma/BP-PROV-000/readings", pressure(199)).result(20).refused is not None
    finally:
        gateway.stop()


def test_r15_a_phone_comes_by_a_temporary_claim_and_replaces_its_certificate_by_another(
    api: Client, broker: Broker, tmp_path: Path
) -> None:
    phone, other = enrol(api, profile="phone"), enrol(api, profile="phone")
    with pytest.raises(NotFound):
        api.claim("PHONE-NOBODYS", profile="phone")
    claim = temporary(api, phone, tmp_path)
    assert refused(broker, claim, other, tmp_path / "other", profile="phone"), "a claim is for one serial"
    old = provisioned(broker, claim, phone, tmp_path / "old", profile="phone")
    assert refused(broker, claim, phone, tmp_path / "twice", profile="phone"), "a claim is for one certificate"

    new = provisioned(broker, temporary(api, phone, tmp_path), phone, tmp_path / "new", profile="phone")
    assert connects_to(broker)(old)
    assert connects_to(broker)(new)
    assert api.keep_certificate(phone, identifier(new)) == (identifier(old),)
    assert not connects_to(broker)(old)
    assert connects_to(broker)(new)
    with pytest.raises(Invalid):
        api.keep_certificate(phone, identifier(old))


def temporary(api: Client, serial: str, folder: Path) -> Claim:
    made = api.claim(serial, profile="phone")
    certificate, private_key = folder / "temporary.pem", folder / "temporary.key"
    certificate.write_text(made.certificate)
    private_key.write_text(made.private_key)
    return Claim(certificate, private_key, made.template)


def identifier(identity: Identity) -> str:
    """IoT Core's id of a certificate: its fingerprint."""
    return x509.load_pem_x509_certificate(identity.certificate.read_bytes()).fingerprint(hashes.SHA256()).hex()
