"""What counts towards a persistence, what of it is remembered, and what is forgotten."""

import pytest

from domain.care_plan import Persistence
from domain.episode import BREACH, Entry
from domain.persistence import persisted

MINUTE = 60_000
LONG_AGO = -10_000 * MINUTE
FOR = Persistence(milliseconds=15 * MINUTE)
TWO_OF_THREE = Persistence(readings=2, of=3)


def entry(said: str) -> Entry:
    """`5!` is a breach five minutes after the beginning, `5` none."""
    minute = int(said.rstrip("!"))
    return minute * MINUTE, f"r{minute}", BREACH if said.endswith("!") else 0


def entries(said: str) -> tuple[Entry, ...]:
    return tuple(entry(one) for one in said.split())


def said(found: tuple[Entry, ...]) -> str:
    return " ".join(f"{at // MINUTE}{'!' if verdict else ''}" for at, _, verdict in found)


RUNS: dict[str, tuple[Persistence, str, str, str, str]] = {
    "long enough": (FOR, "0! 5!", "15!", "0! 5! 15!", ""),
    "a minute short": (FOR, "0! 5!", "14!", "", ""),
    "completed in the middle": (FOR, "0! 5! 16!", "10!", "0! 5! 10! 16!", ""),
    "interrupted": (FOR, "0! 5 20!", "10!", "", ""),
    "the run around it, and what is newer": (FOR, "0! 5 10! 30! 40 50!", "20!", "10! 20! 30!", "40 50!"),
    "no breach completes nothing": (FOR, "0! 20!", "10", "", ""),
    "one": (TWO_OF_THREE, "", "0!", "", ""),
    "two": (TWO_OF_THREE, "0!", "5!", "0! 5!", ""),
    "two of three": (TWO_OF_THREE, "0! 5", "9!", "0! 9!", ""),
    "two of four": (TWO_OF_THREE, "0! 5 6", "9!", "", ""),
    "the first three that hold it": (TWO_OF_THREE, "0! 5 6 9! 12", "7!", "7! 9!", "12"),
    "late, before the others": (TWO_OF_THREE, "0! 5 6", "3!", "0! 3!", "5 6"),
    "two of before, and one": (TWO_OF_THREE, "0! 5! 6 7", "9!", "", ""),
    "no breach in the middle": (TWO_OF_THREE, "0! 9!", "5", "", ""),
    "no breach at the end": (TWO_OF_THREE, "0! 5 9!", "12", "", ""),
}


@pytest.mark.parametrize(("persist", "before", "new", "run", "later"), RUNS.values(), ids=RUNS)
def test_c14_c16_the_run_that_persisted_and_what_is_newer(
    persist: Persistence, before: str, new: str, run: str, later: str
) -> None:
    _, found, after = persisted(persist, entries(before), entry(new), LONG_AGO)
    assert (said(found), said(after)) == (run, later)


@pytest.mark.parametrize("minute", [0, 5, 9], ids=["the first", "one between", "the last"])
@pytest.mark.parametrize("before", ["0! 5! 9!", "0 5 9"], ids=["breaches", "none"])
@pytest.mark.parametrize("again", ["!", ""], ids=["a breach now", "none now"])
def test_c16_a_reading_that_is_known_changes_nothing(minute: int, before: str, again: str) -> None:
    """However a plan that has changed judges it."""
    known = entries(before)
    assert persisted(TWO_OF_THREE, known, entry(f"{minute}{again}"), LONG_AGO) == (known, (), ())


def test_two_readings_of_one_moment_are_two() -> None:
    before = ((0, "a", BREACH), (0, "c", BREACH))
    found, _, _ = persisted(TWO_OF_THREE, before, (0, "b", BREACH), LONG_AGO)
    assert [name for _, name, _ in found] == ["a", "b", "c"]


REMEMBERED: dict[str, tuple[Persistence, str, str, int, str]] = {
    "no breach begins nothing": (FOR, "", "0", -999, ""),
    "from the first breach on": (FOR, "0 3! 4", "5!", -999, "3! 4 5!"),
    "of what is stale, what the period needs": (FOR, "0! 5! 9!", "20!", 30, "5! 9! 20!"),
    "its last before the period": (FOR, "0! 4! 9!", "20!", 30, "4! 9! 20!"),
    "nothing before": (FOR, "0! 9!", "20!", 30, "0! 9! 20!"),
    "what is fresh stays": (FOR, "0! 5! 9!", "20!", 4, "0! 5! 9! 20!"),
    "stale since this moment": (FOR, "0! 5! 9!", "20!", 5, "5! 9! 20!"),
    "twice the window": (TWO_OF_THREE, "0! 1! 2! 3! 4!", "5!", 9, "0! 1! 2! 3! 4! 5!"),
    "more of it is stale": (TWO_OF_THREE, "0! 1! 2! 3! 4! 5!", "6!", 9, "1! 2! 3! 4! 5! 6!"),
    "more, but fresh": (TWO_OF_THREE, "0! 1! 2! 3! 4! 5!", "6!", 0, "0! 1! 2! 3! 4! 5! 6!"),
    "only what is stale": (TWO_OF_THREE, "0! 1! 2! 3! 4! 5! 6!", "7!", 1, "1! 2! 3! 4! 5! 6! 7!"),
    "then the first breach": (TWO_OF_THREE, "0! 1 2! 3! 4! 5! 6!", "7!", 9, "2! 3! 4! 5! 6! 7!"),
}


@pytest.mark.parametrize(("persist", "before", "new", "stale", "kept"), REMEMBERED.values(), ids=REMEMBERED)
def test_what_may_still_count_is_remembered(persist: Persistence, before: str, new: str, stale: int, kept: str) -> None:
    found, _, _ = persisted(persist, entries(before), entry(new), stale * MINUTE)
    assert said(found) == kept


@pytest.mark.parametrize(
    ("before", "gone"),
    [
        (" ".join(f"{at}!" for at in range(63)), None),
        (" ".join(f"{at}!" for at in range(64)), 1),
        ("0! 1 2! " + " ".join(f"{at}!" for at in range(3, 64)), 3),
        ("0! 1 2 3 4! " + " ".join(f"{at}!" for at in range(5, 64)), 2),
        ("0! 1! 2 " + " ".join(f"{at}!" for at in range(3, 64)), 4),
        (" ".join(f"{at}{'' if at % 2 else '!'}" for at in range(63)) + " 63!", 63),
        (" ".join(f"{at}{'' if at % 2 else '!'}" for at in range(64)), 0),
    ],
    ids=[
        "sixty-four",
        "one more",
        "behind what changes",
        "the same on both sides",
        "not on one side",
        "the last but one",
        "all say something",
    ],
)
def test_of_more_than_sixty_four_one_goes_that_says_nothing_new(before: str, gone: int | None) -> None:
    """Where every one differs from its neighbours, the oldest."""
    week = Persistence(milliseconds=7 * 24 * 60 * MINUTE)
    found, _, _ = persisted(week, entries(before), entry("70!"), LONG_AGO)
    all_of_them = {at for at, _, _ in (*entries(before), entry("70!"))}
    assert all_of_them - {at for at, _, _ in found} == ({gone * MINUTE} if gone is not None else set())
