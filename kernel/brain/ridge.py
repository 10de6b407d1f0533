"""Ridge of many targets with every group of rows left out, in closed form, on any device.

Ridge with an intercept is a linear smoother, fitted = H y, and what it would have predicted for a set G of
rows had they been left out is, exactly, y_G - (I - H)_GG^{-1} ((I - H) y)_G. One singular value
decomposition gives H for every penalty; small blocks of it give every fold and every fold within a fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from kernel import checks
from kernel.arrays import Features, row_labels, tensor
from kernel.threads import one_thread

Device = str | torch.device | None

#: Penalties in units of the mean squared singular value of the centred features.
RELATIVE_ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)

_CHUNK = 1_000_000  # numbers held at once while folds within folds are solved: it fits a processor's cache


class RidgeFolds:
    r"""Ridge of many targets on one set of features, with every fold left out, in closed form.

    With centred features :math:`X_c = U S V^\top` the smoother of penalty :math:`\alpha` is
    :math:`H = 11^\top / n + U\,\mathrm{diag}(s^2 / (s^2 + \alpha))\,U^\top`; its leave-out predictions are
    exact [1]_, for whole groups of rows [2]_. Targets are (n,) or (n_targets, n), results numpy.

    Parameters
    ----------
    X : array_like or Tensor, shape (..., n, n_features)
        Finite; leading axes hold further sets of features, each with its own decomposition.
    groups : array_like, shape (n,), optional
        Rows that are left out together, three groups or more; each row alone by default.
    alphas : sequence of float, optional
        Positive penalties; by default `RELATIVE_ALPHAS` times the mean squared singular value of each set.
        The attribute, a Tensor (..., n_alphas), holds those in use.
    device : str or torch.device, optional
        Where to compute: a tensor stays where it is by default, for arrays see `kernel.checks.device`.

    References
    ----------
    .. [1] Golub, Heath & Wahba (1979), Technometrics 21(2). doi:10.1080/00401706.1979.10489751
    .. [2] Rad & Maleki (2020), JRSS B 82(4), for the general form. doi:10.1111/rssb.12374
    """

    @one_thread()
    def __init__(
        self,
        X: Features,
        groups: ArrayLike | None = None,
        alphas: Sequence[float] | None = None,
        *,
        device: Device = None,
    ) -> None:
        place = X.device if device is None and isinstance(X, torch.Tensor) else checks.device(device)
        X = tensor(X, "X").to(place, torch.float32 if place.type == "mps" else torch.float64)
        if X.ndim < 2 or 0 in X.shape:
            raise ValueError(f"X must be (..., n_rows, n_features), got shape {tuple(X.shape)}")
        self.n = X.shape[-2]
        labels = np.arange(self.n) if groups is None else row_labels(groups, "groups", self.n)
        self._names, code = np.unique(labels, return_inverse=True)
        if len(self._names) < 3:
            raise ValueError(
                f"{len(self._names)} groups ({', '.join(map(str, self._names))}): one is left out and "
                "one tries the penalties of a fit to the others, which takes three emotions or clips"
            )
        self._code = torch.as_tensor(code, device=place)
        self._members = [np.flatnonzero(code == group) for group in range(len(self._names))]

        self._mean = X.mean(-2, keepdim=True)
        self._U, s, self._Vt = torch.linalg.svd(X - self._mean, full_matrices=False)
        power = s**2
        scale = power.sum(-1, keepdim=True) / (self.n - 1)
        if not (scale > 1e-20 * X.square().amax((-2, -1))[..., None]).all():
            raise ValueError(
                "X does not vary over its rows beyond rounding, or in numbers too large or small to square: "
                "there is nothing to project"
            )
        penalties = tensor(RELATIVE_ALPHAS if alphas is None else alphas, "alphas").to(X)
        if penalties.ndim != 1 or not len(penalties) or not (penalties > 0).all():
            raise ValueError(f"alphas must be a list of positive numbers, got {alphas}")
        self.alphas = scale * penalties if alphas is None else penalties.expand(*scale.shape[:-1], -1)
        self._inverse = s[..., None, :] / (power[..., None, :] + self.alphas[..., None])  # (..., n_alphas, k)
        left = self._U[..., None, :, :] * (self._inverse * s[..., None, :])[..., :, None, :]
        hat = left @ self._U[..., None, :, :].mT + 1 / self.n
        self._R = torch.eye(self.n).to(X) - hat  # (..., n_alphas, n, n)

    def in_sample(self, Y: Features) -> np.ndarray:
        """Fitted values (..., n) or (..., n_targets, n), penalties chosen by held-out squared error."""
        return self._in_chunks(Y, self._fitted)

    def held_out(self, Y: Features) -> np.ndarray:
        """Predictions (..., n) or (..., n_targets, n) of each row by a fit without its group.

        The penalty is chosen without the group as well: least squared error of leaving out each further one.
        """
        return self._in_chunks(Y, lambda Y: self._predicted(Y)[0])

    @one_thread()
    def held_out_rows(self, rows: Features, groups: ArrayLike, Y: Features) -> np.ndarray:
        """Predictions (m,) or (n_targets, m) of other rows, such as trials, by fits without their group.

        Rows (m, n_features) of a single set of features; their groups (m,) are among those of the fit.
        """
        held = checks.shape("rows", tensor(rows, "rows"), (None, self._mean.shape[-1]))
        groups = row_labels(groups, "groups", len(held))
        unknown = sorted(set(groups.tolist()) - set(self._names.tolist()))
        if unknown or self.alphas.ndim != 1:
            raise ValueError(f"rows need one set of features and its groups; not among them: {unknown}")
        columns = self._targets(Y)
        predicted, choice = self._predicted(columns)
        scores = (held.to(self._R) - self._mean) @ self._Vt.mT
        out = scores.new_empty((len(scores), columns.shape[1]))
        for number, name in enumerate(self._names):
            # the fit without a group equals a fit with that group's targets replaced by their predictions
            filled = torch.where((self._code == number)[:, None], predicted, columns)
            inverse = self._inverse[choice[number]].T  # (k, n_targets)
            members = torch.as_tensor(groups == name, device=scores.device)
            out[members] = scores[members] @ (inverse * (self._U.T @ filled)) + filled.mean(0)
        result = out.T.cpu().numpy()
        return result if np.ndim(Y) == 2 else result[0]

    @one_thread()
    def weights(self, y: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights (..., n_features), constant and penalty (...) of the fit of one target to all rows."""
        y = self._targets(y)
        choice = self._choose(y)
        picked = torch.take_along_dim(self._inverse, choice[..., None], -2)[..., 0, :]
        coef = (((self._U.mT @ y)[..., 0] * picked)[..., None, :] @ self._Vt)[..., 0, :]
        intercept = y.mean() - (coef * self._mean[..., 0, :]).sum(-1)
        alpha = torch.take_along_dim(self.alphas, choice, -1)[..., 0]
        return coef.cpu().numpy(), intercept.cpu().numpy(), alpha.cpu().numpy()

    # Targets travel as columns, (n, n_targets), in chunks that bound the memory.

    def _targets(self, Y: Features) -> torch.Tensor:
        Y = tensor(Y, "targets").to(self._R)
        if Y.ndim not in (1, 2) or Y.shape[-1] != self.n:
            raise ValueError(f"targets must be ({self.n},) or (n, {self.n}), got shape {tuple(Y.shape)}")
        return Y.reshape(-1, self.n).T

    @one_thread()
    def _in_chunks(self, Y: Features, solve: Callable[..., Any]) -> np.ndarray:
        columns = self._targets(Y)
        room = _CHUNK if columns.device.type == "cpu" else 64 * _CHUNK
        per_target = self.alphas.numel() * (len(self._names) - 1) * self.n
        parts = [solve(part) for part in columns.split(max(1, room // per_target), -1)]
        result = torch.cat(parts, -1).mT.cpu().numpy()
        return result if np.ndim(Y) == 2 else result[..., 0, :]

    def _left_out(self, Y: torch.Tensor) -> torch.Tensor:
        """Residuals (..., n_alphas, n, n_targets) of each row without its group."""
        RY = self._R @ Y
        out = torch.empty_like(RY)
        for _, rows in _buckets([(members,) for members in self._members]):
            out[..., rows, :] = self._residuals(RY, rows)
        return out

    def _residuals(self, RY: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """Held-out residuals (..., n_alphas, n_sets, n_rows, n_targets) of sets of rows (n_sets, n_rows)."""
        block = self._R[..., rows[:, :, None], rows[:, None, :]]
        return torch.linalg.solve(block, RY[..., rows, :])

    def _choose(self, Y: torch.Tensor) -> torch.Tensor:
        """Penalty number (..., n_targets) of the smallest held-out squared error."""
        if self.alphas.shape[-1] == 1:
            return self._code.new_zeros((*self.alphas.shape[:-1], Y.shape[1]))
        return _first_least(self._left_out(Y).square().sum(-2), Y, -2)

    def _fitted(self, Y: torch.Tensor) -> torch.Tensor:
        choice = self._choose(Y)[..., None, None, :]
        return Y - torch.take_along_dim(self._R @ Y, choice, -3)[..., 0, :, :]

    def _predicted(self, Y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predictions (..., n, n_targets) and penalty numbers (..., n_groups, n_targets)."""
        choice = self._choose_within(Y)
        by_row = choice[..., self._code, :][..., None, :, :]
        return Y - torch.take_along_dim(self._left_out(Y), by_row, -3)[..., 0, :, :], choice

    def _choose_within(self, Y: torch.Tensor) -> torch.Tensor:
        """For each group, the penalty with the smallest error where it and one further group are left out."""
        lead, n_alphas, n_groups = self.alphas.shape[:-1], self.alphas.shape[-1], len(self._names)
        if n_alphas == 1:
            return self._code.new_zeros((*lead, n_groups, Y.shape[1]))
        RY = self._R @ Y
        if n_groups == self.n:
            # groups are in the order of their names, rows as they came
            return _first_least(self._error_of_pairs(RY), Y, -3)[..., np.concatenate(self._members), :]
        error = Y.new_zeros((*lead, n_alphas, n_groups, Y.shape[1]))
        for pairs, rows in _buckets(list(combinations(self._members, 2))):
            which = np.array(list(combinations(range(n_groups), 2)))[pairs]
            first = len(self._members[which[0, 0]])
            squared = self._residuals(RY, rows).square()
            outer, inner = torch.as_tensor(which.T, device=Y.device)
            error.index_add_(-2, outer, squared[..., first:, :].sum(-2))
            error.index_add_(-2, inner, squared[..., :first, :].sum(-2))
        return _first_least(error, Y, -3)

    def _error_of_pairs(self, RY: torch.Tensor) -> torch.Tensor:
        """Squared error (..., n_alphas, n, n_targets) over all other rows h where row g and h are left out.

        The residual of h is (R_gg (Ry)_h - R_gh (Ry)_g) / (R_gg R_hh - R_gh^2); expanded, its squares sum to
        three matrix products instead of one small system for each pair.
        """
        R = self._R
        diagonal = R.diagonal(dim1=-2, dim2=-1)[..., None]
        same = torch.eye(self.n, dtype=torch.bool, device=R.device)
        determinant = diagonal * diagonal.mT - R.square()
        weight = determinant.masked_fill(same, torch.inf).reciprocal().square()
        return (
            diagonal.square() * (weight @ RY.square())
            - 2 * diagonal * RY * ((weight * R) @ RY)
            + RY.square() * (weight * R.square()).sum(-1, keepdim=True)
        )


def _first_least(error: torch.Tensor, Y: torch.Tensor, axis: int) -> torch.Tensor:
    """Number of the first penalty along an axis whose squared error is the least, but for rounding.

    With three groups of one position each, all penalties tie: what is left to fit is constant. A choice by
    rounding would be one for a target alone and another in a batch, that is, another statistic for the null.
    """
    slack = torch.finfo(error.dtype).eps ** 0.6
    least = error.amin(axis, keepdim=True) * (1 + slack) + slack**2 * Y.square().sum(0)
    return (error <= least).to(torch.uint8).argmax(axis)


def _buckets(sets: list[tuple[np.ndarray, ...]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sets of rows of the same make-up together: their numbers, and their rows (n_sets, n_rows)."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for number, parts in enumerate(sets):
        sizes.setdefault(tuple(map(len, parts)), []).append(number)
    for numbers in sizes.values():
        yield np.array(numbers), np.stack([np.concatenate(sets[number]) for number in numbers])
