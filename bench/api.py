"""The API's handler over a stubbed cloud: the CPU of a request, warm, with its token, its count and its audit."""

import gc
import json
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

os.environ |= dict.fromkeys(
    [
        *("PMA_CONTACTS_TABLE", "PMA_CONTACTS_KEY", "PMA_ERASURES_TABLE", "PMA_AUDIT_TABLE", "PMA_DELIVERIES_TABLE"),
        *("PMA_IDEMPOTENCY_TABLE", "PMA_DOORBELL_QUEUE", "PMA_SECRET_PREFIX", "PMA_PROVISIONING_TEMPLATE"),
        "PMA_ISSUER",
    ],
    "bench",
)
os.environ |= {
    "PMA_AUDIT_DAYS": "2200",
    "PMA_USER_POOL": "eu-central-1_bench",
    "PMA_ALLOW_INSECURE_ENDPOINTS": "no",
}

from adapters import aws
from adapters.dynamodb import encode_item
from adapters.registry import client_key, from_organisation
from bench import cases
from bench.stages import Context
from bench.stub import Cloud
from domain.enrolment import Organisation
from functions.registry import handler
from functions.registry.wiring import clock, wired

REQUESTS = 400
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_CLIENT = "client-a"


def request_ms() -> float:
    """The median of CPU milliseconds of a request, over reads and writes in turn."""
    with _deployed():
        token = _token()
        asked = [_event(*one, token) for one in _MIX]
        spent = []
        for number in range(REQUESTS + len(asked)):
            event = json.loads(asked[number % len(asked)])
            gc.disable()
            began = time.process_time_ns()
            answer = handler.handle(event, Context())  # type: ignore[arg-type]
            spent.append((time.process_time_ns() - began) / 1_000_000)
            gc.enable()
            if answer["statusCode"] >= 300:
                raise RuntimeError(
                    f"a request of the bench was refused ({answer['statusCode']}): it would mean nothing"
                )
        return statistics.median(spent[len(asked) :])


_SUBJECT = {
    "programmes": ["hypertension"],
    "time_zone": "Europe/Samara",
    "language": "ru",
    "consent": {"given_at": cases.ENROLLED_AT.isoformat(), "withdrawn_at": None},
}
_MIX: list[tuple[str, str, Any]] = [
    ("GET", "/v1/subjects/S-0001", None),
    ("PUT", "/v1/subjects/S-0002", _SUBJECT | {"language": "en"}),
    ("GET", "/v1/devices/BP-00003", None),
    ("PUT", "/v1/devices/BP-00004", {"profile": "tonometer", "class": "medical", "lot": "L8"}),
    ("GET", "/v1/subjects/S-0005/observations", None),
]


def _event(method: str, path: str, body: Any, token: str) -> str:
    return json.dumps(
        {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"authorization": f"Bearer {token}", "content-type": "application/json"},
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default", "requestId": "r"},
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
    )


def _token() -> str:
    facts = {"iss": "bench", "client_id": _CLIENT, "token_use": "access", "scope": "pma/enrol pma/read"}
    return jwt.encode(facts | {"exp": int(time.time()) + 3600}, _KEY, algorithm="RS256", headers={"kid": "k"})


def _cloud() -> Cloud:
    rows = {(row["pk"], row["sk"]): encode_item(row) for row in cases.enrolled(10)}
    pk, sk = client_key(_CLIENT)
    rows[pk, sk] = encode_item({"pk": pk, "sk": sk, "organisation": cases.ORGANISATION})
    organisation = from_organisation(Organisation(cases.ORGANISATION, "Bench", "arn:topic", cases.NOW))
    rows[organisation["pk"], organisation["sk"]] = encode_item(organisation)

    def batch_get(request: dict[str, Any]) -> dict[str, Any]:
        return {
            "Responses": {
                table: [found for key in wanted["Keys"] if (found := rows.get((key["pk"]["S"], key["sk"]["S"])))]
                for table, wanted in request["RequestItems"].items()
            },
            "UnprocessedKeys": {},
        }

    def get(request: dict[str, Any]) -> dict[str, Any]:
        found = rows.get((request["Key"]["pk"]["S"], request["Key"]["sk"]["S"]))
        return {} if found is None else {"Item": found}

    nothing: dict[str, Any] = {name: {} for name in ("PutItem", "UpdateItem", "TransactWriteItems")}
    return Cloud({"BatchGetItem": batch_get, "GetItem": get, "Query": {"Items": [], "Count": 0}, **nothing})


@contextmanager
def _deployed() -> Iterator[None]:
    """The handler over the stub, with the pool's key at hand, and its log lines written and not shown."""
    aws.client.cache_clear()
    wired.cache_clear()
    cloud = _cloud()
    for service in ("dynamodb", "kms"):
        cloud.attach(aws.client(service))
    tokens = wired().tokens
    tokens._keys, tokens._asked_at = {"k": _KEY.public_key()}, clock()
    handler.logger.registered_handler.setStream(StringIO())  # type: ignore[attr-defined]
    try:
        yield
    finally:
        aws.client.cache_clear()
        wired.cache_clear()
