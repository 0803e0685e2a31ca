"""Scores from running moments: a checkpoint is looked at once and then forgotten."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ltc_kernels import reference as float64_reference
from ltc_kernels.algebra import Signal
from ltc_kernels.backends import BACKENDS, device_of_state, is_tensor
from ltc_kernels.checks import check_groups, check_signal, check_train_losses
from ltc_kernels.errors import ArgumentTypeError, ArgumentValueError
from ltc_kernels.moments import ReferenceMoments, ReferenceStep

# Rows of a state. A sum is a float32 in `words` and what it lacks, the upper 16 bits of another
# float32, in the same row of `halves`: 32 significant bits or more.
SQUARES: Final = 0  # of the sample's deviations
PRODUCT: Final = 1  # of its deviations with the reference's
MEAN: Final = 2  # signal "loss": of the losses
ANCHOR: Final = 2  # "difference" with gaps: last loss less the sum of the differences so far,
LAST: Final = 2  # or that sum itself where the last loss, in `halves`, is missing
FIRST: Final = 3  # "difference" without gaps: first loss, in `halves`
REFERENCE_SQUARES: Final = 3  # with gaps: the reference's moments over the sample's own values,
REFERENCE_MEAN: Final = 4
COUNT: Final = 5  # and how many there are

NO_LOSS: Final = np.uint16(0x7E00)  # bits of a float16 NaN


@dataclass
class OnlineState:
    """Moments of a run of samples so far; `online_state` makes one, `online_update` changes it.

    Without a gap all samples share the count and the reference's moments, and a sample takes 16
    bytes (``"difference"``) or 18 (``"loss"``); with one, 34.

    Attributes
    ----------
    references : ReferenceMoments
        The validation side, with the signal and the number of checkpoints.
    gaps : bool
        Whether the layout has room for gaps.
    words : ndarray of float32, shape (fields, N)
    halves : ndarray of uint16, shape (fields, N)
        On a device both are tensors, of float32 and int16, and hold the same bits.
    """

    references: ReferenceMoments
    gaps: bool
    words: Any = field(repr=False)
    halves: Any = field(repr=False)

    @property
    def num_samples(self) -> int:
        """Number of samples N."""
        return int(self.words.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of what is kept per sample, for all of them."""
        return int(self.words.nbytes + self.halves.nbytes)

    def to(self, device: Any) -> "OnlineState":
        """A copy elsewhere.

        Parameters
        ----------
        device : torch.device, str or None
            Where to; None means NumPy arrays. The bits stay the same: a run can go on anywhere.
        """
        if device is None and not is_tensor(self.words):
            return OnlineState(self.references, self.gaps, self.words.copy(), self.halves.copy())
        from ltc_kernels.gpu import online

        return online.to_host(self) if device is None else online.to_device(self, device)


def fields(signal: str, *, gaps: bool) -> tuple[int, int]:
    """Rows of ``words`` and of ``halves``."""
    if gaps:
        return 6, 5
    return (2, 4) if signal == "difference" else (3, 3)


def update_terms(state: OnlineState, step: ReferenceStep) -> NDArray[np.float32]:
    """What a kernel needs of the references, shape (1, C), or (2, C) with gaps."""
    if state.gaps:
        high = step.terms.astype(np.float32)
        return np.stack([high, (step.terms - high).astype(np.float32)])
    return (step.terms - step.after.means).astype(np.float32)[None]


def online_state(
    num_samples: int,
    num_groups: int,
    *,
    signal: str,
    backend: str = "auto",
    device: Any = None,
) -> Any:
    """Moments of no checkpoint at all, for `online_update`.

    Parameters
    ----------
    num_samples, num_groups : int
        N and C.
    signal : {"loss", "difference"}
        Correlate the losses or their consecutive differences.
    backend : {"auto", "reference", "cpu", "gpu"}
        ``"auto"`` means ``"gpu"`` where a device is given, else ``"cpu"``. ``"reference"`` is the
        slow definition in float64.
    device : torch.device or str, optional
        A CUDA or ROCm device to keep the state on; ``"gpu"`` alone means torch's current one.

    Returns
    -------
    OnlineState, or `ltc_kernels.reference.OnlineMoments`

    Raises
    ------
    ArgumentValueError
        A negative size, or an unknown signal or backend.
    BackendUnavailableError
        There is no such device here.
    """
    if backend not in BACKENDS:
        raise ArgumentValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    checked = check_signal(signal)
    for name, size in (("num_samples", num_samples), ("num_groups", num_groups)):
        if size < 0:
            raise ArgumentValueError(f"{name} must be at least 0, got {size}")
    if backend == "reference":
        return float64_reference.OnlineMoments(num_samples, checked)
    if backend == "gpu" or device is not None:
        from ltc_kernels.gpu import online

        place = device_of_state(backend, device)
        state = online.empty_state(num_samples, checked, gaps=False, device=place)
        return OnlineState(ReferenceMoments.start(num_groups, checked), False, *state)
    words, halves = fields(checked, gaps=False)
    return OnlineState(
        ReferenceMoments.start(num_groups, checked),
        False,
        np.zeros((words, num_samples), dtype=np.float32),
        np.zeros((halves, num_samples), dtype=np.uint16),
    )


def online_update(
    state: Any, train_losses: Any, references: Any, groups: Any, *, signal: str
) -> None:
    """Add one checkpoint to the moments, in place.

    Parameters
    ----------
    state : OnlineState, or `ltc_kernels.reference.OnlineMoments`
        From `online_state`; where it lies, the work is done.
    train_losses : array of float16, shape (N,)
        Losses as a store holds them; not finite means missing. Brought to the device of the state
        if they aren't there.
    references : array of floats, shape (C,), or ReferenceStep
        One reference value per group, not finite where missing. ``state.references.step(values)``
        serves several states that have seen the same references.
    groups : array of integers, shape (N,)
        Group of each sample, 0..C-1, the same at every checkpoint.
    signal : {"loss", "difference"}
        That of the state.

    Raises
    ------
    ArgumentValueError
        A shape, group or signal that doesn't fit the state; it is left as it was.
    ArgumentTypeError
        A dtype other than those above.

    Examples
    --------
    >>> state, group = online_state(2, 1, signal="loss"), np.array([0, 0])
    >>> for x, y in [([3, 1], [4.0]), ([2, 2], [3.5]), ([1, 3], [2.0])]:
    ...     online_update(state, np.array(x, np.float16), np.array(y), group, signal="loss")
    >>> online_scores(state, group).round(4)
    array([ 0.9608, -0.9608], dtype=float32)
    """
    own = _signal(state)
    if check_signal(signal) != own:
        raise ArgumentValueError(f"signal must be that of the state, {own!r}, got {signal!r}")
    num_samples = _num_samples(state)
    on_device = _is_on_device(state)
    losses = check_train_losses(train_losses, num_samples, on_device=on_device)
    if isinstance(state, float64_reference.OnlineMoments):
        float64_reference.online_update(state, losses, references, groups, signal=signal)
        return
    step = references if isinstance(references, ReferenceStep) else _step(state, references)
    if step.before is not state.references:
        raise ArgumentValueError(
            "references must continue those of the state: a step from its own moments, got one "
            f"from {step.before.checkpoints} checkpoints, not the same as its "
            f"{state.references.checkpoints}"
        )
    if on_device:
        from ltc_kernels.gpu import checks
        from ltc_kernels.gpu import online as gpu_online

        device = state.words.device
        tensor = checks.check_groups("groups", groups, num_samples, len(step.terms), device)
        gpu_online.update(state, checks.to_device(losses, device), step, tensor)
        return
    group = check_groups("groups", groups, num_samples, len(step.terms))
    from ltc_kernels.cpu import online

    online.update(state, losses, step, group)


def online_scores(state: Any, groups: Any) -> Any:
    """Correlations over the checkpoints so far.

    Parameters
    ----------
    state : OnlineState, or `ltc_kernels.reference.OnlineMoments`
        After any number of updates.
    groups : array of integers, shape (N,)
        As in `online_update`.

    Returns
    -------
    array of float32, shape (N,)
        What `group_correlation` gives for the same losses, within 1e-5; a tensor on the device of
        the state if it has one.

    Raises
    ------
    ArgumentValueError, ArgumentTypeError
        Groups that don't fit the state.
    """
    _signal(state)
    if isinstance(state, float64_reference.OnlineMoments):
        return float64_reference.online_scores(state)
    num_groups = len(state.references.last)
    if _is_on_device(state):
        from ltc_kernels.gpu import checks
        from ltc_kernels.gpu import online as gpu_online

        device = state.words.device
        tensor = checks.check_groups("groups", groups, state.num_samples, num_groups, device)
        return gpu_online.scores(state, tensor)
    group = check_groups("groups", groups, state.num_samples, num_groups)
    from ltc_kernels.cpu import online

    return online.scores(state, group)


def _signal(state: Any) -> Signal:
    if isinstance(state, float64_reference.OnlineMoments):
        return check_signal(state.signal)
    if isinstance(state, OnlineState):
        return state.references.signal
    raise ArgumentTypeError(f"state must come from online_state, got {type(state).__name__}")


def _is_on_device(state: Any) -> bool:
    return isinstance(state, OnlineState) and is_tensor(state.words)


def _num_samples(state: Any) -> int:
    return len(state.count) if hasattr(state, "count") else int(state.num_samples)


def _step(state: OnlineState, references: Any) -> ReferenceStep:
    values = np.asarray(references.cpu() if is_tensor(references) else references)
    if values.shape != state.references.last.shape:
        raise ArgumentValueError(
            f"references must have shape {state.references.last.shape}, one per group, got "
            f"{values.shape}"
        )
    if values.dtype.kind != "f":
        raise ArgumentTypeError(f"references must be floats, got {values.dtype}")
    return state.references.step(values)
