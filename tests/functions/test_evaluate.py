"""Evaluate: a batch of the stream into episodes and alerts, each subject by itself."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from adapters.alerts import Alerts, alert_key
from adapters.aws import client as aws_client
from adapters.care_plans import CarePlans
from adapters.decisions import Decisions
from adapters.dynamodb import Item, decode_item, encode_item
from adapters.environment import variable
from adapters.observations import to_row
from adapters.programmes import programmes
from adapters.registry import ATTENDED, Registry, from_device, from_subject, norm_key
from domain.alert import (
    CARE_PLAN,
    BatteryTold,
    ConsentWithdrawn,
    Event,
    Monitored,
    PlanChanged,
    Recalled,
    Snooze,
    State,
)
from domain.care_plan import PlanVersion
from domain.enrolment import Consent, Subject
from domain.observation import Observation
from domain.reading import Status
from functions.evaluate import handler
from functions.evaluate.service import Change, Outcome, evaluate
from tests.builders import (
    NOW,
    ORGANISATION,
    SERIAL,
    SUBJECT,
    a_device,
    a_plan_version,
    a_rule,
    a_subject,
    an_observation,
    attended,
)
from tests.fakes import FakeEpisodes
from tests.in_process import REGION, Context, environment, make_tables

WHO = (ORGANISATION, SUBJECT)
OTHER = (ORGANISATION, "S-OTHER")
MINUTE = timedelta(minutes=1)
HIGH = a_rule(id="high", severity="warning", when={"at_or_above": {"value": 135, "unit": "mm[Hg]"}})


def monitored(subject: Subject | None = None, *plans: PlanVersion) -> Monitored:
    return Monitored(attended(subject or a_subject()), plans or (a_plan_version(),), State(), 0)


def a_pressure(systolic: int, minute: float = 0, subject: str = SUBJECT, **changes: Any) -> Observation:
    at = NOW + (minute - 30) * MINUTE
    values = {"systolic": Decimal(systolic), "diastolic": Decimal(70)}
    return an_observation(**{"values": values, "subject": subject, "measured_at": at, "received_at": at} | changes)


def inserted(*readings: Observation) -> list[Change]:
    def reader(one: Observation) -> Callable[[], Observation]:
        return lambda: one

    return [Change(str(n), (one.organisation, one.subject), reader(one)) for n, one in enumerate(readings)]


def run(episodes: FakeEpisodes, rows: Sequence[Change], now: datetime = NOW) -> Outcome:
    return evaluate(rows, episodes=episodes, programmes=programmes(), now=now)


def test_a_breach_becomes_an_alert_and_an_order_to_tell() -> None:
    episodes = FakeEpisodes({WHO: monitored()})
    outcome = run(episodes, inserted(a_pressure(190)))
    assert [(one.rule, one.tell) for one in episodes.notices] == [("sbp-crisis", ("patient", "doctor"))]
    assert dict(outcome.counts) == {"readings": 1, "told": 1, "alerts": 1, "notices": 1}
    assert (outcome.to_retry, outcome.failures) == ([], [])


def test_where_nothing_changes_nothing_is_written() -> None:
    episodes = FakeEpisodes({WHO: monitored()})
    outcome = run(episodes, inserted(*(a_pressure(120, minute) for minute in range(10))))
    assert (episodes.writes, episodes.reads) == ([], 1)
    assert outcome.counts == {"readings": 10}


def test_all_of_a_subjects_readings_are_one_write() -> None:
    episodes = FakeEpisodes({WHO: monitored()})
    run(episodes, inserted(a_pressure(190, 1), a_pressure(120, 2), a_pressure(195, 3)))
    assert len(episodes.writes) == 1
    assert [one.state for one in episodes.alerts.values()] == ["resolved", "active"]
    assert len(episodes.notices) == 2


def test_r33_more_alerts_than_a_transaction_takes_are_more_writes() -> None:
    episodes = FakeEpisodes({WHO: monitored()})
    outcome = run(episodes, inserted(*(a_pressure(190 if n % 2 else 120, n / 10) for n in range(200))))
    assert len(episodes.notices) == 100
    assert max(episodes.writes) <= 41
    assert outcome.counts["notices"] == 100
    assert episodes.known[WHO].version == len(episodes.writes)


def test_a_repeated_batch_changes_nothing() -> None:
    episodes = FakeEpisodes({WHO: monitored()})
    rows = inserted(a_pressure(190, 1), a_pressure(120, 2), a_pressure(195, 3))
    run(episodes, rows)
    run(episodes, rows)
    assert (len(episodes.writes), len(episodes.notices)) == (1, 2)


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        (a_subject(consent=None), "no-consent"),
        (a_subject(consent=Consent(NOW - 60 * MINUTE, withdrawn_at=NOW)), "no-consent"),
        (a_subject(consent=Consent(NOW)), "no-consent"),
        (a_subject(programmes=()), "no-plan"),
    ],
    ids=["none given", "R91 withdrawn", "given later", "no programme and no plan"],
)
def test_what_may_not_be_judged_is_not(subject: Subject, why: str) -> None:
    episodes = FakeEpisodes({WHO: Monitored(attended(subject), (), State(), 0)})
    outcome = run(episodes, inserted(a_pressure(250)))
    assert (episodes.writes, outcome.counts[why]) == ([], 1)


def test_r90_a_reading_of_somebody_who_was_erased_is_not_judged_and_leaves_nothing() -> None:
    """A stream that was held up brings it when the last look for the erased may be over."""
    episodes = FakeEpisodes()
    assert run(episodes, inserted(a_pressure(250))).counts["no-consent"] == 1
    assert (episodes.judged, episodes.writes) == ({}, [])


def test_r46_each_reading_is_judged_by_the_plan_of_its_time() -> None:
    early = a_plan_version()
    late = a_plan_version(HIGH, version=2, effective_from=(NOW - 15 * MINUTE).isoformat())
    episodes = FakeEpisodes({WHO: monitored(None, early, late)})
    run(episodes, inserted(a_pressure(140, 10), a_pressure(140, 20)))
    assert [(one.rule, one.plan_version) for one in episodes.notices] == [("high", "2")]


def test_a_subject_without_a_plan_is_judged_by_its_programme() -> None:
    episodes = FakeEpisodes({WHO: Monitored(attended(a_subject()), (), State(), 0)})
    run(episodes, inserted(a_pressure(190)))
    assert [one.plan_version for one in episodes.notices] == ["hypertension@1"]


def test_r45_a_plan_that_does_not_read_is_told_and_templates_judge() -> None:
    broken = PlanVersion(3, "doc-12", NOW - 99 * MINUTE, NOW, "{}")
    episodes = FakeEpisodes({WHO: monitored(None, broken)})
    run(episodes, inserted(a_pressure(190)))
    assert {(one.rule, one.plan_version) for one in episodes.notices} == {
        (CARE_PLAN, "3"),
        ("systolic-crisis", "hypertension@1"),
    }


def test_r50_who_loses_a_race_reads_again_and_both_are_heard() -> None:
    episodes = FakeEpisodes({WHO: monitored()})
    episodes.rivals = [lambda: run(episodes, inserted(a_pressure(195, 2)))]
    outcome = run(episodes, inserted(a_pressure(190, 1)))
    assert outcome.to_retry == []
    assert len(episodes.notices) == 1
    assert len(episodes.alerts) == 1


def test_who_loses_every_race_is_retried_from_its_first_reading() -> None:
    episodes = FakeEpisodes({WHO: monitored(), OTHER: monitored(a_subject(id="S-OTHER"))})

    def rival() -> None:
        here = episodes.known[WHO]
        episodes.known[WHO] = Monitored(here.subject, here.plans, here.state, here.version + 1)

    episodes.rivals = [rival] * 5
    outcome = run(episodes, inserted(a_pressure(190, 1), a_pressure(191, 2), a_pressure(190, 1, subject="S-OTHER")))
    assert (outcome.to_retry, outcome.failures) == (["0"], ["LostRace"])
    assert [one.subject for one in episodes.notices] == ["S-OTHER"]


def poison() -> Observation:
    raise KeyError("measured_at")


def test_r39_a_row_that_cannot_be_read_stops_its_subject_alone() -> None:
    episodes = FakeEpisodes({WHO: monitored(), OTHER: monitored(a_subject(id="S-OTHER"))})
    rows = inserted(a_pressure(190, 1), a_pressure(190, 1, subject="S-OTHER"))
    outcome = run(episodes, [Change("before", WHO, rows[0].read), Change("poison", WHO, poison), rows[1]])
    assert (outcome.to_retry, outcome.failures) == (["before"], ["KeyError"])
    assert [one.subject for one in episodes.notices] == ["S-OTHER"]


class OnePoisoned(FakeEpisodes):
    """Reading WHO fails, alone or with others."""

    def read(self, subjects: Any) -> dict[tuple[str, str], Monitored]:
        wanted = list(subjects)
        if WHO in wanted:
            raise ValueError("state of format 9")
        return super().read(wanted)


def test_r39_a_subject_stored_so_that_it_cannot_be_read_stops_alone() -> None:
    episodes = OnePoisoned({OTHER: monitored(a_subject(id="S-OTHER"))})
    outcome = run(episodes, inserted(a_pressure(190, 1), a_pressure(190, 1, subject="S-OTHER")))
    assert (outcome.to_retry, outcome.failures) == (["0"], ["ValueError"])
    assert [one.subject for one in episodes.notices] == ["S-OTHER"]


@settings(deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2]), max_size=12), st.sets(st.sampled_from([0, 1, 2])))
def test_r22_exactly_the_subjects_that_fail_are_retried_from_their_first(whose: list[int], bad: set[int]) -> None:
    names = [f"S-{n}" for n in range(3)]
    episodes = FakeEpisodes({(ORGANISATION, name): monitored(a_subject(id=name)) for name in names})
    rows = [
        Change(
            str(at),
            (ORGANISATION, names[n]),
            poison if n in bad else inserted(a_pressure(190, at, subject=names[n]))[0].read,
        )
        for at, n in enumerate(whose)
    ]
    expected = {str(whose.index(n)) for n in bad if n in whose}
    assert set(run(episodes, rows).to_retry) == expected
    assert {one.subject for one in episodes.notices} == {names[n] for n in whose if n not in bad}


# what is no reading


def happened(*events: Event) -> list[Change]:
    return [
        Change(str(n), (one.organisation, one.subject), partial(lambda one: one, one)) for n, one in enumerate(events)
    ]


def with_an_alert(**changes: Any) -> FakeEpisodes:
    episodes = FakeEpisodes({WHO: monitored()})
    run(episodes, inserted(a_pressure(190)))
    known = episodes.known[WHO]
    episodes.known[WHO] = known._replace(**changes)
    return episodes


def outcomes(episodes: FakeEpisodes) -> list[str | None]:
    return [one.outcome for one in episodes.alerts.values()]


WITHDRAWN = a_subject(consent=Consent(NOW - 60 * MINUTE, withdrawn_at=NOW))


@pytest.mark.parametrize(
    ("changes", "events", "outcome"),
    [
        ({"plans": (a_plan_version(HIGH),)}, [PlanChanged(*WHO)], "withdrawn"),
        ({}, [PlanChanged(*WHO)], None),
        ({"subject": WITHDRAWN}, [ConsentWithdrawn(*WHO)], "withdrawn"),
        ({"subject": WITHDRAWN}, [a_pressure(195, 1)], "withdrawn"),
        ({"subject": None}, [ConsentWithdrawn(*WHO)], "withdrawn"),
        ({}, [ConsentWithdrawn(*WHO)], None),
        ({}, [Recalled(*WHO, frozenset({a_pressure(190).id}))], "withdrawn"),
        ({}, [Recalled(*WHO, frozenset({"another"}))], None),
    ],
    ids=[
        "R46 its rule is gone",
        "R46 its rule stands",
        "R91 consent withdrawn",
        "R91 a reading after that",
        "erased",
        "consent given again meanwhile",
        "P8 recalled",
        "P8 another recalled",
    ],
)
def test_an_alert_ends_with_what_it_rested_on(
    changes: dict[str, Any], events: list[Event], outcome: str | None
) -> None:
    episodes = with_an_alert(**changes)
    for _ in range(2):
        run(episodes, happened(*events))
    assert outcomes(episodes) == [outcome]
    assert (len(episodes.writes), len(episodes.notices)) == (2 if outcome else 1, 1)


def test_c3_a_snooze_that_was_written_is_what_the_next_batch_reads() -> None:
    episodes = with_an_alert()
    (alert,) = episodes.alerts.values()
    run(episodes, happened(Snooze(*WHO, alert.id, alert.version, "doc-12", NOW + 60 * MINUTE, "seen")))
    outcome = run(episodes, inserted(a_pressure(120, 5), a_pressure(195, 10)))
    assert outcome.counts["snoozed"] == 1
    assert [one.rule for one in episodes.notices] == ["sbp-crisis"]


def test_r51_folding_again_what_is_stored_finds_what_was_lost() -> None:
    readings = [a_pressure(systolic, n) for n, systolic in enumerate((120, 190, 191, 120, 195, 120, 188))]
    episodes = FakeEpisodes({WHO: monitored()})
    for one in readings:
        run(episodes, inserted(one), one.received_at)
    lost = FakeEpisodes({WHO: monitored()})
    for one in readings[:2] + readings[3:4]:
        run(lost, inserted(one), one.received_at)
    assert lost.known[WHO].state != episodes.known[WHO].state
    swept = FakeEpisodes({WHO: monitored()})
    for one in readings:
        run(swept, inserted(one), one.received_at)
    assert (swept.known[WHO].state, swept.alerts) == (episodes.known[WHO].state, episodes.alerts)
    assert {*lost.alerts} < {*swept.alerts}


def test_r45_a_plan_that_does_not_read_is_told_before_any_reading() -> None:
    episodes = FakeEpisodes({WHO: monitored(None, PlanVersion(3, "doc-12", NOW - 99 * MINUTE, NOW, "{}"))})
    run(episodes, happened(PlanChanged(*WHO)))
    assert [(one.rule, one.plan_version) for one in episodes.notices] == [(CARE_PLAN, "3")]


# decisions


def whys(episodes: FakeEpisodes, reading: Observation) -> list[str | None]:
    return [one.why for one in episodes.judged[reading.id].decisions]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"flags": ("movement",)}, "artefact"),
        ({"tags": frozenset({"recalled"})}, "recalled"),
        ({"measured_at": NOW - timedelta(hours=7)}, "late"),
    ],
    ids=["told", "artefact", "recalled", "late"],
)
def test_f7_what_told_or_silenced_something_is_kept(changes: dict[str, Any], why: str | None) -> None:
    episodes = FakeEpisodes({WHO: monitored()})
    run(episodes, inserted(reading := a_pressure(190, **changes)))
    assert whys(episodes, reading) == [why]
    assert episodes.judged[reading.id].judged_at == NOW


def test_f7_what_says_nothing_new_is_not_kept() -> None:
    episodes = FakeEpisodes({WHO: monitored()})
    readings = [a_pressure(120, 1), a_pressure(190, 2), a_pressure(191, 3)]
    run(episodes, inserted(*readings))
    assert [*episodes.judged] == [readings[1].id]


def test_p5_that_consent_was_missing_is_kept() -> None:
    episodes = FakeEpisodes({WHO: monitored(a_subject(consent=None))})
    run(episodes, inserted(reading := a_pressure(190)))
    assert whys(episodes, reading) == ["no-consent"]


def test_r33_more_decisions_than_a_transaction_takes_are_more_writes() -> None:
    episodes = FakeEpisodes({WHO: monitored()})
    run(episodes, inserted(*(a_pressure(190, n / 10, flags=("movement",)) for n in range(200))))
    assert (len(episodes.judged), episodes.writes) == (200, [])


def test_r27_a_reading_that_is_judged_again_keeps_its_first_decision() -> None:
    episodes = FakeEpisodes({WHO: monitored()})
    for now in (NOW, NOW + timedelta(days=1)):
        run(episodes, inserted(reading := a_pressure(190)), now)
    assert whys(episodes, reading) == [None]


# the handler, over tables in memory


def of_the_registry(
    after: dict[str, Any] | None, before: dict[str, Any] | None = None, number: int = 7
) -> dict[str, Any]:
    images = {name: encode_item(one) for name, one in (("OldImage", before), ("NewImage", after)) if one is not None}
    image = next(iter(images.values()))
    keys = {part: image[part] for part in ("pk", "sk")}
    return {"eventName": "MODIFY", "dynamodb": {"Keys": keys, "SequenceNumber": str(number)} | images}


def a_held_device(battery: int | None) -> dict[str, Any]:
    status = None if battery is None else Status(NOW, battery=Decimal(battery))
    return from_device(a_device(status=status))


def a_mark(one: Observation, **said: Any) -> dict[str, Any]:
    return {"pk": f"{one.organisation}#{one.subject}", "sk": f"{one.kind}#2026-11-22T08:59:00Z#{one.id}#mark"} | said


def a_norm(subject: Subject | None = None, **more: Any) -> Item:
    pk, sk = norm_key(*WHO)
    row = from_subject(subject or a_subject())
    return {"pk": pk, "sk": sk} | {name: row[name] for name in ATTENDED} | more


BEFORE, RECALL = {"version": 1, "path:BP-2": NOW.isoformat()}, {"version": 2, "recall:r-1": True}
UNDONE = RECALL | {"recall:r-1": False}
IN_ERROR, TAKEN_BACK = ({"version": 2, "entered_in_error": said} for said in (True, False))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (of_the_registry(a_norm(newest=1), a_norm()), [PlanChanged(*WHO)]),
        (of_the_registry(a_norm()), [PlanChanged(*WHO)]),
        (of_the_registry(from_subject(a_subject(told_to=NOW.date())), from_subject(a_subject())), []),
        (of_the_registry(a_norm(WITHDRAWN)), [ConsentWithdrawn(*WHO)]),
        (of_the_registry(a_norm(a_subject(consent=None))), [ConsentWithdrawn(*WHO)]),
        (of_the_registry(None, a_norm()), [ConsentWithdrawn(*WHO)]),
        (of_the_registry({"pk": "clinic-a#endpoints", "sk": "mis-1"}), []),
        (of_the_registry(a_held_device(9), a_held_device(80)), [BatteryTold(*WHO, SERIAL, Decimal(9))]),
        (of_the_registry(a_held_device(9)), [BatteryTold(*WHO, SERIAL, Decimal(9))]),
        (of_the_registry(a_held_device(9), a_held_device(9)), []),
        (of_the_registry(a_held_device(None), a_held_device(None)), []),
        (of_the_registry(None, a_held_device(9)), []),
        (of_the_registry(a_mark(a_pressure(190), **RECALL)), [Recalled(*WHO, frozenset({a_pressure(190).id}))]),
        (of_the_registry(a_mark(a_pressure(190), **BEFORE | RECALL), a_mark(a_pressure(190), **BEFORE)), [
            Recalled(*WHO, frozenset({a_pressure(190).id}))
        ]),
        (of_the_registry(a_mark(a_pressure(190), **RECALL), a_mark(a_pressure(190), **RECALL)), []),
        (of_the_registry(a_mark(a_pressure(190), **UNDONE), a_mark(a_pressure(190), **RECALL)), []),
        (of_the_registry(a_mark(a_pressure(190), **IN_ERROR)), [Recalled(*WHO, frozenset({a_pressure(190).id}))]),
        (of_the_registry(a_mark(a_pressure(190), **IN_ERROR | BEFORE), a_mark(a_pressure(190), **IN_ERROR)), []),
        (of_the_registry(a_mark(a_pressure(190), **TAKEN_BACK), a_mark(a_pressure(190), **IN_ERROR)), []),
        (of_the_registry(a_mark(a_pressure(190), **BEFORE)), []),
        (of_the_registry(a_mark(a_pressure(190), version=1, measured_at=NOW.isoformat())), []),
    ],
    ids=[
        "R46 a plan", "a subject", "a week was told", "R91 consent withdrawn", "R91 none given", "erased",
        "an endpoint",
        "a battery", "a first battery", "the same battery", "none", "a device that is gone", "P8 a recall",
        "P8 beside another mark",
        "P8 the same recall", "P8 a recall undone", "R77 entered in error", "R77 said before, and another path",
        "R77 taken back", "C24 another path", "F14 a clock told later",
    ],
)  # fmt: skip
def test_r43_what_the_streams_say_reaches_whom_it_concerns(record: dict[str, Any], expected: list[Event]) -> None:
    brought = handler.changes({"Records": [record]}, NOW)
    assert [(one.who, one.sequence, one.read()) for one in brought] == [(WHO, "7", event) for event in expected]


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    settings_ = {variable(f"{name}_table"): name for name in ("alerts", "registry", "decisions")}
    settings_[variable("decision_days")] = "90"
    credentials = {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t"}
    with environment(settings_ | credentials), mock_aws():
        handler.wired.cache_clear()
        client = boto3.client("dynamodb", region_name=REGION)
        make_tables(client, ("registry", "alerts", "decisions"))
        Registry(client, "registry").put_subject(a_subject())
        CarePlans(client, "registry").put(*WHO, a_plan_version())
        yield client
        handler.wired.cache_clear()
    aws_client.cache_clear()


def records(*readings: Observation, name: str = "INSERT") -> dict[str, Any]:
    def record(number: int, one: Observation) -> dict[str, Any]:
        key = f"{one.organisation}#{one.subject}", f"{one.kind}#2026-11-22T08:59:00Z#{one.id}"
        image = to_row(key, one, expires_at=NOW)
        keys = {part: image[part] for part in ("pk", "sk")}
        return {"eventName": name, "dynamodb": {"Keys": keys, "NewImage": image, "SequenceNumber": str(number)}}

    return {"Records": [record(number, one) for number, one in enumerate(readings)]}


def test_a_stream_record_becomes_a_stored_alert(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "clock", lambda: NOW)
    event = records(a_pressure(120, 1), a_pressure(190, 2))
    assert handler.handle(event, Context()) == {"batchItemFailures": []}
    items = dynamodb.scan(TableName="alerts")["Items"]
    assert sorted(item["sk"]["S"].partition("#")[0] for item in items) == ["alert", "outbox", "state"]
    name = next(decode_item(item)["id"] for item in items if item["sk"]["S"].startswith("alert#"))
    (alert,) = Alerts(dynamodb, "alerts").get([alert_key(*WHO, name)]).values()
    assert (alert.rule, alert.state, alert.observation) == ("sbp-crisis", "active", a_pressure(190, 2).id)
    kept = Decisions(dynamodb, "decisions").of([a_pressure(120, 1), a_pressure(190, 2)])
    assert [(one.observation, one.decisions[0].after, one.decisions[0].why) for one in kept.values()] == [
        (a_pressure(190, 2).id, "active", None)
    ]


@pytest.mark.parametrize("name", ["MODIFY", "REMOVE"])
def test_r44_only_a_new_row_is_judged(dynamodb: Any, name: str) -> None:
    handler.handle(records(a_pressure(190), name=name), Context())
    assert dynamodb.scan(TableName="alerts")["Items"] == []


def test_a_row_that_cannot_be_read_is_handed_back(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(handler, "clock", lambda: NOW)
    event = records(a_pressure(190, 1), a_pressure(190, 2, subject="S-OTHER"))
    del event["Records"][1]["dynamodb"]["NewImage"]["measured_at"]
    assert handler.handle(event, Context()) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    (logged,) = (vars(record) for record in caplog.records if record.name == handler.logger.name)
    assert logged["failures"] == ["KeyError"]
    assert not any(secret in repr(logged) for secret in (SUBJECT, "S-OTHER"))


@pytest.mark.parametrize(("systolic", "lines"), [(120, 0), (190, 1)], ids=["within limits", "a breach"])
def test_a_line_is_logged_of_a_batch_that_brought_news(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, systolic: int, lines: int
) -> None:
    monkeypatch.setattr(handler, "clock", lambda: NOW)
    handler.handle(records(a_pressure(systolic)), Context())
    assert len([one for one in caplog.records if one.name == handler.logger.name]) == lines


def test_the_clock_is_aware() -> None:
    assert handler.clock().tzinfo is not None
