"""The quarantine: what was set aside and why, how much of which model, and a second try."""

from base64 import b64encode
from datetime import timedelta

from aws_lambda_powertools.event_handler import Response

from domain.answer import Page, QuarantineCount, QuarantinedShown, TriedAgain
from domain.errors import NothingKept
from domain.quarantine import REASONS, SetAside
from functions.registry import recalling
from functions.registry.access import Routes
from functions.registry.answers import answer, page
from functions.registry.operation import FROM, PAGED, Query
from functions.registry.wiring import clock, wired

routes = Routes()

REASON = Query("reason", "set aside for this reason only", {"enum": list(REASONS)})
PROFILE = Query("profile", "of this model of device only", {"type": "string"})

_MOST_SET_ASIDE = 25
"""A page of the quarantine may hold whole messages of 128 KB, and an answer of Lambda at most 6 MB."""


def _set_aside(one: SetAside) -> QuarantinedShown:
    return {
        "id": one.id,
        "reason": one.reason,
        "detail": one.detail,
        "thing": one.thing,
        "device": one.device,
        "profile": one.profile,
        "topic": one.topic,
        "received_at": one.received_at.isoformat(),
        "payload": None if one.payload is None else b64encode(one.payload).decode(),
    }


@routes.serve("GET", "/v1/quarantine", scope="read", gives=Page[QuarantinedShown], asks=(REASON, PROFILE, *PAGED))
def get_quarantine() -> Response[str]:
    """Readings that were set aside, the newest first."""
    asked = wired().quarantine.newest(
        routes.organisation,
        reason=routes.choice("reason", REASONS),
        profile=routes.choice("profile", wired().profiles),
        cursor=routes.text("cursor"),
        limit=min(routes.limit(), _MOST_SET_ASIDE),
    )
    return page([_set_aside(one) for one in asked.items], asked.next)


@routes.serve("GET", "/v1/quarantine/counts", scope="read", gives=Page[QuarantineCount], asks=(FROM, *PAGED))
def get_quarantine_counts() -> Response[str]:
    """How many per model and reason, the most first: a broken model of device shows. Of the last day, or since `from`.

    All on one page: there are no more than models times reasons.
    """
    routes.limit()
    since = routes.moment("from") or clock() - timedelta(days=1)
    counted = sorted(wired().quarantine.counts(routes.organisation, since=since).items(), key=lambda one: -one[1])
    items: list[QuarantineCount] = [
        {"profile": profile, "reason": reason, "count": count} for (profile, reason), count in counted
    ]
    return page(items, None)


@routes.serve(
    "POST",
    "/v1/quarantine/<quarantined>/replay",
    scope="operate",
    gives=TriedAgain,
    status=202,
    conflicts=(NothingKept,),
)
def post_quarantine_replay(quarantined: str) -> Response[str]:
    """Have it judged once more, with its own times; the quarantine and the observations say what became of it."""
    recalling.replay(routes.organisation, quarantined, quarantine=wired().quarantine, backlog=wired().backlog)
    tried: TriedAgain = {"id": quarantined}
    return answer(tried, status=202)
