"""The audit: has a link been changed or taken out?"""

import json
from argparse import ArgumentParser, Namespace
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from adapters.audit import Audit
from adapters.aws import client
from domain.audit import CHAINS, Link, broken
from ops.errors import OperatorError
from ops.stack import output


class AuditBroken(OperatorError):
    """A chain is not as it was written."""


def verify(audit: Audit, organisation: str, known: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """The heads of all chains of an organisation. Raises AuditBroken for a link that was changed or is missing.

    `known` are heads as an earlier verification gave them: what was cut off since at either end shows against them
    only. At the beginning that may be age: so each head says how many entries of each month stand behind it.
    """
    heads: dict[str, Any] = {}
    for chain in range(CHAINS):
        links = list(audit.chain(organisation, chain))
        before = known.get(str(chain), {})
        wrong = broken(links) or _cut_off(links, before, chain) or _gone(links, before, chain, now - audit.kept_for)
        if wrong is not None:
            raise AuditBroken(f"The audit of {organisation} is broken: {wrong}.")
        if links:
            heads[str(chain)] = {"number": links[-1].number, "hash": links[-1].hash, "months": _months(links)}
    return {"organisation": organisation, "heads": heads}


def _months(links: list[Link]) -> Counter[str]:
    return Counter(f"{one.entry.at.astimezone(UTC):%Y-%m}" for one in links)


def _cut_off(links: list[Link], known: dict[str, Any], chain: int) -> str | None:
    if "hash" not in known or any((one.number, one.hash) == (known["number"], known["hash"]) for one in links):
        return None
    return f"entry {known['number']} of chain {chain} was there, and is not there any more"


def _gone(links: list[Link], known: dict[str, Any], chain: int, since: datetime) -> str | None:
    """Of a month that is kept whole, all that was there is there: only what is older may have run out."""
    here = _months(links)
    for month, count in known.get("months", {}).items():
        if here[month] < count and datetime.fromisoformat(f"{month}-01T00:00:00+00:00") > since:
            return f"chain {chain} had {count} entries of {month}, and has {here[month]}"
    return None


def add_parser(commands: Any) -> None:
    """`python -m ops audit …`"""
    audit: ArgumentParser = commands.add_parser("audit", help="what was done over the API")
    of = audit.add_subparsers(required=True, metavar="command").add_parser(
        "verify", help="recompute every chain of an organisation; prints the heads, to be kept elsewhere"
    )
    of.add_argument("organisation")
    of.add_argument("--stack", required=True, help="the deployed stack, as in pma-dev")
    of.add_argument("--days", type=int, default=2190, help="how long the stage keeps entries (default: %(default)s)")
    of.add_argument("--against", type=Path, help="a file with what this command printed before")
    of.set_defaults(run=_verify)


def _verify(arguments: Namespace) -> dict[str, Any]:
    (table,) = output(arguments.stack, ["AuditTable"])
    known = json.loads(arguments.against.read_text(encoding="utf-8"))["heads"] if arguments.against else {}
    audit = Audit(client("dynamodb"), table, timedelta(days=arguments.days))
    return verify(audit, arguments.organisation, known, now=datetime.now(UTC))
