"""What a record of the registry's stream means to the engine: plan, consent and batteries, each for whom it concerns.

Records of another kind (an endpoint, an assignment) mean nothing. Said twice, late or out of order none of it does
harm: what counts is what stands in the table when it is judged.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

from adapters.dynamodb import decode_item
from adapters.registry import to_device, to_subject
from domain.alert import BatteryTold, ConsentWithdrawn, Event, PlanChanged

Who: TypeAlias = tuple[str, str]
"""`(organisation, subject)`."""


def happened(record: Mapping[str, Any], now: datetime) -> Iterator[tuple[Who, Callable[[], Event]]]:
    """Whom it concerns, and how to read what happened. A battery concerns who holds the device at `now`."""
    change = record["dynamodb"]
    pk, sk = (change["Keys"][name]["S"] for name in ("pk", "sk"))
    if sk == "subject" and _is_a_note(change):
        return
    if sk in ("plan", "subject"):
        organisation, _, subject = pk.split("#")
        who = organisation, subject
        yield who, partial(PlanChanged, *who) if sk == "plan" else partial(_of_a_subject, who, record)
    elif sk == "device" and "NewImage" in change:
        yield from _of_a_device(record, now)


def _is_a_note(change: Mapping[str, Any]) -> bool:
    """Export's, of the week that it told: no edit, so the version stays."""
    before, after = change.get("OldImage"), change.get("NewImage")
    return before is not None and after is not None and bool(before["version"] == after["version"])


def _of_a_subject(who: Who, record: Mapping[str, Any]) -> Event:
    """Enrolled anew, with other programmes or in another zone, it may be judged by another plan."""
    image = record["dynamodb"].get("NewImage")
    consent = None if image is None else to_subject(decode_item(image)).consent
    return ConsentWithdrawn(*who) if consent is None or consent.withdrawn_at is not None else PlanChanged(*who)


def _of_a_device(record: Mapping[str, Any], now: datetime) -> Iterator[tuple[Who, Callable[[], Event]]]:
    before, device = (
        to_device(decode_item(record["dynamodb"][name])) if name in record["dynamodb"] else None
        for name in ("OldImage", "NewImage")
    )
    known = None if before is None or before.status is None else before.status.battery
    if device is None or device.status is None or device.status.battery in (None, known):
        return
    for subject in dict.fromkeys(one.subject for one in device.assignments if one.covers(now)):
        who = device.organisation, subject
        yield who, partial(BatteryTold, *who, device.serial, device.status.battery)
