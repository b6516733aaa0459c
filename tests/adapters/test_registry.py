"""Table registry: the adapter and the fake that stands for it keep the same promises."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.registry import DeviceStatus, ExportNotes, Registry, RegistryReader
from domain.enrolment import Consent, DataKey, Holding, Organisation
from domain.errors import LostRace
from domain.reading import Clock, Status
from tests.builders import (
    NOW,
    ORGANISATION,
    SERIAL,
    SUBJECT,
    a_device,
    a_subject,
    an_assignment,
    an_endpoint,
    as_holder,
)
from tests.fakes import FakeEnrolled, FakeRegistry
from tests.in_process import REGION, make_tables

SAMARA = datetime.fromisoformat("2026-11-01T09:00:00+04:00")


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        make_tables(client, ("registry",))
        yield client


@pytest.fixture(params=["adapter", "fake"])
def registry(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeEnrolled()
    return Registry(request.getfixturevalue("dynamodb"), "registry")


SUBJECTS = [
    a_subject(consent=Consent(SAMARA, SAMARA + timedelta(days=3)), emergency_text="112"),
    a_subject(consent=None, programmes=()),
]
DEVICES = [
    a_device(assignments=(), lot="L7", gateway="PHONE-1", cloud="CLOUD-1", roster=("S-1", "S-2"), revoked_at=NOW),
    a_device(
        assignments=(an_assignment(from_at=SAMARA, to_at=NOW), an_assignment(id="a-2", from_at=NOW, slot=2)),
    ),
]


@pytest.mark.parametrize("subject", SUBJECTS, ids=["full", "empty"])
def test_a_subject_is_read_as_it_was_written(registry: Any, subject: Any) -> None:
    registry.put_subject(subject)
    assert registry.subject(ORGANISATION, SUBJECT) == subject
    assert registry.subjects([(ORGANISATION, SUBJECT), ("clinic-b", SUBJECT)]) == {(ORGANISATION, SUBJECT): subject}
    assert registry.subject("clinic-b", SUBJECT) is None


@pytest.mark.parametrize(
    "subject", [*SUBJECTS, a_subject(data_key=DataKey("k-1", "wrapped"))], ids=["withdrawn", "without", "key"]
)
def test_who_may_hold_a_device_is_read_as_it_was_written(dynamodb: Any, subject: Any) -> None:
    Registry(dynamodb, "registry").put_subject(subject)
    for reader in (RegistryReader(dynamodb, "registry"), FakeRegistry(enrolled=[subject])):
        found = reader.holders([(ORGANISATION, SUBJECT), ("clinic-b", SUBJECT)])
        assert found == {(ORGANISATION, SUBJECT): as_holder(subject)}


@pytest.mark.parametrize("device", DEVICES, ids=["full", "assigned"])
def test_a_device_is_read_as_it_was_written(registry: Any, device: Any) -> None:
    registry.put_device(device)
    assert registry.device(ORGANISATION, SERIAL) == device
    assert registry.device("clinic-b", SERIAL) is None
    assert registry.organisations_of([SERIAL, "BP-404"]) == {SERIAL: ORGANISATION}


def test_an_endpoint_is_read_as_it_was_written_until_it_is_deleted(registry: Any) -> None:
    endpoint = an_endpoint()
    registry.put_endpoint(endpoint)
    assert registry.endpoint(ORGANISATION, "mis-1") == endpoint
    with pytest.raises(LostRace):
        registry.delete_endpoint(replace(endpoint, version=2))
    registry.delete_endpoint(endpoint)
    assert registry.endpoint(ORGANISATION, "mis-1") is None
    with pytest.raises(LostRace):
        registry.delete_endpoint(endpoint)


@pytest.mark.parametrize(
    ("put", "thing"),
    [("put_subject", a_subject), ("put_device", a_device), ("put_endpoint", an_endpoint)],
    ids=["subject", "device", "endpoint"],
)
def test_r86_only_the_next_version_may_be_written(registry: Any, put: str, thing: Any) -> None:
    write = getattr(registry, put)
    with pytest.raises(LostRace):
        write(thing(version=2))
    write(thing())
    for version in (1, 3):
        with pytest.raises(LostRace):
            write(thing(version=version))
    write(thing(version=2))


def test_the_first_organisation_keeps_a_serial(registry: Any) -> None:
    registry.put_device(a_device())
    with pytest.raises(LostRace):
        registry.put_device(a_device(organisation="clinic-b"))
    assert registry.organisations_of([SERIAL]) == {SERIAL: ORGANISATION}
    assert registry.device("clinic-b", SERIAL) is None


def test_an_assignment_is_seen_from_the_device_and_from_the_subject(registry: Any) -> None:
    registry.put_device(a_device(assignments=()))
    open_, ended = an_assignment(slot=2), an_assignment(slot=2, to_at=NOW)
    registry.put_assignment(a_device(version=2, assignments=(open_,)), open_)
    assert registry.holdings(ORGANISATION, SUBJECT) == [Holding(SERIAL, open_.from_at, None, 2)]
    registry.put_assignment(a_device(version=3, assignments=(ended,)), ended)
    assert registry.holdings(ORGANISATION, SUBJECT) == [Holding(SERIAL, open_.from_at, NOW, 2)]
    assert registry.device(ORGANISATION, SERIAL).assignments == (ended,)
    assert registry.holdings("clinic-b", SUBJECT) == []
    with pytest.raises(LostRace):
        registry.put_assignment(a_device(version=3), an_assignment(id="a-2"))
    assert len(registry.holdings(ORGANISATION, SUBJECT)) == 1


def test_organisations_and_their_clients(dynamodb: Any) -> None:
    registry = Registry(dynamodb, "registry")
    clinic = Organisation(ORGANISATION, "Clinic A", "arn:topic", datetime(2026, 1, 1, tzinfo=UTC))
    registry.put_organisation(clinic)
    with pytest.raises(LostRace):
        registry.put_organisation(clinic)
    registry.put_client("client-a", ORGANISATION)
    registry.put_client("client-a", ORGANISATION)
    with pytest.raises(LostRace):
        registry.put_client("client-a", "clinic-b")
    assert registry.organisation_of("client-a") == clinic
    assert registry.organisation_of("client-x") is None
    assert registry.organisations([ORGANISATION, "clinic-b"]) == {ORGANISATION: clinic}
    suspended = replace(clinic, suspended_at=NOW, requests_per_second=7)
    registry.change_organisation(suspended)
    with pytest.raises(LostRace):
        registry.change_organisation(replace(clinic, id="clinic-x"))
    assert registry.organisation_of("client-a") == suspended
    registry.delete_client("client-a")
    assert registry.organisation_of("client-a") is None


def test_a_receiver_that_is_gone_is_disabled_and_an_edit_that_did_not_know_it_loses(dynamodb: Any) -> None:
    registry, switch = Registry(dynamodb, "registry"), ExportNotes(dynamodb, "registry")
    registry.put_endpoint(an_endpoint())
    registry.put_endpoint(an_endpoint(id="mis-2"))
    switch.disable(ORGANISATION, "mis-1")
    switch.disable(ORGANISATION, "mis-404")
    assert {one.id: one.state for one in registry.endpoints(ORGANISATION)} == {"mis-1": "disabled", "mis-2": "enabled"}
    with pytest.raises(LostRace):
        registry.put_endpoint(an_endpoint(version=2))
    assert registry.endpoints("clinic-b") == []


def test_r32_a_fleet_is_spread_over_sixteen_shelves(dynamodb: Any) -> None:
    devices = [a_device(serial=f"BP-{number}", assignments=()) for number in range(40)]
    registry = Registry(dynamodb, "registry")
    for one in [*devices, a_device(serial="BP-77", organisation="clinic-b", assignments=())]:
        registry.put_device(one)
    readers: tuple[Any, ...] = (RegistryReader(dynamodb, "registry"), FakeRegistry(owned=devices))
    for reader in readers:
        shelves = [{one.serial for one in reader.fleet(ORGANISATION, shelf)} for shelf in "0123456789abcdef"]
        assert sorted(one for shelf in shelves for one in shelf) == sorted(one.serial for one in devices)
        assert max(map(len, shelves)) < 10


STATUS = Status(NOW, clock=Clock(NOW - timedelta(hours=2), NOW))
LATER = Status(NOW + timedelta(minutes=1))
WHICH = (ORGANISATION, SERIAL)


@pytest.mark.parametrize("told", [(STATUS, LATER), (LATER, STATUS)], ids=["in order", "late"])
def test_the_last_word_of_a_device_counts_in_whatever_order_it_comes(dynamodb: Any, told: tuple[Status, ...]) -> None:
    registry = Registry(dynamodb, "registry")
    registry.put_device(a_device())
    for one in told:
        DeviceStatus(dynamodb, "registry").tell(*WHICH, one)
    device = registry.device(*WHICH)
    assert device is not None
    assert (device.status, device.version) == (LATER, 1)


def test_a_device_that_nobody_enrolled_has_no_status(dynamodb: Any) -> None:
    DeviceStatus(dynamodb, "registry").tell(*WHICH, STATUS)
    assert Registry(dynamodb, "registry").device(*WHICH) is None


@pytest.mark.parametrize("earlier", [None, STATUS], ids=["the first", "another"])
def test_f14_r86_a_status_that_is_told_while_the_device_is_written_is_not_lost(
    dynamodb: Any, earlier: Status | None
) -> None:
    registry, status = Registry(dynamodb, "registry"), DeviceStatus(dynamodb, "registry")
    registry.put_device(a_device())
    if earlier is not None:
        status.tell(*WHICH, earlier)
    read = registry.device(*WHICH)
    assert read is not None
    status.tell(*WHICH, LATER)
    with pytest.raises(LostRace):
        registry.put_device(read._replace(version=2, lot="L9"))
    with pytest.raises(LostRace):
        registry.put_assignment(read._replace(version=2), an_assignment(id="a-2"))
    again = registry.device(*WHICH)
    assert again is not None
    registry.put_device(again._replace(version=2, lot="L9"))
    assert registry.device(*WHICH) == a_device(version=2, lot="L9", status=LATER)
