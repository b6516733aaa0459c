"""The API's document says what the API does, and nobody can forget to write it anew."""

from pathlib import Path

import pytest

from functions.registry.handler import OPERATIONS
from ops.openapi import document, write
from tests.promises import DOCUMENT, broken


@pytest.mark.parametrize(("path", "text"), write().items(), ids=lambda value: Path(value).name[:20])
def test_the_files_are_those_that_the_routes_promise(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "python -m ops.openapi writes them anew"


def test_every_operation_has_words_of_its_own() -> None:
    assert all(one.says for one in OPERATIONS)
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)


def test_every_schema_that_is_named_is_there() -> None:
    text = write()[Path("docs/openapi.json")]
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(document()["components"]["schemas"])


SUBJECT = "/v1/subjects/S-1"


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (418, b"", {}),
        (200, b"{}", {"content-type": "application/json", "etag": '"1"'}),
        (200, b"{}", {"content-type": "application/json"}),
        (401, b"{}", {"content-type": "application/json", "www-authenticate": "Bearer"}),
    ],
    ids=["an unknown status", "another shape", "no ETag", "another media type"],
)
def test_a_planted_breach_is_found(status: int, body: bytes, headers: dict[str, str]) -> None:
    assert broken("GET", SUBJECT, status, body, headers) is not None


def test_each_route_names_the_scope_that_it_needs() -> None:
    scopes = {
        name: operation["security"][0]["token"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for name in [operation["operationId"]]
    }
    assert scopes == {one.name: [f"pma/{one.scope}"] for one in OPERATIONS}
