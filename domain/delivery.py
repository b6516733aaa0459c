"""Deliveries: numbered documents to a MIS, in lanes, signed, tried again until they are received.

Source: Standard Webhooks 1.0.0 (headers `webhook-*`, signature `v1`); RFC 9110 for `Retry-After`.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal, TypeAlias

from domain.enrolment import Attended, Endpoint, Subject
from domain.identity import deterministic_id

Content = Literal["alerts", "observations"]
RowType = Literal["observation", "alert", "derived", "consent"]

REFERENCES_A_ROW = 100
"""At most so many readings or alerts in one delivery."""

DERIVED_A_ROW = 10
"""At most so many derived values in one: each is worked out of up to a month of readings when it is sent."""

TIMEOUT = timedelta(seconds=15)
"""How long an endpoint may take to answer."""

WAITS = (timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=60), timedelta(minutes=2))
"""How long to wait after the first, second … failure in a row; after the last of them the lane is suspended."""

PROBE = timedelta(minutes=1)
"""How often the head of a suspended lane is tried."""

LONGEST_WAIT = timedelta(minutes=15)
"""No `Retry-After` keeps a lane from trying for longer: a mistaken one must not silence a lane for days."""

SHORTEST_WAIT = timedelta(seconds=1)

SECRET_PREFIX = "whsec_"  # noqa: S105 - how Standard Webhooks marks a secret, none itself


@dataclass(frozen=True, slots=True)
class Lane:
    """A numbered log of deliveries of one endpoint. `name` is `alerts-{n}` or `observations-{n}`."""

    organisation: str
    endpoint: str
    name: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What a delivery is about: a row of the observations or the alerts table, by its key. Rows hold no bodies.

    `derived` has no row: `pk` is the subject's, `sk` kind and last day of its period, `mean-pressure#2026-11-22`.
    """

    type: RowType
    pk: str
    sk: str


@dataclass(frozen=True, slots=True)
class Row:
    """One number of a lane."""

    number: int
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a lane stands: `next` is the last number given, `cursor` the last one received.

    Numbers up to `replayed_to` were sent before, and go once more because their owner asked for it.
    """

    next: int = 0
    cursor: int = 0
    failures: int = 0
    rung_at: datetime | None = None
    next_attempt_at: datetime | None = None
    suspended_at: datetime | None = None
    replayed_to: int = 0

    def wakes(self, now: datetime, window: timedelta) -> bool:
        """True when a doorbell is still to come that was rung for a row not yet sent."""
        return self.cursor < self.next and self.rung_at is not None and now < self.rung_at + window


@dataclass(frozen=True, slots=True)
class Key:
    """A secret that signs until `until` (None: until it is rotated)."""

    secret: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes with one body: its stable id and our headers, signature aside."""

    id: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try. `status` is None when no answer came, and `error` then says why, in a word."""

    status: int | None
    ms: int
    retry_after: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try, as the owner of the endpoint may see it. `id` is the delivery's `webhook-id`."""

    id: str
    at: datetime
    lane: Lane
    number: int
    status: int | None
    ms: int
    error: str | None


def shard(subject: str, shards: int) -> int:
    """A subject is always in the same shard, whatever process asks."""
    return int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8]) % shards


def lane(endpoint: Endpoint, content: Content, subject: str) -> Lane:
    return Lane(endpoint.organisation, endpoint.id, f"{content}-{shard(subject, endpoint.shards)}")


def window(endpoint: Endpoint, content: Content) -> timedelta:
    """How long a lane gathers before it sends: alerts not at all."""
    return timedelta(seconds=endpoint.window_seconds if content == "observations" else 0)


def wants(endpoint: Endpoint, subject: Subject, kind: str) -> bool:
    """True when the endpoint's filters let through this kind of this subject."""
    return not {"*", kind}.isdisjoint(endpoint.kinds) and follows(endpoint, subject.programmes)


def follows(endpoint: Endpoint, programmes: Iterable[str]) -> bool:
    """True when the endpoint receives of subjects of these programmes."""
    return not {"*", *programmes}.isdisjoint(endpoint.programmes)


def may_leave(subject: Subject | Attended | None) -> bool:
    """True when the subject's consent is in force now; an erased subject is None (P5)."""
    return subject is not None and subject.consent is not None and subject.consent.withdrawn_at is None


def webhook_id(of: Lane, number: int) -> str:
    """Stable for ever: made from endpoint, lane and number."""
    return deterministic_id(of.organisation, "delivery", of.endpoint, of.name, str(number))


def parcel(of: Lane, number: int, part: int = 1, parts: int = 1, *, replay: bool = False) -> Parcel:
    """The id and headers of a number, or of its part (1-based) when it goes in several."""
    whole = webhook_id(of, number)
    headers = {
        "content-type": "application/fhir+json",
        "pma-endpoint": of.endpoint,
        "pma-shard": of.name,
        "pma-sequence": str(number),
        **({"pma-replay": "true"} if replay else {}),
    }
    if parts == 1:
        return Parcel(whole, headers)
    return Parcel(f"{whole}.{part}", headers | {"pma-part": f"{part}/{parts}"})


def split(references: Sequence[Reference], parts: int) -> Iterator[Sequence[Reference]]:
    """`parts` runs of `references`, in their order.

    Part k of 2n lies within the first k parts of n, so a receiver that took part k of n and answers a repeat of its id
    without reading it misses nothing when the number comes again in twice as many parts.
    """
    size = len(references)
    return (references[size * part // parts : size * (part + 1) // parts] for part in range(parts))


def sign(secrets: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: `v1,{base64}` for each secret (`whsec_` and base64), space-separated."""
    message = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1,"
        + base64.b64encode(
            hmac.digest(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True), message, "sha256")
        ).decode()
        for secret in secrets
    )


@dataclass(frozen=True, slots=True)
class Received:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The receiver wants nothing any more: the endpoint is disabled until a person enables it."""


@dataclass(frozen=True, slots=True)
class TooBig:
    """The number goes again at once, in `parts`."""

    parts: int


@dataclass(frozen=True, slots=True)
class Again:
    """The same number once more after `wait`."""

    wait: timedelta
    suspended: bool


Step: TypeAlias = Received | Gone | TooBig | Again


def next_step(answer: Answer, *, failures: int, references: int, parts: int, now: datetime, jitter: float) -> Step:
    """What to do after an answer.

    `failures` counts the tries of this number that failed before this one, `references` what the row holds, `parts`
    how many pieces it went in; `jitter` is in [0, 1) and lengthens a wait of the schedule by up to a fifth.
    """
    status = answer.status
    if status is not None and 200 <= status < 300:
        return Received()
    if status == 410:
        return Gone()
    if status == 413 and parts < references:
        return TooBig(parts * 2)
    suspended = failures >= len(WAITS)
    wait = (PROBE if suspended else WAITS[failures]) * (1 + jitter / 5)
    if status in (429, 503) and answer.retry_after is not None:
        asked = retry_after(answer.retry_after, now)
        if asked is not None:
            wait = min(max(asked, SHORTEST_WAIT), LONGEST_WAIT)
    return Again(wait, suspended)


def retry_after(header: str, now: datetime) -> timedelta | None:
    """The wait that a `Retry-After` asks for: seconds, or a date; None when it is neither."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text)) if len(text) < 10 else LONGEST_WAIT
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
