"""ReLU, sigmoid, tanh and softmax, and their backward passes from the forward's output."""

from fastnn.kernels.codegen.compile import inlined, row_sum, serial
from fastnn.kernels.codegen.elementary import exp, maximum
from fastnn.kernels.codegen.elementary import tanh as _tanh
from fastnn.kernels.threading.driver import LINE, kernel

__all__ = [
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
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
def sigmoid_each(x, out):
    """Write 1 / (1 + exp(-x))."""
    one = x.dtype.type(1)
    for i in range(x.size):
        out[i] = one / (one + exp(-x[i]))


@inlined
def tanh_each(x, out):
    """Write tanh(x)."""
    for i in range(x.size):
        out[i] = _tanh(x[i])


@inlined
def relu_gradient(dout, y, dx):
    """Write dout where y is above zero, else zero."""
    zero = y.dtype.type(0)
    for i in range(y.size):
        dx[i] = zero if y[i] <= zero else dout[i]


@inlined
def sigmoid_gradient(dout, y, dx):
    """Write dout y (1 - y)."""
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dout[i] * (one - y[i]) * y[i]


@inlined
def tanh_gradient(dout, y, dx):
    """Write dout (1 - y^2)."""
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dout[i] * (one - y[i] * y[i])


@kernel("x.size", LINE)
def relu(x, out, start, stop):
    """Clamp at zero from below; x and out are flat and may be one array."""
    x, out = x[start:stop], out[start:stop]
    if same(x, out):
        relu_each(out, out)
    else:
        relu_each(x, out)


@kernel("y.size", LINE)
def relu_backward(dout, y, dx, start, stop):
    """Pass dout where the output y is above zero."""
    dout, y, dx = dout[start:stop], y[start:stop], dx[start:stop]
    if same(dout, dx):
        relu_gradient(dx, y, dx)
    else:
        relu_gradient(dout, y, dx)


@kernel("x.size", LINE)
def sigmoid(x, out, start, stop):
    """Logistic function, 1 / (1 + exp(-x))."""
    x, out = x[start:stop], out[start:stop]
    if same(x, out):
        sigmoid_each(out, out)
    else:
        sigmoid_each(x, out)


@kernel("y.size", LINE)
def sigmoid_backward(dout, y, dx, start, stop):
    """Multiply dout by the derivative, y (1 - y)."""
    dout, y, dx = dout[start:stop], y[start:stop], dx[start:stop]
    if same(dout, dx):
        sigmoid_gradient(dx, y, dx)
    else:
        sigmoid_gradient(dout, y, dx)


@kernel("x.size", LINE)
def tanh(x, out, start, stop):
    """Hyperbolic tangent."""
    x, out = x[start:stop], out[start:stop]
    if same(x, out):
        tanh_each(out, out)
    else:
        tanh_each(x, out)


@kernel("y.size", LINE)
def tanh_backward(dout, y, dx, start, stop):
    """Multiply dout by the derivative, 1 - y^2."""
    dout, y, dx = dout[start:stop], y[start:stop], dx[start:stop]
    if same(dout, dx):
        tanh_gradient(dx, y, dx)
    else:
        tanh_gradient(dout, y, dx)


@serial
def same(x, out):
    """Say whether two arrays of one size are one."""
    return x.ctypes.data == out.ctypes.data


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
def softmax(x, out, start, stop):
    """Turn each row into probabilities."""
    for i in range(start, stop):
        y = out[i]
        _, total = exp_shifted(x[i], y)
        for j in range(y.size):
            y[j] /= total
