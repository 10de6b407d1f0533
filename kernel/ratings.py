"""How 123 people rated the 28 clips of FACED, and when each clip was shown to them.

In:  the credited tables shipped with the package, or a long table of ratings.
Out: means, standard deviations and counts per clip; counts of classes per position of the session, and what
     a position alone says about the class.
Never holds an individual's rating or order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri

from kernel import files
from kernel.arrays import real, whole

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
#: Different orders of presentation among the 123 subjects, and how many of the 23 test subjects were shown
#: the clips in exactly the order of some training subject.
DISTINCT_ORDERS = 91
TEST_ORDERS_IN_TRAIN = 10
#: Clips that follow one another in every subject's session: three blocks of negative and three of positive
#: valence, each with one clip of each of its four classes, and one of neutral clips.
BLOCKS = (
    (1, 4, 7, 10),
    (2, 5, 8, 11),
    (3, 6, 9, 12),
    (13, 14, 15, 16),
    (17, 20, 23, 26),
    (18, 21, 24, 27),
    (19, 22, 25, 28),
)
NEUTRAL_BLOCK = 3
_CLASSES = ("anger", "disgust", "fear", "sadness", "neutral", "amusement", "inspiration", "joy", "tenderness")
#: Subjects of the split that is usual for FACED.
STANDARD_SETS = {"train": range(80), "validation": range(80, 100), "test": range(100, 123)}


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
    numbers = [f"{scale}_{part}" for scale in SCALES for part in ("mean", "sd")]
    return _shipped("faced_ratings", ["clip"], ["emotion", "n", *numbers], 28)


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


@dataclass(frozen=True, eq=False)
class OrderTables:
    """When the clips were shown, over people.

    Attributes
    ----------
    clips : DataFrame, one row per clip
        ``emotion``; ``mean`` and ``sd`` (n - 1) of the clip's position from 1 up over all subjects; and its
        mean position over the subjects of each set.
    classes : DataFrame, indexed by set and position
        One column per emotion: in how many subjects of the set a clip of it stood at that position.
    transitions : DataFrame, valence before by valence after
        How often, over all subjects, a clip of negative (-1), neutral (0) or positive (1) emotion was
        followed by one of each.
    """

    clips: pd.DataFrame
    classes: pd.DataFrame
    transitions: pd.DataFrame

    def counts(self, subjects: str) -> np.ndarray:
        """Trials by position and class of one set of subjects, (n_positions, n_classes)."""
        sets = self.classes.index.get_level_values("set").unique()
        if subjects not in sets:
            raise KeyError(f"no set {subjects!r}, only {', '.join(sets)}")
        return self.classes.loc[subjects].to_numpy()

    @property
    def same_valence(self) -> float:
        """Share of clips whose emotion has the valence of the clip before."""
        counts = self.transitions.to_numpy()
        return float(np.trace(counts) / counts.sum())


def load_order() -> OrderTables:
    """Where in the session 123 people were shown each of the 28 clips of FACED.

    Returns
    -------
    OrderTables
        Sets are those of `STANDARD_SETS`; classes stand in the order of the clips.

    Notes
    -----
    Computed with `order_tables` from the source that `load_ratings` credits.

    Examples
    --------
    >>> int(load_order().transitions.to_numpy().sum()) == 123 * 27
    True
    """
    transitions = _shipped("faced_order_transitions", ["before"], ["-1", "0", "1"], 3)
    return OrderTables(
        clips=_shipped("faced_order_clips", ["clip"], ["emotion", "mean", "sd", *STANDARD_SETS], 28),
        classes=_shipped("faced_order_classes", ["set", "position"], _CLASSES, 28 * len(STANDARD_SETS)),
        transitions=transitions.rename(columns=int).rename_axis(columns="after"),
    )


def order_tables(
    ratings: pd.DataFrame,
    emotions: Sequence[str],
    signs: Mapping[str, int],
    *,
    sets: Mapping[str, Sequence[int]] = STANDARD_SETS,
) -> OrderTables:
    """Summarise orders of presentation over subjects.

    Parameters
    ----------
    ratings : DataFrame
        One row per subject and clip, with columns ``subject``, ``clip`` (from 1) and ``order``, the clip's
        position in the subject's session, from 1 without gaps.
    emotions : sequence of str
        Emotion of each clip, in order of clip number.
    signs : mapping of str to int
        Valence of each emotion: -1, 0 or 1.
    sets : mapping of str to sequence of int
        Subjects of each set; those that `ratings` lacks are ignored.

    Returns
    -------
    OrderTables
        Positions with four decimals.

    Raises
    ------
    ValueError
        If a column is missing, a subject's clips or positions are not 1 to n, each once, or nobody is in a
        set.
    """
    missing = [column for column in ("subject", "clip", "order") if column not in ratings]
    if missing:
        raise ValueError(f"ratings lack the columns {missing}")
    expected = list(range(1, len(emotions) + 1))
    for subject, rows in ratings.groupby("subject"):
        for column in ("clip", "order"):
            found = sorted(rows[column].tolist())
            if found != expected:
                wanted = f"1 to {len(emotions)}, each once"
                raise ValueError(f"{column} of subject {subject} must be {wanted}, got {found}")
    order = ratings.pivot(index="subject", columns="clip", values="order")
    members = {name: order[order.index.isin(subjects)] for name, subjects in sets.items()}
    empty = [name for name, rows in members.items() if rows.empty]
    if empty:
        raise ValueError(f"no subject is in the sets {empty}: pass sets= that fit the ratings")

    clips = pd.DataFrame({"emotion": list(emotions), "mean": order.mean(), "sd": order.std(ddof=1)})
    clips = clips.assign(**{name: rows.mean() for name, rows in members.items()}).round(4)
    classes = list(dict.fromkeys(emotions))
    positions = pd.Index(expected, name="position")
    counts = {
        name: pd.DataFrame(position_counts(rows, emotions), positions, classes)
        for name, rows in members.items()
    }
    valence = np.array([signs[emotion] for emotion in emotions])[np.argsort(order.to_numpy(), axis=1)]
    transitions = pd.crosstab(valence[:, :-1].ravel(), valence[:, 1:].ravel())
    transitions = transitions.reindex(index=[-1, 0, 1], columns=[-1, 0, 1], fill_value=0)
    return OrderTables(
        clips=clips,
        classes=pd.concat(counts, names=["set", "position"]),
        transitions=transitions.rename_axis(index="before", columns="after"),
    )


def draw_orders(
    n_subjects: int,
    *,
    n_distinct: int | None = None,
    lead: float = 0.0,
    random_state: int | np.random.Generator | None = None,
) -> np.ndarray:
    """Draw orders of presentation by the rule that FACED's own follow.

    Everybody sees the same seven `BLOCKS` of four clips: three of negative, three of positive valence, one
    neutral. The six blocks with a valence come in random order; the neutral one is put at a random place
    among them but never first, as nobody in FACED began with it; the clips of each block are shuffled.

    Parameters
    ----------
    n_subjects : int
        Orders to draw; the first ones do not depend on how many follow.
    n_distinct : int, optional
        Draw only so many; each goes to one subject and the other subjects get one of them at random, which
        matches an experiment whose orders were used several times. By default every subject has their own.
    lead : float
        How much earlier positive blocks tend to come than negative ones, in standard deviations of the
        Gaussian key by which blocks are sorted; 0 for chance alone.
    random_state : int, Generator or None
        Seed or generator.

    Returns
    -------
    ndarray of int, shape (n_subjects, 28)
        Position of each clip, from 1.

    Raises
    ------
    ValueError
        If `n_distinct` is not between 1 and `n_subjects`.
    """
    count = n_subjects if n_distinct is None else n_distinct
    if not 1 <= count <= n_subjects:
        raise ValueError(f"n_distinct must lie between 1 and {n_subjects} subjects, got {n_distinct}")
    rng = np.random.default_rng(random_state)
    blocks = np.array(BLOCKS)
    draws = rng.random((count, 7 + blocks.size))  # one row for each order
    side = np.repeat([-1, 1], 3)
    rank = (ndtri(draws[:, :6]) - side * lead / 2).argsort(1).argsort(1)
    neutral = 1 + (6 * draws[:, 6]).astype(int)[:, None]  # blocks that come before it, never none
    place = np.insert(rank + (rank >= neutral), NEUTRAL_BLOCK, neutral[:, 0], axis=1)
    within = draws[:, 7:].reshape(count, *blocks.shape).argsort(2)
    orders = np.empty((count, blocks.size), dtype=int)
    orders[:, blocks - 1] = place[..., None] * blocks.shape[1] + within + 1
    if n_distinct is None:
        return orders
    again = rng.integers(count, size=n_subjects - count)
    return orders[rng.permutation(np.concatenate([np.arange(count), again]))]


def position_counts(order: ArrayLike, emotions: Sequence[str]) -> np.ndarray:
    """Count the trials of each class at each position.

    Parameters
    ----------
    order : array_like, shape (n_subjects, n_clips)
        Position of each clip, from 1.
    emotions : sequence of str
        Emotion of each clip.

    Returns
    -------
    ndarray of int, shape (n_clips, n_classes)
        Row p - 1 holds position p; classes in order of first appearance.
    """
    order = whole(order, "order")
    classes = list(dict.fromkeys(emotions))
    if (
        order.ndim != 2
        or order.shape[1] != len(emotions)
        or not ((order >= 1) & (order <= len(emotions))).all()
    ):
        raise ValueError(
            f"order must be (n_subjects, {len(emotions)}) positions from 1 to {len(emotions)}, got shape "
            f"{order.shape} with {order.min(initial=1)} to {order.max(initial=1)}"
        )
    label = np.broadcast_to([classes.index(emotion) for emotion in emotions], order.shape)
    counts = np.zeros((len(emotions), len(classes)), dtype=int)
    np.add.at(counts, (order - 1, label), 1)
    return counts


def position_only_bacc(train: ArrayLike, test: ArrayLike) -> float:
    r"""Balanced accuracy of a classifier that knows a trial's position in the session and nothing else.

    It answers with the class under which the position was most likely in the training subjects,

    .. math:: \hat k(p) = \arg\max_k N_{pk} / N_k,

    which is Bayes' rule where every class counts alike, as it does in the score. Classes that tie share the
    position's trials equally, which is what breaking ties at random gives on average; at a position that no
    training subject had, all classes tie.

    Parameters
    ----------
    train, test : array_like, shape (n_positions, n_classes)
        Trials :math:`N_{pk}` by position and class, as `position_counts` gives them.

    Returns
    -------
    float
        Mean over classes of the share of test trials answered rightly; exact, not sampled.

    Raises
    ------
    ValueError
        If shapes differ, a count is negative, or a class has no trial.
    """
    train, test = real(train, "train"), real(test, "test")
    if train.ndim != 2 or train.shape != test.shape:
        raise ValueError(
            f"train and test must be (n_positions, n_classes), got {train.shape} and {test.shape}"
        )
    for name, counts in (("train", train), ("test", test)):
        if (counts < 0).any():
            raise ValueError(f"{name} holds the count {counts.min()}: counts are 0 or more")
        if (counts.sum(0) == 0).any():
            raise ValueError(f"class {np.flatnonzero(counts.sum(0) == 0)[0]} has no trial in {name}")
    likelihood = train / train.sum(0)
    answers = likelihood == likelihood.max(1, keepdims=True)  # equal fractions are equal as floats
    answers = answers / answers.sum(1, keepdims=True)
    return float(((answers * test).sum(0) / test.sum(0)).mean())


def _shipped(name: str, index: Sequence[str], columns: Sequence[str], n_rows: int) -> pd.DataFrame:
    """A table of the package: one index or several, then text in ``emotion`` and numbers elsewhere."""

    def read(file: IO[str]) -> pd.DataFrame:
        table = pd.read_csv(file, comment="#")
        if list(table) != [*index, *columns] or len(table) != n_rows:
            raise ValueError(
                f"{len(table)} rows of {list(table)[:4]}... instead of {n_rows} of {[*index]}..."
            )
        numbers = table.drop(columns=["emotion", "set"], errors="ignore").to_numpy(dtype=float)
        if not np.isfinite(numbers).all():
            raise ValueError("a number is missing")
        return table.set_index(index[0] if len(index) == 1 else list(index))

    return files.read_packaged(f"data/{name}.csv", read)
