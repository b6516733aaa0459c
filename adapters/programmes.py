"""Programme templates and texts of `catalogue/`, read once a process."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from domain.care_plan import Programme, parse_programme
from domain.notification import Messages

CATALOGUE = Path(__file__).resolve().parent.parent / "catalogue"


@cache
def programmes() -> Mapping[str, Programme]:
    """`{id: Programme}` of every template there is."""
    read = (parse_programme(path.read_bytes()) for path in sorted((CATALOGUE / "programmes").glob("*.json")))
    return {programme.id: programme for programme in read}


@cache
def messages() -> Messages:
    """`{language: {name: text}}` of every language there is."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((CATALOGUE / "messages").glob("*.json"))
    }
