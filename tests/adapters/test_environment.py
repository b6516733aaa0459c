"""A function's settings and its runtime are checked at start, in one sentence."""

import gc
from dataclasses import dataclass

import pytest

from adapters import aws, environment


@dataclass(frozen=True)
class Settings:
    observations_table: str
    observation_days: int


def test_settings_are_read_by_name_and_type() -> None:
    given = {"PMA_OBSERVATIONS_TABLE": "observations", "PMA_OBSERVATION_DAYS": "400", "PATH": "/bin"}
    assert environment.read(Settings, given) == Settings("observations", 400)


def test_every_missing_setting_is_named_at_once() -> None:
    with pytest.raises(environment.MissingSetting, match="PMA_OBSERVATIONS_TABLE, PMA_OBSERVATION_DAYS"):
        environment.read(Settings, {})


def test_the_least_botocore_is_checked() -> None:
    aws.check_runtime("1.40.0")
    with pytest.raises(aws.OutdatedRuntime, match=r"1\.34\.9 is older than 1\.40"):
        aws.check_runtime("1.34.9")


def test_a_client_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    aws.client.cache_clear()
    assert aws.client("sqs") is aws.client("sqs")


def test_what_the_start_made_is_set_aside() -> None:
    before = gc.get_threshold()
    try:
        environment.settle()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > 10_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
