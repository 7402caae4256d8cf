"""Each kernel against its NumPy twin, over generated shapes, dtypes and values.

The walk below finds the pairs; `CASES` says how to make their arguments. A kernel without a
twin, a twin without a kernel, and a pair without a case each fail.
"""

import importlib
import inspect
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twin_cases import (
    Case,
    Draw,
    affine_forward,
    affine_gradient_size,
    affine_gradients,
    affine_size,
    backward_size,
    batchnorm,
    batchnorm_backward,
    batchnorm_inference,
    batchnorm_size,
    binary_cross_entropy_size,
    col2im_size,
    convolution,
    convolution_size,
    convolution_terms,
    cross_entropy,
    cross_entropy_size,
    dot,
    dropout,
    dropout_backward,
    dropout_inference,
    elementwise,
    from_input,
    gelu_exponent,
    gelu_gradient_size,
    gelu_size,
    gelu_tanh_exponent,
    gelu_tanh_gradient_size,
    huber_size,
    inference_size,
    layernorm,
    layernorm_backward,
    layernorm_gradient_size,
    layernorm_size,
    max_pool,
    max_pool_backward,
    max_pool_backward_shared,
    of_elements,
    patches,
    poisson_size,
    pooled_size,
    random,
    silu_gradient_size,
    smoothing,
    softmax,
    softmax_size,
    squared_error_size,
    unlimited,
)
from update_cases import (
    DECAY,
    EPS,
    RATE,
    SHARE,
    adamax_size,
    amsgrad_size,
    lion_size,
    nadam_size,
    update,
)

from fastnn import kernels, reference
from fastnn.kernels.machine import catalogue
from fastnn.kernels.updates import rule

PAIRS = {
    name: (getattr(kernels, name), getattr(reference, name))
    for name in sorted({*kernels.__all__, *reference.__all__})
    if hasattr(kernels, name) and hasattr(reference, name)
}

CASES = {
    "relu": elementwise(["x"], "out"),
    "relu_backward": elementwise(["dout", "y"], "dx"),
    "sigmoid": elementwise(["x"], "out"),
    "sigmoid_backward": elementwise(["dout", "y"], "dx"),
    "tanh": elementwise(["x"], "out"),
    "tanh_backward": elementwise(
        ["dout", "y"], "dx", magnitude=lambda a, exact: np.abs(a["dout"]) * (1 + a["y"] ** 2)
    ),
    "leaky_relu": elementwise(["x"], "out", "negative_slope"),
    "leaky_relu_backward": elementwise(["dout", "y"], "dx", "negative_slope"),
    "elu": elementwise(["x"], "out", "alpha"),
    "elu_backward": elementwise(
        ["dout", "y"],
        "dx",
        "alpha",
        magnitude=lambda a, exact: np.abs(a["dout"]) * (1 + np.abs(a["y"]) + a["alpha"]),
    ),
    "gelu": elementwise(["x"], "out", magnitude=gelu_size(gelu_exponent)),
    "gelu_backward": from_input(gelu_gradient_size),
    "gelu_tanh": elementwise(["x"], "out", magnitude=gelu_size(gelu_tanh_exponent)),
    "gelu_tanh_backward": from_input(gelu_tanh_gradient_size),
    "silu": elementwise(["x"], "out"),
    "silu_backward": from_input(silu_gradient_size),
    "softplus": elementwise(["x"], "out"),
    "softplus_backward": elementwise(["dout", "y"], "dx", kinds={"y": "positive"}),
    "softmax": Case(softmax, ("out",), softmax_size, terms=lambda a: 16 + a["x"].shape[1]),
    "affine": Case(affine_forward, ("out",), affine_size, lambda a: 16 + a["x"].shape[1]),
    "affine_relu": Case(affine_forward, ("out",), affine_size, lambda a: 16 + a["x"].shape[1]),
    "affine_backward": Case(
        lambda draw: affine_gradients(draw, relu=False),
        ("dx", "dW", "db"),
        affine_gradient_size,
        lambda a: 16 + max(a["dout"].shape),
    ),
    "affine_relu_backward": Case(
        lambda draw: affine_gradients(draw, relu=True),
        ("dx", "dW", "db"),
        affine_gradient_size,
        lambda a: 16 + max(a["dout"].shape),
    ),
    "softmax_cross_entropy": Case(
        lambda draw: cross_entropy(draw, dense=False),
        ("loss", "dx"),
        cross_entropy_size,
        lambda a: 16 + a["x"].shape[1],
    ),
    "softmax_cross_entropy_dense": Case(
        lambda draw: cross_entropy(draw, dense=True),
        ("loss", "dx"),
        cross_entropy_size,
        lambda a: 16 + a["x"].shape[1],
    ),
    "mean_squared_error": Case(
        of_elements(),
        ("loss", "dx"),
        squared_error_size,
        lambda a: 16 + a["x"].shape[1],
    ),
    "binary_cross_entropy": Case(
        of_elements(low=unlimited, high=lambda draw: np.inf, smoothing=smoothing),
        ("loss", "dx"),
        binary_cross_entropy_size,
        lambda a: 16 + a["x"].shape[1],
    ),
    "poisson": Case(
        of_elements(low=unlimited),
        ("loss", "dx"),
        poisson_size,
        lambda a: 16 + a["x"].shape[1],
    ),
    "huber": Case(
        of_elements(delta=lambda draw: draw.number(0.1, 2)),
        ("loss", "dx"),
        huber_size,
        lambda a: 16 + a["x"].shape[1],
    ),
    "layernorm": Case(
        layernorm, ("y", "mean", "rstd"), layernorm_size, lambda a: 16 + a["x"].shape[1]
    ),
    "layernorm_backward": Case(
        layernorm_backward,
        ("dx", "dgamma", "dbeta"),
        layernorm_gradient_size,
        lambda a: 16 + max(a["x"].shape),
    ),
    "im2col": Case(lambda draw: patches(draw, back=False), ("out",)),
    "col2im": Case(lambda draw: patches(draw, back=True), ("out",), col2im_size),
    "convolution": Case(
        lambda draw: convolution(draw, back=False), ("out",), convolution_size, convolution_terms
    ),
    "convolution_backward": Case(
        lambda draw: convolution(draw, back=True),
        ("dx", "dW", "db"),
        convolution_size,
        convolution_terms,
    ),
    "max_pool": Case(max_pool, ("out", "argmax")),
    "max_pool_backward": Case(max_pool_backward, ("dx",), pooled_size),
    "max_pool_backward_shared": Case(max_pool_backward_shared, ("dx",), pooled_size),
    "dropout": Case(dropout, ("out", "mask")),
    "dropout_backward": Case(dropout_backward, ("dx",)),
    "dropout_inference": Case(dropout_inference, ("out",)),
    "choices": Case(lambda draw: random(draw, "n"), ("out",)),
    "permutation": Case(random, ("out",)),
    "sgd_": update([], lr=RATE, weight_decay=DECAY),
    "momentum_": update(["v"], lr=RATE, momentum=SHARE, weight_decay=DECAY),
    "nesterov_": update(["v"], lr=RATE, momentum=SHARE, weight_decay=DECAY),
    "adagrad_": update(["h"], lr=RATE, eps=EPS, weight_decay=DECAY),
    "rmsprop_": update(["h"], lr=RATE, decay_rate=SHARE, eps=EPS, weight_decay=DECAY),
    "adam_": update(
        ["m", "v2"],
        step=(1, 1000),
        lr=RATE,
        beta1=SHARE,
        beta2=SHARE,
        eps=EPS,
        weight_decay=DECAY,
        decoupled=(0, 2),
        explicit=(0, 2),
    ),
    "nadam_": update(
        ["m", "v2"],
        nadam_size,
        step=(1, 1000),
        mu_product=(0.0, 1.0),
        lr=RATE,
        beta1=SHARE,
        beta2=SHARE,
        eps=EPS,
        momentum_decay=(0.0, 0.1),
        weight_decay=DECAY,
    ),
    "adamax_": update(
        ["m", "u"],
        adamax_size,
        step=(1, 1000),
        lr=RATE,
        beta1=SHARE,
        beta2=SHARE,
        eps=EPS,
        weight_decay=DECAY,
    ),
    "amsgrad_": update(
        ["m", "v2", "v_max"],
        amsgrad_size,
        step=(1, 1000),
        lr=RATE,
        beta1=SHARE,
        beta2=SHARE,
        eps=EPS,
        weight_decay=DECAY,
    ),
    "lion_": update(["m"], lion_size, lr=RATE, beta1=SHARE, beta2=SHARE, weight_decay=DECAY),
}
for _suffix, _images in (("", False), ("_nchw", True)):
    CASES |= {
        f"batchnorm{_suffix}": Case(
            lambda draw, images=_images: batchnorm(draw, images),
            ("y", "mean", "rstd", "running_mean", "running_var"),
            batchnorm_size,
            lambda a: 16 + a["x"].size // max(1, a["x"].shape[1]),
        ),
        f"batchnorm{_suffix}_inference": Case(
            lambda draw, images=_images: batchnorm_inference(draw, images),
            ("y",),
            inference_size,
        ),
        f"batchnorm{_suffix}_backward": Case(
            lambda draw, images=_images: batchnorm_backward(draw, images),
            ("dx", "dgamma", "dbeta"),
            backward_size,
            lambda a: 16 + a["x"].size // max(1, a["x"].shape[1]),
        ),
    }


def copied(args, dtype=None):
    def copy(a):
        if not isinstance(a, np.ndarray):
            return a
        return a.astype(dtype) if dtype and a.dtype.kind == "f" else a.copy()

    return {name: copy(a) for name, a in args.items()}


# Kernels whose file is called otherwise than that of their reference.
FILES = {"sampling": "random"}


def modules(package):
    """Yield the modules of a package that say in `__all__` or by their names what is public."""
    root = Path(package.__file__).parent
    for path in sorted(root.rglob("[!_]*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        module = importlib.import_module(f"{package.__name__}.{name}")
        yield FILES.get(path.stem, path.stem), module


def test_both_packages_hold_the_same_functions():
    compiled = {
        (file, name) for file, module in modules(kernels) for name in getattr(module, "__all__", ())
    }
    compiled |= {("optimizers", name) for name in rule._STEPS}  # all updates are made alike
    twins = {
        (file, name)
        for file, module in modules(reference)
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    }
    assert compiled == twins
    assert {name for _, name in twins} == set(kernels.__all__) == set(reference.__all__)


def test_each_pair_has_a_case():
    assert set(CASES) == set(PAIRS)


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_same_signature(name):
    _, twin = PAIRS[name]
    args = CASES[name].make(Draw(np.random.default_rng(0), 1, 1, np.dtype("f"), False))
    expected = [parameter.name for parameter in catalogue.signature(name).parameters]
    assert list(inspect.signature(twin).parameters) == expected
    assert list(args) == expected


SIZES = st.one_of(st.integers(0, 9), st.sampled_from([15, 16, 17, 31, 33, 64, 65, 130]))


@pytest.mark.parametrize("name", sorted(PAIRS))
@settings(deadline=None, max_examples=40)
@given(
    n=SIZES,
    d=SIZES,
    dtype=st.sampled_from(["float32", "float64"]),
    specials=st.booleans(),
    seed=st.integers(0, 2**32),
)
@example(n=257, d=300, dtype="float32", specials=False, seed=0)
@example(n=257, d=300, dtype="float64", specials=False, seed=0)
@example(n=3, d=17, dtype="float32", specials=False, seed=378363)  # Adam's v cancels
@example(n=700, d=21, dtype="float32", specials=True, seed=0)  # enough rows to cut by rows
@example(n=700, d=21, dtype="float64", specials=False, seed=0)
@example(n=0, d=3, dtype="float32", specials=False, seed=0)
@example(n=1, d=1, dtype="float64", specials=False, seed=0)
def test_kernel_computes_what_its_twin_says(name, n, d, dtype, specials, seed):
    kernel, twin = PAIRS[name]
    case = CASES[name]
    args = case.make(Draw(np.random.default_rng(seed), n, d, np.dtype(dtype), specials))
    wide = np.longdouble if dtype == "float64" else np.float64
    exact, expected = copied(args, wide), copied(args)
    with np.errstate(all="ignore"), mock.patch.object(np, "dot", dot):
        twin(**exact)
        twin(**expected)
    expect_inputs_kept(case, args, expected)
    with np.errstate(all="ignore"):
        magnitude = case.magnitude(copied(args, wide), exact)
    for chunks in (1, 2, 5):
        got = copied(args)
        kernel(*got.values(), chunks)
        if chunks == 1:
            first = got
        expect_inputs_kept(case, args, got)
        for key in case.written:
            if args[key] is not None:
                same = np.array_equal(got[key], first[key], equal_nan=got[key].dtype != bool)
                assert same, f"{key}: other bits in {chunks} chunks"
    terms = case.terms(args)
    for key in case.written:
        if args[key] is not None:
            compare(key, first[key], expected[key], exact[key], magnitude.get(key), terms)


def expect_inputs_kept(case, args, got):
    for key, value in args.items():
        if key not in case.written:
            assert (
                np.array_equal(got[key], value, equal_nan=True)
                if isinstance(value, np.ndarray)
                else got[key] is value
            ), f"{key} was written to"


def compare(key, got, expected, exact, magnitude, terms):
    """Compare NaN and infinity by place, the rest by the rounding of `terms` operations."""
    if got.dtype.kind in "bi":
        assert np.array_equal(got, expected), key
        return
    assert np.array_equal(np.isnan(got), np.isnan(expected)), f"{key}: other NaN"
    limit = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        size = np.abs(exact) if magnitude is None else magnitude
        tolerance = terms * (limit.eps * np.broadcast_to(size, got.shape) + 8 * limit.tiny)
        error = np.abs(got - exact)
        # Near the end of the range one rounding decides between a number and infinity.
        over = ~(np.abs(exact) + tolerance < limit.max / 4)
    infinite = np.isinf(got) != np.isinf(expected)
    assert not (infinite & ~over).any(), f"{key}: other infinities"
    finite = ~over & ~np.isnan(expected)
    bad = finite & ~(error <= tolerance)
    assert not bad.any(), (
        f"{key}: got {got[bad][:3]}, expected {exact[bad][:3]}, "
        f"off by {error[bad][:3]}, tolerance {tolerance[bad][:3]}"
    )
    same = np.isinf(expected) & np.isinf(got)
    assert np.array_equal(got[same], expected[same]), f"{key}: infinity of the other sign"
