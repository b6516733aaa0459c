"""What an episode is: its stages, what moves it, what people see of it, and what a subject's state remembers.

One episode belongs to a subject and a rule:

    idle ──breach──▶ active ◀──relapse──▶ clearing ──recovered──▶ idle
      └──ask──▶ confirming ──confirmed / unanswered──▶ active
                    └──────── disproved / lapsed ────▶ idle

Acknowledging and snoozing stand beside it, never inside: they change who is told, not what is so. A person, a change of
the plan or of consent, or a recall may end it from any stage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from domain.care_plan import PlanVersion
from domain.enrolment import Attended
from domain.observation import ENTERED_IN_ERROR, RECALLED, Observation
from domain.plan_language import Severity
from domain.tally import Tally
from domain.trend import Place, Point

Stage = Literal["idle", "confirming", "active", "clearing"]
Signal = Literal[
    "breached", "asked", "confirmed", "unanswered", "disproved", "lapsed", "eased", "relapsed", "recovered", "ended"
]
Why = Literal[
    "within-limits", "persisting", "late", "artefact", "auxiliary-only", "snoozed", "quiet-hours", "same-episode",
    "inactive-hours", "recalled", "no-plan", "no-consent",
]  # fmt: skip
"""Why nobody was told (the contract's closed list)."""

Told = Literal["measure-again", "raised", "repeated"]
"""What people are told: to measure again, that an alert was raised (or has grown worse), or that it still stands."""

TRANSITIONS: dict[tuple[Stage, Signal], Stage] = {
    ("idle", "breached"): "active",
    ("idle", "asked"): "confirming",
    ("confirming", "confirmed"): "active",
    ("confirming", "unanswered"): "active",
    ("confirming", "disproved"): "idle",
    ("confirming", "lapsed"): "idle",
    ("active", "eased"): "clearing",
    ("active", "recovered"): "idle",
    ("clearing", "relapsed"): "active",
    ("clearing", "recovered"): "idle",
    ("confirming", "ended"): "idle",
    ("active", "ended"): "idle",
    ("clearing", "ended"): "idle",
}
"""The state machine. A signal that a stage does not have here leaves it as it is."""

ARTEFACTS = frozenset(
    {"movement", "cuff-loose", "improper-position", "poor-contact", "signal-loss", "maternal-confusion", "sensor-error"}
    | {"sensor-malfunction", "device-fault", "equipment-malfunction", "calibration-ongoing", "measurement-questionable"}
    | {"sample-insufficient", "strip-insertion-error", "strip-type-incorrect", "read-interrupted"}
    | {"sensor-type-incorrect", "sensor-too-hot", "sensor-too-cold", "sensor-unconnected", "sensor-displaced"}
    | {"sensor-disconnected", "sensor-interference", "signal-irregular", "signal-inadequate", "signal-poor"}
    | {"signal-erratic", "signal-nonpulsatile", "statistic", "not-blood"}
)
"""Flags of a reading that is no evidence either way: it neither alerts nor clears."""

ENGINE_VERSION = 2

BREACH, RECOVERY, MEDICAL = 1, 2, 4

Key: TypeAlias = tuple[int, str]
"""`(measured at, in milliseconds since 1970; observation id)`: a total order of readings, whatever they arrive in."""

Entry: TypeAlias = tuple[int, str, int]
"""A key with its verdict: bits of breach, recovery, medical device."""


LONGEST_SNOOZE = timedelta(days=1)
"""No silence lasts longer, however far off its end was set: none is left on by mistake (R66)."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody has taken an alert on: who, when, and which version they had seen."""

    actor: str
    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """One version of an alert. `tell` are the roles to notify of this version, `told` what; both empty if none.

    `observation` is the reading that raised it, `observations` all that count towards it. `worse_since` is the version
    in which it last grew worse: who has seen only earlier ones has not seen that (R57). `resolved_by` is the person who
    ended it, None when readings did.
    """

    id: str
    version: int
    organisation: str
    subject: str
    rule: str
    kind: str
    value: str
    family: str
    severity: Severity
    category: Literal["physiological", "technical"]
    state: Literal["confirming", "active", "clearing", "resolved"]
    outcome: Literal["resolved", "not-confirmed", "withdrawn"] | None
    raised_at: datetime
    resolved_at: datetime | None
    observation: str
    observations: tuple[str, ...]
    plan_version: str
    tell: tuple[str, ...] = ()
    told: Told | None = None
    worse_since: int = 1
    acknowledged: Acknowledged | None = None
    snoozed_until: datetime | None = None
    resolved_by: str | None = None


def is_stale(alert: Alert, version: int) -> bool:
    """True when who saw `version` has not seen what the alert is now: it grew worse since, or there was no such one."""
    return not alert.worse_since <= version <= alert.version


@dataclass(frozen=True, slots=True)
class Episode:
    """Where a rule stands for a subject. While idle, `entries` gather what `persist` counts.

    `alert` is None though open: another alert of the family covers it, or its confirmation is awaited unasked.
    `over` is when the episode before ended: nothing measured before that raises again. `medical` says whether a medical
    device has shown the breach, and `proven` when the last episode ended of which that was so. `since` are the newest
    readings that still showed it, beyond those `counted`. `told_at` is when people were last told (milliseconds),
    `repeats` how often again, and `owed` what a snooze or quiet hours keep back.
    """

    stage: Stage = "idle"
    entries: tuple[Entry, ...] = ()
    opened: Key = (0, "")
    last: Key = (0, "")
    arrived: int = 0
    counted: tuple[str, ...] = ()
    medical: bool = False
    severity: Severity = "info"
    plan_version: str = ""
    clear_since: int | None = None
    over: int | None = None
    proven: int | None = None
    alert: Alert | None = None
    since: tuple[str, ...] = ()
    told_at: int = 0
    repeats: int = 0
    owed: Told | None = None


IDLE = Episode()


@dataclass(frozen=True, slots=True)
class Snoozed:
    """Nobody is told of a family up to `severity` until then (milliseconds). A silence has an author and a reason."""

    until: int
    severity: Severity
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """All episodes of one subject, by rule id; a rule that stands idle with nothing to remember is absent.

    `series` are the points that rules about a run of values look back at, oldest first, `tallies` the sums of those
    about a mean. `snoozes` are by family.
    """

    episodes: Mapping[str, Episode] = field(default_factory=dict)
    series: Mapping[Place, tuple[Point, ...]] = field(default_factory=dict)
    tallies: Mapping[Place, Tally] = field(default_factory=dict)
    snoozes: Mapping[str, Snoozed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tick:
    """The clock has moved on for a subject. `heard`: when the last reading of a kind arrived, of those that did."""

    organisation: str
    subject: str
    heard: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """`actor` takes on an alert as it was in `version`. It covers nothing worse that has come since (R57)."""

    organisation: str
    subject: str
    alert: str
    version: int
    actor: str


@dataclass(frozen=True, slots=True)
class Snooze:
    """Nobody is told of the alert's family, at its severity or below, until then; an end that is past ends a snooze."""

    organisation: str
    subject: str
    alert: str
    version: int
    actor: str
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Resolve:
    """`actor` ends an alert. What is measured from now on may raise another."""

    organisation: str
    subject: str
    alert: str
    version: int
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlanChanged:
    """Another plan is in force: what rested on rules that are gone is withdrawn. What was judged stays as it was
    until a reading shows it anew: if the plan calls that worse, people hear of it."""

    organisation: str
    subject: str


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn:
    """Monitoring has ended (P5): all alerts are withdrawn, and nothing of the subject is remembered."""

    organisation: str
    subject: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """These observations are no evidence any more, of a recalled device (P8) or not the subject's at all (R77): what
    rested on them alone is withdrawn."""

    organisation: str
    subject: str
    observations: frozenset[str]


@dataclass(frozen=True, slots=True)
class BatteryTold:
    """A device that the subject holds said how full its battery is, in percent."""

    organisation: str
    subject: str
    device: str
    battery: Decimal


Event: TypeAlias = (
    Observation | Tick | Acknowledge | Snooze | Resolve | PlanChanged | ConsentWithdrawn | Recalled | BatteryTold
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What one rule made of one event; `why` is None when somebody was told.

    `by_clock`: it was the clock or another alert that brought it about, not the reading which is judged.
    """

    rule: str | None
    plan_version: str | None
    before: Stage
    after: Stage
    why: Why | None
    by_clock: bool = False


class Monitored(NamedTuple):
    """What is known of one subject when its readings are evaluated. `version` is of the stored state, 0 if none."""

    subject: Attended | None
    plans: tuple[PlanVersion, ...]
    state: State
    version: int


def no_evidence(observation: Observation) -> Why | None:
    """Why a reading counts for nothing, in alerts as in derived values; None of one that counts."""
    if not observation.tags.isdisjoint((RECALLED, ENTERED_IN_ERROR)):
        return "recalled"
    return "artefact" if ARTEFACTS.intersection(observation.flags) else None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(moment: datetime) -> int:
    """As the engine counts time: since 1970."""
    return round(moment.timestamp() * 1000)


def moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
