"""Whatever is handed over, measured, delivered late, revoked, withdrawn, recalled or noted too late, in whatever order:
a reading is never of the wrong person (P7), and each one is in exactly one place."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from adapters.catalogue import profiles
from domain.enrolment import Assignment, Consent, Device, Holder
from domain.observation import Observation
from domain.quarantine import SetAside
from domain.recall import Recall
from functions.ingest.service import RECALLS_KNOWN_FOR, Ingest
from functions.replay.service import DeviceChanged, Replay
from tests.builders import NOW, ORGANISATION, SERIAL, a_device, a_message, a_pressure, a_reading, a_subject, an_arrival
from tests.fakes import FakeArchive, FakeBacklog, FakeJobs, FakeObservations, FakeQuarantine, FakeRegistry, FakeStatus
from tests.proof import examples

SUBJECTS = ("S-0001", "S-0002", "S-0003")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Taken:
    """A measurement as it truly was: when, and what the device's clock showed."""

    at: datetime
    shown: datetime
    systolic: int
    delivered: bool = False


class CurrentHolder(FakeRegistry):
    """The planted fault: a device is of whoever holds it now, as if they had held it always."""

    def devices(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Device]:
        return {key: one._replace(assignments=_only_now(one)) for key, one in super().devices(keys).items()}


class ForgetsRevocation(FakeRegistry):
    """The planted fault: what was revoked goes on counting."""

    def devices(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Device]:
        return {key: one._replace(revoked_at=None) for key, one in super().devices(keys).items()}


class ForgetsConsent(FakeRegistry):
    """The planted fault: whoever once consented does for ever."""

    def holders(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Holder]:
        return {key: one._replace(consent=Consent(LONG_AGO)) for key, one in super().holders(keys).items()}


def _only_now(device: Device) -> tuple[Assignment, ...]:
    return tuple(one._replace(from_at=LONG_AGO) for one in device.assignments if one.to_at is None)


class Attribution(RuleBasedStateMachine):
    """One cuff that goes from hand to hand. The clock of the test is `now`; the cuff's may be off by `wrong`."""

    registry_kind: type[FakeRegistry] = FakeRegistry
    has_replay = True

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.registry = self.registry_kind(
            enrolled=[a_subject(id=one, consent=Consent(LONG_AGO)) for one in SUBJECTS],
            owned=[a_device(assignments=())],
        )
        self.observations, self.quarantine = FakeObservations(), FakeQuarantine()
        self.ingest = Ingest(
            registry=self.registry,
            observations=self.observations,
            quarantine=self.quarantine,
            archive=FakeArchive(),
            backlog=FakeBacklog(),
            status=FakeStatus(),
            profiles=profiles(),
            kept_for=timedelta(days=400),
        )
        self.jobs, self.backlog = FakeJobs(), FakeBacklog()
        self.replay = Replay(self.registry, self.observations, self.quarantine, self.backlog, self.jobs)
        self.taken: list[Taken] = []
        self.wrong = timedelta()

    @property
    def device(self) -> Device:
        return self.registry.owned[0]

    @device.setter
    def device(self, device: Device) -> None:
        self.registry.owned[0] = device

    @property
    def held(self) -> Assignment | None:
        return next((one for one in self.device.assignments if one.to_at is None), None)

    @initialize(minutes=st.sampled_from([0, 0, 0, 90, -90, 23 * 60]))
    def a_clock(self, minutes: int) -> None:
        self.wrong = timedelta(minutes=minutes)

    @rule(minutes=st.integers(1, 600))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(subject=st.sampled_from(SUBJECTS))
    def hand_over(self, subject: str) -> None:
        self.now += timedelta(minutes=1)
        self.give_back()
        identifier = f"a-{len(self.device.assignments)}"
        self.device = self.device.assign(Assignment(identifier, subject, self.now))
        self.now += timedelta(minutes=1)

    @rule()
    def give_back(self) -> None:
        if self.held is not None:
            self.device = self.device.end_assignment(self.held.id, self.now)
            self.now += timedelta(minutes=1)

    @rule()
    def measure(self) -> None:
        self.now += timedelta(minutes=1)
        self.taken.append(Taken(self.now, self.now + self.wrong, 100 + len(self.taken)))
        self.now += timedelta(minutes=1)

    @rule(subject=st.sampled_from(SUBJECTS))
    def hand_over_and_measure(self, subject: str) -> None:
        self.hand_over(subject)
        self.measure()

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), batch=st.integers(1, 3))
    def deliver(self, data: st.DataObject, batch: int) -> None:
        self._send([data.draw(st.sampled_from(self.taken)) for _ in range(batch)])

    @rule(subject=st.sampled_from(SUBJECTS))
    def withdraw_while_a_reading_is_on_its_way(self, subject: str) -> None:
        self.hand_over_and_measure(subject)
        self.change_consent(subject, given_again=False)
        self._send(self.taken[-1:])

    def _send(self, sent: list[Taken]) -> None:
        before = set(self.observations.rows)
        outcome = self.ingest(
            [self._arrival(one, number) for number, one in enumerate(sent)], now=self.now, first_inbox=True
        )
        assert outcome.failed == {}
        assert sum(outcome.counts[name] for name in ("stored", "quarantined", "repeated")) == len(sent)
        for one in sent:
            one.delivered = True
        subjects = {one.id: one for one in self.registry.enrolled}
        for key, row in self.observations.rows.items():
            if key not in before:
                consent = subjects[row.subject].consent
                assert consent is not None
                assert consent.covers(row.measured_at)
                assert ("recalled" in row.tags) == bool(self.registry.recalled)
                assert all(recall.mode == "flag" for recall in self.registry.recalled)

    def _arrival(self, one: Taken, number: int) -> Any:
        said = a_reading(measured_at=one.shown.isoformat(), values=a_pressure(one.systolic, 60))
        clock = {"sent_at": (self.now + self.wrong).isoformat()} if self.wrong else {}
        return an_arrival(a_message(said, **clock), id=f"m-{number}", received_at=self.now)

    @precondition(lambda self: self.device.revoked_at is None)
    @rule()
    def revoke(self) -> None:
        self.give_back()
        self.now += timedelta(minutes=1)  # later than what was delivered
        self.device = self.device._replace(revoked_at=self.now)

    @rule(subject=st.sampled_from(SUBJECTS), given_again=st.booleans())
    def change_consent(self, subject: str, given_again: bool) -> None:
        consent = Consent(self.now) if given_again else Consent(LONG_AGO, withdrawn_at=self.now)
        self.registry.enrolled = [
            replace(one, consent=consent) if one.id == subject else one for one in self.registry.enrolled
        ]

    @rule(mode=st.sampled_from(["block", "flag"]))
    def recall(self, mode: Any) -> None:
        self.registry.recalled = [Recall("r-1", ORGANISATION, mode, "reads low", self.now, serials=(SERIAL, SERIAL))]
        self.now += 2 * RECALLS_KNOWN_FOR  # what is stored meanwhile, replay marks

    @rule()
    def withdraw_the_recall(self) -> None:
        self.registry.recalled = []
        self.now += 2 * RECALLS_KNOWN_FOR

    @precondition(lambda self: self.device.assignments)
    @rule(data=st.data(), subject=st.none() | st.sampled_from(SUBJECTS))
    def correct_when_one_ended(self, data: st.DataObject, subject: str | None) -> None:
        one = data.draw(st.sampled_from(self.device.assignments))
        seconds = ((self._next(one) or self.now) - one.from_at) // timedelta(seconds=1)
        self._correct(one, one.from_at + data.draw(st.integers(1, seconds)) * timedelta(seconds=1), subject)

    @rule(first=st.sampled_from(SUBJECTS), second=st.none() | st.sampled_from(SUBJECTS))
    def note_late_who_measured(self, first: str, second: str | None) -> None:
        self.hand_over_and_measure(first)
        self._send(self.taken[-1:])
        self._correct(self.device.assignments[-1], self.taken[-1].at, second)

    def _next(self, one: Assignment) -> datetime | None:
        return min((other.from_at for other in self.device.assignments if other.from_at > one.from_at), default=None)

    def _correct(self, one: Assignment, ended_at: datetime, subject: str | None) -> None:
        """It was noted late, or wrongly, when `one` ended, and who held it from then on, or that nobody did."""
        before, next_at = self.device, self._next(one)
        device = before.end_assignment(one.id, ended_at)
        if subject is not None and ended_at != next_at and device.revoked_at is None:
            device = device.assign(Assignment(f"a-{len(device.assignments)}", subject, ended_at, next_at))
        self.device = device
        self.now += timedelta(minutes=1)
        if self.has_replay:
            self.replay.begin([DeviceChanged(before, device)])

    @precondition(lambda self: self.jobs.waiting)
    @rule(data=st.data())
    def a_job_is_done(self, data: st.DataObject) -> None:
        waiting = self.jobs.waiting
        at = data.draw(st.integers(0, len(waiting) - 1))
        self.replay.do(waiting[at], now=self.now)
        if data.draw(st.booleans()):
            waiting.pop(at)

    @precondition(lambda self: self.unsettled)
    @rule()
    def all_jobs_are_done(self) -> None:
        while self.unsettled:
            while self.jobs.waiting:
                self.replay.do(self.jobs.waiting.pop(), now=self.now)
            for one in self.backlog.replayed:
                assert one.payload is not None
                self._try(one)
            self.backlog.replayed.clear()
            self.jobs.waiting, self.jobs.later = self.jobs.later, []

    @property
    def unsettled(self) -> bool:
        return bool(self.jobs.waiting or self.jobs.later or self.backlog.replayed)

    @precondition(lambda self: self.quarantine.rows)
    @rule(data=st.data())
    def try_again(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.quarantine.rows.values(), key=lambda one: one.id)))
        if one.payload is not None:
            self._try(one)

    def _try(self, one: SetAside) -> None:
        again = an_arrival(one.payload, id="again", received_at=one.received_at, replay=(one.organisation, one.id))
        assert self.ingest([again], now=self.now, first_inbox=False).failed == {}

    @property
    def evidence(self) -> list[Observation]:
        """What counts as somebody's."""
        rows = self.observations.get(self.observations.rows).values()
        return [row for row in rows if row.status != "entered-in-error"]

    def truly(self, at: datetime) -> str | None:
        """Who held it then, as the registry stands."""
        return next((one.subject for one in self.device.assignments if one.covers(at)), None)

    @precondition(lambda self: not self.unsettled)
    @invariant()
    def nobody_gets_another_persons_reading(self) -> None:
        truth = {one.systolic: one for one in self.taken}
        for row in self.evidence:
            one = truth[int(row.values["systolic"])]
            assert row.subject == self.truly(one.at)
            assert abs(row.measured_at - one.at) <= timedelta(minutes=2)
            assert self.device.revoked_at is None or row.received_at < self.device.revoked_at

    @precondition(lambda self: not self.unsettled)
    @invariant()
    def each_is_in_exactly_one_place(self) -> None:
        stored = [int(row.values["systolic"]) for row in self.evidence]
        assert len(stored) == len(set(stored))

    @invariant()
    def none_is_lost(self) -> None:
        rows = self.observations.rows.values() if self.unsettled else self.evidence
        stored = {int(row.values["systolic"]) for row in rows}
        assert len(stored) + len(self.quarantine.rows) >= sum(one.delivered for one in self.taken)

    def teardown(self) -> None:
        self.all_jobs_are_done()
        self.nobody_gets_another_persons_reading()
        self.each_is_in_exactly_one_place()
        self.none_is_lost()


def test_p7_p5_p8_c26_r6_r7_r14_r77_r91_nobody_gets_another_persons_reading() -> None:
    run_state_machine_as_test(
        Attribution, settings=settings(max_examples=examples(200), stateful_step_count=25, deadline=None)
    )


@pytest.mark.parametrize(
    "fault",
    [
        {"registry_kind": CurrentHolder},
        {"registry_kind": ForgetsRevocation},
        {"registry_kind": ForgetsConsent},
        {"has_replay": False},
    ],
    ids=["CurrentHolder", "ForgetsRevocation", "ForgetsConsent", "R77 no job moves what was stored"],
)
def test_p7_p5_r14_r77_the_property_finds_each_planted_fault(fault: dict[str, Any]) -> None:
    planted = type("Planted", (Attribution,), fault)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            planted,
            settings=settings(
                max_examples=500, stateful_step_count=30, deadline=None, database=None, phases=[Phase.generate]
            ),
        )
