"""The raw archive: every message's bytes through Firehose, from which all derived state can be built again (R101).

A line is JSON: `v` 2, `organisation`, `key` (the id of what sealed it), `received_at`, and `sealed`: Base64 of a nonce
and, under AES-256-GCM and bound to the rest of the line, of JSON with `topic` and `client`, a line feed, and the bytes
as they came. Each is sealed by itself with its subject's key, so that a key that is gone takes that person's
bytes with it and no other's (R90).
"""

import gzip
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.sealing import KeyRing, seal, unseal
from domain.judgement import Kept
from domain.reading import Arrival

VERSION = 2
_PREFIX = "readings/"
_MOST_BYTES = 1000 * 1024  # Firehose's limit of one record


class BrokenLine(RuntimeError):
    """A line of the archive cannot be read: the object that holds it was damaged, or is no object of ours."""


def to_line(organisation: str, one: Arrival, key: str, sealing: AESGCM) -> bytes:
    """One line, sealed with `sealing`, the key of the id `key`."""
    received_at = orjson.dumps(one.received_at)[1:-1].decode()  # as isoformat() does, in a third of its time
    plain = orjson.dumps({"topic": one.topic, "client": one.client}, option=orjson.OPT_APPEND_NEWLINE) + one.payload
    line = {
        "v": VERSION,
        "organisation": organisation,
        "key": key,
        "received_at": received_at,
        "sealed": b64encode(seal(sealing, plain, _bound_to(organisation, key, received_at))).decode(),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def opened(lines: Iterable[bytes], keys: KeyRing) -> Iterator[tuple[str, Arrival | None]]:
    """Each line's organisation and message; None where its key is gone: erased, or nobody's and its time is over.

    The message's id is the line's own seal, the same whenever it is read. Raises InvalidTag for a line that was
    changed.
    """
    read = [orjson.loads(line) for line in lines]
    wanted: dict[str, set[str]] = defaultdict(set)
    for line in read:
        wanted[line["organisation"]].add(line["key"])
    known = {organisation: keys.named(organisation, ids) for organisation, ids in wanted.items()}
    for line in read:
        key = known[line["organisation"]].get(line["key"])
        yield line["organisation"], None if key is None else _to_arrival(line, key)


def _to_arrival(line: dict[str, Any], key: AESGCM) -> Arrival:
    bound_to = _bound_to(line["organisation"], line["key"], line["received_at"])
    head, _, payload = unseal(key, b64decode(line["sealed"]), bound_to).partition(b"\n")
    said = orjson.loads(head)
    return Arrival(
        id=line["sealed"][:24],
        body="",
        payload=payload,
        topic=said["topic"],
        client=said["client"],
        received_at=datetime.fromisoformat(line["received_at"]),
    )


def _bound_to(organisation: str, key: str, received_at: str) -> str:
    return f"{organisation}#{key}#{received_at}"


def in_records(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines together, as few records as Firehose's limit allows: an object a line would cost a third of all."""
    record = bytearray()  # bytes would be copied whole for every line
    for line in lines:
        if record and len(record) + len(line) > _MOST_BYTES:
            yield bytes(record)
            record.clear()
        record += line
    if record:
        yield bytes(record)


@dataclass(frozen=True)
class Archive:
    client: Any
    stream: str
    keys: KeyRing

    def put(self, parts: Iterable[tuple[str, Kept]]) -> None:
        """Keep parts of messages, each with its organisation; at least once, and in any order."""
        for record in in_records(self._line(*part) for part in parts):
            self.client.put_record(DeliveryStreamName=self.stream, Record={"Data": record})

    def _line(self, organisation: str, part: Kept) -> bytes:
        if part.key is None:
            return to_line(organisation, part.arrival, *self.keys.nobodys(organisation, part.arrival.received_at))
        return to_line(organisation, part.arrival, part.key.id, self.keys.open(organisation, part.key))


@dataclass(frozen=True)
class ArchiveObject:
    """What Firehose put together of some minutes. Keys are in the order of time."""

    key: str
    size: int


@dataclass(frozen=True)
class ArchiveReader:
    """The archive as an operator reads it: no function may."""

    client: Any
    bucket: str
    keys: KeyRing

    def objects(self, first: date, last: date, *, after: str = "") -> Iterator[ArchiveObject]:
        """Those of the days from `first` to `last`, both included, behind the key `after`."""
        pages = self.client.get_paginator("list_objects_v2")
        for number in range((last - first).days + 1):
            day = f"{_PREFIX}{first + timedelta(days=number)}/"
            for page in pages.paginate(Bucket=self.bucket, Prefix=day, StartAfter=after):
                yield from (ArchiveObject(one["Key"], one["Size"]) for one in page.get("Contents", []))

    def messages(self, key: str) -> tuple[list[Arrival], int]:
        """The messages of an object in the order in which they arrived, and how many nobody can read any more.

        Raises BrokenLine.
        """
        data = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        try:
            lines = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).splitlines()
            read = [one for _, one in opened(lines, self.keys)]
        except (ValueError, KeyError, TypeError, NotBase64, EOFError, InvalidTag):
            raise BrokenLine(f"a line of {key} is not as it was written") from None
        known = [one for one in read if one is not None]
        return sorted(known, key=lambda one: one.received_at), len(read) - len(known)
