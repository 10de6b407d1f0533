"""EmoEEG-MC, in generated files of the exact format, sound and spoilt."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from eeg_files import EMOEEG_ORDER, write_emoeeg_mc

from kernel.brain.emoeegmc import read_emoeeg_mc
from kernel.brain.readers import EEGFileError

QUIET = {"progress": False}
# in the form in which the README of ds005540 lists who saw what
README = """### Trial Reordering
1. `['dis5', 'sad4', 'sad5', 'neu8', 'neu4', 'neu5', 'joy4', 'ten5', 'ten8', 'dis8', 'fear8', 'dis4', \
'ins4', 'joy8', 'ten4', 'fear4', 'sad8', 'fear5', 'ins8', 'ins5', 'joy5']`

- **sub54 Imagery sequence**:
  `['ten8', 'ten5']`

- **sub54 Video sequence**:
  `['joy8', 'joy5', 'joy4']`

- **sub55**: The sequence for imagery and video trials is:
  `['dis5', 'sad4', 'fear8', 'joy4', 'joy5', 'ten8', 'fear5', 'sad8', 'sad5', 'joy8', 'ten5', 'ins8', \
'dis8', 'dis4', 'fear4', 'ins5', 'ten4', 'ins4']`

- **sub57**:
  - Imagery sequence:
    `['neu8', 'neu5']`
  - Video sequence:
    `['neu8', 'ins4', 'joy5', 'ten4', 'sad5', 'sad4', 'sad8', 'ins8', 'joy4', 'ten8', 'dis8', 'dis5', \
'ten5', 'fear4', 'fear5']`

1. **Locate Raw Data**:
"""


def spoil(root, value):
    (path,) = (root / "derivatives" / "sub-02").rglob("*_de.npy")
    if isinstance(value, bytes):
        path.write_bytes(value)
    else:
        np.save(path, value, allow_pickle=True)
    return path


@pytest.mark.parametrize(("layout", "where"), [("trials", "."), ("seconds", "derivatives")])
def test_trials_are_read_in_both_layouts(tmp_path, layout, where):
    truth = write_emoeeg_mc(tmp_path, (2, 1), layout=layout)
    cohort = read_emoeeg_mc(tmp_path / where, **QUIET)
    assert cohort.subjects.tolist() == [1, 2] and cohort.de.shape == (2, 21, 30, 64, 5)
    for i, subject in enumerate((1, 2)):
        np.testing.assert_allclose(cohort.de[i], truth[subject].swapaxes(1, 2), rtol=1e-6)
    assert cohort.classes == ("sadness", "disgust", "fear", "neutral", "joy", "tenderness", "inspiration")
    assert cohort.y.tolist() == [k for k in range(7) for _ in range(3)] and len(set(cohort.channels)) == 64
    assert not cohort.simulated
    assert len(cohort.info()["ch_names"]) == 64


def test_arrays_saved_bare_are_read_too(tmp_path):
    truth = write_emoeeg_mc(tmp_path, (2,), layout="seconds")
    want = read_emoeeg_mc(tmp_path, **QUIET).de
    in_a_row = truth[2].swapaxes(0, 1).reshape(64, 630, 5)
    for value in (in_a_row, in_a_row[None], truth[2]):
        spoil(tmp_path, value)
        np.testing.assert_array_equal(read_emoeeg_mc(tmp_path, **QUIET).de, want)


def shown(subject):
    """Video clips of a subject by the README above, in order."""
    part = README.split(f"sub{subject}")[1]
    part = part.split("Video sequence:")[1] if subject != 55 else part
    return re.findall(r"'(\w+)'", part.split("]")[0])


def test_missing_trials_are_nan_and_the_others_keep_their_clip(tmp_path):
    truth = write_emoeeg_mc(tmp_path, (55, 56, 57, 58))
    cohort = read_emoeeg_mc(tmp_path, **QUIET)
    assert cohort.present.sum(1).tolist() == [18, 21, 15, 21]
    for i, subject in enumerate((55, 56, 57, 58)):
        # 56 and 58 miss imagery trials only
        seen = EMOEEG_ORDER if subject in (56, 58) else sorted(shown(subject), key=EMOEEG_ORDER.index)
        for row, clip in enumerate(seen):
            got = cohort.de[i, EMOEEG_ORDER.index(clip)]
            np.testing.assert_allclose(got, truth[subject][row].swapaxes(0, 1), rtol=1e-6)


def test_the_order_comes_from_the_readme(tmp_path):
    write_emoeeg_mc(tmp_path, (1, 2, 54, 55, 57))
    assert np.isnan(read_emoeeg_mc(tmp_path, **QUIET).order).all()
    (tmp_path / "README").write_text(README)
    with pytest.warns(UserWarning, match=r"no video sequence of subjects \[2\]"):
        cohort = read_emoeeg_mc(tmp_path, **QUIET)
    assert cohort.order[0, EMOEEG_ORDER.index("dis5")] == 1
    assert cohort.order[0, EMOEEG_ORDER.index("joy5")] == 21
    assert np.isnan(cohort.order[1]).all()  # not listed
    assert cohort.order[2, EMOEEG_ORDER.index("joy8")] == 1 and np.isfinite(cohort.order[2]).sum() == 3
    for row, subject in zip(cohort.order[3:], (55, 57), strict=True):
        assert [EMOEEG_ORDER[i] for i in np.argsort(row)[: np.isfinite(row).sum()]] == shown(subject)


with_nan = np.zeros((21, 64, 30, 5))
with_nan[20, 63, 29, 4] = np.nan


def saved(value):
    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=True)
    return stream.getvalue()


SPOILT = {
    r"shape \(20, 64, 30, 5\), expected \(trial 21, channel 64": {"de": np.zeros((20, 64, 30, 5))},
    r"shape \(64, 600, 5\), expected \(channel 64, second 630": {"de": np.zeros((64, 600, 5))},
    r"trial 20, channel 63, second 29, band 4": {"de": with_nan},
    r"keys \['psd'\], expected key 'de'": {"psd": np.zeros(3)},
    r"found str, expected an array": {"de": "text"},
    r"no npy header": b"/annex/objects/SHA256E-s1613182.npy",
    r"truncated": saved({"de": with_nan})[:-1000],
}


@pytest.mark.parametrize("match", SPOILT)
def test_a_spoilt_file_is_named_with_what_was_found_and_expected(tmp_path, match):
    write_emoeeg_mc(tmp_path, (1, 2))
    path = spoil(tmp_path, SPOILT[match])
    with pytest.raises(EEGFileError, match=match) as caught:
        read_emoeeg_mc(tmp_path, **QUIET)
    assert str(path) in str(caught.value)
    assert read_emoeeg_mc(tmp_path, subjects=[1], **QUIET).subjects.tolist() == [1]


def test_says_what_a_folder_or_a_request_lacks_and_leaves_it_as_it_is(tmp_path):
    def refused(match, place=tmp_path, **options):
        with pytest.raises(EEGFileError, match=match):
            read_emoeeg_mc(place, **QUIET, **options)

    refused("found an empty folder, expected derivatives")
    refused("found nothing", tmp_path / "absent")
    write_emoeeg_mc(tmp_path, (1, 2))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    read_emoeeg_mc(tmp_path, **QUIET)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    refused(r"found 2 subjects between 1 and 2, expected subjects \[7\]", subjects=[7])
    path = spoil(tmp_path, b"")
    path.unlink()
    path.symlink_to("nowhere")
    refused(r"sub-02.*a link to nothing.*datalad get")
