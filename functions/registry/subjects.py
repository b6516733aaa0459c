"""Subjects and where they are told."""

from aws_lambda_powertools.event_handler import Response

from domain.answer import ConsentShown, ErasureShown, Page, SubjectShown
from domain.enrolment import Consent, Subject
from domain.erasure import LOOKED_IN, Tombstone
from domain.errors import SubjectErased
from domain.request import ContactsBody, SubjectBody
from functions.registry import service
from functions.registry.access import Routes
from functions.registry.answers import answer, nothing, page
from functions.registry.operation import PAGED, Query
from functions.registry.wiring import clock, wired

routes = Routes()

_INCOMPLETE = Query("incomplete", "who still lacks something", {"enum": ["true", "false"], "default": "false"})
_MOST_SUBJECTS = 50
"""What each lacks is three reads."""


def _consent(consent: Consent | None) -> ConsentShown | None:
    if consent is None:
        return None
    withdrawn_at = consent.withdrawn_at
    return {
        "given_at": consent.given_at.isoformat(),
        "withdrawn_at": None if withdrawn_at is None else withdrawn_at.isoformat(),
    }


def _shown(subject: Subject) -> SubjectShown:
    return {
        "id": subject.id,
        "programmes": subject.programmes,
        "time_zone": subject.time_zone,
        "language": subject.language,
        "consent": _consent(subject.consent),
        "emergency_text": subject.emergency_text,
        "missing": service.lacks(
            subject, registry=wired().registry, plans=wired().plans, vault=wired().vault, now=clock()
        ),
        "version": subject.version,
    }


@routes.serve(
    "PUT",
    "/v1/subjects/<subject>",
    scope="enrol",
    takes=SubjectBody,
    gives=SubjectShown,
    made=SubjectShown,
    edits=True,
    versioned=True,
    conflicts=(SubjectErased,),
)
def put_subject(subject: str) -> Response[str]:
    """Enrol a subject, or change what is known of it."""
    after = service.put_subject(
        routes.organisation,
        subject,
        routes.body(SubjectBody),
        if_match=routes.if_match(),
        registry=wired().registry,
        keys=wired().keys,
        erasures=wired().erasures,
        programmes=wired().programmes,
        now=clock(),
    )
    return answer(_shown(after), status=201 if after.version == 1 else 200, version=after.version)


def _erasure(tombstone: Tombstone) -> ErasureShown:
    finished_at = tombstone.finished_at
    return {
        "subject": tombstone.subject,
        "state": "erasing" if finished_at is None else "erased",
        "erased_at": tombstone.erased_at.isoformat(),
        "finished_at": None if finished_at is None else finished_at.isoformat(),
        "complete_at": tombstone.complete_at.isoformat(),
        "looked_in": list(LOOKED_IN),
        "found": tombstone.found,
    }


@routes.serve("DELETE", "/v1/subjects/<subject>", scope="enrol", gives=ErasureShown, status=202, edits=True)
def delete_subject(subject: str) -> Response[str]:
    """Erase a subject for good. Asked again, it says what was found where; no copy is left at `complete_at`."""
    tombstone = service.erase_subject(
        routes.organisation,
        subject,
        if_match=routes.if_match(),
        registry=wired().registry,
        erasures=wired().erasures,
        now=clock(),
    )
    return answer(_erasure(tombstone), status=202)


@routes.serve("GET", "/v1/subjects", scope="enrol", gives=Page[SubjectShown], asks=(_INCOMPLETE, *PAGED))
def get_subjects() -> Response[str]:
    """Who is enrolled, and what each still lacks. With `incomplete=true` a page may be empty and not the last.

    Who was enrolled a moment ago may not stand here yet.
    """
    incomplete = routes.choice("incomplete", ("true", "false")) == "true"
    limit = min(routes.limit(), _MOST_SUBJECTS)
    asked = wired().registry.enrolled(routes.organisation, cursor=routes.text("cursor"), limit=limit)
    shown = [_shown(one) for one in asked.items]
    return page([one for one in shown if one["missing"] or not incomplete], asked.next)


@routes.serve("GET", "/v1/subjects/<subject>", scope="enrol", gives=SubjectShown, versioned=True)
def get_subject(subject: str) -> Response[str]:
    """A subject, and what it still lacks to be monitored in full."""
    found = service.enrolled_subject(routes.organisation, subject, registry=wired().registry)
    return answer(_shown(found), version=found.version)


@routes.serve("PUT", "/v1/subjects/<subject>/contacts", scope="enrol", takes=ContactsBody)
def put_contacts(subject: str) -> Response[str]:
    """Set where the patient and the doctor's team are told. It cannot be read back."""
    service.put_contacts(
        routes.organisation, subject, routes.body(ContactsBody), registry=wired().registry, vault=wired().vault
    )
    return nothing()
