"""What changes in the registry marks the past and tries again what was set aside, in whatever order it is done."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from adapters.aws import client as aws_client
from adapters.catalogue import profiles
from adapters.dynamodb import encode_item
from adapters.environment import variable
from adapters.inbox import arrived
from adapters.log import HandlerFailed
from adapters.observations import Observations, row_key
from adapters.quarantine import Quarantine
from adapters.registry import Registry, from_device, from_recalls
from domain.enrolment import Assignment, Device
from domain.identity import Identity
from domain.quarantine import NOBODY, SetAside
from domain.recall import Recall
from domain.replay import (
    ANSWERED_BY_ENROLMENT,
    DeviceJob,
    FleetJob,
    HolderJob,
    HolderSpanJob,
    Job,
    RetryJob,
    SpanJob,
    read_job,
    write_job,
)
from functions.ingest.service import RECALLS_KNOWN_FOR, Ingest
from functions.replay import handler
from functions.replay.service import AGAIN_AFTER, Change, DeviceChanged, RecallsChanged, Replay, jobs_of
from tests.builders import (
    NOW,
    ORGANISATION,
    SERIAL,
    SUBJECT,
    a_device,
    a_message,
    a_pressure,
    a_reading,
    a_subject,
    an_arrival,
    an_assignment,
)
from tests.fakes import FakeArchive, FakeBacklog, FakeJobs, FakeObservations, FakeQuarantine, FakeRegistry, FakeStatus
from tests.in_process import REGION, Context, environment, make_tables
from tests.proof import examples


def a_recall(**changes: Any) -> Recall:
    facts: dict[str, Any] = {"id": "r-1", "organisation": ORGANISATION, "mode": "flag", "reason": "reads low"}
    return Recall(**facts | {"created_at": NOW, "lot": "L7"} | changes)


@dataclass
class World:
    """A cuff of lot L7 that two subjects held one after the other, with ingest and replay over the same fakes."""

    now: datetime = NOW
    registry: FakeRegistry = field(
        default_factory=lambda: FakeRegistry(
            enrolled=[a_subject(), a_subject(id="S-2")],
            owned=[
                a_device(
                    lot="L7",
                    assignments=(
                        an_assignment(to_at=NOW - timedelta(days=2)),
                        an_assignment(id="a-2", subject="S-2", from_at=NOW - timedelta(days=2)),
                    ),
                )
            ],
        )
    )
    observations: FakeObservations = field(default_factory=FakeObservations)
    quarantine: FakeQuarantine = field(default_factory=FakeQuarantine)
    backlog: FakeBacklog = field(default_factory=FakeBacklog)
    jobs: FakeJobs = field(default_factory=FakeJobs)

    def __post_init__(self) -> None:
        self.replay = Replay(self.registry, self.observations, self.quarantine, self.backlog, self.jobs)
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

    def receive(self, *ago: timedelta, thing: str = SERIAL, **changes: Any) -> None:
        """Readings that were taken so long ago come in; each has a systolic value of its own."""
        said = [
            a_reading(measured_at=(NOW - one).isoformat(), values=a_pressure(90 + int(one / timedelta(hours=1)) % 100))
            for one in ago
        ]
        arrival = an_arrival(a_message(*said, **changes), thing=thing, client=thing, received_at=NOW)
        assert self.ingest([arrival], now=self.now, first_inbox=False).failed == {}

    def put_recalls(self, *recalls: Recall) -> None:
        change = RecallsChanged(tuple(self.registry.recalled), recalls)
        self.registry.recalled = list(recalls)
        self.replay.begin([change])

    def put_device(self, device: Device) -> None:
        before = next((one for one in self.registry.owned if one.serial == device.serial), None)
        self.registry.owned = [one for one in self.registry.owned if one.serial != device.serial] + [device]
        self.replay.begin([DeviceChanged(before, device)])

    def settle(self, choose: Any = lambda waiting: 0) -> None:
        """Every job is done, now and later, and what is tried again is judged again."""
        for _ in range(2):
            while self.jobs.waiting:
                self.replay.do(self.jobs.waiting.pop(choose(self.jobs.waiting)), now=self.now)
            self.judge_again()
            self.jobs.waiting, self.jobs.later = self.jobs.later, []
            self.now += AGAIN_AFTER

    def judge_again(self) -> None:
        self.now += 2 * RECALLS_KNOWN_FOR
        for one in self.backlog.replayed:
            again = an_arrival(
                one.payload, topic=one.topic, received_at=one.received_at, replay=(one.organisation, one.id)
            )
            assert self.ingest([again], now=self.now, first_inbox=False).failed == {}
        self.backlog.replayed.clear()

    def tagged(self) -> list[bool]:
        """Of each observation, in the order of measuring, whether it is recalled."""
        shown = self.observations.get(self.observations.rows).values()
        return ["recalled" in one.tags for one in sorted(shown, key=lambda one: one.device_time)]

    def standing(self) -> dict[tuple[str, timedelta], str]:
        """The status of each observation, by whose it is and how long ago it was measured."""
        shown = self.observations.get(self.observations.rows).values()
        return {(one.subject, NOW - one.measured_at): one.status for one in shown}

    def reasons(self) -> list[str]:
        return sorted(one.reason for one in self.quarantine.rows.values())


@pytest.fixture
def world() -> World:
    return World()


HOURS = timedelta(hours=1)
LOST = HolderJob(ORGANISATION, SERIAL, SUBJECT, NOW, None)
RETRY = RetryJob(ORGANISATION, SERIAL, ANSWERED_BY_ENROLMENT)
PAST = (3 * HOURS, timedelta(days=5), timedelta(days=21))


# recalls


@pytest.mark.parametrize("mode", ["block", "flag"])
@pytest.mark.parametrize(
    "which",
    [{"lot": "L7"}, {"lot": None, "profile": "tonometer"}, {"lot": None, "serials": (SERIAL, SERIAL)}],
    ids=["lot", "model", "serials"],
)
def test_p8_f4_a_recall_marks_the_past_of_all_who_held_it_and_is_undone(world: World, mode: Any, which: Any) -> None:
    world.receive(*PAST)
    world.put_recalls(a_recall(mode=mode, **which))
    world.settle()
    assert world.tagged() == [True] * 3
    assert {one.subject for one in world.observations.rows.values()} == {SUBJECT, "S-2"}
    versions = {key: one.version for key, one in world.observations.get(world.observations.rows).items()}
    world.put_recalls()
    world.settle()
    assert world.tagged() == [False] * 3
    after = world.observations.get(world.observations.rows)
    assert all(after[key].version == version + 1 for key, version in versions.items()), "each is exported again, once"


def test_p8_what_a_recall_does_not_cover_is_left_alone(world: World) -> None:
    world.put_device(a_device(serial="BP-2", lot="L8", assignments=(an_assignment(),)))
    world.receive(*PAST, thing="BP-2")
    world.put_recalls(a_recall())
    world.settle()
    assert (world.tagged(), world.observations.marks) == ([False] * 3, {})


def test_p8_later_readings_of_what_is_blocked_are_set_aside_and_come_back(world: World) -> None:
    world.put_recalls(a_recall(mode="block"))
    world.receive(3 * HOURS, 4 * HOURS)
    assert (world.reasons(), world.tagged()) == (["recalled-device"] * 2, [])
    world.put_recalls()
    world.settle()
    assert (world.reasons(), world.tagged()) == ([], [False] * 2)
    assert {one.received_at for one in world.observations.rows.values()} == {NOW}


def test_p8_what_is_flagged_as_it_comes_in_is_undone_too(world: World) -> None:
    world.put_recalls(a_recall())
    world.receive(3 * HOURS)
    assert world.tagged() == [True]
    world.put_recalls()
    world.settle()
    assert world.tagged() == [False]


def test_p8_of_two_recalls_the_other_stays(world: World) -> None:
    world.receive(*PAST)
    lot, model = a_recall(), a_recall(id="r-2", lot=None, profile="tonometer", mode="block")
    world.put_recalls(lot, model)
    world.settle()
    world.receive(2 * HOURS)
    world.put_recalls(model)
    world.settle()
    assert (world.tagged(), world.reasons()) == ([True] * 3, ["recalled-device"])


def test_p8_a_lot_that_was_wrong_is_put_right(world: World) -> None:
    """The device was said to be of another lot: put right, it falls under the recall, and back again it does not."""
    (device,) = world.registry.owned
    world.put_device(device._replace(lot="L8"))
    world.receive(*PAST)
    world.put_recalls(a_recall())
    world.settle()
    assert world.tagged() == [False] * 3
    for lot, recalled in (("L7", True), ("L8", False), ("L7", True)):
        world.put_device(device._replace(lot=lot))
        world.settle()
        assert world.tagged() == [recalled] * 3


@pytest.mark.parametrize("mode", ["block", "flag"])
def test_p8_a_recall_that_is_withdrawn_just_before_the_lot_is_put_right_leaves_nothing(world: World, mode: Any) -> None:
    """When its fleet is looked through the device is of another lot, and of no recall any more."""
    (device,) = world.registry.owned
    world.receive(*PAST)
    world.put_recalls(a_recall(mode=mode))
    world.settle()
    world.receive(2 * HOURS)
    world.put_recalls()
    world.put_device(device._replace(lot="L8"))
    world.settle()
    assert (world.tagged(), world.reasons()) == ([False] * 4, [])


def test_p8_what_another_recall_still_blocks_is_not_tried_again(world: World) -> None:
    by_lot, by_model = a_recall(mode="block"), a_recall(id="r-2", lot=None, profile="tonometer", mode="block")
    world.put_recalls(by_lot, by_model)
    world.settle()
    world.receive(2 * HOURS)
    world.put_recalls(by_model)
    while world.jobs.waiting:
        world.replay.do(world.jobs.waiting.pop(), now=world.now)
    assert (world.reasons(), world.backlog.replayed) == (["recalled-device"], [])


def test_f4_what_a_health_post_measured_of_its_roster_is_marked(world: World) -> None:
    post = a_device(serial="POST-1", profile="health-post", roster=(SUBJECT, "S-2"), assignments=())
    world.put_device(post)
    world.put_device(a_device(serial="BP-2", lot="L7", gateway="POST-1", assignments=()))
    said = [a_reading(subject=one, measured_at=(NOW - HOURS).isoformat()) for one in (SUBJECT, "S-2")]
    arrival = an_arrival(a_message(*said, device="BP-2"), thing="POST-1", client="POST-1")
    world.ingest([arrival], now=NOW, first_inbox=False)
    world.put_recalls(a_recall())
    world.settle()
    assert world.tagged() == [True, True]


@pytest.mark.parametrize("mode", ["block", "flag"])
def test_r31_what_ingest_stored_by_the_recalls_of_a_moment_ago_is_marked_too(world: World, mode: Any) -> None:
    """Ingest knows of recalls for five seconds: what it lets through meanwhile comes after the first look."""
    world.receive(3 * HOURS)
    world.put_recalls(a_recall(mode=mode))
    while world.jobs.waiting:
        world.replay.do(world.jobs.waiting.pop(), now=world.now)
    world.receive(2 * HOURS)
    assert world.tagged() == [True, False]
    world.settle()
    assert world.tagged() == [True, True]


def test_r31_what_ingest_set_aside_while_the_device_was_assigned_is_tried_again(world: World) -> None:
    (device,) = world.registry.owned
    assigned = device
    world.put_device(device._replace(assignments=()))
    world.settle()
    world.registry.owned = [assigned]
    world.replay.begin([DeviceChanged(device._replace(assignments=()), assigned)])
    while world.jobs.waiting:
        world.replay.do(world.jobs.waiting.pop(), now=world.now)
    world.registry.owned = [device._replace(assignments=())]  # as ingest still sees it
    world.receive(2 * HOURS)
    world.registry.owned = [assigned]
    assert world.reasons() == ["unknown-holder"]
    world.settle()
    assert (world.reasons(), len(world.observations.rows)) == ([], 1)


# second tries


def test_c26_assigning_keeps_the_time_of_measuring(world: World) -> None:
    (device,) = world.registry.owned
    world.registry.owned = [device._replace(assignments=())]
    world.receive(*PAST)
    assert world.reasons() == ["unknown-holder"] * 3
    world.put_device(device)
    world.settle()
    assert world.reasons() == []
    found = {one.measured_at: one.subject for one in world.observations.rows.values()}
    assert found == {NOW - PAST[0]: "S-2", NOW - PAST[1]: SUBJECT, NOW - PAST[2]: SUBJECT}
    assert {one.received_at for one in world.observations.rows.values()} == {NOW}


def test_c26_only_who_held_it_then_gets_what_was_set_aside(world: World) -> None:
    (device,) = world.registry.owned
    world.registry.owned = [device._replace(assignments=())]
    world.receive(*PAST)
    world.put_device(device._replace(assignments=(device.assignments[1],)))
    world.settle()
    assert world.reasons() == ["unknown-holder"] * 2
    assert [one.subject for one in world.observations.rows.values()] == ["S-2"]


def test_f4_what_came_before_anybody_enrolled_it_is_found_when_somebody_does(world: World) -> None:
    (device,) = world.registry.owned
    world.registry.owned = []
    world.receive(*PAST)
    assert {(one.organisation, one.reason) for one in world.quarantine.rows.values()} == {(NOBODY, "unknown-device")}
    world.ingest.remembered.clear()
    world.put_device(device)
    world.settle()
    assert (world.reasons(), len(world.observations.rows)) == ([], 3)


@pytest.mark.parametrize("first", ["the cuff", "the phone"])
def test_f4_a_cuff_and_its_phone_may_be_enrolled_in_either_order(world: World, first: str) -> None:
    (device,) = world.registry.owned
    cuff, phone = device._replace(gateway="PHONE-1"), a_device(serial="PHONE-1", profile="phone", assignments=())
    world.registry.owned = []
    world.receive(*PAST, thing="PHONE-1", device=SERIAL)
    for one in (cuff, phone) if first == "the cuff" else (phone, cuff):
        world.ingest.remembered.clear()
        world.put_device(one)
        world.settle()
    assert (world.reasons(), len(world.observations.rows)) == ([], 3)


def test_c24_what_its_makers_cloud_had_sent_before_it_was_paired_is_the_same_measurement(world: World) -> None:
    (cuff,) = world.registry.owned
    world.put_device(cuff._replace(gateway="PHONE-1"))
    for serial in ("PHONE-1", "CLOUD-1"):
        world.put_device(a_device(serial=serial, profile="phone", assignments=()))
    for thing in ("CLOUD-1", "PHONE-1"):
        world.receive(*PAST, thing=thing, device=SERIAL)
    assert world.reasons() == ["unknown-device"] * 3
    world.put_device(cuff._replace(gateway="PHONE-1", cloud="CLOUD-1", version=9))
    world.settle()
    assert (world.reasons(), [one.thing for one in world.observations.rows.values()]) == ([], ["PHONE-1"] * 3)
    assert [[*one.paths] for one in world.observations.marks.values()] == [["CLOUD-1"]] * 3


def test_f4_a_roster_that_grows_answers_for_what_its_cuffs_measured(world: World) -> None:
    post = a_device(serial="POST-1", profile="health-post", roster=(), assignments=())
    world.put_device(post)
    world.put_device(a_device(serial="BP-2", gateway="POST-1", assignments=()))
    said = a_reading(subject="S-2", measured_at=(NOW - HOURS).isoformat())
    world.ingest([an_arrival(a_message(said, device="BP-2"), thing="POST-1")], now=NOW, first_inbox=False)
    assert world.reasons() == ["unknown-holder"]
    world.put_device(post._replace(roster=("S-2",)))
    world.settle()
    assert (world.reasons(), [one.subject for one in world.observations.rows.values()]) == ([], ["S-2"])


def test_p5_consent_tries_nothing_again_for_nothing_was_kept(world: World) -> None:
    world.registry.enrolled = [a_subject(consent=None), a_subject(id="S-2", consent=None)]
    world.receive(*PAST)
    assert world.reasons() == ["no-consent"] * 3
    world.put_device(world.registry.owned[0]._replace(lot="L8", gateway=None, assignments=()))
    world.settle()
    assert world.reasons() == ["no-consent"] * 3
    assert world.backlog.replayed == []


# hand-overs that are noted late


HANDED_OVER = NOW - timedelta(days=6)


@pytest.fixture
def one_holder(world: World) -> World:
    """The cuff was S-7F3A's all the time, as far as anybody knew, and so is what it measured."""
    world.registry.owned = [a_device(assignments=(an_assignment(from_at=NOW - timedelta(days=30)),))]
    world.receive(*PAST)
    assert world.standing() == {(SUBJECT, one): "final" for one in PAST}
    return world


def ended(world: World, to_at: datetime | None, identifier: str = "a-1") -> Device:
    (device,) = world.registry.owned
    changed = [one._replace(to_at=to_at) if one.id == identifier else one for one in device.assignments]
    return device._replace(assignments=tuple(changed))


def assigned(device: Device, from_at: datetime = HANDED_OVER, subject: str = "S-2", **changes: Any) -> Device:
    held = an_assignment(**{"id": f"a-{len(device.assignments) + 1}", "subject": subject, "from_at": from_at} | changes)
    return device.assign(held)


MOVED = {
    (SUBJECT, PAST[0]): "entered-in-error",
    (SUBJECT, PAST[1]): "entered-in-error",
    (SUBJECT, PAST[2]): "final",
    ("S-2", PAST[0]): "final",
    ("S-2", PAST[1]): "final",
}


@pytest.mark.parametrize("settled", [True, False], ids=["it was noted long ago", "assigned before a job is done"])
def test_c26_p7_r77_noted_late_it_is_in_error_of_the_first_and_new_of_the_second(
    one_holder: World, settled: bool
) -> None:
    world = one_holder
    world.put_device(ended(world, HANDED_OVER))
    if settled:
        world.settle()
        assert world.standing() == {key: said for key, said in MOVED.items() if key[0] == SUBJECT}
        assert world.reasons() == ["unknown-holder"] * 2
    world.put_device(assigned(world.registry.owned[0]))
    world.settle()
    assert (world.standing(), world.reasons()) == (MOVED, [])
    assert {one.received_at for one in world.observations.rows.values()} == {NOW}


def test_r29_done_again_it_is_said_once(one_holder: World) -> None:
    world = one_holder
    world.put_device(assigned(ended(world, HANDED_OVER)))
    jobs = [*world.jobs.waiting]
    world.settle()
    rows, marks = dict(world.observations.rows), dict(world.observations.marks)
    assert [one.version for one in marks.values()] == [1, 1]
    world.replay.do(HolderSpanJob(HolderJob(ORGANISATION, SERIAL, SUBJECT, HANDED_OVER, None), None, None), now=NOW)
    assert world.reasons() == [], "what is the other's already is not set aside again"
    for _ in range(2):
        world.jobs.put(jobs)
        world.settle(lambda waiting: len(waiting) - 1)
    assert (world.observations.rows, world.observations.marks, world.reasons()) == (rows, marks, [])


@pytest.mark.parametrize("again", ["its end is moved back", "it is given to the first once more"])
def test_r77_put_right_again_it_is_as_if_it_had_never_been(one_holder: World, again: str) -> None:
    world = one_holder
    world.put_device(ended(world, HANDED_OVER))
    world.settle()
    (device,) = world.registry.owned
    world.put_device(ended(world, None) if "end" in again else assigned(device, subject=SUBJECT))
    world.settle()
    assert world.standing() == {(SUBJECT, one): "final" for one in PAST}
    assert world.reasons() == []


def test_r77_what_goes_back_and_forth_is_where_it_was_last(one_holder: World) -> None:
    world = one_holder
    for second_until in (None, HANDED_OVER + HOURS, None, HANDED_OVER + HOURS):
        if len(world.registry.owned[0].assignments) == 1:
            world.put_device(assigned(ended(world, HANDED_OVER)))
        else:
            world.put_device(ended(world, second_until, "a-2"))
        world.settle()
        statuses = {whose: {said for (who, _), said in world.standing().items() if who == whose} for whose in ("S-2",)}
        assert statuses == {"S-2": {"final" if second_until is None else "entered-in-error"}}
        assert world.reasons() == ([] if second_until is None else ["unknown-holder"] * 2)


def test_f14_it_goes_by_the_corrected_time(one_holder: World) -> None:
    """Its clock was two years slow: what it shows is in nobody's time, and what it means in another's."""
    world = one_holder
    shown = a_reading(measured_at=(NOW - timedelta(days=731)).isoformat(), values=a_pressure(150))
    slow = a_message(shown, sent_at=(NOW - timedelta(days=730)).isoformat())
    world.ingest([an_arrival(slow)], now=NOW, first_inbox=False)
    world.put_device(assigned(ended(world, HANDED_OVER)))
    world.settle()
    assert world.standing() == MOVED | {(SUBJECT, 24 * HOURS): "entered-in-error", ("S-2", 24 * HOURS): "final"}


def test_c26_the_other_users_of_a_shared_cuff_keep_theirs(world: World) -> None:
    world.registry.owned = [
        a_device(
            profile="tonometer-shared",
            assignments=(
                an_assignment(slot=1),
                an_assignment(id="a-2", subject="S-2", slot=2),
                an_assignment(id="a-3", slot=3),
            ),
        )
    ]
    said = [a_reading(slot=slot, values=a_pressure(120 + slot)) for slot in (1, 2, 3)]
    world.ingest([an_arrival(a_message(*said))], now=NOW, first_inbox=False)
    world.put_device(ended(world, HANDED_OVER))
    world.settle()
    assert {one.slot: one.status for one in world.observations.get(world.observations.rows).values()} == {
        1: "entered-in-error",
        2: "final",
        3: "final",
    }
    (aside,) = world.quarantine.rows.values()
    assert json.loads(aside.payload or b"")["readings"][0]["slot"] == 1


def test_what_another_device_measured_stays(one_holder: World) -> None:
    world = one_holder
    (cuff,) = world.registry.owned
    world.put_device(a_device(serial="BP-2", assignments=(an_assignment(),)))
    world.receive(2 * HOURS, thing="BP-2")
    world.put_device(cuff._replace(assignments=(cuff.assignments[0]._replace(to_at=HANDED_OVER),)))
    world.settle()
    assert {
        one.device for one in world.observations.get(world.observations.rows).values() if one.status == "final"
    } == {
        SERIAL,
        "BP-2",
    }
    assert world.standing()[SUBJECT, 2 * HOURS] == "final"


def test_f16_whom_a_health_post_names_is_not_taken_from_a_device(one_holder: World) -> None:
    world = one_holder
    post = a_device(serial="POST-1", profile="health-post", roster=(SUBJECT,), assignments=())
    world.put_device(post)
    (cuff,) = (one for one in world.registry.owned if one.serial == SERIAL)
    world.put_device(cuff._replace(gateway="POST-1"))
    said = a_reading(subject=SUBJECT, measured_at=(NOW - HOURS).isoformat(), values=a_pressure(150))
    world.ingest([an_arrival(a_message(said, device=SERIAL), thing="POST-1")], now=NOW, first_inbox=False)
    (cuff,) = (one for one in world.registry.owned if one.serial == SERIAL)
    world.put_device(cuff._replace(assignments=(cuff.assignments[0]._replace(to_at=HANDED_OVER),)))
    world.settle()
    assert world.standing()[SUBJECT, HOURS] == "final"
    assert world.standing()[SUBJECT, PAST[0]] == "entered-in-error"


@pytest.mark.parametrize("when", ["before the jobs", "with the change"])
def test_r90_of_who_was_erased_nothing_is_set_aside(one_holder: World, when: str) -> None:
    world = one_holder
    if when == "before the jobs":
        world.put_device(ended(world, HANDED_OVER))
    world.put_device(world.registry.owned[0]._replace(assignments=()))
    world.settle()
    assert (world.quarantine.rows, world.observations.marks) == ({}, {})


def test_r31_what_ingest_stored_by_the_assignments_of_a_moment_ago_is_moved_too(one_holder: World) -> None:
    world = one_holder
    (as_it_was,) = world.registry.owned
    as_it_is = assigned(ended(world, HANDED_OVER))
    world.put_device(as_it_is)
    while world.jobs.waiting:
        world.replay.do(world.jobs.waiting.pop(0), now=world.now)
    world.registry.owned = [as_it_was]  # as ingest still sees it
    world.receive(2 * HOURS)
    world.registry.owned = [as_it_is]
    world.settle()
    assert world.standing() == MOVED | {(SUBJECT, 2 * HOURS): "entered-in-error", ("S-2", 2 * HOURS): "final"}
    assert world.reasons() == []


def test_r31_it_is_tried_again_at_once_and_when_the_index_shows_it_for_certain(one_holder: World) -> None:
    world = one_holder
    lost = HolderJob(ORGANISATION, SERIAL, SUBJECT, HANDED_OVER, None)
    world.registry.owned = [ended(world, HANDED_OVER)]
    for _ in range(2):  # broken off before the second try was asked for, it is done once more
        world.replay.do(HolderSpanJob(lost, None, None), now=NOW)
        assert (world.jobs.waiting, world.jobs.later) == ([RETRY], [RETRY])
        world.jobs.waiting, world.jobs.later = [], []
    assert {*world.quarantine.kept_from.values()} == {NOW}, "not from its arrival, which may be long ago"
    world.replay.do(HolderSpanJob(lost, NOW, None), now=NOW)
    assert (world.jobs.waiting, world.jobs.later) == ([], [])


def test_r77_a_job_looks_at_the_time_that_was_lost_and_at_no_other(one_holder: World) -> None:
    world = one_holder
    world.registry.owned = [ended(world, HANDED_OVER)]
    lost = HolderJob(ORGANISATION, SERIAL, SUBJECT, HANDED_OVER, NOW - PAST[0])
    world.replay.do(HolderSpanJob(lost, None, None), now=NOW)
    assert world.standing() == {
        (SUBJECT, PAST[0]): "final",
        (SUBJECT, PAST[1]): "entered-in-error",
        (SUBJECT, PAST[2]): "final",
    }


@pytest.mark.parametrize("after", [1, 2])
def test_r29_broken_off_half_way_nothing_is_lost_and_it_goes_on(one_holder: World, after: int) -> None:
    world = one_holder
    broken = Interrupted(world.observations.rows, world.observations.marks)
    broken.left = after
    world.replay.__dict__["observations"] = broken
    world.put_device(assigned(ended(world, HANDED_OVER)))
    with pytest.raises(Power):
        world.settle()
    in_error = {one.device_time for one in broken.get(broken.rows).values() if one.status == "entered-in-error"}
    assert len(in_error) == after - 1
    aside = {json.loads(one.payload or b"")["readings"][0]["measured_at"] for one in world.quarantine.rows.values()}
    assert {one.isoformat() for one in in_error} <= aside
    world.jobs.put(world.jobs.later)  # as the queue gives again what was not done
    world.settle()
    assert (world.standing(), world.reasons()) == (MOVED, [])


def test_other_reasons_are_not_for_an_assignment_to_answer(world: World) -> None:
    world.receive(timedelta(hours=-1), *PAST)
    assert world.reasons() == ["future"]
    jobs = jobs_of(DeviceChanged(None, world.registry.owned[0]))
    for job in jobs:
        world.replay.do(job, now=NOW)
    assert world.backlog.replayed == []


@pytest.mark.parametrize(
    ("before", "after", "jobs"),
    [
        (None, a_device(), [RetryJob(ORGANISATION, SERIAL, ANSWERED_BY_ENROLMENT)]),
        (a_device(), a_device(version=2), []),
        (a_device(), a_device(lot="L7"), [DeviceJob(ORGANISATION, SERIAL)]),
        (a_device(), a_device(roster=("S-2",)), [RetryJob(ORGANISATION, SERIAL, ANSWERED_BY_ENROLMENT)]),
        (a_device(), a_device(gateway="P-1"), [RetryJob(ORGANISATION, SERIAL, ANSWERED_BY_ENROLMENT)]),
        (a_device(), a_device(cloud="C-1"), [RetryJob(ORGANISATION, SERIAL, ANSWERED_BY_ENROLMENT)]),
        (
            a_device(),
            a_device(assignments=(an_assignment(to_at=NOW),)),
            [RetryJob(ORGANISATION, SERIAL, ANSWERED_BY_ENROLMENT), LOST],
        ),
        (
            a_device(),
            a_device(assignments=(an_assignment(), an_assignment(id="a-2", subject="S-2", slot=2))),
            [RetryJob(ORGANISATION, SERIAL, ANSWERED_BY_ENROLMENT)],
        ),
    ],
    ids=[
        "new",
        "only its status",
        "another lot",
        "another roster",
        "another gateway",
        "a cloud as well",
        "R77 an end",
        "one more who holds it",
    ],
)
def test_a_change_asks_for_no_more_than_it_needs(before: Device | None, after: Device, jobs: list[Job]) -> None:
    assert list(jobs_of(DeviceChanged(before, after))) == jobs


# in any order, any number of times, interrupted anywhere


class Power(RuntimeError):
    """It was cut."""


class Interrupted(FakeObservations):
    """Observations whose writer is stopped, once, after so many marks."""

    left: int = 10**6

    def _mark(self, key: tuple[str, str], **said: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise Power
        super()._mark(key, **said)


STEPS = st.lists(
    st.sampled_from(["receive", "flag", "block", "withdraw", "hand over", "of L8", "of L7", "settle"]),
    min_size=1,
    max_size=12,
)


class TestAnyOrder:
    """What is true once all is done depends on the registry alone, not on the way there."""

    @settings(max_examples=examples(120), deadline=None)
    @given(steps=STEPS, seed=st.integers(0, 2**32))
    def test_p8_r29_the_marks_and_the_quarantine_say_what_the_registry_says(self, steps: list[str], seed: int) -> None:
        chance = Random(seed)  # noqa: S311 - of a test
        world = World()
        interrupted = Interrupted()
        interrupted.left = chance.randint(1, 12)
        world.observations = world.replay.__dict__["observations"] = interrupted
        world.ingest = replace(world.ingest, observations=interrupted)
        whole = world.registry.owned[0].assignments
        world.registry.owned = [world.registry.owned[0]._replace(assignments=())]  # none is taken away later: they end
        for number, step in enumerate(steps):
            self.take(world, step, number, whole)
            for _ in range(chance.randint(0, 6)):
                self.work(world, chance)
        self.finish(world, chance)
        self.check(world)

    @staticmethod
    def take(world: World, step: str, number: int, whole: tuple[Assignment, ...]) -> None:
        (device,) = world.registry.owned
        match step:
            case "receive":
                world.receive(timedelta(hours=number + 1), timedelta(days=number + 3))
            case "flag" | "block":
                world.put_recalls(*world.registry.recalled, a_recall(id=f"r-{number}", mode=step))
            case "withdraw":
                world.put_recalls(*world.registry.recalled[1:])
            case "hand over":
                world.put_device(device._replace(assignments=whole))
            case "settle":
                world.judge_again()
            case _:
                world.put_device(device._replace(lot=step.removeprefix("of ")))

    @staticmethod
    def work(world: World, chance: Random) -> None:
        """One job, perhaps for the second time, perhaps stopped half-way: then it stays in its queue."""
        jobs = world.jobs.waiting
        if not jobs:
            return
        at = chance.randrange(len(jobs))
        try:
            world.replay.do(jobs[at], now=world.now)
        except Power:
            return
        if chance.random() < 0.5:
            jobs.pop(at)

    @staticmethod
    def finish(world: World, chance: Random) -> None:
        interrupted = world.observations
        assert isinstance(interrupted, Interrupted)
        interrupted.left = 10**6
        world.settle(lambda waiting: chance.randrange(len(waiting)))

    @staticmethod
    def check(world: World) -> None:
        (device,) = world.registry.owned
        covering = [one for one in world.registry.recalled if one.covers(device)]
        assert world.tagged() == [bool(covering)] * len(world.observations.rows)
        allowed = {"unknown-holder"} if not device.assignments else set()
        if any(one.mode == "block" for one in covering):
            # what is set aside for the one reason may meet the other when it is tried again, and is told by that
            allowed |= {"recalled-device"}
        assert set(world.reasons()) <= allowed


# the handler, its queue and its stream


JOBS: list[Job] = [
    FleetJob(a_recall(), "0"),
    FleetJob(a_recall(lot=None, serials=("BP-1", "BP-9")), "f"),
    DeviceJob(ORGANISATION, SERIAL),
    SpanJob(ORGANISATION, SERIAL, SUBJECT, None, NOW),
    SpanJob(ORGANISATION, SERIAL, SUBJECT, NOW, None),
    RetryJob(ORGANISATION, SERIAL, ANSWERED_BY_ENROLMENT),
    LOST,
    HolderSpanJob(replace(LOST, measured_to=NOW), None, NOW),
]


@pytest.fixture
def cloud() -> Iterator[Any]:
    """The stage over real adapters, with a recall in force and a cuff of its lot."""
    tables = ("registry", "observations", "quarantine")
    with mock_aws():
        sqs = boto3.client("sqs", region_name=REGION)
        queues = {f"{name}_queue": sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("backlog", "jobs")}
        named = {f"{name}_table": name for name in tables} | queues
        with environment({variable(name): value for name, value in named.items()} | {"AWS_DEFAULT_REGION": REGION}):
            handler.wired.cache_clear()
            make_tables(aws_client("dynamodb"), tables)
            Registry(aws_client("dynamodb"), "registry").put_device(a_device(lot="L7"))
            Registry(aws_client("dynamodb"), "registry").put_recalls(ORGANISATION, [a_recall()], version=1)
            yield sqs
    handler.wired.cache_clear()


def waiting(sqs: Any, queue: str) -> list[str]:
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    bodies: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        bodies += [one["Body"] for one in messages]
        for one in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return bodies


def a_record(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    """A record of the registry's stream."""
    images = {
        name: encode_item(image) for name, image in (("OldImage", before), ("NewImage", after)) if image is not None
    }
    keys = encode_item({name: (after or before or {})[name] for name in ("pk", "sk")})
    return {"eventSource": "aws:dynamodb", "dynamodb": {"Keys": keys, **images}}


def handle(*records: dict[str, Any]) -> dict[str, Any]:
    return handler.handle({"Records": list(records)}, Context())  # type: ignore[arg-type]


def a_message_of(job: str) -> dict[str, Any]:
    return {"eventSource": "aws:sqs", "body": job}


def test_a_job_is_read_as_it_was_written(cloud: Any) -> None:
    handler.wired().jobs.put(JOBS)
    assert sorted(map(read_job, waiting(cloud, "jobs")), key=write_job) == sorted(JOBS, key=write_job)


def ended_now() -> Device:
    return a_device(assignments=(an_assignment(to_at=NOW),))


@pytest.mark.parametrize(
    ("record", "jobs"),
    [
        (a_record(None, from_device(a_device())), {"retry": 1}),
        (a_record(from_device(a_device()), from_device(a_device(lot="L7"))), {"device": 1}),
        (a_record(from_device(a_device()), from_device(ended_now())), {"retry": 1, "holder": 1}),
        (a_record(from_device(a_device()), None), {}),
        (a_record(None, from_recalls(ORGANISATION, [a_recall()], version=1)), {"fleet": 16}),
        (a_record(from_recalls(ORGANISATION, [a_recall()], version=1), None), {"fleet": 16}),
        (a_record(None, {"pk": f"{ORGANISATION}#subject#{SUBJECT}", "sk": "subject"}), {}),
    ],
    ids=["enrolled", "another lot", "R77 an end", "a device that is gone", "recalled", "withdrawn", "a subject"],
)
def test_a_record_of_the_registry_becomes_jobs(cloud: Any, record: dict[str, Any], jobs: dict[str, int]) -> None:
    assert handle(record) == {"batchItemFailures": []}
    kinds = [json.loads(body)["kind"] for body in waiting(cloud, "jobs")]
    assert {kind: kinds.count(kind) for kind in kinds} == jobs


def test_p8_from_the_recall_to_the_mark_over_the_tables(cloud: Any) -> None:
    observations = Observations(aws_client("dynamodb"), "observations")
    identity, row = an_accepted()
    observations.put([(row_key(identity), row)])
    handle(a_record(None, from_recalls(ORGANISATION, [a_recall()], version=1)))
    done = 0
    while jobs := waiting(cloud, "jobs"):
        done += len(jobs)
        for job in jobs:
            handle(a_message_of(job))
    assert done == 16 + 1 + 9
    (shown,) = observations.get([observations.key(identity)]).values()
    assert (sorted(shown.tags), shown.version) == (["recalled"], 2)


def test_c26_r77_from_the_end_noted_late_to_the_other_person_over_the_tables(cloud: Any) -> None:
    dynamodb = aws_client("dynamodb")
    observations, quarantine = Observations(dynamodb, "observations"), Quarantine(dynamodb, "quarantine")
    identity, row = an_accepted()
    observations.put([(row_key(identity), row)])
    held = a_device(lot="L7")
    handed_on = held._replace(assignments=(an_assignment(to_at=row.measured_at - HOURS),), version=2)
    Registry(dynamodb, "registry").put_assignment(handed_on, handed_on.assignments[0])
    handle(a_record(from_device(held), from_device(handed_on)))
    while jobs := waiting(cloud, "jobs"):
        for job in jobs:
            handle(a_message_of(job))
    (shown,) = observations.get([observations.key(identity)]).values()
    assert ({*shown.tags}, shown.status, shown.version) == ({"entered-in-error"}, "entered-in-error", 2)
    (aside,) = quarantine.carried_by(ORGANISATION, SERIAL)
    assert (aside.reason, aside.received_at) == ("unknown-holder", NOW)
    (body, *_) = waiting(cloud, "backlog")
    ((again,), unreadable) = arrived({"Records": [{"messageId": "0", "body": body}]})
    assert (again.payload, again.replay, unreadable) == (aside.payload, (ORGANISATION, aside.id), [])


def an_accepted() -> Any:
    world = World()
    world.receive(3 * HOURS)
    ((_, row),) = world.observations.rows.items()
    row = row._replace(subject=SUBJECT)
    return Identity(row.organisation, row.subject, row.kind, row.device_time, row.id), row


def test_c26_what_was_set_aside_goes_to_the_second_inbox_as_it_came(cloud: Any) -> None:
    aside = SetAside(
        id="0a", organisation=ORGANISATION, reason="unknown-holder", detail="nobody held it", thing=SERIAL,
        device=SERIAL, topic=f"dt/pma/{SERIAL}/readings", received_at=NOW, payload=b"\xff{",
    )  # fmt: skip
    nobodys = replace(aside, id="0b", organisation=NOBODY, reason="unknown-device")
    Quarantine(aws_client("dynamodb"), "quarantine").put([aside, nobodys])
    handle(a_message_of(a_retry()))
    bodies = waiting(cloud, "backlog")
    event = {"Records": [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]}
    arrivals, unreadable = arrived(event)
    assert unreadable == []
    assert {one.replay for one in arrivals} == {(ORGANISATION, "0a"), (NOBODY, "0b")}
    assert {(one.payload, one.thing, one.received_at) for one in arrivals} == {(b"\xff{", SERIAL, NOW)}


def a_retry() -> str:
    return write_job(RetryJob(ORGANISATION, SERIAL, ANSWERED_BY_ENROLMENT))


def test_a_job_that_fails_is_tried_again_by_its_queue(cloud: Any) -> None:
    with pytest.raises(HandlerFailed, match=r"^KeyError"):
        handle(a_message_of(a_retry().replace(SERIAL, "BP-404")))
    assert handler.clock().tzinfo is UTC


def test_a_batch_of_nothing_is_answered(cloud: Any) -> None:
    assert handle() == {"batchItemFailures": []}
    assert waiting(cloud, "jobs") == []


def test_every_kind_of_change_is_one() -> None:
    changes: tuple[Change, ...] = (DeviceChanged(None, a_device()), RecallsChanged((), (a_recall(),)))
    assert [len(list(jobs_of(one))) for one in changes] == [1, 16]
