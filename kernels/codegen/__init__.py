"""How machine code is made: LLVM IR for what Numba has no words for, compiling, the cache on disk.

`compile` has the options and the decorators that everything else is compiled by, and `cache` keeps
machine code on disk, under a digest of all sources. `private` has Numba make it in `libraries`:
once, for the kernel alone; `c_function` makes a function of C of it. `passes` are those of Numba
that it takes, and `shortcuts` what Numba does quicker meanwhile. `lock` has Ctrl-C and forks
come where they do no harm to what is being compiled; `internals` is what they take of Numba beyond
what it promises. `flow` emits functions, calls and loops, `simd` vectors of a chosen width;
`elementary` has exp, log, tanh, erfc and maximum, and `fused` a product and a sum in one;
`denormals` switches flush-to-zero; `raw` reads words at addresses, and `memory` makes arrays of
them; `atomics` has atomic operations, calls through an address, and what makes a compiled function
one that threads can call.
"""
