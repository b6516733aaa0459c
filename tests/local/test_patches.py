"""Each patch of the emulator, by one scenario on two servers: with the patch it goes well, without it it does not.

The second half says when a newer MiniStack no longer needs a patch: its scenario then goes well on the bare server.
"""

import json
import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from botocore.exceptions import ClientError
from ministack.services import iot

from local import emulator, patches
from tests.local.small_cloud import SmallCloud
from tests.waiting import eventually, ever

pytestmark = pytest.mark.e2e


def a_client_without_a_certificate_is_refused(cloud: SmallCloud) -> bool:
    context = ssl.create_default_context(cafile=str(cloud.running.ca))
    connect = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04none"
    with socket.create_connection((cloud.running.mqtt_host, cloud.running.mqtt_port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall(connect)
                return secure.recv(4)[:1] != b"\x20"  # no CONNACK
        except (ssl.SSLError, ConnectionError):
            return True


def the_broker_is_on_one_address_only(cloud: SmallCloud) -> bool:
    with socket.socket() as other:
        return other.connect_ex(("127.0.0.2", cloud.running.mqtt_port)) != 0


def a_silent_handler_costs_no_wait(cloud: SmallCloud) -> bool:
    name, _ = cloud.function("silent")
    lambdas = cloud.client("lambda")

    def quick() -> bool:
        start = time.monotonic()
        lambdas.invoke(FunctionName=name, Payload=b"{}")
        return time.monotonic() - start < 0.05

    return ever(quick, within=cloud.patience)


def an_answer_without_a_body_arrives(cloud: SmallCloud) -> bool:
    url = cloud.api("nothing_to_say")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - the emulator's
            return (answer.status, answer.read()) == (204, b"")
    except OSError:
        return False


def an_archive_is_unpacked_once(cloud: SmallCloud) -> bool:
    places = set()
    for _ in range(2):
        name, _seen = cloud.function("where")
        places.add(cloud.client("lambda").invoke(FunctionName=name, Payload=b"{}")["Payload"].read())
    return len(places) == 1


def who_may_send_may_send_a_batch(cloud: SmallCloud) -> bool:
    url, queue = cloud.queue()
    try:
        queues = cloud.who_may("sqs:SendMessage", queue).client("sqs", endpoint_url=cloud.running.endpoint_url)
        queues.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "one"}])
    except ClientError:
        return False
    return True


def a_partial_failure_goes_on_from_the_record_that_failed(cloud: SmallCloud) -> bool:
    name, seen = cloud.function("fail_once")
    put, source = cloud.stream()
    for key in ("before", "poison", "after"):
        put(key)
    with cloud.mapped(name, source, FunctionResponseTypes=["ReportBatchItemFailures"]):
        return ever(lambda: seen() == [["before", "poison", "after"], ["poison", "after"]], within=cloud.patience)


def a_poison_record_is_set_aside_and_its_neighbours_pass(cloud: SmallCloud) -> bool:
    name, seen = cloud.function("refuse_poison")
    put, source = cloud.stream()
    for key in ("before", "poison", "after"):
        put(key)
    url, aside = cloud.queue()
    with cloud.mapped(
        name,
        source,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": aside}},
    ):
        passed = ever(lambda: [key for batch in seen() for key in batch] == ["before", "after"], within=cloud.patience)
    letters = cloud.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=0).get("Messages", [])
    return passed and [json.loads(one["Body"])["DDBStreamBatchInfo"]["batchSize"] for one in letters] == [1]


def a_slow_stream_handler_delays_no_queue(cloud: SmallCloud) -> bool:
    slow, begun = cloud.function("slow")
    put, stream = cloud.stream()
    quick, seen = cloud.function("note")
    url, queue = cloud.queue()
    with cloud.mapped(slow, stream), cloud.mapped(quick, queue):
        put("one")
        eventually(begun, within=60)
        cloud.client("sqs").send_message(QueueUrl=url, MessageBody="quick")
        undelayed = ever(seen, within=cloud.patience)
        (cloud.folder / f"{slow}.jsonl.go").touch()
    return undelayed


def a_stream_is_gathered_for_its_window(cloud: SmallCloud) -> bool:
    name, seen = cloud.function("note")
    put, source = cloud.stream()
    with cloud.mapped(name, source, MaximumBatchingWindowInSeconds=3):
        put("one")
        ever(seen, within=1.5)
        put("two")
        eventually(lambda: sum(map(len, seen())) == 2, within=60)
    return seen() == [["one", "two"]]


def a_session_ends_with_its_certificate(cloud: SmallCloud) -> bool:
    thing = cloud.thing()
    context = ssl.create_default_context(cafile=str(cloud.running.ca))
    context.load_cert_chain(thing.certificate, thing.private_key)
    name = thing.name.encode()
    connect = bytes([16, 12 + len(name)]) + b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2, "big") + name
    with (
        socket.create_connection((cloud.running.mqtt_host, cloud.running.mqtt_port), timeout=cloud.patience) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.sendall(connect)
        assert secure.recv(4)[:1] == b"\x20", "a CONNACK"
        iot_core = cloud.client("iot")
        (principal,) = iot_core.list_thing_principals(thingName=thing.name)["principals"]
        iot_core.update_certificate(certificateId=principal.rpartition("/")[2], newStatus="INACTIVE")
        try:
            return secure.recv(1) == b""
        except TimeoutError:
            return False
        except (ssl.SSLError, ConnectionError):
            return True


SCENARIOS = [
    ("certificate", a_client_without_a_certificate_is_refused),
    ("loopback", the_broker_is_on_one_address_only),
    ("revocation", a_session_ends_with_its_certificate),
    ("silence", a_silent_handler_costs_no_wait),
    ("no-body", an_answer_without_a_body_arrives),
    ("unpacking", an_archive_is_unpacked_once),
    ("rights", who_may_send_may_send_a_batch),
    ("streams", a_partial_failure_goes_on_from_the_record_that_failed),
    ("streams", a_poison_record_is_set_aside_and_its_neighbours_pass),
    ("streams", a_slow_stream_handler_delays_no_queue),
    ("streams", a_stream_is_gathered_for_its_window),
]
each_scenario = pytest.mark.parametrize(
    ("patch", "goes_well"), SCENARIOS, ids=[scenario.__name__ for _, scenario in SCENARIOS]
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SmallCloud]]:
    """One emulator with all patches and one with none, side by side."""
    with ExitStack() as stack:
        clouds = {}
        for name, patience in (("patched", 60.0), ("bare", 2.0)):
            folder = tmp_path_factory.mktemp(name)
            running = stack.enter_context(emulator.running(folder, patched=name == "patched", say=lambda _: None))
            clouds[name] = SmallCloud(running, folder, patience)
        yield clouds


@each_scenario
def test_with_the_patch(servers: dict[str, SmallCloud], patch: str, goes_well: Callable[[SmallCloud], bool]) -> None:
    assert goes_well(servers["patched"]), f"the patch {patch!r} does not do its work"


@each_scenario
def test_without_the_patch(servers: dict[str, SmallCloud], patch: str, goes_well: Callable[[SmallCloud], bool]) -> None:
    if patch == "loopback" and sys.platform != "linux":
        pytest.skip("only Linux has more than one loopback address")
    assert not goes_well(servers["bare"]), f"this MiniStack no longer needs the patch {patch!r}: remove it"


def test_every_patch_has_a_scenario_and_a_reason() -> None:
    assert {patch for patch, _ in SCENARIOS} == set(patches.PATCHES)
    assert all(patch.reason for patch in patches.PATCHES.values())


def test_a_patch_that_no_longer_fits_says_so() -> None:
    with pytest.raises(patches.PatchDoesNotFit, match="see if the patch is still needed"):
        patches._rewrite(iot, "_mtls_start_locked", "a text that is not there", "")
