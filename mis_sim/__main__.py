"""`python -m mis_sim serve | list`: run the reference MIS, or show what it has received."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mis_sim.server import start
from mis_sim.store import Store


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> int:
    """Returns the exit code: 0 done, 1 a mistake that one sentence on stderr names."""
    options = _parser().parse_args(arguments)
    out = console or Console()
    return _serve(options, out) if options.command == "serve" else _list(options, out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mis_sim", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="receive deliveries on loopback until Ctrl-C")
    serve.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    serve.add_argument(
        "--secret", action="append", required=True, help="whsec_… as shown when the endpoint was put; may be repeated"
    )
    serve.add_argument("--database", type=Path, required=True, help="SQLite file; made when it is not there")
    show = commands.add_parser("list", help="show what has been received")
    show.add_argument("--database", type=Path, required=True)
    show.add_argument("--limit", type=int, default=20, help="rows of a table, the newest (default 20)")
    return parser


def _serve(options: argparse.Namespace, out: Console) -> int:
    try:
        mis = start(secrets=options.secret, database=options.database, port=options.port)
    except OSError as error:
        return _mistake(f"port {options.port} cannot be used ({error.strerror}): choose another, or 0 for a free one")
    with mis:
        out.print(f"receiving at {mis.url}", highlight=False)
        try:
            mis.wait()
        except KeyboardInterrupt:
            out.print(mis.counts())
    return 0


def _list(options: argparse.Namespace, out: Console) -> int:
    if not options.database.is_file():
        return _mistake(f"{options.database} is not there: give the file that `serve` was given")
    store = Store(options.database)
    for table in _tables(store, options.limit):
        out.print(table)
    store.close()
    return 0


def _mistake(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


def _tables(store: Store, limit: int) -> Iterator[Table]:
    yield _table("Counts", ("what", "number"), store.counts().items())
    yield _table(
        "Lanes",
        ("endpoint", "lane", "last", "deliveries", "missing"),
        [
            (one.endpoint, one.lane, one.last, one.deliveries, ", ".join(map(str, one.missing)) or "none")
            for one in store.lanes()
        ],
    )
    yield _table(
        "Observations",
        ("subject", "what", "value", "status", "measured", "device", "tags"),
        [_observation(one) for one in store.resources("Observation")[-limit:]],
    )
    yield _table(
        "Flags",
        ("subject", "rule", "status", "priority", "from", "to"),
        [_flag(one) for one in store.resources("Flag")[-limit:]],
    )
    yield _table("Problems", ("webhook id", "status", "what", "at"), store.problems()[-limit:])


def _table(title: str, columns: Sequence[str], rows: Any) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(str, row))
    return table


def _observation(one: dict[str, Any]) -> tuple[str, ...]:
    quantities = [part["valueQuantity"] for part in one.get("component", [one]) if "valueQuantity" in part]
    return (
        one["subject"]["identifier"]["value"],
        one["code"]["coding"][0]["display"],
        " / ".join(f"{quantity['value']} {quantity['unit']}" for quantity in quantities),
        one["status"],
        one.get("effectiveDateTime") or " to ".join(one["effectivePeriod"].values()),
        one.get("device", {}).get("reference", ""),
        ", ".join(tag["code"] for tag in one.get("meta", {}).get("tag", ())),
    )


def _flag(one: dict[str, Any]) -> tuple[str, ...]:
    priorities = [
        extension["valueCodeableConcept"]["coding"][0]["display"]
        for extension in one["extension"]
        if extension["url"].endswith("/flag-priority")
    ]
    return (
        one["subject"]["identifier"]["value"],
        one["code"]["coding"][0]["code"],
        one["status"],
        *priorities,
        one["period"]["start"],
        one["period"].get("end", ""),
    )


if __name__ == "__main__":
    sys.exit(main())
