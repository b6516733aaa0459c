"""How every function is made: runtime, layer, zip, log group, reserved concurrency, alarms, and rights by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.accepted import accept, accept_wildcard
from infra.alarms import Alarms
from infra.queue import DeadLetters
from infra.stage import Stage

_ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}
_RETENTIONS = {
    1: logs.RetentionDays.ONE_DAY,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


def retention(stage: Stage) -> logs.RetentionDays:
    return _RETENTIONS[stage.log_days]


@dataclass(frozen=True)
class Runtime:
    """What all functions share. `zips` is the folder that `python -m infra.build` made."""

    stage: Stage
    layer: lambda_.ILayerVersion
    zips: Path
    log_key: kms.IKey
    queue_key: kms.IKey
    alarms: Alarms


class PythonFunction(lambda_.Function):
    """`functions/<package>` behind `handler`, with `settings` as PMA_<NAME> and no right but those of `may`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        runtime: Runtime,
        package: str,
        handler: str = "handle",
        concurrency: str,
        settings: Mapping[str, str],
        timeout: Duration,
        memory_mb: int = 1024,
        loops: bool = False,
    ) -> None:
        stage = runtime.stage
        group = logs.LogGroup(
            scope,
            f"{construct_id}Logs",
            retention=retention(stage),
            encryption_key=runtime.log_key,
            removal_policy=RemovalPolicy.RETAIN if stage.durable else RemovalPolicy.DESTROY,
        )
        role = iam.Role(scope, f"{construct_id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        super().__init__(
            scope,
            construct_id,
            code=lambda_.Code.from_asset(str(runtime.zips / f"{package}.zip")),
            handler=f"functions.{package}.handler.{handler}",
            runtime=lambda_.Runtime(f"python{stage.target.python}", lambda_.RuntimeFamily.PYTHON),
            architecture=_ARCHITECTURES[stage.target.architecture],
            layers=[runtime.layer],
            role=role,
            log_group=group,
            # The START, END and REPORT lines would be most of the bytes that logging costs; metrics say the same.
            logging_format=lambda_.LoggingFormat.JSON,
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            memory_size=memory_mb,
            timeout=timeout,
            reserved_concurrent_executions=stage.concurrency[concurrency],
            recursive_loop=lambda_.RecursiveLoop.ALLOW if loops else lambda_.RecursiveLoop.TERMINATE,
            environment={
                "POWERTOOLS_SERVICE_NAME": concurrency,
                "POWERTOOLS_METRICS_NAMESPACE": stage.stack,
                **{f"PMA_{name.upper()}": value for name, value in settings.items()},
            },
        )
        self.own_role = role
        self.label = concurrency
        self.reads_streams = False
        self._reserved = stage.concurrency[concurrency]
        self.may(["logs:CreateLogStream", "logs:PutLogEvents"], group.log_group_arn)
        runtime.alarms.on_function(self, timeout=timeout)
        accept(self, "L1", "Layer and bytecode are built and tested for this version; it moves with the lock.")

    def may(self, actions: list[str] | tuple[str, ...], *resources: str, because: str | None = None) -> None:
        """Allow exactly these actions on exactly these resources: CDK's grants bring more than is needed (R94).

        A pattern among `resources` needs the evidence: `because` it cannot be named.
        """
        self.add_to_role_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources)))
        if because is not None:
            for resource in resources:
                accept_wildcard(self.own_role, resource, because)

    def uses(self, table: dynamodb.ITable, *operations: str) -> None:
        """Allow these operations on a table: never Scan, by which one organisation would read another (R82)."""
        self.may([f"dynamodb:{operation}" for operation in operations], table.table_arn)

    def holds(self, key: kms.Key, action: str) -> None:
        """Allow this action with a key whose policy leaves nothing to the account."""
        self.may([action], key.key_arn)
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ArnPrincipal(self.own_role.role_arn)], actions=[action], resources=["*"]
            )
        )

    def reads_queue(self, queue: sqs.Queue, *, batch: int = 10) -> None:
        """Batches of what is there, without a window: a reading does not wait for its neighbours."""
        self.add_event_source(
            sources.SqsEventSource(
                queue,
                batch_size=batch,
                report_batch_item_failures=True,
                max_concurrency=max(2, self._reserved - 1),  # the poller never meets a throttle (R36)
            )
        )

    def reads_stream(
        self,
        table: dynamodb.ITable,
        name: str,
        *,
        failed: DeadLetters,
        window: Duration | None = None,
        batch: int = 100,
    ) -> None:
        """From the oldest record on, a poison record cut out by halving and set aside in `failed` (R39, R42)."""
        stream = table.table_stream_arn
        self.reads_streams = True
        if stream is None:
            raise ValueError(f"{table.node.path} has no stream to read")
        self.may(["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], stream)
        self.may(["dynamodb:ListStreams"], "*", because="It knows no resource, and shows names only.")
        self.may(["sqs:SendMessage"], failed.queue_arn)
        lambda_.CfnEventSourceMapping(
            self,
            name,
            function_name=self.function_name,
            event_source_arn=stream,
            starting_position="TRIM_HORIZON",
            batch_size=batch,
            maximum_batching_window_in_seconds=None if window is None else window.to_seconds(),
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=8,
            function_response_types=["ReportBatchItemFailures"],
            destination_config=lambda_.CfnEventSourceMapping.DestinationConfigProperty(
                on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(destination=failed.queue_arn)
            ),
        ).node.add_dependency(self.role)
