"""AWS without a network: botocore signs and serialises as ever, then finds the answer ready. Calls are counted."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import botocore.awsrequest

_TARGET = "X-Amz-Target"


class Raw:
    """What botocore reads of an HTTP response."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._body


class Cloud:
    """Answers every call of the clients it is given to; `answers` says what, by operation name."""

    def __init__(self, answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> None:
        self.calls: Counter[str] = Counter()
        self._answers = answers
        self._ready: dict[tuple[str, bytes], bytes] = {}  # a round asks the same again: our own JSON is not measured

    def attach(self, client: Any) -> Any:
        """Route `client` (low-level) through this cloud; returns it."""
        client.meta.events.register("before-send", self._answer)
        return client

    def _answer(self, request: Any, **_: object) -> Any:
        target = request.headers.get(_TARGET, b"")
        operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        self.calls[operation] += 1
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        answer = self._ready.get((operation, body))
        if answer is None:
            answer = json.dumps(self._answers[operation](json.loads(body or b"{}"))).encode()
            self._ready[operation, body] = answer
        headers: Any = botocore.awsrequest.HeadersDict({"content-type": "application/x-amz-json-1.0"})
        return botocore.awsrequest.AWSResponse(request.url, 200, headers, Raw(answer))
