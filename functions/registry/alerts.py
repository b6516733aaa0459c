"""The duty centre's queue, and what people do about an alert."""

from collections.abc import Callable

from aws_lambda_powertools.event_handler import Response

from domain.alert import Acknowledge, Alert, Event, Resolve, Snooze
from domain.answer import AlertShown, Page
from domain.errors import AlertOver
from domain.plan_language import RANK, AcknowledgeBody, ResolveBody, SnoozeBody
from functions.registry import attending
from functions.registry.access import Routes
from functions.registry.answers import answer, page
from functions.registry.operation import PAGED, Query
from functions.registry.records import shown_alert
from functions.registry.wiring import clock, wired

routes = Routes()

_SEVERITY = Query("severity", "of one severity only", {"enum": list(RANK)})


@routes.serve("GET", "/v1/alerts", scope="read", gives=Page[AlertShown], asks=(_SEVERITY, *PAGED))
def get_queue() -> Response[str]:
    """Open alerts of all subjects, the most severe first, of these the oldest.

    One that was raised a moment ago may not stand here yet.
    """
    asked = wired().duty_queue.open(
        routes.organisation,
        severity=routes.choice("severity", RANK),
        cursor=routes.text("cursor"),
        limit=routes.limit(),
    )
    return page([shown_alert(one) for one in asked.items], asked.next)


@routes.serve(
    "POST",
    "/v1/alerts/<alert>/acknowledge",
    scope="acknowledge",
    takes=AcknowledgeBody,
    gives=AlertShown,
    stale=True,
    conflicts=(AlertOver,),
)
def post_acknowledge(alert: str) -> Response[str]:
    """Take an alert on. Who has seen only what was less severe is not heard."""
    body = routes.body(AcknowledgeBody)

    def event(of: Alert) -> Event:
        return Acknowledge(of.organisation, of.subject, of.id, body.version, body.actor)

    return _attend(alert, body.version, event)


@routes.serve(
    "POST",
    "/v1/alerts/<alert>/snooze",
    scope="acknowledge",
    takes=SnoozeBody,
    gives=AlertShown,
    stale=True,
    conflicts=(AlertOver,),
)
def post_snooze(alert: str) -> Response[str]:
    """Tell nobody of the alert's family, at its severity or below, until then: for a day at most.

    When it is over, people hear of it again. An end that is past ends the snooze.
    """
    body = routes.body(SnoozeBody)

    def event(of: Alert) -> Event:
        return Snooze(of.organisation, of.subject, of.id, body.version, body.actor, body.until, body.reason)

    return _attend(alert, body.version, event)


@routes.serve(
    "POST",
    "/v1/alerts/<alert>/resolve",
    scope="acknowledge",
    takes=ResolveBody,
    gives=AlertShown,
    stale=True,
    conflicts=(AlertOver,),
)
def post_resolve(alert: str) -> Response[str]:
    """End an alert. What is measured from now on may raise another."""
    body = routes.body(ResolveBody)
    return _attend(
        alert,
        body.version,
        lambda of: Resolve(of.organisation, of.subject, of.id, body.version, body.actor, body.reason),
    )


def _attend(alert: str, version: int, event_of: Callable[[Alert], Event]) -> Response[str]:
    now = clock()
    after = attending.attend(
        routes.organisation,
        alert,
        version,
        event_of,
        queue=wired().duty_queue,
        episodes=wired().episodes,
        programmes=wired().programmes,
        now=now,
    )
    return answer(shown_alert(after))
