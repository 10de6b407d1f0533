"""Networks: one protocol, weights from the seed alone, attention as published, stacks equal to members."""

import sys

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score

from kernel.decoding import networks
from kernel.decoding.networks import STACKED, _Attention, _Dropout, build, count_parameters, linear_baseline

SHAPE = {"n_channels": 6, "n_bands": 5, "n_classes": 4, "random_state": 0}
CASES = [
    ("mlp", 1, {}),
    ("mlp", 3, {"hidden": (16,), "window_width": 6}),
    ("axial", 1, {}),
    ("axial", 3, {"width": 8, "depth": 2, "heads": 4, "penultimate": 12}),
]


def make_input(n, n_windows, seed=1):
    return torch.randn((n, 6, n_windows, 5), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "n_windows", "options"), CASES)
def test_every_network_gives_features_and_their_head(name, n_windows, options, device):
    network = build(name, n_windows=n_windows, **SHAPE, **options).to(device).eval()
    x = make_input(7, n_windows).to(device)
    z = network.features(x)
    assert z.ndim == 2 and len(z) == 7 and network(x).shape == (7, 4)
    torch.testing.assert_close(network(x), network.head(z))
    network(x).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize(("name", "n_windows", "options"), CASES)
def test_weights_come_from_the_seed_alone(name, n_windows, options):
    def weights(seed):
        network = build(name, n_windows=n_windows, **{**SHAPE, "random_state": seed}, **options)
        return torch.cat([p.detach().flatten() for p in network.parameters()])

    before = torch.random.get_rng_state()
    first = weights(0)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    assert torch.equal(weights(0), first) and not torch.equal(weights(1), first)


def test_documented_parameter_counts():
    shape = {"n_channels": 32, "n_bands": 5, "n_windows": 1, "n_classes": 9, "random_state": 0}
    for name in ("mlp", "axial"):
        count = f"{count_parameters(build(name, **shape)):,}"
        assert f"- ``{name}``, {count}:" in networks.__doc__


def test_attention_agrees_with_torch():
    ours, theirs = _Attention(16, 4), torch.nn.MultiheadAttention(16, 4, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.qkv.weight.data, ours.qkv.bias.data
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = ours.out.weight.data, ours.out.bias.data
    x = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], atol=1e-6, rtol=1e-5)


def test_relative_position_depends_on_the_difference_alone():
    attention = _Attention(4, 1, length=5)
    attention.qkv.weight.data.zero_()
    attention.qkv.weight.data[8:] = torch.eye(4)  # values are the tokens, scores are the bias
    attention.qkv.bias.data.zero_()
    attention.out.weight.data, attention.out.bias.data = torch.eye(4), torch.zeros(4)
    attention.bias.data[0] = torch.arange(9.0)
    x = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0))
    scores = np.array([[i - j + 4 for j in range(5)] for i in range(5)], dtype=float)
    weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(attention(x)[0].detach(), weights @ x[0].numpy(), atol=1e-5)


def test_channels_carry_their_embedding():
    network = build("axial", n_windows=2, **SHAPE).eval()
    x, order = make_input(3, 2), torch.tensor([3, 0, 5, 1, 4, 2])
    expected = network(x)
    assert not torch.allclose(network(x[:, order]), expected, atol=1e-4)
    network.channels.data = network.channels.data[order]
    torch.testing.assert_close(network(x[:, order]), expected, atol=1e-5, rtol=1e-4)


def test_time_is_read_through_the_position_bias_alone():
    x, order = make_input(3, 4), torch.tensor([2, 0, 3, 1])
    network = build("axial", n_windows=4, **SHAPE).eval()
    torch.testing.assert_close(network(x[:, :, order]), network(x), atol=1e-5, rtol=1e-4)  # it starts at zero
    network.blocks[0].time_attention.bias.data.copy_(torch.randn(2, 7))
    assert not torch.allclose(network(x[:, :, order]), network(x), atol=1e-4)


def test_dropout_keeps_the_mean_and_the_share():
    drop = _Dropout(0.25).train()
    drop.generators = [torch.Generator().manual_seed(0)]
    y = drop(torch.ones(1, 200_000))
    assert (y == 0).float().mean() == pytest.approx(0.25, abs=0.005)
    assert y.mean() == pytest.approx(1, abs=0.01)
    assert torch.equal(drop.eval()(y), y)
    assert torch.equal(_Dropout(0.0).train()(y), y)


@pytest.mark.parametrize("options", [{}, {"hidden": (16, 12, 8), "dropout": 0.0}])
def test_a_stack_equals_its_members(options, device):
    shape = {**SHAPE, "n_windows": 1}
    members = [build("mlp", **{**shape, "random_state": seed}, **options).to(device) for seed in range(3)]
    stack = STACKED["mlp"](members)
    x = torch.randn(3, 10, 6, 1, 5, device=device)
    for training in (False, True):
        stack.train(training)
        networks.use_generators(stack, [torch.Generator(device).manual_seed(s) for s in range(3)])
        together = stack(x)
        for index, member in enumerate(members):
            member.train(training)
            networks.use_generators(member, [torch.Generator(device).manual_seed(index)])
            torch.testing.assert_close(together[index], member(x[index]), atol=1e-6, rtol=1e-5)
    for member, state in zip(members, stack.states(), strict=True):
        assert all(torch.equal(value, state[name]) for name, value in member.state_dict().items())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lstm", {}, "network must be one of mlp, axial, cbramod; got 'lstm'"),
        ("mlp", {"width": 3}, "option of 'mlp' must be one of hidden"),
        ("mlp", {"hidden": ()}, "hidden is empty"),
        ("mlp", {"hidden": (8, 0)}, "hidden must be a whole number of 1 or more, got 0"),
        ("mlp", {"window_width": -1}, "window_width must be a whole number of 0 or more, got -1"),
        ("mlp", {"dropout": 1.0}, "dropout must lie in"),
        ("axial", {"width": 10, "heads": 4}, "width 10 is not a multiple of heads 4"),
        ("axial", {"depth": 0}, "depth must be a whole number of 1 or more"),
        ("mlp", {"n_classes": 1}, "n_classes must be a whole number of 2 or more, got 1"),
    ],
)
def test_names_what_it_cannot_build(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, n_windows=2, **{**SHAPE, **options})


def test_cbramod_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "braindecode", None)
    monkeypatch.setitem(sys.modules, "braindecode.models", None)
    with pytest.raises(ImportError, match=r"valence-axis\[models\].*torchaudio"):
        build("cbramod", n_windows=2, **SHAPE)


def test_cbramod_classifies_raw_eeg_where_it_can_be_imported():
    try:
        network = build("cbramod", n_windows=2, **SHAPE, layers=1).eval()
    except ImportError as error:
        pytest.skip(str(error))
    x = 30 * torch.randn(3, 6, 400, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(x), network.head(network.features(x)))
    assert network(x).shape == (3, 4) and network.features(x).shape == (3, 200)


@pytest.mark.parametrize("name", networks.LINEAR_BASELINES)
def test_linear_baselines_find_what_is_planted_and_nothing_else(name, rng):
    y = np.repeat(np.arange(4), 100)
    centres = rng.standard_normal((4, 30))
    for strength, low, high in ((0.7, 0.75, 1.0), (0.0, 0.15, 0.35)):
        X, new = (strength * centres[y] + rng.standard_normal((400, 30)) for _ in range(2))
        found = balanced_accuracy_score(y, linear_baseline(name).fit(X, y).predict(new))
        assert low <= found <= high


def test_lda_is_plain_shrinkage_lda_on_centred_features(rng):
    y, units = np.repeat(np.arange(4), 20), np.geomspace(0.1, 10, 30)
    X, new = (units * (rng.standard_normal((4, 30))[y] + rng.standard_normal((80, 30))) for _ in range(2))
    plain = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(X - X.mean(0), y)
    found = linear_baseline("lda").fit(X, y).predict_proba(new)
    np.testing.assert_allclose(found, plain.predict_proba(new - X.mean(0)), atol=1e-9)


def test_a_window_layer_sees_one_window_at_a_time():
    network = build("mlp", n_windows=3, **SHAPE, window_width=7, hidden=(5,)).eval()
    x = make_input(2, 3)
    by_hand = torch.stack([network.window(x[:, :, w].reshape(2, -1)) for w in range(3)], dim=1)
    z = torch.nn.functional.gelu(network.layers[0](torch.nn.functional.gelu(by_hand).flatten(1)))
    torch.testing.assert_close(network.features(x), z)
    stack = STACKED["mlp"](
        [network, build("mlp", n_windows=3, **{**SHAPE, "random_state": 9}, window_width=7, hidden=(5,))]
    )
    torch.testing.assert_close(stack.eval()(torch.stack([x, x]))[0], network(x))
