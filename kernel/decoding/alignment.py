"""Strategies that pull a classifier towards a valence axis: twenty-five of a published table, and more.

What each computes, and what the paper (arXiv:2606.00129) leaves open, stands in ``data/strategies.yaml``;
their code stands here and in :data:`kernel.decoding.losses.LOSSES`. A *placebo* is the same strategy with the
values of the emotions permuted, where targets are made (`permute_values`), so that no strategy can escape it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.special import softmax
from torch.nn import functional as F

from kernel import checks, files
from kernel.arrays import Named, in_order, plain, real
from kernel.brain.cohort import Cohort
from kernel.brain.topography import FRONTAL_PAIRS, PAPER_WEIGHTS, regions
from kernel.decoding.losses import LOSSES, Batch

#: Mixing of channels (n_channels, n_channels) and weight of bands (n_bands,).
View = tuple[np.ndarray, np.ndarray]


# When a strategy acts: from the progress of a training, 0 to 1, to its phase


@dataclass(frozen=True)
class _Phase:
    """One time of a training: weights of the base loss and of the strategy's, which weights are held fixed
    (``nothing``, ``encoder``, ``all``), and whether validation may choose this epoch."""

    base: float = 1.0
    extra: float = 1.0
    frozen: str = "nothing"
    eligible: bool = True


def _constant(progress: float) -> _Phase:
    return _Phase()


def _base_only(progress: float) -> _Phase:
    return _Phase(extra=0.0)


def _cosine_decay(progress: float) -> _Phase:
    return _Phase(extra=0.5 * (1 + math.cos(math.pi * progress)))


def _two_steps(first: _Phase, second: _Phase, progress: float) -> _Phase:
    return first if progress < 0.5 else second


_PRETRAINING = _Phase(base=0.0, eligible=False)
_BASE_FIRST = _Phase(extra=0.0, eligible=False)


# How a loss joins the base loss


def _weighted_sum(base: torch.Tensor, extra: torch.Tensor, batch: Batch, phase: _Phase) -> torch.Tensor:
    """Base loss plus strength times the strategy's."""
    return phase.base * base + phase.extra * batch.strength * extra


def _plain_sum(base: torch.Tensor, extra: torch.Tensor, batch: Batch, phase: _Phase) -> torch.Tensor:
    """Base loss plus the strategy's, where the strength is part of the latter's formula."""
    return phase.base * base + phase.extra * extra


def _uncertainty_sum(base: torch.Tensor, extra: torch.Tensor, batch: Batch, phase: _Phase) -> torch.Tensor:
    r"""Both losses weighted by learned variances.

    .. math:: e^{-s_1} L_1 + \tfrac12 s_1 + \lambda \bigl(\tfrac12 e^{-s_2} L_2 + \tfrac12 s_2\bigr),
        \quad s = \log \sigma^2

    Kendall et al. (2018), CVPR. arXiv:1705.07115
    """
    first, second = batch.parameters["log_variance"].unbind(-1)
    task = torch.exp(-first) * base + 0.5 * first
    return task + batch.strength * 0.5 * (torch.exp(-second) * extra + second)


# Which part of the input the auxiliary head sees


def _only(context: Context, channels: Iterable[int]) -> View:
    mixing = np.zeros((len(context.channels),) * 2)
    places = list(channels)
    mixing[places, places] = 1
    return mixing, np.ones(len(context.bands))


def _region(name: str, context: Context, values: np.ndarray) -> View:
    channels = regions(context.channels).get(name, [])
    if not channels:
        raise ValueError(f"the cohort has no {name} electrode among {', '.join(context.channels)}")
    return _only(context, map(context.channels.index, channels))


def _asymmetry(context: Context, values: np.ndarray) -> View:
    """Half of right minus left at the right electrode of each frontal pair, its opposite at the left."""
    place = {name.upper(): index for index, name in enumerate(context.channels)}
    missing = [name for pair in FRONTAL_PAIRS for name in pair if name.upper() not in place]
    if missing or "alpha" not in context.bands:
        raise ValueError(f"frontal alpha asymmetry needs the alpha band and {missing or 'its electrodes'}")
    mixing = np.zeros((len(context.channels),) * 2)
    for pair in FRONTAL_PAIRS:
        left, right = (place[name.upper()] for name in pair)
        mixing[np.ix_([left, right], [left, right])] = [[0.5, -0.5], [-0.5, 0.5]]
    return mixing, (np.array(context.bands) == "alpha").astype(float)


def _best_channels(context: Context, values: np.ndarray, *, n_channels: int) -> View:
    """Channels with the largest absolute correlation of any band with the values, over training clips."""
    seen = np.isfinite(context.profile).all((1, 2))
    x, v = context.profile[seen], values[seen, 0]
    x, v = x - x.mean(0), v - v.mean()
    size = np.sqrt((x**2).sum(0) * (v**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where(size > 1e-12, np.abs(np.einsum("cpb,c->pb", x, v)) / size, 0)
    if n_channels > len(r):
        raise ValueError(f"n_channels is {n_channels}, the cohort has {len(r)} channels")
    return _only(context, np.argsort(-r.max(1), kind="stable")[:n_channels])


def _anger_weights(context: Context) -> np.ndarray:
    """Weight of each class: those of the paper, one for the rest."""
    missing = sorted(set(PAPER_WEIGHTS) - set(context.classes))
    if missing:
        raise ValueError(f"anger_weighted needs the emotions {', '.join(missing)}, which the cohort lacks")
    return np.array([PAPER_WEIGHTS.get(name, 1) for name in context.classes], dtype=float)


# Initial weights of one member: changed in place


def _start_bias(
    state: Mapping[str, torch.Tensor], values: torch.Tensor, strength: float, rng: torch.Generator
) -> None:
    state["head.bias"].add_(strength * values)


def _start_weight(
    state: Mapping[str, torch.Tensor], values: torch.Tensor, strength: float, rng: torch.Generator
) -> None:
    weight = state["head.weight"]
    direction = F.normalize(torch.randn(weight.shape[1], generator=rng), dim=0).to(weight.device)
    weight.add_(strength * values[:, None] * direction)


# Predictions that change after training


def _smooth_posterior(
    logits: ArrayLike, class_values: ArrayLike, strength: float, *, width: float
) -> np.ndarray:
    r"""Log probabilities (..., C) from logits, mixed with their smoothing over classes of near valence (C,).

    .. math:: \log\bigl((1 - \lambda) p + \lambda K p\bigr), \quad
        K_{kj} = \frac{\exp(-(\bar v_k - \bar v_j)^2 / 2 h^2)}{\sum_l \exp(-(\bar v_l - \bar v_j)^2 / 2 h^2)}

    with the strength :math:`\lambda` in [0, 1] and the width h.
    """
    p, values = softmax(np.asarray(logits, dtype=float), axis=-1), np.asarray(class_values, dtype=float)
    near = np.exp(-((values[:, None] - values) ** 2) / (2 * width**2))
    near /= near.sum(0)
    return np.log(np.maximum((1 - strength) * p + strength * p @ near.T, 1e-30))


# Registry


@dataclass(frozen=True, eq=False)
class _Strategy:
    """One way to bring the axis into a training, as ``data/strategies.yaml`` describes it.

    `kind` is loss, initialisation, tuning, schedule, inference, data or teacher; ``loss(batch, **options)``
    is its loss (M,). `combine`, `phase`, `view`, `emotion_weight`, `start` and `infer` say how it joins the
    base loss, over the training, on which input, with which weights of emotions, from which initial weights,
    and how it changes predictions; `auxiliary` names parameters trained beside the network: ``head``,
    ``log_variance``.
    """

    name: str
    family: str
    kind: str
    formula: str
    reading: str
    reference: str
    strength: float
    options: Mapping[str, float] = field(default_factory=dict)
    needs: Sequence[str] = ()
    networks: Sequence[str] | None = None
    most: float = math.inf
    teacher: str | None = None
    adapter: str | None = None
    loss: Callable[..., torch.Tensor] | None = None
    combine: Callable[..., torch.Tensor] = _weighted_sum
    phase: Callable[[float], _Phase] = _constant
    view: Callable[..., View] | None = None
    emotion_weight: Callable[[Context], np.ndarray] | None = None
    start: Callable[..., None] | None = None
    infer: Callable[..., np.ndarray] | None = None
    auxiliary: tuple[str, ...] = ()

    def loss_options(self, settings: Mapping[str, float]) -> dict[str, float]:
        """Options that are the loss's: all, unless they describe a view or an adapter."""
        return dict(settings) if self.view is None and self.adapter is None else {}


_HEAD: dict[str, Any] = {"loss": LOSSES["regression"], "auxiliary": ("head",)}
_TUNED: dict[str, Any] = {
    "loss": LOSSES["expected_valence"],
    "phase": partial(_two_steps, _BASE_FIRST, _Phase(frozen="all")),
}
_CODE: dict[str, dict[str, Any]] = {
    "frontal": {**_HEAD, "view": partial(_region, "frontal")},
    "frontal_asymmetry": {**_HEAD, "view": _asymmetry},
    "occipital": {**_HEAD, "view": partial(_region, "occipital")},
    "topography": {**_HEAD, "view": _best_channels},
    "anger_weighted": {**_HEAD, "emotion_weight": _anger_weights},
    **dict.fromkeys(("regression", "multi_model", "cross_dataset", "data_scaling"), _HEAD),
    "uncertainty": {**_HEAD, "combine": _uncertainty_sum, "auxiliary": ("head", "log_variance")},
    **{
        name: {"loss": LOSSES[name]}
        for name in (
            *("procrustes", "rsa", "cka", "soft_label_kd"),
            *("distilled_teacher", "supcon_class", "supcon_clip", "info_nce"),
        )
    },
    "distance_ce": {"loss": LOSSES["distance_ce"], "combine": _plain_sum},
    "bias_start": {"phase": _base_only, "start": _start_bias},
    "weight_start": {"phase": _base_only, "start": _start_weight},
    "pretrained_frozen": {
        **_HEAD,
        "phase": partial(_two_steps, _PRETRAINING, _Phase(extra=0.0, frozen="encoder")),
    },
    "pretrained_tuned": {**_HEAD, "phase": partial(_two_steps, _PRETRAINING, _Phase(extra=0.0))},
    "head_tuning": {**_TUNED, "phase": partial(_two_steps, _BASE_FIRST, _Phase(frozen="encoder"))},
    "lora": _TUNED,
    "ia3": _TUNED,
    "curriculum": {**_HEAD, "phase": _cosine_decay},
    "smooth_prior": {"phase": _base_only, "infer": _smooth_posterior},
}
_TABLE = files.read_yaml((resources.files("kernel") / "data/strategies.yaml").read_text(encoding="utf-8"))

STRATEGIES: dict[str, _Strategy] = {
    name: _Strategy(name, **entry, **_CODE[name]) for name, entry in _TABLE["strategies"].items()
}
"""Strategies by name; `strategies_table` describes them."""


@dataclass(frozen=True)
class Alignment:
    """A strategy of :data:`STRATEGIES` at a strength, with options of the strategy.

    Without a strength it is the strategy's default; 0 is no alignment at all. With a `placebo_seed` the
    values are permuted over emotions.
    """

    strategy: str
    strength: float | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    placebo_seed: int | None = None

    def __post_init__(self) -> None:
        checks.choice("strategy", self.strategy, STRATEGIES)
        if self.strength is not None:
            most = self.definition.most
            closed = "low" if most == math.inf else "both"
            checks.between(f"strength of {self.strategy!r}", self.strength, 0, most, closed=closed)
        known = self.definition.options
        for name, value in self.options.items():
            checks.choice(f"option of {self.strategy!r}", name, known or ["(none)"])
            label = f"{name} of {self.strategy!r}"
            if isinstance(known[name], int):
                checks.count(label, value)
            else:
                checks.between(label, value, 0, math.inf)
        if self.placebo_seed is not None:
            checks.count("placebo_seed", self.placebo_seed, 0)

    @property
    def definition(self) -> _Strategy:
        """The entry of the registry."""
        return STRATEGIES[self.strategy]

    @property
    def dose(self) -> float:
        """The strength, the default filled in."""
        return float(self.definition.strength if self.strength is None else self.strength)

    @property
    def active(self) -> bool:
        """Whether it changes anything."""
        return self.dose > 0

    def settings(self) -> dict[str, float]:
        """Options of the strategy, defaults filled in, as whole numbers where the default is one."""
        known = self.definition.options
        return {name: type(default)(self.options.get(name, default)) for name, default in known.items()}

    def content(self) -> dict[str, Any]:
        """All that decides it, as plain values."""
        seed = None if self.placebo_seed is None else int(self.placebo_seed)
        settings = self.settings()
        return {"strategy": self.strategy, "dose": self.dose, "settings": settings, "placebo": seed}

    def teacher(self) -> Alignment | None:
        """With what the teacher is trained, if there is one."""
        if self.definition.teacher is None:
            return None
        strength = self.settings()["teacher_strength"]
        return Alignment(self.definition.teacher, strength, placebo_seed=self.placebo_seed)


PAPER_ROWS: dict[int, Alignment] = {n: Alignment(**row) for n, row in _TABLE["paper_rows"].items()}
"""The 25 rows of the paper's table, by number."""

NAMED: dict[str, Alignment] = {label: Alignment(**entry) for label, entry in _TABLE["named"].items()}
"""What the paper's text names beside its table, and CKA, the sibling of RSA."""


def strategies_table() -> pd.DataFrame:
    """One row for each strategy: what it is, the paper's rows, formula, reading and source."""
    table = pd.DataFrame([vars(s) for s in STRATEGIES.values()]).rename(columns={"name": "strategy"})
    rows = [[str(n) for n, row in PAPER_ROWS.items() if row.strategy == name] for name in STRATEGIES]
    table.insert(3, "rows", [", ".join(numbers) for numbers in rows])
    return table[["strategy", "family", "kind", "rows", "strength", "formula", "reading", "reference"]]


# Targets


def permute_values(values: ArrayLike, clip_class: ArrayLike, seed: int) -> np.ndarray:
    """Placebo values: class means permuted over the classes, what is left permuted over all clips.

    Both parts are moved, because some strategies read only the second. Deviations are centred within classes
    again, so that each class has exactly the mean it was given. All columns of `values` (n_clips, k) move
    together; `clip_class` (n_clips,) is the class of each clip. Columns of the result are standardised over
    clips, zero where nothing varies.
    """
    values = real(values, "values")
    code = np.unique(plain(clip_class, "clip_class"), return_inverse=True)[1]
    rng = np.random.default_rng([int(seed), 25])
    means = _class_means(values, code)
    rest = rng.permutation(values - means[code])
    rest -= _class_means(rest, code)[code]
    return _standardised(rng.permutation(means)[code] + rest)


def _class_means(values: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Mean values (n_classes, k) of clips (n_clips, k) whose classes are numbered from 0."""
    member = np.eye(code.max() + 1)[code]
    return member.T @ values / member.sum(0)[:, None]


def _standardised(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(0)
    sd = centred.std(0)
    return centred / np.where(sd > 1e-12, sd, 1)


@dataclass(frozen=True, eq=False)
class Context:
    """What a cohort tells the strategies.

    `values` (n_clips, k) are standardised values of the clips, of which strategies for one model read the
    first column; `clip_class` (n_clips,) is the class of each clip, `clip` (n_trials,) the number of each
    trial's clip from 0; `classes`, `channels` and `bands` are names; `profile` (n_clips, n_channels, n_bands)
    the mean input of each clip over training trials, NaN for clips that have none.
    """

    values: np.ndarray
    clip_class: np.ndarray
    clip: np.ndarray
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    bands: tuple[str, ...]
    profile: np.ndarray

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        valence: Named,
        clip: np.ndarray,
        profile: np.ndarray,
        channels: Sequence[str],
    ) -> Context:
        """The context of a cohort with one value, or k, for each clip, or class, by name or in order.

        ValueError if the length of `valence` fits neither, a value is not finite, or a column does not vary.
        """
        given = in_order(valence, "valence", cohort.classes, cohort.clips)
        values = real(given, "valence")
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or len(values) not in (len(cohort.y), len(cohort.classes)):
            raise ValueError(
                f"valence must be one value for each of {len(cohort.y)} clips or {len(cohort.classes)} "
                f"classes; got shape {np.shape(given)}"
            )
        if len(values) != len(cohort.y):
            values = values[cohort.y]
        if (np.ptp(values, axis=0) < 1e-12).any():
            raise ValueError("valence is the same for all clips: there is no axis to align with")
        names = cohort.classes, tuple(channels), tuple(cohort.bands)
        return cls(_standardised(values), cohort.y, clip, *names, profile)

    def targets(self, alignment: Alignment) -> np.ndarray:
        """Values (n_clips, k) that this alignment trains towards, permuted if it is a placebo."""
        values = self.values if "models" in alignment.definition.needs else self.values[:, :1]
        seed = alignment.placebo_seed
        return values if seed is None else permute_values(values, self.clip_class, seed)

    def class_means(self, values: np.ndarray) -> np.ndarray:
        """Means (n_classes, k) of values (n_clips, k)."""
        return _class_means(values, self.clip_class)

    def check(self, alignment: Alignment, network: str, epochs: int) -> None:
        """ValueError if cohort, values, network or length of training cannot serve; says what is missing."""
        s = alignment.definition
        if s.networks is not None and network not in s.networks:
            raise ValueError(
                f"strategy {s.name!r} is defined for {', '.join(s.networks)}, not for {network!r}"
            )
        if not any(s.phase(epoch / epochs).eligible for epoch in range(epochs)):
            raise ValueError(f"strategy {s.name!r} trains in two steps and needs epochs >= 2, got {epochs}")
        if "models" in s.needs and self.values.shape[1] < 2:
            raise ValueError(
                f"strategy {s.name!r} needs valence of two or more models: pass shape (n_clips, n_models)"
            )
        first = self.values[:, :1]
        deviation = first - self.class_means(first)[self.clip_class]
        if "clip" in s.needs and np.abs(deviation).max() < 1e-9:
            raise ValueError(
                f"strategy {s.name!r} needs clip information, and valence is the same for all clips of each "
                "class: pass one value per clip"
            )
        if s.view is not None:
            s.view(self, self.targets(alignment), **alignment.settings())
        if s.emotion_weight is not None:
            s.emotion_weight(self)
