"""Whatever devices of any format send: no error but a refusal, and published = stored + quarantined + repeats.

`make fuzz` sends a million payloads (PAYLOADS); five thousand run with the rest. A failing `seed` plays the same again.
"""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.catalogue import profiles
from domain.reading import Arrival
from functions.ingest.service import Ingest
from tests.builders import NOW, a_device, a_message, a_pressure, a_reading, a_subject, an_arrival
from tests.fakes import FakeArchive, FakeBacklog, FakeObservations, FakeQuarantine, FakeRegistry, FakeStatus

Json: TypeAlias = Any

PAYLOADS = 50
"""In one example."""

AS_MANY_AS_ASKED = (
    settings(max_examples=int(os.environ["PAYLOADS"]) // PAYLOADS) if "PAYLOADS" in os.environ else settings()
)

THING = "PHONE-1"
DEVICES = {
    "BP-1": "tonometer",
    "BP-2": "tonometer-shared",
    "GL-1": "glucometer",
    "CGM-1": "cgm",
    "FHR-1": "fetal-monitor",
    "SC-1": "scale",
    "OX-1": "oximeter",
    "TH-1": "thermometer",
    "BR-1": "bracelet",
}

READINGS = [
    a_message(a_reading(), a_reading(values=a_pressure(181, 97)), device="BP-1", sent_at=NOW.isoformat()),
    a_message(a_reading(slot=2, flags=["movement"], context={"posture": "sitting"}), device="BP-2", boot=1, sequence=4),
    a_message(a_reading(kind="glucose", values={"glucose": {"value": 99, "unit": "mg/dL"}}, record=4), device="GL-1"),
    a_message(a_reading(kind="cgm", values={"glucose": {"value": 22.203, "unit": "mmol/L"}}), device="CGM-1"),
    a_message(a_reading(kind="fetal-heart-rate", values={"rate": {"value": 0, "unit": "/min"}}), device="FHR-1"),
    a_message(a_reading(kind="weight", values={"weight": {"value": 154, "unit": "[lb_av]"}}), device="SC-1"),
]
GATT = [
    ("BP-1", "2A35", "1E780050005D00EA070B160C1E004800010100"),
    ("BP-1", "2A35", "04780050005D004800"),
    ("BP-2", "2A35", "1FA0F06AF07CF0EA070B160B1E004800021F00"),
    ("GL-1", "2A18", "022A00EA070B160C000078B012"),
    ("GL-1", "2A18", "1F2B00EA070B160B00000A0037C0F10000"),
    ("GL-1", "2A34", "022A0003"),
    ("GL-1", "2A34", "FF2B00010120B003150A003C0110C041F0"),
    ("CGM-1", "2AA7", "06000C100600"),
    ("CGM-1", "2AA7", "06000C10060006000D100B00"),
    ("CGM-1", "2AA7", "0DE30C10060000000001005900"),
    ("SC-1", "2A9D", "00B036"),
    ("SC-1", "2A9D", "0F6C1DEA070B160C0000010A01AE02"),
    ("OX-1", "2A5E", "0F61004000EA070B160C00000000000000D2F0"),
    ("OX-1", "2A5F", "0060004600"),
    ("OX-1", "2A5F", "1F600046006000460060004600010000000064F0"),
    ("TH-1", "2A1C", "006F0100FF"),
    ("TH-1", "2A1C", "07DA0300FFEA070B160C000006"),
    ("BR-1", "2A37", "165000048003"),
    ("BR-1", "2A37", "1F5000100000040004"),
]


def _omh(name: str, version: str, **body: Json) -> Json:
    header = {
        "id": "123e4567-e89b-12d3-a456-426655440000",
        "creation_date_time": "2026-11-22T08:00:00Z",
        "schema_id": {"namespace": "omh", "name": name, "version": version},
        "user_id": "anybody",
    }
    return {"header": header, "body": {"effective_time_frame": {"date_time": "2026-11-22T08:00:00Z"}} | body}


HOUR = {"start_date_time": "2026-11-22T07:00:00Z", "duration": {"value": 1, "unit": "h"}}
PRESSURE = {
    "systolic_blood_pressure": {"value": 120, "unit": "mmHg"},
    "diastolic_blood_pressure": {"value": 80, "unit": "mmHg"},
}
SUGAR: Json = {"blood_glucose": {"value": 95, "unit": "mg/dL"}}
STEPS: Json = {"step_count": {"value": 900, "unit": "steps"}}
OMH = [
    _omh(name, version, **said)
    for name, versions, said in [
        ("blood-pressure", ("1.0", "2.0", "3.1", "4.0"), PRESSURE),
        ("blood-glucose", ("1.0",), SUGAR | {"blood_specimen_type": "whole blood"}),
        ("blood-glucose", ("2.0", "3.1", "4.0"), SUGAR | {"specimen_source": "capillary blood"}),
        ("heart-rate", ("1.0", "2.0", "3.0"), {"heart_rate": {"value": 61, "unit": "beats/min"}}),
        ("body-weight", ("1.0", "2.0", "3.0"), {"body_weight": {"value": 154.3, "unit": "lb"}}),
        ("body-temperature", ("1.0", "2.0", "3.0", "4.0"), {"body_temperature": {"value": 98.6, "unit": "F"}}),
        ("oxygen-saturation", ("1.0", "2.0", "3.1"), {"oxygen_saturation": {"value": 96, "unit": "%"}}),
        ("step-count", ("1.0", "2.0"), STEPS | {"step_count": 900, "effective_time_frame": {"time_interval": HOUR}}),
        ("step-count", ("3.0",), STEPS | {"effective_time_frame": {"time_interval": HOUR}}),
    ]
    for version in versions
]
IEEE: Json = {
    "uuid": "123e4567-e89b-12d3-a456-426655440000",
    "source_creation_date_time": "2026-11-22T08:00:00Z",
    "schema_id": {"namespace": "omh", "name": "blood-pressure", "version": "4.0"},
    "modality": "sensed",
}
OMH.append(_omh("blood-pressure", "4.0", **PRESSURE) | {"header": IEEE})
EPOCH = round(NOW.timestamp())
MEASURES = [{"type": 10, "value": 1220, "unit": -1}, {"type": 9, "value": 78, "unit": 0}]
GROUP = {"attrib": 0, "category": 1, "date": EPOCH, "measures": MEASURES}
IHEALTH = {"HP": "122", "LP": 78, "HR": 66, "IsArr": 0, "MDate": EPOCH, "TimeZone": "+0000", "DataSource": "Manual"}
VENDORS = {
    "withings": ("BP-3", {"body": {"measuregrps": [GROUP, GROUP | {"date": EPOCH - 60}]}}),
    "ihealth-bp": ("BP-4", {"BPUnit": 0, "BPDataList": [IHEALTH]}),
    "cellular-cuff": ("BP-5", {"sys": 122, "dia": "78", "pul": 66, "ts": str(EPOCH), "user": "1", "unit": "mm[Hg]"}),
}
STATUS = {
    "format": "pma.status/1",
    "device": "BP-1",
    "sent_at": NOW.isoformat(),
    "battery": {"value": 80, "unit": "%"},
    "firmware": "1.4.2",
    "clock": {"device": "2026-11-22T12:00:00", "gateway": NOW.isoformat()},
}


def _gatt(device: str, characteristic: str, value: str) -> Json:
    said = {"format": "pma.gatt/1", "device": device, "characteristic": characteristic, "value": value}
    return said | {"received_at": NOW.isoformat(), "session_start": "2026-11-22T08:00:00Z"}


SAMPLES: list[tuple[str, Json]] = [
    *(("readings", one) for one in READINGS),
    *(("gatt", _gatt(*one)) for one in GATT),
    *(("omh", one) for one in OMH),
    ("omh", OMH),
    *((f"vendor/{profile}", said) for profile, (_, said) in VENDORS.items()),
    ("status", STATUS),
    ("gatt", _gatt("BP-1", "2A35", "00FF07FF07FF07")),  # no number at all
    ("gatt", _gatt("CGM-1", "2AA7", "08000C100600FFFF")),  # a check that does not fit
    ("vendor/nobodys", {"anything": 1}),
    ("nothing", {}),
]
READABLE = len(READINGS) + len(GATT) + len(OMH) + 1 + len(VENDORS)

STRANGE: list[Json] = [
    None, True, 0, -1, 1e-9, 10**400, 2047, "", "NaN", "2026-13-45T99:99:99Z", "2000-01-01T00:00:00Z", "0000-00-00",
    "9999-12-31T23:59:59-23:59", "2026-11-22T08:59:00", "2027-01-01T00:00:00Z", "kPa", "mg/dL", "{}", "\ud800",
    "я" * 70, [], {}, [[]], {"value": {}}, {"value": "1", "unit": ""}, {"value": 1, "unit": "mm[Hg]"}, "A" * 5000,
]  # fmt: skip


def _strangely(said: Json, random: Random) -> Json:
    """`said` with one part of it left out, doubled or replaced, wherever in it."""
    if isinstance(said, dict) and said:
        name = random.choice(list(said))
        chance = random.random()
        if chance < 0.2:
            return {key: value for key, value in said.items() if key != name}
        if chance < 0.3:
            return {**said, random.choice(["value", "unit", "device", "subject", "slot", "record"]): said[name]}
        return {**said, name: _strangely(said[name], random)}
    if isinstance(said, list) and said:
        where = random.randrange(len(said))
        if random.random() < 0.2:
            return [*said, *said[where:]]
        return [*said[:where], _strangely(said[where], random), *said[where + 1 :]]
    if isinstance(said, int | float) and not isinstance(said, bool) and random.random() < 0.5:
        return said + random.randint(-50, 50)
    if isinstance(said, str) and said and random.random() < 0.4:
        where = random.randrange(len(said))
        return said[:where] + random.choice("0F9-:.Zя ") + said[where + 1 :]
    return random.choice(STRANGE)


def _bytes_of(said: Json) -> bytes:
    return json.dumps(said).encode("utf-8", "surrogatepass")


def _broken(payload: bytes, random: Random) -> bytes:
    ways: list[Callable[[], bytes]] = [
        lambda: payload[: random.randrange(len(payload) + 1)],
        lambda: payload + payload[-random.randrange(1, 9) :],
        lambda: b"\xef\xbb\xbf" + payload,
        lambda: payload.replace(b"1", b"1e400", 1),
        lambda: payload.replace(b'"', b"'", 2),
        lambda: b"[" * 40 + payload,
        lambda: bytes(byte ^ (1 << random.randrange(8)) if random.random() < 0.02 else byte for byte in payload),
        lambda: random.randbytes(random.randrange(64)),
    ]
    return random.choice(ways)()


def a_payload(random: Random, number: int) -> Arrival:
    """Something that a device may send, in order, out of order or broken."""
    topic, said = random.choice(SAMPLES)
    for _ in range(random.choice([0, 0, 1, 1, 2, 4])):
        said = _strangely(said, random)
    payload = _bytes_of(said)
    if random.random() < 0.2:
        payload = _broken(payload, random)
    thing = _thing(topic)
    return an_arrival(payload, id=f"m-{number}", thing=thing, topic=f"dt/pma/{thing}/{topic}")


def _thing(topic: str) -> str:
    """Who publishes to it: the phone, or the vendor's device itself."""
    return VENDORS.get(topic.partition("/")[2], (THING, {}))[0]


def _ingest() -> Ingest:
    devices = [a_device(serial=serial, profile=profile, gateway=THING) for serial, profile in DEVICES.items()]
    devices += [a_device(serial=serial, profile=profile) for profile, (serial, _) in VENDORS.items()]
    return Ingest(
        registry=FakeRegistry(enrolled=[a_subject()], owned=[*devices, a_device(serial=THING, profile="phone")]),
        observations=FakeObservations(),
        quarantine=FakeQuarantine(),
        archive=FakeArchive(),
        backlog=FakeBacklog(),
        status=FakeStatus(),
        profiles=profiles(),
        kept_for=timedelta(days=400),
    )


@AS_MANY_AS_ASKED
@given(st.integers(0, 2**63))
def test_r17_f2_whatever_is_sent_is_stored_or_set_aside_or_a_repeat(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    sent = [a_payload(random, number) for number in range(PAYLOADS)]
    ingest = _ingest()
    observations, quarantine = ingest.observations, ingest.quarantine
    assert isinstance(observations, FakeObservations)
    assert isinstance(quarantine, FakeQuarantine)
    stored = aside = 0
    for batch in (sent[:30], sent[30:]):
        outcome = ingest(batch, now=NOW, first_inbox=False)
        counts = outcome.counts
        assert outcome.failed == {}
        assert counts["readings"] == counts["stored"] + counts["quarantined"] + counts["repeated"]
        stored += counts["stored"]
        aside += counts["quarantined"]
    assert (len(observations.rows), len(quarantine.rows)) == (stored, aside)
    again = ingest(sent, now=NOW, first_inbox=False).counts
    assert (again["stored"], again["quarantined"]) == (0, 0)


def test_c28_the_samples_themselves_are_read() -> None:
    """Each profile that maps a vendor's JSON meets a message of that vendor; nor would the fuzz get past the door."""
    assert set(VENDORS) == {name for name, one in profiles().items() if one.mapping is not None}
    ingest = _ingest()
    for number, (topic, said) in enumerate(SAMPLES[:READABLE]):
        thing = _thing(topic)
        arrival = an_arrival(_bytes_of(said), id=f"m-{number}", thing=thing, topic=f"dt/pma/{thing}/{topic}")
        ingest([arrival], now=NOW, first_inbox=True)
    quarantine = ingest.quarantine
    assert isinstance(quarantine, FakeQuarantine)
    assert [one.detail for one in quarantine.rows.values()] == []
