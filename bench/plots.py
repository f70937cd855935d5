"""The pictures: seconds per epoch of every row and case, and how they grow over a sweep."""

from collections.abc import Iterable, Sequence
from itertools import cycle, product
from pathlib import Path
from statistics import geometric_mean
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report import beside, count, kernels_text
from bench.results import FLOOR, OWN, Figures
from bench.sweep import SWEEPS
from xpmlp.pictures.style import (
    GREY,
    PALETTE,
    SMALL_TEXT_SIZE,
    TITLE_SIZE,
    dress,
    legend_below,
    new_figure,
    save,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
BAR_INCHES, NARROWEST = 0.3, 7.5
COLOURS = {OWN: PALETTE[0], "peer": "#9A9A9A"}
FLOOR_LINE: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 1.4}
WHISKER: dict[str, Any] = {"color": "black", "linewidth": 1.2}
SIDE_TITLE: dict[str, Any] = {"loc": "right", "fontsize": SMALL_TEXT_SIZE, "color": GREY}
HEADLINE: dict[str, Any] = {"x": 0.01, "ha": "left", "fontsize": TITLE_SIZE + 2}
BESIDE: dict[str, Any] = {
    "xytext": (4, 0),
    "textcoords": "offset points",
    "va": "center",
    "fontsize": SMALL_TEXT_SIZE,
    "bbox": {"facecolor": "white", "linewidth": 0, "pad": 0.8},
}
ROOM_FOR_FIGURES = 1.2
MARKERS = "osD^v"


def write_pictures(figures: Figures, folder: Path) -> list[Path]:
    """Draw a picture per device and kernels; return the paths, none where nothing was timed."""
    devices = dict.fromkeys(e["device"] for c in figures["cases"] for e in c["entries"])
    kernels = dict.fromkeys(case["kernels"] for case in figures["cases"])
    draw = sweep_picture if figures["sweep"] else epochs_picture
    paths = []
    for device, kernel in product(devices, kernels):
        cases = [_on_device(case, device) for case in figures["cases"] if case["kernels"] == kernel]
        cases = [case for case in cases if case["entries"]]
        if not cases:
            continue
        name = "-".join(
            ["epochs", device.replace(":", ""), *([kernel] if len(kernels) > 1 else [])]
        )
        paths.append(save(draw(figures, cases), folder / f"{name.replace(' ', '-')}.png"))
    return paths


def _on_device(case: Figures, device: str) -> Figures:
    """Return the case with only the timed rows on a device."""
    timed = [e for e in case["entries"] if e["device"] == device and e["seconds"]]
    return {**case, "entries": timed}


def epochs_picture(figures: Figures, cases: Sequence[Figures]) -> "Figure":
    """Draw a panel per case with a bar per row, and the floor as a line."""
    names = ranked(cases)
    columns = 2 if len(cases) == 4 else min(COLUMNS, len(cases))
    lines = -(-len(cases) // columns)
    figure = new_figure(
        max(2.6 + 3.5 * columns, NARROWEST), 1.6 + lines * (0.8 + BAR_INCHES * len(names))
    )
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axes, case in zip(grid.flat, cases, strict=False):
        _draw_bars(axes, case, names)
    for axes in grid.flat[len(cases) :]:
        axes.set_axis_off()
    figure.suptitle("Seconds per epoch, by hidden widths / batch size", **HEADLINE)
    legend_below(figure, _bar_legend(), title=origin(figures, cases[0]))
    return figure


def ranked(cases: Sequence[Figures]) -> list[str]:
    """Return the names of all rows but the floor, the fastest over all cases first."""
    shares: dict[str, list[float]] = {}
    for case in cases:
        medians = {e["name"]: e["seconds"]["median"] for e in case["entries"] if e["role"] != FLOOR}
        for name, seconds in medians.items():
            shares.setdefault(name, []).append(seconds / geometric_mean(medians.values()))
    return sorted(shares, key=lambda name: geometric_mean(shares[name]))


def _draw_bars(axes: "Axes", case: Figures, names: Sequence[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    dress(axes, "seconds per epoch", title=_panel_title(case))
    axes.set_title(
        f"{case['rows']:,} rows, {case['activation']}, {case['optimizer']}", **SIDE_TITLE
    )
    for entry in case["entries"]:
        seconds = entry["seconds"]
        if entry["role"] == FLOOR:
            if entry["name"] == FLOOR:
                axes.axvline(seconds["median"], **FLOOR_LINE)
            continue
        place = names.index(entry["name"])
        axes.barh(place, seconds["median"], height=0.68, color=COLOURS[entry["role"]])
        axes.plot([seconds["low"], seconds["high"]], [place] * 2, **WHISKER)
        axes.annotate(f"{seconds['median']:#.3g}", (seconds["high"], place), **BESIDE)
    for name in set(names) - {entry["name"] for entry in case["entries"]}:
        axes.annotate("not measured", (0, names.index(name)), color=GREY, **BESIDE)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, ROOM_FOR_FIGURES * axes.dataLim.xmax)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _panel_title(case: Figures) -> str:
    return f"{'-'.join(map(str, case['hidden']))} / {case['batch_size']:,}"


def origin(figures: Figures, case: Figures) -> str:
    """Return the data, the processor or GPU, the threads, the kernels, and what is beside."""
    name = case["entries"][0]["about"]["device_name"]
    threads = count(figures["threads"], "thread")
    return f"{case['data']} on {name}, {threads}, {kernels_text(case)}{beside(case)}"


def _bar_legend() -> list["Artist"]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Patch(color=COLOURS[OWN], label="xpmlp, by backend"),
        Patch(color=COLOURS["peer"], label="other libraries"),
        Line2D([], [], label="floor: the matrix products alone", **FLOOR_LINE),
        Line2D([], [], label="quartiles", **WHISKER),
    ]


def sweep_picture(figures: Figures, cases: Sequence[Figures]) -> "Figure":
    """Draw seconds per epoch over what grows, a line per row, on logarithmic scales."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    sweep = SWEEPS[figures["sweep"]]
    figure = new_figure(9.5, 6)
    axes = figure.subplots()
    dress(axes, sweep.label, "seconds per epoch")
    entries = [(sweep.place(case), entry) for case in cases for entry in case["entries"]]
    styles = _line_styles(dict.fromkeys((e["name"], e["role"]) for _, e in entries))
    for name, style in styles.items():
        points = [(place, entry["seconds"]) for place, entry in entries if entry["name"] == name]
        places, spreads = zip(*points, strict=True)
        axes.plot(places, [s["median"] for s in spreads], label=name, **style)
        axes.fill_between(
            places,
            [s["low"] for s in spreads],
            [s["high"] for s in spreads],
            color=style["color"],
            alpha=0.15,
            linewidth=0,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sorted({place for place, _ in entries}))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    figure.suptitle(f"Seconds per epoch, by {sweep.label}", **HEADLINE)
    legend_below(figure, axes.get_lines(), title=origin(figures, cases[0]))
    return figure


def _line_styles(rows: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Return the look of each row's line: xpmlp in blues, peers in warm colours, the floor."""
    from matplotlib import colormaps

    styles: dict[str, dict[str, Any]] = {}
    for role, tones in ((OWN, "Blues"), ("peer", "YlOrRd")):
        names = [name for name, its_role in rows if its_role == role]
        colours = colormaps[tones](np.linspace(0.95, 0.45, len(names)))
        for name, colour, marker in zip(names, colours, cycle(MARKERS), strict=False):
            styles[name] = {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.6}
    return styles | {name: FLOOR_LINE for name, role in rows if role == FLOOR}
