"""The handler as a WSGI application: what an HTTP API of the gateway does to a request, without the gateway."""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from functions.registry.handler import handle
from tests.in_process import Context, event
from tests.promises import DOCUMENT


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answers a request by the handler; `/openapi.json` is the document."""
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    if path == "/openapi.json":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(DOCUMENT).encode()]
    headers = {
        name.removeprefix("HTTP_").replace("_", "-"): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name == "CONTENT_TYPE" and value)
    }
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    query = environ.get("QUERY_STRING")
    made = event(
        environ["REQUEST_METHOD"],
        quote(path) + (f"?{query}" if query else ""),
        body=body,
        headers=headers,
        binary=True,
    )
    answer = handle(made, Context())  # type: ignore[arg-type]
    status = HTTPStatus(answer["statusCode"])
    start_response(f"{status.value} {status.phrase}", [(name, str(one)) for name, one in answer["headers"].items()])
    return [(answer.get("body") or "").encode()]
