"""The wheel holds the checkout, its bounds are the tested ones, and a run without tests fails."""

import json
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from test_layout import imported

import ltc
import ltc_kernels

ROOT = Path(__file__).parent.parent
PACKAGES = (ltc, ltc_kernels)
# Tools of the tests and what benchmarks compare with have no lower bound: constraints.txt has the
# one version that is used.
TOOLS = {
    "Jinja2",
    "accelerate",
    "bokeh",
    "dask",
    "datasets",
    "dattri",
    "distributed",  # of users, but of one release for all of a cluster: no bound
    "faiss-cpu",
    "hypothesis",
    "lightning",
    "mypy",
    "pandas",
    "pyarrow",
    "pillow",
    "pytest",
    "pytest-benchmark",
    "ruff",
    "selenium",
    "tensorstore",
    "transformers",
    "types-tqdm",
    "webdataset",
    "xarray",
}
# Whoever imports the module of ltc.integrations that is named after one of these has it.
FRAMEWORKS = {"accelerate", "composer", "lightning", "transformers"}
# Taken where it happens to be, for clusters of GPUs; without it there is another way.
OPTIONAL = {"dask_cuda"}


@pytest.fixture
def installed():
    """The distribution, where it is a wheel."""
    found = distribution("ltc")
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        pytest.skip("the checkout itself is installed, as for development")
    return found


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for text in chain(project["dependencies"], *extras)]


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_the_wheel_is_tested_not_the_checkout(installed):
    for package in PACKAGES:
        path = Path(package.__file__)
        assert path == Path(installed.locate_file(package.__name__)) / "__init__.py"
        assert path.parent.parent != ROOT


def test_the_wheel_holds_every_module_as_it_is(installed):
    names = {str(path) for path in installed.files if path.parts[0] in ("ltc", "ltc_kernels")}
    names = {name for name in names if "__pycache__" not in name}
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package.__name__).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == sources
    assert {"ltc/py.typed", "ltc_kernels/py.typed"} <= names
    for name in names:
        assert Path(installed.locate_file(name)).read_bytes() == (ROOT / name).read_bytes(), name


def test_the_licence_travels_along(installed):
    (licence,) = [path for path in installed.files if path.name == "LICENSE"]
    assert licence.read_text() == (ROOT / "LICENSE").read_text()
    assert installed.metadata["License-Expression"] == "Apache-2.0"


def test_the_command_is_installed(installed):
    (script,) = installed.entry_points
    assert (script.name, script.value) == ("ltc", "ltc.cli:main")


def test_every_dependency_is_pinned():
    for requirement in requirements():
        assert requirement.specifier.contains(pins("constraints.txt")[requirement.name])


def test_every_import_is_a_dependency():
    """What another package happens to bring may be gone with its next version."""
    declared = {requirement.name for requirement in requirements()}
    providers = packages_distributions()
    # numba brings the one llvmlite that fits it; only the type checker sees typing_extensions.
    skipped = {*sys.stdlib_module_names, "ltc", "ltc_kernels", "llvmlite", "typing_extensions"}
    for package in PACKAGES:
        for path in (ROOT / package.__name__).rglob("*.py"):
            frameworks = FRAMEWORKS if path.parent.name == "integrations" else set()
            for name in set(imported(path)) - skipped - frameworks - OPTIONAL:
                # Of an extra that isn't installed here, the package goes by its own name.
                assert declared & set(providers.get(name, [name])), f"{path} imports {name}"


def test_lower_bounds_are_the_tested_ones():
    lowest = pins("constraints-lowest.txt")
    bounds = [each for each in requirements() if each.name not in TOOLS]
    assert len(bounds) > 8
    for requirement in bounds:
        (bound,) = requirement.specifier
        assert bound.operator == ">="
        assert f"{lowest[requirement.name]}.0".startswith(f"{bound.version}."), requirement


@pytest.mark.parametrize(
    ("report", "status"),
    [
        ('<testsuite tests="3" skipped="1" failures="0" errors="0"/>', 0),
        ('<testsuite tests="0" skipped="0" failures="0" errors="0"/>', 1),
        ('<testsuite tests="2" skipped="2" failures="0" errors="0"/>', 1),
        ('<testsuite tests="2" skipped="0" failures="1" errors="0"/>', 1),
        (None, 1),
    ],
)
def test_ci_fails_where_no_test_passed(tmp_path, report, status):
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "new").mkdir()
    if report is not None:
        for name in ("tests", "tests-interpreted", "tests-lowest", "tests-lowest-interpreted"):
            (tmp_path / "new" / f"{name}.xml").write_text(f"<testsuites>{report}</testsuites>")
    # An old report that says all is well must not count.
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "tests.xml").write_text('<testsuites><testsuite tests="9"/></testsuites>')
    (tmp_path / "Makefile").write_text("test:\n\tcp new/* build/ || true\n")
    done = subprocess.run(["bash", tmp_path / ".ci" / "run"], capture_output=True, check=False)
    assert done.returncode == status, done.stderr


def test_ci_fails_where_the_tests_do(tmp_path):
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "Makefile").write_text("test:\n\texit 5\n")
    done = subprocess.run(["bash", tmp_path / ".ci" / "run"], capture_output=True, check=False)
    assert done.returncode != 0
