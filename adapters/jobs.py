"""The queue of jobs that a change of the registry brings about (domain.replay)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from adapters.queue import send
from domain.replay import Job, write_job


@dataclass(frozen=True)
class Jobs:
    client: Any
    queue: str

    def put(self, jobs: Iterable[Job], *, after: timedelta = timedelta()) -> None:
        """Have them done `after` that time (15 minutes at most). Raises adapters.queue.NotTaken."""
        send(self.client, self.queue, (write_job(one) for one in jobs), after=after)
