"""One thread pool, and how work is cut and shared.

`driver` turns a serial function over a range into a kernel that is cut into chunks; `pool` is the
compiled part of sharing them out, by a ticket that threads claim from in a table
(:mod:`fastnn.kernels.plain.table`); `threads` starts, wakes and ends the threads, and decides into
how many chunks a call is cut; `apart` keeps them off the processor of the thread that wakes them;
`cpus` counts what processors this process may use; `clock` tells compiled code the time. `threads`,
`apart` and `cpus` need no compiler.
"""
