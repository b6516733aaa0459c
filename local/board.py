"""What people see while the demo runs: the chain from left to right, counted as it happens."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from device_sim.fleet import Progress as FleetProgress

_HINT = Text("Figures are of this machine's emulator: they show our logic, not AWS's behaviour.", style="dim")


class Board:
    """A live table on a terminal; on anything else one line for each phase."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._messages = self._bar.add_task("messages", total=None)
        self._counts: dict[str, int] = dict.fromkeys(
            ("enrolled", "published", "observations", "alerts told", "alerts exported", "deliveries"), 0
        )
        self._phase = ""
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True)

    def __enter__(self) -> "Board":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, sentence: str) -> None:
        self._console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def phase(self, what: str) -> None:
        self._phase = what
        if not self._console.is_terminal:
            self.say(f"... {what}")

    def enrolled(self) -> None:
        self._counts["enrolled"] += 1

    def published(self, progress: FleetProgress) -> None:
        self._bar.update(self._messages, total=progress.total, completed=progress.acknowledged)
        self._counts["published"] = progress.acknowledged

    def arrived(self, mis: Mapping[str, int], told: int) -> None:
        self._counts |= {
            "observations": mis["observations"],
            "alerts told": told,
            "alerts exported": mis["flags"],
            "deliveries": mis["verified"],
        }

    def summary(self, figures: Mapping[str, Any], faults: Sequence[str]) -> None:
        table = Table(title="What became of it", title_justify="left", show_header=False)
        for name, value in figures.items():
            table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value}")
        self._console.print(table, _HINT)
        for fault in faults:
            self._console.print(Text(f"WRONG: {fault}", style="bold red"))

    def _render(self) -> Group:
        table = Table(*self._counts, title=self._phase, title_justify="left")
        table.add_row(*(f"{count:,}" for count in self._counts.values()))
        return Group(table, self._bar)
