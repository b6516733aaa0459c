"""Registry stream -> replay function -> marks on observations, the backlog inbox; its own queue holds what is left."""

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.function import PythonFunction, Runtime
from infra.queue import DeadLetters, WorkQueue

TIMEOUT = Duration.minutes(5)


class Replay(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        runtime: Runtime,
        registry: dynamodb.ITable,
        observations: dynamodb.ITable,
        quarantine: dynamodb.ITable,
        backlog: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        stage, key, alarms = runtime.stage, runtime.queue_key, runtime.alarms
        jobs = WorkQueue(
            self, "Jobs", stage=stage, key=key, alarms=alarms, reader_timeout=TIMEOUT, late_after_seconds=3600
        )
        failed = DeadLetters(self, "Failed", stage=stage, key=key, alarms=alarms)
        function = PythonFunction(
            self,
            "Function",
            runtime=runtime,
            package="replay",
            concurrency="replay",
            timeout=TIMEOUT,
            settings={
                "registry_table": registry.table_name,
                "observations_table": observations.table_name,
                "quarantine_table": quarantine.table_name,
                "backlog_queue": backlog.queue_url,
                "jobs_queue": jobs.queue_url,
            },
        )
        function.reads_stream(registry, "Changes", failed=failed)
        alarms.on_stream_reader(function)
        function.reads_queue(jobs, batch=1)
        function.uses(registry, "BatchGetItem")
        function.may(["dynamodb:Query"], f"{registry.table_arn}/index/fleet")
        function.uses(observations, "Query", "UpdateItem")
        function.uses(quarantine, "BatchWriteItem")
        function.may(["dynamodb:Query"], f"{quarantine.table_arn}/index/by-carrier")
        function.may(["sqs:SendMessage"], jobs.queue_arn, backlog.queue_arn)
