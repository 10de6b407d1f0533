"""Registry of EEG classifiers under one protocol, and the linear baselines they are judged against.

In:  the shape of the input and options by name.
Out: torch modules with ``features(x) -> (n, d)``, the penultimate layer, and ``forward(x)``, the logits
     ``head(features(x))``; scikit-learn estimators for the baselines.
Never trains, never reads data, never draws from the global random state.

Inputs are differential entropies ``(n, n_channels, n_windows, n_bands)`` or raw signals
``(n, n_channels, n_samples)``, as `takes_raw` tells. Trainable parameters for 32 channels, 5 bands, one
window and 9 classes:

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

CBRAMOD_HUB = "braindecode/cbramod-pretrained"
CBRAMOD_RATE = 200  # Hz, and samples in a patch
HOW_TO_INSTALL = (
    "cbramod needs braindecode: pip install 'valence-axis[models]'. If braindecode is installed and "
    "torchaudio fails to load, the cause is a torchaudio built for another torch (CUDA beside a CPU build): "
    "remove the compiled files torchaudio/lib/*.so, after which it falls back to Python, or install the "
    "torchaudio build of your torch."
)


# Linear baselines


def linear_baseline(name: str, random_state: int | None = None, *, C: float = 0.1) -> ClassifierMixin:
    """A linear classifier of flat features, to stand beside every network.

    Parameters
    ----------
    name : {"lda", "logistic"}
        Linear discriminant analysis with the Ledoit-Wolf shrinkage of its covariance [1]_, or multinomial
        logistic regression on standardised features.
    random_state : int, optional
        Seed of the solver; neither estimator draws with the solvers used here.
    C : float
        Inverse of the ridge penalty of ``logistic``.

    Returns
    -------
    estimator
        Of scikit-learn, not fitted.

    Raises
    ------
    ValueError
        If the name is unknown.

    References
    ----------
    .. [1] Ledoit & Wolf (2004), Journal of Multivariate Analysis 88(2). doi:10.1016/S0047-259X(03)00096-4
    """
    if name == "lda":
        return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    if name == "logistic":
        model = LogisticRegression(C=C, max_iter=1000, random_state=random_state)
        return make_pipeline(StandardScaler(), model)
    raise ValueError(f"no linear baseline named {name!r}; there are {', '.join(LINEAR_BASELINES)}")


LINEAR_BASELINES = ("lda", "logistic")


# Parts


class Dropout(nn.Module):
    """Dropout that can give each member of a stack random numbers of its own.

    Parameters
    ----------
    p : float
        Share of values set to zero, rounded to 1/256: one random byte decides each value, and the others are
        scaled by what the rounded share demands.

    Attributes
    ----------
    generators : list of torch.Generator or None
        One for each slice along the first axis, or a single one for the whole input; None draws from torch's
        global state. Set by `use_generators`.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {p}")
        self.p = p
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
    """Let every `Dropout` of a network draw from these generators; None returns to torch's global state."""
    for module in network.modules():
        if isinstance(module, Dropout):
            module.generators = generators


class Attention(nn.Module):
    """Multi-head self-attention over the last but one axis.

    Parameters
    ----------
    width, heads : int
        Length of a token, and heads that divide it.
    length : int, optional
        Number of tokens: gives every head a learned bias for every relative position.
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


class AxialBlock(nn.Module):
    """Attention over channels, attention over windows, feed-forward; layer norm before each, residual around.

    With a single window there is no time to attend to and that part is left out.
    """

    def __init__(
        self, width: int, heads: int, n_windows: int, dropout: float, expansion: int, scrambled_time: bool
    ) -> None:
        super().__init__()
        self.channel_norm, self.channel_attention = nn.LayerNorm(width), Attention(width, heads)
        self.time_norm: nn.LayerNorm | None = None
        self.time_attention: Attention | None = None
        if n_windows > 1:
            self.time_norm, self.time_attention = nn.LayerNorm(width), Attention(width, heads, n_windows)
        self.scrambled_time = scrambled_time
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width)
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # x: (n, n_channels, n_windows, width)
        across = self.channel_attention(self.channel_norm(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.dropout(across)
        if self.time_norm is not None and self.time_attention is not None:
            tokens = self.time_norm(x)
            if self.scrambled_time:
                # windows and width change places in memory only: every "token" mixes several windows
                tokens = tokens.mT.reshape(x.shape)
            x = x + self.dropout(self.time_attention(tokens))
        return x + self.dropout(self.feed(self.feed_norm(x)))


class RawStem(nn.Module):
    """Tokens from raw signals: strided temporal filters, GELU, mean within each window.

    The mean of a rectified filter output follows its amplitude, as band power does.
    """

    def __init__(self, width: int, n_windows: int, n_samples: int, kernel: int = 25, stride: int = 5) -> None:
        super().__init__()
        if n_samples < max(n_windows * stride, kernel):
            raise ValueError(
                f"n_samples {n_samples} is too short for {n_windows} windows: give {stride} samples or more "
                f"to each, {kernel} in all"
            )
        self.filters = nn.Conv1d(1, width, kernel, stride=stride, padding=kernel // 2)
        self.pool = nn.AdaptiveAvgPool1d(n_windows)
        self.mix = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, n_channels, n_samples = x.shape
        filtered = F.gelu(self.filters(x.reshape(n * n_channels, 1, n_samples)))
        return self.mix(self.pool(filtered).mT.unflatten(0, (n, n_channels)))


# Networks


def by_window(x: torch.Tensor) -> torch.Tensor:
    """Inputs (..., n_channels, n_windows, n_bands) as (..., n_windows, n_channels * n_bands)."""
    return x.transpose(-3, -2).flatten(-2)


class MLP(nn.Module):
    """Layers of linear map, optional layer norm, GELU and dropout; a linear head.

    Parameters
    ----------
    n_features, n_classes : int
        Length of a flattened input and of the logits.
    hidden : sequence of int
        Widths of the hidden layers; the last is the penultimate one.
    dropout : float
        After every hidden layer.
    layer_norm : bool
        Normalise before each GELU.
    window_width : int
        Width of a first layer that sees one window at a time, with the same weights for each: what it makes
        of the windows, side by side, enters the hidden layers. Zero leaves it out.
    n_windows : int
        Windows of an input.
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        *,
        hidden: Sequence[int] = (128, 64),
        dropout: float = 0.25,
        layer_norm: bool = False,
        window_width: int = 0,
        n_windows: int = 1,
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden must name one or more widths of at least 1, got {tuple(hidden)}")
        if window_width < 0:
            raise ValueError(f"window_width must be non-negative, got {window_width}")
        self.window = nn.Linear(n_features // n_windows, window_width) if window_width else None
        widths = [n_windows * window_width if window_width else n_features, *hidden]
        self.layers = nn.ModuleList(map(nn.Linear, widths, hidden))
        self.norms = nn.ModuleList(map(nn.LayerNorm, hidden)) if layer_norm else None
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(hidden[-1], n_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        if self.window is None:
            z = x.flatten(1)
        else:
            z = self.dropout(F.gelu(self.window(by_window(x)))).flatten(1)
        for index, layer in enumerate(self.layers):
            z = layer(z)
            if self.norms is not None:
                z = self.norms[index](z)
            z = self.dropout(F.gelu(z))
        return z

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


class StackedMLP(nn.Module):
    """Many MLPs of one architecture as one batched computation.

    Every parameter gets a leading axis of members, and every linear map becomes one batched product.

    Parameters
    ----------
    networks : sequence of MLP
        Their parameters are copied.
    """

    def __init__(self, networks: Sequence[MLP]) -> None:
        super().__init__()
        states = [network.state_dict() for network in networks]
        self.depth, self.normalised = len(networks[0].layers), networks[0].norms is not None
        self.dropout = Dropout(networks[0].dropout.p)
        self.stacked = nn.ParameterDict(
            {
                # a parameter's name may hold no dot
                name.replace(".", "-"): nn.Parameter(torch.stack([state[name] for state in states]))
                for name in states[0]
            }
        )

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Penultimate layer (n_members, n, d) of inputs (n_members, n, ...)."""
        if "window-weight" in self.stacked:
            members, n = x.shape[:2]
            z = self._linear(by_window(x).flatten(1, 2), "window")
            z = self.dropout(F.gelu(z)).reshape(members, n, -1)
        else:
            z = x.flatten(2)
        for index in range(self.depth):
            z = self._linear(z, f"layers-{index}")
            if self.normalised:
                scale, shift = (self.stacked[f"norms-{index}-{part}"] for part in ("weight", "bias"))
                z = F.layer_norm(z, z.shape[-1:]) * scale[:, None] + shift[:, None]
            z = self.dropout(F.gelu(z))
        return z

    def head(self, z: torch.Tensor) -> torch.Tensor:
        """Logits (n_members, n, n_classes)."""
        return self._linear(z, "head")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))

    def states(self) -> list[dict[str, torch.Tensor]]:
        """Parameters of each member under the names that `MLP` gives them."""
        members = len(self.stacked["head-bias"])
        return [
            {name.replace("-", "."): value[member].detach() for name, value in self.stacked.items()}
            for member in range(members)
        ]

    def _linear(self, z: torch.Tensor, name: str) -> torch.Tensor:
        return torch.baddbmm(self.stacked[f"{name}-bias"][:, None], z, self.stacked[f"{name}-weight"].mT)


class AxialTransformer(nn.Module):
    """Attention over channels within a window, then over windows within a channel.

    Each token, one channel in one window, is a linear image of its bands (or a filtered raw signal) plus a
    learned embedding of the channel. After the blocks, channels are pooled by attention, windows by their
    mean, and a GELU layer gives the penultimate features.

    Parameters
    ----------
    n_channels, n_bands, n_windows, n_classes : int
        Shape of the input and of the logits.
    width, depth, heads : int
        Length of a token, number of blocks, heads of each attention.
    penultimate : int
        Length of the penultimate features.
    expansion : int
        Width of the feed-forward layer in multiples of `width`.
    dropout : float
        After attention, feed-forward and penultimate layers.
    n_samples : int, optional
        Take raw signals of this many samples, cut into `n_windows` tokens, instead of band features.
    scrambled_time : bool
        Read the time axis as the published code of EMOD [1]_ does: windows and width are transposed and the
        memory is then read in the old shape. With one window this changes nothing.

    References
    ----------
    .. [1] EMOD (2026), AAAI. arXiv:2511.05863
    .. [2] Ho et al. (2019), Axial Attention in Multidimensional Transformers. arXiv:1912.12180
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
        expansion: int = 2,
        dropout: float = 0.1,
        n_samples: int | None = None,
        scrambled_time: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("width", width), ("depth", depth), ("heads", heads), ("expansion", expansion)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.tokens: nn.Module
        if n_samples is None:
            self.tokens = nn.Linear(n_bands, width)
        else:
            self.tokens = RawStem(width, n_windows, n_samples)
        self.channels = nn.Parameter(0.5 * torch.randn(n_channels, 1, width))
        self.blocks = nn.Sequential(
            *(AxialBlock(width, heads, n_windows, dropout, expansion, scrambled_time) for _ in range(depth))
        )
        self.norm, self.pool = nn.LayerNorm(width), nn.Linear(width, 1)
        self.penultimate, self.dropout = nn.Linear(width, penultimate), Dropout(dropout)
        self.head = nn.Linear(penultimate, n_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        z = self.norm(self.blocks(self.tokens(x) + self.channels))
        z = (self.pool(z).softmax(1) * z).sum(1).mean(1)  # (n, width)
        return self.dropout(F.gelu(self.penultimate(z)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


class CBraMod(nn.Module):
    """CBraMod [1]_ through braindecode: raw EEG in µV at 200 Hz, one patch per second.

    The encoder's output, averaged over channels and patches, is the penultimate layer.

    Parameters
    ----------
    n_channels, n_windows, n_classes : int
        `n_windows` patches of 200 samples.
    pretrained : bool
        Fetch the weights ``braindecode/cbramod-pretrained`` from the Hugging Face hub.
    layers : int
        Depth if not pretrained; the published network has 12.
    dropout : float
        Within the encoder.

    Raises
    ------
    ImportError
        If braindecode cannot be imported; the message says the cure.

    References
    ----------
    .. [1] Wang et al. (2025), CBraMod, ICLR. arXiv:2412.07236
    """

    def __init__(
        self,
        n_channels: int,
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
        shape: dict[str, Any] = {
            "n_chans": n_channels,
            "n_times": CBRAMOD_RATE * n_windows,
            "n_outputs": n_classes,
        }
        shape |= {"return_encoder_output": True, "drop_prob": dropout}
        if pretrained:
            self.encoder = Encoder.from_pretrained(CBRAMOD_HUB, **shape)
        else:
            self.encoder = Encoder(n_layer=layers, **shape)
        self.head = nn.Linear(CBRAMOD_RATE, n_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x / 100).mean((1, 2))  # 100 µV is the unit of its pretraining

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


# Registry


def _mlp(
    n_channels: int,
    n_bands: int,
    n_windows: int,
    n_classes: int,
    *,
    hidden: Sequence[int] = (128, 64),
    dropout: float = 0.25,
    layer_norm: bool = False,
    window_width: int = 0,
) -> MLP:
    n_features = n_channels * n_windows * n_bands
    return MLP(
        n_features, n_classes, hidden=hidden, dropout=dropout, layer_norm=layer_norm,
        window_width=window_width, n_windows=n_windows,
    )  # fmt: skip


def _cbramod(
    n_channels: int,
    n_bands: int,
    n_windows: int,
    n_classes: int,
    *,
    pretrained: bool = False,
    layers: int = 12,
    dropout: float = 0.1,
) -> CBraMod:
    return CBraMod(n_channels, n_windows, n_classes, pretrained=pretrained, layers=layers, dropout=dropout)


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mlp": _mlp,
    "axial": AxialTransformer,
    "cbramod": _cbramod,
}
"""Factories by name; they take ``n_channels, n_bands, n_windows, n_classes`` and the options by name."""

STACKED: dict[str, Callable[..., nn.Module]] = {"mlp": StackedMLP}
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
    """Make a network with random weights.

    Parameters
    ----------
    name : str
        A key of :data:`NETWORKS`.
    n_channels, n_bands, n_windows, n_classes : int
        Shape of an input and of the logits; networks on raw signals do not use `n_bands`.
    random_state : int
        Seed: alone decides the weights.
    **options
        Of the network, as `network_options` lists them.

    Returns
    -------
    torch.nn.Module
        With ``features`` and ``head``.

    Raises
    ------
    ValueError
        If the name, an option or a size is not possible; lists the choices.
    ImportError
        If the network needs a package that is missing.

    Examples
    --------
    >>> net = build("mlp", n_channels=32, n_bands=5, n_windows=1, n_classes=9, random_state=0)
    >>> count_parameters(net)
    29449
    """
    check_options(name, options)
    sizes = {"n_channels": n_channels, "n_bands": n_bands, "n_windows": n_windows, "n_classes": n_classes}
    for size, value in sizes.items():
        least = 2 if size == "n_classes" else 1
        if value < least:
            raise ValueError(f"{size} must be at least {least}, got {value}")
    with torch.random.fork_rng(devices=[]):  # built on the processor, whose state alone is drawn from
        torch.manual_seed(random_state)
        return NETWORKS[name](**sizes, **options)


def network_options(name: str) -> dict[str, Any]:
    """Options of a network with their defaults.

    Raises
    ------
    ValueError
        If there is no network of this name.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network named {name!r}; there are {', '.join(NETWORKS)}")
    parameters = inspect.signature(NETWORKS[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """ValueError if there is no such network or it has no such option; lists the ones there are."""
    known = network_options(name)
    unknown = sorted(set(options) - set(known))
    if unknown:
        choices = ", ".join(f"{option}={default!r}" for option, default in known.items())
        raise ValueError(f"network {name!r} has no option {', '.join(unknown)}; it has {choices}")


def takes_raw(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a network with these options takes raw signals instead of differential entropies."""
    return name == "cbramod" or options.get("n_samples") is not None


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(math.prod(p.shape) for p in network.parameters() if p.requires_grad)
