"""The kernels on a GPU, in Triton, for CUDA and ROCm; torch tensors in and out.

Arguments are checked by the caller. Importing this package asks no device anything.
"""

from ltc_kernels.gpu.missing import count_missing

__all__ = ["count_missing"]
