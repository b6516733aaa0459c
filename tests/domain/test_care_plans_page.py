"""docs/care-plans.md: what it shows is accepted, and it shows every form there is (C28)."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from domain.alert import Why
from domain.care_plan import parse_plan
from domain.plan_language import When
from tests.builders import a_care_plan, a_rule

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "care-plans.md").read_text(encoding="utf-8")
(PLAN,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
ROWS = re.findall(r"^\| (`[^|]+) \| `(\{[^|]+\})` \|", PAGE, re.MULTILINE)


def test_the_plan_on_the_page_is_a_plan() -> None:
    assert [rule.id for rule in parse_plan(PLAN).rules] == ["sbp-crisis", "sbp-week"]


@pytest.mark.parametrize(("forms", "example"), ROWS, ids=[forms.replace("`", "") for forms, _ in ROWS])
def test_every_example_of_a_form_is_accepted(forms: str, example: str) -> None:
    when = json.loads(example)
    (form,) = when
    assert f"`{form}`" in forms
    place = {"kind": "blood-pressure", "value": "systolic", "severity": "warning"}
    rule = a_rule(**place, when=when)
    for name in {"any_of": ("kind", "value"), "missing_for": ("value",)}.get(form, ()):
        del rule[name]
    assert parse_plan(a_care_plan(rule)).rules


def test_the_page_has_every_form_and_every_reason() -> None:
    named = {form for forms, _ in ROWS for form in re.findall(r"`(\w+)`", forms)}
    assert named == {field.alias or name for name, field in When.model_fields.items()}
    assert all(reason in PAGE for reason in get_args(Why))
