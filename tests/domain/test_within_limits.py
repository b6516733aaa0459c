"""A reading of which nothing comes is known as such beforehand: exactly as the whole step would have it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.programmes import programmes
from domain.alert import Episode, Snoozed, State, step, walk
from domain.care_plan import Plan, PlanVersion, plan_for
from domain.observation import Observation
from domain.within_limits import within_limits
from tests.builders import NOW, a_rule, a_subject, an_observation
from tests.lives import a_plan, at, bound, reading
from tests.proof import examples

BROKEN = PlanVersion(3, "doc-12", NOW - timedelta(days=1), NOW, "{}")


def of_programmes(*names: str, versions: tuple[PlanVersion, ...] = ()) -> Plan:
    plan = plan_for(a_subject(programmes=names), versions, programmes(), NOW)
    assert plan is not None
    return plan


PLANS = {
    **{name: of_programmes(name) for name in programmes()},
    "two programmes": of_programmes("hypertension", "diabetes-type-2"),
    "unreadable": of_programmes("hypertension", versions=(BROKEN,)),
    "unreadable, no programme": of_programmes(versions=(BROKEN,)),
    "no rule of the kind": a_plan(a_rule(kind="weight", value="weight", when={"at_or_above": bound(90, "kg")})),
    "missing data": a_plan(
        a_rule(), {"id": "silent", "kind": "blood-pressure", "severity": "info", "when": {"missing_for": "PT20M"}}
    ),
    "a run of values": a_plan(a_rule(when={"rate_above": bound(20) | {"over": "PT20M"}}), a_rule(id="crisis")),
    "by day only": a_plan(a_rule(active={"from": "08:00", "to": "20:00"})),
}
ANY_PLAN = st.sampled_from(sorted(PLANS))
VALUES = {
    "blood-pressure": {"systolic": [118, 118, 60, 139, 180, 240], "diastolic": [70, 70, 40, 95, 125], "pulse": [66]},
    "glucose": {"glucose": [6, 6, 2, 9, 25]},
    "cgm": {"glucose": [6, 6, 2, 9, 25]},
    "oxygen-saturation": {"saturation": [97, 97, 80], "pulse": [66, 66, 30, 200]},
    "weight": {"weight": [70, 70, 90, 120]},
    "fetal-heart-rate": {"rate": [140, 140, 80, 220]},
    "temperature": {"temperature": [37, 37, 35, 41]},
}
PLAIN: tuple[str, ...] = ()
FLAGS = st.sampled_from([PLAIN] * 5 + [("movement",), ("battery-low",), ("irregular-pulse",)])
TAGS = st.sampled_from([frozenset[str]()] * 3 + [frozenset({"recalled"}), frozenset({"typed"})])


@st.composite
def readings(draw: st.DrawFn, kinds: list[str]) -> Observation:
    kind = draw(st.sampled_from(kinds))
    chosen = draw(st.fixed_dictionaries({}, optional={n: st.sampled_from(some) for n, some in VALUES[kind].items()}))
    return an_observation(
        kind=kind,
        values={name: Decimal(value) for name, value in chosen.items()},
        flags=draw(FLAGS),
        tags=draw(TAGS),
        device_class=draw(st.sampled_from(["medical", "auxiliary"])),
        measured_at=draw(st.sampled_from([at(0), at(-3), at(-600), at(9)])),
        received_at=at(10),
    )


@settings(deadline=None, max_examples=examples(400))
@given(ANY_PLAN, ANY_PLAN, st.sampled_from([0, 11, 700]), st.data())
def test_what_is_foretold_is_what_the_step_makes_of_it(
    name: str, earlier: str, after: int, data: st.DataObject
) -> None:
    """… after whatever else was read, under this plan or the one before it."""
    plan, state = PLANS[name], State()
    for known in data.draw(st.lists(readings(list(VALUES)), max_size=2)):
        state, _, _ = step(state, known, PLANS[earlier], at(10))
    one = data.draw(readings([kind for kind in VALUES if kind in plan.rules] or list(VALUES)))
    foretold = within_limits(state, one, plan)
    if foretold is not None:
        found, decisions, alerts = walk(state, one, plan, at(after))
        assert (found is state, decisions, alerts) == (True, foretold, [])


NOTHING = State()
SNOOZED = State(snoozes={"pressure": Snoozed(2_000_000_000_000, "critical", "doc-12", "seen")})


@pytest.mark.parametrize(
    ("state", "plan", "changes", "decisions"),
    [
        (NOTHING, "hypertension", {}, 5),
        (SNOOZED, "hypertension", {}, 5),
        (NOTHING, "no rule of the kind", {}, 1),
        (NOTHING, "missing data", {}, 1),
        (NOTHING, "hypertension", {"values": {"pulse": Decimal(66)}}, 4),
        (NOTHING, "hypertension", {"values": {"mean": Decimal(90)}}, 0),
        (NOTHING, "hypertension", {"values": {"systolic": Decimal(190)}}, None),
        (NOTHING, "hypertension", {"flags": ("movement",)}, None),
        (NOTHING, "hypertension", {"tags": frozenset({"recalled"})}, None),
        (State({"another": Episode("active")}), "hypertension", {}, None),
        (NOTHING, "a run of values", {}, None),
        (NOTHING, "unreadable", {}, None),
    ],
    ids=[
        "within all", "a family is snoozed", "no rule of the kind", "only one rule of two is about it", "one value",
        "no rule of the value", "breached", "flagged", "recalled", "an episode is open", "a run of values",
        "unreadable",
    ],
)  # fmt: skip
def test_most_readings_are_foretold(state: State, plan: str, changes: dict[str, Any], decisions: int | None) -> None:
    foretold = within_limits(state, reading(0, 120, **changes), PLANS[plan])
    assert (None if foretold is None else len(foretold)) == decisions
