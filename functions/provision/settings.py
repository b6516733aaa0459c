"""What the provisioning hook is told by the stack."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    registry_table: str
