"""Runs to report on, and a browser to look at reports with."""

import os
import shutil

import pytest
from reporting import runs


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    ids = [f"picture-{sample:03}" for sample in range(runs.NUM_TRAIN)]
    path = tmp_path_factory.mktemp("run") / "run.zarr"
    return runs.write(path, train_ids=ids, loss="cross-entropy")


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory):
    """Every id is hostile, and the name of the run is."""
    ids = [f"{runs.HOSTILE_IDS[sample % 5]} {sample}" for sample in range(runs.NUM_TRAIN)]
    path = tmp_path_factory.mktemp("run") / "<b>run & 'co'.zarr"
    return runs.write(path, train_ids=ids, val_ids=ids[: runs.NUM_VAL])


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium that reaches no network."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        missing = "needs Debian's packages chromium and chromium-driver"
        if os.environ.get("LTC_REQUIRE_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs ltc[browser]")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.add_argument("--headless=new")
    options.add_argument("--disable-gpu")
    options.add_argument("--disable-dev-shm-usage")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    if os.geteuid() == 0:  # for whom Chromium has no sandbox
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield started
    started.quit()
