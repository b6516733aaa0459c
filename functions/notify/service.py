"""A notice to people: each role by each of its contacts, each once; nobody reachable is somebody else told."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from domain.enrolment import Organisation, Subject
from domain.errors import PmaError
from domain.notification import Contact, Contacts, Messages, Notice, Standing, Undeliverable, Words, words_for

FALLBACK_ROLE = "duty"
"""Who is told, on the organisation's topic, when a role has no contact that can be reached (R54, R67)."""

_TOPIC = Contact("topic")


class NobodyTold(PmaError):
    """No contact could be reached, not even the organisation's topic: to be tried again, then a dead letter."""


class Outbox(Protocol):
    def standing(self, notice: Notice) -> Standing: ...
    def mark(self, notice: Notice, told: Collection[str], at: datetime) -> None: ...


class Vault(Protocol):
    def open(self, organisation: str, subject: str) -> Contacts: ...


class Notifier(Protocol):
    """Raises Undeliverable when trying again would be in vain, anything else when it would not."""

    def publish(self, words: Words, contact: Contact) -> None: ...


@dataclass(slots=True)
class Outcome:
    """`told` counts publications by role; `skipped` says why there were none at all."""

    told: Counter[str] = field(default_factory=Counter)
    undeliverable: int = 0
    fallbacks: int = 0
    skipped: str | None = None


def notify(
    notice: Notice, *, outbox: Outbox, vault: Vault, notifier: Notifier, messages: Messages, now: datetime
) -> Outcome:
    """Tell everybody whom `notice` names who has not been told of it yet.

    What was told is marked even if a later publication fails, so a retry tells only the rest; between a publication
    and its mark a crash tells twice, never not at all. Raises NobodyTold.
    """
    standing = outbox.standing(notice)
    subject, organisation = standing.subject, standing.organisation
    if standing.told is None or subject is None or organisation is None:
        return Outcome(skipped="erased")
    if subject.consent is None or subject.consent.withdrawn_at is not None:
        return Outcome(skipped="no-consent")
    telling = _Telling(notice, subject, organisation, standing.told, notifier, messages)
    contacts = vault.open(notice.organisation, notice.subject)
    try:
        for role in notice.roles:
            telling.tell(role, contacts)
    finally:
        outbox.mark(notice, telling.marks, now)
    return telling.outcome


@dataclass(slots=True)
class _Telling:
    notice: Notice
    subject: Subject
    organisation: Organisation
    already: frozenset[str]
    notifier: Notifier
    messages: Messages
    outcome: Outcome = field(default_factory=Outcome)
    marks: set[str] = field(default_factory=set)

    def tell(self, role: str, contacts: Contacts) -> None:
        """Tell `role` by every contact it has, or the duty centre in its place when none can be reached."""
        reached = [self._publish(name, role, contact) for name, contact in _named(role, contacts)]
        if not any(reached):
            self.outcome.fallbacks += 1
            if not self._publish(f"{FALLBACK_ROLE}#fallback", FALLBACK_ROLE, _TOPIC):
                raise NobodyTold("the organisation's topic cannot be reached")

    def _publish(self, name: str, role: str, contact: Contact) -> bool:
        """True when the contact has been told, now or before."""
        if name in self.already or name in self.marks:
            return True
        words = words_for(self.messages, self.notice, role, subject=self.subject, organisation=self.organisation)
        try:
            self.notifier.publish(words, contact)
        except Undeliverable:
            self.outcome.undeliverable += 1
            return False
        self.marks.add(name)
        self.outcome.told[role] += 1
        return True


def _named(role: str, contacts: Contacts) -> Iterator[tuple[str, Contact]]:
    """Each contact of `role` with a name that says nothing of its address; new contacts have new names."""
    for number, contact in enumerate(contacts.by_role.get(role, ())):
        yield f"{role}#{contact.channel}#{number}@{contacts.version}", contact
