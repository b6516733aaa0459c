"""What export's two functions are told by the stack."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CollectSettings:
    deliveries_table: str
    registry_table: str
    doorbell_queue: str
    delivery_days: int


@dataclass(frozen=True)
class SendSettings:
    deliveries_table: str
    registry_table: str
    observations_table: str
    alerts_table: str
    doorbell_queue: str
    delivery_days: int
    allow_insecure_endpoints: str
    """`yes` lets endpoints be plain HTTP on private addresses: only in the local stage, whose MIS runs beside it."""
