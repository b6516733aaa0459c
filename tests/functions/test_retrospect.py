"""Why it did or did not alarm, kept or computed again; and a care plan tried on the past, from request to answer."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from heapq import merge
from operator import itemgetter
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.observations import row_key
from domain.alert import ENGINE_VERSION, Alert, Decision, PlanChanged, State, Tick, step
from domain.care_plan import Plan, PlanVersion, plan_for
from domain.codes import KINDS
from domain.decisions import Judged, judged, news
from domain.identity import Identity
from domain.observation import Observation
from functions.registry import retrospect
from functions.registry.wiring import wired
from tests.builders import ORGANISATION, SUBJECT, a_care_plan, a_plan_version, a_rule, a_subject, an_observation
from tests.fakes import FakeEpisodes
from tests.in_process import InProcess, api

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MINUTE, MILLISECOND = timedelta(minutes=1), timedelta(milliseconds=1)
WHO = (ORGANISATION, SUBJECT)
S = f"/v1/subjects/{SUBJECT}"
HIGH = a_rule(
    id="high", severity="warning", family="pressure-high", when={"at_or_above": {"value": 135, "unit": "mm[Hg]"}}
)
HIGHER = HIGH | {"when": {"at_or_above": {"value": 140, "unit": "mm[Hg]"}}}
OFTEN = a_rule(
    id="often",
    severity="warning",
    when={"at_or_above": {"value": 150, "unit": "mm[Hg]"}},
    persist={"readings": 2, "of": 3},
    clear={"below": {"value": 140, "unit": "mm[Hg]"}, "for": "PT20M"},
)
ASKED = a_rule(family="pressure-high", confirm={"readings": 2, "within": "PT10M", "ask_again": True}, fresh_for="PT1H")
MEAN = a_rule(
    id="mean",
    severity="warning",
    when={"average_at_or_above": {"value": 140, "unit": "mm[Hg]", "over": "PT2H"}},
)


def a_pressure(minute: int, systolic: int, *, late: int = 0, **changes: Any) -> Observation:
    at = NOW + minute * MINUTE
    values = {"systolic": Decimal(systolic), "diastolic": Decimal(70)}
    return an_observation(
        **{"values": values, "measured_at": at, "received_at": at + late * MINUTE, "id": f"o-{minute:05}"} | changes
    )


@dataclass
class Stored:
    """Everything that a subject has: the ports of the use case in memory."""

    observations: Sequence[Observation]
    episodes: FakeEpisodes
    plan_versions: Sequence[PlanVersion]

    def between(
        self,
        organisation: str,
        subject: str,
        *,
        from_at: datetime,
        to_at: datetime,
        most: int,
        kinds: Collection[str] = tuple(KINDS),
    ) -> list[Observation]:
        return [one for one in self.observations if one.kind in kinds and from_at <= one.device_time <= to_at][-most:]

    def of(self, observations: Any) -> Mapping[str, Judged]:
        wanted = {one.id for one in observations}
        return {name: one for name, one in self.episodes.judged.items() if name in wanted}

    def versions(self, organisation: str, subject: str) -> Sequence[PlanVersion]:
        return self.plan_versions

    def of_subject(self, organisation: str, subject: str, *, to_at: datetime, cursor: str | None) -> "AlertsPage":
        found = sorted((one for one in self.episodes.alerts.values() if one.raised_at < to_at), key=lambda one: one.id)
        start = int(cursor or 0)
        return AlertsPage(found[start : start + 1], str(start + 1) if start + 1 < len(found) else None)


@dataclass
class AlertsPage:
    items: list[Alert]
    next: str | None


def lived(readings: Sequence[Observation], versions: Sequence[PlanVersion]) -> tuple[Stored, dict[str, list[Decision]]]:
    """The readings judged as they arrive, with the clock between: what is stored, and all that was decided."""
    episodes = FakeEpisodes()
    state, decided, now = State(), {}, NOW
    plan: Plan | None = None
    events: list[tuple[datetime, PlanChanged | Observation]] = [(one.created_at, PlanChanged(*WHO)) for one in versions]
    arrived = sorted(readings, key=lambda one: (one.received_at, one.measured_at, one.id))
    for at, event in merge(events, ((one.received_at, one) for one in arrived), key=itemgetter(0)):
        known = [version for version in versions if version.created_at <= at]
        while any(episode.stage == "confirming" for episode in state.episodes.values()) and now < at:
            now += MINUTE
            state = _keep(episodes, *step(state, Tick(*WHO), plan, min(now + MILLISECOND, at)))
        now = at
        if isinstance(event, PlanChanged):
            plan = plan_for(a_subject(), known, {}, at)
            state = _keep(episodes, *step(state, event, plan, at))
            continue
        one = event
        plan = plan_for(a_subject(), known, {}, one.measured_at)
        state, decided[one.id], alerts = step(state, one, plan, now)
        _keep(episodes, state, decided[one.id], alerts)
        if news(decided[one.id]):
            episodes.keep(WHO, [judged(one, decided[one.id], now)])
    return Stored(readings, episodes, versions), decided


def _keep(episodes: FakeEpisodes, state: State, decisions: Sequence[Decision], alerts: Sequence[Alert]) -> State:
    episodes.alerts |= {alert.id: alert for alert in alerts}
    return state


def why(stored: Stored, page: Sequence[Observation]) -> list[retrospect.Answered]:
    return retrospect.decisions_on(
        page, a_subject(), past=stored, kept=stored, alerts=stored, plans=stored, programmes={}
    )


QUIET = {"quiet_hours": {"from": "15:00", "to": "18:00"}}
REPEATED = HIGH | {"repeat": {"every": "PT1H", "at_most": 2}}
READINGS = st.lists(
    st.tuples(
        st.sampled_from([1, 5, 15, 30, 60, 240]),
        st.sampled_from([120, 120, 130, 137, 145, 155, 182, 195]),
        st.sampled_from([0, 0, 0, 3, 45, 200]),
        st.sampled_from([(), (), (), ("movement",)]),
    ),
    min_size=1,
    max_size=40,
)


@given(
    READINGS,
    st.integers(0, 40),
    st.integers(1, 10),
    st.integers(0, 4000),
    st.sampled_from([(HIGH, {}), (HIGH, QUIET), (REPEATED, {})]),
    st.sampled_from([(ASKED, HIGHER, OFTEN, MEAN), (HIGHER, MEAN), (ASKED,)]),
)
def test_f7_r46_what_is_kept_and_what_is_computed_again_agree(
    drawn: list[tuple[int, int, int, tuple[str, ...]]],
    first: int,
    length: int,
    changed_at: int,
    plan: tuple[dict[str, Any], dict[str, Any]],
    left: tuple[dict[str, Any], ...],
) -> None:
    """… also where a new version has other bounds, or takes rules away while their episodes are open (R46)."""
    high, around = plan
    minute, readings = 0, []
    for gap, systolic, late, flags in drawn:
        minute += gap
        readings.append(a_pressure(minute, systolic, late=late, flags=flags))
    later = NOW + changed_at * MINUTE
    versions = [
        a_plan_version(ASKED, high, OFTEN, MEAN, effective_from=NOW.isoformat(), **around),
        replace(a_plan_version(*left, version=2, effective_from=later.isoformat()), created_at=later),
    ]
    stored, decided = lived(readings, versions)
    page = readings[first : first + length]
    answered = why(stored, page)
    assert [one.observation for one in answered] == page
    assert {one.observation.id: list(one.judged.decisions) for one in answered} == {
        one.id: decided[one.id] for one in page
    }
    assert [one.kept for one in answered] == [bool(news(decided[one.id])) for one in page]


def test_a_page_of_nothing_asks_for_nothing() -> None:
    stored, _ = lived([], [])
    assert why(stored, []) == []


def test_what_the_clock_would_have_said_at_the_moment_of_a_reading_is_not_said_of_the_reading() -> None:
    """A reminder falls due just when it arrives: whether a tick came first, only what was kept can tell."""
    readings = [a_pressure(minute, 137) for minute in (0, 60)]
    versions = [a_plan_version(REPEATED, effective_from=NOW.isoformat())]
    (found,) = why(Stored(readings, FakeEpisodes(), versions), readings[1:])
    assert [(one.by_clock, one.why) for one in found.judged.decisions] == [(False, "same-episode")]


def test_r47_without_a_plan_the_answer_is_that_there_was_none() -> None:
    readings = [a_pressure(0, 190), a_pressure(30, 190)]
    (found,) = why(Stored(readings, FakeEpisodes(), []), readings[1:])
    assert [one.why for one in found.judged.decisions] == ["no-plan"]


def test_an_episode_that_began_long_ago_is_still_known() -> None:
    """Ten days of breach: what the last reading says depends on the first."""
    low = a_rule(id="low", value="diastolic", when={"below": {"value": 80, "unit": "mm[Hg]"}})
    versions = [a_plan_version(a_rule(fresh_for="PT1H"), low)]
    readings = [a_pressure(minute, 190) for minute in range(0, 14_400, 240)]
    stored, decided = lived(readings, versions)
    (last,) = why(stored, readings[-1:])
    assert list(last.judged.decisions) == decided[readings[-1].id]
    assert [one.why for one in last.judged.decisions] == ["same-episode", "same-episode"]
    assert not last.kept


# over the API


@pytest.fixture(scope="module")
def running() -> Iterator[InProcess]:
    with api() as started:
        yield started


@pytest.fixture
def pma(running: InProcess) -> InProcess:
    running.forget()
    subject = {
        "programmes": ["hypertension"],
        "time_zone": "Europe/Samara",
        "language": "ru",
        "consent": {"given_at": (now() - timedelta(days=60)).isoformat(), "withdrawn_at": None},
    }
    assert running.call("PUT", S, subject)[0] == 201
    return running


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def store(*observations: Observation) -> None:
    identities = [Identity(one.organisation, one.subject, one.kind, one.device_time, one.id) for one in observations]
    wired().observations.put(zip(map(row_key, identities), observations, strict=True))


def ago(hours: float, systolic: int, **changes: Any) -> Observation:
    at = now() - timedelta(hours=hours)
    values = {"systolic": Decimal(systolic), "diastolic": Decimal(70)}
    return an_observation(**{"values": values, "measured_at": at, "received_at": at} | changes)


def test_f7_decisions_say_why_of_every_reading(pma: InProcess) -> None:
    normal, artefact = ago(3, 120), ago(2, 190, flags=("movement",))
    store(normal, artefact)
    decision = Decision("sbp-crisis", "1", "idle", "idle", "artefact")
    wired().decisions.keep(*WHO, [judged(artefact, [decision], artefact.received_at)])
    status, listed, _ = pma.call("GET", f"{S}/decisions?kind=blood-pressure")
    assert (status, listed["next"]) == (200, None)
    first, second = listed["items"]
    assert first == {
        "observation": artefact.id,
        "kind": "blood-pressure",
        "measured_at": artefact.measured_at.isoformat(),
        "received_at": artefact.received_at.isoformat(),
        "judged_at": artefact.received_at.isoformat(),
        "engine": ENGINE_VERSION,
        "kept": True,
        "rules": [
            {"rule": "sbp-crisis", "plan_version": "1", "before": "idle", "after": "idle", "why": "artefact"},
        ],
    }
    assert (second["observation"], second["kept"]) == (normal.id, False)
    assert {(one["plan_version"], one["why"]) for one in second["rules"]} == {("hypertension@1", "within-limits")}


def test_decisions_are_paged_and_narrowed_like_the_readings_that_they_are_on(pma: InProcess) -> None:
    store(*(ago(hours, 120) for hours in range(1, 6)))
    seen, path = [], f"{S}/decisions?limit=2"
    _, listed, _ = pma.call("GET", path)
    while True:
        seen += [one["measured_at"] for one in listed["items"]]
        if listed["next"] is None:
            break
        listed = pma.call("GET", f"{path}&cursor={quote(listed['next'])}")[1]
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)
    since = quote((now() - timedelta(hours=2, minutes=30)).isoformat())
    assert len(pma.call("GET", f"{S}/decisions?from={since}")[1]["items"]) == 2
    assert pma.call("GET", f"{S}/decisions?kind=weight")[1]["items"] == []


def try_out(pma: InProcess, plan: dict[str, Any], **more: Any) -> tuple[int, Any]:
    status, document, _ = pma.call("POST", f"{S}/care-plan/dry-run", {"plan": plan, "days": 30} | more)
    return status, document


def test_f6_a_plan_is_tried_on_the_past_beside_the_one_in_force(pma: InProcess) -> None:
    crisis = ago(50, 190)
    store(crisis, ago(49, 120), ago(30, 150), ago(29, 120))
    status, found = try_out(pma, a_care_plan(a_rule(family="pressure-high"), HIGH))
    assert status == 200, found
    assert (found["alerts"], found["needing_a_human"], found["readings"]) == (2, 2, 4)
    assert found["current"]["alerts"] == 1
    assert found["current"]["plan_version"] == "hypertension@1"
    assert found["from"] == crisis.measured_at.isoformat()
    newest, oldest = found["episodes"]
    assert (newest["rule"], oldest["rule"]) == ("high", "sbp-crisis")
    assert oldest["raised_at"] == crisis.measured_at.isoformat()
    assert [one["id"] for one in oldest["readings"]] == [crisis.id] == [oldest["observation"]]
    assert oldest["readings"][0]["values"]["systolic"] == {"value": "190", "unit": "mm[Hg]"}
    assert oldest["told"] == [{"at": crisis.measured_at.isoformat(), "to": ["patient", "doctor"], "what": "raised"}]
    assert found["episodes_left_out"] == 0


def test_f6_a_trial_leaves_nothing_behind(pma: InProcess) -> None:
    store(ago(2, 190))
    try_out(pma, a_care_plan())
    assert pma.call("GET", f"{S}/alerts")[1]["items"] == []
    assert pma.call("GET", f"{S}/care-plan")[0] == 404


def test_a_plan_may_be_tried_without_author_and_time(pma: InProcess) -> None:
    plan = a_care_plan()
    del plan["author"], plan["effective_from"]
    status, found = try_out(pma, plan)
    del found["from"]
    assert (status, found) == (
        200,
        {
            "readings": 0,
            "alerts": 0,
            "at_night": 0,
            "needing_a_human": 0,
            "current": {"alerts": 0, "at_night": 0, "needing_a_human": 0, "plan_version": "hypertension@1"},
            "episodes": [],
            "episodes_left_out": 0,
        },
    )


def test_silence_is_tried_as_well(pma: InProcess) -> None:
    store(ago(100, 120), ago(2, 120))
    silent = {"id": "silent", "kind": "blood-pressure", "severity": "warning", "when": {"missing_for": "P2D"}}
    (episode,) = [one for one in try_out(pma, a_care_plan(silent))[1]["episodes"] if one["resolved_at"]][:1]
    assert (episode["rule"], episode["category"], episode["observation"]) == ("silent", "technical", None)


def test_p5_what_consent_does_not_cover_is_not_tried(pma: InProcess) -> None:
    store(ago(2, 190), ago(24 * 70, 190))
    assert try_out(pma, a_care_plan(), days=100)[1]["readings"] == 1
    _, subject, _ = pma.call("GET", S)
    withdrawn = {name: subject[name] for name in ("programmes", "time_zone", "language")} | {
        "consent": subject["consent"] | {"withdrawn_at": now().isoformat()}
    }
    assert pma.call("PUT", S, withdrawn)[0] == 200
    assert try_out(pma, a_care_plan())[1]["readings"] == 0


def test_of_a_subject_without_any_plan_the_tried_one_is_judged_alone(pma: InProcess) -> None:
    _, subject, _ = pma.call("GET", S)
    pma.call("PUT", S, {name: subject[name] for name in ("time_zone", "language", "consent")} | {"programmes": []})
    store(ago(2, 190))
    _, found = try_out(pma, a_care_plan())
    assert (found["alerts"], found["current"]) == (
        1,
        {"alerts": 0, "at_night": 0, "needing_a_human": 0, "plan_version": None},
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"plan": a_care_plan(a_rule(kind="mood"))}, "/plan/rules/0/kind"),
        ({"plan": a_care_plan() | {"colour": "red"}}, "/plan/colour"),
        ({"days": 0}, "/days"),
        ({"days": 401}, "/days"),
    ],
    ids=["an unknown kind", "an unknown field", "no day", "longer than readings are kept"],
)
def test_r84_what_cannot_be_tried_is_refused(pma: InProcess, change: dict[str, Any], field: str) -> None:
    status, problem = try_out(pma, **{"plan": a_care_plan()} | change)
    assert (status, [one["field"] for one in problem["field"]]) == (422, [field])
