"""FHIR R4, rendered as plain dicts: what a MIS receives.

Sources: HL7 FHIR R4 (4.0.1), its vital signs profiles and its extensions flag-priority and flag-detail. Numbers stay
Decimal: the adapter that writes the JSON writes their digits. Dicts of constants are shared between resources, so
nobody may change what is returned here.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeAlias

from domain.alert import Alert
from domain.codes import EXTRA_LOINC, KINDS, ValueType
from domain.enrolment import Device
from domain.identity import deterministic_id
from domain.observation import Observation

Json: TypeAlias = dict[str, Any]

BASE = "https://pma.invalid/fhir"
"""Root of every `fullUrl`. The name never resolves: bundles are pushed, and there is nothing to fetch. With it a
relative reference (`Device/{id}`) resolves inside its bundle, as FHIR's rules for bundles want."""

SUBJECT = "urn:pma:subject"
SERIAL = "urn:pma:serial"
PROFILE = "urn:pma:profile"
RULE = "urn:pma:rule"
TAG = "urn:pma:tag"
EXTENSION = "urn:pma:extension"
"""Our extensions are `{EXTENSION}:version`, `:origin`, `:care-plan-version`, `:episode-state`, `:episode-outcome`."""

_LOINC = "http://loinc.org"
_UCUM = "http://unitsofmeasure.org"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_CATEGORY_DISPLAY = {"vital-signs": "Vital Signs", "laboratory": "Laboratory"}
_HL7 = "http://hl7.org/fhir/StructureDefinition"
_PRIORITY_CODES = "http://hl7.org/fhir/flag-priority-code"
_FLAG_CODES = "http://terminology.hl7.org/CodeSystem/flag-category"
_FLAG_CATEGORY = {
    "physiological": {"system": _FLAG_CODES, "code": "clinical", "display": "Clinical"},
    "technical": {"system": _FLAG_CODES, "code": "safety", "display": "Safety"},
}
_PRIORITY = {"info": ("PL", "Low priority"), "warning": ("PM", "Medium priority"), "critical": ("PH", "High priority")}
_OWN = "pulse"  # a cuff's or an oximeter's pulse is an Observation of its own
_TAGS = frozenset({"late", "recalled"})
_SIGNAL_LOSS: Json = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "error"}],
    "text": "signal loss",
}
_MINUTE = timedelta(minutes=1)
_WIDEST = timedelta(hours=14)


def device_id(organisation: str, serial: str) -> str:
    return deterministic_id(organisation, "device", serial)


def pulse_id(observation: str) -> str:
    """The id of the Observation 8867-4 that goes with the observation of this id."""
    return deterministic_id(observation, _OWN)


def bundle(observations: Iterable[Observation], alerts: Iterable[Alert], devices: Mapping[str, Device]) -> Json:
    """A transaction that puts each resource once and is closed under reference.

    `devices` by serial, of the one organisation that all of it belongs to; an observation whose device is not among
    them names none. A Flag points at those of its observations that are among `observations`. Nothing to put: a
    Bundle without entries, which is how a number is kept when its content may no longer be sent.
    """
    shown = {one.id: one for one in observations}
    named = {one.device: device_id(one.organisation, one.device) for one in shown.values() if one.device in devices}
    resources = [_device(devices[serial], id_) for serial, id_ in named.items()]
    for one in shown.values():
        resources += _observation(one, named.get(one.device))
    resources += [_flag(alert, shown) for alert in {alert.id: alert for alert in alerts}.values()]
    rendered: Json = {"resourceType": "Bundle", "type": "transaction"}
    if resources:
        rendered["entry"] = [_entry(resource) for resource in resources]
    return rendered


def _entry(resource: Json) -> Json:
    path = f"{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": f"{BASE}/{path}", "resource": resource, "request": {"method": "PUT", "url": path}}


@dataclass(frozen=True)
class _Coded:
    """A value's constant parts: its name in our words, FHIR `code` and UCUM unit."""

    name: str
    code: Json
    unit: str


@dataclass(frozen=True)
class _Layout:
    """How a kind stands in FHIR: a panel with components, or one value; and what is an Observation of its own."""

    code: Json
    category: list[Json]
    values: tuple[_Coded, ...]
    panel: bool
    own: _Coded | None


def _code(*codings: tuple[str, str]) -> Json:
    return {"coding": [{"system": _LOINC, "code": code, "display": display} for code, display in codings]}


def _coded(name: str, value: ValueType) -> _Coded:
    return _Coded(name, _code((value.loinc, value.display)), value.unit)


@cache
def _category(name: str) -> list[Json]:
    return [{"coding": [{"system": _CATEGORY, "code": name, "display": _CATEGORY_DISPLAY[name]}]}]


@cache
def _layout(kind: str) -> _Layout:
    of = KINDS[kind]
    second = [EXTRA_LOINC[kind]] if kind in EXTRA_LOINC else []
    return _Layout(
        code=_code((of.loinc, of.display), *second),
        category=_category(of.category),
        values=tuple(_coded(name, value) for name, value in of.values.items() if name != _OWN),
        panel=all(value.loinc != of.loinc for value in of.values.values()),
        own=_coded(_OWN, of.values[_OWN]) if _OWN in of.values else None,
    )


def _observation(one: Observation, device: str | None) -> list[Json]:
    """The resources of one reading: its own, and its pulse's where a cuff or an oximeter measured one."""
    layout = _layout(one.kind)
    values = one.values
    whole: Json = {
        "resourceType": "Observation",
        "id": one.id,
        "extension": _observation_extensions(one.origin, one.version),
        "status": "final",
        "category": layout.category,
        "code": layout.code,
        "subject": _subject(one.subject),
        "effectiveDateTime": _time(one.measured_at),
        "issued": _time(one.received_at),
    }
    if device is not None:
        whole["device"] = {"reference": f"Device/{device}"}
    if tags := _tags(one.device_class, one.tags):
        whole["meta"] = {"tag": tags}
    rendered = [whole]
    own = layout.own
    if own is not None and own.name in values:
        pulse = whole | {"id": pulse_id(one.id), "code": own.code}
        pulse["valueQuantity"] = _quantity(values[own.name], own.unit)
        rendered.append(pulse)
    if layout.panel:
        whole["component"] = [
            {"code": part.code, "valueQuantity": _quantity(values[part.name], part.unit)}
            for part in layout.values
            if part.name in values
        ]
    else:
        (only,) = layout.values
        if only.name in values:
            whole["valueQuantity"] = _quantity(values[only.name], only.unit)
        else:
            whole["dataAbsentReason"] = _SIGNAL_LOSS
    return rendered


def _quantity(value: Any, unit: str) -> Json:
    return {"value": value, "unit": unit, "system": _UCUM, "code": unit}


@cache
def _observation_extensions(origin: str, version: int) -> list[Json]:
    return [_version(version), {"url": f"{EXTENSION}:origin", "valueCode": origin}]


@cache
def _tags(device_class: str, tags: frozenset[str]) -> list[Json]:
    shown = sorted(tags & _TAGS)
    if device_class == "auxiliary":
        shown.insert(0, "auxiliary")
    return [{"system": TAG, "code": tag} for tag in shown]


def _subject(token: str) -> Json:
    return {"type": "Patient", "identifier": {"system": SUBJECT, "value": token}}


def _version(number: int) -> Json:
    """Ours; `meta.versionId` is the receiving server's."""
    return {"url": f"{EXTENSION}:version", "valueInteger": number}


def _time(at: datetime) -> str:
    """With the offset it came with, or in UTC where FHIR has no way to write that offset."""
    offset = at.utcoffset()
    if offset is None:
        raise ValueError("times are aware")
    return (at if _writable(offset) else at.astimezone(UTC)).isoformat()


@cache
def _writable(offset: timedelta) -> bool:
    return not offset % _MINUTE and abs(offset) <= _WIDEST


def _device(device: Device, id_: str) -> Json:
    rendered: Json = {
        "resourceType": "Device",
        "id": id_,
        "extension": [_version(device.version)],
        "identifier": [{"system": SERIAL, "value": device.serial}],
        "serialNumber": device.serial,
        "type": {"coding": [{"system": PROFILE, "code": device.profile}]},
    }
    if device.lot is not None:
        rendered["lotNumber"] = device.lot
    if device.device_class == "auxiliary":
        rendered["meta"] = {"tag": [{"system": TAG, "code": "auxiliary"}]}
    return rendered


def _flag(alert: Alert, shown: Container[str]) -> Json:
    """An episode: active until it is resolved. It points at the observations of it that are among `shown`."""
    priority, display = _PRIORITY[alert.severity]
    period = {"start": _time(alert.raised_at)}
    if alert.resolved_at is not None:
        period["end"] = _time(alert.resolved_at)
    extensions: list[Json] = [
        _version(alert.version),
        {
            "url": f"{_HL7}/flag-priority",
            "valueCodeableConcept": {"coding": [{"system": _PRIORITY_CODES, "code": priority, "display": display}]},
        },
        {"url": f"{EXTENSION}:care-plan-version", "valueString": alert.plan_version},
        {"url": f"{EXTENSION}:episode-state", "valueCode": alert.state},
    ]
    if alert.outcome is not None:
        extensions.append({"url": f"{EXTENSION}:episode-outcome", "valueCode": alert.outcome})
    extensions += [
        {"url": f"{_HL7}/flag-detail", "valueReference": {"reference": f"Observation/{one}"}}
        for one in raising(alert)
        if one in shown
    ]
    return {
        "resourceType": "Flag",
        "id": alert.id,
        "extension": extensions,
        "status": "inactive" if alert.state == "resolved" else "active",
        "category": [{"coding": [_FLAG_CATEGORY[alert.category]]}],
        "code": {"coding": [{"system": RULE, "code": alert.rule}], "text": alert.rule},
        "subject": _subject(alert.subject),
        "period": period,
    }


def raising(alert: Alert) -> tuple[str, ...]:
    """The ids of the observations that an alert's Flag carries: the one that raised it first. Silence has none."""
    return tuple(dict.fromkeys(one for one in (alert.observation, *alert.observations) if one))
