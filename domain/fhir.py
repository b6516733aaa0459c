"""FHIR R4, rendered as plain dicts: what a MIS receives.

Sources: HL7 FHIR R4 (4.0.1), its vital signs profiles and its extensions flag-priority and flag-detail. Numbers stay
Decimal: the adapter that writes the JSON writes their digits. Dicts of constants are shared between resources, so
nobody may change what is returned here.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from domain.alert import Alert
from domain.codes import EXTRA_LOINC, KINDS, ValueType
from domain.derived import FORMS, Derived
from domain.enrolment import ConsentTold, Device
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
"""Our extensions are `{EXTENSION}:version`, `:origin`, `:count`, `:care-plan-version`, `:episode-state`,
`:episode-outcome`, `:acknowledged` (with `actor` and `at`) and `:erased-at`."""

DERIVED = "urn:pma:derived"

_LOINC = "http://loinc.org"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
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


def bundle(
    observations: Iterable[Observation],
    alerts: Iterable[Alert],
    devices: Mapping[str, Device],
    derived: Iterable[Derived] = (),
    consents: Iterable[ConsentTold] = (),
) -> Json:
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
    for value in derived:
        resources += _derived(value)
    resources += map(_consent, consents)
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
        "status": one.status,
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


class _Report(NamedTuple):
    """One resource of a derived value: a code with one value, or a panel of several."""

    code: Json
    category: str | None
    parts: Mapping[str, Json]
    panel: bool


def _own_code(code: str, display: str) -> Json:
    return {"coding": [{"system": DERIVED, "code": code, "display": display}]}


def _panel(category: str | None, code: Json, **parts: Json) -> _Report:
    return _Report(code, category, {name.replace("_", "-"): part for name, part in parts.items()}, panel=True)


def _single(category: str | None, name: str, code: Json) -> _Report:
    return _Report(code, category, {name: code}, panel=False)


_OF_PERIOD = "in Reporting Period Interstitial fluid by calculation"
_REPORTS: Mapping[str, tuple[_Report, ...]] = {
    "mean-pressure": (
        _panel(
            "vital-signs",
            _code(("96607-7", "Blood pressure panel mean systolic and mean diastolic")),
            systolic=_code(("96608-5", "Systolic blood pressure mean")),
            diastolic=_code(("96609-3", "Diastolic blood pressure mean")),
        ),
    ),
    "glucose-statistics": (
        _panel(
            "laboratory",
            _code(("106793-3", "Continuous glucose monitoring time in ranges panel")),
            very_low=_code(("104642-4", f"Time below range, very low {_OF_PERIOD}")),
            low=_code(("104641-6", f"Time below range, low {_OF_PERIOD}")),
            in_range=_code(
                ("97510-2", "Glucose measurements in range out of Total glucose measurements during reporting period")
            ),
            high=_code(("104640-8", f"Time above range, high {_OF_PERIOD}")),
            very_high=_code(("104639-0", f"Time above range, very high {_OF_PERIOD}")),
        ),
        _single(
            "laboratory",
            "mean",
            _code(("105273-7", "Glucose [Moles/volume] in Reporting Period mean Interstitial fluid by calculation")),
        ),
        _single("laboratory", "gmi", _code(("97506-0", "Glucose management indicator"))),
        _single("laboratory", "variation", _code(("104638-2", f"Glucose coefficient of variation {_OF_PERIOD}"))),
        _single("laboratory", "active", _code(("104637-4", "Sensor active during reporting period"))),
    ),
    "weight-baseline": (
        _panel(
            "vital-signs",
            _own_code("weight-baseline", "Weight against the patient's own baseline"),
            median=_own_code("median", "Median of the period before the newest reading"),
            deviation=_own_code("deviation", "Median absolute deviation from it"),
            change=_own_code("change", "Newest reading less the median"),
            deviations=_own_code("deviations", "That change in median absolute deviations"),
        ),
    ),
    "days-transmitted": (_single(None, "days", _own_code("days-transmitted", "Days on which a device measured")),),
}
_TOO_FEW: Json = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "unknown"}],
    "text": "too few readings",
}


def derived_id(one: Derived, code: str) -> str:
    """The same for the same subject, kind and period, whatever came late."""
    first, last = (moment.date().isoformat() for moment in one.period)
    return deterministic_id(one.organisation, "derived", one.subject, one.kind, code, first, last)


def _derived(one: Derived) -> list[Json]:
    """The resources of a derived value. They point at no reading: a fortnight of a sensor would drag 4,000 along."""
    units = FORMS[one.kind].units
    rendered: list[Json] = []
    for report in _REPORTS[one.kind]:
        quantities = {name: _quantity(one.values[name], units[name]) for name in report.parts if name in one.values}
        whole: Json = {
            "resourceType": "Observation",
            "id": derived_id(one, report.code["coding"][0]["code"]),
            "extension": [_version(one.version), {"url": f"{EXTENSION}:count", "valueInteger": one.count}],
            "status": "final",
            "code": report.code,
            "subject": _subject(one.subject),
            "effectivePeriod": {"start": _time(one.period.from_at), "end": _time(one.period.to_at)},
            "issued": _time(one.issued_at),
        }
        if report.category is not None:
            whole["category"] = _category(report.category)
        if one.auxiliary:
            whole["meta"] = {"tag": [{"system": TAG, "code": "auxiliary"}]}
        if one.bands is not None and "in-range" in report.parts:
            whole["method"] = {"text": f"in range: {one.bands.shown} mmol/L"}
        if not quantities:
            whole["dataAbsentReason"] = _TOO_FEW
        elif report.panel:
            whole["component"] = [
                {"code": report.parts[name], "valueQuantity": quantity} for name, quantity in quantities.items()
            ]
        else:
            (whole["valueQuantity"],) = quantities.values()
        rendered.append(whole)
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
    if alert.acknowledged is not None:
        taken = [
            {"url": "actor", "valueString": alert.acknowledged.actor},
            {"url": "at", "valueDateTime": _time(alert.acknowledged.at)},
        ]
        extensions.append({"url": f"{EXTENSION}:acknowledged", "extension": taken})
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


def _consent(told: ConsentTold) -> Json:
    """R4 knows an opt-in by its policy rule; an erasure is an extension of ours."""
    extensions = [_version(told.version)]
    if told.erased_at is not None:
        extensions.append({"url": f"{EXTENSION}:erased-at", "valueDateTime": _time(told.erased_at)})
    period = {name: _time(at) for name, at in (("start", told.given_at), ("end", told.withdrawn_at)) if at is not None}
    return {
        "resourceType": "Consent",
        "id": deterministic_id(told.organisation, "consent", told.subject),
        "extension": extensions,
        "status": "active" if told.withdrawn_at is None else "inactive",
        "scope": {"coding": [{"system": f"{_TERMINOLOGY}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": _LOINC, "code": "59284-0", "display": "Patient Consent"}]}],
        "patient": _subject(told.subject),
        "policyRule": {"coding": [{"system": f"{_TERMINOLOGY}/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit"} | ({"period": period} if period else {}),
    }


def raising(alert: Alert) -> tuple[str, ...]:
    """The ids of the observations that an alert's Flag carries: the one that raised it first. Silence has none."""
    return tuple(dict.fromkeys(one for one in (alert.observation, *alert.observations) if one))
