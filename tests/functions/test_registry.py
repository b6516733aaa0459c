"""The API from a request to the tables and back."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.in_process import InProcess, a_token, api

SUBJECT = {
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
DEVICE = {"profile": "tonometer", "class": "medical", "lot": "L7", "gateway": None}
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
def pma() -> Iterator[InProcess]:
    with api() as started:
        yield started


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
    assert device == DEVICE | {"serial": "BP-00017", "roster": [], "assignments": [held], "version": 2}
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


EVERY_ROUTE = {
    ("PUT", S): ("pma/enrol", SUBJECT),
    ("GET", S): ("pma/enrol", None),
    ("PUT", f"{S}/contacts"): ("pma/enrol", CONTACTS),
    ("PUT", D): ("pma/enrol", DEVICE),
    ("GET", D): ("pma/enrol", None),
    ("POST", f"{D}/assignments"): ("pma/enrol", ASSIGNMENT),
    ("POST", f"{D}/assignments/ASSIGNMENT/end"): ("pma/enrol", {"to": "2026-11-02T09:00:00+04:00"}),
    ("PUT", f"{S}/care-plan"): ("pma/care-plan", PLAN),
    ("GET", f"{S}/care-plan"): ("pma/care-plan", None),
    ("GET", f"{S}/care-plan/versions"): ("pma/care-plan", None),
    ("PUT", E): ("pma/endpoints", ENDPOINT),
    ("GET", E): ("pma/endpoints", None),
    ("GET", f"{S}/observations"): ("pma/read", None),
    ("GET", f"{S}/alerts"): ("pma/read", None),
    ("GET", "/v1/quarantine"): ("pma/read", None),
    ("DELETE", E): ("pma/endpoints", None),
}
routes = pytest.mark.parametrize(
    ("method", "path"), EVERY_ROUTE, ids=[f"{method} {path.removeprefix('/v1/')}" for method, path in EVERY_ROUTE]
)


def test_the_table_above_has_every_route() -> None:
    from functions.registry.handler import app

    served = {(route.method[0], route.path) for route in [*app._dynamic_routes, *app._static_routes]}
    assert len(served) == len(EVERY_ROUTE)


@routes
def test_r81_another_organisations_thing_is_not_found_and_not_touched(
    running: InProcess, method: str, path: str
) -> None:
    """clinic-b asks for what clinic-a enrolled. What only clinic-b could own is made for it, and stays its own."""
    running.call("PUT", E, ENDPOINT)
    if running.call("GET", S)[0] == 404:
        enrol(running)
    before = [running.call("GET", one)[1] for one in (S, D, E, f"{S}/care-plan")]
    assignment = before[1]["assignments"][0]["id"]
    _, body = EVERY_ROUTE[method, path]
    status, document, _ = running.call(method, path.replace("ASSIGNMENT", assignment), body, client="client-b")
    own = {("PUT", S): 201, ("PUT", E): 201, ("GET", "/v1/quarantine"): 200}
    taken = {("PUT", D): 409}
    assert status == (own | taken).get((method, path), 404)
    if status == 404:
        assert document["code"] == "not-found"
    if method == "PUT" and path in (S, E):
        other = running.call("GET", path, client="client-b")[1]
        assert other["version"] == 1
        remove(path)
    assert [running.call("GET", one)[1] for one in (S, D, E, f"{S}/care-plan")] == before


def remove(path: str) -> None:
    """Take away what clinic-b made, so that the next route starts where this one did."""
    from functions.registry.wiring import wired

    for pk, sk in [("clinic-b#subject#S-7F3A", "subject"), ("clinic-b#endpoints", "mis-1")]:
        wired().registry.client.delete_item(TableName="registry", Key={"pk": {"S": pk}, "sk": {"S": sk}})


@routes
def test_no_token_no_answer(running: InProcess, method: str, path: str) -> None:
    for authorization in ("", "Basic abc", "Bearer", "Bearer nonsense", f"Bearer {a_token(client_id='client-x')}"):
        status, document, headers = running.call(
            method, path, EVERY_ROUTE[method, path][1], authorization=authorization
        )
        assert (status, document["code"], headers["www-authenticate"]) == (401, "invalid-token", "Bearer")
        assert headers["content-type"] == "application/problem+json"


@routes
def test_each_route_has_its_scope(running: InProcess, method: str, path: str) -> None:
    needed, body = EVERY_ROUTE[method, path]
    others = " ".join({"pma/enrol", "pma/care-plan", "pma/read", "pma/endpoints", "pma/operate"} - {needed})
    status, document, headers = running.call(method, path, body, authorization=f"Bearer {a_token(scope=others)}")
    assert (status, document["code"]) == (403, "missing-scope")
    assert needed in headers["www-authenticate"]


@pytest.mark.parametrize(
    ("method", "path"),
    [key for key, (_, body) in EVERY_ROUTE.items() if body is not None],
    ids=lambda value: value.removeprefix("/v1/"),
)
def test_r84_an_unknown_field_is_refused_and_named(running: InProcess, method: str, path: str) -> None:
    if running.call("GET", S)[0] == 404:
        enrol(running)
    body = EVERY_ROUTE[method, path][1]
    status, document, headers = running.call(method, path, {**(body or {}), "surprise": 1})
    assert (status, headers["content-type"]) == (422, "application/problem+json")
    assert document["field"] == [{"field": "/surprise", "message": "there is no such field"}]


def faults(answer: tuple[int, Any, Any]) -> list[str]:
    status, document, _ = answer
    assert status == 422, document
    return [one["field"] for one in document["field"]]
