"""In-memory fakes; each passes the same contract tests as the adapter that it stands for."""

import base64
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from adapters.observations import row_key
from adapters.registry import shelf as shelf_of
from domain.alert import Alert, Monitored, State, dump, load
from domain.codes import KINDS
from domain.decisions import Judged
from domain.delivery import Answer, Attempt, Lane, Parcel, Progress, Reference, Row
from domain.enrolment import Assignment, ConsentTold, Device, Endpoint, Holder, Holding, Organisation, Subject
from domain.errors import LostRace
from domain.identity import Identity
from domain.judgement import Kept
from domain.notification import Contact, Contacts, Notice, Standing, Words
from domain.observation import Known, Marks, Observation, marked
from domain.provisioning import NewClaim, Provisioned, TemporaryClaim
from domain.quarantine import SetAside
from domain.reading import Arrival, Status
from domain.recall import Recall
from domain.replay import Job
from tests.builders import NOW, as_holder

# export


class FakeLog:
    """adapters.deliveries.Deliveries in memory."""

    def __init__(self) -> None:
        self.lanes: dict[Lane, Progress] = {}
        self.leases: dict[Lane, tuple[str, datetime]] = {}
        self.content: dict[Lane, dict[int, Row]] = {}
        self.recorded: list[Attempt] = []

    def progress(self, lane: Lane) -> Progress:
        return self.lanes.get(lane, Progress())

    def append(
        self,
        lane: Lane,
        references: Sequence[Reference],
        *,
        seen: Progress,
        rung_at: datetime,
        behind: bool,
        now: datetime,
    ) -> int:
        here = self.progress(lane)
        if here.next != seen.next or (behind and here.cursor >= seen.next):
            raise LostRace("another write came first")
        number = seen.next + 1
        self.lanes[lane] = replace(here, next=number, rung_at=rung_at)
        self.content.setdefault(lane, {})[number] = Row(number, tuple(references))
        return number

    def take(self, lane: Lane, owner: str, *, now: datetime, until: datetime) -> Progress | None:
        here = self.progress(lane)
        held = lane in self.leases and self.leases[lane][1] > now
        waits = here.next_attempt_at is not None and here.next_attempt_at > now + timedelta(seconds=1)
        if here.cursor >= here.next or held or waits:
            return None
        self.leases[lane] = owner, until
        return here

    def advance(self, lane: Lane, owner: str, number: int) -> Progress:
        here = self._held(lane, owner)
        if here.cursor != number - 1:
            raise LostRace("another sender took the lane")
        self.lanes[lane] = replace(here, cursor=number, failures=0, next_attempt_at=None, suspended_at=None)
        return self.lanes[lane]

    def postpone(
        self, lane: Lane, owner: str, *, failures: int, next_attempt_at: datetime, suspended_at: datetime | None
    ) -> None:
        here = self._held(lane, owner)
        self.lanes[lane] = replace(
            here,
            failures=failures,
            next_attempt_at=next_attempt_at,
            suspended_at=here.suspended_at or suspended_at,
        )
        del self.leases[lane]

    def release(self, lane: Lane, owner: str) -> Progress:
        here = self._held(lane, owner)
        del self.leases[lane]
        return here

    def rewind(self, lane: Lane, *, to: int, seen: Progress, now: datetime) -> Progress:
        here = self.progress(lane)
        if here.cursor != seen.cursor or (lane in self.leases and self.leases[lane][1] > now):
            raise LostRace("the lane moved on, or a sender is at work in it")
        replayed_to = max(seen.cursor, seen.replayed_to)
        self.lanes[lane] = replace(
            here, cursor=to, replayed_to=replayed_to, failures=0, next_attempt_at=None, suspended_at=None
        )
        return self.lanes[lane]

    def rows(self, lane: Lane, *, after: int, limit: int) -> list[Row]:
        content = self.content.get(lane, {})
        return [content[number] for number in range(after + 1, after + limit + 1) if number in content]

    def record(self, attempts: Iterable[Attempt]) -> None:
        self.recorded += attempts

    def attempts(self, organisation: str, endpoint: str) -> Iterator[Attempt]:
        mine = [one for one in self.recorded if (one.lane.organisation, one.lane.endpoint) == (organisation, endpoint)]
        yield from sorted(mine, key=lambda one: (one.at, one.id), reverse=True)

    def _held(self, lane: Lane, owner: str) -> Progress:
        if self.leases.get(lane, ("", None))[0] != owner:
            raise LostRace("another sender took the lane")
        return self.lanes[lane]


@dataclass
class FakeBell:
    """adapters.doorbell.Doorbell: what was rung, with its delay."""

    rung: list[tuple[Lane, timedelta]] = field(default_factory=list)

    def ring(self, lane: Lane, after: timedelta = timedelta()) -> None:
        self.rung.append((lane, after))


@dataclass
class FakeEnrolment:
    """What export reads of the registry, and its switch."""

    at: list[Endpoint] = field(default_factory=list)
    enrolled: list[Subject] = field(default_factory=list)
    owned: list[Device] = field(default_factory=list)

    def endpoints(self, organisation: str) -> list[Endpoint]:
        return [one for one in self.at if one.organisation == organisation]

    def subjects(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Subject]:
        wanted = set(keys)
        return {(one.organisation, one.id): one for one in self.enrolled if (one.organisation, one.id) in wanted}

    def devices(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Device]:
        wanted = set(keys)
        return {(one.organisation, one.serial): one for one in self.owned if (one.organisation, one.serial) in wanted}

    def told(self, organisation: str, subject: str, last: date) -> None:
        self.enrolled = [
            replace(one, told_to=max(last, one.told_to or last))
            if (one.organisation, one.id) == (organisation, subject)
            else one
            for one in self.enrolled
        ]

    def disable(self, organisation: str, endpoint: str) -> None:
        self.at = [
            replace(one, state="disabled") if (one.organisation, one.id) == (organisation, endpoint) else one
            for one in self.at
        ]


@dataclass
class FakeObservations:
    """adapters.observations.Observations; rows by their key."""

    rows: dict[tuple[str, str], Observation] = field(default_factory=dict)
    marks: dict[tuple[str, str], Marks] = field(default_factory=dict)

    def key(self, identity: Identity) -> tuple[str, str]:
        return row_key(identity)

    def present(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        found = {key: self.rows[key] for key in keys if key in self.rows}
        return {key: Known(row.thing, row.measured_at != row.device_time) for key, row in found.items()}

    def put(self, rows: Iterable[tuple[tuple[str, str], Observation]]) -> None:
        self.rows |= dict(rows)

    def get(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Observation]:
        return {key: marked(self.rows[key], self.marks.get(key, Marks())) for key in keys if key in self.rows}

    def between(
        self,
        organisation: str,
        subject: str,
        *,
        from_at: datetime,
        to_at: datetime,
        most: int,
        kinds: Collection[str] = tuple(KINDS),
    ) -> list[Observation]:
        return [
            one
            for one in self.get(self.rows).values()
            if (one.organisation, one.subject) == (organisation, subject)
            and one.kind in kinds
            and from_at <= one.device_time <= to_at
        ][:most]

    def add_path(self, key: tuple[str, str], thing: str, received_at: datetime) -> None:
        paths = self.marks.get(key, Marks()).paths
        self._mark(key, paths={thing: received_at, **paths})

    def correct(self, key: tuple[str, str], measured_at: datetime) -> None:
        self._mark(key, measured_at=self.marks.get(key, Marks()).measured_at or measured_at)

    def add_context(self, key: tuple[str, str], context: Mapping[str, str]) -> None:
        self._mark(key, context=context)

    def recall(self, key: tuple[str, str], recall: str) -> None:
        self._mark(key, recalls={**self.marks.get(key, Marks()).recalls, recall: True})

    def withdraw_recall(self, key: tuple[str, str], recall: str) -> None:
        self._mark(key, recalls={**self.marks.get(key, Marks()).recalls, recall: False})

    def retract(self, key: tuple[str, str]) -> None:
        self._mark(key, entered_in_error=True)

    def reinstate(self, key: tuple[str, str]) -> None:
        self._mark(key, entered_in_error=False)

    def _mark(self, key: tuple[str, str], **said: Any) -> None:
        before = self.marks.get(key, Marks())
        if replace(before, **said) != before:
            self.marks[key] = replace(before, **said, version=before.version + 1)

    def of_record(
        self, organisation: str, subject: str, device: str, record: int, *, near: datetime
    ) -> tuple[str, str] | None:
        wanted = (organisation, subject, device, record)
        found = {
            abs(row.measured_at - near): key
            for key, row in self.rows.items()
            if (row.organisation, row.subject, row.device, row.record) == wanted
        }
        return found[min(found)] if found else None

    def find(
        self, organisation: str, subject: str, kind: str, ids: Collection[str], *, near: datetime
    ) -> list[Observation]:
        return [
            one
            for one in self.rows.values()
            if (one.organisation, one.subject, one.kind) == (organisation, subject, kind) and one.id in ids
        ]

    def span(
        self, organisation: str, subject: str, from_at: datetime | None, to_at: datetime | None
    ) -> Iterator[tuple[tuple[str, str], Observation]]:
        for key, one in sorted(self.rows.items(), key=lambda found: found[1].device_time):
            early = from_at is not None and one.device_time < from_at
            late = to_at is not None and one.device_time >= to_at
            if (one.organisation, one.subject) == (organisation, subject) and not early and not late:
                yield key, self.get([key])[key]


@dataclass
class FakeAlerts:
    """adapters.alerts.Alerts, as far as export reads it; alerts by their key."""

    rows: dict[tuple[str, str], Alert] = field(default_factory=dict)

    told: dict[tuple[str, str], ConsentTold] = field(default_factory=dict)

    def get(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Alert]:
        return {key: self.rows[key] for key in keys if key in self.rows}

    def consents(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], ConsentTold]:
        return {key: self.told[key] for key in keys if key in self.told}


@dataclass
class FakeSecrets:
    """adapters.secrets.Secrets with one secret for all."""

    def signing(self, name: str, now: datetime) -> list[str]:
        return [f"whsec_{base64.b64encode(name.encode()).decode()}"]


@dataclass
class FakeCourier:
    """adapters.webhook.Webhook: `answer` says what each parcel gets; `taken` are those that got 2xx."""

    answer: Callable[[Parcel], Answer] = lambda _: Answer(204, 3)
    posted: list[tuple[Parcel, Mapping[str, Any]]] = field(default_factory=list)
    taken: list[tuple[Parcel, Mapping[str, Any]]] = field(default_factory=list)

    def post(
        self, url: str, secrets: Sequence[str], parcel: Parcel, document: Mapping[str, Any], *, at: datetime
    ) -> Answer:
        self.posted.append((parcel, document))
        answer = self.answer(parcel)
        if answer.status is not None and answer.status < 300:
            self.taken.append((parcel, document))
        return answer


# ingest


@dataclass
class FakeRegistry(FakeEnrolment):
    """adapters.registry.RegistryReader; a thing belongs to the organisation of its device."""

    asked: list[set[str]] = field(default_factory=list)
    recalled: list[Recall] = field(default_factory=list)

    def devices_and_recalls(
        self, keys: Iterable[tuple[str, str]], organisations: Iterable[str]
    ) -> tuple[dict[tuple[str, str], Device], dict[str, tuple[Recall, ...]]]:
        return self.devices(keys), {
            of: tuple(one for one in self.recalled if one.organisation == of) for of in organisations
        }

    def holders(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Holder]:
        return {key: as_holder(one) for key, one in self.subjects(keys).items()}

    def fleet(self, organisation: str, shelf: str) -> list[Device]:
        return [one for one in self.owned if one.organisation == organisation and shelf_of(one.serial) == shelf]

    def organisations_of(self, serials: Iterable[str]) -> dict[str, str]:
        self.asked.append(set(serials))
        return {one.serial: one.organisation for one in self.owned if one.serial in self.asked[-1]}


@dataclass
class FakeQuarantine:
    """adapters.quarantine.Quarantine; readings by their id, and from when each is kept where that was said."""

    rows: dict[str, SetAside] = field(default_factory=dict)
    kept_from: dict[str, datetime | None] = field(default_factory=dict)

    def present(self, ones: Iterable[SetAside]) -> set[str]:
        return {one.id for one in ones if one.id in self.rows}

    def put(self, ones: Iterable[SetAside], *, kept_from: datetime | None = None) -> None:
        new = {one.id: one for one in ones}
        self.rows |= new
        self.kept_from |= dict.fromkeys(new, kept_from)

    def remove(self, keys: Iterable[tuple[str, str]]) -> None:
        for _, identifier in keys:
            self.rows.pop(identifier, None)

    def carried_by(self, organisation: str, thing: str) -> Iterator[SetAside]:
        mine = [one for one in self.rows.values() if (one.organisation, one.thing) == (organisation, thing)]
        yield from sorted(mine, key=lambda one: one.received_at)

    def get(self, organisation: str, identifier: str) -> SetAside | None:
        found = self.rows.get(identifier)
        return found if found and found.organisation == organisation else None


@dataclass
class FakeArchive:
    """adapters.archive.Archive: what was kept, with its organisation."""

    parts: list[tuple[str, Kept]] = field(default_factory=list)

    @property
    def kept(self) -> list[tuple[str, Arrival]]:
        return [(organisation, part.arrival) for organisation, part in self.parts]

    def put(self, parts: Iterable[tuple[str, Kept]]) -> None:
        self.parts += parts


@dataclass
class FakeBacklog:
    """adapters.inbox.Backlog: what was handed on; it does not take the messages in `refuses`."""

    refuses: set[str] = field(default_factory=set)
    replayed: list[SetAside] = field(default_factory=list)
    handed_on: list[Arrival] = field(default_factory=list)
    waits: list[timedelta] = field(default_factory=list)

    def put(self, arrivals: Sequence[Arrival], *, after: timedelta = timedelta()) -> set[str]:
        self.waits.append(after)
        self.handed_on += [one for one in arrivals if one.id not in self.refuses]
        return self.refuses & {one.id for one in arrivals}

    def replay(self, ones: Iterable[SetAside]) -> None:
        self.replayed += ones


@dataclass
class FakeJobs:
    """adapters.jobs.Jobs: what waits, and what is due later."""

    waiting: list[Job] = field(default_factory=list)
    later: list[Job] = field(default_factory=list)

    def put(self, jobs: Iterable[Job], *, after: timedelta = timedelta()) -> None:
        (self.later if after else self.waiting).extend(jobs)


@dataclass
class FakeStatus:
    """adapters.registry.DeviceStatus: the last word of each device."""

    told: dict[tuple[str, str], Status] = field(default_factory=dict)

    def tell(self, organisation: str, serial: str, status: Status) -> None:
        before = self.told.get((organisation, serial))
        if before is None or before.told_at < status.told_at:
            self.told[organisation, serial] = status


# registry


@dataclass
class FakeEnrolled:
    """The registry as the API reads and writes it: a write that is not the next version loses."""

    owners: dict[str, str] = field(default_factory=dict)
    kept: dict[tuple[type, str, str], Any] = field(default_factory=dict)
    held: dict[tuple[str, str], dict[str, Holding]] = field(default_factory=dict)

    def organisations_of(self, serials: Iterable[str]) -> dict[str, str]:
        return {serial: self.owners[serial] for serial in serials if serial in self.owners}

    def subject(self, organisation: str, subject: str) -> Subject | None:
        return self.kept.get((Subject, organisation, subject))

    def subjects(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Subject]:
        return {key: found for key in keys if (found := self.subject(*key)) is not None}

    def device(self, organisation: str, serial: str) -> Device | None:
        return self.kept.get((Device, organisation, serial))

    def endpoint(self, organisation: str, endpoint: str) -> Endpoint | None:
        return self.kept.get((Endpoint, organisation, endpoint))

    def holdings(self, organisation: str, subject: str) -> list[Holding]:
        return list(self.held.get((organisation, subject), {}).values())

    def put_subject(self, subject: Subject, told: ConsentTold | None = None) -> None:
        self._put((Subject, subject.organisation, subject.id), subject)

    def put_device(self, device: Device) -> None:
        if self.owners.get(device.serial, device.organisation) != device.organisation:
            raise LostRace("another organisation has it")
        self._put((Device, device.organisation, device.serial), device)
        self.owners[device.serial] = device.organisation

    def put_assignment(self, device: Device, assignment: Assignment) -> None:
        self._put((Device, device.organisation, device.serial), device)
        self.held.setdefault((device.organisation, assignment.subject), {})[assignment.id] = Holding(
            device.serial, assignment.from_at, assignment.to_at, assignment.slot
        )

    def put_assignments(self, device: Device, assignments: Iterable[Assignment]) -> None:
        self._put((Device, device.organisation, device.serial), device)
        for one in assignments:
            holding = Holding(device.serial, one.from_at, one.to_at, one.slot)
            self.held.setdefault((device.organisation, one.subject), {})[one.id] = holding

    def put_endpoint(self, endpoint: Endpoint) -> None:
        self._put((Endpoint, endpoint.organisation, endpoint.id), endpoint)

    def delete_endpoint(self, endpoint: Endpoint) -> None:
        key = (Endpoint, endpoint.organisation, endpoint.id)
        if self.kept.get(key) is None or self.kept[key].version != endpoint.version:
            raise LostRace("another version is there")
        del self.kept[key]

    def _put(self, key: tuple[type, str, str], thing: Subject | Device | Endpoint) -> None:
        before = self.kept.get(key)
        if (before.version if before else 0) != thing.version - 1:
            raise LostRace("another version is there")
        self.kept[key] = thing


# alert


@dataclass
class FakeEpisodes:
    """adapters.alerts.Episodes in memory. `rivals` are what others do just before each write, one after the other."""

    known: dict[tuple[str, str], Monitored] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    notices: list[Alert] = field(default_factory=list)
    judged: dict[str, Judged] = field(default_factory=dict)
    writes: list[int] = field(default_factory=list)
    reads: int = 0
    rivals: list[Callable[[], object]] = field(default_factory=list)

    def read(self, subjects: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Monitored]:
        self.reads += 1
        return {who: self.known.get(who) or Monitored(None, (), State(), 0) for who in subjects}

    def write(
        self,
        who: tuple[str, str],
        state: State,
        alerts: Sequence[Alert],
        judged: Sequence[Judged] = (),
        *,
        after: int,
        now: datetime,
        received_at: datetime,
    ) -> None:
        if self.rivals:
            self.rivals.pop(0)()
        here = self.read([who])[who]
        if here.version != after:
            raise LostRace("another write came first")
        self.known[who] = here._replace(state=load(dump(state)), version=after + 1)
        self.alerts |= {alert.id: alert for alert in alerts}
        self.notices += [alert for alert in alerts if alert.told]
        self.keep(who, judged)
        self.writes.append(len(alerts))

    def keep(self, who: tuple[str, str], judged: Sequence[Judged]) -> None:
        self.judged = {one.observation: one for one in judged} | self.judged


@dataclass
class FakeQueues:
    """adapters.outbox.Queues; `refused` are the indices that it does not take."""

    refused: Collection[int] = ()
    sent: list[Notice] = field(default_factory=list)

    def send(self, notices: Sequence[Notice]) -> set[int]:
        self.sent += [notice for at, notice in enumerate(notices) if at not in self.refused]
        return {at for at in range(len(notices)) if at in self.refused}


@dataclass
class FakeOutbox:
    """adapters.outbox.Outbox for one notice; `told` None: its row is gone."""

    subject: Subject | None = None
    organisation: Organisation | None = None
    told: dict[str, datetime] | None = field(default_factory=dict)

    def standing(self, notice: Notice) -> Standing:
        return Standing(self.subject, self.organisation, None if self.told is None else frozenset(self.told))

    def mark(self, notice: Notice, told: Collection[str], at: datetime) -> None:
        assert self.told is not None
        self.told |= dict.fromkeys(told, at)


@dataclass
class FakeOpener:
    """adapters.contacts.ContactOpener with the same contacts for everybody."""

    contacts: Contacts
    opened: int = 0

    def open(self, organisation: str, subject: str) -> Contacts:
        self.opened += 1
        return self.contacts


@dataclass
class FakeNotifier:
    """adapters.notifier.Notifier; `answer` may raise for a contact."""

    answer: Callable[[Contact], object] = lambda _: None
    published: list[tuple[Contact, Words]] = field(default_factory=list)

    def publish(self, words: Words, contact: Contact) -> None:
        self.answer(contact)
        self.published.append((contact, words))


# gateways


@dataclass
class FakeCertificates:
    """adapters.iot, both sides: claims are numbered, and certificates have a thing and a status."""

    status: dict[str, str] = field(default_factory=dict)
    things: dict[str, list[str]] = field(default_factory=dict)
    claims: int = 0
    breaks_at: str | None = None
    """The certificate at which IoT Core fails, once."""

    def give(self, thing: str, certificate: str, status: str = "ACTIVE") -> str:
        self.things.setdefault(thing, []).append(certificate)
        self.status[certificate] = status
        return certificate

    def new_claim(self) -> NewClaim:
        self.claims += 1
        return NewClaim(f"claim-{self.claims}", "a certificate", "a private key", NOW + timedelta(minutes=5))

    def of(self, thing: str) -> list[str]:
        return list(self.things.get(thing, []))

    def is_active(self, certificate: str) -> bool:
        return self.status.get(certificate) == "ACTIVE"

    def is_pending(self, certificate: str) -> bool:
        return self.status.get(certificate) in (None, "PENDING_ACTIVATION")

    def retire(self, certificate: str) -> None:
        if certificate == self.breaks_at:
            self.breaks_at = None
            raise RuntimeError("IoT Core has a fault")
        self.status[certificate] = "INACTIVE"


@dataclass
class FakeClaims:
    """adapters.claims, both sides."""

    temporary: dict[str, TemporaryClaim] = field(default_factory=dict)
    last: dict[tuple[str, str], Provisioned] = field(default_factory=dict)

    def put(self, claim: NewClaim, organisation: str, serial: str) -> None:
        self.temporary[claim.id] = TemporaryClaim(claim.id, organisation, serial, claim.expires_at)

    def claim(self, claim: str) -> TemporaryClaim | None:
        return self.temporary.get(claim)

    def provisioned(self, organisation: str, serial: str) -> Provisioned | None:
        return self.last.get((organisation, serial))

    def provision(self, wanted: Provisioned, *, after: Provisioned | None) -> None:
        present = self.last.get((wanted.organisation, wanted.serial))
        if (present and present.certificate) != (after and after.certificate):
            raise LostRace("another certificate came first")
        self.last[wanted.organisation, wanted.serial] = wanted

    def use(self, claim: TemporaryClaim, wanted: Provisioned) -> None:
        if self.temporary[claim.id].used_for not in (None, wanted.certificate):
            raise LostRace("another certificate came first")
        self.temporary[claim.id] = replace(self.temporary[claim.id], used_for=wanted.certificate)
        self.last[wanted.organisation, wanted.serial] = wanted
