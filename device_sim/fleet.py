"""Many things at once: publishes messages at a rate and tells what became of each."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType

from device_sim.gateway import Broker, Connect, Gateway, Identity, Receipt, Topics, over_mtls
from device_sim.payload import Message, Quantity


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fleet is, in messages."""

    total: int
    sent: int
    acknowledged: int
    refused: int


@dataclass(frozen=True, slots=True)
class Sent:
    """One publish: the message, its topic and exact bytes, and the broker's answer (None: none came in time).

    `repeat` is True for the second and further copies of a message.
    """

    message: Message
    topic: str
    body: bytes
    repeat: bool
    receipt: Receipt | None


@dataclass(frozen=True, slots=True)
class Published:
    """A reading that the broker took over, to be looked for at the other end. A broken message counts as one.

    `device` is its serial and `values` in the device's own units; both, `kind` and `measured_at` are None or empty
    where the message was broken. `index` is the reading's place in its message.
    """

    thing: str
    subject: str | None
    device: str | None
    kind: str | None
    measured_at: datetime | None
    values: Mapping[str, Quantity]
    index: int
    sent_at: datetime
    acked_at: datetime
    repeat: bool
    source: str


def published(sent: Iterable[Sent]) -> Iterator[Published]:
    """Every reading that was acknowledged; what the broker refused or never answered was not published."""
    for one in sent:
        receipt, message = one.receipt, one.message
        if receipt is None or receipt.refused is not None:
            continue
        if message.body is not None:
            yield Published(
                message.thing, None, None, None, None, {}, 0, receipt.sent_at, receipt.acked_at, one.repeat, ""
            )
            continue
        for index, reading in enumerate(message.readings):
            yield Published(
                message.thing,
                reading.subject,
                reading.device,
                reading.kind,
                reading.measured_at,
                reading.values,
                index,
                receipt.sent_at,
                receipt.acked_at,
                one.repeat,
                reading.source,
            )


class Fleet:
    """Things that are connected while the context lasts.

    Entering connects them all and raises NotConnected or NoCertificate; leaving disconnects them cleanly.
    """

    def __init__(
        self,
        broker: Broker,
        identities: Iterable[Identity],
        *,
        clock: Callable[[], datetime],
        topics: Topics | None = None,
        connect: Connect = over_mtls,
        pause: Callable[[float], None] = time.sleep,
        patience: float = 30,
        seed: int = 0,
    ) -> None:
        """`patience` is how many seconds connecting may take, and how long we wait for the next PUBACK at the end."""
        self._clock = clock
        self._topics = topics or Topics()
        self._pause = pause
        self._patience = patience
        self._chance = random.Random(seed)  # noqa: S311 - spreads, hides nothing
        self._gateways = {
            identity.thing: Gateway(broker, identity, clock=clock, connect=connect) for identity in identities
        }

    def __enter__(self) -> "Fleet":
        for gateway in self._gateways.values():
            gateway.start()
        deadline = self._clock() + timedelta(seconds=self._patience)
        try:
            for gateway in self._gateways.values():
                gateway.wait_connected(max(0.0, (deadline - self._clock()).total_seconds()))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        for gateway in self._gateways.values():
            gateway.stop()

    def publish(
        self,
        messages: Sequence[Message],
        *,
        rate: float,
        jitter: float = 0.0,
        progress: Callable[[Progress], None] | None = None,
    ) -> list[Sent]:
        """Send `messages` in order, at most `rate` a second over the whole fleet, and wait for their PUBACKs.

        Each gap is longer by a random share of up to `jitter`. `progress` is called on this thread, after each message
        and while waiting. A message's thing must be of the fleet (KeyError).
        """
        copies = [(message, copy) for message in messages for copy in range(message.copies)]
        under_way: list[tuple[Message, int, str, bytes, Future[Receipt]]] = []
        tell = _Teller(len(copies), progress)
        due = self._clock()
        body = b""
        for message, copy in copies:
            self._pause(max(0.0, (due - self._clock()).total_seconds()))
            due = max(due, self._clock() - timedelta(seconds=1)) + timedelta(
                seconds=(1 + jitter * self._chance.random()) / rate
            )
            body = message.encode(self._clock()) if copy == 0 else body
            topic = self._topics.data(message.under or message.thing, message.format)
            future = self._gateways[message.thing].send(topic, body)
            under_way.append((message, copy, topic, body, future))
            tell(under_way[-1][-1])
        self._await([future for *_, future in under_way], tell)
        return [
            Sent(message, topic, body, copy > 0, future.result() if future.done() else None)
            for message, copy, topic, body, future in under_way
        ]

    def _await(self, futures: Iterable["Future[Receipt]"], tell: "_Teller") -> None:
        """Until all are done, or none became so for as long as our patience lasts."""
        pending = set(futures)
        deadline = self._clock() + timedelta(seconds=self._patience)
        while pending and self._clock() < deadline:
            done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            if done:
                deadline = self._clock() + timedelta(seconds=self._patience)
            tell()


class _Teller:
    """Counts what is settled, so that progress is told without asking every future each time."""

    def __init__(self, total: int, progress: Callable[[Progress], None] | None) -> None:
        self._total, self._progress = total, progress
        self._sent = self._acknowledged = self._refused = 0
        self._open: list[Future[Receipt]] = []

    def __call__(self, *more: "Future[Receipt]") -> None:
        self._sent += len(more)
        self._open.extend(more)
        settled = [future for future in self._open if future.done()]
        self._open = [future for future in self._open if not future.done()]
        self._acknowledged += sum(future.result().refused is None for future in settled)
        self._refused += sum(future.result().refused is not None for future in settled)
        if self._progress is not None:
            self._progress(Progress(self._total, self._sent, self._acknowledged, self._refused))
