"""What was claimed and provisioned: the table and the fake that stands for it (R13)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.claims import ClaimLog, Claims
from domain.errors import LostRace
from domain.provisioning import NewClaim, Provisioned, TemporaryClaim
from tests.builders import NOW, ORGANISATION, SERIAL
from tests.fakes import FakeClaims
from tests.in_process import REGION, make_tables

NEW = NewClaim("claim-1", "a certificate", "a private key", NOW + timedelta(minutes=5))
CLAIM = TemporaryClaim("claim-1", ORGANISATION, SERIAL, NEW.expires_at)
ONE = Provisioned(ORGANISATION, SERIAL, "one", "makers", NOW)
TWO = replace(ONE, certificate="two", at=NOW + timedelta(hours=2))


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        make_tables(client, ("registry",))
        yield client


@pytest.fixture(params=["adapter", "fake"])
def claims(request: pytest.FixtureRequest) -> Any:
    """What the hook reads and writes, with one temporary claim."""
    if request.param == "fake":
        fake = FakeClaims()
        fake.put(NEW, ORGANISATION, SERIAL)
        return fake
    dynamodb = request.getfixturevalue("dynamodb")
    ClaimLog(dynamodb, "registry").put(NEW, ORGANISATION, SERIAL)
    return Claims(dynamodb, "registry")


def test_a_claim_is_read_as_it_was_put(claims: Any) -> None:
    assert claims.claim("claim-1") == CLAIM
    assert claims.claim("makers") is None
    assert claims.provisioned(ORGANISATION, SERIAL) is None


def test_a_certificate_takes_the_place_of_the_one_that_was_seen_and_of_no_other(claims: Any) -> None:
    with pytest.raises(LostRace):
        claims.provision(TWO, after=ONE)
    claims.provision(ONE, after=None)
    for after in (None, replace(ONE, certificate="three")):
        with pytest.raises(LostRace):
            claims.provision(TWO, after=after)
    assert claims.provisioned(ORGANISATION, SERIAL) == ONE
    claims.provision(TWO, after=ONE)
    assert claims.provisioned(ORGANISATION, SERIAL) == TWO
    assert claims.provisioned("clinic-b", SERIAL) is None


def test_a_temporary_claim_is_used_for_one_certificate(claims: Any) -> None:
    by_claim = replace(TWO, claim="claim-1", temporary=True)
    claims.provision(ONE, after=None)
    for _ in range(2):
        claims.use(CLAIM, by_claim)
        assert claims.claim("claim-1") == replace(CLAIM, used_for="two")
        assert claims.provisioned(ORGANISATION, SERIAL) == by_claim
    with pytest.raises(LostRace):
        claims.use(CLAIM, replace(by_claim, certificate="three"))
    assert claims.provisioned(ORGANISATION, SERIAL) == by_claim
