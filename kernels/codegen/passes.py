"""Numba's passes over a function: those that ours need, and nothing that watches them."""

from __future__ import annotations

from typing import Any

from fastnn._utils import interrupts
from fastnn.kernels.codegen.internals import find

LOST = "kernels take longer to compile"

_MACHINERY = "numba.core.compiler_machinery"
manager: Any = find(_MACHINERY, "PassManager", LOST)
processor: Any = find("numba.core.postproc", "PostProcessor", LOST)
_run: Any = find(_MACHINERY, "PassManager._runPass", LOST)
_registered: Any = find(_MACHINERY, "_pass_registry.get", LOST)
_process: Any = find("numba.core.postproc", "PostProcessor.run", LOST)
_canonical: Any = find("numba.core.transforms", "canonicalize_cfg", LOST)
IS_KNOWN = None not in (_run, _registered, _process, _canonical)
_counting: Any = find("numba.core.runtime.context", "NRTContext", LOST)

# What they look for is not in our functions, or they only tell of what there is.
_NEEDLESS = (
    "WithLifting", "InlineClosureLikes", "RewriteDynamicRaises", "MakeFunctionToJitFunction",
    "FindLiterallyCalls", "NopythonRewrites", "NoPythonSupportedFeatureValidation",
    "AnnotateTypes", "DumpParforDiagnostics",
)  # fmt: skip


def take(self: Any, index: int, each: Any, state: Any) -> None:
    """Take a pass as Numba does, without its clocks, listeners and reports."""
    interrupts.let_through()
    each.analysis = self._analysis
    for step in (each.run_initialization, each.run_pass, each.run_finalizer):
        step(state)
    if _registered(type(each)).mutates_CFG:
        state.func_ir.blocks = _canonical(state.func_ir.blocks)


def process(self: Any, emit_dels: bool = False, extend_lifetimes: bool = False) -> None:
    """Do what Numba does after a pass, but for lifetimes of variables that nobody asks for."""
    function = self.func_ir
    if emit_dels or function.is_generator or not function.func_id.modname.startswith("fastnn."):
        _process(self, emit_dels, extend_lifetimes)
    else:
        function.blocks = _canonical(function.blocks)


def without_needless(passes: Any) -> None:
    """Leave out the passes that functions of ours do not need."""
    passes.passes = [entry for entry in passes.passes if entry[0].__name__ not in _NEEDLESS]


if _counting is not None:

    class _Uncounted(_counting):  # type: ignore[misc]
        """Counts no references to arrays: those of kernels are nobody's."""

        def incref(self, builder: Any, typ: Any, value: Any) -> None:
            pass

        def decref(self, builder: Any, typ: Any, value: Any) -> None:
            pass


def uncounted(context: Any) -> None:
    """Let the context of one function of ours count no references to arrays."""
    if _counting is not None:
        context.nrt = _Uncounted(context, True)
