"""Products of a block of samples with a few queries, in registers from the first term to the last.

At the lengths of trajectories (tens of values) a library's matrix product is bound by writing its
result. Here the result of ``LANES`` samples and ``QUERIES`` queries stays in registers, and the
caller compares it there; it is stored only where something came of the comparison. Of 32 registers,
24 hold sums, 4 the samples' values and the rest one query's value each, in every lane: one load for
more than two multiply-adds, so that the multiply-adds alone set the pace.

The products of a pair are always summed in the same order, ``CHAIN`` terms and then the next, so
that a result doesn't depend on the pairs beside it, the number of threads, or the way that led to
it: bits can be compared. Longer chains would round away late terms against the sum of early ones.

Samples lie in blocks [block, term, lane], queries in groups [group, term, place], both float32.
Every function is for use inside ``numba.njit`` only.
"""

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from ltc_kernels.cpu.simd import _FEATURES, _IS_X86, _VECTOR, LANES, _constant, _llvm, lanes

# Sums of so many queries fit the registers: 32 of them with AVX-512 and on ARM, else 16. A sum of
# LANES values takes four.
QUERIES = 2 if _IS_X86 and "+avx512f" not in _FEATURES else 6
CHAIN = 128  # terms added one to the other

_SCALAR_BYTES = 4
_BYTE = ir.IntType(8)
_FLOAT = ir.FloatType()
_I32 = ir.IntType(32)
_MASK = ir.IntType(LANES)


def _part(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Byte pointer to ``array[index]``, the first axis of three."""
    fields = context.make_array(kind)(context, builder, array)
    stride = cgutils.unpack_tuple(builder, fields.strides, 3)[0]
    data = builder.bitcast(fields.data, _BYTE.as_pointer())
    return builder.gep(data, [builder.mul(index, stride)])


def _everywhere(builder: Any, scalar: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    single = builder.insert_element(undefined, scalar, _I32(0))
    return builder.shuffle_vector(single, undefined, _constant(0, element=_I32))


def _element(context: Any, builder: Any, kind: Any, array: Any, index: Any, offset: int) -> Any:
    """``array[index + offset]`` in every lane; one axis."""
    data = context.make_array(kind)(context, builder, array).data
    place = builder.gep(data, [builder.add(index, index.type(offset))])
    return _everywhere(builder, builder.load(place))


def _sum_products(builder: Any, samples: Any, queries: Any, bounds: Any, count: int) -> list[Any]:
    """Sums over the terms ``bounds``, at least one, of one block with ``count`` queries."""
    begin, end = bounds
    before = builder.block
    loop = builder.append_basic_block("terms")
    after = builder.append_basic_block("terms.end")
    builder.branch(loop)

    builder.position_at_end(loop)
    term = builder.phi(begin.type)
    term.add_incoming(begin, before)
    sums = [builder.phi(_VECTOR) for _ in range(count)]
    here = builder.gep(samples, [builder.mul(term, begin.type(LANES * _SCALAR_BYTES))])
    values = builder.load(builder.bitcast(here, _VECTOR.as_pointer()))
    values.align = _SCALAR_BYTES
    there = builder.gep(queries, [builder.mul(term, begin.type(QUERIES * _SCALAR_BYTES))])
    there = builder.bitcast(there, _FLOAT.as_pointer())
    for place, total in enumerate(sums):
        weight = builder.load(builder.gep(there, [begin.type(place)]))
        terms = [values, _everywhere(builder, weight), total]
        more = _llvm(builder, f"llvm.fma.v{LANES}f32", terms, _VECTOR)
        total.add_incoming(_constant(0.0), before)
        total.add_incoming(more, loop)
    following = builder.add(term, begin.type(1))
    term.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, end), loop, after)

    builder.position_at_end(after)
    return [total.incomings[1][0] for total in sums]


@intrinsic
def _products(
    typing_context: Any, tile: Any, block: Any, queries: Any, group: Any, begin: Any, end: Any
) -> Any:
    """Products of a block with a group of queries over some terms, at least one."""
    result = types.UniTuple(lanes, QUERIES)
    signature = result(tile, types.intp, queries, types.intp, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile, block, queries, group, *bounds = arguments
        samples = _part(context, builder, signature.args[0], tile, block)
        weights = _part(context, builder, signature.args[2], queries, group)
        sums = _sum_products(builder, samples, weights, bounds, QUERIES)
        return cgutils.pack_array(builder, sums)

    return signature, generate


@intrinsic
def _product(
    typing_context: Any,
    tile: Any,
    block: Any,
    queries: Any,
    group: Any,
    place: Any,
    begin: Any,
    end: Any,
) -> Any:
    """Products of a block with one query over some terms, at least one."""
    signature = lanes(tile, types.intp, queries, *(types.intp,) * 4)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile, block, queries, group, place, *bounds = arguments
        samples = _part(context, builder, signature.args[0], tile, block)
        weights = _part(context, builder, signature.args[2], queries, group)
        weights = builder.gep(weights, [builder.mul(place, place.type(_SCALAR_BYTES))])
        return _sum_products(builder, samples, weights, bounds, 1)[0]

    return signature, generate


@intrinsic
def _add(typing_context: Any, a: Any, b: Any) -> Any:
    """Sums of two tuples of vectors."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b = (cgutils.unpack_tuple(builder, argument, QUERIES) for argument in arguments)
        return cgutils.pack_array(builder, [builder.fadd(*pair) for pair in zip(a, b, strict=True)])

    return a(a, b), generate


@njit(inline="always")
def products(tile, block, queries, group):  # type: ignore[no-untyped-def]  # Numba's types
    """``LANES`` samples times ``QUERIES`` queries: a tuple of vectors."""
    length = tile.shape[1]
    total = _products(tile, block, queries, group, 0, min(length, CHAIN))
    for begin in range(CHAIN, length, CHAIN):
        end = min(begin + CHAIN, length)
        total = _add(total, _products(tile, block, queries, group, begin, end))
    return total


@njit(inline="always")
def product(tile, block, queries, group, place):  # type: ignore[no-untyped-def]  # Numba's types
    """``LANES`` samples times one query: the bits that `products` gives."""
    length = tile.shape[1]
    total = _product(tile, block, queries, group, place, 0, min(length, CHAIN))
    for begin in range(CHAIN, length, CHAIN):
        end = min(begin + CHAIN, length)
        total = total + _product(tile, block, queries, group, place, begin, end)
    return total


@intrinsic
def any_above(typing_context: Any, sums: Any, limits: Any, first: Any) -> Any:
    """Whether some value of ``sums[q]`` lies above ``limits[first + q]``."""
    signature = types.boolean(sums, limits, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, limits, first = arguments
        found = ir.Constant(ir.VectorType(ir.IntType(1), LANES), [0] * LANES)
        for place, values in enumerate(cgutils.unpack_tuple(builder, sums, QUERIES)):
            limit = _element(context, builder, signature.args[1], limits, first, place)
            found = builder.or_(found, builder.fcmp_ordered(">", values, limit))
        return builder.icmp_unsigned("!=", builder.bitcast(found, _MASK), _MASK(0))

    return signature, generate


@intrinsic
def any_outside(typing_context: Any, sums: Any, limits: Any, opposite: Any, first: Any) -> Any:
    """Whether some value of ``sums[q]``, or its negative, lies above its own limit."""
    signature = types.boolean(sums, limits, opposite, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, limits, opposite, first = arguments
        found = ir.Constant(ir.VectorType(ir.IntType(1), LANES), [0] * LANES)
        for place, values in enumerate(cgutils.unpack_tuple(builder, sums, QUERIES)):
            high = _element(context, builder, signature.args[1], limits, first, place)
            low = _element(context, builder, signature.args[2], opposite, first, place)
            found = builder.or_(found, builder.fcmp_ordered(">", values, high))
            found = builder.or_(found, builder.fcmp_ordered("<", values, builder.fneg(low)))
        return builder.icmp_unsigned("!=", builder.bitcast(found, _MASK), _MASK(0))

    return signature, generate


def _define_reachable(both: bool) -> Any:
    """Make `any_reachable`, for one end or for both."""

    @intrinsic
    def reachable(
        typing_context: Any,
        sums: Any,
        rests: Any,
        query_rests: Any,
        limits: Any,
        opposite: Any,
        first: Any,
    ) -> Any:
        signature = types.boolean(sums, lanes, query_rests, limits, opposite, types.intp)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            sums, rests, query_rests, limits, opposite, first = arguments
            kinds = signature.args
            found = ir.Constant(ir.VectorType(ir.IntType(1), LANES), [0] * LANES)
            for place, values in enumerate(cgutils.unpack_tuple(builder, sums, QUERIES)):
                rest = _element(context, builder, kinds[2], query_rests, first, place)
                ends = [(values, kinds[3], limits)]
                if both:
                    ends.append((builder.fneg(values), kinds[4], opposite))
                for value, kind, array in ends:
                    limit = _element(context, builder, kind, array, first, place)
                    bound = _llvm(builder, f"llvm.fma.v{LANES}f32", [rests, rest, value], _VECTOR)
                    found = builder.or_(found, builder.fcmp_ordered(">", bound, limit))
            return builder.icmp_unsigned("!=", builder.bitcast(found, _MASK), _MASK(0))

        return signature, generate

    return reachable


# Whether some value within ``rests * query_rests[first + q]`` of ``sums[q]`` lies above its limit,
# or, for both ends, its negative above its own.
any_reachable_above = _define_reachable(both=False)
any_reachable_outside = _define_reachable(both=True)


@intrinsic
def mask_above(typing_context: Any, values: Any, limit: Any) -> Any:
    """One bit per lane, the first the lowest: set where the value lies above ``limit``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, limit = arguments
        found = builder.fcmp_ordered(">", values, _everywhere(builder, limit))
        return builder.zext(builder.bitcast(found, _MASK), ir.IntType(64))

    return types.uint64(lanes, types.float32), generate


@intrinsic
def lowest_bit(typing_context: Any, mask: Any) -> Any:
    """Position of the lowest bit that is set; there must be one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.uint64), generate


@intrinsic
def store_products(typing_context: Any, sums: Any, out: Any, row: Any, column: Any) -> Any:
    """``out[row + q, column:column + LANES] = sums[q]`` for all ``QUERIES`` rows."""
    signature = types.void(sums, out, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, out, row, column = arguments
        fields = context.make_array(signature.args[1])(context, builder, out)
        stride = cgutils.unpack_tuple(builder, fields.strides, 2)[0]
        data = builder.bitcast(fields.data, _BYTE.as_pointer())
        start = builder.mul(column, column.type(_SCALAR_BYTES))
        for place, values in enumerate(cgutils.unpack_tuple(builder, sums, QUERIES)):
            offset = builder.mul(builder.add(row, row.type(place)), stride)
            there = builder.gep(data, [builder.add(offset, start)])
            written = builder.store(values, builder.bitcast(there, _VECTOR.as_pointer()))
            written.align = _SCALAR_BYTES
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def keep_largest(typing_context: Any, sums: Any, negate: Any, out: Any, part: Any) -> Any:
    """``out[part, q] = max(out[part, q], sums[q])``, or of the negatives; NaN changes nothing."""
    signature = types.void(sums, types.boolean, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, negate, out, part = arguments
        data = _part(context, builder, signature.args[2], out, part)
        data = builder.bitcast(data, _VECTOR.as_pointer())
        for place, values in enumerate(cgutils.unpack_tuple(builder, sums, QUERIES)):
            there = builder.gep(data, [_I32(place)])
            kept = builder.load(there)
            kept.align = _SCALAR_BYTES
            offered = builder.select(negate, builder.fneg(values), values)
            larger = builder.fcmp_ordered(">", offered, kept)
            written = builder.store(builder.select(larger, offered, kept), there)
            written.align = _SCALAR_BYTES
        return context.get_dummy_value()

    return signature, generate
