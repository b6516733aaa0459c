"""The raw archive: every message's bytes through Firehose, from which all derived state can be built again (R101)."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from domain.reading import Arrival

_MOST_BYTES = 1000 * 1024  # Firehose's limit of one record


def to_line(organisation: str, one: Arrival) -> bytes:
    """One line of JSON; `payload` is Base64 of the bytes as they came."""
    line = {
        "v": 1,
        "topic": one.topic,
        "thing": one.thing,
        "client": one.client,
        "received_at": one.received_at.isoformat(),
        "organisation": organisation,
        "payload": b64encode(one.payload).decode(),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def in_records(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines together, as few records as Firehose's limit allows: an object a line would cost a third of all."""
    record = b""
    for line in lines:
        if record and len(record) + len(line) > _MOST_BYTES:
            yield record
            record = b""
        record += line
    if record:
        yield record


@dataclass(frozen=True)
class Archive:
    client: Any
    stream: str

    def put(self, messages: Iterable[tuple[str, Arrival]]) -> None:
        """Keep messages, each with its organisation; at least once, and in any order."""
        for record in in_records(to_line(*message) for message in messages):
            self.client.put_record(DeliveryStreamName=self.stream, Record={"Data": record})
