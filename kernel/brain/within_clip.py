"""Same clip, different people: does a person's own rating of a clip show in their own EEG?

Person, drift over the session and clip are removed from features and ratings jointly. Orders differ, so that
removing drift by itself takes a part of each clip with it, another part in each person; clip means subtracted
afterwards do not bring it back, and what is left of clips in features and in ratings goes together, whatever
the EEG holds. This naive way is here for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import lfilter
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from kernel import checks, stats
from kernel.arrays import real, row_labels
from kernel.brain.components import scaled_positions
from kernel.brain.projection import trial_rows

Seed = int | Sequence[int] | np.random.Generator | None

DRIFTS = ("linear", "quadratic", "blocks")
#: Penalties in units of the mean squared singular value of the training features.
RELATIVE_ALPHAS = tuple(10.0**power for power in range(-2, 5))

_FOLDS = 10
SEED = 20260600129  # of the folds of people, and of what audit.same_clip draws
_CHUNK = 500  # sets of ratings solved at once: 100 MB for 123 people
_AUTOCORRELATION = 0.6  # of placebo noise from clip to clip
_RANK = 1e-10  # eigenvalues below this share of the largest are rounding


@dataclass(frozen=True)
class WithinClip:
    """Outcome of `within_clip_test`.

    `people` (n_subjects,) are correlations over clips of held-out prediction and residual rating, `r` is
    their mean, `null` (n_exchanges,) that under exchange, `p` the share at least as high, r counted in.
    """

    r: float
    p: float
    people: np.ndarray
    null: np.ndarray

    @property
    def limit(self) -> float:
        """95th percentile of the null."""
        return float(np.quantile(self.null, 0.95))

    @property
    def detectable(self) -> float:
        """Smallest r that is significant at .05, one-sided, with a power of 80 %."""
        return self.limit + float(norm.ppf(0.8) * self.null.std(ddof=1))


def within_clip_test(
    features: ArrayLike,
    ratings: ArrayLike,
    order: ArrayLike,
    hardware: Sequence[str] | np.ndarray,
    *,
    drift: str = "linear",
    n_exchanges: int = 999,
    random_state: Seed = 0,
) -> WithinClip:
    r"""Test whether people who rate a clip higher than others do have another EEG in it.

    Features and ratings of person s and clip c are both freed, by least squares, of

    .. math:: B_s \beta_s + \gamma_c

    with B the basis of each person's drift. A ridge without constant from residual features to residual
    ratings is fitted to nine tenths of the people, its penalty chosen there by generalised cross-validation
    [1]_ among `RELATIVE_ALPHAS`, and predicts the others. For the null whole rating vectors are exchanged
    between people of one hardware group [2]_ and freed again of the drift of those who receive them: a t-test
    would take people for independent, although they share weights and clip effects.

    Parameters
    ----------
    features : array_like, shape (n_subjects, n_clips, ...)
        Of each trial, such as `trial_features` of a standardised cohort; at least 20 people.
    ratings, order : array_like, shape (n_subjects, n_clips)
        Each person's own rating of one item, and presentation positions from 1; none may be missing.
    hardware : sequence of str, length n_subjects
        Group within which people are exchanged; at least three people in each.
    drift : {"linear", "quadratic", "blocks"}
        Constant and line; with a square; or a constant for each four consecutive positions.
    n_exchanges : int
        Random exchanges.
    random_state : int, Generator or None
        Their seed; the folds of people are fixed.

    References
    ----------
    .. [1] Golub, Heath & Wahba (1979), Technometrics 21(2). doi:10.1080/00401706.1979.10489751
    .. [2] Winkler et al. (2014), NeuroImage 92. doi:10.1016/j.neuroimage.2014.01.060
    """
    with threadpool_limits(1):  # the same sums in the same order everywhere
        return PeopleRidge(features, order, hardware, drift).test(ratings, n_exchanges, random_state)


def drift_free(order: np.ndarray, drift: str = "linear") -> np.ndarray:
    """Projections (n_subjects, n_clips, n_clips) that remove each person's constant and drift."""
    checks.choice("drift", drift, DRIFTS)
    n_clips = order.shape[1]
    if drift == "blocks":
        block = (order.astype(int) - 1) // 4
        basis = (block[..., None] == np.unique(block)).astype(float)
    else:
        basis = scaled_positions(order)[..., None] ** np.arange(2 if drift == "linear" else 3)
    if n_clips < basis.shape[2] + 3:
        raise ValueError(f"{n_clips} clips are too few for {drift} drift of {basis.shape[2]} parameters")
    return np.eye(n_clips) - basis @ np.linalg.pinv(basis)


def residuals(x: np.ndarray, free: np.ndarray, *, jointly: bool = True) -> np.ndarray:
    r"""Values (n_subjects, n_clips, k) without person, drift and clip, estimated together by least squares.

    With projections M of `drift_free`, :math:`e_s = M_s (x_s - \hat\gamma)` and
    :math:`\hat\gamma = (\sum_s M_s)^+ \sum_s M_s x_s`, which is the full regression by the theorem of Frisch,
    Waugh & Lovell. Not `jointly` subtracts the means of :math:`M_s x_s` over people, to show the error.
    """
    x = free @ x
    if not jointly:
        return x - x.mean(0)
    # a constant over clips belongs to persons: its eigenvalue is 0 but for rounding, and must be left out
    return x - free @ (np.linalg.pinv(free.sum(0), rtol=_RANK, hermitian=True) @ x.sum(0))


class PeopleRidge:
    """Ridge over people: each tenth of them is predicted by the others, for many sets of ratings at once.

    Arguments and errors as for `within_clip_test`; `jointly` as in `residuals`.
    """

    def __init__(
        self,
        features: ArrayLike,
        order: ArrayLike,
        hardware: Sequence[str] | np.ndarray,
        drift: str = "linear",
        *,
        jointly: bool = True,
    ) -> None:
        features = trial_rows(features)
        n_subjects, _ = shape = features.shape[:2]
        features, order = _complete(features, "features", shape), _complete(order, "order", shape)
        if order.min() < 1:
            raise ValueError(f"order must be positions from 1, got {order.min():g}: leave out who has none")
        if n_subjects < 2 * _FOLDS:
            raise ValueError(f"{n_subjects} people: {_FOLDS} folds of people need at least {2 * _FOLDS}")
        self._hardware = row_labels(hardware, "hardware", n_subjects)
        names, n_people = np.unique(self._hardware, return_counts=True)
        if n_people.min() < 3:
            rare = f"group {str(names[n_people.argmin()])!r} has {n_people.min()} people"
            raise ValueError(f"{rare}, too few to exchange: leave them out")
        self._free, self._jointly = drift_free(order, drift), jointly
        self.features = self.residuals(features, "features")
        # folds of people: shuffled within their group, then dealt out in turn
        shuffled = np.random.default_rng(SEED).permutation(n_subjects)
        dealt = shuffled[np.argsort(self._hardware[shuffled], kind="stable")]
        self.folds = [np.sort(dealt[start::_FOLDS]) for start in range(_FOLDS)]
        gram = np.array([rows.T @ rows for rows in (_as_rows(self.features[fold]) for fold in self.folds)])
        power, self._vectors = np.linalg.eigh(gram.sum(0) - gram)  # of those who train, each fold
        power = np.clip(power, 0, None)[:, None]  # (n_folds, 1, n_features)
        alphas = power.mean(-1, keepdims=True) * np.array(RELATIVE_ALPHAS)[:, None]
        self._inverse = 1 / (power + alphas)  # (n_folds, n_alphas, n_features)
        self._explained = (power + 2 * alphas) * self._inverse**2
        self._freedom = (power * self._inverse).sum(-1)  # of the fit, (n_folds, n_alphas)

    def residuals(self, x: np.ndarray, name: str = "ratings") -> np.ndarray:
        """Residuals of values (n_subjects, n_clips, k), which must not all be zero."""
        left = residuals(x, self._free, jointly=self._jointly)
        if np.abs(left).max() <= 1e-12 * np.abs(x).max():
            raise ValueError(f"{name} do not vary between people within a clip: there is nothing to relate")
        return left

    def correlations(self, ratings: np.ndarray) -> np.ndarray:
        """Correlation over clips of held-out predictions and residuals of ratings, (n_subjects, n_sets).

        Takes residuals (n_subjects, n_clips, n_sets); 0 where a prediction or a person's ratings do not vary.
        """
        predicted = np.empty_like(ratings)
        cross = np.array([_as_rows(self.features[fold]).T @ _as_rows(ratings[fold]) for fold in self.folds])
        square = np.array([(ratings[fold] ** 2).sum((0, 1)) for fold in self.folds])
        for number, fold in enumerate(self.folds):
            scores = self._vectors[number].T @ (cross.sum(0) - cross[number])
            rest = square.sum(0) - square[number] - self._explained[number] @ scores**2
            n_rows = ratings.shape[1] * (len(ratings) - len(fold))
            choice = (rest / (1 - self._freedom[number] / n_rows)[:, None] ** 2).argmin(0)
            weights = self._vectors[number] @ (scores * self._inverse[number][choice].T)
            predicted[fold] = self.features[fold] @ weights
        return (_normed(predicted) * _normed(ratings)).sum(1)

    def cells(self, ratings: np.ndarray) -> np.ndarray:
        """Each feature's correlation over clips with residuals of ratings, mean over people.

        Takes residuals (n_subjects, n_clips, n_sets), gives (n_features, n_sets).
        """
        return self._unit_features.T @ _as_rows(_normed(ratings)) / len(ratings)

    @cached_property
    def _unit_features(self) -> np.ndarray:
        """Features of length one over clips (n_subjects * n_clips, n_features), the same for all ratings."""
        return _as_rows(_normed(self.features))

    def people(self, ratings: ArrayLike) -> np.ndarray:
        """Correlation of each person for one set of ratings (n_subjects, n_clips)."""
        ratings = _complete(ratings, "ratings", self.features.shape[:2])
        return self.correlations(self.residuals(ratings[..., None]))[:, 0]

    def null(
        self, statistic: Callable[..., np.ndarray], ratings: ArrayLike, n_exchanges: int, random_state: Seed
    ) -> np.ndarray:
        """A statistic (n_sets,) of residuals (n_subjects, n_clips, n_sets) of exchanged ratings."""
        ratings = _complete(ratings, "ratings", self.features.shape[:2])
        rng = np.random.default_rng(random_state)
        who = np.tile(np.arange(len(ratings)), (checks.count("n_exchanges", n_exchanges), 1))
        for group in np.unique(self._hardware):
            members = np.flatnonzero(self._hardware == group)
            who[:, members] = rng.permuted(who[:, members], axis=1)
        parts = np.array_split(who, -(-n_exchanges // _CHUNK))
        sets = (self.residuals(ratings[part].transpose(1, 2, 0)) for part in parts)
        return np.concatenate([statistic(some) for some in sets])

    def test(self, ratings: ArrayLike, n_exchanges: int, random_state: Seed) -> WithinClip:
        """As `within_clip_test`."""
        people = self.people(ratings)
        null = self.null(lambda sets: self.correlations(sets).mean(0), ratings, n_exchanges, random_state)
        r = float(people.mean())
        return WithinClip(r, stats.permutation_p(r, null, alternative="greater"), people, null)


def _as_rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, x.shape[-1])


def _normed(x: np.ndarray) -> np.ndarray:
    """Length one over clips; 0 where there is only rounding."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 1e-12 * length.max(initial=0))


def _complete(values: ArrayLike, name: str, shape: tuple[int, ...]) -> np.ndarray:
    values = real(values, name, finite=False)
    if values.shape[:2] != shape:
        raise ValueError(f"{name} must be (n_subjects, n_clips) = {shape}, got {values.shape}")
    if not np.isfinite(values).all():
        person, clip = np.argwhere(~np.isfinite(values))[0][:2]
        raise ValueError(f"{name}[{person}, {clip}] is missing: leave out people or clips with gaps")
    return values


def placebo_ratings(
    ratings: np.ndarray, random_state: Seed, *, order: np.ndarray | None = None
) -> np.ndarray:
    """Ratings that know the clip and nothing of the person: clip means and noise of the same spread.

    The noise is independent or, with an order (n_subjects, n_clips) of positions, a stationary AR(1) process
    of autocorrelation .6 along it.
    """
    noise = np.random.default_rng(random_state).standard_normal(ratings.shape)
    if order is not None:
        noise[:, 1:] *= np.sqrt(1 - _AUTOCORRELATION**2)
        noise = lfilter([1.0], [1.0, -_AUTOCORRELATION], noise)  # along positions
        noise = np.take_along_axis(noise, order.argsort(1).argsort(1), 1)
    return ratings.mean(0) + np.sqrt(ratings.var(0, ddof=1).mean()) * noise
