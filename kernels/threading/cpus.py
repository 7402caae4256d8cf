"""How many processors this process may use."""

from __future__ import annotations

import math
import os

from fastnn._utils.environment import variable

_CGROUPS = "/sys/fs/cgroup"
_OWN = "/proc/self/cgroup"


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


def _quota(root: str, own: str) -> float:
    """Return the CPUs that the control groups of this process grant, or infinity."""
    try:
        lines = _read(own).splitlines()
    except OSError:  # not Linux
        return math.inf
    least = math.inf
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            least = min(least, *(_limit(g) for g in _upwards(root, path)))
        elif "cpu" in controllers.split(","):
            old = os.path.join(root, "cpu")
            least = min(least, *(_old_limit(g) for g in _upwards(old, path)))
    return least


def _upwards(root: str, path: str) -> list[str]:
    """Return a group's folder and those of the groups around it.

    Inside a container the path may be one that only the host knows: the folders that are not
    there say nothing, and the last one is the container's own.
    """
    names = [name for name in path.split("/") if name]
    return [os.path.join(root, *names[:i]) for i in range(len(names), -1, -1)]


def _read(*path: str) -> str:
    with open(os.path.join(*path), encoding="utf-8", errors="replace") as file:
        return file.read()


def _limit(group: str) -> float:
    """Read "quota period" in microseconds; the quota may be "max"."""
    try:
        quota, period = _read(group, "cpu.max").split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _old_limit(group: str) -> float:
    """Read the two files of control groups version 1; the quota may be -1."""
    try:
        quota = int(_read(group, "cpu.cfs_quota_us"))
        return quota / int(_read(group, "cpu.cfs_period_us")) if quota > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
