"""Access tokens of the user pool: who calls, and what for.

The function verifies them itself, because a gateway's authorizer stops at 50 clients.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt
import urllib3
from jwt.algorithms import RSAAlgorithm
from jwt.types import Options

from domain.errors import PmaError

_REFRESH_AFTER = timedelta(hours=1)
_ASK_AGAIN_AFTER = timedelta(seconds=10)  # else tokens with invented key ids would make us ask without end
_TIMEOUT = urllib3.Timeout(connect=2, read=3)
_OPTIONS: Options = {
    "require": ["exp", "iss", "client_id", "token_use", "scope"],
    "verify_exp": False,  # judged below, by the clock that we are handed
    "verify_iat": False,
    "verify_aud": False,  # access tokens of a user pool name a client, not an audience
}


class InvalidToken(PmaError):
    """The caller did not prove who it is; the text says what is wrong with the token, never the token."""


class KeysUnavailable(PmaError):
    """The user pool's keys cannot be read at present: try again."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is and what it allows."""

    client_id: str
    scopes: frozenset[str]


def keys_url(user_pool: str, environ: Mapping[str, str] = os.environ) -> str:
    """Where the pool `user_pool` shows its public keys: at the cloud's own address, or where its endpoint points."""
    region = user_pool.partition("_")[0]
    endpoint = environ.get("AWS_ENDPOINT_URL", f"https://cognito-idp.{region}.amazonaws.com")
    return f"{endpoint.rstrip('/')}/{user_pool}/.well-known/jwks.json"


@dataclass
class Tokens:
    """Verifies tokens of `issuer` with the keys shown at `url`, which are kept for an hour."""

    issuer: str
    url: str
    http: urllib3.PoolManager = field(default_factory=urllib3.PoolManager)
    _keys: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _asked_at: datetime | None = field(default=None, init=False, repr=False)

    def verify(self, token: str, now: datetime) -> Caller:
        """The caller whose valid access token this is. Raises InvalidToken, KeysUnavailable."""
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid", ""), now)
            claims = jwt.decode(token, key, algorithms=["RS256"], issuer=self.issuer, options=_OPTIONS)
        except jwt.InvalidTokenError as error:
            raise InvalidToken(f"not a token of ours: {type(error).__name__}") from None
        if claims["token_use"] != "access":  # noqa: S105 - a claim, no password
            raise InvalidToken("not an access token")
        if int(claims["exp"]) <= now.timestamp():
            raise InvalidToken("the token has expired")
        return Caller(client_id=claims["client_id"], scopes=frozenset(claims["scope"].split()))

    def _key(self, key_id: str, now: datetime) -> Any:
        age = None if self._asked_at is None else now - self._asked_at
        if age is None or age >= _REFRESH_AFTER or (key_id not in self._keys and age >= _ASK_AGAIN_AFTER):
            try:
                self._keys = self._fetch()
            except KeysUnavailable:
                if key_id not in self._keys:
                    raise  # what we kept still serves: the pool's short absence is not to be ours
            self._asked_at = now
        if key_id not in self._keys:
            raise InvalidToken("not a token of ours: no such key")
        return self._keys[key_id]

    def _fetch(self) -> dict[str, Any]:
        try:
            answer = self.http.request("GET", self.url, timeout=_TIMEOUT, retries=urllib3.Retry(2, backoff_factor=0.1))
        except urllib3.exceptions.HTTPError as error:
            raise KeysUnavailable("the user pool's keys cannot be read") from error
        if answer.status != 200:
            raise KeysUnavailable(f"the user pool's keys cannot be read: {answer.status}")
        return {
            shown["kid"]: RSAAlgorithm.from_jwk(shown) for shown in answer.json()["keys"] if shown.get("kty") == "RSA"
        }
