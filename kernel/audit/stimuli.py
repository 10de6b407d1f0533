"""What decoding accuracy is made of: the emotion, the clip itself, or the moment of its film.

Tables of accuracy with the controls that tell these apart: unseen clips and films, arbitrary groups of clips
in place of emotions, seconds shuffled within segments. They take a whole cohort in which everybody has all
clips, in seconds, and titles of films.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.covariance import ledoit_wolf, ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from kernel import stats
from kernel.audit.material import Material
from kernel.brain.cohort import Cohort, segments, standardise, trial_features
from kernel.brain.splits import make_split
from kernel.language.stories import VALENCE_CODE
from kernel.metrics import balanced_accuracy

#: Groupings of each kind in `pseudo_emotions`, and those of one part.
N_GROUPINGS, BLOCK = 1000, 250
KINDS = ("free", "within valence")

ACCURACY_PARTS = ("standard", "cohort_matched")
IDENTIFICATION_PARTS = ("correlation", "whitened")
PSEUDO_PARTS = ("true", *(f"{kind} {block}" for kind in KINDS for block in range(N_GROUPINGS // BLOCK)))
TIME_PARTS = ("seen", "unseen")
#: People in training in `accuracy_by_people`, and draws of them.
PEOPLE, N_DRAWS = (1, 2, 5, 10, 20, 50, 100), 20
PEOPLE_PARTS = tuple(f"{n} in training" for n in PEOPLE)


# Groups of clips


def clip_labels(cohort: Cohort, labels: str) -> np.ndarray:
    """Group of each clip (n_clips,): its emotion, or for ``valence`` negative 0, positive 1, neutral -1."""
    if labels == "emotions":
        return cohort.y
    return np.array([{-1: 0, 0: -1, 1: 1}[VALENCE_CODE[emotion]] for emotion in cohort.emotions])


def held_out(groups: np.ndarray, units: ArrayLike) -> np.ndarray:
    """Clips held out in each fold (n_folds, n_clips): the first unit of every group, the second, and so on.

    Units are clips or films, in their sorted order. A group of fewer units than there are folds lacks none in
    the last folds; groups below 0 never do.
    """
    units, fold = np.asarray(units), np.full(len(groups), -1)
    for group in np.unique(groups[groups >= 0]):
        members = np.flatnonzero(groups == group)
        fold[members] = np.unique(units[members], return_inverse=True)[1]
    return fold == np.arange(fold.max() + 1)[:, None]


def grouping(
    groups: ArrayLike, number: int, within: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Arbitrary groups of clips with the sizes of the true ones (n_clips,); the number decides the draw.

    Clips change places only with those of the same value of `within` (n_clips,), such as their valence. Also
    a random order of the clips (n_clips,), for what needs one within a group.
    """
    groups = np.array(groups)
    rng = np.random.default_rng([20260528, int(within is not None), number])
    strata = np.zeros(len(groups)) if within is None else np.asarray(within)
    for value in np.unique(strata):
        members = np.flatnonzero(strata == value)
        groups[members] = groups[rng.permutation(members)]
    return groups, rng.permutation(len(groups))


# A linear discriminant from the moments of clips


class _ClipMoments(NamedTuple):
    """Mean (n_clips, p) and mean outer product (n_clips, p, p) of the rows of each clip, equally many."""

    mean: np.ndarray
    square: np.ndarray


def clip_moments(X: np.ndarray) -> _ClipMoments:
    """Moments of each clip over people and segments or seconds: `X` (n_subjects, n_clips, n_rows, p)."""
    blocks = [X[:, clip].reshape(-1, X.shape[-1]) for clip in range(X.shape[1])]
    square = np.stack([block.T @ block for block in blocks]).astype(float)
    mean = np.stack([block.mean(0, dtype=float) for block in blocks])
    return _ClipMoments(mean, square / len(blocks[0]))


def _discriminant(
    moments: _ClipMoments, groups: np.ndarray, shrinkage: float, n_groups: int
) -> tuple[np.ndarray, np.ndarray]:
    r"""Linear discriminant of groups of clips with equal priors and a shrunk covariance.

    A row x scores :math:`x^\top S^{-1} m_k - m_k^\top S^{-1} m_k / 2` for group k with mean m, where
    :math:`S = (1 - s) W + s\,\mathrm{tr}(W) / p\; I` and W is the mean over groups of their covariances, as
    in scikit-learn's ``LinearDiscriminantAnalysis(solver="lsqr", shrinkage=s)`` with equal priors. It needs
    no more than the moments of clips, so that thousands of groupings cost one pass over the data.

    `groups` (n_clips,) numbers the group of each clip from 0; -1 leaves it out. Gives coefficients
    (p, n_groups) and intercepts (n_groups,).
    """
    member = (groups == np.arange(n_groups)[:, None]).astype(float)  # (n_groups, n_clips)
    if not member.any(1).all():
        empty = np.flatnonzero(~member.any(1)).tolist()
        raise ValueError(f"groups {empty} have no clip in training: hold fewer clips out")
    member /= member.sum(1, keepdims=True)
    means = member @ moments.mean
    within = np.tensordot(member.mean(0), moments.square, 1) - means.T @ means / n_groups
    p = len(within)
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / p * np.eye(p)
    coef = np.linalg.solve(within, means.T)
    return coef, -0.5 * (means.T * coef).sum(0)


def within_clip_shrinkage(X: np.ndarray) -> float:
    """Ledoit-Wolf shrinkage of the covariance within clips of `X` (n_subjects, n_clips, n_rows, p)."""
    residual = X - X.mean((0, 2), keepdims=True)
    return float(ledoit_wolf_shrinkage(residual.reshape(-1, X.shape[-1]), assume_centered=True))


def hits(
    X: np.ndarray, moments: _ClipMoments, groups: np.ndarray, shrinkage: float, held: np.ndarray | None = None
) -> np.ndarray:
    """Share of rows `X` (n_subjects, n_clips, n_rows, p) called rightly, by person and clip.

    With folds `held` (n_folds, n_clips) from `held_out`, each clip in one of them, a clip is called by the
    discriminant that has not seen it.
    """
    right, n_groups = np.zeros(X.shape[:2]), int(groups.max()) + 1
    for fold in [None] if held is None else held:
        left = groups if fold is None else np.where(fold, -1, groups)
        coef, intercept = _discriminant(moments, left, shrinkage, n_groups)
        scores = X.reshape(-1, X.shape[-1]) @ coef.astype(X.dtype) + intercept.astype(X.dtype)
        share = (scores.argmax(1).reshape(X.shape[:3]) == groups[:, None]).mean(2)
        right += share if fold is None else share * fold
    return right


def clip_blocks(z: Cohort, length: float | None = None) -> np.ndarray:
    """Segments as (n_subjects, n_clips, n_segments, n_features); ValueError if a second is missing."""
    if not np.isfinite(z.de).all():
        raise ValueError(f"{z.label} lacks trials or seconds: select people and clips that are complete")
    cut = segments(z, length=length)
    return cut.X.reshape(*z.de.shape[:2], -1, cut.X.shape[1])


def _per_person(right: np.ndarray, groups: np.ndarray, weight: Any = 1.0) -> np.ndarray:
    """Balanced accuracy of each person from shares of right calls (..., n_subjects, n_clips), weighted."""
    weight = np.broadcast_to(weight, right.shape)
    axes = (*range(right.ndim - 2), right.ndim - 1)
    by_group = [(groups == group) * weight for group in np.unique(groups[groups >= 0])]
    return np.mean([(w * right).sum(axes) / w.sum(axes) for w in by_group], axis=0)


# Seen and unseen


def accuracy_by_split(material: Material, part: str) -> pd.DataFrame:
    """Linear discriminant on means of 10 s: clips, films and emotions seen in training or not.

    In each fold one clip or one film of every emotion is held out, or a negative and a positive emotion. Seen
    and unseen are tested on the same: a clip counts as unseen where a fold has held it out, as seen in the
    others. Neutral, which has one film only, is left out of the folds over films. A part is the split of
    :func:`~kernel.brain.splits.make_split`.

    Columns: ``channels``; ``labels`` (emotions, or valence: negative or positive); ``held_out`` (nothing,
    clips, films, emotions); ``training`` (seen, unseen, or difference, seen minus unseen); ``n_classes``,
    ``n_folds``, ``n_people``; ``value``, balanced accuracy, mean over people, and ``low``, ``high``
    (bootstrap over people).
    """
    z, schemes = material.z, ("nothing", "clips", "films")
    rows = [row for scheme in schemes for row in _split_rows(z, part, "emotions", scheme)]
    rows += [row for scheme in (*schemes, "emotions") for row in _split_rows(z, part, "valence", scheme)]
    if part == "standard":
        rows += _split_rows(standardise(material.cohort), part, "emotions", "nothing")
    return pd.DataFrame(rows)


def _split_rows(z: Cohort, people: str, labels: str, scheme: str) -> list[dict[str, Any]]:
    split, groups = make_split(z, people), clip_labels(z, labels)
    if scheme == "films":
        n_films = np.array([len(set(z.films[z.y == emotion])) for emotion in z.y])
        groups = np.where(n_films < 2, -1, groups)
    held = _folds(np.where(groups < 0, -1, z.y), groups, z, scheme)
    cut = segments(z)
    clip = cut.cell % len(groups)
    train, test = cut.rows(split.train) & (groups[clip] >= 0), cut.rows(split.test)
    n_classes = int(groups.max()) + 1 - int(scheme == "films" and labels == "emotions")
    right = []
    for fold in held:
        rows = train & ~fold[clip]
        priors = np.full(n_classes, 1 / n_classes)
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=priors)
        called = lda.fit(cut.X[rows], groups[clip][rows]).predict(cut.X[test])
        right.append((called == groups[clip][test]).reshape(split.test.any(1).sum(), len(groups), -1).mean(2))
    shares = np.array(right)  # (n_folds, n_people, n_clips)
    values = {"seen": _per_person(shares, groups, ~held[:, None])}
    if held.any():
        values["unseen"] = _per_person(shares, groups, held[:, None])
        values["difference"] = values["seen"] - values["unseen"]
    shared = {"channels": len(z.channels), "labels": labels, "held_out": scheme}
    sizes = {"n_classes": n_classes, "n_folds": len(held), "n_people": shares.shape[1]}
    return [
        {**shared, "training": name, **sizes}
        | stats.bootstrap_interval(lambda a: a.mean(-1), accuracy, random_state=0)._asdict()
        for name, accuracy in values.items()
    ]


def _folds(emotions: np.ndarray, groups: np.ndarray, z: Cohort, scheme: str) -> np.ndarray:
    """Clips held out in each fold of a scheme (n_folds, n_clips); emotions are -1 where they take no part."""
    if scheme == "nothing":
        return np.zeros((1, len(groups)), dtype=bool)
    if scheme == "emotions":
        negative, positive = (np.unique(emotions[groups == side]) for side in (0, 1))
        return np.array([np.isin(emotions, (a, b)) for a in negative for b in positive])
    return held_out(emotions, z.films if scheme == "films" else z.clips)


def accuracy_by_people(material: Material, part: str) -> pd.DataFrame:
    """Recall of each emotion after training on few or many people, on clips seen in training and unseen ones.

    A discriminant on means of 10 s learns from people drawn at random among those who are not test people of
    the standard split, and calls all clips of the test people: with every clip in training, and with one of
    each emotion held out at a time. A part says how many people; all of them are one draw, others `N_DRAWS`.

    One row for each draw and emotion: ``people``, ``draw``, ``emotion``; ``seen``, ``unseen``: share of rows
    called rightly, mean over test people.
    """
    X, z, n_people = clip_blocks(material.z), material.z, int(part.split()[0])
    split = make_split(z, "standard")
    others, test = X[(split.train | split.validation).any(1)], X[split.test.any(1)]
    rng = np.random.default_rng([20260528, n_people])
    rows = []
    for draw in range(1 if n_people == len(others) else N_DRAWS):
        train = others[rng.choice(len(others), n_people, replace=False)]
        moments, shrinkage = clip_moments(train), within_clip_shrinkage(train)
        folds = {"seen": None, "unseen": held_out(z.y, z.clips)}
        right = {name: hits(test, moments, z.y, shrinkage, held).mean(0) for name, held in folds.items()}
        recall = pd.DataFrame(right).groupby(z.emotions, sort=False).mean().rename_axis("emotion")
        rows.append(recall.reset_index().assign(people=n_people, draw=draw))
    return pd.concat(rows, ignore_index=True)[["people", "draw", "emotion", "seen", "unseen"]]


# Which clip


def identification(material: Material, part: str) -> pd.DataFrame:
    """Which clip somebody watches: that whose mean over other people correlates best with this person's.

    Features are means over a trial, standardised for each person; the correlation is over channels and bands.
    The parts are ``correlation`` of features as they are, and ``whitened`` by their covariance within clips
    in the other people (Ledoit-Wolf).

    One row a person: ``subject``, ``hardware``, ``method``, and shares of clips: ``accuracy`` among all
    clips; ``emotion_accuracy``, a clip of the right emotion is called; ``within_emotion``, the right clip
    among those of its emotion; ``errors_within_emotion``, of the wrong calls those within the emotion (NaN
    without any).
    """
    z = material.z
    x = trial_features(z).reshape(*z.de.shape[:2], -1)
    same, right = z.y[:, None] == z.y, np.arange(len(z.y))
    rows = []
    for person, subject in enumerate(z.subjects):
        others = np.delete(x, person, axis=0)
        pair = np.stack([x[person], others.mean(0)])
        if part == "whitened":
            covariance, _ = ledoit_wolf((others - pair[1]).reshape(-1, x.shape[-1]), assume_centered=True)
            pair = np.linalg.solve(np.linalg.cholesky(covariance), pair.swapaxes(1, 2)).swapaxes(1, 2)
        r = stats.pearson(pair[0][:, None], pair[1])
        called = r.argmax(1)
        wrong, emotion = called != right, same[right, called]
        rows.append(
            {
                "subject": int(subject),
                "hardware": z.hardware[person],
                "method": part,
                "accuracy": float((~wrong).mean()),
                "emotion_accuracy": float(emotion.mean()),
                "within_emotion": float((np.where(same, r, -np.inf).argmax(1) == right).mean()),
                "errors_within_emotion": float(emotion[wrong].mean()) if wrong.any() else np.nan,
            }
        )
    return pd.DataFrame(rows)


def pseudo_emotions(material: Material, part: str) -> pd.DataFrame:
    """Accuracy of a discriminant for emotions and for arbitrary groups of the same clips, standard split.

    Rows are means of 10 s. Shrinkage is that of the covariance within clips, which knows no groups. A part is
    ``true``, or kind of the groupings (free, or among clips of one valence) and number of their block.

    One row for each grouping: ``kind``, ``grouping``; ``accuracy``, balanced, mean over test people;
    ``unseen``, the same on clips that were not in training, one of each group at a time; ``shrinkage``.
    """
    X, split, y = clip_blocks(material.z), make_split(material.z, "standard"), material.z.y
    train, test = X[split.train.any(1)], X[split.test.any(1)]
    moments, shrinkage = clip_moments(train), within_clip_shrinkage(train)
    kind, _, block = part.rpartition(" ")
    draws = {0: (y, np.arange(len(y)))}
    if part != "true":
        within = None if kind == "free" else clip_labels(material.z, "valence")
        numbers = range(int(block) * BLOCK, (int(block) + 1) * BLOCK)
        draws = {number: grouping(y, number, within) for number in numbers}
    rows = []
    for number, (groups, key) in draws.items():
        shares = {
            "accuracy": hits(test, moments, groups, shrinkage),
            "unseen": hits(test, moments, groups, shrinkage, held_out(groups, key)),
        }
        accuracy = {name: float(_per_person(share, groups).mean()) for name, share in shares.items()}
        rows.append({"kind": kind or "true", "grouping": number, **accuracy, "shrinkage": shrinkage})
    return pd.DataFrame(rows)


# Which moment of the film


def segment_recognition(material: Material, part: str) -> pd.DataFrame:
    """Segments of 10 s recognised by their seconds: does the course of a film carry more than its mean?

    A template is the mean of each second of a segment over the training people of the standard split,
    whitened by the covariance around all templates (Ledoit-Wolf; seconds taken as independent). A test
    segment scores the sum over seconds of inner products less half the template's energy, a matched filter.
    Its class is that of the best template, or that with the largest mean likelihood of templates: whichever
    does better on validation people with all clips seen. Shuffled seconds, in training and test alike, leave
    a template the mean over its seconds; ``shuffled in test`` keeps its course. The parts are ``seen``, with
    templates of all clips, and ``unseen``, with none of the clip shown: one of each emotion at a time.

    One row for each test person and condition: ``subject``, ``condition`` (time course, shuffled, shuffled in
    test), ``clips``, ``rule``; ``accuracy``, balanced over emotions; ``segment_accuracy``, the right clip and
    place in it (NaN for unseen clips).
    """
    z, split = material.z, make_split(material.z, "standard")
    x = clip_blocks(z, z.window)
    # subject, clip, segment, second, feature
    x = x.reshape(*x.shape[:2], -1, round(10 / z.window), x.shape[-1])
    train, validation, test = (x[people.any(1)] for people in (split.train, split.validation, split.test))
    everything = np.zeros((1, len(z.y)), dtype=bool)
    scores = _template_scores(train, validation, everything)
    quality = {rule: _emotion_accuracy(scores, z.y, rule).mean() for rule in ("best template", "class")}
    rule = max(quality, key=lambda name: quality[name])

    rng = np.random.default_rng(20260528)
    seconds = rng.permuted(np.indices(test.shape[:4])[3], axis=3)
    shuffled = np.take_along_axis(test, seconds[..., None], 3)
    held = everything if part == "seen" else held_out(z.y, z.clips)
    rows = []
    for condition in ("time course", "shuffled", "shuffled in test"):
        shown = test if condition == "time course" else shuffled
        scores = _template_scores(train, shown, held, timed=condition != "shuffled")
        flat = scores.reshape(len(test), test.shape[1] * test.shape[2], -1)
        exact = (flat.argmax(2) == np.arange(flat.shape[1])).mean(1)
        table = pd.DataFrame({"subject": z.subjects[split.test.any(1)]})
        table = table.assign(condition=condition, clips=part, rule=rule)
        table["accuracy"] = _emotion_accuracy(scores, z.y, rule)
        rows.append(table.assign(segment_accuracy=exact if part == "seen" else np.nan))
    return pd.concat(rows, ignore_index=True)


def _template_scores(
    train: np.ndarray, shown: np.ndarray, held: np.ndarray, *, timed: bool = True
) -> np.ndarray:
    """Scores of segments shown, (n_subjects, n_clips, n_segments), for templates (n_clips, n_segments).

    Both are (n_subjects, n_clips, n_segments, n_seconds, p). Templates of clips of the fold that holds the
    clip shown out score -inf; a fold without clips holds all.
    """
    template = train.mean(0)
    if not timed:
        template = np.broadcast_to(template.mean(2, keepdims=True), template.shape)
    out = np.empty((*shown.shape[:3], *template.shape[:2]))
    for fold in held:
        residual = (train - template)[:, ~fold].reshape(-1, train.shape[-1])
        covariance, _ = ledoit_wolf(residual, assume_centered=True)
        flat = template.reshape(-1, len(covariance))
        weights = np.linalg.solve(covariance, flat.T).T.reshape(template.shape)
        asked = fold if fold.any() else ~fold
        scores = np.tensordot(shown[:, asked], weights, ((3, 4), (2, 3)))
        scores -= 0.5 * (weights * template).sum((2, 3))
        scores[:, :, :, fold] = -np.inf
        out[:, asked] = scores
    return out


def _emotion_accuracy(scores: np.ndarray, y: np.ndarray, rule: str) -> np.ndarray:
    """Balanced accuracy of each person from the scores of `_template_scores`."""
    parts = [scores[:, :, :, y == emotion] for emotion in np.unique(y)]
    if rule == "best template":
        classes = [part.max((3, 4)) for part in parts]
    else:
        classes = [logsumexp(part, axis=(3, 4)) - np.log(np.isfinite(part).sum((3, 4))) for part in parts]
    called = np.unique(y)[np.argmax(classes, axis=0)].reshape(len(scores), -1)
    return balanced_accuracy(np.repeat(y, scores.shape[2]), called)
