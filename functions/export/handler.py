"""Streams of observations and alerts -> the lanes' logs (`collect`); doorbells -> webhooks (`send`)."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import log
from adapters.alerts import Alerts, is_new_version
from adapters.aws import client
from adapters.consent import from_record, is_of_consent
from adapters.deliveries import Deliveries
from adapters.doorbell import Doorbell, to_lane
from adapters.dynamodb import decode_item
from adapters.environment import read, settle
from adapters.observations import Observations, is_mark, is_new_reading, row_of, taken_at
from adapters.registry import ExportNotes, RegistryReader
from adapters.secrets import Secrets
from adapters.webhook import Webhook
from domain.codes import KINDS
from domain.delivery import Content, Reference, RowType
from functions.export.service import Change, Collect, Send
from functions.export.settings import CollectSettings, SendSettings

if TYPE_CHECKING:  # all of Powertools' batch would be loaded at each start for one name
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

logger = log.logger()
metrics = Metrics()


def clock() -> datetime:
    return datetime.now(UTC)


@cache
def collector() -> Collect:
    settings = read(CollectSettings)
    dynamodb = client("dynamodb")
    collecting = Collect(
        log=Deliveries(dynamodb, settings.deliveries_table, settings.delivery_days),
        bell=Doorbell(client("sqs"), settings.doorbell_queue),
        registry=RegistryReader(dynamodb, settings.registry_table),
        notes=ExportNotes(dynamodb, settings.registry_table),
        clock=clock,
    )
    settle()
    return collecting


@cache
def sender() -> Send:
    settings = read(SendSettings)
    dynamodb = client("dynamodb")
    sending = Send(
        log=Deliveries(dynamodb, settings.deliveries_table, settings.delivery_days),
        bell=Doorbell(client("sqs"), settings.doorbell_queue),
        registry=RegistryReader(dynamodb, settings.registry_table),
        switch=ExportNotes(dynamodb, settings.registry_table),
        observations=Observations(dynamodb, settings.observations_table),
        alerts=Alerts(dynamodb, settings.alerts_table),
        secrets=Secrets(client("secretsmanager")),
        courier=Webhook(allow_insecure=settings.allow_insecure_endpoints == "yes"),
        clock=clock,
        jitter=random.random,
    )
    settle()
    return sending


def changes(event: dict[str, Any]) -> list[Change]:
    """What of a batch of either stream may leave: new readings, marks beside old ones, and alerts in each new version.
    All else stays here."""
    found = []
    for record in event["Records"]:
        kind = record["dynamodb"]["Keys"]["sk"]["S"].partition("#")[0]
        if is_new_version(record):
            found.append(_change(record["dynamodb"], "alerts", "alert"))
        elif is_of_consent(record):
            found.append(_of_consent(record))
        elif kind in KINDS and is_new_reading(record):
            found.append(_change(record["dynamodb"], "observations", "observation"))
        elif kind in KINDS and is_mark(record):
            found.append(_marked(record, kind))
    return found


def _of_consent(record: dict[str, Any]) -> Change:
    key, told = from_record(record)
    return Change(
        sequence=record["dynamodb"]["SequenceNumber"],
        content="alerts",
        organisation=told.organisation,
        subject=told.subject,
        kind="consent",
        reference=Reference("consent", *key),
        consent=told,
    )


def _marked(record: dict[str, Any], kind: str) -> Change:
    """The observation as it stands now goes again, under its own id and with its next version."""
    pk, sk = row_of(record)
    organisation, _, subject = pk.partition("#")
    corrected = record["dynamodb"]["NewImage"].get("measured_at")
    return Change(
        sequence=record["dynamodb"]["SequenceNumber"],
        content="observations",
        organisation=organisation,
        subject=subject,
        kind=kind,
        reference=Reference("observation", pk, sk),
        moments=(taken_at(sk), *([datetime.fromisoformat(corrected["S"])] if corrected else [])),
    )


def _change(brought: dict[str, Any], content: Content, type_: RowType) -> Change:
    row = decode_item(brought["NewImage"])
    measured = row.get("measured_at")
    return Change(
        sequence=brought["SequenceNumber"],
        content=content,
        organisation=row["organisation"],
        subject=row["subject"],
        kind=row["kind"],
        reference=Reference(type_, row["pk"], row["sk"]),
        moments=() if measured is None else (datetime.fromisoformat(measured),),
    )


@log.Silently()
@logger.inject_lambda_context
@metrics.log_metrics
def collect(event: dict[str, Any], context: LambdaContext) -> "PartialItemFailureResponse":
    outcome = collector()(changes(event))
    logger.info("batch collected", extra=dict(outcome.counts))
    metrics.add_metric("RowsAppended", MetricUnit.Count, outcome.counts["rows"])
    return {"batchItemFailures": [{"itemIdentifier": number} for number in outcome.to_retry]}


@log.Silently()
@logger.inject_lambda_context
@metrics.log_metrics
def send(event: dict[str, Any], context: LambdaContext) -> "PartialItemFailureResponse":
    """A doorbell that was answered is done with, whatever the endpoint said: the log knows what is left."""
    deadline = clock() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    counts: Counter[str] = Counter()
    for record in event["Records"]:
        owner = f"{context.aws_request_id}#{record['messageId']}"
        counts += sender()(to_lane(record["body"]), owner=owner, deadline=deadline).counts
    logger.info("doorbells answered", extra=dict(counts))
    metrics.add_metric("DeliveriesReceived", MetricUnit.Count, counts["received"])
    metrics.add_metric("LanesSuspended", MetricUnit.Count, counts["suspended"])
    return {"batchItemFailures": []}
