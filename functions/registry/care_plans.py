"""What the doctor set: the newest care plan of a subject, every version of it, and what another would have done."""

import json

from aws_lambda_powertools.event_handler import Response

from domain.answer import AlertLoad, CarePlanShown, DryRunShown, Page, WouldBeShown
from domain.care_plan import PlanVersion
from domain.codes import KINDS
from domain.dry_run import DryRun, WouldBe
from domain.plan_language import CarePlanBody, DryRunBody
from functions.registry import retrospect, service
from functions.registry.access import Routes
from functions.registry.answers import answer, page
from functions.registry.operation import PAGED
from functions.registry.wiring import clock, wired

routes = Routes()

_MOST_EPISODES = 1000
_MOST_VERSIONS = 50
"""An answer of Lambda holds at most 6 MB, and a plan may have 64 KB."""


def _shown(plan: PlanVersion) -> CarePlanShown:
    return {
        "version": plan.version,
        "created_at": plan.created_at.isoformat(),
        "plan": json.loads(plan.document),
    }


@routes.serve(
    "PUT",
    "/v1/subjects/<subject>/care-plan",
    scope="care-plan",
    takes=CarePlanBody,
    gives=CarePlanShown,
    made=CarePlanShown,
    edits=True,
    versioned=True,
)
def put_care_plan(subject: str) -> Response[str]:
    """Set the subject's care plan; the same document again makes no new version."""
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


@routes.serve("GET", "/v1/subjects/<subject>/care-plan", scope="care-plan", gives=CarePlanShown, versioned=True)
def get_care_plan(subject: str) -> Response[str]:
    """The newest version of the subject's own care plan."""
    plan = service.newest_care_plan(routes.organisation, subject, registry=wired().registry, plans=wired().plans)
    return answer(_shown(plan), version=plan.version)


@routes.serve(
    "GET", "/v1/subjects/<subject>/care-plan/versions", scope="care-plan", gives=Page[CarePlanShown], asks=PAGED
)
def get_versions(subject: str) -> Response[str]:
    """Every version, the newest first."""
    service.enrolled_subject(routes.organisation, subject, registry=wired().registry)
    limit = min(routes.limit(), _MOST_VERSIONS)
    asked = wired().plans.newest_first(routes.organisation, subject, cursor=routes.text("cursor"), limit=limit)
    return page([_shown(one) for one in asked.items], asked.next)


@routes.serve(
    "POST",
    "/v1/subjects/<subject>/care-plan/dry-run",
    scope="care-plan",
    takes=DryRunBody,
    gives=DryRunShown,
    reads=True,
)
def dry_run(subject: str) -> Response[str]:
    """What the last days would have produced under a plan that is not saved, beside today's."""
    found = service.enrolled_subject(routes.organisation, subject, registry=wired().registry)
    compared = retrospect.compare(
        found,
        routes.body(DryRunBody),
        past=wired().observations,
        plans=wired().plans,
        programmes=wired().programmes,
        now=clock(),
    )
    tried = compared.tried.episodes[-_MOST_EPISODES:]
    shown: DryRunShown = {
        "from": compared.from_at.isoformat(),
        "readings": compared.readings,
        **_counts(compared.tried),
        "current": {**_counts(compared.current), "plan_version": compared.plan_version},
        "episodes": [_episode(one) for one in reversed(tried)],
        "episodes_left_out": len(compared.tried.episodes) - len(tried),
    }
    return answer(shown)


def _counts(run: DryRun) -> AlertLoad:
    return {"alerts": len(run.episodes), "at_night": run.at_night, "needing_a_human": run.needing_a_human}


def _episode(one: WouldBe) -> WouldBeShown:
    alert = one.alert
    return {
        "rule": alert.rule,
        "severity": alert.severity,
        "category": alert.category,
        "state": alert.state,
        "outcome": alert.outcome,
        "raised_at": alert.raised_at.isoformat(),
        "resolved_at": None if alert.resolved_at is None else alert.resolved_at.isoformat(),
        "at_night": one.at_night,
        "observation": alert.observation or None,
        "readings": [
            {
                "id": reading.id,
                "kind": reading.kind,
                "measured_at": reading.measured_at.isoformat(),
                "values": {
                    name: {"value": format(value, "f"), "unit": KINDS[reading.kind].values[name].unit}
                    for name, value in reading.values.items()
                },
            }
            for reading in one.readings
        ],
        "told": [{"at": told.at.isoformat(), "to": list(told.to), "what": told.what} for told in one.tellings],
    }
