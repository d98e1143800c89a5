"""Where a number was measured: versions and machine."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import torch

PACKAGES = (
    "robustfeat",
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
    """Versions of the packages that matter (those installed), Python, system, device, CPU cores in use."""
    found: dict[str, str | int] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": str(device),
    }
    if torch.device(device).type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    found["threads"] = torch.get_num_threads()
    found["cores"] = os.cpu_count() or 0
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
