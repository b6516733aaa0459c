"""SNS: what is published by which channel, and what no retry will deliver."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from adapters.notifier import Notifier
from domain.notification import Contact, Undeliverable, Words
from tests.in_process import REGION

FACTS = {"alert": "a-1", "organisation": "clinic-a", "role": "doctor", "severity": "critical", "subject": "S-1"}


@pytest.fixture
def sns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("sns", region_name=REGION)


def words(topic: str = "") -> Words:
    return Words("Open the app.", topic, FACTS)


def test_an_sms_is_the_text_and_no_more(sns: Any) -> None:
    Notifier(sns).publish(words(), Contact("sms", "+15005550001"))
    ((number, text, *_),) = sns_backends[DEFAULT_ACCOUNT_ID][REGION].sms_messages.values()
    assert (number, text) == ("+15005550001", "Open the app.")


def test_the_topic_has_the_text_and_opaque_facts(sns: Any) -> None:
    topic = sns.create_topic(Name="pma-local-org-clinic-a")["TopicArn"]
    Notifier(sns).publish(words(topic), Contact("topic"))
    ((_, body, _, attributes, *_),) = sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics[topic].sent_notifications
    assert json.loads(body) == {"format": "pma.notification/1", **FACTS, "text": "Open the app."}
    assert {name: one["Value"] for name, one in (attributes or {}).items()} == FACTS


def test_a_push_goes_to_the_patients_app(sns: Any) -> None:
    application = sns.create_platform_application(Name="app", Platform="GCM", Attributes={})["PlatformApplicationArn"]
    endpoint = sns.create_platform_endpoint(PlatformApplicationArn=application, Token="t")["EndpointArn"]
    Notifier(sns).publish(words(), Contact("push", endpoint))
    (message,) = sns_backends[DEFAULT_ACCOUNT_ID][REGION].platform_endpoints[endpoint].messages.values()
    assert message == "Open the app."


class Failing:
    """A service that answers with an error of this code."""

    def __init__(self, code: str) -> None:
        self._code = code

    def publish(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, "Publish")


@pytest.mark.parametrize("code", ["OptedOut", "EndpointDisabled", "InvalidParameter", "NotFound"])
def test_r54_what_no_retry_will_deliver_is_said(code: str) -> None:
    with pytest.raises(Undeliverable, match=code):
        Notifier(Failing(code)).publish(words(), Contact("sms", "+15005550001"))


@pytest.mark.parametrize("code", ["Throttled", "InternalError", "AuthorizationError"])
def test_what_a_retry_may_deliver_is_tried_again(code: str) -> None:
    with pytest.raises(ClientError):
        Notifier(Failing(code)).publish(words(), Contact("sms", "+15005550001"))


def test_no_stage_sends_e_mail(sns: Any) -> None:
    with pytest.raises(Undeliverable, match="e-mail"):
        Notifier(sns).publish(words(), Contact("email", "a@example.org"))
