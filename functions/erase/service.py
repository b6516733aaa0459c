"""Erasure, after its tombstone: every place is looked through, until a last look finds nothing anywhere (R90)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from domain.erasure import Look, Tombstone

MOST = 10_000
"""At most so many rows of a place in one look: a function has minutes."""


class Place(Protocol):
    """Where rows of a subject may be."""

    def erase(self, organisation: str, subject: str, *, most: int) -> int:
        """How many were found, and are gone now; `most` means that more may be left."""
        ...


class Tombstones(Protocol):
    def get(self, organisation: str, subject: str) -> Tombstone | None: ...
    def found(self, organisation: str, subject: str, counts: Mapping[str, int]) -> None: ...
    def finish(self, organisation: str, subject: str, at: datetime) -> None: ...


class Looks(Protocol):
    """Raises what is to be tried again when the queue does not take everything."""

    def put(self, looks: Iterable[Look]) -> None: ...


@dataclass(frozen=True)
class Erase:
    places: Mapping[str, Place]
    tombstones: Tombstones
    looks: Looks

    def __call__(self, look: Look, *, now: datetime) -> Mapping[str, int]:
        """Look once, and say when to look again; what was found, by place. Without a tombstone nothing is touched.

        Broken off half-way it begins anew: what is gone already is not found again.
        """
        organisation, subject = look.organisation, look.subject
        if self.tombstones.get(organisation, subject) is None:
            return {}
        counts = {name: place.erase(organisation, subject, most=MOST) for name, place in self.places.items()}
        found = {name: count for name, count in counts.items() if count}
        if found:
            self.tombstones.found(organisation, subject, found)
        if MOST in found.values():
            self.looks.put([replace(look, number=0)])
        elif not look.is_last:
            self.looks.put([replace(look, number=look.number + 1)])
        elif found:
            self.looks.put([look])
        else:
            self.tombstones.finish(organisation, subject, now)
        return found
