"""Observations and alerts -> numbered lanes -> a doorbell -> signed webhooks."""

from aws_cdk import Aws, Duration
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.function import PythonFunction, Runtime
from infra.queue import DeadLetters, WorkQueue

SEND_TIMEOUT = Duration.seconds(60)


class Export(Construct):
    """`collect` numbers what is to be sent; `send` takes a lane when its doorbell rings. The log is the backlog."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        runtime: Runtime,
        observations: dynamodb.ITable,
        alerts: dynamodb.ITable,
        registry: dynamodb.ITable,
        deliveries: dynamodb.ITable,
    ) -> None:
        super().__init__(scope, construct_id)
        stage, key, alarms = runtime.stage, runtime.queue_key, runtime.alarms
        self.doorbell = WorkQueue(
            self,
            "Doorbell",
            stage=stage,
            key=key,
            alarms=alarms,
            reader_timeout=SEND_TIMEOUT,
            late_after_seconds=1200,
        )
        failed = DeadLetters(self, "Failed", stage=stage, key=key, alarms=alarms)

        collect = PythonFunction(
            self,
            "Collect",
            runtime=runtime,
            package="export",
            handler="collect",
            concurrency="collect",
            timeout=Duration.seconds(30),
            settings={
                "deliveries_table": deliveries.table_name,
                "registry_table": registry.table_name,
                "doorbell_queue": self.doorbell.queue_url,
                "delivery_days": str(stage.delivery_days),
            },
        )
        collect.reads_stream(
            observations, "Observations", failed=failed, window=Duration.seconds(stage.collect_window_seconds)
        )
        collect.reads_stream(alerts, "Alerts", failed=failed)
        alarms.on_stream_reader(collect)
        collect.uses(registry, "BatchGetItem", "Query", "UpdateItem")  # it notes which week of a subject was told
        collect.uses(deliveries, "GetItem", "PutItem", "UpdateItem")
        collect.may(["sqs:SendMessage"], self.doorbell.queue_arn)

        send = PythonFunction(
            self,
            "Send",
            runtime=runtime,
            package="export",
            handler="send",
            concurrency="send",
            timeout=SEND_TIMEOUT,
            loops=True,  # it rings its own doorbell for what has to wait; the lane's log ends the loop (T11)
            settings={
                "deliveries_table": deliveries.table_name,
                "registry_table": registry.table_name,
                "observations_table": observations.table_name,
                "alerts_table": alerts.table_name,
                "doorbell_queue": self.doorbell.queue_url,
                "delivery_days": str(stage.delivery_days),
                "allow_insecure_endpoints": "yes" if stage.allow_insecure_endpoints else "no",
            },
        )
        send.reads_queue(self.doorbell, batch=1)
        send.uses(registry, "BatchGetItem", "Query", "UpdateItem")  # a 410 disables its endpoint
        send.uses(observations, "BatchGetItem", "Query")
        send.uses(alerts, "BatchGetItem")
        send.uses(deliveries, "BatchWriteItem", "GetItem", "Query", "UpdateItem")
        send.may(["sqs:SendMessage"], self.doorbell.queue_arn)
        send.may(["secretsmanager:GetSecretValue"], endpoint_secrets(stage.stack), because=SECRETS_COME)


SECRETS_COME = "Secrets come with endpoints: no deploy."


def secret_prefix(stack: str) -> str:
    return f"{stack}/endpoint/"


def endpoint_secrets(stack: str) -> str:
    """The endpoints' signing secrets, made by the registry with no deploy."""
    return f"arn:{Aws.PARTITION}:secretsmanager:{Aws.REGION}:{Aws.ACCOUNT_ID}:secret:{secret_prefix(stack)}*"
