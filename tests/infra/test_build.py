"""What is deployed: each zip its own code and the floors below, one layer, the same bytes from the same sources."""

import json
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from infra.build import (
    LOCK,
    ROOT,
    BuildProblem,
    belongs,
    build_layer,
    build_zips,
    compile_tree,
    functions,
    interpreter_of,
    write_zip,
)
from infra.stage import LAMBDA, LOCAL, Target

MEGABYTE = 1_000_000
RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil", "six.py", "urllib3", "jmespath")
"""What Lambda's Python runtime brings beside the standard library."""


def sources_of(name: str) -> set[str]:
    """What the zip of a function is to hold, as git and the working tree have it."""
    tops = [ROOT / "domain", ROOT / "adapters", ROOT / "catalogue", ROOT / "functions" / name]
    found = {path for top in tops for path in top.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    return {path.relative_to(ROOT).as_posix() for path in found} | {"functions/__init__.py"}


@pytest.fixture(scope="session")
def zips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("functions")
    build_zips(folder, interpreter=sys.executable)
    return folder


def unzipped(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The local stage's layer, as it would lie below /opt; built once and kept in build/ like any other."""
    archive = ROOT / "build" / LOCAL.target.name / "layer.zip"
    archive.parent.mkdir(parents=True, exist_ok=True)
    build_layer(LOCAL.target, archive, interpreter=sys.executable)
    return unzipped(archive, tmp_path_factory.mktemp("opt"))


@pytest.mark.parametrize("name", functions())
def test_a_zip_holds_its_own_code_and_the_shared_floors(zips: Path, name: str) -> None:
    with zipfile.ZipFile(zips / f"{name}.zip") as opened:
        held = {entry for entry in opened.namelist() if "__pycache__" not in entry}
        compiled = {entry for entry in opened.namelist() if "__pycache__" in entry}
    assert held == sources_of(name)
    assert len(compiled) == sum(entry.endswith(".py") for entry in held), "a module without bytecode"


def test_another_functions_code_does_not_belong() -> None:
    assert belongs(Path("functions/ingest/handler.py"), "ingest")
    assert belongs(Path("functions/__pycache__/__init__.cpython-313.pyc"), "ingest")
    assert not belongs(Path("functions/notify/handler.py"), "ingest")
    assert not belongs(Path("infra/app.py"), "ingest")


@pytest.mark.parametrize("name", functions())
def test_a_zip_is_at_most_a_megabyte(zips: Path, name: str) -> None:
    assert (zips / f"{name}.zip").stat().st_size <= MEGABYTE


def test_two_builds_are_byte_identical(zips: Path, tmp_path: Path) -> None:
    build_zips(tmp_path, interpreter=sys.executable)
    assert [(tmp_path / f"{name}.zip").read_bytes() == (zips / f"{name}.zip").read_bytes() for name in functions()] == [
        True
    ] * len(functions())


def test_without_an_interpreter_of_the_target_sources_go_alone(tmp_path: Path) -> None:
    build_zips(tmp_path, interpreter=None)
    with zipfile.ZipFile(tmp_path / "relay.zip") as opened:
        assert set(opened.namelist()) == sources_of("relay")


def test_no_interpreter_of_a_version_that_nobody_has() -> None:
    assert interpreter_of(Target("3.99", "arm64")) is None


def test_sources_that_do_not_compile_stop_the_build(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def")
    with pytest.raises(BuildProblem, match=r"broken\.py"):
        compile_tree(tmp_path, interpreter=sys.executable, seen_as="/var/task")


def test_a_zip_does_not_remember_when_its_files_were_made(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("1")
    write_zip(tmp_path, [tmp_path / "one.py"], tmp_path / "a.zip")
    (tmp_path / "one.py").touch()
    (tmp_path / "one.py").chmod(0o600)
    write_zip(tmp_path, [tmp_path / "one.py"], tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


PROBE = """
import importlib, json, os, sys
*paths, module = json.loads(sys.argv[1])
sys.path += paths
importlib.import_module(module)
came_from = {name: getattr(loaded, "__file__", None) or "" for name, loaded in sys.modules.items()}
known = (*paths, os.path.dirname(os.__file__))
print(json.dumps({
    "outside": sorted(name for name, file in came_from.items() if file and not file.startswith(known)),
    "own": sorted(name for name, file in came_from.items() if file.startswith(paths[0])),
}))
"""


@pytest.mark.parametrize("name", functions())
def test_a_handler_imports_from_its_zip_and_the_layer_alone(zips: Path, layer: Path, tmp_path: Path, name: str) -> None:
    """In an interpreter that sees neither this environment nor the repository; boto3 is there, as in the runtime."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    packages = Path(sys.modules["pytest"].__file__ or "").parents[1]
    for package in RUNTIME:
        (runtime / package).symlink_to(packages / package)
    code = unzipped(zips / f"{name}.zip", tmp_path / "task")
    paths = [str(code), str(layer / "python"), str(runtime)]
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-I", "-S", "-c", PROBE, json.dumps([*paths, f"functions.{name}.handler"])],
        cwd=tmp_path,
        env={"AWS_DEFAULT_REGION": "eu-central-1", "POWERTOOLS_SERVICE_NAME": name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["outside"] == []
    assert f"functions.{name}.handler" in seen["own"]


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE))


def installed(layer: Path) -> dict[str, str]:
    """`{distribution: version}` of what the layer holds."""
    found = {}
    for metadata in (layer / "python").glob("*.dist-info/METADATA"):
        text = metadata.read_text(encoding="utf-8")
        name, version_ = (re.search(rf"^{field}: (.+)$", text, re.MULTILINE) for field in ("Name", "Version"))
        assert name is not None
        assert version_ is not None
        found[re.sub(r"[-_.]+", "-", name[1]).lower()] = version_[1]
    return found


def test_the_layer_holds_the_locks_versions_and_so_does_this_environment(layer: Path) -> None:
    held = installed(layer)
    locked = pins(LOCK)
    assert held == {name: locked[name] for name in held}
    assert {"pydantic", "aws-lambda-powertools", "orjson", "cryptography"} <= set(held)
    assert held == {name: version(name) for name in held}
    assert {name: pins(LOCK.with_name("dev.txt")).get(name) for name in locked} == locked


def test_the_runtimes_own_packages_are_not_in_the_layer(layer: Path) -> None:
    assert not {"boto3", "botocore", "s3transfer"} & {path.name for path in (layer / "python").iterdir()}


def test_the_layer_is_at_most_twelve_megabytes(layer: Path) -> None:
    assert (ROOT / "build" / LOCAL.target.name / "layer.zip").stat().st_size <= 12 * MEGABYTE


@pytest.fixture(scope="session")
def arm_layer() -> Path:
    archive = ROOT / "build" / LAMBDA.name / "layer.zip"
    archive.parent.mkdir(parents=True, exist_ok=True)
    build_layer(LAMBDA, archive, interpreter=interpreter_of(LAMBDA))
    return archive


@pytest.mark.slow
def test_the_deployed_layers_wheels_are_for_its_target(arm_layer: Path, tmp_path: Path) -> None:
    layer = unzipped(arm_layer, tmp_path)
    compiled = 0
    for wheel in (layer / "python").glob("*.dist-info/WHEEL"):
        tags = re.findall(r"^Tag: (.+)$", wheel.read_text(encoding="utf-8"), re.MULTILINE)
        assert tags, wheel
        for tag in tags:
            python, _, platform = tag.split("-")
            assert re.fullmatch(r"py3|py2|py2\.py3|cp313|cp3\d+", python), wheel
            assert platform == "any" or platform.endswith("aarch64"), wheel
            compiled += platform != "any"
    assert compiled > 0
    foreign = [path.name for path in layer.rglob("*.so") if not re.search(r"aarch64|abi3", path.name)]
    assert foreign == []
    assert installed(layer) == {name: pins(LOCK)[name] for name in installed(layer)}


@pytest.mark.slow
def test_the_deployed_layer_is_at_most_twelve_megabytes(arm_layer: Path) -> None:
    assert arm_layer.stat().st_size <= 12 * MEGABYTE


@pytest.mark.slow
@pytest.mark.parametrize("target", [LOCAL.target, LAMBDA], ids=lambda target: target.name)
def test_two_layers_are_byte_identical(target: Target, tmp_path: Path) -> None:
    for name in ("a", "b"):
        build_layer(target, tmp_path / f"{name}.zip", interpreter=interpreter_of(target))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
