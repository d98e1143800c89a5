"""The environment of a measurement: versions and machine."""

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
    """Return versions of this package and what it needs (as installed), Python, system, processor, device and CPU cores in use.

    It contains neither the name of the machine nor a path, as it is published with the numbers.
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
    """Return the model of the CPU, or its kind if the system does not state the model."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(models), "") or platform.processor() or platform.machine()
