"""Registry stream -> jobs -> marks on observations, second tries of what was set aside."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import log
from adapters.aws import client
from adapters.environment import read
from adapters.inbox import Backlog
from adapters.jobs import Jobs
from adapters.observations import Observations
from adapters.quarantine import Quarantine
from adapters.registry import RegistryReader, devices_in, is_of_a_device, is_of_recalls, recalls_in
from domain.replay import read_job
from functions.replay.service import Change, DeviceChanged, RecallsChanged, Replay
from functions.replay.settings import Settings

logger = log.logger()


def clock() -> datetime:
    return datetime.now(UTC)


@cache
def wired() -> Replay:
    settings = read(Settings)
    dynamodb, sqs = client("dynamodb"), client("sqs")
    return Replay(
        registry=RegistryReader(dynamodb, settings.registry_table),
        observations=Observations(dynamodb, settings.observations_table),
        quarantine=Quarantine(dynamodb, settings.quarantine_table),
        backlog=Backlog(sqs, settings.backlog_queue),
        jobs=Jobs(sqs, settings.jobs_queue),
    )


def change(record: dict[str, Any]) -> Change | None:
    """What a record of the registry's stream says of devices and recalls, if it does."""
    if is_of_a_device(record):
        return DeviceChanged(*devices_in(record))
    if is_of_recalls(record):
        return RecallsChanged(*recalls_in(record))
    return None


@log.Silently()
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """A batch of the stream, or one job of the queue: what fails is tried again as it came."""
    changes, done = [], 0
    for record in event["Records"]:
        if record["eventSource"] == "aws:sqs":
            wired().do(read_job(record["body"]), now=clock())
            done += 1
        elif (changed := change(record)) is not None:
            changes.append(changed)
    begun = wired().begin(changes)
    logger.info("batch worked off", extra={"records": len(event["Records"]), "done": done, "begun": begun})
    return {"batchItemFailures": []}
