"""Care plans: what the doctor set for one subject, or a programme's template, and the rules that the engine runs.

The bodies are the contract's JSON, read strictly; `parse_plan` makes rules of one, with bounds in canonical units.
Clinical numbers live in the plans and templates, never here. Times without a zone are the subject's local time.
"""

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from domain import units
from domain.codes import KINDS, ValueType
from domain.enrolment import Subject
from domain.errors import BadUnit, Fault, InvalidRequest
from domain.request import Body, Moment, read, refuse
from domain.trend import Branch, Form, Leaf, Level, Mean, Node, OffBaseline, Place, Projection, Rise, Slope, leaves

Severity = Literal["info", "warning", "critical"]
Role = Literal["patient", "doctor", "duty", "head"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

RANK: dict[str, int] = {"info": 0, "warning": 1, "critical": 2}

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

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "at_or_above": operator.le,
    "above": operator.lt,
    "at_or_below": operator.ge,
    "below": operator.gt,
}
"""A form as `compare(bound, value)`."""

_DIRECTION = {"at_or_above": "high", "above": "high", "at_or_below": "low", "below": "low", "outside": "outside"}
"""The forms that a single value answers."""

_TRENDS = {
    "rate_above": "rising", "rate_below": "falling", "change_above": "rising", "average_at_or_above": "high",
    "deviates": "off-baseline", "forecast_above": "rising", "forecast_below": "falling",
}  # fmt: skip
"""The forms that a run of values answers."""

_BRANCHES = {"all_of": "all", "any_of": "any", "not": "not"}
_PER = {"/s": 1_000, "/min": 60_000, "/h": 3_600_000, "/d": 86_400_000}

_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PERIOD = re.compile(r"P(?!$)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_RULE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_LONGEST = timedelta(days=400)  # observations are kept no longer
_NO_TIME_TO_ASK = Decimal("3.0")  # mmol/L: level 2 hypoglycaemia of the international consensus


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not Decimal(str(value)).is_finite():
        raise ValueError("a number")
    return Decimal(str(value))


def _period(value: object) -> timedelta:
    found = _PERIOD.fullmatch(value) if isinstance(value, str) and len(value) < 24 else None
    if found is None:
        raise ValueError("a period of ISO 8601 in weeks, days, hours, minutes or seconds, as in PT10M")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    period = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    if period > _LONGEST:
        raise ValueError("a period of at most 400 days: observations are kept no longer")
    return period


def _some_time(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("a period longer than nothing")
    return value


def _clock(value: object) -> time:
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError("a local time as in 06:00")
    return time.fromisoformat(value)


def _matching(pattern: re.Pattern[str], wanted: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(wanted)
        return value

    return AfterValidator(check)


Number = Annotated[Decimal, BeforeValidator(_number, json_schema_input_type=float)]
Period = Annotated[timedelta, BeforeValidator(_period, json_schema_input_type=str)]
Duration = Annotated[Period, AfterValidator(_some_time)]
Clock = Annotated[time, BeforeValidator(_clock, json_schema_input_type=str)]
Actor = Annotated[str, _matching(_ACTOR, "a token of your system, never a name")]
RuleId = Annotated[str, _matching(_RULE_ID, "1 to 64 lower-case letters, digits or hyphens")]


class Bound(Body):
    value: Number
    unit: str


class Outside(Body):
    """Below `low` or above `high`; either may be absent, and each is judged by itself (C23)."""

    low: Number | None = None
    high: Number | None = None
    unit: str

    @model_validator(mode="after")
    def _in_order(self) -> "Outside":
        if self.low is None and self.high is None:
            raise ValueError("low or high is needed")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low is below high")
        return self


class OverTime(Bound):
    over: Duration


class Average(OverTime):
    drop_first_day: bool = False


class Deviation(Body):
    mad: Number
    over: Duration


class Forecast(Bound):
    within: Duration


class When(Body):
    """Exactly one form. Inside `all_of`, `any_of` and `not` each condition names its kind and value."""

    at_or_above: Bound | None = None
    above: Bound | None = None
    at_or_below: Bound | None = None
    below: Bound | None = None
    outside: Outside | None = None
    rate_above: OverTime | None = None
    rate_below: OverTime | None = None
    missing_for: Duration | None = None
    change_above: OverTime | None = None
    average_at_or_above: Average | None = None
    deviates: Deviation | None = None
    forecast_above: Forecast | None = None
    forecast_below: Forecast | None = None
    all_of: Annotated[tuple["Condition", ...], Field(min_length=1, max_length=8)] | None = None
    any_of: Annotated[tuple["Condition", ...], Field(min_length=1, max_length=8)] | None = None
    not_: "Condition | None" = Field(alias="not", default=None)

    @model_validator(mode="after")
    def _one_form(self) -> "When":
        if len(self.forms()) != 1:
            raise ValueError(f"exactly one of {', '.join(_FORMS)}")
        return self

    def forms(self) -> list[str]:
        """The names of the forms that are given, as the contract spells them."""
        return [name for field, name in _FORM_OF.items() if getattr(self, field) is not None]


class Condition(When):
    kind: str | None = None
    value: str | None = None


_FORM_OF = {name: field.alias or name for name, field in When.model_fields.items()}
_FORMS = tuple(_FORM_OF.values())


class Confirm(Body):
    """`readings` at or past the bound within `within`; `ask_again` tells patient and doctor at the first."""

    readings: Annotated[int, Field(ge=2, le=5)] = 2
    within: Duration
    ask_again: bool = False


class Clear(Body):
    """When an episode ends: past the bound of recovery (else: no longer breached) and so for `for`."""

    above: Bound | None = None
    at_or_above: Bound | None = None
    below: Bound | None = None
    at_or_below: Bound | None = None
    for_: Period | None = Field(alias="for", default=None)

    @model_validator(mode="after")
    def _one_bound(self) -> "Clear":
        if len(self.bounds()) > 1:
            raise ValueError("at most one of above, at_or_above, below, at_or_below")
        return self

    def bounds(self) -> list[tuple[str, Bound]]:
        return [(form, bound) for form in _COMPARE if (bound := getattr(self, form)) is not None]


class Persist(Body):
    """Either `for` a period, or `readings` out of the last `of` distinct ones, by measured time."""

    for_: Duration | None = Field(alias="for", default=None)
    readings: Annotated[int, Field(ge=2, le=16)] | None = None
    of: Annotated[int, Field(ge=2, le=16)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Persist":
        if (self.for_ is None) == (self.readings is None):
            raise ValueError("either for, or readings with of")
        if self.readings is None and self.of is not None:
            raise ValueError("of goes with readings")
        if self.readings is not None and self.of is not None and self.readings > self.of:
            raise ValueError("readings is at most of")
        return self


class Hours(Body):
    """From `from` to `to` local time, past midnight when `to` is the earlier."""

    from_: Clock = Field(alias="from")
    to: Clock

    @model_validator(mode="after")
    def _some_hours(self) -> "Hours":
        if self.from_ == self.to:
            raise ValueError("to differs from from")
        return self


class ActiveHours(Hours):
    """`days` are those on which the period begins."""

    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7)] = _DAYS

    def covers(self, local: datetime) -> bool:
        clock, day = local.time(), local.weekday()
        if self.from_ < self.to:
            return self.from_ <= clock < self.to and _DAYS[day] in self.days
        if clock >= self.from_:
            return _DAYS[day] in self.days
        return clock < self.to and _DAYS[day - 1] in self.days


class Repeat(Body):
    every: Duration
    at_most: Annotated[int, Field(ge=1, le=100)]


class RuleBody(Body):
    id: RuleId
    kind: str | None = None
    value: str | None = None
    severity: Severity
    family: RuleId | None = None
    fresh_for: Duration | None = None
    when: When
    confirm: Confirm | None = None
    clear: Clear | None = None
    persist: Persist | None = None
    active: ActiveHours | None = None
    repeat: Repeat | None = None


class Measurement(Body):
    """A prescription to measure `kind` once in each window; `grace` passes before it counts as missed."""

    kind: str
    windows: Annotated[tuple[Hours, ...], Field(min_length=1, max_length=24)]
    grace: Period = timedelta(hours=1)


class Tier(Body):
    after: Period
    to: Annotated[tuple[Role, ...], Field(min_length=1, max_length=4)]


class TemplateBody(Body):
    """What a care plan and a programme's template share."""

    rules: Annotated[tuple[RuleBody, ...], Field(max_length=64)]
    schedule: Annotated[tuple[Measurement, ...], Field(max_length=16)] = ()
    quiet_hours: Hours | None = None
    escalation: Annotated[tuple[Tier, ...], Field(max_length=8)] = ()


class CarePlanBody(TemplateBody):
    """`PUT /v1/subjects/{subject}/care-plan`."""

    author: Actor
    effective_from: Moment


class ProgrammeBody(TemplateBody):
    """A file of `catalogue/programmes`. `sources` say where its numbers come from; a clinician signs them off."""

    id: RuleId
    version: Annotated[int, Field(ge=1)]
    title: str
    sources: tuple[str, ...]


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

    `kept` says how far back (milliseconds) each series has to be known, `missing` are the rules about what does not
    arrive. `unreadable` is the version of the subject's own plan that does not read, so that templates judge in its
    place.
    """

    rules: Mapping[str, tuple[Rule, ...]]
    by_id: Mapping[str, Rule]
    zone: ZoneInfo
    told_first: tuple[str, ...]
    escalation: tuple[Tier, ...] = ()
    quiet_hours: Hours | None = None
    schedule: tuple[Measurement, ...] = ()
    kept: Mapping[Place, int] = field(default_factory=dict)
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


def parse_programme(data: str | bytes) -> Programme:
    """The programme that a file of the catalogue describes. Raises InvalidRequest."""
    body = read(ProgrammeBody, data)
    return Programme(body.id, body.version, body.title, _plan(body, f"{body.id}@{body.version}"))


def plan_for(
    subject: Subject, versions: Sequence[PlanVersion], programmes: Mapping[str, Programme], at: datetime
) -> Plan | None:
    """What judges a reading measured at `at`: the newest version then in force, else the programmes' templates.

    None is `no-plan`: the subject has neither. A stored version that no longer reads falls back to the templates, or to
    no rule at all, and says so (`unreadable`): never silence (R45).
    """
    zone = ZoneInfo(subject.time_zone)
    in_force = max(
        (one for one in versions if one.effective_from <= at), key=operator.attrgetter("version"), default=None
    )
    if in_force is not None:
        own = _stored(in_force.document, str(in_force.version))
        if own is not None:
            return _gather((own,), zone, since=in_force.effective_from)
    templates = tuple(programmes[name].plan for name in subject.programmes if name in programmes)
    if templates or in_force is not None:
        return _gather(templates, zone, unreadable=None if in_force is None else str(in_force.version))
    return None


@lru_cache(maxsize=1024)
def _stored(document: str, label: str) -> CarePlan | None:
    try:
        return parse_plan(document, label)
    except InvalidRequest:
        return None


@lru_cache(maxsize=1024)
def _gather(
    plans: tuple[CarePlan, ...], zone: ZoneInfo, *, since: datetime | None = None, unreadable: str | None = None
) -> Plan:
    """One plan of several templates: of rules with the same id, and of the rest, the first programme's count."""
    rules: dict[str, Rule] = {}
    for plan in plans:
        for rule in plan.rules:
            rules.setdefault(rule.id, rule)
    by_kind: dict[str, list[Rule]] = {}
    kept: dict[Place, int] = {}
    ranked = sorted(rules.values(), key=lambda one: -RANK[one.severity])
    for rule in ranked:
        kinds = {kind for kind, _ in rule.places} or {rule.kind}
        for kind in kinds if rule.missing_for is None else ():
            by_kind.setdefault(kind, []).append(rule)
        for leaf in leaves(rule.condition) if rule.condition else ():
            kept[leaf.place] = max(kept.get(leaf.place, 0), leaf.test.over + leaf.fresh_for + rule.fresh_for)
    first = plans[0] if plans else CarePlan((), (), None, ())
    at_once = (role for tier in first.escalation if not tier.after for role in tier.to)
    return Plan(
        rules={kind: tuple(among) for kind, among in by_kind.items()},
        by_id={rule.id: rule for rule in ranked},
        zone=zone,
        told_first=tuple(dict.fromkeys((*ALWAYS_TOLD, *at_once))),
        escalation=first.escalation,
        quiet_hours=first.quiet_hours,
        schedule=first.schedule,
        kept=kept,
        missing=tuple(rule for rule in ranked if rule.missing_for is not None),
        since=since,
        unreadable=unreadable,
    )


def _plan(body: TemplateBody, label: str) -> CarePlan:
    refuse(*_faults(body))
    return CarePlan(
        rules=tuple(_rule(rule, label) for rule in body.rules),
        schedule=body.schedule,
        quiet_hours=body.quiet_hours,
        escalation=body.escalation,
    )


def _faults(body: TemplateBody) -> Iterator[Fault]:
    """What is wrong though each field by itself has the right shape."""
    seen: set[str] = set()
    for index, rule in enumerate(body.rules):
        at = f"/rules/{index}"
        if rule.id in seen:
            yield Fault(f"{at}/id", f"another rule is named {rule.id}")
        seen.add(rule.id)
        yield from _rule_faults(rule, at)
    for index, measurement in enumerate(body.schedule):
        if measurement.kind not in KINDS:
            yield Fault(f"/schedule/{index}/kind", f"one of {', '.join(KINDS)}")
    waits = [tier.after for tier in body.escalation]
    if waits != sorted(set(waits)):
        yield Fault("/escalation", "each step comes later than the one before it")


def _rule_faults(rule: RuleBody, at: str) -> Iterator[Fault]:
    (form,) = rule.when.forms()
    if form == "missing_for":
        yield from _missing_faults(rule, at)
        return
    found = list(_condition_faults(rule.when, rule.kind, rule.value, at, f"{at}/when"))
    found += _clear_faults(rule, form, at) if not found else ()
    yield from found
    if found:
        return
    if rule.confirm is not None and rule.confirm.ask_again and _no_time_to_ask(rule, form):
        yield Fault(f"{at}/confirm/ask_again", "fetal heart rate and glucose under 3.0 mmol/L alert at once, unasked")
    if rule.severity == "critical" and "forecast" in form:
        yield Fault(f"{at}/severity", "what is only foreseen is at most a warning")


def _missing_faults(rule: RuleBody, at: str) -> Iterator[Fault]:
    if rule.kind not in KINDS:
        yield Fault(f"{at}/kind", f"one of {', '.join(KINDS)}")
    for name in ("value", "confirm", "clear", "persist", "fresh_for"):
        if getattr(rule, name) is not None:
            yield Fault(f"{at}/{name}", "it goes with what was measured, and missing_for with what was not")


def _condition_faults(when: When, kind: str | None, value: str | None, at: str, pointer: str) -> Iterator[Fault]:
    """`at` is where kind and value stand, `pointer` where the form does."""
    (form,) = when.forms()
    if form in _BRANCHES:
        if kind is not None or value is not None:
            yield Fault(f"{at}/{'kind' if kind is not None else 'value'}", f"each condition of {form} names its own")
        for index, part in enumerate(_parts(when, form)):
            inner = f"{pointer}/{form}" if form == "not" else f"{pointer}/{form}/{index}"
            yield from _condition_faults(part, part.kind, part.value, inner, inner)
        return
    if form == "missing_for":
        yield Fault(pointer, "missing_for stands by itself: what did not arrive is no measurement to combine")
        return
    if kind not in KINDS:
        yield Fault(f"{at}/kind", f"one of {', '.join(KINDS)}")
        return
    known = KINDS[kind].values
    if value not in known:
        yield Fault(f"{at}/value", f"one of {', '.join(known)}")
        return
    yield from _form_faults(getattr(when, form), form, f"{pointer}/{form}", known[value])


def _form_faults(given: Any, form: str, pointer: str, measured: ValueType) -> Iterator[Fault]:
    match form:
        case "outside":
            ends = [(f"{pointer}/{end}", getattr(given, end)) for end in ("low", "high")]
            yield from _bound_faults([(at, end) for at, end in ends if end is not None], given.unit, measured)
        case "deviates":
            if given.mad <= 0:
                yield Fault(f"{pointer}/mad", "more than zero")
        case "rate_above" | "rate_below":
            if _per(given, measured.unit) is None:
                yield Fault(
                    f"{pointer}/unit", f"a UCUM unit that converts to {measured.unit}, or that per /min, /h, /d"
                )
        case "change_above":
            if _converted(given.value, given.unit, measured.unit) is None:
                yield Fault(f"{pointer}/unit", f"a UCUM unit that converts to {measured.unit}")
            elif given.value <= 0:
                yield Fault(f"{pointer}/value", "more than zero")
        case _:
            yield from _bound_faults([(f"{pointer}/value", given.value)], given.unit, measured)


def _clear_faults(rule: RuleBody, form: str, at: str) -> Iterator[Fault]:
    bounds = rule.clear.bounds() if rule.clear else []
    if bounds and form not in _DIRECTION:
        yield Fault(f"{at}/clear", f"{form} recovers when it no longer holds: only for may be given")
        return
    if not bounds:
        return
    measured = KINDS[str(rule.kind)].values[str(rule.value)]
    found = [
        fault
        for name, bound in bounds
        for fault in _bound_faults([(f"{at}/clear/{name}/value", bound.value)], bound.unit, measured)
    ]
    yield from found
    if not found and _never_clears(rule, form, measured.unit):
        yield Fault(f"{at}/clear", "recovery begins where the rule is no longer breached, on the side of health")


def _bound_faults(bounds: Sequence[tuple[str, Decimal]], unit: str, measured: ValueType) -> Iterator[Fault]:
    for pointer, bound in bounds:
        canonical = _converted(bound, unit, measured.unit)
        if canonical is None:
            yield Fault(f"{pointer.rpartition('/')[0]}/unit", f"a UCUM unit that converts to {measured.unit}")
        elif not measured.low <= canonical <= measured.high:
            plausible = f"plausible are {measured.low} to {measured.high} {measured.unit}"
            yield Fault(pointer, f"no reading can reach it: {plausible}")


def _converted(value: Decimal, unit: str, canonical: str) -> Decimal | None:
    try:
        return units.convert(value, unit, canonical)
    except BadUnit:
        return None


def _per(given: OverTime, unit: str) -> Decimal | None:
    """The bound of a rate as the change over the whole window: `2 mg/dL/min` over PT15M is 30 mg/dL."""
    plain = _converted(given.value, given.unit, unit)
    if plain is not None:
        return plain
    base, _, per = given.unit.rpartition("/")
    converted = _converted(given.value, base, unit)
    if converted is None or f"/{per}" not in _PER:
        return None
    return converted * _milliseconds(given.over) / _PER[f"/{per}"]


def _parts(when: When, form: str) -> tuple[Condition, ...]:
    if form != "not":
        return tuple(getattr(when, form))
    assert when.not_ is not None  # noqa: S101 - `form` names it
    return (when.not_,)


def _never_clears(rule: RuleBody, form: str, unit: str) -> bool:
    """True when a breaching value meets the bound of recovery, or when that lies on the wrong side."""
    bounds = rule.clear.bounds() if rule.clear else []
    if not bounds or form == "outside":
        return bool(bounds)  # what is outside recovers within its own bounds
    ((name, bound),) = bounds
    breach: Bound = getattr(rule.when, form)
    recovery, limit = (units.convert(one.value, one.unit, unit) for one in (bound, breach))
    beyond = recovery > limit if _DIRECTION[form] == "high" else recovery < limit
    return beyond or _DIRECTION[name] == _DIRECTION[form]


def _no_time_to_ask(rule: RuleBody, form: str) -> bool:
    if rule.kind == "fetal-heart-rate":
        return True
    if rule.value != "glucose" or _DIRECTION.get(form) != "low":
        return False
    bound: Bound = getattr(rule.when, form)
    return units.convert(bound.value, bound.unit, KINDS[str(rule.kind)].values["glucose"].unit) <= _NO_TIME_TO_ASK


def _rule(body: RuleBody, label: str) -> Rule:
    """`body`, found to be without fault, as the engine runs it."""
    (form,) = body.when.forms()
    persist = body.persist
    confirm = body.confirm
    rule = Rule(
        id=body.id,
        kind=str(body.kind),
        value=str(body.value),
        severity=body.severity,
        family=body.family or body.id,
        plan_version=label,
        fresh_for=0,
        clear_for=_milliseconds(body.clear.for_) if body.clear and body.clear.for_ else 0,
        persist=None
        if persist is None
        else Persistence(milliseconds=_milliseconds(persist.for_))
        if persist.for_
        else Persistence(readings=persist.readings or 0, of=persist.of or persist.readings or 0),
        confirm=None
        if confirm is None
        else Confirmation(confirm.readings, _milliseconds(confirm.within), confirm.ask_again),
        active=body.active,
    )
    if form == "missing_for":
        assert body.when.missing_for is not None  # noqa: S101 - `form` names it
        return replace(rule, value=form, missing_for=_milliseconds(body.when.missing_for))
    if form in _DIRECTION:
        return _of_one_value(rule, body, form)
    condition = _node(body.when, body.kind, body.value)
    places = [leaf.place for leaf in leaves(condition)]
    kind, value = places[0]
    return replace(
        rule,
        kind=kind,
        value=value,
        family=body.family or (body.id if form in _BRANCHES else f"{kind}/{value}/{_TRENDS[form]}"),
        fresh_for=_milliseconds(body.fresh_for or min(FRESH_FOR[kind] for kind, _ in places)),
        condition=condition,
        places=frozenset(places),
    )


def _of_one_value(rule: Rule, body: RuleBody, form: str) -> Rule:
    unit = KINDS[rule.kind].values[rule.value].unit
    breached = _breach(body.when, form, unit)
    recovery = [
        partial(_COMPARE[name], units.convert(bound.value, bound.unit, unit))
        for name, bound in (body.clear.bounds() if body.clear else ())
    ]
    return replace(
        rule,
        family=body.family or f"{rule.kind}/{rule.value}/{_DIRECTION[form]}",
        fresh_for=_milliseconds(body.fresh_for or FRESH_FOR[rule.kind]),
        breached=breached,
        recovered=recovery[0] if recovery else lambda measured: not breached(measured),
    )


def _node(when: When, kind: str | None, value: str | None) -> Node:
    (form,) = when.forms()
    if form in _BRANCHES:
        return Branch(_BRANCHES[form], tuple(_node(part, part.kind, part.value) for part in _parts(when, form)))
    place = str(kind), str(value)
    return Leaf(place, _test(when, form, KINDS[place[0]].values[place[1]].unit), _milliseconds(FRESH_FOR[place[0]]))


def _test(when: When, form: str, unit: str) -> Form:
    given: Any = getattr(when, form)
    if form in _DIRECTION:
        return Level(_breach(when, form, unit))
    match form:
        case "rate_above" | "rate_below":
            bound = _per(given, unit)
            assert bound is not None  # noqa: S101 - a plan whose units do not convert was refused
            return Slope(bound, _milliseconds(given.over), rising=form == "rate_above")
        case "change_above":
            return Rise(units.convert(given.value, given.unit, unit), _milliseconds(given.over))
        case "average_at_or_above":
            bound = units.convert(given.value, given.unit, unit)
            return Mean(bound, _milliseconds(given.over), drop_first_day=given.drop_first_day)
        case "deviates":
            return OffBaseline(given.mad, _milliseconds(given.over))
        case _:
            bound = units.convert(given.value, given.unit, unit)
            return Projection(bound, _milliseconds(given.within), rising=form == "forecast_above")


def _breach(when: When, form: str, unit: str) -> Callable[[Decimal], bool]:
    if form != "outside":
        bound: Bound = getattr(when, form)
        return partial(_COMPARE[form], units.convert(bound.value, bound.unit, unit))
    limits = when.outside
    assert limits is not None  # noqa: S101 - `form` names it
    low, high = (None if end is None else units.convert(end, limits.unit, unit) for end in (limits.low, limits.high))
    return lambda measured: (low is not None and measured < low) or (high is not None and measured > high)


def _milliseconds(period: timedelta) -> int:
    return period // timedelta(milliseconds=1)
