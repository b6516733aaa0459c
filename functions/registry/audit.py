"""Reading back what was done over the API."""

from aws_lambda_powertools.event_handler import Response

from domain.answer import AuditShown, Page
from domain.audit import Link
from functions.registry.access import Routes
from functions.registry.answers import page
from functions.registry.operation import PAGED
from functions.registry.wiring import wired

routes = Routes()


def _shown(one: Link) -> AuditShown:
    entry = one.entry
    return {
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "operation": entry.operation,
        "path": entry.path,
        "request": entry.request,
        "outcome": entry.outcome,
        "before": entry.before,
        "after": entry.after,
        "chain": one.chain,
        "number": one.number,
        "previous": one.previous,
        "hash": one.hash,
    }


@routes.serve("GET", "/v1/audit", scope="read", gives=Page[AuditShown], asks=PAGED)
def get_audit() -> Response[str]:
    """What was done by whom, newest first: each write when it was asked for and when it ended, and each id that was
    not the caller's."""
    asked = wired().audit.newest(routes.organisation, cursor=routes.text("cursor"), limit=routes.limit())
    return page([_shown(one) for one in asked.items], asked.next)
