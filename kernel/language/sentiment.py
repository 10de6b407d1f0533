"""Human-rated texts, zero-shot scores on them, their baselines and controls.

Nothing is fitted to the ratings except by the supervised baseline and the probe, which say so.
"""

from __future__ import annotations

import ast
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from kernel import assets, checks, stats
from kernel.arrays import real
from kernel.language.axis import ValenceAxis
from kernel.stats import Interval

Seed = int | np.random.Generator | None


class UnknownBenchmarkError(LookupError):
    """No such benchmark."""


class BenchmarkLoadError(RuntimeError):
    """The data of a benchmark could not be loaded; the message names the cure."""


@dataclass(frozen=True)
class Benchmark:
    """Distinct texts with mean human valence (n_texts,) in [-4, 4], or -1 and +1 where a set has labels."""

    name: str
    texts: tuple[str, ...]
    ratings: np.ndarray
    citation: str

    def __post_init__(self) -> None:
        ratings = real(self.ratings, f"ratings of {self.name!r}")
        checks.shape(f"ratings of {self.name!r}", ratings, (len(self.texts),))
        object.__setattr__(self, "ratings", ratings)

    @property
    def labels(self) -> np.ndarray:
        """True where the rating is positive, shape (n_texts,)."""
        return self.ratings > 0

    def __len__(self) -> int:
        return len(self.texts)


class _HubSet(NamedTuple):
    path: str
    citation: str
    split: str = "test"
    text: str = "text"
    config: str | None = None
    positive: int = 1  # the label of positive texts; that of negative ones is 0


_HUTTO = "Hutto & Gilbert (2014), ICWSM. doi:10.1609/icwsm.v8i1.14550"
_SNIPPETS = {
    "movie": "movieReviewSnippets",
    "amazon": "amazonReviewSnippets",
    "tweets": "tweets",
    "editorials": "nytEditorialSnippets",
}
_HUB = {
    "sst2": _HubSet("stanfordnlp/sst2", "Socher et al. (2013), EMNLP D13-1170", "validation", "sentence"),
    "imdb": _HubSet("stanfordnlp/imdb", "Maas et al. (2011), ACL P11-1015"),
    "yelp": _HubSet("fancyzhx/yelp_polarity", "Zhang et al. (2015), arXiv:1509.01626"),
    "tweeteval": _HubSet(
        "cardiffnlp/tweet_eval",
        "Rosenthal et al. (2017), doi:10.18653/v1/S17-2088",
        config="sentiment",
        positive=2,
    ),
    "rotten_tomatoes": _HubSet(
        "cornell-movie-review-data/rotten_tomatoes", "Pang & Lee (2005), ACL P05-1015"
    ),
}
#: Benchmarks of the paper, loaded through the ``hub`` extra.
HUB_BENCHMARKS = tuple(_HUB)


def load_benchmark(
    name: str, *, n: int | None = None, min_abs_rating: float = 0.0, random_state: Seed = 0
) -> Benchmark:
    """Load human-rated texts.

    The snippet sets (``movie``, ``amazon``, ``tweets``, ``editorials``) are rated by about 20 people a text
    (tweets by up to 99) on a scale from -4 to 4. The rating is the mean of the individual ratings of the
    release; for 196 tweets it differs from the release's own table of means. ``lexicon`` holds single words.
    `HUB_BENCHMARKS` have labels.

    Parameters
    ----------
    name : str
        A set named above.
    n : int or None
        Random sample of so many texts; None takes all.
    min_abs_rating : float
        Keep texts whose absolute mean rating reaches this.
    random_state : int, Generator or None
        Seed of the sample.

    Returns
    -------
    Benchmark

    Raises
    ------
    UnknownBenchmarkError
        Lists the known names.
    kernel.assets.AssetMissingError, kernel.assets.AssetCorruptError
        If the bundled ratings have not been fetched, or cannot be read any more.
    BenchmarkLoadError
        If a hub set cannot be reached.
    """
    checks.choice("name", name, [*_SNIPPETS, "lexicon", *_HUB], error=UnknownBenchmarkError)
    table = _read_hub(_HUB[name]) if name in _HUB else _read_bundled(name)
    table = table[table["text"].str.strip() != ""].drop_duplicates("text")
    table = table[(table["rating"].abs() >= min_abs_rating) & (table["rating"] != 0)]
    if n is not None:
        checks.count(f"n of {name!r} with |rating| >= {min_abs_rating}", n, 1, len(table))
        rows = np.random.default_rng(random_state).choice(len(table), n, replace=False)
        table = table.iloc[np.sort(rows)]
    citation = _HUB[name].citation if name in _HUB else _HUTTO
    return Benchmark(name, tuple(table["text"]), table["rating"].to_numpy(dtype=float), citation)


def _read_bundled(name: str) -> pd.DataFrame:
    """Texts with finite ratings from an asset's folder, whose files may have been damaged since."""
    asset = "vader-lexicon" if name == "lexicon" else "hutto-snippets"
    folder = assets.path(asset)
    try:
        table = _read_lexicon(folder) if name == "lexicon" else _read_snippets(folder, _SNIPPETS[name])
        finite = np.isfinite(table["rating"])
        if not finite.all():
            raise ValueError(f"text {int(np.argmin(finite))} has no finite rating")
    except Exception as error:  # a table that was damaged can fail in any way
        raise assets.AssetCorruptError(
            f"the ratings in {folder} cannot be read ({type(error).__name__}: {error}): run "
            f"`python -m kernel.assets fetch {asset}` to replace them"
        ) from error
    return table


def _read_snippets(folder: Path, stem: str) -> pd.DataFrame:
    texts = _columns(next(folder.rglob(f"{stem}_GroundTruth.txt")))
    votes = _columns(next(folder.rglob(f"{stem}_anonDataRatings.txt")))
    means = {row[0]: float(np.mean(ast.literal_eval(row[3]))) for row in votes}
    plain = [html.unescape(html.unescape(row[2])).strip() for row in texts]  # some were escaped twice
    return pd.DataFrame({"text": plain, "rating": [means[row[0]] for row in texts]})


def _read_lexicon(folder: Path) -> pd.DataFrame:
    rows = _columns(next(folder.rglob("vader_lexicon.txt")))
    words = [(row[0], float(row[1])) for row in rows if row[0].isalpha()]
    return pd.DataFrame(words, columns=["text", "rating"])


def _columns(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [line.split("\t") for line in lines if line.strip()]


def _read_hub(source: _HubSet) -> pd.DataFrame:
    try:
        from datasets import load_dataset

        data = load_dataset(source.path, source.config, split=source.split)
    except ImportError as error:
        raise BenchmarkLoadError(
            f"{source.path!r} needs the hub extra: pip install 'valence-axis[hub]'"
        ) from error
    except Exception as error:  # datasets raises many kinds; the cure is the same
        raise BenchmarkLoadError(
            f"could not load {source.path!r} ({error}): check the network, "
            "or fill the datasets cache beforehand"
        ) from error
    table = pd.DataFrame({"text": list(data[source.text]), "label": list(data["label"])})
    table = table[table["label"].isin([0, source.positive])]
    ratings = np.where(table["label"] == source.positive, 1.0, -1.0)
    return pd.DataFrame({"text": [html.unescape(str(text)) for text in table["text"]], "rating": ratings})


class ZeroShot(NamedTuple):
    """Scores of `n` texts against human ratings: AUC of rating > 0, and correlations with the rating."""

    benchmark: str
    n: int
    auc: Interval
    pearson: Interval
    spearman: Interval

    def row(self) -> dict[str, float | int | str]:
        """One flat row for a table."""
        return {
            "benchmark": self.benchmark,
            "n": self.n,
            "auc": self.auc.value,
            "auc_low": self.auc.low,
            "auc_high": self.auc.high,
            "pearson": self.pearson.value,
            "spearman": self.spearman.value,
        }


def zero_shot(
    scores: np.ndarray, benchmark: Benchmark, *, n_resamples: int = 1000, random_state: Seed = 0
) -> ZeroShot:
    """Compare label-free scores with human ratings, without any threshold.

    Parameters
    ----------
    scores : ndarray, shape (n_texts,)
        Higher means more positive, e.g. ``axis.project(H)``.
    benchmark : Benchmark
        The texts that were scored, in the same order.
    n_resamples, random_state
        Bootstrap over texts, within the positive and the negative ones; intervals cover 95 %.

    Returns
    -------
    ZeroShot
    """
    scores = np.asarray(scores, dtype=float)
    checks.shape(f"scores of {benchmark.name!r}", scores, (len(benchmark),))
    labels, ratings = benchmark.labels, benchmark.ratings
    if labels.all() or not labels.any():
        raise ValueError(
            f"the {len(benchmark)} texts of {benchmark.name!r} are all rated on one side of zero: "
            "an AUC needs both, so take more (n_texts; texts in a study)"
        )
    rng = np.random.default_rng(random_state)

    def interval(statistic: Any, x: np.ndarray, y: np.ndarray) -> Interval:
        return stats.bootstrap_interval(
            statistic, x, y, n_resamples=n_resamples, strata=labels, random_state=rng
        )

    return ZeroShot(
        benchmark.name,
        len(benchmark),
        interval(stats.auc, scores, labels),
        interval(stats.pearson, scores, ratings),
        interval(stats.pearson, rankdata(scores), rankdata(ratings)),
    )


def prototype_scores(texts: np.ndarray, prototypes: np.ndarray, valence: Sequence[float]) -> np.ndarray:
    """Cosine to the positive prototype minus cosine to the negative one, shape (n_texts,).

    `texts` (n_texts, n_features) and `prototypes` (n_stories, n_features) are sentence embeddings; the sign
    of `valence` (n_stories,) says which stories make which prototype, and zeros are left out.
    """
    sign = np.sign(np.asarray(valence, dtype=float))
    if not ((sign > 0).any() and (sign < 0).any()):
        raise ValueError("prototype_scores needs stories of both signs")

    def unit(x: np.ndarray) -> np.ndarray:
        length = np.linalg.norm(x, axis=-1, keepdims=True)
        if not (length > 0).all():
            raise ValueError(f"embedding {int(np.argmin(length > 0))} is zero or NaN: it has no direction")
        return x / length

    poles = np.stack([unit(prototypes[sign == s]).mean(0) for s in (1, -1)])
    positive, negative = unit(poles) @ unit(texts).T
    return positive - negative


def vader_scores(texts: Sequence[str]) -> np.ndarray:
    """Compound score of the rule-based VADER in [-1, 1] (Hutto & Gilbert 2014), shape (n_texts,).

    VADER was developed on these very snippet sets, so it is a ceiling on them rather than a fair rival.
    """
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    return np.array([analyser.polarity_scores(text)["compound"] for text in texts])


def supervised_curve(
    H: np.ndarray, labels: np.ndarray, sizes: Sequence[int], *, n_repeats: int = 5, random_state: int = 0
) -> pd.DataFrame:
    """AUC of logistic regression trained on so many labelled texts, tested on the others.

    From hidden states (n_texts, n_features) and labels (n_texts,) of bool; every size is tried on `n_repeats`
    random splits. The table has the columns ``n_train``, ``repeat`` and ``auc``.
    """
    rows = []
    for size in sizes:
        checks.count("training size", size, 4, len(labels) - 2)
        splits = StratifiedShuffleSplit(n_repeats, train_size=size, random_state=random_state)
        for repeat, (train, test) in enumerate(splits.split(H, labels)):
            scores = _probe().fit(H[train], labels[train]).decision_function(H[test])
            rows.append({"n_train": size, "repeat": repeat, "auc": float(stats.auc(scores, labels[test]))})
    return pd.DataFrame(rows)


def _probe() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))


class AblationEffect(NamedTuple):
    """What is lost when one direction is taken out of the features.

    `auc_before` and `auc_after` are zero-shot AUCs along the axis of the stories, and along the axis found
    again in stories that lack the first one, on which `scores_after` (n_texts,) are the ablated texts.
    `probe_...` are cross-validated AUCs of a supervised probe, retrained after each ablation; `probe_random`
    (n_directions,) after those of random directions.
    """

    auc_before: float
    auc_after: float
    scores_after: np.ndarray
    probe_before: float
    probe_after: float
    probe_random: np.ndarray

    @property
    def probe_loss(self) -> float:
        """Loss of the retrained probe's AUC."""
        return self.probe_before - self.probe_after

    @property
    def p(self) -> float:
        """Share of random directions whose ablation costs the probe as much, with the +1 rule."""
        return stats.permutation_p(
            self.probe_loss, self.probe_before - self.probe_random, alternative="greater"
        )


def ablation_effect(
    stories: np.ndarray,
    emotions: Sequence[str] | np.ndarray,
    H: np.ndarray,
    labels: np.ndarray,
    *,
    n_directions: int = 20,
    random_state: Seed = 0,
) -> AblationEffect:
    """Ablate the axis from texts and stories alike, then ask zero-shot and by a retrained probe what is left.

    Projecting ablated features on the ablated axis gives a constant by construction, which proves nothing; so
    the axis is looked for again in the ablated stories.

    Parameters
    ----------
    stories : ndarray, shape (n_stories, n_features)
        Hidden states of the stories.
    emotions : sequence of str, length n_stories
        Their classes, three or more: two span one direction, and nothing is left to find again.
    H : ndarray, shape (n_texts, n_features)
        Hidden states of the benchmark.
    labels : ndarray of bool, shape (n_texts,)
        Positive or negative.
    n_directions : int
        Random directions for the probe's null.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    AblationEffect
    """
    if len(set(emotions)) < 3:
        raise ValueError(f"emotions {sorted(set(emotions))} span one direction: ablation needs three or more")
    rng = np.random.default_rng(random_state)
    axis = ValenceAxis().fit(stories, emotions)
    again = ValenceAxis().fit(axis.ablate(stories), emotions)
    folds = StratifiedKFold(5, shuffle=True, random_state=int(rng.integers(2**31)))

    def probe_auc(features: np.ndarray) -> float:
        scores = cross_val_predict(_probe(), features, labels, cv=folds, method="decision_function")
        return float(stats.auc(scores, labels))

    probe_random = []
    for _ in range(n_directions):
        direction = rng.standard_normal((H.shape[1],)).astype(H.dtype)
        direction /= np.linalg.norm(direction)
        probe_random.append(probe_auc(H - np.outer(H @ direction, direction)))
    ablated = axis.ablate(H)
    scores_after = again.project(ablated)
    return AblationEffect(
        float(stats.auc(axis.project(H), labels)),
        float(stats.auc(scores_after, labels)),
        scores_after,
        probe_auc(H),
        probe_auc(ablated),
        np.array(probe_random),
    )


def shuffled_emotions(
    stories: np.ndarray,
    emotions: Sequence[str] | np.ndarray,
    H: np.ndarray,
    labels: np.ndarray,
    *,
    n_shuffles: int = 200,
    random_state: Seed = 0,
) -> np.ndarray:
    """AUC of axes built from stories whose emotions are permuted over texts, shape (n_shuffles,).

    Arguments as for `ablation_effect`. This destroys the classes themselves; what is left is what any centred
    direction of the stories can do.
    """
    rng = np.random.default_rng(random_state)
    classes = np.asarray(emotions, dtype=object)
    directions = [ValenceAxis().fit(stories, rng.permutation(classes)).direction_ for _ in range(n_shuffles)]
    return np.asarray(stats.auc(np.stack(directions) @ H.T, labels))
