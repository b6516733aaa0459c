"""Lanes, numbers, signatures, and what to do after an answer."""

import base64
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from domain.delivery import (
    LONGEST_WAIT,
    Again,
    Answer,
    Gone,
    Lane,
    Progress,
    Received,
    Reference,
    Step,
    TooBig,
    lane,
    may_leave,
    next_step,
    parcel,
    retry_after,
    shard,
    sign,
    split,
    wants,
    webhook_id,
    window,
)
from domain.enrolment import Consent
from tests.builders import NOW, a_subject, an_endpoint

LANE = Lane("clinic-a", "mis-1", "alerts-0")
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OLD = "whsec_" + base64.b64encode(b"an older secret of 32 bytes .....").decode()


@given(st.text(), st.integers(1, 64))
def test_a_subject_is_always_in_the_same_shard(subject: str, shards: int) -> None:
    assert 0 <= shard(subject, shards) < shards
    assert shard(subject, shards) == shard(subject, shards)


def test_shards_never_shift() -> None:
    assert [shard(subject, 8) for subject in ("S-1", "S-2", "S-7F3A")] == [5, 7, 4]


def test_a_lane_is_named_for_its_content_and_shard() -> None:
    assert lane(an_endpoint(), "alerts", "S-1") == LANE
    assert lane(an_endpoint(shards=8), "observations", "S-1").name == "observations-5"


def test_alerts_are_sent_at_once_and_observations_gathered() -> None:
    assert window(an_endpoint(window_seconds=30), "alerts") == timedelta()
    assert window(an_endpoint(window_seconds=30), "observations") == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("kinds", "programmes", "kind", "wanted"),
    [
        (("*",), ("*",), "weight", True),
        (("weight",), ("*",), "weight", True),
        (("weight",), ("*",), "glucose", False),
        (("*",), ("hypertension", "cgm"), "weight", True),
        (("*",), ("cgm",), "weight", False),
    ],
    ids=["all", "this kind", "another kind", "this programme", "another programme"],
)
def test_an_endpoint_gets_what_it_asked_for(
    kinds: tuple[str, ...], programmes: tuple[str, ...], kind: str, wanted: bool
) -> None:
    assert wants(an_endpoint(kinds=kinds, programmes=programmes), a_subject(), kind) is wanted


def test_nothing_leaves_without_consent_in_force() -> None:
    assert may_leave(a_subject())
    assert not may_leave(None)
    assert not may_leave(a_subject(consent=None))
    assert not may_leave(a_subject(consent=Consent(given_at=NOW - timedelta(days=9), withdrawn_at=NOW)))


def test_r71_the_id_of_a_number_is_stable_for_ever() -> None:
    assert webhook_id(LANE, 1) == "4b629225-8061-8216-a17a-d7c65f48f53c"
    ids = {webhook_id(one, n) for one in (LANE, Lane("clinic-b", "mis-1", "alerts-0")) for n in range(1, 50)}
    assert len(ids) == 98


def test_a_parcel_names_endpoint_lane_and_number() -> None:
    whole = parcel(LANE, 7)
    assert whole.id == webhook_id(LANE, 7)
    assert whole.headers == {
        "content-type": "application/fhir+json",
        "pma-endpoint": "mis-1",
        "pma-shard": "alerts-0",
        "pma-sequence": "7",
    }


def test_a_part_has_the_numbers_id_with_its_own_place() -> None:
    second = parcel(LANE, 7, part=2, parts=4)
    assert second.id == f"{webhook_id(LANE, 7)}.2"
    assert second.headers["pma-part"] == "2/4"
    assert second.headers["pma-sequence"] == "7"


def references(size: int) -> list[Reference]:
    return [Reference("observation", "clinic-a#S-1", str(number)) for number in range(size)]


@given(st.integers(0, 100), st.integers(0, 7))
def test_parts_are_the_whole_in_order(size: int, doublings: int) -> None:
    found = [one for part in split(references(size), 2**doublings) for one in part]
    assert found == references(size)


@given(st.integers(1, 100), st.integers(0, 6))
def test_c41_a_part_that_was_taken_still_covers_its_id_when_there_are_twice_as_many(size: int, doublings: int) -> None:
    few = list(split(references(size), 2**doublings))
    many = list(split(references(size), 2 ** (doublings + 1)))
    for number, part in enumerate(many[: len(few)], start=1):
        assert set(part) <= {one for taken in few[:number] for one in taken}


@given(st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode()), st.uuids())
def test_r70_the_reference_library_takes_our_signature_and_we_make_its(text: str, message_id: object) -> None:
    now = datetime.now(UTC)
    timestamp = int(now.timestamp())
    ours = sign([SECRET], str(message_id), timestamp, text.encode())
    assert ours == Webhook(SECRET).sign(str(message_id), now, text)
    Webhook(SECRET).verify(
        text.encode(),
        {"webhook-id": str(message_id), "webhook-timestamp": str(timestamp), "webhook-signature": ours},
        json_parse=False,
    )


@pytest.mark.parametrize("known", [SECRET, OLD], ids=["the new one", "the old one"])
def test_r73_c38_while_a_secret_rotates_either_verifies(known: str) -> None:
    timestamp = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": "m-1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign([SECRET, OLD], "m-1", timestamp, b"{}"),
    }
    Webhook(known).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(known).verify(b"{ }", headers)


def step(
    status: int | None, failures: int = 0, *, header: str | None = None, references: int = 8, parts: int = 1
) -> Step:
    return next_step(
        Answer(status, 5, retry_after=header),
        failures=failures,
        references=references,
        parts=parts,
        now=NOW,
        jitter=0.0,
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_c33_every_2xx_is_received(status: int) -> None:
    assert step(status) == Received()


@pytest.mark.parametrize(
    "status", [None, 100, 300, 301, 302, 307, 308, 400, 401, 403, 404, 409, 418, 422, 500, 502, 599]
)
def test_r75_c33_all_else_is_tried_again_on_the_schedule(status: int | None) -> None:
    assert step(status) == Again(timedelta(seconds=5), suspended=False)


def test_r75_410_disables() -> None:
    assert step(410) == Gone()


@pytest.mark.parametrize(
    ("failures", "wait", "suspended"),
    [(0, 5, False), (1, 15, False), (2, 60, False), (3, 120, False), (4, 60, True), (5, 60, True), (40_000, 60, True)],
)
def test_r75_the_schedule_ends_in_one_probe_a_minute(failures: int, wait: int, suspended: bool) -> None:
    assert step(503, failures) == Again(timedelta(seconds=wait), suspended)


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 9))
def test_jitter_only_lengthens_a_wait_and_by_a_fifth_at_most(jitter: float, failures: int) -> None:
    plain = step(500, failures)
    shaken = next_step(Answer(500, 5), failures=failures, references=1, parts=1, now=NOW, jitter=jitter)
    assert isinstance(plain, Again)
    assert isinstance(shaken, Again)
    assert plain.wait <= shaken.wait <= plain.wait * 1.2


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "7", 7),
        (503, "7", 7),
        (503, " 7 ", 7),
        (429, "0", 1),
        (503, format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (503, format_datetime(NOW - timedelta(seconds=90), usegmt=True), 1),
        (503, "Sun, 22 Nov 2026 09:01:30 -0000", 90),
        (503, "86400", 900),
        (503, "9" * 400, 900),
        (429, "soon", 5),
        (429, "-3", 5),
        (429, "1.5", 5),
        (429, "٣", 5),
        (500, "7", 5),
        (404, "7", 5),
    ],
    ids=[
        "429", "503", "spaces", "at once", "date", "past date", "date without a zone", "too long", "absurd", "words",
        "negative", "fraction", "foreign digits", "500 has none", "404 has none",
    ],
)  # fmt: skip
def test_r75_retry_after_is_obeyed_up_to_a_quarter_of_an_hour(status: int, header: str, seconds: int) -> None:
    assert step(status, header=header) == Again(timedelta(seconds=seconds), suspended=False)


@given(st.text())
def test_no_retry_after_breaks_a_sender(header: str) -> None:
    found = retry_after(header, NOW)
    assert found is None or isinstance(found, timedelta)
    again = step(429, header=header)
    assert isinstance(again, Again)
    assert again.wait <= LONGEST_WAIT


def test_a_year_that_no_calendar_has_is_no_retry_after() -> None:
    assert retry_after(f"Sun, 22 Nov {'9' * 30} 09:01:30 GMT", NOW) is None


def test_413_goes_in_parts_until_each_holds_one() -> None:
    assert step(413, references=8, parts=1) == TooBig(2)
    assert step(413, references=8, parts=4) == TooBig(8)
    assert step(413, references=8, parts=8) == Again(timedelta(seconds=5), suspended=False)
    assert step(413, references=1) == Again(timedelta(seconds=5), suspended=False)


@pytest.mark.parametrize(
    ("progress", "wakes"),
    [
        (Progress(), False),
        (Progress(next=3, cursor=2, rung_at=NOW - timedelta(seconds=9)), True),
        (Progress(next=3, cursor=3, rung_at=NOW - timedelta(seconds=9)), False),
        (Progress(next=3, cursor=2, rung_at=NOW - timedelta(seconds=10)), False),
        (Progress(next=3, cursor=2), False),
    ],
    ids=["new", "inside the window", "all sent", "window over", "never rung"],
)
def test_a_lane_knows_whether_a_doorbell_is_still_to_come(progress: Progress, wakes: bool) -> None:
    assert progress.wakes(NOW, timedelta(seconds=10)) is wakes
