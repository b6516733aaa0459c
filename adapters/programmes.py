"""Programme templates and texts of `catalogue/`, read once a process."""

import json
from collections.abc import Mapping
from functools import cache

from adapters.catalogue import CATALOGUE, load
from domain.care_plan import Programme, parse_programme
from domain.notification import Messages


@cache
def programmes() -> Mapping[str, Programme]:
    """`{id: Programme}` of every template there is."""
    return load("programmes", parse_programme)


@cache
def messages() -> Messages:
    """`{language: {name: text}}` of every language there is."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((CATALOGUE / "messages").glob("*.json"))
    }
