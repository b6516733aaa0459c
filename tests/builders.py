"""Builders: an object that is right in every respect but the one a test is about."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.alert import Alert
from domain.enrolment import Assignment, Consent, Device, Endpoint, Subject
from domain.identity import deterministic_id
from domain.observation import Observation

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
    """A consenting subject of the hypertension programme."""
    facts: dict[str, Any] = {
        "id": SUBJECT,
        "organisation": ORGANISATION,
        "programmes": ("hypertension",),
        "time_zone": "Europe/Samara",
        "language": "ru",
        "consent": Consent(given_at=datetime(2026, 11, 1, tzinfo=UTC)),
        "emergency_text": None,
        "version": 1,
    }
    return Subject(**facts | changes)


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
