"""A hundred patients, each with a tonometer and one normal reading, as every stage would meet them."""

import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.catalogue import CATALOGUE
from adapters.dynamodb import Item, encode_item
from adapters.observations import row_key, to_row
from adapters.registry import from_device, norm_key, serial_key, subject_key
from adapters.sealing import archive_key, seal
from domain.enrolment import Assignment, Device
from domain.identity import identify
from domain.observation import Observation
from domain.profile import DeviceProfile

ORGANISATION = "clinic-a"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ARCHIVE_KEY = bytes(32)
"""What the key service makes of the organisation's wrapped key."""

ENROLLED_AT = NOW - timedelta(days=20)
ATTENDED = {
    "programmes": ["hypertension"],
    "time_zone": "Europe/Samara",
    "consent": {"given_at": ENROLLED_AT.isoformat(), "withdrawn_at": None},
}
"""What of each patient decides how readings are judged."""


def subject(number: int) -> str:
    return f"S-{number:04d}"


def serial(number: int) -> str:
    return f"BP-{number:05d}"


def enrolled(patients: int) -> list[Item]:
    """The rows of the registry for so many patients."""
    pk, sk = archive_key(ORGANISATION)
    rows: list[Item] = [{"pk": pk, "sk": sk, "wrapped": base64.b64encode(b"wrapped").decode()}]
    for number in range(patients):
        pk, sk = serial_key(serial(number))
        rows.append({"pk": pk, "sk": sk, "organisation": ORGANISATION})
        held = (Assignment(f"a-{number}", subject(number), ENROLLED_AT),)
        device = Device(serial(number), ORGANISATION, "tonometer", "medical", version=1, assignments=held)
        rows.append(from_device(device))
        pk, sk = subject_key(ORGANISATION, subject(number))
        facts = {"id": subject(number), "organisation": ORGANISATION, "language": "ru"}
        rows.append({"pk": pk, "sk": sk, "version": 1, **facts, **ATTENDED, "data_key": _data_key(f"k-{number}")})
        pk, sk = norm_key(ORGANISATION, subject(number))
        rows.append({"pk": pk, "sk": sk, **ATTENDED})
    return rows


def own_plan(number: int) -> Item:
    """The row `norm` of a patient whose doctor has changed three bounds of the programme's rules."""
    programme = json.loads((CATALOGUE / "programmes" / "hypertension.json").read_text())
    document = {name: programme[name] for name in ("rules", "schedule", "quiet_hours", "escalation")}
    rules = {rule["id"]: rule for rule in document["rules"]}
    for name, most in (("systolic-high", 7), ("diastolic-high", 5), ("systolic-crisis", 6)):
        rules[name]["when"]["at_or_above"]["value"] += number % most
    since = ENROLLED_AT + timedelta(minutes=number)
    document |= {"author": f"doc-{number % 50}", "effective_from": since.isoformat()}
    pk, sk = norm_key(ORGANISATION, subject(number))
    text = json.dumps(document, separators=(",", ":"))
    times = {"effective_from": since, "created_at": since}
    version = {"version": 1, "author": document["author"], "document": text, **times}
    return {"pk": pk, "sk": sk, **ATTENDED, "newest": 1, "versions": [version]}


def _data_key(identifier: str) -> dict[str, str]:
    """A subject's key, wrapped by the organisation's."""
    wrapped = seal(AESGCM(ARCHIVE_KEY), bytes(32), f"{ORGANISATION}#{identifier}")
    return {"id": identifier, "wrapped": base64.b64encode(wrapped).decode()}


def messages(count: int) -> list[dict[str, Any]]:
    """SQS records of the inbox, one reading each, of as many patients."""
    return [_inbox(number) for number in range(count)]


def _inbox(number: int) -> dict[str, Any]:
    measured_at = (NOW - timedelta(minutes=1)).isoformat()
    values = {"systolic": 122 + number % 7, "diastolic": 78, "pulse": 66}
    units = {"systolic": "mm[Hg]", "diastolic": "mm[Hg]", "pulse": "/min"}
    reading = {
        "kind": "blood-pressure",
        "measured_at": measured_at,
        "values": {name: {"value": value, "unit": units[name]} for name, value in values.items()},
    }
    payload = json.dumps({"format": "pma.readings/1", "sent_at": NOW.isoformat(), "readings": [reading]}).encode()
    body = {
        "payload": base64.b64encode(payload).decode(),
        "topic": f"dt/pma/{serial(number)}/readings",
        "client": serial(number),
        "received_at": int(NOW.timestamp() * 1000),
    }
    return {
        "messageId": f"m-{number}",
        "body": json.dumps(body),
        "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:inbox",
    }


def observation(number: int, profile: DeviceProfile) -> tuple[tuple[str, str], Observation]:
    """A patient's reading as it is stored, with its key."""
    measured_at = NOW - timedelta(minutes=1)
    values = {"systolic": Decimal(122 + number % 7), "diastolic": Decimal(78), "pulse": Decimal(66)}
    identity = identify(
        organisation=ORGANISATION,
        subject=subject(number),
        device=serial(number),
        kind="blood-pressure",
        slot=None,
        device_time=measured_at,
        values=values,
        clock_resolution=profile.clock_resolution,
        resolution=profile.measures["blood-pressure"].resolution,
    )
    one = Observation(
        id=identity.id,
        organisation=ORGANISATION,
        subject=subject(number),
        device=serial(number),
        thing=serial(number),
        kind="blood-pressure",
        values=values,
        measured_at=measured_at,
        device_time=measured_at,
        received_at=NOW,
    )
    return row_key(identity), one


def stream(observations: list[tuple[tuple[str, str], Observation]]) -> dict[str, Any]:
    """The event of the observations table's stream in which they are new."""
    return {
        "Records": [
            {
                "eventName": "INSERT",
                "dynamodb": {
                    "Keys": encode_item({"pk": key[0], "sk": key[1]}),
                    "NewImage": to_row(key, one, expires_at=NOW + timedelta(days=400)),
                    "SequenceNumber": str(number),
                },
            }
            for number, (key, one) in enumerate(observations)
        ]
    }
