"""Vectors of float32 for numba: the type `Vec`, and the functions that kernels call on it.

A `Vec` has `LANES` lanes, as many as a register of the processor. numba alone vectorises a loop only where LLVM can
prove that no two arrays overlap, and never keeps a block of sums in registers. Here the vectors are explicit.

Memory is named by addresses: int64, in bytes. The engine takes them from arrays that it keeps alive.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic as _numba_intrinsic
from numba.extending import lower_builtin, models, register_model

from .store import Store

intrinsic: Any = _numba_intrinsic
"""numba's decorator. By its annotations a caller would have to pass the typing context, too."""
LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8
"""Float32 numbers of a vector: 16 with AVX-512, else 8."""
BYTES = 4 * LANES
"""Bytes of a vector."""

_FLOAT, _SHORT, _INT, _LONG = ir.FloatType(), ir.IntType(16), ir.IntType(32), ir.IntType(64)
_FLOATS, _INTS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)
_CONTRACT = ("contract",)
"""Lets the compiler fuse a product and a sum into one instruction."""
_OPTIONS: dict[str, Any] = dict(nogil=True, error_model="numpy")
"""Options of all kernels: they release the GIL, and a division by zero raises nothing."""
_INNER: dict[str, Any] = dict(no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Options of functions that Python does not call."""


def compiled(function: Callable) -> Any:
    """Compile a function for calls from other numba functions, without bounds checks.

    numba compiles it anew into each of its callers.
    """
    return njit(**_OPTIONS, **_INNER)(function)


def kept(function: Callable) -> Any:
    """Compile a function for calls from Python, which releases the GIL.

    Its machine code is kept on the disk where any folder for it can be written; see `Store`.
    """
    dispatcher = njit(**_OPTIONS)(function)
    # `njit(cache=True)` puts numba's own store here.
    dispatcher._cache = Store(function)
    return dispatcher


class VecType(types.Type):
    """The numba type of a vector of `LANES` float32."""

    def __init__(self) -> None:
        super().__init__(name=f"Vec{LANES}")


vec = VecType()


@register_model(VecType)
class _VecModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, _FLOATS)


# Code generators: each emits LLVM instructions through `builder`.


def constant(value: float, kind: ir.Type = _FLOATS) -> ir.Constant:
    """Make a constant vector with `value` in all lanes."""
    return ir.Constant(kind, [value] * LANES)


def integer(value: int) -> ir.Constant:
    """Make a constant int64."""
    return ir.Constant(_LONG, value)


def at(builder: ir.IRBuilder, address: ir.Value, offset: int, kind: ir.Type) -> ir.Value:
    """Make a pointer to `kind` at an address plus `offset` bytes."""
    if offset:
        address = builder.add(address, integer(offset))
    return builder.inttoptr(address, kind.as_pointer())


def read(builder: ir.IRBuilder, address: ir.Value, offset: int = 0, kind: ir.Type = _FLOATS) -> ir.Value:
    """Load a value of type `kind` from an address plus `offset` bytes."""
    return builder.load(at(builder, address, offset, kind), align=8 if kind is _LONG else 4, typ=kind)


def write(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, offset: int = 0) -> None:
    """Store a value at an address plus `offset` bytes."""
    builder.store(value, at(builder, address, offset, value.type), align=4)


def read_long(builder: ir.IRBuilder, address: ir.Value, offset: int = 0) -> ir.Value:
    """Load an int64 from an address plus `offset` bytes."""
    return read(builder, address, offset, _LONG)


def spread(builder: ir.IRBuilder, scalar: ir.Value) -> ir.Value:
    """Copy a scalar into all lanes."""
    nothing = ir.Constant(ir.VectorType(scalar.type, LANES), ir.Undefined)
    one = builder.insert_element(nothing, scalar, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(_INTS, [0] * LANES))


def read_spread(builder: ir.IRBuilder, address: ir.Value, offset: int = 0) -> ir.Value:
    """Load a float32 from an address plus `offset` bytes and copy it into all lanes."""
    return spread(builder, read(builder, address, offset, _FLOAT))


def variable(builder: ir.IRBuilder) -> ir.Value:
    """Make a slot for a vector that changes in a loop; LLVM keeps it in a register."""
    return cgutils.alloca_once(builder, _FLOATS)


def value_of(builder: ir.IRBuilder, slot: ir.Value) -> ir.Value:
    """Load the vector that a slot holds."""
    return builder.load(slot, typ=_FLOATS)


@contextmanager
def counted(builder: ir.IRBuilder, count: ir.Value) -> Iterator[ir.Value]:
    """Emit a loop over 0 .. count - 1; the context's value is the index.

    LLVM is told not to unroll the loop. To unroll it took a third of the compilation and made no step faster.
    """
    before = builder.basic_block
    head, body, end = (builder.append_basic_block(f"counted.{part}") for part in ("head", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(_LONG)
    index.add_incoming(integer(0), before)
    builder.cbranch(builder.icmp_signed("<", index, count), body, end)
    builder.position_at_end(body)
    yield index
    index.add_incoming(builder.add(index, integer(1)), builder.basic_block)
    _not_unrolled(builder.branch(head), builder.module)
    builder.position_at_end(end)


def _not_unrolled(branch, module):
    """Tell LLVM not to unroll the loop that a branch closes.

    The metadata of a loop must name themselves as their first operand.
    """
    node = ir.values.MDValue(module, [], name=str(len(module.metadata)))
    node.operands = (node, module.add_metadata(["llvm.loop.unroll.disable"]))
    branch.set_metadata("llvm.loop", node)


def zero() -> ir.Constant:
    """Make a vector of zeros."""
    return ir.Constant(_FLOATS, None)


def call(builder: ir.IRBuilder, name: str, *arguments: ir.Value) -> ir.Value:
    """Call an LLVM intrinsic on vectors."""
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), arguments)


def fused(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """Compute a * b + c, in one instruction where the processor has it."""
    return call(builder, "fmuladd", a, b, c)


def greater(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Take the greater number lane by lane; `b` where one is NaN."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def lesser(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Take the lesser number lane by lane; `b` where one is NaN."""
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def _sum(builder, a, b):
    return builder.fadd(a, b, flags=_CONTRACT)


def _product(builder, a, b):
    return builder.fmul(a, b, flags=_CONTRACT)


def _polynomial(builder: ir.IRBuilder, x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
    """Evaluate a polynomial by Horner's rule; the coefficient of the highest power comes first."""
    total = constant(coefficients[0])
    for coefficient in coefficients[1:]:
        total = fused(builder, total, x, constant(coefficient))
    return total


_EXP2 = (1.5252734e-05, 1.5403530e-04, 1.3333558e-03, 9.6181291e-03, 5.5504109e-02, 2.4022651e-01, 6.9314718e-01, 1.0)
"""Taylor's series of 2^x: ln(2)^k / k! for k = 7 down to 0. At 1/2 the next term is below 6e-9."""


def _exp2(builder, x):
    """Compute 2^x, with x clamped to -126 .. 126."""
    x = greater(builder, lesser(builder, x, constant(126.0)), constant(-126.0))
    whole = call(builder, "rint", x)
    fraction = builder.fsub(x, whole)
    exponent = builder.shl(builder.add(builder.fptosi(whole, _INTS), constant(127, _INTS)), constant(23, _INTS))
    return builder.fmul(_polynomial(builder, fraction, _EXP2), builder.bitcast(exponent, _FLOATS))


_ROOT_HALF = 0x3F3504F3
"""The bits of sqrt(1/2) as a float32."""


def _log(builder, x):
    """Compute the natural logarithm of positive normal numbers.

    A number is 2^e m with m in sqrt(1/2) .. sqrt(2). The logarithm of m is a series of artanh((m - 1) / (m + 1)).
    """
    offset = builder.sub(builder.bitcast(x, _INTS), constant(_ROOT_HALF, _INTS))
    exponent = builder.ashr(offset, constant(23, _INTS))
    mantissa = builder.add(builder.and_(offset, constant(0x7FFFFF, _INTS)), constant(_ROOT_HALF, _INTS))
    m = builder.bitcast(mantissa, _FLOATS)
    s = builder.fdiv(builder.fsub(m, constant(1.0)), builder.fadd(m, constant(1.0)))
    series = _polynomial(builder, builder.fmul(s, s), (2 / 9, 2 / 7, 2 / 5, 2 / 3, 2.0))
    return fused(builder, builder.sitofp(exponent, _FLOATS), constant(0.69314718), builder.fmul(series, s))


def _scrambled(builder, x):
    """Hash 32-bit integers by multiplications and xor-shifts (Wellons' "lowbias32")."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, None)):
        x = builder.xor(x, builder.lshr(x, constant(shift, _INTS)))
        if factor:
            x = builder.mul(x, constant(factor, _INTS))
    return x


# Functions that kernels call.


def _unary(body):
    """Make a function of one `Vec`; `body(builder, value)` emits the result."""

    @intrinsic
    def function(typingctx, a):
        return vec(vec), lambda context, builder, signature, arguments: body(builder, *arguments)

    return function


def _binary(body):
    """Make a function of two `Vec`; `body(builder, a, b)` emits the result."""

    @intrinsic
    def function(typingctx, a, b):
        return vec(vec, vec), lambda context, builder, signature, arguments: body(builder, *arguments)

    return function


exp = _unary(lambda builder, x: _exp2(builder, builder.fmul(x, constant(1.4426950408889634))))
exp2 = _unary(_exp2)
log = _unary(_log)
floor = _unary(lambda builder, x: call(builder, "floor", x))
rint = _unary(lambda builder, x: call(builder, "rint", x))
absolute = _unary(lambda builder, x: call(builder, "fabs", x))
root = _unary(lambda builder, x: call(builder, "sqrt", x))
maximum = _binary(greater)
minimum = _binary(lesser)


def _sign(builder, x):
    negative = builder.select(builder.fcmp_ordered("<", x, zero()), constant(-1.0), zero())
    return builder.select(builder.fcmp_ordered(">", x, zero()), constant(1.0), negative)


sign = _unary(_sign)


def _shuffled(indices):
    """Make a function that picks lanes of two vectors; those of the second count from `LANES` on."""
    return _binary(lambda builder, a, b: builder.shuffle_vector(a, b, ir.Constant(_INTS, indices)))


even = _shuffled([2 * k for k in range(LANES)])
"""The lanes 0, 2, 4, ... of two vectors on end."""
odd = _shuffled([2 * k + 1 for k in range(LANES)])
"""The lanes 1, 3, 5, ... of two vectors on end."""
low = _shuffled([k // 2 + LANES * (k % 2) for k in range(LANES)])
"""The first half of two vectors interleaved."""
high = _shuffled([LANES // 2 + k // 2 + LANES * (k % 2) for k in range(LANES)])
"""The second half of two vectors interleaved."""


@intrinsic
def full(typingctx, scalar):
    """Copy a float32 into all lanes."""
    return vec(types.float32), lambda context, builder, signature, arguments: spread(builder, *arguments)


def _as_operator(operation, body):
    """Define `operation` for two `Vec`, and for a `Vec` and a number on either side.

    The signatures are a list and no function that decides: numba would ask it at every sum of integers, too.
    """
    numbers = (types.float32, types.float64, types.int64)

    @infer_global(operation)
    class _Signatures(ConcreteTemplate):
        cases = [signature(vec, vec, vec)] + [
            signature(vec, *pair) for number in numbers for pair in ((vec, number), (number, vec))
        ]

    def lowered(context, builder, signature, arguments):
        values = [
            value if kind == vec else spread(builder, context.cast(builder, value, kind, types.float32))
            for kind, value in zip(signature.args, arguments)
        ]
        return body(builder, *values)

    for case in _Signatures.cases:
        lower_builtin(operation, *case.args)(lowered)


_as_operator(operator.add, _sum)
_as_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=_CONTRACT))
_as_operator(operator.mul, _product)
_as_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))


@intrinsic
def where(typingctx, a, b, then, otherwise):
    """Choose lane by lane: `then` where a > b, else `otherwise`."""

    def code(context, builder, signature, arguments):
        a, b, then, otherwise = arguments
        return builder.select(builder.fcmp_ordered(">", a, b), then, otherwise)

    return vec(vec, vec, vec, vec), code


@intrinsic
def load(typingctx, address):
    """Load a vector from an address."""
    return vec(types.int64), lambda context, builder, signature, arguments: read(builder, *arguments)


@intrinsic
def store(typingctx, address, value):
    """Store a vector at an address."""

    def code(context, builder, signature, arguments):
        write(builder, arguments[1], arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64, vec), code


@intrinsic
def load_shorts(typingctx, address):
    """Load `LANES` unsigned 16-bit integers as float32."""

    def code(context, builder, signature, arguments):
        kind = ir.VectorType(_SHORT, LANES)
        return builder.uitofp(builder.load(at(builder, arguments[0], 0, kind), align=2, typ=kind), _FLOATS)

    return vec(types.int64), code


@intrinsic
def peek(typingctx, address):
    """Read one float32."""
    return types.float32(types.int64), lambda context, builder, signature, arguments: read(
        builder, arguments[0], kind=_FLOAT
    )


@intrinsic
def poke(typingctx, address, value):
    """Write one float32."""

    def code(context, builder, signature, arguments):
        write(builder, arguments[1], arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), code


@intrinsic
def first(typingctx, value, count):
    """Keep the first `count` lanes, of which there may be none or all, and set the others to 0."""

    def code(context, builder, signature, arguments):
        value, count = arguments
        limit = lesser_integer(builder, count, integer(LANES))
        limit = builder.select(builder.icmp_signed("<", limit, integer(0)), integer(0), limit)
        inside = builder.icmp_signed(
            "<", ir.Constant(_INTS, list(range(LANES))), spread(builder, builder.trunc(limit, _INT))
        )
        return builder.select(inside, value, zero())

    return vec(vec, types.int64), code


def lesser_integer(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Take the lesser of two int64."""
    return builder.select(builder.icmp_signed("<", a, b), a, b)


@intrinsic
def total(typingctx, value):
    """Add up all lanes."""

    def code(context, builder, signature, arguments):
        (value,) = arguments
        width = LANES // 2
        while width:
            other = builder.shuffle_vector(
                value, value, ir.Constant(_INTS, [(k + width) % LANES for k in range(LANES)])
            )
            value, width = builder.fadd(value, other), width // 2
        return builder.extract_element(value, ir.Constant(_INT, 0))

    return types.float32(vec), code


@intrinsic
def normal(typingctx, key, index):
    """Draw pseudo-random numbers of mean 0 and variance 1 for the positions index, index + 1, ...

    Each is a sum of four uniform 16-bit numbers. Key and position alone decide it; the vectors' length, the order and
    the number of threads do not matter.
    """

    def code(context, builder, signature, arguments):
        key, index = (builder.trunc(argument, _INT) for argument in arguments)
        place = builder.add(spread(builder, index), ir.Constant(_INTS, list(range(LANES))))
        once = _scrambled(builder, builder.add(builder.mul(place, constant(0x9E3779B1, _INTS)), spread(builder, key)))
        twice = _scrambled(builder, builder.xor(once, constant(0x85EBCA6B, _INTS)))
        parts = [
            f(word)
            for word in (once, twice)
            for f in (
                lambda w: builder.and_(w, constant(0xFFFF, _INTS)),
                lambda w: builder.lshr(w, constant(16, _INTS)),
            )
        ]
        summed = builder.add(builder.add(parts[0], parts[1]), builder.add(parts[2], parts[3]))
        return builder.fmul(builder.fsub(builder.sitofp(summed, _FLOATS), constant(131070.0)), constant(3**0.5 / 65536))

    return vec(types.int64, types.int64), code


@intrinsic
def poke_long(typingctx, address, value):
    """Write one int64."""

    def code(context, builder, signature, arguments):
        builder.store(arguments[1], at(builder, arguments[0], 0, _LONG), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


@compiled
def clear(address, size):
    """Write zeros over `size` bytes, a whole number of floats."""
    nothing = full(types.float32(0))
    done = 0
    while done + BYTES <= size:
        store(address + done, nothing)
        done += BYTES
    while done < size:
        poke(address + done, types.float32(0))
        done += 4


@compiled
def add_onto(target, source, size):
    """Add the floats at `source` to those at `target`, over `size` bytes, a whole number of vectors."""
    for done in range(0, size, BYTES):
        store(target + done, load(target + done) + load(source + done))


# Atomic operations, for threads that wait for one another.


@intrinsic
def atomic_add(typingctx, address, amount):
    """Add to an int64 in memory and return what stood there before."""

    def code(context, builder, signature, arguments):
        return builder.atomic_rmw("add", at(builder, arguments[0], 0, _LONG), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), code


@intrinsic
def atomic_load(typingctx, address):
    """Read an int64 that other threads change."""

    def code(context, builder, signature, arguments):
        return builder.load_atomic(at(builder, arguments[0], 0, _LONG), "seq_cst", 8, typ=_LONG)

    return types.int64(types.int64), code
