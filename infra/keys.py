"""The stage's own keys: one for data, one for what tells us that the first has failed, one for contacts alone."""

from aws_cdk import Aws, Fn, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.stage import Stage

MAKES_KEYS = ("kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext")
"""An organisation's key is made by whoever needs it first."""


class Keys(Construct):
    """`data`: tables, queues, archive. `operations`: error queue, logs, alarms. `contacts`: the vault's seal (F11).
    `archive`: wraps the organisations' keys, under which each person's bytes are sealed (R90).

    Nobody is granted the use of `data` or `operations` directly: it follows from the right to the table or queue,
    through that service and within this account only.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        removal = RemovalPolicy.RETAIN if stage.durable else RemovalPolicy.DESTROY

        self.data = kms.Key(
            self, "Data", description="Tables, queues and archive", enable_key_rotation=True, removal_policy=removal
        )
        _usable_through(self.data, "dynamodb", "sqs", "s3", "firehose", "secretsmanager")

        # Not the data's key: when that one fails, readings still find the error queue and the page goes out (R1, R106).
        self.operations = kms.Key(
            self,
            "Operations",
            description="Error queue, logs and alarms",
            enable_key_rotation=True,
            removal_policy=removal,
        )
        _usable_through(self.operations, "sqs", "sns")
        self.operations.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.amazonaws.com")],
                actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                resources=["*"],
                conditions={
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": Fn.sub(
                            "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:*"
                        )
                    }
                },
            )
        )
        self.operations.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[
                    iam.ServicePrincipal("cloudwatch.amazonaws.com"),
                    iam.ServicePrincipal("budgets.amazonaws.com"),
                ],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )

        # Its use is granted by name to who seals and to who reads the archive again.
        self.archive = kms.Key(
            self,
            "Archive",
            description="Wraps the organisations' keys of the archive",
            enable_key_rotation=True,
            removal_policy=removal,
        )

        # The account may look after this key and not use it: no policy of an administrator's opens a contact (P1).
        self.contacts = kms.Key(
            self,
            "Contacts",
            description="Seals contacts; only notify opens them",
            enable_key_rotation=True,
            removal_policy=removal,
            policy=iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        principals=[iam.AccountRootPrincipal()],
                        actions=[
                            *("kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:Describe*"),
                            *("kms:DisableKey", "kms:EnableKey", "kms:EnableKeyRotation", "kms:Get*", "kms:List*"),
                            *("kms:PutKeyPolicy", "kms:RevokeGrant", "kms:ScheduleKeyDeletion", "kms:TagResource"),
                            *("kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription"),
                        ],
                        resources=["*"],
                    )
                ]
            ),
        )


def _usable_through(key: kms.Key, *services: str) -> None:
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.AnyPrincipal()],
            actions=[
                "kms:Encrypt",
                "kms:Decrypt",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:DescribeKey",
                "kms:CreateGrant",
            ],
            resources=["*"],
            conditions={
                "StringEquals": {
                    "kms:CallerAccount": Aws.ACCOUNT_ID,
                    "kms:ViaService": [f"{service}.{Aws.REGION}.amazonaws.com" for service in services],
                }
            },
        )
    )
