"""docs/alerts.md: its charts are of what the engine does now, and it leaves nothing out."""

import re
from pathlib import Path
from typing import get_args

import pytest

from domain.alert import Why
from domain.care_plan import FRESH_FOR
from domain.plan_language import When
from ops.alert_charts import FOLDER, PAGE, chart, label, save, scenes, with_states
from ops.alert_play import Scene, play
from ops.alert_scenes import COMBINED, FORMS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
STALE = "run `make charts`, look at what changed, and see that docs/alerts.md still says so"


@pytest.mark.parametrize("scene", scenes(), ids=lambda one: one.name)
def test_a_chart_is_of_what_the_engine_does_now(scene: Scene) -> None:
    drawn = (ROOT / FOLDER / f"{scene.name}.svg").read_text(encoding="utf-8")
    assert label(scene, play(scene)) in drawn, STALE


def test_the_states_drawn_are_the_engines() -> None:
    assert with_states(TEXT) == TEXT, STALE


def test_every_chart_is_shown_and_there_is_no_other() -> None:
    shown = re.findall(r"\]\(alerts/([\w-]+)\.svg\)", TEXT)
    assert sorted(shown) == sorted(path.stem for path in (ROOT / FOLDER).iterdir())
    assert set(shown) == {"legend", *(scene.name for scene in scenes())}


def test_every_form_of_a_rule_has_a_chart() -> None:
    forms = {field.alias or name for name, field in When.model_fields.items()}
    assert {scene.name for scene in (*FORMS, *COMBINED)} == forms


def test_every_reason_is_explained() -> None:
    assert [why for why in get_args(Why) if f"| `{why}`" not in TEXT and f"· `{why}` |" not in TEXT] == []


def test_the_default_freshness_is_the_engines() -> None:
    assert [FRESH_FOR[kind].total_seconds() / 60 for kind in ("cgm", "glucose", "blood-pressure")] == [15, 120, 360]


def test_a_chart_is_the_same_each_time(tmp_path: Path) -> None:
    scene = FORMS[0]
    played = play(scene)
    for name in ("once", "again"):
        save(chart(scene, played), tmp_path / name, label(scene, played))
    assert (tmp_path / "once").read_bytes() == (tmp_path / "again").read_bytes()
