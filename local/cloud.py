"""The whole system on this machine: emulator, stack, two organisations and a receiving MIS, for the time of a block."""

import json
import os
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from localstack_client.session import Session

import mis_sim.server
from adapters import aws
from local import emulator
from local.deploy import client, deploy, synthesised
from local.emulator import CREDENTIALS, REGION, ROOT, STACK_FILE, Emulator
from local.provision import Thing, make_claim, provision
from mis_sim.server import Receiver
from ops.organisation import Credentials, StackOutputs, add_organisation
from pma_client.client import Client

STATE = ROOT / ".local"
ORGANISATIONS = ("clinic-a", "clinic-b")
ENDPOINT = "mis-1"
NOTHING = json.dumps({"Records": []})


@dataclass(frozen=True)
class Cloud:
    """A deployed stack on this machine. `outputs` are the stack's, as in `infra/stack.py`."""

    running: Emulator
    outputs: dict[str, str]
    api_url: str
    token_url: str
    organisations: dict[str, Credentials]
    mis: Receiver
    claim: tuple[Path, Path]
    """The PEM files of a maker's claim: certificate and private key."""

    @property
    def endpoint_url(self) -> str:
        return self.running.endpoint_url

    def aws(self, service: str) -> Any:
        """A client of an AWS service with all rights, wherever AWS_ENDPOINT_URL points: here or to a LocalStack."""
        return Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=None,
            region_name=REGION,
        ).client(service)

    def api(self, organisation: str) -> Client:
        """A client of our own API, as that organisation."""
        known = self.organisations[organisation]
        return Client(self.api_url, self.token_url, known.client_id, known.client_secret)

    def things(self, names: Iterable[str]) -> list[Thing]:
        """Make things that may connect to the broker."""
        return provision(
            self.aws("iot"),
            names,
            policy=self.outputs["IotPolicyName"],
            thing_type=self.outputs["ThingTypeName"],
            folder=self.running.folder / "things",
        )

    def warm(self) -> None:
        """Start every worker that a queue or stream may call at once, as provisioned concurrency does on AWS.

        A cold start is half a second of CPU; on a machine of two cores a few of them in a burst are seconds of delay.
        """
        functions = self.aws("lambda")
        mappings = functions.get_paginator("list_event_source_mappings").paginate().search("EventSourceMappings")
        calls = [
            mapping["FunctionArn"]
            for mapping in mappings
            for _ in range(mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 1))
        ]
        with ThreadPoolExecutor(len(calls)) as pool:
            list(pool.map(lambda arn: functions.invoke(FunctionName=arn, Payload=NOTHING), calls))

    def connect_mis(self, organisation: str, **settings: Any) -> None:
        """Have the receiving MIS told of everything of an organisation."""
        with self.api(organisation) as api:
            self.mis.trust(api.put_endpoint(ENDPOINT, url=self.mis.url, **settings).secret or "")

    def doctors_of(self, organisation: str) -> "Doctors":
        """Listen on the organisation's topic from now on, as its doctors and duty centre do."""
        return Doctors(self, self.organisations[organisation].topic)

    def sms_to(self, number: str) -> list[str]:
        """The texts sent to a phone number so far, oldest first."""
        query = urllib.parse.urlencode({"phoneNumber": number})
        url = f"{self.endpoint_url}/_ministack/sns/sms-messages?{query}"
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own http address
            return [one["Message"] for one in json.load(answer)["sms_messages"].get(number, [])]

    def describe(self) -> dict[str, Any]:
        """What `.local/stack.json` says; paths are relative to the project's root."""
        return {
            "endpoint_url": self.endpoint_url,
            "region": REGION,
            "mqtt": {
                "host": self.running.mqtt_host,
                "port": self.running.mqtt_port,
                "ca": os.path.relpath(self.running.ca, ROOT),
            },
            "api_url": self.api_url,
            "token_url": self.token_url,
            "organisations": {
                name: {"client_id": one.client_id, "client_secret": one.client_secret}
                for name, one in self.organisations.items()
            },
            "claim": {
                "certificate": os.path.relpath(self.claim[0], ROOT),
                "private_key": os.path.relpath(self.claim[1], ROOT),
                "template": self.outputs["ProvisioningTemplateName"],
            },
            "mis_url": self.mis.url,
            "topic_prefix": self.outputs["TopicPrefix"],
            "rule": self.outputs["TopicRuleName"],
        }


class Doctors:
    """A queue on an organisation's topic."""

    def __init__(self, cloud: Cloud, topic: str) -> None:
        self._queues = cloud.aws("sqs")
        name = f"doctors-{topic.rpartition(':')[2]}"
        self._url = self._queues.create_queue(QueueName=name)["QueueUrl"]
        arn = self._queues.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self._queues.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})
        cloud.aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def receive(self, wait_seconds: int = 1) -> list[dict[str, Any]]:
        """What has come since the last time, at most ten: SNS envelopes, their `Message` parsed.

        `SentAt` is when the queue took it, to the millisecond: the envelope's own time is of whole seconds here.
        """
        found = self._queues.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds, AttributeNames=["SentTimestamp"]
        ).get("Messages", [])
        for one in found:
            self._queues.delete_message(QueueUrl=self._url, ReceiptHandle=one["ReceiptHandle"])
        return [
            envelope
            | {
                "Message": json.loads(envelope["Message"]),
                "SentAt": datetime.fromtimestamp(int(one["Attributes"]["SentTimestamp"]) / 1000, UTC),
            }
            for one, envelope in ((one, json.loads(one["Body"])) for one in found)
        ]


def free_state(name: str) -> Path:
    """A folder below .local for a run beside those that are still running, one whose `make` was killed among them."""
    folders = (STATE / f"{name}-{number}" for number in count(1))
    return next(folder for folder in folders if not emulator.is_running(folder))


@contextmanager
def running_cloud(state: Path = STATE, say: Callable[[str], None] = print) -> Iterator[Cloud]:
    """The system, fresh, until the block ends; AWS_ENDPOINT_URL and credentials point there meanwhile.

    One at a time in a `state` folder. Raises LocalProblem, in one sentence, for what stands in the way.
    """
    assembly = synthesised(say)
    with (
        emulator.running(state, say=say) as running,
        _environment(running.environment),
        mis_sim.server.start(database=running.folder / "mis.sqlite") as mis,
    ):
        outputs = deploy(assembly, running.endpoint_url)
        api = outputs["ApiUrl"].removeprefix("http://").removeprefix("https://").partition(".")[0]
        stack = StackOutputs.of(outputs)
        cloud = Cloud(
            running=running,
            outputs=outputs,
            api_url=f"{running.endpoint_url}/_aws/execute-api/{api}/$default",
            token_url=f"{running.endpoint_url}/oauth2/token",
            organisations={name: add_organisation(name, stack=stack) for name in ORGANISATIONS},
            mis=mis,
            claim=make_claim(
                client("iot", running.endpoint_url), policy=outputs["ClaimPolicyName"], folder=running.folder
            ),
        )
        (state / STACK_FILE).write_text(json.dumps(cloud.describe(), indent=2) + "\n")
        yield cloud


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """`ops` and `adapters` find AWS through the environment, here as in the cloud."""
    before = dict(os.environ)
    os.environ.pop("AWS_PROFILE", None)
    os.environ.pop("AWS_SESSION_TOKEN", None)
    os.environ.update(changes)
    aws.client.cache_clear()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        aws.client.cache_clear()
