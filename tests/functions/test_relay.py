"""Relay: rows of the outbox into two queues, and what they did not take back to the stream."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from adapters.aws import client as aws_client
from adapters.dynamodb import encode_item
from adapters.environment import variable
from adapters.outbox import from_body
from domain.plan_language import Severity
from functions.relay import handler
from functions.relay.service import relay
from tests.builders import NOW, ORGANISATION, SUBJECT, a_notice
from tests.fakes import FakeQueues
from tests.in_process import REGION, Context, environment


def test_a_batch_without_orders_sends_nothing() -> None:
    queues = FakeQueues()
    assert relay([], queues).to_retry == []
    assert queues.sent == []


def test_what_was_sent_is_counted() -> None:
    severities: tuple[Severity, ...] = ("critical", "warning", "critical")
    outcome = relay([(str(n), a_notice(severity=one)) for n, one in enumerate(severities)], FakeQueues())
    assert outcome.counts == {"critical": 2, "ordinary": 1, "failed": 0}


@given(st.sets(st.integers(0, 9)))
def test_r22_exactly_what_a_queue_did_not_take_is_retried(refused: set[int]) -> None:
    queues = FakeQueues(refused)
    outcome = relay([(f"s-{n}", a_notice(version=n)) for n in range(10)], queues)
    assert outcome.to_retry == [f"s-{n}" for n in sorted(refused)]
    assert [notice.version for notice in queues.sent] == [n for n in range(10) if n not in refused]


@pytest.fixture
def sqs() -> Iterator[Any]:
    credentials = {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t"}
    with mock_aws():
        client = boto3.client("sqs", region_name=REGION)
        urls = {name: client.create_queue(QueueName=name)["QueueUrl"] for name in ("critical", "ordinary")}
        with environment({variable(f"{name}_queue"): url for name, url in urls.items()} | credentials):
            handler.wired.cache_clear()
            yield client, urls
            handler.wired.cache_clear()
    aws_client.cache_clear()


def record(name: str, sk: str, **facts: Any) -> dict[str, Any]:
    notice = a_notice()
    image = encode_item(
        {
            "pk": f"{ORGANISATION}#{SUBJECT}",
            "sk": sk,
            "organisation": notice.organisation,
            "subject": notice.subject,
            "alert": notice.alert,
            "version": notice.version,
            "severity": notice.severity,
            "step": notice.step,
            "roles": notice.roles,
            "received_at": NOW,
        }
        | facts
    )
    keys = {"pk": image["pk"], "sk": image["sk"]}
    return {"eventName": name, "dynamodb": {"Keys": keys, "NewImage": image, "SequenceNumber": "1"}}


def test_only_new_rows_of_the_outbox_are_sent(sqs: Any) -> None:
    client, urls = sqs
    event = {
        "Records": [
            record("INSERT", "outbox#alert-1#1"),
            record("MODIFY", "outbox#alert-1#1"),
            record("INSERT", "alert#alert-1"),
            record("INSERT", "outbox#alert-2#1", alert="alert-2", severity="info"),
        ]
    }
    handle: Any = handler.handle
    assert handle(event, Context()) == {"batchItemFailures": []}
    sent = {
        name: [from_body(one["Body"]) for one in client.receive_message(QueueUrl=url).get("Messages", [])]
        for name, url in urls.items()
    }
    assert sent == {"critical": [a_notice()], "ordinary": [a_notice(alert="alert-2", severity="info")]}
