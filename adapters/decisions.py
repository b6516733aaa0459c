"""Table `decisions`: why somebody was told of a reading, or nobody, as far as that cannot be computed again.

| pk | sk | item |
|---|---|---|
| `{org}#{subject}` | `{kind}#{device time in UTC, to the second}#{observation id}` | decisions on a reading, as JSON |

The first word counts: judging a reading again, after a retry, overwrites nothing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, TypeAlias

from adapters.dynamodb import batch_get, encode, transact
from domain.alert import Decision
from domain.decisions import Judged
from domain.observation import Observation

Key: TypeAlias = tuple[str, str]

_ACTIONS_A_WRITE = 100
_SAID = attrgetter("rule", "plan_version", "before", "after", "why")


def decision_key(organisation: str, subject: str, kind: str, device_time: datetime, observation: str) -> Key:
    return f"{organisation}#{subject}", f"{kind}#{device_time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}#{observation}"


@dataclass(frozen=True)
class Decisions:
    """`kept_for` is how long after they were made."""

    client: Any
    table: str
    kept_for: timedelta = timedelta(days=90)

    def keeping(self, organisation: str, subject: str, ones: Iterable[Judged]) -> list[dict[str, Any]]:
        """What a transaction does to keep `ones`; a reading that has its decisions keeps those."""
        return [
            {
                "Update": {
                    "TableName": self.table,
                    "Key": {"pk": {"S": pk}, "sk": {"S": sk}},
                    "UpdateExpression": "SET judged = if_not_exists(judged, :judged), "
                    "expires_at = if_not_exists(expires_at, :expires_at)",
                    "ExpressionAttributeValues": {
                        ":judged": {"S": _dump(one)},
                        ":expires_at": encode(int((one.judged_at + self.kept_for).timestamp())),
                    },
                }
            }
            for one in ones
            for pk, sk in [decision_key(organisation, subject, one.kind, one.device_time, one.observation)]
        ]

    def keep(self, organisation: str, subject: str, ones: Sequence[Judged]) -> None:
        """Keep what stands by itself. Raises LostRace when another writer is at the same reading's."""
        actions = self.keeping(organisation, subject, ones)
        for start in range(0, len(actions), _ACTIONS_A_WRITE):
            transact(self.client, actions[start : start + _ACTIONS_A_WRITE])

    def of(self, observations: Iterable[Observation]) -> dict[str, Judged]:
        """What is kept of the decisions on `observations`, by their id, read consistently."""
        keys = {
            decision_key(one.organisation, one.subject, one.kind, one.device_time, one.id): one for one in observations
        }
        found = batch_get(self.client, {self.table: keys})
        return {keys[pk, sk].id: _load(item["judged"], keys[pk, sk]) for (_, pk, sk), item in found.items()}


def _dump(one: Judged) -> str:
    """Short, since a row of more than 1 KB costs twice: the reading's id stands in its key."""
    facts = {
        "judged_at": one.judged_at.isoformat(),
        "engine": one.engine,
        "reading": [_SAID(decision) for decision in one.decisions if not decision.by_clock],
        "clock": [_SAID(decision) for decision in one.decisions if decision.by_clock],
    }
    return json.dumps({name: fact for name, fact in facts.items() if fact != []}, separators=(",", ":"))


def _load(text: str, about: Observation) -> Judged:
    facts = json.loads(text)
    return Judged(
        observation=about.id,
        kind=about.kind,
        device_time=about.device_time,
        judged_at=datetime.fromisoformat(facts["judged_at"]),
        decisions=(
            *(Decision(*decision) for decision in facts.get("reading", ())),
            *(replace(Decision(*decision), by_clock=True) for decision in facts.get("clock", ())),
        ),
        engine=facts["engine"],
    )
