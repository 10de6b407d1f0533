"""Whole studies in one call: build an axis, score it, compare it, and run it over many models."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
import torch
from scipy.stats import zscore
from tqdm.auto import tqdm

from kernel import checks, files
from kernel.arrays import real
from kernel.language.axis import Agreement, ValenceAxis, agreement
from kernel.language.hidden import AFFECT_CUE, hidden_states
from kernel.language.models import REGISTRY, LanguageModel, Model, load_encoder, load_language_model
from kernel.language.sentiment import Benchmark, load_benchmark, zero_shot
from kernel.language.stories import Stories, diverse_stories, paraphrase

Sentences = Mapping[str, str | Sequence[str]]
DEFAULT_BENCHMARKS = ("movie", "amazon", "tweets")


class ValenceAxisResult(NamedTuple):
    """The axis of a model, and how it does on human ratings.

    `sentiment` has one row per benchmark (n, AUC with interval, Pearson and Spearman correlation), `scores`
    hold the projections of its `texts`, and `consistency` is their agreement with other models', if any.
    """

    model: str
    axis: ValenceAxis
    sentiment: pd.DataFrame
    scores: dict[str, np.ndarray]
    consistency: Agreement | None
    texts: dict[str, tuple[str, ...]]


def construct_valence_axis(
    lm: Model,
    emotion_sentences: Sentences | None = None,
    *,
    cue: str | None = AFFECT_CUE,
    layer: str | int = "penultimate",
    orient: str | Mapping[str, float] = "joy",
    benchmarks: Sequence[str | Benchmark] = DEFAULT_BENCHMARKS,
    n_texts: int | None = 400,
    min_abs_rating: float = 1.0,
    compare_with: Sequence[ValenceAxisResult] = (),
    device: str | torch.device | None = None,
    random_state: int = 0,
    progress: bool = True,
) -> ValenceAxisResult:
    """Build the valence axis of a model from emotional sentences and test it on human ratings.

    Parameters
    ----------
    lm : LanguageModel, str or path
        A loaded model, or what `load_language_model` takes.
    emotion_sentences : mapping of emotion to sentence(s), optional
        None takes six different stories for each of the nine FACED emotions.
    cue : str or None
        Appended to stories and benchmark texts; None is the paper's bare read-out.
    layer : str or int
        One layer of `hidden_states`.
    orient : str or mapping of emotion to float
        Emotion on the positive side, or valence codes with which the positions correlate positively.
    benchmarks : sequence of str or Benchmark
        Human-rated texts; an empty sequence skips the test.
    n_texts : int or None
        Random sample per named benchmark (fewer where a set is smaller); None takes all.
    min_abs_rating : float
        Leave out texts that people rated nearer to neutral than this.
    compare_with : sequence of ValenceAxisResult
        Results of other models on the same benchmarks and seed.
    device : str, torch.device or None
        Where to load or move the model; None leaves a loaded one where it is.
    random_state : int
        Seed of samples and intervals.
    progress : bool
        Show progress bars.

    Returns
    -------
    ValenceAxisResult

    Raises
    ------
    ValueError
        Before the model is loaded, if sentences, layer, `orient` or benchmarks cannot be used or a compared
        result lacks the benchmarks; later, if the model does not have the layer or leaves no axis.

    Examples
    --------
    >>> import kernel
    >>> result = kernel.construct_valence_axis("SmolLM2-135M-Instruct")     # doctest: +SKIP
    >>> result.sentiment                                                    # doctest: +SKIP
    """
    _check_layer(layer)
    told = _known_stories(None) if emotion_sentences is None else emotion_sentences
    texts, emotions = Stories.told(told)
    codes = _codes(orient, emotions)
    wanted = checks.sequence("benchmarks", benchmarks)
    rated = [_sample(item, n_texts, min_abs_rating, random_state).check_sides() for item in wanted]
    if rated:
        checks.choices("benchmarks, by name,", [benchmark.name for benchmark in rated])
    scored = {benchmark.name: tuple(benchmark.texts) for benchmark in rated}
    _check_compared(compare_with or (), scored)
    lm = lm.to(device) if isinstance(lm, LanguageModel) else load_language_model(lm, device)

    def states(items: Sequence[str]) -> np.ndarray:
        return hidden_states(lm, items, layer, cue, progress=progress)[:, 0]

    axis = _oriented(states(texts), emotions, codes)
    rows, scores = [], {}
    for benchmark in rated:
        scores[benchmark.name] = axis.project(states(benchmark.texts))
        rows.append(zero_shot(scores[benchmark.name], benchmark, random_state=random_state).row())
    consistency = _consistency(lm.name, scores, compare_with, random_state) if compare_with else None
    return ValenceAxisResult(lm.name, axis, pd.DataFrame(rows), scores, consistency, scored)


def _check_layer(layer: str | int) -> None:
    if layer == "all" or not isinstance(layer, (str, int, np.integer)):
        raise ValueError(
            f"layer={layer!r}: an axis is built from one layer, such as layer='penultimate' or layer=3; for "
            "several call once for each, as in [construct_valence_axis(lm, layer=k) for k in (3, 5)]"
        )


def _codes(orient: str | Mapping[str, float], emotions: Sequence[str]) -> dict[str, float]:
    """Valence codes of emotions, or of the positive one alone."""
    if not isinstance(orient, Mapping):
        return {checks.choice("orient", orient, sorted(set(emotions))): 1.0}
    names = checks.choices("orient", orient, sorted(set(emotions)))
    codes = real([orient[name] for name in names], "codes of orient")
    if len(names) < 2 or np.ptp(codes) == 0:
        raise ValueError(f"orient={dict(orient)} has no two different codes: give one to each emotion")
    return dict(zip(names, codes.tolist(), strict=True))


def _oriented(H: np.ndarray, emotions: Sequence[str], codes: dict[str, float]) -> ValenceAxis:
    axis = ValenceAxis(orient=max(codes, key=codes.__getitem__)).fit(H, emotions)
    places = [axis.positions_[axis.classes_.index(name)] for name in codes]
    if len(codes) > 1 and np.corrcoef(places, list(codes.values()))[0, 1] < 0:
        axis = ValenceAxis(orient=axis.classes_[int(np.argmin(axis.positions_))]).fit(H, emotions)
    return axis


def _sample(item: str | Benchmark, n: int | None, min_abs_rating: float, random_state: int) -> Benchmark:
    full = item if isinstance(item, Benchmark) else load_benchmark(item, min_abs_rating=min_abs_rating)
    if isinstance(item, Benchmark) or n is None or n >= len(full):
        return full
    return load_benchmark(item, n=n, min_abs_rating=min_abs_rating, random_state=random_state)


def _check_compared(others: Sequence[ValenceAxisResult], texts: dict[str, tuple[str, ...]]) -> None:
    for other in checks.sequence("compare_with", others):
        if not isinstance(other, ValenceAxisResult):
            raise ValueError(f"compare_with holds {other!r}, which is no result: put one in brackets")
        if not texts or other.texts != texts:
            raise ValueError(
                f"{other.model} was scored on other texts: use the same benchmarks, n_texts and random_state"
            )


def _consistency(
    name: str, scores: dict[str, np.ndarray], others: Sequence[ValenceAxisResult], random_state: int
) -> Agreement:
    vectors = {name: np.concatenate([zscore(values) for values in scores.values()])}
    for other in others:
        label = other.model if other.model not in vectors else f"{other.model} ({len(vectors) + 1})"
        vectors[label] = np.concatenate([zscore(other.scores[key]) for key in scores])
    families = {key: REGISTRY[key].family if key in REGISTRY else key for key in vectors}
    return agreement(vectors, families=families, random_state=random_state)


def story_axis(
    lm: Model,
    emotions: Sequence[str] | Sentences | None = None,
    *,
    progress: bool = False,
    **options: Any,
) -> ValenceAxis:
    """A model's axis of these emotions alone.

    For names of FACED's emotions, six stories each are there; None takes all nine. Emotions of any other
    names come as a mapping of each one to its stories, yours or those of :func:`write_stories`. `options` are
    those of `construct_valence_axis`, such as cue, layer, device, and `orient` where there is no joy.

    Examples
    --------
    >>> stories = {"stress": ["The exam had begun, and my pen was dry."], "calm": ["The lake lay still."]}
    >>> axis = story_axis("SmolLM2-135M-Instruct", stories, orient="calm")  # doctest: +SKIP
    """
    if not isinstance(emotions, Mapping):
        emotions = _known_stories(emotions)
    return construct_valence_axis(lm, emotions, benchmarks=(), progress=progress, **options).axis


def _known_stories(emotions: Sequence[str] | None) -> dict[str, list[str]]:
    """The bundled stories of FACED's emotions."""
    stories = diverse_stories()
    pairs = list(zip(stories.texts, stories.emotions, strict=True))
    known = {name: [text for text, emotion in pairs if emotion == name] for name in stories.sources}
    chosen = tuple(known) if emotions is None else checks.choices("emotions", emotions)
    for name in chosen:
        if name not in known:
            raise ValueError(
                f"emotions must be one of {', '.join(known)}; got {name!r}, which has no stories: give "
                f"them, as in story_axis(lm, {{{name!r}: [story, ...], ...}}, orient={name!r}), or let "
                f"the model write them: story_axis(lm, write_stories(lm, {list(chosen)}), orient={name!r})"
            )
    return {name: known[name] for name in known if name in chosen}


def write_stories(lm: Model, labels: Sequence[str], n: int = 6, **options: Any) -> Sentences:
    """Let a model write `n` stories for each label, a noun such as ``stress``, for :func:`story_axis`.

    It retells "Somebody feels stress." as in :func:`paraphrase`, whose `options` and errors it has. Without
    `embed`, the asset all-minilm-l6-v2 measures how far a story is from that sentence. Small models write
    badly: read the stories before you use them.
    """
    labels = checks.choices("labels", labels)
    lm = lm if isinstance(lm, LanguageModel) else load_language_model(lm)
    if "embed" not in options:
        encoder = load_encoder(lm.device)
        read = partial(hidden_states, encoder, layers="last", position="mean", cache=False, progress=False)
        # an answer without a sentence is blank, which the encoder refuses and the filters call too short
        options["embed"] = lambda texts: read([text or "." for text in texts])[:, 0]
    return {label: paraphrase(lm, f"Somebody feels {label}.", n, **options) for label in labels}


def axis_positions(
    lm: Model, emotions: Sequence[str] | Sentences | None = None, **options: Any
) -> dict[str, float]:
    """Where the axis of :func:`story_axis` puts its emotions, in standard deviations over them."""
    axis = story_axis(lm, emotions, **options)
    scaled = axis.positions_ / axis.positions_.std()
    return dict(zip(axis.classes_, map(float, scaled), strict=True))


def run_registry(
    models: Sequence[str | os.PathLike[str]],
    folder: str | Path,
    *,
    progress: bool = True,
    **options: Any,
) -> pd.DataFrame:
    """Run `construct_valence_axis` on many models; one result file per model, failures recorded and skipped.

    A second call with the same options resumes: models that are done are read, failed ones are tried again.

    Parameters
    ----------
    models : sequence of str or path
        What `load_language_model` takes.
    folder : path
        Where the result files go, as plain JSON.
    progress : bool
        Show progress bars.
    **options
        Passed on to `construct_valence_axis`; they, the files of a local model, the package's source and the
        versions of libraries are part of a file's identity.

    Returns
    -------
    DataFrame
        One row per model: status, explained variance ratio, AUC by benchmark, the paper's r, or the error.

    Raises
    ------
    kernel.files.CacheNotWritableError, OSError
        If the folder cannot be written: that is not a failure of a model.
    """
    names = [os.fspath(one) for one in checks.sequence("models", models)]
    folder, content = files.writable_folder(folder), joblib.hash(options)
    device = checks.device(options.get("device")).type
    rows = []
    for name in tqdm(names, desc="models", disable=not progress):
        identity = files.cache_key(__name__, name, files.state(name), device, content)
        target = folder / f"{name.replace('/', '--')}.json"
        record = _read_record(target)
        if record.get("identity") != identity or record["status"] == "failed":
            record = {"model": name, "identity": identity, **_run_one(name, progress, options)}
            with files.atomic_path(target) as temporary:
                temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
        rows.append({key: value for key, value in record.items() if key not in ("identity", "positions")})
    return pd.DataFrame(rows)


def _read_record(path: Path) -> dict[str, Any]:
    """A result of `run_registry`; empty where the file is missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) and {"identity", "status"} <= record.keys() else {}


def _run_one(name: str, progress: bool, options: dict[str, Any]) -> dict[str, Any]:
    try:
        result = construct_valence_axis(name, progress=progress, **options)
    except Exception as error:  # one model's failure must not lose the others' hours
        return {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    record = {
        "status": "done",
        "explained_variance_ratio": float(result.axis.explained_variance_ratio_[0]),
        "positions": dict(zip(result.axis.classes_, map(float, result.axis.positions_), strict=True)),
        "paper_r": REGISTRY[name].paper_r if name in REGISTRY else None,
    }
    return record | {
        f"auc_{row['benchmark']}": float(row["auc"]) for row in result.sentiment.to_dict("records")
    }
