"""Care plans in table `registry` (keys in adapters/registry.py): the versions that may still judge, and all for ever.

The item `norm` holds the newest versions (`newest`, `versions`) beside what of the subject decides how it is judged, so
that one read settles by what a reading is judged; each version is also an item of its own that nothing overwrites.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from adapters.cursor import read_cursor, write_cursor
from adapters.dynamodb import AttributeValues, Item, batch_get_encoded, decode, encode_item, query, transact
from adapters.registry import norm_key, plan_version_key
from domain.care_plan import PlanVersion

Who: TypeAlias = tuple[str, str]

_AT_HAND = 4
_VERSION = re.compile(r"[1-9]\d{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Versions of a care plan, newest first. `next` is an opaque cursor, None at the end."""

    items: list[PlanVersion]
    next: str | None


def to_versions(norm: AttributeValues) -> tuple[PlanVersion, ...]:
    """The newest versions in the item `norm` as the table gives it, oldest first; none where a programme judges."""
    return tuple(map(_to_version, decode(norm["versions"]))) if "versions" in norm else ()


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
        keys = {norm_key(*who): who for who in subjects}
        found = batch_get_encoded(self.client, {self.table: keys}, attributes=("versions",))
        return {keys[pk, sk]: to_versions(norm) for (_, pk, sk), norm in found.items() if "versions" in norm}

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
        """Write the version that follows the newest. Raises LostRace when `one` does not follow it (any more), or when
        there is no such subject (any more).

        Four versions stay at hand, and the one in force however many are to come into force later.
        """
        kept = self.of([(organisation, subject)]).get((organisation, subject), ())
        pk, sk = norm_key(organisation, subject)
        version_pk, version_sk = plan_version_key(organisation, subject, one.version)
        owner = {"organisation": organisation, "subject": subject}
        values: Item = {":newest": one.version, ":versions": [_facts(each) for each in _at_hand(kept, one)]}
        condition = "attribute_exists(pk) AND attribute_not_exists(newest)"
        if one.version > 1:
            condition = "newest = :before"
            values[":before"] = one.version - 1
        transact(
            self.client,
            [
                {
                    "Update": {
                        "TableName": self.table,
                        "Key": encode_item({"pk": pk, "sk": sk}),
                        "UpdateExpression": "SET newest = :newest, versions = :versions",
                        "ConditionExpression": condition,
                        "ExpressionAttributeValues": encode_item(values),
                    }
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
