"""What the API says, typed. Fields that a newer API adds are ignored."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import AwareDatetime, Base64Bytes, BaseModel, ConfigDict, Field


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Consent(Model):
    given_at: AwareDatetime
    withdrawn_at: AwareDatetime | None = None


class Subject(Model):
    """`missing` lists what is still needed to monitor in full: consent, contacts, device, care-plan."""

    id: str
    programmes: tuple[str, ...]
    time_zone: str
    language: str
    consent: Consent | None
    emergency_text: str | None
    missing: tuple[str, ...]
    version: int


class Erasure(Model):
    """How far it is: no copy of the subject is left at `complete_at`. `found` counts what was in each place."""

    subject: str
    state: Literal["erasing", "erased"]
    erased_at: datetime
    finished_at: datetime | None
    complete_at: datetime
    looked_in: tuple[str, ...]
    found: Mapping[str, int]


class Audited(Model):
    """What was done over the API. `outcome` is `asked` before a write is carried out, then what became of it; `before`
    and `after` are hashes of what the API shows of the thing; `hash` chains it to the entry before."""

    at: datetime
    actor: str
    operation: str
    path: str
    request: str
    outcome: str
    before: str | None
    after: str | None
    chain: int
    number: int
    previous: str
    hash: str


class Contact(Model):
    """Where one is told; `topic` has no address."""

    channel: Literal["push", "sms", "email", "topic"]
    address: str | None = None


class Assignment(Model):
    """A device on a subject, from `from_at` (inclusive) to `to_at` (exclusive; None is open)."""

    id: str
    subject: str
    from_at: datetime = Field(alias="from")
    to_at: datetime | None = Field(alias="to")
    slot: int | None


class Device(Model):
    serial: str
    profile: str
    device_class: Literal["medical", "auxiliary"] = Field(alias="class")
    lot: str | None
    gateway: str | None
    cloud: str | None = None
    roster: tuple[str, ...]
    revoked_at: datetime | None = None
    assignments: tuple[Assignment, ...]
    version: int


class Claim(Model):
    """A temporary claim: PEM texts that are shown once, and the provisioning template that they are for."""

    certificate: str
    private_key: str = Field(repr=False)
    expires_at: datetime
    template: str


class CarePlan(Model):
    """One version of a subject's care plan; `plan` is the document as its author put it."""

    version: int
    created_at: datetime
    plan: Mapping[str, Any]


class Endpoint(Model):
    """`secret` is there only in the answer that made the endpoint."""

    id: str
    url: str
    kinds: tuple[str, ...]
    programmes: tuple[str, ...]
    mode: str
    window_seconds: int
    shards: int
    state: Literal["enabled", "disabled"]
    version: int
    secret: str | None = Field(default=None, repr=False)


class Quantity(Model):
    value: Decimal
    unit: str


class Observation(Model):
    id: str
    subject: str
    kind: str
    values: Mapping[str, Quantity]
    measured_at: datetime
    device_time: datetime
    received_at: datetime
    device: str
    origin: str
    tags: tuple[str, ...]
    flags: tuple[str, ...] = ()
    context: Mapping[str, str] = {}
    paths: tuple[str, ...] = ()
    version: int = 1


class Derived(Model):
    """What the readings of a period say together; `values` is empty when the `count` that speak are too few."""

    kind: Literal["mean-pressure", "glucose-statistics", "weight-baseline", "days-transmitted"]
    period: Mapping[Literal["from", "to"], datetime]
    count: int
    values: Mapping[str, Quantity]
    auxiliary: bool
    version: int


class DaysTransmitted(Model):
    """On how many of the subject's own days of a period something of theirs was measured and arrived."""

    subject: str
    period: Mapping[str, datetime]
    days: int


class Alert(Model):
    id: str
    version: int
    subject: str
    rule: str
    severity: Literal["info", "warning", "critical"]
    category: str
    state: Literal["confirming", "active", "clearing", "resolved"]
    outcome: str | None
    raised_at: datetime
    resolved_at: datetime | None
    observation: str
    plan_version: str
    acknowledged: Any = None
    snoozed_until: datetime | None = None


class Decision(Model):
    """What one rule made of a reading; `why` says why nobody was told, None when somebody was."""

    rule: str | None
    plan_version: str | None
    before: Literal["idle", "confirming", "active", "clearing"]
    after: Literal["idle", "confirming", "active", "clearing"]
    why: str | None


class Decided(Model):
    """Why a reading did or did not alarm, as it was `kept` then, or else as it is computed again by the same engine."""

    observation: str
    kind: str
    measured_at: datetime
    judged_at: datetime
    engine: int
    kept: bool
    rules: tuple[Decision, ...]


class Load(Model):
    """How many alerts a plan makes of the past."""

    alerts: int
    at_night: int
    needing_a_human: int


class Telling(Model):
    at: datetime
    to: tuple[str, ...]
    what: str


class TriedEpisode(Model):
    """An alert that would have been, with the readings that would have fired it."""

    rule: str
    severity: Literal["info", "warning", "critical"]
    outcome: str | None
    raised_at: datetime
    resolved_at: datetime | None
    at_night: bool
    readings: tuple[Mapping[str, Any], ...]
    told: tuple[Telling, ...]


class DryRun(Load):
    """What a care plan would have made of the last days, beside what the `current` one makes of them."""

    readings: int
    current: Load
    episodes: tuple[TriedEpisode, ...]


class Quarantined(Model):
    """A reading that was set aside; `payload` are its bytes, None where none may be kept (no-consent)."""

    id: str
    reason: str
    detail: str
    thing: str | None
    device: str | None
    profile: str | None = None
    topic: str | None
    received_at: datetime
    payload: Base64Bytes | None


class QuarantineCount(Model):
    """`profile` is the model of device, None where nobody had enrolled it."""

    profile: str | None
    reason: str
    count: int


class SerialRange(Model):
    """Both included."""

    from_: str = Field(alias="from")
    to: str


class Recall(Model):
    """One of `profile`, `lot` and `serials` is given."""

    id: str
    profile: str | None
    lot: str | None
    serials: SerialRange | None
    mode: Literal["block", "flag"]
    reason: str
    created_at: AwareDatetime


class Delivery(Model):
    """A numbered document of a lane, rendered as it would be sent now."""

    id: str
    shard: str
    sequence: int
    body: Mapping[str, Any]


class Trial(Model):
    """What came of a test delivery; `status` is None when no answer came, and `error` then says why."""

    status: int | None
    ms: int
    error: str | None


class Attempt(Model):
    """One try at an endpoint; `status` is None when no answer came."""

    id: str
    at: datetime
    status: int | None
    ms: int
    error: str | None
