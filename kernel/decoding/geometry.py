"""What classifiers hold in their penultimate layer: class means, variation within classes, what they use.

In:  features Z of trials, (n_trials, d), or of several checkpoints at once, (n_checkpoints, n_trials, d), as
     numpy arrays or torch tensors on any device; the class, clip and subject of each trial; a target value
     for each class or clip; a linear head (W, b) with ``logits = Z @ W + b``.
Out: scores with their nulls as numpy arrays, of shape () or (n_checkpoints,); changed features in the kind,
     device and precision of the input.
Never trains, never reads files, never plots, never calls a correlation found what was chosen on the same
trials.

Two subspaces matter. The *basin* is the span of the centred class means; all a linear head needs to tell the
class means apart lies there. The *residual* of a clip is its mean minus the mean of its class; whatever a
network knows of a clip beyond its class lies there. The two are not orthogonal: a direction found in the
residual may well point into the basin, which is why `ablation_effect` also reports its orthogonal part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from kernel import stats
from kernel.arrays import Features, class_numbers, like, real, row_labels, tensor
from kernel.metrics import score_accuracy

Seed = int | np.random.Generator | None

NULLS = ("permute", "gaussian", "haar", "matched")
HALVES = ("classes", "clips")
KINDS = ("isotropic", "residual", "matched", "matched_residual")
PARTS = ("whole", "orthogonal")

_CHUNK = 250_000  # numbers held at once in loops over null draws: an array of them fits a processor's cache


# Subspaces


@dataclass(frozen=True, eq=False)
class Projector:
    """Orthogonal projection onto a subspace, or one for each checkpoint.

    Attributes
    ----------
    basis : Tensor, shape (..., rank, d)
        Orthonormal rows.
    """

    basis: torch.Tensor

    def project(self, X: Features) -> np.ndarray | torch.Tensor:
        """The part of each row inside the subspace.

        Parameters
        ----------
        X : array_like or Tensor, shape (d,) or (..., n, d)
            One vector, or rows; leading axes broadcast against those of the basis.

        Returns
        -------
        ndarray or Tensor
            As `X`.
        """
        return like(self._inside(tensor(X, "X")), X)

    def complement(self, X: Features) -> Any:
        """The part of each row orthogonal to the subspace; shapes as for :meth:`project`."""
        rows = tensor(X, "X")
        return like(rows.to(self.basis) - self._inside(rows), X)

    def _inside(self, X: torch.Tensor) -> torch.Tensor:
        if X.shape[-1] != self.basis.shape[-1]:
            raise ValueError(f"X must have {self.basis.shape[-1]} features, got shape {tuple(X.shape)}")
        return X.to(self.basis) @ self.basis.mT @ self.basis


def basin(Z: Features, y: ArrayLike, *, rank: int | None = None) -> Projector:
    """Span of the centred class means.

    With K classes the means, minus their average, span at most K - 1 dimensions. In a network trained to the
    end the rows of its head lie there too [1]_.

    Parameters
    ----------
    Z : array_like or Tensor, shape (n_trials, d) or (n_checkpoints, n_trials, d)
        Features.
    y : array_like, shape (n_trials,)
        Class of each trial.
    rank : int, optional
        Leading dimensions to keep; by default K - 1, or d if that is less.

    Returns
    -------
    Projector
        Its complement is the residual subspace.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, there is one class, or the means span fewer dimensions.

    References
    ----------
    .. [1] Papyan, Han & Donoho (2020), PNAS 117(40). doi:10.1073/pnas.2015509117
    """
    Z, classes, code = _checked(Z, y)
    most = min(len(classes) - 1, Z.shape[-1])
    rank = most if rank is None else rank
    if not 1 <= rank <= most:
        raise ValueError(f"rank must lie between 1 and {most}, got {rank}")
    _, s, Vt = torch.linalg.svd(_centred(_means(Z, code)), full_matrices=False)
    # relative to the features: means that agree to rounding leave only noise of that size
    tiny = s[..., rank - 1] <= 1e-10 * torch.linalg.vector_norm(Z, dim=(-2, -1)) / Z.shape[-2] ** 0.5
    if tiny.any():
        where = f" of checkpoint {int(tiny.nonzero()[0])}" if tiny.ndim else ""
        raise ValueError(f"the class means{where} span fewer than {rank} dimensions: pass a smaller rank")
    return Projector(Vt[..., :rank, :])


# Class means against a target


@dataclass(frozen=True, eq=False)
class ClassAlignment:
    """How the first principal component of the class means orders the classes.

    Attributes
    ----------
    score : ndarray, shape (...)
        Absolute correlation with the target over classes.
    p : ndarray, shape (...)
        Share of permuted targets with as large a score.
    null : ndarray, shape (n_null, ...)
        Scores of permuted targets; a row is one permutation, the same for every checkpoint.
    exact : bool
        Whether every distinct order was enumerated.
    """

    score: np.ndarray
    p: np.ndarray
    null: np.ndarray
    exact: bool


def class_pc1_alignment(
    Z: Features, y: ArrayLike, target: ArrayLike, *, n_permutations: int = 10_000, random_state: Seed = 0
) -> ClassAlignment:
    r"""Correlate the first principal component of the class means with a value per class.

    With centred class means :math:`M = U S V^\top` the score is :math:`|\mathrm{corr}(u_1, t)|`, of as many
    points as there are classes. The null permutes the target over classes.

    Parameters
    ----------
    Z : array_like or Tensor, shape (n_trials, d) or (n_checkpoints, n_trials, d)
        Features.
    y : array_like, shape (n_trials,)
        Class of each trial, three or more classes.
    target : array_like, shape (n_classes,)
        Value of each class, in the sorted order of the classes.
    n_permutations : int
        Draws; all distinct orders are enumerated where there are no more of them.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    ClassAlignment

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, there are fewer than three classes, or the target or the
        class means do not vary.
    """
    Z, classes, code = _checked(Z, y)
    target = real(target, "target")
    if len(classes) < 3:
        raise ValueError(f"{len(classes)} classes: any two values correlate perfectly, three are needed")
    if target.shape != (len(classes),):
        raise ValueError(f"target must have one value for each of {len(classes)} classes, got {target.shape}")
    if np.ptp(target) == 0:
        raise ValueError(f"target must vary over classes, got {target}")
    basin(Z, y, rank=1)  # refuses class means that do not vary
    first = torch.linalg.svd(_centred(_means(Z, code)), full_matrices=False)[0][..., 0].cpu().numpy()
    # one seed for all, so that every checkpoint sees the same orders
    seed = np.random.default_rng(random_state).integers(2**63)
    found = [
        stats.permutation_test(
            lambda x, t: np.abs(stats.pearson(x, t)), scores, target,
            n_permutations=n_permutations, alternative="greater", random_state=int(seed),
        )
        for scores in first.reshape(-1, len(classes))
    ]  # fmt: skip
    lead = first.shape[:-1]
    return ClassAlignment(
        np.array([one.observed for one in found]).reshape(lead),
        np.array([one.p for one in found]).reshape(lead),
        np.stack([one.null for one in found], axis=1).reshape(-1, *lead),
        found[0].exact,
    )


# What varies within classes against a target


@dataclass(frozen=True, eq=False)
class ResidualAlignment:
    """Whether a component of the variation within classes follows a target within classes.

    Attributes
    ----------
    selected : ndarray, shape (...)
        Absolute correlation over all clips, in test subjects, of the component chosen in validation subjects
        on the same clips. Both share the clips, so this is large whenever clips leave a trace, whatever the
        target.
    held_out : ndarray, shape (...)
        Correlation in test subjects on clips that had no part in choosing the component and its sign,
        averaged over halvings. Zero on average without an effect.
    p_selected, p_held_out : ndarray, shape (...)
        Share of the null with as large a value.
    null_selected, null_held_out : ndarray, shape (n_null, ...)
        The null, the choice repeated in each draw; a row is one draw, the same for every checkpoint.
    component : ndarray of int, shape (...)
        Which principal component has the largest absolute correlation in validation subjects over all clips.
    direction : ndarray, shape (..., d)
        That component, of unit length, its sign such that this correlation is positive.
    components : ndarray, shape (..., n_components, d)
        All components, orthonormal; zero beyond the rank of the clip means.
    null : str
        What was drawn.
    null_component : ndarray of int, shape (n_null, ...), or None
        The component chosen for each drawn target; None where directions were drawn instead.
    """

    selected: np.ndarray
    held_out: np.ndarray
    p_selected: np.ndarray
    p_held_out: np.ndarray
    null_selected: np.ndarray
    null_held_out: np.ndarray
    component: np.ndarray
    direction: np.ndarray
    components: np.ndarray
    null: str
    null_component: np.ndarray | None

    def null_directions(self) -> np.ndarray:
        """Directions (..., n_null, d) that random targets choose: the control of `ablation_effect`."""
        if self.null_component is None:
            raise ValueError(f"the null {self.null!r} draws directions, not targets: use 'permute'")
        index = np.moveaxis(self.null_component, 0, -1)[..., None]
        return np.take_along_axis(self.components, index, axis=-2)


def residual_alignment(
    Z: Features,
    y: ArrayLike,
    clip: ArrayLike,
    subject: ArrayLike,
    target_by_clip: ArrayLike,
    *,
    validation: ArrayLike,
    test: ArrayLike,
    n_components: int = 20,
    halves: str = "classes",
    n_splits: int = 20,
    null: str = "permute",
    n_null: int = 1000,
    random_state: Seed = 0,
) -> ResidualAlignment:
    r"""Find the within-class component that follows a target, and test it where it was not looked for.

    Clip means minus the mean of their class are decomposed in validation subjects, without the target. For
    clips A, with :math:`C_A` subtracting class means within A, the correlation of component k is

    .. math:: r_A(k) = \cos(C_A\, Z_k,\; C_A\, t).

    Choosing the largest :math:`|r|` of many components and reporting it on the same clips is circular [1]_
    even if subjects differ, since a clip leaves the same trace in all of them. The held-out score chooses
    :math:`k^* = \arg\max_k |r_A(k)|` in validation subjects and reports :math:`\mathrm{sign}\,r_A(k^*)\;
    r_B(k^*)` in test subjects on other clips B, averaged over random halvings in both directions.

    Parameters
    ----------
    Z : array_like or Tensor, shape (n_trials, d) or (n_checkpoints, n_trials, d)
        Features.
    y, clip, subject : array_like, shape (n_trials,)
        Class, clip and subject of each trial; a clip has one class.
    target_by_clip : array_like, shape (n_clips,)
        Value of each clip, in the sorted order of the clips.
    validation, test : array_like
        Subjects that choose and subjects that test; nobody is in both. Trials of others are not used.
    n_components : int
        Components to choose from; at most clips minus classes, and d, exist.
    halves : {"classes", "clips"}
        Halves A and B take whole classes with all of their clips, or a part of the clips of every class. Of
        three clips a split within the class leaves one contrast, whole classes leave both: with few clips a
        class they find more.
    n_splits : int
        Random halvings.
    null : {"permute", "gaussian", "haar", "matched"}
        Targets permuted among the clips of a class; Gaussian targets; orthonormal directions of uniform
        (Haar) orientation [2]_ in place of the components; Gaussian directions with the covariance of trials
        within classes in their place. The first two ask whether the target matters, the last two whether the
        components do.
    n_null : int
        Draws.
    random_state : int, Generator or None
        Seed. Calls that share it, the trials and the null share the drawn targets, whatever the width d.

    Returns
    -------
    ResidualAlignment

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, there is one class, a clip belongs to two classes or is
        missing in a set, a subject is in both sets, target or features are constant within every class, or
        clips are too few to halve.

    References
    ----------
    .. [1] Kriegeskorte et al. (2009), Nature Neuroscience 12(5). doi:10.1038/nn.2303
    .. [2] Mezzadri (2007), Notices of the AMS 54(5). arXiv:math-ph/0609050
    """
    Z, _, code = _checked(Z, y)
    clips, clip_code, class_of = _clips(clip, code)
    target = _target(target_by_clip, clips, class_of)
    if null not in NULLS:
        raise ValueError(f"null must be one of {', '.join(NULLS)}, got {null!r}")
    if min(n_components, n_splits, n_null) < 1:
        raise ValueError(
            f"n_components, n_splits and n_null must be positive, got {n_components}, {n_splits}, {n_null}"
        )
    sets = _sets(subject, validation, test, clips, clip_code)
    rng = np.random.default_rng(random_state)
    halvings = _halvings(class_of, halves, n_splits, rng)
    judge = _Judge(class_of, halvings, Z)

    # (..., n_clips, d) of validation and of test subjects
    means = [_residuals(_means(Z[..., rows, :], clip_code[rows]), class_of) for rows in sets]
    components = _components(means[0], Z, min(n_components, len(clips) - int(class_of.max()) - 1))
    observed = torch.as_tensor(target[None]).to(Z)
    selected, held_out, choice, sign = (part[..., 0] for part in judge(means, components, observed))
    width = choice.numel() * components.shape[-2]
    if null in ("permute", "gaussian"):
        targets = torch.as_tensor(_null_targets(target, class_of, null, n_null, rng)).to(Z)
        draws = [[*judge(means, components, part)[:3]] for part in targets.split(max(1, _CHUNK // width))]
    else:
        rows = sets[0]
        root = _covariance_root(_residuals(Z[..., rows, :], code[rows])) if null == "matched" else None
        size = max(1, _CHUNK // (width * len(clips)))
        wide = [part[..., None, :, :] for part in means]  # draws take an axis of their own
        draws = [
            [part[..., 0] for part in judge(wide, directions, observed)[:2]]
            for directions in _null_directions(root, components, n_null, size, rng)
        ]
    drawn = [torch.cat(parts, -1).movedim(-1, 0).cpu().numpy() for parts in zip(*draws, strict=True)]
    chosen = components.gather(-2, choice[..., None, None].expand(*choice.shape, 1, Z.shape[-1]))
    found = [part.cpu().numpy() for part in (selected, held_out)]
    return ResidualAlignment(
        selected=found[0],
        held_out=found[1],
        p_selected=_p_greater(found[0], drawn[0]),
        p_held_out=_p_greater(found[1], drawn[1]),
        null_selected=drawn[0],
        null_held_out=drawn[1],
        component=choice.cpu().numpy(),
        direction=(chosen[..., 0, :] * sign[..., None]).cpu().numpy(),
        components=components.cpu().numpy(),
        null=null,
        null_component=drawn[2] if len(drawn) == 3 else None,
    )


class _Judge:
    """Selected and held-out scores of directions, over fixed halvings of the clips."""

    def __init__(self, class_of: np.ndarray, halvings: np.ndarray, like: torch.Tensor) -> None:
        whole = np.ones(len(class_of), dtype=bool)
        self._all = _within(whole, class_of, like)
        halves = [(_within(half, class_of, like), _within(~half, class_of, like)) for half in halvings]
        self._pairs = [pair for a, b in halves for pair in ((a, b), (b, a))]

    def __call__(
        self, means: list[torch.Tensor], directions: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Selected, held out, chosen direction and its sign: (..., n_targets) each.

        Means (..., n_clips, d) are of those who choose and those who test, directions (..., k, d), targets
        (n_targets, n_clips).
        """
        chosen_from, tested_on = (part @ directions.mT for part in means)
        r = _cosines(self._all, chosen_from, targets)
        best = r.abs().argmax(-1)
        selected = _pick(_cosines(self._all, tested_on, targets), best).abs()
        held_out = torch.zeros_like(selected)
        for a, b in self._pairs:
            r_a = _cosines(a, chosen_from, targets)
            choice = r_a.abs().argmax(-1)
            held_out += _pick(_cosines(b, tested_on, targets), choice) * _pick(r_a, choice).sign()
        return selected, held_out / len(self._pairs), best, _pick(r, best).sign()


def _components(residual: torch.Tensor, Z: torch.Tensor, most: int) -> torch.Tensor:
    """Principal components (..., k, d) of clip means within classes; zero beyond the rank."""
    _, s, Vt = torch.linalg.svd(residual, full_matrices=False)
    if (s[..., 0] <= 1e-10 * torch.linalg.vector_norm(Z, dim=(-2, -1)) / Z.shape[-2] ** 0.5).any():
        raise ValueError("clips of one class have equal features: there is no residual to align")
    # the directions beyond the rank hold rounding errors, and one of them might be chosen
    return (Vt * (s > 1e-10 * s[..., :1])[..., None])[..., :most, :]


def _null_directions(
    root: torch.Tensor | None, like: torch.Tensor, n: int, size: int, rng: np.random.Generator
) -> Iterator[torch.Tensor]:
    """Random directions (..., n_chunk, k, d) in place of components (..., k, d).

    Orthonormal ones of uniform orientation, or those with the covariance of which `root` is the root.
    """
    k, d = like.shape[-2:]
    for start in range(0, n, size):
        normal = torch.as_tensor(rng.standard_normal((min(size, n - start), d, k))).to(like)
        if root is None:
            yield torch.linalg.qr(normal)[0].mT
        else:
            yield normal.mT @ root[..., None, :, :]


def _clips(clip: ArrayLike, code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names of the clips, the clip of each trial, the class of each clip."""
    clip = row_labels(clip, "clip", len(code))
    clips, first, clip_code = np.unique(clip, return_index=True, return_inverse=True)
    class_of = code[first]
    wrong = np.flatnonzero(class_of[clip_code] != code)
    if len(wrong):
        raise ValueError(f"clip {clip[wrong[0]]} belongs to two classes: give each clip one class in y")
    return clips, clip_code, class_of


def _target(target: ArrayLike, clips: np.ndarray, class_of: np.ndarray) -> np.ndarray:
    target = real(target, "target_by_clip")
    if target.shape != (len(clips),):
        raise ValueError(
            f"target_by_clip must have one value for each of {len(clips)} clips, got {target.shape}"
        )
    if all(np.ptp(target[class_of == c]) == 0 for c in np.unique(class_of)):
        raise ValueError(
            "target_by_clip is constant within every class: nothing is left of it in the residual, "
            "give ratings of clips instead of values of classes"
        )
    return target


def _sets(
    subject: ArrayLike, validation: ArrayLike, test: ArrayLike, clips: np.ndarray, clip_code: np.ndarray
) -> list[np.ndarray]:
    """Rows of validation and of test subjects, each with every clip."""
    subject = row_labels(subject, "subject", len(clip_code))
    both = np.intersect1d(validation, test)
    if len(both):
        raise ValueError(f"subject {both[0]} is in validation and test: the test would not be of new people")
    rows = []
    for name, members in (("validation", validation), ("test", test)):
        strangers = np.setdiff1d(members, subject)
        if len(strangers):
            raise ValueError(f"{name} names subjects without a trial: {strangers.tolist()}, leave them out")
        here = np.flatnonzero(np.isin(subject, np.asarray(members)))
        missing = np.setdiff1d(np.arange(len(clips)), clip_code[here])
        if len(missing):
            raise ValueError(
                f"no {name} subject has a trial of clip {clips[missing[0]]}: "
                "pass trials of clips that both sets have"
            )
        rows.append(here)
    return rows


def _halvings(class_of: np.ndarray, how: str, n_splits: int, rng: np.random.Generator) -> np.ndarray:
    """First halves (n_splits, n_clips) of random halvings of clips within classes, or of classes."""
    if how not in HALVES:
        raise ValueError(f"halves must be one of {', '.join(HALVES)}, got {how!r}")
    members = [np.flatnonzero(class_of == c) for c in np.unique(class_of)]
    halves = np.zeros((n_splits, len(class_of)), dtype=bool)
    for half in halves:
        if how == "classes":
            several = [rows for rows in members if len(rows) > 1]
            chosen = [several[i] for i in rng.permutation(len(several))[: len(several) // 2]]
        else:
            # the odd clip goes to each half equally often, or one half would hold single clips only
            odd = rng.permutation([i for i, rows in enumerate(members) if len(rows) % 2])
            extra = set(odd[: len(odd) // 2].tolist())
            chosen = [
                rng.permutation(rows)[: len(rows) // 2 + (i in extra)] for i, rows in enumerate(members)
            ]
        half[np.concatenate([np.empty(0, int), *chosen])] = True
    for half in (*halves, *~halves):
        free = half.sum() - len(np.unique(class_of[half]))
        if free < 2:
            raise ValueError(
                f"half of the clips leaves {free} contrasts within classes, two are needed: "
                "use more clips per class, or halves='classes'"
            )
    return halves


def _within(half: np.ndarray, class_of: np.ndarray, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Parts of the projector C = diag(mask) - S'S that keeps half of the clips and subtracts class means."""
    mask = half.astype(float)
    sums = (np.eye(class_of.max() + 1)[class_of] * mask[:, None]).T  # (n_classes, n_clips)
    sums /= np.sqrt(np.maximum(sums.sum(1, keepdims=True), 1))
    return torch.as_tensor(mask).to(like), torch.as_tensor(sums).to(like)


def _null_targets(
    target: np.ndarray, class_of: np.ndarray, null: str, n: int, rng: np.random.Generator
) -> np.ndarray:
    if null == "gaussian":
        return rng.standard_normal((n, len(target)))
    drawn = np.tile(target, (n, 1))
    for c in np.unique(class_of):
        rows = np.flatnonzero(class_of == c)
        drawn[:, rows] = rng.permuted(drawn[:, rows], axis=1)
    return drawn


def _cosines(
    half: tuple[torch.Tensor, torch.Tensor], scores: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Correlations (..., n_targets, k) of scores (..., n_clips, k) and targets (n_targets, n_clips)."""
    mask, sums = half
    targets = targets * mask - targets @ sums.mT @ sums
    size = torch.linalg.vector_norm(targets, dim=-1, keepdim=True)
    power = mask @ scores.square() - (sums @ scores).square().sum(-2)  # |C scores|^2, (..., k)
    # what vanishes within a half has no correlation there: it counts as zero
    targets = torch.where(size > 1e-7 * size.amax(), targets / size, 0)
    some = power > 1e-14 * scores.square().sum(-2)
    scale = torch.where(some, power.clamp_min(1e-300).rsqrt(), 0)
    return (targets @ scores) * scale[..., None, :]


def _pick(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """One value of each row: (..., k) and (...) to (...)."""
    return values.gather(-1, index[..., None])[..., 0]


def _p_greater(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """One-sided p-values (...) of observed (...) against null (n_null, ...)."""
    columns = null.reshape(len(null), -1).T
    p = [
        stats.permutation_p(float(one), column, alternative="greater")
        for one, column in zip(observed.reshape(-1), columns, strict=True)
    ]
    return np.array(p).reshape(observed.shape)


# Accuracy against alignment over checkpoints


@dataclass(frozen=True, eq=False)
class Convergence:
    """Correlation of accuracy and alignment over checkpoints.

    Attributes
    ----------
    overall, within, between : float
        Over all checkpoints; after subtracting the means of each recipe; of the means of recipes.
    p_overall, p_within, p_between : float
        One-sided, against the scores of permuted targets.
    within_interval : Interval
        Bootstrap over the checkpoints of each recipe. A resample in which nothing varies counts as zero.
    null : dict of str to ndarray, shape (n_null,)
        The null of ``overall``, ``within`` and ``between``.
    """

    overall: float
    within: float
    between: float
    p_overall: float
    p_within: float
    p_between: float
    within_interval: stats.Interval
    null: dict[str, np.ndarray]


def convergence(
    score: ArrayLike,
    bacc: ArrayLike,
    recipes: ArrayLike,
    null_scores: ArrayLike,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    random_state: Seed = 0,
) -> Convergence:
    """Do more accurate checkpoints align better, and does it hold among checkpoints of one recipe?

    Checkpoints are not a sample of independent things: all see the same trials, and recipes differ in
    accuracy and geometry at once. The null therefore keeps every checkpoint and exchanges the target for a
    random one. The correlation within recipes pools the deviations from the recipes' means [1]_, that between
    them weights each recipe's mean by its number of checkpoints [2]_.

    Parameters
    ----------
    score, bacc : array_like, shape (n_checkpoints,)
        Alignment and balanced accuracy.
    recipes : array_like, shape (n_checkpoints,)
        Recipe of each; three or more, some with several checkpoints.
    null_scores : array_like, shape (n_null, n_checkpoints)
        Alignment with random targets, one target a row: the null of `class_pc1_alignment` or
        `residual_alignment`.
    n_resamples, confidence, random_state
        Of the interval, as for :func:`kernel.stats.bootstrap_interval`.

    Returns
    -------
    Convergence

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, there are fewer than three recipes or no recipe has two
        checkpoints, or scores or accuracies do not vary.

    References
    ----------
    .. [1] Bland & Altman (1995), BMJ 310, 446. doi:10.1136/bmj.310.6977.446
    .. [2] Bland & Altman (1995), BMJ 310, 633. doi:10.1136/bmj.310.6980.633
    """
    given = {"score": score, "bacc": bacc, "null_scores": null_scores}
    score, bacc, null = (real(values, name) for name, values in given.items())
    if score.ndim != 1 or bacc.shape != score.shape or null.ndim != 2 or null.shape[1:] != score.shape:
        raise ValueError(
            "score and bacc must be (n_checkpoints,) and null_scores (n_null, n_checkpoints), got "
            f"{score.shape}, {bacc.shape} and {null.shape}"
        )
    names, code = np.unique(row_labels(recipes, "recipes", len(score)), return_inverse=True)
    if len(names) < 3 or len(names) == len(score):
        raise ValueError(
            f"{len(score)} checkpoints of {len(names)} recipes: three recipes are needed for a correlation "
            "between them, and two checkpoints of one for a correlation within"
        )
    mean = np.eye(len(names))[code]
    mean = mean @ (mean / mean.sum(0)).T  # (n_checkpoints, n_checkpoints): each one's recipe mean
    rest = np.eye(len(score)) - mean
    # rounding leaves traces of means where nothing varies within recipes
    spread = [np.linalg.norm(x @ rest) for x in (score, bacc)]
    for name, x, size in zip(("score", "bacc"), (score, bacc), spread, strict=True):
        if size <= 1e-12 * np.linalg.norm(x):
            raise ValueError(f"{name} does not vary within any recipe: a correlation within is undefined")
    maps = {"overall": np.eye(len(score)), "within": rest, "between": mean}
    observed = {name: float(stats.pearson(score @ by, bacc @ by)) for name, by in maps.items()}
    values = {name: stats.pearson(null @ by, bacc @ by) for name, by in maps.items()}
    p = {name: stats.permutation_p(observed[name], values[name], alternative="greater") for name in maps}
    # an independent draw of checkpoints stands in each place of its recipe
    order = np.argsort(code, kind="stable")
    by = rest[np.ix_(order, order)]

    def statistic(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        x, t = x @ by, t @ by
        size = np.linalg.norm(x, axis=-1) * np.linalg.norm(t, axis=-1)
        flat = size <= 1e-20
        return np.where(flat, 0.0, (x * t).sum(-1) / np.where(flat, 1.0, size))

    interval = stats.bootstrap_interval(
        statistic, score[order] / spread[0], bacc[order] / spread[1], strata=code[order],
        n_resamples=n_resamples, confidence=confidence, random_state=random_state,
    )  # fmt: skip
    return Convergence(
        **observed,
        **{f"p_{name}": value for name, value in p.items()},
        within_interval=interval,
        null=values,
    )


# Ablation


def amplify(Z: Features, u: Features, gain: float) -> np.ndarray | torch.Tensor:
    r"""Scale features along a direction, :math:`z' = z + (g - 1) (z^\top \hat u)\, \hat u`.

    Parameters
    ----------
    Z : array_like or Tensor, shape (n_trials, d) or (n_checkpoints, n_trials, d)
        Features.
    u : array_like or Tensor, shape (d,) or (n_checkpoints, d)
        Direction, of any length but zero.
    gain : float
        Factor g: zero ablates, one changes nothing, two doubles.

    Returns
    -------
    ndarray or Tensor
        As `Z`.
    """
    rows = _features(Z)
    unit = _unit_directions(u, rows, "u")
    return like(rows + (gain - 1) * (rows @ unit[..., :, None]) * unit[..., None, :], Z)


def ablate(Z: Features, u: Features) -> np.ndarray | torch.Tensor:
    r"""Remove a direction from features, :math:`z' = z - (z^\top \hat u)\, \hat u` [1]_.

    The mean along u goes as well, and with it some bias between classes; to remove the deviations alone, pass
    ``Z - m`` and a head with the bias ``b + m @ W``. Arguments as for `amplify`.

    References
    ----------
    .. [1] Arditi et al. (2024). arXiv:2406.11717
    """
    return amplify(Z, u, 0.0)


@dataclass(frozen=True, eq=False)
class AblationEffect:
    """What a classifier loses with one direction, beside what it loses with others.

    Attributes
    ----------
    baseline : ndarray, shape (...)
        Balanced accuracy of the features as they are.
    drop, orthogonal_drop : ndarray, shape (...)
        Its fall after changing the direction, and the part of it orthogonal to the basin (zero if nothing is
        orthogonal).
    share_in_basin : ndarray, shape (...)
        Squared length of the unit direction inside the basin, from 0 to 1.
    null : dict of str to ndarray, shape (n_directions, ...)
        Falls after changing the directions of each control.
    """

    baseline: np.ndarray
    drop: np.ndarray
    orthogonal_drop: np.ndarray
    share_in_basin: np.ndarray
    null: dict[str, np.ndarray]

    def z(self, kind: str, part: str = "whole") -> np.ndarray:
        """Distance from the mean of a control in its standard deviations (...); NaN if it does not vary.

        Parameters
        ----------
        kind : str
            A control, one of the keys of `null`.
        part : {"whole", "orthogonal"}
            Of the direction.
        """
        null, drop = self._pair(kind, part)
        sd = null.std(0, ddof=1)
        return np.divide(drop - null.mean(0), sd, out=np.full_like(sd, np.nan), where=sd > 1e-12)

    def p(self, kind: str, part: str = "whole") -> np.ndarray:
        """Share of a control with as large a fall (...); arguments as for :meth:`z`."""
        null, drop = self._pair(kind, part)
        return _p_greater(drop, null)

    def _pair(self, kind: str, part: str) -> tuple[np.ndarray, np.ndarray]:
        if kind not in self.null:
            raise ValueError(f"no control named {kind!r}; there are {', '.join(self.null)}")
        if part not in PARTS:
            raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
        return self.null[kind], self.drop if part == "whole" else self.orthogonal_drop


def ablation_effect(
    Z: Features,
    y: ArrayLike,
    head: tuple[Features, Features],
    direction: Features,
    *,
    gain: float = 0.0,
    kinds: Sequence[str] = KINDS,
    n_directions: int = 1000,
    random_targets: Features | None = None,
    projector: Projector | None = None,
    random_state: Seed = 0,
) -> AblationEffect:
    r"""Balanced accuracy lost when a direction is removed at inference, against several kinds of directions.

    A change of features along :math:`\hat u` changes logits by one outer product,

    .. math:: L' = L + (g - 1)\,(Z \hat u)\,(\hat u^\top W),

    so that a thousand directions cost a few matrix products. Whether a fall is large depends on what it is
    compared with [1]_: most isotropic directions hold little variance and cost nothing, so a large z against
    them says only that u holds variance. Matched directions hold as much as the features have; random-target
    directions were also chosen to follow some target, and differ from u in that the target means nothing.

    Parameters
    ----------
    Z : array_like or Tensor, shape (n_trials, d) or (n_checkpoints, n_trials, d)
        Features of the trials to be classified.
    y : array_like of int, shape (n_trials,)
        True classes from 0: columns of the head.
    head : (W, b)
        Weights (d, n_classes) or (n_checkpoints, d, n_classes), and biases (n_classes,) or
        (n_checkpoints, n_classes).
    direction : array_like or Tensor, shape (d,) or (n_checkpoints, d)
        What is removed, of any length but zero.
    gain : float
        As for `amplify`; zero removes.
    kinds : sequence of {"isotropic", "residual", "matched", "matched_residual"}
        Controls: uniform directions; uniform ones orthogonal to the basin; Gaussian with the covariance of
        the features; the same, without their part in the basin.
    n_directions : int
        Directions of each kind, drawn for each checkpoint.
    random_targets : array_like or Tensor, shape (n, d) or (n_checkpoints, n, d), optional
        Directions found as `direction` was, for random targets
        (:meth:`ResidualAlignment.null_directions`); they become the control ``random_target``.
    projector : Projector, optional
        Of the basin; by default that of `Z`. Estimate it from other trials to keep their noise out of it.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    AblationEffect

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, there is one class, a direction is zero, or the basin fills
        the features.

    References
    ----------
    .. [1] Elazar et al. (2021), TACL 9, for random directions as a control. doi:10.1162/tacl_a_00359
    """
    rows, _, _ = _checked(Z, y)
    W, b = _head(head, rows)
    y = class_numbers(y, rows.shape[-2], W.shape[-1])
    unit = _unit_directions(direction, rows, "direction")[..., None, :]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or n_directions < 2:
        raise ValueError(f"kinds are {', '.join(KINDS)}, two directions or more; got {kinds}, {n_directions}")
    projector = basin(rows, y) if projector is None else projector
    d = rows.shape[-1]
    if projector.basis.shape[-2] >= d and {"residual", "matched_residual"} & set(kinds):
        raise ValueError(f"the basin fills all {d} dimensions: leave out the residual kinds")

    rest = projector.complement(unit)
    length = torch.linalg.vector_norm(rest, dim=-1, keepdim=True)
    some = length > 1e-9
    rng = np.random.default_rng(random_state)
    tested = [unit, torch.where(some, rest, 0)]
    for kind in kinds:
        normal = torch.as_tensor(rng.standard_normal((*rows.shape[:-2], n_directions, d))).to(rows)
        if kind.startswith("matched"):
            normal = normal @ _covariance_root(_centred(rows))
        if kind.endswith("residual"):
            normal = projector.complement(normal)
        tested.append(normal)
    names = list(kinds)
    if random_targets is not None:
        given = tensor(random_targets, "random_targets").to(rows)
        if given.ndim < 2 or given.shape[-1] != d or given.shape[:-2] not in ((), rows.shape[:-2]):
            raise ValueError(
                f"random_targets must be (..., n, {d}) for features {tuple(rows.shape)}, "
                f"got shape {tuple(given.shape)}"
            )
        tested.append(given.expand(*rows.shape[:-2], *given.shape[-2:]))
        names.append("random_target")
    # each control to unit length; the orthogonal part may be zero, and then removes nothing
    lengths = [torch.linalg.vector_norm(part, dim=-1, keepdim=True) for part in tested]
    if any((size == 0).any() for size in lengths[2:]):
        raise ValueError(
            "a control holds a zero direction: features may not vary, or random_targets hold zeros"
        )
    tested = [part / torch.where(size > 0, size, 1) for part, size in zip(tested, lengths, strict=True)]

    baseline = score_accuracy(rows @ W + b[..., None, :], y)
    after = _accuracy_after(rows, y, W, b, torch.cat(tested, -2), gain)
    drops = np.split(baseline[None] - after, np.cumsum([part.shape[-2] for part in tested])[:-1])
    return AblationEffect(
        baseline=baseline,
        drop=drops[0][0],
        orthogonal_drop=drops[1][0],
        share_in_basin=(1 - length[..., 0, 0].square()).clamp(0, 1).cpu().numpy(),
        null=dict(zip(names, drops[2:], strict=True)),
    )


def _accuracy_after(
    Z: torch.Tensor, y: np.ndarray, W: torch.Tensor, b: torch.Tensor, U: torch.Tensor, gain: float
) -> np.ndarray:
    """Balanced accuracy (n_directions, ...) after scaling each of the unit directions U (..., n, d)."""
    logits, through = Z @ W + b[..., None, :], (gain - 1) * (U @ W)  # (..., n_trials, K), (..., n, K)
    present = np.unique(y)
    total = torch.zeros(U.shape[:-1], dtype=Z.dtype, device=Z.device)
    for true in present:
        rows = torch.as_tensor(np.flatnonzero(y == true), device=Z.device)
        block = Z[..., rows, :].mT
        # a trial stays right while its class leads all others; classes before it must be beaten, since the
        # first of equal logits counts
        lead = logits[..., rows, true][..., None, :] - logits[..., rows, :].mT  # (..., K, n_rows)
        gap = through[..., true, None] - through  # (..., n, K)
        size = max(1, _CHUNK // block[..., 0, :].numel())
        for start in range(0, U.shape[-2], size):
            part = slice(start, start + size)
            along = U[..., part, :] @ block  # (..., n_part, n_rows)
            hit = torch.ones_like(along, dtype=torch.bool)
            for other in range(W.shape[-1]):
                if other == true:
                    continue
                margin = torch.addcmul(lead[..., other, None, :], along, gap[..., part, other, None])
                hit &= margin > 0 if other < true else margin >= 0
            total[..., part] += hit.to(Z).mean(-1)
    return (total / len(present)).movedim(-1, 0).cpu().numpy()


# Similarity of members


def linear_cka(Z1: Features, Z2: Features | None = None) -> np.ndarray:
    r"""Linear centred kernel alignment of features of the same trials.

    .. math:: \mathrm{CKA} = \frac{\lVert X_2^\top X_1 \rVert_F^2}
        {\lVert X_1^\top X_1 \rVert_F\, \lVert X_2^\top X_2 \rVert_F}

    with centred features [1]_. It does not change under rotation or scaling. A few directions of large
    variance decide it, and it exceeds zero for unrelated features unless trials far outnumber them [2]_.

    Parameters
    ----------
    Z1 : array_like or Tensor, shape (n_trials, d1) or (n_pairs, n_trials, d1)
        Features.
    Z2 : array_like or Tensor, shape (n_trials, d2) or (n_pairs, n_trials, d2), optional
        Partners; without them all pairs of the members of `Z1` are compared.

    Returns
    -------
    ndarray, shape () or (n_pairs,), or (n_members, n_members)

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, or features do not vary.

    References
    ----------
    .. [1] Kornblith et al. (2019), ICML. arXiv:1905.00414
    .. [2] Davari et al. (2023), ICLR, on what moves it. arXiv:2210.16156
    """
    X1 = _scaled(_features(Z1))
    if Z2 is None:
        if X1.ndim != 3:
            raise ValueError(f"all pairs need features (n_members, n_trials, d), got {tuple(X1.shape)}")
        return torch.stack([(one.mT @ X1).square().sum((-2, -1)) for one in X1]).cpu().numpy()
    X2 = _scaled(_features(Z2, "Z2")).to(X1)
    if X1.shape[:-1] != X2.shape[:-1]:
        raise ValueError(f"Z1 and Z2 must hold the same trials, got {tuple(X1.shape)} and {tuple(X2.shape)}")
    return (X2.mT @ X1).square().sum((-2, -1)).cpu().numpy()


def _scaled(X: torch.Tensor) -> torch.Tensor:
    """Centred, and divided such that the Frobenius norm of its Gram matrix is one."""
    centred = _centred(X)
    flat = torch.linalg.vector_norm(centred, dim=(-2, -1)) <= 1e-12 * torch.linalg.vector_norm(
        X, dim=(-2, -1)
    )
    if flat.any():
        raise ValueError("features do not vary over trials: their similarity is undefined, leave them out")
    return centred / torch.linalg.matrix_norm(centred.mT @ centred).sqrt()[..., None, None]


# Arrays


def _features(Z: Features, name: str = "Z") -> torch.Tensor:
    Z = tensor(Z, name)
    if Z.ndim not in (2, 3) or 0 in Z.shape:
        raise ValueError(
            f"{name} must be (n_trials, d) or (n_checkpoints, n_trials, d), got shape {tuple(Z.shape)}"
        )
    return Z


def _checked(Z: Features, y: ArrayLike) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Features, names of the classes, class of each trial."""
    Z = _features(Z)
    classes, code = np.unique(row_labels(y, "y", Z.shape[-2]), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y holds one class only, {classes[0]}: there is no difference between classes")
    return Z, classes, code


def _head(head: tuple[Features, Features], Z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    W, b = (tensor(part, name).to(Z) for part, name in zip(head, ("W", "b"), strict=True))
    if W.ndim < 2 or W.shape[-2] != Z.shape[-1] or W.shape[:-2] not in ((), Z.shape[:-2]):
        raise ValueError(
            f"W must be (..., {Z.shape[-1]}, n_classes) for features {tuple(Z.shape)}, got shape "
            f"{tuple(W.shape)}: transpose the weights of a torch Linear"
        )
    if b.shape not in ((W.shape[-1],), (*Z.shape[:-2], W.shape[-1])):
        raise ValueError(
            f"b must have one value for each of {W.shape[-1]} classes, got shape {tuple(b.shape)}"
        )
    return W, b


def _unit_directions(u: Features, Z: torch.Tensor, name: str) -> torch.Tensor:
    """Directions of length one, one for each checkpoint: (..., d)."""
    u = tensor(u, name).to(Z)
    if u.shape not in ((Z.shape[-1],), (*Z.shape[:-2], Z.shape[-1])):
        raise ValueError(
            f"{name} must have shape {(*Z.shape[:-2], Z.shape[-1])} for features {tuple(Z.shape)}, "
            f"got {tuple(u.shape)}"
        )
    length = torch.linalg.vector_norm(u, dim=-1, keepdim=True)
    if (length == 0).any():
        raise ValueError(f"{name} is zero: a direction needs a length")
    return (u / length).expand(*Z.shape[:-2], Z.shape[-1])


def _centred(X: torch.Tensor) -> torch.Tensor:
    return X - X.mean(-2, keepdim=True)


def _means(Z: torch.Tensor, code: np.ndarray) -> torch.Tensor:
    """Means (..., n_groups, d) of the rows of each group."""
    weight = np.eye(code.max() + 1)[code]
    return torch.as_tensor((weight / weight.sum(0)).T).to(Z) @ Z


def _residuals(Z: torch.Tensor, code: np.ndarray) -> torch.Tensor:
    """Rows minus the mean of their group."""
    return Z - _means(Z, code)[..., torch.as_tensor(code, device=Z.device), :]


def _covariance_root(X: torch.Tensor) -> torch.Tensor:
    """Symmetric root of the covariance of centred rows X: normal rows times it have that covariance."""
    values, vectors = torch.linalg.eigh(X.mT @ X / X.shape[-2])
    return (vectors * values.clamp_min(0).sqrt()[..., None, :]) @ vectors.mT
