"""A message judged: each reading is an observation or set aside, and nothing is read without consent."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.catalogue import profiles
from domain.enrolment import Assignment, Consent, DataKey, Device, Subject
from domain.errors import BadValue
from domain.identity import Identity
from domain.judgement import Enrolled, Judged, Kept, judge, open_message, orphan, subjects_to_know, with_readings
from domain.observation import Observation
from domain.quarantine import SetAside
from domain.reading import MAX_BYTES, Arrival, GlucoseContext, Message, Status, Unreadable
from domain.recall import Recall
from tests.builders import (
    NOW,
    ORGANISATION,
    SERIAL,
    SUBJECT,
    a_device,
    a_message,
    a_pressure,
    a_profile,
    a_reading,
    a_subject,
    an_arrival,
    an_assignment,
    as_holder,
    as_read,
)

KEPT_FOR = timedelta(days=400)
PROFILES = {
    "tonometer": a_profile(),
    "numbered": a_profile(id="numbered", records=True),
    "fetal-monitor": profiles()["fetal-monitor"],
    "minutes": a_profile(id="minutes", clock_resolution="PT1M"),
    "phone": a_profile(id="phone", role="gateway"),
    "bracelet": a_profile(**{"id": "bracelet", "class": "auxiliary"}),
}
WITHOUT_CONSENT = Consent(datetime(2026, 11, 1, tzinfo=UTC), withdrawn_at=NOW)


def judged(
    arrival: Arrival,
    *,
    device: Device | None = None,
    thing: Device | None = None,
    subject: Subject | None = None,
    organisation: str | None = ORGANISATION,
    recalls: tuple[Recall, ...] = (),
) -> Judged:
    opened = open_message(arrival, PROFILES)
    device = device or a_device()
    enrolled = (
        Enrolled(organisation, thing or device, device, recalls)
        if organisation
        else Enrolled(None, None, None, recalls)
    )
    subject = subject or a_subject()
    known = {subject.id: as_holder(subject)} if subject.id in set(subjects_to_know(opened, enrolled, PROFILES)) else {}
    return judge(opened, enrolled, known, profiles=PROFILES, kept_for=KEPT_FOR)


def accepted(*readings: dict[str, Any], **facts: Any) -> tuple[Identity, Observation]:
    result = judged(an_arrival(a_message(*readings)), **facts)
    assert result.refused == ()
    (one,) = result.accepted
    return one


def refused(arrival: Arrival, **facts: Any) -> SetAside:
    (one,) = judged(arrival, **facts).refused
    return one


def test_an_accepted_reading_is_an_observation() -> None:
    said = a_reading(origin="manual", slot=1, flags=["movement"], context={"posture": "sitting"})
    identity, one = accepted(said)
    at = datetime.fromisoformat("2026-11-22T12:59:00+04:00")
    assert one == Observation(
        id=identity.id,
        organisation=ORGANISATION,
        subject=SUBJECT,
        device=SERIAL,
        thing=SERIAL,
        kind="blood-pressure",
        values={"systolic": Decimal(122), "diastolic": Decimal(78)},
        measured_at=at,
        device_time=at,
        received_at=NOW,
        origin="manual",
        device_class="medical",
        slot=1,
        flags=("movement",),
        context={"posture": "sitting"},
        tags=frozenset(),
    )
    assert (identity.organisation, identity.subject, identity.kind, identity.taken_at) == (
        ORGANISATION,
        SUBJECT,
        "blood-pressure",
        datetime(2026, 11, 22, 8, 59, tzinfo=UTC),
    )


def test_a_phone_carries_a_cuff() -> None:
    arrival = an_arrival(a_message(device="BP-9"), thing="PHONE-1")
    phone = a_device(serial="PHONE-1", profile="phone", assignments=())
    ((_, one),) = judged(arrival, device=a_device(serial="BP-9", gateway="PHONE-1"), thing=phone).accepted
    assert (one.device, one.thing) == ("BP-9", "PHONE-1")


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (a_device(), "medical"),
        (a_device(device_class="auxiliary"), "auxiliary"),
        (a_device(profile="bracelet"), "auxiliary"),
    ],
    ids=["medical", "enrolled as auxiliary", "an auxiliary model"],
)
def test_p2_a_device_is_auxiliary_if_its_model_or_its_enrolment_is(device: Device, expected: str) -> None:
    assert accepted(device=device)[1].device_class == expected


@pytest.mark.parametrize(
    ("measured_at", "tags"),
    [("2026-11-22T03:00:00Z", set()), ("2026-11-22T02:59:59Z", {"late"})],
    ids=["on the bound", "past it"],
)
def test_r6_what_arrives_long_after_it_was_measured_is_late(measured_at: str, tags: set[str]) -> None:
    assert accepted(a_reading(measured_at=measured_at))[1].tags == tags


# identity

BASE = a_reading()
OPTIONAL = {"mean": "mm[Hg]", "pulse": "/min"}


def identity(said: dict[str, Any] = BASE, **facts: Any) -> Identity:
    return accepted(said, **facts)[0]


@pytest.mark.parametrize(
    "said",
    [
        a_reading(measured_at="2026-11-22T08:59:00Z"),
        a_reading(measured_at="2026-11-22T12:59:00.999+04:00"),
        a_reading(measured_at="2026-11-22T12:59:00"),
        a_reading(values=dict(reversed(a_pressure().items()))),
        a_reading(values=a_pressure(122.0, 78.0)),
        a_reading(values=a_pressure(12.2, 7.8, "cm[Hg]")),
        a_reading(values=a_pressure(16.27, 10.4, "kPa")),
        a_reading(origin="manual", flags=["movement"], context={"posture": "sitting"}),
        a_reading(subject="S-0002"),
        a_reading(values=a_pressure() | {name: {"value": 92, "unit": unit} for name, unit in OPTIONAL.items()}),
    ],
    ids=[
        "UTC",
        "part of a second",
        "local",
        "order",
        "decimals",
        "cm",
        "kPa",
        "beside the values",
        "foreign subject",
        "what a vendor's cloud leaves out",
    ],
)
def test_r5_c24_the_same_reading_by_another_path_is_the_same(said: dict[str, Any]) -> None:
    assert identity(said) == identity()


@pytest.mark.parametrize(
    ("said", "facts"),
    [
        (a_reading(measured_at="2026-11-22T12:59:01+04:00"), {}),
        (a_reading(values=a_pressure(123)), {}),
        (a_reading(slot=1), {}),
        (BASE, {"subject": a_subject(id="S-2"), "device": a_device(assignments=(an_assignment(subject="S-2"),))}),
        (BASE, {"device": a_device(serial="BP-2")}),
    ],
    ids=["time", "value", "slot", "subject", "device"],
)
def test_another_reading_is_another(said: dict[str, Any], facts: dict[str, Any]) -> None:
    assert identity(said, **facts) != identity()


def test_an_id_never_shifts() -> None:
    assert identity().id == "caaff424-4229-8695-9f03-79e5b795c219"


def test_a_clock_that_shows_minutes_is_cut_to_minutes() -> None:
    device = a_device(profile="minutes")
    same = {identity(a_reading(measured_at=f"2026-11-22T08:59:{second:02}Z"), device=device) for second in (0, 31, 59)}
    assert {one.taken_at.second for one in same} == {0}
    assert len(same) == 1


@given(st.integers(-14 * 60, 14 * 60), st.randoms(use_true_random=False), st.integers(0, 3600))
def test_r5_r8_an_offset_and_an_order_change_no_identity(minutes: int, chance: Any, age: int) -> None:
    at = NOW - timedelta(seconds=age)
    elsewhere = at.astimezone(timezone(timedelta(minutes=minutes)))
    parts = [*a_reading(measured_at=elsewhere.isoformat()).items()]
    chance.shuffle(parts)
    assert identity(dict(parts)) == identity(a_reading(measured_at=at.isoformat()))


# set aside


def test_a_reading_of_a_thing_that_nobody_enrolled() -> None:
    arrival = an_arrival()
    one = refused(arrival, organisation=None)
    assert (one.organisation, one.reason, one.thing, one.device) == ("-", "unknown-device", SERIAL, SERIAL)
    assert one.payload == arrival.payload


def test_a_message_that_cannot_be_read_is_kept_byte_for_byte() -> None:
    arrival = an_arrival(b"\xff\x00{")
    one = refused(arrival)
    assert (one.organisation, one.reason, one.device, one.payload) == (ORGANISATION, "malformed", None, b"\xff\x00{")
    assert (one.thing, one.topic, one.received_at) == (SERIAL, arrival.topic, NOW)


def test_r33_of_a_message_past_every_limit_the_beginning_is_kept() -> None:
    one = refused(an_arrival(b"x" * (MAX_BYTES + 1)))
    assert (one.reason, one.payload) == ("too-large", b"x" * MAX_BYTES)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("no reading", "malformed"),
        (a_reading(kind="mood"), "malformed"),
        (a_reading(kind="weight", values={"weight": {"value": 70, "unit": "kg"}}), "bad-value"),
        (a_reading(values=a_pressure(12, 80)), "implausible"),
        (a_reading(values=a_pressure(unit="mmHg")), "bad-unit"),
        (a_reading(values={}), "bad-value"),
        (a_reading(values=None), "malformed"),
        (a_reading(flags="x"), "malformed"),
        (a_reading(context=7), "malformed"),
        (a_reading(origin="x"), "malformed"),
        (a_reading(measured_at="1970-01-01T00:00:10Z"), "untrusted-clock"),
        (a_reading(measured_at="2026-11-22T09:06:00Z"), "future"),
        (a_reading(measured_at="2024-11-22T09:06:00Z"), "too-old"),
        (a_reading(measured_at="2026-10-22T09:06:00Z"), "unknown-holder"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_r22_a_refused_reading_leaves_its_neighbours_alone(said: Any, reason: str) -> None:
    message = a_message(a_reading(), said, a_reading(values=a_pressure(130)), boot=3)
    result = judged(an_arrival(message))
    assert [one.values["systolic"] for _, one in result.accepted] == [122, 130]
    (one,) = result.refused
    assert one.reason == reason
    assert one.payload is not None
    assert json.loads(one.payload) == {"boot": 3, "format": "pma.readings/1", "readings": [said]}
    alone = refused(an_arrival(a_message(said)))
    assert alone.id == one.id
    assert alone.payload == an_arrival(a_message(said)).payload


def test_a_refused_reading_that_is_sent_again_is_the_same() -> None:
    bad = a_reading(values=a_pressure(12, 80))
    first = refused(an_arrival(a_message(bad, sent_at="2026-11-22T12:59:30+04:00")))
    again = an_arrival(
        a_message(dict(reversed(bad.items())), sent_at="2026-11-22T13:59:30+04:00"),
        received_at=NOW + timedelta(hours=1),
    )
    assert refused(again).id == first.id
    assert refused(an_arrival(a_message(a_reading(values=a_pressure(12, 81))))).id != first.id


def test_p5_without_consent_a_reading_is_set_aside_unread() -> None:
    bad = a_reading(values={"systolic": "secret"}, flags="secret")
    result = judged(an_arrival(a_message(bad)), subject=a_subject(consent=WITHOUT_CONSENT))
    (one,) = result.refused
    named = {name: bad[name] for name in ("kind", "measured_at")}
    written = json.dumps(named, sort_keys=True, separators=(",", ":")).encode()
    assert (one.reason, one.payload, one.kind, one.device_time, one.sha256) == (
        "no-consent",
        None,
        "blood-pressure",
        "2026-11-22T12:59:00+04:00",
        sha256(written).hexdigest(),
    )
    assert result.archived == ()
    assert "secret" not in repr(one)


def test_p5_r91_what_was_measured_without_consent_cannot_be_guessed_from_what_is_kept() -> None:
    """There are some millions of pressures, and a hash of each is made in seconds."""
    subject = a_subject(consent=WITHOUT_CONSENT)
    kept = {
        repr(judged(an_arrival(a_message(a_reading(values=values, **more))), subject=subject).refused)
        for values in (a_pressure(152, 97), a_pressure(118, 76))
        for more in ({}, {"flags": ["movement"]}, {"context": {"posture": "sitting"}})
    }
    assert len(kept) == 1
    other = a_reading(measured_at="2026-11-22T12:58:00+04:00")
    assert repr(judged(an_arrival(a_message(other)), subject=subject).refused) not in kept


def test_p5_of_a_message_only_what_consent_covers_is_archived() -> None:
    before, after = (a_reading(measured_at=f"2026-11-{day}T09:00:00Z") for day in (20, 21))
    subject = a_subject(consent=Consent(datetime(2026, 11, 21, tzinfo=UTC)))
    result = judged(an_arrival(a_message(before, after)), subject=subject)
    assert [one.reason for one in result.refused] == ["no-consent"]
    (part,) = result.archived
    assert json.loads(part.arrival.payload) == a_message(after)


def test_what_is_read_is_archived_byte_for_byte() -> None:
    for arrival in (an_arrival(), an_arrival(b"\xff"), an_arrival(a_message(a_reading(values={})))):
        assert judged(arrival).archived == (Kept(arrival),)


KEYS = {subject: DataKey(f"key-of-{subject}", "wrapped") for subject in (SUBJECT, "S-2")}


def shared(*readings: dict[str, Any], **facts: Any) -> Judged:
    """What became of a message of a device with two slots, the first of SUBJECT, the second of S-2."""
    device = a_device(assignments=(an_assignment(slot=1), an_assignment(id="a-2", subject="S-2", slot=2)))
    opened = open_message(an_arrival(a_message(*readings)), PROFILES)
    subjects = {one: as_holder(a_subject(**{"id": one, "data_key": key} | facts)) for one, key in KEYS.items()}
    return judge(opened, Enrolled(ORGANISATION, device, device), subjects, profiles=PROFILES, kept_for=KEPT_FOR)


def parts(result: Judged) -> list[tuple[DataKey | None, list[int]]]:
    """Each part's key, and the slots of the readings in it."""
    return [
        (part.key, [one.get("slot", 0) for one in json.loads(part.arrival.payload)["readings"]])
        for part in result.archived
    ]


@pytest.mark.parametrize(
    ("slots", "kept"),
    [
        ([1, 1], [(SUBJECT, [1, 1])]),
        ([2], [("S-2", [2])]),
        ([1, 2, 1], [(SUBJECT, [1, 1]), ("S-2", [2])]),
        ([1, 0], [(SUBJECT, [1, 0])]),
        ([0], [(None, [0])]),
        ([2, 0, 1], [("S-2", [2]), (None, [0]), (SUBJECT, [1])]),
    ],
    ids=["one person", "another", "two", "one and nobody's", "nobody's", "two and nobody's"],
)
def test_r90_each_persons_bytes_are_sealed_with_that_persons_key(
    slots: list[int], kept: list[tuple[str | None, list[int]]]
) -> None:
    readings = [a_reading(slot=slot or None, values=a_pressure(120 + at)) for at, slot in enumerate(slots)]
    assert parts(shared(*readings)) == [(KEYS[who] if who else None, numbers) for who, numbers in kept]


def test_r90_a_reading_that_is_refused_once_its_holder_is_known_is_the_holders() -> None:
    one, other = shared(a_reading(slot=2, values=a_pressure(12)), a_reading(slot=None)).refused
    assert (one.reason, one.subject) == ("implausible", "S-2")
    assert (other.reason, other.subject) == ("ambiguous-holder", None)


def test_p5_what_is_set_aside_without_consent_names_nobody() -> None:
    (one,) = shared(a_reading(slot=1), consent=WITHOUT_CONSENT).refused
    assert (one.reason, one.subject) == ("no-consent", None)


@pytest.mark.parametrize(
    ("assignments", "facts", "kept"),
    [
        ((an_assignment(),), {}, [KEYS[SUBJECT]]),
        ((an_assignment(), an_assignment(id="a-2", subject="S-2")), {}, [None]),
        ((an_assignment(subject="S-ERASED"),), {}, [None]),
        ((), {}, [None]),
        ((an_assignment(),), {"consent": WITHOUT_CONSENT}, []),
        ((an_assignment(),), {"consent": None}, []),
    ],
    ids=["its only holder's", "one of two", "a holder who is gone", "never held", "withdrawn", "no consent"],
)
def test_r90_circumstances_are_sealed_for_whoever_alone_held_the_device(
    assignments: tuple[Assignment, ...], facts: dict[str, Any], kept: list[DataKey | None]
) -> None:
    message = Message(None, (), {}, contexts=(GlucoseContext(7, {"meal": "fasting"}),))
    device = a_device(assignments=assignments)
    opened = with_readings(an_arrival(), message)
    enrolled = Enrolled(ORGANISATION, device, device)
    asked = [*subjects_to_know(opened, enrolled, PROFILES)]
    assert asked == [one.subject for one in assignments]
    known = (a_subject(data_key=KEYS[SUBJECT], **facts), a_subject(id="S-2"))
    result = judge(opened, enrolled, {one.id: as_holder(one) for one in known}, profiles=PROFILES, kept_for=KEPT_FOR)
    assert [part.key for part in result.archived] == kept


# recall, records, fetal signals


def a_recall(**changes: Any) -> Recall:
    facts: dict[str, Any] = {"id": "r-1", "organisation": ORGANISATION, "mode": "block", "reason": "reads low"}
    return Recall(**facts | {"created_at": NOW, "serials": (SERIAL, SERIAL)} | changes)


@pytest.mark.parametrize(
    ("recall", "blocked", "tags"),
    [
        (a_recall(), True, set()),
        (a_recall(mode="flag"), False, {"recalled"}),
        (a_recall(serials=None, profile="tonometer"), True, set()),
        (a_recall(serials=None, lot="L8"), False, set()),
        (a_recall(organisation="clinic-b"), False, set()),
    ],
    ids=["blocked", "flagged", "by model", "another lot", "another organisation's"],
)
def test_p8_a_recalled_device(recall: Recall, blocked: bool, tags: set[str]) -> None:
    result = judged(an_arrival(), device=a_device(lot="L7"), recalls=(recall,))
    assert [(one.reason, one.profile) for one in result.refused] == [("recalled-device", "tonometer")] * blocked
    assert [one.recalls for _, one in result.accepted] == [{"r-1"} if tags else set()] * (not blocked)
    assert [one.tags for _, one in result.accepted] == [tags] * (not blocked)


def test_p5_without_consent_a_recalled_devices_reading_is_not_kept_either() -> None:
    result = judged(an_arrival(), subject=a_subject(consent=None), recalls=(a_recall(),))
    assert [one.reason for one in result.refused] == ["no-consent"]


def test_c24_a_record_number_that_every_path_carries_makes_the_identity() -> None:
    device = a_device(profile="numbered")
    (first, _), (again, _) = (
        accepted(a_reading(record=7, values=a_pressure(one)), device=device) for one in (120, 121)
    )
    other, _ = accepted(a_reading(record=8), device=device)
    assert first == again != other
    one, two = (accepted(a_reading(record=number))[0] for number in (7, 8))
    assert one == two


def fetal(rate: int, **changes: Any) -> dict[str, Any]:
    return a_reading(kind="fetal-heart-rate", values={"rate": {"value": rate, "unit": "/min"}}, **changes)


def pulse(rate: int, **changes: Any) -> dict[str, Any]:
    return a_reading(kind="heart-rate", values={"rate": {"value": rate, "unit": "/min"}}, **changes)


def of_fetal(*readings: dict[str, Any]) -> list[Observation]:
    result = judged(an_arrival(a_message(*readings)), device=a_device(profile="fetal-monitor"))
    assert result.refused == ()
    return [one for _, one in result.accepted if one.kind == "fetal-heart-rate"]


@pytest.mark.parametrize(
    ("mother", "confused"),
    [
        (pulse(88), True),
        (pulse(93), True),
        (pulse(94), False),
        (pulse(88, measured_at="2026-11-22T08:59:30Z"), True),
        (pulse(88, measured_at="2026-11-22T08:59:31Z"), False),
    ],
    ids=["the same", "five apart", "six apart", "half a minute apart", "longer apart"],
)
def test_f17_a_fetal_rate_near_the_mothers_pulse_is_flagged(mother: dict[str, Any], confused: bool) -> None:
    (one,) = of_fetal(mother, fetal(88, measured_at="2026-11-22T08:59:00Z"))
    assert one.flags == ("maternal-confusion",) * confused
    assert one.values == {"rate": Decimal(88)}


def test_f17_a_fetal_rate_of_zero_is_no_rate() -> None:
    noted, plain = of_fetal(
        fetal(0, flags=["signal-loss"]), fetal(0, measured_at="2026-11-22T08:58:00Z"), pulse(0 + 80)
    )
    assert [one.values for one in (noted, plain)] == [{}, {}]
    assert [one.flags for one in (noted, plain)] == [("signal-loss",), ("signal-loss",)]


# messages of other formats


def test_a_status_is_no_reading() -> None:
    result = judged(an_arrival({"format": "pma.status/1", "firmware": "2"}, topic=f"dt/pma/{SERIAL}/status"))
    assert (result.accepted, result.refused) == ((), ())
    assert result.status == Status(NOW, firmware="2")
    assert len(result.archived) == 1


def test_r14_a_status_of_a_thing_that_was_revoked_is_set_aside() -> None:
    arrival = an_arrival({"format": "pma.status/1"}, topic=f"dt/pma/{SERIAL}/status")
    assert refused(arrival, device=a_device(revoked_at=NOW)).reason == "revoked-gateway"


class Foreign:
    """A message of another format with these readings, put into our words."""

    def __init__(self, *readings: Any, contexts: tuple[GlucoseContext, ...] = ()) -> None:
        self.arrival = an_arrival(b"as it came", topic=f"dt/pma/{SERIAL}/gatt")
        said = tuple(one if isinstance(one, Unreadable) else as_read(one) for one in readings)
        alone = tuple(b"as it came" for _ in said)
        envelope = {"format": "pma.readings/1"}
        self.message = Message(None, said, envelope, alone=alone, contexts=contexts)

    def judged(self, **facts: Any) -> Judged:
        device = facts.pop("device", a_device())
        opened = with_readings(self.arrival, self.message)
        subject = facts.pop("subject", a_subject())
        return judge(
            opened,
            Enrolled(ORGANISATION, device, device),
            {subject.id: as_holder(subject)},
            profiles=PROFILES,
            kept_for=KEPT_FOR,
        )


BAD = a_reading(values=a_pressure(12, 80))


def test_a_record_that_cannot_be_read_is_refused_alone_and_kept_as_it_came() -> None:
    result = Foreign(a_reading(), Unreadable({"record": Decimal(1)}, BadValue("systolic is no number"))).judged()
    assert len(result.accepted) == 1
    (one,) = result.refused
    assert (one.reason, one.detail, one.payload) == ("bad-value", "systolic is no number", b"as it came")


def test_p5_of_a_foreign_message_only_what_has_consent_is_kept_and_in_our_words() -> None:
    given_at = NOW - timedelta(minutes=2)
    early = a_reading(measured_at="2026-11-22T08:50:00Z")
    key = DataKey("k-1", "wrapped")
    result = Foreign(early, a_reading(), BAD).judged(subject=a_subject(consent=Consent(given_at), data_key=key))
    without_consent, implausible = result.refused
    assert (without_consent.reason, without_consent.payload) == ("no-consent", None)
    assert implausible.topic == f"dt/pma/{SERIAL}/readings"
    assert implausible.payload is not None
    assert b"08:50" not in implausible.payload
    (part,) = result.archived  # the implausible one is hers as well
    assert (part.arrival.topic, part.key) == (f"dt/pma/{SERIAL}/readings", key)
    assert b"08:50" not in part.arrival.payload
    again = judged(part.arrival)
    assert [one.id for _, one in again.accepted] == [one.id for _, one in result.accepted]


def test_circumstances_name_whose_measurement_they_may_belong_to() -> None:
    context = GlucoseContext(7, {"meal": "fasting"})
    held = (an_assignment(to_at=NOW), an_assignment(id="a-2", subject="S-2", from_at=NOW))
    result = Foreign(contexts=(context,)).judged(device=a_device(assignments=held))
    assert (result.contexts, result.holders) == ((context,), ("S-2", SUBJECT))
    assert orphan(result).refused[0].reason == "bad-value"
    assert orphan(result).refused[0].payload == b"as it came"
