"""Where machine code comes from."""

from fastnn.kernels.tuning import COMMON

MOST = 2 * COMMON.grain


def call():
    from fastnn.kernels.machine import made

    return made.call()


def address(name, dtype):
    from fastnn.kernels.machine import made

    return made.address(name, dtype)
