"""What the rule puts into the inbox is read, what it did not write fails alone, and the backlog takes what waited."""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from adapters.inbox import Backlog, arrived, is_from
from domain.reading import Arrival
from tests.builders import an_arrival


def a_body(payload: bytes = b"\xff{", **changes: Any) -> str:
    facts = {
        "payload": b64encode(payload).decode(),
        "topic": "dt/pma/BP-00017/readings",
        "client": "BP-00017",
        "received_at": 1795338000123,
    }
    return json.dumps({name: value for name, value in (facts | changes).items() if value is not ...})


def an_event(*bodies: str, queue: str = "inbox") -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": f"m-{number}", "body": body, "eventSourceARN": f"arn:aws:sqs:eu-central-1:1:{queue}"}
            for number, body in enumerate(bodies)
        ]
    }


def test_a_message_is_as_the_broker_took_it() -> None:
    body = a_body()
    assert arrived(an_event(body)) == (
        [
            Arrival(
                id="m-0",
                body=body,
                payload=b"\xff{",
                topic="dt/pma/BP-00017/readings",
                client="BP-00017",
                received_at=datetime(2026, 11, 22, 9, 0, 0, 123000, tzinfo=UTC),
            )
        ],
        [],
    )


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        a_body(payload=b"")[:-3],
        a_body(topic=...),
        a_body(client=...),
        a_body(received_at=...),
        a_body(received_at="noon"),
        a_body(received_at=10**30),
        a_body().replace("/3s=", "§§"),
        json.dumps(json.loads(a_body()) | {"payload": 7}),
    ],
    ids=repr,
)
def test_r22_what_the_rule_did_not_write_fails_alone(body: str) -> None:
    arrivals, unreadable = arrived(an_event(a_body(), body, a_body()))
    assert [one.id for one in arrivals] == ["m-0", "m-2"]
    assert unreadable == ["m-1"]


@given(st.lists(st.sampled_from([True, False]), max_size=10))
def test_r23_exactly_what_cannot_be_read_is_named(readable: list[bool]) -> None:
    arrivals, unreadable = arrived(an_event(*(a_body() if one else "{" for one in readable)))
    assert [one.id for one in arrivals] == [f"m-{number}" for number, one in enumerate(readable) if one]
    assert unreadable == [f"m-{number}" for number, one in enumerate(readable) if not one]


@pytest.mark.parametrize(("queue", "same"), [("backlog", True), ("inbox", False)])
def test_a_batch_is_of_one_queue(queue: str, same: bool) -> None:
    url = "https://sqs.eu-central-1.amazonaws.com/1/backlog"
    assert is_from(url, an_event(a_body(), queue=queue)) is same


@pytest.fixture
def sqs() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sqs", region_name="eu-central-1")


def received(sqs: Any, queue: str) -> list[str]:
    bodies: list[str] = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        bodies += [message["Body"] for message in messages]
    return bodies


@pytest.mark.parametrize("count", [0, 1, 10, 23])
def test_r99_what_waited_is_handed_on_as_it_came(sqs: Any, count: int) -> None:
    queue = sqs.create_queue(QueueName="backlog")["QueueUrl"]
    arrivals = [an_arrival(id=f"m-{number}", body=a_body(str(number).encode())) for number in range(count)]
    assert Backlog(sqs, queue).put(arrivals) == set()
    assert sorted(received(sqs, queue)) == sorted(one.body for one in arrivals)


class Full:
    """A queue that takes the even entries of a call only."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        self.calls.append(sum(len(entry["MessageBody"]) for entry in Entries))
        return {"Failed": [{"Id": entry["Id"]} for entry in Entries if int(entry["Id"]) % 2]}


def test_r99_what_the_queue_did_not_take_is_said() -> None:
    assert Backlog(Full(), "queue").put([an_arrival(id=f"m-{number}") for number in range(4)]) == {"m-1", "m-3"}


def test_r33_a_call_is_never_past_its_limit() -> None:
    full = Full()
    Backlog(full, "queue").put([an_arrival(body="x" * 300_000)] * 10)
    assert len(full.calls) == 4
    assert max(full.calls) <= 1024 * 1024
