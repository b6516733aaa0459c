"""The glucose statistics against iglu, which is others' work, on simulated sensors and on real ones where present."""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import iglu_python
import pandas as pd
import pytest

from device_sim.vitals import GRID, TYPE_1, TYPE_2, GlucoseTraits, dice, glucose, sensor
from domain.derived import PREGNANCY, USUAL, Bands, Period, derive
from domain.units import convert
from tests.builders import an_observation

UTC_ZONE = ZoneInfo("UTC")
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "cgm" / "hall2018_2_subjects.csv"
START = datetime(2026, 11, 9, tzinfo=UTC)
FORTNIGHT = timedelta(days=14)
SHOWN = 0.0501  # to a tenth


def simulated(seed: int, traits: GlucoseTraits, lost: float) -> list[tuple[datetime, int]]:
    """A fortnight of a sensor that shows whole mg/dL and loses that share of its readings."""
    chance = dice(seed, "oracle")
    blood = glucose(chance, traits, START, START + FORTNIGHT - GRID)
    return [(at, round(level * 18.0156)) for at, level in sensor(chance, blood) if chance.random() >= lost]


def agrees(shown: Sequence[tuple[datetime, int]], period: Period, bands: Bands) -> None:
    readings = [
        an_observation(
            kind="cgm",
            measured_at=at,
            values={"glucose": convert(Decimal(value), "mg/dL", "mmol/L")},
            id=at.isoformat(),
        )
        for at, value in shown
    ]
    found = derive("glucose-statistics", readings, period, UTC_ZONE, bands)
    assert found is not None
    ours = {name: float(value) for name, value in found.values.items()}
    theirs = pd.Series([value for _, value in shown])
    low, high = (70, 180) if bands is USUAL else (63, 140)
    assert found.count == len(theirs)
    assert ours["mean"] == pytest.approx(iglu_python.mean_glu(theirs) / 18.0156, abs=0.00501)
    assert ours["gmi"] == pytest.approx(iglu_python.gmi(theirs), abs=SHOWN)
    assert ours["variation"] == pytest.approx(iglu_python.cv_glu(theirs), abs=SHOWN)
    below = iglu_python.below_percent(theirs, targets_below=[54, low])
    above = iglu_python.above_percent(theirs, targets_above=[high, 250])
    within = iglu_python.in_range_percent(theirs, target_ranges=[[low, high]])
    assert ours["very-low"] == pytest.approx(below["below_54"], abs=SHOWN)
    assert ours["low"] == pytest.approx(below[f"below_{low}"] - below["below_54"], abs=SHOWN)
    assert ours["in-range"] == pytest.approx(within[f"in_range_{low}_{high}"], abs=SHOWN)
    very_high = above["above_250"] if bands is USUAL else 0
    assert ours["high"] == pytest.approx(above[f"above_{high}"] - very_high, abs=SHOWN)
    assert ours.get("very-high", 0) == pytest.approx(very_high, abs=SHOWN)


@pytest.mark.parametrize("bands", [USUAL, PREGNANCY], ids=["usual", "pregnancy"])
@pytest.mark.parametrize(("seed", "traits"), [(1, TYPE_1), (2, TYPE_1), (3, TYPE_2)], ids=["one", "two", "type 2"])
def test_f10_simulated_sensors(seed: int, traits: GlucoseTraits, bands: Bands) -> None:
    shown = simulated(seed, traits, lost=0.1)
    agrees(shown, Period(START, START + FORTNIGHT - timedelta(milliseconds=1)), bands)


@pytest.mark.skipif(not REAL.exists(), reason="the real recordings are not here")
@pytest.mark.parametrize("bands", [USUAL, PREGNANCY], ids=["usual", "pregnancy"])
def test_f10_real_sensors(bands: Bands) -> None:
    with REAL.open(encoding="utf-8") as file:
        rows = [(row["subject"], row["local_time"], int(row["glucose_mg_dl"])) for row in csv.DictReader(file)]
    worn = 0
    for subject in sorted({subject for subject, _, _ in rows}):
        shown = [(datetime.fromisoformat(at).replace(tzinfo=UTC), value) for who, at, value in rows if who == subject]
        for session in sessions(shown):
            agrees(session, Period(session[0][0], session[-1][0]), bands)
            worn += 1
    assert worn >= 2


def sessions(shown: list[tuple[datetime, int]]) -> list[list[tuple[datetime, int]]]:
    """Each sensor that was worn for a day or more, without an hour's pause."""
    found: list[list[tuple[datetime, int]]] = [[]]
    for one in shown:
        if found[-1] and one[0] - found[-1][-1][0] > timedelta(hours=1):
            found.append([])
        found[-1].append(one)
    return [one for one in found if one[-1][0] - one[0][0] > timedelta(days=1)]


def test_f10_how_much_of_the_period_the_sensor_measured() -> None:
    shown = simulated(4, TYPE_1, lost=0.0)
    kept = [one for number, one in enumerate(shown) if not 500 <= number < 1300]
    theirs = iglu_python.active_percent(
        pd.DataFrame({"id": "s", "time": [at for at, _ in kept], "gl": [value for _, value in kept]})
    )
    period = Period(START, START + FORTNIGHT - timedelta(milliseconds=1))
    readings = [an_observation(kind="cgm", measured_at=at, values={"glucose": Decimal(6)}) for at, _ in kept]
    ours = derive("glucose-statistics", readings, period, UTC_ZONE)
    assert ours is not None
    assert float(ours.values["active"]) == pytest.approx(theirs["active_percent"].iloc[0], abs=0.1)
