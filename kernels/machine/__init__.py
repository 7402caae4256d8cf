"""How Python reaches machine code: one calling convention for all kernels.

A kernel is a function of one integer, the address of words of 64 bits that hold its arguments:
addresses of arrays, then the lengths of their axes, then numbers, then into how many pieces to cut
the work, then where its workspace is and how large. It returns 0, or how many bytes of workspace
it would need, or a number below 0 if arguments are not such as it takes, and has then done nothing.
It calls neither Python nor Numba. So the same code can be made ahead, and linked into a library, or
made at its first call.

`signature` says what a kernel takes, and `catalogue` that of each; `words` says what stands in
which word of the tables that machine code reads, and `layout` where NumPy and Python keep what it
looks for. `code` knows where machine code is: `made` compiles it with Numba, `ahead` loads what
came with the installation, for the `level` of this processor. `native` makes functions of Python
of it.
"""
