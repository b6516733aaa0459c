"""What a delivery says: the references of a row as a FHIR bundle of what they stand for now.

Rows hold no bodies, so neither a late attempt nor a replay nor a hospital that reads the log takes a chart backwards.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Protocol, TypeAlias

from domain import fhir
from domain.alert import Alert
from domain.delivery import Reference, may_leave
from domain.enrolment import ConsentTold, Device, Subject
from domain.observation import Observation
from domain.summary import Past, of_week

Key: TypeAlias = tuple[str, str]


class Enrolment(Protocol):
    def subjects(self, keys: Iterable[Key]) -> Mapping[Key, Subject]: ...
    def devices(self, keys: Iterable[Key]) -> Mapping[Key, Device]: ...


class Observations(Past, Protocol):
    def get(self, keys: Iterable[Key]) -> Mapping[Key, Observation]: ...
    def find(
        self, organisation: str, subject: str, kind: str, ids: Collection[str], *, near: datetime
    ) -> list[Observation]: ...


class Alerts(Protocol):
    def get(self, keys: Iterable[Key]) -> Mapping[Key, Alert]: ...
    def consents(self, keys: Iterable[Key]) -> Mapping[Key, ConsentTold]: ...


def render(
    references: Iterable[Reference], *, registry: Enrolment, observations: Observations, alerts: Alerts
) -> fhir.Json:
    """A transaction bundle, without the subjects whose consent is not in force now (P5)."""
    keys: dict[str, list[Key]] = defaultdict(list)
    for one in references:
        keys[one.type].append((one.pk, one.sk))
    raised = [*alerts.get(keys["alert"]).values()] if keys["alert"] else []
    measured = [*observations.get(keys["observation"]).values()] if keys["observation"] else []
    for alert in raised:
        measured += observations.find(
            alert.organisation, alert.subject, alert.kind, fhir.raising(alert), near=alert.raised_at
        )
    weeks = [_week(pk, sk) for pk, sk in keys["derived"]]
    named = {(one.organisation, one.subject) for one in measured} | {who for who, _, _ in weeks}
    subjects = registry.subjects(named | {(one.organisation, one.subject) for one in raised})
    open_ = {key for key, subject in subjects.items() if may_leave(subject)}
    shown = [one for one in measured if (one.organisation, one.subject) in open_]
    devices = registry.devices({(one.organisation, one.device) for one in shown})
    derived = [of_week(kind, subjects[who], last, past=observations) for who, kind, last in weeks if who in open_]
    return fhir.bundle(
        shown,
        [one for one in raised if (one.organisation, one.subject) in open_],
        {serial: device for (_, serial), device in devices.items()},
        [one for one in derived if one is not None],
        alerts.consents(keys["consent"]).values() if keys["consent"] else (),
    )


def _week(pk: str, sk: str) -> tuple[Key, str, date]:
    """Whose week, the kind of derived value, and the week's last day."""
    organisation, _, subject = pk.partition("#")
    kind, _, last = sk.partition("#")
    return (organisation, subject), kind, date.fromisoformat(last)
