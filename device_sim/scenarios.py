"""What a device does right and wrong, by name: each scenario is the messages that one device sends, in order."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from device_sim.cohort import Patient, measure
from device_sim.errors import NoSuchScenario
from device_sim.payload import Message, Reading, pack, returning

RATE = 5.0
"""Messages a second of a device that has nothing to catch up on."""

RETURN_RATE = 10.0
"""Messages a second that a gateway may send at most when it returns with what it kept."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a scenario plays: a patient with one device, the present, the seed and `other`, a thing that is not ours.

    `replayed` are readings to send in place of simulated ones.
    """

    patient: Patient
    now: datetime
    seed: int
    other: str
    days: float = 1
    replayed: tuple[Reading, ...] = ()

    def readings(self, crisis: datetime | None = None) -> tuple[Reading, ...]:
        """What the device says in the last `days`, ending now."""
        if self.replayed:
            return self.replayed
        start = self.now - timedelta(days=self.days)
        return measure(self.patient, seed=self.seed, start=start, until=self.now, crisis=crisis)

    def messages(self, crisis: datetime | None = None) -> list[Message]:
        return pack(self.readings(crisis), gather=timedelta(minutes=2))


@dataclass(frozen=True, slots=True)
class Scenario:
    """`messages` are sent in order, at most `rate` a second, each gap longer by a random share of up to `jitter`."""

    name: str
    summary: str
    messages: Callable[[Scene], list[Message]]
    rate: float = RATE
    jitter: float = 0.0


def _steady(scene: Scene) -> list[Message]:
    return scene.messages()


def _crisis(scene: Scene) -> list[Message]:
    profile = scene.patient.devices[0].profile
    if profile != "tonometer":
        raise NoSuchScenario(f"The scenario crisis is a crisis of blood pressure: a {profile} cannot play it.")
    return scene.messages(crisis=scene.now - timedelta(minutes=61))


def _duplicate(scene: Scene) -> list[Message]:
    return [replace(message, copies=3) for message in scene.messages()]


BROKEN = b'{"format": "pma.readings/1", "readings": [{"kind": "blood-pressure", "values": \xff\xfe'
"""A message cut short in the middle of bytes that are no text."""


def _poison(scene: Scene) -> list[Message]:
    good = scene.messages()
    middle = len(good) // 2
    return [*good[:middle], Message(scene.patient.devices[0].thing, body=BROKEN), *good[middle:]]


def _foreign(scene: Scene) -> list[Message]:
    good = scene.messages()
    return [*good, replace(good[-1], under=scene.other)] if good else []


def _offline_flush(scene: Scene) -> list[Message]:
    return returning(scene.messages())


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("steady", "measures as prescribed, and sends each sitting as one message", _steady),
        Scenario("crisis", "the same, with a hypertensive crisis that began an hour ago", _crisis),
        Scenario("duplicate", "sends every message three times, byte for byte the same", _duplicate),
        Scenario("poison", "sends a message that nobody can decode in the middle of good ones", _poison),
        Scenario("foreign", "sends its own readings, then one under another thing's name", _foreign),
        Scenario(
            "offline-flush",
            "was away, and returns with all it kept: newest first, then oldest first, 10 a second with jitter",
            _offline_flush,
            rate=RETURN_RATE,
            jitter=0.5,
        ),
    )
}


def scenario(name: str) -> Scenario:
    """Raises NoSuchScenario."""
    try:
        return SCENARIOS[name]
    except KeyError:
        raise NoSuchScenario(f"There is no scenario {name}: choose one of {', '.join(SCENARIOS)}.") from None
