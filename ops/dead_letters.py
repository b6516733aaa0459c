"""Dead letters go back to where they came from; what the topic rule could not send goes to the inbox."""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from adapters.aws import client
from adapters.dead_letters import DeadLetters, Letters
from ops.stack import output, queues
from ops.steps import Step


@dataclass(frozen=True)
class DeadMessages:
    """All of a stack, or those of one queue. The queues themselves are how far it came."""

    adapter: DeadLetters
    letters: tuple[Letters, ...]

    def survey(self) -> Counter[str]:
        """About how many there are in each queue that has some."""
        return +Counter({one.name: self.adapter.count(one) for one in self.letters})

    def steps(self, after: str | None) -> Iterator[Step]:
        """As many in all as there were at the beginning: what fails again at once is not sent round and round."""
        for one in self.letters:
            left = self.adapter.count(one)
            while left > 0:
                gone: list[int] = []
                yield Step(one.name, 10, partial(self._send_back, one, gone))
                left = left - gone[0] if gone and gone[0] else 0

    def _send_back(self, letters: Letters, gone: list[int]) -> Counter[str]:
        gone.append(self.adapter.send_back(letters))
        return +Counter({letters.name: gone[0]})


def messages(arguments: Namespace) -> DeadMessages:
    """Of the stack that the arguments name. Raises StackError."""
    inbox, errors = output(arguments.stack, ["InboxQueueUrl", "ErrorQueueUrl"])
    adapter = DeadLetters(client("sqs"))
    found = [*adapter.pairs(queues(arguments.stack)), Letters(errors, inbox, errors=True)]
    return DeadMessages(adapter, tuple(one for one in found if arguments.queue in (None, one.name)))
