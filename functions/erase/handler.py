"""Stream of tombstones -> looks -> every table without the erased."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import log
from adapters.aws import client
from adapters.environment import read
from adapters.erasures import Looks, Tombstones, asked_for
from adapters.forgetting import places
from domain.erasure import read_look
from functions.erase.service import Erase
from functions.erase.settings import Settings

logger = log.logger()
metrics = Metrics()


def clock() -> datetime:
    return datetime.now(UTC)


@cache
def wired() -> Erase:
    settings = read(Settings)
    dynamodb = client("dynamodb")
    return Erase(
        places(
            dynamodb,
            registry=settings.registry_table,
            observations=settings.observations_table,
            alerts=settings.alerts_table,
            decisions=settings.decisions_table,
            quarantine=settings.quarantine_table,
            contacts=settings.contacts_table,
            deliveries=settings.deliveries_table,
            erasures=settings.erasures_table,
        ),
        Tombstones(dynamodb, settings.erasures_table),
        Looks(client("sqs"), settings.looks_queue),
    )


@log.Silently()
@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """A batch of the stream, or one look of the queue: what fails is tried again as it came."""
    records = event["Records"]
    if records[0]["eventSource"] == "aws:sqs":
        found = sum(sum(wired()(read_look(record["body"]), now=clock()).values()) for record in records)
        logger.info("looked", extra={"looks": len(records), "found": found})
        metrics.add_metric("ErasedRows", MetricUnit.Count, found)
    else:
        looks = [look for record in records for look in asked_for(record)]
        wired().looks.put(looks)
        logger.info("erasures begun", extra={"looks": len(looks)})
    return {"batchItemFailures": []}
