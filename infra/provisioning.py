"""Claim -> hook -> a thing with a certificate of its own: how devices and phones come to their names."""

from aws_cdk import Aws, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.accepted import accept_wildcard
from infra.function import PythonFunction, Runtime


def arn(resource: str) -> str:
    return f"arn:{Aws.PARTITION}:iot:{Aws.REGION}:{Aws.ACCOUNT_ID}:{resource}"


HOOK_TIMEOUT = Duration.seconds(5)
"""IoT Core waits no longer."""

MOST_REFUSALS = 20
"""In an hour: more than devices that were not enrolled yet, fewer than who tries serials with a stolen claim (R13)."""

THINGS = arn("thing/*")
CERTIFICATES = arn("cert/*")
NOT_YET_THERE = "Things and certificates come without a deployment."


class Provisioning(Construct):
    """Fleet provisioning: the template, the hook that lets a serial in once, and what a claim may do."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        runtime: Runtime,
        registry: dynamodb.ITable,
        thing_type: iot.CfnThingType,
        policy: iot.CfnPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        stage = runtime.stage
        self.template = f"{stage.stack}-devices"
        self.template_arn = arn(f"provisioningtemplate/{self.template}")

        hook = PythonFunction(
            self,
            "Hook",
            runtime=runtime,
            package="provision",
            concurrency="provision",
            timeout=HOOK_TIMEOUT,
            settings={"registry_table": registry.table_name},
        )
        hook.uses(registry, "BatchGetItem", "PutItem", "UpdateItem")
        hook.may(["iot:DescribeCertificate"], CERTIFICATES, because=NOT_YET_THERE)
        runtime.alarms.on(
            cloudwatch.Metric(
                namespace=stage.stack,
                metric_name="ProvisioningRefused",
                dimensions_map={"service": hook.label},
                period=Duration.hours(1),
                statistic="Sum",
            ),
            "Refused",
            scope=self,
            above=MOST_REFUSALS,
            what="Claims are refused again and again: somebody may be trying serials.",
            page="provisioning",
        )
        invoke = lambda_.CfnPermission(
            self,
            "Invoke",
            action="lambda:InvokeFunction",
            function_name=hook.function_arn,
            principal="iot.amazonaws.com",
            source_account=Aws.ACCOUNT_ID,
            source_arn=self.template_arn,
        )

        made = iot.CfnProvisioningTemplate(
            self,
            "Template",
            template_name=self.template,
            template_type="FLEET_PROVISIONING",
            enabled=True,
            provisioning_role_arn=self._registrar(policy, thing_type).role_arn,
            pre_provisioning_hook=iot.CfnProvisioningTemplate.ProvisioningHookProperty(
                payload_version="2020-04-01", target_arn=hook.function_arn
            ),
            template_body=Stack.of(self).to_json_string(template_body(policy.ref, thing_type.ref)),
        )
        made.add_dependency(invoke)  # the template is refused as long as IoT may not invoke its hook
        self.claim_policy = iot.CfnPolicy(
            self, "ClaimPolicy", policy_name=f"{stage.stack}-claim", policy_document=claim_policy(self.template)
        )

    def _registrar(self, policy: iot.CfnPolicy, thing_type: iot.CfnThingType) -> iam.Role:
        """What the template may do in IoT's name, and no more than what it says."""
        role = iam.Role(
            self,
            "Registrar",
            assumed_by=iam.ServicePrincipal(
                "iot.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
            ),
        )
        role.add_to_policy(iam.PolicyStatement(actions=["iot:CreateThing", "iot:DescribeThing"], resources=[THINGS]))
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["iot:AttachPolicy", "iot:DescribeCertificate", "iot:UpdateCertificate"],
                resources=[CERTIFICATES],
            )
        )
        role.add_to_policy(iam.PolicyStatement(actions=["iot:AttachThingPrincipal"], resources=["*"]))
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["iot:DescribeThingType", "iot:GetPolicy"], resources=[policy.attr_arn, thing_type.attr_arn]
            )
        )
        accept_wildcard(role, THINGS, NOT_YET_THERE)
        accept_wildcard(role, CERTIFICATES, NOT_YET_THERE)
        accept_wildcard(role, "*", "iot:AttachThingPrincipal knows no resource.")
        return role


def template_body(policy: str, thing_type: str) -> dict[str, object]:
    """The thing's name is the serial. `Profile` is for the hook: it has to be the one that was enrolled."""
    return {
        "Parameters": {
            "SerialNumber": {"Type": "String"},
            "Profile": {"Type": "String"},
            "AWS::IoT::Certificate::Id": {"Type": "String"},
        },
        "Resources": {
            "certificate": {
                "Type": "AWS::IoT::Certificate",
                "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"},
            },
            "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": policy}},
            "thing": {
                "Type": "AWS::IoT::Thing",
                "Properties": {"ThingName": {"Ref": "SerialNumber"}, "ThingTypeName": thing_type},
                "OverrideSettings": {"ThingTypeName": "DO_NOTHING"},
            },
        },
    }


def claim_policy(template: str) -> dict[str, object]:
    """All that a claim may do is to ask for a certificate and for a name (R13); the hook says who gets one."""
    topics = [
        "$aws/certificates/create/*",
        "$aws/certificates/create-from-csr/*",
        f"$aws/provisioning-templates/{template}/provision/*",
    ]
    asked = [arn(f"topic/{topic}") for topic in topics]
    return {
        "Version": "2012-10-17",
        "Statement": [
            # a claim has no thing by whose name it could be held to one client id
            {"Effect": "Allow", "Action": "iot:Connect", "Resource": arn("client/*")},
            {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": asked},
            {
                "Effect": "Allow",
                "Action": "iot:Subscribe",
                "Resource": [arn(f"topicfilter/{topic}") for topic in topics],
            },
        ],
    }
