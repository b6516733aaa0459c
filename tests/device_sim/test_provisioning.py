"""How a device comes to its certificate: each way in which it can be interrupted, it goes on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from device_sim.errors import NotProvisioned
from device_sim.gateway import Identity
from device_sim.provisioning import NewCertificate, forget, provision

SERIAL = "BP-00017"


@dataclass
class FakeRegistrar:
    """IoT Core with its hook: a serial once, for one certificate; `loses` is what it does and whose answer is lost."""

    loses: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    made: list[NewCertificate] = field(default_factory=list)
    registered: dict[str, str] = field(default_factory=dict)
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def new_certificate(self) -> NewCertificate:
        number = len(self.made) + 1
        self.made.append(NewCertificate(f"id-{number}", f"PEM {number}", f"key {number}", f"token-{number}"))
        if "new_certificate" in self.loses:
            self.loses.remove("new_certificate")
            raise NotProvisioned("nobody answered")
        return self.made[-1]

    def register(self, token: str, parameters: Mapping[str, str]) -> None:
        self.asked.append(parameters)
        if token in self.dead:
            raise NotProvisioned("the token is invalid", "InvalidCertificateOwnershipToken")
        if self.registered.setdefault(parameters["SerialNumber"], token) != token:
            raise NotProvisioned("no", "AccessDenied")
        if "register" in self.loses:
            self.loses.remove("register")
            raise NotProvisioned("nobody answered")


@dataclass
class Device:
    folder: Path
    registrar: FakeRegistrar = field(default_factory=FakeRegistrar)
    tries: int = 0

    def provision(self) -> Identity:
        return provision(
            self.registrar, serial=SERIAL, profile="tonometer", folder=self.folder, connects=self._connects
        )

    def _connects(self, identity: Identity) -> bool:
        """Whether what it has kept is what the broker knows."""
        self.tries += 1
        token = self.registrar.registered.get(identity.thing)
        return identity.certificate.read_text() in {
            one.certificate for one in self.registrar.made if one.token == token
        }


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "things")


def test_a_device_fetches_a_certificate_and_registers_it(device: Device) -> None:
    identity = device.provision()
    assert identity == Identity(SERIAL, device.folder / f"{SERIAL}.pem", device.folder / f"{SERIAL}.key")
    assert (identity.certificate.read_text(), identity.private_key.read_text()) == ("PEM 1", "key 1")
    assert identity.private_key.stat().st_mode & 0o077 == 0
    assert device.registrar.asked == [{"SerialNumber": SERIAL, "Profile": "tonometer"}]
    assert sorted(path.name for path in device.folder.iterdir()) == [f"{SERIAL}.key", f"{SERIAL}.pem"]


def test_a_device_that_has_a_certificate_asks_nobody(device: Device) -> None:
    first = device.provision()
    assert device.provision() == first
    assert (len(device.registrar.made), len(device.registrar.asked), device.tries) == (1, 1, 0)


def test_a_device_that_lost_the_answer_sees_by_connecting_that_it_was_registered(device: Device) -> None:
    device.registrar.loses = {"register"}
    with pytest.raises(NotProvisioned):
        device.provision()
    identity = device.provision()
    assert identity.certificate.read_text() == "PEM 1"
    assert (len(device.registrar.made), len(device.registrar.asked), device.tries) == (1, 1, 1)
    assert device.provision() == identity


def test_a_device_that_was_not_registered_goes_on_with_the_same_certificate(device: Device) -> None:
    device.registrar.registered[SERIAL] = "somebody's"
    with pytest.raises(NotProvisioned) as refusal:
        device.provision()
    assert refusal.value.code == "AccessDenied"
    assert not (device.folder / f"{SERIAL}.pem").exists()
    del device.registrar.registered[SERIAL]
    assert device.provision().certificate.read_text() == "PEM 1"
    assert device.tries == 1


def test_a_device_that_waited_too_long_begins_again(device: Device) -> None:
    device.registrar.dead = {"token-1"}
    with pytest.raises(NotProvisioned):
        device.provision()
    assert list(device.folder.iterdir()) == []
    assert device.provision().certificate.read_text() == "PEM 2"


def test_a_device_that_lost_its_new_certificate_asks_for_another(device: Device) -> None:
    device.registrar.loses = {"new_certificate"}
    with pytest.raises(NotProvisioned):
        device.provision()
    assert device.provision().certificate.read_text() == "PEM 2"


def test_what_is_kept_before_registering_is_all_or_nothing_and_the_devices_own(device: Device) -> None:
    device.registrar.loses = {"register"}
    with pytest.raises(NotProvisioned):
        device.provision()
    (pending,) = device.folder.iterdir()
    assert set(json.loads(pending.read_text())) == {"id", "certificate", "private_key", "token"}
    assert pending.stat().st_mode & 0o077 == 0


def test_a_device_that_forgets_is_new(device: Device) -> None:
    forget(device.provision())
    device.registrar.registered.clear()
    assert device.provision().certificate.read_text() == "PEM 2"
