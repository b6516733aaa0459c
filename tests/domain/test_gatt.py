"""A relayed characteristic becomes a reading in our words, or is refused; no bytes raise anything else."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.alert import ARTEFACTS
from domain.codes import KINDS
from domain.errors import (
    BadValue,
    ImplausibleValue,
    Malformed,
    RejectedReading,
    TooLarge,
    UnknownFormat,
    UntrustedClock,
)
from domain.formats import decode
from domain.gatt import decode_gatt
from domain.plausibility import canonical_values
from domain.profile import Measure
from domain.reading import (
    MAX_BYTES,
    GlucoseContext,
    Message,
    Reading,
    Unreadable,
    canonical_json,
    context,
    decode_readings,
    flags,
    origin,
    read,
)
from tests.builders import SERIAL, an_arrival

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "gatt" / "vectors.json"

NOON = "EA070B160C0000"  # 22 November 2026, 12:00:00
NEVER = "00000B160C0000"  # the same of a year that the device does not know
PRESSURE = "00 7800 5000 5D00"
SPOT = "00 6100 4000"


def a_gatt(characteristic: str = "2A35", value: str = PRESSURE, **changes: Any) -> dict[str, Any]:
    """A blood pressure as a gateway relays it; None leaves a field out."""
    facts: dict[str, Any] = {
        "format": "pma.gatt/1",
        "device": "BP-9",
        "received_at": "2026-11-22T08:58:30Z",
        "characteristic": characteristic,
        "value": value.replace(" ", ""),
    }
    return {name: fact for name, fact in (facts | changes).items() if fact is not None}


def decoded(*said: Any, **changes: Any) -> Message:
    return decode(an_arrival(a_gatt(*said, **changes), topic=f"dt/pma/{SERIAL}/gatt"), {})


def reading(*said: Any, **changes: Any) -> dict[str, Any]:
    (one,) = decoded(*said, **changes).readings
    assert not isinstance(one, Unreadable)
    assert isinstance(read(one), Reading)
    assert (origin(one), flags(one), context(one)) == ("device", tuple(one["flags"]), one["context"])
    return dict(one)


def refused(*said: Any, **changes: Any) -> RejectedReading:
    (one,) = decoded(*said, **changes).readings
    assert isinstance(one, Unreadable)
    assert canonical_json(one.said)
    return one.refusal


def values(**given_: tuple[str, str]) -> dict[str, dict[str, Any]]:
    return {name: {"value": Decimal(value), "unit": unit} for name, (value, unit) in given_.items()}


def canonical(one: dict[str, Any]) -> dict[str, Decimal]:
    """The values as they are stored, of a device that shows two decimals and any value."""
    types = KINDS[one["kind"]].values
    measure = Measure.model_validate({"resolution": dict.fromkeys(types, "0.01"), "fresh_for": timedelta(hours=1)})
    return canonical_values(one["kind"], one["values"], measure)


def test_a_blood_pressure_is_told_in_our_words() -> None:
    message = decoded("2A35", f"1E 7800 5000 5D00 {NOON} 4800 01 0700", service="1810")
    assert message.device == "BP-9"
    assert message.readings == (
        {
            "kind": "blood-pressure",
            "measured_at": "2026-11-22T12:00:00",
            "values": values(
                systolic=("120", "mm[Hg]"), diastolic=("80", "mm[Hg]"), mean=("93", "mm[Hg]"), pulse=("72", "/min")
            ),
            "slot": Decimal(1),
            "flags": ["movement", "cuff-loose", "irregular-pulse"],
            "context": {},
        },
    )


def test_what_is_set_aside_of_a_message_says_it_again() -> None:
    arrival = an_arrival(a_gatt("2AA7", "06 00 6400 0500 06 00 6E00 0A00", session_start="2026-11-22T08:00:00Z"))
    message = decode_gatt(arrival)
    assert message.alone == (arrival.payload, arrival.payload)
    narrowed = decode_readings(an_arrival(message.narrowed([message.readings[1]])))
    assert narrowed.device == "BP-9"
    assert narrowed.readings == (message.readings[1],)


def test_the_thing_itself_may_be_the_device() -> None:
    message = decoded(device=None)
    assert message.device is None
    assert decode_readings(an_arrival(message.narrowed(list(message.readings)))).device is None


READINGS = [
    ("bp-kpa", "2A35", "01 BDF0 6EF0 9FF0", "blood-pressure",
     values(systolic=("18.9", "kPa"), diastolic=("11.0", "kPa"), mean=("15.9", "kPa")), [], {}),
    ("bp-no-mean-no-pulse", "2A35", "04 7800 5000 FF07 FF07", "blood-pressure",
     values(systolic=("120", "mm[Hg]"), diastolic=("80", "mm[Hg]")), [], {}),
    ("bp-position", "2A35", "10 7800 5000 5D00 2000", "blood-pressure",
     values(systolic=("120", "mm[Hg]"), diastolic=("80", "mm[Hg]"), mean=("93", "mm[Hg]")), ["improper-position"], {}),
    ("bp-more-octets", "2A35", "00 7800 5000 5D00 0102", "blood-pressure",
     values(systolic=("120", "mm[Hg]"), diastolic=("80", "mm[Hg]"), mean=("93", "mm[Hg]")), [], {}),
    ("hr", "2A37", "00 55", "heart-rate", values(rate=("85", "/min")), [], {}),
    ("hr-contact", "2A37", "16 55 0004", "heart-rate", values(rate=("85", "/min")), [], {"sensor-contact": "detected"}),
    ("hr-no-contact", "2A37", "05 5500", "heart-rate", values(rate=("85", "/min")), ["poor-contact"],
     {"sensor-contact": "lost"}),
    ("glucose-kg", "2A18", f"0A 2A00 {NOON} 78B0 21 2100", "glucose", values(glucose=("120", "mg/dL")),
     ["battery-low", "result-above-range"],
     {"sample-type": "capillary-whole-blood", "sample-location": "alternate-site"}),
    ("glucose-mol", "2A18", f"06 2A00 {NOON} 37C0 F0", "glucose", values(glucose=("5.5", "mmol/L")), [], {}),
    ("cgm", "2AA7", "07 20 5A00 0500 10", "cgm", values(glucose=("90", "mg/dL")), ["falling-fast"], {}),
    ("cgm-crc", "2AA7", "08 00 0C10 0600 596F", "cgm", values(glucose=("120", "mg/dL")), [], {}),
    ("weight-kg", "2A9D", "08 B136 E500 DC06", "weight", values(weight=("70.005", "kg")), [], {}),
    ("weight-lb", "2A9D", "01 1A3C", "weight", values(weight=("153.86", "[lb_av]")), [], {}),
    ("spot", "2A5E", SPOT, "oxygen-saturation", values(saturation=("97", "%"), pulse=("64", "/min")), [], {}),
    ("spot-no-pulse", "2A5E", "00 6100 FF07", "oxygen-saturation", values(saturation=("97", "%")), [], {}),
    ("continuous", "2A5F", "0B 6100 4000 6000 4100 6200 3F00 100000", "oxygen-saturation",
     values(saturation=("97", "%"), pulse=("64", "/min")), ["signal-poor"], {}),
    ("temperature-c", "2A1C", "04 720100FF 03", "temperature", values(temperature=("37.0", "Cel")), [],
     {"site": "ear"}),
    ("temperature-f", "2A1C", "01 DA0300FF", "temperature", values(temperature=("98.6", "[degF]")), [], {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("characteristic", "value", "kind", "expected", "noted", "circumstances"),
    [one[1:] for one in READINGS],
    ids=[one[0] for one in READINGS],
)
def test_each_kind(
    characteristic: str, value: str, kind: str, expected: Any, noted: list[str], circumstances: dict[str, str]
) -> None:
    one = reading(characteristic, value, session_start="2026-11-22T08:00:00Z")
    assert (one["kind"], one["values"], one["flags"], one["context"]) == (kind, expected, noted, circumstances)
    assert canonical(one)  # nothing is in a unit that does not convert


@pytest.mark.parametrize(
    ("characteristic", "value", "name", "stored"),
    [
        ("2A18", f"02 2A00 {NOON} 78B0 12", "glucose", "6.66"),
        ("2A18", f"06 2A00 {NOON} 37C0 12", "glucose", "5.5"),
        ("2A35", "01 00E6 0CE4 52E5", "systolic", "115.21"),
        ("2A9D", "01 1A3C", "weight", "69.79"),
        ("2A1C", "01 DA0300FF", "temperature", "37"),
    ],
)
def test_r18_each_unit_becomes_ours(characteristic: str, value: str, name: str, stored: str) -> None:
    assert round(canonical(reading(characteristic, value))[name], 2) == Decimal(stored)


@pytest.mark.parametrize(("octet", "slot"), [("00", 0), ("01", 1), ("FE", 254), ("FF", None)])
def test_c26_the_user_is_the_slot_unless_the_device_does_not_know(octet: str, slot: int | None) -> None:
    for one in (reading("2A35", f"08 7800 5000 5D00 {octet}"), reading("2A9D", f"04 B036 {octet}")):
        assert read(one).slot == slot


def test_a_glucose_measurement_has_its_number() -> None:
    assert read(reading("2A18", f"02 FFFF {NOON} 78B0 12")).record == 65535
    assert read(reading()).record is None


@pytest.mark.parametrize(
    ("characteristic", "value"),
    [
        ("2A35", "00 {} 5000 5D00"),
        ("2A35", "00 7800 {} 5D00"),
        ("2A18", f"02 2A00 {NOON} {{}} 12"),
        ("2A18", f"06 2A00 {NOON} {{}} 12"),
        ("2AA7", "06 00 {} 0500"),
        ("2A5E", "00 {} 4000"),
        ("2A5F", "00 {} 4000"),
    ],
)
@pytest.mark.parametrize(
    "word", ["FF07", "0008", "FE07", "0208", "0108"], ids=["NaN", "NRes", "+INF", "-INF", "reserved"]
)
def test_a_special_float_is_never_a_value(characteristic: str, value: str, word: str) -> None:
    one = reading(characteristic, value.format(word), session_start="2026-11-22T08:00:00Z")
    with pytest.raises(BadValue):
        canonical(one)


@pytest.mark.parametrize("word", ["FFFF7F00", "00008000", "FEFF7F00", "02008000", "01008000"])
def test_a_special_long_float_is_never_a_value(word: str) -> None:
    with pytest.raises(BadValue):
        canonical(reading("2A1C", f"00 {word}"))


@pytest.mark.parametrize(
    ("characteristic", "value"),
    [
        ("2A18", f"02 2A00 {NOON} 78B0 1A"),
        ("2A18", f"02 2A00 {NOON} 78B0 42"),
        ("2A18", f"00 2A00 {NOON}"),
        ("2A9D", "00 FFFF"),
        ("2A5E", "02 6100 4000 0004"),
        ("2A5E", "02 6100 4000 0008"),
        ("2A5F", "04 6100 4000 0020"),
        ("2A5F", "04 6100 4000 0080"),
    ],
    ids=[
        "control-type",
        "control-location",
        "none",
        "unsuccessful",
        "demonstration",
        "testing",
        "unavailable",
        "invalid",
    ],
)
def test_a_number_that_is_not_of_the_person_is_never_a_value(characteristic: str, value: str) -> None:
    one = reading(characteristic, value)
    assert "pulse" not in one["values"]
    with pytest.raises(BadValue):
        canonical(one)


def test_a_user_who_is_not_known_and_a_value_that_is_none_keep_their_time() -> None:
    """So a person without consent is refused for that, and no value of theirs is looked at (P5)."""
    one = reading("2A35", f"0A FF07 5000 5D00 {NOON} FF")
    assert read(one).device_time.isoformat() == "2026-11-22T12:00:00"
    assert one["values"]["systolic"] == {"value": "NaN", "unit": "mm[Hg]"}


@pytest.mark.parametrize(
    ("characteristic", "value", "told"),
    [
        ("2A35", PRESSURE, "2026-11-22T08:58:30+00:00"),
        ("2A35", f"02 7800 5000 5D00 {NOON}", "2026-11-22T12:00:00"),
        ("2A37", "00 55", "2026-11-22T08:58:30+00:00"),
        ("2A18", f"00 2A00 {NOON}", "2026-11-22T12:00:00"),
        ("2A18", f"01 2A00 {NOON} 7800", "2026-11-22T14:00:00"),
        ("2A18", f"01 2A00 {NOON} 2FFD", "2026-11-21T23:59:00"),
        ("2A18", "01 2A00 E8071D020C0000 0000", None),
        ("2A18", "01 2A00 E8070C1F173B3B 0100", "2025-01-01T00:00:59"),
        ("2A9D", f"02 B036 {NOON}", "2026-11-22T12:00:00"),
        ("2A5E", SPOT, "2026-11-22T08:58:30+00:00"),
        ("2A5E", f"01 6100 4000 {NOON}", "2026-11-22T12:00:00"),
        ("2A5E", "10 6100 4000", "2026-11-22T08:58:30+00:00"),
        ("2A5E", f"03 6100 4000 {NOON} 0002", "2026-11-22T12:00:00"),
        ("2A5F", SPOT, "2026-11-22T08:58:30+00:00"),
        ("2A1C", f"02 720100FF {NOON}", "2026-11-22T12:00:00"),
    ],
)
def test_f14_the_time_is_the_devices_or_else_the_gateways(characteristic: str, value: str, told: str | None) -> None:
    if told is None:
        assert isinstance(refused(characteristic, value), UntrustedClock)
    else:
        assert reading(characteristic, value)["measured_at"] == told


@pytest.mark.parametrize(
    ("session_start", "told"),
    [
        ("2026-11-22T08:00:00Z", "2026-11-22T08:05:00+00:00"),
        ("2026-11-22T12:00+04:00", "2026-11-22T12:05:00+04:00"),
        ("2026-11-22T12:00:00", "2026-11-22T12:05:00"),
        ("2026-12-31T23:59:30+04:00", "2027-01-01T00:04:30+04:00"),
    ],
)
def test_f14_a_continuous_measurement_counts_from_the_sessions_start(session_start: str, told: str) -> None:
    assert reading("2AA7", "06 00 6400 0500", session_start=session_start)["measured_at"] == told
    assert reading("2AA7", "06 00 6400 0500", session_start=session_start, received_at=None)["measured_at"] == told


@pytest.mark.parametrize(
    ("characteristic", "value"),
    [
        *(
            (characteristic, value.format(time))
            for characteristic, value in (
                ("2A35", "02 7800 5000 5D00 {}"),
                ("2A18", "02 2A00 {} 78B0 12"),
                ("2A9D", "02 B036 {}"),
                ("2A5E", "01 6100 4000 {}"),
                ("2A1C", "02 720100FF {}"),
            )
            for time in (
                NEVER,  # no year
                "EA0700160C0000",  # no month
                "EA070B000C0000",  # no day
                "EA070D160C0000",  # month 13
                "EA07021E0C0000",  # 30 February
                "EA070B16180000",  # hour 24
                "EA070B160C3C00",  # minute 60
                "EA070B160C003C",  # second 60
                "1027010100000000"[:14],  # year 10000
                "00000000000000",
                "FFFFFFFFFFFFFF",
            )
        ),
        ("2A18", f"01 2A00 {NOON} FF7F"),
        ("2A18", f"01 2A00 {NOON} 0080"),
        ("2A18", "01 2A00 0F270C1F173B3B 0100"),
        ("2A18", "01 2A00 01000101000000 FFFF"),
        ("2A18", f"0A 2A00 {NOON} 78B0 12 0008"),
        ("2A5E", f"11 6100 4000 {NOON}"),
        ("2A5E", "02 6100 4000 0002"),
        ("2A5F", "04 6100 4000 0002"),
    ],
)
def test_p7_a_time_that_is_not_known_is_never_guessed(characteristic: str, value: str) -> None:
    assert isinstance(refused(characteristic, value), UntrustedClock)


def test_p7_a_session_that_ends_after_the_calendar() -> None:
    said = a_gatt("2AA7", "06 00 6400 FFFF 06 00 6400 0000", session_start="9999-12-31T23:00:00Z")
    after, before = decode_gatt(an_arrival(said)).readings
    assert isinstance(after, Unreadable)
    assert isinstance(after.refusal, UntrustedClock)
    assert before["measured_at"] == "9999-12-31T23:00:00+00:00"


def test_a_record_whose_check_is_wrong_is_refused_alone() -> None:
    said = a_gatt(
        "2AA7", "08 00 0C10 0600 596F 08 00 0C10 0600 586F 06 00 0C10 0700", session_start="2026-11-22T08:00:00Z"
    )
    first, second, third = decode_gatt(an_arrival(said)).readings
    assert (first["measured_at"], third["measured_at"]) == ("2026-11-22T08:06:00+00:00", "2026-11-22T08:07:00+00:00")
    assert isinstance(second, Unreadable)
    assert isinstance(second.refusal, Malformed)
    assert second.said == {"kind": "cgm", "octets": "08000c100600586f"}


def test_r22_a_notification_that_was_cut_off_loses_only_what_was_cut() -> None:
    said = a_gatt("2AA7", "06 00 3200 0600 06 00 3C00 07", session_start="2026-11-22T08:00:00Z")
    whole, cut = decode_gatt(an_arrival(said)).readings
    assert whole["values"] == values(glucose=("50", "mg/dL"))
    assert isinstance(cut, Unreadable)
    assert isinstance(cut.refusal, Malformed)
    assert cut.said == {"kind": "cgm", "octets": "06003c0007"}


@pytest.mark.parametrize(
    ("value", "sequence", "codes"),
    [
        ("00 2A00", 42, {}),
        ("01 2A00 03 3CD0", 42, {"carbohydrate": "dinner", "carbohydrate-g": "60"}),
        ("01 2A00 00 FF07", 42, {}),
        ("01 2A00 09 C4DF", 42, {}),
        ("01 2A00 01 01C0", 42, {"carbohydrate": "breakfast", "carbohydrate-g": "0.1"}),
        ("02 2A00 03", 42, {"meal": "fasting"}),
        ("04 2A00 F1", 42, {"tester": "self"}),
        ("04 2A00 4F", 42, {"health": "under-stress"}),
        ("08 2A00 0807 32", 42, {"exercise-s": "1800", "exercise-percent": "50"}),
        ("08 2A00 FFFF 32", 42, {"exercise-percent": "50"}),
        ("10 2A00 01 0CA0", 42, {"medication": "rapid-acting-insulin", "medication-mg": "12"}),
        ("00 0100 0000000000000000000000000000", 1, {}),  # Nordic's own: a buffer longer than what is in it
        ("30 2A00 02 0CA0", 42, {"medication": "short-acting-insulin", "medication-ml": "0.012"}),
        ("40 2A00 41F0", 42, {"hba1c-percent": "6.5"}),
        ("40 2A00 FE07", 42, {}),
        ("80 2A00 FF", 42, {}),
        (
            "FF FFFF B3 03 64D0 04 12 3C00 32 04 7BC0 59F1",
            65535,
            {
                "carbohydrate": "dinner",
                "carbohydrate-g": "100",
                "meal": "casual",
                "tester": "professional",
                "health": "minor-issues",
                "exercise-s": "60",
                "exercise-percent": "50",
                "medication": "long-acting-insulin",
                "medication-ml": "12.3",
                "hba1c-percent": "34.5",
            },
        ),
    ],
)
def test_the_circumstances_of_a_glucose_measurement(value: str, sequence: int, codes: dict[str, str]) -> None:
    message = decoded("2A34", value, received_at=None)
    assert (message.device, message.readings) == ("BP-9", ())
    assert message.contexts == (GlucoseContext(sequence, codes),)
    assert context({"context": codes}) == codes


@pytest.mark.parametrize("uuid", ["2A35", "2a35", "00002A35-0000-1000-8000-00805F9B34FB"])
@pytest.mark.parametrize("service", [None, "1810", "00001810-0000-1000-8000-00805f9b34fb"])
def test_uuids_in_any_way_of_writing(uuid: str, service: str | None) -> None:
    assert reading(uuid, service=service)["kind"] == "blood-pressure"


@pytest.mark.parametrize(
    ("characteristic", "service", "value"),
    [
        ("2A37", "180D", "00 55"),
        ("2A18", "1808", f"02 2A00 {NOON} 78B0 12"),
        ("2A34", "1808", "00 2A00"),
        ("2AA7", "181F", "06 00 6400 0500"),
        ("2A9D", "181D", "00 B036"),
        ("2A5E", "1822", SPOT),
        ("2A5F", "1822", SPOT),
        ("2A1C", "1809", "00 720100FF"),
    ],
)
def test_a_characteristic_belongs_to_its_service(characteristic: str, service: str, value: str) -> None:
    said = a_gatt(characteristic, value, service=service.lower(), session_start="2026-11-22T08:00:00Z")
    assert decode_gatt(an_arrival(said))
    with pytest.raises(Malformed):
        decode_gatt(an_arrival(said | {"service": "1810"}))


def test_hex_in_either_case() -> None:
    assert reading(value="00 bdf0 0b00 9ff0")["values"] == reading(value="00 BDF0 0B00 9FF0")["values"]


@pytest.mark.parametrize(
    "payload",
    [
        a_gatt() | {"value": None},
        a_gatt(value=""),
        a_gatt(value="0"),
        a_gatt(value="00780050005D0"),
        a_gatt(value="0x00780050005D00"),
        a_gatt(value="zz"),
        a_gatt() | {"value": "00 78 00 50 00 5D 00"},
        a_gatt() | {"value": ["00"]},
        a_gatt() | {"value": "００780050005D00"},
        a_gatt(value="00 7800 5000 5D"),
        a_gatt(value="00" * 513),
        a_gatt() | {"characteristic": None},
        a_gatt() | {"characteristic": 2035},
        a_gatt(service="180D"),
        a_gatt(service=""),
        a_gatt(service=1810),
        a_gatt(device="no serial"),
        a_gatt(received_at=None),
        a_gatt(received_at="yesterday"),
        a_gatt("2AA7", "06 00 6400 0500"),
        a_gatt("2AA7", "06 00 6400 0500", session_start="2026-02-30T08:00:00Z"),
        a_gatt("2AA7", "00", session_start="2026-11-22T08:00:00Z"),
        a_gatt("2AA7", "07 00 6400 0500 00", session_start="2026-11-22T08:00:00Z"),
        b"[]",
        b"\xff",
        b'{"format": "pma.gatt/1", "format": "pma.gatt/1"}',
        b'{"format": "pma.gatt/1", "characteristic": "2A35", "value": 1e400}',
    ],
    ids=lambda payload: repr(payload)[-70:],
)
def test_r17_a_message_that_is_not_as_its_format_prescribes(payload: Any) -> None:
    with pytest.raises(Malformed):
        decode_gatt(an_arrival(payload))


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (a_gatt(received_at=None), "received_at"),
        (a_gatt("2AA7", "06 00 6400 0500"), "session_start"),
        (a_gatt(value="00"), "value"),
        (a_gatt(service="180D"), "service"),
    ],
    ids=["received_at", "session_start", "value", "service"],
)
def test_a_refusal_names_the_field(payload: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed, match=field):
        decode_gatt(an_arrival(payload))


@pytest.mark.parametrize(
    "payload",
    [
        a_gatt("2A38", "01"),
        a_gatt("", "01"),
        a_gatt("f8083535-849e-531c-c594-30f1f86a4ea5", "01"),
        a_gatt(format="pma.gatt/2"),
        a_gatt(format="pma.readings/1"),
    ],
    ids=["location", "empty", "vendor", "later", "other"],
)
def test_a_format_that_is_not_read(payload: dict[str, Any]) -> None:
    with pytest.raises(UnknownFormat):
        decode_gatt(an_arrival(payload))


def test_r17_too_large() -> None:
    with pytest.raises(TooLarge):
        decode_gatt(an_arrival(json.dumps(a_gatt()).encode().ljust(MAX_BYTES + 1)))


def test_every_bit_of_an_oximeters_status_at_once_is_still_a_reading() -> None:
    one = reading("2A5E", "0E 6100 4000 E0C1 FFFFFF 0F00")
    assert len(one["flags"]) == 6 + 16


@pytest.mark.parametrize(
    ("characteristic", "value"),
    [
        ("2A35", "10 7800 5000 5D00 0100"),
        ("2A37", "04 55"),
        ("2A18", f"0A 2A00 {NOON} 78B0 12 0200"),
        ("2AA7", "07 80 5A00 0500 08"),
        ("2A5E", "04 6100 4000 000800"),
        ("2A5F", "04 6100 4000 0040"),
    ],
    ids=["movement", "contact", "meter", "sensor", "unconnected", "questionable"],
)
def test_a_value_that_the_device_does_not_trust_is_an_artefact(characteristic: str, value: str) -> None:
    assert ARTEFACTS.intersection(reading(characteristic, value, session_start="2026-11-22T08:00:00Z")["flags"])


@pytest.mark.parametrize(
    ("characteristic", "value"),
    [("2A35", "10 7800 5000 5D00 1C00"), ("2AA7", "07 20 5A00 0500 FF"), ("2A5F", "08 6100 4000 200000")],
    ids=["irregular-pulse", "hypo", "low-perfusion"],
)
def test_what_the_device_says_of_the_person_is_no_artefact(characteristic: str, value: str) -> None:
    noted = reading(characteristic, value, session_start="2026-11-22T08:00:00Z")["flags"]
    assert noted
    assert not ARTEFACTS.intersection(noted)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared vectors are not beside this project")
def test_the_shared_vectors_become_readings() -> None:
    for vector in json.loads(SHARED.read_text(encoding="utf-8")):
        if vector["valid"]:
            message = decoded(vector["uuid"], vector["hex"], session_start="2026-11-22T08:00:00Z")
            assert all(canonical(dict(one)) for one in message.readings), vector["id"]


UUIDS = st.sampled_from(["2A35", "2A37", "2A18", "2A34", "2AA7", "2A9D", "2A5E", "2A5F", "2A1C", "2A38"])
OCTETS = st.binary(min_size=1, max_size=40).map(bytes.hex)
TIMES = st.none() | st.text(max_size=4) | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)


@given(st.binary() | st.builds(a_gatt, UUIDS, OCTETS, session_start=TIMES, received_at=TIMES))
@example(b"\xef\xbb\xbf")
@example(a_gatt("2AA7", "060064000500", session_start="9999-12-31T23:59:59Z"))
def test_r17_whatever_the_bytes_nothing_but_a_refusal_is_raised(payload: Any) -> None:
    try:
        message = decode_gatt(an_arrival(payload))
    except RejectedReading:
        return
    assert bool(message.readings) != bool(message.contexts)
    for one in message.readings:
        if isinstance(one, Unreadable):
            assert isinstance(one.refusal, RejectedReading)
            assert canonical_json(one.said)
            continue
        assert read(one).said == one
        assert flags(one) == tuple(one["flags"])
        assert context(one) == one["context"]
        with suppress(BadValue, ImplausibleValue):
            assert canonical(one)
    for circumstances in message.contexts:
        assert context({"context": circumstances.context}) == circumstances.context


@given(st.integers(-2045, 2045), st.integers(-8, 7))
def test_r34_a_number_is_told_as_exactly_as_it_came(mantissa: int, exponent: int) -> None:
    word = ((exponent & 0xF) << 12 | mantissa & 0xFFF).to_bytes(2, "little").hex()
    told = reading("2A5F", f"00 {word} {word}")["values"]
    assert told == values(saturation=(f"{mantissa}e{exponent}", "%"), pulse=(f"{mantissa}e{exponent}", "/min"))
    per_litre = reading("2A18", f"02 2A00 {NOON} {word} 12")["values"]["glucose"]
    assert per_litre == {"value": Decimal(f"{mantissa}e{exponent}") * 100_000, "unit": "mg/dL"}
