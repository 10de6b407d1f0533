"""What classifiers hold in their penultimate layer: class means, variation within classes, what they use.

Features are (n_trials, d) or, of several checkpoints, (n_checkpoints, n_trials, d). Arrays are computed on
the device of :func:`kernel.checks.device`, tensors where they are. The *basin* is the span of the centred
class means, the *residual* of a clip its mean minus that of its class; a residual may point into the basin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from kernel import checks, stats
from kernel.arrays import Features, in_order, like, real, row_labels, tensor

NULLS = ("permute", "haar")

CHUNK = 250_000  # numbers held at once in loops over null draws: an array of them fits a processor's cache
Device = str | torch.device | None
_Judge = Callable[[Sequence[torch.Tensor], torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]


# Subspaces


class Projector(NamedTuple):
    """Orthogonal projection onto the span of orthonormal rows, ``basis`` (..., rank, d)."""

    basis: torch.Tensor

    def project(self, X: Features) -> Any:
        """The part of rows (d,) or (..., n, d) inside the subspace, in the kind of `X`."""
        rows = tensor(X, "X")
        if rows.shape[-1] != self.basis.shape[-1]:
            raise ValueError(f"X must have {self.basis.shape[-1]} features, got shape {tuple(rows.shape)}")
        return like(rows.to(self.basis) @ self.basis.mT @ self.basis, X)

    def complement(self, X: Features) -> Any:
        """The part orthogonal to the subspace."""
        rows = tensor(X, "X").to(self.basis)
        return like(rows - self.project(rows), X)


def basin(Z: Features, y: ArrayLike, *, rank: int | None = None, device: Device = None) -> Projector:
    """Span of the centred class means, of which the leading `rank` dimensions are kept, all by default.

    The means of K classes span at most K - 1 dimensions; ValueError if they span fewer than `rank`. In a
    network trained to the end the rows of its head lie there too [1]_.

    References
    ----------
    .. [1] Papyan, Han & Donoho (2020), PNAS 117(40). doi:10.1073/pnas.2015509117
    """
    Z, classes, code = _placed_features(Z, y, device)
    most = min(len(classes) - 1, Z.shape[-1])
    rank = most if rank is None else checks.count("rank", rank, 1, most)
    return Projector(_class_components(Z, code, rank)[1][..., :rank, :])


def _class_components(Z: torch.Tensor, code: np.ndarray, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions of the classes (..., n_classes, k) on the principal directions (..., k, d) of their means."""
    means = _means(Z, code)
    U, s, Vt = torch.linalg.svd(means - means.mean(-2, keepdim=True), full_matrices=False)
    tiny = s[..., rank - 1] <= _noise(Z)
    if tiny.any():
        where = f" of checkpoint {int(tiny.nonzero()[0])}" if tiny.ndim else ""
        cure = "pass a smaller rank" if rank > 1 else "the classes do not differ, give other features"
        raise ValueError(f"the class means{where} span fewer than {rank} dimensions: {cure}")
    return U * s[..., None, :], Vt


# Class means against a target


class ClassAlignment(NamedTuple):
    """How the first principal component of the class means orders the classes."""

    score: np.ndarray  #: (...): absolute correlation with the target over classes
    p: np.ndarray  #: (...): share of permuted targets with as large a score
    null: np.ndarray  #: (n_null, ...): their scores; a row is one permutation, the same for every checkpoint
    exact: bool  #: whether every distinct order was enumerated
    positions: np.ndarray  #: (..., n_classes): the classes on the component, whose sign is arbitrary


def class_pc1_alignment(
    Z: Features,
    y: ArrayLike,
    target: ArrayLike,
    *,
    n_permutations: int = 10_000,
    random_state: stats.Seed = 0,
    device: Device = None,
) -> ClassAlignment:
    r"""Correlate the first principal component of the class means with a value per class.

    With centred class means :math:`M = U S V^\top` the score is :math:`|\mathrm{corr}(u_1, t)|`, of as many
    points as there are classes. The null permutes the target over classes.

    Parameters
    ----------
    Z : array_like or Tensor, shape (n_trials, d) or (n_checkpoints, n_trials, d)
        Features.
    y, target : array_like, shape (n_trials,) and (n_classes,)
        Class of each trial; value of each of three or more classes, in their sorted order.
    n_permutations : int
        Draws; all distinct orders are enumerated where there are no more of them.
    random_state, device
        Seed, of orders that every checkpoint shares; where to compute.
    """
    Z, classes, code = _placed_features(Z, y, device)
    if len(classes) < 3:
        raise ValueError(f"{len(classes)} classes: any two values correlate perfectly, three are needed")
    target = real(target, "target")
    checks.shape("target", target, (len(classes),), f"({len(classes)} classes,)")
    if np.ptp(target) == 0:
        raise ValueError(f"target must vary over classes, got {target}")
    first = _class_components(Z, code, 1)[0][..., 0].cpu().numpy()
    seed = int(np.random.default_rng(random_state).integers(2**63))
    tests = [
        stats.permutation_test(
            lambda x, t: np.abs(stats.pearson(x, t)), positions, target,
            n_permutations=n_permutations, alternative="greater", random_state=seed,
        )
        for positions in first.reshape(-1, len(classes))
    ]  # fmt: skip
    lead = first.shape[:-1]
    return ClassAlignment(
        np.array([test.observed for test in tests]).reshape(lead),
        np.array([test.p for test in tests]).reshape(lead),
        np.stack([test.null for test in tests], axis=1).reshape(-1, *lead),
        tests[0].exact,
        first,
    )


# What varies within classes against a target


class ResidualAlignment(NamedTuple):
    """Whether a component of the variation within classes follows a target within classes.

    In the null the choice is repeated for every draw; a row is one draw, the same for every checkpoint.
    """

    #: (...): absolute correlation over all clips, in test subjects, of the component chosen in validation
    #: subjects on the same clips; large whenever clips leave a trace, whatever the target
    selected: np.ndarray
    #: (...): correlation in test subjects on clips that had no part in choosing the component and its sign,
    #: averaged over halvings; zero on average without an effect
    held_out: np.ndarray
    p_selected: np.ndarray  #: (...): share of the null with as large a value
    p_held_out: np.ndarray  #: (...)
    null_selected: np.ndarray  #: (n_null, ...)
    null_held_out: np.ndarray  #: (n_null, ...)
    component: np.ndarray  #: (...): number of the component that validation subjects choose over all clips
    direction: np.ndarray  #: (..., d): that component, its sign such that it follows the target
    components: np.ndarray  #: (..., n_components, d): orthonormal; zero beyond the rank of the clip means
    #: (n_null, ...): number of the component chosen for each drawn target, None where directions were drawn
    null_component: np.ndarray | None

    def null_directions(self) -> np.ndarray:
        """Directions (..., n_null, d) that random targets choose, a control where directions are removed."""
        if self.null_component is None:
            raise ValueError("the null draws directions, not targets: use null='permute'")
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
    n_splits: int = 20,
    null: str = "permute",
    n_null: int = 1000,
    random_state: stats.Seed = 0,
    device: Device = None,
) -> ResidualAlignment:
    r"""Find the within-class component that follows a target, and test it where it was not looked for.

    Clip means minus the mean of their class are decomposed in validation subjects, without the target. For
    clips A, with :math:`C_A` subtracting class means within A, the correlation of component k is
    :math:`r_A(k) = \cos(C_A\, Z_k,\; C_A\, t)`. Choosing the largest :math:`|r|` of many components and
    reporting it on the same clips is circular [1]_ even if subjects differ, since a clip leaves the same
    trace in all of them. The held-out score chooses :math:`k^* = \arg\max_k |r_A(k)|` in validation subjects
    and reports :math:`\mathrm{sign}\,r_A(k^*)\; r_B(k^*)` in test subjects on other clips B, averaged over
    random halvings of the classes in both directions.

    Parameters
    ----------
    Z : array_like or Tensor, shape (n_trials, d) or (n_checkpoints, n_trials, d)
        Features.
    y, clip, subject : array_like, shape (n_trials,)
        Class, clip and subject of each trial; a clip has one class.
    target_by_clip : array_like, shape (n_clips,)
        Value of each clip, in the sorted order of the clips; a Series is read by its index of clips.
    validation, test : array_like
        Subjects that choose and subjects that test; trials of others are not used.
    n_components, n_splits, n_null : int
        Components to choose from, random halvings, and draws of the null.
    null : {"permute", "haar"}
        Targets permuted among the clips of a class, which asks whether the target matters; or orthonormal
        directions of uniform (Haar) orientation [2]_ in place of the components.
    random_state, device
        Seed; where to compute. Calls that share seed, trials and null share the drawn targets, whatever the
        width d.

    References
    ----------
    .. [1] Kriegeskorte et al. (2009), Nature Neuroscience 12(5). doi:10.1038/nn.2303
    .. [2] Mezzadri (2007), Notices of the AMS 54(5). arXiv:math-ph/0609050
    """
    Z, _, code = _placed_features(Z, y, device)
    checks.choice("null", null, NULLS)
    for name, value in {"n_components": n_components, "n_splits": n_splits, "n_null": n_null}.items():
        checks.count(name, value)
    clips, clip_code, class_of = _clips(clip, code)
    target = _target(target_by_clip, clips, class_of)
    chooses, tests = _sets(subject, {"validation": validation, "test": test}, clips, clip_code)
    rng = np.random.default_rng(random_state)
    scores = _scores(class_of, _halvings(class_of, n_splits, rng), Z)
    # (..., n_clips, d) of those who choose and of those who test
    means = [_residuals(_means(Z[..., rows, :], clip_code[rows]), class_of) for rows in (chooses, tests)]
    components = _components(means[0], Z, min(n_components, len(clips) - int(class_of.max()) - 1))
    observed = torch.tensor(target[None]).to(Z)
    selected, held_out, choice, sign = (part[..., 0] for part in scores(means, components, observed))
    width = choice.numel() * components.shape[-2]
    if null == "permute":
        targets = torch.as_tensor(_permuted(target, class_of, n_null, rng)).to(Z)
        draws = [[*scores(means, components, part)[:3]] for part in targets.split(max(1, CHUNK // width))]
    else:
        wide = [part[..., None, :, :] for part in means]  # draws take an axis of their own
        draws = [
            [part[..., 0] for part in scores(wide, directions, observed)[:2]]
            for directions in _rotations(components, n_null, max(1, CHUNK // (width * len(clips))), rng)
        ]
    drawn = [torch.cat(parts, -1).movedim(-1, 0).cpu().numpy() for parts in zip(*draws, strict=True)]
    chosen = components.gather(-2, choice[..., None, None].expand(*choice.shape, 1, Z.shape[-1]))
    same_clips, other_clips = selected.cpu().numpy(), held_out.cpu().numpy()
    return ResidualAlignment(
        selected=same_clips,
        held_out=other_clips,
        p_selected=_p_greater(same_clips, drawn[0]),
        p_held_out=_p_greater(other_clips, drawn[1]),
        null_selected=drawn[0],
        null_held_out=drawn[1],
        component=choice.cpu().numpy(),
        direction=(chosen[..., 0, :] * sign[..., None]).cpu().numpy(),
        components=components.cpu().numpy(),
        null_component=drawn[2] if len(drawn) == 3 else None,
    )


def _scores(class_of: np.ndarray, halvings: np.ndarray, reference: torch.Tensor) -> _Judge:
    """A function that judges directions: selected, held out, choice and its sign, (..., n_targets) each.

    It takes the means (..., n_clips, d) of those who choose and those who test, directions (..., k, d) and
    targets (n_targets, n_clips).
    """
    every, *halves = (
        _centring(half, class_of, reference)
        for half in (np.ones(len(class_of), dtype=bool), *halvings, *~halvings)
    )
    n = len(halvings)
    pairs = [pair for a, b in zip(halves[:n], halves[n:], strict=True) for pair in ((a, b), (b, a))]

    def scores(
        means: Sequence[torch.Tensor], directions: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        chosen_from, tested_on = (part @ directions.mT for part in means)
        r = _correlations(every, chosen_from, targets)
        best = r.abs().argmax(-1)
        selected = _pick(_correlations(every, tested_on, targets), best).abs()
        held_out = torch.zeros_like(selected)
        for a, b in pairs:
            r_a = _correlations(a, chosen_from, targets)
            choice = r_a.abs().argmax(-1)
            held_out += _pick(_correlations(b, tested_on, targets), choice) * _pick(r_a, choice).sign()
        return selected, held_out / len(pairs), best, _pick(r, best).sign()

    return scores


def _components(residual: torch.Tensor, Z: torch.Tensor, most: int) -> torch.Tensor:
    """Principal components (..., k, d) of clip means within classes; zero beyond the rank."""
    _, s, Vt = torch.linalg.svd(residual, full_matrices=False)
    if (s[..., 0] <= _noise(Z)).any():
        raise ValueError("clips of one class have equal features: there is no residual to align")
    # the directions beyond the rank hold rounding errors, and one of them might be chosen
    return (Vt * (s > rounding(Z) * s[..., :1])[..., None])[..., :most, :]


def _rotations(
    components: torch.Tensor, n: int, size: int, rng: np.random.Generator
) -> Iterator[torch.Tensor]:
    """Orthonormal directions (..., n_chunk, k, d) of random orientation for components (..., k, d)."""
    k, d = components.shape[-2:]
    for start in range(0, n, size):
        normal = torch.as_tensor(rng.standard_normal((min(size, n - start), d, k))).to(components)
        yield torch.linalg.qr(normal)[0].mT


def _clips(clip: ArrayLike, code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names of the clips, the clip of each trial, the class of each clip."""
    clip = row_labels(clip, "clip", len(code))
    clips, first, clip_code = np.unique(clip, return_index=True, return_inverse=True)
    class_of = code[first]
    wrong = clip[class_of[clip_code] != code]
    if len(wrong):
        raise ValueError(f"clip {wrong[0]} belongs to two classes: give each clip one class in y")
    return clips, clip_code, class_of


def _target(target: ArrayLike, clips: np.ndarray, class_of: np.ndarray) -> np.ndarray:
    target = real(in_order(target, "target_by_clip", clips), "target_by_clip")
    checks.shape("target_by_clip", target, (len(clips),), f"({len(clips)} clips,)")
    if all(np.ptp(target[class_of == c]) == 0 for c in np.unique(class_of)):
        raise ValueError(
            "target_by_clip is constant within every class: nothing is left of it in the residual, "
            "give ratings of clips instead of values of classes"
        )
    return target


def _sets(
    subject: ArrayLike, sets: dict[str, ArrayLike], clips: np.ndarray, clip_code: np.ndarray
) -> Iterator[np.ndarray]:
    """Rows of validation and of test subjects, each with every clip."""
    subject = row_labels(subject, "subject", len(clip_code))
    first, second = sets.values()
    both = np.intersect1d(first, second)
    if len(both):
        raise ValueError(f"subject {both[0]} is in validation and test: the test would not be of new people")
    for name, members in sets.items():
        rows = np.flatnonzero(np.isin(subject, np.asarray(members)))
        absent = np.setdiff1d(np.asarray(members), subject), np.setdiff1d(clips, clips[clip_code[rows]])
        for what, missing in zip(("subject", "clip"), absent, strict=True):
            if len(missing):
                raise ValueError(f"{name} has no trial of {what} {missing[0]}: leave it out")
        yield rows


def _halvings(class_of: np.ndarray, n_splits: int, rng: np.random.Generator) -> np.ndarray:
    """First halves (n_splits, n_clips) of random halvings of the classes that have several clips."""
    counts = np.bincount(class_of)
    several = np.flatnonzero(counts > 1)
    least = int(np.sort(counts[several] - 1)[: len(several) // 2].sum())  # whatever the halving
    if least < 2:
        raise ValueError(
            f"the classes have {counts.tolist()} clips: half of these may leave {least} contrasts within "
            "classes, a residual needs two in each half. Use two clips or more in each of four classes, or a "
            "target that is constant within classes for the class score alone"
        )
    halves = [np.isin(class_of, rng.permutation(several)[: len(several) // 2]) for _ in range(n_splits)]
    return np.array(halves)


def _centring(half: np.ndarray, class_of: np.ndarray, reference: torch.Tensor) -> torch.Tensor:
    """The projector (n_clips, n_clips) that keeps half of the clips and subtracts class means among them."""
    member = np.eye(class_of.max() + 1)[class_of] * half[:, None]  # (n_clips, n_classes)
    member /= np.sqrt(np.maximum(member.sum(0), 1))
    return torch.as_tensor(np.diag(half.astype(float)) - member @ member.T).to(reference)


def _permuted(target: np.ndarray, class_of: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Targets (n, n_clips) permuted within classes."""
    drawn = np.tile(target, (n, 1))
    for c in np.unique(class_of):
        rows = np.flatnonzero(class_of == c)
        drawn[:, rows] = rng.permuted(drawn[:, rows], axis=1)
    return drawn


def _correlations(within: torch.Tensor, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Correlations (..., n_targets, k) of scores (..., n_clips, k) and targets (n_targets, n_clips)."""
    targets, inside = targets @ within, within @ scores
    size, power = (torch.linalg.vector_norm(part, dim=-1 - i) for i, part in enumerate((targets, inside)))
    # what vanishes within a half has no correlation there: it counts as zero
    some = power > max(1e-7, 10 * torch.finfo(power.dtype).eps) * torch.linalg.vector_norm(scores, dim=-2)
    targets = torch.where((size > 1e-7 * size.amax())[:, None], targets / size[:, None], 0)
    return (targets @ inside) * torch.where(some, 1 / power, 0)[..., None, :]


def _pick(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """One value of each row: (..., k) and (...) to (...)."""
    return values.gather(-1, index[..., None])[..., 0]


def _p_greater(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """One-sided p-values (...) of observed (...) against null (n_null, ...)."""
    pairs = zip(observed.reshape(-1), null.reshape(len(null), -1).T, strict=True)
    p = [stats.permutation_p(float(value), column, alternative="greater") for value, column in pairs]
    return np.array(p).reshape(observed.shape)


# Arrays


def _placed_features(
    Z: Features, y: ArrayLike, device: Device
) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Features where they are computed on, names of the classes, class of each trial."""
    features = tensor(Z, "Z")
    if features.ndim not in (2, 3) or 0 in features.shape:
        raise ValueError(
            f"Z must be (n_trials, d) or (n_checkpoints, n_trials, d), got shape {tuple(features.shape)}"
        )
    if device is not None or not isinstance(Z, torch.Tensor):
        place = checks.device(device)
        features = features.to(place, torch.float32 if place.type == "mps" else torch.float64)
    classes, code = np.unique(row_labels(y, "y", features.shape[-2]), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y holds one class only, {classes[0]}: there is no difference between classes")
    return features, classes, code


def rounding(X: torch.Tensor) -> float:
    """Below this share of a size there is nothing but rounding errors."""
    return max(1e-10, 100 * torch.finfo(X.dtype).eps)


def _noise(Z: torch.Tensor) -> torch.Tensor:
    """Singular values (...) that means of features would have if they agreed to rounding."""
    return rounding(Z) * torch.linalg.vector_norm(Z, dim=(-2, -1)) / Z.shape[-2] ** 0.5


def _means(Z: torch.Tensor, code: np.ndarray) -> torch.Tensor:
    """Means (..., n_groups, d) of the rows of each group."""
    weight = np.eye(code.max() + 1)[code]
    return torch.as_tensor((weight / weight.sum(0)).T).to(Z) @ Z


def _residuals(Z: torch.Tensor, code: np.ndarray) -> torch.Tensor:
    """Rows minus the mean of their group."""
    return Z - _means(Z, code)[..., torch.as_tensor(code, device=Z.device), :]
