"""The brain claim in one call: project a cohort's EEG onto an axis and test it the ways that count.

In:  a cohort, simulated or real, and a position for each emotion.
Out: one result object.
Never decides a verdict: that is the ledger's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kernel import stats
from kernel.brain import topography
from kernel.brain.cohort import Cohort, mean_over_subjects, scalp_channels, standardise, trial_features
from kernel.brain.projection import (
    NULLS,
    SCHEMES,
    ProjectionModel,
    Tracking,
    class_level,
    clip_effects,
    order_is_removable,
    projection_reliability,
    quarters_are_full,
    track,
    track_against_order,
    trial_level,
)


@dataclass(frozen=True, eq=False)
class AxisProjection:
    """What `project_vaxis` found.

    Attributes
    ----------
    label : str
        Of the cohort; says so if it was simulated.
    simulated : bool
        Whether it was.
    positions : ndarray, shape (n_clips,)
        Position of each clip.
    emotions : ndarray, shape (n_clips,)
        Emotion of each clip.
    features : ndarray, shape (n_subjects, n_clips, n_channels, n_bands)
        Standardised trials; NaN where one is missing.
    model : ProjectionModel
        Fitted to the cohort means, emotions left out.
    pattern : ndarray, shape (n_channels, n_bands)
        Activation pattern of the projection.
    tests : DataFrame
        Every scheme against every null: ``scheme``, ``null``, ``r``, ``p``, ``exact``.
    tracking : Tracking
        Leave-one-emotion-out against permuted emotions.
    order_removed, against_order : Tracking or None
        The same on features free of presentation order, and against order surrogates; None where positions
        are unknown or cannot be told from clips or, for the latter, trials are missing.
    classes : PermutationResult or None
        Correlation of emotion means with human valence; None without ratings.
    trials : PermutationResult
        Correlation over single trials.
    reliability : Interval or None
        Of the projection over subjects; None where there are too few of them.
    """

    label: str
    simulated: bool
    positions: np.ndarray
    emotions: np.ndarray
    features: np.ndarray
    model: ProjectionModel
    pattern: np.ndarray
    tests: pd.DataFrame
    tracking: Tracking
    order_removed: Tracking | None
    against_order: Tracking | None
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
) -> AxisProjection:
    """Project EEG linearly onto an axis and test it by every scheme and null of `track`.

    Parameters
    ----------
    cohort : Cohort
        Differential entropies; standardised here.
    positions : mapping of emotion to float
        The axis: a position for each emotion of the cohort.
    valence : mapping of emotion to float, optional
        Human valence of each emotion, for the test over emotion means.
    n_permutations : int
        Draws of each null; fewer where all orders can be enumerated.
    n_slow : int
        Draws where each is dear: single trials, order surrogates.
    random_state : int
        Seed.

    Returns
    -------
    AxisProjection

    Raises
    ------
    KeyError
        If an emotion of the cohort has no position or no valence.
    ValueError
        If a feature does not vary or positions are all alike.

    References
    ----------
    .. [1] Radwan et al. (2026), A Shared Valence Axis Across Modern LLMs and Human EEG. arXiv:2606.00129
    """
    y = clip_values(cohort, positions, "position")
    human = None if valence is None else clip_values(cohort, valence, "valence")
    features = trial_features(standardise(cohort))
    emotions, shape = cohort.emotions, features.shape[2:]
    flat = features.reshape(*features.shape[:2], -1)
    X = mean_over_subjects(flat)
    seeds: dict[str, Any] = {"n_permutations": n_permutations, "random_state": random_state}
    slow: dict[str, Any] = {"n_permutations": n_slow, "random_state": random_state}

    found = {
        (scheme, null): track(X, y, emotions, scheme=scheme, null=null, **seeds)
        for scheme in SCHEMES
        for null in NULLS
    }
    tests = pd.DataFrame(
        [{"scheme": t.scheme, "null": t.null, "r": t.r, "p": t.p, "exact": t.exact} for t in found.values()]
    )
    ordered = order_is_removable(cohort.present, cohort.order)
    model = ProjectionModel().fit(X, y, emotions)
    return AxisProjection(
        label=cohort.label,
        simulated=cohort.simulated,
        positions=y,
        emotions=emotions,
        features=features,
        model=model,
        pattern=activation_pattern(X, model.coef_).reshape(shape),
        tests=tests,
        tracking=found["leave_one_emotion_out", "emotions"],
        order_removed=track(clip_effects(flat, cohort.order), y, emotions, **seeds) if ordered else None,
        against_order=track_against_order(
            flat, cohort.order, y, emotions, n_surrogates=n_slow, random_state=random_state
        )
        if ordered and cohort.present.all()
        else None,
        classes=None if human is None else class_level(X, y, emotions, human, **seeds),
        trials=trial_level(flat, y, emotions, **slow),
        reliability=projection_reliability(flat, y, n_splits=40, random_state=random_state)
        if quarters_are_full(flat)
        else None,
    )


def clip_values(cohort: Cohort, by_emotion: Mapping[str, float], what: str = "value") -> np.ndarray:
    """The value of each clip's emotion (n_clips,); KeyError names the emotions that have none."""
    missing = sorted(set(cohort.emotions.tolist()) - set(by_emotion))
    if missing:
        raise KeyError(
            f"no {what} for {', '.join(missing)}: {cohort.label} holds {', '.join(cohort.classes)}"
        )
    return np.array([float(by_emotion[emotion]) for emotion in cohort.emotions])


def activation_pattern(X: np.ndarray, coef: np.ndarray) -> np.ndarray:
    r"""Pattern of a linear projection: what covaries with it, as weights do not show.

    .. math:: a = \operatorname{cov}(X)\, w / \operatorname{var}(X w)

    Parameters
    ----------
    X : ndarray, shape (n, n_features)
        Features.
    coef : ndarray, shape (n_features,)
        Weights.

    Returns
    -------
    ndarray, shape (n_features,)

    References
    ----------
    .. [1] Haufe et al. (2014), NeuroImage 87. doi:10.1016/j.neuroimage.2013.10.067
    """
    centred = X - X.mean(0)
    projected = centred @ coef
    return centred.T @ projected / (projected @ projected)


@dataclass(frozen=True, eq=False)
class ClassOrder:
    """What `transfer_class_order` found.

    Attributes
    ----------
    classes : tuple of str
        Emotions of the cohort that was predicted.
    predicted : ndarray, shape (n_classes,)
        Mean prediction for each.
    positions : ndarray, shape (n_classes,)
        Their positions on the axis.
    channels : list of str
        Electrodes that both cohorts have.
    test : PermutationResult
        Pearson correlation of the two, one-sided; all orders of the classes where there are few.
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
) -> ClassOrder:
    """Project one cohort's classes by weights fitted to another, and compare their order with the axis.

    Ridge from the means of `source` to its clips' positions, over the electrodes that both have by name,
    predicts the clips of `target`; each cohort is standardised by itself, bands are taken by name.

    Parameters
    ----------
    source, target : Cohort
        Differential entropies.
    positions : mapping of emotion to float
        The axis for the emotions of `source`.
    target_positions : mapping of emotion to float, optional
        The axis for those of `target`, if it was built from these alone; `positions` by default.
    n_permutations : int
        Draws; all orders of the classes are taken where there are no more of them: 120 for five.
    random_state : int
        Seed.

    Returns
    -------
    ClassOrder

    Raises
    ------
    KeyError
        If an emotion has no position.
    ValueError
        If the cohorts share fewer than two electrodes or differ in their bands.
    """
    theirs = {name.lower(): name for name in target.channels}
    shared = [name for name in scalp_channels(source.channels) if name.lower() in theirs]
    if len(shared) < 2:
        raise ValueError(
            f"{source.label} and {target.label} share the electrodes {shared}: a projection needs two"
        )
    if list(source.bands) != list(target.bands):
        raise ValueError(f"bands must agree by name, got {list(source.bands)} and {list(target.bands)}")

    def means(cohort: Cohort, channels: list[str]) -> np.ndarray:
        features = mean_over_subjects(trial_features(standardise(cohort.select(channels=channels))))
        return features.reshape(len(features), -1)

    fitted = ProjectionModel().fit(
        means(source, shared), clip_values(source, positions, "position"), source.emotions
    )
    predicted = fitted.predict(means(target, [theirs[name.lower()] for name in shared]))
    y = clip_values(target, positions if target_positions is None else target_positions, "position")
    classes = [name for name in target.classes if (target.emotions == name).any()]
    carried, own = np.array(
        [[values[target.emotions == name].mean() for name in classes] for values in (predicted, y)]
    )
    test = stats.permutation_test(
        stats.pearson,
        carried,
        own,
        n_permutations=n_permutations,
        alternative="greater",
        random_state=random_state,
    )
    return ClassOrder(tuple(classes), carried, own, shared, test)


@dataclass(frozen=True, eq=False)
class AxisTopography:
    """What `map_vaxis_to_scalp` found; a part that the cohort cannot serve is None.

    Attributes
    ----------
    label : str
        Of the cohort; says so if it was simulated.
    simulated : bool
        Whether it was.
    channels, bands : list of str
        Names of the cells.
    cells : CellMap
        r and p of every channel and band.
    regions, bands_table : DataFrame
        Mean ``|r|`` by region and by band.
    occipital, alpha : PermutationResult or None
        Occipital minus frontal; alpha minus the other bands.
    asymmetry : Asymmetry or None
        Frontal alpha, in nats.
    few_emotions : NineClips or None
        Three of four emotions or more that carry the best cell.
    weighted : WeightedGain or None
        What weights on emotions gain there.
    simpson : Simpson or None
        Cohort against subjects, at channels chosen on other subjects.
    oracle : SubjectOracle or None
        The best cell of each subject.
    clusters : ClusterTest or None
        Cells in which subjects agree, stimuli taken as fixed.
    time : TimeCourse or None
        Second by second.
    connectivity : Connectivity or None
        Of the eight channels that follow the axis best in gamma.
    """

    label: str
    simulated: bool
    channels: list[str]
    bands: list[str]
    cells: topography.CellMap
    regions: pd.DataFrame
    bands_table: pd.DataFrame
    occipital: stats.PermutationResult | None
    alpha: stats.PermutationResult | None
    asymmetry: topography.Asymmetry | None
    few_emotions: topography.NineClips | None
    weighted: topography.WeightedGain | None
    simpson: topography.Simpson | None
    oracle: topography.SubjectOracle | None
    clusters: topography.ClusterTest | None
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

    Arguments, errors and source as for `project_vaxis`; channels without a place in the 10-05 system are
    left out.

    Returns
    -------
    AxisTopography
    """
    placed = scalp_channels(cohort.channels)
    cohort = cohort if placed == cohort.channels else cohort.select(channels=placed)
    y, emotions = clip_values(cohort, positions, "position"), cohort.emotions
    standard = standardise(cohort)
    features = trial_features(standard)
    X = mean_over_subjects(features)
    names, bands = cohort.channels, list(cohort.bands)
    seeds: dict[str, Any] = {"n_permutations": n_permutations, "random_state": random_state}
    slow: dict[str, Any] = {"n_permutations": n_slow, "random_state": random_state}

    regions, n_emotions = topography.regions(names), len(set(emotions.tolist()))
    frontal = {name.lower() for pair in topography.FRONTAL_PAIRS for name in pair}
    alpha = "alpha" in bands
    seconds = bool((cohort.n_windows[cohort.present] > 1).all())
    single = all(present.sum() >= 3 and np.ptp(y[present]) > 0 for present in cohort.present)
    several = single and len(features) >= 4
    return AxisTopography(
        label=cohort.label,
        simulated=cohort.simulated,
        channels=names,
        bands=bands,
        cells=topography.cell_map(X, y, emotions, **seeds),
        regions=topography.region_means(X, y, names, bands),
        bands_table=topography.band_means(X, y, names, bands),
        occipital=topography.region_contrast(X, y, emotions, names, **seeds)
        if {"occipital", "frontal"} <= set(regions)
        else None,
        alpha=topography.band_contrast(X, y, emotions, bands, **seeds) if alpha and len(bands) > 1 else None,
        asymmetry=topography.asymmetry(_nats(cohort), y, emotions, names, bands, **seeds)
        if alpha and frontal <= {name.lower() for name in names}
        else None,
        few_emotions=topography.nine_clips(X, y, emotions, **seeds) if n_emotions >= 4 else None,
        weighted=topography.weighted_gain(X, y, emotions, **seeds) if n_emotions >= 4 else None,
        simpson=topography.simpson(features, y, random_state=random_state)
        if several and len(names) >= 8 and cohort.present[::2].any(0).all()
        else None,
        oracle=topography.subject_oracle(features, y, emotions, **slow) if single else None,
        clusters=topography.cluster_test(features, y, cohort.info(), **slow)
        if several and len(names) >= 4
        else None,
        time=topography.time_course(standard, y, emotions, **seeds) if seconds else None,
        connectivity=topography.connectivity(standard, y, emotions, **seeds)
        if seconds and "gamma" in bands and len(names) > 8
        else None,
    )


def _nats(cohort: Cohort) -> np.ndarray:
    """Cohort means (n_clips, n_channels, n_bands) in nats that do not depend on who lacks which clip."""
    trials = trial_features(cohort)
    levels = np.nanmean(trials, axis=1, keepdims=True)
    return mean_over_subjects(trials - levels) + levels.mean((0, 1))
