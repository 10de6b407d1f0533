"""Every copy of FACED, in generated files of the exact formats, sound and spoilt; clips last 3 s here."""

from __future__ import annotations

import pickle
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace

import eeg_files
import mne
import numpy as np
import pandas as pd
import pytest
from eeg_files import CHANNELS_LATE, SCALP, write_bdf

from kernel.brain import faced, readers
from kernel.brain.features import differential_entropy
from kernel.brain.readers import EEGFileError

SECONDS = 3


@pytest.fixture(scope="module", autouse=True)
def short_clips():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faced, "SECONDS", SECONDS)
        yield


def read_faced(path, **options):
    return faced.read_faced(path, progress=False, **options)


def write_bids(root, subjects=(61,), **options):
    return eeg_files.write_faced_bids(root, subjects, spacing=0.5, durations=10.0, seconds=SECONDS, **options)


def write_de(root, subjects=(0,), **options):
    """DE files of clips of 3 s."""
    truth = eeg_files.write_faced_de(root, subjects, **options)
    for subject, de in truth.items():
        truth[subject] = de[:, :, :SECONDS]
        content = pickle.dumps(truth[subject], options.get("protocol", 4))
        (root / "EEG_Features" / "DE" / f"sub{subject:03d}.pkl.pkl").write_bytes(content)
    return truth


@pytest.fixture(scope="module")
def bids(tmp_path_factory):
    """One subject of each recording cohort; the first at 1000 Hz."""
    root = tmp_path_factory.mktemp("bids")
    return root, write_bids(root, (0, 61), sfreq={0: 1000})


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    root = tmp_path_factory.mktemp("official")
    return root, eeg_files.write_faced_processed(root, (0, 23, 100), scale={23: 3000.0}, seconds=SECONDS)


@pytest.fixture
def copy(bids, tmp_path):
    """The small subject of the BIDS copy, to be spoilt."""
    shutil.copytree(bids[0] / "sub-061", tmp_path / "bids" / "sub-061")
    return tmp_path / "bids", tmp_path / "bids" / "sub-061" / "eeg" / "sub-061_task-watchingVideoClips"


def expected_de(clips, sfreq, bands="official"):
    """Differential entropy of (28, 30, n) in uV by the book: average reference, then features."""
    return differential_entropy(clips - clips.mean(1, keepdims=True), sfreq, bands).swapaxes(1, 2)


def samples(path):
    return mne.io.read_raw_bdf(path, stim_channel=None, verbose="error").get_data() * 1e6


def edit(path, change):
    text = change(Path(path).read_text(encoding="utf-8-sig"))
    Path(path).write_text(text, encoding="utf-8-sig")


def snapshot(root):
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(Path(root).rglob("*"))}


# The BIDS copy


@pytest.mark.parametrize("bands", ["official", "paper"])
def test_bids_gives_the_entropies_of_the_last_seconds_by_clip_and_by_name(bids, bands):
    root, truth = bids
    before = snapshot(root)
    cohort = read_faced(root, bands=bands)
    assert snapshot(root) == before
    assert cohort.channels == SCALP and len(SCALP) == 30 and not cohort.simulated
    assert cohort.subjects.tolist() == [0, 61]
    assert cohort.hardware.tolist() == ["cohort 1", "cohort 2"]
    clips = truth[61]["clips"]
    np.testing.assert_allclose(cohort.de[1], expected_de(clips, 250, bands), atol=1e-5)
    # entropies taken at 1000 Hz know no anti-alias filter and see other ends
    assert np.abs(cohort.de[0] - expected_de(truth[0]["clips"], 1000, bands)).mean() < 0.05
    for wrong in (clips[:, np.roll(np.arange(30), 1)], clips[np.argsort(truth[61]["order"])]):
        assert np.abs(cohort.de[1] - expected_de(wrong, 250, bands)).max() > 0.5
    for row, subject in enumerate((0, 61)):
        np.testing.assert_array_equal(cohort.order[row], truth[subject]["order"])
    mean = (truth[0]["ratings"] + truth[61]["ratings"])[:, 9] / 2
    np.testing.assert_allclose(cohort.rating("valence"), mean, rtol=1e-12)
    assert cohort.emotions[12:16].tolist() == ["neutral"] * 4  # a backslash in the file


def test_both_recording_cohorts_are_mapped_by_name(tmp_path, rng):
    """The same signal under T3..T6 A1 A2 and T7..P8 HEOR HEOL, in any order, must give the same entropies."""
    write_bids(tmp_path, (5, 70), order=range(1, 29))
    new = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
    signal = {name: 10 * rng.standard_normal(30 * 250) for name in SCALP}
    for folder in (tmp_path / f"sub-{s:03d}/eeg/sub-{s:03d}_task-watchingVideoClips" for s in (5, 70)):
        table = pd.read_csv(f"{folder}_channels.tsv", sep="\t", encoding="utf-8-sig", dtype=str)
        names = rng.permutation(table["name"]).tolist()
        x = [signal.get(new.get(n, n), np.linspace(-9e3, 9e3, 30 * 250)) for n in names]
        write_bdf(Path(f"{folder}_eeg.bdf"), np.array(x), 250, names)
        table.assign(name=names).to_csv(f"{folder}_channels.tsv", sep="\t", index=False)
    cohort = read_faced(tmp_path)
    np.testing.assert_allclose(cohort.de[0], cohort.de[1], atol=1e-6)
    own = signal["Cz"] - np.mean(list(signal.values()), axis=0)
    first = differential_entropy(own[12 * 250 : 15 * 250], 250)  # the first clip ends at 15 s
    np.testing.assert_allclose(cohort.de[0, 0, :, SCALP.index("Cz")], first, atol=0.02)


def test_neither_mark_nor_trigger_nor_title_nor_derivatives_change_what_is_read(copy):
    root, stem = copy
    expected = read_faced(root).de
    path = Path(f"{stem}_events.tsv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    for table in ("events", "channels"):
        marked = Path(f"{stem}_{table}.tsv")
        marked.write_bytes(marked.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    events = pd.read_csv(path, sep="\t", keep_default_na=False, dtype=str)
    assert events["trial_type"].nunique() < 28 and "\\" in set(events["emotion_label"])
    events.assign(value="1", trial_type="one film").to_csv(path, sep="\t", index=False)
    shutil.copytree(root / "sub-061", root / "derivatives" / "sub-061")
    np.testing.assert_array_equal(read_faced(root).de, expected)
    shutil.rmtree(root / "sub-061")
    with pytest.raises(EEGFileError, match=r"found \['derivatives'\], expected sub-XXX"):
        read_faced(root)
    assert read_faced(root / "derivatives").subjects.tolist() == [61]  # asked for by name


def without_units(path, names, channels):
    """Take away the units that the header gives for some channels; the samples stay."""
    data, n = bytearray(path.read_bytes()), len(names)
    for name in channels:
        at = 256 + 96 * n + 8 * names.index(name)
        data[at : at + 8] = b" " * 8
    path.write_bytes(data)


def test_missing_units_are_inferred_channel_by_channel(copy, tmp_path):
    root, stem = copy
    known = read_faced(root).de
    file = Path(f"{stem}_eeg.bdf")
    without_units(file, CHANNELS_LATE, CHANNELS_LATE[20:])
    np.testing.assert_allclose(read_faced(root).de, known, atol=1e-6)
    x = samples(file) * np.where(np.arange(32) < 20, 1, 1e-6)[:, None]
    x[3] *= 0.003  # neither volts nor microvolts
    write_bdf(file, x, 250, CHANNELS_LATE)
    without_units(file, CHANNELS_LATE, CHANNELS_LATE[3:4])
    with pytest.raises(EEGFileError, match=r"deviations of \{'F3': '0.0\d+'\}, expected volts or micro"):
        read_faced(root)


def test_channels_marked_bad_are_named(copy):
    root, stem = copy
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_faced(root)
    edit(f"{stem}_channels.tsv", lambda text: text.replace("Cz\tµV\tgood", "Cz\tµV\tbad"))
    with pytest.warns(UserWarning, match=r"marked as bad were read all the same: \{61: \['Cz'\]\}"):
        read_faced(root)


def test_only_the_clips_are_read_from_disk(copy, monkeypatch):
    reads, original = [], mne.io.BaseRaw.get_data

    def get_data(raw, picks, start, stop, **options):
        reads.append((raw.preload, stop - start))
        return original(raw, picks, start, stop, **options)

    monkeypatch.setattr(mne.io.BaseRaw, "get_data", get_data)
    read_faced(copy[0])
    assert reads == [(False, SECONDS * 250)] * 28


def test_a_folder_cached_by_eegdash_is_found_below(copy, tmp_path):
    cache = tmp_path / "eegdash"
    shutil.move(copy[0] / "sub-061", cache / "nm000112" / "sub-061")
    assert read_faced(cache).subjects.tolist() == [61]
    shutil.copytree(cache / "nm000112", cache / "again")
    with pytest.raises(EEGFileError, match="several copies"):
        read_faced(cache)


def cut_whole_records(path):
    """A shorter recording whose header is consistent: only the events tell that something is missing."""
    data = bytearray(path.read_bytes())
    data[236:244] = str(int(data[236:244]) - 8).encode().ljust(8)
    path.write_bytes(data[: len(data) - 8 * 3 * 250 * 32])


def renamed(old, new):
    def change(path):
        data = path.read_bytes()
        path.write_bytes(data.replace(old.encode().ljust(16), new.encode().ljust(16), 1))

    return change


def flat(start, stop):
    def change(path):
        x = samples(path)
        x[11, start * 250 : stop * 250] = 5.0
        write_bdf(path, x, 250, CHANNELS_LATE)

    return change


def at_500_hz(path):
    x = samples(path)
    write_bdf(path, x[:, : x.shape[1] // 500 * 500], 500, CHANNELS_LATE)


def many_records(path):
    data = path.read_bytes()
    path.write_bytes(data[:236] + b"many    " + data[244:])


SPOILT_RECORDINGS = {
    r"found \d+ bytes, expected \d+ bytes.*truncated": lambda p: p.write_bytes(p.read_bytes()[:-50_000]),
    r"found .* s of recording, expected clip \d+ until": cut_whole_records,
    r"unknown \['POz'\], without \['Cz'\]": renamed("Cz", "POz"),
    r"channels, without \['Cz'\]": renamed("Cz", "A1"),
    r"twice \{'P7': \['T5', 'P7'\]\}": renamed("Cz", "T5"),
    r"Cz for CZ.*swapped": renamed("Cz", "CZ"),
    r"flat channels \['Cz'\] in clip \d+": flat(0, 25),
    r"flat channels \['Cz in 2 of 3 windows, the first 1'\] in clip": flat(0, 14),  # of 12 to 15 s
    r"500.0 Hz, expected 250 or 1000 Hz": at_500_hz,
    r"found 0 bytes": lambda p: p.write_bytes(b""),
    r"git-annex pointer.*datalad get": lambda p: p.write_text("../../.git/annex/objects/SHA256E-s1.bdf"),
    r"no such file.*not fetched": lambda p: p.unlink(),
    r"a link to nothing": lambda p: (p.unlink(), p.symlink_to("nowhere")),
    r"damaged header": many_records,
}


@pytest.mark.parametrize("match", SPOILT_RECORDINGS)
def test_a_spoilt_recording_is_named_with_what_was_found_and_expected(copy, match):
    root, stem = copy
    SPOILT_RECORDINGS[match](Path(f"{stem}_eeg.bdf"))
    with pytest.raises(EEGFileError, match=match) as caught:
        read_faced(root)
    assert caught.match("sub-061.*: found .*expected")


def swap(text):
    return text.replace("\nFp1\t", "\nXX\t").replace("\nFp2\t", "\nFp1\t").replace("\nXX\t", "\nFp2\t")


def without_last_row(text):
    return "\n".join(text.rstrip("\n").split("\n")[:-1]) + "\n"


def clip_as(value, column=7):
    def change(text):
        rows = [row.split("\t") for row in text.rstrip("\n").split("\n")]
        rows[-1][column] = value
        return "\n".join("\t".join(row) for row in rows) + "\n"

    return change


def rating_as(value):
    return clip_as(value, column=17)


SPOILT_TABLES = {
    r"Fp2 for Fp1, Fp1 for Fp2.*swapped": ("channels", swap),
    r"31 channels.*expected the 32": ("channels", without_last_row),
    r"'x' as valence in trial \d+, expected a number": ("events", rating_as("x")),
    r"valence 7.5, expected 0 to 7": ("events", rating_as("7.5")),
    r"27 clips.*video_index 1 to 28": ("events", without_last_row),
    r"clip \d+ twice": ("events", lambda text: text + text.rstrip("\n").split("\n")[-1] + "\n"),
    r"clip 29, expected 1 to 28": ("events", clip_as("29")),
    r"'x' as clip": ("events", clip_as("x")),
    r"expected also \['video_index'\]": ("events", lambda text: text.replace("video_index", "video")),
    r"2.0 s, expected clips of at least 3 s": ("events", lambda text: text.replace("\t10.0\t", "\t2.0\t")),
    r"unreadable table": ("events", lambda text: ""),
}


@pytest.mark.parametrize("match", SPOILT_TABLES)
def test_a_spoilt_table_is_named_with_what_was_found_and_expected(copy, match):
    table, change = SPOILT_TABLES[match]
    edit(f"{copy[1]}_{table}.tsv", change)
    with pytest.raises(EEGFileError, match=rf"_{table}\.tsv: found .*{match}"):
        read_faced(copy[0])


# The official release


def test_processed_signals_give_their_entropies(processed):
    root, truth = processed
    before = snapshot(root)
    cohort = read_faced(root, subjects=[100, 0])
    assert snapshot(root) == before
    assert cohort.subjects.tolist() == [100, 0] and cohort.hardware.tolist() == ["cohort 2", "cohort 1"]
    want = differential_entropy(truth[100][:, :30], 250, "official").swapaxes(1, 2)
    np.testing.assert_allclose(cohort.de[0], want, atol=1e-5)
    assert cohort.channels == SCALP and np.isnan(cohort.order).all()
    everything = read_faced(root / "Processed_data", subjects=[0], channels="all")
    assert everything.channels[-2:] == ["A2", "A1"] and len(everything.channels) == 32


def test_subject_23_is_named(processed):
    root, _ = processed
    with pytest.warns(UserWarning, match=r"subject 23 is (29|30)\d\d.* times.*subjects=") as caught:
        cohort = read_faced(root)
    assert len(caught) == 1 and str(root) in str(caught[0].message)
    assert np.median(cohort.de[1]) - np.median(cohort.de[0]) == pytest.approx(np.log(3000), abs=0.02)


def test_subjects_of_ordinary_amplitudes_raise_no_warning(tmp_path):
    write_de(tmp_path, range(4), shift={1: np.log(10), 2: -np.log(10)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_faced(tmp_path)


@pytest.mark.parametrize(("protocol", "where"), [(2, "."), (3, "EEG_Features"), (5, "EEG_Features/DE")])
def test_de_files_are_read_as_they_are_with_order_and_ratings_of_each_person(tmp_path, protocol, where):
    de = write_de(tmp_path, (3, 0), protocol=protocol)
    truth = eeg_files.write_faced_remarks(tmp_path, (0, 3, 4))
    cohort = read_faced(tmp_path / where)
    np.testing.assert_allclose(cohort.de[1], de[3][:, :30].swapaxes(1, 2), rtol=1e-6)
    for row, subject in enumerate((0, 3)):
        np.testing.assert_array_equal(cohort.order[row], truth[subject]["order"])
        for i, item in enumerate(faced.RATING_ITEMS):
            np.testing.assert_allclose(cohort.person_rating(item)[row], truth[subject]["ratings"][:, i], 1e-6)
    mean = (truth[0]["ratings"] + truth[3]["ratings"])[:, 9] / 2
    np.testing.assert_allclose(cohort.rating("valence"), mean, rtol=1e-12)
    assert list(cohort.films[6:8]) == ["The Shining"] * 2 and len(set(cohort.films)) == 24


def test_the_source_can_be_chosen_and_bands_decide_what_can_serve(tmp_path, processed):
    shutil.copytree(processed[0], tmp_path, dirs_exist_ok=True)
    write_de(tmp_path)

    def provenance(**options):
        return read_faced(tmp_path, subjects=[0], **options).data.attrs["provenance"]

    assert "EEG_Features" in provenance() and "Processed" in provenance(bands="paper")
    assert "Processed" in provenance(source="processed")
    with pytest.raises(EEGFileError, match="official bands"):
        provenance(source="de", bands="paper")
    with pytest.raises(EEGFileError, match=r"source='bids'"):
        provenance(source="bids")


def test_remarks_lie_beside_processed_signals_too(processed, tmp_path):
    shutil.copytree(processed[0], tmp_path, dirs_exist_ok=True)
    truth = eeg_files.write_faced_remarks(tmp_path, (0, 100))
    cohort = read_faced(tmp_path / "Processed_data", subjects=[100, 0])
    np.testing.assert_array_equal(cohort.order, [truth[100]["order"], truth[0]["order"]])


def with_field(name, value):
    def change(trials):
        trials[name][4, 0] = value
        return trials

    return change


def scores(value):
    return with_field("score", np.where(np.arange(12) == 5, value, 3.0)[None])


SPOILT_REMARKS = {
    r"shape \(27, 1\), not a struct \(28, 1\), expected After_remark": lambda trials: trials[:27],
    r"trials \[2.0, 1.0, .* 1 to 28 in their order": lambda trials: trials[[1, 0, *range(2, 28)]],
    r"clip \d+ twice": lambda trials: with_field("vid", trials["vid"][9, 0])(trials),
    r"clip 29, expected 1 to 28": with_field("vid", 29.0),
    r"clip 1.5, .*a whole number": with_field("vid", 1.5),
    r"disgust 7.5, expected 0 to 7": scores(7.5),
    r"disgust -0.1": scores(-0.1),
    r"'nan' as disgust in trial 5, expected a number": scores(np.nan),
    r"'inf' as disgust in trial 5": scores(np.inf),
}


@pytest.mark.parametrize("match", SPOILT_REMARKS)
def test_spoilt_remarks_are_named_with_what_was_found_and_expected(tmp_path, match):
    write_de(tmp_path, (7, 8))
    eeg_files.write_faced_remarks(tmp_path, (7,), change=SPOILT_REMARKS[match])
    with pytest.raises(EEGFileError, match=rf"sub007.After_remarks\.mat: found .*{match}"):
        read_faced(tmp_path, subjects=[7])
    with pytest.raises(EEGFileError, match=r"sub008.*no such file.*Fetch it again.*subjects="):
        read_faced(tmp_path, subjects=[8])


with_nan = np.zeros((28, 32, SECONDS, 5))
with_nan[3, 4, 2, 1] = np.nan
SPOILT_PICKLES = {
    r"shape \(32, 28, 3, 5\), expected \(clip 28, channel 32": pickle.dumps(np.zeros((32, 28, 3, 5))),
    r"1 NaN or infinite values, the first at clip 3, channel 4, second 2, band 1": pickle.dumps(with_nan),
    r"too large": pickle.dumps(np.full((28, 32, SECONDS, 5), 1e300)),
    r"found dict, expected an array": pickle.dumps({"de": np.zeros(3)}),
    r"truncated": pickle.dumps(with_nan)[:-100],
    r"no bytes": b"",
}


@pytest.mark.parametrize("match", SPOILT_PICKLES)
def test_a_spoilt_pickle_is_named_with_what_was_found_and_expected(tmp_path, match):
    write_de(tmp_path, (0, 7))
    path = tmp_path / "EEG_Features" / "DE" / "sub007.pkl.pkl"
    path.write_bytes(SPOILT_PICKLES[match])
    with pytest.raises(EEGFileError, match=match) as caught:
        read_faced(tmp_path)
    assert str(path) in str(caught.value)
    assert read_faced(tmp_path, subjects=[0]).subjects.tolist() == [0]  # the sound one can still be read


def test_flat_and_impossible_signals_of_the_release_are_named(tmp_path):
    (x,) = eeg_files.write_faced_processed(tmp_path, seconds=SECONDS).values()
    file = tmp_path / "Processed_data" / "sub000.pkl"
    for clip, part, value, match in (
        (9, slice(None), 5.0, r"sub000\.pkl: found flat channels \['Cz'\] in clip 10"),
        (2, slice(200, 500), 5.0, r"\['Cz in 1 of 3 windows, the first 2'\] in clip 3"),
        (5, slice(0, 9), 3e38, "signals of up to 3e[+]38 in clip 6, expected signals whose variance"),
    ):
        spoilt = x.copy()
        spoilt[clip, 11, part] = value
        file.write_bytes(pickle.dumps(spoilt))
        with pytest.raises(EEGFileError, match=match):
            read_faced(tmp_path)


# Folders, subjects, options


def test_says_what_a_folder_or_a_request_lacks(tmp_path, bids):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    for place, match in (
        ("empty", "found an empty folder, expected sub-XXX"),
        (".", r"found \['empty', 'notes.txt'\]"),
        ("absent", "absent: found nothing"),
        ("notes.txt", "found a file"),
    ):
        with pytest.raises(EEGFileError, match=match):
            read_faced(tmp_path / place)
    write_de(tmp_path, (0, 3))
    for subjects, match in (
        ([0, 5, 9], r"found 2 subjects between 0 and 3, expected subjects \[5, 9\]"),
        ([], "one subject or more"),
        ([3, 3], "each once"),
        ([0, 1.7], "subjects .*1.7 at 1"),
        ("03", "subjects must hold real numbers"),
        ([True], "subjects .*got bool"),
    ):
        with pytest.raises(ValueError, match=match):
            read_faced(tmp_path, subjects=subjects)
    assert read_faced(tmp_path, subjects=np.float64(3.0)).subjects.tolist() == [3]
    for option in ("bands", "source", "channels"):
        with pytest.raises(ValueError, match=f"{option} must be one of .*; got 'no'"):
            read_faced(tmp_path, **{option: "no"})
    with pytest.raises(ValueError, match="channels='all' needs the official release"):
        read_faced(bids[0], channels="all")


def test_a_recording_that_breaks_off_names_what_was_sought():
    def broken(*arguments, **options):
        raise OSError("end of file")

    raw = SimpleNamespace(info={"sfreq": 100.0}, n_times=1000, get_data=broken)
    with pytest.raises(EEGFileError, match=r"no samples of clip 3 \(end of file\), expected a whole"):
        readers.cut(raw, [0], 0, 500, 1, window=1.0, path=Path("a.bdf"), where="clip 3")
