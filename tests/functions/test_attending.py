"""What people do about an alert over the API, while readings go on coming (R57)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from adapters.alerts import Episodes
from adapters.aws import client as aws_client
from domain.alert import Alert
from functions.evaluate.service import Change, evaluate
from functions.registry.wiring import clock, wired
from ops.api_examples import EXAMPLES
from tests.builders import an_observation
from tests.in_process import InProcess, api

S = "/v1/subjects/S-7F3A"


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with api() as started:
        yield started


@pytest.fixture
def pma(running: InProcess) -> InProcess:
    running.forget()
    enrol(running, "S-7F3A")
    return running


def enrol(pma: InProcess, subject: str, client: str = "client-a") -> None:
    assert pma.call("PUT", f"/v1/subjects/{subject}", EXAMPLES["put_subject"], client=client)[0] == 201
    rules = [crisis(180, "critical"), crisis(140, "warning")]
    plan = EXAMPLES["put_care_plan"] | {"rules": rules, "quiet_hours": None}
    assert pma.call("PUT", f"/v1/subjects/{subject}/care-plan", plan, client=client)[0] == 201


def crisis(bound: int, severity: str) -> dict[str, Any]:
    return {
        "id": f"sbp-{severity}",
        "kind": "blood-pressure",
        "value": "systolic",
        "severity": severity,
        "family": "pressure-high",
        "when": {"at_or_above": {"value": bound, "unit": "mm[Hg]"}},
    }


def measure(
    systolic: int,
    minutes: int = 0,
    *,
    subject: str = "S-7F3A",
    organisation: str = "clinic-a",
    at: datetime | None = None,
) -> None:
    """A reading of so many minutes from now through the engine, as evaluate has it."""
    moment = (at or clock()) + timedelta(minutes=minutes)
    one = an_observation()._replace(
        id=f"{subject}-{systolic}-{minutes}",
        organisation=organisation,
        subject=subject,
        values={"systolic": Decimal(systolic), "diastolic": Decimal(80)},
        measured_at=moment,
        device_time=moment,
        received_at=moment,
    )
    change = Change("1", (organisation, subject), lambda: one)
    outcome = evaluate([change], episodes=wired().episodes, programmes=wired().programmes, now=moment)
    assert outcome.failures == []


def queue(pma: InProcess, query: str = "", client: str = "client-a") -> list[dict[str, Any]]:
    status, listed, _ = pma.call("GET", f"/v1/alerts{query}", client=client)
    assert status == 200
    return list(listed["items"])


def do(pma: InProcess, what: str, alert: dict[str, Any], client: str = "client-a", **changes: Any) -> tuple[int, Any]:
    body = EXAMPLES[f"post_{what}"] | {"version": alert["version"]} | changes
    status, document, _ = pma.call("POST", f"/v1/alerts/{alert['id']}/{what}", body, client=client)
    return status, document


def test_the_queue_has_the_most_severe_first_and_of_these_the_oldest(pma: InProcess) -> None:
    start = clock() - timedelta(minutes=30)
    for number, systolic in enumerate((150, 190, 151, 191)):
        enrol(pma, f"S-000{number}")
        measure(systolic, number, subject=f"S-000{number}", at=start)
    enrol(pma, "S-0001", "client-b")
    measure(190, subject="S-0001", organisation="clinic-b")
    assert [one["subject"] for one in queue(pma)] == ["S-0001", "S-0003", "S-0000", "S-0002"]
    assert [one["subject"] for one in queue(pma, "?severity=warning")] == ["S-0000", "S-0002"]
    assert [one["subject"] for one in queue(pma, client="client-b")] == ["S-0001"]
    seen, cursor = [], ""
    while True:
        _, page, _ = pma.call("GET", f"/v1/alerts?limit=1{cursor}")
        seen += [one["subject"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == ["S-0001", "S-0003", "S-0000", "S-0002"]


def test_an_alert_is_taken_on_once(pma: InProcess) -> None:
    measure(190)
    (alert,) = queue(pma)
    status, taken = do(pma, "acknowledge", alert)
    assert (status, taken["acknowledged"]["actor"], taken["version"]) == (200, "doc-12", alert["version"] + 1)
    assert do(pma, "acknowledge", alert, actor="doc-13") == (200, taken), "again it is what it was, by who was first"
    assert queue(pma) == [taken]
    assert pma.call("GET", f"{S}/alerts")[1]["items"] == [taken]


def test_r57_what_was_taken_on_covers_nothing_worse_that_has_come_since(pma: InProcess) -> None:
    measure(150, -2)
    (seen,) = queue(pma)
    measure(190, -1)
    do(pma, "acknowledge", seen)
    (worse,) = [one for one in queue(pma) if one["severity"] == "critical"]
    assert (worse["id"] != seen["id"], worse["acknowledged"]) == (True, None)
    for version in (worse["version"] + 1, 999_999):
        status, document = do(pma, "acknowledge", worse, version=version)
        assert (status, document["code"]) == (412, "stale-version")
    assert do(pma, "acknowledge", worse)[0] == 200


def test_a_snooze_ends_within_a_day_and_may_be_ended(pma: InProcess) -> None:
    measure(190)
    (alert,) = queue(pma)
    until = clock() + timedelta(days=9)
    status, snoozed = do(pma, "snooze", alert, until=until.isoformat())
    assert status == 200
    assert clock() < datetime.fromisoformat(snoozed["snoozed_until"]) <= clock() + timedelta(days=1)
    past = (clock() - timedelta(minutes=1)).isoformat()
    assert do(pma, "snooze", snoozed, until=past)[1]["snoozed_until"] is None


def test_what_was_resolved_is_out_of_the_queue_and_over(pma: InProcess) -> None:
    measure(150)
    (alert,) = queue(pma)
    status, resolved = do(pma, "resolve", alert)
    assert (status, resolved["state"], resolved["outcome"]) == (200, "resolved", "resolved")
    assert queue(pma) == []
    for what in ("resolve", "acknowledge", "snooze"):
        status, document = do(pma, what, resolved)
        assert (status, document["code"]) == (409, "alert-over")


def test_p5_without_consent_there_is_nothing_to_attend_to(pma: InProcess) -> None:
    measure(190)
    (alert,) = queue(pma)
    consent = EXAMPLES["put_subject"]["consent"] | {"withdrawn_at": "2026-11-20T09:00:00+04:00"}
    pma.call("PUT", S, EXAMPLES["put_subject"] | {"consent": consent})
    assert do(pma, "acknowledge", alert)[1]["code"] == "alert-over"


def test_r81_another_organisations_alert_is_not_found(pma: InProcess) -> None:
    measure(190)
    (alert,) = queue(pma)
    for what in ("acknowledge", "snooze", "resolve"):
        status, document = do(pma, what, alert, client="client-b")
        assert (status, document["code"]) == (404, "not-found")
    assert queue(pma) == [alert]


def test_an_act_that_meets_a_reading_is_done_on_what_the_reading_left(pma: InProcess) -> None:
    measure(190, -1)
    (alert,) = queue(pma)

    class Rival(Episodes):
        """Episodes in which a reading comes between the first read and the first write."""

        def write(self, who: tuple[str, str], state: Any, alerts: Any, *rest: Any, **facts: Any) -> None:
            if not met:
                met.append(True)
                with pma.wired(episodes=real):
                    measure(195)
            super().write(who, state, alerts, *rest, **facts)

    met: list[bool] = []
    real = wired().episodes
    rival = Rival(aws_client("dynamodb"), real.table, real.registry, real.decisions)
    with pma.wired(episodes=rival):
        status, taken = do(pma, "acknowledge", alert)
    assert (status, taken["acknowledged"]["actor"]) == (200, "doc-12")
    shown: Alert | None = wired().duty_queue.find("clinic-a", alert["id"])
    assert shown is not None
    assert shown.version == taken["version"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"actor": "Ivan Petrov"}, "/actor"),
        ({"reason": "Анна Петровна звонила"}, "/reason"),
        ({"reason": ""}, "/reason"),
        ({"version": 0}, "/version"),
        ({"until": "tomorrow"}, "/until"),
    ],
    ids=["a name as actor", "a name as reason", "no reason", "no version", "no time"],
)
def test_r84_r87_an_act_that_cannot_be_is_refused(running: InProcess, change: dict[str, Any], field: str) -> None:
    path = "/v1/alerts/a-1/snooze"
    status, document, _ = running.call("POST", path, EXAMPLES["post_snooze"] | change)
    assert (status, [one["field"] for one in document["field"]]) == (422, [field])


def test_a_cursor_that_no_page_gave_is_refused(running: InProcess) -> None:
    assert running.call("GET", "/v1/alerts?cursor=eA==")[0] == 422
