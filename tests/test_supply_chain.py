"""What is installed is what was reviewed: each package by its hash, wherever it comes from (R95)."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements/*.txt")), ids=lambda path: path.name)
def test_r95_every_python_package_is_pinned_by_its_hashes(path: Path) -> None:
    wanted = [one for one in re.split(r"\n(?=[A-Za-z0-9])", path.read_text(encoding="utf-8")) if "==" in one]
    assert wanted
    assert [one.split()[0] for one in wanted if "--hash=sha256:" not in one] == []


def test_r95_every_npm_package_is_pinned_by_its_integrity() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, one in packages.items() if name and not one.get("integrity", "").startswith("sha512-")] == []


def test_r95_what_is_deployed_is_a_part_of_what_is_tested() -> None:
    """The layer holds the very versions that the tests run on."""
    pinned = {
        name: set(
            re.findall(r"^([\w.-]+==[\w.]+)", (ROOT / "requirements" / name).read_text(encoding="utf-8"), re.MULTILINE)
        )
        for name in ("lambda.txt", "dev.txt")
    }
    assert pinned["lambda.txt"]
    assert pinned["lambda.txt"] <= pinned["dev.txt"]
