"""``common.util`` against its transcription."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize("size", [11, 12, 40, 5, 1])
@pytest.mark.parametrize("kind", [np.array, list])
def test_smooth_curve(dlfs, size, kind):
    x = kind(np.random.default_rng(size).normal(size=size))
    dlfs.compare(lambda m: m.util.smooth_curve(x), exact=True)


def test_smooth_curve_of_nothing(dlfs):
    dlfs.compare(lambda m: m.util.smooth_curve(np.array([])), raises=ValueError)


@pytest.mark.parametrize("shape", [(7, 3), (5, 1, 2, 2), (1, 4), (0, 2)], ids=str)
def test_shuffle_dataset(dlfs, shape):
    def action(m):
        x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        t = np.arange(shape[0])
        shuffled = m.util.shuffle_dataset(x, t)
        return *shuffled, type(shuffled), x, t, np.random.rand()

    dlfs.compare(action, exact=True)


def test_shuffle_dataset_of_vectors(dlfs):
    dlfs.compare(lambda m: m.util.shuffle_dataset(np.ones(3), np.ones(3)), raises=IndexError)


@pytest.mark.parametrize("arguments", [(28, 5), (28, 5, 2, 1), (7, 3, 2), (4.0, 2, 1, 0.5)])
def test_conv_output_size(dlfs, arguments):
    dlfs.compare(lambda m: m.util.conv_output_size(*arguments), exact=True)


@st.composite
def windows(draw):
    """Draw sizes of images, filters, steps and edges that give an output of one row or more."""
    n, channels = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    height, width = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    pad = draw(st.integers(0, 3))
    filter_h = draw(st.integers(1, height + 2 * pad))
    filter_w = draw(st.integers(1, width + 2 * pad))
    stride = draw(st.integers(1, 4))
    return (n, channels, height, width), filter_h, filter_w, stride, pad


def images(shape, dtype=np.float64):
    return (np.random.default_rng(4).normal(size=shape) * 50).astype(dtype)


@settings(deadline=None, max_examples=40)
@given(sizes=windows(), dtype=st.sampled_from(["f8", "f4", "f2", "i4", "u1", "?"]))
def test_im2col(dlfs, sizes, dtype):
    shape, *window = sizes
    x = images(shape, dtype)
    dlfs.compare(lambda m: m.util.im2col(x, *window), exact=True)


@settings(deadline=None, max_examples=40)
@given(sizes=windows(), dtype=st.sampled_from(["f8", "f4", "i4"]))
def test_col2im(dlfs, sizes, dtype):
    shape, *window = sizes
    col = images(dlfs.book.util.im2col(np.zeros(shape), *window).shape, dtype)
    dlfs.compare(lambda m: m.util.col2im(col, shape, *window))


@pytest.mark.parametrize(
    "layout", [lambda x: np.asfortranarray(x), lambda x: x.swapaxes(2, 3), lambda x: x[:, :, ::-1]]
)
def test_layouts(dlfs, layout):
    x = layout(images((2, 3, 5, 5)))
    dlfs.compare(lambda m: m.util.im2col(x, 3, 2, 2, 1), exact=True)
    col = np.asfortranarray(images((2 * 4 * 4, 3 * 2 * 2)))
    dlfs.compare(lambda m: m.util.col2im(col, (2, 3, 5, 5), 2, 2))


def test_columns_in_another_shape_of_the_same_size(dlfs):
    col = images((2, 9, 12))
    dlfs.compare(lambda m: m.util.col2im(col, [2, 3, 4, 4], 2, 2))
    # Arguments by name, as some scripts have them.
    dlfs.compare(
        lambda m: m.util.im2col(
            input_data=images((1, 1, 4, 4)), filter_h=2, filter_w=2, stride=2, pad=1
        )
    )


def test_images_of_a_wrong_rank(dlfs):
    dlfs.compare(lambda m: m.util.im2col(np.ones((4, 4)), 2, 2), raises=ValueError)
    dlfs.compare(lambda m: m.util.col2im(np.ones(5), (1, 1, 4, 4), 2, 2), raises=ValueError)


def test_a_result_is_a_new_array(dlfs):
    def action(m):
        x = images((1, 1, 4, 4))
        col = m.util.im2col(x, 1, 1)
        col[:] = 0
        return x, col, np.shares_memory(x, col)

    dlfs.compare(action, exact=True)
