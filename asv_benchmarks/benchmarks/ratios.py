"""Ratios of times that are measured in turns, so that they hold on a machine with other work.

All are times over times: less is better, as asv takes for granted, which looks for regressions
among those over NumPy's. The dashboard shows the first as its reciprocal, the speed-up.
"""

from .cases import CASES, LIMITED, RATED, SHARED
from .common import over_limit, over_numpy, over_one_thread


class OverNumPy:
    """Time of the kernels over that of their NumPy twins."""

    params = [RATED]
    param_names = ["case"]
    unit = "ratio"

    def track_time_over_numpy(self, case):
        return over_numpy(CASES[case].make)


class OverLimit:
    """Time over that which the machine needs for the same work at its measured limit.

    That is fused multiply-adds in registers, or copies between arrays as large in all.
    """

    params = [LIMITED]
    param_names = ["case"]
    unit = "ratio"

    def track_time_over_limit(self, case):
        found = CASES[case]
        return over_limit(found.make, found.unit, found.amount, found.dtype)


class OverOneThread:
    """Time on several threads over that on one."""

    params = [SHARED, [2]]
    param_names = ["case", "threads"]
    unit = "ratio"

    def track_time_over_one_thread(self, case, threads):
        return over_one_thread(CASES[case].make, threads)
