"""Machine instructions that Python has no word for. Numba hands types to an intrinsic, most of which need no look."""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

INT8, INT16, INT32, INT64 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
WIDE = 32  # uint16 that are compared at a time
EIGHT = 8  # weights that are multiplied at a time
HALF_TO_SINGLE = 2.0**112  # between the exponent biases of float16 and float32


@intrinsic
def prefetch(context: Any, array: Any, position: Any) -> Any:
    """Ask for the cache line of ``array[position]``; nothing happens where there is none.

    Into the second-level cache: the first would push it out again before it is used, and can wait for fewer lines.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), INT8.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, INT32, INT32, INT32])
        name = "llvm.prefetch.p0i8" if "*" in str(place.type) else "llvm.prefetch.p0"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        builder.call(function, [place, INT32(0), INT32(2), INT32(1)])  # to read, from the second level on, data
        return context.get_dummy_value()

    return types.void(array, position), generate


@intrinsic
def as_weight(context: Any, stored: Any, scale: Any) -> Any:
    """The float32 that a stored weight stands for: itself, ``scale`` times a uint8 code, or the bits of a float16.

    ``scale`` is 1 but for uint8, and only there does it cost a multiplication. Assumes float16 bits (a uint16)
    that are neither negative, infinite nor NaN; exact for all others.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _as_floats(builder, signature.args[0], args[0], args[1])

    if stored not in (types.float32, types.uint8, types.uint16):
        return None
    return types.float32(stored, types.float32), generate


@intrinsic
def eight_products(context: Any, array: Any, position: Any, weight: Any, scale: Any) -> Any:
    """``weight`` times `as_weight` of each of the EIGHT elements of ``array`` from ``position`` on, a tuple.

    By vector instructions; the same bits as one by one. The elements must exist.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        stored = ir.VectorType(context.get_data_type(signature.args[0].dtype), EIGHT)
        floats = ir.VectorType(ir.FloatType(), EIGHT)
        elements = builder.load(builder.bitcast(builder.gep(data, [args[1]]), stored.as_pointer()), align=1)
        weights = _as_floats(builder, signature.args[0].dtype, elements, args[3])
        products = builder.fmul(_repeated(builder, args[2], floats), weights)
        parts = [builder.extract_element(products, INT32(number)) for number in range(EIGHT)]
        return context.make_tuple(builder, signature.return_type, parts)

    if array.dtype not in (types.float32, types.uint8, types.uint16):
        return None
    return types.UniTuple(types.float32, EIGHT)(array, position, types.float32, types.float32), generate


def _as_floats(builder: Any, kind: Any, stored: Any, scale: Any) -> Any:
    """The floats that a stored weight, or a vector of them, stands for."""
    if kind == types.float32:
        return stored
    several = stored.type.count if isinstance(stored.type, ir.VectorType) else 0
    integers, floats = (ir.VectorType(one, several) if several else one for one in (INT32, ir.FloatType()))
    widened = builder.zext(stored, integers)
    if kind == types.uint8:
        widened, factor = builder.uitofp(widened, floats), scale
    else:
        shift = ir.Constant(integers, [13] * several if several else 13)
        widened = builder.bitcast(builder.shl(widened, shift), floats)
        factor = ir.Constant(ir.FloatType(), HALF_TO_SINGLE)
    return builder.fmul(widened, _repeated(builder, factor, floats) if several else factor)


@intrinsic
def eight_places(context: Any, array: Any, position: Any) -> Any:
    """The EIGHT elements of a uint16 ``array`` from ``position`` on, uint64, a tuple: two loads in place of eight.

    The elements must exist.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        parts = []
        for half in range(2):
            place = builder.gep(data, [builder.add(args[1], INT64(half * EIGHT // 2))])
            four = builder.load(builder.bitcast(place, INT64.as_pointer()), align=2)
            for number in range(EIGHT // 2):
                parts.append(builder.and_(builder.lshr(four, INT64(16 * number)), INT64(0xFFFF)))
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(types.uint64, EIGHT)(array, position), generate


@intrinsic
def bit_length(context: Any, value: Any) -> Any:
    """Count the bits that the uint32 ``value`` takes; 0 for 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zeros = builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))
        return builder.sub(INT32(32), zeros)

    return types.uint32(types.uint32), generate


@intrinsic
def trailing_zeros(context: Any, value: Any) -> Any:
    """The place of the lowest bit that is set in the uint64 ``value``; 64 for 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def count_ones(context: Any, value: Any) -> Any:
    """Count the bits of the uint64 ``value`` that are set."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


@intrinsic
def below(context: Any, array: Any, position: Any, limit: Any) -> Any:
    """A bit for each of the WIDE elements of a uint16 ``array`` from ``position`` on that is below ``limit``.

    One vector comparison; the elements must exist.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(_compared("<", WIDE, INT16, context, builder, signature, args), INT64)

    return types.uint64(array, position, types.uint16), generate


@intrinsic
def at_least(context: Any, array: Any, position: Any, limit: Any) -> Any:
    """A bit for each of the 64 elements of a uint32 ``array`` from ``position`` on that is ``limit`` or more.

    A few vector comparisons; the elements must exist.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _compared(">=", 64, INT32, context, builder, signature, args)

    return types.uint64(array, position, types.uint32), generate


def _compared(how: str, width: int, kind: Any, context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """The outcomes, as the bits of one number, of comparing ``width`` elements from a place on with a limit."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    vector = ir.VectorType(kind, width)
    place = builder.bitcast(builder.gep(data, [args[1]]), vector.as_pointer())
    elements = builder.load(place, align=kind.width // 8)
    limits = _repeated(builder, args[2], vector)
    return builder.bitcast(builder.icmp_unsigned(how, elements, limits), ir.IntType(width))


def _repeated(builder: Any, value: Any, vector: Any) -> Any:
    """A vector with ``value`` in every place."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, INT32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INT32, vector.count), [0] * vector.count))


@intrinsic
def larger(context: Any, one: Any, other: Any) -> Any:
    """The larger of two uint32, without a branch, so that a loop of it works on many at a time."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.icmp_unsigned(">", *args), *args)

    return types.uint32(types.uint32, types.uint32), generate
