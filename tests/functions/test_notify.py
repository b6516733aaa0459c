"""Notify: each role by each of its contacts, each once, and never nobody."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from adapters.alerts import Episodes
from adapters.aws import client as aws_client
from adapters.contacts import ContactVault
from adapters.decisions import Decisions
from adapters.dynamodb import encode_item
from adapters.environment import variable
from adapters.outbox import to_body
from adapters.programmes import messages
from adapters.registry import from_organisation, from_subject
from domain.alert import Episode, State
from domain.enrolment import Consent
from domain.notification import Contact, Contacts, Undeliverable
from functions.notify import handler
from functions.notify.service import NobodyTold, Outcome, notify
from tests.builders import NOW, ORGANISATION, SUBJECT, a_notice, a_subject, an_alert, an_organisation
from tests.fakes import FakeNotifier, FakeOpener, FakeOutbox
from tests.in_process import REGION, Context, environment, make_tables

SMS = Contact("sms", "+15005550001")
PUSH = Contact("push", "arn:endpoint")
TOPIC = Contact("topic")
USUAL = {"patient": (SMS,), "doctor": (TOPIC,)}


class Down(Exception):
    """The service is down: worth a retry."""


class Stage:
    """Notify with fakes all round. `down` and `gone` are contacts that cannot be told now, and never."""

    def __init__(self, by_role: dict[str, tuple[Contact, ...]] | None = None) -> None:
        self.outbox = FakeOutbox(a_subject(), an_organisation())
        self.vault = FakeOpener(Contacts(USUAL if by_role is None else by_role, 1))
        self.notifier = FakeNotifier(self._answer)
        self.down: set[Contact] = set()
        self.gone: set[Contact] = set()

    def _answer(self, contact: Contact) -> None:
        if contact in self.down:
            raise Down
        if contact in self.gone:
            raise Undeliverable("OptedOut")

    def tell(self, **changes: Any) -> Outcome:
        return notify(
            a_notice(**changes),
            outbox=self.outbox,
            vault=self.vault,
            notifier=self.notifier,
            messages=messages(),
            now=NOW,
        )

    def told(self) -> list[tuple[Contact, str]]:
        return [(contact, words.facts["role"]) for contact, words in self.notifier.published]


def test_p4_f8_patient_and_doctor_are_both_told() -> None:
    stage = Stage()
    outcome = stage.tell()
    assert stage.told() == [(SMS, "patient"), (TOPIC, "doctor")]
    assert dict(outcome.told) == {"patient": 1, "doctor": 1}
    assert stage.outbox.told == {"patient#sms#0@1": NOW, "doctor#topic#0@1": NOW}


def test_every_contact_of_a_role_is_told() -> None:
    stage = Stage({"patient": (PUSH, SMS), "doctor": (TOPIC,)})
    stage.tell()
    assert stage.told() == [(PUSH, "patient"), (SMS, "patient"), (TOPIC, "doctor")]


@pytest.mark.parametrize(
    ("language", "begins"), [("ru", "Важно:"), ("en", "Important:"), ("kk", "Important:")], ids=["ru", "en", "unknown"]
)
def test_the_patient_reads_it_in_their_language(language: str, begins: str) -> None:
    stage = Stage()
    stage.outbox.subject = a_subject(language=language)
    stage.tell()
    text = stage.notifier.published[0][1].text
    assert text.startswith(begins)
    assert text.endswith(messages()[language if language != "kk" else "en"]["patient/emergency"])


def test_an_organisations_own_emergency_text_stands_in_place_of_ours() -> None:
    stage = Stage()
    stage.outbox.subject = a_subject(emergency_text="Call your midwife.")
    stage.tell()
    assert stage.notifier.published[0][1].text.endswith("Your midwife."[5:])
    assert "112" not in stage.notifier.published[0][1].text
    assert "midwife" not in stage.notifier.published[1][1].text


def test_the_topic_reads_opaque_facts() -> None:
    stage = Stage()
    stage.tell()
    words = stage.notifier.published[1][1]
    assert words.topic == an_organisation().topic
    assert words.facts == {
        "alert": "alert-1",
        "organisation": ORGANISATION,
        "role": "doctor",
        "severity": "critical",
        "subject": SUBJECT,
    }


@pytest.mark.parametrize("step", ["measure-again", "raised"])
@pytest.mark.parametrize("severity", ["info", "warning", "critical"])
def test_there_are_words_for_everything(step: str, severity: str) -> None:
    stage = Stage()
    stage.tell(step=step, severity=severity, roles=("patient", "doctor", "duty", "head"))
    assert all(words.text for _, words in stage.notifier.published)


def test_r52_a_notice_told_twice_is_told_once() -> None:
    stage = Stage()
    stage.tell()
    outcome = stage.tell()
    assert len(stage.told()) == 2
    assert (dict(outcome.told), outcome.fallbacks) == ({}, 0)


def test_r52_a_retry_tells_only_who_was_not_told() -> None:
    stage = Stage()
    stage.down = {TOPIC}
    with pytest.raises(Down):
        stage.tell()
    stage.down = set()
    stage.tell()
    assert stage.told() == [(SMS, "patient"), (TOPIC, "doctor")]


def test_new_contacts_are_told_though_the_old_ones_were() -> None:
    stage = Stage()
    stage.tell()
    stage.vault.contacts = Contacts(USUAL, 2)
    stage.tell()
    assert len(stage.told()) == 4


def test_r54_of_a_role_that_opted_out_the_second_contact_is_told() -> None:
    stage = Stage({"patient": (SMS, PUSH), "doctor": (TOPIC,)})
    stage.gone = {SMS}
    outcome = stage.tell()
    assert stage.told() == [(PUSH, "patient"), (TOPIC, "doctor")]
    assert (outcome.undeliverable, outcome.fallbacks) == (1, 0)


@pytest.mark.parametrize(
    ("by_role", "gone"),
    [({"doctor": (TOPIC,)}, set()), ({"patient": (), "doctor": (TOPIC,)}, set()), (USUAL, {SMS})],
    ids=["R67 no contacts", "R67 an empty list", "R54 opted out"],
)
def test_for_a_role_that_cannot_be_told_the_duty_centre_is(
    by_role: dict[str, tuple[Contact, ...]], gone: set[Contact]
) -> None:
    stage = Stage(by_role)
    stage.gone = gone
    outcome = stage.tell()
    assert stage.told() == [(TOPIC, "duty"), (TOPIC, "doctor")]
    assert outcome.fallbacks == 1


def test_r67_nobody_at_all_is_the_duty_centre_once() -> None:
    stage = Stage({})
    outcome = stage.tell()
    assert stage.told() == [(TOPIC, "duty")]
    assert outcome.fallbacks == 2


def test_when_not_even_the_topic_can_be_told_it_is_tried_again() -> None:
    stage = Stage({"patient": (SMS,), "doctor": (PUSH,)})
    stage.gone = {PUSH, TOPIC}
    with pytest.raises(NobodyTold):
        stage.tell()
    stage.gone = {PUSH}
    stage.tell()
    assert stage.told() == [(SMS, "patient"), (TOPIC, "duty")]


@pytest.mark.parametrize(
    ("subject", "organisation", "told", "why"),
    [
        (a_subject(consent=None), an_organisation(), {}, "no-consent"),
        (a_subject(consent=Consent(NOW, NOW + timedelta(1))), an_organisation(), {}, "no-consent"),
        (None, an_organisation(), {}, "erased"),
        (a_subject(), None, {}, "erased"),
        (a_subject(), an_organisation(), None, "erased"),
    ],
    ids=["no consent", "R91 withdrawn", "no subject", "no organisation", "no row"],
)
def test_who_may_not_be_told_is_not(subject: Any, organisation: Any, told: Any, why: str) -> None:
    stage = Stage()
    stage.outbox = FakeOutbox(subject, organisation, told)
    assert stage.tell().skipped == why
    assert (stage.told(), stage.vault.opened) == ([], 0)


CONTACT = st.sampled_from([SMS, PUSH, TOPIC])


@given(st.lists(CONTACT, max_size=3, unique=True), st.lists(CONTACT, max_size=3, unique=True), st.sets(CONTACT))
def test_r67_somebody_is_told_or_it_is_tried_again(
    patient: list[Contact], doctor: list[Contact], gone: set[Contact]
) -> None:
    stage = Stage({"patient": tuple(patient), "doctor": tuple(doctor)})
    stage.gone = gone
    try:
        stage.tell()
    except NobodyTold:
        assert TOPIC in gone
    else:
        assert stage.told()


# the handler, over a cloud in memory


@pytest.fixture
def phone() -> Iterator[Any]:
    """A patient with a phone and a doctor on the topic, both enrolled; yields what reached the phone."""
    credentials = {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t"}
    with mock_aws():
        dynamodb, kms, sns = (boto3.client(name, region_name=REGION) for name in ("dynamodb", "kms", "sns"))
        make_tables(dynamodb, ("registry", "alerts", "contacts"))
        topic = sns.create_topic(Name="pma-local-org-clinic-a")["TopicArn"]
        for item in (from_subject(a_subject()), from_organisation(an_organisation(topic=topic))):
            dynamodb.put_item(TableName="registry", Item=encode_item(item))
        Episodes(dynamodb, "alerts", "registry", Decisions(dynamodb, "decisions")).write(
            (ORGANISATION, SUBJECT),
            State({"crisis": Episode(stage="active")}),
            [an_alert(id="alert-1", tell=("patient", "doctor"), told="raised")],
            after=0,
            now=NOW,
            received_at=NOW,
        )
        key = kms.create_key()["KeyMetadata"]["Arn"]
        ContactVault(dynamodb, kms, "contacts", key).seal(
            ORGANISATION,
            SUBJECT,
            {"patient": [{"channel": "sms", "address": SMS.address}], "doctor": [{"channel": "topic"}]},
        )
        tables = {variable(f"{name}_table"): name for name in ("registry", "alerts", "contacts")}
        with environment(tables | {variable("contacts_key"): key} | credentials):
            handler.wired.cache_clear()
            yield sns_backends[DEFAULT_ACCOUNT_ID][REGION]
            handler.wired.cache_clear()
    aws_client.cache_clear()


def a_record(body: str, name: str = "m-1") -> dict[str, Any]:
    return {"messageId": name, "eventSource": "aws:sqs", "body": body, "attributes": {}, "messageAttributes": {}}


def test_a_message_reaches_the_phone_and_the_topic_once(phone: Any, caplog: pytest.LogCaptureFixture) -> None:
    event = {"Records": [a_record(to_body(a_notice()))]}
    assert handler.handle(event, Context()) == {"batchItemFailures": []}
    assert handler.handle(event, Context()) == {"batchItemFailures": []}
    assert [sent[0] for sent in phone.sms_messages.values()] == [SMS.address]
    (topic,) = phone.topics.values()
    assert len(topic.sent_notifications) == 1
    logged = [vars(record) for record in caplog.records if record.name == handler.logger.name]
    assert [line["told"] for line in logged] == [{"patient": 1, "doctor": 1}, {}]
    assert not any(secret in repr(line) for line in logged for secret in (str(SMS.address), SUBJECT))


def test_r22_a_message_that_cannot_be_read_fails_alone(phone: Any) -> None:
    event = {"Records": [a_record("{}", "bad"), a_record(to_body(a_notice()), "good")]}
    assert handler.handle(event, Context()) == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert len(phone.sms_messages) == 1


def test_the_clock_is_aware() -> None:
    assert handler.clock().tzinfo is not None
