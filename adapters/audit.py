"""Table `audit`: chains of what was done over the API (R92). The API may put and read, and nobody may do anything else.

| pk | sk | item |
|---|---|---|
| `{org}#{chain}` | `{number:012d}` | a link: the entry, the hash of the link before, and its own |
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any

from adapters.cursor import read_cursor, write_cursor
from adapters.dynamodb import Item, encode_item, query
from domain.audit import CHAINS, Entry, Link, chain_of, link
from domain.errors import LostRace

_PLACES = re.compile(r"\d{1,12}(\.\d{1,12}){15}", re.ASCII)
_TRIES = 20
_END = 10**12 - 1


@dataclass(frozen=True, slots=True)
class Page:
    """Links, newest first. `next` is an opaque cursor, None at the end."""

    items: list[Link]
    next: str | None


def chain_key(organisation: str, chain: int) -> str:
    return f"{organisation}#{chain}"


def to_link(item: Item) -> Link:
    organisation, _, chain = item["pk"].rpartition("#")
    return Link(
        entry=Entry(
            organisation=organisation,
            at=datetime.fromisoformat(item["at"]),
            actor=item["actor"],
            operation=item["operation"],
            path=item["path"],
            request=item["request"],
            outcome=item["outcome"],
            before=item["before"],
            after=item["after"],
        ),
        chain=int(chain),
        number=int(item["sk"]),
        previous=item["previous"],
        hash=item["hash"],
    )


@dataclass(frozen=True)
class Audit:
    """`kept_for` is how long entries are kept."""

    client: Any
    table: str
    kept_for: timedelta = timedelta(days=2190)
    _heads: dict[tuple[str, int], Link] = field(default_factory=dict, repr=False)

    def append(self, entry: Entry) -> None:
        """Put `entry` at the end of its chain. Raises LostRace when others kept coming first."""
        chain = chain_of(entry.organisation, entry.path)
        for _ in range(_TRIES):
            here = entry.organisation, chain
            head = self._heads.get(here) or self._head(*here)
            made = link(entry, chain, head)
            if self._put(made):
                self._heads[here] = made
                return
            self._heads.pop(here, None)
        raise LostRace("others kept writing to the chain")

    def chain(self, organisation: str, chain: int) -> Iterator[Link]:
        """All of a chain that is kept, oldest first."""
        return map(to_link, self._links(organisation, chain, forward=True))

    def newest(self, organisation: str, *, cursor: str | None = None, limit: int = 100) -> Page:
        """A page of the organisation's entries, newest first. Raises InvalidRequest for a cursor that is none."""
        place = read_cursor(cursor, _PLACES)
        before = [int(one) for one in place.split(".")] if place else [_END] * CHAINS
        chains = [
            islice(map(to_link, self._links(organisation, chain, limit=limit + 1, before=before[chain])), limit + 1)
            for chain in range(CHAINS)
        ]
        found = list(islice(merge(*chains, key=lambda one: one.entry.at, reverse=True), limit + 1))
        for one in found[:limit]:
            before[one.chain] = one.number
        more = len(found) > limit
        return Page(found[:limit], write_cursor(".".join(map(str, before))) if more else None)

    def _head(self, organisation: str, chain: int) -> Link | None:
        return next(map(to_link, self._links(organisation, chain, limit=1)), None)

    def _links(
        self,
        organisation: str,
        chain: int,
        *,
        forward: bool = False,
        limit: int | None = None,
        before: int = _END,
    ) -> Iterable[Item]:
        return query(
            self.client,
            TableName=self.table,
            ConsistentRead=True,
            ScanIndexForward=forward,
            KeyConditionExpression="pk = :pk AND sk < :before",
            ExpressionAttributeValues=encode_item({":pk": chain_key(organisation, chain), ":before": f"{before:012d}"}),
            **({} if limit is None else {"Limit": limit}),
        )

    def _put(self, one: Link) -> bool:
        entry = one.entry
        item = {
            "pk": chain_key(entry.organisation, one.chain),
            "sk": f"{one.number:012d}",
            "at": entry.at,
            "actor": entry.actor,
            "operation": entry.operation,
            "path": entry.path,
            "request": entry.request,
            "outcome": entry.outcome,
            "before": entry.before,
            "after": entry.after,
            "previous": one.previous,
            "hash": one.hash,
            "expires_at": int((entry.at + self.kept_for).timestamp()),
        }
        try:
            self.client.put_item(
                TableName=self.table, Item=encode_item(item), ConditionExpression="attribute_not_exists(pk)"
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True
