"""The API from a request to the tables and back."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from adapters.alerts import to_item as alert_item
from adapters.aws import client as aws_client
from adapters.deliveries import Deliveries
from adapters.dynamodb import encode_item
from adapters.observations import row_key
from adapters.registry import Registry
from domain.delivery import Attempt, Lane, Reference, webhook_id
from domain.enrolment import ConsentTold, Endpoint, Subject
from domain.errors import LostRace
from domain.identity import Identity, deterministic_id
from domain.observation import Observation
from domain.quarantine import NOBODY, SetAside
from functions.registry.handler import handle
from functions.registry.wiring import Wired, clock, wired
from tests.builders import an_alert, an_observation
from tests.in_process import ISSUER, Context, InProcess, a_token, api, event

SUBJECT: dict[str, Any] = {
    "programmes": ["hypertension"],
    "time_zone": "Europe/Samara",
    "language": "ru",
    "consent": {"given_at": "2026-11-01T09:00:00+04:00", "withdrawn_at": None},
}
CONTACTS = {
    "patient": [{"channel": "sms", "address": "+15005550001"}],
    "doctor": [{"channel": "topic"}],
    "duty": [{"channel": "topic"}],
    "head": [],
}
DEVICE = {"profile": "tonometer", "class": "medical", "lot": "L7", "gateway": None, "cloud": None}
ASSIGNMENT = {"subject": "S-7F3A", "from": "2026-11-01T09:00:00+04:00", "to": None, "slot": None}
PLAN = {
    "author": "doc-12",
    "effective_from": "2026-11-01T00:00:00+04:00",
    "rules": [
        {
            "id": "sbp-crisis",
            "kind": "blood-pressure",
            "value": "systolic",
            "severity": "critical",
            "family": "pressure-high",
            "fresh_for": "PT6H",
            "when": {"at_or_above": {"value": 180, "unit": "mm[Hg]"}},
            "confirm": {"readings": 2, "within": "PT10M", "ask_again": True},
            "clear": {"below": {"value": 170, "unit": "mm[Hg]"}, "for": "PT30M"},
        }
    ],
    "schedule": [
        {
            "kind": "blood-pressure",
            "windows": [{"from": "06:00", "to": "11:00"}, {"from": "18:00", "to": "22:00"}],
            "grace": "PT1H",
        }
    ],
    "quiet_hours": {"from": "22:00", "to": "07:00"},
    "escalation": [
        {"after": "PT0S", "to": ["patient", "doctor"]},
        {"after": "PT5M", "to": ["duty"]},
        {"after": "PT15M", "to": ["head"]},
    ],
}
ENDPOINT = {
    "url": "https://mis.example/pma",
    "kinds": ["*"],
    "programmes": ["*"],
    "mode": "fhir-transaction",
    "window_seconds": 10,
    "shards": 1,
}
S, D, E = "/v1/subjects/S-7F3A", "/v1/devices/BP-00017", "/v1/endpoints/mis-1"


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with api() as started:
        yield started


@pytest.fixture
def pma(running: InProcess) -> InProcess:
    """The API with nothing enrolled yet."""
    running.forget()
    return running


def enrol(pma: InProcess, *, client: str = "client-a") -> str:
    """Everything of the contract's examples; the id of the assignment."""
    assert pma.call("PUT", S, SUBJECT, client=client)[0] == 201
    assert pma.call("PUT", f"{S}/contacts", CONTACTS, client=client)[0] == 204
    assert pma.call("PUT", f"{S}/care-plan", PLAN, client=client)[0] == 201
    assert pma.call("PUT", D, DEVICE, client=client)[0] == 201
    status, made, _ = pma.call("POST", f"{D}/assignments", ASSIGNMENT, client=client)
    assert status == 201
    return str(made["id"])


def test_what_is_enrolled_is_read_back_as_it_was_said(pma: InProcess) -> None:
    assignment = enrol(pma)
    status, subject, headers = pma.call("GET", S)
    assert (status, headers["etag"]) == (200, '"1"')
    assert subject == SUBJECT | {"id": "S-7F3A", "emergency_text": None, "missing": [], "version": 1}
    _, device, _ = pma.call("GET", D)
    held = {**ASSIGNMENT, "id": assignment}
    assert device == DEVICE | {
        "serial": "BP-00017",
        "roster": [],
        "revoked_at": None,
        "assignments": [held],
        "version": 2,
    }
    _, plan, _ = pma.call("GET", f"{S}/care-plan")
    assert plan["plan"] == PLAN


def test_a_subject_lists_what_is_missing_until_it_is_there(pma: InProcess) -> None:
    without = SUBJECT | {"consent": None}
    assert pma.call("PUT", S, without)[1]["missing"] == ["consent", "contacts", "device", "care-plan"]
    pma.call("PUT", S, SUBJECT)
    pma.call("PUT", f"{S}/contacts", CONTACTS)
    assert pma.call("GET", S)[1]["missing"] == ["device", "care-plan"]
    pma.call("PUT", f"{S}/care-plan", PLAN)
    pma.call("PUT", D, DEVICE)
    _, made, _ = pma.call("POST", f"{D}/assignments", ASSIGNMENT)
    assert pma.call("GET", S)[1]["missing"] == []
    end = {"to": "2026-11-02T09:00:00+04:00"}
    assert pma.call("POST", f"{D}/assignments/{made['id']}/end", end)[1]["to"] == end["to"]
    assert pma.call("GET", S)[1]["missing"] == ["device"]


def faults(answer: tuple[int, Any, Any]) -> list[str]:
    status, document, _ = answer
    assert status == 422, document
    return [one["field"] for one in document["field"]]


LATER = "2026-11-20T09:00:00+04:00"


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"programmes": ["gout"]}, ["/programmes"]),
        ({"programmes": ["cgm", "cgm"]}, ["/programmes"]),
        ({"time_zone": "Europe/Atlantis"}, ["/time_zone"]),
        ({"time_zone": "Europe"}, ["/time_zone"]),
        ({"time_zone": "../etc/passwd"}, ["/time_zone"]),
        ({"language": "de"}, ["/language"]),
        ({"consent": {"given_at": "2026-11-01T09:00:00"}}, ["/consent/given_at"]),
        ({"consent": {"given_at": "0001-01-01T00:00:00+14:00"}}, ["/consent/given_at"]),
        ({"consent": {"given_at": 1793509200}}, ["/consent/given_at"]),
        ({"consent": {"given_at": LATER, "withdrawn_at": "2026-11-19T09:00:00+04:00"}}, ["/consent"]),
        ({"emergency_text": ""}, ["/emergency_text"]),
        ({"emergency_text": 112}, ["/emergency_text"]),
        ({"emergency_text": "Ring 112\0"}, ["/emergency_text"]),
        ({"emergency_text": "\ufffd\ufffd\ufffd 112"}, ["/emergency_text"]),
        ({"language": "de", "time_zone": "x"}, ["/time_zone", "/language"]),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value)[:60],
)
def test_r84_a_subject_that_cannot_be_is_refused_field_by_field(
    running: InProcess, change: dict[str, Any], fields: list[str]
) -> None:
    assert faults(running.call("PUT", "/v1/subjects/S-0002", SUBJECT | change)) == fields


def test_p5_a_withdrawal_is_now_and_not_later(pma: InProcess) -> None:
    """It stops everything when it is put: what was to go on until next week would stop today."""
    for ahead, status in ((timedelta(days=7), 422), (timedelta(hours=12), 201)):
        consent = SUBJECT["consent"] | {"withdrawn_at": (datetime.now(UTC) + ahead).isoformat()}
        answer = pma.call("PUT", S, SUBJECT | {"consent": consent})
        assert answer[0] == status
    later = SUBJECT["consent"] | {"withdrawn_at": "2190-01-01T00:00:00Z"}
    assert faults(pma.call("PUT", S, SUBJECT | {"consent": later})) == ["/consent/withdrawn_at"]


def test_every_field_of_a_subject_is_needed_but_the_emergency_text(running: InProcess) -> None:
    assert faults(running.call("PUT", "/v1/subjects/S-0002", {})) == [
        "/programmes", "/time_zone", "/language", "/consent",
    ]  # fmt: skip


@pytest.mark.parametrize("zone", ["UTC", "Europe/Samara", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_zones_of_the_database_are_accepted(running: InProcess, zone: str) -> None:
    assert running.call("PUT", "/v1/subjects/S-20N3", SUBJECT | {"time_zone": zone})[0] in (200, 201)


@pytest.mark.parametrize(
    "token",
    ["ivanov@example.org", "79161234567", "123-456-789.01", "Иванов", "-x", "x", "a" * 65, "a b"],
    ids=["e-mail", "phone", "insurance number", "name", "no letter first", "short", "long", "space"],
)
def test_r87_a_subject_is_a_pseudonym(running: InProcess, token: str) -> None:
    answer = running.call("PUT", f"/v1/subjects/{quote(token)}", SUBJECT)
    assert faults(answer) == ["path:subject"]
    assert token not in json.dumps(answer[1], ensure_ascii=False)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"], ids=["none", "torn", "list", "null", "no text"])
def test_a_body_that_is_no_object_is_refused(running: InProcess, body: bytes) -> None:
    sent = {"authorization": f"Bearer {a_token()}"}
    made = event("PUT", S, body=body, headers=sent, binary=True)
    answer = handle(made, Context())  # type: ignore[arg-type]
    assert answer["statusCode"] == 422
    assert [one["field"] for one in json.loads(answer["body"])["field"]] == [""]


@pytest.mark.parametrize(
    ("path", "body", "again"),
    [
        (S, SUBJECT, '"consent": null'),
        (f"{S}/care-plan", PLAN, '"rules": []'),
        (f"{S}/care-plan/dry-run", {"plan": PLAN}, '"days": 1, "days": 2'),
    ],
    ids=["consent", "rules", "days"],
)
def test_r84_a_field_that_is_there_twice_is_refused(pma: InProcess, path: str, body: Any, again: str) -> None:
    """Whoever wrote it meant one of the two, and we do not know which."""
    pma.call("PUT", S, SUBJECT)
    method = "POST" if path.endswith("dry-run") else "PUT"
    answer = pma.call(method, path, f"{json.dumps(body)[:-1]}, {again}}}".encode())
    assert faults(answer) == [""]
    assert "more than once" in answer[1]["field"][0]["message"]
    assert pma.call("GET", S)[1]["consent"] == SUBJECT["consent"]
    assert pma.call("GET", f"{S}/care-plan")[0] == 404


def test_a_body_over_64_kb_is_refused(running: InProcess) -> None:
    status, document, _ = running.call("PUT", S, SUBJECT | {"emergency_text": "x" * 70_000})
    assert (status, document["code"]) == (413, "too-much")


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_a_body_is_json(running: InProcess, media_type: str) -> None:
    assert running.call("PUT", S, SUBJECT, content_type=media_type)[0] in (200, 201)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_of_another_kind_is_refused(running: InProcess, media_type: str) -> None:
    status, document, _ = running.call("PUT", S, SUBJECT, content_type=media_type)
    assert (status, document["code"]) == (415, "not-json")


def test_r84_a_parameter_that_nobody_reads_is_refused(running: InProcess) -> None:
    assert faults(running.call("GET", f"{S}?fields=id")) == ["query:fields"]
    assert faults(running.call("GET", "/v1/quarantine?limit=1&from=2026-11-01T00:00:00Z")) == ["query:from"]


def test_r84_a_body_that_nobody_reads_is_refused(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    for method, path in (("DELETE", S), ("GET", S), ("POST", f"{E}/enable")):
        assert faults(pma.call(method, path, {"dry_run": True})) == [""]
    assert pma.call("GET", S, {})[0] == 200
    empty = event("GET", S, body=b"{}", headers={"authorization": f"Bearer {a_token()}"}, binary=True)
    assert handle(empty, Context())["statusCode"] == 200  # type: ignore[arg-type]


def test_r90_no_answer_is_left_in_a_cache(pma: InProcess) -> None:
    for method, path, body in (
        ("PUT", S, SUBJECT), ("GET", S, None), ("HEAD", S, None), ("PUT", f"{S}/contacts", CONTACTS),
        ("GET", "/v1/people", None), ("OPTIONS", S, None), ("PUT", S, {}),
    ):  # fmt: skip
        assert pma.call(method, path, body)[2]["cache-control"] == "no-store"


def test_a_route_that_is_none_says_so_as_a_problem(running: InProcess) -> None:
    status, document, headers = running.call("GET", "/v1/people", None)
    assert (status, document["code"], headers["content-type"]) == (404, "no-route", "application/problem+json")


def test_a_method_that_a_route_lacks_is_405_and_says_which_it_has(running: InProcess) -> None:
    status, document, headers = running.call("PATCH", S, {})
    assert (status, document["code"], headers["allow"]) == (405, "no-method", "DELETE, GET, HEAD, OPTIONS, PUT")
    status, document, headers = running.call("OPTIONS", f"{S}/contacts")
    assert (status, document, headers["allow"]) == (204, None, "OPTIONS, PUT")


def test_head_says_what_get_says_without_the_body(running: InProcess) -> None:
    running.call("PUT", S, SUBJECT)
    (status, shown, headers), (head_status, nothing, head_headers) = running.call("GET", S), running.call("HEAD", S)
    assert (head_status, nothing, head_headers["etag"]) == (status, None, headers["etag"])
    assert shown is not None


def test_p10_a_rule_that_no_clock_would_watch_is_refused(running: InProcess) -> None:
    silent = {"id": "silent", "kind": "weight", "severity": "warning", "when": {"missing_for": "P2D"}}
    if running.call("GET", S)[0] == 404:
        enrol(running)
    plan = PLAN | {"rules": [*PLAN["rules"], silent]}
    assert faults(running.call("PUT", f"{S}/care-plan", plan)) == [f"/rules/{len(PLAN['rules'])}/when"]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"patient": []}, ["/patient"]),
        ({"doctor": []}, ["/doctor"]),
        ({"patient": [{"channel": "sms", "address": "89161234567"}]}, ["/patient/0"]),
        ({"patient": [{"channel": "sms"}]}, ["/patient/0"]),
        ({"patient": [{"channel": "email", "address": "a@b.example"}]}, ["/patient/0"]),
        ({"patient": [{"channel": "push"}]}, ["/patient/0"]),
        ({"doctor": [{"channel": "topic", "address": "x"}]}, ["/doctor/0"]),
        ({"doctor": [{"channel": "pigeon"}]}, ["/doctor/0/channel"]),
        ({"head": [{"channel": "push", "address": "x" * 500}] * 9}, [""]),
    ],
    ids=["nobody", "no doctor", "local number", "no number", "no e-mail", "no app", "topic", "channel", "too much"],
)
def test_contacts_that_reach_nobody_are_refused(running: InProcess, change: dict[str, Any], fields: list[str]) -> None:
    running.call("PUT", S, SUBJECT)
    answer = running.call("PUT", f"{S}/contacts", CONTACTS | change)
    assert faults(answer)[0] == fields[0]
    assert "89161234567" not in json.dumps(answer[1])


def test_every_channel_that_reaches_anybody_is_accepted_and_sealed(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    patient = [
        {"channel": "push", "address": "arn:aws:sns:eu-central-1:1:endpoint/GCM/app/x"},
        {"channel": "sms", "address": "+15005550001"},
    ]
    assert pma.call("PUT", f"{S}/contacts", {"patient": patient, "doctor": [{"channel": "topic"}]})[0] == 204
    stored = str(aws_client("dynamodb").scan(TableName="contacts")["Items"])
    assert "+15005550001" not in stored
    assert "GCM" not in stored


def test_put_again_changes_nothing_and_an_edit_makes_a_version(pma: InProcess) -> None:
    for path, body, changed in (
        (S, SUBJECT, SUBJECT | {"language": "en"}),
        (D, DEVICE, DEVICE | {"lot": "L8"}),
        (E, ENDPOINT, ENDPOINT | {"window_seconds": 20}),
    ):
        first = pma.call("PUT", path, body)
        assert (first[0], first[2]["etag"]) == (201, '"1"')
        again = pma.call("PUT", path, body)
        assert again[2]["etag"] == '"1"'
        edited = pma.call("PUT", path, changed)
        assert (edited[0], edited[2]["etag"]) == (200, '"2"')
    pma.call("PUT", f"{S}/care-plan", PLAN)
    assert pma.call("PUT", f"{S}/care-plan", PLAN)[0] == 200
    changed_plan = PLAN | {"author": "doc-13"}
    assert pma.call("PUT", f"{S}/care-plan", changed_plan)[2]["etag"] == '"2"'
    versions = pma.call("GET", f"{S}/care-plan/versions")[1]
    assert [(one["version"], one["plan"]["author"]) for one in versions["items"]] == [(2, "doc-13"), (1, "doc-12")]
    assert versions["next"] is None


@pytest.mark.parametrize(
    ("path", "body", "changed"),
    [
        (S, SUBJECT, SUBJECT | {"language": "en"}),
        (D, DEVICE, DEVICE | {"lot": "L8"}),
        (E, ENDPOINT, ENDPOINT | {"window_seconds": 20}),
        (f"{S}/care-plan", PLAN, PLAN | {"author": "doc-13"}),
    ],
    ids=["subject", "device", "endpoint", "care plan"],
)
def test_r86_an_edit_of_a_version_that_is_no_longer_the_newest_is_refused(
    pma: InProcess, path: str, body: dict[str, Any], changed: dict[str, Any]
) -> None:
    pma.call("PUT", S, SUBJECT)
    assert pma.call("PUT", path, changed, if_match='"7"')[0] == 412
    etag = pma.call("PUT", path, body)[2]["etag"]
    assert pma.call("PUT", path, changed, if_match=etag)[0] == 200
    status, document, _ = pma.call("PUT", path, body, if_match=etag)
    assert (status, document["code"]) == (412, "stale-version")
    assert pma.call("PUT", path, changed, if_match=etag)[0] == 200, "said again, it is done already"
    assert faults(pma.call("PUT", path, body, if_match="W/x")) == ["header:if-match"]


def test_r86_a_star_means_whatever_is_there_but_something(pma: InProcess) -> None:
    for path, body in ((S, SUBJECT), (D, DEVICE), (E, ENDPOINT), (f"{S}/care-plan", PLAN)):
        assert pma.call("PUT", path, body, if_match="*")[0] == 412, "nothing is there to be edited"
        assert pma.call("PUT", path, body)[0] == 201
    assert pma.call("PUT", E, ENDPOINT | {"window_seconds": 20}, if_match="*")[0] == 200
    assert pma.call("DELETE", E, if_match="*")[0] == 204


def test_a_serial_belongs_to_the_organisation_that_enrolled_it_first(pma: InProcess) -> None:
    assert pma.call("PUT", D, DEVICE)[0] == 201
    status, document, _ = pma.call("PUT", D, DEVICE, client="client-b")
    assert (status, document["code"]) == (409, "serial-taken")
    assert pma.call("GET", D, client="client-b")[0] == 404


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"profile": "abacus"}, ["/profile"]),
        ({"class": "magic"}, ["/class"]),
        ({"profile": "bracelet"}, ["/class"]),
        ({"gateway": "BP-00017"}, ["/gateway"]),
        ({"gateway": "PHONE-404"}, ["/gateway"]),
        ({"gateway": "SCALE-1"}, ["/gateway"]),
        ({"gateway": "a.b"}, ["/gateway"]),
        ({"cloud": "CLOUD-404"}, ["/cloud"]),
        ({"cloud": "SCALE-1", "gateway": "SCALE-1"}, ["/gateway", "/cloud"]),
        ({"roster": ["S-7F3A"]}, ["/roster"]),
        ({"profile": "health-post", "roster": ["S-404"]}, ["/roster"]),
        ({"profile": "health-post", "roster": ["S-7F3A", "S-7F3A"]}, ["/roster"]),
        ({"profile": "health-post", "roster": ["x"]}, ["/roster/0"]),
        ({"lot": ""}, ["/lot"]),
        ({"lot": "L7\x1b"}, ["/lot"]),
        ({"lot": "ivanov@example.org"}, ["/lot"]),
        ({"lot": "Ivanov, I. 8 916 123 45 67"}, ["/lot"]),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value),
)
def test_r84_a_device_that_cannot_be_is_refused_field_by_field(
    running: InProcess, change: dict[str, Any], fields: list[str]
) -> None:
    running.call("PUT", S, SUBJECT)
    running.call("PUT", "/v1/devices/SCALE-1", DEVICE | {"profile": "scale"})
    assert faults(running.call("PUT", "/v1/devices/BP-00018", DEVICE | change)) == fields


def test_gateways_carry_and_health_posts_have_a_roster(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    assert pma.call("PUT", "/v1/devices/PHONE-1", {"profile": "phone", "class": "medical"})[0] == 201
    assert pma.call("PUT", D, DEVICE | {"gateway": "PHONE-1"})[1]["gateway"] == "PHONE-1"
    assert pma.call("PUT", "/v1/devices/CLOUD-1", {"profile": "phone", "class": "medical"})[0] == 201
    assert pma.call("PUT", D, DEVICE | {"gateway": "PHONE-1", "cloud": "CLOUD-1"})[1]["cloud"] == "CLOUD-1"
    assert pma.call("GET", D)[1]["cloud"] == "CLOUD-1"
    post = {"profile": "health-post", "class": "medical", "roster": ["S-7F3A"]}
    assert pma.call("PUT", "/v1/devices/POST-1", post)[1]["roster"] == ["S-7F3A"]
    assert pma.call("PUT", "/v1/devices/B-1", {"profile": "bracelet", "class": "auxiliary"})[0] == 201
    assert faults(pma.call("PUT", "/v1/devices/a.b", DEVICE)) == ["path:serial"]
    assert pma.call("PUT", "/v1/devices/00%3A1A%3A7D", DEVICE)[1]["serial"] == "00:1A:7D"


def test_r87_a_lot_is_as_its_maker_counts(pma: InProcess) -> None:
    for lot in ("2026051700012345", "123-45-6789", "LOT 8 916 123 45 67", "Партия 7/А"):
        assert pma.call("PUT", D, DEVICE | {"lot": lot})[1]["lot"] == lot


def test_an_edit_of_a_device_keeps_who_held_it(pma: InProcess) -> None:
    enrol(pma)
    assert len(pma.call("PUT", D, DEVICE | {"lot": "L8"})[1]["assignments"]) == 1


def test_r85_an_assignment_that_is_asked_for_twice_is_one(pma: InProcess) -> None:
    first = enrol(pma)
    moscow = ASSIGNMENT | {"from": "2026-11-01T08:00:00+03:00"}
    assert pma.call("POST", f"{D}/assignments", moscow)[1]["id"] == first, "the same instant"
    ended = pma.call("POST", f"{D}/assignments/{first}/end", {"to": LATER})
    assert pma.call("POST", f"{D}/assignments/{first}/end", {"to": LATER}) == ended
    status, again, _ = pma.call("POST", f"{D}/assignments", ASSIGNMENT)
    assert (status, again["to"]) == (201, LATER), "a late repeat opens nothing again (R29)"
    assert pma.call("GET", D)[1]["version"] == 3


@pytest.mark.parametrize(
    ("change", "status", "what"),
    [
        ({"from": LATER}, 409, "assignment-overlap"),
        ({"from": LATER, "subject": "S-0003"}, 409, "assignment-overlap"),
        ({"subject": "S-404"}, 422, ["/subject"]),
        ({"subject": "?"}, 422, ["/subject"]),
        ({"slot": 1}, 422, ["/slot"]),
        ({"slot": True}, 422, ["/slot"]),
        ({"slot": 0}, 422, ["/slot"]),
        ({"to": "2026-11-01T09:00:00+04:00"}, 422, [""]),
        ({"from": "yesterday"}, 422, ["/from"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_an_assignment_that_cannot_be_is_refused(
    pma: InProcess, change: dict[str, Any], status: int, what: object
) -> None:
    enrol(pma)
    pma.call("PUT", "/v1/subjects/S-0003", SUBJECT)
    answer = pma.call("POST", f"{D}/assignments", ASSIGNMENT | change)
    assert answer[0] == status
    assert (answer[1]["code"] if status == 409 else faults(answer)) == what


def test_c26_a_shared_device_is_assigned_by_slot(pma: InProcess) -> None:
    for subject in ("S-0000", "S-0001", "S-0002"):
        pma.call("PUT", f"/v1/subjects/{subject}", SUBJECT)
    shared = DEVICE | {"profile": "tonometer-shared"}
    pma.call("PUT", D, shared)
    for slot, subject in ((0, "S-0000"), (1, "S-0001"), (2, "S-0002")):  # some devices count their users from 0
        assert pma.call("POST", f"{D}/assignments", ASSIGNMENT | {"subject": subject, "slot": slot})[0] == 201
    assert faults(pma.call("POST", f"{D}/assignments", ASSIGNMENT | {"subject": "S-0001", "slot": 3})) == ["/slot"]
    assert pma.call("POST", f"{D}/assignments", ASSIGNMENT | {"subject": "S-0001"})[0] == 409
    assert faults(pma.call("PUT", D, DEVICE)) == ["/profile"]


@pytest.mark.parametrize(
    "token", ["Иван Петров", "ivan@mail", "+79161234567", "..", "x" * 3000], ids=lambda one: one[:12]
)
@pytest.mark.parametrize(
    "route",
    ["GET /v1/subjects/{}", "PUT /v1/subjects/{}/contacts", "GET /v1/devices/{}", "DELETE /v1/endpoints/{}",
     "POST /v1/alerts/{}/acknowledge", "POST /v1/gateways/{}/revoke"],
)  # fmt: skip
def test_r84_r87_what_can_be_no_id_is_neither_looked_up_nor_written_down(
    pma: InProcess, route: str, token: str
) -> None:
    """A key of a table has its limits, and a name has no place in an audit that nobody can change."""

    registry = wired().registry

    class AskedForTheCaller:
        def __getattr__(self, name: str) -> Any:
            assert name.startswith("organisation"), name
            return getattr(registry, name)

    method, path = route.split()
    with pma.wired(registry=AskedForTheCaller(), duty_queue=None):
        status, document, _ = pma.call(method, path.format(quote(token)), CONTACTS)
    assert (status, document["code"]) in ((404, "not-found"), (422, "invalid-request"))
    assert aws_client("dynamodb").scan(TableName="audit")["Items"] == []


@pytest.mark.parametrize("path", ["/v1/devices/BP-404/assignments", f"{D}/assignments/a-404/end"])
def test_what_is_not_enrolled_is_not_found(running: InProcess, path: str) -> None:
    running.call("PUT", D, DEVICE)
    body = {"to": LATER} if path.endswith("end") else ASSIGNMENT
    assert running.call("POST", path, body)[0] == 404


def test_a_subject_without_a_plan_of_its_own_has_none(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    assert pma.call("GET", f"{S}/care-plan")[0] == 404
    assert pma.call("GET", f"{S}/care-plan/versions")[1] == {"items": [], "next": None}
    assert faults(pma.call("PUT", f"{S}/care-plan", PLAN | {"author": "Dr. Ivanova"})) == ["/author"]


def test_an_endpoints_secret_is_shown_once(pma: InProcess) -> None:
    status, made, _ = pma.call("PUT", E, ENDPOINT)
    assert status == 201
    secret = made.pop("secret")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert made == ENDPOINT | {"id": "mis-1", "state": "enabled", "version": 1}
    assert pma.call("PUT", E, ENDPOINT)[1] == pma.call("GET", E)[1] == made
    kept = aws_client("secretsmanager").list_secrets()["SecretList"]
    assert [one["Name"].rpartition("/")[0] for one in kept] == ["pma-test/endpoint/clinic-a/mis-1"]
    assert pma.call("DELETE", E)[0] == 204
    assert pma.call("GET", E)[0] == 404
    assert aws_client("secretsmanager").list_secrets()["SecretList"] == []
    assert pma.call("PUT", E, ENDPOINT)[1]["secret"] != secret


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"url": "http://mis.example/pma"}, ["/url"]),
        ({"url": "https://user:pass@mis.example/"}, ["/url"]),
        ({"url": "https://mis.example/#x"}, ["/url"]),
        ({"url": "https://mis.example:99999/"}, ["/url"]),
        ({"url": "https://[::1"}, ["/url"]),
        ({"url": "https:///pma"}, ["/url"]),
        ({"url": "https://mis.example/a b"}, ["/url"]),
        ({"url": "https://больница.рф/"}, ["/url"]),
        ({"url": "ftp://mis.example/"}, ["/url"]),
        ({"kinds": ["mood"]}, ["/kinds"]),
        ({"kinds": []}, ["/kinds"]),
        ({"programmes": ["gout"]}, ["/programmes"]),
        ({"window_seconds": 0}, ["/window_seconds"]),
        ({"window_seconds": 301}, ["/window_seconds"]),
        ({"shards": 65}, ["/shards"]),
        ({"mode": "thin"}, ["/mode"]),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value),
)
def test_r84_an_endpoint_that_cannot_be_is_refused_field_by_field(
    running: InProcess, change: dict[str, Any], fields: list[str]
) -> None:
    assert faults(running.call("PUT", "/v1/endpoints/mis-2", ENDPOINT | change)) == fields


def test_plain_http_is_for_one_machine_only(pma: InProcess) -> None:
    loopback = ENDPOINT | {"url": "http://127.0.0.1:9000/"}
    assert faults(pma.call("PUT", E, loopback)) == ["/url"]
    with pma.settings(allow_insecure_endpoints="yes"):
        assert pma.call("PUT", E, loopback)[0] == 201
    assert faults(pma.call("PUT", "/v1/endpoints/-", ENDPOINT)) == ["path:endpoint"]


def test_an_endpoints_shards_are_for_ever(pma: InProcess) -> None:
    pma.call("PUT", E, ENDPOINT)
    status, document, _ = pma.call("PUT", E, ENDPOINT | {"shards": 2})
    assert (status, document["code"]) == (409, "shards-fixed")
    assert pma.call("DELETE", E, if_match='"2"')[0] == 412


NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def identity(one: Observation) -> Identity:
    return Identity(one.organisation, one.subject, one.kind, one.device_time, one.id)


def store(*observations: Observation) -> None:
    wired().observations.put([(row_key(identity(one)), one) for one in observations])


def measured(minutes_ago: int, **facts: Any) -> Observation:
    at = NOW - timedelta(minutes=minutes_ago)
    return an_observation(measured_at=at, device_time=at, received_at=NOW, **facts)


def test_observations_are_read_back_as_the_contract_shows_them(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    one = measured(1, tags=frozenset({"late"}), flags=("movement",), context={"posture": "sitting"})
    store(one)
    wired().observations.add_path(row_key(identity(one)), "PHONE-1", NOW)
    assert pma.call("GET", f"{S}/observations")[1] == {
        "items": [
            {
                "id": one.id,
                "subject": "S-7F3A",
                "kind": "blood-pressure",
                "values": {
                    "systolic": {"value": "122", "unit": "mm[Hg]"},
                    "diastolic": {"value": "78", "unit": "mm[Hg]"},
                    "pulse": {"value": "68", "unit": "/min"},
                },
                "measured_at": "2026-11-22T08:59:00+00:00",
                "device_time": "2026-11-22T08:59:00+00:00",
                "received_at": "2026-11-22T09:00:00+00:00",
                "device": "BP-00017",
                "origin": "device",
                "tags": ["late"],
                "flags": ["movement"],
                "context": {"posture": "sitting"},
                "paths": ["PHONE-1"],
                "version": 2,
            }
        ],
        "next": None,
    }


def test_f10_a_summary_shows_what_the_readings_say_together(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    now = clock()
    assert pma.call("GET", f"{S}/summary")[1] == {"subject": "S-7F3A", "time_zone": "Europe/Samara", "derived": []}
    newest = now - timedelta(minutes=1)
    store(
        *(
            an_observation(measured_at=at, values={"systolic": Decimal(value), "diastolic": Decimal(80)})
            for hours, value in [(166, 190), (165, 190), *((hours, 132) for hours in range(0, 120, 10))]
            for at in [newest - timedelta(hours=hours)]
        )
    )
    pressure, days = pma.call("GET", f"{S}/summary")[1]["derived"]
    assert pressure == {
        "kind": "mean-pressure",
        "period": {"from": (newest - timedelta(days=7)).isoformat(), "to": newest.isoformat()},
        "count": 12,
        "values": {"systolic": {"value": "132.0", "unit": "mm[Hg]"}, "diastolic": {"value": "80.0", "unit": "mm[Hg]"}},
        "auxiliary": False,
        "version": 14,
    }
    assert (days["kind"], days["count"], days["values"]["days"]["unit"]) == ("days-transmitted", 14, "d")
    assert pma.call("GET", "/v1/subjects/S-none/summary")[0] == 404


def test_lists_are_paged_by_an_opaque_cursor_and_narrowed_by_kind_and_time(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    store(*(measured(minutes) for minutes in range(7)))
    store(measured(3, kind="heart-rate", values={"rate": Decimal(70)}))
    seen, path = [], f"{S}/observations?kind=blood-pressure&limit=3"
    status, listed, _ = pma.call("GET", path)
    while status == 200:
        seen += [one["measured_at"] for one in listed["items"]]
        if listed["next"] is None:
            break
        status, listed, _ = pma.call("GET", f"{path}&cursor={quote(listed['next'])}")
    assert len(seen) == len(set(seen)) == 7
    assert seen == sorted(seen, reverse=True)
    window = "from=2026-11-22T08:56:00%2B00:00&to=2026-11-22T12:58:00%2B04:00"
    assert len(pma.call("GET", f"{S}/observations?{window}")[1]["items"]) == 3


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=mood", "query:kind"),
        ("limit=0", "query:limit"),
        ("limit=", "query:limit"),
        ("limit=501", "query:limit"),
        ("limit=many", "query:limit"),
        ("from=yesterday", "query:from"),
        ("to=2026-13-01T00:00:00Z", "query:to"),
        ("cursor=x", "query:cursor"),
    ],
)
@pytest.mark.parametrize("what", ["observations", "alerts", "decisions"])
def test_a_question_that_cannot_be_is_refused(running: InProcess, what: str, query: str, field: str) -> None:
    running.call("PUT", S, SUBJECT)
    assert faults(running.call("GET", f"{S}/{what}?{query}")) == [field]


def test_alerts_are_read_back_as_the_contract_shows_them(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    raised = an_alert(resolved_at=None)
    ended = an_alert(id="another", state="resolved", outcome="resolved", resolved_at=raised.raised_at)
    for alert in (raised, ended):
        aws_client("dynamodb").put_item(TableName="alerts", Item=encode_item(alert_item(alert)))
    listed = pma.call("GET", f"{S}/alerts")[1]["items"]
    assert {one["id"] for one in listed} == {raised.id, "another"}
    (shown,) = [one for one in listed if one["id"] == raised.id]
    assert shown == {
        "id": raised.id,
        "version": raised.version,
        "subject": raised.subject,
        "rule": raised.rule,
        "severity": raised.severity,
        "category": "physiological",
        "state": raised.state,
        "outcome": None,
        "raised_at": raised.raised_at.isoformat(),
        "resolved_at": None,
        "observation": raised.observation,
        "plan_version": raised.plan_version,
        "acknowledged": None,
        "snoozed_until": None,
    }


def set_aside(number: int, organisation: str = "clinic-a", payload: bytes | None = b"\xff{") -> SetAside:
    return SetAside(
        id=deterministic_id(organisation, str(number)),
        organisation=organisation,
        reason="malformed",
        detail="the message is not JSON",
        thing="BP-00017",
        device=None,
        topic="dt/pma/BP-00017/readings",
        received_at=NOW - timedelta(minutes=number),
        payload=payload,
    )


def test_the_quarantine_shows_an_organisation_its_own_with_the_exact_bytes(pma: InProcess) -> None:
    wired().quarantine.put([set_aside(1), set_aside(2, payload=None), set_aside(3, "clinic-b"), set_aside(4, NOBODY)])
    listed = pma.call("GET", "/v1/quarantine")[1]
    assert listed["next"] is None
    assert [one["payload"] for one in listed["items"]] == [base64.b64encode(b"\xff{").decode(), None]
    assert listed["items"][0] == {
        "id": set_aside(1).id,
        "reason": "malformed",
        "detail": "the message is not JSON",
        "thing": "BP-00017",
        "device": None,
        "profile": None,
        "topic": "dt/pma/BP-00017/readings",
        "received_at": "2026-11-22T08:59:00+00:00",
        "payload": "/3s=",
    }


def test_the_log_of_a_lane_is_read_as_it_would_be_sent_now(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    pma.call("PUT", D, DEVICE)
    pma.call("PUT", E, ENDPOINT)
    rows = [measured(minutes) for minutes in range(3)]
    store(*rows)
    lane = Lane("clinic-a", "mis-1", "observations-0")
    log = Deliveries(aws_client("dynamodb"), "deliveries", days=30)
    for one in rows:
        key = row_key(Identity(one.organisation, one.subject, one.kind, one.device_time, one.id))
        log.append(lane, [Reference("observation", *key)], seen=log.progress(lane), rung_at=NOW, behind=False, now=NOW)
    log.record([Attempt("w-1", NOW, lane, 1, 200, 31, None), Attempt("w-2", NOW, lane, 2, None, 9, "refused")])

    first = pma.call("GET", f"{E}/deliveries?shard=observations-0&limit=2")[1]
    assert [(one["id"], one["shard"], one["sequence"]) for one in first["items"]] == [
        (webhook_id(lane, number), "observations-0", number) for number in (1, 2)
    ]
    assert first["items"][0]["body"]["resourceType"] == "Bundle"
    assert rows[0].id in json.dumps(first["items"][0]["body"])
    rest = pma.call("GET", f"{E}/deliveries?shard=observations-0&limit=2&cursor={first['next']}")[1]
    assert ([one["sequence"] for one in rest["items"]], rest["next"]) == ([3], None)
    assert pma.call("GET", f"{E}/deliveries?shard=observations-0&after=2")[1] == rest
    assert faults(pma.call("GET", f"{E}/deliveries?shard=observations-1&after=x")) == ["query:shard", "query:after"]

    page = pma.call("GET", f"{E}/attempts?limit=1")[1]
    last = pma.call("GET", f"{E}/attempts?limit=1&cursor={page['next']}")[1]
    assert [one["error"] for one in page["items"] + last["items"]] == ["refused", None]
    assert last["next"] is None
    assert last["items"][0] == {
        "id": "w-1", "shard": "observations-0", "sequence": 1, "at": "2026-11-22T09:00:00+00:00",
        "status": 200, "ms": 31, "error": None,
    }  # fmt: skip


def test_a_withdrawn_consent_leaves_nothing_in_the_log(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT | {"consent": SUBJECT["consent"] | {"withdrawn_at": LATER}})
    pma.call("PUT", E, ENDPOINT)
    one = measured(1)
    store(one)
    key = row_key(Identity(one.organisation, one.subject, one.kind, one.device_time, one.id))
    lane = Lane("clinic-a", "mis-1", "observations-0")
    log = Deliveries(aws_client("dynamodb"), "deliveries", days=30)
    log.append(lane, [Reference("observation", *key)], seen=log.progress(lane), rung_at=NOW, behind=False, now=NOW)
    (delivery,) = pma.call("GET", f"{E}/deliveries?shard=observations-0")[1]["items"]
    assert delivery["body"].get("entry", []) == []


def test_who_keeps_losing_the_race_is_asked_to_try_again(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    with pma.wired(registry=Loser(aws_client("dynamodb"), "registry")):
        status, document, headers = pma.call("PUT", S, SUBJECT | {"language": "en"})
    assert (status, document["code"], headers["retry-after"]) == (503, "try-again", "1")


class Loser(Registry):
    """A registry in which somebody else always writes first."""

    def put_subject(self, subject: Subject, told: ConsentTold | None = None) -> None:
        super().put_subject(subject, told)
        super().put_subject(replace(subject, emergency_text="112", version=subject.version + 1))
        raise LostRace("as ever")

    def put_endpoint(self, endpoint: Endpoint) -> None:
        super().put_endpoint(endpoint)
        raise LostRace("as ever")


def test_of_two_who_make_an_endpoint_at_once_the_loser_leaves_no_secret(pma: InProcess) -> None:
    with pma.wired(registry=Loser(aws_client("dynamodb"), "registry")):
        status, made, _ = pma.call("PUT", E, ENDPOINT)
    assert status == 200
    assert "secret" not in made
    assert aws_client("secretsmanager").list_secrets()["SecretList"] == []


def test_no_log_holds_what_a_request_said(pma: InProcess, capfd: pytest.CaptureFixture[str]) -> None:
    """R88: not a body's values, not a subject's token, not a bearer's token, not in a refusal either."""
    canary = "canary-7f3a9"
    pma.call("PUT", f"/v1/subjects/{canary}", SUBJECT | {"emergency_text": canary})
    pma.call("PUT", f"/v1/subjects/{canary}", SUBJECT | {"language": canary, canary: canary})
    pma.call("PUT", f"/v1/subjects/{canary}/contacts", {"patient": [{"channel": "sms", "address": canary}]})
    pma.call("GET", f"/v1/subjects/{canary}", authorization=f"Bearer {canary}")
    shown = capfd.readouterr()
    assert canary not in shown.out + shown.err


def test_the_keys_are_those_of_the_pool_that_the_settings_name(running: InProcess) -> None:
    fresh = Wired(wired().settings)
    assert fresh.tokens.url.endswith("/eu-central-1_pool/.well-known/jwks.json")
    assert fresh.tokens.issuer == ISSUER
