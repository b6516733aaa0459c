"""Examples of the API's document, each of which a test sends: a body for every operation that takes one."""

from typing import Any

THINGS = {
    "subject": "S-7F3A",
    "serial": "BP-00017",
    "thing": "PHONE-0001",
    "endpoint": "mis-1",
    "assignment": "0b3c4ba2-4a4e-8d36-9a2f-3f1f4f0f6f1a",
    "quarantined": "5d3f7f0e-6b0c-8a54-8f55-2d7e3c1a9b10",
    "alert": "7f0b8c1e-93a5-8d4c-a7de-5b1f60c2e9d4",
    "recall": "c1a4d1d0-52f3-8f6b-b1a6-0c9d7e5f4a21",
}
"""What stands in a path, by the name of the parameter."""

_RULES = {
    "rules": [
        {
            "id": "sbp-crisis",
            "kind": "blood-pressure",
            "value": "systolic",
            "severity": "critical",
            "family": "pressure-high",
            "fresh_for": "PT6H",
            "when": {"at_or_above": {"value": 180, "unit": "mm[Hg]"}},
            "confirm": {"readings": 2, "within": "PT10M", "ask_again": True},
            "clear": {"below": {"value": 170, "unit": "mm[Hg]"}, "for": "PT30M"},
        }
    ],
    "schedule": [
        {
            "kind": "blood-pressure",
            "windows": [{"from": "06:00", "to": "11:00"}, {"from": "18:00", "to": "22:00"}],
            "grace": "PT1H",
        }
    ],
    "quiet_hours": {"from": "22:00", "to": "07:00"},
    "escalation": [
        {"after": "PT0S", "to": ["patient", "doctor"]},
        {"after": "PT5M", "to": ["duty"]},
        {"after": "PT15M", "to": ["head"]},
    ],
}

EXAMPLES: dict[str, Any] = {
    "put_subject": {
        "programmes": ["hypertension"],
        "time_zone": "Europe/Samara",
        "language": "ru",
        "consent": {"given_at": "2026-11-01T09:00:00+04:00", "withdrawn_at": None},
    },
    "put_contacts": {
        "patient": [{"channel": "sms", "address": "+15005550001"}],
        "doctor": [{"channel": "topic"}],
        "duty": [{"channel": "topic"}],
        "head": [],
    },
    "put_device": {"profile": "tonometer", "class": "medical", "lot": "L7", "gateway": None},
    "post_assignment": {"subject": "S-7F3A", "from": "2026-11-01T09:00:00+04:00", "to": None, "slot": None},
    "post_end": {"to": "2026-11-20T09:00:00+04:00"},
    "post_claim": {"serial": "PHONE-0001", "profile": "phone"},
    "post_certificate": {"certificate": "0" * 64},
    "put_care_plan": {"author": "doc-12", "effective_from": "2026-11-01T00:00:00+04:00", **_RULES},
    "dry_run": {"plan": _RULES, "days": 30},
    "post_acknowledge": {"version": 3, "actor": "doc-12"},
    "post_snooze": {"version": 3, "until": "2026-11-22T12:00:00+04:00", "actor": "doc-12", "reason": "new cuff comes"},
    "post_resolve": {"version": 3, "actor": "doc-12", "reason": "spoke with the patient"},
    "post_replay": {"shard": "observations-0", "after": 0},
    "post_recall": {"lot": "L7", "mode": "block", "reason": "cuffs that leak"},
    "put_endpoint": {
        "url": "https://mis.example/pma",
        "kinds": ["*"],
        "programmes": ["*"],
        "mode": "fhir-transaction",
        "window_seconds": 10,
        "shards": 1,
    },
}
