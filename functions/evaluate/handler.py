"""Streams of observations and registry -> episodes and alerts."""

from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import log
from adapters.alerts import Episodes
from adapters.aws import client
from adapters.decisions import Decisions
from adapters.environment import read, settle
from adapters.observations import from_record, is_mark, is_new_reading, newly_discounted
from adapters.programmes import programmes
from adapters.registry_stream import happened
from domain.alert import Recalled
from domain.codes import KINDS
from functions.evaluate.service import Change, evaluate
from functions.evaluate.settings import Settings

if TYPE_CHECKING:  # all of Powertools' batch would be loaded at each start for one name
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

logger = log.logger()
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


def changes(event: dict[str, Any], now: datetime) -> list[Change]:
    """What of a batch of either stream the engine has to judge, in the stream's order."""
    found: list[Change] = []
    for record in event["Records"]:
        change = record["dynamodb"]
        number, keys = change["SequenceNumber"], change["Keys"]
        if keys["sk"]["S"].partition("#")[0] not in KINDS:
            found += [Change(number, who, read_it) for who, read_it in happened(record, now)]
            continue
        organisation, _, subject = keys["pk"]["S"].partition("#")
        who = organisation, subject
        if is_new_reading(record):
            found.append(Change(number, who, partial(from_record, record)))
        elif is_mark(record) and (discounted := newly_discounted(record)) is not None:
            found.append(Change(number, who, partial(Recalled, *who, frozenset({discounted}))))
    return found


@log.Silently()
@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> "PartialItemFailureResponse":
    """What is of one subject stands in order in a stream; a subject that fails is read again from its first."""
    now = clock()
    outcome = evaluate(changes(event, now), episodes=wired(), programmes=programmes(), now=now)
    if outcome.failures or outcome.counts.keys() - {"readings"}:  # how many of a quiet batch there were, metrics say
        logger.info("batch evaluated", extra={"counts": outcome.counts, "failures": outcome.failures})
    metrics.add_metric("ReadingsEvaluated", MetricUnit.Count, outcome.counts["readings"])
    metrics.add_metric("AlertVersions", MetricUnit.Count, outcome.counts["alerts"])
    metrics.add_metric("SubjectsFailed", MetricUnit.Count, len(outcome.to_retry))
    return {"batchItemFailures": [{"itemIdentifier": number} for number in outcome.to_retry]}
