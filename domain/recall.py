"""Recalls: a model, a lot or a range of serials is blocked or flagged at once, and all of it can be undone (P8)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.enrolment import Device


@dataclass(frozen=True, slots=True)
class Recall:
    """One of `profile`, `lot` and `serials` is given; `serials` is the first and the last, both included.

    `block` sets what arrives from now on aside; `flag` stores it with the tag `recalled`. Both mark the past.
    """

    id: str
    organisation: str
    mode: Literal["block", "flag"]
    reason: str
    created_at: datetime
    profile: str | None = None
    lot: str | None = None
    serials: tuple[str, str] | None = None

    def covers(self, device: Device) -> bool:
        """Serials are compared as text of one length, as makers count them: `BP-00009` is before `BP-00010`."""
        if self.organisation != device.organisation:
            return False
        if self.serials is not None:
            first, last = self.serials
            return len(device.serial) == len(first) and first <= device.serial <= last
        return device.profile == self.profile if self.profile is not None else device.lot == self.lot
