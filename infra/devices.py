"""Device -> IoT Core -> inbox: who may publish what, and the one rule that carries it."""

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.alarms import Alarms
from infra.keys import Keys
from infra.queue import DeadLetters
from infra.stage import Stage

THING = "${iot:Connection.Thing.ThingName}"
"""The certificate's own thing: the thing in a topic can be trusted. `${iot:ClientId}` is the client's word (R11)."""

READINGS = ("readings", "gatt", "omh", "status", "vendor/*")
"""What a thing may publish below `dt/{prefix}/{thing}/`: enumerated, a wildcard lets more through. Not so the vendors'
profiles: a new one is a file, and twenty of them would outgrow what a policy may hold."""


_CARRIED = "encode(*, 'base64') AS payload, topic() AS topic, clientid() AS client, timestamp() AS received_at"
"""The bytes as they came, so that a broken payload can be set aside rather than lost."""


class Devices(Construct):
    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, keys: Keys, alarms: Alarms, inbox: sqs.Queue
    ) -> None:
        super().__init__(scope, construct_id)
        self.thing_type = iot.CfnThingType(self, "Gateway", thing_type_name=f"{stage.stack}-gateway")
        self.policy = iot.CfnPolicy(
            self, "Policy", policy_name=f"{stage.stack}-gateway", policy_document=device_policy(stage)
        )

        self.errors = DeadLetters(self, "Errors", stage=stage, key=keys.operations, alarms=alarms)
        self.rule = iot.CfnTopicRule(
            self,
            "Rule",
            rule_name=stage.rule,
            topic_rule_payload=iot.CfnTopicRule.TopicRulePayloadProperty(
                sql=f"SELECT {_CARRIED} FROM 'dt/{stage.topic_prefix}/#'",  # noqa: S608 - IoT's, not a database's,
                aws_iot_sql_version="2016-03-23",
                actions=[iot.CfnTopicRule.ActionProperty(sqs=_send(self._sender("Sender", inbox), inbox))],
                error_action=iot.CfnTopicRule.ActionProperty(
                    sqs=_send(self._sender("ErrorSender", self.errors), self.errors)
                ),
            ),
        )
        alarms.on_rule(stage.rule, scope=self)

    def _sender(self, name: str, queue: sqs.Queue) -> iam.Role:
        return iam.Role(
            self,
            name,
            assumed_by=iam.ServicePrincipal("iot.amazonaws.com"),
            inline_policies={
                "Send": iam.PolicyDocument(
                    statements=[iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queue.queue_arn])]
                )
            },
        )


def device_policy(stage: Stage) -> dict[str, object]:
    """One policy for every certificate: a thing speaks under its own name and hears its own requests, no more (R10)."""
    prefix = stage.topic_prefix
    data = [f"dt/{prefix}/{THING}/{kind}" for kind in READINGS]
    basic_ingest = [f"$aws/rules/{stage.rule}/{topic}" for topic in data]
    command = f"cmd/{prefix}/{THING}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iot:Connect",
                "Resource": _iot(f"client/{THING}"),
                "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
            },
            {
                "Effect": "Allow",
                "Action": "iot:Publish",
                "Resource": [_iot(f"topic/{topic}") for topic in (*data, *basic_ingest, f"{command}/response")],
            },
            {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": _iot(f"topicfilter/{command}/request")},
            {"Effect": "Allow", "Action": "iot:Receive", "Resource": _iot(f"topic/{command}/request")},
        ],
    }


def _iot(resource: str) -> str:
    return f"arn:{Aws.PARTITION}:iot:{Aws.REGION}:{Aws.ACCOUNT_ID}:{resource}"


def _send(role: iam.Role, queue: sqs.Queue) -> iot.CfnTopicRule.SqsActionProperty:
    return iot.CfnTopicRule.SqsActionProperty(queue_url=queue.queue_url, role_arn=role.role_arn, use_base64=False)
