"""A process that is killed with SIGKILL leaves nothing under the final name; the next one goes on with what it has written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interrupted_extraction import another, noise_images, run

SLOW = """
import sys, time
from pathlib import Path
from interrupted_extraction import another, noise_images
from robustfeat.features.extraction import extract
extractor, quick = another(0), another(0).transform_batch
def transform_batch(images):
    time.sleep(0.2)
    return quick(images)
extractor.transform_batch = transform_batch
extract(extractor, noise_images(400), Path(sys.argv[1]), batch_size=4, progress=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".parquet", ".safetensors"])
def test_sigkill(tmp_path: Path, suffix: str) -> None:
    whole, out, notes = (
        tmp_path / f"whole{suffix}",
        tmp_path / "cut" / f"f{suffix}",
        tmp_path / "cut" / f".f{suffix}.json",
    )
    run(another(0), noise_images(400), whole)
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{SLOW}"
    with subprocess.Popen([sys.executable, "-c", code, out]) as process:
        while not notes.exists() or json.loads(notes.read_text())["done"] < 20:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    done = json.loads(notes.read_text())["done"]
    assert 20 <= done < 400
    assert run(another(0), noise_images(400), out) == (400 - done) // 4
    assert out.read_bytes() == whole.read_bytes()
