"""Where a hospital receives, and the log that it may read of what was sent: use cases over ports, no AWS."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from domain.delivery import Answer, Lane, Parcel, Progress, Row, parcel
from domain.enrolment import Endpoint
from domain.errors import Fault, LaneBusy, LostRace, NotFound, ShardsFixed
from domain.fhir import bundle
from domain.request import EndpointBody, ReplayBody, check_endpoint_id, refuse
from functions.registry.service import Registry, check_version, persistent

_NUMBER = re.compile(r"[0-9]{1,12}")


class Secrets(Protocol):
    """What signs the deliveries of endpoints."""

    def create(self, organisation: str, endpoint: str) -> tuple[str, str]:
        """The name under which a new secret is kept, and the secret itself."""
        ...

    def rotate(self, name: str, organisation: str, endpoint: str, now: datetime) -> tuple[str, str]:
        """The same, and what signed before signs beside it for a day."""
        ...

    def signing(self, name: str, now: datetime) -> Sequence[str]: ...
    def forget(self, name: str) -> None: ...


class Bell(Protocol):
    def ring(self, lane: Lane, after: timedelta = ...) -> None: ...


class Courier(Protocol):
    def post(
        self, url: str, secrets: Sequence[str], parcel: Parcel, document: Mapping[str, Any], *, at: datetime
    ) -> Answer: ...


def enrolled_endpoint(organisation: str, token: str, *, registry: Registry) -> Endpoint:
    """Raises NotFound."""
    endpoint = registry.endpoint(organisation, token)
    if endpoint is None:
        raise NotFound("no such endpoint")
    return endpoint


@dataclass(frozen=True, slots=True)
class PutEndpoint:
    """An endpoint as it is now; `secret` is there only when it was made just now, and never again."""

    endpoint: Endpoint
    secret: str | None = None


@persistent
def put_endpoint(
    organisation: str,
    token: str,
    body: EndpointBody,
    *,
    if_match: int | None,
    registry: Registry,
    secrets: Secrets,
    programmes: Collection[str],
    insecure: bool,
    now: datetime,
) -> PutEndpoint:
    """Make an endpoint with its secret, or change where and what it receives.

    Raises InvalidRequest, StaleVersion, ShardsFixed.
    """
    check_endpoint_id(token)
    body.check(programmes=programmes, insecure=insecure)
    before = registry.endpoint(organisation, token)
    if before is None:
        check_version(if_match, 0)
        return _make_endpoint(organisation, token, body, registry=registry, secrets=secrets, now=now)
    wanted = body.endpoint(before)
    if wanted == before:
        return PutEndpoint(before)
    check_version(if_match, before.version)
    if wanted.shards != before.shards:
        raise ShardsFixed("another number of shards would move subjects between lanes: make another endpoint")
    after = replace(wanted, version=before.version + 1)
    registry.put_endpoint(after)
    return PutEndpoint(after)


def _make_endpoint(
    organisation: str, token: str, body: EndpointBody, *, registry: Registry, secrets: Secrets, now: datetime
) -> PutEndpoint:
    name, secret = secrets.create(organisation, token)
    endpoint = body.new_endpoint(token, organisation=organisation, secret=name, created_at=now)
    try:
        registry.put_endpoint(endpoint)
    except LostRace:
        secrets.forget(name)
        raise
    return PutEndpoint(endpoint, secret)


@persistent
def delete_endpoint(
    organisation: str, token: str, *, if_match: int | None, registry: Registry, secrets: Secrets
) -> None:
    """Send nothing there any more, and forget the secret. Raises NotFound, StaleVersion."""
    endpoint = enrolled_endpoint(organisation, token, registry=registry)
    check_version(if_match, endpoint.version)
    registry.delete_endpoint(endpoint)
    secrets.forget(endpoint.secret)


class Log(Protocol):
    """The numbered logs of an endpoint's lanes; `rewind` raises LostRace when the lane is elsewhere than `seen`."""

    def progress(self, lane: Lane) -> Progress: ...
    def rewind(self, lane: Lane, *, to: int, seen: Progress, now: datetime) -> Progress: ...
    def rows(self, lane: Lane, *, after: int, limit: int) -> Sequence[Row]: ...


@persistent
def rotate(
    organisation: str, token: str, *, if_match: int | None, registry: Registry, secrets: Secrets, now: datetime
) -> PutEndpoint:
    """A new secret, which is in force with the write that names it. Raises NotFound, StaleVersion."""
    before = enrolled_endpoint(organisation, token, registry=registry)
    check_version(if_match, before.version)
    name, secret = secrets.rotate(before.secret, organisation, token, now)
    after = replace(before, secret=name, version=before.version + 1)
    try:
        registry.put_endpoint(after)
    except LostRace:
        secrets.forget(name)
        raise
    secrets.forget(before.secret)
    return PutEndpoint(after, secret)


@persistent
def enable(organisation: str, token: str, *, registry: Registry, bell: Bell) -> Endpoint:
    """Send there again, from where each lane stopped. Asked again, the lanes are woken once more. Raises NotFound."""
    before = enrolled_endpoint(organisation, token, registry=registry)
    after = before
    if before.state != "enabled":
        after = replace(before, state="enabled", version=before.version + 1)
        registry.put_endpoint(after)
    for name in _lanes(after):
        bell.ring(Lane(organisation, token, name))
    return after


def replay(endpoint: Endpoint, body: ReplayBody, *, log: Log, bell: Bell, now: datetime) -> int:
    """Send again what a lane's receiver had after a number; the last number that goes once more.

    Raises InvalidRequest, LaneBusy.
    """
    refuse(_no_lane("/shard", body.shard, endpoint))
    lane = Lane(endpoint.organisation, endpoint.id, body.shard)
    seen = log.progress(lane)
    if body.after >= seen.cursor:
        refuse(Fault("/after", f"less than {seen.cursor}, the last number that was received"))
    try:
        log.rewind(lane, to=body.after, seen=seen, now=now)
    except LostRace:
        raise LaneBusy("a sender is at work in the lane just now: try again in a moment") from None
    bell.ring(lane)
    return seen.cursor


def send_trial(endpoint: Endpoint, *, secrets: Secrets, courier: Courier, now: datetime) -> Answer:
    """A signed bundle without entries, number 0 of the first lane: what the receiver made of it."""
    sent = parcel(Lane(endpoint.organisation, endpoint.id, _lanes(endpoint)[0]), 0)
    return courier.post(endpoint.url, secrets.signing(endpoint.secret, now), sent, bundle([], [], {}), at=now)


def _lanes(endpoint: Endpoint) -> list[str]:
    return [f"{content}-{number}" for content in ("alerts", "observations") for number in range(endpoint.shards)]


def _no_lane(field: str, shard: str | None, endpoint: Endpoint) -> Fault | None:
    lanes = _lanes(endpoint)
    return None if shard in lanes else Fault(field, f"one of {', '.join(lanes)}")


@dataclass(frozen=True, slots=True)
class Logged:
    """Part of a lane's log; `next` is the number to go on after, None at the end."""

    lane: Lane
    rows: Sequence[Row]
    next: str | None


def logged(endpoint: Endpoint, *, shard: str | None, after: str | None, limit: int, log: Log) -> Logged:
    """What lane `shard` holds after number `after` (0 by default): sent, or still to be sent. Raises InvalidRequest.

    Numbers whose delivery is no longer kept are left out, so a part may be empty and not the last.
    """
    start = "0" if after is None else after
    refuse(
        _no_lane("query:shard", shard, endpoint),
        None if _NUMBER.fullmatch(start) else Fault("query:after", "the last number you have, or 0"),
    )
    lane = Lane(endpoint.organisation, endpoint.id, str(shard))
    first, last = int(start), int(start) + limit
    rows = log.rows(lane, after=first, limit=limit)
    return Logged(lane, rows, str(last) if last < log.progress(lane).next else None)
