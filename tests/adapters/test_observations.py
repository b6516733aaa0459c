"""Rows are written once and found again: the table and its fake keep the same promises."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeAlias

import boto3
import pytest
from moto import mock_aws

from adapters.observations import Key, Observations, from_record, is_mark, is_new_reading, row_key, row_of
from domain.errors import InvalidRequest
from domain.identity import Identity
from domain.observation import Known, Observation
from tests.builders import NOW, ORGANISATION, SERIAL, SUBJECT, an_observation
from tests.fakes import FakeObservations

TABLE = "observations"
SAMARA = timezone(timedelta(hours=4))

Rows: TypeAlias = Observations | FakeObservations


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


@pytest.fixture
def table(client: Any) -> Observations:
    return Observations(client, TABLE)


@pytest.fixture(params=["table", "fake"])
def rows(request: pytest.FixtureRequest, client: Any) -> Rows:
    return Observations(client, TABLE) if request.param == "table" else FakeObservations()


def a_row(**changes: Any) -> tuple[Key, Observation]:
    one = an_observation(**changes)
    taken_at = one.device_time.replace(microsecond=0)
    return row_key(Identity(one.organisation, one.subject, one.kind, taken_at, one.id)), one


FULL = a_row(
    measured_at=datetime(2026, 11, 22, 12, 59, 30, 123456, tzinfo=SAMARA),
    values={"systolic": Decimal("122.5"), "diastolic": Decimal("0.000001")},
    slot=2,
    flags=("movement", "irregular-pulse"),
    context={"posture": "sitting"},
    tags=frozenset({"late"}),
    device_class="auxiliary",
    origin="call",
    record=42,
)


class TestPromises:
    def test_what_was_put_is_read_back_whole(self, rows: Rows) -> None:
        rows.put([FULL, a_row()])
        keys = [FULL[0], a_row()[0]]
        assert rows.get([*keys, (keys[0][0], "weight#nothing")]) == dict(zip(keys, [FULL[1], a_row()[1]], strict=True))

    def test_an_offset_is_kept(self, rows: Rows) -> None:
        rows.put([FULL])
        (one,) = rows.get([FULL[0]]).values()
        assert one.measured_at.isoformat() == "2026-11-22T12:59:30.123456+04:00"

    def test_only_what_has_a_row_is_present(self, rows: Rows) -> None:
        there, absent = a_row()[0], FULL[0]
        rows.put([a_row()])
        assert rows.present([there, absent]) == {there: Known(SERIAL, corrected=False)}
        assert rows.present([]) == {}

    def test_r5_writing_a_row_again_changes_nothing(self, rows: Rows) -> None:
        rows.put([FULL])
        rows.put([FULL])
        rows.put([])
        assert rows.get([FULL[0]]) == {FULL[0]: FULL[1]}

    def test_an_alerts_observations_are_found_by_their_ids(self, rows: Rows) -> None:
        rows.put([FULL, a_row()])
        for ids in ([FULL[1].id], [FULL[1].id, "nobody"]):
            assert rows.find(ORGANISATION, SUBJECT, "blood-pressure", ids, near=NOW) == [FULL[1]]


class TestMarks:
    """What happens to a reading later stands beside its row, in the fake as in the table."""

    @staticmethod
    def marked(rows: Rows) -> Observation:
        (one,) = rows.get([FULL[0]]).values()
        return one

    @classmethod
    def tags(cls, rows: Rows) -> tuple[set[str], int]:
        one = cls.marked(rows)
        return {*one.tags}, one.version

    def test_p8_a_recall_is_a_tag_and_can_be_undone(self, rows: Rows) -> None:
        rows.put([FULL])
        rows.recall(FULL[0], "r-1")
        rows.recall(FULL[0], "r-1")
        rows.recall(FULL[0], "r-2")
        assert self.tags(rows) == ({"late", "recalled"}, 3)
        rows.withdraw_recall(FULL[0], "r-1")
        assert self.marked(rows).tags == {"late", "recalled"}
        rows.withdraw_recall(FULL[0], "r-2")
        rows.withdraw_recall(FULL[0], "r-2")
        assert self.tags(rows) == ({"late"}, 5)
        rows.recall(FULL[0], "r-1")
        assert self.tags(rows) == ({"late", "recalled"}, 6)

    def test_p8_what_was_recalled_as_it_came_in_is_no_more(self, rows: Rows) -> None:
        rows.put([(FULL[0], FULL[1]._replace(tags=frozenset({"late", "recalled"}), recalls=frozenset({"r-1"})))])
        assert self.tags(rows) == ({"late", "recalled"}, 1)
        rows.withdraw_recall(FULL[0], "r-1")
        assert self.tags(rows) == ({"late"}, 2)
        assert self.marked(rows).recalls == set()

    def test_r77_what_is_anothers_is_entered_in_error_and_can_be_taken_back(self, rows: Rows) -> None:
        rows.put([FULL])
        rows.recall(FULL[0], "r-1")
        for _ in range(2):
            rows.retract(FULL[0])
        assert (self.tags(rows), self.marked(rows).status) == (
            ({"late", "recalled", "entered-in-error"}, 3),
            "entered-in-error",
        )
        for _ in range(2):
            rows.reinstate(FULL[0])
        assert (self.tags(rows), self.marked(rows).status) == (({"late", "recalled"}, 4), "final")
        rows.put([FULL])
        rows.retract(FULL[0])
        assert self.tags(rows) == ({"late", "recalled", "entered-in-error"}, 5)

    def test_c24_each_other_path_is_noted_once(self, rows: Rows) -> None:
        rows.put([FULL])
        for thing, at in (("PHONE-1", NOW), ("CLOUD-1", NOW), ("PHONE-1", NOW + timedelta(hours=1))):
            rows.add_path(FULL[0], thing, at)
        assert (self.marked(rows).paths, self.marked(rows).version) == ({"PHONE-1": NOW, "CLOUD-1": NOW}, 3)

    def test_f14_the_first_correction_counts(self, rows: Rows) -> None:
        rows.put([FULL])
        for hours in (1, 2):
            rows.correct(FULL[0], NOW + timedelta(hours=hours))
        one = self.marked(rows)
        assert (one.measured_at, one.device_time, one.version) == (
            NOW + timedelta(hours=1),
            FULL[1].device_time,
            2,
        )

    def test_circumstances_join_those_that_came_with_it(self, rows: Rows) -> None:
        rows.put([FULL])
        for _ in range(2):
            rows.add_context(FULL[0], {"meal": "fasting"})
        assert (self.marked(rows).context, self.marked(rows).version) == (
            {"posture": "sitting", "meal": "fasting"},
            2,
        )

    def test_a_glucose_is_found_by_its_record_number(self, rows: Rows) -> None:
        values = {"glucose": Decimal(5)}
        old, new, other = (
            a_row(kind="glucose", values=values, record=7, measured_at=NOW - timedelta(days=days), device=device)
            for days, device in ((40, "GL-1"), (1, "GL-1"), (0, "GL-2"))
        )
        rows.put([old, new, other, a_row(kind="glucose", values=values)])
        for near, expected in ((NOW, new), (NOW - timedelta(days=39), old), (NOW - timedelta(days=300), old)):
            assert rows.of_record(ORGANISATION, SUBJECT, "GL-1", 7, near=near) == expected[0]
        assert rows.of_record(ORGANISATION, SUBJECT, "GL-1", 8, near=NOW) is None
        assert rows.of_record(ORGANISATION, "S-2", "GL-1", 7, near=NOW) is None

    def test_marks_are_joined_wherever_rows_are_read(self, table: Observations) -> None:
        table.put([FULL, a_row()])
        table.recall(FULL[0], "r-1")
        (found,) = table.find(ORGANISATION, SUBJECT, "blood-pressure", [FULL[1].id], near=NOW)
        assert "recalled" in found.tags
        page = table.recent(ORGANISATION, SUBJECT)
        assert [("recalled" in one.tags, one.version) for _, one in page.items] == [(True, 2), (False, 1)]

    def test_a_row_that_is_written_again_keeps_its_mark(self, rows: Rows) -> None:
        rows.put([FULL])
        rows.recall(FULL[0], "r-1")
        rows.put([FULL])
        assert "recalled" in self.marked(rows).tags

    def test_a_mark_may_go_with_its_row(self, client: Any, table: Observations) -> None:
        table.put([FULL])
        table.recall(FULL[0], "r-1")
        row, mark = sorted(client.scan(TableName=TABLE)["Items"], key=lambda item: str(item["sk"]["S"]))
        assert abs(int(row["expires_at"]["N"]) - int(mark["expires_at"]["N"])) <= 1

    @pytest.mark.parametrize(("event", "expected"), [("INSERT", True), ("MODIFY", True), ("REMOVE", False)])
    def test_r77_a_changed_mark_is_a_change_of_its_row(self, event: str, expected: bool) -> None:
        keys = {"pk": {"S": "clinic-a#S-1"}, "sk": {"S": "weight#t#id#mark"}}
        record = {"eventName": event, "dynamodb": {"Keys": keys}}
        assert is_mark(record) == expected
        assert row_of(record) == ("clinic-a#S-1", "weight#t#id")
        assert not is_mark({"eventName": event, "dynamodb": {"Keys": keys | {"sk": {"S": "weight#t#id"}}}})


def test_a_row_is_kept_under_its_subject_in_the_order_of_time() -> None:
    assert FULL[0] == (
        f"{ORGANISATION}#{SUBJECT}",
        f"blood-pressure#2026-11-22T08:59:30Z#{FULL[1].id}",
    )


def test_a_row_says_when_it_may_go(client: Any, table: Observations) -> None:
    table.put([a_row()])
    (item,) = client.scan(TableName=TABLE)["Items"]
    assert int(item["expires_at"]["N"]) == int((a_row()[1].measured_at + timedelta(days=400)).timestamp())
    assert {"slot", "flags", "context"}.isdisjoint(item)


def test_a_stream_record_brings_the_row(client: Any, table: Observations) -> None:
    table.put([FULL])
    (image,) = client.scan(TableName=TABLE)["Items"]
    record = {"eventName": "INSERT", "dynamodb": {"Keys": {"sk": image["sk"]}, "NewImage": image}}
    assert is_new_reading(record)
    assert from_record(record) == FULL[1]


@pytest.mark.parametrize(
    ("event", "sk"),
    [("MODIFY", "weight#t#id"), ("REMOVE", "weight#t#id"), ("INSERT", "weight#t#id#mark")],
)
def test_r44_nothing_else_is_a_new_reading(event: str, sk: str) -> None:
    assert not is_new_reading({"eventName": event, "dynamodb": {"Keys": {"sk": {"S": sk}}}})


# reading back


def some(count: int, kind: str = "heart-rate", every: timedelta = timedelta(minutes=1)) -> list[tuple[Key, Any]]:
    """`count` readings of `kind`, the newest at NOW."""
    return [
        a_row(kind=kind, values={"rate": Decimal(60 + number)}, measured_at=NOW - number * every)
        for number in range(count)
    ]


def rates(page: Any) -> list[int]:
    return [int(one.values["rate"]) for _, one in page.items]


def test_the_newest_come_first_and_page_by_page(table: Observations) -> None:
    table.put(some(7))
    seen: list[int] = []
    cursor = None
    sizes = []
    while True:
        page = table.recent(ORGANISATION, SUBJECT, kind="heart-rate", cursor=cursor, limit=3)
        seen += rates(page)
        sizes.append(len(page.items))
        cursor = page.next
        if cursor is None:
            break
    assert seen == [60, 61, 62, 63, 64, 65, 66]
    assert sizes == [3, 3, 1]


@pytest.mark.parametrize("limit", [1, 2, 5, 8, 9, 100])
def test_all_kinds_come_together_in_the_order_of_time(table: Observations, limit: int) -> None:
    """Also where rows of two kinds were measured in the same second."""
    table.put([*some(4), *some(4, "fetal-heart-rate"), *some(1, "heart-rate-variability")])
    seen: list[Observation] = []
    cursor = None
    while True:
        page = table.recent(ORGANISATION, SUBJECT, cursor=cursor, limit=limit)
        seen += [one for _, one in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert len({one.id for one in seen}) == len(seen) == 9
    assert [one.measured_at for one in seen] == sorted((one.measured_at for one in seen), reverse=True)


def test_a_period_begins_with_its_beginning_and_ends_before_its_end(table: Observations) -> None:
    table.put(some(5))
    page = table.recent(
        ORGANISATION, SUBJECT, kind="heart-rate", from_at=NOW - timedelta(minutes=3), to_at=NOW - timedelta(minutes=1)
    )
    assert rates(page) == [62, 63]
    nothing = table.recent(ORGANISATION, SUBJECT, kind="heart-rate", from_at=NOW, to_at=NOW - timedelta(hours=1))
    assert (nothing.items, nothing.next) == ([], None)


def test_r81_nobody_reads_another_organisations_rows(table: Observations) -> None:
    table.put(some(1))
    assert table.recent("clinic-b", SUBJECT).items == []
    assert table.recent(ORGANISATION, "S-OTHER").items == []


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "bm9uZQ==", "MjAyNg==", "é"])
def test_a_cursor_that_no_page_gave_is_refused(table: Observations, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        table.recent(ORGANISATION, SUBJECT, cursor=cursor)


def test_a_page_ends_where_nothing_follows(table: Observations) -> None:
    table.put(some(2))
    assert table.recent(ORGANISATION, SUBJECT, kind="heart-rate", limit=2).next is None
    assert table.recent(ORGANISATION, SUBJECT, to_at=datetime(2026, 1, 1, tzinfo=UTC)).items == []


def test_p8_a_span_is_all_of_a_subject_in_it_as_marked(client: Any) -> None:
    table, fake = Observations(client, TABLE), FakeObservations()
    rows = [a_row(device_time=NOW - timedelta(hours=hours)) for hours in range(5)]
    for one in (table, fake):
        one.put([*rows, FULL])
        one.recall(rows[2][0], "r-1")
    found = []
    for reader in (table, fake):
        spans = [(None, NOW - timedelta(hours=2)), (NOW - timedelta(hours=2), NOW), (NOW, None)]
        seen = [{key: one.recalls for key, one in reader.span(ORGANISATION, SUBJECT, *span)} for span in spans]
        assert sum(map(len, seen)) == 6
        assert [one for span in seen for one in span.values() if one] == [{"r-1"}]
        found.append(seen)
    assert found[0] == found[1]


def test_a_past_is_all_between_two_moments_both_included(table: Observations) -> None:
    table.put([*some(5), *some(2, "fetal-heart-rate")])
    table.recall(some(2)[1][0], "r-1")
    since = NOW - timedelta(minutes=3)
    found = table.between(ORGANISATION, SUBJECT, from_at=since, to_at=NOW, most=100)
    assert sorted(int(one.values["rate"]) for one in found if one.kind == "heart-rate") == [60, 61, 62, 63]
    assert {one.values["rate"] for one in found if "recalled" in one.tags} == {Decimal(61)}
    assert len(found) == 6
    only = table.between(ORGANISATION, SUBJECT, from_at=since, to_at=NOW, most=100, kinds=["fetal-heart-rate"])
    assert [one.kind for one in only] == ["fetal-heart-rate"] * 2


def test_of_a_past_that_is_too_long_the_newest_are_given(table: Observations) -> None:
    table.put(some(5))
    found = table.between(ORGANISATION, SUBJECT, from_at=NOW - timedelta(days=1), to_at=NOW, most=2)
    assert sorted(int(one.values["rate"]) for one in found) == [60, 61]
