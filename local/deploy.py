"""The CDK app into a running emulator: the very template of `cdk deploy`, in a second instead of half a minute."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.emulator import REGION, ROOT, LocalProblem

STAGE = "local"
ACCOUNT = "000000000000"
_DEPLOY_SECONDS = 120
_ASSEMBLIES = ROOT / "build" / "assembly"
_KEPT = 4

_SOURCES = ("infra", "functions", "adapters", "domain", "catalogue", "requirements/lambda.txt", "cdk.json")
"""What an assembly is made from; nothing else changes it but the interpreter."""


def client(service: str, endpoint_url: str, **config: Any) -> Any:
    """A client of the emulator at `endpoint_url`, as its root."""
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator's, see local.emulator.CREDENTIALS
        config=Config(**config),
    )


def synthesised(say: Callable[[str], None] = print) -> Path:
    """The assembly of the local stage, made anew only when a source changed.

    Raises LocalProblem when Node is missing or the app does not synthesise.
    """
    folder = _ASSEMBLIES / fingerprint()
    if not folder.exists():
        if shutil.which("node") is None:
            raise LocalProblem("No Node here, which the CDK app needs: install Node.js 20 or newer.")
        say("Making the CDK assembly (once after a change of the sources) ...")
        _run("infra.build", "--stage", STAGE)
        _ASSEMBLIES.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_ASSEMBLIES) as scratch:
            made = Path(scratch) / "assembly"
            _run("infra.app", CDK_OUTDIR=str(made), CDK_CONTEXT_JSON=json.dumps({"stage": STAGE}))
            if not folder.exists():  # nobody else was quicker
                made.rename(folder)
    for old in sorted(_ASSEMBLIES.iterdir(), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def _run(module: str, *arguments: str, **environment: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise LocalProblem(f"`python -m {module}` failed:\n{tail}")


def fingerprint() -> str:
    """A hash over all that an assembly is made from."""
    digest = hashlib.sha256(f"{sys.version} {sys.platform}".encode())
    for path in _files():
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _files() -> Iterator[Path]:
    for source in _SOURCES:
        top = ROOT / source
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def deploy(assembly: Path, endpoint_url: str) -> dict[str, str]:
    """Upload the assembly's assets, create its one stack and return the stack's outputs.

    Raises LocalProblem with the first failures when the stack is not created.
    """
    (template,) = assembly.glob("*.template.json")
    stack = template.name.removesuffix(".template.json")
    _upload(json.loads((assembly / f"{stack}.assets.json").read_text()), assembly, endpoint_url)
    described = json.loads((assembly / "manifest.json").read_text())["artifacts"][stack]["properties"]
    uploaded = _resolved(described["stackTemplateAssetObjectUrl"]).removeprefix("s3://")
    formation = client("cloudformation", endpoint_url)
    formation.create_stack(
        StackName=stack,
        TemplateURL=f"{endpoint_url}/{uploaded}",  # as cdk does: it is too long to be sent with the call
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    deadline = time.monotonic() + _DEPLOY_SECONDS
    while time.monotonic() < deadline:
        (found,) = formation.describe_stacks(StackName=stack)["Stacks"]
        if found["StackStatus"] == "CREATE_COMPLETE":
            return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
        if not found["StackStatus"].endswith("CREATE_IN_PROGRESS"):
            break
        time.sleep(0.05)
    raise LocalProblem(f"The stack was not created: {_failures(formation, stack)}")


def _failures(formation: Any, stack: str) -> str:
    events = formation.describe_stack_events(StackName=stack)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return "; ".join(f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason')}" for one in reversed(failed[-3:]))


def _upload(manifest: dict[str, Any], assembly: Path, endpoint_url: str) -> None:
    store = client("s3", endpoint_url, s3={"addressing_style": "path"})
    made: set[str] = set()
    for asset in manifest["files"].values():
        path = assembly / asset["source"]["path"]
        if asset["source"]["packaging"] == "zip":
            path = Path(shutil.make_archive(str(path), "zip", path))
        for destination in asset["destinations"].values():
            bucket, key = (_resolved(destination[part]) for part in ("bucketName", "objectKey"))
            if bucket not in made:
                store.create_bucket(Bucket=bucket)
                made.add(bucket)
            store.upload_file(str(path), bucket, key)


def _resolved(text: str) -> str:
    """A destination with CDK's placeholders filled for the emulator's one account and region."""
    for name, value in (("AccountId", ACCOUNT), ("Region", REGION), ("Partition", "aws")):
        text = text.replace(f"${{AWS::{name}}}", value)
    return text
