"""A small story of alerts, played by the real engine: what docs/alerts.md tells, and its charts show.

A scene is a care plan's rules, readings and what people do. `play` folds `domain.alert.step` over them as evaluate and
the clock would, so a chart shows what the engine does and cannot say anything else.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from domain.alert import Acknowledge, Alert, Decision, Episode, Event, Resolve, Snooze, State, Tick, step
from domain.care_plan import parse_plan, plan_of
from domain.codes import KINDS
from domain.observation import Observation

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
"""A Monday morning; `minutes` of a scene count from here."""

TICK = 5
_OPEN = 1e9
_DEVICE, _ORGANISATION, _SUBJECT = "D-1", "clinic", "S-1"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device showed `at` so many minutes; it arrives then, or `late` minutes afterwards."""

    at: float
    shown: float
    late: float = 0
    flags: tuple[str, ...] = ()
    auxiliary: bool = False
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody does something about the alert of `rule`. `until` is in minutes."""

    at: float
    does: str
    rule: str
    until: float = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """`kind` and `value` are what is drawn; a rule may leave them out and has them from here."""

    name: str
    kind: str
    value: str
    rules: tuple[Mapping[str, Any], ...]
    readings: tuple[Reading, ...]
    until: float
    people: tuple[Person, ...] = ()
    quiet_hours: tuple[str, str] | None = None
    bounds: tuple[float, ...] = ()
    days: bool = False


@dataclass(slots=True)
class Told:
    """People were told of a rule at so many minutes: what, of which severity."""

    at: float
    rule: str
    what: str
    severity: str


@dataclass(slots=True)
class Span:
    """A rule's episode stood in `stage` from … to … minutes."""

    rule: str
    stage: str
    severity: str
    start: float
    end: float
    shown: bool


@dataclass(slots=True)
class Played:
    """What became of a scene: for each reading why nobody was told, by rule (None: somebody was); tellings; stages."""

    whys: list[dict[str, str | None]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """The same for as long as the engine does the same."""
        facts = [self.whys, [_facts(one) for one in self.told], [_facts(one) for one in self.spans]]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _facts(one: Told | Span) -> list[Any]:
    return [getattr(one, name) for name in one.__dataclass_fields__]


def moment(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def play(scene: Scene) -> Played:
    """Fold the engine over the scene, with the clock's ticks between its events."""
    document: dict[str, Any] = {
        "author": "doc-12",
        "effective_from": (START - timedelta(days=1)).isoformat(),
        "rules": [_rule(scene, one) for one in scene.rules],
    }
    if scene.quiet_hours is not None:
        document["quiet_hours"] = dict(zip(("from", "to"), scene.quiet_hours, strict=True))
    plan = plan_of(parse_plan(document, "1"), ZoneInfo("UTC"), since=START)
    known: dict[str, Alert] = {}
    played, state = Played([{} for _ in scene.readings]), State()
    for at, event in _events(scene):
        happens = event if not isinstance(event, Person) else _asked(event, known)
        if happens is None:
            continue
        before = state
        state, decisions, alerts = step(state, happens, plan, moment(at))
        known |= {alert.rule: alert for alert in alerts}
        _note(played, happens, at, decisions, alerts)
        _stages(played, before, state, at)
    for span in played.spans:
        span.end = min(span.end, scene.until)
    return played


def _rule(scene: Scene, rule: Mapping[str, Any]) -> dict[str, Any]:
    whole = {"id": "rule", "severity": "warning", **rule}
    if {"all_of", "any_of", "not"}.isdisjoint(whole["when"]):
        whole = {"kind": scene.kind, "value": scene.value, **whole}
    if "missing_for" in whole["when"]:
        del whole["value"]
    return whole


def _events(scene: Scene) -> list[tuple[float, Any]]:
    heard: dict[str, datetime] = {}
    readings = [(one.at + one.late, 0, _observation(scene, one)) for one in scene.readings]
    people = [(one.at, 1, one) for one in scene.people]
    ticks = [(float(at), 2, None) for at in range(0, int(scene.until) + 1, TICK)]
    found: list[tuple[float, Any]] = []
    for at, _, what in sorted([*readings, *people, *ticks], key=lambda one: one[:2]):
        if isinstance(what, Observation):
            heard[what.kind] = moment(at)
        found.append((at, what or Tick(_ORGANISATION, _SUBJECT, dict(heard))))
    return found


def _observation(scene: Scene, one: Reading) -> Observation:
    kind = one.kind or scene.kind
    value = scene.value if kind == scene.kind else next(iter(KINDS[kind].values))
    return Observation(
        id=str(scene.readings.index(one)),
        organisation=_ORGANISATION,
        subject=_SUBJECT,
        device=_DEVICE,
        thing=_DEVICE,
        kind=kind,
        values={value: Decimal(str(one.shown))},
        measured_at=moment(one.at),
        device_time=moment(one.at),
        received_at=moment(one.at + one.late),
        flags=one.flags,
        device_class="auxiliary" if one.auxiliary else "medical",
    )


def _asked(person: Person, known: Mapping[str, Alert]) -> Event | None:
    alert = known.get(person.rule)
    if alert is None:
        return None
    about = _ORGANISATION, _SUBJECT, alert.id, alert.version, "doc-12"
    if person.does == "acknowledges":
        return Acknowledge(*about)
    if person.does == "snoozes":
        return Snooze(*about, moment(person.until), "at dialysis")
    return Resolve(*about, "seen at home")


def _note(played: Played, event: Event, at: float, decisions: Sequence[Decision], alerts: Sequence[Alert]) -> None:
    if isinstance(event, Observation):
        whys = {one.rule: one.why for one in decisions if one.rule is not None and not one.by_clock}
        played.whys[int(event.id)] |= whys
    played.told += [Told(at, one.rule, one.told, one.severity) for one in alerts if one.told is not None]


def _stages(played: Played, before: State, after: State, at: float) -> None:
    for rule in sorted({*before.episodes, *after.episodes}):
        was, now = _look(before.episodes.get(rule)), _look(after.episodes.get(rule))
        if was == now:
            continue
        if was is not None:
            next(one for one in reversed(played.spans) if one.rule == rule).end = at
        if now is not None:
            stage, severity, shown = now
            played.spans.append(Span(rule, stage, severity, at, _OPEN, shown))


def _look(episode: Episode | None) -> tuple[str, str, bool] | None:
    """What a chart shows of an episode; None while there is none."""
    if episode is None or episode.stage == "idle":
        return None
    return episode.stage, episode.severity, episode.alert is not None
