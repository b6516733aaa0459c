"""Quarantine: readings set aside with a reason, none lost."""

from dataclasses import dataclass
from datetime import datetime

REASONS = (
    "malformed", "unknown-format", "unknown-device", "unknown-holder", "ambiguous-holder", "no-consent", "implausible",
    "bad-unit", "bad-value", "untrusted-clock", "future", "recalled-device", "revoked-gateway", "too-large", "too-old",
)  # fmt: skip
"""The contract's closed list."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """One refused reading, or one message that could not be read at all.

    `id` is made from organisation, thing, device and what was sent, so that a second sending is a repeat of the first.
    `organisation` is NOBODY where the thing was never enrolled: only the operator sees it. `payload` is what can be
    tried again; without consent it is None (P5) and only `device_time` (as the device wrote it), `kind` and a hash,
    `sha256`, of the reading without its values are kept, and the id is made of that. `profile` is the model of a device
    that was enrolled, `subject` who held it, where that was known before the reading was refused.
    """

    id: str
    organisation: str
    reason: str
    detail: str
    thing: str
    device: str | None
    topic: str
    received_at: datetime
    payload: bytes | None = None
    device_time: str | None = None
    kind: str | None = None
    sha256: str | None = None
    profile: str | None = None
    subject: str | None = None


NOBODY = "-"
"""The organisation of a thing that nobody enrolled."""
