"""Calls of every function of :mod:`fastnn.ops`: their arguments, and the same in plain NumPy."""
