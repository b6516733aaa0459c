"""What a route promises, said once: the door enforces it, and docs/openapi.json is made from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from domain.codes import KINDS
from domain.errors import Conflict
from domain.request import Body

Method: TypeAlias = Literal["GET", "PUT", "POST", "DELETE"]

USUAL_ITEMS, MOST_ITEMS = 100, 500


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter of the query; `schema` is JSON Schema's."""

    name: str
    says: str
    schema: Mapping[str, Any]
    needed: bool = False


CURSOR = Query("cursor", "where the page before ended, as its `next` gave it", {"type": "string"})
LIMIT = Query(
    "limit",
    "how many items at most",
    {"type": "integer", "minimum": 1, "maximum": MOST_ITEMS, "default": USUAL_ITEMS},
)
KIND = Query("kind", "of one kind only", {"enum": list(KINDS)})
FROM = Query("from", "from this moment on", {"type": "string", "format": "date-time"})
TO = Query("to", "before this moment", {"type": "string", "format": "date-time"})
PAGED = (CURSOR, LIMIT)


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path: whose tokens may call it, what it takes and what it gives.

    `gives` has the shape of the answer for each status of success; None is an answer without a body. `edits`: it
    takes `If-Match`. `stale`: it may find that somebody changed what the caller had seen. `versioned`: its answer
    carries the version as `ETag`. `reads`: it changes nothing, although it is asked with a body. `conflicts` are the
    states of the world that it does not fit.
    """

    method: Method
    path: str
    name: str
    says: str
    scope: str
    takes: type[Body] | None
    gives: Mapping[int, Any]
    asks: tuple[Query, ...]
    edits: bool
    stale: bool
    versioned: bool
    reads: bool
    conflicts: tuple[type[Conflict], ...]

    @property
    def writes(self) -> bool:
        return self.method != "GET" and not self.reads

    @property
    def address(self) -> re.Pattern[str]:
        """What matches a path of it."""
        return re.compile(re.sub("<[a-z_]+>", "[^/]+", self.path))
