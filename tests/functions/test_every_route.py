"""Every route of docs/openapi.json: its token, its scope, its strictness, and what another organisation gets of it.

The rows are made from the document and its examples: a new route is in every table below at once.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from adapters.alerts import to_item
from adapters.aws import client as aws_client
from adapters.dynamodb import decode_item, encode_item
from domain.identity import deterministic_id
from domain.quarantine import SetAside
from functions.registry.handler import app
from functions.registry.wiring import wired
from ops.api_examples import EXAMPLES, THINGS
from tests.builders import NOW, an_alert
from tests.in_process import TABLES, InProcess, a_token, all_of, api
from tests.promises import DOCUMENT

ALL = {"pma/enrol", "pma/care-plan", "pma/read", "pma/acknowledge", "pma/endpoints", "pma/operate"}


@dataclass(frozen=True)
class Route:
    """One row: `path` is to be filled with the ids of things."""

    name: str
    method: str
    path: str
    query: str
    scope: str
    body: Any

    def address(self, things: dict[str, str]) -> str:
        filled = self.path
        for name, thing in things.items():
            filled = filled.replace(f"{{{name}}}", quote(thing, safe=""))
        assert "{" not in filled, f"{self.path}: ops/api_examples.py has no such thing"
        return filled + self.query


def every_route() -> Iterator[Route]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            needed = [one for one in operation.get("parameters", ()) if one["in"] == "query" and one["required"]]
            query = "&".join(f"{one['name']}={one['schema']['examples'][0]}" for one in needed)
            body = operation.get("requestBody", {"content": {"application/json": {"example": None}}})
            yield Route(
                operation["operationId"],
                method.upper(),
                path,
                f"?{query}" if query else "",
                operation["security"][0]["token"][0],
                body["content"]["application/json"]["example"],
            )


ROUTES = list(every_route())
routes = pytest.mark.parametrize("route", ROUTES, ids=[one.name for one in ROUTES])


@pytest.fixture(scope="module")
def pma() -> Iterator[InProcess]:
    with api() as started:
        yield started


@pytest.fixture(scope="module")
def theirs(pma: InProcess) -> dict[str, str]:
    return enrolled(pma)


def enrolled(pma: InProcess) -> dict[str, str]:
    """Something of clinic-a for every kind of id there is, and these ids."""
    things = dict(THINGS)

    def made(name: str, method: str, path: str, body: Any = None) -> Any:
        status, document, _ = pma.call(method, path.format(**things), EXAMPLES[name] if body is None else body)
        assert status in (200, 201, 204), (name, document)
        return document

    made("put_subject", "PUT", "/v1/subjects/{subject}")
    made("put_contacts", "PUT", "/v1/subjects/{subject}/contacts")
    made("put_care_plan", "PUT", "/v1/subjects/{subject}/care-plan")
    made("put_device", "PUT", "/v1/devices/{serial}")
    made("put_device", "PUT", "/v1/devices/{thing}", {"profile": "phone", "class": "auxiliary"})
    made("put_endpoint", "PUT", "/v1/endpoints/{endpoint}")
    things["assignment"] = made("post_assignment", "POST", "/v1/devices/{serial}/assignments")["id"]
    things["recall"] = made("post_recall", "POST", "/v1/recalls")["id"]
    things["alert"] = an_alert().id
    aws_client("dynamodb").put_item(
        TableName="alerts", Item=encode_item(to_item(an_alert(organisation="clinic-a", subject=things["subject"])))
    )
    things["quarantined"] = deterministic_id("clinic-a", "1")
    wired().quarantine.put(
        [
            SetAside(
                id=things["quarantined"],
                organisation="clinic-a",
                reason="malformed",
                detail="the message is not JSON",
                thing=things["serial"],
                device=None,
                topic="dt/pma/BP-00017/readings",
                received_at=NOW,
                payload=b"{",
            )
        ]
    )
    return things


def of_clinic_a() -> str:
    """All that any table holds of clinic-a, but for how often it asked."""
    found = [(table, decode_item(item)) for table in TABLES if table != "idempotency" for item in all_of(table)]
    return json.dumps(sorted(str(one) for one in found if str(one[1]["pk"]).startswith("clinic-a")), ensure_ascii=False)


@pytest.fixture
def clinic_b_has_nothing(pma: InProcess) -> Iterator[None]:
    yield
    pma.forget("clinic-b#")


def audit_of_clinic_b() -> list[dict[str, Any]]:
    return [decode_item(one) for one in all_of("audit") if "operation" in one]


OWN = {
    "put_subject": 201,
    "put_endpoint": 201,
    "put_device": 409,
    "post_recall": 201,
    "get_recalls": 200,
    "get_queue": 200,
    "get_days_transmitted": 200,
    "get_audit": 200,
    "get_subjects": 200,
    "get_quarantine": 200,
    "get_quarantine_counts": 200,
}
"""What is no question about another's thing: what clinic-b makes or lists is its own, a serial has one owner."""


def test_the_document_has_every_route_that_is_served() -> None:
    served = {("".join(route.method), route.openapi_path) for route in [*app._dynamic_routes, *app._static_routes]}
    assert served == {(one.method, one.path) for one in ROUTES}


@pytest.mark.usefixtures("clinic_b_has_nothing")
@routes
def test_r81_another_organisations_thing_is_not_found_and_not_touched(
    pma: InProcess, theirs: dict[str, str], route: Route
) -> None:
    before, audited = of_clinic_a(), audit_of_clinic_b()
    status, document, _ = pma.call(route.method, route.address(theirs), route.body, client="client-b")
    assert status == OWN.get(route.name, 404)
    if status == 404:
        assert document["code"] == "not-found"
        (row, *_) = (one for one in audit_of_clinic_b() if one not in audited and one["outcome"] != "asked")
        assert (row["actor"], row["operation"], row["outcome"]) == ("client-b", route.name, "not-found")
    if route.method == "GET" and status == 200:
        assert not any(thing in json.dumps(document) for thing in theirs.values())
    assert of_clinic_a() == before


@routes
def test_what_is_nowhere_is_answered_as_what_is_anothers(pma: InProcess, theirs: dict[str, str], route: Route) -> None:
    """Else a stranger would learn which ids there are."""
    if "{" not in route.path or route.name in OWN:
        return
    nowhere = {name: f"x{thing[1:]}" for name, thing in theirs.items()}
    foreign = pma.call(route.method, route.address(theirs), route.body, client="client-b")
    absent = pma.call(route.method, route.address(nowhere), route.body, client="client-b")
    assert foreign[:2] == absent[:2]


@routes
def test_no_token_no_answer(pma: InProcess, route: Route) -> None:
    for authorization in ("", "Basic abc", "Bearer", "Bearer nonsense", f"Bearer {a_token(client_id='client-x')}"):
        status, document, headers = pma.call(
            route.method, route.address(THINGS), route.body, authorization=authorization
        )
        assert (status, document["code"], headers["www-authenticate"]) == (401, "invalid-token", "Bearer")


@routes
def test_each_route_has_its_scope(pma: InProcess, route: Route) -> None:
    others = f"Bearer {a_token(scope=' '.join(ALL - {route.scope}))}"
    status, document, headers = pma.call(route.method, route.address(THINGS), route.body, authorization=others)
    assert (status, document["code"]) == (403, "missing-scope")
    assert route.scope in headers["www-authenticate"]


@pytest.mark.parametrize("route", [one for one in ROUTES if one.body], ids=lambda one: one.name)
def test_r84_an_unknown_field_is_refused_and_named(pma: InProcess, theirs: dict[str, str], route: Route) -> None:
    status, document, _ = pma.call(route.method, route.address(theirs), {**route.body, "surprise": 1})
    assert (status, document["field"]) == (422, [{"field": "/surprise", "message": "there is no such field"}])


@routes
def test_r84_an_unknown_parameter_is_refused_and_named(pma: InProcess, theirs: dict[str, str], route: Route) -> None:
    joined = "&" if route.query else "?"
    status, document, _ = pma.call(route.method, f"{route.address(theirs)}{joined}surprise=1", route.body)
    assert (status, document["field"]) == (422, [{"field": "query:surprise", "message": "there is no such parameter"}])
