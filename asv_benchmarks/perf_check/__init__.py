"""Compare the speed of two commits, in turns, and fail where the second is slower.

``python -m perf_check --base main`` in the folder ``asv_benchmarks``; `perf_check.md` explains it.
"""
