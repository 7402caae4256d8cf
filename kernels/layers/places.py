"""Where windows stand in images: what kernels look at before they trust the shapes of arrays."""

from fastnn.kernels.codegen.compile import serial

MOST = 2**31 - 1  # of a window's size, a step, a padding


@serial
def count(size, window, step, pad):
    """Return how many windows stand beside each other, or 0 if that is no question."""
    if window < 1 or step < 1 or pad < 0 or max(window, step, pad) > MOST:
        return 0
    room = size + 2 * pad - window
    return room // step + 1 if room >= 0 else 0


@serial
def fits(size, window, step, pad, places):
    """Say whether just so many windows stand beside each other."""
    return places > 0 and places == count(size, window, step, pad)


@serial
def is_product(total, a, b, c):
    """Say whether a number is a b c, which may be more than 64 bits hold."""
    if a == 0 or b == 0 or c == 0:
        return total == 0
    return total % a == 0 and total // a % b == 0 and total // a // b == c
