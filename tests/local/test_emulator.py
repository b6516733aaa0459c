"""The launcher leaves nothing behind, however it ends, and says in one sentence what stands in its way."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import emulator
from tests.local.small_cloud import SmallCloud
from tests.waiting import eventually

PARENT = """
import signal, sys
from pathlib import Path
from local import emulator
from tests.local.small_cloud import SmallCloud

state = Path(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs in the background inherits that it is ignored
with emulator.running(state, patched=False, say=lambda _: None) as running:
    cloud = SmallCloud(running, state, 5)
    name, _ = cloud.function("silent")
    cloud.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    (state / "stack.json").write_text("{}")
    print(emulator.recorded(running.folder, "process"), flush=True)
    if sys.argv[2] == "fail":
        raise ValueError("a mistake in the block")
    signal.pause()
"""


def group(leader: int) -> list[str]:
    """The processes of a group: the emulator, its Lambda workers."""
    listed = subprocess.run(["ps", "-e", "-o", "pgid=,args="], capture_output=True, text=True, check=True)  # noqa: S607
    return [line for line in listed.stdout.splitlines() if int(line.split()[0]) == leader and "<defunct>" not in line]


def left(state: Path) -> list[str]:
    return sorted(path.name for path in state.glob("*") if path.suffix != ".jsonl")


@pytest.mark.e2e
@pytest.mark.parametrize(
    "ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, "fail"], ids=["Ctrl-C", "kill", "kill -9", "an exception"]
)
def test_no_process_and_no_file_is_left(tmp_path: Path, ending: signal.Signals | str) -> None:
    parent = subprocess.Popen(  # noqa: S603 - this file's own program
        [sys.executable, "-c", PARENT, str(tmp_path), str(ending)],
        cwd=emulator.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    leader = int(parent.stdout.readline())
    if isinstance(ending, signal.Signals):
        assert len(group(leader)) == 2, "the emulator and one worker"
        parent.send_signal(ending)
    parent.communicate(timeout=60)
    eventually(lambda: group(leader) == [])
    eventually(lambda: left(tmp_path) == [])


@pytest.mark.e2e
def test_taken_ports_and_a_second_cloud_in_one_folder(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        taken(emulator.HTTP_PORT),
        taken(emulator.MQTT_PORT),
        emulator.running(tmp_path, patched=False, say=said.append) as it,
    ):
        assert SmallCloud(it, tmp_path, 1).client("sts").get_caller_identity()["Account"] == "000000000000"
        assert [f"Port {port} is taken" in line for port, line in zip((4566, 8883), said, strict=True)] == [True, True]
        with (
            pytest.raises(emulator.LocalProblem, match=r"already running in .*: stop it with `make down`"),
            emulator.running(tmp_path),
        ):
            pass


@contextmanager
def taken(port: int) -> Iterator[None]:
    """A port that another program has: whoever had it before, or we."""
    if emulator._is_free(port):
        with socket.create_server((emulator.HOST, port)):
            yield
    else:
        yield


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is none of ours."""
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)  # noqa: S607
    yield process
    process.kill()
    process.wait()


def test_a_stale_folder_is_cleared_and_a_stranger_with_its_number_lives(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    folder = tmp_path / emulator.FOLDER
    folder.mkdir()
    (folder / "process").write_text(str(sleeper.pid))
    (tmp_path / emulator.STACK_FILE).write_text("{}")
    emulator.clear(tmp_path)
    assert left(tmp_path) == []
    assert sleeper.poll() is None


def test_an_emulator_that_outlived_its_parent_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / emulator.FOLDER
    folder.mkdir()
    ours = subprocess.Popen(  # noqa: S603 - it carries the folder in its command line, as the emulator does
        [sys.executable, "-c", "import time; time.sleep(60)", "--folder", str(folder)], start_new_session=True
    )
    (folder / "process").write_text(str(ours.pid))
    emulator.clear(tmp_path)
    assert ours.wait(timeout=10) == -signal.SIGKILL
    assert left(tmp_path) == []


def test_the_developers_own_account_is_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA-REAL")
    seen = emulator._environment(tmp_path, 1, 2)
    assert "AWS_PROFILE" not in seen
    assert seen["AWS_ACCESS_KEY_ID"] == "test"
    assert seen["AWS_CONFIG_FILE"] == os.devnull
