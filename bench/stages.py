"""The deployed handlers over a stubbed cloud: what a reading costs in CPU and in calls."""

import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from io import StringIO
from typing import Any

import boto3

os.environ |= {  # before any handler is imported, as infra/function.py gives them
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "POWERTOOLS_METRICS_NAMESPACE": "pma-bench",
    "PMA_OBSERVATIONS_TABLE": "observations",
    "PMA_REGISTRY_TABLE": "registry",
    "PMA_QUARANTINE_TABLE": "quarantine",
    "PMA_ALERTS_TABLE": "alerts",
    "PMA_DECISIONS_TABLE": "decisions",
    "PMA_DECISION_DAYS": "90",
    "PMA_ARCHIVE_STREAM": "archive",
    "PMA_ARCHIVE_KEY": "alias/archive",
    "PMA_BACKLOG_QUEUE": "https://sqs.eu-central-1.amazonaws.com/000000000000/backlog",
    "PMA_OBSERVATION_DAYS": "400",
    "PMA_QUARANTINE_DAYS": "90",
}

from adapters import aws, catalogue
from adapters.dynamodb import Item, encode_item
from adapters.programmes import programmes
from adapters.registry import to_subject
from adapters.webhook import to_bytes
from bench import cases, measure, naive
from bench.measure import Measured
from bench.stub import Cloud
from domain import fhir
from domain.alert import State, step
from domain.care_plan import plan_for
from domain.delivery import sign
from domain.enrolment import Device
from domain.observation import Observation
from functions.evaluate import handler as evaluate
from functions.ingest import handler as ingest

BATCH = 100
DEPLOYED_BATCH = 10
MANY = 2_000
TRACE = 20_000


@dataclass(frozen=True)
class Context:
    """What Lambda hands a handler beside the event."""

    function_name: str = "bench"
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:000000000000:function:bench"
    aws_request_id: str = "bench"


def _cloud(rows_of: list[Item]) -> Cloud:
    rows = {(row["pk"], row["sk"]): encode_item(row) for row in rows_of}

    def batch_get(request: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, list[Any]] = {}
        for table, wanted in request["RequestItems"].items():
            keys = [(key["pk"]["S"], key["sk"]["S"]) for key in wanted["Keys"]]
            found[table] = [_projected(rows[key], wanted) for key in keys if key in rows]
        return {"Responses": found, "UnprocessedKeys": {}}

    return Cloud(
        {
            "BatchGetItem": batch_get,
            "BatchWriteItem": {"UnprocessedItems": {}},
            "PutRecord": {"RecordId": "1", "Encrypted": True},
            "GetItem": {"Item": encode_item({"pk": "x", "sk": "device", "subject": "S-0001"})},
            "PutItem": {},
            "TransactWriteItems": {},
            "Decrypt": {"Plaintext": b64encode(cases.ARCHIVE_KEY).decode()},
        }
    )


def _projected(row: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    only = wanted.get("ExpressionAttributeNames", {}).values()
    return {name: value for name, value in row.items() if not only or name in only}


@contextmanager
def _deployed(rows: list[Item] | None = None) -> Iterator[Cloud]:
    """The handlers' clients answered by a stubbed cloud, their clock the cases' and their log lines set aside."""
    cloud = _cloud(cases.enrolled(BATCH) if rows is None else rows)
    for service in ("dynamodb", "firehose", "sqs", "kms"):
        cloud.attach(aws.client(service))
    clocks = ingest.clock, evaluate.clock
    ingest.clock = evaluate.clock = lambda: cases.NOW
    for handler in (ingest, evaluate):
        handler.logger.registered_handler.setStream(StringIO())  # a line is written as ever, and not shown
    try:
        with redirect_stdout(StringIO()):  # where metrics go
            yield cloud
    finally:
        ingest.clock, evaluate.clock = clocks
        aws.client.cache_clear()
        evaluate.wired.cache_clear()


def _ingest(records: list[dict[str, Any]], batch: int) -> None:
    for start in range(0, len(records), batch):
        answer = ingest.handle({"Records": records[start : start + batch]}, Context())
        if answer["batchItemFailures"]:
            raise RuntimeError("a reading of the bench was not ingested: its figures would mean nothing")


def once() -> int:
    """Each handler on a batch, unmeasured, and the calls that came of it: that the bench still fits the stages."""
    profile = catalogue.profiles()["tonometer"]
    with _deployed() as cloud:
        _ingest(cases.messages(DEPLOYED_BATCH), DEPLOYED_BATCH)
        event = cases.stream([cases.observation(number, profile) for number in range(BATCH)])
        if evaluate.handle(event, Context())["batchItemFailures"]:
            raise RuntimeError("a reading of the bench was not evaluated: its figures would mean nothing")
        return cloud.calls.total()


@dataclass(frozen=True)
class IngestCost:
    """CPU of a reading beside a naive pipeline's, whose boto3 resource is made in each event, as many do, or once; SDK
    calls for 100 readings in one batch, and in batches as deployed."""

    beside_naive: Measured
    beside_naive_made_once: Measured
    calls: int
    calls_as_deployed: int


def ingest_cost() -> IngestCost:
    with _deployed() as cloud:
        records = cases.messages(BATCH)
        _ingest(records, BATCH)  # which also learns the organisations, as a warm function has
        counts = []
        for batch in (BATCH, DEPLOYED_BATCH):
            cloud.calls.clear()
            _ingest(records, batch)
            counts.append(cloud.calls.total())
        session = boto3.Session()
        cloud.attach(session)

        def tables() -> tuple[Any, Any]:
            dynamodb = session.resource("dynamodb")
            return dynamodb.Table("registry"), dynamodb.Table("observations")

        once = tables()
        events = [{"Records": [record]} for record in records]

        def beside(theirs: Callable[[dict[str, Any]], None]) -> Measured:
            return measure.against(
                partial(_ingest, records, BATCH),
                lambda: list(map(theirs, events)),
                units=BATCH,
                their_units=BATCH,
            )

        made_once = beside(naive.handler(lambda: once))  # first: the other leaves a heap full of boto3's classes
        return IngestCost(beside(naive.handler(tables)), made_once, *counts)


def evaluate_cost() -> Measured:
    """CPU of a reading within its limits, in a batch of the stream."""
    profile = catalogue.profiles()["tonometer"]
    event = cases.stream([cases.observation(number, profile) for number in range(BATCH)])
    with _deployed():
        return measure.alone(lambda: evaluate.handle(event, Context()), BATCH)


def evaluate_written_cost() -> Measured:
    """… that is remembered: above a bound that counts readings, so a state is written, and why nobody was told."""
    profile = catalogue.profiles()["tonometer"]
    rows = [cases.observation(number, profile) for number in range(BATCH)]
    high = {"systolic": Decimal(140), "diastolic": Decimal(78), "pulse": Decimal(66)}
    event = cases.stream([(key, one._replace(values=high)) for key, one in rows])
    with _deployed() as cloud:
        cost = measure.alone(lambda: evaluate.handle(event, Context()), BATCH)
        if not cloud.calls["TransactWriteItems"]:
            raise RuntimeError("nothing was written: the figure would mean nothing")
        return cost


def evaluate_own_plans_cost() -> Measured:
    """… of patients who each have a plan of their own, more of them than a warm function remembers."""
    profile = catalogue.profiles()["tonometer"]
    patients = range(MANY)
    readings = [cases.observation(number, profile) for number in patients]
    events = [cases.stream(readings[start : start + BATCH]) for start in range(0, MANY, BATCH)]
    with _deployed([*cases.enrolled(MANY), *map(cases.own_plan, patients)]):
        return measure.alone(lambda: [evaluate.handle(event, Context()) for event in events], MANY)


def export_cost() -> Measured:
    """CPU of a reading in a bundle of 100: rendered, serialised and signed. The POST is not in it."""
    profile = catalogue.profiles()["tonometer"]
    readings = [cases.observation(number, profile)[1] for number in range(BATCH)]
    devices = {one.device: Device(one.device, one.organisation, "tonometer", "medical", version=1) for one in readings}

    def deliver() -> str:
        body = to_bytes(fhir.bundle(readings, [], devices))
        return sign(["whsec_" + "A" * 32], "4b629225-8061-8216-a17a-d7c65f48f53c", 1795321863, body)

    return measure.alone(deliver, BATCH)


def steps_per_second() -> float:
    """The pure step function on one patient's 20,000 readings, an episode now and then."""
    _, sample = cases.observation(0, catalogue.profiles()["tonometer"])
    patient = to_subject(next(row for row in cases.enrolled(1) if row["sk"] == "subject"))
    plan = plan_for(patient, (), programmes(), cases.NOW)
    trace = [_later(sample, number) for number in range(TRACE)]

    def fold() -> None:
        state = State()
        for one in trace:
            state, _, _ = step(state, one, plan, one.received_at)

    return 1_000_000 / measure.alone(fold, TRACE, rounds=3).us


def _later(sample: Observation, number: int) -> Observation:
    """The `number`-th reading of the trace, one in six hours; three in a hundred are a crisis."""
    at = cases.NOW + timedelta(hours=6 * number)
    systolic = Decimal(190 if number % 100 < 3 else 118 + number % 9)
    return sample._replace(
        id=f"o-{number}",
        values={**sample.values, "systolic": systolic},
        measured_at=at,
        device_time=at,
        received_at=at + timedelta(seconds=2),
    )
