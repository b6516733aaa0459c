"""How things are measured on two shared, noisy cores: CPU time, rounds in turn, the median of each round's ratio."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 15
_WARM_UPS = 16  # CPython specialises what has been called eight times
_LONG = 0.5  # seconds: work that takes longer has loops enough of its own


@dataclass(frozen=True)
class Measured:
    """CPU microseconds for one unit of work, and how many times more the other needs (None: nothing to compare)."""

    us: float
    ratio: float | None = None


def cpu_us(work: Callable[[], object], units: int) -> float:
    """CPU microseconds that `work` takes for each of its `units`."""
    gc.collect()
    started = time.process_time_ns()
    work()
    return (time.process_time_ns() - started) / 1_000 / units


def alone(work: Callable[[], object], units: int, *, rounds: int = ROUNDS) -> Measured:
    """The median over `rounds`, after some that are not counted."""
    _warmed(work)
    return Measured(statistics.median(cpu_us(work, units) for _ in range(rounds)))


def _warmed(*works: Callable[[], object]) -> None:
    """As a function that has been at it for a while: its code is specialised, and what the bench holds besides is
    nothing that its collector goes through, since a deployed one has settled (adapters/environment.py)."""
    for work in works:
        started = time.process_time()
        for _ in range(_WARM_UPS):
            work()
            if time.process_time() - started > _LONG:
                break
    gc.collect()
    gc.freeze()


def against(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    units: int,
    their_units: int,
    rounds: int = ROUNDS,
) -> Measured:
    """Both in turn, so that a machine that slows down slows both; the median of the ratios of each round."""
    _warmed(ours, theirs)
    pairs = [(cpu_us(ours, units), cpu_us(theirs, their_units)) for _ in range(rounds)]
    return Measured(
        us=statistics.median(mine for mine, _ in pairs), ratio=statistics.median(other / mine for mine, other in pairs)
    )
