"""`python -m ops organisation add`: complete, repeatable, and one sentence when it cannot be."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from adapters.aws import client as aws_client
from adapters.registry import Registry
from ops.__main__ import main
from ops.organisation import (
    OrganisationError,
    StackOutputs,
    add_organisation,
    rotate_client,
    suspend_organisation,
)
from tests.builders import NOW
from tests.in_process import REGION, environment, make_tables


@pytest.fixture
def stack() -> Iterator[StackOutputs]:
    with mock_aws(), environment({"AWS_DEFAULT_REGION": REGION}):
        make_tables(boto3.client("dynamodb"), ("registry",))
        pool = boto3.client("cognito-idp").create_user_pool(PoolName="clients")["UserPool"]["Id"]
        yield StackOutputs(
            user_pool_id=pool,
            registry_table="registry",
            organisation_topic_prefix="pma-test-org-",
            api_url="https://api.example",
            token_url="https://pool.example/oauth2/token",
        )


def described(stack: StackOutputs, client_id: str) -> dict[str, Any]:
    answer = boto3.client("cognito-idp").describe_user_pool_client(UserPoolId=stack.user_pool_id, ClientId=client_id)
    return dict(answer["UserPoolClient"])


def owner(client_id: str) -> str | None:
    found = Registry(boto3.client("dynamodb"), "registry").organisation_of(client_id)
    return None if found is None else found.id


def test_an_organisation_is_its_client_its_topic_and_its_rows(stack: StackOutputs) -> None:
    made = add_organisation("clinic-a", stack=stack, title="Clinic A")
    registry = Registry(boto3.client("dynamodb"), "registry")
    assert owner(made.client_id) == "clinic-a"
    organisation = registry.organisations(["clinic-a"])["clinic-a"]
    assert (organisation.name, organisation.topic) == ("Clinic A", made.topic)
    assert made.topic.endswith(":pma-test-org-clinic-a")
    app = described(stack, made.client_id)
    assert app["AllowedOAuthFlows"] == ["client_credentials"]
    assert app["AllowedOAuthScopes"] == ["pma/enrol", "pma/care-plan", "pma/read", "pma/acknowledge", "pma/endpoints"]
    assert made.client_secret == app["ClientSecret"]


def test_added_again_it_is_the_same_with_the_scopes_asked_for_now(stack: StackOutputs) -> None:
    made = add_organisation("clinic-a", stack=stack)
    again = add_organisation("clinic-a", stack=stack, operate=True)
    assert again == made
    assert described(stack, made.client_id)["AllowedOAuthScopes"][-1] == "pma/operate"
    assert len(boto3.client("sns").list_topics()["Topics"]) == 1


def test_what_a_crash_left_undone_is_finished(stack: StackOutputs) -> None:
    made = add_organisation("clinic-a", stack=stack)
    for key in ((f"client#{made.client_id}", "client"), ("clinic-a", "organisation")):
        boto3.client("dynamodb").delete_item(
            TableName="registry", Key={name: {"S": part} for name, part in zip(("pk", "sk"), key, strict=True)}
        )
        assert add_organisation("clinic-a", stack=stack) == made
    assert owner(made.client_id) == "clinic-a"


def test_each_organisation_has_a_client_of_its_own(stack: StackOutputs) -> None:
    """More than the 50 clients at which a gateway's authorizer stops, and than the 60 of a page of a listing."""
    clients = {add_organisation(f"clinic-{number}", stack=stack).client_id for number in range(61)}
    assert len(clients) == 61
    assert add_organisation("clinic-60", stack=stack).client_id in clients
    assert {owner(one) for one in clients} == {f"clinic-{number}" for number in range(61)}


def test_limits_are_set_without_a_deploy(stack: StackOutputs) -> None:
    registry = Registry(boto3.client("dynamodb"), "registry")
    add_organisation("clinic-a", stack=stack, title="Clinic A", requests_per_second=7)
    add_organisation("clinic-a", stack=stack)
    assert registry.organisations(["clinic-a"])["clinic-a"].requests_per_second == 7
    add_organisation("clinic-a", stack=stack, requests_per_second=9)
    organisation = registry.organisations(["clinic-a"])["clinic-a"]
    assert (organisation.name, organisation.requests_per_second) == ("Clinic A", 9)


def test_rotated_credentials_overlap_until_the_next_rotation(stack: StackOutputs) -> None:
    first = add_organisation("clinic-a", stack=stack, operate=True)
    neighbour = add_organisation("clinic-a-b", stack=stack)
    second = rotate_client("clinic-a", stack=stack)
    assert [owner(one.client_id) for one in (first, second)] == ["clinic-a", "clinic-a"]
    assert described(stack, second.client_id)["AllowedOAuthScopes"][-1] == "pma/operate"
    assert add_organisation("clinic-a", stack=stack, operate=True) == second, "the newest is the one that is shown"
    third = rotate_client("clinic-a", stack=stack)
    assert [owner(one.client_id) for one in (first, second, third)] == [None, "clinic-a", "clinic-a"]
    assert owner(neighbour.client_id) == "clinic-a-b"


def test_after_a_leak_no_other_credentials_work(stack: StackOutputs) -> None:
    first = add_organisation("clinic-a", stack=stack)
    second = rotate_client("clinic-a", stack=stack, at_once=True)
    assert (owner(first.client_id), owner(second.client_id)) == (None, "clinic-a")
    listed = boto3.client("cognito-idp").list_user_pool_clients(UserPoolId=stack.user_pool_id)["UserPoolClients"]
    assert [one["ClientId"] for one in listed] == [second.client_id]


def test_a_rotation_makes_the_client_that_was_never_made(stack: StackOutputs) -> None:
    made = add_organisation("clinic-a", stack=stack)
    boto3.client("cognito-idp").delete_user_pool_client(UserPoolId=stack.user_pool_id, ClientId=made.client_id)
    again = rotate_client("clinic-a", stack=stack)
    assert described(stack, again.client_id)["AllowedOAuthScopes"][0] == "pma/enrol"


def test_suspended_and_resumed(stack: StackOutputs) -> None:
    add_organisation("clinic-a", stack=stack)
    suspended = suspend_organisation("clinic-a", stack=stack)
    assert suspended.suspended_at is not None
    assert suspend_organisation("clinic-a", stack=stack) == suspended, "since when it is, stays"
    assert suspend_organisation("clinic-a", stack=stack, suspended=False).suspended_at is None
    with pytest.raises(OrganisationError, match="no organisation"):
        suspend_organisation("clinic-x", stack=stack)


@pytest.mark.parametrize("name", ["A", "Clinic", "a#b", "-", "a" * 33, "1a", "клиника"])
def test_a_name_that_cannot_be_a_key_is_refused(stack: StackOutputs, name: str) -> None:
    with pytest.raises(OrganisationError, match="cannot name an organisation"):
        add_organisation(name, stack=stack)


def test_a_client_that_belongs_to_another_stays_there(stack: StackOutputs) -> None:
    made = add_organisation("clinic-a", stack=stack)
    boto3.client("dynamodb").update_item(
        TableName="registry",
        Key={"pk": {"S": f"client#{made.client_id}"}, "sk": {"S": "client"}},
        UpdateExpression="SET organisation = :other",
        ExpressionAttributeValues={":other": {"S": "clinic-b"}},
    )
    with pytest.raises(OrganisationError, match="belongs to another"):
        add_organisation("clinic-a", stack=stack)


OUTPUTS = {
    "UserPoolId": "user_pool_id",
    "RegistryTable": "registry_table",
    "OrganisationTopicPrefix": "organisation_topic_prefix",
    "ApiUrl": "api_url",
    "TokenUrl": "token_url",
}


@contextmanager
def deployed(stack: StackOutputs, *without: str) -> Iterator[None]:
    """As if `stack` were deployed under the name pma-test."""
    outputs = [
        {"OutputKey": name, "OutputValue": getattr(stack, at)} for name, at in OUTPUTS.items() if name not in without
    ]
    with Stubber(aws_client("cloudformation")) as stubber:
        stubber.add_response(
            "describe_stacks",
            {"Stacks": [{"StackName": "pma-test", "CreationTime": NOW, "StackStatus": "ok", "Outputs": outputs}]},
        )
        yield


def test_the_command_prints_all_that_a_hospital_needs(stack: StackOutputs, capsys: pytest.CaptureFixture[str]) -> None:
    with deployed(stack):
        assert main(["organisation", "add", "clinic-a", "--stack", "pma-test", "--title", "Clinic A"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"organisation", "client_id", "client_secret", "topic", "api_url", "token_url"}
    assert printed["api_url"] == "https://api.example"


def test_every_command_prints_what_it_made(stack: StackOutputs, capsys: pytest.CaptureFixture[str]) -> None:
    add_organisation("clinic-a", stack=stack)
    shown = {}
    for command in ("rotate", "suspend", "resume"):
        with deployed(stack):
            assert main(["organisation", command, "clinic-a", "--stack", "pma-test"]) == 0
        shown[command] = json.loads(capsys.readouterr().out)
    assert {"client_id", "client_secret", "api_url", "token_url"} <= set(shown["rotate"])
    assert shown["suspend"]["suspended_at"] is not None
    assert shown["resume"] == {"organisation": "clinic-a", "suspended_at": None}


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_limit_that_is_none_is_refused(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["organisation", "add", "clinic-a", "--stack", "pma-test", "--requests-per-second", limit])
    assert "1 to 1000" in capsys.readouterr().err


def test_a_name_that_is_none_is_one_sentence(stack: StackOutputs, capsys: pytest.CaptureFixture[str]) -> None:
    with deployed(stack):
        assert main(["organisation", "add", "Clinic", "--stack", "pma-test"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "cannot name an organisation" in shown.err
    assert shown.err.count("\n") == 1


def test_a_stack_that_is_not_there_is_named(stack: StackOutputs, capsys: pytest.CaptureFixture[str]) -> None:
    with Stubber(aws_client("cloudformation")) as stubber:
        stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id pma-404 does not exist")
        assert main(["organisation", "add", "clinic-a", "--stack", "pma-404"]) == 2
    assert "There is no stack pma-404 here" in capsys.readouterr().err


def test_a_stack_of_another_version_is_named(stack: StackOutputs, capsys: pytest.CaptureFixture[str]) -> None:
    with deployed(stack, "TokenUrl"):
        assert main(["organisation", "add", "clinic-a", "--stack", "pma-test"]) == 2
    assert "no output 'TokenUrl'" in capsys.readouterr().err


def test_what_the_cloud_refuses_is_said(stack: StackOutputs, capsys: pytest.CaptureFixture[str]) -> None:
    with deployed(replace(stack, user_pool_id="eu-central-1_none")):
        assert main(["organisation", "add", "clinic-a", "--stack", "pma-test"]) == 1
    assert "The cloud refused ListUserPoolClients" in capsys.readouterr().err


def test_a_cloud_that_cannot_be_reached_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with environment({"AWS_CONFIG_FILE": "/dev/null"}):
        assert main(["organisation", "add", "clinic-a", "--stack", "pma-test"]) == 1
    assert "cannot be reached: You must specify a region" in capsys.readouterr().err
