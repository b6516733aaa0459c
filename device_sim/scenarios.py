"""What a device does right and wrong, by name: each scenario is the messages that one device sends, in order."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from device_sim import faults
from device_sim.errors import NoSuchScenario
from device_sim.payload import Fate, Message, returning
from device_sim.scene import Scene, Setting

RATE = 5.0
"""Messages a second of a device that has nothing to catch up on."""

RETURN_RATE = 10.0
"""Messages a second that a gateway may send at most when it returns with what it kept."""


ANYTHING = Setting()


@dataclass(frozen=True, slots=True)
class Scenario:
    """`messages` are sent in order, at most `rate` a second, each gap longer by a random share of up to `jitter`.

    `becomes` says in words what must become of them where `setting` is enrolled; each message says it exactly.
    """

    name: str
    summary: str
    becomes: str
    messages: Callable[[Scene], list[Message]]
    setting: Setting = ANYTHING
    rate: float = RATE
    jitter: float = 0.0


def _steady(scene: Scene) -> list[Message]:
    return scene.messages()


def _crisis(scene: Scene) -> list[Message]:
    profile = scene.device.profile
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
    return [*good[:middle], Message(scene.device.thing, body=BROKEN, fates=(Fate("malformed"),)), *good[middle:]]


def _foreign(scene: Scene) -> list[Message]:
    good = scene.messages()
    return [*good, replace(good[-1], under=scene.other)] if good else []


def _offline_flush(scene: Scene) -> list[Message]:
    return returning(scene.messages())


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "steady",
            "measures as prescribed, and sends each sitting as one message",
            "all stored",
            _steady,
        ),
        Scenario(
            "crisis",
            "the same, with a hypertensive crisis that began an hour ago",
            "all stored; alerts of the crisis",
            _crisis,
        ),
        Scenario(
            "duplicate",
            "sends every message three times, byte for byte the same",
            "stored once, the copies are repeats",
            _duplicate,
        ),
        Scenario(
            "poison",
            "sends a message that nobody can decode in the middle of good ones",
            "malformed; its neighbours stored",
            _poison,
        ),
        Scenario(
            "foreign",
            "sends its own readings, then one under another thing's name",
            "stored; the last refused by the broker",
            _foreign,
        ),
        Scenario(
            "offline-flush",
            "was away, and returns with all it kept: newest first, then oldest first, 10 a second with jitter",
            "all stored; late ones tagged, nobody told of them",
            _offline_flush,
            rate=RETURN_RATE,
            jitter=0.5,
        ),
        Scenario(
            "clock-reset",
            "loses its battery: its clock starts again in 2000, until it is set",
            "untrusted-clock while it shows 2000, stored before and after",
            faults.clock_reset,
            setting=Setting(profile="tonometer"),
        ),
        Scenario(
            "drift",
            "runs twelve minutes ahead and says so by sent_at, but for the last message",
            "stored with the corrected time beside its own; future where nothing tells the clock",
            faults.drift,
            setting=Setting(profile="tonometer"),
        ),
        Scenario(
            "zone-change",
            "flies five hours east and sends its memory again with the new offset",
            "repeats, whatever the offset; the new reading stored",
            faults.zone_change,
            setting=Setting(profile="tonometer"),
        ),
        Scenario(
            "daylight-saving",
            "shows local times without a zone through the hour that came twice",
            "all stored; of the two hours the earlier is taken",
            faults.daylight_saving,
            setting=Setting(profile="tonometer", zone="Europe/Berlin"),
        ),
        Scenario(
            "memory-dump",
            "sends all it ever kept again, newest first, in one message",
            "stored once, the dump is repeats",
            faults.memory_dump,
            setting=Setting(profile="tonometer"),
        ),
        Scenario(
            "duplicate-path",
            "comes by Bluetooth through a phone and as its maker's JSON",
            "stored once, the second path is a repeat",
            faults.duplicate_path,
            setting=Setting(profile="cellular-cuff", carried=True),
        ),
        Scenario(
            "second-user",
            "is a cuff for two, and once does not say which of them",
            "each slot stored for its own; ambiguous-holder without one",
            faults.second_user,
            setting=Setting(profile="tonometer-shared", slots=(1, 2)),
        ),
        Scenario(
            "no-number",
            "sends the NaN of its floats, and 2047 where the firmware took that for a number",
            "bad-value, implausible; a missing mean alone is stored without it",
            faults.no_number,
            setting=Setting(profile="tonometer"),
        ),
        Scenario(
            "cuff-errors",
            "notes movement, a loose cuff, a bad position or an irregular pulse",
            "stored with the flag; artefacts are no evidence for an alert",
            faults.cuff_errors,
            setting=Setting(profile="tonometer"),
        ),
        Scenario(
            "device-swap",
            "is replaced by another half-way, and both are used by strangers",
            "stored for whoever held it when it measured, else unknown-holder",
            faults.device_swap,
            setting=Setting(profile="tonometer", carried=True, replaced=True),
        ),
        Scenario(
            "recall",
            "is of a lot that was blocked",
            "recalled-device",
            faults.recall,
            setting=Setting(profile="tonometer", recalled=True),
        ),
        Scenario(
            "unit-mix-up",
            "takes kPa for mmHg and the other way round, and forgets the unit",
            "implausible or bad-unit; true kPa stored",
            faults.unit_mix_up,
            setting=Setting(profile="tonometer"),
        ),
        Scenario(
            "maternal-confusion",
            "counts the mother's heart for the child's",
            "stored, flagged maternal-confusion",
            faults.maternal_confusion,
            setting=Setting(profile="fetal-monitor"),
        ),
        Scenario(
            "signal-loss",
            "loses the child's heart and sends a rate of 0",
            "stored without a value, flagged signal-loss",
            faults.signal_loss,
            setting=Setting(profile="fetal-monitor"),
        ),
    )
}


def scenario(name: str) -> Scenario:
    """Raises NoSuchScenario."""
    try:
        return SCENARIOS[name]
    except KeyError:
        raise NoSuchScenario(f"There is no scenario {name}: choose one of {', '.join(SCENARIOS)}.") from None
