"""Where a number was measured: versions and machine."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import torch

from robustfeat.runtime.version import __version__

PACKAGES = (
    "torch",
    "timm",
    "accelerate",
    "datasets",
    "scikit-learn",
    "faiss-cpu",
    "faiss-gpu",
    "numpy",
    "pyautoattack",
)


def environment(device: torch.device | str = "cpu") -> dict[str, str | int]:
    """Versions of this package and of what it needs (as installed), Python, system, processor, device, CPU cores in use.

    Neither the machine's name nor a path: it is published with the numbers.
    """
    found: dict[str, str | int] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "device": str(device),
    }
    if torch.device(device).type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    found["threads"] = torch.get_num_threads()
    found["cores"] = os.cpu_count() or 0
    found["robustfeat"] = __version__
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    """The CPU's model; where the system does not tell, its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(models), "") or platform.processor() or platform.machine()
