"""What cdk-nag finds and we keep: each with the evidence, beside the thing that it is about."""

from aws_cdk import Acknowledgment, Aws, Validations
from constructs import IConstruct


def accept(scope: IConstruct, rule: str, because: str) -> None:
    """Acknowledge one finding of AwsSolutions, such as `SQS3`, in `scope` and below."""
    Validations.of(scope).acknowledge(Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=because))


def accept_wildcard(scope: IConstruct, resource: str, because: str) -> None:
    """Acknowledge that a policy in `scope` names many resources by one pattern."""
    for token, shown in (
        (Aws.PARTITION, "<AWS::Partition>"),
        (Aws.REGION, "<AWS::Region>"),
        (Aws.ACCOUNT_ID, "<AWS::AccountId>"),
    ):
        resource = resource.replace(token, shown)
    accept(scope, f"IAM5[Resource::{resource}]", because)
