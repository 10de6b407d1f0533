"""The pictures: one palette, one order of emotions, one look.

In:  results of the other modules.
Out: matplotlib figures, never shown and never saved here.
Never computes a statistic that the ledger would need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from kernel.language.axis import Agreement, ValenceAxis
from kernel.language.stories import EMOTIONS, VALENCE_CODE

#: Colour-blind-safe (Wong 2011, doi:10.1038/nmeth.1618): ours, reference, null, highlight.
INK, BLUE, ORANGE, GREEN, GREY = "#222222", "#0072B2", "#D55E00", "#009E73", "#9A9A9A"
#: Valence is always on this diverging scale: negative brown, positive teal.
VALENCE_CMAP = "BrBG"


def set_style() -> None:
    """Apply the book's look to every figure that follows."""
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


def emotion_colours() -> dict[str, tuple]:
    """Colour of each emotion: its place on the valence scale, neutral in the middle."""
    cmap = mpl.colormaps[VALENCE_CMAP]
    shade = {-1: np.linspace(0.04, 0.3, 4), 0: [0.5], 1: np.linspace(0.7, 0.96, 4)}
    taken = {-1: 0, 0: 0, 1: 0}
    colours = {}
    for emotion in EMOTIONS:
        code = VALENCE_CODE[emotion]
        colours[emotion] = GREY if code == 0 else cmap(shade[code][taken[code]])
        taken[code] += 1
    return colours


def plot_positions(axes: Mapping[str, tuple[ValenceAxis, np.ndarray, Sequence[str]]]) -> Figure:
    """Every story and every class centroid on the axis, one panel per model.

    Parameters
    ----------
    axes : mapping of panel title to (axis, projections (n_texts,), emotions)
        Projections are divided by the spread of the centroids, so panels compare.
    """
    colours = emotion_colours()
    n_rows = -(-len(axes) // 2)
    fig, panels = plt.subplots(
        n_rows, min(2, len(axes)), figsize=(9, 3.4 * n_rows), sharey=True, squeeze=False
    )
    for ax, (title, (axis, projections, emotions)) in zip(panels.flat, axes.items(), strict=False):
        scale = float(np.std(axis.positions_))
        present = [e for e in EMOTIONS if e in set(emotions)]
        for row, emotion in enumerate(present):
            points = np.asarray(projections)[np.asarray(emotions) == emotion] / scale
            jitter = np.random.default_rng(row).uniform(-0.28, 0.28, len(points))
            ax.scatter(points, row + jitter, s=9, color=colours[emotion], alpha=0.55, linewidths=0)
            ax.scatter(
                points.mean(), row, s=70, color=colours[emotion], edgecolor=INK, linewidth=0.8, zorder=3
            )
        ax.axvline(0, color=GREY, lw=0.8, ls=":")
        ax.set(title=title, xlabel="position on the axis (sd of centroids)")
        ax.set_yticks(range(len(present)), present)
    for ax in panels.flat[len(axes) :]:
        ax.set_visible(False)
    return fig


def plot_layer_sweep(sweep: pd.DataFrame) -> Figure:
    """AUC, PC1 share and cosine to the penultimate axis by depth.

    Parameters
    ----------
    sweep : DataFrame
        Columns ``model``, ``depth`` (layer / number of layers), ``auc``, ``share``, ``cosine``.
    """
    fig, panels = plt.subplots(1, 3, figsize=(11, 3.2))
    labels = {
        "auc": "zero-shot AUC",
        "share": "PC1 share of between-class variance",
        "cosine": "cosine to penultimate axis",
    }
    for ax, (column, label) in zip(panels, labels.items(), strict=True):
        for colour, (model, rows) in zip(
            (BLUE, ORANGE, GREEN), sweep.groupby("model", sort=False), strict=False
        ):
            ax.plot(rows["depth"], rows[column], marker="o", ms=3.5, lw=1.4, color=colour, label=model)
        ax.set(xlabel="depth (layer / layers)", title=label)
    panels[0].axhline(0.5, color=GREY, lw=0.8, ls=":")
    panels[0].legend()
    return fig


def plot_forest(
    table: pd.DataFrame, *, value: str, label: str, group: str | None = None, reference: float | None = None
) -> Figure:
    """Values with intervals, one row each; columns ``{value}_low`` and ``{value}_high`` hold the limits."""
    fig, ax = plt.subplots(figsize=(7, 0.32 * len(table) + 1.2))
    groups = list(dict.fromkeys(table[group])) if group else [None]
    palette = dict(zip(groups, (BLUE, ORANGE, GREEN, GREY, INK), strict=False))
    for y, (_, row) in enumerate(table.iterrows()):
        colour = palette[row[group] if group else None]
        low, high = row.get(f"{value}_low", np.nan), row.get(f"{value}_high", np.nan)
        ax.plot([low, high], [y, y], color=colour, lw=1.6)
        ax.plot(row[value], y, "o", color=colour, ms=5)
    ax.set_yticks(range(len(table)), table["label"])
    ax.invert_yaxis()
    if reference is not None:
        ax.axvline(reference, color=GREY, lw=0.8, ls=":")
    if group:
        handles = [plt.Line2D([], [], color=palette[g], marker="o", lw=1.6, label=g) for g in groups]
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1))
    ax.set_xlabel(label)
    return fig


def plot_nulls(
    nulls: Mapping[str, tuple[np.ndarray, float]], *, label: str, reference: float | None = None
) -> Figure:
    """Histograms of null distributions with the observed value, one panel each.

    Parameters
    ----------
    nulls : mapping of title to (null values, observed value)
    label : str
        What is measured, for the horizontal axis.
    """
    fig, panels = plt.subplots(1, len(nulls), figsize=(3.7 * len(nulls), 2.9), squeeze=False)
    for ax, (title, (null, observed)) in zip(panels[0], nulls.items(), strict=True):
        ax.hist(null, bins=40, color=GREY, alpha=0.8)
        ax.axvline(observed, color=ORANGE, lw=2)
        if reference is not None:
            ax.axvline(reference, color=INK, lw=0.8, ls=":")
        ax.set(title=title, xlabel=label, yticks=[])
        ax.spines["left"].set_visible(False)
    return fig


def plot_scatter(
    table: pd.DataFrame, *, x: str, y: str, emotion: str, xlabel: str, ylabel: str, title: str = ""
) -> Figure:
    """Items by two values, coloured and labelled by emotion."""
    colours = emotion_colours()
    fig, ax = plt.subplots(figsize=(5.2, 4))
    for name in EMOTIONS:
        rows = table[table[emotion] == name]
        ax.scatter(rows[x], rows[y], s=42, color=colours[name], edgecolor=INK, linewidth=0.5, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def plot_agreement(result: Agreement) -> Figure:
    """Matrix of pairwise agreement."""
    size = 1.1 * len(result.names) + 1.6
    fig, ax = plt.subplots(figsize=(size + 1, size))
    sns.heatmap(
        pd.DataFrame(result.matrix, result.names, result.names),
        vmin=-1,
        vmax=1,
        cmap="vlag",
        annot=True,
        fmt=".2f",
        square=True,
        cbar_kws={"label": "Pearson r", "shrink": 0.8},
        ax=ax,
    )
    ax.tick_params(axis="x", rotation=30)
    return fig


def plot_learning_curve(curve: pd.DataFrame, lines: Mapping[str, float]) -> Figure:
    """Supervised AUC by training size (mean, min and max over repeats) with label-free methods as lines."""
    fig, ax = plt.subplots(figsize=(5.6, 3.6))
    spread = curve.groupby("n_train")["auc"].agg(["mean", "min", "max"])
    ax.fill_between(spread.index, spread["min"], spread["max"], color=BLUE, alpha=0.2, lw=0)
    ax.plot(spread.index, spread["mean"], "o-", color=BLUE, label="logistic regression (labels)")
    for (name, value), colour in zip(lines.items(), (ORANGE, GREEN, GREY), strict=False):
        ax.axhline(value, color=colour, lw=1.6, ls="--", label=name)
    ax.set(xscale="log", xlabel="labelled training texts", ylabel="AUC")
    ax.legend(loc="lower right")
    return fig
