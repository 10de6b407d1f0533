"""Factories and fixtures that every test file shares: a seed, every device, a tiny model."""

from __future__ import annotations

import gc
import os
from pathlib import Path

# before numpy is loaded: threads of several workers wait for one another many times as long as they compute
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch

#: FACED's official release where KERNEL_DATA names it; tests marked ``faced`` are skipped without it.
FACED = Path(os.environ.get("KERNEL_DATA", "")).expanduser().absolute()
HAS_FACED = (FACED / "EEG_Features" / "DE").is_dir() and (FACED / "After_remarks").is_dir()

DEVICES = ["cpu"]
if torch.cuda.is_available():
    DEVICES.append("cuda")
if torch.backends.mps.is_available():
    DEVICES.append("mps")


#: Files that one worker does as a whole: what their tests share takes long to make (a rendered book, a whole
#: study). They are begun first, which also keeps the long walk from being the last test of all.
TOGETHER = ("test_browser.py", "test_chapters.py", "test_studies.py", "test_walk.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Tests of a file of `TOGETHER` go to one worker, any other test to any.

    xdist has ``--dist loadgroup`` for this, which pytest 9.2 has made ineffective without a word.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return file if file.endswith(TOGETHER) else nodeid

    return Scheduling(config, log)


def pytest_collection_modifyitems(items):
    skip = pytest.mark.skip(reason="needs FACED: set KERNEL_DATA to the folder of its official release")
    for item in items:
        if "faced" in item.keywords and not HAS_FACED:
            item.add_marker(skip)


def pytest_collection_finish():
    """What has been imported stays: no later collection of garbage need look through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_data_of_the_user(monkeypatch):
    """What a test reads it names itself."""
    for name in ("KERNEL_DATA", "KERNEL_MIRROR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def faced():
    """The 123 people of FACED, 32 channels, nats."""
    from kernel.brain.faced import read_faced

    return read_faced(FACED, source="de", channels="all", progress=False)


@pytest.fixture
def rng():
    return np.random.default_rng(20260528)


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, request, monkeypatch):
    """Each test has a cache of its own, except those that need the fetched assets."""
    if "assets" not in request.keywords:
        monkeypatch.setenv("KERNEL_CACHE", str(tmp_path_factory.mktemp("cache")))


def tiny_tokenizer():
    """A word-level tokenizer that grows no vocabulary file: every word hashes to one of 200 ids."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"w{i}": i + 2 for i in range(198)}
    backend = Tokenizer(models.WordLevel({"<pad>": 0, "<unk>": 1, **words}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>")


def make_tiny_lm(architecture="llama", n_layers=4, width=32, max_length=64, device="cpu", seed=0):
    """A random language model of one of several architectures, as a LanguageModel."""
    from transformers import AutoModelForCausalLM, GemmaConfig, GPT2Config, LlamaConfig

    from kernel.language.models import LanguageModel

    # weights of order one, so that states are too and an absolute tolerance means something
    shared = dict(vocab_size=200, pad_token_id=0, bos_token_id=None, eos_token_id=None, initializer_range=0.3)
    rotary = dict(
        hidden_size=width,
        num_hidden_layers=n_layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=max_length,
        **shared,
    )
    configs = {
        "llama": lambda: LlamaConfig(**rotary),
        "gemma": lambda: GemmaConfig(head_dim=8, **rotary),
        "gpt2": lambda: GPT2Config(
            n_embd=width, n_layer=n_layers, n_head=4, n_positions=max_length, **shared
        ),
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        causal = AutoModelForCausalLM.from_config(configs[architecture]()).to(device).eval()
    return LanguageModel(f"tiny-{architecture}", causal.base_model, tiny_tokenizer(), causal, "tiny")


@pytest.fixture
def tiny_lm(device):
    return make_tiny_lm(device=device)
