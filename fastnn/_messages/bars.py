"""Progress bars: text in a terminal, widgets in a notebook, and elsewhere lines now and then."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from fastnn._messages import compiling
from fastnn._utils.log import show as show_line

__all__ = ["Progress", "is_watched"]

AFTER, EVERY = 1.0, 10.0  # seconds before the first line, and between two
LONG = 30.0  # seconds without a line, where what is written would be enough

Facts = Callable[[], Mapping[str, object]]


def _in_notebook() -> bool:
    """Say whether this is a kernel of Jupyter."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def _in_terminal() -> bool:
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, OSError, ValueError):  # None, a stand-in of a program's own, closed
        return False


def is_watched() -> bool:
    """Say whether there is a terminal or a notebook to show a bar in."""
    return _in_notebook() or _in_terminal()


def _tqdm(notebook: bool) -> Any:
    """Return the class of bars; ``tqdm.auto`` would complain where ipywidgets is missing."""
    if notebook:
        try:
            for name in ("IPython.display", "ipywidgets"):
                importlib.import_module(name)
        except ImportError:
            pass
        else:
            from tqdm.notebook import tqdm as widget

            return widget
    from tqdm import tqdm

    return tqdm


class Progress:
    """A progress bar; where there is neither a terminal nor a notebook, lines.

    The time in which kernels are compiled does not count. What cannot be shown is left out: a
    stream that cannot be written to, or a notebook's page that is gone, ends no work.

    Parameters
    ----------
    total : int or None
        None if it is not known.
    unit : str
        What is counted, as ``tqdm`` takes it: with a space in front if it is a word.
    show : bool
        Whether to show anything.
    done : int
        Where it starts.
    lines : bool
        Whether to print, where there is no bar, a line after a second, then every ten seconds,
        and one at the end. Without it, those given to :meth:`write` are all, but where there is
        none for half a minute.
    **settings
        More arguments of ``tqdm.tqdm``.

    Attributes
    ----------
    bar : tqdm.tqdm or None
    """

    def __init__(
        self,
        total: int | None,
        unit: str,
        show: bool = True,
        *,
        done: int = 0,
        lines: bool = True,
        **settings: Any,
    ) -> None:
        self.bar: Any = None
        self._show, self._lines = show, lines
        self._total, self._unit, self._name = total, unit.strip(), settings.get("desc")
        self._done = self._printed = done
        self._facts: Facts = dict
        self._due = time.perf_counter() + (AFTER if lines else LONG)  # when to print the next line
        self._thread, self._compiled = threading.get_ident(), compiling.spent()
        if show and is_watched():
            notebook = _in_notebook()
            with self._drawn():
                self.bar = _tqdm(notebook)(
                    total=total,
                    initial=done,
                    unit=unit,
                    dynamic_ncols=True,
                    # A notebook shows bar and lines in one block if they come by one stream.
                    file=sys.stdout if notebook else sys.stderr,
                    **settings,
                )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            with self._drawn():
                self.bar.close()
        elif self._lines and self._printed != self._done:
            self._print()

    @contextmanager
    def _drawn(self) -> Iterator[None]:
        """Do something to the bar; give it up if that cannot be.

        There is no telling which errors a notebook's widgets, or a stand-in for a stream, have.
        """
        try:
            yield
        except Exception:
            if self.bar is not None:
                self.bar.disable = True  # so that it says nothing when it is deleted
            self.bar = None

    def advance(self, count: int, facts: Facts | None = None) -> None:
        """Move on by so many; `facts` returns what to show beside them from now on."""
        self._done += count
        self._facts = facts or self._facts
        if self.bar is None:
            if time.perf_counter() >= self._due:
                self._print()
            return
        if threading.get_ident() == self._thread and not self.bar.disable:
            compiled = compiling.spent()
            self.bar.start_t += compiled - self._compiled
            self.bar.last_print_t += compiled - self._compiled
            self._compiled = compiled
        shown = self._facts()
        with self._drawn():
            self.bar.set_postfix(shown, refresh=False)
            self.bar.update(count)

    def _print(self) -> None:
        """Print how far it is, on standard error like a bar."""
        self._due = time.perf_counter() + (EVERY if self._lines else LONG)
        self._printed = self._done
        if not self._show:
            return
        of = "" if self._total is None else f"/{self._total:,}"
        words = [
            f"{self._done:,}{of} {self._unit}",
            *(f"{k} {v}" for k, v in self._facts().items()),
        ]
        name = f"{self._name}: " if self._name else ""
        show_line(name + ", ".join(words), sys.stderr)

    def write(self, line: str) -> None:
        """Print a line on standard output, above the bar."""
        if self.bar is not None:
            with self._drawn():
                self.bar.write(line)
                return
        if not self._lines:
            self._due = time.perf_counter() + LONG
        if self._show:
            show_line(line, sys.stdout)
