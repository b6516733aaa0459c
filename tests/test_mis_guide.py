"""C39, C40, C41: docs/mis.md does what it says: every bash and python block of it is run, in order, against the API."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.delivery import Answer
from pma_client import Consent, Contact
from tests.fakes import FakeBell, FakeCourier
from tests.in_process import API, InProcess, a_token, api

BLOCKS = re.findall(
    r"^```(bash|python)\n(.*?)^```", Path("docs/mis.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
COMPLETE = 11
"""So many blocks are run: one that lost its language would be run by nobody."""


@pytest.fixture
def pma() -> Iterator[InProcess]:
    with api() as started, started.wired(courier=FakeCourier(lambda _: Answer(204, 1)), doorbell=FakeBell()):
        yield started


def curl(pma: InProcess, line: str) -> int:
    """The status that a line of curl gets."""
    words = shlex.split(line.replace("$API_URL", API).replace("$TOKEN", a_token()))
    method, headers, body, url = "GET", {}, None, ""
    options = iter(words[1:])
    for word in options:
        match word:
            case "-X":
                method = next(options)
            case "-H":
                name, _, value = next(options).partition(": ")
                headers[name] = value
            case "-d":
                body = next(options).encode()
            case _:
                url = word
    return pma.request(method, url, body=body, headers=headers).status


def test_every_block_of_the_guide_is_run(pma: InProcess) -> None:
    known = {"pma": pma.client(), "Consent": Consent, "Contact": Contact}
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, "docs/mis.md", "exec"), known)  # noqa: S102 - our own document
            continue
        for line in block.replace("\\\n", " ").splitlines():
            assert curl(pma, line) < 300, line
    assert len(BLOCKS) == COMPLETE
