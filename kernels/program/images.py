"""The steps of a training program for images: convolution, max pooling, and their gradients.

They let the kernels of layers do some images of a batch, in one piece.
"""

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.raw import ask, item, set_item, stack
from fastnn.kernels.machine.words import MOST_WORDS
from fastnn.kernels.program.making import step_of
from fastnn.kernels.program.places import place
from fastnn.kernels.program.tables import UNIT

_WORDS = MOST_WORDS
_PLACE = 4  # bytes of the place of a largest element


@serial
def _begin(address, local, first, worker, columns, p, size):
    return place(address, local, first, worker * p.block, columns * size)


@serial
def _ask(p, s, words, images, worker, like):
    """Let the step's kernel do so many images; `words` has the addresses of arrays."""
    at = s.arrays
    set_item(words, at, images)
    for i in range(s.words):
        set_item(words, at + 1 + i, item(s.given, i))
    at += 1 + s.words
    room = p.scratch_size * like.itemsize
    set_item(words, at, 1)  # in one piece
    set_item(words, at + 1, p.scratch + worker * room)
    set_item(words, at + 2, room)
    set_item(words, at + 3, s.part)
    ask(s.kernel, (words,))


@serial
def convolve(p, s, first, count, worker, like):
    """Let filters go over some images."""
    words, size = stack(_WORDS), like.itemsize
    set_item(words, 0, _begin(s.source, s.source_local, first, worker, s.d, p, size))
    set_item(words, 1, s.W)
    set_item(words, 2, s.b)
    set_item(words, 3, _begin(s.target, s.target_local, first, worker, s.h, p, size))
    _ask(p, s, words, count, worker, like)


@serial
def convolution_gradient(p, s, first, count, worker, like):
    """Leave the gradients of filters and bias of each unit, and write that of the input."""
    words, size = stack(_WORDS), like.itemsize
    dout = _begin(s.source, s.source_local, first, worker, s.d, p, size)
    x = _begin(s.other, s.other_local, first, worker, s.h, p, size)
    dx = _begin(s.target, s.target_local, first, worker, s.h, p, size)
    for low in range(0, count, UNIT):
        # Behind the gradient of the filters stands that of the bias.
        dW = s.partial + (first + low) // UNIT * s.unit_step * size
        set_item(words, 0, dout + low * s.d * size)
        set_item(words, 1, x + low * s.h * size)
        set_item(words, 2, s.W)
        set_item(words, 3, dx + low * s.h * size if s.target != 0 else 0)
        set_item(words, 4, dW)
        set_item(words, 5, dW + s.filters * size)
        _ask(p, s, words, min(UNIT, count - low), worker, like)


@serial
def pool(p, s, first, count, worker, like):
    """Take the largest elements of windows of some images, and their places."""
    words, size = stack(_WORDS), like.itemsize
    set_item(words, 0, _begin(s.source, s.source_local, first, worker, s.d, p, size))
    set_item(words, 1, _begin(s.target, s.target_local, first, worker, s.h, p, size))
    set_item(words, 2, _begin(s.other, s.other_local, first, worker, s.h, p, _PLACE))
    _ask(p, s, words, count, worker, like)


@serial
def pool_gradient(p, s, first, count, worker, like):
    """Write the gradient with respect to some images, at the places of the largest elements."""
    words, size = stack(_WORDS), like.itemsize
    set_item(words, 0, _begin(s.source, s.source_local, first, worker, s.d, p, size))
    set_item(words, 1, _begin(s.other, s.other_local, first, worker, s.d, p, _PLACE))
    set_item(words, 2, _begin(s.target, s.target_local, first, worker, s.h, p, size))
    _ask(p, s, words, count, worker, like)


PARTS = {
    "step_of_convolution": step_of(convolve),
    "step_of_convolution_gradient": step_of(convolution_gradient),
    "step_of_max_pool": step_of(pool),
    "step_of_max_pool_gradient": step_of(pool_gradient),
}
