"""Everything that the domain refuses, named for what happened.

PmaError
├── RejectedReading          one reading goes to quarantine; `reason` is from the contract's closed list
│   ├── Malformed            malformed         not JSON, or not of the shape that its format prescribes
│   ├── UnknownFormat        unknown-format    the topic or `format` names a format that we do not read
│   ├── UnknownDevice        unknown-device    nobody enrolled it, or it is not paired with this gateway
│   ├── UnknownHolder        unknown-holder    nobody held the device when it was measured
│   ├── AmbiguousHolder      ambiguous-holder  more than one subject may have held it
│   ├── NoConsent            no-consent        the subject's consent does not cover that time
│   ├── ImplausibleValue     implausible       outside what a living person and this device can show
│   ├── BadUnit              bad-unit          missing, or not convertible to the canonical unit
│   ├── BadValue             bad-value         not a finite number, or a value that the kind lacks or must have
│   ├── UntrustedClock       untrusted-clock   the device's time cannot be believed
│   ├── FutureTime           future            measured more than five minutes from now
│   ├── RecalledDevice       recalled-device   its model, lot or serial is blocked
│   ├── RevokedGateway       revoked-gateway   the thing that carried it was revoked
│   ├── TooLarge             too-large         a message over 128 KB or 500 readings
│   └── TooOld               too-old           older than observations are kept
├── InvalidRequest           what a person or a system asked for cannot be; carries the fields at fault
├── NotFound                 no such thing in this organisation
├── Suspended                the operator suspended the organisation
├── TooManyRequests          the organisation asked more often than it may; `wait` is in seconds
├── Conflict                 true of another state of the world
│   ├── StaleVersion         the caller edited an older version
│   ├── SerialTaken          another organisation enrolled this serial first
│   ├── AssignmentOverlap    somebody else holds the device, or that slot of it, in that period
│   ├── SubjectErased        whoever bore that pseudonym was erased, and stays erased
│   ├── GatewayRevoked       it was revoked, and is out of service for good
│   ├── LaneBusy             a sender is at work in the lane just now
│   ├── AlertOver            nobody needs to attend to it any more
│   ├── StillInProgress      the same request is being carried out just now
│   └── ShardsFixed          an endpoint's number of shards settles which lane a subject is in, for ever
└── LostRace                 somebody else wrote first; read again and try again
"""

from dataclasses import dataclass
from typing import ClassVar


class PmaError(Exception):
    """Root of all errors that this project raises on purpose."""


class RejectedReading(PmaError):
    """A reading that cannot become an observation.

    `detail` says in one sentence what is wrong and names the field, never the value (it is kept in logs and shown in
    the quarantine).
    """

    reason: ClassVar[str]

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Malformed(RejectedReading):
    reason = "malformed"


class UnknownFormat(RejectedReading):
    reason = "unknown-format"


class UnknownDevice(RejectedReading):
    reason = "unknown-device"


class UnknownHolder(RejectedReading):
    reason = "unknown-holder"


class AmbiguousHolder(RejectedReading):
    reason = "ambiguous-holder"


class NoConsent(RejectedReading):
    reason = "no-consent"


class ImplausibleValue(RejectedReading):
    reason = "implausible"


class BadUnit(RejectedReading):
    reason = "bad-unit"


class BadValue(RejectedReading):
    reason = "bad-value"


class UntrustedClock(RejectedReading):
    reason = "untrusted-clock"


class FutureTime(RejectedReading):
    reason = "future"


class RecalledDevice(RejectedReading):
    reason = "recalled-device"


class RevokedGateway(RejectedReading):
    reason = "revoked-gateway"


class TooLarge(RejectedReading):
    reason = "too-large"


class TooOld(RejectedReading):
    reason = "too-old"


@dataclass(frozen=True, slots=True)
class Fault:
    """One field at fault: `field` is a JSON pointer into the request body, `message` says what would be right."""

    field: str
    message: str


class InvalidRequest(PmaError):
    """A request that cannot be carried out as it stands; every fault found is listed."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


class NotFound(PmaError):
    """No such thing in this organisation (another organisation's thing is not found either)."""


class Suspended(PmaError):
    """The operator suspended the organisation: its systems get no answer until that is undone."""


class TooManyRequests(PmaError):
    """The organisation asked more often than it may; after `wait` seconds it may again."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"more requests than this organisation may send: try again in {wait} s")
        self.wait = wait


class Conflict(PmaError):
    """The request does not fit the present state; `code` names the conflict for programs."""

    code: ClassVar[str] = "conflict"


class StaleVersion(Conflict):
    """The caller edited a version that is no longer the newest."""

    code = "stale-version"


class SerialTaken(Conflict):
    """A serial belongs to the organisation that enrolled it first."""

    code = "serial-taken"


class AssignmentOverlap(Conflict):
    """The device, or that slot of it, is assigned to somebody in that period already."""

    code = "assignment-overlap"


class SubjectErased(Conflict):
    """Whoever bore that pseudonym was erased: nobody is enrolled under it again, by accident or otherwise."""

    code = "subject-erased"


class GatewayRevoked(Conflict):
    """A gateway that was revoked is out of service for good."""

    code = "gateway-revoked"


class NothingKept(Conflict):
    """What was refused for want of consent kept no payload, so there is nothing to try again (P5)."""

    code = "nothing-kept"


class LaneBusy(Conflict):
    """A sender is at work in the lane just now."""

    code = "lane-busy"


class AlertOver(Conflict):
    """The alert is over: nobody needs to attend to it any more."""

    code = "alert-over"


class StillInProgress(Conflict):
    """A request with the same Idempotency-Key is being carried out just now."""

    code = "in-progress"


class ShardsFixed(Conflict):
    """Another number of shards would move subjects to other lanes, and their order would be lost."""

    code = "shards-fixed"


class LostRace(PmaError):
    """A conditional write found that somebody else wrote first: read again and try again."""
