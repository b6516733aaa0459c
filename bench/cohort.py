"""`make cohort`: the default hypertension programme on a simulated cohort, beside plain thresholds.

Every reading goes through the step function as evaluate folds it, and who is asked to measure again does, or does not.
A run counts only if the cohort is like the published one; then nothing that was planted may be missed.
"""

import argparse
import math
import secrets
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from adapters.programmes import programmes
from device_sim.hypertension import Person, Shown, cohort
from device_sim.vitals import Crisis
from domain.alert import Alert, State, Tick, step
from domain.alert_load import AlertLoad, alert_load
from domain.care_plan import Plan, plan_of
from domain.observation import Observation

PEOPLE, DAYS, SEEDS = 1000, 60, 10
CRISES_OF = 4
"""One in so many people has a crisis."""
ZONE = ZoneInfo("Europe/Samara")
START = datetime(2026, 6, 1, tzinfo=ZONE)
PROGRAMME = "hypertension"


@dataclass
class Outcome:
    """What one seed came to. `missed` are crises of which nobody was told before they were over."""

    seed: int
    load: AlertLoad
    plain: int
    spread: float
    first_excess: float
    artefacts: float
    crises: int
    missed: int
    answers: int

    def per_day(self, count: int) -> float:
        return self.load.per_patient_day(count)

    @property
    def human(self) -> float:
        return self.per_day(self.load.needing_a_human)

    def unlike(self, *, people: int) -> list[str]:
        """Why the cohort is not like the published one; empty if it is."""
        conditions = {
            "readings per patient-day are 0.80 to 0.90": 0.80 <= self.per_day(self.load.readings) <= 0.90,
            "single readings raise 0.40 to 0.60 per patient-day": 0.40 <= self.per_day(self.plain) <= 0.60,
            "the SD within a person is 9 to 12 mm[Hg]": 9 <= self.spread <= 12,
            "first readings run higher": self.first_excess > 1,
            "1 % are artefacts": 0.008 <= self.artefacts <= 0.012 if people >= PEOPLE else self.artefacts <= 0.02,
            "crises are planted, 200 in 1,000 people": self.crises * 5 >= people,
        }
        return [what for what, holds in conditions.items() if not holds]

    def failed(self) -> list[str]:
        """What the programme was to reach and did not."""
        conditions = {
            "at most 0.10 alerts a patient-day need a human": self.human <= 0.10,
            "of every planted crisis both are told while it lasts": self.missed == 0,
        }
        return [what for what, holds in conditions.items() if not holds]


@dataclass
class _Life:
    """A person under the plan: every reading judged as it comes, with a tick where an answer is awaited in vain."""

    plan: Plan
    subject: str
    state: State = field(default_factory=State)
    alerts: dict[str, Alert] = field(default_factory=dict)
    told: list[tuple[datetime, Alert]] = field(default_factory=list)
    asked: bool = False

    def read(self, shown: Shown) -> None:
        one = _observation(self.subject, shown)
        self._take(one.received_at, *step(self.state, one, self.plan, one.received_at))

    def tick(self, at: datetime) -> None:
        self._take(at, *step(self.state, Tick("cohort", self.subject), self.plan, at))

    def _take(self, at: datetime, state: State, _: object, alerts: Iterable[Alert]) -> None:
        self.state = state
        self.asked = False
        for alert in alerts:
            self.alerts[alert.id] = alert
            if alert.told in ("raised", "repeated"):
                self.told.append((at, alert))
            self.asked = self.asked or alert.told == "measure-again"


def _observation(subject: str, shown: Shown) -> Observation:
    return Observation(
        id=f"{subject}/{shown.at.isoformat()}",
        organisation="cohort",
        subject=subject,
        device="BP-1",
        thing="BP-1",
        kind="blood-pressure",
        values={
            "systolic": Decimal(shown.systolic),
            "diastolic": Decimal(shown.diastolic),
            "pulse": Decimal(shown.pulse),
        },
        measured_at=shown.at,
        device_time=shown.at,
        received_at=shown.at + timedelta(seconds=2),
        flags=("movement",) if shown.flagged else (),
    )


def live(person: Person, plan: Plan) -> tuple[_Life, int]:
    """A person's life under the plan, and how many readings were taken because they were asked for."""
    life = _Life(plan, f"S-{person.number:04}")
    answers = 0
    for sitting in person.sittings:
        asked = False
        for shown in sitting.shown:
            life.read(shown)
            asked = asked or life.asked
        waits = any(one.stage == "confirming" for one in life.state.episodes.values())
        if asked and waits and sitting.answer is not None:
            life.read(sitting.answer)
            answers += 1
        life.tick(sitting.shown[-1].at + timedelta(minutes=11))
    return life, answers


def run(seed: int, *, people: int = PEOPLE, days: int = DAYS) -> Outcome:
    plan = plan_of(programmes()[PROGRAMME].plan, ZONE, since=START)
    everybody: list[Person] = []
    alerts: list[Alert] = []
    answers = missed = 0
    for person in cohort(people, days=days, seed=seed, start=START, crises=people // CRISES_OF):
        life, answered = live(person, plan)
        everybody.append(person)
        alerts += life.alerts.values()
        answers += answered
        missed += person.crisis is not None and not any(_is_of(person.crisis, at, alert) for at, alert in life.told)
    shown = [one for person in everybody for sitting in person.sittings for one in sitting.shown]
    return Outcome(
        seed=seed,
        load=alert_load(alerts, readings=len(shown), patient_days=people * days),
        plain=sum(one.systolic >= 135 or one.diastolic >= 85 for one in shown),
        spread=_spread_within(everybody),
        first_excess=_first_excess(everybody),
        artefacts=sum(one.artefact for one in shown) / len(shown),
        crises=sum(person.crisis is not None for person in everybody),
        missed=missed,
        answers=answers,
    )


def _is_of(crisis: Crisis, told_at: datetime, alert: Alert) -> bool:
    """True when both were told while it lasted that pressure is critically high, and not only to measure again."""
    return crisis.covers(told_at) and alert.severity == "critical" and alert.family == "pressure-high"


def _genuine(person: Person) -> Iterator[list[Shown]]:
    """The sittings without artefacts and outside the crisis."""
    for sitting in person.sittings:
        if person.crisis is None or not person.crisis.covers(sitting.shown[0].at):
            yield [one for one in sitting.shown if not one.artefact]


def _spread_within(everybody: Sequence[Person]) -> float:
    """The SD of the systolic within a person, pooled over all."""
    variances = []
    for person in everybody:
        values = [one.systolic for sitting in _genuine(person) for one in sitting]
        if len(values) > 2:
            variances.append(statistics.variance(values))
    return math.sqrt(statistics.fmean(variances))


def _first_excess(everybody: Sequence[Person]) -> float:
    """How much the first of two readings lies above the second, on average."""
    pairs = [sitting for person in everybody for sitting in _genuine(person) if len(sitting) == 2]
    return statistics.fmean(first.systolic - second.systolic for first, second in pairs)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cohort", description=__doc__)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--seeds", default="", help="numbers with commas between; without, ten that nobody has seen")
    chosen = parser.parse_args(arguments)
    seeds = [int(one) for one in chosen.seeds.split(",") if one] or [secrets.randbelow(10**9) for _ in range(SEEDS)]
    console = Console()
    title = f"{PROGRAMME} on {chosen.people:,} simulated patients for {chosen.days} days; counts per patient-day"
    table = Table(
        *("seed", "readings", "plain thresholds", "alerts", "need a human", "crises", "missed"),
        *("SD within", "first higher by", "artefacts"),
        title=title,
        title_justify="left",
    )
    faults = []
    for seed in seeds:
        found = run(seed, people=chosen.people, days=chosen.days)
        faults += [f"seed {seed}: {what}" for what in (*found.unlike(people=chosen.people), *found.failed())]
        table.add_row(
            str(seed),
            f"{found.per_day(found.load.readings):.2f}",
            f"{found.per_day(found.plain):.2f}",
            f"{found.per_day(found.load.alerts):.3f}",
            f"{found.human:.3f}",
            str(found.crises),
            str(found.missed),
            f"{found.spread:.1f}",
            f"{found.first_excess:.1f}",
            f"{found.artefacts:.2%}",
        )
        noisiest = found.load.rules
    console.print(table)
    console.print(
        f"noisiest rules of the last: {noisiest}; readings taken because they were asked for: {found.answers}"
    )
    for fault in faults:
        console.print(f"[red]does not hold: {fault}[/red]")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
