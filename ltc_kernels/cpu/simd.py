"""Vectors of float32 for Numba kernels: a fixed number of samples, held in registers.

Numba compiles a loop over an array to vector code when LLVM recognises it; accumulators of such a
loop live in memory. The kernels here want the opposite order: for a few samples, walk over all
checkpoints and keep every accumulator in registers. :class:`Lanes` makes that order explicit. A
value of this type is one LLVM vector of ``LANES`` float32, which LLVM splits into as many registers
as the processor needs (four at AVX-512). The functions below are the few operations that the
kernels use; ``+ - *`` and ``/`` work as usual.

Every function is for use inside ``numba.njit`` only.
"""

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic, models, overload, register_model

# What Numba compiles for, as "+avx2,-avx512f,...": this processor, unless the user says otherwise.
_FEATURES = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
_FEATURES = frozenset(_FEATURES.split(","))
_IS_X86 = llvmlite.binding.get_process_triple().startswith(("x86", "i386", "i686"))
_CONVERTS_HALF = not _IS_X86 or "+f16c" in _FEATURES

# Samples held at once: four vectors of them are alive in a loop, and the register file has to hold
# those.
LANES = 64 if "+avx512f" in _FEATURES else 32 if "+avx2" in _FEATURES else 16
CACHE_LINE = 64  # bytes
TILE = 16  # rows and columns that `transpose_weights` turns at once

_I32 = ir.IntType(32)
_BYTE = ir.IntType(8)
_SCALAR = ir.FloatType()
_VECTOR = ir.VectorType(_SCALAR, LANES)
_WORDS = ir.VectorType(_I32, LANES)


class Lanes(types.Type):  # type: ignore[misc]
    """The Numba type of ``LANES`` float32 values."""

    def __init__(self) -> None:
        super().__init__(name=f"Lanes{LANES}")


lanes = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, numba_type: Lanes) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _address(context: Any, builder: Any, kind: Any, array: Any, row: Any, column: Any) -> Any:
    """Pointer to element ``[row, column]`` of an array whose columns are contiguous."""
    fields = context.make_array(kind)(context, builder, array)
    row_stride = cgutils.unpack_tuple(builder, fields.strides, 2)[0]
    item_size = column.type(kind.dtype.bitwidth // 8)
    offset = builder.add(builder.mul(row, row_stride), builder.mul(column, item_size))
    return builder.gep(builder.bitcast(fields.data, _BYTE.as_pointer()), [offset])


def _vector_at(builder: Any, pointer: Any, element: Any, length: int) -> Any:
    """Load ``length`` contiguous elements that are aligned to one element."""
    vector = ir.VectorType(element, length)
    loaded = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    loaded.align = 2 if isinstance(element, ir.HalfType | ir.IntType) else 4
    return loaded


def _llvm(builder: Any, name: str, arguments: list[Any], result: Any) -> Any:
    signature = ir.FunctionType(result, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, signature, name)
    return builder.call(function, arguments)


def _constant(value: float, length: int = LANES, element: Any = _SCALAR) -> Any:
    return ir.Constant(ir.VectorType(element, length), [value] * length)


def _widen_bits(builder: Any, halves: Any) -> Any:
    """Float16 bit patterns to float32 by integer operations, for x86 older than F16C."""
    bits = builder.zext(halves, _WORDS)
    magnitude = builder.shl(
        builder.and_(bits, _constant(0x7FFF, element=_I32)), _constant(13, element=_I32)
    )
    # The exponent is moved to float32's bias by a product, which also normalises subnormal numbers.
    scaled = builder.fmul(builder.bitcast(magnitude, _VECTOR), _constant(2.0**112))
    special = builder.icmp_unsigned(">=", magnitude, _constant(0x7C00 << 13, element=_I32))
    infinite = builder.or_(magnitude, _constant(0x7F800000, element=_I32))
    unsigned = builder.select(special, infinite, builder.bitcast(scaled, _WORDS))
    sign = builder.shl(
        builder.and_(bits, _constant(0x8000, element=_I32)), _constant(16, element=_I32)
    )
    return builder.bitcast(builder.or_(unsigned, sign), _VECTOR)


@intrinsic
def load(typing_context: Any, array: Any, row: Any, column: Any) -> Any:
    """``array[row, column:column + LANES]`` as float32; uint16 elements are float16's bits."""
    signature = lanes(array, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        pointer = _address(context, builder, kind, *arguments)
        if kind.dtype != types.uint16:
            return _vector_at(builder, pointer, _SCALAR, LANES)
        if _CONVERTS_HALF:
            return builder.fpext(_vector_at(builder, pointer, ir.HalfType(), LANES), _VECTOR)
        return _widen_bits(builder, _vector_at(builder, pointer, ir.IntType(16), LANES))

    return signature, generate


@intrinsic
def store(typing_context: Any, values: Any, array: Any, row: Any, column: Any) -> Any:
    """``array[row, column:column + LANES] = values``; float32 elements."""
    signature = types.void(lanes, array, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _address(context, builder, signature.args[1], *arguments[1:])
        written = builder.store(arguments[0], builder.bitcast(pointer, _VECTOR.as_pointer()))
        written.align = 4
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def prefetch(typing_context: Any, array: Any, row: Any, column: Any) -> Any:
    """Ask for the cache lines of ``array[row, column:column + LANES]``; any address is allowed."""
    signature = types.void(array, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        pointer = _address(context, builder, kind, *arguments)
        for offset in range(0, LANES * kind.dtype.bitwidth // 8, CACHE_LINE):
            line = builder.gep(pointer, [arguments[1].type(offset)])
            read, second_level, data = _I32(0), _I32(2), _I32(1)
            _llvm(builder, "llvm.prefetch.p0", [line, read, second_level, data], ir.VoidType())
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def splat(typing_context: Any, value: Any) -> Any:
    """The same float32 value in every lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        single = builder.insert_element(undefined, arguments[0], _I32(0))
        return builder.shuffle_vector(single, undefined, _constant(0, element=_I32))

    return lanes(types.float32), generate


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _llvm(builder, f"llvm.fma.v{LANES}f32", list(arguments), _VECTOR)

    return lanes(lanes, lanes, lanes), generate


@intrinsic
def sqrt(typing_context: Any, a: Any) -> Any:
    """Square root of each lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _llvm(builder, f"llvm.sqrt.v{LANES}f32", list(arguments), _VECTOR)

    return lanes(lanes), generate


@intrinsic
def keep_between(typing_context: Any, values: Any, key: Any, low: Any, high: Any) -> Any:
    """``values`` where ``low < key < high``, NaN elsewhere (also where a key is NaN)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, key, low, high = arguments
        above = builder.fcmp_ordered(">", key, low)
        inside = builder.and_(above, builder.fcmp_ordered("<", key, high))
        return builder.select(inside, values, _constant(float("nan")))

    return lanes(lanes, lanes, lanes, lanes), generate


@intrinsic
def where_below(typing_context: Any, a: Any, b: Any, values: Any, others: Any) -> Any:
    """``values`` where ``a < b``, ``others`` elsewhere (also where either is NaN)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b, values, others = arguments
        return builder.select(builder.fcmp_ordered("<", a, b), values, others)

    return lanes(lanes, lanes, lanes, lanes), generate


@intrinsic
def where_finite(typing_context: Any, key: Any, values: Any, others: Any) -> Any:
    """``values`` where the key is finite, ``others`` where it is not."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        key, values, others = arguments
        rest = builder.fsub(key, key)  # zero, or NaN
        return builder.select(builder.fcmp_ordered("ord", rest, rest), values, others)

    return lanes(lanes, lanes, lanes), generate


@intrinsic
def load_upper(typing_context: Any, array: Any, row: Any, column: Any) -> Any:
    """``array[row, column:column + LANES]``; uint16 elements are the upper half of float32."""
    signature = lanes(array, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _address(context, builder, signature.args[0], *arguments)
        upper = builder.zext(_vector_at(builder, pointer, ir.IntType(16), LANES), _WORDS)
        return builder.bitcast(builder.shl(upper, _constant(16, element=_I32)), _VECTOR)

    return signature, generate


@intrinsic
def store_upper(typing_context: Any, values: Any, array: Any, row: Any, column: Any) -> Any:
    """``array[row, column:column + LANES] = values``, rounded to the upper half of float32."""
    signature = types.void(lanes, array, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], _WORDS)
        rounded = builder.add(bits, _constant(0x8000, element=_I32))
        halves = ir.VectorType(ir.IntType(16), LANES)
        upper = builder.trunc(builder.lshr(rounded, _constant(16, element=_I32)), halves)
        pointer = _address(context, builder, signature.args[1], *arguments[1:])
        written = builder.store(upper, builder.bitcast(pointer, halves.as_pointer()))
        written.align = 2
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def transpose_weights(
    typing_context: Any, weights: Any, groups: Any, sample: Any, term: Any, out: Any, lane: Any
) -> Any:
    """``out[:TILE, lane:lane + TILE] = weights[groups[sample:sample + TILE], term:term + TILE].T``.

    A gather would fetch these values one by one; whole rows are turned in registers instead, in
    log2(TILE) exchanges of ever smaller blocks.
    """
    signature = types.void(weights, groups, types.intp, types.intp, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights, groups, sample, term, out, lane = arguments
        index = context.make_array(signature.args[1])(context, builder, groups).data
        rows = []
        for k in range(TILE):
            place = builder.gep(index, [builder.add(sample, sample.type(k))])
            group = builder.sext(builder.load(place), sample.type)
            pointer = _address(context, builder, signature.args[0], weights, group, term)
            rows.append(_vector_at(builder, pointer, _SCALAR, TILE))
        for k, row in enumerate(_transposed(builder, rows)):
            pointer = _address(context, builder, signature.args[4], out, lane.type(k), lane)
            written = builder.store(row, builder.bitcast(pointer, row.type.as_pointer()))
            written.align = 4
        return context.get_dummy_value()

    return signature, generate


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Columns of a square block whose rows are vectors."""
    size = len(rows)
    span = size // 2
    while span:
        for r in (r for r in range(size) if not r & span):
            upper, lower = rows[r], rows[r + span]
            kept = [c + size - span if c & span else c for c in range(size)]
            moved = [c + size if c & span else c + span for c in range(size)]
            mask = ir.VectorType(_I32, size)
            rows[r] = builder.shuffle_vector(upper, lower, ir.Constant(mask, kept))
            rows[r + span] = builder.shuffle_vector(upper, lower, ir.Constant(mask, moved))
        span //= 2
    return rows


def _define(operation: Callable[[Any, Any], Any], instruction: str) -> None:
    """Give two :class:`Lanes` an arithmetic operator."""

    @intrinsic
    def apply(typing_context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(*arguments)

        return lanes(lanes, lanes), generate

    @overload(operation, inline="always")
    def implementation(a, b):  # type: ignore[no-untyped-def]  # Numba compares this signature with the lambda's
        if isinstance(a, Lanes) and isinstance(b, Lanes):
            return lambda a, b: apply(a, b)
        return None


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
_define(operator.truediv, "fdiv")

ZERO = np.float32(0.0)
