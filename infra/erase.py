"""Stream of tombstones -> erase function -> every table without the erased; its own queue holds the looks to come."""

from aws_cdk import Duration
from constructs import Construct

from infra.function import PythonFunction, Runtime
from infra.queue import DeadLetters, WorkQueue
from infra.storage import Storage

TIMEOUT = Duration.minutes(5)


class Erase(Construct):
    """The only function that may delete what is a person's, and all that it may do with contacts."""

    def __init__(self, scope: Construct, construct_id: str, *, runtime: Runtime, storage: Storage) -> None:
        super().__init__(scope, construct_id)
        stage, key, alarms = runtime.stage, runtime.queue_key, runtime.alarms
        looks = WorkQueue(
            self, "Looks", stage=stage, key=key, alarms=alarms, reader_timeout=TIMEOUT, late_after_seconds=3600
        )
        failed = DeadLetters(self, "Failed", stage=stage, key=key, alarms=alarms)
        tables = {
            "erasures": storage.erasures,
            "registry": storage.registry,
            "observations": storage.observations,
            "alerts": storage.alerts,
            "decisions": storage.decisions,
            "quarantine": storage.quarantine,
            "contacts": storage.contacts,
            "deliveries": storage.deliveries,
        }
        function = PythonFunction(
            self,
            "Function",
            runtime=runtime,
            package="erase",
            concurrency="erase",
            timeout=TIMEOUT,
            settings={f"{name}_table": table.table_name for name, table in tables.items()}
            | {"looks_queue": looks.queue_url},
        )
        function.reads_stream(storage.erasures, "Tombstones", failed=failed)
        alarms.on_stream_reader(function)
        function.reads_queue(looks, batch=1)
        function.uses(storage.erasures, "BatchGetItem", "UpdateItem")
        function.uses(storage.registry, "BatchGetItem", "BatchWriteItem", "PutItem", "Query")
        function.may(["dynamodb:Query"], f"{storage.registry.table_arn}/index/fleet")
        for table in (storage.observations, storage.alerts, storage.decisions):
            function.uses(table, "BatchWriteItem", "Query")
        function.uses(storage.quarantine, "BatchWriteItem")
        function.may(["dynamodb:Query"], f"{storage.quarantine.table_arn}/index/by-time")
        function.uses(storage.contacts, "DeleteItem")
        function.uses(storage.deliveries, "Query", "UpdateItem")
        function.may(["sqs:SendMessage"], looks.queue_arn)
