"""Free memory and processors, and the C library's allocator told what a fit does."""

import ctypes
import os
import re
import sys
from pathlib import Path

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory():
    """Let glibc keep the large arrays that each step frees and the next allocates again, for the rest of the process.

    Without this the kernel maps and clears their pages anew at every step, which takes a quarter of the time of a fit
    (mallopt(3)). Does nothing with another C library.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 2**30)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 2**26)


def available_memory():
    """Bytes that a process may still take before the system swaps or kills, or its control group (a container) does (Linux), or None if unknown."""
    try:
        match = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text("ascii"), re.M)
    except OSError:
        return None
    free = [1024 * int(match[1])] if match else []
    try:
        limit, taken = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text("ascii")) for name in ("max", "current"))
        free.append(max(0, limit - taken))
    except (OSError, ValueError):
        pass  # Without a limit the file says "max".
    return min(free, default=None)


def available_cores():
    """Processors that this process may use: those it is bound to, or fewer where a control group (a container) grants less time (Linux)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores
