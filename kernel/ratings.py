"""How 123 people rated the 28 clips of FACED.

In:  the credited table shipped with the package, or a long table of ratings.
Out: means, standard deviations and counts per clip.
Never holds an individual's rating.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files as resources

import numpy as np
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
#: Correlation over clips of mean valence in odd- and even-numbered subjects, not stepped up to full length.
VALENCE_SPLIT_HALF_R = 0.9877


def load_ratings() -> pd.DataFrame:
    """Per-clip means, standard deviations and counts of the twelve FACED ratings.

    Returns
    -------
    DataFrame, 28 rows indexed by clip
        ``emotion``, ``n``, and ``{scale}_mean`` and ``{scale}_sd`` for each of `SCALES`, from 0 to 7.

    Notes
    -----
    Computed with `ratings_table` from the open BIDS release (NEMAR nm000112 v1.0.1 [1]_, CC-BY-4.0) of the
    dataset of Chen et al. [2]_, converted to BIDS by Guetschel.

    References
    ----------
    .. [1] FACED in BIDS. doi:10.82901/nemar.nm000112
    .. [2] Chen et al. (2023), Scientific Data 10:740. doi:10.1038/s41597-023-02650-w

    Examples
    --------
    >>> load_ratings().loc[1, "emotion"]
    'anger'
    """
    with resources("kernel").joinpath("data/faced_ratings.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#", index_col="clip")


def ratings_table(ratings: pd.DataFrame, emotions: Sequence[str]) -> pd.DataFrame:
    """Summarise ratings over subjects.

    Parameters
    ----------
    ratings : DataFrame
        One row per subject and clip, in any order, with columns ``subject``, ``clip`` (from 1) and `SCALES`.
    emotions : sequence of str
        Emotion of each clip, in order of clip number.

    Returns
    -------
    DataFrame
        As `load_ratings`, with standard deviations over subjects (n - 1) and four decimals.

    Raises
    ------
    ValueError
        If a column is missing, the clips are not those that `emotions` names, a subject rated a clip twice, a
        clip was rated once only, or a rating lies outside 0 to 7.
    """
    missing = [column for column in ("subject", "clip", *SCALES) if column not in ratings]
    if missing:
        raise ValueError(f"ratings lack the columns {missing}")
    clips = sorted(ratings["clip"].unique().tolist())
    if clips != list(range(1, len(emotions) + 1)):
        raise ValueError(f"clips must be 1 to {len(emotions)}, one for each emotion given, got {clips}")
    twice = ratings.loc[ratings.duplicated(["subject", "clip"]), ["subject", "clip"]]
    if len(twice):
        raise ValueError("subject {} rated clip {} twice: keep one row".format(*twice.iloc[0]))
    values = ratings[list(SCALES)].to_numpy(dtype=float)
    outside = np.argwhere(~((values >= 0) & (values <= 7)))
    if len(outside):
        row, column = outside[0]
        subject, clip = ratings[["subject", "clip"]].iloc[row]
        raise ValueError(
            f"subject {subject} rated clip {clip} {values[row, column]} on {SCALES[column]}: "
            "ratings lie in 0 to 7"
        )

    by_clip = ratings.groupby("clip")
    table = pd.DataFrame({"emotion": list(emotions), "n": by_clip.size()})
    if table["n"].min() < 2:
        raise ValueError(f"clip {table['n'].idxmin()} was rated once: a standard deviation needs two people")
    for scale in SCALES:
        table[f"{scale}_mean"] = by_clip[scale].mean().round(4)
        table[f"{scale}_sd"] = by_clip[scale].std(ddof=1).round(4)
    return table
