"""What the owner of an endpoint may ask of it: a trial, another secret, to be sent to again, and a replay."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.aws import client as aws_client
from adapters.deliveries import Deliveries
from adapters.registry import ExportNotes, Registry
from domain.delivery import Answer, Lane, Reference
from domain.enrolment import Endpoint
from domain.errors import LostRace
from functions.registry.wiring import clock, wired
from ops.api_examples import EXAMPLES
from tests.fakes import FakeBell, FakeCourier
from tests.in_process import InProcess, api

E = "/v1/endpoints/mis-1"
LANE = Lane("clinic-a", "mis-1", "observations-0")
REFERENCE = Reference("observation", "clinic-a#S-1", "weight#2026-11-22T08:59:00Z#o-1")


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with api() as started:
        yield started


@pytest.fixture
def pma(running: InProcess) -> InProcess:
    running.forget()
    return running


@pytest.fixture
def bell(pma: InProcess) -> Iterator[FakeBell]:
    bell = FakeBell()
    with pma.wired(doorbell=bell):
        yield bell


@pytest.fixture
def secret(pma: InProcess) -> str:
    return str(pma.call("PUT", E, EXAMPLES["put_endpoint"])[1]["secret"])


@pytest.mark.parametrize(
    "came",
    [Answer(204, 31), Answer(500, 9), Answer(None, 15_000, error="timeout")],
    ids=["received", "refused", "silent"],
)
@pytest.mark.usefixtures("secret")
def test_a_trial_says_what_came_of_it(pma: InProcess, came: Answer) -> None:
    courier = FakeCourier(lambda _: came)
    with pma.wired(courier=courier):
        status, said, _ = pma.call("POST", f"{E}/test")
    assert (status, said) == (200, {"status": came.status, "ms": came.ms, "error": came.error})
    ((parcel, document),) = courier.posted
    assert parcel.headers["pma-sequence"] == "0"
    assert (document["type"], document.get("entry", [])) == ("transaction", [])


def test_r73_a_rotated_secret_is_shown_once_and_the_one_before_signs_beside_it(pma: InProcess, secret: str) -> None:
    status, made, headers = pma.call("POST", f"{E}/rotate-secret", if_match='"1"')
    assert (status, made["version"], headers["etag"]) == (200, 2, '"2"')
    assert made["secret"] != secret
    assert "secret" not in pma.call("GET", E)[1]
    name = Registry(aws_client("dynamodb"), "registry").endpoints("clinic-a")[0].secret
    assert wired().secrets.signing(name, clock()) == [made["secret"], secret]
    assert wired().secrets.signing(name, clock() + timedelta(hours=25)) == [made["secret"]]
    assert len(aws_client("secretsmanager").list_secrets()["SecretList"]) == 1
    assert pma.call("POST", f"{E}/rotate-secret", if_match='"1"')[0] == 412


@pytest.mark.usefixtures("secret")
def test_of_two_who_rotate_at_once_each_has_a_secret_that_signs(pma: InProcess) -> None:
    class Rival(Registry):
        def put_endpoint(self, endpoint: Endpoint) -> None:
            if not met:
                met.append("")
                with pma.wired(registry=real):
                    met[0] = pma.call("POST", f"{E}/rotate-secret")[1]["secret"]
            super().put_endpoint(endpoint)

    met: list[str] = []
    real = wired().registry
    with pma.wired(registry=Rival(aws_client("dynamodb"), "registry")):
        mine = pma.call("POST", f"{E}/rotate-secret")[1]["secret"]
    name = real.endpoints("clinic-a")[0].secret
    assert wired().secrets.signing(name, clock()) == [mine, met[0]]
    assert len(aws_client("secretsmanager").list_secrets()["SecretList"]) == 1


@pytest.mark.usefixtures("secret")
def test_a_disabled_endpoint_is_enabled_and_its_lanes_are_woken(pma: InProcess, bell: FakeBell) -> None:
    ExportNotes(aws_client("dynamodb"), "registry").disable("clinic-a", "mis-1")
    status, shown, headers = pma.call("POST", f"{E}/enable")
    assert (status, shown["state"], shown["version"], headers["etag"]) == (200, "enabled", 3, '"3"')
    assert [lane.name for lane, _ in bell.rung] == ["alerts-0", "observations-0"]
    assert pma.call("POST", f"{E}/enable")[1] == shown


def sent(count: int, at: datetime) -> Deliveries:
    """The log of a lane whose first `count` numbers were received, and one more is to be sent."""
    log = Deliveries(aws_client("dynamodb"), "deliveries", days=30)
    for _ in range(count + 1):
        log.append(LANE, [REFERENCE], seen=log.progress(LANE), rung_at=at, behind=False, now=at)
    log.take(LANE, "a", now=at, until=at + timedelta(seconds=30))
    for number in range(1, count + 1):
        log.advance(LANE, "a", number)
    return log


@pytest.mark.usefixtures("secret")
def test_part_of_a_lane_goes_once_more(pma: InProcess, bell: FakeBell) -> None:
    log = sent(3, clock())
    status, document, headers = pma.call("POST", f"{E}/replay", {"shard": LANE.name, "after": 1})
    assert (status, document["code"], headers["retry-after"]) == (409, "lane-busy", "1")
    log.release(LANE, "a")
    status, shown, _ = pma.call("POST", f"{E}/replay", {"shard": LANE.name, "after": 1})
    assert (status, shown) == (202, {"shard": LANE.name, "after": 1, "to": 3})
    progress = log.progress(LANE)
    assert (progress.cursor, progress.next, progress.replayed_to) == (1, 4, 3)
    assert [lane for lane, _ in bell.rung] == [LANE]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"shard": "alerts-1"}, "/shard"), ({"after": 3}, "/after"), ({"after": -1}, "/after")],
    ids=["no such lane", "nothing was received after that", "no number"],
)
@pytest.mark.usefixtures("secret")
def test_a_replay_that_cannot_be_is_refused(pma: InProcess, change: dict[str, Any], field: str) -> None:
    status, document, _ = pma.call("POST", f"{E}/replay", {"shard": LANE.name, "after": 0} | change)
    assert (status, [one["field"] for one in document["field"]]) == (422, [field])


def test_who_keeps_losing_the_race_for_a_rotation_leaves_no_secret(pma: InProcess, secret: str) -> None:
    class Loser(Registry):
        def put_endpoint(self, endpoint: Endpoint) -> None:
            raise LostRace("as ever")

    with pma.wired(registry=Loser(aws_client("dynamodb"), "registry")):
        assert pma.call("POST", f"{E}/rotate-secret")[0] == 503
    assert len(aws_client("secretsmanager").list_secrets()["SecretList"]) == 1
