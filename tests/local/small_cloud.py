"""A bare emulator and small things made in it: functions that say what they saw, queues, streams."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import boto3

from local import emulator
from local.deploy import client
from local.provision import Thing, provision

HANDLER = """
import json, os, time

def names(event):
    for record in event["Records"]:
        yield record["body"] if "body" in record else record["dynamodb"]["Keys"]["sk"]["S"]

def say(**line):
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(json.dumps(line) + "\\n")

def note(event, context):
    say(batch=list(names(event)))

def fail_once(event, context):
    with open(os.environ["SEEN"]) as seen:
        first = "poison" not in seen.read()
    say(batch=list(names(event)))
    failed = [r["dynamodb"]["SequenceNumber"] for r in event["Records"] if r["dynamodb"]["Keys"]["sk"]["S"] == "poison"]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed if first]}

def refuse_poison(event, context):
    if "poison" in names(event):
        raise ValueError("poison")
    say(batch=list(names(event)))

def slow(event, context):
    say(batch=["slow begins"])
    while not os.path.exists(os.environ["SEEN"] + ".go"):
        time.sleep(0.02)

def silent(event, context):
    return None

def where(event, context):
    return os.path.realpath(__file__)

def nothing_to_say(event, context):
    return {"statusCode": 204, "body": None}
"""


@dataclass
class SmallCloud:
    """A running emulator, and small things made in it."""

    running: emulator.Emulator
    folder: Path
    patience: float
    """Seconds to wait for what should happen: long where it will, short where it will not."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def client(self, service: str) -> Any:
        return client(service, self.running.endpoint_url)

    def role(self) -> str:
        """A role that may do anything: rights are not what these tests are about."""
        roles, name = self.client("iam"), f"role-{next(self.numbers)}"
        trust = [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
        made = roles.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": trust}))
        rights = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
        roles.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps({"Statement": rights}))
        return str(made["Role"]["Arn"])

    def who_may(self, action: str, resource: str) -> boto3.Session:
        """Somebody with one right."""
        users, name = self.client("iam"), f"user-{next(self.numbers)}"
        users.create_user(UserName=name)
        right = {"Effect": "Allow", "Action": action, "Resource": resource}
        users.put_user_policy(
            UserName=name,
            PolicyName="one",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [right]}),
        )
        key = users.create_access_key(UserName=name)["AccessKey"]
        return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=emulator.REGION)

    def function(self, handler: str) -> tuple[str, Callable[[], list[list[str]]]]:
        """A function's name, and what tells the batches it has seen."""
        name = f"{handler.replace('_', '-')}-{next(self.numbers)}"
        seen = self.folder / f"{name}.jsonl"
        seen.touch()
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as code:
            code.writestr(zipfile.ZipInfo("index.py"), HANDLER)
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler=f"index.{handler}",
            Role=self.role(),
            Code={"ZipFile": archive.getvalue()},
            Timeout=120,
            Environment={"Variables": {"SEEN": str(seen)}},
        )
        return name, lambda: [json.loads(line)["batch"] for line in seen.read_text().splitlines()]

    def queue(self) -> tuple[str, str]:
        queues = self.client("sqs")
        url = queues.create_queue(QueueName=f"queue-{next(self.numbers)}")["QueueUrl"]
        return url, queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def thing(self) -> Thing:
        """A thing that may do anything."""
        iot, name = self.client("iot"), f"thing-{next(self.numbers)}"
        anything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
        iot.create_policy(policyName=name, policyDocument=json.dumps(anything))
        iot.create_thing_type(thingTypeName=name)
        (made,) = provision(iot, [name], policy=name, thing_type=name, folder=self.folder)
        return made

    def stream(self) -> tuple[Callable[[str], object], str]:
        """What puts an item of that name into a table, and the ARN of the table's stream."""
        tables, name = self.client("dynamodb"), f"table-{next(self.numbers)}"
        made = tables.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )
        return (
            lambda key: tables.put_item(TableName=name, Item={"pk": {"S": "one"}, "sk": {"S": key}}),
            made["TableDescription"]["LatestStreamArn"],
        )

    def api(self, handler: str) -> str:
        """The address of an HTTP API that hands every request to a function."""
        name, _ = self.function(handler)
        arn = self.client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        apis = self.client("apigatewayv2")
        api = apis.create_api(Name=name, ProtocolType="HTTP")["ApiId"]
        to = apis.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        apis.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{to}")
        apis.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
        self.client("lambda").add_permission(
            FunctionName=name, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
        )
        return f"{self.running.endpoint_url}/_aws/execute-api/{api}/$default/anything"

    @contextmanager
    def mapped(self, function: str, source: str, **settings: Any) -> Iterator[None]:
        """Have the function read the queue or stream meanwhile."""
        lambdas = self.client("lambda")
        start = {"StartingPosition": "TRIM_HORIZON"} if "dynamodb" in source else {}
        made = lambdas.create_event_source_mapping(FunctionName=function, EventSourceArn=source, **start, **settings)
        yield
        lambdas.delete_event_source_mapping(UUID=made["UUID"])
