"""What times and last digits depend on, beside the code and the versions of its libraries, and what memory a call takes."""

import ctypes
import datetime
import platform
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

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


def about(modules: dict[str, ModuleType], **settings: Any) -> dict[str, Any]:
    """Return how a record begins: when it was measured, with which versions, on what machine and with what settings."""
    versions = {"Python": platform.python_version()} | {name: module.__version__ for name, module in modules.items()}
    return {"measured": f"{datetime.date.today()}", "versions": versions, "machine": machine() | settings}


def peak_bytes(call: Callable) -> int | None:
    """Return how far the resident memory rises during a call, or None where the system doesn't tell."""

    def resident(mark: str) -> int:
        return 1024 * int(re.search(rf"{mark}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf8"))[1])

    if platform.libc_ver()[0] != "glibc":
        return None
    call()  # what a first call leaves behind, such as compiled code, is not the loss's
    ctypes.CDLL(None).malloc_trim(0)  # memory that was freed and kept would hide what the call takes
    Path("/proc/self/clear_refs").write_text("5", encoding="utf8")  # the high-water mark starts again from here
    before = resident("VmRSS")
    call()
    return resident("VmHWM") - before


def peak_bytes_alive(call: Callable) -> int | None:
    """Return how far the resident memory rises during a call, without what the allocator keeps after it was freed.

    glibc keeps freed pieces of up to 32 MiB, by a rule that moves while a program runs, so that peaks differ by a third from
    run to run. During the call, pieces from 1 MiB on are given back at once; afterwards it keeps them as it would.
    """
    if platform.libc_ver()[0] != "glibc":
        return None
    mallopt, trim_threshold, mmap_threshold = ctypes.CDLL(None).mallopt, -1, -3  # as malloc.h numbers them
    mallopt(mmap_threshold, 2**20)
    peak = peak_bytes(call)
    mallopt(mmap_threshold, 2**25)
    mallopt(trim_threshold, 2**26)
    return peak
