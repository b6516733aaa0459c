"""The API's document as a page that a browser opens from the disk: no script, nothing fetched."""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
nav { columns: 2; } h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
article { margin: 1.5rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem; }
h3 { margin: 0; font: 600 1rem ui-monospace, monospace; } h3 b { display: inline-block; min-width: 4rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
td { border-top: 1px solid var(--line); padding: .3rem .6rem .3rem 0; vertical-align: top; }
td:first-child { white-space: nowrap; } code, pre { font: .875rem ui-monospace, monospace; }
pre { overflow: auto; padding: .5rem; border: 1px solid var(--line); } summary { cursor: pointer; }
"""


def page(document: Mapping[str, Any]) -> str:
    """The HTML of an OpenAPI document: its operations by tag, then every schema."""
    return "\n".join(_page(document)) + "\n"


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    title = escape(document["info"]["title"])
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}: HTTP API</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
    yield f"<h1>{title}: HTTP API</h1>"
    yield from (f"<p>{_words(part)}</p>" for part in document["info"]["description"].split("\n\n"))
    by_tag: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    yield "<nav>"
    for tag, among in by_tag.items():
        yield f"<p><b>{tag}</b><br>" + "<br>".join(
            f'<a href="#{operation["operationId"]}">{method} {path}</a>' for method, path, operation in among
        )
    yield "</nav>"
    for tag, among in by_tag.items():
        yield f"<h2>{tag}</h2>"
        for method, path, operation in among:
            yield from _operation(method, path, operation)
    yield "<h2>Schemas</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f'<article id="{name}"><h3>{name}</h3>'
        yield f"<p>{_words(schema.get('description', ''))}</p>"
        yield from _fields(schema)
        yield "</article>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f'<article id="{operation["operationId"]}"><h3><b>{method}</b> {escape(path)}</h3>'
    yield f"<p>{_words(operation['summary'])} {_words(operation.get('description', ''))}</p>"
    ((scheme, scopes),) = operation["security"][0].items()
    yield f"<p>{scheme}: <code>{', '.join(scopes)}</code></p><table>"
    for one in operation.get("parameters", ()):
        needed = ", needed" if one["required"] else ""
        yield (
            f"<tr><td><code>{one['name']}</code> ({one['in']}{needed})<td>{_words(one['description'])}"
            f"<td>{_type(one['schema'])}"
        )
    yield "</table>"
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        yield f"<p>Takes {_type(content['schema'])}</p>"
        example = escape(json.dumps(content["example"], indent=1))
        yield f"<details><summary>example</summary><pre>{example}</pre></details>"
    yield "<table>"
    for status, answer in operation["responses"].items():
        shapes = [_type(one["schema"]) for one in answer.get("content", {}).values()]
        headers = [f"<code>{name}</code>" for name in answer.get("headers", {})]
        yield f"<tr><td>{status}<td>{_words(answer['description'])}<td>{' '.join(shapes + headers)}"
    yield "</table></article>"


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "<table>"
    for name, field in schema.get("properties", {}).items():
        needed = "" if name in schema.get("required", ()) else " (optional)"
        yield f"<tr><td><code>{escape(name)}</code>{needed}<td>{_type(field)}<td>{_words(field.get('description', ''))}"
    yield "</table>"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        among = schema.get("enum", [schema.get("const")])
        return " | ".join(f"<code>{escape(json.dumps(one))}</code>" for one in among)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    about = [
        f"{name} <code>{escape(json.dumps(schema[name]))}</code>"
        for name in ("format", "pattern", "minimum", "maximum", "minLength", "maxLength", "default")
        if name in schema
    ]
    return ", ".join([schema.get("type", "anything"), *about])


def _words(text: str) -> str:
    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(text, quote=False))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", bold)
