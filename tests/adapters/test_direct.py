"""The short way of the batch calls: the same answers, and botocore's own ways whenever something goes wrong."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, ClassVar
from zlib import crc32

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse, HeadersDict
from botocore.exceptions import ConnectionClosedError
from botocore.session import Session
from moto import mock_aws

from adapters import aws
from adapters.direct import Direct
from adapters.dynamodb import batch_get, batch_put, encode_item, transact
from domain.errors import LostRace

TABLE = "readings"
KEY = ("clinic-a#S-1", "a")
ROW = {"pk": KEY[0], "sk": KEY[1], "n": 7, "text": "гипертония 💓"}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        aws.client.cache_clear()
        client = aws.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        yield client
    aws.client.cache_clear()


class Body:
    """What botocore reads of an HTTP response."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


def an_answer(status: int, body: dict[str, Any], **headers: str) -> AWSResponse:
    kept: Any = HeadersDict({name.replace("_", "-"): value for name, value in headers.items()})
    raw: Any = Body(json.dumps(body).encode())
    return AWSResponse("https://dynamodb.eu-central-1.amazonaws.com/", status, kept, raw)


class Wire:
    """Sees every request; the first is answered by `fault`, if there is one, the others by whoever comes after."""

    def __init__(self, client: Any, fault: Callable[[], Any] = lambda: None) -> None:
        self.requests: list[Any] = []
        self._fault = fault
        client.meta.events.register_first("before-send", self._see)

    def _see(self, request: Any, **_: object) -> Any:
        self.requests.append(request)
        return self._fault() if len(self.requests) == 1 else None


def closed() -> None:
    raise ConnectionClosedError(endpoint_url="https://dynamodb")


THROTTLED = {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}


def test_what_is_written_is_read(client: Any) -> None:
    wire = Wire(client)
    batch_put(client, TABLE, [ROW])
    assert batch_get(client, {TABLE: [KEY]}) == {(TABLE, *KEY): ROW}
    assert [type(client), len(wire.requests)] == [Direct, 2]


@pytest.mark.parametrize(
    "fault",
    [
        closed,
        lambda: an_answer(400, THROTTLED),
        lambda: an_answer(500, {}),
        lambda: an_answer(200, {"Responses": {TABLE: []}}, x_amz_crc32="1"),
    ],
    ids=["closed", "throttled", "broken", "damaged"],
)
def test_r28_what_goes_wrong_is_tried_again_by_botocore(client: Any, fault: Callable[[], Any]) -> None:
    batch_put(client, TABLE, [ROW])
    wire = Wire(client, fault)
    assert list(batch_get(client, {TABLE: [KEY]}).values()) == [ROW]
    assert len(wire.requests) == 2


FIRST: dict[str, Any] = {
    "Put": {"TableName": TABLE, "Item": encode_item(ROW), "ConditionExpression": "attribute_not_exists(pk)"}
}
SECOND: dict[str, Any] = {"Put": {"TableName": TABLE, "Item": encode_item(ROW | {"sk": "b"})}}


@pytest.mark.parametrize("actions", [[FIRST], [FIRST, SECOND]], ids=["a put", "a transaction"])
def test_a_condition_that_holds_is_one_request_and_one_that_does_not_is_a_lost_race(
    client: Any, actions: list[Any]
) -> None:
    wire = Wire(client)
    transact(client, actions)
    assert len(wire.requests) == 1
    assert batch_get(client, {TABLE: [KEY]}) == {(TABLE, *KEY): ROW}
    with pytest.raises(LostRace):
        transact(client, actions)


def test_a_put_by_itself_is_no_transaction(client: Any) -> None:
    wire = Wire(client)
    for actions in ([FIRST], [SECOND, FIRST | {"Put": FIRST["Put"] | {"Item": encode_item(ROW | {"sk": "c"})}}]):
        transact(client, actions)
    assert [one.headers["X-Amz-Target"].partition(".")[2] for one in wire.requests] == ["PutItem", "TransactWriteItems"]


def test_r29_a_transaction_that_is_made_again_is_the_same_one(client: Any) -> None:
    wire = Wire(client, closed)
    transact(client, [FIRST, SECOND])
    first, again = (json.loads(one.body)["ClientRequestToken"] for one in wire.requests)
    assert first == again


def test_what_is_thrown_as_a_conflict_is_a_lost_race(client: Any) -> None:
    conflict = {"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException", "message": ""}
    client.meta.events.register_first("before-send", lambda **_: an_answer(400, conflict))
    with pytest.raises(LostRace):
        transact(client, [FIRST])


def test_a_whole_answer_is_believed(client: Any) -> None:
    body = {"Responses": {TABLE: [{"pk": {"S": "p"}, "sk": {"S": "s"}}]}, "UnprocessedKeys": {}}
    checksum = str(crc32(json.dumps(body).encode()))
    wire = Wire(client, lambda: an_answer(200, body, x_amz_crc32=checksum))
    assert set(batch_get(client, {TABLE: [("p", "s")]})) == {(TABLE, "p", "s")}
    assert len(wire.requests) == 1


def test_errors_are_the_clients_own(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.batch_get_item(RequestItems={"no-such-table": {"Keys": [{"pk": {"S": "p"}, "sk": {"S": "s"}}]}})


def test_a_request_is_signed_for_its_service_as_botocore_signs_it(client: Any) -> None:
    wire = Wire(client)
    client.batch_get_item(RequestItems={TABLE: {"Keys": [{"pk": {"S": "p"}, "sk": {"S": "s"}}]}})
    (sent,) = wire.requests
    signed = {name: sent.headers[name] for name in ("Content-Type", "Host", "X-Amz-Date", "X-Amz-Target")}
    again = AWSRequest("POST", sent.url, signed, sent.body)
    again.context["timestamp"] = signed["X-Amz-Date"]
    credentials: Any = Session().get_credentials()
    signer = SigV4Auth(credentials.get_frozen_credentials(), "dynamodb", "eu-central-1")
    signature = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    assert sent.headers["Authorization"].endswith(
        f"/eu-central-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
        f"Signature={signature}"
    )


class Service(BaseHTTPRequestHandler):
    """Firehose, which takes every record; `taken` is the body of each."""

    taken: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        self.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"RecordId": "1"}')

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_without_a_stand_in_it_goes_over_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        monkeypatch.setenv("AWS_ENDPOINT_URL_FIREHOSE", f"http://127.0.0.1:{server.server_port}")
        aws.client.cache_clear()
        answer = aws.client("firehose").put_record(DeliveryStreamName="archive", Record={"Data": b"line"})
        aws.client.cache_clear()
    assert answer == {"RecordId": "1"}
    assert Service.taken == [{"DeliveryStreamName": "archive", "Record": {"Data": "bGluZQ=="}}]
