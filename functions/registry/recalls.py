"""Recalls: what is blocked or flagged at once, and undone."""

from aws_lambda_powertools.event_handler import Response

from domain.answer import Page, RecallShown
from domain.recall import Recall
from domain.request import RecallBody
from functions.registry import recalling
from functions.registry.access import Routes
from functions.registry.answers import answer, nothing, page
from functions.registry.operation import PAGED
from functions.registry.wiring import clock, wired

routes = Routes()


def _recall(one: Recall) -> RecallShown:
    return {
        "id": one.id,
        "profile": one.profile,
        "lot": one.lot,
        "serials": None if one.serials is None else {"from": one.serials[0], "to": one.serials[1]},
        "mode": one.mode,
        "reason": one.reason,
        "created_at": one.created_at.isoformat(),
    }


@routes.serve("POST", "/v1/recalls", scope="operate", takes=RecallBody, gives=RecallShown, made=RecallShown)
def post_recall() -> Response[str]:
    """Block or flag a model, a lot or a range of serials; their past observations are marked."""
    recall, new = recalling.add_recall(
        routes.organisation,
        routes.body(RecallBody),
        registry=wired().registry,
        profiles=wired().profiles,
        now=clock(),
    )
    return answer(_recall(recall), status=201 if new else 200)


@routes.serve("GET", "/v1/recalls", scope="read", gives=Page[RecallShown], asks=PAGED)
def get_recalls() -> Response[str]:
    """Those in force, all on one page."""
    routes.limit()
    return page([_recall(one) for one in wired().registry.recalls(routes.organisation)[0]], None)


@routes.serve("DELETE", "/v1/recalls/<recall>", scope="operate")
def delete_recall(recall: str) -> Response[str]:
    """It is over: its marks are taken back, and what it set aside is judged once more."""
    recalling.withdraw(routes.organisation, recall, registry=wired().registry)
    return nothing()
