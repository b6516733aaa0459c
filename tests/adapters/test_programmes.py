"""The templates and texts that we ship."""

import json
import re
from itertools import product
from typing import Any, TypeAlias

import pytest

from adapters.catalogue import CATALOGUE
from adapters.programmes import messages, programmes
from domain.alert import State, step
from domain.care_plan import plan_for
from tests.builders import NOW, a_subject, an_observation

SHIPPED = ("hypertension", "diabetes-type-1", "diabetes-type-2", "cgm", "pregnancy", "heart-failure")
HEALTH = re.compile(r"pressure|glucose|sugar|heart|pulse|weight|давлен|глюкоз|сахар|серд|пульс|\d", re.IGNORECASE)


def test_every_programme_of_the_brief_is_there() -> None:
    assert set(programmes()) == set(SHIPPED)
    assert [one.id for one in programmes().values()] == [
        path.stem for path in sorted((CATALOGUE / "programmes").glob("*.json"))
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_programme_says_that_its_numbers_are_a_template(name: str) -> None:
    document = json.loads((CATALOGUE / "programmes" / f"{name}.json").read_text(encoding="utf-8"))
    assert "a clinician must sign off" in document["sources"][-1]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_programme_judges_by_itself(name: str) -> None:
    plan = plan_for(a_subject(programmes=(name,)), (), programmes(), NOW)
    assert plan is not None
    assert {rule.plan_version for rule in plan.by_id.values()} == {f"{name}@1"}
    assert step(State(), an_observation(), plan, NOW)[2] == []


def test_rules_with_one_id_are_one_rule_in_every_programme() -> None:
    seen: dict[str, object] = {}
    for name in SHIPPED:
        document = json.loads((CATALOGUE / "programmes" / f"{name}.json").read_text(encoding="utf-8"))
        for rule in document["rules"]:
            assert seen.setdefault(rule["id"], rule) == rule


Limit: TypeAlias = tuple[str, str, str, str, float]
"""`(kind, value, severity, form, bound)`."""

PRESSURE: list[Limit] = [
    ("blood-pressure", "systolic", "critical", "at_or_above", 180),
    ("blood-pressure", "diastolic", "critical", "at_or_above", 120),
]
LOW_PRESSURE_AND_PULSE: list[Limit] = [
    ("blood-pressure", "systolic", "critical", "below", 90),
    ("blood-pressure", "pulse", "critical", "above", 130),
    ("blood-pressure", "pulse", "critical", "below", 40),
    ("blood-pressure", "pulse", "warning", "above", 100),
    ("blood-pressure", "pulse", "warning", "below", 50),
]
HOME_MEAN: list[Limit] = [
    ("blood-pressure", "systolic", "warning", "at_or_above", 135),
    ("blood-pressure", "diastolic", "warning", "at_or_above", 85),
]


def glucose(kind: str) -> list[Limit]:
    return [
        (kind, "glucose", "warning", "below", 3.9),
        (kind, "glucose", "warning", "above", 10.0),
        (kind, "glucose", "critical", "below", 3.0),
        (kind, "glucose", "critical", "above", 13.9),
    ]


CLINICAL: dict[str, list[Limit]] = {
    "hypertension": PRESSURE + LOW_PRESSURE_AND_PULSE + HOME_MEAN,
    "diabetes-type-1": glucose("glucose") + glucose("cgm"),
    "diabetes-type-2": glucose("glucose"),
    "cgm": glucose("cgm"),
    "pregnancy": [
        ("blood-pressure", "systolic", "critical", "at_or_above", 155),
        ("blood-pressure", "diastolic", "critical", "at_or_above", 105),
        ("fetal-heart-rate", "rate", "critical", "below", 100),
        *LOW_PRESSURE_AND_PULSE,
        *HOME_MEAN,
        *glucose("glucose"),
    ],
    "heart-failure": [
        *PRESSURE,
        *LOW_PRESSURE_AND_PULSE,
        ("heart-rate", "rate", "warning", "above", 100),
        ("heart-rate", "rate", "warning", "below", 50),
        ("heart-rate", "rate", "critical", "above", 130),
        ("heart-rate", "rate", "critical", "below", 40),
        ("oxygen-saturation", "saturation", "warning", "below", 95),
        ("oxygen-saturation", "saturation", "critical", "below", 92),
        ("weight", "weight", "warning", "change_above", 2),
    ],
}
"""The bounds of the clinical content that each template has to have."""


def rules_of(name: str) -> list[dict[str, Any]]:
    document = json.loads((CATALOGUE / "programmes" / f"{name}.json").read_text(encoding="utf-8"))
    return list(document["rules"])


@pytest.mark.parametrize("name", SHIPPED)
def test_a_programme_has_every_bound_of_the_clinical_content_and_no_other(name: str) -> None:
    found = [
        (rule["kind"], rule["value"], rule["severity"], form, bound["value"])
        for rule in rules_of(name)
        for form, bound in rule["when"].items()
        if "value" in bound
    ]
    assert sorted(found) == sorted(CLINICAL[name])


def test_the_bounds_that_are_no_single_number() -> None:
    fetal = next(rule for rule in rules_of("pregnancy") if rule["id"] == "fetal-rate-outside")
    assert (fetal["when"], fetal["persist"]) == (
        {"outside": {"low": 110, "high": 160, "unit": "/min"}},
        {"for": "PT10M"},
    )
    weight = next(rule for rule in rules_of("heart-failure") if rule["id"] == "weight-off-baseline")
    assert weight["when"] == {"deviates": {"mad": 4, "over": "P21D"}}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_critical_pressure_is_asked_for_again_and_what_cannot_wait_is_not(name: str) -> None:
    for rule in rules_of(name):
        asked = rule.get("confirm", {}).get("ask_again", False)
        assert asked == (rule["severity"] == "critical" and rule["kind"] not in ("glucose", "cgm", "fetal-heart-rate"))


@pytest.mark.parametrize("name", SHIPPED)
def test_c14_a_sensor_that_measures_by_itself_has_to_persist(name: str) -> None:
    for rule in rules_of(name):
        if rule["kind"] in ("cgm", "fetal-heart-rate"):
            assert set(rule["persist"]) == {"for"}


def test_both_languages_say_everything() -> None:
    names = {f"{who}/{step_}/{severity}" for who, step_, severity in product(
        ("patient", "team"), ("measure-again", "raised", "repeated"), ("info", "warning", "critical")
    )}  # fmt: skip
    assert {language: set(texts) for language, texts in messages().items()} == dict.fromkeys(
        ("en", "ru"), names | {"patient/emergency"}
    )


@pytest.mark.parametrize("language", ["en", "ru"])
def test_r68_no_text_says_anything_of_health(language: str) -> None:
    for name, text in messages()[language].items():
        assert not HEALTH.search(text.replace("112", "")), name
        assert text.endswith(".")
        assert len(text) <= 160


def test_r68_the_texts_are_those_that_were_read_and_approved() -> None:
    """A snapshot: a change of a text is a change of this test, seen by whoever approves it."""
    english = messages()["en"]
    assert english["patient/raised/critical"] == (
        "Important: your monitoring needs your attention now. Open the app or call your clinic. "
        "Your doctor has been told."
    )
    assert english["patient/measure-again/critical"] == (
        "Please sit quietly for a minute and measure again now. Your doctor has been told."
    )
    assert english["patient/emergency"] == "This is not an emergency service: if you feel very unwell, call 112."
    assert english["team/raised/critical"] == "A critical alert of a patient needs you now. Open your clinic's system."
    assert messages()["ru"]["patient/emergency"] == (
        "Это не служба экстренной помощи: если вам очень плохо, звоните 112."
    )
