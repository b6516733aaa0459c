"""What counts in the alert load of a programme."""

import pytest

from domain.alert_load import alert_load, needs_a_human
from tests.builders import an_alert


@pytest.mark.parametrize(
    ("state", "outcome", "needed"),
    [
        ("confirming", None, False),
        ("active", None, True),
        ("clearing", None, True),
        ("resolved", "resolved", True),
        ("resolved", "not-confirmed", False),
        ("resolved", "withdrawn", True),
    ],
)
def test_f22_who_was_only_asked_to_measure_again_needs_no_human(state: str, outcome: str | None, needed: bool) -> None:
    assert needs_a_human(an_alert(state=state, outcome=outcome)) is needed


def test_f22_the_load_is_counted_a_patient_day_and_by_the_noisiest_rule() -> None:
    alerts = [
        an_alert(rule="quiet"),
        an_alert(rule="noisy"),
        an_alert(rule="noisy"),
        an_alert(rule="asked", outcome="not-confirmed"),
    ]
    load = alert_load(alerts, readings=84, patient_days=100)
    assert (load.readings, load.alerts, load.needing_a_human) == (84, 4, 3)
    assert list(load.rules.items()) == [("noisy", 2), ("quiet", 1)]
    assert load.per_patient_day(load.readings) == pytest.approx(0.84)


def test_without_patients_there_is_no_load() -> None:
    load = alert_load([], readings=0, patient_days=0)
    assert load.per_patient_day(load.readings) == 0
