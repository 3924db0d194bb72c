"""Where a run took place: cores, processor, memory, load and versions, for the head of the results.

Law of this file: no host name, no user, no path.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path


def describe() -> dict[str, str]:
    """What is known of this machine, as lines of a table."""
    return {
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "processor": _after_colon("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "load average": load(),
        "Python": platform.python_version(),
        "Java": _java(),
    }


def load() -> str:
    """The load averages of now."""
    try:
        return " ".join(f"{value:.1f}" for value in os.getloadavg())
    except OSError:
        return "unknown"


def package(name: str) -> str:
    """The version of an installed distribution, or that it is missing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _memory() -> str:
    kilobytes = _after_colon("/proc/meminfo", "MemTotal").removesuffix("kB").strip()
    return f"{int(kilobytes) / 1024 / 1024:.1f} GiB" if kilobytes.isdigit() else "unknown"


def _after_colon(path: str, key: str) -> str:
    try:
        for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    except OSError:
        pass
    return ""


def _java() -> str:
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "not installed"
    lines = (said.stderr + said.stdout).splitlines()
    quoted = lines[0].split('"') if lines else []
    return quoted[1] if len(quoted) > 1 else "unknown"
