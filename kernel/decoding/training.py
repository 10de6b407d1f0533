"""Training of networks in stacks: what a training is, what its outputs stand for, and the loop over batches.

Members of a stack share their schedule. Those of one seed share initial weights and the order of batches
whatever their recipe, so that recipes are compared in pairs; a member's dropout and augmentation come from
generators of its own, so that its result does not depend on its company.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from kernel import checks
from kernel.decoding import networks
from kernel.decoding.aligner import Aligner
from kernel.decoding.alignment import Alignment
from kernel.metrics import balanced_accuracy

LABELS = ("classes", "moments")

AUGMENTATIONS = ("none", "paper")
AUGMENTATION_SIZES: dict[str, float] = {
    "noise": 0.05, "channel_dropout": 0.15, "amplitude": 0.1, "jitter": 1, "time_masking": 0.05,
    "probability": 0.6,
}  # fmt: skip
"""Sizes of the augmentation ``paper``: noise, channel dropout, time masking and probability as published, the
sizes of amplitude scaling and jitter, which are not, ours.

- ``noise``: standard deviation of added Gaussian noise, in standard deviations of the training inputs.
- ``channel_dropout``, ``time_masking``: probability that a channel, or a window, is set to zero, the mean.
- ``amplitude``: a sample is multiplied by a uniform draw from [1 - amplitude, 1 + amplitude].
- ``jitter``: circular shift by up to so many windows to either side.
- ``probability``: of augmenting a sample at all.

Jitter and time masking leave samples of a single window as they are.
"""

# Independent streams of random numbers of one seed.
INITIAL, ORDER, DROPOUT, AUGMENTATION, PROTOTYPES, ALIGNMENT = range(6)
_EVALUATION_ROWS = 1024  # bounds the memory of an evaluation


@dataclass(frozen=True)
class TrainingSpec:
    """All that decides one training, given the data.

    Attributes
    ----------
    network, options : str and mapping
        A name of :data:`kernel.decoding.networks.NETWORKS`, and its options.
    n_windows : int
        Time steps into which a segment is averaged; 1 gives its mean.
    labels : {"classes", "moments"}
        What the last layer tells apart: classes; or every segment of every clip, a moment of a film, from
        every other. The score of a class is then the log of the sum of exponentials over its moments, so that
        the network learns no class, only which moments each has.
    epochs, batch_size : int
        Passes over the training set and samples a step.
    learning_rate, weight_decay, warmup_epochs : float, float, int
        Of AdamW; the rate rises linearly over the warm-up, then falls to zero along a cosine.
    label_smoothing : float
        Share of the target spread evenly over the classes, below 1.
    augmentation : {"none", "paper"}
        The latter has the sizes of :data:`AUGMENTATION_SIZES`.
    kd, kd_weight, kd_temperature : {None, "llm", "random"}, float, float
        Auxiliary loss towards class prototypes, those given to `train_bank` or random orthonormal ones. With
        z the penultimate features, A a learned linear map and p_k the centred prototypes, it is the cross
        entropy of the label under softmax_k(cos(A z, p_k) / temperature).
    alignment : Alignment, optional
        A strategy that pulls the training towards the values given to `train_bank` as ``valence``. Initial
        weights, batches, dropout and augmentation stay those of the training without it.
    seed : int
        Of initial weights, batch order, dropout, augmentation, random prototypes and what an alignment draws,
        each its own stream.
    recipe : str
        Label for tables; does not affect training.
    """

    network: str = "mlp"
    options: Mapping[str, Any] = field(default_factory=dict)
    n_windows: int = 1
    labels: str = "classes"
    epochs: int = 100
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup_epochs: int = 5
    label_smoothing: float = 0.1
    augmentation: str = "none"
    kd: str | None = None
    kd_weight: float = 0.5
    kd_temperature: float = 1.0
    alignment: Alignment | None = None
    seed: int = 0
    recipe: str = ""

    def __post_init__(self) -> None:
        networks.network_options(self.network, self.options)
        checks.choice("labels", self.labels, LABELS)
        checks.choice("augmentation", self.augmentation, AUGMENTATIONS)
        checks.choice("kd", self.kd, (None, "llm", "random"))
        for name, least in (("n_windows", 1), ("epochs", 1), ("batch_size", 1), ("seed", 0)):
            checks.count(name, getattr(self, name), least)
        checks.count(f"warmup_epochs of {self.epochs} epochs", self.warmup_epochs, 0, self.epochs - 1)
        checks.between("label_smoothing", self.label_smoothing, 0, 1, closed="low")
        for name in ("learning_rate", "kd_temperature"):
            checks.between(name, getattr(self, name), 0, math.inf)
        for name in ("weight_decay", "kd_weight"):
            checks.between(name, getattr(self, name), 0, math.inf, closed="low")
        if not isinstance(self.alignment, Alignment | None):
            raise ValueError(f"alignment must be an Alignment or None, got {self.alignment!r}")
        if self.labels == "moments" and self.alignment is not None and self.alignment.definition.start:
            raise ValueError(
                f"{self.alignment.strategy!r} sets the weights of classes, labels='moments' has none: choose "
                "labels='classes' or another strategy"
            )

    def active_alignment(self) -> Alignment | None:
        """The alignment, None if its strength is zero."""
        return self.alignment if self.alignment is not None and self.alignment.active else None

    def content(self) -> dict[str, Any]:
        """What decides the training, as plain values; equal for specs that train alike."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "recipe"}
        options = networks.network_options(self.network, self.options)
        values["options"] = {k: list(v) if isinstance(v, list | tuple) else v for k, v in options.items()}
        alignment = self.active_alignment()
        values["alignment"] = alignment.content() if alignment is not None else None
        for name in ("learning_rate", "weight_decay", "label_smoothing", "kd_weight", "kd_temperature"):
            values[name] = float(values[name])
        return values

    def seed_of(self, stream: int) -> int:
        """Seed of one of the independent streams of random numbers."""
        return int(np.random.SeedSequence([self.seed, stream]).generate_state(1, np.uint32)[0])

    def generator(self, stream: int, device: torch.device | str = "cpu") -> torch.Generator:
        """A generator at the start of one of the streams."""
        return torch.Generator(device).manual_seed(self.seed_of(stream))


def build_member(spec: TrainingSpec, shape: tuple[int, int], n_outputs: int) -> nn.Module:
    """The untrained network of a spec, for inputs of so many channels and bands."""
    return networks.build(
        spec.network, n_channels=shape[0], n_bands=shape[1], n_windows=spec.n_windows, n_classes=n_outputs,
        random_state=spec.seed_of(INITIAL), **spec.options,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Labels:
    """What the outputs of a network stand for.

    `code` (n,) is the output that each trial should have and `y` (n,) its class; `class_of` (n_outputs,) is
    the class of each output.
    """

    code: np.ndarray
    y: np.ndarray
    class_of: np.ndarray
    n_classes: int

    @classmethod
    def of_classes(cls, y: np.ndarray, n_classes: int) -> Labels:
        """One output for each class."""
        return cls(y, y, np.arange(n_classes), n_classes)

    @classmethod
    def of_trials(cls, trials: pd.DataFrame, n_classes: int, kind: str) -> Labels:
        """Classes or moments of the trials of a bank; moments are those that training trials show."""
        y = trials["y"].to_numpy()
        if kind == "classes":
            return cls.of_classes(y, n_classes)
        place = (trials["clip"] * (1 + trials["segment"].max()) + trials["segment"]).to_numpy()
        train = np.flatnonzero(trials["set"] == "train")
        moments, first = np.unique(place[train], return_index=True)
        # no loss ever reads the label of a moment that training does not show
        code = np.minimum(np.searchsorted(moments, place), len(moments) - 1)
        return cls(code, y, y[train][first], n_classes)

    def class_scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Scores (..., n_classes) from logits (..., n_outputs): log-sum-exp over the outputs of a class."""
        if len(self.class_of) == self.n_classes:
            return logits
        outputs = torch.as_tensor(self.class_of, device=logits.device)
        return torch.stack([logits[..., outputs == k].logsumexp(-1) for k in range(self.n_classes)], -1)


class Single(nn.Module):
    """One network in the form of a stack of one."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.features(x[0])[None]

    def head(self, z: torch.Tensor) -> torch.Tensor:
        return self.network.head(z[0])[None]

    def weights(self, what: str = "data") -> dict[str, torch.Tensor]:
        return {name: getattr(p, what)[None] for name, p in self.network.named_parameters()}

    def states(self) -> list[dict[str, torch.Tensor]]:
        return [{name: value.detach() for name, value in self.network.state_dict().items()}]


class _Training(NamedTuple):
    """Course of a stack's training: balanced accuracy on validation and mean loss (n_members, n_epochs), the
    epoch chosen (n_members,) and the weights at it, and the optimiser, with which another may go on."""

    validation: np.ndarray
    losses: np.ndarray
    epoch: np.ndarray
    states: list[dict[str, torch.Tensor]]
    optimiser: torch.optim.Optimizer


def optimise(
    model: Any,
    specs: Sequence[TrainingSpec],
    inputs: torch.Tensor,
    labels: Labels,
    rows: Mapping[str, np.ndarray],
    *,
    targets: Sequence[np.ndarray | None] | None = None,
    aligner: Aligner | None = None,
    optimiser: torch.optim.Optimizer | None = None,
    progress: bool = False,
) -> _Training:
    """Train a stack of members that share their schedule; leaves the chosen weights in the model.

    `model`, a stack of networks or a Single, has one of `specs` for each member and is on the device of the
    inputs (n, n_channels, n_windows, n_bands). `rows` are trials of ``train``, and of ``validation``, on
    which the epoch is chosen; without any the last is taken. `targets` are prototypes of each member, rows of
    length one. `optimiser` is one that goes on, by default a new AdamW.
    """
    shared, members, device = specs[0], len(specs), inputs.device
    aligner = Aligner([None] * members) if aligner is None else aligner
    code, y = (torch.tensor(values, device=device) for values in (labels.code, labels.y))
    train = torch.tensor(rows["train"], device=device)
    held = torch.tensor(rows.get("validation", []), dtype=torch.long, device=device)
    orders = [spec.generator(ORDER) for spec in specs]
    sd = float(inputs[train].std(correction=0)) if len(train) > 1 else 0.0
    augment = _Augmentation(specs, sd, device)
    loss_of = _Loss(specs, targets or [None] * members, model, device)
    networks.use_generators(model, [spec.generator(DROPOUT, device) for spec in specs])

    if optimiser is None:
        parameters = [*model.parameters(), *loss_of.parameters(), *aligner.parameters()]
        fused = device.type in ("cpu", "cuda")  # its rate is set at every step
        optimiser = torch.optim.AdamW(parameters, weight_decay=shared.weight_decay, fused=fused)
    rate = _schedule(shared, math.ceil(len(train) / shared.batch_size))
    validation, losses = np.zeros((members, shared.epochs)), np.zeros((members, shared.epochs))
    best, chosen_epoch = np.full(members, -1.0), np.full(members, shared.epochs - 1)
    states: list[dict[str, torch.Tensor]] = [{} for _ in specs]
    finite = np.ones(members, bool)  # whether the scores of the chosen weights are numbers
    step = 0
    for epoch in tqdm(range(shared.epochs), desc=shared.network, leave=False, disable=not progress):
        model.train()
        aligner.begin(epoch / shared.epochs)
        order = torch.stack([torch.randperm(len(train), generator=g) for g in orders]).to(device)
        total = torch.zeros(members, device=device)
        for batch in order.split(shared.batch_size, dim=1):  # (n_members, n)
            chosen = train[batch]
            seen = augment(inputs[chosen])
            z = model.features(seen)
            logits = model.head(z)
            loss = loss_of(z, logits, code[chosen], y[chosen])  # (n_members,)
            batch_of = {"z": z, "logits": labels.class_scores(logits), "y": y[chosen]}
            loss = aligner(loss, batch_of, chosen, _viewed(model, aligner.view(seen)))
            optimiser.param_groups[0]["lr"] = rate(step)
            optimiser.zero_grad()
            loss.sum().backward()  # the gradient of a member's part reaches its own weights only
            aligner.backward(lambda: model.weights("grad"))
            optimiser.step()
            aligner.hold()
            total += loss.detach() * batch.shape[1]
            step += 1
        losses[:, epoch] = (total / len(train)).cpu().numpy()
        if not len(held):
            continue
        scores = evaluate(model, inputs[held], members, labels)[0]
        validation[:, epoch] = balanced_accuracy(labels.y[rows["validation"]], scores.argmax(-1))
        better = np.flatnonzero((validation[:, epoch] > best) & aligner.eligible())
        if len(better):
            current = model.states()
            for member in better:
                states[member] = {name: value.clone() for name, value in current[member].items()}
            best[better], chosen_epoch[better] = validation[better, epoch], epoch
            finite[better] = np.isfinite(scores[better]).all((1, 2))
    if len(held):
        _restore(model, states)
    else:  # the last weights: a loss is that before its step
        finite = np.isfinite(evaluate(model, inputs[train], members, labels)[0]).all((1, 2))
    if not finite.all():
        lost = int(np.argmin(finite))
        raise ValueError(
            f"member {lost} diverged, its scores are no numbers: standardise the features, or lower "
            f"learning_rate={specs[lost].learning_rate:g}"
        )
    return _Training(validation, losses, chosen_epoch, states, optimiser)


def _schedule(spec: TrainingSpec, steps_per_epoch: int) -> Callable[[int], float]:
    """Learning rate by step: a linear rise, then half a cosine down to zero."""
    rise, total = spec.warmup_epochs * steps_per_epoch, spec.epochs * steps_per_epoch

    def rate(step: int) -> float:
        if step < rise:
            return spec.learning_rate * (step + 1) / rise
        return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / (total - rise)))

    return rate


def _viewed(model: Any, part: torch.Tensor | None) -> torch.Tensor | None:
    """Features of a part of the inputs, without dropout: it draws nothing, and so changes no later draw."""
    if part is None:
        return None
    model.eval()
    features = model.features(part)
    model.train()
    return features


@torch.no_grad()
def evaluate(model: Any, inputs: torch.Tensor, members: int, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Scores of classes and features (n_members, n, ...) without dropout."""
    model.eval()
    logits, features = [], []
    for part in inputs.split(_EVALUATION_ROWS):
        z = model.features(part.expand(members, *part.shape))
        features.append(z.cpu())
        logits.append(labels.class_scores(model.head(z)).cpu())
    return torch.cat(logits, 1).numpy(), torch.cat(features, 1).numpy()


@torch.no_grad()
def _restore(model: Any, states: Sequence[Mapping[str, torch.Tensor]]) -> None:
    for current, kept in zip(model.states(), states, strict=True):
        for name, value in current.items():
            value.copy_(kept[name])  # a view of the model's own weights


class _Loss(nn.Module):
    """Cross entropy with label smoothing plus the loss towards prototypes, one number for each member."""

    def __init__(
        self,
        specs: Sequence[TrainingSpec],
        targets: Sequence[np.ndarray | None],
        model: Any,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.smoothing = torch.tensor([spec.label_smoothing for spec in specs], device=device)[:, None]
        chosen = [(m, specs[m], p) for m, p in enumerate(targets) if p is not None]
        self.helped = torch.tensor([m for m, *_ in chosen], device=device)
        self.maps = None
        if not chosen:
            return
        width = model.weights()["head.weight"].shape[-1]
        starts = [
            torch.randn(width, len(p), generator=spec.generator(PROTOTYPES)) / math.sqrt(width)
            for _, spec, p in chosen
        ]
        self.maps = nn.Parameter(torch.stack(starts).to(device))
        self.prototypes = torch.tensor(np.stack([p for *_, p in chosen]), dtype=torch.float32, device=device)
        self.weight = torch.tensor([spec.kd_weight for _, spec, _ in chosen], device=device)
        temperatures = torch.tensor([spec.kd_temperature for _, spec, _ in chosen], device=device)
        self.temperature = temperatures[:, None, None]

    def forward(
        self, z: torch.Tensor, logits: torch.Tensor, code: torch.Tensor, y: torch.Tensor
    ) -> torch.Tensor:
        log_p = F.log_softmax(logits, -1)
        hit = log_p.gather(-1, code[..., None]).squeeze(-1)  # (n_members, n)
        loss = -((1 - self.smoothing) * hit + self.smoothing * log_p.mean(-1)).mean(-1)
        if self.maps is None:
            return loss
        placed = F.normalize(torch.bmm(z[self.helped], self.maps), dim=-1)
        cosine = torch.bmm(placed, self.prototypes.mT)  # (n_helped, n, n_classes)
        near = F.log_softmax(cosine / self.temperature, -1).gather(-1, y[self.helped][..., None])
        return loss.index_add(0, self.helped, -self.weight * near.mean((1, 2)))


class _Augmentation:
    """Random changes of training inputs (n_members, n, n_channels, n_windows, n_bands), where asked for.

    Each member draws its numbers from its own generator; the rest is computed for all at once.
    """

    def __init__(self, specs: Sequence[TrainingSpec], sd: float, device: torch.device) -> None:
        active = [m for m, spec in enumerate(specs) if spec.augmentation == "paper"]
        self.members, self.all = torch.tensor(active, device=device), len(active) == len(specs)
        self.generators = [specs[m].generator(AUGMENTATION, device) for m in active]
        self.size = {name: torch.tensor(float(v), device=device) for name, v in AUGMENTATION_SIZES.items()}
        self.noise = self.size["noise"] * sd

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if not self.generators:
            return x
        if self.all:
            return self._change(x)
        x[self.members] = self._change(x[self.members])  # x was gathered for this step: it is ours
        return x

    def _change(self, x: torch.Tensor) -> torch.Tensor:
        members, n, n_channels, n_windows, _ = x.shape
        noise = torch.empty_like(x)
        draws = torch.empty(members, n, 3 + n_channels + n_windows, device=x.device)
        for m, generator in enumerate(self.generators):
            noise[m].normal_(generator=generator)
            draws[m].uniform_(generator=generator)
        apply = draws[..., 0] < self.size["probability"]  # (n_members, n)
        factor = 1 + self.size["amplitude"] * (2 * draws[..., 1] - 1)
        channels = draws[..., 3 : 3 + n_channels] >= self.size["channel_dropout"]
        change = torch.where(apply[..., None], factor[..., None] * channels, 1.0)[..., None, None]
        x = torch.addcmul(x, noise, self.noise * apply[..., None, None, None])
        if n_windows > 1:
            seen = draws[..., 3 + n_channels :] >= self.size["time_masking"]
            change = change * torch.where(apply[..., None], seen, True)[:, :, None, :, None]
            span = 2 * self.size["jitter"] + 1
            shift = ((draws[..., 2] * span).floor() - self.size["jitter"]).long() * apply
            places = torch.arange(n_windows, device=x.device) - shift[..., None]
            x = x.gather(3, (places % n_windows)[:, :, None, :, None].expand_as(x))
        return x * change
