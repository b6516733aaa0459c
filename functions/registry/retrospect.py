"""Why it did or did not alarm, and what another care plan would have done: the past judged again, no AWS."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from domain.alert import Alert, Decision
from domain.care_plan import Plan, PlanVersion, Programme, plan_for, plan_of, try_plan
from domain.codes import KINDS
from domain.decisions import Judged, judged
from domain.dry_run import NIGHT, DryRun, as_if_prompt, dry_run
from domain.enrolment import Subject
from domain.observation import Observation
from domain.plan_language import DryRunBody
from domain.retrospect import memory, retrace
from domain.summary import Past

MOST_READINGS = 50_000
"""Of a kind: 90 days of a sensor that measures every five minutes are 25,920."""


class Kept(Protocol):
    def of(self, observations: Iterable[Observation]) -> Mapping[str, Judged]: ...


class AlertPage(Protocol):
    @property
    def items(self) -> Sequence[Alert]: ...
    @property
    def next(self) -> str | None: ...


class Alerts(Protocol):
    def of_subject(self, organisation: str, subject: str, *, to_at: datetime, cursor: str | None) -> AlertPage: ...


class Versions(Protocol):
    def versions(self, organisation: str, subject: str) -> Sequence[PlanVersion]: ...


@dataclass(frozen=True, slots=True)
class Answered:
    """Why of one reading. `kept`: it is what was written then; else it was computed again just now."""

    observation: Observation
    judged: Judged
    kept: bool


def decisions_on(
    observations: Sequence[Observation],
    subject: Subject,
    *,
    past: Past,
    kept: Kept,
    alerts: Alerts,
    plans: Versions,
    programmes: Mapping[str, Programme],
) -> list[Answered]:
    """The decisions on each of `observations`, in their order."""
    known = kept.of(observations)
    rest = [one for one in observations if one.id not in known]
    again = _again(rest, subject, past=past, alerts=alerts, plans=plans, programmes=programmes) if rest else {}
    return [
        Answered(one, found, one.id in known)
        for one in observations
        if (found := known.get(one.id) or again.get(one.id)) is not None
    ]


def _again(
    wanted: Sequence[Observation],
    subject: Subject,
    *,
    past: Past,
    alerts: Alerts,
    plans: Versions,
    programmes: Mapping[str, Programme],
) -> dict[str, Judged]:
    versions = plans.versions(subject.organisation, subject.id)

    def plan_at(known_at: datetime, measured_at: datetime) -> Plan | None:
        known = [version for version in versions if version.created_at <= known_at]
        return plan_for(subject, known, programmes, measured_at)

    first, last = min(one.received_at for one in wanted), max(one.received_at for one in wanted)
    back = max(
        (memory(plan) for one in wanted if (plan := plan_at(one.received_at, one.measured_at))), default=timedelta()
    )
    start = min(first, *(one.device_time for one in wanted)) - back
    start = min((one.raised_at - back for one in _still_open(subject, alerts, first, start)), default=start)
    found = past.between(
        subject.organisation,
        subject.id,
        from_at=start,
        to_at=max(last, *(one.device_time for one in wanted)),
        most=MOST_READINGS,
    )
    arrived = sorted(found, key=lambda one: (one.received_at, one.measured_at, one.id))
    ids = {one.id for one in wanted}
    return {
        turn.observation.id: judged(turn.observation, _on_it(turn.decisions), turn.now)
        for turn in retrace(arrived, plan_at, until=last, changes=[one.created_at for one in versions])
        if turn.observation is not None and turn.observation.id in ids
    }


def _on_it(decisions: Iterable[Decision]) -> Iterator[Decision]:
    """Without what the clock decided at that moment: where it was so it was kept, and here it would be a guess."""
    return (one for one in decisions if not one.by_clock)


def _still_open(subject: Subject, alerts: Alerts, until: datetime, since: datetime) -> list[Alert]:
    """Alerts raised before `until` that were not over at `since`: what led to them has to be read too."""
    found: list[Alert] = []
    cursor = None
    while True:
        page = alerts.of_subject(subject.organisation, subject.id, to_at=until, cursor=cursor)
        found += [one for one in page.items if one.resolved_at is None or one.resolved_at >= since]
        cursor = page.next
        if cursor is None:
            return found


@dataclass(frozen=True, slots=True)
class Compared:
    """`current` is what the plan in force today makes of the same readings, `plan_version` which that is."""

    from_at: datetime
    readings: int
    tried: DryRun
    current: DryRun
    plan_version: str | None


def compare(
    subject: Subject,
    body: DryRunBody,
    *,
    past: Past,
    plans: Versions,
    programmes: Mapping[str, Programme],
    now: datetime,
) -> Compared:
    """What `body`'s plan, and today's, would have made of the last days. Raises InvalidRequest."""
    own = try_plan(body)
    from_at = now - timedelta(days=body.days)
    tried = plan_of(own, ZoneInfo(subject.time_zone), since=from_at)
    versions = plans.versions(subject.organisation, subject.id)
    current = plan_for(subject, versions, programmes, now)
    used = {kind for plan in (tried, current) if plan is not None for kind in plan.rules}
    used |= {rule.kind for plan in (tried, current) if plan is not None for rule in plan.missing}
    found = as_if_prompt(
        one
        for one in past.between(
            subject.organisation,
            subject.id,
            from_at=from_at,
            to_at=now,
            most=MOST_READINGS,
            kinds=[kind for kind in KINDS if kind in used],
        )
        if subject.consent is not None and subject.consent.covers(one.measured_at)
    )
    night = own.quiet_hours or NIGHT
    nothing = DryRun(())
    return Compared(
        from_at=found[0].measured_at if found else from_at,
        readings=len(found),
        tried=dry_run(found, tried, night=night, until=now),
        current=nothing if current is None else dry_run(found, current, night=night, until=now),
        plan_version=_version(current),
    )


def _version(plan: Plan | None) -> str | None:
    if plan is None:
        return None
    return ", ".join(dict.fromkeys(rule.plan_version for rule in plan.by_id.values())) or None
