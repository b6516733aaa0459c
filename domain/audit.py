"""What was done over the API, by whom and when, in chains of which no link can be changed unseen (R92).

An entry names no person and no value: states are hashes of what the API showed of them.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

CHAINS = 16
"""Of an organisation: one would let its writes wait for one another."""

BEGINNING = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of one request. `outcome` is `asked` before a write is carried out, then its status; `before` and
    `after` are hashes of what the API shows of the thing, None where it shows nothing."""

    organisation: str
    at: datetime
    actor: str
    operation: str
    path: str
    request: str
    outcome: str
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """An entry in its place: `hash` is of everything in it and of the link before it."""

    entry: Entry
    chain: int
    number: int
    previous: str
    hash: str


def chain_of(organisation: str, path: str) -> int:
    """Where entries about a thing stand: all in one chain."""
    return int(hashlib.sha256(f"{organisation}#{path}".encode()).hexdigest()[0], CHAINS)


def state_hash(shown: str) -> str | None:
    """The hash of what was shown of a thing; None when that was nothing."""
    return hashlib.sha256(shown.encode()).hexdigest() if shown else None


def link(entry: Entry, chain: int, before: Link | None) -> Link:
    """`entry` as the one after `before`, or the first of its chain."""
    number, previous = (1, BEGINNING) if before is None else (before.number + 1, before.hash)
    made = Link(entry, chain, number, previous, "")
    return replace(made, hash=_hash(made))


def _hash(one: Link) -> str:
    entry = one.entry
    said = [
        *(one.previous, one.chain, one.number, entry.organisation, entry.at.isoformat(), entry.actor, entry.operation),
        *(entry.path, entry.request, entry.outcome, entry.before, entry.after),
    ]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def broken(chain: Iterable[Link]) -> str | None:
    """What is wrong with a chain, oldest first; None when each link is as it was written and none is missing.

    The first link may be any: those before it were kept as long as they had to be.
    """
    before: Link | None = None
    for one in chain:
        place = f"entry {one.number} of chain {one.chain}"
        if one.hash != _hash(one):
            return f"{place} was changed"
        if before is None and one.number == 1 and one.previous != BEGINNING:
            return f"{place} is not the beginning that it says"
        if before is not None and (one.number, one.previous) != (before.number + 1, before.hash):
            return f"{place} does not follow entry {before.number}"
        before = one
    return None
