"""`make bench`: what budgets ask for, as one table and as build/bench.json.

Times are CPU times of this machine and for orientation; ratios are medians over interleaved rounds, counts are exact.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import api, past, stages, start

OUTPUT = Path("build/bench.json")


@dataclass(frozen=True)
class Figure:
    """One line: its name in bench.json, what it says, the budget as text and as a test of the measured value."""

    name: str
    says: str
    measured: float
    reach: float | None
    at_least: bool = False

    @property
    def verdict(self) -> str:
        if self.reach is None:
            return ""
        reached = self.measured >= self.reach if self.at_least else self.measured <= self.reach
        return "[green]yes[/green]" if reached else "[yellow]no[/yellow]"

    @property
    def budget(self) -> str:
        return "" if self.reach is None else f"{'≥' if self.at_least else '≤'} {self.reach:,g}"


def measured() -> list[Figure]:
    layer, largest = start.sizes()
    slowest, ratio = start.starts()
    evaluate = stages.evaluate_cost()  # before the naive pipeline leaves a heap that no function would have
    ingest = stages.ingest_cost()
    return [
        Figure("sdk_calls_per_100", "SDK calls for 100 readings, ingest, one batch", ingest.calls, 8),
        Figure("sdk_calls_per_100_as_deployed", "… in batches of 10, as deployed", ingest.calls_as_deployed, None),
        Figure("ingest_us", "ingest, CPU µs a reading", ingest.beside_naive_made_once.us, 100),
        Figure(
            "ingest_naive_over_ours",
            "naive pipeline that makes its boto3 resource in each event / ingest",
            ingest.beside_naive.ratio or 0.0,
            30,
            at_least=True,
        ),
        Figure(
            "ingest_naive_made_once_over_ours",
            "… once, outside the event / ingest",
            ingest.beside_naive_made_once.ratio or 0.0,
            30,
            at_least=True,
        ),
        Figure("evaluate_us", "evaluate, CPU µs a reading", evaluate.us, 15),
        Figure(
            "evaluate_own_plans_us",
            "… of patients who each have a plan of their own",
            stages.evaluate_own_plans_cost().us,
            None,
        ),
        Figure("evaluate_written_us", "… of which something is remembered", stages.evaluate_written_cost().us, None),
        Figure("step_per_second", "step function, readings a second", stages.steps_per_second(), 45_000, at_least=True),
        Figure("dry_run_90d_cgm_s", "dry run over 90 days of CGM, CPU s", past.dry_run_seconds(), 2),
        Figure("export_us", "export, CPU µs a reading, without the POST", stages.export_cost().us, 20),
        Figure("api_ms_p50", "a request to the API, warm, CPU ms, p50", api.request_ms(), 15),
        Figure("init_ms_max", "start of the slowest function, CPU ms", slowest, 550),
        Figure("init_typical_over_ours", "typical start / ours", ratio, 1.3, at_least=True),
        Figure("layer_mb", "layer, MB", layer, 12),
        Figure("zip_mb_max", "largest function, MB", largest, 1),
    ]


def main() -> None:
    console = Console()
    with console.status("Measuring: rounds of CPU time, a few minutes ..."):
        figures = measured()
    table = Table("figure", "measured", "reach", "reached", title="What a reading costs", title_justify="left")
    for one in figures:
        digits = ",.0f" if one.measured >= 1000 else ".3g"
        table.add_row(one.says, format(one.measured, digits), one.budget, one.verdict)
    console.print(table)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps({one.name: round(one.measured, 3) for one in figures}, indent=1) + "\n")
    console.print(f"Absolute times are of this machine and for orientation. All figures: {OUTPUT}")


if __name__ == "__main__":
    main()
