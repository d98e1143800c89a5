"""What a run will take, measured on a few images before it starts: time per step, and memory."""

from __future__ import annotations

import copy
import time
import weakref
from collections import Counter
from typing import NamedTuple

import torch
from torch import Tensor, nn

from robustfeat.features.recipe import Recipe
from robustfeat.numerics.types import Batch
from robustfeat.training.distiller import Distiller
from robustfeat.training.run import Run

IMAGES = 8  # of the batch that is measured: enough for the threads of a CPU, and over in seconds
MIB = 2**20


class Kept:
    """Counts the bytes of activations that autograd keeps for the backward pass, within `counting()`.

    Tensors that share their memory count once, and parameters not at all.

    Args:
        parameters: the parameters of what is measured.

    Attributes:
        most: the largest number of bytes at any one time.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.most = self._now = 0
        self._known = {parameter.untyped_storage().data_ptr() for parameter in parameters}
        self._holders: Counter[int] = Counter()

    def counting(self) -> torch.autograd.graph.saved_tensors_hooks:
        """Return the context in which forward passes are counted."""
        return torch.autograd.graph.saved_tensors_hooks(self._pack, _unpack)

    def _pack(self, tensor: Tensor) -> _Holder:
        holder = _Holder(tensor)
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        if place not in self._known:
            if not self._holders[place]:
                self._now += size
                self.most = max(self.most, self._now)
            self._holders[place] += 1
            weakref.finalize(holder, self._release, place, size)
        return holder

    def _release(self, place: int, size: int) -> None:
        self._holders[place] -= 1
        if not self._holders[place]:
            self._now -= size


class _Holder:
    """A tensor that the graph keeps; it ends with the graph, or with the backward pass through it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def _unpack(holder: _Holder) -> Tensor:
    return holder.tensor


class Cost(NamedTuple):
    """What a run takes.

    Args:
        seconds: of one step.
        weights: bytes of student, teacher, average, gradients and optimiser.
        activations: bytes that one part of a batch keeps for the backward pass.
    """

    seconds: float
    weights: int
    activations: int


def cost_of(run: Run) -> Cost:
    """Measure attack, losses and gradient of a few training images on a copy of the networks; the run itself stays as it is."""
    recipe = run.recipe
    few = min(IMAGES, recipe.batch_size // recipe.accumulate, len(run.train_data))
    rows = torch.arange(few)
    labels = run.train_data.labels
    pixels = run.train_data.pixels(rows).to(run.accelerator.device).float() / 255
    batch = Batch(pixels, None if labels is None else labels[:few].to(pixels.device), rows.to(pixels.device))
    trial: Distiller = copy.deepcopy(run.accelerator.unwrap_model(run.distiller))
    kept = Kept(list(trial.parameters()))
    seconds = []
    with run.accelerator.autocast():
        for attempt in range(2):  # the first one also allocates
            begin = time.monotonic()
            with kept.counting():
                terms = trial(batch, (recipe.seed, 0, attempt)).terms
            torch.stack(list(terms.values())).sum().backward()
            if pixels.is_cuda:
                torch.cuda.synchronize(pixels.device)
            seconds.append(time.monotonic() - begin)
    scale = recipe.batch_size / run.accelerator.num_processes / few
    return Cost(min(seconds) * scale, _weights(run), int(kept.most * scale / recipe.accumulate))


def _weights(run: Run) -> int:
    student, teacher = _bytes(run.student), _bytes(run.teacher) if run.teacher is not None else 0
    moments = {"sgd": 1, "adamw": 2}[run.recipe.optimizer]
    return student * (2 + moments + (run.average is not None)) + teacher


def _bytes(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())


def in_words(run: Run, cost: Cost) -> str:
    """Say in one paragraph what a run takes."""
    recipe, side = run.recipe, run.train_data.image_size
    held_out = 0 if run.held_out is None else len(run.held_out)
    return (
        f"{len(run.train_data):,} images of {side}x{side} to train on, {held_out:,} to choose the best weights by; "
        f"{run.objective.name} at {run.threat}, {recipe.steps} steps of the attack, batches of {recipe.batch_size}\n"
        f"about {60 / cost.seconds:.3g} steps a minute on {run.accelerator.device}: {_length(recipe, run, cost)}, "
        "measurements not included\n"
        f"about {(cost.weights + cost.activations) / MIB:,.0f} MiB of memory beside the libraries and the images: "
        f"{cost.weights / MIB:,.0f} for weights and optimiser, {cost.activations / MIB:,.0f} for a batch "
        "(a larger --accumulate needs less)"
    )


def _length(recipe: Recipe, run: Run, cost: Cost) -> str:
    if recipe.minutes:
        steps = 60 * recipe.minutes / cost.seconds
        return f"{steps:,.0f} steps, {steps / run.loader.steps_per_epoch:.2g} epochs, in {recipe.minutes:g} minutes"
    steps = recipe.max_steps or recipe.epochs * run.loader.steps_per_epoch
    return f"{steps:,.0f} steps in {steps * cost.seconds / 60:.3g} minutes"
