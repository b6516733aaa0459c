"""`python -m ops quarantine list|count|replay`: also what nobody enrolled, which no organisation sees."""

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from adapters.aws import client
from adapters.inbox import Backlog
from adapters.quarantine import Quarantine
from domain.quarantine import NOBODY, REASONS, SetAside
from ops.errors import OperatorError
from ops.stack import output
from ops.steps import Step

_A_PAGE = 50


class NothingToReplay(OperatorError):
    """There is no such row, or it kept nothing."""


@dataclass(frozen=True)
class SetAsideReadings:
    """What is set aside of an organisation (NOBODY: of none), for a reason and of a model if these are given."""

    quarantine: Quarantine
    backlog: Backlog
    organisation: str
    reason: str | None = None
    profile: str | None = None

    def survey(self) -> Counter[str]:
        """How many would be tried again, by reason; `kept-nothing` are those that cannot."""
        counted: Counter[str] = Counter()
        for _, page in self.pages(None):
            counted.update(one.reason if one.payload is not None else "kept-nothing" for one in page)
        return counted

    def steps(self, after: str | None) -> Iterator[Step]:
        """Page by page, the newest first; to do one twice changes nothing."""
        for cursor, page in self.pages(after):
            kept = [one for one in page if one.payload is not None]
            yield Step(cursor, len(kept), partial(self._hand_on, kept))

    def _hand_on(self, ones: list[SetAside]) -> Counter[str]:
        self.backlog.replay(ones)
        return Counter(one.reason for one in ones)

    def pages(self, cursor: str | None) -> Iterator[tuple[str, list[SetAside]]]:
        """Each with the cursor that is behind it."""
        while True:
            page = self.quarantine.newest(
                self.organisation, reason=self.reason, profile=self.profile, cursor=cursor, limit=_A_PAGE
            )
            yield page.next or "", page.items
            if page.next is None:
                return
            cursor = page.next


def readings(arguments: Namespace) -> SetAsideReadings:
    """Of the stack that the arguments name. Raises StackError."""
    table, queue = output(arguments.stack, ["QuarantineTable", "BacklogQueueUrl"])
    return SetAsideReadings(
        Quarantine(client("dynamodb"), table),
        Backlog(client("sqs"), queue),
        arguments.organisation or NOBODY,
        arguments.reason,
        arguments.profile,
    )


def shown(one: SetAside) -> dict[str, Any]:
    """A row without its payload, which is a patient's."""
    return {
        "id": one.id,
        "reason": one.reason,
        "detail": one.detail,
        "thing": one.thing,
        "device": one.device,
        "profile": one.profile,
        "topic": one.topic,
        "received_at": one.received_at.isoformat(),
        "bytes": None if one.payload is None else len(one.payload),
    }


def _list(arguments: Namespace) -> list[dict[str, Any]]:
    found = (one for _, page in readings(arguments).pages(None) for one in page)
    return [shown(one) for one in islice(found, arguments.limit)]


def _count(arguments: Namespace) -> list[dict[str, Any]]:
    here = readings(arguments)
    since = datetime.now(UTC) - timedelta(days=arguments.days)
    counted = Counter(here.quarantine.counts(here.organisation, since=since)).most_common()
    return [{"profile": profile, "reason": reason, "count": count} for (profile, reason), count in counted]


def _replay(arguments: Namespace) -> dict[str, str]:
    here = readings(arguments)
    found = here.quarantine.get(here.organisation, arguments.id)
    if found is None:
        raise NothingToReplay(f"Nothing with the id {arguments.id} is set aside there: list shows what is.")
    if found.payload is None:
        raise NothingToReplay("Without consent nothing was kept that could be tried again.")
    here.backlog.replay([found])
    return {"id": found.id, "handed_on_to": "the second inbox"}


def whose(parser: ArgumentParser, *, filters: bool = True) -> None:
    """The arguments that say which part of a stack's quarantine is meant."""
    parser.add_argument("--stack", required=True, help="the deployed stack, as in pma-dev")
    parser.add_argument("--organisation", help="whose; without it, what nobody enrolled")
    parser.set_defaults(reason=None, profile=None)
    if filters:
        parser.add_argument("--reason", choices=REASONS, help="only what was set aside for this reason")
        parser.add_argument("--profile", help="only of this model of device")


def add_parser(commands: Any) -> None:
    """`python -m ops quarantine …`"""
    parser: ArgumentParser = commands.add_parser("quarantine", help="readings that were set aside")
    verbs = parser.add_subparsers(required=True, metavar="what")
    listing: ArgumentParser = verbs.add_parser("list", help="the newest first, without their payloads")
    whose(listing)
    listing.add_argument("--limit", type=int, default=100)
    listing.set_defaults(run=_list)
    counting: ArgumentParser = verbs.add_parser("count", help="per model and reason: a broken model shows")
    whose(counting, filters=False)
    counting.add_argument("--days", type=int, default=90, help="of what arrived in so many days (default: all)")
    counting.set_defaults(run=_count)
    replaying: ArgumentParser = verbs.add_parser("replay", help="have one judged again, with its own times")
    replaying.add_argument("id")
    whose(replaying, filters=False)
    replaying.set_defaults(run=_replay)
