"""Every form of every kernel that ships for a GPU: what is compiled and examined without one."""

from ltc_kernels.gpu import (
    group,
    masked,
    missing,
    moments,
    pairs_masked,
    pairs_product,
    pairs_terms,
    topk_candidates,
    topk_running,
)
from ltc_kernels.gpu.launching import Specialisation
from ltc_kernels.gpu.targets import Target

__all__ = ["Specialisation", "specialisations"]

KERNELS = (  # modules, each with the forms of its kernels
    missing,
    group,
    masked,
    moments,
    pairs_terms,
    pairs_product,
    pairs_masked,
    topk_running,
    topk_candidates,
)


def specialisations(target: Target) -> list[Specialisation]:
    """Return the forms that launches on this target choose from, whatever the arguments are."""
    return [form for module in KERNELS for form in module.specialisations(target)]
