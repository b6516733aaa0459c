"""Units: what a value in any UCUM unit is in the canonical one. `catalogue/units.json` holds the factors, exactly.

Source: UCUM; the factors are computed by `python -m ops catalogue generate`, nothing is worked out here.
"""

import json
import re
from collections.abc import Mapping
from decimal import Context, Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

from domain.errors import BadUnit

_TABLE = Path(__file__).resolve().parent.parent / "catalogue" / "units.json"
_ANNOTATION = re.compile(r"\{[!-z|~]*\}")  # UCUM: says what is counted and changes nothing
_EXACT = Context(prec=60)  # beyond any device's digits, so that only the last step rounds
_SMALLEST = Decimal("0.000001")
_ONE = Decimal(1)


class Scale(NamedTuple):
    """canonical = (value + offset) x numerator / denominator"""

    numerator: Decimal
    denominator: Decimal
    offset: Decimal


@cache
def scales(canonical: str) -> Mapping[str, Scale]:
    """`{unit: Scale}` of every unit that converts to `canonical`, itself included."""
    table = json.loads(_TABLE.read_text(encoding="utf-8"))[canonical]
    return {unit: Scale(*map(Decimal, scale)) for unit, scale in table.items()}


def convert(value: Decimal, unit: str, canonical: str) -> Decimal:
    """`value` in the unit `canonical`, to at most six decimals, the same whichever unit it came in.

    An amount of substance is that of glucose: the only one of which a mass is accepted. Annotations (`{beats}/min`)
    are read past. Raises BadUnit for a unit that UCUM does not know or that measures something else.
    """
    return _plain(value if unit == canonical else _converted(value, unit, canonical))


def _converted(value: Decimal, unit: str, canonical: str) -> Decimal:
    known = scales(canonical)
    scale = known.get(unit) or known.get(_ANNOTATION.sub("", unit) or ("1" if unit else ""))
    if scale is None:
        raise BadUnit(f"the unit does not convert to {canonical}")
    numerator, denominator, offset = scale
    return _EXACT.divide(_EXACT.multiply(_EXACT.add(value, offset), numerator), denominator)


def _plain(exact: Decimal) -> Decimal:
    """At most six decimals, no zeros behind the last that counts, no exponent."""
    if exact.same_quantum(_ONE):
        return exact
    if int(exact.as_tuple().exponent) < -6:
        exact = exact.quantize(_SMALLEST, context=_EXACT)
    short = exact.normalize(_EXACT)
    return short if int(short.as_tuple().exponent) <= 0 else short.quantize(_ONE, context=_EXACT)
