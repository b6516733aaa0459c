"""What the stack is, beside the rules: kept ids, no name twice in an account, the one switch, its outputs."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as SUPPORTED

from infra.app import ROOT
from infra.rules import ACCOUNT_CONCURRENCY, STATEFUL, UNRESERVED, Template, of_type, text
from infra.stage import DEV, PROD, STAGES
from tests.infra.conftest import TemplateOf

SNAPSHOT = Path(__file__).with_name("stateful_ids.json")


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_t14_r38_stateful_logical_ids_are_those_of_the_snapshot(synthesised: TemplateOf, stage: str) -> None:
    """A changed id replaces the thing and loses what it holds: change the snapshot only together with a migration."""
    ids = {name: one["Type"] for name, one in synthesised(stage)["Resources"].items() if one["Type"] in STATEFUL}
    assert ids == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


NOT_GLOBAL = {"AWS::IAM::Policy", "AWS::ApiGatewayV2::Stage", "AWS::Cognito::UserPoolResourceServer"}
"""Their names live inside a role, an API, a pool."""


def fixed_names(template: Template) -> Iterator[str]:
    """`type name` of everything in the template whose name the account may hold only once."""
    for kind in {one["Type"] for one in template["Resources"].values()} - NOT_GLOBAL:
        for _, properties in of_type(template, kind):
            for path, value in walk(properties):
                named = path.endswith("Name") or path in {"Domain", "AccountId", "Name"}
                fixed = text(value)
                if named and "<" not in fixed and not reference(kind, path):
                    yield f"{kind} {path} {fixed}"


def walk(properties: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in properties.items():
        yield key, value
        if key == "Budget":
            yield from walk(value)


def reference(kind: str, path: str) -> bool:
    """A name of something else: an alarm's metric, a permission's function."""
    return path == "MetricName" or (kind != "AWS::Lambda::Function" and path == "FunctionName")


def test_dev_and_prod_fit_into_one_account(synthesised: TemplateOf) -> None:
    dev, prod = set(fixed_names(synthesised("dev"))), set(fixed_names(synthesised("prod")))
    assert dev & prod == set()
    assert {name.split()[0] for name in dev} >= {
        "AWS::IoT::TopicRule",
        "AWS::IoT::Policy",
        "AWS::Cognito::UserPoolDomain",
    }


def test_dev_and_prod_hear_different_topics(synthesised: TemplateOf) -> None:
    sql = {stage: next(of_type(synthesised(stage), "AWS::IoT::TopicRule"))[1] for stage in ("dev", "prod")}
    assert sql["dev"]["TopicRulePayload"]["Sql"].endswith("FROM 'dt/pma-dev/#'")
    assert sql["prod"]["TopicRulePayload"]["Sql"].endswith("FROM 'dt/pma/#'")


def test_a_fixed_name_in_both_stages_is_found(synthesised: TemplateOf) -> None:
    both = [copy.deepcopy(synthesised(stage)) for stage in ("dev", "prod")]
    for template in both:
        next(of_type(template, "AWS::SQS::Queue"))[1]["QueueName"] = "inbox"
    assert set(fixed_names(both[0])) & set(fixed_names(both[1])) == {"AWS::SQS::Queue QueueName inbox"}


def test_r36_dev_and_prod_together_leave_the_account_its_unreserved_part() -> None:
    assert sum(DEV.concurrency.values()) + sum(PROD.concurrency.values()) <= ACCOUNT_CONCURRENCY - UNRESERVED


def test_r12_r15_a_copied_or_ending_certificate_is_looked_for_each_day_and_told(synthesised: TemplateOf) -> None:
    """Simulated on the template only: nothing here has Device Defender."""
    template = synthesised("prod")
    ((_, audit),) = of_type(template, "AWS::IoT::AccountAuditConfiguration")
    ((_, daily),) = of_type(template, "AWS::IoT::ScheduledAudit")
    assert daily["Frequency"] == "DAILY"
    assert {"DEVICE_CERTIFICATE_SHARED_CHECK", "CONFLICTING_CLIENT_IDS_CHECK", "DEVICE_CERTIFICATE_EXPIRING_CHECK"} <= {
        *daily["TargetCheckNames"]
    }
    enabled = {name.upper() for name, check in audit["AuditCheckConfigurations"].items() if check["Enabled"] is True}
    assert enabled == {name.replace("_", "") for name in daily["TargetCheckNames"]}, "what is off is not scheduled"
    told = audit["AuditNotificationTargetConfigurations"]["Sns"]
    assert told["Enabled"] is True
    assert text(told["TargetArn"]) == text(template["Outputs"]["OperatorsTopic"]["Value"])


def test_the_local_stage_holds_only_what_the_embedded_cloud_supports(synthesised: TemplateOf) -> None:
    kinds = {one["Type"] for one in synthesised("local")["Resources"].values()}
    assert kinds - set(SUPPORTED) == set()


def test_only_the_switch_separates_local_from_prod(synthesised: TemplateOf) -> None:
    """The stack that is tested is the stack that is deployed: same things under the same ids, but for these."""
    local, prod = (
        {(one["Type"], name) for name, one in synthesised(stage)["Resources"].items() if one["Type"] in STATEFUL}
        for stage in ("local", "prod")
    )
    assert local == prod
    kinds = [{one["Type"] for one in synthesised(stage)["Resources"].values()} for stage in ("prod", "local")]
    assert kinds[0] - kinds[1] == {
        "AWS::Budgets::Budget",
        "AWS::IoT::AccountAuditConfiguration",
        "AWS::IoT::Logging",
        "AWS::IoT::ScheduledAudit",
        "AWS::SQS::QueuePolicy",
    }
    assert kinds[1] - kinds[0] == set()


@pytest.mark.parametrize("stage", STAGES)
def test_the_outputs_that_operators_and_provisioning_read(synthesised: TemplateOf, stage: str) -> None:
    assert set(synthesised(stage)["Outputs"]) == {
        *("ApiUrl", "TokenUrl", "UserPoolId", "UserPoolDomain"),
        *(
            "RegistryTable",
            "ObservationsTable",
            "AlertsTable",
            "DeliveriesTable",
            "ContactsTable",
            "QuarantineTable",
            "DecisionsTable",
            "ErasuresTable",
            "AuditTable",
        ),
        *("InboxQueueUrl", "BacklogQueueUrl", "DoorbellQueueUrl", "ErrorQueueUrl"),
        *("IotPolicyName", "ThingTypeName", "TopicRuleName", "TopicPrefix", "OrganisationTopicPrefix"),
        *("ProvisioningTemplateName", "ClaimPolicyName"),
        *("OperatorsTopic", "ArchiveBucket", "ArchiveKey"),
    }


def test_t15_every_page_that_an_alarm_names_is_in_the_runbook(synthesised: TemplateOf) -> None:
    alarms = of_type(synthesised("prod"), "AWS::CloudWatch::Alarm")
    named = {alarm["AlarmDescription"].rpartition(" See ")[2] for _, alarm in alarms}
    pages = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").split("\n## ")[1:]
    led_to = [page.partition("\n")[0] for page in pages if "No alarm leads here" not in page]
    assert named == {f"docs/runbook.md#{heading}" for heading in led_to}


def test_r20_basic_ingest_is_addressed_by_the_rules_name(synthesised: TemplateOf) -> None:
    template = synthesised("local")
    assert next(of_type(template, "AWS::IoT::TopicRule"))[1]["RuleName"] == "pma_readings"


def test_r109_the_bill_is_watched(synthesised: TemplateOf) -> None:
    for stage in ("dev", "prod"):
        ((_, budget),) = of_type(synthesised(stage), "AWS::Budgets::Budget")
        assert {one["Notification"]["NotificationType"] for one in budget["NotificationsWithSubscribers"]} == {
            "ACTUAL",
            "FORECASTED",
        }


@pytest.mark.parametrize("stage", STAGES)
def test_only_the_local_stage_allows_plain_http_to_a_mis(synthesised: TemplateOf, stage: str) -> None:
    told = {
        function["Environment"]["Variables"].get("PMA_ALLOW_INSECURE_ENDPOINTS")
        for _, function in of_type(synthesised(stage), "AWS::Lambda::Function")
    }
    assert told - {None} == {"yes" if stage == "local" else "no"}


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_r96_no_authorizer_could_give_a_stale_answer(synthesised: TemplateOf, stage: str) -> None:
    """Things come by certificate and hospitals by a token that the function verifies: no answer is cached anywhere."""
    kinds = {one["Type"] for one in synthesised(stage)["Resources"].values()}
    assert not [kind for kind in kinds if "Authorizer" in kind]
