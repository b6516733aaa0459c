"""`python -m device_sim`: every mistake is one sentence, and what happened is counted."""

import json
from pathlib import Path

import pytest

from device_sim.__main__ import main
from device_sim.gateway import Broker
from device_sim.scenarios import SCENARIOS
from tests.device_sim.fake_broker import Clock, FakeBroker, no_others_topics

STACK = {
    "mqtt": {"host": "broker.example", "port": 8883, "ca": ".local/ca.pem"},
    "topic_prefix": "pma",
    "rule": "rule1",
}
BP = "subject,minutes,systolic,diastolic,gest_weeks\n"


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    file = tmp_path / ".local" / "stack.json"
    file.parent.mkdir()
    file.write_text(json.dumps(STACK))
    return file


def run(stack: Path, *more: str, broker: FakeBroker | None = None) -> tuple[int, list[str]]:
    said: list[str] = []
    named = ["--stack", str(stack), "--thing", "BP-1", "--certificate", "cert.pem", "--private-key", "key.pem"]
    code = main(
        [*named, "--rate", "1000", *more], clock=Clock(), connect=(broker or FakeBroker()).connect, say=said.append
    )
    return code, said


def test_scenarios_are_listed() -> None:
    said: list[str] = []
    assert main(["--list"], clock=Clock(), say=said.append) == 0
    assert [line.split()[0] for line in said] == list(SCENARIOS)
    assert all("\n" + " " * 19 + "-> " in line for line in said)
    (swap,) = (line for line in said if line.startswith("device-swap"))
    assert swap.endswith(
        "[a tonometer, carried by a phone (--device), replaced half-way by the serial with -2 behind it]"
    )


def test_a_device_runs_against_a_cloud(stack: Path) -> None:
    broker = FakeBroker()
    code, said = run(stack, "--scenario", "steady", broker=broker)
    assert code == 0
    assert said == [
        "2 messages: 4 readings taken over, 0 refused, 0 unanswered",
        "what must become of them: 4 stored",
    ]
    assert {(thing, topic) for thing, topic, _ in broker.published} == {("BP-1", "dt/pma/BP-1/readings")}
    assert broker.reached == [Broker("broker.example", 8883, stack.parent / "ca.pem")]


def test_a_gateway_names_the_sensor_that_it_carries(stack: Path) -> None:
    broker = FakeBroker()
    run(stack, "--device", "BP-00017", "--basic-ingest", broker=broker)
    assert {json.loads(body)["device"] for *_, body in broker.published} == {"BP-00017"}
    assert {topic for _, topic, _ in broker.published} == {"$aws/rules/rule1/dt/pma/BP-1/readings"}


def test_a_foreign_publish_that_is_refused_is_as_it_should_be(stack: Path) -> None:
    code, said = run(stack, "--scenario", "foreign", broker=FakeBroker(answer=no_others_topics))
    assert code == 0
    assert said[0] == "refused by the broker (not authorized): dt/pma/BP-1-other/readings"


def test_a_foreign_publish_that_gets_through_is_not(stack: Path) -> None:
    assert run(stack, "--scenario", "foreign")[0] == 1


def test_files_are_replayed_and_bad_rows_said(stack: Path, tmp_path: Path) -> None:
    (tmp_path / "women.csv").write_text(BP + "1,0,12,80,23\n1,30,,,23\n1,60,130,80,23\n2,0,150,90,23\n")
    broker = FakeBroker()
    code, said = run(stack, "--data", str(tmp_path / "women.csv"), "--subject", "1", broker=broker)
    assert code == 0
    assert said[:2] == [
        "women.csv:3: systolic is empty",
        "2 messages: 2 readings taken over, 0 refused, 0 unanswered",
    ]
    first = json.loads(broker.published[0][2])
    assert first["readings"][0]["values"]["systolic"] == {"value": 12, "unit": "mm[Hg]"}


def test_f23_a_fault_is_published_in_every_format_and_its_fate_told(stack: Path) -> None:
    broker = FakeBroker()
    code, said = run(stack, "--device", "BP-9", "--scenario", "duplicate-path", broker=broker)
    assert code == 0
    assert said[-1] == "what must become of them: 3 stored, 3 repeat"
    assert [topic for _, topic, _ in broker.published[:2]] == ["dt/pma/BP-1/gatt", "dt/pma/BP-1/vendor/cellular-cuff"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--stack", "nowhere.json"], "There is no nowhere.json: start the cloud with `make up`"),
        (["--scenario", "storm"], "There is no scenario storm: choose one of"),
        (["--data", "nowhere"], "There is no nowhere: give a folder with CSV files, or one such file."),
        (["--zone", "Europe/Atlantis"], "There is no time zone Europe/Atlantis"),
        (["--zone", "../etc"], "There is no time zone ../etc"),
        (["--profile", "scale", "--scenario", "crisis"], "a scale cannot play it."),
        (["--profile", "scale", "--scenario", "signal-loss"], "is played by a fetal-monitor: a scale cannot."),
        (["--profile", "fetal-monitor"], "A fetal-monitor cannot play steady: choose --profile of bracelet, "),
        (["--scenario", "device-swap"], "needs a phone that carries the device: name this in --device."),
        (["--scenario", "daylight-saving", "--zone", "Asia/Tokyo"], "In Asia/Tokyo no hour came twice this year"),
    ],
    ids=[
        "stack",
        "scenario",
        "data",
        "zone",
        "odd zone",
        "crisis",
        "another model",
        "not simulated",
        "phone",
        "summer",
    ],
)
def test_a_mistake_is_one_sentence(
    stack: Path, capsys: pytest.CaptureFixture[str], more: list[str], sentence: str
) -> None:
    assert run(stack, *more)[0] == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mqtt": {"host": "x", "port": "y", "ca": "z"}}'])
def test_a_stack_file_that_is_none_is_one_sentence(stack: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    stack.write_text(text)
    assert run(stack)[0] == 1
    assert "is not what `make up` writes" in capsys.readouterr().err


@pytest.mark.parametrize("whose", [[], ["--subject", "9"]], ids=["several", "none"])
def test_whose_rows_must_be_clear(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], whose: list[str]
) -> None:
    (tmp_path / "women.csv").write_text(BP + "1,0,120,80,23\n2,0,150,90,23\n")
    assert run(stack, "--data", str(tmp_path / "women.csv"), *whose)[0] == 1
    assert "choose one with --subject of 1, 2." in capsys.readouterr().err


def test_a_device_without_a_certificate_is_one_sentence(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = ["--stack", str(stack), "--thing", "BP-1", "--certificate", "absent.pem", "--private-key", "key.pem"]
    assert main(named, clock=Clock()) == 1
    assert capsys.readouterr().err == (
        "BP-1 has no certificate at absent.pem: enrol it first, or say where the file is.\n"
    )


@pytest.mark.parametrize(
    "arguments", [[], ["--thing", "BP-1"], ["--days", "0"], ["--rate", "-1"], ["--profile", "toaster"]]
)
def test_bad_use_is_told_with_the_options(
    stack: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    named = (
        []
        if arguments == [] or arguments[0] == "--thing"
        else ["--thing", "a", "--certificate", "b", "--private-key", "c"]
    )
    with pytest.raises(SystemExit, match="2"):
        main([*named, *arguments], clock=Clock())
    assert "usage: python -m device_sim" in capsys.readouterr().err
