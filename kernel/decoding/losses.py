"""Losses that pull features or predictions towards values of clips, for many networks at once.

A loss takes a `Batch` of M members, n trials, d features and C classes, and gives one number a member (M,);
:func:`~kernel.decoding.alignment.strategies_table` has the formulas. Values are standardised over clips, so
that a strength means the same whatever their unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

# Added under square roots: gradients stay finite where features are zero, and change in the seventh digit
# where they are of order one.
_EPS = 1e-8


@dataclass(frozen=True, eq=False)
class Batch:
    """What a loss may look at, of M members, n trials, d features and C classes.

    `z` (M, n, d) are penultimate features, of the restricted input for strategies that target channels;
    `logits` (M, n, C) class scores; `y` and `clip` (M, n) the class of each trial, and the number of its clip
    from 0. `values` (M, n_clips, k) are the target of each clip, k being 1 but for several models;
    `class_values` (M, C) the mean target of each class, of the first column. `strength` and `smoothing` (M,)
    are that of the strategy and the label smoothing of the base loss. `parameters` are trained with the
    network: ``weight`` (M, d, k) and ``bias`` (M, k) of an auxiliary head, ``log_variance`` (M, 2).
    `emotion_weight` (M, C) weighs the trials of each class; `teacher` (M, n, C) are logits of another
    network.
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
        return self.values.gather(1, self.clip[..., None].expand(-1, -1, self.values.shape[-1]))

    @property
    def clip_value(self) -> torch.Tensor:
        """First value of each trial's clip (M, n)."""
        return self.values[..., 0].gather(1, self.clip)

    @property
    def class_value(self) -> torch.Tensor:
        """Mean value of each trial's class (M, n)."""
        return self.class_values.gather(1, self.y)


# Regression


def _regression(batch: Batch) -> torch.Tensor:
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


def _expected_valence(batch: Batch) -> torch.Tensor:
    r"""Squared error of the value that the predicted probabilities expect.

    .. math:: \frac1n \sum_i \Bigl(\sum_k p_{ik} \bar v_k - v_{c_i}\Bigr)^2

    with class means :math:`\bar v_k`; it reads the logits, so that it reaches a head that is tuned alone.
    """
    expected = (batch.logits.softmax(-1) * batch.class_values[:, None]).sum(-1)
    return ((expected - batch.clip_value) ** 2).mean(-1)


# Relations between trials


def _rsa(batch: Batch) -> torch.Tensor:
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


def _cka(batch: Batch) -> torch.Tensor:
    r"""One minus linear centred kernel alignment of features and values.

    .. math:: 1 - \frac{\lVert Z^\top v \rVert^2}{\lVert Z^\top Z \rVert_F\, \lVert v \rVert^2}

    with columns centred over the batch. Kornblith et al. (2019), ICML. arXiv:1905.00414
    """
    z = batch.z - batch.z.mean(1, keepdim=True)
    v = batch.clip_value - batch.clip_value.mean(1, keepdim=True)
    together = (torch.bmm(z.mT, v[..., None]) ** 2).sum((1, 2))
    alone = torch.sqrt((torch.bmm(z.mT, z) ** 2).sum((1, 2)) + _EPS)
    return 1 - together / (alone * (v**2).sum(1) + _EPS)


def _procrustes(batch: Batch) -> torch.Tensor:
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


# Soft labels


def _distance_cross_entropy(batch: Batch) -> torch.Tensor:
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


def _soft_label_kd(batch: Batch, *, temperature: float) -> torch.Tensor:
    r"""Divergence from soft labels to a softened prediction.

    .. math:: T^2\, \mathrm{KL}\bigl(q \,\Vert\, \mathrm{softmax}(\ell / T)\bigr), \quad
        q_{ik} \propto \exp(-|v_{c_i} - \bar v_k| / T)

    Hinton et al. (2015). arXiv:1503.02531
    """
    distance = (batch.clip_value[..., None] - batch.class_values[:, None]).abs()
    return _distillation(batch.logits, (-distance / temperature).softmax(-1), temperature)


def _teacher_kd(batch: Batch, *, temperature: float, teacher_strength: float) -> torch.Tensor:
    """The same divergence from the softened logits of a teacher."""
    assert batch.teacher is not None
    return _distillation(batch.logits, (batch.teacher / temperature).softmax(-1), temperature)


def _distillation(logits: torch.Tensor, soft: torch.Tensor, temperature: float) -> torch.Tensor:
    log_p = (logits / temperature).log_softmax(-1)
    return temperature**2 * F.kl_div(log_p, soft, reduction="none").sum(-1).mean(-1)


# Contrasts


def _weighted_supcon(z: torch.Tensor, weight: torch.Tensor, temperature: float) -> torch.Tensor:
    r"""Supervised contrastive loss of features (M, n, d) with a weight for every pair (M, n, n).

    .. math:: -\frac1n \sum_i \frac{\sum_{j \ne i} w_{ij} \log s_{ij}}{\sum_{j \ne i} w_{ij}}, \quad
        s_{ij} = \frac{\exp(\cos(z_i, z_j) / \tau)}{\sum_{l \ne i} \exp(\cos(z_i, z_l) / \tau)}

    Weights of 1 within and 0 between classes give the loss of Khosla et al. (2020), NeurIPS.
    arXiv:2004.11362. Trials without any weighted partner do not count.
    """
    cosine, self_pair = _cosines(z, temperature)
    weight = weight.masked_fill(self_pair, 0)
    log_s = cosine - _log_sum(cosine, ~self_pair.expand_as(cosine))
    total = weight.sum(-1)
    each = -(weight * log_s).sum(-1) / total.clamp(min=_EPS)
    counted = total > 0
    return (each * counted).sum(-1) / counted.sum(-1).clamp(min=1)


def _supcon_class(batch: Batch, *, temperature: float, width: float) -> torch.Tensor:
    r"""`_weighted_supcon` with :math:`w_{ij} = \exp(-(\bar v_{y_i} - \bar v_{y_j})^2 / 2 h^2)`."""
    return _weighted_supcon(batch.z, _nearness(batch.class_value, width), temperature)


def _supcon_clip(batch: Batch, *, temperature: float, width: float) -> torch.Tensor:
    r"""`_weighted_supcon` with :math:`w_{ij} = \exp(-(v_{c_i} - v_{c_j})^2 / 2 h^2)`."""
    return _weighted_supcon(batch.z, _nearness(batch.clip_value, width), temperature)


def _info_nce(batch: Batch, *, temperature: float) -> torch.Tensor:
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


LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "regression": _regression,
    "expected_valence": _expected_valence,
    "rsa": _rsa,
    "cka": _cka,
    "procrustes": _procrustes,
    "distance_ce": _distance_cross_entropy,
    "soft_label_kd": _soft_label_kd,
    "distilled_teacher": _teacher_kd,
    "supcon_class": _supcon_class,
    "supcon_clip": _supcon_clip,
    "info_nce": _info_nce,
}
"""Losses by name, each a function of a `Batch` and its options that gives one number a member (M,)."""
