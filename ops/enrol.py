"""A whole cohort over the API in one command: subjects, contacts, devices, assignments and care plans.

Every step may be done again (R85), and who is done stands in a file beside the cohort, so a command that was broken off
is simply given again.
"""

import json
import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ops.errors import OperatorError
from pma_client import Client, Consent, Contact, PmaClientError, Problem

AT_ONCE = 8
_TEMPLATE = Path("catalogue/programmes/hypertension.json")


class EnrolError(OperatorError):
    """The cohort cannot be read or the API not be reached; the text is one sentence that says what to do."""


@dataclass(frozen=True)
class Done:
    """Who was enrolled, one JSON object a line: written as they come, so nothing is lost when the command is."""

    path: Path
    lock: Lock

    def subjects(self) -> set[str]:
        """Those who need nothing more; who was refused is tried again."""
        if not self.path.exists():
            return set()
        lines = (json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines())
        return {line["subject"] for line in lines if line["refused"] is None}

    def note(self, subject: str, missing: Sequence[str], refused: str | None) -> None:
        line = json.dumps({"subject": subject, "missing": list(missing), "refused": refused}, ensure_ascii=False)
        with self.lock, self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def enrol(pma: Client, cohort: Sequence[Mapping[str, Any]], done: Done, console: Console) -> dict[str, Any]:
    """Enrol whoever of `cohort` is not done yet; how many were, how many the API refused, and in what time."""
    began = time.monotonic()
    before = done.subjects()
    rest = [one for one in cohort if one["subject"] not in before]
    bar = Progress(TextColumn("enrolling"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console)
    refused = 0
    with bar, ThreadPoolExecutor(AT_ONCE) as pool:
        task = bar.add_task("enrolling", total=len(rest))
        for fault in pool.map(partial(_one, pma, done), rest):
            refused += fault is not None
            bar.advance(task)
    return {
        "enrolled": len(rest) - refused,
        "done_before": len(cohort) - len(rest),
        "refused": refused,
        "seconds": round(time.monotonic() - began, 1),
        "result": str(done.path),
    }


def _one(pma: Client, done: Done, line: Mapping[str, Any]) -> str | None:
    """One subject with all that belongs to it; what the API refused, if it did."""
    subject = line["subject"]
    try:
        pma.put_subject(
            subject,
            programmes=line["programmes"],
            time_zone=line["time_zone"],
            language=line["language"],
            consent=Consent.model_validate(line["consent"]),
        )
        roles = {role: [Contact.model_validate(one) for one in among] for role, among in line["contacts"].items()}
        pma.put_contacts(subject, **roles)
        for device in line["devices"]:
            pma.put_device(device["serial"], profile=device["profile"], device_class=device["class"])
            pma.assign(device["serial"], subject, from_at=datetime.fromisoformat(device["from"]))
        if line["care_plan"] is not None:
            pma.put_care_plan(subject, line["care_plan"])
        missing = pma.subject(subject).missing
    except Problem as problem:
        done.note(subject, (), str(problem))
        return str(problem)
    done.note(subject, missing, None)
    return None


def read_cohort(path: Path) -> list[dict[str, Any]]:
    """The cohort of a file, one JSON object a line, as `example` makes them. Raises EnrolError naming the line."""
    needed = {"subject", "programmes", "time_zone", "language", "consent", "contacts", "devices", "care_plan"}
    cohort = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise EnrolError(f"The cohort cannot be read: {error}.") from None
    for number, line in enumerate(lines, start=1):
        try:
            one = dict(json.loads(line))
            absent = needed - set(one)
            Consent.model_validate(one.get("consent"))
        except (ValueError, TypeError, ValidationError):
            raise EnrolError(f"Line {number} of {path} is no subject: a JSON object with its consent.") from None
        if absent:
            raise EnrolError(f"Line {number} of {path} lacks {', '.join(sorted(absent))}.")
        cohort.append(one)
    return cohort


def example(count: int, now: datetime) -> Iterable[dict[str, Any]]:
    """So many subjects who are nobody, each with a cuff and the template's care plan."""
    since = (now - timedelta(days=1)).replace(microsecond=0).isoformat()
    template = json.loads(_TEMPLATE.read_text(encoding="utf-8"))
    plan = {part: template[part] for part in ("rules", "schedule", "escalation") if part in template}
    topic = [{"channel": "topic"}]
    for number in range(count):
        yield {
            "subject": f"S-{number:06X}",
            "programmes": ["hypertension"],
            "time_zone": "Europe/Samara",
            "language": "ru",
            "consent": {"given_at": since, "withdrawn_at": None},
            "contacts": {"patient": [{"channel": "sms", "address": f"+1500555{number:04d}"}], "doctor": topic},
            "devices": [{"serial": f"BP-E{number:05d}", "profile": "tonometer", "class": "medical", "from": since}],
            "care_plan": {"author": "doc-12", "effective_from": since, **plan},
        }


def add_parser(commands: Any) -> None:
    """`python -m ops enrol …`"""
    enrol: ArgumentParser = commands.add_parser("enrol", help="a whole cohort over the API; given again, it goes on")
    enrol.add_argument("cohort", type=Path, help="a file, one JSON object a subject and line")
    enrol.add_argument("--subjects", type=int, metavar="N", help="write N subjects who are nobody into that file first")
    enrol.add_argument("--local", metavar="ORGANISATION", help="at what `make up` left running (.local/stack.json)")
    enrol.add_argument("--api-url")
    enrol.add_argument("--token-url")
    enrol.add_argument("--client-id", help="its secret is read of PMA_CLIENT_SECRET")
    enrol.set_defaults(run=_enrol)


def _enrol(arguments: Namespace) -> dict[str, Any]:
    if arguments.subjects is not None and not arguments.cohort.exists():
        lines = (json.dumps(one, ensure_ascii=False) for one in example(arguments.subjects, datetime.now(UTC)))
        arguments.cohort.write_text("\n".join(lines) + "\n", encoding="utf-8")
    cohort = read_cohort(arguments.cohort)
    done = Done(arguments.cohort.with_suffix(".enrolled.jsonl"), Lock())
    try:
        with Client(*_access(arguments)) as pma:
            return enrol(pma, cohort, done, Console(stderr=True))
    except PmaClientError as error:
        raise EnrolError(f"The API cannot be used: {error}. Give the command again: it goes on.") from None


def _access(arguments: Namespace) -> tuple[str, str, str, str]:
    """API, token address, client and secret. Raises EnrolError saying which is absent."""
    if arguments.local is not None:
        try:
            stack = json.loads(Path(".local/stack.json").read_text(encoding="utf-8"))
            client = stack["organisations"][arguments.local]
        except (OSError, KeyError):
            raise EnrolError(f"No {arguments.local} is running here: `make up` starts clinic-a and clinic-b.") from None
        return stack["api_url"], stack["token_url"], client["client_id"], client["client_secret"]
    given = {name: getattr(arguments, name) for name in ("api_url", "token_url", "client_id")}
    given["PMA_CLIENT_SECRET"] = os.environ.get("PMA_CLIENT_SECRET")
    absent = [name.replace("_url", "-url").replace("client_id", "client-id") for name, one in given.items() if not one]
    if absent:
        raise EnrolError(f"Say where and as whom: --local, or {', '.join(absent)} as well.")
    return given["api_url"], given["token_url"], given["client_id"], given["PMA_CLIENT_SECRET"]
