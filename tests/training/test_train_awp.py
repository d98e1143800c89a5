"""Adversarial weight perturbation: two weights by hand, a step by plain loops, and a run that can be resumed."""

from __future__ import annotations

import copy
import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from host_waits import HostWaits
from run_state import assert_same
from short_runs import RECIPE, Killed, distil, stop_after
from torch import Tensor, nn

from robustfeat.attacks import PGD
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.random import generator
from robustfeat.objectives import FGSMPGI, AdversarialTraining, Natural
from robustfeat.testing import small_network
from robustfeat.training.awp import perturbed
from robustfeat.training.interrupts import Interrupts
from robustfeat.training.loop import Loop, train
from robustfeat.training.run import Run


def two_weights() -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, 2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 4.0]]))
        layer.bias.fill_(1.0)
    return layer


def test_two_weights_by_hand() -> None:
    """Loss (w.x + b)^2 / 2 with w = (3, 4), b = 1, x = (0.6, -0.8), |x| = 1: w.x + b = -0.4, and the gradient is -0.4 x.

    |w| = 5, so that gamma 0.1 moves w by -0.5 x to (2.7, 4.4), where w.x + b = -0.9 and the gradient is -0.9 x.
    """
    layer, x = two_weights(), torch.tensor([0.6, -0.8])
    (layer(x).square().sum() / 2).backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.flatten().tolist() == pytest.approx([-0.24, 0.32])
    with perturbed(layer, 0.1):
        assert layer.weight.flatten().tolist() == pytest.approx([2.7, 4.4])
        assert layer.bias.tolist() == [1.0], "biases stay"
        layer.zero_grad()
        (layer(x).square().sum() / 2).backward()
    assert layer.weight.flatten().tolist() == [3.0, 4.0]
    assert layer.weight.grad.flatten().tolist() == pytest.approx([-0.54, 0.72])


@pytest.mark.parametrize("gradient", [None, [0.0, 0.0], [math.inf, 1.0], [math.nan, 1.0]])
def test_a_weight_without_a_usable_gradient_stays(gradient: list[float] | None) -> None:
    layer = two_weights()
    layer.weight.grad = None if gradient is None else torch.tensor([gradient])
    with perturbed(layer, 0.1):
        assert layer.weight.flatten().tolist() == [3.0, 4.0]


def test_nobody_waits_for_the_device() -> None:
    network = small_network(0).train()
    network(torch.rand(5, 3, 8, 8, generator=generator(1))).logits.square().sum().backward()
    with HostWaits() as waits, perturbed(network, 0.1):
        pass
    assert waits.count == {}


def test_everything_is_put_back_in_the_same_bits_after_an_error_too() -> None:
    network, images = small_network(0).train(), torch.rand(5, 3, 8, 8, generator=generator(1))
    network(images).logits.square().sum().backward()
    before = copy.deepcopy(network.state_dict())

    def changed() -> set[str]:
        return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}

    def go_wrong() -> None:
        with perturbed(network, 0.3):
            network(images)
            assert {name.rsplit(".", 1)[1] for name in changed()} >= {"weight", "running_mean", "num_batches_tracked"}
            raise KeyError

    with pytest.raises(KeyError):
        go_wrong()
    assert not changed()


PLAIN = dataclasses.replace(
    RECIPE, awp=0.02, momentum=0.0, weight_decay=0.0, schedule="constant", warmup=0.0, lr=0.3, ema=0.0
)


def one_step(objective: Any, recipe: Recipe, out: Path) -> tuple[Run, list[Tensor], Any]:
    """A run after one step, its weights before, and the network before."""
    run = Run(objective, recipe, Accelerator(cpu=True), quiet=True)
    before = copy.deepcopy(run.student)
    with Interrupts() as interrupts:
        loop = Loop(run, out, interrupts, quiet=True)
        loop.begin = 0.0
        loop._step(run.loader.step(0))
    return run, [weight.detach() for weight in before.parameters()], before


@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_is_that_of_the_gradient_at_the_perturbed_weights(tmp_path: Path, parts: int) -> None:
    run, before, network = one_step(Natural(), dataclasses.replace(PLAIN, accumulate=parts), tmp_path)

    def gradients(at: Any) -> list[Tensor]:
        total = [torch.zeros_like(weight) for weight in before]
        for batch in run.loader.step(0):
            loss = nn.functional.cross_entropy(at(batch.images).logits, batch.labels)
            found = torch.autograd.grad(loss, list(at.parameters()))
            total = [a + b / parts for a, b in zip(total, found, strict=True)]
        return total

    first = copy.deepcopy(network).train()
    slopes = gradients(first)
    worse = copy.deepcopy(network).train()
    with torch.no_grad():
        for weight, slope in zip(worse.parameters(), slopes, strict=True):
            if weight.ndim > 1:
                size = math.sqrt(sum(x * x for x in weight.flatten().tolist()))
                steep = math.sqrt(sum(x * x for x in slope.flatten().tolist()))
                weight += 0.02 * size / steep * slope
    after = [w - 0.3 * g for w, g in zip(before, gradients(worse), strict=True)]
    plain = [w - 0.3 * g for w, g in zip(before, slopes, strict=True)]
    for found, expected, without in zip(run.student.parameters(), after, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert (found - without).abs().max() > 1e-4
    for found, expected in zip(run.student.buffers(), first.buffers(), strict=True):
        torch.testing.assert_close(found, expected, msg="running statistics are those of the true weights")


def test_images_are_attacked_once_and_a_memory_keeps_them_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = PGD._ascend, []

    def ascend(self: PGD, *arguments: Any) -> Any:
        calls.append(self)
        return original(self, *arguments)

    monkeypatch.setattr(PGD, "_ascend", ascend)
    recipe = dataclasses.replace(PLAIN, accumulate=2)
    one_step(AdversarialTraining(), recipe, tmp_path / "at")
    assert len(calls) == 2
    kept: list[int] = []
    monkeypatch.setattr(FGSMPGI, "after_step", lambda self: kept.append(len(self._seen)))
    one_step(FGSMPGI(), recipe, tmp_path / "guided")
    assert kept == [2]


def test_a_run_that_is_killed_ends_in_the_same_bits_and_warms_up(
    teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    def noted(network: nn.Module, gamma: float) -> Any:
        seen.append(gamma)
        return perturbed(network, gamma)

    monkeypatch.setattr(sys.modules[Loop.__module__], "perturbed", noted)
    options: dict[str, Any] = {"awp": 0.01, "awp_warmup": 0.4}
    distil(teacher, tmp_path / "whole", **options)
    assert seen == [0.01] * 5, "steps 4 to 8 of 9"
    with monkeypatch.context() as patch:
        stop_after(patch, 6, Killed)
        with pytest.raises(Killed):
            distil(teacher, tmp_path / "killed", **options)
    distil(teacher, tmp_path / "killed", resume=True, **options)
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_runs_of_before_had_none() -> None:
    old = {key: value for key, value in Recipe().as_dict().items() if not key.startswith("awp")}
    assert Recipe.from_dict(old) == Recipe()
    assert Recipe.completed(old)["awp"] == 0.0
    for options in ({"awp": -0.1}, {"awp": math.nan}, {"awp_warmup": 1.0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            Recipe(**options)  # type: ignore[arg-type]


def test_it_trains(tmp_path: Path) -> None:
    train(FGSMPGI(), dataclasses.replace(RECIPE, awp=0.01), tmp_path / "run", quiet=True)
    assert (tmp_path / "run" / "best").is_dir()
