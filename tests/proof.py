"""How often a costly property is tried: seldom in CI, and in `make proof` as many times more as EXAMPLES asks for."""

import os

_USUAL = 100  # Hypothesis's own


def examples(few: int) -> int:
    return few * max(1, int(os.environ.get("EXAMPLES", _USUAL)) // _USUAL)
