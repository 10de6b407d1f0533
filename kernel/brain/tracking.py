"""The brain claim in one call: project a cohort's EEG onto an axis and test it the ways that count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kernel import checks, stats
from kernel.brain import people, projection, topography
from kernel.brain.cohort import Cohort, mean_over_subjects, on_common_electrodes, standardise, trial_features
from kernel.brain.designs import scalp_channels
from kernel.brain.ridge import Device


@dataclass(frozen=True, eq=False)
class AxisProjection:
    """What `project_vaxis` found.

    `label` names the cohort and says if it is `simulated`; of each clip there are `positions` and `emotions`,
    of each trial standardised `features` (n_subjects, n_clips, n_channels, n_bands). `model` is fitted to
    cohort means with emotions left out. `tests` holds every scheme against every null: ``scheme``, ``null``,
    ``r``, ``p``, ``exact``; `tracking` is that of emotions left out and permuted. `order_removed` is the same
    on features free of presentation order, `against_order` against order surrogates; both are None where
    positions are unknown or cannot be told from clips, the latter also where trials are missing. `classes`
    correlates emotion means with human valence (None without), `trials` single trials; `reliability` is over
    subjects, None where there are too few.
    """

    label: str
    simulated: bool
    positions: np.ndarray
    emotions: np.ndarray
    features: np.ndarray
    model: projection.ProjectionModel
    tests: pd.DataFrame
    tracking: projection.Tracking
    order_removed: projection.Tracking | None
    against_order: projection.Tracking | None
    classes: stats.PermutationResult | None
    trials: stats.PermutationResult
    reliability: stats.Interval | None


def project_vaxis(
    cohort: Cohort,
    positions: Mapping[str, float],
    *,
    valence: Mapping[str, float] | None = None,
    n_permutations: int = 10_000,
    n_slow: int = 1000,
    random_state: int = 0,
    device: Device = None,
) -> AxisProjection:
    """Project EEG linearly onto an axis and test it by every scheme and null of `track`.

    Parameters
    ----------
    cohort : Cohort
        Differential entropies; standardised here.
    positions, valence : mapping of emotion to float
        The axis, a position for each emotion of the cohort (KeyError names those without); and, optionally,
        human valence, for the test over emotion means.
    n_permutations, n_slow : int
        Draws of each null, and of the expensive ones: single trials, order surrogates.
    random_state : int
        Seed.
    device : str or torch.device, optional
        Where to compute; see `kernel.checks.device`.
    """
    y = clip_values(cohort, positions, "position")
    human = None if valence is None else clip_values(cohort, valence, "valence")
    features = trial_features(standardise(cohort))
    flat = features.reshape(*features.shape[:2], -1)
    X, emotions = mean_over_subjects(flat), cohort.emotions
    seed: dict[str, Any] = {"random_state": random_state, "device": device}
    many = seed | {"n_permutations": n_permutations}

    tests = {
        (scheme, null): projection.track(X, y, emotions, scheme=scheme, null=null, **many)
        for scheme, null in product(projection.SCHEMES, projection.NULLS)
    }
    rows = [(*names, test.r, test.p, test.exact) for names, test in tests.items()]
    ordered = not projection.order_problem(cohort.present, cohort.order)
    surrogates = ordered and cohort.present.all()
    return AxisProjection(
        label=cohort.label,
        simulated=cohort.simulated,
        positions=y,
        emotions=emotions,
        features=features,
        model=projection.ProjectionModel(device=device).fit(X, y, emotions),
        tests=pd.DataFrame(rows, columns=["scheme", "null", "r", "p", "exact"]),
        tracking=tests["leave_one_emotion_out", "emotions"],
        order_removed=projection.track(projection.clip_effects(flat, cohort.order), y, emotions, **many)
        if ordered
        else None,
        against_order=projection.track_against_order(
            flat, cohort.order, y, emotions, n_surrogates=n_slow, **seed
        )
        if surrogates
        else None,
        classes=None if human is None else projection.class_level(X, y, emotions, human, **many),
        trials=projection.trial_level(flat, y, emotions, n_permutations=n_slow, **seed),
        reliability=None
        if projection.reliability_problem(flat)
        else projection.projection_reliability(flat, y, n_splits=40, **seed),
    )


def clip_values(cohort: Cohort, by_emotion: Mapping[str, float], what: str = "value") -> np.ndarray:
    """The value of each clip's emotion (n_clips,), not all equal; KeyError names the emotions without one."""
    if not isinstance(by_emotion, Mapping | pd.Series):
        raise ValueError(
            f"{what} must be a mapping of emotion to number, got {type(by_emotion).__name__}: of an axis, "
            "dict(zip(axis.classes_, axis.positions_))"
        )
    by_emotion = dict(by_emotion)  # a table of pandas would list its values
    missing = sorted(set(cohort.emotions.tolist()) - set(by_emotion))
    if missing:
        raise KeyError(
            f"no {what} for {', '.join(missing)}: {cohort.label} holds {', '.join(cohort.classes)}"
        )
    values = np.array(
        [checks.between(f"{what} of {e}", by_emotion[e], -np.inf, np.inf) for e in cohort.emotions]
    )
    if np.ptp(values) == 0:
        raise ValueError(f"{what} is {values[0]:g} for every emotion: values must differ to order them")
    return values


class ClassOrder(NamedTuple):
    """Mean prediction and position (n_classes,) of each class of a cohort, and the channels that two share.

    `test` correlates the two, one-sided; over all orders of the classes where there are few.
    """

    classes: tuple[str, ...]
    predicted: np.ndarray
    positions: np.ndarray
    channels: list[str]
    test: stats.PermutationResult


def transfer_class_order(
    source: Cohort,
    target: Cohort,
    positions: Mapping[str, float],
    target_positions: Mapping[str, float] | None = None,
    *,
    n_permutations: int = 10_000,
    random_state: int = 0,
    device: Device = None,
) -> ClassOrder:
    """Project one cohort's classes by weights fitted to another, and compare their order with the axis.

    Ridge from the means of `source` to its clips' positions, over the electrodes that both have by name,
    predicts the clips of `target`; each cohort is standardised by itself, bands are taken by name. Where the
    axis of `target` was built from its own emotions alone, `target_positions` are its positions; other
    arguments as for `project_vaxis`.
    """
    source, target = on_common_electrodes(source, target)

    def means(cohort: Cohort) -> np.ndarray:
        return mean_over_subjects(trial_features(cohort)).reshape(len(cohort.clips), -1)

    model = projection.ProjectionModel(device=device).fit(
        means(source), clip_values(source, positions, "position"), source.emotions
    )
    predicted = model.predict(means(target))
    y = clip_values(target, positions if target_positions is None else target_positions, "position")
    classes = tuple(name for name in target.classes if name in target.emotions)
    by_clip = pd.DataFrame({"carried": predicted, "planned": y})
    carried, planned = by_clip.groupby(target.emotions).mean().loc[list(classes)].to_numpy().T
    options: Any = {"n_permutations": n_permutations, "random_state": random_state}
    test = stats.permutation_test(stats.pearson, carried, planned, alternative="greater", **options)
    return ClassOrder(classes, carried, planned, source.channels, test)


@dataclass(frozen=True, eq=False)
class AxisTopography:
    """What `map_vaxis_to_scalp` found; a part that the cohort cannot serve is None.

    `label` names the cohort and says if it is `simulated`; the cells are `channels` by `bands`. `occipital`
    tests occipital minus frontal, `alpha` alpha minus the other bands, `asymmetry` is frontal alpha's in
    nats; the other parts are those of the functions of :mod:`kernel.brain.topography` and
    :mod:`kernel.brain.people`.
    """

    label: str
    simulated: bool
    channels: list[str]
    bands: list[str]
    cells: topography.CellMap
    occipital: stats.PermutationResult | None
    alpha: stats.PermutationResult | None
    asymmetry: stats.PermutationResult | None
    few_emotions: topography.EmotionSearch | None
    weighted: topography.EmotionSearch | None
    simpson: people.Simpson | None
    oracle: people.SubjectOracle | None
    clusters: people.ClusterTest | None
    time: topography.TimeCourse | None
    connectivity: topography.Connectivity | None


def map_vaxis_to_scalp(
    cohort: Cohort,
    positions: Mapping[str, float],
    *,
    n_permutations: int = 10_000,
    n_slow: int = 1000,
    random_state: int = 0,
) -> AxisTopography:
    """Ask where, in which band and when EEG follows an axis, with nulls that repeat every search.

    Arguments and errors as for `project_vaxis`; channels without a place in the 10-05 system are left out,
    a ValueError if all are without.
    """
    if not (placed := scalp_channels(cohort.channels)):
        raise ValueError(
            f"none of the channels {', '.join(cohort.channels[:3])}, ... has a place in the 10-05 system: "
            "rename them (rename_channels of MNE), or leave the scalp out"
        )
    cohort = cohort if placed == cohort.channels else cohort.select(channels=placed)
    y, emotions = clip_values(cohort, positions, "position"), cohort.emotions
    standard = standardise(cohort)
    features = trial_features(standard)
    X, names, bands = mean_over_subjects(features), cohort.channels, list(cohort.bands)
    many: dict[str, Any] = {"n_permutations": n_permutations, "random_state": random_state}
    few: dict[str, Any] = {"n_permutations": n_slow, "random_state": random_state}

    regions = topography.regions(names)
    back, front = (
        np.tile(np.isin(names, regions.get(part, []))[:, None], len(bands))
        for part in ("occipital", "frontal")
    )
    is_alpha = np.tile(np.array(bands) == "alpha", (len(names), 1))
    alpha, four_emotions = bool(is_alpha.any()), len(set(emotions.tolist())) >= 4
    seconds = bool((cohort.n_windows[cohort.present] > 1).all())
    single = all(present.sum() >= 3 and np.ptp(y[present]) > 0 for present in cohort.present)
    several = single and len(features) >= 4
    adjacent, network = several and len(names) >= 4, seconds and "gamma" in bands and len(names) > 8
    halves = several and len(names) >= 8 and cohort.present[::2].any(0).all()
    frontal = alpha and {*np.char.lower(np.ravel(topography.FRONTAL_PAIRS))} <= {*np.char.lower(names)}

    trials, axis = trial_features(cohort), (y, emotions)
    # means in nats that do not depend on who lacks which clip
    levels = np.nanmean(trials, axis=1, keepdims=True)
    nats = mean_over_subjects(trials - levels) + levels.mean((0, 1))
    contrast: Any = partial(topography.cell_contrast, X, *axis, **many)
    return AxisTopography(
        label=cohort.label,
        simulated=cohort.simulated,
        channels=names,
        bands=bands,
        cells=topography.cell_map(X, *axis, **many),
        occipital=contrast(back, front) if back.any() and front.any() else None,
        alpha=contrast(is_alpha, ~is_alpha) if alpha and len(bands) > 1 else None,
        asymmetry=topography.asymmetry(nats[..., is_alpha[0]], *axis, names, **many) if frontal else None,
        few_emotions=topography.nine_clips(X, *axis, **many) if four_emotions else None,
        weighted=topography.weighted_gain(X, *axis, **many) if four_emotions else None,
        simpson=people.simpson(features, y, random_state=random_state) if halves else None,
        oracle=people.subject_oracle(features, *axis, **few) if single else None,
        clusters=people.cluster_test(features, y, cohort.info(), **few) if adjacent else None,
        time=topography.scalp_time_course(standard, *axis, **many) if seconds else None,
        connectivity=topography.connectivity(standard, *axis, **many) if network else None,
    )
