"""Reading back: what was stored, what was raised, what was set aside."""

from base64 import b64encode
from datetime import datetime
from typing import Any

from aws_lambda_powertools.event_handler import Response

from domain.alert import Alert
from domain.codes import KINDS
from domain.observation import Observation
from domain.quarantine import SetAside
from functions.registry import retrospect, service
from functions.registry.access import Routes, allow
from functions.registry.answers import page
from functions.registry.wiring import wired

routes = Routes()

_MOST_SET_ASIDE = 25
"""A page of the quarantine may hold whole messages of 128 KB, and an answer of Lambda at most 6 MB."""


def _observation(one: Observation) -> dict[str, Any]:
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


def _alert(one: Alert) -> dict[str, Any]:
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
        "acknowledged": one.acknowledged and {"actor": one.acknowledged.actor, "at": one.acknowledged.at.isoformat()},
        "snoozed_until": _moment(one.snoozed_until),
    }


def _decided(one: retrospect.Answered) -> dict[str, Any]:
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


def _set_aside(one: SetAside) -> dict[str, Any]:
    return {
        "id": one.id,
        "reason": one.reason,
        "detail": one.detail,
        "thing": one.thing,
        "device": one.device,
        "topic": one.topic,
        "received_at": one.received_at.isoformat(),
        "payload": None if one.payload is None else b64encode(one.payload).decode(),
    }


@routes.get("/v1/subjects/<subject>/observations", middlewares=allow("read"))
def get_observations(subject: str) -> Response[str]:
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


@routes.get("/v1/subjects/<subject>/alerts", middlewares=allow("read"))
def get_alerts(subject: str) -> Response[str]:
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
    return page([_alert(one) for one in asked.items], asked.next)


@routes.get("/v1/subjects/<subject>/decisions", middlewares=allow("read"))
def get_decisions(subject: str) -> Response[str]:
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


@routes.get("/v1/quarantine", middlewares=allow("read"))
def get_quarantine() -> Response[str]:
    limit = min(routes.limit(), _MOST_SET_ASIDE)
    asked = wired().quarantine.newest(routes.organisation, cursor=routes.text("cursor"), limit=limit)
    return page([_set_aside(one) for one in asked.items], asked.next)
