"""The lanes' log: the table and its fake keep the same promises."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

import boto3
import pytest
from moto import mock_aws

from adapters.deliveries import Deliveries
from domain.delivery import Attempt, Lane, Progress, Reference, Row
from domain.errors import LostRace
from tests.builders import NOW
from tests.fakes import FakeLog

Log: TypeAlias = Deliveries | FakeLog

LANE = Lane("clinic-a", "mis-1", "observations-0")
REFERENCE = Reference("observation", "clinic-a#S-1", "weight#2026-11-22T08:59:00Z#o-1")
LATER = NOW + timedelta(seconds=60)
TABLE = "deliveries"


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-central-1")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        yield client


@pytest.fixture(params=["table", "fake"])
def log(request: pytest.FixtureRequest, client: Any) -> Log:
    return Deliveries(client, TABLE, days=30) if request.param == "table" else FakeLog()


def append(log: Log, *references: Reference, behind: bool = False, seen: Progress | None = None) -> int:
    return log.append(LANE, references, seen=seen or log.progress(LANE), rung_at=NOW, behind=behind, now=NOW)


def test_what_was_received_goes_once_more_and_is_known_as_such(log: Log) -> None:
    for _ in range(3):
        append(log, REFERENCE)
    log.take(LANE, "a", now=NOW, until=LATER)
    with pytest.raises(LostRace):
        log.rewind(LANE, to=0, seen=log.progress(LANE), now=NOW)
    for number in (1, 2):
        log.advance(LANE, "a", number)
    log.release(LANE, "a")
    seen = log.progress(LANE)
    assert (log.rewind(LANE, to=0, seen=seen, now=NOW).cursor, log.progress(LANE).replayed_to) == (0, 2)
    with pytest.raises(LostRace):
        log.rewind(LANE, to=0, seen=seen, now=NOW)
    taken = log.take(LANE, "b", now=NOW, until=LATER)
    assert taken is not None
    assert (taken.cursor, taken.replayed_to) == (0, 2)
    log.advance(LANE, "b", 1)
    log.release(LANE, "b")
    again = log.rewind(LANE, to=0, seen=log.progress(LANE), now=NOW)
    assert again.replayed_to == 2, "a replay of a replay forgets nothing"


def test_a_lane_that_was_never_written_is_at_nothing(log: Log) -> None:
    assert log.progress(LANE) == Progress()
    assert log.take(LANE, "a", now=NOW, until=LATER) is None


def test_numbers_are_given_without_a_gap(log: Log) -> None:
    assert [append(log, REFERENCE) for _ in range(3)] == [1, 2, 3]
    assert log.progress(LANE) == Progress(next=3, rung_at=NOW)
    assert log.rows(LANE, after=1, limit=10) == [Row(2, (REFERENCE,)), Row(3, (REFERENCE,))]
    assert log.rows(LANE, after=0, limit=2) == [Row(1, (REFERENCE,)), Row(2, (REFERENCE,))]


@pytest.mark.parametrize("given", [0, 1], ids=["first row", "a later one"])
def test_of_two_who_append_at_once_one_is_told(log: Log, given: int) -> None:
    for _ in range(given):
        append(log, REFERENCE)
    seen = log.progress(LANE)
    append(log, REFERENCE, seen=seen)
    with pytest.raises(LostRace):
        append(log, REFERENCE, seen=seen)
    assert log.progress(LANE).next == given + 1


def test_r24_a_row_that_relies_on_an_earlier_ones_doorbell_needs_that_one_unsent(log: Log) -> None:
    append(log, REFERENCE)
    assert append(log, REFERENCE, behind=True) == 2
    log.take(LANE, "a", now=NOW, until=LATER)
    log.advance(LANE, "a", 1)
    log.advance(LANE, "a", 2)
    with pytest.raises(LostRace):
        append(log, REFERENCE, behind=True)


def test_one_sender_at_a_time_until_its_lease_ends(log: Log) -> None:
    append(log, REFERENCE)
    assert log.take(LANE, "a", now=NOW, until=LATER) == Progress(next=1, rung_at=NOW)
    assert log.take(LANE, "b", now=NOW, until=LATER) is None
    assert log.take(LANE, "b", now=LATER, until=LATER + timedelta(seconds=60)) is not None
    for lost in (
        lambda: log.advance(LANE, "a", 1),
        lambda: log.release(LANE, "a"),
        lambda: log.postpone(LANE, "a", failures=1, next_attempt_at=LATER, suspended_at=None),
    ):
        with pytest.raises(LostRace):
            lost()


def test_a_released_lane_may_be_taken_and_shows_what_came(log: Log) -> None:
    append(log, REFERENCE)
    log.take(LANE, "a", now=NOW, until=LATER)
    append(log, REFERENCE)
    assert log.release(LANE, "a").next == 2
    assert log.take(LANE, "b", now=NOW, until=LATER) is not None


def test_the_cursor_moves_one_number_at_a_time(log: Log) -> None:
    append(log, REFERENCE)
    append(log, REFERENCE)
    log.take(LANE, "a", now=NOW, until=LATER)
    with pytest.raises(LostRace):
        log.advance(LANE, "a", 2)
    assert log.advance(LANE, "a", 1).cursor == 1
    with pytest.raises(LostRace):
        log.advance(LANE, "a", 1)


def test_a_lane_that_waits_is_not_taken_before_its_time(log: Log) -> None:
    append(log, REFERENCE)
    log.take(LANE, "a", now=NOW, until=LATER)
    log.postpone(LANE, "a", failures=3, next_attempt_at=LATER, suspended_at=None)
    assert log.progress(LANE) == Progress(next=1, failures=3, rung_at=NOW, next_attempt_at=LATER)
    assert log.take(LANE, "b", now=LATER - timedelta(seconds=2), until=LATER) is None
    # a queue's delay is in whole seconds, and its clock is not ours
    assert log.take(LANE, "b", now=LATER - timedelta(seconds=1), until=LATER) is not None


def test_a_lane_is_suspended_once_and_a_success_ends_it(log: Log) -> None:
    append(log, REFERENCE)
    for number in range(2):
        now = NOW + timedelta(minutes=number)
        log.take(LANE, "a", now=now, until=now)
        log.postpone(LANE, "a", failures=5 + number, next_attempt_at=now, suspended_at=now)
    assert log.progress(LANE).suspended_at == NOW
    log.take(LANE, "a", now=LATER, until=LATER)
    assert log.advance(LANE, "a", 1) == Progress(next=1, cursor=1, rung_at=NOW)


def test_attempts_are_listed_the_newest_first(log: Log) -> None:
    first = Attempt("m-1", NOW, LANE, 1, None, 15_000, "ReadTimeoutError")
    second = replace(first, at=LATER, status=204, ms=12, error=None)
    foreign = replace(first, lane=Lane("clinic-b", "mis-1", "observations-0"))
    log.record([first, second, foreign])
    assert list(log.attempts("clinic-a", "mis-1")) == [second, first]


def test_rows_and_attempts_expire(client: Any) -> None:
    log = Deliveries(client, TABLE, days=30)
    append(log, REFERENCE)
    log.record([Attempt("m-1", NOW, LANE, 1, 204, 12, None)])
    kept = {item["sk"]["S"].partition("#")[0]: item for item in client.scan(TableName=TABLE)["Items"]}
    expiry = {"N": str(int((NOW + timedelta(days=30)).timestamp()))}
    assert kept["row"]["expires_at"] == kept["attempt"]["expires_at"] == expiry
    assert "expires_at" not in kept["lane"]
