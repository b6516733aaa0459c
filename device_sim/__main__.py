"""`python -m device_sim`: one device against a running cloud.

python -m device_sim --list
python -m device_sim --thing BP-00017 --certificate cert.pem --private-key key.pem --scenario crisis
python -m device_sim --thing PHONE-7 --device BP-00018 --certificate … --private-key … --scenario device-swap
python -m device_sim --thing CGM-00002 --certificate … --private-key … --data folder --subject 1636-69-001
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from device_sim import replay
from device_sim.cohort import SPEAKS, Patient, SimulatedDevice
from device_sim.errors import BadStack, NoSuchData, NoSuchScenario, SimulatorError
from device_sim.fleet import Fleet, Sent, published
from device_sim.gateway import Broker, Connect, Identity, Topics, over_mtls
from device_sim.payload import Reading
from device_sim.scenarios import SCENARIOS, Scenario, scenario
from device_sim.scene import Scene, Setting


@dataclass(frozen=True, slots=True)
class Stack:
    """What the simulator needs of the file that `make up` writes."""

    broker: Broker
    topics: Topics


def read_stack(path: Path) -> Stack:
    """Paths in the file are relative to the project's root, which holds the file's folder. Raises BadStack."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        mqtt = said["mqtt"]
        broker = Broker(str(mqtt["host"]), int(mqtt["port"]), path.resolve().parent.parent / mqtt["ca"])
        return Stack(broker, Topics(said["topic_prefix"], said["rule"]))
    except OSError:
        raise BadStack(
            f"There is no {path}: start the cloud with `make up`, or say where it is with --stack."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise BadStack(f"{path} is not what `make up` writes ({type(error).__name__}: {error}).") from None


PROFILES = sorted(SPEAKS.keys() | {one.setting.profile for one in SCENARIOS.values() if one.setting.profile})


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m device_sim", description="A simulated device against a running cloud."
    )
    parser.add_argument("--list", action="store_true", help="list the scenarios, and what must become of each")
    parser.add_argument(
        "--stack", type=Path, default=Path(".local/stack.json"), help="where the cloud is (%(default)s)"
    )
    parser.add_argument("--thing", help="the thing that connects; its readings count for the device of the same serial")
    parser.add_argument("--device", help="the sensor's serial, where the thing is its gateway")
    parser.add_argument("--certificate", type=Path, help="the thing's certificate (PEM)")
    parser.add_argument("--private-key", type=Path, help="its private key (PEM)")
    parser.add_argument("--profile", choices=PROFILES, help="kind of device (the scenario's, or tonometer)")
    parser.add_argument("--scenario", default="steady", help="what it does (%(default)s); see --list")
    parser.add_argument("--days", type=float, default=1, help="days to simulate, ending now (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same readings (%(default)s)")
    parser.add_argument("--zone", help="the subject's time zone (the scenario's, or Europe/Moscow)")
    parser.add_argument("--data", type=Path, help="replay this CSV file or folder instead")
    parser.add_argument("--subject", help="whose rows of --data, by the id in the file, where there are several")
    parser.add_argument("--rate", type=float, help="messages a second, in place of the scenario's")
    parser.add_argument("--basic-ingest", action="store_true", help="publish straight to the rule")
    return parser


def main(
    arguments_given: Sequence[str],
    *,
    clock: Callable[[], datetime],
    connect: Connect = over_mtls,
    say: Callable[[str], None] = print,
) -> int:
    """Run the command: 0 when the broker took over all that it should, 1 otherwise or after a one-sentence error."""
    parser = arguments()
    given = parser.parse_args(arguments_given)
    if given.list:
        for one in SCENARIOS.values():
            say(f"{one.name:<19}{one.summary}\n{'':<19}-> {one.becomes}{_needs(one.setting)}")
        return 0
    if not (given.thing and given.certificate and given.private_key):
        parser.error("--thing, --certificate and --private-key are needed: they say who connects")
    if given.days <= 0 or (given.rate is not None and given.rate <= 0):
        parser.error("--days and --rate are more than zero")
    try:
        return _run(given, clock, connect, say)
    except SimulatorError as error:
        print(error, file=sys.stderr)
        return 1


def _run(given: argparse.Namespace, clock: Callable[[], datetime], connect: Connect, say: Callable[[str], None]) -> int:
    stack = read_stack(given.stack)
    chosen = scenario(given.scenario)
    scene = _scene(given, chosen, clock(), say)
    messages = chosen.messages(scene)
    identity = Identity(given.thing, given.certificate, given.private_key)
    topics = stack.topics if given.basic_ingest else replace(stack.topics, rule=None)
    with Fleet(stack.broker, [identity], clock=clock, topics=topics, connect=connect, seed=given.seed) as fleet:
        sent = fleet.publish(messages, rate=given.rate or chosen.rate, jitter=chosen.jitter)
    return _report(sent, say)


def _needs(setting: Setting) -> str:
    """What must be enrolled, in words; nothing where any device will do."""
    needs = [
        f"a {setting.profile}" if setting.profile else "",
        "carried by a phone (--device)" if setting.carried else "",
        f"assigned by slot {' and '.join(map(str, setting.slots))}" if setting.slots else "",
        f"its subject in {setting.zone}" if setting.zone else "",
        "blocked by a recall" if setting.recalled else "",
        "replaced half-way by the serial with -2 behind it" if setting.replaced else "",
    ]
    said = ", ".join(one for one in needs if one)
    return f" [{said}]" if said else ""


def _scene(given: argparse.Namespace, chosen: Scenario, now: datetime, say: Callable[[str], None]) -> Scene:
    setting = chosen.setting
    wanted = given.zone or setting.zone or "Europe/Moscow"
    try:
        zone = ZoneInfo(wanted).key
    except (ZoneInfoNotFoundError, ValueError):
        raise SimulatorError(f"There is no time zone {wanted}: give one as in Europe/Samara.") from None
    profile = given.profile or setting.profile or "tonometer"
    if setting.profile not in (None, profile):
        raise NoSuchScenario(f"The scenario {chosen.name} is played by a {setting.profile}: a {profile} cannot.")
    if setting.profile is None and profile not in SPEAKS:
        raise NoSuchScenario(f"A {profile} cannot play {chosen.name}: choose --profile of {', '.join(sorted(SPEAKS))}.")
    serial = given.device or given.thing
    gateway = given.thing if given.device and given.device != given.thing else None
    if setting.carried and gateway is None:
        raise NoSuchScenario(
            f"The scenario {chosen.name} needs a phone that carries the device: name this in --device."
        )
    device = SimulatedDevice(serial, profile, gateway=gateway)
    replayed = _replayed(given, device, zone, now, say) if given.data else ()
    patient = Patient("-", "-", zone, "en", (device,))
    return Scene(patient, now, given.seed, other=f"{given.thing}-other", days=given.days, replayed=replayed)


def _replayed(
    given: argparse.Namespace, device: SimulatedDevice, zone: str, now: datetime, say: Callable[[str], None]
) -> tuple[Reading, ...]:
    """The rows of one subject, as readings of `device`. Raises NoSuchData when it is not clear whose."""
    found = replay.read(given.data, now=now, zone=lambda _: zone)
    for line in (*found.not_used, *found.no_readings):
        say(str(line))
    of = {name: patient for name, patient in found.names.items() if given.subject in (None, name[1])}
    if len(of) != 1:
        names = ", ".join(sorted({name for _, name in found.names}))
        raise NoSuchData(
            f"{given.data} holds {len(of) or 'none'} of whom you may mean: choose one with --subject of {names}."
        )
    (subject,) = of.values()
    return tuple(
        replace(reading, thing=device.thing, device=device.serial)
        for reading in found.cohort.readings
        if reading.subject == subject
    )


def _report(sent: Sequence[Sent], say: Callable[[str], None]) -> int:
    refused = [one for one in sent if one.receipt is not None and one.receipt.refused is not None]
    unanswered = [one for one in sent if one.receipt is None]
    for one in refused:
        reason = one.receipt.refused if one.receipt else ""
        say(f"refused by the broker ({reason}): {one.topic}")
    readings = sum(1 for _ in published(sent))
    say(f"{len(sent)} messages: {readings} readings taken over, {len(refused)} refused, {len(unanswered)} unanswered")
    fates = Counter(fate.place for one in sent if not one.repeat for fate in one.message.becomes)
    say("what must become of them: " + ", ".join(f"{count} {place}" for place, count in fates.items()))
    expected = sum(one.message.under is not None for one in sent)
    return 0 if not unanswered and len(refused) == expected else 1


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], clock=_now))
