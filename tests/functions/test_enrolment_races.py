"""R85, R86, P5: two systems enrol the same subject at once.

No edit is lost, a device has one open holder a slot, and who is monitored has all that is needed or is reported.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from adapters.catalogue import profiles
from domain.care_plan import PlanVersion
from domain.enrolment import ConsentTold, DataKey, Subject
from domain.erasure import Tombstone
from domain.errors import AssignmentOverlap, InvalidRequest, LostRace, NotFound, StaleVersion
from domain.request import AssignmentBody, ContactsBody, DeviceBody, EndBody, SubjectBody
from functions.registry import service
from tests.fakes import FakeEnrolled
from tests.proof import examples

ORGANISATION, SUBJECT = "clinic-a", "S-1"
START = datetime(2026, 11, 1, tzinfo=UTC)
NOW = START + timedelta(days=20)
SERIALS = ("BP-1", "BP-2")


@dataclass
class Crowded(FakeEnrolled):
    """A registry in which `meddlers` act, one each time, between what a use case has read and what it writes."""

    meddlers: list[Callable[[], None]] = field(default_factory=list)

    def put_subject(self, subject: Subject, told: ConsentTold | None = None) -> None:
        if self.meddlers:
            self.meddlers.pop()()
        super().put_subject(subject, told)


@dataclass
class Plans:
    """adapters.care_plans.CarePlans in memory, in which `meddlers` act as above."""

    kept: list[PlanVersion] = field(default_factory=list)
    meddlers: list[Callable[[], None]] = field(default_factory=list)

    def newest(self, organisation: str, subject: str) -> PlanVersion | None:
        return self.kept[-1] if self.kept else None

    def put(self, organisation: str, subject: str, version: PlanVersion) -> None:
        if self.meddlers:
            self.meddlers.pop()()
        if version.version != len(self.kept) + 1:
            raise LostRace("another version is there")
        self.kept.append(version)


@dataclass
class Vault:
    """adapters.contacts.ContactVault: whether it holds any."""

    sealed: bool = False

    def seal(self, organisation: str, subject: str, contacts: Mapping[str, Any]) -> None:
        self.sealed = True

    def holds(self, organisation: str, subject: str) -> bool:
        return self.sealed


class Keys:
    def new_data_key(self, organisation: str) -> DataKey:
        return DataKey("k-1", "wrapped")


class Nobody:
    """adapters.erasures.Erasures: nobody was erased."""

    def get(self, organisation: str, subject: str) -> Tombstone | None:
        return None

    def begin(self, subject: Subject, at: datetime) -> None:
        raise NotImplementedError


actors = st.sampled_from(["first", "second"])
days = st.integers(0, 30)


class TwoHospitals(RuleBasedStateMachine):
    """`accepted` are the careful edits that were accepted: the version that each had read, and the one that it made."""

    @initialize()
    def begin(self) -> None:
        self.registry, self.plans, self.vault = Crowded(), Plans(), Vault()
        self.read = dict.fromkeys(("first", "second"), 0)
        self.read_plan = dict.fromkeys(("first", "second"), 0)
        self.edits: list[tuple[int, int]] = []
        self.plan_edits: list[tuple[int, int]] = []
        self.unique = 100

    def unlike_any(self, number: int, careful: bool) -> int:
        """What a careful edit says, nobody else says: said by another meanwhile, it would be no edit at all."""
        self.unique += 1
        return self.unique if careful else number

    def put(self, actor: str, number: int, *, careful: bool, consent: str | None = "given") -> None:
        body = SubjectBody.model_validate(
            {
                "programmes": (),
                "time_zone": "UTC",
                "language": "en",
                "consent": None
                if consent is None
                else {
                    "given_at": START.isoformat(),
                    "withdrawn_at": NOW.isoformat() if consent == "withdrawn" else None,
                },
                "emergency_text": f"call {number}",
            }
        )
        before = self.registry.subject(ORGANISATION, SUBJECT)
        try:
            after = service.put_subject(
                ORGANISATION,
                SUBJECT,
                body,
                if_match=self.read[actor] if careful else None,
                registry=self.registry,
                keys=Keys(),
                erasures=Nobody(),
                programmes=(),
                now=NOW,
            )
        except StaleVersion:
            return
        if careful and (before is None or after.version > before.version):
            self.edits.append((self.read[actor], after.version))
        self.read[actor] = after.version

    @rule(actor=actors, number=st.integers(0, 3), careful=st.booleans())
    def edit(self, actor: str, number: int, careful: bool) -> None:
        self.put(actor, self.unlike_any(number, careful), careful=careful)

    @rule(actor=actors, consent=st.sampled_from([None, "given", "withdrawn"]))
    def decide_consent(self, actor: str, consent: str | None) -> None:
        self.put(actor, 0, careful=False, consent=consent)

    @rule(actor=actors)
    def look(self, actor: str) -> None:
        subject, plan = self.registry.subject(ORGANISATION, SUBJECT), self.plans.newest(ORGANISATION, SUBJECT)
        self.read[actor] = subject.version if subject else 0
        self.read_plan[actor] = plan.version if plan else 0

    @rule(number=st.integers(0, 3))
    def somebody_will_meddle(self, number: int) -> None:
        self.registry.meddlers.append(lambda: self.put("second", number, careful=False))

    def prescribe(self, actor: str, number: int, *, careful: bool) -> None:
        document = f'{{"author": "doc-{number}", "effective_from": "{START.isoformat()}", "rules": []}}'
        try:
            before, after = service.put_care_plan(
                ORGANISATION,
                SUBJECT,
                document,
                if_match=self.read_plan[actor] if careful else None,
                registry=self.registry,
                plans=self.plans,
                now=NOW,
            )
        except (StaleVersion, NotFound):
            return
        if careful and before != after:
            self.plan_edits.append((self.read_plan[actor], after.version))
        self.read_plan[actor] = after.version

    @rule(actor=actors, number=st.integers(0, 3), careful=st.booleans(), meddled=st.booleans())
    def plan(self, actor: str, number: int, careful: bool, meddled: bool) -> None:
        if meddled:
            self.plans.meddlers.append(lambda: self.prescribe("second", number + 4, careful=False))
        self.prescribe(actor, self.unlike_any(number, careful), careful=careful)

    @rule()
    def tell_contacts(self) -> None:
        body = ContactsBody.model_validate_json('{"patient": [{"channel": "topic"}], "doctor": [{"channel": "topic"}]}')
        try:
            service.put_contacts(ORGANISATION, SUBJECT, body, registry=self.registry, vault=self.vault)
        except NotFound:
            assert self.registry.subject(ORGANISATION, SUBJECT) is None

    @rule(serial=st.sampled_from(SERIALS), day=days)
    def give(self, serial: str, day: int) -> None:
        body = DeviceBody.model_validate({"profile": "tonometer", "class": "medical"})
        service.put_device(ORGANISATION, serial, body, if_match=None, registry=self.registry, profiles=profiles())
        at = (START + timedelta(days=day)).isoformat()
        asked = AssignmentBody.model_validate_json(f'{{"subject": "{SUBJECT}", "from": "{at}"}}')
        try:
            service.assign(ORGANISATION, serial, asked, registry=self.registry, profiles=profiles())
        except (AssignmentOverlap, InvalidRequest):
            return

    @rule(serial=st.sampled_from(SERIALS), day=days)
    def take_back(self, serial: str, day: int) -> None:
        device = self.registry.device(ORGANISATION, serial)
        if device is None or not device.assignments:
            return
        ended = EndBody.model_validate_json(f'{{"to": "{(START + timedelta(days=day)).isoformat()}"}}')
        try:
            service.end_assignment(ORGANISATION, serial, device.assignments[-1].id, ended, registry=self.registry)
        except (AssignmentOverlap, InvalidRequest):
            return

    @invariant()
    def no_careful_edit_covers_one_that_it_had_not_seen(self) -> None:
        assert all(made == read + 1 for read, made in [*self.edits, *self.plan_edits])
        assert len({made for _, made in self.edits}) == len(self.edits)

    @invariant()
    def a_device_has_at_most_one_open_assignment(self) -> None:
        for serial in SERIALS:
            device = self.registry.device(ORGANISATION, serial)
            assert device is None or sum(one.to_at is None for one in device.assignments) <= 1

    @invariant()
    def who_is_monitored_is_complete_or_reported(self) -> None:
        subject = self.registry.subject(ORGANISATION, SUBJECT)
        if subject is None:
            return
        lacks = service.lacks(subject, registry=self.registry, plans=self.plans, vault=self.vault, now=NOW)
        devices = [self.registry.device(ORGANISATION, serial) for serial in SERIALS]
        held = [one for device in devices if device for one in device.assignments if one.subject == SUBJECT]
        there = {
            "consent": subject.consent is not None and subject.consent.withdrawn_at is None,
            "contacts": self.vault.sealed,
            "device": any(one.to_at is None or one.to_at > NOW for one in held),
            "care-plan": bool(self.plans.kept),
        }
        assert set(lacks) == {name for name, present in there.items() if not present}


TwoHospitals.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)
TestTwoHospitals = TwoHospitals.TestCase
