"""The parts of a training run, built from a recipe: data, networks, objective and optimiser, with their checkpoints."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from robustfeat.attacks import Threat
from robustfeat.backbones.network import Network, new_network
from robustfeat.data import Augment, Loader
from robustfeat.features.card import Card, Training
from robustfeat.features.recipe import OBJECT, Recipe
from robustfeat.numerics.random import Stream, generator
from robustfeat.objectives import Objective, Spaces
from robustfeat.report import DataFacts
from robustfeat.runtime.environment import environment
from robustfeat.runtime.parallel import follow_first, gather, rank, world_size
from robustfeat.training import checkpoint
from robustfeat.training.checkpoint import Checkpoint
from robustfeat.training.distiller import Distiller
from robustfeat.training.ema import MovingAverage
from robustfeat.training.images import images_of
from robustfeat.training.objects import Objects
from robustfeat.training.roles import Original, completed, start_of, student_of, teacher_of
from robustfeat.training.selection import closeness_of, heads_of
from robustfeat.training.teacher_cache import TeacherCache

# A resumed run may change what does not touch the weights. The teacher is known by its weights, wherever it lies.
FREE = {"teacher", "epochs", "max_steps", "minutes", "eval_minutes", "checkpoint_minutes", "keep", "log_steps"}


class Run:
    """The complete state of a training run; `given` holds the objects that replace names in the recipe.

    Attributes:
        step: optimiser steps done.
        seconds: training time over all sessions, and `stepping` that of the optimiser steps alone.
        cache_cost: "teacher_seconds", if the teacher cache was computed before the first step.
        best: evaluation and weights of the best step so far, or None.
    """

    def __init__(
        self,
        objective: Objective,
        recipe: Recipe,
        accelerator: Accelerator,
        given: Objects = Objects(),  # noqa: B008  # frozen
        *,
        quiet: bool = False,
    ) -> None:
        start = start_of(recipe := given.recorded(recipe), given.student)
        recipe = completed(recipe, start, sized=given.data is not None)
        self.objective, self.recipe, self.accelerator = objective, recipe, accelerator
        self.train_data, self.held_out = images_of(recipe, given.data, unlabelled=recipe.teacher is not None)
        self.teacher, self.teacher_card, self.teacher_facts = teacher_of(recipe, objective, given.teacher)
        original = Original.of(start, self.train_data.image_size)
        self.student, self.start_facts = student_of(recipe, self.train_data, start)
        assert recipe.eps is not None
        self.threat = Threat(recipe.norm, recipe.eps)
        spaces = Spaces(
            student_dim=self.student.feature_dim,
            classes=self.student.architecture.classes,
            samples=len(self.train_data),
            teacher_dim=self.teacher.feature_dim if self.teacher else None,
            teacher_classes=self.teacher.architecture.classes if self.teacher else None,
            labels=self.train_data.labels,
            image_size=self.train_data.image_size,
        )
        objective.setup(spaces, generator(recipe.seed, Stream.SETUP))
        self.compatible_with: str | None = None
        if original and objective.in_teachers_space and self.start_facts == self.teacher_facts:
            self.compatible_with = original.digest
            # Queries are to be framed as the images of the index were.
            self.student.architecture = dataclasses.replace(self.student.architecture, framing=original.framing)
        self.student.head.requires_grad_(objective.trains_head)
        self.layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.loader = Loader(
            self.train_data,
            recipe.batch_size,
            recipe.seed,
            Augment(recipe.crop, recipe.flip, recipe.cutout),
            rank=accelerator.process_index,
            world=accelerator.num_processes,
            parts=recipe.accumulate,
            device=accelerator.device,
            layout=self.layout,
        )
        distiller = Distiller(self.student, self.teacher, objective, self.threat, recipe.steps, recipe.step_size)
        distiller.to(accelerator.device).to(memory_format=self.layout).train()
        self.cache_cost: dict[str, float] = {}
        if recipe.cache_teacher and self.teacher is not None:
            begin = time.monotonic()
            with accelerator.autocast():
                distiller.teacher_cache = TeacherCache.of(
                    self.teacher, self.train_data, self.layout, quiet=quiet or rank() > 0
                )
            self.cache_cost = {"teacher_seconds": round(time.monotonic() - begin, 1)}
        self.heads, self.closeness = heads_of(self, quiet=quiet), closeness_of(self)
        self.average = MovingAverage(self.student, recipe.ema) if recipe.ema else None
        if recipe.compile:
            # Accumulated gradients must outlive the passes of the other parts, which replays would not let them.
            self.student.compile_backbone("reduce-overhead" if recipe.accumulate == 1 else "default")
        # DistributedDataParallel sends all buffers at each step: only running statistics need it, and a bank is large.
        constant = [name for name, _ in distiller.named_buffers() if not name.startswith("student.")]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(distiller, constant)
        self.distiller, self.optimizer = accelerator.prepare(distiller, self._optimizer(distiller))
        self.step, self.seconds, self.stepping = 0, 0.0, 0.0
        self.best: dict[str, Any] | None = None
        self.best_weights: dict[str, Tensor] = {}

    def _optimizer(self, distiller: Distiller) -> torch.optim.Optimizer:
        """Make SGD or AdamW, fused (half the time on a CPU), without weight decay on biases and normalisation layers."""
        trained = [p for p in distiller.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": self.recipe.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        if self.recipe.optimizer == "adamw":
            return torch.optim.AdamW(groups, lr=self.recipe.lr, fused=True)
        momentum = self.recipe.momentum
        return torch.optim.SGD(groups, lr=self.recipe.lr, momentum=momentum, nesterov=momentum > 0, fused=True)

    def snapshot(self) -> Network:
        """Return the network to save now: the EMA if the run averages, with a provisional head if it trains none."""
        source = self.average.module if self.average is not None else self.student
        network = self.network(source.state_dict())
        follow_first(network.buffers())  # each process has its own running statistics; the first one's are saved
        if self.heads is not None:
            self.heads.put(network, self.heads.meanwhile)
        return network

    def network(self, weights: dict[str, Tensor]) -> Network:
        """Return a network with the student's architecture and these weights, in eval mode."""
        network = new_network(self.student.architecture)
        network.load_state_dict(weights)
        return network.to(self.accelerator.device).to(memory_format=self.layout).eval()

    def card(self, name: str, head: str, training: dict[str, Any]) -> Card:
        """Return the card of this run's student; `head` is the origin of its classifier."""
        data = self.train_data
        kept = self.closeness is not None and self.closeness.head == "teacher"
        return Card(
            name=name,
            architecture=self.student.architecture,
            feature_dim=self.student.feature_dim,
            head=head,
            threat=str(self.threat) if self.objective.robust else "none",
            objective=self.objective.name,
            options=self.objective.options(),
            recipe=self.recipe,
            data=DataFacts.of(data, split=self.recipe.train),
            teacher=self.teacher_facts,
            start=self.start_facts,
            compatible_with=self.compatible_with,
            training=Training.from_dict(training | self._session()),
            classes=self.teacher_card.classes if kept and self.teacher_card else data.classes,
        )

    def _session(self) -> dict[str, Any]:
        """Return the duration of the run so far and its environment."""
        return self.cache_cost | {
            "steps": self.step,
            "epochs": round(self.step / self.loader.steps_per_epoch, 2),
            "images_per_s": round(self.step * self.loader.batch_size / max(self.stepping, 1e-9), 1),
            "processes": world_size(),
            "environment": environment(self.accelerator.device),
        }

    def identity(self) -> dict[str, Any]:
        """Return the values that must be equal for a checkpoint to continue this run."""
        fixed = {key: value for key, value in self.recipe.as_dict().items() if key not in FREE}
        return fixed | {
            "objective": {"name": self.objective.name} | self.objective.options(),
            "data": self.recipe.data if self.recipe.data.startswith(OBJECT) else self.train_data.fingerprint,
            "teacher weights": self.teacher_facts and self.teacher_facts.sha256,
            "start weights": self.start_facts and self.start_facts.sha256,
            "processes": world_size(),
        }

    def save(self, folder: Path) -> None:
        """Write a checkpoint; all processes call this, the first one writes."""
        random = gather(torch.get_rng_state().to(self.accelerator.device)[None]).cpu()
        tensors: dict[str, dict[str, Tensor]] = {
            "student": dict(self.student.state_dict()),
            "objective": dict(self.objective.state_dict()),
            "optimizer": checkpoint.pack_optimizer(self.optimizer),
            "random": {str(i): state for i, state in enumerate(random)},
        }
        if torch.cuda.is_available():
            states = gather(torch.cuda.get_rng_state().to(self.accelerator.device)[None]).cpu()
            tensors["random_cuda"] = {str(i): state for i, state in enumerate(states)}
        if self.average is not None:
            tensors["average"] = dict(self.average.state_dict())
        if self.best is not None:
            tensors["best"] = self.best_weights
        scaler = self.accelerator.scaler.state_dict() if self.accelerator.scaler is not None else None
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "stepping": self.stepping,
            "best": self.best,
            "scaler": scaler,
            "identity": self.identity(),
        }
        if self.accelerator.is_main_process:
            checkpoint.save(folder, self.step, Checkpoint(tensors, state), self.recipe.keep)
        self.accelerator.wait_for_everyone()

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint. Raises ValueError if it belongs to another run."""
        tensors, state = checkpoint.read(path)
        mine, theirs = self.identity(), Recipe.completed(state["identity"])
        if theirs["objective"]["name"] == self.objective.name:
            theirs["objective"] = self.objective.completed(theirs["objective"])
        if changed := [key for key in mine if mine[key] != theirs.get(key)]:
            what = "; ".join(f"{key} was {theirs.get(key)!r} and is {mine[key]!r}" for key in changed)
            raise ValueError(
                f"checkpoint {path} belongs to another run: {what}. Use another output folder, or the same settings"
            )
        self.student.load_state_dict(tensors["student"])
        self.objective.load_state_dict(tensors.get("objective", {}))
        checkpoint.unpack_optimizer(self.optimizer, tensors.get("optimizer", {}))
        if self.average is not None:
            self.average.load_state_dict(tensors["average"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(tensors["random"][str(rank())])
        if torch.cuda.is_available() and "random_cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random_cuda"][str(rank())])
        self.step, self.seconds = state["step"], state["seconds"]
        self.stepping = state.get("stepping", self.seconds)  # not in checkpoints of older versions
        self.best, self.best_weights = state["best"], tensors.get("best", {})
