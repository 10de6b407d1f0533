"""Strategies that pull a classifier towards a valence axis: twenty-five of a published table, and more.

In:  features, logits and labels of a batch, and a value for every clip.
Out: losses, one number for each member of a stack; a registry that says when and on which weights they act.
Never trains, never reads data, never draws from a global random state.

The paper (arXiv:2606.00129) names its strategies and their weights and gives no formulas. Each entry of
:data:`STRATEGIES` therefore has a *formula* that is ours and a *reading* that says what the paper leaves open
and what was taken. Values of clips are standardised to mean 0 and standard deviation 1 over clips, so that a
strength means the same whatever the unit. All losses carry the members of a stack as leading axis M.

A *placebo* is the same strategy with the values of the emotions permuted. It is made once, where targets are
made (:func:`permute_values`), so that no strategy can escape it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn import functional as F

from kernel.arrays import plain, real, whole
from kernel.brain.topography import FRONTAL_PAIRS, PAPER_WEIGHTS, regions

# Added under square roots: gradients stay finite where features are zero, and change in the seventh digit
# where they are of order one.
_EPS = 1e-8
KINDS = ("loss", "initialisation", "tuning", "schedule", "inference", "data", "teacher")
_FREE, _ENCODER, _ALL = "nothing", "encoder", "all"


@dataclass(frozen=True, eq=False)
class Batch:
    """What a loss may look at; M members, n trials, d features, C classes.

    Attributes
    ----------
    z : Tensor, shape (M, n, d)
        Penultimate features; of the restricted input for strategies that target channels.
    logits : Tensor, shape (M, n, C)
        Class scores.
    y, clip : Tensor of int, shape (M, n)
        Class of each trial, and number of its clip from 0.
    values : Tensor, shape (M, n_clips, k)
        Target of each clip; k is 1 but for several models.
    class_values : Tensor, shape (M, C)
        Mean target of each class, of the first column.
    strength, smoothing : Tensor, shape (M,)
        Strength of the strategy and label smoothing of the base loss.
    parameters : mapping of str to Tensor
        Trained with the network: ``weight`` (M, d, k) and ``bias`` (M, k) of an auxiliary head,
        ``log_variance`` (M, 2).
    emotion_weight : Tensor, shape (M, C), optional
        Weight of the trials of each class.
    teacher : Tensor, shape (M, n, C), optional
        Logits of another network.
    """

    z: torch.Tensor
    logits: torch.Tensor
    y: torch.Tensor
    clip: torch.Tensor
    values: torch.Tensor
    class_values: torch.Tensor
    strength: torch.Tensor
    smoothing: torch.Tensor
    parameters: Mapping[str, torch.Tensor] = field(default_factory=dict)
    emotion_weight: torch.Tensor | None = None
    teacher: torch.Tensor | None = None

    @property
    def target(self) -> torch.Tensor:
        """Values of each trial's clip (M, n, k)."""
        k = self.values.shape[-1]
        return self.values.gather(1, self.clip[..., None].expand(-1, -1, k))

    @property
    def clip_value(self) -> torch.Tensor:
        """First value of each trial's clip (M, n)."""
        return self.values[..., 0].gather(1, self.clip)

    @property
    def class_value(self) -> torch.Tensor:
        """Mean value of each trial's class (M, n)."""
        return self.class_values.gather(1, self.y)


# Losses


def regression(batch: Batch) -> torch.Tensor:
    r"""Mean squared error of a linear head that predicts the clip's value.

    .. math:: \frac{\sum_i w_{y_i} \lVert A^\top z_i + b - v_{c_i} \rVert^2 / k}{\sum_i w_{y_i}}

    with weights w of the emotions, one without any. An auxiliary task as in Caruana (1997), Machine Learning
    28. doi:10.1023/A:1007379606734
    """
    predicted = torch.baddbmm(batch.parameters["bias"][:, None], batch.z, batch.parameters["weight"])
    error = ((predicted - batch.target) ** 2).mean(-1)  # (M, n)
    if batch.emotion_weight is None:
        return error.mean(-1)
    weight = batch.emotion_weight.gather(1, batch.y)
    return (weight * error).sum(-1) / weight.sum(-1)


def expected_valence(batch: Batch) -> torch.Tensor:
    r"""Squared error of the value that the predicted probabilities expect.

    .. math:: \frac1n \sum_i \Bigl(\sum_k p_{ik} \bar v_k - v_{c_i}\Bigr)^2

    with class means :math:`\bar v_k`; it reads the logits, so that it reaches a head that is tuned alone.
    """
    expected = (batch.logits.softmax(-1) * batch.class_values[:, None]).sum(-1)
    return ((expected - batch.clip_value) ** 2).mean(-1)


def rsa(batch: Batch) -> torch.Tensor:
    r"""One minus the correlation of feature and value dissimilarities over the pairs of a batch.

    .. math:: 1 - \mathrm{corr}_{i < j}\bigl(\lVert z_i - z_j \rVert^2,\; (v_i - v_j)^2\bigr)

    Kriegeskorte et al. (2008), Frontiers in Systems Neuroscience 2. doi:10.3389/neuro.06.004.2008
    """
    n = batch.z.shape[1]
    off = 1 - torch.eye(n, device=batch.z.device)
    pairs = max(n * (n - 1), 1)

    def centred(points: torch.Tensor) -> torch.Tensor:
        points = points - points.mean(1, keepdim=True)  # distances stay, rounding shrinks
        square = (points**2).sum(-1)
        distance = square[:, :, None] + square[:, None] - 2 * torch.bmm(points, points.mT)
        distance = distance * off
        return (distance - distance.sum((1, 2), keepdim=True) / pairs) * off

    a, b = centred(batch.z), centred(batch.clip_value[..., None])
    size = torch.sqrt((a**2).sum((1, 2)) + _EPS) * torch.sqrt((b**2).sum((1, 2)) + _EPS)
    return 1 - (a * b).sum((1, 2)) / size


def cka(batch: Batch) -> torch.Tensor:
    r"""One minus linear centred kernel alignment of features and values.

    .. math:: 1 - \frac{\lVert Z^\top v \rVert^2}{\lVert Z^\top Z \rVert_F\, \lVert v \rVert^2}

    with columns centred over the batch. Kornblith et al. (2019), ICML. arXiv:1905.00414
    """
    z = batch.z - batch.z.mean(1, keepdim=True)
    v = batch.clip_value - batch.clip_value.mean(1, keepdim=True)
    together = (torch.bmm(z.mT, v[..., None]) ** 2).sum((1, 2))
    alone = torch.sqrt((torch.bmm(z.mT, z) ** 2).sum((1, 2)) + _EPS)
    return 1 - together / (alone * (v**2).sum(1) + _EPS)


def procrustes(batch: Batch) -> torch.Tensor:
    r"""Procrustes disparity of what features and values vary within classes.

    With residuals R of the features and t of the values from their class means in the batch, both of unit
    Frobenius norm, the best rotation and scaling of R onto t leaves

    .. math:: 1 - \lVert R^\top t \rVert_*^2 .

    Schönemann (1966), Psychometrika 31. doi:10.1007/BF02289451
    """
    member = F.one_hot(batch.y, batch.logits.shape[-1]).to(batch.z.dtype)  # (M, n, C)
    count = member.sum(1).clamp(min=1)[..., None]

    def within(points: torch.Tensor) -> torch.Tensor:
        return points - torch.bmm(member, torch.bmm(member.mT, points) / count)

    r, t = within(batch.z), within(batch.clip_value[..., None])
    size = (r**2).sum((1, 2)) * (t**2).sum((1, 2))
    # the nuclear norm of a single column is its length
    return 1 - (torch.bmm(r.mT, t) ** 2).sum((1, 2)) / (size + _EPS)


def distance_cross_entropy(batch: Batch) -> torch.Tensor:
    r"""What replaces the cross entropy by one towards soft labels that fall off with valence distance.

    .. math:: (1 - \varepsilon) \frac1n \sum_i \sum_k (q_{ik} - [k = y_i]) (-\log p_{ik}),
        \quad q_{ik} \propto \exp(-|\bar v_{y_i} - \bar v_k| / T)

    is added to a cross entropy with label smoothing :math:`\varepsilon`, and takes the place of its hard
    label; the strength is T, and T = 0 changes nothing. Diaz & Marathe (2019), CVPR, soft labels for ordinal
    regression. doi:10.1109/CVPR.2019.00487
    """
    distance = (batch.class_value[..., None] - batch.class_values[:, None]).abs()
    soft = (-distance / batch.strength[:, None, None]).softmax(-1)
    hard = F.one_hot(batch.y, batch.logits.shape[-1])
    change = ((hard - soft) * batch.logits.log_softmax(-1)).sum(-1).mean(-1)
    return (1 - batch.smoothing) * change


def distillation(logits: torch.Tensor, soft: torch.Tensor, temperature: float) -> torch.Tensor:
    r"""Divergence from soft labels to a softened prediction, mean over trials (M,).

    .. math:: T^2\, \mathrm{KL}\bigl(q \,\Vert\, \mathrm{softmax}(\ell / T)\bigr)

    Hinton et al. (2015). arXiv:1503.02531
    """
    log_p = (logits / temperature).log_softmax(-1)
    return temperature**2 * F.kl_div(log_p, soft, reduction="none").sum(-1).mean(-1)


def soft_label_kd(batch: Batch, *, temperature: float) -> torch.Tensor:
    r"""`distillation` with soft labels :math:`q_{ik} \propto \exp(-|v_{c_i} - \bar v_k| / T)`."""
    distance = (batch.clip_value[..., None] - batch.class_values[:, None]).abs()
    return distillation(batch.logits, (-distance / temperature).softmax(-1), temperature)


def teacher_kd(batch: Batch, *, temperature: float, teacher_strength: float) -> torch.Tensor:
    """`distillation` from the logits of a teacher."""
    assert batch.teacher is not None
    return distillation(batch.logits, (batch.teacher / temperature).softmax(-1), temperature)


def weighted_supcon(z: torch.Tensor, weight: torch.Tensor, temperature: float) -> torch.Tensor:
    r"""Supervised contrastive loss with a weight for every pair (M,).

    .. math:: -\frac1n \sum_i \frac{\sum_{j \ne i} w_{ij} \log s_{ij}}{\sum_{j \ne i} w_{ij}}, \quad
        s_{ij} = \frac{\exp(\cos(z_i, z_j) / \tau)}{\sum_{l \ne i} \exp(\cos(z_i, z_l) / \tau)}

    Weights of 1 within and 0 between classes give the loss of Khosla et al. (2020), NeurIPS.
    arXiv:2004.11362. Trials without any weighted partner do not count.

    Parameters
    ----------
    z : Tensor, shape (M, n, d)
        Features.
    weight : Tensor, shape (M, n, n)
        Not negative; the diagonal is ignored.
    temperature : float
        The :math:`\tau`.
    """
    cosine, self_pair = _cosines(z, temperature)
    weight = weight.masked_fill(self_pair, 0)
    log_s = cosine - _log_sum(cosine, ~self_pair.expand_as(cosine))
    total = weight.sum(-1)
    each = -(weight * log_s).sum(-1) / total.clamp(min=_EPS)
    counted = total > 0
    return (each * counted).sum(-1) / counted.sum(-1).clamp(min=1)


def supcon_class(batch: Batch, *, temperature: float, width: float) -> torch.Tensor:
    r"""`weighted_supcon` with :math:`w_{ij} = \exp(-(\bar v_{y_i} - \bar v_{y_j})^2 / 2 h^2)`."""
    return weighted_supcon(batch.z, _nearness(batch.class_value, width), temperature)


def supcon_clip(batch: Batch, *, temperature: float, width: float) -> torch.Tensor:
    r"""`weighted_supcon` with :math:`w_{ij} = \exp(-(v_{c_i} - v_{c_j})^2 / 2 h^2)`."""
    return weighted_supcon(batch.z, _nearness(batch.clip_value, width), temperature)


def info_nce(batch: Batch, *, temperature: float) -> torch.Tensor:
    r"""Contrastive loss whose positives are pairs of one third of the valence range of the clips.

    .. math:: -\operatorname{mean}_{(i, p)} \log \frac{\exp(\cos(z_i, z_p) / \tau)}
        {\exp(\cos(z_i, z_p) / \tau) + \sum_{l \in N_i} \exp(\cos(z_i, z_l) / \tau)}

    over pairs of a third, :math:`N_i` being the trials of the other thirds. van den Oord et al. (2018).
    arXiv:1807.03748
    """
    values = batch.values[..., 0]
    edges = torch.quantile(values, values.new_tensor([1 / 3, 2 / 3]), dim=1)
    third = (batch.clip_value[None] > edges[..., None]).sum(0)  # (M, n)
    same = third[:, :, None] == third[:, None]
    cosine, self_pair = _cosines(batch.z, temperature)
    positive = same & ~self_pair
    pairs = torch.logaddexp(cosine, _log_sum(cosine, ~same)) - cosine
    return (pairs * positive).sum((1, 2)) / positive.sum((1, 2)).clamp(min=1)


def _cosines(z: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines over temperature (M, n, n), and where a trial meets itself (n, n)."""
    unit = z * torch.rsqrt((z**2).sum(-1, keepdim=True) + _EPS)
    return torch.bmm(unit, unit.mT) / temperature, torch.eye(z.shape[1], dtype=torch.bool, device=z.device)


def _log_sum(scores: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Log of the sum of exponentials over some of the last axis (M, n, 1); about -1e4 of none."""
    # a finite floor, since the gradient of an empty sum of -inf is not a number
    return scores.masked_fill(~where, -1e4).logsumexp(-1, keepdim=True)


def _nearness(values: torch.Tensor, width: float) -> torch.Tensor:
    return torch.exp(-((values[:, :, None] - values[:, None]) ** 2) / (2 * width**2))


# How a loss joins the base loss


@dataclass(frozen=True)
class Phase:
    """One time of a training: weights of the base loss and of the strategy's, what is held fixed, and whether
    validation may choose this epoch (not before a strategy of two steps has come to its second)."""

    base: float = 1.0
    extra: float = 1.0
    frozen: str = _FREE
    eligible: bool = True


def _constant(progress: float) -> Phase:
    return Phase()


def _base_only(progress: float) -> Phase:
    return Phase(extra=0.0)


def _cosine_decay(progress: float) -> Phase:
    return Phase(extra=0.5 * (1 + math.cos(math.pi * progress)))


def _pretrain_frozen(progress: float) -> Phase:
    return Phase(0.0, 1.0, eligible=False) if progress < 0.5 else Phase(1.0, 0.0, _ENCODER)


def _pretrain_fine_tune(progress: float) -> Phase:
    return Phase(0.0, 1.0, eligible=False) if progress < 0.5 else Phase(1.0, 0.0)


def _then_tune_head(progress: float) -> Phase:
    return Phase(1.0, 0.0, eligible=False) if progress < 0.5 else Phase(1.0, 1.0, _ENCODER)


def _then_tune_adapter(progress: float) -> Phase:
    return Phase(1.0, 0.0, eligible=False) if progress < 0.5 else Phase(1.0, 1.0, _ALL)


def weighted_sum(base: torch.Tensor, extra: torch.Tensor, batch: Batch, phase: Phase) -> torch.Tensor:
    """Base loss plus strength times the strategy's."""
    return phase.base * base + phase.extra * batch.strength * extra


def plain_sum(base: torch.Tensor, extra: torch.Tensor, batch: Batch, phase: Phase) -> torch.Tensor:
    """Base loss plus the strategy's, where the strength is part of the latter's formula."""
    return phase.base * base + phase.extra * extra


def uncertainty_sum(base: torch.Tensor, extra: torch.Tensor, batch: Batch, phase: Phase) -> torch.Tensor:
    r"""Both losses weighted by learned variances.

    .. math:: e^{-s_1} L_1 + \tfrac12 s_1 + \lambda \bigl(\tfrac12 e^{-s_2} L_2 + \tfrac12 s_2\bigr),
        \quad s = \log \sigma^2

    Kendall et al. (2018), CVPR. arXiv:1705.07115
    """
    first, second = batch.parameters["log_variance"].unbind(-1)
    task = torch.exp(-first) * base + 0.5 * first
    return task + batch.strength * 0.5 * (torch.exp(-second) * extra + second)


# Views: which part of the input the auxiliary head sees


def _keep(context: Context, keep: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
    mixing = np.zeros((len(context.channels),) * 2)
    for place in keep:
        mixing[place, place] = 1
    return mixing, np.ones(len(context.bands))


def _region(name: str) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    def view(context: Context, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = regions(context.channels).get(name, [])
        if not found:
            raise ValueError(f"the cohort has no {name} electrode among {', '.join(context.channels)}")
        return _keep(context, [context.channels.index(channel) for channel in found])

    return view


def _asymmetry(context: Context, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def _best_channels(context: Context, values: np.ndarray, *, n_channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Channels with the largest absolute correlation of any band with the values, over training clips."""
    seen = np.isfinite(context.profile).all((1, 2))
    x, v = context.profile[seen], values[seen, 0]
    x, v = x - x.mean(0), v - v.mean()
    size = np.sqrt((x**2).sum(0) * (v**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where(size > 1e-12, np.abs(np.einsum("cpb,c->pb", x, v)) / size, 0)
    if n_channels > len(r):
        raise ValueError(f"n_channels is {n_channels}, the cohort has {len(r)} channels")
    return _keep(context, np.argsort(-r.max(1), kind="stable")[:n_channels])


def _anger_weights(context: Context) -> np.ndarray:
    """Weight of each class: those of the paper, one for the rest."""
    missing = sorted(set(PAPER_WEIGHTS) - set(context.classes))
    if missing:
        raise ValueError(f"anger_weighted needs the emotions {', '.join(missing)}, which the cohort lacks")
    return np.array([PAPER_WEIGHTS.get(name, 1) for name in context.classes], dtype=float)


# Initial weights


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


# Predictions


def smooth_posterior(
    logits: ArrayLike, class_values: ArrayLike, strength: float, *, width: float
) -> np.ndarray:
    r"""Mix class probabilities with their smoothing over classes of near valence.

    .. math:: \log\bigl((1 - \lambda) p + \lambda K p\bigr), \quad
        K_{kj} = \frac{\exp(-(\bar v_k - \bar v_j)^2 / 2 h^2)}{\sum_l \exp(-(\bar v_l - \bar v_j)^2 / 2 h^2)}

    Parameters
    ----------
    logits : array_like, shape (..., C)
        Class scores.
    class_values : array_like, shape (C,)
        Value of each class.
    strength : float
        The :math:`\lambda` in [0, 1].
    width : float
        The h.

    Returns
    -------
    ndarray, shape (..., C)
        Log probabilities.
    """
    logits, values = np.asarray(logits, dtype=float), np.asarray(class_values, dtype=float)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    near = np.exp(-((values[:, None] - values) ** 2) / (2 * width**2))
    near /= near.sum(0)
    return np.log(np.maximum((1 - strength) * p + strength * p @ near.T, 1e-30))


# Adapters. Their gradients follow from those of the weights they make, by the chain rule, so that the network
# itself need not know of them.


class LowRank(nn.Module):
    """Weights W + B A with A (rank, n_in) random and B (n_out, rank) zero at the start.

    Hu et al. (2022), LoRA, ICLR. arXiv:2106.09685
    """

    def __init__(
        self, kept: Mapping[str, torch.Tensor], rngs: Sequence[torch.Generator], *, rank: int
    ) -> None:
        super().__init__()
        # sorted: a stack and a single network list them in different orders
        self.names = sorted(name for name, value in kept.items() if value.ndim == 3)
        self.a, self.b = nn.ParameterList(), nn.ParameterList()
        for name in self.names:
            members, n_out, n_in = kept[name].shape
            bound, device = 1 / math.sqrt(n_in), kept[name].device
            draws = [2 * torch.rand(rank, n_in, generator=rng) - 1 for rng in rngs]
            self.a.append(nn.Parameter(bound * torch.stack(draws).to(device)))
            self.b.append(nn.Parameter(torch.zeros(members, n_out, rank, device=device)))

    def backward(self, gradient: Mapping[str, torch.Tensor], kept: Mapping[str, torch.Tensor]) -> None:
        """Set the gradients of the factors from those of the weights."""
        for name, a, b in zip(self.names, self.a, self.b, strict=True):
            a.grad = torch.bmm(b.detach().mT, gradient[name])
            b.grad = torch.bmm(gradient[name], a.detach().mT)

    def weights(self, kept: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights that the factors make of the kept ones."""
        made = [
            torch.baddbmm(kept[name], b, a) for name, a, b in zip(self.names, self.a, self.b, strict=True)
        ]
        return dict(zip(self.names, made, strict=True))


class Scales(nn.Module):
    """Hidden activations times 1 + s, s zero at the start: columns of the weights that read them.

    Liu et al. (2022), (IA)3, NeurIPS. arXiv:2205.05638
    """

    def __init__(self, kept: Mapping[str, torch.Tensor], rngs: Sequence[torch.Generator]) -> None:
        super().__init__()
        matrices = sorted(name for name, value in kept.items() if value.ndim == 3)
        self.names = [name for name in matrices if name != "layers.0.weight"]  # that one reads the input
        self.s = nn.ParameterList(torch.zeros_like(kept[name][:, 0]) for name in self.names)

    def backward(self, gradient: Mapping[str, torch.Tensor], kept: Mapping[str, torch.Tensor]) -> None:
        """Set the gradients of the scales from those of the weights."""
        for name, s in zip(self.names, self.s, strict=True):
            s.grad = (gradient[name] * kept[name]).sum(1)

    def weights(self, kept: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights that the scales make of the kept ones."""
        return {n: kept[n] * (1 + s.detach()[:, None]) for n, s in zip(self.names, self.s, strict=True)}


# Registry


@dataclass(frozen=True, eq=False)
class Strategy:
    """One way to bring the axis into a training.

    Attributes
    ----------
    name, family : str
        Names; a family shares an idea and a dose-response curve.
    kind : {"loss", "initialisation", "tuning", "schedule", "inference", "data", "teacher"}
        Where it acts.
    formula, reading, reference : str
        What is computed; what the paper leaves open and what was taken here; the source of the method.
    strength : float
        Default strength: the paper's where it prints one.
    loss : callable, optional
        ``loss(batch, **options) -> (M,)``.
    options : mapping
        Options with their defaults.
    needs : tuple of str
        ``clip``: values that differ between clips of a class; ``channels``: electrodes by name; ``models``:
        two or more columns of values; ``cohort``: something only a whole study can give.
    combine, phase, view, emotion_weight, start, infer, adapter : callable, optional
        How it joins the base loss, over the training, on which input, with which weights of emotions, from
        which initial weights, how it changes predictions, and which small set of weights it tunes.
    auxiliary : tuple of str
        Parameters trained beside the network: ``head``, ``log_variance``.
    teacher : str, optional
        Strategy that a teacher is trained with first.
    most : float
        Largest strength that has a meaning.
    networks : tuple of str, optional
        Networks it is defined for; all by default.
    """

    name: str
    family: str
    kind: str
    formula: str
    reading: str
    reference: str
    strength: float
    loss: Callable[..., torch.Tensor] | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    combine: Callable[..., torch.Tensor] = weighted_sum
    phase: Callable[[float], Phase] = _constant
    view: Callable[..., tuple[np.ndarray, np.ndarray]] | None = None
    emotion_weight: Callable[[Context], np.ndarray] | None = None
    start: Callable[..., None] | None = None
    infer: Callable[..., np.ndarray] | None = None
    adapter: Callable[..., LowRank | Scales] | None = None
    auxiliary: tuple[str, ...] = ()
    teacher: str | None = None
    most: float = math.inf
    networks: tuple[str, ...] | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """Rows of the paper's table."""
        return tuple(number for number, row in PAPER_ROWS.items() if row.strategy == self.name)

    def loss_options(self, settings: Mapping[str, float]) -> dict[str, float]:
        """Options that are the loss's: all, unless they describe a view or an adapter."""
        return dict(settings) if self.view is None and self.adapter is None else {}


_CARUANA = "Caruana (1997), doi:10.1023/A:1007379606734"
_MSE = "CE + strength x mean squared error of a linear head on the penultimate features"
_SUPCON = "Khosla et al. (2020), arXiv:2004.11362"
_PART = (
    "The paper does not state how a loss targets channels; here a second pass, without dropout, sees the "
    "input {}, all else at zero, and the auxiliary head reads its penultimate features."
)
_HEAD: dict[str, Any] = {"loss": regression, "auxiliary": ("head",)}
_TUNING = (
    "The paper does not state what is tuned, when, or on which loss; here the first half of the epochs "
    "trains the base, the second half tunes {} with the base loss plus the squared error of the expected "
    "valence, which reads the logits because a head tuned alone cannot change the features."
)

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy(
            "frontal",
            family="channel regression",
            kind="loss",
            formula=_MSE,
            reading=_PART.format("of frontal electrodes (names Fp, AF, F, FC)"),
            reference=_CARUANA,
            strength=0.1,
            needs=("channels",),
            view=_region("frontal"),
            **_HEAD,
        ),
        Strategy(
            "frontal_asymmetry",
            family="channel regression",
            kind="loss",
            formula=_MSE,
            reading=_PART.format(
                "as right minus left in alpha at F3/F4, F7/F8, Fp1/Fp2 (half of it at the right electrode, "
                "its opposite at the left)"
            ),
            reference="Davidson (1992), doi:10.1016/0278-2626(92)90065-T",
            strength=0.1,
            needs=("channels",),
            view=_asymmetry,
            **_HEAD,
        ),
        Strategy(
            "occipital",
            family="channel regression",
            kind="loss",
            formula=_MSE,
            reading=_PART.format("of occipital electrodes (names PO, O, I)"),
            reference=_CARUANA,
            strength=0.1,
            needs=("channels",),
            view=_region("occipital"),
            **_HEAD,
        ),
        Strategy(
            "topography",
            family="channel regression",
            kind="loss",
            formula=_MSE,
            reading=_PART.format(
                "of the eight channels with the largest correlation of any band with the values, over clip "
                "means of the training trials (a placebo chooses by its own values)"
            ),
            reference=_CARUANA,
            strength=0.1,
            options={"n_channels": 8},
            needs=("channels",),
            view=_best_channels,
            **_HEAD,
        ),
        Strategy(
            "anger_weighted",
            family="regression",
            kind="loss",
            formula=f"{_MSE}, weighted by emotion",
            reading=(
                "The paper gives the weights 5, 3, 3, 1 for a correlation, not for a loss; here they weight "
                "the squared errors of anger, amusement, tenderness and the rest. A placebo moves the "
                "values, not the weights."
            ),
            reference=_CARUANA,
            strength=0.5,
            emotion_weight=_anger_weights,
            **_HEAD,
        ),
        Strategy(
            "regression",
            family="regression",
            kind="loss",
            formula=_MSE,
            reading=(
                "The paper does not state the target's level or unit; here it is the value of each clip, "
                "standardised over clips."
            ),
            reference=_CARUANA,
            strength=0.1,
            **_HEAD,
        ),
        Strategy(
            "multi_model",
            family="regression",
            kind="loss",
            formula=f"{_MSE}, one output for each model, mean over outputs",
            reading=(
                "The paper does not state how several models' axes are combined; here each is an output of "
                "the auxiliary head."
            ),
            reference=_CARUANA,
            strength=0.5,
            needs=("models",),
            **_HEAD,
        ),
        Strategy(
            "uncertainty",
            family="regression",
            kind="loss",
            formula="exp(-s1) CE + s1 / 2 + strength x (exp(-s2) MSE + s2) / 2, s learned",
            reading="The paper names the method only; here both log variances start at 0 and strength is 1.",
            reference="Kendall et al. (2018), arXiv:1705.07115",
            strength=1.0,
            loss=regression,
            combine=uncertainty_sum,
            auxiliary=("head", "log_variance"),
        ),
        Strategy(
            "procrustes",
            family="relational",
            kind="loss",
            formula="CE + strength x Procrustes disparity of within-class features and within-class values",
            reading=(
                "The paper calls it a rotation of the residual; here residuals are taken from class means of "
                "the batch, and only what values vary within classes is a target."
            ),
            reference="Schoenemann (1966), doi:10.1007/BF02289451",
            strength=0.05,
            loss=procrustes,
            needs=("clip",),
        ),
        Strategy(
            "rsa",
            family="relational",
            kind="loss",
            formula="CE + strength x (1 - Pearson r of squared distances of features and of values)",
            reading=(
                "The paper does not state distance, correlation or level; here squared Euclidean distances "
                "and Pearson's r over the pairs of trials of a batch."
            ),
            reference="Kriegeskorte et al. (2008), doi:10.3389/neuro.06.004.2008",
            strength=1.0,
            loss=rsa,
        ),
        Strategy(
            "cka",
            family="relational",
            kind="loss",
            formula="CE + strength x (1 - linear CKA of features and values over the batch)",
            reading="Not in the paper's table; strength 1 as for RSA.",
            reference="Kornblith et al. (2019), arXiv:1905.00414",
            strength=1.0,
            loss=cka,
        ),
        Strategy(
            "distance_ce",
            family="soft labels",
            kind="loss",
            formula="CE towards labels softmax(-|v_y - v_k| / T); the strength is T",
            reading=(
                "The paper prints a temperature and more harm at higher ones; here the soft label replaces "
                "the hard one, distances are between class values in standard deviations over clips, and "
                "label smoothing stays."
            ),
            reference="Diaz & Marathe (2019), doi:10.1109/CVPR.2019.00487",
            strength=5.0,
            loss=distance_cross_entropy,
            combine=plain_sum,
        ),
        Strategy(
            "soft_label_kd",
            family="soft labels",
            kind="loss",
            formula="CE + strength x T^2 KL(softmax(-|v - v_k| / T) || softmax(logits / T))",
            reading=(
                "The paper prints temperatures, no weight; here 0.5, that of its other distillation. Labels "
                "follow the distance of the clip's value to the class values."
            ),
            reference="Hinton et al. (2015), arXiv:1503.02531",
            strength=0.5,
            loss=soft_label_kd,
            options={"temperature": 1.0},
        ),
        Strategy(
            "distilled_teacher",
            family="soft labels",
            kind="teacher",
            formula="CE + strength x T^2 KL(softmax(teacher / T) || softmax(logits / T))",
            reading=(
                "The paper does not state the teacher's loss or any weight; here the teacher is trained with "
                "the same seed and regression of strength 0.5, the student with strength 0.5 and T = 1."
            ),
            reference="Hinton et al. (2015), arXiv:1503.02531",
            strength=0.5,
            loss=teacher_kd,
            options={"temperature": 1.0, "teacher_strength": 0.5},
            teacher="regression",
        ),
        Strategy(
            "supcon_class",
            family="contrastive",
            kind="loss",
            formula="CE + strength x SupCon, pairs weighted by nearness of class values",
            reading=(
                "The paper does not state weights or temperature; here a Gaussian of width 0.5 standard "
                "deviations over class values, and temperature 0.1."
            ),
            reference=_SUPCON,
            strength=1.0,
            loss=supcon_class,
            options={"temperature": 0.1, "width": 0.5},
        ),
        Strategy(
            "supcon_clip",
            family="contrastive",
            kind="loss",
            formula="CE + strength x SupCon, pairs weighted by nearness of clip values",
            reading="As for supcon_class, over the values of clips.",
            reference=_SUPCON,
            strength=0.5,
            loss=supcon_clip,
            options={"temperature": 0.1, "width": 0.5},
            needs=("clip",),
        ),
        Strategy(
            "info_nce",
            family="contrastive",
            kind="loss",
            formula="CE + strength x InfoNCE, positives from the same third of clip values",
            reading=(
                "The paper names it only; here positives share a third of the clips by value, temperature is "
                "0.1, strength 0.1."
            ),
            reference="van den Oord et al. (2018), arXiv:1807.03748",
            strength=0.1,
            loss=info_nce,
            options={"temperature": 0.1},
        ),
        Strategy(
            "bias_start",
            family="initialisation",
            kind="initialisation",
            formula="head bias += strength x class values",
            reading="The paper prints no size; here strength 1.",
            reference="arXiv:2606.00129",
            strength=1.0,
            phase=_base_only,
            start=_start_bias,
        ),
        Strategy(
            "weight_start",
            family="initialisation",
            kind="initialisation",
            formula="head weights += strength x class values (outer) a random unit direction",
            reading="The paper prints neither size nor direction; here strength 1 and a direction per seed.",
            reference="arXiv:2606.00129",
            strength=1.0,
            phase=_base_only,
            start=_start_weight,
        ),
        Strategy(
            "pretrained_frozen",
            family="pretraining",
            kind="schedule",
            formula="regression alone in the first half of the epochs; then CE, the head alone trained",
            reading=(
                "The paper does not state the lengths; here both halves of the base recipe's epochs and "
                "learning rates. Strength scales the only loss of the first half and so has little meaning."
            ),
            reference="Yosinski et al. (2014), arXiv:1411.1792",
            strength=1.0,
            phase=_pretrain_frozen,
            **_HEAD,
        ),
        Strategy(
            "pretrained_tuned",
            family="pretraining",
            kind="schedule",
            formula="regression alone in the first half of the epochs; then CE, all weights trained",
            reading="As for pretrained_frozen.",
            reference="Yosinski et al. (2014), arXiv:1411.1792",
            strength=1.0,
            phase=_pretrain_fine_tune,
            **_HEAD,
        ),
        Strategy(
            "head_tuning",
            family="tuning",
            kind="tuning",
            formula="first half CE; then CE + strength x (expected valence - v)^2 on the head",
            reading=_TUNING.format("the whole last layer"),
            reference="Kumar et al. (2022), arXiv:2202.10054",
            strength=0.1,
            loss=expected_valence,
            phase=_then_tune_head,
        ),
        Strategy(
            "lora",
            family="tuning",
            kind="tuning",
            formula="first half CE; then CE + strength x (expected valence - v)^2 on W + B A",
            reading=_TUNING.format("factors of rank 4 on every weight matrix"),
            reference="Hu et al. (2022), arXiv:2106.09685",
            strength=0.1,
            loss=expected_valence,
            options={"rank": 4},
            phase=_then_tune_adapter,
            adapter=LowRank,
            networks=("mlp",),
        ),
        Strategy(
            "ia3",
            family="tuning",
            kind="tuning",
            formula="first half CE; then CE + strength x (expected valence - v)^2 on scales of activations",
            reading=_TUNING.format("one scale for every hidden unit"),
            reference="Liu et al. (2022), arXiv:2205.05638",
            strength=0.1,
            loss=expected_valence,
            phase=_then_tune_adapter,
            adapter=Scales,
            networks=("mlp",),
        ),
        Strategy(
            "curriculum",
            family="regression",
            kind="schedule",
            formula="CE + strength x (1 + cos(pi t)) / 2 x MSE, t from 0 to 1 over the training",
            reading="The paper prints no weight; here it starts at 0.5.",
            reference=_CARUANA,
            strength=0.5,
            phase=_cosine_decay,
            **_HEAD,
        ),
        Strategy(
            "smooth_prior",
            family="inference",
            kind="inference",
            formula="log((1 - strength) p + strength K p), K Gaussian over class values; training unchanged",
            reading="The paper names it only; here strength 0.1 and width 0.5 standard deviations.",
            reference="arXiv:2606.00129",
            strength=0.1,
            options={"width": 0.5},
            phase=_base_only,
            infer=smooth_posterior,
            most=1.0,
        ),
        Strategy(
            "cross_dataset",
            family="data",
            kind="data",
            formula=f"{_MSE} on a source cohort; linear discriminant on the features of a target cohort",
            reading=(
                "The paper names the pair FACED to SEED-V; here networks trained on the electrodes that both "
                "have give features of the target, on which shrinkage LDA is fitted and tested over folds of "
                "people. No weight is printed: 0.5."
            ),
            reference="Pan & Yang (2010), doi:10.1109/TKDE.2009.191",
            strength=0.5,
            needs=("cohort",),
            **_HEAD,
        ),
        Strategy(
            "data_scaling",
            family="data",
            kind="data",
            formula=f"{_MSE}, on a part of the training subjects",
            reading=(
                "The paper does not state how all of the data differs from its row 14, whose figure is "
                "nearly equal; here it repeats that row with seeds of its own."
            ),
            reference=_CARUANA,
            strength=0.5,
            **_HEAD,
        ),
    )
}
"""Strategies by name."""


@dataclass(frozen=True)
class Alignment:
    """A strategy at a strength.

    Attributes
    ----------
    strategy : str
        A name of :data:`STRATEGIES`.
    strength : float, optional
        The strategy's default if not given; 0 is no alignment at all.
    options : mapping
        Of the strategy.
    placebo_seed : int, optional
        Permute the values over emotions with this seed.

    Raises
    ------
    ValueError
        If a value is not possible; names it and the choices.
    """

    strategy: str
    strength: float | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    placebo_seed: int | None = None

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ValueError(f"no strategy named {self.strategy!r}; there are {', '.join(STRATEGIES)}")
        strength = self.strength
        if strength is not None:
            number = isinstance(strength, int | float | np.number) and not isinstance(strength, bool)
            if not number or not 0 <= strength <= self.definition.most or not math.isfinite(strength):
                most = self.definition.most
                limit = "finite and not negative" if most == math.inf else f"in [0, {most:g}]"
                raise ValueError(f"strength of {self.strategy!r} must be {limit}, got {strength!r}")
        known = self.definition.options
        unknown = sorted(set(self.options) - set(known))
        if unknown:
            raise ValueError(
                f"strategy {self.strategy!r} has no option {', '.join(unknown)}; "
                f"it has {', '.join(known) or 'none'}"
            )
        for name, value in self.options.items():
            whole = isinstance(known[name], int)
            if not value > 0 or not math.isfinite(value) or (whole and value != int(value)):
                kind = "a positive whole number" if whole else "positive and finite"
                raise ValueError(f"option {name} of {self.strategy!r} must be {kind}, got {value!r}")
        seed = self.placebo_seed
        if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
            raise ValueError(f"placebo_seed must be a whole number of at least 0, got {seed!r}")

    @property
    def definition(self) -> Strategy:
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
        return {
            "strategy": self.strategy,
            "dose": self.dose,
            "settings": self.settings(),
            "placebo": seed,
        }

    def teacher(self) -> Alignment | None:
        """With what the teacher is trained, if there is one."""
        if self.definition.teacher is None:
            return None
        strength = self.settings()["teacher_strength"]
        return Alignment(self.definition.teacher, strength, placebo_seed=self.placebo_seed)


PAPER_ROWS: dict[int, Alignment] = {
    1: Alignment("frontal", 0.5),
    2: Alignment("frontal", 0.1),
    3: Alignment("frontal_asymmetry", 0.5),
    4: Alignment("frontal_asymmetry", 0.1),
    5: Alignment("anger_weighted", 0.5),
    6: Alignment("occipital", 0.1),
    7: Alignment("topography", 0.1),
    8: Alignment("topography", 0.05),
    9: Alignment("procrustes", 0.05),
    10: Alignment("rsa", 5.0),
    11: Alignment("rsa", 1.0),
    12: Alignment("distance_ce", 5.0),
    13: Alignment("multi_model", 0.5),
    14: Alignment("regression", 0.5),
    15: Alignment("regression", 0.1),
    16: Alignment("supcon_class", 1.0),
    17: Alignment("supcon_clip", 0.5),
    18: Alignment("head_tuning", 0.1),
    19: Alignment("lora", 0.1),
    20: Alignment("ia3", 0.1),
    21: Alignment("pretrained_frozen"),
    22: Alignment("pretrained_tuned"),
    23: Alignment("cross_dataset"),
    24: Alignment("data_scaling", 0.5),
    25: Alignment("uncertainty"),
}
"""The 25 rows of the paper's table, by number."""

NAMED: dict[str, Alignment] = {
    "soft labels, T 0.5": Alignment("soft_label_kd", options={"temperature": 0.5}),
    "soft labels, T 1": Alignment("soft_label_kd", options={"temperature": 1.0}),
    "soft labels, T 2": Alignment("soft_label_kd", options={"temperature": 2.0}),
    "InfoNCE": Alignment("info_nce"),
    "bias from the axis": Alignment("bias_start"),
    "weights from the axis": Alignment("weight_start"),
    "axis-trained teacher": Alignment("distilled_teacher"),
    "curriculum": Alignment("curriculum"),
    "smooth prior": Alignment("smooth_prior"),
    "CKA": Alignment("cka"),
}
"""What the paper's text names beside its table, and CKA, the sibling of RSA."""


def strategies_table() -> pd.DataFrame:
    """One row for each strategy: what it is, the paper's rows, formula, reading and source."""
    return pd.DataFrame(
        [
            {
                "strategy": s.name,
                "family": s.family,
                "kind": s.kind,
                "rows": ", ".join(map(str, s.numbers)),
                "strength": s.strength,
                "formula": s.formula,
                "reading": s.reading,
                "reference": s.reference,
            }
            for s in STRATEGIES.values()
        ]
    )


# Targets


def permute_values(values: ArrayLike, clip_class: ArrayLike, seed: int) -> np.ndarray:
    """Placebo values: class means permuted over the classes, what is left permuted over all clips.

    Both parts are moved, because some strategies read only the second. Deviations are centred within classes
    again, so that each class has exactly the mean it was given. All columns move together.

    Parameters
    ----------
    values : array_like, shape (n_clips, k)
        One row for each clip.
    clip_class : array_like of int, shape (n_clips,)
        Class of each clip.
    seed : int
        Of the permutation.

    Returns
    -------
    ndarray, shape (n_clips, k)
        Columns standardised over clips; zeros where nothing varies.
    """
    values = real(values, "values")
    code = np.unique(plain(clip_class, "clip_class"), return_inverse=True)[1]
    rng = np.random.default_rng([int(seed), 25])
    means = _class_means(values, code)
    rest = rng.permutation(values - means[code])
    rest -= _class_means(rest, code)[code]
    return _standard(rng.permutation(means)[code] + rest)


def _class_means(values: np.ndarray, code: np.ndarray) -> np.ndarray:
    member = np.eye(code.max() + 1)[code]
    return member.T @ values / member.sum(0)[:, None]


def _standard(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(0)
    sd = centred.std(0)
    return centred / np.where(sd > 1e-12, sd, 1)


@dataclass(frozen=True, eq=False)
class Context:
    """What a cohort tells the strategies.

    Attributes
    ----------
    values : ndarray, shape (n_clips, k)
        Standardised values of the clips; strategies for one model read the first column.
    clip_class : ndarray of int, shape (n_clips,)
        Class of each clip.
    clip : ndarray of int, shape (n_trials,)
        Number of each trial's clip, from 0.
    classes, channels, bands : tuple of str
        Names.
    profile : ndarray, shape (n_clips, n_channels, n_bands)
        Mean input of each clip over training trials; NaN for clips that have none.
    """

    values: np.ndarray
    clip_class: np.ndarray
    clip: np.ndarray
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    bands: tuple[str, ...]
    profile: np.ndarray

    def targets(self, alignment: Alignment) -> np.ndarray:
        """Values (n_clips, k) that this alignment trains towards, permuted if it is a placebo."""
        every = self.values
        if "models" not in alignment.definition.needs:
            every = every[:, :1]
        if alignment.placebo_seed is None:
            return every
        return permute_values(every, self.clip_class, alignment.placebo_seed)

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
        deviation = self.values[:, :1] - _class_means(self.values[:, :1], self.clip_class)[self.clip_class]
        if "clip" in s.needs and np.abs(deviation).max() < 1e-9:
            raise ValueError(
                f"strategy {s.name!r} needs clip information, and valence is the same for all clips of each "
                "class: pass one value per clip"
            )
        if s.view is not None:
            s.view(self, self.targets(alignment), **alignment.settings())
        if s.emotion_weight is not None:
            s.emotion_weight(self)


def clip_values(valence: ArrayLike, clip_class: ArrayLike, classes: Sequence[str]) -> np.ndarray:
    """Standardised values (n_clips, k) from values per clip or per class.

    Parameters
    ----------
    valence : array_like, shape (n_clips,), (n_clips, k), (n_classes,) or (n_classes, k)
        One row for each clip in the cohort's order, or for each class in label order.
    clip_class : array_like of int, shape (n_clips,)
        Class of each clip.
    classes : sequence of str
        Names of the classes.

    Returns
    -------
    ndarray, shape (n_clips, k)

    Raises
    ------
    ValueError
        If the length fits neither, a value is not finite, or a column does not vary.
    """
    values, clip_class = real(valence, "valence"), whole(clip_class, "clip_class")
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) not in (len(clip_class), len(classes)):
        raise ValueError(
            f"valence must be one value for each of {len(clip_class)} clips or {len(classes)} "
            f"classes; got shape {np.shape(valence)}"
        )
    if len(values) != len(clip_class):
        values = values[clip_class]
    if (np.ptp(values, axis=0) < 1e-12).any():
        raise ValueError("valence is the same for all clips: there is no axis to align with")
    return _standard(values)


# A stack in training


class _Group(nn.Module):
    """Members of a stack that share strategy and options, with what their loss needs."""

    def __init__(
        self,
        members: Sequence[int],
        alignments: Sequence[Alignment],
        context: Context,
        rngs: Sequence[torch.Generator],
        weights: Mapping[str, torch.Tensor],
        smoothing: Sequence[float],
        teachers: Sequence[np.ndarray | None],
    ) -> None:
        super().__init__()
        first = weights["head.weight"]
        device, width = first.device, first.shape[-1]

        def tensor(array: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.as_tensor(np.asarray(array), dtype=dtype, device=device)

        self.strategy, self.settings = alignments[0].definition, alignments[0].settings()
        self.members, self.index = list(members), tensor(members, torch.long)
        self.strength = tensor([a.dose for a in alignments])
        self.smoothing = tensor(smoothing)
        targets = [context.targets(a) for a in alignments]
        self.values = tensor(targets)  # (G, n_clips, k)
        self.class_values = tensor([_class_means(t, context.clip_class)[:, 0] for t in targets])
        self.emotion_weight: torch.Tensor | None = None
        self.teacher: torch.Tensor | None = None
        self.views: list[Any] | None = None
        self.adapter: LowRank | Scales | None = None
        if self.strategy.emotion_weight is not None:
            self.emotion_weight = tensor(self.strategy.emotion_weight(context)).expand(len(members), -1)
        if self.strategy.teacher is not None:
            self.teacher = tensor(np.stack(cast(Sequence[np.ndarray], teachers)))
        if self.strategy.view is not None:
            self.views = [self.strategy.view(context, t, **self.settings) for t in targets]
        self.loss_options = self.strategy.loss_options(self.settings)
        self.free = nn.ParameterDict()
        if "head" in self.strategy.auxiliary:
            k = self.values.shape[-1]
            draws = [torch.randn(width, k, generator=rng) / math.sqrt(width) for rng in rngs]
            self.free["weight"] = nn.Parameter(torch.stack(draws).to(device))
            self.free["bias"] = nn.Parameter(torch.zeros(len(members), k, device=device))
        if "log_variance" in self.strategy.auxiliary:
            self.free["log_variance"] = nn.Parameter(torch.zeros(len(members), 2, device=device))
        self.kept: dict[str, torch.Tensor] = {}
        self.current = Phase()
        if self.strategy.adapter is not None:
            own = {name: value[self.index] for name, value in weights.items()}
            self.adapter = self.strategy.adapter(own, rngs, **self.settings)

    def loss(
        self,
        base: torch.Tensor,
        z: torch.Tensor,
        logits: torch.Tensor,
        y: torch.Tensor,
        clip: torch.Tensor,
        rows: torch.Tensor,
        viewed: torch.Tensor | None,
    ) -> torch.Tensor:
        """The members' whole loss (G,)."""
        base = base[self.index]
        if self.strategy.loss is None or self.current.extra == 0:
            return self.current.base * base
        teacher = None
        if self.teacher is not None:
            place = rows[self.index][..., None].expand(-1, -1, self.teacher.shape[-1])
            teacher = self.teacher.gather(1, place)
        batch = Batch(
            z=(z if self.views is None or viewed is None else viewed)[self.index],
            logits=logits[self.index],
            y=y[self.index],
            clip=clip[self.index],
            values=self.values,
            class_values=self.class_values,
            strength=self.strength,
            smoothing=self.smoothing,
            parameters=dict(self.free),
            emotion_weight=self.emotion_weight,
            teacher=teacher,
        )
        return self.strategy.combine(
            base, self.strategy.loss(batch, **self.loss_options), batch, self.current
        )

    def begin(self, weights: Mapping[str, torch.Tensor], progress: float) -> None:
        """Enter the phase of this time; what it holds fixed is remembered as it is now."""
        before, self.current = self.current.frozen, self.strategy.phase(progress)
        if self.current.frozen != before:
            held = {
                name: value
                for name, value in weights.items()
                if self.current.frozen == _ALL
                or (self.current.frozen == _ENCODER and not name.startswith("head."))
            }
            self.kept = {name: value[self.index].clone() for name, value in held.items()}

    def backward(self, gradients: Mapping[str, torch.Tensor]) -> None:
        """Hand the gradients of the weights on to the adapter."""
        if self.adapter is not None and self.current.frozen == _ALL:
            own = {name: gradients[name][self.index] for name in self.adapter.names}
            self.adapter.backward(own, self.kept)

    def hold(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Undo what a step did to weights that are held fixed, and put in what the adapter makes of them."""
        made = self.kept
        if self.adapter is not None and self.kept:
            made = {**made, **self.adapter.weights(self.kept)}
        for name, value in made.items():
            weights[name][self.index] = value


class Aligner(nn.Module):
    """The strategies of a stack in training.

    Parameters
    ----------
    alignments : sequence of Alignment or None
        Of every member.
    context : Context or None
        None if no member is aligned.
    rngs : sequence of torch.Generator
        One for every member, on the processor.
    weights : mapping of str to Tensor, shape (n_members, ...)
        The stack's own weights, by the names that a single network gives them.
    smoothing : sequence of float
        Label smoothing of every member.
    teachers : sequence of ndarray, shape (n_trials, n_classes), or None
        Logits of every member's teacher.
    """

    def __init__(
        self,
        alignments: Sequence[Alignment | None],
        context: Context | None,
        rngs: Sequence[torch.Generator],
        weights: Mapping[str, torch.Tensor],
        smoothing: Sequence[float],
        teachers: Sequence[np.ndarray | None],
    ) -> None:
        super().__init__()
        device = weights["head.weight"].device
        aligned = {m: a for m, a in enumerate(alignments) if a is not None and a.active}
        chosen: dict[tuple[Any, ...], list[int]] = {}
        for member, a in aligned.items():
            chosen.setdefault((a.strategy, *a.settings().values()), []).append(member)
        known = cast(Context, context)  # there is one where a member is aligned
        self.groups: Any = nn.ModuleList(
            _Group(
                members,
                [aligned[m] for m in members],
                known,
                [rngs[m] for m in members],
                weights,
                [smoothing[m] for m in members],
                [teachers[m] for m in members],
            )
            for members in chosen.values()
        )
        self.clip = None if context is None else torch.tensor(context.clip, device=device)
        self.mixing: torch.Tensor | None = None
        self.bands: torch.Tensor | None = None
        viewed: list[Any] = [group for group in self.groups if group.views is not None]
        if viewed:
            n_channels, n_bands = len(known.channels), len(known.bands)
            self.mixing = torch.eye(n_channels, device=device).repeat(len(alignments), 1, 1)
            self.bands = torch.ones(len(alignments), n_bands, device=device)
            for group in viewed:
                for member, (mixing, bands) in zip(group.members, group.views or (), strict=True):
                    self.mixing[member] = torch.as_tensor(mixing, dtype=torch.float32)
                    self.bands[member] = torch.as_tensor(bands, dtype=torch.float32)
        self._start(weights, rngs)

    @torch.no_grad()
    def _start(self, weights: Mapping[str, torch.Tensor], rngs: Sequence[torch.Generator]) -> None:
        for group in self.groups:
            if group.strategy.start is not None:
                for place, member in enumerate(group.members):
                    own = {name: value[member] for name, value in weights.items()}
                    strength = float(group.strength[place])
                    group.strategy.start(own, group.class_values[place], strength, rngs[member])

    def view(self, x: torch.Tensor) -> torch.Tensor | None:
        """The part of inputs (n_members, n, n_channels, n_windows, n_bands) that is targeted, if any is."""
        if self.mixing is None or self.bands is None:
            return None
        members, n, n_channels, n_windows, n_bands = x.shape
        if not any(group.views is not None and group.current.extra for group in self.groups):
            return None
        x = x * self.bands[:, None, None, None]
        mixed = torch.bmm(self.mixing, x.transpose(1, 2).reshape(members, n_channels, -1))
        return mixed.view(members, n_channels, n, n_windows, n_bands).transpose(1, 2)

    def begin(self, weights: Mapping[str, torch.Tensor], progress: float) -> None:
        """Enter an epoch; progress runs from 0 to 1."""
        for group in self.groups:
            group.begin(weights, progress)

    def eligible(self, n_members: int) -> np.ndarray:
        """Whose current epoch validation may choose, boolean (n_members,)."""
        allowed = np.ones(n_members, dtype=bool)
        for group in self.groups:
            allowed[group.members] = group.current.eligible
        return allowed

    def forward(
        self,
        base: torch.Tensor,
        z: torch.Tensor,
        logits: torch.Tensor,
        y: torch.Tensor,
        rows: torch.Tensor,
        viewed: torch.Tensor | None,
    ) -> torch.Tensor:
        """Loss of every member (n_members,) from the base loss and what the batch gave."""
        if self.clip is None or not len(self.groups):
            return base
        clip, total = self.clip[rows], base
        for group in self.groups:
            total = total.index_copy(0, group.index, group.loss(base, z, logits, y, clip, rows, viewed))
        return total

    @torch.no_grad()
    def backward(self, gradients: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """Between the gradients of the weights and the optimiser's step."""
        if any(group.adapter is not None for group in self.groups):
            found = gradients()
            for group in self.groups:
                group.backward(found)

    @torch.no_grad()
    def hold(self, weights: Mapping[str, torch.Tensor]) -> None:
        """After the optimiser's step."""
        for group in self.groups:
            group.hold(weights)

    def infer(self, logits: np.ndarray) -> np.ndarray:
        """Final class scores (n_members, n_trials, n_classes), changed where a strategy acts on them."""
        for group in self.groups:
            if group.strategy.infer is not None:
                for place, member in enumerate(group.members):
                    values, strength = group.class_values[place].cpu().numpy(), float(group.strength[place])
                    logits[member] = group.strategy.infer(logits[member], values, strength, **group.settings)
        return logits
