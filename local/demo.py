"""`make demo`: a fleet through the whole chain on this machine, and every reading looked for at its end.

Exit status: 0 nothing was lost · 1 something was, and the summary says what · 2 the demo could not run, and one
sentence says why.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.console import Console

from device_sim.cohort import Cohort, Patient, SimulatedDevice, simulate
from device_sim.errors import SimulatorError
from device_sim.fleet import Fleet, Progress, Sent
from device_sim.gateway import Broker, Identity, Topics
from device_sim.payload import Message, Quantity, Reading, pack
from device_sim.replay import read
from device_sim.scenarios import BROKEN
from local.board import Board
from local.cloud import ORGANISATIONS, Cloud, Doctors, free_state, running_cloud
from local.emulator import ROOT, LocalProblem
from local.tally import Place, Published, Tally, percentile, place, tally
from pma_client import Alert, Client, Consent, Contact, Observation, PmaClientError, Quarantined

PATIENTS, DAYS, CRISES, RATE = 20, 3.0, 3, 20.0
ORGANISATION = ORGANISATIONS[0]
KEPT_DAYS = 400
"""How long observations are kept, and so the longest freshness there is."""

PROBE_SECONDS = 60.0
PROBE = Patient("S-PROBE", "hypertension", "Europe/Moscow", "en", (SimulatedDevice("BP-PROBE", "tonometer"),))
"""A patient who is nobody. One reading of theirs raises a critical alert and a warning."""

PROBE_RULES = [
    {
        "id": f"probe-{severity}",
        "kind": "blood-pressure",
        "value": value,
        "severity": severity,
        "when": {"at_or_above": {"value": 120, "unit": "mm[Hg]"}},
    }
    for value, severity in (("systolic", "critical"), ("diastolic", "warning"))
]

GATHER = timedelta(minutes=15)
"""A sensor that measures every few minutes sends what it has gathered in this time as one message."""

LOOK_SECONDS = 1.0
SETTLED_SECONDS = 20.0
"""How long nothing may change at the far end before we stop waiting for what is still missing."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    board = Board(Console(stderr=True))
    began = time.monotonic()
    try:
        cohort = _cohort(options, board)
        with ExitStack() as stack:
            cloud = stack.enter_context(running_cloud(free_state("demo"), say=board.say))
            stack.enter_context(board)
            demo = Demo(cloud, cohort, board, rate=options.rate)
            outcome = demo.run()
    except (LocalProblem, SimulatorError, PmaClientError) as problem:
        board.say(str(problem))
        return 2
    except KeyboardInterrupt:
        board.say("Stopped; nothing was left running.")
        return 130
    board.summary(outcome.figures, outcome.faults)
    print("DEMO " + json.dumps(outcome.figures | {"seconds": round(time.monotonic() - began, 1)}), flush=True)
    return 1 if outcome.faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="replay the CSV files of this folder in place of simulated vitals")
    parser.add_argument("--patients", type=int, default=PATIENTS, help=f"how many to simulate ({PATIENTS})")
    parser.add_argument("--days", type=float, default=DAYS, help=f"how many days they measured ({DAYS:g})")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated vitals (1)")
    parser.add_argument("--rate", type=float, default=RATE, help=f"messages a second over all devices ({RATE:g})")
    return parser


def _cohort(options: argparse.Namespace, board: Board) -> Cohort:
    """Whom the demo is about, and all that their devices are going to say."""
    now = datetime.now(UTC)
    if options.data is None:
        return simulate(options.patients, days=options.days, seed=options.seed, until=now, crises=CRISES)
    replay = read(options.data, now=now)
    for unused in replay.not_used:
        board.say(str(unused))
    for row in replay.no_readings:
        board.say(str(row))
    return replay.cohort


@dataclass(frozen=True)
class Outcome:
    """`figures` are those of the line `DEMO {json}`; `faults` say in words what must not be."""

    figures: dict[str, Any]
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What the API says in the end."""

    observations: tuple[Observation, ...]
    quarantined: tuple[Quarantined, ...]
    alerts: tuple[Alert, ...]


class Demo:
    """One organisation's cohort, from enrolment to the last delivery."""

    def __init__(self, cloud: Cloud, cohort: Cohort, board: Board, *, rate: float) -> None:
        self._cloud, self._cohort, self._board, self._rate = cloud, cohort, board, rate
        self._mis = cloud.mis
        self._looked = 0.0
        self._told = Told(cloud.doctors_of(ORGANISATION))

    def run(self) -> Outcome:
        with self._cloud.api(ORGANISATION) as pma:
            self._board.phase("enrolling over the API")
            self._enrol(pma)
            sent = self._publish()
            self._board.phase("waiting until everything has arrived")
            found = self._settle(pma, sent)
            return self._judge(sent, found)

    def _enrol(self, pma: Client) -> None:
        """The endpoint first, so that nothing is stored before the hospital listens; then everybody."""
        self._cloud.connect_mis(ORGANISATION, window_seconds=1)
        for gateway in self._cohort.gateways:
            pma.put_device(gateway.serial, profile=gateway.profile, device_class="auxiliary")
        began_at = self._cohort.first_at - timedelta(days=1)
        long = f"P{min(KEPT_DAYS, (datetime.now(UTC) - began_at).days + 1)}D"
        with ThreadPoolExecutor(3) as pool:
            for _ in pool.map(
                lambda one: _enrol_patient(pma, one[1], _phone(one[0]), began_at, long),
                enumerate((*self._cohort.patients, PROBE)),
            ):
                self._board.enrolled()

    def _publish(self) -> list[Sent]:
        things = (*self._cohort.things, *(device.thing for device in PROBE.devices))
        self._board.phase(f"connecting {len(things)} devices over mutual TLS")
        identities = [Identity(one.name, one.certificate, one.private_key) for one in self._cloud.things(things)]
        running = self._cloud.running
        broker = Broker(running.mqtt_host, running.mqtt_port, running.ca)
        topics = Topics(self._cloud.outputs["TopicPrefix"])
        with Fleet(broker, identities, clock=lambda: datetime.now(UTC), topics=topics) as fleet:
            self._cloud.warm()
            self._board.phase("sending a probe through the whole chain")
            self._probe(fleet)
            self._board.phase("publishing")
            return fleet.publish(
                _with_faults(pack(self._cohort.readings, gather=GATHER)), rate=self._rate, progress=self._progress
            )

    def _probe(self, fleet: Fleet) -> None:
        """A reading there and back: every function runs, those of both queues too, and is warm from then on."""
        (device,) = PROBE.devices
        pressure = {"systolic": Quantity(Decimal(200), "mm[Hg]"), "diastolic": Quantity(Decimal(125), "mm[Hg]")}
        at = datetime.now(UTC).replace(microsecond=0)
        reading = Reading(PROBE.subject, device.thing, device.serial, "blood-pressure", at, pressure)
        fleet.publish([Message(device.thing, (reading,))], rate=self._rate)
        deadline = time.monotonic() + PROBE_SECONDS
        while not (len(self._told.alerts_of(PROBE.subject)) == 2 and self._mis.counts()["flags"] == 2):
            if time.monotonic() > deadline:
                log = "\n".join(self._cloud.running.log.read_text(errors="replace").splitlines()[-15:])
                raise LocalProblem(f"A probe did not come through the chain; the end of the cloud's log:\n{log}")
            time.sleep(0.1)

    def _progress(self, progress: Progress) -> None:
        self._board.published(progress)
        if time.monotonic() > self._looked + LOOK_SECONDS:  # looking costs the cloud as much as a reading does
            self._looked = time.monotonic()
            self._board.arrived(self._mis.counts(), self._told.poll())

    def _settle(self, pma: Client, sent: Sequence[Sent]) -> Found:
        """Look until everything is where it belongs, or nothing has changed for a while."""
        before: tuple[int, ...] = ()
        deadline = time.monotonic() + SETTLED_SECONDS
        while True:
            self._board.arrived(self._mis.counts(), self._told.poll())
            found = self._look(pma)
            after = (*self._mis.counts().values(), self._told.count, *map(len, (found.observations, found.alerts)))
            if after != before:
                before, deadline = after, time.monotonic() + SETTLED_SECONDS
            elif not self._judge(sent, found).faults or time.monotonic() > deadline:
                return found
            time.sleep(0.5)

    def _look(self, pma: Client) -> Found:
        with ThreadPoolExecutor(2) as pool:
            subjects = [patient.subject for patient in self._cohort.patients]
            observations = [one for many in pool.map(lambda who: list(pma.observations(who)), subjects) for one in many]
            alerts = [one for many in pool.map(lambda who: list(pma.alerts(who)), subjects) for one in many]
        return Found(tuple(observations), tuple(pma.quarantine()), tuple(alerts))

    def _judge(self, sent: Sequence[Sent], found: Found) -> Outcome:
        """Every reading, observation, alert and notification looked for where it must be."""
        said = list(published(sent))
        counted = tally(said, map(_stored, found.observations), map(_set_aside, found.quarantined))
        at_mis = {resource["id"] for resource in (*self._mis.observations(), *self._mis.flags())}
        not_exported = ({one.id for one in found.observations} | {one.id for one in found.alerts}) - at_mis
        patients_told = self._patients_told()
        mis = self._mis.counts()
        days = self._cohort.patient_days()
        waits = list(self._waits(found))
        figures = {
            "published": counted.published,
            "stored": counted.stored,
            "quarantined": counted.quarantined,
            "duplicates": counted.duplicates,
            "lost": len(counted.lost) + len(not_exported),
            "alerts": len(found.alerts),
            "notified_patient": patients_told,
            "notified_doctor": self._told.count,
            "delivered": mis["delivered"],
            "verified": mis["verified"],
            "p50_ms": round(percentile(waits, 0.50)),
            "p99_ms": round(percentile(waits, 0.99)),
            "readings_per_patient_day": round(counted.stored / days, 2),
            "alerts_per_patient_day": round(len(found.alerts) / days, 2),
        }
        return Outcome(figures, tuple(self._faults(sent, counted, len(not_exported), found, figures)))

    def _faults(
        self, sent: Sequence[Sent], counted: Tally, not_exported: int, found: Found, figures: Mapping[str, Any]
    ) -> Iterator[str]:
        unanswered = sum(one.receipt is None or one.receipt.refused is not None for one in sent)
        untold = {
            role: self._orders(role) - figures[f"notified_{role}"] for role in ("patient", "doctor")
        }  # more than ordered is right too: a crash between a publication and its mark tells twice
        gaps, problems = self._mis.counts()["gaps"], self._mis.problems()
        for wrong, what in (
            (unanswered, f"{unanswered} messages were not taken over by the broker"),
            (counted.lost, f"{len(counted.lost)} readings are not in exactly one of stored, quarantined, repeated"),
            (not_exported, f"{not_exported} observations and alerts did not reach the hospital"),
            (untold["patient"] > 0, f"{untold['patient']} notices did not reach the patient"),
            (untold["doctor"] > 0, f"{untold['doctor']} notices did not reach the doctor"),
            (not found.alerts, "nothing raised an alert"),
            (figures["delivered"] != figures["verified"], "a delivery was not verified"),
            (gaps, f"{gaps} numbers are missing in a lane"),
            (problems, f"the hospital refused {len(problems)} deliveries"),
        ):
            if wrong:
                yield what

    def _waits(self, found: Found) -> Iterator[float]:
        """Milliseconds from a reading's arrival at the broker to the doctor's first notification of its alert."""
        arrived = {one.id: one.received_at for one in found.observations}
        for alert in found.alerts:
            told_at = self._told.first_at.get(alert.id)
            if told_at is not None and alert.observation in arrived:
                yield (told_at - arrived[alert.observation]).total_seconds() * 1000

    def _orders(self, role: str) -> int:
        """How many notices to `role` were ordered. An alert that only takes over from a worse one orders none."""
        rows = (
            self._cloud.aws("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=self._cloud.outputs["AlertsTable"],
                FilterExpression="begins_with(sk, :outbox) AND contains(#roles, :role) AND subject <> :probe",
                ExpressionAttributeNames={"#roles": "roles"},
                ExpressionAttributeValues={
                    ":outbox": {"S": "outbox#"},
                    ":role": {"S": role},
                    ":probe": {"S": PROBE.subject},
                },
            )
        )
        return sum(page["Count"] for page in rows)

    def _patients_told(self) -> int:
        return sum(len(self._cloud.sms_to(_phone(number))) for number in range(len(self._cohort.patients)))


class Told:
    """What a doctor of the organisation was told so far."""

    def __init__(self, doctors: Doctors) -> None:
        self._doctors = doctors
        self._alerts: dict[str, set[str]] = defaultdict(set)
        self.first_at: dict[str, datetime] = {}
        self.count = 0

    def alerts_of(self, subject: str) -> set[str]:
        """The alerts of `subject` that somebody was told of."""
        self.poll()
        return self._alerts[subject]

    def poll(self) -> int:
        """Read what has come; returns how many notifications there were until now."""
        while envelopes := self._doctors.receive(wait_seconds=0):
            for envelope in envelopes:
                said = envelope["Message"]
                self._alerts[said["subject"]].add(said["alert"])
                if said["role"] == "doctor" and said["subject"] != PROBE.subject:
                    self.count += 1
                    at = envelope["SentAt"]
                    self.first_at[said["alert"]] = min(at, self.first_at.get(said["alert"], at))
        return self.count


def _phone(number: int) -> str:
    return f"+1500555{number:04d}"


def _enrol_patient(pma: Client, patient: Patient, phone: str, began_at: datetime, fresh_for: str) -> None:
    pma.put_subject(
        patient.subject,
        programmes=[patient.programme],
        time_zone=patient.time_zone,
        language=patient.language,
        consent=Consent(given_at=began_at),
    )
    topic = Contact(channel="topic")
    pma.put_contacts(patient.subject, patient=[Contact(channel="sms", address=phone)], doctor=[topic], duty=[topic])
    pma.put_care_plan(patient.subject, _plan(patient, began_at, fresh_for))
    for device in patient.devices:
        pma.put_device(device.serial, profile=device.profile, device_class=device.device_class, gateway=device.gateway)
        pma.assign(device.serial, patient.subject, from_at=began_at)


def _plan(patient: Patient, began_at: datetime, fresh_for: str) -> dict[str, Any]:
    """The programme's template as a doctor would take it over. Readings of days come within a minute here, so
    freshness is the length of the replay: alerts follow the time of measuring."""
    template = json.loads((ROOT / "catalogue" / "programmes" / f"{patient.programme}.json").read_text(encoding="utf-8"))
    parts = {name: template[name] for name in ("schedule", "quiet_hours") if name in template}
    rules = PROBE_RULES if patient is PROBE else template["rules"]
    return {
        "author": "demo-doctor",
        "effective_from": began_at.isoformat(),
        "rules": [rule | {"fresh_for": fresh_for} for rule in rules],
        "escalation": [{"after": "PT0S", "to": ["patient", "doctor"]}, {"after": "PT5S", "to": ["duty"]}],
        **parts,
    }


def _with_faults(messages: Sequence[Message]) -> list[Message]:
    """What no day is without: every fortieth message comes twice, and three are broken on the way."""
    sent = [replace(message, copies=2) if number % 40 == 20 else message for number, message in enumerate(messages)]
    for share in (1, 2, 3):
        where = len(sent) * share // 4
        sent.insert(where, Message(sent[where].thing, body=BROKEN + b"%d" % share))
    return sent


def published(sent: Sequence[Sent]) -> Iterator[Published]:
    """Every reading that the broker took over; a broken message counts one."""
    for one in sent:
        if one.receipt is None or one.receipt.refused is not None:
            continue
        if one.message.body is not None:
            yield Published(_broken(one.message.thing, one.body), one.body)
        for reading in one.message.readings:
            where = place(reading.device, reading.kind, reading.measured_at.isoformat())
            yield Published(where, tuple(sorted(reading.values.items())))


def _stored(observation: Observation) -> Place:
    return place(observation.device, observation.kind, observation.device_time.isoformat())


def _set_aside(quarantined: Quarantined) -> Place:
    """Where the payload of a quarantined reading says that it was measured; else it was broken on the way."""
    payload = quarantined.payload or b""
    try:
        message = json.loads(payload)
        (reading,) = message["readings"]
        return place(message.get("device") or quarantined.thing or "", reading["kind"], reading["measured_at"])
    except (ValueError, KeyError, TypeError):
        return _broken(quarantined.thing or "", payload)


def _broken(thing: str, payload: bytes) -> Place:
    return thing, sha256(payload).hexdigest(), datetime.min.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
