"""Observations stream -> episodes and alerts."""

from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters.alerts import Episodes
from adapters.aws import client
from adapters.decisions import Decisions
from adapters.environment import read, settle
from adapters.observations import from_record, is_new_reading
from adapters.programmes import programmes
from domain.observation import Observation
from functions.evaluate.service import Inserted, evaluate
from functions.evaluate.settings import Settings

if TYPE_CHECKING:  # all of Powertools' batch would be loaded at each start for one name
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

logger = Logger()
metrics = Metrics()


def clock() -> datetime:
    return datetime.now(UTC)


@cache
def wired() -> Episodes:
    settings = read(Settings)
    dynamodb = client("dynamodb")
    decisions = Decisions(dynamodb, settings.decisions_table, timedelta(days=settings.decision_days))
    settle()
    return Episodes(dynamodb, settings.alerts_table, settings.registry_table, decisions)


def inserted(record: dict[str, Any]) -> Inserted:
    organisation, _, subject = record["dynamodb"]["Keys"]["pk"]["S"].partition("#")
    return Inserted(record["dynamodb"]["SequenceNumber"], (organisation, subject), partial(_observation, record))


def _observation(record: dict[str, Any]) -> Observation:
    return from_record(record)[1]


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> "PartialItemFailureResponse":
    """Readings of one subject stand in order in the stream; a subject that fails is read again from its first."""
    readings = [inserted(record) for record in event["Records"] if is_new_reading(record)]
    outcome = evaluate(readings, episodes=wired(), programmes=programmes(), now=clock())
    logger.info("batch evaluated", extra={"counts": outcome.counts, "failures": outcome.failures})
    metrics.add_metric("ReadingsEvaluated", MetricUnit.Count, outcome.counts["readings"])
    metrics.add_metric("AlertVersions", MetricUnit.Count, outcome.counts["alerts"])
    metrics.add_metric("SubjectsFailed", MetricUnit.Count, len(outcome.to_retry))
    return {"batchItemFailures": [{"itemIdentifier": number} for number in outcome.to_retry]}
