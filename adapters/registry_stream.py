"""What a record of the registry's stream means to the engine: plan, consent and batteries, each for whom it concerns.

Records of another kind (an endpoint, an assignment) mean nothing. Said twice, late or out of order none of it does
harm: what counts is what stands in the table when it is judged.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

from adapters.registry import to_attended, to_device
from domain.alert import BatteryTold, ConsentWithdrawn, Event, PlanChanged

Who: TypeAlias = tuple[str, str]
"""`(organisation, subject)`."""


def happened(record: Mapping[str, Any], now: datetime) -> Iterator[tuple[Who, Callable[[], Event]]]:
    """Whom it concerns, and how to read what happened. A battery concerns who holds the device at `now`."""
    change = record["dynamodb"]
    pk, sk = (change["Keys"][name]["S"] for name in ("pk", "sk"))
    if sk == "norm":
        organisation, _, subject = pk.split("#")
        who = organisation, subject
        yield who, partial(_of_a_norm, who, change)
    elif sk == "device" and "NewImage" in change:
        yield from _of_a_device(record, now)


def _of_a_norm(who: Who, change: Mapping[str, Any]) -> Event:
    """Enrolled, with other programmes, in another zone or with a new care plan, it may be judged by another plan."""
    norm = change.get("NewImage")
    consent = None if norm is None else to_attended(norm).consent
    return ConsentWithdrawn(*who) if consent is None or consent.withdrawn_at is not None else PlanChanged(*who)


def _of_a_device(record: Mapping[str, Any], now: datetime) -> Iterator[tuple[Who, Callable[[], Event]]]:
    before, device = (
        to_device(record["dynamodb"][name]) if name in record["dynamodb"] else None for name in ("OldImage", "NewImage")
    )
    known = None if before is None or before.status is None else before.status.battery
    if device is None or device.status is None or device.status.battery in (None, known):
        return
    for subject in dict.fromkeys(one.subject for one in device.assignments if one.covers(now)):
        who = device.organisation, subject
        yield who, partial(BatteryTold, *who, device.serial, device.status.battery)
