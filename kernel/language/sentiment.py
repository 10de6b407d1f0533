"""Human-rated texts, zero-shot scores on them, their baselines and controls.

Nothing is fitted to the ratings except by the supervised baseline and the probe, which say so.
"""

from __future__ import annotations

import ast
import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from kernel import assets, checks, files, stats
from kernel.arrays import real
from kernel.language.axis import ValenceAxis
from kernel.language.hidden import hidden_states
from kernel.language.models import load_encoder
from kernel.language.stories import Embed, Stories
from kernel.stats import Interval, Seed


class BenchmarkLoadError(RuntimeError):
    """The data of a benchmark could not be loaded; the message names the cure."""


@dataclass(frozen=True)
class Benchmark:
    """Distinct texts with mean human ratings (n_texts,) in [-4, 4], 0 where the scale has its middle.

    A set with labels has -1, 0 and +1. `emotions` (n_texts,) are the labels of a set that has emotions.
    """

    name: str
    texts: tuple[str, ...]
    ratings: np.ndarray
    citation: str
    emotions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ratings = real(self.ratings, f"ratings of {self.name!r}")
        checks.shape(f"ratings of {self.name!r}", ratings, (len(self.texts),))
        object.__setattr__(self, "ratings", ratings)
        if len(self.emotions) not in (0, len(self.texts)):
            raise ValueError(f"{self.name!r} has {len(self.texts)} texts but {len(self.emotions)} emotions")

    @property
    def labels(self) -> np.ndarray:
        """True where the rating is positive, shape (n_texts,)."""
        return self.ratings > 0

    def __len__(self) -> int:
        return len(self.texts)

    def check_sides(self) -> Benchmark:
        """The set itself; ValueError if an AUC, which needs positive and negative ratings, has none."""
        if not (self.ratings.min(initial=0) < 0 < self.ratings.max(initial=0)):
            raise ValueError(
                f"the {len(self)} texts of {self.name!r} are all rated on one side of zero: an AUC needs "
                "both, so take more (n_texts; texts in a study), or subtract the middle of the scale"
            )
        return self


_SETS: dict[str, dict[str, Any]] = files.read_packaged(
    "language/data/benchmarks.yaml", lambda file: files.read_yaml(file.read())
)
#: Names that `load_benchmark` knows; the last two come through the ``hub`` extra.
BENCHMARKS = tuple(_SETS)
#: FACED's class of a label of GoEmotions, see `load_benchmark`.
GOEMOTIONS_CLASSES: dict[str, str] = _SETS["goemotions"]["classes"]


def load_benchmark(
    name: str,
    *,
    n: int | None = None,
    min_abs_rating: float = 0.0,
    neutral: bool = False,
    rating: str = "valence",
    language: str = "English",
    random_state: Seed = 0,
) -> Benchmark:
    """Load human-rated texts, from an asset that has been fetched or, for ``imdb`` and ``yelp``, from a hub.

    The snippet sets (``movie``, ``amazon``, ``tweets``, ``editorials``) are rated by about 20 people a text
    (tweets by up to 99) on a scale from -4 to 4. The rating is the mean of the individual ratings of the
    release; for 196 tweets it differs from the release's own table of means. ``emobank`` has sentences on a
    scale from 1 to 5; single words are in ``lexicon`` (-4 to 4), ``warriner`` and ``labmt`` (1 to 9).
    A rating is the distance from the middle of its scale.

    ``sst2``, ``rotten_tomatoes``, ``imdb`` and ``yelp`` have positive and negative texts, ``tweeteval``
    neutral ones too. ``goemotions`` has the comments that bear exactly one of 27 emotions or neutral, in
    `Benchmark.emotions`. Their rating is the sentiment that the authors of the set give the emotion, 0 for
    neutral and the ambiguous ones. `GOEMOTIONS_CLASSES` maps the labels to FACED's classes, where they have
    a counterpart. That it takes admiration and optimism for inspiration, caring and love for tenderness, is
    our choice.

    Parameters
    ----------
    name : str
        One of `BENCHMARKS`.
    n : int or None
        Random sample of so many texts; None takes all.
    min_abs_rating : float
        Keep texts whose absolute mean rating reaches this.
    neutral : bool
        Keep texts rated exactly 0 as well.
    rating : str
        ``valence``; for ``emobank`` and ``warriner`` also ``arousal`` or ``dominance``.
    language : str
        For ``labmt``, the English name of one of its ten languages.
    random_state : int, Generator or None
        Seed of the sample.

    Raises
    ------
    ValueError
        If there is no such set, or it lacks the rating, the language or `n` texts; lists what there is.
    kernel.assets.AssetMissingError, kernel.assets.AssetCorruptError
        If the texts have not been fetched, or cannot be read any more; shows the command that fetches them.
    BenchmarkLoadError
        If a hub set cannot be reached.
    """
    checks.choice("name", name, BENCHMARKS)
    known = _SETS[name]
    checks.choice(f"rating of {name!r}", rating, list(known.get("columns", ["valence"])))
    checks.choice(f"language of {name!r}", language, known.get("languages", ["English"]))
    table = _read_hub(known["hub"]) if "hub" in known else _read_asset(name, rating, language)
    table = table[table["text"] != ""].drop_duplicates("text")
    table = table[(table["rating"].abs() >= min_abs_rating) & (neutral | (table["rating"] != 0))]
    if n is not None:
        checks.count(f"n of {name!r} with |rating| >= {min_abs_rating}", n, 1, len(table))
        rows = np.random.default_rng(random_state).choice(len(table), n, replace=False)
        table = table.iloc[np.sort(rows)]
    title = " ".join([name, *(one for one in (rating, language) if one not in ("valence", "English"))])
    citation = known["citation"] if "hub" in known else assets.ASSETS[known.get("asset", name)].citation
    emotions = tuple(table["emotion"]) if "emotion" in table else ()
    return Benchmark(title, tuple(table["text"]), table["rating"].to_numpy(dtype=float), citation, emotions)


def _read_asset(name: str, rating: str, language: str) -> pd.DataFrame:
    """Texts with ratings from an asset's folder, whose files may have been damaged since."""
    asset = _SETS[name].get("asset", name)
    folder = assets.path(asset)
    try:
        rows = _rated(name, folder, rating, language)
        table = pd.DataFrame(rows, columns=["text", "rating", "emotion"][: len(rows[0])])
        # some texts were escaped twice
        table["text"] = [html.unescape(html.unescape(text)).strip() for text in table["text"]]
        within = table["rating"].abs() <= 4
        if not within.all():
            raise ValueError(f"the rating of text {int(np.argmin(within))} is not within -4 and 4")
    except Exception as error:  # a table that was damaged can fail in any way
        raise assets.AssetCorruptError(
            f"the ratings in {folder} cannot be read ({type(error).__name__}: {error}): run "
            f"`python -m kernel.assets fetch {asset}` to replace them"
        ) from error
    return table


def _rated(name: str, folder: Path, rating: str, language: str) -> list[tuple[Any, ...]]:
    """Text, rating and, where there is one, emotion of each row of a set."""
    known = _SETS[name]
    labels = known.get("labels", {})
    match name:
        case "lexicon":
            words = _columns(folder / "vader_lexicon.txt")
            return [(row[0], float(row[1])) for row in words if row[0].isalpha()]
        case "labmt":
            words = _columns(folder / f"labMT_{language}.tsv")
            return [(word, round(float(happiness) - 5, 6)) for word, happiness in words]
        case "sst2":
            return [(text, labels[label]) for text, label in _columns(folder / "dev.tsv")[1:]]
        case "rotten_tomatoes":
            sides = {side: _columns(folder / f"rt-polarity.{side}", "latin-1") for side in labels}
            return [(text, labels[side]) for side, rows in sides.items() for (text,) in rows]
        case "tweeteval":
            texts, given = (_columns(folder / f"test_{part}.txt") for part in ("text", "labels"))
            return [(text, labels[label]) for (text,), (label,) in zip(texts, given, strict=True)]
        case "goemotions":
            signs = dict(enumerate(known["signs"].items()))
            rows = [row for part in ("train", "dev", "test") for row in _columns(folder / f"{part}.tsv")]
            single = [(text, signs[int(ids)]) for text, ids, _ in rows if "," not in ids]
            return [(text, sign, emotion) for text, (emotion, sign) in single]
        case "emobank" | "warriner":
            columns = [known["text"], known["columns"][rating]]
            table = pd.read_csv(folder / known["file"], usecols=columns, keep_default_na=False)[columns]
            ratings = table[columns[1]].astype(float) - known["middle"]
            return list(zip(table[columns[0]], ratings.round(6), strict=True))
        case _:
            texts = _columns(folder / f"{known['stem']}_GroundTruth.txt")
            votes = _columns(folder / f"{known['stem']}_anonDataRatings.txt")
            means = {row[0]: float(np.mean(ast.literal_eval(row[3]))) for row in votes}
            return [(row[2], means[row[0]]) for row in texts]


def _columns(path: Path, encoding: str = "utf-8-sig") -> list[list[str]]:
    lines = path.read_text(encoding).splitlines()
    return [line.split("\t") for line in lines if line.strip()]


def _read_hub(source: str) -> pd.DataFrame:
    try:
        from datasets import load_dataset

        data = load_dataset(source, split="test")
    except Exception as error:  # datasets, which the hub extra brings, raises many kinds
        raise BenchmarkLoadError(
            f"could not load {source!r} ({error}): pip install 'valence-axis[hub]' and check the network, "
            "or fill the datasets cache beforehand"
        ) from error
    texts = [html.unescape(str(text)).strip() for text in data["text"]]
    return pd.DataFrame({"text": texts, "rating": [1.0 if label else -1.0 for label in data["label"]]})


class ZeroShot(NamedTuple):
    """Scores of `n` texts against ratings: AUC of rating > 0 against < 0, correlations with the rating."""

    benchmark: str
    n: int
    auc: Interval
    pearson: Interval
    spearman: Interval

    def row(self) -> dict[str, float | int | str]:
        """One flat row for a table."""
        auc = {"auc": self.auc.value, "auc_low": self.auc.low, "auc_high": self.auc.high}
        correlations = {"pearson": self.pearson.value, "spearman": self.spearman.value}
        return {"benchmark": self.benchmark, "n": self.n, **auc, **correlations}


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
        Bootstrap over texts, within the positive, the negative and the neutral ones; intervals cover 95 %.
        Neutral texts count for the correlations alone.

    Returns
    -------
    ZeroShot
    """
    scores = np.asarray(scores, dtype=float)
    checks.shape(f"scores of {benchmark.name!r}", scores, (len(benchmark),))
    labels, ratings = benchmark.check_sides().labels, benchmark.ratings
    sided, sign = ratings != 0, np.sign(ratings)
    rng = np.random.default_rng(random_state)
    interval = partial(stats.bootstrap_interval, n_resamples=n_resamples, random_state=rng)
    return ZeroShot(
        benchmark.name,
        len(benchmark),
        interval(stats.auc, scores[sided], labels[sided], strata=sign[sided]),
        interval(stats.pearson, scores, ratings, strata=sign),
        interval(stats.pearson, rankdata(scores), rankdata(ratings), strata=sign),
    )


def prototype_scores(texts: Sequence[str], stories: Stories, *, embed: Embed | None = None) -> np.ndarray:
    """Cosine to the positive prototype minus cosine to the negative one, shape (n_texts,).

    A prototype is the mean embedding of the stories whose emotions have one sign; neutral ones are left out.
    `embed` maps n texts to embeddings (n, n_features), by default with the asset all-minilm-l6-v2.
    """
    sign = np.array(stories.valence)
    if not ((sign > 0).any() and (sign < 0).any()):
        raise ValueError("prototype_scores needs stories of both signs")

    def unit(x: np.ndarray) -> np.ndarray:
        length = np.linalg.norm(x, axis=-1, keepdims=True)
        if not (length > 0).all():
            raise ValueError(f"embedding {int(np.argmin(length > 0))} is zero or NaN: it has no direction")
        return x / length

    if embed is None:
        embed = partial(hidden_states, load_encoder(), layers="last", position="mean", progress=False)
    prototypes, embedded = (
        np.asarray(embed(list(items))).reshape(len(items), -1) for items in (stories.texts, texts)
    )
    poles = np.stack([unit(prototypes[sign == s]).mean(0) for s in (1, -1)])
    positive, negative = unit(poles) @ unit(embedded).T
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
    zero_shot: np.ndarray | None = None,
    n_repeats: int = 5,
    random_state: int = 0,
) -> pd.DataFrame:
    """AUC of logistic regression trained on so many labelled texts, tested on the others.

    From hidden states (n_texts, n_features) and labels (n_texts,) of bool; every size is tried on `n_repeats`
    random splits. The table has the columns ``n_train``, ``repeat`` and ``auc``, and with scores `zero_shot`
    (n_texts,) that need no labels also ``zero_shot``, their AUC on the same test texts.
    """
    rows = []
    for size in sizes:
        checks.count("training size", size, 4, len(labels) - 2)
        splits = StratifiedShuffleSplit(n_repeats, train_size=size, random_state=random_state)
        for repeat, (train, test) in enumerate(splits.split(H, labels)):
            scores = _probe().fit(H[train], labels[train]).decision_function(H[test])
            row = {"n_train": size, "repeat": repeat, "auc": float(stats.auc(scores, labels[test]))}
            if zero_shot is not None:
                row["zero_shot"] = float(stats.auc(zero_shot[test], labels[test]))
            rows.append(row)
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
