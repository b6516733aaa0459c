"""Alerts stream -> critical and ordinary queues."""

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import log
from adapters.alerts import is_new_notice, to_notice
from adapters.aws import client
from adapters.environment import read
from adapters.outbox import Queues
from functions.relay.service import relay
from functions.relay.settings import Settings

if TYPE_CHECKING:  # all of Powertools' batch would be loaded at each start for one name
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

logger = log.logger()


@cache
def wired() -> Queues:
    settings = read(Settings)
    return Queues(client("sqs"), settings.critical_queue, settings.ordinary_queue)


@log.Silently()
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> "PartialItemFailureResponse":
    """A row of the outbox is an order once, when it is inserted; its marks of who was told are not."""
    notices = [
        (record["dynamodb"]["SequenceNumber"], to_notice(record))
        for record in event["Records"]
        if is_new_notice(record)
    ]
    outcome = relay(notices, wired())
    logger.info("batch relayed", extra={"counts": outcome.counts})
    return {"batchItemFailures": [{"itemIdentifier": number} for number in outcome.to_retry]}
