"""Names and values of patients go through every function, errors included, and none comes out in logs, metrics, topics
or notifications (R68, R88, R89). A function says something of a person only where it comes to the end of its work: one
patient is enrolled, and every line that a function can log is met."""

import ast
import json
import logging
import os
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.alerts import Episodes
from adapters.aws import client as aws_client
from adapters.contacts import ContactVault
from adapters.decisions import Decisions
from adapters.dynamodb import batch_put, decode_item, encode_item
from adapters.environment import variable
from adapters.log import ALLOWED, AllowedKeys, HandlerFailed, Silently
from adapters.observations import row_key, to_row
from adapters.outbox import to_body
from adapters.programmes import messages
from adapters.registry import Registry
from domain.alert import Episode, State
from domain.enrolment import Consent
from domain.erasure import Look, write_look
from domain.identity import Identity
from domain.notification import words_for
from tests.builders import (
    NOW,
    ORGANISATION,
    a_device,
    a_notice,
    a_subject,
    an_alert,
    an_assignment,
    an_observation,
    an_organisation,
)
from tests.functions.test_registry import SUBJECT
from tests.in_process import REGION, TABLES, Context, InProcess, a_token, api, event

ROOT = Path(__file__).parents[2]
HANDLERS = sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))
Invocation: TypeAlias = Callable[[dict[str, Any], Any], Any]


@pytest.fixture
def cloud() -> Iterator[InProcess]:
    """Every function's settings, over tables in memory."""
    with api() as started, pytest.MonkeyPatch.context() as patch:
        sqs = aws_client("sqs")
        for name in ("critical", "ordinary", "doorbell", "jobs", "looks"):
            patch.setenv(variable(f"{name}_queue"), sqs.create_queue(QueueName=name)["QueueUrl"])
        for name in ("observation", "quarantine", "decision", "delivery"):
            patch.setenv(variable(f"{name}_days"), "90")
        patch.setenv(variable("archive_stream"), "archive")
        for name in TABLES:
            patch.setenv(variable(f"{name}_table"), name)
        begin_anew()
        live()
        yield started
    begin_anew()


def modules() -> Iterator[Any]:
    for name in HANDLERS:
        yield import_module(f"functions.{name}.handler")


def begin_anew() -> None:
    """What a function made at its start is of this cloud, and of no other test's."""
    for module in modules():
        for part in vars(module).values():
            if hasattr(part, "cache_clear") and part.__module__ == module.__name__:
                part.cache_clear()


PATIENT = "Canaryovapatient"
CUFF = f"BP-{PATIENT}"
VALUE = "190.31415926535"


def live() -> None:
    """PATIENT holds a cuff, has been told of, and is to be erased; the archive takes what is sent to it."""
    bucket = {"RoleARN": "arn:aws:iam::123456789012:role/archive", "BucketARN": "arn:aws:s3:::archive"}
    boto3.client("s3").create_bucket(Bucket="archive", CreateBucketConfiguration={"LocationConstraint": REGION})
    boto3.client("firehose").create_delivery_stream(
        DeliveryStreamName="archive", ExtendedS3DestinationConfiguration=bucket
    )
    dynamodb, kms, long_ago = aws_client("dynamodb"), boto3.client("kms"), datetime(2020, 1, 1, tzinfo=UTC)
    registry = Registry(dynamodb, "registry")
    registry.change_organisation(an_organisation(topic=boto3.client("sns").create_topic(Name="people")["TopicArn"]))
    registry.put_subject(a_subject(id=PATIENT, consent=Consent(long_ago)))
    registry.put_device(a_device(serial=CUFF, assignments=(an_assignment(subject=PATIENT, from_at=long_ago),)))
    people = {"patient": [{"channel": "sms", "address": f"+1{VALUE[-10:]}"}], "doctor": [{"channel": "topic"}]}
    ContactVault(dynamodb, kms, "contacts", os.environ[variable("contacts_key")]).seal(ORGANISATION, PATIENT, people)
    Episodes(dynamodb, "alerts", "registry", Decisions(dynamodb, "decisions")).write(
        (ORGANISATION, PATIENT),
        State({"crisis": Episode(stage="active")}),
        [an_alert(id="alert-1", subject=PATIENT, tell=("patient", "doctor"), told="raised")],
        after=0,
        now=NOW,
        received_at=NOW,
    )
    batch_put(dynamodb, "erasures", [{"pk": f"{ORGANISATION}#{PATIENT}", "sk": "tombstone", "erased_at": NOW}])


def invocations(name: str) -> list[Invocation]:
    module = import_module(f"functions.{name}.handler")
    return [getattr(module, one) for one in ("handle", "collect", "send") if hasattr(module, one)]


def said_by(invoke: Invocation, given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    """All that an invocation lets out of the function: logs, metrics, and what the runtime prints of an error."""
    stream = StringIO()
    streams = [(module.logger.registered_handler, module.logger.registered_handler.stream) for module in modules()]
    capsys.readouterr()
    try:
        for handler, _ in streams:
            handler.stream = stream
        invoke(given, Context())
    except HandlerFailed as error:
        stream.write("".join(traceback.format_exception(error)))
    finally:
        for handler, before in streams:
            handler.stream = before
    return stream.getvalue() + "".join(capsys.readouterr())


def of_stream(item: Any, *, kind: str = "INSERT", keys: Any = None) -> dict[str, Any]:
    image = encode_item(item)
    named = keys or {name: image[name] for name in ("pk", "sk")}
    return {
        "eventName": kind,
        "eventSource": "aws:dynamodb",
        "dynamodb": {"SequenceNumber": "1", "Keys": named, "NewImage": image},
    }


def of_queue(body: str, queue: str = "inbox") -> dict[str, Any]:
    arn = f"arn:aws:sqs:eu-central-1:1:{queue}"
    return {"messageId": "m-1", "body": body, "eventSource": "aws:sqs", "eventSourceARN": arn}


def a_body(payload: bytes, topic: str, client: str = "x") -> str:
    at = int(datetime.now(UTC).timestamp() * 1000)
    return json.dumps({"payload": b64encode(payload).decode(), "topic": topic, "client": client, "received_at": at})


def a_reading(word: str, number: int) -> bytes:
    value = {"value": number, "unit": word}
    reading = {
        "kind": "blood-pressure",
        "measured_at": word,
        "values": {"systolic": value, word: value},
        "flags": [word],
    }
    return json.dumps({"format": "pma.readings/1", "device": word, "readings": [reading]}).encode()


def a_row(word: str, number: int) -> dict[str, Any]:
    one = an_observation(subject=word, values={"systolic": number, "diastolic": number}, context={"note": word})
    key = row_key(Identity("clinic-a", word, one.kind, one.device_time, one.id))
    return decode_item(to_row(key, one, expires_at=NOW))


def events(word: str, number: int) -> dict[str, list[dict[str, Any]]]:
    """What may reach each function, with the canaries in every place that is not ours, well made and broken."""
    broken = {"pk": f"clinic-a#{word}", "sk": f"blood-pressure#{word}", "values": word, "told": word, word: number}
    notice = json.dumps({"organisation": word, "subject": word, "alert": word, "version": number, "roles": [word]})
    token = {"authorization": f"Bearer {a_token()}", "content-type": "application/json"}
    streams: list[dict[str, Any]] = [
        {"Records": [of_stream(a_row(word, number)), of_stream(broken, kind=kind)]} for kind in ("INSERT", "MODIFY")
    ]
    streams += [
        {"Records": [of_stream(broken | {"sk": sk})]}
        for sk in (
            "state",
            "subject",
            "device",
            "recalls",
            "plan",
            "consent",
            "tombstone",
            f"alert#{word}",
            f"outbox#{word}#1",
        )
    ]
    queues = [{"Records": [of_queue(body)]} for body in (word, notice, json.dumps({word: number}), "{}")]
    asked = [
        ("PUT", f"/v1/subjects/{word}", SUBJECT | {"emergency_text": f"{word} {number}"}),
        ("PUT", "/v1/subjects/S-1", SUBJECT | {word: number}),
        ("PUT", "/v1/subjects/S-1/contacts", {"patient": [{"channel": "sms", "address": word}]}),
        ("PUT", "/v1/subjects/S-1/care-plan", {"author": word, "rules": [{"id": word, "when": {"above": number}}]}),
        ("GET", f"/v1/subjects/{word}/observations?cursor={word}&kind={word}", None),
        ("GET", f"/v1/{word}", None),
        ("PUT", f"/v1/endpoints/{word}", {"url": word}),
        ("DELETE", f"/v1/subjects/{word}", None),
    ]
    return {
        "ingest": [
            {"Records": [of_queue(a_body(payload, topic))]}
            for topic in (f"dt/pma/{word}/readings", f"dt/pma/{word}/omh", f"dt/pma/X/vendor/{word}", word)
            for payload in (a_reading(word, number), word.encode(), b"[" + str(number).encode())
        ]
        + queues,
        "evaluate": streams,
        "relay": streams,
        "export": streams + queues,
        "notify": queues,
        "provision": [
            {
                "claimCertificateId": "c-1",
                "certificateId": "c-2",
                "parameters": {"SerialNumber": word, "Profile": word},
            },
            {"parameters": {word: number}},
            {word: word},
        ],
        "registry": [
            event(method, path, body=None if body is None else json.dumps(body).encode(), headers=token)
            for method, path, body in asked
        ],
        "replay": streams + queues,
        "erase": streams + queues,
    }


def well_made() -> dict[str, list[dict[str, Any]]]:
    """What brings a function to the end of its work, all of it about PATIENT."""
    reading = {"kind": "blood-pressure", "measured_at": datetime.now(UTC).isoformat(), "values": {}}
    reading["values"] = {
        "systolic": {"value": float(VALUE), "unit": "mm[Hg]"},
        "diastolic": {"value": 97, "unit": "mm[Hg]"},
    }
    said = json.dumps({"format": "pma.readings/1", "device": CUFF, "readings": [reading]}).encode()
    one = an_observation(subject=PATIENT, device=CUFF, values={"systolic": Decimal(VALUE), "diastolic": Decimal(97)})
    row = to_row(row_key(Identity(ORGANISATION, PATIENT, one.kind, one.device_time, one.id)), one, expires_at=NOW)
    lane = {"organisation": ORGANISATION, "endpoint": PATIENT.lower(), "lane": "alerts-0"}
    return {
        "ingest": [{"Records": [of_queue(a_body(said, f"dt/pma/{CUFF}/readings", client=CUFF))]}],
        "evaluate": [{"Records": [of_stream(decode_item(row))]}],
        "export": [{"Records": [of_queue(json.dumps(lane))]}],
        "notify": [{"Records": [of_queue(to_body(a_notice(subject=PATIENT)))]}],
        "provision": [
            {
                "claimCertificateId": "c-1",
                "certificateId": "c-2",
                "parameters": {"SerialNumber": CUFF, "Profile": "tonometer"},
            }
        ],
        "erase": [{"Records": [of_queue(write_look(Look(ORGANISATION, PATIENT)))]}],
    }


NAMES = st.from_regex(r"[A-Z][a-z]{5,8}ova[A-Z][a-z]{4,6}", fullmatch=True)
VALUES = st.integers(10**9, 10**12)


def test_every_function_is_here() -> None:
    assert set(events("Canaryova", 10**9)) == set(HANDLERS)


@pytest.mark.parametrize("name", HANDLERS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(word=NAMES, number=VALUES)
def test_p1_r88_r89_no_function_lets_a_canary_out(
    cloud: InProcess, capsys: pytest.CaptureFixture[str], name: str, word: str, number: int
) -> None:
    for given_ in events(word, number)[name]:
        for invoke in invocations(name):
            said = said_by(invoke, given_, capsys)
            assert said, "the function says something of each invocation"
            assert word.lower() not in said.lower()
            assert str(number) not in said


@pytest.mark.parametrize("name", HANDLERS)
def test_p1_r88_every_line_that_is_logged_is_met_with_a_patient_in_hand(
    cloud: InProcess, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Work that breaks off before its end would have nothing to let out."""
    said = "\n".join(
        said_by(invoke, given_, capsys)
        for given_ in [*well_made().get(name, []), *events(PATIENT, 10**9)[name]]
        for invoke in invocations(name)
    )
    assert PATIENT.lower() not in said.lower()
    assert VALUE[-10:] not in said
    met = {json.loads(line).get("message") for line in said.splitlines() if line.startswith("{")}
    assert lines(name) <= met


@given(word=NAMES, number=VALUES)
@settings(max_examples=20)
def test_r68_a_notification_says_nothing_of_the_patient(word: str, number: int) -> None:
    alert = an_alert(subject=f"S-{number}", rule=word.lower(), value=word)
    notice = a_notice(subject=alert.subject, alert="alert-1")
    for role in ("patient", "doctor", "duty", "head"):
        words = words_for(messages(), notice, role, subject=a_subject(id=alert.subject), organisation=an_organisation())
        assert word.lower() not in repr(words).lower()
        assert str(number) not in words.text
        assert [name for name, value in words.facts.items() if str(number) in value] == ["subject"], "for programs only"


# the formatter


def logged(message: str, **extra: Any) -> dict[str, Any]:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", **extra})
    said: dict[str, Any] = json.loads(AllowedKeys().format(record))
    return said


def test_r88_a_key_that_is_not_allowed_does_not_pass_and_is_counted() -> None:
    said = logged("batch ingested", stored=3, systolic=152, subject="S-1")
    assert (said["message"], said["stored"], said["dropped"]) == ("batch ingested", 3, 2)
    assert not {"systolic", "subject"} & set(said)


def test_r88_of_a_mapping_only_counts_pass() -> None:
    said = logged("batch ingested", reasons={"no-consent": 2, "Ivan Ivanov": 1, "note": "152/97"})
    assert said["reasons"] == {"no-consent": 2}


def test_r88_an_error_leaves_a_handler_without_its_words() -> None:
    @Silently()
    def handle() -> None:
        raise ValueError("Ivan Ivanov 152/97")

    with pytest.raises(HandlerFailed, match=r"^ValueError at") as failed:
        handle()
    assert "Ivan" not in "".join(traceback.format_exception(failed.value))


def literals(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, node


def lines(name: str) -> set[str]:
    """The messages that a function logs."""
    return {
        str(node.args[0].value)
        for called, node in literals(ROOT / "functions" / name / "handler.py")
        if called in ("info", "warning", "error") and isinstance(node.args[0], ast.Constant)
    }


def test_r88_nothing_is_printed_and_no_error_is_logged_with_its_words() -> None:
    for path in sorted(path for floor in ("adapters", "domain", "functions") for path in ROOT.glob(f"{floor}/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("print", "pprint", "logger.exception", "logger.debug", "logger.critical"), path


@pytest.mark.parametrize("name", HANDLERS)
def test_r88_every_handler_logs_by_the_list_and_fails_silently(name: str) -> None:
    source = (ROOT / "functions" / name / "handler.py").read_text(encoding="utf-8")
    assert "Logger(" not in source
    assert source.count("@log.Silently()\n@logger.inject_lambda_context") == source.count(
        "@logger.inject_lambda_context"
    )
    for called, node in literals(ROOT / "functions" / name / "handler.py"):
        if called in ("info", "warning", "error"):
            assert isinstance(node.args[0], ast.Constant), "a message is constant"
            for extra in (one.value for one in node.keywords if one.arg == "extra"):
                keys = extra.keys if isinstance(extra, ast.Dict) else []
                assert {one.value for one in keys if isinstance(one, ast.Constant)} <= ALLOWED


def test_r88_every_count_of_a_service_is_on_the_list() -> None:
    """Ingest's and export's counts are keys of their lines."""
    for stage in ("ingest", "export"):
        tree = ast.parse((ROOT / "functions" / stage / "service.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("counts"):
                names = {one.value for one in ast.walk(node.slice) if isinstance(one, ast.Constant)}
                assert names <= ALLOWED


def test_r89_no_metric_has_a_dimension_of_a_persons() -> None:
    """Names are constant, and only the service stands beside them."""
    for path in ROOT.glob("functions/**/*.py"):
        for called, node in literals(path):
            assert called not in ("add_dimension", "set_default_dimensions", "add_metadata", "put_annotation")
            if called == "add_metric" and not isinstance(node.args[0], ast.Constant):
                assert ast.unparse(node.args[0]) in ("metric", "name"), "from a table of constants"
