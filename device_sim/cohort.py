"""A cohort of virtual patients: who they are, which devices they hold, and what these say over some days."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from device_sim import vitals
from device_sim.payload import Quantity, Reading
from device_sim.vitals import dice

KEPT = 0.93
"""The share of prescribed measurements that a patient takes."""


@dataclass(frozen=True, slots=True)
class SimulatedDevice:
    """A sensor or a gateway to be enrolled under the catalogue's `profile`; a sensor may be carried by a `gateway`."""

    serial: str
    profile: str
    device_class: Literal["medical", "auxiliary"] = "medical"
    gateway: str | None = None

    @property
    def thing(self) -> str:
        """Who connects to the broker for it."""
        return self.gateway or self.serial


@dataclass(frozen=True, slots=True)
class Patient:
    """A virtual patient as a MIS would enrol one; `devices` are the sensors, gateways come from `Cohort.gateways`."""

    subject: str
    programme: str
    time_zone: str
    language: str
    devices: tuple[SimulatedDevice, ...]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Patients and all that their devices say, in order of time."""

    patients: tuple[Patient, ...]
    readings: tuple[Reading, ...]

    @property
    def gateways(self) -> tuple[SimulatedDevice, ...]:
        """The phones that carry sensors, each to be enrolled before these."""
        names = {device.gateway for patient in self.patients for device in patient.devices if device.gateway}
        return tuple(SimulatedDevice(name, "phone") for name in sorted(names))

    @property
    def things(self) -> tuple[str, ...]:
        """Everything that needs a certificate."""
        return tuple(sorted({device.thing for patient in self.patients for device in patient.devices}))

    @property
    def first_at(self) -> datetime:
        return self.readings[0].measured_at

    @property
    def last_at(self) -> datetime:
        return self.readings[-1].measured_at

    def patient_days(self) -> int:
        """Days with a reading, counted back from each patient's last one and summed over the patients."""
        days: dict[str, set[int]] = {}
        last: dict[str, datetime] = {}
        for reading in reversed(self.readings):
            age = last.setdefault(reading.subject, reading.measured_at) - reading.measured_at
            days.setdefault(reading.subject, set()).add(age.days)
        return sum(map(len, days.values()))


@dataclass(frozen=True, slots=True)
class _Stay:
    """One patient's time in the simulation: midnights of the days, and the first and last moment that count."""

    chance: Callable[[str], random.Random]
    patient: Patient
    start: datetime
    until: datetime
    crisis: vitals.Crisis | None

    def device(self, profile: str) -> SimulatedDevice:
        return next(device for device in self.patient.devices if device.profile == profile)

    def midnights(self) -> Iterator[datetime]:
        day = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        while day <= self.until:
            yield day
            day += timedelta(days=1)

    def at(self, chance: random.Random, *hours: float) -> list[datetime]:
        """The times near each of `hours` of every day at which the patient did measure."""
        times = [
            day + timedelta(minutes=round(hour * 60 + chance.gauss(0, 20)), seconds=chance.randrange(60))
            for day in self.midnights()
            for hour in hours
            if chance.random() < KEPT
        ]
        return [at for at in times if self.start <= at <= self.until]

    def reading(self, profile: str, kind: str, at: datetime, **values: tuple[float, str]) -> Reading:
        """A reading of the patient's device: each value is (what it shows, unit), to two decimals at most."""
        device = self.device(profile)
        shown = {name: Quantity(Decimal(str(round(value, 2))), unit) for name, (value, unit) in values.items()}
        return Reading(self.patient.subject, device.thing, device.serial, kind, at, shown)


def _tonometer(stay: _Stay) -> Iterator[Reading]:
    """Morning and evening, two readings a sitting; in a crisis a pair every half an hour."""
    chance = stay.chance("tonometer")
    traits = vitals.pressure_traits(chance)
    sittings = stay.at(chance, 7.5, 19.5)
    if stay.crisis is not None:
        frightened = [
            stay.crisis.start + timedelta(minutes=30 * step)
            for step in range(int(stay.crisis.lasts.total_seconds() // 1800))
        ]
        sittings = sorted({at for at in sittings if not stay.crisis.covers(at)} | set(frightened))
    pairs = [(at, at + timedelta(seconds=90)) for at in sittings]
    crises = (stay.crisis,) if stay.crisis else ()
    for one in vitals.pressures(chance, traits, pairs, crises):
        yield stay.reading(
            "tonometer",
            "blood-pressure",
            one.at,
            systolic=(round(one.systolic), "mm[Hg]"),
            diastolic=(round(one.diastolic), "mm[Hg]"),
            pulse=(round(one.pulse), "/min"),
        )


def _glucometer(stay: _Stay) -> Iterator[Reading]:
    """Four times a day, in mmol/L."""
    chance = stay.chance("glucometer")
    blood = dict(vitals.glucose(chance, vitals.TYPE_2, _on_grid(stay.start), stay.until))
    for at in stay.at(chance, 7.0, 12.5, 18.5, 22.0):
        shown = vitals.fingerprick(chance, blood[_on_grid(at)])
        yield stay.reading("glucometer", "glucose", at, glucose=(round(shown, 1), "mmol/L"))


def _cgm(stay: _Stay) -> Iterator[Reading]:
    """Every five minutes, in whole mg/dL from 40 to 399, as far as such sensors show."""
    chance = stay.chance("cgm")
    blood = vitals.glucose(chance, vitals.TYPE_1, _on_grid(stay.start) + vitals.GRID, stay.until)
    for at, level in vitals.sensor(chance, blood):
        shown = max(40, min(399, round(level * vitals.MG_DL)))
        yield stay.reading("cgm", "cgm", at, glucose=(shown, "mg/dL"))


def _scale(stay: _Stay) -> Iterator[Reading]:
    """Every morning, to a tenth of a kilogram."""
    chance = stay.chance("scale")
    traits = vitals.WeightTraits(chance.uniform(58, 104), chance.uniform(-0.3, 0.3))
    for at, kilograms in vitals.weights(chance, traits, stay.at(chance, 7.25)):
        yield stay.reading("scale", "weight", at, weight=(round(kilograms, 1), "kg"))


def _bracelet(stay: _Stay) -> Iterator[Reading]:
    """Heart rate every hour of the day."""
    chance = stay.chance("bracelet")
    resting = chance.uniform(58, 78)
    for at in stay.at(chance, *range(7, 23)):
        rate = vitals.heart_rate(chance, resting, at, effort=max(0.0, chance.gauss(0.1, 0.15)))
        yield stay.reading("bracelet", "heart-rate", at, rate=(round(rate), "/min"))


def _on_grid(at: datetime) -> datetime:
    """The last point of the five-minute grid at or before `at`."""
    return at.replace(minute=at.minute - at.minute % 5, second=0, microsecond=0)


SPEAKS: dict[str, Callable[[_Stay], Iterator[Reading]]] = {
    "tonometer": _tonometer,
    "glucometer": _glucometer,
    "cgm": _cgm,
    "scale": _scale,
    "bracelet": _bracelet,
}
"""How a sensor of each profile is used and what it then says."""

_SERIALS = {"tonometer": "BP", "glucometer": "GL", "cgm": "CGM", "scale": "WT", "bracelet": "BR"}

_HELD: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("hypertension", ("tonometer",)),
    ("hypertension", ("tonometer",)),
    ("diabetes-type-2", ("glucometer", "tonometer")),
    ("hypertension", ("tonometer",)),
    ("heart-failure", ("scale", "tonometer")),
    ("hypertension", ("tonometer", "bracelet")),
    ("hypertension", ("tonometer",)),
    ("cgm", ("cgm",)),
    ("hypertension", ("tonometer",)),
    ("pregnancy", ("tonometer",)),
)
"""Programmes and what their patients hold, in the proportions of a cohort that is mostly hypertensive."""

_ZONES = ("Europe/Moscow", "Europe/Samara", "Asia/Yekaterinburg", "Asia/Vladivostok")
_LANGUAGES = ("ru", "ru", "ru", "en")


def a_patient(number: int) -> Patient:
    """The `number`-th patient (from 0): programme, zone and devices follow from the number alone.

    A patient with several sensors carries them by a phone, a lone sensor connects for itself.
    """
    programme, profiles = _HELD[number % len(_HELD)]
    phone = f"PHONE-{number + 1:04}" if len(profiles) > 1 else None
    devices = tuple(
        SimulatedDevice(
            f"{_SERIALS[profile]}-{number + 1:04}",
            profile,
            "auxiliary" if profile == "bracelet" else "medical",
            phone,
        )
        for profile in profiles
    )
    return Patient(
        f"S-{number + 1:04X}", programme, _ZONES[number % len(_ZONES)], _LANGUAGES[number % len(_LANGUAGES)], devices
    )


def simulate(patients: int, *, days: float, seed: int, until: datetime, crises: int = 0) -> Cohort:
    """What `patients` virtual patients measure in the `days` before `until` (aware), the same for the same arguments.

    `crises` of those with a tonometer each have one hypertensive crisis of an hour and a half, spread over the time.
    """
    who = [a_patient(number) for number in range(patients)]
    until = until.replace(microsecond=0)
    start = until - timedelta(days=days)
    with_tonometer = [one for one in who if any(device.profile == "tonometer" for device in one.devices)]
    struck = {
        one.subject: start + (until - start) * (place + 1) / (crises + 1)
        for place, one in enumerate(with_tonometer[:crises])
    }
    readings = [
        reading
        for patient in who
        for reading in measure(patient, seed=seed, start=start, until=until, crisis=struck.get(patient.subject))
    ]
    return Cohort(tuple(who), in_order(readings))


def measure(
    patient: Patient, *, seed: int, start: datetime, until: datetime, crisis: datetime | None = None
) -> tuple[Reading, ...]:
    """What the patient's devices say after `start` and up to `until`, in order.

    `crisis` is when a hypertensive crisis of 90 minutes begins.
    """
    # The device's own clock: it keeps the offset that its zone has at the end, whatever daylight saving did before.
    clock = timezone(until.astimezone(ZoneInfo(patient.time_zone)).utcoffset() or timedelta(0))
    stay = _Stay(
        chance=lambda what: dice(seed, patient.subject, what),
        patient=patient,
        start=start.astimezone(clock),
        until=until.astimezone(clock),
        crisis=None
        if crisis is None
        else vitals.Crisis(crisis.astimezone(clock).replace(microsecond=0), timedelta(minutes=90)),
    )
    said = [reading for device in patient.devices for reading in SPEAKS[device.profile](stay)]
    return in_order([reading for reading in said if start < reading.measured_at <= until])


def in_order(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """By time; what was measured at the same time by device, so that the order never depends on chance."""
    return tuple(sorted(readings, key=lambda reading: (reading.measured_at, reading.device)))
