"""Free memory and processors of this machine, and the allocator of its C library."""

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

try:
    import resource
except ImportError:  # Windows has none.
    resource = None  # type: ignore[assignment]

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Parameters of mallopt(3), as malloc.h numbers them."""


def keep_freed_memory() -> None:
    """Let glibc keep freed arrays for the rest of the process.

    Each step of a fit frees large arrays, and the next allocates them again. Otherwise the kernel maps and clears their
    pages anew at every step, which takes a quarter of the time of a fit (mallopt(3)). With another C library this does
    nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 2**30)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 2**26)


def available_memory() -> int | None:
    """Bytes that this process may still take; None if unknown.

    This is the least of three numbers. Beyond the free memory of the system, the system swaps or kills. Beyond the
    limit of the control group (a container), the group does; only Linux has these. Beyond the limits of the process
    (ulimit -v, -d) allocations fail; all systems but Windows have these.
    """
    free = [_free_of_system(), *_free_of_groups(), available_addresses()]
    return min((max(0, count) for count in free if count is not None), default=None)


def available_addresses() -> int | None:
    """Bytes that the limits of this process leave it, used or only reserved; None without limits."""
    return min((max(0, count) for count in _free_of_limits()), default=None)


def _free_of_system():
    return _kilobytes("/proc/meminfo", "MemAvailable")


def _free_of_limits() -> Iterator[int]:
    """Yield what the limits of the process leave of its addresses and of its data.

    Where nobody tells how much it has taken, this is the whole limit.
    """
    if resource is None:
        return
    for limit, taken in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        most = resource.getrlimit(limit)[0]
        if most != resource.RLIM_INFINITY:
            yield most - (_kilobytes("/proc/self/status", taken) or 0)


def _free_of_groups() -> Iterator[int]:
    """Yield what each control group of the process leaves, from its own up to the root, of version 2 or 1.

    Cached files do not count: the kernel drops them first.
    """
    for line in _text("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            root, limit, taken, cached = _GROUP_FILES[controllers]
            group = PurePosixPath(path)
            for folder in (group, *group.parents):
                place = f"{root}{folder}/"
                numbers = [_text(place + name).strip() for name in (limit, taken)]
                files = re.search(rf"^{cached} (\d+)$", _text(place + "memory.stat"), re.M)
                # Without a limit version 2 says "max". Files above the root that a group sees do not exist.
                if all(number.isdigit() for number in numbers):
                    yield int(numbers[0]) - int(numbers[1]) + (int(files[1]) if files else 0)


_GROUP_FILES = {
    "": ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Controllers in /proc/self/cgroup -> the folder of groups, and three names; in version 2 the controllers are empty.

The names are those of the limit, of what is taken, and of cached files in memory.stat.
"""


def _kilobytes(path, name):
    """Read the bytes in a line "name: N kB" of a file of /proc; None if there is none."""
    match = re.search(rf"^{name}:\s+(\d+) kB", _text(path), re.M)
    return 1024 * int(match[1]) if match else None


def _text(path):
    try:
        return Path(path).read_text("ascii", "replace")
    except OSError:
        return ""


def available_cores() -> int:
    """Count the processors that this process may use.

    They are those it is bound to. On Linux they are fewer where a control group (a container) grants less time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores


def memory_text(count: int) -> str:
    """Write a number of bytes for people: "540.3 MiB", "4 GiB"."""
    power = max(0, min(3, (int(count).bit_length() - 1) // 10))
    return f"{count / 1024**power:,.2f}".rstrip("0").rstrip(".") + " " + ("bytes", "KiB", "MiB", "GiB")[power]
