"""Batched hidden states must equal one plain transformers pass per text, whatever the architecture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import make_tiny_lm, tiny_tokenizer
from tokenizers import normalizers

from kernel.language import hidden
from kernel.language.hidden import bare_and_cued_states, hidden_states
from kernel.language.models import LanguageModel

TEXTS = [f"{' '.join(f'w{(7 * i + j) % 198}' for j in range(1 + (5 * i) % 17))}" for i in range(23)]
PLAIN = dict(cache=False, progress=False)


def one_by_one(lm, texts, position=-1):
    """The oracle: transformers itself, one text at a time, nothing shared with our code."""
    rows = []
    for text in texts:
        ids = lm.tokenizer(text, return_tensors="pt").to(lm.device)
        with torch.no_grad():
            states = lm.base(input_ids=ids["input_ids"], output_hidden_states=True).hidden_states
        pick = [s[0].mean(0) if position == "mean" else s[0, position] for s in states]
        rows.append(torch.stack(pick).float().cpu().numpy())
    return np.stack(rows)


@pytest.mark.parametrize("architecture", ["llama", "gemma", "gpt2"])
@pytest.mark.parametrize("budget", [512, 1, 40])
def test_both_read_outs_equal_one_pass_per_text(architecture, budget, passes, device, monkeypatch):
    monkeypatch.setattr(hidden, "_TOKEN_BUDGET", {device: budget})
    lm = make_tiny_lm(architecture)
    bare = hidden_states(lm, TEXTS, "all", device=device, **PLAIN)
    assert bare.shape == (len(TEXTS), lm.n_layers + 1, lm.widths[0]) and lm.device.type == device
    np.testing.assert_allclose(bare, one_by_one(lm, TEXTS), atol=1e-4)
    cued = hidden_states(lm, TEXTS, "all", " w9 w8", **PLAIN)
    np.testing.assert_allclose(cued, one_by_one(lm, [f"{text} w9 w8" for text in TEXTS]), atol=1e-4)
    both = bare_and_cued_states(lm, TEXTS, "all", " w9 w8", **PLAIN)
    np.testing.assert_allclose(both, (bare, cued), atol=1e-4)
    assert passes == [len(TEXTS)] * 3


@pytest.mark.parametrize("position", ["mean", 0, np.int64(-1)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_other_positions_equal_the_oracle_whatever_the_side_of_padding(tiny_lm, position, side):
    tiny_lm.tokenizer.padding_side = side
    H = hidden_states(tiny_lm, TEXTS, "all", position=position, **PLAIN)
    np.testing.assert_allclose(H, one_by_one(tiny_lm, TEXTS, position), atol=1e-4)


def test_keeps_the_order_of_layers_and_texts_and_repeats(tiny_lm):
    texts = [TEXTS[3], TEXTS[1], TEXTS[3]]
    H = hidden_states(tiny_lm, texts, [-1, 0], **PLAIN)
    np.testing.assert_allclose(H, one_by_one(tiny_lm, texts)[:, [-1, 0]], atol=1e-4)


def test_a_batch_too_large_for_memory_is_halved(tiny_lm, monkeypatch):
    read, sizes = hidden._batch_states, []

    def limited(lm, tokens, *rest):
        sizes.append(len(tokens))
        if len(tokens) > limit:
            raise torch.OutOfMemoryError("no memory")
        return read(lm, tokens, *rest)

    monkeypatch.setattr(hidden, "_batch_states", limited)
    limit = 3
    H = hidden_states(tiny_lm, TEXTS, "all", **PLAIN)
    np.testing.assert_allclose(H, one_by_one(tiny_lm, TEXTS), atol=1e-4)
    assert max(sizes) > 3
    limit = 0
    with pytest.raises(torch.OutOfMemoryError):
        hidden_states(tiny_lm, TEXTS, **PLAIN)


@pytest.fixture
def passes(monkeypatch):
    """Number of texts of every pass through a model."""
    counted = []
    compute = hidden._compute
    monkeypatch.setattr(
        hidden,
        "_compute",
        lambda lm, tokens, *rest: counted.append(len(tokens)) or compute(lm, tokens, *rest),
    )
    return counted


def test_texts_that_are_split_differently_before_the_cue_are_passed_again(tiny_lm, passes):
    texts = ["w1 w2", "w3", "w4 w199"]  # "w1 w29", "w39", and "w4" with an unknown word
    bare, cued = bare_and_cued_states(tiny_lm, texts, "all", "9", **PLAIN)
    np.testing.assert_allclose(bare, one_by_one(tiny_lm, texts), atol=1e-4)
    np.testing.assert_allclose(cued, one_by_one(tiny_lm, [f"{text}9" for text in texts]), atol=1e-4)
    assert passes[0] == 3 and 2 <= passes[1] <= 3


def test_texts_that_fill_the_context_are_passed_again(passes):
    lm = make_tiny_lm(max_length=8)
    texts = ["w1 w2", " ".join(f"w{i}" for i in range(8))]
    with pytest.warns(
        UserWarning, match=r"1 of 2 texts exceed the context of 8 tokens \(first: texts\[1\], 9 tokens"
    ):
        bare, cued = bare_and_cued_states(lm, texts, "all", " w9", **PLAIN)
    np.testing.assert_allclose(bare, one_by_one(lm, texts), atol=1e-4)
    tail = " ".join(f"w{i}" for i in (*range(1, 8), 9))
    np.testing.assert_allclose(cued, one_by_one(lm, ["w1 w2 w9", tail]), atol=1e-4)
    assert passes == [2, 1]


@pytest.mark.parametrize("padding", [None, 200, 10**6])
def test_the_padding_token_does_not_matter(tiny_lm, padding):
    tokenizer = tiny_lm.tokenizer
    tokenizer.pad_token = None
    if padding is not None:  # one that the network does not know
        tokenizer.add_special_tokens({"pad_token": "<nothing>"})
        tokenizer.convert_tokens_to_ids = lambda token: padding
    H = hidden_states(tiny_lm, TEXTS, "all", **PLAIN)
    np.testing.assert_allclose(H, one_by_one(tiny_lm, TEXTS), atol=1e-4)


def bidirectional_lm():
    """A tiny network whose tokens see ahead, as embedding models made of causal ones do."""
    from transformers import BertConfig, BertLMHeadModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64)
        causal = BertLMHeadModel(BertConfig(vocab_size=200, initializer_range=0.3, **sizes)).eval()
    return LanguageModel("tiny-bert", causal.base_model, tiny_tokenizer(), causal)


def test_a_bidirectional_model_is_asked_twice_and_equals_one_pass_per_text(passes):
    lm = bidirectional_lm()
    bare, cued = bare_and_cued_states(lm, TEXTS, "all", " w9 w8", **PLAIN)
    np.testing.assert_allclose(bare, one_by_one(lm, TEXTS), atol=1e-4)
    np.testing.assert_allclose(cued, one_by_one(lm, [f"{text} w9 w8" for text in TEXTS]), atol=1e-4)
    assert passes == [len(TEXTS), len(TEXTS)]
    mean = hidden_states(lm, TEXTS, "all", position="mean", **PLAIN)
    np.testing.assert_allclose(mean, one_by_one(lm, TEXTS, "mean"), atol=1e-4)


def test_both_read_outs_and_all_layers_are_found_again(tiny_lm, passes):
    bare, cued = bare_and_cued_states(tiny_lm, TEXTS, "all", " w9", progress=False)
    again = bare_and_cued_states(tiny_lm, TEXTS, "all", " w9", progress=False)
    np.testing.assert_array_equal(again, (bare, cued))
    np.testing.assert_array_equal(hidden_states(tiny_lm, TEXTS, "all", progress=False), bare)
    some = hidden_states(tiny_lm, TEXTS, [-2, 0], " w9", progress=False)
    np.testing.assert_array_equal(some, cued[:, [-2, 0]])
    assert passes == [len(TEXTS)]
    hidden_states(tiny_lm, TEXTS, [-2, 0], " w9", position="mean", progress=False)
    assert len(passes) == 2


def test_leaves_no_hook_behind_even_after_a_failure(tiny_lm):
    with pytest.raises(ValueError, match="position 40 lies outside"):
        hidden_states(tiny_lm, TEXTS, "all", position=40, **PLAIN)
    assert not any(block._forward_pre_hooks for block in tiny_lm.blocks)


def test_a_text_beyond_a_table_of_positions_that_states_no_length_names_the_cure():
    lm = make_tiny_lm("gpt2", max_length=8)
    lm.base.config.max_position_embeddings = None
    with pytest.raises(ValueError, match=r"fails on a text of 20 tokens \(index .*model_max_length"):
        hidden_states(lm, [" ".join(f"w{i}" for i in range(20))], **PLAIN)
    lm.tokenizer.model_max_length = 8
    with pytest.warns(UserWarning, match="exceed the context of 8 tokens"):
        hidden_states(lm, [" ".join(f"w{i}" for i in range(20))], **PLAIN)


@pytest.mark.parametrize("stated", [-1, 0])
def test_a_length_that_states_none_is_none(tiny_lm, stated):
    tiny_lm.tokenizer.model_max_length = tiny_lm.base.config.max_position_embeddings = stated
    assert tiny_lm.max_length == 2048
    H = hidden_states(tiny_lm, TEXTS, "all", **PLAIN)
    np.testing.assert_allclose(H, one_by_one(tiny_lm, TEXTS), atol=1e-4)


def other_tokens(lm):
    from tokenizers.processors import TemplateProcessing

    first = TemplateProcessing(single="w9 $A", special_tokens=[("w9", lm.tokenizer.get_vocab()["w9"])])
    lm.tokenizer.backend_tokenizer.post_processor = first


def other_spelling(lm):
    from tokenizers.normalizers import Replace

    lm.tokenizer.backend_tokenizer.normalizer = Replace("w1", "w2")


def steer(module):
    module.register_forward_hook(
        lambda module, given, out: out + 1 if torch.is_tensor(out) else (out[0] + 1, *out[1:])
    )


def replace_forward(module):
    original = module.forward
    module.forward = lambda *given, **options: 2 * original(*given, **options)


class Doubled(torch.nn.Module):
    """What an adapter of another package is: a module in a module's place."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return 2 * self.inner(x)


CHANGES = {
    "post-processor": other_tokens,
    "normaliser": other_spelling,
    "weights through .data": lambda lm: lm.blocks[0].mlp.up_proj.weight.data.mul_(2),
    "weights in another order": lambda lm: lm.blocks[0].mlp.up_proj.weight.data.copy_(
        lm.blocks[0].mlp.up_proj.weight.data.flip(0)
    ),
    "number format": lambda lm: lm.base.to(torch.bfloat16),
    "a scale": lambda lm: setattr(lm.blocks[0].self_attn, "scaling", 3.0),
    "a hook on a block": lambda lm: steer(lm.blocks[1]),
    "a hook deep inside": lambda lm: steer(lm.blocks[1].mlp.up_proj),
    "a forward of its own": lambda lm: replace_forward(lm.blocks[0].mlp),
    "an adapter": lambda lm: setattr(lm.blocks[0].mlp, "up_proj", Doubled(lm.blocks[0].mlp.up_proj)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("both", [False, True])
def test_whatever_changes_the_states_changes_what_the_cache_gives(change, both, device):
    def states(cache):
        if both:
            return np.stack(bare_and_cued_states(lm, TEXTS[:5], [1, 3], " w1", cache=cache, progress=False))
        return hidden_states(lm, TEXTS[:5], [1, 3], cache=cache, progress=False)

    lm = make_tiny_lm(device=device)
    first = states(cache=True)
    np.testing.assert_array_equal(states(cache=True), first)
    CHANGES[change](lm)
    fresh = states(cache=False)
    assert np.abs(fresh - first).max() > 1e-3
    np.testing.assert_array_equal(states(cache=True), fresh)


def test_a_steered_model_leaves_nothing_for_the_plain_one(tiny_lm, passes):
    def call():
        return hidden_states(tiny_lm, TEXTS[:3], progress=False)

    handle = tiny_lm.blocks[0].register_forward_hook(lambda module, given, out: out)
    call(), call()
    handle.remove()
    call(), call()
    assert len(passes) == 3
    tiny_lm.base(input_ids=torch.tensor([[1]], device=tiny_lm.device), output_hidden_states=True)
    call()  # hooks of transformers itself change nothing
    tiny_lm.base.train()
    call(), call()
    assert len(passes) == 5


def test_keys_hold_the_settings_of_torch_and_the_device(tiny_lm, monkeypatch):
    def key():
        return hidden._keys(tiny_lm)([[1, 2]], [0], "last")

    seen = [key()]
    assert key() == seen[0]
    with torch.autocast(tiny_lm.device.type, torch.bfloat16):
        seen.append(key())
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    seen.append(key())
    monkeypatch.undo()
    other = "cuda" if tiny_lm.device.type == "cpu" else "cpu"
    monkeypatch.setattr(type(tiny_lm), "device", torch.device(other))
    seen.append(key())
    assert len(set(seen)) == 4
    one = hidden._keys(tiny_lm)
    changed = [one([[1, 2]], [0], "last"), one([[1], [2]], [0], "last"), one([[1, 2]], [1], "last")]
    assert len({*changed, one([[1, 2]], [0], "mean"), one([[1, 2]], [0], 1)}) == 5


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ([], ValueError, "texts is empty"),
        (["w1", "  "], ValueError, r"texts\[1\] is empty"),
        (["w1", 3], TypeError, r"texts\[1\] is int"),
        ("w1", TypeError, "one string"),
        ({"a": "w1"}, TypeError, "texts is a dict, which is no list of texts in order"),
        ({"w1", "w2"}, TypeError, "texts is a set, which is no list"),
        (np.array([["w1"]]), TypeError, "texts is a ndarray, which is no list"),
        (["w1", "w2 \ud83d"], ValueError, r"texts\[1\] holds '\\ud83d', half a character, at 3"),
        (["w1", "~~"], ValueError, r"texts\[1\], '~~', becomes no tokens"),
        (["w1", "w2 beyond"], ValueError, r"texts\[1\], .*, becomes token 200, but tiny-llama has 200"),
    ],
)
def test_names_the_text_it_cannot_use(tiny_lm, texts, error, message):
    tiny_lm.tokenizer.backend_tokenizer.normalizer = normalizers.Replace("~", "")
    tiny_lm.tokenizer.add_tokens("beyond")
    for read in (hidden_states, lambda *given: bare_and_cued_states(*given, cue="~")):
        with pytest.raises(error, match=message):
            read(tiny_lm, texts)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        *[(dict(layers=k), ValueError, "from -5 to 4, got") for k in (5, -6, [0, 9], 1.5)],
        (dict(layers="middle"), ValueError, "layers must be one of penultimate, last, all; got 'middle'"),
        (dict(layers=[]), ValueError, "layers is empty"),
        *[(dict(position=at), ValueError, "position must be") for at in ("first", [0], None)],
        (dict(device="abacus"), ValueError, "device 'abacus' cannot be used"),
    ],
)
def test_names_the_option_it_cannot_use(tiny_lm, options, error, message):
    with pytest.raises(error, match=message):
        hidden_states(tiny_lm, ["w1"], **options)
    with pytest.raises(ValueError, match="cue is empty"):
        bare_and_cued_states(tiny_lm, ["w1"], cue="")


@pytest.mark.parametrize(
    "cue, error, message",
    [(" w\ud83d", ValueError, r"cue holds '\\ud83d', half a character, at 2"), (3, TypeError, "cue is int")],
)
def test_names_a_cue_it_cannot_use(tiny_lm, cue, error, message):
    for read in (hidden_states, bare_and_cued_states):
        with pytest.raises(error, match=message):
            read(tiny_lm, ["w1"], cue=cue, **PLAIN)
