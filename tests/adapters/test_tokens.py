"""Tokens: only the pool's own, for access, in time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.tokens import Caller, InvalidToken, KeysUnavailable, Tokens, keys_url
from tests.in_process import ISSUER, KEY, Answered, FakeKeys, a_token, jwks

STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def tokens(*answers: Any) -> tuple[Tokens, FakeKeys]:
    keys = FakeKeys(list(answers) or [Answered(200, jwks(k1=KEY))])
    return Tokens(ISSUER, "https://keys", keys), keys  # type: ignore[arg-type]


def now() -> datetime:
    return datetime.now(UTC)


def test_a_good_token_names_its_client_and_scopes() -> None:
    verifier, _ = tokens()
    assert verifier.verify(a_token(scope="pma/read pma/enrol"), now()) == Caller(
        "client-a", frozenset({"pma/read", "pma/enrol"})
    )


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        a_token(key=STRANGER),
        a_token(kid="unknown"),
        a_token(iss="https://cognito-idp.eu-central-1.amazonaws.com/another"),
        a_token(iss=None),
        a_token(token_use="id"),
        a_token(token_use=None),
        a_token(exp=int(time.time()) - 1),
        a_token(exp=None),
        a_token(client_id=None),
        a_token(scope=None),
        a_token()[:-4] + "AAAA",
        a_token(key="s" * 32, algorithm="HS256"),  # type: ignore[arg-type]
        a_token(key=None, algorithm="none"),  # type: ignore[arg-type]
    ],
    ids=[
        "empty", "no token", "signed by a stranger", "no such key", "another pool", "no issuer", "an id token",
        "no use", "expired", "no expiry", "no client", "no scope", "tampered", "symmetric", "unsigned",
    ],
)  # fmt: skip
def test_no_other_token_is_accepted(token: str) -> None:
    verifier, _ = tokens()
    with pytest.raises(InvalidToken) as refused:
        verifier.verify(token, now())
    assert not token or token not in str(refused.value)


def test_a_token_expires_by_the_clock_that_is_handed_over() -> None:
    verifier, _ = tokens()
    token = a_token()
    verifier.verify(token, now())
    with pytest.raises(InvalidToken, match="expired"):
        verifier.verify(token, now() + timedelta(hours=2))


def test_keys_are_kept_and_asked_for_again_after_an_hour() -> None:
    verifier, keys = tokens()
    start = now()
    for minutes in (0, 10, 59):
        verifier.verify(a_token(), start + timedelta(minutes=minutes))
    assert keys.asked == 1
    verifier.verify(a_token(exp=int(time.time()) + 9000), start + timedelta(minutes=60))
    assert keys.asked == 2


def test_a_new_key_is_found_at_once_and_invented_ones_do_not_make_us_ask_without_end() -> None:
    verifier, keys = tokens(Answered(200, jwks(k1=KEY)), Answered(200, jwks(k1=KEY, k2=STRANGER)))
    start = now()
    verifier.verify(a_token(), start)
    later = start + timedelta(seconds=10)
    assert verifier.verify(a_token(key=STRANGER, kid="k2"), later).client_id == "client-a"
    for number in range(20):
        with pytest.raises(InvalidToken, match="no such key"):
            verifier.verify(a_token(kid=f"invented-{number}"), later + timedelta(seconds=1))
    assert keys.asked == 2


@pytest.mark.parametrize(
    "answer", [Answered(500), urllib3.exceptions.ProtocolError("reset")], ids=["refused", "no answer"]
)
def test_when_the_keys_cannot_be_read_what_we_kept_still_serves(answer: Any) -> None:
    verifier, _ = tokens(answer)
    with pytest.raises(KeysUnavailable):
        verifier.verify(a_token(), now())
    verifier, _ = tokens(Answered(200, jwks(k1=KEY)), answer)
    verifier.verify(a_token(), now())
    an_hour_on = now() + timedelta(minutes=61)
    assert verifier.verify(a_token(exp=int(time.time()) + 9000), an_hour_on).client_id == "client-a"


def test_where_a_pool_shows_its_keys() -> None:
    assert (
        keys_url("eu-central-1_abc", {})
        == "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abc/.well-known/jwks.json"
    )
    assert (
        keys_url("eu-central-1_abc", {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566/"})
        == "http://127.0.0.1:4566/eu-central-1_abc/.well-known/jwks.json"
    )
