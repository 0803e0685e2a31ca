"""What every test and every example in a docstring has at hand."""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

# Benchmarks run as tests too. The checkout comes last, so that `ltc` is the installed one.
sys.path.append(str(Path(__file__).parent))

if find_spec("triton") is None:  # which has wheels for Linux only
    collect_ignore_glob = ["ltc_kernels/gpu/*", "*/ltc_kernels/gpu/*"]  # the checkout, the wheel


@pytest.fixture(autouse=True)
def _example_directory(request, doctest_namespace, tmp_path_factory):
    """Give the examples in docstrings NumPy as `np`, and a fresh folder, `directory`."""
    if isinstance(request.node, pytest.DoctestItem):
        doctest_namespace["np"] = np
        doctest_namespace["directory"] = tmp_path_factory.mktemp("example")
