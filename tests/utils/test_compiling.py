"""What is said while kernels are compiled, and the time that is not counted then."""

import importlib
import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from numba.core.compiler_lock import global_compiler_lock
from processes import of_compiling

from fastnn import MultiLayerNet
from fastnn._messages import compiling
from fastnn.kernels.codegen import cache
from fastnn.program import program

BEGIN = "import logging, threading, numpy as np\n"
RELU = """
from fastnn import ops
from fastnn._messages import compiling
compiling.AFTER, compiling.BETWEEN, compiling.EVERY = 0, 1e6, 1e6
ops.relu(np.ones(3))
"""
IN_A_THREAD = """
from fastnn import ops
from fastnn._messages import compiling
compiling.AFTER, compiling.BETWEEN, compiling.EVERY = 0, 1e6, 1e6
worker = threading.Thread(target=ops.relu, args=(np.ones(3),))
worker.start()
worker.join()
"""
IN_A_CHILD = """
import os
from fastnn import ops
from fastnn._messages import compiling
compiling.AFTER, compiling.BETWEEN, compiling.EVERY = 0, 1e6, 1e6
child = os.fork()
if not child:
    ops.relu(np.ones(3))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def printed(folder, script=RELU, **variables):
    """Return what a process with this cache folder prints on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + script],
        env=of_compiling(FASTNN_CACHE_DIR=folder, **variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr


def expect_line(text, folder, begin="fastnn: "):
    made = next(p for p in (folder / "kernels").iterdir() if not p.name.startswith("objects-"))
    assert text == (
        f"{begin}compiling kernels for this machine, once: they are kept in {made}; "
        "now calls.caller.call\n"
    )


@pytest.mark.slow
def test_it_is_said_once_and_no_more_when_all_is_compiled(tmp_path):
    expect_line(printed(tmp_path), tmp_path)
    assert printed(tmp_path) == ""


scripts = {"thread": IN_A_THREAD, "child": IN_A_CHILD}
if not hasattr(os, "fork"):
    del scripts["child"]


@pytest.mark.slow
@pytest.mark.parametrize("script", scripts.values(), ids=scripts)
def test_it_is_said_of_threads_and_forked_children_too(tmp_path, script):
    expect_line(printed(tmp_path, script), tmp_path)


@pytest.mark.slow
def test_whoever_calls_a_kernel_has_imported_what_speaks(tmp_path):
    script = "import sys, fastnn.ops\nassert 'fastnn._messages.compiling' in sys.modules"
    assert printed(tmp_path, script) == ""


@pytest.mark.slow
def test_short_compiling_is_not_spoken_of(tmp_path):
    assert printed(tmp_path, RELU.replace("= 0,", "= 1e6,")) == ""
    assert list(tmp_path.glob("kernels/*/*.bin"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "variables"),
    [
        (RELU, {"FASTNN_QUIET": "1"}),
        ("logging.getLogger('fastnn').setLevel(logging.WARNING)" + RELU, {}),
        (RELU.replace("ops.relu", "logging.getLogger('fastnn').setLevel(30); ops.relu"), {}),
    ],
    ids=["variable", "level", "level set later"],
)
def test_quiet(tmp_path, script, variables):
    assert printed(tmp_path, script, **variables) == ""


@pytest.mark.slow
def test_handlers_of_the_program_get_the_line_instead(tmp_path):
    script = f"logging.basicConfig(format='mine: %(name)s: %(message)s'){RELU}"
    expect_line(printed(tmp_path, script), tmp_path, "mine: fastnn: ")


@pytest.mark.slow
def test_a_log_file_gets_the_line_too(tmp_path):
    script = f"logging.basicConfig(filename={str(tmp_path / 'log')!r}, format='%(message)s'){RELU}"
    folder = tmp_path / "cache"
    expect_line(printed(folder, script), folder)
    expect_line((tmp_path / "log").read_text(), folder, "")


@pytest.mark.slow
def test_it_is_said_that_nothing_can_be_kept(tmp_path):
    file = tmp_path / "file"
    file.touch()
    lines = printed(file).splitlines()
    assert lines[0] == (
        f"fastnn: compiling kernels for this machine, in each process anew, as {file}/kernels/"
        f"{cache.folder().name} cannot be used: set FASTNN_CACHE_DIR to a folder that can be "
        "written; now calls.caller.call"
    )


def test_where_kernels_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "a" / "b")
    assert cache.keeps()
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert cache.keeps()
    if hasattr(os, "getuid"):
        (tmp_path / "a" / "b").chmod(0o777)  # others could have written what is there
        assert not cache.keeps()


# --- how far it is ------------------------------------------------------------------------


@pytest.fixture
def now(monkeypatch):
    """A clock that stands."""
    clock = SimpleNamespace(time=0.0)
    monkeypatch.setattr(compiling.time, "perf_counter", lambda: clock.time)
    return clock


@pytest.fixture
def lines(monkeypatch):
    """The lines that were said; `come` waits for one more."""
    said, some = [], threading.Semaphore(0)

    def say(line):
        said.append(line)
        some.release()

    monkeypatch.setattr(compiling, "say", say)
    return SimpleNamespace(said=said, come=lambda: some.acquire(timeout=60))


def event(name="_layer", module="fastnn.kernels.layers.affine"):
    function = SimpleNamespace(__name__=name, __module__=module)
    return SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=function)})


def test_what_compiles_and_how_far_it_is(lines, now, monkeypatch):
    for name in ("AFTER", "BETWEEN", "EVERY"):
        monkeypatch.setattr(compiling, name, 0.0)
    speaker = compiling._Speaker()
    speaker.on_start(event())
    assert lines.come()
    now.time = 5.0
    speaker.on_end(event())
    with compiling.task("the training program", 2):
        for name in ("on_rows_32", "on_updates_32"):
            begin = len(lines.said)
            speaker.on_start(event(name, "fastnn.kernels.program.parts"))
            while len(lines.said) == begin:
                assert lines.come()
            now.time += 2.0
            speaker.on_end(event(name, "fastnn.kernels.program.parts"))
    found = list(dict.fromkeys(lines.said))
    assert found[0].endswith("; now layers.affine.layer")
    part = "compiling the training program, part {} of 2 (program.parts.{}); {} done, {}"
    for expected in (part.format(1, "on_rows_32", 1, "5 s"), part.format(2, "on_updates_32", 2, 7)):
        assert any(line.startswith(expected) for line in found)


@pytest.mark.parametrize("pause", [0.0, 10.0])
def test_short_ones_in_a_row_count_together(lines, now, monkeypatch, pause):
    monkeypatch.setattr(compiling, "AFTER", 1000.0)
    speaker = compiling._Speaker()
    speaker.on_start(event())
    now.time = 1001.0
    speaker.on_end(event())
    now.time += pause
    speaker.on_start(event())
    if pause == 0:
        assert lines.come()
    speaker.on_end(event())
    assert len(lines.said) == (pause == 0)


def test_another_kernel_is_spoken_of_sooner_than_the_same(lines, now, monkeypatch):
    monkeypatch.setattr(compiling, "AFTER", 0.0)
    speaker = compiling._Speaker()
    speaker.on_start(event())
    assert lines.come()
    begin = now.time
    assert speaker._due("layers.affine.layer") == begin + compiling.EVERY
    assert speaker._due("layers.affine.other") == begin + compiling.BETWEEN
    speaker.on_end(event())


def test_what_is_not_ours_is_not_spoken_of(lines, monkeypatch):
    monkeypatch.setattr(compiling, "AFTER", 0.0)
    speaker = compiling._Speaker()
    lifted = SimpleNamespace(data={"dispatcher": object()})
    for other in (event("f", "mine"), event("f", None), lifted):
        speaker.on_start(other)
        speaker.on_end(other)
    assert speaker._thread is None and not lines.said
    speaker.on_start(event())
    speaker.on_start(event("inner"))
    assert lines.come()
    speaker.on_end(event("inner"))
    assert speaker._thread is not None
    speaker.on_end(event())
    assert speaker._thread is None and speaker._count == 1


def test_nothing_is_said_when_the_process_ends(lines, monkeypatch):
    monkeypatch.setattr(compiling, "AFTER", 1e6)
    speaker = compiling._Speaker()
    speaker.on_start(event())
    thread = speaker._thread
    speaker.close()
    assert not thread.is_alive()
    monkeypatch.setattr(compiling, "AFTER", 0.0)
    speaker.on_end(event())
    speaker.on_start(event())
    speaker.on_end(event())
    assert speaker._thread is None and not lines.said


# --- the clock ----------------------------------------------------------------------------


def test_the_clock_stands_while_this_thread_compiles(now):
    importlib.import_module(
        "fastnn.kernels.machine.made"
    )  # with it Numba comes, and is listened to
    start = compiling.clock()
    now.time += 1.0
    with global_compiler_lock, global_compiler_lock:  # as functions inside a kernel do
        now.time += 30.0
    now.time += 2.0
    assert compiling.clock() - start == 3.0


def test_the_clock_runs_while_another_thread_compiles(now):
    def other():
        with global_compiler_lock:
            now.time += 30.0

    start = compiling.clock()
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert compiling.clock() - start == 30.0


# What a process compiles or, as here, finds on disk: the order is the same.
PREPARED = """
from fastnn import MultiLayerNetExtend
from fastnn.kernels.codegen import cache
from fastnn.program import Program

seen, during, load, run = [], [], cache._KernelCache.load_overload, Program.run
settings = {"use_batchnorm": True, "use_dropout": True, "dropout_ration": 0.2, "seed": 0}
network = MultiLayerNetExtend(4, [5], 3, **settings)

def note(self, *args):
    seen.append(self._name)
    return load(self, *args)

def first_run(self, *args):
    before = len(seen)
    run(self, *args)
    during.append(seen[before:])

cache._KernelCache.load_overload, Program.run = note, first_run
network.fit(np.ones((8, 4)), np.zeros(8, int), 1, 4, verbose=False)
assert sum(name.startswith("fastnn.kernels.program") for name in seen) == 12, seen
assert not any(name.startswith("fastnn.kernels.program") for name in during[0]), during
"""


@pytest.mark.slow
def test_the_program_is_compiled_before_its_first_step():
    assert printed(cache.folder().parents[1], PREPARED, FASTNN_QUIET="1") == ""


def test_ctrl_c_comes_between_the_parts_of_the_program(monkeypatch):
    compiled = []

    def address(*part):
        compiled.append(part)
        signal.raise_signal(signal.SIGINT)
        compiled.append("whole")

    monkeypatch.setattr(program, "missing", lambda *kind: [("one", None), ("two", None)])
    monkeypatch.setattr(program.code, "address", address)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            MultiLayerNet(4, [5], 3).fit(np.ones((8, 4)), np.zeros(8, int), verbose=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert compiled == [("one", None), "whole"]
