"""How single people follow an axis: beside their cohort, at their best cell, and in agreement.

`features` are those of trials (n_subjects, n_clips, n_channels, n_bands), NaN throughout where one is
missing; other arguments as for :func:`kernel.brain.topography.cell_map`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kernel import checks, stats
from kernel.arrays import real
from kernel.brain.cohort import mean_over_subjects, trials_present
from kernel.brain.topography import Emotions, cell_correlations, clip_positions, search_test
from kernel.stats import Seed

if TYPE_CHECKING:
    import mne


def _subject_correlations(features: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Correlation of every cell of every subject with positions, over the clips the subject has.

    Features are (n_subjects, n_clips, ...), positions (n_clips,) or (n_batch, n_clips); r is
    (n_subjects, ...) or (n_batch, n_subjects, ...).
    """
    features, y = real(features, "features", finite=False), real(y, "y")
    if features.ndim < 3 or 0 in features.shape:
        raise ValueError(f"features must be (n_subjects, n_clips, ...), got shape {features.shape}")
    if y.ndim not in (1, 2) or y.shape[-1] != features.shape[1]:
        raise ValueError(f"features have {features.shape[1]} clips, y has shape {y.shape}")
    present = trials_present(features)
    if present.sum(1).min() < 3:
        subject = int(present.sum(1).argmin())
        raise ValueError(f"the subject at place {subject} has {present[subject].sum()} trials: r needs three")
    r = []
    for subject, (trials, there) in enumerate(zip(features, present, strict=True)):
        who = f"of the subject at place {subject}"
        columns = stats.unit(trials[there], f"features {who}", axis=0)
        r.append(np.tensordot(stats.unit(y[..., there], f"y over the trials {who}"), columns, axes=1))
    return np.clip(np.stack(r, axis=y.ndim - 1), -1, 1)


class Simpson(NamedTuple):
    """The cohort's correlation beside that of its members, at the chosen `channels`, strongest first.

    `cohort` is r of the mean over the other half of the subjects, `subjects` their mean r, `opposed` the
    smaller of the first and minus the second: above zero only where their signs differ as the paper's do.
    """

    channels: np.ndarray
    cohort: stats.Interval
    subjects: stats.Interval
    opposed: stats.Interval


def simpson(
    features: ArrayLike, y: ArrayLike, *, n_channels: int = 8, n_resamples: int = 2000, random_state: Seed = 0
) -> Simpson:
    """Compare the correlation of the cohort's mean with the mean correlation of its subjects.

    Subjects at even places choose the `n_channels` channels with the largest mean ``|r|`` over bands; the
    others, bootstrapped with clips fixed, are judged on the mean over these channels and all bands. A
    difference alone is no paradox: averaging over subjects removes noise, so the cohort's ``|r|`` is larger
    wherever there is signal. The two disagree in Simpson's sense only if their 95 % intervals lie on opposite
    sides of zero. Simpson (1951), JRSS B 13(2). doi:10.1111/j.2517-6161.1951.tb00088.x
    """
    features = _checked_trials(features)
    y = clip_positions(y, features.shape[1])
    if len(features) < 4 or not 1 <= n_channels <= features.shape[2]:
        raise ValueError(
            f"{n_channels} channels from two halves of subjects need more than features {features.shape} have"
        )
    strength = np.abs(cell_correlations(mean_over_subjects(features[::2]), y)).mean(-1)
    channels = np.argsort(-strength, kind="stable")[:n_channels]
    judged = features[1::2][:, :, channels].mean((2, 3))  # (n_subjects, n_clips)
    single = _subject_correlations(judged[..., None], y)[:, 0]
    trials = np.ma.masked_invalid(judged)

    def of_cohort(rows: np.ndarray) -> Any:
        # clips that nobody in a sample has are masked, and so left out of its correlation
        x = trials[rows].mean(-2)
        t = np.ma.array(np.broadcast_to(y, x.shape), mask=np.ma.getmaskarray(x))
        x, t = (part - part.mean(-1, keepdims=True) for part in (x, t))
        return np.asarray((x * t).sum(-1) / np.sqrt((x**2).sum(-1) * (t**2).sum(-1)))

    def of_subjects(rows: np.ndarray) -> Any:
        return single[rows].mean(-1)

    def opposed(rows: np.ndarray) -> Any:
        return np.minimum(of_cohort(rows), -of_subjects(rows))

    places = np.arange(len(judged))
    seed = int(np.random.default_rng(random_state).integers(2**63))  # one set of samples for all three
    intervals = (
        stats.bootstrap_interval(statistic, places, n_resamples=n_resamples, random_state=seed)
        for statistic in (of_cohort, of_subjects, opposed)
    )
    return Simpson(channels, *intervals)


class SubjectOracle(NamedTuple):
    """The best cell of every subject, tested.

    `channel` is the mean over subjects of the largest ``|r|`` over channels, in the band where that is
    largest, a choice repeated for each order; `cell` is the same over channels and bands.
    """

    channel: stats.PermutationResult
    cell: stats.PermutationResult


def subject_oracle(
    features: ArrayLike,
    y: ArrayLike,
    emotions: Emotions | None,
    *,
    n_permutations: int = 1000,
    random_state: Seed = 0,
) -> SubjectOracle:
    """Mean over subjects of the largest ``|r|`` that each has, against the same with permuted emotions.

    The largest of many correlations is high in noise as well: compare with the mean of the null.
    """
    features = _checked_trials(features)
    y = clip_positions(y, features.shape[1])

    def tested(best: Callable[[np.ndarray], np.ndarray]) -> stats.PermutationResult:
        def statistic(_: np.ndarray, Y: np.ndarray) -> np.ndarray:
            return best(np.abs(_subject_correlations(features, Y)).max(-2))  # of (..., n_subjects, n_bands)

        clips, width = np.arange(len(y)), features[:, 0].size
        return search_test(statistic, clips, y, emotions, width, n_permutations, random_state)

    return SubjectOracle(tested(lambda r: r.mean(-2).max(-1)), tested(lambda r: r.max(-1).mean(-1)))


class ClusterTest(NamedTuple):
    """Clusters of cells in which subjects agree.

    `t` (n_channels, n_bands) is over subjects, of Fisher's z; `clusters` (n_clusters, n_channels, n_bands)
    are masks, `p` (n_clusters,) corrected.
    """

    t: np.ndarray
    clusters: np.ndarray
    p: np.ndarray

    @property
    def p_min(self) -> float:
        """Smallest p-value; 1 if no cell passes the threshold."""
        return float(self.p.min(initial=1.0))


def cluster_test(
    features: ArrayLike,
    y: ArrayLike,
    info: mne.Info,
    *,
    n_permutations: int = 1000,
    random_state: Seed = 0,
) -> ClusterTest:
    """Cluster test over subjects of their correlation maps: mne's, with signs flipped by subject.

    *It treats the stimuli as fixed*: it asks whether subjects agree on these clips, not whether they would
    follow the axis in others (doi:10.12688/wellcomeopenres.10298.2). People who see the same clips share
    whatever the clips do to them, which has some correlation with any axis. So the test rejects, for nearly
    any axis, wherever emotions or clips can be decoded at all; it is here to be compared with `cell_map`.

    Neighbours are those of the channels of `info`, as :meth:`~kernel.brain.cohort.Cohort.info` gives it, by
    Delaunay triangulation, and at one channel the band below and above. The threshold of ``|t|`` is at p =
    .05 of a single cell. Maris & Oostenveld (2007), doi:10.1016/j.jneumeth.2007.03.024
    """
    import mne

    features = _checked_trials(features)
    if len(info["ch_names"]) != features.shape[2]:
        raise ValueError(f"info has {len(info['ch_names'])} channels, features have {features.shape[2]}")
    r = _subject_correlations(features, clip_positions(y, features.shape[1]))
    z = np.arctanh(np.clip(r, -1 + 1e-9, 1 - 1e-9)).swapaxes(1, 2)  # (n_subjects, n_bands, n_channels)
    with mne.use_log_level("error"):
        neighbours, _ = mne.channels.find_ch_adjacency(info, "eeg")
        t, clusters, p, _ = mne.stats.permutation_cluster_1samp_test(
            z,
            n_permutations=n_permutations,
            adjacency=mne.stats.combine_adjacency(z.shape[1], neighbours),
            out_type="mask",
            seed=int(np.random.default_rng(random_state).integers(2**31)),
        )
    masks = np.array(clusters, dtype=bool).reshape(-1, *z.shape[1:]).swapaxes(1, 2)
    return ClusterTest(t.T, masks, np.asarray(p, dtype=float))


def _checked_trials(features: ArrayLike) -> np.ndarray:
    trials = real(features, "features", finite=False)
    checks.shape("features", trials, (None,) * 4, "(n_subjects, n_clips, n_channels, n_bands)")
    return trials
