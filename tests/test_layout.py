"""Who may import whom, what is imported when, and which names are public."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ltc
import ltc_kernels

ROOT = Path(__file__).parent.parent
# What each part may import of the others.
ALLOWED = {
    "ltc_kernels": {"ltc_kernels"},
    "ltc": {"ltc", "ltc_kernels"},
    "benchmarks": {"benchmarks", "ltc", "ltc_kernels"},
}
LTC_NAMES = [
    "Coreset",
    "CoresetBlocks",
    "IndexedDataset",
    "LtcError",
    "Neighbors",
    "OnlineScorer",
    "Recorder",
    "Scores",
    "Stability",
    "Store",
    "ValidationQuality",
    "clusters",
    "correlation",
    "difficulty",
    "import_losses",
    "load_scores",
    "neighbors",
    "open_store",
    "record_checkpoints",
    "report",
    "score",
    "select",
    "stability",
    "validation_quality",
    "write_store",
]
KERNEL_NAMES = [
    "ArgumentIndexError",
    "ArgumentTypeError",
    "ArgumentValueError",
    "BackendUnavailableError",
    "LtcError",
    "OnlineState",
    "PairSearch",
    "PreparedPairs",
    "PreparedReferences",
    "ReferenceMoments",
    "ReferenceStep",
    "add_group_sums",
    "as_this_thread",
    "count_missing",
    "difficulty",
    "group_correlation",
    "nearest_centres",
    "online_scores",
    "online_state",
    "online_update",
    "pair_correlation",
    "pair_sums",
    "pair_topk",
    "prepare_pairs",
    "prepare_references",
    "query_slices",
    "round_losses",
    "thread_count",
    "work_alone",
    "working_alone",
]


def imported(path):
    """Names of the top-level packages that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_go_one_way(package):
    own = {"ltc", "ltc_kernels", "benchmarks", "tests", "kernels", "assertions"}
    files = sorted((ROOT / package).rglob("*.py"))
    assert len(files) > 5
    for path in files:
        assert set(imported(path)) & own <= ALLOWED[package], path


def test_kernels_know_no_files():
    for path in (ROOT / "ltc_kernels").rglob("*.py"):
        assert "zarr" not in set(imported(path)), path


def loaded(code):
    """Which modules a fresh interpreter holds after running the code."""
    ending = "\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code + ending], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_import_ltc_is_light():
    modules = loaded("import ltc")
    assert "zarr" in modules
    assert not modules & {"torch", "triton", "numba", "matplotlib", "sklearn", "pandas", "bokeh"}


def test_scoring_on_the_cpu_imports_neither_torch_nor_triton(tmp_path):
    losses = np.random.default_rng(0).random((5, 4))
    ltc.write_store(tmp_path / "r.zarr", losses, losses, train_labels=[0] * 4, val_labels=[0] * 4)
    command = f"""
import contextlib, io
from ltc.cli import main
with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
    main(["score", {str(tmp_path / "r.zarr")!r}])
assert "difference" in printed.getvalue(), printed.getvalue()
"""
    modules = loaded(command)
    assert "numba" in modules
    assert not modules & {"torch", "triton", "matplotlib", "sklearn"}


def test_public_names():
    assert ltc.__all__ == LTC_NAMES == sorted(LTC_NAMES)
    assert ltc_kernels.__all__ == KERNEL_NAMES == sorted(KERNEL_NAMES)
    for package in (ltc, ltc_kernels):
        for name in package.__all__:
            assert getattr(package, name).__doc__, name


def test_no_public_name_is_that_of_a_package():
    """`import ltc.report.page as page` would look for it in the function."""
    folders = {path.parent.name for path in Path(ltc.__file__).parent.glob("*/__init__.py")}
    assert {"reporting", "selection", "store"} <= folders
    assert not folders & set(ltc.__all__)


def test_a_report_is_a_function_whatever_was_imported():
    code = "import ltc, ltc.reporting, ltc.reporting.arguments as arguments, types\n"
    loaded(code + "assert isinstance(ltc.report, types.FunctionType), ltc.report")


def test_the_installed_packages_are_tested():
    """Nothing may depend on the checkout being the current directory."""
    for package in (ltc, ltc_kernels):
        assert (Path(package.__file__).parent / "py.typed").exists()


def test_files_stay_readable():
    for package in ALLOWED:
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 400, path
