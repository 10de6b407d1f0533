"""The look of the book's figures: one palette, one order of emotions, and the parts that many share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kernel.language.stories import EMOTIONS, VALENCE_CODE

#: The paper, or a line of reference; ours; what a figure points at, such as the value that a null judges or a
#: false alarm; a further series; a null, a placebo or chance. Hollow marks are simulated. Blue and orange are
#: Wong's (2011, doi:10.1038/nmeth.1618), purple is Tol's (2021, SRON/EPS/TN/09-002): beside Wong's green,
#: grey would look alike to readers with deuteranopia.
INK, BLUE, ORANGE, PURPLE, GREY = "#222222", "#0072B2", "#D55E00", "#AA3377", "#949494"
#: Series without a role of their own, in this order.
SERIES = (BLUE, PURPLE, INK, GREY)
#: Inches. Wider figures are shrunk on a page until text of 9 points, the smallest drawn, is below 11 pixels.
WIDTH = 7.5
#: Inches. A figure that is no wider is seen whole on a phone, with text of 9 pixels.
PHONE = 4.4
#: Valence is always on this diverging scale: negative brown, positive teal.
VALENCE_CMAP = "BrBG"
#: Whatever else has two sides, such as a correlation or a change: negative purple, positive orange.
SIGNED_CMAP = "PuOr_r"
#: Outcomes have one colour each, whatever the figure.
OUTCOME_COLOURS = MappingProxyType(
    {"held": BLUE, "held in part": "#A6CDE6", "failed": ORANGE, "could not be decided": "#D9D9D9"}
)


def set_style() -> None:
    """Apply the book's look to every figure and table that follows: tables show their texts in full."""
    pd.set_option("display.max_colwidth", None)
    sns.set_theme(
        context="notebook",
        style="ticks",
        rc={
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.fontsize": 9,
            "legend.frameon": False,
            "text.color": INK,
            "axes.labelcolor": INK,
        },
    )


def emotion_colours() -> dict[str, Any]:
    """Colour of each emotion: its place on the valence scale, neutral in the middle."""
    cmap = mpl.colormaps[VALENCE_CMAP]
    shades = {-1: iter(np.linspace(0.04, 0.3, 4)), 1: iter(np.linspace(0.7, 0.96, 4))}
    codes = {emotion: VALENCE_CODE[emotion] for emotion in EMOTIONS}
    return {emotion: cmap(next(shades[code])) if code else GREY for emotion, code in codes.items()}


def emotion_order(classes: Sequence[str]) -> list[int]:
    """Places of the classes in the book's order of emotions, the most negative first; others come last."""
    known = {name: place for place, name in enumerate(EMOTIONS)}
    return sorted(range(len(classes)), key=lambda k: known.get(classes[k], len(known)))


def panels(
    titles: Iterable[str],
    size: tuple[float, float],
    beside: float = 0,
    *,
    columns: int | None = None,
    xlabel: str = "",
    ylabel: str = "",
    share: str = "y",
    stacked: bool = False,
    **options: Any,
) -> tuple[Figure, list[Axes]]:
    """Panels with titles, so many in a row: inches of each and of what stands beside all, axes they share.

    No figure is wider than `WIDTH`. `stacked` panels stand above one another, on one horizontal scale, as
    narrow as a phone. What is shared is named once, at the bottom or at the left.
    """
    titles = list(titles)
    if stacked:
        size, beside, columns, share = (PHONE, 0.7 * size[1]), 0, 1, f"x{share}"
    columns = columns or len(titles)
    rows = -(-len(titles) // columns)
    shared = {"sharex": "x" in share, "sharey": "y" in share}
    figsize = (min(size[0] * columns + beside, WIDTH), size[1] * rows)
    fig, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False, **options | shared)
    for place, (ax, title) in enumerate(zip(axes.flat, titles, strict=False)):
        ax.set(title=title, xlabel="" if "x" in share and place + columns < len(titles) else xlabel)
    for ax in axes.flat[len(titles) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel)
    return fig, list(axes.flat[: len(titles)])


def name_rows(ax: Axes, labels: Iterable[str]) -> None:
    """Names of rows, from top to bottom."""
    names = list(labels)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()


def dotted(ax: Axes, colour: str = GREY, *, x: float | None = None, y: float | None = None) -> None:
    """A dotted line of reference at a place of either axis."""
    if x is not None:
        ax.axvline(x, color=colour, lw=0.8, ls=":")
    if y is not None:
        ax.axhline(y, color=colour, lw=0.8, ls=":")


def legend_beside(ax: Axes, handles: Sequence[Any] | None = None) -> None:
    """To the right of the axes."""
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1))


def mark(colour: Any, label: Any, **look: Any) -> Line2D:
    """An entry of a legend, a dot without a line unless it is given one."""
    return Line2D([], [], color=colour, label=label, **{"marker": "o", "ls": ""} | look)


def scatter_by_emotion(ax: Axes, x: Any, y: Any, emotions: Any, size: float) -> None:
    """Dots in the colours of emotions, for a legend in the book's order."""
    x, y, emotions = (np.asarray(values) for values in (x, y, emotions))
    for name, colour in emotion_colours().items():
        rows = emotions == name
        if rows.any():
            ax.scatter(x[rows], y[rows], s=size, color=colour, edgecolor=INK, linewidth=0.5, label=name)


def show_cells(ax: Axes, values: Any, limits: tuple[float, float], **options: Any) -> Any:
    """Cells in colours, as wide and high as the panel has room."""
    return ax.imshow(values, aspect="auto", vmin=limits[0], vmax=limits[1], **options)


def heat_map(ax: Axes, table: pd.DataFrame, limits: tuple[float, float], cmap: str) -> None:
    """Cells in colours with their numbers written in; those without a number stay empty."""
    look = {"vmin": limits[0], "vmax": limits[1], "cmap": cmap, "annot_kws": {"size": 9}, "cbar": False}
    sns.heatmap(table, annot=True, fmt=".2f", ax=ax, **look)
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="x", rotation=25)
