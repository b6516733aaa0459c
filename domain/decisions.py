"""What the engine made of each reading, so that "why did it (not) alarm?" always has an answer.

What changed or silenced something is kept when it is decided (`news`); that nothing was wrong, or that it was
known already, is computed again when somebody asks (domain/retrospect.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from domain.alert import ENGINE_VERSION, Decision
from domain.observation import Observation

_NOTHING_NEW = frozenset({"within-limits", "same-episode"})


@dataclass(frozen=True, slots=True)
class Judged:
    """All decisions on one reading, made at `judged_at` by the engine of version `engine`."""

    observation: str
    kind: str
    device_time: datetime
    judged_at: datetime
    decisions: tuple[Decision, ...]
    engine: int = ENGINE_VERSION


def news(decisions: Iterable[Decision]) -> list[Decision]:
    """Those that changed an episode, told somebody, or say why nobody was told of something."""
    return [one for one in decisions if one.why not in _NOTHING_NEW or one.before != one.after]


def judged(observation: Observation, decisions: Iterable[Decision], now: datetime) -> Judged:
    return Judged(observation.id, observation.kind, observation.device_time, now, tuple(decisions))
