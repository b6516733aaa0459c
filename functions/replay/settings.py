"""What replay reads of its environment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    registry_table: str
    observations_table: str
    quarantine_table: str
    backlog_queue: str
    jobs_queue: str
