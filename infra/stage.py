"""What differs between the stages, and nothing else. Legal periods are parameters with a default, never the law."""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """What a layer and its bytecode are built for: `Target("3.13", "arm64")`."""

    python: str
    architecture: str

    @property
    def name(self) -> str:
        return f"python{self.python}-{self.architecture}"


def this_machine() -> Target:
    """The interpreter that runs this: the embedded cloud runs handlers on its own."""
    architecture = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
    return Target(f"{sys.version_info.major}.{sys.version_info.minor}", architecture)


LAMBDA = Target("3.13", "arm64")


@dataclass(frozen=True)
class Stage:
    """One deployment. Fixed names begin with `stack`, topics have `topic_prefix`: two stages fit one account."""

    name: str
    topic_prefix: str
    regions: tuple[str, ...]
    """Where health data may be (P9, R97): CloudFormation refuses any other region before it creates anything."""
    concurrency: Mapping[str, int]
    """Reserved for each function (R36): no function can starve another. All stages of an account stay below 900."""
    target: Target = LAMBDA
    durable: bool = True
    """Tables, keys and the archive outlive the stack, are protected from deletion and restorable for 35 days."""
    emulated: bool = False
    """The one switch for what the embedded cloud does not support: IoT logging, TLS-only queues over plain HTTP."""
    account_wide: bool = False
    """This stage owns what exists once an account (IoT's log and audit)."""
    allow_insecure_endpoints: bool = False
    """A webhook may be plain HTTP on loopback: only where the receiving MIS is a process of this machine."""
    observation_days: int = 400
    quarantine_days: int = 90
    decision_days: int = 90
    delivery_days: int = 30
    archive_days: int = 2190
    audit_days: int = 2190
    log_days: int = 90
    monthly_budget_usd: int = 0
    """The operators are told at 80 % of it and when the forecast passes it (R109); 0: nothing costs."""
    archive_seconds: int = 300
    """How long Firehose gathers before it writes an object."""
    collect_window_seconds: int = 2
    """How long observations gather before export numbers them; alerts never wait."""

    @property
    def stack(self) -> str:
        return f"pma-{self.name}"

    @property
    def rule(self) -> str:
        """The topic rule's name, part of the Basic Ingest address: letters, digits and underscores only."""
        return f"{self.topic_prefix.replace('-', '_')}_readings"


LOCAL = Stage(
    name="local",
    topic_prefix="pma",
    regions=("us-east-1", "eu-central-1"),
    concurrency={  # each is a process of this machine: more of them than cores only delay one another
        "ingest": 3,
        "ingest-backlog": 3,
        "evaluate": 3,
        "relay": 3,
        "notify-critical": 3,
        "notify-ordinary": 3,
        "collect": 3,
        "send": 3,
        "registry": 3,
        "provision": 3,
        "replay": 3,
        "erase": 3,
    },
    target=this_machine(),
    durable=False,
    emulated=True,
    allow_insecure_endpoints=True,
    log_days=1,
)

DEV = Stage(
    name="dev",
    topic_prefix="pma-dev",
    regions=("eu-central-1", "eu-north-1"),
    concurrency={
        "ingest": 20,
        "ingest-backlog": 5,
        "evaluate": 20,
        "relay": 10,
        "notify-critical": 10,
        "notify-ordinary": 5,
        "collect": 10,
        "send": 10,
        "registry": 10,
        "provision": 2,
        "replay": 3,
        "erase": 3,
    },
    monthly_budget_usd=100,
    log_days=30,
    archive_days=30,
)

PROD = Stage(
    name="prod",
    topic_prefix="pma",
    regions=("eu-central-1", "eu-north-1"),
    concurrency={
        "ingest": 200,
        "ingest-backlog": 50,
        "evaluate": 150,
        "relay": 50,
        "notify-critical": 100,
        "notify-ordinary": 25,
        "collect": 75,
        "send": 75,
        "registry": 50,
        "provision": 5,
        "replay": 5,
        "erase": 3,
    },
    account_wide=True,
    monthly_budget_usd=5000,
    log_days=365,
)

STAGES = {stage.name: stage for stage in (LOCAL, DEV, PROD)}
