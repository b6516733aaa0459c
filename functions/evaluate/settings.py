"""What evaluate reads of its environment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    alerts_table: str
    registry_table: str
    decisions_table: str
    decision_days: int
