"""Each write leaves what was asked before it is carried out, and what became of it after; each look at what is not the
caller's leaves a row as well (R81, R92).

The first row is written ahead: a write that was broken off half-way is at least known to have been asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

from domain.audit import Entry, state_hash
from domain.errors import Conflict, InvalidRequest, NotFound
from domain.pseudonym import in_token
from functions.registry.operation import Operation
from functions.registry.wiring import clock, wired

REFUSED = "refused"
NOT_FOUND = "not-found"
_ASKED = "asked"
_BROKEN_OFF = "broken-off"
_NO_PSEUDONYM = "(no pseudonym)"

shows: dict[str, Callable[..., Response[str]]] = {}
"""What shows a thing, by its path: the GET beside a PUT or DELETE."""


@dataclass(frozen=True)
class Auditor:
    operation: Operation

    def note(self, app: APIGatewayHttpResolver, go_on: NextMiddleware) -> Response[Any]:
        entry = Entry(
            organisation=app.context["organisation"],
            at=clock(),
            actor=app.context["client"],
            operation=self.operation.name,
            path=_path(self.operation, app.context["_route_args"]),
            request=app.current_event.request_context.request_id,
            outcome=_ASKED,
        )
        if self.operation.writes:
            entry = replace(entry, before=self._shown(app.context["_route_args"]))
            wired().audit.append(entry)
        outcome, after = _BROKEN_OFF, None
        try:
            response = go_on(app)
            outcome, after = str(response.status_code), state_hash(str(response.body or ""))
            return response
        except NotFound:
            outcome = NOT_FOUND
            raise
        except (Conflict, InvalidRequest):
            outcome = REFUSED
            raise
        finally:
            if self.operation.writes or outcome == NOT_FOUND:
                wired().audit.append(replace(entry, at=clock(), outcome=outcome, after=after))

    def _shown(self, arguments: Mapping[str, str]) -> str | None:
        show = shows.get(self.operation.path) if self.operation.method != "POST" else None
        try:
            return None if show is None else state_hash(str(show(**arguments).body or ""))
        except NotFound:
            return None


def _path(operation: Operation, arguments: Mapping[str, str]) -> str:
    """The path as it was asked for; what reads like a person in a subject's place is not repeated (R87)."""
    path = operation.path
    for name, value in arguments.items():
        named = name == "subject" and in_token(value) is not None
        path = path.replace(f"<{name}>", _NO_PSEUDONYM if named else value[:64])
    return path
