"""How 123 people rated the 28 clips of FACED.

In:  the credited table shipped with the package, or a long table of ratings.
Out: means, standard deviations and counts per clip.
Never holds an individual's rating.
"""

from __future__ import annotations

from importlib.resources import files as resources

import pandas as pd

#: The twelve scales, each a slider from 0 to 7.
SCALES = (
    "joy",
    "tenderness",
    "inspiration",
    "amusement",
    "anger",
    "disgust",
    "fear",
    "sadness",
    "arousal",
    "valence",
    "familiarity",
    "liking",
)


def load_ratings() -> pd.DataFrame:
    """Per-clip means, standard deviations and counts of the twelve FACED ratings.

    Computed with `ratings_table` from the open BIDS release (NEMAR nm000112, doi:10.82901/nemar.nm000112, CC-BY-4.0;
    Chen et al. 2023, doi:10.1038/s41597-023-02650-w; BIDS conversion by Guetschel).

    Returns
    -------
    DataFrame, 28 rows indexed by clip
        ``emotion``, ``n``, and ``{scale}_mean`` and ``{scale}_sd`` for each of `SCALES`.
    """
    with resources("kernel").joinpath("data/faced_ratings.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#", index_col="clip")


def ratings_table(ratings: pd.DataFrame, emotions: tuple[str, ...]) -> pd.DataFrame:
    """Summarise ratings over subjects.

    Parameters
    ----------
    ratings : DataFrame
        One row per subject and clip with columns ``subject``, ``clip`` (1 to 28) and `SCALES`.
    emotions : tuple of str
        Emotion of each clip in order.

    Returns
    -------
    DataFrame
        As `load_ratings`, with standard deviations over subjects (n - 1) and four decimals.

    Raises
    ------
    ValueError
        If a column is missing, a subject rated a clip twice, or a rating lies outside 0 to 7.
    """
    missing = [c for c in ("subject", "clip", *SCALES) if c not in ratings]
    if missing:
        raise ValueError(f"ratings lack the columns {missing}")
    if ratings.duplicated(["subject", "clip"]).any():
        twice = ratings.loc[ratings.duplicated(["subject", "clip"]), ["subject", "clip"]].iloc[0].tolist()
        raise ValueError(f"subject {twice[0]} rated clip {twice[1]} twice")
    values = ratings[list(SCALES)]
    if not ((values >= 0) & (values <= 7)).all().all():
        raise ValueError("ratings must lie in 0 to 7 and hold no NaN")
    by_clip = ratings.groupby("clip")
    table = pd.DataFrame({"emotion": emotions, "n": by_clip.size().to_numpy()}, index=by_clip.size().index)
    for scale in SCALES:
        table[f"{scale}_mean"] = by_clip[scale].mean().round(4)
        table[f"{scale}_sd"] = by_clip[scale].std(ddof=1).round(4)
    return table
