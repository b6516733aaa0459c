"""Real files become timed readings; what is no reading is said with file and line, and the rest goes on."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.cohort import Cohort
from device_sim.errors import NoSuchData
from device_sim.payload import Quantity, Reading
from device_sim.replay import Replay, read

NOW = datetime(2026, 11, 22, 9, 0, 12, 345, tzinfo=UTC)
LAST = NOW.replace(microsecond=0)
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

CGM = "subject,local_time,glucose_mg_dl,diagnosis\n"
BP = "subject,minutes,systolic,diastolic,gest_weeks\n"
WEIGHT = "Id,Date,WeightKg,WeightPounds,Fat,BMI\n"


def replay(tmp_path: Path, text: str, name: str = "some.csv") -> Replay:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return read(tmp_path, now=NOW)


def ages(cohort: Cohort) -> list[timedelta]:
    return [LAST - reading.measured_at for reading in cohort.readings]


def minutes(*numbers: int) -> list[timedelta]:
    return [timedelta(minutes=number) for number in numbers]


@pytest.mark.parametrize(
    ("text", "kind", "profile", "programme", "values"),
    [
        (CGM + "a,2014-02-03 03:42:12,93,x\n", "cgm", "cgm", "cgm", {"glucose": ("93", "mg/dL")}),
        (
            "subject,local_time,glucose_mmol_l\na,2014-02-03 03:42:12,5.2\n",
            "cgm",
            "cgm",
            "cgm",
            {"glucose": ("5.2", "mmol/L")},
        ),
        (
            BP + "1,0,140,100,23.0\n",
            "blood-pressure",
            "tonometer",
            "pregnancy",
            {"systolic": ("140", "mm[Hg]"), "diastolic": ("100", "mm[Hg]")},
        ),
        (
            "subject,minutes,systolic,diastolic\n1,0,140,100\n",
            "blood-pressure",
            "tonometer",
            "hypertension",
            {"systolic": ("140", "mm[Hg]"), "diastolic": ("100", "mm[Hg]")},
        ),
        (
            "subject,local_time,systolic,diastolic\n1,2020-01-01 10:00,140,100\n",
            "blood-pressure",
            "tonometer",
            "hypertension",
            {"systolic": ("140", "mm[Hg]"), "diastolic": ("100", "mm[Hg]")},
        ),
        (
            WEIGHT + "1503960366,5-2-2016,52.59999847,115.9,22,22.6\n",
            "weight",
            "scale",
            "heart-failure",
            {"weight": ("52.59999847", "kg")},
        ),
    ],
    ids=["cgm mg/dL", "cgm mmol/L", "pressure in pregnancy", "pressure by minutes", "pressure by clock", "weight"],
)
def test_a_file_is_known_by_its_columns_and_sent_in_its_own_units(
    tmp_path: Path, text: str, kind: str, profile: str, programme: str, values: dict[str, tuple[str, str]]
) -> None:
    found = replay(tmp_path, text, "any/name.csv")
    (patient,) = found.cohort.patients
    (device,) = patient.devices
    (reading,) = found.cohort.readings
    assert (patient.programme, device.profile) == (programme, profile)
    assert reading == Reading(
        patient.subject,
        device.serial,
        device.serial,
        kind,
        LAST,
        {name: Quantity(Decimal(value), unit) for name, (value, unit) in values.items()},
        source="any/name.csv:2",
    )
    assert found.no_readings == ()
    assert found.not_used == ()


def test_the_last_reading_is_now_and_intervals_are_kept(tmp_path: Path) -> None:
    found = replay(
        tmp_path, CGM + "a,2014-02-03 03:42:00,93,x\na,2014-02-03 03:47:00,95,x\na,2014-02-03 05:00:00,97,x\n"
    )
    assert ages(found.cohort) == minutes(78, 73, 0)
    assert found.cohort.readings[0].measured_at.utcoffset() == timedelta(hours=3)


def test_the_zone_is_the_subjects(tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text(BP + "1,0,140,100,23\n2,0,130,90,24\n")
    found = read(tmp_path, now=NOW, zone=["Europe/Samara", "Asia/Vladivostok"].__getitem__)
    assert [patient.time_zone for patient in found.cohort.patients] == ["Europe/Samara", "Asia/Vladivostok"]
    zones = {reading.subject: reading.measured_at.isoformat()[-6:] for reading in found.cohort.readings}
    assert [zones[patient.subject] for patient in found.cohort.patients] == ["+04:00", "+10:00"]


def test_intervals_hold_over_a_change_of_clocks(tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text(CGM + "a,2014-02-03 00:00,93,x\na,2014-02-03 06:00,95,x\n")
    morning_after = datetime(2026, 10, 25, 5, tzinfo=UTC)  # Berlin's clocks went back that night
    found = read(tmp_path, now=morning_after, zone=lambda _: "Europe/Berlin")
    first, last = (reading.measured_at for reading in found.cohort.readings)
    assert last.astimezone(UTC) - first.astimezone(UTC) == timedelta(hours=6)
    assert (first.isoformat()[-6:], last.isoformat()[-6:]) == ("+02:00", "+01:00")


def test_minutes_start_anew_for_each_woman(tmp_path: Path) -> None:
    found = replay(tmp_path, BP + "1,0,140,100,23\n1,30,135,95,23\n2,0,120,80,40\n2,30,121,81,40\n2,60,122,82,40\n")
    first, second = (patient.subject for patient in found.cohort.patients)
    of = {
        who: [LAST - one.measured_at for one in found.cohort.readings if one.subject == who] for who in (first, second)
    }
    assert of == {first: minutes(30, 0), second: minutes(60, 30, 0)}


def test_all_series_are_sent_in_order_of_time(tmp_path: Path) -> None:
    replay(tmp_path, CGM + "a,2015-02-03 03:42,93,x\na,2015-02-03 01:42,94,x\n", "one.csv")
    found = replay(tmp_path, BP + "1,0,140,100,23\n1,30,135,95,23\n", "two.csv")
    assert ages(found.cohort) == minutes(120, 30, 0, 0)


def test_the_same_id_in_two_files_is_two_subjects(tmp_path: Path) -> None:
    replay(tmp_path, BP + "1,0,140,100,23\n", "one.csv")
    found = replay(tmp_path, BP + "1,0,140,100,23\n", "two.csv")
    assert len({patient.subject for patient in found.cohort.patients}) == 2
    assert set(found.names) == {("one.csv", "1"), ("two.csv", "1")}
    assert len(set(found.cohort.things)) == 2


def test_a_slip_of_the_pen_is_sent_as_measured(tmp_path: Path) -> None:
    found = replay(tmp_path, BP + "1,0,12,80,23\n1,30,0,-4,23\n")
    assert [reading.values["systolic"].value for reading in found.cohort.readings] == [Decimal(12), Decimal(0)]
    assert found.no_readings == ()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("1,0,,,23", "systolic is empty"),
        ("1,0,140,,23", "diastolic is empty"),
        ("1,0,140", "diastolic is empty"),
        ("1,0,HI,100,23", "systolic is not a number"),
        ("1,0,NaN,100,23", "systolic is not a number"),
        ("1,0,1e999,100,23", "systolic is not a number"),
        ("1,0,140,inf,23", "diastolic is not a number"),
        ("1,Booking,120,70,23", "minutes is not a number of minutes, so when it was measured is unknown"),
        ("1,,120,70,23", "minutes is not a number of minutes, so when it was measured is unknown"),
        (",0,120,70,23", "subject is empty"),
    ],
)
def test_a_row_that_is_no_reading_is_reported_and_the_rest_goes_on(tmp_path: Path, row: str, why: str) -> None:
    found = replay(tmp_path, f"{BP}1,0,140,100,23\n{row}\n\n1,30,135,95,23\n", "bp/women.csv")
    assert [str(one) for one in found.no_readings] == [f"bp/women.csv:3: {why}"]
    assert [reading.source for reading in found.cohort.readings] == ["bp/women.csv:2", "bp/women.csv:5"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("a,,93,x", "local_time is empty"),
        ("a,yesterday,93,x", "local_time is not a time as the rest of the file writes it"),
        ("a,2014-02-30 03:00:00,93,x", "local_time is not a time as the rest of the file writes it"),
        ("a,2014-02-03 03:00:00,Low,x", "glucose_mg_dl is not a number"),
    ],
)
def test_a_row_without_a_time_is_reported(tmp_path: Path, row: str, why: str) -> None:
    found = replay(tmp_path, f"{CGM}a,2014-02-03 03:42:12,93,x\n{row}\n")
    assert [str(one) for one in found.no_readings] == [f"some.csv:3: {why}"]
    assert len(found.cohort.readings) == 1


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2014-02-03 23:50:00", "2014-02-04 00:20:00"),
        ("2014-02-03T23:50", "2014-02-04T00:20"),
        ("2014-02-03T23:50:00+02:00", "2014-02-03T22:20:00+00:00"),
        ("2014-02-03T23:50:00Z", "2014-02-04T00:20:00Z"),
        ("2/3/2014 11:50:00 PM", "2/4/2014 12:20:00 AM"),
        ("31/1/2014 23:50", "1/2/2014 00:20"),
        ("12/31/2014 23:50", "1/1/2015 00:20"),
    ],
)
def test_clocks_are_written_in_many_ways(tmp_path: Path, first: str, last: str) -> None:
    found = replay(tmp_path, f"{CGM}a,{first},93,x\na,{last},95,x\n")
    assert ages(found.cohort) == minutes(30, 0)


@pytest.mark.parametrize(
    ("dates", "days"),
    [(("5-2-2016", "5-3-2016"), 1), (("13-2-2016", "14-2-2016"), 1), (("2016-05-02", "2016-05-05"), 3)],
    ids=["month first", "day first", "year first"],
)
def test_dates_alone_are_a_day_apart(tmp_path: Path, dates: tuple[str, str], days: int) -> None:
    rows = "".join(f"1,{date},52.6,115.9,,22.6\n" for date in dates)
    assert ages(replay(tmp_path, WEIGHT + rows).cohort) == [timedelta(days=days), timedelta(0)]


@pytest.mark.parametrize("separator", [";", "\t"], ids=["semicolons", "tabs"])
def test_other_separators_and_a_byte_order_mark_are_read(tmp_path: Path, separator: str) -> None:
    text = "\ufeff" + (CGM + "a,2014-02-03 03:42:12,93,x\n").replace(",", separator).replace("\n", "\r\n")
    assert len(replay(tmp_path, text).cohort.readings) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "it is empty"),
        (b"some,thing,else\n1,2,3\n", "its columns are none that we know"),
        (b"exam,fhr_baseline_bpm\n1,120\n", "summaries of fetal exams, which hold no time of measurement"),
        (b"Id,ActivityHour,StepTotal\n1,2,3\n", "steps by the hour, which no programme judges"),
        (b"\xff\xfe\x00\x01", "it is not text in UTF-8"),
        (BP.encode(), "no row of it is a reading"),
        (BP.encode() + b"1,0,,,\n", "no row of it is a reading"),
        (BP.encode() + b"1," + b"9" * 200_000 + b",1,1\n", "it is no CSV (field larger than field limit (131072))"),
    ],
    ids=["empty", "unknown", "ctg", "steps", "binary", "head only", "no reading", "no CSV"],
)
def test_a_file_that_is_not_used_says_why(tmp_path: Path, text: bytes, why: str) -> None:
    (tmp_path / "odd.csv").write_bytes(text)
    found = replay(tmp_path, BP + "1,0,140,100,23\n")
    assert [str(one) for one in found.not_used] == [f"odd.csv: not used: {why}"]
    assert len(found.cohort.readings) == 1


def test_a_folder_without_csv_is_named(tmp_path: Path) -> None:
    (tmp_path / "gatt").mkdir()
    (tmp_path / "gatt" / "vectors.json").write_text("{}")
    found = replay(tmp_path, BP + "1,0,140,100,23\n", "bp/some.csv")
    assert [str(one) for one in found.not_used] == ["gatt/: not used: it holds no CSV file"]


def test_one_file_can_be_replayed_alone(tmp_path: Path) -> None:
    (tmp_path / "gatt").mkdir()
    file = tmp_path / "women.csv"
    file.write_text(BP + "1,0,140,100,23\n")
    found = read(file, now=NOW)
    assert found.cohort.readings[0].source == "women.csv:2"
    assert found.not_used == ()


def test_nothing_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoSuchData, match=r"There is no .*nowhere: give a folder with CSV files, or one such file\."):
        read(tmp_path / "nowhere", now=NOW)
    with pytest.raises(NoSuchData, match=r"can be replayed: \(no CSV file is there\)"):
        read(tmp_path, now=NOW)
    with pytest.raises(NoSuchData, match=r"can be replayed:\n  odd\.csv: not used: it is empty"):
        replay(tmp_path, "", "odd.csv")


def test_a_file_that_may_not_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    found = replay(tmp_path, BP + "1,0,140,100,23\n")
    assert [one.why for one in found.not_used if one.file == "folder.csv"] == ["it cannot be read (Is a directory)"]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300), st.sampled_from([CGM, BP, WEIGHT]))
def test_no_text_is_too_odd_to_be_read_or_reported(
    tmp_path_factory: pytest.TempPathFactory, text: str, head: str
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "odd.csv").write_text(head + text, encoding="utf-8", errors="replace", newline="")
    try:
        found = read(folder, now=NOW)
    except NoSuchData:
        return
    assert all(reading.measured_at <= LAST for reading in found.cohort.readings)


needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared measurements are not beside this project")


@needs_data
def test_the_shared_measurements_are_all_sent_or_reported() -> None:
    found = read(DATA, now=NOW)
    rows = {
        name: len((DATA / name).read_text().splitlines()) - 1
        for name in {reading.source.partition(":")[0] for reading in found.cohort.readings}
    }
    sent = Counter(reading.source.partition(":")[0] for reading in found.cohort.readings)
    reported = Counter(one.file for one in found.no_readings)
    assert rows == sent + reported
    assert {name.partition("/")[0] for name in rows} == {"bp", "cgm", "weight"}
    assert {one.file.partition("/")[0] for one in found.not_used} >= {"ctg", "fitness"}
    assert {
        max(one.measured_at for one in found.cohort.readings if one.subject == who.subject)
        for who in found.cohort.patients
    } == {LAST}
