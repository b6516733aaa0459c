"""Inbox -> ingest function -> observations, quarantine, archive."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.function import PythonFunction, Runtime
from infra.inbox import INGEST_TIMEOUT, Inbox
from infra.keys import MAKES_KEYS
from infra.storage import Archive


class Ingest(Construct):
    """The same code behind both inboxes, each with its own concurrency: a backlog never delays what is fresh."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        runtime: Runtime,
        inbox: Inbox,
        registry: dynamodb.ITable,
        observations: dynamodb.ITable,
        quarantine: dynamodb.ITable,
        archive: Archive,
        archive_key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        for name, concurrency, queue in (
            ("Fresh", "ingest", inbox.fresh),
            ("Backlog", "ingest-backlog", inbox.backlog),
        ):
            function = PythonFunction(
                self,
                name,
                runtime=runtime,
                package="ingest",
                concurrency=concurrency,
                timeout=INGEST_TIMEOUT,
                settings={
                    "observations_table": observations.table_name,
                    "registry_table": registry.table_name,
                    "quarantine_table": quarantine.table_name,
                    "archive_stream": archive.stream_name,
                    "archive_key": archive_key.key_arn,
                    "backlog_queue": inbox.backlog.queue_url,
                    "observation_days": str(runtime.stage.observation_days),
                    "quarantine_days": str(runtime.stage.quarantine_days),
                },
            )
            function.reads_queue(queue)
            function.uses(registry, "BatchGetItem", "UpdateItem")
            function.uses(observations, "BatchGetItem", "BatchWriteItem", "UpdateItem", "Query")
            function.uses(quarantine, "BatchGetItem", "BatchWriteItem", "DeleteItem")
            function.may(["firehose:PutRecord"], archive.stream_arn)
            function.may(MAKES_KEYS, archive_key.key_arn)
            function.may(["sqs:SendMessage"], inbox.backlog.queue_arn)
