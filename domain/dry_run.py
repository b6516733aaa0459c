"""What a care plan would have made of a subject's own past: whole episodes, whom they would have told, and when.

Every reading is judged as if it had arrived when it was measured, and as if nobody had acknowledged or snoozed an
alert.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time

from domain.alert import Alert
from domain.care_plan import Plan
from domain.observation import Observation
from domain.plan_language import Hours
from domain.retrospect import retrace

NIGHT = Hours.model_construct(from_=time(22), to=time(7))
"""What counts as night where a plan has no quiet hours."""


@dataclass(frozen=True, slots=True)
class Telling:
    """At `at` these roles would have been told: `measure-again`, `raised`, `repeated` or `escalated`."""

    at: datetime
    to: tuple[str, ...]
    what: str


@dataclass(frozen=True, slots=True)
class WouldBe:
    """An alert that would have been: its last version, with the readings that count towards it."""

    alert: Alert
    readings: tuple[Observation, ...]
    tellings: tuple[Telling, ...]
    at_night: bool


@dataclass(frozen=True, slots=True)
class DryRun:
    episodes: tuple[WouldBe, ...]

    @property
    def at_night(self) -> int:
        return sum(one.at_night for one in self.episodes)

    @property
    def needing_a_human(self) -> int:
        return sum(one.alert.outcome != "not-confirmed" for one in self.episodes)


def as_if_prompt(observations: Iterable[Observation]) -> list[Observation]:
    """The past as a dry run takes it: each reading arrived when it was measured."""
    return sorted(
        (
            one if one.received_at == one.measured_at else one._replace(received_at=one.measured_at)
            for one in observations
        ),
        key=lambda one: (one.measured_at, one.id),
    )


def dry_run(past: Sequence[Observation], plan: Plan, *, night: Hours, until: datetime) -> DryRun:
    """Judge the `past` (`as_if_prompt`) under `plan`; `night` says which hours count as such."""
    versions: dict[str, list[tuple[datetime, Alert]]] = {}
    for turn in retrace(past, lambda _, __: plan, until=until):
        for alert in turn.alerts:
            versions.setdefault(alert.id, []).append((turn.now, alert))
    wanted = {name for of_one in versions.values() for name in of_one[-1][1].observations}
    readings = {one.id: one for one in past if one.id in wanted}
    return DryRun(tuple(_would_be(of_one, readings, plan, night, until) for of_one in versions.values()))


def _would_be(
    versions: Sequence[tuple[datetime, Alert]],
    readings: dict[str, Observation],
    plan: Plan,
    night: Hours,
    until: datetime,
) -> WouldBe:
    _, newest = versions[-1]
    tellings = tuple(sorted(_tellings(versions, plan, until), key=lambda one: one.at))
    return WouldBe(
        alert=newest,
        readings=tuple(readings[name] for name in newest.observations if name in readings),
        tellings=tellings,
        at_night=night.covers(versions[0][0].astimezone(plan.zone)),
    )


def _tellings(versions: Sequence[tuple[datetime, Alert]], plan: Plan, until: datetime) -> Iterable[Telling]:
    """What people would have been told of an alert, and the steps of the escalation until it is over."""
    over = next((at for at, one in versions if one.state == "resolved"), until)
    told = [(at, one) for at, one in versions if one.told]
    yield from (Telling(at, one.tell, str(one.told)) for at, one in told)
    started = next((at for at, one in told if one.told == "raised"), None)
    if started is not None:
        later = (tier for tier in plan.escalation if tier.after and started + tier.after < over)
        yield from (Telling(started + tier.after, tier.to, "escalated") for tier in later)
