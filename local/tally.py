"""Where every published reading went: counted, never assumed."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

Place: TypeAlias = tuple[str, str, datetime]
"""Device, kind and the instant of the device's clock: where a reading is looked for."""


@dataclass(frozen=True, slots=True)
class Published:
    """One reading that the broker acknowledged. `words` tells two readings of one place apart: its values as sent."""

    place: Place
    words: Hashable


@dataclass(frozen=True, slots=True)
class Tally:
    """Readings by what became of them; `lost` should be empty."""

    published: int
    stored: int
    quarantined: int
    duplicates: int
    lost: tuple[Place, ...]


def place(device: str, kind: str, measured_at: str) -> Place:
    """The place of a reading whose time is ISO 8601 with an offset."""
    return device, kind, datetime.fromisoformat(measured_at).astimezone(UTC)


def tally(published: Sequence[Published], stored: Iterable[Place], quarantined: Iterable[Place]) -> Tally:
    """Look for every published reading in what was stored and what was quarantined.

    The same reading published again is a duplicate and must have led to nothing more; a reading found in neither is
    lost. A place where more was found than was published is a reading counted twice, and is lost as well: "exactly
    one of" holds for it no more.
    """
    said: dict[Place, set[Hashable]] = defaultdict(set)
    for one in published:
        said[one.place].add(one.words)
    kept, refused = Counter(stored), Counter(quarantined)
    lost = tuple(
        where for where, words in sorted(said.items()) for _ in range(abs(len(words) - kept[where] - refused[where]))
    )
    distinct = sum(map(len, said.values()))
    return Tally(
        published=len(published),
        stored=sum(kept[where] for where in said),
        quarantined=sum(refused[where] for where in said),
        duplicates=len(published) - distinct,
        lost=lost,
    )


def percentile(values: Collection[float], share: float) -> float:
    """The least value that `share` (0 to 1) of `values` do not exceed; 0 where there is none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
