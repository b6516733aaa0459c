"""Gateways: how they come to a certificate, change it and lose it."""

from aws_lambda_powertools.event_handler import Response

from domain.request import ClaimBody, KeepBody
from functions.registry import gatekeeping
from functions.registry.access import Routes, allow
from functions.registry.answers import answer
from functions.registry.wiring import clock, wired

routes = Routes()


@routes.post("/v1/gateways/claims", middlewares=allow("enrol"))
def post_claim() -> Response[str]:
    made = gatekeeping.claim(
        routes.organisation,
        routes.body(ClaimBody),
        registry=wired().registry,
        certificates=wired().certificates,
        claims=wired().claims,
    )
    body = {
        "certificate": made.certificate,
        "private_key": made.private_key,
        "expires_at": made.expires_at.isoformat(),
        "template": wired().settings.provisioning_template,
    }
    return answer(body, status=201)


@routes.post("/v1/gateways/<thing>/certificates", middlewares=allow("enrol"))
def post_certificate(thing: str) -> Response[str]:
    body = routes.body(KeepBody)
    retired = gatekeeping.keep(
        routes.organisation, thing, body, registry=wired().registry, certificates=wired().certificates
    )
    return answer({"thing": thing, "certificate": body.certificate, "retired": retired})


@routes.post("/v1/gateways/<thing>/revoke", middlewares=allow("operate"))
def post_revoke(thing: str) -> Response[str]:
    revoked_at = gatekeeping.revoke(
        routes.organisation, thing, registry=wired().registry, certificates=wired().certificates, now=clock()
    )
    return answer({"thing": thing, "revoked_at": revoked_at.isoformat()})
