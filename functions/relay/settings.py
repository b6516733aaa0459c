"""What relay reads of its environment: the urls of the two queues."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    critical_queue: str
    ordinary_queue: str
