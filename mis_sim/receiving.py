"""One delivery as it came over HTTP -> stored, known already, or refused with a reason."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from mis_sim.store import Delivery, Store

FORMAT = "application/fhir+json"


@dataclass(frozen=True)
class Answer:
    """What the sender is told: an HTTP status, and for people one sentence."""

    status: int
    detail: str


def receive(headers: Mapping[str, str], body: bytes, *, secrets: Iterable[str], store: Store) -> Answer:
    """Judge one delivery. `headers` have lower-case names; any of `secrets` may have signed.

    401 unsigned, wrongly signed or older than five minutes (so a copied request is worth nothing later) · 400 a header
    is missing or wrong · 415 another format · 422 the body is no FHIR R4 transaction that we can take · 200 stored, or
    stored before.
    """
    message_id = headers.get("webhook-id", "")
    answer = _judge(headers, body, secrets, store)
    if answer.status >= 300:
        store.note_problem(message_id, answer.status, answer.detail)
    return answer


def _judge(headers: Mapping[str, str], body: bytes, secrets: Iterable[str], store: Store) -> Answer:
    if not any(_signed(headers, body, secret) for secret in secrets):
        return Answer(401, "the signature or its time is wrong")
    if headers.get("content-type", "").partition(";")[0].strip() != FORMAT:
        return Answer(415, f"content-type is not {FORMAT}")
    delivery = _delivery(headers)
    if delivery is None:
        return Answer(400, "pma-endpoint, pma-shard, pma-sequence or pma-part is missing or wrong")
    if store.knows(delivery.id) and not delivery.replay:
        store.note_repeat(delivery.id)
        return Answer(200, "known already")
    try:
        # Decimal, because a float is not the number that was measured
        document = json.loads(body, parse_float=Decimal)
        Bundle.model_validate(document)
    except ValidationError as error:
        return Answer(422, f"this is no FHIR R4 bundle: {error.errors()[0]['loc']} {error.errors()[0]['type']}")
    except ValueError:
        return Answer(422, "this is no JSON")
    fault = _fault(document)
    if fault is not None:
        return Answer(422, fault)
    store.keep(delivery, [entry["resource"] for entry in document.get("entry", ())])
    return Answer(200, "stored")


def _signed(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # the library lets a header that it cannot split or decode through
        return False
    return True


def _delivery(headers: Mapping[str, str]) -> Delivery | None:
    try:
        part, parts = (int(number) for number in headers.get("pma-part", "1/1").split("/"))
        return Delivery(
            id=headers["webhook-id"],
            endpoint=headers["pma-endpoint"],
            lane=headers["pma-shard"],
            sequence=int(headers["pma-sequence"]),
            part=part,
            parts=parts,
            replay=headers.get("pma-replay") == "true",
        )
    except (KeyError, ValueError):
        return None


def _fault(bundle: dict[str, Any]) -> str | None:
    """What FHIR's grammar does not see: each resource is put once, under its own id, and nothing named is missing."""
    if bundle["type"] != "transaction":
        return "the bundle is no transaction"
    put: set[str] = set()
    named: set[str] = set()
    for entry in bundle.get("entry", ()):
        resource = entry["resource"]
        path = f"{resource['resourceType']}/{resource['id']}"
        if entry["request"] != {"method": "PUT", "url": path} or not entry["fullUrl"].endswith(f"/{path}"):
            return "an entry is not the PUT of its own resource"
        if not urlsplit(entry["fullUrl"]).scheme:
            return "a fullUrl is not absolute"
        if path in put:
            return "a resource is put twice"
        put.add(path)
        named |= set(_references(resource))
    if named - put:
        return "a resource that is referred to is not in the bundle"
    return None


def _references(node: Any) -> Iterable[str]:
    """Every literal reference below `node`; the patient is a token that only this MIS can resolve."""
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for part in node.values():
            yield from _references(part)
    elif isinstance(node, list):
        for part in node:
            yield from _references(part)
