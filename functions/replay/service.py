"""Replay: a recall marks the past, and what was set aside is tried again when what it lacked has come.

Driven by the registry's stream: a change that is stored always has its effects, whoever wrote it and however often the
stream tells of it. Whether a recall is in force is read when a job is done, never taken from the job: a job that comes
late undoes what an earlier one did.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol, TypeAlias

from domain.enrolment import Device
from domain.observation import Observation
from domain.quarantine import NOBODY, SetAside
from domain.recall import Recall
from domain.replay import (
    ANSWERED_BY_ENROLMENT,
    ANSWERED_BY_WITHDRAWAL,
    SHELVES,
    DeviceJob,
    FleetJob,
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


class Quarantine(Protocol):
    def carried_by(self, organisation: str, thing: str) -> Iterable[SetAside]: ...


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
    if was is not None and (was.profile, was.lot) != (device.profile, device.lot):
        yield DeviceJob(device.organisation, device.serial)


def _whose(device: Device) -> object:
    """All that says whose its readings are, and which it may carry."""
    return device.assignments, device.carriers, device.roster, device.profile


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
            case _:
                self._retry(job.organisation, job.serial, job.reasons)

    def _of_device(self, job: DeviceJob, now: datetime) -> Iterator[Job]:
        device, recalls = self._standing(job)
        subjects = dict.fromkeys([*(one.subject for one in device.assignments), *device.roster])
        # a health post names the subject itself, of its roster
        keys = [(job.organisation, one) for one in device.carriers if one != job.serial]
        subjects |= dict.fromkeys(one for post in self.registry.devices(keys).values() for one in post.roster)
        edges = [None, *(now - number * SPAN for number in reversed(range(SPANS))), None]
        for subject in subjects:
            yield from (SpanJob(job.organisation, job.serial, subject, *between) for between in pairwise(edges))
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
