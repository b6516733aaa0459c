"""Each patch of the emulator, by one scenario on two servers: with the patch it goes well, without it it does not.

The second half says when a newer MiniStack no longer needs a patch: its scenario then goes well on the bare server.
"""

import io
import json
import socket
import ssl
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from ministack.services import sqs

from local import emulator, patches
from local.deploy import client
from tests.waiting import eventually, ever

pytestmark = pytest.mark.e2e

HANDLER = """
import json, os, time

def names(event):
    for record in event["Records"]:
        yield record["body"] if "body" in record else record["dynamodb"]["Keys"]["sk"]["S"]

def say(**line):
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(json.dumps(line) + "\\n")

def note(event, context):
    say(batch=list(names(event)))

def fail_once(event, context):
    with open(os.environ["SEEN"]) as seen:
        first = "poison" not in seen.read()
    say(batch=list(names(event)))
    failed = [r["dynamodb"]["SequenceNumber"] for r in event["Records"] if r["dynamodb"]["Keys"]["sk"]["S"] == "poison"]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed if first]}

def refuse_poison(event, context):
    if "poison" in names(event):
        raise ValueError("poison")
    say(batch=list(names(event)))

def slow(event, context):
    say(batch=["slow begins"])
    time.sleep(1.5)
    say(batch=["slow ends"])

def silent(event, context):
    return None
"""


@dataclass
class Cloud:
    """A running emulator, and small things made in it."""

    running: emulator.Emulator
    folder: Path
    patience: float
    """Seconds to wait for what should happen: long where it will, short where it will not."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def client(self, service: str) -> Any:
        return client(service, self.running.endpoint_url)

    def role(self) -> str:
        """A role that may do anything: rights are not what these tests are about."""
        roles, name = self.client("iam"), f"role-{next(self.numbers)}"
        trust = [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
        made = roles.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": trust}))
        rights = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
        roles.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps({"Statement": rights}))
        return str(made["Role"]["Arn"])

    def function(self, handler: str) -> tuple[str, Callable[[], list[list[str]]]]:
        """A function's name, and what tells the batches it has seen."""
        name = f"{handler.replace('_', '-')}-{next(self.numbers)}"
        seen = self.folder / f"{name}.jsonl"
        seen.touch()
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as code:
            code.writestr("index.py", HANDLER)
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler=f"index.{handler}",
            Role=self.role(),
            Code={"ZipFile": archive.getvalue()},
            Timeout=20,
            Environment={"Variables": {"SEEN": str(seen)}},
        )
        return name, lambda: [json.loads(line)["batch"] for line in seen.read_text().splitlines()]

    def queue(self) -> tuple[str, str]:
        queues = self.client("sqs")
        url = queues.create_queue(QueueName=f"queue-{next(self.numbers)}")["QueueUrl"]
        return url, queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def stream(self) -> tuple[Callable[[str], object], str]:
        """What puts an item of that name into a table, and the ARN of the table's stream."""
        tables, name = self.client("dynamodb"), f"table-{next(self.numbers)}"
        made = tables.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )
        return (
            lambda key: tables.put_item(TableName=name, Item={"pk": {"S": "one"}, "sk": {"S": key}}),
            made["TableDescription"]["LatestStreamArn"],
        )

    def map(self, function: str, source: str, **settings: Any) -> None:
        start = {"StartingPosition": "TRIM_HORIZON"} if "dynamodb" in source else {}
        self.client("lambda").create_event_source_mapping(
            FunctionName=function, EventSourceArn=source, **start, **settings
        )


def a_client_without_a_certificate_is_refused(cloud: Cloud) -> bool:
    context = ssl.create_default_context(cafile=str(cloud.running.ca))
    connect = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04none"
    with socket.create_connection((cloud.running.mqtt_host, cloud.running.mqtt_port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall(connect)
                return secure.recv(4)[:1] != b"\x20"  # no CONNACK
        except (ssl.SSLError, ConnectionError):
            return True


def the_broker_is_on_one_address_only(cloud: Cloud) -> bool:
    with socket.socket() as other:
        return other.connect_ex(("127.0.0.2", cloud.running.mqtt_port)) != 0


def a_silent_handler_costs_no_wait(cloud: Cloud) -> bool:
    name, _ = cloud.function("silent")
    lambdas = cloud.client("lambda")

    def quick() -> bool:
        start = time.monotonic()
        lambdas.invoke(FunctionName=name, Payload=b"{}")
        return time.monotonic() - start < 0.05

    return ever(quick, within=cloud.patience)


def a_queue_hands_over_more_than_ten(cloud: Cloud) -> bool:
    name, seen = cloud.function("note")
    url, source = cloud.queue()
    for ten in range(3):
        cloud.client("sqs").send_message_batch(
            QueueUrl=url, Entries=[{"Id": str(one), "MessageBody": f"{ten}{one}"} for one in range(10)]
        )
    cloud.map(name, source, BatchSize=30, MaximumBatchingWindowInSeconds=1)
    eventually(lambda: sum(map(len, seen())) == 30)
    return max(map(len, seen())) == 30


def a_partial_failure_goes_on_from_the_record_that_failed(cloud: Cloud) -> bool:
    name, seen = cloud.function("fail_once")
    put, source = cloud.stream()
    for key in ("before", "poison", "after"):
        put(key)
    cloud.map(name, source, FunctionResponseTypes=["ReportBatchItemFailures"])
    return ever(lambda: seen() == [["before", "poison", "after"], ["poison", "after"]], within=cloud.patience)


def a_poison_record_is_set_aside_and_its_neighbours_pass(cloud: Cloud) -> bool:
    name, seen = cloud.function("refuse_poison")
    put, source = cloud.stream()
    for key in ("before", "poison", "after"):
        put(key)
    url, aside = cloud.queue()
    cloud.map(
        name,
        source,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": aside}},
    )
    passed = ever(lambda: [key for batch in seen() for key in batch] == ["before", "after"], within=cloud.patience)
    letters = cloud.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=0).get("Messages", [])
    return passed and [json.loads(one["Body"])["DDBStreamBatchInfo"]["batchSize"] for one in letters] == [1]


def a_slow_stream_handler_delays_no_queue(cloud: Cloud) -> bool:
    slow, begun = cloud.function("slow")
    put, stream = cloud.stream()
    cloud.map(slow, stream)
    quick, seen = cloud.function("note")
    url, queue = cloud.queue()
    cloud.map(quick, queue)
    put("one")
    eventually(begun)
    cloud.client("sqs").send_message(QueueUrl=url, MessageBody="quick")
    eventually(seen)
    return begun() == [["slow begins"]]


def a_stream_is_gathered_for_its_window(cloud: Cloud) -> bool:
    name, seen = cloud.function("note")
    put, source = cloud.stream()
    cloud.map(name, source, MaximumBatchingWindowInSeconds=1)
    put("one")
    ever(seen, within=0.4)
    put("two")
    eventually(lambda: sum(map(len, seen())) == 2)
    return seen() == [["one", "two"]]


SCENARIOS = [
    ("certificate", a_client_without_a_certificate_is_refused),
    ("loopback", the_broker_is_on_one_address_only),
    ("silence", a_silent_handler_costs_no_wait),
    ("batch", a_queue_hands_over_more_than_ten),
    ("streams", a_partial_failure_goes_on_from_the_record_that_failed),
    ("streams", a_poison_record_is_set_aside_and_its_neighbours_pass),
    ("streams", a_slow_stream_handler_delays_no_queue),
    ("streams", a_stream_is_gathered_for_its_window),
]
each_scenario = pytest.mark.parametrize(
    ("patch", "goes_well"), SCENARIOS, ids=[scenario.__name__ for _, scenario in SCENARIOS]
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Cloud]]:
    """One emulator with all patches and one with none, side by side."""
    with ExitStack() as stack:
        clouds = {}
        for name, chosen, patience in (("patched", list(patches.PATCHES), 20.0), ("bare", [], 2.0)):
            folder = tmp_path_factory.mktemp(name)
            running = stack.enter_context(emulator.running(folder, chosen, say=lambda _: None))
            clouds[name] = Cloud(running, folder, patience)
        yield clouds


@each_scenario
def test_with_the_patch(servers: dict[str, Cloud], patch: str, goes_well: Callable[[Cloud], bool]) -> None:
    assert goes_well(servers["patched"]), f"the patch {patch!r} does not do its work"


@each_scenario
def test_without_the_patch(servers: dict[str, Cloud], patch: str, goes_well: Callable[[Cloud], bool]) -> None:
    if patch == "loopback" and sys.platform != "linux":
        pytest.skip("only Linux has more than one loopback address")
    assert not goes_well(servers["bare"]), f"this MiniStack no longer needs the patch {patch!r}: remove it"


def test_every_patch_has_a_scenario_and_a_reason() -> None:
    assert {patch for patch, _ in SCENARIOS} == set(patches.PATCHES)
    assert all(patch.reason for patch in patches.PATCHES.values())


def test_a_patch_that_no_longer_fits_says_so() -> None:
    with pytest.raises(patches.PatchDoesNotFit, match="see if the patch is still needed"):
        patches._rewrite(sqs, "_receive_messages_for_esm", "a text that is not there", "")
