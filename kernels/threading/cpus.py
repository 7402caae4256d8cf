"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from fastnn._utils.environment import variable

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def available() -> int:
    """Return the number of threads that can run at once.

    That is Numba's number, which follows the CPU affinity or ``NUMBA_NUM_THREADS``, or what
    the quota of a container amounts to, where that is less.
    """
    return max(1, math.ceil(min(_threads(), _quota(_CGROUPS, _OWN))))


def _threads() -> int:
    """Return Numba's number of threads, without loading Numba."""
    try:
        asked = int(variable("NUMBA_NUM_THREADS") or 0)
    except ValueError:  # Numba does without it too
        asked = 0
    if asked > 0:
        return asked
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(root: Path, own: Path) -> float:
    """Return the CPUs that the control groups of this process grant, or infinity."""
    try:
        lines = own.read_text(errors="replace").splitlines()
    except OSError:  # not Linux
        return math.inf
    least = math.inf
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            least = min(least, *(_limit(g) for g in _upwards(root, path)))
        elif "cpu" in controllers.split(","):
            least = min(least, *(_old_limit(g) for g in _upwards(root / "cpu", path)))
    return least


def _upwards(root: Path, path: str) -> list[Path]:
    """Return a group's folder and those of the groups around it.

    Inside a container the path may be one that only the host knows: the folders that are not
    there say nothing, and the last one is the container's own.
    """
    group = root / path.strip("/")
    return [group, *(g for g in group.parents if g.is_relative_to(root))]


def _limit(group: Path) -> float:
    """Read "quota period" in microseconds; the quota may be "max"."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _old_limit(group: Path) -> float:
    """Read the two files of control groups version 1; the quota may be -1."""
    try:
        quota = int((group / "cpu.cfs_quota_us").read_text())
        return quota / int((group / "cpu.cfs_period_us").read_text()) if quota > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
