"""Does pulling a classifier towards the valence axis change its accuracy, and is it the axis that does it?

Each aligned training has a *twin* without the strategy: same seed, initial weights and batches. Its *placebo*
is the same strategy with the values permuted over emotions: only what a strategy does beyond its placebo can
be due to the axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import delayed

from kernel import checks, files
from kernel.arrays import Named, in_order, real, whole
from kernel.brain.cohort import Cohort, on_common_electrodes, segments
from kernel.brain.designs import scalp_channels
from kernel.brain.simulate import PRESETS, Settings, simulate_cohort
from kernel.brain.splits import Split, make_split, usual_split
from kernel.decoding import ensemble, geometry, networks
from kernel.decoding.alignment import NAMED, PAPER_ROWS, STRATEGIES, Alignment, Context
from kernel.decoding.bank import noise_bank, train_bank
from kernel.decoding.checkpoints import Bank
from kernel.decoding.effects import ARMS, Interventions, combine
from kernel.decoding.rediscovery import clip_target, rediscovery
from kernel.decoding.training import TrainingSpec
from kernel.metrics import balanced_accuracy, mean_recall
from kernel.threads import one_thread, side_by_side

RECIPE = TrainingSpec(epochs=15, warmup_epochs=2, learning_rate=2e-3)
"""Base recipe: the bank's plain perceptron, trained briefly."""
_OWN_PERMUTATIONS = 10_000  # what a cohort's number is multiplied with to offset its permutations
_AGREEMENT = 0.65  # mean correlation of the axes of any two of the paper's models
OWN_SEEDS = 1000  # what a strategy with seeds of its own adds to each
#: Strengths that the paper prints for its monotone harm.
DOSES: dict[str, tuple[float, ...]] = {
    "rsa": (0.1, 0.5, 1.0, 5.0),
    "distance_ce": (0.5, 1.0, 2.0, 5.0),
    "multi_model": (0.05, 0.1, 0.5),
}

Strategies = Sequence[int | str | Alignment] | Mapping[str, Alignment]
Strengths = Sequence[float] | Mapping[str, Sequence[float]]


def wanted_strategies(
    strategies: Strategies | None, strengths: Strengths | None = None
) -> dict[str, Alignment]:
    """Alignments by label, of numbers of the paper's rows (by default all 25), names, or alignments.

    Names are those of :data:`~kernel.decoding.alignment.NAMED` or of strategies. `strengths`, one sequence or
    one for each name of a strategy, take the place of a strategy's own.
    """
    strategies = tuple(PAPER_ROWS) if strategies is None else strategies
    named = dict(strategies) if isinstance(strategies, Mapping) else dict(map(_labelled, strategies))
    if not named:
        raise ValueError("strategies is empty: name one or more")
    for strategy in strengths if isinstance(strengths, Mapping) else ():
        checks.choice("a strategy of strengths", strategy, STRATEGIES)
    labelled: dict[str, Alignment] = {}
    for label, alignment in named.items():
        doses = strengths.get(alignment.strategy) if isinstance(strengths, Mapping) else strengths
        if doses is None:
            labelled[label] = alignment
            continue
        for dose in checks.choices(f"strengths of {label!r}", doses):
            labelled[f"{label}, strength {dose:g}"] = replace(alignment, strength=dose)
    first: dict[str, str] = {}
    for label, alignment in labelled.items():
        if alignment.placebo_seed is not None:
            raise ValueError(f"{label!r} has a placebo_seed: give the strategy, placebos are added here")
        same = first.setdefault(repr(alignment.content()), label)
        if same != label:
            raise ValueError(f"{same!r} and {label!r} are the same training: drop one of them")
    return labelled


def _labelled(item: int | str | Alignment) -> tuple[str, Alignment]:
    if isinstance(item, Alignment):
        settings = "".join(f", {name} {value:g}" for name, value in item.options.items())
        return f"{item.strategy} {item.dose:g}{settings}", item
    if isinstance(item, str):
        return item, NAMED[item] if item in NAMED else Alignment(item)
    row = PAPER_ROWS[checks.count("row of the paper's table", item, 1, len(PAPER_ROWS))]
    return f"{item} {row.strategy} {row.dose:g}", row


def default_values(cohort: Cohort, positions: Sequence[Mapping[str, float]] = ()) -> np.ndarray:
    """Values to align with (n_clips, n_models).

    For simulated cohorts that know what was planted, this valence and 14 noisy copies of it beside, which
    agree as the paper's 14 models do; for others the axes of language models, or the mean ratings where none
    are given. Each of `positions` is a model's axis: :func:`kernel.language.construct.axis_positions`; clips
    of an emotion differ by their ratings, as in :func:`kernel.decoding.rediscovery.clip_target`.
    """
    planted = cohort.simulated and "rating" in cohort.data
    if positions and not planted:
        return np.column_stack([clip_target(cohort, one).loc[cohort.clips] for one in positions])
    rating = cohort.rating()
    if not planted:
        return rating[:, None]
    noise = np.random.default_rng(_seed_of(cohort)).standard_normal((len(rating), 14))
    valence = ((rating - rating.mean()) / rating.std())[:, None]
    return np.column_stack([rating, np.sqrt(_AGREEMENT) * valence + np.sqrt(1 - _AGREEMENT) * noise])


def _seed_of(cohort: Cohort) -> int:
    return int(cohort.data.attrs["seed"] or 0)


def possible_strategies(
    cohort: Cohort,
    strategies: Strategies | None = None,
    *,
    values: Named | None = None,
    recipe: TrainingSpec = RECIPE,
) -> tuple[dict[str, Alignment], dict[str, str]]:
    """Which strategies a cohort can serve, and what keeps the others back: alignments and reasons by label.

    Arguments as for `run_interventions`; `values` are its ``valence``.
    """
    values = default_values(cohort) if values is None else values
    channels = scalp_channels(cohort.channels)
    profile = np.zeros((len(cohort.clips), len(channels), len(cohort.bands)))  # any will do to be checked
    context = Context.of(cohort, values, np.arange(len(cohort.clips)), profile, channels)
    possible, refused = {}, {}
    for label, alignment in wanted_strategies(strategies).items():
        try:
            if _elsewhere(alignment):
                _common(cohort, None)
            context.check(alignment, recipe.network, recipe.epochs)
        except ValueError as error:
            refused[label] = str(error)
        else:
            possible[label] = alignment
    return possible, refused


# Trainings


def run_interventions(
    cohort: Cohort,
    strategies: Strategies | None = None,
    *,
    strengths: Strengths | None = None,
    seeds: int | Sequence[int] = 5,
    placebo_offset: int = 0,
    split: str | Split | None = None,
    valence: Named | None = None,
    recipe: TrainingSpec = RECIPE,
    target: Cohort | None = None,
    segment: float | None = None,
    folder: str | Path | None = None,
    device: str | torch.device | None = None,
    n_jobs: int = 2,
    progress: bool = True,
) -> Interventions:
    """Train every strategy and its placebo beside the same training without it.

    Parameters
    ----------
    cohort : Cohort
        Differential entropies.
    strategies, strengths
        As for `wanted_strategies`; the paper's 25 rows by default.
    seeds : int or sequence of int
        How many, from 0 up, or which. The placebo of a seed permutes the values with that seed plus
        `placebo_offset`: several cohorts should not share their permutations.
    split : str or Split, optional
        As for :func:`~kernel.brain.splits.make_split`; :func:`~kernel.brain.splits.usual_split` by default.
    valence : array_like or mapping, optional
        As for :func:`~kernel.decoding.bank.train_bank`; `default_values` of the cohort if not given.
    recipe : TrainingSpec
        What all trainings share; seed and alignment are put in.
    target : Cohort, optional
        Second cohort of ``cross_dataset``. For a simulated cohort the default is one of SEED-V's design and
        the same seed, which shares with the first the pattern of valence but none of its classes.
    segment, folder, device, n_jobs, progress
        As for :func:`~kernel.decoding.bank.train_bank`, which stores each training, so that an interrupted
        run goes on where it stopped.
    """
    wanted = wanted_strategies(strategies, strengths)
    numbers = _seed_numbers(seeds)
    if recipe.alignment is not None:
        raise ValueError("recipe has an alignment of its own: give it as a strategy")
    split, values = _split_and_values(cohort, split, valence)
    here = {label: a for label, a in wanted.items() if not _elsewhere(a)}
    away = {label: a for label, a in wanted.items() if _elsewhere(a)}
    runs: list[tuple[dict[str, Alignment], Cohort, Cohort | None]] = [(here, cohort, None)] if here else []
    if away:
        runs.append((away, *_common(cohort, target)))
    parts = []
    for group, source, other in runs:
        table, specs, twin = _planned(group, numbers, recipe, placebo_offset)
        bank = train_bank(
            specs, source, split, valence=values, segment=segment, features=False, baselines=False,
            folder=folder, device=device, n_jobs=n_jobs, progress=progress,
        )  # fmt: skip
        hits, counts = _test_hits(bank) if other is None else _transferred(bank, other, device)
        table.insert(0, "cohort", bank.label)
        table["validation"] = [float(one.validation[one.epoch]) for one in bank.checkpoints]
        table["bacc"] = mean_recall(counts, hits)
        table["delta"] = (table["bacc"] - table["bacc"].to_numpy()[twin]).where(table["arm"] != "base")
        parts.append(Interventions(table, tuple(hits), (counts,) * len(hits), twin))
    return combine(parts)


def _elsewhere(alignment: Alignment) -> bool:
    """Whether a strategy is tested on another cohort."""
    return "cohort" in alignment.definition.needs


def _seed_numbers(seeds: int | Sequence[int]) -> list[int]:
    if not isinstance(seeds, Sequence | np.ndarray):
        return list(range(checks.count("seeds", seeds)))
    return list(checks.choices("seeds", whole(list(seeds), "seeds").tolist()))


def _split_and_values(
    cohort: Cohort, split: str | Split | None, valence: Named | None
) -> tuple[Split, np.ndarray]:
    given = (
        default_values(cohort)
        if valence is None
        else in_order(valence, "valence", cohort.classes, cohort.clips)
    )
    return usual_split(cohort, split), real(given, "valence")


def _planned(
    wanted: Mapping[str, Alignment], seeds: Sequence[int], recipe: TrainingSpec, placebo_offset: int = 0
) -> tuple[pd.DataFrame, list[TrainingSpec], np.ndarray]:
    """One row a training, twins first, with its spec and the row of its twin."""
    numbers = {(row.strategy, row.dose): n for n, row in PAPER_ROWS.items()}
    offsets = [OWN_SEEDS * (a.strategy == "data_scaling") for a in wanted.values()]
    base = {"label": "base", "number": None, "strategy": "", "family": "", "strength": 0.0, "arm": "base"}
    twins = sorted({seed + offset for seed in seeds for offset in offsets})
    rows: list[dict[str, Any]] = [{**base, "seed": seed} for seed in twins]
    specs = [replace(recipe, seed=seed, recipe="base") for seed in twins]
    for (label, a), offset in zip(wanted.items(), offsets, strict=True):
        named: dict[str, Any] = {"label": label, "number": numbers.get((a.strategy, a.dose))}
        named |= {"strategy": a.strategy, "family": a.definition.family, "strength": a.dose}
        for arm in ARMS[1:]:
            rows += [{**named, "arm": arm, "seed": seed + offset} for seed in seeds]
            specs += [
                _arm_spec(recipe, a, arm, seed + offset, placebo_offset, f"{label}, ") for seed in seeds
            ]
    table = pd.DataFrame(rows).astype({"number": "Int64"})
    return table, specs, np.searchsorted(twins, table["seed"])


def _arm_spec(
    recipe: TrainingSpec, alignment: Alignment, arm: str, seed: int, offset: int = 0, label: str = ""
) -> TrainingSpec:
    permuted = replace(alignment, placebo_seed=seed + offset if arm == "placebo" else None)
    return replace(recipe, seed=seed, alignment=permuted, recipe=f"{label}{arm}")


def _hits(y: np.ndarray, called: np.ndarray, subject: np.ndarray, n_classes: int) -> tuple[np.ndarray, ...]:
    """Hits (n_members, n_subjects, n_classes) and trials (n_subjects, n_classes) from labels (..., n)."""
    people, person = np.unique(subject, return_inverse=True)
    cell = np.eye(len(people) * n_classes)[person * n_classes + y]  # (n, n_subjects * n_classes)
    shape = (len(people), n_classes)
    return ((called == y) @ cell).reshape(-1, *shape), cell.sum(0).reshape(shape)


def _test_hits(bank: Bank) -> tuple[np.ndarray, ...]:
    rows = bank.rows("test")
    trials = bank.trials[rows]
    called = np.stack([checkpoint.logits[rows].argmax(1) for checkpoint in bank.checkpoints])
    return _hits(trials["y"].to_numpy(), called, trials["subject"].to_numpy(), len(bank.classes))


# Transfer to another cohort


def _common(source: Cohort, target: Cohort | None) -> tuple[Cohort, Cohort]:
    """Both cohorts, standardised, on the electrodes that they share; a simulated source has a default."""
    if target is None and not source.simulated:
        raise ValueError(
            "cross_dataset needs target=, the cohort to transfer to, such as SEED-V; or leave row 23 out"
        )
    if target is None:
        target = simulate_cohort(_seed_of(source), design="SEED-V")[0]
    try:
        return on_common_electrodes(source, target)
    except ValueError as error:
        raise ValueError(f"cross_dataset: {error}; or leave row 23 out") from error


@one_thread()
def _transferred(bank: Bank, target: Cohort, device: str | torch.device | None) -> tuple[np.ndarray, ...]:
    """Hits of shrinkage LDA on every member's features of the target, each person tested once, in folds."""
    samples, place = segments(target), checks.device(device)
    shape = (len(samples.X), len(target.channels), 1, len(target.bands))
    x = torch.tensor(samples.X.reshape(shape), device=place)
    splits = [make_split(target, "leave_subjects_out", fold=fold) for fold in range(5)]
    sets = [(samples.rows(s.train | s.validation), samples.rows(s.test)) for s in splits]
    called = np.zeros((len(bank), len(samples.y)), dtype=int)
    for member in range(len(bank)):
        network: Any = bank.network(member).to(place)
        with torch.no_grad():
            z = network.features(x).cpu().double().numpy()
        for learn, test in sets:
            model = networks.linear_baseline("lda").fit(z[learn], samples.y[learn])
            called[member, test] = model.predict(z[test])
    return _hits(samples.y, called, samples.subject, len(target.classes))


# Cohorts and regimes


def few_subjects(split: Split, n: int, random_state: int | np.random.Generator | None = 0) -> Split:
    """The split with `n` of its training subjects, drawn at random."""
    people = np.flatnonzero(split.train.any(1))
    checks.count("n", n, 1, len(people))
    chosen = np.random.default_rng(random_state).choice(people, n, replace=False)
    train = split.train.copy()
    train[np.setdiff1d(people, chosen)] = False
    return replace(split, name=f"{split.name}, {n} training subjects", train=train)


def run_cohorts(
    cohort_seeds: Iterable[int],
    preset: str | Settings = "default",
    strategies: Strategies | None = None,
    *,
    n_jobs: int = 2,
    progress: bool = True,
    **options: Any,
) -> Interventions:
    """`run_interventions` on several simulated cohorts, combined; each has permutations of its own.

    `preset` is that of the simulation. Cohorts are computed side by side in `n_jobs` processes of one thread,
    one bar over them. Options are those of `run_interventions`, ``split`` by name (``standard``);
    ``n_subjects`` of each cohort; ``n_training``, to keep so many training subjects, drawn for each cohort.
    """
    if options.get("folder") is not None:
        options["folder"] = files.writable_folder(options["folder"])  # workers may be elsewhere
    jobs = [delayed(_on_simulated)(int(seed), preset, strategies, **options) for seed in cohort_seeds]
    return combine(list(side_by_side(jobs, n_jobs=n_jobs, label="cohorts", progress=progress)))


def at_level(axis: str, level: float, preset: str | Settings = "default") -> dict[str, Any]:
    """Options of `run_cohorts` with one property of a study at a level.

    `axis` is what varies: training ``subjects``, each cohort drawing its own; ``signal``, the size of all
    effects relative to the preset; or ``epochs`` of training.
    """
    options: dict[str, Any] = {"preset": preset, "recipe": RECIPE}
    if checks.choice("axis", axis, ("subjects", "signal", "epochs")) == "signal":
        settings = PRESETS[preset] if isinstance(preset, str) else preset
        effects = {name: level * getattr(settings, name) for name in ("valence", "classes", "clips")}
        return options | {"preset": replace(settings, **effects)}
    if axis == "subjects":
        return options | {"n_training": int(level)}
    rise = min(RECIPE.warmup_epochs, int(level) // 4)
    return options | {"recipe": replace(RECIPE, epochs=int(level), warmup_epochs=rise)}


def _on_simulated(
    seed: int,
    preset: str | Settings,
    strategies: Strategies | None,
    *,
    n_subjects: int = 123,
    split: str = "standard",
    n_training: int | None = None,
    **options: Any,
) -> Interventions:
    """`run_interventions` on one simulated cohort, in this process."""
    cohort, _ = simulate_cohort(seed, preset, n_subjects=n_subjects, window=10.0)
    chosen = make_split(cohort, split)
    if n_training is not None:
        chosen = few_subjects(chosen, n_training, seed)
    options |= {"split": chosen, "placebo_offset": _OWN_PERMUTATIONS * seed}
    return run_interventions(cohort, strategies, n_jobs=1, progress=False, **options)


def mechanism(
    cohort: Cohort,
    strategies: Strategies | None = None,
    *,
    seeds: int | Sequence[int] = 5,
    split: str | Split | None = None,
    valence: Named | None = None,
    recipe: TrainingSpec = RECIPE,
    **options: Any,
) -> pd.DataFrame:
    """How far strategies and placebos move class means and residual towards the axis.

    Scores are those of :func:`~kernel.decoding.geometry.class_pc1_alignment` on test trials and of
    :func:`~kernel.decoding.geometry.residual_alignment`, ``selected`` as in the paper and ``held_out``.
    Arguments are those of `run_interventions`, strategies on other cohorts being left out; options go to
    :func:`~kernel.decoding.bank.train_bank`.

    One row a training: ``label``, ``arm``, ``seed``, the scores ``class_pc1``, ``residual``, ``held_out`` and
    their changes against the twin, ``d_class_pc1``, ``d_residual``, ``d_held_out``. Those of the residual are
    missing where the values are the same for all clips of each class; where clips or people are too few to
    judge it otherwise, ValueError comes before any training.
    """
    here = {label: a for label, a in wanted_strategies(strategies).items() if not _elsewhere(a)}
    split, values = _split_and_values(cohort, split, valence)
    plan, specs, twin = _planned(here, _seed_numbers(seeds), recipe)
    lead = values if values.ndim == 1 else values[:, 0]
    lead = lead if len(lead) == len(cohort.clips) else lead[cohort.y]
    target, blank = pd.Series(lead, cohort.clips), noise_bank(cohort, split, options.get("segment"))
    able = rediscovery(blank, target, n_permutations=1, n_null=1).scores
    bank = train_bank(specs, cohort, split, valence=values, baselines=False, **options)
    by_class = np.array([lead[cohort.y == k].mean() for k in range(len(cohort.classes))])
    test, scores = bank.rows("test"), []
    y = bank.trials["y"].to_numpy()[test]
    with one_thread():
        for member, checkpoint in enumerate(bank.checkpoints):
            Z = checkpoint.kept_features[test]
            pc1 = geometry.class_pc1_alignment(Z, y, by_class, n_permutations=1, random_state=0)
            rest = bank.residual_alignment([member], target, n_null=1) if "residual" in able else None
            within = (float(rest.selected[0]), float(rest.held_out[0])) if rest else (np.nan, np.nan)
            scores.append((float(pc1.score), *within))
    table = pd.DataFrame(scores, columns=["class_pc1", "residual", "held_out"])
    change = (table - table.iloc[twin].to_numpy()).add_prefix("d_")
    return pd.concat([plan[["label", "arm", "seed"]], table, change], axis=1)


def ensemble_with_axis(
    cohort: Cohort,
    alignment: Alignment,
    *,
    n_base: int = 10,
    n_added: Sequence[int] = (5, 10, 15),
    split: str | Split | None = None,
    valence: Named | None = None,
    recipe: TrainingSpec = RECIPE,
    **options: Any,
) -> pd.DataFrame:
    """Add axis-trained members to an ensemble, and for comparison as many placebo and as many plain ones.

    `n_base` members, two or more, get each number of `n_added` beside; `alignment` is the strategy of the
    added ones. Others as for `run_interventions`.

    One row for each number and kind (``true``, ``placebo``, ``base``): ``added``, ``kind``, ``bacc``, and
    ``gain`` over the ensemble without them with its interval ``low``, ``high``.
    """
    checks.count("n_base", n_base, 2)
    most = max(checks.count("n_added", count) for count in checks.choices("n_added", n_added))
    split, values = _split_and_values(cohort, split, valence)
    split.require_test_subjects()
    seeds = range(n_base + most)
    specs = [replace(recipe, seed=seed, recipe="base") for seed in seeds]
    specs += [_arm_spec(recipe, alignment, arm, seed) for arm in ARMS[1:] for seed in seeds[n_base:]]
    bank = train_bank(specs, cohort, split, valence=values, features=False, baselines=False, **options)
    P, y, subject = bank.test_probabilities()
    first, *pools = np.split(P, np.cumsum([n_base, most, most]))
    alone = ensemble.softmax_ensemble(first)
    table = []
    for count in n_added:
        for kind, pool in zip(("true", "placebo", "base"), (pools[1], pools[2], pools[0]), strict=True):
            grown = ensemble.softmax_ensemble(np.concatenate([first, pool[:count]]))
            gain = ensemble.accuracy_difference(grown, alone, y, subject)._asdict()
            bacc = float(balanced_accuracy(y, grown.argmax(1)))
            table.append({"added": count, "kind": kind, "bacc": bacc, "gain": gain.pop("value"), **gain})
    return pd.DataFrame(table)
