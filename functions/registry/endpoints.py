"""Where a MIS receives, and what came of each try."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from domain.enrolment import Endpoint
from domain.request import EndpointBody
from functions.registry import service
from functions.registry.access import Routes, allow
from functions.registry.answers import answer, nothing
from functions.registry.wiring import clock, wired

routes = Routes()


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


@routes.put("/v1/endpoints/<endpoint>", middlewares=allow("endpoints"))
def put_endpoint(endpoint: str) -> Response[str]:
    put = service.put_endpoint(
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
    found = service.enrolled_endpoint(routes.organisation, endpoint, registry=wired().registry)
    return answer(_shown(found), version=found.version)


@routes.delete("/v1/endpoints/<endpoint>", middlewares=allow("endpoints"))
def delete_endpoint(endpoint: str) -> Response[str]:
    service.delete_endpoint(
        routes.organisation,
        endpoint,
        if_match=routes.if_match(),
        registry=wired().registry,
        secrets=wired().secrets,
    )
    return nothing()
