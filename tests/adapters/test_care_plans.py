"""Care plans in the registry: which versions are at hand, and who wrote first."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.alerts import Episodes
from adapters.care_plans import CarePlans
from adapters.decisions import Decisions
from adapters.registry import Registry
from domain.care_plan import PlanVersion
from domain.errors import InvalidRequest, LostRace
from tests.builders import NOW, ORGANISATION, SUBJECT, a_plan_version, a_subject, attended
from tests.in_process import REGION, make_tables

WHO = (ORGANISATION, SUBJECT)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Iterator[CarePlans]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        make_tables(client, ("registry", "alerts"))
        Registry(client, "registry").put_subject(a_subject())
        yield CarePlans(client, "registry")


def a_version(number: int, **changes: Any) -> PlanVersion:
    return replace(a_plan_version(version=number), **changes)


def test_a_plan_is_read_as_it_was_written(plans: CarePlans) -> None:
    assert plans.newest(*WHO) is None
    plans.put(*WHO, a_version(1))
    plans.put(*WHO, a_version(2))
    assert plans.newest(*WHO) == a_version(2)
    assert plans.of([WHO, ("clinic-b", SUBJECT)]) == {WHO: (a_version(1), a_version(2))}


def test_p3_every_version_is_kept_and_the_newest_are_at_hand(plans: CarePlans) -> None:
    for number in range(1, 8):
        plans.put(*WHO, a_version(number))
    assert [one.version for one in plans.of([WHO])[WHO]] == [4, 5, 6, 7]
    assert [one.version for one in plans.versions(*WHO)] == [1, 2, 3, 4, 5, 6, 7]


def test_r46_the_version_in_force_stays_at_hand_however_many_are_to_come(plans: CarePlans) -> None:
    plans.put(*WHO, a_version(1, created_at=NOW))
    for number in range(2, 8):
        plans.put(*WHO, a_version(number, created_at=NOW, effective_from=NOW + timedelta(days=30)))
    assert [one.version for one in plans.of([WHO])[WHO]] == [1, 4, 5, 6, 7]


@pytest.mark.parametrize("number", [1, 2, 4], ids=["there already", "the newest", "one left out"])
def test_r86_only_the_version_that_follows_is_written(plans: CarePlans, number: int) -> None:
    plans.put(*WHO, a_version(1))
    plans.put(*WHO, a_version(2))
    with pytest.raises(LostRace):
        plans.put(*WHO, a_version(number, author="doc-late"))
    assert plans.versions(*WHO) == [a_version(1), a_version(2)]


def test_r86_an_edit_of_the_subject_leaves_its_plan(plans: CarePlans) -> None:
    plans.put(*WHO, a_version(1))
    Registry(plans.client, plans.table).put_subject(a_subject(time_zone="Asia/Omsk", version=2))
    plans.put(*WHO, a_version(2))
    known = Episodes(plans.client, "alerts", plans.table, Decisions(plans.client, "decisions")).read([WHO])[WHO]
    assert known.plans == (a_version(1), a_version(2))
    assert known.subject == attended(a_subject(time_zone="Asia/Omsk"))


def test_r90_nobody_who_is_not_enrolled_has_a_plan(plans: CarePlans) -> None:
    with pytest.raises(LostRace):
        plans.put("clinic-b", SUBJECT, a_version(1))
    assert plans.versions("clinic-b", SUBJECT) == []


def test_versions_come_newest_first_and_page_by_page(plans: CarePlans) -> None:
    for number in range(1, 6):
        plans.put(*WHO, a_version(number))
    seen, cursor = [], None
    for _ in range(3):
        page = plans.newest_first(*WHO, cursor=cursor, limit=2)
        seen += [one.version for one in page.items]
        cursor = page.next
    assert (seen, cursor) == ([5, 4, 3, 2, 1], None)
    with pytest.raises(InvalidRequest):
        plans.newest_first(*WHO, cursor="x")
