"""The templates and texts that we ship."""

import json
import re
from itertools import product

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
