"""Arrays between pages that end the process that touches them, with all bytes around them known."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
NONE, READ, BOTH = 0, mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE
MARGIN = 256  # bytes beside an array, on the side without a guard, that are looked at
PATTERN = 0xA5

_libc = ctypes.CDLL(None, use_errno=True)


def _protect(address: int, size: int, how: int) -> None:
    if _libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), how):
        raise OSError(ctypes.get_errno(), "mprotect")


class Slot:
    """Memory between two guard pages, for one array at a time."""

    def __init__(self, size: int) -> None:
        pages = -(-size // PAGE)
        self._memory = mmap.mmap(-1, (pages + 2) * PAGE)
        whole = np.frombuffer(self._memory, np.uint8)
        self.bytes = whole[PAGE:-PAGE]
        self._address = self.bytes.ctypes.data
        self.size, self._locked = self.bytes.size, False
        _protect(self._address - PAGE, PAGE, NONE)
        _protect(self._address + self.size, PAGE, NONE)

    def part(self, size: int, at_end: bool, shift: int = 0) -> tuple[np.ndarray, slice]:
        """Return so many bytes beside a guard page, or `shift` bytes away, and where they lie."""
        start = self.size - size - shift if at_end else shift
        return self.bytes[start : start + size], slice(start, start + size)

    def lock(self, locked: bool) -> None:
        """Let a write to it end the process, as to a file that is mapped to be read; or not."""
        if locked != self._locked:
            _protect(self._address, self.size, READ if locked else BOTH)
            self._locked = locked


class Placed:
    """An array in a slot; `look` says which of its bytes, or of those around it, have changed."""

    def __init__(self, slot: Slot, array: np.ndarray, where: slice, written: bool) -> None:
        self.slot, self.array, self.written = slot, array, written
        low, high = max(0, where.start - MARGIN), min(slot.size, where.stop + MARGIN)
        self._region = slot.bytes[low:high]
        self._before = self._region.copy()
        self._own = None
        self._start = slot.bytes.ctypes.data + low

    def restore(self) -> None:
        """Put back what was there first."""
        self._region[:] = self._before

    def unchanged(self) -> bool:
        """Say whether all bytes are as they were."""
        return self._region.tobytes() == self._before.tobytes()

    def unchanged_around(self, *others: np.ndarray) -> bool:
        """Say whether all bytes but those of the array's elements, and of others, are as before."""
        if self._own is None:
            self._own = np.zeros(self._region.size, bool)
            for array in (self.array, *others):
                self._mark(array)
        changed = self._region != self._before
        return not (changed & ~self._own).any()

    def _mark(self, array: np.ndarray) -> None:
        """Take note of the bytes of an array's elements."""
        if array.size:
            first = self._own[array.ctypes.data - self._start :][:1]
            shape, strides = (*array.shape, array.itemsize), (*array.strides, 1)
            np.lib.stride_tricks.as_strided(first, shape, strides)[...] = True


LAYOUTS = (
    "plain",
    "plain",
    "plain",
    "plain",
    "fortran",
    "reversed",
    "spaced",
    "unaligned",
    "swapped",
)
READ_LAYOUTS = (*LAYOUTS, "read-only", "broadcast", "subclass")


class Sub(np.ndarray):
    """A class of arrays of the user's own."""


def place(slot: Slot, values: np.ndarray, layout: str, at_end: bool, written: bool) -> Placed:
    """Return an array of these values, and of that layout, in a slot, which is filled anew."""
    dtype = values.dtype.newbyteorder() if layout == "swapped" else values.dtype
    shape = values.shape
    if layout == "fortran":
        base = shape[::-1]
    elif layout == "spaced" and shape:
        base = (*shape[:-1], 2 * shape[-1])
    elif layout == "broadcast" and shape:
        base = (1, *shape[1:])
    else:
        base = shape
    size = int(np.prod(base, dtype=np.int64)) * dtype.itemsize
    shift = 1 if layout == "unaligned" and dtype.itemsize > 1 else 0
    memory, where = slot.part(size, at_end, shift)
    low, high = max(0, where.start - MARGIN), min(slot.size, where.stop + MARGIN)
    slot.lock(False)
    slot.bytes[low:high] = PATTERN
    array = np.ndarray(base, dtype, memory)
    if layout == "fortran":
        array = array.T
    elif layout == "spaced" and shape:
        array = array[..., ::2]
    elif layout == "reversed" and shape:
        array = array[tuple(slice(None, None, -1) for _ in shape)]
    if layout == "broadcast" and shape:
        array[...] = values[:1] if shape[0] else 0
        array = np.broadcast_to(array, shape)
    else:
        array[...] = values
    if layout == "read-only":
        array.flags.writeable = False
        slot.lock(True)
    elif layout == "subclass":
        array = array.view(Sub)
    return Placed(slot, array, where, written)
