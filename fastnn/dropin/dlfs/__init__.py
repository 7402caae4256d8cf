"""The modules ``common`` and ``dataset`` of *Deep Learning from Scratch*, on fastnn.

Functions and layers hand arrays of float32 and float64, in the shapes that they are meant for,
to :mod:`fastnn.ops`. Whatever else NumPy takes (numbers, float16, other shapes) goes through
the formula in NumPy, with its result, its dtype and its errors.
"""
