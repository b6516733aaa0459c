"""What the doctor set: the newest care plan of a subject, and every version of it."""

import json
from typing import Any

from aws_lambda_powertools.event_handler import Response

from domain.care_plan import PlanVersion
from functions.registry import service
from functions.registry.access import Routes, allow
from functions.registry.answers import answer, page
from functions.registry.wiring import clock, wired

routes = Routes()


def _shown(plan: PlanVersion) -> dict[str, Any]:
    return {
        "version": plan.version,
        "created_at": plan.created_at.isoformat(),
        "plan": json.loads(plan.document),
    }


@routes.put("/v1/subjects/<subject>/care-plan", middlewares=allow("care-plan"))
def put_care_plan(subject: str) -> Response[str]:
    before, after = service.put_care_plan(
        routes.organisation,
        subject,
        routes.document(),
        if_match=routes.if_match(),
        registry=wired().registry,
        plans=wired().plans,
        now=clock(),
    )
    return answer(_shown(after), status=200 if before else 201, version=after.version)


@routes.get("/v1/subjects/<subject>/care-plan", middlewares=allow("care-plan"))
def get_care_plan(subject: str) -> Response[str]:
    plan = service.newest_care_plan(routes.organisation, subject, registry=wired().registry, plans=wired().plans)
    return answer(_shown(plan), version=plan.version)


@routes.get("/v1/subjects/<subject>/care-plan/versions", middlewares=allow("care-plan"))
def get_versions(subject: str) -> Response[str]:
    service.enrolled_subject(routes.organisation, subject, registry=wired().registry)
    versions = wired().plans.versions(routes.organisation, subject)
    return page([_shown(one) for one in reversed(versions)], None)
