"""Clients of AWS, made once a process."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

LEAST_BOTO3 = (1, 40)
"""boto3 comes with the Lambda runtime; the oldest version that these adapters were tried with."""

_CONFIG = Config(
    parameter_validation=False,  # the adapters' tests check the shapes; validating each call costs more than the call
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=2,
    read_timeout=10,
    tcp_keepalive=True,
)


class OutdatedRuntime(RuntimeError):
    """The runtime's boto3 is older than the oldest that the adapters were tried with."""


def check_runtime(version: str = boto3.__version__) -> None:
    """Fail at start, in one sentence, rather than at the first call that an old boto3 does not know.

    Raises OutdatedRuntime.
    """
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_BOTO3:
        least = ".".join(map(str, LEAST_BOTO3))
        raise OutdatedRuntime(f"boto3 {version} is older than {least}: choose a newer Lambda runtime")


@cache
def client(service: str) -> Any:
    """The process's one low-level client of `service`; endpoint and region come from the environment."""
    check_runtime()
    return boto3.client(service, config=_CONFIG)
