"""What needs no Numba, at the bottom of all: compiled code and plain Python use it.

`level` knows how wide vectors are, `memory` where arrays begin, `shared` keeps functions that both
call, which are plain Python until Numba is loaded, and `arrival` tells of it when it is. `table` is
where threads share out calls. `sources` has what this package consists of, `numpy_c` NumPy's own
module of C, `powers` what takes no function of the C library.
"""
