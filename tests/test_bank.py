"""The bank: equal to plain training one by one, resumable, paired, honest about signal and its absence."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch.nn.functional import cosine_similarity, cross_entropy

from kernel import stats
from kernel.brain.cohort import Cohort, segments, standardise
from kernel.brain.simulate import Settings, simulate_cohort
from kernel.brain.splits import make_split
from kernel.decoding import bank as bank_module
from kernel.decoding import networks, training
from kernel.decoding.alignment import NAMED, PAPER_ROWS, STRATEGIES, Alignment
from kernel.decoding.bank import train_bank
from kernel.decoding.training import Labels, TrainingSpec
from kernel.metrics import balanced_accuracy

QUICK = {"epochs": 4, "warmup_epochs": 1, "batch_size": 64}
SHORT = {**QUICK, "epochs": 2}
PROTOTYPES = np.random.default_rng(0).standard_normal((9, 40))
SPECS = [TrainingSpec(**QUICK, seed=seed) for seed in range(2)] + [TrainingSpec("axial", **SHORT)]


def small_cohort():
    return simulate_cohort(3, Settings(classes=0.08), n_subjects=10, window=10.0)[0]


@pytest.fixture(scope="module")
def cohort():
    return small_cohort()


@pytest.fixture(scope="module")
def split(cohort):
    return make_split(cohort, "leave_subjects_out")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where what several tests train is kept."""
    return tmp_path_factory.mktemp("bank")


@pytest.fixture(scope="module")
def bank(cohort, split, place):
    return train(SPECS, cohort, split, folder=place)


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(bank_module, "_train_blocks", None)


def train(specs, cohort, split, *, stacked=True, **options):
    """Members in stacks, or one by one."""
    with mock.patch.object(bank_module, "STACK_LIMIT", bank_module.STACK_LIMIT if stacked else 0):
        return train_bank(specs, cohort, split, **{"n_jobs": 1, "progress": False, **options})


def assert_same_members(first, second, atol=0.0):
    for a, b in zip(first.checkpoints, second.checkpoints, strict=True):
        assert a.epoch == b.epoch
        for name in ("logits", "features", "losses", "validation"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=atol, rtol=0, err_msg=name)
        assert all(np.allclose(value, b.state[name], atol=atol, rtol=0) for name, value in a.state.items())


# What training finds


def test_finds_classes_where_they_are_and_chance_where_not():
    for preset, low, high in (("default", 0.25, 1.0), ("null", 0.05, 0.17)):
        cohort, _ = simulate_cohort(0, preset, n_subjects=30, window=10.0)
        specs = [TrainingSpec(epochs=12), TrainingSpec(epochs=12, augmentation="paper", kd="random")]
        found = train(specs, cohort, make_split(cohort, "leave_subjects_out"), baselines=False).bacc()
        assert low < found.min() and found.max() < high


def test_baselines_equal_scikit_learn(cohort, split, bank):
    samples = segments(standardise(cohort), length=10.0)
    learn, test = samples.rows(split.train), samples.rows(split.test)
    for name in networks.LINEAR_BASELINES:
        model = networks.linear_baseline(name).fit(samples.X[learn].astype(float), samples.y[learn])
        expected = balanced_accuracy_score(samples.y[test], model.predict(samples.X[test].astype(float)))
        assert bank.baseline_bacc()[name] == pytest.approx(expected)
        assert bank.table().set_index("network").loc[name, "test"] == pytest.approx(expected)


# One alone


def plain_training(spec, x, y, train_rows, validation_rows):
    """The same training with torch's own optimiser, loss and schedulers; no augmentation, no dropout."""
    network, x, y = training.build_member(spec, (x.shape[1], x.shape[3]), 9), torch.tensor(x), torch.tensor(y)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=False
    )
    steps = -(-len(train_rows) // spec.batch_size)
    rise, total = spec.warmup_epochs * steps, spec.epochs * steps
    linear = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / rise, 1.0, total_iters=rise - 1)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total - rise)
    scheduler = torch.optim.lr_scheduler.SequentialLR(optimiser, [linear, cosine], [rise])
    order = spec.generator(training.ORDER)
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=spec.label_smoothing)
    best = (-1.0, None)
    for _ in range(spec.epochs):
        for batch in torch.randperm(len(train_rows), generator=order).split(spec.batch_size):
            rows = torch.tensor(train_rows)[batch]
            optimiser.zero_grad()
            loss_of(network(x[rows]), y[rows]).backward()
            optimiser.step()
            scheduler.step()
        with torch.no_grad():
            logits = network(x)
        score = balanced_accuracy_score(y[validation_rows], logits[validation_rows].argmax(1))
        best = max(best, (score, logits.numpy()), key=lambda pair: pair[0])
    return best[1]


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_equals_plain_training_with_torch(cohort, split, tmp_path):
    specs = [
        TrainingSpec(**QUICK, options={"dropout": 0.0}, seed=0),
        TrainingSpec(**QUICK, options={"dropout": 0.0}, seed=1, label_smoothing=0.0),
        TrainingSpec(**QUICK, options={"dropout": 0.0}, seed=2, kd="random", kd_weight=0.0),
    ]
    data = bank_module._Data.of(specs, cohort, split, 10.0)
    design = (data.inputs[1], data.y, data.rows("train"), data.rows("validation"))
    expected = [plain_training(spec, *design) for spec in specs]
    for stacked in (True, False):
        found = train(specs, cohort, split, stacked=stacked, folder=tmp_path / f"{stacked}").checkpoints
        np.testing.assert_allclose([c.logits for c in found], expected, atol=1e-5)


def test_a_stack_equals_each_member_trained_alone(cohort, split, device, tmp_path):
    specs = [
        TrainingSpec(**QUICK, seed=0),
        TrainingSpec(**QUICK, seed=1, augmentation="paper"),
        TrainingSpec(**QUICK, seed=2, augmentation="paper", kd="random"),
        TrainingSpec(**QUICK, seed=2, kd="llm", kd_temperature=0.2, label_smoothing=0.0),
        TrainingSpec(**QUICK, seed=1, labels="moments", augmentation="paper"),
    ]
    options = {"prototypes": PROTOTYPES, "device": device, "baselines": False}
    together = train(specs, cohort, split, folder=tmp_path / "stack", **options)
    alone = train(specs, cohort, split, stacked=False, folder=tmp_path / "loop", **options)
    assert_same_members(together, alone, atol=1e-5)
    assert together.checkpoints[0].state.keys() == alone.checkpoints[0].state.keys()


def test_processes_change_nothing(cohort, split, tmp_path, bank):
    torch.manual_seed(1)
    assert_same_members(bank, train(SPECS, cohort, split, folder=tmp_path, n_jobs=2), atol=1e-6)


@pytest.mark.parametrize(
    ("lengths", "n_jobs", "sizes"),
    [
        ((6,), 1, [6]),
        ((6,), 2, [3, 3]),  # a process would have nothing to do
        ((6, 6, 6), 2, [6, 6, 6]),  # each has a whole stack
        ((3,), 2, [3]),  # too few for a division to pay
        ((36, 2), 2, [18, 18, 2]),
    ],
)
def test_stacks_are_divided_where_a_process_would_have_no_work(lengths, n_jobs, sizes):
    members = [
        bank_module._Member(TrainingSpec(epochs=8 + i, seed=s), "", 0, None)
        for i, n in enumerate(lengths)
        for s in range(n)
    ]
    blocks = bank_module._work_blocks(members, n_jobs)
    assert [len(part) for _, part in blocks] == sizes
    assert {id(one) for _, part in blocks for one in part} == {id(one) for one in members}
    assert all(stacked and len({one.spec.epochs for one in part}) == 1 for stacked, part in blocks)
    large = replace(members[0], size=bank_module.STACK_LIMIT)
    assert bank_module._work_blocks([large], 1) == [(False, [large])]


def test_stored_networks_give_the_logits_of_the_best_epoch(cohort, split, bank, place):
    x = torch.tensor(bank_module._Data.of(SPECS, cohort, split, 10.0).inputs[1])
    for index, checkpoint in enumerate(bank.checkpoints):
        weight, bias = checkpoint.head
        np.testing.assert_allclose(checkpoint.features @ weight.T + bias, checkpoint.logits, atol=1e-4)
        with torch.no_grad():
            np.testing.assert_allclose(bank.network(index)(x), checkpoint.logits, atol=1e-4)
        assert checkpoint.epoch == checkpoint.validation.argmax()
        assert bank.bacc("validation")[index] == pytest.approx(checkpoint.validation.max())
        assert checkpoint.losses[-1] < checkpoint.losses[0]


def test_recipes_of_one_seed_start_alike_and_see_the_same_batches(cohort, split):
    # a rate of almost nothing leaves the weights where they started
    frozen = {**SHORT, "learning_rate": 1e-12}
    specs = [TrainingSpec(**frozen, seed=seed, augmentation=a) for seed, a in ((0, "none"), (0, "paper"))]
    a, b, c = train([*specs, TrainingSpec(**frozen, seed=1)], cohort, split).checkpoints
    np.testing.assert_allclose(a.logits, b.logits, atol=1e-6)
    assert np.abs(a.logits - c.logits).max() > 0.01
    assert torch.equal(*(torch.randperm(50, generator=s.generator(training.ORDER)) for s in specs))


# Parts


def test_balanced_accuracy_equals_scikit_learn(rng):
    y, predicted = rng.integers(0, 5, 90), rng.integers(0, 5, (4, 90))
    y[y == 3] = 4  # a class that does not occur
    with pytest.warns(UserWarning, match="y_pred contains classes"):
        expected = [balanced_accuracy_score(y, row) for row in predicted]
    np.testing.assert_allclose(balanced_accuracy(y, predicted), expected)


def test_subject_interval_resamples_whole_subjects(bank):
    rows = bank.rows("train")
    y, person = bank.trials["y"].to_numpy()[rows], bank.trials["subject"].to_numpy()[rows]

    def statistic(y, predicted):
        if y.ndim == 1:
            return balanced_accuracy(y, predicted)
        return np.array([balanced_accuracy(*pair) for pair in zip(y, predicted, strict=True)])

    called = bank.scores(0)[rows].argmax(1)
    expected = stats.bootstrap_interval(statistic, y, called, groups=person, n_resamples=200, random_state=4)
    interval = bank.interval(0, which="train", n_resamples=200, random_state=4)
    np.testing.assert_allclose(interval, expected)
    assert bank.interval("lda").low < bank.baseline_bacc()["lda"]
    only = replace(bank, trials=bank.trials.assign(subject=7))
    with pytest.raises(ValueError, match="test holds subject 7 only"):
        only.interval(0)


def test_augmentation_does_what_its_sizes_say(monkeypatch):
    def augment(x, **sizes):
        none = dict.fromkeys(training.AUGMENTATION_SIZES, 0.0) | {"probability": 1.0}
        monkeypatch.setattr(training, "AUGMENTATION_SIZES", none | sizes)
        return training._Augmentation([TrainingSpec(augmentation="paper")], 1.0, torch.device("cpu"))(x)

    ones = torch.ones(1, 4000, 6, 10, 5)
    assert training._Augmentation([TrainingSpec()], 1.0, torch.device("cpu"))(ones) is ones
    noisy = augment(ones, noise=0.3)
    assert noisy.std() == pytest.approx(0.3, rel=0.02) and noisy.mean() == pytest.approx(1, abs=0.01)
    dropped = augment(ones, channel_dropout=0.15)
    assert (dropped[..., 0, 0] == 0).float().mean() == pytest.approx(0.15, abs=0.01)
    assert (dropped.amin((3, 4)) == dropped.amax((3, 4))).all()  # whole channels
    scaled = augment(ones, amplitude=0.1)[0, :, 0, 0, 0]
    assert 0.9 <= scaled.min() < 0.91 and 1.09 < scaled.max() <= 1.1
    masked = augment(ones, time_masking=0.05)
    assert (masked[:, :, 0, :, 0] == 0).float().mean() == pytest.approx(0.05, abs=0.005)
    assert (masked.amin((2, 4)) == masked.amax((2, 4))).all()  # whole windows
    some = augment(ones, amplitude=0.1, probability=0.6)[0, :, 0, 0, 0]
    assert (some != 1).float().mean() == pytest.approx(0.6, abs=0.03)
    ramp = torch.arange(10.0)[:, None].expand(1, 3000, 2, 10, 3).clone()
    values, counts = augment(ramp, jitter=2)[0, :, 0, 0, 0].unique(return_counts=True)
    assert values.tolist() == [0, 1, 2, 8, 9] and counts.min() > 500
    single = torch.rand(1, 50, 2, 1, 3)
    assert torch.equal(augment(single.clone(), jitter=2, time_masking=1.0), single)


def test_auxiliary_loss_is_its_formula(rng):
    specs = [
        TrainingSpec(seed=0, label_smoothing=0.2),
        TrainingSpec(seed=1, label_smoothing=0.0, kd="llm", kd_weight=0.7, kd_temperature=0.5),
    ]
    model = networks.STACKED["mlp"]([training.build_member(spec, (2, 5), 9) for spec in specs])
    unit = bank_module._unit_rows(PROTOTYPES)
    loss_of = training._Loss(specs, [None, unit], model, torch.device("cpu"))
    z = torch.tensor(rng.standard_normal((2, 30, 64)), dtype=torch.float32)
    logits, y = model.head(z), torch.tensor(rng.integers(0, 9, (2, 30)))
    plain, helped = loss_of(z, logits, y, y)
    assert plain.item() == pytest.approx(cross_entropy(logits[0], y[0], label_smoothing=0.2).item(), abs=1e-5)
    placed = z[1] @ loss_of.maps[0]
    cosine = cosine_similarity(placed[:, None], torch.tensor(unit, dtype=torch.float32), dim=-1)
    expected = cross_entropy(logits[1], y[1]) + 0.7 * cross_entropy(cosine / 0.5, y[1])
    assert helped.item() == pytest.approx(expected.item(), abs=1e-5)


def test_prototypes_keep_their_cosines_and_nothing_else(rng):
    centred = PROTOTYPES - PROTOTYPES.mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    for moved in (PROTOTYPES, 3 * PROTOTYPES + rng.standard_normal(40)):
        rows = bank_module._unit_rows(moved)
        np.testing.assert_allclose(rows @ rows.T, unit @ unit.T, atol=1e-12)


@pytest.mark.parametrize("kind", [dict, pd.DataFrame])
def test_prototypes_are_paired_with_classes_by_name(kind, cohort, split, place):
    specs = [TrainingSpec(**SHORT, kd="llm")]
    expected = train(specs, cohort, split, prototypes=PROTOTYPES, folder=place)
    named = {name: PROTOTYPES[cohort.classes.index(name)] for name in sorted(cohort.classes)}
    other = train(specs, cohort, split, prototypes=list(named.values()), folder=place)
    assert not np.array_equal(other.checkpoints[0].logits, expected.checkpoints[0].logits)
    named = named if kind is dict else pd.DataFrame(named).T
    assert_same_members(train(specs, cohort, split, prototypes=named, folder=place), expected)


def test_one_spec_and_the_name_of_a_split_are_taken(cohort, bank, place):
    alone = train(SPECS[0], cohort, "leave_subjects_out", folder=place)
    assert len(alone) == 1 and alone.split == "leave_subjects_out"
    np.testing.assert_array_equal(alone.checkpoints[0].logits, bank.checkpoints[0].logits)
    with pytest.raises(ValueError, match="did you mean leave_subjects_out"):
        train(SPECS[0], cohort, "leave_subject_out", folder=place)


def test_time_steps_are_means_of_their_part():
    short = simulate_cohort(1, n_subjects=6, window=5.0)[0]
    de = short.de.copy()
    de[0, 3, 5:] = np.nan  # 25 s: two whole segments and a half
    short = short.with_de(de, unit="z")
    specs = [TrainingSpec(n_windows=1), TrainingSpec(n_windows=2)]
    data = bank_module._Data.of(specs, short, make_split(short, "leave_subjects_out"), 10.0)
    assert data.inputs[2].shape == (6 * 28 * 3 - 1, 32, 2, 5)
    np.testing.assert_allclose(data.inputs[2].mean(2, keepdims=True), data.inputs[1], atol=1e-6)
    for row in (0, 10, 11, 12, 400):
        trial = data.trials.iloc[row]
        clip = np.flatnonzero(short.clips == trial["clip"])[0]
        expected = de[np.flatnonzero(short.subjects == trial.subject)[0], clip, 2 * trial.segment :][:2]
        np.testing.assert_allclose(data.inputs[2][row], expected.transpose(1, 0, 2), atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*are shorter than 10 s")
def test_a_set_without_a_whole_segment_is_named():
    short = simulate_cohort(1, n_subjects=6, window=5.0)[0]
    split, de = make_split(short, "leave_subjects_out"), short.de.copy()
    de[split.test.any(1), :, 1:] = np.nan  # five seconds of every trial are there
    with pytest.raises(ValueError, match="test holds no whole segment: shorten segment="):
        train_bank([TrainingSpec()], short.with_de(de, unit="z"), split, segment=10.0, progress=False)


# Storage


def test_a_second_call_trains_nothing_and_labels_do_not_count(cohort, split, bank, place, monkeypatch):
    monkeypatch.setattr(bank_module, "_train_block", None)
    monkeypatch.setattr(os, "access", lambda *_: False)  # what a folder of another user answers
    again = train([replace(spec, recipe="renamed") for spec in SPECS], cohort, split, folder=place)
    assert_same_members(bank, again)
    assert again.table()["recipe"].tolist()[:3] == ["renamed"] * 3
    with pytest.raises(OSError, match="no permission to write"):
        train([TrainingSpec(**QUICK, seed=9)], cohort, split, folder=place)


def test_other_data_and_other_libraries_are_other_trainings(cohort, split, tmp_path, monkeypatch):
    spec, options = TrainingSpec(**SHORT), {"folder": tmp_path, "baselines": False}
    train([spec], cohort, split, **options)
    train([spec], cohort, make_split(cohort, "leave_subjects_out", fold=1), **options)
    train([replace(spec, learning_rate=2e-3)], cohort, split, **options)
    monkeypatch.setattr(bank_module.files, "VERSIONS", {**bank_module.files.VERSIONS, "torch": "0"})
    train([spec], cohort, split, **options)
    assert len(list(tmp_path.glob("*.npz"))) == 4


def test_a_damaged_file_is_trained_anew(cohort, split, tmp_path, monkeypatch):
    specs, options = [TrainingSpec(**SHORT)], {"folder": tmp_path, "baselines": False}
    first = train(specs, cohort, split, **options)
    (stored,) = tmp_path.glob("*.npz")
    stored.write_bytes(stored.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="unreadable"):
        assert_same_members(first, train(specs, cohort, split, **options))
    written = bank_module._write_checkpoint
    monkeypatch.setattr(
        bank_module, "_write_checkpoint", lambda path, one: (written(path, one), path.unlink())
    )
    stored.unlink()
    with pytest.raises(OSError, match="was written and cannot be read"):
        train(specs, cohort, split, **options)


def test_two_that_need_the_same_trainings_train_them_once(cohort, split, tmp_path, monkeypatch):
    trained, fit = [], bank_module.optimise

    def slow(*args, **kwargs):
        trained.append(None)
        time.sleep(0.5)
        return fit(*args, **kwargs)

    monkeypatch.setattr(bank_module, "optimise", slow)
    specs, options = [TrainingSpec(**SHORT, seed=s) for s in range(2)], {"folder": tmp_path}
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: train(specs, cohort, split, baselines=False, **options), range(2))
    assert len(trained) == 1
    np.testing.assert_array_equal(one.bacc("test"), two.bacc("test"))


def test_features_and_baselines_can_be_left_out_and_had_later(cohort, split, bank, tmp_path):
    light = train(SPECS, cohort, split, folder=tmp_path, features=False, baselines=False)
    assert light.baselines == {} and light.baseline_bacc() == {} and light.table()["test"].notna().all()
    with pytest.raises(ValueError, match="none: ask train_bank for baselines=True; got 'lda'"):
        light.scores("lda")
    with pytest.raises(ValueError, match="features=True"):
        print(light.checkpoints[0].kept_features)
    assert_same_members(bank, train(SPECS, cohort, split, folder=tmp_path), atol=1e-5)


# Alignment

EVERY = [*PAPER_ROWS.values(), *NAMED.values()]
WEIGHTED = [
    s.name for s in STRATEGIES.values() if s.kind == "loss" and s.name not in ("uncertainty", "distance_ce")
]


@pytest.fixture(scope="module")
def models(cohort):
    """Ratings and noisy copies of them."""
    noise = np.random.default_rng(1).standard_normal((len(cohort.clips), 2))
    return np.column_stack([cohort.rating(), cohort.rating()[:, None] + noise])


def test_every_strategy_in_a_stack_equals_it_alone(cohort, split, models, tmp_path):
    specs = [TrainingSpec(**{**SHORT, "batch_size": 128}, augmentation="paper")]
    for index, alignment in enumerate(EVERY):
        seed = 3 if index % 3 == 0 else None
        specs.append(replace(specs[0], alignment=replace(alignment, placebo_seed=seed)))
    options = {"valence": models, "baselines": False}
    together = train(specs, cohort, split, folder=tmp_path / "stack", **options)
    alone = train(specs, cohort, split, stacked=False, folder=tmp_path / "loop", **options)
    assert_same_members(together, alone, atol=1e-5)
    # and none is another, but for those that differ from regression by their data alone
    same = sum(a.definition.kind == "data" for a in EVERY)
    assert len({c.logits.tobytes() for c in together.checkpoints}) >= len(specs) - same


def test_strength_zero_is_the_baseline(cohort, split, models, place, bank):
    for name in STRATEGIES:
        spec = TrainingSpec(**QUICK, alignment=Alignment(name, 0.0))
        assert spec.content() == SPECS[0].content()
    (zero,) = train([spec], cohort, split, folder=place, valence=models).checkpoints
    np.testing.assert_array_equal(zero.logits, bank.checkpoints[0].logits)


def test_a_loss_of_weight_zero_disturbs_nothing(cohort, split, models, monkeypatch):
    """Losses are computed here, and their draws, second passes and parameters leave the training alone."""
    monkeypatch.setattr(Alignment, "active", True)
    specs = [TrainingSpec(**SHORT)]
    specs += [TrainingSpec(**SHORT, alignment=Alignment(name, 0.0)) for name in WEIGHTED]
    bank = train(specs, cohort, split, valence=models, stacked=False, baselines=False)
    for spec, checkpoint in zip(specs, bank.checkpoints, strict=True):
        # another draw changes logits by thousandths, rounding by a millionth
        np.testing.assert_allclose(
            checkpoint.logits, bank.checkpoints[0].logits, rtol=0, atol=1e-5, err_msg=str(spec)
        )


def test_alignment_keeps_initial_weights_and_batches(cohort, split, models):
    frozen = {**SHORT, "learning_rate": 1e-12}
    rows = [a for a in EVERY if a.definition.kind not in ("initialisation", "inference")]
    specs = [TrainingSpec(**frozen)] + [TrainingSpec(**frozen, alignment=a) for a in rows]
    base, *others = train(specs, cohort, split, valence=models, baselines=False).checkpoints
    for spec, other in zip(specs[1:], others, strict=True):
        np.testing.assert_allclose(other.logits, base.logits, atol=1e-5, err_msg=str(spec.alignment))


def test_tuning_holds_the_encoder_and_moves_what_it_may(cohort, split, models):
    names = ("head_tuning", "lora", "ia3")
    specs = [
        TrainingSpec(**{**QUICK, "epochs": 8}, alignment=Alignment(name, strength))
        for name in names
        for strength in (0.1, 20.0)
    ]
    bank = train(specs, cohort, split, valence=models, baselines=False)
    states = dict(zip(names, np.array_split([c.state for c in bank.checkpoints], 3), strict=True))
    assert all(c.epoch >= 4 for c in bank.checkpoints)  # the second half
    rounding = {"rtol": 0, "atol": 1e-6}  # where in memory a matrix lies decides how its products are rounded
    for name in ("layers.0.weight", "layers.1.weight", "layers.1.bias"):
        np.testing.assert_allclose(*(state[name] for state in states["head_tuning"]), **rounding)
    assert np.abs(np.subtract(*(s["head.weight"] for s in states["head_tuning"]))).max() > 1e-4
    for name in ("layers.0.weight", "layers.1.weight"):
        change = np.subtract(*(state[name] for state in states["lora"]))
        assert np.abs(change).max() > 1e-5
        assert np.linalg.svd(change)[1][8] < 1e-5 * np.linalg.norm(change, 2) + 1e-6  # two changes of rank 4
    ratio = np.divide(*(state["layers.1.weight"] for state in states["ia3"]))
    np.testing.assert_allclose(ratio, np.broadcast_to(np.median(ratio, axis=0), ratio.shape), rtol=1e-2)
    assert np.ptp(np.median(ratio, axis=0)) > 1e-4
    np.testing.assert_allclose(*(state["layers.0.weight"] for state in states["ia3"]), **rounding)


def test_features_follow_valence_where_it_is_the_target_and_planted():
    cohort, _ = simulate_cohort(0, "strong_valence", n_subjects=20, window=10.0)
    targets = (None, Alignment("rsa", 1.0), Alignment("rsa", 1.0, placebo_seed=1))
    specs = [TrainingSpec(epochs=12, alignment=a) for a in targets]
    split = make_split(cohort, "leave_subjects_out")
    bank = train(specs, cohort, split, valence=cohort.rating(), baselines=False)
    test = bank.rows("test")
    value = dict(zip(cohort.clips, cohort.rating(), strict=True))
    v = np.array([value[c] for c in bank.trials["clip"][test]])
    pairs = np.triu_indices(len(v), 1)

    def agreement(z):
        distance = ((z[:, None] - z) ** 2).sum(-1)
        return np.corrcoef(distance[pairs], (v[:, None] - v)[pairs] ** 2)[0, 1]

    base, true, placebo = (agreement(c.features[test]) for c in bank.checkpoints)
    assert true > base + 0.05 and true > placebo + 0.1


def test_a_teacher_is_trained_first_and_once(cohort, split, models, tmp_path):
    def trained(*alignments):
        specs = [TrainingSpec(**{**QUICK, "epochs": 6}, alignment=a) for a in alignments]
        return train(specs, cohort, split, valence=models, folder=tmp_path, baselines=False).checkpoints

    students = trained(Alignment("distilled_teacher", 0.5), Alignment("distilled_teacher", 1.0))
    assert len(list(tmp_path.glob("*.npz"))) == 3
    (teacher,) = trained(Alignment("regression", 0.5))
    assert len(list(tmp_path.glob("*.npz"))) == 3  # it was the teacher
    _, near, far = (np.abs(c.logits - teacher.logits).mean() for c in (*students, *trained(None)))
    assert near < far


def test_values_are_part_of_the_key_of_aligned_trainings_only(cohort, split, tmp_path):
    specs = [TrainingSpec(**SHORT), TrainingSpec(**SHORT, alignment=Alignment("regression"))]
    v = cohort.rating()
    for values, n_files in ((v, 2), (3 * v + 1, 2), (v[::-1], 3)):  # the second is in another unit
        train(specs, cohort, split, valence=values, folder=tmp_path, baselines=False)
        assert len(list(tmp_path.glob("*.npz"))) == n_files


def test_other_networks_take_losses_on_features_and_inputs(cohort, split):
    names = "rsa frontal head_tuning pretrained_frozen weight_start smooth_prior".split()
    specs = [TrainingSpec("axial", **SHORT)]
    specs += [TrainingSpec("axial", **SHORT, alignment=Alignment(name)) for name in names]
    bank = train(specs, cohort, split, valence=cohort.rating(), baselines=False)
    assert len({c.logits.tobytes() for c in bank.checkpoints}) == len(specs)


# What cannot be trained


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "lstm"}, "network must be one of mlp, axial, cbramod; got 'lstm'"),
        ({"options": {"width": 3}}, "option of 'mlp' must be one of hidden"),
        ({"epochs": 5}, "warmup_epochs of 5 epochs must be a whole number from 0 to 4, got 5"),
        ({"learning_rate": 0.0}, "learning_rate must lie in"),
        ({"label_smoothing": 1.0}, "label_smoothing must lie in"),
        ({"labels": "clips"}, "labels must be one of classes, moments; got 'clips'"),
        ({"labels": "moments", "alignment": Alignment("bias_start")}, "sets the weights of classes"),
        ({"alignment": "rsa"}, "alignment must be an Alignment or None, got 'rsa'"),
        ({"augmentation": "strong"}, "augmentation must be one of none, paper; got 'strong'"),
    ],
)
def test_a_spec_names_what_is_impossible(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingSpec(**change)


def aligned(name, **changes):
    return [TrainingSpec(**{**QUICK, **changes}, alignment=Alignment(name))]


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("specs", "options", "message"),
    [
        ([], {}, "specs is empty"),
        ([TrainingSpec(), TrainingSpec(recipe="again")], {}, "specs 0 and 1 are the same training"),
        ([TrainingSpec("axial", options={"width": 5})], {}, "width 5 is not a multiple of heads 2"),
        ([TrainingSpec("cbramod")], {}, "spec 0 .* takes raw EEG"),
        ([TrainingSpec(kd="llm")], {}, "needs prototypes="),
        ([TrainingSpec(kd="llm")], {"prototypes": np.ones((8, 4))}, r"\(9 classes, d\).*got \(8, 4\)"),
        ([TrainingSpec()], {"prototypes": np.ones((9, 4))}, "lies at the mean of all"),
        ([TrainingSpec()], {"prototypes": {"joy": [1.0, 2.0]}}, "prototypes has nothing for anger, "),
        ([TrainingSpec()], {"segment": 15.0}, "not a whole number of windows"),
        ([TrainingSpec(n_windows=3)], {}, "not a whole number of windows"),
        (aligned("rsa"), {}, "spec 0 is aligned by 'rsa' and needs valence="),
        (aligned("rsa"), {"valence": np.ones(7)}, "28 clips or 9 classes; got shape"),
        (aligned("procrustes"), {"valence": np.arange(9.0)}, "spec 0: .*needs clip information"),
    ],
)
def test_errors_come_before_any_training(specs, options, message, cohort, split):
    with pytest.raises(ValueError, match=message):
        train(specs, cohort, split, **options)


@pytest.mark.usefixtures("no_training")
def test_names_what_data_and_splits_lack(cohort, split, tmp_path):
    def attempt(match, **masks):
        with pytest.raises(ValueError, match=match):
            train([TrainingSpec()], cohort, replace(split, **masks))

    attempt("train holds no trial of 'joy'", train=split.train & (cohort.emotions != "joy"))
    attempt("train holds one class only, 'fear'", train=split.train & (cohort.emotions == "fear"))
    for name in bank_module.SETS:
        empty = {name: np.zeros_like(split.train)}
        attempt(f"{name} of split 'leave_subjects_out' is empty", **empty)
    attempt("is in more than one set", test=split.test | split.validation)
    attempt(r"has shape \(3, 28\), the cohort \(10, 28\)", test=split.test[:3])
    damaged = Cohort(cohort.data.copy(deep=True))
    damaged.de[4, 6, 1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="nan in subject 4, clip 7, window 1"):
        train([TrainingSpec()], damaged, split)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        train([TrainingSpec()], cohort, split, folder=tmp_path / "file" / "bank")


@pytest.mark.parametrize("stacked", [True, False])
def test_a_network_that_diverged_is_refused_and_not_stored(cohort, split, tmp_path, stacked):
    # one step an epoch: the loss before the first is an ordinary number
    spec = TrainingSpec(epochs=3, warmup_epochs=0, batch_size=10_000, learning_rate=1e15)
    with pytest.raises(ValueError, match=r"member 0 diverged, .* learning_rate=1e\+15"):
        train([spec], cohort, split, stacked=stacked, folder=tmp_path, baselines=False)
    assert not list(tmp_path.glob("*.npz"))


def test_of_a_stack_the_member_that_diverged_is_named(rng):
    specs = [TrainingSpec(epochs=1, warmup_epochs=0, learning_rate=rate) for rate in (1e-3, 2e-3)]
    parts = [training.build_member(spec, (2, 5), 3) for spec in specs]
    torch.nn.init.constant_(parts[1].head.weight, torch.inf)
    x, y = torch.tensor(rng.standard_normal((30, 2, 1, 5)), dtype=torch.float32), np.arange(30) % 3
    rows = {"train": np.arange(20), "validation": np.arange(20, 30)}
    stack, labels = networks.STACKED["mlp"](parts), Labels.of_classes(y, 3)
    with pytest.raises(ValueError, match=r"member 1 diverged, .* learning_rate=0\.002"):
        training.optimise(stack, specs, x, labels, rows)


def test_missing_trials_are_left_out(cohort, split):
    de = cohort.de.copy()
    de[0, 0] = np.nan
    bank = train([TrainingSpec(**SHORT)], cohort.with_de(de), split, baselines=False)
    assert len(bank.trials) == 10 * 28 * 3 - 3


def test_the_bank_names_what_it_does_not_hold(bank):
    assert len(bank) == 3 and bank.simulated and "simulated" in bank.label
    with pytest.raises(ValueError, match="set must be one of train, validation, test; got 'dev'"):
        bank.bacc("dev")
    with pytest.raises(ValueError, match="baseline must be one of lda, logistic; got 'svm'"):
        bank.scores("svm")


# Moments of films as labels


@pytest.mark.parametrize("planted", [True, False])
def test_moments_name_the_class_only_of_what_was_seen(rng, planted):
    """People see six clips of three classes in two segments of two steps."""
    clip, segment = (np.tile(part, 30) for part in np.indices((6, 2)).reshape(2, -1))
    shown = rng.standard_normal((12, 4, 2, 5)) * planted
    x = (shown[None] + 0.5 * rng.standard_normal((30, 12, 4, 2, 5))).reshape(-1, 4, 2, 5)
    labels = Labels(clip * 2 + segment, clip // 2, np.arange(12) // 4, 3)
    spec = TrainingSpec(
        options={"window_width": 8, "hidden": (16,)}, n_windows=2, labels="moments", epochs=20, batch_size=32,
        learning_rate=1e-2,
    )  # fmt: skip
    model = training.Single(training.build_member(spec, (4, 5), 12))
    rows = {"train": np.arange(240), "validation": np.arange(240, 360)}
    course = training.optimise(model, [spec], torch.tensor(x, dtype=torch.float32), labels, rows)
    accuracy = course.validation.max()
    assert accuracy > 0.9 if planted else accuracy < 0.5


def test_class_scores_are_log_sums_over_moments(rng):
    labels = Labels(np.array([0]), np.array([0]), np.array([0, 1, 0, 1, 1]), 2)
    logits = rng.standard_normal((3, 5))
    expected = np.log(np.stack([np.exp(logits[:, [0, 2]]).sum(1), np.exp(logits[:, [1, 3, 4]]).sum(1)], 1))
    np.testing.assert_allclose(labels.class_scores(torch.tensor(logits)), expected, rtol=1e-12)


def test_members_of_moments_are_stored_and_served_as_trained(cohort, split, tmp_path):
    specs = [TrainingSpec(**SHORT, labels="moments")]
    fresh = train(specs, cohort, split, folder=tmp_path, baselines=False)
    assert_same_members(fresh, train(specs, cohort, split, folder=tmp_path, baselines=False))
    (member,) = fresh.checkpoints
    assert member.logits.shape == (len(fresh.trials), 9) and len(member.state["head.bias"]) == 28 * 3
    logits = fresh.network(0).head(torch.tensor(member.features))
    labels = Labels.of_trials(fresh.trials, 9, "moments")
    np.testing.assert_allclose(labels.class_scores(logits).detach(), member.logits, atol=1e-4)
    with pytest.raises(ValueError, match="train with labels='classes'"):
        print(member.head)
    unseen = train(specs, cohort, make_split(cohort, "leave_clips_out"), baselines=False)
    shown = unseen.trials[unseen.rows("train")]["clip"].nunique()
    assert shown < 28 and len(unseen.checkpoints[0].state["head.bias"]) == 3 * shown
