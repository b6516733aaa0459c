"""Replay: a recall marks the past, a hand-over noted late too, and what was set aside is tried again when what it
lacked has come.

Driven by the registry's stream: a change that is stored always has its effects, whoever wrote it and however often the
stream tells of it. Whether a recall is in force, and who held a device, is read when a job is done, never taken from
the job: a job that comes late undoes what an earlier one did.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol, TypeAlias

from domain.enrolment import Device
from domain.handover import as_nobodys, is_theirs, shifts
from domain.observation import ENTERED_IN_ERROR, Observation
from domain.quarantine import NOBODY, SetAside
from domain.recall import Recall
from domain.replay import (
    ANSWERED_BY_ENROLMENT,
    ANSWERED_BY_WITHDRAWAL,
    SHELVES,
    DeviceJob,
    FleetJob,
    HolderJob,
    HolderSpanJob,
    Job,
    RetryJob,
    SpanJob,
)

Key: TypeAlias = tuple[str, str]

AGAIN_AFTER = timedelta(minutes=6)
"""By then nothing runs that had read the registry as it was before the change: ingest remembers recalls for seconds
(record 19) and sets aside what it judged by the assignments of a moment ago; a job of ours takes five minutes at most.
So each job is done at once, and once more for what these left behind (R31)."""

SPAN = timedelta(days=60)
SPANS = 7
"""Observations are kept for 400 days; what a wrong clock put before or after has an open span of its own."""


class Registry(Protocol):
    def fleet(self, organisation: str, shelf: str) -> Iterable[Device]: ...
    def devices(self, keys: Iterable[Key]) -> Mapping[Key, Device]: ...
    def devices_and_recalls(
        self, keys: Iterable[Key], organisations: Iterable[str]
    ) -> tuple[Mapping[Key, Device], Mapping[str, Sequence[Recall]]]: ...


class Observations(Protocol):
    def span(
        self, organisation: str, subject: str, from_at: datetime | None, to_at: datetime | None
    ) -> Iterable[tuple[Key, Observation]]: ...
    def recall(self, key: Key, recall: str) -> None: ...
    def withdraw_recall(self, key: Key, recall: str) -> None: ...
    def retract(self, key: Key) -> None: ...
    def reinstate(self, key: Key) -> None: ...


class Quarantine(Protocol):
    def carried_by(self, organisation: str, thing: str) -> Iterable[SetAside]: ...
    def put(self, ones: Iterable[SetAside], *, kept_from: datetime | None = ...) -> None: ...


class Backlog(Protocol):
    """Raises what is to be tried again when a queue does not take everything."""

    def replay(self, ones: Iterable[SetAside]) -> None: ...


class Jobs(Protocol):
    """Raises what is to be tried again when the queue does not take everything."""

    def put(self, jobs: Iterable[Job], *, after: timedelta = ...) -> None: ...


@dataclass(frozen=True, slots=True)
class DeviceChanged:
    before: Device | None
    after: Device


@dataclass(frozen=True, slots=True)
class RecallsChanged:
    before: tuple[Recall, ...]
    after: tuple[Recall, ...]


Change: TypeAlias = DeviceChanged | RecallsChanged


def jobs_of(change: Change) -> Iterator[Job]:
    """What a change of the registry asks for."""
    if isinstance(change, RecallsChanged):
        before, after = ({one.id: one for one in recalls} for recalls in (change.before, change.after))
        for identifier in sorted(before.keys() ^ after.keys()):
            recall = after.get(identifier) or before[identifier]
            yield from (FleetJob(recall, shelf) for shelf in SHELVES)
        return
    was, device = change.before, change.after
    if was is None or _whose(was) != _whose(device):
        yield RetryJob(device.organisation, device.serial, ANSWERED_BY_ENROLMENT)
    if was is None:
        return
    if (was.profile, was.lot) != (device.profile, device.lot):
        yield DeviceJob(device.organisation, device.serial)
    yield from (HolderJob(device.organisation, device.serial, *shift) for shift in shifts(was, device))


def _whose(device: Device) -> object:
    """All that says whose its readings are, and which it may carry."""
    return device.assignments, device.carriers, device.roster, device.profile


def _spans(now: datetime) -> Iterable[tuple[datetime | None, datetime | None]]:
    return pairwise([None, *(now - number * SPAN for number in reversed(range(SPANS))), None])


@dataclass(frozen=True)
class Replay:
    registry: Registry
    observations: Observations
    quarantine: Quarantine
    backlog: Backlog
    jobs: Jobs

    def begin(self, changes: Iterable[Change]) -> int:
        """Have done what `changes` ask for, now and once more; how many jobs they are."""
        jobs = [job for change in changes for job in jobs_of(change)]
        self.jobs.put(jobs)
        self.jobs.put(jobs, after=AGAIN_AFTER)
        return len(jobs)

    def do(self, job: Job, *, now: datetime) -> None:
        """Do one job, in any order, any number of times."""
        match job:
            case FleetJob(recall, shelf):
                fleet = self.registry.fleet(recall.organisation, shelf)
                self.jobs.put(DeviceJob(recall.organisation, one.serial) for one in fleet if recall.covers(one))
            case DeviceJob():
                self.jobs.put(self._of_device(job, now))
            case SpanJob():
                self._mark(job)
            case HolderJob():
                self.jobs.put(HolderSpanJob(job, *between) for between in _spans(now))
            case HolderSpanJob():
                self._attribute(job, now)
            case _:
                self._retry(job.organisation, job.serial, job.reasons)

    def _of_device(self, job: DeviceJob, now: datetime) -> Iterator[Job]:
        device, recalls = self._standing(job)
        subjects = dict.fromkeys([*(one.subject for one in device.assignments), *device.roster])
        # a health post names the subject itself, of its roster
        keys = [(job.organisation, one) for one in device.carriers if one != job.serial]
        subjects |= dict.fromkeys(one for post in self.registry.devices(keys).values() for one in post.roster)
        for subject in subjects:
            yield from (SpanJob(job.organisation, job.serial, subject, *between) for between in _spans(now))
        if all(one.mode != "block" for one in recalls):
            yield RetryJob(job.organisation, job.serial, ANSWERED_BY_WITHDRAWAL)

    def _mark(self, job: SpanJob) -> None:
        """Whichever recall has led here: what another has left, that was gone before the device was looked at, too."""
        _, recalls = self._standing(job)
        covering = {one.id for one in recalls}
        for key, one in self.observations.span(job.organisation, job.subject, job.from_at, job.to_at):
            if one.device != job.serial:
                continue
            for recall in covering - one.recalls:
                self.observations.recall(key, recall)
            for recall in one.recalls - covering:
                self.observations.withdraw_recall(key, recall)

    def _attribute(self, job: HolderSpanJob, now: datetime) -> None:
        """Call entered in error what was measured while another held the device, and have it judged again; take that
        back of what is the subject's after all. It is set aside before it is marked: nothing is lost in between.

        Nothing of who was erased: then the device knows nothing of them. Nor of whom a health post names itself.
        """
        of = job.holder
        device = self.registry.devices([(of.organisation, of.serial)])[of.organisation, of.serial]
        if not any(one.subject == of.subject for one in device.assignments):
            return
        measured = self._measured(job)
        things = self.registry.devices({(of.organisation, one.thing) for one in measured.values()})
        named = {thing for (_, thing), one in things.items() if of.subject in one.roster}
        others = {key for key, one in measured.items() if not is_theirs(one, device) and one.thing not in named}
        in_error = {key for key, one in measured.items() if ENTERED_IN_ERROR in one.tags}
        self.quarantine.put([as_nobodys(measured[key], device) for key in others - in_error], kept_from=now)
        for key in others - in_error:
            self.observations.retract(key)
        for key in in_error - others:
            self.observations.reinstate(key)
        if others:  # also those of an earlier go that was broken off here
            again = [RetryJob(of.organisation, of.serial, ANSWERED_BY_ENROLMENT)]
            self.jobs.put(again)
            self.jobs.put(again, after=AGAIN_AFTER)

    def _measured(self, job: HolderSpanJob) -> dict[Key, Observation]:
        """What is stored of the subject from the device, of the time that it lost or gained."""
        of = job.holder
        return {
            key: one
            for key, one in self.observations.span(of.organisation, of.subject, job.from_at, job.to_at)
            if one.device == of.serial
            and of.measured_from <= one.measured_at
            and (of.measured_to is None or one.measured_at < of.measured_to)
        }

    def _standing(self, job: DeviceJob | SpanJob) -> tuple[Device, list[Recall]]:
        """The device, and the recalls in force that it falls under."""
        key = job.organisation, job.serial
        devices, recalls = self.registry.devices_and_recalls([key], [job.organisation])
        return devices[key], [one for one in recalls[job.organisation] if one.covers(devices[key])]

    def _retry(self, organisation: str, serial: str, reasons: Sequence[str]) -> None:
        """What it carried itself, and what others carried of it; also what was nobody's then."""
        device = self.registry.devices([(organisation, serial)])[organisation, serial]
        for whose in (organisation, NOBODY):
            for thing in dict.fromkeys([serial, *device.carriers]):
                self.backlog.replay(
                    one
                    for one in self.quarantine.carried_by(whose, thing)
                    if one.reason in reasons and one.payload is not None and serial in (one.thing, one.device)
                )
