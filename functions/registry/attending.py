"""What people do about an alert: the same step function as readings move, written on the same condition. No AWS."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from domain.alert import Alert, Event, Monitored, State, is_stale, step
from domain.care_plan import Programme, plan_for
from domain.delivery import may_leave
from domain.errors import AlertOver, NotFound, StaleVersion
from functions.registry.service import persistent

Who: TypeAlias = tuple[str, str]


class Queue(Protocol):
    def find(self, organisation: str, alert: str) -> Alert | None: ...


class Episodes(Protocol):
    """Where subjects stand; `write` raises LostRace unless the stored state is at version `after`."""

    def read(self, subjects: Iterable[Who]) -> Mapping[Who, Monitored]: ...
    def write(
        self,
        who: Who,
        state: State,
        alerts: Sequence[Alert],
        *,
        after: int,
        now: datetime,
        received_at: datetime,
    ) -> None: ...


@persistent
def attend(
    organisation: str,
    alert: str,
    version: int,
    event_of: Callable[[Alert], Event],
    *,
    queue: Queue,
    episodes: Episodes,
    programmes: Mapping[str, Programme],
    now: datetime,
) -> Alert:
    """The alert as it is after what its actor did, who had seen `version`. Done again, nothing changes.

    Raises NotFound, StaleVersion when it has grown worse since (R57), AlertOver.
    """
    found = queue.find(organisation, alert)
    if found is None:
        raise NotFound("no such alert")
    who = organisation, found.subject
    known = episodes.read([who])[who]
    here = _open(known, alert)
    if known.subject is None or here is None:
        raise AlertOver("the alert is over: nobody needs to attend to it any more")
    if is_stale(here, version):
        raise StaleVersion("it has grown worse since you read it: look again")
    plan = plan_for(known.subject, known.plans, programmes, now)
    state, _, changed = step(known.state, event_of(here), plan, now)
    if state is not known.state:
        episodes.write(who, state, changed, after=known.version, now=now, received_at=now)
    return next((one for one in reversed(changed) if one.id == alert), here)


def _open(known: Monitored, alert: str) -> Alert | None:
    """The alert as the engine has it: only an open one, and only while the subject may be monitored (P5)."""
    if not may_leave(known.subject):
        return None
    shown = (episode.alert for episode in known.state.episodes.values())
    return next((one for one in shown if one is not None and one.id == alert), None)
