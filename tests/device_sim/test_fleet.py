"""A fleet tells of every publish what became of it."""

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from device_sim.cohort import simulate
from device_sim.errors import NotConnected
from device_sim.fleet import Fleet, Progress, Published, published
from device_sim.gateway import Broker, Identity, Topics
from device_sim.payload import Message, pack
from tests.device_sim.fake_broker import Clock, FakeBroker, no_others_topics

BROKER = Broker("broker.example", 8883, Path("ca.pem"))


def a_fleet(broker: FakeBroker, things: Iterable[str], clock: Clock, topics: Topics | None = None) -> Fleet:
    identities = [Identity(thing, Path("cert.pem"), Path("key.pem")) for thing in things]
    return Fleet(
        BROKER, identities, clock=clock, connect=broker.connect, pause=clock.pause, topics=topics, patience=0.05
    )


def test_every_reading_of_a_cohort_is_published_once_under_its_own_thing() -> None:
    clock, broker = Clock(), FakeBroker()
    cohort = simulate(6, days=1, seed=3, until=clock())
    messages = pack(cohort.readings, gather=timedelta(minutes=2))
    with a_fleet(broker, cohort.things, clock) as fleet:
        assert broker.connected == set(cohort.things)
        sent = fleet.publish(messages, rate=50)
    assert broker.connected == set()
    assert all(topic == f"dt/pma/{thing}/readings" for thing, topic, _ in broker.published)
    rows = list(published(sent))
    assert len(rows) == len(cohort.readings) == sum(len(json.loads(body)["readings"]) for *_, body in broker.published)
    said = {(reading.device, reading.kind, reading.measured_at): reading for reading in cohort.readings}
    for row in rows:
        reading = said.pop((row.device or "", row.kind or "", row.measured_at or clock.at))
        assert (row.thing, row.subject, row.values) == (reading.thing, reading.subject, reading.values)
        assert not row.repeat
    assert said == {}


def test_the_time_of_sending_is_that_of_each_message() -> None:
    clock, broker = Clock(), FakeBroker()
    cohort = simulate(1, days=2, seed=3, until=clock())
    with a_fleet(broker, cohort.things, clock) as fleet:
        sent = fleet.publish(pack(cohort.readings), rate=1)
    times = [json.loads(one.body)["sent_at"] for one in sent]
    assert len(set(times)) == len(times) > 2


def test_a_repeat_is_the_same_message_to_the_byte() -> None:
    clock, broker = Clock(), FakeBroker()
    cohort = simulate(1, days=1, seed=3, until=clock())
    message = Message("BP-0001", cohort.readings[:2], sequence=1, copies=3)
    with a_fleet(broker, ["BP-0001"], clock) as fleet:
        sent = fleet.publish([message], rate=1)
    assert len({body for *_, body in broker.published}) == 1
    assert [one.repeat for one in sent] == [False, True, True]
    assert [(row.index, row.repeat) for row in published(sent)] == [
        (0, False),
        (1, False),
        (0, True),
        (1, True),
        (0, True),
        (1, True),
    ]


def test_a_broken_message_counts_as_one_and_a_refused_one_as_none() -> None:
    clock, broker = Clock(), FakeBroker(answer=no_others_topics)
    cohort = simulate(1, days=1, seed=3, until=clock())
    messages = [Message("BP-1", body=b"{"), Message("BP-1", cohort.readings[:2], under="BP-2")]
    with a_fleet(broker, ["BP-1"], clock) as fleet:
        sent = fleet.publish(messages, rate=10)
    assert sent[0].receipt is not None
    assert sent[1].receipt is not None
    assert sent[1].receipt.refused == "not authorized"
    receipt = sent[0].receipt
    assert list(published(sent)) == [
        Published("BP-1", None, None, None, None, {}, 0, receipt.sent_at, receipt.acked_at, False, "")
    ]


def test_what_is_never_acknowledged_was_not_published() -> None:
    clock, broker = Clock(timedelta(seconds=1)), FakeBroker(silent=True)
    with a_fleet(broker, ["BP-1"], clock) as fleet:
        sent = fleet.publish([Message("BP-1", body=b"{")] * 3, rate=10)
    assert [one.receipt for one in sent] == [None, None, None]
    assert list(published(sent)) == []


@pytest.mark.parametrize("jitter", [0.0, 0.5], ids=["even", "jitter"])
def test_the_rate_is_kept(jitter: float) -> None:
    clock, broker = Clock(), FakeBroker()
    with a_fleet(broker, ["BP-1"], clock) as fleet:
        began = clock.at
        fleet.publish([Message("BP-1", body=b"{")] * 41, rate=10, jitter=jitter)
    took = (clock.at - began).total_seconds()
    assert 4 <= took <= 4 * (1 + jitter) + 0.3
    gaps = {round(pause, 2) for pause in clock.pauses[1:]}
    assert (len(gaps) > 3) is (jitter > 0)


def test_after_a_hold_up_a_fleet_does_not_make_up_for_more_than_a_second() -> None:
    clock, broker = Clock(), FakeBroker()
    begun = clock.at
    held_up: list[Progress] = []

    def hold_up(progress: Progress) -> None:
        held_up.append(progress)
        if len(held_up) == 5:
            clock.pause(60)

    with a_fleet(broker, ["BP-1"], clock) as fleet:
        fleet.publish([Message("BP-1", body=b"{")] * 105, rate=10, progress=hold_up)
    assert (clock.at - begun).total_seconds() >= 60 + 8.5


def test_progress_is_told_on_the_way() -> None:
    clock, broker = Clock(), FakeBroker(answer=no_others_topics)
    told: list[Progress] = []
    messages = [Message("BP-1", body=b"{"), Message("BP-1", body=b"{", under="BP-2")]
    with a_fleet(broker, ["BP-1"], clock) as fleet:
        fleet.publish(messages, rate=10, progress=told.append)
    assert told[:2] == [Progress(2, 1, 1, 0), Progress(2, 2, 1, 1)]
    assert told[-1] == told[1]


def test_basic_ingest_is_a_matter_of_topics() -> None:
    clock, broker = Clock(), FakeBroker()
    with a_fleet(broker, ["BP-1"], clock, Topics("pma", "pma_readings")) as fleet:
        (sent,) = fleet.publish([Message("BP-1", body=b"{")], rate=10)
    assert sent.topic == "$aws/rules/pma_readings/dt/pma/BP-1/readings"


def test_one_thing_that_cannot_connect_stops_the_fleet_cleanly() -> None:
    broker = FakeBroker(refuses="not authorized")
    with pytest.raises(NotConnected, match="BP-1 could not connect"), a_fleet(broker, ["BP-1", "BP-2"], Clock()):
        pass
    assert broker.connected == set()
