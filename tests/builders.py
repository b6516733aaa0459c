"""Builders: an object that is right in every respect but the one a test is about."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.alert import Alert
from domain.care_plan import PlanVersion
from domain.enrolment import Assignment, Attended, Consent, Device, Endpoint, Holder, Organisation, Subject
from domain.identity import deterministic_id
from domain.notification import Notice
from domain.observation import Observation
from domain.profile import DeviceProfile
from domain.reading import Arrival

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ORGANISATION = "clinic-a"
SUBJECT = "S-7F3A"
SERIAL = "BP-00017"


def an_observation(**changes: Any) -> Observation:
    """A normal blood pressure of `SUBJECT`, measured a minute before NOW."""
    facts: dict[str, Any] = {
        "organisation": ORGANISATION,
        "subject": SUBJECT,
        "device": SERIAL,
        "thing": SERIAL,
        "kind": "blood-pressure",
        "values": {"systolic": Decimal(122), "diastolic": Decimal(78), "pulse": Decimal(68)},
        "measured_at": NOW.replace(hour=8, minute=59),
        "received_at": NOW,
    } | changes
    facts.setdefault("device_time", facts["measured_at"])
    facts.setdefault(
        "id",
        deterministic_id(
            facts["organisation"],
            facts["subject"],
            facts["device"],
            facts["kind"],
            facts["device_time"].isoformat(),
            str(sorted(facts["values"].items())),
        ),
    )
    return Observation(**facts)


def a_subject(**changes: Any) -> Subject:
    """A consenting subject of the hypertension programme, whose weeks until the last one were told of."""
    facts: dict[str, Any] = {
        "id": SUBJECT,
        "organisation": ORGANISATION,
        "programmes": ("hypertension",),
        "time_zone": "Europe/Samara",
        "language": "ru",
        "consent": Consent(given_at=datetime(2026, 11, 1, tzinfo=UTC)),
        "emergency_text": None,
        "version": 1,
        "told_to": date(2026, 11, 15),
    }
    return Subject(**facts | changes)


def attended(subject: Subject) -> Attended:
    return Attended(subject.programmes, subject.time_zone, subject.consent)


def as_holder(subject: Subject) -> Holder:
    return Holder(subject.id, subject.time_zone, subject.consent, subject.data_key)


def an_assignment(**changes: Any) -> Assignment:
    facts: dict[str, Any] = {"id": "a-1", "subject": SUBJECT, "from_at": datetime(2026, 11, 1, tzinfo=UTC)}
    return Assignment(**facts | changes)


def a_device(**changes: Any) -> Device:
    """A tonometer that `SUBJECT` has held since 1 November."""
    facts: dict[str, Any] = {
        "serial": SERIAL,
        "organisation": ORGANISATION,
        "profile": "tonometer",
        "device_class": "medical",
        "version": 1,
        "assignments": (an_assignment(),),
    }
    return Device(**facts | changes)


def an_endpoint(**changes: Any) -> Endpoint:
    facts: dict[str, Any] = {
        "id": "mis-1",
        "organisation": ORGANISATION,
        "url": "https://mis.example/pma",
        "kinds": ("*",),
        "programmes": ("*",),
        "mode": "fhir-transaction",
        "window_seconds": 10,
        "shards": 1,
        "state": "enabled",
        "secret": "pma/endpoints/mis-1",
        "version": 1,
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
    }
    return Endpoint(**facts | changes)


def an_alert(**changes: Any) -> Alert:
    """A crisis of `SUBJECT` that is going on."""
    facts: dict[str, Any] = {
        "id": deterministic_id(ORGANISATION, "alert", SUBJECT, "sbp-crisis", "o-1"),
        "version": 1,
        "organisation": ORGANISATION,
        "subject": SUBJECT,
        "rule": "sbp-crisis",
        "kind": "blood-pressure",
        "value": "systolic",
        "family": "pressure-high",
        "severity": "critical",
        "category": "physiological",
        "state": "active",
        "outcome": None,
        "raised_at": NOW.replace(hour=8, minute=59),
        "resolved_at": None,
        "observation": "o-1",
        "observations": ("o-1",),
        "plan_version": "hypertension@1",
    }
    return Alert(**facts | changes)


def a_rule(**changes: Any) -> dict[str, Any]:
    """A rule of a care plan as its author writes it: systolic at or above 180, critical, at once."""
    facts: dict[str, Any] = {
        "id": "sbp-crisis",
        "kind": "blood-pressure",
        "value": "systolic",
        "severity": "critical",
        "when": {"at_or_above": {"value": 180, "unit": "mm[Hg]"}},
    }
    return facts | changes


def a_care_plan(*rules: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A care plan as its author writes it, in force since 1 November, with `a_rule` if no other is given."""
    facts: dict[str, Any] = {
        "author": "doc-12",
        "effective_from": "2026-11-01T00:00:00+04:00",
        "rules": [*rules] or [a_rule()],
    }
    return facts | changes


def a_plan_version(*rules: dict[str, Any], version: int = 1, **changes: Any) -> PlanVersion:
    """`a_care_plan` as it is stored."""
    document = a_care_plan(*rules, **changes)
    return PlanVersion(
        version=version,
        author=document["author"],
        effective_from=datetime.fromisoformat(document["effective_from"]),
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        document=json.dumps(document),
    )


def a_reading(**changes: Any) -> dict[str, Any]:
    """A normal blood pressure as a device sends it, measured a minute before NOW; None leaves a field out."""
    facts: dict[str, Any] = {
        "kind": "blood-pressure",
        "measured_at": "2026-11-22T12:59:00+04:00",
        "values": a_pressure(),
    }
    return {name: value for name, value in (facts | changes).items() if value is not None}


def as_read(said: Any) -> Any:
    """`said` as the decoder reads it: every number is a Decimal."""
    return json.loads(json.dumps(said), parse_int=Decimal, parse_float=Decimal)


def a_pressure(systolic: Any = 122, diastolic: Any = 78, unit: str = "mm[Hg]") -> dict[str, Any]:
    """The values of a blood pressure as a device sends them."""
    return {"systolic": {"value": systolic, "unit": unit}, "diastolic": {"value": diastolic, "unit": unit}}


def a_message(*readings: Any, **changes: Any) -> dict[str, Any]:
    """A message of `readings` (`a_reading` if none is given) of the thing itself."""
    facts: dict[str, Any] = {"format": "pma.readings/1", "readings": [*readings] or [a_reading()]}
    return {name: value for name, value in (facts | changes).items() if value is not None}


def an_arrival(payload: bytes | dict[str, Any] | None = None, **changes: Any) -> Arrival:
    """`payload` (`a_message` if none is given) as the broker handed it on at NOW, published by SERIAL."""
    sent = payload if isinstance(payload, bytes) else json.dumps(payload or a_message()).encode()
    facts: dict[str, Any] = {
        "id": "m-1",
        "body": "as it came",
        "payload": sent,
        "topic": f"dt/pma/{changes.pop('thing', SERIAL)}/readings",
        "client": SERIAL,
        "received_at": NOW,
    }
    return Arrival(**facts | changes)


def a_profile(**changes: Any) -> DeviceProfile:
    """A tonometer that shows whole millimetres and seconds."""
    facts: dict[str, Any] = {
        "id": "tonometer",
        "title": {"en": "Blood pressure monitor", "ru": "Тонометр"},
        "class": "medical",
        "clock_resolution": timedelta(seconds=1),
        "measures": {
            "blood-pressure": {
                "resolution": {"systolic": 1, "diastolic": 1, "mean": 1, "pulse": 1},
                "fresh_for": timedelta(hours=6),
            }
        },
    }
    return DeviceProfile.model_validate(facts | changes)


def an_organisation(**changes: Any) -> Organisation:
    facts: dict[str, Any] = {
        "id": ORGANISATION,
        "name": "Clinic A",
        "topic": "arn:aws:sns:eu-central-1:123456789012:pma-local-org-clinic-a",
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
    }
    return Organisation(**facts | changes)


def a_notice(**changes: Any) -> Notice:
    """The order to tell patient and doctor of the first version of a critical alert."""
    facts: dict[str, Any] = {
        "organisation": ORGANISATION,
        "subject": SUBJECT,
        "alert": "alert-1",
        "version": 1,
        "severity": "critical",
        "roles": ("patient", "doctor"),
        "step": "raised",
        "received_at": NOW,
    }
    return Notice(**facts | changes)
