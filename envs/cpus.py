"""How many CPUs this process may use."""

import os
import pathlib

_CGROUP = pathlib.Path("/sys/fs/cgroup")


def usable_cpus(cgroup: pathlib.Path = _CGROUP) -> int:
    """The CPUs that this process may use, at least 1: those of its affinity, or fewer where a quota allows fewer.

    Args:
      cgroup: the control group of this process, as a container sees it. Of a quota that is not a whole number of CPUs the
        part is rounded up.
    """
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return max(1, min(allowed, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no control groups of version 2 here; or "max", which is no limit
        return allowed
