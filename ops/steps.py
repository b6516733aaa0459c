"""A long work in steps: each is done or not, is known by its place, and does no harm when it is done twice."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import OperatorError


class OtherCheckpoint(OperatorError):
    """The checkpoint is of another work."""


@dataclass(frozen=True)
class Step:
    """`after` is the place behind it, `size` how many messages it sends at once."""

    after: str
    size: int
    do: Callable[[], Mapping[str, int]]


@dataclass(frozen=True)
class Checkpoint:
    """The file in which a work notes how far it came; `of` says which work it is."""

    path: Path
    of: Mapping[str, Any]

    def read(self) -> tuple[str | None, Counter[str]]:
        """Where to go on, and what was done before; (None, nothing) at the beginning. Raises OtherCheckpoint."""
        if not self.path.exists():
            return None, Counter()
        try:
            noted = json.loads(self.path.read_text(encoding="utf-8"))
            of, after, done = noted["of"], noted["after"], Counter(noted["done"])
        except (ValueError, KeyError, TypeError):
            raise OtherCheckpoint(f"{self.path} is no checkpoint: name another file with --checkpoint.") from None
        if of != dict(self.of):
            raise OtherCheckpoint(f"{self.path} is the checkpoint of another replay: name another file or delete it.")
        return after, done

    def keep(self, after: str, done: Mapping[str, int]) -> None:
        """Whole or not at all."""
        draft = self.path.with_name(f"{self.path.name}.new")
        draft.write_text(json.dumps({"of": dict(self.of), "after": after, "done": dict(done)}), encoding="utf-8")
        draft.replace(self.path)

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


def work_off(
    steps: Callable[[str | None], Iterable[Step]],
    *,
    checkpoint: Checkpoint,
    rate: float,
    pause: Callable[[float], None] = time.sleep,
    show: Callable[[Mapping[str, int]], None] = lambda _: None,
) -> Counter[str]:
    """Do what is left, at most `rate` messages a second, noting each step; what was done in all, also before.

    The checkpoint is gone when all is done. Raises OtherCheckpoint.
    """
    after, done = checkpoint.read()
    if after != "":  # the last step was done, and the note of it was the last thing that was
        for step in steps(after):
            done.update(step.do())
            checkpoint.keep(step.after, done)
            show(done)
            pause(step.size / rate)
    checkpoint.forget()
    return done
