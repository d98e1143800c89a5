"""Hardening: a model's features learn to stay where they are under attack, so that its indexes go on working."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from robustfeat.data import ImageDataset
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps
from robustfeat.objectives import FARE, GACD, Objective
from robustfeat.runtime.parallel import rank
from robustfeat.runtime.registry import unknown
from robustfeat.training.estimate import cost_of, in_words
from robustfeat.training.loop import train
from robustfeat.training.objects import Model
from robustfeat.training.protocol import GIVEN, HARDENING
from robustfeat.training.run import Run

# Neither needs labels or a head: the model may know other classes than the data, or none.
METHODS = {"fare": FARE, "gacd": lambda: GACD(weight="none", guide=0.0)}


def harden(
    model: str | os.PathLike[str] | Model,
    data: str | os.PathLike[str] | ImageDataset,
    out: str | os.PathLike[str],
    *,
    eps: Eps | str = "2/255",
    minutes: float | None = 60,
    objective: str | Objective = "fare",
    resume: bool = False,
    quiet: bool = False,
    **recipe: Any,
) -> Path:
    """Make a model robust and return the folder of the best weights, which `robustfeat.load` reads.

    The student starts as a copy of the model, and learns to keep its features of attacked images where the frozen model has them
    of the clean ones. Labels are not needed; where there are some, a linear head is chosen by them. The card says that the
    result is compatible with the model: it can search the model's indexes. What the run will take is measured, and written to
    stderr, before it starts.

    Args:
        model: a published name, a model folder, "timm:...", "hf:...", an extractor of pooled features or a network.
        data: a name or path that `robustfeat.dataset` understands, such as a folder of photographs, or a data set.
        out: the folder of the run, as for `train`.
        eps: the size of the attack, in pixel units of [0, 1] at the size of training, which is that of the model.
        minutes: the time budget; ignored with `max_steps`, and None counts in `epochs`.
        objective: "fare", "gacd" (contrast and alignment, without the model's head), or a method with its options.
        resume: continue from the latest valid checkpoint in `out`.
        quiet: write nothing to stderr.
        **recipe: other entries of `Recipe` that differ from `HARDENING` in `robustfeat.training.protocol`.

    Raises:
        ValueError: for an objective under which a copy of its teacher gains no robustness, and for settings that do not fit.
        KeyError: for an unknown model, data set or objective.
        Exception: whatever else `load` and `train` raise.
    """
    if given := sorted(recipe.keys() & set(GIVEN)):
        raise ValueError(f"{', '.join(given)} follow from the model and the data; leave them out")
    if isinstance(objective, str):
        if objective not in METHODS:
            raise unknown("objective of harden", objective, METHODS)
        objective = METHODS[objective]()
    _check(objective)
    text, network = (os.fspath(model), None) if isinstance(model, str | os.PathLike) else (None, model)
    entries = HARDENING | recipe | {"eps": Eps(eps), "minutes": None if recipe.get("max_steps") else minutes}
    images = data if isinstance(data, ImageDataset) else None
    if images is None:
        entries["data"] = os.fspath(data)  # type: ignore[arg-type]
    _say(f"harden: reading {text or 'the model'} and {entries.get('data', 'the images')}", quiet=quiet)
    return train(
        objective,
        Recipe(**entries | {"start": text, "teacher": text}),
        out,
        data=images,
        student=network,
        teacher=network,
        resume=resume,
        quiet=quiet,
        announce=lambda run: _announce(run, quiet=quiet),
    )


def _check(objective: Objective) -> None:
    """Refuse objectives that make nothing robust here."""
    if not objective.needs_teacher or not objective.robust:
        raise ValueError(
            f"objective {objective.name!r} does not keep a student at its teacher's features under attack; use 'fare' or 'gacd'"
        )
    if objective.follows_attacked_teacher:
        raise ValueError(
            f"objective {objective.name!r} draws the student to the teacher's output on the attacked image. Here the student is "
            "a copy of the teacher, which agrees with it there from the start: nothing becomes robust. Use an objective that "
            "reads the teacher on the clean image, such as 'fare' (with igdm=0, if it has that option)"
        )


def _announce(run: Run, *, quiet: bool) -> None:
    """Say what the run will take, unless its result would not be compatible with the model."""
    if run.compatible_with is None:
        raise ValueError(
            f"objective {run.objective.name!r} gives the student a feature space of its own, in which indexes of the model are "
            "worth nothing; use 'fare' or 'gacd', or train for another purpose"
        )
    if not quiet and rank() == 0:  # only one process measures
        _say(in_words(run, cost_of(run)), quiet=quiet)


def _say(text: str, *, quiet: bool) -> None:
    if not quiet and rank() == 0:
        print(text, file=sys.stderr, flush=True)
