"""Octets of the standard's characteristics, field by field: each layout, each flag, each special value, each length."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.characteristics import DateTime, Quantity, crc16, read_characteristic, service_of, short
from domain.errors import Malformed, UnknownFormat

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "gatt" / "vectors.json"

NOON = "EA070B160C0000"  # 22 November 2026, 12:00:00
NOON_READ = DateTime(2026, 11, 22, 12, 0, 0)


def fields(uuid: str, value: str) -> Mapping[str, Any]:
    (record,) = read_characteristic(uuid, bytes.fromhex(value))
    assert record.octets == bytes.fromhex(value)
    return record.fields


def quantity(value: str, unit: str) -> Quantity:
    """`value` is a number, or the word for one that is none."""
    return Quantity(Decimal(value) if value.strip("-.0123456789") == "" else value, unit)


def pressure(systolic: str, diastolic: str, mean: str, unit: str = "mm[Hg]") -> dict[str, Any]:
    names = ("systolic", "diastolic", "mean")
    return {name: quantity(value, unit) for name, value in zip(names, (systolic, diastolic, mean), strict=True)}


def oximetry(saturation: str = "97", pulse: str = "64") -> dict[str, Any]:
    return {"saturation": quantity(saturation, "%"), "pulse": quantity(pulse, "/min")}


GLUCOSE = {"sequence": 42, "timestamp": NOON_READ}
SAMPLE = {"sample-type": "capillary-plasma", "sample-location": "finger"}

VECTORS: list[tuple[str, str, str, dict[str, Any]]] = [
    # blood pressure
    ("bp-mmhg", "2A35", "00 7800 5000 5D00", pressure("120", "80", "93")),
    ("bp-kpa", "2A35", "01 BDF0 0B00 9FF0", pressure("18.9", "11", "15.9", "kPa")),
    ("bp-timestamp", "2A35", f"02 7800 5000 5D00 {NOON}", pressure("120", "80", "93") | {"timestamp": NOON_READ}),
    ("bp-pulse", "2A35", "04 7800 5000 5D00 4800", pressure("120", "80", "93") | {"pulse": quantity("72", "/min")}),
    ("bp-user", "2A35", "08 7800 5000 5D00 01", pressure("120", "80", "93") | {"user": 1}),
    ("bp-user-0", "2A35", "08 7800 5000 5D00 00", pressure("120", "80", "93") | {"user": 0}),
    ("bp-user-unknown", "2A35", "08 7800 5000 5D00 FF", pressure("120", "80", "93") | {"user": "unknown"}),
    ("bp-status-none", "2A35", "10 7800 5000 5D00 0000", pressure("120", "80", "93") | {"status": ()}),
    (
        "bp-everything-year-0",
        "2A35",
        "1E 8A00 5800 7800 0000041114293B 3C00 01 2700",
        pressure("138", "88", "120")
        | {
            "timestamp": DateTime(0, 4, 17, 20, 41, 59),
            "pulse": quantity("60", "/min"),
            "user": 1,
            "status": ("movement", "cuff-loose", "irregular-pulse", "improper-position"),
        },
    ),
    (
        "bp-kpa-some",
        "2A35",
        "15 BDF0 0B00 9FF0 3C00 1200",
        pressure("18.9", "11", "15.9", "kPa")
        | {"pulse": quantity("60", "/min"), "status": ("cuff-loose", "pulse-below-range")},
    ),
    (
        "bp-pulse-above",
        "2A35",
        "10 7800 5000 5D00 0800",
        pressure("120", "80", "93") | {"status": ("pulse-above-range",)},
    ),
    (
        "bp-pulse-range-3-reserved",
        "2A35",
        "10 7800 5000 5D00 1900",
        pressure("120", "80", "93") | {"status": ("movement",)},
    ),
    ("bp-status-reserved", "2A35", "10 7800 5000 5D00 C0FF", pressure("120", "80", "93") | {"status": ()}),
    ("bp-flags-reserved", "2A35", "E0 7800 5000 5D00", pressure("120", "80", "93")),
    ("bp-no-mean", "2A35", "00 7800 5000 FF07", pressure("120", "80", "NaN")),
    (
        "bp-nothing",
        "2A35",
        "04 FF07 FF07 FF07 FF07",
        pressure("NaN", "NaN", "NaN") | {"pulse": quantity("NaN", "/min")},
    ),
    # heart rate
    ("hr-8", "2A37", "00 55", {"rate": quantity("85", "/min")}),
    ("hr-8-highest", "2A37", "00 FF", {"rate": quantity("255", "/min")}),
    ("hr-16", "2A37", "01 0101", {"rate": quantity("257", "/min")}),
    ("hr-contact-unsupported-1", "2A37", "02 55", {"rate": quantity("85", "/min")}),
    (
        "hr-contact-lost",
        "2A37",
        "04 FF",
        {"contact": "lost", "contact-status": ("poor-contact",), "rate": quantity("255", "/min")},
    ),
    ("hr-contact", "2A37", "06 55", {"contact": "detected", "rate": quantity("85", "/min")}),
    ("hr-energy", "2A37", "08 55 3200", {"rate": quantity("85", "/min"), "energy": quantity("50", "kJ")}),
    ("hr-rr", "2A37", "10 55 2100", {"rate": quantity("85", "/min"), "rr-intervals": (33,)}),
    (
        "hr-everything",
        "2A37",
        "1F 0101 3201 0100 0201 FFFF",
        {
            "contact": "detected",
            "rate": quantity("257", "/min"),
            "energy": quantity("306", "kJ"),
            "rr-intervals": (1, 258, 65535),
        },
    ),
    ("hr-flags-reserved", "2A37", "E0 55", {"rate": quantity("85", "/min")}),
    # glucose
    ("glucose-none", "2A18", f"00 2A00 {NOON}", GLUCOSE),
    ("glucose-kg", "2A18", f"02 2A00 {NOON} 78B0 12", GLUCOSE | {"glucose": quantity("0.0012", "kg/L")} | SAMPLE),
    ("glucose-mol", "2A18", f"06 2A00 {NOON} 37C0 12", GLUCOSE | {"glucose": quantity("0.0055", "mol/L")} | SAMPLE),
    ("glucose-unit-without-value", "2A18", f"04 2A00 {NOON}", GLUCOSE),
    ("glucose-offset", "2A18", f"01 2A00 {NOON} 7800", GLUCOSE | {"time-offset": 120}),
    ("glucose-offset-back", "2A18", f"01 2A00 {NOON} FBFF", GLUCOSE | {"time-offset": -5}),
    ("glucose-offset-overrun", "2A18", f"01 2A00 {NOON} FF7F", GLUCOSE | {"time-offset": "overrun"}),
    ("glucose-offset-underrun", "2A18", f"01 2A00 {NOON} 0080", GLUCOSE | {"time-offset": "underrun"}),
    ("glucose-context-follows", "2A18", f"10 2A00 {NOON}", GLUCOSE | {"context-follows": True}),
    (
        "glucose-everything",
        "2A18",
        "1B 0100 E307021B0B0A1E FBFF 1E00 12 0501",
        {
            "sequence": 1,
            "timestamp": DateTime(2019, 2, 27, 11, 10, 30),
            "time-offset": -5,
            "glucose": quantity("30", "kg/L"),
            "status": ("battery-low", "sample-insufficient", "sensor-too-cold"),
            "context-follows": True,
        }
        | SAMPLE,
    ),
    ("glucose-status-none", "2A18", f"08 2A00 {NOON} 00F0", GLUCOSE | {"status": ()}),
    (
        "glucose-control",
        "2A18",
        f"02 2A00 {NOON} 78B0 4A",
        GLUCOSE
        | {
            "glucose": quantity("0.0012", "kg/L"),
            "sample-type": "control-solution",
            "sample-location": "control-solution",
        },
    ),
    (
        "glucose-sample-not-known",
        "2A18",
        f"02 2A00 {NOON} 78B0 FF",
        GLUCOSE | {"glucose": quantity("0.0012", "kg/L"), "sample-type": None, "sample-location": None},
    ),
    (
        "glucose-sample-reserved",
        "2A18",
        f"02 2A00 {NOON} 78B0 5B",
        GLUCOSE | {"glucose": quantity("0.0012", "kg/L"), "sample-type": None, "sample-location": None},
    ),
    (
        "glucose-sample-0",
        "2A18",
        f"02 2A00 {NOON} 78B0 00",
        GLUCOSE | {"glucose": quantity("0.0012", "kg/L"), "sample-type": None, "sample-location": None},
    ),
    ("glucose-flags-reserved", "2A18", f"E0 FFFF {NOON}", GLUCOSE | {"sequence": 65535}),
    # circumstances of glucose
    ("context-none", "2A34", "00 2A00", {"sequence": 42}),
    ("context-unit-without-value", "2A34", "20 2A00", {"sequence": 42}),
    (
        "context-carbohydrate",
        "2A34",
        "01 2A00 03 3CD0",
        {"sequence": 42, "carbohydrate": "dinner", "carbohydrate-amount": quantity("0.060", "kg")},
    ),
    ("context-meal", "2A34", "02 2A00 01", {"sequence": 42, "meal": "before-meal"}),
    ("context-meal-reserved", "2A34", "02 2A00 06", {"sequence": 42, "meal": None}),
    (
        "context-tester-health",
        "2A34",
        "04 2A00 12",
        {"sequence": 42, "tester": "professional", "health": "minor-issues"},
    ),
    ("context-tester-not-known", "2A34", "04 2A00 5F", {"sequence": 42, "tester": None, "health": "no-issues"}),
    ("context-health-not-known", "2A34", "04 2A00 F3", {"sequence": 42, "tester": "laboratory", "health": None}),
    (
        "context-exercise",
        "2A34",
        "08 2A00 0807 32",
        {"sequence": 42, "exercise-duration": quantity("1800", "s"), "exercise-intensity": quantity("50", "%")},
    ),
    (
        "context-exercise-overrun",
        "2A34",
        "08 2A00 FFFF 64",
        {"sequence": 42, "exercise-duration": quantity("overrun", "s"), "exercise-intensity": quantity("100", "%")},
    ),
    (
        "context-medication-kg",
        "2A34",
        "10 2A00 01 0CA0",
        {"sequence": 42, "medication": "rapid-acting-insulin", "medication-mass": quantity("0.000012", "kg")},
    ),
    (
        "context-medication-l",
        "2A34",
        "30 2A00 05 0CA0",
        {"sequence": 42, "medication": "pre-mixed-insulin", "medication-volume": quantity("0.000012", "L")},
    ),
    ("context-hba1c", "2A34", "40 2A00 41F0", {"sequence": 42, "hba1c": quantity("6.5", "%")}),
    ("context-extended", "2A34", "82 2A00 B3 03", {"sequence": 42, "extended-flags": 0xB3, "meal": "fasting"}),
    (
        "context-everything",
        "2A34",
        "FF 0000 B3 03 64D0 04 12 3C00 32 04 7BC0 59F1",
        {
            "sequence": 0,
            "extended-flags": 0xB3,
            "carbohydrate": "dinner",
            "carbohydrate-amount": quantity("0.100", "kg"),
            "meal": "casual",
            "tester": "professional",
            "health": "minor-issues",
            "exercise-duration": quantity("60", "s"),
            "exercise-intensity": quantity("50", "%"),
            "medication": "long-acting-insulin",
            "medication-volume": quantity("0.0123", "L"),
            "hba1c": quantity("34.5", "%"),
        },
    ),
    # continuous glucose
    ("cgm", "2AA7", "06 00 0C10 0600", {"glucose": quantity("120", "mg/dL"), "time-offset": 6}),
    ("cgm-latest", "2AA7", "06 00 6400 FF7F", {"glucose": quantity("100", "mg/dL"), "time-offset": 32767}),
    ("cgm-crc", "2AA7", "08 00 0C10 0600 596F", {"glucose": quantity("120", "mg/dL"), "time-offset": 6, "crc": True}),
    (
        "cgm-crc-wrong",
        "2AA7",
        "08 00 0C10 0600 586F",
        {"glucose": quantity("120", "mg/dL"), "time-offset": 6, "crc": False},
    ),
    (
        "cgm-crc-other-way-round",
        "2AA7",
        "08 00 0C10 0600 6F59",
        {"glucose": quantity("120", "mg/dL"), "time-offset": 6, "crc": False},
    ),
    (
        "cgm-trend-quality",
        "2AA7",
        "0A 03 7800 1E00 ECFF 5F00",
        {
            "glucose": quantity("120", "mg/dL"),
            "time-offset": 30,
            "trend": quantity("-2.0", "mg/dL/min"),
            "quality": quantity("95", "%"),
        },
    ),
    (
        "cgm-octets",
        "2AA7",
        "09 E0 5A00 0500 01 02 04",
        {
            "glucose": quantity("90", "mg/dL"),
            "time-offset": 5,
            "status": ("session-stopped",),
            "calibration-status": ("calibration-not-allowed",),
            "warning-status": ("below-hypo",),
        },
    ),
    (
        "cgm-warning-only",
        "2AA7",
        "07 20 5A00 0500 90",
        {
            "glucose": quantity("90", "mg/dL"),
            "time-offset": 5,
            "warning-status": ("falling-fast", "result-above-range"),
        },
    ),
    (
        "cgm-calibration-only",
        "2AA7",
        "07 40 5A00 0500 C1",
        {
            "glucose": quantity("90", "mg/dL"),
            "time-offset": 5,
            "calibration-status": ("time-synchronisation-required",),
        },
    ),
    (
        "cgm-everything",
        "2AA7",
        "0F E3 D2E4 0500 02 14 FF 02F0 E5F3 8E3F",
        {
            "glucose": quantity("12.34", "mg/dL"),
            "time-offset": 5,
            "status": ("battery-low",),
            "calibration-status": ("calibration-recommended", "sensor-too-hot"),
            "warning-status": (
                "below-patient-low",
                "above-patient-high",
                "below-hypo",
                "above-hyper",
                "falling-fast",
                "rising-fast",
                "result-below-range",
                "result-above-range",
            ),
            "trend": quantity("0.2", "mg/dL/min"),
            "quality": quantity("99.7", "%"),
            "crc": True,
        },
    ),
    # weight
    ("weight-kg", "2A9D", "00 B036", {"weight": quantity("70.000", "kg")}),
    ("weight-lb", "2A9D", "01 1A3C", {"weight": quantity("153.86", "[lb_av]")}),
    ("weight-unsuccessful", "2A9D", "00 FFFF", {"weight": quantity("unsuccessful", "kg")}),
    ("weight-unsuccessful-lb", "2A9D", "01 FFFF", {"weight": quantity("unsuccessful", "[lb_av]")}),
    ("weight-timestamp", "2A9D", f"02 B036 {NOON}", {"weight": quantity("70", "kg"), "timestamp": NOON_READ}),
    ("weight-user", "2A9D", "04 B036 02", {"weight": quantity("70", "kg"), "user": 2}),
    (
        "weight-bmi-height",
        "2A9D",
        "08 B036 E500 DC06",
        {"weight": quantity("70", "kg"), "bmi": quantity("22.9", "kg/m2"), "height": quantity("1.756", "m")},
    ),
    (
        "weight-everything-imperial",
        "2A9D",
        f"0F 1A3C {NOON} FF E500 B302",
        {
            "weight": quantity("153.86", "[lb_av]"),
            "timestamp": NOON_READ,
            "user": "unknown",
            "bmi": quantity("22.9", "kg/m2"),
            "height": quantity("69.1", "[in_i]"),
        },
    ),
    # oxygen saturation, spot-check
    ("spot", "2A5E", "00 6100 4000", oximetry()),
    ("spot-no-pulse", "2A5E", "00 6100 FF07", oximetry(pulse="NaN")),
    ("spot-timestamp", "2A5E", f"01 6100 4000 {NOON}", oximetry() | {"timestamp": NOON_READ}),
    (
        "spot-measurement",
        "2A5E",
        "02 6100 4000 FF01",
        oximetry() | {"measurement-status": ("measurement-ongoing", "early-estimate", "validated", "fully-qualified")},
    ),
    ("spot-sensor", "2A5E", "04 6100 4000 3000FF", oximetry() | {"sensor-status": ("signal-poor", "low-perfusion")}),
    ("spot-amplitude", "2A5E", "08 6100 4000 0F00", oximetry() | {"pulse-amplitude": quantity("15", "%")}),
    ("spot-clock", "2A5E", "10 6100 4000", oximetry() | {"clock-status": ("clock-not-set",)}),
    (
        "spot-everything",
        "2A5E",
        f"1F 6100 4000 {NOON} 0042 008000 96F0",
        oximetry()
        | {
            "clock-status": ("clock-not-set",),
            "timestamp": NOON_READ,
            "measurement-status": ("from-storage", "measurement-questionable"),
            "sensor-status": ("sensor-disconnected",),
            "pulse-amplitude": quantity("15.0", "%"),
        },
    ),
    # oxygen saturation, continuous
    ("continuous", "2A5F", "00 6100 4000", oximetry()),
    (
        "continuous-fast",
        "2A5F",
        "01 6100 4000 6000 4100",
        oximetry() | {"saturation-fast": quantity("96", "%"), "pulse-fast": quantity("65", "/min")},
    ),
    (
        "continuous-slow",
        "2A5F",
        "02 6100 4000 6200 FF07",
        oximetry() | {"saturation-slow": quantity("98", "%"), "pulse-slow": quantity("NaN", "/min")},
    ),
    (
        "continuous-measurement",
        "2A5F",
        "04 6100 4000 0020",
        oximetry() | {"measurement-status": ("measurement-unavailable",)},
    ),
    ("continuous-sensor", "2A5F", "08 6100 4000 020000", oximetry() | {"sensor-status": ("equipment-malfunction",)}),
    ("continuous-amplitude", "2A5F", "10 6100 4000 FE07", oximetry() | {"pulse-amplitude": quantity("+INF", "%")}),
    (
        "continuous-everything",
        "2A5F",
        "1F 6100 4000 6000 4100 6200 3F00 0001 010000 0F00",
        oximetry()
        | {
            "saturation-fast": quantity("96", "%"),
            "pulse-fast": quantity("65", "/min"),
            "saturation-slow": quantity("98", "%"),
            "pulse-slow": quantity("63", "/min"),
            "measurement-status": ("fully-qualified",),
            "sensor-status": ("display-update-ongoing",),
            "pulse-amplitude": quantity("15", "%"),
        },
    ),
    # temperature
    ("temperature-c", "2A1C", "00 720100FF", {"temperature": quantity("37.0", "Cel")}),
    ("temperature-f", "2A1C", "01 DA0300FF", {"temperature": quantity("98.6", "[degF]")}),
    ("temperature-below-0", "2A1C", "00 F6FFFFFF", {"temperature": quantity("-1.0", "Cel")}),
    ("temperature-type", "2A1C", "04 720100FF 09", {"temperature": quantity("37.0", "Cel"), "site": "tympanum"}),
    ("temperature-type-reserved", "2A1C", "04 720100FF 0A", {"temperature": quantity("37.0", "Cel"), "site": None}),
    (
        "temperature-everything",
        "2A1C",
        "06 B00E00FE DC070C050B321B 04",
        {"temperature": quantity("37.60", "Cel"), "timestamp": DateTime(2012, 12, 5, 11, 50, 27), "site": "finger"},
    ),
]


@pytest.mark.parametrize(("uuid", "value", "expected"), [one[1:] for one in VECTORS], ids=[one[0] for one in VECTORS])
def test_a_characteristic_says_exactly(uuid: str, value: str, expected: dict[str, Any]) -> None:
    flags = bytes.fromhex(value)[1 if uuid == "2AA7" else 0]
    assert fields(uuid, value) == {"flags": flags} | expected


STATUSES = {
    ("2A35", "10 7800 5000 5D00 {}", "status", 2): [
        "movement", "cuff-loose", "irregular-pulse", "pulse-above-range", "pulse-below-range", "improper-position",
    ],
    ("2A18", f"08 2A00 {NOON} {{}}", "status", 2): [
        "battery-low", "sensor-malfunction", "sample-insufficient", "strip-insertion-error", "strip-type-incorrect",
        "result-above-range", "result-below-range", "sensor-too-hot", "sensor-too-cold", "read-interrupted",
        "device-fault", "time-fault",
    ],
    ("2AA7", "07 80 5A00 0500 {}", "status", 1): [
        "session-stopped", "battery-low", "sensor-type-incorrect", "sensor-malfunction", "device-alert", "device-fault",
    ],
    ("2AA7", "07 40 5A00 0500 {}", "calibration-status", 1): [
        "time-synchronisation-required", "calibration-not-allowed", "calibration-recommended", "calibration-required",
        "sensor-too-hot", "sensor-too-cold",
    ],
    ("2AA7", "07 20 5A00 0500 {}", "warning-status", 1): [
        "below-patient-low", "above-patient-high", "below-hypo", "above-hyper", "falling-fast", "rising-fast",
        "result-below-range", "result-above-range",
    ],
    ("2A5F", "04 6100 4000 {}", "measurement-status", 2): [
        "", "", "", "", "", "measurement-ongoing", "early-estimate", "validated", "fully-qualified", "from-storage",
        "for-demonstration", "for-testing", "calibration-ongoing", "measurement-unavailable",
        "measurement-questionable", "measurement-invalid",
    ],
    ("2A5F", "08 6100 4000 {}", "sensor-status", 3): [
        "display-update-ongoing", "equipment-malfunction", "signal-irregular", "signal-inadequate", "signal-poor",
        "low-perfusion", "signal-erratic", "signal-nonpulsatile", "pulse-questionable", "signal-analysis-ongoing",
        "sensor-interference", "sensor-unconnected", "sensor-unknown", "sensor-displaced", "sensor-malfunction",
        "sensor-disconnected",
    ],
}  # fmt: skip
EACH_BIT = [
    (
        uuid,
        value.format((1 << bit).to_bytes(size, "little").hex()),
        name,
        tuple(filter(None, codes[bit : bit + 1])),
    )
    for (uuid, value, name, size), codes in STATUSES.items()
    for bit in range(8 * size)
]


@pytest.mark.parametrize(("uuid", "value", "name", "noted"), EACH_BIT)
def test_each_bit_of_a_status(uuid: str, value: str, name: str, noted: tuple[str, ...]) -> None:
    assert fields(uuid, value)[name] == noted


CODES = {
    ("2A18", f"02 2A00 {NOON} 78B0 {{:02X}}", "sample-type", 0): [
        "capillary-whole-blood", "capillary-plasma", "venous-whole-blood", "venous-plasma", "arterial-whole-blood",
        "arterial-plasma", "undetermined-whole-blood", "undetermined-plasma", "interstitial-fluid", "control-solution",
    ],
    ("2A18", f"02 2A00 {NOON} 78B0 {{:02X}}", "sample-location", 4): [
        "finger", "alternate-site", "earlobe", "control-solution",
    ],
    ("2A34", "01 2A00 {:02X} 3CD0", "carbohydrate", 0): [
        "breakfast", "lunch", "dinner", "snack", "drink", "supper", "brunch",
    ],
    ("2A34", "02 2A00 {:02X}", "meal", 0): ["before-meal", "after-meal", "fasting", "casual", "bedtime"],
    ("2A34", "04 2A00 {:02X}", "tester", 0): ["self", "professional", "laboratory"],
    ("2A34", "04 2A00 {:02X}", "health", 4): [
        "minor-issues", "major-issues", "during-menses", "under-stress", "no-issues",
    ],
    ("2A34", "10 2A00 {:02X} 0CA0", "medication", 0): [
        "rapid-acting-insulin", "short-acting-insulin", "intermediate-acting-insulin", "long-acting-insulin",
        "pre-mixed-insulin",
    ],
    ("2A1C", "04 720100FF {:02X}", "site", 0): [
        "armpit", "body", "ear", "finger", "gastrointestinal", "mouth", "rectum", "toe", "tympanum",
    ],
}  # fmt: skip
EACH_CODE = [
    (uuid, value.format(number << shift), name, dict(enumerate(codes, 1)).get(number))
    for (uuid, value, name, shift), codes in CODES.items()
    for number in range(16)
]


@pytest.mark.parametrize(("uuid", "value", "name", "code"), EACH_CODE)
def test_each_code(uuid: str, value: str, name: str, code: str | None) -> None:
    assert fields(uuid, value)[name] == code


LENGTHS: dict[str, tuple[int, dict[int, int]]] = {
    "2A35": (7, {1: 7, 2: 2, 3: 1, 4: 2}),
    "2A37": (2, {0: 1, 3: 2, 4: 2}),
    "2A18": (10, {0: 2, 1: 3, 3: 2}),
    "2A34": (3, {7: 1, 0: 3, 1: 1, 2: 1, 3: 3, 4: 3, 6: 2}),
    "2AA7": (6, {0: 2, 1: 2, 5: 1, 6: 1, 7: 1}),
    "2A9D": (3, {1: 7, 2: 1, 3: 4}),
    "2A5E": (5, {0: 7, 1: 2, 2: 3, 3: 2}),
    "2A5F": (5, {0: 4, 1: 4, 2: 2, 3: 3, 4: 2}),
    "2A1C": (5, {1: 7, 2: 1}),
}
"""Octets that are always there, and by which bit of the flags there are more."""


def zeros(uuid: str, flags: int) -> bytes:
    """A value of the length that the flags say, all else nought."""
    least, more = LENGTHS[uuid]
    length = least + sum(size for bit, size in more.items() if flags >> bit & 1)
    head = bytes([length, flags]) if uuid == "2AA7" else bytes([flags])
    return head.ljust(length, b"\0")


@pytest.mark.parametrize("uuid", LENGTHS)
def test_the_length_is_what_the_flags_say(uuid: str) -> None:
    for flags in range(256):
        value = zeros(uuid, flags)
        assert read_characteristic(uuid, value)[0].fields["flags"] == flags
        for length in range(len(value)):
            if uuid != "2AA7" or length:
                with pytest.raises(Malformed):
                    read_characteristic(uuid, value[:length])


@pytest.mark.parametrize("uuid", [uuid for uuid in LENGTHS if uuid != "2AA7"])
def test_octets_that_are_not_understood_are_read_past(uuid: str) -> None:
    """As the profiles' test suites demand of a collector, whether or not a reserved flag announces them."""
    to_the_end = 16 if uuid == "2A37" else 0  # its intervals have no other end
    for flags in range(256):
        for more in (b"\1", b"\1\2", bytes(14)):
            if not flags & to_the_end:
                (now,), (later,) = (read_characteristic(uuid, zeros(uuid, flags) + octets) for octets in (b"", more))
                assert later.fields == now.fields


def test_half_an_interval_at_the_end_is_refused() -> None:
    with pytest.raises(Malformed):
        read_characteristic("2A37", bytes.fromhex("10 55 2100 21"))


@pytest.mark.parametrize("rest", ["00", "06 00 6E00 06", "07 00 6E00 0600 00", "FF", "05 00 6E00 06", "06"])
def test_a_record_that_breaks_off_takes_none_before_it_along(rest: str) -> None:
    whole, broken = read_characteristic("2AA7", bytes.fromhex("06 00 6400 0500" + rest))
    assert (whole.fields["time-offset"], whole.fault) == (5, None)
    assert (broken.fields, broken.octets) == ({}, bytes.fromhex(rest))
    assert isinstance(broken.fault, Malformed)


@pytest.mark.parametrize("flags", [0x00, 0x03, 0xE0, 0xE3])
def test_the_size_of_a_record_is_what_its_flags_say(flags: int) -> None:
    value = zeros("2AA7", flags)
    for size in set(range(256)) - {len(value), len(value) + 2}:
        padded = bytes([size]) + value[1:].ljust(size - 1, b"\0")[: max(size - 1, 0)]
        with pytest.raises(Malformed):
            read_characteristic("2AA7", padded)


@pytest.mark.parametrize("size", range(6))
def test_a_size_less_than_any_record_has(size: int) -> None:
    with pytest.raises(Malformed):
        read_characteristic("2AA7", bytes([size]) + bytes.fromhex("00 6400 0500"))


def test_several_records_in_one_notification() -> None:
    one, two, three = "06 00 0C10 0500", "09 E0 5A00 0600 01 02 04", "08 00 0C10 0600 596F"
    records = read_characteristic("2AA7", bytes.fromhex(one + two + three))
    assert [record.fields["time-offset"] for record in records] == [5, 6, 6]
    assert [record.octets for record in records] == [bytes.fromhex(part) for part in (one, two, three)]


def test_a_value_is_no_longer_than_an_attribute_can_be() -> None:
    longest = b"\x10" + bytes(511)
    assert len(read_characteristic("2A37", longest)[0].fields["rr-intervals"]) == 255
    with pytest.raises(Malformed):
        read_characteristic("2A37", longest + bytes(2))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (0x07FF, "NaN"),
        (0x0800, "NRes"),
        (0x07FE, "+INF"),
        (0x0802, "-INF"),
        (0x0801, "reserved"),
        (0x07FD, Decimal(2045)),
        (0x0803, Decimal(-2045)),
        (0xF7FF, Decimal("204.7")),
        (0x17FF, Decimal(20470)),
        (0xF800, Decimal("-204.8")),
        (0x0000, Decimal(0)),
        (0x8001, Decimal("1e-8")),
        (0x7001, Decimal("1e7")),
        (0x0FFF, Decimal(-1)),
        (0xFFFF, Decimal("-0.1")),
        (0xB078, Decimal("0.00120")),
        (0xF16D, Decimal("36.5")),
    ],
)
def test_sfloat(word: int, said: Decimal | str) -> None:
    octets = b"\0" + word.to_bytes(2, "little") + bytes(4)
    assert read_characteristic("2A35", octets)[0].fields["systolic"].value == said


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (0x007FFFFF, "NaN"),
        (0x00800000, "NRes"),
        (0x007FFFFE, "+INF"),
        (0x00800002, "-INF"),
        (0x00800001, "reserved"),
        (0x007FFFFD, Decimal(8388605)),
        (0x00800003, Decimal(-8388605)),
        (0xFF7FFFFF, Decimal("838860.7")),
        (0x80000001, Decimal("1e-128")),
        (0x7F000001, Decimal("1e127")),
        (0xFFFFFFFF, Decimal("-0.1")),
        (0x000007FF, Decimal(2047)),
        (0xFF00016D, Decimal("36.5")),
    ],
)
def test_float(word: int, said: Decimal | str) -> None:
    octets = b"\0" + word.to_bytes(4, "little")
    assert read_characteristic("2A1C", octets)[0].fields["temperature"].value == said


def encoded(mantissa: int, exponent: int) -> bytes:
    return ((exponent & 0xF) << 12 | mantissa & 0xFFF).to_bytes(2, "little")


@given(st.integers(-2045, 2045), st.integers(-8, 7))
def test_every_sfloat_is_read_exactly(mantissa: int, exponent: int) -> None:
    (record,) = read_characteristic("2A5F", b"\0" + encoded(mantissa, exponent) * 2)
    assert record.fields["saturation"].value == Decimal(f"{mantissa}e{exponent}")


@pytest.mark.parametrize(
    ("octets", "check"),
    [
        (b"123456789", 0x6F91),
        (b"A", 0x5C0A),
        (bytes.fromhex("58251F98"), 0x07F1),
        (bytes.fromhex("3E010203040506070809"), 0x2F01),
        (b"", 0xFFFF),
    ],
    ids=["catalogue", "one", "microchip-an752", "cgms-3.11", "nothing"],
)
def test_crc(octets: bytes, check: int) -> None:
    assert crc16(octets) == check


@given(st.integers(0, 255), st.integers(1, 65535))
def test_any_other_check_is_wrong(flags: int, error: int) -> None:
    value = zeros("2AA7", flags)
    value = bytes([len(value) + 2]) + value[1:]
    for check, fits in ((crc16(value), True), (crc16(value) ^ error, False)):
        (record,) = read_characteristic("2AA7", value + check.to_bytes(2, "little"))
        assert record.fields["crc"] is fits


@pytest.mark.parametrize(
    ("uuid", "number"),
    [
        ("2A35", "2A35"),
        ("2a35", "2A35"),
        ("00002A35-0000-1000-8000-00805F9B34FB", "2A35"),
        ("00002a35-0000-1000-8000-00805f9b34fb", "2A35"),
        ("00002A35", ""),
        ("0x2A35", ""),
        ("2A35-0000-1000-8000-00805F9B34FB", ""),
        ("10002A35-0000-1000-8000-00805F9B34FB", ""),
        ("00002A35-0000-1000-8000-00805F9B34FC", ""),
        ("", ""),
        ("２A35", ""),  # a digit, but none of theirs
    ],
)
def test_a_uuid_is_sixteen_bits_or_the_whole(uuid: str, number: str) -> None:
    assert short(uuid) == number


@pytest.mark.parametrize("uuid", ["2A38", "2A19", "", "f8083535-849e-531c-c594-30f1f86a4ea5"])
def test_a_characteristic_that_is_not_read(uuid: str) -> None:
    with pytest.raises(UnknownFormat):
        read_characteristic(uuid, b"\0")
    with pytest.raises(UnknownFormat):
        service_of(uuid)


@given(st.sampled_from(list(LENGTHS)), st.binary(max_size=600))
def test_r17_whatever_the_octets_nothing_but_a_refusal_is_raised(uuid: str, value: bytes) -> None:
    try:
        records = read_characteristic(uuid, value)
    except Malformed:
        return
    assert all(("flags" in record.fields) == (record.fault is None) for record in records)
    assert b"".join(record.octets for record in records) == value


PUBLISHED: list[tuple[str, str, dict[str, Any]]] = [
    ("2A35", "1E8A00580078000000041114293B3C00012700",
     {"systolic": "138", "diastolic": "88", "mean": "120", "pulse": "60", "user": 1,
      "timestamp": (0, 4, 17, 20, 41, 59),
      "status": ("movement", "cuff-loose", "irregular-pulse", "improper-position")}),
    ("2A35", "15BDF00B009FF03C001200",
     {"systolic": "18.9", "diastolic": "11", "mean": "15.9", "status": ("cuff-loose", "pulse-below-range")}),
    ("2A37", "1F0101320101000201FFFF", {"rate": "257", "energy": "306", "rr-intervals": (1, 258, 65535)}),
    ("2A18", "1B0100E307021B0B0A1EFBFF1E00120501",
     {"sequence": 1, "time-offset": -5, "glucose": "30", "sample-type": "capillary-plasma", "sample-location": "finger",
      "status": ("battery-low", "sample-insufficient", "sensor-too-cold")}),
    ("2A34", "FF0000B303640004123C0032047BD059F1",
     {"carbohydrate": "dinner", "meal": "casual", "tester": "professional", "health": "minor-issues",
      "exercise-duration": "60", "medication": "long-acting-insulin", "hba1c": "34.5"}),
    ("2AA7", "0FE3D2E405000214FF02F0E5F38E3F",
     {"glucose": "12.34", "time-offset": 5, "trend": "0.2", "quality": "99.7", "status": ("battery-low",), "crc": True,
      "calibration-status": ("calibration-recommended", "sensor-too-hot")}),
    ("2AA7", "08000C100600586F", {"glucose": "120", "crc": False}),
    ("2A9D", "01543D", {"weight": "157"}),
    ("2A1C", "06B00E00FEDC070C050B321B04",
     {"temperature": "37.6", "timestamp": (2012, 12, 5, 11, 50, 27), "site": "finger"}),
]  # fmt: skip
"""What the tests of two public libraries expect (Nordic Semiconductor's for Android, bluetooth-sig for Python)."""


@pytest.mark.parametrize(("uuid", "octets", "expected"), PUBLISHED, ids=[f"{one[0]} {one[1]}" for one in PUBLISHED])
def test_f1_others_read_the_same(uuid: str, octets: str, expected: dict[str, Any]) -> None:
    (record,) = read_characteristic(uuid, bytes.fromhex(octets))
    for name, value in expected.items():
        said = record.fields[name]
        assert (said.value == Decimal(value)) if isinstance(said, Quantity) else (said == value), name


def in_their_words(uuid: str, octets: str) -> dict[str, Any]:
    """Our fields in the names that the shared vectors have."""
    records = []
    for record in read_characteristic(uuid, bytes.fromhex(octets)):
        said = dict(record.fields)
        words: dict[str, Any] = {}
        for ours, theirs in {
            "systolic": "systolic", "diastolic": "diastolic", "mean": "map", "rate": "hr", "weight": "weight",
            "saturation": "spo2", "pulse": "pulse", "temperature": "temperature",
        }.items():  # fmt: skip
            if ours in said:
                words[theirs] = said[ours].value
                words.setdefault("unit", {"mm[Hg]": "mmHg", "[lb_av]": "lb"}.get(said[ours].unit, said[ours].unit))
        if "rr-intervals" in said:
            words["rr_raw_1_1024"] = list(said["rr-intervals"])
            words["rr_ms"] = [Decimal(1000 * one) / 1024 for one in said["rr-intervals"]]
        if "contact" in said:
            words["contact"] = said["contact"] == "detected"
        if uuid == "2AA7":
            words |= {"glucose_mg_dl": said["glucose"].value, "time_offset_min": said["time-offset"]}
        elif "glucose" in said:
            value, unit = said["glucose"]
            words |= {"sequence": said["sequence"], "unit": unit, "concentration": value, "mg_dl": value * 100_000}
            words["base_time"] = "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*said["timestamp"])
            for ours, theirs in (("sample-type", "type"), ("sample-location", "location")):
                codes = next(codes for (_, _, name, _), codes in CODES.items() if name == ours)
                words[theirs] = codes.index(said[ours]) + 1
        records.append(words)
    return {"records": records, **records[0]}


@pytest.mark.skipif(not SHARED.exists(), reason="the shared vectors are not beside this project")
def test_the_shared_vectors_decode_to_exactly_their_values() -> None:
    vectors = json.loads(SHARED.read_text(encoding="utf-8"), parse_float=Decimal)
    for vector in vectors:
        if not vector["valid"]:
            with pytest.raises(Malformed):
                read_characteristic(vector["uuid"], bytes.fromhex(vector["hex"]))
            continue
        said = in_their_words(vector["uuid"], vector["hex"])
        for name, expected in vector["expect"].items():
            if name == "records":
                assert [
                    {word: record[word] for word in theirs} for record, theirs in zip(said[name], expected, strict=True)
                ] == expected, vector["id"]
            else:
                assert said[name] == expected, (vector["id"], name)
