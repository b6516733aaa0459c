"""What a dry run over ninety days of a five-minute sensor costs: read from the table, judged under two plans."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from adapters.aws import client
from adapters.dynamodb import AttributeValues
from adapters.observations import Observations, row_key, to_row
from adapters.programmes import programmes
from adapters.registry import to_subject
from bench import cases, measure
from bench.stub import Cloud
from device_sim import vitals
from domain.care_plan import PlanVersion
from domain.identity import Identity
from domain.observation import Observation
from domain.plan_language import DryRunBody
from functions.registry.retrospect import compare

DAYS = 90
_ROWS_A_PAGE = 1_900  # about a megabyte


class NoVersions:
    """A subject that its programme's template judges."""

    def versions(self, organisation: str, subject: str) -> list[PlanVersion]:
        return []


def rows() -> list[AttributeValues]:
    """One subject's readings as they lie in the table, newest first."""
    chance = vitals.dice(1, "bench")
    start = cases.NOW - timedelta(days=DAYS)
    shown = vitals.sensor(chance, vitals.glucose(chance, vitals.TYPE_1, start + vitals.GRID, cases.NOW))
    found = [_row(number, at, level) for number, (at, level) in enumerate(shown)]
    return found[::-1]


def _row(number: int, at: Any, level: float) -> AttributeValues:
    one = Observation(
        id=f"4b629225-8061-8216-a17a-{number:012}",
        organisation=cases.ORGANISATION,
        subject=cases.subject(0),
        device="CGM-00001",
        thing="PHONE-00001",
        kind="cgm",
        values={"glucose": Decimal(str(round(level, 1)))},
        measured_at=at,
        device_time=at,
        received_at=at + timedelta(seconds=20),
    )
    key = row_key(Identity(one.organisation, one.subject, one.kind, at, one.id))
    return to_row(key, one, expires_at=at + timedelta(days=400))


def dry_run_seconds() -> float:
    """CPU seconds of one dry run, the median of three."""
    stored = rows()

    def query(request: Mapping[str, Any]) -> dict[str, Any]:
        start = int(request.get("ExclusiveStartKey", {"at": {"N": "0"}})["at"]["N"])
        stop = start + _ROWS_A_PAGE
        more = {"LastEvaluatedKey": {"at": {"N": str(stop)}}} if stop < len(stored) else {}
        return {"Items": stored[start:stop], "Count": min(_ROWS_A_PAGE, len(stored) - start), **more}

    Cloud({"Query": query}).attach(client("dynamodb"))
    subject = to_subject(next(row for row in cases.enrolled(1) if row["sk"] == "subject"))
    consent = subject.consent and subject.consent._replace(given_at=cases.NOW - timedelta(days=DAYS))
    subject = replace(subject, programmes=("cgm",), consent=consent)
    low = {"below": {"value": 3.5, "unit": "mmol/L"}}
    rule = {"id": "low", "kind": "cgm", "value": "glucose", "severity": "warning", "when": low}
    body = DryRunBody.model_validate_json(json.dumps({"plan": {"rules": [rule]}, "days": DAYS}))
    past = Observations(client("dynamodb"), "observations")

    def work() -> None:
        found = compare(subject, body, past=past, plans=NoVersions(), programmes=programmes(), now=cases.NOW)
        if found.readings < 25_000:
            raise RuntimeError("the bench's past was not read: its figure would mean nothing")

    try:
        return measure.alone(work, 1, rounds=3).us / 1_000_000
    finally:
        client.cache_clear()
