"""Whatever a system may send to any route: no 5xx, no status that the document does not know, no other shape (R84).

Schemathesis makes requests from docs/openapi.json, right and wrong ones, against the handler in this process. A few of
each route in CI, REQUESTS in all by `make fuzz`.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from domain.delivery import Answer
from functions.registry.handler import OPERATIONS
from functions.registry.wiring import wired
from tests.fakes import FakeBell, FakeCertificates, FakeCourier
from tests.functions.test_every_route import enrolled
from tests.in_process import InProcess, a_token, api
from tests.wsgi import application

ALL = int(os.environ.get("REQUESTS", "0"))
EXAMPLES = max(8, ALL // len(OPERATIONS))
HELD_TO = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]

document = schemathesis.openapi.from_wsgi("/openapi.json", application)
document.config.phases.coverage.enabled = bool(ALL)  # each field at each of its bounds: some thousands of requests


@pytest.fixture(scope="module", autouse=True)
def pma() -> Iterator[InProcess]:
    """The API with something of every kind, and no limit."""
    with api() as started:
        enrolled(started)
        registry = wired().registry
        registry.change_organisation(
            replace(registry.organisations(["clinic-a"])["clinic-a"], requests_per_second=1_000_000)
        )
        courier = FakeCourier(lambda _: Answer(204, 1))
        with started.wired(courier=courier, doorbell=FakeBell(), certificates=FakeCertificates()):
            yield started


@document.parametrize()
@settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
def test_r84_whatever_is_asked_the_answer_is_as_documented(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(headers={"authorization": f"Bearer {a_token()}"}, checks=HELD_TO)
