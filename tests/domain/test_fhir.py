"""What we render is FHIR R4, says what the contract says, and is closed under reference."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.webhook import to_bytes
from domain import fhir
from domain.codes import KINDS
from domain.derived import FORMS, PREGNANCY, Derived, Period
from domain.enrolment import ConsentTold
from domain.episode import Acknowledged
from domain.identity import deterministic_id
from domain.observation import Marks, Observation, marked
from tests.builders import NOW, ORGANISATION, SERIAL, SUBJECT, a_device, an_alert, an_observation
from tests.proof import examples

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "fhir"
DEVICES = {SERIAL: a_device()}

KIND_OF_VALUES = {
    "blood-pressure": {"systolic": Decimal(152), "diastolic": Decimal(97)},
    "oxygen-saturation": {"saturation": Decimal(97)},
    "glucose": {"glucose": Decimal("5.4")},
    "weight": {"weight": Decimal("71.25")},
}


def rendered(*observations: Observation, **given_: Any) -> list[dict[str, Any]]:
    """The resources of a bundle of these, after a journey through its bytes."""
    bundle = fhir.bundle(
        observations, given_.get("alerts", ()), given_.get("devices", DEVICES), given_.get("derived", ())
    )
    sent = json.loads(to_bytes(bundle), parse_float=Decimal)
    Bundle.model_validate(sent)
    return [entry["resource"] for entry in sent.get("entry", ())]


def observations_of(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in resources if one["resourceType"] == "Observation"]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "reference" in node:
            yield node["reference"]
        for part in node.values():
            yield from references(part)
    elif isinstance(node, list):
        for part in node:
            yield from references(part)


moments = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2090, 1, 1)).flatmap(  # noqa: DTZ001
    lambda naive: st.integers(-1439, 1439).flatmap(
        lambda minutes: st.integers(0, 59).map(
            lambda seconds: naive.replace(
                tzinfo=timezone(timedelta(minutes=minutes, seconds=seconds * (minutes > -1439)))
            )
        )
    )
)


@st.composite
def readings(draw: st.DrawFn) -> Observation:
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    values = {
        name: draw(st.decimals(value.low, value.high, places=draw(st.integers(0, 3))))
        for name, value in kind.values.items()
        if value.required or draw(st.booleans())
    }
    return an_observation(
        kind=kind.name,
        values=values,
        subject=draw(st.sampled_from(["S-1", "S-2"])),
        device=draw(st.sampled_from([SERIAL, "OTHER"])),
        device_class=draw(st.sampled_from(["medical", "auxiliary"])),
        origin=draw(st.sampled_from(["device", "manual", "call"])),
        measured_at=draw(moments),
        tags=draw(st.frozensets(st.sampled_from(["late", "recalled", "backlog"]))),
    )


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(readings(), max_size=6), st.sampled_from(["info", "warning", "critical"]), st.booleans())
def test_r78_everything_we_render_is_valid_fhir_and_closed_under_reference(
    observations: list[Observation], severity: str, resolved: bool
) -> None:
    alerts = (
        [
            an_alert(
                severity=severity,
                observation=observations[0].id,
                observations=tuple(one.id for one in observations),
                state="resolved" if resolved else "confirming",
                outcome="not-confirmed" if resolved else None,
                resolved_at=NOW if resolved else None,
            )
        ]
        if observations
        else []
    )
    bundle = fhir.bundle(observations, alerts, DEVICES)
    sent = json.loads(to_bytes(bundle), parse_float=Decimal)

    Bundle.model_validate(sent)
    entries = sent.get("entry", [])
    paths = [f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in entries]
    assert len(set(paths)) == len(paths)
    assert [entry["request"] for entry in entries] == [{"method": "PUT", "url": path} for path in paths]
    assert [entry["fullUrl"] for entry in entries] == [f"{fhir.BASE}/{path}" for path in paths]
    assert set(references(sent)) <= set(paths)
    for resource in observations_of([entry["resource"] for entry in entries]):
        assert resource["code"]["coding"][0]["system"] == "http://loinc.org"
        quantities = [part["valueQuantity"] for part in resource.get("component", [resource])]
        assert quantities
        assert {quantity["system"] for quantity in quantities} == {"http://unitsofmeasure.org"}
        assert datetime.fromisoformat(resource["effectiveDateTime"]) in {one.measured_at for one in observations}


def test_a_blood_pressure_is_a_panel_and_its_pulse_an_observation_of_its_own() -> None:
    one = an_observation(measured_at=datetime.fromisoformat("2026-11-22T07:30:00+03:00"))
    device, panel, pulse = rendered(one)

    assert device["identifier"] == [{"system": "urn:pma:serial", "value": SERIAL}]
    assert panel["id"] == one.id
    assert panel["code"]["coding"][0]["code"] == "85354-9"
    assert "valueQuantity" not in panel
    assert [(part["code"]["coding"][0]["code"], part["valueQuantity"]["value"]) for part in panel["component"]] == [
        ("8480-6", 122),
        ("8462-4", 78),
    ]
    assert panel["component"][0]["valueQuantity"]["code"] == "mm[Hg]"
    assert panel["effectiveDateTime"] == "2026-11-22T07:30:00+03:00"
    assert panel["issued"] == NOW.isoformat()
    assert panel["status"] == "final"
    assert panel["subject"] == {"type": "Patient", "identifier": {"system": "urn:pma:subject", "value": SUBJECT}}
    assert panel["device"] == {"reference": f"Device/{fhir.device_id(ORGANISATION, SERIAL)}"}
    assert pulse["id"] == fhir.pulse_id(one.id)
    assert pulse["code"]["coding"][0]["code"] == "8867-4"
    assert pulse["valueQuantity"] == {
        "value": 68,
        "unit": "/min",
        "system": "http://unitsofmeasure.org",
        "code": "/min",
    }
    assert "meta" not in panel


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_category_is_laboratory_for_glucose_alone(kind: str) -> None:
    one = an_observation(kind=kind, values={name: value.low for name, value in KINDS[kind].values.items()})
    categories = {part["category"][0]["coding"][0]["code"] for part in observations_of(rendered(one))}
    assert categories == {"laboratory" if kind in {"glucose", "cgm"} else "vital-signs"}


def test_oxygen_saturation_has_both_codes_and_a_pulse() -> None:
    one = an_observation(kind="oxygen-saturation", values={"saturation": Decimal(97), "pulse": Decimal(61)})
    saturation, pulse = observations_of(rendered(one))
    assert [coding["code"] for coding in saturation["code"]["coding"]] == ["59408-5", "2708-6"]
    assert saturation["valueQuantity"]["value"] == 97
    assert pulse["valueQuantity"]["value"] == 61


@pytest.mark.parametrize(
    ("changes", "tags"),
    [
        ({}, None),
        ({"device_class": "auxiliary"}, ["auxiliary"]),
        ({"tags": frozenset({"late"})}, ["late"]),
        ({"device_class": "auxiliary", "tags": frozenset({"recalled", "late"})}, ["auxiliary", "late", "recalled"]),
        ({"tags": frozenset({"backlog"})}, None),
    ],
    ids=["none", "auxiliary", "late", "all", "one of our own"],
)
def test_tags_say_what_a_doctor_must_know(changes: dict[str, Any], tags: list[str] | None) -> None:
    for one in observations_of(rendered(an_observation(**changes))):
        assert ([tag["code"] for tag in one["meta"]["tag"]] if "meta" in one else None) == tags


@pytest.mark.parametrize("origin", ["device", "manual", "call"])
def test_origin_and_our_version_are_extensions(origin: str) -> None:
    _, panel, pulse = rendered(an_observation(origin=origin))
    assert (
        panel["extension"]
        == pulse["extension"]
        == [
            {"url": "urn:pma:extension:version", "valueInteger": 1},
            {"url": "urn:pma:extension:origin", "valueCode": origin},
        ]
    )


def test_r34_a_value_keeps_its_digits_to_the_last_byte() -> None:
    one = an_observation(kind="glucose", values={"glucose": Decimal("5.50000000000000000001")})
    assert b'"value":5.50000000000000000001,' in to_bytes(fhir.bundle([one], [], DEVICES))


def test_an_exponent_is_written_out() -> None:
    assert to_bytes({"value": Decimal("1E+2")}) == b'{"value":100}'


def test_nothing_else_becomes_json_by_accident() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        to_bytes({"at": {1, 2}})


@pytest.mark.parametrize(
    ("offset", "written"),
    [
        (timedelta(hours=4), "2026-11-22T09:00:00+04:00"),
        (timedelta(hours=-3, minutes=-30), "2026-11-22T09:00:00-03:30"),
        (timedelta(hours=15), "2026-11-21T18:00:00+00:00"),
        (timedelta(hours=2, seconds=17), "2026-11-22T06:59:43+00:00"),
    ],
    ids=["its own", "half an hour", "wider than FHIR can say", "with seconds"],
)
def test_c25_a_time_keeps_its_offset_where_fhir_can_write_it(offset: timedelta, written: str) -> None:
    one = an_observation(measured_at=NOW.replace(tzinfo=timezone(offset)))
    assert observations_of(rendered(one))[0]["effectiveDateTime"] == written


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="times are aware"):
        fhir.bundle([an_observation(measured_at=NOW.replace(tzinfo=None), device_time=NOW)], [], DEVICES)


def test_a_resource_is_named_once() -> None:
    one, alert = an_observation(), an_alert()
    resources = rendered(one, one, an_observation(kind="weight", values={"weight": Decimal(71)}), alerts=[alert, alert])
    assert [resource["resourceType"] for resource in resources] == ["Device", *["Observation"] * 3, "Flag"]


def test_an_observation_of_a_device_that_is_not_enrolled_any_more_names_none() -> None:
    resources = rendered(an_observation(), devices={})
    assert [resource["resourceType"] for resource in resources] == ["Observation"] * 2
    assert not list(references(resources))


def test_an_empty_bundle_has_no_entries() -> None:
    assert fhir.bundle([], [], {}) == {"resourceType": "Bundle", "type": "transaction"}


def test_a_device_shows_its_profile_lot_and_class() -> None:
    device = a_device(lot="L7", device_class="auxiliary", version=3)
    shown = rendered(an_observation(), devices={SERIAL: device})[0]
    assert shown["lotNumber"] == "L7"
    assert shown["type"]["coding"] == [{"system": "urn:pma:profile", "code": "tonometer"}]
    assert shown["meta"] == {"tag": [{"system": "urn:pma:tag", "code": "auxiliary"}]}
    assert shown["extension"] == [{"url": "urn:pma:extension:version", "valueInteger": 3}]


@pytest.mark.parametrize(
    ("severity", "code"), [("info", "PL"), ("warning", "PM"), ("critical", "PH")], ids=["info", "warning", "critical"]
)
def test_a_flag_has_the_priority_of_its_severity(severity: str, code: str) -> None:
    (flag,) = rendered(alerts=[an_alert(severity=severity)])
    priority = extension(flag, "http://hl7.org/fhir/StructureDefinition/flag-priority")
    assert priority[0]["valueCodeableConcept"]["coding"][0] | {"display": ""} == {
        "system": "http://hl7.org/fhir/flag-priority-code",
        "code": code,
        "display": "",
    }


def test_a_flag_about_silence_carries_no_reading() -> None:
    (flag,) = rendered(alerts=[an_alert(observation="", observations=(), category="technical")])
    assert extension(flag, f"{HL7}/flag-detail") == []


def test_a_flag_carries_what_raised_it() -> None:
    first, second = an_observation(), an_observation(values={"systolic": Decimal(190), "diastolic": Decimal(99)})
    alert = an_alert(observation=second.id, observations=(first.id, second.id, "expired"), version=4)
    flag = rendered(first, second, alerts=[alert])[-1]
    assert flag["status"] == "active"
    assert flag["code"]["coding"] == [{"system": "urn:pma:rule", "code": "sbp-crisis"}]
    assert flag["period"] == {"start": alert.raised_at.isoformat()}
    assert [one["valueReference"]["reference"] for one in extension(flag, f"{HL7}/flag-detail")] == [
        f"Observation/{second.id}",
        f"Observation/{first.id}",
    ]
    assert extension(flag, "urn:pma:extension:version")[0]["valueInteger"] == 4
    assert extension(flag, "urn:pma:extension:care-plan-version")[0]["valueString"] == "hypertension@1"
    assert extension(flag, "urn:pma:extension:episode-state")[0]["valueCode"] == "active"
    assert not extension(flag, "urn:pma:extension:episode-outcome")


def test_a_flag_says_who_took_it_on() -> None:
    (nobodys,) = rendered(alerts=[an_alert()])
    assert extension(nobodys, "urn:pma:extension:acknowledged") == []
    (flag,) = rendered(alerts=[an_alert(acknowledged=Acknowledged("doc-12", 3, NOW))])
    (taken,) = extension(flag, "urn:pma:extension:acknowledged")
    assert taken["extension"] == [
        {"url": "actor", "valueString": "doc-12"},
        {"url": "at", "valueDateTime": NOW.isoformat()},
    ]


def test_a_resolved_episode_is_inactive_and_says_how_it_ended() -> None:
    alert = an_alert(state="resolved", outcome="not-confirmed", resolved_at=NOW, category="technical")
    (flag,) = rendered(alerts=[alert])
    assert flag["status"] == "inactive"
    assert flag["period"]["end"] == NOW.isoformat()
    assert flag["category"][0]["coding"][0]["code"] == "safety"
    assert extension(flag, "urn:pma:extension:episode-outcome")[0]["valueCode"] == "not-confirmed"


HL7 = "http://hl7.org/fhir/StructureDefinition"


def extension(resource: dict[str, Any], url: str) -> list[dict[str, Any]]:
    return [one for one in resource["extension"] if one["url"] == url]


def shape(node: Any) -> Any:
    """The keys of a document, all the way down, without what differs by design."""
    if isinstance(node, dict):
        return {key: shape(value) for key, value in node.items() if key not in LEFT_OUT}
    return (
        [shape(node[0])]
        if isinstance(node, list) and node
        else type(node).__name__.replace("Decimal", "number").replace("int", "number")
    )


LEFT_OUT = frozenset(
    [
        "text",
        "display",
        "meta",
        "identifier",
        "basedOn",
        "performer",
        "interpretation",
        "bodySite",
        "subject",
        "referenceRange",
        "effectivePeriod",
        "effectiveDateTime",
        "issued",
        "device",
        "extension",
        "category",
    ]
)


@pytest.mark.parametrize(
    ("file", "kind", "value"),
    [
        (
            "observation-example-bloodpressure.json",
            "blood-pressure",
            {"systolic": Decimal(107), "diastolic": Decimal(60)},
        ),
        ("observation-example-body-height.json", "weight", {"weight": Decimal("66.9")}),
        ("observation-example-f001-glucose.json", "glucose", {"glucose": Decimal("6.3")}),
    ],
    ids=["panel", "one value", "laboratory"],
)
def test_our_observation_has_the_shape_of_hl7s_example(file: str, kind: str, value: dict[str, Decimal]) -> None:
    if not (SHARED / file).is_file():
        pytest.skip("HL7's examples are not beside this checkout (../shared/data/fhir)")
    example = json.loads((SHARED / file).read_text(encoding="utf-8"), parse_float=Decimal)
    ours = observations_of(rendered(an_observation(kind=kind, values=value)))[0]
    assert shape(ours) == shape(example)


def test_ids_do_not_depend_on_when_they_are_rendered() -> None:
    one = an_observation()
    again = one._replace(received_at=one.received_at.astimezone(UTC) + timedelta(days=1))
    assert [part["id"] for part in rendered(one)] == [part["id"] for part in rendered(again)]


def test_r77_a_mark_makes_the_next_version_under_the_same_id() -> None:
    row = an_observation()
    (before,), (after,) = (
        [one for one in observations_of(rendered(shown)) if one["id"] == row.id]
        for shown in (row, marked(row, Marks(version=1, recalls={"r-1": True})))
    )
    assert "tag" not in before.get("meta", {})
    assert [tag["code"] for tag in after["meta"]["tag"]] == ["recalled"]
    versions = [one["extension"][0]["valueInteger"] for one in (before, after)]
    assert versions == [1, 2]


@pytest.mark.parametrize(
    ("marks", "status"),
    [
        (Marks(), "final"),
        (Marks(1, recalls={"r-1": True}), "final"),
        (Marks(1, paths={"PHONE-1": NOW}), "final"),
        (Marks(1, measured_at=NOW), "final"),
        (Marks(1, context={"posture": "sitting"}), "final"),
        (Marks(1, measured_at=NOW + timedelta(hours=1)), "amended"),
        (Marks(1, context={"meal": "fasting"}), "amended"),
        (Marks(1, context={"posture": "standing"}), "amended"),
        (Marks(1, entered_in_error=True), "entered-in-error"),
        (Marks(2, entered_in_error=True, context={"meal": "fasting"}), "entered-in-error"),
    ],
    ids=[
        "as it came",
        "recalled",
        "by another path too",
        "the same time told again",
        "the same circumstances told again",
        "its clock told later",
        "circumstances told later",
        "other circumstances told later",
        "another's",
        "another's, and circumstances told later",
    ],
)
def test_r77_the_status_says_what_became_of_it_and_of_its_pulse(marks: Marks, status: str) -> None:
    row = an_observation(measured_at=NOW, context={"posture": "sitting"})
    shown = observations_of(rendered(marked(row, marks)))
    assert {one["id"] for one in shown} == {row.id, fhir.pulse_id(row.id)}
    assert [one["status"] for one in shown] == [status] * 2
    assert {one["subject"]["identifier"]["value"] for one in shown} == {row.subject}


def test_f17_a_lost_signal_is_no_value() -> None:
    one = an_observation(kind="fetal-heart-rate", values={}, flags=("signal-loss",))
    (shown,) = observations_of(rendered(one))
    assert "valueQuantity" not in shown
    assert shown["dataAbsentReason"]["coding"][0]["code"] == "error"


PERIOD = Period(datetime(2026, 11, 16, tzinfo=timezone(timedelta(hours=4))), datetime(2026, 11, 22, 19, 59, tzinfo=UTC))


def a_derived(kind: str, *, values: bool = True, **changes: Any) -> Derived:
    facts: dict[str, Any] = {
        "kind": kind,
        "organisation": ORGANISATION,
        "subject": SUBJECT,
        "period": PERIOD,
        "count": 4032,
        "values": {name: Decimal(f"{number}.5") for number, name in enumerate(FORMS[kind].units)} if values else {},
        "auxiliary": False,
        "version": 4040,
        "issued_at": NOW,
        "bands": PREGNANCY if kind == "glucose-statistics" else None,
    }
    return Derived(**facts | changes)


@pytest.mark.parametrize("kind", FORMS)
def test_every_derived_value_is_shown_with_its_unit_period_and_count(kind: str) -> None:
    one = a_derived(kind)
    resources = rendered(derived=[one])
    quantities = [
        part["valueQuantity"] for whole in resources for part in whole.get("component", [whole]) if "subject" in whole
    ]
    units = FORMS[kind].units
    assert sorted((q["value"], q["code"]) for q in quantities) == sorted((one.values[n], units[n]) for n in units)
    assert len({whole["id"] for whole in resources}) == len(resources)
    for whole in resources:
        assert whole["effectivePeriod"] == {"start": "2026-11-16T00:00:00+04:00", "end": "2026-11-22T19:59:00+00:00"}
        assert {"url": f"{fhir.EXTENSION}:count", "valueInteger": 4032} in whole["extension"]
        assert {"url": f"{fhir.EXTENSION}:version", "valueInteger": 4040} in whole["extension"]
        assert "derivedFrom" not in whole
        assert "effectiveDateTime" not in whole


@pytest.mark.parametrize("kind", FORMS)
def test_too_few_readings_withdraw_a_derived_value_under_its_id(kind: str) -> None:
    """What a recall leaves too few readings of must not stand in the chart as it was."""
    before, after = rendered(derived=[a_derived(kind)]), rendered(derived=[a_derived(kind, values=False)])
    assert [one["id"] for one in before] == [one["id"] for one in after]
    for one in after:
        assert one["dataAbsentReason"]["text"] == "too few readings"
        assert "component" not in one
        assert "valueQuantity" not in one


def test_p2_a_derived_value_of_an_auxiliary_device_says_so() -> None:
    (one,) = rendered(derived=[a_derived("mean-pressure", auxiliary=True)])
    assert one["meta"] == {"tag": [{"system": fhir.TAG, "code": "auxiliary"}]}


def test_glucose_statistics_are_those_of_the_hl7_guide_and_say_the_range() -> None:
    ranges, *others = rendered(derived=[a_derived("glucose-statistics")])
    codes = [part["code"]["coding"][0]["code"] for part in ranges["component"]]
    assert codes == ["104642-4", "104641-6", "97510-2", "104640-8", "104639-0"]
    assert ranges["method"] == {"text": "in range: 3.5-7.8 mmol/L"}
    assert [one["code"]["coding"][0]["code"] for one in others] == ["105273-7", "97506-0", "104638-2", "104637-4"]


# consent


TOLD = ConsentTold(ORGANISATION, SUBJECT, 3, ("hypertension",), NOW - timedelta(days=9))


@pytest.mark.parametrize(
    ("told", "status", "period"),
    [
        (TOLD, "active", {"start"}),
        (replace(TOLD, withdrawn_at=NOW), "inactive", {"start", "end"}),
        (replace(TOLD, withdrawn_at=NOW, erased_at=NOW), "inactive", {"start", "end"}),
        (replace(TOLD, given_at=None, withdrawn_at=NOW, erased_at=NOW), "inactive", {"end"}),
        (replace(TOLD, given_at=None), "active", set()),
    ],
    ids=["given", "withdrawn", "erased", "erased and never given", "no date"],
)
def test_p5_a_consent_is_a_resource_of_release_4(told: ConsentTold, status: str, period: set[str]) -> None:
    sent = fhir.bundle([], [], {}, [], [told])
    Bundle.model_validate(sent)
    (entry,) = sent["entry"]
    assert entry["request"]["url"] == f"Consent/{deterministic_id(ORGANISATION, 'consent', SUBJECT)}"
    resource = entry["resource"]
    assert (resource["status"], set(resource["provision"].get("period", {}))) == (status, period)
    assert resource["patient"]["identifier"] == {"system": "urn:pma:subject", "value": SUBJECT}
