"""The house stands as drawn: who may import whom, what nothing is named, and what stands at the top."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = {"domain", "adapters", "functions", "infra", "device_sim", "mis_sim", "pma_client", "local", "ops", "bench"}
EVERYTHING = None

FLOORS: dict[str, set[str] | None] = {
    "domain": {"pydantic", "jmespath", "typing_extensions"},
    "adapters": {"domain", "boto3", "botocore", "urllib3", "aws_lambda_powertools", "cryptography", "jwt", "orjson"},
    "functions": {"domain", "adapters", "aws_lambda_powertools"},
    "infra": {"aws_cdk", "constructs", "cdk_nag"},
    "device_sim": {"domain", "awscrt", "awsiot", "rich"},
    "mis_sim": {"domain", "standardwebhooks", "fhir", "rich", "pydantic"},
    "pma_client": {"pydantic", "urllib3"},
    "local": EVERYTHING,
    "ops": EVERYTHING,
    "bench": EVERYTHING,
}
"""A floor may import the standard library, itself and what stands here (a stage of functions: only its own folder)."""

SERVICE = {"domain"}
"""`functions/*/service.py` is a use case over ports: it knows neither AWS nor any adapter."""

NO_NAMES = {"utils", "util", "common", "shared", "helpers", "helper", "core", "base", "manager", "misc", "constants"}
TOP = OURS | {"catalogue", "docs", "requirements", "tests"}


def imports(source: str) -> Iterator[str]:
    """Every module that `source` imports, by its full dotted name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute: they read the same in the editor and in the cloud"
            yield node.module or ""


def breaches(root: Path) -> list[str]:
    """`file imports module` for each import that the floor of the file may not make."""
    found = []
    for floor, allowed in FLOORS.items():
        for path in sorted((root / floor).rglob("*.py")):
            inside = path.relative_to(root)
            stage = inside.parts[1] if floor == "functions" and len(inside.parts) > 2 else None
            own = f"functions.{stage}" if stage else floor
            may = SERVICE if stage and path.name == "service.py" else allowed
            for module in imports(path.read_text(encoding="utf-8")):
                top = module.partition(".")[0]
                fine = (
                    may is EVERYTHING
                    or top in sys.stdlib_module_names
                    or top in may
                    or module == own
                    or module.startswith(f"{own}.")
                )
                if not fine:
                    found.append(f"{inside} imports {module}")
    return found


def test_p9_no_floor_imports_what_it_may_not() -> None:
    assert breaches(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("domain/alert.py", "import boto3"),
        ("domain/alert.py", "from adapters.aws import client"),
        ("adapters/aws.py", "import functions.ingest.service"),
        ("functions/ingest/handler.py", "import boto3"),
        ("functions/ingest/handler.py", "from functions.notify import service"),
        ("functions/ingest/service.py", "from adapters.observations import Observations"),
        ("infra/app.py", "from domain.codes import KINDS"),
        ("device_sim/gateway.py", "from adapters import aws"),
        ("mis_sim/store.py", "import boto3"),
        ("pma_client/client.py", "from domain import codes"),
    ],
    ids=lambda value: value.replace("/", "."),
)
def test_a_planted_breach_is_found(tmp_path: Path, file: str, line: str) -> None:
    planted = tmp_path / file
    planted.parent.mkdir(parents=True)
    planted.write_text(f"def late() -> None:\n    {line}\n")
    assert breaches(tmp_path) == [f"{file} imports {line.split()[1]}"]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    return [Path(line) for line in listed.stdout.splitlines()]


def test_nothing_is_named_for_nothing() -> None:
    assert [str(path) for path in tracked() if NO_NAMES & {part.removesuffix(".py") for part in path.parts}] == []


def test_a_new_top_level_folder_needs_a_decision_record() -> None:
    assert {path.parts[0] for path in tracked() if len(path.parts) > 1} - {".ci"} <= TOP


@pytest.mark.parametrize("lock", ["requirements/lambda.txt", "requirements/dev.txt", "package-lock.json"])
def test_no_lock_carries_a_registry_address(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text(encoding="utf-8").replace('"url": "https://', "")


def test_every_pin_has_a_hash() -> None:
    for lock in ("requirements/lambda.txt", "requirements/dev.txt", "requirements/uv.txt"):
        pins = [line for line in (ROOT / lock).read_text(encoding="utf-8").splitlines() if "==" in line]
        assert pins
        assert all(pin.endswith("\\") for pin in pins), lock
