"""`python -m ops alert-load`: counted from the tables of an organisation, and of no other."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from adapters.alerts import to_item as alert_item
from adapters.aws import client as aws_client
from adapters.dynamodb import encode_item
from adapters.observations import Observations, row_key
from adapters.registry import from_subject
from domain.enrolment import Consent
from domain.identity import Identity
from ops.__main__ import main
from ops.alert_load import Tables, measure
from tests.builders import NOW, a_subject, an_alert, an_observation
from tests.in_process import REGION, environment, make_tables

TABLES = Tables("registry", "alerts", "observations")
DAY = timedelta(days=1)


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with mock_aws(), environment({"AWS_DEFAULT_REGION": REGION}):
        client = boto3.client("dynamodb")
        make_tables(client, ("registry", "alerts", "observations"))
        yield client


def enrol(dynamodb: Any, **changes: Any) -> None:
    dynamodb.put_item(TableName="registry", Item=encode_item(from_subject(a_subject(**changes))))


def raise_alert(dynamodb: Any, name: str, **changes: Any) -> None:
    dynamodb.put_item(TableName="alerts", Item=encode_item(alert_item(an_alert(id=name, **changes))))


def store(dynamodb: Any, *days_ago: float, **changes: Any) -> None:
    observations = Observations(dynamodb, "observations")
    for ago in days_ago:
        at = NOW - ago * DAY
        one = an_observation(measured_at=at, device_time=at, **changes)
        key = row_key(Identity(one.organisation, one.subject, one.kind, at, one.id))
        observations.put([(key, one)])
        observations.recall(key, "r-1")  # a mark beside the row is no reading


def test_f22_the_load_of_an_organisation_is_counted_and_no_others(dynamodb: Any) -> None:
    enrol(dynamodb, consent=Consent(NOW - 100 * DAY))
    enrol(dynamodb, id="S-NEW", consent=Consent(NOW - 5 * DAY))
    enrol(dynamodb, id="S-GONE", consent=Consent(NOW - 100 * DAY, NOW - 40 * DAY))
    enrol(dynamodb, id="S-NEVER", consent=None)
    enrol(dynamodb, organisation="clinic-b")
    store(dynamodb, 1, 2, 31)
    store(dynamodb, 3, subject="S-NEW")
    store(dynamodb, 1, organisation="clinic-b")
    raise_alert(dynamodb, "a-1", rule="noisy", raised_at=NOW - DAY)
    raise_alert(dynamodb, "a-2", rule="noisy", raised_at=NOW - 2 * DAY)
    raise_alert(dynamodb, "a-3", rule="asked", state="resolved", outcome="not-confirmed", raised_at=NOW - DAY)
    raise_alert(dynamodb, "a-4", raised_at=NOW - 31 * DAY)
    raise_alert(dynamodb, "a-5", organisation="clinic-b", raised_at=NOW - DAY)
    assert measure("clinic-a", TABLES, days=30, now=NOW) == {
        "organisation": "clinic-a",
        "from": (NOW - 30 * DAY).isoformat(),
        "to": NOW.isoformat(),
        "patients": 2,
        "patient_days": 35.0,
        "readings": 3,
        "alerts": 3,
        "needing_a_human": 2,
        "per_patient_day": {"readings": 0.086, "alerts": 0.086, "needing_a_human": 0.057},
        "noisiest_rules": [{"rule": "noisy", "needing_a_human": 2}],
    }


def outputs(**tables: str) -> Stubber:
    stubber = Stubber(aws_client("cloudformation"))
    shown = [{"OutputKey": name, "OutputValue": value} for name, value in tables.items()]
    stack = {"StackName": "pma-test", "CreationTime": datetime.now(NOW.tzinfo), "StackStatus": "ok", "Outputs": shown}
    stubber.add_response("describe_stacks", {"Stacks": [stack]})
    return stubber


def test_the_command_prints_the_load(dynamodb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with outputs(RegistryTable="registry", AlertsTable="alerts", ObservationsTable="observations"):
        assert main(["alert-load", "--organisation", "clinic-a", "--days", "7", "--stack", "pma-test"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["patients"], printed["per_patient_day"]["readings"]) == (0, 0.0)


def test_a_stack_of_another_version_is_named(dynamodb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with outputs(RegistryTable="registry"):
        assert main(["alert-load", "--organisation", "clinic-a", "--stack", "pma-test"]) == 2
    assert "no output 'AlertsTable'" in capsys.readouterr().err


@pytest.mark.parametrize("days", ["0", "401"])
def test_days_beyond_what_is_kept_are_refused(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alert-load", "--organisation", "clinic-a", "--days", days, "--stack", "pma-test"]) == 2
    assert "1 to 400" in capsys.readouterr().err
