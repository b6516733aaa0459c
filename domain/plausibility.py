"""Values of a reading: in canonical units, and such as a living person and this device can show."""

from decimal import Decimal
from typing import Any

from domain.codes import KINDS
from domain.errors import BadUnit, BadValue, ImplausibleValue, Malformed
from domain.profile import Measure
from domain.units import convert

_FINITE = 308
"""The greatest power of ten that is a finite number to everybody else (IEEE 754 double)."""

_BEYOND_DEVICES = 15
_ALIKE = Decimal(5)


def canonical_values(kind: str, said: Any, measure: Measure) -> dict[str, Decimal]:
    """`{name: value}` in canonical units of `said`, `{name: {"value": number, "unit": UCUM}}` as the device sent it.

    A fetal rate of zero says that there was no signal: no value is left of it. What is plausible is judged as the
    device shows it, so that the rounding of a conversion makes nothing implausible.
    Raises Malformed, BadValue, BadUnit or ImplausibleValue naming the value, never its number.
    """
    if not isinstance(said, dict):
        raise Malformed("values is not a JSON object")
    types = KINDS[kind].values
    if not said.keys() <= types.keys():
        raise BadValue(f"{kind} has no values but {', '.join(types)}")
    if missing := [name for name, one in types.items() if one.required and name not in said]:
        raise BadValue(f"{', '.join(missing)} of {kind} is missing")
    values = {name: _canonical(name, quantity, types[name].unit) for name, quantity in said.items()}
    if kind == "fetal-heart-rate" and not values["rate"]:
        return {}
    for name, value in values.items():
        limits = measure.plausible.get(name, types[name])
        if not limits.low <= rounded(value, measure.resolution[name]) <= limits.high:
            raise ImplausibleValue(f"{name} is outside {limits.low} to {limits.high} {types[name].unit}")
    if kind == "blood-pressure" and values["systolic"] <= values["diastolic"]:
        raise ImplausibleValue("systolic is not above diastolic")
    return values


def rounded(value: Decimal, step: Decimal) -> Decimal:
    """`value` to the nearest multiple of `step`."""
    return round(value / step) * step


def near_the_mothers(rate: Decimal, pulse: Decimal) -> bool:
    """Is a fetal rate so close to the mother's that it may be hers (F17)? Five beats are an engineering proposal."""
    return abs(rate - pulse) <= _ALIKE


def _canonical(name: str, quantity: Any, unit: str) -> Decimal:
    if not isinstance(quantity, dict):
        raise BadValue(f"{name} is not an object of value and unit")
    value = quantity.get("value")
    if not isinstance(value, Decimal) or value.adjusted() > _FINITE:
        raise BadValue(f"the value of {name} is not a finite number")
    given = quantity.get("unit")
    if not isinstance(given, str) or not given:
        raise BadUnit(f"{name} has no unit")
    if value.adjusted() > _BEYOND_DEVICES:
        raise ImplausibleValue(f"{name} is beyond what any device shows")
    try:
        return convert(value, given, unit)
    except BadUnit as refusal:
        raise BadUnit(f"{name}: {refusal.detail}") from None
