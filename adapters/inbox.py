"""The two inboxes: what IoT's rule puts into the first, and what waited too long and is handed on to the second."""

import json
from base64 import b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from adapters.queue import in_calls, send
from domain.quarantine import SetAside
from domain.reading import Arrival

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def arrived(event: Mapping[str, Any]) -> tuple[list[Arrival], list[str]]:
    """The messages of an SQS event, and the ids of those that are not as the rule writes them."""
    arrivals, unreadable = [], []
    for record in event["Records"]:
        try:
            arrivals.append(_to_arrival(record["messageId"], record["body"]))
        except (KeyError, TypeError, ValueError, OverflowError, NotBase64):
            unreadable.append(record["messageId"])
    return arrivals, unreadable


def _to_arrival(identifier: str, body: str) -> Arrival:
    message = orjson.loads(body)
    return Arrival(
        id=identifier,
        body=body,
        payload=a2b_base64(message["payload"], strict_mode=True),
        topic=message["topic"],
        client=message["client"],
        received_at=_EPOCH + message["received_at"] * _MILLISECOND,
        replay=(again["organisation"], again["id"]) if (again := message.get("replay")) else None,
    )


def from_error_action(body: str, sent_at: int) -> str:
    """What the rule would have written of a message whose action failed: IoT's words for it are others.

    `sent_at` is when the error action sent it, in milliseconds: the arrival, but for the tries of the action.
    """
    failed = json.loads(body)
    return json.dumps(
        {
            "payload": failed["base64OriginalPayload"],
            "topic": failed["topic"],
            "client": failed["clientId"],
            "received_at": sent_at,
        }
    )


def is_from(queue_url: str, event: Mapping[str, Any]) -> bool:
    """True when the event's messages came from that queue (a mapping reads one queue)."""
    source = str(event["Records"][0]["eventSourceARN"])
    return source.rpartition(":")[2] == queue_url.rpartition("/")[2]


@dataclass(frozen=True)
class Backlog:
    """The second inbox, with its own concurrency: what is old never delays what is fresh (R99)."""

    client: Any
    queue: str

    def put(self, arrivals: Sequence[Arrival], *, after: timedelta = timedelta()) -> set[str]:
        """Hand messages on as they came, to be read `after` that time. Returns the ids of those not taken."""
        refused = set()
        for few in in_calls(arrivals, lambda one: len(one.body)):
            delay = int(after.total_seconds())
            entries = [
                {"Id": str(number), "MessageBody": one.body, "DelaySeconds": delay} for number, one in enumerate(few)
            ]
            answer = self.client.send_message_batch(QueueUrl=self.queue, Entries=entries)
            refused |= {few[int(failure["Id"])].id for failure in answer.get("Failed", [])}
        return refused

    def replay(self, ones: Iterable[SetAside]) -> None:
        """Hand on again what was set aside, with its own time of arrival. Raises adapters.queue.NotTaken."""
        send(self.client, self.queue, (_as_the_rule_wrote_it(one) for one in ones))


def _as_the_rule_wrote_it(one: SetAside) -> str:
    """Its message, with the name of the quarantined row that it came from."""
    return json.dumps(
        {
            "payload": b64encode(one.payload or b"").decode(),
            "topic": one.topic,
            "client": one.thing,
            "received_at": round(one.received_at.timestamp() * 1000),
            "replay": {"organisation": one.organisation, "id": one.id},
        }
    )
