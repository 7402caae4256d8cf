"""What `try_wheel.py` runs with the Python of an environment in which a wheel is.

It fails if something is compiled, another program is started, or a file is written that README's
examples do not name; and if Numba is loaded.
"""

import ast
import os
import re
import runpy
import sys
from pathlib import Path

CODE = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
EXTRA = 'the extra "'
SAVED = {"network.npz", "network.safetensors", "checkpoint.npz"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# How many paths each has.
CHANGES = {"os.mkdir": 1, "os.rename": 2, "os.remove": 1, "os.link": 2, "os.symlink": 2}
PROGRAMS = ("subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system")


def watch(event, args):
    """Refuse other programs, and changes of files but those that examples save."""
    # Python's `platform` asks it what processor this is, and goes on without.
    if event in PROGRAMS and args[0] != "uname":
        raise RuntimeError(f"a program was started: {args}")
    if event in CHANGES or (event == "open" and args[2] & WRITING):
        for name in args[: CHANGES.get(event, 1)]:
            if isinstance(name, int) or os.fsdecode(name) == os.devnull:
                continue
            path = Path(os.fsdecode(name)).absolute()
            # A file is written under another name beside the one that it replaces.
            if path.parent != Path.cwd() or not any(each in path.name for each in SAVED):
                raise RuntimeError(f"something was written: {event} {args}")


def expect_ahead():
    """See that machine code came with the package, and that nothing is there to make it."""
    from fastnn.kernels.machine import code

    assert code.source().startswith("made ahead for "), code.source()
    assert not {"numba", "llvmlite"} & {*sys.modules}, "Numba was loaded"
    return code.library()


def examples(readme):
    """Run README's examples in their order, as one program; return what needs an extra."""
    names, left_out = {"__name__": "__main__"}, []
    blocks = CODE.findall(Path(readme).read_text(encoding="utf-8"))
    assert len(blocks) > 5
    for block in blocks:
        for statement in ast.parse(block).body:
            whole = ast.Module([statement], [])
            try:
                exec(compile(whole, f"README: {ast.unparse(statement)[:60]}", "exec"), names)
            except ImportError as error:
                if EXTRA not in block:
                    raise
                left_out.append(str(error))
    assert len(left_out) == sum(block.count(EXTRA) for block in blocks), left_out
    expect_ahead()
    found = {path.name for path in Path.cwd().iterdir()}
    assert found == SAVED, found
    return [f"left out: {each}" for each in left_out]


def widths():
    """Return the widths of vectors of all levels that this processor has."""
    from fastnn.kernels.machine import level

    return [str(each.bits) for each in level.of_machine() if level.is_reached(each)]


def affine():
    """Call a function; return the level of processors that its machine code is for."""
    import numpy as np

    from fastnn import ops

    x, W, b = (np.ones(shape, np.float32) for shape in ((64, 100), (100, 50), 50))
    assert (ops.affine(x, W, b) == 101).all()
    return [expect_ahead().level.name]


def unknown():
    """Call it as where objects of Python and NumPy have another layout than is known."""
    from fastnn.kernels.machine import layout

    layout.is_known = lambda: False
    return affine()


def own():
    """See what is said where a user's own part has to be compiled, and nothing can."""
    import numpy as np

    from fastnn.kernels.machine import catalogue, code

    catalogue.add_parts("mine", "step_of_mine")
    try:
        code.address("step_of_mine", np.dtype(np.float32))
    except ModuleNotFoundError as error:
        return [str(error)]
    raise AssertionError("it was compiled")


def command(name):
    """Run a command of ``python -m fastnn``."""
    sys.argv = ["fastnn", name]
    try:
        runpy.run_module("fastnn", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        assert not end.code, end.code
    expect_ahead()
    return ()


TRIALS = {each.__name__: each for each in (affine, command, examples, own, unknown, widths)}


def main(what, *args):
    """Do one of them, and print the lines that it returns."""
    sys.addaudithook(watch)
    print(*TRIALS[what](*args), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
