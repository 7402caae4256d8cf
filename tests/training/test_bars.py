"""Progress: bars in terminals and notebooks, lines elsewhere."""

import gc
import io
import logging
import subprocess
import sys
import threading
import warnings
from functools import partial
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from numba.core.compiler_lock import global_compiler_lock

from fastnn import MultiLayerNet, Trainer
from fastnn._messages import bars
from fastnn._messages.bars import Progress
from fastnn._utils import log as _log
from fastnn._utils import logger as _logger
from fastnn.optimizers import SGD


@pytest.fixture
def now(monkeypatch):
    clock = SimpleNamespace(time=1000.0)
    monkeypatch.setattr(bars.time, "perf_counter", lambda: clock.time)
    return clock


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(bars, "_in_terminal", lambda: True)


@pytest.mark.parametrize("terminal", [True, False])
def test_terminals_are_known_by_standard_error(monkeypatch, terminal):
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: terminal))
    assert bars._in_terminal() is terminal
    monkeypatch.setattr(sys, "stderr", None)  # of a program without a window for it
    assert not bars._in_terminal()
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=print))  # a stand-in for a file
    assert not bars._in_terminal()


def test_lines_come_now_and_then_and_at_the_end(now, capsys):
    with Progress(1000, " steps", desc="descent") as progress:
        for i in range(250):
            now.time += 0.1
            progress.advance(1, lambda i=i: {"loss": f"{i}"})
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line.split(",") for line in err.splitlines()]
    assert [float(line[0].split()[1].split("/")[0]) for line in lines[:2]] == pytest.approx(
        [10, 110],
        abs=1,  # tenths of a second add up to a little less, or more
    )
    assert err.splitlines()[-1] == "descent: 250/1,000 steps, loss 249" and len(lines) == 4


def test_no_lines_where_none_are_wanted(now, capsys):
    with Progress(None, " steps", show=False) as progress:
        now.time += 100.0
        progress.advance(1)
    assert capsys.readouterr() == ("", "")


def test_lines_of_ones_own_are_all_unless_they_are_long_in_coming(now, capsys):
    with Progress(1000, " steps", lines=False) as progress:
        for epoch in range(3):
            for _ in range(10):
                now.time += 2.9
                progress.advance(1)
            progress.write(f"epoch {epoch}")
        assert capsys.readouterr() == ("epoch 0\nepoch 1\nepoch 2\n", "")
        for _ in range(10):
            now.time += 7.0
            progress.advance(1, lambda: {"loss": "0.5"})
    expected = "35/1,000 steps, loss 0.5\n40/1,000 steps, loss 0.5\n"
    assert capsys.readouterr() == ("", expected)


class Stream:
    """A stand-in for a stream that cannot be written to."""

    encoding = "ascii"

    def __init__(self, error, terminal):
        self._error, self._terminal = error, terminal

    def isatty(self):
        return self._terminal

    def write(self, text):
        raise type(self._error)(*self._error.args)  # another: it keeps frames

    def flush(self):
        self.write("")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


UNWRITABLE = {
    "none": lambda: None,
    "closed": closed,
    "no file": object,
    "unknown": lambda: Stream(OSError(5, "not known"), None),
    **{
        f"{type(error).__name__}, {'terminal' if terminal else 'file'}": partial(
            Stream, error, terminal
        )
        for terminal in (True, False)
        for error in (
            BrokenPipeError(32, "nobody reads"),
            OSError(28, "disk full"),
            UnicodeEncodeError("ascii", "\u2588", 0, 1, "no such character"),
            RuntimeError("the page is gone"),
        )
    },
}


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("notebook", [True, False])
def test_what_cannot_be_shown_ends_no_work(name, notebook, monkeypatch, now):
    monkeypatch.setattr(bars, "_in_notebook", lambda: notebook)
    for make in UNWRITABLE.values():
        shown = []
        with monkeypatch.context() as patched:
            patched.setattr(sys, name, make())
            with Progress(10, " steps") as progress:
                for _ in range(5):
                    now.time += 100.0
                    progress.advance(2, lambda shown=shown: shown.append(1) or {"loss": "0.5"})
                    progress.write("epoch")
        assert len(shown) >= 5
    del progress
    gc.collect()  # a bar that is deleted is silent, too: pytest reports what is not


def test_an_error_of_what_is_to_be_shown_is_none_of_the_bar(terminal):
    with Progress(10, " steps") as progress, pytest.raises(ZeroDivisionError):
        progress.advance(1, lambda: {"loss": 1 / 0})


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("kind", UNWRITABLE)
@pytest.mark.parametrize("run", ["fit", "trainer", "diverging"])
def test_a_training_goes_on_without_what_it_would_show(run, kind, stream, monkeypatch):
    x = np.random.default_rng(850).normal(size=(40, 3))
    t = (x[:, 0] > 0).astype(int)

    def trained(verbose):
        net = MultiLayerNet(3, [4], 2, seed=0)
        if run == "trainer":
            Trainer(net, x, t, x, t, 2, 10, verbose=verbose, seed=0).train()
        else:
            rate = 0.1 if run == "fit" else 1e30
            net.fit(x, t, 2, 10, SGD(rate), verbose=verbose, seed=0)
        return net.params

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = trained(False)
        monkeypatch.setattr(sys, stream, UNWRITABLE[kind]())
        found = trained(True)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array)


@pytest.mark.parametrize("error", [OSError(28, "disk full"), ValueError("closed")])
def test_a_handler_of_the_program_that_cannot_write_ends_nothing(error, monkeypatch):
    class Handler(logging.Handler):
        def emit(self, record):
            raise error

    monkeypatch.delenv("FASTNN_QUIET")
    monkeypatch.setattr(_logger.LOGGER, "handlers", [Handler()])
    _log.say("compiling")


def test_names_in_a_stream_of_another_encoding(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    _log.show("Schicht\u00e4: 1", stream)
    assert stream.buffer.getvalue() == b"Schicht\\xe4: 1\n"


@pytest.mark.slow
def test_a_log_has_a_line_an_epoch_and_no_bar():
    code = """
import numpy as np
from fastnn import MultiLayerNet
x = np.zeros((200, 4))
MultiLayerNet(4, [3], 2, seed=0).fit(x, np.zeros(200, int), 5, 2, seed=0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert done.stderr == "" and "\r" not in done.stdout
    assert [line.split(":")[0] for line in lines] == [f"epoch {i}/5" for i in range(1, 6)]


@pytest.mark.parametrize("watched", [False, True])
def test_a_training_that_nobody_watches_may_be_silent(watched, monkeypatch, capsys):
    monkeypatch.setattr(bars, "_in_terminal", lambda: watched)
    net = MultiLayerNet(2, [3], 2)
    net.fit(np.ones((4, 2)), [0, 1, 0, 1], 2, verbose="auto")
    assert ("epoch 2/2: " in capsys.readouterr().out) is watched
    net.fit(np.ones((4, 2)), [0, 1, 0, 1], 2, verbose=True)
    assert "epoch 2/2: " in capsys.readouterr().out
    x, t = np.ones((4, 2)), np.array([0, 1, 0, 1])
    for verbose in ("auto", True):
        Trainer(net, x, t, x, t, 2, 2, verbose=verbose).train()
        told = "test accuracy" in capsys.readouterr().out
        assert told is (watched or verbose is True)


def test_verbose_is_checked():
    net, x, t = MultiLayerNet(2, [3], 2), np.ones((4, 2)), np.array([0, 1, 0, 1])
    text = "verbose: expected True, False or 'auto', got 'no'"
    with pytest.raises(ValueError, match=text):
        net.fit(x, t, verbose="no")
    with pytest.raises(ValueError, match=text):
        Trainer(net, x, t, x, t, verbose="no")


def test_nothing_is_printed_of_nothing(capsys):
    with Progress(10, " steps", done=3):
        pass
    assert capsys.readouterr() == ("", "")


def test_written_lines_are_on_standard_output(capsys):
    with Progress(10, " steps") as progress:
        progress.write("epoch 1")
    with Progress(10, " steps", show=False) as progress:
        progress.write("epoch 1")
    assert capsys.readouterr() == ("epoch 1\n", "")


def test_a_bar_in_a_terminal(terminal, capsys):
    with Progress(10, " steps", done=2) as progress:
        progress.advance(8, lambda: {"loss": "0.5"})
        progress.write("epoch 1")
    out, err = capsys.readouterr()
    assert out == "epoch 1\n" and "10/10" in err and "loss=0.5" in err


def test_what_is_said_does_not_tear_a_bar(terminal, capsys, monkeypatch):
    monkeypatch.delenv("FASTNN_QUIET")
    monkeypatch.setattr(_logger, "_others", lambda level: False)  # pytest has handlers
    with Progress(10, " steps"):
        _log.say("compiling")
    assert "fastnn: compiling" in capsys.readouterr().err.replace("\r", "\n").split("\n")


def test_a_bar_that_the_user_has_turned_off(terminal, monkeypatch, capsys):
    tqdm = bars._tqdm(False)
    off = lambda **settings: tqdm(**settings | {"disable": True})  # noqa: E731
    monkeypatch.setattr(bars, "_tqdm", lambda notebook: off)
    with Progress(10, " steps") as progress:
        progress.advance(1, lambda: {"loss": "0.5"})
    assert capsys.readouterr() == ("", "")


def test_compiling_does_not_count(terminal, now, monkeypatch):
    import_module("fastnn.kernels.machine.made")  # with it Numba comes, and is listened to
    monkeypatch.setattr("tqdm.std.time", lambda: now.time)
    with Progress(100, " steps") as progress:
        now.time += 1.0
        progress.advance(10)
        with global_compiler_lock:
            now.time += 3600.0
        now.time += 1.0
        progress.advance(10)
        facts = progress.bar.format_dict
        assert (facts["n"], facts["elapsed"], facts["rate"]) == (20, 2.0, 10.0)
        thread = threading.Thread(target=progress.advance, args=(10,))  # whose own clock is at 0
        thread.start()
        thread.join()
        assert progress.bar.format_dict["elapsed"] == 2.0


@pytest.mark.parametrize("config", [{"IPKernelApp": {}}, {}, None])
def test_notebooks_are_known_by_their_kernel(monkeypatch, config):
    shell = None if config is None else SimpleNamespace(config=config)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert bars._in_notebook() is bool(config)


def test_bar_and_lines_of_a_notebook_are_one_stream(monkeypatch, capsys):
    monkeypatch.setattr(bars, "_in_notebook", lambda: True)
    with Progress(10, " steps") as progress:
        progress.advance(10)
        progress.write("epoch 1")
    out, err = capsys.readouterr()
    assert "10/10" in out and "epoch 1\n" in out and err == ""


# A kernel of Jupyter without ipywidgets, as far as tqdm looks.
KERNEL = """
import sys
from types import SimpleNamespace

shell = SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = SimpleNamespace(get_ipython=lambda: shell)
sys.modules["ipykernel.zmqshell"] = SimpleNamespace()
sys.modules["IPython.display"] = sys.modules["ipywidgets"] = None
from fastnn._messages.bars import Progress
with Progress(10, " steps") as progress:
    progress.advance(10)
"""


@pytest.mark.slow
def test_without_ipywidgets_a_notebook_has_a_bar_of_text_and_no_complaint():
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", KERNEL], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "10/10" in done.stdout
