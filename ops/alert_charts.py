"""The charts of docs/alerts.md and its table of states, made from the engine: `make charts` writes them anew.

A chart carries the digest of what the engine did in its scene, so a test that plays the scenes again sees a chart that
has fallen behind without drawing it. Drawn with matplotlib, the same bytes each time.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter

from domain.alert import TRANSITIONS
from domain.codes import KINDS
from ops.alert_days import days
from ops.alert_play import Played, Reading, Scene, moment, play
from ops.alert_scenes import COMBINED, FORMS, LIFE

FOLDER = Path("docs/alerts")
PAGE = Path("docs/alerts.md")

INK, LINE, FAINT = "#1f2933", "#b8c2cc", "#eef1f4"
TOLD, SILENT, USELESS, OTHER = "#c81e1e", "#e07b00", "#8a94a0", "#2b6cb0"
STAGES = {
    "confirming": "#f6c453",
    "clearing": "#8fcf9f",
    "warning": "#f08c4b",
    "critical": "#c81e1e",
    "info": "#7fb2e5",
}
SAID = {"raised": "told", "measure-again": "measure again", "repeated": "told again"}

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "pma",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": FAINT,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
}
_STEPS = (5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720)
_MOST_DRAWN_ONE_BY_ONE = 80


def scenes() -> Sequence[Scene]:
    return (*FORMS, *COMBINED, *LIFE, *days())


def chart(scene: Scene, played: Played) -> Figure:
    """The readings above, and below one ribbon a rule that shows the stages of its episodes."""
    rules = [str(one.get("id", "rule")) for one in scene.rules]
    height = 2.05 + 0.24 * len(rules)
    figure = Figure(figsize=(7.2, height), layout=ConstrainedLayoutEngine(h_pad=0.03, hspace=0.02))
    above, *ribbons = figure.subplots(
        1 + len(rules), 1, sharex=True, gridspec_kw={"height_ratios": [1.75, *[0.24] * len(rules)]}
    )
    _silences(above, scene)
    _bounds(above, scene)
    _readings(above, scene, played)
    _tellings(above, played)
    _people(above, scene)
    for ribbon, rule in zip(ribbons, rules, strict=True):
        _ribbon(ribbon, rule, played, named=len(rules) > 1)
    _clock(ribbons[-1], scene)
    return figure


def _readings(axes: Axes, scene: Scene, played: Played) -> None:
    unit = KINDS[scene.kind].values[scene.value].unit
    axes.set_ylabel(f"{scene.value}, {unit}")
    own = [one for one in scene.readings if one.kind in (None, scene.kind)]
    _curve(axes, scene, played, own, LINE)
    for kind in sorted({one.kind for one in scene.readings if one.kind is not None}):
        other = axes.twinx()
        other.grid(visible=False)
        other.spines["right"].set_visible(True)
        name, value = next(iter(KINDS[kind].values.items()))
        other.set_ylabel(f"{kind} {name}, {value.unit}", color=OTHER)
        other.tick_params(axis="y", colors=OTHER)
        _curve(other, scene, played, [one for one in scene.readings if one.kind == kind], OTHER)
        other.margins(y=0.25)
    axes.margins(y=0.25)


def _curve(axes: Axes, scene: Scene, played: Played, readings: Sequence[Reading], colour: str) -> None:
    clean = sorted((one for one in readings if not one.flags), key=lambda one: one.at)
    few = len(readings) <= _MOST_DRAWN_ONE_BY_ONE
    line = colour if few else INK
    axes.plot([one.at for one in clean], [one.shown for one in clean], color=line, linewidth=1.1, zorder=1)
    for one in readings:
        whys = played.whys[scene.readings.index(one)]
        face, edge = _colours(whys, INK if colour == LINE else colour)
        if not few and face != TOLD:
            continue
        if one.flags:
            axes.plot(one.at, one.shown, "x", color=USELESS, markersize=6, markeredgewidth=1.6, zorder=3)
            continue
        marker, size = ("D", 5) if one.auxiliary else ("o", 5.5 if few else 4.5)
        hollow = bool(one.late) or edge == SILENT
        axes.plot(
            one.at,
            one.shown,
            marker,
            markersize=size,
            markerfacecolor="white" if hollow else face,
            markeredgecolor=edge,
            markeredgewidth=1.4,
            zorder=3,
        )
        if one.late:
            arrow = {"arrowstyle": "->", "color": USELESS, "linewidth": 0.8, "linestyle": ":"}
            axes.annotate("", (one.at + one.late, one.shown), (one.at, one.shown), arrowprops=arrow, zorder=2)


def _colours(whys: dict[str, str | None], usual: str) -> tuple[str, str]:
    """Red: people were told at this reading; orange: a rule was breached or looked twice, and they were not."""
    found = set(whys.values())
    if None in found:
        return TOLD, TOLD
    if found - {"within-limits", "artefact", "recalled"}:
        return SILENT, SILENT
    return usual, usual


def _bounds(axes: Axes, scene: Scene) -> None:
    """Where a rule looks; the number stands on the right, off its line where two are close."""
    beside = not any(one.kind for one in scene.readings)
    highest = max((*scene.bounds, *(one.shown for one in scene.readings)))
    lowest = min((*scene.bounds, *(one.shown for one in scene.readings)))
    for bound in scene.bounds:
        axes.axhline(bound, color=TOLD, linewidth=0.9, linestyle=(0, (5, 3)), alpha=0.6, zorder=0.9)
        near = [other for other in scene.bounds if 0 < abs(other - bound) < 0.12 * (highest - lowest)]
        side = "center" if not near else "bottom" if bound > near[0] else "top"
        if beside:
            place = axes.get_yaxis_transform()
            axes.text(1.005, bound, f"{bound:g}", transform=place, color=TOLD, va=side, fontsize=8, alpha=0.8)


def _tellings(axes: Axes, played: Played) -> None:
    nearest = -1e9
    span = axes.get_xlim()[1] - axes.get_xlim()[0]
    row = 0
    for one in played.told:
        row = row + 1 if one.at - nearest < span * 0.2 else 0
        nearest = one.at
        axes.axvline(one.at, color=TOLD, linewidth=0.8, alpha=0.35, zorder=0.6)
        axes.annotate(
            f"▾ {SAID[one.what]}",
            (one.at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3, 2 + 10 * row),
            textcoords="offset points",
            color=TOLD if one.severity == "critical" else "#a34d00",
            fontsize=8,
            fontweight="bold" if one.severity == "critical" else "normal",
            va="bottom",
        )


def _people(axes: Axes, scene: Scene) -> None:
    for one in scene.people:
        axes.axvline(one.at, color=OTHER, linewidth=0.9, linestyle=":", zorder=0.6)
        axes.annotate(
            f"doctor {one.does}",
            (one.at, 0.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, 3),
            textcoords="offset points",
            color=OTHER,
            fontsize=8,
        )
        if one.until:
            axes.axvspan(one.at, one.until, color=OTHER, alpha=0.07, linewidth=0, zorder=0)


def _silences(axes: Axes, scene: Scene) -> None:
    """Quiet hours, and hours in which a rule does not look."""
    hours = [(scene.quiet_hours, "quiet hours")] if scene.quiet_hours else []
    hours += [((one["active"]["to"], one["active"]["from"]), "rule rests") for one in scene.rules if "active" in one]
    for (start, end), text in hours:
        for from_, to in _daily(start, end, scene.until):
            axes.axvspan(from_, to, color="#5a67d8", alpha=0.08, linewidth=0, zorder=0)
            axes.annotate(
                text,
                (from_, 0.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, 3),
                textcoords="offset points",
                color="#5a67d8",
                fontsize=8,
            )


def _daily(start: str, end: str, until: float) -> Iterator[tuple[float, float]]:
    """The minutes of a scene in which the hours from `start` to `end` fall."""
    first = moment(0).replace(hour=0) - timedelta(days=1)
    begins, ends = (timedelta(hours=int(one[:2]), minutes=int(one[3:])) for one in (start, end))
    for day in range(int(until // 1440) + 3):
        from_ = first + timedelta(days=day) + begins
        to = from_ + (ends - begins) % timedelta(days=1)
        low, high = ((one - moment(0)) / timedelta(minutes=1) for one in (from_, to))
        if high > 0 and low < until:
            yield max(low, 0), min(high, until)


def _ribbon(axes: Axes, rule: str, played: Played, *, named: bool) -> None:
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.grid(visible=False)
    for side in ("left", "bottom", "top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_facecolor(FAINT)
    if named:
        axes.set_ylabel(rule, rotation=0, ha="right", va="center", fontsize=8)
    for one in played.spans:
        if one.rule != rule:
            continue
        colour = STAGES.get(one.stage) or STAGES[one.severity]
        axes.axvspan(
            one.start,
            one.end,
            facecolor=colour if one.shown else "white",
            edgecolor="white" if one.shown else colour,
            hatch=None if one.shown else "////",
            linewidth=1,
        )
    axes.tick_params(axis="x", length=0, labelbottom=False)


def _clock(axes: Axes, scene: Scene) -> None:
    axes.set_xlim(-scene.until * 0.015, scene.until)
    axes.tick_params(axis="x", length=3, labelbottom=True)
    if scene.days:
        axes.xaxis.set_major_locator(FixedLocator(list(range(0, int(scene.until) + 1, 1440))))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at / 1440 + 1:.0f}"))
        axes.set_xlabel("day")
        return
    step = next(one for one in (*_STEPS, 1440) if scene.until / one <= 10)
    axes.xaxis.set_major_locator(FixedLocator(list(range(0, int(scene.until) + 1, step))))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{moment(float(at)):%H:%M}"))


def legend() -> Figure:
    """What the marks of all charts mean."""
    figure = Figure(figsize=(7.2, 1.0))

    def dot(text: str, marker: str = "o", face: str = INK, edge: str = INK) -> Line2D:
        style: dict[str, Any] = {
            "markerfacecolor": face,
            "markeredgecolor": edge,
            "markersize": 6,
            "markeredgewidth": 1.4,
        }
        return Line2D([], [], linestyle="none", marker=marker, label=text, **style)

    figure.legend(
        handles=[
            dot("reading"),
            dot("people are told", face=TOLD, edge=TOLD),
            dot("breach, nobody is told", face="white", edge=SILENT),
            dot("arrives late (arrow)", face="white"),
            dot("auxiliary device", marker="D"),
            dot("artefact", marker="x", edge=USELESS),
            Patch(color=STAGES["confirming"], label="confirming"),
            Patch(color=STAGES["warning"], label="active: warning"),
            Patch(color=STAGES["critical"], label="active: critical"),
            Patch(color=STAGES["clearing"], label="clearing"),
            Patch(facecolor="white", edgecolor=STAGES["warning"], hatch="////", label="open, covered by its family"),
            Line2D([], [], color=TOLD, alpha=0.55, linestyle=(0, (5, 3)), label="bound"),
        ],
        ncols=4,
        loc="center",
        frameon=False,
        fontsize=8,
        columnspacing=1.4,
    )
    return figure


def states() -> str:
    """The table of stages as a mermaid diagram."""
    lines = [f"    {before} --> {after}: {signal}" for (before, signal), after in TRANSITIONS.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    direction LR", "    [*] --> idle", *lines, "```"])


def with_states(page: str) -> str:
    """`page` with the diagram between its marks as the engine has it."""
    return re.sub(
        r"(<!-- states -->\n).*?(\n<!-- end of states -->)", lambda m: m[1] + states() + m[2], page, flags=re.DOTALL
    )


def label(scene: Scene, played: Played) -> str:
    """What a chart says of itself in its metadata."""
    return f"{scene.name} {played.digest}"


def save(figure: Figure, path: Path, description: str) -> None:
    with mpl.rc_context(_STYLE):
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "pma", "Description": description})


def main(root: Path = Path()) -> None:
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    with mpl.rc_context(_STYLE):
        save(legend(), folder / "legend.svg", "legend")
        for scene in scenes():
            played = play(scene)
            save(chart(scene, played), folder / f"{scene.name}.svg", label(scene, played))
    page = root / PAGE
    page.write_text(with_states(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
