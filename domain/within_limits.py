"""What most readings of a patient who is well are: nothing is remembered, and nothing is wrong.

What the engine makes of such a reading is known beforehand; to look for every rule's episode only to say so is most of
what judging it costs.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from domain.care_plan import Plan, Rule
from domain.episode import Decision, Stage, State, Why
from domain.observation import Observation

_Limits: TypeAlias = tuple[tuple[str, Callable[[Decimal], bool]], ...]


def within_limits(state: State, observation: Observation, plan: Plan) -> list[Decision] | None:
    """The decisions on it where it leaves all as it is; None where there is more to it.

    That is an episode open or remembered, a flag or a tag, a rule that is breached, one that looks back at a run of
    values, or a plan that does not read.
    """
    if state.episodes or observation.flags or observation.tags or plan.unreadable is not None:
        return None
    rules = plan.rules.get(observation.kind)
    if rules is None:
        return [Decision(None, None, "idle", "idle", "within-limits")]
    values = observation.values
    limits, decisions = _limits(rules, tuple(values))
    if limits is None:
        return None
    for name, breached in limits:
        if breached(values[name]):
            return None
    return list(decisions)


@lru_cache(maxsize=4096)
def _limits(rules: tuple[Rule, ...], names: tuple[str, ...]) -> tuple[_Limits | None, tuple[Decision, ...]]:
    """What breaches one of `rules` in a reading of those values, and the decisions where nothing does; None where a
    rule looks back."""
    asked = [rule for rule in rules if rule.value in names]
    limits = (
        None
        if any(rule.condition is not None for rule in rules)
        else tuple((rule.value, rule.breached) for rule in asked)
    )
    return limits, tuple(unmoved(rule, "idle", "within-limits") for rule in asked)


@lru_cache(maxsize=4096)
def unmoved(rule: Rule, stage: Stage, why: Why) -> Decision:
    """The decision that most rules come to on most readings, always the same."""
    return Decision(rule.id, rule.plan_version, stage, stage, why)
