"""Two questions about ensembles of EEG classifiers: who wins at equal cost; does alignment tell who helps.

In:  cohorts and splits, or seeds and presets of simulated ones; a base classifier; banks of trained networks.
Out: tidy tables, one row a method and cohort, or a pool of members.
Never chooses anything on test trials, never decides a verdict: that is the ledger's work.

The *contest* gives every contestant the same number of trainings of the same length on the same subjects, and
compares them on the same test subjects. The *two-tier study* asks whether members whose residual follows the
target contribute more to their ensemble, over many pools of members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator, clone
from tqdm.auto import tqdm

from kernel import files, stats
from kernel.brain.cohort import Cohort, Split, segment_length, segments, standardise
from kernel.decoding import ensemble, geometry, networks, residual
from kernel.decoding.bank import (
    Bank,
    TrainingSpec,
    recall_interval,
    time_steps,
)
from kernel.decoding.residual import NetworkClassifier
from kernel.metrics import balanced_accuracy


class Method(NamedTuple):
    """A contestant: which members it trains and how it combines them."""

    family: str
    aggregation: str


METHODS = {
    "base alone": Method("base", "single"),
    "single network": Method("seeds", "single"),
    "best single": Method("seeds", "best"),
    "deep ensemble": Method("seeds", "uniform"),
    "top half": Method("seeds", "top_half"),
    "bagged subjects": Method("bagging", "uniform"),
    "snapshots": Method("snapshots", "uniform"),
    "random subspaces": Method("random_subspaces", "uniform"),
    "two lengths": Method("length", "uniform"),
    "residual complement": Method("residual_complement", "uniform"),
    "residual complement + base": Method("residual_complement", "half_base"),
    "residual subspaces": Method("residual_subspaces", "uniform"),
    "drop random": Method("drop_random", "uniform"),
    "drop basin": Method("drop_basin", "uniform"),
    "drop basin + base": Method("drop_basin", "half_base"),
    "drop basin, weighted": Method("drop_basin", "validation"),
    "drop basin, stacked": Method("drop_basin", "stacked"),
}
"""Contestants. ``single network`` is the mean accuracy of single members; ``best single`` and ``top half``
are chosen on validation; the base of ``+ base`` and ``weighted`` takes the place of one member, so that the
number of trainings is the same. ``drop random`` is the control of ``drop basin``."""

RESIDUAL_METHODS = tuple(name for name in METHODS if name.startswith(("residual", "drop basin")))

COLUMNS = tuple(
    "method family aggregation trainings bacc bacc_low bacc_high reference difference low high".split()
    + "single single_validation kappa nll ece".split()
)

#: The base of the contest: the MLP of the bank, ten epochs, well under a second a training.
NETWORK = NetworkClassifier(epochs=10, batch_size=256, learning_rate=2e-3)


# The contest


def methods_for(estimator: Any) -> list[str]:
    """Contestants that an estimator allows: some need a seed, a length of training, or its snapshots."""
    found = []
    for name, (family, _) in METHODS.items():
        seeded = bool(residual.seed_parameters(estimator))
        allowed = {
            "base": not seeded,
            "seeds": seeded,
            "residual_complement": seeded,
            "length": seeded and residual.length_parameter(estimator) is not None,
            "snapshots": hasattr(estimator, "snapshots"),
        }
        if allowed.get(family, True):
            found.append(name)
    return found


def contest(
    cohort: Cohort,
    split: Split,
    *,
    estimator: Any = None,
    methods: Sequence[str] | None = None,
    reference: str | None = None,
    n_members: int = 10,
    segment: float | None = None,
    n_windows: int = 1,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    random_state: int = 0,
    folder: str | Path | None = None,
    n_jobs: int = 1,
    progress: bool = True,
) -> pd.DataFrame:
    """Compare ensembles of one size and cost on the test subjects of one cohort.

    Members learn from the training trials; validation trials choose and weigh; test trials score. Members of
    different contestants share their seeds in pairs.

    Parameters
    ----------
    cohort : Cohort
        Differential entropies; standardised here unless its unit is z already.
    split : Split
        With two or more test subjects.
    estimator : estimator, optional
        The base, with ``predict_proba``; by default :data:`NETWORK`.
    methods : sequence of str, optional
        Names of :data:`METHODS`; by default all that `methods_for` allows the base.
    reference : str, optional
        The contestant whose accuracy is subtracted; by default the deep ensemble, for a base without seeds
        the base alone.
    n_members : int
        Trainings of every contestant.
    segment : float, optional
        Seconds of a sample, by default those of :func:`~kernel.brain.cohort.segments`.
    n_windows : int
        Time steps into which a sample is averaged, side by side in its features.
    n_resamples, confidence
        Of the intervals over test subjects.
    random_state : int
        Of members and intervals.
    folder : str or Path, optional
        Where the members' probabilities are kept, under a digest of data, base and code; the user's cache by
        default. An interrupted contest goes on where it stopped. Those of a base that is neither this
        package's nor scikit-learn's are not kept.
    n_jobs : int
        Processes.
    progress : bool
        Show a bar over families of members.

    Returns
    -------
    DataFrame
        One row a contestant: ``method``, ``family``, ``aggregation``, ``trainings``, ``bacc`` with
        ``bacc_low`` and ``bacc_high``, ``reference``, ``difference`` with ``low`` and ``high``, ``single``
        and ``single_validation`` (mean accuracy of its members on test and on validation trials), ``kappa``
        (mean over pairs), ``nll`` and ``ece``; then the linear baselines ``lda`` and ``logistic`` of one
        training. What a row does not have is missing.

    Raises
    ------
    ValueError
        If a method is unknown or the base does not allow it.
    """
    estimator = NETWORK if estimator is None else estimator
    possible = methods_for(estimator)
    methods = possible if methods is None else list(methods)
    if reference is None:
        reference = "deep ensemble" if "deep ensemble" in possible else "base alone"
    for name in (*methods, reference):
        if name not in METHODS:
            raise ValueError(f"no contestant named {name!r}; there are {', '.join(METHODS)}")
        if name not in possible:
            raise ValueError(
                f"{name!r} is not possible with {type(estimator).__name__}; there are {', '.join(possible)}"
            )
    data = _Data.of(cohort, split, segment, n_windows)
    folder = "contest" if folder is None else files.writable_folder(folder)
    wanted = dict.fromkeys([reference, *methods])
    families = dict.fromkeys(METHODS[name].family for name in wanted)
    if any(METHODS[name].aggregation in ("half_base", "validation") for name in wanted):
        families["seeds" if "deep ensemble" in possible else "base"] = None
    found = {
        family: _members(family, estimator, data, n_members, random_state, folder, n_jobs)
        for family in tqdm(families, desc="families", disable=not progress)
    }
    combined = {name: _combine(METHODS[name], found, data) for name in wanted}
    options: dict[str, Any] = {
        "n_resamples": n_resamples,
        "confidence": confidence,
        "random_state": random_state,
    }
    rows = []
    for name in methods:
        interval = ensemble.accuracy_difference(
            combined[name], combined[reference], data.y_test, data.subject_test, **options
        )
        members = found[METHODS[name].family]
        rows.append(
            {
                "method": name,
                **METHODS[name]._asdict(),
                "trainings": len(members),
                **_scores(combined[name], data, options),
                **_members_scores(members, data),
                "reference": reference,
                "difference": interval.value,
                "low": interval.low,
                "high": interval.high,
            }
        )
    for name in networks.LINEAR_BASELINES:
        P = _linear(name, data, folder)
        interval = ensemble.accuracy_difference(
            P, combined[reference], data.y_test, data.subject_test, **options
        )
        rows.append(
            {
                "method": name,
                "family": "linear",
                "trainings": 1,
                **_scores(P, data, options),
                "reference": reference,
                "difference": interval.value,
                "low": interval.low,
                "high": interval.high,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def contest_summary(table: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    r"""Mean over cohorts with a t-interval: the cohort is the unit, so that it speaks of new cohorts.

    .. math:: \bar d \pm t_{(1 + c) / 2,\, n - 1}\; s_d / \sqrt n

    Parameters
    ----------
    table : DataFrame
        Rows of `contest` with columns ``preset`` and ``cohort_seed``.
    confidence : float
        Coverage c between 0 and 1.

    Returns
    -------
    DataFrame
        One row a preset and method, best first: ``bacc`` and ``difference`` as means over cohorts, ``low``
        and ``high`` of the mean difference, ``wins`` (cohorts in which the difference is positive),
        ``cohorts``, and the means of ``single``, ``single_validation``, ``kappa``, ``nll``, ``ece``.

    Raises
    ------
    ValueError
        If a preset has one cohort only.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    rows = []
    for (preset, method), part in table.groupby(["preset", "method"], sort=False):
        n = part["cohort_seed"].nunique()
        if n < 2 or n != len(part):
            raise ValueError(
                f"{method!r} of {preset!r} has {len(part)} rows of {n} cohorts: an interval over cohorts "
                "needs one row each of two or more"
            )
        d = part["difference"].to_numpy()
        half = student_t.ppf(0.5 + confidence / 2, n - 1) * d.std(ddof=1) / np.sqrt(n)
        means = part[["bacc", "single", "single_validation", "kappa", "nll", "ece"]].mean()
        rows.append(
            {
                "preset": preset,
                "method": method,
                "bacc": means["bacc"],
                "difference": d.mean(),
                "low": d.mean() - half,
                "high": d.mean() + half,
                "wins": int((d > 0).sum()),
                "cohorts": n,
                **means.drop("bacc"),
            }
        )
    found = pd.DataFrame(rows)
    place = found["preset"].map({name: i for i, name in enumerate(dict.fromkeys(table["preset"]))})
    return (
        found.assign(place=place)
        .sort_values(["place", "bacc"], ascending=[True, False], ignore_index=True)
        .drop(columns="place")
    )


def gains_in_context(table: pd.DataFrame, method: str = "deep ensemble") -> pd.DataFrame:
    """Relative gain of one method over its mean single member, the best single, and the linear models.

    Parameters
    ----------
    table : DataFrame
        Of `contest`, or as `contest_summary` takes them, with ``single network`` and ``best single``.
    method : str
        The ensemble.

    Returns
    -------
    DataFrame
        As :func:`~kernel.decoding.ensemble.relative_gains`, for each preset and cohort if there are several.
    """
    keys = [name for name in ("preset", "cohort_seed") if name in table]
    references = ["single network", "best single", *networks.LINEAR_BASELINES]
    parts = table.groupby(keys, sort=False) if keys else [((), table)]
    rows = []
    for key, part in parts:
        bacc = part.set_index("method")["bacc"]
        missing = [name for name in (method, *references) if name not in bacc]
        if missing:
            raise ValueError(f"the table lacks {', '.join(missing)}: run the contest with them")
        found = ensemble.relative_gains(float(bacc[method]), bacc[references].to_dict())
        rows.append(found.assign(**dict(zip(keys, key, strict=True))))
    return pd.concat(rows, ignore_index=True)[[*keys, "reference", "bacc", "gain", "relative"]]


@dataclass(frozen=True, eq=False)
class _Data:
    """Training rows, and the validation and test rows that members are asked about."""

    X: np.ndarray
    y: np.ndarray
    subject: np.ndarray
    asked: np.ndarray
    y_asked: np.ndarray
    test: np.ndarray  # which of the asked
    subject_test: np.ndarray

    @property
    def y_test(self) -> np.ndarray:
        return self.y_asked[self.test]

    @property
    def y_validation(self) -> np.ndarray:
        return self.y_asked[~self.test]

    @classmethod
    def of(cls, cohort: Cohort, split: Split, segment: float | None, n_windows: int = 1) -> _Data:
        cohort = cohort if cohort.data.attrs["unit"] == "z" else standardise(cohort)
        whole = segments(cohort, length=segment)
        x = whole.X
        if n_windows > 1:
            length = segment_length(cohort, segment)
            shape = (len(cohort.channels), len(cohort.bands))
            x = time_steps(cohort, length, n_windows, whole, shape).reshape(len(x), -1)
        train, test = whole.rows(split.train), whole.rows(split.test)
        asked = whole.rows(split.validation) | test
        if not train.any() or not test.any() or test[asked].all():
            raise ValueError(f"a set of split {split.name!r} is empty: choose another split or fold")
        return cls(
            x[train],
            whole.y[train],
            whole.subject[train],
            x[asked],
            whole.y[asked],
            test[asked],
            whole.subject[test],
        )

    @property
    def digest(self) -> str:
        return files.digest(self.X, self.y, self.subject, self.asked)


def _members(
    family: str,
    estimator: Any,
    data: _Data,
    n_members: int,
    random_state: int,
    folder: str | Path,
    n_jobs: int,
) -> np.ndarray:
    """Probabilities (n_members, n_asked, n_classes) of one family, trained or loaded."""

    def compute() -> np.ndarray:
        if family == "base":
            members = [residual.Member(clone(estimator).fit(data.X, data.y), residual.View())]
        else:
            members = residual.fit_members(
                estimator,
                family,
                data.X,
                data.y,
                n_members=n_members,
                groups=data.subject,
                random_state=random_state,
                n_jobs=n_jobs,
            )
        return np.stack([member.predict_proba(data.asked) for member in members]).astype(np.float32)

    try:
        key = files.cache_key(
            __name__, "contest", family, _content(estimator), data.digest, n_members, random_state
        )
    except TypeError:  # what a stranger's code gives has no key
        return compute()
    return files.load_or_compute(folder, key[:40], compute)


def _content(value: Any) -> Any:
    """An estimator of this package or of scikit-learn as plain values; TypeError for one of anybody else."""
    if isinstance(value, list | tuple):
        return [_content(item) for item in value]
    if not isinstance(value, BaseEstimator):
        return value
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if kind.partition(".")[0] not in ("kernel", "sklearn"):
        raise TypeError(f"the source of {kind} is not known")
    parameters = value.get_params(deep=False)
    return [kind, {name: _content(parameter) for name, parameter in parameters.items()}]


def _linear(name: str, data: _Data, folder: str | Path) -> np.ndarray:
    """Probabilities (n_test, n_classes) of a linear baseline."""
    key = files.cache_key(__name__, "linear", name, data.digest)

    def compute() -> np.ndarray:
        model = networks.linear_baseline(name, 0).fit(data.X.astype(float), data.y)
        return model.predict_proba(data.asked.astype(float))

    return files.load_or_compute(folder, key[:40], compute)[data.test]


def _combine(method: Method, found: dict[str, np.ndarray], data: _Data) -> np.ndarray:
    """Probabilities of a contestant on test trials; of single members (n_members, n_test, n_classes)."""
    P = found[method.family].astype(float)
    held, test, y = P[:, ~data.test], P[:, data.test], data.y_validation
    if method.aggregation == "single":
        return test
    if method.aggregation == "uniform":
        return test.mean(0)
    if method.aggregation in ("best", "top_half"):
        count = 1 if method.aggregation == "best" else (len(P) + 1) // 2
        chosen = np.argsort(-balanced_accuracy(y, held.argmax(-1)), kind="stable")[:count]
        return test[chosen].mean(0)
    if method.aggregation == "stacked":
        return residual.stack(held, y, test)
    # the base takes the place of the last member, with whose seed it was trained
    base = found["seeds" if "seeds" in found else "base"][-1:].astype(float)
    held = np.concatenate([base[:, ~data.test], held[:-1]])
    test = np.concatenate([base[:, data.test], test[:-1]])
    if method.aggregation == "validation":
        weights = residual.validation_weights(held, y)
    else:
        weights = np.array([0.5, *[0.5 / (len(P) - 1)] * (len(P) - 1)])
    return ensemble.softmax_ensemble(test, weights=weights)


def _scores(P: np.ndarray, data: _Data, options: dict[str, Any]) -> dict[str, float]:
    """Accuracy of a contestant; its calibration if it is one classifier and not the mean of several."""
    y = data.y_test
    hit = (P.argmax(-1) == y).reshape(-1, len(y)).mean(0)
    bacc, low, high = recall_interval(hit, y, data.subject_test, **options)
    found = {"bacc": bacc, "bacc_low": low, "bacc_high": high}
    if P.ndim == 2:
        quality = ensemble.calibration(P, y)
        found |= {"nll": quality.nll, "ece": quality.ece}
    return found


def _members_scores(members: np.ndarray, data: _Data) -> dict[str, float]:
    """What the members (n_members, n_asked, n_classes) of a contestant are like one by one."""
    called = members.argmax(-1)
    found = {
        "single": float(balanced_accuracy(data.y_test, called[:, data.test]).mean()),
        "single_validation": float(balanced_accuracy(data.y_validation, called[:, ~data.test]).mean()),
    }
    if len(members) > 1:
        kappa = ensemble.kappa_matrix(called[:, data.test])
        found["kappa"] = float(kappa[np.triu_indices(len(members), 1)].mean())
    return found


# The two-tier study


@dataclass(frozen=True, eq=False)
class Pool:
    """Members that could form one ensemble, on test trials.

    Attributes
    ----------
    name : str
        For tables.
    probabilities : ndarray, shape (n_members, n_trials, n_classes)
        Of test trials.
    y, subject : ndarray, shape (n_trials,)
        Class and subject of each.
    lengths, seeds : ndarray, shape (n_members,)
        Epochs and seed of each member's training.
    residual : ndarray, shape (n_members,)
        Absolute correlation of the chosen residual component with the target in test subjects.
    held_out : ndarray, shape (n_members,)
        The same on clips that had no part in the choice, with its sign.
    null_residual : ndarray, shape (n_null, n_members)
        `residual` for permuted targets; a row is one target.
    """

    name: str
    probabilities: np.ndarray
    y: np.ndarray
    subject: np.ndarray
    lengths: np.ndarray
    seeds: np.ndarray
    residual: np.ndarray
    held_out: np.ndarray
    null_residual: np.ndarray


def pool_specs(
    n_pools: int = 3, *, n_seeds: int = 5, lengths: Sequence[int] = (20, 30), **options: Any
) -> list[TrainingSpec]:
    """Trainings of several disjoint pools: in each, `n_seeds` seeds at every length.

    Five seeds at two lengths in the ratio of 100 to 150 epochs are the paper's design, scaled down.

    Parameters
    ----------
    n_pools, n_seeds : int
        Pools, and seeds of each.
    lengths : sequence of int
        Epochs.
    **options
        Further fields of :class:`~kernel.decoding.training.TrainingSpec`.

    Returns
    -------
    list of TrainingSpec
        ``recipe`` names the pool.
    """
    options = {"batch_size": 256, "learning_rate": 2e-3, **options}
    return [
        TrainingSpec(epochs=epochs, seed=pool * n_seeds + seed, recipe=f"pool {pool}", **options)
        for pool in range(n_pools)
        for epochs in lengths
        for seed in range(n_seeds)
    ]


def make_pools(
    bank: Bank, target_by_clip: ArrayLike, *, n_null: int = 200, random_state: int = 0, name: str = ""
) -> list[Pool]:
    """Pools of a bank, one for each recipe label, with the residual alignment of their members.

    Parameters
    ----------
    bank : Bank
        With several members of every recipe.
    target_by_clip : array_like, shape (n_clips,)
        Value of each clip, such as its mean valence.
    n_null : int
        Permuted targets.
    random_state : int
        Of halvings and targets.
    name : str
        Put before the recipe.

    Returns
    -------
    list of Pool
    """
    trials, test = bank.trials, bank.rows("test")
    used = bank.rows("validation") | test
    rows = trials[used]
    found = geometry.residual_alignment(
        np.stack([checkpoint.kept_features[used] for checkpoint in bank.checkpoints]).astype(float),
        rows["y"],
        rows["clip"],
        rows["subject"],
        target_by_clip,
        validation=trials["subject"][bank.rows("validation")].unique(),
        test=trials["subject"][test].unique(),
        n_null=n_null,
        random_state=random_state,
    )
    recipes = np.array([spec.recipe for spec in bank.specs])
    pools = []
    for recipe in dict.fromkeys(recipes.tolist()):
        members = np.flatnonzero(recipes == recipe)
        if len(members) < 3:
            raise ValueError(f"recipe {recipe!r} has {len(members)} members: a correlation needs three")
        pools.append(
            Pool(
                name=f"{name} {recipe}".strip(),
                probabilities=ensemble.softmax(np.stack([bank.scores(int(m))[test] for m in members])),
                y=trials["y"].to_numpy()[test],
                subject=trials["subject"].to_numpy()[test],
                lengths=np.array([bank.specs[m].epochs for m in members]),
                seeds=np.array([bank.specs[m].seed for m in members]),
                residual=found.selected[members],
                held_out=found.held_out[members],
                null_residual=found.null_selected[:, members],
            )
        )
    return pools


@dataclass(frozen=True, eq=False)
class TwoTier:
    """Alignment against contribution over pools.

    Attributes
    ----------
    table : DataFrame
        One row a pool: ``pool``, ``r``, ``slope`` (accuracy for one unit of alignment), ``p`` (permutation of
        its members), ``members``.
    mean, sd : float
        Of r over pools.
    p : float
        One-sided: share of permutations of the members within pools with as large a mean r.
    null : ndarray, shape (n_permutations,)
        Mean r of each permutation.
    null_sd : float
        Standard deviation of r in a single pool under permutation.
    p_target : float or None
        One-sided: share of permuted targets with as large a mean r; asks if the target matters. None for
        ``held_out``, whose null is not kept.
    """

    table: pd.DataFrame
    mean: float
    sd: float
    p: float
    null: np.ndarray
    null_sd: float
    p_target: float | None


def residual_against_contribution(
    pools: Sequence[Pool],
    *,
    score: str = "residual",
    n_permutations: int = 2000,
    random_state: stats.Seed = 0,
) -> TwoTier:
    r"""Correlate the members' residual alignment with their leave-one-out contribution, pool by pool.

    Of ten members r has a standard deviation of about :math:`1 / \sqrt 9` by chance: one pool says little.

    Parameters
    ----------
    pools : sequence of Pool
        Two or more.
    score : {"residual", "held_out"}
        Which alignment.
    n_permutations : int
        Of members within their pools.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    TwoTier
        A pool in which the alignment or the contribution does not vary counts as r = 0.
    """
    if score not in ("residual", "held_out"):
        raise ValueError(f"score must be 'residual' or 'held_out', got {score!r}")
    if len(pools) < 2:
        raise ValueError(f"{len(pools)} pools: a distribution over pools needs two or more")
    rng = np.random.default_rng(random_state)
    rows, nulls, targets = [], [], []
    for pool in pools:
        x = getattr(pool, score)
        gain = ensemble.contributions(pool.probabilities, pool.y).leave_one_out
        r = float(_correlation(x, gain))
        null = _correlation(x, rng.permuted(np.tile(gain, (n_permutations, 1)), axis=1))
        nulls.append(null)
        targets.append(_correlation(pool.null_residual, gain))
        rows.append(
            {
                "pool": pool.name,
                "r": r,
                "slope": r * float(gain.std() / x.std()) if np.ptp(x) > 0 else 0.0,
                "p": stats.permutation_p(r, null, alternative="greater"),
                "members": len(x),
            }
        )
    table, null = pd.DataFrame(rows), np.mean(nulls, axis=0)
    mean = float(table["r"].mean())
    p_target = None
    if score == "residual":
        p_target = stats.permutation_p(mean, np.mean(targets, axis=0), alternative="greater")
    return TwoTier(
        table=table,
        mean=mean,
        sd=float(table["r"].std()),
        p=stats.permutation_p(mean, null, alternative="greater"),
        null=null,
        null_sd=float(np.std(nulls)),
        p_target=p_target,
    )


def _correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson correlation over the last axis, zero where nothing varies."""
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    size = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size > 1e-14, (x * y).sum(-1) / size, 0.0)


@dataclass(frozen=True, eq=False)
class TopBottom:
    """The most against the least aligned members of every pool.

    Attributes
    ----------
    table : DataFrame
        One row a pool: ``pool``, ``top``, ``bottom``, ``difference``, ``all`` (accuracy of the whole pool),
        ``top_percentile`` (of the top among all subsets of its size), ``p`` (share of all orders of the
        members with as large a difference, exact).
    mean : float
        Difference over pools.
    p : float
        One-sided, against random orders of the members of every pool.
    null : ndarray, shape (n_permutations,)
        Mean difference of each.
    """

    table: pd.DataFrame
    mean: float
    p: float
    null: np.ndarray


def top_and_bottom(
    pools: Sequence[Pool],
    *,
    size: int = 7,
    score: str = "residual",
    n_permutations: int = 2000,
    random_state: stats.Seed = 0,
) -> TopBottom:
    """Ensembles of the most and of the least aligned members, among all subsets of that size.

    Seven of ten overlap in four: the difference is that of three members against three others.

    Parameters
    ----------
    pools : sequence of Pool
        Of up to sixteen members each.
    size : int
        Members of top and bottom; fewer than a pool has.
    score : {"residual", "held_out"}
        Which alignment.
    n_permutations : int
        Random orders for the p over pools.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    TopBottom
    """
    if score not in ("residual", "held_out"):
        raise ValueError(f"score must be 'residual' or 'held_out', got {score!r}")
    if not pools:
        raise ValueError("pools is empty: give one or more")
    rng = np.random.default_rng(random_state)
    rows, draws = [], []
    for pool in pools:
        m = len(pool.residual)
        if not 1 <= size < m:
            raise ValueError(f"size must lie between 1 and {m - 1} of {m} members, got {size}")
        subsets = ensemble.subsets_of(m, size)
        accuracy = ensemble.subset_accuracies(pool.probabilities, pool.y, subsets)
        code = subsets @ 2 ** np.arange(m)
        overlap = subsets.astype(int) @ subsets.T.astype(int)
        order = np.argsort(getattr(pool, score), kind="stable")
        ends = order[-size:], order[:size]
        top, bottom = (int(np.flatnonzero(code == (2**chosen).sum())[0]) for chosen in ends)
        # an order of the members is a pair of subsets that overlap as little as they can
        first, second = np.nonzero(overlap == max(0, 2 * size - m))
        differences = accuracy[first] - accuracy[second]
        difference = float(accuracy[top] - accuracy[bottom])
        draws.append(rng.choice(differences, n_permutations))
        everyone = ensemble.subset_accuracies(pool.probabilities, pool.y, np.ones((1, m), dtype=bool))
        rows.append(
            {
                "pool": pool.name,
                "top": float(accuracy[top]),
                "bottom": float(accuracy[bottom]),
                "difference": difference,
                "all": float(everyone[0]),
                "top_percentile": float(100 * (accuracy < accuracy[top]).mean()),
                "p": float((differences >= difference - 1e-12).mean()),
            }
        )
    table, null = pd.DataFrame(rows), np.mean(draws, axis=0)
    mean = float(table["difference"].mean())
    return TopBottom(table, mean, stats.permutation_p(mean, null, alternative="greater"), null)


def growth(members: ArrayLike, y: ArrayLike) -> pd.DataFrame:
    """Accuracy of ensembles of every size, over all subsets of up to sixteen members.

    Returns
    -------
    DataFrame
        One row a size: ``size``, ``mean``, ``sd``, ``worst``, ``best``, ``subsets``.
    """
    values = ensemble.all_subset_accuracies(members, y)
    size = np.bitwise_count(np.arange(len(values)))
    groups = pd.DataFrame({"size": size, "value": values})[1:].groupby("size")["value"]
    found = groups.agg(mean="mean", sd=lambda v: v.std(ddof=0), worst="min", best="max", subsets="size")
    return found.reset_index()


def effect_of_adding(
    members: ArrayLike, extra: ArrayLike, y: ArrayLike, subject: ArrayLike, **options: Any
) -> stats.Interval:
    """Change of balanced accuracy when members of another kind join, with an interval over subjects.

    Parameters
    ----------
    members, extra : array_like, shape (n, n_trials, n_classes)
        Probabilities of the pool and of those who join, such as members of another depth or trained on an
        axis.
    y, subject : array_like, shape (n_trials,)
        Class and subject of each trial.
    **options
        Of :func:`~kernel.decoding.ensemble.accuracy_difference`.

    Returns
    -------
    Interval
    """
    pool, extra = ensemble.checked_members(members, least=1), ensemble.checked_members(extra, least=1)
    if pool.shape[1:] != extra.shape[1:]:
        raise ValueError(f"members and extra differ in trials or classes: {pool.shape} and {extra.shape}")
    together = np.concatenate([pool, extra]).mean(0)
    return ensemble.accuracy_difference(together, pool.mean(0), y, subject, **options)


def length_agreement(
    members: ArrayLike,
    lengths: ArrayLike,
    subject: ArrayLike,
    *,
    seeds: ArrayLike | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    random_state: stats.Seed = 0,
) -> stats.Interval:
    """Mean kappa of pairs of different length minus that of pairs of one length, over subjects.

    Negative if members trained for different lengths agree less, which is what makes them worth mixing. Where
    the same seeds are trained for each length, some pairs of different length share a seed, and no pair of
    one length does: `seeds` leaves those pairs out.

    Parameters
    ----------
    members : array_like, shape (n_members, n_trials, n_classes)
        Probabilities.
    lengths : array_like, shape (n_members,)
        Epochs of each; two or more lengths, one of them with two members.
    subject : array_like, shape (n_trials,)
        Resampled whole.
    seeds : array_like, shape (n_members,), optional
        Seed of each; pairs of one seed do not count. By default all pairs do.
    n_resamples, confidence, random_state
        As for :func:`kernel.stats.bootstrap_interval`.

    Returns
    -------
    Interval
    """
    P, lengths, subject = ensemble.checked_members(members), np.asarray(lengths), np.asarray(subject)
    if lengths.shape != (len(P),) or subject.shape != (P.shape[1],):
        raise ValueError(
            f"lengths and subject must be ({len(P)},) and ({P.shape[1]},), got {lengths.shape} and "
            f"{subject.shape}"
        )
    a, b = np.triu_indices(len(P), 1)
    if seeds is not None:
        seeds = np.asarray(seeds)
        if seeds.shape != lengths.shape:
            raise ValueError(f"seeds must have one value for each of {len(P)} members, got {seeds.shape}")
        a, b = a[seeds[a] != seeds[b]], b[seeds[a] != seeds[b]]
    across = lengths[a] != lengths[b]
    if across.all() or not across.any():
        raise ValueError(f"lengths {lengths.tolist()} leave no pair {'within' if across.all() else 'across'}")
    called = P.argmax(-1)
    person = np.unique(subject, return_inverse=True)[1]
    one_hot = (called[..., None] == np.arange(P.shape[-1])).transpose(1, 0, 2).astype(float)
    votes = np.zeros((person.max() + 1, *one_hot.shape[1:]))
    same = np.zeros((len(votes), len(a)))
    np.add.at(votes, person, one_hot)
    np.add.at(same, person, (called[a] == called[b]).T.astype(float))

    def difference(votes: np.ndarray, same: np.ndarray) -> np.ndarray:
        votes, same = votes.sum(-3), same.sum(-2)  # (..., n_members, n_classes), (..., n_pairs)
        n = votes.sum(-1)[..., :1]
        kappa = ensemble.kappa(same / n, (votes[..., a, :] * votes[..., b, :]).sum(-1) / n**2)
        return kappa[..., across].mean(-1) - kappa[..., ~across].mean(-1)

    return stats.bootstrap_interval(
        difference, votes, same, n_resamples=n_resamples, confidence=confidence, random_state=random_state
    )


def lengths_against_seeds(bank: Bank, *, n_members: int = 10, random_state: int = 0) -> pd.DataFrame:
    """Half of the seeds at two lengths against all seeds at one length, in ensembles of one size.

    Parameters
    ----------
    bank : Bank
        With the same seeds at two lengths, `n_members` seeds or more; further members are not used.
    n_members : int
        Size of every ensemble, an even number.
    random_state : int
        Of the intervals.

    Returns
    -------
    DataFrame
        One row for each length of the reference: ``epochs``, ``mixed``, ``seeds`` (balanced accuracies),
        ``difference`` (mixed minus seeds) with ``low`` and ``high``.
    """
    epochs = np.array([spec.epochs for spec in bank.specs])
    lengths = np.unique(epochs)
    enough = all((epochs == n).sum() >= n_members for n in lengths)
    if len(lengths) != 2 or n_members % 2 or not enough:
        raise ValueError(
            f"the bank must hold {n_members} (an even number of) members at each of two lengths, it has "
            f"lengths {dict(zip(*np.unique(epochs, return_counts=True), strict=True))}"
        )
    test = bank.rows("test")
    P = ensemble.softmax(np.stack([bank.scores(i)[test] for i in range(len(bank))]))
    y, subject = bank.trials["y"].to_numpy()[test], bank.trials["subject"].to_numpy()[test]
    seeds = np.array([spec.seed for spec in bank.specs])
    chosen = [np.flatnonzero(epochs == n)[np.argsort(seeds[epochs == n])][:n_members] for n in lengths]
    mixed = np.concatenate([rows[: n_members // 2] for rows in chosen])
    rows = []
    for n, members in zip(lengths, chosen, strict=True):
        interval = ensemble.accuracy_difference(
            P[mixed].mean(0), P[members].mean(0), y, subject, random_state=random_state
        )
        rows.append(
            {
                "epochs": int(n),
                "mixed": float(balanced_accuracy(y, P[mixed].mean(0).argmax(-1))),
                "seeds": float(balanced_accuracy(y, P[members].mean(0).argmax(-1))),
                "difference": interval.value,
                "low": interval.low,
                "high": interval.high,
            }
        )
    return pd.DataFrame(rows)
