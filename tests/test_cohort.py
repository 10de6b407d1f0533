"""The container: round trip, what it refuses, standardisation, segments, splits."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.preprocessing import StandardScaler

from kernel.brain import designs
from kernel.brain.cohort import Cohort, cohort_tensor, mean_over_subjects, segments, standardise
from kernel.brain.designs import FACED_CLASSES, FACED_CLIP_EMOTIONS, FACED_FILMS, faced_hardware
from kernel.brain.splits import make_split

CHANNELS = ("Fz", "Cz", "Oz")


def make(rng, n_subjects=6, n_windows=30, channels=CHANNELS, de=None, **changes):
    """A cohort of FACED's design with few channels; `changes` go to the constructor."""
    if de is None:
        de = rng.standard_normal((n_subjects, 28, n_windows, len(channels), 5))
    arguments = dict(
        subjects=range(len(de)),
        emotions=FACED_CLIP_EMOTIONS,
        channels=channels,
        dataset="FACED",
        provenance="made in a test",
        hardware=faced_hardware(range(len(de))),
    )
    return Cohort.from_arrays(de, **(arguments | changes))


def make_seed_v(rng, n_subjects=4):
    design = {"dataset": "SEED-V", "window": 4.0, "channels": ("FP1", "OZ")}
    design["emotions"] = ["happy", "fear", "neutral", "sad", "disgust"] * 9
    return make(rng, de=rng.standard_normal((n_subjects, 45, 6, 2, 5)), **design)


def test_holds_what_was_given(rng):
    order = np.array([rng.permutation(28) + 1 for _ in range(6)], dtype=float)
    order[2] = np.nan
    cohort = make(rng, order=order, ratings={"valence": np.arange(28), "arousal": np.ones(28)}, bands="paper")
    assert [FACED_CLIP_EMOTIONS.count(name) for name in FACED_CLASSES] == [3, 3, 3, 3, 4, 3, 3, 3, 3]
    assert faced_hardware([0, 60, 61, 122]) == ["cohort 1", "cohort 1", "cohort 2", "cohort 2"]
    assert cohort.classes == FACED_CLASSES
    np.testing.assert_array_equal(np.array(cohort.classes)[cohort.y], cohort.emotions)
    np.testing.assert_array_equal(cohort.order, order)
    np.testing.assert_array_equal(cohort.rating("valence"), np.arange(28))
    np.testing.assert_array_equal(cohort.clips, np.arange(1, 29))
    np.testing.assert_array_equal(make(rng, clips=range(100, 72, -1)).clips, np.arange(100, 72, -1))
    assert cohort.bands["alpha"] == (8.0, 13.0)
    assert cohort.de.dtype == np.float32 and cohort.present.all() and (cohort.n_windows == 30).all()
    assert cohort.data["second"].values[-1] == 29.0
    with pytest.raises(KeyError, match="liking"):
        cohort.rating("liking")
    de = rng.standard_normal((2, 28, 3, 3, 5)).astype(np.float32)
    assert np.shares_memory(make(rng, de=de).de, de)


def test_label_says_when_no_brain_was_recorded(rng):
    labels = {
        "FACED": {},
        "simulated cohort, seed 7": {"simulated": True, "seed": 7},
        "simulated cohort": {"simulated": True},
        "simulated cohort, no valence": {"simulated": True, "provenance": "simulated: no valence"},
    }
    for label, changes in labels.items():
        cohort = make(rng, n_windows=2, **changes)
        assert cohort.label == label and cohort.simulated == bool(changes)
        assert standardise(cohort).select(clips=[1, 2]).label == label


# Files


def test_ratings_and_films_go_with_every_view_and_a_round_trip_is_exact(rng, tmp_path):
    people = rng.uniform(0, 7, (3, 28))
    people[0, 5] = people[:, 9] = np.nan
    de = rng.standard_normal((3, 28, 4, 3, 5))
    de[0, 5] = de[1, 7, 2:] = np.nan
    given = {"ratings": {"joy": people, "valence": 7 - people}, "films": FACED_FILMS, "simulated": True}
    cohort = make(rng, de=de, order=np.tile(np.arange(1, 29), (3, 1)), seed=3, **given)
    saved = Cohort.load(cohort.save(tmp_path / "cohort.nc"))
    assert saved.data.identical(cohort.data) and saved.label == cohort.label
    types = [{name: v.dtype for name, v in one.data.variables.items()} for one in (saved, cohort)]
    assert types[0] == types[1] and types[0]["person_rating"] == np.float32
    for view in (cohort, saved, standardise(cohort), cohort.with_de(cohort.de + 1)):
        np.testing.assert_allclose(view.person_rating("joy"), people, rtol=1e-6)
        assert tuple(view.films) == FACED_FILMS
    np.testing.assert_allclose(np.delete(cohort.rating(), 9), np.nanmean(np.delete(7 - people, 9, 1), 0))
    assert np.isnan(cohort.rating()[9])
    part = cohort.select(subjects=[2, 0], clips=[14, 6])
    np.testing.assert_allclose(part.person_rating("joy"), people[np.ix_([2, 0], [13, 5])], rtol=1e-6)
    assert part.films.tolist() == ["Blue", "Hellraiser"]
    np.testing.assert_array_equal(part.rating(), cohort.rating()[[13, 5]])  # still over all people
    with pytest.raises(KeyError, match="liking"):
        cohort.person_rating("liking")


def test_ratings_of_people_and_films_may_be_unknown(rng):
    cohort = make(rng, 2, 2, ratings={"valence": np.ones(28)}, films=[""] * 28)
    assert not {"film", "person_rating"} & set(cohort.data.variables)
    assert cohort.films.tolist() == [""] * 28
    with pytest.raises(KeyError, match="no ratings of single people"):
        cohort.person_rating()
    with pytest.raises(ValueError, match="person_rating must be over"):
        Cohort(cohort.data.assign(person_rating=cohort.data["rating"]))


def test_loading_names_the_file_and_what_is_wrong(rng, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.nc"):
        Cohort.load(tmp_path / "nowhere.nc")
    (tmp_path / "text.nc").write_text("not netCDF")
    with pytest.raises(ValueError, match=r"text\.nc starts with b'not ': give a cohort"):
        Cohort.load(tmp_path / "text.nc")
    xr.Dataset({"x": ("t", np.arange(3.0))}).to_netcdf(tmp_path / "other.nc", engine="scipy")
    with pytest.raises(ValueError, match=r"other\.nc is not a valid cohort: the data set lacks"):
        Cohort.load(tmp_path / "other.nc")
    make(rng).save(tmp_path / "whole.nc")
    (tmp_path / "cut.nc").write_bytes((tmp_path / "whole.nc").read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"cut\.nc"):
        Cohort.load(tmp_path / "cut.nc")


# What it refuses


WRONG_DESIGNS = [
    ({"subjects": range(5)}, r"named, \(5, 28, None, .*got \(6, 28"),
    ({"subjects": [0, 1, 2, 3, 4, 4]}, r"subject \[4, 4\] occur more than once"),
    ({"channels": ("Fz", "Cz", "Cz")}, r"channel \['Cz', 'Cz'\] occur more than once"),
    ({"clips": [*range(27), 3]}, r"clip \[3, 3\] occur more than once"),
    ({"clips": range(5)}, r"clips must have shape \(28,\), got \(5,\)"),
    ({"clips": [*range(27), 2.5]}, "clips holds what is no whole number, 2.5 at 27"),
    ({"subjects": [0, 1, 1.5, 3, 4, 5]}, "subjects holds what is no whole number, 1.5 at 2"),
    ({"emotions": range(28)}, "emotions must be words .*, got 0"),
    ({"emotions": ["joy, high"] * 28}, "emotions must be words .*, got 'joy, high'"),
    ({"classes": ["anger", "anger", *FACED_CLASSES[1:]]}, r"class \['anger', 'anger'\] occur more than"),
    ({"channels": ("Fz", "Cz", "FZ")}, r"channel \['Fz', 'FZ'\] occur more than once"),
    ({"channels": ("Fz", "Cz ", "Oz")}, "channels must be words .*, got 'Cz '"),
    ({"seed": 1.5}, "seed holds what is no whole number, 1.5"),
    ({"emotions": "x" * 28}, "emotions must be a list of names, got 'x"),
    ({"channels": "abc"}, "channels must be a list of names, got 'abc'"),
    ({"hardware": "abcdef"}, r"hardware must have shape \(6,\), one for each row, got \(\)"),
    ({"dataset": None}, "dataset must be a text, got None"),
    ({"ratings": [1.0] * 28}, r"ratings must be {item: values}, got list"),
    ({"classes": FACED_CLASSES[1:]}, r"emotions \['anger'\] are not among the classes"),
    ({"bands": "theirs"}, "bands must be one of paper, official; got 'theirs'"),
    ({"bands": {"a": (1, 4), "b": (4, 8)}}, r"named, \(6, 28, None, \d+, 2\), got"),
    ({"order": np.zeros((6, 28))}, "subject 0 has position 0"),
    ({"order": np.ones((6, 28))}, "subject 0 has two clips at the same position"),
    ({"order": np.full((6, 28), 1.5)}, "order holds what is no whole number, 1.5 at "),
    ({"order": np.ones((28, 6))}, r"order must have shape \(n_subjects, n_clips\)"),
    ({"window": 0.0}, r"window must lie in \(0, inf\), got 0.0"),
    ({"ratings": {"valence": np.ones(9)}}, r"ratings must all be \(28,\).*'valence': \(9,\)"),
    ({"ratings": {"valence": np.ones(28), "joy": np.ones((6, 28))}}, r"all \(6, 28\), single people"),
    ({"ratings": {"valence": np.full((6, 28), np.inf)}}, "finite, or NaN where missing"),
    ({"films": ["Blue"] * 5}, r"films must have shape \(28,\), one for each row, got \(5,\)"),
    ({"films": [*["Blue"] * 27, np.nan]}, "films holds NaN or None, nan at 27"),
    ({"hardware": ["cap"] * 5}, r"hardware must have shape \(6,\), one for each row, got \(5,\)"),
    ({"hardware": ["cap", None, *["cap"] * 4]}, "hardware holds NaN or None, None at 1"),
    ({"hardware": [*["cap"] * 5, np.nan]}, "hardware holds NaN or None, nan at 5"),
]


@pytest.fixture(scope="module")
def small():
    """Features (6, 28, 2, 3, 5)."""
    return np.random.default_rng(0).standard_normal((6, 28, 2, 3, 5))


@pytest.mark.parametrize(("changes", "message"), WRONG_DESIGNS)
def test_a_wrong_design_is_named(rng, small, changes, message):
    with pytest.raises(ValueError, match=message):
        make(rng, de=small, **changes)


def test_broken_values_and_data_sets_of_another_kind_are_named(rng, small):
    for where, value, message in (
        ((2, 3, 1, 1, 0), -np.inf, "-inf in subject 2, clip 4, window 1, Cz/delta"),
        ((2, 3, 1, 1, 0), np.nan, "nan in subject 2, clip 4, window 1, Cz"),
        ((2, 3, 0), np.nan, r"NaN windows within subject 2, clips \[4\]"),
    ):
        de = small.copy()
        de[where] = value
        with pytest.raises(ValueError, match=message):
            make(rng, de=de)
    cohort = make(rng, de=small)
    for data, message in (
        ({}, "not dict"),
        (cohort.data.astype(float), "must be float32"),
        (cohort.data.assign_coords(emotion=("subject", ["joy"] * 6)), "emotion must be over"),
        (cohort.data.assign_coords(low=("band", [9.0] * 5)), "'delta' needs 0 < low < high"),
    ):
        with pytest.raises(ValueError, match=message):
            Cohort(data)
    with pytest.raises(ValueError, match=r"de must have shape \('subject', .*got \(6, 28, 3\)"):
        make(rng, de=np.zeros((6, 28, 3)))
    with pytest.raises(ValueError, match=r"de must have shape \(6, 28, 2, 3, 5\), got \(6, 28, 2\)"):
        cohort.with_de(np.zeros((6, 28, 2)))


# Views


def test_select_keeps_the_order_asked_for(rng):
    cohort = make(rng)
    part = cohort.select(subjects=[4, 1], channels=["Oz", "Fz"], bands=["gamma"])
    np.testing.assert_array_equal(part.de, cohort.de[[4, 1]][..., [2, 0], 4:])
    np.testing.assert_array_equal(part.subjects, [4, 1])
    with pytest.raises(KeyError, match=r"no channel \['POz'\]"):
        cohort.select(channels=["POz"])


def test_info_places_electrodes_in_head_coordinates(rng):
    info = designs.scalp_info(("FP1", "Fp2", "Oz", "T7", "A1"), sfreq=1.0)
    place = {channel["ch_name"]: channel["loc"][:3] for channel in info["chs"]}  # x right, y nose, z up
    assert place["FP1"][0] < 0 < place["Fp2"][0] and place["FP1"][1] > 0 > place["Oz"][1]
    assert place["T7"][0] < place["FP1"][0] and place["A1"][2] < place["T7"][2]
    assert make(rng).info().ch_names == list(CHANNELS)
    with pytest.raises(ValueError, match=r"\['CB1'\]"):
        designs.scalp_info(("Oz", "CB1"), sfreq=1.0)
    assert designs.scalp_channels(["Fz", "CB1", "po3", "HEOR"]) == ["Fz", "po3"]


def test_standardising_equals_scikit_learn_subject_by_subject(rng):
    de = 3 + 2 * rng.standard_normal((4, 28, 30, 3, 5))
    de[1, 20] = np.nan
    found = standardise(make(rng, de=de))
    assert found.data.attrs["unit"] == "z"
    for subject in range(4):
        table = de[subject].astype(np.float32).reshape(-1, 15)
        expected = StandardScaler().fit_transform(table).reshape(28, 30, 3, 5)  # which passes NaN through
        np.testing.assert_allclose(found.de[subject], expected, atol=1e-5)


def test_standardising_names_what_does_not_vary(rng):
    de = rng.standard_normal((3, 28, 3, 3, 5))
    de[2, ..., 1, 3] = 0.7
    with pytest.raises(ValueError, match="Cz/beta of subject 2 does not vary"):
        standardise(make(rng, de=de))
    de[1] = np.nan
    with pytest.raises(ValueError, match="subject 1 has no trial"):
        standardise(make(rng, de=de))


def test_segments_are_means_of_consecutive_windows(rng):
    de = rng.standard_normal((3, 28, 32, 3, 5))
    de[1, 4] = np.nan
    de[2, 6, 25:] = np.nan
    cohort = make(rng, de=de)
    found = segments(cohort, length=10)
    assert len(found.y) == 3 * 28 * 3 - 3 - 1 and found.X.dtype == np.float32
    for row in range(0, len(found.y), 7):
        subject, clip, segment = found.subject[row], found.clip[row] - 1, found.segment[row]
        expected = de[subject, clip, 10 * segment : 10 * segment + 10].mean(0)
        np.testing.assert_allclose(found.X[row].reshape(3, 5), expected, atol=1e-6)
        assert FACED_CLASSES[found.y[row]] == FACED_CLIP_EMOTIONS[clip]
    mask = np.zeros((3, 28), dtype=bool)
    mask[2, 6] = mask[0, 0] = True
    rows = found.rows(mask)
    assert list(zip(found.subject[rows], found.clip[rows], strict=True)) == [(0, 1)] * 3 + [(2, 7)] * 2


def test_trials_too_short_for_a_segment_are_counted(rng, recwarn):
    de = rng.standard_normal((6, 28, 30, 3, 5))
    segments(make(rng, de=de))
    assert not recwarn
    de[1, 2, 9:] = de[4, 5, 3:] = np.nan
    with pytest.warns(
        UserWarning, match="2 of 168 trials of FACED are shorter than 10 s and give no segment"
    ):
        assert len(segments(make(rng, de=de)).X) == 168 * 3 - 2 * 3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_trial_that_is_missing_in_part_is_named_and_a_whole_one_left_out(rng, value):
    features = rng.standard_normal((4, 3, 2, 5))
    features[1, 2] = np.nan
    np.testing.assert_allclose(mean_over_subjects(features)[2], features[[0, 2, 3], 2].mean(0))
    features[3, 1, 1, 4] = value  # not the first feature
    with pytest.raises(ValueError, match="at place 3, clip at place 1 hold infinities or are NaN in part"):
        mean_over_subjects(features)
    features[:, 1] = np.nan
    with pytest.raises(ValueError, match=r"nobody here has trials of clips at places \[1\]"):
        mean_over_subjects(features)


def test_segments_need_whole_windows(rng):
    for length in (-8.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"length must lie in \(0, inf\)"):
            segments(make_seed_v(rng), length=length)
    with pytest.raises(ValueError, match=r"10.0 s is not a whole number of windows of 4.0 s"):
        segments(make_seed_v(rng), length=10.0)
    seed_v = make_seed_v(rng)
    assert segments(seed_v).X.shape == segments(seed_v, length=8).X.shape == (4 * 45 * 3, 10)
    with pytest.raises(ValueError, match=r"exceeds the longest trial, 30\.0 s"):
        segments(make(rng), length=31)


def test_cohort_tensor_weighs_subjects_alike(rng):
    de = rng.standard_normal((5, 28, 30, 3, 5))
    de[1, 4] = de[2, 6, 3:] = np.nan
    tensor = cohort_tensor(make(rng, de=de))
    np.testing.assert_allclose(tensor[4], de[[0, 2, 3, 4], 4].mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(tensor[6], np.nanmean(de[:, 6], axis=1).mean(0), atol=1e-6)


# Splits

NAMES = ("standard", "cohort_matched", "leave_clips_out", "leave_subjects_out")


@pytest.fixture(scope="module")
def faced():
    return make(np.random.default_rng(0), n_subjects=123, n_windows=1, channels=("Oz",))


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_disjoint_by_subject_and_reproducible(faced, name):
    split = make_split(faced, name, random_state=5)
    assert (split.train.astype(int) + split.validation + split.test).max() == 1
    subjects = [mask.any(1) for mask in (split.train, split.validation, split.test)]
    assert np.sum(subjects, axis=0).max() == 1 and not split.shares_subjects
    again = make_split(faced, name, random_state=5)
    np.testing.assert_array_equal(split.test, again.test)
    for mask in (split.train, split.validation, split.test):
        assert set(faced.y[mask.any(0)]) == set(range(9))
    moved = make_split(faced, name, random_state=6)
    assert (moved.test != split.test).any() == (name != "standard")
    if name == "leave_subjects_out":
        tested = [make_split(faced, name, fold=fold).test for fold in range(5)]
        np.testing.assert_array_equal(np.sum(tested, axis=0), 1)


def test_standard_split_is_the_published_one(faced):
    split = make_split(faced, "standard")
    sets = {"train": range(80), "validation": range(80, 100), "test": range(100, 123)}
    for name, ids in sets.items():
        members = np.isin(faced.subjects, ids)[:, None] & np.ones(28, dtype=bool)
        np.testing.assert_array_equal(getattr(split, name), members)
    assert split.shares_clips
    part = faced.select(subjects=[101, 3, 85])  # by id, wherever the subject stands
    np.testing.assert_array_equal(make_split(part, "standard").test.any(1), [True, False, False])


def test_matched_split_has_the_same_mix_of_hardware_everywhere(faced):
    split = make_split(faced, "cohort_matched")
    second = faced.hardware == "cohort 2"
    for mask, size in ((split.train, 80), (split.validation, 20), (split.test, 23)):
        members = mask.any(1)
        assert members.sum() == pytest.approx(size, abs=1)
        assert second[members].mean() == pytest.approx(62 / 123, abs=0.5 / size + 0.01)
    standard = make_split(faced, "standard")
    assert second[standard.test.any(1)].all() and not second[standard.train.any(1)].all()


def test_leave_clips_out_has_new_clips_of_every_class_and_folds_reach_all(faced):
    tested = np.zeros(28, dtype=int)
    for fold in range(4):
        split = make_split(faced, "leave_clips_out", fold=fold)
        clips = split.test.any(0)
        assert not split.shares_clips and not (split.validation & split.test.any(0)).any()
        np.testing.assert_array_equal(np.bincount(faced.y[clips], minlength=9), 1)
        np.testing.assert_array_equal(split.train.any(0), ~clips)
        tested += clips
    assert (tested >= 1).all()


def test_seed_v_split_shares_its_subjects_and_says_so(rng):
    cohort = make_seed_v(rng)
    split = make_split(cohort, "cbramod")
    assert split.shares_subjects and not split.shares_clips
    np.testing.assert_array_equal(np.flatnonzero(split.train[0]), [*range(5), *range(15, 20), *range(30, 35)])
    tested = [*range(10, 15), *range(25, 30), *range(40, 45)]
    np.testing.assert_array_equal(np.flatnonzero(split.test[0]), tested)
    with pytest.raises(ValueError, match="is for FACED, this cohort is SEED-V"):
        make_split(cohort, "standard")
    with pytest.raises(ValueError, match="needs 5 subjects, the cohort has 4"):
        make_split(cohort, "leave_subjects_out")


def test_missing_trials_belong_to_no_set_and_empty_sets_are_refused(faced, rng):
    de = faced.de.copy()
    de[110, 3] = np.nan
    split = make_split(faced.with_de(de), "standard")
    assert not split.test[110, 3] and split.test[110, 4]
    for cohort, name, fold, message in (
        (faced.select(subjects=range(80)), "standard", 0, "leaves validation empty"),
        (faced, "mine", 0, "split must be one of standard, .* got 'mine'"),
        (faced, "leave_clips_out", -1, "fold must be a whole number of 0 or more"),
        (faced.select(clips=[1, 4, 5]), "leave_clips_out", 0, "needs two clips of 'anger'"),
    ):
        with pytest.raises(ValueError, match=message):
            make_split(cohort, name, fold=fold)
