"""Technical alerts: what is wrong is not the patient but a plan that does not read, silence, or a device."""

from collections.abc import Container
from dataclasses import replace
from decimal import Decimal

from domain.care_plan import Persistence, Rule
from domain.episode import BREACH, IDLE, BatteryTold, Episode, Tick, milliseconds, moment
from domain.observation import Observation
from domain.persistence import persisted
from domain.plan_language import Severity
from domain.turn import PLAN_UNREADABLE, Turn

NO_DATA = "no-data."
"""… of the rule that nothing of a kind arrives that could be repeated; the kind follows."""

DEVICE_FAULT = "device-fault."
"""… of the rule that a device says of itself, time and again, that it is broken; its serial follows."""

LOW_BATTERY = "battery-low."
"""… of the rule that a device's battery is nearly empty; its serial follows."""

NEARLY_EMPTY = Decimal(15)
"""Percent of a battery (an engineering proposal)."""

FAULTS = frozenset({"device-fault", "equipment-malfunction", "sensor-malfunction", "sensor-error"})
"""Flags by which a device says that it is broken, rather than that it was used badly."""

_THREE_TIMES = Persistence(readings=3, of=3)
_OWN = (NO_DATA, DEVICE_FAULT, LOW_BATTERY)


def check_plan(turn: Turn) -> None:
    """A care plan that does not read is a technical alert for as long as templates judge in its place (R45)."""
    before = turn.episodes.get(PLAN_UNREADABLE)
    unreadable = turn.plan.unreadable
    if before is None and unreadable is not None:
        seen = turn.event if isinstance(turn.event, Observation) else None
        kind = next(iter(turn.plan.rules), "") if seen is None else seen.kind
        rule = _rule(PLAN_UNREADABLE, kind, PLAN_UNREADABLE, "warning", unreadable)
        turn.keep(PLAN_UNREADABLE, IDLE, turn.technical(rule, unreadable, () if seen is None else (seen.id,)))
    elif before is not None and unreadable is None:
        _over(turn, PLAN_UNREADABLE, before)


def miss(turn: Turn, tick: Tick) -> None:
    """Raise what has not arrived for too long; a kind that was never heard, since the plan is in force."""
    local = moment(turn.now).astimezone(turn.plan.zone)
    for rule in turn.plan.missing:
        heard = tick.heard.get(rule.kind, turn.plan.since)
        if heard is None or rule.missing_for is None or rule.id in turn.episodes:
            continue
        if turn.now - milliseconds(heard) > rule.missing_for and (rule.active is None or rule.active.covers(local)):
            turn.keep(rule.id, IDLE, turn.technical(rule, str(turn.now)))


def hear(turn: Turn, observation: Observation) -> None:
    """Whatever arrives of a kind ends that it was missing, however old or poor: it is the silence that is over."""
    for rule in turn.plan.missing:
        before = turn.episodes.get(rule.id)
        if rule.kind == observation.kind and before is not None:
            _over(turn, rule.id, before)


def no_data(turn: Turn, rule: Rule) -> None:
    """What cannot be repeated, since nothing was measured that would still say so, is that nothing was measured."""
    name = NO_DATA + rule.kind
    known = any(one.id in turn.episodes for one in turn.plan.missing if one.kind == rule.kind)
    if not known and name not in turn.episodes:
        severity: Severity = "info" if rule.severity == "info" else "warning"
        silence = _rule(name, rule.kind, "missing_for", severity, rule.plan_version)
        turn.keep(name, IDLE, turn.technical(silence, f"{rule.id}/{turn.now}"))


def data_again(turn: Turn, lacking: Container[str]) -> None:
    """… for as long as an alert of one of the kinds `lacking` still cannot be repeated."""
    for name, before in list(turn.episodes.items()):
        if name.startswith(NO_DATA) and name.removeprefix(NO_DATA) not in lacking:
            _over(turn, name, before)


def check_device(turn: Turn, observation: Observation) -> None:
    """Tell of a device that says three times running that it is broken, or that its battery is nearly empty."""
    fault = DEVICE_FAULT + observation.device
    broken = not FAULTS.isdisjoint(observation.flags)
    if broken or fault in turn.episodes:
        _watch_fault(turn, fault, observation, broken=broken)
    name = LOW_BATTERY + observation.device
    before = turn.episodes.get(name)
    if "battery-low" in observation.flags:
        if before is None:
            rule = _rule(name, observation.kind, "battery", "info", "")
            turn.keep(name, IDLE, turn.technical(rule, observation.id, (observation.id,)))
    elif before is not None and before.counted and milliseconds(observation.received_at) > before.arrived:
        _over(turn, name, before)


def check_battery(turn: Turn, told: BatteryTold) -> None:
    """… by a device's status: what a status has told of, only a status ends."""
    name = LOW_BATTERY + told.device
    before = turn.episodes.get(name)
    if before is None and told.battery < NEARLY_EMPTY:
        turn.keep(name, IDLE, turn.technical(_rule(name, "", "battery", "info", ""), str(turn.now)))
    elif before is not None and told.battery >= NEARLY_EMPTY:
        _over(turn, name, before)


def _watch_fault(turn: Turn, name: str, observation: Observation, *, broken: bool) -> None:
    before = turn.episodes.get(name, IDLE)
    at = milliseconds(observation.measured_at)
    if before.alert is not None:
        if not broken and at > before.opened[0]:
            _over(turn, name, before)
        return
    entry = at, observation.id, BREACH if broken else 0
    entries, run, _ = persisted(_THREE_TIMES, before.entries, entry, turn.now)
    if run:
        rule = _rule(name, observation.kind, "device", "warning", "")
        counted = tuple(one for _, one, _ in run)
        turn.keep(name, before, turn.technical(rule, observation.id, counted))
    else:
        turn.keep(name, before, replace(before, entries=entries))


def is_gone(turn: Turn, name: str) -> bool:
    """True of an episode whose rule the plan no longer has."""
    return name not in turn.plan.by_id and name != PLAN_UNREADABLE and not name.startswith(_OWN)


def _over(turn: Turn, name: str, before: Episode) -> None:
    """… and may be raised anew; until then, what a person has resolved stays so."""
    if before.stage != "idle":
        turn.end(before, "recovered", turn.now, "resolved")
    turn.keep(name, before, IDLE)


def _rule(name: str, kind: str, value: str, severity: Severity, plan_version: str) -> Rule:
    return Rule(name, kind, value, severity, name, plan_version, fresh_for=0)
