"""What erase reads of its environment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    erasures_table: str
    registry_table: str
    observations_table: str
    alerts_table: str
    decisions_table: str
    quarantine_table: str
    contacts_table: str
    deliveries_table: str
    looks_queue: str
