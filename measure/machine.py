"""What times and last digits depend on, beside the code and the versions of its libraries."""

import platform
import re
from pathlib import Path

import numpy as np


def machine() -> dict[str, str | list[str]]:
    """Return the processor, what NumPy found of vector instructions beyond its baseline, and the system."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s+: (.*)", cpuinfo.read_text(encoding="utf8")) if cpuinfo.exists() else None
    return {
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "simd": np.show_config(mode="dicts")["SIMD Extensions"].get("found", []),
        "system": f"{platform.system()} {platform.machine()}",
    }
