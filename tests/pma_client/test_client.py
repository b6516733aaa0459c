"""The client against the real API in this process, and against an API that is not well."""

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import urllib3

from adapters.observations import row_key
from domain.identity import Identity, deterministic_id
from domain.quarantine import SetAside
from functions.evaluate.service import Change, evaluate
from functions.registry.handler import OPERATIONS
from functions.registry.wiring import wired
from pma_client import (
    Alert,
    Busy,
    Client,
    Conflict,
    Consent,
    Contact,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    Quantity,
    Stale,
    Unauthorised,
    Unreachable,
)
from tests.builders import NOW, an_observation
from tests.fakes import FakeBell, FakeCourier
from tests.in_process import API, TOKEN_URL, Answered, InProcess, api

START = datetime(2026, 11, 1, tzinfo=UTC)
TOPIC = [Contact(channel="topic")]
PLAN: dict[str, Any] = {"author": "doc-12", "effective_from": "2026-11-01T00:00:00+04:00", "rules": []}


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with api() as started:
        yield started


@pytest.fixture
def pma(running: InProcess) -> Client:
    running.forget()
    return running.client()


def a_subject(pma: Client, subject: str = "S-7F3A", **changes: Any) -> Any:
    facts: dict[str, Any] = {
        "programmes": ["hypertension"],
        "time_zone": "Europe/Samara",
        "language": "ru",
        "consent": Consent(given_at=START),
    }
    return pma.put_subject(subject, **facts | changes)


def test_a_hospital_enrols_and_reads_back(pma: Client) -> None:
    assert a_subject(pma).missing == ("contacts", "device", "care-plan")
    pma.put_contacts("S-7F3A", patient=[Contact(channel="sms", address="+15005550001")], doctor=TOPIC)
    assert pma.put_device("BP-00017", profile="tonometer", device_class="medical").version == 1
    assignment = pma.assign("BP-00017", "S-7F3A", from_at=START)
    assert pma.assign("BP-00017", "S-7F3A", from_at=START) == assignment
    assert pma.device("BP-00017").assignments == (assignment,)
    assert pma.put_care_plan("S-7F3A", PLAN).version == 1
    assert pma.care_plan("S-7F3A").plan == PLAN
    assert [one.version for one in pma.care_plan_versions("S-7F3A")] == [1]
    subject = pma.subject("S-7F3A")
    assert (subject.missing, subject.consent) == ((), Consent(given_at=START))
    assert pma.end_assignment("BP-00017", assignment.id, to_at=START + timedelta(days=1)).to_at is not None


def test_an_endpoints_secret_comes_with_the_answer_that_made_it(pma: Client) -> None:
    made = pma.put_endpoint("mis-1", url="https://mis.example/pma")
    assert made.secret is not None
    assert made.secret not in repr(made)
    assert pma.put_endpoint("mis-1", url="https://mis.example/pma").secret is None
    assert pma.endpoint("mis-1").url == "https://mis.example/pma"
    assert list(pma.deliveries("mis-1", shard="alerts-0")) == []
    assert list(pma.attempts("mis-1")) == []
    pma.delete_endpoint("mis-1")
    with pytest.raises(NotFound):
        pma.endpoint("mis-1")


def test_the_owner_of_an_endpoint_may_do_all_there_is(running: InProcess, pma: Client) -> None:
    pma.put_endpoint("mis-1", url="https://mis.example/pma")
    with running.wired(courier=FakeCourier(), doorbell=FakeBell()):
        assert pma.try_endpoint("mis-1").status == 204
        rotated = pma.rotate_secret("mis-1", if_match=1)
        assert (rotated.version, rotated.secret is None) == (2, False)
        assert pma.enable_endpoint("mis-1").state == "enabled"
        with pytest.raises(Invalid):
            pma.replay("mis-1", shard="alerts-0", after=0)
        with pytest.raises(Stale):
            pma.rotate_secret("mis-1", if_match=1)


def test_the_duty_centre_works_through_its_queue(pma: Client) -> None:
    a_subject(pma)
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    crisis = an_observation(measured_at=at, device_time=at, received_at=at, values={"systolic": Decimal(190)})
    change = Change("1", (crisis.organisation, crisis.subject), lambda: crisis)
    evaluate([change], episodes=wired().episodes, programmes=wired().programmes, now=at)
    (alert,) = pma.queue(severity="critical")
    taken = pma.acknowledge(alert, actor="doc-12")
    until = at + timedelta(hours=1)
    snoozed = pma.snooze(taken, until=until, actor="doc-12", reason="new cuff comes")
    assert (taken.acknowledged["actor"], snoozed.snoozed_until) == ("doc-12", until)
    assert pma.resolve(snoozed, actor="doc-12", reason="spoke with the patient").state == "resolved"
    with pytest.raises(Conflict):
        pma.resolve(snoozed, actor="doc-12", reason="spoke with the patient")


def test_a_subject_is_erased(pma: Client) -> None:
    made = a_subject(pma)
    erasure = pma.erase_subject("S-7F3A", if_match=made.version)
    assert (erasure.subject, erasure.state, erasure.finished_at) == ("S-7F3A", "erasing", None)
    assert pma.erase_subject("S-7F3A") == erasure
    assert [(one.operation, one.outcome) for one in pma.audit()][:2] == [
        ("delete_subject", "202"), ("delete_subject", "asked"),
    ]  # fmt: skip


def test_f19_days_on_which_something_was_sent_are_counted_of_whom_consent_covers(pma: Client) -> None:
    a_subject(pma)
    a_subject(pma, "S-0002", consent=None)
    a_subject(pma, "S-0003")
    for hours in (1, 2, 30):
        at = NOW - timedelta(hours=hours)
        one = an_observation(measured_at=at, device_time=at, received_at=at, id=f"o-{hours}")
        wired().observations.put([(row_key(Identity(one.organisation, one.subject, one.kind, at, one.id)), one)])
    found = {one.subject: one.days for one in pma.days_transmitted(until=NOW)}
    assert found == {"S-7F3A": 2, "S-0003": 0}
    assert {one.days for one in pma.days_transmitted()} <= {0, 2}


def test_who_still_lacks_something_is_listed(pma: Client) -> None:
    for number in range(3):
        a_subject(pma, f"S-000{number}")
    pma.put_contacts("S-0001", patient=TOPIC, doctor=TOPIC)
    pma.put_care_plan("S-0001", PLAN)
    pma.put_device("BP-1", profile="tonometer", device_class="medical")
    pma.assign("BP-1", "S-0001", from_at=START)
    assert [one.id for one in pma.subjects()] == ["S-0000", "S-0001", "S-0002"]
    assert [one.id for one in pma.subjects(incomplete=True)] == ["S-0000", "S-0002"]


SAMPLES: dict[str, Any] = {
    "alert": Alert.model_construct(id="a-1", version=1),
    "until": START, "from_at": START, "to_at": START, "if_match": 1, "after": 0, "days": 1, "slot": 1,
    "consent": None, "patient": TOPIC, "doctor": TOPIC, "duty": [], "head": [], "plan": {}, "roster": [],
    "programmes": [], "kinds": [], "incomplete": True, "window_seconds": 1, "shards": 1, "serials": ("A-1", "A-2"),
}  # fmt: skip
"""An argument for each parameter that is no text."""


def test_the_client_has_a_method_for_every_route_there_is() -> None:
    http = Unwell([Answered(404)] * 100)
    pma = client(http)
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if name.startswith("_") or name == "close":
            continue
        parameters = list(inspect.signature(method).parameters)[1:]
        arguments = {one: SAMPLES.get(one, "x-1") for one in parameters}
        with pytest.raises(NotFound):
            list(getattr(pma, name)(**arguments))
    asked = {(method, path.partition("?")[0]) for method, path, _ in http.asked}
    served = {
        (one.method, one.path)
        for one in OPERATIONS
        if any(method == one.method and one.address.fullmatch(path) for method, path in asked)
    }
    assert {(one.method, one.path) for one in OPERATIONS} - served == set()


def test_lists_are_read_page_by_page(pma: Client) -> None:
    a_subject(pma)
    for minutes in range(5):
        at = NOW - timedelta(minutes=minutes)
        one = an_observation(measured_at=at, device_time=at)
        wired().observations.put([(row_key(Identity(one.organisation, one.subject, one.kind, at, one.id)), one)])
    seen = list(pma.observations("S-7F3A", kind="blood-pressure", from_at=NOW - timedelta(minutes=3), to_at=NOW))
    assert [one.measured_at.minute for one in seen] == [59, 58, 57]
    assert seen[0].values["systolic"] == Quantity(value=Decimal(122), unit="mm[Hg]")
    assert list(pma.alerts("S-7F3A")) == []
    wired().quarantine.put(
        [
            SetAside(
                id=deterministic_id(str(number)), organisation="clinic-a", reason="malformed", detail="not JSON",
                thing="BP-00017", device=None, topic="dt/pma/BP-00017/readings",
                received_at=NOW - timedelta(minutes=number), payload=b"\xff",
            )
            for number in range(60)
        ]
    )  # fmt: skip
    found = list(pma.quarantine())
    assert len({one.id for one in found}) == 60
    assert found[0].payload == b"\xff"


def test_a_plan_is_tried_and_every_reading_has_its_why(pma: Client) -> None:
    a_subject(pma)
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    crisis = an_observation(measured_at=at, device_time=at, received_at=at, values={"systolic": Decimal(190)})
    key = row_key(Identity(crisis.organisation, crisis.subject, crisis.kind, at, crisis.id))
    wired().observations.put([(key, crisis)])
    found = pma.try_care_plan("S-7F3A", PLAN, days=7)
    assert (found.alerts, found.readings, found.current.alerts) == (len(found.episodes), 1, 1)
    (decided,) = pma.decisions("S-7F3A", kind="blood-pressure", from_at=at, to_at=at + timedelta(minutes=1))
    assert (decided.observation, decided.kept) == (crisis.id, False)
    assert {one.rule for one in decided.rules} >= {"systolic-crisis", "systolic-low"}
    pressure, days = pma.summary("S-7F3A")
    assert (pressure.kind, pressure.count, pressure.values, pressure.period["to"]) == ("mean-pressure", 0, {}, at)
    assert days.values == {"days": Quantity(value=Decimal(1), unit="d")}


def test_problems_are_errors_with_their_fields(running: InProcess, pma: Client) -> None:
    with pytest.raises(Invalid) as invalid:
        a_subject(pma, language="de")
    assert invalid.value.faults == (Fault("/language", "Input should be 'en' or 'ru'"),)
    assert "/language" in str(invalid.value)
    made = a_subject(pma)
    with pytest.raises(Stale):
        a_subject(pma, language="en", if_match=made.version + 1)
    pma.put_device("BP-1", profile="tonometer", device_class="medical")
    with pytest.raises(Conflict) as taken:
        running.client("client-b").put_device("BP-1", profile="tonometer", device_class="medical")
    assert taken.value.code == "serial-taken"
    with pytest.raises(NotFound):
        running.client("client-b").subject("S-7F3A")
    with pytest.raises(Unauthorised):
        running.client("client-x").subject("S-7F3A")
    reader = InProcess(scopes="pma/read").client()
    with pytest.raises(Forbidden):
        reader.subject("S-7F3A")


@dataclass
class Unwell:
    """Answers with `script`, then well; every request is remembered."""

    script: list[Answered | urllib3.exceptions.HTTPError] = field(default_factory=list)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    tokens: int = 0
    lasts: int = 3600

    def request(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]) -> Answered:
        if url == TOKEN_URL:
            self.tokens += 1
            return Answered(200, json.dumps({"access_token": f"t{self.tokens}", "expires_in": self.lasts}).encode())
        self.asked.append((method, url.removeprefix(API), headers.get("authorization")))
        self.keys.append(headers.get("idempotency-key"))
        if self.script:
            answer = self.script.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return Answered(204)


def client(http: Any, pauses: list[float] | None = None, **more: Any) -> Client:
    return Client(API + "/", TOKEN_URL, "id", "secret", http=http, pause=(pauses or []).append, **more)


def test_what_is_refused_for_the_moment_is_tried_again_as_it_asks() -> None:
    pauses: list[float] = []
    http = Unwell([
        Answered(503),
        Answered(429, headers={"retry-after": "7"}),
        Answered(429, headers={"retry-after": "3600"}),
        Answered(502, headers={"retry-after": "soon"}),
        urllib3.exceptions.ProtocolError("reset"),
    ])  # fmt: skip
    Client(API, TOKEN_URL, "id", "secret", http=http, pause=pauses.append).delete_endpoint("mis-1")
    assert len(http.asked) == 6
    assert pauses[1] == 7
    assert pauses[2] == 20, "it does not wait for an hour"
    assert pauses[0] < pauses[3] < pauses[4] < 20


def test_r85_all_tries_of_a_write_bear_one_key_and_the_next_write_another() -> None:
    http = Unwell(
        [Answered(503), urllib3.exceptions.ProtocolError("reset"), Answered(409, headers={"retry-after": "1"})]
    )
    pma = client(http)
    pma.delete_endpoint("mis-1")
    pma.delete_endpoint("mis-1")
    assert len(http.keys) == 5
    assert len(set(http.keys)) == 2
    with pytest.raises(Conflict):
        client(Unwell([Answered(409)])).delete_endpoint("mis-1")


def test_in_the_end_it_gives_up_and_says_why() -> None:
    with pytest.raises(Busy) as busy:
        client(Unwell([Answered(503, b"<html>")] * 6)).delete_endpoint("mis-1")
    assert (busy.value.status, busy.value.code) == (503, "no-document")
    with pytest.raises(Unreachable):
        client(Unwell([urllib3.exceptions.ProtocolError("reset")] * 6)).delete_endpoint("mis-1")
    with pytest.raises(Problem) as other:
        client(Unwell([Answered(413, b'{"code": "too-much", "title": "t", "field": []}')])).delete_endpoint("mis-1")
    assert (other.value.status, other.value.code) == (413, "too-much")


def test_a_token_is_used_until_shortly_before_its_end() -> None:
    clock = [0.0]
    http = Unwell(lasts=600)
    pma = client(http, clock=lambda: clock[0])
    for at in (0, 500, 539, 541):
        clock[0] = at
        pma.delete_endpoint("mis-1")
    assert [authorization for _, _, authorization in http.asked] == ["Bearer t1", "Bearer t1", "Bearer t1", "Bearer t2"]


def test_a_refused_token_is_renewed_once() -> None:
    http = Unwell([Answered(401)])
    client(http).delete_endpoint("mis-1")
    assert http.tokens == 2
    with pytest.raises(Unauthorised):
        client(Unwell([Answered(401), Answered(401)])).delete_endpoint("mis-1")


def test_names_are_safe_in_a_path() -> None:
    http = Unwell()
    client(http).delete_endpoint("a/../b?c")
    assert http.asked[0][1] == "/v1/endpoints/a%2F..%2Fb%3Fc"


def test_an_unknown_client_is_unauthorised() -> None:
    class Pool:
        def request(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]) -> Answered:
            return Answered(400, b'{"error": "invalid_client"}')

    with pytest.raises(Unauthorised):
        client(Pool()).delete_endpoint("mis-1")


def test_without_anything_given_it_opens_and_closes_connections_of_its_own() -> None:
    nowhere = Client("http://127.0.0.1:9", "http://127.0.0.1:9/token", "id", "secret", pause=lambda _: None)
    with nowhere as pma, pytest.raises(Unreachable):
        pma.delete_endpoint("mis-1")
    client(Unwell()).close()
