"""Trainings on an executor: in other processes, or on other machines."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from fastnn import config
from fastnn._utils import warnings as to_user
from fastnn.networks import Network, sizing

_LOOK = 0.1  # seconds from one look at what has ended to the next

Settings = dict[str, Any]


class Future(Protocol):
    """What an executor returns at once, and has the result of a call later."""

    def done(self) -> bool:
        """Say whether the call has ended."""
        ...

    def result(self) -> Any:
        """Return what it has returned, or raise what it has raised."""
        ...

    def cancel(self) -> Any:
        """Let it not begin if it has not."""
        ...


class Executor(Protocol):
    """What carries out calls: of ``concurrent.futures``, or ``dask.distributed.Client``."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future:
        """Begin a call, now or later."""
        ...


def expect_executor(executor: Any) -> None:
    """Raise TypeError unless something can carry out calls."""
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(
            "executor: expected one like those of concurrent.futures, with submit(function, "
            f"*arguments), got {executor!r}"
        )


def train(network: Network, x: Any, t: Any, settings: Settings, name: str) -> tuple[Any, ...]:
    """Train a network where the executor calls this; return what the network at home takes.

    Parameters
    ----------
    network : Network
    x, t : array_like
    settings : dict
        More arguments of ``network.fit``.
    name : str
        Of this call: an executor may take calls with the same arguments for one.

    Returns
    -------
    file : bytes
    history : History
    warnings : list of (str, type)
    """
    with config.limit_num_threads(1), to_user.collected() as caught:
        history = network.fit(x, t, **settings, verbose=False)
    file = io.BytesIO()
    network.save(file)
    return file.getvalue(), history, caught


class Remote:
    """Trainings that an executor carries out.

    Parameters
    ----------
    executor : Executor
    networks : list of Network
    settings : list of dict
        Arguments of ``network.fit``, of each.
    ended : function of (int, History or None)
        Called in the calling thread when a training has ended; None after an error.

    Attributes
    ----------
    results : dict of int to History
    errors : dict of int to Exception
    """

    def __init__(
        self,
        executor: Executor,
        networks: list[Network],
        settings: list[Settings],
        ended: Callable[[int, Any], None],
    ) -> None:
        self._executor, self._networks, self._settings = executor, networks, settings
        self._ended = ended
        self._sent: dict[int, tuple[Any, Any]] = {}
        self.results: dict[int, Any] = {}
        self.errors: dict[int, Exception] = {}

    def run(self, look: Callable[[], None]) -> None:
        """Train all networks; after Ctrl-C those that have not begun are left as they were."""
        waiting: dict[int, Future] = {}
        try:
            for i, network in enumerate(self._networks):
                waiting[i] = self._submit(network, self._settings[i])
            while waiting:
                for i in [i for i, future in waiting.items() if future.done()]:
                    self._take(i, waiting.pop(i))
                look()
                if waiting:
                    time.sleep(_LOOK)
        except BaseException:
            for future in waiting.values():
                future.cancel()
            raise

    def _submit(self, network: Network, settings: Settings) -> Future:
        rest = dict(settings)
        x, t, validation = (rest.pop(name) for name in ("x", "t", "validation"))
        if isinstance(validation, tuple):
            validation = tuple(map(self._send, validation))
        rest["validation"] = validation
        data = self._send(x), self._send(t)
        return self._executor.submit(train, network, *data, rest, uuid.uuid4().hex)

    def _send(self, array: Any) -> Any:
        """Return an array as the executor takes it best: Dask has it sent once for all calls."""
        scatter = getattr(self._executor, "scatter", None)
        if scatter is None or not isinstance(array, np.ndarray):
            return array
        if id(array) not in self._sent:
            self._sent[id(array)] = array, scatter(array, broadcast=True)
        return self._sent[id(array)][1]

    def _take(self, i: int, future: Future) -> None:
        """Let a network become what was trained."""
        try:
            file, history, caught = future.result()
            network = self._networks[i]
            with sizing.sized(network, self._settings[i]["x"]):
                network.load(io.BytesIO(file))
                network.history = history
        except Exception as error:
            self.errors[i] = error
            self._ended(i, None)
            return
        for message, category in caught:
            to_user.warn(message, category)
        self.results[i] = history
        self._ended(i, history)
