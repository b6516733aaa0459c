"""Every rule of the template finds a planted breach, and the stages break none."""

from collections.abc import Callable
from typing import Any

import pytest

from infra.rules import RULES, Template, broken, of_type, target
from infra.stage import STAGES
from tests.infra.conftest import TemplateOf

Breach = Callable[[Template], None]
BREACHES: list[tuple[str, str, Breach]] = []


def breach(rule: str, what: str) -> Callable[[Breach], Breach]:
    """The decorated function breaks `rule` in a template; the finding says `what`."""

    def enter(function: Breach) -> Breach:
        BREACHES.append((rule, what, function))
        return function

    return enter


def first(template: Template, kind: str, having: str = "") -> dict[str, Any]:
    """The properties of the first resource of this type whose logical id contains `having`."""
    return next(properties for name, properties in of_type(template, kind) if having in name)


def work_queue(template: Template) -> dict[str, Any]:
    """The inbox."""
    return next(queue for _, queue in of_type(template, "AWS::SQS::Queue") if "RedrivePolicy" in queue)


def reader(template: Template, *, stream: bool) -> dict[str, Any]:
    return next(
        mapping
        for _, mapping in of_type(template, "AWS::Lambda::EventSourceMapping")
        if ("StartingPosition" in mapping) is stream
    )


def payload(template: Template) -> dict[str, Any]:
    found: dict[str, Any] = first(template, "AWS::IoT::TopicRule")["TopicRulePayload"]
    return found


def device_statement(template: Template, action: str) -> dict[str, Any]:
    statements = first(template, "AWS::IoT::Policy")["PolicyDocument"]["Statement"]
    found: dict[str, Any] = next(one for one in statements if one["Action"] == action)
    return found


def may(template: Template, role: str, *actions: str, resource: Any = "*") -> None:
    document = first(template, "AWS::IAM::Policy", role)["PolicyDocument"]
    document["Statement"].append({"Effect": "Allow", "Action": list(actions), "Resource": resource})


def alarm(template: Template, metric: str) -> dict[str, Any]:
    return next(one for _, one in of_type(template, "AWS::CloudWatch::Alarm") if one.get("MetricName") == metric)


def without_alarm(template: Template, metric: str) -> None:
    template["Resources"] = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource.get("Properties", {}).get("MetricName") != metric
    }


@breach("T1", "no error action")
def no_error_action_r1(template: Template) -> None:
    del payload(template)["ErrorAction"]


@breach("T1", "share queue or role")
def the_same_role(template: Template) -> None:
    payload(template)["ErrorAction"]["Sqs"]["RoleArn"] = payload(template)["Actions"][0]["Sqs"]["RoleArn"]


@breach("T1", "share queue or role")
def the_same_queue(template: Template) -> None:
    payload(template)["ErrorAction"]["Sqs"]["QueueUrl"] = payload(template)["Actions"][0]["Sqs"]["QueueUrl"]


@breach("T1", "share the queues' key")
def the_same_key(template: Template) -> None:
    key = first(template, "AWS::SQS::Queue", "InboxFresh")["KmsMasterKeyId"]
    first(template, "AWS::SQS::Queue", "DevicesErrors")["KmsMasterKeyId"] = key


@breach("T2", "wildcard in")
def any_iot_action(template: Template) -> None:
    device_statement(template, "iot:Publish")["Action"] = "iot:*"


@breach("T2", "wildcard or another variable")
def any_topic_r11(template: Template) -> None:
    device_statement(template, "iot:Receive")["Resource"] = (
        "arn:aws:iot:eu-central-1:1:topic/cmd/pma/${iot:Connection.Thing.ThingName}/*"
    )


@breach("T2", "does not name the thing")
def a_topic_of_nobody(template: Template) -> None:
    device_statement(template, "iot:Receive")["Resource"] = "arn:aws:iot:eu-central-1:1:topic/cmd/pma/all/request"


@breach("T2", "wildcard or another variable")
def the_client_as_it_calls_itself_r11(template: Template) -> None:
    device_statement(template, "iot:Connect")["Resource"] = "arn:aws:iot:eu-central-1:1:client/${iot:ClientId}"


@breach("T2", "connects without IsAttached")
def a_certificate_of_no_thing_r10(template: Template) -> None:
    del device_statement(template, "iot:Connect")["Condition"]


@breach("T2", "not Basic Ingest of our own rule")
def somebody_elses_rule_r20(template: Template) -> None:
    device_statement(template, "iot:Publish")["Resource"] = [
        "arn:aws:iot:eu-central-1:1:topic/$aws/rules/other/dt/pma/${iot:Connection.Thing.ThingName}/readings"
    ]


@breach("T2", "more than IoT's 2048")
def too_large_a_policy(template: Template) -> None:
    statement = device_statement(template, "iot:Publish")
    statement["Resource"] = statement["Resource"] * 3


@breach("T2", "wildcard or another variable")
def any_vendor_of_any_thing(template: Template) -> None:
    device_statement(template, "iot:Publish")["Resource"] = [
        "arn:aws:iot:eu-central-1:1:topic/dt/pma/${iot:Connection.Thing.ThingName}/x/vendor/*"
    ]


def claim_statement(template: Template, action: str) -> dict[str, Any]:
    statements = first(template, "AWS::IoT::Policy", "ProvisioningClaim")["PolicyDocument"]["Statement"]
    found: dict[str, Any] = next(one for one in statements if action in one["Action"])
    return found


@breach("R13", "is not provisioning through the hook")
def a_claim_that_publishes_data(template: Template) -> None:
    claim_statement(template, "iot:Publish")["Resource"].append("arn:aws:iot:eu-central-1:1:topic/dt/pma/*")


@breach("R13", "may iot:*")
def a_claim_that_may_anything(template: Template) -> None:
    claim_statement(template, "iot:Subscribe")["Action"] = "iot:*"


@breach("R13", "is not provisioning through the hook")
def a_template_that_asks_nobody(template: Template) -> None:
    del first(template, "AWS::IoT::ProvisioningTemplate")["PreProvisioningHook"]


@breach("R13", "no policy of claims")
def a_claim_without_a_policy_of_its_own(template: Template) -> None:
    template["Resources"] = {name: one for name, one in template["Resources"].items() if "ClaimPolicy" not in name}


@breach("T3", "hides a message 30 s, less than 180 s")
def the_functions_own_timeout_r21(template: Template) -> None:
    work_queue(template)["VisibilityTimeout"] = 30


@breach("T4", "no dead letters, and is none")
def a_queue_of_its_own(template: Template) -> None:
    template["Resources"]["Lonely"] = {"Type": "AWS::SQS::Queue", "Properties": {}}


@breach("T4", "gives up after 1 attempts")
def one_attempt_r21(template: Template) -> None:
    work_queue(template)["RedrivePolicy"]["maxReceiveCount"] = 1


@breach("T4", "does not outlive")
def dead_letters_that_die_first_r25(template: Template) -> None:
    for _, queue in of_type(template, "AWS::SQS::Queue"):
        queue["MessageRetentionPeriod"] = 14 * 24 * 3600


@breach("T4", "keeps dead letters 345600 s")
def dead_letters_kept_four_days(template: Template) -> None:
    del first(template, "AWS::SQS::Queue", "DevicesErrors")["MessageRetentionPeriod"]


@breach("T5", "nobody is told")
def dead_letters_that_nobody_watches_r26(template: Template) -> None:
    without_alarm(template, "ApproximateNumberOfMessagesVisible")


@breach("T5", "nobody is told")
def an_alarm_without_action(template: Template) -> None:
    alarm(template, "ApproximateNumberOfMessagesVisible")["AlarmActions"] = []


@breach("T6", "without ReportBatchItemFailures")
def one_message_fails_ten_r22(template: Template) -> None:
    del reader(template, stream=False)["FunctionResponseTypes"]


@breach("T6", "without BisectBatchOnFunctionError")
def no_halving(template: Template) -> None:
    reader(template, stream=True)["BisectBatchOnFunctionError"] = False


@breach("T6", "without a finite MaximumRetryAttempts")
def retries_without_end_r39(template: Template) -> None:
    reader(template, stream=True)["MaximumRetryAttempts"] = -1


@breach("T6", "without an on-failure destination")
def failures_that_go_nowhere(template: Template) -> None:
    del reader(template, stream=True)["DestinationConfig"]


@breach("T6", "without TRIM_HORIZON")
def a_gap_at_each_deployment_r42(template: Template) -> None:
    reader(template, stream=True)["StartingPosition"] = "LATEST"


@breach("T7", "3 readers of one stream")
def a_third_reader_r41(template: Template) -> None:
    observations = next(
        mapping
        for _, mapping in of_type(template, "AWS::Lambda::EventSourceMapping")
        if target(mapping["EventSourceArn"]).startswith("StorageObservations")
    )
    template["Resources"]["Third"] = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": observations}


@breach("T8", "without RedrivePolicy")
def a_subscription_that_drops_r55(template: Template) -> None:
    template["Resources"]["Mail"] = {"Type": "AWS::SNS::Subscription", "Properties": {"Protocol": "email"}}


@breach("T9", "without DeadLetterConfig")
def a_schedule_that_gives_up_r58(template: Template) -> None:
    template["Resources"]["Tick"] = {"Type": "AWS::Scheduler::Schedule", "Properties": {"Target": {"RetryPolicy": {}}}}


@breach("T9", "without DeadLetterConfig")
def an_event_rule_that_gives_up(template: Template) -> None:
    template["Resources"]["Tick"] = {"Type": "AWS::Events::Rule", "Properties": {"Targets": [{"Id": "1"}]}}


@breach("T10", "no reserved concurrency")
def concurrency_for_whoever_comes(template: Template) -> None:
    del first(template, "AWS::Lambda::Function")["ReservedConcurrentExecutions"]


@breach("T10", "functions reserve")
def more_than_the_account_has_r36(template: Template) -> None:
    first(template, "AWS::Lambda::Function")["ReservedConcurrentExecutions"] = 900


@breach("T10", "not below the function's reserved concurrency")
def a_poller_that_throttles_itself(template: Template) -> None:
    del reader(template, stream=False)["ScalingConfig"]


@breach("T11", "RecursiveLoop is None")
def a_loop_that_nobody_decided_r60(template: Template) -> None:
    del first(template, "AWS::Lambda::Function")["RecursiveLoop"]


@breach("T11", "RecursiveLoop is Allow")
def a_loop_that_nobody_meant(template: Template) -> None:
    first(template, "AWS::Lambda::Function", "Ingest")["RecursiveLoop"] = "Allow"


@breach("T12", "without 35 days")
def a_week_of_recovery(template: Template) -> None:
    first(template, "AWS::DynamoDB::Table")["PointInTimeRecoverySpecification"]["RecoveryPeriodInDays"] = 7


@breach("T12", "without deletion protection")
def a_table_that_a_slip_deletes(template: Template) -> None:
    first(template, "AWS::DynamoDB::Table")["DeletionProtectionEnabled"] = False


@breach("T12", "without its own key")
def a_table_under_amazons_key(template: Template) -> None:
    del first(template, "AWS::DynamoDB::Table")["SSESpecification"]


@breach("T12", "without Retain")
def a_table_that_goes_with_the_stack_r100(template: Template) -> None:
    next(r for r in template["Resources"].values() if r["Type"] == "AWS::DynamoDB::Table")["DeletionPolicy"] = "Delete"


@breach("T13", "without Object Lock")
def an_archive_that_can_be_emptied(template: Template) -> None:
    del first(template, "AWS::S3::Bucket")["ObjectLockConfiguration"]


@breach("T13", "without versions")
def an_archive_that_can_be_overwritten_r101(template: Template) -> None:
    del first(template, "AWS::S3::Bucket")["VersioningConfiguration"]


@breach("T13", "without TLS only")
def an_archive_over_plain_http(template: Template) -> None:
    first(template, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"] = []


@breach("T13", "without public access blocked")
def a_public_archive(template: Template) -> None:
    first(template, "AWS::S3::Bucket")["PublicAccessBlockConfiguration"]["BlockPublicAcls"] = False


@breach("T15", "no action")
def an_alarm_that_rings_nowhere(template: Template) -> None:
    del alarm(template, "Errors")["AlarmActions"]


@breach("T15", "what silence means")
def an_alarm_without_meaning_of_silence_r105(template: Template) -> None:
    del alarm(template, "Errors")["TreatMissingData"]


@breach("T15", "no page of the runbook")
def an_alarm_without_advice(template: Template) -> None:
    alarm(template, "Errors")["AlarmDescription"] = "A function fails."


@breach("T15", "the page is never sent")
def a_topic_that_alarms_may_not_publish_to_r106(template: Template) -> None:
    policy = first(template, "AWS::SNS::TopicPolicy")["PolicyDocument"]
    policy["Statement"] = [one for one in policy["Statement"] if "cloudwatch" not in str(one)]


@breach("T15", "the page is never sent")
def a_page_that_is_never_sent_r106(template: Template) -> None:
    key = first(template, "AWS::KMS::Key", "KeysOperations")["KeyPolicy"]
    key["Statement"] = [one for one in key["Statement"] if "cloudwatch" not in str(one)]


@breach("T16", "may dynamodb:Scan")
def a_scan_over_all_organisations_r82(template: Template) -> None:
    may(template, "Registry", "dynamodb:Scan")


@breach("T16", "may dynamodb:*")
def every_action_r94(template: Template) -> None:
    may(template, "Ingest", "dynamodb:*")


@breach("T16", "may dynamodb:PartiQLSelect")
def a_scan_by_another_name(template: Template) -> None:
    may(template, "Registry", "dynamodb:PartiQLSelect")


@breach("F11", "may kms:Decrypt on the contacts")
def the_api_opens_contacts(template: Template) -> None:
    key = next(name for name, _ in of_type(template, "AWS::KMS::Key") if "Contacts" in name)
    may(template, "Registry", "kms:Decrypt", resource={"Fn::GetAtt": [key, "Arn"]})


@breach("F11", "may dynamodb:GetItem on the contacts")
def evaluate_reads_contacts(template: Template) -> None:
    table = next(name for name, _ in of_type(template, "AWS::DynamoDB::Table") if "Contacts" in name)
    may(template, "Evaluate", "dynamodb:GetItem", resource={"Fn::GetAtt": [table, "Arn"]})


@breach("F11", "kms:*")
def a_key_that_obeys_the_account(template: Template) -> None:
    first(template, "AWS::KMS::Key", "KeysContacts")["KeyPolicy"]["Statement"][0]["Action"] = "kms:*"


@breach("F11", "kms:Decrypt")
def a_key_that_the_api_opens(template: Template) -> None:
    statements = first(template, "AWS::KMS::Key", "KeysContacts")["KeyPolicy"]["Statement"]
    next(one for one in statements if one["Action"] == "kms:Encrypt")["Action"] = ["kms:Encrypt", "kms:Decrypt"]


@breach("F11", "is not found by its name")
def contacts_that_are_gone(template: Template) -> None:
    template["Resources"] = {name: one for name, one in template["Resources"].items() if "Contacts" not in name}


@breach("R92", "may dynamodb:DeleteItem on the audit")
def an_audit_that_the_api_takes_back(template: Template) -> None:
    table = next(name for name, _ in of_type(template, "AWS::DynamoDB::Table") if name.startswith("StorageAudit"))
    may(template, "Registry", "dynamodb:DeleteItem", resource={"Fn::GetAtt": [table, "Arn"]})


@breach("R92", "is not found by its name")
def an_audit_that_is_gone(template: Template) -> None:
    template["Resources"] = {name: one for name, one in template["Resources"].items() if "StorageAudit" not in name}


@breach("R90", "may delete there")
def the_api_deletes_observations(template: Template) -> None:
    table = next(name for name, _ in of_type(template, "AWS::DynamoDB::Table") if "Observations" in name)
    may(template, "Registry", "dynamodb:DeleteItem", resource={"Fn::GetAtt": [table, "Arn"]})


@breach("R90", "may delete there")
def even_erase_deletes_a_tombstone(template: Template) -> None:
    table = next(name for name, _ in of_type(template, "AWS::DynamoDB::Table") if "Erasures" in name)
    may(template, "Erase", "dynamodb:DeleteItem", resource={"Fn::GetAtt": [table, "Arn"]})


@breach("R90", "no table of tombstones")
def tombstones_that_are_gone(template: Template) -> None:
    template["Resources"] = {name: one for name, one in template["Resources"].items() if "Erasures" not in name}


@breach("T17", "kept for ever")
def logs_for_ever(template: Template) -> None:
    del first(template, "AWS::Logs::LogGroup")["RetentionInDays"]


@breach("T17", "without our key")
def logs_under_amazons_key(template: Template) -> None:
    del first(template, "AWS::Logs::LogGroup")["KmsKeyId"]


@breach("T17", "a group that is not ours")
def logs_wherever_lambda_puts_them(template: Template) -> None:
    del first(template, "AWS::Lambda::Function")["LoggingConfig"]


@breach("T18", "no rule on the region")
def any_region_r97(template: Template) -> None:
    del template["Rules"]["Region"]


@breach("T19", "invokes asynchronously")
def a_topic_that_invokes(template: Template) -> None:
    first(template, "AWS::Lambda::Permission")["Principal"] = "sns.amazonaws.com"


@breach("T19", "invokes asynchronously")
def a_rule_of_iot_that_invokes(template: Template) -> None:
    hook = first(template, "AWS::Lambda::Permission", "ProvisioningInvoke")
    hook["FunctionName"] = {"Fn::GetAtt": ["RegistryFunction", "Arn"]}


@breach("T19", "asynchronous calls")
def a_call_that_is_forgotten_r61(template: Template) -> None:
    template["Resources"]["Later"] = {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": {}}


@breach("T20", "no alarm on Throttles")
def a_function_that_is_throttled_unseen(template: Template) -> None:
    without_alarm(template, "Throttles")


@breach("R2", "no alarm on ErrorActionFailure")
def messages_lost_unseen(template: Template) -> None:
    without_alarm(template, "ErrorActionFailure")


@breach("R25", "no alarm on the age")
def a_reader_that_is_disabled_unseen_r37(template: Template) -> None:
    without_alarm(template, "ApproximateAgeOfOldestMessage")


@breach("R25", "no alarms on a lag")
def a_stream_that_lags_unseen_r39(template: Template) -> None:
    without_alarm(template, "IteratorAge")


@breach("R38", "without Retain")
def a_key_that_goes_with_the_stack(template: Template) -> None:
    next(one for one in template["Resources"].values() if one["Type"] == "AWS::KMS::Key")["DeletionPolicy"] = "Delete"


@breach("R38", "deleted within 7 days")
def a_key_that_is_gone_in_a_week_r35(template: Template) -> None:
    first(template, "AWS::KMS::Key")["PendingWindowInDays"] = 7


def sql(selected: str, rest: str = "FROM 'dt/pma/#'") -> Breach:
    def change(template: Template) -> None:
        payload(template)["Sql"] = f"SELECT {selected} {rest}"

    return change


GOOD = "encode(*, 'base64') AS payload, topic() AS topic"
for name, what, planted in (
    ("upper", "'upper(topic()) AS t' was never tried", sql(f"{GOOD}, upper(topic()) AS t")),
    ("CASE", "was never tried", sql(f"{GOOD}, CASE a WHEN 1 THEN 2 END AS b")),
    ("a literal", "\"'x' AS b\" was never tried", sql(f"{GOOD}, 'x' AS b")),
    ("a number", "'1 AS b' was never tried", sql(f"{GOOD}, 1 AS b")),
    ("a nested SELECT", "was never tried", sql(f"{GOOD}, (SELECT a) AS c")),
    ("decode", "was never tried", sql("decode(payload, 'base64') AS payload, topic() AS topic")),
    ("lower in WHERE", "was never tried", sql(GOOD, "FROM 'dt/pma/#' WHERE lower(topic(3)) = 'a'")),
    ("isUndefined = false", "was never tried", sql(GOOD, "FROM 'dt/pma/#' WHERE isUndefined(a) = false")),
    ("no FROM", "has another shape", sql(GOOD, "")),
    ("one topic r3", "does not catch all", sql(GOOD, "FROM 'dt/pma/+/readings'")),
    ("a thing named in the payload r9", "exact bytes and the thing's own topic", sql("encode(*, 'base64') AS payload")),
):
    planted.__name__ = name.replace(" ", "_")
    BREACHES.append(("SQL", what, planted))


@pytest.mark.parametrize("stage", STAGES)
def test_r3_a_message_to_any_topic_of_data_is_taken_by_the_rule(synthesised: TemplateOf, stage: str) -> None:
    """What no rule matches is lost unseen, so there is one rule and it takes all there is."""
    (rule,) = (properties for _, properties in of_type(synthesised(stage), "AWS::IoT::TopicRule"))
    assert rule["TopicRulePayload"]["Sql"].endswith(f"FROM 'dt/{STAGES[stage].topic_prefix}/#'")


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_breaks_a_rule(synthesised: TemplateOf, stage: str) -> None:
    assert broken(synthesised(stage), durable=STAGES[stage].durable) == []


@pytest.mark.parametrize(
    ("rule", "what", "plant"), BREACHES, ids=[f"{rule}-{plant.__name__}" for rule, _, plant in BREACHES]
)
def test_a_planted_breach_is_found(prod: Template, rule: str, what: str, plant: Breach) -> None:
    plant(prod)
    assert [found for found in broken(prod) if found.startswith(f"{rule} ") and what in found], broken(prod)


def test_every_rule_has_a_planted_breach() -> None:
    assert {rule for rule, _, _ in BREACHES} == set(RULES)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT encode(*, 'base64') AS payload, topic() AS topic FROM 'dt/pma/#'",
        "SELECT encode(*, 'base64') AS payload, topic() AS topic, topic(3) AS thing, a.b.c, a + 1 AS b FROM 'dt/pma/#'",
        "SELECT *, encode(*, 'base64') AS p, topic() AS t FROM 'dt/#' WHERE a > 1 AND (b LIKE 'x%' OR c IN (1, 2))",
        "SELECT encode(*, 'base64') AS p, topic() AS t FROM 'dt/#' WHERE NOT (isUndefined(a)) AND b BETWEEN 1 AND 2",
    ],
)
def test_sql_that_was_tried_is_let_through(prod: Template, text: str) -> None:
    payload(prod)["Sql"] = text
    assert [found for found in broken(prod) if found.startswith("SQL ")] == []


def test_a_stage_in_an_emulator_may_be_destroyed(synthesised: TemplateOf) -> None:
    assert {found.split()[0] for found in broken(synthesised("local"))} == {"T12", "T13", "R38"}
