"""Does pulling a classifier towards the valence axis change its accuracy, and is it the axis that does it?

In:  a cohort and strategies of :mod:`kernel.decoding.alignment`.
Out: tidy tables: every training with its change against the same training without the strategy, and what
     these changes amount to with a placebo beside them.
Never chooses anything on test trials, never tunes a strength, never decides a verdict: that is the ledger's
work.

Each aligned training has a twin without the strategy: same seed, initial weights and batches. Its *placebo*
is the same strategy with the values permuted over emotions. Only what a strategy does beyond its placebo can
be due to the axis.

What a test over seeds can say is bounded: seeds of one cohort share its people, clips and class geometry.
Five of them give a sign-flip test at best p = 1/32 one-sided and 2/32 two-sided. For a claim about a kind of
data the unit is the cohort.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import delayed
from numpy.typing import ArrayLike
from scipy.stats import binomtest, chi2, norm
from scipy.stats import t as student_t

from kernel import files, stats
from kernel.arrays import real, whole
from kernel.brain.cohort import Cohort, Split, make_split, scalp_channels, segments, standardise
from kernel.brain.simulate import PRESETS, Settings, simulate_cohort
from kernel.decoding import ensemble, geometry, networks
from kernel.decoding.alignment import NAMED, PAPER_ROWS, Alignment, Context, clip_values
from kernel.decoding.bank import Bank, TrainingSpec, train_bank
from kernel.decoding.study import clip_target
from kernel.metrics import mean_recall
from kernel.threads import one_thread, side_by_side

RECIPE = TrainingSpec(epochs=15, warmup_epochs=2, learning_rate=2e-3)
"""Base recipe: the bank's plain perceptron, trained briefly."""
ARMS = ("base", "true", "placebo")
_OWN_PERMUTATIONS = 10_000  # what a cohort's number is multiplied with to offset its permutations
OWN_SEEDS = 1000  # what a strategy with seeds of its own adds to each
#: Strengths that the paper prints for its monotone harm.
DOSES: dict[str, tuple[float, ...]] = {
    "rsa": (0.1, 0.5, 1.0, 5.0),
    "distance_ce": (0.5, 1.0, 2.0, 5.0),
    "multi_model": (0.05, 0.1, 0.5),
}
AXES = ("subjects", "signal", "epochs")

Wanted = Sequence[int | str | Alignment] | Mapping[str, Alignment]


@dataclass(frozen=True, eq=False)
class Interventions:
    """Trainings with and without strategies.

    Attributes
    ----------
    table : DataFrame
        One row a training: ``cohort`` (its label), ``label``, ``number`` (row of the paper, missing if none),
        ``strategy``, ``family``, ``strength``, ``arm`` (base, true, placebo), ``seed``, ``validation`` and
        ``bacc`` (balanced accuracy, the latter on test subjects), ``delta`` (``bacc`` minus that of its twin
        without the strategy; missing for the twins).
    hits : tuple of ndarray, shape (n_subjects, n_classes)
        For each row, the correctly classified test trials of every person and class.
    counts : tuple of ndarray, shape (n_subjects, n_classes)
        For each row, all of these trials.
    twin : ndarray of int, shape (n_rows,)
        Row of the twin; a twin's own row.
    """

    table: pd.DataFrame
    hits: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]
    twin: np.ndarray

    def deltas(self) -> pd.DataFrame:
        """Rows of the arms true and placebo."""
        return self.table[self.table["arm"] != "base"]


def wanted_strategies(
    strategies: Wanted | None, strengths: Sequence[float] | Mapping[str, Sequence[float]] | None = None
) -> dict[str, Alignment]:
    """Alignments by label.

    Parameters
    ----------
    strategies : sequence of int, str or Alignment, or mapping of str to Alignment, optional
        Numbers of the paper's rows, names of :data:`~kernel.decoding.alignment.NAMED` or of strategies, or
        alignments; all 25 rows by default.
    strengths : sequence of float, or mapping of strategy to sequence of float, optional
        Each strategy at each of these instead of its own.

    Returns
    -------
    dict of str to Alignment

    Raises
    ------
    ValueError
        If a number or a name is unknown, or two labels are the same training.
    """
    if strategies is None:
        strategies = tuple(PAPER_ROWS)
    given = dict(strategies) if isinstance(strategies, Mapping) else dict(map(_labelled, strategies))
    if not given:
        raise ValueError("strategies is empty: name one or more")
    found: dict[str, Alignment] = {}
    for label, alignment in given.items():
        doses = strengths.get(alignment.strategy) if isinstance(strengths, Mapping) else strengths
        if doses is None:
            found[label] = alignment
            continue
        for dose in doses:
            found[f"{label}, strength {dose:g}"] = replace(alignment, strength=dose)
    seen: dict[str, str] = {}
    for label, alignment in found.items():
        if alignment.placebo_seed is not None:
            raise ValueError(f"{label!r} has a placebo_seed: give the strategy, placebos are added here")
        same = seen.setdefault(repr(alignment.content()), label)
        if same != label:
            raise ValueError(f"{same!r} and {label!r} are the same training: drop one of them")
    return found


def _labelled(item: int | str | Alignment) -> tuple[str, Alignment]:
    if isinstance(item, Alignment):
        settings = "".join(f", {name} {value:g}" for name, value in item.options.items())
        return f"{item.strategy} {item.dose:g}{settings}", item
    if isinstance(item, str):
        if item in NAMED:
            return item, NAMED[item]
        return item, Alignment(item)
    if item not in PAPER_ROWS:
        raise ValueError(f"the paper's table has no row {item!r}; there are 1 to {len(PAPER_ROWS)}")
    return f"{item} {PAPER_ROWS[item].strategy} {PAPER_ROWS[item].dose:g}", PAPER_ROWS[item]


def model_values(
    valence: ArrayLike,
    *,
    n_models: int = 14,
    agreement: float = 0.65,
    random_state: int | np.random.Generator | None = 0,
) -> np.ndarray:
    """Stand-ins for the axes of several language models: noisy copies of a valence.

    Parameters
    ----------
    valence : array_like, shape (n_clips,)
        The truth.
    n_models : int
        Columns of the result.
    agreement : float
        Expected correlation of any two copies, in (0, 1]; the paper reports .65 over its 14 models.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    ndarray, shape (n_clips, n_models)
        Their standard deviation over clips is about one.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    if not 0 < agreement <= 1 or n_models < 1:
        raise ValueError(
            f"agreement must lie in (0, 1] and n_models be positive, got {agreement}, {n_models}"
        )
    v = real(valence, "valence")
    v = (v - v.mean()) / v.std()
    noise = np.random.default_rng(random_state).standard_normal((len(v), n_models))
    return np.sqrt(agreement) * v[:, None] + np.sqrt(1 - agreement) * noise


def default_values(cohort: Cohort, positions: Sequence[Mapping[str, float]] = ()) -> np.ndarray:
    """Values to align with.

    For simulated cohorts that know what was planted, this valence and `model_values` of it beside; for others
    the axes of language models, or the mean ratings where none are given.

    Parameters
    ----------
    cohort : Cohort
        Any.
    positions : sequence of mappings of emotion to float
        For the others: each model's axis, as :func:`kernel.language.study.axis_positions`; clips of an
        emotion differ by their ratings, as in :func:`kernel.decoding.study.clip_target`.

    Returns
    -------
    ndarray, shape (n_clips, n_models)
    """
    planted = cohort.simulated and "rating" in cohort.data
    if positions and not planted:
        place = np.argsort(np.argsort(cohort.clips))  # targets come sorted by the clips' numbers
        return np.column_stack([clip_target(cohort, one)[place] for one in positions])
    rating = cohort.rating()
    if not planted:
        return rating[:, None]
    seed = cohort.data.attrs["seed"]
    return np.column_stack([rating, model_values(rating, random_state=int(seed) if seed else 0)])


def possible_strategies(
    cohort: Cohort,
    strategies: Wanted | None = None,
    *,
    values: ArrayLike | None = None,
    recipe: TrainingSpec = RECIPE,
    target: Cohort | None = None,
) -> tuple[dict[str, Alignment], dict[str, str]]:
    """Which strategies a cohort can serve, and what keeps the others back.

    Parameters
    ----------
    cohort, strategies, recipe, target
        As for `run_interventions`.
    values : array_like, optional
        Its ``valence``; `default_values` of the cohort if not given.

    Returns
    -------
    possible : dict of str to Alignment
        By label, for `run_interventions`.
    refused : dict of str to str
        Reason by label.

    Raises
    ------
    ValueError
        If the strategies or the values are none, as in `run_interventions`.
    """
    values = default_values(cohort) if values is None else values
    channels = tuple(scalp_channels(cohort.channels))
    context = Context(
        values=clip_values(values, cohort.y, cohort.classes),
        clip_class=cohort.y,
        clip=np.arange(len(cohort.clips)),
        classes=cohort.classes,
        channels=channels,
        bands=tuple(cohort.bands),
        profile=np.zeros((len(cohort.clips), len(channels), len(cohort.bands))),  # any will do to be checked
    )
    possible, refused = {}, {}
    for label, alignment in wanted_strategies(strategies).items():
        try:
            if "cohort" in alignment.definition.needs:
                _common(cohort, _target(cohort) if target is None else target)
            context.check(alignment, recipe.network, recipe.epochs)
        except ValueError as error:
            refused[label] = str(error)
        else:
            possible[label] = alignment
    return possible, refused


# Trainings


def run_interventions(
    cohort: Cohort,
    strategies: Wanted | None = None,
    *,
    strengths: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    seeds: int | Sequence[int] = 5,
    placebo: bool = True,
    placebo_offset: int = 0,
    split: str | Split = "standard",
    valence: ArrayLike | None = None,
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
        How many, from 0 up, or which. The placebo of a seed permutes the values with that seed.
    placebo : bool
        Whether to train the placebos.
    placebo_offset : int
        Added to a seed to give that of its permutation: several cohorts should not share theirs.
    split : str or Split
        As for :func:`~kernel.brain.cohort.make_split`.
    valence : array_like, optional
        As for :func:`~kernel.decoding.bank.train_bank`; `default_values` of the cohort if not given.
    recipe : TrainingSpec
        What all trainings share; seed and alignment are put in.
    target : Cohort, optional
        Second cohort of ``cross_dataset``. For a simulated cohort the default is one of SEED-V's design and
        the same seed, which shares with the first the pattern of valence but none of its classes.
    segment, folder, device, n_jobs, progress
        As for :func:`~kernel.decoding.bank.train_bank`, which stores each training, so that an interrupted
        run goes on where it stopped.

    Returns
    -------
    Interventions

    Raises
    ------
    ValueError
        Before any training, if a strategy, a seed or the data cannot be used.
    """
    wanted = wanted_strategies(strategies, strengths)
    seeds = list(range(seeds)) if isinstance(seeds, int) else whole(list(seeds), "seeds").tolist()
    if len(set(seeds)) != len(seeds) or not seeds:
        raise ValueError(f"seeds must be one or more different numbers, got {seeds}")
    if recipe.alignment is not None:
        raise ValueError("recipe has an alignment of its own: give it as a strategy")
    values = default_values(cohort) if valence is None else real(valence, "valence")
    if isinstance(split, str):
        split = make_split(cohort, split)
    options: dict[str, Any] = {
        "segment": segment,
        "folder": folder,
        "device": device,
        "n_jobs": n_jobs,
        "progress": progress,
    }
    here = {k: a for k, a in wanted.items() if "cohort" not in a.definition.needs}
    away = {k: a for k, a in wanted.items() if "cohort" in a.definition.needs}
    parts = []
    if away:
        pair = _common(cohort, _target(cohort) if target is None else target)
    if here:
        trainings = _trainings(here, seeds, placebo, recipe, placebo_offset)
        specs = [spec for *_, spec in trainings]
        bank = train_bank(specs, cohort, split, valence=values, features=False, baselines=False, **options)
        parts.append(_collect(trainings, bank, *_test_hits(bank)))
    if away:
        trainings = _trainings(away, seeds, placebo, recipe, placebo_offset)
        specs = [spec for *_, spec in trainings]
        bank = train_bank(specs, pair[0], split, valence=values, features=False, baselines=False, **options)
        parts.append(_collect(trainings, bank, *_transferred(bank, pair[1])))
    return combine(parts)


def _trainings(
    wanted: Mapping[str, Alignment],
    seeds: Sequence[int],
    placebo: bool,
    recipe: TrainingSpec,
    placebo_offset: int = 0,
) -> list[tuple[str, Alignment | None, str, int, TrainingSpec]]:
    """Label, alignment, arm, seed and spec of every training, twins first."""
    own = {label: OWN_SEEDS * (a.strategy == "data_scaling") for label, a in wanted.items()}
    twins = sorted({seed + offset for seed in seeds for offset in own.values()})
    found: list[tuple[str, Alignment | None, str, int, TrainingSpec]] = [
        ("base", None, "base", seed, replace(recipe, seed=seed, recipe="base")) for seed in twins
    ]
    for label, alignment in wanted.items():
        for arm in ARMS[1:] if placebo else ARMS[1:2]:
            for seed in (seed + own[label] for seed in seeds):
                permutation = seed + placebo_offset if arm == "placebo" else None
                given = replace(alignment, placebo_seed=permutation)
                spec = replace(recipe, seed=seed, alignment=given, recipe=f"{label}, {arm}")
                found.append((label, alignment, arm, seed, spec))
    return found


def _collect(
    trainings: Sequence[tuple[str, Alignment | None, str, int, TrainingSpec]],
    bank: Bank,
    hits: np.ndarray,
    counts: np.ndarray,
) -> Interventions:
    bacc = mean_recall(counts, hits)
    twin_of = {seed: row for row, (_, _, arm, seed, _) in enumerate(trainings) if arm == "base"}
    twin = np.array([twin_of[seed] for *_, seed, _ in trainings])
    number = {(row.strategy, row.dose): n for n, row in PAPER_ROWS.items()}
    rows = [
        {
            "cohort": bank.label,
            "label": label,
            "number": None if alignment is None else number.get((alignment.strategy, alignment.dose)),
            "strategy": "" if alignment is None else alignment.strategy,
            "family": "" if alignment is None else alignment.definition.family,
            "strength": 0.0 if alignment is None else alignment.dose,
            "arm": arm,
            "seed": seed,
            "validation": float(checkpoint.validation[checkpoint.epoch]),
            "bacc": bacc[row],
            "delta": np.nan if arm == "base" else bacc[row] - bacc[twin[row]],
        }
        for row, ((label, alignment, arm, seed, _), checkpoint) in enumerate(
            zip(trainings, bank.checkpoints, strict=True)
        )
    ]
    table = pd.DataFrame(rows).astype({"number": "Int64"})
    return Interventions(table, tuple(hits), (counts,) * len(hits), twin)


def combine(parts: Sequence[Interventions]) -> Interventions:
    """Several runs as one, such as those of several cohorts."""
    if not parts:
        raise ValueError("parts is empty: give one run or more")
    starts = np.cumsum([0, *(len(part.table) for part in parts[:-1])])
    return Interventions(
        pd.concat([part.table for part in parts], ignore_index=True),
        tuple(hit for part in parts for hit in part.hits),
        tuple(count for part in parts for count in part.counts),
        np.concatenate([part.twin + start for part, start in zip(parts, starts, strict=True)]),
    )


def _hits(y: np.ndarray, found: np.ndarray, subject: np.ndarray, n_classes: int) -> tuple[np.ndarray, ...]:
    """Hits (n_members, n_subjects, n_classes) and trials (n_subjects, n_classes) from labels (..., n)."""
    people, person = np.unique(subject, return_inverse=True)
    cell = np.eye(len(people) * n_classes)[person * n_classes + y]  # (n, n_subjects * n_classes)
    shape = (len(people), n_classes)
    return ((found == y) @ cell).reshape(-1, *shape), cell.sum(0).reshape(shape)


def _test_hits(bank: Bank) -> tuple[np.ndarray, ...]:
    rows = bank.rows("test")
    trials = bank.trials[rows]
    found = np.stack([checkpoint.logits[rows].argmax(1) for checkpoint in bank.checkpoints])
    return _hits(trials["y"].to_numpy(), found, trials["subject"].to_numpy(), len(bank.classes))


# Transfer to another cohort


def _target(cohort: Cohort) -> Cohort:
    if not cohort.simulated:
        raise ValueError(
            "cross_dataset needs target=, the cohort to transfer to, such as SEED-V; or leave row 23 out"
        )
    seed = cohort.data.attrs["seed"]
    return simulate_cohort(int(seed) if seed else 0, design="SEED-V")[0]


def _common(source: Cohort, target: Cohort) -> tuple[Cohort, Cohort]:
    """Both cohorts, standardised, on the electrodes that they share."""
    theirs = {name.lower(): name for name in target.channels}
    shared = [name for name in scalp_channels(source.channels) if name.lower() in theirs]
    if len(shared) < 2 or list(source.bands) != list(target.bands):
        raise ValueError(
            f"cross_dataset needs two electrodes and all bands in common; {source.label} and {target.label} "
            f"share {shared}, with bands {list(source.bands)} and {list(target.bands)}"
        )
    there = target.select(channels=[theirs[name.lower()] for name in shared])
    return standardise(source.select(channels=shared)), standardise(there)


@one_thread()
def _transferred(bank: Bank, target: Cohort) -> tuple[np.ndarray, ...]:
    """Hits of shrinkage LDA on every member's features of the target, each person tested once, in folds."""
    samples = segments(target)
    x = torch.tensor(samples.X.reshape(len(samples.X), len(target.channels), 1, len(target.bands)))
    splits = [make_split(target, "leave_subjects_out", fold=fold) for fold in range(5)]
    sets = [(samples.rows(s.train | s.validation), samples.rows(s.test)) for s in splits]
    found = np.zeros((len(bank), len(samples.y)), dtype=int)
    for member in range(len(bank)):
        with torch.no_grad():
            network: Any = bank.network(member)
            z = network.features(x).double().numpy()
        for learn, test in sets:
            model = networks.linear_baseline("lda").fit(z[learn], samples.y[learn])
            found[member, test] = model.predict(z[test])
    return _hits(samples.y, found, samples.subject, len(target.classes))


# Tests


def sign_flip_test(
    differences: ArrayLike,
    *,
    alternative: str = "two-sided",
    n_flips: int = 10_000,
    random_state: stats.Seed = 0,
) -> stats.PermutationResult:
    """Permutation test of paired differences: their signs are flipped.

    Up to 13 differences all :math:`2^n` flips are enumerated: the smallest p of five is 1/32 one-sided and
    2/32 two-sided, so that five seeds cannot reach .05 two-sided, whatever they show.

    Parameters
    ----------
    differences : array_like, shape (n,)
        One for each independent unit.
    alternative : {"two-sided", "greater", "less"}
        Of their mean.
    n_flips : int
        Random flips where enumeration would need more.
    random_state : int, Generator or None
        Seed of these.

    Returns
    -------
    stats.PermutationResult
        Of the mean difference.

    References
    ----------
    .. [1] Fisher (1935), The Design of Experiments, section 21.
    """
    d = _differences(differences)
    n = len(d)
    exact = 2**n <= n_flips
    if exact:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    else:
        signs = np.random.default_rng(random_state).choice([-1, 1], size=(n_flips, n))
    null, observed = signs @ d / n, float(d.mean())
    sided: dict[str, Any] = {"two-sided": np.abs, "greater": np.asarray, "less": np.negative}
    if alternative not in sided:
        raise ValueError(f"alternative must be one of {', '.join(sided)}, got {alternative!r}")
    extreme = sided[alternative](null) >= sided[alternative](observed) - 1e-12
    p = float(extreme.mean()) if exact else float((1 + extreme.sum()) / (1 + n_flips))
    return stats.PermutationResult(observed, p, null, exact)


def paired_t(differences: ArrayLike, *, confidence: float = 0.95) -> tuple[stats.Interval, float]:
    """Mean of paired differences with its t interval, and the two-sided p of Student's test.

    Differences that are all the same give p = 0, or 1 if they are zero, and an interval of no width.
    """
    d = _differences(differences)
    mean, se = float(d.mean()), float(d.std(ddof=1) / np.sqrt(len(d)))
    half = float(student_t.ppf(0.5 + confidence / 2, len(d) - 1)) * se
    if se < 1e-15:
        return stats.Interval(mean, mean, mean), float(abs(mean) < 1e-15)
    p = float(2 * student_t.sf(abs(mean) / se, len(d) - 1))
    return stats.Interval(mean, mean - half, mean + half), p


def equivalence_p(differences: ArrayLike, margin: float) -> float:
    """P-value of two one-sided t tests (TOST): small if the mean lies within plus or minus `margin`.

    Parameters
    ----------
    differences : array_like, shape (n,)
        One for each independent unit; two or more.
    margin : float
        Positive, in their unit: the largest change that counts as none.

    Returns
    -------
    float
        The larger of both p-values.

    References
    ----------
    .. [1] Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15. doi:10.1007/BF01068419
    """
    d = _differences(differences)
    _check_margin(margin)
    se = max(float(d.std(ddof=1) / np.sqrt(len(d))), 1e-15)
    return float(student_t.sf((margin - abs(d.mean())) / se, len(d) - 1))


def paired_power(sd: float, n: int, effect: float, *, level: float = 0.05) -> float:
    r"""Power of the two-sided paired t test at a true effect e and standard deviation s.

    .. math:: \mathrm{E}_\chi\bigl[\Phi(\delta - c \chi) + \Phi(-\delta - c \chi)\bigr],
        \quad \delta = \sqrt n\, e / s

    with the test's limit c and :math:`\chi^2 (n - 1)` chi-square with n - 1 degrees of freedom.

    Parameters
    ----------
    sd : float
        Standard deviation of the differences over units, positive.
    n : int
        Units, two or more.
    effect : float
        True mean difference.
    level : float
        Of the test.

    Returns
    -------
    float

    References
    ----------
    .. [1] Cohen (1988), Statistical Power Analysis. doi:10.4324/9780203771587
    """
    if not sd > 0 or n < 2 or not 0 < level < 1:
        raise ValueError(f"power needs sd > 0, n >= 2 and a level in (0, 1), got {sd}, {n}, {level}")
    limit, shift = student_t.ppf(1 - level / 2, n - 1), effect * np.sqrt(n) / sd
    # given the estimated standard deviation, t is normal; scipy's noncentral t fails in the far tail
    ratio = np.sqrt(chi2.ppf((np.arange(4000) + 0.5) / 4000, n - 1) / (n - 1))
    return float(np.mean(norm.cdf(shift - limit * ratio) + norm.cdf(-shift - limit * ratio)))


def smallest_detectable(sd: float, n: int, *, power: float = 0.8, level: float = 0.05) -> float:
    """Mean difference that the paired t test finds with this power; by bisection on `paired_power`."""
    if not level < power < 1:
        raise ValueError(f"power must lie between level {level} and 1, got {power}")
    low, high = 0.0, 25 * sd / np.sqrt(n) + 25 * sd
    while paired_power(sd, n, high, level=level) < power:
        raise ValueError(f"no effect of up to {high:g} reaches power {power} with n {n}")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if paired_power(sd, n, middle, level=level) < power else (low, middle)
    return high


def _differences(differences: ArrayLike) -> np.ndarray:
    d = real(differences, "differences")
    if d.ndim != 1 or len(d) < 2:
        raise ValueError(f"differences must be two or more numbers, got {d}: run more seeds or cohorts")
    return d


def _check_margin(margin: float) -> None:
    if not margin > 0:
        raise ValueError(f"margin must be positive, got {margin}")


# Results


def summarise(
    result: Interventions,
    *,
    margin: float = 0.01,
    unit: str | None = None,
    n_resamples: int = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """What every strategy changes, what its placebo changes, and the difference.

    Parameters
    ----------
    result : Interventions
        Of `run_interventions`, or of several combined.
    margin : float
        Change of balanced accuracy that counts as none in the equivalence test.
    unit : {"seed", "cohort"}, optional
        What is independent: seeds within one cohort, as in the paper, or cohorts, each the mean of its seeds.
        By default cohorts if there are two or more.
    n_resamples, random_state
        Of the bootstrap over subjects.

    Notes
    -----
    Resampling subjects does not cover the chance of what the few placebos of one cohort happened to be, nor
    that of its class geometry: ``beyond`` needs several cohorts.

    Returns
    -------
    DataFrame
        One row a label, in the order of the paper's table or of the run. ``n`` units. For the strategy
        ``true``, for its placebo ``placebo`` and for their paired difference ``beyond`` (missing without
        placebos):

        - ``true``: mean change; ``true_low``, ``true_high``: its 95 % interval, from a bootstrap of test
          subjects (unit seed) or Student's over cohorts;
        - ``true_p``: paired t; ``true_flip``: sign-flip test, two-sided; ``true_holm``, ``true_bh``: p
          adjusted over the labels; ``true_same``: equivalence p.

        ``sd`` of the change over units, ``power`` of the paired t test to find a change of `margin`, and
        ``detectable``, the change found with power .8.

    Raises
    ------
    ValueError
        If there are fewer than two units, or the unit is unknown.
    """
    _check_margin(margin)
    n_cohorts = result.table["cohort"].nunique()
    unit = ("cohort" if n_cohorts > 1 else "seed") if unit is None else unit
    if unit not in ("seed", "cohort"):
        raise ValueError(f"unit must be 'seed' or 'cohort', got {unit!r}")
    by_unit = ["cohort"] if unit == "cohort" else ["cohort", "seed"]
    paired = paired_changes(result)
    rows = []
    for label, part in paired.groupby("label", sort=False):
        means = part.groupby(by_unit, sort=False)[["true", "placebo", "beyond"]].mean()
        row = {name: part[name].iloc[0] for name in ("label", "number", "strategy", "family", "strength")}
        row["n"] = len(means)
        for name in means.columns[means.notna().all()]:
            d = means[name].to_numpy()
            interval, p = paired_t(d)
            if unit == "seed":
                interval = _over_subjects(result, label, name, n_resamples, random_state)
            row |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
            row |= {f"{name}_p": p, f"{name}_flip": sign_flip_test(d).p}
            row[f"{name}_same"] = equivalence_p(d, margin)
        row["sd"] = float(means["true"].std(ddof=1))
        sd = max(row["sd"], 1e-12)
        row["power"] = paired_power(sd, len(means), margin)
        row["detectable"] = smallest_detectable(sd, len(means))
        rows.append(row)
    table = pd.DataFrame(rows)
    if table["number"].notna().all():
        table = table.sort_values("number", kind="stable", ignore_index=True)
    for name in ("true", "placebo", "beyond"):
        if name in table:
            p = table[f"{name}_p"].to_numpy()
            table[f"{name}_holm"], table[f"{name}_bh"] = stats.holm(p), stats.benjamini_hochberg(p)
    return table


def paired_changes(result: Interventions) -> pd.DataFrame:
    """One row for each cohort, label and seed: ``true``, ``placebo``, and their difference ``beyond``."""
    keys = ["cohort", "label", "number", "strategy", "family", "strength", "seed"]
    deltas = result.deltas().copy()
    deltas["number"] = deltas["number"].astype(object).where(deltas["number"].notna(), -1)
    order = deltas["label"].drop_duplicates().tolist()
    wide = deltas.pivot(index=keys, columns="arm", values="delta").reindex(columns=ARMS[1:]).reset_index()
    wide["beyond"] = wide["true"] - wide["placebo"]
    wide["number"] = wide["number"].where(wide["number"] != -1, None).astype("Int64")
    wide.columns.name = None
    return wide.sort_values("label", key=lambda s: s.map(order.index), kind="stable", ignore_index=True)


def _over_subjects(
    result: Interventions, label: str, what: str, n_resamples: int, random_state: int
) -> stats.Interval:
    """Interval of a mean change over seeds, test subjects resampled with all of their trials."""
    table = result.table
    cohorts = table["cohort"][table["label"] == label].unique()
    if len(cohorts) > 1:
        raise ValueError("subjects of several cohorts: summarise each of them, or use unit='cohort'")
    sign = {"true": {"true": 1}, "placebo": {"placebo": 1}, "beyond": {"true": 1, "placebo": -1}}[what]
    change: Any = 0.0
    for arm, weight in sign.items():
        rows = np.flatnonzero((table["label"] == label) & (table["arm"] == arm))
        counts = result.counts[rows[0]]
        change = change + weight * np.mean(
            [result.hits[r] - result.hits[result.twin[r]] for r in rows], axis=0
        )
    if len(counts) < 2:
        raise ValueError(f"{label!r} was tested on one subject: an interval over subjects needs two or more")
    return stats.bootstrap_interval(
        mean_recall, counts, change, n_resamples=n_resamples, random_state=random_state
    )


def family_mean(result: Interventions, *, random_state: int = 0, n_resamples: int = 1000) -> pd.DataFrame:
    """Change of the strategies' mean, of their placebos' mean, and beyond the placebos.

    The unit is the cohort where there are several; within one cohort test subjects are resampled. Labels that
    were tested on other people (``cross_dataset``) are left out there.

    Returns
    -------
    DataFrame
        Rows true, placebo, beyond; columns ``value``, ``low``, ``high``.
    """
    paired = paired_changes(result)
    names = [name for name in ("true", "placebo", "beyond") if paired[name].notna().all()]
    if paired["cohort"].nunique() > 1:
        means = paired.groupby("cohort")[names].mean()
        found = {name: paired_t(means[name])[0] for name in names}
    else:
        table, twin = result.table, result.twin
        most = table[table["arm"] != "base"].index
        size = pd.Series([result.counts[row].shape for row in most]).mode()[0]
        change = {}
        for arm in set(names) & set(ARMS):
            rows = [r for r in most if table["arm"][r] == arm and result.counts[r].shape == size]
            change[arm] = np.mean([result.hits[r] - result.hits[twin[r]] for r in rows], axis=0)
        if "beyond" in names:
            change["beyond"] = change["true"] - change["placebo"]
        counts = next(result.counts[r] for r in most if result.counts[r].shape == size)
        found = {
            name: stats.bootstrap_interval(
                mean_recall, counts, change[name], n_resamples=n_resamples, random_state=random_state
            )
            for name in names
        }
    return pd.DataFrame.from_dict(found, orient="index", columns=["value", "low", "high"])


def change_contrast(first: Interventions, second: Interventions, *, what: str = "true") -> pd.DataFrame:
    """Change of accuracy in one set of cohorts minus that in another, such as with and without valence.

    Parameters
    ----------
    first, second : Interventions
        The same labels in as many cohorts, in the same order: cohorts are compared in pairs, as presets of
        one seed, or two recipes on one cohort, are.
    what : {"true", "placebo", "beyond"}
        Which change.

    Returns
    -------
    DataFrame
        One row for each label and one, ``all``, for their mean: ``label``, ``n`` pairs, ``value`` with its
        t interval ``low``, ``high`` and ``p``. A single cohort is compared seed by seed.

    Raises
    ------
    ValueError
        If labels or numbers of cohorts differ.
    """
    wide = []
    for result in (first, second):
        paired = paired_changes(result)
        unit = "cohort" if paired["cohort"].nunique() > 1 else "seed"
        order = paired[unit].drop_duplicates()
        wide.append(paired.pivot_table(index=unit, columns="label", values=what, sort=False).loc[order])
    names = [wide[k].index.name for k in (0, 1)]
    if names[0] != names[1] or set(wide[0]) != set(wide[1]) or len(wide[0]) != len(wide[1]):
        raise ValueError(
            f"both need the same labels and as many cohorts, got {len(wide[0])} {names[0]}s of "
            f"{sorted(wide[0])} and {len(wide[1])} {names[1]}s of {sorted(wide[1])}"
        )
    difference = wide[0] - wide[1][wide[0].columns].to_numpy()
    difference["all"] = difference.mean(axis=1)
    rows = []
    for label in difference:
        (value, low, high), p = paired_t(difference[label])
        rows.append({"label": label, "n": len(difference), "value": value, "low": low, "high": high, "p": p})
    return pd.DataFrame(rows)


# Dose, regime, mechanism, ensemble, false alarms


def dose_response(result: Interventions) -> pd.DataFrame:
    """Does the change fall as the strength rises? Spearman correlation for every unit.

    Parameters
    ----------
    result : Interventions
        Strategies at three or more strengths each, e.g. ``run_interventions(cohort, list(DOSES),
        strengths=DOSES)``.

    Returns
    -------
    DataFrame
        One row for each strategy and arm: ``strategy``, ``arm``, ``n`` (cohorts where there are several, else
        seeds), ``rho`` (mean over them, each over its own strengths) with its t interval ``low``, ``high``,
        clipped to [-1, 1], and the mean changes by strength, ``curve``.

    Raises
    ------
    ValueError
        If a strategy has fewer than three strengths.
    """
    deltas = result.deltas()
    unit = "cohort" if deltas["cohort"].nunique() > 1 else "seed"
    rows = []
    for (strategy, arm), part in deltas.groupby(["strategy", "arm"], sort=False):
        curves = part.pivot_table(index=unit, columns="strength", values="delta")
        if curves.shape[1] < 3:
            raise ValueError(
                f"{strategy!r} has {curves.shape[1]} strengths, a dose-response needs three or more: "
                "pass strengths=DOSES"
            )
        values = curves.to_numpy()
        flat = np.ptp(values, axis=1) < 1e-15
        doses = np.broadcast_to(curves.columns.to_numpy(), values.shape)
        rho = np.zeros(len(values))  # a curve that does not move has no slope
        rho[~flat] = stats.spearman(doses[~flat], values[~flat])
        interval, _ = paired_t(rho)
        rows.append(
            {
                "strategy": strategy,
                "arm": arm,
                "n": len(rho),
                "rho": interval.value,
                "low": max(interval.low, -1.0),
                "high": min(interval.high, 1.0),
                "curve": dict(curves.mean()),
            }
        )
    return pd.DataFrame(rows)


def few_subjects(split: Split, n: int, random_state: int | np.random.Generator | None = 0) -> Split:
    """The split with `n` of its training subjects, drawn at random.

    Raises
    ------
    ValueError
        If it has fewer.
    """
    people = np.flatnonzero(split.train.any(1))
    if not 1 <= n <= len(people):
        raise ValueError(f"n must lie between 1 and the {len(people)} training subjects, got {n}")
    kept = np.random.default_rng(random_state).choice(people, n, replace=False)
    train = split.train.copy()
    train[np.setdiff1d(people, kept)] = False
    return replace(split, name=f"{split.name}, {n} training subjects", train=train)


def scaled_settings(preset: str | Settings, factor: float) -> Settings:
    """A simulation's settings with the effects of valence, classes and clips times a factor."""
    if not factor >= 0:
        raise ValueError(f"factor must not be negative, got {factor}")
    settings = PRESETS[preset] if isinstance(preset, str) else preset
    return replace(
        settings, **{name: factor * getattr(settings, name) for name in ("valence", "classes", "clips")}
    )


def regime_map(
    axis: str,
    levels: Sequence[float],
    strategies: Wanted,
    *,
    cohort_seeds: Iterable[int] = range(3),
    preset: str | Settings = "default",
    strengths: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    seeds: int | Sequence[int] = 3,
    split: str = "standard",
    n_subjects: int = 123,
    recipe: TrainingSpec = RECIPE,
    folder: str | Path | None = None,
    n_jobs: int = 2,
    progress: bool = True,
) -> dict[float, Interventions]:
    """Strategies along one property of a study, on simulated cohorts.

    Parameters
    ----------
    axis : {"subjects", "signal", "epochs"}
        What varies: training subjects; size of all effects relative to the default; epochs of training.
    levels : sequence of float
        Its values.
    strategies, strengths
        As for `wanted_strategies`.
    cohort_seeds : iterable of int
        Simulated cohorts; each draws its own few training subjects.
    preset : str or Settings
        Of the simulation.
    seeds, recipe, folder
        As for `run_interventions`.
    n_jobs : int
        Cohorts side by side, each in a process of one thread.
    split : str
        As for :func:`~kernel.brain.cohort.make_split`.
    n_subjects : int
        Of each cohort.
    progress : bool
        Show one bar over cohorts and levels.

    Returns
    -------
    dict of float to Interventions
        By level, over the cohorts; `regime_table` makes one table of it.

    Raises
    ------
    ValueError
        If the axis is unknown or a level is not possible.
    """
    if axis not in AXES:
        raise ValueError(f"axis must be one of {', '.join(AXES)}, got {axis!r}")
    cohort_seeds = list(cohort_seeds)
    folder = None if folder is None else files.writable_folder(folder)  # workers may be elsewhere
    jobs = []
    for seed in cohort_seeds:
        for level in levels:
            training = recipe
            if axis == "epochs":
                rise = min(recipe.warmup_epochs, int(level) // 4)
                training = replace(recipe, epochs=int(level), warmup_epochs=rise)
            jobs.append(
                delayed(_on_simulated)(
                    int(seed),
                    scaled_settings(preset, level) if axis == "signal" else preset,
                    strategies,
                    n_subjects=n_subjects,
                    split=split,
                    n_training=int(level) if axis == "subjects" else None,
                    strengths=strengths,
                    seeds=seeds,
                    recipe=training,
                    folder=folder,
                )
            )
    parts = iter(side_by_side(jobs, n_jobs=n_jobs, label=axis, progress=progress))
    found: dict[float, list[Interventions]] = {level: [] for level in levels}
    for _ in cohort_seeds:
        for level in levels:
            found[level].append(next(parts))
    return {level: combine(parts) for level, parts in found.items()}


def regime_table(regimes: Mapping[float, Interventions], **options: Any) -> pd.DataFrame:
    """`summarise` of every level, with columns ``level`` and ``base``, the accuracy without strategies."""
    parts = []
    for level, result in regimes.items():
        base = result.table.loc[result.table["arm"] == "base", "bacc"].mean()
        parts.append(summarise(result, **options).assign(level=level, base=base))
    return pd.concat(parts, ignore_index=True)


def mechanism(
    cohort: Cohort,
    strategies: Wanted | None = None,
    *,
    seeds: int | Sequence[int] = 5,
    split: str | Split = "standard",
    valence: ArrayLike | None = None,
    recipe: TrainingSpec = RECIPE,
    random_state: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """How far strategies and placebos move class means and residual towards the axis.

    Scores are those of :func:`~kernel.decoding.geometry.class_pc1_alignment` on test trials and of
    :func:`~kernel.decoding.geometry.residual_alignment`, ``selected`` as in the paper and ``held_out``.

    Parameters
    ----------
    cohort, strategies, seeds, split, valence, recipe
        As for `run_interventions`; strategies on other cohorts are left out.
    random_state : int
        Of the halvings.
    **options
        Of :func:`~kernel.decoding.bank.train_bank`: ``folder``, ``n_jobs``, ``segment``, ``progress``.

    Returns
    -------
    DataFrame
        One row a training: ``label``, ``arm``, ``seed``, the scores ``class_pc1``, ``residual``, ``held_out``
        and their changes against the twin, ``d_class_pc1``, ``d_residual``, ``d_held_out``.
    """
    wanted = wanted_strategies(strategies)
    wanted = {k: a for k, a in wanted.items() if "cohort" not in a.definition.needs}
    seeds = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    values = default_values(cohort) if valence is None else real(valence, "valence")
    split = make_split(cohort, split) if isinstance(split, str) else split
    trainings = _trainings(wanted, seeds, True, recipe)
    specs = [spec for *_, spec in trainings]
    bank = train_bank(specs, cohort, split, valence=values, baselines=False, **options)
    lead = values if values.ndim == 1 else values[:, 0]
    lead = lead if len(lead) == len(cohort.clips) else lead[cohort.y]
    by_class = np.array([lead[cohort.y == k].mean() for k in range(len(cohort.classes))])
    test, trials = bank.rows("test"), bank.trials
    people: dict[str, Any] = {
        which: np.unique(trials["subject"][bank.rows(which)]) for which in ("validation", "test")
    }
    y, clip, subject = (trials[name].to_numpy() for name in ("y", "clip", "subject"))
    rows = []
    with one_thread():
        for checkpoint in bank.checkpoints:
            Z = checkpoint.kept_features
            pc1 = geometry.class_pc1_alignment(Z[test], y[test], by_class, n_permutations=1, random_state=0)
            rest = geometry.residual_alignment(
                Z, y, clip, subject, lead, n_null=1, random_state=random_state, **people
            )
            rows.append((float(pc1.score), float(rest.selected), float(rest.held_out)))
    names = ["class_pc1", "residual", "held_out"]
    table = pd.DataFrame(rows, columns=names)
    twin = {seed: row for row, (_, _, arm, seed, _) in enumerate(trainings) if arm == "base"}
    base = table.iloc[[twin[seed] for *_, seed, _ in trainings]].to_numpy()
    table[[f"d_{name}" for name in names]] = table[names].to_numpy() - base
    head = [{"label": label, "arm": arm, "seed": seed} for label, _, arm, seed, _ in trainings]
    return pd.concat([pd.DataFrame(head), table], axis=1)


def ensemble_with_axis(
    cohort: Cohort,
    alignment: Alignment,
    *,
    n_base: int = 10,
    n_added: Sequence[int] = (5, 10, 15),
    split: str | Split = "standard",
    valence: ArrayLike | None = None,
    recipe: TrainingSpec = RECIPE,
    random_state: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Add axis-trained members to an ensemble, and for comparison as many placebo and as many plain ones.

    Parameters
    ----------
    cohort, split, valence, recipe
        As for `run_interventions`.
    alignment : Alignment
        Strategy of the added members.
    n_base : int
        Members of the ensemble.
    n_added : sequence of int
        How many to add.
    random_state : int
        Of the bootstrap over test subjects.
    **options
        Of :func:`~kernel.decoding.bank.train_bank`.

    Returns
    -------
    DataFrame
        One row for each number and kind (``true``, ``placebo``, ``base``): ``added``, ``kind``, ``bacc``,
        and ``gain`` over the ensemble without them with its interval ``low``, ``high``.
    """
    if n_base < 2 or not n_added or min(n_added) < 1:
        raise ValueError(f"n_base must be at least 2 and n_added positive, got {n_base} and {tuple(n_added)}")
    values = default_values(cohort) if valence is None else real(valence, "valence")
    split = make_split(cohort, split) if isinstance(split, str) else split
    more = range(n_base, n_base + max(n_added))
    specs = [replace(recipe, seed=seed, recipe="base") for seed in range(n_base + max(n_added))]
    for arm in ARMS[1:]:
        for seed in more:
            given = replace(alignment, placebo_seed=seed if arm == "placebo" else None)
            specs.append(replace(recipe, seed=seed, alignment=given, recipe=arm))
    bank = train_bank(specs, cohort, split, valence=values, features=False, baselines=False, **options)
    rows = bank.rows("test")
    y, subject = (bank.trials[name].to_numpy()[rows] for name in ("y", "subject"))
    P = ensemble.softmax(np.stack([c.logits[rows] for c in bank.checkpoints]))
    label = np.array([spec.recipe for spec in bank.specs])
    first = P[:n_base]
    pools = {arm: P[label == arm] for arm in ARMS[1:]} | {"base": P[n_base : n_base + max(n_added)]}
    alone = ensemble.softmax_ensemble(first)
    found = []
    for count in n_added:
        for kind, pool in pools.items():
            grown = ensemble.softmax_ensemble(np.concatenate([first, pool[:count]]))
            gain = ensemble.accuracy_difference(grown, alone, y, subject, random_state=random_state)
            hits, counts = _hits(y, grown.argmax(1)[None], subject, len(bank.classes))
            found.append(
                {
                    "added": count,
                    "kind": kind,
                    "bacc": float(mean_recall(counts, hits)[0]),
                    "gain": gain.value,
                    "low": gain.low,
                    "high": gain.high,
                }
            )
    return pd.DataFrame(found)


def run_cohorts(
    cohort_seeds: Iterable[int],
    preset: str | Settings = "default",
    strategies: Wanted | None = None,
    *,
    n_subjects: int = 123,
    split: str = "standard",
    n_training: int | None = None,
    change: Callable[[np.ndarray], ArrayLike] | None = None,
    n_jobs: int = 2,
    progress: bool = True,
    **options: Any,
) -> Interventions:
    """`run_interventions` on several simulated cohorts, combined; each has permutations of its own.

    Parameters
    ----------
    cohort_seeds : iterable of int
        Cohorts.
    preset : str or Settings
        Of the simulation.
    strategies
        As for `wanted_strategies`.
    n_subjects : int
        Of each cohort.
    split : str
        As for :func:`~kernel.brain.cohort.make_split`.
    n_training : int, optional
        Keep so many training subjects, drawn for each cohort.
    change : callable, optional
        What is aligned with instead of `default_values`, made from these, (n_clips, n_models).
    n_jobs : int
        Cohorts side by side, each in a process of one thread.
    progress : bool
        Show one bar over cohorts.
    **options
        Further ones of `run_interventions`.

    Returns
    -------
    Interventions
    """
    if options.get("folder") is not None:
        options["folder"] = files.writable_folder(options["folder"])  # workers may be elsewhere
    jobs = [
        delayed(_on_simulated)(
            int(seed),
            preset,
            strategies,
            n_subjects=n_subjects,
            split=split,
            n_training=n_training,
            change=change,
            **options,
        )
        for seed in cohort_seeds
    ]
    return combine(list(side_by_side(jobs, n_jobs=n_jobs, label="cohorts", progress=progress)))


def _on_simulated(
    seed: int,
    preset: str | Settings,
    strategies: Wanted | None,
    *,
    n_subjects: int,
    split: str,
    n_training: int | None = None,
    change: Callable[[np.ndarray], ArrayLike] | None = None,
    **options: Any,
) -> Interventions:
    """`run_interventions` on one simulated cohort, in this process."""
    cohort, _ = simulate_cohort(seed, preset, n_subjects=n_subjects, window=10.0)
    chosen = make_split(cohort, split)
    if n_training is not None:
        chosen = few_subjects(chosen, n_training, seed)
    values = default_values(cohort)
    return run_interventions(
        cohort,
        strategies,
        placebo_offset=_OWN_PERMUTATIONS * seed,
        split=chosen,
        valence=values if change is None else change(values),
        n_jobs=1,
        progress=False,
        **options,
    )


def false_positive_rate(result: Interventions, *, level: float = 0.05) -> pd.DataFrame:
    """How often tests over the seeds of one cohort reject, over cohorts in which they should not.

    Parameters
    ----------
    result : Interventions
        Of `run_cohorts` on cohorts in which nothing can help or harm (preset ``null``), or in which nothing
        tells the axis from its placebo (preset ``no_valence``).
    level : float
        Of each test.

    Returns
    -------
    DataFrame
        One row for each contrast (``true``, ``placebo``, ``beyond``) and test (``t`` over seeds, ``any label
        after Holm`` in a cohort): ``rate`` with its exact 95 % interval ``low``, ``high``, ``rejected``,
        ``tests``.

    Notes
    -----
    A rate above the level for ``beyond`` shows that seeds are not independent units: what permuted values do
    in one cohort depends on its class geometry, which all of its seeds share.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    paired = paired_changes(result)
    rows = []
    for name in ("true", "placebo", "beyond"):
        if paired[name].isna().any():
            continue
        p = paired.groupby(["cohort", "label"], sort=False)[name].agg(lambda d: paired_t(d)[1]).unstack()
        family = np.array([stats.holm(one).min() for one in p.to_numpy()])
        for test, found in (("t", p.to_numpy().ravel()), ("any label after Holm", family)):
            rejected = int((found <= level).sum())
            limits = binomtest(rejected, len(found)).proportion_ci()
            rows.append(
                {
                    "contrast": name,
                    "test": test,
                    "rate": rejected / len(found),
                    "low": limits.low,
                    "high": limits.high,
                    "rejected": rejected,
                    "tests": len(found),
                }
            )
    return pd.DataFrame(rows)
