"""The catalogue is checked file by file, and what is generated is what its generator makes of today's libraries."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from adapters.catalogue import CATALOGUE, profiles
from ops.__main__ import main
from ops.catalogue import SCHEMA, UNITS, rendered, schema


def test_the_table_of_units_is_as_generated() -> None:
    assert UNITS.read_text(encoding="utf-8") == rendered()


def test_the_schema_of_devices_is_as_generated() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema()


def test_f20_every_device_is_as_the_schema_has_it() -> None:
    schema_ = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    files = sorted((CATALOGUE / "devices").glob("*.json"))
    assert len(files) == len(profiles())
    assert {
        path.name: [one.message for one in schema_.iter_errors(json.loads(path.read_bytes()))] for path in files
    } == {path.name: [] for path in files}


def test_our_own_catalogue_is_without_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "check"]) == 0
    assert json.loads(capsys.readouterr().out)["devices"] == len(profiles())


SCALE = json.loads((CATALOGUE / "devices" / "scale.json").read_bytes())
MAPPING = json.loads((CATALOGUE / "devices" / "withings.json").read_bytes())["mapping"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"class": "toy"}, "devices/scale.json /class: Input should be 'medical' or 'auxiliary'"),
        ({"id": "balance"}, "devices/scale.json /id: it is balance, and the file's name says scale"),
        ({"measures": {"mood": SCALE["measures"]["weight"]}}, "devices/scale.json /: mood is no kind"),
        ({"surprise": 1}, "devices/scale.json /surprise: Extra inputs are not permitted"),
        (
            {"mapping": MAPPING | {"items": "body.["}},
            "devices/scale.json /mapping/items: no JMESPath expression:",
        ),
        ({"mapping": MAPPING}, "devices/scale.json /: mapping makes readings of blood-pressure, oxygen-saturation"),
    ],
    ids=["class", "name", "kind", "field", "expression", "kinds"],
)
def test_f20_a_fault_is_told_with_file_path_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], line: str
) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "scale.json").write_text(json.dumps(SCALE | change), encoding="utf-8")
    assert main(["catalogue", "check", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(line)


def test_a_programme_at_fault_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "programmes").mkdir()
    (tmp_path / "programmes" / "gout.json").write_text('{"id": "gout"}', encoding="utf-8")
    assert main(["catalogue", "check", str(tmp_path)]) == 2
    assert "programmes/gout.json /version: " in capsys.readouterr().err


def test_a_folder_that_is_no_catalogue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "check", str(tmp_path)]) == 2
    assert "has no folder devices" in capsys.readouterr().err
