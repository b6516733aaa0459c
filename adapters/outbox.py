"""The outbox of alerts after it was written: into the two queues, and what of a notice has been told already."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from adapters.alerts import outbox_key
from adapters.dynamodb import batch_get, encode, encode_item
from adapters.registry import organisation_key, subject_key, to_organisation, to_subject
from domain.notification import Notice, Standing

_MESSAGES_A_SEND = 10


def to_body(notice: Notice) -> str:
    """The message of queues `critical` and `ordinary`."""
    return json.dumps(asdict(notice) | {"received_at": notice.received_at.isoformat()}, separators=(",", ":"))


def from_body(body: str) -> Notice:
    message = json.loads(body)
    return Notice(
        organisation=message["organisation"],
        subject=message["subject"],
        alert=message["alert"],
        version=int(message["version"]),
        severity=message["severity"],
        roles=tuple(message["roles"]),
        step=message["step"],
        received_at=datetime.fromisoformat(message["received_at"]),
    )


@dataclass(frozen=True)
class Queues:
    """Critical and ordinary notices wait apart, so that a storm of the one does not delay the other (R65)."""

    client: Any
    critical: str
    ordinary: str

    def send(self, notices: Sequence[Notice]) -> set[int]:
        """Queue each notice by its severity. Returns the indices of those that the queue did not take."""
        failed: set[int] = set()
        for url, severe in ((self.critical, True), (self.ordinary, False)):
            mine = [at for at, notice in enumerate(notices) if (notice.severity == "critical") is severe]
            for start in range(0, len(mine), _MESSAGES_A_SEND):
                some = mine[start : start + _MESSAGES_A_SEND]
                answer = self.client.send_message_batch(
                    QueueUrl=url, Entries=[{"Id": str(at), "MessageBody": to_body(notices[at])} for at in some]
                )
                failed |= {int(entry["Id"]) for entry in answer.get("Failed", ())}
        return failed


@dataclass(frozen=True)
class Outbox:
    """What notify reads of a notice in one call, and the marks of who has been told."""

    client: Any
    table: str
    registry: str

    def standing(self, notice: Notice) -> Standing:
        """Who the notice is about, where the organisation is told, and which of its contacts have been told."""
        row = self.table, *outbox_key(notice.organisation, notice.subject, notice.alert, notice.version)
        subject = self.registry, *subject_key(notice.organisation, notice.subject)
        organisation = self.registry, *organisation_key(notice.organisation)
        found = batch_get(self.client, {self.table: [row[1:]], self.registry: [subject[1:], organisation[1:]]})
        return Standing(
            subject=to_subject(found[subject]) if subject in found else None,
            organisation=to_organisation(found[organisation]) if organisation in found else None,
            told=frozenset(found[row]["told"]) if row in found else None,
        )

    def mark(self, notice: Notice, told: Collection[str], at: datetime) -> None:
        """Note `told` (names of contacts, never addresses) as told at `at`."""
        if not told:
            return
        pk, sk = outbox_key(notice.organisation, notice.subject, notice.alert, notice.version)
        names: Mapping[str, str] = {f"#c{number}": name for number, name in enumerate(sorted(told))}
        self.client.update_item(
            TableName=self.table,
            Key=encode_item({"pk": pk, "sk": sk}),
            UpdateExpression="SET " + ", ".join(f"told.{name} = :at" for name in names),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":at": encode(at)},
        )
