"""What a family hands to the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Arrays = Sequence[NDArray[Any]]


class Variant(NamedTuple):
    """One way in which a library does an operation.

    `run` does it once and returns the results, as anything that ``numpy.asarray`` takes. Where
    to hand them out would take time, `results` returns those of the last run instead.
    """

    api: str
    run: Callable[[], Sequence[Any]]
    results: Callable[[], Sequence[Any]] | None = None


class WrongResultError(Exception):
    """An implementation that does not compute what the reference does."""


# Terms of the longest sum in any case: the gradient of a bias of 100 images of 32 x 32.
LONGEST = 100 * 32 * 32
# Units of rounding. The deviation of a sum of n terms, added one after the other, is some
# sqrt(n) / 2 units: eight of them.
ROUNDING = 4 * LONGEST**0.5


def agree(results: Arrays, expected: Arrays) -> None:
    """Raise unless results are those expected, but for rounding.

    Rounding errors are those of the coarsest dtype, relative to the largest value of an array,
    as results are sums of many terms.
    """
    eps = max((np.finfo(got.dtype).eps for got in results), default=0.0)
    for got, want in zip(results, expected, strict=True):
        limit = ROUNDING * eps * max(float(np.abs(want).max()), 1e-30)
        error = np.abs(got - want).max() if got.shape == want.shape else np.inf
        if not error <= limit:
            raise WrongResultError(f"off by {error:.3g}, allowed {limit:.3g}")


@dataclass(frozen=True)
class Case:
    """An operation on inputs of one shape.

    Attributes
    ----------
    operation : str
        The function's name in each module of :mod:`fastnn._bench.peers`.
    label, shape : str
        What to print.
    inputs : callable
        Makes the function's arguments.
    expected : callable
        Returns what `check` compares results with: those of the reference, in float64.
    flops, traffic : float
        Floating-point operations, or bytes that have to be read and written. One of them: it
        says which limit of the machine counts.
    footprint : int
        Bytes of the arrays that `traffic` goes through.
    runs : int
        How often an implementation is run before its results are compared.
    check : callable
        Raises unless results are as expected.
    trial : callable, optional
        Makes the arguments on which results are compared, where these are others than those for
        which times are taken.
    samples : int
        Samples that a run goes through, in a training.
    libraries : tuple of str
        Libraries to time, by name; all if empty.
    quick : bool
        Whether the case is in the short list.
    """

    operation: str
    label: str
    shape: str
    inputs: Callable[[], tuple[Any, ...]]
    expected: Callable[..., Any]
    flops: float = 0.0
    traffic: float = 0.0
    footprint: int = 0
    runs: int = 1
    check: Callable[[Arrays, Any], None] = agree
    trial: Callable[[], tuple[Any, ...]] | None = None
    samples: int = 0
    libraries: tuple[str, ...] = ()
    quick: bool = False


def verify(case: Case, variant: Variant, expected: Any) -> None:
    """Run a variant and raise unless its results are right."""
    for _ in range(case.runs):
        results = variant.run()
    if variant.results is not None:
        results = variant.results()
    try:
        case.check([np.asarray(result) for result in results], expected)
    except WrongResultError as error:
        raise WrongResultError(f"{case.label} {case.shape}, {variant.api}: {error}") from None
