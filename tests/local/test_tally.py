"""`lost` is counted: every published reading is in exactly one of stored, quarantined, repeated."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.tally import Place, Published, percentile, place, tally

MORNING = place("BP-1", "blood-pressure", "2026-11-22T07:30:00+03:00")
EVENING = place("BP-1", "blood-pressure", "2026-11-22T19:30:00+03:00")


def reading(where: Place, words: object = "120/80") -> Published:
    return Published(where, words)


@pytest.mark.parametrize(
    ("published", "stored", "quarantined", "duplicates", "lost"),
    [
        ([], [], [], 0, []),
        ([reading(MORNING)], [MORNING], [], 0, []),
        ([reading(MORNING)], [], [MORNING], 0, []),
        ([reading(MORNING)] * 3, [MORNING], [], 2, []),
        ([reading(MORNING), reading(EVENING)], [MORNING], [], 0, [EVENING]),
        ([reading(MORNING)], [MORNING], [MORNING], 0, [MORNING]),
        ([reading(MORNING)] * 2, [MORNING, MORNING], [], 1, [MORNING]),
        ([reading(MORNING), reading(MORNING, "12/80")], [MORNING], [MORNING], 0, []),
        ([reading(MORNING)], [MORNING, EVENING], [], 0, []),
    ],
    ids=[
        "nothing",
        "stored",
        "quarantined",
        "two repeats",
        "one lost",
        "in both is in neither",
        "a repeat that was stored again",
        "two values at one time",
        "a reading that others published",
    ],
)
def test_where_readings_went(
    published: Sequence[Published], stored: list[Place], quarantined: list[Place], duplicates: int, lost: list[Place]
) -> None:
    found = tally(published, stored, quarantined)
    assert (found.duplicates, list(found.lost)) == (duplicates, lost)


@given(st.lists(st.tuples(st.sampled_from([MORNING, EVENING]), st.integers(0, 3)), max_size=12), st.data())
def test_what_is_not_lost_adds_up(readings: list[tuple[Place, int]], data: st.DataObject) -> None:
    published = [reading(where, words) for where, words in readings]
    distinct = sorted(set(readings))
    stored = [where for where, _ in distinct if data.draw(st.booleans())]
    refused = [where for where, _ in distinct]
    for where in stored:
        refused.remove(where)
    found = tally(published, stored, refused)
    assert found.lost == ()
    assert found.published == found.stored + found.quarantined + found.duplicates


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [
        ([], 0.5, 0.0),
        ([7.0], 0.99, 7.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        (list(map(float, range(1, 101))), 0.99, 99.0),
    ],
    ids=["none", "one", "median", "p99 of a hundred"],
)
def test_percentile(values: list[float], share: float, found: float) -> None:
    assert percentile(values, share) == found
