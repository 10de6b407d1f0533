"""Epochs of MNE become a cohort: equal features, the right order, missing clips, errors with their cure."""

import mne
import numpy as np
import pandas as pd
import pytest

from kernel.brain.cohort import Cohort
from kernel.brain.features import differential_entropy

CHANNELS, SFREQ, EMOTIONS = ["Fz", "Cz", "Pz"], 200.0, {"a": "joy", "b": "anger", "c": "neutral"}


def epochs(clips, *, seed=0, channels=CHANNELS, metadata=True, tmin=-0.5, sfreq=SFREQ, amplitude=None):
    """Three seconds of noise for each clip, in volts; `amplitude` gives a clip more of it."""
    rng = np.random.default_rng(seed)
    data = 1e-5 * rng.standard_normal((len(clips), len(channels), int((3 - tmin) * sfreq) + 1))
    for k, clip in enumerate(clips):
        data[k] *= (amplitude or {}).get(clip, 1)
    names = [f"{EMOTIONS[clip]}/{clip}" for clip in clips]
    codes = {name: k + 1 for k, name in enumerate(sorted(set(names)))}
    events = np.array([[1000 * k, 0, codes[name]] for k, name in enumerate(names)])
    table = pd.DataFrame({"emotion": [EMOTIONS[c] for c in clips], "clip": list(clips)}) if metadata else None
    info = mne.create_info(list(channels), sfreq, "eeg")
    return mne.EpochsArray(data, info, events, tmin, codes, metadata=table, verbose="error")


@pytest.mark.parametrize("metadata", [True, False])
def test_features_order_and_missing_clips(metadata):
    first, second = epochs("cab", metadata=metadata), epochs("bc", seed=1, metadata=metadata)
    cohort = Cohort.from_epochs({7: first, 9: second}, dataset="mine")
    assert list(cohort.subjects) == [7, 9] and list(cohort.emotions) == ["joy", "anger", "neutral"]
    signals = first.get_data(units="uV")[:, :, int(0.5 * SFREQ) :]
    expected = np.moveaxis(differential_entropy(signals, SFREQ), 1, 2)[[1, 2, 0]]
    np.testing.assert_allclose(cohort.data["de"].to_numpy()[0], expected, rtol=1e-5)
    assert np.isnan(cohort.data["de"].to_numpy()[1, 0]).all()  # clip a, which the second person lacks
    np.testing.assert_array_equal(cohort.order, [[2, 3, 1], [np.nan, 1, 2]])
    assert not cohort.simulated


def test_a_stronger_signal_is_found_and_equal_ones_are_alike():
    people = [epochs("abc", seed=seed, amplitude={"b": 3}) for seed in range(6)]
    mean = Cohort.from_epochs(people).data["de"].mean(("subject", "second", "channel", "band")).to_numpy()
    assert mean[1] - mean[0] == pytest.approx(np.log(3), abs=0.1)
    assert abs(mean[2] - mean[0]) < 0.1


def test_microvolts_given_as_volts_are_named():
    with pytest.warns(UserWarning, match=r"person 1: .* is 9\.\d+e\+06 uV, far from EEG: MNE takes V"):
        Cohort.from_epochs([epochs("ab", amplitude={"a": 1e6, "b": 1e6})])


BAD = {
    "two emotions: joy, anger": lambda: [epochs("a"), _with(epochs("ab"), emotion=["anger", "anger"])],
    "person 1 has clip 'a' twice": lambda: [epochs("aab")],
    r"differs in EEG channels \(Oz, Pz\)": lambda: [epochs("ab"), epochs("ab", channels=["Fz", "Cz", "Oz"])],
    "bad channels Cz: call interpolate_bads": lambda: [_bad(epochs("ab"))],
    "person 2 has 100 Hz": lambda: [epochs("ab"), epochs("ab", sfreq=100.0)],
    "epochs must begin at 0 s or before": lambda: [epochs("ab", tmin=0.5)],
    "no column 'emotion': name one of feeling": lambda: [_renamed(epochs("ab"))],
    "people is empty": lambda: [],
    "person 1 is ndarray: give Epochs, in a list": lambda: epochs("ab"),
    "number of a person must be a whole number of 0 or more, got 'sub-01'": lambda: {"sub-01": epochs("ab")},
    "person 2 has no epochs left": lambda: [epochs("ab"), epochs("ab").drop([0, 1], verbose="error")],
    "person 1 has epochs without emotion or clip": lambda: [_with(epochs("ab"), clip=["a", np.nan])],
}


def _with(one, **columns):
    one.metadata = one.metadata.assign(**columns)
    return one


def _renamed(one):
    one.metadata = one.metadata.rename(columns={"emotion": "feeling"})
    return one


def _bad(one):
    one.info["bads"] = ["Cz"]
    return one


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_read_is_named_with_its_cure(message):
    with pytest.raises(ValueError, match=message):
        Cohort.from_epochs(BAD[message]())


def test_events_need_both_names():
    one = epochs("ab", metadata=False)
    one.event_id = {"joy": 2, "anger/b": 1}
    with pytest.raises(ValueError, match="events must be named 'emotion/clip', got joy, anger/b"):
        Cohort.from_epochs([one])


@pytest.mark.parametrize("loud", [(1,), (1, 2)])
def test_epochs_rejected_on_loading_are_missing_clips(loud):
    whole = epochs("abc", tmin=0)
    data = np.concatenate(whole.get_data(), axis=1)
    for k in loud:
        data[0, 601 * k + 300] = 1  # V
    raw = mne.io.RawArray(data, whole.info, verbose="error")
    events = np.array([[601 * k, 0, 1] for k in range(3)])
    options = {"metadata": whole.metadata, "reject": {"eeg": 0.1}, "verbose": "error"}
    lazy = mne.Epochs(raw, events, tmin=0, tmax=3, baseline=None, **options)
    cohort = Cohort.from_epochs([whole, lazy])
    np.testing.assert_array_equal(cohort.present, [[True] * 3, [k not in loud for k in range(3)]])
    np.testing.assert_allclose(cohort.de[1, 0], cohort.de[0, 0], rtol=1e-4)
    assert len(lazy.events) == 3  # what was given is not changed
    order = [[1, 2, 3], [np.nan if k in loud else k + 1 for k in range(3)]]
    np.testing.assert_array_equal(cohort.order, order)  # a rejected clip was seen all the same


def test_a_position_is_that_in_the_recording():
    """Dropped clips count; events left out by an index do not, nor does the order of rows."""
    seen, nan = epochs("abc"), np.nan
    parts = mne.concatenate_epochs([seen[:2].drop([0], verbose="error"), seen[2:]], verbose="error")
    for one, expected in (
        (seen, [1, 2, 3]),
        (seen.copy().drop([0], verbose="error"), [nan, 2, 3]),
        (seen[1:], [nan, 1, 2]),
        (seen[[2, 0, 1]], [1, 2, 3]),
        (parts, [nan, 2, 3]),
    ):
        np.testing.assert_array_equal(Cohort.from_epochs([seen, one]).order[1], expected)


def test_numbers_of_clips_are_sorted_by_size_and_a_float_column_names_the_same():
    numbers = [10, 2, 1], [10.0, 2.0, 1.0]
    cohort = Cohort.from_epochs([_with(epochs("abc"), clip=clips) for clips in numbers])
    assert cohort.present.all() and list(cohort.emotions) == ["neutral", "anger", "joy"]  # clips 1, 2, 10


@pytest.mark.parametrize(
    ("clips", "kept", "joy"),
    [
        ((10, 0, 3), [0, 3, 10], 10),
        ((103.0, 101.0, 102.0), [101, 102, 103], 103),
        ((7, 5, "x"), [1, 2, 3], 2),
        (("2", "01", "1"), [1, 2, 3], 3),
        ((20260528123456, 5, 6), [1, 2, 3], 3),
    ],
)
def test_whole_numbers_stay_the_numbers_of_their_clips(clips, kept, joy):
    people = [_with(epochs("abc", seed=seed), clip=list(clips)) for seed in range(2)]
    cohort = Cohort.from_epochs(people)
    assert cohort.clips.tolist() == kept and cohort.select(clips=[joy]).emotions.tolist() == ["joy"]
    people[0]._data[0, 1] = 0  # flat
    with pytest.raises(ValueError, match=f"subject 1, clip {joy}, window 0, Cz"):
        Cohort.from_epochs(people)


@pytest.mark.parametrize(("missing", "tmin"), [(0, 0.0), (0, -0.5), (1, 0.0)])
def test_epochs_may_hold_one_window_to_the_last_sample(missing, tmin):
    noise, info = np.random.default_rng(0).standard_normal((1, 2000)), mne.create_info(["Cz"], SFREQ, "eeg")
    options = {"tmin": tmin, "tmax": 2 - (1 + missing) / SFREQ, "baseline": None, "verbose": "error"}
    raw, events = mne.io.RawArray(1e-5 * noise, info, verbose="error"), np.array([[400, 0, 1], [1000, 0, 2]])
    one = mne.Epochs(raw, events, {"joy/1": 1, "anger/2": 2}, preload=True, **options)
    if missing:
        with pytest.raises(ValueError, match="hold 2 s after it"):
            Cohort.from_epochs([one], window=2.0)
    else:
        assert Cohort.from_epochs([one], window=2.0).n_windows.tolist() == [[1, 1]]
