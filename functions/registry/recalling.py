"""Recalls and second tries: use cases over ports, no AWS."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from domain.errors import Fault, InvalidRequest, NotFound, NothingKept
from domain.identity import deterministic_id
from domain.profile import DeviceProfile
from domain.quarantine import SetAside
from domain.recall import Recall
from domain.request import RecallBody
from functions.registry.service import persistent

MOST_RECALLS = 200
"""In force at once in an organisation: they are one item, which ingest reads with its batches."""


class Registry(Protocol):
    def recalls(self, organisation: str) -> tuple[Sequence[Recall], int]: ...
    def put_recalls(self, organisation: str, recalls: Iterable[Recall], *, version: int) -> None: ...


class Quarantine(Protocol):
    def get(self, organisation: str, identifier: str) -> SetAside | None: ...


class Backlog(Protocol):
    def replay(self, ones: Iterable[SetAside]) -> None: ...


@persistent
def add_recall(
    organisation: str,
    body: RecallBody,
    *,
    registry: Registry,
    profiles: Mapping[str, DeviceProfile],
    now: datetime,
) -> tuple[Recall, bool]:
    """The recall, and if it is new: one that is in force and says the same is that one. Raises InvalidRequest."""
    if body.profile is not None and body.profile not in profiles:
        raise InvalidRequest(Fault("/profile", f"one of {', '.join(sorted(profiles))}"))
    serials = None if body.serials is None else (body.serials.from_, body.serials.to)
    says = (body.mode, body.profile, body.lot, serials)
    known, version = registry.recalls(organisation)
    for one in known:
        if (one.mode, one.profile, one.lot, one.serials) == says:
            return one, False
    if len(known) >= MOST_RECALLS:
        raise InvalidRequest(Fault("", f"at most {MOST_RECALLS} recalls are in force at once: withdraw one first"))
    made = Recall(
        id=deterministic_id(organisation, "recall", *map(repr, says), now.isoformat()),
        organisation=organisation,
        mode=body.mode,
        reason=body.reason,
        created_at=now,
        profile=body.profile,
        lot=body.lot,
        serials=serials,
    )
    registry.put_recalls(organisation, (*known, made), version=version + 1)
    return made, True


@persistent
def withdraw(organisation: str, identifier: str, *, registry: Registry) -> None:
    """It is over, and all that it did is undone. Raises NotFound."""
    known, version = registry.recalls(organisation)
    left = [one for one in known if one.id != identifier]
    if len(left) == len(known):
        raise NotFound("no recall of that id is in force")
    registry.put_recalls(organisation, left, version=version + 1)


def replay(organisation: str, identifier: str, *, quarantine: Quarantine, backlog: Backlog) -> None:
    """Hand it on to be judged once more. Raises NotFound, NothingKept."""
    found = quarantine.get(organisation, identifier)
    if found is None:
        raise NotFound("nothing of that id is set aside")
    if found.payload is None:
        raise NothingKept("without consent nothing was kept that could be tried again")
    backlog.replay([found])
