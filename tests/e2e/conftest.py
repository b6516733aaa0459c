"""One embedded cloud for the whole session."""

from collections.abc import Iterator

import pytest

from local.cloud import Cloud, free_state, running_cloud

TAIL = 60
_running: list[Cloud] = []


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """The deployed stack with two organisations and a receiving MIS; a cloud of `make up` may run beside it."""
    with running_cloud(free_state("e2e"), say=lambda _: None) as cloud:
        _running.append(cloud)
        yield cloud
        _running.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failed test shows what the functions and the emulator said last: the log goes with the cloud."""
    report = yield
    if report.failed and _running:  # type: ignore[attr-defined]
        lines = _running[0].running.log.read_text(errors="replace").splitlines()[-TAIL:]
        report.sections.append(("the end of the cloud's log", "\n".join(lines)))  # type: ignore[attr-defined]
    return report
