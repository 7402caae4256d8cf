"""A Numba that lacks what this package takes of it beyond what it promises."""

import subprocess
import sys

import pytest
from processes import of_compiling

from fastnn.kernels.codegen import internals

# What other versions may lack; what is said then; and what then has to work all the same.
LACKING = {
    "cache": (
        "import numba.core.compiler\ndel numba.core.compiler.CompileResult._rebuild",
        "this fastnn does not know numba",
    ),
    "cache in another form": (
        "from numba.core import compiler\ncompiler.CompileResult._reduce = lambda: None",
        "does not write them (TypeError",
    ),
    "passes": (
        "import numba.core.compiler\ndel numba.core.compiler_machinery.LoweringPass",
        "the last bits of results depend on what was called before",
    ),
    "libraries": (
        "import numba.core.codegen as c\ndel c.JITCodeLibrary",
        "kernels take longer to compile, and the last bits",
    ),
    "libraries of another kind": (
        "import numba.core.codegen as c\nmake = c.CodeLibrary.__init__\n"
        "c.CodeLibrary.__init__ = lambda *args: make(*args)",
        "no numba.core.codegen.CodeLibrary._codegen",
    ),
    "dispatchers": (
        "from numba.core import dispatcher as d, types\n"
        "template = d.Dispatcher.get_call_template\ndel d._DispatcherBase.get_call_template\n"
        "def get_call_type(self, context, args, kws):\n"
        "    rules, names, args, kws = template(self.dispatcher, args, kws)\n"
        "    return rules(context).apply(args, kws).replace(pysig=names)\n"
        "types.Dispatcher.get_call_type = get_call_type",
        "kernels take longer to compile (no numba.core.dispatcher.Dispatcher.get_call_template)",
    ),
    "locks": (
        "from numba.core import compiler_lock as c\n"
        "lock = c.global_compiler_lock\nlock._renamed = lock._lock\n"
        "c._CompilerLock.acquire = lambda self: self._renamed.acquire()\n"
        "c._CompilerLock.release = lambda self: self._renamed.release()\n"
        "c._CompilerLock.is_locked = lambda self: True\ndel lock._lock",
        "a child that is forked while another thread compiles may wait for ever",
    ),
}
WORK = """
import sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    from fastnn import ops
    from fastnn.kernels.codegen import cache
    assert (ops.relu(np.array([-1.0, 2.0])) == [0.0, 2.0]).all()
assert len(caught) == 1, [str(each.message) for each in caught]
print(caught[0].message)
print(len(cache.files()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", LACKING)
def test_what_is_not_there_is_done_without(tmp_path, kind):
    lack, said = LACKING[kind]
    done = subprocess.run(
        [sys.executable, "-c", lack + WORK],
        env=of_compiling(FASTNN_QUIET=1, FASTNN_CACHE_DIR=tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    message, kept = done.stdout.splitlines()
    assert said in message and "numba" in message
    is_cache = kind.startswith("cache")
    assert ("compiled kernels are not kept on disk" in message) == is_cache
    assert kept == ("0" if is_cache else "2")  # the kernel, and what calls it from Python


def test_nothing_is_lost_with_the_versions_that_are_in_use():
    assert internals._lost == {}


def test_what_is_lost_is_said_in_one_warning(monkeypatch):
    monkeypatch.setattr(internals, "_lost", {})
    assert internals.find("numba", "njit", "nothing")
    internals.warn_of_lost()
    assert internals.find("numba.core.nowhere", "thing", "one thing does not work") is None
    assert internals.find("numba.core", "no.thing", "another does not") is None
    both = r"one thing does not work \(no numba.core.nowhere.thing\); another does not \(no numba"
    with pytest.warns(RuntimeWarning, match=both) as caught:
        internals.warn_of_lost()
    assert len(caught) == 1
