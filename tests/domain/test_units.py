"""Every unit converts once, exactly, and comes out the same whichever way it came in (R18)."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.codes import KINDS
from domain.errors import BadUnit
from domain.units import Scale, convert, scales

CANONICAL = sorted({value.unit for kind in KINDS.values() for value in kind.values.values()})

EVERY_UNIT = [(unit, canonical) for canonical in CANONICAL for unit in scales(canonical)]


@pytest.mark.parametrize(
    ("value", "unit", "canonical", "expected"),
    [
        ("93", "mg/dL", "mmol/L", "5.162193"),
        ("93", "mg/dl", "mmol/L", "5.162193"),
        ("0.93", "g/L", "mmol/L", "5.162193"),
        ("5.2", "mmol/L", "mmol/L", "5.2"),
        ("5200", "umol/L", "mmol/L", "5.2"),
        ("16", "kPa", "mm[Hg]", "120.009852"),
        ("12", "cm[Hg]", "mm[Hg]", "120"),
        ("140", "cm[H2O]", "mm[Hg]", "102.978279"),
        ("160", "[lb_av]", "kg", "72.574779"),
        ("11", "[stone_av]", "kg", "69.853225"),
        ("71500", "g", "kg", "71.5"),
        ("71", "/min", "/min", "71"),
        ("71", "{beats}/min", "/min", "71"),
        ("1.2", "Hz", "/min", "72"),
        ("0.97", "1", "%", "97"),
        ("97", "%{saturation}", "%", "97"),
        ("98.6", "[degF]", "Cel", "37"),
        ("310.15", "K", "Cel", "37"),
        ("0.042", "s", "ms", "42"),
        ("5.2", "mmol.L-1", "mmol/L", "5.2"),
        ("93", "mg.dL-1", "mmol/L", "5.162193"),
        ("93", "mg%", "mmol/L", "5.162193"),
        ("16000", "N/m2", "mm[Hg]", "120.009852"),
        ("160000", "dyn/cm2", "mm[Hg]", "120.009852"),
        ("310150", "mK", "Cel", "37"),
        ("350000", "[car_m]", "kg", "70"),
        ("72", "/min{beats}", "/min", "72"),
        ("0.000000001", "Ms", "ms", "1"),
        ("4200", "{steps}", "{steps}", "4200"),
        ("4200", "1", "{steps}", "4200"),
        ("4200", "{paces}", "{steps}", "4200"),
    ],
)
def test_a_value_in_the_canonical_unit(value: str, unit: str, canonical: str, expected: str) -> None:
    assert str(convert(Decimal(value), unit, canonical)) == expected


@pytest.mark.parametrize(
    ("unit", "canonical"),
    [
        ("", "mm[Hg]"),
        ("mmHg", "mm[Hg]"),
        ("MM[HG]", "mm[Hg]"),
        ("KPA", "mm[Hg]"),
        ("MG/DL", "mmol/L"),
        ("meq/L", "mmol/L"),
        ("mmol", "mmol/L"),
        ("[LB_AV]", "kg"),
        ("Kg", "kg"),
        ("degF", "Cel"),
        ("cel", "Cel"),
        ("{bpm}", "/min"),
        ("{heart beats}/min", "/min"),
        ("%O2", "%"),
        ("kg", "mm[Hg]"),
        ("mm[Hg] ", "mm[Hg]"),
        ("bpm", "/min"),
        ("%", "/min"),
        ("{steps", "{steps}"),
        ("", "{steps}"),
        ("kg", "mmol/L"),
    ],
    ids=repr,
)
def test_r18_a_unit_that_is_none_or_measures_something_else_is_refused(unit: str, canonical: str) -> None:
    with pytest.raises(BadUnit):
        convert(Decimal(1), unit, canonical)


def test_the_figures_of_the_clinical_page() -> None:
    assert round(convert(Decimal("18.0156"), "mg/dL", "mmol/L"), 5) == 1
    assert round(convert(Decimal(1), "kPa", "mm[Hg]"), 5) == Decimal("7.50062")
    assert convert(Decimal(1), "[lb_av]", "kg") == Decimal("0.453592")


@pytest.mark.parametrize("canonical", CANONICAL)
def test_the_canonical_unit_is_itself(canonical: str) -> None:
    assert scales(canonical)[canonical] == Scale(Decimal(1), Decimal(1), Decimal(0))


numbers = st.decimals(min_value=-1000, max_value=100_000, places=4)


@given(numbers, st.sampled_from(EVERY_UNIT))
def test_r18_there_and_back(value: Decimal, way: tuple[str, str]) -> None:
    unit, canonical = way
    scale = scales(canonical)[unit]
    there = convert(value, unit, canonical)
    back = there * scale.denominator / scale.numerator - scale.offset
    assert abs(back - value) <= Decimal("0.000001") * scale.denominator / scale.numerator


@given(numbers, st.sampled_from(EVERY_UNIT), st.data())
def test_r18_the_way_makes_no_difference(value: Decimal, way: tuple[str, str], data: st.DataObject) -> None:
    """The same amount written in another unit, exactly, is the same canonical value."""
    unit, canonical = way
    scale = scales(canonical)[unit]
    factor = Decimal(10) ** data.draw(st.integers(-3, 3))
    others = [
        name
        for name, one in scales(canonical).items()
        if one.offset == scale.offset == 0
        and one.numerator * factor * scale.denominator == scale.numerator * one.denominator
    ]
    for other in others:
        assert convert(value * factor, other, canonical) == convert(value, unit, canonical)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e15"), max_value=Decimal("1e15")))
def test_a_value_has_at_most_six_decimals_and_no_exponent(value: Decimal) -> None:
    text = str(convert(value, "mmol/L", "mmol/L"))
    assert "E" not in text
    assert len(text.partition(".")[2]) <= 6
    assert not (("." in text) and text.endswith("0"))


@given(st.integers(-9, 9))
def test_r34_a_step_beside_a_bound_stays_beside_it(steps: int) -> None:
    value = 3 + steps * Decimal("0.000001")
    assert convert(value, "mmol/L", "mmol/L") == value


def test_the_table_holds_nothing_but_exact_numbers() -> None:
    for canonical in CANONICAL:
        for unit, scale in scales(canonical).items():
            assert all(part == part.to_integral_value() for part in scale[:2]), json.dumps([canonical, unit])
