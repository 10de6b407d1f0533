"""The bank: equal to plain training one by one, resumable, paired, honest about signal and its absence."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch.nn.functional import cosine_similarity, cross_entropy

from kernel import stats
from kernel.brain.cohort import Cohort, make_split, segments, standardise
from kernel.brain.simulate import Settings, simulate_cohort
from kernel.decoding import bank as bank_module
from kernel.decoding import networks
from kernel.decoding.alignment import NAMED, PAPER_ROWS, STRATEGIES, Alignment
from kernel.decoding.bank import TrainingSpec, subject_interval, train_bank
from kernel.metrics import balanced_accuracy

STRONG = Settings(classes=0.08)
QUICK = {"epochs": 4, "warmup_epochs": 1, "batch_size": 64}
PROTOTYPES = np.random.default_rng(0).standard_normal((9, 40))


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(3, STRONG, n_subjects=10, window=10.0)[0]


@pytest.fixture(scope="module")
def split(cohort):
    return make_split(cohort, "leave_subjects_out")


def train(specs, cohort, split, **options):
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
        specs = [
            TrainingSpec(epochs=12, seed=0, recipe="plain"),
            TrainingSpec(epochs=12, seed=0, augmentation="paper", recipe="augmented"),
            TrainingSpec(epochs=12, seed=0, kd="random", recipe="kd"),
            TrainingSpec("axial", epochs=8, learning_rate=5e-3, warmup_epochs=1, recipe="axial"),
        ]
        bank = train(specs, cohort, make_split(cohort, "leave_subjects_out"))
        found = bank.table().set_index("recipe")["test"]
        # attention needs more people and passes than a quick test has
        assert found.drop("axial").between(low, high).all(), found
        assert found["axial"] > 0.16 if preset == "default" else found["axial"] < high


def test_baselines_equal_scikit_learn(cohort, split):
    bank = train([TrainingSpec(**QUICK)], cohort, split)
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
    network = networks.build(
        spec.network,
        n_channels=x.shape[1],
        n_bands=x.shape[3],
        n_windows=x.shape[2],
        n_classes=9,
        random_state=bank_module._seed(spec.seed, bank_module._INITIAL),
        **spec.options,
    )
    x, y = torch.tensor(x), torch.tensor(y)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=False
    )
    steps = -(-len(train_rows) // spec.batch_size)
    rise, total = spec.warmup_epochs * steps, spec.epochs * steps
    linear = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / rise, 1.0, total_iters=rise - 1)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total - rise)
    scheduler = torch.optim.lr_scheduler.SequentialLR(optimiser, [linear, cosine], [rise])
    order = bank_module._generator(spec, bank_module._ORDER, "cpu")
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
        found = logits[validation_rows].argmax(1)
        score = balanced_accuracy_score(y[validation_rows], found)
        best = max(best, (score, logits.numpy()), key=lambda pair: pair[0])
    return best[1]


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize("mode", ["stack", "loop"])
def test_equals_plain_training_with_torch(cohort, split, mode):
    specs = [
        TrainingSpec(**QUICK, options={"dropout": 0.0}, seed=0),
        TrainingSpec(**QUICK, options={"dropout": 0.0}, seed=1, label_smoothing=0.0),
        TrainingSpec(**QUICK, options={"dropout": 0.0}, seed=2, kd="random", kd_weight=0.0),
    ]
    bank = train(specs, cohort, split, mode=mode)
    data = bank_module._Data.of(specs, cohort, split, 10.0)
    for spec, checkpoint in zip(specs, bank.checkpoints, strict=True):
        expected = plain_training(spec, data.inputs[1], data.y, data.rows("train"), data.rows("validation"))
        np.testing.assert_allclose(checkpoint.logits, expected, atol=1e-5)


def test_a_stack_equals_each_member_trained_alone(cohort, split, device, tmp_path):
    shared = {**QUICK, "options": {"layer_norm": True}}
    specs = [
        TrainingSpec(**shared, seed=0),
        TrainingSpec(**shared, seed=1, augmentation="paper"),
        TrainingSpec(**shared, seed=2, augmentation={"noise": 0.2}, kd="random"),
        TrainingSpec(**shared, seed=2, kd="llm", kd_temperature=0.2, label_smoothing=0.0),
        TrainingSpec(**shared, seed=1, n_windows=1, augmentation="paper", kd="llm"),
    ]
    options = {"prototypes": PROTOTYPES, "device": device}
    together = train(specs, cohort, split, mode="stack", folder=tmp_path / "stack", **options)
    alone = train(specs, cohort, split, mode="loop", folder=tmp_path / "loop", **options)
    assert_same_members(together, alone, atol=1e-5)
    assert together.checkpoints[0].state.keys() == alone.checkpoints[0].state.keys()


def test_processes_change_nothing(cohort, split, tmp_path):
    specs = [TrainingSpec(**QUICK, seed=s, augmentation="paper") for s in range(3)]
    specs += [TrainingSpec("axial", **{**QUICK, "epochs": 2}, seed=s) for s in range(2)]
    torch.manual_seed(0)
    one = train(specs, cohort, split, folder=tmp_path / "one")
    torch.manual_seed(1)
    two = train(specs, cohort, split, folder=tmp_path / "two", n_jobs=2)
    assert_same_members(one, two, atol=1e-6)


@pytest.mark.parametrize(
    ("lengths", "n_jobs", "stack_size", "sizes"),
    [
        ((6,), 1, 18, [6]),
        ((6,), 2, 18, [3, 3]),  # a process would have nothing to do
        ((6, 6, 6), 2, 18, [6, 6, 6]),  # each has a whole stack
        ((6, 6), 4, 18, [3, 3, 3, 3]),
        ((3,), 2, 18, [3]),  # too few for a division to pay
        ((9, 2), 2, 4, [3, 3, 3, 2]),
    ],
)
def test_stacks_are_divided_where_a_process_would_have_no_work(lengths, n_jobs, stack_size, sizes):
    specs = [TrainingSpec(epochs=8 + i, seed=s) for i, n in enumerate(lengths) for s in range(n)]
    blocks = bank_module._blocks(specs, range(len(specs)), None, "stack", stack_size, n_jobs)
    assert [len(members) for _, members in blocks] == sizes
    assert sorted(i for _, members in blocks for i in members) == list(range(len(specs)))
    assert all(stacked and len({specs[i].epochs for i in members}) == 1 for stacked, members in blocks)


def test_stored_network_and_head_give_the_logits(cohort, split):
    specs = [TrainingSpec(**QUICK), TrainingSpec("axial", **{**QUICK, "epochs": 2})]
    bank = train(specs, cohort, split)
    x = torch.tensor(bank_module._Data.of(specs, cohort, split, 10.0).inputs[1])
    for index, checkpoint in enumerate(bank.checkpoints):
        weight, bias = checkpoint.head
        np.testing.assert_allclose(checkpoint.features @ weight.T + bias, checkpoint.logits, atol=1e-4)
        with torch.no_grad():
            np.testing.assert_allclose(bank.network(index)(x), checkpoint.logits, atol=1e-4)


def test_the_chosen_epoch_is_the_best_on_validation(cohort, split):
    bank = train([TrainingSpec(**{**QUICK, "epochs": 10}, seed=s) for s in range(3)], cohort, split)
    for checkpoint, found in zip(bank.checkpoints, bank.bacc("validation"), strict=True):
        assert checkpoint.epoch == checkpoint.validation.argmax()
        assert found == pytest.approx(checkpoint.validation.max())
        assert checkpoint.losses[-1] < checkpoint.losses[0]


def test_recipes_of_one_seed_start_alike_and_see_the_same_batches(cohort, split):
    # a rate of almost nothing leaves the weights where they started
    frozen = {**QUICK, "epochs": 2, "learning_rate": 1e-12}
    a, b, c = train(
        [
            TrainingSpec(**frozen, seed=0),
            TrainingSpec(**frozen, seed=0, augmentation="paper", recipe="augmented"),
            TrainingSpec(**frozen, seed=1),
        ],
        cohort,
        split,
    ).checkpoints
    np.testing.assert_allclose(a.logits, b.logits, atol=1e-6)
    assert np.abs(a.logits - c.logits).max() > 0.01
    specs = [TrainingSpec(seed=0), TrainingSpec(seed=0, kd="random", augmentation="paper")]
    orders = [
        torch.randperm(50, generator=bank_module._generator(s, bank_module._ORDER, "cpu")) for s in specs
    ]
    assert torch.equal(*orders)


# Parts


def test_balanced_accuracy_equals_scikit_learn(rng):
    y, predicted = rng.integers(0, 5, 90), rng.integers(0, 5, (4, 90))
    y[y == 3] = 4  # a class that does not occur
    with pytest.warns(UserWarning, match="y_pred contains classes"):
        expected = [balanced_accuracy_score(y, row) for row in predicted]
    np.testing.assert_allclose(balanced_accuracy(y, predicted), expected)


def test_subject_interval_resamples_whole_subjects(cohort, split):
    bank = train([TrainingSpec(**QUICK)], cohort, split)
    rows = bank.rows("train")
    y, person = bank.trials["y"].to_numpy()[rows], bank.trials["subject"].to_numpy()[rows]
    found = bank.scores(0)[rows].argmax(1)

    def statistic(y, predicted):
        if y.ndim == 1:
            return balanced_accuracy(y, predicted)
        return np.array([balanced_accuracy(*pair) for pair in zip(y, predicted, strict=True)])

    expected = stats.bootstrap_interval(statistic, y, found, groups=person, n_resamples=200, random_state=4)
    interval = subject_interval(bank, 0, which="train", n_resamples=200, random_state=4)
    np.testing.assert_allclose(interval, expected)
    assert subject_interval(bank, "lda").low < bank.baseline_bacc()["lda"]


def test_one_test_subject_trains_but_has_no_interval(cohort, split):
    test = split.test.copy()
    test[np.flatnonzero(test.any(1))[1:]] = False
    bank = train([TrainingSpec(**QUICK)], cohort, replace(split, test=test))
    with pytest.raises(ValueError, match=r"test holds subject .* only"):
        subject_interval(bank, 0)


def augment(sizes, x, n=1):
    spec = TrainingSpec(augmentation=sizes)
    return bank_module._Augmentation([spec] * n, 1.0, torch.device("cpu"))(x)


def test_augmentation_does_what_its_sizes_say():
    ones = torch.ones(1, 4000, 6, 10, 5)
    assert augment("none", ones) is ones
    noisy = augment({"noise": 0.3}, ones)
    assert noisy.std() == pytest.approx(0.3, rel=0.02) and noisy.mean() == pytest.approx(1, abs=0.01)
    dropped = augment({"channel_dropout": 0.15}, ones)
    assert (dropped[..., 0, 0] == 0).float().mean() == pytest.approx(0.15, abs=0.01)
    assert (dropped.amin((3, 4)) == dropped.amax((3, 4))).all()  # whole channels
    scaled = augment({"amplitude": 0.1}, ones)[0, :, 0, 0, 0]
    assert 0.9 <= scaled.min() < 0.91 and 1.09 < scaled.max() <= 1.1
    masked = augment({"time_masking": 0.05}, ones)
    assert (masked[:, :, 0, :, 0] == 0).float().mean() == pytest.approx(0.05, abs=0.005)
    assert (masked.amin((2, 4)) == masked.amax((2, 4))).all()  # whole windows
    some = augment({"amplitude": 0.1, "probability": 0.6}, ones)[0, :, 0, 0, 0]
    assert (some != 1).float().mean() == pytest.approx(0.6, abs=0.03)


def test_jitter_shifts_whole_samples_by_a_few_windows():
    x = torch.arange(10.0)[:, None].expand(1, 3000, 2, 10, 3).clone()
    shift = augment({"jitter": 2}, x)[0, :, 0, 0, 0]
    values, counts = shift.unique(return_counts=True)
    assert values.tolist() == [0, 1, 2, 8, 9]
    assert counts.min() > 500
    single = torch.rand(1, 50, 2, 1, 3)
    assert torch.equal(augment({"jitter": 2, "time_masking": 1.0}, single.clone()), single)


def test_auxiliary_loss_is_its_formula(rng):
    specs = [
        TrainingSpec(seed=0, label_smoothing=0.2),
        TrainingSpec(seed=1, label_smoothing=0.0, kd="llm", kd_weight=0.7, kd_temperature=0.5),
    ]
    shape, y = {"n_channels": 2, "n_bands": 5, "n_windows": 1, "n_classes": 9}, rng.integers(0, 9, (2, 30))
    model = networks.StackedMLP([networks.build("mlp", **shape, random_state=s) for s in range(2)])
    unit = bank_module._unit_rows(PROTOTYPES)
    loss_of = bank_module._Loss(specs, [None, unit], model, torch.device("cpu"))
    z = torch.tensor(rng.standard_normal((2, 30, 64)), dtype=torch.float32)
    logits, y = model.head(z), torch.tensor(y)
    plain, helped = loss_of(z, logits, y, y)
    assert plain.item() == pytest.approx(cross_entropy(logits[0], y[0], label_smoothing=0.2).item(), abs=1e-5)
    placed = z[1] @ loss_of.maps[0]
    cosine = cosine_similarity(placed[:, None], torch.tensor(unit, dtype=torch.float32), dim=-1)
    expected = cross_entropy(logits[1], y[1]) + 0.7 * cross_entropy(cosine / 0.5, y[1])
    assert helped.item() == pytest.approx(expected.item(), abs=1e-5)


def test_prototypes_keep_their_cosines_and_nothing_else(rng):
    centred = PROTOTYPES - PROTOTYPES.mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    found = bank_module._unit_rows(PROTOTYPES)
    np.testing.assert_allclose(found @ found.T, unit @ unit.T, atol=1e-12)
    moved = bank_module._unit_rows(3 * PROTOTYPES + rng.standard_normal(40))
    np.testing.assert_allclose(moved @ moved.T, found @ found.T, atol=1e-12)
    with pytest.raises(ValueError, match=r"prototype .* lies at the mean of all"):
        bank_module._unit_rows(np.ones((9, 4)))


def test_time_steps_are_means_of_their_part():
    short = simulate_cohort(1, n_subjects=6, window=5.0)[0]
    de = short.de.copy()
    de[0, 3, 5:] = np.nan  # 25 s: two whole segments and a half
    short = short.with_de(de, unit="z")
    split = make_split(short, "leave_subjects_out")
    specs = [TrainingSpec(n_windows=1), TrainingSpec(n_windows=2)]
    data = bank_module._Data.of(specs, short, split, 10.0)
    assert data.inputs[2].shape == (6 * 28 * 3 - 1, 32, 2, 5)
    np.testing.assert_allclose(data.inputs[2].mean(2, keepdims=True), data.inputs[1], atol=1e-6)
    for row in (0, 10, 11, 12, 400):
        trial = data.trials.iloc[row]
        clip = np.flatnonzero(short.clips == trial["clip"])[0]
        expected = de[np.flatnonzero(short.subjects == trial.subject)[0], clip, 2 * trial.segment :][:2]
        np.testing.assert_allclose(data.inputs[2][row], expected.transpose(1, 0, 2), atol=1e-6)


# Storage


def test_a_second_call_trains_nothing_and_labels_do_not_count(cohort, split, monkeypatch):
    specs = [TrainingSpec(**QUICK, seed=s) for s in range(2)]
    first = train(specs, cohort, split)
    monkeypatch.setattr(bank_module, "_train_block", None)
    again = train([replace(spec, recipe="renamed") for spec in specs], cohort, split)
    assert_same_members(first, again)
    assert again.table()["recipe"].tolist()[:2] == ["renamed", "renamed"]


def test_what_another_user_has_trained_is_read_without_permission_to_write(cohort, split, monkeypatch):
    specs = [TrainingSpec(**QUICK)]
    first = train(specs, cohort, split)
    monkeypatch.setattr(os, "access", lambda *_: False)  # what a folder of another user answers
    assert_same_members(first, train(specs, cohort, split))
    monkeypatch.setattr(bank_module, "_train_block", None)
    with pytest.raises(OSError, match="no permission to write"):
        train([TrainingSpec(**QUICK, seed=1)], cohort, split)


def test_a_library_of_another_version_trains_anew(cohort, split, tmp_path, monkeypatch):
    train([TrainingSpec(**QUICK)], cohort, split, folder=tmp_path)
    monkeypatch.setattr(bank_module.files, "VERSIONS", {**bank_module.files.VERSIONS, "torch": "0"})
    train([TrainingSpec(**QUICK)], cohort, split, folder=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_other_data_are_other_trainings(cohort, split, tmp_path):
    specs = [TrainingSpec(**QUICK)]
    train(specs, cohort, split, folder=tmp_path)
    train(specs, cohort, make_split(cohort, "leave_subjects_out", fold=1), folder=tmp_path)
    train([replace(specs[0], learning_rate=2e-3)], cohort, split, folder=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 3


def test_a_damaged_file_is_trained_anew(cohort, split, tmp_path):
    specs = [TrainingSpec(**QUICK)]
    first = train(specs, cohort, split, folder=tmp_path)
    (stored,) = tmp_path.glob("*.npz")
    stored.write_bytes(stored.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="unreadable"):
        again = train(specs, cohort, split, folder=tmp_path)
    assert_same_members(first, again)


SCRIPT = """
import sys
import test_bank
cohort = test_bank.simulate_cohort(3, test_bank.STRONG, n_subjects=10, window=10.0)[0]
split = test_bank.make_split(cohort, "leave_subjects_out")
test_bank.train(test_bank.study(), cohort, split, folder=sys.argv[1], mode=sys.argv[2], stack_size=2)
"""


def study():
    return [TrainingSpec(epochs=40, batch_size=64, seed=seed, augmentation="paper") for seed in range(6)]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("mode", ["loop", "stack"])
def test_killed_and_resumed_gives_the_same_numbers(cohort, split, mode, tmp_path):
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), mode], env=environment)

    def finished():
        return [path for path in folder.glob("*.npz") if not path.name.startswith(".")]

    deadline = time.monotonic() + 120
    while not finished() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in finished()}
    assert 0 < len(kept) < 6

    resumed = train(study(), cohort, split, folder=folder, mode=mode, stack_size=2)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    whole = train(study(), cohort, split, folder=tmp_path / "whole", mode=mode, stack_size=2)
    # a stack that was cut short resumes in other company, whose rounding may differ
    assert_same_members(resumed, whole, atol=1e-5 if mode == "stack" else 0.0)


# Alignment


def models(cohort, n=3):
    """Ratings and noisy copies of them."""
    noise = np.random.default_rng(1).standard_normal((len(cohort.clips), n - 1))
    return np.column_stack([cohort.rating(), cohort.rating()[:, None] + noise])


def aligned(alignment, **changes):
    return TrainingSpec(**{**QUICK, "epochs": 6, **changes}, alignment=alignment)


EVERY = [*PAPER_ROWS.values(), *NAMED.values()]


def test_every_strategy_in_a_stack_equals_it_alone(cohort, split, tmp_path):
    specs = [aligned(None, augmentation="paper", epochs=4)]
    for index, alignment in enumerate(EVERY):
        given = replace(alignment, placebo_seed=3 if index % 3 == 0 else None)
        specs.append(aligned(given, augmentation="paper", epochs=4))
    options = {"valence": models(cohort)}
    together = train(specs, cohort, split, mode="stack", folder=tmp_path / "stack", **options)
    alone = train(specs, cohort, split, mode="loop", folder=tmp_path / "loop", **options)
    assert_same_members(together, alone, atol=1e-5)
    # and none is another, but for those that differ from regression by their data alone
    same = sum(a.definition.kind == "data" for a in EVERY)
    assert len({c.logits.tobytes() for c in together.checkpoints}) >= len(specs) - same


@pytest.mark.parametrize("name", STRATEGIES)
def test_strength_zero_is_the_baseline_bit_for_bit(name, cohort, split, tmp_path):
    base = train([TrainingSpec(**QUICK)], cohort, split, folder=tmp_path / "base")
    spec = TrainingSpec(**QUICK, alignment=Alignment(name, 0.0))
    bank = train([spec], cohort, split, folder=tmp_path / "zero", valence=models(cohort))
    assert_same_members(base, bank)


WEIGHTED = [
    s.name for s in STRATEGIES.values() if s.kind == "loss" and s.name not in ("uncertainty", "distance_ce")
]


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_loss_of_weight_zero_disturbs_nothing(name, cohort, split, tmp_path, monkeypatch):
    """The loss is computed here, and its draws, second passes and parameters leave the training alone."""
    base = train([TrainingSpec(**QUICK)], cohort, split, folder=tmp_path / "base")
    monkeypatch.setattr(Alignment, "active", True)
    spec = TrainingSpec(**QUICK, alignment=Alignment(name, 0.0))
    bank = train([spec], cohort, split, folder=tmp_path / "zero", valence=models(cohort))
    assert_same_members(base, bank)


def test_alignment_keeps_initial_weights_and_batches(cohort, split):
    frozen = {**QUICK, "epochs": 2, "learning_rate": 1e-12}
    rows = [a for a in EVERY if a.definition.kind not in ("initialisation", "inference")]
    specs = [TrainingSpec(**frozen)] + [TrainingSpec(**frozen, alignment=a) for a in rows]
    base, *others = train(specs, cohort, split, valence=models(cohort)).checkpoints
    for spec, other in zip(specs[1:], others, strict=True):
        np.testing.assert_allclose(other.logits, base.logits, atol=1e-5, err_msg=str(spec.alignment))


def test_tuning_holds_the_encoder_and_moves_what_it_may(cohort, split):
    names = ("head_tuning", "lora", "ia3")
    specs = [aligned(Alignment(name, strength), epochs=8) for name in names for strength in (0.1, 20.0)]
    bank = train(specs, cohort, split, valence=models(cohort))
    states = dict(zip(names, np.array_split([c.state for c in bank.checkpoints], 3), strict=True))
    assert all(c.epoch >= 4 for c in bank.checkpoints)  # the second half
    for name in ("layers.0.weight", "layers.1.weight", "layers.1.bias"):
        a, b = (state[name] for state in states["head_tuning"])
        np.testing.assert_array_equal(a, b)
    assert np.abs(np.subtract(*(s["head.weight"] for s in states["head_tuning"]))).max() > 1e-4
    for name in ("layers.0.weight", "layers.1.weight"):
        change = np.subtract(*(state[name] for state in states["lora"]))
        assert np.abs(change).max() > 1e-5
        assert np.linalg.svd(change)[1][8] < 1e-5 * np.linalg.norm(change, 2) + 1e-6  # two changes of rank 4
    a, b = (state["layers.1.weight"] for state in states["ia3"])
    ratio = a / b
    np.testing.assert_allclose(ratio, np.broadcast_to(np.median(ratio, axis=0), ratio.shape), rtol=1e-2)
    assert np.ptp(np.median(ratio, axis=0)) > 1e-4
    np.testing.assert_array_equal(*(state["layers.0.weight"] for state in states["ia3"]))


def test_the_auxiliary_head_finds_valence_where_it_is_planted():
    cohort, _ = simulate_cohort(0, "strong_valence", n_subjects=30, window=10.0)
    specs = [
        TrainingSpec(epochs=12, alignment=a, recipe=str(a))
        for a in (None, Alignment("rsa", 1.0), Alignment("rsa", 1.0, placebo_seed=1))
    ]
    bank = train(specs, cohort, make_split(cohort, "leave_subjects_out"), valence=cohort.rating())
    test = bank.rows("test")
    clip = bank.trials["clip"].to_numpy()[test]
    value = dict(zip(cohort.clips, cohort.rating(), strict=True))
    v = np.array([value[c] for c in clip])

    def agreement(z):
        pairs = np.triu_indices(len(v), 1)
        distance = ((z[:, None] - z) ** 2).sum(-1)
        return np.corrcoef(distance[pairs], (v[:, None] - v)[pairs] ** 2)[0, 1]

    base, true, placebo = (agreement(c.features[test]) for c in bank.checkpoints)
    assert true > base + 0.05 and true > placebo + 0.1


def test_a_teacher_is_trained_first_and_once(cohort, split, tmp_path):
    specs = [aligned(Alignment("distilled_teacher", strength)) for strength in (0.5, 1.0)]
    bank = train(specs, cohort, split, valence=models(cohort), folder=tmp_path)
    assert len(bank) == 2 and len(list(tmp_path.glob("*.npz"))) == 3
    teacher = train(
        [aligned(Alignment("regression", 0.5))], cohort, split, valence=models(cohort), folder=tmp_path
    )
    assert len(list(tmp_path.glob("*.npz"))) == 3  # it was the teacher
    plain = train([aligned(None)], cohort, split)
    close = [
        np.abs(c.logits - teacher.checkpoints[0].logits).mean()
        for c in (*bank.checkpoints, *plain.checkpoints)
    ]
    assert close[1] < close[2]


def test_values_are_part_of_the_key_of_aligned_trainings_only(cohort, split, tmp_path):
    specs = [TrainingSpec(**QUICK), TrainingSpec(**QUICK, alignment=Alignment("regression"))]
    train(specs, cohort, split, valence=cohort.rating(), folder=tmp_path)
    train(specs, cohort, split, valence=3 * cohort.rating() + 1, folder=tmp_path)  # another unit
    assert len(list(tmp_path.glob("*.npz"))) == 2
    train(specs, cohort, split, valence=cohort.rating()[::-1], folder=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 3


def test_features_can_be_left_out_and_had_later(cohort, split, tmp_path):
    specs = [TrainingSpec(**QUICK, seed=s) for s in range(2)]
    whole = train(specs, cohort, split, folder=tmp_path / "whole")
    light = train(specs, cohort, split, folder=tmp_path / "light", features=False)
    assert all(c.features is None for c in light.checkpoints)
    small, large = (sum(f.stat().st_size for f in (tmp_path / n).glob("*.npz")) for n in ("light", "whole"))
    assert small < 0.5 * large
    later = train(specs, cohort, split, folder=tmp_path / "light")
    assert_same_members(whole, later, atol=1e-5)


def test_other_networks_take_losses_on_features_and_inputs(cohort, split):
    short = {**QUICK, "epochs": 2}
    names = (
        "rsa",
        "frontal",
        "distance_ce",
        "head_tuning",
        "pretrained_frozen",
        "weight_start",
        "smooth_prior",
    )
    specs = [TrainingSpec("axial", **short)]
    specs += [TrainingSpec("axial", **short, alignment=Alignment(name)) for name in names]
    bank = train(specs, cohort, split, valence=cohort.rating())
    assert len({c.logits.tobytes() for c in bank.checkpoints}) == len(specs)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("spec", "valence", "message"),
    [
        (aligned(Alignment("rsa")), None, "spec 0 is aligned by 'rsa' and needs valence="),
        (aligned(Alignment("rsa")), np.ones(7), "28 clips or 9 classes; got shape"),
        (aligned(Alignment("procrustes")), np.arange(9.0), "spec 0: .*'procrustes' needs clip information"),
        (aligned(Alignment("multi_model")), np.arange(28.0), "spec 0: .*two or more models"),
        (aligned(Alignment("lora"), network="axial"), np.arange(28.0), "defined for mlp, not for 'axial'"),
        (aligned(Alignment("ia3"), epochs=1, warmup_epochs=0), np.arange(28.0), "needs epochs >= 2, got 1"),
    ],
)
def test_what_an_alignment_lacks_is_named_before_any_training(spec, valence, message, cohort, split):
    with pytest.raises(ValueError, match=message):
        train([spec], cohort, split, valence=valence)


# What cannot be trained


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "lstm"}, "no network named 'lstm'"),
        ({"options": {"width": 3}}, "no option width"),
        ({"epochs": 5}, r"warmup_epochs must lie in \[0, epochs\), got 5 with 5"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"weight_decay": -1.0}, "weight_decay must not be negative"),
        ({"alignment": "rsa"}, "alignment must be an Alignment or None, got 'rsa'"),
        ({"kd": "cat"}, "kd must be None, 'llm' or 'random', got 'cat'"),
        ({"augmentation": "strong"}, "no augmentation named 'strong'; there are none, paper"),
        ({"augmentation": {"mixup": 1}}, "knows no mixup"),
        ({"augmentation": {"probability": 2}}, "probability is out of range: 2"),
    ],
)
def test_a_spec_names_what_is_impossible(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingSpec(**change)


def test_features_that_were_not_asked_for_are_named_when_wanted(cohort, split, tmp_path):
    specs = [TrainingSpec(**QUICK)]
    full = train(specs, cohort, split, folder=tmp_path).checkpoints[0]
    light = train(specs, cohort, split, folder=tmp_path, features=False).checkpoints[0]
    np.testing.assert_array_equal(full.kept_features, full.features)
    with pytest.raises(ValueError, match="features=True"):
        _ = light.kept_features


def test_a_member_that_vanishes_after_it_was_stored_is_named(cohort, split, tmp_path, monkeypatch):
    written = bank_module._write

    def vanishing(path, *rest):
        written(path, *rest)
        path.unlink()

    monkeypatch.setattr(bank_module, "_write", vanishing)
    with pytest.raises(OSError, match="was written and cannot be read"):
        train([TrainingSpec(**QUICK)], cohort, split, folder=tmp_path)


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(bank_module, "_run", None)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("specs", "options", "message"),
    [
        ([], {}, "specs is empty"),
        ([TrainingSpec(), TrainingSpec(recipe="again")], {}, "specs 0 and 1 are the same training"),
        ([TrainingSpec("axial", options={"width": 5})], {}, "width 5 is not a multiple of heads 2"),
        ([TrainingSpec("axial", options={"n_samples": 500})], {}, "spec 0 .* takes raw EEG"),
        ([TrainingSpec("cbramod")], {}, "spec 0 .* takes raw EEG"),
        ([TrainingSpec("axial")], {"mode": "stack"}, "no stacked form"),
        ([TrainingSpec()], {"mode": "fast"}, "mode must be one of auto, stack, loop"),
        ([TrainingSpec()], {"stack_size": 0}, "stack_size must be at least 1"),
        ([TrainingSpec(kd="llm")], {}, "needs prototypes="),
        (
            [TrainingSpec(kd="llm")],
            {"prototypes": np.ones((8, 4))},
            r"each of 9 classes .* got shape \(8, 4\)",
        ),
        ([TrainingSpec()], {"prototypes": np.ones((9, 4))}, "lies at the mean of all"),
        ([TrainingSpec()], {"segment": 15.0}, "not a whole number of windows"),
        ([TrainingSpec(n_windows=3)], {}, "not a whole number of windows"),
    ],
)
def test_errors_come_before_any_training(specs, options, message, cohort, split):
    with pytest.raises(ValueError, match=message):
        train(specs, cohort, split, **options)


def without(mask, keep):
    return mask & keep[None, :]


@pytest.mark.usefixtures("no_training")
def test_names_what_a_split_lacks(cohort, split):
    def attempt(**masks):
        return train([TrainingSpec()], cohort, replace(split, **masks))

    with pytest.raises(ValueError, match="train holds no trial of 'joy'"):
        attempt(train=without(split.train, cohort.emotions != "joy"))
    with pytest.raises(ValueError, match="train holds one class only, 'fear'"):
        attempt(train=without(split.train, cohort.emotions == "fear"))
    for name in bank_module.SETS:
        with pytest.raises(ValueError, match=f"{name} of split 'leave_subjects_out' is empty"):
            attempt(**{name: np.zeros_like(split.train)})
    with pytest.raises(ValueError, match="is in more than one set"):
        attempt(test=split.test | split.validation)
    with pytest.raises(ValueError, match=r"has shape \(3, 28\), the cohort \(10, 28\)"):
        attempt(test=split.test[:3])


@pytest.mark.usefixtures("no_training")
def test_a_folder_that_cannot_be_made_is_refused_first(cohort, split, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        train([TrainingSpec()], cohort, split, folder=tmp_path / "file" / "bank")


@pytest.mark.usefixtures("no_training")
def test_nan_features_are_named(cohort, split):
    damaged = Cohort(cohort.data.copy(deep=True))
    damaged.de[4, 6, 1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="NaN in subject 4, clip 7, window 1"):
        train([TrainingSpec()], damaged, split)


def test_missing_trials_are_left_out(cohort, split):
    de = cohort.de.copy()
    de[0, 0] = np.nan
    bank = train([TrainingSpec(**QUICK)], cohort.with_de(de), split)
    assert len(bank.trials) == 10 * 28 * 3 - 3


def test_baselines_can_be_left_out(cohort, split, monkeypatch):
    monkeypatch.setattr(
        bank_module.networks, "linear_baseline", lambda *_: pytest.fail("a baseline is fitted")
    )
    bank = train([TrainingSpec(**QUICK)], cohort, split, baselines=False)
    assert bank.baselines == {} and bank.baseline_bacc() == {}
    assert bank.table()["recipe"].tolist() == [""] and bank.table()["test"].notna().all()
    with pytest.raises(ValueError, match=r"no baseline named 'lda'; there are none.*baselines=True"):
        bank.scores("lda")


def test_the_bank_names_what_it_does_not_hold(cohort, split):
    bank = train([TrainingSpec(**QUICK)], cohort, split)
    assert len(bank) == 1 and bank.simulated and "simulated" in bank.label
    with pytest.raises(ValueError, match="no set named 'dev'; there are train, validation, test"):
        bank.bacc("dev")
    with pytest.raises(ValueError, match="no baseline named 'svm'; there are lda, logistic"):
        bank.scores("svm")


def test_windows_of_four_seconds_are_trained_on_as_they_are():
    cohort, _ = simulate_cohort(0, "strong_valence", design="SEED-V", n_subjects=6)
    split = make_split(cohort, "leave_subjects_out")
    bank = train_bank([TrainingSpec(**QUICK)], cohort, split, progress=False)
    assert len(bank.trials) == len(segments(cohort, length=8.0).y)  # the whole windows nearest to 10 s


def test_two_that_need_the_same_trainings_train_them_once(tmp_path, monkeypatch):
    cohort, _ = simulate_cohort(0, "strong_valence", n_subjects=6, window=10.0)
    split = make_split(cohort, "leave_subjects_out")
    specs = [TrainingSpec(epochs=2, warmup_epochs=0, seed=seed) for seed in range(2)]
    trained, fit = [], bank_module.optimise

    def slow(*args, **kwargs):
        trained.append(None)
        time.sleep(0.5)
        return fit(*args, **kwargs)

    monkeypatch.setattr(bank_module, "optimise", slow)
    with ThreadPoolExecutor(2) as pool:
        options = {"folder": tmp_path, "n_jobs": 1, "progress": False}
        one, two = pool.map(lambda _: train_bank(specs, cohort, split, **options), range(2))
    assert len(trained) == 1
    np.testing.assert_array_equal(one.bacc("test"), two.bacc("test"))


# Moments of films as labels


def of_moments(n_people, shown, rng):
    """People who see six clips of three classes in two segments of two steps; what they see is `shown`."""
    clip, segment = np.indices((6, 2)).reshape(2, -1)
    x = shown[None] + 0.5 * rng.standard_normal((n_people, 12, *shown.shape[1:]))
    return (
        x.reshape(-1, *shown.shape[1:]).astype(np.float32),
        np.tile(clip, n_people),
        np.tile(segment, n_people),
    )


@pytest.mark.parametrize("planted", [True, False])
def test_moments_name_the_class_only_of_what_was_seen(rng, planted):
    shown = rng.standard_normal((12, 4, 2, 5)) * planted
    x, clip, segment = of_moments(30, shown, rng)
    labels = bank_module.Labels(clip * 2 + segment, clip // 2, np.arange(12) // 4, 3)
    spec = TrainingSpec(
        options={"window_width": 8, "hidden": (16,)},
        n_windows=2,
        labels="moments",
        epochs=20,
        batch_size=32,
        learning_rate=1e-2,
    )
    model = bank_module.Single(bank_module.build_member(spec, (4, 5), 12))
    rows = {"train": np.arange(240), "validation": np.arange(240, 360)}
    training = bank_module.optimise(model, [spec], torch.tensor(x), labels, rows)
    accuracy = training.validation.max()
    assert accuracy > 0.9 if planted else accuracy < 0.5


def test_class_scores_are_log_sums_over_moments(rng):
    labels = bank_module.Labels(np.array([0]), np.array([0]), np.array([0, 1, 0, 1, 1]), 2)
    logits = rng.standard_normal((3, 5))
    expected = np.log(np.stack([np.exp(logits[:, [0, 2]]).sum(1), np.exp(logits[:, [1, 3, 4]]).sum(1)], 1))
    np.testing.assert_allclose(labels.class_scores(torch.tensor(logits)), expected, rtol=1e-12)


def test_members_of_moments_are_stored_and_served_as_trained(cohort, split, tmp_path):
    specs = [TrainingSpec(**QUICK, labels="moments", seed=seed) for seed in range(2)]
    fresh = train(specs, cohort, split, folder=tmp_path)
    again = train(specs, cohort, split, folder=tmp_path)
    assert_same_members(fresh, again)
    one_by_one = train(specs, cohort, split, folder=tmp_path / "loop", mode="loop")
    assert_same_members(fresh, one_by_one, atol=1e-4)
    member, rows = fresh.checkpoints[0], fresh.rows("test")
    assert member.logits.shape == (len(fresh.trials), 9) and len(member.state["head.bias"]) == 28 * 3
    z = torch.tensor(member.features)
    logits = fresh.network(0).head(z)
    moments = fresh.trials["clip"].to_numpy() * 3 + fresh.trials["segment"].to_numpy()
    _, first = np.unique(moments, return_index=True)
    labels = bank_module.Labels(moments, moments, fresh.trials["y"].to_numpy()[first], 9)
    np.testing.assert_allclose(labels.class_scores(logits).detach(), member.logits, atol=1e-4)
    assert rows.any()
    with pytest.raises(ValueError, match="train with labels='classes'"):
        print(member.head)


def test_moments_not_in_training_have_no_output(cohort):
    unseen = make_split(cohort, "leave_clips_out")
    spec = TrainingSpec(**QUICK, labels="moments")
    bank = train([spec], cohort, unseen)
    shown = bank.trials[bank.rows("train")]["clip"].nunique()
    assert shown < 28 and len(bank.checkpoints[0].state["head.bias"]) == 3 * shown


def test_labels_are_checked():
    with pytest.raises(ValueError, match="labels must be one of classes, moments, got 'clips'"):
        TrainingSpec(labels="clips")
    with pytest.raises(ValueError, match="'bias_start' sets the weights of classes"):
        TrainingSpec(labels="moments", alignment=Alignment("bias_start"))
