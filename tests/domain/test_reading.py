"""What a device said is read strictly: a message is refused whole, a reading alone; no bytes raise anything else."""

import json
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain import reading, request
from domain.errors import Malformed, RejectedReading, TooLarge, UnknownFormat
from domain.reading import (
    MAX_BYTES,
    MAX_READINGS,
    Reading,
    canonical_json,
    context,
    decode_readings,
    flags,
    origin,
    parse,
    read,
)
from tests.builders import a_message, a_reading, an_arrival, as_read

DEEP = b'{"a":' * 40 + b"1" + b"}" * 40


def test_the_contracts_example_is_read() -> None:
    payload = b"""{"format": "pma.readings/1", "device": "BP-00017", "sent_at": "2026-11-22T07:31:02+03:00",
     "boot": 3, "sequence": 42, "readings": [
      {"kind": "blood-pressure", "measured_at": "2026-11-22T07:30:00+03:00",
       "values": {"systolic": {"value": 152, "unit": "mm[Hg]"}, "diastolic": {"value": 97, "unit": "mm[Hg]"},
                  "pulse": {"value": 71, "unit": "/min"}},
       "origin": "device", "slot": 1, "flags": ["movement"], "context": {"posture": "sitting"}}]}"""
    message = decode_readings(an_arrival(payload))
    assert message.device == "BP-00017"
    (said,) = message.readings
    assert read(said) == Reading("blood-pressure", datetime.fromisoformat("2026-11-22T07:30:00+03:00"), 1, None, said)
    assert said["values"]["systolic"] == {"value": Decimal(152), "unit": "mm[Hg]"}
    assert (origin(said), flags(said), context(said)) == ("device", ("movement",), {"posture": "sitting"})


def test_what_is_optional_has_its_default() -> None:
    said = a_reading()
    assert (read(said).slot, read(said).subject) == (None, None)
    assert (origin(said), flags(said), context(said)) == ("device", (), {})
    assert decode_readings(an_arrival()).device is None


def test_a_field_that_we_do_not_know_is_read_past() -> None:
    message = decode_readings(an_arrival(a_message(a_reading(firmware="2.1"), battery=80)))
    assert read(message.readings[0]).kind == "blood-pressure"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00\xff",
        b"{",
        b"[]",
        b"7",
        b"null",
        b'{"format": "pma.readings/1", "readings": [1e400], "readings": []}',
        b'{"readings": [{}]}',
        b'{"format": 1, "readings": [{}]}',
        b'{"format": "pma.readings/1"}',
        b'{"format": "pma.readings/1", "readings": []}',
        b'{"format": "pma.readings/1", "readings": {}}',
        b'{"format": "pma.readings/1", "readings": [NaN]}',
        b'{"format": "pma.readings/1", "readings": [-Infinity]}',
        b'{"format": "pma.readings/1", "readings": [1e99999999999999999999]}',
        b'{"format": "pma.readings/1", "readings": ["\\ud800"]}',
        b'{"format": "pma.readings/1", "readings": ["\xed\xa0\x80"]}',
        b'{"format": "pma.readings/1", "device": "", "readings": [{}]}',
        b'{"format": "pma.readings/1", "device": 7, "readings": [{}]}',
        b'{"format": "pma.readings/1", "device": "clinic-b#x", "readings": [{}]}',
        DEEP,
        b"[" * 100_000,
        b'["]"' + b',["]"' * 10_000,
        b'["\\"]"' + b',["]\\\\"' * 10_000,
        '{"format": "pma.readings/1"}'.encode("utf-16"),
    ],
    ids=lambda payload: repr(payload[:60]),
)
def test_r17_a_message_that_is_not_as_its_format_prescribes(payload: bytes) -> None:
    with pytest.raises(Malformed):
        decode_readings(an_arrival(payload))


def test_r17_a_mark_at_the_beginning_and_a_whole_character_in_two_halves_are_json() -> None:
    assert decode_readings(an_arrival(b"\xef\xbb\xbf" + an_arrival().payload)).readings
    assert parse(b'["\\ud83d\\ude00"]') == ["😀"]


def test_r17_brackets_in_words_are_no_depth() -> None:
    assert parse(json.dumps(["[" * 500, '\\"[{' * 500] * 20).encode())
    assert parse(b"[" * 32 + b"]" * 32)
    assert parse(b"[[1],[2],[3]]" * 1)


def test_r17_a_number_past_every_float_spoils_only_its_reading() -> None:
    (said, _) = decode_readings(
        an_arrival(b'{"format": "pma.readings/1", "readings": [{"value": 1e400}, {}]}')
    ).readings
    assert said["value"] == Decimal("1e400")


@pytest.mark.parametrize("name", ["pma.readings/2", "pma.gatt/1", ""])
def test_a_format_that_is_not_read(name: str) -> None:
    with pytest.raises(UnknownFormat):
        decode_readings(an_arrival(a_message(format=name)))


@pytest.mark.parametrize(
    ("topic", "thing"), [("dt/pma/X-1/readings", "X-1"), ("dt/other/X-1/gatt/y", "X-1"), ("dt/pma", "-"), ("", "-")]
)
def test_the_publishers_name_is_in_the_topic(topic: str, thing: str) -> None:
    assert an_arrival(topic=topic).thing == thing


def test_r17_too_large() -> None:
    most = a_message(*[a_reading()] * MAX_READINGS)
    assert len(decode_readings(an_arrival(most)).readings) == MAX_READINGS
    with pytest.raises(TooLarge):
        decode_readings(an_arrival(a_message(*[a_reading()] * (MAX_READINGS + 1))))
    filled = an_arrival().payload.ljust(MAX_BYTES)
    assert decode_readings(an_arrival(filled)).readings
    with pytest.raises(TooLarge):
        decode_readings(an_arrival(filled + b" "))


@pytest.mark.parametrize(
    "said",
    [
        "no object",
        None,
        a_reading(kind=None),
        a_reading(kind="mood"),
        a_reading(kind=["weight"]),
        a_reading(measured_at=None),
        a_reading(measured_at=1795334400),
        a_reading(measured_at="yesterday"),
        a_reading(measured_at="2026-11-22"),
        a_reading(measured_at="2026-11-22 12:59:00"),
        a_reading(measured_at="2026-02-30T12:59:00Z"),
        a_reading(measured_at="2026-11-22T24:59:00Z"),
        a_reading(measured_at="2026-11-22T12:59:00+99:00"),
        a_reading(measured_at="٢٠٢٦-11-22T12:59:00Z"),
        a_reading(slot=True),
        a_reading(slot="1"),
        a_reading(slot=-1),
        a_reading(slot=256),
        a_reading(slot=1.5),
        a_reading(subject=7),
        a_reading(subject="Ivan Petrov"),
        a_reading(record=1.5),
        a_reading(record=-1),
        a_reading(record="7"),
    ],
    ids=repr,
)
def test_a_reading_that_does_not_say_who_when_and_what(said: Any) -> None:
    with pytest.raises(Malformed):
        read(as_read(said))


@pytest.mark.parametrize(
    ("written", "naive"),
    [
        ("2026-11-22T12:59:00+04:00", False),
        ("2026-11-22T08:59:00Z", False),
        ("2026-11-22T12:59", True),
        ("2026-11-22T12:59:00.123456789", True),
        ("2026-11-22t08:59:00z", False),
        ("2026-11-22T08:59:00.00000000000001Z", False),
    ],
)
def test_a_time_is_kept_as_it_was_written(written: str, naive: bool) -> None:
    assert (read(a_reading(measured_at=written)).device_time.tzinfo is None) == naive


@pytest.mark.parametrize("slot", [0, 1, 255, 2.0])
def test_a_slot_is_a_whole_number(slot: float) -> None:
    assert read(as_read(a_reading(slot=slot))).slot == int(slot)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (origin, {"origin": "guess"}),
        (origin, {"origin": None}),
        (origin, {"origin": {}}),
        (flags, {"flags": "movement"}),
        (flags, {"flags": [1]}),
        (flags, {"flags": ["two words"]}),
        (flags, {"flags": ["x"] * 33}),
        (context, {"context": []}),
        (context, {"context": {"posture": True}}),
        (context, {"context": {"note": "Иван Петров"}}),
        (context, {"context": {f"n{number}": "x" for number in range(33)}}),
    ],
    ids=lambda value: getattr(value, "__name__", None) or repr(value),
)
def test_r87_what_stands_beside_the_values_is_codes(part: Any, said: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        part(said)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
@example(b"\xef\xbb\xbf")
def test_r17_whatever_the_bytes_nothing_but_a_refusal_is_raised(payload: bytes) -> None:
    try:
        message = decode_readings(an_arrival(payload))
    except RejectedReading:
        return
    assert message.readings


field = st.sampled_from(["kind", "measured_at", "slot", "subject", "values", "origin", "flags", "context"])


@given(st.dictionaries(field, json_values))
def test_r17_whatever_a_reading_holds_nothing_but_a_refusal_is_raised(changes: dict[str, Any]) -> None:
    said = as_read(a_reading() | changes)
    for part in (read, origin, flags, context):
        with suppress(Malformed):
            part(said)


@given(json_values, st.randoms())
def test_canonical_json_is_the_same_for_the_same_facts(value: Any, chance: Any) -> None:
    def shuffled(one: Any) -> Any:
        if isinstance(one, dict):
            names = list(one)
            chance.shuffle(names)
            return {name: shuffled(one[name]) for name in names}
        return [shuffled(part) for part in one] if isinstance(one, list) else one

    written = canonical_json(as_read(value))
    assert written == canonical_json(as_read(shuffled(value)))
    assert as_read(json.loads(written)) == as_read(value)


def test_a_name_is_the_same_word_here_and_in_the_api() -> None:
    assert reading.SERIAL.pattern == request.SERIAL.pattern
    assert reading.TOKEN.pattern == request.TOKEN.pattern
