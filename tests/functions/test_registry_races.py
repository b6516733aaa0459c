"""R85, R86: two systems edit one device at once, and each write may find that the other was quicker."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from adapters.catalogue import profiles
from domain.enrolment import Assignment, Device
from domain.errors import AssignmentOverlap, InvalidRequest, LostRace, NotFound, SerialTaken, StaleVersion
from domain.request import AssignmentBody, DeviceBody, EndBody
from functions.registry import service
from tests.builders import a_subject
from tests.fakes import FakeEnrolled
from tests.proof import examples

START = datetime(2026, 11, 1, tzinfo=UTC)
A, B = "clinic-a", "clinic-b"
SERIAL = "BP-1"


@dataclass
class Crowded(FakeEnrolled):
    """A registry in which `meddlers` act, one each time, between what a use case has read and what it writes."""

    meddlers: list[Callable[[], None]] = field(default_factory=list)

    def put_device(self, device: Device) -> None:
        self._meddle()
        super().put_device(device)

    def put_assignment(self, device: Device, assignment: Assignment) -> None:
        self._meddle()
        super().put_assignment(device, assignment)

    def _meddle(self) -> None:
        if self.meddlers:
            self.meddlers.pop()()


def body(lot: int) -> DeviceBody:
    return DeviceBody.model_validate({"profile": "tonometer-shared", "class": "medical", "lot": f"L{lot}"})


actors = st.sampled_from(["first", "second"])
lots = st.integers(0, 4)
days = st.integers(0, 9)


class TwoSystems(RuleBasedStateMachine):
    """`told` is what each write that was accepted said; nothing else may ever be read."""

    @initialize()
    def enrol(self) -> None:
        self.registry = Crowded()
        for subject in ("S-1", "S-2"):
            self.registry.put_subject(a_subject(id=subject, organisation=A))
        self.read_version = {"first": 0, "second": 0}
        self.told: list[str] = []

    def edit(self, actor: str, lot: int, *, careful: bool) -> None:
        try:
            after = service.put_device(
                A,
                SERIAL,
                body(lot),
                if_match=self.read_version[actor] if careful else None,
                registry=self.registry,
                profiles=profiles(),
            )
        except StaleVersion:
            return
        except LostRace:
            raise AssertionError("five tries suffice against so few") from None
        self.told.append(str(after.lot))
        self.read_version[actor] = after.version

    @rule(actor=actors)
    def read(self, actor: str) -> None:
        device = self.registry.device(A, SERIAL)
        self.read_version[actor] = device.version if device else 0

    @rule(actor=actors, lot=lots, careful=st.booleans())
    def write(self, actor: str, lot: int, careful: bool) -> None:
        before = self.registry.device(A, SERIAL)
        stale = careful and self.read_version[actor] != (before.version if before else 0)
        meddled = bool(self.registry.meddlers)
        self.edit(actor, lot, careful=careful)
        after = self.registry.device(A, SERIAL)
        if stale and not meddled and before is not None and before.lot != f"L{lot}":
            assert after == before, "an edit of an old version changes nothing"
        if not careful:
            assert after is not None
            assert after.lot == f"L{lot}"

    @rule(lot=lots)
    def somebody_will_meddle_with_the_lot(self, lot: int) -> None:
        self.registry.meddlers.append(lambda: self.edit("second", lot, careful=False))

    @rule(day=days, subject=st.sampled_from(["S-1", "S-2"]), slot=st.sampled_from([None, 1, 2]))
    def somebody_will_meddle_with_the_holder(self, day: int, subject: str, slot: int | None) -> None:
        self.registry.meddlers.append(lambda: self.assign(day, subject, slot))

    @rule(day=days, subject=st.sampled_from(["S-1", "S-2"]), slot=st.sampled_from([None, 1, 2]))
    def assign(self, day: int, subject: str, slot: int | None) -> None:
        at = (START + timedelta(days=day)).isoformat()
        asked = AssignmentBody.model_validate_json(
            f'{{"subject": "{subject}", "from": "{at}", "slot": {"null" if slot is None else slot}}}'
        )
        try:
            made = service.assign(A, SERIAL, asked, registry=self.registry, profiles=profiles())
            again = service.assign(A, SERIAL, asked, registry=self.registry, profiles=profiles())
        except (AssignmentOverlap, NotFound):
            return
        assert made.id == again.id

    @rule(number=st.integers(0, 9), day=days)
    def end(self, number: int, day: int) -> None:
        device = self.registry.device(A, SERIAL)
        if device is None or not device.assignments:
            return
        chosen = device.assignments[number % len(device.assignments)]
        ended = EndBody.model_validate_json(f'{{"to": "{(START + timedelta(days=day)).isoformat()}"}}')
        try:
            service.end_assignment(A, SERIAL, chosen.id, ended, registry=self.registry)
        except (AssignmentOverlap, InvalidRequest):
            return

    @rule(lot=lots)
    def another_organisation_tries(self, lot: int) -> None:
        if self.registry.device(A, SERIAL) is None:
            return
        try:
            service.put_device(B, SERIAL, body(lot), if_match=None, registry=self.registry, profiles=profiles())
        except SerialTaken:
            return
        raise AssertionError("the serial was taken")

    @invariant()
    def nothing_but_what_was_told_is_there(self) -> None:
        device = self.registry.device(A, SERIAL)
        assert (device is None) == (not self.told)
        assert device is None or device.lot in self.told

    @invariant()
    def nobody_shares_a_slot(self) -> None:
        device = self.registry.device(A, SERIAL)
        among = device.assignments if device else ()
        for index, one in enumerate(among):
            assert not any(one.clashes_with(other) for other in among[index + 1 :])

    @invariant()
    def what_the_subjects_hold_is_what_the_device_says(self) -> None:
        device = self.registry.device(A, SERIAL)
        seen = {
            (subject, holding.from_at, holding.to_at, holding.slot)
            for subject in ("S-1", "S-2")
            for holding in self.registry.holdings(A, subject)
        }
        assert seen == {
            (one.subject, one.from_at, one.to_at, one.slot) for one in (device.assignments if device else ())
        }


TwoSystems.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)
TestTwoSystems = TwoSystems.TestCase
