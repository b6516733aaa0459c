"""Certificates in IoT Core's registry."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from adapters.iot import CertificateStatus, ThingCertificates

REGION = "eu-central-1"


@pytest.fixture
def iot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("iot", region_name=REGION)


def given(iot: Any, thing: str, *, active: bool = True) -> str:
    """A certificate of a thing, by its id."""
    made = iot.create_keys_and_certificate(setAsActive=active)
    iot.create_thing(thingName=thing)
    iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
    return str(made["certificateId"])


def test_a_certificate_is_retired_and_stays_so(iot: Any) -> None:
    certificates = ThingCertificates(iot, "template")
    one, other = given(iot, "BP-1"), given(iot, "BP-2")
    assert certificates.of("BP-1") == [one]
    for _ in range(2):
        certificates.retire(one)
        assert (certificates.is_active(one), certificates.is_active(other)) == (False, True)
    assert certificates.of("BP-1") == [one], "it is still known whose it was"


def test_what_nobody_knows_is_not_active_and_has_no_certificates(iot: Any) -> None:
    assert not ThingCertificates(iot, "template").is_active("0" * 64)
    assert ThingCertificates(iot, "template").of("BP-404") == []


def test_a_certificate_that_was_ever_active_is_not_pending(iot: Any) -> None:
    status = CertificateStatus(iot)
    one = given(iot, "BP-1")
    assert not status.is_pending(one)
    iot.update_certificate(certificateId=one, newStatus="INACTIVE")
    assert not status.is_pending(one)
    iot.update_certificate(certificateId=one, newStatus="PENDING_ACTIVATION")
    assert status.is_pending(one)
    assert status.is_pending("0" * 64)


def stubbed(*answers: tuple[str, dict[str, Any], dict[str, Any]]) -> Any:
    client = boto3.client("iot", region_name=REGION, aws_access_key_id="t", aws_secret_access_key="t")
    stub = Stubber(client)
    for operation, asked, answer in answers:
        stub.add_response(operation, answer, asked)
    stub.activate()
    return client


def test_every_page_of_a_things_certificates_is_read() -> None:
    arn = "arn:aws:iot:eu-central-1:1:cert/"
    pages = stubbed(
        ("list_thing_principals", {"thingName": "BP-1"}, {"principals": [f"{arn}one"], "nextToken": "more"}),
        (
            "list_thing_principals",
            {"thingName": "BP-1", "nextToken": "more"},
            {"principals": ["eu-central-1:a-cognito-identity", f"{arn}two"]},
        ),
    )
    assert ThingCertificates(pages, "template").of("BP-1") == ["one", "two"]


def test_a_temporary_claim_is_one_of_our_template() -> None:
    expires_at = datetime(2026, 11, 22, 9, 5, tzinfo=UTC)
    answer = {
        "certificateId": "c" * 64,
        "certificatePem": "PEM",
        "keyPair": {"PublicKey": "public", "PrivateKey": "private"},
        "expiration": expires_at,
    }
    iot = stubbed(("create_provisioning_claim", {"templateName": "template"}, answer))
    claim = ThingCertificates(iot, "template").new_claim()
    assert (claim.id, claim.certificate, claim.private_key) == ("c" * 64, "PEM", "private")
    assert claim.expires_at == expires_at
