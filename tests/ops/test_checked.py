"""The quick path of every function of ops, by machine code alone, against the slow one.

Both give the same bits, shapes and errors. What the quick path is not made for it refuses before
it has written anything. `CASES` says how to call a function; a function without a case fails.
"""

import gc
import inspect
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fastnn import ops
from fastnn.kernels.calls import routine, update_routine
from fastnn.kernels.machine import layout, words

pytestmark = pytest.mark.skipif(not layout.is_known(), reason="objects that are not looked into")

FUNCTIONS = {name: f for name in ops.__all__ if inspect.isfunction(f := getattr(ops, name))}


class Draw:
    """Values of one dtype for a case."""

    def __init__(self, dtype, seed=0):
        self.dtype, self.rng = np.dtype(dtype), np.random.default_rng(seed)

    def __call__(self, *shape):
        return self.rng.standard_normal(shape).astype(self.dtype)

    def positive(self, *shape):
        return np.abs(self(*shape)) + self.dtype.type(0.5)

    def empty(self, *shape, dtype=None):
        return np.full(shape, 77, dtype or self.dtype)


def elementwise(*inputs, **settings):
    def make(draw):
        output = "out" if inputs == ("x",) else "dx"
        arrays = {name: draw.positive(4, 3, 5) for name in inputs}
        return arrays | settings | {output: draw.empty(4, 3, 5)}

    return make


def affine(draw):
    arrays = {"x": draw(6, 5), "W": draw(5, 4), "b": draw(4)}
    return arrays | {"out": draw.empty(6, 4)}


def affine_backward(draw, relu=False, **settings):
    y = {"y": draw(6, 4)} if relu else {}
    outputs = {"dx": draw.empty(6, 5), "dW": draw.empty(5, 4), "db": draw.empty(4)}
    if not settings.get("input_gradient", True):
        del outputs["dx"]
    return {"dout": draw(6, 4), "x": draw(6, 5), "W": draw(5, 4)} | y | settings | outputs


def softmax(draw):
    return {"x": draw(6, 5), "out": draw.empty(6, 5)}


def labels(draw):
    return {"x": draw(6, 5), "t": draw.rng.integers(0, 5, 6), "dx": draw.empty(6, 5)}


def probabilities(draw):
    t = draw.positive(6, 5)
    return {"x": draw(6, 5), "t": t / t.sum(axis=1, keepdims=True), "dx": draw.empty(6, 5)}


def numbers(draw):
    return {"x": draw(6, 5), "t": draw(6, 5), "dx": draw.empty(6, 5)}


def answers(draw):
    return {"x": draw(6, 5), "t": (draw(6, 5) > 0).astype(draw.dtype), "dx": draw.empty(6, 5)}


def counts(draw):
    return {"x": draw(6, 5), "t": draw.positive(6, 5), "dx": draw.empty(6, 5)}


def batchnorm(draw, shape=(6, 5)):
    features = {name: draw.positive(5) for name in ("gamma", "beta", "running_mean", "running_var")}
    return {"x": draw(*shape)} | features | {"out": draw.empty(*shape)}


def batchnorm_backward(draw, shape=(6, 5), relu=False):
    features = {name: draw.positive(5) for name in ("gamma", "mean", "rstd")}
    y = {"y": draw(*shape)} if relu else {}
    outputs = {"dx": draw.empty(*shape), "dgamma": draw.empty(5), "dbeta": draw.empty(5)}
    return {"dout": draw(*shape), "x": draw(*shape)} | features | y | outputs


def layernorm(draw):
    return {"x": draw(6, 5), "gamma": draw(5), "beta": draw(5), "out": draw.empty(6, 5)}


def layernorm_backward(draw):
    outputs = {"dx": draw.empty(6, 5), "dgamma": draw.empty(5), "dbeta": draw.empty(5)}
    rows = {"mean": draw(6), "rstd": draw.positive(6)}
    return {"dout": draw(6, 5), "x": draw(6, 5), "gamma": draw(5)} | rows | outputs


def dropout(draw, **settings):
    keys = {"ratio": 0.4, "seed": 5, "step": 2}
    outputs = {"out": draw.empty(4, 3, 5), "mask": np.ones((4, 3, 5), bool)}
    return {"x": draw(4, 3, 5)} | keys | settings | outputs


def dropout_backward(draw):
    mask = draw.rng.random((4, 3, 5)) < 0.5
    return {"dout": draw(4, 3, 5), "mask": mask, "ratio": 0.4, "dx": draw.empty(4, 3, 5)}


WINDOW = {"pool_h": 2, "pool_w": 3, "stride": 2}
IMAGES, POOLED = (2, 3, 6, 7), (2, 3, 3, 3)


def max_pool(draw):
    outputs = {"out": draw.empty(*POOLED), "argmax": draw.empty(*POOLED, dtype=np.int32)}
    return {"x": draw(*IMAGES)} | WINDOW | outputs


def max_pool_backward(draw):
    argmax = draw.rng.integers(0, 6, POOLED).astype(np.int32)
    arrays = {"dout": draw(*POOLED), "argmax": argmax, "input_shape": IMAGES}
    return arrays | WINDOW | {"dx": draw.empty(*IMAGES)}


def max_pool_backward_shared(draw):
    x = draw(*IMAGES)
    y, _ = ops.max_pool(x, **WINDOW)
    return {"dout": draw(*POOLED), "x": x, "y": y} | WINDOW | {"dx": draw.empty(*IMAGES)}


FILTER = {"filter_h": 2, "filter_w": 3, "stride": 2, "pad": 1}


def im2col(draw):
    return {"x": draw(*IMAGES)} | FILTER | {"out": draw.empty(2 * 4 * 4, 3 * 2 * 3)}


def col2im(draw):
    col = {"col": draw(2 * 4 * 4, 3 * 2 * 3), "input_shape": IMAGES}
    return col | FILTER | {"out": draw.empty(*IMAGES)}


def convolution(draw):
    arrays = {"x": draw(*IMAGES), "W": draw(4, 3, 2, 3), "b": draw(4)}
    return arrays | {"stride": 2, "pad": 1, "out": draw.empty(2, 4, 4, 4)}


def convolution_backward(draw, **settings):
    arrays = {"dout": draw(2, 4, 4, 4), "x": draw(*IMAGES), "W": draw(4, 3, 2, 3)}
    outputs = {"dx": draw.empty(*IMAGES), "dW": draw.empty(4, 3, 2, 3), "db": draw.empty(4)}
    if not settings.get("input_gradient", True):
        del outputs["dx"]
    return arrays | {"stride": 2, "pad": 1} | settings | outputs


def order(draw):
    return {"n": 9, "seed": 5, "step": 2, "out": draw.empty(9, dtype=np.int64)}


def choices(draw):
    return {"n": 9, "size": 7, "seed": 5, "step": 2, "out": draw.empty(7, dtype=np.int64)}


def update(*states, **settings):
    def make(draw):
        return {name: draw.positive(4, 3) for name in ("p", "g", *states)} | settings

    return make


# By function, its cases; outputs that may be left out are the last.
CASES = {
    "affine": [affine],
    "affine_relu": [affine],
    "affine_backward": [affine_backward, lambda d: affine_backward(d, input_gradient=False)],
    "affine_relu_backward": [
        lambda d: affine_backward(d, relu=True),
        lambda d: affine_backward(d, relu=True, input_gradient=False),
    ],
    "softmax": [softmax],
    "softmax_cross_entropy": [labels, probabilities],
    "mean_squared_error": [numbers],
    "binary_cross_entropy": [answers],
    "poisson": [counts],
    "huber": [numbers],
    "batchnorm": [batchnorm, lambda d: batchnorm(d, (3, 5, 2, 4))],
    "batchnorm_relu": [batchnorm, lambda d: batchnorm(d, (3, 5, 2, 4))],
    "batchnorm_inference": [batchnorm, lambda d: batchnorm(d, (3, 5, 2, 4))],
    "batchnorm_relu_inference": [batchnorm, lambda d: batchnorm(d, (3, 5, 2, 4))],
    "batchnorm_backward": [batchnorm_backward, lambda d: batchnorm_backward(d, (3, 5, 2, 4))],
    "batchnorm_relu_backward": [
        lambda d: batchnorm_backward(d, relu=True),
        lambda d: batchnorm_backward(d, (3, 5, 2, 4), relu=True),
    ],
    "layernorm": [layernorm],
    "layernorm_backward": [layernorm_backward],
    "dropout": [dropout, lambda d: dropout(d, inverted=True)],
    "dropout_backward": [dropout_backward],
    "dropout_inference": [elementwise("x", ratio=0.4), elementwise("x", ratio=0.4, inverted=True)],
    "max_pool": [max_pool],
    "max_pool_backward": [max_pool_backward],
    "max_pool_backward_shared": [max_pool_backward_shared],
    "im2col": [im2col],
    "col2im": [col2im],
    "convolution": [convolution],
    "convolution_backward": [
        convolution_backward,
        lambda d: convolution_backward(d, input_gradient=False),
    ],
    "permutation": [order],
    "choices": [choices],
    "sgd_": [update(lr=0.1)],
    "momentum_": [update("v", lr=0.1)],
    "nesterov_": [update("v", lr=0.1)],
    "adagrad_": [update("h", lr=0.1)],
    "rmsprop_": [update("h", lr=0.1)],
    "adam_": [update("m", "v", step=3, lr=0.1)],
    "nadam_": [update("m", "v", step=3, mu_product=0.9, lr=0.1)],
    "adamax_": [update("m", "u", step=3, lr=0.1)],
    "amsgrad_": [update("m", "v", "v_max", step=3, lr=0.1)],
    "lion_": [update("m", lr=0.1)],
}
CASES |= {name: [elementwise("x")] for name in ("relu", "sigmoid", "tanh", "silu", "softplus")}
CASES |= {
    f"{name}_backward": [elementwise("dout", "y")]
    for name in ("relu", "sigmoid", "tanh", "softplus")
}
CASES |= {
    "silu_backward": [elementwise("dout", "x")],
    "leaky_relu": [elementwise("x", negative_slope=0.1)],
    "leaky_relu_backward": [elementwise("dout", "y", negative_slope=0.1)],
    "elu": [elementwise("x", alpha=0.5)],
    "elu_backward": [elementwise("dout", "y", alpha=0.5)],
    "gelu": [elementwise("x"), elementwise("x", approximate="tanh")],
    "gelu_backward": [
        elementwise("dout", "x"),
        elementwise("dout", "x", approximate="tanh"),
    ],
}
OUTPUTS = {"out", "dx", "dW", "db", "dgamma", "dbeta", "argmax", "mask"}
# Places and masks that are read, not written.
READ = {("max_pool_backward", "argmax"), ("dropout_backward", "mask")}
# What has no quick path, or none without all outputs: their shapes follow from numbers.
NEED_OUTPUTS = {"max_pool", "max_pool_backward", "im2col", "col2im", "convolution"}

EACH = [(name, number) for name in sorted(CASES) for number in range(len(CASES[name]))]
each_case = pytest.mark.parametrize(("name", "number"), EACH)


class SlowError(Exception):
    """The call has left the quick path for a kernel."""


@contextmanager
def only_quickly():
    """Let calls fail that come to the kernel by the slow path."""

    def fail(self, *args):
        raise SlowError(self.name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routine.Routine, "run", fail)
        patch.setattr(update_routine.UpdateRoutine, "update", fail)
        yield


@contextmanager
def only_slowly():
    """Let machine code refuse all calls."""
    table = routine.shared()
    was, table[words.ENABLED] = table[words.ENABLED], 0
    try:
        yield
    finally:
        table[words.ENABLED] = was


def made(name, number, dtype="float32"):
    """Return arguments of a function whose kernel is loaded."""
    args = CASES[name][number](Draw(dtype))
    with only_slowly():
        FUNCTIONS[name](**copied(args))
    FUNCTIONS[name](**copied(args))
    return args


def copied(args):
    """Return arguments of which no two share memory, each array as it is laid out."""
    return {key: a.copy("K") if type(a) is np.ndarray else a for key, a in args.items()}


def outputs_of(name, args):
    return [key for key in args if key in OUTPUTS and (name, key) not in READ]


def bits(value):
    """Return what tells results apart: types, shapes and bytes."""
    if isinstance(value, tuple):
        return tuple(map(bits, value))
    if isinstance(value, np.ndarray):
        return type(value), value.dtype, value.shape, value.tobytes()
    return type(value), np.float64(value).tobytes() if isinstance(value, float) else value


def memory(args):
    """Return the bytes of all arrays."""
    return {key: a.tobytes() for key, a in args.items() if isinstance(a, np.ndarray)}


def outcome(name, args):
    """Return what a call does: result and arrays, or error."""
    try:
        result = FUNCTIONS[name](**args)
    except (TypeError, ValueError) as error:
        return type(error), str(error)
    given = [next((k for k, a in args.items() if a is r), None) for r in in_tuple(result)]
    return bits(result), given, memory(args)


def in_tuple(result):
    return result if isinstance(result, tuple) else (result,)


def expect_alike(name, args, make_again):
    """Compare the paths; return whether the quick one takes the call, or changes nothing."""
    with only_slowly():
        expected = outcome(name, make_again(args))
    assert outcome(name, make_again(args)) == expected
    given = make_again(args)
    before = memory(given)
    try:
        with only_quickly():
            FUNCTIONS[name](**given)
    except (SlowError, TypeError, ValueError):
        assert memory(given) == before, "refused, but something was written"
        return False
    return True


def test_each_function_has_a_case():
    assert set(CASES) == set(FUNCTIONS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_case
def test_quick_and_slow_path_give_the_same(name, number, dtype):
    args = made(name, number, dtype)
    assert expect_alike(name, args, copied)
    outputs = outputs_of(name, args)
    without = {key: a for key, a in args.items() if key not in outputs}
    assert expect_alike(name, without, copied) or name in NEED_OUTPUTS
    for key in outputs:
        one_less = {k: a for k, a in args.items() if k != key}
        assert expect_alike(name, one_less, copied) or name in NEED_OUTPUTS


def arrays_of(args):
    return [key for key, a in args.items() if isinstance(a, np.ndarray)]


def strided(a):
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def unaligned(a):
    memory = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    memory[...] = a
    return memory


class Sub(np.ndarray):
    """A class of arrays of the user's own."""


LAYOUTS = {
    "strided": strided,
    "unaligned": unaligned,
    "Fortran": np.asfortranarray,
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "subclass": lambda a: a.copy().view(Sub),
    "list": lambda a: a.tolist(),
    "half": lambda a: a.astype(np.float16),
    "other": lambda a: a.astype(np.float64 if a.dtype == np.float32 else np.float32),
    "integers": lambda a: a.astype(np.int16),
    "objects": lambda a: a.astype(object),
    "longer": lambda a: np.concatenate([a, a[-1:]]),
    "shorter": lambda a: a[:-1].copy(),
    "an axis more": lambda a: a[None].copy(),
    "an axis less": lambda a: a.reshape(a.shape[0], -1)[:, 0].copy(),
}
# What changes nothing of an array that machine code looks at.
SAME = {
    "Fortran": lambda a: a.ndim == 1,
    "unaligned": lambda a: a.itemsize == 1,
    "swapped": lambda a: a.itemsize == 1,
    "an axis less": lambda a: a.ndim == 1,
}
SHAPES = {"longer", "shorter", "an axis more", "an axis less"}


@pytest.mark.parametrize("kind", LAYOUTS)
@each_case
def test_other_arrays_are_refused_before_anything_is_written(name, number, kind):
    args = made(name, number)
    for key in arrays_of(args):
        if SAME.get(kind, lambda a: False)(args[key]):
            continue

        def change(args, key=key):
            args = copied(args)
            return args | {key: LAYOUTS[kind](args[key])}

        quick = expect_alike(name, args, change)
        assert not quick or kind in SHAPES, key


def frozen(a):
    a.flags.writeable = False
    return a


@each_case
def test_arrays_that_cannot_be_written(name, number):
    args = made(name, number)
    for key in arrays_of(args):

        def freeze(args, key=key):
            args = copied(args)
            return args | {key: frozen(args[key])}

        assert not (expect_alike(name, args, freeze) and key in outputs_of(name, args)), key


def placed_over(args, one, other, shift):
    """Return arguments of which two arrays share memory, the second some elements later."""
    args = copied(args)
    a, b = args[one], args[other]
    size = max(a.nbytes, b.nbytes + shift * a.itemsize)
    memory = np.zeros(size, np.uint8)
    for key, array, start in ((one, a, 0), (other, b, shift * a.itemsize)):
        place = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        place[...] = 0 if array.dtype.kind in "iu" else array
        args[key] = place
    return args


@each_case
def test_shared_memory(name, number):
    args = made(name, number)
    for one in arrays_of(args):
        for other in arrays_of(args):
            for shift in (0, 1) if one != other else ():
                if one not in outputs_of(name, args) and other not in outputs_of(name, args):
                    continue
                quick = expect_alike(name, args, lambda a: placed_over(a, one, other, shift))  # noqa: B023
                assert not (quick and shift)


@each_case
def test_in_place(name, number):
    """Where the same object is given twice, as in `relu(x, out=x)`."""
    args = made(name, number)
    for output in outputs_of(name, args):
        for key in arrays_of(args):
            if key != output and args[key].shape == args[output].shape:

                def same(args, key=key, output=output):
                    args = copied(args)
                    return args | {output: args[key]}

                expect_alike(name, args, same)


BAD_NUMBERS = [-1, 0, 1.0, 2, 1.5, -0.5, 2**31, 2**63, 2**64 + 3, True, None, np.nan, np.inf, "2"]


@each_case
def test_numbers_out_of_range(name, number):
    args = made(name, number)
    for key, value in args.items():
        if not isinstance(value, np.ndarray) and key != "n":
            for bad in [*BAD_NUMBERS, np.float32(0.25), np.int64(2)]:
                expect_alike(name, args, lambda a: copied(a) | {key: bad})  # noqa: B023


@each_case
def test_labels_places_and_probabilities_out_of_range(name, number):
    args = made(name, number)
    for key in {"t", "argmax"} & {*arrays_of(args)} - {*outputs_of(name, args)}:
        for bad in (-1, 5, 6, 0.3, np.nan, np.iinfo(np.int32).min):
            if args[key].dtype.kind == "f" or bad == bad // 1:

                def change(args, key=key, bad=bad):
                    args = copied(args)
                    args[key].flat[-1] = bad
                    return args

                expect_alike(name, args, change)


def emptied(a, axis):
    return np.zeros([0 if i == axis else n for i, n in enumerate(a.shape)], a.dtype)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@each_case
def test_no_elements(name, number):
    args = made(name, number)
    for axis in range(max(args[key].ndim for key in arrays_of(args))):

        def empty(args, axis=axis):
            args = copied(args)
            return args | {k: emptied(args[k], axis) for k in arrays_of(args)}

        expect_alike(name, args, empty)
    for key in arrays_of(args):
        for axis in range(args[key].ndim):
            change = lambda a: copied(a) | {key: emptied(a[key], axis)}  # noqa: B023, E731
            expect_alike(name, args, change)


def test_no_axes_and_many():
    for shape in [(), (1,) * 20]:
        x = np.full(shape, -2.5)
        expect_alike("relu", {"x": x}, copied)
        assert ops.relu(x).shape == shape


def test_work_for_several_threads_is_left_to_the_slow_path():
    x = np.ones(1 << 19)
    with only_slowly():
        ops.relu(x)
    for size, quick in ((1 << 10, True), (1 << 19, False)):
        assert expect_alike("relu", {"x": x[:size]}, copied) is quick


@each_case
def test_no_references_are_kept(name, number):
    """Neither of arguments nor of results, whether the call is taken or refused."""
    args = made(name, number)
    outputs = outputs_of(name, args)
    without = {key: a for key, a in args.items() if key not in outputs}
    wrong = args | {arrays_of(args)[0]: np.ones((1, 2, 3, 4, 5))}
    dtype, none = args[arrays_of(args)[0]].dtype, None

    def calls():
        for _ in range(50):
            FUNCTIONS[name](**args)
            FUNCTIONS[name](**without)
            with pytest.raises((TypeError, ValueError)):
                FUNCTIONS[name](**wrong)

    def counts():
        gc.collect()
        held = [args[key] for key in arrays_of(args)]
        return [sys.getrefcount(a) for a in (*held, dtype, np.ndarray)]

    calls()
    before = counts()
    calls()
    # Of types and dtypes others, too, may come to hold a reference.
    assert all(now - was < 25 for was, now in zip(before, counts(), strict=True))
    assert none is None


def mean(losses):
    return float(np.add.reduce(losses, dtype=np.float64)) / losses.size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 127, 128, 129, 136, 1000, 8191, 8192, 8193, 20_001])
def test_the_mean_of_losses_has_the_bits_of_a_sum_of_numpy(n, dtype):
    x = np.random.default_rng(n).standard_normal((n, 1)).astype(dtype)
    t = np.zeros_like(x)
    losses = x.dtype.type(0.5) * (x * x)[:, 0]
    assert ops.mean_squared_error(x, t)[0] == mean(losses)


def guarded():
    """Call all functions with arrays beside pages that end the process that touches them."""
    from tests.attack.guarded import Slot, place

    for name, number in EACH:
        for dtype in ("float32", "float64"):
            args = made(name, number, dtype)
            for at_end in (False, True):
                placed = {
                    key: place(Slot(args[key].nbytes), args[key], "plain", at_end, True)
                    for key in arrays_of(args)
                }
                given = args | {key: p.array for key, p in placed.items()}
                with only_quickly():
                    FUNCTIONS[name](**given)
                assert all(p.unchanged_around() for p in placed.values()), name


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
def test_nothing_is_touched_outside_the_arrays():
    """In a process of its own: a stray access ends it."""
    root = Path(__file__).parents[2]
    script = "import test_checked; test_checked.guarded(); print('done')"
    paths = os.pathsep.join([str(root), str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"
