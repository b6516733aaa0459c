"""The assembly goes in whole, by our quick way and by `cdk deploy` itself."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local import deploy, emulator
from local.patches import PATCHES


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
    assembly = deploy.synthesised(say=lambda _: None)
    with emulator.running(tmp_path, PATCHES, say=lambda _: None) as running:
        (copy := tmp_path / "assembly").symlink_to(assembly)
        environment = os.environ | running.environment | {"AWS_EC2_METADATA_DISABLED": "true", "CI": "true"}

        def cdk(*arguments: str) -> None:
            done = subprocess.run(  # noqa: S603 - the pinned cdk
                [shutil.which("npx") or "npx", "--no-install", "cdk", *arguments],
                cwd=emulator.ROOT,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr

        cdk("bootstrap", f"aws://{deploy.ACCOUNT}/{emulator.REGION}")
        cdk("deploy", "--app", str(copy), "--method=direct", "--require-approval=never")
        formation = deploy.client("cloudformation", running.endpoint_url)
        (stack,) = formation.describe_stacks(StackName="pma-local")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        functions = deploy.client("lambda", running.endpoint_url).list_functions()["Functions"]
        assert len(functions) >= len([path for path in (emulator.ROOT / "functions").iterdir() if path.is_dir()]) - 1
