"""Every message's bytes go to the archive, many in one record, and no record is past Firehose's limit."""

import json
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.archive import Archive, in_records
from tests.builders import ORGANISATION, SERIAL, an_arrival

LIMIT = 1000 * 1024


@dataclass
class FirehoseStub:
    """What put_record was given."""

    records: list[bytes] = field(default_factory=list)

    def put_record(self, *, DeliveryStreamName: str, Record: dict[str, Any]) -> None:  # noqa: N803 - boto3's names
        assert DeliveryStreamName == "archive"
        self.records.append(Record["Data"])


def test_a_batch_is_one_record_of_lines() -> None:
    firehose = FirehoseStub()
    Archive(firehose, "archive").put(
        [(ORGANISATION, an_arrival(b"\xff\x00")), ("-", an_arrival(b"{}", topic="dt/pma/Ж-1/gatt"))]
    )
    (record,) = firehose.records
    first, second = map(json.loads, record.splitlines())
    assert b64decode(first.pop("payload")) == b"\xff\x00"
    assert first == {
        "v": 1,
        "topic": f"dt/pma/{SERIAL}/readings",
        "thing": SERIAL,
        "client": SERIAL,
        "received_at": "2026-11-22T09:00:00+00:00",
        "organisation": ORGANISATION,
    }
    assert (second["organisation"], second["thing"]) == ("-", "Ж-1")


def test_nothing_is_no_record() -> None:
    firehose = FirehoseStub()
    Archive(firehose, "archive").put([])
    assert firehose.records == []


@pytest.mark.parametrize("size", [128 * 1024, 300 * 1024])
def test_r33_a_batch_of_great_messages_is_several_records(size: int) -> None:
    firehose = FirehoseStub()
    Archive(firehose, "archive").put([(ORGANISATION, an_arrival(b"x" * size))] * 10)
    assert len(firehose.records) > 1
    assert all(len(record) <= LIMIT for record in firehose.records)
    assert sum(record.count(b"\n") for record in firehose.records) == 10


@settings(max_examples=20)
@given(st.lists(st.integers(1, LIMIT).map(lambda size: b"x" * size), max_size=8))
def test_r33_no_line_is_lost_or_cut(lines: list[bytes]) -> None:
    records = list(in_records(lines))
    assert b"".join(records) == b"".join(lines)
    assert all(len(record) <= LIMIT for record in records)
