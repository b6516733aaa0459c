"""What can go wrong with a request.

PmaClientError
├── Unreachable        no answer, however often we tried
└── Problem            the API's problem document (RFC 9457)
    ├── Unauthorised   401  the client's id or secret is not known
    ├── Forbidden      403  the client lacks the route's scope
    ├── NotFound       404  no such thing in this organisation
    ├── Conflict       409  `code` says what is in the way: serial-taken, assignment-overlap …
    ├── Stale          412  somebody changed it since you read it
    ├── Invalid        422  `faults` names each field
    └── Busy           429, 5xx  still refused after every retry
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass


class PmaClientError(Exception):
    """Root of what this client raises."""


class Unreachable(PmaClientError):
    """No answer came, however often we tried."""


@dataclass(frozen=True)
class Fault:
    """One field at fault: a JSON pointer into the body (or `query:` and a name), and what would be right."""

    field: str
    message: str


class Problem(PmaClientError):
    """The API refused. `code` is for programs, `title` for people, `faults` says which fields are at fault."""

    def __init__(self, status: int, code: str, title: str, faults: tuple[Fault, ...] = ()) -> None:
        details = "".join(f"; {fault.field}: {fault.message}" for fault in faults)
        super().__init__(f"{status} {code}: {title}{details}")
        self.status = status
        self.code = code
        self.title = title
        self.faults = faults


class Unauthorised(Problem): ...


class Forbidden(Problem): ...


class NotFound(Problem): ...


class Conflict(Problem): ...


class Stale(Problem): ...


class Invalid(Problem): ...


class Busy(Problem): ...


_BY_STATUS: Mapping[int, type[Problem]] = {
    401: Unauthorised,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Stale,
    422: Invalid,
    429: Busy,
}


def to_problem(status: int, data: bytes) -> Problem:
    """The error that an answer of `status` stands for; a gateway's own answers have no problem document."""
    kind = Busy if status >= 500 else _BY_STATUS.get(status, Problem)
    try:
        document = json.loads(data)
        faults = tuple(Fault(one["field"], one["message"]) for one in document["field"])
        return kind(status, document["code"], document["title"], faults)
    except (ValueError, KeyError, TypeError):
        return kind(status, "no-document", "the answer has no problem document")
