"""The residual ensemble and a network as scikit-learn estimators; one call that decodes by an ensemble."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch.nn import functional as F

from kernel import checks
from kernel.arrays import for_estimator, row_labels
from kernel.decoding import ensemble, networks
from kernel.decoding.geometry import Device
from kernel.decoding.members import (
    Member,
    check_diversity,
    fit_base,
    fit_members,
    fit_stacker,
    validation_weights,
)
from kernel.decoding.training import Labels, Single, TrainingSpec, build_member, optimise
from kernel.threads import one_thread

AGGREGATION = ("uniform", "half_base", "validation", "stacked")
_FLOATS = [np.float64, np.float32]


# The estimators


def _samples(estimator: Any, X: Any, y: Any = "no_validation", *, reset: bool = True) -> Any:
    """Samples (n, n_features), and their labels if there are any, as scikit-learn has them."""
    labels = y if isinstance(y, str) else for_estimator(y, "y", labels=True)
    return validate_data(estimator, for_estimator(X, "X"), labels, dtype=_FLOATS, reset=reset)


def _hold_out(
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


def _class_names(y: np.ndarray) -> np.ndarray:
    check_classification_targets(y)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"y holds one class only, {classes[0]}: there is nothing to tell apart")
    return classes


class _Classifier(ClassifierMixin, BaseEstimator):
    """What both estimators share: the class of a sample is its most probable one."""

    classes_: np.ndarray
    predict_proba: Any

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The most probable class of each sample (n_samples,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]


class ResidualEnsembleClassifier(MetaEstimatorMixin, _Classifier):
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
        ``uniform``: mean over members, without the base; ``half_base``: half the base, half that mean;
        ``validation``: weights over base and members by `validation_weights`; ``stacked``: logistic
        regression on the members' log probabilities. The last two use the held-out samples.
    random_state, n_jobs : int, RandomState or None; int, optional
        The first decides everything, together with the data; the second, processes as joblib counts them,
        nothing.
    validation_fraction : float or None
        Share held out from training, whole groups if `fit` gets groups, for `contributions_` and weights.
        None trains on all and leaves `contributions_` None.
    device : str or torch.device, optional
        Where networks and the basin are computed; see :func:`kernel.checks.device`.

    Attributes
    ----------
    classes_, n_features_in_
        Class labels; number of features.
    base_, members_ : Member, list of Member
        The base on the whole input; the members.
    weights_, stacker_ : ndarray, shape (1 + n_members,), and estimator
        Weights of the base and the members, or, if stacked, the logistic regression; the other is None.
    contributions_, validation_ : Contributions, and ndarray of bool, shape (n_samples,), or None
        Of the members' uniform mean on held-out samples; which samples these are.

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
        device: Device = None,
    ) -> None:
        self.estimator = estimator
        self.diversity = diversity
        self.n_members = n_members
        self.aggregation = aggregation
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.validation_fraction = validation_fraction
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> ResidualEnsembleClassifier:
        """Train base and members on (n_samples, n_features), then weigh them.

        Groups, such as subjects, are held out and resampled whole. ValueError if an option or the data cannot
        be used, or all members come out the same.
        """
        rows, labels = _samples(self, X, y)
        base = self._check()
        self.classes_ = _class_names(labels)
        code = np.searchsorted(self.classes_, labels)
        if groups is not None:
            groups = row_labels(groups, "groups", len(code))
        rng = check_random_state(self.random_state)
        self.validation_ = None
        train = np.ones(len(code), dtype=bool)
        if self.validation_fraction is not None:
            self.validation_ = _hold_out(code, groups, self.validation_fraction, rng)
            train = ~self.validation_
        self.base_ = fit_base(base, rows[train], code[train], rng, self.device)
        self.members_ = fit_members(
            base, self.diversity, rows[train], code[train], n_members=self.n_members,
            groups=None if groups is None else groups[train], random_state=rng, n_jobs=self.n_jobs,
            device=self.device,
        )  # fmt: skip
        self._weigh(rows, code)
        return self

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities (n_samples, n_classes), columns in the order of `classes_`."""
        P = self.members_proba(X)
        if self.stacker_ is not None:
            return self.stacker_.predict_proba(P[1:])
        return np.tensordot(self.weights_, P, axes=1)

    def members_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities (1 + n_members, n_samples, n_classes) of the base, then of every member."""
        check_is_fitted(self)
        rows = _samples(self, X, reset=False)
        return np.stack([one.predict_proba(rows) for one in (self.base_, *self.members_)])

    def _weigh(self, X: np.ndarray, code: np.ndarray) -> None:
        n = len(self.members_)
        self.contributions_ = self.stacker_ = None
        base = 0.5 if self.aggregation == "half_base" else 0.0
        self.weights_ = np.array([base, *[(1 - base) / n] * n])
        if self.validation_ is None:
            return
        P, y = self.members_proba(X[self.validation_]), code[self.validation_]
        self.contributions_ = ensemble.contributions(P[1:], y)
        if self.aggregation == "validation":
            self.weights_ = validation_weights(P, y)
        elif self.aggregation == "stacked":
            self.weights_, self.stacker_ = None, fit_stacker(P[1:], y)

    def _check(self) -> Any:
        """The base, if the options can be used."""
        base = networks.linear_baseline("lda") if self.estimator is None else self.estimator
        check_diversity(base, self.diversity, self.n_members)
        checks.choice("aggregation", self.aggregation, AGGREGATION)
        if self.validation_fraction is not None:
            checks.between("validation_fraction", self.validation_fraction, 0, 1)
        elif self.aggregation in ("validation", "stacked"):
            raise ValueError(f"aggregation {self.aggregation!r} needs a validation_fraction, got None")
        return base


_SPEC_FIELDS = "network epochs batch_size learning_rate weight_decay warmup_epochs label_smoothing".split()


class NetworkClassifier(_Classifier):
    """A network of the registry as a scikit-learn estimator.

    It is trained as a member of a bank is, by :func:`~kernel.decoding.training.optimise`, on any view of the
    input, and keeps the weights of the last epoch. For many members on one input
    :func:`~kernel.decoding.bank.train_bank` is several times faster. `network_` is the trained network.

    Parameters
    ----------
    network, options, epochs, batch_size, learning_rate, weight_decay, warmup_epochs, label_smoothing
        As for :class:`~kernel.decoding.training.TrainingSpec`.
    shape : (int, int), optional
        Channels and bands of the flat features, channels first; by default each feature is a channel, which
        is the same to an ``mlp``.
    random_state : int, RandomState or None
        Of initial weights, order of batches and dropout. With an integer the training is that of a bank's
        member of this seed.
    device : str or torch.device, optional
        Where it is trained and asked; see :func:`kernel.checks.device`.
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
        device: Device = None,
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

    def fit(self, X: ArrayLike, y: ArrayLike) -> NetworkClassifier:
        """Train from random weights for `epochs` epochs, along a rise and a cosine."""
        rows, labels = _samples(self, X, y)
        self._start(_class_names(labels))
        self._train(rows, labels, self._spec())
        return self

    def snapshots(self, X: ArrayLike, y: ArrayLike, n_snapshots: int) -> list[NetworkClassifier]:
        """One training of `n_snapshots` cosine cycles of `epochs` epochs each, kept at the end of each [1]_.

        References
        ----------
        .. [1] Huang et al. (2017), ICLR. arXiv:1704.00109
        """
        stations = [copy.deepcopy(self.fit(X, y))]
        rows, labels = _samples(self, X, y, reset=False)
        for _ in range(n_snapshots - 1):
            self._train(rows, labels, self._spec(warmup_epochs=0))
            stations.append(copy.deepcopy(self))
        return stations

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities (n_samples, n_classes)."""
        check_is_fitted(self)
        rows = _samples(self, X, reset=False)
        # in double precision, so that a sample's result does not depend on its company
        place = next(self.network_.parameters()).device
        place = torch.device("cpu") if place.type == "mps" else place  # which has no doubles
        network = copy.deepcopy(self.network_).to(place).double().eval()
        with one_thread(), torch.no_grad():
            return F.softmax(network(self._inputs(rows, torch.float64).to(place)), -1).cpu().numpy()

    def _spec(self, **changes: Any) -> TrainingSpec:
        """Each training of one estimator has streams of its own; the first those of the bank's member."""
        shared = {name: getattr(self, name) for name in _SPEC_FIELDS} | changes
        seed = self._seed + self._n_trainings * 2**31
        return TrainingSpec(options=self.options or {}, seed=seed, **shared)

    def _start(self, classes: np.ndarray) -> None:
        self.classes_ = classes
        if np.shape(self._shape()) != (2,) or math.prod(self._shape()) != self.n_features_in_:
            raise ValueError(f"shape {self.shape} is not (channels, bands) of {self.n_features_in_} features")
        whole = isinstance(self.random_state, int | np.integer)
        drawn = self.random_state if whole else check_random_state(self.random_state).randint(2**31 - 1)
        self._seed, self._n_trainings = int(drawn), 0
        spec, place = self._spec(), checks.device(self.device)
        self.network_ = build_member(spec, self._shape(), len(classes)).to(place)
        self._optimiser: torch.optim.Optimizer | None = None

    def _shape(self) -> tuple[int, int]:
        return (self.n_features_in_, 1) if self.shape is None else self.shape

    def _inputs(self, X: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
        X = np.require(X, requirements="W")  # other processes hand over memory that is not writable
        return torch.as_tensor(X, dtype=dtype).reshape(len(X), *self._shape())[:, :, None, :]

    def _train(self, X: np.ndarray, y: np.ndarray, spec: TrainingSpec) -> None:
        labels = Labels.of_classes(np.searchsorted(self.classes_, y), len(self.classes_))
        place = next(self.network_.parameters()).device
        inputs, rows = self._inputs(X, torch.float32).to(place), {"train": np.arange(len(X))}
        with one_thread():
            course = optimise(Single(self.network_), [spec], inputs, labels, rows, optimiser=self._optimiser)
        self._optimiser = course.optimiser
        self._n_trainings += 1
        networks.use_generators(self.network_, None)  # a generator cannot be copied
        self.network_.eval()


# One call


class EnsembleDecoding(NamedTuple):
    """What an ensemble says and what is behind it."""

    predictions: np.ndarray  #: (n_trials,): labels of the test trials
    probabilities: np.ndarray  #: (n_trials, n_classes): of the ensemble
    member_probabilities: np.ndarray  #: (n_members, n_trials, n_classes)
    members: list[Member]  #: fitted
    weights: np.ndarray | None  #: (n_members,): they lack what the base has; None if stacked
    contributions: ensemble.Contributions | None  #: of the members on validation trials
    classes: np.ndarray  #: label of each column


def residual_ensemble_decoding(
    base_classifier: Any,
    diversity_set: str | Sequence[Any],
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    n_members: int = 10,
    aggregation: str = "uniform",
    validation_fraction: float | None = 0.2,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    device: Device = None,
) -> EnsembleDecoding:
    """Decode test trials by an ensemble, with its members and their contributions.

    Parameters
    ----------
    base_classifier : estimator or None
        A scikit-learn classifier; None is linear discriminant analysis.
    diversity_set : str or sequence of estimators
        As ``diversity`` of `ResidualEnsembleClassifier`.
    X, y, X_test : array_like, shape (n_samples, n_features), (n_samples,) and (n_trials, n_features)
        Training trials and trials to decode.
    groups : array_like, shape (n_samples,), optional
        Subject of each training trial.
    n_members, aggregation, validation_fraction, random_state, n_jobs, device
        As for `ResidualEnsembleClassifier`.
    """
    options = (n_members, aggregation, random_state, n_jobs, validation_fraction, device)
    model = ResidualEnsembleClassifier(base_classifier, diversity_set, *options)
    _samples(model, X, y)
    try:  # before anything is trained
        _samples(model, X_test, reset=False)
    except ValueError as error:
        raise ValueError(f"X_test: {error}") from error
    model.fit(X, y, groups=groups)
    probabilities = model.predict_proba(X_test)
    return EnsembleDecoding(
        predictions=model.classes_[probabilities.argmax(1)],
        probabilities=probabilities,
        member_probabilities=model.members_proba(X_test)[1:],
        members=model.members_,
        weights=None if model.weights_ is None else model.weights_[1:],
        contributions=model.contributions_,
        classes=model.classes_,
    )
