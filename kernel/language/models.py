"""Language models: the registry of those that the book names, and how a network and its tokenizer are loaded.

No remote code is run, no pickled weights are read, and a bundled model is never downloaded by itself.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import torch
from torch import nn

from kernel import assets, checks, files

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class ModelLoadError(RuntimeError):
    """The weights could not be loaded, or the network cannot be read; the message says why."""


class ModelCard(NamedTuple):
    """What is known about a model before it is loaded.

    `source` is a hub id or, if the model is `bundled`, an asset; models of one `family` share training data
    and recipe; `n_layers` counts transformer blocks, None where the paper's wording does not settle it;
    `paper_r` is the paper's per-clip correlation with behavioural valence (arXiv:2606.00129), None where it
    has none.
    """

    name: str
    source: str
    family: str
    n_parameters: float
    n_layers: int | None = None
    paper_r: float | None = None
    bundled: bool = False
    note: str = ""


def _cards(file: IO[str]) -> dict[str, ModelCard]:
    return {card["name"]: ModelCard(**card) for card in files.read_yaml(file.read())}


#: The paper's 14 models and the three that come as assets, by name.
REGISTRY: dict[str, ModelCard] = files.read_packaged("language/data/registry.yaml", _cards)


@dataclass
class LanguageModel:
    """A network with its tokenizer, ready for `kernel.language.hidden.hidden_states`.

    `base` is the transformer without an output head, `causal` the one with its language-model head, None for
    encoders. What no configuration says is read from a few passes when the object is made: the `blocks` in
    order (hidden state k enters block k), the `widths` of hidden states 0 to L (the last differs where a
    projection follows the blocks), and whether it is `bidirectional`, so that a token sees the ones behind it
    and padding has to be masked. A network that cannot be read raises `ModelLoadError`.
    """

    name: str
    base: PreTrainedModel
    tokenizer: Any
    causal: PreTrainedModel | None = None
    family: str = ""
    blocks: nn.ModuleList = field(init=False, repr=False, compare=False)
    widths: tuple[int, ...] = field(init=False, repr=False)
    bidirectional: bool = field(init=False)

    def __post_init__(self) -> None:
        from transformers import PreTrainedModel

        if self.base is self.causal:  # what transformers gives where a class does not name its base
            parts = [part for part in self.base.children() if isinstance(part, PreTrainedModel)]
            self.base = parts[0] if parts else self.base
        _check_stack(self.name, self.base.config)
        if self.device.type == "meta":
            raise ModelLoadError(f"{self.name} is on device 'meta', where it has no weights: load them")
        try:
            ordinary = torch.arange(1, 7) * self.vocabulary // 7  # special tokens stand at the ends
            ids = torch.stack([ordinary, torch.cat([ordinary[:-1], ordinary[:1]])]).to(self.device)
            self.blocks, self.widths = _entered_blocks(self.base, ids)
            self.bidirectional = _sees_ahead(self.base, ids)
        except Exception as error:  # networks made for more than tokens fail in many ways
            raise ModelLoadError(
                f"{self.name}: {type(self.base).__name__} cannot be read: {error}"
            ) from error

    @property
    def n_layers(self) -> int:
        """Number of transformer blocks."""
        return len(self.blocks)

    @property
    def vocabulary(self) -> int:
        """Number of token ids that the network knows."""
        network: Any = self.base if self.causal is None else self.causal
        return network.get_input_embeddings().num_embeddings

    @property
    def max_length(self) -> int:
        """Longest input in tokens that the position encoding was made for, 2,048 where nothing says so."""
        config = _text_config(self.base)
        names = ("max_position_embeddings", "max_seq_len", "max_target_positions")
        stated = [length for name in names if (length := getattr(config, name, None) or 0) > 0]
        limit = self.tokenizer.model_max_length
        return int(min([*(stated or [2048]), *([limit] if limit > 0 else [])]))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.base.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        return next(self.base.parameters()).dtype

    def to(self, device: str | torch.device | None) -> LanguageModel:
        """The same model, its weights moved to a device; None leaves them where they are."""
        if device is not None:
            network: Any = self.base if self.causal is None else self.causal
            network.to(checks.device(device))
        return self

    def fingerprint(self) -> str:
        """Digest of weights, configuration, modules and their settings; changes whenever one of them does.

        Every byte is read at each call: PyTorch does not count edits through ``.data``.
        """
        tensors = [
            (name, str(tensor.dtype), tuple(tensor.shape), _checksum(tensor))
            for name, tensor in (*self.base.named_parameters(), *self.base.named_buffers())
        ]
        modules = [
            (name, f"{type(module).__module__}.{type(module).__qualname__}", _plain_attributes(module))
            for name, module in self.base.named_modules()
        ]
        config = _text_config(self.base)
        attention = str(getattr(config, "_attn_implementation", ""))
        settings = {name: value for name, value in config.to_dict().items() if name != "_name_or_path"}
        return files.digest(repr(sorted(settings.items(), key=str)), attention, modules, tensors)


#: A model, or the name or folder of one.
Model = LanguageModel | str | os.PathLike[str]


def _checksum(tensor: torch.Tensor) -> int:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return zlib.crc32(flat.view(torch.uint8).numpy().data) if flat.numel() else 0


def _plain_attributes(module: nn.Module) -> dict[str, Any]:
    """Plain attributes of a module, such as a scale or a rate of dropout, but not where it came from."""
    plain = {name: value for name, value in vars(module).items() if isinstance(value, int | float | str)}
    return {name: plain[name] for name in plain if not name.startswith("_") and name != "name_or_path"}


def _text_config(model: Any) -> Any:
    """Configuration of the text tower (multimodal models nest it)."""
    return model.config.get_text_config()


def _check_stack(name: str, config: Any) -> None:
    if config.is_encoder_decoder:
        raise ModelLoadError(f"{name} is an encoder-decoder, which has no one stack of blocks: use a decoder")


def _entered_blocks(base: Any, ids: torch.Tensor) -> tuple[nn.ModuleList, tuple[int, ...]]:
    """The list whose members the hidden states enter one by one, and the width of every state."""
    lists = [m for m in base.modules() if isinstance(m, nn.ModuleList)]
    entered: dict[nn.Module, torch.Tensor] = {}

    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        state = entering(args, kwargs)
        if isinstance(state, torch.Tensor):
            entered.setdefault(module, state.clone())  # a block may add to it in place

    hooks = [
        member.register_forward_pre_hook(record, with_kwargs=True) for members in lists for member in members
    ]
    try:
        with torch.inference_mode():
            output = base(input_ids=ids, use_cache=False, output_hidden_states=True)
    finally:
        for hook in hooks:
            hook.remove()
    states = getattr(output, "hidden_states", None) or ()
    for state in states:
        if state.shape[:-1] != ids.shape:
            raise ValueError(f"a hidden state of shape {tuple(state.shape)} is not one vector a token")

    def enters(state: torch.Tensor, member: nn.Module) -> bool:
        other = entered.get(member)
        return other is not None and other.shape == state.shape and _difference(other, state) == 0

    for members in lists:
        if len(members) == len(states) - 1 and all(map(enters, states, members)):
            return members, tuple(state.shape[-1] for state in states)
    raise ValueError(f"its {len(states)} hidden states are not what enters a list of blocks")


def entering(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a block is called on, by position or by name."""
    return args[0] if args else kwargs.get("hidden_states")


def _sees_ahead(base: Any, ids: torch.Tensor) -> bool:
    """True if a token sees the ones behind it unless they are masked; ValueError if it sees them even then.

    Two sequences that differ in the last token alone go through one pass: no earlier state may differ,
    whatever the number format. A pass of the earlier tokens alone must give the same up to rounding.
    """
    rounding = torch.finfo(next(base.parameters()).dtype).eps ** 0.5

    def states(ids: torch.Tensor, **mask: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return base(input_ids=ids, use_cache=False, **mask).last_hidden_state[:, :5]

    def unseen(first: torch.Tensor, second: torch.Tensor) -> bool:
        return _difference(first, second) < rounding / 10 and _difference(first, alone) < 2 * rounding

    alone = states(ids[:1, :-1])[0]
    if unseen(*states(ids)):
        return False
    mask = torch.ones_like(ids)
    mask[:, -1] = 0
    if unseen(*states(ids, attention_mask=mask)):
        return True
    raise ValueError(
        "a text's states depend on the padding behind it: the network is not causal and ignores the mask"
        + (", or needs .eval()" if base.training else "")
    )


def _difference(states: torch.Tensor, reference: torch.Tensor) -> float:
    """Norm of the difference over that of the reference; zero where both overflow."""
    states, reference = states.float().nan_to_num(), reference.float().nan_to_num()
    return float((states - reference).norm() / reference.norm().clamp(min=1e-30))


def load_language_model(
    name: str | os.PathLike[str], device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> LanguageModel:
    """Load a language model by name.

    Bundled models are de-quantised once and kept as safetensors in the user's cache. Hub models need the
    ``hub`` extra and, where gated, an accepted licence.

    Parameters
    ----------
    name : str or path
        A name in `REGISTRY`, a hub id, or a folder holding a transformers model in safetensors.
    device : str, torch.device or None
        As for `kernel.checks.device`.
    dtype : torch.dtype or None
        None means float32 on a CPU and the published format elsewhere.

    Returns
    -------
    LanguageModel

    Raises
    ------
    ValueError
        If the name is neither in the registry, nor a hub id, nor a folder; lists the registry.
    kernel.assets.AssetMissingError
        If a bundled model has not been fetched yet.
    ModelLoadError
        If the hub or the folder does not give a usable model.
    """
    name, device = os.fspath(name), checks.device(device)
    if dtype is None and device.type == "cpu":
        dtype = torch.float32
    card = REGISTRY.get(name)
    if card is not None:
        source: str | Path = _dequantised(card) if card.bundled else card.source
    elif files.absolute(name).is_dir():
        source = files.absolute(name)
    elif name.count("/") == 1 and name[0] not in "~./":
        source = name
    else:
        raise ValueError(
            f"unknown model {name!r}: use a hub id 'organisation/model', a folder, "
            f"or one of {sorted(REGISTRY)}"
        )
    causal, tokenizer = _from_pretrained(source, dtype)
    causal = causal.to(device).eval()
    title, family = (name, card.family) if card else (Path(source).name, causal.config.model_type)
    return LanguageModel(title, causal.base_model, tokenizer, causal, family)


def load_encoder(device: str | torch.device | None = None) -> LanguageModel:
    """The sentence encoder all-MiniLM-L6-v2 (Reimers & Gurevych 2019, doi:10.18653/v1/D19-1410).

    Read it with ``hidden_states(..., layers="last", position="mean")``.
    """
    from transformers import AutoModel, AutoTokenizer

    folder = assets.path("all-minilm-l6-v2")
    base = _whole(AutoModel, folder, use_safetensors=True, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return LanguageModel("all-MiniLM-L6-v2", base.to(checks.device(device)).eval(), tokenizer, None, "MiniLM")


def random_twin(lm: LanguageModel, *, random_state: int = 0) -> LanguageModel:
    """The architecture, tokenizer, device and dtype of a causal model with fresh, untrained weights.

    The seed is that of the initialisation; the global random state is left as it was.
    """
    if lm.causal is None:
        raise ValueError(f"{lm.name} is an encoder: the twin is made for causal models")
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(random_state)
        causal = AutoModelForCausalLM.from_config(lm.causal.config)
    causal = causal.to(device=lm.device, dtype=lm.dtype).eval()
    return replace(lm, name=f"{lm.name} (random weights)", base=causal.base_model, causal=causal)


def _from_pretrained(source: str | Path, dtype: torch.dtype | None) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    local = Path(source).is_dir()
    try:
        config = AutoConfig.from_pretrained(source, local_files_only=local)
        _check_stack(str(source), config)  # before the weights are fetched
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local)
        model = _whole(
            AutoModelForCausalLM, source, dtype=dtype or "auto", use_safetensors=True, local_files_only=local
        )
    except ModelLoadError:
        raise
    except Exception as error:  # transformers and safetensors raise many kinds on damaged files
        raise ModelLoadError(
            f"could not load {str(source)!r}: {error}\nCheck the name and the network; a gated model needs "
            "its licence accepted and `hf auth login`; weights must be safetensors and need no remote code."
        ) from error
    return model, tokenizer


def _whole(kind: Any, source: str | Path, **options: Any) -> Any:
    """A network all of whose weights were there, and none besides; raises ModelLoadError naming others.

    transformers fills missing weights with random numbers. Weights of a part that the network does not have
    at all, say the vision tower beside a language model, are left alone.
    """
    model, info = kind.from_pretrained(source, output_loading_info=True, **options)
    parts = {name for name, _ in model.named_children()}
    besides = [key for key in info["unexpected_keys"] if key.split(".")[0] in parts]
    for keys, fault in ((info["missing_keys"], "lack"), (besides, "hold, beyond the configuration,")):
        if keys:
            first = ", ".join(sorted(keys)[:5])
            raise ModelLoadError(
                f"the weights in {source} {fault} {len(keys)} of the network: {first}; "
                "fetch them again or correct config.json"
            )
    return model


def _dequantised(card: ModelCard) -> Path:
    """Folder with the bundled model in float32 safetensors, made from its GGUF file on first use."""
    folder = assets.path(card.source)
    gguf = next(folder.rglob("*.gguf"))
    key = files.cache_key(__name__, assets.ASSETS[card.source].sha256)
    target = files.cache_dir("models", f"{card.name}-{key[:16]}", create=False)
    if not target.is_dir():
        files.writable_folder(target.parent)
        with files.one_at_a_time(target):
            if not target.is_dir():  # another process may have been faster
                _dequantise(gguf, target)
    return target


def _dequantise(gguf_file: Path, target: Path) -> None:
    import gguf
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # transformers parses the file anew for configuration, tokenizer and weights: 10 s for 260,000 tokens
    with mock.patch.object(gguf, "GGUFReader", cache(gguf.GGUFReader)):
        tokenizer = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
        quantised = _whole(
            AutoModelForCausalLM, gguf_file.parent, gguf_file=gguf_file.name, dtype=torch.float32
        )
    config = quantised.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    # transformers refuses to save a model that came from GGUF, so its numbers move into a plain twin
    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(quantised.state_dict(), assign=True)
    plain.tie_weights()
    with files.atomic_folder(target) as folder:
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
