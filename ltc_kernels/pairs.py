"""The public kernels for pairs: every training sample with every validation sample."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ltc_kernels import reference as float64_reference
from ltc_kernels.algebra import Signal
from ltc_kernels.backends import as_numpy, choose, is_tensor
from ltc_kernels.checks import check_k, check_losses, check_pair, check_samples, check_signal
from ltc_kernels.errors import ArgumentValueError

Ends = Literal["largest", "smallest", "both"]
ENDS: Final[tuple[str, ...]] = get_args(Ends)
QUERY_BYTES: Final = 32 * 2**20  # of the queries of one search, in float32
FOUND_BYTES: Final = 64 * 2**20  # of what one search holds for results, before they are copied


def pair_correlation(train: Any, val: Any, *, signal: str, backend: str = "auto") -> Any:
    """Pearson correlation of every training sample with every validation sample.

    Parameters
    ----------
    train, val : array of float16 or float32, shapes (T, N) and (T, M)
        Trajectories, checkpoint-major, in the units of the loss; not finite means missing. NumPy
        arrays or torch tensors.
    signal : {"loss", "difference"}
        Correlate the losses or their consecutive differences.
    backend : {"auto", "reference", "cpu", "gpu"}
        ``"auto"`` picks by the device of ``train``; ``"reference"`` is the slow definition in
        float64.

    Returns
    -------
    array of float32, shape (M, N)
        On the device of ``train``. NaN where fewer than three values are common, or where either
        side doesn't vary. Within 1e-5 of the float64 definition. Takes less than 200 MB beside
        that. On a GPU, rows begin at multiples of 64 elements.

    Raises
    ------
    ArgumentValueError
        A shape that doesn't fit, or an unknown signal or backend.
    ArgumentTypeError
        A dtype other than those above.
    BackendUnavailableError
        The arrays lie on a device that no backend here serves.

    Examples
    --------
    >>> losses = np.array([[3, 1], [2, 2], [1, 3]], dtype=np.float16)
    >>> pair_correlation(losses, losses[:, :1], signal="loss").round(3)
    array([[ 1., -1.]], dtype=float32)
    """
    implementation = choose(backend, train)
    checked = check_signal(signal)
    if implementation == "gpu":
        from ltc_kernels import gpu
        from ltc_kernels.gpu.checks import check_pair as check_tensors

        return gpu.pair_correlation(*check_tensors(train, val), signal=checked)
    samples, restore = as_numpy(train)
    samples, queries = check_pair(samples, as_numpy(val)[0])
    if implementation == "reference":
        return restore(float64_reference.pair_correlation(samples, queries, signal=checked))
    from ltc_kernels.cpu.pairs import pair_correlation

    out = np.empty((queries.shape[1], samples.shape[1]), dtype=np.float32)
    for some in query_slices(queries):
        pair_correlation(samples, queries[:, some], out[some], signal=checked)
    return restore(out)


def pair_topk(
    train: Any, val: Any, k: int, *, signal: str, largest: bool = True, backend: str = "auto"
) -> tuple[Any, Any]:
    """The k training samples that correlate best with each validation sample: exact neighbours.

    Parameters
    ----------
    train, val : array of float16 or float32, shapes (T, N) and (T, M)
        Trajectories, checkpoint-major, in the units of the loss; not finite means missing. NumPy
        arrays or torch tensors.
    k : int
        How many, 1..1024.
    signal : {"loss", "difference"}
        Correlate the losses or their consecutive differences.
    largest : bool
        Look for the largest correlations, or for the smallest: the most conflicting samples.
    backend : {"auto", "reference", "cpu", "gpu"}
        As in `pair_correlation`.

    Returns
    -------
    values : array of float32, shape (M, k)
        Best first, equal ones by index; NaN where fewer than k correlations are defined. Within
        1e-5 of the float64 definition, and the same bits however the work is divided.
    indices : array of int64, shape (M, k)
        The training samples; -1 where there are fewer. Takes less than 200 MB beside these.

    Raises
    ------
    ArgumentValueError, ArgumentTypeError, BackendUnavailableError
        As in `pair_correlation`, or k out of its range.

    Examples
    --------
    >>> train = np.array([[3, 1, 3, 2], [2, 2, 1, 2], [1, 3, 1, 2]], dtype=np.float16)
    >>> values, indices = pair_topk(train, train[:, :1], 4, signal="loss")
    >>> indices, values.round(3)
    (array([[ 0,  2,  1, -1]]), array([[ 1.   ,  0.866, -1.   ,    nan]], dtype=float32))
    """
    implementation = choose(backend, train)
    checked, size = check_signal(signal), check_k(k)
    ends: Ends = "largest" if largest else "smallest"
    if implementation == "gpu":
        from ltc_kernels import gpu
        from ltc_kernels.gpu.checks import check_pair as check_tensors

        return gpu.pair_topk(*check_tensors(train, val), size, signal=checked, largest=largest)
    samples, restore = as_numpy(train)
    samples, queries = check_pair(samples, as_numpy(val)[0])
    shape = (queries.shape[1], size)
    values, indices = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int64)
    for some in query_slices(queries, size):
        search = PairSearch(
            queries[:, some], size, signal=checked, ends=ends, backend=implementation
        )
        search.add(samples)
        ((values[some], indices[some]),) = search.results()
    return restore(values), restore(indices)


class PairSearch:
    """`pair_topk` of training samples that come in parts, at one end or at both.

    Parameters
    ----------
    val : array of float16 or float32, shape (T, M)
        The queries: a NumPy array or a torch tensor, on the device of the search. `query_slices`
        divides more of them than should be in memory at once.
    k : int
        How many of each end, 1..1024.
    signal : {"loss", "difference"}
        Correlate the losses or their consecutive differences.
    ends : {"largest", "smallest", "both"}
        What to look for; both cost hardly more than one.
    backend : {"auto", "reference", "cpu", "gpu"}
        ``"auto"`` picks by the device of ``val``; otherwise as in `pair_correlation`.

    Raises
    ------
    ArgumentValueError, ArgumentTypeError
        As in `pair_topk`, or an unknown end.

    Examples
    --------
    >>> losses = np.array([[3, 1, 3, 2], [2, 2, 1, 2], [1, 3, 1, 2]], dtype=np.float16)
    >>> search = PairSearch(losses[:, :1], 1, signal="loss", ends="both")
    >>> search.add(losses[:, :3], np.array([10, 11, 12]))
    >>> search.add(losses[:, 3:], np.array([20]))
    >>> [indices for _, indices in search.results()]
    [array([[10]]), array([[11]])]
    """

    def __init__(
        self, val: Any, k: int, *, signal: str, ends: Ends = "both", backend: str = "auto"
    ) -> None:
        if ends not in ENDS:
            raise ArgumentValueError(f"ends must be one of {', '.join(ENDS)}, got {ends!r}")
        implementation = choose(backend, val)
        size, checked = check_k(k), check_signal(signal)
        signs = {"largest": (1,), "smallest": (-1,), "both": (1, -1)}[ends]
        self._last = -1
        self._check: Callable[[str, Any], Any] = check_losses
        self._restore: Callable[[Any], Any] = lambda array: array
        if implementation == "gpu":
            from ltc_kernels import gpu
            from ltc_kernels.gpu.checks import losses_on

            self._check = partial(losses_on, val.device)
            queries = self._check("val", val)
            self._search: Any = gpu.PairSearch(queries, size, signal=checked, signs=signs)
        else:
            array, self._restore = as_numpy(val)
            queries = check_losses("val", array)
            if implementation == "reference":
                self._search = _ReferenceSearch(queries, size, checked, signs)
            else:
                from ltc_kernels.cpu.pairs import PairSearch

                self._search = PairSearch(queries, size, signal=checked, signs=signs)
        self._num_checkpoints = len(queries)

    def add(self, train: Any, samples: Any | None = None) -> None:
        """Take more training samples into account.

        Parameters
        ----------
        train : array of float16 or float32, shape (T, n)
            Their trajectories; on a GPU best as a tile, see `ltc_kernels.gpu.tiles`: others are
            copied.
        samples : array of integers, shape (n,), optional
            Their indices, ascending, and higher than all before; by default those that follow.

        Raises
        ------
        ArgumentValueError, ArgumentTypeError
            A shape, a dtype or an order that doesn't fit.
        """
        losses = self._check("train", train)
        if len(losses) != self._num_checkpoints:
            raise ArgumentValueError(
                f"train must have as many checkpoints as val, {self._num_checkpoints}, "
                f"got {len(losses)}"
            )
        if samples is None:
            samples = np.arange(self._last + 1, self._last + 1 + losses.shape[1])
        elif is_tensor(samples):
            samples = samples.detach().cpu().numpy()
        indices = check_samples(samples, losses.shape[1], self._last)
        if len(indices):
            self._search.add(losses, indices)
            self._last = int(indices[-1])

    def results(self) -> list[tuple[Any, Any]]:
        """Values and indices, shape (M, k), of each end, best first; to be called once, at last.

        Arrays of the kind of ``val``, and on its device.
        """
        found = self._search.results()
        return [(self._restore(values), self._restore(indices)) for values, indices in found]


def query_slices(val: Any, k: int = 0) -> Iterator[slice]:
    """Divide queries [T, M] into as many as one search, for ``k`` of both ends, should hold.

    Examples
    --------
    >>> list(query_slices(np.zeros((4096, 5000), np.float16)))
    [slice(0, 2048, None), slice(2048, 4096, None), slice(4096, 5000, None)]
    """
    step = QUERY_BYTES // (4 * max(len(val), 1))
    if k:
        step = min(step, FOUND_BYTES // (2 * (4 + 8) * k))  # a value and an index
    for begin in range(0, val.shape[1], max(step, 1)):
        yield slice(begin, min(begin + max(step, 1), val.shape[1]))


class _ReferenceSearch:
    """The definition, of everything that has been added."""

    def __init__(self, val: NDArray[Any], k: int, signal: Signal, signs: tuple[int, ...]) -> None:
        self._val, self._k, self._signal, self._signs = val, k, signal, signs
        self._parts: list[NDArray[Any]] = []
        self._samples: list[NDArray[np.int64]] = []

    def add(self, train: NDArray[Any], samples: NDArray[np.int64]) -> None:
        self._parts.append(train.copy())
        self._samples.append(samples)

    def results(self) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        train = np.concatenate([self._val[:, :0], *self._parts], axis=1)
        samples = np.concatenate([*self._samples, [-1]])  # where an index of -1 leads
        found = [
            float64_reference.pair_topk(
                train, self._val, self._k, signal=self._signal, largest=sign > 0
            )
            for sign in self._signs
        ]
        return [(values, samples[places]) for values, places in found]
