"""The pictures: one palette, one order of emotions, one look.

In:  results of the other modules.
Out: matplotlib figures, never shown and never saved here.
Never computes a statistic that the ledger would need.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from kernel.language.axis import ValenceAxis
from kernel.language.stories import EMOTIONS, VALENCE_CODE

if TYPE_CHECKING:
    import mne

#: Ours, reference, further and null. Blue and orange are Wong's (2011, doi:10.1038/nmeth.1618), purple is
#: Tol's (2021, SRON/EPS/TN/09-002): beside Wong's green, grey would look alike to readers with deuteranopia.
INK, BLUE, ORANGE, PURPLE, GREY = "#222222", "#0072B2", "#D55E00", "#AA3377", "#949494"
#: Valence is always on this diverging scale: negative brown, positive teal.
VALENCE_CMAP = "BrBG"
#: Whatever else has two sides, such as a correlation or a change: negative purple, positive orange.
SIGNED_CMAP = "PuOr_r"
#: Verdicts have one colour each, whatever the figure.
VERDICT_COLOURS = MappingProxyType({"supported": BLUE, "not supported": ORANGE, "inconclusive": GREY})
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
    shade: dict[int, Any] = {-1: np.linspace(0.04, 0.3, 4), 0: [0.5], 1: np.linspace(0.7, 0.96, 4)}
    taken = {-1: 0, 0: 0, 1: 0}
    colours: dict[str, Any] = {}
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
            (BLUE, ORANGE, PURPLE), sweep.groupby("model", sort=False), strict=False
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
    palette = dict(zip(groups, (BLUE, ORANGE, PURPLE, GREY, INK), strict=False))
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
        handles = [Line2D([], [], color=palette[g], marker="o", lw=1.6, label=g) for g in groups]
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1))
    ax.set_xlabel(label)
    return fig


def plot_paired_forest(
    table: pd.DataFrame, columns: Mapping[str, str], *, label: str, reference: float | None = 0
) -> Figure:
    """Several values with intervals side by side, one row for each line of the table.

    Parameters
    ----------
    table : DataFrame
        Column ``label``, and for each value its column and the limits ``{column}_low``, ``{column}_high``.
    columns : mapping of name in the legend to column
        Up to four.
    label : str
        Of the horizontal axis.
    reference : float, optional
        A dotted line.
    """
    fig, ax = plt.subplots(figsize=(7.5, 0.34 * len(table) + 1.2))
    offsets = np.linspace(-0.18, 0.18, len(columns)) if len(columns) > 1 else [0.0]
    for (name, column), shift, colour in zip(
        columns.items(), offsets, (BLUE, GREY, ORANGE, PURPLE), strict=False
    ):
        y = np.arange(len(table)) + shift
        ax.hlines(y, table[f"{column}_low"], table[f"{column}_high"], color=colour, lw=1.6)
        ax.plot(table[column], y, "o", color=colour, ms=4.5, label=name)
    ax.set_yticks(range(len(table)), table["label"])
    ax.invert_yaxis()
    if reference is not None:
        ax.axvline(reference, color=INK, lw=0.8, ls=":")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    ax.set_xlabel(label)
    return fig


def plot_doses(table: pd.DataFrame, *, label: str) -> Figure:
    """Change by strength, one panel for each strategy, the strategy beside its placebo.

    Parameters
    ----------
    table : DataFrame
        Columns ``strategy``, ``arm`` (``true`` or ``placebo``) and ``curve``, change by strength.
    label : str
        Of the vertical axis.
    """
    names = list(dict.fromkeys(table["strategy"]))
    fig, axes = plt.subplots(1, len(names), figsize=(3.1 * len(names) + 1.4, 2.9), sharey=True, squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        for arm, colour in (("true", BLUE), ("placebo", GREY)):
            for curve in table.loc[(table["strategy"] == name) & (table["arm"] == arm), "curve"]:
                strengths = sorted(curve)
                ax.plot(range(len(curve)), [curve[s] for s in strengths], "o-", color=colour, ms=4, label=arm)
                ax.set_xticks(range(len(curve)), [f"{s:g}" for s in strengths])
        ax.axhline(0, color=INK, lw=0.8, ls=":")
        ax.set(title=name, xlabel="strength")
    axes[0, 0].set_ylabel(label)
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def plot_regimes(panels: Mapping[str, pd.DataFrame], *, label: str) -> Figure:
    """Differences of accuracy by regime, one panel for each property that varies.

    Parameters
    ----------
    panels : mapping of title to DataFrame
        One row for each strategy, one column for each level.
    label : str
        Of the colour.
    """
    limit = max(float(np.nanmax(np.abs(table.to_numpy()))) for table in panels.values())
    widths = [len(table.columns) for table in panels.values()]
    rows = max(len(table) for table in panels.values())
    fig, axes = plt.subplots(
        1,
        len(panels),
        figsize=(0.85 * sum(widths) + 3.2, 0.42 * rows + 1.3),
        width_ratios=widths,
        sharey=True,
        squeeze=False,
    )
    for ax, (title, table) in zip(axes[0], panels.items(), strict=True):
        values = table.to_numpy()
        image = ax.imshow(values, cmap=SIGNED_CMAP, vmin=-limit, vmax=limit, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            shade = "white" if abs(value) > 0.6 * limit else INK
            ax.text(column, row, f"{value:+.3f}", ha="center", va="center", fontsize=8, color=shade)
        ax.set_xticks(range(len(table.columns)), [f"{level:g}" for level in table.columns])
        ax.set_yticks(range(len(table)), table.index)
        ax.set(title=title)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
    fig.colorbar(image, ax=axes[0].tolist(), label=label)
    return fig


def plot_claim_forest(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Results of the ledger with their intervals beside the paper's values, coloured by verdict.

    Parameters
    ----------
    panels : mapping of horizontal label to DataFrame
        One panel below the other, for results in one unit each. Columns ``label``, ``value``, ``low``,
        ``high``, ``p``, ``verdict`` as in the ledger, and ``paper``, the paper's value; numbers may be NaN.
        Simulated results are drawn hollow, and the verdict says so.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is nothing to draw, or a verdict is none of those of the ledger.
    """
    kinds = {
        verdict: str(verdict).partition(" (")[0] for table in panels.values() for verdict in table["verdict"]
    }
    if not kinds:
        raise ValueError("no result to draw: run the chapters that record these claims first")
    if unknown := sorted(set(kinds.values()) - set(VERDICT_COLOURS)):
        raise ValueError(f"unknown verdict {unknown[0]!r}: choose from {', '.join(VERDICT_COLOURS)}")
    sizes = [len(table) for table in panels.values()]
    fig, axes = plt.subplots(
        len(panels),
        1,
        figsize=(8.6, 0.31 * sum(sizes) + 0.95 * len(panels) + 0.4),
        height_ratios=[size + 0.6 for size in sizes],
        squeeze=False,
    )
    for ax, (label, table) in zip(axes[:, 0], panels.items(), strict=True):
        for y, row in enumerate(table.to_dict("records")):
            colour = VERDICT_COLOURS[kinds[row["verdict"]]]
            ax.plot(row["paper"], y, "D", ms=7, color=INK)
            ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=2)
            hollow = "simulated" in row["verdict"]
            ax.plot(row["value"], y, "o", ms=6.5, color=colour, mfc="white" if hollow else colour, mew=1.6)
            if pd.notna(row["p"]):
                ax.annotate(
                    f"p {row['p']:g}", (1, y), xycoords=("axes fraction", "data"), xytext=(4, 0),
                    textcoords="offset points", va="center", fontsize=8,
                )  # fmt: skip
        if ax.get_xlim()[0] < 0:
            ax.axvline(0, color=GREY, lw=0.8, ls=":")
        ax.set_yticks(range(len(table)), [textwrap.fill(text, 52) for text in table["label"]])
        ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
        ax.set(xlabel=label, ylim=(len(table) - 0.4, -0.6))
    shown = [kind for kind in VERDICT_COLOURS if kind in kinds.values()]
    handles = [Line2D([], [], color=VERDICT_COLOURS[kind], marker="o", lw=2, label=kind) for kind in shown]
    if any("simulated" in verdict for verdict in kinds):
        handles.append(Line2D([], [], color=INK, marker="o", mfc="white", ls="", label="simulated EEG"))
    handles.append(Line2D([], [], color=INK, marker="D", ls="", ms=7, label="the paper"))
    fig.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return fig


def plot_outcomes(table: pd.DataFrame, columns: Mapping[str, str]) -> Figure:
    """What became of claims: a row for each claim, a column for each kind of data, an outcome in each cell.

    Parameters
    ----------
    table : DataFrame
        As :func:`kernel.claims.outcomes`.
    columns : mapping of str to str
        Columns of the table and what stands above each.
    """
    fig, ax = plt.subplots(figsize=(9.2, 0.34 * len(table) + 0.9))
    for row, claim in enumerate(table.to_dict("records")):
        for place, column in enumerate(columns):
            word = str(claim[column])
            if word == "not asked":
                continue
            box = Rectangle((place + 0.03, row - 0.44), 0.94, 0.88, color=OUTCOME_COLOURS[word], lw=0)
            ax.add_patch(box)
            dark = word in ("held", "failed")
            ax.text(
                place + 0.5, row, word, ha="center", va="center", fontsize=8, color="white" if dark else INK
            )
    ax.set(xlim=(0, len(columns)), ylim=(len(table) - 0.5, -0.5))
    ax.set_xticks(np.arange(len(columns)) + 0.5, list(columns.values()))
    ax.set_yticks(range(len(table)), [textwrap.fill(text.rstrip("."), 62) for text in table["claim"]])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
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
        ax.hist(null, bins=min(40, max(10, len(null) // 5)), color=GREY, alpha=0.8)
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


def plot_learning_curve(curve: pd.DataFrame, lines: Mapping[str, float]) -> Figure:
    """Supervised AUC by training size (mean, min and max over repeats) with label-free methods as lines."""
    fig, ax = plt.subplots(figsize=(5.6, 3.6))
    spread = curve.groupby("n_train")["auc"].agg(["mean", "min", "max"])
    ax.fill_between(spread.index, spread["min"], spread["max"], color=BLUE, alpha=0.2, lw=0)
    ax.plot(spread.index, spread["mean"], "o-", color=BLUE, label="logistic regression (labels)")
    for (name, value), colour in zip(lines.items(), (ORANGE, PURPLE, GREY), strict=False):
        ax.axhline(value, color=colour, lw=1.6, ls="--", label=name)
    ax.set(xscale="log", xlabel="labelled training texts", ylabel="AUC")
    ax.legend(loc="lower right")
    return fig


def plot_features_from_raw(
    traces: Mapping[str, np.ndarray], de: np.ndarray, *, sfreq: float, title: str
) -> Figure:
    """A signal, its bands, and their differential entropy second by second.

    Parameters
    ----------
    traces : mapping of label to array (n_samples,)
        The signal first, then one trace per band, all in one unit; drawn over each other in this order.
    de : ndarray, shape (n_seconds, n_bands)
        Differential entropy in nats, bands as in `traces`; each band is shown about its own mean.
    sfreq : float
        Samples per second of the traces.
    title : str
        What was recorded, and whether it was simulated.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.6))
    spread = 6 * max(float(np.std(trace)) for trace in traces.values())
    for row, (trace, colour) in enumerate(
        zip(traces.values(), [INK] + [BLUE] * (len(traces) - 1), strict=True)
    ):
        left.plot(np.arange(len(trace)) / sfreq, trace - row * spread, color=colour, lw=0.7)
    seconds = len(next(iter(traces.values()))) / sfreq
    for edge in range(int(seconds) + 1):
        left.axvline(edge, color=GREY, lw=0.8, ls=":")
    left.set_yticks([-row * spread for row in range(len(traces))], traces)
    left.set(xlabel="time (s)", title=title)
    centred = (de - de.mean(0)).T
    limit = np.abs(centred).max()
    image = right.imshow(
        centred,
        aspect="auto",
        cmap=SIGNED_CMAP,
        vmin=-limit,
        vmax=limit,
        extent=(0, len(de), len(centred), 0),
    )
    right.set_yticks(np.arange(len(centred)) + 0.5, list(traces)[1:])
    right.set(xlabel="window of 1 s", title="differential entropy")
    fig.colorbar(image, ax=right, label="nats about the band's mean")
    return fig


def plot_recovery(
    measured: np.ndarray, planted: np.ndarray, names: Sequence[str], *, label: str, title: str
) -> Figure:
    """Measured against planted values, one panel per column, with the line where they are equal.

    Parameters
    ----------
    measured, planted : ndarray, shape (n, n_names)
        Values in one unit.
    names : sequence of str
        Title of each panel.
    label, title : str
        What is measured and in which unit; of the whole figure.
    """
    fig, panels = plt.subplots(
        1, len(names), figsize=(2.3 * len(names), 2.9), sharex=True, sharey=True, squeeze=False
    )
    for ax, name, x, y in zip(panels[0], names, planted.T, measured.T, strict=True):
        ax.scatter(x, y, s=4, color=BLUE, alpha=0.35, linewidths=0)
        ax.axline((0, 0), slope=1, color=INK, lw=0.8, ls=":")
        ax.set(title=name, xlabel="planted")
    panels[0, 0].set_ylabel(f"measured {label}")
    fig.suptitle(title, fontsize=11)
    return fig


def plot_shares(table: pd.DataFrame, *, label: str, title: str) -> Figure:
    """Parts of a whole as stacked bars: one bar per row, one colour per column."""
    fig, ax = plt.subplots(figsize=(7, 0.5 * len(table) + 1.2))
    left = np.zeros(len(table))
    for colour, (part, values) in zip((ORANGE, PURPLE, GREY, BLUE, INK), table.items(), strict=False):
        ax.barh(range(len(table)), values, left=left, color=colour, label=part)
        left += values.to_numpy()
    ax.set_yticks(range(len(table)), table.index)
    ax.invert_yaxis()
    ax.set(xlabel=label, title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def plot_order(
    clips: pd.DataFrame, panels: Mapping[str, str], *, value: str, emotion: str, ylabel: str
) -> Figure:
    """A value of each clip against its mean position in the session, one panel per column of positions.

    Parameters
    ----------
    clips : DataFrame, one row per clip
    panels : mapping of panel title to the column that holds mean positions
    value, emotion : str
        Columns for height and colour.
    ylabel : str
        What the value is.
    """
    colours = emotion_colours()
    fig, axes = plt.subplots(
        1, len(panels), figsize=(4 * len(panels) + 1, 3.6), sharex=True, sharey=True, squeeze=False
    )
    for ax, (title, column) in zip(axes[0], panels.items(), strict=True):
        for name in [e for e in EMOTIONS if e in set(clips[emotion])]:
            rows = clips[clips[emotion] == name]
            ax.scatter(
                rows[column], rows[value], s=42, color=colours[name], edgecolor=INK, linewidth=0.5, label=name
            )
        ax.axvline((1 + len(clips)) / 2, color=GREY, lw=0.8, ls=":")
        ax.set(xlabel="mean position in the session", title=title)
    axes[0, 0].set_ylabel(ylabel)
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def emotion_order(classes: Sequence[str]) -> list[int]:
    """Places of the classes in the book's order of emotions, the most negative first; others come last."""
    known = {name: place for place, name in enumerate(EMOTIONS)}
    return sorted(range(len(classes)), key=lambda k: known.get(classes[k], len(known)))


def plot_position_classes(counts: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """How often each class stands at each position, relative to an even spread; emotions in the book's order.

    Parameters
    ----------
    counts : mapping of panel title to array (n_positions, n_classes)
        Trials.
    classes : sequence of str
        Name of each class.
    """
    order = emotion_order(classes)
    classes = [classes[k] for k in order]
    fig, axes = plt.subplots(1, len(counts), figsize=(4.6 * len(counts) + 1, 3.2), sharey=True, squeeze=False)
    for ax, (title, table) in zip(axes[0], counts.items(), strict=True):
        table = np.asarray(table)[:, order]
        ratio = table / table.sum(0) * len(table)
        image = ax.imshow(
            ratio.T,
            aspect="auto",
            cmap=SIGNED_CMAP,
            vmin=0,
            vmax=2,
            extent=(0.5, len(table) + 0.5, len(classes), 0),
        )
        ax.set(xlabel="position in the session", title=title)
        ax.set_yticks(np.arange(len(classes)) + 0.5, classes)
    fig.colorbar(image, ax=axes[0].tolist(), extend="max", label="trials, 1 = even spread")
    return fig


def plot_rejection_rates(rates: pd.DataFrame, *, n_null: int, title: str) -> Figure:
    """How often each test rejects, by truth; the first `n_null` truths should all read .05.

    Parameters
    ----------
    rates : DataFrame
        Columns ``estimator``, ``null``, ``truth``, ``rate``, from `kernel.brain.calibration.rejection_rates`.
    n_null : int
        Number of leading truths without the effect; a line separates them.
    """
    table = rates.assign(test=rates["estimator"] + " | " + rates["null"]).pivot_table(
        index="test", columns="truth", values="rate", sort=False, observed=True
    )
    fig, ax = plt.subplots(figsize=(9.5, 0.3 * len(table) + 1.6))
    sns.heatmap(
        table, vmin=0, vmax=1, cmap="cividis", annot=True, fmt=".2f", annot_kws={"size": 8},
        cbar_kws={"label": "share of cohorts with p ≤ .05", "shrink": 0.6}, ax=ax,
    )  # fmt: skip
    ax.axvline(n_null, color="white", lw=4)
    ax.set(xlabel="", ylabel="", title=title)
    ax.tick_params(axis="x", rotation=25)
    return fig


def plot_held_out(panels: Mapping[str, tuple[np.ndarray, np.ndarray, Sequence[str]]]) -> Figure:
    """Held-out predictions against positions, coloured by emotion, one panel each.

    Parameters
    ----------
    panels : mapping of title to (positions (n_clips,), predictions (n_clips,), emotions)
    """
    colours = emotion_colours()
    fig, axes = plt.subplots(1, len(panels), figsize=(3.6 * len(panels) + 1.4, 3.5), squeeze=False)
    for ax, (title, (y, predicted, emotions)) in zip(axes[0], panels.items(), strict=True):
        for name in [e for e in EMOTIONS if e in set(emotions)]:
            rows = np.asarray(emotions) == name
            ax.scatter(y[rows], predicted[rows], s=38, color=colours[name], edgecolor=INK, lw=0.5, label=name)
        ax.set(xlabel="position on the axis", title=title)
    axes[0, 0].set_ylabel("prediction")
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def plot_topomaps(
    maps: Mapping[str, np.ndarray],
    info: mne.Info,
    bands: Sequence[str],
    *,
    label: str,
    limit: float | None = None,
) -> Figure:
    """Scalp maps, one row per entry and one column per band, on one scale centred at zero.

    Parameters
    ----------
    maps : mapping of row title to array (n_channels, n_bands)
    info : mne.Info
        Positions of the channels.
    bands : sequence of str
        Names of the columns.
    label : str
        What is mapped.
    limit : float, optional
        End of the scale; by default the largest absolute value of all.
    """
    from mne.viz import plot_topomap

    limit = max(float(np.abs(values).max()) for values in maps.values()) if limit is None else limit
    fig, axes = plt.subplots(
        len(maps), len(bands), figsize=(1.75 * len(bands) + 1.2, 2.1 * len(maps)), squeeze=False
    )
    for row, (title, values) in zip(axes, maps.items(), strict=True):
        for ax, column in zip(row, values.T, strict=True):
            image, _ = plot_topomap(
                column,
                info,
                axes=ax,
                show=False,
                cmap=SIGNED_CMAP,
                vlim=(-limit, limit),
                contours=0,
                sensors=True,
            )
        row[0].set_ylabel(title, fontsize=9)
    for ax, band in zip(axes[0], bands, strict=True):
        ax.set_title(band, loc="center")
    fig.colorbar(image, ax=axes.ravel().tolist(), label=label, shrink=0.7)
    return fig


def plot_subject_spread(panels: Mapping[str, pd.Series], *, chance: float) -> Figure:
    """Accuracy of every subject, sorted, one line per classifier."""
    fig, ax = plt.subplots(figsize=(6, 3.4))
    for colour, (name, values) in zip((BLUE, ORANGE, PURPLE, GREY), panels.items(), strict=False):
        ordered = np.sort(values.to_numpy())
        ax.plot(np.arange(1, len(ordered) + 1), ordered, "o-", ms=4, lw=1.2, color=colour, label=name)
    ax.axhline(chance, color=GREY, lw=0.8, ls=":", label="chance")
    ax.set(xlabel="test subject, sorted", ylabel="balanced accuracy", ylim=(0, 1))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def plot_stream(
    records: Sequence[Any],
    classes: Sequence[str],
    shown: Mapping[str, Sequence[Any]],
    *,
    length: float,
    until: float,
    title: str,
) -> Figure:
    """Smoothed probabilities of an online decoder over time, with what was shown.

    Parameters
    ----------
    records : sequence of kernel.decoding.streams.Record
        One for each window.
    classes : sequence of str
        Names of the columns of the probabilities.
    shown : mapping
        ``time`` (s) at which each clip began and its ``emotion``; framed.
    length, until : float
        Seconds of a clip, and up to where to draw.
    title : str
        Says whether the person is simulated.
    """
    order = [name for name in EMOTIONS if name in classes][::-1]
    fig, ax = plt.subplots(figsize=(9, 3.2))
    for record in records:
        if record.time > until:
            break
        values = [[record.smoothed[list(classes).index(name)]] for name in order]
        extent = (record.time - 1, record.time, -0.5, len(order) - 0.5)
        image = ax.imshow(
            values,
            extent=extent,
            origin="lower",
            aspect="auto",
            cmap="Blues",
            vmin=0,
            vmax=1,
            interpolation="nearest",
            zorder=1,
        )
    for time, emotion in zip(shown["time"], shown["emotion"], strict=True):
        if time < until:
            row = order.index(emotion)
            frame = Rectangle((time, row - 0.5), length, 1, fill=False, ec=ORANGE, lw=1.4, zorder=2)
            ax.add_patch(frame)
    ax.set(xlim=(0, until), ylim=(-0.5, len(order) - 0.5), xlabel="time (s)", title=title)
    ax.set_yticks(range(len(order)), order)
    fig.colorbar(image, ax=ax, label="probability, smoothed")
    return fig


def plot_checkpoints(
    panels: Mapping[str, pd.DataFrame], *, x: str, y: str, xlabel: str, ylabel: str, line: str | None = None
) -> Figure:
    """Checkpoints by two values, coloured by network, one panel per cohort.

    Parameters
    ----------
    panels : mapping of title to DataFrame
        With columns `x`, `y`, ``network`` and `line`.
    line : str, optional
        Column of what a thin line joins, such as the recipe.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(3.7 * len(panels) + 1, 3.3), sharey=True, squeeze=False)
    networks = list(dict.fromkeys(name for table in panels.values() for name in table["network"]))
    palette = dict(zip(networks, (BLUE, ORANGE, PURPLE, GREY), strict=False))
    for ax, (title, table) in zip(axes[0], panels.items(), strict=True):
        for _, rows in table.groupby(line) if line else ():
            rows = rows.sort_values(x)
            ax.plot(rows[x], rows[y], color=GREY, lw=0.6, zorder=1)
        for name, rows in table.groupby("network", sort=False):
            ax.scatter(
                rows[x], rows[y], s=26, color=palette[name], edgecolor="white", linewidth=0.5, label=name
            )
        ax.set(xlabel=xlabel, title=title)
    axes[0, 0].set_ylabel(ylabel)
    handles = [Line2D([], [], color=palette[n], marker="o", ls="", label=n) for n in networks]
    axes[0, -1].legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def plot_ablation(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """z of what checkpoints lose with a direction, against every control, one panel per cohort.

    Parameters
    ----------
    panels : mapping of title to DataFrame
        Columns ``control`` and ``z``, one row for each checkpoint and control; a dot each, a bar at the mean.
    """
    controls = list(dict.fromkeys(name for table in panels.values() for name in table["control"]))
    fig, axes = plt.subplots(
        1,
        len(panels),
        figsize=(3.3 * len(panels) + 2.2, 0.4 * len(controls) + 1.3),
        sharey=True,
        squeeze=False,
    )
    for ax, (title, table) in zip(axes[0], panels.items(), strict=True):
        for row, control in enumerate(controls):
            z = table.loc[table["control"] == control, "z"].to_numpy()
            ax.plot(z, np.full(len(z), row), "o", ms=4.5, color=BLUE, alpha=0.6, mew=0)
            ax.plot([z.mean()] * 2, [row - 0.3, row + 0.3], color=ORANGE, lw=2.2)
        ax.axvline(0, color=GREY, lw=0.8, ls=":")
        ax.set(xlabel="z of the fall in accuracy", title=title)
    axes[0, 0].set_yticks(range(len(controls)), controls)
    axes[0, 0].invert_yaxis()
    return fig


def plot_printed(table: pd.DataFrame) -> Figure:
    """Figures that a paper prints beside the same figures computed anew.

    Parameters
    ----------
    table : DataFrame
        Columns ``figure``, ``printed``, ``ours`` and ``fitted`` (bool: whether it helped to find ours).
    """
    table = table.sort_values("fitted", ascending=False, kind="stable", ignore_index=True)
    fig, ax = plt.subplots(figsize=(7, 0.28 * len(table) + 1.2))
    for fitted, colour, label in (
        (True, GREY, "ours, used to find the axis"),
        (False, BLUE, "ours, not used"),
    ):
        rows = table[table["fitted"] == fitted]
        ax.plot(rows["ours"], rows.index, "o", ms=9, mfc="none", mew=2, color=colour, label=label)
    ax.plot(table["printed"], table.index, "D", ms=4, color=INK, label="the paper")
    ax.axvline(0, color=GREY, lw=0.8, ls=":")
    ax.set_yticks(table.index, table["figure"])
    ax.invert_yaxis()
    ax.set_xlabel("correlation, or mean |correlation|")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def plot_specifications(table: pd.DataFrame, *, schemes: Sequence[str], label: str) -> Figure:
    """Every specification of an analysis, sorted by its result, one panel for each scheme.

    Parameters
    ----------
    table : DataFrame
        Columns ``scheme``, ``r`` and ``p_emotions``; one row for each specification.
    schemes : sequence of str
        Panels, in this order.
    label : str
        Of the vertical axis.
    """
    n_rows = -(-len(schemes) // 2)
    fig, axes = plt.subplots(n_rows, 2, figsize=(8.6, 2.8 * n_rows), sharey=True, squeeze=False)
    for ax, scheme in zip(axes.flat, schemes, strict=False):
        rows = table[table["scheme"] == scheme].sort_values("r", ignore_index=True)
        small = rows["p_emotions"] < 0.05
        for part, colour, name in ((~small, GREY, "p ≥ .05"), (small, BLUE, "p < .05, emotions permuted")):
            ax.plot(rows.index[part], rows["r"][part], "o", ms=3, color=colour, label=name)
        ax.axhline(0, color=INK, lw=0.8, ls=":")
        ax.set(title=f"{scheme}: {small.mean():.0%} below .05", xlabel=f"{len(rows)} specifications, sorted")
    for ax in axes[:, 0]:
        ax.set_ylabel(label)
    handles = [
        Line2D([], [], color=c, marker="o", ls="", label=n) for c, n in ((GREY, "p ≥ .05"), (BLUE, "p < .05"))
    ]
    fig.legend(handles=handles, loc="outside upper right", ncols=2)
    return fig


def plot_removal(table: pd.DataFrame, *, limit: float, label: str) -> Figure:
    """A result while people are removed one after another, the most influential first, beside random removal.

    Parameters
    ----------
    table : DataFrame
        Columns ``removed`` (people), ``r``, ``random_low`` and ``random_high``: the middle 95 % when people
        are drawn at random.
    limit : float
        A dotted line, such as the limit of significance.
    label : str
        Of the vertical axis.
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    ax.fill_between(
        table["removed"],
        table["random_low"],
        table["random_high"],
        color=GREY,
        alpha=0.35,
        lw=0,
        label="drawn at random",
    )
    ax.plot(table["removed"], table["r"], "o-", ms=3.5, color=BLUE, label="most influential first")
    ax.axhline(limit, color=INK, lw=1, ls=":", label=f"textbook p = .05 (r {limit:.3f})")
    ax.set(xlabel="people removed", ylabel=label)
    ax.legend(loc="lower left")
    return fig


def plot_grid(table: pd.DataFrame, *, label: str, signed: bool = True) -> Figure:
    """Numbers of a small table as a heat map with the values written in."""
    limit = float(np.nanmax(np.abs(table.to_numpy(float))))
    low = -limit if signed else 0
    fig, ax = plt.subplots(figsize=(1.25 * table.shape[1] + 3.2, 0.36 * len(table) + 1.5))
    sns.heatmap(
        table, cmap=SIGNED_CMAP if signed else "cividis", vmin=low, vmax=limit, annot=True,
        fmt=".2f", annot_kws={"size": 9}, cbar_kws={"label": label, "shrink": 0.8}, ax=ax,
    )  # fmt: skip
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="x", rotation=25)
    ax.tick_params(axis="y", rotation=0)
    return fig


def plot_people_by_clips(panels: Mapping[str, np.ndarray], *, label: str) -> Figure:
    """A value of every person and clip as a heat map, side by side on one scale centred at zero.

    Parameters
    ----------
    panels : mapping of title to array (n_people, n_clips)
    label : str
        Of the colour.
    """
    limit = float(np.quantile(np.abs(np.concatenate(list(panels.values()))), 0.98))
    fig, axes = plt.subplots(1, len(panels), figsize=(3.3 * len(panels) + 1, 3.7), sharey=True, squeeze=False)
    for ax, (title, values) in zip(axes[0], panels.items(), strict=True):
        image = ax.imshow(values, cmap=VALENCE_CMAP, vmin=-limit, vmax=limit, aspect="auto")
        ax.set(title=title, xlabel=f"{values.shape[1]} clips", xticks=[], yticks=[])
    axes[0, 0].set_ylabel(f"{len(values)} people")
    fig.colorbar(image, ax=axes[0].tolist(), label=label, extend="both", shrink=0.8)
    return fig


def plot_p_values(panels: Mapping[str, np.ndarray]) -> Figure:
    """Histograms of p-values where there is nothing to be found: a fair test spreads them evenly.

    Parameters
    ----------
    panels : mapping of title to array (n,)
        Twenty bars of equal width; that of p ≤ .05 is orange, an even spread is dotted.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(3.9 * len(panels), 3), sharey=True, squeeze=False)
    for ax, (title, p) in zip(axes[0], panels.items(), strict=True):
        bar = np.clip(np.ceil(20 * np.asarray(p) - 1e-9), 1, 20).astype(int) - 1
        shares = np.bincount(bar, minlength=20) / len(bar)
        ax.bar((np.arange(20) + 0.5) / 20, shares, 0.045, color=[ORANGE] + [GREY] * 19)
        ax.axhline(1 / 20, color=INK, lw=1, ls=":")
        ax.text(0.12, 0.85, f"{shares[0]:.0%} have p ≤ .05", color=ORANGE, transform=ax.transAxes)
        ax.set(title=title, xlabel=f"p, {len(bar)} sets of ratings", xlim=(0, 1))
    axes[0, 0].set_ylabel("share of sets")
    axes[0, 0].yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
    return fig


def plot_against_chance(table: pd.DataFrame, *, label: str) -> Figure:
    """Results on top of what chance gives, one row each; a dot to the right of its bar has p < .05.

    Parameters
    ----------
    table : DataFrame
        Columns ``label``, ``r``, ``p``; ``null_mean`` and ``limit``, the null's mean and 95th percentile,
        between which and its mirror image the bar lies; ``detectable``, a tick.
    label : str
        Of the horizontal axis.
    """
    fig, ax = plt.subplots(figsize=(7, 0.33 * len(table) + 1.5))
    y = np.arange(len(table))
    low = 2 * table["null_mean"] - table["limit"]
    ax.hlines(y, low, table["limit"], color=GREY, alpha=0.55, lw=8, label="chance, up to its 95 % limit")
    ax.plot(table["r"], y, "o", color=BLUE, ms=6, label="measured")
    ax.plot(table["detectable"], y, "|", color=INK, ms=11, mew=1.6, label="power of 80 % from here")
    for row, p in enumerate(table["p"]):
        ax.annotate(f"p {p:.2g}", (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    ax.axvline(0, color=INK, lw=0.8, ls=":")
    ax.set_yticks(y, table["label"])
    ax.set(xlabel=label, ylim=(len(table) - 0.5, -0.6))
    fig.legend(loc="outside upper right", ncols=3)
    return fig


def plot_filter_memory(
    panels: Mapping[str, tuple[Sequence[str], int, bool]], *, seconds: int = 30, memory: float = 100
) -> Figure:
    """What a filter with a long memory mixes into the last second of a clip.

    Heights are the weights of that second and of those before it; a text tells which share of all weight
    lies in other clips of the same emotion.

    Parameters
    ----------
    panels : mapping of title to (emotions, place, restart)
        Emotion of each clip in the order in which the filter meets them; place of the clip, from 0; whether
        the filter begins anew in each clip.
    seconds : int
        Of a clip.
    memory : float
        Time constant in seconds.
    """
    colours = emotion_colours()
    fig, axes = plt.subplots(
        len(panels), 1, figsize=(7.5, 1.3 * len(panels) + 0.9), sharex=True, squeeze=False
    )
    for ax, (title, (emotions, place, restart)) in zip(axes[:, 0], panels.items(), strict=True):
        clip = np.repeat(np.arange(place + 1), seconds)
        weight = np.exp(-np.arange(len(clip))[::-1] / memory) * ((clip == place) | (not restart))
        same = np.array([name == emotions[place] for name in emotions])[clip]
        for part, colour, label in (
            (clip == place, BLUE, "the clip itself"),
            (same & (clip < place), ORANGE, "other clips of its emotion"),
            (~same, GREY, "clips of other emotions"),
        ):
            ax.bar(np.flatnonzero(part), weight[part], 1, align="edge", color=colour, lw=0, label=label)
        for k, name in enumerate(emotions):
            ax.add_patch(Rectangle((k * seconds, -0.4), seconds - 2, 0.32, color=colours[name], lw=0))
        leak = weight[same & (clip < place)].sum() * (1 - np.exp(-1 / memory))
        ax.text(
            0.01,
            0.7,
            f"{leak:.0%} of the weight: others of its emotion",
            color=ORANGE,
            transform=ax.transAxes,
        )
        ax.set(title=title, xlim=(0, seconds * len(emotions)), ylim=(-0.42, 1.05), yticks=[])
        ax.spines["left"].set_visible(False)
    axes[-1, 0].set_xlabel("seconds as the filter meets them (strip: emotions of the clips)")
    names = [name for name in EMOTIONS if name in set(emotions)]
    handles = [Rectangle((0, 0), 1, 1, color=colours[name], lw=0, label=name) for name in names]
    fig.legend(handles=[*axes[0, 0].get_legend_handles_labels()[0], *handles], loc="outside right upper")
    return fig
