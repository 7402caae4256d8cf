"""Hyper-parameter search, a thin layer on Optuna, which the extra "search" installs.

- :class:`Log`, :class:`Uniform`, :class:`Int`, :class:`Choice`: ranges.
- :func:`search`: random search or TPE, bad trials ended early, kept in a file.
- :func:`coarse_to_fine`: in stages, with ranges narrowed about the best trials.
- :class:`SearchResult`: best trials, values at the border of their range, curves; :func:`load`
  reads it from a file.

``search(n_jobs=2)`` runs trials in two threads. To use several processes or machines, give a
`storage`, a file or the URL of a database, and start the script as often as wanted, each with a
share of the cores: ``FASTNN_NUM_THREADS=1 python script.py`` in two terminals. They draw different
values, share the work, and go on to the next stage together.
"""

from fastnn.search._ranges import Choice, Int, Log, Range, Uniform
from fastnn.search._result import Border, BorderWarning, FinishedTrial, SearchResult
from fastnn.search._search import load, search
from fastnn.search._stages import Stage, coarse_to_fine
from fastnn.search._trial import Trial

__all__ = [
    "Border",
    "BorderWarning",
    "Choice",
    "FinishedTrial",
    "Int",
    "Log",
    "Range",
    "SearchResult",
    "Stage",
    "Trial",
    "Uniform",
    "coarse_to_fine",
    "load",
    "search",
]
