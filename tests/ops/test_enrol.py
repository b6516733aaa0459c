"""`python -m ops enrol`: a cohort in one command, which goes on where it was broken off (R85)."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
import urllib3
from rich.console import Console

from ops.__main__ import main
from ops.enrol import Done, EnrolError, enrol, example, read_cohort
from pma_client import Client, Unreachable
from tests.builders import NOW
from tests.in_process import API, TOKEN_URL, Answered, InProcess, api


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with api() as started:
        yield started


@dataclass
class Breaking:
    """The API in this process, which answers one after the other, and no more after so many."""

    pma: InProcess
    answers: int = 10_000
    lock: Lock = field(default_factory=Lock)

    def request(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]) -> Answered:
        with self.lock:
            self.answers -= 1
            if self.answers < 0:
                raise urllib3.exceptions.ProtocolError("reset")
            return self.pma.request(method, url, body=body, headers=headers)


@pytest.fixture
def pma(running: InProcess) -> InProcess:
    running.forget()
    return running


def run(pma: InProcess, cohort: list[dict[str, Any]], path: Path, answers: int = 10_000) -> dict[str, Any]:
    client = Client(API, TOKEN_URL, "client-a", "secret", http=Breaking(pma, answers), pause=lambda _: None)
    return enrol(client, cohort, Done(path, Lock()), Console(file=io.StringIO()))


def test_a_cohort_is_enrolled_with_all_that_belongs_to_it(pma: InProcess, tmp_path: Path) -> None:
    said = run(pma, list(example(5, NOW)), tmp_path / "done.jsonl")
    assert (said["enrolled"], said["refused"], said["done_before"]) == (5, 0, 0)
    assert [one.missing for one in pma.client().subjects()] == [()] * 5
    again = run(pma, list(example(5, NOW)), tmp_path / "done.jsonl")
    assert (again["enrolled"], again["done_before"]) == (0, 5)


@pytest.mark.parametrize("answers", [2, 9, 17, 24])
def test_r85_what_was_broken_off_goes_on_and_nothing_is_there_twice(
    pma: InProcess, tmp_path: Path, answers: int
) -> None:
    cohort = list(example(4, NOW))
    with pytest.raises(Unreachable):
        run(pma, cohort, tmp_path / "done.jsonl", answers)
    said = run(pma, cohort, tmp_path / "done.jsonl")
    assert said["enrolled"] + said["done_before"] == 4
    assert [one.missing for one in pma.client().subjects()] == [()] * 4
    devices = [pma.client().device(one["devices"][0]["serial"]) for one in cohort]
    assert [len(one.assignments) for one in devices] == [1] * 4


def test_who_is_refused_is_named_with_the_reason_and_tried_again(pma: InProcess, tmp_path: Path) -> None:
    cohort = list(example(2, NOW))
    cohort[0]["language"] = "de"
    said = run(pma, cohort, tmp_path / "done.jsonl")
    assert (said["enrolled"], said["refused"]) == (1, 1)
    lines = [json.loads(line) for line in (tmp_path / "done.jsonl").read_text().splitlines()]
    assert next(one["refused"] for one in lines if one["refused"]).startswith("422 invalid-request")
    cohort[0]["language"] = "en"
    assert run(pma, cohort, tmp_path / "done.jsonl")["enrolled"] == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "Line 1 .* is no subject"),
        ("[]", "Line 1 .* is no subject"),
        ('{"consent": {"given_at": "2026-11-01T00:00:00Z"}}', "lacks"),
    ],
    ids=["torn", "no object", "half of it"],
)
def test_a_line_that_is_no_subject_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "cohort.jsonl").write_text(text)
    with pytest.raises(EnrolError, match=says):
        read_cohort(tmp_path / "cohort.jsonl")


def test_the_command_writes_the_cohort_and_says_what_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PMA_CLIENT_SECRET", raising=False)
    cohort = tmp_path / "cohort.jsonl"
    assert main(["enrol", str(cohort), "--subjects", "3", "--api-url", API]) == 2
    assert len(read_cohort(cohort)) == 3
    assert "token-url, client-id, PMA_CLIENT_SECRET" in capsys.readouterr().err
    assert main(["enrol", str(cohort), "--local", "clinic-x"]) == 2
    assert main(["enrol", str(tmp_path / "none.jsonl"), "--local", "clinic-a"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_ctrl_c_is_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "cohort.jsonl").write_text("\n".join(map(json.dumps, example(1, NOW))) + "\n")
    with socket.create_server(("127.0.0.1", 0)) as hospital:
        address = f"http://127.0.0.1:{hospital.getsockname()[1]}"
        command = [sys.executable, "-m", "ops", "enrol", str(tmp_path / "cohort.jsonl"), "--client-id", "c"]
        with subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--api-url", address, "--token-url", f"{address}/token"],
            env={**os.environ, "PMA_CLIENT_SECRET": "s"},
            stderr=subprocess.PIPE,
            text=True,
            # What a shell starts in the background inherits that it is ignored, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process:
            hospital.settimeout(30)
            asked, _ = hospital.accept()
            process.send_signal(signal.SIGINT)
            asked.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")  # tried again it would be for long
            asked.close()
            _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "Broken off. What is done stays done; the same command goes on."
    assert "Traceback" not in said
