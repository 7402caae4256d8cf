"""Whole training in each library: the same network, initial values, data and order of samples.

- :mod:`spec`: what is trained.
- ``with_fastnn``, ``with_torch``, ``with_compile``, ``with_jax``, ``with_sklearn``: a class
  ``Training`` each, with ``epoch(order)``, ``parameters()`` and, where a process of its own
  needs it, ``accuracy(x, t)``.
- :mod:`process`: such a process.

Nothing here but ``with_fastnn`` imports fastnn, and nothing is imported by its full name: a
process that measures how long PyTorch takes to start, or its memory, finds this package as
``training`` and has nothing else of ours in it.
"""
