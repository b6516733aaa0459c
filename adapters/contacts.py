"""Table `contacts`, the vault: where people are told, sealed under a key of its own.

| pk | sk | item |
|---|---|---|
| `{org}#{subject}` | `contacts` | `sealed` (JSON encrypted for this organisation and subject alone), `version` |

The API seals and cannot open; notify opens and cannot seal (P1).
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from adapters.dynamodb import AttributeValues, encode_item
from domain.notification import Contacts, to_contacts

Key: TypeAlias = tuple[str, str]


def contacts_key(organisation: str, subject: str) -> Key:
    return f"{organisation}#{subject}", "contacts"


def _key(organisation: str, subject: str) -> AttributeValues:
    pk, sk = contacts_key(organisation, subject)
    return encode_item({"pk": pk, "sk": sk})


def _context(organisation: str, subject: str) -> dict[str, str]:
    """What a sealed text is bound to: under another subject's name it does not open."""
    return {"organisation": organisation, "subject": subject}


@dataclass(frozen=True)
class ContactVault:
    """The side that seals."""

    client: Any
    kms: Any
    table: str
    key: str

    def seal(self, organisation: str, subject: str, contacts: Mapping[str, Any]) -> None:
        """Write `{role: [{"channel", "address"}]}`, at most 4,096 bytes of JSON, over what was there."""
        sealed = self.kms.encrypt(
            KeyId=self.key,
            Plaintext=json.dumps(contacts, separators=(",", ":")).encode(),
            EncryptionContext=_context(organisation, subject),
        )["CiphertextBlob"]
        self.client.update_item(
            TableName=self.table,
            Key=_key(organisation, subject),
            UpdateExpression="SET sealed = :sealed ADD version :one",
            ExpressionAttributeValues={":sealed": {"S": b64encode(sealed).decode()}, ":one": {"N": "1"}},
        )

    def holds(self, organisation: str, subject: str) -> bool:
        """True when the subject has contacts; nothing is opened."""
        found = self.client.get_item(
            TableName=self.table,
            Key=_key(organisation, subject),
            ConsistentRead=True,
            ProjectionExpression="version",
        )
        return "Item" in found


@dataclass(frozen=True)
class ContactOpener:
    """The side that opens."""

    client: Any
    kms: Any
    table: str
    key: str

    def open(self, organisation: str, subject: str) -> Contacts:
        """The subject's contacts, read consistently; none by any role when nobody put any."""
        found = self.client.get_item(TableName=self.table, Key=_key(organisation, subject), ConsistentRead=True)
        if "Item" not in found:
            return Contacts({}, 0)
        plain = self.kms.decrypt(
            KeyId=self.key,
            CiphertextBlob=b64decode(found["Item"]["sealed"]["S"]),
            EncryptionContext=_context(organisation, subject),
        )["Plaintext"]
        return to_contacts(json.loads(plain), int(found["Item"]["version"]["N"]))
