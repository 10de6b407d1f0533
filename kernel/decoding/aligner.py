"""Strategies at work on a stack of networks in training: their losses, targets, phases and adapters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from kernel.decoding.alignment import Alignment, Context, View
from kernel.decoding.losses import Batch

# Adapters. Their gradients follow from those of the weights they make, by the chain rule, so that the network
# itself need not know of them. `kept` are the weights (M, n_out, n_in) that they change, as these were.


class _LowRank(nn.Module):
    """Weights W + B A with A (rank, n_in) random and B (n_out, rank) zero at the start.

    Hu et al. (2022), LoRA, ICLR. arXiv:2106.09685
    """

    def __init__(
        self, kept: Mapping[str, torch.Tensor], rngs: Sequence[torch.Generator], *, rank: int
    ) -> None:
        super().__init__()
        self.names = _matrices(kept)
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
        factors = zip(self.names, self.a, self.b, strict=True)
        return {name: torch.baddbmm(kept[name], b, a) for name, a, b in factors}


class _Scales(nn.Module):
    """Hidden activations times 1 + s, s zero at the start: columns of the weights that read them.

    Liu et al. (2022), (IA)3, NeurIPS. arXiv:2205.05638
    """

    def __init__(self, kept: Mapping[str, torch.Tensor], rngs: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.names = [name for name in _matrices(kept) if name != "layers.0.weight"]  # it reads the input
        self.s = nn.ParameterList(torch.zeros_like(kept[name][:, 0]) for name in self.names)

    def backward(self, gradient: Mapping[str, torch.Tensor], kept: Mapping[str, torch.Tensor]) -> None:
        """Set the gradients of the scales from those of the weights."""
        for name, s in zip(self.names, self.s, strict=True):
            s.grad = (gradient[name] * kept[name]).sum(1)

    def weights(self, kept: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights that the scales make of the kept ones."""
        return {n: kept[n] * (1 + s.detach()[:, None]) for n, s in zip(self.names, self.s, strict=True)}


def _matrices(kept: Mapping[str, torch.Tensor]) -> list[str]:
    return sorted(name for name, value in kept.items() if value.ndim == 3)  # stacks list them otherwise


_ADAPTERS: dict[str, Callable[..., _LowRank | _Scales]] = {"low rank": _LowRank, "scales": _Scales}


# A stack in training


class _Group(nn.Module):
    """Members of a stack that share strategy and options, with what their loss needs."""

    def __init__(
        self,
        members: list[int],
        alignments: Sequence[Alignment],
        context: Context,
        weights: Mapping[str, torch.Tensor],
        rngs: Sequence[torch.Generator],
        smoothing: Sequence[float],
        teachers: Sequence[np.ndarray | None],
    ) -> None:
        super().__init__()
        first = weights["head.weight"]
        device, width = first.device, first.shape[-1]

        def tensor(array: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.as_tensor(np.asarray(array), dtype=dtype, device=device)

        self.strategy, self.settings = alignments[0].definition, alignments[0].settings()
        self.members, self.index = members, tensor(members, torch.long)
        self.weights, self.rngs = weights, rngs
        targets = [context.targets(a) for a in alignments]
        self.fixed: dict[str, torch.Tensor] = {
            "values": tensor(targets),  # (G, n_clips, k)
            "class_values": tensor([context.class_means(t)[:, 0] for t in targets]),
            "strength": tensor([a.dose for a in alignments]),
            "smoothing": tensor(smoothing),
        }
        if self.strategy.emotion_weight is not None:
            weight = tensor(self.strategy.emotion_weight(context))
            self.fixed["emotion_weight"] = weight.expand(len(members), -1)
        self.teacher: torch.Tensor | None = None
        if self.strategy.teacher is not None:
            self.teacher = tensor(np.stack(cast(Sequence[np.ndarray], teachers)))
        self.views: list[View] | None = None
        if self.strategy.view is not None:
            self.views = [self.strategy.view(context, t, **self.settings) for t in targets]
        self.free = nn.ParameterDict()
        if "head" in self.strategy.auxiliary:
            k = targets[0].shape[-1]
            draws = [torch.randn(width, k, generator=rng) / math.sqrt(width) for rng in self.rngs]
            self.free["weight"] = nn.Parameter(torch.stack(draws).to(device))
            self.free["bias"] = nn.Parameter(torch.zeros(len(members), k, device=device))
        if "log_variance" in self.strategy.auxiliary:
            self.free["log_variance"] = nn.Parameter(torch.zeros(len(members), 2, device=device))
        self.adapter: _LowRank | _Scales | None = None
        if self.strategy.adapter is not None:
            self.adapter = _ADAPTERS[self.strategy.adapter](self._own(weights), self.rngs, **self.settings)
        self.kept: dict[str, torch.Tensor] = {}
        self.current, self.frozen = self.strategy.phase(0.0), "nothing"

    def _own(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: value[self.index] for name, value in weights.items()}

    @torch.no_grad()
    def start(self) -> None:
        """Change the members' initial weights."""
        if self.strategy.start is None:
            return
        for place, member in enumerate(self.members):
            state = {name: value[member] for name, value in self.weights.items()}
            values, strength = self.fixed["class_values"][place], float(self.fixed["strength"][place])
            self.strategy.start(state, values, strength, self.rngs[place])

    def loss(
        self,
        base: torch.Tensor,
        batch: Mapping[str, torch.Tensor],
        rows: torch.Tensor,
        viewed: torch.Tensor | None,
    ) -> torch.Tensor:
        """The members' whole loss (G,)."""
        base = base[self.index]
        if self.strategy.loss is None or self.current.extra == 0:
            return self.current.base * base
        seen = self._own(batch)
        if self.views is not None and viewed is not None:
            seen["z"] = viewed[self.index]
        if self.teacher is not None:
            place = rows[self.index][..., None].expand(-1, -1, self.teacher.shape[-1])
            seen["teacher"] = self.teacher.gather(1, place)
        whole_batch = Batch(**seen, **self.fixed, parameters=dict(self.free))
        extra = self.strategy.loss(whole_batch, **self.strategy.loss_options(self.settings))
        return self.strategy.combine(base, extra, whole_batch, self.current)

    def begin(self, progress: float) -> None:
        """Enter the phase of this time; what it holds fixed is remembered as it is now."""
        self.current = self.strategy.phase(progress)
        if self.current.frozen != self.frozen:
            self.frozen = self.current.frozen
            own = self._own(self.weights)
            encoder = {name: value for name, value in own.items() if not name.startswith("head.")}
            self.kept = {"nothing": {}, "encoder": encoder, "all": own}[self.frozen]

    def backward(self, gradients: Mapping[str, torch.Tensor]) -> None:
        """Hand the gradients of the weights on to the adapter."""
        if self.adapter is not None and self.kept:
            self.adapter.backward(
                self._own({name: gradients[name] for name in self.adapter.names}), self.kept
            )

    def hold(self) -> None:
        """Undo what a step did to weights that are held fixed, and put in what the adapter makes of them."""
        made = self.kept
        if self.adapter is not None and self.kept:
            made = {**made, **self.adapter.weights(self.kept)}
        for name, value in made.items():
            self.weights[name][self.index] = value


class Aligner(nn.Module):
    """The strategies of a stack in training: one or None for every member.

    Where a member is aligned, there are the context of the cohort, the weights of the stack by the names of a
    single network (n_members, ...), and, of every member, a generator, the label smoothing, and the logits of
    its teacher, if it has one.
    """

    def __init__(
        self,
        alignments: Sequence[Alignment | None],
        context: Context | None = None,
        weights: Mapping[str, torch.Tensor] | None = None,
        rngs: Sequence[torch.Generator] = (),
        smoothing: Sequence[float] = (),
        teachers: Sequence[np.ndarray | None] = (),
    ) -> None:
        super().__init__()
        self.n_members, self.groups = len(alignments), cast(Any, nn.ModuleList())
        self.mixing: torch.Tensor | None = None
        alike: dict[tuple[Any, ...], dict[int, Alignment]] = {}
        for member, a in enumerate(alignments):
            if a is not None and a.active:
                alike.setdefault((a.strategy, *a.settings().values()), {})[member] = a
        if not alike or context is None or weights is None:
            return
        device = weights["head.weight"].device
        self.clip = torch.tensor(context.clip, device=device)
        for part in alike.values():
            own: Any = ([values[member] for member in part] for values in (rngs, smoothing, teachers))
            self.groups.append(_Group(list(part), list(part.values()), context, weights, *own))
        viewed = [group for group in self.groups if group.views is not None]
        mixing = torch.eye(len(context.channels), device=device).repeat(self.n_members, 1, 1)
        self.bands = torch.ones(self.n_members, len(context.bands), device=device)
        for group in viewed:
            for member, (channels, bands) in zip(group.members, group.views, strict=True):
                mixing[member] = torch.as_tensor(channels, dtype=torch.float32)
                self.bands[member] = torch.as_tensor(bands, dtype=torch.float32)
        self.mixing = mixing if viewed else None
        for group in self.groups:
            group.start()

    def view(self, x: torch.Tensor) -> torch.Tensor | None:
        """The part of inputs (n_members, n, n_channels, n_windows, n_bands) that is targeted, if any is."""
        targeted = any(group.views is not None and group.current.extra for group in self.groups)
        if self.mixing is None or not targeted:
            return None
        members, n, n_channels, n_windows, n_bands = x.shape
        x = x * self.bands[:, None, None, None]
        mixed = torch.bmm(self.mixing, x.transpose(1, 2).reshape(members, n_channels, -1))
        return mixed.view(members, n_channels, n, n_windows, n_bands).transpose(1, 2)

    def begin(self, progress: float) -> None:
        """Enter an epoch; progress runs from 0 to 1."""
        for group in self.groups:
            group.begin(progress)

    def eligible(self) -> np.ndarray:
        """Whose current epoch validation may choose, boolean (n_members,)."""
        allowed = np.ones(self.n_members, dtype=bool)
        for group in self.groups:
            allowed[group.members] = group.current.eligible
        return allowed

    def forward(
        self,
        base: torch.Tensor,
        batch: Mapping[str, torch.Tensor],
        rows: torch.Tensor,
        viewed: torch.Tensor | None,
    ) -> torch.Tensor:
        """Loss of every member (n_members,) from the base loss and the ``z``, ``logits``, ``y`` of a batch.

        `rows` (n_members, n) are its trials, `viewed` the features of what `view` gave.
        """
        total = base
        for group in self.groups:
            loss = group.loss(base, {**batch, "clip": self.clip[rows]}, rows, viewed)
            total = total.index_copy(0, group.index, loss)
        return total

    @torch.no_grad()
    def backward(self, gradients: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """Between the gradients of the weights and the optimiser's step."""
        if any(group.adapter is not None for group in self.groups):
            of_weights = gradients()
            for group in self.groups:
                group.backward(of_weights)

    @torch.no_grad()
    def hold(self) -> None:
        """After the optimiser's step."""
        for group in self.groups:
            group.hold()

    def infer(self, logits: np.ndarray) -> np.ndarray:
        """Final class scores (n_members, n_trials, n_classes), changed where a strategy acts on them."""
        for group in self.groups:
            if group.strategy.infer is not None:
                values = group.fixed["class_values"].cpu().numpy()
                for place, member in enumerate(group.members):
                    strength = float(group.fixed["strength"][place])
                    logits[member] = group.strategy.infer(
                        logits[member], values[place], strength, **group.settings
                    )
        return logits
