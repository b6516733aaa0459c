"""Which derived values a subject has: until now for a summary, and of whole weeks for the hospital's record.

Nothing derived is kept: a value is worked out when it is asked for or sent (docs/decisions/0031). A subject's week is
over some hours after its Sunday, each subject's at its own minute, so that no midnight brings everybody's at once.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from domain.codes import KINDS
from domain.delivery import shard
from domain.derived import FORMS, PREGNANCY, USUAL, Bands, Derived, derive, ending, until_now
from domain.enrolment import Subject
from domain.observation import Observation

MOST_READINGS = 45 * 24 * 60
"""Of a kind: a sensor that measures every minute for longer than any period here."""

_WEEK = timedelta(days=7)
_DRIFT = timedelta(days=2)  # rows stand by the device's time, and count by when they were measured
_MINUTES_A_DAY = 24 * 60


class Past(Protocol):
    """A subject's readings, by the device's time (adapters/observations.py)."""

    def between(
        self,
        organisation: str,
        subject: str,
        *,
        from_at: datetime,
        to_at: datetime,
        most: int,
        kinds: Collection[str] = ...,
    ) -> Sequence[Observation]: ...


def summary(subject: Subject, *, past: Past, now: datetime) -> list[Derived]:
    """The derived values of `subject` as they stand, of the kinds that were measured within twice their period."""
    zone = ZoneInfo(subject.time_zone)
    found = []
    for kind, form in FORMS.items():
        back = timedelta(days=form.days * (1 if form.of is None else 2))
        readings = _read(subject, kind, now - back, now, past)
        newest_at = max((one.measured_at for one in readings), default=None)
        one = derive(kind, readings, until_now(kind, now, newest_at, zone), zone, _bands(subject))
        if one is not None:
            found.append(one)
    return found


def of_week(kind: str, subject: Subject, last: date, *, past: Past) -> Derived | None:
    """The derived value of the period whose last local day is `last`; None if nothing was measured in it."""
    zone = ZoneInfo(subject.time_zone)
    period = ending(kind, last, zone)
    return derive(kind, _read(subject, kind, *period, past), period, zone, _bands(subject))


def closed(subject: Subject, now: datetime) -> date:
    """The Sunday of the subject's newest week that is over."""
    early = now - timedelta(minutes=shard(subject.id, _MINUTES_A_DAY))
    today = early.astimezone(ZoneInfo(subject.time_zone)).date()
    return today - timedelta(days=today.weekday() + 1)


def weeks_since(subject: Subject, newest: date) -> Iterator[date]:
    """The weeks to tell of, up to `newest`, oldest first: those since the last that was told of, a month's at most."""
    last = max(newest - 4 * _WEEK, subject.told_to + _WEEK) if subject.told_to else newest
    while last <= newest:
        yield last
        last += _WEEK


def touched(kind: str, day: date, newest: date) -> Iterator[date]:
    """The weeks that are over whose value of `kind` a reading measured on `day` belongs to."""
    last = day + timedelta(days=6 - day.weekday())
    while last <= newest and day > last - timedelta(days=FORMS[kind].days):
        yield last
        last += _WEEK


def derived_from(kind: str) -> list[str]:
    """The derived values that a reading of `kind` has a part in."""
    return [name for name, form in FORMS.items() if form.of in (None, kind)]


def _read(subject: Subject, kind: str, from_at: datetime, to_at: datetime, past: Past) -> Sequence[Observation]:
    of = FORMS[kind].of
    return past.between(
        subject.organisation,
        subject.id,
        from_at=from_at - _DRIFT,
        to_at=to_at + _DRIFT,
        most=MOST_READINGS,
        kinds=tuple(KINDS) if of is None else (of,),
    )


def _bands(subject: Subject) -> Bands:
    return PREGNANCY if "pregnancy" in subject.programmes else USUAL
