"""What the MIS has received, in one SQLite file (or in memory).

A delivery and its resources are stored in one transaction, and only then is the sender answered: what was answered
with 2xx is never sent again by itself.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from threading import Lock
from typing import Any

VERSION = "urn:pma:extension:version"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY, endpoint TEXT, lane TEXT, sequence INTEGER, part INTEGER, parts INTEGER,
    received_at TEXT, resources INTEGER, repeats INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS resources (
    type TEXT, id TEXT, version INTEGER, subject TEXT, body TEXT, received_at TEXT, PRIMARY KEY (type, id));
CREATE TABLE IF NOT EXISTS problems (webhook_id TEXT, status INTEGER, detail TEXT, at TEXT);
"""


@dataclass(frozen=True)
class Delivery:
    """What the headers say of a delivery. `part` counts from 1; `sequence` 0 is a test."""

    id: str
    endpoint: str
    lane: str
    sequence: int
    part: int = 1
    parts: int = 1
    replay: bool = False


@dataclass(frozen=True)
class LaneState:
    """A lane as seen from here: the highest number received and those missing below it."""

    endpoint: str
    lane: str
    last: int
    deliveries: int
    missing: tuple[int, ...]


class Store:
    """Safe for several threads; one writer at a time."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = Lock()
        self._connection = sqlite3.connect(":memory:" if path is None else path, check_same_thread=False)
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def knows(self, message_id: str) -> bool:
        return bool(self._rows("SELECT 1 FROM deliveries WHERE id = ?", message_id))

    def note_repeat(self, message_id: str) -> None:
        self._write("UPDATE deliveries SET repeats = repeats + 1 WHERE id = ?", message_id)

    def note_problem(self, message_id: str, status: int, detail: str) -> None:
        self._write("INSERT INTO problems VALUES (?, ?, ?, ?)", message_id, status, detail, _now())

    def keep(self, delivery: Delivery, resources: list[dict[str, Any]]) -> None:
        """Store a delivery and those of its resources that are not older than what is here."""
        with self._lock, self._connection:
            self._connection.execute(
                "INSERT INTO deliveries (id, endpoint, lane, sequence, part, parts, received_at, resources) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET repeats = repeats + 1",
                (
                    delivery.id,
                    delivery.endpoint,
                    delivery.lane,
                    delivery.sequence,
                    delivery.part,
                    delivery.parts,
                    _now(),
                    len(resources),
                ),
            )
            self._connection.executemany(
                "INSERT INTO resources VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (type, id) DO UPDATE SET "
                "version = excluded.version, subject = excluded.subject, body = excluded.body, "
                "received_at = excluded.received_at WHERE excluded.version >= resources.version",
                [
                    (
                        one["resourceType"],
                        one["id"],
                        version(one),
                        one.get("subject", {}).get("identifier", {}).get("value"),
                        json.dumps(one, default=float),  # a double keeps 15 digits, and no device sends more
                        _now(),
                    )
                    for one in resources
                ],
            )

    def resources(self, kind: str) -> list[dict[str, Any]]:
        """All resources of a type (`Observation`, `Flag`, `Device`, …) as they were last received, oldest first."""
        return [
            json.loads(body, parse_float=Decimal)
            for (body,) in self._rows("SELECT body FROM resources WHERE type = ? ORDER BY received_at, id", kind)
        ]

    def problems(self) -> list[tuple[str, int, str, str]]:
        """`(webhook id, status, detail, at)` of each delivery that was refused."""
        return self._rows("SELECT webhook_id, status, detail, at FROM problems ORDER BY at")

    def lanes(self) -> list[LaneState]:
        """Every lane with its gaps. A number in parts is there when all of its parts are, or the whole of it."""
        numbers: dict[tuple[str, str], dict[int, dict[int, set[int]]]] = {}
        counted: dict[tuple[str, str], int] = {}
        for endpoint, lane, sequence, part, parts in self._rows(
            "SELECT endpoint, lane, sequence, part, parts FROM deliveries WHERE sequence > 0 ORDER BY endpoint, lane"
        ):
            numbers.setdefault((endpoint, lane), {}).setdefault(sequence, {}).setdefault(parts, set()).add(part)
            counted[endpoint, lane] = counted.get((endpoint, lane), 0) + 1
        return [
            LaneState(endpoint, lane, max(found), counted[endpoint, lane], _missing(found))
            for (endpoint, lane), found in numbers.items()
        ]

    def counts(self) -> dict[str, int]:
        """What a summary needs. `delivered` are distinct deliveries that came, `verified` those that were taken."""
        (verified, repeats) = self._rows("SELECT count(*), coalesce(sum(repeats), 0) FROM deliveries")[0]
        refused = self._rows(
            "SELECT count(DISTINCT webhook_id) FROM problems WHERE webhook_id NOT IN (SELECT id FROM deliveries)"
        )[0][0]
        kinds = dict(self._rows("SELECT type, count(*) FROM resources GROUP BY type"))
        return {
            "delivered": verified + refused,
            "verified": verified,
            "repeats": repeats,
            "problems": self._rows("SELECT count(*) FROM problems")[0][0],
            "gaps": sum(len(lane.missing) for lane in self.lanes()),
            "observations": kinds.get("Observation", 0),
            "flags": kinds.get("Flag", 0),
            "devices": kinds.get("Device", 0),
        }

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def _write(self, statement: str, *values: Any) -> None:
        with self._lock, self._connection:
            self._connection.execute(statement, values)


def version(resource: dict[str, Any]) -> int:
    """PMA's version of a resource, 0 where it has none; `meta.versionId` would be this server's own."""
    found: Iterable[int] = (one["valueInteger"] for one in resource.get("extension", ()) if one["url"] == VERSION)
    return next(iter(found), 0)


def _missing(found: dict[int, dict[int, set[int]]]) -> tuple[int, ...]:
    return tuple(
        number
        for number in range(1, max(found) + 1)
        if not any(len(there) == parts for parts, there in found.get(number, {}).items())
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
