"""What the kernels for pairs are launched with at ImageNet-1k's size, for each target."""

import numpy as np
import pytest

pytest.importorskip("triton")

import torch

from benchmarks.launches import launches
from ltc_kernels import pair_correlation, pair_topk
from ltc_kernels.gpu.specialisations import specialisations
from ltc_kernels.gpu.targets import TARGETS
from ltc_kernels.gpu.tiles import empty_tile

SAMPLES = 1_281_167


@pytest.fixture(scope="module")
def losses():
    return empty_tile(5, SAMPLES, torch.float16, "cpu").zero_()


def forms(target):
    return {form.name: form for form in specialisations(target)}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_programs_cover_the_matrix(losses, target):
    """Each tile of 130 queries, the second nearly empty, with each of the samples."""
    found = launches(
        target,
        lambda: pair_correlation(losses, losses[:, :130], signal="loss", backend="gpu"),
    )
    shifts, product = found
    width = forms(target)[product.form].constants["BN"]
    assert product.form == "pair_correlation, fp16"
    assert product.programs == 2 * -(-SAMPLES // width)
    assert product.integers["num_loaded"] == product.integers["stride"] == 1_281_216
    assert product.integers["num_queries"] == 130
    assert product.sizes["out"] == 4 * 130 * 1_281_216 - 4 * (1_281_216 - SAMPLES)
    assert shifts.programs == 10_010


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize(("k", "form"), [(10, "k up to 64"), (65, "any k")])
def test_steps_of_a_search_cover_all_samples_once(losses, target, k, form):
    found = launches(
        target,
        lambda: pair_topk(losses, losses[:, :300], k, signal="loss", backend="gpu"),
    )
    steps = [launch for launch in found if launch.form == f"pair_topk, {form}, fp16"]
    sizes = np.array([launch.integers["num_samples"] for launch in steps])
    assert sizes.sum() == SAMPLES
    assert 3 < len(steps) < 12
    assert (sizes[:-1] % 64 == 0).all()
    constants = forms(target)[steps[0].form].constants
    for launch in steps:
        programs = 3 * launch.integers.get("num_splits", -(-launch.integers["num_samples"] // 64))
        assert launch.programs == programs
    if "K" in constants:
        most = {launch.integers["num_splits"] for launch in steps}
        assert max(most) == -(-2 * target.multiprocessors // 3)
