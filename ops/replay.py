"""`python -m ops replay --from quarantine|dead-letters|archive`: what would be done, and with --execute, doing it.

Nothing is done without --execute. It goes on where it was interrupted (the checkpoint file), at a rate that the chain
can take, and doing it twice changes nothing: every effect has a name of its own. The printed report says who did what.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from adapters.aws import client
from ops import dead_letters, quarantine, rebuild
from ops.steps import Checkpoint, Step, work_off


class Source(Protocol):
    """Where from: how much there is, and the steps that are left behind a place."""

    def survey(self) -> Mapping[str, int]: ...
    def steps(self, after: str | None) -> Iterator[Step]: ...


SOURCES: dict[str, Callable[[Namespace], Source]] = {
    "quarantine": quarantine.readings,
    "dead-letters": dead_letters.messages,
    "archive": rebuild.archive,
}
_SAYS_WHICH = ("stack", "organisation", "reason", "profile", "queue", "first", "last", "into")


def run(arguments: Namespace) -> dict[str, Any]:
    """The report. Raises OperatorError."""
    source = SOURCES[arguments.source](arguments)
    which = {"from": arguments.source} | {
        name: str(given) for name in _SAYS_WHICH if (given := getattr(arguments, name)) is not None
    }
    if not arguments.execute:
        found = source.survey()
        return which | {"executed": False, "would_do": dict(found), "total": sum(found.values())}
    started_at = datetime.now(UTC)
    checkpoint = Checkpoint(arguments.checkpoint, which)
    resumed = arguments.checkpoint.exists()
    with _progress(f"replay from {arguments.source}") as show:
        done = work_off(source.steps, checkpoint=checkpoint, rate=arguments.rate, show=show)
    report = which | {
        "executed": True,
        "by": client("sts").get_caller_identity()["Arn"],
        "started_at": started_at.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
        "resumed": resumed,
        "done": dict(done),
    }
    return report | {"comparison": source.compare()} if isinstance(source, rebuild.Rebuild) else report


@contextmanager
def _progress(what: str) -> Iterator[Callable[[Mapping[str, int]], None]]:
    """On the terminal, if there is one: standard output is the report's."""
    columns = (TextColumn("{task.description}"), TimeElapsedColumn(), TextColumn("{task.fields[done]}"))
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=None, done="")
        yield lambda done: shown.update(
            task, done=" · ".join(f"{name} {count:,}" for name, count in sorted(done.items()))
        )


def _positive(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 10_000:
        raise ArgumentTypeError("messages a second, above 0 and at most 10000")
    return rate


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("a day, as in 2026-11-22") from None


def add_parser(commands: Any) -> None:
    """`python -m ops replay …`"""
    parser: ArgumentParser = commands.add_parser("replay", help="what was set aside, failed, or was archived")
    parser.add_argument("--from", dest="source", required=True, choices=SOURCES)
    quarantine.whose(parser)
    parser.add_argument("--queue", help="dead letters of this queue only")
    parser.add_argument("--first", type=_day, help="archive: the first day")
    parser.add_argument("--last", type=_day, help="archive: the last day, included")
    parser.add_argument("--into", help="archive: what the names of the new tables begin with")
    parser.add_argument("--execute", action="store_true", help="do it (without: say what would be done)")
    parser.add_argument("--rate", type=_positive, default=50.0, help="messages a second (default: 50)")
    parser.add_argument(
        "--checkpoint", type=Path, default=Path("replay.checkpoint.json"), help="where it notes how far it came"
    )
    parser.set_defaults(run=run)
