"""Whether a person consents, as the hospitals are to be told, in table `alerts`, whose stream export reads.

| pk | sk | item |
|---|---|---|
| `{org}#{subject}` | `consent` | when it was given, withdrawn, erased; `version`, `programmes` |

It is written in the transaction that changes the consent, and outlives its subject: after withdrawal and erasure it is
the only thing still sent (P5). Who is told of an erasure depends on the programmes, which are an illness: once they are
in the stream `functions/erase` takes them out. The version stays, so that nobody is told again.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from adapters.dynamodb import Item, decode_item, encode_item
from domain.enrolment import ConsentTold

Key: TypeAlias = tuple[str, str]

CONSENT = "consent"
_TIMES = ("given_at", "withdrawn_at", "erased_at")


def consent_key(organisation: str, subject: str) -> Key:
    return f"{organisation}#{subject}", CONSENT


def to_consent(item: Item) -> ConsentTold:
    times = {name: None if item[name] is None else datetime.fromisoformat(item[name]) for name in _TIMES}
    return ConsentTold(
        organisation=item["organisation"],
        subject=item["subject"],
        version=int(item["version"]),
        programmes=tuple(item["programmes"]),
        **times,
    )


def from_consent(told: ConsentTold) -> Item:
    pk, sk = consent_key(told.organisation, told.subject)
    item = {"pk": pk, "sk": sk, "organisation": told.organisation, "subject": told.subject, "version": told.version}
    return item | {"programmes": told.programmes} | {name: getattr(told, name) for name in _TIMES}


def consent_put(table: str, told: ConsentTold) -> Item:
    """The part of a transaction that has `told` told."""
    return {"Put": {"TableName": table, "Item": encode_item(from_consent(told))}}


def is_of_consent(record: Mapping[str, Any]) -> bool:
    """True for a record of the table's stream that brings what is to be told of somebody's consent."""
    change = record["dynamodb"]
    before, after = change.get("OldImage"), change.get("NewImage")
    if after is None or change["Keys"]["sk"]["S"] != CONSENT:
        return False
    return before is None or bool(before["version"] != after["version"])


def from_record(record: Mapping[str, Any]) -> tuple[Key, ConsentTold]:
    item = decode_item(record["dynamodb"]["NewImage"])
    return (item["pk"], item["sk"]), to_consent(item)
