"""Whatever causal architecture transformers knows: right states, or a refusal that says why."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import torch
from conftest import tiny_tokenizer
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from kernel.language.hidden import hidden_states
from kernel.language.models import LanguageModel, ModelLoadError

#: Refused when the model is made, and why.
REFUSED = {
    "cpmant": "not what enters a list of blocks",  # and it sees its padding
    "deepseek_v4": "not one vector a token",  # several streams beside one another
    "falcon_mamba": "not what enters a list of blocks",  # counts states after the blocks, not before
    "hrm_text": "not what enters a list of blocks",  # passes its blocks several times
    "hy_v4": "not one vector a token",
    "mamba": "not what enters a list of blocks",
    "mamba2": "not what enters a list of blocks",
    "prophetnet": "not what enters a list of blocks",  # two streams of predictions behind the text
    "rwkv": "not what enters a list of blocks",
    "xlnet": "not what enters a list of blocks",  # tokens first, texts second
}
#: Layers of several widths: one by one they can be read, not side by side.
UNEVEN = {"opt-350m", "qwen4_exp", "qwen4_exp_text"}
#: Their tokens see ahead: read under the mask.
BIDIRECTIONAL = set(
    "bert bert-generation big_bird camembert data2vec-text electra ernie gemma3-embedding megatron-bert "
    "rembert roberta roberta-prelayernorm roformer xlm xlm-roberta xlm-roberta-xl".split()
)
#: Must not be skipped: the paper's families and other usual ones.
USUAL = set(
    "bart bert bloom codegen cohere ctrl exaone4 falcon gemma gemma2 gemma3_text glm4 gpt2 gpt_bigcode "
    "gpt_neo gpt_neox gpt_oss gptj granite helium lfm2 llama llama4_text mamba mistral mixtral "
    "modernbert-decoder mpt nemotron olmo olmo2 openai-gpt opt persimmon phi phi3 qwen2 qwen2_moe qwen3 "
    "qwen3_5_text qwen3_moe recurrent_gemma roberta rwkv smollm3 stablelm starcoder2 xglm "
    "xlm-roberta xlnet".split()
)
#: Chunked scans that take seconds a pass without their own kernels.
SLOW = {"falcon_h1", "nemotron_h"}
#: Special forms of an architecture.
FORMS = {
    "opt-350m": ("opt", {"word_embed_proj_dim": 16, "do_layer_norm_before": False}),
    "gemma3-embedding": ("gemma3_text", {"use_bidirectional_attention": True}),
}

TINY = {
    "hidden_size n_embd d_model dim embed_dim embedding_size word_embed_proj_dim": 32,
    "num_hidden_layers n_layer n_layers num_layers decoder_layers encoder_layers": 2,
    "num_decoder_layers num_encoder_layers num_key_value_heads num_experts_per_tok eos_token_id": 2,
    "num_attention_heads n_head n_heads num_heads decoder_attention_heads encoder_attention_heads": 4,
    "num_decoder_attention_heads num_encoder_attention_heads rotary_dim": 4,
    "num_experts num_local_experts n_routed_experts moe_num_experts": 4,
    "intermediate_size ffn_dim d_inner n_inner dff ffn_hidden_size decoder_ffn_dim encoder_ffn_dim": 64,
    "max_position_embeddings n_positions n_ctx max_seq_len seq_length": 64,
    "head_dim hidden_size_per_layer_input": 8,
    "moe_intermediate_size": 16,
    "vocab_size vocab_size_per_layer_input": 200,
    "n_group topk_group bos_token_id": 1,
    "pad_token_id": 0,
    "initializer_range init_std": 0.3,  # states of order one
}
TEXTS = [" ".join(f"w{(7 * i + j) % 198}" for j in range(n)) for i, n in enumerate((3, 1, 9, 5))]


def tiny(name):
    """A seeded network of this architecture with few weights; raises where there is none."""
    architecture, form = FORMS.get(name, (name, {}))
    kind = CONFIG_MAPPING[architecture]
    default = kind()
    sizes = {key: value for keys, value in TINY.items() for key in keys.split() if hasattr(default, key)}
    sizes |= form
    try:
        config = kind(**sizes)
    except Exception:  # sizes that are read-only or contradict a default: what can be set afterwards
        config = kind(**form)
        for key, value in sizes.items():
            with suppress(Exception):
                setattr(config, key, value)
    with torch.device("meta"):
        weights = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
    if weights > 2e6:
        raise ValueError(f"{weights} weights")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).eval()


def plain(causal, text):
    """States of the last token, a list (n_layers + 1) of (n_features,), by transformers alone."""
    ids = tiny_tokenizer()(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        states = causal(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states
    return [state[0, -1].numpy() for state in states]


@pytest.mark.parametrize("name", [*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *FORMS])
def test_ragged_batches_equal_plain_passes_or_are_refused(name):
    if name in SLOW:
        pytest.skip("its scan takes seconds a pass")
    try:
        causal = tiny(name)
        oracle = [plain(causal, text) for text in TEXTS]
    except Exception as error:
        if name in USUAL or name in FORMS:
            raise
        pytest.skip(f"not built tiny: {error}"[:100])
    if name in REFUSED:
        with pytest.raises(ModelLoadError, match=REFUSED[name]):
            LanguageModel(name, causal.base_model, tiny_tokenizer(), causal)
        return
    lm = LanguageModel(name, causal.base_model, tiny_tokenizer(), causal)
    assert lm.bidirectional == (name in BIDIRECTIONAL)
    options = dict(cache=False, progress=False)
    groups = [list(range(lm.n_layers + 1))]
    if name in UNEVEN:
        with pytest.raises(ValueError, match="differ in width"):
            hidden_states(lm, TEXTS, "all", **options)
        groups = [[k] for k in groups[0]]
    for layers in groups:
        H = hidden_states(lm, TEXTS, layers, **options)
        right = np.stack([[states[k] for k in layers] for states in oracle])
        np.testing.assert_allclose(H, right, rtol=0, atol=1e-5 * np.abs(right).max())
