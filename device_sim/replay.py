"""Real measurements from CSV files, as if they were taken just now.

A file is known by its columns, not by its name. What such a file says is sent as it was measured, typing slips too:
to set them aside is the platform's matter. Only a row that is no reading at all is left out, and said so with file and
line.

Time. The files hold the device's local clock, with no zone. The rows of one subject in one file are a series; each
series is moved so that its last reading is now, and keeps its intervals. The same id in two files is two subjects,
because nothing says that they are one person.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from device_sim.cohort import Cohort, Patient, SimulatedDevice, in_order
from device_sim.errors import NoSuchData
from device_sim.payload import Quantity, Reading
from domain.identity import deterministic_id

_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.\d{1,12})?")
_CLOCKS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S%z",
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M:%S %p",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%Y-%m-%d",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
)
"""How clocks are written. A file keeps to one of them: the first under which most of its rows can be read."""

_START = datetime(2000, 1, 1, tzinfo=UTC)  # only intervals count: where a count of minutes begins does not matter


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of file: which columns hold whose, when and what, and the device and programme that it stands for.

    `values` maps a column to (name of the value, its UCUM unit); `minutes` says that `when` counts minutes from the
    start of the subject's session rather than holding a date.
    """

    whose: str
    when: str
    values: Mapping[str, tuple[str, str]]
    kind: str
    profile: str
    serial: str
    programme: str
    minutes: bool = False
    also: frozenset[str] = frozenset()

    @property
    def columns(self) -> frozenset[str]:
        return frozenset({self.whose, self.when, *self.values}) | self.also


_PRESSURE = {"systolic": ("systolic", "mm[Hg]"), "diastolic": ("diastolic", "mm[Hg]")}

LAYOUTS: tuple[Layout, ...] = (
    Layout("subject", "local_time", {"glucose_mg_dl": ("glucose", "mg/dL")}, "cgm", "cgm", "CGM", "cgm"),
    Layout("subject", "local_time", {"glucose_mmol_l": ("glucose", "mmol/L")}, "cgm", "cgm", "CGM", "cgm"),
    Layout(
        "subject",
        "minutes",
        _PRESSURE,
        "blood-pressure",
        "tonometer",
        "BP",
        "pregnancy",
        minutes=True,
        also=frozenset({"gest_weeks"}),
    ),
    Layout("subject", "minutes", _PRESSURE, "blood-pressure", "tonometer", "BP", "hypertension", minutes=True),
    Layout("subject", "local_time", _PRESSURE, "blood-pressure", "tonometer", "BP", "hypertension"),
    Layout("Id", "Date", {"WeightKg": ("weight", "kg")}, "weight", "scale", "WT", "heart-failure"),
)
"""What is replayed. Of two that fit, the earlier one is taken."""

UNUSED: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"exam", "fhr_baseline_bpm"}), "summaries of fetal exams, which hold no time of measurement"),
    (frozenset({"ActivityHour", "StepTotal"}), "steps by the hour, which no programme judges"),
)
"""Files that are known and not replayed, by their columns, with the reason."""


@dataclass(frozen=True, slots=True)
class NoReading:
    """A row that holds no reading."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}"


@dataclass(frozen=True, slots=True)
class NotUsed:
    """A file of which nothing is replayed."""

    file: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}: not used: {self.why}"


@dataclass(frozen=True, slots=True)
class Replay:
    """What a folder holds: the cohort that its files stand for, the rows that are no readings, the files not used.

    `names` gives the subject of each (file, id in the file).
    """

    cohort: Cohort
    names: Mapping[tuple[str, str], str]
    no_readings: tuple[NoReading, ...]
    not_used: tuple[NotUsed, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """A measured row: `clock` is what the device's clock said, of use only beside another of the same series."""

    line: int
    clock: datetime
    values: Mapping[str, Quantity]


class _Garbage(Exception):
    """Why a row is no reading; it names the column and never the value."""


def read(path: Path, *, now: datetime, zone: Callable[[int], str] = lambda _: "Europe/Moscow") -> Replay:
    """All that the file or folder at `path` holds, shifted so that each series ends at `now` (aware).

    `zone` gives the time zone of the n-th patient (from 0). Raises NoSuchData when the path does not exist or no file
    under it can be replayed.
    """
    if not path.exists():
        raise NoSuchData(f"There is no {path}: give a folder with CSV files, or one such file.")
    files, root = ([path], path.parent) if path.is_file() else (sorted(path.rglob("*.csv")), path)
    now = now.replace(microsecond=0)
    patients: dict[tuple[str, str], Patient] = {}
    readings: list[Reading] = []
    no_readings: list[NoReading] = []
    not_used = [NotUsed(f"{name}/", "it holds no CSV file") for name in _without_csv(path, files)]
    for file in files:
        name = file.relative_to(root).as_posix()
        table = _table(file, name)
        if isinstance(table, NotUsed):
            not_used.append(table)
            continue
        layout, lines = table
        series, garbage = _series(layout, name, lines)
        no_readings.extend(garbage)
        if not series:
            not_used.append(NotUsed(name, "no row of it is a reading"))
        for subject, rows in series.items():
            patient = _patient(layout, name, subject, zone(len(patients)))
            patients[name, subject] = patient
            readings.extend(_shifted(patient, layout, name, rows, now))
    if not readings:
        said = "".join(f"\n  {one}" for one in not_used) or " (no CSV file is there)"
        raise NoSuchData(f"Nothing under {path} can be replayed:{said}")
    return Replay(
        Cohort(tuple(patients.values()), in_order(readings)),
        {name: patient.subject for name, patient in patients.items()},
        tuple(no_readings),
        tuple(not_used),
    )


def _without_csv(path: Path, files: Iterable[Path]) -> list[str]:
    if path.is_file():
        return []
    used = {file.relative_to(path).parts[0] for file in files}
    return sorted(one.name for one in path.iterdir() if one.is_dir() and one.name not in used)


_Lines = list[tuple[int, dict[str, str]]]


def _table(file: Path, name: str) -> tuple[Layout, _Lines] | NotUsed:
    """The file's layout and its rows with the number of the line on which each ends."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return NotUsed(name, "it is not text in UTF-8")
    except OSError as error:
        return NotUsed(name, f"it cannot be read ({error.strerror})")
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        columns = [column.strip() for column in next(reader, [])]
        lines = [(reader.line_num, dict(zip(columns, row, strict=False))) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        return NotUsed(name, f"it is no CSV ({error})")
    if not columns:
        return NotUsed(name, "it is empty")
    layout = next((one for one in LAYOUTS if one.columns <= set(columns)), None)
    if layout is not None:
        return layout, lines
    known = next((why for signs, why in UNUSED if signs <= set(columns)), None)
    return NotUsed(name, known or "its columns are none that we know")


def _series(layout: Layout, name: str, lines: _Lines) -> tuple[dict[str, list[_Row]], list[NoReading]]:
    """The measured rows of each subject in order of the device's clock, and the rows that are no reading."""
    clock = _minutes if layout.minutes else _clock([row.get(layout.when, "").strip() for _, row in lines])
    series: dict[str, list[_Row]] = {}
    garbage = []
    for line, row in lines:
        try:
            subject = row.get(layout.whose, "").strip()
            if not subject:
                raise _Garbage(f"{layout.whose} is empty")
            measured = _Row(line, clock(layout.when, row.get(layout.when, "").strip()), _values(layout, row))
        except _Garbage as why:
            garbage.append(NoReading(name, line, str(why)))
        else:
            series.setdefault(subject, []).append(measured)
    for rows in series.values():
        rows.sort(key=lambda row: row.clock)
    return series, garbage


def _values(layout: Layout, row: Mapping[str, str]) -> dict[str, Quantity]:
    values = {}
    for column, (name, unit) in layout.values.items():
        written = (row.get(column) or "").strip()
        if not written:
            raise _Garbage(f"{column} is empty")
        if not _NUMBER.fullmatch(written):
            raise _Garbage(f"{column} is not a number")
        values[name] = Quantity(Decimal(written), unit)
    return values


def _minutes(column: str, written: str) -> datetime:
    if not _NUMBER.fullmatch(written):
        raise _Garbage(f"{column} is not a number of minutes, so when it was measured is unknown")
    return _START + timedelta(seconds=round(float(written) * 60))


def _clock(written: Iterable[str]) -> Callable[[str, str], datetime]:
    """A reader of times in the format that fits most of those `written`; what it cannot read is garbage."""
    texts = list(written)
    best = max(_CLOCKS, key=lambda form: sum(_parsed(text, form) is not None for text in texts))

    def clock(column: str, text: str) -> datetime:
        if not text:
            raise _Garbage(f"{column} is empty")
        at = _parsed(text, best)
        if at is None:
            raise _Garbage(f"{column} is not a time as the rest of the file writes it")
        return at

    return clock


def _parsed(text: str, form: str) -> datetime | None:
    try:
        at = datetime.strptime(text, form)  # noqa: DTZ007 - a clock without a zone is just what these files have
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _patient(layout: Layout, file: str, subject: str, zone: str) -> Patient:
    token = deterministic_id("replay", file, subject).replace("-", "")[:8].upper()
    device = SimulatedDevice(f"{layout.serial}-{token}", layout.profile)
    return Patient(f"S-{token}", layout.programme, zone, "ru", (device,))


def _shifted(patient: Patient, layout: Layout, file: str, rows: Sequence[_Row], now: datetime) -> Iterator[Reading]:
    zone = ZoneInfo(patient.time_zone)
    (device,) = patient.devices
    for row in rows:
        at = (now.astimezone(UTC) - (rows[-1].clock - row.clock)).astimezone(zone)
        yield Reading(
            patient.subject, device.thing, device.serial, layout.kind, at, row.values, source=f"{file}:{row.line}"
        )
