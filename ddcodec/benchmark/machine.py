"""The machine that a row was measured on."""

import os
import platform
import re
from pathlib import Path

CPUS = Path("/proc/cpuinfo")
"""Linux's file on the processor."""
GPUS = Path("/proc/driver/nvidia/gpus")
"""The folder of NVIDIA's driver on Linux, with a file `information` for each GPU."""


def machine() -> str:
    """Name the processor, the number of cores and NVIDIA's GPUs, and on Linux the processor's family and model."""
    model = platform.processor() or platform.machine()
    if CPUS.exists():
        told = dict(re.findall(r"^(model name|cpu family|model)[ \t]*:[ \t]*(.+?)[ \t]*$", CPUS.read_text(), re.M))
        model = told.get("model name", model)
        # Virtual machines often name no more than a brand, whose generations differ in speed by half and more.
        if {"cpu family", "model"} <= told.keys():
            model += f" (family {told['cpu family']}, model {told['model']})"
    gpus = re.findall(r"^Model:\s*(.+)$", "".join(path.read_text() for path in GPUS.glob("*/information")), re.M)
    return ", ".join([model, f"{os.cpu_count()} cores", *gpus])
