"""Messages are what the contract says, and never too large."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.payload import MOST_BYTES, Message, Quantity, Reading, number, pack, returning

SAMARA = timezone(timedelta(hours=4))
AT = datetime(2026, 11, 22, 7, 30, tzinfo=SAMARA)


def a_pressure(**changes: object) -> Reading:
    facts = {
        "subject": "S-7F3A",
        "thing": "PHONE-1",
        "device": "BP-00017",
        "kind": "blood-pressure",
        "measured_at": AT,
        "values": {
            "systolic": Quantity(Decimal(152), "mm[Hg]"),
            "diastolic": Quantity(Decimal(97), "mm[Hg]"),
            "pulse": Quantity(Decimal("71.5"), "/min"),
        },
    } | changes
    return Reading(**facts)  # type: ignore[arg-type]


def test_a_message_is_the_contracts_example() -> None:
    reading = a_pressure(slot=1, flags=("movement",), context={"posture": "sitting"})
    (message,) = pack([reading], boot=3)
    assert json.loads(message.encode(datetime(2026, 11, 22, 3, 31, 2, 9, tzinfo=UTC))) == {
        "format": "pma.readings/1",
        "device": "BP-00017",
        "sent_at": "2026-11-22T07:31:02+04:00",
        "boot": 3,
        "sequence": 1,
        "readings": [
            {
                "kind": "blood-pressure",
                "measured_at": "2026-11-22T07:30:00+04:00",
                "values": {
                    "systolic": {"value": 152, "unit": "mm[Hg]"},
                    "diastolic": {"value": 97, "unit": "mm[Hg]"},
                    "pulse": {"value": 71.5, "unit": "/min"},
                },
                "origin": "device",
                "slot": 1,
                "flags": ["movement"],
                "context": {"posture": "sitting"},
            }
        ],
    }


def test_a_device_that_is_its_own_thing_is_not_named_twice() -> None:
    (message,) = pack([a_pressure(thing="BP-00017")], boot=None)
    said = json.loads(message.encode(AT))
    assert set(said) == {"format", "sent_at", "sequence", "readings"}
    assert set(said["readings"][0]) == {"kind", "measured_at", "values", "origin"}


def test_a_broken_message_is_sent_as_it_is() -> None:
    assert Message("BP-1", body=b"\xff{").encode(AT) == b"\xff{"


def test_a_subject_is_never_said() -> None:
    (message,) = pack([a_pressure()])
    assert b"S-7F3A" not in message.encode(AT)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-10_000, max_value=10_000))
def test_a_number_reads_back_as_the_same_decimal(value: Decimal) -> None:
    assert json.loads(json.dumps(number(value)), parse_float=Decimal, parse_int=Decimal) == value


def test_a_sitting_is_one_message_and_the_next_another() -> None:
    times = [AT, AT + timedelta(seconds=90), AT + timedelta(hours=12)]
    messages = pack([a_pressure(measured_at=at) for at in times], gather=timedelta(minutes=2))
    assert [len(message.readings) for message in messages] == [2, 1]
    assert [message.sequence for message in messages] == [1, 2]


def test_devices_of_one_gateway_never_share_a_message() -> None:
    readings = [a_pressure(), a_pressure(device="BP-2"), a_pressure(measured_at=AT + timedelta(seconds=1))]
    messages = pack(readings, gather=timedelta(minutes=2))
    assert sorted(len(message.readings) for message in messages) == [1, 2]
    assert [message.sequence for message in messages] == [1, 1]
    assert all(len({reading.device for reading in message.readings}) == 1 for message in messages)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(min_value=0, max_value=900), max_size=60).map(sorted),
    st.integers(min_value=0, max_value=120),
    st.integers(min_value=1, max_value=9),
)
def test_packing_loses_nothing_and_keeps_time_in_order(seconds: list[int], gather: int, most: int) -> None:
    readings = [
        a_pressure(device=f"BP-{place % 3}", measured_at=AT + timedelta(seconds=at)) for place, at in enumerate(seconds)
    ]
    messages = pack(readings, gather=timedelta(seconds=gather), most=most)
    packed = [reading for message in messages for reading in message.readings]
    assert sorted(packed, key=readings.index) == sorted(readings, key=readings.index)
    assert all(len(message.readings) <= most for message in messages)
    last = [message.readings[-1].measured_at for message in messages]
    assert last == sorted(last)
    for message in messages:
        times = [reading.measured_at for reading in message.readings]
        assert times == sorted(times)
        assert times[-1] - times[0] <= timedelta(seconds=gather)


@pytest.mark.parametrize("context", [{}, {"note": "x" * 4000}], ids=["many", "long"])
def test_no_message_is_over_128_kb_or_500_readings(context: dict[str, str]) -> None:
    messages = pack([a_pressure(context=context)] * 1200)
    assert sum(len(message.readings) for message in messages) == 1200
    assert all(len(message.readings) <= 500 for message in messages)
    assert all(len(message.encode(AT)) <= MOST_BYTES for message in messages)


def test_a_gateway_that_returns_sends_the_newest_first_then_the_oldest() -> None:
    messages = pack([a_pressure(measured_at=AT + timedelta(hours=hour)) for hour in range(4)])
    assert [message.sequence for message in returning(messages)] == [4, 1, 2, 3]
    assert returning([]) == []
