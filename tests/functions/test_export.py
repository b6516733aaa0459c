"""Export: what enters a lane, and how a lane is sent."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.alerts import to_item as alert_item
from adapters.dynamodb import encode_item
from domain import fhir
from domain.delivery import Answer, Lane, Parcel, Progress, Reference, lane, webhook_id
from domain.enrolment import Consent, Endpoint, Subject
from domain.observation import Observation
from functions.export import handler
from functions.export.service import Change, Collect, Outcome, Send
from tests.builders import (
    NOW,
    ORGANISATION,
    SERIAL,
    SUBJECT,
    a_device,
    a_subject,
    an_alert,
    an_endpoint,
    an_observation,
)
from tests.fakes import (
    FakeAlerts,
    FakeBell,
    FakeCourier,
    FakeEnrolment,
    FakeLog,
    FakeObservations,
    FakeSecrets,
)

OBSERVATIONS = Lane(ORGANISATION, "mis-1", "observations-0")
ALERTS = Lane(ORGANISATION, "mis-1", "alerts-0")
WINDOW = timedelta(seconds=10)
SOON = NOW + timedelta(seconds=60)


def a_reference(number: int = 1) -> Reference:
    return Reference("observation", f"{ORGANISATION}#{SUBJECT}", f"blood-pressure#{number}")


def a_change(number: int = 1, **changes: Any) -> Change:
    facts: dict[str, Any] = {
        "sequence": str(number),
        "content": "observations",
        "organisation": ORGANISATION,
        "subject": SUBJECT,
        "kind": "blood-pressure",
        "reference": a_reference(number),
    }
    return Change(**facts | changes)


def an_alert_change(number: int = 1) -> Change:
    return a_change(
        number,
        content="alerts",
        reference=Reference("alert", f"{ORGANISATION}#{SUBJECT}", f"alert#{number}"),
    )


class Stage:
    """Export with fakes all round; the clock stands at NOW until a test moves it."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self.now = NOW
        self.log, self.bell, self.courier = FakeLog(), FakeBell(), FakeCourier()
        self.registry = FakeEnrolment([*endpoints] or [an_endpoint()], [a_subject()], [a_device()])
        self.observations, self.alerts = FakeObservations(), FakeAlerts()
        self.collect = Collect(self.log, self.bell, self.registry, self.registry, clock=lambda: self.now)
        self.send = Send(
            self.log,
            self.bell,
            self.registry,
            self.registry,
            self.observations,
            self.alerts,
            FakeSecrets(),
            self.courier,
            clock=lambda: self.now,
            jitter=lambda: 0.0,
        )

    def store(self, one: Observation) -> Reference:
        reference = Reference("observation", f"{one.organisation}#{one.subject}", f"{one.kind}#{one.id}")
        self.observations.rows[reference.pk, reference.sk] = one
        return reference

    def append(self, *rows: list[Reference], to: Lane = OBSERVATIONS) -> None:
        for row in rows:
            self.log.append(to, row, seen=self.log.progress(to), rung_at=self.now, behind=False, now=self.now)

    def drain(self, of: Lane = OBSERVATIONS, *, deadline: datetime = SOON, owner: str = "sender") -> Outcome:
        return self.send(of, owner=owner, deadline=deadline)

    def answers(self, *statuses: int | Answer | None) -> None:
        """Give these in turn, then 204."""
        coming = iter(statuses)

        def answer(_: Parcel) -> Answer:
            status = next(coming, 204)
            return status if isinstance(status, Answer) else Answer(status, 3, error=None if status else "timeout")

        self.courier.answer = answer

    def sent(self) -> list[str]:
        return [parcel.headers["pma-sequence"] for parcel, _ in self.courier.taken]


@pytest.fixture
def stage() -> Stage:
    return Stage()


# collect


def test_a_batch_is_one_row_of_its_lane(stage: Stage) -> None:
    outcome = stage.collect([a_change(1), a_change(2), a_change(1)])
    assert outcome.to_retry == []
    assert outcome.counts["rows"] == 1
    assert stage.log.content[OBSERVATIONS][1].references == (a_reference(1), a_reference(2))


def test_a_row_holds_a_hundred_references_at_most(stage: Stage) -> None:
    stage.collect([a_change(number) for number in range(250)])
    assert [len(row.references) for row in stage.log.content[OBSERVATIONS].values()] == [100, 100, 50]


def test_alerts_ring_at_once_and_each_time(stage: Stage) -> None:
    stage.collect([an_alert_change(1)])
    stage.collect([an_alert_change(1)])
    assert stage.bell.rung == [(ALERTS, timedelta())] * 2


def test_only_the_first_row_of_a_window_rings_and_after_the_window(stage: Stage) -> None:
    for number in range(3):
        stage.collect([a_change(number)])
        stage.now += timedelta(seconds=3)
    assert stage.bell.rung == [(OBSERVATIONS, WINDOW)]
    stage.now += timedelta(seconds=3)
    stage.collect([a_change(9)])
    assert stage.bell.rung == [(OBSERVATIONS, WINDOW)] * 2
    assert stage.log.progress(OBSERVATIONS).next == 4


def test_r24_a_row_that_took_longer_than_its_window_to_write_rings_again(stage: Stage) -> None:
    class Slow(FakeLog):
        def append(self, *args: Any, **kwargs: Any) -> int:
            stage.now += timedelta(seconds=11)
            return super().append(*args, **kwargs)

    log = Slow()
    Collect(log, stage.bell, stage.registry, stage.registry, clock=lambda: stage.now)([a_change()])
    assert stage.bell.rung == [(OBSERVATIONS, WINDOW), (OBSERVATIONS, timedelta())]


class Raced(FakeLog):
    """Another collect is faster, so many times."""

    def __init__(self, races: int) -> None:
        super().__init__()
        self.races = races

    def append(self, lane: Lane, *args: Any, **kwargs: Any) -> int:
        if self.races:
            self.races -= 1
            seen = self.progress(lane)
            super().append(lane, [a_reference(99)], seen=seen, rung_at=NOW, behind=False, now=NOW)
        return super().append(lane, *args, **kwargs)


def test_a_lost_race_takes_the_next_number(stage: Stage) -> None:
    log = Raced(2)
    outcome = Collect(log, stage.bell, stage.registry, stage.registry, clock=lambda: NOW)([a_change(1)])
    assert outcome.to_retry == []
    assert [row.references for row in log.content[OBSERVATIONS].values()] == [
        (a_reference(99),),
        (a_reference(99),),
        (a_reference(1),),
    ]


def test_r22_a_lane_that_cannot_be_written_brings_back_its_own_records_alone(stage: Stage) -> None:
    outcome = Collect(Raced(5), stage.bell, stage.registry, stage.registry, clock=lambda: NOW)(
        [a_change(1), a_change(2)]
    )
    assert outcome.to_retry == ["1", "2"]
    assert outcome.counts["lost_races"] == 1


def test_each_endpoint_gets_what_it_asked_for() -> None:
    stage = Stage(
        an_endpoint(id="all"),
        an_endpoint(id="weights", kinds=("weight",)),
        an_endpoint(id="diabetes", programmes=("diabetes-type-1",)),
        an_endpoint(id="foreign", organisation="clinic-b"),
    )
    stage.collect([a_change()])
    assert {one.endpoint for one in stage.log.content} == {"all"}


def test_r75_a_disabled_endpoints_log_keeps_all() -> None:
    stage = Stage(an_endpoint(state="disabled"))
    stage.collect([a_change()])
    assert stage.log.progress(OBSERVATIONS).next == 1


@pytest.mark.parametrize(
    "consent",
    [None, Consent(given_at=NOW - timedelta(days=9), withdrawn_at=NOW - timedelta(days=1))],
    ids=["none", "withdrawn"],
)
def test_r91_nothing_is_collected_without_consent(stage: Stage, consent: Consent | None) -> None:
    stage.registry.enrolled = [a_subject(consent=consent)]
    stage.collect([a_change(), a_change(2, subject="nobody")])
    assert stage.log.content == {}


def test_a_subject_is_always_in_one_lane_of_several() -> None:
    stage = Stage(an_endpoint(shards=8))
    stage.registry.enrolled = [a_subject(id=f"S-{number}") for number in range(40)]
    stage.collect([a_change(number, subject=f"S-{number % 40}") for number in range(80)])
    assert len(stage.log.content) == 8
    for number in range(40):
        target = lane(an_endpoint(shards=8), "observations", f"S-{number}")
        assert a_reference(number) in stage.log.content[target][1].references
        assert a_reference(number + 40) in stage.log.content[target][1].references


# send


def test_a_lane_is_sent_in_order_and_the_cursor_follows(stage: Stage) -> None:
    one = stage.store(an_observation())
    stage.append([one], [one], [one])
    outcome = stage.drain()
    assert stage.sent() == ["1", "2", "3"]
    assert stage.log.progress(OBSERVATIONS).cursor == 3
    assert outcome.counts == {"received": 3, "attempts": 3}
    assert stage.bell.rung == []
    assert [one.status for one in stage.log.attempts(ORGANISATION, "mis-1")] == [204] * 3


def test_a_replay_has_the_ids_and_numbers_of_the_first_time_and_says_that_it_is_one(stage: Stage) -> None:
    for number in range(3):
        stage.append([stage.store(an_observation(id=f"o-{number}"))])
    stage.drain(OBSERVATIONS)
    stage.log.rewind(OBSERVATIONS, to=1, seen=stage.log.progress(OBSERVATIONS), now=stage.now)
    stage.append([stage.store(an_observation(id="o-new"))])
    stage.drain(OBSERVATIONS)
    said = [(parcel.headers["pma-sequence"], parcel.headers.get("pma-replay")) for parcel, _ in stage.courier.taken]
    assert said == [("1", None), ("2", None), ("3", None), ("2", "true"), ("3", "true"), ("4", None)]
    assert [parcel.id for parcel, _ in stage.courier.taken][3:5] == [webhook_id(OBSERVATIONS, n) for n in (2, 3)]


def test_more_rows_than_one_read_brings(stage: Stage) -> None:
    stage.append(*([stage.store(an_observation())] for _ in range(25)))
    stage.drain()
    assert stage.sent() == [str(number) for number in range(1, 26)]


def test_a_body_shows_what_is_true_at_the_attempt(stage: Stage) -> None:
    reference = stage.store(an_observation())
    stage.append([reference])
    stage.answers(500)
    stage.drain()
    stage.observations.rows[reference.pk, reference.sk] = an_observation(tags=frozenset({"recalled"}))
    stage.now += timedelta(seconds=5)
    stage.drain()
    first, second = (document for _, document in stage.courier.posted)
    assert "meta" not in first["entry"][1]["resource"]
    assert second["entry"][1]["resource"]["meta"]["tag"][0]["code"] == "recalled"
    assert {parcel.id for parcel, _ in stage.courier.posted} == {webhook_id(OBSERVATIONS, 1)}


def test_a_flag_travels_with_its_observations_and_their_devices(stage: Stage) -> None:
    one = an_observation()
    stage.store(one)
    alert = an_alert(observation=one.id, observations=(one.id,))
    reference = Reference("alert", f"{ORGANISATION}#{SUBJECT}", f"alert#{alert.id}")
    stage.alerts.rows[reference.pk, reference.sk] = alert
    stage.append([reference], to=ALERTS)
    stage.drain(ALERTS)
    ((_, document),) = stage.courier.taken
    assert [entry["request"]["url"] for entry in document["entry"]] == [
        f"Device/{fhir.device_id(ORGANISATION, SERIAL)}",
        f"Observation/{one.id}",
        f"Observation/{fhir.pulse_id(one.id)}",
        f"Flag/{alert.id}",
    ]


@pytest.mark.parametrize("erased", [False, True], ids=["withdrawn", "erased"])
def test_r91_who_withdrew_is_left_out_and_the_number_kept(stage: Stage, erased: bool) -> None:
    alert = an_alert()
    flag = Reference("alert", f"{ORGANISATION}#{SUBJECT}", f"alert#{alert.id}")
    stage.alerts.rows[flag.pk, flag.sk] = alert
    other = stage.store(an_observation(subject="S-2"))
    stage.append([stage.store(an_observation()), other, flag], [flag])
    withdrawn = a_subject(consent=Consent(given_at=NOW - timedelta(days=9), withdrawn_at=NOW))
    stage.registry.enrolled = [a_subject(id="S-2")] + ([] if erased else [withdrawn])
    stage.drain()
    first, second = (document for _, document in stage.courier.taken)
    tokens = {entry["resource"].get("subject", {}).get("identifier", {}).get("value") for entry in first["entry"]}
    assert tokens == {None, "S-2"}  # None is the device
    assert second == {"resourceType": "Bundle", "type": "transaction"}
    assert stage.sent() == ["1", "2"]


def test_a_row_that_expired_keeps_its_number(stage: Stage) -> None:
    one = stage.store(an_observation())
    stage.append([one], [one])
    del stage.log.content[OBSERVATIONS][1]
    stage.drain()
    assert stage.sent() == ["1", "2"]
    assert "entry" not in stage.courier.taken[0][1]


def test_a_failure_stops_the_lane_and_rings_for_the_next_try(stage: Stage) -> None:
    one = stage.store(an_observation())
    stage.append([one], [one])
    stage.answers(500)
    outcome = stage.drain()
    assert stage.sent() == []
    assert stage.bell.rung == [(OBSERVATIONS, timedelta(seconds=5))]
    assert outcome.counts == {"postponed": 1, "attempts": 1}

    assert stage.drain().counts == {"nothing_to_do": 1}  # too early: that wait has its own doorbell
    stage.now += timedelta(seconds=5)
    stage.drain()
    assert stage.sent() == ["1", "2"]
    assert stage.log.progress(OBSERVATIONS) == Progress(next=2, cursor=2, rung_at=NOW)


def test_c33_the_schedule_then_one_probe_a_minute_and_nothing_is_given_up(stage: Stage) -> None:
    stage.append([stage.store(an_observation())])
    stage.answers(*[None] * 8)
    waits = []
    for _ in range(8):
        stage.drain(deadline=stage.now + timedelta(seconds=60))
        waits.append(int(stage.bell.rung[-1][1].total_seconds()))
        stage.now += stage.bell.rung[-1][1]
    assert waits == [5, 15, 60, 120, 60, 60, 60, 60]
    suspended_at = NOW + timedelta(seconds=200)
    assert stage.log.progress(OBSERVATIONS).suspended_at == suspended_at
    assert [one.error for one in stage.log.attempts(ORGANISATION, "mis-1")] == ["timeout"] * 8
    stage.drain(deadline=stage.now + timedelta(seconds=60))
    assert stage.log.progress(OBSERVATIONS).suspended_at is None
    assert stage.sent() == ["1"]


def test_r75_retry_after_is_the_wait(stage: Stage) -> None:
    stage.append([stage.store(an_observation())])
    stage.answers(Answer(429, 3, retry_after="40"))
    stage.drain()
    assert stage.bell.rung == [(OBSERVATIONS, timedelta(seconds=40))]


def test_r75_410_disables_the_endpoint_and_keeps_the_number(stage: Stage) -> None:
    stage.append([stage.store(an_observation())])
    stage.answers(410)
    assert stage.drain().counts == {"disabled": 1, "attempts": 1}
    assert stage.registry.endpoints(ORGANISATION)[0].state == "disabled"
    assert stage.drain().counts == {"no_endpoint": 1}
    stage.registry.at = [an_endpoint()]
    stage.drain()
    assert stage.sent() == ["1"]


def test_a_doorbell_of_a_deleted_endpoint_is_dropped(stage: Stage) -> None:
    stage.registry.at = []
    assert stage.drain().counts == {"no_endpoint": 1}


def test_413_goes_again_in_parts(stage: Stage) -> None:
    stage.append(
        [
            stage.store(an_observation(values={"systolic": Decimal(n), "diastolic": Decimal(70)}))
            for n in (120, 121, 122)
        ]
    )
    whole = webhook_id(OBSERVATIONS, 1)
    stage.answers(413, 413)
    stage.drain()
    assert [parcel.id for parcel, _ in stage.courier.posted] == [
        whole,
        f"{whole}.1",
        *(f"{whole}.{n}" for n in (1, 2, 3, 4)),
    ]
    assert [parcel.headers["pma-part"] for parcel, _ in stage.courier.taken] == ["1/4", "2/4", "3/4", "4/4"]
    sizes = [len(document.get("entry", ())) for _, document in stage.courier.taken]
    assert sizes == [0, 2, 2, 2]  # each an observation and its device
    assert stage.log.progress(OBSERVATIONS).cursor == 1


def test_a_part_that_fails_brings_the_whole_number_again(stage: Stage) -> None:
    one = stage.store(an_observation())
    stage.append([one, stage.store(an_observation(subject="S-2"))])
    stage.answers(413, 204, 500)
    stage.drain()
    assert stage.bell.rung == [(OBSERVATIONS, timedelta(seconds=5))]
    assert stage.log.progress(OBSERVATIONS).cursor == 0


def test_parts_that_do_not_fit_the_time_are_left_for_the_next_sender(stage: Stage) -> None:
    stage.append([stage.store(an_observation()), stage.store(an_observation(subject="S-2"))])

    def slow(_: Parcel) -> Answer:
        stage.now += timedelta(seconds=15)
        return Answer(413 if len(stage.courier.posted) == 1 else 204, 15_000)

    stage.courier.answer = slow
    stage.drain(deadline=NOW + timedelta(seconds=40))
    assert stage.bell.rung == [(OBSERVATIONS, timedelta())]
    assert stage.log.progress(OBSERVATIONS).cursor == 0


def test_what_does_not_fit_the_time_is_rung_for(stage: Stage) -> None:
    stage.append(*([stage.store(an_observation())] for _ in range(3)))

    def slow(_: Parcel) -> Answer:
        stage.now += timedelta(seconds=14)
        return Answer(200, 14_000)

    stage.courier.answer = slow
    outcome = stage.drain(deadline=NOW + timedelta(seconds=40))
    assert stage.sent() == ["1", "2"]
    assert outcome.counts["rung_again"] == 1
    assert stage.bell.rung == [(OBSERVATIONS, timedelta())]


def test_r24_a_second_doorbell_finds_the_lane_taken_and_the_first_sender_looks_again(stage: Stage) -> None:
    one = stage.store(an_observation())
    stage.append([one])

    def meanwhile(parcel: Parcel) -> Answer:
        if parcel.headers["pma-sequence"] == "1":
            stage.append([one])
            assert stage.drain(owner="another").counts == {"nothing_to_do": 1}
        return Answer(200, 3)

    stage.courier.answer = meanwhile
    stage.drain()
    assert stage.sent() == ["1", "2"]


def test_r24_a_row_that_comes_as_the_lane_is_given_back_is_rung_for(stage: Stage) -> None:
    one = stage.store(an_observation())
    stage.append([one])

    class Late(FakeLog):
        def release(self, lane: Lane, owner: str) -> Progress:
            stage.append([one])
            return super().release(lane, owner)

    late = Late()
    late.__dict__ = stage.log.__dict__
    object.__setattr__(stage.send, "log", late)
    assert stage.drain().counts["rung_again"] == 1
    assert stage.bell.rung == [(OBSERVATIONS, timedelta())]


def test_a_lost_lease_ends_the_visit(stage: Stage) -> None:
    stage.append([stage.store(an_observation())])

    def taken_over(_: Parcel) -> Answer:
        stage.log.leases[OBSERVATIONS] = "another", SOON
        return Answer(200, 3)

    stage.courier.answer = taken_over
    assert stage.drain().counts == {"lost_leases": 1, "attempts": 1}
    assert stage.log.progress(OBSERVATIONS).cursor == 0


# consent


CONSENT = (f"{ORGANISATION}#{SUBJECT}", "consent")


def a_consent_record(**changes: Any) -> dict[str, Any]:
    """What the alerts' stream brings when a consent was withdrawn."""
    facts = {"organisation": ORGANISATION, "subject": SUBJECT, "version": 2, "programmes": ["hypertension"]}
    times = {"given_at": NOW - timedelta(days=9), "withdrawn_at": NOW, "erased_at": None}
    item = encode_item({"pk": CONSENT[0], "sk": CONSENT[1]} | facts | times | changes)
    keys = {name: item[name] for name in ("pk", "sk")}
    return {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "9", "Keys": keys, "NewImage": item}}


@pytest.mark.parametrize(
    "enrolled", [[], [a_subject(consent=None)], [a_subject()]], ids=["erased", "withdrawn", "given"]
)
def test_r91_a_consent_leaves_whatever_became_of_the_subject(stage: Stage, enrolled: list[Subject]) -> None:
    stage.registry.enrolled = enrolled
    (change,) = handler.changes({"Records": [a_consent_record()]})
    stage.collect([change])
    assert stage.log.content[ALERTS][1].references == (Reference("consent", *CONSENT),)
    stage.alerts.told[CONSENT] = change.consent or pytest.fail("no consent")
    stage.drain(ALERTS)
    ((_, document),) = stage.courier.taken
    (entry,) = document["entry"]
    assert (entry["resource"]["resourceType"], entry["resource"]["status"]) == ("Consent", "inactive")


@pytest.mark.parametrize(
    ("followed", "kinds", "told"),
    [(("*",), ("glucose",), True), (("hypertension",), ("*",), True), (("diabetes",), ("*",), False)],
    ids=["of all, whatever the kinds", "of the programme", "of another"],
)
def test_r91_whoever_follows_the_subject_is_told(followed: tuple[str, ...], kinds: tuple[str, ...], told: bool) -> None:
    stage = Stage(an_endpoint(programmes=followed, kinds=kinds))
    stage.registry.enrolled = []
    stage.collect(handler.changes({"Records": [a_consent_record()]}))
    assert (ALERTS in stage.log.content) == told


def test_r91_after_withdrawal_nothing_else_leaves(stage: Stage) -> None:
    reference = stage.store(an_observation())
    stage.append([reference])
    stage.registry.enrolled = [a_subject(consent=Consent(NOW - timedelta(days=9), withdrawn_at=NOW))]
    stage.collect([a_change(1), an_alert_change(1), *handler.changes({"Records": [a_consent_record()]})])
    stage.drain()
    ((_, document),) = stage.courier.taken
    assert "entry" not in document, "the number stays, empty"
    assert list(stage.log.content) == [OBSERVATIONS, ALERTS]


# the handlers


def record(item: dict[str, Any], name: str = "INSERT", sequence: str = "1") -> dict[str, Any]:
    encoded = encode_item(item)
    return {
        "eventName": name,
        "dynamodb": {
            "Keys": {"pk": encoded["pk"], "sk": encoded["sk"]},
            "SequenceNumber": sequence,
            **({} if name == "REMOVE" else {"NewImage": encoded}),
        },
    }


READING = {
    "pk": f"{ORGANISATION}#{SUBJECT}",
    "sk": "weight#2026-11-22T08:59:00Z#o-1",
    "organisation": ORGANISATION,
    "subject": SUBJECT,
    "kind": "weight",
    "measured_at": "2026-11-22T08:59:00+00:00",
}

MARK = {"pk": READING["pk"], "sk": f"{READING['sk']}#mark", "recall:r-1": True, "version": 1}


def test_r77_a_mark_brings_its_row_again() -> None:
    (marked,) = handler.changes({"Records": [record(MARK, "MODIFY", "8")]})
    (stored,) = handler.changes({"Records": [record(READING, "INSERT", "8")]})
    assert marked == stored


def test_a_corrected_clock_is_told_with_both_times() -> None:
    corrected = MARK | {"measured_at": "2026-11-22T09:04:00+00:00"}
    (marked,) = handler.changes({"Records": [record(corrected, "MODIFY", "8")]})
    assert [f"{at:%H:%M}" for at in marked.moments] == ["08:59", "09:04"]


@pytest.mark.parametrize(
    ("item", "event", "content"),
    [
        (READING, "INSERT", "observations"),
        (READING, "MODIFY", None),
        (MARK, "INSERT", "observations"),
        (MARK, "MODIFY", "observations"),
        (MARK, "REMOVE", None),
        (READING, "REMOVE", None),
        (alert_item(an_alert()), "INSERT", "alerts"),
        (alert_item(an_alert()), "MODIFY", "alerts"),
        (alert_item(an_alert()), "REMOVE", None),
        (READING | {"sk": "state"}, "INSERT", None),
        (READING | {"sk": "outbox#a-1#1"}, "INSERT", None),
    ],
    ids=[
        "reading",
        "racing puts",
        "its mark",
        "another mark",
        "its mark expired",
        "expired",
        "alert",
        "its next version",
        "erased",
        "state",
        "outbox",
    ],
)
def test_r44_only_readings_and_versions_of_alerts_enter_a_lane(
    item: dict[str, Any], event: str, content: str | None
) -> None:
    found = handler.changes({"Records": [record(item, event, "7")]})
    assert [(one.content, one.sequence) for one in found] == ([(content, "7")] if content else [])


def context(ms: int = 60_000) -> Any:
    return SimpleNamespace(
        function_name="export",
        memory_limit_in_mb=256,
        invoked_function_arn="arn:aws:lambda:eu-central-1:1:function:export",
        aws_request_id="request-1",
        get_remaining_time_in_millis=lambda: ms,
    )


@pytest.fixture
def in_place_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Any], None]:
    def replace_(name: Any, made: Any) -> None:
        monkeypatch.setattr(handler, name, lambda: made)

    return replace_


def test_collect_answers_with_what_is_to_come_again(stage: Stage, in_place_of: Callable[[Any, Any], None]) -> None:
    in_place_of("collector", Collect(Raced(5), stage.bell, stage.registry, stage.registry, clock=lambda: NOW))
    answer = handler.collect({"Records": [record(READING, sequence="41")]}, context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "41"}]}


def test_send_answers_each_doorbell(stage: Stage, in_place_of: Callable[[Any, Any], None]) -> None:
    stage.now = handler.clock()
    in_place_of("sender", stage.send)
    stage.append([stage.store(an_observation())])
    body = json.dumps({"organisation": ORGANISATION, "endpoint": "mis-1", "lane": "observations-0"})
    answer = handler.send({"Records": [{"messageId": "m-1", "body": body}]}, context())
    assert answer == {"batchItemFailures": []}
    assert stage.sent() == ["1"]


def test_both_functions_are_wired_from_their_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DELIVERIES_TABLE", "REGISTRY_TABLE", "OBSERVATIONS_TABLE", "ALERTS_TABLE", "DOORBELL_QUEUE"):
        monkeypatch.setenv(f"PMA_{name}", name.lower())
    monkeypatch.setenv("PMA_DELIVERY_DAYS", "30")
    monkeypatch.setenv("PMA_ALLOW_INSECURE_ENDPOINTS", "no")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    handler.collector.cache_clear()
    handler.sender.cache_clear()
    assert isinstance(handler.collector(), Collect)
    assert handler.sender().courier.allow_insecure is False  # type: ignore[attr-defined]
    handler.collector.cache_clear()
    handler.sender.cache_clear()


def test_an_error_that_is_not_a_race_is_not_swallowed(stage: Stage) -> None:
    class Broken(FakeLog):
        def progress(self, lane: Lane) -> Progress:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        Collect(Broken(), stage.bell, stage.registry, stage.registry, clock=lambda: NOW)([a_change()])
