"""Streams of observations and registry -> evaluate function -> alerts and decisions tables."""

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.function import PythonFunction, Runtime
from infra.queue import DeadLetters


class Evaluate(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        runtime: Runtime,
        observations: dynamodb.ITable,
        alerts: dynamodb.ITable,
        registry: dynamodb.ITable,
        decisions: dynamodb.ITable,
    ) -> None:
        super().__init__(scope, construct_id)
        failed = DeadLetters(self, "Failed", stage=runtime.stage, key=runtime.queue_key, alarms=runtime.alarms)
        function = PythonFunction(
            self,
            "Function",
            runtime=runtime,
            package="evaluate",
            concurrency="evaluate",
            timeout=Duration.seconds(30),
            settings={
                "alerts_table": alerts.table_name,
                "registry_table": registry.table_name,
                "decisions_table": decisions.table_name,
                "decision_days": str(runtime.stage.decision_days),
            },
        )
        function.reads_stream(observations, "Observations", failed=failed)
        function.reads_stream(registry, "Registry", failed=failed)
        runtime.alarms.on_stream_reader(function)
        function.uses(registry, "BatchGetItem")
        function.uses(alerts, "BatchGetItem", "PutItem")
        function.uses(decisions, "UpdateItem")
