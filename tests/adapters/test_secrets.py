"""What signs deliveries: kept in Secrets Manager, read rarely, rotated with an overlap."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.secrets import EndpointSecrets, Secrets, generate
from domain.delivery import Key
from tests.builders import NOW

NAME = "pma/endpoint/clinic-a/mis-1"


class Counting:
    """A client that counts how often secrets are read."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        if name == "get_secret_value":
            self.reads += 1
        return getattr(self._client, name)


@pytest.fixture
def client() -> Iterator[Counting]:
    with mock_aws():
        yield Counting(boto3.client("secretsmanager", region_name="eu-central-1"))


def test_a_new_secret_is_as_standard_webhooks_wants_it() -> None:
    one, other = generate(), generate()
    assert one != other
    assert one.startswith("whsec_")
    assert len(base64.b64decode(one.removeprefix("whsec_"))) == 32


def test_it_is_read_once_a_minute(client: Counting) -> None:
    secrets = Secrets(client)
    secrets.keep(NAME, [Key("whsec_a")])
    for seconds in (0, 30, 60):
        assert secrets.signing(NAME, NOW + timedelta(seconds=seconds)) == ["whsec_a"]
    assert client.reads == 1
    secrets.signing(NAME, NOW + timedelta(seconds=61))
    assert client.reads == 2


def test_r73_an_old_secret_signs_until_its_time_is_over(client: Counting) -> None:
    secrets = Secrets(client)
    secrets.keep(NAME, [Key("whsec_old")])
    assert secrets.signing(NAME, NOW) == ["whsec_old"]
    secrets.keep(NAME, [Key("whsec_new"), Key("whsec_old", until=NOW + timedelta(hours=24))])
    assert secrets.signing(NAME, NOW) == ["whsec_new", "whsec_old"]
    assert secrets.signing(NAME, NOW + timedelta(hours=24)) == ["whsec_new"]


def test_r83_two_organisations_never_share_what_was_read(client: Counting) -> None:
    made = EndpointSecrets(Secrets(client), "pma/endpoint/")
    name, secret = made.create("clinic-a", "mis-1")
    other, another = made.create("clinic-b", "mis-1")
    assert name != other
    assert made.secrets.signing(name, NOW) == [secret]
    assert made.secrets.signing(other, NOW) == [another]


def test_r73_a_rotated_secret_signs_beside_the_new_one_for_a_day(client: Counting) -> None:
    made = EndpointSecrets(Secrets(client), "pma-test/endpoint/")
    name, secret = made.create("clinic-a", "mis-1")
    second, newer = made.rotate(name, "clinic-a", "mis-1", NOW)
    third, newest = made.rotate(second, "clinic-a", "mis-1", NOW + timedelta(hours=1))
    assert made.signing(second, NOW) == [newer, secret]
    assert made.signing(third, NOW + timedelta(hours=24)) == [newest, newer]
    assert made.signing(third, NOW + timedelta(hours=25)) == [newest]
    assert len({name, second, third}) == 3


def test_a_forgotten_secret_signs_nothing_more(client: Counting) -> None:
    made = EndpointSecrets(Secrets(client), "pma/endpoint/")
    name, _ = made.create("clinic-a", "mis-1")
    made.forget(name)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        made.secrets.signing(name, NOW)
