"""Counter-based random numbers.

`philox` generates words from a counter and a key, a vector of blocks at a time; `sampling` makes
permutations and choices of them; dropout draws from it too.
"""
