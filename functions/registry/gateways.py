"""Gateways: how they come to a certificate, change it and lose it."""

from aws_lambda_powertools.event_handler import Response

from domain.answer import CertificateKept, ClaimShown, GatewayOutOfService
from domain.errors import GatewayRevoked
from domain.request import ClaimBody, KeepBody
from functions.registry import gatekeeping
from functions.registry.access import Routes
from functions.registry.answers import answer
from functions.registry.wiring import clock, wired

routes = Routes()


@routes.serve(
    "POST",
    "/v1/gateways/claims",
    scope="enrol",
    takes=ClaimBody,
    gives=ClaimShown,
    status=201,
    conflicts=(GatewayRevoked,),
)
def post_claim() -> Response[str]:
    """A temporary claim, with which a gateway that is enrolled fetches a certificate of its own within minutes."""
    made = gatekeeping.claim(
        routes.organisation,
        routes.body(ClaimBody),
        registry=wired().registry,
        certificates=wired().certificates,
        claims=wired().claims,
    )
    body: ClaimShown = {
        "certificate": made.certificate,
        "private_key": made.private_key,
        "expires_at": made.expires_at.isoformat(),
        "template": wired().settings.provisioning_template,
    }
    return answer(body, status=201)


@routes.serve(
    "POST",
    "/v1/gateways/<thing>/certificates",
    scope="enrol",
    takes=KeepBody,
    gives=CertificateKept,
    conflicts=(GatewayRevoked,),
)
def post_certificate(thing: str) -> Response[str]:
    """Retire every certificate of a gateway but the one named."""
    body = routes.body(KeepBody)
    retired = gatekeeping.keep(
        routes.organisation, thing, body, registry=wired().registry, certificates=wired().certificates
    )
    kept: CertificateKept = {"thing": thing, "certificate": body.certificate, "retired": retired}
    return answer(kept)


@routes.serve("POST", "/v1/gateways/<thing>/revoke", scope="operate", gives=GatewayOutOfService)
def post_revoke(thing: str) -> Response[str]:
    """Put a gateway out of service for good, and end what it is assigned to."""
    revoked_at = gatekeeping.revoke(
        routes.organisation, thing, registry=wired().registry, certificates=wired().certificates, now=clock()
    )
    revoked: GatewayOutOfService = {"thing": thing, "revoked_at": revoked_at.isoformat()}
    return answer(revoked)
