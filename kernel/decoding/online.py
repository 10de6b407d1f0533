"""Decoding while the EEG arrives: causal features, running standardisation, an ensemble, a safe record.

It never looks ahead, at a label, or grows in memory. In the order of processing:

1. *Windows* follow each other from the first sample on (of the stream, and again after a gap). A window is
   processed in one go when its last sample arrives, so that the result does not depend on the chunks.
2. *Features* are differential entropies 0.5 ln(2 pi e variance) in nats, of the same bands as
   :func:`kernel.brain.features.differential_entropy`, but behind causal filters: see
   :class:`~kernel.decoding.causal.CausalEntropy`.
3. *Lost channels* are those with a NaN, an infinity or next to no variance in a window. A channel that comes
   back is good again when its filters have settled.
4. *Standardisation* is by the running mean and standard deviation of each channel and band, of good windows
   up to now: see :class:`~kernel.decoding.causal.Statistics`. What is lost becomes 0, the mean.
5. *The segment* is made of the windows that ended within its length before now and had enough good channels.
   A short gap therefore leaves holes in it, and a gap as long as the segment starts it anew.
6. *Probabilities* are the weighted mean over the classifiers, smoothed by an exponential with a time constant
   in seconds. Without enough good channels now, or enough windows in the segment, they are withheld: NaN.
"""

from __future__ import annotations

import json
import math
import os
import time as wall_clock
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from kernel import checks, files
from kernel.arrays import precision, real
from kernel.decoding.causal import DEFAULTS, CausalEntropy, OnlineSettings, Statistics, Window
from kernel.decoding.streams import Chunks, OutOfOrderError, Record, Stateful, read_log

if TYPE_CHECKING:
    from kernel.decoding.checkpoints import Bank

STATUS = ("decoded", "filling", "channels lost")

_PATIENCE = 5.0  # seconds of chunks that are all too old before their clock counts as the new one
_CHECKPOINT = 10.0  # seconds of windows between checkpoints


# The decoder


class OnlineDecoder(Stateful):
    """Class probabilities of a person's EEG, second by second, from any fitted classifiers.

    Its `statistics` are as they are now; `classes` names the columns of the probabilities.

    Parameters
    ----------
    estimators : sequence
        Fitted classifiers with ``predict_proba`` on (n, n_channels * n_bands), column ``c * n_bands + b``:
        the mean of the standardised windows of a segment, as :func:`kernel.brain.cohort.segments` gives it.
        Or callables that take the windows themselves, (1, n_channels, n_windows, n_bands), those missing
        replaced by the mean of the others, and return probabilities (1, n_classes): see :func:`from_bank`.
    sfreq : float
        Samples per second.
    channels : sequence of str or int
        Names of the channels of the training in their order, by which `decode` finds the rows of a recording
        or a stream, in upper or lower case; or their number, and rows are taken as they come. The reference
        must be that of the training, too.
    classes, weights : sequence, optional
        Names of the columns of the probabilities, by default the estimators' ``classes_``; weights of the
        average (n_estimators,), equal by default.
    folder : str or Path, optional
        Where to keep the log ``records.jsonl`` and, every 10 s, the checkpoint ``state.npz``. If there is
        one, the decoder goes on from it: feed the samples from number `n_samples` on, and the output is the
        same as without the break; or the stream as it is now, and the break is a gap. Nothing is logged
        twice.
    settings : OnlineSettings
        Windows, segment, smoothing, memory, warm-up and what counts as lost or as a gap.

    Examples
    --------
    >>> decoder = OnlineDecoder(models, sfreq=250, channels=names, folder="s01")   # doctest: +SKIP
    >>> for record in decode(stream_lsl("EEG"), decoder):                          # doctest: +SKIP
    ...     print(record.time, record.label, record.smoothed.max())
    """

    STATE = ("entropy", "statistics", "_ring", "_times", "_smoothed", "_smoothed_at", "_counts", "_dropped")

    def __init__(
        self,
        estimators: Sequence[Any],
        *,
        sfreq: float,
        channels: Sequence[str] | int,
        classes: Sequence[str | int | float] | None = None,
        weights: ArrayLike | None = None,
        folder: str | Path | None = None,
        settings: OnlineSettings = DEFAULTS,
    ) -> None:
        if not isinstance(settings, OnlineSettings):
            raise ValueError(f"settings must be OnlineSettings, got {settings!r}: OnlineSettings(window=2.0)")
        self.channels, self.named = _channel_names(channels)
        self.settings, self.entropy = settings, CausalEntropy(sfreq, len(self.channels), settings)
        shape = len(self.channels), len(self.entropy.bands)
        self._least_windows = math.ceil(settings.coverage * settings.n_windows - 1e-9)
        self._least_good = math.ceil(settings.min_good * len(self.channels) - 1e-9)
        if not isinstance(estimators, Sequence | np.ndarray):
            raise ValueError(f"estimators must be a list, got {estimators!r}: put it in brackets")
        segment = len(self.channels), settings.n_windows, len(self.entropy.bands)
        self._members = [_member(e, i, segment) for i, e in enumerate(estimators)]
        self.classes = _agreed_classes(estimators, classes)
        self._weights = _weights(weights, len(self._members))

        self.statistics = Statistics(*shape, memory=settings.memory / settings.window)
        self._ring = np.full((settings.n_windows, *shape), np.nan)
        self._times = np.full(settings.n_windows, -np.inf)
        self._smoothed, self._smoothed_at = np.full(len(self.classes), np.nan), -math.inf
        self._counts = np.zeros(len(STATUS), dtype=int)
        self._dropped = np.zeros(2, dtype=int)  # chunks that were too old, and clocks set back
        self._refused = 0  # samples since the last that were taken
        self._folder, self._log = None, None
        if folder is not None:
            self._folder = files.writable_folder(folder)
            self._go_on(self._folder / "state.npz")
            self._log = _Log(self._folder / "records.jsonl", settings.window)

    def __enter__(self) -> OnlineDecoder:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif self._log is not None:  # after an error the last checkpoint stands
            self._log.close()
            self._log = None

    # In and out

    def push(self, chunk: ArrayLike, time: float | ArrayLike | None = None) -> list[Record]:
        """Take samples and decode every window that they complete: one record each, often none.

        `chunk` (n_channels, n_samples) is in V, with at least one sample; lost samples are NaN. `time` is
        seconds on any clock, of the first sample or of all; by default the samples follow the last ones. A
        jump ahead by more than the tolerance is a gap: the open window is dropped and the filters begin anew.

        Raises
        ------
        OutOfOrderError
            If the samples are older than some already taken. Like every chunk that is refused, it changes
            nothing: the next may follow.
        """
        if self._folder is not None and self._log is None:
            raise ValueError(f"this decoder is closed: make a new one with folder={str(self._folder)!r}")
        windows = self.entropy.windows(chunk, time)
        self._refused = 0
        return [self._take(window) for window in windows]

    def drop(self, chunk: ArrayLike, time: float | ArrayLike | None) -> list[Record]:
        """Leave out a chunk that `push` found too old, and count it.

        If nothing else has come for 5 s of samples, the clock was set back for good: the chunk is then taken
        by the new clock, after a gap of as many samples as were left out.
        """
        n = int(np.shape(chunk)[-1])
        self._dropped[0] += 1
        self._refused += n
        if self._refused <= _PATIENCE * self.entropy.sfreq:
            return []
        self.entropy.clock.missing += (self._refused - n) / self.entropy.sfreq
        self.entropy.set_back()
        self._dropped[1] += 1
        self._times[:], self._smoothed_at = -np.inf, -math.inf
        if self._log is not None:
            self._log.last = -math.inf
        try:
            records = self.push(chunk, time)
        except OutOfOrderError:  # stamps that fall within this chunk: the next may do
            return []
        self._dropped[0] -= 1
        return records

    def push_features(self, de: ArrayLike, time: float) -> Record:
        """Take the features (n_channels, n_bands) of a window instead of its samples, as a release has them.

        In any unit that is the same throughout; a channel with NaN counts as lost. `time` is the window's
        end in s; OutOfOrderError if it is not later than the last.
        """
        de = real(de, "features", finite=False)
        checks.shape("features", de, self._ring.shape[1:])
        time = float(real(time, "time, in seconds,"))
        if not time > self._times[-1]:
            raise OutOfOrderError(
                f"window at {time} s follows one at {self._times[-1]} s: send them in order"
            )
        good: np.ndarray = np.isfinite(de).all(1)
        de = np.where(good[:, None], de, np.nan)
        return self._take(Window(time, de, good, ~good, wall_clock.perf_counter()))

    @property
    def n_samples(self) -> int:
        """Samples taken so far, in all; after a restart the number of the sample to go on from."""
        return self.entropy.clock.n_samples

    @property
    def report(self) -> dict[str, float]:
        """Counts since the beginning.

        Windows by status, gaps, seconds missing, windows cut by a gap, chunks dropped because they were too
        old, and how often the clock was set back for good.
        """
        clock, (chunks, clocks) = self.entropy.clock, self._dropped.tolist()
        return {
            **dict(zip(STATUS, self._counts.tolist(), strict=True)),
            "gaps": clock.gaps,
            "missing_s": clock.missing,
            "windows_dropped": self.entropy.windows_dropped,
            "chunks_dropped": chunks,
            "clocks_set_back": clocks,
        }

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays that make up the running state: constant."""
        return sum(array.nbytes for array in self.state().values())

    # Storage

    def save(self) -> None:
        """Write the checkpoint now; it replaces the last in one step."""
        if self._folder is None:
            raise ValueError("this decoder has no folder to save to: give folder= when making it")
        with files.atomic_path(self._folder / "state.npz") as temporary, temporary.open("wb") as file:
            arrays: dict[str, Any] = self.state()
            np.savez(file, settings=np.array(json.dumps(self._settings())), **arrays)

    def close(self) -> None:
        """Save, and close the log."""
        if self._log is not None:
            self.save()
            self._log.close()
            self._log = None

    def _settings(self) -> dict[str, Any]:
        """What must be the same to go on, as JSON gives it back."""
        settings = asdict(self.settings) | {
            "bands": self.entropy.bands,
            "sfreq": self.entropy.sfreq,
            "channels": self.channels,
            "classes": self.classes,
            "weights": self._weights.tolist(),
        }
        return json.loads(json.dumps(settings))

    def _go_on(self, path: Path) -> None:
        """Restore the checkpoint; write one at once where there is none that can be read."""
        try:
            state = files.read_arrays(path)
            stored = json.loads(str(state.pop("settings")))
        except FileNotFoundError:
            return self.save()
        except (OSError, ValueError, KeyError) as error:
            warnings.warn(f"checkpoint {path} is unreadable ({error}): beginning anew", stacklevel=3)
            return self.save()
        for name, value in self._settings().items():
            if stored.get(name) != value:
                raise ValueError(
                    f"{path} was written with {name}={stored.get(name)!r}, this decoder has {value!r}: set "
                    "it up alike or choose another folder"
                )
        self.restore(state)

    # Decoding

    def _take(self, window: Window) -> Record:
        """Decode a window, count it and log it."""
        record = self._decode(window)
        self._counts[STATUS.index(record.status)] += 1
        if self._log is not None:
            self._log.append(record)
            if self._counts.sum() % max(1, round(_CHECKPOINT / self.settings.window)) == 0:
                self.save()
        return record

    def _decode(self, window: Window) -> Record:
        self.statistics.update(window.de, window.good)
        n_good = int(window.good.sum())
        if n_good >= self._least_good:
            self._ring[:-1], self._times[:-1] = self._ring[1:].copy(), self._times[1:].copy()
            self._ring[-1], self._times[-1] = window.de, window.time
        ago = np.floor((window.time - self._times) / self.settings.window + 0.5)
        places = self.settings.n_windows - 1 - ago
        recent = places >= 0
        n_windows = int(recent.sum())

        probabilities = smoothed = np.full(len(self.classes), np.nan)
        label, status = None, "decoded"
        if window.lost.sum() > len(self.channels) - self._least_good:
            status = "channels lost"
        elif n_good < self._least_good or n_windows < self._least_windows:
            status = "filling"
        else:
            z = self.statistics.standardise(self._ring[recent])
            probabilities = self._ensemble(z, places[recent].astype(int))
            smoothed = self._smooth(probabilities, window.time)
            label = self.classes[int(smoothed.argmax())]
        warm = self.statistics.count[window.good] >= self.settings.warm_up / self.settings.window
        return Record(
            time=window.time,
            probabilities=probabilities,
            smoothed=smoothed,
            label=label,
            status=status,
            warm=bool(n_good and warm.all()),
            n_good_channels=n_good,
            lost=tuple(name for name, lost in zip(self.channels, window.lost, strict=True) if lost),
            n_windows=n_windows,
            latency_s=wall_clock.perf_counter() - window.arrived,
        )

    def _ensemble(self, z: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Mean probabilities (n_classes,) from standardised windows (n, n_channels, n_bands) at places."""
        mean = z.mean(0)
        steps = np.repeat(mean[None], self.settings.n_windows, axis=0)
        steps[places] = z
        steps = np.ascontiguousarray(steps.transpose(1, 0, 2))[None]  # (1, n_channels, n_windows, n_bands)
        row = mean.reshape(1, -1)
        total = np.zeros(len(self.classes))
        for number, (function, takes_mean) in enumerate(self._members):
            answer = function(row if takes_mean else steps)
            total += self._weights[number] * _probabilities(answer, number, len(self.classes))
        return total

    def _smooth(self, probabilities: np.ndarray, time: float) -> np.ndarray:
        """Move the smoothed probabilities towards the new ones by the time that has passed."""
        if self.settings.smoothing == 0 or self._smoothed_at == -math.inf:
            self._smoothed = probabilities
        else:
            share = -math.expm1(-(time - self._smoothed_at) / self.settings.smoothing)
            self._smoothed = self._smoothed + share * (probabilities - self._smoothed)
        self._smoothed_at = time
        return self._smoothed


def decode(chunks: Iterable[Any], decoder: OnlineDecoder, *, disorder: str = "raise") -> Iterator[Record]:
    """Decode everything that comes; each record as soon as it is there.

    Chunks are arrays (n_channels, n_samples) in V, or pairs of these and their time: see
    :meth:`OnlineDecoder.push`. What :func:`~kernel.decoding.streams.replay` and
    :func:`~kernel.decoding.streams.stream_lsl` give knows the names of its rows: they are brought into the
    order of the decoder, others are left out, and channels that are marked bad count as lost. The decoder is
    not closed at the end, and may go on with other chunks. A chunk that is older than what was taken raises,
    or under disorder ``"drop"`` is left out: see :meth:`OnlineDecoder.drop`.
    """
    checks.choice("disorder", disorder, ("raise", "drop"))
    for chunk, time in _fitting(chunks, decoder.entropy.sfreq, decoder.channels if decoder.named else None):
        try:
            yield from decoder.push(chunk, time)
        except OutOfOrderError:
            if disorder == "raise":
                raise
            yield from decoder.drop(chunk, time)


# Chunks


def _channel_names(channels: Sequence[str] | int) -> tuple[tuple[str, ...], bool]:
    """Names of the channels, numbers if only their count is given, and whether they are names."""
    if isinstance(channels, int | np.integer):
        return tuple(map(str, range(checks.count("channels", channels)))), False
    names = checks.choices("channels", channels)
    if unnamed := [name for name in names if not isinstance(name, str)]:
        raise ValueError(f"channels must be names, or their number, got {unnamed[0]!r}: name every channel")
    checks.choices("channels, in lower case,", [name.strip().lower() for name in names])
    return names, True


def _places_of(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Place of each wanted channel among the names, whatever their case."""
    places = {name.strip().lower(): place for place, name in reversed(list(enumerate(names)))}
    absent = [name for name in wanted if name.strip().lower() not in places]
    if absent:
        raise ValueError(
            f"the recording or stream has no channels {absent}, only {list(names)}: rename them, or give the "
            "decoder the number of its channels if the rows are in the order of the training"
        )
    return [places[name.strip().lower()] for name in wanted]


def _fitting(
    chunks: Iterable[Any], sfreq: float, channels: Sequence[str] | None
) -> Iterator[tuple[Any, Any]]:
    """Chunks and times, None if they have none; rows are these channels where a source names its rows."""
    rows = None
    if hasattr(chunks, "get_data") or getattr(chunks, "ndim", 0) == 2:
        kind = type(chunks).__name__
        raise ValueError(f"chunks is {kind}, a recording: wrap it in replay(...); a stream: use stream_lsl")
    if isinstance(chunks, Chunks):
        if not np.isclose(chunks.sfreq, sfreq):
            raise ValueError(f"the chunks have {chunks.sfreq:g} Hz, not {sfreq:g}: resample them first")
        if channels is None and chunks.bads:
            raise ValueError(
                f"bad channels {list(chunks.bads)} leave out rows: give the decoder the names of its channels"
            )
        if channels is not None and chunks.channels is not None:
            names = (*chunks.channels, *chunks.bads)
            rows = np.array(_places_of(names, channels))
    for item in chunks:
        chunk, time = item if isinstance(item, tuple) else (item, None)
        if rows is not None:  # numbers beyond the chunk's rows are of bad channels: NaN
            there, arranged = rows < len(chunk), np.full((len(rows), chunk.shape[1]), np.nan)
            arranged[there] = chunk[rows[there]]
            chunk = arranged
        yield chunk, time


# Members


def from_bank(
    bank: Bank, members: Sequence[int] | None = None, *, device: str | torch.device | None = None
) -> list[Callable[..., Any]]:
    """Members of a trained bank, all or those numbered, as callables for an :class:`OnlineDecoder`.

    Each takes windows (n, n_channels, n_windows, n_bands), averages them into as many time steps as the
    member was trained on, and computes probabilities (n, n_classes) on the device.
    """
    from kernel.decoding.training import Labels

    place = checks.device(device)

    def callable_of(member: int) -> Callable[..., Any]:
        spec, network = bank.specs[member], bank.network(member).to(place)
        labels = Labels.of_trials(bank.trials, len(bank.classes), spec.labels)

        def probabilities(windows: np.ndarray) -> np.ndarray:
            n, n_channels, n_windows, n_bands = windows.shape
            if n_windows % spec.n_windows:
                raise ValueError(
                    f"{n_windows} windows cannot be averaged into {spec.n_windows} time steps: change the "
                    "segment"
                )
            steps = windows.reshape(n, n_channels, spec.n_windows, -1, n_bands).mean(3)
            with torch.inference_mode():
                logits = network(torch.as_tensor(steps, dtype=torch.float32, device=place)).cpu()
                return labels.class_scores(logits).softmax(-1).numpy()

        # by which a decoder knows before the session whether its channels, bands and classes are the bank's
        vars(probabilities).update(n_features_in_=math.prod(bank.shape), classes_=bank.classes)
        return probabilities

    return [callable_of(member) for member in (range(len(bank)) if members is None else members)]


def _agreed_classes(estimators: Sequence[Any], renamed: Sequence[Any] | None) -> tuple[Any, ...]:
    """Names of the classes, on which all estimators must agree; new names may not change their number."""
    if len(estimators) == 0:
        raise ValueError("estimators is empty: give one fitted classifier or more")
    classes = None if renamed is None else checks.choices("classes", renamed)
    for number, estimator in enumerate(estimators):
        if hasattr(estimator, "classes_"):
            fitted = tuple(np.asarray(estimator.classes_).tolist())
            classes = fitted if classes is None else classes
            if len(fitted) != len(classes) or (renamed is None and fitted != classes):
                raise ValueError(
                    f"estimator {number} knows the classes {list(fitted)}, not {list(classes)}: fit all on "
                    "the same"
                )
    if classes is None:
        raise ValueError(
            "callables, and what is not fitted, do not tell their classes: fit it, or give classes="
        )
    checks.count("number of classes", len(classes), least=2)
    classes = tuple(name.item() if isinstance(name, np.generic) else name for name in classes)
    if odd := [name for name in classes if not isinstance(name, str | int | float)]:
        raise ValueError(f"classes must be names or numbers, which a log can hold, got {odd[0]!r}")
    return classes


def _member(estimator: Any, number: int, segment: tuple[int, int, int]) -> tuple[Callable[..., Any], bool]:
    """What to call for probabilities, and whether it takes the mean of the segment."""
    n_features, takes_mean = segment[0] * segment[2], hasattr(estimator, "predict_proba")
    if not takes_mean and not callable(estimator):
        raise ValueError(
            f"estimator {number}, {type(estimator).__name__}, neither has predict_proba nor can be "
            "called: calibrate it (sklearn.calibration) or wrap it in a function"
        )
    fitted = getattr(estimator, "n_features_in_", n_features)
    if fitted != n_features:
        raise ValueError(
            f"estimator {number} was fitted to {fitted} features, channels times bands are {n_features}: "
            "choose the channels and bands of the training"
        )
    if not takes_mean and hasattr(estimator, "n_features_in_"):
        estimator(np.zeros((1, *segment)))  # a member of a bank says whether it can divide the segment
    return estimator.predict_proba if takes_mean else estimator, takes_mean


def _weights(weights: ArrayLike | None, n: int) -> np.ndarray:
    """Weights that add up to one (n,)."""
    weights = np.ones(n) if weights is None else real(weights, "weights")
    if weights.shape != (n,) or (weights < 0).any() or not weights.any():
        raise ValueError(
            f"weights must be {n} numbers, none negative and not all zero, got {weights.tolist()}"
        )
    return weights / weights.sum()


def _probabilities(answer: Any, number: int, n_classes: int) -> np.ndarray:
    """A member's answer as (n_classes,), if it is one."""
    answers = checks.shape(
        f"answer of estimator {number}", real(answer, f"estimator {number}", finite=False), (1, n_classes)
    )
    slack = max(1e-4, n_classes * precision(answer))
    if not (answers >= 0).all() or not abs(answers.sum() - 1) < slack:
        raise ValueError(
            f"estimator {number} gave {answers[0].tolist()}: probabilities must not be negative and must "
            "add up to 1; are these scores that need a softmax?"
        )
    return answers[0] if slack == 1e-4 else answers[0] / answers.sum()


# The log


class _Log:
    """An append-only file of records, each on the disk before the next is decoded, none twice."""

    def __init__(self, path: Path, window: float) -> None:
        records = read_log(path) if path.exists() else []
        with files.atomic_path(path) as temporary:  # without a line that was cut off
            temporary.write_text("".join(record.to_json() + "\n" for record in records))
        self._file = path.open("ab")
        self._least_step, self.last = window / 2, records[-1].time if records else -math.inf

    def append(self, record: Record) -> None:
        # after a restart the same samples may be fed again, whose records are here already
        if record.time > self.last + self._least_step:
            self._file.write(record.to_json().encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.last = record.time

    def close(self) -> None:
        self._file.close()
