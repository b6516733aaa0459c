"""How much alerting an organisation has: readings, alerts and alerts that needed a human, per patient-day.

It goes through whole tables, as no function may (R82): with the operator's own rights, and to be run now and then.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.alerts import to_alert
from adapters.aws import client
from adapters.dynamodb import Item, decode_item
from adapters.registry import to_subject
from domain.alert import Alert
from domain.alert_load import alert_load
from domain.codes import KINDS
from domain.enrolment import Subject
from ops.errors import OperatorError
from ops.stack import output

_OF_THE_ORGANISATION = "organisation = :organisation AND "
_DAY = timedelta(days=1)
_LONGEST = 400


class AlertLoadError(OperatorError):
    """What the operator asked for cannot be counted."""


@dataclass(frozen=True)
class Tables:
    registry: str
    alerts: str
    observations: str


def measure(organisation: str, of: Tables, *, days: int, now: datetime) -> dict[str, Any]:
    """The load of the last `days`. A patient's days count from consent to its withdrawal."""
    since = now - days * _DAY
    subjects = [one for one in _subjects(organisation, of.registry) if _monitored(one, since, now)]
    readings = sum(_readings(one, of.observations, since, now) for one in subjects)
    alerts = [one for one in _alerts(organisation, of.alerts) if since <= one.raised_at < now]
    patient_days = sum((_monitored(one, since, now) for one in subjects), timedelta()) / _DAY
    load = alert_load(alerts, readings=readings, patient_days=patient_days)
    counts = {"readings": load.readings, "alerts": load.alerts, "needing_a_human": load.needing_a_human}
    return {
        "organisation": organisation,
        "from": since.isoformat(timespec="seconds"),
        "to": now.isoformat(timespec="seconds"),
        "patients": len(subjects),
        "patient_days": round(patient_days, 1),
        **counts,
        "per_patient_day": {name: round(load.per_patient_day(count), 3) for name, count in counts.items()},
        "noisiest_rules": [{"rule": rule, "needing_a_human": count} for rule, count in load.rules.items()],
    }


def _monitored(subject: Subject, since: datetime, now: datetime) -> timedelta:
    """For how long of that time the subject was monitored."""
    if subject.consent is None:
        return timedelta()
    over = subject.consent.withdrawn_at or now
    return max(min(over, now) - max(subject.consent.given_at, since), timedelta())


def _subjects(organisation: str, table: str) -> Iterator[Subject]:
    for item in _scan(table, organisation, "sk = :what", "subject"):
        yield to_subject(item)


def _alerts(organisation: str, table: str) -> Iterator[Alert]:
    for item in _scan(table, organisation, "begins_with(sk, :what)", "alert#"):
        yield to_alert(item)


def _scan(table: str, organisation: str, those: str, what: str) -> Iterator[Item]:
    pages = (
        client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=table,
            FilterExpression=_OF_THE_ORGANISATION + those,
            ExpressionAttributeValues={":organisation": {"S": organisation}, ":what": {"S": what}},
        )
    )
    for page in pages:
        yield from map(decode_item, page["Items"])


def _readings(subject: Subject, table: str, since: datetime, now: datetime) -> int:
    """How many rows a subject has of that time, by the device's clock; marks are none."""
    pages = client("dynamodb").get_paginator("query")
    return sum(
        page["Count"]
        for kind in KINDS
        for page in pages.paginate(
            TableName=table,
            Select="COUNT",
            KeyConditionExpression="pk = :pk AND sk BETWEEN :from AND :to",
            FilterExpression="attribute_exists(measured_at) AND attribute_exists(kind)",
            ExpressionAttributeValues={
                ":pk": {"S": f"{subject.organisation}#{subject.id}"},
                ":from": {"S": f"{kind}#{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"},
                ":to": {"S": f"{kind}#{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"},
            },
        )
    )


def add_parser(commands: Any) -> None:
    """`python -m ops alert-load …`"""
    parser: ArgumentParser = commands.add_parser(
        "alert-load", help="readings, alerts and alerts that needed a human, per patient-day"
    )
    parser.add_argument("--organisation", required=True, help="its id, as in clinic-a")
    parser.add_argument("--days", type=int, default=30, help="of the last so many days (30)")
    parser.add_argument("--stack", required=True, help="the deployed stack, as in pma-dev")
    parser.set_defaults(run=_run)


def _run(arguments: Namespace) -> dict[str, Any]:
    if not 1 <= arguments.days <= _LONGEST:
        raise AlertLoadError(f"--days is 1 to {_LONGEST}: observations are kept no longer.")
    of = Tables(*output(arguments.stack, ["RegistryTable", "AlertsTable", "ObservationsTable"]))
    return measure(arguments.organisation, of, days=arguments.days, now=datetime.now(UTC))
