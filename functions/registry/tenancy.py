"""Which organisation a client speaks for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.enrolment import Organisation

KNOWN_FOR = timedelta(seconds=5)
"""So long a suspension, another limit or a client that was taken away may go unnoticed by a function that is warm."""


@dataclass
class Tenants:
    """The organisation of a client, remembered by the client's id, so that none is ever taken for another's (R83)."""

    look_up: Callable[[str], Organisation | None]
    _known: dict[str, tuple[Organisation, datetime]] = field(default_factory=dict)

    def of(self, client_id: str, now: datetime) -> Organisation | None:
        known = self._known.get(client_id)
        if known is not None and now < known[1]:
            return known[0]
        found = self.look_up(client_id)
        self._known.pop(client_id, None)
        if found is not None:
            self._known[client_id] = (found, now + KNOWN_FOR)
        return found
