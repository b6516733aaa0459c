"""Alert stream -> relay function -> critical and ordinary queues: a storm of the one does not delay the other (R65)."""

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.function import PythonFunction, Runtime
from infra.notify import NOTIFY_TIMEOUT
from infra.queue import DeadLetters, WorkQueue


class Relay(Construct):
    def __init__(self, scope: Construct, construct_id: str, *, runtime: Runtime, alerts: dynamodb.ITable) -> None:
        super().__init__(scope, construct_id)
        stage, key, alarms = runtime.stage, runtime.queue_key, runtime.alarms
        self.critical = WorkQueue(
            self,
            "Critical",
            stage=stage,
            key=key,
            alarms=alarms,
            reader_timeout=NOTIFY_TIMEOUT,
            late_after_seconds=30,
        )
        self.ordinary = WorkQueue(
            self,
            "Ordinary",
            stage=stage,
            key=key,
            alarms=alarms,
            reader_timeout=NOTIFY_TIMEOUT,
            late_after_seconds=300,
        )
        failed = DeadLetters(self, "Failed", stage=stage, key=key, alarms=alarms)
        function = PythonFunction(
            self,
            "Function",
            runtime=runtime,
            package="relay",
            concurrency="relay",
            timeout=Duration.seconds(30),
            settings={"critical_queue": self.critical.queue_url, "ordinary_queue": self.ordinary.queue_url},
        )
        function.reads_stream(alerts, "Alerts", failed=failed)
        alarms.on_stream_reader(function)
        function.may(["sqs:SendMessage"], self.critical.queue_arn, self.ordinary.queue_arn)
