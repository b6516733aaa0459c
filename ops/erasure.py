"""Erasures: after a restore, everybody who was ever erased is looked for once more."""

from argparse import ArgumentParser, Namespace
from typing import Any

from adapters.aws import client
from adapters.erasures import Tombstones
from ops.stack import output


def add_parser(commands: Any) -> None:
    """`python -m ops erasure …`"""
    erasure: ArgumentParser = commands.add_parser("erasure", help="who was erased, and stays erased")
    again = erasure.add_subparsers(required=True, metavar="command").add_parser(
        "again", help="after a restore, before anything reads: look everywhere for everybody who was ever erased"
    )
    again.add_argument("--stack", required=True, help="the deployed stack, as in pma-dev")
    again.set_defaults(run=_again)


def _again(arguments: Namespace) -> dict[str, Any]:
    (table,) = output(arguments.stack, ["ErasuresTable"])
    return {"asked": Tombstones(client("dynamodb"), table).ask_again()}
