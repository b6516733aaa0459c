"""An encoder of its own, written from the standard's tables, says each characteristic under each flags there are."""

import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from domain.formats import decode
from domain.reading import Unreadable, read
from tests.builders import SERIAL, an_arrival

RECEIVED, STARTED = "2026-11-22T08:58:30+00:00", "2026-11-22T08:00:00+00:00"
CARBOHYDRATES = ("breakfast", "lunch", "dinner", "snack", "drink", "supper", "brunch")
MEALS = ("before-meal", "after-meal", "fasting", "casual", "bedtime")
TESTERS = ("self", "professional", "laboratory")
HEALTH = ("minor-issues", "major-issues", "during-menses", "under-stress", "no-issues")
INSULINS = ("rapid-acting", "short-acting", "intermediate-acting", "long-acting", "pre-mixed")


class Sensor:
    """Writes fields one after the other, and what they mean in our words."""

    def __init__(self, uuid: str, flags: int) -> None:
        self.chance = Random(f"{uuid} {flags}")  # noqa: S311 - the same in each run
        self.octets = bytes([flags])
        self.values: dict[str, Any] = {}
        self.context: dict[str, str] = {}
        self.told = RECEIVED
        self.slot: int | None = None
        self.record: int | None = None

    def put(self, written: str, *numbers: int) -> None:
        self.octets += struct.pack("<" + written, *numbers)

    def whole(self, written: str, low: int, high: int) -> int:
        number = self.chance.randint(low, high)
        self.put(written, number)
        return number

    def sfloat(self, exponent: int = -1) -> Decimal:
        mantissa = self.chance.randint(1, 2000)
        self.put("H", (exponent & 0xF) << 12 | mantissa)
        return Decimal(mantissa).scaleb(exponent)

    def value(self, name: str, value: Decimal, unit: str) -> None:
        self.values[name] = {"value": value, "unit": unit}

    def clock(self) -> None:
        shown = datetime(1990, 1, 1) + timedelta(seconds=self.chance.randrange(10**10))  # noqa: DTZ001 - it has no zone
        self.put("H5B", *shown.timetuple()[:6])
        self.told = shown.isoformat()

    def user(self) -> None:
        number = self.whole("B", 250, 255)
        self.slot = None if number == 255 else number

    def one_of(self, codes: tuple[str, ...]) -> str:
        return codes[self.whole("B", 1, len(codes)) - 1]


def blood_pressure(to: Sensor, flags: int) -> None:
    for name in ("systolic", "diastolic", "mean"):
        to.value(name, to.sfloat(), "kPa" if flags & 1 else "mm[Hg]")
    if flags & 2:
        to.clock()
    if flags & 4:
        to.value("pulse", to.sfloat(), "/min")
    if flags & 8:
        to.user()
    if flags & 16:
        to.put("H", 0)


def heart_rate(to: Sensor, flags: int) -> None:
    to.value("rate", Decimal(to.whole("H", 0, 0xFFFF) if flags & 1 else to.whole("B", 0, 0xFF)), "/min")
    if flags & 4:
        to.context["sensor-contact"] = "detected" if flags & 2 else "lost"
    if flags & 8:
        to.whole("H", 0, 0xFFFF)
    if flags & 16:
        to.put("3H", 1000, 1024, 980)


def glucose(to: Sensor, flags: int) -> None:
    to.record = to.whole("H", 0, 0xFFFF)
    to.clock()
    if flags & 1:
        minutes = to.whole("h", -0x7FFF, 0x7FFE)
        to.told = (datetime.fromisoformat(to.told) + timedelta(minutes=minutes)).isoformat()
    if flags & 2:
        amount = to.sfloat(-5)
        to.value("glucose", amount.scaleb(3 if flags & 4 else 5), "mmol/L" if flags & 4 else "mg/dL")
        to.put("B", 0x11)
        to.context |= {"sample-type": "capillary-whole-blood", "sample-location": "finger"}
    if flags & 8:
        to.put("H", 0)


def cgm(to: Sensor, flags: int) -> None:
    to.value("glucose", to.sfloat(), "mg/dL")
    to.told = (datetime.fromisoformat(STARTED) + timedelta(minutes=to.whole("H", 0, 0xFFFF))).isoformat()
    to.put(f"{(flags & 0xE0).bit_count()}x")
    for bit in (1, 2):
        if flags & bit:
            to.sfloat()
    to.octets = bytes([len(to.octets) + 1]) + to.octets


def weight(to: Sensor, flags: int) -> None:
    steps = to.whole("H", 0, 0xFFFE)
    to.value("weight", steps * Decimal("0.01" if flags & 1 else "0.005"), "[lb_av]" if flags & 1 else "kg")
    if flags & 2:
        to.clock()
    if flags & 4:
        to.user()
    if flags & 8:
        to.put("2H", 229, 1756)


def oximetry(to: Sensor, flags: int, *, pairs: int, clock: int, status: int) -> None:
    to.value("saturation", to.sfloat(), "%")
    to.value("pulse", to.sfloat(), "/min")
    for _ in range((flags & pairs).bit_count()):
        to.sfloat()
        to.sfloat()
    if flags & clock:
        to.clock()
    for bit, size in ((status, 2), (status << 1, 3)):
        if flags & bit:
            to.put(f"{size}x")
    if flags & status << 2:
        to.sfloat()


def spot_check(to: Sensor, flags: int) -> None:
    oximetry(to, flags & ~16, pairs=0, clock=1, status=2)


def continuous(to: Sensor, flags: int) -> None:
    oximetry(to, flags, pairs=3, clock=0, status=4)


def temperature(to: Sensor, flags: int) -> None:
    hundredths = to.chance.randint(3000, 11_000)
    to.put("I", 0xFE << 24 | hundredths)
    to.value("temperature", Decimal(hundredths).scaleb(-2), "[degF]" if flags & 1 else "Cel")
    if flags & 2:
        to.clock()
    if flags & 4:
        to.put("B", 6)
        to.context["site"] = "mouth"


SENSORS: dict[str, Callable[[Sensor, int], None]] = {
    "2A35": blood_pressure, "2A37": heart_rate, "2A18": glucose, "2AA7": cgm, "2A9D": weight, "2A5E": spot_check,
    "2A5F": continuous, "2A1C": temperature,
}  # fmt: skip


def decoded(uuid: str, octets: bytes) -> Any:
    said = {"format": "pma.gatt/1", "characteristic": uuid, "value": octets.hex(), "received_at": RECEIVED}
    return decode(an_arrival(said | {"session_start": STARTED}, topic=f"dt/pma/{SERIAL}/gatt"), {})


@pytest.mark.parametrize("uuid", SENSORS)
def test_f1_what_a_sensor_wrote_is_read_under_each_flags(uuid: str) -> None:
    for flags in range(256):
        sensor = Sensor(uuid, flags)
        SENSORS[uuid](sensor, flags)
        (one,) = decoded(uuid, sensor.octets).readings
        if uuid == "2A5E" and flags & 17 == 17:  # it has a time, and says that its clock was never set
            assert isinstance(one, Unreadable)
            continue
        reading = read(one)
        assert (one["values"], one["context"], one["measured_at"], reading.slot, reading.record) == (
            sensor.values, sensor.context, sensor.told, sensor.slot, sensor.record,
        ), flags  # fmt: skip


def circumstances(to: Sensor, flags: int) -> None:
    to.record = to.whole("H", 0, 0xFFFF)
    if flags & 128:
        to.put("B", 0x55)
    if flags & 1:
        to.context |= {"carbohydrate": to.one_of(CARBOHYDRATES), "carbohydrate-g": plain(to.sfloat(-3), 3)}
    if flags & 2:
        to.context["meal"] = to.one_of(MEALS)
    if flags & 4:
        tester, health = to.chance.randrange(3), to.chance.randrange(5)
        to.put("B", tester + 1 | health + 1 << 4)
        to.context |= {"tester": TESTERS[tester], "health": HEALTH[health]}
    if flags & 8:
        seconds, percent = to.whole("H", 0, 0xFFFE), to.whole("B", 0, 100)
        to.context |= {"exercise-s": str(seconds), "exercise-percent": str(percent)}
    if flags & 16:
        to.context["medication"] = f"{to.one_of(INSULINS)}-insulin"
        name, power = ("medication-ml", 3) if flags & 32 else ("medication-mg", 6)
        to.context[name] = plain(to.sfloat(-6), power)
    if flags & 64:
        to.context["hba1c-percent"] = plain(to.sfloat(-2), 0)


def plain(value: Decimal, power: int) -> str:
    return f"{value.scaleb(power).normalize():f}"


def test_f1_the_circumstances_of_a_glucose_measurement_under_each_flags() -> None:
    for flags in range(256):
        meter = Sensor("2A34", flags)
        circumstances(meter, flags)
        (one,) = decoded("2A34", meter.octets).contexts
        assert (one.sequence, one.context) == (meter.record, meter.context), flags
