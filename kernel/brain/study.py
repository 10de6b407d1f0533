"""The brain claim in one call: project a cohort's EEG onto an axis and test it the ways that count.

In:  a cohort, simulated or real, and a position for each emotion.
Out: one result object.
Never decides a verdict: that is the ledger's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.feature_selection import mutual_info_regression

from kernel import stats
from kernel.brain import topography
from kernel.brain.cohort import Cohort, cohort_tensor, scalp_channels, standardise, trial_features
from kernel.brain.projection import (
    NULLS,
    SCHEMES,
    ProjectionModel,
    RidgeFolds,
    Tracking,
    against_null,
    class_level,
    clip_effects,
    projection_reliability,
    track,
    track_against_order,
    trial_level,
)


@dataclass(frozen=True, eq=False)
class AxisProjection:
    """What `map_vaxis_to_eeg` found.

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
        are unknown or the same for everybody or, for the latter, trials are missing.
    classes : PermutationResult or None
        Correlation of emotion means with human valence; None without ratings.
    trials : PermutationResult
        Correlation over single trials.
    information : PermutationResult
        Mutual information of held-out projection and axis, in nats.
    reliability : Interval or None
        Of the projection over subjects; None for fewer than eight.
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
    information: stats.PermutationResult
    reliability: stats.Interval | None


def map_vaxis_to_eeg(
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
        Draws where each is dear: single trials, mutual information, order surrogates.
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
    X = np.nanmean(flat, axis=0)
    seeds = {"n_permutations": n_permutations, "random_state": random_state}
    slow = {"n_permutations": n_slow, "random_state": random_state}

    found = {
        (scheme, null): track(X, y, emotions, scheme=scheme, null=null, **seeds)
        for scheme in SCHEMES
        for null in NULLS
    }
    tests = pd.DataFrame(
        [{"scheme": t.scheme, "null": t.null, "r": t.r, "p": t.p, "exact": t.exact} for t in found.values()]
    )
    complete = bool(cohort.present.all())
    known = bool(np.isfinite(cohort.order[cohort.present]).all())
    ordered = known and bool((cohort.order != cohort.order[0]).any())  # one order for all cannot be removed
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
        if ordered and complete
        else None,
        classes=None if human is None else class_level(X, y, emotions, human, **seeds),
        trials=trial_level(flat, y, emotions, **slow),
        information=mutual_information(X, y, emotions, **slow),
        reliability=projection_reliability(flat, y, n_splits=40, random_state=random_state)
        if len(flat) >= 8
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


def mutual_information(
    X: np.ndarray, y: np.ndarray, emotions: np.ndarray, *, n_permutations: int = 1000, random_state: int = 0
) -> stats.PermutationResult:
    """Mutual information in nats of the held-out projection and the axis, fitted anew for each permutation.

    Estimated by scikit-learn from three nearest neighbours over clips; arguments as for `track`.
    """
    folds = RidgeFolds(X, emotions)

    def one(x: np.ndarray, target: np.ndarray) -> float:
        return mutual_info_regression(x[:, None], target, random_state=0)[0]

    def statistic(_, Y: np.ndarray) -> np.ndarray | float:
        if Y.ndim == 1:
            return one(folds.held_out(Y), Y)
        return np.array([one(*pair) for pair in zip(folds.held_out(Y), Y, strict=True)])

    return against_null(statistic, y, emotions, "emotions", n_permutations, random_state)


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
    occipital, alpha : PermutationResult
        Occipital minus frontal; alpha minus the other bands.
    asymmetry : Asymmetry or None
        Frontal alpha, in nats.
    few_emotions : NineClips
        Three emotions that carry the best cell.
    weighted : WeightedGain
        What weights on emotions gain there.
    simpson : Simpson or None
        Cohort against subjects, at channels chosen on other subjects.
    oracle : SubjectOracle
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
    occipital: stats.PermutationResult
    alpha: stats.PermutationResult
    asymmetry: topography.Asymmetry | None
    few_emotions: topography.NineClips
    weighted: topography.WeightedGain
    simpson: topography.Simpson | None
    oracle: topography.SubjectOracle
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

    Arguments, errors and source as for `map_vaxis_to_eeg`; channels without a place in the 10-05 system are
    left out.

    Returns
    -------
    AxisTopography
    """
    frontal = {name.lower() for pair in topography.FRONTAL_PAIRS for name in pair}
    placed = scalp_channels(cohort.channels)
    cohort = cohort if placed == cohort.channels else cohort.select(channels=placed)
    y, emotions = clip_values(cohort, positions, "position"), cohort.emotions
    nats = cohort_tensor(cohort)
    standard = standardise(cohort)
    features = trial_features(standard)
    X = np.nanmean(features, axis=0)
    names, bands = cohort.channels, list(cohort.bands)
    seeds = {"n_permutations": n_permutations, "random_state": random_state}
    slow = {"n_permutations": n_slow, "random_state": random_state}
    several = len(features) >= 4
    windows = int(cohort.n_windows[cohort.present].min())
    cells = topography.cell_map(X, y, emotions, **seeds)
    eight = [names[i] for i in np.argsort(-np.abs(cells.r[:, bands.index("gamma")]))[:8]]
    return AxisTopography(
        label=cohort.label,
        simulated=cohort.simulated,
        channels=names,
        bands=bands,
        cells=cells,
        regions=topography.region_means(X, y, names, bands),
        bands_table=topography.band_means(X, y, names, bands),
        occipital=topography.region_contrast(X, y, emotions, names, **seeds),
        alpha=topography.band_contrast(X, y, emotions, bands, **seeds),
        asymmetry=topography.asymmetry(nats, y, emotions, names, bands, **seeds)
        if frontal <= {name.lower() for name in names}
        else None,
        few_emotions=topography.nine_clips(X, y, emotions, **seeds),
        weighted=topography.weighted_gain(X, y, emotions, **seeds),
        simpson=topography.simpson(features, y, random_state=random_state) if several else None,
        oracle=topography.subject_oracle(features, y, emotions, **slow),
        clusters=topography.cluster_test(features, y, cohort.info(), **slow) if several else None,
        time=topography.time_course(standard, y, emotions, **seeds) if windows > 1 else None,
        connectivity=topography.connectivity(standard, eight, random_state=random_state)
        if windows > 1 and len(names) > 8
        else None,
    )
