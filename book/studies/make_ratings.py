"""Make the tables of ratings and orders that the package ships, from the open single ones.

    python book/studies/make_ratings.py ratings.tsv

The file, from NEMAR nm000112 v1.0.1, has one row per subject (from 0) and clip (from 1), with the columns
``subject``, ``clip``, ``order`` (the clip's position in the session, from 1) and the twelve scales.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from kernel.brain.ratings import SCALES, STANDARD_SETS, OrderTables, position_counts  # noqa: E402
from kernel.language.stories import CLIP_EMOTIONS, VALENCE_CODE  # noqa: E402


def ratings_table(ratings: pd.DataFrame, emotions: Sequence[str]) -> pd.DataFrame:
    """Mean, standard deviation (n - 1) and count over subjects of each clip's ratings, to four decimals."""
    _each_once(ratings, emotions, "clip")
    if not ratings[list(SCALES)].apply(lambda scale: scale.between(0, 7)).all(axis=None):
        raise ValueError("a rating lies outside 0 to 7")
    by_clip = ratings.groupby("clip")
    table = pd.DataFrame({"emotion": list(emotions), "n": by_clip.size()})
    for scale in SCALES:
        table[f"{scale}_mean"] = by_clip[scale].mean().round(4)
        table[f"{scale}_sd"] = by_clip[scale].std(ddof=1).round(4)
    return table


def order_tables(
    ratings: pd.DataFrame,
    emotions: Sequence[str],
    signs: Mapping[str, int],
    sets: Mapping[str, Sequence[int]] = STANDARD_SETS,
) -> OrderTables:
    """Where clips and classes stood over the subjects of each set, and which valence followed which."""
    _each_once(ratings, emotions, "clip")
    _each_once(ratings, emotions, "order")
    order = ratings.pivot(index="subject", columns="clip", values="order")
    members = {name: order[order.index.isin(subjects)] for name, subjects in sets.items()}
    clips = pd.DataFrame({"emotion": list(emotions), "mean": order.mean(), "sd": order.std(ddof=1)})
    clips = clips.assign(**{name: rows.mean() for name, rows in members.items()}).round(4)
    positions = pd.RangeIndex(1, len(emotions) + 1, name="position")
    counts = {
        name: pd.DataFrame(position_counts(rows, emotions), positions, list(dict.fromkeys(emotions)))
        for name, rows in members.items()
    }
    valence = np.array([signs[emotion] for emotion in emotions])[np.argsort(order.to_numpy(), axis=1)]
    transitions = pd.crosstab(valence[:, :-1].ravel(), valence[:, 1:].ravel())
    transitions = transitions.reindex(index=[-1, 0, 1], columns=[-1, 0, 1], fill_value=0)
    return OrderTables(
        clips,
        pd.concat(counts, names=["set", "position"]),
        transitions.rename_axis("before").rename_axis(columns="after"),
    )


def _each_once(ratings: pd.DataFrame, emotions: Sequence[str], column: str) -> None:
    expected = list(range(1, len(emotions) + 1))
    for subject, numbers in ratings.groupby("subject")[column]:
        if sorted(numbers.tolist()) != expected:
            raise ValueError(f"{column} of subject {subject} must be 1 to {len(emotions)}, each once")


def main() -> int:
    single = pd.read_csv(sys.argv[1], sep="\t")
    orders = order_tables(single, CLIP_EMOTIONS, VALENCE_CODE)
    tables = {"ratings": ratings_table(single, CLIP_EMOTIONS)}
    tables |= {f"order_{name}": table for name, table in orders._asdict().items()}
    for name, table in tables.items():
        path = ROOT / "kernel" / "data" / f"faced_{name}.csv"
        credit = [line for line in path.read_text("utf-8").splitlines() if line.startswith("#")]
        path.write_text("\n".join([*credit, table.to_csv(lineterminator="\n")]), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
