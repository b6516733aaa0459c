"""Keys of the archive, in table `registry`, and what they seal (R90).

| pk | sk | item |
|---|---|---|
| `{org}` | `archive-key` | the organisation's key, wrapped by the key service for this organisation alone |
| `{org}#subject#{subject}` | `subject` | `data_key`: the subject's key, wrapped by the organisation's |
| `{org}#key#{id}` | `key` | the same by its id, as a line of the archive names it |
| `{org}` | `nobodys-key#{yyyy-mm}` | a month's, for bytes that nobody is known for |

A subject's key goes, in both places, when the subject is erased; a month's when the quarantine forgets that month. A
line says which key sealed it and nothing of whose it is. Every cache here is by organisation (R83).
"""

import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.dynamodb import Item, batch_get, decode_item, encode_item
from domain.enrolment import DataKey

Key: TypeAlias = tuple[str, str]

_NONCE = 12
_BYTES = 32
_NOBODYS = "nobodys-key#"
_MOST_OPENED = 50_000
"""Of 32 bytes each, and the object around them."""


def archive_key(organisation: str) -> Key:
    return organisation, "archive-key"


def data_key_key(organisation: str, identifier: str) -> Key:
    return f"{organisation}#key#{identifier}", "key"


def nobodys_key(organisation: str, month: str) -> Key:
    return organisation, f"{_NOBODYS}{month}"


def seal(key: AESGCM, plain: bytes, bound_to: str) -> bytes:
    """A nonce and `plain` under AES-256-GCM; it opens only with the same `bound_to`."""
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, plain, bound_to.encode())


def unseal(key: AESGCM, sealed: bytes, bound_to: str) -> bytes:
    """Raises cryptography's InvalidTag when one bit is not as it was sealed."""
    return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to.encode())


@dataclass(frozen=True)
class KeyRing:
    """`kms_key` wraps what this makes. `nobodys_for` is how long bytes that nobody is known for can be read."""

    client: Any
    kms: Any
    table: str
    kms_key: str
    nobodys_for: timedelta = timedelta(days=90)
    _organisations: dict[str, AESGCM] = field(default_factory=dict, repr=False)
    _opened: dict[Key, AESGCM] = field(default_factory=dict, repr=False)

    def new_data_key(self, organisation: str) -> DataKey:
        """A subject's key, to be written with the subject. Its id is random: it tells nothing of the subject."""
        identifier = secrets.token_hex(8)
        sealed = seal(self._organisation(organisation), secrets.token_bytes(_BYTES), f"{organisation}#{identifier}")
        return DataKey(identifier, b64encode(sealed).decode())

    def open(self, organisation: str, key: DataKey) -> AESGCM:
        """The key itself."""
        return self._remembered((organisation, key.id), lambda: self._unwrapped(organisation, key.id, key.wrapped))

    def nobodys(self, organisation: str, at: datetime) -> tuple[str, AESGCM]:
        """The id and the key of the month for bytes that nobody is known for."""
        month = f"{at.astimezone(UTC):%Y-%m}"
        return month, self._remembered((organisation, month), lambda: self._of_month(organisation, month))

    def named(self, organisation: str, ids: Iterable[str]) -> dict[str, AESGCM]:
        """Those of the keys with these ids that are left: a key that is gone was erased, or its month is over."""
        keys = {nobodys_key(organisation, one) if "-" in one else data_key_key(organisation, one): one for one in ids}
        found = batch_get(self.client, {self.table: keys})
        return {
            keys[pk, sk]: self._unwrapped(organisation, keys[pk, sk], item["wrapped"])
            for (_, pk, sk), item in found.items()
        }

    def _remembered(self, name: Key, make: Callable[[], AESGCM]) -> AESGCM:
        if name not in self._opened:
            if len(self._opened) >= _MOST_OPENED:
                self._opened.clear()
            self._opened[name] = make()
        return self._opened[name]

    def _unwrapped(self, organisation: str, identifier: str, wrapped: str) -> AESGCM:
        sealed = b64decode(wrapped)
        return AESGCM(unseal(self._organisation(organisation), sealed, f"{organisation}#{identifier}"))

    def _of_month(self, organisation: str, month: str) -> AESGCM:
        item = self._read(nobodys_key(organisation, month))
        if item is None:
            sealed = seal(self._organisation(organisation), secrets.token_bytes(_BYTES), f"{organisation}#{month}")
            over = (datetime.fromisoformat(f"{month}-01T00:00:00+00:00") + timedelta(days=31)).replace(day=1)
            ends_at = int((over + self.nobodys_for).timestamp())
            wrapped = b64encode(sealed).decode()
            item = self._first(nobodys_key(organisation, month), {"wrapped": wrapped, "expires_at": ends_at})
        return self._unwrapped(organisation, month, item["wrapped"])

    def _organisation(self, organisation: str) -> AESGCM:
        """Unwrapped by the key service once a process."""
        if organisation not in self._organisations:
            context = {"organisation": organisation}
            item = self._read(archive_key(organisation))
            if item is None:
                made = self.kms.generate_data_key_without_plaintext(
                    KeyId=self.kms_key, KeySpec="AES_256", EncryptionContext=context
                )["CiphertextBlob"]
                item = self._first(archive_key(organisation), {"wrapped": b64encode(made).decode()})
            plain = self.kms.decrypt(
                KeyId=self.kms_key, CiphertextBlob=b64decode(item["wrapped"]), EncryptionContext=context
            )["Plaintext"]
            self._organisations[organisation] = AESGCM(plain)
        return self._organisations[organisation]

    def _read(self, key: Key) -> Item | None:
        return next(iter(batch_get(self.client, {self.table: [key]}).values()), None)

    def _first(self, key: Key, item: Item) -> Item:
        """`item` at `key`, unless another process was first: then what that one wrote."""
        names = {f"#{number}": name for number, name in enumerate(item)}
        sets = ", ".join(f"{short} = if_not_exists({short}, :{short[1:]})" for short in names)
        answer = self.client.update_item(
            TableName=self.table,
            Key=encode_item(dict(zip(("pk", "sk"), key, strict=True))),
            UpdateExpression=f"SET {sets}",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=encode_item({f":{short[1:]}": item[name] for short, name in names.items()}),
            ReturnValues="ALL_NEW",
        )
        return decode_item(answer["Attributes"])
