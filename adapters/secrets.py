"""Secrets Manager: what signs the deliveries of an endpoint.

A secret's value is `{"keys": [{"secret": "whsec_…", "until": null}, …]}`, the newest first: while a secret is
rotated the older one still signs until its `until`.
"""

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.delivery import SECRET_PREFIX, Key

OVERLAP = timedelta(hours=24)
"""How long a secret that was rotated goes on signing: a hospital must be able to change over in its own time."""

_FRESH = timedelta(minutes=1)
"""How long a process may go on with what it has read: short beside the time that an old key goes on signing."""


def generate() -> str:
    """A new signing secret: `whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True)
class Secrets:
    client: Any
    _read: dict[str, tuple[datetime, tuple[Key, ...]]] = field(default_factory=dict, repr=False)

    def signing(self, name: str, now: datetime) -> list[str]:
        """The secrets in force now, the newest first. `name` holds the organisation, so no cache is shared by two."""
        read_at, keys = self._read.get(name, (None, ()))
        if read_at is None or now - read_at > _FRESH:
            value = json.loads(self.client.get_secret_value(SecretId=name)["SecretString"])
            keys = tuple(
                Key(one["secret"], None if one["until"] is None else datetime.fromisoformat(one["until"]))
                for one in value["keys"]
            )
            self._read[name] = now, keys
        return [key.secret for key in keys if key.until is None or now < key.until]

    def keep(self, name: str, keys: Iterable[Key]) -> None:
        """Write the keys of an endpoint, whether or not it had any."""
        value = json.dumps(
            {
                "keys": [
                    {"secret": key.secret, "until": None if key.until is None else key.until.isoformat()}
                    for key in keys
                ]
            }
        )
        try:
            self.client.create_secret(Name=name, SecretString=value)
        except self.client.exceptions.ResourceExistsException:
            self.client.put_secret_value(SecretId=name, SecretString=value)
        self._read.pop(name, None)

    def forget(self, name: str) -> None:
        """Delete a secret at once; one that is gone already stays gone."""
        self.client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        self._read.pop(name, None)


@dataclass(frozen=True)
class EndpointSecrets:
    """Makes and deletes the secrets of endpoints; all their names begin with `prefix`."""

    secrets: Secrets
    prefix: str

    def create(self, organisation: str, endpoint: str) -> tuple[str, str]:
        """A new signing secret: the name under which it is kept, and the secret, which is shown once.

        The name is new as well: of two racing creations the loser forgets its own and not the winner's, and a deleted
        name may not be free again for a while.
        """
        name = f"{self.prefix}{organisation}/{endpoint}/{secrets.token_hex(4)}"
        secret = generate()
        self.secrets.keep(name, [Key(secret, None)])
        return name, secret

    def rotate(self, name: str, organisation: str, endpoint: str, now: datetime) -> tuple[str, str]:
        """As `create`, under another name, and what signs now goes on signing beside it for OVERLAP (R73).

        Another name again: of two racing rotations one is in force as a whole, and the loser forgets its own.
        """
        new = f"{self.prefix}{organisation}/{endpoint}/{secrets.token_hex(4)}"
        secret = generate()
        self.secrets.keep(new, [Key(secret), *(Key(one, now + OVERLAP) for one in self.secrets.signing(name, now)[:1])])
        return new, secret

    def signing(self, name: str, now: datetime) -> list[str]:
        return self.secrets.signing(name, now)

    def forget(self, name: str) -> None:
        self.secrets.forget(name)
