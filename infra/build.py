"""`python -m infra.build --stage local`: a zip a function and one layer, for the stage's interpreter and architecture.

A zip holds its function's own code and the floors below it, at the same paths as the repository, so that imports are
the same in the editor, in tests and in the cloud. What is built twice is the same to the byte: sorted names, one time
stamp, bytecode checked by nothing but its name (`unchecked-hash`) from a process with a fixed hash seed. The layer
needs a package registry (or uv's cache) once for each change of requirements/lambda.txt; nothing else here does.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from infra.stage import STAGES, Target, this_machine

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "lambda.txt"
SHARED = ("domain", "adapters", "catalogue")
"""Floors that every function stands on."""

_PLATFORMS = {"arm64": "aarch64-manylinux2014", "x86_64": "x86_64-manylinux2014"}
_RUNTIME_BRINGS = ("boto3", "botocore", "s3transfer")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class BuildProblem(RuntimeError):
    """The build cannot go on; the message says what to do."""


def functions() -> list[str]:
    """The function packages, by name."""
    return sorted(path.name for path in (ROOT / "functions").iterdir() if (path / "__init__.py").exists())


def build(target: Target, folder: Path) -> None:
    """Fill `folder` with `layer.zip` and `<function>.zip` for `target`. Raises BuildProblem."""
    folder.mkdir(parents=True, exist_ok=True)
    interpreter = interpreter_of(target)
    if interpreter is None:
        print(f"No python{target.python} here: zips go without bytecode, and cold starts take twice as long.")
    build_layer(target, folder / "layer.zip", interpreter=interpreter)
    build_zips(folder, interpreter=interpreter)


def build_zips(folder: Path, *, interpreter: str | None) -> None:
    """`<function>.zip` for every function, compiled by `interpreter` if there is one. Raises BuildProblem."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        for path in sources():
            copy = tree / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        if interpreter is not None:
            compile_tree(tree, interpreter=interpreter, seen_as="/var/task")
        everything = files(tree)
        for name in functions():
            own = (path for path in everything if belongs(path.relative_to(tree), name))
            write_zip(tree, own, folder / f"{name}.zip")


def sources() -> Iterator[Path]:
    """Every file that is in any function's zip."""
    for floor in (*SHARED, "functions"):
        for path in files(ROOT / floor):
            if "__pycache__" not in path.parts and not path.name.startswith("."):
                yield path


def belongs(path: Path, function: str) -> bool:
    """Whether the file at `path`, relative to the tree's top, is part of this function's zip."""
    top, *rest = path.parts
    if top != "functions":
        return top in SHARED
    return rest[0] == function or rest[0] in {"__init__.py", "__pycache__"}


def build_layer(target: Target, archive: Path, *, interpreter: str | None) -> None:
    """The third-party packages of the hash-pinned list as a layer; made anew only when what makes it changes."""
    made_of = [LOCK.read_bytes(), Path(__file__).read_bytes(), target.name.encode(), str(interpreter is None).encode()]
    made_from = hashlib.sha256(b"\0".join(made_of)).hexdigest()
    stamp = archive.with_suffix(".made-from")
    if archive.exists() and stamp.exists() and stamp.read_text() == made_from:
        return
    print(f"Building the layer for {target.name} (once for each change of requirements/lambda.txt) ...", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        packages = Path(scratch) / "python"
        install(target, packages)
        prune(packages)
        if interpreter is not None:
            compile_tree(packages, interpreter=interpreter, seen_as="/opt/python")
        write_zip(Path(scratch), files(packages), archive)
    stamp.write_text(made_from)


def install(target: Target, packages: Path) -> None:
    """Wheels only, hashes checked, nothing compiled here: cross-builds work on any machine. Raises BuildProblem."""
    uv = Path(sys.executable).parent / "uv"
    done = subprocess.run(  # noqa: S603 - our own pinned tool
        [
            str(uv) if uv.exists() else "uv",
            *("pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"),
            *("--python-platform", _PLATFORMS[target.architecture], "--python-version", target.python),
            *("--target", str(packages), "--no-deps", "--link-mode", "copy", "-r", str(LOCK)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildProblem(
            f"The layer for {target.name} needs a package registry in reach, this once:\n{done.stderr.strip()}"
        )


def prune(packages: Path) -> None:
    """Leave out what no function loads."""
    for path in files(packages):
        if is_unused(path.relative_to(packages)):
            path.unlink()


def is_unused(path: Path) -> bool:
    """What the runtime brings, tests, scripts, stubs, records of the installation, the page of an API's explorer."""
    top = path.parts[0]
    return (
        top in {"bin", ".lock", *_RUNTIME_BRINGS}
        or (top.endswith(".dist-info") and path.name not in {"METADATA", "WHEEL"})
        or not {"tests", "__pycache__"}.isdisjoint(path.parts)
        or path.suffix in {".pyi", ".pyx", ".pxd", ".c", ".h"}
        or path.name.startswith("swagger-ui")
    )


def interpreter_of(target: Target) -> str | None:
    """A CPython of the target's version that runs here, or None."""
    if target.python == this_machine().python:
        return sys.executable
    found = [shutil.which(f"python{target.python}")]
    for versions in (Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions",):
        found += [str(path) for path in sorted(versions.glob(f"{target.python}.*/bin/python{target.python}"))]
    for candidate in found:
        if candidate and _version(candidate) == target.python:
            return candidate
    return None


def _version(interpreter: str) -> str | None:
    done = subprocess.run(  # noqa: S603 - an interpreter on the PATH
        [interpreter, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def compile_tree(tree: Path, *, interpreter: str, seen_as: str) -> None:
    """Bytecode beside the sources, with the paths that it will have where it runs. Raises BuildProblem."""
    done = subprocess.run(  # noqa: S603 - an interpreter on the PATH
        [
            *(interpreter, "-I", "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(tree), "-p", seen_as, str(tree)),
        ],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildProblem(f"{interpreter} cannot compile the sources:\n{(done.stdout + done.stderr).strip()}")


def files(tree: Path) -> list[Path]:
    return sorted(path for path in tree.rglob("*") if path.is_file())


def write_zip(top: Path, paths: Iterable[Path], archive: Path) -> None:
    """The same bytes for the same files, whoever builds them and when."""
    unfinished = archive.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for path in sorted(paths):
            entry = zipfile.ZipInfo(path.relative_to(top).as_posix(), date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            made.writestr(entry, path.read_bytes(), compresslevel=9)
    unfinished.replace(archive)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--stage", choices=sorted(STAGES), default="dev")
    target = STAGES[parser.parse_args().stage].target
    try:
        build(target, ROOT / "build" / target.name)
    except BuildProblem as problem:
        raise SystemExit(str(problem)) from None


if __name__ == "__main__":
    main()
