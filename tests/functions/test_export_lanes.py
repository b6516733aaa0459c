"""A lane under every crash, two senders and a doorbell that lies (R24, C32, R71, C35): a machine tries them at random.

Time moves by hand. A crash is an exception out of a port, before or after its effect; the queue gives a message back
when its reader crashed, and may double, delay or lose it. Between any two calls of one process another may run.
`watch` rings what was lost.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.delivery import Answer, Lane, Parcel, Reference, webhook_id
from domain.observation import Observation
from functions.export.service import Change, Collect, Send
from tests.builders import NOW, ORGANISATION, SUBJECT, a_device, a_subject, an_endpoint
from tests.fakes import FakeAlerts, FakeEnrolment, FakeLog, FakeObservations, FakeSecrets
from tests.proof import examples

WINDOW = timedelta(seconds=10)
TIMEOUT = timedelta(seconds=60)
MOMENTS = st.none() | st.integers(0, 20)
LANES = [Lane(ORGANISATION, "mis-1", "observations-0"), Lane(ORGANISATION, "mis-1", "alerts-0")]


class Crash(Exception):
    """The process is gone."""


def crash() -> None:
    raise Crash


@dataclass
class Fuse:
    """Does `then` at the n-th moment that passes it, once."""

    left: int | None = None
    then: Callable[[], None] = crash

    def light(self, moment: int | None, then: Callable[[], None]) -> None:
        self.left, self.then = moment, then

    def burn(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            self.then()


class Fragile:
    """A port whose process may die before or after each call takes effect."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        called: Callable[..., Any] = getattr(self._inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._fuse.burn()
            answer = called(*args, **kwargs)
            self._fuse.burn()
            return answer

        return call


@dataclass
class Queue:
    """SQS: every message comes at least once after its delay, some twice, and a few never."""

    machine: "Lanes"
    messages: list[tuple[Any, Lane]] = field(default_factory=list)

    def ring(self, lane: Lane, after: timedelta = timedelta()) -> None:
        self.messages.append((self.machine.now + after, lane))


class Mis:
    """What the receiver has: in the order in which it answered 2xx."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, int]] = []
        self.status: int | None = 204

    def post(self, url: str, secrets: Any, parcel: Parcel, document: Any, *, at: Any) -> Answer:
        if self.status is not None and self.status < 300:
            self.taken.append((parcel.id, parcel.headers["pma-shard"], int(parcel.headers["pma-sequence"])))
        return Answer(self.status, 3)


class Lanes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.fuse = Fuse()
        self.log = FakeLog()
        self.queue = Queue(self)
        self.mis = Mis()
        self.registry = FakeEnrolment(
            [an_endpoint(window_seconds=int(WINDOW.total_seconds()))], [a_subject()], [a_device()]
        )
        self.rows: dict[tuple[str, str], Observation] = {}
        self.expected: dict[Lane, set[Reference]] = {lane: set() for lane in LANES}
        self.runs = 0
        log, bell = Fragile(self.log, self.fuse), Fragile(self.queue, self.fuse)
        self.collect = Collect(log, bell, self.registry, self.registry, clock=lambda: self.now)
        self.send = Send(
            log,
            bell,
            self.registry,
            self.registry,
            FakeObservations(self.rows),
            FakeAlerts(),
            FakeSecrets(),
            Fragile(self.mis, self.fuse),
            clock=lambda: self.now,
            jitter=lambda: 0.0,
        )

    # what happens

    @rule(lane=st.sampled_from(LANES), number=st.integers(0, 10**6), at=MOMENTS, meanwhile=st.booleans())
    def a_change_is_collected(self, lane: Lane, number: int, at: int | None = None, meanwhile: bool = False) -> None:
        def another_answers() -> None:
            self.now += WINDOW
            self.answer_next(lane)

        self.fuse.light(at, another_answers if meanwhile else crash)
        try:
            self.collect_one(lane, number)
        except Crash:
            self.collect_one(lane, number)  # the stream brings its batch again
        self.fuse.left = None

    @rule(lane=st.sampled_from(LANES), at=MOMENTS, meanwhile=st.booleans(), twice=st.booleans())
    def a_doorbell_is_answered(
        self, lane: Lane, at: int | None = None, meanwhile: bool = False, twice: bool = False
    ) -> None:
        def others_are_at_it() -> None:
            self.collect_one(lane, self.runs)
            self.answer_next(lane)

        self.fuse.light(at, others_are_at_it if meanwhile else crash)
        self.answer_next(lane, twice=twice)
        self.fuse.left = None

    @rule(lane=st.sampled_from(LANES))
    def a_doorbell_is_lost(self, lane: Lane) -> None:
        for message in self.queue.messages:
            if message[1] == lane:
                self.queue.messages.remove(message)
                return

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(status=st.sampled_from([204, 204, 500, 503, 302, None]))
    def the_receiver_changes(self, status: int | None) -> None:
        self.mis.status = status

    def collect_one(self, lane: Lane, number: int) -> None:
        alert = lane.name.startswith("alerts")
        pk, sk = f"{ORGANISATION}#{SUBJECT}", f"{'alert' if alert else 'weight'}#{number}"
        reference = Reference("alert" if alert else "observation", pk, sk)
        self.collect([Change("1", "alerts" if alert else "observations", ORGANISATION, SUBJECT, "weight", reference)])
        self.expected[lane].add(reference)

    def answer_next(self, lane: Lane, *, twice: bool = False) -> None:
        for message in self.queue.messages:
            if message[0] <= self.now and message[1] == lane:
                if not twice:
                    self.queue.messages.remove(message)
                self.answer(lane)
                return

    def answer(self, lane: Lane) -> None:
        self.runs += 1
        try:
            self.send(lane, owner=f"sender-{self.runs}", deadline=self.now + TIMEOUT)
        except Crash:
            self.queue.messages.append((self.now + 6 * TIMEOUT, lane))  # visible again

    # what holds

    @invariant()
    def what_was_taken_is_in_order_and_without_a_gap(self) -> None:
        for lane in LANES:
            highest = 0
            for message_id, name, number in self.mis.taken:
                if name == lane.name:
                    assert message_id == webhook_id(lane, number)
                    assert number <= highest + 1, "a number was skipped"
                    assert number >= highest, "an older number came after a newer one"
                    highest = max(highest, number)
            assert self.log.progress(lane).cursor in (highest, highest - 1)

    def teardown(self) -> None:
        """In the end the receiver is well, `watch` rings what is left, and nothing was lost."""
        self.mis.status = 204
        for lane in LANES:
            for _ in range(3):
                self.now += timedelta(minutes=16)
                self.answer(lane)
            progress = self.log.progress(lane)
            assert progress.cursor == progress.next
            kept = {reference for row in self.log.content.get(lane, {}).values() for reference in row.references}
            assert kept == self.expected[lane]
            assert {number for _, name, number in self.mis.taken if name == lane.name} == set(
                range(1, progress.next + 1)
            )


Lanes.TestCase.settings = settings(
    max_examples=examples(120), stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


TestR24C32R71C35Lanes = Lanes.TestCase


class Honest(Lanes):
    """The same, but the queue loses nothing: then every row is sent for, with no `watch` to help (C32)."""

    def a_doorbell_is_lost(self, lane: Lane) -> None:
        """Not here."""

    @invariant()
    def somebody_is_coming_for_every_row(self) -> None:
        for lane in LANES:
            progress = self.log.progress(lane)
            assert progress.cursor == progress.next or lane in [coming for _, coming in self.queue.messages]


Honest.TestCase.settings = Lanes.TestCase.settings


TestR24C32HonestQueue = Honest.TestCase


@pytest.mark.parametrize("moment", range(24))
def test_c32_a_sender_that_dies_at_any_step_loses_nothing(moment: int) -> None:
    machine = Lanes()
    for number in range(3):
        machine.collect_one(LANES[0], number)
    machine.now += WINDOW
    machine.fuse.light(moment, crash)
    machine.answer(LANES[0])
    machine.what_was_taken_is_in_order_and_without_a_gap()
    machine.now += 6 * TIMEOUT
    for _ in range(2):
        machine.answer_next(LANES[0])
    machine.what_was_taken_is_in_order_and_without_a_gap()
    assert {number for _, _, number in machine.mis.taken} == {1, 2, 3}


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: str(lane.name))
@pytest.mark.parametrize("moment", range(12))
def test_r24_a_row_and_its_doorbell_at_any_step_of_a_sender(moment: int, lane: Lane) -> None:
    machine = Honest()
    machine.a_change_is_collected(lane, 1)
    machine.now += WINDOW
    machine.a_doorbell_is_answered(lane, at=moment, meanwhile=True)
    machine.somebody_is_coming_for_every_row()
    machine.what_was_taken_is_in_order_and_without_a_gap()


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: str(lane.name))
@pytest.mark.parametrize("moment", range(8))
@pytest.mark.parametrize("rows", range(2))
def test_r24_a_sender_at_any_step_of_collect(rows: int, moment: int, lane: Lane) -> None:
    machine = Honest()
    for number in range(rows):
        machine.a_change_is_collected(lane, number)
    machine.now += WINDOW / 2
    machine.a_change_is_collected(lane, 7, at=moment, meanwhile=True)
    machine.somebody_is_coming_for_every_row()


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: str(lane.name))
@pytest.mark.parametrize("moment", range(8))
def test_c32_a_collect_that_dies_at_any_step_is_sent_for(moment: int, lane: Lane) -> None:
    machine = Honest()
    machine.a_change_is_collected(lane, 1, at=moment)
    machine.somebody_is_coming_for_every_row()
