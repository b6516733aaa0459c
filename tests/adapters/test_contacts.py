"""The vault: what is sealed for one subject opens for no other."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.contacts import ContactOpener, ContactVault
from domain.notification import Contact, Contacts
from tests.builders import ORGANISATION, SUBJECT
from tests.in_process import REGION, make_tables

WHO = (ORGANISATION, SUBJECT)
PHONE = "+15005550001"
CONTACTS = {"patient": [{"channel": "sms", "address": PHONE}], "doctor": [{"channel": "topic"}], "duty": [], "head": []}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        dynamodb, kms = (boto3.client(name, region_name=REGION) for name in ("dynamodb", "kms"))
        make_tables(dynamodb, ("contacts",))
        key = kms.create_key()["KeyMetadata"]["Arn"]
        yield {"client": dynamodb, "kms": kms, "table": "contacts", "key": key}


def test_contacts_open_as_they_were_sealed(aws: dict[str, Any]) -> None:
    vault = ContactVault(**aws)
    assert not vault.holds(*WHO)
    vault.seal(*WHO, CONTACTS)
    assert vault.holds(*WHO)
    assert ContactOpener(**aws).open(*WHO) == Contacts(
        {"patient": (Contact("sms", PHONE),), "doctor": (Contact("topic"),), "duty": (), "head": ()}, 1
    )


def test_the_last_word_counts(aws: dict[str, Any]) -> None:
    vault = ContactVault(**aws)
    vault.seal(*WHO, CONTACTS)
    vault.seal(*WHO, {"patient": [], "doctor": []})
    assert ContactOpener(**aws).open(*WHO) == Contacts({"patient": (), "doctor": ()}, 2)


def test_who_has_no_contacts_has_none_by_any_role(aws: dict[str, Any]) -> None:
    assert ContactOpener(**aws).open(*WHO) == Contacts({}, 0)


def test_the_table_holds_no_address(aws: dict[str, Any]) -> None:
    ContactVault(**aws).seal(*WHO, CONTACTS)
    (item,) = aws["client"].scan(TableName="contacts")["Items"]
    assert set(item) == {"pk", "sk", "sealed", "version"}
    assert PHONE.encode() not in b64decode(item["sealed"]["S"])


def test_what_is_sealed_for_one_opens_for_no_other(aws: dict[str, Any]) -> None:
    ContactVault(**aws).seal(*WHO, CONTACTS)
    (item,) = aws["client"].scan(TableName="contacts")["Items"]
    aws["client"].put_item(TableName="contacts", Item=item | {"pk": {"S": f"{ORGANISATION}#S-OTHER"}})
    with pytest.raises(aws["kms"].exceptions.InvalidCiphertextException):
        ContactOpener(**aws).open(ORGANISATION, "S-OTHER")
