"""The bench fits the stages that it measures: a setting or a row that one of them wants is there."""

import subprocess
import sys


def test_each_handler_runs_on_the_benchs_cases() -> None:
    """In a process of its own, since the bench sets the environment before it imports a handler."""
    code = "from bench import stages; print(stages.once())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.returncode, ran.stderr) == (0, "")
    assert int(ran.stdout) > 0
