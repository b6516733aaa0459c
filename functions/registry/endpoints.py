"""Where a MIS receives, and what came of each try."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from domain.delivery import Attempt, Lane, Row, webhook_id
from domain.enrolment import Endpoint
from domain.rendering import render
from domain.request import EndpointBody
from functions.registry import receiving
from functions.registry.access import Routes, allow
from functions.registry.answers import answer, nothing, page
from functions.registry.wiring import clock, wired

routes = Routes()

_MOST_DELIVERIES = 20
"""A delivery holds up to 100 resources, and an answer of Lambda at most 6 MB."""


def _shown(endpoint: Endpoint) -> dict[str, Any]:
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


def _attempt(one: Attempt) -> dict[str, Any]:
    return {
        "id": one.id,
        "shard": one.lane.name,
        "sequence": one.number,
        "at": one.at.isoformat(),
        "status": one.status,
        "ms": one.ms,
        "error": one.error,
    }


def _delivery(of: Lane, row: Row) -> dict[str, Any]:
    body = render(row.references, registry=wired().registry, observations=wired().observations, alerts=wired().alerts)
    return {"id": webhook_id(of, row.number), "shard": of.name, "sequence": row.number, "body": body}


@routes.put("/v1/endpoints/<endpoint>", middlewares=allow("endpoints"))
def put_endpoint(endpoint: str) -> Response[str]:
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
    return answer(_shown(put.endpoint) | {"secret": put.secret}, status=201, version=put.endpoint.version)


@routes.get("/v1/endpoints/<endpoint>", middlewares=allow("endpoints"))
def get_endpoint(endpoint: str) -> Response[str]:
    found = receiving.enrolled_endpoint(routes.organisation, endpoint, registry=wired().registry)
    return answer(_shown(found), version=found.version)


@routes.delete("/v1/endpoints/<endpoint>", middlewares=allow("endpoints"))
def delete_endpoint(endpoint: str) -> Response[str]:
    receiving.delete_endpoint(
        routes.organisation,
        endpoint,
        if_match=routes.if_match(),
        registry=wired().registry,
        secrets=wired().secrets,
    )
    return nothing()


@routes.get("/v1/endpoints/<endpoint>/attempts", middlewares=allow("endpoints"))
def get_attempts(endpoint: str) -> Response[str]:
    found = receiving.enrolled_endpoint(routes.organisation, endpoint, registry=wired().registry)
    asked = wired().deliveries.recent_attempts(
        found.organisation, found.id, cursor=routes.text("cursor"), limit=routes.limit()
    )
    return page([_attempt(one) for one in asked.items], asked.next)


@routes.get("/v1/endpoints/<endpoint>/deliveries", middlewares=allow("endpoints"))
def get_deliveries(endpoint: str) -> Response[str]:
    found = receiving.enrolled_endpoint(routes.organisation, endpoint, registry=wired().registry)
    asked = receiving.logged(
        found,
        shard=routes.text("shard"),
        after=routes.text("cursor") or routes.text("after"),
        limit=min(routes.limit(), _MOST_DELIVERIES),
        log=wired().deliveries,
    )
    return page([_delivery(asked.lane, one) for one in asked.rows], asked.next)
