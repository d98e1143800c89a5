"""Run by test_processes on two ranks: three steps of GACD and of FGSM-PGI, then the largest difference of any tensor
between the ranks."""

from __future__ import annotations

import tempfile

import torch
import torch.distributed as dist
from accelerate import Accelerator

from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps
from robustfeat.objectives import FGSMPGI, GACD, Objective
from robustfeat.testing import small_network
from robustfeat.training.run import Run


def gap_after(objective: Objective, recipe: Recipe, accelerator: Accelerator) -> float:
    """The largest difference between the ranks after three steps."""
    run = Run(objective, recipe, accelerator)
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    seen = []
    for step in range(3):
        (batch,) = run.loader.step(step)
        seen += batch.rows.tolist()
        terms = run.distiller(batch, (0, step, accelerator.process_index)).terms
        accelerator.backward(sum(terms.values()))
        run.optimizer.step()
        run.optimizer.zero_grad()
        run.objective.after_step()
    after = dict(objective.state_dict())
    state = {**dict(run.student.named_parameters()), **after}
    gap = 0.0
    for value in state.values():
        both = [torch.empty_like(value) for _ in range(2)]
        dist.all_gather(both, value.detach().contiguous())
        gap = max(gap, float((both[0].double() - both[1].double()).abs().max()))
    # What would be measured and saved, and the running statistics in it, are the first process's in both.
    assert any(name.endswith("running_mean") for name in run.snapshot().state_dict())
    for value in run.snapshot().state_dict().values():
        both = [torch.empty_like(value) for _ in range(2)]
        dist.all_gather(both, value.contiguous())
        gap = max(gap, float((both[0].double() - both[1].double()).abs().max()))
    rows = [None, None]
    dist.all_gather_object(rows, seen)
    assert not set(rows[0]) & set(rows[1])  # type: ignore[arg-type]
    # A memory of one row per image has changed in the rows that either process saw, and in no other.
    memory = next(name for name in after if name.endswith(("student_bank.vectors", "prior")))
    written = (after[memory] != before[memory]).flatten(1).any(dim=1).nonzero().flatten().tolist()
    assert set(written) == {*rows[0], *rows[1]}, memory  # type: ignore[misc]
    return gap


network = small_network(0, "cnn_small", classes=10)
with tempfile.TemporaryDirectory() as folder:
    hub.save(folder, network, Card("teacher", network.architecture, network.feature_dim))
    recipe = Recipe(
        data="digits",
        student="cnn_tiny",
        stem="timm",
        teacher=folder,
        eps=Eps(0.1),
        steps=2,
        batch_size=32,
        channels_last=False,
    )
    accelerator = Accelerator(cpu=True)
    objectives = (GACD(bank=16, symmetric=True), FGSMPGI())
    print(f"gap {max(gap_after(objective, recipe, accelerator) for objective in objectives)}")
    accelerator.end_training()
