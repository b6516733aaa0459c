"""Whatever the API answers in a test is held to docs/openapi.json: status, media type, headers and shape."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

DOCUMENT: dict[str, Any] = json.loads(Path("docs/openapi.json").read_text(encoding="utf-8"))
_PATHS = [(re.compile(re.sub(r"\{[a-z_]+\}", "[^/]+", path)), methods) for path, methods in DOCUMENT["paths"].items()]


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(
        {**json.loads(schema), "components": DOCUMENT["components"]}, format_checker=FormatChecker()
    )


def broken(method: str, path: str, status: int, body: bytes, headers: Mapping[str, str]) -> str | None:
    """What of the document an answer breaks; None when it keeps to it, or answers what is no operation of it."""
    operation = next((methods.get(method.lower()) for form, methods in _PATHS if form.fullmatch(path)), None)
    if operation is None:
        return None
    promised = operation["responses"].get(str(status))
    if promised is None:
        return f"{method} {path} answers {status}, which the document does not know"
    absent = [name for name in promised.get("headers", {}) if name.lower() not in headers]
    if absent:
        return f"{method} {path} {status} lacks {absent}"
    content = promised.get("content")
    if content is None:
        return f"{method} {path} {status} has a body" if body else None
    ((media_type, described),) = content.items()
    if headers.get("content-type") != media_type:
        return f"{method} {path} {status} is {headers.get('content-type')}"
    wrong = next(_validator(json.dumps(described["schema"])).iter_errors(json.loads(body)), None)
    return None if wrong is None else f"{method} {path} {status}: {wrong.json_path} {wrong.message}"
