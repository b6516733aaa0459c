"""MiniStack as a child process: one cloud, fresh, on loopback, gone without a trace when its block ends."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
HTTP_PORT = 4566
MQTT_PORT = 8883
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
"""The emulator's root; it listens on loopback only and forgets everything."""

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60


class LocalProblem(RuntimeError):
    """Something on this machine stands in the way; the message says in one sentence what to do."""


@dataclass(frozen=True)
class Emulator:
    """Where a running emulator is reached. `folder` holds all that it writes; `ca` is the broker's authority (PEM)."""

    endpoint_url: str
    mqtt_host: str
    mqtt_port: int
    ca: Path
    log: Path
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs in its environment to take this emulator for AWS."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint_url, "AWS_REGION": REGION}


@contextlib.contextmanager
def running(
    state: Path, patches: Iterable[str], *, say: Callable[[str], None] = print, services: dict[str, str] | None = None
) -> Iterator[Emulator]:
    """A fresh emulator whose files are all in the folder `state`/emulator, which is removed at the end.

    One at a time in a `state` folder. Raises LocalProblem when another runs there, or when it does not come up.
    """
    state.mkdir(parents=True, exist_ok=True)
    folder = state.resolve() / "emulator"
    with _alone(state):
        _clear(folder)
        folder.mkdir()
        http = free_port(HTTP_PORT, "the AWS API", say)
        mqtt = free_port(MQTT_PORT, "MQTT", say)
        read, write = os.pipe()
        log = folder / "log.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "local.server", "--folder", str(folder), "--parent", str(read)]
                + [f"--patch={name}" for name in patches],
                cwd=ROOT,
                env=_environment(folder, http, mqtt) | (services or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[read],
                start_new_session=True,
            )
        os.close(read)
        try:
            (folder / "process").write_text(str(process.pid))
            yield _ready(process, Emulator(f"http://{HOST}:{http}", HOST, mqtt, folder / "ca.pem", log, process.pid))
        finally:
            _end(process)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(write)


@contextlib.contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Hold the folder for this process. The kernel lets go of it however the process ends, so it is never stale."""
    handle = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise LocalProblem(f"a cloud is already running for {state}: stop it with `make down`") from None
    finally:
        os.close(handle)


def _environment(folder: Path, http: int, mqtt: int) -> dict[str, str]:
    """All that the emulator sees of ours: its Lambda workers inherit it, so nothing of the developer's account."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    temporary = folder / "tmp"
    temporary.mkdir()
    return inherited | {
        **CREDENTIALS,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "AUTH": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(http),
        "IOT_MTLS_PORT": str(mqtt),
    }


def free_port(wanted: int, purpose: str, say: Callable[[str], None]) -> int:
    """`wanted` when nobody listens there, else a free one, and a sentence about it."""
    if _is_free(wanted):
        return wanted
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    say(f"Port {wanted} is taken by another program: {purpose} listens on {port} instead.")
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _ready(process: "subprocess.Popen[bytes]", emulator: Emulator) -> Emulator:
    """Wait until the emulator answers and its broker listens, and fetch the broker's authority."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            _get(f"{emulator.endpoint_url}/_ministack/ready")
            emulator.ca.write_bytes(_get(f"{emulator.endpoint_url}/_ministack/iot/ca.pem"))
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.02)
        else:
            return emulator
    tail = "\n".join(emulator.log.read_text(errors="replace").splitlines()[-15:])
    raise LocalProblem(f"the emulator did not come up; the end of its log:\n{tail}")


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own http address
        body: bytes = answer.read()
        return body


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the emulator and its Lambda workers, all in its process group; there is nothing in it to save."""
    # not reaped before the group is killed: until then nobody else can be given its number
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _clear(folder: Path) -> None:
    """Remove what an emulator left behind whose parent was killed, and end it should it still run."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / "process").read_text())
        if str(folder) in _command(pid):
            os.killpg(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _command(pid: int) -> list[str]:
    """The command line of a process, empty when there is none; ours carries the folder, so it is never another's."""
    listed = subprocess.run(  # noqa: S603 - a number
        ["ps", "-ww", "-o", "args=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.split()
