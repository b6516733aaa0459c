"""Tables and the archive: what must never be lost."""

from typing import cast

from aws_cdk import CfnElement, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.accepted import accept, accept_wildcard
from infra.alarms import Alarms
from infra.function import retention
from infra.keys import Keys
from infra.stage import Stage


class Storage(Construct):
    """Every table is keyed `pk`, `sk`; its scheme stands in its adapter. What changes together shares a table."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, keys: Keys) -> None:
        super().__init__(scope, construct_id)
        self._stage, self._keys = stage, keys
        self.registry = self._table("Registry", stream=True, expires=True)
        self.registry.add_global_secondary_index(
            index_name="fleet", partition_key=_string("fleet"), sort_key=_string("id")
        )
        self.observations = self._table("Observations", stream=True, expires=True)
        self.alerts = self._table("Alerts", stream=True)
        self.alerts.add_global_secondary_index(
            index_name="by-id",
            partition_key=_string("queue"),
            sort_key=_string("id"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=["severity", "raised_at"],
        )
        self.decisions = self._table("Decisions", expires=True)
        self.deliveries = self._table("Deliveries", expires=True)
        self.contacts = self._table("Contacts")
        self.idempotency = self._table("Idempotency", expires=True)
        self.audit = self._table("Audit", expires=True)
        # Of its own, so that it is never restored with what it holds to: who was erased stays erased (R90).
        self.erasures = self._table("Erasures", stream=True)
        self.quarantine = self._table("Quarantine", expires=True)
        # Sixteen shelves an organisation: newest first without one hot key (R32).
        self.quarantine.add_global_secondary_index(
            index_name="by-time", partition_key=_string("shelf"), sort_key=_string("shelved")
        )
        self.quarantine.add_global_secondary_index(
            index_name="by-carrier", partition_key=_string("carrier"), sort_key=_string("shelved")
        )

    def _table(
        self,
        name: str,
        *,
        stream: bool = False,
        expires: bool = False,
    ) -> dynamodb.Table:
        durable = self._stage.durable
        return dynamodb.Table(
            self,
            name,
            partition_key=_string("pk"),
            sort_key=_string("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self._keys.data,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES if stream else None,
            time_to_live_attribute="expires_at" if expires else None,
            deletion_protection=durable,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True, recovery_period_in_days=35
            ),
            removal_policy=RemovalPolicy.RETAIN if durable else RemovalPolicy.DESTROY,
        )


class Archive(Construct):
    """Firehose -> a bucket that forgets nothing: all derived state can be built again from it (R101)."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, keys: Keys, alarms: Alarms) -> None:
        super().__init__(scope, construct_id)
        durable = stage.durable
        removal = RemovalPolicy.RETAIN if durable else RemovalPolicy.DESTROY
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=keys.data,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=True,
            object_lock_enabled=True,
            object_lock_default_retention=s3.ObjectLockRetention.compliance(Duration.days(stage.archive_days))
            if durable
            else None,
            removal_policy=removal,
        )
        accept(self.bucket, "S1", "Only Firehose writes; who reads is seen by CloudTrail's data events.")
        group = logs.LogGroup(
            self, "Logs", retention=retention(stage), encryption_key=keys.operations, removal_policy=removal
        )
        failures = logs.LogStream(self, "Failures", log_group=group, removal_policy=removal)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("firehose.amazonaws.com"))
        rights = iam.Policy(
            self,
            "Rights",
            roles=[role],
            statements=[
                iam.PolicyStatement(
                    actions=["s3:AbortMultipartUpload", "s3:PutObject"], resources=[self.bucket.arn_for_objects("*")]
                ),
                iam.PolicyStatement(
                    actions=["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                    resources=[self.bucket.bucket_arn],
                ),
                iam.PolicyStatement(actions=["logs:PutLogEvents"], resources=[group.log_group_arn]),
            ],
        )
        bucket_id = Stack.of(self).get_logical_id(cast(CfnElement, self.bucket.node.default_child))
        accept_wildcard(rights, f"<{bucket_id}.Arn>/*", "Firehose names each object by its time.")
        self.stream = firehose.CfnDeliveryStream(
            self,
            "Stream",
            delivery_stream_type="DirectPut",
            delivery_stream_encryption_configuration_input=firehose.CfnDeliveryStream.DeliveryStreamEncryptionConfigurationInputProperty(
                key_type="CUSTOMER_MANAGED_CMK", key_arn=keys.data.key_arn
            ),
            extended_s3_destination_configuration=firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty(
                bucket_arn=self.bucket.bucket_arn,
                role_arn=role.role_arn,
                prefix="readings/!{timestamp:yyyy-MM-dd}/",
                error_output_prefix="failed/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/",
                buffering_hints=firehose.CfnDeliveryStream.BufferingHintsProperty(
                    interval_in_seconds=stage.archive_seconds, size_in_m_bs=64
                ),
                compression_format="GZIP",
                cloud_watch_logging_options=firehose.CfnDeliveryStream.CloudWatchLoggingOptionsProperty(
                    enabled=True, log_group_name=group.log_group_name, log_stream_name=failures.log_stream_name
                ),
            ),
        )
        self.stream.node.add_dependency(rights)
        alarms.on_archive(self.stream.ref, scope=self, seconds=4 * stage.archive_seconds)

    @property
    def stream_name(self) -> str:
        return self.stream.ref

    @property
    def stream_arn(self) -> str:
        return self.stream.attr_arn


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
