"""The door: each layout finds its reader, what is no cohort is named, and nothing simulated looks real."""

from __future__ import annotations

import re

import eeg_files
import numpy as np
import pytest

from kernel import claims, files, plans, report, studies
from kernel.audit import store
from kernel.brain import emoeegmc, faced_table, matlab, pickles, seedv, sources
from kernel.brain.cohort import Cohort
from kernel.brain.faced import read_faced
from kernel.brain.readers import EEGFileError
from kernel.brain.simulate import simulate_cohort
from kernel.brain.sources import _recognise, faced_folder, load_cohort
from kernel.decoding.streams import read_log
from kernel.language.construct import run_registry

SIMULATED, TRUTH = simulate_cohort(0, n_subjects=2, window=30.0)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The simulation takes no time."""
    monkeypatch.setattr(sources, "simulate_cohort", lambda: (SIMULATED, TRUTH))


WRITE = {
    "FACED": lambda root: eeg_files.write_faced_de(root, subjects=(0, 70)),
    "SEED-V": lambda root: eeg_files.write_seed_v_de(root, n_windows=[4] * 45),
    "EmoEEG-MC": eeg_files.write_emoeeg_mc,
}


@pytest.mark.parametrize("dataset", WRITE)
def test_each_data_set_finds_its_reader(tmp_path, dataset):
    WRITE[dataset](tmp_path)
    cohort = load_cohort(tmp_path, progress=False)
    assert (
        cohort.label == dataset == _recognise(tmp_path) and not cohort.simulated and len(cohort.subjects) == 2
    )


LAYOUTS = {
    "FACED": ("sub000.pkl.pkl", "DE/sub000.pkl.pkl", "EEG_Features/DE/sub000.pkl.pkl", "sub000.pkl"),
    "SEED-V": ("1_123.npz", "EEG_DE_features/1_123.npz", "1_2_20180804.cnt", "EEG_raw/1_2_20180804.cnt"),
    "EmoEEG-MC": tuple(
        f"{place}sub-01/ses-vid/eeg/sub-01_ses-vid_task-emotion_de.npy" for place in ("", "derivatives/")
    ),
}
LAYOUTS["FACED"] += tuple(
    f"{place}sub-000/eeg/sub-000_task-watchingVideoClips_eeg.bdf" for place in ("", "nm000112/")
)


@pytest.mark.parametrize(
    ("dataset", "name"), [(key, name) for key, names in LAYOUTS.items() for name in names]
)
def test_every_layout_is_known_by_names_alone_and_by_links_to_nothing(tmp_path, dataset, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).symlink_to("annex")
    assert _recognise(tmp_path) == dataset


def test_a_folder_is_only_looked_at_and_read_as_its_own_reader_does(tmp_path):
    eeg_files.write_faced_de(tmp_path, subjects=(0, 1))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    cohort = load_cohort(str(tmp_path), progress=False)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert cohort.data.identical(read_faced(tmp_path, progress=False).data)
    eeg_files.write_faced_processed(tmp_path)  # of several copies its reader chooses
    assert load_cohort(tmp_path, progress=False).data.identical(cohort.data)


def test_without_a_path_the_cohort_is_simulated_and_says_so_and_a_saved_one_comes_back_with_its_mark(
    tmp_path,
):
    cohort = load_cohort()
    for one in (cohort, load_cohort(cohort.save(tmp_path / "any.name"))):
        assert one.data.identical(SIMULATED.data)
        assert one.simulated and one.label == "simulated cohort, seed 0, default"


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """FACED as if it had been fetched whole."""
    eeg_files.write_faced_de(tmp_path / "fetched", subjects=(9,))
    monkeypatch.setattr(sources.assets, "path", lambda name: {"faced": tmp_path / "fetched"}[name])
    return tmp_path / "fetched"


def test_the_fetched_files_count_after_argument_and_variable(tmp_path, monkeypatch, fetched):
    monkeypatch.setenv("KERNEL_DATA", "")
    assert load_cohort(progress=False).subjects.tolist() == [9]
    assert faced_folder() == fetched
    eeg_files.write_emoeeg_mc(tmp_path / "variable", subjects=(1,))
    monkeypatch.setenv("KERNEL_DATA", str(tmp_path / "variable"))
    assert load_cohort(progress=False).label == "EmoEEG-MC"
    assert faced_folder() == fetched
    eeg_files.write_faced_de(tmp_path / "argument", subjects=(4,))
    assert load_cohort(tmp_path / "argument", progress=False).subjects.tolist() == [4]


def test_the_folder_of_faced_is_the_one_of_the_variable_if_it_was_recorded(tmp_path, monkeypatch):
    def folder(name):
        monkeypatch.setenv("KERNEL_DATA", str(tmp_path / name))
        return faced_folder()

    assert faced_folder() is None
    eeg_files.write_faced_de(tmp_path / "faced", subjects=(0,))
    (tmp_path / "signals").mkdir()
    (tmp_path / "signals" / "sub000.pkl").touch()
    assert folder("absent") is folder("signals") is None
    assert folder("faced") == tmp_path / "faced"
    (tmp_path / "faced" / sources.GENERATED).touch()
    assert folder("faced") is None


def test_recordings_passed_over_give_a_simulation_and_other_data_are_read(tmp_path, monkeypatch, fetched):
    def label(name, **options):
        monkeypatch.setenv("KERNEL_DATA", str(tmp_path / name) if name else "")
        return load_cohort(skip=["FACED"], progress=False, **options).label

    eeg_files.write_faced_de(tmp_path / "faced", subjects=(0,))
    eeg_files.write_emoeeg_mc(tmp_path / "other", subjects=(1,))
    read_faced(tmp_path / "faced", progress=False).save(tmp_path / "faced.nc")
    simulate_cohort(3, n_subjects=2, window=30.0)[0].save(tmp_path / "simulated.nc")
    assert label("") == label("faced") == label("faced.nc") == SIMULATED.label
    assert label("other") == "EmoEEG-MC"
    assert label("simulated.nc") == SIMULATED.label.replace("seed 0", "seed 3")
    asked_for_by_path = load_cohort(tmp_path / "faced", skip=["FACED"], progress=False)
    assert asked_for_by_path.label == "FACED"
    (tmp_path / "faced" / sources.GENERATED).touch()
    assert label("faced").startswith("simulated cohort, generated files")


def test_recordings_are_passed_over_before_they_are_read(tmp_path, monkeypatch):
    eeg_files.write_faced_de(tmp_path, subjects=(0,))
    next((tmp_path / "EEG_Features" / "DE").iterdir()).write_bytes(b"damaged")
    monkeypatch.setenv("KERNEL_DATA", str(tmp_path))
    assert load_cohort(skip=["FACED"], progress=False).simulated
    with pytest.raises(EEGFileError):
        load_cohort(progress=False)


def test_only_known_data_sets_can_be_passed_over():
    for skip in ("FACED", ["faced"], ["SEED-V", "mine"]):
        with pytest.raises(ValueError, match="skip must be a sequence of EmoEEG-MC, FACED, SEED-V, got"):
            load_cohort(skip=skip)


def no_cohort(root, what):
    """A place that holds none, or damaged ones."""
    root.mkdir()
    if what == "songs":
        for i in range(7):
            (root / f"song{i}.mp3").touch()
    elif what == "two data sets":
        eeg_files.write_faced_de(root, subjects=(0,))
        eeg_files.write_seed_v_de(root)
    elif what.endswith("file"):
        saved = simulate_cohort(0, n_subjects=1, window=30.0)[0].save(root / "cohort.nc").read_bytes()
        content = {"an empty file": b"", "another file": b"\x89HDF\r\n", "a cut file": saved[:200]}
        (root / "cohort.nc").write_bytes(content[what])
        return root / "cohort.nc"
    return root / "absent" if what == "nothing" else root


@pytest.mark.parametrize(
    ("what", "error", "match"),
    [
        ("nothing", EEGFileError, "absent: found nothing, expected a folder or a file.$"),
        ("an empty folder", EEGFileError, "found an empty folder, expected one of .*Cohort.save"),
        ("songs", EEGFileError, r"'song0\.mp3', .*'song4\.mp3'\] and more, expected one of"),
        ("two data sets", EEGFileError, "found FACED and SEED-V, expected one data set"),
        ("an empty file", ValueError, "cohort.nc starts with .*Cohort.save"),
        ("another file", ValueError, "starts with .*HDF.*Cohort.save"),
        ("a cut file", ValueError, "not a readable netCDF file"),
    ],
)
def test_what_is_no_cohort_is_named(tmp_path, what, error, match):
    with pytest.raises(error, match=match):
        load_cohort(no_cohort(tmp_path / "place", what), progress=False)


def test_a_missing_path_of_the_variable_is_named_with_where_it_came_from(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNEL_DATA", str(tmp_path / "absent"))
    with pytest.raises(EEGFileError, match=r"absent: found nothing.*KERNEL_DATA: correct or unset"):
        load_cohort()


#: Everything that reads a place, and says which where nothing is.
READERS = {
    "cohort": Cohort.load,
    "any": load_cohort,
    "kind": _recognise,
    "faced": read_faced,
    "seed-v": seedv.read_seed_v,
    "emoeeg-mc": emoeegmc.read_emoeeg_mc,
    "table": faced_table.load_faced_table,
    "matlab": lambda place: matlab.load_struct(place, "a", length=1, fields={}),
    "pickle": pickles.load_pickle,
    "npy": pickles.load_npy,
    "npz": pickles.load_npz,
    "log": read_log,
    "yaml": plans.load_study,
    "study": studies.open_study,
    "status": studies.status,
    "report": report.write_report,
    "recordings": lambda place: studies.run_study(plans.Study(path=place), "never"),
    "results": lambda place: store.load("cells", folder=place),
    "tables": lambda place: store.run(place),
}
WRITERS = {
    "cohort": lambda place: simulate_cohort(0, n_subjects=1, window=30.0)[0].save(place),
    "registry": lambda place: run_registry([], place, progress=False),
    "folder": files.writable_folder,
    "ledger": lambda place: claims.record(
        claim_id="C4.tracked", value=0.5, p=0.5, data="a cohort", simulated=True, path=place
    ),
}


@pytest.fixture(params=["~/x/place", "x/place"])
def named(request, tmp_path, monkeypatch):
    """A place as a user names it, by the home or by the working directory."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    yield request.param
    assert not (tmp_path / "work" / "~").exists()


def where(named, tmp_path):
    return tmp_path / "home" / "x" / "place" if named.startswith("~") else tmp_path / "work" / "x" / "place"


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_looks_where_its_user_means(named, reader, tmp_path):
    with pytest.raises((OSError, ValueError), match=re.escape(str(where(named, tmp_path)))):
        READERS[reader](named)


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_writes_where_its_user_means(named, writer, tmp_path):
    WRITERS[writer](named)
    assert where(named, tmp_path).exists()


def test_a_cohort_is_found_again_by_the_home_and_by_the_variable(named, tmp_path, monkeypatch):
    cohort, _ = simulate_cohort(0, n_subjects=1, window=30.0)
    assert cohort.save(named) == where(named, tmp_path)
    monkeypatch.setenv("KERNEL_DATA", named)
    for again in (Cohort.load(named), load_cohort(named), load_cohort()):
        np.testing.assert_array_equal(again.de, cohort.de)
    assert plans.Study(path=named).path == str(where(named, tmp_path))
