"""What a device does wrong becomes what `python -m device_sim --list` says, by the ingest that is deployed."""

from collections import Counter
from datetime import timedelta

import pytest

from adapters.catalogue import profiles
from device_sim.cohort import Patient, SimulatedDevice
from device_sim.faults import RESET_TO
from device_sim.payload import Message
from device_sim.scenarios import RETURN_RATE, SCENARIOS, Scenario
from device_sim.scene import Scene
from domain.enrolment import Assignment, Consent, Device
from domain.observation import Observation
from domain.reading import Clock, Status
from domain.recall import Recall
from functions.ingest.service import Ingest, Outcome
from tests.builders import NOW, ORGANISATION, SUBJECT, a_device, a_subject, an_arrival, an_assignment
from tests.fakes import FakeArchive, FakeBacklog, FakeObservations, FakeQuarantine, FakeRegistry, FakeStatus

DEVICE, PHONE, CLOUD, OTHER = "BP-1", "PHONE-1", "CLOUD-1", "S-0002"
LONG_AGO = NOW - timedelta(days=390)

CASES = {
    "clock-reset": "r7_f14",
    "drift": "r7_f14",
    "zone-change": "c25",
    "daylight-saving": "c25",
    "memory-dump": "r5",
    "duplicate-path": "c24",
    "second-user": "c26",
    "no-number": "r17",
    "cuff-errors": "f2",
    "offline-flush": "f15_r6",
    "device-swap": "p7",
    "recall": "p8",
    "unit-mix-up": "r18",
    "maternal-confusion": "f17",
    "signal-loss": "f17",
    "poison": "r22",
    "duplicate": "r5",
    "foreign": "r9",
}
"""The failures that each answers."""


def a_scene(chosen: Scenario) -> Scene:
    setting = chosen.setting
    device = SimulatedDevice(DEVICE, setting.profile or "tonometer", gateway=PHONE if setting.carried else None)
    return Scene(
        Patient(SUBJECT, "hypertension", setting.zone or "Europe/Samara", "en", (device,)), NOW, seed=5, other="BP-9"
    )


def enrolled(chosen: Scenario, scene: Scene) -> FakeRegistry:
    """As `setting` has it."""
    setting = chosen.setting
    held = [
        an_assignment(id=f"a-{slot}", subject=subject, from_at=LONG_AGO, slot=slot)
        for subject, slot in zip((SUBJECT, OTHER), setting.slots or (None,), strict=False)
    ]
    devices = [_device(scene, DEVICE, *held), a_device(serial=PHONE, profile="phone", assignments=())]
    if setting.replaced:
        devices[0] = _device(scene, DEVICE, an_assignment(from_at=LONG_AGO, to_at=scene.half_way))
        devices.append(_device(scene, scene.successor, an_assignment(id="a-2", from_at=scene.half_way)))
    zone = scene.patient.time_zone
    return FakeRegistry(
        enrolled=[a_subject(id=one, time_zone=zone, consent=Consent(LONG_AGO)) for one in (SUBJECT, OTHER)],
        owned=devices,
        recalled=[Recall("r-1", ORGANISATION, "block", "reads low", NOW, serials=(DEVICE, DEVICE))]
        if setting.recalled
        else [],
    )


def _device(scene: Scene, serial: str, *held: Assignment) -> Device:
    return a_device(serial=serial, profile=scene.device.profile, gateway=scene.device.gateway, assignments=held)


class Played:
    """A scenario's messages sent one by one."""

    def __init__(self, chosen: Scenario) -> None:
        self.scene = a_scene(chosen)
        self.registry = enrolled(chosen, self.scene)
        self.observations, self.quarantine = FakeObservations(), FakeQuarantine()
        self.ingest = Ingest(
            registry=self.registry,
            observations=self.observations,
            quarantine=self.quarantine,
            archive=FakeArchive(),
            backlog=FakeBacklog(),
            status=FakeStatus(),
            profiles=profiles(),
            kept_for=timedelta(days=400),
        )
        self.messages = chosen.messages(self.scene)

    def send(self, message: Message, *, thing: str | None = None) -> Outcome:
        by = thing or message.thing
        topic = f"dt/pma/{by}/{message.format}"
        arrival = an_arrival(message.encode(NOW), thing=by, topic=topic, id="m-1", client=by)
        return self.ingest([arrival] * message.copies, now=NOW, first_inbox=True)

    def flagged(self) -> Counter[frozenset[str]]:
        return Counter(frozenset(row.flags) for row in self.observations.rows.values())


@pytest.mark.parametrize("name", SCENARIOS, ids=lambda name: f"{CASES.get(name, 'f23')}_{name}")
def test_f23_each_scenario_becomes_what_it_says(name: str) -> None:
    played = Played(SCENARIOS[name])
    assert played.messages
    for message in played.messages:
        if message.under is not None:  # the broker's own policy refuses it
            continue
        before = played.flagged()
        outcome = played.send(message)
        fates = Counter(one.place for one in message.becomes)
        assert outcome.counts["readings"] == len(message.becomes) == sum(fates.values())
        assert (outcome.counts["stored"], outcome.counts["repeated"]) == (fates["stored"], fates["repeat"])
        assert outcome.reasons == {place: count for place, count in fates.items() if place not in ("stored", "repeat")}
        assert +(played.flagged() - before) == Counter(one.flags for one in message.becomes if one.place == "stored")


def test_every_fault_that_the_simulator_has_to_know_is_a_scenario() -> None:
    """The list of the release: a fault that is taken out takes its proof with it."""
    assert set(CASES) <= set(SCENARIOS)
    assert set(SCENARIOS) - set(CASES) == {"steady", "crisis"}


def rows(played: Played) -> list[Observation]:
    return sorted(played.observations.rows.values(), key=lambda row: row.measured_at)


def test_c24_bluetooth_and_the_makers_cloud_are_one_observation_with_both_ways() -> None:
    """Each speaks through a gateway of its own, as a phone and a cloud do, whichever is first."""
    for first in (0, 1):
        played = Played(SCENARIOS["duplicate-path"])
        played.registry.owned[0] = played.registry.owned[0]._replace(cloud=CLOUD)
        played.registry.owned.append(a_device(serial=CLOUD, profile="phone", assignments=()))
        relayed, said = played.messages[:2]
        assert (relayed.format, said.format) == ("gatt", "vendor/cellular-cuff")
        ways = [(relayed, PHONE), (said, CLOUD)]
        for (message, thing), count in ((ways[first], "stored"), (ways[1 - first], "repeated")):
            assert played.send(message, thing=thing).counts[count] == 1
        (row,) = rows(played)
        (marks,) = played.observations.marks.values()
        assert (row.thing, marks.paths) == (ways[first][1], {ways[1 - first][1]: NOW})


def test_r7_f14_a_clock_that_drifts_keeps_both_times() -> None:
    played = Played(SCENARIOS["drift"])
    for message in played.messages:
        played.send(message)
    assert {row.device_time - row.measured_at for row in rows(played)} == {timedelta(minutes=12)}
    assert rows(played)[-1].measured_at == NOW - timedelta(minutes=20)


def test_c25_the_hour_that_comes_twice_is_the_earlier_of_both() -> None:
    played = Played(SCENARIOS["daylight-saving"])
    for message in played.messages:
        played.send(message)
    local = [row.measured_at for row in rows(played)]
    assert {one.utcoffset() for one in local[:3]} == {timedelta(hours=2)}
    assert local[-1].utcoffset() == timedelta(hours=1)


def test_p7_c26_whose_each_reading_is() -> None:
    played = Played(SCENARIOS["second-user"])
    for message in played.messages:
        played.send(message)
    assert [(row.slot, row.subject) for row in rows(played)] == [(1, SUBJECT), (2, OTHER)]


def test_f15_what_returns_is_newest_first_then_oldest_first_at_ten_a_second_with_jitter() -> None:
    chosen = SCENARIOS["offline-flush"]
    played = Played(chosen)
    for message in played.messages:
        played.send(message)
    times = [message.readings[-1].measured_at for message in played.messages]
    assert times[0] == max(times)
    assert times[1:] == sorted(times[1:])
    assert chosen.rate <= RETURN_RATE == 10
    assert chosen.jitter > 0
    assert {"late" in row.tags for row in rows(played)} == {True, False}


def test_r7_a_status_after_the_reset_brings_nothing_back() -> None:
    """What the device showed in 2000 stays refused: nobody knows when it was measured."""
    played = Played(SCENARIOS["clock-reset"])
    reset = [one for one in played.messages if one.becomes[0].place == "untrusted-clock"]
    told = Status(NOW, clock=Clock(RESET_TO + timedelta(minutes=9), NOW))
    played.registry.owned[0] = a_device(serial=DEVICE, assignments=(an_assignment(from_at=LONG_AGO),), status=told)
    assert [played.send(one).reasons for one in reset] == [{"untrusted-clock": 1}] * len(reset)
