"""`python -m ops quarantine` and `python -m ops replay`: dry first, resumable, and harmless when done twice."""

import gzip
import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from moto import mock_aws

from adapters.archive import Archive
from adapters.aws import client as aws_client
from adapters.catalogue import profiles
from adapters.forgetting import Enrolled, Holdings, Partition
from adapters.inbox import arrived
from adapters.observations import Observations, row_key
from adapters.quarantine import Quarantine
from adapters.registry import Registry, RegistryReader
from adapters.sealing import KeyRing
from domain.enrolment import DataKey
from domain.identity import Identity, deterministic_id
from domain.judgement import Kept
from domain.quarantine import NOBODY, SetAside
from functions.ingest.service import Ingest
from ops.__main__ import main
from ops.steps import Checkpoint, OtherCheckpoint, Step, work_off
from tests.builders import (
    NOW,
    ORGANISATION,
    SERIAL,
    a_device,
    a_message,
    a_pressure,
    a_reading,
    a_subject,
    an_arrival,
    an_assignment,
    an_observation,
)
from tests.fakes import FakeArchive, FakeBacklog, FakeStatus
from tests.in_process import REGION, environment, make_tables

BUCKET = "archive-of-pma-test"
TABLES = {"QuarantineTable": "quarantine", "ObservationsTable": "observations", "RegistryTable": "registry"}
QUEUES = {"InboxQueueUrl": "fresh", "BacklogQueueUrl": "backlog", "ErrorQueueUrl": "errors"}


def deploy() -> None:
    """As if the stack pma-test were deployed: its queues are there, and CloudFormation answers what it holds."""
    sqs, cloudformation = boto3.client("sqs"), aws_client("cloudformation")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("fresh", "backlog", "errors", "fresh-dead")}
    dead = sqs.get_queue_attributes(QueueUrl=urls["fresh-dead"], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    key = boto3.client("kms").create_key(Description="of the archive")["KeyMetadata"]["Arn"]
    policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 5})
    sqs.set_queue_attributes(QueueUrl=urls["fresh"], Attributes={"RedrivePolicy": policy})
    outputs = (
        TABLES | {name: urls[queue] for name, queue in QUEUES.items()} | {"ArchiveBucket": BUCKET, "ArchiveKey": key}
    )
    answers = {
        "DescribeStacks": {"Stacks": [{"Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in outputs.items()]}]},
        "ListStackResources": {
            "StackResourceSummaries": [
                {"ResourceType": "AWS::SQS::Queue", "PhysicalResourceId": url} for url in urls.values()
            ]
            + [{"ResourceType": "AWS::DynamoDB::Table", "PhysicalResourceId": "registry"}]
        },
    }
    for operation, answer in answers.items():
        http = AWSResponse("", 200, {}, None)  # type: ignore[arg-type]
        cloudformation.meta.events.register(
            f"before-call.cloudformation.{operation}", lambda http=http, answer=answer, **_: (http, answer)
        )


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stack pma-test with a cuff and its holder, and an empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    with mock_aws(), environment({"AWS_DEFAULT_REGION": REGION}):
        make_tables(boto3.client("dynamodb"), ("registry", "observations", "quarantine"))
        deploy()
        boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        registry = Registry(aws_client("dynamodb"), "registry")
        registry.put_subject(a_subject())
        registry.put_device(a_device())
        yield


def ops(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What the command printed, or the one sentence that it refused with."""
    status = main([*arguments, "--stack", "pma-test"])
    shown = capsys.readouterr()
    if status:
        assert shown.err.count("\n") == 1
        return shown.err.strip()
    return json.loads(shown.out)


def bodies(queue: str) -> list[str]:
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        found += [one["Body"] for one in messages]
        for one in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return found


def send(queue: str, *messages: str) -> None:
    sqs = boto3.client("sqs")
    for one in messages:
        sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody=one)


def set_aside(number: int, **changes: Any) -> SetAside:
    organisation = changes.get("organisation", ORGANISATION)
    facts: dict[str, Any] = {
        "id": deterministic_id(organisation, "aside", str(number)),
        "organisation": ORGANISATION,
        "reason": "unknown-holder",
        "detail": "nobody held the device when it was measured",
        "thing": SERIAL,
        "device": SERIAL,
        "profile": "tonometer",
        "topic": f"dt/pma/{SERIAL}/readings",
        "received_at": NOW + timedelta(minutes=number),
        "payload": b"the patient's own",
    }
    return SetAside(**facts | changes)


def keep(*ones: SetAside) -> None:
    Quarantine(aws_client("dynamodb"), "quarantine").put(ones)


# quarantine


def test_f22_an_operator_lists_and_counts_without_seeing_a_value(
    stack: None, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(*map(set_aside, range(3)), set_aside(7, reason="future", profile="scale"))
    listed = ops(capsys, "quarantine", "list", "--organisation", ORGANISATION, "--reason", "unknown-holder")
    assert [one["id"] for one in listed] == [set_aside(number).id for number in (2, 1, 0)]
    assert "patient" not in json.dumps(listed)
    assert len(ops(capsys, "quarantine", "list", "--organisation", ORGANISATION, "--limit", "2")) == 2
    counted = ops(capsys, "quarantine", "count", "--organisation", ORGANISATION, "--days", "36500")
    assert counted == [
        {"profile": "tonometer", "reason": "unknown-holder", "count": 3},
        {"profile": "scale", "reason": "future", "count": 1},
    ]


def test_what_nobody_enrolled_only_the_operator_sees(stack: None, capsys: pytest.CaptureFixture[str]) -> None:
    nobodys = set_aside(1, organisation=NOBODY, reason="unknown-device", profile=None)
    keep(nobodys, set_aside(2))
    assert [one["id"] for one in ops(capsys, "quarantine", "list")] == [nobodys.id]
    assert ops(capsys, "quarantine", "replay", nobodys.id)["id"] == nobodys.id
    (body,) = bodies("backlog")
    assert json.loads(body)["replay"] == {"organisation": NOBODY, "id": nobodys.id}


def test_one_that_is_not_there_or_kept_nothing_is_one_sentence(stack: None, capsys: pytest.CaptureFixture[str]) -> None:
    unread = set_aside(1, reason="no-consent", payload=None)
    keep(unread)
    whose = ("--organisation", ORGANISATION)
    assert "list shows what is" in ops(capsys, "quarantine", "replay", "nothing", *whose)
    assert "Without consent" in ops(capsys, "quarantine", "replay", unread.id, *whose)
    assert bodies("backlog") == []


ALL = ("replay", "--from", "quarantine", "--organisation", ORGANISATION)


def test_r110_without_execute_it_only_says_what_it_would_do(stack: None, capsys: pytest.CaptureFixture[str]) -> None:
    keep(*map(set_aside, range(60)), set_aside(90, reason="future"), set_aside(91, reason="no-consent", payload=None))
    report = ops(capsys, *ALL)
    assert (report["executed"], report["total"]) == (False, 62)
    assert report["would_do"] == {"unknown-holder": 60, "future": 1, "kept-nothing": 1}
    assert bodies("backlog") == []
    assert ops(capsys, *ALL, "--reason", "future")["total"] == 1


def test_r29_all_of_it_is_handed_on_with_its_own_times_and_the_report_says_by_whom(
    stack: None, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(*map(set_aside, range(60)), set_aside(91, reason="no-consent", payload=None))
    for _ in range(2):
        report = ops(capsys, *ALL, "--execute", "--rate", "10000")
        assert (report["executed"], report["done"], report["resumed"]) == (True, {"unknown-holder": 60}, False)
        assert report["by"].startswith("arn:aws:")
        event = {"Records": [{"messageId": str(at), "body": one} for at, one in enumerate(bodies("backlog"))]}
        arrivals, unreadable = arrived(event)
        assert unreadable == []
        assert {one.received_at for one in arrivals} == {set_aside(number).received_at for number in range(60)}


# steps


def test_r79_r110_it_goes_on_where_it_was_stopped_at_a_limited_rate(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "noted.json", {"from": "here"})
    done: list[int] = []
    pauses: list[float] = []

    class Stopped(RuntimeError):
        pass

    def steps(after: str | None, stop_at: int) -> Iterator[Step]:
        for number in range(int(after or 0), 10):

            def do(number: int = number) -> dict[str, int]:
                if number == stop_at:
                    raise Stopped
                done.append(number)
                return {"done": 5}

            yield Step(str(number + 1), 5, do)

    for stop_at in (4, 7):
        with pytest.raises(Stopped):
            work_off(lambda after, at=stop_at: steps(after, at), checkpoint=checkpoint, rate=10, pause=pauses.append)  # type: ignore[misc]
    assert work_off(lambda after: steps(after, 99), checkpoint=checkpoint, rate=10, pause=pauses.append) == {"done": 50}
    assert done == list(range(10))
    assert pauses == [0.5] * 10
    assert not checkpoint.path.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"of": {"from": "there"}, "after": "3", "done": {}}'])
def test_another_replays_checkpoint_is_not_gone_on_with(tmp_path: Path, text: str) -> None:
    path = tmp_path / "noted.json"
    path.write_text(text)
    with pytest.raises(OtherCheckpoint):
        Checkpoint(path, {"from": "here"}).read()


def test_a_note_that_was_the_last_thing_done_is_not_begun_again(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "noted.json", {})
    checkpoint.keep("", {"done": 3})
    assert work_off(lambda _: pytest.fail("begun again"), checkpoint=checkpoint, rate=1) == {"done": 3}


# dead letters


def test_r26_dead_letters_go_back_to_where_they_came_from(stack: None, capsys: pytest.CaptureFixture[str]) -> None:
    send("fresh-dead", *(f"message {number}" for number in range(23)))
    dry = ops(capsys, "replay", "--from", "dead-letters")
    assert (dry["executed"], dry["would_do"]) == (False, {"fresh-dead": 23})
    assert bodies("fresh") == []
    report = ops(capsys, "replay", "--from", "dead-letters", "--execute", "--rate", "10000")
    assert report["done"] == {"fresh-dead": 23}
    assert sorted(bodies("fresh")) == sorted(f"message {number}" for number in range(23))
    assert bodies("fresh-dead") == []
    assert ops(capsys, "replay", "--from", "dead-letters", "--execute")["done"] == {}
    assert ops(capsys, "replay", "--from", "dead-letters", "--queue", "errors")["would_do"] == {}


def test_r1_what_the_rule_could_not_send_is_a_message_again(stack: None, capsys: pytest.CaptureFixture[str]) -> None:
    failed = {
        "ruleName": "pma_readings", "topic": f"dt/pma/{SERIAL}/readings", "clientId": SERIAL,
        "base64OriginalPayload": "/3s=", "failures": [{"failedAction": "SqsAction", "errorMessage": "denied"}],
    }  # fmt: skip
    send("errors", json.dumps(failed))
    assert ops(capsys, "replay", "--from", "dead-letters", "--execute")["done"] == {"errors": 1}
    (body,) = bodies("fresh")
    ((arrival,), unreadable) = arrived({"Records": [{"messageId": "m", "body": body}]})
    assert unreadable == []
    assert (arrival.payload, arrival.thing, arrival.client) == (b"\xff{", SERIAL, SERIAL)


@pytest.mark.parametrize("twice", [False, True], ids=["once", "sent and not deleted"])
def test_r25_r26_poison_is_redriven_exactly_once_in_effect(
    stack: None, capsys: pytest.CaptureFixture[str], twice: bool
) -> None:
    """Fourteen days late, and twice where the redrive was stopped between sending and deleting."""
    sent = [arrival_of(number) for number in range(4)]
    send("fresh-dead", *(as_the_rule_wrote(one) for one in sent for _ in range(2 if twice else 1)))
    ops(capsys, "replay", "--from", "dead-letters", "--execute", "--rate", "10000")
    event = {"Records": [{"messageId": str(at), "body": one} for at, one in enumerate(bodies("fresh"))]}
    live = an_ingest("observations", "quarantine")
    arrivals, _ = arrived(event)
    assert len(arrivals) == 4 * (2 if twice else 1)
    live(arrivals, now=NOW + timedelta(days=14), first_inbox=False)
    rows = scan("observations")
    assert len(rows) == 4
    assert {row["received_at"]["S"] for row in rows} == {one.received_at.isoformat() for one in sent}


# archive


DAYS = ("--first", "2026-11-21", "--last", "2026-11-22")
REBUILD = ("replay", "--from", "archive", *DAYS, "--into", "again")


def an_ingest(observations: str, quarantine: str) -> Ingest:
    dynamodb = aws_client("dynamodb")
    return Ingest(
        registry=RegistryReader(dynamodb, "registry"),
        observations=Observations(dynamodb, observations),
        quarantine=Quarantine(dynamodb, quarantine),
        archive=FakeArchive(),
        backlog=FakeBacklog(),
        status=FakeStatus(),
        profiles=profiles(),
        kept_for=timedelta(days=400),
    )


def arrival_of(number: int, **changes: Any) -> Any:
    said = a_reading(measured_at=(NOW - timedelta(hours=number + 1)).isoformat(), values=a_pressure(100 + number))
    facts = {"id": f"m-{number}", "received_at": NOW - timedelta(minutes=number)}
    return an_arrival(a_message(said), **facts | changes)


def as_the_rule_wrote(one: Any) -> str:
    return json.dumps(
        {
            "payload": b64encode(one.payload).decode(),
            "topic": one.topic,
            "client": one.client,
            "received_at": round(one.received_at.timestamp() * 1000),
        }
    )


def scan(table: str) -> list[Any]:
    return list(boto3.client("dynamodb").scan(TableName=table)["Items"])


def the_keys() -> KeyRing:
    """Of the archive of the stack."""
    (key,) = [one["KeyArn"] for one in boto3.client("kms").list_keys()["Keys"]]
    return KeyRing(aws_client("dynamodb"), aws_client("kms"), "registry", key)


def sealed(keys: KeyRing, arrivals: list[Any], key: DataKey | None = None) -> bytes:
    """The lines that ingest would have sent to Firehose, of the person whose key that is."""
    lines: list[bytes] = []

    class Firehose:
        def put_record(self, *, Record: dict[str, Any], **_: Any) -> None:  # noqa: N803 - AWS's name
            lines.append(Record["Data"])

    Archive(Firehose(), "archive", keys).put((ORGANISATION, Kept(one, key)) for one in arrivals)
    return b"".join(lines)


@pytest.fixture
def archived(stack: None) -> list[Any]:
    """Twelve messages, stored live and archived in four objects, one message twice and one of them broken."""
    arrivals = [*map(arrival_of, range(12)), an_arrival(b"\xff{", id="broken")]
    live = an_ingest("observations", "quarantine")
    live(arrivals, now=NOW, first_inbox=False)
    keys, s3 = the_keys(), boto3.client("s3")
    for number in range(4):
        some = [*arrivals[number::4], arrivals[5]]
        lines = sealed(keys, some)
        day = date(2026, 11, 21 + number % 2)
        s3.put_object(Bucket=BUCKET, Key=f"readings/{day}/pma-{number}", Body=gzip.compress(lines))
    s3.put_object(Bucket=BUCKET, Key="readings/2026-11-23/other", Body=b"not of these days")
    return arrivals


def test_r101_r102_what_is_rebuilt_from_the_archive_is_what_is_live(
    archived: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = [scan(name) for name in ("observations", "quarantine")]
    dry = ops(capsys, *REBUILD)
    assert (dry["executed"], dry["would_do"]["objects"]) == (False, 4)
    assert "again-observations" not in boto3.client("dynamodb").list_tables()["TableNames"]
    for _ in range(2):
        report = ops(capsys, *REBUILD, "--execute", "--rate", "10000")
        assert report["comparison"] == {"counts": {"same": 12}}
    assert [scan(name) for name in ("observations", "quarantine")] == before
    assert len(scan("again-quarantine")) == 1
    for name in ("again-observations", "again-quarantine"):
        assert "StreamSpecification" not in boto3.client("dynamodb").describe_table(TableName=name)["Table"]
    assert [bodies(queue) for queue in ("fresh", "backlog")] == [[], []]


def test_r101_what_a_bad_deploy_did_to_the_live_rows_shows(
    archived: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    dynamodb = boto3.client("dynamodb")
    damaged, lost, *_ = sorted(scan("observations"), key=lambda one: str(one["sk"]["S"]))
    key = {name: damaged[name] for name in ("pk", "sk")}
    dynamodb.put_item(TableName="observations", Item=damaged | {"kind": {"S": "weight"}})
    dynamodb.delete_item(TableName="observations", Key={name: lost[name] for name in ("pk", "sk")})
    Observations(aws_client("dynamodb"), "observations").recall((key["pk"]["S"], key["sk"]["S"]), "r-1")
    invented = Observations(aws_client("dynamodb"), "observations")
    row = an_observation(id=deterministic_id("invented"), received_at=NOW)
    old = an_observation(id=deterministic_id("old"), received_at=NOW - timedelta(days=9))
    for one in (row, old):
        invented.put([(row_key(Identity(one.organisation, one.subject, one.kind, one.device_time, one.id)), one)])
    comparison = ops(capsys, *REBUILD, "--execute", "--rate", "10000")["comparison"]
    assert comparison == {
        "counts": {"same": 10, "different": 1, "extra": 1, "missing": 1},
        "different": [damaged["id"]["S"]],
        "extra": [lost["id"]["S"]],
        "missing": [row.id],
    }


def test_r101_a_reading_that_came_before_those_days_is_not_held_against_them(
    archived: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    dynamodb = boto3.client("dynamodb")
    for one in scan("observations")[:2]:
        earlier = (NOW - timedelta(days=9)).isoformat()
        dynamodb.put_item(TableName="observations", Item=one | {"received_at": {"S": earlier}})
    comparison = ops(capsys, *REBUILD, "--execute", "--rate", "10000")["comparison"]
    assert comparison == {"counts": {"same": 10, "known-before": 2}}


def test_r77_what_was_moved_to_another_person_is_not_missing(
    archived: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    observations = Observations(aws_client("dynamodb"), "observations")
    first, *_ = scan("observations")
    observations.retract((first["pk"]["S"], first["sk"]["S"]))
    observations.reinstate((first["pk"]["S"], first["sk"]["S"]))
    row = an_observation(id=deterministic_id("moved"), received_at=NOW)
    key = row_key(Identity(row.organisation, row.subject, row.kind, row.device_time, row.id))
    observations.put([(key, row)])
    observations.retract(key)
    comparison = ops(capsys, *REBUILD, "--execute", "--rate", "10000")["comparison"]
    assert comparison == {"counts": {"same": 12, "moved": 1}}


@pytest.mark.parametrize(
    ("restored", "comparison"),
    [(False, {"counts": {"same": 2}}), (True, {"counts": {"same": 2, "missing": 1}})],
    ids=["their rows are gone", "their rows came back from a copy"],
)
def test_r90_r101_what_was_sealed_for_somebody_who_was_erased_is_counted_and_never_built_again(
    stack: None, capsys: pytest.CaptureFixture[str], restored: bool, comparison: dict[str, Any]
) -> None:
    """Two people in one object of the archive: the one who was erased stays so, the other's readings are whole."""
    dynamodb, keys = aws_client("dynamodb"), the_keys()
    registry = Registry(dynamodb, "registry")
    kept = a_subject(version=2, data_key=keys.new_data_key(ORGANISATION))
    forgotten = a_subject(id="S-0002", data_key=keys.new_data_key(ORGANISATION))
    for one in (kept, forgotten):
        registry.put_subject(one)
    registry.put_device(a_device(serial="BP-2", assignments=(an_assignment(subject=forgotten.id),)))
    theirs = an_arrival(a_message(a_reading(), device="BP-2"), thing="BP-2", id="theirs")
    others = [arrival_of(number) for number in range(2)]
    an_ingest("observations", "quarantine")([theirs, *others], now=NOW, first_inbox=False)
    (their_row,) = (row for row in scan("observations") if row["subject"]["S"] == forgotten.id)
    lines = sealed(keys, others, kept.data_key) + sealed(keys, [theirs], forgotten.data_key)
    boto3.client("s3").put_object(Bucket=BUCKET, Key="readings/2026-11-22/pma-0", Body=gzip.compress(lines))

    for place in (Partition(dynamodb, "observations"), Holdings(registry), Enrolled(dynamodb, "registry")):
        assert place.erase(ORGANISATION, forgotten.id, most=100)
    if restored:
        boto3.client("dynamodb").put_item(TableName="observations", Item=their_row)
    for _ in range(2):
        report = ops(capsys, *REBUILD, "--execute", "--rate", "10000")
        assert report["done"]["sealed_for_good"] == 1
        assert report["comparison"] == comparison | ({"missing": [their_row["id"]["S"]]} if restored else {})
    assert {row["subject"]["S"] for row in scan("again-observations")} == {kept.id}
    assert scan("again-quarantine") == []


def test_r102_a_table_that_somebody_listens_to_is_not_built_into(
    archived: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    boto3.client("dynamodb").create_table(
        TableName="again-observations",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    assert "has a stream: name new tables" in ops(capsys, *REBUILD, "--execute")
    assert scan("again-observations") == []


def test_a_damaged_object_stops_it_in_one_sentence_and_it_goes_on_when_it_is_whole_again(
    archived: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    s3 = boto3.client("s3")
    key = "readings/2026-11-22/pma-1"
    whole = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(b"{}"))
    assert "It stopped, and the same command goes on" in ops(capsys, *REBUILD, "--execute", "--rate", "10000")
    s3.put_object(Bucket=BUCKET, Key=key, Body=whole)
    report = ops(capsys, *REBUILD, "--execute", "--rate", "10000")
    assert (report["resumed"], report["comparison"]) == (True, {"counts": {"same": 12}})


@pytest.mark.parametrize("without", ["--first", "--last", "--into"])
def test_a_rebuild_says_which_days_and_where(stack: None, capsys: pytest.CaptureFixture[str], without: str) -> None:
    arguments = list(REBUILD)
    at = arguments.index(without)
    del arguments[at : at + 2]
    assert "say which days" in ops(capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rate", "0"], "messages a second"),
        (["--rate", "x"], "messages a second"),
        (["--first", "noon"], "a day, as"),
    ],
)
def test_what_is_no_number_or_day_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit):
        main(["replay", "--from", "archive", "--stack", "pma-test", *arguments])
    assert says in capsys.readouterr().err
