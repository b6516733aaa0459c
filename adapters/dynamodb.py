"""How every table is read and written: plain values to attribute values, whole batches, nothing dropped.

boto3's resource layer and TypeSerializer cost 88-90 % of a batch pipeline's CPU, hence the low-level client.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, TypeAlias

import orjson

from domain.errors import LostRace

Item: TypeAlias = dict[str, Any]
"""Plain Python: str, bool, None, Decimal or int, list, dict, datetime (written as ISO 8601 with its offset)."""

AttributeValues: TypeAlias = dict[str, Any]
"""The same in DynamoDB's own JSON, as the low-level client and streams have it."""

Keys: TypeAlias = Mapping[str, Iterable[tuple[str, str]]]
"""`{table: [(pk, sk), ...]}`."""

Place: TypeAlias = tuple[str, str, str]
"""`(table, pk, sk)`."""

_Pause: TypeAlias = Callable[[float], None]

_KEYS_A_READ = 100
_ITEMS_A_WRITE = 25


class Throttled(RuntimeError):
    """The table still refused part of a batch after all retries: the caller's whole batch is to be tried again."""


def encode(value: Any) -> AttributeValues:
    """One attribute value. Floats are refused: values are Decimal end to end (R34). So are bytes, which are kept as
    Base64 text: they alone would need botocore to read each value on its way (adapters.aws)."""
    return _ENCODERS[type(value)](value)


def _encode_map(value: Mapping[str, Any]) -> AttributeValues:
    return {"M": encode_item(value)}


def _encode_list(value: Iterable[Any]) -> AttributeValues:
    return {"L": [encode(part) for part in value]}


def encode_time(at: datetime) -> AttributeValues:
    """As isoformat() writes it where the offset is of whole minutes, in a third of its time."""
    return {"S": orjson.dumps(at)[1:-1].decode()}


class _Encoders(dict[type, Callable[[Any], AttributeValues]]):
    """How each type is written; a type that is not named is written as the first of which it is a kind."""

    def __missing__(self, kind: type) -> Callable[[Any], AttributeValues]:
        for known, encoder in self.items():  # in their order, since a bool is an int
            if issubclass(kind, known):
                return encoder
        raise TypeError(f"{kind.__name__} has no place in a table")


_ENCODERS = _Encoders(
    {
        str: lambda value: {"S": value},
        Decimal: lambda value: {"N": format(value, "f")},
        datetime: encode_time,
        type(None): lambda _: {"NULL": True},
        bool: lambda value: {"BOOL": value},
        int: lambda value: {"N": str(value)},
        dict: _encode_map,
        Mapping: _encode_map,
        tuple: _encode_list,
        list: _encode_list,
        frozenset: lambda value: _encode_list(sorted(value)),
        set: lambda value: _encode_list(sorted(value)),
    }
)


def decode(attribute: Mapping[str, Any]) -> Any:
    """The plain value of an attribute value; numbers are Decimal."""
    ((tag, value),) = attribute.items()
    decoder = _DECODERS.get(tag)
    return value if decoder is None else decoder(value)


def decode_item(item: Mapping[str, Any]) -> Item:
    return {key: value["S"] if "S" in value else decode(value) for key, value in item.items()}


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "N": Decimal,
    "M": decode_item,
    "L": lambda value: [decode(part) for part in value],
    "NULL": lambda _: None,
}


def encode_item(item: Mapping[str, Any]) -> AttributeValues:
    return {key: _ENCODERS[type(value)](value) for key, value in item.items()}


def batch_get(
    client: Any, keys: Keys, *, attributes: Sequence[str] = (), pause: _Pause = time.sleep
) -> dict[Place, Item]:
    """What `batch_get_encoded` reads, in plain Python."""
    found = batch_get_encoded(client, keys, attributes=attributes, pause=pause)
    return {key: decode_item(item) for key, item in found.items()}


def batch_get_encoded(
    client: Any, keys: Keys, *, attributes: Sequence[str] = (), pause: _Pause = time.sleep
) -> dict[Place, AttributeValues]:
    """Read the items at `keys` consistently, 100 a call; those that are present, by their place.

    `attributes` are those to read, beside the key; without any, all of an item is read.

    Keys that the table did not process are asked for again with back-off (R28). Raises Throttled.
    """
    wanted = [(table, pk, sk) for table, pairs in keys.items() for pk, sk in dict.fromkeys(pairs)]
    found: dict[Place, AttributeValues] = {}
    only = _projection(attributes)
    for start in range(0, len(wanted), _KEYS_A_READ):
        request: dict[str, Any] = {
            table: {"Keys": [{"pk": {"S": pk}, "sk": {"S": sk}} for _, pk, sk in few], "ConsistentRead": True, **only}
            for table, few in groupby(wanted[start : start + _KEYS_A_READ], itemgetter(0))
        }
        for wait in _back_off(pause):
            answer = client.batch_get_item(RequestItems=request)
            for table, encoded in answer["Responses"].items():
                found.update({(table, item["pk"]["S"], item["sk"]["S"]): item for item in encoded})
            request = answer.get("UnprocessedKeys", {})
            if not request:
                break
            wait()
    return found


def _projection(attributes: Sequence[str]) -> dict[str, Any]:
    """By placeholders, since half of all words are reserved."""
    if not attributes:
        return {}
    names = {f"#{number}": name for number, name in enumerate(("pk", "sk", *attributes))}
    return {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}


def batch_put(client: Any, table: str, items: Iterable[Mapping[str, Any]], *, pause: _Pause = time.sleep) -> None:
    """Write items that are in plain Python as `batch_put_encoded` does."""
    batch_put_encoded(client, table, map(encode_item, items), pause=pause)


def batch_put_encoded(client: Any, table: str, rows: Iterable[AttributeValues], *, pause: _Pause = time.sleep) -> None:
    """Write `rows`, 25 a call; what the table left undone is written again with back-off (R28). Raises Throttled."""
    left = iter(rows)
    while few := list(islice(left, _ITEMS_A_WRITE)):  # a call's rows at a time: all of them together fill a cache
        request: dict[str, Any] = {table: [{"PutRequest": {"Item": row}} for row in few]}
        for wait in _back_off(pause):
            request = client.batch_write_item(RequestItems=request).get("UnprocessedItems", {})
            if not request:
                break
            wait()


def batch_delete(client: Any, table: str, keys: Sequence[tuple[str, str]], *, pause: _Pause = time.sleep) -> None:
    """Delete the items at `keys`, 25 a call; what is gone already stays gone. Raises Throttled."""
    for start in range(0, len(keys), _ITEMS_A_WRITE):
        request: dict[str, Any] = {
            table: [
                {"DeleteRequest": {"Key": {"pk": {"S": pk}, "sk": {"S": sk}}}}
                for pk, sk in keys[start : start + _ITEMS_A_WRITE]
            ]
        }
        for wait in _back_off(pause):
            request = client.batch_write_item(RequestItems=request).get("UnprocessedItems", {})
            if not request:
                break
            wait()


def transact(client: Any, actions: Sequence[Mapping[str, Any]]) -> None:
    """Write all of `actions` (TransactItems of the low-level client) or nothing.

    A put by itself is no transaction: it is all or nothing as it is, for half of the price.

    Raises LostRace when a condition did not hold or another transaction was at the same item.
    """
    failures = client.exceptions
    try:
        if len(actions) == 1 and "Put" in actions[0]:
            client.put_item(**actions[0]["Put"])
        else:
            client.transact_write_items(TransactItems=list(actions))
    except (failures.ConditionalCheckFailedException, failures.TransactionConflictException) as error:
        raise LostRace("another write came first") from error
    except failures.TransactionCanceledException as error:
        reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
        if reasons & {"ConditionalCheckFailed", "TransactionConflict"}:
            raise LostRace("another write came first") from error
        raise


def query(client: Any, **parameters: Any) -> Iterable[Item]:
    """Every item of a Query, page by page, in plain Python."""
    return map(decode_item, query_encoded(client, **parameters))


def query_encoded(client: Any, **parameters: Any) -> Iterable[AttributeValues]:
    """Every item of a Query, page by page."""
    while True:
        answer = client.query(**parameters)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        parameters["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _back_off(pause: _Pause, attempts: int = 6) -> Iterable[Callable[[], None]]:
    for attempt in range(attempts):
        yield partial(pause, random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, no secret
    raise Throttled("the table refused part of a batch six times")
