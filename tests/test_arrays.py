"""Every public entry that takes numbers: each kind of array gives what plain float64 gives, or is named."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from kernel import arrays, metrics, stats
from kernel.brain import features, projection, ratings, topography
from kernel.brain.cohort import Cohort
from kernel.decoding import alignment, causal, ensemble, geometry, members, online, streams
from kernel.language import axis

RNG = np.random.default_rng(0)
EMOTIONS = np.repeat(["anger", "fear", "joy", "neutral"], 3)
CODE = np.repeat(np.arange(4), 3)
FOUR = SimpleNamespace(y=CODE, classes=tuple("abcd"), clips=np.arange(len(CODE)), bands=())  # four classes
# halves, so that every type holds them exactly
MATRIX = np.rint(RNG.normal(0, 6, (12, 5))) / 2
VECTOR = MATRIX.sum(1)
TRIALS = np.rint(RNG.normal(0, 6, (8, 12, 5))) / 2
ORDERS = RNG.permuted(np.tile(np.arange(1.0, 13), (8, 1)), axis=1)
SIGNAL = np.rint(RNG.normal(0, 40, (2, 500)))
VOLTS = SIGNAL * 2.0**-15
MEMBERS = RNG.permuted(np.tile([0.5, 0.25, 0.125, 0.125], (3, 12, 1)), axis=-1)
GRID = np.rint(RNG.normal(0, 6, (12, 3, 2))) / 2
DE = np.rint(RNG.normal(0, 6, (2, 12, 3, 2, 5))) / 2


AXIS = np.array([1.0, 0, -1, 0, 2])


def mean(a):
    return np.mean(a, -1, dtype=float)


def cohort(de):
    return Cohort.from_arrays(
        de, subjects=[0, 1], emotions=EMOTIONS, channels=("Fz", "Cz"), dataset="D", provenance="test"
    )


def decoded(chunk):
    decoder = online.OnlineDecoder(
        [lambda windows: np.array([[0.25, 0.75]])],
        sfreq=125,
        channels=2,
        classes=("a", "b"),
        settings=causal.OnlineSettings(segment=1.0),
    )
    return np.array([record.n_good_channels for record in decoder.push(chunk)])


def entropies(chunk):
    return np.stack([window.de for window in causal.CausalEntropy(125, 2).windows(chunk)])[-1]


#: What takes numbers: a function of one array, and the array.
ENTRIES = {
    "auc": (lambda x: stats.auc(x, CODE > 1), VECTOR),
    "auc, labels": (lambda y: stats.auc(VECTOR, y), (CODE > 1) * 1.0),
    "pearson": (lambda x: stats.pearson(x, MATRIX.T), VECTOR),
    "spearman": (lambda x: stats.spearman(x, MATRIX.T), VECTOR),
    "textbook_p": (lambda r: stats.textbook_p(r, 12), np.array([0.5, -0.25])),
    "bootstrap_interval": (
        lambda x: stats.bootstrap_interval(mean, x, n_resamples=9, random_state=0),
        VECTOR,
    ),
    "permutation_test": (
        lambda y: stats.permutation_test(stats.pearson, VECTOR**2, y, n_permutations=9, random_state=0).null,
        VECTOR,
    ),
    "permutation_p": (lambda null: stats.permutation_p(0.0, null), VECTOR),
    "holm": (stats.holm, np.array([0.25, 0.5, 0.125])),
    "benjamini_hochberg": (stats.benjamini_hochberg, np.array([0.25, 0.5, 0.125])),
    "spread_null": (lambda X: stats.spread_null(X, CODE > 1, AXIS, n_directions=9, random_state=0).p, MATRIX),
    "class_constant_null": (
        lambda t: stats.class_constant_null(t, EMOTIONS, n_directions=9, random_state=0).null,
        VECTOR,
    ),
    "position_counts": (lambda order: ratings.position_counts(order, EMOTIONS), ORDERS),
    "position_only_bacc": (lambda n: ratings.position_only_bacc(n, n), ORDERS[:3]),
    "differential_entropy": (lambda x: features.differential_entropy(x, 125.0), SIGNAL),
    "Cohort": (lambda de: cohort(de).de, DE),
    "with_de": (lambda de: cohort(DE).with_de(de).de, DE),
    "track": (lambda X: projection.track(X, CODE * 1.0, EMOTIONS, n_permutations=9).r, MATRIX),
    "track, y": (lambda y: projection.track(MATRIX, y, EMOTIONS, n_permutations=9).r, CODE * 1.0),
    "trial_level": (
        lambda X: projection.trial_level(X, CODE * 1.0, EMOTIONS, n_permutations=9).observed, TRIALS
    ),
    "clip_effects": (lambda X: projection.clip_effects(X, ORDERS), TRIALS),
    "clip_effects, order": (lambda order: projection.clip_effects(TRIALS, order), ORDERS),
    "cell_map": (lambda X: topography.cell_map(X, CODE, EMOTIONS, n_permutations=9).r, GRID),
    "basin": (lambda Z: geometry.basin(Z, EMOTIONS).basis.abs(), MATRIX),
    "project": (lambda X: geometry.basin(MATRIX, EMOTIONS).project(X), MATRIX),
    "class_pc1_alignment": (lambda Z: geometry.class_pc1_alignment(Z, CODE, np.arange(4)).score, MATRIX),
    "score_accuracy": (lambda L: metrics.score_accuracy(L, CODE), MATRIX),
    "softmax_ensemble": (ensemble.softmax_ensemble, MEMBERS),
    "contributions": (lambda P: ensemble.contributions(P, CODE).single, MEMBERS),
    "contributions, y": (lambda y: ensemble.contributions(MEMBERS, y).single, CODE * 1.0),
    "calibration": (lambda P: ensemble.calibration(P, CODE)["nll"], MEMBERS[0]),
    "accuracy_difference": (
        lambda P: ensemble.accuracy_difference(P, MEMBERS[1], CODE, ORDERS[0] % 3, n_resamples=9),
        MEMBERS[0],
    ),
    "validation_weights": (lambda P: members.validation_weights(P, CODE), MEMBERS),
    "permute_values": (lambda v: alignment.permute_values(v, CODE, 0), MATRIX),
    "Context": (lambda v: alignment.Context.of(FOUR, v, CODE, None, ()).values, VECTOR),
    "ValenceAxis": (lambda X: axis.ValenceAxis().fit(X, EMOTIONS).positions_, MATRIX),
    "ValenceAxis.project": (lambda X: axis.ValenceAxis().fit(MATRIX, EMOTIONS).project(X), MATRIX),
    "agreement": (lambda v: axis.agreement({"a": v, "b": VECTOR**2}, n_resamples=9).matrix, VECTOR),
    "decoder": (decoded, VOLTS),
    "CausalEntropy": (entropies, VOLTS),
    "replay": (lambda x: np.concatenate([part for part, _ in streams.replay(x, 125)], 1), SIGNAL),
}  # fmt: skip


def framed(x):
    return pd.DataFrame(x) if x.ndim == 2 else pd.Series(x) if x.ndim == 1 else x


def shared(x):
    """The same numbers in other memory."""
    wide = np.empty((*x.shape[:-1], 2 * x.shape[-1]))
    wide[..., ::2] = x
    return wide[..., ::2]


def locked(x):
    x = x.copy()
    x.flags.writeable = False
    return x


KINDS = {
    "float16": lambda x: x.astype(np.float16),
    "float32": lambda x: x.astype(np.float32),
    "longdouble": lambda x: x.astype(np.longdouble),
    "big-endian": lambda x: x.astype(">f8"),
    "big-endian float32": lambda x: x.astype(">f4"),
    "backwards": lambda x: np.ascontiguousarray(np.flip(x))[(slice(None, None, -1),) * x.ndim],
    "every other": shared,
    "Fortran": np.asfortranarray,
    "read-only": locked,
    "record": lambda x: np.rec.fromarrays([np.zeros(x.shape, "i4"), x], names="a, b").b,
    "masked": np.ma.masked_array,
    "matrix of pandas": framed,
    "nullable pandas": lambda x: framed(x).astype("Float64") if x.ndim < 3 else x,
    "list": lambda x: x.tolist(),
    "tensor": torch.tensor,
    "half tensor": lambda x: torch.tensor(x).half(),
    "bfloat16 tensor": lambda x: torch.tensor(x).bfloat16(),
    "gradient": lambda x: torch.tensor(x, requires_grad=True),
}


def plain(values):
    values = values.detach() if isinstance(values, torch.Tensor) else values
    return np.asarray(values.double() if isinstance(values, torch.Tensor) else values, dtype=float)


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_kind_of_array_gives_what_float64_gives(entry):
    call, x = ENTRIES[entry]
    expected = plain(call(x))
    for kind, made in KINDS.items():
        # results in the precision of the input are as precise as that
        coarse = 0.02 if "bfloat16" in kind else 2e-3 if kind in ("float16", "half tensor") else 1e-5
        found = plain(call(made(x)))
        np.testing.assert_allclose(found, expected, rtol=coarse, atol=coarse, err_msg=f"{entry}, {kind}")


@pytest.mark.parametrize("entry", sorted(set(ENTRIES) - {"bootstrap_interval"}))  # its statistic decides
def test_what_is_no_number_is_named(entry):
    call, x = ENTRIES[entry]
    for change in (x + 0j, x.astype(object), x.astype(str), x.astype("M8[s]")):
        with pytest.raises(ValueError, match=r"must hold real numbers|must hold integers"):
            call(change)


def test_a_file_in_memory_is_read_and_left_alone(tmp_path):
    np.save(tmp_path / "x.npy", SIGNAL)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = features.differential_entropy(SIGNAL, 125.0)
    np.testing.assert_array_equal(features.differential_entropy(mapped, 125.0), expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, np.nan, np.inf], r"x holds NaN or inf at 1 and 1 more: drop or mend it first"),
        ([[1.0, 2], [3, -np.inf]], r"x holds NaN or inf at \[1, 1\]: drop"),
        (np.ma.masked_array([1.0, 2], [False, True]), "x holds NaN or inf at 1"),
        ([np.ma.masked_array([1.0, 2], [False, True])], r"x holds NaN or inf at \[0, 1\]"),
        (pd.Series([1, None], dtype="Int64"), "x holds NaN or inf at 1"),
        (np.array([1e300], dtype=np.longdouble) ** 2, "x holds NaN or inf at 0"),
        ([[1.0], [1.0, 2.0]], "x must be a regular array of real numbers"),
        (["1.5"], "x must hold real numbers, got <U3"),
        (pd.Series(["1.5"]), "x must hold real numbers, got"),
        (torch.tensor([1j]), "x must hold real numbers, got torch.complex64"),
    ],
)
def test_the_first_bad_value_is_named_with_its_place(values, message):
    with pytest.raises(ValueError, match=message):
        arrays.real(values, "x")
    with pytest.raises(ValueError, match=message):
        arrays.tensor(values, "x")


@pytest.mark.parametrize("gap", [np.nan, None, pd.NA])
def test_a_gap_among_names_does_not_become_a_name(gap):
    for kind in (list, pd.Series, lambda x: np.array(x, dtype=object)):
        with pytest.raises(ValueError, match=r"groups holds NaN or None.* at 1"):
            arrays.row_labels(kind(["a", gap]), "groups", 2)
    assert arrays.row_labels(["a", "nan"], "groups", 2).tolist() == ["a", "nan"]


@pytest.mark.parametrize("kind", [lambda x: np.array(x, dtype=object), lambda x: pd.Series(x, dtype=object)])
def test_text_among_numbers_cannot_be_sorted(kind):
    with pytest.raises(ValueError, match=r"groups holds text and others, 1 and 'a': give all one type"):
        arrays.row_labels(kind([1, "a"]), "groups", 2)
    with pytest.raises(ValueError, match=r"y holds text and others, 1 and 'a'"):
        arrays.for_estimator(kind([1, "a"]), "y", labels=True)
    assert arrays.row_labels(kind(["b", np.str_("a")]), "groups", 2).tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 1.5, 2.7], r"ids holds what is no whole number, 1.5 at 1 and 1 more"),
        ([1.0, np.nan], "ids holds what is no whole number, nan at 1"),
        ([2**40], r"ids holds a number beyond 2 \*\* 31, 1099511627776"),
        ([True], "ids must be whole numbers, got bool"),
        (["7"], "ids must hold real numbers, got <U1"),
    ],
)
def test_whole_numbers_are_not_truncated(values, message):
    with pytest.raises(ValueError, match=message):
        arrays.whole(values, "ids")
    counts = pd.Series([1, 2], dtype="Int8"), np.array([1, 2], ">u2"), torch.tensor([1, 2])
    for kind in ([1, 2], [1.0, 2.0], *counts):
        assert arrays.whole(kind, "ids").tolist() == [1, 2]


@pytest.mark.parametrize("names", [["a", "b"], [3, 4]])
def test_a_label_behind_a_mask_is_missing(names):
    with pytest.raises(ValueError, match=r"ids holds NaN or None, .* at 1"):
        arrays.row_labels(np.ma.masked_array(names, [False, True]), "ids", 2)


def test_what_has_names_is_put_in_their_order_and_all_else_stays():
    named = {"c": 3.0, "a": 1.0, "b": 2.0}
    for kind in (named, pd.Series(named), pd.DataFrame({"model": named})):
        assert np.ravel(arrays.in_order(kind, "valence", ("a", "c"))).tolist() == [1.0, 3.0]
        with pytest.raises(ValueError, match="valence has nothing for d, e: give every one of 3"):
            arrays.in_order(kind, "valence", ("a", "d", "e"), (7, 8))
    # pandas makes a range of such numbers
    for clips in ({7: 1.0, 3: 2.0}, {3: 2.0, 2: 1.0, 1: 0.0}, {1: 0.0, 2: 1.0, 3: 2.0}):
        by_clip = arrays.in_order(pd.Series(clips), "valence", ("a", "b"), np.array(sorted(clips)))
        assert by_clip.tolist() == [clips[clip] for clip in sorted(clips)]
    levels = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])
    unnamed = pd.Series([2.0, 1.0]), pd.Series([2.0, 1.0], index=["a", "a"]), pd.Series([1.0], index=[8])
    for kind in (*unnamed, pd.Series([1.0, 2.0], index=levels), [1.0, 2.0], np.ones(2), torch.ones(2)):
        assert arrays.in_order(kind, "valence", ("a", "b"), (0, 1)) is kind


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_input_decides_kind_and_precision(dtype):
    x = torch.tensor(MATRIX, dtype=dtype)
    found = axis.ValenceAxis().fit(x, EMOTIONS)
    assert found.ablate(x).dtype == found.project(x).dtype == dtype
    own = dtype if dtype in (torch.float32, torch.float64) else torch.float32
    assert features.differential_entropy(torch.tensor(SIGNAL, dtype=dtype), 125.0).dtype == own
    for width in (np.float32, np.float64):
        assert features.differential_entropy(SIGNAL.astype(width), 125.0).dtype == width
