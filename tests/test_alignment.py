"""Alignment losses: equal to independent libraries, finite where nothing varies, moved by values alone."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial import procrustes as scipy_procrustes
from torch.nn import functional as F

from kernel.decoding import aligner, alignment
from kernel.decoding.alignment import (
    NAMED,
    PAPER_ROWS,
    STRATEGIES,
    Alignment,
    Context,
    permute_values,
)
from kernel.decoding.losses import LOSSES, Batch

CLIP_CLASS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
VALUES = np.array([1.2, 0.9, 1.5, 0.1, -0.2, 0.3, -1.0, -1.4, -0.9, -0.5])
PLAIN = STRATEGIES["rsa"].phase(0.0)  # both losses count, nothing is held fixed
WITH_LOSS = [s for s in STRATEGIES.values() if s.loss is not None]


def make_batch(rng, n=24, members=2, d=6, values=VALUES, dtype=torch.float64, **changes):
    """A batch of ten clips in three classes; parameters for every loss."""
    values = (values - values.mean()) / (values.std() or 1)
    clip = torch.tensor(rng.integers(0, 10, (members, n)))
    means = np.array([values[CLIP_CLASS == k].mean() for k in range(3)])

    def draw(*shape):
        return torch.tensor(rng.standard_normal(shape), dtype=dtype)

    batch = Batch(
        z=draw(members, n, d),
        logits=draw(members, n, 3),
        y=torch.tensor(CLIP_CLASS)[clip],
        clip=clip,
        values=torch.tensor(values, dtype=dtype)[None, :, None].repeat(members, 1, 1),
        class_values=torch.tensor(means, dtype=dtype).repeat(members, 1),
        strength=torch.full((members,), 0.7, dtype=dtype),
        smoothing=torch.full((members,), 0.1, dtype=dtype),
        parameters={
            "weight": draw(members, d, 1),
            "bias": draw(members, 1),
            "log_variance": draw(members, 2),
        },
        teacher=draw(members, n, 3),
    )
    return replace(batch, **changes)


def settings(strategy):
    return strategy.loss_options(strategy.options)


# Against independent libraries


def test_rsa_and_cka_agree_with_rsatoolbox(rng):
    toolbox = pytest.importorskip("rsatoolbox")
    batch = make_batch(rng)
    for loss, method in ((LOSSES["rsa"], "corr"), (LOSSES["cka"], "cosine_cov")):
        for m, found in enumerate(loss(batch)):
            points = (batch.z[m].numpy(), batch.clip_value[m].numpy()[:, None])
            rdms = [toolbox.rdm.calc_rdm(toolbox.data.Dataset(x), method="euclidean") for x in points]
            expected = toolbox.rdm.compare(*rdms, method=method).item()
            assert 1 - found.item() == pytest.approx(expected, abs=1e-6)


def test_procrustes_agrees_with_scipy(rng):
    batch = make_batch(rng, n=40)
    for m, found in enumerate(LOSSES["procrustes"](batch)):
        y = batch.y[m].numpy()
        r, t = batch.z[m].numpy().copy(), batch.clip_value[m].numpy()[:, None].copy()
        for k in np.unique(y):
            r[y == k] -= r[y == k].mean(0)
            t[y == k] -= t[y == k].mean(0)
        disparity = scipy_procrustes(r, np.pad(t, ((0, 0), (0, r.shape[1] - 1))))[2]
        assert found.item() == pytest.approx(disparity, abs=1e-6)


def test_contrasts_agree_with_pytorch_metric_learning(rng):
    library = pytest.importorskip("pytorch_metric_learning.losses")
    batch = make_batch(rng, n=40)
    third = torch.tensor(
        np.digitize(batch.clip_value, np.quantile(batch.values[0], [1 / 3, 2 / 3]), right=True)
    )
    supcon = LOSSES["supcon_class"](batch, temperature=0.1, width=1e-3)  # no weight between classes
    nce = LOSSES["info_nce"](batch, temperature=0.2)
    for m in range(2):
        expected = library.SupConLoss(temperature=0.1)(batch.z[m], batch.y[m])
        assert supcon[m].item() == pytest.approx(expected.item(), rel=1e-6)
        expected = library.NTXentLoss(temperature=0.2)(batch.z[m], third[m])
        assert nce[m].item() == pytest.approx(expected.item(), rel=1e-6)


def test_supcon_is_its_formula_for_weights_of_clips(rng):
    batch = make_batch(rng, n=7, members=1)
    z, value = batch.z[0].numpy(), batch.clip_value[0].numpy()
    w = np.exp(-((value[:, None] - value) ** 2) / (2 * 0.8**2))
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    s = np.exp(unit @ unit.T / 0.3)
    np.fill_diagonal(s, 0)
    log_s = np.log(np.where(s > 0, s, 1) / s.sum(1, keepdims=True))
    np.fill_diagonal(w, 0)
    expected = -np.mean((w * log_s).sum(1) / w.sum(1))
    found = LOSSES["supcon_clip"](batch, temperature=0.3, width=0.8)
    assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_distillation_agrees_with_torch(rng, temperature):
    batch = make_batch(rng)
    divergence = torch.nn.KLDivLoss(reduction="batchmean")
    found = LOSSES["distilled_teacher"](batch, temperature=temperature, teacher_strength=0.5)
    labelled = LOSSES["soft_label_kd"](batch, temperature=temperature)
    for m in range(2):
        log_p = F.log_softmax(batch.logits[m] / temperature, -1)
        q = F.softmax(batch.teacher[m] / temperature, -1)
        assert found[m].item() == pytest.approx(temperature**2 * divergence(log_p, q).item())
        distance = (batch.clip_value[m][:, None] - batch.class_values[m]).abs()
        q = F.softmax(-distance / temperature, -1)
        assert labelled[m].item() == pytest.approx(temperature**2 * divergence(log_p, q).item())


def test_distance_cross_entropy_makes_a_soft_target_of_the_base_loss(rng):
    batch = make_batch(rng)
    for m in range(2):
        base = F.cross_entropy(batch.logits[m], batch.y[m], label_smoothing=0.1)
        distance = (batch.class_values[m][batch.y[m]][:, None] - batch.class_values[m]).abs()
        soft = F.softmax(-distance / 0.7, -1)
        expected = F.cross_entropy(batch.logits[m], 0.9 * soft + 0.1 / 3)
        found = base + LOSSES["distance_ce"](batch)[m]
        assert found.item() == pytest.approx(expected.item())
    cold = replace(batch, strength=torch.full((2,), 1e-6, dtype=torch.float64))
    assert LOSSES["distance_ce"](cold).abs().max() < 1e-12


def test_regression_and_its_weights(rng):
    batch = make_batch(rng)
    weight = torch.tensor([[5.0, 3.0, 1.0]], dtype=torch.float64).repeat(2, 1)
    plain, weighted = LOSSES["regression"](batch), LOSSES["regression"](replace(batch, emotion_weight=weight))
    for m in range(2):
        predicted = batch.z[m] @ batch.parameters["weight"][m] + batch.parameters["bias"][m]
        error = ((predicted[:, 0] - batch.clip_value[m]) ** 2).numpy()
        assert plain[m].item() == pytest.approx(error.mean())
        assert weighted[m].item() == pytest.approx(np.average(error, weights=weight[0][batch.y[m]]))


def test_several_models_are_the_mean_of_their_regressions(rng):
    first, second = make_batch(rng), make_batch(np.random.default_rng(1))
    batches = [first, replace(first, values=-(first.values**2), parameters=second.parameters)]
    heads = {k: torch.cat([b.parameters[k] for b in batches], -1) for k in ("weight", "bias")}
    both = replace(first, values=torch.cat([b.values for b in batches], -1), parameters=heads)
    torch.testing.assert_close(LOSSES["regression"](both), sum(map(LOSSES["regression"], batches)) / 2)


def test_uncertainty_weighting_is_kendalls(rng):
    batch = make_batch(rng, strength=torch.ones(2, dtype=torch.float64))
    base, extra = torch.tensor([1.3, 0.4]), torch.tensor([0.8, 2.0])
    found = STRATEGIES["uncertainty"].combine(base, extra, batch, PLAIN)
    variance = batch.parameters["log_variance"].exp().numpy()
    expected = base / variance[:, 0] + extra / (2 * variance[:, 1]) + np.log(np.sqrt(variance)).sum(1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_expected_valence_is_zero_for_a_certain_and_right_classifier(rng):
    flat = np.array([1.0, 1, 1, 0, 0, 0, -1, -1, -1, -1])
    batch = make_batch(rng, values=flat)
    sure = replace(batch, logits=100 * F.one_hot(batch.y, 3).double())
    assert LOSSES["expected_valence"](sure).max() < 1e-12
    assert LOSSES["expected_valence"](batch).min() > 0.01


def test_smoothing_mixes_near_classes_and_none_is_no_change(rng):
    logits, values = rng.standard_normal((5, 3)), np.array([-1.0, 0.9, 1.0])
    smooth = STRATEGIES["smooth_prior"].infer
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(smooth(logits, values, 0.0, width=0.5)), p)
    mixed = np.exp(smooth(logits, values, 1.0, width=0.2))
    np.testing.assert_allclose(mixed.sum(1), 1)
    np.testing.assert_allclose(mixed[:, 0], p[:, 0], atol=1e-9)  # far from the others
    assert np.ptp(mixed[:, 1:], axis=1).max() < 0.3 * np.ptp(p[:, 1:], axis=1).max()


# What training may meet


def poor_batches(rng):
    base = dict(dtype=torch.float32)
    ordinary = make_batch(rng, **base)
    yield "zero features", replace(ordinary, z=torch.zeros_like(ordinary.z))
    yield "zero logits", replace(ordinary, logits=torch.zeros_like(ordinary.logits))
    yield "one sample", make_batch(rng, n=1, **base)
    yield "constant features", replace(ordinary, z=torch.ones_like(ordinary.z))
    one_clip = torch.full_like(ordinary.clip, 4)
    yield "one clip", replace(ordinary, clip=one_clip, y=torch.full_like(one_clip, 1))
    yield "huge", replace(ordinary, z=1e4 * ordinary.z, logits=1e3 * ordinary.logits)


def whole_loss(strategy, batch):
    """Loss of a batch whose base loss is the cross entropy."""
    base = F.cross_entropy(batch.logits.flatten(0, 1), batch.y.flatten(), reduction="none")
    base = base.view(batch.y.shape).mean(1)
    return strategy.combine(base, strategy.loss(batch, **settings(strategy)), batch, PLAIN)


@pytest.mark.parametrize("strategy", WITH_LOSS, ids=lambda s: s.name)
def test_losses_are_finite_smooth_and_each_members_own(rng, strategy):
    for name, batch in poor_batches(rng):
        parameters = {key: value.clone().requires_grad_() for key, value in batch.parameters.items()}
        z, logits = batch.z.clone().requires_grad_(), batch.logits.clone().requires_grad_()
        loss = whole_loss(strategy, replace(batch, z=z, logits=logits, parameters=parameters))
        assert loss.shape == (2,) and loss.isfinite().all(), name
        loss.sum().backward()
        for leaf in (z, logits, *parameters.values()):
            assert leaf.grad is None or leaf.grad.isfinite().all(), name
    batch = make_batch(rng, n=9)
    z, logits = batch.z.clone().requires_grad_(), batch.logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z, logits: whole_loss(strategy, replace(batch, z=z, logits=logits)),
        (z, logits),
        fast_mode=True,
    )
    together = whole_loss(strategy, batch)
    for m in range(2):
        tensors = {k: v[m : m + 1] for k, v in vars(batch).items() if isinstance(v, torch.Tensor)}
        alone = replace(batch, **tensors, parameters={k: p[m : m + 1] for k, p in batch.parameters.items()})
        torch.testing.assert_close(whole_loss(strategy, alone)[0], together[m])


@pytest.mark.parametrize("loss", [LOSSES["rsa"], LOSSES["cka"], LOSSES["procrustes"]])
def test_relational_losses_see_what_is_planted(rng, loss):
    batch = make_batch(rng, n=60)
    direction = torch.tensor(rng.standard_normal(6))
    planted = replace(batch, z=batch.clip_value[..., None] * direction)
    assert loss(planted).max() < 1e-5
    assert loss(batch).min() > 0.7
    rotation = torch.tensor(np.linalg.qr(rng.standard_normal((6, 6)))[0])
    torch.testing.assert_close(loss(replace(batch, z=3 * batch.z @ rotation)), loss(batch), atol=1e-5, rtol=0)


# Adapters


def test_adapter_gradients_are_those_of_autograd(rng):
    kept = {
        "layers.0.weight": torch.randn(2, 5, 7),
        "layers.0.bias": torch.randn(2, 5),
        "head.weight": torch.randn(2, 3, 5),
    }
    upstream = {name: torch.randn_like(value) for name, value in kept.items()}
    rngs = [torch.Generator().manual_seed(m) for m in range(2)]
    low_rank, scales = aligner._LowRank(kept, rngs, rank=2), aligner._Scales(kept, rngs)
    for adapter in (low_rank, scales):
        for name, made in adapter.weights(kept).items():
            torch.testing.assert_close(made, kept[name])  # changes nothing at the start
    assert scales.names == ["head.weight"]
    with torch.no_grad():
        for p in [*low_rank.parameters(), *scales.parameters()]:
            p.copy_(torch.randn_like(p))
    expected = []
    for name, a, b in zip(low_rank.names, low_rank.a, low_rank.b, strict=True):
        made = kept[name] + b @ a
        expected += list(torch.autograd.grad((made * upstream[name]).sum(), [a, b]))
    made = kept["head.weight"] * (1 + scales.s[0][:, None])
    expected += torch.autograd.grad((made * upstream["head.weight"]).sum(), [scales.s[0]])
    low_rank.backward(upstream, kept)
    scales.backward(upstream, kept)
    found = [p.grad for pair in zip(low_rank.a, low_rank.b, strict=True) for p in pair] + [scales.s[0].grad]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert torch.linalg.matrix_rank(low_rank.weights(kept)["head.weight"] - kept["head.weight"]).max() == 2


# Targets


def test_a_placebo_moves_means_and_deviations_and_keeps_the_class_means(rng):
    values = np.column_stack([VALUES, rng.standard_normal(10)])
    values = (values - values.mean(0)) / values.std(0)
    moved = np.stack([permute_values(values, CLIP_CLASS, seed) for seed in range(300)])
    np.testing.assert_allclose(moved.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(moved.std(1), 1)
    np.testing.assert_array_equal(moved[3], permute_values(values, CLIP_CLASS, 3))
    member = np.eye(3)[CLIP_CLASS]
    means = (member / member.sum(0)).T @ values
    after = np.einsum("cK,scd->sKd", member / member.sum(0), moved)
    # the same three rows of means up to the scaling: order over classes is uniform
    order = after[:, :, 0].argsort(1)
    patterns, counts = np.unique(order, axis=0, return_counts=True)
    assert len(patterns) == 6 and counts.min() > 25
    np.testing.assert_allclose(
        np.sort(np.diff(np.sort(after[:, :, 0]), axis=1)[:, 0] / np.ptp(after[:, :, 0], axis=1)),
        np.full(300, np.diff(np.sort(means[:, 0]))[0] / np.ptp(means[:, 0])),
    )
    rest = moved - np.einsum("cK,sKd->scd", member, after)
    own = values - member @ means
    agreement = np.einsum("scd,cd->s", rest[..., :1], own[:, :1])
    assert abs(agreement.mean()) < 4 * agreement.std() / np.sqrt(300) and agreement.std() > 0.1


def test_values_per_clip_and_per_class():
    per_class = make_context([3.0, 1.0, 2.0]).values
    assert per_class.shape == (10, 1) and per_class.std() == pytest.approx(1)
    assert len(np.unique(per_class)) == 3
    by_name = {"tenderness": 2.0, "anger": 3.0, "joy": 9.0, "amusement": 1.0}
    for named in (by_name, pd.Series(by_name), pd.DataFrame({"model": by_name})):
        np.testing.assert_array_equal(make_context(named).values, per_class)
    np.testing.assert_allclose(make_context(5 * VALUES - 3).values, make_context(VALUES).values)
    for bad in (np.ones(4), np.full(10, np.nan), np.ones((10, 2, 2))):
        with pytest.raises(ValueError, match=r"each of 10 clips or 3 classes|valence holds NaN"):
            make_context(bad)
    with pytest.raises(ValueError, match="same for all clips"):
        make_context(np.ones(10))


def make_context(values=VALUES, channels=("Fp1", "F3", "F4", "F7", "F8", "Fp2", "Cz", "O1", "A1"), **changes):
    profile = np.random.default_rng(0).standard_normal((10, len(channels), 2))
    emotions = ("anger", "amusement", "tenderness")
    cohort = SimpleNamespace(
        y=CLIP_CLASS, classes=emotions, clips=np.arange(len(CLIP_CLASS)), bands=("alpha", "beta")
    )
    return replace(Context.of(cohort, values, np.arange(10), profile, channels), **changes)


def seen(name, context, x, **options):
    """What a channel strategy lets through of an input (n_channels, n_bands)."""
    mixing, bands = STRATEGIES[name].view(context, context.values, **options)
    return mixing @ (x * bands)


def test_views_let_through_what_they_name(rng):
    context = make_context()
    x = rng.standard_normal((9, 2))
    np.testing.assert_array_equal(seen("frontal", context, x), np.r_[x[:6], np.zeros((3, 2))])
    np.testing.assert_array_equal(seen("occipital", context, x)[7], x[7])
    assert np.count_nonzero(seen("occipital", context, x)) == 2
    difference = seen("frontal_asymmetry", context, x)
    assert difference[2, 0] == pytest.approx((x[2, 0] - x[1, 0]) / 2) == -difference[1, 0]  # F4 - F3
    assert not difference[:, 1].any() and not difference[6:].any()
    planted = context.profile.copy()
    planted[:, 6, 1] = VALUES
    best = seen("topography", replace(context, profile=planted), x, n_channels=1)
    np.testing.assert_array_equal(np.flatnonzero(best.any(1)), [6])
    planted[3] = np.nan  # a clip without training trials does not count
    best = seen("topography", replace(context, profile=planted), x, n_channels=1)
    np.testing.assert_array_equal(np.flatnonzero(best.any(1)), [6])


@pytest.mark.parametrize(
    ("given", "context", "message"),
    [
        (Alignment("procrustes"), make_context([1.0, 2.0, 4.0]), "needs clip information"),
        (Alignment("supcon_clip"), make_context([1.0, 2.0, 4.0]), "needs clip information"),
        (Alignment("multi_model"), make_context(), "two or more models"),
        (Alignment("occipital"), make_context(channels=("F3", "Cz")), "no occipital electrode among F3, Cz"),
        (Alignment("frontal_asymmetry"), make_context(channels=("F3", "F4")), "needs the alpha band and"),
        (Alignment("topography"), make_context(channels=("F3", "Cz")), "n_channels is 8, the cohort has 2"),
        (
            Alignment("anger_weighted"),
            make_context(classes=("joy", "anger", "fear")),
            "amusement, tenderness",
        ),
    ],
)
def test_what_a_cohort_lacks_is_named(given, context, message):
    with pytest.raises(ValueError, match=message):
        context.check(given, "mlp", 10)


def test_networks_and_lengths_that_cannot_serve_are_named():
    context = make_context()
    with pytest.raises(ValueError, match="'lora' is defined for mlp, not for 'axial'"):
        context.check(Alignment("lora"), "axial", 10)
    with pytest.raises(ValueError, match="two steps and needs epochs >= 2, got 1"):
        context.check(Alignment("head_tuning"), "mlp", 1)
    context.check(Alignment("head_tuning"), "axial", 2)


# Registry


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("magic",), "strategy must be one of frontal.*; got 'magic'"),
        (("rsa", -1.0), r"strength of 'rsa' must lie in \[0, inf\), got -1.0"),
        (("smooth_prior", 1.5), r"must lie in \[0, 1\], got 1.5"),
        (("rsa", 1.0, {"temperature": 1.0}), "option of 'rsa' must be one of .none.; got 'temperature'"),
        (
            ("info_nce", 1.0, {"temperature": 0.0}),
            r"temperature of 'info_nce' must lie in \(0, inf\), got 0.0",
        ),
        (("lora", 1.0, {"rank": 1.5}), "rank of 'lora' must be a whole number of 1 or more, got 1.5"),
    ],
)
def test_an_alignment_names_what_is_impossible(given, message):
    with pytest.raises(ValueError, match=message):
        Alignment(*given)


def test_the_registry_covers_the_paper(rng):
    import pandas as pd

    from kernel import claims

    assert list(PAPER_ROWS) == list(range(1, 26))
    folder = claims.__file__.replace("claims.py", "data/alignment_p_values.csv")
    printed = pd.read_csv(folder, comment="#").set_index("number")["strategy"]
    for number, row in PAPER_ROWS.items():
        stated = printed[number].rpartition(" ")[2]
        if stated.replace(".", "").isdigit():
            assert row.dose == float(stated), printed[number]
    assert {a.strategy for a in [*PAPER_ROWS.values(), *NAMED.values()]} == set(STRATEGIES)
    table = alignment.strategies_table()
    assert table["rows"].str.split(", ").explode().loc[lambda s: s != ""].astype(
        int
    ).sort_values().tolist() == list(range(1, 26))
    for s in STRATEGIES.values():
        assert s.kind in "loss initialisation tuning schedule inference data teacher".split()
        assert "here" in s.reading or "as for" in s.reading.lower() or "Not in the paper" in s.reading, s.name
        assert "doi:" in s.reference or "arXiv:" in s.reference
