"""The functions of Python that call kernels.

`routine` has one for each kernel. Behind it is `caller`, machine code itself: it looks into the
arrays, checks that they fit the signature, and calls the kernel. `update_routine` and
`update_caller` are the same for updates, which take dicts of arrays. `plain` is the way where
machine code cannot look into arrays.
"""
