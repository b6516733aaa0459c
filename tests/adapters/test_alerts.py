"""Table alerts: the adapter and the fake that stands for it keep the same promises."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.alerts import (
    Alerts,
    Episodes,
    alert_key,
    from_record,
    is_new_notice,
    is_new_version,
    outbox_key,
    state_key,
    to_item,
    to_notice,
)
from adapters.care_plans import CarePlans
from adapters.decisions import Decisions
from adapters.dynamodb import decode_item, encode_item
from adapters.registry import Registry
from domain.alert import Alert, Decision, Episode, Monitored, State
from domain.decisions import judged
from domain.errors import InvalidRequest, LostRace
from tests.builders import NOW, ORGANISATION, SUBJECT, a_plan_version, a_subject, an_alert, an_observation, attended
from tests.fakes import FakeEpisodes
from tests.in_process import REGION, make_tables

WHO = (ORGANISATION, SUBJECT)
ANOTHER = ("clinic-b", SUBJECT)
STATE = State({"crisis": Episode(stage="active", opened=(5, "o-1"), last=(6, "o-2"), severity="critical")})
HOUR = timedelta(hours=1)


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        make_tables(client, ("registry", "alerts", "decisions"))
        Registry(client, "registry").put_subject(a_subject())
        CarePlans(client, "registry").put(*WHO, a_plan_version())
        yield client


@pytest.fixture(params=["adapter", "fake"])
def episodes(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeEpisodes({WHO: Monitored(attended(a_subject()), (a_plan_version(),), State(), 0)})
    dynamodb = request.getfixturevalue("dynamodb")
    return Episodes(dynamodb, "alerts", "registry", Decisions(dynamodb, "decisions"))


def told(**changes: Any) -> Alert:
    return an_alert(**{"tell": ("patient", "doctor"), "told": "raised"} | changes)


def write(episodes: Any, *alerts: Alert, state: State = STATE, after: int = 0) -> None:
    episodes.write(WHO, state, alerts, after=after, now=NOW, received_at=NOW - HOUR)


def test_all_of_a_batchs_subjects_are_known_by_one_read(episodes: Any) -> None:
    known = episodes.read([WHO, ANOTHER, WHO])
    assert known == {
        WHO: Monitored(attended(a_subject()), (a_plan_version(),), State(), 0),
        ANOTHER: Monitored(None, (), State(), 0),
    }


def test_a_state_is_read_as_it_was_written(episodes: Any) -> None:
    write(episodes, told())
    write(episodes, state=State(), after=1)
    write(episodes, after=2)
    assert (episodes.read([WHO])[WHO].state, episodes.read([WHO])[WHO].version) == (STATE, 3)


@pytest.mark.parametrize("after", [0, 2, 7], ids=["a first write", "one ahead", "far ahead"])
def test_who_did_not_read_the_newest_state_writes_nothing(episodes: Any, after: int) -> None:
    write(episodes)
    with pytest.raises(LostRace):
        write(episodes, told(id="lost"), after=after)
    assert episodes.read([WHO])[WHO].version == 1
    if isinstance(episodes, Episodes):
        assert Alerts(episodes.client, "alerts").get([alert_key(*WHO, "lost")]) == {}


def rows(client: Any, prefix: str) -> list[dict[str, Any]]:
    found = client.query(
        TableName="alerts",
        KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
        ExpressionAttributeValues={":pk": {"S": state_key(*WHO)[0]}, ":prefix": {"S": prefix}},
    )["Items"]
    return [decode_item(item) for item in found]


def test_r52_an_alert_and_the_order_to_tell_are_one_write(dynamodb: Any) -> None:
    episodes = Episodes(dynamodb, "alerts", "registry", Decisions(dynamodb, "decisions"))
    write(episodes, told(id="a-1", version=1), an_alert(id="a-1", version=2, state="resolved"), an_alert(id="a-2"))
    assert [(row["id"], row["version"]) for row in rows(dynamodb, "alert#")] == [("a-1", 2), ("a-2", 1)]
    (order,) = rows(dynamodb, "outbox#")
    assert (order["pk"], order["sk"]) == outbox_key(*WHO, "a-1", 1)
    assert order["roles"] == ["patient", "doctor"]
    assert (order["severity"], order["step"], order["told"]) == ("critical", "raised", {})
    assert (order["created_at"], order["received_at"]) == (NOW.isoformat(), (NOW - HOUR).isoformat())


def test_f7_decisions_are_in_the_write_that_they_led_to_or_in_none(dynamodb: Any) -> None:
    decisions = Decisions(dynamodb, "decisions")
    episodes = Episodes(dynamodb, "alerts", "registry", decisions)
    first, second = an_observation(), an_observation(id="o-2")
    said = [judged(one, [Decision("sbp-crisis", "1", "idle", "active", None)], NOW) for one in (first, second)]
    episodes.write(WHO, STATE, [told()], said[:1], after=0, now=NOW, received_at=NOW)
    with pytest.raises(LostRace):
        episodes.write(WHO, STATE, [told()], said[1:], after=0, now=NOW, received_at=NOW)
    assert decisions.of([first, second]) == {first.id: said[0]}
    episodes.keep(WHO, said[1:])
    assert decisions.of([first, second])[second.id] == said[1]


def test_an_alert_is_read_as_it_was_written(dynamodb: Any) -> None:
    open_, over = an_alert(id="a-1"), an_alert(id="a-2", state="resolved", outcome="resolved", resolved_at=NOW)
    write(Episodes(dynamodb, "alerts", "registry", Decisions(dynamodb, "decisions")), open_, over)
    keys = [alert_key(*WHO, name) for name in ("a-1", "a-2", "a-3")]
    assert Alerts(dynamodb, "alerts").get(keys) == {keys[0]: open_, keys[1]: over}


def test_a_subjects_alerts_come_newest_first_and_page_by_page(dynamodb: Any) -> None:
    made = [an_alert(id=f"a-{hour}", raised_at=NOW + hour * HOUR) for hour in (3, 1, 4, 2, 5)]
    write(Episodes(dynamodb, "alerts", "registry", Decisions(dynamodb, "decisions")), *made)
    alerts = Alerts(dynamodb, "alerts")
    seen, cursor = [], None
    for _ in range(3):
        page = alerts.of_subject(*WHO, cursor=cursor, limit=2)
        seen += [alert.id for alert in page.items]
        cursor = page.next
    assert (seen, cursor) == (["a-5", "a-4", "a-3", "a-2", "a-1"], None)
    assert alerts.of_subject(*ANOTHER).items == []


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({}, ["a-2", "a-1"]),
        ({"kind": "blood-pressure"}, ["a-1"]),
        ({"from_at": NOW + 2 * HOUR}, ["a-2"]),
        ({"to_at": NOW + 2 * HOUR}, ["a-1"]),
    ],
    ids=["all", "a kind", "from, inclusive", "to, exclusive"],
)
def test_alerts_may_be_asked_for_by_kind_and_time(dynamodb: Any, wanted: dict[str, Any], ids: list[str]) -> None:
    write(
        Episodes(dynamodb, "alerts", "registry", Decisions(dynamodb, "decisions")),
        an_alert(id="a-1", raised_at=NOW + HOUR),
        an_alert(id="a-2", raised_at=NOW + 2 * HOUR, kind="weight"),
    )
    assert [alert.id for alert in Alerts(dynamodb, "alerts").of_subject(*WHO, **wanted).items] == ids


@pytest.mark.parametrize("cursor", ["!", "YWJj", "MjAyNi0xMS0yMiNhLTE="], ids=["no base64", "no time", "no offset"])
def test_a_cursor_that_is_none_is_refused(dynamodb: Any, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        Alerts(dynamodb, "alerts").of_subject(*WHO, cursor=cursor)


def record(name: str, item: dict[str, Any]) -> dict[str, Any]:
    image = encode_item(item)
    return {
        "eventName": name,
        "dynamodb": {"Keys": {"pk": image["pk"], "sk": image["sk"]}, "NewImage": image, "SequenceNumber": "1"},
    }


@pytest.mark.parametrize(
    ("name", "sk", "version", "notice"),
    [
        ("INSERT", "alert#a-1", True, False),
        ("MODIFY", "alert#a-1", True, False),
        ("REMOVE", "alert#a-1", False, False),
        ("INSERT", "outbox#a-1#1", False, True),
        ("MODIFY", "outbox#a-1#1", False, False),
        ("REMOVE", "outbox#a-1#1", False, False),
        ("INSERT", "state", False, False),
    ],
)
def test_r44_the_stream_says_what_is_new(name: str, sk: str, version: bool, notice: bool) -> None:
    one = record(name, {"pk": "clinic-a#S-1", "sk": sk})
    assert (is_new_version(one), is_new_notice(one)) == (version, notice)


def test_an_alert_is_read_from_the_stream() -> None:
    alert = an_alert()
    key = alert_key(*WHO, alert.id)
    assert from_record(record("MODIFY", to_item(alert))) == (key, alert)


def test_a_notice_is_read_from_the_stream(dynamodb: Any) -> None:
    write(Episodes(dynamodb, "alerts", "registry", Decisions(dynamodb, "decisions")), told(id="a-1"))
    (row,) = rows(dynamodb, "outbox#")
    notice = to_notice(record("INSERT", row))
    assert (notice.organisation, notice.subject, notice.alert, notice.version) == (*WHO, "a-1", 1)
    assert (notice.severity, notice.step, notice.roles) == ("critical", "raised", ("patient", "doctor"))
    assert notice.received_at == NOW - HOUR
