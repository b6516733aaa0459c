"""The API's document, made from what the routes promise: `python -m ops.openapi` writes docs/openapi.json and
docs/api.html; a test sees to it that nobody forgets."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from domain.answer import Problem
from domain.errors import StillInProgress
from domain.request import SERIAL, TOKEN
from functions.registry.handler import OPERATIONS
from functions.registry.operation import Operation
from ops.api_examples import EXAMPLES, THINGS
from ops.api_page import page

DOCUMENT = Path("docs/openapi.json")
PAGE = Path("docs/api.html")

_ABOUT = """The hospital's system (MIS) enrols subjects and devices, sets care plans, reads back what was stored and \
raised, and says where deliveries are received.

**Tokens.** OAuth 2 client credentials at the token address that `python -m ops organisation add` prints. The \
organisation is that of the token's client; another organisation's thing is 404, and so is one that is not there. \
**Errors** are problem documents (RFC 9457): `code` for programs, `title` for people, `field` for each field at fault. \
**Writes** may carry `Idempotency-Key`, **edits** `If-Match`. **Lists** are paged: give `next` back as `cursor`."""

SCOPES = {
    "pma/enrol": "Enrol subjects, devices and assignments",
    "pma/care-plan": "Set care plans",
    "pma/read": "Read observations, alerts and decisions",
    "pma/acknowledge": "Acknowledge, snooze and resolve alerts",
    "pma/endpoints": "Set where deliveries are received",
    "pma/operate": "Recall devices, revoke gateways, replay",
}

_ID = "[0-9A-Za-z-]{1,64}"

_PATH = {
    "subject": ("the patient, as an opaque token that only you can resolve", TOKEN.pattern),
    "serial": ("the device's serial, which is its name as an MQTT client", SERIAL.pattern),
    "thing": ("the gateway's serial", SERIAL.pattern),
    "endpoint": ("your own name for the endpoint", TOKEN.pattern),
    "assignment": ("the id that the answer which made it gave", _ID),
    "quarantined": ("the id in the quarantine", _ID),
    "alert": ("the alert's id, which is its id in FHIR as well", _ID),
    "recall": ("the id that the answer which made it gave", _ID),
}

_REFUSALS = {
    401: "`invalid-token`: no token of the pool, or one that has run out",
    403: "`missing-scope`: the token is not for this; `suspended`: ask the operator",
    404: "`not-found`: no such thing in this organisation",
    412: "`stale-version`: somebody changed it since you read it",
    413: "`too-much`: a body over 64 KB",
    415: "`not-json`: a body of another kind",
    422: "`invalid-request`: `field` names each field at fault",
    429: "`too-many-requests`: more than the organisation may send",
    503: "`try-again`: busy for the moment",
}
_REFUSAL_HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "seconds"},
    503: {"Retry-After": "seconds"},
}


Schemas: TypeAlias = Mapping[tuple[Any, JsonSchemaMode], Any]
"""The schema of each shape, by its name and which way it goes."""


class _Untitled(GenerateJsonSchema):
    """A field's name says what it is: no title is made of it."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def document(operations: Iterable[Operation] = OPERATIONS) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these operations."""
    among = sorted(operations, key=lambda one: (one.path, one.method))
    schemas, components = _schemas(among)
    paths: dict[str, Any] = {}
    for one in among:
        paths.setdefault(_openapi_path(one.path), {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Personal Medical Assistants", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/", "description": "the `ApiUrl` of the deployed stack"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "oauth2",
                    "description": "The token address is the stack's `TokenUrl`: the pool's, not the API's.",
                    "flows": {"clientCredentials": {"tokenUrl": "/oauth2/token", "scopes": SCOPES}},
                }
            },
        },
    }


def _schemas(operations: Iterable[Operation]) -> tuple[Schemas, dict[str, Any]]:
    wanted: list[tuple[Any, JsonSchemaMode, TypeAdapter[Any]]] = [
        (repr(Problem), "serialization", TypeAdapter(Problem))
    ]
    for one in operations:
        if one.takes is not None:
            wanted.append((repr(one.takes), "validation", TypeAdapter(one.takes)))
        wanted += [
            (repr(shape), "serialization", TypeAdapter(shape)) for shape in one.gives.values() if shape is not None
        ]
    schemas, rest = TypeAdapter.json_schemas(
        wanted, ref_template="#/components/schemas/{model}", schema_generator=_Untitled
    )
    return schemas, dict(sorted(rest["$defs"].items()))


def _operation(one: Operation, schemas: Schemas) -> dict[str, Any]:
    summary, _, more = one.says.partition("\n\n")
    made: dict[str, Any] = {
        "operationId": one.name,
        "summary": " ".join(summary.split()),
        "tags": [one.path.split("/")[2]],
        "security": [{"token": [f"pma/{one.scope}"]}],
        "parameters": list(_parameters(one)),
        "responses": dict(_responses(one, schemas)),
    }
    if more:
        made["description"] = " ".join(more.split())
    if one.takes is not None:
        content = {"schema": schemas[repr(one.takes), "validation"], "example": EXAMPLES[one.name]}
        made["requestBody"] = {"required": True, "content": {"application/json": content}}
    return {key: value for key, value in made.items() if value != []}


def _parameters(one: Operation) -> Iterable[dict[str, Any]]:
    for name in re.findall("<([a-z_]+)>", one.path):
        says, pattern = _PATH[name]
        schema = {"type": "string", "pattern": f"^{pattern}$"}
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": says,
            "schema": schema,
            "example": THINGS[name],
        }
    for asked in one.asks:
        yield {
            "name": asked.name,
            "in": "query",
            "required": asked.needed,
            "description": asked.says,
            "schema": asked.schema,
        }
    if one.writes:
        says = "at random, for one request: repeated within 30 days, it gets the same answer and does nothing again"
        yield _header("Idempotency-Key", says, "^[!-~]{16,128}$")
    if one.edits:
        says = "the ETag of the version that you mean to edit; `*` for whichever is there"
        yield _header("If-Match", says, r'^("[0-9]{1,9}"|\*)$')


def _header(name: str, says: str, pattern: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "header", "required": False, "description": says, "schema": schema}


def _responses(one: Operation, schemas: Schemas) -> Iterable[tuple[str, Any]]:
    for status, shape in sorted(one.gives.items()):
        given: dict[str, Any] = {"description": _SUCCESS[status]}
        if shape is not None:
            given["content"] = {"application/json": {"schema": schemas[repr(shape), "serialization"]}}
        if one.versioned:
            given["headers"] = {"ETag": {"description": "the version", "schema": {"type": "string"}}}
        yield str(status), given
    for status, says in sorted(_refusals(one).items()):
        refused: dict[str, Any] = {
            "description": says,
            "content": {"application/problem+json": {"schema": schemas[repr(Problem), "serialization"]}},
        }
        if status in _REFUSAL_HEADERS:
            refused["headers"] = {
                name: {"description": what, "schema": {"type": "string"}}
                for name, what in _REFUSAL_HEADERS[status].items()
            }
        yield str(status), refused


_SUCCESS = {
    200: "as it is now",
    201: "made",
    202: "taken on: what became of it is read elsewhere",
    204: "done",
}


def _refusals(one: Operation) -> dict[int, str]:
    statuses = {401, 403, 422, 429, 503}
    if one.takes is not None:
        statuses |= {404, 413, 415}
    if "<" in one.path:
        statuses |= {404}
    if one.stale:
        statuses |= {412}
    refusals = {status: _REFUSALS[status] for status in statuses}
    conflicts = (*one.conflicts, *((StillInProgress,) if one.writes else ()))
    if conflicts:
        refusals[409] = "; ".join(f"`{kind.code}`: {(kind.__doc__ or '').partition('.')[0]}" for kind in conflicts)
    return refusals


def _openapi_path(path: str) -> str:
    return path.replace("<", "{").replace(">", "}")


def write() -> dict[Path, str]:
    """What the files of docs are to hold."""
    made = document()
    return {DOCUMENT: json.dumps(made, indent=1, ensure_ascii=False) + "\n", PAGE: page(made)}


if __name__ == "__main__":
    for path, text in write().items():
        path.write_text(text, encoding="utf-8")
