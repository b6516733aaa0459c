"""Where a hospital receives, and the log that it may read of what was sent: use cases over ports, no AWS."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from domain.delivery import Lane, Progress, Row
from domain.enrolment import Endpoint
from domain.errors import Fault, LostRace, NotFound, ShardsFixed
from domain.request import EndpointBody, check_endpoint_id, refuse
from functions.registry.service import Registry, check_version, persistent

_NUMBER = re.compile(r"[0-9]{1,12}")


class Secrets(Protocol):
    """What signs the deliveries of endpoints."""

    def create(self, organisation: str, endpoint: str) -> tuple[str, str]:
        """The name under which a new secret is kept, and the secret itself."""
        ...

    def forget(self, name: str) -> None: ...


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
    """The numbered logs of an endpoint's lanes."""

    def progress(self, lane: Lane) -> Progress: ...
    def rows(self, lane: Lane, *, after: int, limit: int) -> Sequence[Row]: ...


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
    lanes = [f"{content}-{number}" for content in ("alerts", "observations") for number in range(endpoint.shards)]
    start = after or "0"
    refuse(
        None if shard in lanes else Fault("query:shard", f"one of {', '.join(lanes)}"),
        None if _NUMBER.fullmatch(start) else Fault("query:after", "the last number you have, or 0"),
    )
    lane = Lane(endpoint.organisation, endpoint.id, str(shard))
    first, last = int(start), int(start) + limit
    rows = log.rows(lane, after=first, limit=limit)
    return Logged(lane, rows, str(last) if last < log.progress(lane).next else None)
