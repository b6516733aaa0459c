"""The whole API in this process: real handler, real adapters, tables in memory, and tokens signed by a key of ours."""

import base64
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import boto3
import jwt
import urllib3
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.secretsmanager.models import secretsmanager_backends

from adapters.aws import client as aws_client
from adapters.environment import variable
from adapters.registry import Registry
from adapters.tokens import Tokens
from domain.enrolment import Organisation
from functions.registry import wiring
from functions.registry.handler import handle
from pma_client import Client
from tests import promises

REGION = "eu-central-1"
ISSUER = f"https://cognito-idp.{REGION}.amazonaws.com/{REGION}_pool"
API = "https://api.example"
TOKEN_URL = "https://pool.example/oauth2/token"
ALL_SCOPES = "pma/enrol pma/care-plan pma/read pma/acknowledge pma/endpoints pma/operate"
INDICES = {
    "alerts": {"by-id": ("queue", "id")},
    "registry": {"fleet": ("fleet", "id")},
    "quarantine": {"by-time": ("shelf", "shelved"), "by-carrier": ("carrier", "shelved")},
}
TABLES = (
    "registry",
    "observations",
    "alerts",
    "quarantine",
    "contacts",
    "deliveries",
    "decisions",
    "idempotency",
    "erasures",
    "audit",
)

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwks(**keys: rsa.RSAPrivateKey) -> bytes:
    """The document that a user pool shows its keys with."""
    shown = [RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": name} for name, key in keys.items()]
    return json.dumps({"keys": shown}).encode()


def a_token(*, key: rsa.RSAPrivateKey = KEY, kid: str = "k1", algorithm: str = "RS256", **claims: Any) -> str:
    """An access token of the pool, valid for an hour, for `client-a` with every scope of a hospital."""
    facts: dict[str, Any] = {
        "iss": ISSUER,
        "client_id": "client-a",
        "token_use": "access",
        "scope": ALL_SCOPES,
        "exp": int(time.time()) + 3600,
    } | claims
    facts = {name: value for name, value in facts.items() if value is not None}
    return jwt.encode(facts, key, algorithm=algorithm, headers={"kid": kid})


@dataclass
class Answered:
    """An answer as urllib3 gives it."""

    status: int
    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return json.loads(self.data)


@dataclass
class FakeKeys:
    """Stands for the pool's key document: `answers` one after the other, the last one for ever."""

    answers: list[Answered | urllib3.exceptions.HTTPError]
    asked: int = 0

    def request(self, method: str, url: str, **_: Any) -> Answered:
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Context:
    """What Lambda tells a function about its invocation."""

    function_name = "registry"
    memory_limit_in_mb = 256
    invoked_function_arn = f"arn:aws:lambda:{REGION}:123456789012:function:registry"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def event(
    method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None, binary: bool = False
) -> dict[str, Any]:
    """What an HTTP API hands to a function (payload 2.0)."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    sent = None
    if body is not None:
        sent = base64.b64encode(body).decode() if binary else body.decode()
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": parts.query,
        "headers": {name.lower(): value for name, value in (headers or {}).items()},
        "queryStringParameters": dict(parse_qsl(parts.query, keep_blank_values=True)),
        "requestContext": {
            "http": {"method": method, "path": path},
            "stage": "$default",
            "requestId": "r-1",
        },
        "body": sent,
        "isBase64Encoded": binary,
    }


def all_of(table: str) -> list[dict[str, Any]]:
    """All that a table holds, as DynamoDB writes it, out of moto's memory: a scan takes ten times as long."""
    rows = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[table].items
    return [item.to_json()["Attributes"] for among in rows.values() for item in among.values()]


@dataclass
class InProcess:
    """Turns a client's requests into events for the handler; `clients` is whose secret gets which scopes."""

    scopes: str = ALL_SCOPES
    tokens_made: int = 0

    def request(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answered:
        if url == TOKEN_URL:
            return self._token(dict(headers or {}))
        path = url.removeprefix(API)
        answer = handle(event(method, path, body=body, headers=headers), Context())  # type: ignore[arg-type]
        answered = Answered(
            answer["statusCode"],
            (answer.get("body") or "").encode(),
            {name.lower(): value for name, value in answer["headers"].items()},
        )
        assert promises.broken(method, urlsplit(path).path, answered.status, answered.data, answered.headers) is None
        return answered

    def _token(self, headers: Mapping[str, str]) -> Answered:
        self.tokens_made += 1
        client_id = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode().partition(":")[0]
        token = a_token(client_id=client_id, scope=self.scopes)
        return Answered(200, json.dumps({"access_token": token, "expires_in": 3600}).encode())

    def call(
        self, method: str, path: str, body: Any = None, *, client: str = "client-a", **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, document and headers of one request with a valid token of `client`."""
        sent = {"authorization": f"Bearer {a_token(client_id=client, scope=self.scopes)}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.request(method, API + path, body=data, headers=sent)
        return answer.status, json.loads(answer.data) if answer.data else None, answer.headers

    def forget(self, whose: str = "") -> None:
        """Empty every table but for the organisations and their clients, or of all keys that begin so; without one,
        delete every secret too.

        In moto's own memory: by way of its API this was a third of what these tests took.
        """
        for table in dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables.values():
            for pk, rows in table.items.items():
                for sk in [one for one in rows if one.value not in ("organisation", "client")]:
                    if pk.value.startswith(whose):
                        del rows[sk]
        if not whose:
            secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].secrets.clear()

    @contextmanager
    def wired(self, **parts: Any) -> Iterator[None]:
        """With other parts in the place of the real ones."""
        here = wiring.wired()
        before = {name: getattr(here, name) for name in parts}
        try:
            for name, part in parts.items():
                setattr(here, name, part)
            yield
        finally:
            for name, part in before.items():
                setattr(here, name, part)

    def settings(self, **settings: Any) -> AbstractContextManager[None]:
        """With other settings."""
        return self.wired(settings=replace(wiring.wired().settings, **settings))

    def client(self, client_id: str = "client-a") -> Client:
        """The typed client of an organisation, speaking to this process."""
        return Client(API, TOKEN_URL, client_id, "secret", http=self, pause=lambda _: None)


def make_tables(dynamodb: Any, names: tuple[str, ...] = TABLES) -> None:
    for name in names:
        extra: dict[str, Any] = {}
        attributes = ["pk", "sk"]
        if name in INDICES:
            attributes += sorted({one for keys in INDICES[name].values() for one in keys})
            extra["GlobalSecondaryIndexes"] = [
                {
                    "IndexName": index,
                    "KeySchema": [
                        {"AttributeName": one, "KeyType": role}
                        for one, role in zip(keys, ("HASH", "RANGE"), strict=True)
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
                for index, keys in INDICES[name].items()
            ]
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in attributes],
            BillingMode="PAY_PER_REQUEST",
            **extra,
        )


@contextmanager
def api() -> Iterator[InProcess]:
    """The API with two organisations, clinic-a (`client-a`) and clinic-b (`client-b`)."""
    settings = {
        **{f"{name}_table": name for name in TABLES},
        "audit_days": "2190",
        "secret_prefix": "pma-test/endpoint/",
        "provisioning_template": "pma-test-devices",
        "issuer": ISSUER,
        "user_pool": f"{REGION}_pool",
        "allow_insecure_endpoints": "no",
    }
    with mock_aws():
        sqs = boto3.client("sqs", region_name=REGION)
        settings["doorbell_queue"] = sqs.create_queue(QueueName="doorbell")["QueueUrl"]
        settings["backlog_queue"] = sqs.create_queue(QueueName="backlog")["QueueUrl"]
        for name in ("contacts_key", "archive_key"):
            settings[name] = boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["KeyId"]
        with environment({variable(name): value for name, value in settings.items()} | {"AWS_DEFAULT_REGION": REGION}):
            make_tables(aws_client("dynamodb"))
            registry = Registry(aws_client("dynamodb"), "registry")
            for letter in "ab":
                registry.put_organisation(
                    Organisation(
                        f"clinic-{letter}", f"Clinic {letter}", f"arn:topic-{letter}", datetime(2026, 1, 1, tzinfo=UTC)
                    )
                )
                registry.put_client(f"client-{letter}", f"clinic-{letter}")
            keys = FakeKeys([Answered(200, jwks(k1=KEY))])
            wiring.wired().tokens = Tokens(ISSUER, "https://keys", keys)  # type: ignore[arg-type]
            yield InProcess()


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Run with exactly these variables more, no endpoint of another cloud, and nothing kept from before."""
    before = {name: os.environ.get(name) for name in [*variables, "AWS_ENDPOINT_URL"]}
    os.environ.pop("AWS_ENDPOINT_URL", None)
    os.environ.update(variables)
    aws_client.cache_clear()
    wiring.wired.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        aws_client.cache_clear()
        wiring.wired.cache_clear()
