"""Where a scenario plays, and what must be enrolled there for its readings to become what it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from device_sim.cohort import Patient, SimulatedDevice, measure
from device_sim.payload import Message, Quantity, Reading, pack


@dataclass(frozen=True, slots=True)
class Setting:
    """What must be enrolled beside a consenting subject who has held the device throughout.

    `profile`: the device is of this model (None: of any that is simulated). `carried`: a phone is its gateway.
    `slots`: it is assigned by slot, the first to the subject, the others to others. `zone`: where the subject lives
    (None: anywhere). `recalled`: it is blocked. `replaced`: its assignment ended half-way, when that of
    `Scene.successor` began.
    """

    profile: str | None = None
    carried: bool = False
    slots: tuple[int, ...] = ()
    zone: str | None = None
    recalled: bool = False
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a scenario plays: a patient with one device, the present, the seed and `other`, a thing that is not ours.

    `replayed` are readings to send in place of simulated ones.
    """

    patient: Patient
    now: datetime
    seed: int
    other: str
    days: float = 1
    replayed: tuple[Reading, ...] = ()

    @property
    def device(self) -> SimulatedDevice:
        return self.patient.devices[0]

    @property
    def successor(self) -> str:
        """The serial of the device that replaces ours."""
        return f"{self.device.serial}-2"

    @property
    def half_way(self) -> datetime:
        """When one device replaced the other."""
        return self.now - timedelta(days=self.days) / 2

    @property
    def shown(self) -> datetime:
        """What the device's clock shows now, with the offset of its zone."""
        local = self.now.astimezone(ZoneInfo(self.patient.time_zone))
        return datetime.fromisoformat(local.isoformat(timespec="seconds"))

    def readings(self, crisis: datetime | None = None) -> tuple[Reading, ...]:
        """What the device says in the last `days`, ending now."""
        if self.replayed:
            return self.replayed
        start = self.now - timedelta(days=self.days)
        return measure(self.patient, seed=self.seed, start=start, until=self.now, crisis=crisis)

    def messages(self, crisis: datetime | None = None) -> list[Message]:
        return pack(self.readings(crisis), gather=timedelta(minutes=2))

    def reading(
        self,
        kind: str,
        at: datetime,
        values: Mapping[str, tuple[str, str]],
        *,
        flags: tuple[str, ...] = (),
        slot: int | None = None,
        device: str | None = None,
    ) -> Reading:
        """One reading of the device, measured `at` by its clock: each value is (what it shows, UCUM unit)."""
        shown = {name: Quantity(Decimal(value), unit) for name, (value, unit) in values.items()}
        serial = device or self.device.serial
        return Reading(self.patient.subject, self.device.thing, serial, kind, at, shown, flags=flags, slot=slot)

    def pressure(
        self,
        at: datetime,
        systolic: str = "128",
        diastolic: str = "82",
        unit: str = "mm[Hg]",
        *,
        flags: tuple[str, ...] = (),
        slot: int | None = None,
        device: str | None = None,
    ) -> Reading:
        values = {"systolic": (systolic, unit), "diastolic": (diastolic, unit)}
        return self.reading("blood-pressure", at, values, flags=flags, slot=slot, device=device)
