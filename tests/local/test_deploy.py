"""The assembly goes in whole, by our quick way and by `cdk deploy` itself."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local import deploy, emulator


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one source file."""
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "alert.py").write_text("LIMIT = 1\n")
    for name in ("infra", "functions", "adapters", "catalogue", "requirements"):
        (tmp_path / name).mkdir()
    for name in ("cdk.json", "requirements/lambda.txt"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "anew"),
    [
        ("domain/alert.py", True),
        ("catalogue/devices/new.json", True),
        ("domain/__pycache__/alert.pyc", False),
        ("docs/flow.md", False),
    ],
)
def test_an_assembly_is_made_anew_when_a_source_changed(sources: Path, file: str, anew: bool) -> None:
    before = deploy.fingerprint()
    (sources / file).parent.mkdir(parents=True, exist_ok=True)
    (sources / file).write_text("changed")
    assert (deploy.fingerprint() != before) is anew


def test_without_node_one_sentence_says_what_to_do(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy, "_ASSEMBLIES", tmp_path / "assembly")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(emulator.LocalProblem, match=r"^No Node here.*: install Node\.js 20 or newer\.$"):
        deploy.synthesised(say=lambda _: None)


@pytest.mark.e2e
def test_cdk_deploy_itself(tmp_path: Path) -> None:
    assembly = shutil.copytree(deploy.synthesised(say=lambda _: None), tmp_path / "assembly")
    with emulator.running(tmp_path / "state", say=lambda _: None) as running:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        for arguments in (
            ["bootstrap", f"aws://{deploy.ACCOUNT}/{emulator.REGION}"],
            ["deploy", "--method=direct", "--require-approval=never"],
        ):
            done = subprocess.run(  # noqa: S603 - the pinned cdk
                [emulator.ROOT / "node_modules" / ".bin" / "cdk", *arguments, "--app", assembly, "--no-notices"],
                cwd=tmp_path,
                env=environment | running.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        formation = deploy.client("cloudformation", running.endpoint_url)
        (stack,) = formation.describe_stacks(StackName="pma-local")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        functions = deploy.client("lambda", running.endpoint_url).list_functions()["Functions"]
        assert stages(functions) >= {"Ingest", "Evaluate", "Relay", "Notify", "Export", "Registry"}


def stages(functions: list[dict[str, Any]]) -> set[str]:
    """The constructs that functions belong to, from names like pma-local-IngestFresh30B0FCA8-…"""
    return {re.findall(r"[A-Z][a-z]+", one["FunctionName"])[0] for one in functions}
