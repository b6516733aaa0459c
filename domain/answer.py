"""What the HTTP API shows: the shape of each answer, from which its document is made.

Shapes are typed dictionaries: the type checker holds every answer to them, and at run time they cost nothing. Times
are ISO 8601 with their offset. A later version may add fields, never take one away.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import WithJsonSchema
from typing_extensions import TypedDict

T = TypeVar("T")

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Digits = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"})]
Bytes = Annotated[str, WithJsonSchema({"type": "string", "contentEncoding": "base64"})]


class Page(TypedDict, Generic[T]):
    """Part of a list. `next` is the cursor of the part after it, null at the end."""

    items: Sequence[T]
    next: str | None


class FieldAtFault(TypedDict):
    """`field` is a JSON pointer into the body, or `path:`, `query:` or `header:` and a name."""

    field: str
    message: str


class Problem(TypedDict):
    """Why the API refused (RFC 9457): `code` is for programs, `title` for people, `field` names each field at fault."""

    type: str
    title: str
    status: int
    code: str
    field: Sequence[FieldAtFault]


class ConsentShown(TypedDict):
    given_at: Moment
    withdrawn_at: Moment | None


class SubjectShown(TypedDict):
    """`missing` lists what is still needed to monitor in full."""

    id: str
    programmes: Sequence[str]
    time_zone: str
    language: str
    consent: ConsentShown | None
    emergency_text: str | None
    missing: Sequence[str]
    version: int


class AuditShown(TypedDict):
    """A link of a chain. `outcome` is `asked`, then the status, `not-found`, `refused` or `broken-off`; `before` and
    `after` are SHA-256 of what the API shows of the thing. `hash` is of all of it and of `previous`."""

    at: Moment
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


class ErasureShown(TypedDict):
    """`found` counts, by place of `looked_in`, what was deleted; the archive cannot be read from `erased_at` on. At
    `complete_at` no copy is left from which a table could be restored."""

    subject: str
    state: Literal["erasing", "erased"]
    erased_at: Moment
    finished_at: Moment | None
    complete_at: Moment
    looked_in: Sequence[str]
    found: Mapping[str, int]


AssignmentShown = TypedDict(
    "AssignmentShown", {"id": str, "subject": str, "from": Moment, "to": Moment | None, "slot": int | None}
)

DeviceShown = TypedDict(
    "DeviceShown",
    {
        "serial": str,
        "profile": str,
        "class": Literal["medical", "auxiliary"],
        "lot": str | None,
        "gateway": str | None,
        "cloud": str | None,
        "roster": Sequence[str],
        "revoked_at": Moment | None,
        "assignments": Sequence[AssignmentShown],
        "version": int,
    },
)


class ClaimShown(TypedDict):
    """Certificate and private key are PEM, shown once; `template` is the provisioning template that they are for."""

    certificate: str
    private_key: str
    expires_at: Moment
    template: str


class CertificateKept(TypedDict):
    thing: str
    certificate: str
    retired: Sequence[str]


class GatewayOutOfService(TypedDict):
    thing: str
    revoked_at: Moment


class CarePlanShown(TypedDict):
    """`plan` is the document as its author put it."""

    version: int
    created_at: Moment
    plan: Mapping[str, Any]


class AlertLoad(TypedDict):
    alerts: int
    at_night: int
    needing_a_human: int


class CurrentLoad(AlertLoad):
    plan_version: str | None


class QuantityShown(TypedDict):
    """A value with its UCUM unit."""

    value: Digits
    unit: str


class ReadingShown(TypedDict):
    id: str
    kind: str
    measured_at: Moment
    values: Mapping[str, QuantityShown]


class TellingShown(TypedDict):
    at: Moment
    to: Sequence[str]
    what: str


class WouldBeShown(TypedDict):
    """An alert that would have been, with its readings and whom it would have told."""

    rule: str
    severity: Literal["info", "warning", "critical"]
    category: str
    state: str
    outcome: str | None
    raised_at: Moment
    resolved_at: Moment | None
    at_night: bool
    observation: str | None
    readings: Sequence[ReadingShown]
    told: Sequence[TellingShown]


DryRunShown = TypedDict(
    "DryRunShown",
    {
        "from": Moment,
        "readings": int,
        "alerts": int,
        "at_night": int,
        "needing_a_human": int,
        "current": CurrentLoad,
        "episodes": Sequence[WouldBeShown],
        "episodes_left_out": int,
    },
)


class DecisionShown(TypedDict):
    """What one rule made of a reading: from a state to a state; `why` nobody was told, null when somebody was."""

    rule: str | None
    plan_version: str | None
    before: str
    after: str
    why: str | None


class DecisionsShown(TypedDict):
    """All decisions on one reading. `kept`: as it was written then; else computed again just now."""

    observation: str
    kind: str
    measured_at: Moment
    received_at: Moment
    judged_at: Moment
    engine: int
    kept: bool
    rules: Sequence[DecisionShown]


class EndpointShown(TypedDict):
    id: str
    url: str
    kinds: Sequence[str]
    programmes: Sequence[str]
    mode: Literal["fhir-transaction"]
    window_seconds: int
    shards: int
    state: Literal["enabled", "disabled"]
    version: int


class EndpointMade(EndpointShown):
    """`secret` signs its deliveries. It is shown in this answer and never again."""

    secret: str


class TrialShown(TypedDict):
    """What came of a test delivery: `status` is null when no answer came, and `error` then says why."""

    status: int | None
    ms: int
    error: str | None


class ReplayShown(TypedDict):
    """Numbers after `after` up to `to` of lane `shard` go once more, with `pma-replay: true`."""

    shard: str
    after: int
    to: int


class DeliveryShown(TypedDict):
    """A numbered document of a lane (`shard`), rendered as it would be sent now."""

    id: str
    shard: str
    sequence: int
    body: Mapping[str, Any]


class AttemptShown(TypedDict):
    """One try at an endpoint; `status` is null when no answer came."""

    id: str
    shard: str
    sequence: int
    at: Moment
    status: int | None
    ms: int
    error: str | None


class ObservationShown(TypedDict):
    id: str
    subject: str
    kind: str
    values: Mapping[str, QuantityShown]
    measured_at: Moment
    device_time: Moment
    received_at: Moment
    device: str
    origin: str
    tags: Sequence[str]
    flags: Sequence[str]
    context: Mapping[str, str]
    paths: Sequence[str]
    version: int


class DerivedShown(TypedDict):
    """What the readings of a period say together; `values` is empty when the `count` that speak are too few."""

    kind: str
    period: Mapping[str, Moment]
    count: int
    values: Mapping[str, QuantityShown]
    auxiliary: bool
    version: int


class SummaryShown(TypedDict):
    """A subject's derived values as they stand."""

    subject: str
    time_zone: str
    derived: Sequence[DerivedShown]


class DaysTransmitted(TypedDict):
    """On how many of the subject's own days of a period something of theirs was measured and arrived."""

    subject: str
    period: Mapping[str, Moment]
    days: int


class AcknowledgementShown(TypedDict):
    actor: str
    at: Moment


class AlertShown(TypedDict):
    id: str
    version: int
    subject: str
    rule: str
    severity: Literal["info", "warning", "critical"]
    category: str
    state: str
    outcome: str | None
    raised_at: Moment
    resolved_at: Moment | None
    observation: str
    plan_version: str
    acknowledged: AcknowledgementShown | None
    snoozed_until: Moment | None


class QuarantinedShown(TypedDict):
    """A reading that was set aside; `payload` are its bytes, null where none may be kept."""

    id: str
    reason: str
    detail: str
    thing: str | None
    device: str | None
    profile: str | None
    topic: str | None
    received_at: Moment
    payload: Bytes | None


class QuarantineCount(TypedDict):
    """`profile` is the model of device, null where nobody had enrolled it."""

    profile: str | None
    reason: str
    count: int


class TriedAgain(TypedDict):
    id: str


Serials = TypedDict("Serials", {"from": str, "to": str})
"""The first and the last, both included."""


class RecallShown(TypedDict):
    """One of `profile`, `lot` and `serials` is given."""

    id: str
    profile: str | None
    lot: str | None
    serials: Serials | None
    mode: Literal["block", "flag"]
    reason: str
    created_at: Moment
