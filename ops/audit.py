"""The audit: has a link been changed or taken out?"""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from adapters.audit import Audit
from adapters.aws import client
from domain.audit import CHAINS, Link, broken
from ops.errors import OperatorError
from ops.stack import output


class AuditBroken(OperatorError):
    """A chain is not as it was written."""


def verify(audit: Audit, organisation: str, known: dict[str, Any]) -> dict[str, Any]:
    """The heads of all chains of an organisation. Raises AuditBroken for a link that was changed or is missing.

    `known` are heads as an earlier verification gave them: what was cut off since at the end shows against them only.
    """
    heads: dict[str, Any] = {}
    for chain in range(CHAINS):
        links = list(audit.chain(organisation, chain))
        wrong = broken(links) or _cut_off(links, known.get(str(chain)), chain)
        if wrong is not None:
            raise AuditBroken(f"The audit of {organisation} is broken: {wrong}.")
        if links:
            heads[str(chain)] = {"number": links[-1].number, "hash": links[-1].hash}
    return {"organisation": organisation, "heads": heads}


def _cut_off(links: list[Link], known: dict[str, Any] | None, chain: int) -> str | None:
    if known is None or any((one.number, one.hash) == (known["number"], known["hash"]) for one in links):
        return None
    return f"entry {known['number']} of chain {chain} was there, and is not there any more"


def add_parser(commands: Any) -> None:
    """`python -m ops audit …`"""
    audit: ArgumentParser = commands.add_parser("audit", help="what was done over the API")
    of = audit.add_subparsers(required=True, metavar="command").add_parser(
        "verify", help="recompute every chain of an organisation; prints the heads, to be kept elsewhere"
    )
    of.add_argument("organisation")
    of.add_argument("--stack", required=True, help="the deployed stack, as in pma-dev")
    of.add_argument("--against", type=Path, help="a file with what this command printed before")
    of.set_defaults(run=_verify)


def _verify(arguments: Namespace) -> dict[str, Any]:
    (table,) = output(arguments.stack, ["AuditTable"])
    known = json.loads(arguments.against.read_text(encoding="utf-8"))["heads"] if arguments.against else {}
    return verify(Audit(client("dynamodb"), table), arguments.organisation, known)
