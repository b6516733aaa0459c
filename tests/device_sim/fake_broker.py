"""A broker in memory, for what `device_sim.gateway` needs of one."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from awscrt import mqtt5

from device_sim.gateway import Broker, Events, Identity

Answer = Callable[[str, bytes], "mqtt5.PubackReasonCode | Exception"]


def taken_over(topic: str, body: bytes) -> mqtt5.PubackReasonCode:
    return mqtt5.PubackReasonCode.SUCCESS


def no_others_topics(topic: str, body: bytes) -> mqtt5.PubackReasonCode:
    """As the devices' policy does, for a thing that is called BP-1."""
    return mqtt5.PubackReasonCode.SUCCESS if "/BP-1/" in topic else mqtt5.PubackReasonCode.NOT_AUTHORIZED


class Clock:
    """A clock that moves by `step` at each look, and otherwise only when it is told to."""

    def __init__(self, step: timedelta = timedelta(milliseconds=1)) -> None:
        self.at = datetime(2026, 11, 22, 9, tzinfo=UTC)
        self.step = step
        self.pauses: list[float] = []

    def __call__(self) -> datetime:
        self.at += self.step
        return self.at

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.at += timedelta(seconds=seconds)


@dataclass
class FakeBroker:
    """Stands for the broker and the MQTT clients that connect to it.

    It answers each publish at once with `answer(topic, body)`: a PUBACK's reason code, or an error. With
    `silent` set it answers nothing until `answer_all`.
    """

    answer: Answer = taken_over
    silent: bool = False
    refuses: str | None = None
    published: list[tuple[str, str, bytes]] = field(default_factory=list)
    reached: list[Broker] = field(default_factory=list)
    connected: set[str] = field(default_factory=set)
    open: list[tuple["Future[Any]", str, bytes]] = field(default_factory=list)

    def connect(self, broker: Broker, identity: Identity, events: Events) -> "FakeConnection":
        self.reached.append(broker)
        return FakeConnection(self, identity.thing, events)

    def answer_all(self) -> None:
        """Answer what is open; publishes that this brings about stay open while `silent`."""
        answered, self.open = self.open, []
        for future, topic, body in answered:
            self._answer(future, topic, body)

    def take(self, thing: str, topic: str, body: bytes) -> "Future[Any]":
        self.published.append((thing, topic, body))
        future: Future[Any] = Future()
        if self.silent:
            self.open.append((future, topic, body))
        else:
            self._answer(future, topic, body)
        return future

    def _answer(self, future: "Future[Any]", topic: str, body: bytes) -> None:
        said = self.answer(topic, body)
        if isinstance(said, Exception):
            future.set_exception(said)
        else:
            future.set_result(mqtt5.PublishCompletionData(puback=mqtt5.PubackPacket(reason_code=said)))


@dataclass
class FakeConnection:
    """One thing's client, as `device_sim.gateway.Connection`."""

    broker: FakeBroker
    thing: str
    events: Events

    def start(self) -> None:
        if self.broker.refuses is None:
            self.broker.connected.add(self.thing)
            self.events.connected()
        else:
            self.events.failed(self.broker.refuses)

    def stop(self) -> None:
        self.broker.connected.discard(self.thing)
        self.events.stopped()

    def publish(self, publish_packet: mqtt5.PublishPacket) -> "Future[Any]":
        return self.broker.take(self.thing, publish_packet.topic, publish_packet.payload)
