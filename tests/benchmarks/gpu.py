"""What a graphics card gives: each computation equals the processor's, then its speed and peak memory.

Needs no network, no weights and no recordings: models are built at random from their configuration, brains
are noise. `make gpu` writes _build/gpu.json; without a card it runs on the processor, with ``--small``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from kernel import checks, files
from kernel.brain.designs import FACED_CLIP_EMOTIONS
from kernel.brain.features import differential_entropy
from kernel.brain.ridge import RidgeFolds
from kernel.decoding import networks
from kernel.decoding.ablation import _directional_ablation
from kernel.decoding.geometry import basin
from kernel.decoding.training import Labels, TrainingSpec, build_member, optimise
from kernel.language.hidden import hidden_states
from kernel.language.models import LanguageModel

#: Dense bfloat16 operations a second, from the makers' data sheets.
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}
#: Width, blocks, heads, width of the middle layer: Qwen/Qwen3-0.6B and Qwen/Qwen3-4B on the hub.
SIZES = {"Qwen3-0.6B": (1024, 28, 16, 3072), "Qwen3-4B": (2560, 36, 32, 9728), "toy": (64, 4, 4, 128)}
#: Largest difference from the processor, as a share of the largest value.
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}


def measured(work: Callable[[], Any], device: torch.device) -> dict[str, float]:
    """Seconds of the second run of `work`, and the peak memory on the card in GB."""
    work()
    if device.type != "cuda":
        started = time.perf_counter()
        work()
        return {"seconds": time.perf_counter() - started}
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    started = time.perf_counter()
    work()
    torch.cuda.synchronize(device)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_gb": torch.cuda.max_memory_allocated(device) / 1e9}


def equality(ours: Any, reference: Any, precision: str) -> dict[str, Any]:
    """Largest difference as a share of the largest value, and whether that is little enough."""
    ours, reference = (torch.as_tensor(x).detach().cpu().double() for x in (ours, reference))
    difference = float((ours - reference).abs().max() / reference.abs().max().clamp_min(1e-12))
    return {"difference": difference, "precision": precision, "equal": difference <= TOLERANCE[precision]}


def language_model(size: str, device: torch.device, dtype: torch.dtype) -> LanguageModel:
    """A model of random weights, and a tokenizer of a thousand words."""
    width, blocks, heads, middle = SIZES[size]
    vocabulary = {f"w{i}": i for i in range(1000)}
    config = Qwen3Config(
        vocab_size=1000 if size == "toy" else 151_936,
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        num_key_value_heads=min(8, heads),
        head_dim=128 if size != "toy" else 16,
        intermediate_size=middle,
        tie_word_embeddings=True,
        dtype=dtype,
    )
    torch.manual_seed(0)
    with torch.device(device):
        causal = Qwen3ForCausalLM(config).to(dtype).eval()
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="w0", unk_token="w0")
    return LanguageModel(size, causal.base_model, tokenizer, causal, "Qwen3")


def texts_of(n: int) -> list[str]:
    """Texts of 8 to 48 words."""
    rng = np.random.default_rng(0)
    return [" ".join(f"w{i}" for i in rng.integers(1, 1000, rng.integers(8, 49))) for _ in range(n)]


def states(lm: LanguageModel, texts: list[str]) -> np.ndarray:
    return hidden_states(lm, texts, cache=False, progress=False)


def hidden(device: torch.device, small: bool) -> list[dict[str, Any]]:
    """Hidden states: equality in float32, speed in bfloat16."""
    few, rows = texts_of(8), []
    for size in ("toy",) if small else ("Qwen3-0.6B", "Qwen3-4B"):
        if size != "Qwen3-4B":  # in float32 it would not fit beside itself on small cards
            lm = language_model(size, device, torch.float32)
            compared = states(lm, few)
            lm.base.to("cpu")
            row = equality(compared, states(lm, few), "float32")
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        lm = language_model(size, device, dtype)
        texts = texts_of(32 if small else 4000)
        times = measured(lambda lm=lm, texts=texts: states(lm, texts), device)
        weights = sum(p.numel() for p in lm.blocks.parameters())
        operations = 2 * weights * sum(len(text.split()) for text in texts) / times["seconds"]
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
        peak = next((value for card, value in PEAK.items() if card in name), None)
        speed = {
            "texts_per_second": len(texts) / times["seconds"],
            "share_of_peak": operations / peak if peak else None,
        }
        rows.append({"name": f"hidden states, {size}", **row, **times, **speed})
    return rows


def permutations(device: torch.device, small: bool) -> list[dict[str, Any]]:
    """Leave-one-emotion-out ridge: all permuted targets at once."""
    rng = np.random.default_rng(0)
    n = 100 if small else 100_000
    X, emotions = rng.standard_normal((28, 160)), np.array(FACED_CLIP_EMOTIONS)
    targets = rng.permuted(np.tile(rng.standard_normal(28), (n, 1)), axis=1)

    def held_out(place: torch.device, rows: np.ndarray) -> Any:
        return RidgeFolds(X, emotions, [30.0], device=place).held_out(rows)

    row = equality(held_out(device, targets[:50]), held_out(torch.device("cpu"), targets[:50]), "float64")
    times = measured(lambda: held_out(device, targets), device)
    return [{"name": f"leave-one-emotion-out ridge, {n} permutations", **row, **times}]


def trainings(device: torch.device, small: bool) -> list[dict[str, Any]]:
    """Many small networks trained side by side."""
    members, n, epochs = (4, 96, 2) if small else (1000, 1600, 4)
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.standard_normal((n, 32, 1, 5)), dtype=torch.float32)
    y = rng.integers(0, 9, n)
    rows = {"train": np.arange(n), "validation": np.arange(n // 4)}
    specs = [
        TrainingSpec(seed=seed, epochs=epochs, warmup_epochs=1, batch_size=32, options={"hidden": (64, 64)})
        for seed in range(members)
    ]

    def train(place: torch.device, chosen: list[TrainingSpec]) -> torch.Tensor:
        stack = networks.STACKED["mlp"]([build_member(spec, (32, 5), 9) for spec in chosen]).to(place)
        optimise(stack, chosen, x.to(place), Labels.of_classes(y, 9), rows)
        return torch.cat([weight.detach().flatten() for weight in stack.parameters()])

    row = equality(train(device, specs[:4]), train(torch.device("cpu"), specs[:4]), "float32")
    times = measured(lambda: train(device, specs), device)
    return [{"name": f"{members} small trainings side by side", **row, **times}]


def entropy(device: torch.device, small: bool) -> list[dict[str, Any]]:
    """Differential entropy, one person after the other."""
    people, clips, channels = (1, 2, 4) if small else (123, 28, 32)
    rng = np.random.default_rng(0)
    person = rng.standard_normal((clips, channels, 7500), dtype=np.float32)

    def features(place: torch.device) -> np.ndarray:
        return differential_entropy(person, 250.0, device=place)

    row = equality(features(device), features(torch.device("cpu")), "float32")
    times = measured(lambda: [features(device) for _ in range(people)], device)
    return [{"name": f"differential entropy of {people} people", **row, **times}]


def ablation(device: torch.device, small: bool) -> list[dict[str, Any]]:
    """Accuracy without a direction, against all kinds of random ones."""
    m, n, d, draws = (2, 90, 16, 20) if small else (10, 1932, 64, 10_000)
    rng = np.random.default_rng(0)
    y = np.arange(n) % 9
    means = 0.25 * rng.standard_normal((m, 9, d))
    Z = means[:, y] + rng.standard_normal((m, n, d))
    head = (means.transpose(0, 2, 1), -0.5 * (means**2).sum(-1))
    direction = rng.standard_normal((m, d))

    def drops(place: torch.device, n_directions: int) -> Any:
        networks = zip(Z, *head, direction, strict=True)
        nulls = [
            _directional_ablation(
                z, y, (w, b), u, n_directions=n_directions, projector=basin(z, y, device=place)
            ).null
            for z, w, b, u in networks
        ]
        return np.concatenate([null[kind] for null in nulls for kind in sorted(null)])

    row = equality(drops(device, 20), drops(torch.device("cpu"), 20), "float64")
    times = measured(lambda: drops(device, draws), device)
    return [{"name": f"ablation of {draws} directions a kind, {m} networks", **row, **times}]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("_build/gpu.json"))
    parser.add_argument("--device", help="such as cuda:1; by default the best there is")
    parser.add_argument("--small", action="store_true", help="toy sizes: does it run?")
    options = parser.parse_args(arguments)
    device = checks.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    results = []
    for part in (hidden, permutations, trainings, entropy, ablation):
        for row in part(device, options.small):
            state = "equal" if row["equal"] else "NOT EQUAL"
            print(f"{row['name']}: {state} ({row['difference']:.1e}), {row['seconds']:.2f} s", flush=True)
            results.append(row)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_path(options.output) as temporary:
        stored = {"device": name, "torch": torch.__version__, "small": options.small, "results": results}
        temporary.write_text(json.dumps(stored, indent=1))
    if not all(row["equal"] for row in results):
        raise SystemExit(f"on {name} some results differ from the processor's: see {options.output}")


if __name__ == "__main__":
    main()
