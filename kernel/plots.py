"""The pictures of what other modules compute, in the look of :mod:`kernel.style`; neither shown nor saved.

Mappings called `panels` give the content of each panel by its title.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kernel import style
from kernel.language.axis import ValenceAxis
from kernel.language.stories import EMOTIONS
from kernel.style import BLUE, GREY, INK, ORANGE, PURPLE, SIGNED_CMAP, emotion_colours, emotion_order
from kernel.style import set_style as set_style

if TYPE_CHECKING:
    import mne

# ---- words and models


def plot_positions(axes: Mapping[str, tuple[ValenceAxis, np.ndarray, Sequence[str]]]) -> Figure:
    """Every story and every class centroid on the axis, one panel per model.

    `axes` gives axis, projections (n_texts,) and emotions; projections are divided by the spread of the
    centroids, so that panels compare.
    """
    colours, columns = emotion_colours(), min(2, len(axes))
    titles = [title.replace(", ", "\n") for title in axes]
    xlabel = "position (sd of centroids)"
    fig, drawn = style.panels(titles, (style.PHONE / columns, 2.6), columns=columns, xlabel=xlabel)
    for ax, (axis, projections, emotions) in zip(drawn, axes.values(), strict=True):
        scale = float(np.std(axis.positions_))
        present = [e for e in EMOTIONS if e in set(emotions)]
        for row, emotion in enumerate(present):
            points = np.asarray(projections)[np.asarray(emotions) == emotion] / scale
            jitter = np.random.default_rng(row).uniform(-0.28, 0.28, len(points))
            colour = colours[emotion]
            ax.scatter(points, row + jitter, s=7, color=colour, alpha=0.55, linewidths=0)
            ax.scatter(points.mean(), row, s=50, color=colour, edgecolor=INK, linewidth=0.8, zorder=3)
        style.dotted(ax, x=0)
        ax.set_yticks(range(len(present)), present)
    return fig


def plot_layer_sweep(sweep: pd.DataFrame) -> Figure:
    """AUC, PC1 share and cosine to the penultimate axis by depth.

    `sweep` has columns ``model``, ``depth`` (layer / number of layers), ``auc``, ``share``, ``cosine``.
    """
    labels = {
        "auc": "zero-shot AUC",
        "share": "PC1 share of between-class variance",
        "cosine": "cosine to penultimate axis",
    }
    fig, drawn = style.panels(labels.values(), (style.PHONE, 2), columns=1, share="x")
    for ax, column in zip(drawn, labels, strict=True):
        models = sweep.groupby("model", sort=False)
        for colour, (model, rows) in zip(style.SERIES, models, strict=False):
            ax.plot(rows["depth"], rows[column], marker="o", ms=3.5, lw=1.4, color=colour, label=model)
    style.dotted(drawn[0], y=0.5)
    drawn[0].legend(loc="upper left")
    drawn[-1].set_xlabel("depth (layer / layers)")
    return fig


def plot_learning_curve(curve: pd.DataFrame, lines: Mapping[str, float]) -> Figure:
    """Supervised AUC by training size (mean, min and max over repeats) with label-free methods as lines."""
    fig, ax = plt.subplots(figsize=(style.PHONE, 3.4))
    spread = curve.groupby("n_train")["auc"].agg(["mean", "min", "max"])
    ax.fill_between(spread.index, spread["min"], spread["max"], color=BLUE, alpha=0.2, lw=0)
    ax.plot(spread.index, spread["mean"], "o-", color=BLUE, label="logistic regression (labels)")
    for (name, value), colour in zip(lines.items(), style.SERIES[1:], strict=False):
        ax.axhline(value, color=colour, lw=1.6, ls="--", label=name)
    ax.set(xscale="log", xlabel="labelled training texts", ylabel="AUC")
    ax.set_xticks(spread.index, spread.index, minor=False)
    ax.minorticks_off()
    ax.legend(loc="center right")
    return fig


# ---- results beside intervals, nulls and the paper


def plot_forest(
    table: pd.DataFrame, *, value: str, label: str, group: str | None = None, reference: float | None = None
) -> Figure:
    """Values with intervals; rows of one label share a line, and a colour tells groups apart.

    Columns ``label``, `value`, and ``{value}_low`` and ``{value}_high`` with the limits, where there are any.
    """
    lines = dict(iter(table.groupby("label", sort=False)))
    most = max(map(len, lines.values()))
    groups = list(dict.fromkeys(table[group])) if group else [None]
    height = (0.14 * most + 0.2) * len(lines) + 0.2 * len(groups) + 0.8
    fig, ax = plt.subplots(figsize=(style.PHONE, height))
    palette = dict(zip(groups, (*style.SERIES, ORANGE), strict=False))
    for line, rows in enumerate(lines.values()):
        for place, (_, row) in enumerate(rows.iterrows()):
            y = line + (place - (len(rows) - 1) / 2) * 0.7 / most
            colour = palette[row[group] if group else None]
            limits = [row.get(f"{value}_low", np.nan), row.get(f"{value}_high", np.nan)]
            ax.plot(limits, [y, y], color=colour, lw=1.6)
            ax.plot(row[value], y, "o", color=colour, ms=5)
    style.name_rows(ax, [textwrap.fill(str(line), 24) for line in lines])
    style.dotted(ax, x=reference)
    if group:
        handles = [style.mark(palette[g], g, ls="-", lw=1.6) for g in groups]
        ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1))
    ax.set_xlabel(label)
    return fig


def plot_paired_forest(
    table: pd.DataFrame,
    columns: Mapping[str, str],
    *,
    label: str,
    reference: float | None = 0,
    colours: Sequence[str] = (BLUE, GREY, ORANGE, PURPLE),
) -> Figure:
    """Several values with intervals side by side, one row for each line of the table.

    `table` has a column ``label`` and, for each value, its column and the limits ``{column}_low`` and
    ``{column}_high``; `columns` names up to four in the legend, `label` the horizontal axis. A dotted
    line stands at `reference`.
    """
    fig, ax = plt.subplots(figsize=(style.PHONE, 0.34 * len(table) + 1.3))
    offsets = np.linspace(-0.18, 0.18, len(columns)) if len(columns) > 1 else [0.0]
    for (name, column), shift, colour in zip(columns.items(), offsets, colours, strict=False):
        y = np.arange(len(table)) + shift
        ax.hlines(y, table[f"{column}_low"], table[f"{column}_high"], color=colour, lw=1.6)
        ax.plot(table[column], y, "o", color=colour, ms=4.5, label=name)
    style.name_rows(ax, table["label"])
    style.dotted(ax, INK, x=reference)
    fig.legend(loc="outside upper right", ncols=len(columns))
    ax.set_xlabel(label)
    return fig


def plot_nulls(
    nulls: Mapping[str, tuple[np.ndarray, float]],
    *,
    label: str,
    reference: float | None = None,
    stacked: bool = False,
) -> Figure:
    """Histograms of nulls with the observed value, of what `label` says, two panels a row or `stacked`."""
    columns = 1 if stacked else min(2, len(nulls))
    room = 42 // columns
    titles = ["\n".join(textwrap.fill(line, room) for line in title.split("\n")) for title in nulls]
    size, name = (style.PHONE / columns, 2.4), textwrap.fill(label, room + 4)
    fig, drawn = style.panels(titles, size, columns=columns, xlabel=name, share="", stacked=stacked)
    for ax, (null, observed) in zip(drawn, nulls.values(), strict=True):
        ax.hist(null, bins=min(40, max(10, len(null) // 5)), color=GREY, alpha=0.8)
        ax.axvline(observed, color=ORANGE, lw=2)
        style.dotted(ax, INK, x=reference)
        ax.set(yticks=[])
        ax.spines["left"].set_visible(False)
    return fig


def plot_outcomes(table: pd.DataFrame, columns: Mapping[str, str], hollow: Collection[str] = ()) -> Figure:
    """What became of claims: a row for each claim, a column for each kind of data, an outcome in each cell.

    `table` is as :func:`kernel.claims.outcomes`; `columns` gives what stands above each of its columns, and
    cells of those in `hollow` are not filled.
    """
    names = [textwrap.fill(text.rstrip("."), 30) for text in table["claim"]]
    fig, ax = plt.subplots(figsize=(style.PHONE, 0.46 * len(table) + 0.9))
    for row, claim in enumerate(table.to_dict("records")):
        for place, column in enumerate(columns):
            word = str(claim[column])
            if word == "not asked":
                continue
            colour = style.OUTCOME_COLOURS[word]
            face, width = ("none", 1.5) if column in hollow else (colour, 0)
            box = Rectangle(
                (place + 0.04, row - 0.42), 0.92, 0.84, facecolor=face, edgecolor=colour, lw=width
            )
            ax.add_patch(box)
            ink = "white" if word in ("held", "failed") and column not in hollow else INK
            word = textwrap.fill(word, 8)
            ax.text(place + 0.5, row, word, ha="center", va="center", fontsize=9, color=ink)
    ax.set(xlim=(0, len(columns)), ylim=(len(table) - 0.5, -0.5))
    ax.set_xticks(np.arange(len(columns)) + 0.5, list(columns.values()))
    ax.set_yticks(range(len(table)), names)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig


def plot_printed(table: pd.DataFrame) -> Figure:
    """Figures that a paper prints beside the same figures computed anew.

    Columns ``figure``, ``printed``, ``ours`` and ``fitted`` (bool: whether it helped to find ours).
    """
    table = table.sort_values("fitted", ascending=False, kind="stable", ignore_index=True)
    fig, ax = plt.subplots(figsize=(style.PHONE, 0.28 * len(table) + 1.5))
    kinds = ((True, GREY, "ours, used to find the axis"), (False, BLUE, "ours, not used"))
    for fitted, colour, label in kinds:
        rows = table[table["fitted"] == fitted]
        ax.plot(rows["ours"], rows.index, "o", ms=9, mfc="none", mew=2, color=colour, label=label)
    ax.plot(table["printed"], table.index, "D", ms=4, color=INK, label="the paper")
    style.dotted(ax, x=0)
    style.name_rows(ax, table["figure"])
    ax.set_xlabel("correlation, or mean |correlation|")
    fig.legend(loc="outside upper right", ncols=2)
    return fig


def plot_against_chance(table: pd.DataFrame, *, label: str) -> Figure:
    """Results on top of what chance gives, one row each; a dot to the right of its bar has p < .05.

    `table` has columns ``label``, ``r``, ``p``; ``null_mean`` and ``limit``, the null's mean and 95th
    percentile, between which and its mirror image the bar lies; ``detectable``, a tick.
    """
    fig, ax = plt.subplots(figsize=(style.PHONE, 0.33 * len(table) + 1.5))
    y = np.arange(len(table))
    low = 2 * table["null_mean"] - table["limit"]
    ax.hlines(y, low, table["limit"], color=GREY, alpha=0.55, lw=8, label="chance, up to its 95 % limit")
    ax.plot(table["r"], y, "o", color=BLUE, ms=6, label="measured")
    ax.plot(table["detectable"], y, "|", color=INK, ms=11, mew=1.6, label="80 % power from here")
    for row, p in enumerate(table["p"]):
        ax.annotate(f"p {p:.2g}", (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    style.dotted(ax, INK, x=0)
    ax.set_yticks(y, table["label"])
    ax.set(ylim=(len(table) - 0.5, -0.6))
    ax.locator_params(axis="x", nbins=4)
    fig.supxlabel(label, fontsize=10)
    fig.legend(loc="outside upper right", ncols=2)
    return fig


def plot_p_values(panels: Mapping[str, np.ndarray]) -> Figure:
    """Histograms of p-values (n,) where there is nothing to be found: a fair test spreads them evenly.

    Twenty bars of equal width; that of p ≤ .05 is orange, an even spread is dotted.
    """
    fig, drawn = style.panels(panels, (0, 3), ylabel="share of sets", stacked=True)
    for ax, p in zip(drawn, panels.values(), strict=True):
        bar = np.clip(np.ceil(20 * np.asarray(p) - 1e-9), 1, 20).astype(int) - 1
        shares = np.bincount(bar, minlength=20) / len(bar)
        ax.bar((np.arange(20) + 0.5) / 20, shares, 0.045, color=[ORANGE] + [GREY] * 19)
        ax.axhline(1 / 20, color=INK, lw=1, ls=":")
        ax.text(0.12, 0.85, f"{shares[0]:.0%} have p ≤ .05", color=ORANGE, transform=ax.transAxes)
        ax.set(xlim=(0, 1))
    drawn[-1].set_xlabel(f"p, {len(bar)} sets of ratings")
    drawn[0].yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
    return fig


def plot_rejection_rates(rates: pd.DataFrame, *, n_null: int, title: str) -> Figure:
    """How often each test rejects, by truth; the first `n_null` truths should all read .05.

    `rates` is as from `kernel.audit.projection_rates.rejection_rates`: ``estimator``, ``null``, ``truth``,
    ``rate``. A line separates the leading truths, which are without the effect: false alarms are orange.
    """
    table = rates.assign(test=rates["estimator"] + "\n| " + rates["null"]).pivot_table(
        index="test", columns="truth", values="rate", sort=False, observed=True
    )
    fig, ax = plt.subplots(figsize=(style.PHONE, 0.42 * len(table) + 1.2))
    alarm = np.tile(np.arange(table.shape[1]) < n_null, (len(table), 1))
    for cells, cmap in ((table.where(alarm), "Oranges"), (table.where(~alarm), "Blues")):
        style.heat_map(ax, cells, (0, 1), cmap)
    ax.axvline(n_null, color="white", lw=4)
    ax.set(title=title)
    return fig


def plot_grid(table: pd.DataFrame, *, label: str, signed: bool = True) -> Figure:
    """Numbers of a small table, which `label` names, as a heat map with the values written in."""
    limit = float(np.nanmax(np.abs(table.to_numpy(float))))
    fig, ax = plt.subplots(figsize=(style.PHONE, 0.36 * len(table) + 1.3))
    low, cmap = (-limit, SIGNED_CMAP) if signed else (0, "Blues")
    style.heat_map(ax, table, (low, limit), cmap)
    ax.set(title=label)
    ax.tick_params(axis="y", rotation=0)
    return fig


def plot_specifications(table: pd.DataFrame, *, schemes: Sequence[str], label: str) -> Figure:
    """Every specification of an analysis, sorted by its result `label`, one panel for each of the schemes.

    `table` has columns ``scheme``, ``r`` and ``p_emotions``, one row for each specification.
    """
    fig, drawn = style.panels(schemes, (style.PHONE / 2, 2.2), columns=2, share="xy", ylabel=label)
    for ax, scheme in zip(drawn, schemes, strict=True):
        rows = table[table["scheme"] == scheme].sort_values("r", ignore_index=True)
        small = rows["p_emotions"] < 0.05
        for chosen, colour in ((~small, GREY), (small, BLUE)):
            ax.plot(rows.index[chosen], rows["r"][chosen], "o", ms=3, color=colour)
        style.dotted(ax, INK, y=0)
        ax.set(title=f"{scheme}: {small.mean():.0%}", xticks=[])
    fig.supxlabel(f"{len(rows)} specifications, sorted", fontsize=10)
    handles = [style.mark(GREY, "p ≥ .05"), style.mark(BLUE, "p < .05, their share above")]
    fig.legend(handles=handles, loc="outside upper right", ncols=2)
    return fig


def plot_removal(table: pd.DataFrame, *, limit: float, label: str) -> Figure:
    """A result while people are removed one after another, the most influential first, beside random removal.

    `table` has columns ``removed`` (people), ``r``, ``random_low`` and ``random_high``, the middle 95 % when
    people are drawn at random; `limit` is a dotted line, such as that of significance.
    """
    fig, ax = plt.subplots(figsize=(style.PHONE, 3.2))
    x, low, high = (table[column] for column in ("removed", "random_low", "random_high"))
    ax.fill_between(x, low, high, color=GREY, alpha=0.35, lw=0, label="drawn at random")
    ax.plot(x, table["r"], "o-", ms=3.5, color=BLUE, label="most influential first")
    ax.axhline(limit, color=INK, lw=1, ls=":", label=f"textbook p = .05 (r {limit:.3f})")
    ax.set(xlabel="people removed", ylabel=label)
    fig.legend(loc="outside upper right", ncols=2)
    return fig


# ---- recordings


def plot_features_from_raw(
    traces: Mapping[str, np.ndarray], de: np.ndarray, *, sfreq: float, title: str
) -> Figure:
    """A signal, its bands, and their differential entropy second by second.

    `traces` (n_samples,) at `sfreq` (Hz) are the signal and then each band, all in one unit, drawn over each
    other; `de` (n_seconds, n_bands) is in nats and shown about the mean of each band. `title` says what was
    recorded, and whether it was simulated.
    """
    titles = [title, "differential entropy"]
    fig, (left, right) = style.panels(titles, (style.PHONE, 2.6), columns=1, share="")
    spread = 6 * max(float(np.std(trace)) for trace in traces.values())
    for row, trace in enumerate(traces.values()):
        colour = BLUE if row else INK
        left.plot(np.arange(len(trace)) / sfreq, trace - row * spread, color=colour, lw=0.7)
    for edge in range(int(len(next(iter(traces.values()))) / sfreq) + 1):
        style.dotted(left, x=edge)
    left.set_yticks([-row * spread for row in range(len(traces))], traces)
    left.set(xlabel="time (s)")
    centred = (de - de.mean(0)).T
    limit = np.abs(centred).max()
    extent = (0, len(de), len(centred), 0)
    image = style.show_cells(right, centred, (-limit, limit), cmap=SIGNED_CMAP, extent=extent)
    right.set_yticks(np.arange(len(centred)) + 0.5, list(traces)[1:])
    right.set(xlabel="window of 1 s")
    fig.colorbar(image, ax=right, label="nats about the band's mean")
    return fig


def plot_recovery(
    measured: np.ndarray, planted: np.ndarray, names: Sequence[str], *, label: str, title: str
) -> Figure:
    """Measured against planted values (n, n_names), one panel per column, with the line of equality."""
    size, ylabel = (style.PHONE / 3, 1.7), f"measured {label}"
    fig, drawn = style.panels(names, size, columns=3, ylabel=ylabel, share="xy")
    for ax, x, y in zip(drawn, planted.T, measured.T, strict=True):
        ax.scatter(x, y, s=4, color=BLUE, alpha=0.35, linewidths=0)
        ax.axline((0, 0), slope=1, color=INK, lw=0.8, ls=":")
        ax.locator_params(nbins=2)
        ax.xaxis.set_major_formatter("{x:g}")
    fig.suptitle(title, fontsize=11)
    fig.supxlabel(f"planted {label}", fontsize=10)
    return fig


def plot_shares(table: pd.DataFrame, *, label: str, title: str) -> Figure:
    """Parts of a whole as stacked bars: one bar per row, one colour per column."""
    fig, ax = plt.subplots(figsize=(style.PHONE, 0.36 * len(table) + 1.5))
    left = np.zeros(len(table))
    for colour, (part, values) in zip((ORANGE, PURPLE, GREY, BLUE, INK), table.items(), strict=False):
        ax.barh(range(len(table)), values, left=left, color=colour, label=part)
        left += values.to_numpy()
    style.name_rows(ax, table.index)
    ax.set(xlabel=label, title=title)
    fig.legend(loc="outside upper right", ncols=3)
    return fig


def plot_position_classes(counts: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Trials (n_positions, n_classes) relative to an even spread of each class, in the order of emotions."""
    order = emotion_order(classes)
    fig, drawn = style.panels(counts, (0, 3.7), xlabel="position in the session", stacked=True)
    for ax, trials in zip(drawn, counts.values(), strict=True):
        table = np.asarray(trials)[:, order]
        ratio = table / table.sum(0) * len(table)
        extent = (0.5, len(table) + 0.5, len(order), 0)
        image = style.show_cells(ax, ratio.T, (0, 2), cmap=SIGNED_CMAP, extent=extent)
        ax.set_yticks(np.arange(len(order)) + 0.5, [classes[k] for k in order])
    fig.colorbar(image, ax=drawn, extend="max", label="trials, 1 = even spread", shrink=0.7)
    return fig


def plot_by_emotion(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray, Sequence[str]]],
    *,
    xlabel: str,
    ylabel: str,
    share: str = "",
    middle: float | None = None,
    stacked: bool = False,
) -> Figure:
    """Items (n,) by two values in the colours of their emotions; a dotted line stands at a `middle`."""
    fig, drawn = style.panels(
        panels, (3.8, 3.6), 1.3, xlabel=xlabel, ylabel=ylabel, share=share, stacked=stacked
    )
    for ax, (x, y, emotions) in zip(drawn, panels.values(), strict=True):
        style.scatter_by_emotion(ax, x, y, emotions, 40)
        style.dotted(ax, x=middle)
    style.legend_beside(drawn[0 if stacked else -1])
    return fig


def plot_topomaps(
    maps: Mapping[str, np.ndarray],
    info: mne.Info,
    bands: Sequence[str],
    *,
    label: str,
    limit: float | None = None,
) -> Figure:
    """Scalp maps (n_channels, n_bands), one column per entry and one row per band, on one scale about zero.

    A single entry stands in rows of three. `info` holds the positions of the channels and `label` says what
    is mapped; the scale ends at `limit`, by default the largest absolute value of all.
    """
    from mne.viz import plot_topomap

    limit = max(float(np.abs(values).max()) for values in maps.values()) if limit is None else limit
    look: dict[str, Any] = {"cmap": SIGNED_CMAP, "vlim": (-limit, limit), "contours": 0, "sensors": True}
    columns, height = (len(maps), 1.5) if len(maps) > 1 else (3, 1.9)
    titles = [*maps, *[""] * (len(maps) * (len(bands) - 1))] if len(maps) > 1 else list(bands)
    fig, axes = style.panels(titles, (style.PHONE / columns, height), columns=columns, share="")
    values = np.stack(list(maps.values()), -1).transpose(1, 2, 0).reshape(len(titles), -1)  # (map, channel)
    for ax, column in zip(axes, values, strict=True):
        image, _ = plot_topomap(column, info, axes=ax, show=False, **look)
    for ax, band in zip(axes[::columns], bands, strict=False):
        ax.set_ylabel(band if len(maps) > 1 else "")
    fig.colorbar(image, ax=axes, location="bottom", label=label, shrink=0.6)
    return fig


def plot_people_by_clips(panels: Mapping[str, np.ndarray], *, label: str) -> Figure:
    """Values (n_people, n_clips) as heat maps, side by side on one scale centred at zero."""
    limit = float(np.quantile(np.abs(np.concatenate(list(panels.values()))), 0.98))
    n_people = len(next(iter(panels.values())))
    look: dict[str, Any] = {"cmap": style.VALENCE_CMAP, "interpolation": "nearest"}
    fig, drawn = style.panels(panels, (1.75, 3.2), 0.8, ylabel=f"{n_people} people")
    for ax, values in zip(drawn, panels.values(), strict=True):
        image = style.show_cells(ax, values, (-limit, limit), **look)
        ax.set(xlabel=f"{values.shape[1]} clips", xticks=[], yticks=[])
    fig.colorbar(image, ax=drawn, label=label, extend="both", shrink=0.8)
    return fig


# ---- classifiers


def plot_subject_spread(panels: Mapping[str, pd.Series], *, chance: float) -> Figure:
    """Accuracy of every subject, sorted, one line per classifier."""
    fig, ax = plt.subplots(figsize=(style.PHONE, 3))
    for colour, (name, values) in zip(style.SERIES, panels.items(), strict=False):
        ordered = np.sort(values.to_numpy())
        ax.plot(np.arange(1, len(ordered) + 1), ordered, "o-", ms=4, lw=1.2, color=colour, label=name)
    ax.axhline(chance, color=GREY, lw=0.8, ls=":", label="chance")
    ax.set(xlabel="test subject, sorted", ylabel="balanced accuracy", ylim=(0, 1))
    ax.legend(loc="upper left")
    return fig


def plot_filter_memory(
    panels: Mapping[str, tuple[Sequence[str], int, bool]], *, seconds: int = 30, memory: float = 100
) -> Figure:
    """What a filter with a long memory mixes into the last second of a clip.

    Heights are the weights of that second and of those before it; a text tells which share of all weight
    lies in other clips of the same emotion. Panels give the emotion of each clip in the order in which the
    filter meets them, the place of the clip, and whether the filter begins anew in each clip. Clips last so
    many seconds; `memory` is the time constant in seconds.
    """
    colours = emotion_colours()
    fig, drawn = style.panels(panels, (style.PHONE, 1.6), columns=1, share="x")
    for ax, (emotions, place, restart) in zip(drawn, panels.values(), strict=True):
        clip = np.repeat(np.arange(place + 1), seconds)
        weight = np.exp(-np.arange(len(clip))[::-1] / memory) * ((clip == place) | (not restart))
        same = np.array([name == emotions[place] for name in emotions])[clip]
        others = same & (clip < place)
        for part, colour, label in (
            (clip == place, BLUE, "the clip itself"),
            (others, ORANGE, "other clips of its emotion"),
            (~same, GREY, "clips of other emotions"),
        ):
            ax.bar(np.flatnonzero(part), weight[part], 1, align="edge", color=colour, lw=0, label=label)
        for k, name in enumerate(emotions):
            ax.add_patch(Rectangle((k * seconds, -0.4), seconds - 2, 0.32, color=colours[name], lw=0))
        leak = weight[others].sum() * (1 - np.exp(-1 / memory))
        words = f"{leak:.0%} of the weight: others of its emotion"
        ax.text(0.01, 0.7, words, color=ORANGE, transform=ax.transAxes)
        ax.set(xlim=(0, seconds * len(emotions)), ylim=(-0.42, 1.05), yticks=[])
        ax.spines["left"].set_visible(False)
    drawn[-1].set_xlabel("seconds as the filter meets them")
    names = [name for name in EMOTIONS if name in set(emotions)]
    handles = [Rectangle((0, 0), 1, 1, color=colours[name], lw=0, label=name) for name in names]
    fig.legend(
        handles=[*drawn[0].get_legend_handles_labels()[0], *handles], loc="outside lower center", ncols=3
    )
    return fig


def plot_checkpoints(
    panels: Mapping[str, pd.DataFrame],
    *,
    x: str,
    y: str,
    xlabel: str,
    ylabel: str,
    line: str | None = None,
    stacked: bool = False,
) -> Figure:
    """Checkpoints by two columns, coloured by ``network``, one panel per cohort; `line` joins its groups."""
    fig, drawn = style.panels(panels, (3.7, 3.3), 1, ylabel=ylabel, xlabel=xlabel, stacked=stacked)
    networks = list(dict.fromkeys(name for table in panels.values() for name in table["network"]))
    palette = dict(zip(networks, style.SERIES, strict=False))
    for ax, table in zip(drawn, panels.values(), strict=True):
        for _, rows in table.groupby(line) if line else ():
            rows = rows.sort_values(x)
            ax.plot(rows[x], rows[y], color=GREY, lw=0.6, zorder=1)
        for name, rows in table.groupby("network", sort=False):
            ax.scatter(rows[x], rows[y], s=26, color=palette[name], edgecolor="white", linewidth=0.5)
    style.legend_beside(drawn[0 if stacked else -1], [style.mark(palette[name], name) for name in networks])
    return fig


def plot_ablation(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """z of what checkpoints lose with a direction, against every control, one panel per cohort.

    Columns ``control`` and ``z``, one row for each checkpoint and control; a dot each, a bar at the mean.
    """
    controls = list(dict.fromkeys(name for table in panels.values() for name in table["control"]))
    height = 0.5 * len(controls) + 1.1
    fig, drawn = style.panels(panels, (0, height), xlabel="z of the fall in accuracy", stacked=True)
    for ax, table in zip(drawn, panels.values(), strict=True):
        for row, control in enumerate(controls):
            z = table.loc[table["control"] == control, "z"].to_numpy()
            ax.plot(z, np.full(len(z), row), "o", ms=4.5, color=BLUE, alpha=0.6, mew=0)
            ax.plot([z.mean()] * 2, [row - 0.3, row + 0.3], color=ORANGE, lw=2.2)
        style.dotted(ax, x=0)
    style.name_rows(drawn[0], [name.replace(", ", ",\n") for name in controls])
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

    `records` are :class:`kernel.decoding.streams.Record`, one a window, with probabilities in the order
    of `classes`. Framed is what was shown: ``time`` (s) at which each clip of a `length` (s) began, and its
    ``emotion``. The figure ends at second `until`.
    """
    order = [name for name in EMOTIONS if name in classes][::-1]
    fig, ax = plt.subplots(figsize=(style.PHONE, 3.2))
    look: dict[str, Any] = {"origin": "lower", "cmap": "Blues", "interpolation": "nearest", "zorder": 1}
    for record in records:
        if record.time > until:
            break
        values = [[record.smoothed[list(classes).index(name)]] for name in order]
        extent = (record.time - 1, record.time, -0.5, len(order) - 0.5)
        image = style.show_cells(ax, values, (0, 1), extent=extent, **look)
    for time, emotion in zip(shown["time"], shown["emotion"], strict=True):
        if time < until:
            corner = (time, order.index(emotion) - 0.5)
            ax.add_patch(Rectangle(corner, length, 1, fill=False, ec=ORANGE, lw=1.4, zorder=2))
    ax.set(xlim=(0, until), ylim=(-0.5, len(order) - 0.5), xlabel="time (s)", title=title)
    ax.set_yticks(range(len(order)), order)
    fig.colorbar(image, ax=ax, label="probability, smoothed")
    return fig
