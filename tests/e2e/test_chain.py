"""The chain from a device over mTLS to people and to a hospital system, on the deployed template."""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import mis_sim.server
from device_sim.errors import NotConnected
from device_sim.gateway import Broker, Gateway, Identity
from local.cloud import ORGANISATIONS, Cloud, Doctors
from pma_client import Client, Conflict, Consent, Contact, NotFound, Observation
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

OURS, THEIRS = ORGANISATIONS
ENROLLED_AT = datetime(2026, 1, 1, tzinfo=UTC)
CONSENT = Consent(given_at=ENROLLED_AT)
_numbers = count(1)


@dataclass(frozen=True)
class Enrolled:
    """A patient of the hypertension programme with a tonometer that connects for itself."""

    subject: str
    serial: str
    phone: str


@pytest.fixture(scope="session")
def api(cloud: Cloud) -> Iterator[Client]:
    cloud.connect_mis(OURS, window_seconds=1)
    with cloud.api(OURS) as api:
        yield api


@pytest.fixture(scope="session")
def doctors(cloud: Cloud) -> "Heard":
    return Heard(cloud.doctors_of(OURS))


class Heard:
    """All that the organisation's topic said; tests share the topic, so each looks for its own subject."""

    def __init__(self, doctors: Doctors) -> None:
        self._doctors = doctors
        self._said: list[dict[str, Any]] = []

    def of(self, subject: str) -> list[dict[str, Any]]:
        while envelopes := self._doctors.receive(wait_seconds=0):
            self._said.extend(envelope["Message"] for envelope in envelopes)
        return [said for said in self._said if said["subject"] == subject]


@pytest.fixture
def patient(cloud: Cloud, api: Client) -> Enrolled:
    return enrol(api)


def enrol(api: Client, *, consent: Consent | None = CONSENT) -> Enrolled:
    number = next(_numbers)
    one = Enrolled(f"S-E2E-{number:03d}", f"BP-E2E-{number:03d}", f"+1500556{number:04d}")
    api.put_subject(one.subject, programmes=["hypertension"], time_zone="Europe/Samara", language="en", consent=consent)
    api.put_contacts(
        one.subject, patient=[Contact(channel="sms", address=one.phone)], doctor=[Contact(channel="topic")]
    )
    api.put_device(one.serial, profile="tonometer", device_class="medical")
    api.assign(one.serial, one.subject, from_at=ENROLLED_AT)
    return one


def pressure(systolic: object, diastolic: object, *, ago: timedelta = timedelta(minutes=1)) -> dict[str, Any]:
    return {
        "kind": "blood-pressure",
        "measured_at": (datetime.now(UTC) - ago).isoformat(timespec="seconds"),
        "values": {
            "systolic": {"value": systolic, "unit": "mm[Hg]"},
            "diastolic": {"value": diastolic, "unit": "mm[Hg]"},
        },
    }


def message(*readings: dict[str, Any]) -> bytes:
    return json.dumps({"format": "pma.readings/1", "readings": readings}).encode()


class Device:
    """A connected thing. `publish` returns why the broker refused, None where it took the message over."""

    def __init__(self, thing: str, gateway: Gateway) -> None:
        self._thing, self._gateway = thing, gateway

    def publish(self, body: bytes, *, under: str | None = None) -> str | None:
        topic = f"dt/pma/{under or self._thing}/readings"
        return self._gateway.send(topic, body).result(timeout=20).refused


@contextmanager
def connected(cloud: Cloud, thing: str, *, trusts: Path | None = None, seconds: float = 20) -> Iterator[Device]:
    (made,) = cloud.things([thing])
    running = cloud.running
    gateway = Gateway(
        Broker(running.mqtt_host, running.mqtt_port, trusts or running.ca),
        Identity(made.name, made.certificate, made.private_key),
        clock=lambda: datetime.now(UTC),
    )
    gateway.start()
    try:
        gateway.wait_connected(seconds)
        yield Device(thing, gateway)
    finally:
        gateway.stop()


def stored(api: Client, who: Enrolled) -> list[Observation]:
    return list(api.observations(who.subject))


def systolic(observation: Observation) -> int:
    return int(observation.values["systolic"].value)


def test_f1_f2_f7_f8_f12_p4_a_reading_becomes_an_observation_an_alert_two_notifications_and_a_verified_delivery(
    cloud: Cloud, api: Client, doctors: Heard, patient: Enrolled
) -> None:
    with connected(cloud, patient.serial) as device:
        assert device.publish(message(pressure(191, 104))) is None
    (observation,) = eventually(lambda: stored(api, patient))
    assert (observation.device, systolic(observation), observation.tags) == (patient.serial, 191, ())

    alerts = eventually(lambda: list(api.alerts(patient.subject)))
    assert {alert.severity for alert in alerts} == {"critical"}
    assert {alert.observation for alert in alerts} == {observation.id}

    told = eventually(lambda: doctors.of(patient.subject))
    assert {said["role"] for said in told} == {"doctor"}
    texts = eventually(lambda: cloud.sms_to(patient.phone))
    assert not [text for text in [*texts, *(said["text"] for said in told)] if "191" in text or "104" in text]

    def delivered() -> set[str]:
        return {one["id"] for one in (*cloud.mis.observations(), *cloud.mis.flags())}

    eventually(lambda: {observation.id, *(alert.id for alert in alerts)} <= delivered())
    assert cloud.mis.problems() == []
    assert cloud.mis.counts()["gaps"] == 0


def test_f6_f7_every_reading_has_its_why_and_a_plan_is_tried_on_the_past(
    cloud: Cloud, api: Client, patient: Enrolled
) -> None:
    with connected(cloud, patient.serial) as device:
        device.publish(message(pressure(121, 79, ago=timedelta(minutes=9)), pressure(191, 104)))
    eventually(lambda: list(api.alerts(patient.subject)))
    normal, crisis = sorted(stored(api, patient), key=systolic)
    decided = {one.observation: one for one in api.decisions(patient.subject)}
    assert (decided[normal.id].kept, decided[crisis.id].kept) == (False, True)
    assert {one.why for one in decided[normal.id].rules} == {"within-limits"}
    (told,) = (one for one in decided[crisis.id].rules if one.rule == "systolic-crisis")
    assert (told.before, told.after, told.why) == ("idle", "confirming", None)
    limit = {"at_or_above": {"value": 200, "unit": "mm[Hg]"}}
    rule = {"id": "high", "kind": "blood-pressure", "value": "systolic", "severity": "critical", "when": limit}
    tried = api.try_care_plan(patient.subject, {"rules": [rule]}, days=1)
    assert (tried.readings, tried.alerts, tried.current.alerts) == (2, 0, 1)


def test_f10_f15_what_is_derived_of_a_week_reaches_the_hospital_again_when_a_reading_comes_late(
    cloud: Cloud, api: Client, patient: Enrolled
) -> None:
    def derived() -> list[tuple[str, int]]:
        """The code and number of readings of each value that the hospital holds of the patient's weeks."""
        return sorted(
            (one["code"]["coding"][0]["code"], extension["valueInteger"])
            for one in cloud.mis.observations()
            if one["subject"]["identifier"]["value"] == patient.subject and "effectivePeriod" in one
            for extension in one["extension"]
            if extension["url"].endswith(":count")
        )

    ages = [timedelta(days=15, minutes=minutes) for minutes in range(13)]
    with connected(cloud, patient.serial) as device:
        device.publish(message(*(pressure(130, 80, ago=age) for age in ages[:12])))
        eventually(lambda: ("days-transmitted", 12) in derived(), within=40)
        device.publish(message(pressure(130, 80, ago=ages[12])))
        eventually(lambda: ("days-transmitted", 13) in derived() and ("96607-7", 0) in derived(), within=40)
    assert ("days-transmitted", 12) not in derived()
    days = next(one for one in api.summary(patient.subject) if one.kind == "days-transmitted")
    assert days.count == 13
    assert cloud.mis.problems() == []


def test_f13_r5_r8_the_same_message_three_times_changes_nothing(
    cloud: Cloud, api: Client, doctors: Heard, patient: Enrolled
) -> None:
    again, last = message(pressure(188, 101)), message(pressure(121, 79, ago=timedelta(seconds=5)))
    with connected(cloud, patient.serial) as device:
        for _ in range(3):
            device.publish(again)
        eventually(lambda: doctors.of(patient.subject))
        before = list(api.alerts(patient.subject)), len(doctors.of(patient.subject))
        device.publish(again)
        device.publish(last)
        eventually(lambda: len(stored(api, patient)) == 2)
    assert sorted(map(systolic, stored(api, patient))) == [121, 188]
    assert {alert.id for alert in api.alerts(patient.subject)} == {alert.id for alert in before[0]}
    assert len(cloud.sms_to(patient.phone)) == len({alert.id for alert in before[0]})


def test_r17_r22_a_poison_message_is_quarantined_and_its_neighbours_pass(
    cloud: Cloud, api: Client, patient: Enrolled
) -> None:
    broken = b'{"format": "pma.readings/1", "readings": [\xff\xfe'
    with connected(cloud, patient.serial) as device:
        device.publish(message(pressure(122, 80, ago=timedelta(minutes=3))))
        device.publish(broken)
        device.publish(message(pressure(12, 80, ago=timedelta(minutes=2)), pressure(124, 82)))
    eventually(lambda: len(stored(api, patient)) == 2)
    assert sorted(map(systolic, stored(api, patient))) == [122, 124]

    def set_aside() -> dict[str, bytes | None]:
        return {one.reason: one.payload for one in api.quarantine() if one.thing == patient.serial}

    eventually(lambda: set(set_aside()) == {"malformed", "implausible"})
    assert set_aside()["malformed"] == broken


def test_f3_r9_r10_a_device_under_anothers_name_is_refused(cloud: Cloud, api: Client, patient: Enrolled) -> None:
    victim = enrol(api)
    with connected(cloud, patient.serial) as device:
        assert device.publish(message(pressure(199, 120)), under=victim.serial) is not None
    with connected(cloud, patient.serial) as device:
        assert device.publish(message(pressure(123, 81))) is None
    eventually(lambda: stored(api, patient))
    assert stored(api, victim) == []
    assert [one for one in api.quarantine() if one.thing == victim.serial] == []


@pytest.mark.parametrize("shows", [True, False], ids=["with a certificate", "without one"])
def test_a_client_without_a_certificate_is_refused(cloud: Cloud, shows: bool) -> None:
    name = f"BP-E2E-{next(_numbers):03d}"
    context = ssl.create_default_context(cafile=str(cloud.running.ca))
    context.check_hostname = False
    if shows:
        (thing,) = cloud.things([name])
        context.load_cert_chain(thing.certificate, thing.private_key)
    answer = b""
    with (
        closing(socket.create_connection((cloud.running.mqtt_host, cloud.running.mqtt_port), timeout=5)) as raw,
        suppress(ssl.SSLError, ConnectionError),
        context.wrap_socket(raw) as tls,
    ):
        tls.sendall(mqtt_connect(name))
        answer = tls.recv(4)
    assert (answer[:1] == b"\x20") is shows, "a CONNACK is for those who showed a certificate"


def test_r16_a_set_of_authorities_outlives_a_change_of_the_brokers(cloud: Cloud, tmp_path: Path) -> None:
    """A device that trusts a set connects though one of it alone signed the broker; with another alone none does."""
    trusted, name = tmp_path / "authorities.pem", f"BP-E2E-{next(_numbers):03d}"
    trusted.write_text(another_authority())
    with pytest.raises(NotConnected), connected(cloud, name, trusts=trusted, seconds=2):
        pass
    trusted.write_text(another_authority() + cloud.running.ca.read_text())
    with connected(cloud, name, trusts=trusted) as device:
        assert device.publish(message(pressure(120, 80))) is None


def another_authority() -> str:
    """The certificate of an authority that signed nothing here."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Other")])
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=ENROLLED_AT,
        not_valid_after=ENROLLED_AT + timedelta(days=3650),
    ).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def mqtt_connect(client_id: str) -> bytes:
    """MQTT 5's CONNECT packet: clean start, a minute's keep-alive, no properties."""
    rest = b"\x00\x04MQTT\x05\x02\x00\x3c\x00" + len(client_id).to_bytes(2, "big") + client_id.encode()
    return b"\x10" + bytes([len(rest)]) + rest


def test_p5_without_consent_a_reading_is_set_aside_unread(cloud: Cloud, api: Client) -> None:
    nobody = enrol(api, consent=None)
    with connected(cloud, nobody.serial) as device:
        device.publish(message(pressure(190, 110)))
    (quarantined,) = eventually(lambda: [one for one in api.quarantine() if one.thing == nobody.serial])
    assert (quarantined.reason, quarantined.payload) == ("no-consent", None)
    assert stored(api, nobody) == []
    assert cloud.sms_to(nobody.phone) == []


def test_p7_a_late_reading_belongs_to_whoever_held_the_device_then(
    cloud: Cloud, api: Client, patient: Enrolled
) -> None:
    successor = enrol(api)
    (assignment,) = api.device(patient.serial).assignments
    handed_on_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    api.end_assignment(patient.serial, assignment.id, to_at=handed_on_at)
    api.assign(patient.serial, successor.subject, from_at=handed_on_at)
    with connected(cloud, patient.serial) as device:
        device.publish(message(pressure(126, 83), pressure(129, 84, ago=timedelta(hours=2))))
    assert [systolic(one) for one in eventually(lambda: stored(api, patient))] == [129]
    assert [systolic(one) for one in eventually(lambda: stored(api, successor))] == [126]


def test_c27_r81_another_organisation_sees_nothing(cloud: Cloud, api: Client, patient: Enrolled) -> None:
    with cloud.api(THEIRS) as foreign:
        for look in (
            lambda: foreign.subject(patient.subject),
            lambda: foreign.device(patient.serial),
            lambda: list(foreign.observations(patient.subject)),
            lambda: list(foreign.alerts(patient.subject)),
        ):
            with pytest.raises(NotFound):
                look()
        assert [one for one in foreign.quarantine() if one.thing == patient.serial] == []


def test_c32_what_a_hospital_missed_comes_in_order_when_it_is_back(
    cloud: Cloud, api: Client, patient: Enrolled
) -> None:
    with mis_sim.server.start() as gone:
        port = gone.port
    secret = api.put_endpoint("mis-gone", url=gone.url, window_seconds=1).secret
    assert secret
    with connected(cloud, patient.serial) as device:
        for minutes in (9, 6, 3):
            device.publish(message(pressure(120 + minutes, 80, ago=timedelta(minutes=minutes))))
            eventually(lambda: len(stored(api, patient)) == {9: 1, 6: 2, 3: 3}[minutes])  # noqa: B023 - run at once
    eventually(lambda: [one for one in api.attempts("mis-gone") if one.status is None])
    with mis_sim.server.start(port=port, secrets=[secret]) as back:
        wanted = {one.id for one in stored(api, patient)}
        eventually(lambda: wanted <= {one["id"] for one in back.observations()}, within=40)
        assert (back.counts()["gaps"], back.problems()) == (0, [])
        api.delete_endpoint("mis-gone")


def test_p5_r90_r91_who_withdraws_is_left_alone_and_who_is_erased_is_forgotten(
    cloud: Cloud, api: Client, patient: Enrolled
) -> None:
    def told() -> list[tuple[str, int]]:
        """What the hospital holds of the patient's consent: its state, and how much its extensions say."""
        return [
            (one["status"], len(one["extension"]))
            for one in cloud.mis.store.resources("Consent")
            if one["patient"]["identifier"]["value"] == patient.subject
        ]

    with connected(cloud, patient.serial) as device:
        device.publish(message(pressure(191, 104)))
        eventually(lambda: list(api.alerts(patient.subject)))
        eventually(lambda: told() == [("active", 1)])
        withdrawn = Consent(given_at=ENROLLED_AT, withdrawn_at=datetime.now(UTC))
        api.put_subject(
            patient.subject, programmes=["hypertension"], time_zone="Europe/Samara", language="en", consent=withdrawn
        )
        eventually(lambda: told() == [("inactive", 1)])
        device.publish(message(pressure(192, 105, ago=timedelta())))
        refused = eventually(lambda: [one for one in api.quarantine() if one.thing == patient.serial])
        assert [(one.reason, one.payload) for one in refused] == [("no-consent", None)]
        assert len(stored(api, patient)) == 1

    assert api.erase_subject(patient.subject).state == "erasing"
    with pytest.raises(NotFound):
        api.subject(patient.subject)
    eventually(lambda: told() == [("inactive", 2)])
    found = eventually(lambda: api.erase_subject(patient.subject).found)
    assert set(found) >= {"registry", "devices", "contacts", "observations", "alerts"}
    assert api.device(patient.serial).assignments == ()
    with pytest.raises(Conflict):
        api.put_subject(patient.subject, programmes=[], time_zone="UTC", language="en", consent=None)
    assert cloud.mis.counts()["gaps"] == 0
