"""Every published reading is stored, set aside or a repeat of one that was, whatever else is in its batch."""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from adapters.aws import client as aws_client
from adapters.catalogue import load, profiles
from adapters.dynamodb import Throttled, batch_put
from adapters.environment import variable
from adapters.observations import Observations
from adapters.registry import from_device, from_subject, serial_key
from adapters.sealing import KeyRing
from device_sim.bluetooth import relayed_pressure
from domain.enrolment import Consent, Device
from domain.observation import Known, Marks, Observation
from domain.profile import DeviceProfile
from domain.reading import Arrival, Clock, Status
from functions.ingest import handler
from functions.ingest.service import HAND_ON_AFTER, Ingest, Key, Outcome
from tests.builders import (
    NOW,
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
from tests.fakes import FakeArchive, FakeBacklog, FakeObservations, FakeQuarantine, FakeRegistry, FakeStatus
from tests.in_process import REGION, Context, environment, make_tables

SECOND = timedelta(seconds=1)
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


@dataclass
class Stage:
    """Ingest over fakes, with a tonometer and a scale of SUBJECT enrolled."""

    registry: FakeRegistry = field(
        default_factory=lambda: FakeRegistry(
            enrolled=[a_subject()], owned=[a_device(), a_device(serial="SC-1", profile="scale")]
        )
    )
    observations: FakeObservations = field(default_factory=FakeObservations)
    quarantine: FakeQuarantine = field(default_factory=FakeQuarantine)
    archive: FakeArchive = field(default_factory=FakeArchive)
    backlog: FakeBacklog = field(default_factory=FakeBacklog)
    status: FakeStatus = field(default_factory=FakeStatus)

    def __post_init__(self) -> None:
        self.ingest = Ingest(
            registry=self.registry,
            observations=self.observations,
            quarantine=self.quarantine,
            archive=self.archive,
            backlog=self.backlog,
            status=self.status,
            profiles=profiles(),
            kept_for=timedelta(days=400),
        )

    def __call__(self, *arrivals: Arrival, first_inbox: bool = True) -> Outcome:
        return self.ingest(arrivals, now=NOW, first_inbox=first_inbox)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def of(outcome: Outcome, *names: str) -> list[int]:
    return [outcome.counts[name] for name in names]


def test_a_reading_is_stored_and_its_bytes_are_archived(stage: Stage) -> None:
    arrival = an_arrival()
    assert of(stage(arrival), "messages", "readings", "stored", "quarantined", "repeated") == [1, 1, 1, 0, 0]
    (row,) = stage.observations.rows.values()
    assert (row.subject, row.values["systolic"]) == (SUBJECT, Decimal(122))
    assert stage.archive.kept == [("clinic-a", arrival)]


def test_f20_c28_a_device_that_nobody_here_has_seen_is_one_file_and_no_code(tmp_path: Path) -> None:
    """The example of docs/catalogue.md, put beside the other profiles while the house runs."""
    profile, message = re.findall(r"```json\n(.*?)```", (DOCS / "catalogue.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "acme-scale.json").write_text(profile, encoding="utf-8")
    added = load("devices", DeviceProfile.model_validate_json, root=tmp_path)
    scale = a_device(serial="ACME-1", profile="acme-scale")
    stage = Stage(registry=FakeRegistry(enrolled=[a_subject()], owned=[scale]))
    arrival = an_arrival(message.encode(), topic="dt/pma/ACME-1/vendor/acme-scale")
    outcome = replace(stage.ingest, profiles=profiles() | added)([arrival], now=NOW, first_inbox=True)
    assert of(outcome, "readings", "stored", "quarantined") == [2, 2, 0]
    rows = stage.observations.rows.values()
    assert [(row.kind, str(row.values["weight"]), row.subject) for row in rows] == [
        ("weight", "80.013694", SUBJECT),
        ("weight", "79.922976", SUBJECT),
    ]


def test_r5_the_same_message_three_times_changes_nothing(stage: Stage) -> None:
    first = stage(an_arrival())
    rows = dict(stage.observations.rows)
    again = stage(an_arrival(id="m-2"), an_arrival(id="m-3"))
    assert of(first, "stored", "repeated") == [1, 0]
    assert of(again, "stored", "repeated") == [0, 2]
    assert stage.observations.rows == rows


def test_r5_the_same_reading_twice_in_one_batch_is_one(stage: Stage) -> None:
    outcome = stage(an_arrival(a_message(a_reading(), a_reading())), an_arrival(id="m-2"))
    assert of(outcome, "readings", "stored", "repeated") == [3, 1, 2]


class Behind(FakeObservations):
    """As it is for one of two workers: neither sees what the other is writing."""

    def present(self, keys: Iterable[Key]) -> dict[Key, Known]:
        del keys
        return {}


def test_c29_two_workers_with_the_same_first_message_write_one_row() -> None:
    stage = Stage(observations=Behind())
    stage(an_arrival())
    stage(an_arrival(id="m-2"))
    assert len(stage.observations.rows) == 1


class AnswerLost(FakeObservations):
    """It writes, and the first answer does not arrive."""

    answers = 0

    def put(self, rows: Iterable[tuple[Key, Observation]]) -> None:
        super().put(rows)
        self.answers += 1
        if self.answers == 1:
            raise Throttled("no answer")


def test_r27_a_write_whose_answer_was_lost_is_written_again_and_is_one() -> None:
    stage = Stage(observations=AnswerLost())
    with pytest.raises(Throttled):
        stage(an_arrival())
    assert stage.archive.kept == []
    assert of(stage(an_arrival()), "stored", "repeated", "failed") == [0, 1, 0]
    assert (len(stage.observations.rows), len(stage.archive.kept)) == (1, 1)


class Killed(BaseException):
    """The function's time is over, or its machine is gone."""


class Mortal:
    """Passes every write on, and dies before or after one of them."""

    def __init__(self, inner: Any, life: list[int], *, after: bool) -> None:
        self._inner, self._life, self._after = inner, life, after

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)
        if name not in ("put", "add_path", "correct", "add_context", "tell", "remove"):
            return call

        def mortal(*given: Any, **named: Any) -> Any:
            self._life[0] -= 1
            if self._life[0] == 0 and not self._after:
                raise Killed
            done = call(*given, **named)
            if self._life[0] == 0:
                raise Killed
            return done

        return mortal


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("write", range(1, 7))
def test_r30_r27_r26_killed_at_any_write_a_batch_is_done_by_trying_it_again(write: int, after: bool) -> None:
    """There is no note of what is in progress that could block the second try: what is there already is left out."""
    batch = [
        an_arrival(id="m-1"),
        an_arrival(earlier(), id="m-2"),
        an_arrival(earlier(**SLOW), id="m-3"),
        an_arrival(b"{", id="m-4"),
        a_status(firmware="1.2"),
    ]
    whole, stage = Stage(), Stage()
    whole(*batch)
    life = [write]
    ports = ("observations", "quarantine", "archive", "status")
    mortal: dict[str, Any] = {name: Mortal(getattr(stage, name), life, after=after) for name in ports}
    dying = replace(stage.ingest, **mortal)
    with pytest.raises(Killed):
        dying(batch, now=NOW, first_inbox=True)
    stage(*batch)
    assert stage.observations.rows == whole.observations.rows
    assert stage.observations.marks == whole.observations.marks
    assert stage.quarantine.rows == whole.quarantine.rows
    assert stage.status.told == whole.status.told
    assert set(whole.archive.kept) <= set(stage.archive.kept), "the archive may hold a message twice, never not at all"


@pytest.mark.parametrize("days", [14, 60])
def test_r29_what_comes_again_from_the_dead_letters_weeks_later_is_a_repeat(stage: Stage, days: int) -> None:
    """The identity is the row's own key, which lives as long as the row."""
    stage(an_arrival())
    again = stage.ingest([an_arrival(id="m-2")], now=NOW + timedelta(days=days), first_inbox=False)
    assert of(again, "stored", "repeated") == [0, 1]


def test_what_was_refused_twice_is_set_aside_once(stage: Stage) -> None:
    bad = a_message(a_reading(values=a_pressure(12, 80)))
    assert of(stage(an_arrival(bad), an_arrival(bad, id="m-2")), "quarantined", "repeated") == [1, 1]
    outcome = stage(an_arrival(bad, received_at=NOW + SECOND))
    assert of(outcome, "quarantined", "repeated") == [0, 1]
    assert [one.received_at for one in stage.quarantine.rows.values()] == [NOW]
    assert outcome.reasons == {}


def test_r22_a_poison_message_is_set_aside_and_its_neighbours_pass(stage: Stage) -> None:
    outcome = stage(
        an_arrival(),
        an_arrival(b"\xff\x00", id="m-2"),
        an_arrival(
            a_message(
                a_reading(
                    kind="weight",
                    values={"weight": {"value": 70, "unit": "kg"}},
                )
            ),
            id="m-3",
            thing="SC-1",
        ),
    )
    assert of(outcome, "stored", "quarantined", "failed") == [2, 1, 0]
    assert outcome.reasons == {"malformed": 1}


def test_what_nobody_enrolled_is_the_operators(stage: Stage) -> None:
    outcome = stage(an_arrival(a_message(a_reading(), a_reading(slot=1)), thing="BP-FOREIGN"))
    assert outcome.reasons == {"unknown-device": 2}
    assert {one.organisation for one in stage.quarantine.rows.values()} == {"-"}
    assert [organisation for organisation, _ in stage.archive.kept] == ["-"]


def test_r81_a_device_of_another_organisation_is_unknown(stage: Stage) -> None:
    stage.registry.owned.append(a_device(serial="BP-B", organisation="clinic-b", gateway=SERIAL))
    assert stage(an_arrival(a_message(device="BP-B"))).reasons == {"unknown-device": 1}


def test_p5_f5_without_consent_nothing_is_archived(stage: Stage) -> None:
    stage.registry.enrolled = [a_subject(consent=None)]
    assert stage(an_arrival()).reasons == {"no-consent": 1}
    assert stage.archive.kept == []


def test_a_serials_organisation_is_asked_for_once(stage: Stage) -> None:
    stage(an_arrival())
    stage(an_arrival(), an_arrival(id="m-2", thing="SC-1"))
    assert stage.registry.asked == [{SERIAL}, {"SC-1"}]


def test_a_thing_that_was_unknown_is_asked_for_again(stage: Stage) -> None:
    stage(an_arrival(thing="BP-NEW"))
    stage.registry.owned.append(a_device(serial="BP-NEW"))
    assert of(stage(an_arrival(thing="BP-NEW")), "stored") == [1]


def test_what_is_remembered_of_serials_is_bounded(stage: Stage) -> None:
    stage.ingest.remembered.update({f"X-{number}": "clinic-b" for number in range(100_001)})
    assert of(stage(an_arrival()), "stored") == [1]
    assert stage.ingest.remembered == {SERIAL: "clinic-a"}


# those who have no smartphone

OTHER = "S-0002"
WITHOUT_A_PHONE: dict[str, tuple[Device, dict[str, Any], str, str]] = {
    "a cuff with a SIM of its own": (
        a_device(serial="CEL-1", profile="cellular-cuff"),
        {"readings": [{"sys": "128", "dia": 81, "pul": 66, "ts": round(NOW.timestamp()) - 60}]},
        "vendor/cellular-cuff",
        f"CEL-1 {SUBJECT} device",
    ),
    "a health post's cuff": (
        a_device(serial="CUFF-1", gateway="POST-1", assignments=()),
        a_message(a_reading(subject=OTHER), device="CUFF-1"),
        "readings",
        f"CUFF-1 {OTHER} device",
    ),
    "typed by a nurse at the post": (
        a_device(serial="POST-2", profile="health-post", roster=(OTHER,), assignments=()),
        a_message(a_reading(subject=OTHER, origin="manual")),
        "readings",
        f"POST-2 {OTHER} manual",
    ),
    "told by telephone": (
        a_device(serial="POST-2", profile="health-post", roster=(OTHER,), assignments=()),
        a_message(a_reading(subject=OTHER, origin="call")),
        "readings",
        f"POST-2 {OTHER} call",
    ),
}


@pytest.mark.parametrize("who", WITHOUT_A_PHONE)
def test_f16_p7_who_has_no_smartphone_is_measured_all_the_same(stage: Stage, who: str) -> None:
    device, said, form, becomes = WITHOUT_A_PHONE[who]
    post = a_device(serial="POST-1", profile="health-post", roster=(SUBJECT, OTHER), assignments=())
    stage.registry.owned = [device, post]
    stage.registry.enrolled.append(a_subject(id=OTHER))
    thing = device.gateway or device.serial
    outcome = stage(an_arrival(said, thing=thing, topic=f"dt/pma/{thing}/{form}"))
    assert (of(outcome, "stored"), outcome.reasons) == ([1], {})
    (row,) = stage.observations.rows.values()
    assert f"{row.device} {row.subject} {row.origin}" == becomes


FOREIGN = ["subject", "patient", "holder", "organisation", "thing", "client", "topic", "id", "assignments"]
ANYBODY = st.dictionaries(
    st.sampled_from(FOREIGN),
    st.sampled_from([OTHER, "S-NOBODY", "clinic-b", "BP-2"]),
)


@given(ANYBODY, ANYBODY)
def test_r9_whoever_a_payload_names_it_is_whose_the_device_is(message: dict[str, Any], said: dict[str, Any]) -> None:
    others = a_device(serial="BP-2", assignments=(an_assignment(subject=OTHER),))
    enrolled = [a_subject(), a_subject(id=OTHER)]
    plain, named = (Stage(registry=FakeRegistry(enrolled=enrolled, owned=[a_device(), others])) for _ in range(2))
    plain(an_arrival())
    named(an_arrival(a_message(a_reading(**said)) | message))
    assert named.observations.rows == plain.observations.rows
    assert [row.subject for row in named.observations.rows.values()] == [SUBJECT]


def test_r9_a_device_that_a_payload_names_is_not_spoken_for_by_another(stage: Stage) -> None:
    stage.registry.owned.append(a_device(serial="BP-2", assignments=(an_assignment(subject=OTHER),)))
    outcome = stage(an_arrival(a_message(a_reading(), device="BP-2")))
    assert (outcome.reasons, stage.observations.rows) == ({"unknown-device": 1}, {})


# what a repeat brings


@pytest.fixture
def two_paths(stage: Stage) -> Stage:
    """A cuff that a phone relays, and whose maker's cloud delivers as well."""
    stage.registry.owned = [
        a_device(serial="BP-9", gateway="PHONE-1", cloud="CLOUD-1"),
        *phones("PHONE-1", "CLOUD-1", "CLOUD-2"),
    ]
    return stage


def phones(*serials: str) -> list[Device]:
    return [a_device(serial=serial, profile="phone", assignments=()) for serial in serials]


def of_cuff(thing: str, **said: Any) -> Arrival:
    return an_arrival(a_message(a_reading(), device="BP-9", **said), thing=thing, id=f"{thing}-{len(said)}")


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
@pytest.mark.parametrize(
    "ways", [("PHONE-1", "CLOUD-1"), ("CLOUD-1", "PHONE-1")], ids=["the phone first", "the cloud first"]
)
def test_c24_one_measurement_by_two_paths_is_one_observation_with_both(
    two_paths: Stage, ways: tuple[str, str], together: bool
) -> None:
    arrivals = [of_cuff(ways[0]), of_cuff(ways[1]), of_cuff(ways[1], boot=2)]
    outcomes = [two_paths(*arrivals)] if together else [two_paths(one) for one in arrivals]
    assert [sum(one.counts[name] for one in outcomes) for name in ("stored", "repeated", "quarantined")] == [1, 2, 0]
    ((key, row),) = two_paths.observations.rows.items()
    assert row.thing == ways[0]
    assert two_paths.observations.marks[key] == Marks(version=1, paths={ways[1]: NOW})


def test_c24_p7_another_cloud_is_no_path_of_it(two_paths: Stage) -> None:
    two_paths(of_cuff("PHONE-1"))
    assert two_paths(of_cuff("CLOUD-2")).reasons == {"unknown-device": 1}
    assert two_paths.observations.marks == {}


def test_r5_a_repeat_by_the_same_path_marks_nothing(stage: Stage) -> None:
    stage(an_arrival(), an_arrival(id="m-2"))
    stage(an_arrival(id="m-3"))
    assert stage.observations.marks == {}


SLOW = {"sent_at": "2026-11-22T08:00:00Z"}  # of a message that arrives at nine


def earlier(**said: Any) -> dict[str, Any]:
    """Measured a minute before that, by the device's clock."""
    return a_message(a_reading(measured_at="2026-11-22T07:59:00Z"), **said)


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "in two"])
def test_f14_a_clock_that_is_told_later_corrects_the_same_observation(stage: Stage, at_once: bool) -> None:
    plain, telling = an_arrival(earlier()), an_arrival(earlier(**SLOW), id="m-2")
    if at_once:
        outcome = stage(plain, telling)
        assert of(outcome, "stored", "repeated") == [1, 1]
    else:
        stage(plain)
        assert of(stage(telling, an_arrival(earlier(), id="m-3")), "stored", "repeated") == [0, 2]
    ((key, row),) = stage.observations.rows.items()
    assert row.measured_at == row.device_time
    assert stage.observations.marks[key] == Marks(version=1, measured_at=row.device_time + timedelta(hours=1))


def test_f14_a_reading_that_was_corrected_stays_so(stage: Stage) -> None:
    stage(an_arrival(earlier(**SLOW)))
    stage(an_arrival(earlier(), id="m-2"), an_arrival(earlier(sent_at="2026-11-22T08:30:00Z"), id="m-3"))
    (row,) = stage.observations.rows.values()
    assert row.measured_at - row.device_time == timedelta(hours=1)
    assert stage.observations.marks == {}


# messages that bring no reading


def a_status(**said: Any) -> Arrival:
    return an_arrival({"format": "pma.status/1", **said}, topic=f"dt/pma/{SERIAL}/status", id="m-status")


def test_a_status_is_kept_with_its_device(stage: Stage) -> None:
    outcome = stage(a_status(firmware="1.2"), an_arrival())
    assert of(outcome, "readings", "stored") == [1, 1]
    assert stage.status.told == {("clinic-a", SERIAL): Status(NOW, firmware="1.2")}


def test_f14_a_status_corrects_what_comes_after_it(stage: Stage) -> None:
    clock = Clock(NOW - timedelta(hours=1), NOW)
    stage.registry.owned[0] = a_device(status=Status(NOW, clock=clock))
    stage(an_arrival(earlier()))
    (row,) = stage.observations.rows.values()
    assert row.measured_at == row.device_time + timedelta(hours=1)


GLUCOSE = "GL-1"


def of_meter(characteristic: str, value: str, **changes: Any) -> Arrival:
    said = {"format": "pma.gatt/1", "characteristic": characteristic, "value": value}
    return an_arrival(said | {"received_at": NOW.isoformat()}, thing=GLUCOSE, topic=f"dt/pma/{GLUCOSE}/gatt", **changes)


MEASURED = "122A00EA070B160C000078B012"
"""Record 42 of the 22nd of November 2026 at noon in Samara: 120 mg/dL, and circumstances follow."""

FASTING = "022A0003"
"""Of record 42: measured fasting."""


@pytest.fixture
def meter(stage: Stage) -> Stage:
    stage.registry.owned.append(a_device(serial=GLUCOSE, profile="glucometer"))
    return stage


def test_f1_the_circumstances_of_a_glucose_join_it(meter: Stage) -> None:
    outcome = meter(of_meter("2A34", FASTING, id="m-2"), of_meter("2A18", MEASURED))
    assert of(outcome, "readings", "stored", "failed") == [1, 1, 0]
    ((key, row),) = meter.observations.rows.items()
    assert row.record == 42
    assert meter.observations.marks[key].context == {"meal": "fasting"}


def test_f1_circumstances_that_come_first_wait_in_the_second_inbox(meter: Stage) -> None:
    context = of_meter("2A34", FASTING)
    outcome = meter(context)
    assert (meter.backlog.handed_on, meter.backlog.waits) == ([context], [timedelta(minutes=1)])
    assert of(outcome, "readings", "failed") == [0, 0]
    assert meter.archive.kept == []
    meter(of_meter("2A18", MEASURED))
    assert of(meter(context, first_inbox=False), "readings", "quarantined") == [0, 0]
    assert len(meter.observations.marks) == 1


def test_circumstances_that_the_second_inbox_did_not_take_are_tried_again(meter: Stage) -> None:
    meter.backlog.refuses = {"m-1"}
    assert list(meter(of_meter("2A34", FASTING)).failed) == ["m-1"]


def test_circumstances_of_nothing_are_set_aside(meter: Stage) -> None:
    outcome = meter(of_meter("2A34", FASTING), first_inbox=False)
    assert outcome.reasons == {"bad-value": 1}
    assert len(meter.archive.kept) == 1


# trying again what was set aside


def again(stage: Stage) -> Arrival:
    """The one quarantined reading, as the API sends it once more."""
    (one,) = stage.quarantine.rows.values()
    assert one.payload is not None
    return an_arrival(one.payload, id="again", topic=one.topic, replay=(one.organisation, one.id))


def test_r26_what_was_set_aside_and_is_tried_again_is_stored_with_its_own_times_and_leaves(stage: Stage) -> None:
    held = stage.registry.owned[0]
    stage.registry.owned[0] = a_device(assignments=())
    stage(an_arrival())
    stage.registry.owned[0] = held
    kept = len(stage.archive.kept)
    outcome = stage(again(stage), first_inbox=False)
    assert of(outcome, "stored", "quarantined") == [1, 0]
    assert stage.quarantine.rows == {}
    assert len(stage.archive.kept) == kept
    assert [row.received_at for row in stage.observations.rows.values()] == [NOW]


def test_what_is_refused_again_stays_with_what_is_wrong_now(stage: Stage) -> None:
    stage.registry.owned[0] = a_device(assignments=())
    stage(an_arrival())
    stage.registry.owned[0] = a_device(assignments=(an_assignment(), an_assignment(id="a-2", subject="S-2")))
    stage.registry.enrolled.append(a_subject(id="S-2"))
    assert of(stage(again(stage), first_inbox=False), "quarantined", "repeated") == [0, 1]
    assert [one.reason for one in stage.quarantine.rows.values()] == ["ambiguous-holder"]


def test_what_nobody_had_enrolled_moves_to_the_organisation_that_did(stage: Stage) -> None:
    unknown = stage.registry.owned.pop(0)
    stage(an_arrival())
    stage.registry.owned.append(unknown._replace(assignments=()))
    stage(again(stage), first_inbox=False)
    assert [(one.organisation, one.reason) for one in stage.quarantine.rows.values()] == [
        ("clinic-a", "unknown-holder")
    ]


# a defect of ours


def test_r22_a_profile_that_this_release_does_not_know_fails_only_its_message(stage: Stage) -> None:
    """After a catalogue was rolled back: tried again until it is there, then redriven."""
    stage.registry.owned.append(a_device(serial="NEW-1", profile="holter"))
    outcome = stage(an_arrival(), an_arrival(id="m-2", thing="NEW-1"), an_arrival(b"{", id="m-3"))
    assert list(outcome.failed) == ["m-2"]
    assert outcome.failed["m-2"].startswith("KeyError at judgement.py:")
    assert of(outcome, "stored", "quarantined", "failed") == [1, 1, 1]
    assert len(stage.archive.kept) == 2


def test_r22_a_subject_whose_zone_this_machine_does_not_know_fails_only_its_message(stage: Stage) -> None:
    stage.registry.enrolled.append(a_subject(id="S-2", time_zone="Europe/Atlantis"))
    stage.registry.owned.append(a_device(serial="BP-2", assignments=(an_assignment(subject="S-2"),)))
    local = a_message(a_reading(measured_at="2026-11-22T08:59:00"))
    outcome = stage(an_arrival(local), an_arrival(local, id="m-2", thing="BP-2"))
    assert list(outcome.failed) == ["m-2"]
    assert of(outcome, "stored", "failed") == [1, 1]


# what waited too long


def test_f15_r99_what_waited_too_long_is_handed_on_unread(stage: Stage) -> None:
    old = an_arrival(b"unread", id="m-2", received_at=NOW - HAND_ON_AFTER - SECOND)
    outcome = stage(an_arrival(received_at=NOW - HAND_ON_AFTER), old)
    assert stage.backlog.handed_on == [old]
    assert of(outcome, "handed_on", "readings", "stored", "failed") == [1, 1, 1, 0]
    assert len(stage.archive.kept) == 1


def test_r99_the_second_inbox_reads_whatever_its_age(stage: Stage) -> None:
    old = an_arrival(received_at=NOW - timedelta(hours=6), payload=None)
    outcome = stage(old, first_inbox=False)
    assert stage.backlog.handed_on == []
    assert of(outcome, "handed_on", "readings") == [0, 1]


def test_r99_what_the_second_inbox_did_not_take_is_tried_again(stage: Stage) -> None:
    stage.backlog.refuses = {"m-2"}
    old = NOW - timedelta(hours=6)
    outcome = stage(an_arrival(received_at=old), an_arrival(id="m-2", received_at=old))
    assert list(outcome.failed) == ["m-2"]
    assert of(outcome, "handed_on", "failed") == [1, 1]


# any batch

good = st.builds(
    lambda systolic, second, slot: a_reading(
        values=a_pressure(systolic), measured_at=f"2026-11-22T08:59:{second:02}Z", slot=slot
    ),
    st.integers(100, 103),
    st.integers(0, 3),
    st.sampled_from([None, 1]),
)
bad = st.sampled_from(
    [
        "no reading",
        a_reading(kind="mood"),
        a_reading(values=a_pressure(12, 80)),
        a_reading(values=a_pressure(unit="mmHg")),
        a_reading(measured_at="1970-01-01T00:00:00Z"),
        a_reading(measured_at="2026-10-22T00:00:00Z"),
    ]
)
payloads = st.one_of(
    st.binary(max_size=8).map(lambda junk: (b"\xff" + junk, 1)),
    st.lists(st.one_of(good, bad), min_size=1, max_size=5).map(
        lambda readings: (json.dumps(a_message(*readings)).encode(), len(readings))
    ),
)
batches = st.lists(st.tuples(payloads, st.sampled_from([SERIAL, "SC-1", "BP-FOREIGN"])), max_size=6)


@given(st.lists(batches, max_size=4))
def test_r22_published_is_stored_and_set_aside_and_repeats(sent: list[list[tuple[tuple[bytes, int], str]]]) -> None:
    stage = Stage()
    stored = aside = 0
    for batch in sent:
        arrivals = [
            an_arrival(payload, id=f"m-{number}", thing=thing) for number, ((payload, _), thing) in enumerate(batch)
        ]
        outcome = stage(*arrivals)
        assert outcome.failed == {}
        assert outcome.counts["readings"] == sum(count for (_, count), _ in batch)
        assert sum(of(outcome, "stored", "quarantined", "repeated")) == outcome.counts["readings"]
        stored += outcome.counts["stored"]
        aside += outcome.counts["quarantined"]
    assert len(stage.observations.rows) == stored
    assert len(stage.quarantine.rows) == aside
    before = dict(stage.observations.rows), dict(stage.quarantine.rows)
    for batch in reversed(sent):
        outcome = stage(*[an_arrival(payload, thing=thing) for (payload, _), thing in batch])
        assert of(outcome, "stored", "quarantined") == [0, 0]
    assert (stage.observations.rows, stage.quarantine.rows) == before


# the handler, over tables in memory


@dataclass
class Cloud:
    """The real adapters over a cloud in memory; `calls` is every call that was made to it."""

    dynamodb: Any
    sqs: Any
    backlog: str
    calls: list[str] = field(default_factory=list)

    def count(self, request: Any, **_: object) -> None:
        """Note a request as it leaves, whichever way it was made."""
        target = request.headers["X-Amz-Target"]
        self.calls.append((target if isinstance(target, str) else target.decode()).rpartition(".")[2])

    def items(self, table: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.dynamodb.scan(TableName=table)["Items"]
        return found

    def enrol(self, serials: Sequence[str]) -> None:
        """Each with a subject of its own."""
        long_ago = datetime(2026, 1, 1, tzinfo=UTC)
        items: list[Any] = []
        keys = KeyRing(self.dynamodb, aws_client("kms"), "registry", handler.settings().archive_key)
        for serial in serials:
            subject = f"S-{serial}"
            pk, sk = serial_key(serial)
            held = an_assignment(subject=subject, from_at=long_ago)
            items += [
                {"pk": pk, "sk": sk, "organisation": "clinic-a"},
                from_device(a_device(serial=serial, assignments=(held,))),
                from_subject(a_subject(id=subject, consent=Consent(long_ago), data_key=keys.new_data_key("clinic-a"))),
            ]
        batch_put(self.dynamodb, "registry", items)

    def handle(self, *bodies: str, queue: str = "inbox") -> list[str]:
        """The message ids that the handler gave back, after counting its calls anew."""
        arn = f"arn:aws:sqs:{REGION}:1:{queue}"
        records = [
            {"messageId": f"m-{number}", "body": body, "eventSourceARN": arn} for number, body in enumerate(bodies)
        ]
        self.calls.clear()
        answer = handler.handle({"Records": records}, Context())
        return [str(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with mock_aws():
        bucket = {"RoleARN": "arn:aws:iam::123456789012:role/archive", "BucketARN": "arn:aws:s3:::archive"}
        boto3.client("firehose", region_name=REGION).create_delivery_stream(
            DeliveryStreamName="archive", ExtendedS3DestinationConfiguration=bucket
        )
        boto3.client("s3", region_name=REGION).create_bucket(
            Bucket="archive", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        backlog = boto3.client("sqs", region_name=REGION).create_queue(QueueName="backlog")["QueueUrl"]
        settings = {
            **{f"{name}_table": name for name in ("registry", "observations", "quarantine")},
            "archive_stream": "archive",
            "archive_key": boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["KeyId"],
            "backlog_queue": backlog,
            "observation_days": "400",
            "quarantine_days": "90",
        }
        with environment({variable(name): value for name, value in settings.items()} | {"AWS_DEFAULT_REGION": REGION}):
            handler.settings.cache_clear()
            handler.wired.cache_clear()
            here = Cloud(aws_client("dynamodb"), aws_client("sqs"), backlog)
            make_tables(here.dynamodb)
            for client in (here.dynamodb, here.sqs, aws_client("firehose")):
                client.meta.events.register("before-send", here.count)
            yield here


def a_body(
    message: dict[str, Any] | bytes,
    *,
    thing: str = SERIAL,
    format: str = "readings",  # noqa: A002 - the topic's word
    received_at: datetime | None = None,
) -> str:
    """A queue's message as IoT's rule writes it."""
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return json.dumps(
        {
            "payload": b64encode(payload).decode(),
            "topic": f"dt/pma/{thing}/{format}",
            "client": thing,
            "received_at": int((received_at or datetime.now(UTC)).timestamp() * 1000),
        }
    )


def just_now(**changes: Any) -> dict[str, Any]:
    return a_reading(measured_at=datetime.now(UTC).isoformat(timespec="seconds"), **changes)


def test_a_batch_of_the_inbox_is_kept(cloud: Cloud) -> None:
    cloud.enrol([SERIAL])
    assert cloud.handle(a_body(a_message(just_now())), a_body(b"\xff")) == []
    assert [row["pk"]["S"] for row in cloud.items("observations")] == [f"clinic-a#S-{SERIAL}"]
    assert [row["reason"]["S"] for row in cloud.items("quarantine")] == ["malformed"]


def test_r22_r23_what_cannot_be_tried_here_is_given_back(cloud: Cloud) -> None:
    cloud.enrol([SERIAL])
    assert cloud.handle("not as the rule writes", a_body(a_message(just_now()))) == ["m-0"]
    assert len(cloud.items("observations")) == 1


@pytest.mark.parametrize("ways", [("PHONE-1", "CLOUD-1"), ("CLOUD-1", "PHONE-1")], ids=["by Bluetooth", "by JSON"])
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
def test_c24_a_phones_bluetooth_and_the_makers_cloud_are_one_row_in_the_store(
    cloud: Cloud, ways: tuple[str, str], together: bool
) -> None:
    """The octets of 2A35 with a mean, and the maker's JSON without one; a third time changes nothing."""
    cloud.enrol([SERIAL, "PHONE-1", "CLOUD-1"])
    held = an_assignment(subject=f"S-{SERIAL}", from_at=datetime(2026, 1, 1, tzinfo=UTC))
    cuff = a_device(profile="cellular-cuff", gateway="PHONE-1", cloud="CLOUD-1", assignments=(held,))
    carriers = [a_device(serial=serial, profile="phone", assignments=()) for serial in ("PHONE-1", "CLOUD-1")]
    batch_put(cloud.dynamodb, "registry", [from_device(one) for one in (cuff, *carriers)])
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    octets = relayed_pressure(SERIAL, at, at.astimezone(ZoneInfo(a_subject().time_zone)), 128, 81, 96, pulse=66)
    said = {"serial": SERIAL, "readings": [{"sys": "128", "dia": 81, "pul": 66, "ts": round(at.timestamp())}]}
    bodies = {
        "PHONE-1": a_body(octets, thing="PHONE-1", format="gatt"),
        "CLOUD-1": a_body(said, thing="CLOUD-1", format="vendor/cellular-cuff"),
    }
    sent = [bodies[one] for one in (*ways, ways[0])]
    for batch in [sent] if together else [[one] for one in sent]:
        assert cloud.handle(*batch) == []
    assert cloud.items("quarantine") == []
    page = Observations(cloud.dynamodb, "observations").recent("clinic-a", f"S-{SERIAL}")
    ((_, one),) = page.items
    assert (one.device, one.thing, [*one.paths], one.version) == (SERIAL, ways[0], [ways[1]], 2)
    assert {name: one.values[name] for name in ("systolic", "diastolic", "pulse")} == {
        "systolic": 128,
        "diastolic": 81,
        "pulse": 66,
    }


def test_c29_two_workers_between_reading_and_writing_make_one_row_in_the_store(cloud: Cloud) -> None:
    """The second takes the same message while the first is about to write."""
    cloud.enrol([SERIAL])
    body, given_back = a_body(a_message(just_now())), []
    writing = "before-send.dynamodb.BatchWriteItem"

    def overtake(**_: object) -> None:
        cloud.dynamodb.meta.events.unregister(writing, overtake)
        given_back.append(cloud.handle(body))

    cloud.dynamodb.meta.events.register(writing, overtake)
    assert cloud.handle(body) == []
    assert (given_back, len(cloud.items("observations"))) == ([[]], 1)
    assert cloud.items("quarantine") == []


@pytest.mark.parametrize(("queue", "read_here"), [("inbox", 0), ("backlog", 1)])
def test_r99_only_the_first_inbox_hands_on(cloud: Cloud, queue: str, read_here: int) -> None:
    cloud.enrol([SERIAL])
    body = a_body(a_message(just_now()), received_at=datetime.now(UTC) - timedelta(minutes=4))
    assert cloud.handle(body, queue=queue) == []
    handed_on = cloud.sqs.receive_message(QueueUrl=cloud.backlog).get("Messages", [])
    assert (len(cloud.items("observations")), len(handed_on)) == (read_here, 1 - read_here)


@pytest.mark.parametrize(("messages", "readings"), [(100, 1), (10, 10), (1, 100)])
def test_a_hundred_readings_cost_few_calls(
    cloud: Cloud, messages: int, readings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Organisations and their keys (once a process), devices, subjects, those present, four puts, the archive."""
    now = datetime.now(UTC)
    monkeypatch.setattr(handler, "clock", lambda: now)  # both within five seconds, however slow the machine
    serials = [f"BP-{number:03}" for number in range(messages)]
    cloud.enrol(serials)

    def bodies(diastolic: int) -> list[str]:
        return [
            a_body(a_message(*[just_now(values=a_pressure(100 + n, diastolic)) for n in range(readings)]), thing=serial)
            for serial in serials
        ]

    assert cloud.handle(*bodies(70)) == []
    puts = ["BatchWriteItem"] * 4
    reads = ["BatchGetItem"] * (5 if messages == 100 else 4)  # the recalls, once in five seconds
    assert cloud.calls == [*reads, *puts, "BatchGetItem", "PutRecord"]
    assert cloud.handle(*bodies(71)) == []
    assert cloud.calls == ["BatchGetItem"] * 3 + puts + ["PutRecord"]
    assert len(cloud.items("observations")) == 200


def test_r88_a_log_holds_nothing_of_a_patient(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = StringIO()
    monkeypatch.setattr(handler.logger.registered_handler, "stream", log)
    cloud.enrol(["CANARY-1"])
    canary = {"flags": ["CANARY"], "context": {"note": "CANARY"}}
    bodies = [
        a_body(a_message(just_now(values=a_pressure(177.314159, 93), **canary)), thing="CANARY-1"),
        a_body(a_message(just_now(values=a_pressure(314159), **canary)), thing="CANARY-1"),
        a_body(a_message(just_now(kind="CANARY")), thing="CANARY-2"),
        a_body(b"CANARY"),
        "CANARY",
    ]
    assert cloud.handle(*bodies) == ["m-4"]
    said = log.getvalue() + capsys.readouterr().out
    assert "batch ingested" in said
    never = ("CANARY", "314159", "clinic-a", b64encode(b"CANARY").decode())  # fewer digits may stand in a timestamp
    assert not [word for word in never if word in said]
