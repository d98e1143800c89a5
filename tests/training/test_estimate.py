"""The cost of a run before it starts: bytes against hand counts, and a run that is left as it was."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from patterns import images
from torch import nn

from robustfeat.features.recipe import Recipe
from robustfeat.objectives import FARE
from robustfeat.testing import small_network
from robustfeat.training.estimate import Kept, cost_of
from robustfeat.training.objects import Objects
from robustfeat.training.run import Run


def test_kept_bytes_as_counted_by_hand() -> None:
    """A linear layer keeps its input, a sigmoid its output; weights are not counted, and what is freed is free."""
    layer = nn.utils.skip_init(nn.Linear, 10, 20, bias=False)
    nn.init.zeros_(layer.weight)
    kept = Kept(list(layer.parameters()))
    x = torch.zeros(8, 10)
    with kept.counting():
        y = layer(x).sigmoid()
        assert kept.most == 4 * 8 * (10 + 20)
        y.sum().backward()
        z = layer(x).sigmoid()  # what was kept before is free by now
        assert kept.most == 4 * 8 * (10 + 20)
        again = layer(x).sigmoid()  # and the second graph shares the input with the first
        assert kept.most == 4 * 8 * (10 + 20 + 20)
    del z, again


@pytest.mark.parametrize(("optimizer", "copies"), [("sgd", 1), ("adamw", 2)])
def test_the_run_is_left_as_it_was(optimizer: str, copies: int, tmp_path: Path) -> None:
    network = small_network(0)
    recipe = Recipe(max_steps=3, batch_size=16, ema=0.9, optimizer=optimizer, eval_images=10)  # type: ignore[arg-type]
    run = Run(FARE(), recipe, Accelerator(), Objects(images(40, 1), network, network), quiet=True)
    before = copy.deepcopy(run.distiller.state_dict())
    cost = cost_of(run)
    assert all(torch.equal(value, before[name]) for name, value in run.distiller.state_dict().items())
    assert all(parameter.grad is None for parameter in run.student.parameters())
    assert run.student.training
    size = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    assert cost.weights == size * (2 + copies + 1 + 1)
    assert cost.activations > 16 * 4 * 32 * 8 * 8, "the first convolution alone keeps that much"
    assert cost.seconds > 0
