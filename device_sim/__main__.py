"""`python -m device_sim`: one device against a running cloud.

python -m device_sim --list
python -m device_sim --thing BP-00017 --certificate cert.pem --private-key key.pem --scenario crisis
python -m device_sim --thing CGM-00002 --certificate … --private-key … --data folder --subject 1636-69-001
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from device_sim import replay
from device_sim.cohort import SPEAKS, Patient, SimulatedDevice
from device_sim.errors import BadStack, NoSuchData, SimulatorError
from device_sim.fleet import Fleet, Sent, published
from device_sim.gateway import Broker, Connect, Identity, Topics, over_mtls
from device_sim.payload import Reading
from device_sim.scenarios import SCENARIOS, Scene, scenario


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


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m device_sim", description="A simulated device against a running cloud."
    )
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument(
        "--stack", type=Path, default=Path(".local/stack.json"), help="where the cloud is (%(default)s)"
    )
    parser.add_argument("--thing", help="the thing that connects; its readings count for the device of the same serial")
    parser.add_argument("--device", help="the sensor's serial, where the thing is its gateway")
    parser.add_argument("--certificate", type=Path, help="the thing's certificate (PEM)")
    parser.add_argument("--private-key", type=Path, help="its private key (PEM)")
    parser.add_argument("--profile", choices=sorted(SPEAKS), default="tonometer", help="kind of device (%(default)s)")
    parser.add_argument("--scenario", default="steady", help="what it does (%(default)s); see --list")
    parser.add_argument("--days", type=float, default=1, help="days to simulate, ending now (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same readings (%(default)s)")
    parser.add_argument("--zone", default="Europe/Moscow", help="the subject's time zone (%(default)s)")
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
            say(f"{one.name:<16}{one.summary}")
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
    scene = _scene(given, clock(), say)
    messages = chosen.messages(scene)
    identity = Identity(given.thing, given.certificate, given.private_key)
    topics = stack.topics if given.basic_ingest else replace(stack.topics, rule=None)
    with Fleet(stack.broker, [identity], clock=clock, topics=topics, connect=connect, seed=given.seed) as fleet:
        sent = fleet.publish(messages, rate=given.rate or chosen.rate, jitter=chosen.jitter)
    return _report(sent, say)


def _scene(given: argparse.Namespace, now: datetime, say: Callable[[str], None]) -> Scene:
    try:
        zone = ZoneInfo(given.zone).key
    except (ZoneInfoNotFoundError, ValueError):
        raise SimulatorError(f"There is no time zone {given.zone}: give one as in Europe/Samara.") from None
    serial = given.device or given.thing
    gateway = given.thing if given.device and given.device != given.thing else None
    device = SimulatedDevice(serial, given.profile, gateway=gateway)
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
    expected = sum(one.message.under is not None for one in sent)
    return 0 if not unanswered and len(refused) == expected else 1


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], clock=_now))
