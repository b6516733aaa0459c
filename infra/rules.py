"""Rules that the synthesised template must keep and that no public linter sees, by the ids of CONTRIBUTING.md.

A rule takes the template as CloudFormation has it and returns what breaks it, a sentence each. `broken` runs all;
`infra.app` refuses to synthesise a template that breaks one, and each has a planted breach in tests/infra.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Template: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Template], list[str]]

RULES: dict[str, Rule] = {}

ONLY_DURABLE = {"T12", "T13", "R38"}
"""A stage inside an emulator is thrown away with it: it may be destroyed."""

UNRESERVED = 100
"""Lambda keeps this much of an account's concurrency for functions that reserve none."""
ACCOUNT_CONCURRENCY = 1000
"""The quota of a new account once raised to its default."""

FOURTEEN_DAYS = 14 * 24 * 3600
FOUR_DAYS = 4 * 24 * 3600
"""SQS's default retention, where a queue names none."""
POLICY_CHARACTERS = 2048
"""The largest IoT policy, white space not counted."""
THING = "${iot:Connection.Thing.ThingName}"
WIDEST = {"AWS::Region": "ap-southeast-1", "AWS::Partition": "aws-us-gov", "AWS::AccountId": "123456789012"}


def broken(template: Template, *, durable: bool = True) -> list[str]:
    """`T3 …` for everything in `template` that breaks a rule. A stage that is not `durable` may be destroyed."""
    return [
        f"{name} {finding}"
        for name, rule in RULES.items()
        if durable or name not in ONLY_DURABLE
        for finding in rule(template)
    ]


def rule(name: str) -> Callable[[Rule], Rule]:
    def enter(function: Rule) -> Rule:
        RULES[name] = function
        return function

    return enter


def of_type(template: Template, *kinds: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(logical id, properties)` of each resource of these types."""
    for name, resource in template["Resources"].items():
        if resource["Type"] in kinds:
            yield name, resource.get("Properties", {})


def target(value: Any) -> str:
    """The logical id that a Ref or Fn::GetAtt points at; a plain value is itself."""
    if isinstance(value, dict):
        if "Ref" in value:
            return str(value["Ref"])
        if "Fn::GetAtt" in value:
            return str(value["Fn::GetAtt"][0])
    return json.dumps(value, sort_keys=True)


def text(value: Any) -> str:
    """An Fn::Join of strings and pseudo parameters as one string, its references as `<LogicalId>`."""
    if isinstance(value, dict):
        if "Fn::Join" in value:
            separator, parts = value["Fn::Join"]
            return str(separator).join(text(part) for part in parts)
        if "Ref" in value:
            return WIDEST.get(value["Ref"], f"<{value['Ref']}>")
        return f"<{target(value)}>"
    return str(value)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def queues(template: Template) -> dict[str, dict[str, Any]]:
    return dict(of_type(template, "AWS::SQS::Queue"))


def mappings(template: Template) -> Iterator[tuple[str, dict[str, Any], str]]:
    """`(logical id, properties, source's logical id)` of each event source mapping."""
    for name, mapping in of_type(template, "AWS::Lambda::EventSourceMapping"):
        yield name, mapping, target(mapping["EventSourceArn"])


def dead_letters(template: Template) -> dict[str, list[str]]:
    """`{terminal queue: the queues that move into it}`; those that only failures are sent to have no source."""
    found: dict[str, list[str]] = {}
    for name, queue in queues(template).items():
        if "RedrivePolicy" in queue:
            found.setdefault(target(queue["RedrivePolicy"]["deadLetterTargetArn"]), []).append(name)
    for _, mapping, _ in mappings(template):
        if destination := mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"):
            found.setdefault(target(destination), [])
    for _, rule_ in of_type(template, "AWS::IoT::TopicRule"):
        if action := rule_["TopicRulePayload"].get("ErrorAction", {}).get("Sqs"):
            found.setdefault(target(action["QueueUrl"]), [])
    return found


def alarms(template: Template, metric: str, dimension: str, value: str) -> list[dict[str, Any]]:
    """The alarms on `metric` of the thing whose `dimension` is the logical id or name `value`."""
    return [
        alarm
        for _, alarm in of_type(template, "AWS::CloudWatch::Alarm")
        if alarm.get("MetricName") == metric
        and any(
            one["Name"] == dimension and (target(one["Value"]) == value or one["Value"] == value)
            for one in alarm.get("Dimensions", [])
        )
    ]


def statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(role's logical id, statement)` of every policy of every role, inline or beside it."""
    for name, role in of_type(template, "AWS::IAM::Role"):
        for policy in role.get("Policies", []):
            for statement in listed(policy["PolicyDocument"]["Statement"]):
                yield name, statement
    for _, policy in of_type(template, "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for statement in listed(policy["PolicyDocument"]["Statement"]):
            for role in policy.get("Roles", []):
                yield target(role), statement


def roles_of(template: Template, package: str) -> set[str]:
    """The roles of the functions whose code is `functions/<package>`."""
    return {
        target(function["Role"])
        for _, function in of_type(template, "AWS::Lambda::Function")
        if str(function.get("Handler", "")).startswith(f"functions.{package}.")
    }


@rule("T1")
def error_action_shares_nothing(template: Template) -> list[str]:
    """What fails the action must not fail the error action: another queue, another role, another key (R1)."""
    found = []
    keys = {name: target(queue.get("KmsMasterKeyId")) for name, queue in queues(template).items()}
    for name, properties in of_type(template, "AWS::IoT::TopicRule"):
        payload = properties["TopicRulePayload"]
        error = payload.get("ErrorAction", {}).get("Sqs")
        if error is None:
            found.append(f"{name}: no error action to a queue; a message whose action failed is lost")
            continue
        for action in (one["Sqs"] for one in payload["Actions"] if "Sqs" in one):
            same_queue = target(action["QueueUrl"]) == target(error["QueueUrl"])
            if same_queue or target(action["RoleArn"]) == target(error["RoleArn"]):
                found.append(f"{name}: action and error action share queue or role")
            elif keys.get(target(action["QueueUrl"])) == keys.get(target(error["QueueUrl"])):
                found.append(f"{name}: action and error action share the queues' key")
    return found


@rule("T2")
def devices_speak_for_themselves(template: Template) -> list[str]:
    """No wildcard, and the thing's own name in every resource (R10, R11)."""
    found = []
    for name, properties in of_type(template, "AWS::IoT::Policy"):
        document = properties["PolicyDocument"]
        if _is_of_claims(name):
            continue
        rules_ = [text(one.get("RuleName", "")) for _, one in of_type(template, "AWS::IoT::TopicRule")]
        for statement in document["Statement"]:
            actions = listed(statement["Action"])
            if any("*" in action for action in actions):
                found.append(f"{name}: wildcard in {actions}")
            for resource in map(text, listed(statement["Resource"])):
                bare = resource.replace(f"{THING}/vendor/*", "").replace(THING, "")
                if re.search(r"[*?#+]", bare) or "${" in bare:
                    found.append(f"{name}: wildcard or another variable than the thing in {resource}")
                if THING not in resource:
                    found.append(f"{name}: {resource} does not name the thing")
                if "$aws/" in bare and not any(f"topic/$aws/rules/{rule_}/dt/" in bare for rule_ in rules_):
                    found.append(f"{name}: {resource} is not Basic Ingest of our own rule")
            attached = statement.get("Condition", {}).get("Bool", {}).get("iot:Connection.Thing.IsAttached")
            if "iot:Connect" in actions and attached != "true":
                found.append(f"{name}: connects without IsAttached")
        size = len(re.sub(r"\s", "", json.dumps(_written_out(document), separators=(",", ":"))))
        if size > POLICY_CHARACTERS:
            found.append(f"{name}: {size} characters, more than IoT's {POLICY_CHARACTERS}")
    return found


def _is_of_claims(policy: str) -> bool:
    return policy.startswith("ProvisioningClaim")


@rule("R13")
def claims_do_nothing_but_provision(template: Template) -> list[str]:
    """A claim that was read out of a device can neither publish nor hear data, and each use of it asks the hook."""
    found = []
    hooked = [
        properties["TemplateName"]
        for _, properties in of_type(template, "AWS::IoT::ProvisioningTemplate")
        if "TargetArn" in properties.get("PreProvisioningHook", {})
    ]
    fine = {
        *("$aws/certificates/create/*", "$aws/certificates/create-from-csr/*"),
        *(f"$aws/provisioning-templates/{name}/provision/*" for name in hooked),
    }
    policies = [(name, one) for name, one in of_type(template, "AWS::IoT::Policy") if _is_of_claims(name)]
    if not hooked or not policies:
        found.append("no provisioning template has a hook, or there is no policy of claims")
    for name, properties in policies:
        for statement in properties["PolicyDocument"]["Statement"]:
            resources = map(text, listed(statement["Resource"]))
            topics = [re.sub(r"^.*?:(topic|topicfilter)/", "", one) for one in resources]
            if statement["Action"] == "iot:Connect":
                continue
            if not {*listed(statement["Action"])} <= {"iot:Publish", "iot:Receive", "iot:Subscribe"}:
                found.append(f"{name}: may {statement['Action']}")
            found += [f"{name}: {topic} is not provisioning through the hook" for topic in topics if topic not in fine]
    return found


def _written_out(value: Any) -> Any:
    if isinstance(value, list):
        return [_written_out(one) for one in value]
    if isinstance(value, dict):
        return text(value) if "Fn::Join" in value or "Ref" in value else {k: _written_out(v) for k, v in value.items()}
    return value


@rule("T3")
def messages_stay_hidden_long_enough(template: Template) -> list[str]:
    """Six times the function's timeout and the window, else a message is read twice at once (R21)."""
    found = []
    functions, waiting = dict(of_type(template, "AWS::Lambda::Function")), queues(template)
    for name, mapping, source in mappings(template):
        if source in waiting:
            timeout = functions[target(mapping["FunctionName"])].get("Timeout", 3)
            least = 6 * timeout + mapping.get("MaximumBatchingWindowInSeconds", 0)
            visible = waiting[source].get("VisibilityTimeout", 30)
            if visible < least:
                found.append(f"{name}: {source} hides a message {visible} s, less than {least} s")
    return found


@rule("T4")
def no_queue_ends_in_nothing(template: Template) -> list[str]:
    """Every queue has dead letters or is one, and those outlive what fills them (R21, R25)."""
    found = []
    terminal, all_queues = dead_letters(template), queues(template)
    for name, queue in all_queues.items():
        redrive = queue.get("RedrivePolicy")
        kept = queue.get("MessageRetentionPeriod", FOUR_DAYS)
        if redrive is None and name not in terminal:
            found.append(f"{name}: no dead letters, and is none")
        if redrive is not None and int(redrive["maxReceiveCount"]) < 5:
            found.append(f"{name}: gives up after {redrive['maxReceiveCount']} attempts")
        if name in terminal and kept != FOURTEEN_DAYS:
            found.append(f"{name}: keeps dead letters {kept} s, not 14 days")
        found += [
            f"{name}: does not outlive {source}, whose clock is not reset on the move"
            for source in terminal.get(name, [])
            if all_queues[source].get("MessageRetentionPeriod", FOUR_DAYS) >= kept
        ]
    return found


@rule("T5")
def dead_letters_are_told(template: Template) -> list[str]:
    return [
        f"{name}: nobody is told of a first message"
        for name in dead_letters(template)
        if not any(
            alarm.get("Threshold") == 0
            and alarm.get("ComparisonOperator") == "GreaterThanThreshold"
            and alarm.get("AlarmActions")
            for alarm in alarms(template, "ApproximateNumberOfMessagesVisible", "QueueName", name)
        )
    ]


@rule("T6")
def one_record_does_not_stop_its_shard(template: Template) -> list[str]:
    """Also R39, R42, R22."""
    found = []
    waiting = queues(template)
    for name, mapping, source in mappings(template):
        wanted: dict[str, bool] = {
            "ReportBatchItemFailures": "ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", [])
        }
        if source not in waiting:
            wanted |= {
                "BisectBatchOnFunctionError": mapping.get("BisectBatchOnFunctionError") is True,
                "a finite MaximumRetryAttempts": mapping.get("MaximumRetryAttempts", -1) >= 0,
                "an on-failure destination": "OnFailure" in mapping.get("DestinationConfig", {}),
                "TRIM_HORIZON": mapping.get("StartingPosition") == "TRIM_HORIZON",
            }
        found += [f"{name}: without {what}" for what, kept in wanted.items() if not kept]
    return found


@rule("T7")
def two_readers_a_stream(template: Template) -> list[str]:
    """A third is throttled, and alerts are late (R41)."""
    waiting = queues(template)
    readers: dict[str, int] = {}
    for _, _, source in mappings(template):
        readers[source] = readers.get(source, 0) + 1
    return [
        f"{source}: {count} readers of one stream"
        for source, count in readers.items()
        if source not in waiting and count > 2
    ]


@rule("T8")
def subscriptions_keep_what_they_cannot_deliver(template: Template) -> list[str]:
    """Also R55."""
    return [
        f"{name}: subscription without RedrivePolicy"
        for name, subscription in of_type(template, "AWS::SNS::Subscription")
        if "RedrivePolicy" not in subscription
    ]


@rule("T9")
def schedules_keep_what_they_cannot_start(template: Template) -> list[str]:
    """Also R58."""
    targets = [
        *((name, one["Target"]) for name, one in of_type(template, "AWS::Scheduler::Schedule")),
        *((name, to) for name, one in of_type(template, "AWS::Events::Rule") for to in one.get("Targets", [])),
    ]
    return [
        f"{name}: target without DeadLetterConfig and RetryPolicy"
        for name, to in targets
        if "DeadLetterConfig" not in to or "RetryPolicy" not in to
    ]


@rule("T10")
def nobody_starves_another(template: Template) -> list[str]:
    """Concurrency is reserved, pollers stay below it, and the account keeps its unreserved part (R36)."""
    functions = dict(of_type(template, "AWS::Lambda::Function"))
    found = [
        f"{name}: no reserved concurrency"
        for name, function in functions.items()
        if "ReservedConcurrentExecutions" not in function
    ]
    reserved = {name: function.get("ReservedConcurrentExecutions", 0) for name, function in functions.items()}
    if sum(reserved.values()) > ACCOUNT_CONCURRENCY - UNRESERVED:
        found.append(f"functions reserve {sum(reserved.values())} together")
    waiting = queues(template)
    for name, mapping, source in mappings(template):
        most = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
        if source in waiting and (most is None or most >= reserved[target(mapping["FunctionName"])]):
            found.append(f"{name}: polls with {most}, not below the function's reserved concurrency")
    return found


@rule("T11")
def loops_are_meant(template: Template) -> list[str]:
    """Only the doorbell rings itself; everyone else is stopped at the 16th turn (R60, R109)."""
    loops = {"functions.export.handler.send": "Allow"}
    return [
        f"{name}: RecursiveLoop is {function.get('RecursiveLoop')}"
        for name, function in of_type(template, "AWS::Lambda::Function")
        if function.get("RecursiveLoop") != loops.get(function.get("Handler", ""), "Terminate")
    ]


@rule("T12")
def tables_outlive_mistakes(template: Template) -> list[str]:
    found = []
    for name, table in of_type(template, "AWS::DynamoDB::Table"):
        recovery = table.get("PointInTimeRecoverySpecification", {})
        encryption = table.get("SSESpecification", {})
        wanted = {
            "35 days of point-in-time recovery": recovery.get("PointInTimeRecoveryEnabled") is True
            and recovery.get("RecoveryPeriodInDays") == 35,
            "deletion protection": table.get("DeletionProtectionEnabled") is True,
            "its own key": encryption.get("SSEType") == "KMS" and "KMSMasterKeyId" in encryption,
            "Retain": _retained(template, name),
        }
        found += [f"{name}: without {what}" for what, kept in wanted.items() if not kept]
    return found


@rule("T13")
def the_archive_forgets_nothing(template: Template) -> list[str]:
    found = []
    for name, bucket in of_type(template, "AWS::S3::Bucket"):
        retention = bucket.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
        wanted = {
            "Object Lock": bucket.get("ObjectLockEnabled") is True and bool(retention.get("Days")),
            "versions": bucket.get("VersioningConfiguration", {}).get("Status") == "Enabled",
            "Retain": _retained(template, name),
            "TLS only": any(
                statement["Effect"] == "Deny"
                and statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport") == "false"
                for _, policy in of_type(template, "AWS::S3::BucketPolicy")
                if target(policy["Bucket"]) == name
                for statement in policy["PolicyDocument"]["Statement"]
            ),
            "public access blocked": set(bucket.get("PublicAccessBlockConfiguration", {}).values()) == {True},
        }
        found += [f"{name}: without {what}" for what, kept in wanted.items() if not kept]
    return found


STATEFUL = {
    "AWS::Cognito::UserPool",
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::KinesisFirehose::DeliveryStream",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
}
"""What holds something that a replacement would lose: their logical ids stand in a snapshot (T14)."""


@rule("R38")
def keys_and_pools_are_kept(template: Template) -> list[str]:
    """A replaced key makes everything under it unreadable (R35: thirty days to think again)."""
    found = []
    for name, key in of_type(template, "AWS::KMS::Key", "AWS::Cognito::UserPool"):
        if not _retained(template, name):
            found.append(f"{name}: without Retain")
        if key.get("PendingWindowInDays", 30) < 30:
            found.append(f"{name}: deleted within {key['PendingWindowInDays']} days")
    return found


def _retained(template: Template, name: str) -> bool:
    resource = template["Resources"][name]
    return {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")} == {"Retain"}


@rule("T15")
def alarms_reach_someone(template: Template) -> list[str]:
    """An action that is reachable, a meaning of silence, and what to do (R105, R106)."""
    found = []
    reachable = {name for name, _ in of_type(template, "AWS::SNS::Topic")} - set(_closed_to_alarms(template))
    for name, alarm in of_type(template, "AWS::CloudWatch::Alarm"):
        actions = {target(one) for one in alarm.get("AlarmActions", [])}
        if not actions:
            found.append(f"{name}: no action")
        if not actions <= reachable:
            found.append(f"{name}: CloudWatch may not publish to the topic or not use its key: the page is never sent")
        if "TreatMissingData" not in alarm:
            found.append(f"{name}: does not say what silence means")
        if not re.search(r"docs/runbook\.md#[a-z-]+$", text(alarm.get("AlarmDescription", ""))):
            found.append(f"{name}: no page of the runbook")
    return found


def _closed_to_alarms(template: Template) -> Iterator[str]:
    """Topics whose key or whose own policy, which replaces the default one, does not know CloudWatch."""
    keys = {name: json.dumps(key["KeyPolicy"]) for name, key in of_type(template, "AWS::KMS::Key")}
    for name, topic in of_type(template, "AWS::SNS::Topic"):
        own = [
            json.dumps(policy["PolicyDocument"])
            for _, policy in of_type(template, "AWS::SNS::TopicPolicy")
            if name in map(target, policy["Topics"])
        ]
        if "KmsMasterKeyId" in topic:
            own.append(keys[target(topic["KmsMasterKeyId"])])
        if not all("cloudwatch.amazonaws.com" in policy for policy in own):
            yield name


@rule("T16")
def nobody_reads_across_organisations(template: Template) -> list[str]:
    """No Scan and no action by wildcard, in any role (R82, R94); the API's role least of all."""
    found = []
    for role, statement in statements(template):
        found += [
            f"{role}: may {action}"
            for action in listed(statement["Action"])
            if "*" in action or action.lower() == "dynamodb:scan" or action.lower().startswith("dynamodb:partiql")
        ]
    return found


_LOOKS_AFTER = re.compile(
    r"kms:(Describe\*|Get\*|List\*|(Create|Delete|Update)Alias|(Cancel|Schedule)KeyDeletion|(Dis|En)ableKey(Rotation)?"
    r"|PutKeyPolicy|RevokeGrant|(Unt|T)agResource|UpdateKeyDescription)"
)
"""What an administrator may do with a key without using it; a grant would be a use by another name."""


@rule("F11")
def only_notify_opens_contacts(template: Template) -> list[str]:
    """The vault: the API seals and sees that something is there, notify opens, erase deletes unopened, nobody
    else comes near (P1)."""
    table = [name for name, _ in of_type(template, "AWS::DynamoDB::Table") if name.startswith("StorageContacts")]
    key = [name for name, _ in of_type(template, "AWS::KMS::Key") if name.startswith("KeysContacts")]
    if len(table) != 1 or len(key) != 1:
        return ["the contacts' table or key is not found by its name"]
    may = {role: {"dynamodb:GetItem", "kms:Decrypt"} for role in roles_of(template, "notify")} | {
        role: {"dynamodb:GetItem", "dynamodb:UpdateItem", "kms:Encrypt"} for role in roles_of(template, "registry")
    }
    may |= {role: {"dynamodb:DeleteItem"} for role in roles_of(template, "erase")}
    found = []
    for statement in template["Resources"][key[0]]["Properties"]["KeyPolicy"]["Statement"]:
        uses = {action for action in listed(statement["Action"]) if not _LOOKS_AFTER.fullmatch(action)}
        for holder in map(target, listed(statement["Principal"]["AWS"])):
            found += [f"{key[0]}: lets {holder} {action}" for action in sorted(uses - may.get(holder, set()))]
    for role, statement in statements(template):
        about = {target(resource) for resource in listed(statement.get("Resource"))}
        if about & {*table, *key}:
            more = {*listed(statement["Action"])} - may.get(role, set())
            found += [f"{role}: may {action} on the contacts" for action in sorted(more)]
    return found


@rule("R92")
def the_audit_is_only_added_to(template: Template) -> list[str]:
    """The API puts and reads; nobody updates, deletes or writes in batches."""
    table = [name for name, _ in of_type(template, "AWS::DynamoDB::Table") if name.startswith("StorageAudit")]
    if len(table) != 1:
        return ["the audit's table is not found by its name"]
    may = {role: {"dynamodb:PutItem", "dynamodb:Query"} for role in roles_of(template, "registry")}
    return [
        f"{role}: may {action} on the audit"
        for role, statement in statements(template)
        if table[0] in {target(resource) for resource in listed(statement.get("Resource"))}
        for action in sorted({*listed(statement["Action"])} - may.get(role, set()))
    ]


@rule("R90")
def only_erase_deletes_what_is_a_persons(template: Template) -> list[str]:
    """Also the tombstones: once there, nobody takes one away."""
    tables = [name for name, _ in of_type(template, "AWS::DynamoDB::Table")]
    held = {name for name in tables if name.startswith(("StorageObservations", "StorageAlerts", "StorageContacts"))}
    tombs = {name for name in tables if name.startswith("StorageErasures")}
    if not tombs:
        return ["there is no table of tombstones"]
    may = roles_of(template, "erase")
    found = []
    for role, statement in statements(template):
        about = {target(resource) for resource in listed(statement.get("Resource"))}
        deletes = "dynamodb:DeleteItem" in listed(statement["Action"])
        if deletes and (about & tombs or (about & held and role not in may)):
            found.append(f"{role}: may delete there")
    return found


@rule("T17")
def logs_end_and_are_sealed(template: Template) -> list[str]:
    groups = dict(of_type(template, "AWS::Logs::LogGroup"))
    found = [f"{name}: logs are kept for ever" for name, group in groups.items() if "RetentionInDays" not in group]
    found += [f"{name}: logs without our key" for name, group in groups.items() if "KmsKeyId" not in group]
    for name, function in of_type(template, "AWS::Lambda::Function"):
        if target(function.get("LoggingConfig", {}).get("LogGroup")) not in groups:
            found.append(f"{name}: logs into a group that is not ours")
    return found


@rule("T18")
def data_stay_where_they_may_be(template: Template) -> list[str]:
    """Another region is refused before anything is created (P9, R97)."""
    for one in template.get("Rules", {}).values():
        for assertion in one.get("Assertions", []):
            allowed, tested = assertion["Assert"].get("Fn::Contains", ([], None))
            if tested == {"Ref": "AWS::Region"} and allowed:
                return []
    return ["no rule on the region"]


@rule("T19")
def nothing_is_invoked_and_forgotten(template: Template) -> list[str]:
    """An asynchronous call is dropped after two retries or six hours: there is a queue in between (R61)."""
    awaited = {
        target(properties.get("PreProvisioningHook", {}).get("TargetArn"))
        for _, properties in of_type(template, "AWS::IoT::ProvisioningTemplate")
    }
    return [
        f"{name}: {permission['Principal']} invokes asynchronously"
        for name, permission in of_type(template, "AWS::Lambda::Permission")
        if permission["Principal"] != "apigateway.amazonaws.com"
        and not (permission["Principal"] == "iot.amazonaws.com" and target(permission["FunctionName"]) in awaited)
    ] + [f"{name}: is for asynchronous calls" for name, _ in of_type(template, "AWS::Lambda::EventInvokeConfig")]


@rule("T20")
def every_function_is_watched(template: Template) -> list[str]:
    return [
        f"{name}: no alarm on {metric}"
        for name, _ in of_type(template, "AWS::Lambda::Function")
        for metric in ("Errors", "Throttles", "Duration")
        if not alarms(template, metric, "FunctionName", name)
    ]


@rule("R2")
def lost_messages_are_told(template: Template) -> list[str]:
    return [
        f"{name}: no alarm on {metric}"
        for name, properties in of_type(template, "AWS::IoT::TopicRule")
        for metric in ("ErrorActionFailure", "RuleMessageThrottled", "ParseError", "Failure")
        if not alarms(template, metric, "RuleName", properties.get("RuleName", name))
    ]


@rule("R25")
def waiting_is_told(template: Template) -> list[str]:
    """A reader that is disabled or dead makes no error: only age shows it (R36, R37, R39)."""
    found = []
    waiting = queues(template)
    for name, mapping, source in mappings(template):
        if source in waiting:
            on = alarms(template, "ApproximateAgeOfOldestMessage", "QueueName", source)
            if not any(alarm["Threshold"] <= 3600 for alarm in on):
                found.append(f"{name}: no alarm on the age of {source}")
        else:
            on = alarms(template, "IteratorAge", "FunctionName", target(mapping["FunctionName"]))
            if not {60_000, 300_000} <= {alarm["Threshold"] for alarm in on}:
                found.append(f"{name}: no alarms on a lag of one and five minutes")
    return found


_PATH = r"[A-Za-z_]\w*(?:\.\w+)*"
_ENCODED = rf"encode\((?:\*|{_PATH}), 'base64'\)"
_CALL = rf"(?:topic\(\d*\)|timestamp\(\)|clientid\(\)|newuuid\(\)|{_ENCODED}|isUndefined\({_PATH}\))"
_OPERAND = rf"(?:{_CALL}|{_PATH})"
_SELECTED = re.compile(rf"(?:\*|{_OPERAND}(?: [-+*/] (?:{_OPERAND}|\d+(?:\.\d+)?))*)(?: AS {_PATH})?")
_SELECT, _FROM = r"SELECT (?P<selected>.+?)", r"FROM '(?P<topic>[^']+)'(?: WHERE (?P<where>.+))?"
_SQL = re.compile(f"{_SELECT} {_FROM}")
_DROPPED = re.compile(r"\b(?:CASE|SELECT)\b|= ?(?:false|true)\b", re.IGNORECASE)


@rule("SQL")
def sql_is_what_was_tried(template: Template) -> list[str]:
    """Both clouds understand it: what the embedded one does not know, it drops in silence, with the message."""
    found = []
    for name, properties in of_type(template, "AWS::IoT::TopicRule"):
        payload = properties["TopicRulePayload"]
        parts = _SQL.fullmatch(payload["Sql"])
        if parts is None:
            found.append(f"{name}: {payload['Sql']!r} has another shape than what was tried")
            continue
        items = re.split(r", (?!'base64'\))", parts["selected"])
        found += [f"{name}: {item!r} was never tried" for item in items if not _SELECTED.fullmatch(item)]
        where = re.sub(_CALL, "", parts["where"] or "")
        if "(" in re.sub(r"\b(?:AND|OR|NOT|IN) ?\(|^\(", "", where) or _DROPPED.search(parts["where"] or ""):
            found.append(f"{name}: {parts['where']!r} was never tried")
        if not parts["topic"].endswith("/#"):
            found.append(f"{name}: {parts['topic']} does not catch all: what matches no rule is lost unseen (R3)")
        if "encode(*, 'base64')" not in parts["selected"] or "topic()" not in parts["selected"]:
            found.append(f"{name}: does not carry the exact bytes and the thing's own topic (R9)")
    return found
