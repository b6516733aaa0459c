"""What is wrong with a care plan though each field by itself has the right shape: where, and why."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from domain import units
from domain.codes import KINDS, ValueType
from domain.errors import BadUnit, Fault
from domain.plan_language import (
    BRANCHES,
    DIRECTION,
    Average,
    Bound,
    Forecast,
    Measurement,
    OverTime,
    RuleBody,
    TemplateBody,
    When,
    milliseconds,
)
from domain.tally import MOST_COUNTED
from domain.trend import MOST_POINTS

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_SHORTEST_WINDOW = timedelta(minutes=15)
_PER = {"/s": 1_000, "/min": 60_000, "/h": 3_600_000, "/d": 86_400_000}
_A_DAY = {
    "blood-pressure": 16, "glucose": 16, "weight": 8, "temperature": 48, "heart-rate-variability": 288,
    "heart-rate": 1440, "cgm": 1440, "fetal-heart-rate": 1440, "oxygen-saturation": 1440, "steps": 1440,
}  # fmt: skip
"""How many readings of a kind a window is to have room for: four times what is prescribed, and one a minute of what
measures by itself."""

_NO_TIME_TO_ASK = Decimal("3.0")  # mmol/L: level 2 hypoglycaemia of the international consensus


def faults(body: TemplateBody, at: str = "") -> Iterator[Fault]:
    """What is wrong with the plan that stands at the JSON pointer `at`."""
    seen: set[str] = set()
    for index, rule in enumerate(body.rules):
        here = f"{at}/rules/{index}"
        if rule.id in seen:
            yield Fault(f"{here}/id", f"another rule is named {rule.id}")
        seen.add(rule.id)
        yield from rule_faults(rule, here)
    prescribed: set[str] = set()
    for index, measurement in enumerate(body.schedule):
        here = f"{at}/schedule/{index}"
        if measurement.kind in prescribed:
            yield Fault(f"{here}/kind", f"{measurement.kind} is prescribed above: put its windows together")
        prescribed.add(measurement.kind)
        yield from _schedule_faults(measurement, here)
    waits = [tier.after for tier in body.escalation]
    if waits != sorted(set(waits)):
        yield Fault(f"{at}/escalation", "each step comes later than the one before it")
    for index, tier in enumerate(body.escalation):
        if len(set(tier.to)) < len(tier.to):
            yield Fault(f"{at}/escalation/{index}/to", "each at most once: a step tells everybody once")


def _schedule_faults(measurement: Measurement, at: str) -> Iterator[Fault]:
    """Why nobody could measure so."""
    if measurement.kind not in KINDS:
        yield Fault(f"{at}/kind", f"one of {', '.join(KINDS)}")
    if measurement.grace >= _DAY:
        yield Fault(f"{at}/grace", "less than a day: the same window comes again tomorrow")
    for index, window in enumerate(measurement.windows):
        here = f"{at}/windows/{index}"
        if window.length < _SHORTEST_WINDOW:
            yield Fault(here, "at least 15 minutes: nobody measures to the minute")
        for earlier in measurement.windows[:index]:
            if window.meets(earlier):
                hours = f"{earlier.from_:%H:%M} to {earlier.to:%H:%M}"
                yield Fault(here, f"it overlaps the window from {hours}, and one measurement would count for both")
                break


def rule_faults(rule: RuleBody, at: str) -> Iterator[Fault]:
    """What is wrong with the rule that stands at the JSON pointer `at`, whatever stands beside it."""
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
    """A value or `fresh_for` may stand there, and change nothing: what did not arrive is never fresh (C18)."""
    if rule.kind not in KINDS:
        yield Fault(f"{at}/kind", f"one of {', '.join(KINDS)}")
    elif rule.value is not None and rule.value not in KINDS[rule.kind].values:
        yield Fault(f"{at}/value", f"one of {', '.join(KINDS[rule.kind].values)}")
    for name in ("confirm", "clear", "persist"):
        if getattr(rule, name) is not None:
            yield Fault(f"{at}/{name}", "it goes with what was measured, and missing_for with what was not")


def _condition_faults(when: When, kind: str | None, value: str | None, at: str, pointer: str) -> Iterator[Fault]:
    """`at` is where kind and value stand, `pointer` where the form does."""
    (form,) = when.forms()
    if form in BRANCHES:
        if kind is not None or value is not None:
            yield Fault(f"{at}/{'kind' if kind is not None else 'value'}", f"each condition of {form} names its own")
        for index, part in enumerate(when.parts()):
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
    yield from _window_faults(getattr(when, form), kind, f"{pointer}/{form}")


def _form_faults(given: Any, form: str, pointer: str, measured: ValueType) -> Iterator[Fault]:
    match form:
        case "outside":
            ends = [(f"{pointer}/{end}", getattr(given, end)) for end in ("low", "high")]
            yield from _bound_faults([(at, end) for at, end in ends if end is not None], given.unit, measured)
        case "deviates":
            if given.mad <= 0:
                yield Fault(f"{pointer}/mad", "more than zero")
        case "rate_above" | "rate_below":
            change = per_window(given, measured.unit)
            if change is None:
                yield Fault(
                    f"{pointer}/unit", f"a UCUM unit that converts to {measured.unit}, or that per /min, /h, /d"
                )
            else:
                yield from _change_faults(change, f"{pointer}/value", measured)
        case "change_above":
            change = _converted(given.value, given.unit, measured.unit)
            if change is None:
                yield Fault(f"{pointer}/unit", f"a UCUM unit that converts to {measured.unit}")
            elif given.value <= 0:
                yield Fault(f"{pointer}/value", "more than zero")
            else:
                yield from _change_faults(change, f"{pointer}/value", measured)
        case _:
            yield from _bound_faults([(f"{pointer}/value", given.value)], given.unit, measured)
            if isinstance(given, Average) and given.drop_first_day and given.over < 2 * _DAY:
                yield Fault(f"{pointer}/over", "at least two days: without the first there is nothing left of one")


def _window_faults(given: Any, kind: str, pointer: str) -> Iterator[Fault]:
    """A window that is longer than what is remembered would be cut short without a word."""
    name = "within" if isinstance(given, Forecast) else "over"
    over = getattr(given, name, None)
    most = MOST_COUNTED if isinstance(given, Average) else MOST_POINTS
    longest = most * _DAY / _A_DAY[kind]
    if over is not None and over > longest:
        longest_told = f"{longest // _HOUR} hours" if longest < 2 * _DAY else f"{longest.days} days"
        yield Fault(
            f"{pointer}/{name}",
            f"at most {longest_told}: a rule looks back at {most} readings, and of {kind} there may be {_A_DAY[kind]} "
            "a day",
        )


def _change_faults(change: Decimal, pointer: str, measured: ValueType) -> Iterator[Fault]:
    if abs(change) > measured.high - measured.low:
        plausible = f"plausible are {measured.low} to {measured.high} {measured.unit}"
        yield Fault(pointer, f"no reading can change by so much: {plausible}")


def _clear_faults(rule: RuleBody, form: str, at: str) -> Iterator[Fault]:
    bounds = rule.clear.bounds() if rule.clear else []
    if bounds and form not in DIRECTION:
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


def per_window(given: OverTime, unit: str) -> Decimal | None:
    """The bound of a rate as the change over the whole window: `2 mg/dL/min` over PT15M is 30 mg/dL."""
    plain = _converted(given.value, given.unit, unit)
    if plain is not None:
        return plain
    base, _, per = given.unit.rpartition("/")
    converted = _converted(given.value, base, unit)
    if converted is None or f"/{per}" not in _PER:
        return None
    return converted * milliseconds(given.over) / _PER[f"/{per}"]


def _never_clears(rule: RuleBody, form: str, unit: str) -> bool:
    """True when a breaching value meets the bound of recovery, or when that lies on the wrong side."""
    bounds = rule.clear.bounds() if rule.clear else []
    if not bounds or form == "outside":
        return bool(bounds)  # what is outside recovers within its own bounds
    ((name, bound),) = bounds
    breach: Bound = getattr(rule.when, form)
    recovery, limit = (units.convert(one.value, one.unit, unit) for one in (bound, breach))
    beyond = recovery > limit if DIRECTION[form] == "high" else recovery < limit
    return beyond or DIRECTION[name] == DIRECTION[form]


def _no_time_to_ask(rule: RuleBody, form: str) -> bool:
    if rule.kind == "fetal-heart-rate":
        return True
    if rule.value != "glucose" or DIRECTION.get(form) != "low":
        return False
    bound: Bound = getattr(rule.when, form)
    return units.convert(bound.value, bound.unit, KINDS[str(rule.kind)].values["glucose"].unit) <= _NO_TIME_TO_ASK
