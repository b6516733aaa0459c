"""Each scenario does the one thing that it is named for."""

from datetime import UTC, datetime, timedelta

import pytest

from device_sim.cohort import Patient, SimulatedDevice
from device_sim.errors import NoSuchScenario
from device_sim.payload import Message
from device_sim.scenarios import BROKEN, SCENARIOS, scenario
from device_sim.scene import Scene

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


def a_scene(profile: str = "tonometer", days: float = 3) -> Scene:
    device = SimulatedDevice("BP-1", profile)
    return Scene(Patient("-", "-", "Europe/Samara", "en", (device,)), NOW, seed=5, other="BP-2", days=days)


def play(name: str, scene: Scene | None = None) -> list[Message]:
    return scenario(name).messages(scene or a_scene())


def systolics(messages: list[Message]) -> list[int]:
    return [int(reading.values["systolic"].value) for message in messages for reading in message.readings]


def test_steady_is_what_is_prescribed_and_nothing_else() -> None:
    messages = play("steady")
    assert 8 <= len(systolics(messages)) <= 14
    assert max(systolics(messages)) < 180
    assert all((one.body, one.under, one.copies) == (None, None, 1) for one in messages)
    assert all(len(one.readings) == 2 for one in messages)


def test_crisis_is_steady_with_a_crisis_in_the_last_hour() -> None:
    high = [
        reading for message in play("crisis") for reading in message.readings if reading.values["systolic"].value >= 180
    ]
    assert 4 <= len(high) <= 6
    assert all(reading.measured_at > NOW - timedelta(hours=1, minutes=2) for reading in high)


def test_crisis_needs_a_tonometer() -> None:
    with pytest.raises(NoSuchScenario, match="a scale cannot play it"):
        play("crisis", a_scene("scale"))


def test_duplicate_sends_everything_three_times() -> None:
    messages = play("duplicate")
    assert {message.copies for message in messages} == {3}
    assert systolics(messages) == systolics(play("steady"))


def test_poison_has_one_broken_message_among_good_ones() -> None:
    messages = play("poison")
    assert [message.body for message in messages].count(BROKEN) == 1
    assert messages[0].body is None is messages[-1].body
    assert systolics(messages) == systolics(play("steady"))
    with pytest.raises(UnicodeDecodeError):
        BROKEN.decode()


def test_foreign_tries_anothers_topic_with_its_own_connection() -> None:
    *own, last = play("foreign")
    assert {message.under for message in own} == {None}
    assert (last.thing, last.under) == ("BP-1", "BP-2")


def test_nothing_measured_is_nothing_sent() -> None:
    assert play("foreign", a_scene(days=0.01)) == []
    assert play("offline-flush", a_scene(days=0.01)) == []


def test_offline_flush_sends_the_newest_first_at_ten_a_second_with_jitter() -> None:
    messages, steady = play("offline-flush"), play("steady")
    assert messages == [steady[-1], *steady[:-1]]
    chosen = scenario("offline-flush")
    assert chosen.rate == 10
    assert chosen.jitter > 0


def test_a_scenario_can_be_played_with_given_readings() -> None:
    given = play("steady")[0].readings
    scene = Scene(a_scene().patient, NOW, seed=1, other="BP-2", replayed=given)
    assert [reading for message in play("duplicate", scene) for reading in message.readings] == list(given)


@pytest.mark.parametrize("name", [name for name, one in SCENARIOS.items() if one.setting.profile is None])
@pytest.mark.parametrize("profile", ["tonometer", "glucometer", "cgm", "scale", "bracelet"])
def test_every_scenario_is_the_same_for_the_same_seed(name: str, profile: str) -> None:
    if name == "crisis" and profile != "tonometer":
        profile = "tonometer"
    assert play(name, a_scene(profile)) == play(name, a_scene(profile))
    assert all(message.thing == "BP-1" for message in play(name, a_scene(profile)))


def test_an_unknown_name_is_one_sentence() -> None:
    with pytest.raises(NoSuchScenario, match=r"There is no scenario storm: choose one of steady, crisis, .*\."):
        scenario("storm")
