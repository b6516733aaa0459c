"""Recalls and the quarantine over the API, by the typed client."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from adapters.aws import client as aws_client
from adapters.registry import Registry
from domain.errors import LostRace
from domain.identity import deterministic_id
from domain.quarantine import NOBODY, SetAside
from domain.recall import Recall
from functions.registry import recalling
from functions.registry.wiring import clock, wired
from pma_client import Busy, Conflict, Invalid, NotFound
from tests.in_process import InProcess, api


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with api() as started:
        yield started


@pytest.fixture
def pma(running: InProcess) -> InProcess:
    running.forget()
    handed_on()
    return running


def handed_on() -> list[dict[str, Any]]:
    """What the second inbox was given since it was asked last."""
    sqs, queue = aws_client("sqs"), wired().settings.backlog_queue
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        found += [json.loads(one["Body"]) for one in messages]
        for one in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
    return found


def set_aside(number: int, *, organisation: str = "clinic-a", **changes: Any) -> SetAside:
    facts: dict[str, Any] = {
        "id": deterministic_id(organisation, "aside", str(number)),
        "organisation": organisation,
        "reason": "implausible",
        "detail": "systolic is outside 50 to 280 mm[Hg]",
        "thing": "PHONE-1",
        "device": "BP-00017",
        "profile": "tonometer",
        "topic": "dt/pma/PHONE-1/readings",
        "received_at": clock() - timedelta(hours=number),
        "payload": b"{}",
    }
    return SetAside(**facts | changes)


# recalls


@pytest.mark.parametrize(
    "which",
    [{"profile": "tonometer"}, {"lot": "L7"}, {"serials": ("BP-00010", "BP-00019")}],
    ids=["model", "lot", "serials"],
)
@pytest.mark.parametrize("mode", ["block", "flag"])
def test_p8_a_recall_is_in_force_until_it_is_withdrawn(pma: InProcess, which: dict[str, Any], mode: str) -> None:
    made = pma.client().recall(mode=mode, reason="reads 10 mm[Hg] low", **which)
    assert list(pma.client().recalls()) == [made]
    assert (made.profile, made.lot) == (which.get("profile"), which.get("lot"))
    known = Registry(aws_client("dynamodb"), "registry").devices_and_recalls([], ["clinic-a", "clinic-b"])[1]
    assert [one.id for one in known["clinic-a"]] == [made.id]
    assert known["clinic-b"] == ()
    pma.client().withdraw_recall(made.id)
    assert list(pma.client().recalls()) == []


def test_r85_said_again_it_is_the_same_recall_and_later_another(pma: InProcess) -> None:
    hospital = pma.client()
    first = hospital.recall(mode="flag", reason="reads low", lot="L7")
    assert hospital.recall(mode="flag", reason="reads low, says the maker", lot="L7") == first
    other = hospital.recall(mode="block", reason="reads low", lot="L7")
    assert {one.id for one in hospital.recalls()} == {first.id, other.id}
    hospital.withdraw_recall(first.id)
    assert hospital.recall(mode="flag", reason="reads low", lot="L7").id not in (first.id, other.id)


def test_a_recall_that_is_not_in_force_cannot_be_withdrawn(pma: InProcess) -> None:
    made = pma.client().recall(mode="flag", reason="reads low", lot="L7")
    with pytest.raises(NotFound):
        pma.client("client-b").withdraw_recall(made.id)
    pma.client().withdraw_recall(made.id)
    with pytest.raises(NotFound):
        pma.client().withdraw_recall(made.id)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lot": "L7", "mode": "warn", "reason": "r"}, "/mode"),
        ({"lot": "L7", "mode": "flag"}, "/reason"),
        ({"mode": "flag", "reason": "r"}, ""),
        ({"lot": "L7", "profile": "tonometer", "mode": "flag", "reason": "r"}, ""),
        ({"profile": "nothing", "mode": "flag", "reason": "r"}, "/profile"),
        ({"serials": {"from": "B-2", "to": "B-1"}, "mode": "flag", "reason": "r"}, "/serials"),
        ({"serials": {"from": "B-1", "to": "B-10"}, "mode": "flag", "reason": "r"}, "/serials"),
    ],
    ids=["mode", "no reason", "of nothing", "of two", "no such model", "backwards", "of two lengths"],
)
def test_what_cannot_be_a_recall_is_refused_by_field(pma: InProcess, body: dict[str, Any], field: str) -> None:
    status, document, _ = pma.call("POST", "/v1/recalls", body)
    assert (status, [one["field"] for one in document["field"]]) == (422, [field])


def test_r33_the_recalls_in_force_stay_one_item(pma: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalling, "MOST_RECALLS", 2)
    for number in range(2):
        pma.client().recall(mode="flag", reason="reads low", lot=f"L{number}")
    with pytest.raises(Invalid, match="withdraw one first"):
        pma.client().recall(mode="flag", reason="reads low", lot="L9")


class Overtaken(Registry):
    """A registry in which somebody else recalls another lot just before the first write."""

    def put_recalls(self, organisation: str, recalls: Any, *, version: int) -> None:
        if version == 1:
            rival = Recall("r-9", organisation, "flag", "as well", clock(), lot="L9")
            super().put_recalls(organisation, [rival], version=1)
            raise LostRace("another write came first")
        super().put_recalls(organisation, recalls, version=version)


def test_r86_of_two_recalls_at_once_both_are_in_force(pma: InProcess) -> None:
    with pma.wired(registry=Overtaken(aws_client("dynamodb"), "registry")):
        pma.client().recall(mode="flag", reason="reads low", lot="L7")
    assert [one.lot for one in pma.client().recalls()] == ["L9", "L7"]


# quarantine


def test_f22_the_quarantine_is_listed_by_reason_and_by_model(pma: InProcess) -> None:
    asides = [
        set_aside(1),
        set_aside(2, reason="future"),
        set_aside(3, profile="scale"),
        set_aside(4, profile=None),
    ]
    wired().quarantine.put(asides)
    hospital = pma.client()
    assert [one.id for one in hospital.quarantine()] == [one.id for one in asides]
    assert [one.id for one in hospital.quarantine(reason="future")] == [asides[1].id]
    assert [one.id for one in hospital.quarantine(profile="tonometer", reason="implausible")] == [asides[0].id]
    for wrong in ({"reason": "because"}, {"profile": "nothing"}):
        with pytest.raises(Invalid):
            list(hospital.quarantine(**wrong))


def test_f22_a_broken_model_shows_in_the_counts(pma: InProcess) -> None:
    wired().quarantine.put(
        [
            *(set_aside(number) for number in range(5)),
            set_aside(6, profile="scale", reason="bad-unit"),
            set_aside(7, profile=None),
            set_aside(30),
            set_aside(1, organisation="clinic-b"),
            set_aside(1, organisation=NOBODY),
        ]
    )
    counted = {(one.profile, one.reason): one.count for one in pma.client().quarantine_counts()}
    assert counted == {("tonometer", "implausible"): 5, ("scale", "bad-unit"): 1, (None, "implausible"): 1}
    (first, *_) = pma.client().quarantine_counts(from_at=clock() - timedelta(days=9))
    assert (first.profile, first.count) == ("tonometer", 6)


def test_a_second_try_keeps_its_own_time_and_says_which_row_it_is_of(pma: InProcess) -> None:
    one = set_aside(1)
    wired().quarantine.put([one])
    pma.client().replay_quarantined(one.id)
    pma.client().replay_quarantined(one.id)
    (first, again) = handed_on()
    assert first == again
    assert first["received_at"] == round(one.received_at.timestamp() * 1000)
    assert (first["topic"], first["client"]) == ("dt/pma/PHONE-1/readings", "PHONE-1")
    assert first["replay"] == {"organisation": "clinic-a", "id": one.id}


@pytest.mark.parametrize("organisation", ["clinic-b", NOBODY])
def test_r81_nobody_replays_what_is_not_theirs(pma: InProcess, organisation: str) -> None:
    one = set_aside(1, organisation=organisation)
    wired().quarantine.put([one])
    with pytest.raises(NotFound):
        pma.client().replay_quarantined(one.id)
    assert handed_on() == []


def test_p5_without_consent_there_is_nothing_to_try_again(pma: InProcess) -> None:
    one = set_aside(1, reason="no-consent", payload=None, sha256="0" * 64)
    wired().quarantine.put([one])
    with pytest.raises(Conflict) as refusal:
        pma.client().replay_quarantined(one.id)
    assert (refusal.value.status, refusal.value.code) == (409, "nothing-kept")
    assert handed_on() == []


class Full:
    """A queue that takes nothing."""

    def send_message_batch(self, **asked: Any) -> dict[str, Any]:
        return {"Failed": [{"Id": one["Id"]} for one in asked["Entries"]]}


def test_a_second_try_that_the_queue_did_not_take_is_said(pma: InProcess) -> None:
    one = set_aside(1)
    wired().quarantine.put([one])
    with pma.wired(backlog=type(wired().backlog)(Full(), "queue")), pytest.raises(Busy):
        pma.client().replay_quarantined(one.id)
