"""The provisioning hook: a serial that is enrolled, with its own profile, once; twice, late and half-way (R13)."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.aws import client as aws_client
from adapters.claims import ClaimLog, Claims
from adapters.environment import variable
from adapters.registry import Registry
from domain.provisioning import TOKEN_LASTS, NewClaim, Provisioned, ProvisioningRefused, TemporaryClaim
from functions.provision import handler
from functions.provision.service import asked, provision
from tests.builders import NOW, ORGANISATION, SERIAL, a_device
from tests.fakes import FakeCertificates
from tests.in_process import REGION, Context, environment, make_tables

MAKERS = "makers-claim"
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Crowded(Claims):
    """Somebody else acts between what the hook has read and what it writes."""

    meddlers: list[Callable[[], object]] = field(default_factory=list)

    def provision(self, wanted: Provisioned, *, after: Provisioned | None) -> None:
        self._meddle()
        super().provision(wanted, after=after)

    def use(self, claim: TemporaryClaim, wanted: Provisioned) -> None:
        self._meddle()
        super().use(claim, wanted)

    def _meddle(self) -> None:
        if self.meddlers:
            self.meddlers.pop()()


@dataclass
class Hook:
    """The hook over its tables, asked as IoT Core asks it."""

    dynamodb: Any
    certificates: FakeCertificates = field(default_factory=FakeCertificates)

    def __post_init__(self) -> None:
        self.registry = Registry(self.dynamodb, "registry")
        self.claims = Crowded(self.dynamodb, "registry")

    def event(self, certificate: str, *, claim: str = MAKERS, **parameters: Any) -> dict[str, Any]:
        return {
            "claimCertificateId": claim,
            "certificateId": certificate,
            "certificatePem": "PEM",
            "templateArn": "arn",
            "clientId": "claim.1",
            "parameters": {"SerialNumber": SERIAL, "Profile": "tonometer"} | parameters,
        }

    def asks(self, certificate: str, *, at: Any = NOW, claim: str = MAKERS, **parameters: Any) -> str:
        """`yes`, or why not."""
        event = self.event(certificate, claim=claim, **parameters)
        try:
            provision(asked(event), registry=self.registry, claims=self.claims, certificates=self.certificates, now=at)
        except ProvisioningRefused as refusal:
            return refusal.reason
        return "yes"

    def temporary(self, claim: str = "claim-1", serial: str = SERIAL, organisation: str = ORGANISATION) -> str:
        made = NewClaim(claim, "a certificate", "a private key", NOW + 5 * MINUTE)
        ClaimLog(self.dynamodb, "registry").put(made, organisation, serial)
        return claim

    def has(self) -> str | None:
        found = self.claims.provisioned(ORGANISATION, SERIAL)
        return None if found is None else found.certificate


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    credentials = {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t"}
    with mock_aws(), environment({variable("registry_table"): "registry"} | credentials):
        client = boto3.client("dynamodb", region_name=REGION)
        make_tables(client, ("registry",))
        handler.wired.cache_clear()
        yield client
        handler.wired.cache_clear()
    aws_client.cache_clear()


@pytest.fixture
def hook(dynamodb: Any) -> Hook:
    hook = Hook(dynamodb)
    hook.registry.put_device(a_device())
    return hook


def test_r13_a_serial_that_is_enrolled_is_let_in(hook: Hook) -> None:
    assert hook.asks("one") == "yes"
    assert hook.claims.provisioned(ORGANISATION, SERIAL) == Provisioned(ORGANISATION, SERIAL, "one", MAKERS, NOW)


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"SerialNumber": "BP-99999"}, "unknown-serial"),
        ({"SerialNumber": "*"}, "unknown-serial"),
        ({"Profile": "phone"}, "other-profile"),
        ({"Profile": ""}, "malformed"),
        ({"Profile": None}, "malformed"),
        ({"SerialNumber": 17}, "malformed"),
        ({"SerialNumber": ["BP-00017"]}, "malformed"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_r13_whoever_is_not_enrolled_as_such_is_refused(hook: Hook, parameters: dict[str, Any], why: str) -> None:
    assert hook.asks("one", **parameters) == why
    assert hook.has() is None


@pytest.mark.parametrize("lacks", ["claimCertificateId", "certificateId", "parameters"])
def test_an_event_that_lacks_anything_is_refused(hook: Hook, lacks: str) -> None:
    event = hook.event("one")
    for said in ({}, {lacks: None}, {lacks: "" if lacks != "parameters" else "x"}):
        with pytest.raises(ProvisioningRefused, match="malformed"):
            asked({name: value for name, value in event.items() if name != lacks} | said)


def test_a_serial_whose_device_is_gone_is_unknown(hook: Hook) -> None:
    hook.dynamodb.put_item(
        TableName="registry",
        Item={"pk": {"S": "serial#BP-1"}, "sk": {"S": "serial"}, "organisation": {"S": ORGANISATION}},
    )
    assert hook.asks("one", SerialNumber="BP-1") == "unknown-serial"


def test_r13_a_revoked_serial_is_refused_for_good(hook: Hook) -> None:
    hook.registry.put_device(a_device(version=2, revoked_at=NOW))
    assert hook.asks("one") == "revoked"
    assert hook.asks("one", claim=hook.temporary()) == "revoked"


def test_r13_a_second_use_of_a_makers_claim_loses(hook: Hook) -> None:
    hook.asks("one")
    hook.certificates.give(SERIAL, "one")
    for later in (MINUTE, 100 * TOKEN_LASTS):
        assert hook.asks("two", at=NOW + later) == "used"
    hook.certificates.retire("one")
    assert hook.asks("two", at=NOW + 100 * TOKEN_LASTS) == "used", "a certificate that was replaced was used"
    assert hook.has() == "one"


def test_twice_the_same_certificate_is_let_in_again(hook: Hook) -> None:
    assert [hook.asks("one", at=NOW + minutes * MINUTE) for minutes in (0, 1, 50)] == ["yes"] * 3
    assert hook.claims.provisioned(ORGANISATION, SERIAL).at == NOW  # type: ignore[union-attr]


@pytest.mark.parametrize("left", ["PENDING_ACTIVATION", None], ids=["pending", "gone"])
def test_half_way_a_certificate_that_never_became_active_blocks_its_serial_for_an_hour(
    hook: Hook, left: str | None
) -> None:
    """IoT Core had a fault after the hook's answer: only that certificate may go on, as long as its token lasts."""
    hook.asks("one")
    if left is not None:
        hook.certificates.give(SERIAL, "one", left)
    assert hook.asks("two", at=NOW + TOKEN_LASTS) == "used"
    assert hook.asks("one", at=NOW + TOKEN_LASTS) == "yes"
    assert hook.asks("two", at=NOW + TOKEN_LASTS + timedelta(seconds=1)) == "yes"
    assert hook.has() == "two"


def test_of_two_at_once_one_wins(hook: Hook) -> None:
    hook.claims.meddlers.append(lambda: hook.asks("rival"))
    assert hook.asks("one") == "used"
    assert hook.has() == "rival"


def test_of_two_at_once_after_a_dead_certificate_one_wins(hook: Hook) -> None:
    hook.asks("dead")
    later = NOW + 2 * TOKEN_LASTS
    hook.claims.meddlers.append(lambda: hook.asks("rival", at=later))
    assert hook.asks("one", at=later) == "used"
    assert hook.has() == "rival"


def test_a_temporary_claim_lets_its_serial_in_once_more(hook: Hook) -> None:
    hook.asks("one")
    hook.certificates.give(SERIAL, "one")
    claim = hook.temporary()
    assert hook.asks("two", claim=claim) == "yes"
    assert hook.has() == "two"
    assert hook.asks("two", claim=claim) == "yes", "the answer was lost"
    assert hook.asks("three", claim=claim) == "used"
    assert hook.asks("four", claim=hook.temporary("claim-2")) == "yes"
    assert hook.asks("three", claim=claim) == "used", "another claim gives the first no second life"
    assert hook.asks("five") == "used", "and none to the maker's"


def test_r13_a_makers_claim_is_shut_by_a_temporary_one_even_if_nothing_came_of_that(hook: Hook) -> None:
    """What the maker's claim gave before is forgotten by then: it must not give once more."""
    hook.asks("one")
    hook.certificates.give(SERIAL, "one")
    hook.asks("two", claim=hook.temporary())
    hook.certificates.give(SERIAL, "two", "PENDING_ACTIVATION")
    assert hook.asks("three", at=NOW + 2 * TOKEN_LASTS) == "used"


@pytest.mark.parametrize(
    ("of", "why"),
    [({"serial": "BP-00018"}, "other-serials-claim"), ({"organisation": "clinic-b"}, "other-serials-claim")],
    ids=["serial", "organisation"],
)
def test_r81_a_temporary_claim_is_for_its_own_serial(hook: Hook, of: dict[str, str], why: str) -> None:
    assert hook.asks("one", claim=hook.temporary(**of)) == why
    assert hook.has() is None


def test_late_a_temporary_claim_that_expired_lets_nobody_in(hook: Hook) -> None:
    claim = hook.temporary()
    assert hook.asks("one", claim=claim, at=NOW + 5 * MINUTE) == "yes"
    assert hook.asks("one", claim=claim, at=NOW + 5 * MINUTE + timedelta(seconds=1)) == "expired-claim"


def test_of_two_at_once_with_one_temporary_claim_one_wins(hook: Hook) -> None:
    claim = hook.temporary()
    hook.claims.meddlers.append(lambda: hook.asks("rival", claim=claim))
    assert hook.asks("one", claim=claim) == "used"
    assert hook.has() == "rival"


def test_the_function_answers_as_iot_core_wants_it(
    hook: Hook, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for event, allowed in ((hook.event("one"), True), (hook.event("two"), False), ({}, False)):
        assert handler.handle(event, Context()) == {"allowProvisioning": allowed}
    refused = [vars(record) for record in caplog.records if record.levelno == logging.WARNING]
    assert [(one["reason"], one["claim"]) for one in refused] == [("used", MAKERS), ("malformed", None)]
    assert SERIAL not in str(refused), "a log names no device"
    assert capsys.readouterr().out.count('"ProvisioningRefused":[1.0]') == 2, "what the operators' alarm counts"


def test_the_function_asks_iot_core_about_a_certificate_that_may_be_dead(hook: Hook) -> None:
    iot = aws_client("iot")
    certificate = iot.create_keys_and_certificate(setAsActive=True)["certificateId"]
    before = Provisioned(ORGANISATION, SERIAL, certificate, MAKERS, NOW - 10 * TOKEN_LASTS)
    hook.claims.provision(before, after=None)
    assert handler.handle(hook.event("two"), Context()) == {"allowProvisioning": False}
    dead = replace(before, certificate="0" * 64)
    hook.claims.provision(dead, after=before)
    assert handler.handle(hook.event("two"), Context()) == {"allowProvisioning": True}


def test_the_functions_clock_is_aware() -> None:
    assert handler.clock().tzinfo is not None
