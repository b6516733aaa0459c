"""What most readings of a patient who is well are: nothing is remembered, and nothing is wrong.

What the engine makes of such a reading is known beforehand; to look for every rule's episode only to say so is most of
what judging it costs.
"""

from functools import lru_cache

from domain.care_plan import Plan, Rule
from domain.episode import Decision, Stage, State, Why
from domain.observation import Observation


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
    for rule in rules:
        value = values.get(rule.value)
        if rule.condition is not None or (value is not None and rule.breached(value)):
            return None
    return list(_all_unmoved(rules, tuple(values)))


@lru_cache(maxsize=4096)
def _all_unmoved(rules: tuple[Rule, ...], values: tuple[str, ...]) -> tuple[Decision, ...]:
    return tuple(unmoved(rule, "idle", "within-limits") for rule in rules if rule.value in values)


@lru_cache(maxsize=4096)
def unmoved(rule: Rule, stage: Stage, why: Why) -> Decision:
    """The decision that most rules come to on most readings, always the same."""
    return Decision(rule.id, rule.plan_version, stage, stage, why)
