"""What notify reads of its environment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    alerts_table: str
    registry_table: str
    contacts_table: str
    contacts_key: str
