"""Queues that lose nothing in silence."""

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.accepted import accept
from infra.alarms import Alarms
from infra.stage import Stage


class DeadLetters(sqs.Queue):
    """Where a message ends that nothing could handle: kept 14 days, told about within a minute (R25, R26)."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, key: kms.IKey, alarms: Alarms) -> None:
        super().__init__(
            scope,
            construct_id,
            encryption_master_key=key,
            data_key_reuse=Duration.hours(1),
            enforce_ssl=not stage.emulated,
            retention_period=Duration.days(14),
        )
        alarms.on_any_message(self)
        accept(
            self, "SQS3", "Failures end here; cdk-nag sees only redrive policies, our T4 sees every way into a queue."
        )


class WorkQueue(sqs.Queue):
    """A queue with dead letters, whose messages stay hidden six times as long as its reader may take (R21)."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        key: kms.IKey,
        alarms: Alarms,
        reader_timeout: Duration,
        late_after_seconds: int,
        attempts: int = 5,
    ) -> None:
        dead_letters = DeadLetters(scope, f"{construct_id}DeadLetters", stage=stage, key=key, alarms=alarms)
        super().__init__(
            scope,
            construct_id,
            encryption_master_key=key,
            data_key_reuse=Duration.hours(1),
            enforce_ssl=not stage.emulated,
            retention_period=Duration.days(4),
            visibility_timeout=Duration.seconds(6 * reader_timeout.to_seconds()),
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=attempts),
        )
        alarms.on_waiting(self, seconds=late_after_seconds)
