"""What nothing could handle: which queues hold it, how much, and its way back."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from adapters.inbox import from_error_action
from adapters.queue import send

_HIDDEN_SECONDS = 60
"""Long enough to send ten messages on and delete them."""


@dataclass(frozen=True)
class Letters:
    """A queue of dead letters and where they go back to. `errors`: they are what the topic rule could not send."""

    queue: str
    back_to: str
    errors: bool = False

    @property
    def name(self) -> str:
        return self.queue.rpartition("/")[2]


@dataclass(frozen=True)
class DeadLetters:
    client: Any

    def pairs(self, queues: Iterable[str]) -> Iterator[Letters]:
        """Of these queues, each that has dead letters with them."""
        urls = list(queues)
        attributes = {one: self._attributes(one, "QueueArn", "RedrivePolicy") for one in urls}
        by_arn = {found["QueueArn"]: url for url, found in attributes.items()}
        for url, found in attributes.items():
            if "RedrivePolicy" in found:
                yield Letters(by_arn[json.loads(found["RedrivePolicy"])["deadLetterTargetArn"]], url)

    def count(self, letters: Letters) -> int:
        """About how many there are."""
        return int(self._attributes(letters.queue, "ApproximateNumberOfMessages")["ApproximateNumberOfMessages"])

    def send_back(self, letters: Letters) -> int:
        """Ten at most; how many went. Sent first, deleted then: stopped in between they go twice, and lose nothing.

        Raises adapters.queue.NotTaken.
        """
        answer = self.client.receive_message(
            QueueUrl=letters.queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HIDDEN_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        messages = answer.get("Messages", [])
        if not messages:
            return 0
        send(self.client, letters.back_to, [_body(letters, one) for one in messages])
        entries = [{"Id": str(at), "ReceiptHandle": one["ReceiptHandle"]} for at, one in enumerate(messages)]
        self.client.delete_message_batch(QueueUrl=letters.queue, Entries=entries)
        return len(messages)

    def _attributes(self, queue: str, *names: str) -> dict[str, str]:
        found: dict[str, str] = self.client.get_queue_attributes(QueueUrl=queue, AttributeNames=list(names)).get(
            "Attributes", {}
        )
        return found


def _body(letters: Letters, message: Any) -> str:
    if not letters.errors:
        return str(message["Body"])
    return from_error_action(message["Body"], int(message["Attributes"]["SentTimestamp"]))
