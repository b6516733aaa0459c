"""Vendors' JSON, read as a profile says: what is found, what is refused, and what no message can break."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.catalogue import profiles
from domain.errors import Malformed, RejectedReading, TooLarge, UnknownFormat
from domain.formats import decode
from domain.mapping import Mapping, decode_vendor, number
from domain.plausibility import canonical_values
from domain.profile import DeviceProfile
from domain.reading import Arrival, Message, Unreadable, context, origin, read
from tests.builders import NOW, SERIAL, an_arrival

AT = round(NOW.timestamp())


def sent(payload: Any, profile: str) -> Arrival:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return an_arrival(body, topic=f"dt/pma/{SERIAL}/vendor/{profile}")


def decoded(payload: Any, profile: str) -> Message:
    return decode(sent(payload, profile), profiles())


def values(said: Any, profile: str) -> dict[str, str]:
    """Its values in canonical units. Raises the refusal that it would meet."""
    if isinstance(said, Unreadable):
        raise said.refusal
    reading = read(said)
    context(said)
    origin(said)
    found = canonical_values(reading.kind, said["values"], profiles()[profile].measures[reading.kind])
    return {name: str(value) for name, value in found.items()}


def withings(*measures: tuple[int, int, int], **changes: Any) -> dict[str, Any]:
    group = {
        "grpid": 1, "attrib": 0, "date": AT, "created": AT, "category": 1, "deviceid": "d",
        "measures": [{"type": kind, "value": value, "unit": unit} for kind, value, unit in measures],
    }  # fmt: skip
    return {"status": 0, "body": {"updatetime": AT, "timezone": "Europe/Paris", "measuregrps": [group | changes]}}


PRESSURE = ((10, 1220, -1), (9, 78, 0), (11, 66, 0))


@pytest.mark.parametrize(
    ("message", "kind", "expected"),
    [
        (withings(*PRESSURE), "blood-pressure", {"systolic": "122", "diastolic": "78", "pulse": "66"}),
        (withings(*PRESSURE[:2]), "blood-pressure", {"systolic": "122", "diastolic": "78"}),
        (withings((1, 65750, -3), (6, 210, -1)), "weight", {"weight": "65.75"}),
        (withings((54, 97, 0), (11, 66, 0)), "oxygen-saturation", {"saturation": "97", "pulse": "66"}),
        (withings((71, 366, -1)), "temperature", {"temperature": "36.6"}),
    ],
    ids=["pressure and pulse", "pressure", "weight", "saturation", "temperature"],
)
def test_f20_withings(message: dict[str, Any], kind: str, expected: dict[str, str]) -> None:
    (said,) = decoded(message, "withings").readings
    assert (said["kind"], said["measured_at"]) == (kind, "2026-11-22T09:00:00+00:00")
    assert values(said, "withings") == expected


@pytest.mark.parametrize("measures", [PRESSURE, ((1, 657, -1),), ((54, 97, 0),), ((71, 366, -1),)])
@pytest.mark.parametrize(("attrib", "expected"), [(0, "device"), (2, "manual"), (4, "manual"), (5, "device")])
def test_f16_what_withings_says_of_how_it_was_measured(measures: Any, attrib: int, expected: str) -> None:
    (said,) = decoded(withings(*measures, attrib=attrib), "withings").readings
    assert origin(said) == expected


def test_c26_what_may_be_of_somebody_else_in_the_house_is_set_aside() -> None:
    (said,) = decoded(withings(*PRESSURE, attrib=1), "withings").readings
    assert isinstance(said, Unreadable)


def test_what_somebody_wishes_to_weigh_is_no_reading() -> None:
    with pytest.raises(Malformed, match="nothing where"):
        decoded(withings((1, 60, 0), category=2), "withings")


def ihealth(**changes: Any) -> dict[str, Any]:
    local = AT + 4 * 3600  # what a clock in Samara shows, as if it were UTC
    one = {"DataID": "x", "HP": 122, "LP": 78, "HR": 66, "IsArr": 0, "MDate": local, "TimeZone": "+0400"}
    return {"BPUnit": 0, "BPDataList": [one | {"DataSource": "FromDevice"} | changes]}


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("+0400", "2026-11-22T13:00:00+04:00"),
        ("+04:00", "2026-11-22T13:00:00+04:00"),
        ("+04", "2026-11-22T13:00:00+04:00"),
        (400, "2026-11-22T13:00:00+04:00"),
        (-330, "2026-11-22T13:00:00-03:30"),
        ("-0330", "2026-11-22T13:00:00-03:30"),
        (0, "2026-11-22T13:00:00+00:00"),
    ],
)
def test_c25_ihealth_writes_local_times_as_if_they_were_utc(zone: Any, shown: str) -> None:
    (said,) = decoded(ihealth(TimeZone=zone), "ihealth-bp").readings
    assert said["measured_at"] == shown


@pytest.mark.parametrize("zone", [None, "Samara", "0400", 99999, 10**30, "+9900"], ids=str)
def test_a_zone_that_is_none_is_refused(zone: Any) -> None:
    (said,) = decoded(ihealth(TimeZone=zone), "ihealth-bp").readings
    assert isinstance(said, Unreadable)
    assert "measured_at" in said.refusal.detail


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (ihealth(), {"systolic": "122", "diastolic": "78", "pulse": "66"}),
        (ihealth(HP="122", LP=" 78 ", HR="66.0"), {"systolic": "122", "diastolic": "78", "pulse": "66"}),
        (ihealth(HP=16, LP=10) | {"BPUnit": 1}, {"systolic": "120.009852", "diastolic": "75.006158", "pulse": "66"}),
    ],
    ids=["numbers", "numbers as text", "kilopascals"],
)
def test_r18_ihealth_has_its_unit_beside_the_list(message: dict[str, Any], expected: dict[str, str]) -> None:
    (said,) = decoded(message, "ihealth-bp").readings
    assert values(said, "ihealth-bp") == expected


@pytest.mark.parametrize(("said_of_it", "noted"), [(-1, []), (0, []), (1, []), (2, ["irregular-pulse"]), (3, [])])
def test_f20_of_a_pulse_ihealth_says_1_for_normal_and_2_for_arrhythmia(said_of_it: int, noted: list[str]) -> None:
    (said,) = decoded(ihealth(IsArr=said_of_it), "ihealth-bp").readings
    assert said["flags"] == noted


def test_r18_a_unit_that_the_profile_does_not_know_is_none() -> None:
    (said,) = decoded(ihealth() | {"BPUnit": 7}, "ihealth-bp").readings
    with pytest.raises(RejectedReading) as refusal:
        values(said, "ihealth-bp")
    assert refusal.value.reason == "bad-unit"


def test_one_message_is_many_readings_and_a_bad_one_is_refused_alone() -> None:
    good, bad = ihealth()["BPDataList"][0], ihealth(TimeZone=None, IsArr=2)["BPDataList"][0]
    message = decoded({"BPUnit": 0, "BPDataList": [good, bad, good | {"IsArr": 2}]}, "ihealth-bp")
    assert [isinstance(one, Unreadable) for one in message.readings] == [False, True, False]
    assert message.readings[2]["flags"] == ["irregular-pulse"]
    assert message.alone == (sent({"BPUnit": 0, "BPDataList": [good, bad, good | {"IsArr": 2}]}, "x").payload,) * 3


CUFF = {"imei": "351756051523999", "sys": "122", "dia": "78", "pul": "66", "ts": str(AT), "user": "2"}


def test_f16_a_cellular_cuff_speaks_for_itself_and_tells_two_people_apart() -> None:
    message = decoded(b"\xef\xbb\xbf" + json.dumps(CUFF | {"ihb": "1"}).encode(), "cellular-cuff")
    (said,) = message.readings
    assert (message.device, said["slot"], said["flags"]) == ("351756051523999", 2, ["irregular-pulse"])
    assert values(said, "cellular-cuff") == {"systolic": "122", "diastolic": "78", "pulse": "66"}


def test_a_local_time_is_joined_of_date_and_time_and_has_no_zone() -> None:
    said = {name: value for name, value in CUFF.items() if name != "ts"} | {"date": "2026-11-22", "time": "13:00:00"}
    (reading,) = decoded(said, "cellular-cuff").readings
    assert read(reading).device_time == datetime(2026, 11, 22, 13, 0)  # noqa: DTZ001 - it shows no zone


@pytest.mark.parametrize("topic", ["vendor/mood", "vendor/tonometer", "vendor"])
def test_a_profile_that_reads_no_vendors_message(topic: str) -> None:
    with pytest.raises(UnknownFormat):
        decode(an_arrival(topic=f"dt/pma/{SERIAL}/{topic}"), profiles())


def a_mapping(**changes: Any) -> dict[str, Any]:
    reading = {
        "kind": "weight",
        "measured_at": "item.at",
        "values": {"weight": {"value": "item.kg", "unit": "kg"}},
    }
    return {"readings": [reading | changes]}


@pytest.mark.parametrize(
    ("expression", "given", "found"),
    [
        ("decimal(item.x)", "12.5", Decimal("12.5")),
        ("decimal(item.x)", 12, Decimal(12)),
        ("scaled(item.x, `-1`)", 125, Decimal("12.5")),
        ("instant(item.x)", AT, "2026-11-22T09:00:00+00:00"),
        ("instant(item.x)", f"{AT}.5", "2026-11-22T09:00:00.500000+00:00"),
        ("instant_ms(item.x)", AT * 1000, "2026-11-22T09:00:00+00:00"),
        ("local_instant(item.x)", AT, "2026-11-22T09:00:00"),
        ("local(item.x, '%d.%m.%y %H:%M')", "22.11.26 09:00", "2026-11-22T09:00:00"),
        ("at_offset('2026-11-22T09:00:00', item.x)", "-0130", "2026-11-22T09:00:00-01:30"),
        ('lookup(item.x, `{"3": "c"}`)', 3, "c"),
        ('lookup(item.x, `{"3": "c"}`)', "3", "c"),
        ('lookup(item.x, `{"3": "c"}`)', 4, None),
    ],
)
def test_what_the_functions_find(expression: str, given: Any, found: Any) -> None:
    mapping = Mapping.model_validate(a_mapping(context={"seen": {"value": expression}}))
    message = decode_vendor(sent({"x": given, "kg": 80, "at": "2026-11-22T09:00:00Z"}, "x"), mapping)
    assert message.readings[0]["context"].get("seen") == found


@pytest.mark.parametrize(
    ("expression", "given"),
    [
        ("decimal(item.x)", "12,5"),
        ("decimal(item.x)", True),
        ("decimal(item.x)", None),
        ("decimal(item.x)", 1e30),
        ("scaled(item.x, `90`)", 1),
        ("instant(item.x)", "now"),
        ("instant(item.x)", 10**17),
        ("local(item.x, '%d.%m.%y')", "22.11"),
        ("local(item.x, '%d.%m.%y')", 22),
        ("at_offset(item.x, '+0100')", "noon"),
        ("lookup(item.x, item.x)", "3"),
        ("lookup(item.x, `{}`)", ["3"]),
        ("lookup(item.x, `{}`)", 1e-300),
        ("no_such_function(item.x)", 1),
        ("length(item.x)", 3),
    ],
)
def test_what_does_not_fit_is_refused_by_the_name_of_what_was_looked_for(expression: str, given: Any) -> None:
    mapping = Mapping.model_validate(a_mapping(context={"seen": {"value": expression}}))
    (said,) = decode_vendor(sent({"x": given, "kg": 80, "at": "2026-11-22T09:00:00Z"}, "x"), mapping).readings
    assert isinstance(said, Unreadable)
    assert said.refusal.detail == "what context/seen of the profile looks for is not as expected"


def test_a_circumstance_may_be_needed() -> None:
    mapping = Mapping.model_validate(a_mapping(context={"site": {"value": "item.site", "required": True}}))
    (said,) = decode_vendor(sent({"kg": 80, "at": "2026-11-22T09:00:00Z"}, "x"), mapping).readings
    assert isinstance(said, Unreadable)
    assert said.refusal.detail == "context/site is missing"


@pytest.mark.parametrize(
    ("payload", "items", "error"),
    [
        ({"list": []}, "list", Malformed),
        ({}, "list", Malformed),
        ({"list": [{}] * 501}, "list", TooLarge),
        ({"x": 1}, "length(x)", Malformed),
        (b"{", "@", Malformed),
    ],
    ids=["empty", "absent", "many", "an expression that does not fit", "torn"],
)
def test_a_message_without_end_or_sense(payload: Any, items: str, error: type[RejectedReading]) -> None:
    with pytest.raises(error):
        decode_vendor(sent(payload, "x"), Mapping.model_validate(a_mapping() | {"items": items}))


def test_r33_items_that_are_many_readings_each_have_an_end() -> None:
    twice = Mapping.model_validate({"items": "list", "readings": a_mapping()["readings"] * 2})
    with pytest.raises(TooLarge):
        decode_vendor(sent({"list": [{"kg": 1}] * 300}, "x"), twice)


def test_an_item_that_is_no_object_is_refused_alone() -> None:
    (said,) = decode_vendor(sent([7], "x"), Mapping.model_validate(a_mapping())).readings
    assert (said.said, said.refusal.detail) == (
        {"item": 7}, "an item holds no reading that its profile knows",
    )  # fmt: skip


@pytest.mark.parametrize("device", [7, "B P"])
def test_r9_a_device_that_is_no_serial_is_refused(device: Any) -> None:
    with pytest.raises(Malformed, match="serial"):
        decode_vendor(sent({"sn": device}, "x"), Mapping.model_validate(a_mapping() | {"device": "sn"}))


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (a_mapping(kind="mood"), "mood is no kind"),
        (a_mapping(values={"systolic": {"value": "x", "unit": "kg"}}), "weight has the values weight"),
        (a_mapping(values={"weight": {"value": "x"}}), "either unit or unit_at"),
        (a_mapping(values={"weight": {"value": "x", "unit": "kg", "unit_at": "u"}}), "either unit or unit_at"),
        (a_mapping(measured_at="item.["), "no JMESPath expression"),
        (a_mapping(flags=[{"flag": "two words", "when": "x"}]), "a code"),
        ({"readings": []}, "at least 1"),
    ],
)
def test_a_mapping_that_cannot_be(mapping: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Mapping.model_validate(mapping)


def test_a_profile_measures_what_its_mapping_makes() -> None:
    profile = profiles()["thermometer"].model_dump(mode="json", by_alias=True) | {"mapping": a_mapping()}
    with pytest.raises(ValidationError, match="readings of weight, which it does not measure"):
        DeviceProfile.model_validate(profile)


def test_a_literal_of_an_expression_is_a_number() -> None:
    assert number(3) == Decimal(3)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
EXAMPLES = {"withings": withings(*PRESSURE), "ihealth-bp": ihealth(), "cellular-cuff": CUFF}


@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_r17_whatever_stands_in_a_vendors_message_is_read_or_refused(profile: str, data: st.DataObject) -> None:
    message = json.loads(json.dumps(EXAMPLES[profile]))
    for _ in range(data.draw(st.integers(1, 3))):
        place = message
        while True:
            names = sorted(place) if isinstance(place, dict) else [*range(len(place))]
            if not names:
                break
            name = data.draw(st.sampled_from(names))
            if isinstance(place[name], dict | list) and data.draw(st.booleans()):
                place = place[name]
                continue
            place[name] = data.draw(anything)
            break
    with suppress(RejectedReading):
        for said in decoded(message, profile).readings:
            with suppress(RejectedReading):
                values(said, profile)


def test_the_moment_of_the_examples() -> None:
    assert datetime.fromtimestamp(AT, UTC) == NOW
