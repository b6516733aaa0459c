"""The faults of the simulator, published over mTLS, become on the deployed template what `--list` says of them."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from device_sim.cohort import Patient, SimulatedDevice
from device_sim.fleet import Fleet
from device_sim.gateway import Broker, Identity
from device_sim.payload import Message
from device_sim.scenarios import SCENARIOS, Scenario
from device_sim.scene import Scene
from local.cloud import Cloud
from ops.organisation import StackOutputs, add_organisation
from pma_client import Client, Consent
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

ENROLLED_AT = datetime(2025, 12, 1, tzinfo=UTC)
FAULTS = [name for name, one in SCENARIOS.items() if one.setting.profile is not None]


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Iterator[Client]:
    """An organisation that may recall."""
    made = add_organisation("clinic-f", stack=StackOutputs.of(cloud.outputs), operate=True)
    with Client(cloud.api_url, cloud.token_url, made.client_id, made.client_secret) as api:
        yield api


class Playing:
    """A scenario whose setting is enrolled, under names of its own."""

    def __init__(self, chosen: Scenario, number: int, now: datetime) -> None:
        setting = chosen.setting
        self.setting = setting
        self.serial, self.subject, self.other = f"SC-{number:03d}", f"S-SC-{number:03d}", f"S-SO-{number:03d}"
        self.phone = f"PH-SC-{number:03d}" if setting.carried else None
        device = SimulatedDevice(self.serial, setting.profile or "tonometer", gateway=self.phone)
        zone = setting.zone or "Europe/Samara"
        self.scene = Scene(Patient(self.subject, "hypertension", zone, "en", (device,)), now, number, other="-")
        self.messages: list[Message] = chosen.messages(self.scene)
        self.expected = Counter(fate.place for message in self.messages for fate in message.becomes)
        del self.expected["repeat"]

    def enrol(self, api: Client) -> None:
        slots = self.setting.slots or (None,)
        who = (self.subject, self.other)[: len(slots)]
        for subject in who:
            api.put_subject(
                subject,
                programmes=["hypertension"],
                time_zone=self.scene.patient.time_zone,
                language="en",
                consent=Consent(given_at=ENROLLED_AT),
            )
        if self.phone is not None:
            api.put_device(self.phone, profile="phone", device_class="medical")
        profile = self.scene.device.profile
        api.put_device(self.serial, profile=profile, device_class="medical", gateway=self.phone)
        half_way = self.scene.half_way if self.setting.replaced else None
        for subject, slot in zip(who, slots, strict=True):
            api.assign(self.serial, subject, from_at=ENROLLED_AT, to_at=half_way, slot=slot)
        if half_way is not None:
            api.put_device(self.scene.successor, profile=profile, device_class="medical", gateway=self.phone)
            api.assign(self.scene.successor, self.subject, from_at=half_way)
        if self.setting.recalled:
            api.recall(mode="block", reason="reads-low", serials=(self.serial, self.serial))

    def became(self, api: Client) -> Counter[str]:
        """What the API shows of it: how many are stored, and how many set aside by reason."""
        thing = self.scene.device.thing
        aside = Counter(one.reason for one in api.quarantine() if one.thing == thing)
        who = (self.subject, self.other) if self.setting.slots else (self.subject,)
        stored = sum(1 for subject in who for _ in api.observations(subject))
        return +(aside + Counter(stored=stored))


def test_f23_f2_f4_f14_f17_r7_r18_c24_c25_c26_every_fault_becomes_what_the_simulator_says(
    cloud: Cloud, api: Client
) -> None:
    now = datetime.now(UTC) - timedelta(seconds=1)
    playing = {name: Playing(SCENARIOS[name], number, now) for number, name in enumerate(FAULTS)}
    for one in playing.values():
        one.enrol(api)
    running = cloud.running
    things = cloud.things(one.scene.device.thing for one in playing.values())
    identities = [Identity(one.name, one.certificate, one.private_key) for one in things]
    broker = Broker(running.mqtt_host, running.mqtt_port, running.ca)
    with Fleet(broker, identities, clock=lambda: datetime.now(UTC)) as fleet:
        sent = fleet.publish([message for one in playing.values() for message in one.messages], rate=50)
    assert [one for one in sent if one.receipt is None or one.receipt.refused is not None] == []
    for name, one in playing.items():
        eventually(lambda one=one: one.became(api) == one.expected or None)  # type: ignore[misc]
        assert one.became(api) == one.expected, name
