"""Every copy of FACED, in generated files of the exact formats, sound and spoilt."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import types
import warnings
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
from eeg_files import (
    CHANNELS_LATE,
    SCALP,
    write_bdf,
    write_faced_bids,
    write_faced_de,
    write_faced_processed,
    write_faced_remarks,
)

from kernel.brain import faced
from kernel.brain.faced import download_faced, read_faced, read_faced_ratings
from kernel.brain.features import differential_entropy
from kernel.brain.pickles import EEGFileError, UnsafePickleError

QUIET = {"progress": False}


@pytest.fixture(scope="module")
def bids(tmp_path_factory):
    """One subject of each recording cohort; the first at 1000 Hz."""
    root = tmp_path_factory.mktemp("bids")
    return root, write_faced_bids(root, (0, 61), sfreq={0: 1000})


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    root = tmp_path_factory.mktemp("official")
    truth = write_faced_processed(root, (0, 23, 100), scale={23: 3000.0})
    return root, truth


@pytest.fixture
def copy(bids, tmp_path):
    """The small subject of the BIDS copy, to be spoilt."""
    shutil.copytree(bids[0] / "sub-061", tmp_path / "sub-061")
    return tmp_path, tmp_path / "sub-061" / "eeg" / "sub-061_task-watchingVideoClips"


def expected_de(clips, sfreq, bands):
    """Differential entropy of (28, 30, n) in uV by the book: average reference, then features."""
    return differential_entropy(clips - clips.mean(1, keepdims=True), sfreq, bands).swapaxes(1, 2)


def snapshot(root):
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(Path(root).rglob("*"))}


def edit(path, change, *, encoding="utf-8-sig"):
    path = Path(path)
    path.write_text(change(path.read_text(encoding=encoding)), encoding=encoding)


# The BIDS copy


@pytest.mark.parametrize("bands", ["official", "paper"])
def test_bids_gives_the_entropies_of_the_last_30_s_by_clip_and_by_name(bids, bands):
    root, truth = bids
    before = snapshot(root)
    cohort = read_faced(root, bands=bands, **QUIET)
    assert snapshot(root) == before
    assert cohort.channels == SCALP and len(SCALP) == 30
    assert cohort.subjects.tolist() == [0, 61] and cohort.data.attrs["band_table"] == bands
    assert cohort.hardware.tolist() == ["cohort 1", "cohort 2"] and not cohort.simulated
    np.testing.assert_allclose(cohort.de[1], expected_de(truth[61]["clips"], 250, bands), atol=1e-5)
    # entropies taken at 1000 Hz know no anti-alias filter and see other ends
    early = expected_de(truth[0]["clips"][::7], 1000, bands)
    np.testing.assert_allclose(cohort.de[0][::7, 3:-3], early[:, 3:-3], atol=0.05)
    assert np.abs(cohort.de[0][::7] - early).mean() < 0.03


def test_the_truth_would_be_missed_by_index_by_another_window_or_by_another_order(bids):
    root, truth = bids
    de = read_faced(root, subjects=[61], **QUIET).de[0]
    wrong = {
        "channels by index": truth[61]["clips"][:, np.roll(np.arange(30), 1)],
        "clips in order shown": truth[61]["clips"][np.argsort(truth[61]["order"])],
    }
    for name, clips in wrong.items():
        assert np.abs(de - expected_de(clips, 250, "official")).max() > 0.5, name


def test_both_recording_cohorts_are_mapped_by_name(tmp_path, rng):
    """The same signal under T3..T6 A1 A2 and T7..P8 HEOR HEOL, in any order, must give the same entropies."""
    write_faced_bids(tmp_path, (5, 70), seed=3, order=range(1, 29))
    folders = [tmp_path / f"sub-{s:03d}" / "eeg" / f"sub-{s:03d}_task-watchingVideoClips" for s in (5, 70)]
    raws = [mne.io.read_raw_bdf(f"{f}_eeg.bdf", stim_channel=None, verbose="error") for f in folders]
    signal = {name: 10 * rng.standard_normal(raws[0].n_times) for name in SCALP}
    new = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
    for raw, folder in zip(raws, folders, strict=True):
        names = rng.permutation(raw.ch_names).tolist()
        x = [signal.get(new.get(n, n), np.linspace(-9e3, 9e3, raw.n_times)) for n in names]
        write_bdf(Path(f"{folder}_eeg.bdf"), np.array(x), 250, names)
        table = pd.read_csv(f"{folder}_channels.tsv", sep="\t", encoding="utf-8-sig", dtype=str)
        table.assign(name=names).to_csv(f"{folder}_channels.tsv", sep="\t", index=False, encoding="utf-8-sig")
    cohort = read_faced(tmp_path, **QUIET)
    np.testing.assert_allclose(cohort.de[0], cohort.de[1], atol=1e-6)
    cz = cohort.de[0][:, :, SCALP.index("Cz")]
    own = signal["Cz"] - np.mean(list(signal.values()), axis=0)
    start = round((5.0 + 40.0 - 30.0) * 250)
    np.testing.assert_allclose(cz[0], differential_entropy(own[start : start + 7500], 250), atol=0.02)


def test_bids_brings_order_durations_and_mean_ratings(bids):
    root, truth = bids
    cohort = read_faced(root, **QUIET)
    for row, subject in enumerate((0, 61)):
        np.testing.assert_array_equal(cohort.order[row], truth[subject]["order"])
    mean = (truth[0]["ratings"] + truth[61]["ratings"])[:, 9] / 2
    np.testing.assert_allclose(cohort.rating("valence"), mean, rtol=1e-12)
    np.testing.assert_allclose(cohort.data["duration"], 40.0)
    assert cohort.emotions[12:16].tolist() == ["neutral"] * 4  # a backslash in the file


def test_a_byte_order_mark_is_read_and_not_needed(copy, tmp_path_factory):
    root, stem = copy
    assert Path(f"{stem}_events.tsv").read_bytes().startswith(b"\xef\xbb\xbf")
    with_mark = read_faced(root, **QUIET)
    for table in ("events", "channels"):
        path = Path(f"{stem}_{table}.tsv")
        path.write_bytes(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    np.testing.assert_array_equal(read_faced(root, **QUIET).de, with_mark.de)


def test_a_missing_unit_is_inferred_and_said(tmp_path):
    write_faced_bids(tmp_path / "known", (61,), seed=4)
    write_faced_bids(tmp_path / "missing", (61,), seed=4, unit="n/a")
    known = read_faced(tmp_path / "known", **QUIET)
    with pytest.warns(UserWarning, match=r"missing: subjects \[61\] give no unit"):
        missing = read_faced(tmp_path / "missing", **QUIET)
    np.testing.assert_allclose(missing.de, known.de, atol=1e-6)


def without_units(path, names, channels, unit=""):
    """Rewrite the units that the header gives for some channels; the samples stay."""
    data, n = bytearray(path.read_bytes()), len(names)
    for name in channels:
        at = 256 + 96 * n + 8 * names.index(name)
        data[at : at + 8] = unit.encode().ljust(8)
    path.write_bytes(data)


def test_units_are_decided_channel_by_channel(tmp_path):
    write_faced_bids(tmp_path / "known", (61,), seed=4)
    write_faced_bids(tmp_path / "partly", (61,), seed=4)
    file = next((tmp_path / "partly").rglob("*.bdf"))
    without_units(file, CHANNELS_LATE, CHANNELS_LATE[20:])
    known = read_faced(tmp_path / "known", **QUIET)
    with pytest.warns(UserWarning, match=r"subjects \[61\] give no unit \(n/a\) for O1, O2, .*, Pz; it was"):
        partly = read_faced(tmp_path / "partly", **QUIET)
    np.testing.assert_allclose(partly.de, known.de, atol=1e-6)
    raw = mne.io.read_raw_bdf(file, stim_channel=None, verbose="error")
    x = raw.get_data() * np.where(np.arange(32) < 20, 1e6, 1)[:, None]
    x[3] = 0.003 * x[3]  # neither volts nor microvolts
    write_bdf(file, x, 250, CHANNELS_LATE)
    without_units(file, CHANNELS_LATE, CHANNELS_LATE[3:4])
    with pytest.raises(
        EEGFileError, match=r"standard deviations of \{'F3': '0.02\d'\}, expected volts or micro"
    ):
        read_faced(tmp_path / "partly", **QUIET)


@pytest.mark.parametrize("sfreq", [250, 1000])
def test_a_channel_that_is_flat_for_a_while_is_named_with_its_windows(tmp_path, sfreq):
    write_faced_bids(tmp_path, (61,), seed=4, sfreq={61: sfreq})
    file = next(tmp_path.rglob("*.bdf"))
    raw = mne.io.read_raw_bdf(file, stim_channel=None, verbose="error")
    x = raw.get_data() * 1e6
    x[11, 21 * sfreq : 39 * sfreq] = 5.0  # the clip's last 30 s begin at 15 s
    write_bdf(file, x, sfreq, CHANNELS_LATE)
    with pytest.raises(
        EEGFileError, match=r"flat channels \['Cz in 18 of 30 windows, the first 7'\] in clip"
    ):
        read_faced(tmp_path, **QUIET)


def test_what_is_named_almost_right_and_what_is_marked_bad_is_said(copy, tmp_path):
    root, stem = copy
    table = Path(f"{stem}_channels.tsv")
    lines = table.read_text("utf-8-sig").splitlines()
    lines[12] = lines[12].replace("good", "bad")
    table.write_text("\n".join(lines) + "\n")
    (root / "sub-62").mkdir()
    with pytest.warns(UserWarning) as caught:
        read_faced(root, **QUIET)
    said = " ".join(str(one.message) for one in caught)
    assert "subjects [61] mark Cz as bad; they were read all the same" in said and "['sub-62']" in said
    write_faced_de(tmp_path, (0,))
    for name in ("sub12.pkl.pkl", "SUB003.PKL.PKL", "._sub000.pkl.pkl"):
        (tmp_path / "EEG_Features" / "DE" / name).write_bytes(b"")
    with pytest.warns(UserWarning, match=r"2 entries are not read.*\['SUB003.PKL.PKL', 'sub12.pkl.pkl'\]"):
        assert read_faced(tmp_path, **QUIET).subjects.tolist() == [0]


def test_derivatives_are_no_copy_of_the_recordings(copy):
    root, _ = copy
    expected = read_faced(root, **QUIET)
    shutil.copytree(root / "sub-061", root / "derivatives" / "sub-061")
    found = read_faced(root, **QUIET)
    np.testing.assert_array_equal(found.de, expected.de)
    shutil.rmtree(root / "sub-061")
    with pytest.raises(EEGFileError, match=r"found \['derivatives'\]|expected sub-XXX"):
        read_faced(root, **QUIET)
    assert read_faced(root / "derivatives", **QUIET).subjects.tolist() == [61]  # asked for by name


def test_only_the_clips_are_read_from_disk(copy, monkeypatch):
    read = []
    original = mne.io.BaseRaw.get_data
    monkeypatch.setattr(
        mne.io.BaseRaw, "get_data", lambda raw, picks, start, stop, **k: (
            read.append((raw.preload, stop - start)) or original(raw, picks, start, stop, **k)
        ),
    )  # fmt: skip
    read_faced(copy[0], **QUIET)
    assert read == [(False, 7500)] * 28


def test_a_folder_cached_by_eegdash_is_found_below(copy, tmp_path_factory):
    cache = tmp_path_factory.mktemp("eegdash")
    shutil.move(copy[0] / "sub-061", cache / "nm000112" / "sub-061")
    assert read_faced(cache, **QUIET).subjects.tolist() == [61]
    shutil.copytree(cache / "nm000112", cache / "again")
    with pytest.raises(EEGFileError, match="several copies"):
        read_faced(cache, **QUIET)


def test_the_trigger_code_and_the_film_title_are_not_taken_for_the_clip(copy):
    root, stem = copy
    before = read_faced(root, **QUIET)
    path = Path(f"{stem}_events.tsv")
    events = pd.read_csv(path, sep="\t", encoding="utf-8-sig", keep_default_na=False, dtype=str)
    assert events["trial_type"].nunique() < 28 and "\\" in set(events["emotion_label"])
    events["value"], events["trial_type"] = "1", "one film"
    events.to_csv(path, sep="\t", index=False, encoding="utf-8-sig")
    np.testing.assert_array_equal(read_faced(root, **QUIET).de, before.de)


def drop_last_records(path):
    path.write_bytes(path.read_bytes()[:-50_000])


def cut_whole_records(path):
    """A shorter recording whose header is consistent: only the events tell that something is missing."""
    data = bytearray(path.read_bytes())
    n_records = int(data[236:244])
    data[236:244] = str(n_records - 20).encode().ljust(8)
    path.write_bytes(data[: len(data) - 20 * 3 * 250 * 32])


def rename_in_header(old, new):
    def change(path):
        data = path.read_bytes()
        path.write_bytes(data.replace(old.encode().ljust(16), new.encode().ljust(16), 1))

    return change


def flatten(path):
    raw = mne.io.read_raw_bdf(path, stim_channel=None, verbose="error")
    x = raw.get_data() * 1e6
    x[raw.ch_names.index("Cz"), :12000] = 0.0
    write_bdf(path, x, 250, raw.ch_names)


def other_rate(path):
    raw = mne.io.read_raw_bdf(path, stim_channel=None, verbose="error")
    n = raw.n_times // 500 * 500
    write_bdf(path, raw.get_data()[:, :n] * 1e6, 500, raw.ch_names)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (drop_last_records, r"found \d+ bytes, expected \d+ bytes.*truncated"),
        (cut_whole_records, r"found .* s of recording, expected clip \d+ until"),
        (rename_in_header("Cz", "POz"), r"an unknown channel 'POz'"),
        (rename_in_header("Cz", "A1"), r"no channel \['Cz'\]"),
        (rename_in_header("Cz", "T5"), r"P7 twice"),
        (rename_in_header("Cz", "CZ"), r"Cz for CZ.*swapped"),
        (flatten, r"flat channels \['Cz'\] in clip \d+"),
        (other_rate, r"500.0 Hz, expected 250 or 1000 Hz"),
        (lambda p: p.write_bytes(b""), r"0 bytes"),
        (
            lambda p: p.write_text("../../.git/annex/objects/x/SHA256E-s1.bdf"),
            r"git-annex pointer.*datalad get",
        ),
        (lambda p: p.unlink(), r"no such file.*not fetched"),
        (lambda p: (p.unlink(), p.symlink_to("nowhere")), r"a link to nothing"),
        (
            lambda p: p.write_bytes(p.read_bytes()[:236] + b"many    " + p.read_bytes()[244:]),
            r"damaged header",
        ),
    ],
)
def test_a_spoilt_recording_is_named_with_what_was_found_and_expected(copy, spoil, match):
    root, stem = copy
    path = Path(f"{stem}_eeg.bdf")
    spoil(path)
    with pytest.raises(EEGFileError, match=match) as caught:
        read_faced(root, **QUIET)
    assert "sub-061" in str(caught.value) and "found" in str(caught.value) and "expected" in str(caught.value)


def swap(text):
    return text.replace("\nFp1\t", "\nXX\t").replace("\nFp2\t", "\nFp1\t").replace("\nXX\t", "\nFp2\t")


def without_last_row(text):
    return "\n".join(text.rstrip("\n").split("\n")[:-1]) + "\n"


def doubled(text):
    return text + text.rstrip("\n").split("\n")[-1] + "\n"


def clip_as(value):
    def change(text):
        rows = [row.split("\t") for row in text.rstrip("\n").split("\n")]
        rows[-1][7] = value
        return "\n".join("\t".join(row) for row in rows) + "\n"

    return change


@pytest.mark.parametrize(
    ("table", "change", "match"),
    [
        ("channels", swap, r"Fp2 for Fp1, Fp1 for Fp2.*swapped"),
        ("channels", without_last_row, r"31 channels.*expected the 32"),
        ("channels", lambda text: text.replace("units", "unit"), r"expected also \['units'\]"),
        ("events", without_last_row, r"27 clips.*video_index 1 to 28"),
        ("events", doubled, r"clip \d+ twice"),
        ("events", clip_as("29"), r"clip 29, expected 1 to 28"),
        ("events", clip_as("x"), r"'x' as clip"),
        ("events", lambda text: text.replace("video_index", "video"), r"expected also \['video_index'\]"),
        (
            "events",
            lambda text: text.replace("\t40.0\t", "\t29.0\t"),
            r"29.0 s, expected clips of at least 30 s",
        ),
        ("events", lambda text: "", r"unreadable table"),
    ],
)
def test_a_spoilt_table_is_named_with_what_was_found_and_expected(copy, table, change, match):
    root, stem = copy
    edit(f"{stem}_{table}.tsv", change)
    with pytest.raises(EEGFileError, match=match) as caught:
        read_faced(root, **QUIET)
    assert f"_{table}.tsv: found" in str(caught.value)


def test_a_missing_table_is_named(copy):
    Path(f"{copy[1]}_events.tsv").unlink()
    with pytest.raises(EEGFileError, match=r"_events\.tsv: found no such file"):
        read_faced(copy[0], **QUIET)


# The official release


def test_processed_signals_give_their_entropies(processed):
    root, truth = processed
    before = snapshot(root)
    cohort = read_faced(root, subjects=[100, 0], **QUIET)
    assert snapshot(root) == before
    assert cohort.subjects.tolist() == [100, 0] and cohort.hardware.tolist() == ["cohort 2", "cohort 1"]
    want = differential_entropy(truth[100][:, :30], 250, "official").swapaxes(1, 2)
    np.testing.assert_allclose(cohort.de[0], want, atol=1e-5)
    assert cohort.channels == SCALP and np.isnan(cohort.order).all()


def test_white_noise_has_the_entropy_of_theory(processed):
    """A band of width B of white noise of variance v has variance v * 2 B / sfreq."""
    cohort = read_faced(processed[0], subjects=[0], **QUIET)
    for index, (low, high) in enumerate(cohort.bands.values()):
        de = cohort.de[..., index].mean()
        theory = 0.5 * np.log(2 * np.pi * np.e * 100 * 2 * (high - low) / 250)
        # slopes of at most half a low band's width add power, the mean of the log of few degrees loses some
        assert theory - 0.2 < de < theory + 0.3


def test_all_channels_of_the_release_on_request(processed):
    cohort = read_faced(processed[0] / "Processed_data", subjects=[0], channels="all", **QUIET)
    assert cohort.channels[-2:] == ["A2", "A1"] and len(cohort.channels) == 32


def test_subject_23_is_named_and_only_on_request_left_out_or_rescaled(processed):
    root, _ = processed
    with pytest.warns(UserWarning, match=r"subject 23 is (29|30)\d\d.* times.*kept") as caught:
        kept = read_faced(root, **QUIET)
    assert len(caught) == 1 and str(root) in str(caught[0].message)
    assert np.median(kept.de[1]) - np.median(kept.de[0]) == pytest.approx(np.log(3000), abs=0.02)
    with pytest.warns(UserWarning, match="subject 23"):
        dropped = read_faced(root, outliers="drop", **QUIET)
    assert dropped.subjects.tolist() == [0, 100] and dropped.hardware.tolist() == ["cohort 1", "cohort 2"]
    with pytest.warns(UserWarning, match="subject 23"):
        rescaled = read_faced(root, outliers="rescale", **QUIET)
    assert np.median(rescaled.de[1]) == pytest.approx(np.median(rescaled.de[0]), abs=0.02)
    np.testing.assert_array_equal(rescaled.de[[0, 2]], kept.de[[0, 2]])
    with pytest.warns(UserWarning, match="subject 23"):  # alone, it has nobody to be compared with
        read_faced(root, subjects=[23], **QUIET)


def test_subjects_of_ordinary_amplitudes_raise_no_warning(tmp_path):
    write_faced_de(tmp_path, range(4), shift={1: np.log(10), 2: -np.log(10)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_faced(tmp_path, **QUIET)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("where", [".", "EEG_Features", "EEG_Features/DE"])
def test_de_files_are_read_as_they_are(tmp_path, protocol, where):
    truth = write_faced_de(tmp_path, (0, 122), protocol=protocol)
    cohort = read_faced(tmp_path / where, **QUIET)
    np.testing.assert_allclose(cohort.de[1], truth[122][:, :30].swapaxes(1, 2), rtol=1e-6)
    assert cohort.data.attrs["band_table"] == "official"


def test_the_source_can_be_chosen_and_bands_decide_what_can_serve(tmp_path, processed):
    shutil.copytree(processed[0], tmp_path, dirs_exist_ok=True)
    write_faced_de(tmp_path, (0,))
    assert "EEG_Features" in read_faced(tmp_path, subjects=[0], **QUIET).data.attrs["provenance"]
    assert "Processed" in read_faced(tmp_path, subjects=[0], bands="paper", **QUIET).data.attrs["provenance"]
    chosen = read_faced(tmp_path, subjects=[0], source="processed", **QUIET)
    assert "Processed" in chosen.data.attrs["provenance"]
    with pytest.raises(EEGFileError, match="official bands"):
        read_faced(tmp_path, source="de", bands="paper", **QUIET)
    with pytest.raises(EEGFileError, match=r"source='bids'"):
        read_faced(tmp_path, source="bids", **QUIET)


def test_ratings_from_elsewhere_complete_the_official_release(tmp_path, bids):
    write_faced_de(tmp_path, (0, 61, 62))
    with pytest.warns(UserWarning, match=r"lacks subjects \[62\]"):
        cohort = read_faced(tmp_path, ratings=bids[0], **QUIET)
    np.testing.assert_array_equal(cohort.order[1], bids[1][61]["order"])
    assert np.isnan(cohort.order[2]).all()
    np.testing.assert_allclose(
        cohort.rating("joy"), (bids[1][0]["ratings"] + bids[1][61]["ratings"])[:, 0] / 2
    )


@pytest.mark.parametrize("where", [".", "EEG_Features/DE", "EEG_Features"])
def test_the_official_release_brings_order_and_ratings_of_each_person(tmp_path, where):
    write_faced_de(tmp_path, (3, 0))
    truth = write_faced_remarks(tmp_path, (0, 3, 4))
    cohort = read_faced(tmp_path / where, **QUIET)
    for row, subject in enumerate((0, 3)):
        np.testing.assert_array_equal(cohort.order[row], truth[subject]["order"])
        for i, item in enumerate(faced.RATING_ITEMS):
            np.testing.assert_allclose(cohort.person_rating(item)[row], truth[subject]["ratings"][:, i], 1e-6)
    mean = (truth[0]["ratings"] + truth[3]["ratings"])[:, 9] / 2
    np.testing.assert_allclose(cohort.rating("valence"), mean, rtol=1e-12)


def test_remarks_lie_beside_processed_signals_too_and_ratings_asked_for_win(tmp_path, processed, bids):
    shutil.copytree(processed[0], tmp_path, dirs_exist_ok=True)
    truth = write_faced_remarks(tmp_path, (0, 100))
    cohort = read_faced(tmp_path / "Processed_data", subjects=[100, 0], **QUIET)
    np.testing.assert_array_equal(cohort.order, [truth[100]["order"], truth[0]["order"]])
    other = read_faced(tmp_path, subjects=[0], ratings=bids[0], **QUIET)
    np.testing.assert_array_equal(other.order[0], bids[1][0]["order"])
    with pytest.warns(
        UserWarning, match=r"the table of ratings lacks subjects \[100\]: their order and ratings"
    ):
        both = read_faced(tmp_path, subjects=[0, 100], ratings=bids[0], **QUIET)
    assert np.isnan(both.order[1]).all() and np.isfinite(both.order[0]).all()


def test_every_copy_knows_the_films_of_the_clips(tmp_path, bids, processed):
    write_faced_de(tmp_path, (0,))
    for place, subject in ((tmp_path, 0), (bids[0], 61), (processed[0], 0)):
        films = read_faced(place, subjects=[subject], **QUIET).films
        assert (
            films[6] == films[7] == "The Shining" and set(films[12:16]) == {"Blue"} and len(set(films)) == 24
        )
    with pytest.raises(KeyError, match="no ratings"):
        read_faced(tmp_path, **QUIET).person_rating()


def with_field(name, value, trial=4):
    def change(trials):
        trials[name][trial, 0] = value
        return trials

    return change


def scores(value):
    values = np.full((1, 12), 3.0)
    values[0, 5] = value
    return with_field("score", values)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda trials: trials[:27],
            r"shape \(27, 1\), not a struct \(28, 1\), expected After_remark, a struct",
        ),
        (
            lambda trials: trials[[1, 0, *range(2, 28)]],
            r"trials \[2.0, 1.0, .*expected 1 to 28 in their order",
        ),
        (lambda trials: with_field("vid", trials["vid"][9, 0])(trials), r"clip \d+ twice for subject 7"),
        (with_field("vid", 29.0), "clip 29, expected 1 to 28"),
        (with_field("vid", 1.5), "clip 1.5"),
        (scores(7.5), "disgust 7.5, expected 0 to 7"),
        (scores(-0.1), "disgust -0.1"),
        (scores(np.nan), "'nan' as disgust in trial 5, expected a number"),
        (scores(np.inf), "'inf' as disgust in trial 5"),
    ],
)
def test_spoilt_remarks_are_named_with_what_was_found_and_expected(tmp_path, change, match):
    write_faced_de(tmp_path, (7,))
    write_faced_remarks(tmp_path, (7,), change=change)
    with pytest.raises(EEGFileError, match=rf"sub007.After_remarks\.mat: found .*{match}"):
        read_faced(tmp_path, **QUIET)


def test_remarks_of_one_subject_that_are_not_there_are_named(tmp_path):
    write_faced_de(tmp_path, (7, 8))
    write_faced_remarks(tmp_path, (7,))
    with pytest.raises(EEGFileError, match=r"sub008.*no such file.*Fetch it again, pass ratings=.*subjects="):
        read_faced(tmp_path, **QUIET)
    assert read_faced(tmp_path, subjects=[7], **QUIET).person_rating().shape == (1, 28)


def dumped(value):
    return lambda path: path.write_bytes(pickle.dumps(value))


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil-was-here",)


with_nan = np.zeros((28, 32, 30, 5))
with_nan[3, 4, 5, 1] = np.nan


@pytest.mark.parametrize(
    ("spoil", "error", "match"),
    [
        (
            dumped(np.zeros((32, 28, 30, 5))),
            EEGFileError,
            r"shape \(32, 28, 30, 5\), expected \(clip 28, channel 32",
        ),
        (dumped(np.zeros((28, 32, 30))), EEGFileError, r"shape \(28, 32, 30\)"),
        (
            dumped(with_nan),
            EEGFileError,
            r"1 NaN or infinite values, the first at clip 3, channel 4, second 5, band 1",
        ),
        (dumped(np.full((28, 32, 30, 5), -np.inf)), EEGFileError, r"NaN or infinite"),
        (dumped({"de": np.zeros(3)}), EEGFileError, r"found dict, expected an array"),
        (dumped([Evil()]), UnsafePickleError, r"(posix|nt)\.system"),
        (lambda p: p.write_bytes(p.read_bytes()[:-100]), EEGFileError, r"truncated"),
        (lambda p: p.write_bytes(b""), EEGFileError, r"no bytes"),
    ],
)
def test_a_spoilt_pickle_is_named_with_what_was_found_and_expected(
    tmp_path, monkeypatch, spoil, error, match
):
    monkeypatch.chdir(tmp_path)
    write_faced_de(tmp_path, (0, 7))
    path = tmp_path / "EEG_Features" / "DE" / "sub007.pkl.pkl"
    spoil(path)
    with pytest.raises(error, match=match) as caught:
        read_faced(tmp_path, **QUIET)
    assert str(path) in str(caught.value) and not (tmp_path / "evil-was-here").exists()
    assert read_faced(tmp_path, subjects=[0], **QUIET).subjects.tolist() == [
        0
    ]  # the sound one can still be read


@pytest.mark.parametrize("dtype", [np.float16, ">f4", ">f8", np.longdouble, np.int16])
def test_signals_and_features_of_any_number_type_are_read(tmp_path, dtype):
    for kind, write, folder in (
        ("processed", write_faced_processed, "Processed_data/sub000.pkl"),
        ("de", write_faced_de, "EEG_Features/DE/sub000.pkl.pkl"),
    ):
        (x,) = write(tmp_path, (0,)).values()
        x = np.rint(x) if dtype is np.int16 else x.astype(dtype).astype(float)
        (tmp_path / folder).write_bytes(pickle.dumps(x))
        expected = read_faced(tmp_path, source=kind, outliers="keep", **QUIET).de
        (tmp_path / folder).write_bytes(pickle.dumps(x.astype(dtype)))
        found = read_faced(tmp_path, source=kind, **QUIET).de
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_flat_channel_of_the_processed_signals_is_named(tmp_path):
    folder = tmp_path / "Processed_data"
    folder.mkdir()
    x = np.random.default_rng(0).standard_normal((28, 32, 7500), dtype=np.float32)
    x[9, 11] = 5.0
    (folder / "sub000.pkl").write_bytes(pickle.dumps(x))
    with pytest.raises(EEGFileError, match=r"sub000\.pkl: found flat channels \['Cz'\] in clip 10"):
        read_faced(tmp_path, **QUIET)
    x[9] = np.random.default_rng(1).standard_normal((32, 7500))
    x[2, 11, 1000:2000] = 5.0
    (folder / "sub000.pkl").write_bytes(pickle.dumps(x))
    with pytest.raises(EEGFileError, match=r"\['Cz in 4 of 30 windows, the first 5'\] in clip 3"):
        read_faced(tmp_path, **QUIET)


# Folders, subjects, options


def test_says_what_a_folder_lacks(tmp_path):
    with pytest.raises(EEGFileError, match=r"found an empty folder, expected sub-XXX"):
        read_faced(tmp_path, **QUIET)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(EEGFileError, match=r"found \['notes.txt'\]"):
        read_faced(tmp_path, **QUIET)
    with pytest.raises(EEGFileError, match=r"absent: found nothing"):
        read_faced(tmp_path / "absent", **QUIET)
    with pytest.raises(EEGFileError, match="found a file"):
        read_faced(tmp_path / "notes.txt", **QUIET)


def test_names_subjects_that_are_not_there(tmp_path):
    write_faced_de(tmp_path, (0, 3))
    with pytest.raises(EEGFileError, match=r"found 2 subjects between 0 and 3, expected subjects \[5, 9\]"):
        read_faced(tmp_path, subjects=[0, 5, 9], **QUIET)
    with pytest.raises(EEGFileError, match="at least one"):
        read_faced(tmp_path, subjects=[], **QUIET)
    with pytest.raises(EEGFileError, match="each once"):
        read_faced(tmp_path, subjects=[3, 3], **QUIET)
    for subjects, message in (([0, 1.7], "1.7 at 1"), ("03", "must hold real numbers"), ([True], "got bool")):
        with pytest.raises(ValueError, match=f"subjects .*{message}"):
            read_faced(tmp_path, subjects=subjects, **QUIET)
    assert read_faced(tmp_path, subjects=np.float64(3.0), **QUIET).subjects.tolist() == [3]


@pytest.mark.parametrize("option", ["bands", "source", "channels", "outliers"])
def test_names_an_option_that_does_not_exist(tmp_path, option):
    with pytest.raises(ValueError, match=f"{option} must be one of .*, got 'no'"):
        read_faced(tmp_path, **{option: "no"})


def test_the_bids_copy_has_no_32_channels_to_give(bids):
    with pytest.raises(ValueError, match="channels='all' needs the official release"):
        read_faced(bids[0], channels="all", **QUIET)


# Ratings


def test_ratings_of_the_bids_copy(bids):
    root, truth = bids
    table = read_faced_ratings(root)
    assert list(table) == list(faced.RATING_COLUMNS) and len(table) == 56
    one = table[table["subject"] == 61].sort_values("clip")
    np.testing.assert_allclose(one[list(faced.RATING_ITEMS)], truth[61]["ratings"])
    np.testing.assert_array_equal(one["order"], truth[61]["order"])


def test_ratings_written_flat_come_back(bids, tmp_path):
    table = read_faced_ratings(bids[0])
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "ratings.tsv", sep="\t", index=False)
    pd.testing.assert_frame_equal(read_faced_ratings(tmp_path / "ratings.tsv"), table)


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("valence", np.nan, r"'nan' as valence in trial 2"),
        ("valence", 7.5, r"valence 7.5, expected 0 to 7"),
        ("clip", 0, r"clip 0, expected 1 to 28"),
        ("order", "first", r"'first' as order"),
    ],
)
def test_spoilt_ratings_are_named(bids, tmp_path, column, value, match):
    table = read_faced_ratings(bids[0]).astype({column: object})
    table.loc[1, column] = value
    table.to_csv(tmp_path / "ratings.tsv", sep="\t", index=False)
    with pytest.raises(EEGFileError, match=match):
        read_faced_ratings(tmp_path / "ratings.tsv")


def test_ratings_need_a_table(tmp_path):
    with pytest.raises(EEGFileError, match="no such file"):
        read_faced_ratings(tmp_path / "absent.tsv")
    with pytest.raises(EEGFileError, match="no BIDS events"):
        read_faced_ratings(tmp_path)


def real_ratings():
    places = (
        parent / "shared" / "faced_ratings" / "ratings.tsv" for parent in Path(__file__).resolve().parents
    )
    return next((place for place in places if place.is_file()), None)


@pytest.mark.skipif(
    real_ratings() is None, reason="the real ratings (open, not part of this repository) are not here"
)
def test_the_real_ratings_give_their_known_figures():
    table = read_faced_ratings(real_ratings())
    assert len(table) == 3444 and table["subject"].nunique() == 123
    by_clip = table.pivot(index="subject", columns="clip", values="valence")
    emotions = np.array(faced.FACED_CLIP_EMOTIONS)
    means = [by_clip.loc[:, emotions == emotion].to_numpy().mean() for emotion in faced.FACED_CLASSES]
    # means by class as published with the table
    np.testing.assert_allclose(means, [1.70, 1.64, 1.57, 1.86, 3.18, 4.23, 4.79, 4.37, 4.43], atol=0.005)
    odd, even = by_clip.iloc[1::2].mean(), by_clip.iloc[::2].mean()
    assert np.corrcoef(odd, even)[0, 1] == pytest.approx(0.9877, abs=5e-5)
    assert table["duration"].between(34, 130).all()


# Fetching


def test_download_says_the_cure_when_eegdash_or_torchaudio_fails(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "eegdash.dataset", None)
    with pytest.raises(ImportError, match=r"pip install 'valence-axis\[eeg\]'.*torchaudio"):
        download_faced(tmp_path)

    class Broken(types.ModuleType):
        def __getattr__(self, name):
            raise OSError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setitem(sys.modules, "eegdash", types.ModuleType("eegdash"))
    monkeypatch.setitem(sys.modules, "eegdash.dataset", Broken("eegdash.dataset"))
    with pytest.raises(ImportError, match=r"torchaudio.*libcudart"):
        download_faced(tmp_path)


def test_download_asks_eegdash_for_the_subjects_and_gives_a_folder_to_read(tmp_path, monkeypatch, copy):
    asked = {}

    class NM000112:
        def __init__(self, **options):
            asked.update(options)

        def download_all(self, n_jobs):
            asked["n_jobs"] = n_jobs
            shutil.copytree(copy[0] / "sub-061", Path(asked["cache_dir"]) / "nm000112" / "sub-061")

    module = types.ModuleType("eegdash.dataset")
    module.NM000112 = NM000112
    monkeypatch.setitem(sys.modules, "eegdash", types.ModuleType("eegdash"))
    monkeypatch.setitem(sys.modules, "eegdash.dataset", module)
    folder = download_faced(tmp_path / "cache", [61], n_jobs=2)
    assert asked == {"cache_dir": str(tmp_path / "cache"), "subject": ["061"], "n_jobs": 2}
    assert read_faced(folder, **QUIET).subjects.tolist() == [61]
