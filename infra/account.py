"""What IoT Core has once an account: its log, and the daily audit of every device's certificate and client id."""

import re

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.accepted import accept_wildcard

AUDITED = {
    "DeviceCertificateSharedCheck": "two devices, one certificate: it was copied (R12)",
    "ConflictingClientIdsCheck": "two connections push each other out: one is not the device (R10, R12)",
    "DeviceCertificateExpiringCheck": "a certificate ends within 30 days (R15)",
    "RevokedDeviceCertificateStillActiveCheck": "a revoked certificate still opens the door (R14)",
    "CaCertificateExpiringCheck": "a certificate authority of ours ends within 30 days (R16)",
    "LoggingDisabledCheck": "nobody would see why a device is refused",
}
"""Device Defender's checks, by their names in CloudFormation, and what a finding says."""


class Account(Construct):
    """IoT's log and its audit; findings go to the operators. Only the stage that is `account_wide` has it."""

    def __init__(self, scope: Construct, construct_id: str, *, operators: sns.ITopic, operators_key: kms.IKey) -> None:
        super().__init__(scope, construct_id)
        log_group = f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:AWSIotLogsV2:*"
        logger = self._role("Logger", ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], log_group)
        accept_wildcard(logger, log_group, "IoT Core names the streams of its one log group.")
        iot.CfnLogging(self, "Logging", account_id=Aws.ACCOUNT_ID, default_log_level="WARN", role_arn=logger.role_arn)

        auditor = self._role(
            "Auditor",
            [
                *("iot:ListCertificates", "iot:DescribeCertificate", "iot:ListCACertificates"),
                *("iot:DescribeCACertificate", "iot:GetLoggingOptions", "iot:GetV2LoggingOptions"),
            ],
            "*",
        )
        accept_wildcard(auditor, "*", "An audit is of every certificate there is, and only looks.")
        teller = self._role("Teller", ["sns:Publish"], operators.topic_arn)
        teller.add_to_policy(
            iam.PolicyStatement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[operators_key.key_arn])
        )
        audit = iot.CfnAccountAuditConfiguration(
            self,
            "Audit",
            account_id=Aws.ACCOUNT_ID,
            role_arn=auditor.role_arn,
            audit_check_configurations={_property(name): {"enabled": True} for name in AUDITED},
            audit_notification_target_configurations={
                "sns": {"enabled": True, "roleArn": teller.role_arn, "targetArn": operators.topic_arn}
            },
        )
        daily = iot.CfnScheduledAudit(
            self, "Daily", frequency="DAILY", target_check_names=[_constant(name) for name in AUDITED]
        )
        daily.node.add_dependency(audit)

    def _role(self, name: str, actions: list[str], resource: str) -> iam.Role:
        return iam.Role(
            self,
            name,
            assumed_by=iam.ServicePrincipal("iot.amazonaws.com"),
            inline_policies={
                "Audit": iam.PolicyDocument(statements=[iam.PolicyStatement(actions=actions, resources=[resource])])
            },
        )


def _property(name: str) -> str:
    """`CaCertificateExpiringCheck` -> `caCertificateExpiringCheck`."""
    return name[0].lower() + name[1:]


def _constant(name: str) -> str:
    """`CaCertificateExpiringCheck` -> `CA_CERTIFICATE_EXPIRING_CHECK`, as IoT's own API writes it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
