"""Hidden states in batches against the loop a user would write, and the memory of all layers against one."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import torch

from kernel.language.hidden import AFFECT_CUE, bare_and_cued_states, hidden_states
from kernel.language.models import load_language_model
from kernel.language.sentiment import load_benchmark

MODELS = ("SmolLM2-135M-Instruct", "Gemma-3-270M")


def snippets() -> list[str]:
    """300 snippets: 100 of each of three sets."""
    return [
        t
        for name in ("movie", "amazon", "tweets")
        for t in load_benchmark(name, n=100, min_abs_rating=1).texts
    ]


def plain_loop(lm, texts: list[str]) -> np.ndarray:
    """One text at a time through the whole model, all hidden states kept, the last token read at the end."""
    kept = []
    with torch.no_grad():
        for text in texts:
            inputs = lm.tokenizer(text + AFFECT_CUE, return_tensors="pt").to(lm.device)
            kept.append(lm.causal(**inputs, output_hidden_states=True).hidden_states)
    return np.stack([states[-2][0, -1].float().cpu().numpy() for states in kept])


def seconds(function) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def speed(model: str) -> dict:
    lm, texts = load_language_model(model), snippets()
    plain_loop(lm, texts[:5])
    slow, oracle = seconds(lambda: plain_loop(lm, texts))
    fast, H = seconds(lambda: hidden_states(lm, texts, cue=AFFECT_CUE, cache=False, progress=False))
    return {
        "name": f"hidden_states, {model}, texts per second",
        "ratio": slow / fast,
        "seconds": fast,
        "seconds_reference": slow,
        "reference": "one text at a time with transformers, all hidden states kept",
        "sizes": {"texts": len(texts)},
        "largest_difference": float(np.abs(H[:, 0] - oracle).max()),
    }


def both_read_outs(model: str) -> dict:
    lm, texts = load_language_model(model), snippets()
    options = {"cache": False, "progress": False}
    bare_and_cued_states(lm, texts[:5], **options)
    slow, oracle = seconds(
        lambda: [hidden_states(lm, texts, cue=cue, **options) for cue in (None, AFFECT_CUE)]
    )
    fast, states = seconds(lambda: bare_and_cued_states(lm, texts, **options))
    return {
        "name": f"bare_and_cued_states, {model}, texts per second",
        "ratio": slow / fast,
        "seconds": fast,
        "seconds_reference": slow,
        "reference": "a pass for the bare texts and one for the cued",
        "sizes": {"texts": len(texts)},
        "largest_difference": float(np.abs(np.subtract(states, oracle)).max()),
    }


_PEAK = """
import resource
from bench_hidden import AFFECT_CUE, hidden_states, load_language_model, snippets
hidden_states(load_language_model({model!r}), snippets(), {layers!r}, AFFECT_CUE, cache=False, progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_kib(model: str, layers: str) -> int:
    """Peak memory of a process of its own, in KiB."""
    code = _PEAK.format(model=model, layers=layers)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=__file__.rpartition("/")[0], capture_output=True, text=True
    )
    run.check_returncode()
    return int(run.stdout.split()[-1])


def memory(model: str) -> dict:
    everything, one = peak_kib(model, "all"), peak_kib(model, "penultimate")
    return {
        "name": f"hidden_states, {model}, peak memory of all layers over one",
        "ratio": everything / one,
        "kib": everything,
        "kib_reference": one,
        "reference": "the penultimate layer only, in a process of its own",
        "sizes": {"texts": 300},
    }


def benchmarks() -> list[dict]:
    """Speed on both bundled models, the rest on the smaller."""
    return [*(speed(model) for model in MODELS), both_read_outs(MODELS[0]), memory(MODELS[0])]


if __name__ == "__main__":
    print(*benchmarks(), sep="\n")
