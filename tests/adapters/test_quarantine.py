"""What was set aside is found by its id, or newest first: the table and its fake keep the same promises."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import boto3
import pytest
from moto import mock_aws

from adapters.quarantine import Quarantine
from domain.errors import InvalidRequest
from domain.identity import deterministic_id
from domain.quarantine import SetAside
from tests.builders import NOW, ORGANISATION, SERIAL
from tests.fakes import FakeQuarantine
from tests.in_process import make_tables

TABLE = "quarantine"

Rows: TypeAlias = Quarantine | FakeQuarantine


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-central-1")
        make_tables(client, (TABLE,))
        yield client


@pytest.fixture
def table(client: Any) -> Quarantine:
    return Quarantine(client, TABLE)


@pytest.fixture(params=["table", "fake"])
def rows(request: pytest.FixtureRequest, client: Any) -> Rows:
    return Quarantine(client, TABLE) if request.param == "table" else FakeQuarantine()


def one_aside(number: int = 1, *, received_at: datetime = NOW, **changes: Any) -> SetAside:
    facts: dict[str, Any] = {
        "id": deterministic_id("aside", str(number)),
        "organisation": ORGANISATION,
        "reason": "implausible",
        "detail": "systolic is outside 50 to 280 mm[Hg]",
        "thing": SERIAL,
        "device": SERIAL,
        "topic": f"dt/pma/{SERIAL}/readings",
        "received_at": received_at,
        "payload": b"\xff\x00{",
    }
    return SetAside(**facts | changes)


UNREAD = one_aside(2, reason="no-consent", payload=None, device_time="2026-11-22T12:59", kind="weight", sha256="0" * 64)


class TestPromises:
    @pytest.mark.parametrize(
        "one",
        [one_aside(), one_aside(device=None), one_aside(profile="tonometer"), UNREAD],
        ids=["bytes", "no device", "of a model", "unread"],
    )
    def test_what_was_put_is_read_back_whole(self, rows: Rows, one: SetAside) -> None:
        rows.put([one])
        assert rows.get(ORGANISATION, one.id) == one

    def test_r81_another_organisations_is_not_found(self, rows: Rows) -> None:
        rows.put([one_aside()])
        assert rows.get("clinic-b", one_aside().id) is None
        assert rows.get(ORGANISATION, UNREAD.id) is None

    def test_only_what_was_set_aside_is_present(self, rows: Rows) -> None:
        rows.put([one_aside()])
        assert rows.present([one_aside(), UNREAD]) == {one_aside().id}
        assert rows.present([]) == set()

    def test_all_that_a_thing_carried_the_oldest_first(self, rows: Rows) -> None:
        mine = [one_aside(number, received_at=NOW + timedelta(minutes=number)) for number in range(3)]
        rows.put([*reversed(mine), one_aside(7, thing="PHONE-2"), one_aside(8, organisation="clinic-b")])
        assert list(rows.carried_by(ORGANISATION, SERIAL)) == mine
        assert list(rows.carried_by("clinic-b", "PHONE-2")) == []

    def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(self, rows: Rows) -> None:
        rows.put([one_aside(), UNREAD])
        for _ in range(2):
            rows.remove([(ORGANISATION, one_aside().id)])
        assert rows.present([one_aside(), UNREAD]) == {UNREAD.id}


def test_the_newest_come_first_and_page_by_page(table: Quarantine) -> None:
    asides = [one_aside(number, received_at=NOW - timedelta(milliseconds=number)) for number in range(40)]
    table.put([*asides, one_aside(99, organisation="clinic-b")])
    seen: list[SetAside] = []
    cursor = None
    sizes = []
    while True:
        page = table.newest(ORGANISATION, cursor=cursor, limit=15)
        seen += page.items
        sizes.append(len(page.items))
        cursor = page.next
        if cursor is None:
            break
    assert seen == asides
    assert sizes == [15, 15, 10]


def test_f22_a_page_is_full_of_what_was_asked_for(table: Quarantine) -> None:
    """The filter comes before the limit: what is rare is found behind what is common."""
    common = [one_aside(number, received_at=NOW - timedelta(seconds=number)) for number in range(30)]
    rare = [
        one_aside(number, received_at=NOW - timedelta(hours=number), reason="future", profile="scale")
        for number in range(100, 105)
    ]
    table.put([*common, *rare])
    first = table.newest(ORGANISATION, reason="future", profile="scale", limit=3)
    rest = table.newest(ORGANISATION, reason="future", profile="scale", limit=3, cursor=first.next)
    assert ([*first.items, *rest.items], rest.next) == (rare, None)


def test_f22_counts_are_per_model_and_reason(table: Quarantine) -> None:
    table.put([one_aside(1), one_aside(6, profile="scale"), one_aside(3, profile="scale"), UNREAD])
    table.put([one_aside(4, received_at=NOW - timedelta(days=2)), one_aside(5, organisation="clinic-b")])
    day = {(None, "implausible"): 1, ("scale", "implausible"): 2, (None, "no-consent"): 1}
    assert table.counts(ORGANISATION, since=NOW - timedelta(days=1)) == day
    assert table.counts(ORGANISATION) == day | {(None, "implausible"): 2}
    assert table.counts(ORGANISATION, since=NOW + timedelta(days=1)) == {}


class ShortPages:
    """A client whose answers hold one item each: what 1 MB a page comes to with large messages."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def query(self, **asked: Any) -> Any:
        return self._client.query(**asked | {"Limit": 1})


def test_nothing_is_passed_over_when_a_page_of_the_table_is_short(client: Any, table: Quarantine) -> None:
    asides = [one_aside(number, received_at=NOW - timedelta(milliseconds=number)) for number in range(40)]
    table.put(asides)
    listed = Quarantine(ShortPages(client), TABLE).newest(ORGANISATION, limit=40)
    assert listed.items == asides


def test_what_arrived_together_is_listed_once_each(table: Quarantine) -> None:
    table.put([one_aside(number) for number in range(20)])
    first = table.newest(ORGANISATION, limit=10)
    rest = table.newest(ORGANISATION, cursor=first.next, limit=10)
    assert len({one.id for one in first.items + rest.items}) == 20
    assert rest.next is None


def test_an_item_says_when_it_may_go(client: Any, table: Quarantine) -> None:
    table.put([one_aside()])
    (item,) = client.scan(TableName=TABLE)["Items"]
    assert int(item["expires_at"]["N"]) == int((NOW + timedelta(days=90)).timestamp())
    table.put([one_aside()], kept_from=NOW + timedelta(days=300))
    (item,) = client.scan(TableName=TABLE)["Items"]
    assert int(item["expires_at"]["N"]) == int((NOW + timedelta(days=390)).timestamp())


@pytest.mark.parametrize("cursor", ["", "x", "bm9uZQ==", "é"])
def test_a_cursor_that_no_page_gave_is_refused(table: Quarantine, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        table.newest(ORGANISATION, cursor=cursor)
