"""What goes wrong with devices, clocks and people: each fault is messages of which the fate is known.

The times are minutes ago, so that a fault fits into any scene; the numbers are such as a person may have.
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from device_sim.bluetooth import CUFF_LOOSE, IMPROPER_POSITION, IRREGULAR_PULSE, MOVEMENT, NAN, relayed_pressure
from device_sim.errors import NoSuchScenario
from device_sim.payload import REPEAT, STORED, Fate, Message, Reading
from device_sim.scene import Scene

RESET_TO = datetime(2000, 1, 1, tzinfo=UTC)
"""Where a clock begins again when its battery was out."""

RUNS_AHEAD = timedelta(minutes=12)
TRAVELLED = timedelta(hours=5)
MINUTE = timedelta(minutes=1)


def _alone(scene: Scene, *readings: Reading, fates: tuple[Fate, ...] = (), boot: int = 1) -> Message:
    return Message(scene.device.thing, readings, boot=boot, fates=fates)


def _relayed(scene: Scene, body: bytes, fate: Fate = STORED) -> Message:
    return Message(scene.device.thing, body=body, format="gatt", fates=(fate,))


def _sittings(scene: Scene, *minutes_ago: int, ahead: timedelta = timedelta(0)) -> list[Reading]:
    """A pressure each, no two alike, as a clock that is `ahead` shows their times."""
    return [
        scene.pressure(scene.shown - ago * MINUTE + ahead, str(122 + number), str(78 + number % 5))
        for number, ago in enumerate(minutes_ago)
    ]


def clock_reset(scene: Scene) -> list[Message]:
    wrong = RESET_TO + 9 * MINUTE - scene.now
    lost = [
        Message(
            scene.device.thing,
            (scene.pressure(RESET_TO + minutes * MINUTE, "131", str(80 + minutes)),),
            boot=2,
            ahead=wrong,
            fates=(Fate("untrusted-clock"),),
        )
        for minutes in (4, 8)
    ]
    before, after = _sittings(scene, 300, 240), _sittings(scene, 5)
    return [*(_alone(scene, one) for one in before), *lost, *(_alone(scene, one, boot=2) for one in after)]


def drift(scene: Scene) -> list[Message]:
    told = _sittings(scene, 180, 60, 20, ahead=RUNS_AHEAD)
    untold = scene.pressure(scene.shown - 2 * MINUTE + RUNS_AHEAD, "136", "84")
    return [
        *(Message(scene.device.thing, (one,), boot=1, ahead=RUNS_AHEAD) for one in told),
        Message(scene.device.thing, (untold,), boot=1, tells_clock=False, fates=(Fate("future"),)),
    ]


def zone_change(scene: Scene) -> list[Message]:
    elsewhere = timezone((scene.shown.utcoffset() or timedelta(0)) + TRAVELLED)
    home = _sittings(scene, 400, 300, 200)
    again = [
        scene.pressure(one.measured_at.astimezone(elsewhere), *(str(value.value) for value in one.values.values()))
        for one in home
    ]
    new = scene.pressure((scene.shown - 10 * MINUTE).astimezone(elsewhere), "133", "85")
    return [
        *(_alone(scene, one) for one in home),
        *(_alone(scene, one, fates=(REPEAT,), boot=2) for one in again),
        _alone(scene, new, boot=2),
    ]


def daylight_saving(scene: Scene) -> list[Message]:
    """Local times without a zone around the hour that comes twice, as a cuff's Bluetooth gives them."""
    twice = _second_hour(scene)
    shown = [twice - 45 * MINUTE, twice + 15 * MINUTE, twice + 15 * MINUTE, twice + 75 * MINUTE]
    return [
        _relayed(
            scene,
            relayed_pressure(scene.device.serial, scene.now, at, 124 + number, 80, 95, pulse=70),
        )
        for number, at in enumerate(shown)
    ]


def _second_hour(scene: Scene) -> datetime:
    """The local time, without a zone, at which the hour that comes twice last began. Raises NoSuchScenario."""
    zone = ZoneInfo(scene.patient.time_zone)
    hour = scene.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    for _ in range(366 * 24):
        before = hour - timedelta(hours=1)
        if (before.astimezone(zone).utcoffset() or timedelta(0)) > (hour.astimezone(zone).utcoffset() or timedelta(0)):
            return hour.astimezone(zone).replace(tzinfo=None)
        hour = before
    raise NoSuchScenario(
        f"In {scene.patient.time_zone} no hour came twice this year: choose --zone Europe/Berlin, "
        "and enrol the subject there."
    )


def memory_dump(scene: Scene) -> list[Message]:
    kept = _sittings(scene, 500, 420, 340, 260, 180, 100)
    dumped = tuple(reversed(kept))
    return [*(_alone(scene, one) for one in kept), _alone(scene, *dumped, fates=(REPEAT,) * len(dumped), boot=2)]


def duplicate_path(scene: Scene) -> list[Message]:
    """Each measurement by the phone's Bluetooth, then as the maker's cloud writes it: with no mean, in epoch time."""
    messages = []
    for number, ago in enumerate((130, 65, 8)):
        at = scene.shown - ago * MINUTE
        systolic, diastolic, pulse = 126 + number, 79 + number, 66 + number
        said = {
            "serial": scene.device.serial,
            "readings": [{"sys": str(systolic), "dia": diastolic, "pul": pulse, "ts": round(at.timestamp())}],
        }
        relay = relayed_pressure(scene.device.serial, scene.now, at, systolic, diastolic, diastolic + 15, pulse=pulse)
        messages += [
            _relayed(scene, relay),
            Message(scene.device.thing, body=json.dumps(said).encode(), format="vendor/cellular-cuff", fates=(REPEAT,)),
        ]
    return messages


def second_user(scene: Scene) -> list[Message]:
    at = scene.shown - 90 * MINUTE
    return [
        _alone(scene, scene.pressure(at, "127", "81", slot=1)),
        _alone(scene, scene.pressure(at + 5 * MINUTE, "142", "91", slot=2)),
        _alone(scene, scene.pressure(at + 9 * MINUTE, "143", "90"), fates=(Fate("ambiguous-holder"),)),
    ]


def no_number(scene: Scene) -> list[Message]:
    at, serial = scene.shown - 30 * MINUTE, scene.device.serial
    return [
        _relayed(scene, relayed_pressure(serial, scene.now, at, NAN, NAN, NAN), Fate("bad-value")),
        _alone(scene, scene.pressure(at + MINUTE, "2047", "2047"), fates=(Fate("implausible"),)),
        _relayed(scene, relayed_pressure(serial, scene.now, at + 5 * MINUTE, 129, 83, NAN)),
    ]


def cuff_errors(scene: Scene) -> list[Message]:
    at, serial = scene.shown - 40 * MINUTE, scene.device.serial
    noted = {"movement": MOVEMENT, "cuff-loose": CUFF_LOOSE, "improper-position": IMPROPER_POSITION}
    relayed = [
        _relayed(
            scene,
            relayed_pressure(serial, scene.now, at + number * MINUTE, 151 + number, 95, 110, pulse=90, status=bit),
            Fate("stored", frozenset({flag})),
        )
        for number, (flag, bit) in enumerate((*noted.items(), ("irregular-pulse", IRREGULAR_PULSE)))
    ]
    said = scene.pressure(at + 10 * MINUTE, "149", "93", flags=("movement", "cuff-loose"))
    return [*relayed, _alone(scene, said, fates=(Fate("stored", frozenset({"movement", "cuff-loose"})),))]


def device_swap(scene: Scene) -> list[Message]:
    """The old cuff before and after it was replaced, the new one before and after it was handed over."""
    half_way = scene.shown - (scene.now - scene.half_way)
    before, after = half_way - 30 * MINUTE, half_way + 30 * MINUTE
    nobodys = (Fate("unknown-holder"),)
    return [
        _alone(scene, scene.pressure(before, "130", "84")),
        _alone(scene, scene.pressure(before, "118", "76", device=scene.successor), fates=nobodys),
        _alone(scene, scene.pressure(after, "131", "85", device=scene.successor)),
        _alone(scene, scene.pressure(after, "117", "75"), fates=nobodys),
    ]


def recall(scene: Scene) -> list[Message]:
    return [_alone(scene, one, fates=(Fate("recalled-device"),)) for one in _sittings(scene, 120, 60, 5)]


def unit_mix_up(scene: Scene) -> list[Message]:
    at = scene.shown - 50 * MINUTE
    said = [
        ("17.1", "10.9", "kPa", STORED),
        ("17.2", "11.0", "mm[Hg]", Fate("implausible")),
        ("128", "82", "kPa", Fate("implausible")),
        ("128", "82", "", Fate("bad-unit")),
        ("129", "82", "mmHg", Fate("bad-unit")),
        ("130", "82", "mmol/L", Fate("bad-unit")),
    ]
    return [
        _alone(scene, scene.pressure(at + number * MINUTE, systolic, diastolic, unit), fates=(fate,))
        for number, (systolic, diastolic, unit, fate) in enumerate(said)
    ]


def _heart(scene: Scene, kind: str, at: datetime, rate: int) -> Reading:
    return scene.reading(kind, at, {"rate": (str(rate), "/min")})


def maternal_confusion(scene: Scene) -> list[Message]:
    at = scene.shown - 6 * MINUTE
    confused = Fate("stored", frozenset({"maternal-confusion"}))
    sittings = [(142, 84, STORED), (83, 85, confused), (144, 86, STORED)]
    return [
        _alone(
            scene,
            _heart(scene, "fetal-heart-rate", at + number * MINUTE, child),
            _heart(scene, "heart-rate", at + number * MINUTE, mother),
            fates=(fate, STORED),
        )
        for number, (child, mother, fate) in enumerate(sittings)
    ]


def signal_loss(scene: Scene) -> list[Message]:
    at = scene.shown - 6 * MINUTE
    lost = Fate("stored", frozenset({"signal-loss"}))
    readings = [
        _heart(scene, "fetal-heart-rate", at + number * MINUTE, rate) for number, rate in enumerate((141, 0, 139))
    ]
    return [_alone(scene, *readings, fates=(STORED, lost, STORED))]
