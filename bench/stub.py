"""AWS without a network: botocore signs and serialises as ever, then finds the answer ready. Calls are counted."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import boto3
import botocore.awsrequest

_TARGET = "X-Amz-Target"


class Raw:
    """What botocore reads of an HTTP response."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._body


Answer: TypeAlias = dict[str, Any] | Callable[[dict[str, Any]], dict[str, Any]]


class Cloud:
    """Answers every call of the clients it is given to; `answers` says what, by operation name: the same to every
    request, or what a request asks for."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.calls: Counter[str] = Counter()
        # a round asks the same again, and what is said to all is ready: our own JSON is not measured
        self._said: dict[str, bytes] = {}
        self._told: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        for operation, answer in answers.items():
            if callable(answer):
                self._told[operation] = answer
            else:
                self._said[operation] = json.dumps(answer).encode()
        self._ready: dict[tuple[str, bytes], bytes] = {}

    def attach(self, of: Any) -> None:
        """Route a low-level client, or whatever a boto3 session makes from now on, through this cloud."""
        events = of.events if isinstance(of, boto3.Session) else of.meta.events
        events.register("before-send", self._answer)

    def _answer(self, request: Any, **_: object) -> Any:
        target = request.headers.get(_TARGET, b"")
        operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        self.calls[operation] += 1
        answer = self._said.get(operation) or self._asked(operation, request.body)
        headers: Any = botocore.awsrequest.HeadersDict({"content-type": "application/x-amz-json-1.0"})
        return botocore.awsrequest.AWSResponse(request.url, 200, headers, Raw(answer))

    def _asked(self, operation: str, given: bytes | str | None) -> bytes:
        body = given if isinstance(given, bytes) else (given or "").encode()
        answer = self._ready.get((operation, body))
        if answer is None:
            answer = self._ready[operation, body] = json.dumps(self._told[operation](json.loads(body))).encode()
        return answer
