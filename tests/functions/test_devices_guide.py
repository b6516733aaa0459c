"""docs/devices.md says the truth: each of its messages is stored, and its tables hold what the code has (C28)."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.catalogue import profiles
from device_sim.scenarios import SCENARIOS
from domain.codes import KINDS
from domain.errors import RejectedReading
from domain.reading import MAX_BYTES, MAX_READINGS
from functions.ingest.service import Ingest
from tests.builders import NOW, a_device, a_subject, an_arrival, an_assignment
from tests.fakes import FakeArchive, FakeBacklog, FakeObservations, FakeQuarantine, FakeRegistry, FakeStatus

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "devices.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"To `(dt/pma/[^`]+)`[^\n]*\n\n```json\n(.*?)```", GUIDE, re.DOTALL)
FORMATS = {"readings", "gatt", "omh", "vendor/cellular-cuff", "status"}


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below the heading, without its head."""
    lines = GUIDE.partition(f"\n{heading}\n")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[2:]


@pytest.mark.parametrize(("topic", "payload"), MESSAGES, ids=[f"{n}-{topic}" for n, (topic, _) in enumerate(MESSAGES)])
def test_c28_each_message_of_the_guide_is_stored(topic: str, payload: str) -> None:
    by_slot = (an_assignment(slot=1), an_assignment(id="a-2", subject="S-2", slot=2))
    ingest = Ingest(
        registry=FakeRegistry(
            enrolled=[a_subject(), a_subject(id="S-2")],
            owned=[
                a_device(),
                a_device(serial="BP-00018", profile="tonometer-shared", assignments=by_slot),
                a_device(serial="BP-00019", profile="cellular-cuff"),
                a_device(serial="GL-00002", profile="glucometer", gateway="PHONE-1"),
                a_device(serial="CGM-00003", profile="cgm", gateway="PHONE-1"),
                a_device(serial="PHONE-1", profile="phone", assignments=()),
            ],
        ),
        observations=FakeObservations(),
        quarantine=FakeQuarantine(),
        archive=FakeArchive(),
        backlog=FakeBacklog(),
        status=FakeStatus(),
        profiles=profiles(),
        kept_for=timedelta(days=400),
    )
    outcome = ingest([an_arrival(payload.encode(), topic=topic)], now=NOW, first_inbox=True)
    assert outcome.reasons == {}
    assert outcome.failed == {}
    assert outcome.counts["stored"] == (0 if topic.endswith("/status") else 2 if "session_start" in payload else 1)


def test_the_guide_has_a_message_of_every_format() -> None:
    assert {topic.split("/", 3)[3] for topic, _ in MESSAGES} == FORMATS
    assert GUIDE.count("```json") == len(MESSAGES)


def test_the_guide_has_every_reason_of_the_quarantine() -> None:
    reasons = [row[0].strip("`") for row in table("## What becomes of a reading")]
    assert sorted(reasons) == sorted(one.reason for one in RejectedReading.__subclasses__())


def test_the_guide_has_every_kind_with_its_values() -> None:
    said = {}
    for kinds, values in table("### `pma.readings/1`"):
        for kind in re.findall(r"`([^`]+)`", kinds):
            said[kind] = set(re.findall(r"`([^`]+)`", values))
    assert said == {
        name: {word for value, one in kind.values.items() for word in (value, one.unit)} for name, kind in KINDS.items()
    }


def test_f23_the_guide_has_every_scenario_of_the_test_kit() -> None:
    rows = [[name.strip("`"), *rest] for name, *rest in table("## Test kit")]
    assert rows == [[one.name, one.summary, one.becomes] for one in SCENARIOS.values()]


def test_the_guides_limits_are_the_codes() -> None:
    assert f"At most {MAX_BYTES // 1024} KB a message and {MAX_READINGS} readings" in GUIDE


def test_the_guides_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([a-z-]+\.md)\)", GUIDE):
        assert (DOCS / target).is_file()
