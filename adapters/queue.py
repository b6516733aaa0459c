"""Sending to a queue of SQS: ten messages and 1 MB a call (R33)."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

M = TypeVar("M")

_ENTRIES = 10  # a call
_MOST_BYTES = 1024 * 1024  # a call


class NotTaken(RuntimeError):
    """A queue did not take all of a call: the caller's whole work is to be tried again."""


def send(client: Any, queue: str, bodies: Iterable[str], *, after: timedelta = timedelta()) -> None:
    """Send all of `bodies`. Raises NotTaken."""
    for few in in_calls(bodies, len):
        entries = [
            {"Id": str(number), "MessageBody": body, "DelaySeconds": int(after.total_seconds())}
            for number, body in enumerate(few)
        ]
        if client.send_message_batch(QueueUrl=queue, Entries=entries).get("Failed"):
            raise NotTaken("the queue did not take all of a call")


def in_calls(messages: Iterable[M], size: Callable[[M], int]) -> Iterator[list[M]]:
    """`messages` of `size` bytes each, as many together as a call of SQS takes (R33)."""
    few: list[M] = []
    total = 0
    for one in messages:
        if few and (len(few) == _ENTRIES or total + size(one) > _MOST_BYTES):
            yield few
            few, total = [], 0
        few.append(one)
        total += size(one)
    if few:
        yield few
