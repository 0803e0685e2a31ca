"""`OnlineScorer`: scores while a model trains, from running moments; no trajectory is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.errors import ArgumentTypeError, ArgumentValueError, RecorderStateError
from ltc.online_state import Progress, pack, unpack
from ltc.scores import Scores
from ltc.store.samples import Samples, check_together, to_numpy
from ltc_kernels import (
    ReferenceStep,
    online_scores,
    online_state,
    online_update,
    round_losses,
)
from ltc_kernels.checks import check_signal

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["OnlineScorer"]

REFERENCES: Final = ("class-mean", "mean")
TILE: Final = 262_144  # samples that are rounded at once, and that make room for gaps together
MOST_CLASSES: Final = 2**20  # whose means and moments take 0.2 GB
_LARGEST_UINT16: Final = int(np.iinfo(np.uint16).max)


class OnlineScorer:
    """The score after every checkpoint, from running moments.

    After any number of checkpoints the scores are those that :func:`ltc.score` gives for a store of
    the same losses, to 1e-5. The losses themselves are forgotten. A training sample takes 20 bytes
    with its label, 36 once a loss is missing (2 more from 65,537 classes on).

    Parameters
    ----------
    train_labels, val_labels : array of int, shapes (N,) and (M,)
        Class of each sample, from 0; for ``"class-mean"`` below 2^20, as every class up to the
        largest label has its moments.
    signal : {"difference", "loss"}
        Correlate consecutive differences of the losses (arXiv 2508.20230), or the losses (arXiv
        2503.09721).
    reference : {"class-mean", "mean"}
        Compare with the mean validation loss of the sample's class, or of all samples.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        Labels that are no integers, negative, too large or empty, or an unknown signal or
        reference.

    Examples
    --------
    In a training loop, `train` and `val` hold the loss of every sample in this epoch, NaN where it
    was not seen:

    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(6) % 2
    >>> scorer = OnlineScorer(labels, [0, 1])
    >>> for epoch in range(6):
    ...     val = np.exp(-0.3 * epoch) + 0.05 * rng.random(2)
    ...     train = val[labels] * [1, 1, 1, 1, -1, 1] + 0.01 * rng.random(6)
    ...     scorer.update(train, val)
    ...     if epoch >= 3:
    ...         scores = scorer.scores()
    ...         lowest = int(np.argmin(scores.values))
    ...         print(f"epoch {epoch}: sample {lowest} scores {scores.values[lowest]:.2f}")
    epoch 3: sample 4 scores -1.00
    epoch 4: sample 4 scores -1.00
    epoch 5: sample 4 scores -1.00
    """

    def __init__(
        self,
        train_labels: ArrayLike,
        val_labels: ArrayLike,
        *,
        signal: str = "difference",
        reference: str = "class-mean",
    ) -> None:
        self._signal = check_signal(signal)
        if reference not in REFERENCES:
            raise ArgumentValueError(
                f"reference must be one of {', '.join(REFERENCES)}, got {reference!r}"
            )
        self._reference = reference
        train, val = to_numpy(train_labels), to_numpy(val_labels)
        samples = Samples.check("train", train.size, train, None)
        queries = Samples.check("val", val.size, val, None)
        self._num_labels = check_together(samples, queries) or 0
        if self._num_groups > MOST_CLASSES:
            raise ArgumentValueError(
                f"train_labels and val_labels must lie in 0..{MOST_CLASSES - 1} for reference "
                f"'class-mean', got {self._num_labels - 1}"
            )
        narrow = np.uint16 if self._num_labels - 1 <= _LARGEST_UINT16 else np.int32
        self._labels = np.asarray(samples.labels).astype(narrow)
        self._val_labels = np.asarray(queries.labels)
        size = self.num_train
        self._tiles = [slice(begin, min(begin + TILE, size)) for begin in range(0, size, TILE)]
        self._progress = Progress()
        self._start()

    @property
    def num_train(self) -> int:
        """Number of training samples N."""
        return int(self._labels.size)

    @property
    def num_val(self) -> int:
        """Number of validation samples M."""
        return int(self._val_labels.size)

    @property
    def nbytes(self) -> int:
        """Bytes kept per training sample, for all of them: moments and labels."""
        return self._labels.nbytes + sum(state.nbytes for state in self._states)

    def update(self, train_losses: Any, val_losses: Any) -> None:
        """Add one checkpoint.

        Parameters
        ----------
        train_losses, val_losses : array or tensor of floats, shapes (N,) and (M,)
            Losses, NaN where a sample was not seen. They are rounded as a store rounds them:
            float16, with 65504 for what is larger and NaN for what is infinite. A checkpoint that
            one split has no observation of is left out.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            A dtype or a shape that doesn't fit; nothing was added then.
        RecorderStateError
            An earlier update was interrupted.
        """
        train = _losses("train_losses", train_losses, self.num_train)
        val = _losses("val_losses", val_losses, self.num_val)
        self._check_whole()
        position = self._progress.checkpoints
        if not (_any_observed(train) and _any_observed(val)):
            self._progress.left_out.append(position)
            self._progress.checkpoints += 1
            return
        self._progress.interrupted = True
        self._add(train, val)
        self._progress.used.append(position)
        self._progress.checkpoints += 1
        self._progress.interrupted = False

    def scores(self) -> Scores:
        """Return the scores over the checkpoints so far.

        Returns
        -------
        Scores
            As :func:`ltc.score` returns them; all undefined as long as there are fewer than three
            signal values, that is fewer than three checkpoints, or four for ``"difference"``.
            ``metadata["checkpoints"]`` counts the updates from 0.

        Raises
        ------
        RecorderStateError
            An update was interrupted.
        """
        self._check_whole()
        values = np.empty(self.num_train, dtype=np.float32)
        for part, state in zip(self._tiles, self._states, strict=True):
            values[part] = online_scores(state, self._groups(part))
        return Scores(values, self._labels.astype(np.int32), None, self._metadata(values))

    def state_dict(self) -> dict[str, Any]:
        """Return everything that is needed to go on later, as copies.

        Returns
        -------
        dict
            Strings, integers and NumPy arrays, which ``numpy.savez`` and ``torch.save`` take.

        Raises
        ------
        RecorderStateError
            An update was interrupted.
        """
        self._check_whole()
        return self._identity() | self._progress.to_dict() | pack(self._states)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of a scorer with the same labels, signal and reference.

        Parameters
        ----------
        state : mapping
            From :meth:`state_dict`; also as ``numpy.load`` gives it back, or with tensors for
            arrays.

        Raises
        ------
        ArgumentTypeError
            It is no mapping.
        ArgumentValueError
            It belongs to other labels, another signal or reference, or is not such a state; this
            scorer stays as it is.
        """
        if not isinstance(state, Mapping):
            raise ArgumentTypeError(f"state must be a mapping, got {type(state).__name__}")
        for name, own in self._identity().items():
            if name not in state:
                raise ArgumentValueError(f"state must have the entry {name!r}, got {list(state)}")
            if (found := to_numpy(state[name]).item()) != own:
                raise ArgumentValueError(
                    f"state must be that of a scorer with {name} {own!r}, got {found!r}"
                )
        lengths = [part.stop - part.start for part in self._tiles]
        progress = Progress.from_dict(state)
        self._states = unpack(state, self._signal, self._num_groups, lengths, len(progress.used))
        self._progress = progress

    @property
    def _num_groups(self) -> int:
        return self._num_labels if self._reference == "class-mean" else 1

    def _check_whole(self) -> None:
        if self._progress.interrupted:
            raise RecorderStateError(
                "an update was interrupted and has reached some samples only; "
                "load_state_dict with an earlier state goes on from there"
            )

    def _start(self) -> None:
        self._states = [
            online_state(part.stop - part.start, self._num_groups, signal=self._signal)
            for part in self._tiles
        ]
        for state in self._states:
            state.references = self._states[0].references  # one step is for all

    def _groups(self, part: slice) -> NDArray[Any]:
        labels = self._labels[part]
        return labels if self._reference == "class-mean" else np.zeros(labels.size, np.int32)

    def _add(self, train: NDArray[Any], val: NDArray[Any]) -> None:
        step, missing_val = self._step(val)
        missing_train = 0
        for part, state in zip(self._tiles, self._states, strict=True):
            stored, _, missing = round_losses(train[part])
            online_update(state, stored, step, self._groups(part), signal=self._signal)
            missing_train += missing
        self._progress.missing_train += missing_train
        self._progress.missing_val += missing_val

    def _step(self, val: NDArray[Any]) -> tuple[ReferenceStep, int]:
        """Means over the observed validation samples of each group, in float64."""
        stored, _, missing = round_losses(val)
        observed = np.isfinite(stored)
        by_class = self._reference == "class-mean"
        groups = self._val_labels if by_class else np.zeros(self.num_val, np.int32)
        values = stored[observed].astype(np.float64)
        sums = np.bincount(groups[observed], weights=values, minlength=self._num_groups)
        counts = np.bincount(groups[observed], minlength=self._num_groups)
        with np.errstate(invalid="ignore"):  # 0 / 0: no sample of the group was observed
            means = sums / counts
        step: ReferenceStep = self._states[0].references.step(means)
        return step, missing

    def _identity(self) -> dict[str, Any]:
        """What a state must share with the scorer that goes on from it."""
        labels = hashlib.sha256(self._labels.astype("<i4").data)
        labels.update(self._val_labels.astype("<i4").data)
        return {
            "format": 1,
            "signal": self._signal,
            "reference": self._reference,
            "num_train": self.num_train,
            "num_val": self.num_val,
            "labels": labels.hexdigest(),
        }

    def _metadata(self, values: NDArray[np.float32]) -> dict[str, Any]:
        return {
            "signal": self._signal,
            "reference": self._reference,
            "groups": "class",
            "committed": self._progress.checkpoints,
            "checkpoints": [float(position) for position in self._progress.used],
            "left_out": [float(position) for position in self._progress.left_out],
            "missing": {"train": self._progress.missing_train, "val": self._progress.missing_val},
            "undefined": int(np.isnan(values).sum()),
            "device": "cpu",
            "version": version("ltc"),
        }


def _losses(name: str, losses: Any, size: int) -> NDArray[Any]:
    array = to_numpy(losses)
    if array.shape != (size,):
        raise ArgumentValueError(
            f"{name} must have one entry per sample, shape ({size},), got {array.shape}"
        )
    if array.dtype.newbyteorder("=") not in (np.float16, np.float32, np.float64):
        raise ArgumentTypeError(f"{name} must be float16, float32 or float64, got {array.dtype}")
    return array


def _any_observed(losses: NDArray[Any]) -> bool:
    """Whether a sample was seen; an infinite loss was, though it is stored as missing."""
    return any(
        not np.isnan(losses[begin : begin + TILE]).all() for begin in range(0, losses.size, TILE)
    )
