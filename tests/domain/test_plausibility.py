"""Values are canonical and such as a living person and this device can show; a null is no zero (C23)."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.codes import KINDS
from domain.errors import BadUnit, BadValue, ImplausibleValue, Malformed, RejectedReading
from domain.plausibility import canonical_values
from domain.profile import Measure
from tests.builders import a_pressure, a_profile, as_read

PRESSURE = a_profile().measures["blood-pressure"]
GLUCOSE = Measure.model_validate({"resolution": {"glucose": "0.1"}, "fresh_for": "PT2H"})
NARROW = GLUCOSE.model_copy(update={"plausible": {"glucose": KINDS["cgm"].values["glucose"]}})


def values(said: Any, *, kind: str = "blood-pressure", measure: Measure = PRESSURE) -> dict[str, Decimal]:
    return canonical_values(kind, as_read(said), measure)


def glucose(value: Any, unit: Any = "mmol/L") -> dict[str, Any]:
    return {"glucose": {"value": value, "unit": unit}}


def test_values_are_canonical() -> None:
    assert values(a_pressure() | {"pulse": {"value": 1.2, "unit": "Hz"}}) == {
        "systolic": 122,
        "diastolic": 78,
        "pulse": 72,
    }
    assert values(glucose(93, "mg/dL"), kind="glucose", measure=GLUCOSE) == {"glucose": Decimal("5.162193")}


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (None, Malformed),
        ([], Malformed),
        ({}, BadValue),
        ({"systolic": {"value": 122, "unit": "mm[Hg]"}}, BadValue),
        (a_pressure() | {"glucose": {"value": 5, "unit": "mmol/L"}}, BadValue),
        (a_pressure() | {"pulse": None}, BadValue),
        (a_pressure() | {"pulse": 71}, BadValue),
        (a_pressure(None), BadValue),
        (a_pressure(True), BadValue),
        (a_pressure("122"), BadValue),
        (a_pressure([122]), BadValue),
        (a_pressure(unit=""), BadUnit),
        (a_pressure(unit="mmHg"), BadUnit),
        (a_pressure(unit="kg"), BadUnit),
        (a_pressure() | {"pulse": {"value": 71}}, BadUnit),
        (a_pressure() | {"pulse": {"value": 71, "unit": 7}}, BadUnit),
        (a_pressure(10**20), ImplausibleValue),
        (a_pressure(12, 80), ImplausibleValue),
        (a_pressure(80, 80), ImplausibleValue),
        (a_pressure(281), ImplausibleValue),
        (a_pressure(2047, 2047), ImplausibleValue),
        (a_pressure(0, 0), ImplausibleValue),
        (a_pressure(-122, -78), ImplausibleValue),
        (a_pressure(16, 10, "kPa") | {"pulse": {"value": 251, "unit": "/min"}}, ImplausibleValue),
    ],
    ids=repr,
)
def test_values_that_are_refused(said: Any, refused: type[RejectedReading]) -> None:
    with pytest.raises(refused):
        values(said)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400])
def test_r17_a_number_that_is_not_finite_to_anybody_else(number: str) -> None:
    with pytest.raises(BadValue):
        canonical_values("glucose", glucose(Decimal(number)), GLUCOSE)


@pytest.mark.parametrize(
    ("measure", "value", "plausible"),
    [
        (GLUCOSE, "0.6", True),
        (GLUCOSE, "0.55", True),
        (GLUCOSE, "0.549999", False),
        (GLUCOSE, "35", True),
        (GLUCOSE, "35.050001", False),
        (NARROW, "22.202975", True),
        (NARROW, "22.250001", False),
        (GLUCOSE, "1e-300", False),
    ],
    ids=lambda value: "" if isinstance(value, Measure) else str(value),
)
def test_what_is_plausible_is_judged_as_the_device_shows_it(measure: Measure, value: str, plausible: bool) -> None:
    said = glucose(Decimal(value))
    if plausible:
        assert canonical_values("glucose", said, measure) == {"glucose": Decimal(value)}
    else:
        with pytest.raises(ImplausibleValue):
            canonical_values("glucose", said, measure)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "unit"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["systolic", "diastolic", "pulse", "mean", "other"]), json_values))
def test_r17_whatever_the_values_nothing_but_a_refusal_is_raised(changes: dict[str, Any]) -> None:
    try:
        found = values(a_pressure() | changes)
    except RejectedReading:
        return
    assert found["systolic"] > found["diastolic"]


@given(
    st.decimals(allow_nan=False, allow_infinity=False) | st.decimals(0, 700, places=1),
    st.sampled_from(["mmol/L", "mg/dL", "umol/L", "g/L", "mmol"]) | st.text(max_size=12),
)
def test_r17_whatever_the_number_and_unit_it_is_a_living_persons_or_refused(value: Decimal, unit: str) -> None:
    try:
        found = canonical_values("glucose", glucose(value, unit), GLUCOSE)
    except (BadValue, BadUnit, ImplausibleValue):
        return
    assert Decimal("0.55") <= found["glucose"] <= Decimal("35.05")
