"""Device profiles are data: whatever a file gets wrong is found when it is read."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from domain.codes import KINDS
from tests.builders import a_profile

GOOD = {"systolic": 1, "diastolic": 1, "mean": 1, "pulse": 1}


def measures(kind: str = "blood-pressure", **changes: Any) -> dict[str, Any]:
    return {kind: {"resolution": GOOD, "fresh_for": "PT6H"} | changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "white"},
        {"class": "toy"},
        {"role": "doctor"},
        {"slots": 0},
        {"time_zone": "Europe/Nowhere"},
        {"time_zone": "../etc/passwd"},
        {"clock_resolution": "PT0.5S"},
        {"clock_resolution": "PT1.5S"},
        {"clock_resolution": "PT0S"},
        {"measures": measures("mood")},
        {"measures": measures(resolution={"systolic": 1})},
        {"measures": measures(resolution=GOOD | {"glucose": 1})},
        {"measures": measures(resolution=GOOD | {"systolic": 0})},
        {"measures": measures(plausible={"glucose": {"low": 1, "high": 2}})},
        {"measures": measures(plausible={"systolic": {"low": 2, "high": 2}})},
    ],
    ids=repr,
)
def test_what_a_profile_may_not_say(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_profile(**changes)


def test_what_a_profile_may_say() -> None:
    profile = a_profile(
        time_zone="Europe/Samara", measures=measures(plausible={"systolic": {"low": "40.5", "high": "300"}})
    )
    assert profile.measures["blood-pressure"].plausible["systolic"].low == Decimal("40.5")
    assert a_profile().measures.keys() <= KINDS.keys()
