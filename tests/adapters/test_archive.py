"""Every message's bytes go to the archive, sealed for one person each, and no record is past Firehose's limit."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import boto3
import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from adapters.archive import Archive, ArchiveReader, BrokenLine, in_records, opened
from adapters.aws import client as aws_client
from adapters.registry import Registry
from adapters.sealing import KeyRing, archive_key, nobodys_key
from domain.enrolment import DataKey
from domain.judgement import Kept
from domain.reading import Arrival
from tests.builders import NOW, ORGANISATION, SERIAL, SUBJECT, a_subject, an_arrival
from tests.in_process import REGION, environment, make_tables
from tests.proof import examples

LIMIT = 1000 * 1024
OTHER = "clinic-b"


@dataclass
class FirehoseStub:
    """What put_record was given."""

    records: list[bytes] = field(default_factory=list)

    def put_record(self, *, DeliveryStreamName: str, Record: dict[str, Any]) -> None:  # noqa: N803 - boto3's names
        assert DeliveryStreamName == "archive"
        self.records.append(Record["Data"])

    @property
    def lines(self) -> list[bytes]:
        return b"".join(self.records).splitlines(keepends=True)


@dataclass
class Cloud:
    """A registry, a key service, and processes that seal for them."""

    kms_key: str

    def key_ring(self) -> KeyRing:
        """That of a process which has just started."""
        return KeyRing(aws_client("dynamodb"), aws_client("kms"), "registry", self.kms_key)

    def enrol(self, subject: str, organisation: str = ORGANISATION) -> DataKey:
        key = self.key_ring().new_data_key(organisation)
        Registry(aws_client("dynamodb"), "registry").put_subject(
            a_subject(id=subject, organisation=organisation, data_key=key)
        )
        return key

    def item(self, key: tuple[str, str]) -> dict[str, Any]:
        name = {"pk": {"S": key[0]}, "sk": {"S": key[1]}}
        found: dict[str, Any] = aws_client("dynamodb").get_item(TableName="registry", Key=name).get("Item", {})
        return found


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with mock_aws(), environment({"AWS_DEFAULT_REGION": REGION}):
        make_tables(aws_client("dynamodb"), ("registry",))
        yield Cloud(boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["KeyId"])


def kept(cloud: Cloud, *parts: tuple[str, Kept]) -> list[bytes]:
    firehose = FirehoseStub()
    Archive(firehose, "archive", cloud.key_ring()).put(parts)
    return firehose.lines


def facts(one: Arrival) -> tuple[object, ...]:
    return one.payload, one.topic, one.client, one.received_at, one.thing


def test_r101_what_was_sealed_is_opened_byte_for_byte_by_another_process(cloud: Cloud) -> None:
    arrivals = [an_arrival(b"\xff\n\x00"), an_arrival(b"{}", topic="dt/pma/Ж-1/gatt", client="Ж-1"), an_arrival(b"")]
    key = cloud.enrol(SUBJECT)
    lines = kept(cloud, *((ORGANISATION, Kept(one, key)) for one in arrivals), ("-", Kept(arrivals[0])))
    read = list(opened(lines, cloud.key_ring()))
    assert [organisation for organisation, _ in read] == [ORGANISATION] * 3 + ["-"]
    assert [one and facts(one) for _, one in read] == [facts(one) for one in [*arrivals, arrivals[0]]]
    assert len({one.id for _, one in read if one is not None}) == 4


def test_r90_a_line_says_which_key_and_nothing_of_whose(cloud: Cloud) -> None:
    key = cloud.enrol("S-CLEAR")
    (line,) = kept(cloud, (ORGANISATION, Kept(an_arrival(b"152/97"), key)))
    said = json.loads(line)
    assert said.pop("sealed")
    assert said == {"v": 2, "organisation": ORGANISATION, "key": key.id, "received_at": "2026-11-22T09:00:00+00:00"}
    assert not any(word in line for word in (b"S-CLEAR", SERIAL.encode(), b"152"))


def test_r90_a_key_that_is_gone_takes_that_persons_bytes_and_no_others(cloud: Cloud) -> None:
    gone, stays = cloud.enrol("S-GONE"), cloud.enrol("S-STAYS")
    lines = kept(cloud, *((ORGANISATION, Kept(an_arrival(), key)) for key in (gone, stays)))
    name = {"pk": {"S": f"{ORGANISATION}#key#{gone.id}"}, "sk": {"S": "key"}}
    aws_client("dynamodb").delete_item(TableName="registry", Key=name)
    assert [one is None for _, one in opened(lines, cloud.key_ring())] == [True, False]


@pytest.mark.parametrize("at", range(0, 40, 7))
def test_r92_a_line_that_was_changed_does_not_open(cloud: Cloud, at: int) -> None:
    (line,) = kept(cloud, (ORGANISATION, Kept(an_arrival(), cloud.enrol(f"S-{at:03}"))))
    place = line.index(b'"sealed":"') + 10 + at
    changed = line[:place] + (b"A" if line[place : place + 1] != b"A" else b"B") + line[place + 1 :]
    with pytest.raises(InvalidTag):
        list(opened([changed], cloud.key_ring()))


def test_r83_a_line_does_not_open_as_another_organisations(cloud: Cloud) -> None:
    key = cloud.enrol("S-BOTH")
    Registry(aws_client("dynamodb"), "registry").put_subject(
        a_subject(id="S-BOTH", organisation=OTHER, data_key=key)  # the wrapped key, stolen
    )
    (line,) = kept(cloud, (ORGANISATION, Kept(an_arrival(), key)))
    with pytest.raises(InvalidTag):
        list(opened([line.replace(b"clinic-a", b"clinic-b")], cloud.key_ring()))


def test_two_processes_that_need_a_first_key_at_once_have_the_same(cloud: Cloud) -> None:
    one, other = cloud.key_ring(), cloud.key_ring()
    reads = [one._read, other._read]
    assert [read(archive_key("clinic-new")) for read in reads] == [None, None]
    month, first = one.nobodys("clinic-new", NOW)
    _, second = other.nobodys("clinic-new", NOW)
    sealed = first.encrypt(b"0" * 12, b"x", None)
    assert (month, second.decrypt(b"0" * 12, sealed, None)) == ("2026-11", b"x")


def test_r90_nobodys_key_is_of_a_month_and_ends(cloud: Cloud) -> None:
    keys = cloud.key_ring()
    for at in ("2026-11-30T23:59:59Z", "2026-12-01T01:00:00+02:00"):
        assert keys.nobodys("-", datetime.fromisoformat(at))[0] == "2026-11"
    (ends_at,) = cloud.item(nobodys_key("-", "2026-11"))["expires_at"].values()
    assert int(ends_at) == int((datetime.fromisoformat("2026-12-01T00:00:00Z") + timedelta(days=90)).timestamp())


def test_what_a_process_remembers_has_a_bound(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.sealing._MOST_OPENED", 2)
    keys, subjects = cloud.key_ring(), [cloud.enrol(f"S-B{number}") for number in range(5)]
    for key in subjects:
        keys.open(ORGANISATION, key)
    assert len(keys._opened) <= 2


def test_nothing_is_no_record(cloud: Cloud) -> None:
    assert kept(cloud) == []


@pytest.mark.parametrize("size", [128 * 1024, 300 * 1024])
def test_r33_a_batch_of_great_messages_is_several_records(cloud: Cloud, size: int) -> None:
    firehose = FirehoseStub()
    Archive(firehose, "archive", cloud.key_ring()).put([(ORGANISATION, Kept(an_arrival(b"x" * size)))] * 10)
    assert len(firehose.records) > 1
    assert all(len(record) <= LIMIT for record in firehose.records)
    assert len(firehose.lines) == 10


@settings(max_examples=examples(20))
@given(st.lists(st.integers(1, LIMIT).map(lambda size: b"x" * size), max_size=8))
def test_r33_no_line_is_lost_or_cut(lines: list[bytes]) -> None:
    records = list(in_records(lines))
    assert b"".join(records) == b"".join(lines)
    assert all(len(record) <= LIMIT for record in records)


@pytest.fixture
def bucket(cloud: Cloud) -> Any:
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket="archive", CreateBucketConfiguration={"LocationConstraint": REGION})
    yield s3
    for one in s3.list_objects_v2(Bucket="archive").get("Contents", []):
        s3.delete_object(Bucket="archive", Key=one["Key"])
    s3.delete_bucket(Bucket="archive")


def test_r101_the_archive_is_read_by_days_and_in_the_order_of_arrival(cloud: Cloud, bucket: Any) -> None:
    late, early = (an_arrival(b"{}", received_at=NOW + timedelta(minutes=minutes)) for minutes in (1, 0))
    body = b"".join(kept(cloud, *(("-", Kept(one)) for one in (late, early))))
    for key in ("2026-11-21/a", "2026-11-22/b", "2026-11-22/c", "2026-11-23/d"):
        bucket.put_object(Bucket="archive", Key=f"readings/{key}", Body=gzip.compress(body))
    bucket.put_object(Bucket="archive", Key="failed/2026-11-22/e", Body=body)
    bucket.put_object(Bucket="archive", Key="readings/2026-11-24/plain", Body=body)
    reader = ArchiveReader(bucket, "archive", cloud.key_ring())
    days = date(2026, 11, 21), date(2026, 11, 22)
    assert [one.key[9:] for one in reader.objects(*days)] == ["2026-11-21/a", "2026-11-22/b", "2026-11-22/c"]
    assert [one.key[9:] for one in reader.objects(*days, after="readings/2026-11-22/b")] == ["2026-11-22/c"]
    for key in ("2026-11-22/b", "2026-11-24/plain"):
        messages, sealed = reader.messages(f"readings/{key}")
        assert ([one.received_at for one in messages], sealed) == ([early.received_at, late.received_at], 0)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"\xff", b"\x1f\x8bno", b'{"organisation": "-", "key": "2026-11"}'])
def test_a_damaged_object_is_told_and_not_passed_over(cloud: Cloud, bucket: Any, body: bytes) -> None:
    kept(cloud, ("-", Kept(an_arrival())))
    bucket.put_object(Bucket="archive", Key="readings/x", Body=body)
    with pytest.raises(BrokenLine, match="readings/x"):
        ArchiveReader(bucket, "archive", cloud.key_ring()).messages("readings/x")
