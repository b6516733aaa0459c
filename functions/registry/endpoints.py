"""Where a MIS receives, and what came of each try."""

from aws_lambda_powertools.event_handler import Response

from domain.answer import (
    AttemptShown,
    DeliveryShown,
    EndpointMade,
    EndpointShown,
    Page,
    ReplayShown,
    TrialShown,
)
from domain.delivery import Attempt, Lane, Row, webhook_id
from domain.enrolment import Endpoint
from domain.errors import LaneBusy, ShardsFixed
from domain.rendering import render
from domain.request import EndpointBody, ReplayBody
from functions.registry import receiving
from functions.registry.access import Routes
from functions.registry.answers import answer, nothing, page
from functions.registry.operation import PAGED, Query
from functions.registry.wiring import clock, wired

routes = Routes()

_SHARD = Query("shard", "the lane, as `pma-shard` names it", {"type": "string", "examples": ["alerts-0"]}, needed=True)
_AFTER = Query("after", "the last number that you have", {"type": "string", "pattern": "^[0-9]{1,12}$", "default": "0"})
_MOST_DELIVERIES = 20
"""A delivery holds up to 100 resources, and an answer of Lambda at most 6 MB."""


def _shown(endpoint: Endpoint) -> EndpointShown:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "kinds": endpoint.kinds,
        "programmes": endpoint.programmes,
        "mode": endpoint.mode,
        "window_seconds": endpoint.window_seconds,
        "shards": endpoint.shards,
        "state": endpoint.state,
        "version": endpoint.version,
    }


def _attempt(one: Attempt) -> AttemptShown:
    return {
        "id": one.id,
        "shard": one.lane.name,
        "sequence": one.number,
        "at": one.at.isoformat(),
        "status": one.status,
        "ms": one.ms,
        "error": one.error,
    }


def _delivery(of: Lane, row: Row) -> DeliveryShown:
    body = render(row.references, registry=wired().registry, observations=wired().observations, alerts=wired().alerts)
    return {"id": webhook_id(of, row.number), "shard": of.name, "sequence": row.number, "body": body}


@routes.serve(
    "PUT",
    "/v1/endpoints/<endpoint>",
    scope="endpoints",
    takes=EndpointBody,
    gives=EndpointShown,
    made=EndpointMade,
    edits=True,
    versioned=True,
    conflicts=(ShardsFixed,),
)
def put_endpoint(endpoint: str) -> Response[str]:
    """Set where a system receives. The answer that makes the endpoint shows its secret, once."""
    put = receiving.put_endpoint(
        routes.organisation,
        endpoint,
        routes.body(EndpointBody),
        if_match=routes.if_match(),
        registry=wired().registry,
        secrets=wired().secrets,
        programmes=wired().programmes,
        insecure=wired().insecure,
        now=clock(),
    )
    if put.secret is None:
        return answer(_shown(put.endpoint), version=put.endpoint.version)
    made: EndpointMade = {**_shown(put.endpoint), "secret": put.secret}
    return answer(made, status=201, version=put.endpoint.version)


@routes.serve("GET", "/v1/endpoints/<endpoint>", scope="endpoints", gives=EndpointShown, versioned=True)
def get_endpoint(endpoint: str) -> Response[str]:
    """Where a system receives."""
    found = receiving.enrolled_endpoint(routes.organisation, endpoint, registry=wired().registry)
    return answer(_shown(found), version=found.version)


@routes.serve("DELETE", "/v1/endpoints/<endpoint>", scope="endpoints", edits=True)
def delete_endpoint(endpoint: str) -> Response[str]:
    """Send nothing there any more, and forget the secret."""
    receiving.delete_endpoint(
        routes.organisation,
        endpoint,
        if_match=routes.if_match(),
        registry=wired().registry,
        secrets=wired().secrets,
    )
    return nothing()


@routes.serve("GET", "/v1/endpoints/<endpoint>/attempts", scope="endpoints", gives=Page[AttemptShown], asks=PAGED)
def get_attempts(endpoint: str) -> Response[str]:
    """What came of each try, the newest first."""
    found = receiving.enrolled_endpoint(routes.organisation, endpoint, registry=wired().registry)
    asked = wired().deliveries.recent_attempts(
        found.organisation, found.id, cursor=routes.text("cursor"), limit=routes.limit()
    )
    return page([_attempt(one) for one in asked.items], asked.next)


@routes.serve(
    "GET",
    "/v1/endpoints/<endpoint>/deliveries",
    scope="endpoints",
    gives=Page[DeliveryShown],
    asks=(_SHARD, _AFTER, *PAGED),
)
def get_deliveries(endpoint: str) -> Response[str]:
    """The log of a lane, sent or still to be sent, rendered as it would be sent now."""
    found = receiving.enrolled_endpoint(routes.organisation, endpoint, registry=wired().registry)
    asked = receiving.logged(
        found,
        shard=routes.text("shard"),
        after=routes.text("after") if routes.text("cursor") is None else routes.text("cursor"),
        limit=min(routes.limit(), _MOST_DELIVERIES),
        log=wired().deliveries,
    )
    return page([_delivery(asked.lane, one) for one in asked.rows], asked.next)


@routes.serve("POST", "/v1/endpoints/<endpoint>/test", scope="endpoints", gives=TrialShown)
def post_test(endpoint: str) -> Response[str]:
    """Send a signed bundle without entries, with `pma-sequence: 0`, and say what came of it."""
    found = receiving.enrolled_endpoint(routes.organisation, endpoint, registry=wired().registry)
    came = receiving.send_trial(found, secrets=wired().secrets, courier=wired().courier, now=clock())
    shown: TrialShown = {"status": came.status, "ms": came.ms, "error": came.error}
    return answer(shown)


@routes.serve(
    "POST", "/v1/endpoints/<endpoint>/rotate-secret", scope="endpoints", gives=EndpointMade, edits=True, versioned=True
)
def post_rotate_secret(endpoint: str) -> Response[str]:
    """A new secret, shown once. The one before signs beside it for a day."""
    rotated = receiving.rotate(
        routes.organisation,
        endpoint,
        if_match=routes.if_match(),
        registry=wired().registry,
        secrets=wired().secrets,
        now=clock(),
    )
    made: EndpointMade = {**_shown(rotated.endpoint), "secret": str(rotated.secret)}
    return answer(made, version=rotated.endpoint.version)


@routes.serve("POST", "/v1/endpoints/<endpoint>/enable", scope="endpoints", gives=EndpointShown, versioned=True)
def post_enable(endpoint: str) -> Response[str]:
    """Send there again, from where each lane stopped: an endpoint is disabled when its receiver answers 410."""
    enabled = receiving.enable(routes.organisation, endpoint, registry=wired().registry, bell=wired().doorbell)
    return answer(_shown(enabled), version=enabled.version)


@routes.serve(
    "POST",
    "/v1/endpoints/<endpoint>/replay",
    scope="endpoints",
    takes=ReplayBody,
    gives=ReplayShown,
    status=202,
    conflicts=(LaneBusy,),
)
def post_replay(endpoint: str) -> Response[str]:
    """Send part of a lane once more, under the same ids and numbers, each as it stands now."""
    found = receiving.enrolled_endpoint(routes.organisation, endpoint, registry=wired().registry)
    body = routes.body(ReplayBody)
    to = receiving.replay(found, body, log=wired().deliveries, bell=wired().doorbell, now=clock())
    shown: ReplayShown = {"shard": body.shard, "after": body.after, "to": to}
    return answer(shown, status=202)
