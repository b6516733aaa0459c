"""`python -m local up | down`: the embedded cloud with the stack, left running; stopped again."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

try:
    from local import emulator
    from local.cloud import ENDPOINT, ORGANISATIONS, STATE, running_cloud
    from local.emulator import FOLDER, ROOT, STACK_FILE, LocalProblem
except ModuleNotFoundError as missing:
    sys.exit(f"{missing.name} is not installed for {sys.executable}: run `make setup`, or use `make up`.")

_UP_SECONDS, _DOWN_SECONDS = 300, 15


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "serve"], help="serve: as up, but in this process")
    parser.add_argument("--state", type=Path, default=STATE, help="the folder of its files (.local)")
    said = parser.parse_args()
    try:
        {"up": up, "down": down, "serve": serve}[said.command](said.state.resolve())
    except LocalProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def up(state: Path) -> None:
    """Leave a cloud running behind us; one that runs already stays as it is."""
    if emulator.is_running(state):
        print("The cloud is running already.")
    else:
        state.mkdir(parents=True, exist_ok=True)
        with _log(state).open("wb") as log:
            keeper = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "local", "serve", "--state", str(state)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            _follow(keeper, state)
    print(_addresses(state))


def serve(state: Path) -> None:
    """Keep a cloud running in this process until it is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with running_cloud(state) as cloud:
            for organisation in ORGANISATIONS:
                cloud.connect_mis(organisation)
            (cloud.running.folder / "ready").touch()
            signal.pause()
    finally:
        _log(state).unlink(missing_ok=True)


def down(state: Path) -> None:
    """End what `up` left running, and clear what a killed one left behind."""
    if not emulator.is_running(state):
        emulator.clear(state)
        _log(state).unlink(missing_ok=True)
        print("No cloud is running.")
        return
    owner = emulator.recorded(state / FOLDER, "owner")
    if owner is None or not {"local", "serve"} <= set(emulator.command(owner)):
        raise LocalProblem(f"The cloud in {state} belongs to another command: end that one.")
    os.kill(owner, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_SECONDS
    while emulator.is_running(state):
        if time.monotonic() > deadline:
            os.kill(owner, signal.SIGKILL)
        time.sleep(0.05)
    emulator.clear(state)
    print("The cloud is down.")


def _log(state: Path) -> Path:
    return state / "up.txt"


def _follow(keeper: "subprocess.Popen[bytes]", state: Path) -> None:
    """Show what the keeper says until the cloud is there. Raises LocalProblem when it ends before."""
    ready = state / FOLDER / "ready"
    deadline = time.monotonic() + _UP_SECONDS
    with _log(state).open() as words:
        try:
            while not ready.exists() and keeper.poll() is None and time.monotonic() < deadline:
                print(words.read(), end="", flush=True)
                time.sleep(0.05)
        except KeyboardInterrupt:
            keeper.terminate()
            raise
        print(words.read(), end="", flush=True)
    if not ready.exists():
        keeper.terminate()
        raise LocalProblem("The cloud did not come up.")


def _addresses(state: Path) -> str:
    if not (state / STACK_FILE).exists():
        raise LocalProblem("A cloud is just starting: try again in a minute.")
    stack = json.loads((state / STACK_FILE).read_text())
    rows = {
        "AWS API": f"{stack['endpoint_url']} (key and secret: test)",
        "MQTT": f"{stack['mqtt']['host']}:{stack['mqtt']['port']}, CA {stack['mqtt']['ca']}",
        "PMA API": stack["api_url"],
        "tokens": stack["token_url"],
        "MIS": f"{stack['mis_url']} (endpoint {ENDPOINT} of {' and '.join(stack['organisations'])})",
        "all of it": os.path.relpath(state / STACK_FILE, ROOT),
    }
    return "\n".join(f"{name:>10}  {value}" for name, value in rows.items()) + "\nStop it with `make down`."


if __name__ == "__main__":
    sys.exit(main())
