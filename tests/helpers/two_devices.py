"""Run by test_training in two processes: six steps of GACD through the loop, then how far weights and banks are apart."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch.distributed as dist
from accelerate import Accelerator
from gpu_runs import RECIPE, gacd, patterns

from robustfeat.features.recipe import Recipe
from robustfeat.runtime.parallel import gather
from robustfeat.testing import small_network
from robustfeat.training import run as runs
from robustfeat.training.interrupts import Interrupts
from robustfeat.training.loop import Loop

learnt, measured = patterns(256, 0), patterns(64, 1)
runs.dataset = lambda name, split, **_: learnt if split == "train" else measured  # type: ignore[assignment]
runs.teacher_of = lambda recipe, objective: (small_network(5, "cnn_small"), {})  # type: ignore[assignment]
recipe = Recipe(**{**vars(RECIPE), "max_steps": 6, "checkpoint_minutes": 0})
with tempfile.TemporaryDirectory() as folder:
    accelerator = Accelerator()
    run = runs.Run(gacd(), recipe, accelerator, quiet=True)
    loop = Loop(run, Path(folder), Interrupts(), quiet=True)
    loop.begin = time.monotonic()
    for step in range(6):
        loop._step(run.loader.step(step))
    loop._measure()
    loop._save(Path(folder) / "checkpoints")
    gap = 0.0
    for value in (*run.student.parameters(), *run.objective.state_dict().values()):
        first, second = gather(value.detach()[None])
        gap = max(gap, float((first.double() - second.double()).abs().max()))
    print(f"gap {gap} on {accelerator.device} by {dist.get_backend()}", flush=True)
    accelerator.end_training()
