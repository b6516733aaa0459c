"""A subject's state as it is stored: JSON with the version of its format."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from domain.episode import IDLE, Acknowledged, Alert, Episode, Snoozed, State
from domain.tally import Day, Tally, mark_of, summed, tally_of
from domain.trend import Place, Point

STATE_FORMAT = 2
"""Format 1 had points in place of sums."""


def dump(state: State) -> str:
    """`state` as JSON, with the version of its format; what is as in an idle episode is left out."""
    episodes = {
        rule: {name: _plain(value) for name, value in _facts(episode).items() if value != getattr(IDLE, name)}
        for rule, episode in state.episodes.items()
    }
    stored: dict[str, Any] = {"v": STATE_FORMAT, "episodes": episodes}
    if state.series:
        stored["series"] = {
            "/".join(place): [(at, name, str(value)) for at, name, value in points]
            for place, points in state.series.items()
        }
    if state.tallies:
        stored["tallies"] = {
            "/".join(place): [tally.zone, *(_packed(day) for day in tally.days)]
            for place, tally in state.tallies.items()
        }
    if state.snoozes:
        stored["snoozes"] = {
            family: [one.until, one.severity, one.actor, one.reason] for family, one in state.snoozes.items()
        }
    return json.dumps(stored, separators=(",", ":"))


def load(text: str) -> State:
    """The state that `dump` wrote. Raises ValueError for a format that this engine does not know."""
    stored = json.loads(text)
    if stored["v"] not in (1, STATE_FORMAT):
        raise ValueError(f"state of format {stored['v']}: this engine reads 1 and {STATE_FORMAT}")
    series = {_place(name): _points(points) for name, points in stored.get("series", {}).items()}
    return State(
        {rule: _episode(facts) for rule, facts in stored["episodes"].items()},
        series,
        {_place(name): _tally(*packed) for name, packed in stored.get("tallies", {}).items()}
        if stored["v"] > 1
        else {place: _summed(points) for place, points in series.items()},
        {family: Snoozed(*facts) for family, facts in stored.get("snoozes", {}).items()},
    )


def _place(name: str) -> Place:
    kind, _, value = name.partition("/")
    return kind, value


def _points(stored: list[list[Any]]) -> tuple[Point, ...]:
    return tuple((at, name, Decimal(value)) for at, name, value in stored)


def _packed(day: Day) -> tuple[int, int, int, str, str]:
    return day.start, day.newest - day.start, day.number, str(day.total), day.readings


def _tally(zone: str, *packed: list[Any]) -> Tally:
    days = (
        Day(start, start + after, count, Decimal(total), readings) for start, after, count, total, readings in packed
    )
    return summed(zone, days)


def _summed(points: tuple[Point, ...]) -> Tally:
    """What a state of format 1 knew of a series, by the days of no zone in particular."""
    return tally_of(((at, mark_of(name), value) for at, name, value in points), ZoneInfo("UTC"))


def _facts(episode: Episode) -> dict[str, Any]:
    return {name: getattr(episode, name) for name in Episode.__dataclass_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, Alert | Acknowledged):
        return value
    facts = {name: getattr(value, name) for name in value.__dataclass_fields__ if name not in ("tell", "told")}
    return {name: _plain(fact) for name, fact in facts.items() if fact is not None}


def _episode(facts: dict[str, Any]) -> Episode:
    """An episode from its JSON: lists become tuples, and texts times."""
    for name in ("opened", "last", "counted", "since"):
        if name in facts:
            facts[name] = tuple(facts[name])
    if "entries" in facts:
        facts["entries"] = tuple((at, name, verdict) for at, name, verdict in facts["entries"])
    if "alert" in facts:
        facts["alert"] = _alert(facts["alert"])
    return Episode(**facts)


def _alert(facts: dict[str, Any]) -> Alert:
    taken = facts.get("acknowledged")
    times = {name: datetime.fromisoformat(facts[name]) for name in ("raised_at", "snoozed_until") if name in facts}
    return Alert(
        **{"outcome": None, "resolved_at": None}
        | facts
        | times
        | {
            "observations": tuple(facts["observations"]),
            "acknowledged": taken and Acknowledged(**taken | {"at": datetime.fromisoformat(taken["at"])}),
        }
    )
