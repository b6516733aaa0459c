"""The reference MIS over loopback: what it takes, what it refuses, what it notices."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import urllib3
from rich.console import Console

from adapters.secrets import generate
from adapters.webhook import Webhook, to_bytes
from domain import fhir
from domain.delivery import Answer, Lane, Parcel, parcel, sign
from domain.derived import Derived, Period
from domain.observation import Marks, marked
from mis_sim.__main__ import main
from mis_sim.server import LARGEST_BODY, Receiver, start
from mis_sim.store import Delivery, Store
from tests.builders import NOW, ORGANISATION, SERIAL, SUBJECT, a_device, an_alert, an_observation

SECRET = generate()
LANE = Lane("clinic-a", "mis-1", "observations-0")
BUNDLE = fhir.bundle([an_observation()], [], {SERIAL: a_device()})
EMPTY = fhir.bundle([], [], {})


@pytest.fixture
def mis() -> Iterator[Receiver]:
    with start(secrets=[SECRET]) as mis:
        yield mis


def deliver(mis: Receiver, number: int = 1, document: Any = BUNDLE, *, lane: Lane = LANE, **changes: Any) -> Answer:
    """As PMA does, but for `changes`: secret, at, headers, part, parts."""
    sent = parcel(lane, number, changes.get("part", 1), changes.get("parts", 1))
    sent = Parcel(sent.id, sent.headers | changes.get("headers", {}))
    webhook = Webhook(allow_insecure=True)
    at = changes.get("at", datetime.now(UTC))
    return webhook.post(mis.url, [changes.get("secret", SECRET)], sent, document, at=at)


def post(mis: Receiver, body: bytes, **headers: str) -> int:
    """Any bytes, rightly signed."""
    now = int(datetime.now(UTC).timestamp())
    signed = {
        "webhook-id": "m-1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign([SECRET], "m-1", now, body),
        "content-type": "application/fhir+json",
        "pma-endpoint": "mis-1",
        "pma-shard": "alerts-0",
        "pma-sequence": "1",
    }
    return urllib3.request("POST", mis.url, body=body, headers=signed | headers, retries=False).status


def test_a_delivery_is_verified_checked_and_stored(mis: Receiver) -> None:
    assert deliver(mis).status == 200
    assert mis.counts() == {
        "delivered": 1,
        "verified": 1,
        "repeats": 0,
        "problems": 0,
        "gaps": 0,
        "observations": 2,
        "flags": 0,
        "devices": 1,
    }
    assert {one["id"] for one in mis.observations()} == {
        entry["resource"]["id"] for entry in BUNDLE["entry"] if entry["resource"]["resourceType"] == "Observation"
    }
    assert mis.devices()[0]["serialNumber"] == SERIAL


def test_a_flag_is_listed(mis: Receiver) -> None:
    deliver(mis, document=fhir.bundle([], [an_alert()], {}))
    (flag,) = mis.flags()
    assert flag["code"]["coding"][0]["code"] == "sbp-crisis"


def test_c41_a_webhook_id_is_taken_once(mis: Receiver) -> None:
    for _ in range(3):
        assert deliver(mis).status == 200
    counts = mis.counts()
    assert (counts["verified"], counts["repeats"], counts["observations"]) == (1, 2, 2)


def test_a_replay_is_applied_again(mis: Receiver) -> None:
    deliver(mis, document=EMPTY)
    assert deliver(mis, headers={"pma-replay": "true"}).status == 200
    assert mis.counts()["observations"] == 2
    assert mis.counts()["verified"] == 1


@pytest.mark.parametrize("minutes", [-6, 6], ids=["too old", "from the future"])
def test_c39_r72_a_copied_request_is_worth_nothing_later(mis: Receiver, minutes: int) -> None:
    assert deliver(mis, at=datetime.now(UTC) + timedelta(minutes=minutes)).status == 401
    assert deliver(mis, at=datetime.now(UTC) + timedelta(minutes=minutes * 4 / 6)).status == 200


def test_another_secret_is_refused_until_it_is_trusted(mis: Receiver) -> None:
    other = generate()
    assert deliver(mis, secret=other).status == 401
    counts = mis.counts()
    assert (counts["delivered"], counts["verified"], counts["problems"]) == (1, 0, 1)
    mis.trust(other)
    assert deliver(mis, secret=other).status == 200
    counts = mis.counts()
    assert (counts["delivered"], counts["verified"]) == (1, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,%%%"},
        {"webhook-signature": "v2,abcd"},
        {"webhook-timestamp": "yesterday"},
        {"webhook-id": "m-2"},
    ],
    ids=["none", "no comma", "no base64", "another version", "no time", "another id"],
)
def test_a_header_that_was_tampered_with_is_401(mis: Receiver, headers: dict[str, str]) -> None:
    assert post(mis, to_bytes(BUNDLE), **headers) == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json"}, 415),
        ({"content-type": "application/fhir+json; charset=utf-8"}, 200),
        ({"pma-sequence": "first"}, 400),
        ({"pma-part": "1"}, 400),
        ({"pma-part": "1/x"}, 400),
    ],
    ids=["json", "with a charset", "no number", "no parts", "no count"],
)
def test_headers_are_judged(mis: Receiver, headers: dict[str, str], status: int) -> None:
    assert post(mis, to_bytes(BUNDLE), **headers) == status


def broken(**changes: Any) -> dict[str, Any]:
    """A bundle of one device with its entry changed."""
    document: dict[str, Any] = json.loads(to_bytes(BUNDLE))
    entry = document["entry"][0]
    return document | {"entry": [entry | changes]}


BAD = {
    "no json": b"{",
    "bytes": b"\xff\xfe",
    "no bundle": b'{"resourceType": "Patient"}',
    "another type": b'{"resourceType": "Bundle", "type": "collection"}',
    "not its own put": to_bytes(broken(request={"method": "POST", "url": "Device"})),
    "relative": to_bytes(broken(fullUrl="/" + BUNDLE["entry"][0]["request"]["url"])),
    "twice": to_bytes(BUNDLE | {"entry": BUNDLE["entry"] * 2}),
    "open": to_bytes(BUNDLE | {"entry": BUNDLE["entry"][1:]}),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_what_is_no_transaction_is_refused_and_noted(mis: Receiver, body: bytes) -> None:
    assert post(mis, body) in {401, 422}  # the reference library decodes before it verifies
    assert mis.counts()["verified"] == 0
    assert len(mis.problems()) == 1


def test_gaps_are_seen_in_each_lane(mis: Receiver) -> None:
    for number in (1, 2, 4, 7):
        deliver(mis, number, EMPTY)
    deliver(mis, 1, EMPTY, lane=Lane("clinic-a", "mis-1", "alerts-0"))
    assert mis.counts()["gaps"] == 3
    assert {lane.lane: lane.missing for lane in mis.store.lanes()} == {"observations-0": (3, 5, 6), "alerts-0": ()}


def test_a_test_delivery_is_no_part_of_a_lane(mis: Receiver) -> None:
    assert deliver(mis, 0, EMPTY).status == 200
    assert mis.store.lanes() == []


def test_a_number_in_parts_is_there_when_all_are(mis: Receiver) -> None:
    deliver(mis, 1, EMPTY, part=1, parts=2)
    assert mis.counts()["gaps"] == 1
    deliver(mis, 1, EMPTY, part=2, parts=2)
    assert mis.counts()["gaps"] == 0


def test_r76_an_older_version_never_replaces_a_newer_one(mis: Receiver) -> None:
    deliver(mis, 1, fhir.bundle([], [an_alert(version=3, state="clearing")], {}))
    deliver(mis, 2, fhir.bundle([], [an_alert(version=2)], {}))
    (flag,) = mis.flags()
    assert {"url": "urn:pma:extension:version", "valueInteger": 3} in flag["extension"]
    deliver(mis, 3, fhir.bundle([], [an_alert(version=4)], {}))
    assert {"url": "urn:pma:extension:version", "valueInteger": 4} in mis.flags()[0]["extension"]


def test_a_value_is_the_number_that_was_measured(mis: Receiver) -> None:
    deliver(mis, document=fhir.bundle([an_observation(kind="glucose", values={"glucose": Decimal("5.4")})], [], {}))
    assert mis.observations()[0]["valueQuantity"]["value"] == Decimal("5.4")


def test_too_large_a_body_is_asked_for_in_parts(mis: Receiver) -> None:
    pool = urllib3.PoolManager(retries=False)
    assert pool.request("POST", mis.url, headers={"content-length": str(LARGEST_BODY + 1)}).status == 413
    assert pool.request("POST", mis.url, headers={"content-length": "many"}).status == 411


def test_a_port_that_is_taken_is_one_sentence(
    mis: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OSError, match="in use"):
        start(port=mis.port)
    database = tmp_path / "mis.db"
    assert main(["serve", "--port", str(mis.port), "--secret", SECRET, "--database", str(database)]) == 1
    assert "choose another" in capsys.readouterr().err


def listed(database: Path) -> str:
    out = Console(file=io.StringIO(), width=240)
    assert main(["list", "--database", str(database)], out) == 0
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_what_was_received_is_listed_afterwards(tmp_path: Path) -> None:
    database = tmp_path / "mis.db"
    with start(secrets=[SECRET], database=database) as mis:
        one = an_observation(device_class="auxiliary")
        alert = an_alert(observation=one.id, observations=())
        anothers = marked(an_observation(measured_at=NOW), Marks(1, entered_in_error=True))
        deliver(mis, 2, fhir.bundle([one, anothers], [alert], {SERIAL: a_device()}))
        deliver(mis, 3, secret=generate())
        week = Period(NOW - timedelta(days=7), NOW)
        days = Derived("days-transmitted", ORGANISATION, SUBJECT, week, 9, {"days": Decimal(4)}, False, 9, NOW)
        deliver(mis, 4, fhir.bundle([], [], {}, [days, replace(days, kind="mean-pressure", values={})]))
    shown = listed(database)
    for part in (
        SUBJECT,
        "122 mm[Hg] / 78 mm[Hg]",
        "4 d",
        "mean systolic",
        "auxiliary",
        "entered-in-error",
        "sbp-crisis",
        "High priority",
        "mis-1",
        "401",
    ):
        assert part in shown


def test_an_empty_database_is_listed_too(tmp_path: Path) -> None:
    database = tmp_path / "mis.db"
    Store(database).close()
    assert "verified" in listed(database)


def test_a_database_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--database", str(tmp_path / "none.db")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "none.db").exists()


def test_of_two_who_bring_a_delivery_at_once_one_is_a_repeat() -> None:
    store = Store()
    for _ in range(2):
        store.keep(Delivery("m-1", "mis-1", "alerts-0", 1), [])
    assert store.counts()["verified"] == 1
    assert store.counts()["repeats"] == 1
    store.close()


def test_serve_runs_until_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(mis: Receiver) -> None:
        assert deliver(mis).status == 200
        raise KeyboardInterrupt

    monkeypatch.setattr(Receiver, "wait", stop)
    out = Console(file=io.StringIO(), width=240)
    database = tmp_path / "mis.db"
    assert main(["serve", "--secret", SECRET, "--database", str(database)], out) == 0
    assert isinstance(out.file, io.StringIO)
    assert "receiving at http://127.0.0.1:" in out.file.getvalue()
