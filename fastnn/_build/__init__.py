"""How libraries of machine code are made ahead of time: what ``python -m fastnn.build`` does.

`objects` compiles everything for one level of processors, in a process of its own, and `linking`
makes a shared library of that; `levels` does both for all levels, and writes the manifest.
"""
