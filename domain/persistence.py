"""How long or how often a breach has to show before it counts: by distinct readings, in measured time."""

from bisect import bisect_left

from domain.care_plan import Persistence
from domain.episode import BREACH, Entry

_KEPT_ENTRIES = 64


def persisted(
    persist: Persistence, entries: tuple[Entry, ...], entry: Entry, stale: int
) -> tuple[tuple[Entry, ...], tuple[Entry, ...], tuple[Entry, ...]]:
    """`(entries with entry, the run that persisted, what is newer than that run)`; the run is empty if none did.

    Distinct readings count, by measured time: a reading that is known already changes nothing (C16).
    """
    index = bisect_left(entries, entry)
    if any(known[:2] == entry[:2] for known in entries[index : index + 1] + entries[max(index - 1, 0) : index]):
        return entries, (), ()
    kept = (*entries[:index], entry, *entries[index:])
    found = _for_long(kept, index, persist.milliseconds) if persist.milliseconds else _often(kept, index, persist)
    if found is None:
        return _pruned(kept, persist, stale), (), ()
    start, stop = found
    return _pruned(kept, persist, stale), tuple(one for one in kept[start:stop] if one[2] & BREACH), kept[stop:]


def _for_long(entries: tuple[Entry, ...], index: int, period: int) -> tuple[int, int] | None:
    """The unbroken run of breaches around `index`, if it is at least `period` long."""
    if not entries[index][2] & BREACH:
        return None
    start = stop = index
    while start and entries[start - 1][2] & BREACH:
        start -= 1
    while stop + 1 < len(entries) and entries[stop + 1][2] & BREACH:
        stop += 1
    return (start, stop + 1) if entries[stop][0] - entries[start][0] >= period else None


def _often(entries: tuple[Entry, ...], index: int, persist: Persistence) -> tuple[int, int] | None:
    """The first `of` readings in a row that hold `index` and enough breaches."""
    for start in range(max(index - persist.of + 1, 0), index + 1) if entries[index][2] & BREACH else ():
        breaches = [at for at, one in enumerate(entries[start : start + persist.of], start) if one[2] & BREACH]
        if len(breaches) >= persist.readings:
            return breaches[0], breaches[-1] + 1
    return None


def _pruned(entries: tuple[Entry, ...], persist: Persistence, stale: int) -> tuple[Entry, ...]:
    """What may still count: nothing before the first breach, and of what is stale only what the window needs.

    What is fresh stays, so that a repeat is known for one; of more than 64 entries, those go that say nothing new.
    """
    kept = list(entries)
    if persist.milliseconds:
        needed = min(kept[-1][0] - persist.milliseconds, stale)
        while len(kept) > 1 and kept[1][0] <= needed:
            del kept[0]
    else:
        while len(kept) > 2 * persist.of and kept[0][0] < stale:
            del kept[0]
    while kept and not kept[0][2] & BREACH:
        del kept[0]
    if len(kept) > _KEPT_ENTRIES:
        inner = (i for i in range(1, len(kept) - 1) if kept[i - 1][2] == kept[i][2] == kept[i + 1][2])
        del kept[next(inner, 0)]
    return tuple(kept)
