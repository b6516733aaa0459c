"""How the API answers: JSON with the version as ETag, pages, problems as RFC 9457 has them."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_lambda_powertools.event_handler import Response

from adapters.webhook import to_bytes
from domain.errors import Fault

_JSON = "application/json"
_PROBLEM = "application/problem+json"


def answer(body: Mapping[str, Any], *, status: int = 200, version: int | None = None) -> Response[str]:
    """`body` as JSON; the thing's `version`, which an edit names in If-Match, as its ETag."""
    headers = {} if version is None else {"ETag": f'"{version}"'}
    return Response(status, _JSON, to_bytes(body).decode(), headers)


def again(status: int, body: str, etag: str) -> Response[str]:
    """An answer as it was given before; `etag` is empty where it had none."""
    return Response(status, _JSON if body else None, body, {"ETag": etag} if etag else {})


def nothing() -> Response[str]:
    return Response(204)


def page(items: Sequence[Mapping[str, Any]], next_cursor: str | None) -> Response[str]:
    """One page of a list; `next_cursor` is opaque, None at the end."""
    return answer({"items": items, "next": next_cursor})


def problem(
    status: int, code: str, title: str, *, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
) -> Response[str]:
    """An RFC 9457 document: `code` for programs, `title` for people, and in `field` each field at fault."""
    body = {
        "type": f"urn:pma:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "field": [{"field": fault.field, "message": fault.message} for fault in faults],
    }
    return Response(status, _PROBLEM, to_bytes(body).decode(), dict(headers or {}))
