"""How 123 people rated the 28 clips of FACED, and when each clip was shown to them; no individual's numbers.

`book/studies/make_ratings.py` makes the tables that are read here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri

from kernel import files
from kernel.arrays import real, whole
from kernel.brain.designs import FACED_CLASSES
from kernel.checks import choice, count, shape

#: The twelve scales, each a slider from 0 to 7.
SCALES = (
    "joy", "tenderness", "inspiration", "amusement", "anger", "disgust", "fear", "sadness",
    "arousal", "valence", "familiarity", "liking",
)  # fmt: skip
#: Different orders of presentation among the 123 subjects, and how many of the 23 test subjects were shown
#: the clips in exactly the order of some training subject.
DISTINCT_ORDERS = 91
TEST_ORDERS_IN_TRAIN = 10
#: Clips that follow one another in every subject's session: three blocks of negative and three of positive
#: valence, each with one clip of each of its four classes, and one of neutral clips.
BLOCKS = (
    (1, 4, 7, 10), (2, 5, 8, 11), (3, 6, 9, 12), (13, 14, 15, 16),
    (17, 20, 23, 26), (18, 21, 24, 27), (19, 22, 25, 28),
)  # fmt: skip
NEUTRAL_BLOCK = 3
#: Subjects of the split that is usual for FACED.
STANDARD_SETS = {"train": range(80), "validation": range(80, 100), "test": range(100, 123)}


def load_ratings() -> pd.DataFrame:
    """The twelve FACED ratings of the 28 clips, from 0 to 7, by clip.

    Columns are ``emotion``, ``n``, and ``{scale}_mean`` and ``{scale}_sd`` (n - 1) for each of `SCALES`, of
    the open BIDS release (NEMAR nm000112 v1.0.1 [1]_, CC-BY-4.0; by Guetschel) of Chen et al. [2]_.

    .. [1] FACED in BIDS. doi:10.82901/nemar.nm000112
    .. [2] Chen et al. (2023), Scientific Data 10:740. doi:10.1038/s41597-023-02650-w
    """
    numbers = [f"{scale}_{part}" for scale in SCALES for part in ("mean", "sd")]
    return _shipped("faced_ratings", ["clip"], ["emotion", "n", *numbers], 28)


class OrderTables(NamedTuple):
    """When the clips were shown, over people.

    `clips` has one row a clip: ``emotion``, ``mean`` and ``sd`` (n - 1) of its position from 1 up over all
    subjects, and its mean position in each set. `classes`, indexed by set and position, counts the subjects
    of the set that saw a clip of each emotion (columns) there. `transitions` counts how often a clip of
    negative (-1), neutral (0) or positive (1) emotion (rows) was followed by one of each (columns).
    """

    clips: pd.DataFrame
    classes: pd.DataFrame
    transitions: pd.DataFrame

    def counts(self, subjects: str) -> np.ndarray:
        """Trials by position and class of one set of subjects, (n_positions, n_classes)."""
        choice("set", subjects, tuple(self.classes.index.unique("set")))
        return self.classes.loc[subjects].to_numpy()

    @property
    def same_valence(self) -> float:
        """Share of clips whose emotion has the valence of the clip before."""
        counts = self.transitions.to_numpy()
        return float(np.trace(counts) / counts.sum())


def load_order() -> OrderTables:
    """Where in the session the people of `STANDARD_SETS` saw each clip; of the source of `load_ratings`."""
    transitions = _shipped("faced_order_transitions", ["before"], ["-1", "0", "1"], 3)
    return OrderTables(
        clips=_shipped("faced_order_clips", ["clip"], ["emotion", "mean", "sd", *STANDARD_SETS], 28),
        classes=_shipped("faced_order_classes", ["set", "position"], FACED_CLASSES, 28 * len(STANDARD_SETS)),
        transitions=transitions.rename(columns=int).rename_axis(columns="after"),
    )


def draw_orders(
    n_subjects: int,
    *,
    n_distinct: int | None = None,
    lead: float = 0.0,
    random_state: int | np.random.Generator | None = None,
) -> np.ndarray:
    """Draw positions (n_subjects, 28) of the clips, from 1, by the rule that FACED's own orders follow.

    Everybody sees the same seven `BLOCKS` of four clips: three of negative, three of positive valence, one
    neutral. The six blocks with a valence come in random order; the neutral one is put at a random place
    among them but never first, as nobody in FACED began with it; the clips of each block are shuffled.

    Parameters
    ----------
    n_distinct : int, optional
        Draw only so many: each goes to one subject, and the others get one of them at random.
    lead : float
        How much earlier positive blocks tend to come than negative ones, in standard deviations of the
        Gaussian key by which blocks are sorted; 0 for chance alone.
    """
    n_drawn = n_subjects if n_distinct is None else count("n_distinct", n_distinct, 1, n_subjects)
    rng = np.random.default_rng(random_state)
    blocks = np.array(BLOCKS)
    draws = rng.random((n_drawn, 7 + blocks.size))  # one row for each order
    side = np.repeat([-1, 1], 3)
    rank = (ndtri(draws[:, :6]) - side * lead / 2).argsort(1).argsort(1)
    neutral = 1 + (6 * draws[:, 6]).astype(int)[:, None]  # blocks that come before it, never none
    place = np.insert(rank + (rank >= neutral), NEUTRAL_BLOCK, neutral[:, 0], axis=1)
    within = draws[:, 7:].reshape(n_drawn, *blocks.shape).argsort(2)
    orders = np.empty((n_drawn, blocks.size), dtype=int)
    orders[:, blocks - 1] = place[..., None] * blocks.shape[1] + within + 1
    if n_distinct is None:
        return orders
    again = rng.integers(n_drawn, size=n_subjects - n_drawn)
    return orders[rng.permutation(np.concatenate([np.arange(n_drawn), again]))]


def position_counts(order: ArrayLike, emotions: Sequence[str]) -> np.ndarray:
    """Trials by position (rows, from 1) and class (columns, by first appearance), (n_clips, n_classes).

    `order` (n_subjects, n_clips) holds the position of each clip, from 1; `emotions` the class of each clip.
    """
    n_clips = len(emotions)
    position = shape("order", whole(order, "order"), (None, n_clips), f"(n_subjects, {n_clips})")
    if not ((position >= 1) & (position <= n_clips)).all():
        span = f"{position.min()} to {position.max()}"
        raise ValueError(f"order must hold positions from 1 to {n_clips}, got {span}")
    classes = list(dict.fromkeys(emotions))
    label = np.broadcast_to([classes.index(emotion) for emotion in emotions], position.shape)
    counts = np.zeros((n_clips, len(classes)), dtype=int)
    np.add.at(counts, (position - 1, label), 1)
    return counts


def position_only_bacc(train: ArrayLike, test: ArrayLike) -> float:
    r"""Balanced accuracy of a classifier that knows a trial's position in the session and nothing else.

    It answers with the class under which the position was most likely in the training subjects,

    .. math:: \hat k(p) = \arg\max_k N_{pk} / N_k,

    which is Bayes' rule where every class counts alike. `train` and `test` (n_positions, n_classes) hold the
    trials :math:`N_{pk}` of `position_counts`. Classes that tie share the position's trials equally, as
    breaking ties at random does on average; at a position that no training subject had, all classes tie.
    """
    known = shape("train", real(train, "train"), (None, None), "(n_positions, n_classes)")
    asked = shape("test", real(test, "test"), known.shape)
    for name, counts in (("train", known), ("test", asked)):
        if (counts < 0).any() or (counts.sum(0) == 0).any():
            raise ValueError(
                f"{name} must hold counts of 0 or more and trials of each class, got {counts.tolist()}"
            )
    likelihood = known / known.sum(0)
    answers = likelihood == likelihood.max(1, keepdims=True)  # equal fractions are equal as floats
    answers = answers / answers.sum(1, keepdims=True)
    return float(((answers * asked).sum(0) / asked.sum(0)).mean())


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
