"""What a function's start costs: fresh processes that import a handler from its zip and layer, CPU of the process."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3

from infra.stage import LOCAL

PAIRS = 9
MEGABYTE = 1024 * 1024
ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "build" / LOCAL.target.name
STAGES = ("ingest", "evaluate", "relay", "notify", "export", "registry")

TYPICAL = """
import boto3, jmespath, pydantic
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.parser import parse
tables = boto3.resource("dynamodb")
queues = boto3.client("sqs")
class Reading(pydantic.BaseModel):
    device: str
    value: float
"""
"""What such functions usually load before their first event."""


def sizes() -> tuple[float, float]:
    """MB of the layer and of the largest function's zip."""
    zips = [BUILT / f"{stage}.zip" for stage in STAGES]
    return (BUILT / "layer.zip").stat().st_size / MEGABYTE, max(one.stat().st_size for one in zips) / MEGABYTE


def starts() -> tuple[float, float]:
    """Milliseconds of CPU of the slowest function's start, and how many times more a typical one needs."""
    with _unzipped() as folder:
        paths = {stage: [folder / stage, folder / "layer" / "python"] for stage in STAGES}
        ours: dict[str, list[float]] = {stage: [] for stage in STAGES}
        ratios = []
        for _ in range(PAIRS):
            for stage in STAGES:
                ours[stage].append(_cpu_ms(f"import functions.{stage}.handler", paths[stage]))
            typical = _cpu_ms(TYPICAL, paths["ingest"])
            ratios.append(typical / max(ours[stage][-1] for stage in STAGES))
    return max(statistics.median(times) for times in ours.values()), statistics.median(ratios)


@contextmanager
def _unzipped() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for archive in ("layer", *STAGES):
            zipfile.ZipFile(BUILT / f"{archive}.zip").extractall(folder / archive)
        runtime = folder / "runtime"
        runtime.mkdir()
        for package in ("boto3", "botocore", "s3transfer", "dateutil", "six.py"):
            (runtime / package).symlink_to(Path(boto3.__file__).parent.parent / package)
        yield folder


def _cpu_ms(code: str, paths: list[Path]) -> float:
    """CPU of a fresh interpreter that sees `paths` and what the runtime itself brings."""
    search = [*map(str, paths), str(paths[0].parent / "runtime")]
    environment = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "eu-central-1", "PYTHONDONTWRITEBYTECODE": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-S", "-c", f"import sys; sys.path[1:1] = {search!r}\n{code}"], env=environment, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
