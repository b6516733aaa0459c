"""Care plans: what the doctor set for one subject, or a programme's template, and the rules that the engine runs.

`parse_plan` makes rules of the contract's JSON (domain/plan_language.py), with bounds in canonical units, when nothing
is wrong with it (domain/plan_faults.py). Clinical numbers live in the plans and templates, never here.
"""

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from domain import units
from domain.codes import KINDS
from domain.enrolment import Attended, Subject
from domain.errors import InvalidRequest
from domain.plan_faults import faults, per_window, rule_faults
from domain.plan_language import (
    BRANCHES,
    COMPARE,
    DIRECTION,
    RANK,
    ActiveHours,
    Bound,
    CarePlanBody,
    Confirm,
    DryRunBody,
    Hours,
    Measurement,
    Persist,
    ProgrammeBody,
    Role,
    RuleBody,
    Severity,
    TemplateBody,
    Tier,
    TriedPlan,
    When,
    milliseconds,
)
from domain.request import read, refuse
from domain.trend import Branch, Form, Leaf, Level, Mean, Node, OffBaseline, Place, Projection, Rise, Slope, leaves

FRESH_FOR: dict[str, timedelta] = {
    "blood-pressure": timedelta(hours=6),
    "heart-rate": timedelta(hours=2),
    "glucose": timedelta(hours=2),
    "cgm": timedelta(minutes=15),
    "fetal-heart-rate": timedelta(minutes=15),
    "weight": timedelta(days=1),
    "oxygen-saturation": timedelta(hours=2),
    "temperature": timedelta(hours=6),
    "steps": timedelta(days=1),
    "heart-rate-variability": timedelta(days=1),
}
"""How old a reading of a kind may be and still notify, where a rule does not say (`fresh_for`)."""

ALWAYS_TOLD: tuple[Role, ...] = ("patient", "doctor")
"""Both are told of every alert, whatever the escalation adds (P4)."""

_TRENDS = {
    "rate_above": "rising", "rate_below": "falling", "change_above": "rising", "average_at_or_above": "high",
    "deviates": "off-baseline", "forecast_above": "rising", "forecast_below": "falling",
}  # fmt: skip
"""The forms that a run of values answers."""


def _never(_: Decimal) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Persistence:
    """Either milliseconds, or `readings` of the last `of`."""

    milliseconds: int | None = None
    readings: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class Confirmation:
    readings: int
    within: int
    ask_again: bool


@dataclass(frozen=True, slots=True)
class Repetition:
    """Every so many milliseconds, and how often in all."""

    every: int
    at_most: int


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A rule as the engine runs it: bounds are canonical, periods are milliseconds.

    One value answers `breached` and `recovered`; a `condition` is answered by what was measured before as well, of all
    `places`, of which `kind` and `value` are the first. `missing_for`: how long nothing of the kind may arrive.
    """

    id: str
    kind: str
    value: str
    severity: Severity
    family: str
    plan_version: str
    fresh_for: int
    breached: Callable[[Decimal], bool] = _never
    recovered: Callable[[Decimal], bool] = _never
    clear_for: int = 0
    persist: Persistence | None = None
    confirm: Confirmation | None = None
    active: ActiveHours | None = None
    condition: Node | None = None
    places: frozenset[Place] = frozenset()
    missing_for: int | None = None
    repeat: Repetition | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CarePlan:
    """Rules with what surrounds them. `author` and `effective_from` are None in a programme's template."""

    rules: tuple[Rule, ...]
    schedule: tuple[Measurement, ...]
    quiet_hours: Hours | None
    escalation: tuple[Tier, ...]
    author: str | None = None
    effective_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Programme:
    id: str
    version: int
    title: str
    plan: CarePlan


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """One version of a subject's care plan as it is stored; `document` is the JSON that its author put."""

    version: int
    author: str
    effective_from: datetime
    created_at: datetime
    document: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What judges a subject's readings at one time. `rules` of a kind stand most severe first.

    `kept` says how far back (milliseconds) the points of each series have to be known and `tallied` its sums, `missing`
    are the rules about what does not arrive. `unreadable` is the version of the subject's own plan that does not read,
    so that templates judge in its place.
    """

    rules: Mapping[str, tuple[Rule, ...]]
    by_id: Mapping[str, Rule]
    zone: ZoneInfo
    told_first: tuple[str, ...]
    escalation: tuple[Tier, ...] = ()
    quiet_hours: Hours | None = None
    schedule: tuple[Measurement, ...] = ()
    kept: Mapping[Place, int] = field(default_factory=dict)
    tallied: Mapping[Place, int] = field(default_factory=dict)
    missing: tuple[Rule, ...] = ()
    since: datetime | None = None
    unreadable: str | None = None


def parse_plan(document: Mapping[str, Any] | str | bytes, label: str = "") -> CarePlan:
    """The care plan that `document` (the contract's JSON) describes, with `label` as its rules' plan version.

    Raises InvalidRequest listing every field at fault as a JSON pointer, and why.
    """
    data = json.dumps(document, default=float) if isinstance(document, Mapping) else document
    body = read(CarePlanBody, data)
    return replace(_plan(body, label), author=body.author, effective_from=body.effective_from)


def try_plan(body: DryRunBody) -> CarePlan:
    """The care plan that is to be tried. Raises InvalidRequest."""
    return _plan(body.plan, "tried", at="/plan")


def parse_programme(data: str | bytes) -> Programme:
    """The programme that a file of the catalogue describes. Raises InvalidRequest."""
    body = read(ProgrammeBody, data)
    return Programme(body.id, body.version, body.title, _plan(body, f"{body.id}@{body.version}"))


def plan_for(
    subject: Subject | Attended,
    versions: Sequence[PlanVersion],
    programmes: Mapping[str, Programme],
    at: datetime,
) -> Plan | None:
    """What judges a reading measured at `at`: the newest version then in force, else the programmes' templates.

    None is `no-plan`: the subject has neither. A stored version that no longer reads falls back to the templates, or to
    no rule at all, and says so (`unreadable`): never silence (R45).
    """
    unreadable = None
    if in_force := versions and [one for one in versions if one.effective_from <= at]:
        newest = max(in_force, key=operator.attrgetter("version"))
        own = _stored(newest.document, str(newest.version))
        if own is not None:
            return plan_of(own, ZoneInfo(subject.time_zone), since=newest.effective_from)
        unreadable = str(newest.version)
    templates = [programmes[name].plan for name in subject.programmes if name in programmes]
    return _gather(tuple(templates), subject.time_zone, unreadable) if templates or in_force else None


def plan_of(own: CarePlan, zone: ZoneInfo, *, since: datetime) -> Plan:
    """What judges readings under `own` alone, as if it had been in force since then."""
    return replace(_gather((own,), zone.key), since=since)


def _stored(document: str, label: str) -> CarePlan | None:
    """What `parse_plan` makes of it, None where that raises; who wrote it and from when on stands beside it.

    A warm function hardly ever meets a patient again, but it does meet doctors who wrote the same, and nearly always
    the same rules: a doctor changes a bound or two of a template. So what is the same is read once.
    """
    for name in ("author", "effective_from"):
        before, found, after = document.partition(f'"{name}":"')
        document = before + found + after[after.find('"') :]
    return _read_once(document, label)


@lru_cache(maxsize=4096)
def _read_once(document: str, label: str) -> CarePlan | None:
    try:
        given = json.loads(document)
        around = {name: part for name, part in given.items() if name not in ("author", "effective_from")}
        plan = _without_rules(json.dumps(around | {"rules": given["rules"][:0]}))
        rules = tuple([_stored_rule(json.dumps(rule), label) for rule in given["rules"]])
    except (AttributeError, LookupError, TypeError, ValueError, InvalidRequest):
        return None
    return replace(plan, rules=rules) if len({rule.id for rule in rules}) == len(rules) else None


@lru_cache(maxsize=4096)
def _stored_rule(text: str, label: str) -> Rule:
    body = read(RuleBody, text)
    refuse(*rule_faults(body, ""))
    return _rule(body, label)


@lru_cache(maxsize=1024)
def _without_rules(text: str) -> CarePlan:
    return _plan(read(TriedPlan, text), "")


@lru_cache(maxsize=1024)
def _gather(plans: tuple[CarePlan, ...], time_zone: str, unreadable: str | None = None) -> Plan:
    """One plan of several templates: of rules with the same id, and of the rest, the first programme's count."""
    rules: dict[str, Rule] = {}
    for plan in plans:
        for rule in plan.rules:
            rules.setdefault(rule.id, rule)
    by_kind: dict[str, list[Rule]] = {}
    kept: dict[Place, int] = {}
    tallied: dict[Place, int] = {}
    ranked = sorted(rules.values(), key=lambda one: -RANK[one.severity])
    for rule in ranked:
        kinds = {kind for kind, _ in rule.places} or {rule.kind}
        for kind in kinds if rule.missing_for is None else ():
            by_kind.setdefault(kind, []).append(rule)
        for leaf in leaves(rule.condition) if rule.condition else ():
            known = tallied if isinstance(leaf.test, Mean) else kept
            known[leaf.place] = max(known.get(leaf.place, 0), leaf.test.over + leaf.fresh_for + rule.fresh_for)
    first = plans[0] if plans else CarePlan((), (), None, ())
    at_once = (role for tier in first.escalation if not tier.after for role in tier.to)
    return Plan(
        rules={kind: tuple(among) for kind, among in by_kind.items()},
        by_id={rule.id: rule for rule in ranked},
        zone=ZoneInfo(time_zone),
        told_first=tuple(dict.fromkeys((*ALWAYS_TOLD, *at_once))),
        escalation=first.escalation,
        quiet_hours=first.quiet_hours,
        schedule=first.schedule,
        kept=kept,
        tallied=tallied,
        missing=tuple(rule for rule in ranked if rule.missing_for is not None),
        unreadable=unreadable,
    )


def _plan(body: TemplateBody, label: str, at: str = "") -> CarePlan:
    refuse(*faults(body, at))
    return CarePlan(
        rules=tuple(_rule(rule, label) for rule in body.rules),
        schedule=body.schedule,
        quiet_hours=body.quiet_hours,
        escalation=body.escalation,
    )


def _rule(body: RuleBody, label: str) -> Rule:
    """`body`, found to be without fault, as the engine runs it."""
    (form,) = body.when.forms()
    rule = Rule(
        id=body.id,
        kind=str(body.kind),
        value=str(body.value),
        severity=body.severity,
        family=body.family or body.id,
        plan_version=label,
        fresh_for=0,
        clear_for=milliseconds(body.clear.for_) if body.clear and body.clear.for_ else 0,
        persist=None if body.persist is None else _persistence(body.persist),
        confirm=None if body.confirm is None else _confirmation(body.confirm),
        active=body.active,
        repeat=None if body.repeat is None else Repetition(milliseconds(body.repeat.every), body.repeat.at_most),
    )
    if form == "missing_for":
        assert body.when.missing_for is not None  # noqa: S101 - `form` names it
        return replace(rule, value=form, missing_for=milliseconds(body.when.missing_for))
    if form in DIRECTION:
        return _of_one_value(rule, body, form)
    condition = _node(body.when, body.kind, body.value)
    places = [leaf.place for leaf in leaves(condition)]
    kind, value = places[0]
    return replace(
        rule,
        kind=kind,
        value=value,
        family=body.family or (body.id if form in BRANCHES else f"{kind}/{value}/{_TRENDS[form]}"),
        fresh_for=milliseconds(body.fresh_for or min(FRESH_FOR[kind] for kind, _ in places)),
        condition=condition,
        places=frozenset(places),
    )


def _persistence(persist: Persist) -> Persistence:
    if persist.for_ is not None:
        return Persistence(milliseconds=milliseconds(persist.for_))
    readings = persist.readings or 0
    return Persistence(readings=readings, of=persist.of or readings)


def _confirmation(confirm: Confirm) -> Confirmation:
    return Confirmation(confirm.readings, milliseconds(confirm.within), confirm.ask_again)


def _of_one_value(rule: Rule, body: RuleBody, form: str) -> Rule:
    unit = KINDS[rule.kind].values[rule.value].unit
    breached = _breach(body.when, form, unit)
    recovery = [
        partial(COMPARE[name], units.convert(bound.value, bound.unit, unit))
        for name, bound in (body.clear.bounds() if body.clear else ())
    ]
    return replace(
        rule,
        family=body.family or f"{rule.kind}/{rule.value}/{DIRECTION[form]}",
        fresh_for=milliseconds(body.fresh_for or FRESH_FOR[rule.kind]),
        breached=breached,
        recovered=recovery[0] if recovery else lambda measured: not breached(measured),
    )


def _node(when: When, kind: str | None, value: str | None) -> Node:
    (form,) = when.forms()
    if form in BRANCHES:
        return Branch(BRANCHES[form], tuple(_node(part, part.kind, part.value) for part in when.parts()))
    place = str(kind), str(value)
    return Leaf(place, _test(when, form, KINDS[place[0]].values[place[1]].unit), milliseconds(FRESH_FOR[place[0]]))


def _test(when: When, form: str, unit: str) -> Form | Mean:
    given: Any = getattr(when, form)
    if form in DIRECTION:
        return Level(_breach(when, form, unit))
    match form:
        case "rate_above" | "rate_below":
            bound = per_window(given, unit)
            assert bound is not None  # noqa: S101 - a plan whose units do not convert was refused
            return Slope(bound, milliseconds(given.over), rising=form == "rate_above")
        case "change_above":
            return Rise(units.convert(given.value, given.unit, unit), milliseconds(given.over))
        case "average_at_or_above":
            bound = units.convert(given.value, given.unit, unit)
            return Mean(bound, milliseconds(given.over), drop_first_day=given.drop_first_day)
        case "deviates":
            return OffBaseline(given.mad, milliseconds(given.over))
        case _:
            bound = units.convert(given.value, given.unit, unit)
            return Projection(bound, milliseconds(given.within), rising=form == "forecast_above")


def _breach(when: When, form: str, unit: str) -> Callable[[Decimal], bool]:
    if form != "outside":
        bound: Bound = getattr(when, form)
        return partial(COMPARE[form], units.convert(bound.value, bound.unit, unit))
    limits = when.outside
    assert limits is not None  # noqa: S101 - `form` names it
    low, high = (None if end is None else units.convert(end, limits.unit, unit) for end in (limits.low, limits.high))
    return lambda measured: (low is not None and measured < low) or (high is not None and measured > high)
