"""Formats of the losses: size, writing and reading, of codecs and of chunk sizes.

The same encoder and reader as a store's, on recorded losses: those of a small network on
handwritten digits, repeated up to the size and scaled sample by sample, so that no two repetitions
are the same bytes.
"""

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zarr.storage import LocalStore

from benchmarks import inputs, recorded
from benchmarks.results import Table
from benchmarks.timing import Timing, measure
from ltc.store.encoding import Encoder, encode
from ltc.store.format import array_documents
from ltc.store.header import Header
from ltc.store.pipeline import ArrayReader
from ltc.tiles import ROW_PADDING, tile_width

PATH = "train/losses"
CHECKPOINTS = 10  # that are written, spread over all that are recorded
MEMORY = 470 * 10**6  # bytes for tiles, about what `score` has by default
CHECKSUM = {"name": "crc32c"}
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def _blosc(compressor: str, level: int) -> dict[str, Any]:
    settings = {"cname": compressor, "clevel": level, "shuffle": "bitshuffle"}
    return {"name": "blosc", "configuration": settings | {"typesize": 2, "blocksize": 0}}


ZSTD = {"name": "zstd", "configuration": {"level": 3, "checksum": False}}
FORMATS: dict[str, list[dict[str, Any]]] = {
    "none (default)": [BYTES, CHECKSUM],
    'compression="zstd"': [BYTES, ZSTD, CHECKSUM],
    "blosc: bitshuffle, lz4": [BYTES, _blosc("lz4", 5), CHECKSUM],
    "blosc: bitshuffle, zstd": [BYTES, _blosc("zstd", 3), CHECKSUM],
}
CHUNKS = (65_536, 131_072, 262_144, 524_288, 1_048_576)
DEFAULT_CHUNK = 262_144


def losses(size: inputs.Size) -> NDArray[np.float16]:
    """Recorded losses of some of the checkpoints, of as many samples as asked for; [T, N]."""
    picked = np.linspace(0, size.checkpoints - 1, CHECKPOINTS).round().astype(int)
    digits = recorded.digits(size.checkpoints)[picked].astype(np.float32)
    scale = np.random.default_rng(0).uniform(0.8, 1.25, size.train).astype(np.float32)
    columns = np.arange(size.train) % digits.shape[1]
    return np.stack([(row[columns] * scale).astype(np.float16) for row in digits])


class Case:
    """An array of losses in one format: written to a folder, and read back in tiles."""

    def __init__(self, folder: Path, size: inputs.Size, codecs: list[Any], chunk: int) -> None:
        header = Header(
            committed=CHECKPOINTS,
            num_train=size.train,
            num_val=1,
            num_groups=None,
            train_ids=None,
            val_ids=None,
            compression=None,
            chunk_samples=chunk,
            revision="",
        )
        self.document = array_documents(header)[PATH] | {"codecs": codecs}
        self.folder = folder
        self.width = tile_width(size.train, chunk, size.checkpoints, memory=MEMORY, per_sample=160)
        self.num_train = size.train
        # As many rows as a run has: each of those written several times, from the file cache.
        self.rows = [t % CHECKPOINTS for t in range(size.checkpoints)]

    def write(self, rows: NDArray[np.float16]) -> None:
        """Encode and write every row."""
        shutil.rmtree(self.folder, ignore_errors=True)
        encoder = Encoder(PATH, self.document)
        for t, row in enumerate(rows):
            for key, data in encode([(encoder, row[None])], t):
                place = self.folder / key
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data.as_numpy_array().data)

    def read(self, out: NDArray[np.float16] | None = None) -> None:
        """Read all samples tile by tile, as `score` does; into ``out`` if it is given."""
        reader = ArrayReader(LocalStore(self.folder), PATH, self.document, self.document)
        tile = np.empty((len(self.rows), self.width + ROW_PADDING), np.float16)
        for begin in range(0, self.num_train, self.width):
            end = min(begin + self.width, self.num_train)
            part = tile[:, : end - begin]
            for first in range(0, len(self.rows), CHECKPOINTS):  # a store has each row once
                last = min(first + CHECKPOINTS, len(self.rows))
                reader.read_rows(self.rows[first:last], slice(begin, end), part[first:last])
            if out is not None:
                out[:, begin:end] = part[: len(out)]

    @property
    def nbytes(self) -> int:
        """Bytes of the chunks."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())


def run(size_name: str = "imagenet-1k", rounds: int = 5) -> list[Table]:
    """Measure every codec, and every chunk size without compression, in turns."""
    size = inputs.SIZES[size_name]
    rows = losses(size)
    chunk = min(DEFAULT_CHUNK, size.train)
    with tempfile.TemporaryDirectory() as folder:
        names: list[Any] = [*FORMATS, *CHUNKS]
        cases = {
            name: Case(
                Path(folder, str(number)),
                size,
                FORMATS.get(name, FORMATS["none (default)"]),
                min(name, size.train) if name in CHUNKS else chunk,
            )
            for number, name in enumerate(names)
        }
        calls: dict[Any, Any] = {}
        for name, case in cases.items():
            case.write(rows)
            _check(case, rows)
            calls["write", name] = lambda case=case: case.write(rows)  # type: ignore[misc]
            calls["read", name] = case.read
        timings = measure(calls, rounds=rounds)
        formats, chunks = (
            Table(
                f"{title}, {size.train:,} samples, a checkpoint",
                [column, "size", "of float16", "write", "read", "read, over the default's"],
            )
            for title, column in (("Codecs of the losses", "codec"), ("Chunk sizes", "samples"))
        )
        for name, table in itertools.chain(
            zip(FORMATS, itertools.repeat(formats)), zip(CHUNKS, itertools.repeat(chunks))
        ):
            default: Any = DEFAULT_CHUNK if table is chunks else "none (default)"
            read = timings["read", name]
            table.add(
                f"{name:,}" if isinstance(name, int) else name,
                f"{cases[name].nbytes / CHECKPOINTS / 1e6:.3g} MB",
                f"{cases[name].nbytes / rows.nbytes:.2f}",
                _each(timings["write", name], CHECKPOINTS),
                _each(read, size.checkpoints),
                f"{read.median / timings['read', default].median:.2f}",
            )
    formats.note(
        "Losses hardly compress: nearly all of their bits are noise. So the default is none: "
        "uncompressed chunks are read straight into place."
    )
    formats.note(
        "Losses of a small network on handwritten digits, repeated and scaled sample by sample; "
        f"the mean of {CHECKPOINTS} checkpoints from first to last, the file cache warm."
    )
    chunks.note(
        "The default, 262,144: smaller chunks take longer, larger ones waste what the last lacks."
    )
    chunks.note(
        "Without compression. The last chunk of a row is as long as the others. Tiles as ltc.score "
        "makes them within its default memory."
    )
    return [formats, chunks]


def _each(timing: Timing, checkpoints: int) -> str:
    return str(Timing(tuple(seconds / checkpoints for seconds in timing.seconds)))


def _check(case: Case, rows: NDArray[np.float16]) -> None:
    """No timing of a wrong result."""
    read = np.full_like(rows[: len(case.rows)], np.nan)
    case.read(read)
    np.testing.assert_array_equal(read, rows[: len(read)])
