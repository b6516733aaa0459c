"""Table decisions: what was decided on a reading is kept once, and found by the reading."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.decisions import Decisions, decision_key
from adapters.dynamodb import decode_item
from domain.alert import ENGINE_VERSION, Decision
from domain.decisions import Judged, judged
from domain.observation import Observation
from tests.builders import NOW, ORGANISATION, SUBJECT, an_observation
from tests.in_process import REGION, make_tables

WHO = (ORGANISATION, SUBJECT)


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Decisions]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        make_tables(client, ("decisions",))
        yield Decisions(client, "decisions", timedelta(days=90))


def late(reading: Observation, *, hours: int = 0) -> Judged:
    decision = Decision("sbp-crisis", "3", "idle", "idle", "late")
    return judged(reading, [decision], NOW + timedelta(hours=hours))


def items(decisions: Decisions) -> list[dict[str, Any]]:
    return [decode_item(one) for one in decisions.client.scan(TableName="decisions")["Items"]]


def test_decisions_are_found_by_their_reading(decisions: Decisions) -> None:
    reading, another = an_observation(), an_observation(id="o-2", device_time=NOW)
    decisions.keep(*WHO, [late(reading)])
    assert decisions.of([reading, another]) == {reading.id: late(reading)}
    assert decisions.of([reading])[reading.id].engine == ENGINE_VERSION


def test_r27_the_first_word_counts(decisions: Decisions) -> None:
    reading = an_observation()
    for hours in (0, 5):
        decisions.keep(*WHO, [late(reading, hours=hours)])
    assert decisions.of([reading]) == {reading.id: late(reading)}


def test_decisions_are_kept_for_as_long_as_the_stage_says(decisions: Decisions) -> None:
    reading = an_observation()
    decisions.keep(*WHO, [late(reading)])
    (item,) = items(decisions)
    assert (item["pk"], item["sk"]) == decision_key(*WHO, reading.kind, reading.device_time, reading.id)
    assert item["expires_at"] == (NOW + timedelta(days=90)).timestamp()


def test_r33_more_than_a_transaction_takes_are_more_transactions(decisions: Decisions) -> None:
    readings = [an_observation(id=f"o-{n}") for n in range(130)]
    decisions.keep(*WHO, [late(one) for one in readings])
    assert len(items(decisions)) == 130


def test_what_the_clock_decided_beside_a_reading_stays_the_clocks(decisions: Decisions) -> None:
    reading = an_observation()
    both = [
        Decision("sbp-crisis", "3", "active", "active", "same-episode"),
        Decision("dbp-crisis", "3", "confirming", "active", None, by_clock=True),
    ]
    decisions.keep(*WHO, [judged(reading, both, NOW)])
    assert decisions.of([reading])[reading.id].decisions == tuple(both)
    alone = an_observation(id="o-2")
    decisions.keep(*WHO, [judged(alone, both[1:], NOW)])
    assert decisions.of([alone])[alone.id].decisions == tuple(both[1:])


def test_the_decisions_of_a_whole_template_fit_into_a_kilobyte(decisions: Decisions) -> None:
    reading = an_observation()
    said = [Decision(f"a-rule-of-a-long-name-{n}", "hypertension@1", "idle", "idle", "persisting") for n in range(9)]
    decisions.keep(*WHO, [judged(reading, said, NOW)])
    (item,) = items(decisions)
    assert sum(len(name) + len(str(value)) for name, value in item.items()) <= 1024
