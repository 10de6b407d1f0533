"""Hidden states of many texts, at few layers and one position each; a pass goes no deeper than asked."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from kernel import checks, files
from kernel.language.models import LanguageModel, entering

#: The short affect cue that small models need before their last token carries valence.
AFFECT_CUE = " This made me feel very"

# Tokens in one batch: on a CPU the activations of a batch should stay in the cache, a GPU wants work.
_TOKEN_BUDGET = {"cpu": 512, "mps": 4096, "cuda": 16384}

Layers = str | int | Iterable[int]
# "last", "mean", a token by number, or a number for each text
Position = str | int | Sequence[int]
# states of a batch (n_texts, n_tokens, n_features) -> those of the wanted position (n_texts, n_features)
Reader = Callable[[torch.Tensor], torch.Tensor]


class _Done(Exception):
    """Raised inside a forward pass once the last wanted layer has been read."""


def hidden_states(
    lm: LanguageModel,
    texts: Sequence[str],
    layers: Layers = "penultimate",
    cue: str | None = None,
    position: str | int = "last",
    *,
    device: str | torch.device | None = None,
    cache: bool = True,
    progress: bool = True,
) -> np.ndarray:
    r"""Hidden states at one position per text.

    Layer 0 is the embedding, layer k the residual stream after block k, layer L the output after the final
    norm, as transformers numbers ``output_hidden_states``. Texts are sorted by length and padded on the
    right, where a causal model cannot see and a bidirectional one is told not to look, so the result equals
    one pass per text.

    Parameters
    ----------
    lm : LanguageModel
        Its number format is that of the computation.
    texts : sequence of str
        Non-empty texts. One that is longer than the model's context loses its beginning, with a warning.
    layers : {"penultimate", "last", "all"}, int or iterable of int
        Which layers; negative numbers count from layer L = -1, so "penultimate" is -2.
    cue : str or None
        Appended to every text, e.g. `AFFECT_CUE`.
    position : {"last", "mean"} or int
        The last token, the mean over tokens, or a token by number (negative from the end).
    device : str, torch.device or None
        Where the model is moved; None leaves it where it is.
    cache : bool
        Keep the result in the user's cache, addressed by weights, tokens, options, source code and versions
        of libraries. A model in training mode, or changed by hooks, by modules of other packages or by a
        ``forward`` of its own, as for steering, is neither looked up nor kept.
    progress : bool
        Show a progress bar.

    Returns
    -------
    ndarray of float32, shape (n_texts, n_layers, n_features)

    Raises
    ------
    ValueError, TypeError
        If a text is empty, no string, becomes no tokens or has no such position, or if the model has no such
        layer, or the wanted layers differ in width.

    Examples
    --------
    >>> H = hidden_states(lm, ["What a day!"], layers="all", cue=AFFECT_CUE)     # doctest: +SKIP
    """
    lm.to(device)
    wanted, every = _layer_numbers(layers, lm.n_layers), _layer_numbers("all", lm.n_layers)
    if isinstance(position, str):
        checks.choice("position", position, ("last", "mean"))
    else:
        position = checks.count("position", position, -(2**31))
    tokens = _tokenise(lm, _checked_texts(texts), cue)
    key = _keys(lm) if cache else None

    def compute() -> np.ndarray:
        stored = files.stored_array("hidden", key(tokens, every, position)) if key else None
        return _compute(lm, tokens, wanted, [position], progress)[0] if stored is None else stored[:, wanted]

    return files.load_or_compute("hidden", key(tokens, wanted, position), compute) if key else compute()


def bare_and_cued_states(
    lm: LanguageModel,
    texts: Sequence[str],
    layers: Layers = "penultimate",
    cue: str = AFFECT_CUE,
    *,
    cache: bool = True,
    progress: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """States at the last token of each text, and at the last token of its cue, as `hidden_states` gives them.

    A causal model does not see ahead: at the last token of the text, the pass with the cue holds the state of
    the bare text, so one pass gives both, each (n_texts, n_layers, n_features). Texts are passed a second
    time if the model is bidirectional, if the tokeniser splits a text differently before the cue, or if text
    and cue exceed the context.
    """
    if not cue:
        raise ValueError("cue is empty: without one there is a single read-out, that of hidden_states")
    texts, wanted = _checked_texts(texts), _layer_numbers(layers, lm.n_layers)
    bare, cued = _tokenise(lm, texts, None), _tokenise(lm, texts, cue)
    key = _keys(lm) if cache else None
    computed: list[np.ndarray] = []

    def compute(which: int) -> np.ndarray:
        if not computed:
            computed.extend(_compute_both(lm, bare, cued, wanted, progress))
        return computed[which]

    if key is None:
        return compute(0), compute(1)
    first, second = (
        files.load_or_compute("hidden", key(tokens, wanted, "last"), partial(compute, which))
        for which, tokens in enumerate((bare, cued))
    )
    return first, second


def _keys(lm: LanguageModel) -> Callable[..., str] | None:
    """A function from tokens, layers and position to the key of their states; None if there can be no key.

    There is none for a model with parts whose source is not known: see `_is_plain`.
    """
    if not _is_plain(lm.base):
        return None
    device = lm.device.type
    settings = (
        torch.is_autocast_enabled(device),
        str(torch.get_autocast_dtype(device)),
        torch.get_float32_matmul_precision(),
    )
    common = files.cache_key(__name__, lm.fingerprint(), device, *settings)
    return lambda tokens, wanted, position: files.digest(common, tokens, wanted, position)


def _is_plain(base: nn.Module) -> bool:
    """Whether a network computes what torch and transformers say, and the same at every call."""
    functions: list[Any] = [
        *nn.modules.module._global_forward_hooks.values(),
        *nn.modules.module._global_forward_pre_hooks.values(),
    ]
    for module in base.modules():
        functions += [type(module), module.forward]
        functions += [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    homes = {(getattr(function, "__module__", None) or "").partition(".")[0] for function in functions}
    return homes <= {"torch", "transformers"} and not any(module.training for module in base.modules())


def _layer_numbers(layers: Layers, n_layers: int) -> list[int]:
    """Layer numbers 0..n_layers for a specification."""
    named = {"penultimate": [n_layers - 1], "last": [n_layers], "all": list(range(n_layers + 1))}
    if isinstance(layers, str):
        return named[checks.choice("layers", layers, named)]
    numbers = list(layers) if isinstance(layers, Iterable) else [layers]
    if not numbers:
        raise ValueError("layers is empty: name at least one layer")
    numbers = [checks.count("layers", k, -n_layers - 1, n_layers) for k in numbers]
    return [k % (n_layers + 1) for k in numbers]


def _checked_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError("texts is one string: pass a list of strings")
    if isinstance(texts, Mapping | Set) or len(getattr(texts, "shape", ())) > 1:
        raise TypeError(f"texts is a {type(texts).__name__}, which is no list of texts in order: pass a list")
    texts = list(texts)
    if not texts:
        raise ValueError("texts is empty: pass at least one text")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] is {type(text).__name__}, not a string")
        if not text.strip():
            raise ValueError(f"texts[{i}] is empty: drop it or say what it should be")
        _refuse_halves(f"texts[{i}]", text)
    return texts


def _refuse_halves(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} holds {text[error.start]!r}, half a character, at {error.start}: "
            "read its file again with the right encoding, or drop it"
        ) from error


def _tokenise(lm: LanguageModel, texts: list[str], cue: str | None) -> list[list[int]]:
    if cue is not None:
        if not isinstance(cue, str):
            raise TypeError(f"cue is {type(cue).__name__}, not a string")
        _refuse_halves("cue", cue)
        texts = [text + cue for text in texts]
    tokens = lm.tokenizer(texts, padding=False, truncation=False, verbose=False)["input_ids"]
    for i, ids in enumerate(tokens):
        if not ids:
            raise ValueError(f"texts[{i}], {texts[i][:40]!r}, becomes no tokens: drop it or say it in words")
        if max(ids) >= lm.vocabulary:
            raise ValueError(
                f"texts[{i}], {texts[i][:40]!r}, becomes token {max(ids)}, but {lm.name} has {lm.vocabulary} "
                "tokens: the tokenizer is another model's, or a token was added to it alone"
            )
    too_long = [i for i, ids in enumerate(tokens) if len(ids) > lm.max_length]
    if too_long:
        warnings.warn(
            f"{len(too_long)} of {len(texts)} texts exceed the context of {lm.max_length} tokens "
            f"(first: texts[{too_long[0]}], {len(tokens[too_long[0]])} tokens); their beginnings are cut off",
            stacklevel=3,
        )
    return [ids[-lm.max_length :] for ids in tokens]


def _compute_both(
    lm: LanguageModel, bare: list[list[int]], cued: list[list[int]], wanted: list[int], progress: bool
) -> tuple[np.ndarray, np.ndarray]:
    """States of the bare texts and of the cued ones, where possible from the pass of the latter."""
    shared = [
        not lm.bidirectional and long[: len(short)] == short for short, long in zip(bare, cued, strict=True)
    ]
    # the last token of the bare text; of texts that are passed again, any
    ends = [len(short) - 1 if same else 0 for short, same in zip(bare, shared, strict=True)]
    within, last = _compute(lm, cued, wanted, [ends, "last"], progress)
    again = [i for i, same in enumerate(shared) if not same]
    if again:
        (within[again],) = _compute(lm, [bare[i] for i in again], wanted, ["last"], progress)
    return within, last


def _compute(
    lm: LanguageModel,
    tokens: list[list[int]],
    wanted: list[int],
    positions: Sequence[Position],
    progress: bool,
) -> list[np.ndarray]:
    """One array (n_texts, n_layers, n_features) for each position; a batch too large for memory is halved."""
    widths = {k: lm.widths[k] for k in wanted}
    if len(set(widths.values())) > 1:
        raise ValueError(
            f"layers differ in width, so ask for them one by one: features by layer are {widths}"
        )
    states = np.empty((len(positions), len(tokens), len(wanted), widths[wanted[0]]), dtype=np.float32)
    batches = _batches(tokens, _TOKEN_BUDGET.get(lm.device.type, 4096))
    bar = tqdm(
        total=len(tokens), desc=f"{lm.name}: hidden states", unit="text", disable=not progress, leave=False
    )
    with torch.inference_mode(), bar:
        while batches:
            rows = batches.pop(0)
            batch_positions = [
                at if isinstance(at, (str, int)) else [at[i] for i in rows] for at in positions
            ]
            try:
                read = _batch_states(lm, [tokens[i] for i in rows], wanted, batch_positions)
            except torch.OutOfMemoryError:
                if len(rows) == 1:
                    raise
                half = len(rows) // 2
                batches[:0] = [rows[:half], rows[half:]]
                continue
            states[:, rows] = read.cpu().numpy()
            bar.update(len(rows))
    return list(states)


def _batches(tokens: list[list[int]], budget: int) -> list[list[int]]:
    """Row numbers by length; each batch has at most `budget` padded tokens, or is one text."""
    batches: list[list[int]] = [[]]
    for i in sorted(range(len(tokens)), key=lambda i: len(tokens[i])):
        if batches[-1] and (len(batches[-1]) + 1) * len(tokens[i]) > budget:
            batches.append([])
        batches[-1].append(i)
    return batches


def _batch_states(
    lm: LanguageModel, tokens: list[list[int]], wanted: list[int], positions: Sequence[Position]
) -> torch.Tensor:
    """States of one batch, (n_positions, n_texts, n_wanted, n_features), on its device in float32."""
    lengths = torch.tensor([len(ids) for ids in tokens])
    longest = int(lengths.max())
    # what stands behind a text is not seen, so its own last token serves where a tokenizer has no padding
    ids = torch.tensor([row + row[-1:] * (longest - len(row)) for row in tokens], device=lm.device)
    mask = (torch.arange(longest) < lengths[:, None]).to(lm.device)
    readers = [_reader(lengths, mask, position) for position in positions]

    def read(states: torch.Tensor) -> torch.Tensor:
        return torch.stack([reader(states) for reader in readers])

    inputs: dict[str, Any] = {"input_ids": ids, "use_cache": False}
    if lm.bidirectional:  # a causal model needs no mask, and none means the fast attention kernel
        inputs["attention_mask"] = mask.long()

    states: dict[int, torch.Tensor] = {}
    with _reading(lm, set(wanted), read, states):
        try:
            states[lm.n_layers] = read(lm.base(**inputs).last_hidden_state)
        except _Done:
            pass
        except torch.OutOfMemoryError:
            raise
        except (IndexError, RuntimeError) as error:  # what torch says of a row that a table does not have
            raise ValueError(
                f"{lm.name} fails on a text of {longest} tokens ({error}): if it has fewer positions, set "
                "lm.tokenizer.model_max_length to their number, and longer texts lose their beginning"
            ) from error
    return torch.stack([states[k] for k in wanted], dim=2)


def _reader(lengths: torch.Tensor, mask: torch.Tensor, position: Position) -> Reader:
    """A function (n_texts, n_tokens, n_features) -> (n_texts, n_features) for the wanted position."""
    if position == "mean":
        weights = (mask / mask.sum(1, keepdim=True)).unsqueeze(-1)
        return lambda states: (states.float() * weights).sum(1)
    at = torch.as_tensor(-1 if position == "last" else position).expand(len(lengths))
    index = torch.where(at < 0, lengths + at, at)
    if (index < 0).any() or (index >= lengths).any():
        raise ValueError(f"position {position} lies outside a text of {int(lengths.min())} tokens")
    rows = torch.arange(len(lengths), device=mask.device)
    index = index.to(mask.device)
    return lambda states: states[rows, index].float()


@contextmanager
def _reading(
    lm: LanguageModel, wanted: set[int], read: Reader, states: dict[int, torch.Tensor]
) -> Iterator[None]:
    """Read the wanted layers as they enter the next block; stop the pass after the deepest one."""

    def hook(k: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states[k] = read(entering(args, kwargs))
        if k == max(wanted):
            raise _Done

    handles = [
        lm.blocks[k].register_forward_pre_hook(partial(hook, k), with_kwargs=True)
        for k in wanted
        if k < lm.n_layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
