"""What a run will take, before any work: bytes, memory and seconds, from rates measured here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.rates import SEARCHED
from ltc.score_pass import BYTES_PER_SAMPLE, WORKSPACE
from ltc.store.format import CHUNK_SAMPLES
from ltc.tables import columns, counted
from ltc.tiles import BUFFERS, ROW_PADDING, Tiling, parse_memory, plan_tiling
from ltc_kernels import thread_count

if TYPE_CHECKING:
    from ltc.rates import Rates

__all__ = ["Plan", "plan_run", "plan_table"]

CHECKSUM: Final = 4  # bytes of each chunk
METADATA: Final = 100_000  # bytes: JSON documents, and the small arrays of commits
RECORDED: Final = 8  # bytes per sample that a recorder holds
ONLINE: Final = 20  # bytes per training sample of an OnlineScorer,
ONLINE_WITH_GAPS: Final = 36  # once losses are missing
RESULT: Final = 12  # bytes per training sample of scores, labels and ids
NEIGHBOURS: Final = 256 * 10**6  # bytes of a search at most, beside its result
MEMORY_LIMIT: Final = "512MB"  # that of `score` by default


@dataclass(frozen=True)
class Plan:
    """What a run will take.

    Attributes
    ----------
    num_train, num_val, num_checkpoints : int
        Its size.
    store : int
        Bytes of the store, uncompressed.
    recording, scoring, online, online_with_gaps, neighbors : int
        Bytes of memory beside the process itself: of a `Recorder`, of `score` with the default
        limit, of an `OnlineScorer`, of `neighbors` of all validation samples.
    commit, commits, score, all_neighbors : float
        Seconds: one commit, all of them, scoring, neighbours of all validation samples among all
        training samples.
    """

    num_train: int
    num_val: int
    num_checkpoints: int
    store: int
    recording: int
    scoring: int
    online: int
    online_with_gaps: int
    neighbors: int
    commit: float
    commits: float
    score: float
    all_neighbors: float


def plan_run(num_train: int, num_val: int, num_checkpoints: int, rates: Rates) -> Plan:
    """Work out what a run of this size will take.

    Parameters
    ----------
    num_train, num_val, num_checkpoints : int
        N, M and T.
    rates : Rates
        From `ltc.rates.measure_rates`, for the same number of checkpoints.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        A size is no integer, or less than 1.

    Examples
    --------
    >>> from ltc.rates import Rates
    >>> rates = Rates(0.01, 1e-8, 0.01, 1e-9, 1e-9, 0.01, 4e-7, 4e-5, 1e-9, 1e-8)
    >>> plan = plan_run(1_281_167, 12_800, 90, rates)
    >>> plan.store
    243629864
    >>> round(plan.score, 3), round(plan.all_neighbors, 1)
    (0.127, 17.6)
    """
    check_sizes(num_train, num_val, num_checkpoints)
    commit = rates.commit + rates.commit_sample * (num_train + num_val)
    scoring = rates.score + num_train * (rates.score_sample + num_checkpoints * rates.score_loss)
    search = search_seconds(num_train, num_val, rates)
    return Plan(
        num_train=num_train,
        num_val=num_val,
        num_checkpoints=num_checkpoints,
        store=sum(split_bytes(size, num_checkpoints) for size in (num_train, num_val)) + METADATA,
        recording=RECORDED * (num_train + num_val),
        scoring=_scoring_bytes(num_train, num_checkpoints),
        online=ONLINE * num_train,
        online_with_gaps=ONLINE_WITH_GAPS * num_train,
        neighbors=NEIGHBOURS + 2 * SEARCHED * (4 + 8) * num_val,
        commit=commit,
        commits=num_checkpoints * commit,
        score=scoring,
        all_neighbors=scoring + search,  # both read the store once
    )


def plan_table(plan: Plan) -> str:
    """Describe a plan, at most 80 columns wide.

    Parameters
    ----------
    plan : Plan
        From `plan_run`.
    """
    size = (
        f"{plan.num_train:,} train, {plan.num_val:,} val, "
        f"{counted(plan.num_checkpoints, 'checkpoint')}"
    )
    rows = [
        ("", "memory", "time"),
        ("one commit", format_bytes(plan.recording), format_seconds(plan.commit)),
        ("all commits", "", format_seconds(plan.commits)),
        ("score", format_bytes(plan.scoring), format_seconds(plan.score)),
        ("neighbors, all of val", format_bytes(plan.neighbors), format_seconds(plan.all_neighbors)),
        ("OnlineScorer, in place of a store", format_bytes(plan.online), ""),
        ("  with losses missing", format_bytes(plan.online_with_gaps), ""),
    ]
    return "\n".join(
        [
            *columns([("run", size), ("store", format_bytes(plan.store))], "<<"),
            "",
            *columns(rows, "<>>"),
            "",
            "Estimates. Times come from small runs on this machine just now, with files in",
            "its cache, and hold to a factor of 2 where nothing else runs. Memory is beside",
            "that of the libraries.",
        ]
    )


def search_seconds(num_train: int, num_val: int, rates: Rates) -> float:
    """Return what a search for neighbours of all queries takes beside reading the store."""
    fixed = rates.search + num_val * rates.search_query
    return fixed + num_train * (rates.search_sample + num_val * rates.search_pair)


def check_sizes(num_train: object, num_val: object, num_checkpoints: object) -> None:
    """Check that sizes are integers, and at least 1.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        One isn't.
    """
    sizes = {"num_train": num_train, "num_val": num_val, "num_checkpoints": num_checkpoints}
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int):
            raise ArgumentTypeError(f"{name} must be an integer, got {size!r}")
        if size < 1:
            raise ArgumentValueError(f"{name} must be at least 1, got {size}")


def split_bytes(size: int, num_checkpoints: int) -> int:
    """Losses, labels and checksums of a split; the last chunk of a row is as long as the others."""
    width = min(size, CHUNK_SAMPLES)
    chunks = -(-size // width)
    return chunks * (num_checkpoints * (2 * width + CHECKSUM) + 4 * width + CHECKSUM)


def task_bytes(num_train: int, num_checkpoints: int) -> int:
    """Return the bytes of a task that scores losses which come from afar, in whole chunks."""
    return _tile_bytes(_task_tiling(num_train, num_checkpoints), num_checkpoints) + WORKSPACE


def task_width(num_train: int, num_checkpoints: int) -> int:
    """Return the samples of a tile of such a task."""
    return _task_tiling(num_train, num_checkpoints).width


def _task_tiling(num_train: int, num_checkpoints: int) -> Tiling:
    return _tiling(num_train, num_checkpoints, threads=1)


def _scoring_bytes(num_train: int, num_checkpoints: int) -> int:
    """A tile for each thread, what the kernel makes of it, and the result."""
    tiling = _tiling(num_train, num_checkpoints, threads=thread_count())
    return _tile_bytes(tiling, num_checkpoints) + RESULT * num_train


def _tiling(num_train: int, num_checkpoints: int, *, threads: int) -> Tiling:
    return plan_tiling(
        num_train,
        CHUNK_SAMPLES,
        num_checkpoints,
        threads=threads,
        memory=parse_memory(MEMORY_LIMIT) - WORKSPACE,
        per_sample=BYTES_PER_SAMPLE,
    )


def _tile_bytes(tiling: Tiling, num_checkpoints: int) -> int:
    buffers = tiling.threads if tiling.threads > 1 else BUFFERS
    tiles = buffers * 2 * num_checkpoints * (tiling.width + ROW_PADDING)
    return tiles + tiling.threads * BYTES_PER_SAMPLE * tiling.width


def format_bytes(number: float) -> str:
    """Return bytes with a unit.

    Examples
    --------
    >>> format_bytes(999), format_bytes(238_093_788), format_bytes(4.2e12)
    ('999 B', '238 MB', '4.2 TB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def format_seconds(number: float) -> str:
    """Return a duration with a unit.

    Examples
    --------
    >>> format_seconds(0.0042), format_seconds(12.34), format_seconds(400), format_seconds(2e5)
    ('4.2 ms', '12 s', '6.7 min', '2.3 d')
    """
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if number >= (1 if unit == "s" else 2) * size:
            return f"{float(f'{number / size:.2g}'):g} {unit}"
    return f"{float(f'{1000 * number:.2g}'):g} ms"
