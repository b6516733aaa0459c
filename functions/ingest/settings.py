"""What ingest is told by the stack."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    observations_table: str
    registry_table: str
    quarantine_table: str
    archive_stream: str
    archive_key: str
    backlog_queue: str
    observation_days: int
    quarantine_days: int
