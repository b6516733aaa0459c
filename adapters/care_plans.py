"""Care plans in table `registry` (keys in adapters/registry.py): the versions that may still judge, and all for ever.

The item `plan` holds the newest versions together, so that one read settles which is in force; each version is also an
item of its own that nothing overwrites.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from adapters.cursor import read_cursor, write_cursor
from adapters.dynamodb import Item, batch_get, encode_item, query, transact
from adapters.registry import plan_key, plan_version_key
from domain.care_plan import PlanVersion

Who: TypeAlias = tuple[str, str]

_AT_HAND = 4
_VERSION = re.compile(r"[1-9]\d{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Versions of a care plan, newest first. `next` is an opaque cursor, None at the end."""

    items: list[PlanVersion]
    next: str | None


def to_versions(item: Mapping[str, Any]) -> tuple[PlanVersion, ...]:
    """The versions of the item `plan` in plain Python, oldest first."""
    return tuple(_to_version(one) for one in item["versions"])


def _to_version(facts: Mapping[str, Any]) -> PlanVersion:
    return PlanVersion(
        version=int(facts["version"]),
        author=facts["author"],
        effective_from=datetime.fromisoformat(facts["effective_from"]),
        created_at=datetime.fromisoformat(facts["created_at"]),
        document=facts["document"],
    )


def _facts(one: PlanVersion) -> Item:
    return {
        "version": one.version,
        "author": one.author,
        "effective_from": one.effective_from,
        "created_at": one.created_at,
        "document": one.document,
    }


def _at_hand(kept: tuple[PlanVersion, ...], one: PlanVersion) -> list[PlanVersion]:
    versions = [*kept, one]
    in_force = [each for each in versions if each.effective_from <= one.created_at]
    return [each for each in versions if each in versions[-_AT_HAND:] or each in in_force[-1:]]


@dataclass(frozen=True)
class CarePlans:
    """Every version has an author and a time; versions count 1, 2, 3 … a subject."""

    client: Any
    table: str

    def of(self, subjects: Iterable[Who]) -> dict[Who, tuple[PlanVersion, ...]]:
        """The newest versions of each of `subjects` that has any, oldest first, read consistently."""
        found = batch_get(self.client, {self.table: [plan_key(*who) for who in subjects]})
        return {(item["organisation"], item["subject"]): to_versions(item) for item in found.values()}

    def newest(self, organisation: str, subject: str) -> PlanVersion | None:
        versions = self.of([(organisation, subject)]).get((organisation, subject))
        return versions[-1] if versions else None

    def versions(self, organisation: str, subject: str) -> list[PlanVersion]:
        """Every version there ever was, oldest first."""
        pk, sk = plan_version_key(organisation, subject, 0)
        return [
            _to_version(item)
            for item in query(
                self.client,
                TableName=self.table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :plan)",
                ExpressionAttributeValues={":pk": {"S": pk}, ":plan": {"S": sk.partition("#")[0] + "#"}},
            )
        ]

    def newest_first(
        self, organisation: str, subject: str, *, cursor: str | None = None, limit: int = 100
    ) -> VersionPage:
        """A page of the versions there ever were. Raises InvalidRequest for a cursor that is none."""
        before = read_cursor(cursor, _VERSION)
        versions = [
            one for one in reversed(self.versions(organisation, subject)) if before is None or one.version < int(before)
        ]
        more = len(versions) > limit
        return VersionPage(versions[:limit], write_cursor(str(versions[limit - 1].version)) if more else None)

    def put(self, organisation: str, subject: str, one: PlanVersion) -> None:
        """Write the version that follows the newest. Raises LostRace when `one` does not follow it (any more).

        Four versions stay at hand, and the one in force however many are to come into force later.
        """
        kept = self.of([(organisation, subject)]).get((organisation, subject), ())
        pk, sk = plan_key(organisation, subject)
        version_pk, version_sk = plan_version_key(organisation, subject, one.version)
        owner = {"organisation": organisation, "subject": subject}
        newest = {"pk": pk, "sk": sk, "newest": one.version, "versions": [_facts(each) for each in _at_hand(kept, one)]}
        first = one.version == 1
        transact(
            self.client,
            [
                {
                    "Put": {
                        "TableName": self.table,
                        "Item": encode_item(owner | newest),
                        "ConditionExpression": "attribute_not_exists(pk)" if first else "newest = :before",
                    }
                    | ({} if first else {"ExpressionAttributeValues": {":before": {"N": str(one.version - 1)}}})
                },
                {
                    "Put": {
                        "TableName": self.table,
                        "Item": encode_item(owner | _facts(one) | {"pk": version_pk, "sk": version_sk}),
                        "ConditionExpression": "attribute_not_exists(pk)",
                    }
                },
            ],
        )
