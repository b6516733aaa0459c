"""`make up` and `make down`, done twice; a cloud whose keeper was killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local import emulator
from tests.waiting import eventually

pytestmark = pytest.mark.e2e


def local(command: str, state: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "local", command, "--state", str(state)],
        cwd=emulator.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_up_and_down_are_idempotent_and_leave_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    said = local("up", state)
    stack = json.loads((state / emulator.STACK_FILE).read_text())
    assert set(stack) == {
        "endpoint_url",
        "region",
        "mqtt",
        "api_url",
        "token_url",
        "organisations",
        "claim",
        "mis_url",
        "topic_prefix",
        "rule",
    }
    assert len(stack["organisations"]) == 2
    for part in ("certificate", "private_key"):
        assert (emulator.ROOT / stack["claim"][part]).read_text().startswith("-----BEGIN")
    assert stack["claim"]["template"] == "pma-local-devices"
    assert (emulator.ROOT / stack["mqtt"]["ca"]).read_text().startswith("-----BEGIN CERTIFICATE")
    assert [
        address for address in (stack["endpoint_url"], stack["api_url"], stack["mis_url"]) if address not in said
    ] == []

    assert local("up", state).startswith("The cloud is running already.")
    assert json.loads((state / emulator.STACK_FILE).read_text()) == stack

    assert local("down", state) == "The cloud is down.\n"
    assert local("down", state) == "No cloud is running.\n"
    assert list(state.glob("*")) == []


def test_a_killed_cloud_is_gone_and_comes_up_again(tmp_path: Path) -> None:
    local("up", tmp_path)
    owner = emulator.recorded(tmp_path / emulator.FOLDER, "owner")
    assert owner is not None
    os.kill(owner, signal.SIGKILL)
    eventually(lambda: not (tmp_path / emulator.STACK_FILE).exists())
    assert "running already" not in local("up", tmp_path)
    assert local("down", tmp_path) == "The cloud is down.\n"
    assert list(tmp_path.glob("*")) == []
