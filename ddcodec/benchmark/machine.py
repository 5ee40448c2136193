"""The machine that a row was measured on."""

import os
import platform
import re
from pathlib import Path

GPUS = Path("/proc/driver/nvidia/gpus")


def machine():
    """Processor, cores and, where Linux tells them, NVIDIA's GPUs, in words."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    gpus = re.findall(r"^Model:\s*(.+)$", "".join(path.read_text() for path in GPUS.glob("*/information")), re.M)
    return ", ".join([model, f"{os.cpu_count()} cores", *gpus])
