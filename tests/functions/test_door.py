"""The door of the API: who is let in how often, and what a repetition gets (R30, R83, R85)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.aws import client as aws_client
from adapters.registry import Registry
from adapters.requests import Requests
from domain.enrolment import ConsentTold, Organisation, Subject
from domain.errors import LostRace
from functions.registry.tenancy import KNOWN_FOR, Tenants
from functions.registry.wiring import wired
from ops.api_examples import EXAMPLES
from tests.builders import NOW
from tests.in_process import InProcess, api

S, E = "/v1/subjects/S-7F3A", "/v1/endpoints/mis-1"
KEY = "0d0e2b0c-7d1c-4a53-9d39-6a2f9b8d5c11"


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with api() as started:
        yield started


@pytest.fixture
def pma(running: InProcess) -> InProcess:
    running.forget()
    wired().tenants = Tenants(wired().registry.organisation_of)
    return running


def change(**changes: Any) -> None:
    """What the operator may change of clinic-a."""
    registry = wired().registry
    registry.change_organisation(replace(registry.organisations(["clinic-a"])["clinic-a"], **changes))


@pytest.fixture
def as_it_was() -> Iterator[None]:
    yield
    change(suspended_at=None, requests_per_second=50)


@pytest.mark.usefixtures("as_it_was")
def test_a_suspended_organisation_gets_no_answer_and_its_neighbour_does(pma: InProcess) -> None:
    change(suspended_at=datetime(2026, 11, 1, tzinfo=UTC))
    status, document, _ = pma.call("GET", S)
    assert (status, document["code"]) == (403, "suspended")
    assert pma.call("GET", S, client="client-b")[0] == 404


@pytest.mark.usefixtures("as_it_was")
def test_who_asks_too_often_is_told_when_to_ask_again_and_its_neighbour_is_not(pma: InProcess) -> None:
    change(requests_per_second=1)
    now = datetime(2026, 11, 25, 10, 0, 3, tzinfo=UTC)
    with pma.wired(requests=Still(aws_client("dynamodb"), "idempotency", now)):
        statuses = [pma.call("GET", S)[0] for _ in range(11)]
        status, document, headers = pma.call("GET", S)
        assert statuses == [404] * 10 + [429]
        assert (status, document["code"], headers["retry-after"]) == (429, "too-many-requests", "7")
        assert pma.call("GET", S, client="client-b")[0] == 404


class Still(Requests):
    """A count for which no time passes."""

    def __init__(self, client: Any, table: str, now: datetime) -> None:
        super().__init__(client, table)
        object.__setattr__(self, "now", now)

    def count(self, organisation: str, *, per_second: int, now: datetime) -> None:
        super().count(organisation, per_second=per_second, now=vars(self)["now"])


def test_r85_a_write_repeated_with_its_key_gets_the_same_answer_and_does_nothing(pma: InProcess) -> None:
    first = pma.call("PUT", E, EXAMPLES["put_endpoint"], idempotency_key=KEY)
    assert first[0] == 201
    pma.call("PUT", E, EXAMPLES["put_endpoint"] | {"window_seconds": 60})
    again = pma.call("PUT", E, EXAMPLES["put_endpoint"], idempotency_key=KEY)
    assert (again[0], again[1], again[2]["etag"]) == (first[0], first[1], first[2]["etag"])
    assert pma.call("GET", E)[1]["window_seconds"] == 60
    empty = [pma.call("DELETE", E, idempotency_key=KEY[::-1]) for _ in range(2)]
    assert [(one[0], one[1]) for one in empty] == [(204, None)] * 2


def test_a_secret_that_was_shown_once_is_nowhere_in_clear(pma: InProcess) -> None:
    _, made, _ = pma.call("PUT", E, EXAMPLES["put_endpoint"], idempotency_key=KEY)
    assert made["secret"] not in str(aws_client("dynamodb").scan(TableName="idempotency")["Items"])


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        (S, EXAMPLES["put_subject"] | {"language": "en"}, {}),
        ("/v1/subjects/S-0002", EXAMPLES["put_subject"], {}),
        (S, EXAMPLES["put_subject"], {"if_match": '"1"'}),
        (S, EXAMPLES["put_subject"], {"if_match": ""}),
    ],
    ids=["another body", "another path", "another version", "no version that is one"],
)
def test_a_key_of_another_request_is_refused(pma: InProcess, path: str, body: Any, headers: dict[str, str]) -> None:
    pma.call("PUT", S, EXAMPLES["put_subject"], idempotency_key=KEY)
    status, document, _ = pma.call("PUT", path, body, idempotency_key=KEY, **headers)
    assert (status, [one["field"] for one in document["field"]]) == (422, ["header:idempotency-key"])


def test_a_refused_write_may_be_put_right_under_its_key(pma: InProcess) -> None:
    assert pma.call("PUT", S, EXAMPLES["put_subject"] | {"language": "de"}, idempotency_key=KEY)[0] == 422
    assert pma.call("PUT", S, EXAMPLES["put_subject"], idempotency_key=KEY)[0] == 201


def test_r90_an_answer_of_before_brings_nobody_back_who_was_erased(pma: InProcess) -> None:
    device, plan = EXAMPLES["put_device"], EXAMPLES["put_care_plan"]
    asked = [
        ("PUT", S, EXAMPLES["put_subject"] | {"emergency_text": "Ring 112"}, 409),
        ("PUT", f"{S}/care-plan", plan, 404),
        ("PUT", f"{S}/contacts", EXAMPLES["put_contacts"], 404),
        ("PUT", "/v1/devices/BP-00017", device, 201),
        ("POST", "/v1/devices/BP-00017/assignments", EXAMPLES["post_assignment"], 422),
    ]
    for number, (method, path, body, _) in enumerate(asked):
        assert pma.call(method, path, body, idempotency_key=f"{KEY}-{number}")[0] in (201, 204)
    assert pma.call("DELETE", S, idempotency_key=KEY)[1]["state"] == "erasing"
    wired().erasures.finish("clinic-a", "S-7F3A", NOW)
    for number, (method, path, body, status) in enumerate(asked):
        answer = pma.call(method, path, body, idempotency_key=f"{KEY}-{number}")
        assert (answer[0], "Ring 112" in str(answer[1])) == (status, False), path
    assert pma.call("DELETE", S, idempotency_key=KEY)[1]["state"] == "erased", "how far it is now"


def test_r30_a_write_that_is_being_carried_out_is_not_begun_again(pma: InProcess) -> None:
    with pma.wired(registry=Busy(aws_client("dynamodb"), "registry", pma)):
        assert pma.call("PUT", S, EXAMPLES["put_subject"], idempotency_key=KEY)[0] == 201
    assert Busy.meanwhile == (409, "in-progress", "1")


class Busy(Registry):
    """A registry during whose write the same request comes once more."""

    meanwhile: tuple[int, str, str] | None = None

    def __init__(self, client: Any, table: str, pma: InProcess) -> None:
        super().__init__(client, table)
        object.__setattr__(self, "pma", pma)

    def put_subject(self, subject: Subject, told: ConsentTold | None = None) -> None:
        status, document, headers = vars(self)["pma"].call("PUT", S, EXAMPLES["put_subject"], idempotency_key=KEY)
        Busy.meanwhile = (status, document["code"], headers["retry-after"])
        super().put_subject(subject, told)


def test_what_failed_for_the_moment_is_not_the_answer_for_ever(pma: InProcess) -> None:
    class Loser(Registry):
        def put_subject(self, subject: Subject, told: ConsentTold | None = None) -> None:
            raise LostRace("as ever")

    with pma.wired(registry=Loser(aws_client("dynamodb"), "registry")):
        assert pma.call("PUT", S, EXAMPLES["put_subject"], idempotency_key=KEY)[0] == 503
    assert pma.call("PUT", S, EXAMPLES["put_subject"], idempotency_key=KEY)[0] == 201


@pytest.mark.parametrize("key", ["1", "x" * 129, "with a space in it"])
def test_a_key_that_may_be_guessed_is_refused(pma: InProcess, key: str) -> None:
    status, document, _ = pma.call("PUT", S, EXAMPLES["put_subject"], idempotency_key=key)
    assert (status, [one["field"] for one in document["field"]]) == (422, ["header:idempotency-key"])


def test_r83_a_warm_function_takes_no_client_for_anothers(running: InProcess) -> None:
    """clinic-a and clinic-b in turns, each with a subject of the same token, through one warm process."""
    running.forget()
    for client, language in (("client-a", "en"), ("client-b", "ru")):
        running.call("PUT", S, EXAMPLES["put_subject"] | {"language": language}, client=client, idempotency_key=KEY)
    for _ in range(3):
        assert [running.call("GET", S, client=f"client-{one}")[1]["language"] for one in "ab"] == ["en", "ru"]
        shown = [
            running.call(
                "PUT", S, EXAMPLES["put_subject"] | {"language": language}, client=client, idempotency_key=KEY
            )[1]["language"]
            for client, language in (("client-a", "en"), ("client-b", "ru"))
        ]
        assert shown == ["en", "ru"]


def test_what_an_organisation_may_is_asked_again_after_five_seconds() -> None:
    asked: list[str] = []
    clinics = {"client-a": Organisation("clinic-a", "A", "arn:a", NOW)}

    def look_up(client_id: str) -> Organisation | None:
        asked.append(client_id)
        return clinics.get(client_id)

    tenants = Tenants(look_up)
    assert [tenants.of("client-a", NOW + timedelta(seconds=one)) for one in (0, 4)] == [clinics["client-a"]] * 2
    assert tenants.of("client-x", NOW) is None
    assert asked == ["client-a", "client-x"]
    del clinics["client-a"]
    assert tenants.of("client-a", NOW + KNOWN_FOR) is None
    assert tenants.of("client-a", NOW + KNOWN_FOR) is None
