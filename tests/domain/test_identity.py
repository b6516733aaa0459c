"""The same facts always get the same id."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from domain.identity import deterministic_id

parts = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1, max_size=4)


@given(parts)
def test_an_id_is_a_lower_case_uuid_of_version_8(facts: list[str]) -> None:
    made = uuid.UUID(deterministic_id(*facts))
    assert (made.version, made.variant) == (8, uuid.RFC_4122)
    assert deterministic_id(*facts) == str(made)


@given(parts, parts)
def test_other_facts_get_another_id(facts: list[str], others: list[str]) -> None:
    assert (deterministic_id(*facts) == deterministic_id(*others)) == (facts == others)


def test_an_id_never_shifts() -> None:
    assert deterministic_id("clinic-a", "alert", "S-1") == "4cd764bf-a07b-8b96-b8e5-46e30d468827"
