"""How much alerting a programme makes: readings, alerts, and alerts that needed a human, per patient-day.

A published hypertension programme (174 patients, 207 days) had 0.84, 0.48 and 0.10.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from domain.alert import Alert


@dataclass(frozen=True, slots=True)
class AlertLoad:
    """`rules` counts the alerts that needed a human by the rule that raised them, the noisiest first."""

    patient_days: float
    readings: int
    alerts: int
    needing_a_human: int
    rules: dict[str, int] = field(default_factory=dict)

    def per_patient_day(self, count: int) -> float:
        return count / self.patient_days if self.patient_days else 0.0


def needs_a_human(alert: Alert) -> bool:
    """False while confirmation is awaited, and of what was not confirmed: the patient alone has measured again."""
    return alert.state != "confirming" and alert.outcome != "not-confirmed"


def alert_load(alerts: Iterable[Alert], *, readings: int, patient_days: float) -> AlertLoad:
    """The load of `alerts`, the newest version of each."""
    raised = list(alerts)
    needing = [one for one in raised if needs_a_human(one)]
    return AlertLoad(
        patient_days=patient_days,
        readings=readings,
        alerts=len(raised),
        needing_a_human=len(needing),
        rules=dict(Counter(one.rule for one in needing).most_common()),
    )
