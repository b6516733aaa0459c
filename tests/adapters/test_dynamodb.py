"""How every table is read and written: whole batches, whatever the table leaves undone."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from adapters import aws, dynamodb
from domain.errors import LostRace

TABLE = "readings"


def create_table(client: Any) -> None:
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-central-1")
        create_table(client)
        yield client


class HalfDone:
    """A client whose batch calls leave the later half undone: what a throttled table answers (R28)."""

    def __init__(self, client: Any, *, always: bool = False) -> None:
        self._client = client
        self._always = always
        self.calls = 0

    def _halve(self, request: dict[str, Any], halves: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        self.calls += 1
        if self._always:
            return {}, request
        (table, wanted) = next(iter(request.items()))
        done, left = halves(wanted)
        return {table: done}, {table: left} if left else {}

    def batch_write_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        done, left = self._halve(
            RequestItems, lambda puts: (puts[: (len(puts) + 1) // 2], puts[(len(puts) + 1) // 2 :])
        )
        if done:
            self._client.batch_write_item(RequestItems=done)
        return {"UnprocessedItems": left}

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        def halves(wanted: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
            keys = wanted["Keys"]
            middle = (len(keys) + 1) // 2
            return wanted | {"Keys": keys[:middle]}, wanted | {"Keys": keys[middle:]} if keys[middle:] else None

        done, left = self._halve(RequestItems, halves)
        answer = self._client.batch_get_item(RequestItems=done) if done else {"Responses": {}}
        return {"Responses": answer["Responses"], "UnprocessedKeys": left}


def some_items(count: int) -> list[dict[str, Any]]:
    return [{"pk": f"clinic-a#S-{number}", "sk": "row", "value": Decimal(number)} for number in range(count)]


def no_pause(seconds: float) -> None:
    assert seconds >= 0


def keys_of(items: list[dict[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    return {TABLE: [(item["pk"], item["sk"]) for item in items]}


@pytest.mark.parametrize("count", [0, 1, 25, 26, 101], ids=lambda count: f"{count} items")
def test_a_batch_is_written_and_read_whole(client: Any, count: int) -> None:
    dynamodb.batch_put(client, TABLE, some_items(count))
    found = dynamodb.batch_get(client, keys_of(some_items(count)))
    assert sorted(item["value"] for item in found.values()) == list(range(count))


def test_a_key_asked_for_twice_is_read_once(client: Any) -> None:
    dynamodb.batch_put(client, TABLE, some_items(1))
    assert len(dynamodb.batch_get(client, {TABLE: [("clinic-a#S-0", "row")] * 2})) == 1


def test_an_absent_key_is_no_error(client: Any) -> None:
    assert dynamodb.batch_get(client, {TABLE: [("clinic-a#nobody", "row")]}) == {}


def test_r31_what_is_decided_on_is_read_consistently(client: Any) -> None:
    asked: list[dict[str, Any]] = []
    client.meta.events.register(
        "before-parameter-build.dynamodb.BatchGetItem", lambda params, **_: asked.append(params)
    )
    dynamodb.batch_get(client, {TABLE: [("a", str(number)) for number in range(150)]})
    assert [one["RequestItems"][TABLE]["ConsistentRead"] for one in asked] == [True, True]


def test_r28_what_the_table_left_undone_is_done_again(client: Any) -> None:
    slow = HalfDone(client)
    dynamodb.batch_put(slow, TABLE, some_items(25), pause=no_pause)
    assert slow.calls > 1
    assert len(dynamodb.batch_get(HalfDone(client), keys_of(some_items(25)), pause=no_pause)) == 25


def test_r28_a_table_that_never_takes_the_rest_fails_the_batch_aloud(client: Any) -> None:
    with pytest.raises(dynamodb.Throttled):
        dynamodb.batch_put(HalfDone(client, always=True), TABLE, some_items(1), pause=no_pause)
    with pytest.raises(dynamodb.Throttled):
        dynamodb.batch_get(HalfDone(client, always=True), keys_of(some_items(1)), pause=no_pause)


def a_put(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": TABLE,
            "Item": dynamodb.encode_item(item),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
    }


def test_a_transaction_writes_all_or_nothing(client: Any) -> None:
    first, second = some_items(2)
    dynamodb.transact(client, [a_put(first)])
    with pytest.raises(LostRace):
        dynamodb.transact(client, [a_put(second), a_put(first)])
    assert len(dynamodb.batch_get(client, keys_of([first, second]))) == 1


def test_a_transaction_that_fails_for_another_reason_is_no_lost_race(client: Any) -> None:
    with pytest.raises(client.exceptions.ClientError):
        dynamodb.transact(
            client, [{"Put": {"TableName": "no-such-table", "Item": {"pk": {"S": "x"}, "sk": {"S": "x"}}}}]
        )


def test_a_query_follows_every_page(client: Any) -> None:
    items = [{"pk": "one", "sk": f"{number:03d}"} for number in range(7)]
    dynamodb.batch_put(client, TABLE, items)
    pages = dynamodb.query(
        client,
        TableName=TABLE,
        Limit=2,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "one"}},
    )
    assert list(pages) == items


plain = st.recursive(
    st.none() | st.booleans() | st.text() | st.decimals(allow_nan=False, allow_infinity=False, places=4),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(plain)
def test_a_plain_value_survives_the_table(value: Any) -> None:
    assert dynamodb.decode(dynamodb.encode(value)) == value


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        (datetime(2026, 11, 22, 9, tzinfo=UTC), {"S": "2026-11-22T09:00:00+00:00"}),
        (3, {"N": "3"}),
        (True, {"BOOL": True}),
        (Decimal("1E+2"), {"N": "100"}),
        (frozenset({"late", "auxiliary"}), {"L": [{"S": "auxiliary"}, {"S": "late"}]}),
        (("a",), {"L": [{"S": "a"}]}),
    ],
    ids=["time", "int", "bool is no number", "no exponent", "set in order", "tuple"],
)
def test_an_attribute_value(value: Any, attribute: dict[str, Any]) -> None:
    assert dynamodb.encode(value) == attribute


def test_r34_a_float_has_no_place_in_a_table() -> None:
    with pytest.raises(TypeError, match="float"):
        dynamodb.encode(0.1)


def test_attribute_values_pass_the_deployed_client_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore would go through each of them, member by member; what is refused is still its own exception."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    row = {"pk": "a", "sk": "b", "values": {"rate": Decimal(71)}, "tags": ["late"], "slot": None, "told": True}
    with mock_aws():
        create_table(boto3.client("dynamodb"))
        aws.client.cache_clear()
        deployed = aws.client("dynamodb")
        shapes = deployed.meta.service_model
        assert all(shapes.shape_for(name).is_document_type for name in ("AttributeValue", "BatchGetResponseMap"))
        dynamodb.batch_put(deployed, TABLE, [row])
        assert dynamodb.batch_get(deployed, {TABLE: [("a", "b")]}) == {(TABLE, "a", "b"): row}
        key = {":pk": {"S": "a"}}
        found = dynamodb.query(
            deployed, TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=key
        )
        assert list(found) == [row]
        put = {"TableName": TABLE, "Item": dynamodb.encode_item(row), "ConditionExpression": "attribute_not_exists(pk)"}
        with pytest.raises(LostRace):
            dynamodb.transact(deployed, [{"Put": put}])
    aws.client.cache_clear()


def test_bytes_have_no_place_in_a_table() -> None:
    """They are kept as Base64 text: adapters.aws hands attribute values on as they are."""
    with pytest.raises(TypeError, match="bytes"):
        dynamodb.encode(b"\x00")
