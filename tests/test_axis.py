"""The axis must come back where it was planted, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from kernel import stats
from kernel.language.axis import ValenceAxis, agreement, bootstrap_direction, shuffled_shares
from kernel.language.stories import EMOTIONS

VALENCE = dict(zip(EMOTIONS, (-1.0, -1.1, -0.9, -1.0, 0.1, 0.9, 1.1, 1.0, 0.9), strict=True))


def planted(rng, n_per_class=40, n_features=64, strength=4.0):
    """Hidden states with valence along one random unit direction, unit noise in all others."""
    direction = rng.standard_normal(n_features)
    direction /= np.linalg.norm(direction)
    emotions = np.repeat(EMOTIONS, n_per_class)
    valence = np.array([VALENCE[e] for e in emotions])
    H = rng.standard_normal((len(emotions), n_features)) + strength * np.outer(valence, direction) + 3.0
    return H, emotions, direction


def test_finds_the_planted_direction_with_its_sign(rng):
    H, emotions, direction = planted(rng)
    axis = ValenceAxis().fit(H, emotions)
    assert axis.direction_ @ direction > 0.99
    assert np.corrcoef(axis.positions_, list(VALENCE.values()))[0, 1] > 0.99
    assert axis.explained_variance_ratio_[0] > 0.9
    assert ValenceAxis(orient="anger").fit(H, emotions).direction_ @ direction < -0.99
    H, _, direction = planted(rng, n_per_class=1, strength=10)  # one sentence a class is enough
    assert ValenceAxis().fit(H, EMOTIONS).direction_ @ direction > 0.8


def test_finds_no_direction_without_one(rng):
    cosines = []
    for _ in range(200):
        H, emotions, direction = planted(rng, n_per_class=5, strength=0.0)
        cosines.append(ValenceAxis().fit(H, emotions).direction_ @ direction)
    # the cosine of a random unit vector with a fixed one has variance 1 / d
    assert np.var(cosines) == pytest.approx(1 / 64, rel=0.35)
    assert abs(np.mean(cosines)) < 4 / np.sqrt(64 * 200)


def test_agrees_with_scikit_learns_pca_of_the_centroids(rng):
    H, emotions, _ = planted(rng, strength=1.0)
    axis = ValenceAxis(n_components=3).fit(H, emotions)
    centroids = np.stack([H[emotions == e].mean(0) for e in EMOTIONS])
    oracle = PCA(3).fit(centroids)
    np.testing.assert_allclose(np.abs(np.sum(axis.components_ * oracle.components_, 1)), 1, atol=1e-10)
    np.testing.assert_allclose(axis.explained_variance_ratio_, oracle.explained_variance_ratio_, atol=1e-10)
    np.testing.assert_allclose(np.abs(axis.transform(H)), np.abs(oracle.transform(H)), atol=1e-8)


def test_torch_in_torch_out_on_the_same_device(rng, device):
    H, emotions, _ = planted(rng)
    axis = ValenceAxis(n_components=2).fit(H.astype("float32"), emotions)
    tensor = torch.tensor(H, dtype=torch.float32, device=device)
    on_device = ValenceAxis(n_components=2).fit(tensor, emotions)
    for result in (
        on_device.direction_,
        on_device.project(tensor),
        on_device.ablate(tensor),
        axis.project(tensor),
    ):
        assert isinstance(result, torch.Tensor)
        assert result.device.type == device
    np.testing.assert_allclose(on_device.project(tensor).cpu(), axis.project(H.astype("float32")), atol=1e-3)
    assert isinstance(on_device.project(H.astype("float32")), np.ndarray)


def test_projection_and_ablation_are_what_they_say(rng):
    H, emotions, _ = planted(rng)
    axis = ValenceAxis().fit(H, emotions)
    np.testing.assert_allclose(axis.project(axis.centroids_), axis.positions_, atol=1e-10)
    ablated = axis.ablate(H)
    np.testing.assert_allclose(ablated @ axis.direction_, 0, atol=1e-10)
    orthogonal = H - np.outer(H @ axis.direction_, axis.direction_)
    np.testing.assert_allclose(ablated, orthogonal, atol=1e-10)


def test_own_classes_are_ordered_alphabetically(rng):
    axis = ValenceAxis(orient="up").fit(np.array([[1.0, 0], [2, 0], [-3, 0]]), ["up", "mid", "down"])
    assert axis.classes_ == ("down", "mid", "up")


THREE, LINE = np.eye(3), np.array([[1.0, 0], [2, 0], [-3, 0]])
MOODS = ["joy", "neutral", "anger"]


@pytest.mark.parametrize(
    ("H", "emotions", "options", "error", "message"),
    [
        (np.zeros((0, 3)), [], {}, ValueError, r"shape \(n_texts, n_features\)"),
        (np.zeros((2, 1, 3)), ["joy", "anger"], {}, ValueError, r"H\[:, 0\]"),
        (THREE, ["joy", "anger"], {}, ValueError, "3 hidden states but 2 emotions"),
        (THREE, ["joy", "anger", None], {}, ValueError, "non-empty strings, .*, got None"),
        (THREE, ["joy", "anger", "joy "], {}, ValueError, "no space at an end, got 'joy '"),
        (THREE, MOODS, dict(orient="fear"), ValueError, "orient must be one of anger, neutral, joy"),
        (np.eye(2), ["joy", "joy"], {}, ValueError, "all texts are of class 'joy'"),
        (np.eye(1), "joy", {}, ValueError, "all texts are of class 'joy'"),
        (np.array([[1.0, np.nan], [0, 1]]), ["joy", "anger"], {}, ValueError, "text 0 hold NaN"),
        (np.array([[1.0, 1], [0, np.inf]]), ["joy", "anger"], {}, ValueError, "text 1 hold NaN, inf"),
        (np.full((2, 2), 1e30, "float32"), ["joy", "anger"], {}, ValueError, "too large to square"),
        (np.eye(2, dtype=int), ["joy", "anger"], {}, TypeError, "floating point, got int64"),
        (THREE, MOODS, {}, ValueError, "equally far along two directions"),
        (np.array([[0.0, 0], [1, 0], [-1, 0]]), MOODS, {}, ValueError, "'joy' sits at zero"),
        (LINE, MOODS, dict(n_components=2), ValueError, "n_components=2, but the centroids .* span 1 "),
        (LINE, MOODS, dict(n_components=1.5), ValueError, "n_components must .* from 1 to 2, got 1.5"),
    ],
)
def test_names_what_it_cannot_use(H, emotions, options, error, message):
    with pytest.raises(error, match=message):
        ValenceAxis(**options).fit(H, emotions)


ONCE = ["joy", "anger", "fear"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ValenceAxis().fit(LINE, MOODS).project(np.zeros((1, 5))), "2 features, the hidden states 5"),
        (lambda: bootstrap_direction(np.eye(2), ["joy", "anger"]), "have one text"),
        (lambda: bootstrap_direction(THREE, ["joy", "anger"]), "3 hidden states but 2 emotions"),
        (
            lambda: bootstrap_direction(
                np.array([[1.0, 0], [2, 5], [1, 0], [4, -7]]),
                ["joy", "joy", "anger", "anger"],
                random_state=0,
            ),
            r"share texts: resample \d+ has identical centroids",
        ),
        (lambda: shuffled_shares(THREE, ["joy", "anger"]), "3 hidden states but 2 emotions"),
        (lambda: shuffled_shares(THREE, ["joy", "anger", "joy"]), "three classes or more"),
        (lambda: shuffled_shares(THREE, ONCE), "one text: shuffling only renames"),
        (lambda: shuffled_shares(np.ones((4, 2)), [*ONCE, "joy"]), "shuffle 0 leaves identical centroids"),
        (lambda: shuffled_shares(THREE, ONCE, n_shuffles=0), "n_shuffles must .* got 0"),
        (
            lambda: shuffled_shares(np.tile([[1.0, 0], [2, 5]], (3, 1)), ONCE * 2, random_state=0),
            r"shuffle \d+ leaves identical centroids",
        ),
        (lambda: agreement({"a": LINE[0]}), "two vectors"),
        (lambda: agreement({"a": LINE[0], "b": LINE[0, :1]}), "one shape"),
        (lambda: agreement({"a": LINE[0], "b": np.ones(2)}), "'b' is constant"),
    ],
)
def test_other_calls_name_what_they_cannot_use(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
@pytest.mark.parametrize(("apart", "refused"), [(0.0, True), (1e-16, True), (0.05, False)])
def test_classes_whose_states_are_identical_have_no_axis(rng, dtype, apart, refused):
    """Whatever rounding has left between them; a twentieth of the states' size is an axis in any format."""
    states = 3 + rng.standard_normal(64)
    H = torch.tensor(
        states + apart * np.outer([-1, 0.1, 1], rng.standard_normal(64)), dtype=getattr(torch, dtype)
    )
    fit = ValenceAxis().fit
    for X in [H] if dtype == "bfloat16" else [H, H.numpy()]:
        if refused:
            with pytest.raises(ValueError, match=r"\('anger', 'neutral', 'joy'\) have identical centroids"):
                fit(X, ["anger", "neutral", "joy"])
        else:
            assert fit(X, ["anger", "neutral", "joy"]).positions_[2] > 0


@pytest.mark.parametrize("kind", [np.float16, ">f4", ">f8", np.longdouble, torch.float16, torch.bfloat16])
def test_states_in_any_floating_format_give_the_same_axis(rng, kind):
    H, emotions, _ = planted(rng)
    H *= 500  # the sums over a class overflow half precision
    X = torch.tensor(H).to(kind) if isinstance(kind, torch.dtype) else H.astype(kind)
    axis, exact = ValenceAxis().fit(X, emotions), ValenceAxis().fit(H, emotions)
    assert float(np.asarray(axis.direction_, dtype=float) @ exact.direction_) > 0.999
    for result, right in ((axis.project(X), exact.project(H)), (axis.ablate(X), exact.ablate(H))):
        result = result.double() if isinstance(result, torch.Tensor) else result.astype(float)
        np.testing.assert_allclose(result, right, atol=0.02 * np.abs(H).max())
    shares = shuffled_shares(X, emotions, n_shuffles=2, random_state=0)
    np.testing.assert_allclose(shares, shuffled_shares(H, emotions, n_shuffles=2, random_state=0), rtol=0.02)
    assert bootstrap_direction(X, emotions, n_resamples=2, random_state=0).low > 0.9


def test_bootstrap_knows_a_firm_axis_from_a_loose_one(rng):
    H, emotions, _ = planted(rng, strength=4.0)
    firm = bootstrap_direction(H, emotions, n_resamples=200, random_state=0)
    loose_H, loose_emotions, _ = planted(rng, strength=0.0)
    loose = bootstrap_direction(loose_H, loose_emotions, n_resamples=200, random_state=0)
    assert firm.low > 0.95
    assert loose.high < 0.95


def share_p(H, emotions, **options):
    """Chance of so large a share of PC1 with shuffled emotions."""
    share = ValenceAxis().fit(H, emotions).explained_variance_ratio_[0]
    return stats.permutation_p(share, shuffled_shares(H, emotions, **options), alternative="greater")


def test_shuffled_shares_are_those_of_pca_on_shuffled_centroids(rng, device):
    H, emotions, _ = planted(rng, n_per_class=6, strength=1.0)
    H, emotions = H[:-4], emotions[:-4]  # classes of unequal size
    shares = shuffled_shares(H, emotions, n_shuffles=5, random_state=7)
    again = np.random.default_rng(7)
    for share in shares:
        shuffled = again.permutation(emotions)
        centroids = np.stack([H[shuffled == e].mean(0) for e in EMOTIONS])
        assert share == pytest.approx(PCA(1).fit(centroids).explained_variance_ratio_[0], abs=1e-12)
    tensor = torch.tensor(H, dtype=torch.float32, device=device)
    on_device = shuffled_shares(tensor, emotions, n_shuffles=5, random_state=7)
    np.testing.assert_allclose(on_device, shares, atol=1e-5)


def test_a_planted_axis_has_a_larger_share_than_shuffled_emotions(rng):
    H, emotions, _ = planted(rng, n_per_class=10)
    assert share_p(H, emotions, n_shuffles=200, random_state=0) == pytest.approx(1 / 201)


@pytest.mark.parametrize("spread", [1.0, 20.0])
def test_without_an_axis_the_share_is_one_among_the_shuffled(rng, spread):
    ps = []
    for seed in range(200):
        H, emotions, _ = planted(rng, n_per_class=4, n_features=16, strength=0.0)
        H[:, 0] *= spread  # texts that vary along one direction have a large share without any emotion
        ps.append(share_p(H, emotions, n_shuffles=19, random_state=seed))
    # uniform over 1/20 .. 20/20: mean 0.525 and, of 200, ten at the least value
    assert np.mean(ps) == pytest.approx(0.525, abs=4 * 0.288 / np.sqrt(200))
    assert np.sum(np.isclose(ps, 1 / 20)) <= 22  # four binomial sd above ten


def test_agreement_matches_numpy_and_splits_families(rng):
    shared = rng.standard_normal(400)
    vectors = {f"m{i}": shared + noise * rng.standard_normal(400) for i, noise in enumerate((0.1, 0.1, 3.0))}
    result = agreement(vectors, families={"m0": "a", "m1": "a", "m2": "b"}, n_resamples=300, random_state=0)
    np.testing.assert_allclose(result.matrix, np.corrcoef(list(vectors.values())), atol=1e-12)
    assert result.within.value == pytest.approx(result.matrix[0, 1])
    assert result.across.value == pytest.approx((result.matrix[0, 2] + result.matrix[1, 2]) / 2)
    assert result.within.low < result.within.value < result.within.high
    assert result.across.high < result.within.low


def test_agreement_of_unrelated_projections_includes_zero(rng):
    covered = 0
    for seed in range(60):
        vectors = {"a": rng.standard_normal(80), "b": rng.standard_normal(80)}
        overall = agreement(vectors, n_resamples=300, random_state=seed).overall
        covered += overall.low < 0 < overall.high
    assert covered >= 50  # 57 expected of 60 at 95 %, 50 is more than 3 binomial sd below
