"""Erasure: a person is forgotten at once, then looked for everywhere until nothing is found (R90).

The tombstone comes first, in one transaction with the end of the subject and its key; all else follows from it, any
number of times. It holds the pseudonym, so that the erased stay erased whatever is restored or sent again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

COPIES_LAST = timedelta(days=35)
"""How long a table's past can be restored: after that no copy holds what was deleted."""

LOOKED_IN = (
    "registry", "devices", "contacts", "observations", "alerts", "decisions", "quarantine", "deliveries", "archive",
)  # fmt: skip
"""Every place of a person's data. The archive is not looked through: the key that it needs is gone."""

LOOKS = (timedelta(), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
"""How long each look waits after the one before it: what was on its way at the moment of erasure has come by then."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """`found` counts what was deleted, by place; `finished_at` is when a last look found nothing more."""

    organisation: str
    subject: str
    erased_at: datetime
    finished_at: datetime | None = None
    found: Mapping[str, int] = field(default_factory=dict)

    @property
    def complete_at(self) -> datetime:
        """When no copy is left from which a table could be restored."""
        return (self.finished_at or self.erased_at) + COPIES_LAST


@dataclass(frozen=True, slots=True)
class Look:
    """The order to look once more for what is left of a subject."""

    organisation: str
    subject: str
    number: int = 0

    @property
    def wait(self) -> timedelta:
        return LOOKS[self.number]

    @property
    def is_last(self) -> bool:
        return self.number == len(LOOKS) - 1


def write_look(look: Look) -> str:
    return json.dumps({"organisation": look.organisation, "subject": look.subject, "number": look.number})


def read_look(text: str) -> Look:
    """What `write_look` wrote."""
    return Look(**json.loads(text))
