"""Plots of counts as PNG bytes: small, legible in print, drawn without a display.

Frames and counts in, bytes out; what they mean and where they are shown is the caller's to say.
matplotlib is imported with the first picture: it takes as long as everything else together.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCREEN, PRINT = 110, 200
"""Dots per inch."""

COLOURS = ("#a63d40", "#e9a23b", "#4a7ba6", "#7a8b5c", "#8d8d94", "#c7c7cc")
INK, FAINT = "#22252b", "#d9dbe0"

_WIDTH, _LABEL = 6.6, 34
_LEGEND, _LEGEND_MARK = 84, 6
"""Characters that fit side by side above a plot, and what a name's mark takes of them."""
_LEAST_DAYS = 10
_SHADES = 64


def bars(counts: Mapping[str, int], *, wrong: str = "", dpi: int = SCREEN) -> bytes:
    """One horizontal bar per count, in the order given, each with its number.

    The bar named by `wrong` has another colour: it counts what shouldn't be.
    """
    figure, axes = _axes(0.5 + 0.38 * len(counts), dpi)
    labels = [textwrap.fill(name, _LABEL) for name in counts]
    colours = [COLOURS[0] if name == wrong else COLOURS[2] for name in counts]
    drawn = axes.barh(labels, list(counts.values()), color=colours, height=0.7)
    axes.bar_label(drawn, [f"{count:,}" for count in counts.values()], padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
    return _png(figure)


def stacked_days(counts: pd.DataFrame, *, dpi: int = SCREEN) -> bytes:
    """A stack of counts per day, one colour per column; the index is days like 2026-01-31.

    A day that isn't in the index stays a gap: nothing is known of it, which isn't zero.
    """
    days = _calendar(counts)
    figure, axes = _axes(2.5, dpi)
    base = pd.Series(0.0, index=days.index)
    for colour, name in zip(COLOURS, days.columns, strict=False):
        axes.bar(days.index, days[name], bottom=base, width=0.8, color=colour, label=str(name))
        base += days[name].fillna(0)
    return _over_days(figure, axes, days)


def lines_over_days(counts: pd.DataFrame, *, dpi: int = SCREEN) -> bytes:
    """A line per column over days like 2026-01-31; it is broken where days are missing."""
    days = _calendar(counts)
    figure, axes = _axes(2.5, dpi)
    for colour, name in zip(COLOURS, days.columns, strict=False):
        axes.plot(days.index, days[name], marker="o", markersize=3, color=colour, label=str(name))
    return _over_days(figure, axes, days)


def _calendar(counts: pd.DataFrame) -> pd.DataFrame:
    """Every day between the first and the last, and a few more where there are but a few."""
    dated = counts.set_axis(pd.to_datetime(counts.index))
    last = dated.index.max()
    first = min(dated.index.min(), last - pd.Timedelta(days=_LEAST_DAYS - 1))
    return dated.reindex(pd.date_range(first, last)).astype("float64")


def _axes(height: float, dpi: int) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9)
    return figure, axes


def _over_days(figure: Figure, axes: Axes, days: pd.DataFrame) -> bytes:
    every = max(1, len(days) // 6)
    shown = days.index[::-1][::every]
    axes.set_xticks(shown, [f"{day.day} {day:%b}" for day in shown])
    aside = pd.Timedelta(hours=18)  # a tick at the very edge would stand on the zero
    axes.set_xlim(days.index[0] - aside, days.index[-1] + aside)
    axes.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}" if count % 1 == 0 else "")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    longest = max(len(str(name)) for name in days.columns)
    figure.legend(
        loc="outside upper left",
        ncols=max(1, min(3, _LEGEND // (longest + _LEGEND_MARK))),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
    )
    return _png(figure)


def _png(figure: Any) -> bytes:
    """The figure in few shades: a fraction of the bytes, and nobody sees it."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", facecolor="white")
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(_SHADES).save(small, "png", optimize=True)
    return small.getvalue()
