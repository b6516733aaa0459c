"""`python -m ops catalogue check`: every file of the catalogue, with what is wrong in it and where.

`python -m ops catalogue generate` writes what is made from the code: `device.schema.json`, and `units.json` with every
UCUM unit that converts to one of ours. The numbers are pint's, as exact fractions; what stands here is which of UCUM's
names means which of pint's. Units made of units (a concentration, a rate) are written out for the prefixes that occur
in medicine.
"""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pint
from pydantic import ValidationError

from domain.care_plan import parse_programme
from domain.errors import InvalidRequest
from domain.profile import DeviceProfile
from ops.errors import OperatorError

CATALOGUE = Path(__file__).resolve().parent.parent / "catalogue"
UNITS = CATALOGUE / "units.json"
SCHEMA = CATALOGUE / "device.schema.json"

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
    "N/m2": "newton / meter**2",
    "N.m-2": "newton / meter**2",
    "dyn/cm2": "dyne / centimeter**2",
    "dyn.cm-2": "dyne / centimeter**2",
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
    "[car_m]": "carat",
}
TIME = {"s": "second"}
TIME_ALONE = {"min": "minute", "h": "hour", "d": "day", "wk": "week"}
VOLUME = {"l": "liter", "L": "liter"}
CUBES = {f"{prefix}m3": PREFIXES[prefix] ** 3 for prefix in ("", "d", "c", "m")}
PRODUCTS = {"L": (".L-1",), "l": (".l-1",), "dL": (".dL-1",), "dl": (".dl-1",), "mL": (".mL-1",), "m3": (".m-3",)}
"""Volumes by which one divides, as UCUM writes it without a slash."""

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
            for written in (f"/{unit}", *PRODUCTS.get(unit, ())):
                yield f"{prefix}mol{written}", factor / volume
                yield f"{prefix}g{written}", factor / GLUCOSE / volume
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
            "mK": ["1", "1000", "-273150"],
            "[degF]": ["5", "9", "-32"],
            "[degR]": ["5", "9", "-491.67"],
            "[degRe]": ["5", "4", "0"],
        },
    }


def rendered() -> str:
    """`catalogue/units.json`."""
    return json.dumps(table(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def schema() -> str:
    """`catalogue/device.schema.json`, for editors: of the model that the functions read profiles by."""
    made = DeviceProfile.model_json_schema(by_alias=True)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Device profile of the PMA catalogue"}
    return json.dumps(made | head, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


class CatalogueError(OperatorError):
    """Files of the catalogue are not what their folders are for; the text has a line for each fault."""


def faults(root: Path) -> Iterator[str]:
    """`file /path: reason` of everything that is wrong with the files below `root`."""
    folders: dict[str, Callable[[bytes], Any]] = {
        "devices": DeviceProfile.model_validate_json,
        "programmes": parse_programme,
    }
    for folder, parse in folders.items():
        for path in sorted((root / folder).glob("*.json")):
            yield from (f"{folder}/{path.name} {fault}" for fault in _faults(path, parse))


def _faults(path: Path, parse: Callable[[bytes], Any]) -> Iterator[str]:
    try:
        one = parse(path.read_bytes())
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            pointer = "".join(f"/{part}" for part in fault["loc"])
            yield f"{pointer or '/'}: {fault['msg'].removeprefix('Value error, ')}"
    except InvalidRequest as error:
        yield from (f"{one.field or '/'}: {one.message}" for one in error.faults)
    else:
        if one.id != path.stem:
            yield f"/id: it is {one.id}, and the file's name says {path.stem}"


def check(arguments: Namespace) -> dict[str, int]:
    """How many files of each folder were found without fault. Raises CatalogueError."""
    root: Path = arguments.folder
    if not (root / "devices").is_dir():
        raise CatalogueError(f"{root} has no folder devices: name a catalogue, or none for the project's own.")
    found = list(faults(root))
    if found:
        raise CatalogueError("\n".join(found))
    return {folder: len(list((root / folder).glob("*.json"))) for folder in ("devices", "programmes")}


def generate(_: Namespace) -> dict[str, int]:
    """Write what is made from the code; the sizes of the files."""
    UNITS.write_text(rendered(), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
    return {path.name: path.stat().st_size for path in (UNITS, SCHEMA)}


def add_parser(commands: Any) -> None:
    parser: ArgumentParser = commands.add_parser("catalogue", help="devices and programmes, as data")
    verbs = parser.add_subparsers(required=True, metavar="what")
    checking: ArgumentParser = verbs.add_parser("check", help="every file: what is wrong in it, and where")
    checking.add_argument("folder", nargs="?", type=Path, default=CATALOGUE, help="a catalogue (default: ours)")
    checking.set_defaults(run=check)
    generating: ArgumentParser = verbs.add_parser("generate", help="device.schema.json and units.json, from the code")
    generating.set_defaults(run=generate)
