"""What is kept of requests: an answer for whoever repeats, for nobody else, and how often an organisation asked."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.requests import KEPT, LONGEST_REQUEST, Kept, Repetition, Requests
from domain.errors import InvalidRequest, StillInProgress, TooManyRequests
from tests.builders import NOW
from tests.in_process import make_tables

KEY = "0d0e2b0c-7d1c-4a53-9d39-6a2f9b8d5c11"
ANSWER = Kept(201, '{"secret": "whsec_canary"}', '"1"')


@pytest.fixture
def requests() -> Iterator[Requests]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-central-1")
        make_tables(client, ("idempotency",))
        yield Requests(client, "idempotency")


def one(organisation: str = "clinic-a", key: str = KEY, asked: bytes = b"PUT it") -> Repetition:
    return Repetition(organisation, key, asked)


def test_r85_a_repetition_gets_the_answer_that_was_given(requests: Requests) -> None:
    assert requests.begin(one(), NOW) is None
    requests.finish(one(), ANSWER, NOW)
    assert requests.begin(one(), NOW + timedelta(days=29)) == ANSWER


def test_a_key_that_served_another_request_is_refused(requests: Requests) -> None:
    requests.begin(one(), NOW)
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="idempotency-key"):
            requests.begin(one(asked=b"PUT that"), NOW + LONGEST_REQUEST * 2)
        requests.finish(one(), ANSWER, NOW)


def test_r83_an_organisation_never_gets_anothers_answer(requests: Requests) -> None:
    requests.begin(one(), NOW)
    requests.finish(one(), ANSWER, NOW)
    assert requests.begin(one("clinic-b"), NOW) is None


def test_r30_what_is_in_progress_is_waited_for_and_what_was_broken_off_begins_anew(requests: Requests) -> None:
    assert requests.begin(one(), NOW) is None
    with pytest.raises(StillInProgress):
        requests.begin(one(), NOW + LONGEST_REQUEST)
    later = NOW + LONGEST_REQUEST + timedelta(seconds=1)
    assert requests.begin(one(), later) is None
    with pytest.raises(StillInProgress):
        requests.begin(one(), later)


class Overtaken:
    """A table at which another is faster: `rival` comes just before each write."""

    def __init__(self, client: Any, rival: Callable[[], object]) -> None:
        self._client, self._rival = client, rival

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_item(self, **parameters: Any) -> Any:
        self._rival()
        return self._client.put_item(**parameters)


def test_r85_of_two_at_once_one_is_carried_out(requests: Requests) -> None:
    """Not in threads: moto looks at a condition and writes in two steps, where DynamoDB does both at once."""
    faster: list[Kept | None] = []
    client = Overtaken(requests.client, lambda: faster.append(requests.begin(one(), NOW)))
    with pytest.raises(StillInProgress):
        Requests(client, "idempotency").begin(one(), NOW)
    assert faster == [None]


def test_a_refusal_is_forgotten_and_an_answer_is_not(requests: Requests) -> None:
    requests.begin(one(), NOW)
    requests.forget(one())
    assert requests.begin(one(asked=b"put right"), NOW) is None
    requests.finish(one(asked=b"put right"), ANSWER, NOW)
    requests.forget(one(asked=b"put right"))
    assert requests.begin(one(asked=b"put right"), NOW) == ANSWER


def test_r29_a_key_is_known_for_longer_than_any_redrive(requests: Requests) -> None:
    assert timedelta(days=14) < KEPT
    requests.begin(one(), NOW)
    requests.finish(one(), ANSWER, NOW)
    assert requests.begin(one(asked=b"another"), NOW + KEPT + timedelta(seconds=1)) is None


def test_the_table_shows_neither_key_nor_request_nor_answer(requests: Requests) -> None:
    requests.begin(one(asked=b"+15005550001"), NOW)
    requests.finish(one(asked=b"+15005550001"), ANSWER, NOW)
    stored: Any = requests.client.scan(TableName="idempotency")["Items"]
    assert not any(secret in str(stored) for secret in (KEY, "canary", "+1500", "whsec"))
    assert stored[0]["pk"]["S"].startswith("clinic-a#")


def test_so_many_a_window_and_not_one_more(requests: Requests) -> None:
    start = NOW.replace(second=20, microsecond=0)
    for second in range(10):
        for _ in range(2):
            requests.count("clinic-a", per_second=2, now=start + timedelta(seconds=second))
    with pytest.raises(TooManyRequests) as refused:
        requests.count("clinic-a", per_second=2, now=start + timedelta(seconds=9, milliseconds=500))
    assert refused.value.wait == 1
    requests.count("clinic-b", per_second=2, now=start)
    requests.count("clinic-a", per_second=2, now=start + timedelta(seconds=10))


def test_a_raised_limit_counts_at_once(requests: Requests) -> None:
    for _ in range(10):
        requests.count("clinic-a", per_second=1, now=NOW)
    requests.count("clinic-a", per_second=2, now=NOW)


def test_a_function_whose_clock_is_behind_counts_in_the_window_of_the_others(requests: Requests) -> None:
    for behind in (0, 10, 0, 10):
        requests.count("clinic-a", per_second=1, now=NOW - timedelta(seconds=behind))
    for _ in range(6):
        requests.count("clinic-a", per_second=1, now=NOW)
    with pytest.raises(TooManyRequests):
        requests.count("clinic-a", per_second=1, now=NOW - timedelta(seconds=10))


def test_who_finds_the_window_begun_meanwhile_counts_in_it(requests: Requests) -> None:
    class Rival(Requests):
        def _begin(self, organisation: str, before: int, window: int) -> None:
            super()._begin(organisation, before, window)
            requests.count(organisation, per_second=1, now=NOW)
            super()._begin(organisation, before, window)

    Rival(requests.client, "idempotency").count("clinic-a", per_second=1, now=NOW)
    (kept,) = requests.client.scan(TableName="idempotency")["Items"]
    assert kept["count"] == {"N": "2"}
