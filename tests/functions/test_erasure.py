"""Who is erased is forgotten everywhere, at once and for good; who withdraws is left alone (P5, R90, R91)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from adapters.alerts import Alerts, to_item
from adapters.archive import Archive, opened
from adapters.aws import client as aws_client
from adapters.consent import from_record as consent_of
from adapters.consent import is_of_consent
from adapters.dynamodb import batch_put, encode_item
from adapters.environment import variable
from adapters.erasures import Tombstones, asked_for
from adapters.forgetting import Holdings, places
from adapters.observations import Observations, row_key
from adapters.quarantine import Quarantine
from adapters.registry import Registry
from domain.delivery import Reference, lane
from domain.erasure import LOOKED_IN, LOOKS, Look, read_look, write_look
from domain.fhir import bundle
from domain.identity import Identity
from domain.judgement import Kept
from domain.quarantine import SetAside as Refused
from domain.rendering import render
from functions.erase import handler
from functions.erase.service import Erase
from functions.registry.wiring import wired
from tests.adapters.test_archive import FirehoseStub
from tests.builders import NOW, ORGANISATION, an_alert, an_arrival, an_endpoint, an_observation
from tests.functions.test_registry import ASSIGNMENT, SUBJECT, D, S, enrol
from tests.in_process import TABLES, Context, InProcess, all_of, api
from tests.proof import examples

WHO = (ORGANISATION, "S-7F3A")
OTHER = (ORGANISATION, "S-2")


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with api() as started:
        yield started


@pytest.fixture
def pma(running: InProcess) -> InProcess:
    running.forget()
    return running


@dataclass
class FakeLooks:
    """adapters.erasures.Looks: the looks to come, soonest first, whatever they wait."""

    waiting: list[Look] = field(default_factory=list)

    def put(self, looks: Any) -> None:
        self.waiting += looks


def an_erase() -> Erase:
    dynamodb = aws_client("dynamodb")
    tables = {name: name for name in TABLES if name not in ("idempotency", "audit")}
    return Erase(places(dynamodb, **tables), Tombstones(dynamodb, "erasures"), FakeLooks())


def look_until_done(erase: Erase, *who: tuple[str, str]) -> list[int]:
    """How much each look found."""
    waiting = erase.looks.waiting  # type: ignore[attr-defined]
    waiting += [Look(*one) for one in who]
    found = []
    while waiting:
        found.append(sum(erase(waiting.pop(0), now=datetime.now(UTC)).values()))
        assert len(found) < 50, "it goes on for ever"
    return found


def everything_of(pma: InProcess, subject: str) -> list[tuple[str, str, str]]:
    """Every item of any table in which the subject's pseudonym stands, but for what is kept on purpose."""
    kept = {("erasures", "tombstone"), ("alerts", "consent"), ("deliveries", "row#000000000002")}
    return [
        (table, item["pk"]["S"], item["sk"]["S"])
        for table in TABLES
        for item in all_of(table)
        if f'"{subject}"' in json.dumps(item).replace("#", '"') and (table, item["sk"]["S"]) not in kept
    ]


def refused(subject: str, number: int) -> Refused:
    return Refused(
        id=f"{number}1111111-0000-8000-8000-{subject[2:]:0>12}",
        organisation=ORGANISATION,
        reason="implausible",
        detail="",
        thing="BP-1",
        device="BP-1",
        topic="dt/pma/BP-1/readings",
        received_at=NOW,
        payload=b"{}",
        subject=subject,
    )


def live(pma: InProcess, subject: str = "S-7F3A", device: str = D, *, made: bool = False) -> None:
    """Something of the subject in every table."""
    dynamodb, who = aws_client("dynamodb"), (ORGANISATION, subject)
    if not made:
        enrol(pma)
    rows = [an_observation(subject=subject, measured_at=NOW - timedelta(minutes=n)) for n in range(30)]
    keys = [row_key(Identity(*who, one.kind, one.device_time, one.id)) for one in rows]
    Observations(dynamodb, "observations").put(zip(keys, rows, strict=True))
    Observations(dynamodb, "observations").add_path(keys[0], "PHONE-1", NOW)
    batch_put(
        dynamodb, "alerts", [to_item(an_alert(subject=subject)), {"pk": "#".join(who), "sk": "state", "version": 1}]
    )
    batch_put(dynamodb, "decisions", [{"pk": "#".join(who), "sk": "blood-pressure#2026-11-22T09:00:00Z#o-1"}])
    Quarantine(dynamodb, "quarantine").put(refused(subject, number) for number in range(3))
    endpoint = an_endpoint(organisation=ORGANISATION)
    if wired().registry.endpoint(ORGANISATION, endpoint.id) is None:
        wired().registry.put_endpoint(endpoint)
    refs = [{"type": "observation", "pk": "#".join(one), "sk": "blood-pressure#x"} for one in (who, OTHER)]
    target = lane(endpoint, "observations", subject)
    row = {"pk": f"{ORGANISATION}#{endpoint.id}#{target.name}", "sk": f"row#{1:012d}", "refs": refs}
    consent = [{"type": "consent", "pk": "#".join(who), "sk": "consent"}]
    batch_put(dynamodb, "deliveries", [row, row | {"sk": f"row#{2:012d}", "refs": consent}])


def test_r90_an_erasure_takes_effect_at_once_and_says_when_no_copy_is_left(pma: InProcess) -> None:
    enrol(pma)
    status, erasure, _ = pma.call("DELETE", S)
    assert (status, erasure["state"], erasure["finished_at"], erasure["found"]) == (202, "erasing", None, {})
    erased_at, complete_at = (datetime.fromisoformat(erasure[name]) for name in ("erased_at", "complete_at"))
    assert complete_at - erased_at == timedelta(days=35)
    assert erasure["looked_in"] == list(LOOKED_IN)
    assert pma.call("GET", S)[0] == 404
    assert pma.call("GET", f"{S}/observations")[0] == 404
    assert wired().registry.subject(*WHO) is None


def test_r90_asked_again_an_erasure_tells_how_far_it_is(pma: InProcess) -> None:
    live(pma)
    first = pma.call("DELETE", S)[1]
    look_until_done(an_erase(), WHO)
    status, again, _ = pma.call("DELETE", S)
    assert (status, again["state"], again["erased_at"]) == (202, "erased", first["erased_at"])
    assert again["found"] == {
        "registry": 2, "devices": 1, "contacts": 1, "observations": 31, "alerts": 3, "decisions": 1, "quarantine": 3,
        "deliveries": 1,
    }  # fmt: skip
    finished_at = datetime.fromisoformat(again["finished_at"])
    assert datetime.fromisoformat(again["complete_at"]) == finished_at + timedelta(days=35)


def test_r90_nothing_of_the_erased_is_left_and_all_of_the_others(pma: InProcess) -> None:
    live(pma)
    pma.call("PUT", "/v1/subjects/S-2", SUBJECT)
    earlier = {"subject": "S-2", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
    pma.call("POST", f"{D}/assignments", ASSIGNMENT | earlier)
    live(pma, "S-2", made=True)
    others = everything_of(pma, "S-2")
    pma.call("DELETE", S)
    look_until_done(an_erase(), WHO)
    assert everything_of(pma, "S-7F3A") == []
    assert everything_of(pma, "S-2") == others
    assert [one["subject"] for one in pma.call("GET", D)[1]["assignments"]] == ["S-2"]


def test_r90_an_erased_pseudonym_cannot_be_enrolled_again_by_accident(pma: InProcess) -> None:
    enrol(pma)
    pma.call("DELETE", S)
    status, document, _ = pma.call("PUT", S, SUBJECT)
    assert (status, document["code"]) == (409, "subject-erased")
    assert pma.call("PUT", S, SUBJECT, client="client-b")[0] == 201, "another organisation's is another person"


def test_r90_what_was_enrolled_while_it_was_erased_loses(pma: InProcess) -> None:
    """The tombstone is a condition of the enrolment itself, not only looked for before it."""
    enrol(pma)
    subject = wired().registry.subject(*WHO)
    assert subject is not None
    wired().erasures.begin(subject, NOW)

    class Blind(type(wired().erasures)):  # type: ignore[misc]
        def get(self, organisation: str, subject: str) -> None:
            return None

    here = wired().erasures
    with pma.wired(erasures=Blind(here.client, here.table, here.registry, here.alerts)):
        assert pma.call("PUT", S, SUBJECT)[0] == 503


def test_r90_from_the_first_moment_of_an_erasure_nothing_is_judged(pma: InProcess) -> None:
    enrol(pma)
    subject = wired().registry.subject(*WHO)
    assert subject is not None
    assert wired().episodes.read([WHO])[WHO].subject is not None
    wired().erasures.begin(subject, NOW)
    assert wired().episodes.read([WHO])[WHO].subject is None


@pytest.mark.parametrize(("path", "client", "status"), [("/v1/subjects/S-NONE", "client-a", 404), (S, "client-b", 404)])
def test_r81_nobody_erases_what_is_not_theirs(pma: InProcess, path: str, client: str, status: int) -> None:
    enrol(pma)
    assert pma.call("DELETE", path, client=client)[0] == status
    assert pma.call("GET", S)[0] == 200


def test_r86_an_erasure_may_name_the_version_that_it_means(pma: InProcess) -> None:
    enrol(pma)
    assert pma.call("DELETE", S, if_match='"7"')[0] == 412
    assert pma.call("DELETE", S, if_match='"1"')[0] == 202


def test_r90_an_erasure_that_was_broken_off_is_done_by_the_next_look(pma: InProcess) -> None:
    live(pma)
    pma.call("DELETE", S)
    erase = an_erase()

    class Broken:
        def erase(self, organisation: str, subject: str, *, most: int) -> int:
            raise RuntimeError("half-way")

    half = Erase(dict(list(erase.places.items())[:4]) | {"broken": Broken()}, erase.tombstones, FakeLooks())
    with pytest.raises(RuntimeError):
        half(Look(*WHO), now=NOW)
    assert everything_of(pma, "S-7F3A") != []
    look_until_done(erase, WHO)
    assert everything_of(pma, "S-7F3A") == []


def test_r90_what_comes_late_is_found_by_a_later_look(pma: InProcess) -> None:
    enrol(pma)
    pma.call("DELETE", S)
    erase, late = an_erase(), iter([0, 1, 0, 1])

    class Late:
        def erase(self, organisation: str, subject: str, *, most: int) -> int:
            return next(late, 0)

    slow = Erase({"late": Late()}, erase.tombstones, FakeLooks())
    assert look_until_done(slow, WHO) == [0, 1, 0, 1, 0], "the last look is done again until it finds nothing"
    assert [wait.total_seconds() for wait in LOOKS] == [0, 60, 300, 900]
    tombstone = erase.tombstones.get(*WHO)
    assert tombstone is not None
    assert (dict(tombstone.found), tombstone.finished_at is not None) == ({"late": 2}, True)


def test_r90_a_place_with_more_than_a_look_can_take_is_looked_through_again_at_once(
    pma: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(pma)
    pma.call("DELETE", S)
    monkeypatch.setattr("functions.erase.service.MOST", 10)
    found = look_until_done(an_erase(), WHO)
    assert len(found) == 3 + len(LOOKS)
    assert everything_of(pma, "S-7F3A") == []


def test_without_a_tombstone_nothing_is_deleted(pma: InProcess) -> None:
    live(pma)
    before = everything_of(pma, "S-7F3A")
    assert look_until_done(an_erase(), WHO) == [0]
    assert everything_of(pma, "S-7F3A") == before


def test_a_device_that_somebody_else_writes_meanwhile_is_found_again(pma: InProcess) -> None:
    enrol(pma)
    pma.call("DELETE", S)
    registry = wired().registry

    class Raced(Registry):
        def device(self, organisation: str, serial: str) -> Any:
            found = super().device(organisation, serial)
            assert found is not None
            pma.call("PUT", D, {"profile": "tonometer", "class": "medical", "lot": f"L{found.version}"})
            return found

    assert Holdings(Raced(registry.client, registry.table)).erase(*WHO, most=5) == 1
    assert len(pma.call("GET", D)[1]["assignments"]) == 1
    assert Holdings(registry).erase(*WHO, most=5) == 1
    assert Holdings(registry).erase(*WHO, most=5) == 0
    assert pma.call("GET", D)[1]["assignments"] == []


# the handler


def a_record(**images: Any) -> dict[str, Any]:
    return {"eventSource": "aws:dynamodb", "dynamodb": {name: encode_item(image) for name, image in images.items()}}


TOMB = {"pk": "clinic-a#S-7F3A", "sk": "tombstone", "erased_at": NOW}


@pytest.mark.parametrize(
    ("record", "looks"),
    [
        (a_record(NewImage=TOMB), [Look(*WHO)]),
        (a_record(OldImage=TOMB, NewImage=TOMB | {"found:alerts": 3}), []),
        (a_record(OldImage=TOMB, NewImage=TOMB | {"again": 1}), [Look(*WHO)]),
        (a_record(OldImage=TOMB), []),
    ],
    ids=["new", "what was found", "asked again", "gone"],
)
def test_a_record_of_a_tombstone_asks_for_a_look(record: dict[str, Any], looks: list[Look]) -> None:
    assert list(asked_for(record)) == looks


def test_the_stream_brings_looks_and_looks_bring_more(pma: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    sqs = aws_client("sqs")
    queue = sqs.create_queue(QueueName="looks")["QueueUrl"]
    for name, value in {f"{name}_table": name for name in TABLES}.items() | {("looks_queue", queue)}:
        monkeypatch.setenv(variable(name), value)
    live(pma)
    pma.call("DELETE", S)
    handler.wired.cache_clear()
    assert handler.handle({"Records": [a_record(NewImage=TOMB)]}, Context()) == {"batchItemFailures": []}
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert read_look(message["Body"]) == Look(*WHO)
    handler.handle({"Records": [{"eventSource": "aws:sqs", "body": message["Body"]}]}, Context())
    handler.wired.cache_clear()
    assert everything_of(pma, "S-7F3A") == []
    assert read_look(write_look(Look(*WHO, number=2))) == Look(*WHO, number=2)


# what hospitals are told


def told(pma: InProcess) -> dict[str, Any] | None:
    """What the stream of alerts brings of the subject's consent, as a hospital sees it."""
    key = encode_item({"pk": "clinic-a#S-7F3A", "sk": "consent"})
    item = aws_client("dynamodb").get_item(TableName="alerts", Key=key).get("Item")
    if item is None:
        return None
    (entry,) = bundle([], [], {}, [], [consent_of({"dynamodb": {"NewImage": item}})[1]])["entry"]
    resource: dict[str, Any] = entry["resource"]
    return resource


def test_r91_consent_is_told_when_it_is_given_withdrawn_and_erased(pma: InProcess) -> None:
    given = SUBJECT["consent"]["given_at"]
    assert pma.call("PUT", S, SUBJECT | {"consent": None})[0] == 201
    assert told(pma) is None
    pma.call("PUT", S, SUBJECT)
    first = told(pma)
    assert first is not None
    assert (first["status"], first["provision"]["period"]) == ("active", {"start": given})
    withdrawn = {"given_at": given, "withdrawn_at": "2026-11-20T09:00:00+04:00"}
    pma.call("PUT", S, SUBJECT | {"consent": withdrawn})
    second = told(pma)
    assert second is not None
    assert (second["status"], second["provision"]["period"]["end"]) == ("inactive", withdrawn["withdrawn_at"])
    pma.call("DELETE", S)
    third = told(pma)
    assert third is not None
    assert third["status"] == "inactive"
    assert [one["url"] for one in third["extension"]] == ["urn:pma:extension:version", "urn:pma:extension:erased-at"]
    assert first["id"] == second["id"] == third["id"]
    versions = [one["extension"][0]["valueInteger"] for one in (first, second, third)]
    assert versions == sorted(set(versions))


def test_r91_a_consent_that_is_taken_back_without_a_date_ends_now(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    pma.call("PUT", S, SUBJECT | {"consent": None})
    ended = told(pma)
    assert ended is not None
    assert (ended["status"], set(ended["provision"]["period"])) == ("inactive", {"start", "end"})


def test_r91_a_change_that_is_none_of_consent_tells_nothing(pma: InProcess) -> None:
    pma.call("PUT", S, SUBJECT)
    before = told(pma)
    pma.call("PUT", S, SUBJECT | {"language": "en"})
    assert told(pma) == before


def test_r91_the_consent_of_somebody_erased_is_still_rendered_and_nothing_else(pma: InProcess) -> None:
    live(pma)
    rows = Observations(aws_client("dynamodb"), "observations").recent(*WHO).items
    pma.call("DELETE", S)
    references = [Reference("observation", *rows[0][0]), Reference("consent", "clinic-a#S-7F3A", "consent")]
    alerts = Alerts(aws_client("dynamodb"), "alerts")
    made = render(references, registry=wired().registry, observations=wired().observations, alerts=alerts)
    shown = [one["resource"]["resourceType"] for one in made["entry"]]
    assert shown == ["Consent"]


def consent_row() -> dict[str, Any]:
    key = encode_item({"pk": "clinic-a#S-7F3A", "sk": "consent"})
    return dict(aws_client("dynamodb").get_item(TableName="alerts", Key=key)["Item"])


def test_r90_what_stays_of_a_consent_says_that_it_ended_and_nothing_of_an_illness(pma: InProcess) -> None:
    live(pma)
    pma.call("DELETE", S)
    before = consent_row()
    assert before["programmes"]["L"], "whom to tell depends on them"
    look_until_done(an_erase(), WHO)
    after, shown = consent_row(), told(pma)
    assert after == before | {"programmes": {"L": []}}
    assert shown is not None
    assert shown["status"] == "inactive"
    keys = {"pk": after["pk"], "sk": after["sk"]}
    records = [{"NewImage": before}, {"OldImage": before, "NewImage": after}, {"OldImage": after}]
    assert [is_of_consent({"dynamodb": one | {"Keys": keys}}) for one in records] == [True, False, False]


def test_r90_a_consent_that_a_restore_brought_back_ends_again_and_is_told_again(pma: InProcess) -> None:
    live(pma)
    given = consent_row()
    pma.call("DELETE", S)
    aws_client("dynamodb").put_item(TableName="alerts", Item=given)
    shown = told(pma)
    assert shown is not None
    assert shown["status"] == "active"
    look_until_done(an_erase(), WHO)
    after, shown = consent_row(), told(pma)
    assert shown is not None
    assert (shown["status"], shown["extension"][1]["url"]) == ("inactive", "urn:pma:extension:erased-at")
    assert (int(after["version"]["N"]), after["programmes"]) == (int(given["version"]["N"]) + 1, {"L": []})


# the archive, and a restore


def test_r90_after_erasure_the_archive_says_nothing_of_the_erased(pma: InProcess) -> None:
    enrol(pma)
    pma.call("PUT", "/v1/subjects/S-2", SUBJECT)
    lines = archived(WHO, OTHER)
    assert [one is not None for one in read(lines)] == [True, True]
    pma.call("DELETE", S)
    assert [one is not None for one in read(lines)] == [False, True]


def archived(*who: tuple[str, str]) -> list[bytes]:
    firehose = FirehoseStub()
    keys = [wired().registry.subjects([one])[one].data_key for one in who]
    assert all(keys)
    Archive(firehose, "archive", wired().keys).put([(ORGANISATION, Kept(an_arrival(), key)) for key in keys])
    return firehose.lines


def read(lines: list[bytes]) -> list[Any]:
    return [arrival for _, arrival in opened(lines, wired().keys)]


SUBJECTS = ("S-001", "S-002", "S-003")


class Restores(RuleBasedStateMachine):
    """Enrol, live, erase, copy, restore: after a restore's own look, the erased are nowhere (R90)."""

    pma: InProcess

    @initialize()
    def begin(self) -> None:
        self.pma.forget()
        self.erase = an_erase()
        self.copy: dict[str, list[dict[str, Any]]] | None = None
        self.erased: set[str] = set()
        self.lines: dict[str, list[bytes]] = {}

    @rule(subject=st.sampled_from(SUBJECTS))
    def enrols(self, subject: str) -> None:
        status, _, _ = self.pma.call("PUT", f"/v1/subjects/{subject}", SUBJECT)
        assert (status == 409) == (subject in self.erased)

    @rule(subject=st.sampled_from(SUBJECTS))
    def lives(self, subject: str) -> None:
        if wired().registry.subject(ORGANISATION, subject) is not None:
            live(self.pma, subject, made=True)
            self.lines[subject] = archived((ORGANISATION, subject))

    @rule(subject=st.sampled_from(SUBJECTS), looks=st.booleans())
    def erases(self, subject: str, looks: bool) -> None:
        status, _, _ = self.pma.call("DELETE", f"/v1/subjects/{subject}")
        if status == 202:
            self.erased.add(subject)
            if looks:
                look_until_done(self.erase, (ORGANISATION, subject))

    @rule()
    def copies(self) -> None:
        """A point-in-time copy of every table but the tombstones'."""
        dynamodb = aws_client("dynamodb")
        self.copy = {name: dynamodb.scan(TableName=name)["Items"] for name in TABLES if name != "erasures"}

    @precondition(lambda self: self.copy)
    @rule()
    def restores(self) -> None:
        dynamodb = aws_client("dynamodb")
        for name, items in (self.copy or {}).items():
            for item in all_of(name):
                dynamodb.delete_item(TableName=name, Key={"pk": item["pk"], "sk": item["sk"]})
            for item in items:
                dynamodb.put_item(TableName=name, Item=item)
        asked = Tombstones(dynamodb, "erasures").ask_again()
        assert asked == len(self.erased)
        look_until_done(self.erase, *((ORGANISATION, one) for one in self.erased))
        self.looked = True

    @invariant()
    def the_erased_stay_erased(self) -> None:
        for subject in self.erased:
            assert wired().registry.subject(ORGANISATION, subject) is None
            assert read(self.lines.get(subject, [])) in ([], [None])

    def teardown(self) -> None:
        """Whatever happened last, the looks that follow find it."""
        look_until_done(self.erase, *((ORGANISATION, one) for one in self.erased))
        for subject in self.erased:
            assert everything_of(self.pma, subject) == []


def test_r90_erase_restore_replay_still_erased(pma: InProcess) -> None:
    machine = type("Machine", (Restores,), {"pma": pma})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(8), stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
