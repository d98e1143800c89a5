"""Run by test_training in two processes: six steps of GACD through the loop, then how far weights and banks are apart."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate import Accelerator
from gpu_runs import RECIPE, gacd, patterns

from robustfeat import run as runs
from robustfeat.interrupts import Interrupts
from robustfeat.parallel import gather
from robustfeat.recipe import Recipe
from robustfeat.testing import small_network
from robustfeat.train import Loop

learnt, measured = patterns(256, 0), patterns(64, 1)
runs.dataset = lambda name, split, **_: learnt if split == "train" else measured  # type: ignore[assignment]
runs.teacher_of = lambda recipe, objective: (small_network(5, "cnn_small"), {})  # type: ignore[assignment]
recipe = Recipe(**{**vars(RECIPE), "max_steps": 6, "checkpoint_minutes": 0})
with tempfile.TemporaryDirectory() as folder:
    accelerator = Accelerator()
    run = runs.Run(gacd(), recipe, accelerator, quiet=True)
    Loop(run, Path(folder) / str(accelerator.process_index), Interrupts(), quiet=True).go(False, None)
    gap = 0.0
    for value in (*run.student.parameters(), *run.objective.state_dict().values()):
        first, second = gather(value.detach()[None])
        gap = max(gap, float((first.double() - second.double()).abs().max()))
    print(f"gap {gap} on {accelerator.device} by {dist.get_backend()}", flush=True)
    accelerator.wait_for_everyone()
    assert run.step == 6
    torch.distributed.destroy_process_group()
