"""Several trainings at the same time: in threads of one process, or on an executor.

- :func:`fit_many`: trains a list of networks.
- :func:`cross_validate`: trains a new network for each fold of the data.

`jobs`: calls in threads, with Ctrl-C and warnings as if there were none; `given`: what each
training gets; `progress`: one bar for all.
"""

from fastnn.many.folds import CrossValidation, cross_validate
from fastnn.many.trainings import FitManyError, fit_many

__all__ = ["CrossValidation", "FitManyError", "cross_validate", "fit_many"]
