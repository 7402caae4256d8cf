"""Numba's pipeline, with libraries of this package for what it compiles.

See :mod:`fastnn.kernels.codegen.libraries` for what they are about.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels.codegen import libraries, passes
from fastnn.kernels.codegen.internals import find

_LOST = libraries.LOST

_compiler: Any = find("numba.core.compiler", "CompilerBase", _LOST)
_builder: Any = find("numba.core.compiler", "DefaultPassBuilder.define_nopython_pipeline", _LOST)
_pass: Any = find("numba.core.compiler_machinery", "LoweringPass", _LOST)
_register: Any = find("numba.core.compiler_machinery", "register_pass", _LOST)
_before: Any = find("numba.core.typed_passes", "IRLegalization", _LOST)

_FOUND = (_compiler, _builder, _pass, _register, _before)
IS_KNOWN = libraries.IS_KNOWN and None not in _FOUND


def _pass_of(kind: str, make: Any) -> Any:
    """Return a pass that makes the library that a function is lowered into, as Numba's would."""

    class LibraryPass(_pass):  # type: ignore[misc]
        _name = f"fastnn_{kind}"

        def __init__(self) -> None:
            _pass.__init__(self)

        def run_pass(self, state: Any) -> bool:
            state.library = make(state.targetctx.codegen(), state)
            state.library.enable_object_caching()  # upfront, so that it can be kept on disk
            return True

    return _register(mutates_CFG=False, analysis_only=False)(LibraryPass)


def _alone(codegen: Any, state: Any) -> Any:
    return libraries.Alone(codegen, state.func_id.func_qualname)


def _kernel(codegen: Any, state: Any) -> Any:
    function = state.func_id
    return libraries.Kernel(codegen, function.func_qualname, function.func_name, len(state.args))


def _make() -> tuple[dict[str, Any], ...]:
    alone, kernel = _pass_of("alone", _alone), _pass_of("kernel", _kernel)

    class InnerCompiler(_compiler):  # type: ignore[misc]
        library_pass: Any = None

        def define_pipelines(self) -> list[Any]:
            passes.uncounted(self.state.targetctx)
            found = _builder(self.state)
            passes.without_needless(found)
            if self.library_pass is not None:
                found.add_pass_after(self.library_pass, _before)
            found.finalize()
            return [found]

    class AloneCompiler(InnerCompiler):
        library_pass = alone

    class KernelCompiler(InnerCompiler):
        library_pass = kernel

        def compile_extra(self, function: Any) -> Any:
            with libraries.inside(self.state.targetctx.codegen()):
                return super().compile_extra(function)

    return tuple(
        {"pipeline_class": each} for each in (InnerCompiler, AloneCompiler, KernelCompiler)
    )


# What Numba's decorators are given beside the options: for functions inside kernels, for those of
# them that are optimised by themselves, and for kernels.
INNER, ALONE, KERNEL = _make() if IS_KNOWN else ({}, {}, {})
