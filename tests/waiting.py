"""Waiting without sleeping blindly: look again until it is so, or say what was seen last."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], *, within: float = 20, every: float = 0.02) -> T:
    """The first truthy value of `look`. Raises AssertionError with the last one after `within` seconds."""
    deadline = time.monotonic() + within
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {within} s; last seen: {seen!r}"
        time.sleep(every)
    return seen


def ever(look: Callable[[], T], *, within: float) -> bool:
    """Whether `look` becomes truthy within that many seconds."""
    try:
        eventually(look, within=within)
    except AssertionError:
        return False
    return True
