"""Words to people: whom to tell, where each of them is told, and what the words are.

No text holds a health value or a name (R68): it says that there is something to see, and where.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from domain.alert import Told
from domain.enrolment import Organisation, Subject
from domain.plan_language import Severity

Channel = Literal["push", "sms", "email", "topic"]
Messages: TypeAlias = Mapping[str, Mapping[str, str]]
"""`{language: {"patient/raised/critical": text, …, "patient/emergency": text}}`, from `catalogue/messages`."""

_FALLBACK_LANGUAGE = "en"


class Undeliverable(Exception):
    """This contact cannot be reached, now or later: its number opted out, or its app is gone (R54)."""


@dataclass(frozen=True, slots=True)
class Notice:
    """The order to tell `roles` of one version of an alert. `received_at` is the arrival of the reading behind it."""

    organisation: str
    subject: str
    alert: str
    version: int
    severity: Severity
    roles: tuple[str, ...]
    step: Told
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Contact:
    """Where one is told; `address` is None on the organisation's own topic."""

    channel: Channel
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Contacts:
    """The opened vault of a subject: by role. `version` counts its writes."""

    by_role: Mapping[str, tuple[Contact, ...]]
    version: int


def to_contacts(document: Mapping[str, Any], version: int) -> Contacts:
    """The contacts that `{role: [{"channel", "address"}]}` describes."""
    return Contacts(
        {role: tuple(Contact(one["channel"], one.get("address")) for one in among) for role, among in document.items()},
        version,
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known when a notice is to be told. `told` names the contacts that have been; None: no outbox row."""

    subject: Subject | None
    organisation: Organisation | None
    told: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Words:
    """What one role reads, and what programs read beside it on the topic: opaque ids, never a value or a name."""

    text: str
    topic: str
    facts: Mapping[str, str]


def words_for(messages: Messages, notice: Notice, role: str, *, subject: Subject, organisation: Organisation) -> Words:
    """What `role` reads of `notice`: the patient in the subject's language with whom to call in an emergency."""
    texts = messages.get(subject.language, messages[_FALLBACK_LANGUAGE])
    whose = "patient" if role == "patient" else "team"
    text = texts[f"{whose}/{notice.step}/{notice.severity}"]
    if whose == "patient":
        text = f"{text} {subject.emergency_text or texts['patient/emergency']}"
    return Words(
        text,
        organisation.topic,
        {
            "alert": notice.alert,
            "organisation": notice.organisation,
            "role": role,
            "severity": notice.severity,
            "subject": notice.subject,
        },
    )
