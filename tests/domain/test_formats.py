"""The topic says which format a message is of; a status tells how a device is."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import Malformed, UnknownFormat
from domain.formats import decode
from domain.reading import Clock, Status
from tests.builders import NOW, SERIAL, an_arrival


def test_readings_are_read() -> None:
    assert len(decode(an_arrival(), {}).readings) == 1


@pytest.mark.parametrize(
    "topic", [f"dt/pma/{SERIAL}/{name}" for name in ("other", "")] + [f"dt/pma/{SERIAL}", "dt", ""]
)
def test_a_format_of_a_topic_that_is_not_read(topic: str) -> None:
    with pytest.raises(UnknownFormat):
        decode(an_arrival(topic=topic), {})


def status(**said: Any) -> Any:
    arrival = an_arrival({"format": "pma.status/1", **said}, topic=f"dt/pma/{SERIAL}/status")
    return decode(arrival, {})


def test_a_status_tells_battery_firmware_and_clock() -> None:
    message = status(
        device="BP-9",
        battery={"value": 81, "unit": "%"},
        firmware="1.4.2",
        clock={"device": "2026-11-22T10:00:00", "gateway": "2026-11-22T13:00:00+04:00"},
    )
    device = datetime(2026, 11, 22, 10, 0)  # noqa: DTZ001 - it shows no zone
    assert (message.device, message.readings) == ("BP-9", ())
    assert message.status == Status(NOW, Decimal(81), "1.4.2", Clock(device, NOW))


def test_a_status_may_say_no_more_than_that_the_device_is_there() -> None:
    assert status().status == Status(NOW)


@pytest.mark.parametrize(
    "said",
    [
        {"battery": 80},
        {"battery": {"value": 80}},
        {"battery": {"value": "80", "unit": "%"}},
        {"battery": {"value": 101, "unit": "%"}},
        {"firmware": "Anna's cuff"},
        {"firmware": 2},
        {"clock": "12:00"},
        {"clock": {"device": "2026-11-22T10:00:00Z"}},
        {"clock": {"device": "2026-11-22T10:00:00Z", "gateway": "2026-11-22T10:00:00"}},
        {"clock": {"device": "1600", "gateway": "2026-11-22T10:00:00Z"}},
        {"sent_at": "yesterday"},
        {"device": "B P"},
    ],
    ids=str,
)
def test_a_status_that_cannot_be_read(said: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        status(**said)


def test_a_status_of_another_format() -> None:
    with pytest.raises(UnknownFormat):
        status(format="pma.status/2")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, None),
        ({"sent_at": "2026-11-22T11:00:00Z"}, Clock(NOW + timedelta(hours=2), NOW)),
        ({"clock": {"device": "2026-11-22T08:00:00Z", "gateway": "2026-11-22T09:00:00Z"}},
         Clock(NOW - timedelta(hours=1), NOW)),
        ({"sent_at": "2026-11-22T09:01:00Z",
          "clock": {"device": "2026-11-22T08:00:00Z", "gateway": "2026-11-22T09:00:00Z"}},
         Clock(NOW - timedelta(hours=1), NOW)),
        ({"sent_at": "2026-11-22T10:00:00Z",
          "clock": {"device": "2026-11-22T08:00:00Z", "gateway": "2026-11-22T10:00:00Z"}},
         Clock(NOW - timedelta(hours=1), NOW)),
        ({"sent_at": "0001-01-01T00:00:00Z",
          "clock": {"device": "2026-11-22T08:00:00Z", "gateway": "2026-11-22T09:00:00Z"}},
         Clock(NOW - timedelta(hours=1), NOW)),
        ({"clock": {"device": "2026-11-22T08:00:00Z", "gateway": "9999-11-22T09:00:00Z"}}, None),
    ],
    ids=["nothing", "the sender's", "the device's beside the gateway's", "a gateway that is right",
         "a gateway that is wrong itself", "a sender that shows any date", "a gateway that shows any date"],
)  # fmt: skip
def test_f14_what_a_message_tells_of_its_clock(said: dict[str, Any], expected: Clock | None) -> None:
    assert decode(an_arrival({**json.loads(an_arrival().payload), **said}), {}).clock == expected
