"""Members of an ensemble that differ in a chosen way: their views of the input, training and weights.

Views are built around the *basin*, the span of the centred class means of the training input. Features should
be of comparable scale, because the basin is found in their units.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from kernel import checks
from kernel.arrays import class_numbers, real, row_labels
from kernel.decoding import ensemble, geometry
from kernel.decoding.geometry import Device
from kernel.metrics import balanced_accuracy

BASIN = ("residual_complement", "residual_subspaces", "drop_basin")
DIVERSITY = ("seeds", "length", *BASIN, "drop_random", "random_subspaces", "bagging", "snapshots")
LENGTH_PARAMETERS = ("epochs", "max_iter", "n_estimators", "n_epochs", "max_epochs")
SHORT, LONG = 0.8, 1.2  # training lengths over the base's: as 100 to 150, at the budget of equal members
_REDRAWS, _SEED = 100, "random_state"


# Views of the input


class _View(NamedTuple):
    """What one member sees of the input."""

    removed: np.ndarray | None = None  #: (k, n_features): orthonormal directions that are projected out
    columns: np.ndarray | None = None  #: features that are kept

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """The view of rows (n, n_features)."""
        if self.removed is not None:
            X = X - (X @ self.removed.T) @ self.removed
        return X if self.columns is None else X[:, self.columns]


_WHOLE = _View()


def _input_basin(X: np.ndarray, y: np.ndarray, device: Device = None) -> np.ndarray:
    """Orthonormal basis (rank, n_features) of the centred class means, largest spread first.

    The rank is that of the means: at most one less than there are classes, and no more than features.
    """
    X, y = real(X, "X"), row_labels(y, "y", len(X))
    means = np.stack([X[y == c].mean(0) for c in np.unique(y)])
    size, spread = (float(np.linalg.norm(one)) / math.sqrt(len(X)) for one in (X, X - X.mean(0)))
    tolerance = max(1e-8 * spread, 2e-14 * size, 1e-308)  # rounding counts where an offset is large
    rank = int(np.linalg.matrix_rank(means - means.mean(0), tol=tolerance))
    return geometry.basin(X, y, rank=max(rank, 1), device=device).basis.cpu().numpy()


def _make_views(
    diversity: str,
    X: np.ndarray,
    y: np.ndarray,
    n_members: int,
    random_state: np.random.RandomState,
    device: Device = None,
) -> list[_View]:
    """Views of the members of one of :data:`DIVERSITY`, as `ResidualEnsembleClassifier` describes them."""
    d = X.shape[1]
    if diversity not in (*BASIN, "drop_random", "random_subspaces"):
        return [_WHOLE] * n_members
    if d < 2:
        raise ValueError(f"n_features = {d}: a part of it is nothing, use diversity='seeds' or 'bagging'")
    if diversity == "random_subspaces":
        halves = (np.sort(random_state.permutation(d)[: (d + 1) // 2]) for _ in range(n_members))
        return [_View(columns=columns) for columns in halves]
    if diversity == "drop_random":
        return _dropping(np.eye(d), 0, n_members, random_state)
    basis = _input_basin(X, y, device)
    if diversity == "drop_basin":
        if len(basis) > 1:
            return _dropping(basis, len(basis), n_members, random_state)
        warnings.warn(
            "the class means span one direction, without which nothing tells the classes apart: every member "
            "drops a random direction of the input instead",
            stacklevel=3,
        )
        return _dropping(np.eye(d), 0, n_members, random_state)
    free = d - len(basis)
    if free < (1 if diversity == "residual_complement" else 2):
        raise ValueError(
            f"the class means leave {free} of {d} features as a residual, too few for {diversity!r}: "
            "use diversity='drop_basin'"
        )
    if diversity == "residual_complement":
        return [_View(removed=basis)] * n_members
    residual = np.linalg.svd(basis)[2][len(basis) :]  # (d - rank, d), orthonormal
    drawn = (random_state.standard_normal((free, free // 2)) for _ in range(n_members))
    return [_View(removed=np.linalg.qr(half)[0].T @ residual) for half in drawn]


def _dropping(
    basis: np.ndarray, n_principal: int, n_members: int, random_state: np.random.RandomState
) -> list[_View]:
    """Each of the first directions of a basis (rank, n_features) in turn, then random ones of its span."""
    random = random_state.standard_normal((max(0, n_members - n_principal), len(basis))) @ basis
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    directions = (*basis[: min(n_principal, n_members)], *random)
    return [_View(removed=direction[None]) for direction in directions]


# Members


class Member(NamedTuple):
    """A classifier, fitted to class numbers, and its view of the input."""

    estimator: Any
    view: _View

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
    device: Device = None,
) -> list[Member]:
    """Train a diversity set; arguments as for `ResidualEnsembleClassifier`, with y as numbers from 0.

    ValueError if the diversity does not fit the base or the data, or leaves all members the same.
    """
    rng = check_random_state(random_state)
    check_diversity(estimator, diversity, n_members)
    if isinstance(diversity, str) and diversity == "snapshots":
        seeds = np.random.RandomState(rng.randint(2**31 - 1))
        stations = _seeded(estimator, seeds, device).snapshots(X, y, n_members)
        return [Member(one, _WHOLE) for one in stations]
    untrained = _untrained(estimator, diversity, X, y, n_members, rng, device)
    rows: list[Any] = [slice(None)] * len(untrained)
    if diversity == "bagging":
        rows = [_bootstrap(y, groups, rng) for _ in untrained]
    tasks = (delayed(_fitted)(*one, X[part], y[part]) for one, part in zip(untrained, rows, strict=True))
    alone = checks.device(device).type != "cpu"  # members would share an accelerator
    members = list(Parallel(n_jobs=1 if alone else n_jobs)(tasks))
    _refuse_identical(members, X, rng, diversity)
    return members


def _untrained(
    estimator: Any,
    diversity: str | Sequence[Any],
    X: np.ndarray,
    y: np.ndarray,
    n_members: int,
    rng: np.random.RandomState,
    device: Device,
) -> list[tuple[Any, _View]]:
    """Untrained members and their views."""
    # seeds first: with one random state, members of different diversity are paired by their seeds
    seeds = np.random.RandomState(rng.randint(2**31 - 1))
    if not isinstance(diversity, str):
        return [(_seeded(one, seeds, device), _WHOLE) for one in diversity]
    views = _make_views(diversity, X, y, n_members, rng, device)
    if diversity != "length":
        return [(_seeded(estimator, seeds, device), view) for view in views]
    name = str(_length_parameter(estimator))
    lengths = [max(1, round(factor * estimator.get_params()[name])) for factor in (SHORT, LONG)]
    pairs = [_seeded(estimator, seeds, device) for _ in range((n_members + 1) // 2)]
    return [(clone(one).set_params(**{name: n}), _WHOLE) for one in pairs for n in lengths][:n_members]


def check_diversity(estimator: Any, diversity: str | Sequence[Any], n_members: int) -> None:
    """ValueError, before anything is trained, if members of a base cannot be made so."""
    listed = isinstance(diversity, Sequence) and not isinstance(diversity, str)
    for one in (estimator, *(diversity if listed else ())):
        if isinstance(one, type):
            raise ValueError(f"estimator is the class {one.__name__}: give an object, {one.__name__}()")
        if not hasattr(one, "predict_proba"):
            raise ValueError(
                f"{type(one).__name__} has no predict_proba: wrap it in CalibratedClassifierCV, or choose "
                "another estimator"
            )
    checks.count("n_members", n_members, 2)
    if listed:
        checks.count("the number of estimators in diversity", len(diversity), 2)
        return
    checks.choice("diversity", diversity, DIVERSITY)
    if diversity == "snapshots" and not allows(estimator, "snapshots"):
        raise ValueError(
            f"{_kind(estimator)} keeps no snapshots of its training: use NetworkClassifier, or "
            "diversity='length'"
        )
    if diversity == "length" and _length_parameter(estimator) is None:
        raise ValueError(
            f"{_kind(estimator)} has none of {', '.join(LENGTH_PARAMETERS)}: its training has no "
            "length, choose another diversity"
        )


def allows(estimator: Any, diversity: str) -> bool:
    """Whether members of a base can differ so: some ways need a seed, a length of training, or snapshots."""
    if diversity == "snapshots":
        return hasattr(estimator, "snapshots")
    if diversity == "length" and _length_parameter(estimator) is None:
        return False
    return diversity not in ("seeds", "length", "residual_complement") or bool(_parameters(estimator, _SEED))


def _length_parameter(estimator: Any) -> str | None:
    """Name of the parameter that sets the length of a training; None if there is none."""
    return next((name for last in LENGTH_PARAMETERS for name in _parameters(estimator, last)), None)


def _parameters(estimator: Any, last: str) -> list[str]:
    """Names of all parameters that end so, in a pipeline too."""
    return [name for name in estimator.get_params() if name.split("__")[-1] == last]


def _placed(estimator: Any, device: Device) -> Any:
    """A clone whose networks are computed on a device; without one, where they say or where they can be."""
    own = clone(estimator)
    parameters = own.get_params()
    names = [one for one in _parameters(own, "device") if device is not None or parameters[one] is None]
    return own.set_params(**dict.fromkeys(names, str(checks.device(device)))) if names else own


def _seeded(estimator: Any, rng: np.random.RandomState, device: Device) -> Any:
    """An untrained clone with seeds of its own, on a device."""
    seeds = {name: rng.randint(2**31 - 1) for name in sorted(_parameters(estimator, _SEED))}
    return _placed(estimator, device).set_params(**seeds)


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


def fit_base(
    estimator: Any, X: np.ndarray, y: np.ndarray, random_state: np.random.RandomState | int, device: Device
) -> Member:
    """An estimator on the whole input, with seeds of its own, as the members are trained."""
    return _fitted(_seeded(estimator, check_random_state(random_state), device), _WHOLE, X, y)


def _fitted(estimator: Any, view: _View, X: np.ndarray, y: np.ndarray) -> Member:
    """The member that an estimator becomes on a view, in one thread."""
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
    first, *others = (np.log(member.predict_proba(probe) + 1e-300) for member in members)
    if all(np.abs(other - first).max() < 1e-9 for other in others):
        raise ValueError(
            f"all {len(members)} members are identical: diversity {diversity!r} changes nothing in "
            f"{_kind(members[0].estimator)} trained on {len(X)} samples; choose drop_basin, random_subspaces "
            "or bagging, a base with random_state, or a smaller validation_fraction"
        )


def _kind(estimator: Any) -> str:
    """Name of an estimator, or of the last one of a pipeline."""
    return type(estimator[-1] if isinstance(estimator, Pipeline) else estimator).__name__


# Aggregation


def aggregate(how: str, held: np.ndarray, y: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Probabilities (n, n_classes) of an ensemble from its members' `asked` (n_members, n, n_classes).

    What is learnt, is learnt from the members' probabilities `held` of other trials with classes `y`.
    """
    if how == "stacked":
        return fit_stacker(held, y).predict_proba(asked)
    return ensemble.softmax_ensemble(asked, weights=_member_weights(how, held, y))


def _member_weights(how: str, held: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Weights (n_members,), None if they are equal; half of ``half_base`` goes to the first member.

    Those of ``validation`` are learnt; ``best`` and ``top_half`` are chosen by balanced accuracy.
    """
    n = len(held)
    if how == "validation":
        return validation_weights(held, y)
    if how == "half_base":
        return np.array([0.5, *[0.5 / (n - 1)] * (n - 1)])
    if how in ("best", "top_half"):
        order = np.argsort(-balanced_accuracy(y, held.argmax(-1)), kind="stable")
        return np.isin(np.arange(n), order[: 1 if how == "best" else (n + 1) // 2]).astype(float)
    return None


def validation_weights(members: ArrayLike, y: ArrayLike, *, n_iterations: int = 200) -> np.ndarray:
    r"""Weights (n_members,) of a mixture that maximise the likelihood of held-out labels, by EM [1]_.

    .. math:: w_i \leftarrow \frac{1}{n} \sum_t \frac{w_i\, p_i(y_t)}{\sum_j w_j\, p_j(y_t)}

    Concave in w, from uniform weights; identical members keep equal weights. The members' probabilities
    (n_members, n_trials, n_classes) are of trials that trained none of them.

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


def _log_probabilities(P: np.ndarray) -> np.ndarray:
    """Of members (n_members, n_trials, n_classes) as features (n_trials, n_members * n_classes)."""
    return np.log(np.maximum(P, 1e-6)).transpose(1, 0, 2).reshape(P.shape[1], -1)


def fit_stacker(P: np.ndarray, y: np.ndarray) -> Any:
    """Logistic regression on the members' scaled log probabilities, a pipeline that takes them as `P` is.

    ValueError if a class number of the columns of `P` (n_members, n_trials, n_classes) is missing in `y`.
    """
    absent = np.setdiff1d(np.arange(P.shape[-1]), y)
    if len(absent):
        raise ValueError(
            f"no held-out sample has class number {absent[0]}: stacking needs all, raise validation_fraction"
        )
    steps = FunctionTransformer(_log_probabilities), StandardScaler(), LogisticRegression(max_iter=1000)
    return make_pipeline(*steps).fit(P, y)
