"""The chain on whatever cloud AWS_ENDPOINT_URL names: from the inbox queue on, where an edition has no IoT.

`make test-localstack` runs it against a LocalStack that somebody has started. It asserts behaviour, never a stack's
status: an edition creates what it does not have, and that does nothing.
"""

import json
import os
import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from localstack_client.session import Session

from adapters import aws
from adapters.alerts import Alerts
from adapters.contacts import ContactVault
from adapters.observations import Observations
from adapters.registry import Registry
from domain.enrolment import Assignment, Consent, Device, Organisation, Subject
from local.cloud import Doctors
from local.deploy import deploy, synthesised
from local.emulator import CREDENTIALS, REGION
from tests.waiting import eventually

pytestmark = pytest.mark.localstack

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
STACK = "pma-local"
ORGANISATION = "clinic-a"
ENROLLED_AT = datetime.now(UTC) - timedelta(days=30)


@dataclass(frozen=True)
class Stack:
    """The deployed stack: where its resources are, by what their logical ids begin with."""

    outputs: dict[str, str]
    resources: dict[str, str]

    def aws(self, service: str) -> Any:
        return session().client(service)

    def named(self, logical: str) -> str:
        """The physical name of the resource whose logical id is `logical` and CDK's hash."""
        (found,) = [name for known, name in self.resources.items() if re.fullmatch(f"{logical}[0-9A-F]{{8}}", known)]
        return found


def session() -> Any:
    return Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )


@pytest.fixture(scope="session")
def stack() -> Stack:
    """Deployed anew, or as it stands from the run before."""
    os.environ |= {"AWS_ENDPOINT_URL": ENDPOINT, "AWS_DEFAULT_REGION": REGION} | {
        name: CREDENTIALS[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    }
    aws.client.cache_clear()
    formation = session().client("cloudformation")
    try:
        (found,) = formation.describe_stacks(StackName=STACK)["Stacks"]
        outputs = {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}
    except ClientError:
        outputs = deploy(synthesised(lambda _: None), ENDPOINT)
    except BotoCoreError:
        pytest.fail(f"Nothing answers at {ENDPOINT}: start LocalStack there, or name another with AWS_ENDPOINT_URL.")
    pages = formation.get_paginator("list_stack_resources").paginate(StackName=STACK)
    resources = {
        one["LogicalResourceId"]: one.get("PhysicalResourceId", "")
        for page in pages
        for one in page["StackResourceSummaries"]
    }
    return Stack(outputs, resources)


@pytest.fixture
def patient(stack: Stack) -> tuple[str, str]:
    """A subject of the hypertension programme with a tonometer, written as the API writes them."""
    subject, serial = f"S-{uuid4()}", f"BP-{uuid4()}"
    registry = Registry(aws.client("dynamodb"), stack.outputs["RegistryTable"])
    if ORGANISATION not in registry.organisations([ORGANISATION]):
        name = f"{stack.outputs['OrganisationTopicPrefix']}{ORGANISATION}"
        topic = aws.client("sns").create_topic(Name=name)["TopicArn"]
        registry.put_organisation(Organisation(ORGANISATION, ORGANISATION, topic, ENROLLED_AT))
    registry.put_subject(
        Subject(subject, ORGANISATION, ("hypertension",), "Europe/Samara", "en", Consent(ENROLLED_AT), None, version=1)
    )
    table, key = stack.named("StorageContacts"), stack.named("KeysContacts")
    ContactVault(aws.client("dynamodb"), aws.client("kms"), table, key).seal(
        ORGANISATION,
        subject,
        {"patient": [{"channel": "sms", "address": "+15005550001"}], "doctor": [{"channel": "topic"}]},
    )
    held = Assignment(f"a-{uuid4()}", subject, ENROLLED_AT)
    registry.put_device(Device(serial, ORGANISATION, "tonometer", "medical", assignments=(held,), version=1))
    return subject, serial


def publish(stack: Stack, serial: str, payload: bytes) -> None:
    """Put a message into the inbox as IoT's rule writes it."""
    body = {
        "payload": b64encode(payload).decode(),
        "topic": f"dt/pma/{serial}/readings",
        "client": serial,
        "received_at": round(datetime.now(UTC).timestamp() * 1000),
    }
    aws.client("sqs").send_message(QueueUrl=stack.named("InboxFresh"), MessageBody=json.dumps(body))


def pressure(systolic: int) -> bytes:
    values = {name: {"value": value, "unit": "mm[Hg]"} for name, value in (("systolic", systolic), ("diastolic", 104))}
    reading = {"kind": "blood-pressure", "measured_at": datetime.now(UTC).isoformat(), "values": values}
    return json.dumps({"format": "pma.readings/1", "readings": [reading]}).encode()


def test_a_reading_becomes_an_observation_an_alert_and_a_notification(stack: Stack, patient: tuple[str, str]) -> None:
    subject, serial = patient
    registry = Registry(aws.client("dynamodb"), stack.outputs["RegistryTable"])
    topic = registry.organisations([ORGANISATION])[ORGANISATION].topic
    doctors = Doctors(stack, topic)  # type: ignore[arg-type]  # of a cloud it asks clients only
    publish(stack, serial, pressure(191))
    observations = Observations(aws.client("dynamodb"), stack.named("StorageObservations"))
    (stored,) = eventually(lambda: observations.recent(ORGANISATION, subject).items, within=120)
    assert stored[1].values["systolic"] == 191
    alerts = Alerts(aws.client("dynamodb"), stack.named("StorageAlerts"))
    (alert,) = eventually(lambda: alerts.of_subject(ORGANISATION, subject).items, within=120)
    assert (alert.rule, alert.state) == ("systolic-crisis", "confirming")
    told = eventually(lambda: [one for one in doctors.receive() if one["Message"]["subject"] == subject], within=120)
    assert "191" not in told[0]["Message"]["text"]


def test_the_api_lets_nobody_in_without_a_token(stack: Stack) -> None:
    """By invoking its function: an edition may have no gateway, and then there is no client either."""
    event = {
        "version": "2.0", "routeKey": "$default", "rawPath": "/v1/subjects/S-1", "rawQueryString": "", "headers": {},
        "requestContext": {"http": {"method": "GET", "path": "/v1/subjects/S-1"}, "requestId": "r"},
        "isBase64Encoded": False,
    }  # fmt: skip
    called = aws.client("lambda").invoke(FunctionName=stack.named("RegistryFunction"), Payload=json.dumps(event))
    answer = json.loads(called["Payload"].read())
    assert answer["statusCode"] == 401
    assert json.loads(answer["body"])["code"] == "invalid-token"
