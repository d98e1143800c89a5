"""A finished bench of the small grid."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from small_grid import GRID

from robustfeat.bench import Grid, bench
from robustfeat.evaluation.flags import Examined


@contextmanager
def without_intervals() -> Iterator[None]:
    """Leave out the bootstrap and the health checks, which take most of the time and are of no matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["robustfeat.evaluation.measure"], "bootstrap", lambda *_: {})
        patch.setattr(
            sys.modules["robustfeat.evaluation.evaluator"], "examined_cases", lambda *_, **__: Examined(0, 0.0, ())
        )
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_intervals() -> Iterator[None]:
    with without_intervals():
        yield


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests that change it put it back."""
    out, threads = tmp_path_factory.mktemp("bench"), torch.get_num_threads()
    torch.set_num_threads(1)  # as many as each of two jobs has
    with without_intervals():
        bench(Grid.from_dict(GRID), out, progress=False)
    torch.set_num_threads(threads)
    return out
