"""A recall and a hand-over noted late reach what was measured before, and a later assignment what nobody held, on the
deployed template."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from local.cloud import Cloud
from ops.organisation import StackOutputs, add_organisation
from pma_client import Client, Consent
from tests.e2e.test_chain import connected, message, pressure
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Iterator[Client]:
    """An organisation of its own that may recall, with a receiving MIS."""
    made = add_organisation("clinic-recall", stack=StackOutputs.of(cloud.outputs), operate=True)
    with Client(cloud.api_url, cloud.token_url, made.client_id, made.client_secret) as api:
        secret = api.put_endpoint("mis-r", url=cloud.mis.url, window_seconds=1).secret
        cloud.mis.trust(secret or "")
        for subject in ("S-R1", "S-R2"):
            api.put_subject(
                subject,
                programmes=["hypertension"],
                time_zone="Europe/Samara",
                language="en",
                consent=Consent(given_at=BEGAN_AT),
            )
        yield api


def sent(api: Client, observation: str) -> list[bool]:
    """Of each delivery that carries the observation, whether it shows it as recalled now."""
    return [
        "recalled" in json.dumps(entry["resource"].get("meta", {}))
        for delivery in api.deliveries("mis-r", shard="observations-0")
        for entry in delivery.body.get("entry", [])
        if entry["resource"]["id"] == observation
    ]


def statuses(api: Client, observation: str) -> list[str]:
    """The status of the observation in each delivery that carries it, as it is now."""
    return [
        entry["resource"]["status"]
        for delivery in api.deliveries("mis-r", shard="observations-0")
        for entry in delivery.body.get("entry", [])
        if entry["resource"]["id"] == observation
    ]


def test_c26_p8_f4_r77_held_later_recalled_marked_sent_again_and_undone(cloud: Cloud, api: Client) -> None:
    api.put_device("BP-R1", profile="tonometer", device_class="medical", lot="L-R")
    with connected(cloud, "BP-R1") as device:
        assert device.publish(message(pressure(131, 81))) is None
        (aside,) = eventually(lambda: list(api.quarantine(reason="unknown-holder", profile="tonometer")))
        held = api.assign("BP-R1", "S-R1", from_at=BEGAN_AT)
        (one,) = eventually(lambda: list(api.observations("S-R1")))
        assert (one.received_at, one.tags) == (aside.received_at, ())
        eventually(lambda: not list(api.quarantine()))
        assert eventually(lambda: sent(api, one.id)) == [False]

        recall = api.recall(mode="block", reason="reads low", lot="L-R")
        eventually(lambda: [seen.tags for seen in api.observations("S-R1")] == [("recalled",)])
        assert eventually(lambda: len(found := sent(api, one.id)) == 2 and found) == [True, True]

        api.withdraw_recall(recall.id)
        eventually(lambda: [seen.tags for seen in api.observations("S-R1")] == [()])
        assert eventually(lambda: len(found := sent(api, one.id)) == 3 and found) == [False] * 3

        handed_over = one.measured_at - timedelta(hours=1)
        api.end_assignment("BP-R1", held.id, to_at=handed_over)
        api.assign("BP-R1", "S-R2", from_at=handed_over)
        (moved,) = eventually(lambda: list(api.observations("S-R2")))
        assert (moved.measured_at, moved.received_at, moved.tags) == (one.measured_at, one.received_at, ())
        eventually(lambda: [seen.tags for seen in api.observations("S-R1")] == [("entered-in-error",)])
        eventually(lambda: not list(api.quarantine()))
        assert eventually(lambda: statuses(api, moved.id)) == ["final"]
        assert eventually(lambda: len(found := statuses(api, one.id)) == 4 and found) == ["entered-in-error"] * 4
