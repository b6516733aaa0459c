"""Characteristics of Bluetooth health devices, as the standard has them: octets in, every field out.

Source: Bluetooth SIG, GATT Specification Supplement, with the services BPS, HRS, GLS, CGMS, WSS, PLXS and HTS; floats
are those of IEEE 11073-20601. A characteristic begins with flags that say which of its fields follow: a table each.
Bits and codes that the standard reserves are read past, and so are octets behind those that the flags say: the
profiles' test suites demand it of a collector (GLF/CO/BI-04 and its like), so that a later standard may add some.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from domain.errors import Malformed, UnknownFormat

_LONGEST = 512  # octets of an attribute's value, by the Core Specification
_UUID = re.compile(r"([0-9a-f]{4})|0000([0-9a-f]{4})-0000-1000-8000-00805f9b34fb")


class Quantity(NamedTuple):
    """A number in a UCUM unit, or in place of the number the word that says why there is none (`NaN`)."""

    value: Decimal | str
    unit: str


class DateTime(NamedTuple):
    """What a clock without a zone showed; a year, month or day of 0 is not known."""

    year: int
    month: int
    day: int
    hours: int
    minutes: int
    seconds: int


class Record(NamedTuple):
    """One measurement in a characteristic: its octets, and each field that is there by its name in the table.

    A field is a Quantity, an int, a DateTime, a code (None for a reserved one), or a tuple of codes where its name ends
    in `status`. `flags` are the flags as they are. `crc` of 2AA7, where there is one, is whether it fits. `fault` is
    why there are no fields: where a record stops making sense, whatever follows it does too.
    """

    octets: bytes
    fields: Mapping[str, Any]
    fault: Malformed | None = None


class _Octets:
    """A characteristic's value, read from the front."""

    def __init__(self, value: bytes) -> None:
        self.left = value

    def take(self, size: int) -> bytes:
        taken = self.peek(size)
        self.left = self.left[size:]
        return taken

    def peek(self, size: int) -> bytes:
        if len(self.left) < size:
            raise Malformed("value ends before what its flags say")
        return self.left[:size]


_Reader: TypeAlias = Callable[[_Octets], Any]


class _Field(NamedTuple):
    """There only if all bits `on` of the flags are set and none of the bits `off`."""

    name: str
    read: _Reader
    unit: str = ""
    on: int = 0
    off: int = 0


class _Characteristic(NamedTuple):
    service: str
    fields: tuple[_Field, ...]


def read_characteristic(uuid: str, value: bytes) -> tuple[Record, ...]:
    """Every field of each record in the `value` of a characteristic; all but 2AA7 have one record.

    Raises UnknownFormat, or Malformed for less than the flags say; in 2AA7 for a first size that is not theirs.
    """
    number = short(uuid)
    fields = _known(number).fields
    if len(value) > _LONGEST:
        raise Malformed(f"value is over {_LONGEST} octets")
    if number == "2AA7":
        return tuple(_sized_records(fields, value))
    said, _ = _read(fields, value)
    return (Record(value, said),)


def service_of(uuid: str) -> str:
    """The 16 bits of the service that has the characteristic. Raises UnknownFormat."""
    return _known(short(uuid)).service


def short(uuid: str) -> str:
    """The 16 bits of a UUID of the Bluetooth SIG, upper case; empty for any other."""
    match = _UUID.fullmatch(uuid.lower())
    return (match[1] or match[2]).upper() if match else ""


def crc16(octets: bytes) -> int:
    """CRC-CCITT as CGMS 3.11 has it: x^16 + x^12 + x^5 + 1, lowest bit first, from 0xFFFF (CRC-16/MCRF4XX)."""
    crc = 0xFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc


def _known(number: str) -> _Characteristic:
    if number not in _CHARACTERISTICS:
        raise UnknownFormat("characteristic is none of those that are read")
    return _CHARACTERISTICS[number]


def _read(fields: tuple[_Field, ...], value: bytes) -> tuple[dict[str, Any], bytes]:
    """The fields that the flags say, and what is left after them."""
    octets = _Octets(value)
    flags = octets.take(1)[0]
    said: dict[str, Any] = {"flags": flags}
    for field in fields:
        if flags & field.on == field.on and not flags & field.off:
            read = field.read(octets)
            said[field.name] = Quantity(read, field.unit) if field.unit else read
    return said, octets.left


def _sized_records(fields: tuple[_Field, ...], value: bytes) -> Iterator[Record]:
    """Records one after the other, each with its size, itself included, in front. Raises Malformed if none is whole."""
    octets = _Octets(value)
    while octets.left:
        left = octets.left
        try:
            yield _sized_record(fields, octets.take(max(left[0], 1)))
        except Malformed as fault:
            if left is value:
                raise
            yield Record(left, {}, fault)
            return


def _sized_record(fields: tuple[_Field, ...], octets: bytes) -> Record:
    """That a check follows is not in the flags (it is in CGM Feature), but it shows in the size."""
    said, left = _read(fields, octets[1:])
    if len(left) not in (0, 2):
        raise Malformed("the size of a record is not what its flags say")
    if left:
        said["crc"] = int.from_bytes(left, "little") == crc16(octets[:-2])
    return Record(octets, said)


def _integer(size: int, special: Mapping[int, str] | None = None, *, signed: bool = False) -> _Reader:
    """An int, or the word for one that is no number."""
    words = special or {}

    def read(octets: _Octets) -> int | str:
        number = int.from_bytes(octets.take(size), "little", signed=signed)
        return words.get(number, number)

    return read


def _steps(size: int, step: str, special: Mapping[int, str] | None = None) -> _Reader:
    """A number of steps of that size, or the word for one that is no number."""
    integer, one = _integer(size, special), Decimal(step)

    def read(octets: _Octets) -> Decimal | str:
        number = integer(octets)
        return number if isinstance(number, str) else number * one

    return read


def _float(size: int, mantissa_bits: int) -> _Reader:
    """A power of ten above a mantissa, both signed; five words that have the exponent 0 are no numbers."""
    sign = 1 << mantissa_bits - 1
    special = {sign - 1: "NaN", sign: "NRes", sign - 2: "+INF", sign + 2: "-INF", sign + 1: "reserved"}

    def read(octets: _Octets) -> Decimal | str:
        raw = octets.take(size)
        word = int.from_bytes(raw, "little")
        if word in special:
            return special[word]
        mantissa, exponent = word % (2 * sign), int.from_bytes(raw, "little", signed=True) >> mantissa_bits
        return Decimal(mantissa - 2 * sign if mantissa >= sign else mantissa).scaleb(exponent)

    return read


def _date_time(octets: _Octets) -> DateTime:
    return DateTime(int.from_bytes(octets.take(2), "little"), *octets.take(5))


def _to_the_end(octets: _Octets) -> tuple[int, ...]:
    """One integer of 16 bits or more."""
    pairs = [octets.take(2)]
    while octets.left:
        pairs.append(octets.take(2))
    return tuple(int.from_bytes(pair, "little") for pair in pairs)


def _bits(size: int, codes: str, *, never_both: frozenset[str] = frozenset({""})) -> _Reader:
    """The codes of the bits that are set. `codes` names them from the lowest bit on; `-` is reserved.

    `never_both` are the bits of a number in them, of which all set is reserved.
    """
    names = codes.split()

    def read(octets: _Octets) -> tuple[str, ...]:
        word = int.from_bytes(octets.take(size), "little")
        noted = [name for bit, name in enumerate(names) if word >> bit & 1 and name != "-"]
        return tuple(name for name in noted if name not in never_both or not never_both.issubset(noted))

    return read


def _one_of(codes: str, *, bits: int = 8, shift: int = 0) -> _Reader:
    """The code of a number from 0 on, None where reserved or not known; of some bits of an octet, lowest first."""
    names = codes.split()

    def read(octets: _Octets) -> str | None:
        octet = octets.take(1)[0] if shift + bits == 8 else octets.peek(1)[0]
        number = octet >> shift & (1 << bits) - 1
        return names[number] if number < len(names) and names[number] != "-" else None

    return read


def _is(value: Any) -> _Reader:
    """What the flags alone say."""
    return lambda _: value


_sfloat, _float32, _uint16 = _float(2, 12), _float(4, 24), _integer(2)
_user = _integer(1, {0xFF: "unknown"})
_weight_special = {0xFFFF: "unsuccessful"}
_NEVER = 0x100  # a bit that no flags have


def _pressure(unit: str, **when: int) -> tuple[_Field, ...]:
    return tuple(_Field(name, _sfloat, unit, **when) for name in ("systolic", "diastolic", "mean"))


def _oximetry(*, fast: int = _NEVER, slow: int = _NEVER, timestamp: int = _NEVER, status: int) -> tuple[_Field, ...]:
    """Spot-check and continuous have the same fields under other bits."""
    return (
        _Field("saturation", _sfloat, "%"),
        _Field("pulse", _sfloat, "/min"),
        _Field("saturation-fast", _sfloat, "%", on=fast),
        _Field("pulse-fast", _sfloat, "/min", on=fast),
        _Field("saturation-slow", _sfloat, "%", on=slow),
        _Field("pulse-slow", _sfloat, "/min", on=slow),
        _Field("timestamp", _date_time, on=timestamp),
        _Field("measurement-status", _OXIMETRY_STATUS, on=status),
        _Field("sensor-status", _OXIMETER_STATUS, on=status << 1),
        _Field("pulse-amplitude", _sfloat, "%", on=status << 2),
    )


_PRESSURE_STATUS = _bits(
    2,
    "movement cuff-loose irregular-pulse pulse-above-range pulse-below-range improper-position",
    never_both=frozenset({"pulse-above-range", "pulse-below-range"}),
)
_GLUCOSE_STATUS = _bits(
    2,
    "battery-low sensor-malfunction sample-insufficient strip-insertion-error strip-type-incorrect result-above-range "
    "result-below-range sensor-too-hot sensor-too-cold read-interrupted device-fault time-fault",
)
_CGM_STATUS = _bits(1, "session-stopped battery-low sensor-type-incorrect sensor-malfunction device-alert device-fault")
_CGM_CALIBRATION = _bits(
    1,
    "time-synchronisation-required calibration-not-allowed calibration-recommended calibration-required sensor-too-hot "
    "sensor-too-cold",
)
_CGM_WARNING = _bits(
    1,
    "below-patient-low above-patient-high below-hypo above-hyper falling-fast rising-fast result-below-range "
    "result-above-range",
)
_OXIMETRY_STATUS = _bits(
    2,
    "- - - - - measurement-ongoing early-estimate validated fully-qualified from-storage for-demonstration for-testing "
    "calibration-ongoing measurement-unavailable measurement-questionable measurement-invalid",
)
_OXIMETER_STATUS = _bits(
    3,
    "display-update-ongoing equipment-malfunction signal-irregular signal-inadequate signal-poor low-perfusion "
    "signal-erratic signal-nonpulsatile pulse-questionable signal-analysis-ongoing sensor-interference "
    "sensor-unconnected sensor-unknown sensor-displaced sensor-malfunction sensor-disconnected",
)
_SAMPLE_TYPES = (
    "- capillary-whole-blood capillary-plasma venous-whole-blood venous-plasma arterial-whole-blood arterial-plasma "
    "undetermined-whole-blood undetermined-plasma interstitial-fluid control-solution"
)
_MEDICATIONS = (
    "- rapid-acting-insulin short-acting-insulin intermediate-acting-insulin long-acting-insulin pre-mixed-insulin"
)

_CHARACTERISTICS: Mapping[str, _Characteristic] = {
    "2A35": _Characteristic(  # blood pressure
        "1810",
        (
            *_pressure("mm[Hg]", off=1),
            *_pressure("kPa", on=1),
            _Field("timestamp", _date_time, on=2),
            _Field("pulse", _sfloat, "/min", on=4),
            _Field("user", _user, on=8),
            _Field("status", _PRESSURE_STATUS, on=16),
        ),
    ),
    "2A37": _Characteristic(  # heart rate
        "180D",
        (
            _Field("contact", _is("detected"), on=6),
            _Field("contact", _is("lost"), on=4, off=2),
            _Field("contact-status", _is(("poor-contact",)), on=4, off=2),
            _Field("rate", _steps(1, "1"), "/min", off=1),
            _Field("rate", _steps(2, "1"), "/min", on=1),
            _Field("energy", _steps(2, "1"), "kJ", on=8),
            _Field("rr-intervals", _to_the_end, on=16),  # in 1/1024 s
        ),
    ),
    "2A18": _Characteristic(  # glucose
        "1808",
        (
            _Field("sequence", _uint16),
            _Field("timestamp", _date_time),
            _Field("time-offset", _integer(2, {0x7FFF: "overrun", -0x8000: "underrun"}, signed=True), on=1),
            _Field("glucose", _sfloat, "kg/L", on=2, off=4),
            _Field("glucose", _sfloat, "mol/L", on=2 | 4),
            _Field("sample-type", _one_of(_SAMPLE_TYPES, bits=4), on=2),
            _Field(
                "sample-location", _one_of("- finger alternate-site earlobe control-solution", bits=4, shift=4), on=2
            ),
            _Field("status", _GLUCOSE_STATUS, on=8),
            _Field("context-follows", _is(True), on=16),
        ),
    ),
    "2A34": _Characteristic(  # the circumstances of a glucose measurement
        "1808",
        (
            _Field("sequence", _uint16),
            _Field("extended-flags", _integer(1), on=128),
            _Field("carbohydrate", _one_of("- breakfast lunch dinner snack drink supper brunch"), on=1),
            _Field("carbohydrate-amount", _sfloat, "kg", on=1),
            _Field("meal", _one_of("- before-meal after-meal fasting casual bedtime"), on=2),
            _Field("tester", _one_of("- self professional laboratory", bits=4), on=4),
            _Field(
                "health",
                _one_of("- minor-issues major-issues during-menses under-stress no-issues", bits=4, shift=4),
                on=4,
            ),
            _Field("exercise-duration", _steps(2, "1", {0xFFFF: "overrun"}), "s", on=8),
            _Field("exercise-intensity", _steps(1, "1"), "%", on=8),
            _Field("medication", _one_of(_MEDICATIONS), on=16),
            _Field("medication-mass", _sfloat, "kg", on=16, off=32),
            _Field("medication-volume", _sfloat, "L", on=16 | 32),
            _Field("hba1c", _sfloat, "%", on=64),
        ),
    ),
    "2AA7": _Characteristic(  # continuous glucose, behind the size of the record
        "181F",
        (
            _Field("glucose", _sfloat, "mg/dL"),
            _Field("time-offset", _uint16),
            _Field("status", _CGM_STATUS, on=128),
            _Field("calibration-status", _CGM_CALIBRATION, on=64),
            _Field("warning-status", _CGM_WARNING, on=32),
            _Field("trend", _sfloat, "mg/dL/min", on=1),
            _Field("quality", _sfloat, "%", on=2),
        ),
    ),
    "2A9D": _Characteristic(  # weight
        "181D",
        (
            _Field("weight", _steps(2, "0.005", _weight_special), "kg", off=1),
            _Field("weight", _steps(2, "0.01", _weight_special), "[lb_av]", on=1),
            _Field("timestamp", _date_time, on=2),
            _Field("user", _user, on=4),
            _Field("bmi", _steps(2, "0.1"), "kg/m2", on=8),
            _Field("height", _steps(2, "0.001"), "m", on=8, off=1),
            _Field("height", _steps(2, "0.1"), "[in_i]", on=8 | 1),
        ),
    ),
    "2A5E": _Characteristic(  # oxygen saturation, spot-check
        "1822", (_Field("clock-status", _is(("clock-not-set",)), on=16), *_oximetry(timestamp=1, status=2))
    ),
    "2A5F": _Characteristic("1822", _oximetry(fast=1, slow=2, status=4)),  # oxygen saturation, continuous
    "2A1C": _Characteristic(  # temperature
        "1809",
        (
            _Field("temperature", _float32, "Cel", off=1),
            _Field("temperature", _float32, "[degF]", on=1),
            _Field("timestamp", _date_time, on=2),
            _Field("site", _one_of("- armpit body ear finger gastrointestinal mouth rectum toe tympanum"), on=4),
        ),
    ),
}
