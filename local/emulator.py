"""MiniStack as a child process: one cloud, fresh, on loopback, gone without a trace when its block ends."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
HTTP_PORT = 4566
MQTT_PORT = 8883
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
"""The emulator's root; it listens on loopback only and forgets everything."""

ROOT = Path(__file__).resolve().parent.parent
FOLDER, STACK_FILE = "cloud", "stack.json"
_START_SECONDS = 60


class LocalProblem(RuntimeError):
    """Something on this machine stands in the way; the message says in one sentence what to do."""


class AlreadyRunning(LocalProblem):
    """Another process holds the state folder."""


class _PortLost(LocalProblem):
    """A port that was free when we looked was taken when the emulator wanted it."""


@dataclass(frozen=True)
class Emulator:
    """Where a running emulator is reached. `folder` goes when it ends, with all that is in it."""

    endpoint_url: str
    mqtt_host: str
    mqtt_port: int
    folder: Path

    @property
    def ca(self) -> Path:
        """The authority of the broker's certificate and of the things' (PEM)."""
        return self.folder / "ca.pem"

    @property
    def log(self) -> Path:
        """What the emulator and the functions in it say."""
        return self.folder / "log.txt"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs in its environment to take this emulator for AWS."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint_url, "AWS_REGION": REGION}


@contextlib.contextmanager
def running(state: Path, *, patched: bool = True, say: Callable[[str], None] = print) -> Iterator[Emulator]:
    """A fresh emulator whose files are all in the folder `state`/cloud, which is removed at the end, as is the file
    `state`/stack.json that points there.

    One at a time in a `state` folder; `patched` as local.patches has it, or MiniStack as it is. Raises LocalProblem
    when another runs there, or when it does not come up.
    """
    state.mkdir(parents=True, exist_ok=True)
    folder = state.resolve() / FOLDER
    with alone(state):
        clear(state)
        try:
            with contextlib.ExitStack() as stack:
                yield _one_that_starts(stack, folder, patched, say)
        finally:
            with contextlib.suppress(OSError):  # there is more in it than ours
                state.rmdir()


def _one_that_starts(stack: contextlib.ExitStack, folder: Path, patched: bool, say: Callable[[str], None]) -> Emulator:
    for _ in range(2):
        with contextlib.suppress(_PortLost):
            return stack.enter_context(_started(folder, patched, say))
    return stack.enter_context(_started(folder, patched, say))


@contextlib.contextmanager
def _started(folder: Path, patched: bool, say: Callable[[str], None]) -> Iterator[Emulator]:
    http = free_port(HTTP_PORT, "the AWS API", say)
    mqtt = free_port(MQTT_PORT, "MQTT", say)
    emulator = Emulator(f"http://{HOST}:{http}", HOST, mqtt, folder)
    folder.mkdir()
    (folder / "owner").write_text(str(os.getpid()))
    read, write = os.pipe()
    with emulator.log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "local.server", "--folder", str(folder), "--parent", str(read)]
            + ([] if patched else ["--bare"]),
            cwd=ROOT,
            env=_environment(folder, http, mqtt),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[read],
            start_new_session=True,
        )
    os.close(read)
    try:
        (folder / "process").write_text(str(process.pid))
        _wait_until_ready(process, emulator)
        yield emulator
    finally:
        _end(process)
        remove(folder)
        os.close(write)


@contextlib.contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold the folder for this process. The kernel lets go of it however the process ends, so it is never stale."""
    handle = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise AlreadyRunning(f"A cloud is already running in {state}: stop it with `make down`.") from None
    finally:
        os.close(handle)


def is_running(state: Path) -> bool:
    """Whether an emulator runs in this folder."""
    if not state.exists():
        return False
    try:
        with alone(state):
            return False
    except AlreadyRunning:
        return True


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
        "PYTHONUNBUFFERED": "1",
        "MINISTACK_EDITION": str(folder),  # by which we know that it is ours that answers
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


def _wait_until_ready(process: "subprocess.Popen[bytes]", emulator: Emulator) -> None:
    """Wait until the emulator answers and its broker listens, and fetch the broker's authority."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            health = json.loads(_get(f"{emulator.endpoint_url}/_ministack/health"))
        except (OSError, ValueError):
            health = {}
        if health.get("edition") != str(emulator.folder) or health["iot_mtls"] == "starting":
            time.sleep(0.02)  # not there yet, or another's emulator, which took the port before ours did
            continue
        if health["iot_mtls"] != "listening":
            raise _PortLost(f"Another program took port {emulator.mqtt_port} at the same moment: try again.")
        emulator.ca.write_bytes(_get(f"{emulator.endpoint_url}/_ministack/iot/ca.pem"))
        return
    log = emulator.log.read_text(errors="replace")
    if "already in use" in log:
        raise _PortLost(f"Another program took the port of {emulator.endpoint_url} at the same moment: try again.")
    tail = "\n".join(log.splitlines()[-15:])
    raise LocalProblem(f"The emulator did not come up; the end of its log:\n{tail}")


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


def clear(state: Path) -> None:
    """Remove what an emulator left behind whose parent was killed, and end it should it still run."""
    folder = state.resolve() / FOLDER
    pid = recorded(folder, "process")
    while pid is not None and str(folder) in command(pid):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.01)
    remove(folder)
    for half_removed in folder.parent.glob(f"{FOLDER}-*"):
        shutil.rmtree(half_removed, ignore_errors=True)


def remove(folder: Path) -> None:
    """Remove an emulator's folder and the file that points there.

    It is moved away first: what a killed run's emulator still removes can never be the next run's.
    """
    (folder.parent / STACK_FILE).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder.rename(f"{folder}-{os.getpid()}"), ignore_errors=True)


def recorded(folder: Path, name: str) -> int | None:
    """The number of a process as the file `name` has it."""
    with contextlib.suppress(OSError, ValueError):
        return int((folder / name).read_text())
    return None


def command(pid: int) -> list[str]:
    """The words that a process was started with, none when there is none: by them it is known as ours or not."""
    listed = subprocess.run(  # noqa: S603 - a number
        ["ps", "-ww", "-o", "args=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.split()
