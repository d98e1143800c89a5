"""A training step asks for no value of a tensor: on a GPU the host runs ahead, and what went wrong is found with the log."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from host_waits import HostWaits
from short_runs import RECIPE
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim.swa_utils import AveragedModel

from robustfeat.attacks import Threat
from robustfeat.numerics.checks import Pending
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch, Losses
from robustfeat.objectives import CRD, GACD, OBJECTIVES, Natural, Objective, Spaces
from robustfeat.runtime.errors import DivergedError
from robustfeat.testing import small_network
from robustfeat.training import checkpoint, distiller
from robustfeat.training.distiller import Distiller
from robustfeat.training.ema import MovingAverage
from robustfeat.training.loop import Loop, train

# With everything that a step can do: memory banks, clipping, averaging; no log line and no measurement.
QUIET = dataclasses.replace(RECIPE, max_steps=3, log_steps=100, eval_epochs=100, clip=1.0, checkpoint_minutes=60)
OPTIONS: dict[str, Callable[[], Objective]] = {
    "crd": lambda: CRD(negatives=5),
    "gacd": lambda: GACD(bank=4, symmetric=True),
}


def new(name: str) -> Objective:
    return OPTIONS.get(name, OBJECTIVES[name])()


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_a_training_step_waits_for_nothing(
    name: str, teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, counts = Loop._step, []

    def step(self: Loop, parts: list[Batch]) -> None:
        with HostWaits() as waits:
            original(self, parts)
        counts.append(dict(waits.count))

    monkeypatch.setattr(Loop, "_step", step)
    objective = new(name)
    recipe = dataclasses.replace(QUIET, teacher=teacher if objective.needs_teacher else None)
    if name == "fare":
        recipe = dataclasses.replace(recipe, student="cnn_small", start=teacher)
    train(objective, recipe, tmp_path, quiet=True)
    assert counts[1:] == [{}, {}], "the first step decides constants, and may look"


class OnMeta(torch.Generator):
    """Says that it is of the other device, which needs no numbers."""

    device = torch.device("meta")


@contextmanager
def on_meta(module: nn.Module) -> Iterator[None]:
    """Inside, the module lies on another device than the CPU, tensors have no values, and devices must not be mixed."""
    mode = FakeTensorMode()
    with mode:
        for part in module.modules():
            for tensors in (part._parameters, part._buffers):
                for name, tensor in tensors.items():
                    if tensor is not None:
                        moved = mode.from_tensor(tensor).detach().to("meta")
                        tensors[name] = nn.Parameter(moved, tensor.requires_grad) if name in part._parameters else moved
        yield


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_a_step_creates_its_tensors_where_the_batch_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distiller, "generator", lambda *_, **__: OnMeta())
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    objective, student, teacher = new(name), small_network(0), small_network(1)
    labels = torch.arange(12) % 4
    spaces = Spaces(student.feature_dim, 4, 12, teacher.feature_dim, 4, labels, image_size=8)
    objective.setup(spaces, generator(0))
    monkeypatch.setattr("robustfeat.objectives.decided.Decided.decided", lambda *_: True)
    monkeypatch.setattr("robustfeat.objectives.rightness.Rightness._remark", lambda *_: None)
    whole = Distiller(student, teacher if objective.needs_teacher else None, objective, Threat(), 2).train()
    average = MovingAverage(student, 0.9)
    with torch.random.fork_rng(), on_meta(nn.ModuleList([whole, average])), HostWaits() as waits:
        numbers = torch.zeros(12, dtype=torch.long, device="meta")
        batch = Batch(torch.rand(12, 3, 8, 8, device="meta"), numbers, numbers)
        with Pending().gathering():
            losses = whole(batch, (0, 0, 0))
        torch.stack(list(losses.terms.values())).sum().backward()
        objective.after_step()
        average.update(student)
        average.update(student)
        assert {value.device.type for value in (*losses.terms.values(), *losses.notes.values())} == {"meta"}
        assert waits.count == {}
        with pytest.raises(RuntimeError, match="device"):
            _ = numbers + torch.arange(12)


class BreaksAt(Natural):
    """The loss is NaN from some step on."""

    def __init__(self, broken: int) -> None:
        super().__init__()
        self.broken, self.steps = broken, 0

    def options(self) -> dict[str, object]:
        return {}

    def forward(self, views: object) -> Losses:
        self.steps += 1
        losses = super().forward(views)  # type: ignore[arg-type]
        return Losses({"ce": losses.terms["ce"] * (float("nan") if self.steps > self.broken else 1)}, {})


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"log_steps": 4}, []),
        ({"eval_epochs": 1 / 3}, ["000000002"]),
        ({"checkpoint_minutes": 0}, ["000000001", "000000002"]),
        ({"max_steps": 3}, []),
    ],
    ids=["a log line", "a measurement", "a checkpoint", "the end"],
)
def test_a_loss_that_is_not_finite_is_found_before(changes: dict[str, float], kept: list[str], tmp_path: Path) -> None:
    """It breaks in step 2, the third one; nothing that is written has seen it."""
    recipe = dataclasses.replace(QUIET, **{"max_steps": 20} | changes)  # type: ignore[arg-type]
    with pytest.raises(DivergedError, match=r"'ce' became nan at step 2"):
        train(BreaksAt(2), recipe, tmp_path, quiet=True)
    folder = tmp_path / "checkpoints"
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    assert names == (kept if "checkpoint_minutes" in changes else [])
    assert not (tmp_path / "last").exists()
    log = tmp_path / "log.jsonl"
    assert all(json.loads(line)["step"] <= 2 for line in (log.read_text().splitlines() if log.exists() else []))


def test_the_average_is_torch_s_own() -> None:
    """AveragedModel with a function, tensor by tensor, as the oracle; also after a restart from its state."""

    def mix(averaged: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        t = int(updates)
        return averaged.lerp(current, 1 - min(0.8, (1 + t) / (10 + t))) if averaged.is_floating_point() else current

    network = small_network(0)
    oracle, ours = AveragedModel(network, avg_fn=mix, use_buffers=True), MovingAverage(network, 0.8)
    random = generator(1)
    for step in range(40):
        with torch.no_grad():
            for tensor in (*network.parameters(), *network.buffers()):
                if tensor.is_floating_point():
                    tensor.add_(torch.randn(tensor.shape, generator=random))
                else:
                    tensor.add_(1)
        oracle.update_parameters(network)
        if step == 20:
            state, ours = ours.state_dict(), MovingAverage(small_network(3), 0.8)
            ours.load_state_dict(state)
        ours.update(network)
    expected = oracle.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_resumed_optimiser_goes_on_as_it_would_have(name: str) -> None:
    """Also where weights lie in channels_last and a file does not."""

    def fresh() -> tuple[nn.Parameter, torch.optim.Optimizer]:
        weight = nn.Parameter(torch.ones(8, 3, 3, 3).contiguous(memory_format=torch.channels_last))
        if name == "sgd":
            return weight, torch.optim.SGD([weight], lr=0.1, momentum=0.9, fused=True)
        return weight, torch.optim.AdamW([weight], lr=0.1, fused=True)

    def step(weight: nn.Parameter, optimizer: torch.optim.Optimizer, number: int) -> None:
        weight.grad = torch.empty_like(weight).copy_(torch.randn(8, 3, 3, 3, generator=generator(number)))
        optimizer.step()

    whole, optimizer = fresh()
    for number in range(4):
        if number == 2:
            resumed, again = fresh()
            resumed.data.copy_(whole.data)
            packed = checkpoint.pack_optimizer(optimizer)
            checkpoint.unpack_optimizer(again, {key: value.contiguous().clone() for key, value in packed.items()})
        step(whole, optimizer, number)
        if number >= 2:
            step(resumed, again, number)
    assert torch.equal(whole, resumed)
