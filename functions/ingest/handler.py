"""Inbox -> observations, quarantine, archive. The same code reads the second inbox, with its own concurrency."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import log
from adapters.archive import Archive
from adapters.aws import client
from adapters.catalogue import profiles
from adapters.environment import read, settle
from adapters.inbox import Backlog, arrived, is_from
from adapters.observations import Observations
from adapters.quarantine import Quarantine
from adapters.registry import DeviceStatus, RegistryReader
from adapters.sealing import KeyRing
from functions.ingest.service import Ingest
from functions.ingest.settings import Settings

if TYPE_CHECKING:  # all of Powertools' batch would be loaded at each start for one name
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

logger = log.logger()
metrics = Metrics()

_METRICS = {
    "stored": "ReadingsStored",
    "quarantined": "ReadingsQuarantined",
    "repeated": "ReadingsRepeated",
    "handed_on": "MessagesHandedOn",
    "failed": "MessagesFailed",
}


def clock() -> datetime:
    return datetime.now(UTC)


@cache
def settings() -> Settings:
    return read(Settings)


@cache
def wired() -> Ingest:
    dynamodb = client("dynamodb")
    kept_for = timedelta(days=settings().observation_days)
    quarantined_for = timedelta(days=settings().quarantine_days)
    keys = KeyRing(dynamodb, client("kms"), settings().registry_table, settings().archive_key, quarantined_for)
    ingest = Ingest(
        registry=RegistryReader(dynamodb, settings().registry_table),
        observations=Observations(dynamodb, settings().observations_table, kept_for),
        quarantine=Quarantine(dynamodb, settings().quarantine_table, quarantined_for),
        archive=Archive(client("firehose"), settings().archive_stream, keys),
        backlog=Backlog(client("sqs"), settings().backlog_queue),
        status=DeviceStatus(dynamodb, settings().registry_table),
        profiles=profiles(),
        kept_for=kept_for,
    )
    settle()
    return ingest


@log.Silently()
@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> "PartialItemFailureResponse":
    arrivals, unreadable = arrived(event)
    outcome = wired()(arrivals, now=clock(), first_inbox=not is_from(settings().backlog_queue, event))
    failed = [*unreadable, *outcome.failed]
    logger.info("batch ingested", extra={**outcome.counts, "reasons": outcome.reasons, "unreadable": len(unreadable)})
    if failed:
        logger.error("messages failed", extra={"defects": sorted(set(outcome.failed.values())), "count": len(failed)})
    for name, metric in _METRICS.items():
        metrics.add_metric(metric, MetricUnit.Count, outcome.counts[name])
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}
