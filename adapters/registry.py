"""Table `registry`: what is enrolled. Every key starts with the organisation, but for `serial -> organisation`
and `client -> organisation`, which are how an organisation is found at all.

| pk | sk | item |
|---|---|---|
| `client#{client id}` | `client` | the organisation of an API client |
| `serial#{serial}` | `serial` | the organisation that enrolled this serial first |
| `{org}` | `organisation` | its name and topic |
| `{org}#subject#{subject}` | `subject` | programmes, zone, language, consent; `told_to`: the last week exported |
| `{org}#subject#{subject}` | `norm` | what judges its readings: programmes, zone, consent; newest plan versions |
| `{org}#subject#{subject}` | `plan#{version:08d}` | one version, for ever |
| `{org}#subject#{subject}` | `assignment#{id}` | serial and period of an assignment: what a subject holds and held |
| `{org}#device#{serial}` | `device` | profile, class and all assignments |
| `{org}` | `recalls` | the recalls in force, in one item: ingest reads it with every batch |
| `{org}#endpoints` | `{endpoint}` | where a MIS receives |

A `norm` has what `subject` says of them once more, written in one transaction with it, beside the care plan's newest
versions (adapters/care_plans.py): evaluate reads it and nothing else of the registry.

Index `fleet`: `fleet` = `{org}#{shelf}` of a device, `id` its serial;
`{org}#subjects` of a subject, `id` its token.
The table's stream drives replay (`is_of_a_device`, `is_of_recalls`).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from operator import itemgetter
from typing import Any, TypeAlias

from adapters.consent import consent_put
from adapters.cursor import read_cursor, write_cursor
from adapters.dynamodb import (
    AttributeValues,
    Item,
    batch_get,
    batch_get_encoded,
    decode_item,
    encode,
    encode_item,
    query,
    query_encoded,
    transact,
)
from adapters.sealing import data_key_key
from domain.enrolment import (
    Assignment,
    Attended,
    Consent,
    ConsentTold,
    DataKey,
    Device,
    Endpoint,
    Holder,
    Holding,
    Organisation,
    Subject,
)
from domain.reading import Clock, Status
from domain.recall import Recall
from domain.request import TOKEN

Key: TypeAlias = tuple[str, str]

_FLEET = "fleet"
_TEXT = itemgetter("S")
_NULL: AttributeValues = {"NULL": True}
_NONE: AttributeValues = {"L": []}


def client_key(client_id: str) -> Key:
    return f"client#{client_id}", "client"


def serial_key(serial: str) -> Key:
    return f"serial#{serial}", "serial"


def organisation_key(organisation: str) -> Key:
    return organisation, "organisation"


def subject_key(organisation: str, subject: str) -> Key:
    return f"{organisation}#subject#{subject}", "subject"


def norm_key(organisation: str, subject: str) -> Key:
    return f"{organisation}#subject#{subject}", "norm"


def plan_version_key(organisation: str, subject: str, version: int) -> Key:
    return f"{organisation}#subject#{subject}", f"plan#{version:08d}"


def holding_key(organisation: str, subject: str, assignment: str) -> Key:
    return f"{organisation}#subject#{subject}", f"assignment#{assignment}"


def device_key(organisation: str, serial: str) -> Key:
    return f"{organisation}#device#{serial}", "device"


def tombstone_key(organisation: str, subject: str) -> Key:
    """In table `erasures` (adapters/erasures.py)."""
    return f"{organisation}#{subject}", "tombstone"


def recalls_key(organisation: str) -> Key:
    return organisation, "recalls"


def endpoint_key(organisation: str, endpoint: str) -> Key:
    return f"{organisation}#endpoints", endpoint


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def to_organisation(item: Item) -> Organisation:
    return Organisation(
        id=item["pk"],
        name=item["name"],
        topic=item["topic"],
        created_at=datetime.fromisoformat(item["created_at"]),
        requests_per_second=int(item.get("requests_per_second", 50)),
        suspended_at=_time(item.get("suspended_at")),
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
        data_key=None if item.get("data_key") is None else DataKey(item["data_key"]["id"], item["data_key"]["wrapped"]),
        told_to=date.fromisoformat(item["told_to"]) if "told_to" in item else None,
    )


ATTENDED = ("programmes", "time_zone", "consent")
"""The attributes of a subject that its `norm` has too."""


def to_attended(row: AttributeValues) -> Attended:
    """What of a subject decides how its readings are judged, of a row as the table gives it."""
    return Attended(tuple(map(_TEXT, row["programmes"]["L"])), row["time_zone"]["S"], _to_consent(row["consent"]))


_HOLDER = ("time_zone", "consent", "data_key")


def to_holder(subject: str, row: AttributeValues) -> Holder:
    """What of a subject decides whose a reading is, of a row as the table gives it."""
    key = row.get("data_key", _NULL).get("M")
    return Holder(
        id=subject,
        time_zone=row["time_zone"]["S"],
        consent=_to_consent(row.get("consent", _NULL)),
        data_key=None if key is None else DataKey(key["id"]["S"], key["wrapped"]["S"]),
    )


def _to_consent(attribute: AttributeValues) -> Consent | None:
    given = attribute.get("M")
    if given is None:
        return None
    ended = given["withdrawn_at"].get("S")
    return Consent(datetime.fromisoformat(given["given_at"]["S"]), ended and datetime.fromisoformat(ended))


def _subjects(organisation: str) -> str:
    return f"{organisation}#subjects"


def to_device(row: AttributeValues) -> Device:
    """The device of a row as the table and its stream give it, since that is read for every reading."""
    status = row.get("status", _NULL).get("M")
    return Device(
        serial=row["id"]["S"],
        organisation=row["organisation"]["S"],
        profile=row["profile"]["S"],
        device_class=row["class"]["S"],
        version=int(row["version"]["N"]),
        lot=row.get("lot", _NULL).get("S"),
        gateway=row.get("gateway", _NULL).get("S"),
        cloud=row.get("cloud", _NULL).get("S"),
        roster=tuple([one["S"] for one in row.get("roster", _NONE)["L"]]),
        revoked_at=_time(row.get("revoked_at", _NULL).get("S")),
        assignments=tuple([_to_assignment(one["M"]) for one in row.get("assignments", _NONE)["L"]]),
        status=None if status is None else _to_status(decode_item(status)),
    )


def _to_assignment(row: AttributeValues) -> Assignment:
    slot = row.get("slot", _NULL).get("N")
    return Assignment(
        id=row["id"]["S"],
        subject=row["subject"]["S"],
        from_at=datetime.fromisoformat(row["from"]["S"]),
        to_at=_time(row.get("to", _NULL).get("S")),
        slot=None if slot is None else int(slot),
    )


def _to_status(item: Item) -> Status:
    clock = item["clock"]
    return Status(
        told_at=datetime.fromisoformat(item["told_at"]),
        battery=item["battery"],
        firmware=item["firmware"],
        clock=None
        if clock is None
        else Clock(datetime.fromisoformat(clock["device"]), datetime.fromisoformat(clock["true"])),
    )


def _from_status(status: Status) -> Item:
    clock = status.clock
    return {
        "told_at": status.told_at,
        "battery": status.battery,
        "firmware": status.firmware,
        "clock": None if clock is None else {"device": clock.device, "true": clock.true},
    }


def to_recalls(item: Item) -> tuple[Recall, ...]:
    return tuple(
        Recall(
            id=one["id"],
            organisation=item["pk"],
            mode=one["mode"],
            reason=one["reason"],
            created_at=datetime.fromisoformat(one["created_at"]),
            profile=one["profile"],
            lot=one["lot"],
            serials=None if one["serials"] is None else (one["serials"][0], one["serials"][1]),
        )
        for one in item["recalls"]
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


def from_organisation(organisation: Organisation) -> Item:
    pk, sk = organisation_key(organisation.id)
    return {
        "pk": pk,
        "sk": sk,
        "name": organisation.name,
        "topic": organisation.topic,
        "created_at": organisation.created_at,
        "requests_per_second": organisation.requests_per_second,
        "suspended_at": organisation.suspended_at,
    }


def from_subject(subject: Subject) -> Item:
    pk, sk = subject_key(subject.organisation, subject.id)
    consent = subject.consent
    return {
        "pk": pk,
        "sk": sk,
        "organisation": subject.organisation,
        "id": subject.id,
        "fleet": _subjects(subject.organisation),
        "programmes": subject.programmes,
        "time_zone": subject.time_zone,
        "language": subject.language,
        "consent": None if consent is None else {"given_at": consent.given_at, "withdrawn_at": consent.withdrawn_at},
        "emergency_text": subject.emergency_text,
        "data_key": None if subject.data_key is None else _from_data_key(subject.data_key),
        "version": subject.version,
        **({"told_to": subject.told_to.isoformat()} if subject.told_to else {}),
    }


def _from_data_key(key: DataKey) -> Item:
    return {"id": key.id, "wrapped": key.wrapped}


def _from_assignment(assignment: Assignment) -> Item:
    return {
        "id": assignment.id,
        "subject": assignment.subject,
        "from": assignment.from_at,
        "to": assignment.to_at,
        "slot": assignment.slot,
    }


def from_device(device: Device) -> Item:
    pk, sk = device_key(device.organisation, device.serial)
    return {
        "pk": pk,
        "sk": sk,
        "organisation": device.organisation,
        "id": device.serial,
        "profile": device.profile,
        "class": device.device_class,
        "lot": device.lot,
        "gateway": device.gateway,
        "cloud": device.cloud,
        "roster": device.roster,
        "revoked_at": device.revoked_at,
        "assignments": [_from_assignment(one) for one in device.assignments],
        "status": None if device.status is None else _from_status(device.status),
        "told_at": "" if device.status is None else _moment(device.status),
        "version": device.version,
        "fleet": f"{device.organisation}#{shelf(device.serial)}",
    }


def shelf(serial: str) -> str:
    """Which of an organisation's sixteen shelves a device is on: together they are its fleet, and none is hot (R32)."""
    return sha256(serial.encode()).hexdigest()[0]


def _from_holding(device: Device, assignment: Assignment) -> Item:
    pk, sk = holding_key(device.organisation, assignment.subject, assignment.id)
    return {"pk": pk, "sk": sk, "serial": device.serial, **_from_assignment(assignment)}


def from_recalls(organisation: str, recalls: Iterable[Recall], *, version: int) -> Item:
    pk, sk = recalls_key(organisation)
    listed = [
        {
            "id": one.id,
            "mode": one.mode,
            "reason": one.reason,
            "created_at": one.created_at,
            "profile": one.profile,
            "lot": one.lot,
            "serials": one.serials,
        }
        for one in recalls
    ]
    return {"pk": pk, "sk": sk, "organisation": organisation, "recalls": listed, "version": version}


def from_endpoint(endpoint: Endpoint) -> Item:
    pk, sk = endpoint_key(endpoint.organisation, endpoint.id)
    return {
        "pk": pk,
        "sk": sk,
        "organisation": endpoint.organisation,
        "url": endpoint.url,
        "kinds": endpoint.kinds,
        "programmes": endpoint.programmes,
        "mode": endpoint.mode,
        "window_seconds": endpoint.window_seconds,
        "shards": endpoint.shards,
        "state": endpoint.state,
        "secret": endpoint.secret,
        "version": endpoint.version,
        "created_at": endpoint.created_at,
    }


def is_of_a_device(record: Mapping[str, Any]) -> bool:
    """True for a record of the table's stream that brings a new or changed device."""
    return "NewImage" in record["dynamodb"] and bool(record["dynamodb"]["Keys"]["sk"]["S"] == "device")


def devices_in(record: Mapping[str, Any]) -> tuple[Device | None, Device]:
    """The device before and after such a record."""
    change = record["dynamodb"]
    return to_device(change["OldImage"]) if "OldImage" in change else None, to_device(change["NewImage"])


def is_of_recalls(record: Mapping[str, Any]) -> bool:
    """True for a record of the table's stream that changes the recalls of an organisation."""
    return bool(record["dynamodb"]["Keys"]["sk"]["S"] == "recalls")


def recalls_in(record: Mapping[str, Any]) -> tuple[tuple[Recall, ...], tuple[Recall, ...]]:
    """The recalls in force before and after such a record."""
    change = record["dynamodb"]
    before, after = (
        to_recalls(decode_item(change[name])) if name in change else () for name in ("OldImage", "NewImage")
    )
    return before, after


@dataclass(frozen=True, slots=True)
class SubjectPage:
    """Subjects by token. `next` is an opaque cursor, None at the end."""

    items: list[Subject]
    next: str | None


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
        return self.devices_and_recalls(keys, ())[0]

    def fleet(self, organisation: str, shelf: str) -> Iterator[Device]:
        """The devices of one shelf of an organisation, as they were a moment ago: for work, never for a decision."""
        found = query_encoded(
            self.client,
            TableName=self.table,
            IndexName=_FLEET,
            KeyConditionExpression="fleet = :fleet",
            ExpressionAttributeValues={":fleet": {"S": f"{organisation}#{shelf}"}},
        )
        return map(to_device, found)

    def devices_and_recalls(
        self, keys: Iterable[tuple[str, str]], organisations: Iterable[str]
    ) -> tuple[dict[tuple[str, str], Device], dict[str, tuple[Recall, ...]]]:
        """Those of `(organisation, serial)` that are enrolled, and the recalls in force in each of `organisations`."""
        recalls = {recalls_key(one) for one in organisations}
        found = batch_get_encoded(self.client, {self.table: [*(device_key(*key) for key in keys), *recalls]})
        devices, recalled = {}, {pk: tuple[Recall, ...]() for pk, _ in recalls}
        for (_, pk, sk), row in found.items():
            if (pk, sk) in recalls:
                recalled[pk] = to_recalls(decode_item(row))
            else:
                devices[row["organisation"]["S"], row["id"]["S"]] = to_device(row)
        return devices, recalled

    def holders(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Holder]:
        """`{(organisation, subject): Holder}` of those that are enrolled."""
        wanted = {subject_key(*key): key for key in keys}
        found = batch_get_encoded(self.client, {self.table: wanted}, attributes=_HOLDER)
        return {wanted[pk, sk]: to_holder(wanted[pk, sk][1], row) for (_, pk, sk), row in found.items()}

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


@dataclass(frozen=True)
class DeviceStatus:
    """What ingest may write of the registry: what a device last told of itself."""

    client: Any
    table: str

    def tell(self, organisation: str, serial: str, status: Status) -> None:
        """The latest word counts, whatever the order in which they come; a device that is not enrolled has none."""
        pk, sk = device_key(organisation, serial)
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(
                TableName=self.table,
                Key={"pk": {"S": pk}, "sk": {"S": sk}},
                UpdateExpression="SET #status = :status, told_at = :told_at",
                ConditionExpression="attribute_exists(pk) AND (attribute_not_exists(told_at) OR told_at < :told_at)",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=encode_item({":status": _from_status(status), ":told_at": _moment(status)}),
            )


def _moment(status: Status) -> str:
    return status.told_at.astimezone(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class ExportNotes:
    """What export may write of the registry: that a receiver answered 410, and up to when a subject's weeks were told.

    Neither is an edit of what a MIS wrote, but a switch shows in the endpoint's version.
    """

    client: Any
    table: str

    def disable(self, organisation: str, endpoint: str) -> None:
        """No delivery goes to the endpoint until a person enables it; one that was deleted stays deleted."""
        pk, sk = endpoint_key(organisation, endpoint)
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(
                TableName=self.table,
                Key={"pk": {"S": pk}, "sk": {"S": sk}},
                UpdateExpression="SET #state = :disabled ADD version :one",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues=encode_item({":disabled": "disabled", ":one": 1}),
            )

    def told(self, organisation: str, subject: str, last: date) -> None:
        """The week that ends with `last` was told. A later one stays; a subject that was erased stays erased."""
        pk, sk = subject_key(organisation, subject)
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(
                TableName=self.table,
                Key={"pk": {"S": pk}, "sk": {"S": sk}},
                UpdateExpression="SET told_to = :last",
                ConditionExpression="attribute_exists(pk) AND (attribute_not_exists(told_to) OR told_to < :last)",
                ExpressionAttributeValues={":last": {"S": last.isoformat()}},
            )


@dataclass(frozen=True)
class Registry(RegistryReader):
    """What the API and the operator write. What is written carries its new version; a write whose predecessor is not
    the version just before it raises LostRace, so no edit is ever lost (R86). `alerts` and `erasures` are the tables
    that a change of a subject touches as well."""

    alerts: str = ""
    erasures: str = ""

    def organisation_of(self, client_id: str) -> Organisation | None:
        """The organisation whose API client this is."""
        found = batch_get(self.client, {self.table: [client_key(client_id)]})
        ids = [str(item["organisation"]) for item in found.values()]
        return next(iter(self.organisations(ids).values()), None)

    def enrolled(self, organisation: str, *, cursor: str | None = None, limit: int = 100) -> SubjectPage:
        """A page of an organisation's subjects, by token. Raises InvalidRequest for a cursor that no page gave."""
        after = read_cursor(cursor, TOKEN) or "!"
        answer = self.client.query(
            TableName=self.table,
            IndexName=_FLEET,
            KeyConditionExpression="fleet = :fleet AND id > :after",
            ExpressionAttributeValues=encode_item({":fleet": _subjects(organisation), ":after": after}),
            Limit=limit,
        )
        found = [to_subject(decode_item(item)) for item in answer["Items"]]
        more = "LastEvaluatedKey" in answer
        return SubjectPage(found, write_cursor(answer["LastEvaluatedKey"]["id"]["S"]) if more else None)

    def subject(self, organisation: str, subject: str) -> Subject | None:
        return self.subjects([(organisation, subject)]).get((organisation, subject))

    def device(self, organisation: str, serial: str) -> Device | None:
        return self.devices([(organisation, serial)]).get((organisation, serial))

    def endpoint(self, organisation: str, endpoint: str) -> Endpoint | None:
        found = batch_get(self.client, {self.table: [endpoint_key(organisation, endpoint)]})
        return next((to_endpoint(item) for item in found.values()), None)

    def holdings(self, organisation: str, subject: str) -> list[Holding]:
        """Every assignment of `subject`, past and present."""
        pk, sk = holding_key(organisation, subject, "")
        return [
            Holding(
                serial=item["serial"],
                from_at=datetime.fromisoformat(item["from"]),
                to_at=_time(item["to"]),
                slot=None if item["slot"] is None else int(item["slot"]),
            )
            for item in query(
                self.client,
                TableName=self.table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
                ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": sk}},
            )
        ]

    def put_organisation(self, organisation: Organisation) -> None:
        """Write an organisation for the first time. Raises LostRace when there is one of that id."""
        self._write(_put(self.table, from_organisation(organisation), "attribute_not_exists(pk)"))

    def change_organisation(self, organisation: Organisation) -> None:
        """Write what changed of an organisation that is there. Raises LostRace when there is none."""
        self._write(_put(self.table, from_organisation(organisation), "attribute_exists(pk)"))

    def delete_client(self, client_id: str) -> None:
        """`client_id` speaks for nobody any more."""
        pk, sk = client_key(client_id)
        self._write({"Delete": {"TableName": self.table, "Key": encode_item({"pk": pk, "sk": sk})}})

    def put_client(self, client_id: str, organisation: str) -> None:
        """`client_id` speaks for `organisation`. Raises LostRace when it speaks for another."""
        pk, sk = client_key(client_id)
        self._write(_put_owned(self.table, {"pk": pk, "sk": sk, "organisation": organisation}))

    def put_subject(self, subject: Subject, told: ConsentTold | None = None) -> None:
        """The subject, what judges its readings, its data key by its id, and what hospitals are to be told. Raises
        LostRace, also when whoever bore that pseudonym was erased meanwhile."""
        actions = [_put_next(self.table, from_subject(subject)), _attend(self.table, subject)]
        if told is not None and self.alerts:
            actions.append(consent_put(self.alerts, told))
        if subject.version == 1 and self.erasures:
            pk, sk = tombstone_key(subject.organisation, subject.id)
            check = {"TableName": self.erasures, "Key": encode_item({"pk": pk, "sk": sk})}
            actions.append({"ConditionCheck": check | {"ConditionExpression": "attribute_not_exists(pk)"}})
        if subject.data_key is not None:
            pk, sk = data_key_key(subject.organisation, subject.data_key.id)
            actions.append(_put(self.table, {"pk": pk, "sk": sk, "wrapped": subject.data_key.wrapped}))
        self._write(*actions)

    def put_device(self, device: Device) -> None:
        """The device, and the serial for its organisation, if it is free. Raises LostRace."""
        pk, sk = serial_key(device.serial)
        self._write(
            _put_owned(self.table, {"pk": pk, "sk": sk, "organisation": device.organisation}),
            _put_next_device(self.table, device),
        )

    def put_assignment(self, device: Device, assignment: Assignment) -> None:
        """`device` with its assignments, of which `assignment` is the one that is new or changed. Raises LostRace."""
        self.put_assignments(device, (assignment,))

    def put_assignments(self, device: Device, assignments: Iterable[Assignment]) -> None:
        """The same for any number of them that are new or changed. Raises LostRace."""
        self._write(
            _put_next_device(self.table, device),
            *(_put(self.table, _from_holding(device, assignment)) for assignment in assignments),
        )

    def recalls(self, organisation: str) -> tuple[tuple[Recall, ...], int]:
        """Those in force, and the version of that list."""
        found = batch_get(self.client, {self.table: [recalls_key(organisation)]})
        return next(((to_recalls(item), int(item["version"])) for item in found.values()), ((), 0))

    def put_recalls(self, organisation: str, recalls: Iterable[Recall], *, version: int) -> None:
        """The whole list, as its next `version`. Raises LostRace."""
        self._write(_put_next(self.table, from_recalls(organisation, recalls, version=version)))

    def put_endpoint(self, endpoint: Endpoint) -> None:
        """Raises LostRace."""
        self._write(_put_next(self.table, from_endpoint(endpoint)))

    def delete_endpoint(self, endpoint: Endpoint) -> None:
        """Raises LostRace when it is no longer the version given."""
        pk, sk = endpoint_key(endpoint.organisation, endpoint.id)
        self._write(
            {
                "Delete": {
                    "TableName": self.table,
                    "Key": encode_item({"pk": pk, "sk": sk}),
                    "ConditionExpression": "version = :version",
                    "ExpressionAttributeValues": {":version": encode(endpoint.version)},
                }
            }
        )

    def _write(self, *actions: Item) -> None:
        transact(self.client, actions)


def _put(table: str, item: Item, condition: str | None = None, **values: Any) -> Item:
    put: Item = {"TableName": table, "Item": encode_item(item)}
    if condition is not None:
        put["ConditionExpression"] = condition
    if values:
        put["ExpressionAttributeValues"] = {f":{name}": encode(value) for name, value in values.items()}
    return {"Put": put}


def _attend(table: str, subject: Subject) -> Item:
    """Set what of `subject` its norm has, and leave the care plan that it has too."""
    pk, sk = norm_key(subject.organisation, subject.id)
    row = from_subject(subject)
    return {
        "Update": {
            "TableName": table,
            "Key": encode_item({"pk": pk, "sk": sk}),
            "UpdateExpression": "SET " + ", ".join(f"{name} = :{name}" for name in ATTENDED),
            "ExpressionAttributeValues": encode_item({f":{name}": row[name] for name in ATTENDED}),
        }
    }


def _put_owned(table: str, item: Item) -> Item:
    """Put `item` unless another organisation has it: the first one keeps it."""
    return _put(
        table, item, "attribute_not_exists(pk) OR organisation = :organisation", organisation=item["organisation"]
    )


def _put_next(table: str, item: Item, *same: str) -> Item:
    """Put version n of an item if version n - 1 is what is there, and is the `same` in these; version 1 if nothing is.

    What is written beside a version, and makes none, would be lost otherwise.
    """
    if item["version"] == 1:
        return _put(table, item, "attribute_not_exists(pk)")
    condition = " AND ".join(["version = :before", *(f"{name} = :{name}" for name in same)])
    return _put(table, item, condition, before=item["version"] - 1, **{name: item[name] for name in same})


def _put_next_device(table: str, device: Device) -> Item:
    """… unless its status was told since it was read: what its clock showed tells whose a reading is (F14, P7)."""
    return _put_next(table, from_device(device), "told_at")
