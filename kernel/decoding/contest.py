"""The contest: which ensemble of EEG classifiers wins at equal cost?

Every contestant has as many trainings of the same length on the same subjects, and is asked about the same
others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from tqdm.auto import tqdm

from kernel import checks, files
from kernel.brain.cohort import Cohort, segment_length, segments, standardise
from kernel.brain.splits import Split, usual_split
from kernel.decoding import ensemble, members, networks
from kernel.decoding.bank import time_steps
from kernel.decoding.checkpoints import recall_interval
from kernel.decoding.effects import paired_t
from kernel.decoding.geometry import Device
from kernel.decoding.residual import NetworkClassifier
from kernel.metrics import balanced_accuracy


class _Method(NamedTuple):
    """A contestant: which members it trains and how it combines them."""

    family: str
    aggregation: str


#: Contestants. ``single network`` is the mean accuracy of single members; ``best single`` and ``top half``
#: are chosen on validation; the base of ``+ base`` and ``weighted`` takes the place of one member, so that
#: the number of trainings is the same. ``drop random`` is the control of ``drop basin``.
METHODS = {
    name: _Method(*both)
    for name, both in {
        "base alone": ("base", "single"),
        "single network": ("seeds", "single"),
        "best single": ("seeds", "best"),
        "deep ensemble": ("seeds", "uniform"),
        "top half": ("seeds", "top_half"),
        "bagged subjects": ("bagging", "uniform"),
        "snapshots": ("snapshots", "uniform"),
        "random subspaces": ("random_subspaces", "uniform"),
        "two lengths": ("length", "uniform"),
        "residual complement": ("residual_complement", "uniform"),
        "residual complement + base": ("residual_complement", "half_base"),
        "residual subspaces": ("residual_subspaces", "uniform"),
        "drop random": ("drop_random", "uniform"),
        "drop basin": ("drop_basin", "uniform"),
        "drop basin + base": ("drop_basin", "half_base"),
        "drop basin, weighted": ("drop_basin", "validation"),
        "drop basin, stacked": ("drop_basin", "stacked"),
    }.items()
}
RESIDUAL_METHODS = tuple(name for name in METHODS if name.startswith(("residual", "drop basin")))
#: The base of the contest: the MLP of the bank, ten epochs, well under a second a training.
NETWORK = NetworkClassifier(epochs=10, batch_size=256, learning_rate=2e-3)

_COLUMNS = [
    *"method family aggregation trainings bacc bacc_low bacc_high reference difference low high".split(),
    *"single single_validation kappa nll ece".split(),
]


# The contest


def contest(
    cohort: Cohort,
    split: str | Split,
    *,
    estimator: Any = None,
    methods: Sequence[str] | None = None,
    n_members: int = 10,
    segment: float | None = None,
    n_windows: int = 1,
    n_resamples: int = 2000,
    random_state: int = 0,
    folder: str | Path | None = None,
    n_jobs: int = 1,
    device: Device = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Compare ensembles of one size and cost on the test subjects of one cohort.

    Members learn from the training trials; validation trials choose and weigh; test trials score. Members of
    different contestants share their seeds in pairs.

    Parameters
    ----------
    cohort : Cohort
        Differential entropies; standardised here unless its unit is z already.
    split : Split or str
        Or its name for :func:`~kernel.brain.splits.make_split`; with two or more test subjects.
    estimator : estimator, optional
        The base, with ``predict_proba``; by default :data:`NETWORK`.
    methods : sequence of str, optional
        Names of :data:`METHODS`; by default all that the base allows: some need its seed, its
        length of training, or its snapshots.
    n_members : int
        Trainings of every contestant.
    segment, n_windows : float and int
        Seconds of a sample, by default those of :func:`~kernel.brain.cohort.segments`; time steps into which
        it is averaged, side by side in its features.
    n_resamples, random_state
        Of the intervals over test subjects; seed of members and intervals.
    folder : str or Path, optional
        Where the members' probabilities are kept, under a digest of data, base and code; the user's cache by
        default. Those of a base that is neither this package's nor scikit-learn's are not kept.
    n_jobs, device, progress
        Processes; where networks are computed, as :func:`kernel.checks.device` has it; whether to show a bar.

    Returns
    -------
    DataFrame
        One row a contestant: ``method``, ``family``, ``aggregation``, ``trainings``, ``bacc`` with
        ``bacc_low`` and ``bacc_high``, ``difference`` with ``low`` and ``high`` from its ``reference``, the
        deep ensemble or, for a base without seeds, the base alone; ``single`` and ``single_validation`` (mean
        accuracy of its members on test and on validation trials), ``kappa`` (mean over pairs), ``nll`` and
        ``ece``; then the linear baselines ``lda`` and ``logistic`` of one training. What a row does not have
        is missing.
    """
    estimator = NETWORK if estimator is None else estimator
    possible = [name for name, method in METHODS.items() if _can_enter(estimator, method.family)]
    reference = "deep ensemble" if "deep ensemble" in possible else "base alone"
    methods = possible if methods is None else list(methods)
    names = dict.fromkeys([reference, *methods])
    for name in names:
        checks.choice(f"a contestant with {type(estimator).__name__}", name, possible)
    samples = _Samples.of(cohort, usual_split(cohort, split), segment, n_windows)
    folder = "contest" if folder is None else files.writable_folder(folder)
    families = dict.fromkeys(METHODS[name].family for name in names)
    trained = {
        family: _trained(family, estimator, samples, n_members, random_state, folder, n_jobs, device)
        for family in tqdm(families, desc="families", disable=not progress)
    }
    base = trained[METHODS[reference].family]
    combined = {name: _combine(METHODS[name], trained, base, samples) for name in names}
    options: dict[str, Any] = {"n_resamples": n_resamples, "random_state": random_state}
    rows: list[dict[str, Any]] = []
    for name in methods:
        probabilities = trained[METHODS[name].family]
        row = {"method": name, **METHODS[name]._asdict(), "trainings": len(probabilities)}
        rows.append(row | _members_scores(probabilities, samples))
    rows += [{"method": name, "family": "linear", "trainings": 1} for name in networks.LINEAR_BASELINES]
    combined |= {name: _linear(name, samples, folder) for name in networks.LINEAR_BASELINES}
    for row in rows:
        P, trials = combined[row["method"]], (samples.y_test, samples.subject_test)
        row["reference"] = reference
        row["difference"], row["low"], row["high"] = ensemble.accuracy_difference(
            P, combined[reference], *trials, **options
        )
        hit = (P.argmax(-1) == samples.y_test).reshape(-1, len(samples.y_test)).mean(0)
        row["bacc"], row["bacc_low"], row["bacc_high"] = recall_interval(hit, *trials, **options)
        if P.ndim == 2:  # one classifier, and not the mean of several
            row |= ensemble.calibration(P, samples.y_test)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _can_enter(estimator: Any, family: str) -> bool:
    """Whether a base can train a family; ``base``, itself alone, is for one without seeds."""
    return not members.allows(estimator, "seeds") if family == "base" else members.allows(estimator, family)


class _Samples(NamedTuple):
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
    def of(cls, cohort: Cohort, split: Split, segment: float | None, n_windows: int) -> _Samples:
        cohort = cohort if cohort.data.attrs["unit"] == "z" else standardise(cohort)
        whole = segments(cohort, length=segment)
        x = whole.X
        if n_windows > 1:
            shape = (len(cohort.channels), len(cohort.bands))
            steps = time_steps(cohort, segment_length(cohort, segment), n_windows, whole, shape)
            x = steps.reshape(len(x), -1)
        train, test = whole.rows(split.train), whole.rows(split.test)
        asked = whole.rows(split.validation) | test
        if not train.any() or not test.any() or test[asked].all():
            raise ValueError(f"a set of split {split.name!r} is empty: choose another split or fold")
        split.require_test_subjects()
        learnt = x[train], whole.y[train], whole.subject[train]
        return cls(*learnt, x[asked], whole.y[asked], test[asked], whole.subject[test])

    @property
    def digest(self) -> str:
        return files.digest(self.X, self.y, self.subject, self.asked)


def _trained(
    family: str,
    estimator: Any,
    samples: _Samples,
    n_members: int,
    random_state: int,
    folder: str | Path,
    n_jobs: int,
    device: Device,
) -> np.ndarray:
    """Probabilities (n_members, n_asked, n_classes) of one family, trained or loaded."""

    def compute() -> np.ndarray:
        if family == "base":
            trained = [members.fit_base(estimator, samples.X, samples.y, random_state, device)]
        else:
            trained = members.fit_members(
                estimator, family, samples.X, samples.y, n_members=n_members, groups=samples.subject,
                random_state=random_state, n_jobs=n_jobs, device=device,
            )  # fmt: skip
        return np.stack([member.predict_proba(samples.asked) for member in trained]).astype(np.float32)

    try:
        content = _content(estimator), samples.digest, n_members, random_state
        key = files.cache_key(__name__, "contest", family, checks.device(device).type, *content)
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


def _linear(name: str, samples: _Samples, folder: str | Path) -> np.ndarray:
    """Probabilities (n_test, n_classes) of a linear baseline."""
    key = files.cache_key(__name__, "linear", name, samples.digest)

    def compute() -> np.ndarray:
        model = networks.linear_baseline(name).fit(samples.X.astype(float), samples.y)
        return model.predict_proba(samples.asked.astype(float))

    return files.load_or_compute(folder, key[:40], compute)[samples.test]


def _combine(
    method: _Method, trained: dict[str, np.ndarray], base: np.ndarray, samples: _Samples
) -> np.ndarray:
    """Probabilities of a contestant on test trials; of single members (n_members, n_test, n_classes)."""
    P = trained[method.family].astype(float)
    if method.aggregation == "single":
        return P[:, samples.test]
    if method.aggregation in ("half_base", "validation"):
        # the base takes the place of the last member, with whose seed it was trained
        P = np.concatenate([base[-1:].astype(float), P[:-1]])
    held, asked = P[:, ~samples.test], P[:, samples.test]
    return members.aggregate(method.aggregation, held, samples.y_validation, asked)


def _members_scores(probabilities: np.ndarray, samples: _Samples) -> dict[str, float]:
    """What the members (n_members, n_asked, n_classes) of a contestant are like one by one."""
    called = probabilities.argmax(-1)
    scores = {
        "single": balanced_accuracy(samples.y_test, called[:, samples.test]).mean(),
        "single_validation": balanced_accuracy(samples.y_validation, called[:, ~samples.test]).mean(),
    }
    if len(called) > 1:
        kappa = ensemble.kappa_matrix(called[:, samples.test])
        scores["kappa"] = kappa[np.triu_indices(len(called), 1)].mean()
    return {name: float(value) for name, value in scores.items()}


def contest_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over cohorts with a t-interval: the cohort is the unit, so that it speaks of new cohorts.

    The table has rows of `contest` with columns ``preset`` and ``cohort_seed``, two cohorts or more of a
    preset. One row a preset and method, best first: ``bacc`` and ``difference`` as means over cohorts,
    ``low`` and ``high`` of the mean difference (Student's t), ``wins`` (cohorts in
    which the difference is positive), ``cohorts``, and the means of ``single``, ``single_validation``,
    ``kappa``, ``nll``, ``ece``.
    """
    rows = []
    for (preset, method), part in table.groupby(["preset", "method"], sort=False):
        n = part["cohort_seed"].nunique()
        if n < 2 or n != len(part):
            raise ValueError(
                f"{method!r} of {preset!r} has {len(part)} rows of {n} cohorts: an interval over cohorts "
                "needs one row each of two or more"
            )
        d = part["difference"].to_numpy()
        mean = dict(zip(("difference", "low", "high"), paired_t(d)[0], strict=True))
        counted = {"wins": int((d > 0).sum()), "cohorts": n}
        others = part[["single", "single_validation", "kappa", "nll", "ece"]].mean()
        bacc = part["bacc"].mean()
        rows.append({"preset": preset, "method": method, "bacc": bacc, **mean, **counted, **others})
    places = {preset: place for place, preset in enumerate(table["preset"].unique())}
    return pd.DataFrame(sorted(rows, key=lambda row: (places[row["preset"]], -row["bacc"])))


def gains_in_context(table: pd.DataFrame) -> pd.DataFrame:
    """Gain of the deep ensemble over its mean single member, the best single, and the linear models.

    A relative gain depends on what it is relative to. The table is one of `contest`, or as `contest_summary`
    takes it; the result has columns ``reference``, ``bacc``, ``gain``, ``relative``, for each preset and
    cohort if there are several.
    """
    keys = [name for name in ("preset", "cohort_seed") if name in table]
    references = ["single network", "best single", *networks.LINEAR_BASELINES]
    parts = []
    for key, part in table.groupby(keys, sort=False) if keys else [((), table)]:
        bacc = part.set_index("method")["bacc"]
        missing = [name for name in ("deep ensemble", *references) if name not in bacc]
        if missing:
            raise ValueError(f"the table lacks {', '.join(missing)}: run the contest with them")
        gains = bacc[references].rename_axis("reference").reset_index()
        gains["gain"] = bacc["deep ensemble"] - gains["bacc"]
        gains["relative"] = gains["gain"] / gains["bacc"]
        parts.append(gains.assign(**dict(zip(keys, key, strict=True))))
    return pd.concat(parts, ignore_index=True)[[*keys, "reference", "bacc", "gain", "relative"]]
