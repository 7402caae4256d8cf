"""Several calls side by side in one process, in plain Python threads."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, SupportsIndex

from fastnn import config
from fastnn._utils import interrupts
from fastnn._utils import validation as numbers
from fastnn._utils import warnings as to_user

_LOOK = 0.1  # seconds from one look at what the threads have done to the next

Call = Callable[[], Any]


def jobs_of(n_jobs: SupportsIndex, most: int) -> int:
    """Return how many calls run at the same time.

    Parameters
    ----------
    n_jobs : int
        As many; -1 for as many as kernels may use threads here, -2 for one less, and so on.
    most : int
        How many calls there are.

    Raises
    ------
    TypeError, ValueError
        If it is no integer, or 0.
    """
    given = numbers.integer("n_jobs", n_jobs, -(2**63))
    if given == 0:
        raise ValueError("n_jobs: expected an integer of at least 1, or -1 for all threads, got 0")
    if given < 0:
        given = max(1, config.get_num_threads() + 1 + given)
    return max(1, min(given, most))


class Jobs:
    """Threads that take one call after the other.

    Each has its share of the threads that kernels may use here, at least one. Calls run in copies
    of the context of whoever made this, and warn on behalf of the user who called.

    Parameters
    ----------
    calls : iterable of function
        It is asked for the next call by one thread at a time.
    n_jobs : int
        How many threads.
    ends_at_error : bool
        Whether an error of one call ends the others as Ctrl-C does.
    """

    def __init__(self, calls: Iterable[Call], n_jobs: int, ends_at_error: bool = False) -> None:
        self._calls: Iterator[tuple[int, Call]] = enumerate(calls)
        self._n_jobs, self._ends_at_error = n_jobs, ends_at_error
        self._share = max(1, config.get_num_threads() // n_jobs)
        self._context, self._caller = contextvars.copy_context(), to_user.user()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._told = [interrupts.for_thread() for _ in range(n_jobs)]
        self._stopped = False
        self._running = 0
        self.results: dict[int, Any] = {}
        self.errors: dict[int, Exception] = {}
        self._ended_by: BaseException | None = None

    def run(self, look: Callable[[], None] = lambda: None) -> None:
        """Carry out all calls; `results` and `errors` then have what they returned and raised.

        Ctrl-C ends all, each where it would end one alone, and comes through when all have ended.

        Parameters
        ----------
        look : function
            Called now and then, by the calling thread.
        """
        threads = [
            threading.Thread(target=self._work, args=(told,), name=f"fastnn-job-{i + 1}")
            for i, told in enumerate(self._told)
        ]
        begun: list[threading.Thread] = []
        try:
            for thread in threads:
                with self._lock:
                    self._running += 1
                try:
                    thread.start()
                except RuntimeError:  # no more threads to be had: fewer do it all
                    self._end()
                    if not begun:
                        raise
                    break
                begun.append(thread)
            while not self._over.wait(_LOOK):
                with interrupts.held():  # a thread that is told of Ctrl-C ends here
                    look()
            look()
        except BaseException:
            self.stop()
            raise
        finally:
            for thread in begun:
                thread.join()
        if self._ended_by is not None:
            raise self._ended_by

    def stop(self) -> None:
        """Let no call begin any more, and those under way end as by Ctrl-C."""
        self._stopped = True
        for told in self._told:
            told.receive(0, None)

    def _end(self) -> None:
        with self._lock:
            self._running -= 1
            if self._running == 0:
                self._over.set()

    def _next(self) -> tuple[int, Call] | None:
        with self._lock:
            return None if self._stopped else next(self._calls, None)

    def _work(self, told: interrupts.Interrupt) -> None:
        """What a thread does."""
        try:
            with to_user.called_by(self._caller), interrupts.told(told):
                while (found := self._next()) is not None:
                    self._carry_out(*found)
        except BaseException as error:  # of the iterator, or KeyboardInterrupt
            self._end_by(error)
        finally:
            self._end()

    def _carry_out(self, i: int, call: Call) -> None:
        try:
            self.results[i] = self._context.copy().run(self._limited, call)
        except Exception as error:
            self.errors[i] = error
            if self._ends_at_error:
                self._end_by(error)
        except BaseException as error:
            self._end_by(error)

    def _limited(self, call: Call) -> Any:
        with config.limit_num_threads(self._share):
            return call()

    def _end_by(self, error: BaseException) -> None:
        with self._lock:
            first, self._stopped = not self._stopped, True
            if first:
                self._ended_by = error
        self.stop()
