"""What needs no Numba, at the bottom of all: compiled code and plain Python use it.

`level` knows how wide vectors are, `memory` where arrays begin, and `shared` keeps functions that
both call: they are plain Python until Numba is loaded.
"""
