"""The C library's memory allocator, told what a fit does."""

import ctypes
import sys

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
