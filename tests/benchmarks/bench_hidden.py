"""Hidden states against a loop over texts and an expert's batches; memory of all layers against one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from timing import compared, largest_difference

from kernel.language.hidden import AFFECT_CUE, bare_and_cued_states, hidden_states
from kernel.language.models import load_language_model
from kernel.language.sentiment import load_benchmark

MODELS = ("SmolLM2-135M-Instruct", "Gemma-3-270M")
BATCH = 32
PLAIN = {"cache": False, "progress": False}


def snippets(n: int = 100) -> list[str]:
    """`n` snippets of each of three sets."""
    sets = (load_benchmark(name, n=n, min_abs_rating=1) for name in ("movie", "amazon", "tweets"))
    return [text for benchmark in sets for text in benchmark.texts]


@torch.no_grad()
def one_by_one(lm, texts: list[str]) -> np.ndarray:
    """What most people write: the whole model, all hidden states kept, the last token read at the end."""
    kept = []
    for text in texts:
        inputs = lm.tokenizer(text + AFFECT_CUE, return_tensors="pt").to(lm.device)
        kept.append(lm.causal(**inputs, output_hidden_states=True).hidden_states)
    return np.stack([states[-2][0, -1].float().cpu().numpy() for states in kept])


@torch.inference_mode()
def batched(lm, texts: list[str]) -> np.ndarray:
    """What an expert would write: batches of 32 on the base model, texts of one length together."""
    ids = lm.tokenizer([text + AFFECT_CUE for text in texts])["input_ids"]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    states = np.empty((len(ids), lm.base.config.hidden_size), dtype=np.float32)
    for start in range(0, len(ids), BATCH):
        chosen = order[start : start + BATCH]
        lengths = torch.tensor([len(ids[i]) for i in chosen])
        tokens = torch.zeros(len(chosen), int(lengths.max()), dtype=torch.long)
        for row, i in enumerate(chosen):
            tokens[row, : len(ids[i])] = torch.tensor(ids[i])
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        out = lm.base(tokens, attention_mask=mask.long(), output_hidden_states=True, use_cache=False)
        states[chosen] = out.hidden_states[-2][torch.arange(len(chosen)), lengths - 1].float().numpy()
    return states


def closeness(ours, oracle) -> dict[str, float]:
    return largest_difference(ours, oracle) | {"largest_state": float(np.abs(oracle).max())}


def speed(lm, texts: list[str], rounds: int) -> list[dict]:
    """Penultimate layer at the last token with the cue, and both read-outs."""
    one_by_one(lm, texts[:5])
    sizes = {"texts": len(texts)}
    rows = compared(
        f"hidden_states, {lm.name}",
        sizes,
        lambda: hidden_states(lm, texts, cue=AFFECT_CUE, **PLAIN)[:, 0],
        {
            "one text at a time with transformers, all hidden states kept": lambda: one_by_one(lm, texts),
            f"batches of {BATCH} on the base model, sorted by length": lambda: batched(lm, texts),
        },
        rounds=rounds,
        check=closeness,
    )
    return rows + compared(
        f"bare_and_cued_states, {lm.name}",
        sizes,
        lambda: bare_and_cued_states(lm, texts, **PLAIN),
        {
            "a pass for the bare texts and one for the cued": lambda: [
                hidden_states(lm, texts, cue=cue, **PLAIN) for cue in (None, AFFECT_CUE)
            ]
        },
        check=closeness,
    )


_PEAK = """
import resource
from bench_hidden import AFFECT_CUE, PLAIN, hidden_states, load_language_model, snippets
lm, texts = load_language_model({model!r}), snippets({n})
for layers in ("penultimate", "all"):
    hidden_states(lm, texts, layers, AFFECT_CUE, **PLAIN)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory(model: str, n: int) -> dict:
    """Peak of a process of its own that keeps all layers, over its peak before, with one."""
    command = [sys.executable, "-c", _PEAK.format(model=model, n=n)]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    one, everything = map(int, done.stdout.split()[-2:])
    return {
        "name": f"hidden_states, {model}, peak memory of all layers over one",
        "ratio": everything / one,
        "kib": everything,
        "kib_reference": one,
        "reference": "the penultimate layer only, before in the same process",
        "sizes": {"texts": 3 * n},
    }


def benchmarks(small: bool = False) -> list[dict]:
    """Speed on both bundled models, memory on the smaller."""
    n, names = (4, MODELS[:1]) if small else (100, MODELS)
    texts = snippets(n)
    rows = [row for name in names for row in speed(load_language_model(name), texts, 1 if small else 2)]
    return [*rows, memory(MODELS[0], n)]
