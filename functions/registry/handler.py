"""The MIS's HTTP API: a request in, JSON or a problem document out."""
# mypy: disable-error-code="untyped-decorator"

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import log
from adapters.dynamodb import Throttled
from adapters.queue import NotTaken
from adapters.tokens import InvalidToken, KeysUnavailable
from domain.errors import (
    Conflict,
    InvalidRequest,
    LaneBusy,
    LostRace,
    NotFound,
    StaleVersion,
    StillInProgress,
    Suspended,
    TooManyRequests,
)
from functions.registry import (
    alerts,
    audit,
    care_plans,
    devices,
    endpoints,
    gateways,
    quarantine,
    recalls,
    records,
    subjects,
)
from functions.registry.access import MissingScope, NotJson, TooMuch
from functions.registry.answers import problem

logger = log.logger()
app = APIGatewayHttpResolver()
PARTS = (alerts, audit, subjects, devices, gateways, care_plans, endpoints, quarantine, recalls, records)
for part in PARTS:
    app.include_router(part.routes)
OPERATIONS = tuple(operation for part in PARTS for operation in part.routes.operations)


@app.exception_handler(InvalidRequest)
def invalid_request(error: InvalidRequest) -> Response[str]:
    return problem(422, "invalid-request", "the request cannot be carried out as it stands", faults=error.faults)


@app.exception_handler(InvalidToken)
def invalid_token(error: InvalidToken) -> Response[str]:
    return problem(401, "invalid-token", str(error), headers={"WWW-Authenticate": "Bearer"})


@app.exception_handler(MissingScope)
def missing_scope(error: MissingScope) -> Response[str]:
    challenge = f'Bearer error="insufficient_scope", scope="{error.scope}"'
    return problem(403, "missing-scope", str(error), headers={"WWW-Authenticate": challenge})


@app.exception_handler(Suspended)
def suspended(error: Suspended) -> Response[str]:
    return problem(403, "suspended", str(error))


@app.exception_handler(TooManyRequests)
def too_many(error: TooManyRequests) -> Response[str]:
    return problem(429, "too-many-requests", str(error), headers={"Retry-After": str(error.wait)})


@app.exception_handler(NotFound)
def not_found(error: NotFound) -> Response[str]:
    return problem(404, "not-found", str(error))


@app.exception_handler(NotFoundError)
def no_route(error: NotFoundError) -> Response[str]:
    methods = {one.method for one in OPERATIONS if one.address.fullmatch(app.current_event.path)}
    if not methods or app.current_event.http_method in methods:  # a name with signs that no thing has
        return problem(404, "no-route", "there is no such route")
    also = ("HEAD", "OPTIONS") if "GET" in methods else ("OPTIONS",)
    allow = {"Allow": ", ".join(sorted({*methods, *also}))}
    if app.current_event.http_method == "OPTIONS":
        return Response(204, headers=allow)
    return problem(405, "no-method", f"this route has {allow['Allow']}", headers=allow)


@app.exception_handler(Conflict)
def conflict(error: Conflict) -> Response[str]:
    headers = {"Retry-After": "1"} if isinstance(error, StillInProgress | LaneBusy) else {}
    return problem(412 if isinstance(error, StaleVersion) else 409, error.code, str(error), headers=headers)


@app.exception_handler(TooMuch)
def too_much(error: TooMuch) -> Response[str]:
    return problem(413, "too-much", str(error))


@app.exception_handler(NotJson)
def not_json(error: NotJson) -> Response[str]:
    return problem(415, "not-json", str(error))


@app.exception_handler([LostRace, Throttled, NotTaken, KeysUnavailable])
def try_again(error: LostRace | Throttled | NotTaken | KeysUnavailable) -> Response[str]:
    return problem(503, "try-again", "busy for the moment: try again", headers={"Retry-After": "1"})


@log.Silently()
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    http = event["requestContext"]["http"]
    method = http["method"]
    if method == "HEAD":  # as GET, without what that would show
        http["method"] = "GET"
    answer = app.resolve(event, context)
    answer["headers"]["Cache-Control"] = "no-store"  # who is erased, or a secret, is not to be left in a cache (R90)
    if method == "HEAD":
        answer["body"] = ""
    logger.info("request answered", extra={"method": method, "status": answer["statusCode"]})
    return answer
