"""Ensembles whose members are made to differ in a chosen way: a scikit-learn estimator and one call.

In:  features (n_samples, n_features) with labels and, if people repeat, their groups; an estimator with
     ``predict_proba``; or a trained bank.
Out: a fitted ensemble; predictions with the members behind them and what each contributes on held-out trials.
Never draws from a global random state, never weighs members by trials they were trained on, never returns
members that are all the same.

A member is the base trained on a changed view of the input. The views are built around the *basin*, the span
of the centred class means of the training input: its complement, the residual, holds what varies within
classes. Features should be of comparable scale, because the basin is found in their units.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits
from torch.nn import functional as F

from kernel.arrays import class_numbers, real, row_labels
from kernel.decoding import ensemble, geometry, networks
from kernel.decoding.bank import Bank, Labels, Single, TrainingSpec, adamw, build_member, optimise
from kernel.decoding.ensemble import Contributions
from kernel.threads import one_thread

DIVERSITY = (
    "seeds",
    "length",
    "residual_complement",
    "residual_subspaces",
    "drop_basin",
    "drop_random",
    "random_subspaces",
    "bagging",
    "snapshots",
)
AGGREGATION = ("uniform", "half_base", "validation", "stacked")
LENGTH_PARAMETERS = ("epochs", "max_iter", "n_estimators", "n_epochs", "max_epochs")
SHORT, LONG = 0.8, 1.2  # training lengths over the base's: as 100 to 150, at the budget of equal members

_BASIN = ("residual_complement", "residual_subspaces", "drop_basin")
_REDRAWS = 100


# Views of the input


@dataclass(frozen=True, eq=False)
class View:
    """What one member sees of the input.

    Attributes
    ----------
    removed : ndarray, shape (k, n_features), or None
        Orthonormal directions that are projected out; the features stay where they are.
    columns : ndarray of int or None
        Features that are kept.
    """

    removed: np.ndarray | None = None
    columns: np.ndarray | None = None

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """The view of rows (n, n_features)."""
        if self.removed is not None:
            X = X - (X @ self.removed.T) @ self.removed
        return X if self.columns is None else X[:, self.columns]


def input_basin(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Orthonormal basis (rank, n_features) of the centred class means, largest spread first.

    The rank is that of the means: at most one less than there are classes, and no more than features.
    """
    X, y = real(X, "X"), row_labels(y, "y", len(X))
    means = np.stack([X[y == c].mean(0) for c in np.unique(y)])
    size = np.linalg.norm(X) / math.sqrt(len(X))
    rank = int(np.linalg.matrix_rank(means - means.mean(0), tol=1e-8 * max(float(size), 1e-300)))
    return geometry.basin(X, y, rank=max(rank, 1)).basis.cpu().numpy()


def make_views(
    diversity: str, X: np.ndarray, y: np.ndarray, n_members: int, random_state: np.random.RandomState
) -> list[View]:
    """Views of the members of one kind of ensemble.

    Parameters
    ----------
    diversity : str
        One of :data:`DIVERSITY`, as `ResidualEnsembleClassifier` describes them.
    X, y : ndarray, shape (n, n_features) and (n,)
        Training data.
    n_members : int
        Number of views.
    random_state : RandomState
        Source of random directions and columns.

    Returns
    -------
    list of View

    Raises
    ------
    ValueError
        If the features leave nothing to remove or to keep.
    """
    d = X.shape[1]
    if diversity == "random_subspaces":
        if d < 2:
            raise ValueError(f"n_features = {d}: a random subspace needs two features or more")
        columns = (np.sort(random_state.permutation(d)[: (d + 1) // 2]) for _ in range(n_members))
        return [View(columns=chosen) for chosen in columns]
    if diversity not in (*_BASIN, "drop_random"):
        return [View()] * n_members
    if d < 2:
        raise ValueError(f"n_features = {d}: without it there is nothing, use diversity='seeds' or 'bagging'")
    if diversity == "drop_random":
        return _dropping(np.eye(d), 0, n_members, random_state)
    basis = input_basin(X, y)
    if diversity == "drop_basin" and len(basis) == 1:
        warnings.warn(
            "the class means span one direction, without which nothing tells the classes apart: every member "
            "drops a random direction of the input instead",
            stacklevel=3,
        )
        return _dropping(np.eye(d), 0, n_members, random_state)
    if diversity == "drop_basin":
        return _dropping(basis, len(basis), n_members, random_state)
    if len(basis) == d:
        raise ValueError(
            f"the class means span all {d} features: there is no residual, use diversity='drop_basin'"
        )
    if diversity == "residual_complement":
        return [View(removed=basis)] * n_members
    if d - len(basis) < 2:
        raise ValueError(
            f"the residual of {d} features has one dimension: it has no halves, use 'drop_basin'"
        )
    residual = np.linalg.svd(basis)[2][len(basis) :]  # (d - rank, d), orthonormal
    halves = (random_state.standard_normal((len(residual), len(residual) // 2)) for _ in range(n_members))
    return [View(removed=np.linalg.qr(half)[0].T @ residual) for half in halves]


def _dropping(
    basis: np.ndarray, n_principal: int, n_members: int, random_state: np.random.RandomState
) -> list[View]:
    """Each of the first directions of a basis (rank, n_features) in turn, then random ones of its span."""
    n_random = max(0, n_members - n_principal)
    random = random_state.standard_normal((n_random, len(basis))) @ basis
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    directions = (*basis[: min(n_principal, n_members)], *random)
    return [View(removed=direction[None]) for direction in directions]


# Members


@dataclass(frozen=True, eq=False)
class Member:
    """A classifier and its view of the input.

    Attributes
    ----------
    estimator : estimator
        Fitted to class numbers.
    view : View
        What it sees.
    """

    estimator: Any
    view: View

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probabilities (n, n_classes) of rows (n, n_features)."""
        with threadpool_limits(1):  # as in training: sums depend on the number of threads
            return self.estimator.predict_proba(self.view(X))


def fit_members(
    estimator: Any,
    diversity: str | Sequence[Any],
    X: np.ndarray,
    y: np.ndarray,
    *,
    n_members: int,
    groups: np.ndarray | None = None,
    random_state: np.random.RandomState | int | None = None,
    n_jobs: int | None = None,
) -> list[Member]:
    """Train a diversity set; arguments as for `ResidualEnsembleClassifier`, with y as numbers from 0.

    Returns
    -------
    list of Member

    Raises
    ------
    ValueError
        If the diversity is unknown, does not fit the base or the data, or leaves all members the same.
    """
    rng = check_random_state(random_state)
    if n_members < 2:
        raise ValueError(f"n_members must be at least 2, got {n_members}: one member is no ensemble")
    if isinstance(diversity, str) and diversity == "snapshots":
        return _snapshots(estimator, X, y, n_members, rng)
    models, views = _plan(estimator, diversity, X, y, n_members, rng)
    rows: list[np.ndarray | None] = [None] * len(models)
    if diversity == "bagging":
        rows = [_bootstrap(y, groups, rng) for _ in models]
    tasks = (delayed(_fit)(*task, X, y) for task in zip(models, views, rows, strict=True))
    members = list(Parallel(n_jobs=n_jobs)(tasks))
    _refuse_identical(members, X, rng, diversity)
    return members


def _plan(
    estimator: Any,
    diversity: str | Sequence[Any],
    X: np.ndarray,
    y: np.ndarray,
    n_members: int,
    rng: np.random.RandomState,
) -> tuple[list[Any], list[View]]:
    """Untrained members and their views."""
    # seeds first: with one random state, members of different diversity are paired by their seeds
    seeds = np.random.RandomState(rng.randint(2**31 - 1))
    if not isinstance(diversity, str):
        if len(diversity) < 2:
            raise ValueError(f"diversity lists {len(diversity)} estimators: an ensemble needs two or more")
        return [_seeded(one, seeds) for one in diversity], [View()] * len(diversity)
    if diversity not in DIVERSITY:
        raise ValueError(f"diversity must be one of {', '.join(DIVERSITY)}, or estimators; got {diversity!r}")
    views = make_views(diversity, X, y, n_members, rng)
    if diversity == "length":
        return _lengths(estimator, n_members, seeds), views
    return [_seeded(estimator, seeds) for _ in views], views


def _lengths(estimator: Any, n_members: int, seeds: np.random.RandomState) -> list[Any]:
    """Two lengths of every seed."""
    name = length_parameter(estimator)
    if name is None:
        raise ValueError(
            f"{type(estimator).__name__} has none of {', '.join(LENGTH_PARAMETERS)}: its training has no "
            "length, choose another diversity"
        )
    lengths = [max(1, round(factor * estimator.get_params()[name])) for factor in (SHORT, LONG)]
    pairs = [_seeded(estimator, seeds) for _ in range((n_members + 1) // 2)]
    return [clone(model).set_params(**{name: n}) for model in pairs for n in lengths][:n_members]


def _snapshots(
    estimator: Any, X: np.ndarray, y: np.ndarray, n_members: int, rng: np.random.RandomState
) -> list[Member]:
    if not hasattr(estimator, "snapshots"):
        raise ValueError(
            f"{type(estimator).__name__} keeps no snapshots of its training: use NetworkClassifier, or "
            "diversity='length'"
        )
    seeds = np.random.RandomState(rng.randint(2**31 - 1))
    return [Member(one, View()) for one in _seeded(estimator, seeds).snapshots(X, y, n_members)]


def length_parameter(estimator: Any) -> str | None:
    """Name of the parameter that sets the length of a training, in a pipeline too; None if there is none."""
    names = estimator.get_params()
    found = (name for last in LENGTH_PARAMETERS for name in names if name.split("__")[-1] == last)
    return next(found, None)


def seed_parameters(estimator: Any) -> list[str]:
    """Names of all seeds of an estimator, in a pipeline too."""
    return sorted(name for name in estimator.get_params() if name.split("__")[-1] == "random_state")


def _seeded(estimator: Any, rng: np.random.RandomState) -> Any:
    names = seed_parameters(estimator)
    return clone(estimator).set_params(**{name: rng.randint(2**31 - 1) for name in names})


def _bootstrap(y: np.ndarray, groups: np.ndarray | None, rng: np.random.RandomState) -> np.ndarray:
    """Rows of as many groups (or samples) as there are, with replacement, such that no class is lost."""
    unit = np.arange(len(y)) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.argsort(unit, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(unit))[:-1])
    for _ in range(_REDRAWS):
        rows = np.concatenate([members[u] for u in rng.randint(len(members), size=len(members))])
        if len(np.unique(y[rows])) == len(np.unique(y)):
            return rows
    raise ValueError(
        f"{_REDRAWS} bootstrap samples of {len(members)} groups all lack a class: bagging needs more groups"
    )


def _fit(estimator: Any, view: View, rows: np.ndarray | None, X: np.ndarray, y: np.ndarray) -> Member:
    if rows is not None:
        X, y = X[rows], y[rows]
    with threadpool_limits(1):
        return Member(estimator.fit(view(X), y), view)


def _refuse_identical(
    members: Sequence[Member], X: np.ndarray, rng: np.random.RandomState, diversity: str | Sequence[Any]
) -> None:
    """ValueError if all members give the same probabilities, on the data and between its points."""
    rows = X[rng.permutation(len(X))[:200]]
    mixed = np.column_stack([column[rng.permutation(len(rows))] for column in rows.T])
    probe = np.concatenate([rows, mixed])
    # in logarithms, because the probabilities of well separated classes saturate at 0 and 1
    found = (np.log(member.predict_proba(probe) + 1e-300) for member in members)
    first = next(found)
    if all(np.abs(one - first).max() < 1e-9 for one in found):
        raise ValueError(
            f"all {len(members)} members are identical: diversity {diversity!r} changes nothing in "
            f"{type(members[0].estimator).__name__}; choose drop_basin, random_subspaces or bagging, or a "
            "base with random_state"
        )


def hold_out(
    y: np.ndarray, groups: np.ndarray | None, fraction: float, rng: np.random.RandomState
) -> np.ndarray:
    """Which samples to hold out: bool (n,), whole groups if given, no class lost from the rest.

    Without groups a part of every class is taken, at least one sample if the class has two.
    """
    held = np.zeros(len(y), dtype=bool)
    if groups is None:
        for c in np.unique(y):
            rows = rng.permutation(np.flatnonzero(y == c))
            held[rows[: min(len(rows) - 1, max(1, round(fraction * len(rows))))]] = True
        return held
    names = rng.permutation(np.unique(groups))
    for name in names:
        if held.sum() >= fraction * len(y):
            break
        rows = groups == name
        if len(np.unique(y[~(held | rows)])) == len(np.unique(y)):
            held |= rows
    if not held.any():
        raise ValueError(
            f"no group of {len(names)} can be held out without losing a class: give more groups, or "
            "validation_fraction=None"
        )
    return held


# Weights


def validation_weights(members: ArrayLike, y: ArrayLike, *, n_iterations: int = 200) -> np.ndarray:
    r"""Weights of a mixture that maximise the likelihood of held-out labels, by EM [1]_.

    .. math:: w_i \leftarrow \frac{1}{n} \sum_t \frac{w_i\, p_i(y_t)}{\sum_j w_j\, p_j(y_t)}

    Concave in w, from uniform weights; identical members keep equal weights.

    Parameters
    ----------
    members : array_like, shape (n_members, n_trials, n_classes)
        Probabilities of trials that trained no member.
    y : array_like of int, shape (n_trials,)
        True classes from 0.
    n_iterations : int
        Updates.

    Returns
    -------
    ndarray, shape (n_members,)

    References
    ----------
    .. [1] Dempster, Laird & Rubin (1977), JRSS B 39(1). doi:10.1111/j.2517-6161.1977.tb01600.x
    """
    P = ensemble.checked_members(members)
    p = np.maximum(P[:, np.arange(P.shape[1]), class_numbers(y, *P.shape[1:])], 1e-15)
    w = np.full(len(p), 1 / len(p))
    for _ in range(n_iterations):
        joint = w[:, None] * p
        w = (joint / joint.sum(0)).mean(1)
    return w


def _stacking_features(P: np.ndarray) -> np.ndarray:
    """Log probabilities (n_trials, n_members * n_classes)."""
    return np.log(np.maximum(P, 1e-6)).transpose(1, 0, 2).reshape(P.shape[1], -1)


def stack(held: np.ndarray, y: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Probabilities (n, n_classes) by logistic regression on members' log probabilities.

    It learns from `held` (n_members, n_held, n_classes) with classes `y`, and is applied to `asked`
    (n_members, n, n_classes).
    """
    return _fit_stacker(held, y).predict_proba(_stacking_features(asked))


def _fit_stacker(P: np.ndarray, y: np.ndarray) -> Any:
    absent = np.setdiff1d(np.arange(P.shape[-1]), y)
    if len(absent):
        raise ValueError(
            f"no held-out sample has class number {absent[0]}: stacking needs all, raise validation_fraction"
        )
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(_stacking_features(P), y)


# The estimator


def _base_has(name: str) -> Callable[[Any], bool]:
    return lambda self: hasattr(self._base(), name)


class ResidualEnsembleClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Ensemble of one base classifier on views built around the span of its class means.

    Whether it beats a plain deep ensemble of the same size is an empirical question, which
    :func:`kernel.decoding.contest.contest` asks of any cohort.

    Parameters
    ----------
    estimator : estimator, optional
        The base, with ``predict_proba``; by default linear discriminant analysis with shrinkage.
    diversity : str or list of estimators
        How members come to differ; each has a seed of its own.

        - ``seeds``: nothing else. The base must be random.
        - ``length``: two training lengths, 0.8 and 1.2 of the base's, that share a seed in pairs.
        - ``residual_complement``: the basin is removed from the input. The base must be random.
        - ``residual_subspaces``: the basin and a random half of the residual dimensions are kept.
        - ``drop_basin``: one direction of the basin is removed, the principal ones first, then random ones.
          With two classes the basin is one direction: random ones of the input are dropped, with a warning.
        - ``drop_random``: one random direction of the input is removed; the control of ``drop_basin``.
        - ``random_subspaces``: a random half of the features is kept [1]_.
        - ``bagging``: bootstrap of groups, or of samples without groups [2]_.
        - ``snapshots``: one training, as long as all members together, kept at the end of each cycle of its
          learning rate; needs `NetworkClassifier`.
        - estimators: the members themselves; `n_members` is not used.
    n_members : int
        Members beside the base.
    aggregation : str
        - ``uniform``: mean over members, without the base.
        - ``half_base``: half the base, half that mean.
        - ``validation``: weights over base and members by `validation_weights`.
        - ``stacked``: logistic regression on the members' log probabilities.

        The last two use the held-out samples.
    random_state : int, RandomState or None
        Decides everything, together with the data; `n_jobs` does not.
    n_jobs : int, optional
        Processes, as joblib counts them.
    validation_fraction : float or None
        Share held out from training, whole groups if `fit` gets groups, for `contributions_` and weights.
        None trains on all and leaves `contributions_` None.

    Attributes
    ----------
    classes_ : ndarray
        Class labels.
    base_ : Member
        The base on the whole input.
    members_ : list of Member
        The members.
    weights_ : ndarray, shape (1 + n_members,), or None
        Of the base and the members; None if stacked.
    stacker_ : estimator or None
        Logistic regression on scaled log probabilities, if stacked.
    contributions_ : Contributions or None
        Of the members' uniform mean on held-out samples.
    validation_ : ndarray of bool, shape (n_samples,), or None
        The held-out samples.
    n_features_in_ : int
        Features.

    References
    ----------
    .. [1] Ho (1998), IEEE TPAMI 20(8). doi:10.1109/34.709601
    .. [2] Breiman (1996), Machine Learning 24. doi:10.1007/BF00058655

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ResidualEnsembleClassifier(n_members=4, random_state=0).fit(X, y)
    >>> len(model.members_), model.predict_proba(X).shape
    (4, (150, 3))
    """

    contributions_: ensemble.Contributions | None
    stacker_: Any
    weights_: Any

    def __init__(
        self,
        estimator: Any = None,
        diversity: str | Sequence[Any] = "drop_basin",
        n_members: int = 10,
        aggregation: str = "uniform",
        random_state: Any = None,
        n_jobs: int | None = None,
        validation_fraction: float | None = 0.2,
    ) -> None:
        self.estimator = estimator
        self.diversity = diversity
        self.n_members = n_members
        self.aggregation = aggregation
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.validation_fraction = validation_fraction

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> ResidualEnsembleClassifier:
        """Train base and members, then weigh them.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_features)
            Finite values.
        y : array_like, shape (n_samples,)
            Classes, two or more.
        groups : array_like, shape (n_samples,), optional
            Subjects: held out and resampled whole.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If an option or the data cannot be used, or all members come out the same.
        """
        rows, labels = validate_data(self, X, y, dtype=[np.float64, np.float32])
        base = self._check()
        code = self._encode(labels)
        if groups is not None:
            groups = row_labels(groups, "groups", len(code))
        rng = check_random_state(self.random_state)
        self.validation_ = None
        train = np.ones(len(code), dtype=bool)
        if self.validation_fraction is not None:
            self.validation_ = hold_out(code, groups, self.validation_fraction, rng)
            train = ~self.validation_
        shared = rows[train], code[train]
        self.base_ = _fit(_seeded(base, rng), View(), None, *shared)
        self.members_ = fit_members(
            base,
            self.diversity,
            *shared,
            n_members=self.n_members,
            groups=None if groups is None else groups[train],
            random_state=rng,
            n_jobs=self.n_jobs,
        )
        self._weigh(rows, code)
        return self

    @available_if(_base_has("partial_fit"))  # type: ignore[untyped-decorator]  # of scikit-learn
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None
    ) -> ResidualEnsembleClassifier:
        """Train base and members on a further batch.

        The first batch of an unfitted ensemble fixes the views, so that it must hold every class where they
        depend on the basin. Nothing is held out: weights and contributions are those of an earlier `fit`, or
        uniform and None.

        Parameters
        ----------
        X, y : array_like
            As for `fit`.
        classes : array_like, optional
            All classes; needed in the first call.

        Returns
        -------
        self
        """
        first = not hasattr(self, "members_")
        rows, labels = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=first)
        base = self._check()
        if first:
            if classes is None:
                raise ValueError("the first call of partial_fit needs classes=")
            if self.aggregation not in ("uniform", "half_base"):
                raise ValueError(f"aggregation {self.aggregation!r} needs held-out samples: call fit first")
            if self.diversity in ("length", "bagging", "snapshots"):
                raise ValueError(f"diversity {self.diversity!r} needs all data at once: call fit")
            self.classes_ = np.unique(classes)
        code = self._code(labels)
        if first:
            absent = np.setdiff1d(np.arange(len(self.classes_)), code)
            if len(absent) and self.diversity in _BASIN:
                raise ValueError(
                    f"the first batch lacks class {self.classes_[absent[0]]}: the basin needs every class"
                )
            rng = check_random_state(self.random_state)
            self.base_ = Member(_seeded(base, rng), View())
            models, views = _plan(base, self.diversity, rows, code, self.n_members, rng)
            self.members_ = [Member(*pair) for pair in zip(models, views, strict=True)]
            self.validation_ = self.contributions_ = self.stacker_ = None
            self.weights_ = self._fixed_weights()
        numbers = np.arange(len(self.classes_))
        tasks = (delayed(_continue)(one, rows, code, numbers) for one in (self.base_, *self.members_))
        self.base_, *self.members_ = Parallel(n_jobs=self.n_jobs)(tasks)
        return self

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities (n_samples, n_classes), columns in the order of `classes_`."""
        P = self.members_proba(X)
        if self.stacker_ is not None:
            return self.stacker_.predict_proba(_stacking_features(P[1:]))
        return np.tensordot(self.weights_, P, axes=1)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The most probable class of each sample (n_samples,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    def members_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities (1 + n_members, n_samples, n_classes) of the base, then of every member."""
        check_is_fitted(self)
        return self._all_proba(validate_data(self, X, dtype=[np.float64, np.float32], reset=False))

    def _all_proba(self, X: np.ndarray) -> np.ndarray:
        every = (self.base_, *self.members_)
        found = [one.predict_proba(X) for one in every]
        return ensemble.align_classes(
            found, [one.estimator.classes_ for one in every], np.arange(len(self.classes_))
        )

    def _weigh(self, X: np.ndarray, code: np.ndarray) -> None:
        self.contributions_ = self.stacker_ = None
        self.weights_ = self._fixed_weights()
        if self.validation_ is None:
            return
        P, y = self._all_proba(X[self.validation_]), code[self.validation_]
        self.contributions_ = ensemble.contributions(P[1:], y)
        if self.aggregation == "validation":
            self.weights_ = validation_weights(P, y)
        elif self.aggregation == "stacked":
            self.weights_, self.stacker_ = None, _fit_stacker(P[1:], y)

    def _fixed_weights(self) -> np.ndarray:
        base = 0.5 if self.aggregation == "half_base" else 0.0
        return np.array([base, *[(1 - base) / len(self.members_)] * len(self.members_)])

    def _base(self) -> Any:
        return networks.linear_baseline("lda") if self.estimator is None else self.estimator

    def _check(self) -> Any:
        base = self._base()
        if not hasattr(base, "predict_proba"):
            raise ValueError(
                f"{type(base).__name__} has no predict_proba: wrap it in CalibratedClassifierCV, or choose "
                "another estimator"
            )
        if self.aggregation not in AGGREGATION:
            raise ValueError(f"aggregation must be one of {', '.join(AGGREGATION)}, got {self.aggregation!r}")
        fraction = self.validation_fraction
        if fraction is None and self.aggregation in ("validation", "stacked"):
            raise ValueError(f"aggregation {self.aggregation!r} needs a validation_fraction, got None")
        if fraction is not None and not 0 < fraction < 1:
            raise ValueError(f"validation_fraction must lie between 0 and 1 or be None, got {fraction}")
        return base

    def _encode(self, y: np.ndarray) -> np.ndarray:
        check_classification_targets(y)
        self.classes_, code = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class only, {self.classes_[0]}: there is nothing to tell apart")
        return code

    def _code(self, y: np.ndarray) -> np.ndarray:
        check_classification_targets(y)
        strange = np.setdiff1d(y, self.classes_)
        if len(strange):
            raise ValueError(f"class {strange[0]} is not among the classes of the first call")
        return np.searchsorted(self.classes_, y)


def _continue(member: Member, X: np.ndarray, y: np.ndarray, classes: np.ndarray) -> Member:
    with threadpool_limits(1):
        return Member(member.estimator.partial_fit(member.view(X), y, classes=classes), member.view)


# A small network as an estimator

_SPEC_FIELDS = (
    "network",
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "warmup_epochs",
    "label_smoothing",
)


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """A network of the registry as a scikit-learn estimator.

    It is trained as a member of a bank is, by :func:`~kernel.decoding.training.optimise`, on any view of the
    input, and keeps the weights of the last epoch. For many members on one input
    :func:`~kernel.decoding.bank.train_bank` is several times faster.

    Parameters
    ----------
    network, options, epochs, batch_size, learning_rate, weight_decay, warmup_epochs, label_smoothing
        As for :class:`~kernel.decoding.training.TrainingSpec`.
    shape : (int, int), optional
        Channels and bands of the flat features, channels first; by default each feature is a channel,
        which is the same to an ``mlp``.
    random_state : int, RandomState or None
        Of initial weights, order of batches and dropout. With an integer the training is that of a bank's
        member of this seed.
    device : str
        Where it is trained.

    Attributes
    ----------
    classes_ : ndarray
        Class labels.
    network_ : torch.nn.Module
        With ``features`` and ``head``.
    n_features_in_ : int
        Features.
    """

    def __init__(
        self,
        network: str = "mlp",
        options: dict[str, Any] | None = None,
        shape: tuple[int, int] | None = None,
        epochs: int = 30,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        warmup_epochs: int = 3,
        label_smoothing: float = 0.1,
        random_state: Any = None,
        device: str = "cpu",
    ) -> None:
        self.network = network
        self.options = options
        self.shape = shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_epochs = warmup_epochs
        self.label_smoothing = label_smoothing
        self.random_state = random_state
        self.device = device

    @classmethod
    def of(cls, spec: TrainingSpec, shape: tuple[int, int] | None = None) -> NetworkClassifier:
        """The estimator of a spec; ValueError if the spec asks for what an estimator of flat rows lacks."""
        if spec.kd is not None or any(
            value > 0 for name, value in spec.augmentation_sizes().items() if name != "probability"
        ):
            raise ValueError("prototypes and augmentation need train_bank: pass the trained Bank instead")
        if spec.n_windows != 1 or spec.labels != "classes":
            raise ValueError(
                f"flat features have one window and classes for labels, got n_windows {spec.n_windows} and "
                f"labels {spec.labels!r}: pass a Bank"
            )
        shared = {name: getattr(spec, name) for name in _SPEC_FIELDS}
        return cls(options=dict(spec.options) or None, shape=shape, random_state=spec.seed, **shared)

    def fit(self, X: ArrayLike, y: ArrayLike) -> NetworkClassifier:
        """Train from random weights for `epochs` epochs, along a rise and a cosine."""
        rows, labels = validate_data(self, X, y, dtype=[np.float64, np.float32])
        self._start(labels)
        self._train(rows, labels, self._spec())
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> NetworkClassifier:
        """One epoch at the full learning rate; the first call needs `classes`."""
        first = not hasattr(self, "network_")
        if first and classes is None:
            raise ValueError("the first call of partial_fit needs classes=")
        rows, labels = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=first)
        if first:
            self._start(np.asarray(classes))
        strange = np.setdiff1d(labels, self.classes_)
        if len(strange):
            raise ValueError(f"class {strange[0]} is not among the classes of the first call")
        self._train(rows, labels, self._spec(epochs=1, warmup_epochs=0), rate=lambda _: self.learning_rate)
        return self

    def snapshots(self, X: ArrayLike, y: ArrayLike, n_snapshots: int) -> list[NetworkClassifier]:
        """One training of `n_snapshots` cosine cycles of `epochs` epochs each, kept at the end of each [1]_.

        References
        ----------
        .. [1] Huang et al. (2017), ICLR. arXiv:1704.00109
        """
        self.fit(X, y)
        kept = [copy.deepcopy(self)]
        rows, labels = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=False)
        for _ in range(n_snapshots - 1):
            self._train(rows, labels, self._spec(warmup_epochs=0))
            kept.append(copy.deepcopy(self))
        return kept

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities (n_samples, n_classes)."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        # in double precision, so that a sample's result does not depend on its company
        network = copy.deepcopy(self.network_).cpu().double().eval()
        with one_thread(), torch.no_grad():
            return F.softmax(network(self._inputs(rows, torch.float64)), -1).numpy()

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The most probable class of each sample (n_samples,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    def _spec(self, **changes: Any) -> TrainingSpec:
        """Each training of one estimator has streams of its own; the first those of the bank's member."""
        shared = {name: getattr(self, name) for name in _SPEC_FIELDS} | changes
        seed = self._seed + self._n_trainings * 2**31
        return TrainingSpec(options=self.options or {}, seed=seed, **shared)

    def _start(self, y: np.ndarray) -> None:
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class only, {self.classes_[0]}: there is nothing to tell apart")
        if self.shape is not None and math.prod(self.shape) != self.n_features_in_:
            raise ValueError(f"shape {self.shape} does not multiply to {self.n_features_in_} features")
        whole = isinstance(self.random_state, int | np.integer)
        drawn = self.random_state if whole else check_random_state(self.random_state).randint(2**31 - 1)
        self._seed, self._n_trainings = int(drawn), 0
        spec = self._spec()
        self.network_ = build_member(spec, self._shape(), len(self.classes_)).to(self.device)
        self._optimiser = adamw(spec, self.network_.parameters(), torch.device(self.device))

    def _shape(self) -> tuple[int, int]:
        return (self.n_features_in_, 1) if self.shape is None else self.shape

    def _inputs(self, X: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
        X = np.require(X, requirements="W")  # other processes hand over memory that is not writable
        return torch.as_tensor(X, dtype=dtype).reshape(len(X), *self._shape())[:, :, None, :]

    def _train(self, X: np.ndarray, y: np.ndarray, spec: TrainingSpec, **options: Any) -> None:
        labels = Labels.of_classes(np.searchsorted(self.classes_, y), len(self.classes_))
        inputs, rows = self._inputs(X, torch.float32).to(self.device), {"train": np.arange(len(X))}
        with one_thread():
            optimise(
                Single(self.network_), [spec], inputs, labels, rows, optimiser=self._optimiser, **options
            )
        self._n_trainings += 1
        networks.use_generators(self.network_, None)  # a generator cannot be copied
        self.network_.eval()


# One call


@dataclass(frozen=True, eq=False)
class EnsembleDecoding:
    """What an ensemble says and what is behind it.

    Attributes
    ----------
    predictions : ndarray, shape (n_trials,)
        Labels of the test trials.
    probabilities : ndarray, shape (n_trials, n_classes)
        Of the ensemble.
    member_probabilities : ndarray, shape (n_members, n_trials, n_classes)
        Of every member.
    members : list
        Fitted `Member` objects, or the checkpoints of a bank.
    weights : ndarray, shape (n_members,), or None
        Of the members; they lack what the base has. None if stacked.
    contributions : Contributions or None
        Of the members on validation trials.
    classes : ndarray
        Label of each column.
    """

    predictions: np.ndarray
    probabilities: np.ndarray
    member_probabilities: np.ndarray
    members: list[Any]
    weights: np.ndarray | None
    contributions: Contributions | None
    classes: np.ndarray


def residual_ensemble_decoding(
    base_classifier: Any = None,
    diversity_set: str | Sequence[Any] = "drop_basin",
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    X_test: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    n_members: int = 10,
    aggregation: str = "uniform",
    validation_fraction: float | None = 0.2,
    random_state: int | None = 0,
    n_jobs: int | None = None,
) -> EnsembleDecoding:
    """Decode test trials by an ensemble, with its members and their contributions.

    Parameters
    ----------
    base_classifier : estimator, TrainingSpec, Bank or None
        A scikit-learn classifier or the spec of a network, trained here on `X`; or a trained bank, whose test
        trials are then decoded and whose validation trials weigh the members. None is linear discriminant
        analysis.
    diversity_set : str, sequence of estimators or specs, or sequence of int
        As ``diversity`` of `ResidualEnsembleClassifier`; for a bank the numbers of the members to use, all of
        them if it is a name.
    X, y : array_like, shape (n_samples, n_features) and (n_samples,)
        Training trials; not with a bank.
    X_test : array_like, shape (n_trials, n_features)
        Trials to decode; not with a bank.
    groups : array_like, shape (n_samples,), optional
        Subject of each training trial.
    n_members, aggregation, validation_fraction, random_state, n_jobs
        As for `ResidualEnsembleClassifier`. A bank has no base: ``half_base`` is refused.

    Returns
    -------
    EnsembleDecoding

    Raises
    ------
    ValueError
        If arguments do not belong together, or the ensemble cannot be made of them.
    """
    if isinstance(base_classifier, Bank):
        if X is not None or y is not None or X_test is not None:
            raise ValueError("a Bank has its trials: leave X, y and X_test out")
        return _decode_bank(base_classifier, diversity_set, aggregation)
    if X is None or y is None or X_test is None:
        raise ValueError("X, y and X_test are needed unless base_classifier is a Bank")
    if not isinstance(diversity_set, str):
        diversity_set = [_as_estimator(one) for one in diversity_set]
    model = ResidualEnsembleClassifier(
        _as_estimator(base_classifier),
        diversity_set,
        n_members,
        aggregation,
        random_state,
        n_jobs,
        validation_fraction,
    ).fit(X, y, groups=groups)
    P = model.members_proba(X_test)
    probabilities = model.predict_proba(X_test)
    return EnsembleDecoding(
        predictions=model.classes_[probabilities.argmax(1)],
        probabilities=probabilities,
        member_probabilities=P[1:],
        members=model.members_,
        weights=None if model.weights_ is None else model.weights_[1:],
        contributions=model.contributions_,
        classes=model.classes_,
    )


def _as_estimator(given: Any) -> Any:
    return NetworkClassifier.of(given) if isinstance(given, TrainingSpec) else given


def _decode_bank(bank: Bank, members: str | Sequence[int], aggregation: str) -> EnsembleDecoding:
    if aggregation not in ("uniform", "validation", "stacked"):
        raise ValueError(f"aggregation of a bank must be uniform, validation or stacked, got {aggregation!r}")
    numbers = range(len(bank)) if isinstance(members, str) else list(members)
    P = ensemble.softmax(np.stack([bank.scores(int(number)) for number in numbers]))
    validation, test = bank.rows("validation"), bank.rows("test")
    y = bank.trials["y"].to_numpy()[validation]
    held = ensemble.checked_members(P[:, validation])
    if np.abs(held - held[0]).max() < 1e-12:
        raise ValueError(f"all {len(held)} members are identical: they add nothing to each other")
    P = P[:, test]
    if aggregation == "stacked":
        weights = None
        probabilities = stack(held, y, P)
    else:
        uniform = np.full(len(P), 1 / len(P))
        weights = validation_weights(held, y) if aggregation == "validation" else uniform
        probabilities = ensemble.softmax_ensemble(P, weights=weights)
    classes = np.array(bank.classes)
    return EnsembleDecoding(
        predictions=classes[probabilities.argmax(1)],
        probabilities=probabilities,
        member_probabilities=P,
        members=[bank.checkpoints[number] for number in numbers],
        weights=weights,
        contributions=ensemble.contributions(held, y),
        classes=classes,
    )
