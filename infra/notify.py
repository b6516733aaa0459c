"""Critical and ordinary queues -> notify functions -> SNS: patient and doctor, each told once."""

from aws_cdk import Aws, Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.function import PythonFunction, Runtime

NOTIFY_TIMEOUT = Duration.seconds(15)


class Notify(Construct):
    """The only one that opens contacts. Organisations' topics are made by `ops organisation add`, with no deploy."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        runtime: Runtime,
        critical: sqs.Queue,
        ordinary: sqs.Queue,
        alerts: dynamodb.ITable,
        registry: dynamodb.ITable,
        contacts: dynamodb.ITable,
        contacts_key: kms.Key,
    ) -> None:
        super().__init__(scope, construct_id)
        for name, concurrency, queue in (
            ("Critical", "notify-critical", critical),
            ("Ordinary", "notify-ordinary", ordinary),
        ):
            function = PythonFunction(
                self,
                name,
                runtime=runtime,
                package="notify",
                concurrency=concurrency,
                timeout=NOTIFY_TIMEOUT,
                settings={
                    "alerts_table": alerts.table_name,
                    "registry_table": registry.table_name,
                    "contacts_table": contacts.table_name,
                    "contacts_key": contacts_key.key_arn,
                },
            )
            function.reads_queue(queue)
            function.uses(registry, "BatchGetItem")
            function.uses(alerts, "BatchGetItem", "UpdateItem")
            function.uses(contacts, "GetItem")
            function.holds(contacts_key, "kms:Decrypt")
            function.may(
                ["sns:Publish"],
                _sns(f"{runtime.stage.stack}-org-*"),
                _sns("endpoint/*"),
                because="Topics come with organisations, push endpoints with patients: no deploy.",
            )
            # An SMS has no resource: everything but topics and endpoints is what is left to allow.
            function.add_to_role_policy(
                iam.PolicyStatement(actions=["sns:Publish"], not_resources=[f"arn:{Aws.PARTITION}:sns:*:*:*"])
            )


def _sns(name: str) -> str:
    return f"arn:{Aws.PARTITION}:sns:{Aws.REGION}:{Aws.ACCOUNT_ID}:{name}"
