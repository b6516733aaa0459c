"""Logs that cannot hold a patient (R88): a key that is not listed here does not pass, whoever adds it.

What a handler meets and cannot bear leaves it as the kind of error and the places in our code, without the words: the
runtime prints what it is given, and an error's words may hold whatever was sent.
"""

import re
from collections.abc import Mapping
from contextlib import ContextDecorator
from pathlib import Path
from traceback import extract_tb
from types import TracebackType
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

_THE_RUNTIMES = (
    "level location message timestamp service cold_start function_name function_memory_size function_arn "
    "function_request_id xray_trace_id sampling_rate exception_name"
)
_OURS = (
    "alert alert_version step claim message_id reason reasons method status defect defects failures skipped told "
    "counts count messages readings stored quarantined repeated handed_on failed unreadable changes rows "
    "lost_races attempts received disabled suspended postponed rung_again nothing_to_do no_endpoint lost_leases "
    "records jobs done begun looks found undeliverable fallbacks milliseconds "
)
ALLOWED = frozenset(re.findall(r"\w+", f"{_THE_RUNTIMES} {_OURS}"))
"""Ids of alerts, claims and messages are made by us or by AWS, and name nobody."""

_COUNTED = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_ROOT = f"{Path(__file__).parents[1]}/"
_FLOORS = ("adapters/", "domain/", "functions/")


class HandlerFailed(RuntimeError):
    """A handler met an error: its kind and where, nothing of what it said."""


class AllowedKeys(LambdaPowertoolsFormatter):
    """Lets pass the keys that are allowed, and of a mapping what is counted; `dropped` says that something did not."""

    def serialize(self, log: Any) -> str:
        passed = {name: _bare(value) for name, value in log.items() if name in ALLOWED}
        dropped = len(log) - len(passed) - sum(name in log for name in ("exception", "stack_trace"))
        return super().serialize(passed | ({"dropped": dropped} if dropped else {}))


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: count for key, count in value.items() if isinstance(count, int) and _COUNTED.fullmatch(str(key))}
    return value


def logger() -> Logger:
    """A function's one logger."""
    return Logger(logger_formatter=AllowedKeys())


class Silently(ContextDecorator):
    """`@Silently()` outermost on a handler. Raises HandlerFailed in the place of whatever the handler raises."""

    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, Exception):
            raise HandlerFailed(f"{kind.__name__} at {' '.join(places(trace))}") from None


def places(trace: TracebackType | None) -> list[str]:
    """Where in our code an error came by, outermost first."""
    frames = [f"{frame.filename.removeprefix(_ROOT)}:{frame.lineno}" for frame in extract_tb(trace)]
    return [frame for frame in frames if frame.startswith(_FLOORS)]
