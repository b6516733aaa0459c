"""Table `registry`: what is enrolled. Every key starts with the organisation, but for `serial -> organisation`
and `client -> organisation`, which are how an organisation is found at all.

| pk | sk | item |
|---|---|---|
| `client#{client id}` | `client` | the organisation of an API client |
| `serial#{serial}` | `serial` | the organisation that enrolled this serial first |
| `{org}` | `organisation` | its name and topic |
| `{org}#subject#{subject}` | `subject` | programmes, zone, language, consent |
| `{org}#subject#{subject}` | `plan` | the newest care plan versions, those that may still judge a reading |
| `{org}#subject#{subject}` | `plan#{version:08d}` | one version, for ever |
| `{org}#device#{serial}` | `device` | profile, class and all assignments |
| `{org}#endpoints` | `{endpoint}` | where a MIS receives |
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from adapters.dynamodb import Item, batch_get, query
from domain.enrolment import Assignment, Consent, Device, Endpoint, Organisation, Subject

Key: TypeAlias = tuple[str, str]


def client_key(client_id: str) -> Key:
    return f"client#{client_id}", "client"


def serial_key(serial: str) -> Key:
    return f"serial#{serial}", "serial"


def organisation_key(organisation: str) -> Key:
    return organisation, "organisation"


def subject_key(organisation: str, subject: str) -> Key:
    return f"{organisation}#subject#{subject}", "subject"


def plan_key(organisation: str, subject: str) -> Key:
    return f"{organisation}#subject#{subject}", "plan"


def plan_version_key(organisation: str, subject: str, version: int) -> Key:
    return f"{organisation}#subject#{subject}", f"plan#{version:08d}"


def device_key(organisation: str, serial: str) -> Key:
    return f"{organisation}#device#{serial}", "device"


def endpoint_key(organisation: str, endpoint: str) -> Key:
    return f"{organisation}#endpoints", endpoint


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def to_organisation(item: Item) -> Organisation:
    return Organisation(
        id=item["pk"], name=item["name"], topic=item["topic"], created_at=datetime.fromisoformat(item["created_at"])
    )


def to_subject(item: Item) -> Subject:
    consent = item.get("consent")
    return Subject(
        id=item["id"],
        organisation=item["organisation"],
        programmes=tuple(item["programmes"]),
        time_zone=item["time_zone"],
        language=item["language"],
        consent=None
        if consent is None
        else Consent(datetime.fromisoformat(consent["given_at"]), _time(consent.get("withdrawn_at"))),
        emergency_text=item.get("emergency_text"),
        version=int(item["version"]),
    )


def to_device(item: Item) -> Device:
    return Device(
        serial=item["id"],
        organisation=item["organisation"],
        profile=item["profile"],
        device_class=item["class"],
        version=int(item["version"]),
        lot=item.get("lot"),
        gateway=item.get("gateway"),
        roster=tuple(item.get("roster", ())),
        revoked_at=_time(item.get("revoked_at")),
        assignments=tuple(
            Assignment(
                id=one["id"],
                subject=one["subject"],
                from_at=datetime.fromisoformat(one["from"]),
                to_at=_time(one.get("to")),
                slot=None if one.get("slot") is None else int(one["slot"]),
            )
            for one in item.get("assignments", ())
        ),
    )


def to_endpoint(item: Item) -> Endpoint:
    return Endpoint(
        id=item["sk"],
        organisation=item["organisation"],
        url=item["url"],
        kinds=tuple(item["kinds"]),
        programmes=tuple(item["programmes"]),
        mode=item["mode"],
        window_seconds=int(item["window_seconds"]),
        shards=int(item["shards"]),
        state=item["state"],
        secret=item["secret"],
        version=int(item["version"]),
        created_at=datetime.fromisoformat(item["created_at"]),
    )


@dataclass(frozen=True)
class RegistryReader:
    """What the stages read of the registry, always consistently, many at a time."""

    client: Any
    table: str

    def organisations_of(self, serials: Iterable[str]) -> dict[str, str]:
        """`{serial: organisation}` of those that are enrolled."""
        found = batch_get(self.client, {self.table: [serial_key(serial) for serial in serials]})
        return {pk.removeprefix("serial#"): item["organisation"] for (_, pk, _), item in found.items()}

    def organisations(self, ids: Iterable[str]) -> dict[str, Organisation]:
        found = batch_get(self.client, {self.table: [organisation_key(one) for one in ids]})
        return {item["pk"]: to_organisation(item) for item in found.values()}

    def devices(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Device]:
        """`{(organisation, serial): Device}` of those that are enrolled."""
        found = batch_get(self.client, {self.table: [device_key(*key) for key in keys]})
        return {(item["organisation"], item["id"]): to_device(item) for item in found.values()}

    def subjects(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Subject]:
        """`{(organisation, subject): Subject}` of those that are enrolled."""
        found = batch_get(self.client, {self.table: [subject_key(*key) for key in keys]})
        return {(item["organisation"], item["id"]): to_subject(item) for item in found.values()}

    def endpoints(self, organisation: str) -> list[Endpoint]:
        """All endpoints of an organisation, enabled or not, by id."""
        return [
            to_endpoint(item)
            for item in query(
                self.client,
                TableName=self.table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": endpoint_key(organisation, "")[0]}},
            )
        ]
