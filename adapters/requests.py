"""Table `idempotency`: what organisations asked of the API lately, kept for whoever repeats it, and how often.

| pk | sk | item |
|---|---|---|
| `{org}#{name of the key}` | `answer` | a write with an Idempotency-Key: in progress `until`, or its answer, sealed |
| `{org}` | `count` | how many requests came in the present window of ten seconds |

An answer may hold a secret that is shown once, and what a subject is in. It is sealed with a key that is made from the
caller's Idempotency-Key, of which the table holds a hash only: nobody but the caller can open it.
"""

import json
import math
import os
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import digest
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.dynamodb import AttributeValues, Item, decode_item, encode_item
from domain.errors import Fault, InvalidRequest, StillInProgress, TooManyRequests

KEPT = timedelta(days=30)
"""Longer than any dead letter waits to be redriven (14 days), so no repetition is taken for a new request (R29)."""

LONGEST_REQUEST = timedelta(seconds=30)
"""The function is stopped after 25 s: what is still in progress then was broken off, and may begin anew (R30)."""

WINDOW_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given: `etag` is empty where it had none."""

    status: int
    body: str
    etag: str


class Repetition:
    """One write with an Idempotency-Key: its place in the table, and what opens its answer."""

    def __init__(self, organisation: str, key: str, asked: bytes) -> None:
        self.organisation = organisation
        secret = sha256(b"pma idempotency\0" + organisation.encode() + b"\0" + key.encode()).digest()
        self.pk = f"{organisation}#{digest(secret, b'name', 'sha256').hex()}"
        self.fingerprint = digest(secret, b"asked\0" + asked, "sha256").hex()
        self._cipher = AESGCM(digest(secret, b"seal", "sha256"))

    @property
    def place(self) -> AttributeValues:
        return encode_item({"pk": self.pk, "sk": "answer"})

    def seal(self, kept: Kept) -> str:
        nonce = os.urandom(12)
        plain = json.dumps([kept.status, kept.body, kept.etag]).encode()
        return b64encode(nonce + self._cipher.encrypt(nonce, plain, self.pk.encode())).decode()

    def open(self, sealed: str) -> Kept:
        data = b64decode(sealed)
        return Kept(*json.loads(self._cipher.decrypt(data[:12], data[12:], self.pk.encode())))


@dataclass(frozen=True)
class Requests:
    """What the API keeps of its requests."""

    client: Any
    table: str

    def begin(self, one: Repetition, now: datetime) -> Kept | None:
        """The answer that this request got before; None when it is to be carried out now, which is noted.

        Raises InvalidRequest when its key was used for another request, StillInProgress.
        """
        item = {"fingerprint": one.fingerprint, "until": int((now + LONGEST_REQUEST).timestamp())}
        try:
            self.client.put_item(
                TableName=self.table,
                Item={**one.place, **encode_item({**item, "expires_at": _expiry(now)})},
                ConditionExpression="attribute_not_exists(pk) OR expires_at < :now"
                " OR (#until < :now AND fingerprint = :fingerprint)",
                ExpressionAttributeNames={"#until": "until"},
                ExpressionAttributeValues=encode_item({":now": int(now.timestamp()), ":fingerprint": one.fingerprint}),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            return _judged(one, decode_item(error.response["Item"]))
        return None

    def finish(self, one: Repetition, kept: Kept, now: datetime) -> None:
        """Keep the answer for KEPT; `until` is gone, so nobody begins anew."""
        item = {"fingerprint": one.fingerprint, "answer": one.seal(kept), "expires_at": _expiry(now)}
        self.client.put_item(TableName=self.table, Item={**one.place, **encode_item(item)})

    def forget(self, one: Repetition) -> None:
        """It was refused and changed nothing: it may come again, put right under the same key."""
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.delete_item(
                TableName=self.table, Key=one.place, ConditionExpression="attribute_not_exists(answer)"
            )

    def count(self, organisation: str, *, per_second: int, now: datetime) -> None:
        """Count a request of the organisation. Raises TooManyRequests when the window has all that it may.

        One conditional write, however many functions run at once; a second one for the first request of a window.
        """
        window = int(now.timestamp()) // WINDOW_SECONDS
        while (here := self._add(organisation, window, most=per_second * WINDOW_SECONDS)) is not None:
            if here >= window:
                ends = (here + 1) * WINDOW_SECONDS - now.timestamp()
                raise TooManyRequests(wait=math.ceil(ends))
            self._begin(organisation, here, window)

    def _add(self, organisation: str, window: int, *, most: int) -> int | None:
        """None when it was counted; else the window that is there: a past one, or the present one when it is full."""
        try:
            self.client.update_item(
                TableName=self.table,
                Key=_count_key(organisation),
                UpdateExpression="ADD #count :one",
                ConditionExpression="#window >= :window AND #count < :most",  # another's clock may be ahead of ours
                ExpressionAttributeNames={"#window": "window", "#count": "count"},
                ExpressionAttributeValues=encode_item({":one": 1, ":window": window, ":most": most}),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            return int(decode_item(error.response.get("Item", {})).get("window", 0))
        return None

    def _begin(self, organisation: str, before: int, window: int) -> None:
        """The next window with nothing in it, unless another begins it first."""
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.put_item(
                TableName=self.table,
                Item={**_count_key(organisation), **encode_item({"window": window, "count": 0})},
                ConditionExpression="attribute_not_exists(pk) OR #window = :before",
                ExpressionAttributeNames={"#window": "window"},
                ExpressionAttributeValues=encode_item({":before": before}),
            )


def _count_key(organisation: str) -> AttributeValues:
    return encode_item({"pk": organisation, "sk": "count"})


def _expiry(now: datetime) -> int:
    return int((now + KEPT).timestamp())


def _judged(one: Repetition, here: Item) -> Kept:
    if here["fingerprint"] != one.fingerprint:
        raise InvalidRequest(Fault("header:idempotency-key", "a new one for each request: it was used for another"))
    if "answer" not in here:
        raise StillInProgress("the same request is being carried out just now: try again in a moment")
    return one.open(here["answer"])
