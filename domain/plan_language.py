"""The language of care plans and programmes: the contract's JSON, read strictly into bodies.

What each field by itself may be is said here; what they may be together stands in domain/plan_faults.py, and what they
mean in domain/care_plan.py. Times without a zone are the subject's local time.
"""

import operator
import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from domain.pseudonym import in_token
from domain.request import Body, Moment, described, names_nobody

Severity = Literal["info", "warning", "critical"]
Role = Literal["patient", "doctor", "duty", "head"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

RANK: dict[str, int] = {"info": 0, "warning": 1, "critical": 2}

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "at_or_above": operator.le,
    "above": operator.lt,
    "at_or_below": operator.ge,
    "below": operator.gt,
}
"""A form as `compare(bound, value)`."""

DIRECTION = {"at_or_above": "high", "above": "high", "at_or_below": "low", "below": "low", "outside": "outside"}
"""The forms that a single value answers."""

BRANCHES = {"all_of": "all", "any_of": "any", "not": "not"}

_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PERIOD = re.compile(r"P(?!$)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_RULE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_LONGEST = timedelta(days=400)  # observations are kept no longer


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


def _nobodys_name(token: str) -> str:
    if in_token(token) is not None:
        raise ValueError("reads like a person's name or number: a token that only your system can resolve")
    return token


Number = Annotated[Decimal, BeforeValidator(_number, json_schema_input_type=float)]
Period = Annotated[timedelta, BeforeValidator(_period), described(_PERIOD, format="duration")]
Duration = Annotated[Period, AfterValidator(_some_time)]
Clock = Annotated[time, BeforeValidator(_clock), described(_CLOCK)]
Actor = Annotated[
    str, _matching(_ACTOR, "a token of your system, never a name"), AfterValidator(_nobodys_name), described(_ACTOR)
]
RuleId = Annotated[str, _matching(_RULE_ID, "1 to 64 lower-case letters, digits or hyphens"), described(_RULE_ID)]


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

    def parts(self) -> "tuple[Condition, ...]":
        """The conditions that `all_of`, `any_of` or `not` combines."""
        return self.all_of or self.any_of or ((self.not_,) if self.not_ is not None else ())


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
        return [(form, bound) for form in COMPARE if (bound := getattr(self, form)) is not None]


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

    @property
    def length(self) -> timedelta:
        """By the clock on the wall, whatever daylight saving does."""
        begins, ends = (timedelta(hours=one.hour, minutes=one.minute) for one in (self.from_, self.to))
        return (ends - begins) % timedelta(days=1)

    def covers(self, local: datetime) -> bool:
        return self._holds(local.time())

    def meets(self, other: "Hours") -> bool:
        """True when some time of the day is in both."""
        return self._holds(other.from_) or other._holds(self.from_)

    def _holds(self, clock: time) -> bool:
        if self.from_ < self.to:
            return self.from_ <= clock < self.to
        return clock >= self.from_ or clock < self.to


class ActiveHours(Hours):
    """`days` are those on which the period begins."""

    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7)] = _DAYS

    def covers(self, local: datetime) -> bool:
        began = local.weekday() - (self.from_ > self.to and local.time() < self.to)  # -1 is the Sunday before
        return super().covers(local) and _DAYS[began] in self.days


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


class TriedPlan(TemplateBody):
    """A care plan that is only tried: it may be without author and time."""

    author: Actor | None = None
    effective_from: Moment | None = None


class DryRunBody(Body):
    """`POST /v1/subjects/{subject}/care-plan/dry-run`."""

    plan: TriedPlan
    days: Annotated[int, Field(ge=1, le=400)] = 30


Reason = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(names_nobody)]


class _Attending(Body):
    """`version` is that of the alert as the actor saw it (R57)."""

    version: Annotated[int, Field(ge=1, le=999_999_999)]
    actor: Actor


class AcknowledgeBody(_Attending):
    """`POST /v1/alerts/{id}/acknowledge`."""


class SnoozeBody(_Attending):
    """`POST /v1/alerts/{id}/snooze`: an end that is past ends the snooze."""

    until: Moment
    reason: Reason


class ResolveBody(_Attending):
    """`POST /v1/alerts/{id}/resolve`."""

    reason: Reason


class ProgrammeBody(TemplateBody):
    """A file of `catalogue/programmes`. `sources` say where its numbers come from; a clinician signs them off."""

    id: RuleId
    version: Annotated[int, Field(ge=1)]
    title: str
    sources: tuple[str, ...]


def milliseconds(period: timedelta) -> int:
    return period // timedelta(milliseconds=1)
