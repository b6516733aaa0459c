"""All observations built again from the archive, into new tables that nobody listens to, and laid beside the live ones.

The new tables have no stream, so nothing that is built there can tell anybody (R102). Judged is by what the registry
says now: attribution, consent and recalls as of today.
"""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from typing import Any

from adapters.archive import ArchiveReader
from adapters.aws import client
from adapters.catalogue import profiles
from adapters.dynamodb import Item, decode_item, query
from adapters.observations import Observations
from adapters.quarantine import Quarantine
from adapters.registry import RegistryReader
from adapters.sealing import KeyRing
from domain.judgement import Kept
from domain.reading import Arrival, Status
from functions.ingest.service import Ingest
from ops.errors import OperatorError
from ops.stack import output
from ops.steps import Step

_MESSAGES_A_BATCH = 100
_KEPT_FOR = timedelta(days=400)
_SHOWN = 20
_LATER = {"expires_at", "version", "recalls"}
"""What the archive does not decide: when a row goes, how often a mark changed, which recalls there are."""


class NotNew(OperatorError):
    """The tables to build into are not new."""


class Nowhere:
    """Neither the archive nor what a device told of itself is written again."""

    def put(self, parts: Iterable[tuple[str, Kept]]) -> None: ...

    def tell(self, organisation: str, serial: str, status: Status) -> None: ...


@dataclass
class Waiting:
    """The second inbox of a rebuild: circumstances that came before their measurement."""

    arrivals: list[Arrival] = field(default_factory=list)

    def put(self, arrivals: Sequence[Arrival], *, after: timedelta = timedelta()) -> set[str]:
        self.arrivals += arrivals
        return set()


@dataclass(frozen=True)
class Rebuild:
    """Of the days from `first` to `last`, both included. `into` begins the names of the new tables."""

    archive: ArchiveReader
    registry_table: str
    live: str
    into: str
    first: date
    last: date

    @property
    def rebuilt(self) -> str:
        return f"{self.into}-observations"

    def survey(self) -> Counter[str]:
        """How much there is to read; nothing is read yet."""
        found = list(self.archive.objects(self.first, self.last))
        return Counter(objects=len(found), bytes=sum(one.size for one in found))

    def steps(self, after: str | None) -> Iterator[Step]:
        """Object by object; one that is read again finds its rows there."""
        self._make_tables()
        for one in self.archive.objects(self.first, self.last, after=after or ""):
            messages, sealed = self.archive.messages(one.key)
            yield Step(one.key, len(messages), partial(self._take, messages, sealed))

    @cached_property
    def _waiting(self) -> Waiting:
        return Waiting()

    @cached_property
    def _ingest(self) -> Ingest:
        dynamodb = client("dynamodb")
        return Ingest(
            registry=RegistryReader(dynamodb, self.registry_table),
            observations=Observations(dynamodb, self.rebuilt, _KEPT_FOR),
            quarantine=Quarantine(dynamodb, f"{self.into}-quarantine"),
            archive=Nowhere(),
            backlog=self._waiting,
            status=Nowhere(),
            profiles=profiles(),
            kept_for=_KEPT_FOR,
        )

    def _take(self, messages: Sequence[Arrival], sealed: int) -> Counter[str]:
        """Each batch is judged at the time at which it came, so that none of it is late.

        `sealed` messages are of people who were erased, or of nobody and of long ago: their keys are gone.
        """
        counted = +Counter(sealed_for_good=sealed)
        for start in range(0, len(messages), _MESSAGES_A_BATCH):
            batch = messages[start : start + _MESSAGES_A_BATCH]
            counted += self._ingest(batch, now=batch[0].received_at, first_inbox=True).counts
        waited, self._waiting.arrivals = self._waiting.arrivals, []
        if waited:
            counted += self._ingest(waited, now=waited[0].received_at, first_inbox=False).counts
        return counted

    def _make_tables(self) -> None:
        """Sealed with the key of the live ones. Raises NotNew for one that has a stream."""
        dynamodb = client("dynamodb")
        live = dynamodb.describe_table(TableName=self.live)["Table"]
        key = live.get("SSEDescription", {}).get("KMSMasterKeyArn")
        sealed = {"SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}} if key else {}
        for name in (self.rebuilt, f"{self.into}-quarantine"):
            try:
                dynamodb.create_table(
                    TableName=name,
                    KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                    AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "sk")],
                    BillingMode="PAY_PER_REQUEST",
                    **sealed,
                )
            except dynamodb.exceptions.ResourceInUseException:
                if "StreamSpecification" in dynamodb.describe_table(TableName=name)["Table"]:
                    raise NotNew(f"The table {name} has a stream: name new tables with --into.") from None
            dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    def compare(self) -> dict[str, Any]:
        """What the archive makes of those days beside what is live, row by row with their marks.

        `missing` are live only, `extra` rebuilt only, `different` both but not the same; of each some are named.
        A row that came before those days, and again in them, is `known-before`; one that is live as entered in error,
        and rebuilt as of who measured it alone, is `moved`.
        """
        counted: Counter[str] = Counter()
        named: dict[str, list[str]] = {"missing": [], "extra": [], "different": []}
        for subject in sorted(self._subjects(self.rebuilt) | self._subjects(self.live)):
            live, rebuilt = self._rows(self.live, subject), self._rows(self.rebuilt, subject)
            for key in sorted(live.keys() | rebuilt.keys()):
                found = self._beside(live.get(key), rebuilt.get(key))
                counted[found] += 1
                if len(named.get(found, [None] * _SHOWN)) < _SHOWN:
                    named[found].append(key.rpartition("#")[2])
        del counted["outside"]
        return {"counts": dict(counted), **{name: ids for name, ids in named.items() if ids}}

    def _beside(self, live: Item | None, rebuilt: Item | None) -> str:
        if live is not None and not self._within(live):
            return "outside" if rebuilt is None else "known-before"
        if live is None:
            return "extra"
        if rebuilt is None:
            return "moved" if "entered_in_error" in live["mark"] else "missing"
        return "same" if live == rebuilt else "different"

    def _within(self, row: Item) -> bool:
        return self.first <= datetime.fromisoformat(row["received_at"]).date() <= self.last

    def _subjects(self, table: str) -> set[str]:
        pages = client("dynamodb").get_paginator("scan").paginate(TableName=table, ProjectionExpression="pk")
        return {decode_item(item)["pk"] for page in pages for item in page["Items"]}

    def _rows(self, table: str, subject: str) -> dict[str, Item]:
        """The rows of a subject by their keys, each with what its mark says, without what the archive cannot know."""
        found = query(
            client("dynamodb"),
            TableName=table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": subject}},
        )
        items = {item["sk"]: _comparable(item) for item in found}
        marks = {key.removesuffix("#mark"): items.pop(key) for key in [*items] if key.endswith("#mark")}
        return {key: item | {"mark": marks.get(key, {})} for key, item in items.items()}


def _comparable(item: Mapping[str, Any]) -> Item:
    kept = {
        name: value
        for name, value in item.items()
        if name not in _LATER
        and not name.startswith("recall:")
        and name not in ("pk", "sk")
        and value is not False  # what was taken back had never been
    }
    return kept | {"tags": sorted({*kept["tags"]} - {"recalled"})} if "tags" in kept else kept


def archive(arguments: Namespace) -> Rebuild:
    """Of the stack that the arguments name. Raises StackError, NotNew."""
    bucket, key, registry, live = output(
        arguments.stack, ["ArchiveBucket", "ArchiveKey", "RegistryTable", "ObservationsTable"]
    )
    if arguments.into is None or arguments.first is None or arguments.last is None:
        raise NotNew("From the archive: say which days with --first and --last, and name new tables with --into.")
    keys = KeyRing(client("dynamodb"), client("kms"), registry, key)
    reader = ArchiveReader(client("s3"), bucket, keys)
    return Rebuild(reader, registry, live, arguments.into, arguments.first, arguments.last)
