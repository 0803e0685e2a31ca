"""The public kernels: check arguments, pick the implementation by the arrays' device, run it."""

from typing import Any

import numpy as np

from ltc_kernels import reference as float64_reference
from ltc_kernels.algebra import PreparedPairs, PreparedReferences, prepare_references
from ltc_kernels.backends import as_numpy, choose
from ltc_kernels.checks import check_groups, check_losses, check_references, check_signal
from ltc_kernels.errors import ArgumentValueError


def group_correlation(
    losses: Any, references: Any, groups: Any, *, signal: str, backend: str = "auto"
) -> Any:
    """Pearson correlation of each trajectory's signal with that of its group's reference.

    One pass over the losses; see arXiv 2503.09721 (on losses) and arXiv 2508.20230 (on
    differences).

    Parameters
    ----------
    losses : array of float16 or float32, shape (T, N)
        Training trajectories, checkpoint-major, in the units of the loss; not finite means missing.
        NumPy array or torch tensor.
    references : array of floats, shape (C, T), or PreparedReferences
        One reference trajectory per group; `prepare_references` saves repeating the preparation.
    groups : array of integers, shape (N,)
        Group of each sample, 0..C-1.
    signal : {"loss", "difference"}
        Correlate the losses or their consecutive differences.
    backend : {"auto", "reference", "cpu", "gpu"}
        ``"auto"`` picks by the device of ``losses``: ``"gpu"`` for torch tensors on a CUDA or ROCm
        device, else ``"cpu"``. ``"reference"`` is the slow definition in float64.

    Returns
    -------
    array of float32, shape (N,)
        As ``losses``: an array or a tensor on the same device. NaN where fewer than three values
        are common, or where either side doesn't vary. Within 1e-5 of the float64 definition.

    Raises
    ------
    ArgumentValueError
        A shape or a group that doesn't fit, or an unknown signal or backend.
    ArgumentTypeError
        A dtype other than those above.
    BackendUnavailableError
        The arrays lie on a device that no backend here serves.

    Examples
    --------
    >>> losses = np.array([[3, 1], [2, 2], [1, 3]], dtype=np.float16)
    >>> references = np.array([[4.0, 3.5, 2.0]])
    >>> group_correlation(losses, references, np.array([0, 0]), signal="loss").round(3)
    array([ 0.961, -0.961], dtype=float32)
    """
    implementation = choose(backend, losses)
    if implementation == "gpu":
        return _group_correlation_on_gpu(losses, references, groups, signal)
    train, restore = as_numpy(losses)
    train = check_losses("losses", train)
    if not isinstance(references, PreparedReferences):
        values = check_references(as_numpy(references)[0], len(train))
        references = prepare_references(values, signal=check_signal(signal))
    _same_problem("references", references, train, signal)
    trajectories = references.trajectories
    group = check_groups("groups", as_numpy(groups)[0], train.shape[1], len(trajectories))
    if implementation == "reference":
        scores = float64_reference.group_correlation(train, trajectories, group, signal=signal)
        return restore(scores)
    from ltc_kernels import cpu

    return restore(cpu.group_correlation(train, references, group))


def pair_sums(
    losses: Any, pairs: PreparedPairs, groups: Any, *, backend: str = "auto"
) -> tuple[Any, Any]:
    """Sum and number of the defined correlations with every validation sample of the same group.

    Parameters
    ----------
    losses : array of float16 or float32, shape (T, N)
        Training trajectories; not finite means missing. NumPy array or torch tensor.
    pairs : PreparedPairs
        The validation samples, from `prepare_pairs`.
    groups : array of integers, shape (N,)
        Group of each training sample, 0..C-1.
    backend : {"auto", "reference", "cpu", "gpu"}
        As in `group_correlation`.

    Returns
    -------
    sums : array of float64, shape (N,)
    counts : array of int64, shape (N,)
        Their quotient is the mean correlation; a count of 0 means that none is defined.

    Raises
    ------
    ArgumentValueError, ArgumentTypeError, BackendUnavailableError
        As in `group_correlation`.

    Examples
    --------
    >>> from ltc_kernels import prepare_pairs
    >>> losses = np.array([[3, 1], [2, 2], [1, 3]], dtype=np.float16)
    >>> pairs = prepare_pairs(losses, np.array([0, 0]), 1, signal="loss")
    >>> pair_sums(losses, pairs, np.array([0, 0]))
    (array([0., 0.]), array([2, 2]))
    """
    implementation = choose(backend, losses)
    num_groups = len(pairs.counts)
    if implementation == "gpu":
        from ltc_kernels import gpu
        from ltc_kernels.gpu import checks

        tensor = checks.check_losses("losses", losses)
        _same_problem("pairs", pairs, tensor, pairs.signal)
        of_each = checks.check_groups("groups", groups, tensor.shape[1], num_groups, tensor.device)
        return gpu.pair_sums(tensor, pairs, of_each)
    train, restore = as_numpy(losses)
    train = check_losses("losses", train)
    _same_problem("pairs", pairs, train, pairs.signal)
    group = check_groups("groups", as_numpy(groups)[0], train.shape[1], num_groups)
    if implementation == "reference":
        val_groups = np.repeat(np.arange(num_groups), np.diff(pairs.starts))
        sums, counts = float64_reference.pair_sums(
            train, group, pairs.trajectories.T, val_groups, signal=pairs.signal
        )
        return restore(sums), restore(counts)
    from ltc_kernels import cpu

    sums, counts = cpu.pair_sums(train, pairs, group)
    return restore(sums), restore(counts)


def count_missing(losses: Any, *, backend: str = "auto") -> int:
    """Count the losses that aren't finite, which is what missing means.

    Parameters
    ----------
    losses : array of float16 or float32, shape (T, N)
        Trajectories; NumPy array or torch tensor.
    backend : {"auto", "reference", "cpu", "gpu"}
        As in `group_correlation`.

    Returns
    -------
    int

    Raises
    ------
    ArgumentValueError, ArgumentTypeError, BackendUnavailableError
        As in `group_correlation`.

    Examples
    --------
    >>> count_missing(np.array([[1, np.nan], [np.inf, 2]], dtype=np.float16))
    2
    """
    implementation = choose(backend, losses)
    if implementation == "gpu":
        from ltc_kernels import gpu
        from ltc_kernels.gpu.checks import check_losses as check_tensor

        return gpu.count_missing(check_tensor("losses", losses))
    array = check_losses("losses", as_numpy(losses)[0])
    if implementation == "reference":
        return float64_reference.count_missing(array)
    from ltc_kernels import cpu

    return cpu.count_missing(array)


def _group_correlation_on_gpu(losses: Any, references: Any, groups: Any, signal: str) -> Any:
    from ltc_kernels import gpu
    from ltc_kernels.gpu import checks

    train = checks.check_losses("losses", losses)
    if not isinstance(references, PreparedReferences):
        values = check_references(checks.host_array(references), len(train))
        references = prepare_references(values, signal=check_signal(signal))
    _same_problem("references", references, train, signal)
    num_groups = len(references.trajectories)
    group = checks.check_groups("groups", groups, train.shape[1], num_groups, train.device)
    return gpu.group_correlation(train, references, group)


def _same_problem(
    name: str, prepared: PreparedReferences | PreparedPairs, losses: Any, signal: str
) -> None:
    if prepared.signal != signal:
        raise ArgumentValueError(
            f"{name} must be prepared for signal {signal!r}, got {prepared.signal!r}"
        )
    if prepared.trajectories.shape[1] != len(losses):
        raise ArgumentValueError(
            f"{name} must have as many checkpoints as losses, {len(losses)}, "
            f"got {prepared.trajectories.shape[1]}"
        )
