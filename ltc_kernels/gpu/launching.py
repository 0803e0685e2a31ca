"""What is compiled is what is launched: one object for a kernel with all its choices made.

Triton's own launch looks at the values of arguments and compiles a form of the kernel for what it
finds. Here the form is written down instead, so that the very same one can be compiled and examined
where there is no GPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from ltc_kernels.backends import interpreted
from ltc_kernels.gpu.targets import Target, target_of

ALIGNMENT: Final = 16  # what Triton calls divisible: bytes of an address, or an integer's multiple
LARGEST: Final = {"i32": 2**31 - 1, "i64": 2**63 - 1}
POINTERS: Final = {
    "torch.float16": "*fp16",
    "torch.bfloat16": "*bf16",
    "torch.float32": "*fp32",
    "torch.float64": "*fp64",
    "torch.int16": "*i16",
    "torch.int32": "*i32",
    "torch.int64": "*i64",
}


@dataclass(frozen=True)
class Specialisation:
    """One form of a kernel, ready to be compiled for a target or launched on a device.

    Attributes
    ----------
    name : str
        Names it in tables; no two forms share one.
    kernel : triton.JITFunction
        The source.
    types : mapping of str to str
        Triton's type of each argument that a launch brings: ``"*fp16"``, ``"i64"``, ``"fp32"``.
    constants : mapping
        Value of each argument that is known when compiling.
    divisible : frozenset of str
        Arguments that are a multiple of 16, addresses in bytes.
    num_warps : int
        Warps of a program.
    enable_fp_fusion : bool
        Whether the compiler may make a multiplication and an addition one operation.
    num_stages : int
        Depth of the software pipelines that Triton makes.
    options : mapping
        Others of Triton's options, for the backends that have them.
    """

    name: str
    kernel: Any = field(repr=False)
    types: Mapping[str, str]
    constants: Mapping[str, Any]
    divisible: frozenset[str]
    num_warps: int
    enable_fp_fusion: bool
    num_stages: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        """Of the name: forms that are equal have the same."""
        return hash(self.name)

    def compile(self, target: Target) -> Any:
        """Compile for a target, which need not be at hand; Triton's ``CompiledKernel``."""
        import triton
        from triton.compiler import ASTSource

        names = self.kernel.arg_names
        signature = {name: self.types.get(name, "constexpr") for name in names}
        attributes = {
            (names.index(name),): [["tt.divisibility", ALIGNMENT]] for name in self.divisible
        }
        source = ASTSource(self.kernel, signature, dict(self.constants), attributes)
        return triton.compile(source, target=target.triton, options=self._options())

    def launch(self, programs: tuple[int, int, int], device: Any, **arguments: Any) -> None:
        """Run on a torch device, on its current stream; nothing where there are no programs.

        Raises
        ------
        TypeError, ValueError
            An argument that isn't what this form was compiled for.
        """
        self._check(arguments)
        if 0 in programs:
            return
        if interpreted():
            self.kernel[programs](**arguments, **self.constants)
            return
        import torch

        values = {**arguments, **self.constants}
        with torch.cuda.device(device):
            compiled = _compiled_on(self, torch.device(device))
            compiled[programs](*(values[name] for name in self.kernel.arg_names))

    def _options(self) -> dict[str, Any]:
        return {
            "num_warps": self.num_warps,
            "num_stages": self.num_stages,
            "enable_fp_fusion": self.enable_fp_fusion,
            **self.options,
        }

    def _check(self, arguments: Mapping[str, Any]) -> None:
        """Hold each argument against its type: a compiled kernel believes whatever it gets."""
        if arguments.keys() != self.types.keys():
            raise TypeError(
                f"{self.name} takes {', '.join(self.types)}, got {', '.join(arguments)}"
            )
        for name, value in arguments.items():
            kind = self.types[name]
            if kind in POINTERS.values():
                fits, number = POINTERS.get(str(value.dtype)) == kind, value.data_ptr()
            elif kind in LARGEST:
                fits, number = isinstance(value, int) and abs(value) <= LARGEST[kind], value
            else:
                fits, number = isinstance(value, float), 0
            if not fits:
                what = getattr(value, "dtype", value)
                raise TypeError(f"{self.name}: {name} must be {kind}, got {what}")
            if name in self.divisible and number % ALIGNMENT:
                raise ValueError(
                    f"{self.name}: {name} must be a multiple of {ALIGNMENT}, got {number}"
                )


@cache
def _compiled_on(form: Specialisation, device: Any) -> Any:
    """The form on one device: a compiled kernel is loaded where it is first launched."""
    return form.compile(target_of(device))
