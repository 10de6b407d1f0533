"""Geometry of features: scores against plain loops, planted effects and their absence, every control."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score

from kernel import stats
from kernel.decoding import geometry as g
from kernel.metrics import score_accuracy

CLASS_OF = np.repeat(np.arange(9), [3, 3, 3, 3, 4, 3, 3, 3, 3])  # of 28 clips
VALIDATION, TEST = np.arange(8), np.arange(8, 16)


def trials(rng, d=24, *, classes=1.0, clips=1.0, valence=0.0, noise=1.0, n_subjects=16):
    """Features of trials that hold class, clip and within-class valence effects; and the valence of clips."""
    target = rng.standard_normal(28)
    axis = rng.standard_normal(d) / np.sqrt(d)
    effect = classes * rng.standard_normal((9, d))[CLASS_OF] + clips * rng.standard_normal((28, d))
    effect += valence * np.sqrt(d) * target[:, None] * axis
    clip = np.tile(np.arange(28), n_subjects)
    Z = effect[clip] + noise * rng.standard_normal((len(clip), d))
    labels = {"y": CLASS_OF[clip], "clip": clip, "subject": np.repeat(np.arange(n_subjects), 28)}
    return Z, labels, target, axis


def align(Z, labels, target, **options):
    return g.residual_alignment(
        Z, **labels, target_by_clip=target, **{"validation": VALIDATION, "test": TEST, **options}
    )


def rejects_at_its_level(p, level=0.05):
    """Whether the number of p-values below the level is one that a calibrated test gives."""
    low, high = scipy_stats.binom.interval(0.999, len(p), level)
    return low <= np.sum(np.asarray(p) <= level) <= high


# Subspaces


def test_basin_is_what_a_pca_of_the_class_means_spans(rng):
    Z, labels, _, _ = trials(rng)
    means = np.stack([Z[labels["y"] == c].mean(0) for c in range(9)])
    expected = PCA(8).fit(means).components_
    basis = g.basin(Z, labels["y"]).basis.numpy()
    assert basis.shape == (8, 24)
    np.testing.assert_allclose(basis @ basis.T, np.eye(8), atol=1e-12)
    assert subspace_angles(basis.T, expected.T).max() < 1e-7
    leading = g.basin(Z, labels["y"], rank=2).basis.numpy()
    assert subspace_angles(leading.T, expected[:2].T).max() < 1e-7


def test_projection_and_complement_part_the_features(rng):
    Z, labels, _, _ = trials(rng)
    projector = g.basin(Z, labels["y"])
    inside, outside = projector.project(Z), projector.complement(Z)
    np.testing.assert_allclose(inside + outside, Z, atol=1e-12)
    np.testing.assert_allclose(projector.project(inside), inside, atol=1e-12)
    means = np.stack([outside[labels["y"] == c].mean(0) for c in range(9)])
    assert np.ptp(means, axis=0).max() < 1e-12  # nothing of the classes is left
    assert projector.project(Z[0]) == pytest.approx(inside[0])


def test_projectors_of_checkpoints_equal_single_ones(rng):
    Z, labels, _, _ = trials(rng)
    stack = np.stack([Z, Z @ rng.standard_normal((24, 24)), rng.standard_normal(Z.shape)])
    outside = g.basin(stack, labels["y"]).complement(stack)
    for one, expected in zip(stack, outside, strict=True):
        np.testing.assert_allclose(g.basin(one, labels["y"]).complement(one), expected, atol=1e-9)


def test_results_are_of_the_kind_of_the_input(rng, device):
    Z, labels, _, _ = trials(rng)
    tensor = torch.tensor(Z, dtype=torch.float32, device=device, requires_grad=True)
    for result in (
        g.basin(tensor, torch.tensor(labels["y"], device=device)).project(tensor),
        g.ablate(tensor, Z[0]),
    ):
        assert result.dtype == torch.float32 and result.device.type == device
    assert g.ablate(Z.astype(np.float32), Z[0]).dtype == np.float32
    np.testing.assert_allclose(g.ablate(tensor, Z[0]).cpu().numpy(), g.ablate(Z, Z[0]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("null", g.NULLS)
def test_every_device_gives_the_same_scores(rng, device, null):
    Z, labels, target, _ = trials(rng)
    tensor = torch.tensor(Z, device=device, dtype=torch.float32)
    a, b = (align(x, labels, target, null=null, n_null=20) for x in (tensor, tensor.cpu().numpy()))
    np.testing.assert_allclose(a.null_held_out, b.null_held_out, atol=2e-3)
    assert a.held_out == pytest.approx(b.held_out, abs=2e-3)


# Class means


def pc1_score(Z, y, target):
    means = np.stack([Z[y == c].mean(0) for c in np.unique(y)])
    return abs(scipy_stats.pearsonr(PCA(1).fit_transform(means)[:, 0], target)[0])


def test_class_score_equals_pca_and_scipy(rng):
    Z, labels, _, _ = trials(rng)
    names = np.array(list("ihgfedcba"))  # sorted order is not the order of appearance
    target = rng.standard_normal(9)
    found = g.class_pc1_alignment(Z, names[labels["y"]], target, n_permutations=50)
    assert found.score == pytest.approx(pc1_score(Z, names[labels["y"]], target))
    assert not found.exact and found.null.shape == (50,)


def test_class_null_is_every_order_where_there_are_few(rng):
    y = np.repeat(np.arange(5), 20)
    Z = rng.standard_normal((5, 6))[y] + 0.1 * rng.standard_normal((100, 6))
    target = rng.standard_normal(5)
    found = g.class_pc1_alignment(Z, y, target)
    expected = [pc1_score(Z, y, np.array(order)) for order in permutations(target)]
    assert found.exact
    np.testing.assert_allclose(np.sort(found.null), np.sort(expected), atol=1e-10)
    assert found.p == pytest.approx(np.mean(np.array(expected) >= found.score - 1e-10))


def test_class_scores_of_checkpoints_share_their_permutations(rng):
    Z, labels, _, _ = trials(rng)
    target = rng.standard_normal(9)
    stack = np.stack([Z, Z[:, ::-1], rng.standard_normal(Z.shape)])
    found = g.class_pc1_alignment(stack, labels["y"], target, n_permutations=200, random_state=3)
    np.testing.assert_allclose(found.null[:, 0], found.null[:, 1], atol=1e-8)  # the same means, rearranged
    for i, one in enumerate(stack):
        single = g.class_pc1_alignment(one, labels["y"], target, n_permutations=200, random_state=3)
        assert found.score[i] == pytest.approx(single.score) and found.p[i] == single.p
        np.testing.assert_allclose(found.null[:, i], single.null, atol=1e-8)


def test_class_score_finds_a_planted_order_and_none_where_there_is_none(rng):
    y = np.repeat(np.arange(9), 20)
    target = np.linspace(-1, 1, 9)
    planted, absent = [], []
    for _ in range(300):
        Z = rng.standard_normal((9, 12))[y] + rng.standard_normal((180, 12))
        absent.append(g.class_pc1_alignment(Z, y, target, n_permutations=300, random_state=rng).p)
        Z[:, 0] += 4 * target[y]
        planted.append(g.class_pc1_alignment(Z, y, target, n_permutations=300, random_state=rng).p)
    assert np.mean(np.array(planted) < 0.05) > 0.9
    assert rejects_at_its_level(absent)


# Within classes


def residual(x, keep=slice(None)):
    """Subtract class means among some clips, by a loop."""
    x, labels = np.array(x[keep], dtype=float), CLASS_OF[keep]
    for c in np.unique(labels):
        x[labels == c] -= x[labels == c].mean(0)
    return x


def clip_means(Z, labels, subjects):
    rows = np.isin(labels["subject"], subjects)
    return np.stack([Z[rows & (labels["clip"] == c)].mean(0) for c in range(28)])


def naive(Z, labels, target, firsts, directions=None):
    """Selected and held-out score in plain steps."""
    val, test = (clip_means(Z, labels, subjects) for subjects in (VALIDATION, TEST))
    if directions is None:
        directions = PCA(19).fit(residual(val)).components_

    def r(means, keep):
        t = residual(target, keep)
        return np.array([scipy_stats.pearsonr(residual(means @ u, keep), t)[0] for u in directions])

    everything = np.ones(28, dtype=bool)
    best = np.argmax(np.abs(r(val, everything)))
    held_out = []
    for a in [*firsts, *~firsts]:
        chosen = r(val, a)
        k = np.argmax(np.abs(chosen))
        held_out.append(np.sign(chosen[k]) * r(test, ~a)[k])
    return (
        abs(r(test, everything)[best]),
        np.mean(held_out),
        directions[best] * np.sign(r(val, everything)[best]),
    )


@pytest.mark.parametrize("halves", g.HALVES)
def test_residual_scores_equal_plain_steps(rng, halves):
    Z, labels, target, _ = trials(rng)
    Z += 50 * rng.standard_normal((9, 24))[labels["y"]]  # far larger than what is looked for
    found = align(Z, labels, target, halves=halves, n_splits=4, n_null=5, random_state=1)
    firsts = g._halvings(CLASS_OF, halves, 4, np.random.default_rng(1))
    selected, held_out, direction = naive(Z, labels, target, firsts)
    assert found.selected == pytest.approx(selected, abs=1e-8)
    assert found.held_out == pytest.approx(held_out, abs=1e-8)
    np.testing.assert_allclose(found.direction, direction, atol=1e-8)
    np.testing.assert_allclose(np.abs(found.components[found.component]), np.abs(direction), atol=1e-8)
    expected = PCA(19).fit(residual(clip_means(Z, labels, VALIDATION))).components_
    np.testing.assert_allclose(np.abs(found.components), np.abs(expected), atol=1e-8)


@pytest.mark.parametrize("null", ["permute", "gaussian"])
def test_each_null_target_goes_the_way_of_the_target(rng, null):
    Z, labels, target, _ = trials(rng)
    found = align(Z, labels, target, null=null, n_splits=3, n_null=6, random_state=5)
    stream = np.random.default_rng(5)
    firsts = g._halvings(CLASS_OF, "classes", 3, stream)
    targets = g._null_targets(target, CLASS_OF, null, 6, stream)
    for i, drawn in enumerate(targets):
        selected, held_out, direction = naive(Z, labels, drawn, firsts)
        assert found.null_selected[i] == pytest.approx(selected, abs=1e-8)
        assert found.null_held_out[i] == pytest.approx(held_out, abs=1e-8)
        cosine = found.null_directions()[i] @ direction
        assert abs(cosine) == pytest.approx(1)
    assert found.p_held_out == stats.permutation_p(found.held_out, found.null_held_out, alternative="greater")
    assert found.p_selected == stats.permutation_p(found.selected, found.null_selected, alternative="greater")


def test_permuted_targets_stay_within_their_class(rng):
    drawn = g._null_targets(np.arange(28.0), CLASS_OF, "permute", 200, rng)
    for c in range(9):
        here = np.flatnonzero(CLASS_OF == c)
        np.testing.assert_array_equal(np.sort(drawn[:, here], axis=1), np.tile(here, (200, 1)))
    assert (drawn.std(0) > 0).all()


@pytest.mark.parametrize("null", ["haar", "matched"])
def test_drawn_directions_take_the_place_of_components(rng, null):
    Z, labels, target, _ = trials(rng)
    found = align(Z, labels, target, null=null, n_splits=3, n_null=4, n_components=7, random_state=5)
    stream = np.random.default_rng(5)
    firsts = g._halvings(CLASS_OF, "classes", 3, stream)
    rows = np.isin(labels["subject"], VALIDATION)
    within = Z[rows] - np.stack([Z[rows & (labels["y"] == c)].mean(0) for c in range(9)])[labels["y"][rows]]
    values, vectors = np.linalg.eigh(within.T @ within / rows.sum())
    for i, normal in enumerate(stream.standard_normal((4, 24, 7))):
        if null == "haar":
            directions = np.linalg.qr(normal)[0].T
        else:
            directions = normal.T @ (vectors * np.sqrt(values)) @ vectors.T
        selected, held_out, _ = naive(Z, labels, target, firsts, directions)
        assert found.null_selected[i] == pytest.approx(selected, abs=1e-8)
        assert found.null_held_out[i] == pytest.approx(held_out, abs=1e-8)
    with pytest.raises(ValueError, match="draws directions"):
        found.null_directions()


@pytest.mark.parametrize("halves", g.HALVES)
def test_halves_are_disjoint_varied_and_even(rng, halves):
    firsts = g._halvings(CLASS_OF, halves, 50, rng)
    counts = np.stack([firsts[:, CLASS_OF == c].sum(1) for c in range(9)], axis=1)
    if halves == "classes":
        assert ((counts == 0) | (counts == np.bincount(CLASS_OF))).all()
        assert ((counts > 0).sum(1) == 4).all()
    else:
        assert (counts[:, 4] == 2).all() and (np.sort(np.delete(counts, 4, 1), 1)[:, 3:5] == [1, 2]).all()
    assert len(np.unique(firsts, axis=0)) > 20


@pytest.mark.parametrize(("halves", "power"), [("classes", 0.9), ("clips", 0.6)])
def test_held_out_score_finds_a_planted_component_and_none_where_there_is_none(rng, halves, power):
    planted, absent, scores = [], [], []
    for _ in range(200):
        for valence, found in ((0.0, absent), (1.5, planted)):
            Z, labels, target, _ = trials(rng, valence=valence)
            one = align(Z, labels, target, halves=halves, n_splits=5, n_null=200, random_state=rng)
            found.append(one.p_held_out)
            if not valence:
                scores.append(one.held_out)
    assert np.mean(np.array(planted) <= 0.05) > power
    assert rejects_at_its_level(absent)
    assert abs(np.mean(scores)) < 4 * np.std(scores) / np.sqrt(len(scores))


def test_the_best_of_many_components_is_large_without_any_target():
    rng = np.random.default_rng(0)
    scores, naive_p, p = [], [], []
    for _ in range(200):
        Z, labels, target, _ = trials(rng, noise=0.3)  # every clip leaves a trace, none of it valence
        found = align(Z, labels, target, n_splits=1, n_null=200, random_state=rng)
        scores.append(found.selected)
        # the p of one correlation of 19 free contrasts, as if it had not been chosen
        t = found.selected * np.sqrt(18 / (1 - found.selected**2))
        naive_p.append(2 * scipy_stats.t.sf(t, 18))
        p.append(found.p_selected)
    assert np.mean(scores) > 0.4
    assert np.mean(np.array(naive_p) < 0.05) > 0.3
    assert rejects_at_its_level(p)  # repeating the choice in the null mends the p, not the score


def test_residual_direction_is_the_planted_one(rng):
    Z, labels, target, axis = trials(rng, valence=4.0, clips=0.2)
    found = align(Z, labels, target)
    assert np.linalg.norm(found.direction) == pytest.approx(1)
    assert found.direction @ axis / np.linalg.norm(axis) > 0.95  # the sign is part of it
    assert found.p_held_out < 0.01 and found.held_out > 0.8
    opposite = align(Z, labels, -target)
    np.testing.assert_allclose(opposite.direction, -found.direction, atol=1e-9)


def test_scores_do_not_change_under_rotation_scaling_and_shift(rng):
    Z, labels, target, _ = trials(rng, valence=1.0)
    Q = np.linalg.qr(rng.standard_normal((24, 24)))[0]
    a, b = align(Z, labels, target, n_null=50), align(3 * Z @ Q + 7, labels, target, n_null=50)
    for name in ("selected", "held_out", "null_selected", "null_held_out"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-7)
    np.testing.assert_allclose(a.direction @ Q, b.direction, atol=1e-7)
    levels = rng.standard_normal(9)
    c, d = (g.class_pc1_alignment(x, labels["y"], levels, n_permutations=50) for x in (Z, 3 * Z @ Q + 7))
    assert c.score == pytest.approx(d.score)


@pytest.mark.parametrize("null", g.NULLS)
def test_residual_scores_of_checkpoints_equal_single_ones(rng, null, monkeypatch):
    Z, labels, target, _ = trials(rng, valence=1.0)
    stack = np.stack([Z, rng.standard_normal(Z.shape), 2 * Z**2])
    options = {"null": null, "n_null": 9, "n_splits": 3}
    together = align(stack, labels, target, **options)
    monkeypatch.setattr(g, "_CHUNK", 1)  # one draw at a time
    for i, one in enumerate(stack):
        single = align(one, labels, target, **options)
        assert single.held_out.shape == () and single.component == together.component[i]
        for name in ("selected", "held_out", "p_held_out", "direction", "components"):
            np.testing.assert_allclose(getattr(together, name)[i], getattr(single, name), atol=1e-9)
        for name in ("null_selected", "null_held_out"):
            np.testing.assert_allclose(getattr(together, name)[:, i], getattr(single, name), atol=1e-9)
    if null == "permute":
        np.testing.assert_allclose(together.null_directions()[2], single.null_directions(), atol=1e-9)


def test_directions_that_hold_rounding_errors_are_never_chosen(rng):
    Z, labels, target, _ = trials(rng, d=5)
    wide = Z @ rng.standard_normal((5, 24)) + 100  # of rank five
    found = align(wide, labels, target)
    assert found.null_component.max() == 4 and found.component < 5
    np.testing.assert_allclose(np.linalg.norm(found.components, axis=1), np.arange(19) < 5, atol=1e-12)


def test_networks_of_different_width_share_the_drawn_targets(rng):
    Z, labels, target, _ = trials(rng)
    wide = np.concatenate([Z, np.zeros_like(Z)], axis=1)
    a, b = (align(x, labels, target, n_null=30) for x in (Z, wide))
    np.testing.assert_allclose(a.null_held_out, b.null_held_out, atol=1e-8)


# Accuracy against alignment


def checkpoints(rng, within=0.0, between=0.0, n_recipes=12, size=3):
    """Alignment, accuracy and recipe of checkpoints with planted correlations."""
    recipes = np.repeat([f"r{i}" for i in range(n_recipes)], size)
    score, bacc = rng.standard_normal((2, n_recipes * size))
    level = rng.standard_normal((2, n_recipes))
    bacc, level[1] = bacc + within * score, level[1] + between * level[0]
    score, bacc = (x + 3 * one.repeat(size) for x, one in zip((score, bacc), level, strict=True))
    return score, bacc, recipes


def test_convergence_equals_scipy(rng):
    score, bacc, recipes = checkpoints(rng, within=1.0)
    shuffled = rng.permutation(36)
    score, bacc, recipes = score[shuffled], bacc[shuffled], recipes[shuffled]
    keep = np.arange(36) != np.flatnonzero(recipes == "r3")[0]  # recipes of unequal size
    score, bacc, recipes = score[keep], bacc[keep], recipes[keep]
    null = rng.standard_normal((40, 35))
    found = g.convergence(score, bacc, recipes, null, n_resamples=50)

    def parts(x):
        level = np.array([x[recipes == r].mean() for r in recipes])
        return {"overall": x, "within": x - level, "between": level}

    for name in ("overall", "within", "between"):
        expected = scipy_stats.pearsonr(parts(score)[name], parts(bacc)[name])[0]
        drawn = [scipy_stats.pearsonr(parts(row)[name], parts(bacc)[name])[0] for row in null]
        assert getattr(found, name) == pytest.approx(expected)
        np.testing.assert_allclose(found.null[name], drawn, atol=1e-10)
        assert getattr(found, f"p_{name}") == (1 + np.sum(drawn >= expected)) / 41
    assert found.within_interval.value == pytest.approx(found.within)


def test_convergence_tells_within_from_between(rng):
    null = rng.standard_normal((99, 36))
    both = g.convergence(*checkpoints(rng, within=3.0, between=3.0), null)
    recipe = g.convergence(*checkpoints(rng, between=3.0), null)
    assert both.p_within == both.p_between == 0.01 and both.within_interval.low > 0.5
    assert recipe.p_between == 0.01 and recipe.overall > 0.6
    assert recipe.within < 0.5 and recipe.within_interval.low < recipe.within < recipe.within_interval.high


def test_convergence_null_is_calibrated_where_all_checkpoints_share_one_geometry(rng):
    # scores of one target agree over checkpoints up to a slope: the plain p of 36 points is badly wrong
    p, plain = [], []
    for _ in range(200):
        quality = rng.standard_normal(36)
        slopes = rng.standard_normal(100)  # of the target and of 99 permuted ones
        scores = slopes[:, None] * quality + 0.5 * rng.standard_normal((100, 36))
        recipes = np.repeat(np.arange(12), 3)
        p.append(g.convergence(scores[0], quality, recipes, scores[1:], n_resamples=2).p_overall)
        plain.append(scipy_stats.pearsonr(scores[0], quality, alternative="greater").pvalue)
    assert rejects_at_its_level(p)
    assert np.mean(np.array(plain) < 0.05) > 0.25


def test_convergence_interval_covers_its_value_within_recipes(rng):
    covered = []
    for _ in range(60):
        score, bacc, recipes = checkpoints(rng, within=1.0, n_recipes=6, size=12)
        found = g.convergence(score, bacc, recipes, score[None], n_resamples=300, random_state=rng)
        covered.append(found.within_interval.low < np.sqrt(0.5) < found.within_interval.high)
    assert scipy_stats.binom.cdf(np.sum(covered), 60, 0.95) > 1e-3


# Ablation


def fitted(rng, d=20, n=900, *, classes=9, wide=None, scale=0.4):
    """Features with class means, their labels, and the head of a linear discriminant on them."""
    y = np.arange(n) % classes
    means = scale * rng.standard_normal((classes, d))
    if wide is not None:
        means[:, wide:] = 0
    Z = means[y] + rng.standard_normal((n, d))
    model = LinearDiscriminantAnalysis().fit(Z, y)
    return Z, y, (model.coef_.T, model.intercept_)


def explicit(Z, y, head, u, gain=0.0):
    """The fall in accuracy by changing the features themselves."""
    W, b = head
    u = u / np.linalg.norm(u)
    changed = np.stack([z + (gain - 1) * (z @ u) * u for z in Z])
    before, after = ((x @ W + b).argmax(1) for x in (Z, changed))
    return balanced_accuracy_score(y, before) - balanced_accuracy_score(y, after)


def test_ablated_features_hold_nothing_of_the_direction(rng):
    Z, u = rng.standard_normal((2, 30, 6)), rng.standard_normal((2, 6))
    changed = g.ablate(Z, u)
    assert np.abs(np.einsum("mnd,md->mn", changed, u)).max() < 1e-12
    across = np.linalg.qr(np.column_stack([u[0], rng.standard_normal((6, 5))]))[0][:, 1:]
    np.testing.assert_allclose(changed[0] @ across, Z[0] @ across, atol=1e-12)
    np.testing.assert_allclose(g.amplify(Z, 5 * u, 1.0), Z, atol=1e-12)
    doubled = g.amplify(Z[0], u[0], 2.0)
    np.testing.assert_allclose(doubled @ u[0], 2 * Z[0] @ u[0], atol=1e-12)
    np.testing.assert_allclose(doubled @ across, Z[0] @ across, atol=1e-12)


def test_removing_deviations_alone_keeps_the_mean(rng):
    Z, _, (W, b) = fitted(rng)
    m, u = Z.mean(0) + 3, rng.standard_normal(20)
    kept = g.ablate(Z - m, u) + m
    np.testing.assert_allclose(kept @ W + b, g.ablate(Z - m, u) @ W + (b + m @ W), atol=1e-10)
    np.testing.assert_allclose(kept @ u, np.full(len(Z), m @ u), atol=1e-10)


@pytest.mark.parametrize("gain", [0.0, 3.0, -1.0])
def test_drops_equal_changing_the_features(rng, gain, monkeypatch):
    Z, y, head = fitted(rng, n=301)
    monkeypatch.setattr(g, "_CHUNK", 100)  # several chunks
    u, others = rng.standard_normal(20), rng.standard_normal((7, 20))
    found = g.ablation_effect(Z, y, head, u, gain=gain, kinds=(), random_targets=others)
    assert found.baseline == pytest.approx(balanced_accuracy_score(y, (Z @ head[0] + head[1]).argmax(1)))
    assert found.drop == pytest.approx(explicit(Z, y, head, u, gain))
    expected = [explicit(Z, y, head, other, gain) for other in others]
    assert found.drop != 0 and len(set(expected)) > 3
    np.testing.assert_allclose(found.null["random_target"], expected, atol=1e-12)
    z = (found.drop - np.mean(expected)) / np.std(expected, ddof=1)
    assert found.z("random_target") == pytest.approx(z)
    assert found.p("random_target") == pytest.approx((1 + np.sum(expected >= found.drop - 1e-12)) / 8)


def test_equal_logits_count_as_argmax_counts_them(rng):
    Z, y, (W, b) = fitted(rng, n=300, classes=4)
    W, b = W[:, [0, 1, 1, 0]], b[[0, 1, 1, 0]]
    u = rng.standard_normal(20)
    found = g.ablation_effect(Z, y, (W, b), u, kinds=())
    assert found.drop == pytest.approx(explicit(Z, y, (W, b), u))
    flat = g.ablation_effect(Z, y, (0 * W, 0 * b), u, kinds=())
    assert flat.baseline == 0.25 and flat.drop == 0


def test_ablation_of_checkpoints_equals_single_ones(rng):
    members = [fitted(rng) for _ in range(3)]
    Z, y = np.stack([m[0] for m in members]), members[0][1]
    head = tuple(np.stack([m[2][i] for m in members]) for i in range(2))
    u, others = rng.standard_normal((3, 20)), rng.standard_normal((3, 5, 20))
    together = g.ablation_effect(Z, y, head, u, n_directions=30, random_targets=others)
    for i in range(3):
        single = g.ablation_effect(
            Z[i], y, (head[0][i], head[1][i]), u[i], kinds=(), random_targets=others[i]
        )
        for name in ("baseline", "drop", "orthogonal_drop", "share_in_basin"):
            assert getattr(together, name)[i] == pytest.approx(getattr(single, name), abs=1e-12)
        np.testing.assert_allclose(together.null["random_target"][:, i], single.null["random_target"])
    assert together.null["matched"].shape == (30, 3) and together.z("residual").shape == (3,)


@pytest.mark.parametrize("kind", g.KINDS)
def test_controls_are_drawn_as_named(rng, kind, monkeypatch):
    Z, y, head = fitted(rng, d=12, classes=4)
    Z = Z * np.geomspace(5, 0.5, 12)
    seen = {}

    def spy(Z, y, W, b, U, gain):
        seen["U"] = U.numpy()
        return np.zeros((U.shape[-2],))

    monkeypatch.setattr(g, "_accuracy_after", spy)
    g.ablation_effect(Z, y, head, np.ones(12), kinds=[kind], n_directions=20_000)
    drawn = seen["U"][2:]
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1)
    basis = g.basin(Z, y).basis.numpy()
    inside = np.abs(drawn @ basis.T).max()
    assert (inside < 1e-10) == kind.endswith("residual")
    shape = drawn.T @ drawn / len(drawn)
    if kind == "isotropic":
        np.testing.assert_allclose(shape, np.eye(12) / 12, atol=0.01)
    elif kind == "matched":
        # the mean outer product of unit vectors keeps the axes of the covariance, and their order
        _, axes = np.linalg.eigh(np.cov(Z.T))
        turned = axes.T @ shape @ axes
        assert np.abs(turned - np.diag(np.diag(turned))).max() < 0.02
        assert np.diag(turned)[-1] > 0.3 and (np.diff(np.diag(turned)[-3:]) > 0).all()
    else:
        values = np.sort(np.linalg.eigvalsh(shape))
        assert values[2] < 1e-10 < values[3]  # three dimensions belong to four class means
        assert (values[-1] < 0.13) == (kind == "residual")


def test_ablating_what_the_head_uses_hurts_and_anything_else_does_not(rng):
    Z, y, head = fitted(rng, d=30, wide=1, scale=3.0)  # one dimension tells the classes apart
    used, unused = np.eye(30)[0], np.eye(30)[7]
    hurt = g.ablation_effect(Z, y, head, used, n_directions=300, kinds=("isotropic", "matched_residual"))
    spared = g.ablation_effect(Z, y, head, unused, n_directions=300, kinds=("isotropic",))
    assert hurt.drop > 0.2 and hurt.p("isotropic") < 0.01 and hurt.p("matched_residual") < 0.01
    assert abs(spared.drop) < 0.02 and spared.p("isotropic") > 0.05


def test_a_large_z_against_isotropic_directions_may_be_variance_alone(rng):
    d, y = 40, np.arange(900) % 9
    means = np.zeros((9, d))
    means[:, 0] = rng.permutation(9) * 4.0  # the classes, in an order that follows no target
    Z = means[y] + rng.standard_normal((900, d))
    model = LinearDiscriminantAnalysis().fit(Z, y)
    head = (model.coef_.T, model.intercept_)
    wide = g.ablation_effect(Z, y, head, np.eye(d)[0], kinds=("isotropic", "matched"))
    assert wide.z("isotropic") > 5 and wide.p("isotropic") < 0.01
    assert wide.z("matched") < 2 and wide.p("matched") > 0.05

    # a small direction that carries the classes stands out of both
    Z[:, 1:] *= 10
    Z[:, 0] /= 10
    model = LinearDiscriminantAnalysis().fit(Z, y)
    small = g.ablation_effect(
        Z, y, (model.coef_.T, model.intercept_), np.eye(d)[0], kinds=("isotropic", "matched")
    )
    assert small.p("isotropic") < 0.01 and small.p("matched") < 0.01


def test_the_part_orthogonal_to_the_basin(rng):
    Z, y, (W, b) = fitted(rng)
    projector = g.basin(Z, y)
    head = (projector.project(W.T).T, b)  # a head that looks at nothing but the class span
    u = rng.standard_normal(20)
    inside, outside = projector.project(u), projector.complement(u)
    mixed = g.ablation_effect(Z, y, head, u, kinds=("residual",), n_directions=50)
    within = g.ablation_effect(Z, y, head, inside, kinds=("isotropic",), n_directions=50)
    across = g.ablation_effect(Z, y, head, outside, kinds=("residual",), n_directions=50)
    assert mixed.share_in_basin == pytest.approx(inside @ inside / (u @ u))
    assert mixed.orthogonal_drop == pytest.approx(across.drop) == pytest.approx(0)
    assert within.share_in_basin == pytest.approx(1) and within.orthogonal_drop == 0 and within.drop > 0.02
    assert across.share_in_basin == pytest.approx(0, abs=1e-12)
    assert np.isnan(across.z("residual")) and across.p("residual") == 1  # no control has any effect either
    assert within.z("isotropic") > within.z("isotropic", "orthogonal")


def test_a_given_projector_is_used(rng):
    Z, y, head = fitted(rng)
    u = rng.standard_normal(20)
    two = g.basin(Z, y, rank=2)
    found = g.ablation_effect(Z, y, head, u, kinds=(), projector=two)
    assert found.share_in_basin == pytest.approx(np.sum(two.project(u) ** 2) / (u @ u))


def test_random_target_directions_judge_a_direction_found_in_the_same_way(rng):
    Z, labels, target, _ = trials(rng)
    found = align(Z, labels, target, n_null=60)
    model = LinearDiscriminantAnalysis().fit(Z, labels["y"])
    head = (model.coef_.T, model.intercept_)
    others = found.null_directions()
    effect = g.ablation_effect(Z, labels["y"], head, others[4], kinds=(), random_targets=others)
    assert effect.drop == pytest.approx(effect.null["random_target"][4])
    assert len(np.unique(effect.null["random_target"])) > 3
    assert effect.p("random_target") == pytest.approx(
        (1 + np.sum(effect.null["random_target"] >= effect.drop - 1e-12)) / 61
    )


def test_ablation_runs_on_every_device(rng, device):
    Z, y, head = fitted(rng)
    u = rng.standard_normal(20)
    tensors = [torch.tensor(x, dtype=torch.float32, device=device) for x in (Z, *head, u)]
    found = g.ablation_effect(tensors[0], y, (tensors[1], tensors[2]), tensors[3], n_directions=50)
    expected = g.ablation_effect(Z, y, head, u, n_directions=50)
    assert found.drop == pytest.approx(expected.drop, abs=5e-3)
    assert found.z("isotropic") == pytest.approx(expected.z("isotropic"), abs=0.3)


# Accuracy


def test_balanced_accuracy_equals_scikit_learn(rng):
    logits = rng.standard_normal((2, 3, 200, 6))
    y = rng.choice([0, 1, 2, 4, 5], 200, p=[0.5, 0.2, 0.1, 0.1, 0.1])  # one class does not occur
    found = score_accuracy(logits, y)
    for index in np.ndindex(2, 3):
        recalls = [np.mean(logits[index][y == c].argmax(1) == c) for c in np.unique(y)]
        assert found[index] == pytest.approx(np.mean(recalls))
    y = np.arange(200) % 6
    expected = balanced_accuracy_score(y, logits[0, 0].argmax(1))
    assert score_accuracy(logits[0, 0], y) == pytest.approx(expected)


# Similarity


def hsic_cka(X1, X2):
    H = np.eye(len(X1)) - 1 / len(X1)
    K, L = H @ X1 @ X1.T @ H, H @ X2 @ X2.T @ H
    return np.trace(K @ L) / np.sqrt(np.trace(K @ K) * np.trace(L @ L))


def test_cka_equals_hsic(rng):
    X1, X2 = rng.standard_normal((3, 40, 7)) + 5, rng.standard_normal((3, 40, 11))
    X2[0, :, :7] += 2 * X1[0]
    found = g.linear_cka(X1, X2)
    np.testing.assert_allclose(found, [hsic_cka(*pair) for pair in zip(X1, X2, strict=True)], atol=1e-12)
    assert found[0] > found[1] and g.linear_cka(X1[0], X2[0]) == pytest.approx(found[0])
    every = g.linear_cka(X1)
    expected = [[hsic_cka(a, b) for b in X1] for a in X1]
    np.testing.assert_allclose(every, expected, atol=1e-12)


def test_cka_ignores_rotation_and_scale_and_sees_noise(rng):
    X = rng.standard_normal((500, 10))
    Q = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    assert g.linear_cka(X, -4 * X @ Q + 3) == pytest.approx(1)
    assert g.linear_cka(X, rng.standard_normal((500, 10))) < 0.1
    few = rng.standard_normal((2, 12, 200))
    assert g.linear_cka(*few) > 0.8  # unrelated, but more features than trials


# Input that cannot be used


def bad_inputs():
    rng = np.random.default_rng(0)
    Z, labels, target, _ = trials(rng)
    y = labels["y"]
    two_classes = {**labels, "clip": np.where(np.arange(len(y)) == 5, 27, labels["clip"])}
    nan = np.where(np.arange(24) == 3, np.nan, Z)
    W, b, u = rng.standard_normal((24, 9)), np.zeros(9), np.ones(24)
    levels = np.arange(9.0)
    rows = np.repeat(np.arange(4), 3)
    score = rng.standard_normal(12)
    single = {**labels, "y": labels["clip"] // 2}  # two clips a class

    def effect(**changes):
        given = {"Z": Z, "y": y, "head": (W, b), "direction": u, "n_directions": 3, **changes}
        return lambda: g.ablation_effect(**given)

    return {
        "one class only, 0": lambda: g.basin(Z, np.zeros(len(Z), int)),
        "Z must be .n_trials, d.": lambda: g.basin(Z[0], y),
        "y must have shape": lambda: g.basin(Z, y[:-1]),
        "Z holds NaN": lambda: g.basin(nan, y),
        "y holds NaN": lambda: g.basin(Z, np.where(y == 3, np.nan, y)),
        "rank must lie between 1 and 8": lambda: g.basin(Z, y, rank=9),
        "means of checkpoint 1 span fewer than 8": lambda: g.basin(np.stack([Z, Z[:, :1] * u]), y),
        "means span fewer than 1": lambda: g.class_pc1_alignment(np.ones_like(Z), y, levels),
        "X must have 24": lambda: g.basin(Z, y).project(Z[:, :3]),
        "2 classes: any two": lambda: g.class_pc1_alignment(Z, y > 3, [0, 1]),
        "target must have one value": lambda: g.class_pc1_alignment(Z, y, levels[:5]),
        "must vary over classes": lambda: g.class_pc1_alignment(Z, y, np.ones(9)),
        "clip 27 belongs to two classes": lambda: align(Z, two_classes, target),
        "clip must have shape": lambda: align(Z, {**labels, "clip": [1, 2]}, target),
        "target_by_clip must have": lambda: align(Z, labels, levels),
        "target_by_clip holds NaN": lambda: align(Z, labels, np.where(target > 0, np.nan, target)),
        "constant within every class": lambda: align(Z, labels, levels[CLASS_OF]),
        "subject 7 is in validation and test": lambda: align(
            Z, labels, target, validation=np.arange(8), test=np.arange(7, 9)
        ),
        r"test names subjects without a trial: \[99\]": lambda: align(Z, labels, target, test=[99]),
        "equal features": lambda: align(rng.standard_normal((9, 24))[y], labels, target),
        "null must be": lambda: align(Z, labels, target, null="emotions"),
        "halves must be": lambda: align(Z, labels, target, halves="subjects"),
        "must be positive, got 0": lambda: align(Z, labels, target, n_components=0),
        "leaves 0 contrasts": lambda: align(Z, single, target, halves="clips"),
        "null_scores .n_null, n_check": lambda: g.convergence(score, score, rows, score),
        "2 recipes": lambda: g.convergence(score, score, rows > 1, score[None]),
        "12 checkpoints of 12 recipes": lambda: g.convergence(score, score, range(12), score[None]),
        "score does not vary within any": lambda: g.convergence(np.ones(12), score, rows, score[None]),
        "bacc does not vary within any": lambda: g.convergence(score, 0.1 * rows, rows, score[None]),
        "u is zero": lambda: g.ablate(Z, np.zeros(24)),
        "u must have shape": lambda: g.amplify(Z, np.ones(5), 2.0),
        "u holds NaN": lambda: g.ablate(Z, nan[0]),
        "direction is zero": effect(direction=0 * u),
        "transpose the weights": effect(head=(W.T, b)),
        "b must have": effect(head=(W, b[:4])),
        "integers from 0 to 8": effect(y=y + 1),
        "integers from 0 to 8, columns": effect(y=np.array(list("abcdefghi"))[y]),
        "kinds are": effect(kinds=["uniform"]),
        "two directions or more": effect(n_directions=1),
        "fills all 8 dimensions": effect(Z=Z[:, :8], head=(W[:8], b), direction=u[:8]),
        "random_targets must be": effect(random_targets=u),
        "a zero direction": effect(random_targets=np.zeros((3, 24))),
        "no control named": lambda: effect()().z("haar"),
        "part must be": lambda: effect()().p("isotropic", "half"),
        "scores must be": lambda: score_accuracy(Z[0], y),
        "same trials": lambda: g.linear_cka(Z, Z[1:]),
        "do not vary over trials": lambda: g.linear_cka(Z, np.ones_like(Z)),
        "all pairs need": lambda: g.linear_cka(Z),
    }


@pytest.mark.parametrize(
    ("message", "call"), bad_inputs().items(), ids=lambda x: x if isinstance(x, str) else ""
)
def test_says_what_it_cannot_use(message, call):
    with pytest.raises(ValueError, match=message):
        call()
