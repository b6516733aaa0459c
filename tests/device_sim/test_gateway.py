"""No message leaves the outbox before its PUBACK."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from awscrt import mqtt5
from awscrt.exceptions import AwsCrtError

from device_sim.errors import NoCertificate, NotConnected
from device_sim.gateway import Broker, Events, Gateway, Identity, Outbox, Receipt, Topics, over_mtls
from tests.device_sim.fake_broker import Clock, FakeBroker, no_others_topics

BROKER = Broker("broker.example", 8883, Path("ca.pem"))
IDENTITY = Identity("BP-1", Path("cert.pem"), Path("key.pem"))
OWN = "dt/pma/BP-1/readings"
TIMEOUT = AwsCrtError(code=0, name="AWS_ERROR_MQTT_TIMEOUT", message="no PUBACK in time")


@dataclass
class Later:
    """Actions that wait for their time; `come` lets it come."""

    actions: list[Callable[[], None]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def __call__(self, seconds: float, action: Callable[[], None]) -> None:
        self.waits.append(seconds)
        self.actions.append(action)

    def come(self) -> None:
        actions, self.actions = self.actions, []
        for action in actions:
            action()


def a_gateway(
    broker: FakeBroker,
    *,
    outbox: Outbox | None = None,
    in_flight: int = 2,
    later: Later | None = None,
    clock: Clock | None = None,
    identity: Identity = IDENTITY,
) -> Gateway:
    return Gateway(
        BROKER,
        identity,
        clock=clock or Clock(),
        outbox=outbox,
        in_flight=in_flight,
        connect=broker.connect,
        later=later or Later(),
    )


def bodies(broker: FakeBroker) -> list[bytes]:
    return [body for _, _, body in broker.published]


def send(gateway: Gateway, *numbers: int) -> "list[Future[Receipt]]":
    return [gateway.send(OWN, b"%d" % number) for number in numbers]


def test_a_publish_is_settled_by_its_puback() -> None:
    broker = FakeBroker(silent=True)
    gateway = a_gateway(broker)
    (future,) = send(gateway, 1)
    assert not future.done()
    assert gateway.unsettled() == 1
    broker.answer_all()
    receipt = future.result(0)
    assert receipt.refused is None
    assert receipt.sent_at < receipt.acked_at
    assert gateway.unsettled() == 0
    assert gateway.wait_settled(0)


def test_at_most_so_many_are_in_flight_and_all_go_in_order() -> None:
    broker = FakeBroker(silent=True)
    gateway = a_gateway(broker, in_flight=2)
    send(gateway, 1, 2, 3, 4, 5)
    assert bodies(broker) == [b"1", b"2"]
    assert not gateway.wait_settled(0)
    while gateway.unsettled():
        broker.answer_all()
    assert bodies(broker) == [b"1", b"2", b"3", b"4", b"5"]


@pytest.mark.parametrize(
    "trouble",
    [TIMEOUT, mqtt5.PubackReasonCode.QUOTA_EXCEEDED, mqtt5.PubackReasonCode.UNSPECIFIED_ERROR],
    ids=["no puback", "throttled", "broker failed"],
)
def test_r4_what_is_not_acknowledged_is_sent_again_first(trouble: "mqtt5.PubackReasonCode | Exception") -> None:
    later = Later()
    broker = FakeBroker(answer=lambda topic, body: trouble)
    clock = Clock()
    gateway = a_gateway(broker, later=later, clock=clock)
    futures = send(gateway, 1, 2)
    first_try = clock.at
    assert bodies(broker) == [b"1"], "the second waits for the back-off"
    broker.answer = FakeBroker.answer
    later.come()
    assert bodies(broker) == [b"1", b"1", b"2"]
    assert [future.result(0).refused for future in futures] == [None, None]
    assert futures[0].result(0).sent_at < first_try < futures[1].result(0).sent_at


def test_r19_the_wait_doubles_up_to_a_minute_with_jitter_and_starts_anew() -> None:
    later = Later()
    broker = FakeBroker(answer=lambda topic, body: TIMEOUT)
    gateway = a_gateway(broker, later=later)
    send(gateway, 1)
    for _ in range(9):
        later.come()
    assert len(later.waits) == 10
    assert all(wait <= min(60, 2**place) for place, wait in enumerate(later.waits))
    assert len(set(later.waits)) == 10
    assert max(later.waits) > 10
    broker.answer = FakeBroker.answer
    later.come()
    broker.answer = lambda topic, body: TIMEOUT
    send(gateway, 2)
    assert later.waits[-1] <= 1


def test_r19_a_fleet_that_failed_together_does_not_come_back_together() -> None:
    """Six times nobody answers any of two hundred; of their seventh tries no second sees more than a tenth."""
    tries: Counter[int] = Counter()
    for number in range(200):
        later = Later()
        one = Identity(f"BP-{number:03}", Path("cert.pem"), Path("key.pem"))
        gateway = a_gateway(FakeBroker(answer=lambda topic, body: TIMEOUT), later=later, identity=one)
        gateway.send(f"dt/pma/{one.thing}/readings", b"1")
        for _ in range(6):
            later.come()
        tries[int(sum(later.waits))] += 1
    assert sum(tries.values()) == 200
    assert max(tries.values()) <= 20


def test_two_failures_at_once_make_one_wait() -> None:
    later = Later()
    broker = FakeBroker(silent=True, answer=lambda topic, body: TIMEOUT)
    gateway = a_gateway(broker, later=later)
    send(gateway, 1, 2)
    broker.answer_all()
    assert len(later.waits) == 1
    broker.published.clear()
    later.come()
    assert bodies(broker) == [b"1", b"2"]


def test_what_the_broker_refuses_for_good_is_settled_with_the_reason() -> None:
    broker = FakeBroker(answer=no_others_topics)
    gateway = a_gateway(broker)
    own, other = gateway.send(OWN, b"1"), gateway.send("dt/pma/BP-2/readings", b"2")
    assert own.result(0).refused is None
    assert other.result(0).refused == "not authorized"
    assert gateway.unsettled() == 0


def test_an_outbox_with_a_file_outlives_the_process(tmp_path: Path) -> None:
    file = tmp_path / "outbox.db"
    silent = FakeBroker(silent=True)
    first = a_gateway(silent, outbox=Outbox(file), in_flight=1)
    futures = send(first, 1, 2, 3)
    silent.answer_all()
    first.stop()
    assert [future.done() for future in futures] == [True, True, True]
    assert [future.cancelled() for future in futures] == [False, True, True]

    broker = FakeBroker()
    second = a_gateway(broker, outbox=Outbox(file))
    assert second.unsettled() == 2
    send(second, 4)
    assert bodies(broker) == [b"2", b"3", b"4"]
    second.stop()
    assert Outbox(file).waiting() == []


def test_after_a_stop_nothing_is_sent_and_answers_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    later = Later()
    broker = FakeBroker(silent=True)
    gateway = a_gateway(broker, later=later)
    gateway.start()
    assert broker.connected == {"BP-1"}
    (future,) = send(gateway, 1)
    gateway.stop()
    assert broker.connected == set()
    broker.answer_all()
    assert future.cancelled()
    assert bodies(broker) == [b"1"]
    assert caplog.records == [], "an error in a callback is only logged"


def test_the_connection_is_waited_for() -> None:
    gateway = a_gateway(FakeBroker())
    gateway.start()
    gateway.wait_connected(0)


def test_a_broker_that_refuses_the_thing_is_one_sentence() -> None:
    gateway = a_gateway(FakeBroker(refuses="not authorized"))
    gateway.start()
    with pytest.raises(
        NotConnected, match=r"BP-1 could not connect to broker.example:8883 within 0 s: not authorized\."
    ):
        gateway.wait_connected(0)


@pytest.mark.parametrize("absent", ["certificate", "private_key", "ca"])
def test_an_absent_file_is_one_sentence(tmp_path: Path, absent: str) -> None:
    files = {name: tmp_path / name for name in ("certificate", "private_key", "ca")}
    for name, file in files.items():
        if name != absent:
            file.write_text("x")
    events = Events(connected=lambda: None, failed=lambda why: None, stopped=lambda: None)
    identity = Identity("BP-1", files["certificate"], files["private_key"])
    with pytest.raises(NoCertificate, match=rf"BP-1 has no .* at .*{absent}: enrol it first"):
        over_mtls(Broker("broker.example", 8883, files["ca"]), identity, events)


def test_a_file_that_is_no_certificate_is_one_sentence(tmp_path: Path) -> None:
    for name in ("cert", "key", "ca"):
        (tmp_path / name).write_text("nonsense")
    events = Events(connected=lambda: None, failed=lambda why: None, stopped=lambda: None)
    with pytest.raises(NoCertificate, match=r"BP-1 cannot connect with .*not a PEM file, or they are not a pair\."):
        over_mtls(
            Broker("broker.example", 8883, tmp_path / "ca"),
            Identity("BP-1", tmp_path / "cert", tmp_path / "key"),
            events,
        )


@pytest.mark.parametrize(
    ("topics", "topic"),
    [
        (Topics(), "dt/pma/BP-1/readings"),
        (Topics("pma-dev"), "dt/pma-dev/BP-1/readings"),
        (Topics("pma", "pma_readings"), "$aws/rules/pma_readings/dt/pma/BP-1/readings"),
    ],
    ids=["plain", "another stage", "basic ingest"],
)
def test_topics_are_the_contracts(topics: Topics, topic: str) -> None:
    assert topics.data("BP-1") == topic


def test_an_outbox_keeps_bytes_as_they_are(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    first, second = outbox.put(OWN, b"\x00\xff"), outbox.put(OWN, b"")
    assert outbox.get(first) == (OWN, b"\x00\xff")
    outbox.settle(first)
    assert outbox.waiting() == [second]
    assert outbox.put(OWN, b"x") > second
    outbox.close()
    with pytest.raises(sqlite3.ProgrammingError):
        outbox.waiting()
