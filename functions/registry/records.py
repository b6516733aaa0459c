"""Reading back: what was stored, what was raised, and why."""

from datetime import datetime
from zoneinfo import ZoneInfo

from aws_lambda_powertools.event_handler import Response

from domain.alert import Alert
from domain.answer import (
    AlertShown,
    DaysTransmitted,
    DecisionsShown,
    DerivedShown,
    ObservationShown,
    Page,
    SummaryShown,
)
from domain.codes import KINDS
from domain.delivery import may_leave
from domain.derived import FORMS, Derived, ending
from domain.enrolment import Subject
from domain.observation import Observation
from domain.summary import of_week, summary
from functions.registry import retrospect, service
from functions.registry.access import Routes
from functions.registry.answers import answer, page
from functions.registry.operation import FROM, KIND, PAGED, TO, Query
from functions.registry.wiring import clock, wired

routes = Routes()

_DAYS = "days-transmitted"
_UNTIL = Query("until", "whose day is the last of the thirty: now", {"type": "string", "format": "date-time"})
_MOST_REPORTED = 10
"""Each is thirty days of readings."""


def _observation(one: Observation) -> ObservationShown:
    types = KINDS[one.kind].values
    return {
        "id": one.id,
        "subject": one.subject,
        "kind": one.kind,
        "values": {name: {"value": format(value, "f"), "unit": types[name].unit} for name, value in one.values.items()},
        "measured_at": one.measured_at.isoformat(),
        "device_time": one.device_time.isoformat(),
        "received_at": one.received_at.isoformat(),
        "device": one.device,
        "origin": one.origin,
        "tags": sorted(one.tags),
        "flags": list(one.flags),
        "context": dict(one.context),
        "paths": sorted(one.paths),
        "version": one.version,
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def shown_alert(one: Alert) -> AlertShown:
    return {
        "id": one.id,
        "version": one.version,
        "subject": one.subject,
        "rule": one.rule,
        "severity": one.severity,
        "category": one.category,
        "state": one.state,
        "outcome": one.outcome,
        "raised_at": one.raised_at.isoformat(),
        "resolved_at": _moment(one.resolved_at),
        "observation": one.observation,
        "plan_version": one.plan_version,
        "acknowledged": None
        if one.acknowledged is None
        else {"actor": one.acknowledged.actor, "at": one.acknowledged.at.isoformat()},
        "snoozed_until": _moment(one.snoozed_until),
    }


def _decided(one: retrospect.Answered) -> DecisionsShown:
    return {
        "observation": one.observation.id,
        "kind": one.observation.kind,
        "measured_at": one.observation.measured_at.isoformat(),
        "received_at": one.observation.received_at.isoformat(),
        "judged_at": one.judged.judged_at.isoformat(),
        "engine": one.judged.engine,
        "kept": one.kept,
        "rules": [
            {
                "rule": decision.rule,
                "plan_version": decision.plan_version,
                "before": decision.before,
                "after": decision.after,
                "why": decision.why,
            }
            for decision in one.judged.decisions
        ],
    }


@routes.serve(
    "GET",
    "/v1/subjects/<subject>/observations",
    scope="read",
    gives=Page[ObservationShown],
    asks=(KIND, FROM, TO, *PAGED),
)
def get_observations(subject: str) -> Response[str]:
    """What was measured, kind by kind, each in the order of measuring."""
    found = service.enrolled_subject(routes.organisation, subject, registry=wired().registry)
    asked = wired().observations.recent(
        found.organisation,
        found.id,
        kind=routes.choice("kind", KINDS),
        from_at=routes.moment("from"),
        to_at=routes.moment("to"),
        cursor=routes.text("cursor"),
        limit=routes.limit(),
    )
    return page([_observation(one) for _, one in asked.items], asked.next)


@routes.serve(
    "GET",
    "/v1/subjects/<subject>/alerts",
    scope="read",
    gives=Page[AlertShown],
    asks=(KIND, FROM, TO, *PAGED),
)
def get_alerts(subject: str) -> Response[str]:
    """What was raised for a subject, the newest first."""
    found = service.enrolled_subject(routes.organisation, subject, registry=wired().registry)
    asked = wired().alerts.of_subject(
        found.organisation,
        found.id,
        kind=routes.choice("kind", KINDS),
        from_at=routes.moment("from"),
        to_at=routes.moment("to"),
        cursor=routes.text("cursor"),
        limit=routes.limit(),
    )
    return page([shown_alert(one) for one in asked.items], asked.next)


@routes.serve(
    "GET",
    "/v1/subjects/<subject>/decisions",
    scope="read",
    gives=Page[DecisionsShown],
    asks=(KIND, FROM, TO, *PAGED),
)
def get_decisions(subject: str) -> Response[str]:
    """Why each reading did or did not alarm: as it was kept then, or computed again just now."""
    found = service.enrolled_subject(routes.organisation, subject, registry=wired().registry)
    asked = wired().observations.recent(
        found.organisation,
        found.id,
        kind=routes.choice("kind", KINDS),
        from_at=routes.moment("from"),
        to_at=routes.moment("to"),
        cursor=routes.text("cursor"),
        limit=routes.limit(),
    )
    answered = retrospect.decisions_on(
        [one for _, one in asked.items],
        found,
        past=wired().observations,
        kept=wired().decisions,
        alerts=wired().alerts,
        plans=wired().plans,
        programmes=wired().programmes,
    )
    return page([_decided(one) for one in answered], asked.next)


def _derived(one: Derived) -> DerivedShown:
    units = FORMS[one.kind].units
    return {
        "kind": one.kind,
        "period": {"from": one.period.from_at.isoformat(), "to": one.period.to_at.isoformat()},
        "count": one.count,
        "values": {name: {"value": format(value, "f"), "unit": units[name]} for name, value in one.values.items()},
        "auxiliary": one.auxiliary,
        "version": one.version,
    }


@routes.serve("GET", "/v1/subjects/<subject>/summary", scope="read", gives=SummaryShown)
def get_summary(subject: str) -> Response[str]:
    """What the readings say together, as of now: mean pressure, glucose statistics, weight, days transmitted."""
    found = service.enrolled_subject(routes.organisation, subject, registry=wired().registry)
    shown: SummaryShown = {
        "subject": found.id,
        "time_zone": found.time_zone,
        "derived": [_derived(one) for one in summary(found, past=wired().observations, now=clock())],
    }
    return answer(shown)


@routes.serve("GET", "/v1/reports/days-transmitted", scope="read", gives=Page[DaysTransmitted], asks=(_UNTIL, *PAGED))
def get_days_transmitted() -> Response[str]:
    """On how many of thirty days each subject's devices measured and sent something (F19): evidence for payment.

    Of those whose consent is in force, by the subject's own days. A page may be empty and not the last.
    """
    until = routes.moment("until") or clock()
    limit = min(routes.limit(), _MOST_REPORTED)
    asked = wired().registry.enrolled(routes.organisation, cursor=routes.text("cursor"), limit=limit)
    return page([_days(one, until) for one in asked.items if may_leave(one)], asked.next)


def _days(subject: Subject, until: datetime) -> DaysTransmitted:
    zone = ZoneInfo(subject.time_zone)
    last = until.astimezone(zone).date()
    found = of_week(_DAYS, subject, last, past=wired().observations)
    period = ending(_DAYS, last, zone)
    return {
        "subject": subject.id,
        "period": {"from": period.from_at.isoformat(), "to": period.to_at.isoformat()},
        "days": 0 if found is None else int(found.values["days"]),
    }
