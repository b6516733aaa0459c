"""What export reads and writes of the others' tables: an alert's observations, and the switch of an endpoint."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.dynamodb import encode_item
from adapters.observations import Observations, to_row
from adapters.registry import ExportNotes, RegistryReader, from_endpoint, from_subject
from domain.observation import Observation
from tests.builders import NOW, ORGANISATION, SUBJECT, a_subject, an_endpoint, an_observation

TABLE = "rows"


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-central-1")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        yield client


def measured(client: Any, ago: timedelta, *, device_ago: timedelta | None = None, kind: str = "weight") -> Observation:
    """Store a reading measured `ago`, by a device whose clock shows `device_ago`."""
    device_time = NOW - (ago if device_ago is None else device_ago)
    one = an_observation(kind=kind, values={kind: Decimal(70)}, measured_at=NOW - ago, device_time=device_time)
    key = f"{ORGANISATION}#{SUBJECT}", f"{kind}#{device_time:%Y-%m-%dT%H:%M:%SZ}#{one.id}"
    client.put_item(TableName=TABLE, Item=to_row(key, one, expires_at=NOW))
    return one


class Counting:
    def __init__(self, client: Any) -> None:
        self._client = client
        self.queries = 0

    def __getattr__(self, name: str) -> Any:
        self.queries += name == "query"
        return getattr(self._client, name)


@pytest.mark.parametrize(
    ("ago", "device_ago", "queries"),
    [
        (timedelta(), None, 1),
        (timedelta(minutes=59), None, 1),
        (timedelta(hours=30), None, 2),
        (timedelta(days=200), None, 3),
        (timedelta(), timedelta(days=-300), 3),
    ],
    ids=["the one that raised", "an hour", "a day", "half a year", "a clock that was set right"],
)
def test_an_alerts_observation_is_found_wherever_its_clock_put_it(
    client: Any, ago: timedelta, device_ago: timedelta | None, queries: int
) -> None:
    one = measured(client, ago, device_ago=device_ago)
    measured(client, ago + timedelta(minutes=1))
    counting = Counting(client)
    assert Observations(counting, TABLE).find(ORGANISATION, SUBJECT, "weight", [one.id], near=NOW) == [one]
    assert counting.queries == queries


def test_several_are_found_and_a_missing_one_is_left_out(client: Any) -> None:
    found = [measured(client, ago) for ago in (timedelta(), timedelta(days=9))]
    measured(client, timedelta(), kind="temperature")
    wanted = [*(one.id for one in found), "expired"]
    assert Observations(client, TABLE).find(ORGANISATION, SUBJECT, "weight", wanted, near=NOW) == found


def test_none_are_asked_for(client: Any) -> None:
    assert Observations(client, TABLE).find(ORGANISATION, SUBJECT, "weight", [], near=NOW) == []


def test_r75_an_endpoint_is_disabled_and_a_deleted_one_stays_deleted(client: Any) -> None:
    endpoint = an_endpoint()
    client.put_item(TableName=TABLE, Item=encode_item(from_endpoint(endpoint)))
    switch = ExportNotes(client, TABLE)
    switch.disable(ORGANISATION, endpoint.id)
    switch.disable(ORGANISATION, "deleted")
    (found,) = RegistryReader(client, TABLE).endpoints(ORGANISATION)
    assert (found.id, found.state) == (endpoint.id, "disabled")


def told_to(client: Any) -> date | None:
    return RegistryReader(client, TABLE).subjects([(ORGANISATION, SUBJECT)])[ORGANISATION, SUBJECT].told_to


def test_a_week_is_noted_as_told_never_an_earlier_one_and_nobody_erased(client: Any) -> None:
    client.put_item(TableName=TABLE, Item=encode_item(from_subject(a_subject(told_to=None))))
    notes = ExportNotes(client, TABLE)
    assert told_to(client) is None
    for last, then in ((22, 22), (15, 22), (22, 22), (29, 29)):
        notes.told(ORGANISATION, SUBJECT, date(2026, 11, last))
        assert told_to(client) == date(2026, 11, then)
    notes.told(ORGANISATION, "erased", date(2026, 11, 22))
    assert not RegistryReader(client, TABLE).subjects([(ORGANISATION, "erased")])


def test_an_edit_of_a_subject_keeps_what_was_told(client: Any) -> None:
    client.put_item(TableName=TABLE, Item=encode_item(from_subject(a_subject(told_to=date(2026, 11, 22)))))
    assert told_to(client) == date(2026, 11, 22)
