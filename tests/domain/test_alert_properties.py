"""What holds of the engine for every order, every repeat and every restart, whatever people, plans and clocks do."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.alert import (
    Acknowledge,
    Alert,
    BatteryTold,
    ConsentWithdrawn,
    Event,
    PlanChanged,
    Recalled,
    Resolve,
    Snooze,
    State,
    Tick,
    dump,
    load,
    step,
)
from domain.observation import Observation
from domain.plan_language import RANK
from tests.builders import ORGANISATION, SUBJECT, a_rule
from tests.lives import Life, a_plan, at, bound, reading

WHO = (ORGANISATION, SUBJECT)
BAND: dict[str, Any] = {"device_class": "auxiliary", "device": "BAND-1"}
CRISIS = a_rule(id="crisis", family="pressure-high")
HIGH = a_rule(id="high", severity="warning", family="pressure-high", when={"at_or_above": bound(135)})
LOW = a_rule(id="low", severity="warning", when={"below": bound(90)})
CALM = a_rule(id="crisis", clear={"below": bound(170), "for": "PT30M"})
ASK = {"readings": 2, "within": "PT10M", "ask_again": True}
HOLD = {"readings": 2, "within": "PT10M"}
FALLING = a_rule(
    id="falling", severity="warning", when={"rate_below": {"value": -20, "unit": "mm[Hg]", "over": "PT20M"}}
)  # fmt: skip
MEAN = a_rule(
    id="mean", severity="warning", when={"average_at_or_above": {"value": 135, "unit": "mm[Hg]", "over": "PT40M"}}
)  # fmt: skip
SILENT = {"id": "silent", "kind": "blood-pressure", "severity": "warning", "when": {"missing_for": "PT20M"}}
REPEAT = {"every": "PT15M", "at_most": 3}

PLANS = {
    "apart": a_plan(CRISIS, LOW, a_rule(id="high", severity="warning", when={"at_or_above": bound(135)})),
    "single": a_plan(CRISIS, HIGH, LOW),
    "calm": a_plan(CALM, HIGH | {"clear": {"below": bound(130), "for": "PT20M"}}),
    "persisting": a_plan(a_rule(persist={"for": "PT15M"}), HIGH | {"persist": {"readings": 2, "of": 3}}),
    "confirming": a_plan(CRISIS | {"confirm": ASK}, HIGH | {"confirm": HOLD}, LOW),
    "attended": a_plan(
        CRISIS | {"repeat": REPEAT, "fresh_for": "PT20M"},
        HIGH | {"repeat": REPEAT},
        LOW,
        quiet_hours={"from": "13:20", "to": "13:40"},
    ),
    "averaged": a_plan(MEAN, CRISIS | {"confirm": ASK}, LOW),
    "watched": a_plan(FALLING, CRISIS | {"confirm": ASK}, LOW, SILENT),
}

SYSTOLIC = st.sampled_from([80, 120, 128, 140, 165, 175, 180, 190, 220])
READINGS = st.lists(
    st.builds(
        lambda minute, systolic, band, flags: reading(minute, systolic, flags=flags, **(BAND if band else {})),
        st.integers(0, 60),
        SYSTOLIC,
        st.sampled_from([False, False, True]),
        st.sampled_from([(), (), (), ("movement",)]),
    ),
    max_size=12,
    unique_by=lambda one: one.measured_at,
)
ANY_PLAN = st.sampled_from(sorted(PLANS))


def fold(plan: str, readings: Iterable[Observation], now: datetime | None = None) -> Life:
    life = Life(PLANS[plan])
    for one in readings:
        life.read(one, now)
    return life


def in_order(readings: Sequence[Observation]) -> list[Observation]:
    return sorted(readings, key=lambda one: one.measured_at)


def worst(life: Life) -> dict[str, int]:
    """How severe the worst is that was told of each family (which reading raises it depends on the order)."""
    found: dict[str, int] = {}
    for alert in life.versions:
        if alert.told:
            found[alert.family] = max(found.get(alert.family, -1), RANK[alert.severity])
    return found


@settings(deadline=None)
@given(READINGS, st.randoms(use_true_random=False))
def test_r6_the_order_of_arrival_changes_no_alert_of_fresh_data(readings: list[Observation], random: Any) -> None:
    """One rule a family and no persistence: then what is raised is the same in any order."""
    straight = fold("apart", in_order(readings), now=at(61))
    shuffled = list(readings)
    random.shuffle(shuffled)
    assert worst(fold("apart", shuffled, now=at(61))) == worst(straight)


@settings(deadline=None)
@given(ANY_PLAN, READINGS.map(lambda some: some[:5]), st.randoms(use_true_random=False))
def test_r6_out_of_order_nothing_is_missed(plan: str, readings: list[Observation], random: Any) -> None:
    """A run that was seen to begin only once it was over is told, but maybe less severely: it was its first reading
    that a medical device took."""
    straight = worst(fold(plan, in_order(readings), now=at(61)))
    shuffled = list(readings)
    random.shuffle(shuffled)
    found = worst(fold(plan, shuffled, now=at(61)))
    least = RANK["info"] if plan == "persisting" else RANK["critical"]
    assert all(found.get(family, -1) >= min(severity, least) for family, severity in straight.items())


@settings(deadline=None)
@given(ANY_PLAN, READINGS, st.data())
def test_repeating_an_event_changes_nothing(plan: str, readings: list[Observation], data: st.DataObject) -> None:
    life = fold(plan, in_order(readings), now=at(61))
    for one in data.draw(st.lists(st.sampled_from(readings), max_size=5)) if readings else ():
        before, told = life.state, len(life.told)
        life.read(one, now=at(61))
        assert (life.state, len(life.told)) == (before, told)


@settings(deadline=None)
@given(ANY_PLAN, READINGS, st.data())
def test_repeating_what_came_out_of_order_tells_nothing_that_order_would_not_have_told(
    plan: str, readings: list[Observation], data: st.DataObject
) -> None:
    """An idle rule does not remember normal readings: a repeat may bring one that was forgotten, and what it shows."""
    life = fold(plan, readings, now=at(61))
    told, straight = worst(life), worst(fold(plan, in_order(readings), now=at(61)))
    for one in data.draw(st.lists(st.sampled_from(readings), max_size=5)) if readings else ():
        life.read(one, now=at(61))
    for family, severity in worst(life).items():
        assert severity <= max(told.get(family, -1), straight.get(family, -1))


@settings(deadline=None)
@given(ANY_PLAN, READINGS, st.integers(0, 60), st.sampled_from([190, 220]))
def test_r49_adding_a_worse_reading_never_removes_a_notification(
    plan: str, readings: list[Observation], minute: int, systolic: int
) -> None:
    """Every family of which it is worse is still told, at least as severely; a high may end a low of quiet hours."""
    before = worst(fold(plan, in_order(readings)))
    added = [one for one in readings if one.measured_at != at(minute)] + [reading(minute, systolic)]
    after = worst(fold(plan, in_order(added)))
    kept = before if len(added) > len(readings) else {}
    assert all(after.get(family, -1) >= severity for family, severity in kept.items() if family.endswith("high"))


@settings(deadline=None)
@given(ANY_PLAN, READINGS)
def test_a_state_survives_being_written(plan: str, readings: list[Observation]) -> None:
    straight, restarted = Life(PLANS[plan]), Life(PLANS[plan])
    for one in readings:
        straight.read(one)
        restarted.state = load(dump(restarted.state))
        restarted.read(one)
        assert restarted.state == straight.state
        assert load(dump(straight.state)) == straight.state
    assert restarted.told == straight.told


@settings(deadline=None)
@given(ANY_PLAN, READINGS)
def test_every_reading_has_a_decision_that_says_why_nobody_was_told(plan: str, readings: list[Observation]) -> None:
    life = Life(PLANS[plan])
    for one in readings:
        told = len(life.told)
        life.read(one)
        assert not all(decision.by_clock for decision in life.decisions)
        assert len(life.told) > told or all(decision.why for decision in life.decisions)


def standing(state: State) -> tuple[Any, ...]:
    """All of a state but what idle rules remember: they may forget what is over for so long that it is stale."""
    return (
        {name: one for name, one in state.episodes.items() if one.stage != "idle"},
        state.series,
        state.tallies,
        state.snoozes,
    )


class Watched(RuleBasedStateMachine):
    """Anything happens to one subject, in any order: to an engine that lives on, and to one that forgets all but its
    written state. Whatever happened happens at once again, and changes nothing."""

    @initialize(name=st.sampled_from(sorted(PLANS)))
    def begin(self, name: str) -> None:
        self.life = Life(PLANS[name])
        self.minute = 0.0
        self.number = 0
        self.arrived: datetime | None = None
        self.measured: list[Observation] = []

    def happen(self, event: Event) -> None:
        self.minute += 0.1
        before, known = self.life.state, len(self.life.versions)
        self.life.happen(event, self.minute)
        written = load(dump(self.life.state))
        assert written == self.life.state
        again, _, alerts = step(load(dump(before)), event, self.life.plan, at(self.minute))
        assert again == self.life.state, "a restart changed what became of it"
        assert alerts == self.life.versions[known:]
        again, _, alerts = step(self.life.state, event, self.life.plan, at(self.minute))
        assert (standing(again), alerts) == (standing(self.life.state), []), "it happened again"

    @rule(
        systolic=SYSTOLIC,
        after=st.floats(0.1, 30),
        late=st.sampled_from([0.0, 0.0, 3.0, 20.0, 600.0]),
        band=st.booleans(),
        flags=st.sampled_from([(), (), (), ("movement",), ("device-fault",), ("battery-low",)]),
    )
    def measure(self, systolic: int, after: float, late: float, band: bool, flags: tuple[str, ...]) -> None:
        self.minute += after
        self.number += 1
        self.arrived = at(self.minute + 0.1)
        facts: dict[str, Any] = {"id": f"o-{self.number}", "received_at": self.arrived, "flags": flags}
        one = reading(self.minute - late, systolic, **facts | (BAND if band else {}))
        self.measured.append(one)
        newest = {name: one.last for name, one in self.life.state.episodes.items() if one.stage != "idle"}
        open_before = self.open()
        self.happen(one)
        for alert in open_before:
            now = self.life.alerts[alert.id]
            older = (round(one.measured_at.timestamp() * 1000), one.id) <= newest[now.rule]
            if older and now.category == "physiological":
                assert now.outcome != "resolved", "C21: an old reading closed an alert"
        if late > 360:
            told = [one for one in self.life.decisions if one.why is None and not one.by_clock and one.rule]
            assert not told, "C20: a late reading told somebody"

    def open(self) -> list[Alert]:
        return [alert for alert in self.life.alerts.values() if alert.state != "resolved"]

    @rule(after=st.floats(0.1, 60))
    def wait(self, after: float) -> None:
        self.minute += after
        heard = {} if self.arrived is None else {"blood-pressure": self.arrived}
        self.happen(Tick(*WHO, heard))

    @rule(which=st.integers(0, 9), behind=st.integers(0, 2), what=st.sampled_from(["ack", "snooze", "resolve", "wake"]))
    def attend(self, which: int, behind: int, what: str) -> None:
        if not self.open():
            return
        alert = self.open()[which % len(self.open())]
        seen = (*WHO, alert.id, alert.version - behind, "doc-12")
        until = {"snooze": at(self.minute + 25), "wake": at(self.minute + 0.1)}
        told = len(self.life.told)
        if what == "ack":
            self.happen(Acknowledge(*seen))
        elif what == "resolve":
            self.happen(Resolve(*seen, "seen"))
        else:
            self.happen(Snooze(*seen, until[what], "seen"))
        now = self.life.alerts[alert.id]
        if alert.version - behind < alert.worse_since:
            assert (now.acknowledged, now.snoozed_until, now.resolved_by) == (
                alert.acknowledged, alert.snoozed_until, alert.resolved_by
            ) or len(self.life.told) > told, "R57: who saw only what was less severe was heard"  # fmt: skip

    @rule(name=st.sampled_from(sorted(PLANS)))
    def change_plan(self, name: str) -> None:
        self.life.plan = PLANS[name]
        self.happen(PlanChanged(*WHO))

    @rule(back=st.integers(1, 5))
    def recall(self, back: int) -> None:
        self.happen(Recalled(*WHO, frozenset(one.id for one in self.measured[-back:])))

    @rule(battery=st.sampled_from([5, 90]))
    def tell_battery(self, battery: int) -> None:
        self.happen(BatteryTold(*WHO, "BP-00017", Decimal(battery)))

    @rule()
    def withdraw(self) -> None:
        self.happen(ConsentWithdrawn(*WHO))
        assert self.life.state == State()
        assert not self.open()

    @invariant()
    def one_open_alert_a_rule(self) -> None:
        if hasattr(self, "life"):
            open_ = [alert.rule for alert in self.open()]
            assert len(open_) == len(set(open_))
            kept = {name for name, one in self.life.state.episodes.items() if one.alert is not None}
            assert kept == set(open_)

    @invariant()
    def the_state_is_small(self) -> None:
        if hasattr(self, "life"):
            assert len(dump(self.life.state)) < 16_000

    @invariant()
    def an_auxiliary_device_alone_is_never_critical(self) -> None:
        if hasattr(self, "life"):
            for one in self.life.state.episodes.values():
                assert one.medical or one.severity != "critical"

    @invariant()
    def what_is_critical_is_owed_to_nobody(self) -> None:
        """… unless somebody has silenced it: quiet hours never do (C10)."""
        if hasattr(self, "life"):
            for one in self.life.state.episodes.values():
                if one.owed and one.severity == "critical" and one.stage == "active":
                    assert one.alert is not None
                    assert one.alert.family in self.life.state.snoozes or one.owed == "repeated"


TestWatched = Watched.TestCase
TestWatched.settings = settings(stateful_step_count=40, deadline=None)


def test_r33_a_state_is_as_small_after_a_year_as_after_a_month() -> None:
    """Every kind of rule, ten readings a day from two devices, people who snooze, faults, and nobody who tidies up."""
    plan = a_plan(
        CRISIS | {"repeat": REPEAT},
        HIGH | {"persist": {"readings": 8, "of": 12}},
        LOW | {"persist": {"for": "PT6H"}},
        FALLING,
        SILENT,
    )
    life, sizes = Life(plan), []
    for number in range(3_650):
        minute = number * 144.0
        life.read(
            reading(
                minute,
                [118, 141, 192, 85, 150, 188, 128][number * number % 7],
                device=f"BP-{number // 50 % 40}",
                flags=("device-fault",) if number % 9 == 0 else (),
            )
        )
        life.tick(minute + 60, blood_pressure=minute)
        for alert in [one for one in life.alerts.values() if one.state == "active"] if number % 5 == 0 else ():
            life.happen(Snooze(*WHO, alert.id, alert.version, "doc-12", at(minute + 90), "seen"), minute + 61)
        life.alerts = {name: one for name, one in life.alerts.items() if one.state != "resolved"}
        life.versions.clear()
        sizes.append(len(dump(life.state)))
    assert max(sizes) <= 1.2 * max(sizes[:300])
    assert max(sizes) < 16_000
