"""The course's code twice, its transcription and the drop-in, and what compares the two."""

import contextlib
import importlib
import importlib.util
import io
import random
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn import config
from fastnn.dropin.cs231n import MODULES

PLAIN = Path(__file__).parent.parent / "numpy_cs231n" / "cs231n"

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def load(package):
    """Return the modules of a package by their last names."""
    return {name.split(".")[-1]: importlib.import_module(f"{package}.{name}") for name in MODULES}


def load_plain():
    """Import the transcription under a name of its own."""
    where = [str(PLAIN)]
    spec = importlib.util.spec_from_file_location(
        "numpy_cs231n", PLAIN / "__init__.py", submodule_search_locations=where
    )
    sys.modules["numpy_cs231n"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["numpy_cs231n"])
    return load("numpy_cs231n")


class Side:
    """The modules of one of the two, as attributes: ``side.layers.affine_forward``."""

    def __init__(self, modules):
        vars(self).update(modules)


class Pair:
    """The transcription (`plain`) and the drop-in (`fast`)."""

    def __init__(self, backend):
        self.plain, self.fast = Side(load_plain()), Side(load("fastnn.dropin.cs231n"))
        self.backend = backend

    def compare(self, action, roundings=100, raises=()):
        """Run ``action(side)`` with both, and expect the same result, text and random states.

        Of an array's largest element, numbers in float64 may differ by 1e-10, and others by so
        many roundings.
        """
        plain, fast = (self._run(side, action, raises) for side in (self.plain, self.fast))
        same(plain[0], fast[0], roundings, "result")
        same_text(plain[1], fast[1])
        same(plain[2:], fast[2:], 0, "random state")

    def _run(self, side, action, raises):
        np.random.seed(20)
        random.seed(20)
        printed = io.StringIO()
        # Kernels set no floating-point flags, so that they warn of nothing.
        with (
            config.use_backend(self.backend),
            np.errstate(all="ignore"),
            contextlib.redirect_stdout(printed),
        ):
            try:
                result = action(side)
            except raises as error:
                result = type(error).__name__, str(error)
        return result, printed.getvalue(), np.random.get_state(), random.getstate()


def same(plain, fast, roundings, where):
    """Compare two values and what they hold: types, shapes, dtypes and numbers."""
    assert type(fast).__name__ == type(plain).__name__, where
    if isinstance(plain, dict):
        assert list(fast) == list(plain), where
        for key in plain:
            same(plain[key], fast[key], roundings, f"{where}[{key!r}]")
    elif isinstance(plain, (list, tuple)):
        assert len(fast) == len(plain), where
        for i, pair in enumerate(zip(plain, fast, strict=True)):
            same(*pair, roundings, f"{where}[{i}]")
    elif isinstance(plain, (np.ndarray, np.generic, float)):
        a, b = np.asarray(plain), np.asarray(fast)
        assert (b.dtype, b.shape) == (a.dtype, a.shape), where
        size = np.abs(a[np.isfinite(a)]).max(initial=0) if a.dtype.kind == "f" else 0
        relative = 1e-10 if a.dtype == np.float64 else 0
        if a.dtype.kind == "f" and not relative:
            relative = roundings * float(np.finfo(a.dtype).eps)
        np.testing.assert_allclose(b, a, rtol=0, atol=relative * float(size), err_msg=where)
    else:
        assert fast == plain, where


def same_text(plain, fast):
    """Compare two texts: words and integers must be equal, others close."""
    assert NUMBER.split(fast) == NUMBER.split(plain)
    for one, other in zip(NUMBER.findall(plain), NUMBER.findall(fast), strict=True):
        if one != other:
            assert float(other) == pytest.approx(float(one), rel=1e-10, abs=1e-6)


@pytest.fixture(scope="session", params=config.BACKENDS)
def course(request):
    """Return the two, the drop-in with either backend."""
    return Pair(request.param)
