"""Geometry of features: scores against plain loops, planted effects and their absence, every control."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score

from kernel import stats
from kernel.decoding import ablation
from kernel.decoding import geometry as g
from kernel.decoding.ablation import _directional_ablation
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
    basis = g.basin(Z, labels["y"]).basis.numpy(force=True)
    np.testing.assert_allclose(basis @ basis.T, np.eye(8), atol=1e-12)
    assert subspace_angles(basis.T, expected.T).max() < 1e-7
    leading = g.basin(Z, labels["y"], rank=2).basis.numpy(force=True)
    assert subspace_angles(leading.T, expected[:2].T).max() < 1e-7


def test_projection_and_complement_part_the_features(rng):
    Z, labels, _, _ = trials(rng)
    projector = g.basin(Z, labels["y"])
    inside, outside = projector.project(Z), projector.complement(Z)
    np.testing.assert_allclose(inside + outside, Z, atol=1e-12)
    means = np.stack([outside[labels["y"] == c].mean(0) for c in range(9)])
    assert np.ptp(means, axis=0).max() < 1e-12  # nothing of the classes is left
    assert projector.project(Z[0]) == pytest.approx(inside[0])
    stack = np.stack([Z, rng.standard_normal(Z.shape)])
    for one, expected in zip(stack, g.basin(stack, labels["y"]).complement(stack), strict=True):
        np.testing.assert_allclose(g.basin(one, labels["y"]).complement(one), expected, atol=1e-9)


def test_every_device_gives_the_same_scores(rng, device, monkeypatch):
    Z, labels, target, _ = trials(rng)
    wide = torch.tensor(Z, dtype=torch.float32, device=device, requires_grad=True)
    inside = g.basin(wide, torch.tensor(labels["y"], device=device)).project(wide)
    assert inside.dtype == torch.float32 and inside.device.type == device  # as the input
    monkeypatch.setenv("KERNEL_DEVICE", device)
    for null in g.NULLS:
        there = align(Z, labels, target, null=null, n_null=20)
        here = align(torch.as_tensor(Z), labels, target, null=null, n_null=20, device="cpu")
        np.testing.assert_allclose(there.null_held_out, here.null_held_out, atol=2e-3)
        assert there.held_out == pytest.approx(here.held_out, abs=2e-3)
    Z, y, head = fitted(rng)
    u = rng.standard_normal(20)
    there, here = (
        _directional_ablation(Z, y, head, u, n_directions=50, projector=g.basin(Z, y, device=one))
        for one in (None, "cpu")
    )
    assert there.drops == pytest.approx(here.drops, abs=5e-3)
    assert there.z("isotropic") == pytest.approx(here.z("isotropic"), abs=0.3)


# Class means


def pc1_score(Z, y, target):
    means = np.stack([Z[y == c].mean(0) for c in np.unique(y)])
    return abs(scipy_stats.pearsonr(PCA(1).fit_transform(means)[:, 0], target)[0])


def test_class_scores_equal_pca_and_scipy_and_share_their_permutations(rng):
    Z, labels, _, _ = trials(rng)
    y = np.array(list("ihgfedcba"))[labels["y"]]  # sorted order is not the order of appearance
    target = rng.standard_normal(9)
    stack = np.stack([Z, Z[:, ::-1], rng.standard_normal(Z.shape)])
    together = g.class_pc1_alignment(stack, y, target, n_permutations=200, random_state=3)
    assert not together.exact and together.null.shape == (200, 3)
    np.testing.assert_allclose(together.null[:, 0], together.null[:, 1], atol=1e-8)  # rearranged means
    for i, one in enumerate(stack):
        single = g.class_pc1_alignment(one, y, target, n_permutations=200, random_state=3)
        assert together.score[i] == pytest.approx(single.score) == pytest.approx(pc1_score(one, y, target))
        assert together.p[i] == single.p
        np.testing.assert_allclose(together.null[:, i], single.null, atol=1e-8)


def test_class_score_finds_a_planted_order_and_none_where_there_is_none(rng):
    y = np.repeat(np.arange(9), 20)
    target = np.linspace(-1, 1, 9)
    planted, absent = [], []
    for _ in range(120):
        Z = rng.standard_normal((9, 12))[y] + rng.standard_normal((180, 12))
        absent.append(g.class_pc1_alignment(Z, y, target, n_permutations=200, random_state=rng).p)
        Z[:, 0] += 4 * target[y]
        planted.append(g.class_pc1_alignment(Z, y, target, n_permutations=200, random_state=rng).p)
    assert np.mean(np.array(planted) < 0.05) > 0.85
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
        return np.array(
            [np.corrcoef(residual(means @ u, keep), residual(target, keep))[0, 1] for u in directions]
        )

    everything = np.ones(28, dtype=bool)
    best = np.argmax(np.abs(r(val, everything)))
    held_out = []
    for a in [*firsts, *~firsts]:
        chosen = r(val, a)
        k = np.argmax(np.abs(chosen))
        held_out.append(np.sign(chosen[k]) * r(test, ~a)[k])
    direction = directions[best] * np.sign(r(val, everything)[best])
    return abs(r(test, everything)[best]), np.mean(held_out), direction


def test_scores_and_permuted_targets_equal_plain_steps(rng):
    Z, labels, target, _ = trials(rng)
    Z += 50 * rng.standard_normal((9, 24))[labels["y"]]  # far larger than what is looked for
    one = align(Z, labels, target, n_splits=3, n_null=4, random_state=1)
    stream = np.random.default_rng(1)
    firsts = g._halvings(CLASS_OF, 3, stream)
    selected, held_out, direction = naive(Z, labels, target, firsts)
    assert (one.selected, one.held_out) == (
        pytest.approx(selected, abs=1e-8),
        pytest.approx(held_out, abs=1e-8),
    )
    np.testing.assert_allclose(one.direction, direction, atol=1e-8)
    np.testing.assert_allclose(np.abs(one.components[one.component]), np.abs(direction), atol=1e-8)
    for i, drawn in enumerate(g._permuted(target, CLASS_OF, 4, stream)):
        selected, held_out, direction = naive(Z, labels, drawn, firsts)
        assert one.null_selected[i] == pytest.approx(selected, abs=1e-8)
        assert one.null_held_out[i] == pytest.approx(held_out, abs=1e-8)
        assert abs(one.null_directions()[i] @ direction) == pytest.approx(1)
    assert one.p_held_out == stats.permutation_p(one.held_out, one.null_held_out, alternative="greater")
    assert one.p_selected == stats.permutation_p(one.selected, one.null_selected, alternative="greater")


def test_permuted_targets_stay_within_their_class(rng):
    drawn = g._permuted(np.arange(28.0), CLASS_OF, 200, rng)
    for c in range(9):
        clips = np.flatnonzero(CLASS_OF == c)
        np.testing.assert_array_equal(np.sort(drawn[:, clips], axis=1), np.tile(clips, (200, 1)))
    assert (drawn.std(0) > 0).all()


def test_drawn_directions_take_the_place_of_components(rng):
    Z, labels, target, _ = trials(rng)
    one = align(Z, labels, target, null="haar", n_splits=3, n_null=4, n_components=7, random_state=5)
    stream = np.random.default_rng(5)
    firsts = g._halvings(CLASS_OF, 3, stream)
    for i, normal in enumerate(stream.standard_normal((4, 24, 7))):
        selected, held_out, _ = naive(Z, labels, target, firsts, np.linalg.qr(normal)[0].T)
        assert one.null_selected[i] == pytest.approx(selected, abs=1e-8)
        assert one.null_held_out[i] == pytest.approx(held_out, abs=1e-8)
    with pytest.raises(ValueError, match="draws directions"):
        one.null_directions()


def test_halves_are_whole_classes_and_varied(rng):
    firsts = g._halvings(CLASS_OF, 50, rng)
    counts = np.stack([firsts[:, CLASS_OF == c].sum(1) for c in range(9)], axis=1)
    assert ((counts == 0) | (counts == np.bincount(CLASS_OF))).all()
    assert ((counts > 0).sum(1) == 4).all() and len(np.unique(firsts, axis=0)) > 20


def test_held_out_score_finds_a_planted_component_and_none_where_there_is_none(rng):
    planted, absent, scores = [], [], []
    for _ in range(80):
        for valence, p in ((0.0, absent), (1.5, planted)):
            Z, labels, target, _ = trials(rng, valence=valence)
            one = align(Z, labels, target, n_splits=5, n_null=100, random_state=rng)
            p.append(one.p_held_out)
            if not valence:
                scores.append(one.held_out)
    assert np.mean(np.array(planted) <= 0.05) > 0.85
    assert rejects_at_its_level(absent)
    assert abs(np.mean(scores)) < 4 * np.std(scores) / np.sqrt(len(scores))


def test_the_best_of_many_components_is_large_without_any_target():
    rng = np.random.default_rng(0)
    scores, naive_p, p = [], [], []
    for _ in range(100):
        Z, labels, target, _ = trials(rng, noise=0.3)  # every clip leaves a trace, none of it valence
        one = align(Z, labels, target, n_splits=1, n_null=100, random_state=rng)
        scores.append(one.selected)
        # the p of one correlation of 19 free contrasts, as if it had not been chosen
        naive_p.append(2 * scipy_stats.t.sf(one.selected * np.sqrt(18 / (1 - one.selected**2)), 18))
        p.append(one.p_selected)
    assert np.mean(scores) > 0.4 and np.mean(np.array(naive_p) < 0.05) > 0.3
    assert rejects_at_its_level(p)  # repeating the choice in the null mends the p, not the score


def test_residual_direction_is_the_planted_one(rng):
    Z, labels, target, axis = trials(rng, valence=4.0, clips=0.2)
    one = align(Z, labels, target, n_null=200)
    assert np.linalg.norm(one.direction) == pytest.approx(1)
    assert one.direction @ axis / np.linalg.norm(axis) > 0.95  # the sign is part of it
    assert one.p_held_out < 0.01 and one.held_out > 0.8
    np.testing.assert_allclose(align(Z, labels, -target, n_null=1).direction, -one.direction, atol=1e-9)


@pytest.mark.parametrize("null", g.NULLS)
def test_residual_scores_of_checkpoints_equal_single_ones(rng, null, monkeypatch):
    Z, labels, target, _ = trials(rng, valence=1.0)
    stack = np.stack([Z, rng.standard_normal(Z.shape), 2 * Z**2])
    options = {"null": null, "n_null": 9, "n_splits": 3}
    together = align(stack, labels, target, **options)
    monkeypatch.setattr(g, "CHUNK", 1)  # one draw at a time
    for i, one in enumerate(stack):
        single = align(one, labels, target, **options)
        assert single.held_out.shape == () and single.component == together.component[i]
        for name in ("selected", "held_out", "p_held_out", "direction", "components"):
            np.testing.assert_allclose(getattr(together, name)[i], getattr(single, name), atol=1e-9)
        for name in ("null_selected", "null_held_out"):
            np.testing.assert_allclose(getattr(together, name)[:, i], getattr(single, name), atol=1e-9)
    if null == "permute":
        np.testing.assert_allclose(together.null_directions()[2], single.null_directions(), atol=1e-9)


def test_directions_that_hold_rounding_errors_are_never_chosen_and_widths_share_targets(rng):
    Z, labels, target, _ = trials(rng, d=5)
    wide = Z @ rng.standard_normal((5, 24)) + 100  # of rank five
    one = align(wide, labels, target, n_null=200)
    assert one.null_component.max() == 4 and one.component < 5
    np.testing.assert_allclose(np.linalg.norm(one.components, axis=1), np.arange(19) < 5, atol=1e-12)
    padded = align(np.concatenate([Z, np.zeros_like(Z)], axis=1), labels, target, n_null=30)
    np.testing.assert_allclose(
        padded.null_held_out, align(Z, labels, target, n_null=30).null_held_out, atol=1e-8
    )


# Ablation


def fitted(rng, d=20, n=900, *, classes=9, wide=None, scale=0.4):
    """Features with class means, their labels, and the head of a linear discriminant on them."""
    y = np.arange(n) % classes
    means = scale * rng.standard_normal((classes, d))
    if wide is not None:
        means[:, wide:] = 0
    Z = means[y] + rng.standard_normal((n, d))
    return Z, y, discriminant(Z, y)


def discriminant(Z, y):
    model = LinearDiscriminantAnalysis().fit(Z, y)
    return model.coef_.T, model.intercept_


def explicit(Z, y, head, u):
    """The fall in accuracy by changing the features themselves."""
    W, b = head
    u = u / np.linalg.norm(u)
    changed = np.stack([z - (z @ u) * u for z in Z])
    before, after = ((x @ W + b).argmax(1) for x in (Z, changed))
    return balanced_accuracy_score(y, before) - balanced_accuracy_score(y, after)


def test_drops_equal_changing_the_features(rng, monkeypatch):
    Z, y, head = fitted(rng, n=301)
    monkeypatch.setattr(ablation, "CHUNK", 1000)  # several chunks
    u, others = rng.standard_normal(20), rng.standard_normal((7, 20))
    effect = _directional_ablation(Z, y, head, u, kinds=(), random_targets=others)
    assert effect.baseline == pytest.approx(balanced_accuracy_score(y, (Z @ head[0] + head[1]).argmax(1)))
    assert effect.drops["whole"] == pytest.approx(explicit(Z, y, head, u))
    expected = np.array([explicit(Z, y, head, other) for other in others])
    assert effect.drops["whole"] != 0 and len(set(expected)) > 3
    np.testing.assert_allclose(effect.null["random_target"], expected, atol=1e-12)
    z = (effect.drops["whole"] - np.mean(expected)) / np.std(expected, ddof=1)
    assert effect.z("random_target") == pytest.approx(z)
    assert effect.p("random_target") == pytest.approx(
        (1 + np.sum(expected >= effect.drops["whole"] - 1e-12)) / 8
    )


def test_equal_logits_count_as_argmax_counts_them(rng):
    Z, y, (W, b) = fitted(rng, n=300, classes=4)
    W, b = W[:, [0, 1, 1, 0]], b[[0, 1, 1, 0]]
    u = rng.standard_normal(20)
    assert _directional_ablation(Z, y, (W, b), u, kinds=()).drops["whole"] == pytest.approx(
        explicit(Z, y, (W, b), u)
    )
    flat = _directional_ablation(Z, y, (0 * W, 0 * b), u, kinds=())
    assert flat.baseline == pytest.approx(0.25, abs=1e-12)
    assert flat.drops["whole"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("kind", ablation.KINDS)
def test_controls_are_drawn_as_named(rng, kind):
    Z, y, _ = fitted(rng, d=12, classes=4)
    Z = torch.as_tensor(Z * np.geomspace(5, 0.5, 12))
    projector = g.basin(Z, y)
    drawn = ablation._control_directions(kind, Z, 20_000, projector, rng).numpy()
    covariance = drawn.T @ drawn / len(drawn)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    inside = np.abs(drawn @ projector.basis.numpy().T).max()
    assert (inside < 1e-10) == kind.endswith("residual")
    shape = drawn.T @ drawn / len(drawn)
    if kind == "isotropic":
        np.testing.assert_allclose(shape, np.eye(12) / 12, atol=0.01)
    elif kind == "matched":
        expected = np.cov(Z.numpy().T, bias=True)
        error = np.sqrt((np.outer(*2 * [np.diag(expected)]) + expected**2) / len(drawn))
        assert (np.abs(covariance - expected) < 5 * error).all()
        # the mean outer product of unit vectors keeps the axes of the covariance, and their order
        _, axes = np.linalg.eigh(np.cov(Z.numpy().T))
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
    hurt = _directional_ablation(Z, y, head, used, n_directions=300, kinds=("isotropic", "matched_residual"))
    spared = _directional_ablation(Z, y, head, unused, n_directions=300, kinds=("isotropic",))
    assert hurt.drops["whole"] > 0.2 and hurt.p("isotropic") < 0.01 and hurt.p("matched_residual") < 0.01
    assert abs(spared.drops["whole"]) < 0.02 and spared.p("isotropic") > 0.05


def test_a_large_z_against_isotropic_directions_may_be_variance_alone(rng):
    d, y = 40, np.arange(900) % 9
    means = np.zeros((9, d))
    means[:, 0] = rng.permutation(9) * 4.0  # the classes, in an order that follows no target
    Z = means[y] + rng.standard_normal((900, d))
    options = {"kinds": ("isotropic", "matched"), "n_directions": 300}
    wide = _directional_ablation(Z, y, discriminant(Z, y), np.eye(d)[0], **options)
    assert wide.z("isotropic") > 5 and wide.p("isotropic") < 0.01
    assert wide.z("matched") < 2 and wide.p("matched") > 0.05
    Z *= np.where(np.arange(d) == 0, 0.1, 10)  # a small direction that carries the classes stands out of both
    small = _directional_ablation(Z, y, discriminant(Z, y), np.eye(d)[0], **options)
    assert small.p("isotropic") < 0.01 and small.p("matched") < 0.01


def test_the_part_orthogonal_to_the_basin(rng):
    Z, y, (W, b) = fitted(rng)
    projector = g.basin(Z, y)
    head = (projector.project(W.T).T, b)  # a head that looks at nothing but the class span
    u = rng.standard_normal(20)
    inside, outside = projector.project(u), projector.complement(u)
    options = {"kinds": ("isotropic", "residual"), "n_directions": 50}
    mixed, within, across = (_directional_ablation(Z, y, head, v, **options) for v in (u, inside, outside))
    assert mixed.share_in_basin == pytest.approx(inside @ inside / (u @ u))
    assert mixed.drops["orthogonal"] == pytest.approx(across.drops["whole"]) == pytest.approx(0)
    assert within.share_in_basin == pytest.approx(1) and within.drops["whole"] > 0.02
    assert within.drops["orthogonal"] == pytest.approx(0, abs=1e-12)
    assert across.share_in_basin == pytest.approx(0, abs=1e-12)
    assert np.isnan(across.z("residual")) and across.p("residual") == 1  # no control has any effect either
    assert within.z("isotropic") > within.z("isotropic", "orthogonal")
    for kind, null in within.null.items():
        for part, drop in within.drops.items():
            assert within.p(kind, part) == stats.permutation_p(drop, null, alternative="greater")
    assert within.p("isotropic") < within.p("isotropic", "orthogonal")
    two = g.basin(Z, y, rank=2)  # one that is given is used
    given = _directional_ablation(Z, y, head, u, kinds=(), projector=two)
    assert given.share_in_basin == pytest.approx(np.sum(two.project(u) ** 2) / (u @ u))


# Input that cannot be used


def bad_inputs():
    rng = np.random.default_rng(0)
    Z, labels, target, _ = trials(rng)
    y, levels, W, b, u = labels["y"], np.arange(9.0), rng.standard_normal((24, 9)), np.zeros(9), np.ones(24)
    nan = np.where(np.arange(24) == 3, np.nan, Z)
    two_classes = {**labels, "clip": np.where(np.arange(len(y)) == 5, 27, labels["clip"])}
    single = {**labels, "y": np.maximum(labels["clip"] - 3, 0)}  # one class of four clips, others of one

    def effect(**changes):
        given = {"Z": Z, "y": y, "head": (W, b), "direction": u, "n_directions": 3, **changes}
        return lambda: _directional_ablation(**given)

    def aligned(labels=labels, target=target, Z=Z, **options):
        return lambda: align(Z, labels, target, **options)

    return {
        "one class only, 0": lambda: g.basin(Z, np.zeros(len(Z), int)),
        "Z must be .n_trials, d.": lambda: g.basin(Z[0], y),
        "y must have shape": lambda: g.basin(Z, y[:-1]),
        "Z holds NaN": lambda: g.basin(nan, y),
        "y holds NaN": lambda: g.basin(Z, np.where(y == 3, np.nan, y)),
        "rank must be a whole number from 1 to 8": lambda: g.basin(Z, y, rank=9),
        "means of checkpoint 1 span fewer than 8": lambda: g.basin(np.stack([Z, Z[:, :1] * u]), y),
        "means span fewer than 1": lambda: g.class_pc1_alignment(np.ones_like(Z), y, levels),
        "X must have 24": lambda: g.basin(Z, y).project(Z[:, :3]),
        "2 classes: any two": lambda: g.class_pc1_alignment(Z, y > 3, [0, 1]),
        "target must have shape .9 classes": lambda: g.class_pc1_alignment(Z, y, levels[:5]),
        "must vary over classes": lambda: g.class_pc1_alignment(Z, y, np.ones(9)),
        "clip 27 belongs to two classes": aligned(two_classes),
        "clip must have shape": aligned({**labels, "clip": [1, 2]}),
        "target_by_clip must have": aligned(target=levels),
        "target_by_clip holds NaN": aligned(target=np.where(target > 0, np.nan, target)),
        "constant within every class": aligned(target=levels[CLASS_OF]),
        "subject 7 is in validation and test": aligned(test=np.arange(7, 9)),
        "test has no trial of subject 99": aligned(test=[99]),
        "equal features": aligned(Z=rng.standard_normal((9, 24))[y]),
        "leave 0 contrasts within": aligned(single),
        "fills all 8 dimensions": effect(Z=Z[:, :8], head=(W[:8], b), direction=u[:8]),
        "scores must be": lambda: score_accuracy(Z[0], y),
    }


@pytest.mark.parametrize(("message", "call"), bad_inputs().items(), ids=list(bad_inputs()))
def test_says_what_it_cannot_use(message, call):
    with pytest.raises(ValueError, match=message):
        call()
