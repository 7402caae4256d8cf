"""The command line: ``python -m fastnn``.

A command is an entry in the table of `commands` and a module of its name there; what it works on is
beside `commands`: `info`, the facts of a machine, and `warmup`, the calls that compile everything.
"""
