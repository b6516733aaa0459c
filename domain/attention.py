"""Whose attention an alert has: who took it on, who silenced it, what is held back, and what is repeated."""

from dataclasses import replace
from datetime import timedelta

from domain.care_plan import Rule
from domain.episode import (
    IDLE,
    LONGEST_SNOOZE,
    Acknowledge,
    Acknowledged,
    Episode,
    Resolve,
    Snooze,
    Snoozed,
    Told,
    is_stale,
    milliseconds,
    moment,
)
from domain.technical import data_again, no_data
from domain.turn import Turn

_LONGEST = LONGEST_SNOOZE // timedelta(milliseconds=1)


def acknowledge(turn: Turn, asked: Acknowledge) -> None:
    """Take an alert on, once; who has seen only what was less severe is not heard (R57)."""
    name, episode = _asked(turn, asked.alert, asked.version)
    if episode.alert is not None and episode.alert.acknowledged is None:
        taken = Acknowledged(asked.actor, asked.version, moment(turn.now))
        turn.keep(name, episode, turn.publish(episode, None, acknowledged=taken))


def snooze(turn: Turn, asked: Snooze) -> None:
    """Tell nobody of the alert's family at its severity or below until then; when it is over, they hear again.

    A silence that nobody signed, or gave no reason for, is none (C5).
    """
    name, episode = _asked(turn, asked.alert, asked.version)
    if episode.alert is None or not asked.actor or not asked.reason:
        return
    until = min(milliseconds(asked.until), turn.now + _LONGEST)
    family = episode.alert.family
    snoozes = {each: one for each, one in turn.snoozes.items() if each != family and turn.now < one.until}
    if until > turn.now:
        snoozes[family] = Snoozed(until, episode.alert.severity, asked.actor, asked.reason)
    if snoozes == turn.snoozes:
        return
    turn.snoozes = snoozes
    if until > turn.now:
        after = replace(episode, owed=episode.owed or "repeated")
        turn.keep(name, episode, turn.publish(after, None, snoozed_until=moment(until)))
    else:
        after = replace(episode, owed=None if episode.owed == "repeated" else episode.owed)
        turn.keep(name, episode, turn.publish(after, None, snoozed_until=None))


def resolve(turn: Turn, asked: Resolve) -> None:
    name, episode = _asked(turn, asked.alert, asked.version)
    if episode.alert is not None:
        turn.keep(name, episode, turn.end(episode, "ended", turn.now, "resolved", by=asked.actor))


def _asked(turn: Turn, alert: str, version: int) -> tuple[str, Episode]:
    """The episode of that alert, if it is open and nothing worse has come since that version."""
    for name, episode in turn.episodes.items():
        if episode.alert is not None and episode.alert.id == alert and not is_stale(episode.alert, version):
            return name, episode
    return "", IDLE


def remind(turn: Turn) -> None:
    """Tell what a snooze or quiet hours held back, and repeat what stands; of stale data, that none came (C22)."""
    lacking: set[str] = set()
    for name, before in list(turn.episodes.items()):
        alert, rule = before.alert, turn.plan.by_id.get(name)
        if alert is None or before.stage != "active" or alert.acknowledged is not None or turn.is_told(alert):
            continue
        told = before.owed or _due(turn, rule, before)
        silent = told is None or turn.silent(alert) is not None
        if told == "repeated" and rule is not None and turn.now - before.last[0] > rule.fresh_for:
            lacking.add(rule.kind)
            if not silent:
                no_data(turn, rule)
        elif told is not None and not silent:
            repeats = before.repeats + (before.owed is None)
            after = turn.publish(replace(before, repeats=repeats), told, again=True, snoozed_until=None)
            turn.keep(name, before, after)
            turn.decide(name, alert.plan_version, before, after, None)
    data_again(turn, lacking)


def _due(turn: Turn, rule: Rule | None, episode: Episode) -> Told | None:
    """A rule may ask for reminders until somebody takes the alert on, but not for ever (C7)."""
    if rule is None or rule.repeat is None or episode.repeats >= rule.repeat.at_most:
        return None
    return "repeated" if turn.now - episode.told_at >= rule.repeat.every else None
