"""Whatever a person decides, and whenever, while the device goes on sending: without consent nothing is read, judged,
told or sent (P5, R91)."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from adapters.programmes import messages, programmes
from domain.alert import Monitored, State
from domain.delivery import Reference
from domain.enrolment import Consent, Subject
from domain.notification import Contact, Contacts
from domain.observation import Observation
from domain.rendering import render
from functions.evaluate.service import Change as Judged
from functions.evaluate.service import evaluate
from functions.notify.service import notify
from tests.builders import (
    NOW,
    ORGANISATION,
    SUBJECT,
    a_message,
    a_notice,
    a_plan_version,
    a_pressure,
    a_reading,
    a_subject,
    an_arrival,
    an_organisation,
    attended,
)
from tests.fakes import FakeEpisodes, FakeNotifier, FakeOpener, FakeOutbox
from tests.functions.test_export import ALERTS, OBSERVATIONS, a_change, an_alert_change
from tests.functions.test_export import Stage as Export
from tests.functions.test_ingest import Stage as Ingest
from tests.proof import examples

WHO = (ORGANISATION, SUBJECT)
MINUTE = timedelta(minutes=1)


class Withdrawal(RuleBasedStateMachine):
    """The four stages over fakes, and the person's own word as the only model."""

    @initialize()
    def begin(self) -> None:
        self.ingest, self.export = Ingest(), Export()
        self.episodes = FakeEpisodes({WHO: Monitored(attended(a_subject()), (a_plan_version(),), State(), 0)})
        self.minute = 0
        self.decide(Consent(NOW - timedelta(days=9)))

    def decide(self, consent: Consent | None) -> None:
        subject = a_subject(consent=consent)
        self.subject: Subject = subject
        self.ingest.registry.enrolled = [subject]
        self.export.registry.enrolled = [subject]
        self.episodes.known[WHO] = self.episodes.known[WHO]._replace(subject=attended(subject))

    @property
    def in_force(self) -> bool:
        return self.subject.consent is not None and self.subject.consent.withdrawn_at is None

    @property
    def at(self) -> datetime:
        """A minute of its own for each step, all before NOW."""
        self.minute += 1
        return NOW - timedelta(days=1) + self.minute * MINUTE

    @rule(days=st.integers(1, 9))
    def gives(self, days: int) -> None:
        self.decide(Consent(NOW - timedelta(days=days)))

    @rule()
    def withdraws(self) -> None:
        consent = self.subject.consent
        self.decide(None if consent is None else consent._replace(withdrawn_at=self.at))

    @rule(systolic=st.integers(150, 220))
    def measures(self, systolic: int) -> None:
        at = self.at
        before = len(self.ingest.archive.parts)
        reading = a_reading(measured_at=at.isoformat(), values=a_pressure(systolic))
        stored = set(self.ingest.observations.rows)
        self.ingest(an_arrival(a_message(reading), received_at=at), first_inbox=False)
        new = [row for key, row in self.ingest.observations.rows.items() if key not in stored]
        covered = self.subject.consent is not None and self.subject.consent.covers(at)
        assert (len(new), len(self.ingest.archive.parts) - before) == ((1, 1) if covered else (0, 0))
        if not covered:
            assert all(one.payload is None for one in self.ingest.quarantine.rows.values() if one.received_at == at)
        self.judges(new)

    def judges(self, rows: list[Observation]) -> None:
        """The engine reads the stream later, perhaps after the person has decided otherwise."""
        self.waiting = [*getattr(self, "waiting", []), *rows]

    @rule()
    def the_stream_is_read(self) -> None:
        rows, self.waiting = getattr(self, "waiting", []), []
        told = len(self.episodes.notices)
        changes = [Judged(str(n), WHO, lambda one=one: one) for n, one in enumerate(rows)]  # type: ignore[misc]
        evaluate(changes, episodes=self.episodes, programmes=programmes(), now=NOW)
        assert self.in_force or len(self.episodes.notices) == told

    @rule()
    def a_notice_comes_from_its_queue(self) -> None:
        notifier = FakeNotifier()
        contacts = FakeOpener(Contacts({"doctor": (Contact("topic"),)}, 1))
        outbox: Any = FakeOutbox(self.subject, an_organisation())
        notify(a_notice(), outbox=outbox, vault=contacts, notifier=notifier, messages=messages(), now=NOW)
        assert bool(notifier.published) == bool(contacts.opened) == self.in_force

    @rule(number=st.integers(1, 10**6))
    def the_streams_are_collected(self, number: int) -> None:
        before = {lane: len(rows) for lane, rows in self.export.log.content.items()}
        self.export.collect([a_change(number), an_alert_change(number)])
        for lane in (OBSERVATIONS, ALERTS):
            grown = len(self.export.log.content.get(lane, {})) - before.get(lane, 0)
            assert grown == int(self.in_force)

    @invariant()
    def a_delivery_that_is_tried_now_shows_nothing_without_consent(self) -> None:
        rows = self.ingest.observations.rows
        references = [Reference("observation", *key) for key in rows]
        parts = {
            "registry": self.export.registry,
            "observations": self.ingest.observations,
            "alerts": self.export.alerts,
        }
        shown = render(references, **parts).get("entry", [])  # type: ignore[arg-type]
        assert bool(shown) == (self.in_force and bool(rows))


Withdrawal.TestCase.settings = settings(max_examples=examples(25), stateful_step_count=15, deadline=None)
test_p5_r91_consent_decides_at_every_step = Withdrawal.TestCase
