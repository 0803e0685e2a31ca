"""``--device cuda --workers``: a process for each GPU, which are doubles, by Triton's kernels."""

import os
import sys
from types import ModuleType

import gpu_double
import numpy as np
import pytest
from clusters import quick_starts
from pair_cases import write

import ltc
from assertions import assert_scores_close
from ltc import devices
from ltc.cli import clusters, main

pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")
torch = pytest.importorskip("torch")
pytest.importorskip("triton")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A store, and two GPUs in this machine."""
    monkeypatch.setattr(devices, "_missing_for_gpu", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("ltc.store.writer.CHUNK_SAMPLES", 40)
    write(tmp_path / "run.zarr")
    return tmp_path / "run.zarr"


@pytest.fixture
def dask_cuda(monkeypatch):
    """Let a double of dask-cuda be there; as that does, it gives processes their environment."""
    from distributed import LocalCluster

    class LocalCUDACluster(LocalCluster):
        def __init__(self, n_workers, threads_per_worker, **options):
            assert threads_per_worker == 1
            super().__init__(n_workers=0, threads_per_worker=1, processes=True, **options)
            self.scale(n_workers)
            self.sync(self._correct_state)

        def new_worker_spec(self):
            ((name, spec),) = super().new_worker_spec().items()
            own = {"env": {"CUDA_VISIBLE_DEVICES": f"{name},{1 - name}"}}
            return {name: {**spec, "options": {**spec["options"], **own}}}

    double = ModuleType("dask_cuda")
    double.LocalCUDACluster = LocalCUDACluster
    monkeypatch.setitem(sys.modules, "dask_cuda", double)
    find = clusters.find_spec
    monkeypatch.setattr(clusters, "find_spec", lambda name: name == "dask_cuda" or find(name))


@pytest.mark.usefixtures("dask_cuda")
def test_each_process_has_a_gpu_where_triton_computes(run, tmp_path):
    told = tmp_path / "told"
    told.mkdir()
    doubles = {
        "distributed.worker.preload": [gpu_double.__file__],
        "distributed.nanny.environ.LTC_TEST_GPUS": str(told),
    }
    with (
        quick_starts(doubles),
        clusters.cluster_client(None, 2, "cuda") as client,
    ):
        on_gpus = ["--device", "cuda", "--scheduler", client.scheduler.address]
        assert main(["score", str(run), *on_gpus, "--save", "means"]) == 0
        pairs = ["--reference", "class-pairs"]
        assert main(["score", str(run), *on_gpus, *pairs, "--save", "pairs"]) == 0
        found = ltc.neighbors(run, [3, 7], k=5, device="cuda", client=client)
    ran = [tuple(path.name.split(" ")) for path in told.iterdir()]
    assert {kernel for kernel, *_ in ran} == {"group_correlation", "pair_sums", "PairSearch"}
    assert {gpu for _, gpu, _ in ran} == {"0", "1"}
    assert len({(gpu, process) for _, gpu, process in ran}) == 2
    for name, reference in (("means", "class-mean"), ("pairs", "class-pairs")):
        kept = ltc.load_scores(run, name)
        assert kept.metadata["device"] == "cuda:0"
        assert_scores_close(kept.values, ltc.score(run, reference=reference).values, backend="gpu")
    alone = ltc.neighbors(run, [3, 7], k=5, device="cpu")
    np.testing.assert_array_equal(found.aligned.indices, alone.aligned.indices)
    assert_scores_close(found.aligned.values, alone.aligned.values, backend="gpu")


@pytest.mark.parametrize(("visible", "expected"), [(None, "0 1"), ("GPU-a,GPU-b", "GPU-a GPU-b")])
@pytest.mark.usefixtures("run")
def test_without_dask_cuda_each_process_has_one_too(monkeypatch, visible, expected):
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with quick_starts(), clusters.cluster_client(None, 2, "cuda") as client:
        assert set(client.nthreads().values()) == {1}
        seen = client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"]).values()
    one, other = expected.split()
    assert sorted(seen) == [f"{one},{other}", f"{other},{one}"]


@pytest.mark.parametrize("command", [["score"], ["neighbors", "--query", "3"]])
def test_more_processes_than_gpus(run, capsys, command):
    assert main([*command, str(run), "--device", "cuda", "--workers", "3"]) == 2
    text = "ltc: --workers must be at most 2 where GPUs compute, as many as there are, got 3; "
    assert capsys.readouterr().err.startswith(text)


def test_without_a_gpu(run, capsys, monkeypatch):
    monkeypatch.setattr(devices, "_missing_for_gpu", lambda: "torch finds no GPU")
    assert main(["score", str(run), "--device", "cuda", "--workers", "1"]) == 2
    assert "got 'cuda': torch finds no GPU; there is cpu" in capsys.readouterr().err
