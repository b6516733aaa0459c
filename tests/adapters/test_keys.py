"""Where things are kept: an organisation's key never holds what all of its patients write."""

from datetime import timedelta

import pytest

from adapters.alerts import alert_key, outbox_key, state_key
from adapters.contacts import contacts_key
from adapters.observations import row_key
from adapters.quarantine import quarantine_key
from adapters.registry import device_key, norm_key, subject_key
from domain.identity import identify
from tests.builders import NOW


def observation_key(organisation: str, subject: str) -> tuple[str, str]:
    return row_key(
        identify(
            organisation=organisation,
            subject=subject,
            device="BP-00017",
            kind="steps",
            slot=None,
            device_time=NOW,
            values={},
            clock_resolution=timedelta(seconds=1),
            resolution={},
        )
    )


@pytest.mark.parametrize(
    "key",
    [
        observation_key,
        state_key,
        contacts_key,
        subject_key,
        norm_key,
        device_key,
        quarantine_key,
        lambda organisation, subject: alert_key(organisation, subject, "a-1"),
        lambda organisation, subject: outbox_key(organisation, subject, "a-1", 1),
    ],
    ids=["observation", "state", "contacts", "subject", "norm", "device", "quarantine", "alert", "outbox"],
)
def test_r32_r81_each_patient_has_a_partition_that_begins_with_the_organisation(key: object) -> None:
    assert callable(key)
    places = {key(organisation, subject)[0] for organisation in ("a", "b") for subject in ("S-1", "S-2")}
    assert len(places) == 4
    assert {place.split("#")[0] for place in places} == {"a", "b"}
