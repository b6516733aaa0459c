"""The files of the catalogue are what their folders are for, and all that the contract ships is there."""

import json
from pathlib import Path

import pytest

from adapters.catalogue import BrokenCatalogue, load, profiles
from domain.codes import KINDS
from domain.profile import DeviceProfile

SHIPPED = {
    "tonometer",
    "tonometer-shared",
    "glucometer",
    "cgm",
    "fetal-monitor",
    "scale",
    "oximeter",
    "thermometer",
    "bracelet",
    "cellular-cuff",
    "ihealth-bp",
    "withings",
    "phone",
    "health-post",
}


def test_every_profile_of_the_contract_is_shipped() -> None:
    assert profiles().keys() >= SHIPPED


def test_every_kind_has_a_device_that_measures_it() -> None:
    assert {kind for one in profiles().values() if one.role == "sensor" for kind in one.measures} == KINDS.keys()


def test_p2_the_bracelet_is_auxiliary_and_nothing_else_is() -> None:
    assert {one.id for one in profiles().values() if one.device_class == "auxiliary"} == {"bracelet"}


def test_a_shared_tonometer_tells_people_apart() -> None:
    assert (profiles()["tonometer"].slots, profiles()["tonometer-shared"].slots) == (1, 2)


def test_no_range_is_wider_than_a_person() -> None:
    for one in profiles().values():
        for kind, measure in one.measures.items():
            for name, limits in measure.plausible.items():
                value = KINDS[kind].values[name]
                assert value.low <= limits.low < limits.high <= value.high


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("scale.json", "{", "devices/scale.json"),
        ("scale.json", json.dumps({"id": "scale"}), "devices/scale.json"),
        ("balance.json", profiles()["scale"].model_dump_json(by_alias=True), "its id is not its name"),
    ],
    ids=["no JSON", "fields missing", "another name"],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / name).write_text(content, encoding="utf-8")
    with pytest.raises(BrokenCatalogue, match=said):
        load("devices", DeviceProfile.model_validate_json, root=tmp_path)
