"""Device profiles: what a model of device can show, and how its word is to be taken. Data, in `catalogue/devices`."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from domain.codes import KINDS
from domain.mapping import Mapping
from domain.observation import DeviceClass


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError("a zone of the IANA database") from error
    return name


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Range(_Data):
    """What this device can show of a living person, both ends included, in the canonical unit."""

    low: Decimal
    high: Decimal

    @model_validator(mode="after")
    def _in_order(self) -> "Range":
        if self.low >= self.high:
            raise ValueError("low is below high")
        return self


class Measure(_Data):
    """One kind that a device measures.

    `resolution` is the smallest step that it shows of each value, in the canonical unit; `plausible` narrows or widens
    what `domain.codes` holds possible; a reading that arrives later than `fresh_for` is tagged `late`.
    """

    resolution: dict[str, Annotated[Decimal, Field(gt=0)]]
    fresh_for: timedelta
    plausible: dict[str, Range] = {}


class DeviceProfile(_Data):
    """A model of device, or a kind of gateway.

    `slots` is how many people it can tell apart. `time_zone` is what its clock shows where it writes local times
    without an offset; null means the zone of the subject. `clock_resolution` is the step of its clock: times are cut to
    it where two paths are to give one reading. A time that is further ahead than `clock_drift` is not believed unless
    something tells what the clock shows; null leaves it to the general limits. `records`: every path carries the
    device's own number of a reading, which then makes its identity in place of its values. A `health-post` names the
    subject itself, for its own roster. `mapping` reads the vendor's own JSON, published to `vendor/{id}`.
    """

    id: str
    title: dict[Literal["en", "ru"], str]
    role: Literal["sensor", "gateway", "health-post"] = "sensor"
    device_class: Annotated[DeviceClass, Field(alias="class")]
    slots: Annotated[int, Field(ge=1, le=16)] = 1
    time_zone: Annotated[str, AfterValidator(_zone)] | None = None
    clock_resolution: Annotated[timedelta, Field(ge=timedelta(seconds=1))]
    clock_drift: Annotated[timedelta, Field(gt=timedelta(0))] | None = None
    records: bool = False
    measures: dict[str, Measure]
    mapping: Mapping | None = None

    @model_validator(mode="after")
    def _fits_the_codes(self) -> "DeviceProfile":
        if self.clock_resolution % timedelta(seconds=1):
            raise ValueError("clock_resolution is whole seconds")
        for name, measure in self.measures.items():
            if name not in KINDS:
                raise ValueError(f"{name} is no kind")
            if set(measure.resolution) != set(KINDS[name].values):
                raise ValueError(f"{name} has a resolution for each of {', '.join(KINDS[name].values)}")
            if not set(measure.plausible) <= set(KINDS[name].values):
                raise ValueError(f"{name} has plausible ranges for none but {', '.join(KINDS[name].values)}")
        unmeasured = {one.kind for one in self.mapping.readings} - set(self.measures) if self.mapping else ()
        if unmeasured:
            raise ValueError(f"mapping makes readings of {', '.join(sorted(unmeasured))}, which it does not measure")
        return self
