"""What a training run leaves behind, tensor by tensor, for the tests that compare two runs."""

from __future__ import annotations

from pathlib import Path

import torch

from robustfeat.features import hub
from robustfeat.training import checkpoint


def state_of(out: Path) -> dict[str, torch.Tensor]:
    """Every tensor a run ends with: the last checkpoint, best/ and last/."""
    path, problems = checkpoint.latest(out / "checkpoints")
    assert path is not None
    assert problems == []
    tensors = {f"{group}/{name}": t for group, ts in checkpoint.read(path).tensors.items() for name, t in ts.items()}
    for name in ("best", "last"):
        network, _ = hub.load_network(out / name)
        tensors |= {f"{name}/{key}": value for key, value in network.state_dict().items()}
    return tensors


def assert_same(one: Path, two: Path) -> None:
    """Two runs ended in the same bits."""
    a, b = state_of(one), state_of(two)
    assert a.keys() == b.keys()
    assert [key for key in a if not torch.equal(a[key], b[key])] == []
