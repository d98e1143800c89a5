from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from robustfeat.runtime.environment import environment


def test_versions_processor_and_threads_are_known() -> None:
    found = environment()
    assert found["torch"] == torch.__version__.split("+")[0]
    assert found["threads"] == torch.get_num_threads()
    assert found["cores"] == os.cpu_count()
    assert found["python"] == platform.python_version()
    assert found["processor"]
    if Path("/proc/cpuinfo").exists():
        assert str(found["processor"]) in Path("/proc/cpuinfo").read_text() + platform.machine() + platform.processor()


def test_nothing_names_the_machine_or_its_folders() -> None:
    found = environment()
    assert platform.node() not in found.values()
    for folder in (Path.home(), Path.cwd()):
        assert folder == Path("/") or str(folder) not in str(found)
