"""`python -m infra.app`: mistakes are one sentence that says what to do."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra.app import RulesBroken, chosen, synthesise
from infra.build import functions
from infra.stage import LOCAL


def test_an_unknown_stage_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(SystemExit, match="There is no stage staging: say one of local, dev, prod"):
        chosen("staging")


def test_a_stage_that_is_not_built_is_answered_with_the_command_that_builds_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"run python -m infra\.build --stage prod first"):
        chosen("prod", tmp_path)


def test_a_stage_and_its_zips(tmp_path: Path) -> None:
    layer = tmp_path / "build" / LOCAL.target.name / "layer.zip"
    layer.parent.mkdir(parents=True)
    layer.touch()
    assert chosen("local", tmp_path) == (LOCAL, layer.parent)


def test_a_template_that_breaks_a_rule_is_not_let_through(tmp_path: Path) -> None:
    for name in ("layer", *functions()):
        (tmp_path / f"{name}.zip").write_bytes(name.encode())
    greedy = replace(LOCAL, concurrency={**LOCAL.concurrency, "ingest": 900})
    with pytest.raises(RulesBroken, match="T10 functions reserve"):
        synthesise(greedy, zips=tmp_path, outdir=str(tmp_path / "out"))
