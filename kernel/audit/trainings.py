"""Tables of networks trained on FACED: who decodes, what they share with the axis, what alignment does.

Everything is asked in two *regimes*, with which the name of a part begins: of the mean of ten seconds, and of
their time course in steps of one second. In both the same people train, choose and test (FACED's standard
split), and nothing is smoothed across clips. Networks learn emotions, or the *moments*: which ten seconds of
which clip. Recipes were fixed on validation people (80 to 99).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from kernel import stats
from kernel.audit.material import Material
from kernel.audit.stimuli import held_out
from kernel.brain.cohort import Cohort, segments
from kernel.brain.designs import FACED_CLASSES
from kernel.brain.splits import Split, make_split
from kernel.decoding import ablation as ablations
from kernel.decoding import contest as contests
from kernel.decoding import ensemble, interventions, rediscovery, two_tier
from kernel.decoding.alignment import NAMED, PAPER_ROWS, Alignment
from kernel.decoding.bank import train_bank
from kernel.decoding.checkpoints import Bank
from kernel.decoding.effects import Interventions
from kernel.decoding.interventions import RECIPE
from kernel.decoding.networks import linear_baseline
from kernel.decoding.online import OnlineDecoder, from_bank
from kernel.decoding.residual import NetworkClassifier
from kernel.decoding.training import TrainingSpec
from kernel.metrics import balanced_accuracy

#: Options of the network that sees seconds: one layer for each second, then one for all of them.
_SECONDS: dict[str, Any] = {"window_width": 64, "hidden": (128,), "dropout": 0.5}
#: Base recipe of alignment and of pools in each regime.
REGIMES = {
    "means": RECIPE,
    "time course": TrainingSpec(
        options=_SECONDS, n_windows=10, epochs=12, warmup_epochs=2, batch_size=256, learning_rate=2e-3
    ),
}
#: The strongest recipe of each regime.
STRONGEST = {
    "means": TrainingSpec(options={"hidden": (256,), "dropout": 0.5}, epochs=40),
    "time course": TrainingSpec(
        options={"window_width": 96, "hidden": (512,), "dropout": 0.5}, n_windows=10, epochs=40
    ),
}
LABELS = {"emotions": "classes", "moments": "moments"}
SEEDS = range(10)
#: Lengths of the recipes along which harm is compared, weak to strong.
LENGTHS = {"means": (3, 7, 15, 30), "time course": (3, 6, 12, 24)}
#: One strategy of each family, at the paper's strength.
FOUR = (7, 11, 14, 16)
N_NULL, _PERSON = 199, "person "


def _regime(part: str) -> tuple[str, list[str]]:
    return part.split(", ")[0], part.split(", ")[1:]


def _training_rows(*folds: Bank, columns: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row for each member: ``seed``, ``validation``, ``bacc``, and a column for each test person.

    Of several folds of the same members the test trials are taken together. `columns` stand in front.
    """
    trials = pd.concat([bank.trials[bank.rows("test")] for bank in folds])
    y, subject = trials["y"].to_numpy(), trials["subject"].to_numpy()
    called = np.concatenate([bank.test_probabilities()[0].argmax(-1) for bank in folds], axis=1)
    scores = {
        "seed": [spec.seed for spec in folds[0].specs],
        "validation": np.mean([bank.bacc("validation") for bank in folds], axis=0),
        "bacc": balanced_accuracy(y, called),
    }
    for person in np.unique(subject):
        own = subject == person
        scores[f"{_PERSON}{person}"] = balanced_accuracy(y[own], called[:, own])
    table = pd.DataFrame(scores)
    return table if columns is None else pd.concat([columns.reset_index(drop=True), table], axis=1)


def people_of(table: pd.DataFrame) -> np.ndarray:
    """Balanced accuracy of each test person (n_rows, n_people) from the columns that a table has for them."""
    return table[[name for name in table if name.startswith(_PERSON)]].to_numpy(dtype=float)


def over_people(values: np.ndarray, *, random_state: int = 0) -> stats.Interval:
    """Mean over people (n_people,) with an interval that resamples them."""
    return stats.bootstrap_interval(lambda a: a.mean(-1), np.asarray(values), random_state=random_state)


def over_people_and_seeds(
    changes: np.ndarray, *, n_resamples: int = 4000, random_state: int = 0
) -> stats.Interval:
    """Mean of changes (n_seeds, n_people) with an interval that draws both anew.

    A seed stands for initial weights, order of batches and the placebo's permutation.
    """
    rng = np.random.default_rng(random_state)
    draws = [rng.integers(n, size=(n_resamples, n, 1)) for n in changes.shape]
    seeds, people = ((drawn == np.arange(drawn.shape[1])).mean(1) for drawn in draws)
    drawn = (seeds @ changes * people).sum(1)
    return stats.Interval(float(changes.mean()), *np.quantile(drawn, [0.025, 0.975]).tolist())


def _train(z: Cohort, specs: Sequence[TrainingSpec], split: Split | None = None, **options: Any) -> Bank:
    split = make_split(z, "standard") if split is None else split
    return train_bank(specs, z, split, n_jobs=1, progress=False, **{"baselines": False, **options})


# Who decodes

DECODER_PARTS = tuple(
    f"{regime}, {labels}, {condition}"
    for regime in REGIMES
    for labels in LABELS
    for condition in ("seen", "shuffled", "unseen")
    if regime != "means" or condition != "shuffled"
)


def decoders(material: Material, part: str, seeds: Iterable[int] | None = None) -> pd.DataFrame:
    """The strongest network of each regime, trained on emotions or on moments, and what it cannot do without.

    A part has labels and a condition: clips *seen* in training; the same with the seconds of every segment
    *shuffled*, in training and test alike; clips *unseen*, one of each emotion held out at a time, where rows
    are of all folds together. Five seeds, or for unseen clips two, by default. Columns: ``regime``,
    ``labels``, ``condition``, ``seed``, ``validation``, ``bacc``, and one for each test person.
    """
    regime, (labels, condition) = _regime(part)
    seeds = range(2 if condition == "unseen" else 5) if seeds is None else seeds
    specs = [replace(STRONGEST[regime], labels=LABELS[labels], seed=seed) for seed in seeds]
    named = {"regime": regime, "labels": labels, "condition": condition}
    columns = pd.DataFrame(named, index=range(len(specs)))
    z, split = material.z, make_split(material.z, "standard")
    if condition != "unseen":
        bank = _train(_shuffled(z) if condition == "shuffled" else z, specs, features=False)
        return _training_rows(bank, columns=columns)
    folds = []
    for fold in held_out(z.y, z.clips):
        parts = {name: getattr(split, name) & ~fold for name in ("train", "validation")}
        unseen = replace(split, name="unseen clips", test=split.test & fold, **parts)
        folds.append(_train(z, specs, unseen, features=False))
    return _training_rows(*folds, columns=columns)


def _shuffled(z: Cohort) -> Cohort:
    """Seconds in random order within each segment of 10 s, another order for each."""
    de = z.de.reshape(*z.de.shape[:2], -1, 10, *z.de.shape[3:])
    order = np.random.default_rng(20260528).permuted(np.indices(de.shape[:4])[3], axis=3)
    return z.with_de(np.take_along_axis(de, order[..., None, None], 3).reshape(z.de.shape), unit="z")


# What checkpoints share with the axis

CHECKPOINT_PARTS = tuple(
    f"{regime}, {network}, {epochs}"
    for regime in REGIMES
    for network, design in rediscovery.REGIMES.items()
    for epochs in design["epochs"]
)
#: Position of each emotion on the first component of a checkpoint's class means.
PC1 = tuple(f"pc1 {emotion}" for emotion in FACED_CLASSES)
NULLS = tuple(f"null {draw}" for draw in range(N_NULL))
_CHECKPOINT = ["regime", "network", "recipe", "epochs"]


def _checkpoint_specs(regime: str) -> list[TrainingSpec]:
    """The thirty-six trainings of :func:`kernel.decoding.rediscovery.checkpoint_specs` in a regime.

    Of the time course the perceptron sees ten steps of a second, the transformer five of two seconds.
    """
    specs = rediscovery.checkpoint_specs()
    if regime == "means":
        return specs
    course: dict[str, Any] = {"mlp": {"options": _SECONDS, "n_windows": 10}, "axial": {"n_windows": 5}}
    return [replace(spec, **course[spec.network]) for spec in specs]


def _checkpoint_bank(material: Material, part: str, recipes: Iterable[str] | None) -> Bank:
    """Members of a part; prototypes are those of the language model's stories."""
    from kernel.language.construct import story_axis

    regime, (network, epochs) = _regime(part)
    specs = [s for s in _checkpoint_specs(regime) if (s.network, str(s.epochs)) == (network, epochs)]
    if recipes is not None:
        specs = [spec for spec in specs if spec.recipe.partition(", ")[2] in recipes]
    prototypes = None
    if any(spec.kd == "llm" for spec in specs):
        axis = story_axis("SmolLM2-135M-Instruct", material.z.classes)
        prototypes = dict(zip(axis.classes_, axis.centroids_, strict=True))
    return _train(material.z, specs, prototypes=prototypes)


def _checkpoints(
    material: Material, part: str, recipes: Iterable[str] | None
) -> tuple[Bank, rediscovery.Rediscovery]:
    """Members of a part and what they share with the language model's axis."""
    bank = _checkpoint_bank(material, part, recipes)
    target = rediscovery.clip_target(material.z, material.positions("language model"))
    return bank, rediscovery.rediscovery(bank, target, n_permutations=1, n_null=N_NULL)


def checkpoints(material: Material, part: str, recipes: Iterable[str] | None = None) -> pd.DataFrame:
    """Checkpoints that were never shown an axis, and what they share with one.

    A part has network and epochs; `recipes` are six by default. Columns: ``regime``, ``network``, ``recipe``,
    ``epochs``, ``seed``, ``validation``, ``bacc`` and one for each test person; :data:`PC1`, from which the
    score for any axis follows; ``residual`` and ``held_out`` as of
    :func:`kernel.decoding.rediscovery.rediscovery`, whose target within classes are the ratings of clips; and
    ``held_out`` for :data:`NULLS`, targets permuted within classes, the same for all checkpoints.
    """
    bank, alignment = _checkpoints(material, part, recipes)
    table, first = alignment.table, alignment.positions
    columns = table.assign(regime=_regime(part)[0])[_CHECKPOINT]
    scores = table[["residual", "held_out"]].reset_index(drop=True)
    pc1 = pd.DataFrame(first * np.sign(first[:, -1:]), columns=[f"pc1 {emotion}" for emotion in bank.classes])
    nulls = pd.DataFrame(alignment.nulls["held_out"].T, columns=NULLS)
    return pd.concat([_training_rows(bank, columns=columns), scores, pc1[list(PC1)], nulls], axis=1).copy()


def ablation_drops(material: Material, part: str, recipes: Iterable[str] | None = None) -> pd.DataFrame:
    """What every checkpoint loses with its residual direction, beside the controls; arguments as there.

    Columns: ``regime``, ``network``, ``recipe``, ``epochs``, ``control``, ``of`` (the whole direction, or its
    part orthogonal to the basin), ``validation``, ``share_in_basin``, ``drop``, ``z``, ``p``.
    """
    bank, alignment = _checkpoints(material, part, recipes)
    table = ablations.ablation(bank, alignment, n_best=None).table
    validation = table["checkpoint"].map(alignment.table.set_index("checkpoint")["validation"])
    table = table.rename(columns={"part": "of"}).assign(validation=validation, regime=_regime(part)[0])
    return table[[*_CHECKPOINT, *"control of validation share_in_basin drop z p".split()]]


def ablation_nulls(material: Material, part: str, recipes: Iterable[str] | None = None) -> pd.DataFrame:
    """What every checkpoint loses with directions that random targets chose: one column a target."""
    lost = ablations.ablation(*_checkpoints(material, part, recipes), n_best=None)
    columns = lost.table.drop_duplicates("checkpoint", ignore_index=True).assign(regime=_regime(part)[0])
    return columns[_CHECKPOINT].join(pd.DataFrame(lost.null["random_target"].T, columns=NULLS))


# Alignment

_ALL: dict[str, tuple[Alignment, int | None]] = {
    str(number): (row, number) for number, row in PAPER_ROWS.items() if row.strategy != "cross_dataset"
}
_ALL |= {name: (strategy, None) for name, strategy in NAMED.items()}
ALIGNMENT_PARTS = tuple(f"{regime}, {label}" for regime in REGIMES for label in _ALL)
DOSE_PARTS = tuple(f"{regime}, {strategy}" for regime in REGIMES for strategy in interventions.DOSES)
RECIPE_PARTS = tuple(
    f"{regime}, {labels}, {epochs}"
    for regime, lengths in LENGTHS.items()
    for labels in LABELS
    for epochs in lengths
)
FEW_PARTS = tuple(f"{regime}, {n}" for regime in REGIMES for n in (4, 16))


def _alignment_values(material: Material) -> np.ndarray:
    """What networks are aligned with (n_clips, 2): two language models' axes, ratings within emotions."""
    axes = [material.positions(name) for name in ("language model", "second model")]
    return interventions.default_values(material.z, axes)


def alignment(material: Material, part: str, seeds: Iterable[int] = SEEDS) -> pd.DataFrame:
    """A strategy, its placebo and the training without either, for every seed.

    A part has the number of the paper's row or the name of a strategy. Columns: ``regime``, ``label``,
    ``number``, ``strategy``, ``family``, ``strength``, ``arm`` (base, true, placebo), ``seed``,
    ``validation``, ``bacc`` and one for each test person; `as_interventions` reads them.
    """
    regime, _, label = part.partition(", ")  # a label may hold a comma
    strategy, number = _ALL[label]
    return _aligned_rows(material, regime, {label: strategy} if number is None else [number], seeds)


def doses(
    material: Material, part: str, seeds: Iterable[int] = SEEDS, n_strengths: int | None = None
) -> pd.DataFrame:
    """A strategy, which is the part, at the strengths that the paper prints, or the first; as `alignment`."""
    regime, (name,) = _regime(part)
    return _aligned_rows(material, regime, [name], seeds, strengths=interventions.DOSES[name][:n_strengths])


def recipes(
    material: Material, part: str, seeds: Iterable[int] = SEEDS, strategies: Sequence[int] = FOUR
) -> pd.DataFrame:
    """Four strategies on recipes from weak to strong; a part has labels and epochs. As `alignment`."""
    return _aligned_rows(material, _regime(part)[0], strategies, seeds, recipe=_recipe(part)).assign(
        recipe=part
    )


def _recipe(part: str) -> TrainingSpec:
    regime, (labels, epochs) = _regime(part)
    rise = min(2, int(epochs) // 3)
    return replace(REGIMES[regime], labels=LABELS[labels], epochs=int(epochs), warmup_epochs=rise)


def few_people(material: Material, part: str, seeds: Iterable[int] = SEEDS) -> pd.DataFrame:
    """Four strategies with few training ``people``, others for every seed; a part has their number."""
    regime, (n,) = _regime(part)
    split = make_split(material.z, "standard")
    tables = [
        _aligned_rows(material, regime, FOUR, [seed], split=interventions.few_subjects(split, int(n), seed))
        for seed in seeds
    ]
    return pd.concat(tables, ignore_index=True).assign(people=int(n))


def _options(material: Material, regime: str) -> dict[str, Any]:
    """How networks of a regime are aligned."""
    return {
        "split": make_split(material.z, "standard"),
        "valence": _alignment_values(material),
        "recipe": REGIMES[regime],
        "n_jobs": 1,
        "progress": False,
    }


def _aligned_rows(
    material: Material, regime: str, strategies: Any, seeds: Iterable[int], **options: Any
) -> pd.DataFrame:
    options = _options(material, regime) | options
    result = interventions.run_interventions(material.z, strategies, seeds=list(seeds), **options)
    people = np.stack([(hit / count).mean(1) for hit, count in zip(result.hits, result.counts, strict=True)])
    names = [f"{_PERSON}{subject}" for subject in material.z.subjects[options["split"].test.any(1)]]
    table = result.table.drop(columns=["cohort", "delta"])
    table = table.assign(**dict(zip(names, people.T, strict=True)))
    table.insert(0, "regime", regime)
    return table.astype({"number": "Float64"})


def as_interventions(table: pd.DataFrame) -> Interventions:
    """Stored rows of `alignment`, `doses`, `recipes` or `few_people` as `Interventions`.

    The rows are of one regime and one recipe or number of people; those without a strategy that several parts
    share are taken once. Without a column ``cohort`` the cohort is FACED. The accuracy of a person takes the
    place of hits by class, which is the same mean where everybody has as many trials of each class. Without
    columns of people only what is asked over cohorts can be asked.
    """
    table = table if "cohort" in table else table.assign(cohort="FACED")
    shared = (table["arm"] == "base") & table.duplicated(["cohort", "arm", "seed"])
    table = table[~shared].reset_index(drop=True)
    unit = list(zip(table["cohort"], table["seed"], strict=True))
    base = {unit[row]: row for row in np.flatnonzero(table["arm"] == "base")}
    twin = np.array([base[one] for one in unit])
    people = people_of(table)
    names = "cohort label number strategy family strength arm seed validation bacc".split()
    delta = (table["bacc"] - table["bacc"].to_numpy()[twin]).where(table["arm"] != "base")
    rows = table[names].assign(delta=delta, number=table["number"].astype("Int64"))
    counts = (np.ones((people.shape[1], 1)),) * len(table)
    return Interventions(rows, tuple(people[:, :, None]), counts, twin)


def axis_shifts(
    material: Material, part: str, seeds: Iterable[int] = SEEDS, strategies: Sequence[int] = FOUR
) -> pd.DataFrame:
    """How far four strategies and their placebos move class means and residual; the part is the regime.

    As :func:`kernel.decoding.interventions.mechanism`, with the ``regime``.
    """
    moved = interventions.mechanism(material.z, strategies, seeds=list(seeds), **_options(material, part))
    return moved.assign(regime=part)


def axis_members(material: Material, part: str, added: Sequence[int] = (5, 10, 15)) -> pd.DataFrame:
    """An ensemble of ten with members added that were trained with the axis, its placebo, or neither.

    The strategy is row 14 of the paper's table, at its strength. As
    :func:`kernel.decoding.interventions.ensemble_with_axis`, with the ``regime``, which is the part.
    """
    options = _options(material, part) | {"n_added": added}
    return interventions.ensemble_with_axis(material.z, PAPER_ROWS[14], **options).assign(regime=part)


# Online

ONLINE_PARTS = ("linear, means", "networks, time course")
_PAUSE = 15.0  # s between two clips


def online(material: Material, part: str, people: Iterable[int] | None = None) -> pd.DataFrame:
    """Test people, or those with these ids, decoded second by second in the order of their clips.

    Everybody begins anew: features are standardised by running moments of this person alone, and answers of
    the first minute are not counted. The parts are ten linear discriminants on the mean of the last ten
    seconds, each of other training people drawn with replacement; and five networks that see the time course.
    Columns: ``decoder``, ``subject``, ``second`` of the clip, from 1; ``clips`` counted, and the share named
    ``right`` at this second, missing while fewer than five seconds have arrived.
    """
    z, split = material.z, make_split(material.z, "standard")
    if part == "linear, means":
        members: list[Any] = _linear_members(z, split)
    else:
        specs = [replace(STRONGEST["time course"], seed=seed) for seed in range(5)]
        members = from_bank(_train(z, specs, split, features=False))
    scalp, tables = material.scalp, []
    tested = split.test.any(1) & (True if people is None else np.isin(z.subjects, list(people)))
    for person in np.flatnonzero(tested):
        decoder = OnlineDecoder(members, sfreq=250.0, channels=z.channels, classes=z.classes)
        right = np.full((len(z.clips), scalp.de.shape[2]), np.nan)
        for place, clip in enumerate(np.argsort(scalp.order[person])):
            for second, de in enumerate(scalp.de[person, clip]):
                record = decoder.push_features(de, place * (30.0 + _PAUSE) + second + 1.0)
                if record.warm and record.label is not None:
                    right[clip, second] = record.label == z.emotions[clip]
        counted = np.isfinite(right).sum(0)
        share = np.where(counted, np.nansum(right, axis=0) / np.maximum(counted, 1), np.nan)
        named = {"decoder": part, "subject": int(z.subjects[person])}
        seconds = {"second": np.arange(1, right.shape[1] + 1), "clips": counted, "right": share}
        tables.append(pd.DataFrame(named | seconds))
    return pd.concat(tables, ignore_index=True)


def _linear_members(z: Cohort, split: Split) -> list[Any]:
    """Ten discriminants of means of ten seconds, each on people drawn with replacement."""
    cut = segments(z)
    train, rng = cut.rows(split.train), np.random.default_rng(0)
    X, y, subject = cut.X[train], cut.y[train], cut.subject[train]
    people = np.unique(subject)
    drawn = [
        np.concatenate([np.flatnonzero(subject == p) for p in rng.choice(people, len(people))])
        for _ in range(10)
    ]
    return [linear_baseline("lda").fit(X[rows], y[rows]) for rows in drawn]


# Ensembles

#: Base of the contest in each regime: the flat perceptron, since members see parts of a flat input.
CONTESTANTS = {
    "means": contests.NETWORK,
    "time course": NetworkClassifier(
        options={"hidden": (256,), "dropout": 0.5}, epochs=12, batch_size=256, learning_rate=2e-3
    ),
}
_FAMILIES = tuple(dict.fromkeys(m.family for m in contests.METHODS.values() if m.family != "base"))
CONTEST_PARTS = tuple(f"{regime}, {family}" for regime in REGIMES for family in _FAMILIES)
N_POOLS = 16
POOL_LENGTHS = {"means": (20, 30), "time course": (12, 18)}
POOL_PARTS = tuple(f"{regime}, {pool}" for regime in REGIMES for pool in range(N_POOLS))
COMPARISON_PARTS = tuple(
    f"{regime}, {what}" for regime in REGIMES for what in ("lengths", "depths", "prototypes")
)


def ensembles(material: Material, part: str) -> pd.DataFrame:
    """Ensembles of ten at equal cost; a part has the family of members.

    Linear baselines stand with the seeds. As :func:`kernel.decoding.contest.contest`, with the ``regime``.
    """
    regime, (family,) = _regime(part)
    z = material.z
    table = contests.contest(
        z, make_split(z, "standard"), estimator=CONTESTANTS[regime], n_windows=REGIMES[regime].n_windows,
        methods=[name for name, method in contests.METHODS.items() if method.family == family],
        progress=False,
    )  # fmt: skip
    return table[(table["family"] != "linear") | (family == "seeds")].assign(regime=regime)


def _pool_specs(regime: str, n_pools: int) -> list[TrainingSpec]:
    shared = {name: getattr(REGIMES[regime], name) for name in ("options", "n_windows")}
    return two_tier.pool_specs(n_pools, lengths=POOL_LENGTHS[regime], **shared)


def _pool(
    material: Material, part: str, n_members: int | None = None
) -> tuple[dict[str, Any], two_tier.Pool]:
    """One pool of ten and the columns that name it; the target is the mean valence of clips."""
    regime, (number,) = _regime(part)
    specs = [spec for spec in _pool_specs(regime, N_POOLS) if spec.recipe == f"pool {number}"][:n_members]
    target = rediscovery.clip_ratings(material.z)
    assert target is not None  # FACED has ratings
    place = np.argsort(material.z.clips)
    (pool,) = two_tier.make_pools(_train(material.z, specs), target[place], n_null=N_NULL)
    return {"regime": regime, "pool": int(number)}, pool


def pools(material: Material, part: str, n_members: int | None = None) -> pd.DataFrame:
    """Members of a pool, the part: accuracy, residual alignment, and the contribution if all are asked."""
    names, pool = _pool(material, part, n_members)
    table = pd.DataFrame({**names, "epochs": pool.lengths, "seed": pool.seeds}).assign(
        bacc=balanced_accuracy(pool.y, pool.probabilities.argmax(-1)),
        residual=pool.residual,
        held_out=pool.held_out,
    )
    if n_members is None:
        table["contribution"] = ensemble.contributions(pool.probabilities, pool.y).leave_one_out
    return table


def pool_ends(material: Material, part: str) -> pd.DataFrame:
    """Top and bottom seven of a pool by residual, with the difference for :data:`NULLS`, random orders.

    As of :meth:`kernel.decoding.two_tier.Pool.top_and_bottom`, with ``regime`` and ``pool``.
    """
    names, pool = _pool(material, part)
    ends, null = pool.top_and_bottom(n_permutations=N_NULL, random_state=names["pool"])
    nulls = pd.DataFrame([null], columns=NULLS)
    return pd.concat([pd.DataFrame([{"pool": names["pool"], **ends, **names}]), nulls], axis=1)


def pool_growth(material: Material, part: str) -> pd.DataFrame:
    """Accuracy of ensembles of every size from a pool, with ``regime`` and ``pool``."""
    names, pool = _pool(material, part)
    return pool.growth().assign(**names)


def comparisons(material: Material, part: str) -> pd.DataFrame:
    """Differences between ensembles with intervals over test people; a part has what is compared.

    ``lengths``: kappa of members of two lengths minus kappa of one length, and half of the seeds at two
    lengths minus all at the longer; ``depths``: ten members of other depths added to ten; ``prototypes``: six
    networks distilled towards a language model's prototypes minus six towards random ones.
    """
    regime, (what,) = _regime(part)
    compare = {"lengths": _lengths, "depths": _depths, "prototypes": _prototypes}[what]
    return pd.DataFrame(
        {"regime": regime, "comparison": name, "value": value, "low": low, "high": high}
        for name, (value, low, high) in compare(material, regime).items()
    )


def _lengths(material: Material, regime: str) -> dict[str, Any]:
    bank = _train(material.z, _pool_specs(regime, 2), features=False)
    lengths, seeds = (np.array([getattr(s, name) for s in bank.specs]) for name in ("epochs", "seed"))
    P, _, subject = bank.test_probabilities()
    return {
        "kappa across lengths minus within": two_tier.length_agreement(P, lengths, seeds, subject),
        "two lengths minus seeds of the longer": two_tier.lengths_against_seeds(bank),
    }


def _depths(material: Material, regime: str) -> dict[str, Any]:
    changed: dict[str, Any] = {"epochs": POOL_LENGTHS[regime][0], "recipe": "other depth"}
    others = [
        replace(spec, options={**REGIMES[regime].options, "hidden": hidden}, **changed)
        for hidden in ((64,), (128, 128, 64))
        for spec in _pool_specs(regime, 1)[:5]
    ]
    P, y, subject = _train(material.z, _pool_specs(regime, 1), features=False).test_probabilities()
    extra = _train(material.z, others, features=False).test_probabilities()[0]
    together = np.concatenate([P, extra]).mean(0)
    return {"members of other depths added": ensemble.accuracy_difference(together, P.mean(0), y, subject)}


def _prototypes(material: Material, regime: str) -> dict[str, Any]:
    parts, sides = [part for part in CHECKPOINT_PARTS if part.startswith(f"{regime}, ")], []
    for name in ("prototypes of a language model", "random prototypes"):
        trials = [_checkpoint_bank(material, part, [name]).test_probabilities() for part in parts]
        sides.append(np.concatenate([P for P, *_ in trials]))
    _, y, subject = trials[0]
    difference = ensemble.accuracy_difference(sides[0], sides[1], y, subject)
    return {"language model's prototypes minus random": difference}


def headroom(material: Material, part: str) -> pd.DataFrame:
    """Single members, their ensemble of ten and its ``gain`` over test people, for a recipe of `recipes`."""
    bank = _train(material.z, [replace(_recipe(part), seed=seed) for seed in SEEDS], features=False)
    P, y, subject = bank.test_probabilities()
    gain = ensemble.accuracy_difference(P.mean(0), P, y, subject)
    row: dict[str, Any] = {"recipe": part, "regime": _regime(part)[0]}
    row |= {"single_validation": bank.bacc("validation").mean(), "single": bank.bacc("test").mean()}
    row |= {"ensemble": float(balanced_accuracy(y, P.mean(0).argmax(-1)))}
    return pd.DataFrame([row | dict(zip(("gain", "low", "high"), gain, strict=True))])
