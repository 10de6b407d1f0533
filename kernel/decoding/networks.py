"""Registry of EEG classifiers under one protocol, and the linear baselines they are judged against.

Networks have ``features(x) -> (n, d)``, the penultimate layer, and ``forward(x)``, the logits
``head(features(x))``. Inputs are differential entropies ``(n, n_channels, n_windows, n_bands)``, for those of
:data:`RAW` signals ``(n, n_channels, n_samples)``. Trainable parameters for 32 channels, 5 bands, one window
and 9 classes:

- ``mlp``, 29,449: 160-128-64-9.
- ``axial``, 4,554: one block of width 16 with two heads, over channels; over time from two windows on.
- ``cbramod``, 4,925,609: criss-cross transformer on raw EEG at 200 Hz, through braindecode.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from sklearn.base import ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from kernel import checks

CBRAMOD_HUB = "braindecode/cbramod-pretrained"
CBRAMOD_RATE = 200  # Hz, and samples in a patch
HOW_TO_INSTALL = (
    "cbramod needs braindecode: pip install 'valence-axis[models]'. If braindecode is installed and "
    "torchaudio fails to load, the cause is a torchaudio built for another torch (CUDA beside a CPU build): "
    "remove the compiled files torchaudio/lib/*.so, after which it falls back to Python, or install the "
    "torchaudio build of your torch."
)
LINEAR_BASELINES = ("lda", "logistic")


def linear_baseline(name: str) -> ClassifierMixin:
    """A linear classifier of flat features, not fitted, to stand beside every network.

    ``lda`` is linear discriminant analysis with the Ledoit-Wolf shrinkage of its covariance
    (doi:10.1016/S0047-259X(03)00096-4), ``logistic`` multinomial logistic regression on standardised
    features, with a ridge penalty of 10. Neither draws random numbers.
    """
    if checks.choice("linear baseline", name, LINEAR_BASELINES) == "lda":
        # centred first: its constants are products of class means, which an offset would swamp
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        return make_pipeline(StandardScaler(with_std=False), lda)
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))


# Parts


class _Dropout(nn.Module):
    """Dropout that can give each member of a stack random numbers of its own.

    The share `p` of values set to zero is rounded to 1/256: one random byte decides each value, and the
    others are scaled by what the rounded share demands. `generators`, set by `use_generators`, has one for
    each slice along the first axis, or one for the whole input; None draws from torch's global state.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = checks.between("dropout", p, 0, 1, closed="low")
        self.generators: Sequence[torch.Generator | None] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        threshold = round(256 * self.p)
        if not self.training or threshold == 0:
            return x
        generators = self.generators or [None]
        size = x.numel() // len(generators)
        # whole words cost an eighth of single bytes
        words = torch.empty(len(generators), -(-size // 8), dtype=torch.int64, device=x.device)
        for row, generator in zip(words, generators, strict=True):
            row.random_(-(2**63), None, generator=generator)
        keep = words.view(torch.uint8)[:, :size].reshape(x.shape) >= threshold
        return x * (keep * (256 / (256 - threshold)))


def use_generators(network: nn.Module, generators: Sequence[torch.Generator] | None) -> None:
    """Let every `_Dropout` of a network draw from these generators; None returns to torch's global state."""
    for module in network.modules():
        if isinstance(module, _Dropout):
            module.generators = generators


class _Attention(nn.Module):
    """Multi-head self-attention over the last but one axis, whose tokens have length `width`.

    `length`, the number of tokens, gives every head a learned bias for every relative position.
    """

    def __init__(self, width: int, heads: int, length: int | None = None) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}: change one of them")
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias: nn.Parameter | None = None
        self.offset: torch.Tensor
        if length is not None:
            self.bias = nn.Parameter(torch.zeros(heads, 2 * length - 1))
            places = torch.arange(length)
            self.register_buffer("offset", places[:, None] - places + length - 1, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *batch, length, width = x.shape
        parts = self.qkv(x).view(-1, length, 3, self.heads, width // self.heads)
        bias = None if self.bias is None else self.bias[:, self.offset]
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each (n, heads, length, width / heads)
        # on an accelerator the fused gradients are summed in any order: no run would equal another
        with nullcontext() if x.is_cpu else sdpa_kernel(SDPBackend.MATH):
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(mixed.transpose(1, 2).reshape(*batch, length, width))


class _AxialBlock(nn.Module):
    """Attention over channels, attention over windows, feed-forward; layer norm before each, residual around.

    With a single window there is no time to attend to and that part is left out.
    """

    def __init__(self, width: int, heads: int, n_windows: int, dropout: float) -> None:
        super().__init__()
        self.channel_norm, self.channel_attention = nn.LayerNorm(width), _Attention(width, heads)
        self.time_norm: nn.LayerNorm | None = None
        self.time_attention: _Attention | None = None
        if n_windows > 1:
            self.time_norm, self.time_attention = nn.LayerNorm(width), _Attention(width, heads, n_windows)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = _Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # x: (n, n_channels, n_windows, width)
        across = self.channel_attention(self.channel_norm(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.dropout(across)
        if self.time_norm is not None and self.time_attention is not None:
            x = x + self.dropout(self.time_attention(self.time_norm(x)))
        return x + self.dropout(self.feed(self.feed_norm(x)))


# Networks


def _windows(x: torch.Tensor) -> torch.Tensor:
    """Inputs (..., n_channels, n_windows, n_bands) as (..., n_windows, n_channels * n_bands)."""
    return x.transpose(-3, -2).flatten(-2)


class _MLP(nn.Module):
    """Layers of linear map, GELU and dropout on the flattened input; a linear head."""

    def __init__(
        self,
        n_channels: int,
        n_bands: int,
        n_windows: int,
        n_classes: int,
        *,
        hidden: Sequence[int] = (128, 64),
        dropout: float = 0.25,
        window_width: int = 0,
    ) -> None:
        super().__init__()
        if not isinstance(hidden, Sequence) or not hidden:
            raise ValueError(f"hidden is empty, or no list of widths: name one or more, got {hidden!r}")
        for width in hidden:
            checks.count("hidden", width)
        checks.count("window_width", window_width, 0)
        n_features = n_channels * n_bands
        self.window = nn.Linear(n_features, window_width) if window_width else None
        widths = [n_windows * (window_width or n_features), *hidden]
        self.layers = nn.ModuleList(map(nn.Linear, widths, hidden))
        self.dropout = _Dropout(dropout)
        self.head = nn.Linear(hidden[-1], n_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        if self.window is None:
            z = x.flatten(1)
        else:
            z = self.dropout(F.gelu(self.window(_windows(x)))).flatten(1)
        for layer in self.layers:
            z = self.dropout(F.gelu(layer(z)))
        return z

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


class _StackedMLP(nn.Module):
    """Many MLPs of one architecture, whose parameters are copied, as one batched computation.

    Every parameter gets a leading axis of members, and every linear map becomes one batched product.
    """

    def __init__(self, networks: Sequence[_MLP]) -> None:
        super().__init__()
        states = [network.state_dict() for network in networks]
        self.depth = len(networks[0].layers)
        self.dropout = _Dropout(networks[0].dropout.p)
        self.stacked = nn.ParameterDict()
        for name in states[0]:  # a parameter's name may hold no dot
            stack = torch.stack([state[name] for state in states])
            self.stacked[name.replace(".", "-")] = nn.Parameter(stack)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Penultimate layer (n_members, n, d) of inputs (n_members, n, ...)."""
        if "window-weight" in self.stacked:
            members, n = x.shape[:2]
            z = self._linear(_windows(x).flatten(1, 2), "window")
            z = self.dropout(F.gelu(z)).reshape(members, n, -1)
        else:
            z = x.flatten(2)
        for index in range(self.depth):
            z = self.dropout(F.gelu(self._linear(z, f"layers-{index}")))
        return z

    def head(self, z: torch.Tensor) -> torch.Tensor:
        """Logits (n_members, n, n_classes)."""
        return self._linear(z, "head")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))

    def weights(self, what: str = "data") -> dict[str, torch.Tensor]:
        """Weights (``"data"``) or gradients (``"grad"``), (n_members, ...) each, by the names of one MLP."""
        return {name.replace("-", "."): getattr(value, what) for name, value in self.stacked.items()}

    def states(self) -> list[dict[str, torch.Tensor]]:
        """The same weights member by member."""
        weights = self.weights()
        members = range(len(weights["head.bias"]))
        return [{name: value[member] for name, value in weights.items()} for member in members]

    def _linear(self, z: torch.Tensor, name: str) -> torch.Tensor:
        return torch.baddbmm(self.stacked[f"{name}-bias"][:, None], z, self.stacked[f"{name}-weight"].mT)


class _AxialTransformer(nn.Module):
    """Attention over channels within a window, then over windows within a channel.

    Each token, one channel in one window, is a linear image of its bands plus a learned embedding of the
    channel. After the blocks, channels are pooled by attention, windows by their mean, and a GELU layer gives
    the penultimate features. Ho et al. (2019), arXiv:1912.12180.
    """

    def __init__(
        self,
        n_channels: int,
        n_bands: int,
        n_windows: int,
        n_classes: int,
        *,
        width: int = 16,
        depth: int = 1,
        heads: int = 2,
        penultimate: int = 64,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        for name, value in (("width", width), ("depth", depth), ("heads", heads)):
            checks.count(name, value)
        self.tokens = nn.Linear(n_bands, width)
        self.channels = nn.Parameter(0.5 * torch.randn(n_channels, 1, width))
        self.blocks = nn.Sequential(*(_AxialBlock(width, heads, n_windows, dropout) for _ in range(depth)))
        self.norm, self.pool = nn.LayerNorm(width), nn.Linear(width, 1)
        self.penultimate, self.dropout = nn.Linear(width, penultimate), _Dropout(dropout)
        self.head = nn.Linear(penultimate, n_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        z = self.norm(self.blocks(self.tokens(x) + self.channels))
        z = (self.pool(z).softmax(1) * z).sum(1).mean(1)  # (n, width)
        return self.dropout(F.gelu(self.penultimate(z)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


class _CBraMod(nn.Module):
    """CBraMod through braindecode: raw EEG in µV at 200 Hz, one patch per second (arXiv:2412.07236).

    The encoder's output, averaged over channels and patches, is the penultimate layer. ImportError, with the
    cure, if braindecode cannot be imported.
    """

    def __init__(
        self,
        n_channels: int,
        n_bands: int,
        n_windows: int,
        n_classes: int,
        *,
        pretrained: bool = False,
        layers: int = 12,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        try:
            from braindecode.models import CBraMod as Encoder
        except (ImportError, OSError) as error:  # a torchaudio for another torch fails with OSError
            raise ImportError(f"{HOW_TO_INSTALL} The import failed with: {error}") from error
        options: dict[str, Any] = {
            "n_chans": n_channels, "n_times": CBRAMOD_RATE * n_windows, "n_outputs": n_classes,
            "return_encoder_output": True, "drop_prob": dropout,
        }  # fmt: skip
        if pretrained:
            self.encoder = Encoder.from_pretrained(CBRAMOD_HUB, **options)
        else:
            self.encoder = Encoder(n_layer=layers, **options)
        self.head = nn.Linear(CBRAMOD_RATE, n_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x / 100).mean((1, 2))  # 100 µV is the unit of its pretraining

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


# Registry


NETWORKS: dict[str, Callable[..., nn.Module]] = {"mlp": _MLP, "axial": _AxialTransformer, "cbramod": _CBraMod}
"""Networks by name; they take ``n_channels, n_bands, n_windows, n_classes`` and the options by name.

- ``mlp``: layers of linear map, GELU and dropout on the flattened input. `hidden` are the widths of the
  layers, the last of them penultimate. `window_width`, if it is not zero, is that of a first layer that sees
  one window at a time, with the same weights for each: what it makes of the windows, side by side, enters the
  hidden layers.
- ``axial``: attention over channels within a window, then over windows within a channel (Ho et al. 2019,
  arXiv:1912.12180). `width` is the length of a token, `depth` the number of blocks, `heads` those of each
  attention, `penultimate` the length of the features; `dropout` follows attention, feed-forward and last
  layers.
- ``cbramod``: CBraMod through braindecode, for raw EEG in µV at 200 Hz (arXiv:2412.07236). `n_windows` are
  patches of 200 samples; `pretrained` fetches ``braindecode/cbramod-pretrained`` from the Hugging Face hub,
  whose depth is the default of `layers`. ImportError, with the cure, if braindecode cannot be imported.
"""

RAW = ("cbramod",)
"""Networks that take raw signals instead of differential entropies."""

STACKED: dict[str, Callable[..., nn.Module]] = {"mlp": _StackedMLP}
"""Stacked form, made from a list of networks, of those that have one. Attention gains nothing by it."""


def build(
    name: str,
    *,
    n_channels: int,
    n_bands: int,
    n_windows: int,
    n_classes: int,
    random_state: int,
    **options: Any,
) -> nn.Module:
    """A network with random weights, with ``features`` and ``head``.

    `name` is a key of :data:`NETWORKS`, sizes are those of an input and of the logits, options those that
    `network_options` lists; `random_state` alone decides the weights.

    Examples
    --------
    >>> net = build("mlp", n_channels=32, n_bands=5, n_windows=1, n_classes=9, random_state=0)
    >>> count_parameters(net)
    29449
    """
    network_options(name, options)
    sizes = {"n_channels": n_channels, "n_bands": n_bands, "n_windows": n_windows, "n_classes": n_classes}
    for size, value in sizes.items():
        checks.count(size, value, 2 if size == "n_classes" else 1)
    with torch.random.fork_rng(devices=[]):  # built on the processor, whose state alone is drawn from
        torch.manual_seed(random_state)
        return NETWORKS[name](**sizes, **options)


def network_options(name: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Options of a network, by default and as given; ValueError lists the networks or options there are."""
    parameters = inspect.signature(NETWORKS[checks.choice("network", name, NETWORKS)]).parameters.values()
    known = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    for option in options or {}:
        checks.choice(f"option of {name!r}", option, known)
    return {**known, **(options or {})}


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(math.prod(p.shape) for p in network.parameters() if p.requires_grad)
