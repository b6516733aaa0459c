"""What a deployed stack says about itself."""

from collections.abc import Sequence

from adapters.aws import client
from ops.errors import OperatorError


class StackError(OperatorError):
    """There is no such stack here, or it is not of this version."""


def outputs(stack: str) -> dict[str, str]:
    """The outputs of the deployed stack by name. Raises StackError when there is none."""
    cloudformation = client("cloudformation")
    try:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except cloudformation.exceptions.ClientError:
        raise StackError(f"There is no stack {stack} here: name a deployed one with --stack.") from None
    return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}


def output(stack: str, names: Sequence[str]) -> list[str]:
    """The stack's outputs `names`. Raises StackError naming one that is absent."""
    given = outputs(stack)
    try:
        return [given[name] for name in names]
    except KeyError as error:
        raise StackError(f"The stack has no output {error}: deploy this version of it first.") from None


def queues(stack: str) -> list[str]:
    """The URLs of the stack's queues."""
    pages = client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    return [
        one["PhysicalResourceId"]
        for page in pages
        for one in page["StackResourceSummaries"]
        if one["ResourceType"] == "AWS::SQS::Queue"
    ]
