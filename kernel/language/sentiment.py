"""Human-rated texts, zero-shot scores on them, their baselines and controls.

In:  names of benchmarks; hidden states or scores, one per text.
Out: plain arrays and small results with intervals.
Never fits anything to the ratings except in functions that say so (the supervised baseline and the probe).
"""

from __future__ import annotations

import ast
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from kernel import assets, stats
from kernel.language.axis import ValenceAxis
from kernel.stats import Interval


class UnknownBenchmarkError(KeyError):
    """No such benchmark."""

    def __str__(self) -> str:
        return str(self.args[0])


class BenchmarkLoadError(RuntimeError):
    """The data of a benchmark could not be loaded; the message names the cure."""


@dataclass(frozen=True)
class Benchmark:
    """Texts with human valence.

    Attributes
    ----------
    name : str
        Name of the set.
    texts : tuple of str
        Distinct texts.
    ratings : ndarray, shape (n_texts,)
        Mean human rating in [-4, 4], or -1 and +1 where a set has labels only.
    citation : str
        Where the texts and ratings come from.
    """

    name: str
    texts: tuple[str, ...]
    ratings: np.ndarray
    citation: str

    @property
    def labels(self) -> np.ndarray:
        """True where the rating is positive, shape (n_texts,)."""
        return self.ratings > 0

    def __len__(self) -> int:
        return len(self.texts)


_HUTTO = "Hutto & Gilbert (2014), ICWSM. doi:10.1609/icwsm.v8i1.14550"
_SNIPPETS = {
    "movie": "movieReviewSnippets",
    "amazon": "amazonReviewSnippets",
    "tweets": "tweets",
    "editorials": "nytEditorialSnippets",
}


@dataclass(frozen=True)
class _HubSource:
    path: str
    config: str | None
    split: str
    text: str
    negative: int
    positive: int
    citation: str


_HUB = {
    "sst2": _HubSource(
        "stanfordnlp/sst2", None, "validation", "sentence", 0, 1, "Socher et al. (2013), EMNLP D13-1170"
    ),
    "imdb": _HubSource("stanfordnlp/imdb", None, "test", "text", 0, 1, "Maas et al. (2011), ACL P11-1015"),
    "yelp": _HubSource(
        "fancyzhx/yelp_polarity", None, "test", "text", 0, 1, "Zhang et al. (2015), arXiv:1509.01626"
    ),
    "tweeteval": _HubSource(
        "cardiffnlp/tweet_eval",
        "sentiment",
        "test",
        "text",
        0,
        2,
        "Rosenthal et al. (2017), doi:10.18653/v1/S17-2088",
    ),
    "rotten_tomatoes": _HubSource(
        "cornell-movie-review-data/rotten_tomatoes",
        None,
        "test",
        "text",
        0,
        1,
        "Pang & Lee (2005), ACL P05-1015",
    ),
}
#: Benchmarks that need no account and no hub.
BUNDLED_BENCHMARKS = (*_SNIPPETS, "lexicon")
#: Benchmarks of the paper, loaded through the ``hub`` extra.
HUB_BENCHMARKS = tuple(_HUB)


def load_benchmark(
    name: str,
    *,
    n: int | None = None,
    min_abs_rating: float = 0.0,
    random_state: int | np.random.Generator | None = 0,
) -> Benchmark:
    """Load human-rated texts.

    The snippet sets (``movie``, ``amazon``, ``tweets``, ``editorials``) are rated by about 20 people a text
    (tweets by up to 99) on a scale from -4 to 4. The rating is the mean of the individual ratings of the
    release; for 196 tweets it differs from the release's own table of means. ``lexicon`` holds single words.

    Parameters
    ----------
    name : str
        One of `BUNDLED_BENCHMARKS` or `HUB_BENCHMARKS`.
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
    kernel.assets.AssetMissingError
        If the bundled ratings have not been fetched.
    kernel.assets.AssetCorruptError
        If they cannot be read any more.
    BenchmarkLoadError
        If a hub set cannot be reached.
    ValueError
        If more texts are asked for than there are.
    """
    if name in _SNIPPETS:
        table = _read_asset("hutto-snippets", partial(_read_snippets, stem=_SNIPPETS[name]))
    elif name == "lexicon":
        table = _read_asset("vader-lexicon", _read_lexicon)
    elif name in _HUB:
        table = _read_hub(name)
    else:
        known = [*BUNDLED_BENCHMARKS, *HUB_BENCHMARKS]
        raise UnknownBenchmarkError(f"unknown benchmark {name!r}: use one of {known}")

    table = table[table["text"].str.strip() != ""].drop_duplicates("text")
    table = table[(table["rating"].abs() >= min_abs_rating) & (table["rating"] != 0)]
    if n is not None:
        if not 1 <= n <= len(table):
            raise ValueError(
                f"n={n} texts asked of {name!r}, which has {len(table)} with |rating| >= {min_abs_rating}"
            )
        rows = np.random.default_rng(random_state).choice(len(table), n, replace=False)
        table = table.iloc[np.sort(rows)]
    citation = _HUB[name].citation if name in _HUB else _HUTTO
    return Benchmark(name, tuple(table["text"]), table["rating"].to_numpy(dtype=float), citation)


def _read_asset(asset: str, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
    """Texts with finite ratings from an asset's folder, whose files may have been damaged since."""
    folder = assets.path(asset)
    try:
        table = read(folder)
        if not np.isfinite(table["rating"]).all():
            raise ValueError(f"text {int(np.argmin(np.isfinite(table['rating'])))} has no finite rating")
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
    return pd.DataFrame(
        {"text": [_unescape(row[2]) for row in texts], "rating": [means[row[0]] for row in texts]}
    )


def _unescape(text: str) -> str:
    """Plain text; some snippets were escaped twice."""
    return html.unescape(html.unescape(text)).strip()


def _read_lexicon(folder: Path) -> pd.DataFrame:
    rows = _columns(next(folder.rglob("vader_lexicon.txt")))
    words = [(row[0], float(row[1])) for row in rows if row[0].isalpha()]
    return pd.DataFrame(words, columns=["text", "rating"])


def _columns(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [line.split("\t") for line in lines if line.strip()]


def _read_hub(name: str) -> pd.DataFrame:
    source = _HUB[name]
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise BenchmarkLoadError(f"{name!r} needs the hub extra: pip install 'valence-axis[hub]'") from error
    try:
        data = load_dataset(source.path, source.config, split=source.split)
    except Exception as error:  # datasets raises many kinds; the cure is the same
        raise BenchmarkLoadError(
            f"could not load {source.path!r} ({error}): check the network, "
            "or fill the datasets cache beforehand"
        ) from error
    labels = np.asarray(data["label"])
    keep = np.isin(labels, [source.negative, source.positive])
    ratings = np.where(labels == source.positive, 1.0, -1.0)
    texts = [html.unescape(str(t)) for t in data[source.text]]
    return pd.DataFrame({"text": texts, "rating": ratings})[keep]


@dataclass(frozen=True)
class ZeroShot:
    """Scores against human ratings, threshold-free, with bootstrap intervals over texts.

    Attributes
    ----------
    benchmark : str
        Name of the set.
    n : int
        Texts.
    auc, pearson, spearman : Interval
        Area under the ROC curve of rating > 0, and correlations with the rating.
    """

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
    scores: np.ndarray,
    benchmark: Benchmark,
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    random_state: int | np.random.Generator | None = 0,
) -> ZeroShot:
    """Compare label-free scores with human ratings.

    Parameters
    ----------
    scores : ndarray, shape (n_texts,)
        Higher means more positive, e.g. ``axis.project(H)``.
    benchmark : Benchmark
        The texts that were scored, in the same order.
    n_resamples, confidence, random_state
        Bootstrap over texts, within the positive and the negative ones.

    Returns
    -------
    ZeroShot

    Raises
    ------
    ValueError
        If lengths differ, a score is not finite, or all labels are alike.
    """
    scores = np.asarray(scores, dtype=float)
    if scores.shape != (len(benchmark),):
        raise ValueError(
            f"scores must have shape ({len(benchmark)},) like {benchmark.name!r}, got {scores.shape}"
        )
    labels = benchmark.labels
    options: dict[str, Any] = dict(n_resamples=n_resamples, confidence=confidence, strata=labels)
    rng = np.random.default_rng(random_state)
    return ZeroShot(
        benchmark.name,
        len(benchmark),
        stats.bootstrap_interval(stats.auc, scores, labels, random_state=rng, **options),
        stats.bootstrap_interval(stats.pearson, scores, benchmark.ratings, random_state=rng, **options),
        stats.bootstrap_interval(
            stats.pearson, rankdata(scores), rankdata(benchmark.ratings), random_state=rng, **options
        ),
    )


def prototype_scores(texts: np.ndarray, prototypes: np.ndarray, valence: Sequence[float]) -> np.ndarray:
    r"""Cosine to the positive prototype minus cosine to the negative one.

    Parameters
    ----------
    texts : ndarray, shape (n_texts, n_features)
        Sentence embeddings.
    prototypes : ndarray, shape (n_stories, n_features)
        Embeddings of stories with known sign.
    valence : sequence of float, length n_stories
        Sign of each story; zeros are left out.

    Returns
    -------
    ndarray, shape (n_texts,)

    Raises
    ------
    ValueError
        If there are stories of one sign only, or an embedding or the mean of a sign has no direction.
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
    H: np.ndarray,
    labels: np.ndarray,
    sizes: Sequence[int],
    *,
    n_repeats: int = 5,
    random_state: int = 0,
) -> pd.DataFrame:
    """AUC of logistic regression trained on so many labelled texts, tested on the others.

    Parameters
    ----------
    H : ndarray, shape (n_texts, n_features)
        Hidden states.
    labels : ndarray of bool, shape (n_texts,)
        Positive or negative.
    sizes : sequence of int
        Training sizes, each below ``n_texts - 1``.
    n_repeats : int
        Random splits for each size.
    random_state : int
        Seed of the splits.

    Returns
    -------
    DataFrame
        Columns ``n_train``, ``repeat``, ``auc``.
    """
    bad = [s for s in sizes if not 4 <= s < len(labels) - 1]
    if bad:
        raise ValueError(f"training sizes {bad} do not fit {len(labels)} texts: use 4 to {len(labels) - 2}")
    rows = []
    for size in sizes:
        splits = StratifiedShuffleSplit(n_repeats, train_size=size, random_state=random_state)
        for repeat, (train, test) in enumerate(splits.split(H, labels)):
            scores = _probe().fit(H[train], labels[train]).decision_function(H[test])
            rows.append({"n_train": size, "repeat": repeat, "auc": float(stats.auc(scores, labels[test]))})
    return pd.DataFrame(rows)


def _probe() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))


@dataclass(frozen=True)
class AblationEffect:
    """What is lost when one direction is taken out of the features.

    Attributes
    ----------
    auc_before, auc_after : float
        Zero-shot AUC along the axis found from the stories, and along the axis found again from stories whose
        features lack the first one.
    scores_after : ndarray, shape (n_texts,)
        Projections of the ablated texts on the axis found again, those of `auc_after`.
    probe_before, probe_after : float
        Cross-validated AUC of a supervised probe, retrained after the ablation.
    probe_random : ndarray, shape (n_directions,)
        The retrained probe's AUC after ablating random directions.
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
    random_state: int | np.random.Generator | None = 0,
) -> AblationEffect:
    """Ablate the axis from texts and stories alike, then ask zero-shot and by a retrained probe what is left.

    Projecting ablated features on the ablated axis gives a constant by construction, which proves nothing; so
    the axis is looked for again in the ablated stories.

    Parameters
    ----------
    stories : ndarray, shape (n_stories, n_features)
        Hidden states of the stories.
    emotions : sequence of str, length n_stories
        Their classes.
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

    Raises
    ------
    ValueError
        If there are fewer than three classes: two span one direction, and nothing is left to find again.
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

    random_losses = []
    for _ in range(n_directions):
        direction = rng.standard_normal((H.shape[1],)).astype(H.dtype)
        direction /= np.linalg.norm(direction)
        random_losses.append(probe_auc(H - np.outer(H @ direction, direction)))
    ablated = axis.ablate(H)
    scores_after = again.project(ablated)
    return AblationEffect(
        float(stats.auc(axis.project(H), labels)),
        float(stats.auc(scores_after, labels)),
        scores_after,
        probe_auc(H),
        probe_auc(ablated),
        np.array(random_losses),
    )


def shuffled_emotions(
    stories: np.ndarray,
    emotions: Sequence[str] | np.ndarray,
    H: np.ndarray,
    labels: np.ndarray,
    *,
    n_shuffles: int = 200,
    random_state: int | np.random.Generator | None = 0,
) -> np.ndarray:
    """AUC of axes built from stories whose emotions are permuted over texts, shape (n_shuffles,).

    This destroys the classes themselves; what is left is what any centred direction of the stories can do.
    """
    rng = np.random.default_rng(random_state)
    given = np.asarray(emotions, dtype=object)
    directions = [ValenceAxis().fit(stories, rng.permutation(given)).direction_ for _ in range(n_shuffles)]
    return np.asarray(stats.auc(np.stack(directions) @ H.T, labels))
