"""Who calls, whether it may, and what it asks: the one door that every route goes through."""

import inspect
import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from adapters.requests import Kept, Repetition
from adapters.tokens import InvalidToken
from domain.errors import Conflict, Fault, InvalidRequest, NotFound, PmaError, Suspended
from domain.request import (
    ID,
    Body,
    check_endpoint_id,
    check_serial,
    check_subject,
    parse_once,
    read,
    read_moment,
    refuse,
)
from functions.registry import auditing
from functions.registry.answers import again
from functions.registry.auditing import Auditor
from functions.registry.operation import MOST_ITEMS, USUAL_ITEMS, Method, Operation, Query
from functions.registry.service import ANY_VERSION
from functions.registry.wiring import clock, wired

Handler: TypeAlias = Callable[..., Response[str]]
B = TypeVar("B", bound=Body)

MOST_CHARACTERS = 64 * 1024
_COUNT = re.compile(r"[0-9]{1,4}")
_ETAG = re.compile(r'"([0-9]{1,9})"')
_KEY = re.compile(r"[!-~]{16,128}")
_JSON = re.compile(r"application/json *(;.*)?", re.IGNORECASE)
_NOTHING = ("", "{}", "e30=")
"""No body to speak of: without a content type the gateway hands `{}` on in Base64."""
_NAMING = {"subject": check_subject, "serial": check_serial, "endpoint": check_endpoint_id}
"""What the caller names itself, and how it may."""


class MissingScope(PmaError):
    """The token is good, but not for this."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"the token lacks the scope {scope}")
        self.scope = scope


class TooMuch(PmaError):
    """The body is larger than any that makes sense here."""


class NotJson(PmaError):
    """The body is said to be something else than JSON."""


class Door:
    """Lets in whom an operation is for: from here on the organisation is that of the token's client.

    A write with an Idempotency-Key that was carried out before gets the answer that it got then.

    Raises InvalidToken, Suspended, MissingScope, TooManyRequests, NotJson, InvalidRequest, NotFound, StillInProgress.
    """

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.asks = {one.name for one in operation.asks}

    def let_in(self, app: APIGatewayHttpResolver, go_on: NextMiddleware) -> Response[Any]:
        headers = app.current_event.headers
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise InvalidToken("send a token of the user pool as Authorization: Bearer …")
        caller = wired().tokens.verify(token.strip(), clock())
        organisation = wired().tenants.of(caller.client_id, clock())
        if organisation is None:
            raise InvalidToken("the token's client belongs to no organisation")
        if organisation.suspended_at is not None:
            raise Suspended("the operator suspended this organisation: ask them")
        if f"pma/{self.operation.scope}" not in caller.scopes:
            raise MissingScope(f"pma/{self.operation.scope}")
        wired().requests.count(organisation.id, per_second=organisation.requests_per_second, now=clock())
        self._check_form(headers, app.current_event.query_string_parameters, app.current_event.body)
        self._check_ids(app.context["_route_args"])
        app.context["organisation"] = organisation.id
        app.context["client"] = caller.client_id
        key = headers.get("idempotency-key")
        return go_on(app) if key is None or not self.operation.writes else _once(app, go_on, organisation.id, key)

    def _check_form(self, headers: Mapping[str, str], query: Mapping[str, str], body: str | None) -> None:
        """R84: what the operation does not know of is refused rather than passed over."""
        if self.operation.takes is not None and not _JSON.fullmatch(headers.get("content-type", "application/json")):
            raise NotJson("send the body as application/json")
        if self.operation.takes is None and (body or "").strip() not in _NOTHING:
            raise InvalidRequest(Fault("", "this request takes no body"))
        refuse(*(Fault(f"query:{name}", "there is no such parameter") for name in query if name not in self.asks))

    def _check_ids(self, arguments: Mapping[str, str]) -> None:
        """What cannot be an id is nobody's: it is neither looked up, for a key has its limits (R84), nor written into
        the audit, for it may be a name (R87)."""
        for name, value in arguments.items():
            if not ID.fullmatch(value):
                if self.operation.method == "PUT":
                    _NAMING[name](value)  # says how a thing may be named
                raise NotFound("nothing is called that")


def _once(app: APIGatewayHttpResolver, go_on: NextMiddleware, organisation: str, key: str) -> Response[Any]:
    """The answer of a write, or the one that it got before. What was refused is forgotten: it changed nothing.

    Who was erased meanwhile does not come back in an answer of before (R90): the write is judged anew, as things are.
    """
    refuse(None if _KEY.fullmatch(key) else Fault("header:idempotency-key", "16 to 128 characters, made at random"))
    request = app.current_event
    asked = (request.http_method, request.path, str(request.headers.get("if-match")), request.body or "")
    one = Repetition(organisation, key, "\0".join(asked).encode())
    before = wired().requests.begin(one, clock())
    if before is not None:
        erased = _erased(organisation, app.context["_route_args"], before)
        return go_on(app) if erased else again(before.status, before.body, before.etag)
    finished = False
    try:
        response = go_on(app)
        kept = Kept(response.status_code, str(response.body or ""), str(response.headers.get("ETag", "")))
        wired().requests.finish(one, kept, clock())
        finished = True
        return response
    finally:
        if not finished:
            wired().requests.forget(one)


def _erased(organisation: str, arguments: Mapping[str, str], before: Kept) -> bool:
    """True when the answer is about somebody who was erased."""
    subject = arguments.get("subject") or (json.loads(before.body).get("subject") if before.body else None)
    return subject is not None and wired().erasures.get(organisation, subject) is not None


class Routes(APIGatewayHttpRouter):
    """Routes of one kind of thing, and what a request says, read strictly."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []

    def serve(
        self,
        method: Method,
        path: str,
        *,
        scope: str,
        takes: type[Body] | None = None,
        gives: Any = None,
        made: Any = None,
        status: int | None = None,
        asks: tuple[Query, ...] = (),
        edits: bool = False,
        stale: bool = False,
        versioned: bool = False,
        reads: bool = False,
        conflicts: tuple[type[Conflict], ...] = (),
    ) -> Callable[[Handler], Handler]:
        """Serve `method path` as promised; see Operation.

        `gives` is the shape of the answer with `status` (200, or 204 without a body); `made` that of a 201, when the
        same route can make a thing.
        """

        def register(handler: Handler) -> Handler:
            usual = status or (204 if gives is None else 200)
            operation = Operation(
                method=method,
                path=path,
                name=handler.__name__,
                says=inspect.getdoc(handler) or "",
                scope=scope,
                takes=takes,
                gives={usual: gives} | ({} if made is None else {201: made}),
                asks=asks,
                edits=edits,
                stale=stale or edits,
                versioned=versioned,
                reads=reads,
                conflicts=conflicts,
            )
            self.operations.append(operation)
            if method == "GET":
                auditing.shows[path] = handler
            self.route(path, method=method, middlewares=[Door(operation).let_in, Auditor(operation).note])(handler)
            return handler

        return register

    @property
    def organisation(self) -> str:
        """Whose request it is: the key of everything that is read and written for it (R81)."""
        return str(self.context["organisation"])

    def body(self, kind: type[B]) -> B:
        """The request's body. Raises InvalidRequest, TooMuch."""
        document = self.document()
        body = read(kind, document)
        parse_once(document)
        return body

    def document(self) -> str:
        """The request's body as it came. Raises TooMuch."""
        try:
            text = self.current_event.decoded_body or ""
        except ValueError:
            raise InvalidRequest(Fault("", "the body is not UTF-8")) from None
        if len(text) > MOST_CHARACTERS:
            raise TooMuch("at most 64 KB")
        return text

    def if_match(self) -> int | None:
        """The version that the caller means to edit; None when it does not say. Raises InvalidRequest."""
        given = self.current_event.headers.get("if-match")
        if given is None:
            return None
        if given.strip() == "*":
            return ANY_VERSION
        match = _ETAG.fullmatch(given.strip())
        if match is None:
            raise InvalidRequest(Fault("header:if-match", 'the ETag of the version you read, as in "3"'))
        return int(match[1])

    def text(self, name: str) -> str | None:
        """The query parameter `name`."""
        return self.current_event.query_string_parameters.get(name)

    def choice(self, name: str, among: Collection[str]) -> str | None:
        """The query parameter `name`, one of `among`. Raises InvalidRequest."""
        given = self.text(name)
        if given is not None and given not in among:
            raise InvalidRequest(Fault(f"query:{name}", f"one of {', '.join(among)}"))
        return given

    def moment(self, name: str) -> datetime | None:
        """The query parameter `name` as an aware time. Raises InvalidRequest."""
        given = self.text(name)
        return None if given is None else read_moment(given, f"query:{name}")

    def limit(self) -> int:
        """How many items the caller wants in a page. Raises InvalidRequest."""
        given = self.text("limit")
        if given is None:
            return USUAL_ITEMS
        if not _COUNT.fullmatch(given) or not 1 <= int(given) <= MOST_ITEMS:
            raise InvalidRequest(Fault("query:limit", f"1 to {MOST_ITEMS}"))
        return int(given)
