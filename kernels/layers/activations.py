"""Activations and softmax, and their backward passes.

The gradient follows from the output y where that says what the input was, so that the program may
write over the input; GELU and SiLU fall and rise, and theirs follows from the input x.
"""

import inspect
import math

from fastnn.kernels.codegen.compile import inlined, row_sum, serial
from fastnn.kernels.codegen.elementary import erfc, exp, expm1, log1p, maximum
from fastnn.kernels.codegen.elementary import tanh as _tanh
from fastnn.kernels.codegen.rounds import side_by_side
from fastnn.kernels.machine.words import REFUSED
from fastnn.kernels.plain.table import LINE
from fastnn.kernels.threading.driver import kernel

__all__ = [
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "gelu_tanh",
    "gelu_tanh_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]


# These are inlined: where both arrays are one, the compiler must see it, else it leaves the loop
# scalar (10 times slower), since a store might be to what is loaded next.


@inlined
def relu_each(x, out):
    """Write max(x, 0)."""
    zero = x.dtype.type(0)
    for i in range(x.size):
        out[i] = zero if x[i] <= zero else x[i]  # NaN is not <= 0 and passes


@inlined
def relu_gradient(dout, y, dx):
    """Write dout where y is above zero, else zero."""
    zero = y.dtype.type(0)
    for i in range(y.size):
        dx[i] = zero if y[i] <= zero else dout[i]


@inlined
def sigmoid_each(x, out):
    """Write 1 / (1 + exp(-x))."""
    side_by_side()
    one = x.dtype.type(1)
    for i in range(x.size):
        out[i] = one / (one + exp(-x[i]))


@inlined
def sigmoid_gradient(dout, y, dx):
    """Write dout y (1 - y)."""
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dout[i] * (one - y[i]) * y[i]


@inlined
def tanh_each(x, out):
    """Write tanh(x)."""
    side_by_side()
    for i in range(x.size):
        out[i] = _tanh(x[i])


@inlined
def tanh_gradient(dout, y, dx):
    """Write dout (1 - y^2)."""
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dout[i] * (one - y[i] * y[i])


@inlined
def leaky_relu_each(x, negative_slope, out):
    """Write x where it is above zero, else negative_slope x."""
    zero, slope = x.dtype.type(0), x.dtype.type(negative_slope)
    for i in range(x.size):
        out[i] = slope * x[i] if x[i] <= zero else x[i]


@inlined
def leaky_relu_gradient(dout, y, negative_slope, dx):
    """Write dout where y is above zero, else negative_slope dout."""
    zero, slope = y.dtype.type(0), y.dtype.type(negative_slope)
    for i in range(y.size):
        dx[i] = slope * dout[i] if y[i] <= zero else dout[i]


@inlined
def elu_each(x, alpha, out):
    """Write x where it is above zero, else alpha (exp(x) - 1)."""
    side_by_side()
    zero, scale = x.dtype.type(0), x.dtype.type(alpha)
    for i in range(x.size):
        out[i] = scale * expm1(x[i]) if x[i] <= zero else x[i]


@inlined
def elu_gradient(dout, y, alpha, dx):
    """Write dout where y is above zero, else dout (y + alpha)."""
    zero, scale = y.dtype.type(0), y.dtype.type(alpha)
    for i in range(y.size):
        dx[i] = dout[i] * (y[i] + scale) if y[i] <= zero else dout[i]


@inlined
def softplus_each(x, out):
    """Write log(1 + exp(x)), as max(x, 0) + log(1 + exp(-|x|))."""
    side_by_side()
    zero = x.dtype.type(0)
    for i in range(x.size):
        out[i] = (x[i] if x[i] > zero else zero) + log1p(exp(-abs(x[i])))


@inlined
def softplus_gradient(dout, y, dx):
    """Write dout (1 - exp(-y))."""
    side_by_side()
    for i in range(y.size):
        dx[i] = dout[i] * -expm1(-y[i])


@inlined
def silu_each(x, out):
    """Write x / (1 + exp(-x))."""
    side_by_side()
    one = x.dtype.type(1)
    for i in range(x.size):
        out[i] = x[i] / (one + exp(-x[i]))


@inlined
def _sigmoids(x, zero, one):
    """Return sigmoid(x) and sigmoid(-x), of which neither loses digits."""
    e = exp(-abs(x))
    larger = one / (one + e)
    smaller = e * larger
    return (smaller, larger) if x < zero else (larger, smaller)


@inlined
def silu_gradient(dout, x, dx):
    """Write dout s (1 + x (1 - s)), s = 1 / (1 + exp(-x))."""
    side_by_side()
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.size):
        s, rest = _sigmoids(x[i], zero, one)
        dx[i] = dout[i] * (s * (one + x[i] * rest))


@inlined
def gelu_each(x, out):
    """Write x P(x), P(x) = erfc(-x / sqrt(2)) / 2."""
    side_by_side()
    half, root = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    for i in range(x.size):
        out[i] = x[i] * (half * erfc(-root * x[i]))


@inlined
def gelu_gradient(dout, x, dx):
    """Write dout (P(x) + x p(x)), p(x) = exp(-x^2 / 2) / sqrt(2 pi)."""
    side_by_side()
    half, root = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    scale = x.dtype.type(math.sqrt(2 / math.pi))
    for i in range(x.size):
        # One product in the sum: of two, scalar code may fuse the one and vector code the other.
        twice = erfc(-root * x[i]) + x[i] * (scale * exp(-half * x[i] * x[i]))
        dx[i] = dout[i] * (half * twice)


# tanh(u) = 2 sigmoid(2 u) - 1, and 1 + tanh(u) has no digits left where u is low.
_TWICE = 2 * math.sqrt(2 / math.pi)
_CUBIC = 0.044715
_FLAT = 100.0  # the derivative is 0 or 1 from here on, long before a square is too large


@inlined
def gelu_tanh_each(x, out):
    """Write x s(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3), s = 1 / (1 + exp(-2 u))."""
    side_by_side()
    one, twice, cubic = x.dtype.type(1), x.dtype.type(_TWICE), x.dtype.type(_CUBIC)
    for i in range(x.size):
        u = twice * x[i] * (one + cubic * x[i] * x[i])
        out[i] = x[i] / (one + exp(-u))


@inlined
def gelu_tanh_gradient(dout, x, dx):
    """Write dout (s + x s (1 - s) 2 u'), u' = sqrt(2 / pi) (1 + 3 0.044715 x^2)."""
    side_by_side()
    one, twice, cubic = x.dtype.type(1), x.dtype.type(_TWICE), x.dtype.type(_CUBIC)
    zero, three, flat = x.dtype.type(0), x.dtype.type(3), x.dtype.type(_FLAT)
    for i in range(x.size):
        near = flat if x[i] > flat else x[i]
        near = -flat if near < -flat else near
        square = cubic * near * near
        s, rest = _sigmoids(twice * near * (one + square), zero, one)
        dx[i] = dout[i] * (s + x[i] * (s * rest) * (twice * (one + three * square)))


@serial
def same(x, out):
    """Say whether two arrays of one size are one."""
    return x.ctypes.data == out.ctypes.data


_BODY = """
def {name}({args}, start, stop):
    {arrays} = {parts}
    if _same({first}, {last}):
        _each({aliased})
    else:
        _each({args})
"""


def _elementwise(name, each):
    """Make a kernel of a function that writes its last argument, which may be its first one.

    Parameters
    ----------
    name : str
    each : compiled function of (x, out) or (dout, kept, dx), flat arrays, with or without a
        setting before the last
    """
    function = getattr(each, "py_func", each)  # NUMBA_DISABLE_JIT has none
    args = list(inspect.signature(function).parameters)
    arrays = [a for a in args if a in ("dout", "dx", "out", "x", "y")]
    source = _BODY.format(
        name=name,
        args=", ".join(args),
        arrays=", ".join(arrays),
        parts=", ".join(f"{a}[start:stop]" for a in arrays),
        first=args[0],
        last=args[-1],
        aliased=", ".join([args[-1], *args[1:]]),
    )
    names = {"_same": same, "_each": each, "__name__": __name__}
    exec(compile(source, f"<body of {name}>", "exec"), names)
    names[name].__doc__ = function.__doc__
    return kernel(f"{args[0]}.size", LINE)(names[name])


relu = _elementwise("relu", relu_each)
relu_backward = _elementwise("relu_backward", relu_gradient)
sigmoid = _elementwise("sigmoid", sigmoid_each)
sigmoid_backward = _elementwise("sigmoid_backward", sigmoid_gradient)
tanh = _elementwise("tanh", tanh_each)
tanh_backward = _elementwise("tanh_backward", tanh_gradient)
leaky_relu = _elementwise("leaky_relu", leaky_relu_each)
leaky_relu_backward = _elementwise("leaky_relu_backward", leaky_relu_gradient)
elu = _elementwise("elu", elu_each)
elu_backward = _elementwise("elu_backward", elu_gradient)
softplus = _elementwise("softplus", softplus_each)
softplus_backward = _elementwise("softplus_backward", softplus_gradient)
silu = _elementwise("silu", silu_each)
silu_backward = _elementwise("silu_backward", silu_gradient)
gelu = _elementwise("gelu", gelu_each)
gelu_backward = _elementwise("gelu_backward", gelu_gradient)
gelu_tanh = _elementwise("gelu_tanh", gelu_tanh_each)
gelu_tanh_backward = _elementwise("gelu_tanh_backward", gelu_tanh_gradient)


@row_sum
def sum_of(row):
    """Sum of a row."""
    total = row.dtype.type(0)
    for j in range(row.size):
        total += row[j]
    return total


@serial
def exp_each(x):
    """Replace x by exp(x)."""
    for i in range(x.size):
        x[i] = exp(x[i])


@serial
def exp_shifted(row, e):
    """Write exp(row - max(row)), which cannot overflow, to e; return the maximum and the sum."""
    largest = maximum(row)
    for j in range(row.size):
        e[j] = exp(row[j] - largest)
    return largest, sum_of(e)


@kernel("x.shape[0]")
def _softmax(x, out, start, stop):
    for i in range(start, stop):
        y = out[i]
        _, total = exp_shifted(x[i], y)
        for j in range(y.size):
            y[j] /= total


@serial
def softmax(x, out, chunks, _space):
    """Turn each row into probabilities."""
    if x.shape[1] == 0:
        return REFUSED
    return _softmax(x, out, chunks)
