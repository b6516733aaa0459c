"""IoT Core's pre-provisioning hook: yes or no to a claim, within five seconds."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import log
from adapters.aws import client
from adapters.claims import Claims
from adapters.environment import read
from adapters.iot import CertificateStatus
from adapters.registry import RegistryReader
from domain.provisioning import ProvisioningRefused
from functions.provision.service import asked, provision
from functions.provision.settings import Settings

logger = log.logger()
metrics = Metrics()


def clock() -> datetime:
    return datetime.now(UTC)


@cache
def wired() -> dict[str, Any]:
    dynamodb, table = client("dynamodb"), read(Settings).registry_table
    return {
        "registry": RegistryReader(dynamodb, table),
        "claims": Claims(dynamodb, table),
        "certificates": CertificateStatus(client("iot")),
    }


@log.Silently()
@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, bool]:
    """A refusal names the claim that was used: one that was read out of a device is shut by making it inactive."""
    claim = event.get("claimCertificateId")
    try:
        provision(asked(event), now=clock(), **wired())
    except ProvisioningRefused as refusal:
        logger.warning("provisioning refused", extra={"reason": refusal.reason, "claim": claim})
        metrics.add_metric("ProvisioningRefused", MetricUnit.Count, 1)
        return {"allowProvisioning": False}
    logger.info("provisioned", extra={"claim": claim})
    metrics.add_metric("DevicesProvisioned", MetricUnit.Count, 1)
    return {"allowProvisioning": True}
