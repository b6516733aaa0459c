"""Critical and ordinary queues -> words to patient and doctor."""

from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    ExceptionInfo,
    FailureResponse,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import log
from adapters.aws import client
from adapters.contacts import ContactOpener
from adapters.environment import read
from adapters.notifier import Notifier
from adapters.outbox import Outbox, from_body
from adapters.programmes import messages
from functions.notify.service import notify
from functions.notify.settings import Settings

logger = log.logger()
metrics = Metrics()


class Processor(BatchProcessor):
    """Says which notice failed and where; the traceback itself could hold an address."""

    def failure_handler(self, record: SQSRecord, exception: ExceptionInfo) -> FailureResponse:
        kind, _, trace = exception
        defect = f"{kind.__name__ if kind else 'Unknown'} at {' '.join(log.places(trace))}"
        logger.error("notice failed", extra={"defect": defect, "message_id": record.message_id})
        return super().failure_handler(record, exception)


processor = Processor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


class Wired(NamedTuple):
    outbox: Outbox
    vault: ContactOpener
    notifier: Notifier


def clock() -> datetime:
    return datetime.now(UTC)


@cache
def wired() -> Wired:
    settings = read(Settings)
    dynamodb = client("dynamodb")
    return Wired(
        Outbox(dynamodb, settings.alerts_table, settings.registry_table),
        ContactOpener(dynamodb, client("kms"), settings.contacts_table, settings.contacts_key),
        Notifier(client("sns")),
    )


def tell(record: SQSRecord) -> None:
    notice = from_body(record.body)
    outbox, vault, notifier = wired()
    outcome = notify(notice, outbox=outbox, vault=vault, notifier=notifier, messages=messages(), now=clock())
    waited = clock() - notice.received_at
    logger.info(
        "notice told",
        extra={
            "alert": notice.alert,
            "alert_version": notice.version,
            "step": notice.step,
            "told": outcome.told,
            "undeliverable": outcome.undeliverable,
            "fallbacks": outcome.fallbacks,
            "skipped": outcome.skipped,
            "milliseconds": round(waited.total_seconds() * 1000),
        },
    )
    metrics.add_metric("ArrivalToNotification", MetricUnit.Milliseconds, waited.total_seconds() * 1000)
    metrics.add_metric("NobodyOfRole", MetricUnit.Count, outcome.fallbacks)


@log.Silently()
@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return process_partial_response(event=event, record_handler=tell, processor=processor, context=context)
