"""Queue `doorbell`: wakes a sender for a lane. It carries no work; the lane's log does."""

import json
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.delivery import Lane

_LONGEST_DELAY = 900  # seconds, SQS's own limit


def to_lane(body: str) -> Lane:
    message = json.loads(body)
    return Lane(message["organisation"], message["endpoint"], message["lane"])


@dataclass(frozen=True)
class Doorbell:
    client: Any
    queue: str

    def ring(self, lane: Lane, after: timedelta = timedelta()) -> None:
        """Wake a sender for `lane` after that long, rounded up to a second and at most 15 minutes."""
        self.client.send_message(
            QueueUrl=self.queue,
            DelaySeconds=min(math.ceil(after.total_seconds()), _LONGEST_DELAY),
            MessageBody=json.dumps({"organisation": lane.organisation, "endpoint": lane.endpoint, "lane": lane.name}),
        )
