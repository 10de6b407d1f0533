"""Loading, fingerprints and twins; the bundled models must speak English."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import make_tiny_lm, tiny_tokenizer
from safetensors.torch import load_file, save_file
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, T5Config, T5Model

from kernel.language import models
from kernel.language.hidden import hidden_states
from kernel.language.models import (
    REGISTRY,
    LanguageModel,
    ModelLoadError,
    load_encoder,
    load_language_model,
    random_twin,
)

BUNDLED = [name for name, card in REGISTRY.items() if card.bundled]


def test_the_registry_holds_the_papers_fourteen_and_three_assets():
    paper = [card for card in REGISTRY.values() if card.paper_r is not None]
    assert len(paper) == 14
    assert BUNDLED == ["SmolLM2-135M-Instruct", "Gemma-3-270M", "Qwen2.5-Coder-0.5B-Instruct"]
    assert all(REGISTRY[name].source in models.assets.ASSETS for name in BUNDLED)
    assert sum(card.paper_r > 0.85 for card in paper) == 7
    assert sum(card.paper_r < 0.4 for card in paper) == 3
    assert len({card.source for card in REGISTRY.values()}) == len(REGISTRY)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown model 'Qwen9'.*SmolLM2"):
        load_language_model("Qwen9")


def test_a_folder_loads_like_a_hub_model(tmp_path):
    lm = make_tiny_lm()
    folder = tmp_path / "mine"
    lm.causal.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    loaded = load_language_model(folder, device="cpu")
    assert (loaded.name, loaded.widths, loaded.dtype) == ("mine", (32,) * 5, torch.float32)
    texts = ["w1 w2", "w3"]
    options = dict(cache=False, progress=False)
    np.testing.assert_allclose(
        hidden_states(loaded, texts, **options), hidden_states(lm, texts, **options), atol=1e-6
    )
    folder.rename(tmp_path / "moved")
    folder = tmp_path / "moved"
    assert load_language_model(str(folder), device="cpu").fingerprint() == loaded.fingerprint()
    half = load_language_model(str(folder), device="cpu", dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    assert hidden_states(half, texts, **options).dtype == np.float32


def test_pickled_weights_and_empty_folders_are_refused(tmp_path):
    lm = make_tiny_lm()
    lm.causal.config.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    torch.save(lm.causal.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="safetensors"):
        load_language_model(str(tmp_path), device="cpu")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelLoadError, match="could not load"):
        load_language_model(str(tmp_path / "empty"), device="cpu")


def save(lm, folder, *, without=(), extra=(), **config):
    """A folder with the model's weights but some, and with some besides."""
    lm.causal.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in weights.items() if not key.startswith(without or "-")}
    save_file(kept | {key: torch.ones(2) for key in extra}, folder / "model.safetensors", {"format": "pt"})
    stored = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(stored | config))
    return str(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            dict(without="model.layers.1.mlp"),
            "lack 3 of the network: model.layers.1.mlp.down_proj.weight, model",
        ),
        (dict(without="model.norm"), "lack 1 of the network: model.norm.weight"),
        (
            dict(num_hidden_layers=2),
            "hold, beyond the configuration, 18 .* model.layers.2.input_layernorm.weight",
        ),
        (dict(extra=["model.layers.0.mlp.up_proj.bias"]), "hold, .* 1 .* model.layers.0.mlp.up_proj.bias"),
    ],
)
def test_weights_that_are_not_the_networks_are_named(tmp_path, change, message):
    with pytest.raises(ModelLoadError, match=message):
        load_language_model(save(make_tiny_lm(), tmp_path, **change), device="cpu")


@pytest.mark.parametrize(
    "change",
    [dict(extra=["vision_tower.layers.0.weight"]), dict(without="lm_head", tie_word_embeddings=True)],
)
def test_weights_of_another_part_and_tied_ones_are_no_fault(tmp_path, change):
    lm = make_tiny_lm()
    loaded = load_language_model(save(lm, tmp_path, **change), device="cpu")
    options = dict(layers="all", cache=False, progress=False)
    # where in memory weights lie decides how products are rounded; weights left at random differ by tenths
    np.testing.assert_allclose(
        hidden_states(loaded, ["w1"], **options), hidden_states(lm, ["w1"], **options), rtol=0, atol=1e-4
    )


def test_an_encoder_decoder_is_refused(tmp_path):
    config = T5Config(d_model=16, d_kv=4, d_ff=16, num_layers=2, num_heads=2, vocab_size=200)
    config.save_pretrained(tmp_path)  # there are no weights yet
    with pytest.raises(ModelLoadError, match="is an encoder-decoder"):
        load_language_model(str(tmp_path), device="cpu")
    with pytest.raises(ModelLoadError, match="t5 is an encoder-decoder"):
        LanguageModel("t5", T5Model(config).eval(), tiny_tokenizer())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("ahead", [False, True])
def test_a_model_that_sees_ahead_is_known_in_any_number_format(tmp_path, dtype, ahead):
    config = Gemma3TextConfig(
        vocab_size=200, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=8, intermediate_size=64, use_bidirectional_attention=ahead,
    )  # fmt: skip
    Gemma3ForCausalLM(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    assert load_language_model(str(tmp_path), device="cpu", dtype=dtype).bidirectional == ahead


def test_a_network_that_looks_behind_the_mask_is_refused():
    lm = make_tiny_lm()

    def blur(module, args, output):
        output.last_hidden_state = output.last_hidden_state + output.last_hidden_state.mean(1, keepdim=True)

    lm.base.register_forward_hook(blur)
    with pytest.raises(ModelLoadError, match=r"not causal and ignores the mask$"):
        replace(lm)
    dropping = make_tiny_lm("gpt2")
    dropping.base.train()
    with pytest.raises(ModelLoadError, match=r"or needs \.eval"):
        replace(dropping)


def test_a_network_without_weights_is_refused():
    with pytest.raises(ModelLoadError, match="tiny-llama is on device 'meta', where it has no weights"):
        make_tiny_lm(device="meta")


def test_remote_code_is_never_asked_for(monkeypatch):
    import transformers

    asked = {}

    def capture(source, **options):
        asked.update(options)
        raise OSError("offline")

    config = transformers.LlamaConfig()
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", lambda *a, **k: config)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *a, **k: tiny_tokenizer())
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", capture)
    with pytest.raises(ModelLoadError, match="offline"):
        load_language_model("some/model", device="cpu")
    assert not asked.get("trust_remote_code", False)
    assert asked["use_safetensors"] is True


def test_the_fingerprint_follows_the_weights():
    lm, same, other = make_tiny_lm(seed=0), make_tiny_lm(seed=0), make_tiny_lm(seed=1)
    assert lm.fingerprint() == same.fingerprint() != other.fingerprint()
    with torch.no_grad():
        lm.base.get_input_embeddings().weight[7, 3] += 1e-3
    assert lm.fingerprint() != same.fingerprint()


def test_the_twin_shares_architecture_but_no_weight():
    lm = make_tiny_lm()
    state = torch.random.get_rng_state()
    twin = random_twin(lm, random_state=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert twin.n_layers == lm.n_layers and twin.tokenizer is lm.tokenizer
    assert twin.fingerprint() == random_twin(lm, random_state=5).fingerprint() != lm.fingerprint()
    mine, theirs = (m.base.get_input_embeddings().weight.flatten() for m in (lm, twin))
    assert abs(torch.corrcoef(torch.stack([mine, theirs]))[0, 1]) < 5 / np.sqrt(mine.numel())


@pytest.mark.assets
@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_model_predicts_english_and_its_twin_does_not(name):
    card = REGISTRY[name]
    try:
        lm = load_language_model(name, device="cpu")
    except models.assets.AssetMissingError as error:
        if models.assets.ASSETS[card.source].on_request:
            pytest.skip(str(error))
        raise
    assert (lm.n_layers, lm.dtype, lm.family) == (card.n_layers, torch.float32, card.family)
    ids = lm.tokenizer(
        "The capital of France is Paris, and the capital of Italy is Rome.", return_tensors="pt"
    )
    written = lm.tokenizer.decode(ids["input_ids"][0], skip_special_tokens=True)
    assert written == "The capital of France is Paris, and the capital of Italy is Rome."
    with torch.no_grad():
        loss = lm.causal(ids["input_ids"], labels=ids["input_ids"]).loss.item()
        chance = random_twin(lm).causal(ids["input_ids"], labels=ids["input_ids"]).loss.item()
    assert loss < 3.5  # about 30 equally likely tokens; a broken de-quantisation is far off
    assert chance > 0.8 * np.log(lm.base.config.vocab_size)


@pytest.mark.assets
def test_the_sentence_encoder_knows_a_paraphrase():
    encoder = load_encoder("cpu")
    texts = ["A man is eating food.", "Someone eats a meal.", "The stock market fell sharply."]
    E = hidden_states(encoder, texts, "last", position="mean", progress=False)[:, 0]
    E /= np.linalg.norm(E, axis=1, keepdims=True)
    assert E[0] @ E[1] > 0.5 > 0.2 > E[0] @ E[2]


def test_a_bundled_model_that_is_not_there_names_the_cure():
    with pytest.raises(models.assets.AssetMissingError, match=r"kernel\.assets fetch"):
        load_language_model("SmolLM2-135M-Instruct")


def test_an_encoder_has_no_twin():
    encoder = make_tiny_lm()
    encoder.causal = None
    with pytest.raises(ValueError, match="is an encoder: the twin is made for causal models"):
        random_twin(encoder)
