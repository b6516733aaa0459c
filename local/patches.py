"""What MiniStack 1.5.33 does differently from AWS where our chain would notice, put right in the emulator's process.

Each patch names the failure it answers. `tests/local/test_patches.py` plays the same scenario on a patched and on a
bare emulator: it fails without the patch, and it says when a newer MiniStack no longer needs one.
"""

import asyncio
import hashlib
import inspect
import json
import ssl
import tempfile
import textwrap
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from ministack import app
from ministack.core import iam_actions, lambda_runtime
from ministack.core.arn import parse_arn
from ministack.core.responses import request_scope
from ministack.services import dynamodb, iot, lambda_svc

Record = dict[str, Any]
Mapping = dict[str, Any]


class PatchDoesNotFit(RuntimeError):
    """MiniStack's source is no longer what a patch was written for."""


@dataclass(frozen=True)
class Patch:
    """`reason` is the failure that it answers; `apply` puts it into this process."""

    name: str
    reason: str
    apply: Callable[[], None]


PATCHES: dict[str, Patch] = {}


def _patch(name: str, reason: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def add(apply: Callable[[], None]) -> Callable[[], None]:
        PATCHES[name] = Patch(name, reason, apply)
        return apply

    return add


def _rewrite(module: ModuleType, function: str, old: str, new: str) -> None:
    """Replace one expression of a MiniStack function by another.

    Raises PatchDoesNotFit unless `old` stands there exactly once.
    """
    source = textwrap.dedent(inspect.getsource(getattr(module, function)))
    if source.count(old) != 1:
        raise PatchDoesNotFit(f"{module.__name__}.{function} has no single {old!r}: see if the patch is still needed")
    code = compile(source.replace(old, new), f"<{module.__name__}, patched>", "exec")
    exec(code, module.__dict__)  # noqa: S102 - the text is MiniStack's own


@_patch(
    "certificate",
    "the broker lets a client without a certificate in, so 'refused without a certificate' could not be shown",
)
def _require_a_certificate() -> None:
    build: Callable[[], ssl.SSLContext] = iot._mtls_build_ssl_context

    def required() -> ssl.SSLContext:
        context = build()
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    iot._mtls_build_ssl_context = required


@_patch("loopback", "the broker listens on 0.0.0.0: whoever shares the network could reach the developer's machine")
def _bind_the_broker_to_loopback() -> None:
    _rewrite(iot, "_mtls_start_locked", 'host="0.0.0.0"', 'host="127.0.0.1"')


@_patch("silence", "a handler that logs nothing pays a wait of 50 ms at each invocation, and p50 with it")
def _do_not_wait_for_silent_handlers() -> None:
    # first line, idle, cap: a line takes under 1 ms to arrive; what comes later is read at the next invocation
    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (0.005, 0.005, 0.250)


@_patch("unpacking", "every cold start unpacks the layer anew: half a second of CPU and a thousand files of its own")
def _unpack_an_archive_once() -> None:
    lambda_runtime.zipfile = SimpleNamespace(**vars(zipfile) | {"ZipFile": _UnpackedOnce})


class _UnpackedOnce(zipfile.ZipFile):
    """An archive whose files are unpacked by whoever needs them first, and linked to from then on."""

    _unpacking = threading.Lock()

    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
        unpacked = Path(tempfile.gettempdir(), "unpacked", digest)
        with self._unpacking:
            if not unpacked.exists():
                super().extractall(unpacked, members, pwd)
        for entry in unpacked.iterdir():
            Path(path, entry.name).symlink_to(entry)


@_patch("rights", "a batch call asks for a right that AWS does not know: there sqs:SendMessage covers SendMessageBatch")
def _ask_for_the_right_of_the_single_call() -> None:
    action_of: Callable[..., str | None] = iam_actions.extract_iam_action

    def single(*request: Any) -> str | None:
        action = action_of(*request)
        return None if action is None else _BATCHES.get(action, action)

    iam_actions.extract_iam_action = single


_BATCHES = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sns:PublishBatch": "sns:Publish",
}


@_patch(
    "revocation",
    "a session goes on by a certificate that is no longer active; AWS ends it, and 'revoked' could not be shown",
)
def _end_sessions_with_their_certificate() -> None:
    handle: Callable[..., tuple[Any, ...]] = iot._handle_certificate

    def and_end(method: str, path: str, body: bytes, query: Any) -> tuple[Any, ...]:
        answer = handle(method, path, body, query)
        certificate = path.rpartition("/")[2]
        if method == "PUT" and iot._certificates.get(certificate, {}).get("status") != "ACTIVE":
            for session in list(iot._connected_clients.values()):
                if session.certificate_id == certificate:
                    _ending.add(task := asyncio.ensure_future(_end(session)))
                    task.add_done_callback(_ending.discard)
        return answer

    iot._handle_certificate = and_end


_ending: set["asyncio.Future[None]"] = set()


async def _end(session: Any) -> None:
    session._forced_disconnect_reason = "AUTH_ERROR"
    if session.protocol_version == iot.MQTT_5:  # older clients are told nothing, they see the close
        await session.send_bytes(iot._make_disconnect(iot.RC5_NOT_AUTHORIZED))
    await session._send({"type": "websocket.close", "code": 1000})


@_patch(
    "no-body", "an API answer without a body (204, as Powertools makes it) breaks the connection; AWS sends it empty"
)
def _send_an_empty_body() -> None:
    send: Callable[..., Any] = app._send_response

    async def with_a_body(sender: Any, status: int, headers: Any, body: Any, **more: Any) -> Any:
        return await send(sender, status, headers, b"" if body is None else body, **more)

    app._send_response = with_a_body


@_patch(
    "streams",
    "a stream mapping runs in the only poll thread (a slow handler delays every queue), repeats a poison record for "
    "ever, and knows no partial failures, retries, bisection or window",
)
def _poll_each_stream_mapping_by_itself() -> None:
    lambda_svc._poll_dynamodb_streams = _poll_streams


def _poll_streams() -> bool:
    """Start a reader for each stream mapping that has something to read and none at work; True if any was started."""
    started = False
    for account, region, mapping in lambda_svc._iter_all_esms():
        with request_scope(account, region):
            if not lambda_svc._esm_inflight.get(mapping["UUID"]) and _unread(mapping):
                lambda_svc._dispatch_esm_batch(mapping["UUID"], _read_stream, mapping)
                started = True
    return started


def _table(mapping: Mapping) -> str | None:
    """The table whose stream the mapping reads, if it is one and still the table's stream."""
    arn = mapping.get("EventSourceArn", "")
    if ":dynamodb:" not in arn:
        return None
    name, _ = lambda_svc._dynamodb_stream_table_from_arn_spec(parse_arn(arn)) or (None, None)
    table = dynamodb._tables.get(name)
    return name if table and table.get("LatestStreamArn") == arn else None


def _unread(mapping: Mapping) -> list[Record]:
    """The records that the mapping has not got past, a batch of them at most."""
    table = _table(mapping)
    live = lambda_svc._esms.get(mapping["UUID"]) is mapping and mapping.get("Enabled", True)
    if table is None or not live:
        return []
    records: list[Record] = dynamodb.stream_records_since(table, _position(mapping), int(mapping.get("BatchSize", 100)))
    return records


def _position(mapping: Mapping) -> int:
    # the mapping's starting position was set when it was made (lambda_svc._init_stream_position)
    with lambda_svc._dynamodb_stream_positions_lock:
        return int(lambda_svc._dynamodb_stream_positions.setdefault(mapping["UUID"], 0))


def _advance(mapping: Mapping, records: int) -> None:
    start = _position(mapping)
    with lambda_svc._dynamodb_stream_positions_lock:
        lambda_svc._dynamodb_stream_positions[mapping["UUID"]] = start + records


def _read_stream(mapping: Mapping) -> None:
    """Hand over batch after batch until there is no more, as AWS does for one shard.

    A batch that failed is halved (BisectBatchOnFunctionError) or tried again (MaximumRetryAttempts, -1 without end)
    and then sent to the failure destination; a partial failure goes on from the first record that failed.
    """
    limit: int | None = None
    attempts = 0
    for batch in _batches(mapping):
        records = batch[:limit]
        function, _ = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
        if function is None:
            return
        wanted = lambda_svc._apply_filter_criteria(records, mapping)
        result = lambda_svc._execute_function(function, {"Records": wanted}) if wanted else {}
        if result.get("log"):
            lambda_svc.logger.info("stream: %s said:\n%s", mapping["FunctionName"], result["log"])
        done = _done(records, result, mapping)
        if done == len(records):
            _advance(mapping, done)
            limit, attempts = None, 0
            continue
        lambda_svc.logger.warning(
            "stream: %s did %d of %d: %s", mapping["FunctionName"], done, len(records), result.get("body")
        )
        _advance(mapping, done)
        rest = records[done:]
        most = int(mapping.get("MaximumRetryAttempts", -1))
        if mapping.get("BisectBatchOnFunctionError") and done == 0 and len(rest) > 1 and result.get("error"):
            limit = len(rest) // 2
            continue
        if attempts == most or _too_old(rest[0], mapping):
            why = "RetryAttemptsExhausted" if attempts == most else "MaxRecordAgeExceeded"
            lambda_svc._send_ddb_stream_failure_record(mapping, function, rest, mapping["EventSourceArn"], result, why)
            _advance(mapping, len(rest))
            limit, attempts = None, 0
            continue
        limit, attempts = len(rest), attempts + 1
        time.sleep(lambda_svc._ESM_BACKOFF_SECONDS)


def _batches(mapping: Mapping) -> Iterator[list[Record]]:
    while batch := _unread(mapping):
        until = time.time() + int(mapping.get("MaximumBatchingWindowInSeconds", 0))
        while len(batch) < int(mapping.get("BatchSize", 100)) and time.time() < until:
            time.sleep(0.02)
            batch = _unread(mapping)
        if batch:
            yield batch


def _done(records: list[Record], result: dict[str, Any], mapping: Mapping) -> int:
    """How many records from the first on the function is through with."""
    if result.get("error"):
        return 0
    body = result.get("body")
    if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []) or not body:
        return len(records)
    answer = json.loads(body) if isinstance(body, str | bytes) else body
    failed = {failure.get("itemIdentifier") for failure in (answer or {}).get("batchItemFailures") or []}
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    if not failed <= set(numbers):
        return 0  # as on AWS: an identifier that it does not know fails the whole batch
    return min((numbers.index(number) for number in failed), default=len(records))


def _too_old(record: Record, mapping: Mapping) -> bool:
    oldest = int(mapping.get("MaximumRecordAgeInSeconds") or -1)
    created = float(record["dynamodb"].get("ApproximateCreationDateTime", time.time()))
    return oldest > 0 and time.time() - created > oldest


def apply() -> None:
    """Put all patches into this process, before the server starts.

    Raises PatchDoesNotFit when MiniStack is not the one that they were written for.
    """
    for patch in PATCHES.values():
        patch.apply()
