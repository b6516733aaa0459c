"""The outbox into its two queues. It only sorts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.notification import Notice


class Queues(Protocol):
    """Critical and ordinary; `send` returns the indices of what was not taken."""

    def send(self, notices: Sequence[Notice]) -> Collection[int]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    counts: Mapping[str, int]
    to_retry: Sequence[str]


def relay(notices: Sequence[tuple[str, Notice]], queues: Queues) -> Outcome:
    """Queue each `(record's number, notice)`. What a queue did not take is to be retried; sent twice is told once."""
    failed = sorted(queues.send([notice for _, notice in notices])) if notices else []
    critical = sum(notice.severity == "critical" for _, notice in notices)
    return Outcome(
        {"critical": critical, "ordinary": len(notices) - critical, "failed": len(failed)},
        [notices[at][0] for at in failed],
    )
