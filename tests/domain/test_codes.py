"""Kinds of observation: every number has a LOINC code that checks, a unit and a range."""

import pytest

from domain.codes import EXTRA_LOINC, KINDS

CODES = {value.loinc for kind in KINDS.values() for value in kind.values.values()}
CODES |= {kind.loinc for kind in KINDS.values()} | {code for code, _ in EXTRA_LOINC.values()}


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_loinc_code_has_its_check_digit(code: str) -> None:
    """LOINC's last digit is a mod-10 (Luhn) check of the others: a typing slip shows."""
    number, digit = code.split("-")
    doubled = "".join(str(int(d) * 2) if place % 2 == 0 else d for place, d in enumerate(reversed(number)))
    assert (10 - sum(map(int, doubled)) % 10) % 10 == int(digit)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_needs_at_least_one_value_and_its_range_is_one(kind: str) -> None:
    values = KINDS[kind].values.values()
    assert any(value.required for value in values)
    assert all(value.low < value.high for value in values)


def test_the_fetus_never_has_the_mothers_code() -> None:
    assert KINDS["fetal-heart-rate"].values["rate"].loinc != KINDS["heart-rate"].values["rate"].loinc
