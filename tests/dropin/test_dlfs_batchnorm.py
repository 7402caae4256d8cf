"""BatchNormalization of ``common.layers``."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SINGLE = 32 * np.finfo(np.float32).eps


def data(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def layer_of(m, features, dtype=np.float64, **settings):
    gamma, beta = 1 + 0.1 * data(1, features), data(2, features)
    return m.layers.BatchNormalization(gamma.astype(dtype), beta.astype(dtype), **settings)


def passes(m, layer, x, dout):
    """Return what is to be seen of two training passes and a test."""
    seen = [m.visible(layer)]
    for scale in 1.0, 0.5:
        out = layer.forward(x * scale)
        between = m.visible(layer)
        dx = layer.backward(dout)
        seen += [out, between, dx, m.visible(layer)]
    return *seen, layer.forward(x, train_flg=False), m.visible(layer), x, dout


@settings(deadline=None, max_examples=40)
@given(
    rows=st.sampled_from([1, 2, 3, 10, 100]),
    features=st.sampled_from([1, 2, 7, 50]),
    momentum=st.sampled_from([0.9, 0.0, 1.0, 0.5, 0]),
)
def test_training_and_test(dlfs, rows, features, momentum):
    def action(m):
        layer = layer_of(m, features, momentum=momentum)
        return passes(m, layer, data(3, rows, features) + 2, data(4, rows, features))

    # Of one or two rows the gradient is nothing or nearly: the terms of its sums, of the size of
    # dout / std, cancel but for their rounding.
    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("shape", [(4, 3, 2, 5), (1, 2, 2, 2), (10, 1, 3, 3)], ids=str)
def test_images_have_statistics_for_each_pixel(dlfs, shape):
    def action(m):
        layer = layer_of(m, int(np.prod(shape[1:])))
        return passes(m, layer, data(5, *shape), data(6, *shape))

    dlfs.compare(action)


def test_images_and_rows_in_turn(dlfs):
    def action(m):
        layer = layer_of(m, 12)
        first = layer.forward(data(7, 4, 3, 2, 2)), layer.input_shape
        second = layer.forward(data(8, 4, 12)), layer.input_shape
        return first, second, layer.backward(data(9, 4, 3, 2, 2)), layer.running_mean

    dlfs.compare(action)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (2, 3, 4, 5, 6)], ids=str)
def test_other_ranks_are_refused(dlfs, shape):
    dlfs.compare(lambda m: layer_of(m, 3).forward(np.ones(shape)), raises=ValueError)


@pytest.mark.parametrize("x_dtype", [np.float64, np.float32, np.float16, int])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_types(dlfs, x_dtype, dtype):
    def action(m):
        layer = layer_of(m, 5, dtype)
        x = (data(10, 20, 5) * 4).astype(x_dtype)
        return passes(m, layer, x, data(11, 20, 5, dtype=dtype))

    double = np.float64 in (x_dtype, int) and dtype is np.float64
    # float16 times a number and the sums of it are float16's in both.
    dlfs.compare(action, tolerance=None if double else SINGLE)


def test_given_statistics(dlfs):
    def action(m):
        mean, var = data(12, 4), 1 + data(13, 4) ** 2
        layer = layer_of(m, 4, running_mean=mean, running_var=var)
        seen = [layer.forward(data(14, 6, 4), False), layer.running_mean is mean]
        layer.forward(data(14, 6, 4), True)
        # New arrays: what was given stays as it was.
        return *seen, mean, var, layer.running_mean is mean, layer.running_mean, layer.running_var

    dlfs.compare(action)


def test_given_one_of_the_statistics(dlfs):
    def without_mean(m):
        layer = layer_of(m, 4, running_var=np.full(4, 9.0))
        return layer.forward(data(15, 6, 4)), layer.running_mean, layer.running_var

    def without_var(m):
        layer_of(m, 4, running_mean=np.zeros(4)).forward(data(15, 6, 4), False)

    dlfs.compare(without_mean)
    dlfs.compare(without_var, raises=TypeError)


def test_statistics_are_new_arrays_at_each_step(dlfs):
    def action(m):
        layer = layer_of(m, 4)
        history = []
        for seed in range(3):
            layer.forward(data(seed, 6, 4))
            history.append((layer.running_mean, layer.running_var))
        return history, len({id(mean) for mean, _ in history})

    dlfs.compare(action)


def test_statistics_of_other_types_and_numbers(dlfs):
    def action(m):
        seen = []
        for mean, var in ((0.0, 1.0), (np.zeros(4, np.float32), np.ones(4, np.float32)), (0, 0)):
            layer = layer_of(m, 4, running_mean=mean, running_var=var)
            seen.append(layer.forward(data(16, 6, 4), False))
            layer.forward(data(16, 6, 4))
            seen += [layer.running_mean, layer.running_var]
        return seen

    dlfs.compare(action)


def test_a_test_before_any_training(dlfs):
    def action(m):
        layer = layer_of(m, 4)
        return layer.forward(data(17, 6, 4), False), m.visible(layer)

    dlfs.compare(action)


def test_gradient_is_of_the_last_training_pass(dlfs):
    def action(m):
        layer = layer_of(m, 4)
        layer.forward(data(18, 6, 4))
        layer.forward(data(19, 8, 4), False)
        return layer.backward(data(20, 8, 4)[:6].reshape(6, 4)), layer.batch_size

    # The shape to give back is the test's.
    dlfs.compare(action, raises=ValueError)

    def same_size(m):
        layer = layer_of(m, 4)
        layer.forward(data(18, 6, 4))
        layer.forward(data(19, 6, 4), False)
        return layer.backward(data(20, 6, 4)), layer.dgamma, m.visible(layer)

    dlfs.compare(same_size)


def test_gradient_before_any_training(dlfs):
    dlfs.compare(lambda m: layer_of(m, 4).backward(np.ones((2, 4))), raises=AttributeError)


def test_attributes_set_by_hand(dlfs):
    def action(m):
        layer = layer_of(m, 4)
        x, dout = data(21, 6, 4), data(22, 6, 4)
        seen = [layer.forward(x)]
        layer.gamma = np.full(4, 2.0)
        layer.beta = layer.beta + 1
        seen += [layer.backward(dout), layer.dgamma, layer.forward(x)]
        layer.gamma *= 3  # as an optimizer does
        layer.momentum = 0.5
        seen += [layer.forward(x), layer.running_var]
        layer.running_mean = np.ones(4)
        layer.running_var = np.ones(4)
        seen += [layer.forward(x, False)]
        layer.running_mean = None
        return *seen, layer.forward(x), layer.running_mean, layer.running_var

    dlfs.compare(action)


def test_the_gradient_does_not_see_changes_to_the_input(dlfs):
    def action(m):
        layer = layer_of(m, 4)
        x = data(23, 6, 4)
        out = layer.forward(x)
        x *= 100  # a buffer that is used again
        out *= 0
        return layer.backward(data(24, 6, 4)), layer.xc, layer.xn, layer.std

    dlfs.compare(action)


def test_numbers_for_gamma_and_beta(dlfs):
    def action(m):
        seen = []
        for gamma, beta in ((1.0, 0.0), (2, 1), (np.ones((1, 4)), np.zeros((1, 4)))):
            layer = m.layers.BatchNormalization(gamma, beta)
            seen += [layer.forward(data(25, 6, 4)), layer.backward(data(26, 6, 4)), layer.dgamma]
        return seen

    dlfs.compare(action)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: a[::-1], lambda a: a[:, ::2]])
def test_layouts(dlfs, layout):
    def action(m):
        x, dout = layout(data(27, 6, 8)), layout(data(28, 6, 8))
        return passes(m, layer_of(m, x.shape[1]), x, dout)

    dlfs.compare(action)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_special_values(dlfs, value):
    def action(m):
        layer, x = layer_of(m, 4), data(29, 6, 4)
        x[2, 1] = value
        seen = layer.forward(x), layer.backward(data(30, 6, 4)), layer.running_var
        return *seen, layer.forward(np.ones((2, 4)), False)

    dlfs.compare(action)


def test_no_sample(dlfs):
    def action(m):
        layer = layer_of(m, 4)
        layer.forward(np.ones((3, 4)))
        return layer.forward(np.ones((0, 4)), False)

    dlfs.compare(action)


def test_a_gradient_of_another_type(dlfs):
    def action(m):
        layer = layer_of(m, 4)
        layer.forward(data(31, 6, 4))
        seen = []
        for dout in (data(32, 6, 4, dtype=np.float32), np.ones((6, 4), int), np.ones((1, 4))):
            seen += [layer.dgamma, layer.dbeta]
            try:
                seen.append(layer.backward(dout))
            except ValueError:
                seen.append("refused")
        return seen

    # A gradient of the same number everywhere leaves nothing but rounding.
    dlfs.compare(action, tolerance=SINGLE, rounded=True)
