"""`python -m ops.catalogue`: writes `catalogue/units.json`, every UCUM unit that converts to one of ours.

The numbers are pint's, as exact fractions; what stands here is which of UCUM's names means which of pint's. Units made
of units (a concentration, a rate) are written out for the prefixes that occur in medicine.
"""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pint

UNITS = Path(__file__).resolve().parent.parent / "catalogue" / "units.json"

GLUCOSE = Fraction("180.156")
"""Grams a mole: mg/dL ÷ 18.0156 = mmol/L."""

PREFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "c": Fraction(1, 10**2),
    "d": Fraction(1, 10),
    "da": Fraction(10),
    "h": Fraction(10**2),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
}

PRESSURE = {"Pa": "pascal", "bar": "bar", "m[Hg]": "meter_Hg", "m[H2O]": "meter_H2O"}
PRESSURE_ALONE = {
    "atm": "atmosphere",
    "att": "technical_atmosphere",
    "[psi]": "psi",
    "[in_i'Hg]": "inch_Hg",
    "[in_i'H2O]": "inch_H2O",
}
MASS = {"g": "gram", "t": "metric_ton"}
MASS_ALONE = {
    "[lb_av]": "pound",
    "[oz_av]": "ounce",
    "[dr_av]": "dram",
    "[gr]": "grain",
    "[stone_av]": "stone",
    "[scwt_av]": "US_hundredweight",
    "[lcwt_av]": "UK_hundredweight",
    "[ston_av]": "short_ton",
    "[lton_av]": "long_ton",
    "[lb_tr]": "troy_pound",
    "[oz_tr]": "troy_ounce",
    "[pwt_tr]": "pennyweight",
}
TIME = {"s": "second"}
TIME_ALONE = {"min": "minute", "h": "hour", "d": "day", "wk": "week"}
VOLUME = {"l": "liter", "L": "liter"}
CUBES = {f"{prefix}m3": PREFIXES[prefix] ** 3 for prefix in ("", "d", "c", "m")}
PARTS = {
    "1": Fraction(1),
    "%": Fraction(1, 100),
    "[ppth]": Fraction(1, 10**3),
    "[ppm]": Fraction(1, 10**6),
    "[ppb]": Fraction(1, 10**9),
    **{f"10{sign}-{power}": Fraction(1, 10**power) for sign in "*^" for power in (1, 2, 3, 6)},
    **{f"10{sign}{power}": Fraction(10**power) for sign in "*^" for power in (1, 2, 3, 6)},
}

_pint: pint.UnitRegistry[Any] = pint.UnitRegistry(non_int_type=Fraction)


def size(name: str) -> Fraction:
    """What pint's unit `name` is in SI's own, exactly."""
    return Fraction((Fraction(1) * _pint.Unit(name)).to_base_units().magnitude)


def prefixed(metric: dict[str, str], alone: dict[str, str] | None = None) -> dict[str, Fraction]:
    """UCUM units in SI's own: the metric ones with each prefix, the others as they are."""
    return {
        **{prefix + unit: factor * size(name) for unit, name in metric.items() for prefix, factor in PREFIXES.items()},
        **{unit: size(name) for unit, name in (alone or {}).items()},
    }


def concentrations() -> Iterator[tuple[str, Fraction]]:
    """Of glucose, in mol/m3; a mass by its molar mass."""
    for prefix, factor in PREFIXES.items():
        for unit, volume in (prefixed(VOLUME) | CUBES).items():
            yield f"{prefix}mol/{unit}", factor / volume
            yield f"{prefix}g/{unit}", factor / GLUCOSE / volume
        yield f"{prefix}g%", factor / GLUCOSE * 10**4  # UCUM: gram per decilitre


def rates() -> Iterator[tuple[str, Fraction]]:
    """Something counted, per second."""
    yield from prefixed({"Hz": "hertz"}).items()
    for unit, seconds in prefixed(TIME, TIME_ALONE).items():
        for written in (f"/{unit}", f"1/{unit}", f"{unit}-1"):
            yield written, 1 / seconds


def linear(canonical: str, units: dict[str, Fraction]) -> dict[str, list[str]]:
    scales = {unit: factor / units[canonical] for unit, factor in units.items()}
    return {unit: [str(scale.numerator), str(scale.denominator), "0"] for unit, scale in sorted(scales.items())}


def table() -> dict[str, dict[str, list[str]]]:
    """`{canonical: {unit: [numerator, denominator, offset]}}`, as `domain.units` reads it."""
    return {
        "mm[Hg]": linear("mm[Hg]", prefixed(PRESSURE, PRESSURE_ALONE)),
        "kg": linear("kg", prefixed(MASS, MASS_ALONE)),
        "mmol/L": linear("mmol/L", dict(concentrations())),
        "/min": linear("/min", dict(rates())),
        "%": linear("%", PARTS),
        "{steps}": {"{steps}": ["1", "1", "0"]} | linear("1", PARTS),
        "ms": linear("ms", prefixed(TIME, TIME_ALONE)),
        "Cel": {
            "Cel": ["1", "1", "0"],
            "K": ["1", "1", "-273.15"],
            "[degF]": ["5", "9", "-32"],
            "[degR]": ["5", "9", "-491.67"],
            "[degRe]": ["5", "4", "0"],
        },
    }


def rendered() -> str:
    return json.dumps(table(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    UNITS.write_text(rendered(), encoding="utf-8")
    print(f"{UNITS.name}: {sum(map(len, table().values()))} units")
