"""A layer that has a record is part of a program, which knows nothing else of it."""

import numba
import numpy as np
import pytest
from routes import StepSettings, by_layers

from fastnn import MultiLayerNetExtend, optimizers
from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import vector
from fastnn.kernels.machine import catalogue
from fastnn.kernels.program import making
from fastnn.kernels.program.places import place
from fastnn.kernels.program.step import Step
from fastnn.layers import Affine, Dropout, Relu, Sigmoid
from fastnn.layers import record as _record
from fastnn.layers.activations import Elementwise
from fastnn.layers.record import Record
from fastnn.program import Program
from fastnn.program.data import samples
from fastnn.program.inference import scores_of

N, D, C, BATCH, STEPS = 60, 5, 3, 12, 20


@numba.njit(inline="always")
def curve_each(x, setting, out):
    for i in range(x.size):
        out[i] = x[i] + x.dtype.type(setting) * x[i] * x[i]


@numba.njit(inline="always")
def curve_gradient(dout, x, setting, dx):
    one, twice = x.dtype.type(1), x.dtype.type(2 * setting)
    for i in range(x.size):
        dx[i] = dout[i] * (one + twice * x[i])


@numba.njit(inline="always")
def bent_each(x, setting, out):
    for i in range(x.size):
        out[i] = x[i] if x[i] > 0 else x[i] * x.dtype.type(0.25)


@numba.njit(inline="always")
def bent_gradient(dout, y, setting, dx):
    for i in range(y.size):
        dx[i] = dout[i] if y[i] > 0 else dout[i] * y.dtype.type(0.25)


class Curve:
    """x + setting x^2, whose gradient needs the input."""

    def __init__(self, bend=0.125):
        self.bend = bend

    def forward(self, x, train_flg=True):
        self.x, real = x, x.dtype.type
        return x + real(self.bend) * x * x

    def backward(self, dout):
        real = dout.dtype.type
        return dout * (real(1) + real(2 * self.bend) * self.x)


class Bent:
    """x above zero, a quarter of it below, whose gradient needs no more than the output."""

    def forward(self, x, train_flg=True):
        self.y = np.where(x > 0, x, x * x.dtype.type(0.25))
        return self.y

    def backward(self, dout):
        return np.where(self.y > 0, dout, dout * dout.dtype.type(0.25))


def parts_of(name, each, gradient):
    """Return what makes the steps of an activation and of its gradient, by the parts' names."""

    @serial
    def forward(p, s, first, count, worker, like):
        size, own = like.itemsize, worker * p.block
        source = place(s.source, s.source_local, first, own, s.d * size)
        target = place(s.target, s.target_local, first, own, s.h * size)
        each(vector(source, count * s.d, like), s.setting, vector(target, count * s.h, like))

    @serial
    def backward(p, s, first, count, worker, like):
        size, own = like.itemsize, worker * p.block
        target = place(s.target, s.target_local, first, own, s.h * size)
        other = place(s.other, s.other_local, first, own, s.h * size)
        d = vector(target, count * s.h, like)
        gradient(d, vector(other, count * s.h, like), s.setting, d)

    return {name: making.step_of(forward), f"{name}_gradient": making.step_of(backward)}


PARTS = parts_of("curve", curve_each, curve_gradient) | parts_of("bent", bent_each, bent_gradient)
catalogue.add_parts(__name__, *PARTS)


def steps_of(name):
    return Step(name, part=name), Step(f"gradient of {name}", part=f"{name}_gradient")


CURVE = Elementwise(steps_of("curve"), setting="bend", from_input=True)
BENT = Elementwise(steps_of("bent"))
RECORDS = [
    Record(
        Curve, "curve", settings=("bend",), left=("x",), forward=CURVE.forward,
        backward=CURVE.backward,
    ),
    Record(Bent, "bent", left=("y",), forward=BENT.forward, backward=BENT.backward),
]  # fmt: skip


@pytest.fixture(autouse=True)
def known(monkeypatch):
    for record in RECORDS:
        monkeypatch.setitem(_record._RECORDS, record.kind, record)


STACKS = {
    "between affine layers": lambda affine: [affine(0), Curve(), affine(1), Bent(), affine(2)],
    "settings": lambda affine: [affine(0), Curve(0.25), affine(1), Curve(-0.1), affine(2)],
    "one after another": lambda affine: [
        affine(0), Bent(), Curve(), Relu(), affine(1),
        Curve(), Curve(), Bent(), Sigmoid(), affine(2),
    ],
    "what others keep": lambda affine: [
        affine(0), Relu(), Bent(), Relu(), Curve(), affine(1), Sigmoid(), Curve(), affine(2)
    ],
    "first and last": lambda affine: [
        Bent(), Curve(), affine(0), Curve(), affine(1), affine(2), Curve()
    ],
    "with dropout": lambda affine: [
        affine(0), Curve(), Dropout(0.3, seed=1, inverted=True), Bent(), Dropout(0.2, seed=2),
        affine(1), Bent(), Dropout(0.3, seed=3, inverted=True), affine(2)
    ],
}  # fmt: skip


def network(stack, dtype):
    net = MultiLayerNetExtend(D, [6, 7], C, seed=3, dtype=dtype)

    def affine(i):
        layer = net.layers[f"Affine{i + 1}"]
        made = Affine(layer.W, layer.b)
        made.input_gradient = True
        return made

    found = STACKS[stack](affine)
    net.layers.clear()
    net.layers.update({f"{type(layer).__name__}{i}": layer for i, layer in enumerate(found)})
    return net


def data(dtype):
    rng = np.random.default_rng(5)
    return rng.normal(size=(N, D)).astype(dtype), rng.integers(0, C, N)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stack", STACKS)
def test_a_program_trains_what_records_say(stack, dtype):
    (x, t), trained = data(dtype), []
    rows = np.random.default_rng(6).integers(0, N, STEPS * BATCH)
    for route in (Program, by_layers):
        net, losses = network(stack, dtype), np.zeros(STEPS)
        steps = route(net, optimizers.SGD(0.1), x, t, BATCH, StepSettings())
        steps.run(rows, BATCH, np.full(STEPS, 0.1), losses, np.zeros(STEPS, np.int64))
        trained.append((net.params, losses))
    (ours, losses), (theirs, expected) = trained
    # NumPy does not fuse multiply and add: a rounding more in each element, in each step.
    eps = STEPS * 32 * np.finfo(dtype).eps
    np.testing.assert_allclose(losses, expected, rtol=eps)
    for key, p in ours.items():
        np.testing.assert_allclose(p, theirs[key], rtol=eps, atol=eps, err_msg=key)


def test_a_changed_setting_makes_another_plan():
    x, t = data(np.float64)
    net = network("settings", np.float64)
    program = Program(net, optimizers.SGD(0.1), x, t, BATCH, StepSettings())
    rows, nothing = np.arange(BATCH), np.zeros(1, np.int64)
    losses = []
    for bend in (0.25, 0.5, 0.25):
        net.layers["Curve1"].bend = bend
        loss = np.zeros(1)
        program.run(rows, BATCH, np.zeros(1), loss, nothing)
        losses.append(float(loss[0]))
    assert losses[0] == losses[2] != losses[1]


@pytest.mark.parametrize("stack", [stack for stack in STACKS if "dropout" not in stack])
def test_inference_knows_what_has_a_record(stack):
    (x, _), net = data(np.float64), network(stack, np.float64)
    found = scores_of([*net.layers.items()], samples(x, 1.0, net.dtype), net.dtype)
    expected = x
    for layer in net.layers.values():
        expected = layer.forward(expected)
    eps = 64 * np.finfo(float).eps
    np.testing.assert_allclose(found, expected, rtol=eps, atol=eps * np.abs(expected).max())
