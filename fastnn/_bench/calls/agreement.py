"""Whether a function of ``ops`` and its plain formula compute the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn._bench.calls import formulas
from fastnn._bench.calls.arguments import arguments
from fastnn._bench.case import Arrays, WrongResultError, agree

ELEMENTS = 100


def verify(name: str, dtype: str, elements: int = ELEMENTS) -> None:
    """Raise WrongResultError unless both return the same, and leave the same in their arguments."""
    ours = _done(getattr(ops, name), arguments(name, elements, dtype), dtype)
    theirs = _done(getattr(formulas, name), arguments(name, elements, dtype), dtype)
    if name in formulas.RANDOM:
        if [a.shape for a in ours] != [a.shape for a in theirs]:
            raise WrongResultError(f"{name}: results of other shapes")
        return
    try:
        agree(ours, theirs)
    except WrongResultError as error:
        raise WrongResultError(f"{name}, {elements} elements: {error}") from None


def _done(function: Any, given: tuple[Any, ...], dtype: str) -> Arrays:
    results = function(*given)
    several = results if isinstance(results, tuple) else () if results is None else (results,)
    arrays = (a for a in given if isinstance(a, np.ndarray))
    # Means are columns or not.
    return [np.ravel(a).astype(dtype) for a in (*several, *arrays)]
