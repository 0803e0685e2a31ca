"""Lets a worker have two GPUs, which are Triton's interpreter: a preload of Dask's.

It tells which GPU came first of those that its process sees, and which kernels ran there: a file
for each, in the folder that ``LTC_TEST_GPUS`` names.
"""

import os
from pathlib import Path


def dask_setup(_worker):
    os.environ["TRITON_INTERPRET"] = "1"
    import numpy as np
    import torch
    from places import HostPlace

    from ltc import class_search, devices, score_pass
    from ltc_kernels import backends, gpu

    np.seterr(all="ignore")  # it computes beyond masks, as a GPU does
    devices._missing_for_gpu = lambda: None
    torch.cuda.device_count = lambda: 2
    score_pass.CudaPlace = class_search.CudaPlace = lambda _name: HostPlace()
    backends.device_type = lambda array: "cuda" if backends.is_tensor(array) else "cpu"
    class_search.on_device = lambda array, *_, **__: torch.from_numpy(np.ascontiguousarray(array))
    told = Path(os.environ["LTC_TEST_GPUS"])

    def telling(name, kernel):
        def called(*arguments, **options):
            first = os.environ["CUDA_VISIBLE_DEVICES"].partition(",")[0]
            (told / f"{name} {first} {os.getpid()}").touch()
            return kernel(*arguments, **options)

        return called

    for name in ("group_correlation", "pair_sums", "PairSearch"):
        setattr(gpu, name, telling(name, getattr(gpu, name)))
