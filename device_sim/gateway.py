"""A thing's connection to the broker: MQTT 5 over mTLS, QoS 1. With `provisioning` all that touches a network."""

import heapq
import random
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from awscrt import mqtt5
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt5_client_builder

from device_sim.errors import NoCertificate, NotConnected
from domain.identity import deterministic_id

SESSION_SECONDS = 24 * 3600
ACK_SECONDS = 20
_LEAST_WAIT, _MOST_WAIT = 1.0, 60.0  # seconds of back-off after the broker failed to acknowledge
_REFUSED = 0x80  # MQTT 5: reason codes from here on are failures
_TRY_AGAIN = {
    mqtt5.PubackReasonCode.UNSPECIFIED_ERROR,
    mqtt5.PubackReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
    mqtt5.PubackReasonCode.QUOTA_EXCEEDED,
}


@dataclass(frozen=True, slots=True)
class Broker:
    """Where things connect; `ca` is the PEM file that its certificate is checked against."""

    host: str
    port: int
    ca: Path


@dataclass(frozen=True, slots=True)
class Identity:
    """A thing and the PEM files that prove it. The thing's name is also its client id."""

    thing: str
    certificate: Path
    private_key: Path


@dataclass(frozen=True, slots=True)
class Topics:
    """What topics are called; with `rule` publishes go to that rule by Basic Ingest, which costs no message."""

    prefix: str = "pma"
    rule: str | None = None

    def data(self, thing: str, format_: str = "readings") -> str:
        topic = f"dt/{self.prefix}/{thing}/{format_}"
        return f"$aws/rules/{self.rule}/{topic}" if self.rule else topic


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the broker answered: `acked_at` is when its PUBACK came, `refused` why it took nothing over (if so)."""

    sent_at: datetime
    acked_at: datetime
    refused: str | None = None


class Outbox:
    """Messages that no PUBACK has settled yet, in order. Without a path it is in memory; with one it outlives us."""

    def __init__(self, path: Path | None = None) -> None:
        self._rows = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._rows.execute(
            "CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT, body BLOB)"
        )

    def put(self, topic: str, body: bytes) -> int:
        """Keep a message; the number it is known by from now on."""
        return int(self._rows.execute("INSERT INTO outbox (topic, body) VALUES (?, ?)", (topic, body)).lastrowid or 0)

    def get(self, number: int) -> tuple[str, bytes]:
        topic, body = self._rows.execute("SELECT topic, body FROM outbox WHERE number = ?", (number,)).fetchone()
        return topic, body

    def settle(self, number: int) -> None:
        self._rows.execute("DELETE FROM outbox WHERE number = ?", (number,))

    def waiting(self) -> list[int]:
        return [number for (number,) in self._rows.execute("SELECT number FROM outbox ORDER BY number")]

    def close(self) -> None:
        self._rows.close()


class Connection(Protocol):
    """What the gateway needs of an MQTT client (`awscrt.mqtt5.Client`; a fake in tests)."""

    def start(self) -> Any: ...
    def stop(self) -> Any: ...
    def publish(self, publish_packet: mqtt5.PublishPacket) -> "Future[Any]": ...


@dataclass(frozen=True, slots=True)
class Events:
    """What a connection tells its gateway, each from a thread of its own choosing."""

    connected: Callable[[], None]
    failed: Callable[[str], None]
    stopped: Callable[[], None]


Connect = Callable[[Broker, Identity, Events], Connection]


def over_mtls(broker: Broker, identity: Identity, events: Events) -> Connection:
    """An awscrt client that connects again by itself with back-off and jitter, and resumes its session.

    Raises NoCertificate.
    """
    for path, what in (
        (identity.certificate, "certificate"),
        (identity.private_key, "private key"),
        (broker.ca, "certificate of the broker's authority"),
    ):
        if not path.is_file():
            raise NoCertificate(f"{identity.thing} has no {what} at {path}: enrol it first, or say where the file is.")
    options = mqtt5.ClientOptions(
        host_name=broker.host,
        port=broker.port,
        session_behavior=mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS,
        offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_NON_QOS1_PUBLISH_ON_DISCONNECT,
        retry_jitter_mode=mqtt5.ExponentialBackoffJitterMode.FULL,
        min_reconnect_delay_ms=500,
        max_reconnect_delay_ms=60_000,
        ack_timeout_sec=ACK_SECONDS,
        on_lifecycle_event_connection_success_fn=lambda _: events.connected(),
        on_lifecycle_event_connection_failure_fn=lambda data: events.failed(_why(data)),
        on_lifecycle_event_disconnection_fn=lambda data: events.failed(_why(data)),
        on_lifecycle_event_stopped_fn=lambda _: events.stopped(),
    )
    try:
        client: Connection = mqtt5_client_builder.mtls_from_path(
            str(identity.certificate),
            str(identity.private_key),
            endpoint=broker.host,
            ca_filepath=str(broker.ca),
            client_options=options,
            client_id=identity.thing,
            session_expiry_interval_sec=SESSION_SECONDS,
            keep_alive_interval_sec=60,
            enable_metrics_collection=False,
        )
    except (AwsCrtError, RuntimeError) as error:  # awscrt raises either, by where it finds the fault
        raise NoCertificate(
            f"{identity.thing} cannot connect with {identity.certificate} and {identity.private_key}: "
            "one of them is not a PEM file, or they are not a pair."
        ) from error
    return client


def _why(data: Any) -> str:
    packet = getattr(data, "connack_packet", None) or getattr(data, "disconnect_packet", None)
    if packet is not None and packet.reason_code is not None:
        return str(packet.reason_code.name).lower().replace("_", " ")
    return str(getattr(data.exception, "message", data.exception)).rstrip(".")


class Gateway:
    """Publishes a thing's messages until each is settled by a PUBACK, at most `in_flight` at a time and in order.

    A message stays in the outbox until then: neither a lost connection nor a PUBACK that never comes loses it. What the
    broker refuses for good (another's topic) is settled too, with the reason in its receipt. Safe to use from several
    threads; what a message becomes is told by the future that `send` returns.
    """

    def __init__(
        self,
        broker: Broker,
        identity: Identity,
        *,
        clock: Callable[[], datetime],
        outbox: Outbox | None = None,
        in_flight: int = 8,
        connect: Connect = over_mtls,
        later: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        """`later(seconds, action)` runs an action after a while. Raises NoCertificate."""
        self.thing = identity.thing
        self._where = f"{broker.host}:{broker.port}"
        self._clock = clock
        self._outbox = outbox or Outbox()
        self._most = in_flight
        self._later = later or _timer
        self._changed = threading.Condition(threading.RLock())
        self._waiting = self._outbox.waiting()  # a heap: the oldest first, also after it had to come back
        self._flying: set[int] = set()
        self._sent_at: dict[int, datetime] = {}
        self._futures: dict[int, Future[Receipt]] = {}
        self._connected = False
        self._closing = False
        self._stopped = False
        self._backing_off = False
        self._failures = 0
        self._trouble = "no answer"
        self._jitter = random.Random(deterministic_id("jitter", identity.thing))  # noqa: S311 - spreads, hides nothing
        self._connection = connect(broker, identity, Events(self._on_connected, self._on_failed, self._on_stopped))

    def start(self) -> None:
        """Begin to connect, and go on trying until `stop`."""
        self._connection.start()

    def wait_connected(self, seconds: float) -> None:
        """Raises NotConnected, with what the broker last said, when the connection does not stand within `seconds`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._connected, seconds):
                raise NotConnected(
                    f"{self.thing} could not connect to {self._where} within {seconds:.0f} s: {self._trouble}."
                )

    def is_connected(self) -> bool:
        with self._changed:
            return self._connected

    def send(self, topic: str, body: bytes) -> "Future[Receipt]":
        """Keep a message and publish it as soon as its turn comes."""
        future: Future[Receipt] = Future()
        with self._changed:
            number = self._outbox.put(topic, body)
            self._futures[number] = future
            heapq.heappush(self._waiting, number)
        self._pump()
        return future

    def unsettled(self) -> int:
        """How many messages still wait for their PUBACK."""
        with self._changed:
            return len(self._waiting) + len(self._flying)

    def wait_settled(self, seconds: float) -> bool:
        """True as soon as nothing is unsettled, False when `seconds` pass first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._flying, seconds)

    def stop(self, seconds: float = 5) -> None:
        """Disconnect cleanly; what is not settled stays in the outbox. Waits at most `seconds`."""
        with self._changed:
            self._closing = True
        self._connection.stop()
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)
            for future in self._futures.values():
                future.cancel()
            self._outbox.close()

    def _pump(self) -> None:
        """Hand over what may fly now. Under the lock, so that two threads cannot swap two messages."""
        with self._changed:
            while self._waiting and len(self._flying) < self._most and not (self._closing or self._backing_off):
                number = heapq.heappop(self._waiting)
                topic, body = self._outbox.get(number)
                self._flying.add(number)
                self._sent_at.setdefault(number, self._clock())
                packet = mqtt5.PublishPacket(topic=topic, payload=body, qos=mqtt5.QoS.AT_LEAST_ONCE)
                self._connection.publish(packet).add_done_callback(partial(self._settled, number))

    def _settled(self, number: int, done: "Future[Any]") -> None:
        acked_at = self._clock()
        error = done.exception()
        code = None if error else done.result().puback.reason_code
        with self._changed:
            if self._closing:
                return
            self._flying.discard(number)
            if error is not None or code in _TRY_AGAIN:
                heapq.heappush(self._waiting, number)
                self._back_off()
            else:
                self._failures = 0
                self._outbox.settle(number)
                refused = code.name.lower().replace("_", " ") if code is not None and code >= _REFUSED else None
                future = self._futures.pop(number, None)
                sent_at = self._sent_at.pop(number)
                if future is not None:
                    future.set_result(Receipt(sent_at, acked_at, refused))
            self._changed.notify_all()
        self._pump()

    def _back_off(self) -> None:
        """Publish nothing for a while: twice as long each time, and never all things at once."""
        if self._backing_off:
            return
        longest = min(_MOST_WAIT, _LEAST_WAIT * 2**self._failures)
        self._failures += 1
        self._backing_off = True
        self._later(self._jitter.uniform(0, longest), self._resume)

    def _resume(self) -> None:
        with self._changed:
            self._backing_off = False
        self._pump()

    def _on_connected(self) -> None:
        with self._changed:
            self._connected = True
            self._changed.notify_all()

    def _on_failed(self, why: str) -> None:
        with self._changed:
            self._connected = False
            self._trouble = why
            self._changed.notify_all()

    def _on_stopped(self) -> None:
        with self._changed:
            self._connected, self._stopped = False, True
            self._changed.notify_all()


def _timer(seconds: float, action: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
