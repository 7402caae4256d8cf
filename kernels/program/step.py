"""A kind of step of a training program.

Steps of layers are parts (:mod:`fastnn.kernels.machine.catalogue`), which a program reaches by
their addresses: it knows nothing of them, and what a network does not need is neither compiled nor
loaded. Other steps are part of the program itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from fastnn.kernels.machine import catalogue, code
from fastnn.kernels.program.tables import BY_ADDRESS


@dataclass(frozen=True, eq=False)
class Step:
    """A kind of step.

    Attributes
    ----------
    label : str
        What it does, for users.
    kind : int
        Of a step that is part of the program; `BY_ADDRESS` for all others.
    part : str
        The name of the part of these; see :func:`fastnn.kernels.program.making.step_of`.
    kernel : str
        The name of the kernel that it calls: of an activation, of images.
    """

    label: str
    kind: int = BY_ADDRESS
    part: str = ""
    kernel: str = ""

    def kernel_values(self, dtype: DTypeLike) -> dict[str, int]:
        """Return what a program's table has of its kernel, compiled if need be."""
        if not self.kernel:
            return {}
        signature = catalogue.signature(self.kernel)
        return {
            "kernel": code.address(self.kernel, np.dtype(dtype)),
            "arrays": len(signature.arrays),
            "numbers": len(signature.numbers),
            "part": code.address(signature.needs[0], np.dtype(dtype)) if signature.needs else 0,
        }

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of all that is compiled for it."""
        needed = catalogue.signature(self.kernel).needs if self.kernel else ()
        return tuple(name for name in (self.part, self.kernel, *needed) if name)

    def address(self, dtype: DTypeLike) -> int:
        """Return where its part begins, compiled if need be; 0 for a part of the program."""
        return code.address(self.part, np.dtype(dtype)) if self.part else 0
