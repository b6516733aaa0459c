"""The outbox on its way: two queues, and the marks of who was told."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.alerts import Episodes, outbox_key
from adapters.decisions import Decisions
from adapters.dynamodb import decode_item, encode_item
from adapters.outbox import Outbox, Queues, from_body, to_body
from adapters.registry import from_organisation, from_subject
from domain.alert import Episode, State
from domain.notification import Standing
from tests.builders import NOW, ORGANISATION, SUBJECT, a_notice, a_subject, an_alert, an_organisation
from tests.fakes import FakeOutbox
from tests.in_process import REGION, make_tables


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield lambda service: boto3.client(service, region_name=REGION)


def received(sqs: Any, url: str) -> list[str]:
    found: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [from_body(message["Body"]).alert for message in messages]
    return sorted(found)


def test_a_message_reads_as_it_was_written() -> None:
    assert from_body(to_body(a_notice())) == a_notice()


def test_r65_critical_and_ordinary_wait_apart(aws: Any) -> None:
    sqs = aws("sqs")
    critical, ordinary = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("critical", "ordinary"))
    notices = [a_notice(alert=f"c-{n:02}") for n in range(12)] + [a_notice(alert="w", severity="warning")]
    assert Queues(sqs, critical, ordinary).send(notices) == set()
    assert received(sqs, critical) == [f"c-{n:02}" for n in range(12)]
    assert received(sqs, ordinary) == ["w"]


class Refusing:
    """A queue service that takes every other entry."""

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        return {"Failed": [{"Id": entry["Id"], "Code": "InternalError"} for entry in Entries[1::2]]}


def test_what_a_queue_does_not_take_is_named() -> None:
    notices = [a_notice(severity="warning"), a_notice(), a_notice(), a_notice(severity="info")]
    assert Queues(Refusing(), "critical", "ordinary").send(notices) == {2, 3}


@pytest.fixture
def stored(aws: Any) -> Outbox:
    dynamodb = aws("dynamodb")
    make_tables(dynamodb, ("registry", "alerts"))
    for item in (from_subject(a_subject()), from_organisation(an_organisation())):
        dynamodb.put_item(TableName="registry", Item=encode_item(item))
    Episodes(dynamodb, "alerts", "registry", Decisions(dynamodb, "decisions")).write(
        (ORGANISATION, SUBJECT),
        State({"crisis": Episode(stage="active")}),
        [an_alert(id="alert-1", tell=("patient", "doctor"), told="raised")],
        after=0,
        now=NOW,
        received_at=NOW,
    )
    return Outbox(dynamodb, "alerts", "registry")


@pytest.fixture(params=["adapter", "fake"])
def outbox(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeOutbox(a_subject(), an_organisation())
    return request.getfixturevalue("stored")


def test_what_was_told_is_marked_once(outbox: Any) -> None:
    assert outbox.standing(a_notice()) == Standing(a_subject(), an_organisation(), frozenset())
    outbox.mark(a_notice(), ["patient#sms#0@1", "doctor#topic#0@1"], NOW)
    outbox.mark(a_notice(), [], NOW)
    outbox.mark(a_notice(), ["duty#topic#0@1"], NOW + timedelta(seconds=1))
    assert outbox.standing(a_notice()).told == {"patient#sms#0@1", "doctor#topic#0@1", "duty#topic#0@1"}


def test_when_somebody_was_told_can_be_read(aws: Any, stored: Outbox) -> None:
    stored.mark(a_notice(), ["patient#sms#0@1"], NOW)
    pk, sk = outbox_key(ORGANISATION, SUBJECT, "alert-1", 1)
    item = aws("dynamodb").get_item(TableName="alerts", Key=encode_item({"pk": pk, "sk": sk}))["Item"]
    assert decode_item(item)["told"] == {"patient#sms#0@1": NOW.isoformat()}


def test_a_notice_whose_subject_was_erased_stands_for_nobody(aws: Any) -> None:
    dynamodb = aws("dynamodb")
    make_tables(dynamodb, ("registry", "alerts"))
    assert Outbox(dynamodb, "alerts", "registry").standing(a_notice()) == Standing(None, None, None)
